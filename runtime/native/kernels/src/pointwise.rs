//! Gated activations, element by element.

use crate::isa::dispatch;
use crate::math::{self, exp};
use crate::Isa;

/// y = gate / (1 + e^(−gate)) · up. Panics where sizes do not fit.
pub fn silu_mul(isa: Isa, gate: &[f32], up: &[f32], y: &mut [f32]) {
    assert!(isa.available() && gate.len() == up.len() && gate.len() == y.len());
    // SAFETY: the machine has `isa`.
    unsafe { silu(isa, gate, up, y) }
}
dispatch! { fn silu(gate: &[f32], up: &[f32], y: &mut [f32]) = silu_body }

#[inline(always)]
fn silu_body<S>(gate: &[f32], up: &[f32], y: &mut [f32]) {
    for ((y, &g), u) in y.iter_mut().zip(gate).zip(up) {
        *y = g / (1.0 + exp(-g)) * u;
    }
}

/// y = x · σ(s·x); `scale`: one for all, or one for each element of a row. Panics where sizes do not fit.
pub fn silu_scaled(isa: Isa, x: &[f32], scale: &[f32], y: &mut [f32]) {
    assert!(isa.available() && x.len() == y.len() && !scale.is_empty() && x.len() % scale.len() == 0);
    // SAFETY: the machine has `isa`.
    unsafe { scaled(isa, x, scale, y) }
}
dispatch! { fn scaled(x: &[f32], scale: &[f32], y: &mut [f32]) = scaled_body }

#[inline(always)]
fn scaled_body<S>(x: &[f32], scale: &[f32], y: &mut [f32]) {
    if let &[s] = scale {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = math::silu_scaled(x, s);
        }
        return;
    }
    for (x, y) in x.chunks_exact(scale.len()).zip(y.chunks_exact_mut(scale.len())) {
        for ((y, &x), &s) in y.iter_mut().zip(x).zip(scale) {
            *y = math::silu_scaled(x, s);
        }
    }
}
