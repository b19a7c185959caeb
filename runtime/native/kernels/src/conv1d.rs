//! Depthwise causal convolution over time, with what came before as a state:
//!
//!   y[t, c] = act(bias[c] + Σₖ w[k, c] · x[t − K + 1 + k, c]),   x[t < 0] from the state
//!
//! Sums are in the order of k. Where inputs and weights are codes, products and sums are exact, and one scale a channel follows.

use crate::isa::dispatch;
use crate::linear::{scratch, Output};
use crate::math::{byte_of, code, of_byte, silu_scaled, LOW};
use crate::scan::{After, State};
use crate::Isa;

/// Channels of a task.
pub const CHANNELS: usize = 64;
/// The longest filter.
const LONGEST: usize = 1024;

/// Sizes and inputs of one call.
#[derive(Debug, Clone, Copy)]
pub struct Conv<'a> {
    pub batch: usize,
    pub time: usize,
    pub channels: usize,
    /// Taps of a filter, K.
    pub taps: usize,
    /// Is y = v·σ(v) of the sum v?
    pub silu: bool,
    /// [batch, time, channels].
    pub x: &'a [f32],
    /// [batch, channels, K − 1].
    pub past: State<'a>,
    /// [K, channels].
    pub weights: Weights<'a>,
    pub bias: &'a [f32],
    /// Steps that x and the state are rounded by: empty (float), one for all, or one a channel.
    pub scale: &'a [f32],
    /// The lowest code under each step, counted from the zero point; empty: −128.
    pub low: &'a [f32],
}
#[derive(Debug, Clone, Copy)]
pub enum Weights<'a> {
    Floats(&'a [f32]),
    /// Codes, and one step a channel or one for all.
    Codes(&'a [i8], &'a [f32]),
}

impl Conv<'_> {
    fn blocks(&self) -> usize {
        self.channels.div_ceil(CHANNELS)
    }
    pub fn tasks(&self) -> usize {
        self.batch * self.blocks()
    }
    /// Elements of the state.
    pub fn held(&self) -> usize {
        self.batch * self.channels * (self.taps - 1)
    }

    /// Errors: sizes that do not fit each other.
    pub fn check(&self) -> Result<(), String> {
        let Conv { batch, time, channels, taps, .. } = *self;
        if channels == 0 || taps == 0 || taps > LONGEST {
            return Err(format!("{channels} channels, filters of {taps}: not 1 … {LONGEST}"));
        }
        let of = |a: usize, b: usize, c: usize| a.max(1).checked_mul(b.max(1)).and_then(|n| n.checked_mul(c.max(1) * 4)).filter(|&n| n <= isize::MAX as usize);
        of(batch, time, channels).and(of(batch, channels, taps)).ok_or("sizes are too large")?;
        let sized = |name: &str, got: usize, want: &[usize]| if want.contains(&got) { Ok(()) } else { Err(format!("{name} has {got} elements, not {want:?}")) };
        sized("x", self.x.len(), &[batch * time * channels])?;
        match self.past {
            State::Floats(p) => sized("the state", p.len(), &[self.held()])?,
            State::Codes(p) => {
                sized("the state", p.len(), &[self.held()])?;
                if self.scale.is_empty() {
                    return Err("the state is int8 and has no scale".into());
                }
            }
        }
        match self.weights {
            Weights::Floats(w) => sized("weight", w.len(), &[taps * channels])?,
            Weights::Codes(w, s) => {
                sized("weight", w.len(), &[taps * channels])?;
                sized("weight_scale", s.len(), &[1, channels])?;
            }
        }
        sized("bias", self.bias.len(), &[1, channels])?;
        sized("x_scale", self.scale.len(), &[0, 1, channels])?;
        sized("the lowest codes", self.low.len(), &[0, self.scale.len()])
    }
}

