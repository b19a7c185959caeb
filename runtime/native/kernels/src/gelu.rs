//! GELU by rows, its result in floats or in codes.

use crate::isa::dispatch;
use crate::math::{erf, exp};
use crate::norm::{each_row, Normed, Row};
use crate::Isa;

/// Φ exactly, or by its usual approximation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Gelu {
    /// x/2 · (1 + erf(x / √2)).
    Erf,
    /// x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³))).
    Tanh,
}

/// The rows of x. Panics where sizes do not fit.
pub fn gelu(isa: Isa, how: Gelu, x: &[f32], width: usize, to: Normed) {
    assert!(isa.available() && width > 0 && x.len() % width == 0 && to.takes(x.len() / width, width));
    // SAFETY: the machine has `isa`.
    unsafe { all(isa, how, x, width, to) }
}
dispatch! { fn all(how: Gelu, x: &[f32], width: usize, to: Normed) = body }

#[inline(always)]
fn body<S>(how: Gelu, x: &[f32], width: usize, to: Normed) {
    match how {
        Gelu::Erf => each_row(width, x, to, Exact),
        Gelu::Tanh => each_row(width, x, to, Approximate),
    }
}

struct Exact;
impl Row for Exact {
    #[inline(always)]
    fn row(&mut self, x: &[f32], y: &mut [f32]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = 0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2));
        }
    }
}

struct Approximate;
impl Row for Approximate {
    /// (1 + tanh(u)) / 2 = 1 / (1 + e^(−2u)).
    #[inline(always)]
    fn row(&mut self, x: &[f32], y: &mut [f32]) {
        /// 2·√(2/π).
        const C: f32 = 1.595_769_1;
        for (y, &x) in y.iter_mut().zip(x) {
            *y = x / (1.0 + exp(-C * (x + 0.044_715 * x * x * x)));
        }
    }
}
