//! One step of the recurrence on thirty-two channels: Δ, and the state with its rounding.

use super::{Lanes, Scan, LANES};
use crate::math::{code, exp, softplus, LOW};
use crate::port::{Data, Port};

/// What the steps of a task read: steps and lowest codes of the state [states, 32] (only where it is rounded), B and C of the step.
#[derive(Clone, Copy)]
pub(super) struct Tables {
    pub scale: *mut f32,
    pub low: *mut f32,
    pub b: *mut f32,
    pub c: *mut f32,
    pub states: usize,
}

/// dt as it came: rounding waits for softplus.
#[inline(always)]
pub(super) unsafe fn raw_delta(s: &Scan, at: usize, to: &mut [f32]) {
    let plain = Port { scale: if matches!(s.dt.data, Data::Floats(_)) { &[] } else { s.dt.scale }, ..s.dt };
    let position = at % if s.per_head { s.heads } else { s.channels() };
    plain.read(at, position, to)
}

/// Δ of what came, rounded where it has a scale and came as floats. `lanes`: positions follow each other, else all are `position`.
#[inline(always)]
pub(super) unsafe fn delta(s: &Scan, position: usize, lanes: bool, dt: &mut Lanes) {
    if s.softplus {
        for v in dt.iter_mut() {
            *v = softplus(*v);
        }
    }
    if s.dt.scale.is_empty() || matches!(s.dt.data, Data::Codes(_)) {
        return;
    }
    for (l, v) in dt.iter_mut().enumerate() {
        let at = if s.dt.scale.len() == 1 { 0 } else if lanes { (position + l).min(s.dt.scale.len() - 1) } else { position };
        let step = *s.dt.scale.get_unchecked(at);
        let low = s.dt.low.get(at).copied().unwrap_or(LOW);
        *v = code(*v, step, low) * step;
    }
}

/// A step where channels decay alike.
#[inline(always)]
pub(super) unsafe fn advance<const ROUNDS: bool>(h: *mut f32, tables: &Tables, decay: f32, u: &Lanes, y: &mut Lanes) {
    let Tables { scale, low, b, c, states } = *tables;
    let mut sum = [0.0; LANES];
    for n in 0..states {
        let (b, c) = (*b.add(n), *c.add(n));
        let h = &mut *h.add(n * LANES).cast::<Lanes>();
        let (scale, low) = (&*scale.add(n * LANES).cast::<Lanes>(), &*low.add(n * LANES).cast::<Lanes>());
        for l in 0..LANES {
            let v = h[l] * decay + u[l] * b;
            sum[l] += v * c;
            h[l] = if ROUNDS { code(v, scale[l], low[l]) * scale[l] } else { v };
        }
    }
    *y = sum;
}

/// A step where each channel and state decays in its own way.
#[inline(always)]
pub(super) unsafe fn advance_each<const ROUNDS: bool>(h: *mut f32, a: *const f32, tables: &Tables, dt: &Lanes, u: &Lanes, y: &mut Lanes) {
    let Tables { scale, low, b, c, states } = *tables;
    let mut sum = [0.0; LANES];
    for n in 0..states {
        let (b, c) = (*b.add(n), *c.add(n));
        let h = &mut *h.add(n * LANES).cast::<Lanes>();
        let a = &*a.add(n * LANES).cast::<Lanes>();
        let (scale, low) = (&*scale.add(n * LANES).cast::<Lanes>(), &*low.add(n * LANES).cast::<Lanes>());
        for l in 0..LANES {
            let v = h[l] * exp(dt[l] * a[l]) + u[l] * b;
            sum[l] += v * c;
            h[l] = if ROUNDS { code(v, scale[l], low[l]) * scale[l] } else { v };
        }
    }
    *y = sum;
}
