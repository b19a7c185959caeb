//! Gated activations and affine corrections, element by element.

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

/// y = a·x + b for runs of `inner` elements of x, each with the next a and b; they begin again behind the last. Panics where sizes do not fit.
pub fn affine(isa: Isa, x: &[f32], inner: usize, a: &[f32], b: &[f32], y: &mut [f32]) {
    assert!(isa.available() && x.len() == y.len() && inner > 0 && !a.is_empty() && a.len() == b.len() && x.len() % (inner * a.len()) == 0);
    // SAFETY: the machine has `isa`.
    unsafe { affine_all(isa, x, inner, a, b, y) }
}
dispatch! { fn affine_all(x: &[f32], inner: usize, a: &[f32], b: &[f32], y: &mut [f32]) = affine_body }

#[inline(always)]
fn affine_body<S>(x: &[f32], inner: usize, a: &[f32], b: &[f32], y: &mut [f32]) {
    let run = inner * a.len();
    for (x, y) in x.chunks_exact(run).zip(y.chunks_exact_mut(run)) {
        if inner == 1 {
            for (((y, x), a), b) in y.iter_mut().zip(x).zip(a).zip(b) {
                *y = x * a + b;
            }
            continue;
        }
        for (((x, y), a), b) in x.chunks_exact(inner).zip(y.chunks_exact_mut(inner)).zip(a).zip(b) {
            for (y, x) in y.iter_mut().zip(x) {
                *y = x * a + b;
            }
        }
    }
}
