//! Rows of logarithmic codes times integers, by shifts: a code q stands for 2^−q, or for 2^−⌈q/2⌉·(1 + (q mod 2)(√2 − 1)) where two codes are one
//! halving, so that there is one sum for even and one for odd codes, each of shifted integers, under two scales.
//! Source: Li et al., RepQuant, 2024 (arXiv:2402.05628).

use crate::isa::dispatch;
use crate::Isa;
use std::ops::{AddAssign, Shl, Sub};

/// What codes mean: `bits` of them, the last one is zero; `steps` codes are one halving (1 or 2).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Levels {
    pub bits: u32,
    pub steps: u32,
}

impl Levels {
    /// The code that stands for zero.
    pub fn last(self) -> i32 {
        (1 << self.bits) - 1
    }
    /// The most halvings.
    pub fn depth(self) -> u32 {
        (self.last() as u32 - 1).div_ceil(self.steps)
    }
    /// Do sums of `n` products with |v| ≤ 255 fit into 63 bits?
    pub fn fits(self, n: usize) -> bool {
        (n as u128) * (255u128 << self.depth()) < 1 << 63
    }
}

/// y[d] = a·E[d] + b·O[d] with a = delta·2^−depth, b = a·√2, E and O the sums over even and odd codes of (v[s, d] − zero)·2^(depth − halvings(q_s)).
/// Codes below 0 count as 0, above the last one as the last. v is [codes, y]. Panics where sizes do not fit.
pub fn levels_row(isa: Isa, levels: Levels, codes: &[i32], v: &[u8], zero: u8, delta: f32, y: &mut [f32]) {
    assert!(isa.available() && !y.is_empty() && v.len() == codes.len() * y.len() && levels.fits(codes.len()));
    let mut sums = vec![[0i64; 2]; y.len()];
    // SAFETY: the machine has `isa`.
    unsafe { shift_add(isa, levels, codes, v, zero, &mut sums) };
    let a = delta * f32::from_bits((127 - levels.depth()) << 23);
    let b = a * std::f32::consts::SQRT_2;
    for (y, s) in y.iter_mut().zip(&sums) {
        *y = a * s[0] as f32 + b * s[1] as f32;
    }
}
dispatch! { fn shift_add(levels: Levels, codes: &[i32], v: &[u8], zero: u8, sums: &mut [[i64; 2]]) = shift_add_body }

#[inline(always)]
fn shift_add_body<S>(levels: Levels, codes: &[i32], v: &[u8], zero: u8, sums: &mut [[i64; 2]]) {
    let narrow = (codes.len() as u128) * (255u128 << levels.depth()) < 1 << 31;
    if narrow { shift_add_in::<i32>(levels, codes, v, zero, sums) } else { shift_add_in::<i64>(levels, codes, v, zero, sums) }
}

/// Sums in integers that are wide enough.
#[inline(always)]
fn shift_add_in<T>(levels: Levels, codes: &[i32], v: &[u8], zero: u8, sums: &mut [[i64; 2]])
where
    T: Copy + Default + From<u8> + Into<i64> + AddAssign + Sub<Output = T> + Shl<u32, Output = T>,
{
    const STRIP: usize = 32;
    let (width, depth, last) = (sums.len(), levels.depth(), levels.last());
    for (strip, out) in sums.chunks_mut(STRIP).enumerate() {
        let at = strip * STRIP;
        let mut acc = [[T::default(); STRIP]; 2];
        for (row, &q) in v.chunks_exact(width).zip(codes) {
            let q = q.max(0);
            if q >= last {
                continue;
            }
            let shift = depth - (q as u32).div_ceil(levels.steps);
            let sum = &mut acc[if levels.steps == 2 { (q & 1) as usize } else { 0 }];
            for (s, &x) in sum.iter_mut().zip(&row[at..at + out.len()]) {
                *s += (T::from(x) - T::from(zero)) << shift;
            }
        }
        for (d, o) in out.iter_mut().enumerate() {
            *o = [acc[0][d].into(), acc[1][d].into()];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The formula, term by term, in float64.
    fn exact(l: Levels, codes: &[i32], v: &[u8], zero: u8, delta: f32, width: usize) -> Vec<f64> {
        let weight = |q: i32| match q {
            q if q >= l.last() => 0.0,
            q if l.steps == 2 => 2f64.powi(-((q + 1) / 2)) * (1.0 + f64::from(q % 2) * (2f64.sqrt() - 1.0)),
            q => 2f64.powi(-q),
        };
        (0..width).map(|d| f64::from(delta) * codes.iter().enumerate().map(|(s, &q)| weight(q) * (f64::from(v[s * width + d]) - f64::from(zero))).sum::<f64>()).collect()
    }

    #[test]
    fn bit_exact_to_its_formula_on_every_instruction_set() {
        for (bits, steps) in [(4, 2), (6, 2), (4, 1), (3, 2)] {
            let l = Levels { bits, steps };
            for (n, width) in [(1, 1), (7, 33), (65, 48)] {
                let codes: Vec<i32> = (0..n as i32).map(|i| (i * 7 + 3) % (1 << bits)).collect();
                let v: Vec<u8> = (0..n * width).map(|i| ((i * 37 + 11) % 256) as u8).collect();
                let mut scalar = vec![0.0; width];
                levels_row(Isa::Scalar, l, &codes, &v, 128, 0.37, &mut scalar);
                for (y, e) in scalar.iter().zip(exact(l, &codes, &v, 128, 0.37, width)) {
                    assert!((f64::from(*y) - e).abs() <= 1e-6 * codes.len() as f64 * 0.37 * 128.0);
                }
                // Sums are integers: with a scale that is a power of two and even codes alone the result is the formula itself.
                let even: Vec<i32> = codes.iter().map(|q| if steps == 2 { q & !1 } else { *q }).collect();
                let mut y = vec![0.0; width];
                levels_row(Isa::Scalar, l, &even, &v, 128, 0.5, &mut y);
                for (y, e) in y.iter().zip(exact(l, &even, &v, 128, 0.5, width)) {
                    assert_eq!(*y, e as f32);
                }
                for &isa in Isa::ALL.iter().filter(|i| i.available()) {
                    let mut y = vec![0.0; width];
                    levels_row(isa, l, &codes, &v, 128, 0.37, &mut y);
                    assert!(y == scalar, "{isa:?}");
                }
            }
        }
    }

    #[test]
    fn sums_that_would_overflow_are_refused() {
        assert!(Levels { bits: 6, steps: 2 }.fits(1 << 20) && !Levels { bits: 7, steps: 2 }.fits(1));
    }
}
