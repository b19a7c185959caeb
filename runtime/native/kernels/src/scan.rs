//! The selective scan of Mamba 1 and 2, whole sequences and single steps alike: for each channel p and state n
//!
//!   h' = h·exp(Δ·A) + (Δ·x)·B;   y = (Σₙ h'·C + D·x) · z·σ(s·z)
//!
//! Channels lie side by side, thirty-two a task; sums over states are in order, so every instruction set gives the same bits.
//! A quantized state is rounded after each step; y reads it before, as it stands in a register.

mod held;
mod step;

use crate::isa::dispatch;
use crate::linear::{scratch, Output};
use crate::math::{exp, silu_scaled, LOW};
use crate::port::{Data, Port};
use crate::Isa;
use held::{fill, read_state, write_state};
use step::{advance, advance_each, delta, raw_delta, Tables};

/// Channels of a task.
pub const LANES: usize = 32;
type Lanes = [f32; LANES];
/// Steps ahead that rows are fetched.
const AHEAD: usize = 8;

/// Sizes and inputs of one call. Channels are [heads, width].
#[derive(Debug, Clone, Copy)]
pub struct Scan<'a> {
    pub batch: usize,
    pub time: usize,
    pub heads: usize,
    pub width: usize,
    pub states: usize,
    /// Groups of heads that share B and C.
    pub groups: usize,
    /// Are Δ and A one number a head (Mamba 2)? Else one a channel, and A one a channel and state (Mamba 1).
    pub per_head: bool,
    /// Is Δ = ln(1 + e^dt)? Rounded is Δ.
    pub softplus: bool,
    /// [batch, time, channels].
    pub x: Port<'a>,
    /// [batch, time, heads or channels].
    pub dt: Port<'a>,
    /// [batch, time, groups, states].
    pub b: Port<'a>,
    pub c: Port<'a>,
    /// Like x; empty: no gate.
    pub z: Port<'a>,
    /// s of the gate: one, or one a channel.
    pub gate: &'a [f32],
    /// A: [heads], or [states, channels].
    pub a: &'a [f32],
    /// D: one a head where `per_head`, else one a channel.
    pub skip: &'a [f32],
    /// [batch, channels, states] before the first step.
    pub past: State<'a>,
    /// Steps of the state: empty (float), one for all, or [states, channels].
    pub scale: &'a [f32],
    /// Its lowest code under each step, counted from the zero point; empty: −128.
    pub low: &'a [f32],
}
/// A state as floats, or as bytes: codes counted from the zero point, modulo 256.
#[derive(Debug, Clone, Copy)]
pub enum State<'a> {
    Floats(&'a [f32]),
    Codes(&'a [i8]),
}
/// Where the state goes after the last step.
pub enum After<'a> {
    Floats(Output<'a>),
    Codes(Output<'a, i8>),
}

impl Scan<'_> {
    pub fn channels(&self) -> usize {
        self.heads * self.width
    }
    /// Blocks of channels of a head.
    fn blocks(&self) -> usize {
        self.width.div_ceil(LANES)
    }
    pub fn tasks(&self) -> usize {
        self.batch * self.heads * self.blocks()
    }

    /// Errors: sizes that do not fit each other.
    pub fn check(&self) -> Result<(), String> {
        let large = "sizes are too large";
        let product = |f: &[usize]| f.iter().try_fold(4usize, |p, &n| p.checked_mul(n).filter(|&p| p <= isize::MAX as usize)).ok_or(large);
        let Scan { batch, time, heads, width, states, groups, .. } = *self;
        if heads == 0 || width == 0 || states == 0 || groups == 0 || heads % groups != 0 {
            return Err(format!("{groups} groups cannot share {heads} heads of {width} channels of {states} states"));
        }
        product(&[batch.max(1), time.max(1), heads, width])?;
        product(&[batch.max(1), time.max(1), groups, states])?;
        product(&[batch.max(1), heads, width, states, LANES])?;
        let (rows, channels) = (batch * time, heads * width);
        let steps = if self.per_head { heads } else { channels };
        self.x.check("x", rows, channels)?;
        self.dt.check("dt", rows, steps)?;
        if self.softplus && matches!(self.dt.data, Data::Codes(_)) {
            return Err("dt is int8, which stands for what softplus has yielded".into());
        }
        self.b.check("B", rows, groups * states)?;
        self.c.check("C", rows, groups * states)?;
        if !self.z.is_empty() {
            self.z.check("z", rows, channels)?;
        }
        let sized = |name: &str, got: usize, want: &[usize]| if want.contains(&got) { Ok(()) } else { Err(format!("{name} has {got} elements, not {want:?}")) };
        sized("A", self.a.len(), &[if self.per_head { heads } else { channels * states }])?;
        sized("D", self.skip.len(), &[steps])?;
        sized("gate_scale", self.gate.len(), &[1, channels])?;
        sized("state_scale", self.scale.len(), &[0, 1, channels * states])?;
        sized("the state's lowest codes", self.low.len(), &[0, self.scale.len()])?;
        let past = match self.past {
            State::Floats(x) => x.len(),
            State::Codes(x) => x.len(),
        };
        sized("the state", past, &[batch * channels * states])?;
        if matches!(self.past, State::Codes(_)) && self.scale.is_empty() {
            return Err("the state is int8 and has no scale".into());
        }
        Ok(())
    }
}

/// One task: up to thirty-two channels of one head of one sequence, all steps. y [batch, time, channels]; `after` like the past state.
/// Panics where sizes do not fit.
pub fn scan_task(isa: Isa, s: &Scan, task: usize, y: &Output, after: &After) {
    assert!(isa.available() && s.check().is_ok() && task < s.tasks());
    let state = s.batch * s.channels() * s.states;
    assert!(y.len() == s.batch * s.time * s.channels());
    assert!(match after {
        After::Floats(o) => o.len() == state,
        After::Codes(o) => o.len() == state && !s.scale.is_empty(),
    });
    // SAFETY: sizes are checked, the machine has `isa`, tasks write channels of their own.
    unsafe { scan(isa, s, task, y, after) }
}
dispatch! { fn scan(s: &Scan, task: usize, y: &Output, after: &After) = scan_body }

#[inline(always)]
unsafe fn scan_body<S>(s: &Scan, task: usize, y: &Output, after: &After) {
    let Scan { time, heads, width, states, groups, .. } = *s;
    let channels = heads * width;
    let block = task % s.blocks();
    let head = task / s.blocks() % heads;
    let batch = task / s.blocks() / heads;
    let first = head * width + block * LANES;
    let count = LANES.min(width - block * LANES);
    let group = head / (heads / groups);

    let table = states * LANES;
    let at: *mut f32 = scratch(4 * (4 * table + 2 * states)).cast();
    let (h, a) = (at, at.add(table));
    let tables = Tables { scale: at.add(2 * table), low: at.add(3 * table), b: at.add(4 * table), c: at.add(4 * table + states), states };
    let rounds = !s.scale.is_empty();
    for n in 0..states {
        let (row, from) = (n * LANES, n * channels + first);
        if !s.per_head {
            fill(a.add(row), s.a.get_unchecked(from..from + count), 0.0);
        }
        for (to, values, rest) in [(tables.scale, s.scale, 1.0), (tables.low, s.low, LOW)] {
            match values.len() {
                0 if !rounds => {}
                0 => fill(to.add(row), &[], rest),
                1 => fill(to.add(row), &[], values[0]),
                _ => fill(to.add(row), values.get_unchecked(from..from + count), rest),
            }
        }
    }
    let held = (batch * channels + first) * states;
    read_state(s, held, count, h, &tables);

    let each = |values: &[f32], l: usize| match values.len() {
        1 => values[0],
        n if n == channels => values[first + l],
        _ => values[head],
    };
    let (mut skip, mut gate) = ([0.0; LANES], [0.0; LANES]);
    for l in 0..count {
        skip[l] = each(s.skip, l);
        gate[l] = each(s.gate, l);
    }
    // One number a head: thirty-two steps at a time.
    let (mut steps, mut decays) = ([0.0; LANES], [0.0; LANES]);
    let (mut x, mut z, mut dt, mut u, mut out) = ([0.0; LANES], [0.0; LANES], [0.0; LANES], [0.0; LANES], [0.0; LANES]);
    for t in 0..time {
        let row = batch * time + t;
        // Rows lie far apart: the hardware does not follow.
        for line in [0, LANES / 2] {
            let far = (row + AHEAD) * channels + first + line;
            s.x.ahead(far);
            s.z.ahead(far);
            if !s.per_head {
                s.dt.ahead(far);
            }
        }
        s.x.read(row * channels + first, first, &mut x[..count]);
        let shared = (row * groups + group) * states;
        s.b.read(shared, group * states, std::slice::from_raw_parts_mut(tables.b, states));
        s.c.read(shared, group * states, std::slice::from_raw_parts_mut(tables.c, states));
        if s.per_head {
            if t % LANES == 0 {
                for i in 0..LANES.min(time - t) {
                    raw_delta(s, (row + i) * heads + head, &mut steps[i..=i]);
                }
                delta(s, head, false, &mut steps);
                for i in 0..LANES {
                    decays[i] = exp(steps[i] * s.a[head]);
                }
            }
            let (d, decay) = (steps[t % LANES], decays[t % LANES]);
            for l in 0..LANES {
                u[l] = d * x[l];
            }
            if rounds { advance::<true>(h, &tables, decay, &u, &mut out) } else { advance::<false>(h, &tables, decay, &u, &mut out) }
        } else {
            raw_delta(s, row * channels + first, &mut dt[..count]);
            delta(s, first, true, &mut dt);
            for l in 0..LANES {
                u[l] = dt[l] * x[l];
            }
            if rounds { advance_each::<true>(h, a, &tables, &dt, &u, &mut out) } else { advance_each::<false>(h, a, &tables, &dt, &u, &mut out) }
        }
        for l in 0..LANES {
            out[l] += skip[l] * x[l];
        }
        if !s.z.is_empty() {
            s.z.read(row * channels + first, first, &mut z[..count]);
            for l in 0..LANES {
                out[l] *= silu_scaled(z[l], gate[l]);
            }
        }
        std::ptr::copy_nonoverlapping(out.as_ptr(), y.at().add(row * channels + first), count);
    }
    write_state(after, held, count, h, &tables);
}
