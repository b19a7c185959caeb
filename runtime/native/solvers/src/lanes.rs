//! Eight float32 lanes. Plain arrays: the compiler turns each operation into one or two vector instructions.

use std::ops::{Add, Div, Mul, Sub};

#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C, align(32))]
pub struct F8(pub [f32; 8]);

impl F8 {
    #[inline(always)]
    pub fn splat(x: f32) -> F8 {
        F8([x; 8])
    }

    #[inline(always)]
    pub fn map(self, f: impl Fn(f32) -> f32) -> F8 {
        let mut out = [0.0; 8];
        for i in 0..8 {
            out[i] = f(self.0[i]);
        }
        F8(out)
    }

    #[inline(always)]
    pub fn zip(self, other: F8, f: impl Fn(f32, f32) -> f32) -> F8 {
        let mut out = [0.0; 8];
        for i in 0..8 {
            out[i] = f(self.0[i], other.0[i]);
        }
        F8(out)
    }

    /// a < b ? b : a, the rule of `maxps` and `pmax`.
    #[inline(always)]
    pub fn max(self, other: F8) -> F8 {
        self.zip(other, |a, b| if a < b { b } else { a })
    }

    #[inline(always)]
    pub fn min(self, other: F8) -> F8 {
        self.zip(other, |a, b| if b < a { b } else { a })
    }

    /// Nearest integer, ties to even, for |x| < 2²².
    #[inline(always)]
    pub fn round(self) -> F8 {
        self.map(round)
    }
}

/// Nearest integer, ties to even, for |x| < 2²²: adding 1.5·2²³ leaves no bits for a fraction.
#[inline(always)]
pub fn round(x: f32) -> f32 {
    const MAGIC: f32 = 12_582_912.0;
    (x + MAGIC) - MAGIC
}

macro_rules! lanewise {
    ($trait:ident, $method:ident, $op:tt) => {
        impl $trait for F8 {
            type Output = F8;
            #[inline(always)]
            fn $method(self, other: F8) -> F8 {
                self.zip(other, |a, b| a $op b)
            }
        }
    };
}
lanewise!(Add, add, +);
lanewise!(Sub, sub, -);
lanewise!(Mul, mul, *);
lanewise!(Div, div, /);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_is_ties_to_even() {
        for i in -4000..4000 {
            let x = i as f32 / 8.0;
            assert_eq!(round(x), x.round_ties_even(), "{x}");
        }
    }

    #[test]
    fn max_and_min_pick_lanes() {
        let a = F8([1.0, -2.0, 3.0, 0.0, 5.0, -6.0, 7.0, 8.0]);
        let b = F8::splat(2.0);
        assert_eq!(a.max(b).0, [2.0, 2.0, 3.0, 2.0, 5.0, 2.0, 7.0, 8.0]);
        assert_eq!(a.min(b).0, [1.0, -2.0, 2.0, 0.0, 2.0, -6.0, 2.0, 2.0]);
    }
}
