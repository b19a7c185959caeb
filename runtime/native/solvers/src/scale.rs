//! Types of scales: rounding a step onto them, and their bytes.

use crate::format::E4M3;
use half::{bf16, f16};

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ScaleType {
    F32,
    F16,
    Bf16,
    F64,
    /// A power of two, 2^(code − 127).
    E8m0,
    /// e4m3 under one float32 of the tensor.
    Nv { global: f32 },
    /// Whole numbers 1 … 127 under a float of the row: codes of codes (progressive formats).
    Int8,
}

impl ScaleType {
    /// Bytes of one scale.
    pub fn size(self) -> usize {
        match self {
            ScaleType::F32 => 4,
            ScaleType::F16 | ScaleType::Bf16 => 2,
            ScaleType::F64 => 8,
            ScaleType::E8m0 | ScaleType::Nv { .. } | ScaleType::Int8 => 1,
        }
    }

    /// The step that is stored for `step`: never zero, never infinite. A group of zeros gets 1 (or the type's unit).
    pub fn round(self, step: f32) -> f32 {
        let magnitude = step.abs();
        if magnitude == 0.0 || magnitude.is_nan() {
            return if let ScaleType::Nv { global } = self { global } else { 1.0 };
        }
        let rounded = match self {
            ScaleType::F32 | ScaleType::F64 => magnitude.clamp(f32::MIN_POSITIVE, f32::MAX),
            ScaleType::F16 => f16::from_f32(magnitude).to_f32().clamp(f16::MIN_POSITIVE_SUBNORMAL.to_f32(), 65504.0),
            ScaleType::Bf16 => bf16::from_f32(magnitude).to_f32().clamp(f32::MIN_POSITIVE, bf16::MAX.to_f32()),
            ScaleType::E8m0 => return power_of_two(magnitude),
            ScaleType::Int8 => magnitude.round_ties_even().clamp(1.0, 127.0),
            ScaleType::Nv { global } => E4M3.round(magnitude / global).max(E4M3.decode(1)) * global,
        };
        rounded.copysign(step)
    }

    /// Writes a step that `round` gave, little-endian.
    pub fn write(self, step: f32, to: &mut [u8]) {
        match self {
            ScaleType::F32 => to.copy_from_slice(&step.to_le_bytes()),
            ScaleType::F16 => to.copy_from_slice(&f16::from_f32(step).to_le_bytes()),
            ScaleType::Bf16 => to.copy_from_slice(&bf16::from_f32(step).to_le_bytes()),
            ScaleType::F64 => to.copy_from_slice(&f64::from(step).to_le_bytes()),
            ScaleType::E8m0 => to[0] = (step.to_bits() >> 23) as u8,
            ScaleType::Nv { global } => to[0] = E4M3.encode(E4M3.round(step / global)) as u8,
            ScaleType::Int8 => to[0] = step as i8 as u8,
        }
    }

    pub fn read(self, from: &[u8]) -> f32 {
        match self {
            ScaleType::F32 => f32::from_le_bytes([from[0], from[1], from[2], from[3]]),
            ScaleType::F16 => f16::from_le_bytes([from[0], from[1]]).to_f32(),
            ScaleType::Bf16 => bf16::from_le_bytes([from[0], from[1]]).to_f32(),
            ScaleType::F64 => f64::from_le_bytes(from[..8].try_into().expect("eight bytes")) as f32,
            ScaleType::E8m0 => e8m0(from[0]),
            ScaleType::Nv { global } => E4M3.decode(u32::from(from[0])) * global,
            ScaleType::Int8 => f32::from(from[0] as i8),
        }
    }
}

/// 2^(code − 127).
pub fn e8m0(code: u8) -> f32 {
    if code == 0 {
        f32::from_bits(1 << 22)
    } else {
        f32::from_bits(u32::from(code) << 23)
    }
}

/// The least normal power of two that is not below `x`, at most 2^127.
fn power_of_two(x: f32) -> f32 {
    let bits = x.max(f32::MIN_POSITIVE).to_bits();
    let up = (bits + 0x007f_ffff) & 0x7f80_0000;
    f32::from_bits(up.min(254 << 23))
}

/// The OCP MX rule: 2^(⌊log2 absmax⌋ − emax). Values above the largest of the format saturate.
/// Source: OCP Microscaling Formats v1.0, §6.3.
pub fn mx_step(absmax: f32, emax: i32) -> f32 {
    let exponent = (absmax.to_bits() >> 23) as i32 - emax;
    if absmax == 0.0 {
        0.0
    } else {
        f32::from_bits((exponent.clamp(1, 254) as u32) << 23)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_type_stores_zero_or_infinity() {
        for t in [ScaleType::F32, ScaleType::F16, ScaleType::Bf16, ScaleType::F64, ScaleType::E8m0, ScaleType::Nv { global: 0.01 }, ScaleType::Int8] {
            for step in [0.0, 1e-45, 1e-38, 6e-8, 1e-3, 0.3, 7.0, 65519.9, 1e30, f32::MAX] {
                let s = t.round(step);
                assert!(s != 0.0 && s.is_finite(), "{t:?} {step}");
                let mut bytes = vec![0; t.size()];
                t.write(s, &mut bytes);
                assert_eq!(t.read(&bytes), s, "{t:?} {step}");
            }
        }
    }

    #[test]
    fn a_negative_step_keeps_its_sign() {
        assert_eq!(ScaleType::F16.round(-0.1), -f16::from_f32(0.1).to_f32());
        assert_eq!(ScaleType::E8m0.round(-0.1), 0.125);
    }

    #[test]
    fn powers_of_two() {
        assert_eq!(power_of_two(0.75), 1.0);
        assert_eq!(power_of_two(1.0), 1.0);
        assert_eq!(mx_step(7.9, 2), 1.0);
        assert_eq!(mx_step(8.0, 2), 2.0);
        assert_eq!(e8m0(127), 1.0);
        assert_eq!(e8m0(0), 2f32.powi(-127));
    }
}
