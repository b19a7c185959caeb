//! A tile of eight rows to codes, and the error that they leave.

use crate::fit::Fitted;
use crate::format::{integer, round_half_up, Grid, Int};
use crate::lanes::F8;

/// Σ(w − ŵ)² and Σw² of each row of a tile.
pub struct Sums {
    pub error: [f64; 8],
    pub energy: [f64; 8],
    pub finite: bool,
}

/// A code in memory.
pub trait Word: Copy {
    fn of(code: u32) -> Self;
}
impl Word for u8 {
    #[inline(always)]
    fn of(code: u32) -> u8 {
        code as u8
    }
}
impl Word for u16 {
    #[inline(always)]
    fn of(code: u32) -> u16 {
        code as u16
    }
}

#[inline(always)]
// x − x is NaN where x is NaN or infinite.
#[allow(clippy::eq_op)]
fn add_squares(sums: &mut Sums, bad: &mut F8, x: F8, error: F8) {
    for i in 0..8 {
        let (e, w) = (f64::from(error.0[i]), f64::from(x.0[i]));
        sums.error[i] += e * e;
        sums.energy[i] += w * w;
    }
    *bad = *bad + (x - x);
}

per_isa! {
    /// code = round_ties_even(w / s) + z, saturating: QuantizeLinear.
    pub fn encode_tile<G: Grid, W: Word>(grid: G, tile: &[F8], fitted: Fitted, codes: &mut [[W; 8]]) -> Sums {
        let mut sums = Sums { error: [0.0; 8], energy: [0.0; 8], finite: true };
        let mut bad = F8::splat(0.0);
        for (&x, to) in tile.iter().zip(codes) {
            let value = grid.snap(x / fitted.step);
            for i in 0..8 {
                to[i] = W::of(grid.code(value.0[i], fitted.zero.0[i]));
            }
            add_squares(&mut sums, &mut bad, x, x - value * fitted.step);
        }
        sums.finite = bad == F8::splat(0.0);
        sums
    }
}

per_isa! {
    /// code = roundf(w · (1/s) + (z − lo)) + lo, saturating: onnxruntime's MatMulNBits quantizer.
    pub fn encode_half_up(f: Int, offset: i32, tile: &[F8], fitted: Fitted, codes: &mut [[u8; 8]]) -> Sums {
        let mut sums = Sums { error: [0.0; 8], energy: [0.0; 8], finite: true };
        let mut bad = F8::splat(0.0);
        let inverse = F8::splat(1.0) / fitted.step;
        let shift = fitted.zero - F8::splat(f.lo);
        let (bottom, top) = (F8::splat(0.0), F8::splat(f.hi - f.lo));
        let base = f.lo as i32 + offset;
        for (&x, to) in tile.iter().zip(codes) {
            let unsigned = (x * inverse + shift).max(bottom).min(top).map(round_half_up);
            for i in 0..8 {
                to[i] = integer(unsigned.0[i]).wrapping_add(base) as u8;
            }
            add_squares(&mut sums, &mut bad, x, x - (unsigned - shift) * fitted.step);
        }
        sums.finite = bad == F8::splat(0.0);
        sums
    }
}
