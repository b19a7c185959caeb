//! Number formats of codes: their values, rounding onto them, and their bits.

use crate::lanes::{round, F8};

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Format {
    Int(Int),
    Float(Mini),
}

/// Codes lo..=hi.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Int {
    pub bits: u32,
    pub signed: bool,
    pub lo: f32,
    pub hi: f32,
}

/// A small binary float without infinities in use: sign, exponent with `bias`, `man` bits of mantissa, values to ±max.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mini {
    pub bits: u32,
    pub man: u32,
    pub bias: i32,
    pub max: f32,
    /// Exponent of the largest binade, as the OCP MX scale rule uses it.
    pub emax: i32,
}

pub const E4M3: Mini = Mini { bits: 8, man: 3, bias: 7, max: 448.0, emax: 8 };
pub const E5M2: Mini = Mini { bits: 8, man: 2, bias: 15, max: 57344.0, emax: 15 };
pub const E2M1: Mini = Mini { bits: 4, man: 1, bias: 1, max: 6.0, emax: 2 };

impl Format {
    pub fn bits(&self) -> u32 {
        match self {
            Format::Int(f) => f.bits,
            Format::Float(f) => f.bits,
        }
    }

    /// The largest magnitude that a symmetric scale maps onto.
    pub fn top(&self) -> f32 {
        match self {
            Format::Int(f) => f.hi.max(1.0),
            Format::Float(f) => f.max,
        }
    }
}

/// Rounding of scaled values onto a format's values; for integers relative to the zero point.
pub trait Grid: Copy {
    fn snap(self, x: F8) -> F8;
    /// The code of a value that `snap` gave.
    fn code(self, value: f32, zero: f32) -> u32;
}

/// Integers lo − zero … hi − zero, ties to even, as QuantizeLinear.
#[derive(Clone, Copy)]
pub struct IntGrid {
    pub lo: F8,
    pub hi: F8,
    /// Added to every code.
    pub offset: i32,
}

impl IntGrid {
    #[inline(always)]
    pub fn new(f: Int, zero: F8) -> Self {
        IntGrid { lo: F8::splat(f.lo) - zero, hi: F8::splat(f.hi) - zero, offset: 0 }
    }
}

impl Grid for IntGrid {
    #[inline(always)]
    fn snap(self, x: F8) -> F8 {
        x.max(self.lo).min(self.hi).round()
    }
    #[inline(always)]
    fn code(self, value: f32, zero: f32) -> u32 {
        integer(value + zero).wrapping_add(self.offset) as u32
    }
}

pub fn mask(bits: u32) -> u32 {
    (1u32 << bits) - 1
}

impl Mini {
    /// 2^(smallest normal exponent).
    #[inline(always)]
    pub fn least_normal(self) -> f32 {
        f32::from_bits(((127 + 1 - self.bias) as u32) << 23)
    }

    /// Nearest value, ties to even, saturating. In units of the last place of |x|'s binade (or the subnormals') `round` is exact.
    #[inline(always)]
    pub fn round(self, x: f32) -> f32 {
        let x = if x < -self.max { -self.max } else if self.max < x { self.max } else { x };
        let magnitude = if x.abs() < self.least_normal() { self.least_normal() } else { x.abs() };
        let binade = magnitude.to_bits() & 0x7f80_0000;
        let magic = f32::from_bits(binade + ((23 - self.man) << 23)) * 1.5;
        // Keeps the sign of what rounds to zero.
        f32::from_bits(((x + magic) - magic).to_bits() & 0x7fff_ffff | x.to_bits() & 0x8000_0000)
    }

    /// Bits of a value of the format.
    #[inline(always)]
    pub fn encode(self, value: f32) -> u32 {
        let bits = value.to_bits();
        let magnitude = bits & 0x7fff_ffff;
        let normal = (magnitude >> (23 - self.man)).wrapping_sub(((127 - self.bias) as u32) << self.man);
        let subnormal = (f32::from_bits(magnitude) * f32::from_bits(((126 + self.bias + self.man as i32) as u32) << 23)) as i32 as u32;
        let code = if f32::from_bits(magnitude) < self.least_normal() { subnormal } else { normal };
        (bits >> 31) << (self.bits - 1) | code
    }