/// One task: up to sixty-four channels of one sequence, all steps. y [batch, time, channels]; `after` like the past state.
/// Panics where sizes do not fit.
pub fn conv_task(isa: Isa, c: &Conv, task: usize, y: &Output, after: &After) {
    assert!(isa.available() && c.check().is_ok() && task < c.tasks() && y.len() == c.x.len());
    assert!(match after {
        After::Floats(o) => o.len() == c.held() && matches!(c.past, State::Floats(_)),
        After::Codes(o) => o.len() == c.held() && !c.scale.is_empty(),
    });
    // SAFETY: sizes are checked, the machine has `isa`, tasks write channels of their own.
    unsafe { conv(isa, c, task, y, after) }
}
dispatch! { fn conv(c: &Conv, task: usize, y: &Output, after: &After) = conv_body }

type Row = [f32; CHANNELS];

#[inline(always)]
unsafe fn conv_body<S>(c: &Conv, task: usize, y: &Output, after: &After) {
    let Conv { time, channels, taps, .. } = *c;
    let (batch, first) = (task / c.blocks(), task % c.blocks() * CHANNELS);
    let count = CHANNELS.min(channels - first);
    let rounds = !c.scale.is_empty();
    // Filters, and the last K rows: as numbers, or as codes where x is rounded. A row that is not rounded is kept too, since it is the state.
    let at: *mut Row = scratch(4 * 3 * taps * CHANNELS).cast();
    let (w, rows, raw) = (at, at.add(taps), at.add(2 * taps));
    at.write_bytes(0, 3 * taps);
    let (mut step, mut low, mut factor, mut bias) = ([1.0f32; CHANNELS], [LOW; CHANNELS], [1.0f32; CHANNELS], [0.0f32; CHANNELS]);
    let each = |v: &[f32], l: usize| if v.len() == 1 { v[0] } else { v[first + l] };
    for l in 0..count {
        bias[l] = each(c.bias, l);
        if rounds {
            step[l] = each(c.scale, l);
            factor[l] = step[l];
        }
        if !c.low.is_empty() {
            low[l] = each(c.low, l);
        }
        if let Weights::Codes(_, s) = c.weights {
            factor[l] *= each(s, l);
        }
        for k in 0..taps {
            let from = k * channels + first + l;
            (*w.add(k))[l] = match c.weights {
                Weights::Floats(w) => w[from],
                Weights::Codes(w, _) => f32::from(w[from]),
            };
        }
    }
    let scaled = rounds || matches!(c.weights, Weights::Codes(..));
    let held = (batch * channels + first) * (taps - 1);
    for k in 0..taps - 1 {
        for l in 0..count {
            let v = match c.past {
                State::Floats(p) => p[held + l * (taps - 1) + k],
                State::Codes(p) => of_byte(p[held + l * (taps - 1) + k], low[l]),
            };
            (*raw.add(k))[l] = v;
            (*rows.add(k))[l] = if rounds && matches!(c.past, State::Floats(_)) { code(v, step[l], low[l]) } else { v };
        }
    }
    // Row t stands in slot (t + K − 1) mod K.
    for t in 0..time {
        let slot = (t + taps - 1) % taps;
        let from = (batch * time + t) * channels + first;
        let (x, kept) = (&mut *rows.add(slot), &mut *raw.add(slot));
        kept[..count].copy_from_slice(c.x.get_unchecked(from..from + count));
        if rounds {
            for l in 0..CHANNELS {
                x[l] = code(kept[l], step[l], low[l]);
            }
        } else {
            *x = *kept;
        }
        let mut sum = [0.0f32; CHANNELS];
        for k in 0..taps {
            let (x, w) = (&*rows.add((t + k) % taps), &*w.add(k));
            for l in 0..CHANNELS {
                sum[l] += w[l] * x[l];
            }
        }
        if scaled {
            for l in 0..CHANNELS {
                sum[l] *= factor[l];
            }
        }
        for l in 0..CHANNELS {
            sum[l] += bias[l];
        }
        if c.silu {
            for v in sum.iter_mut() {
                *v = silu_scaled(*v, 1.0);
            }
        }
        std::ptr::copy_nonoverlapping(sum.as_ptr(), y.at().add(from), count);
    }
    for k in 0..taps - 1 {
        let slot = (time + k) % taps;
        for l in 0..count {
            let to = held + l * (taps - 1) + k;
            match after {
                After::Floats(o) => *o.at().add(to) = (*raw.add(slot))[l],
                After::Codes(o) => *o.at().add(to) = byte_of((*rows.add(slot))[l]),
            }
        }
    }
}
