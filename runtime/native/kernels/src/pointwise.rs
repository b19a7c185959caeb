//! Gated activations, element by element.

use crate::isa::dispatch;
use crate::math::exp;
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