    /// The value of the low `bits` bits of `code`. NaN and infinity codes (e4m3 7f, e5m2 7c and above) keep their meaning.
    pub fn decode(self, code: u32) -> f32 {
        let sign = if code >> (self.bits - 1) & 1 == 1 { -1.0 } else { 1.0 };
        let magnitude = code & mask(self.bits - 1);
        let (exp, man) = (magnitude >> self.man, magnitude & mask(self.man));
        if self == E4M3 && magnitude == 0x7f || self == E5M2 && magnitude > 0x7c {
            return f32::NAN;
        }
        if self == E5M2 && magnitude == 0x7c {
            return sign * f32::INFINITY;
        }
        let unit = self.least_normal() / (1 << self.man) as f32;
        sign * if exp == 0 { man as f32 * unit } else { ((1 << self.man) + man) as f32 * unit * (1u64 << (exp - 1)) as f32 }
    }
}

impl Grid for Mini {
    #[inline(always)]
    fn snap(self, x: F8) -> F8 {
        x.map(|v| self.round(v))
    }
    #[inline(always)]
    fn code(self, value: f32, _zero: f32) -> u32 {
        self.encode(value)
    }
}

/// The value of an integer code as it is stored: `bits` low bits, sign extended where the format is signed.
pub fn int_value(code: u32, bits: u32, signed: bool) -> f32 {
    let code = code & mask(bits);
    if signed && code >> (bits - 1) == 1 {
        code as f32 - (1u64 << bits) as f32
    } else {
        code as f32
    }
}

/// An integral float32, |x| < 2²², as an integer: its distance from 1.5·2²³ in units of the last place.
#[inline(always)]
pub fn integer(x: f32) -> i32 {
    const MAGIC: f32 = 12_582_912.0;
    (x + MAGIC).to_bits().wrapping_sub(MAGIC.to_bits()) as i32
}

/// Half away from zero for x ≥ 0, as C's roundf.
#[inline(always)]
pub fn round_half_up(x: f32) -> f32 {
    let r = round(x);
    if x - r == 0.5 {
        r + 1.0
    } else {
        r
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nearest(f: Mini, x: f32) -> f32 {
        let codes = 1u32 << (f.bits - 1);
        let values: Vec<(u32, f32)> = (0..codes).map(|c| (c, f.decode(c))).filter(|(_, v)| v.is_finite()).collect();
        let target = x.abs();
        let (mut best, mut gap) = ((0, 0.0), f32::INFINITY);
        for (c, v) in values {
            let d = (v - target).abs();
            if d < gap || d == gap && c % 2 == 0 {
                (best, gap) = ((c, v), d);
            }
        }
        if x < 0.0 { -best.1 } else { best.1 }
    }

    #[test]
    fn every_code_survives_decode_round_encode() {
        for f in [E4M3, E5M2, E2M1] {
            for code in 0..1u32 << f.bits {
                let v = f.decode(code);
                if v.is_finite() {
                    assert_eq!(f.round(v).to_bits(), v.to_bits(), "{f:?} {code:#x}");
                    assert_eq!(f.encode(v), code, "{f:?} {v}");
                }
            }
        }
    }

    #[test]
    fn rounding_is_to_the_nearest_with_ties_to_the_even_code() {
        for f in [E4M3, E5M2, E2M1] {
            for code in 0..(1u32 << (f.bits - 1)) - 1 {
                let (a, b) = (f.decode(code), f.decode(code + 1));
                if !b.is_finite() {
                    continue;
                }
                for t in [0.0f32, 0.25, 0.499, 0.5, 0.501, 0.75] {
                    let x = a + (b - a) * t;
                    assert_eq!(f.round(x), nearest(f, x), "{f:?} {x}");
                    assert_eq!(f.round(-x), -nearest(f, x), "{f:?} {x}");
                }
            }
            assert_eq!(f.round(f.max * 10.0), f.max);
            assert_eq!(f.round(-f32::MAX), -f.max);
            assert_eq!(f.round(f32::MIN_POSITIVE / 4.0), 0.0);
        }
    }

    #[test]
    fn known_values() {
        assert_eq!(E4M3.decode(0x7e), 448.0);
        assert_eq!(E4M3.decode(0x01), 2f32.powi(-9));
        assert_eq!(E5M2.decode(0x7b), 57344.0);
        assert!(E4M3.decode(0xff).is_nan() && E5M2.decode(0x7d).is_nan() && E5M2.decode(0xfc) == f32::NEG_INFINITY);
        assert_eq!((0..8).map(|c| E2M1.decode(c)).collect::<Vec<_>>(), [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]);
        assert_eq!(int_value(0xf, 4, true), -1.0);
        assert_eq!(int_value(0xf, 4, false), 15.0);
    }

    #[test]
    fn half_up_at_ties() {
        for (x, y) in [(0.5, 1.0), (1.5, 2.0), (2.5, 3.0), (2.4999998, 2.0), (0.49999997, 0.0), (14.5, 15.0)] {
            assert_eq!(round_half_up(x), y);
        }
    }
}
