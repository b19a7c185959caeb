//! The whole range is representable: symmetric s = absmax / hi, asymmetric s = (max − min) / (hi − lo) with 0 in range.

use super::{Fitted, Target};
use crate::format::{Format, Int};
use crate::lanes::F8;
use crate::scale::{mx_step, ScaleType};

/// Extremes of each lane, with 0 in range.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    pub min: F8,
    pub max: F8,
}

impl Extent {
    pub const NONE: Extent = Extent { min: F8([0.0; 8]), max: F8([0.0; 8]) };

    pub fn absmax(self) -> F8 {
        self.max.max(F8::splat(0.0) - self.min)
    }

    pub fn join(self, other: Extent) -> Extent {
        Extent { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    pub fn shrunk(self, ratio: f32) -> Extent {
        Extent { min: self.min * F8::splat(ratio), max: self.max * F8::splat(ratio) }
    }

    /// All lanes as one group.
    pub fn joint(self) -> Extent {
        let min = self.min.0.iter().fold(0.0f32, |a, &b| if b < a { b } else { a });
        let max = self.max.0.iter().fold(0.0f32, |a, &b| if a < b { b } else { a });
        Extent { min: F8::splat(min), max: F8::splat(max) }
    }
}

pub fn extent(isa: crate::isa::Isa, tile: &[F8], joint: bool) -> Extent {
    let lanes = extent_of_lanes(isa, tile);
    if joint {
        lanes.joint()
    } else {
        lanes
    }
}

per_isa! {
    fn extent_of_lanes(tile: &[F8]) -> Extent {
        let mut e = Extent::NONE;
        for &x in tile {
            e = e.join(Extent { min: x, max: x });
        }
        e
    }
}

pub fn from_extent(target: &Target, e: Extent) -> Fitted {
    match target.format {
        Format::Int(f) if !target.symmetric => asymmetric(target, f, e),
        Format::Float(f) if target.scale == ScaleType::E8m0 => symmetric(target, e.absmax().map(|a| mx_step(a, f.emax))),
        f => symmetric(target, e.absmax() / F8::splat(f.top())),
    }
}

pub fn symmetric(target: &Target, step: F8) -> Fitted {
    Fitted { step: step.map(|s| target.scale.round(s)), zero: F8::splat(0.0) }
}

pub fn asymmetric(target: &Target, f: Int, e: Extent) -> Fitted {
    let step = e.min.zip(e.max, |min, max| target.scale.round(span_step(min, max, f.hi - f.lo)));
    Fitted { step, zero: zero_point(f, e.min, step) }
}

/// (max − min) / levels without overflow.
pub fn span_step(min: f32, max: f32, levels: f32) -> f32 {
    let span = max - min;
    if span.is_finite() {
        span / levels
    } else {
        max / levels - min / levels
    }
}

/// The code nearest to lo − min / s.
pub fn zero_point(f: Int, min: F8, step: F8) -> F8 {
    (F8::splat(f.lo) - min / step).max(F8::splat(f.lo)).min(F8::splat(f.hi)).round()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::Law;

    fn target(format: Format, symmetric: bool, scale: ScaleType) -> Target {
        Target { format, symmetric, law: Law::Minmax, scale }
    }
    const INT4: Int = Int { bits: 4, signed: true, lo: -8.0, hi: 7.0 };

    #[test]
    fn symmetric_and_asymmetric() {
        let e = Extent { min: F8::splat(-1.4), max: F8::splat(0.7) };
        assert_eq!(from_extent(&target(Format::Int(INT4), true, ScaleType::F32), e).step.0[0], 1.4 / 7.0);
        let f = from_extent(&target(Format::Int(INT4), false, ScaleType::F32), e);
        assert_eq!(f.step.0[0], (0.7f32 + 1.4) / 15.0);
        assert_eq!(f.zero.0[0], 2.0);
    }

    #[test]
    fn extreme_spans_do_not_overflow() {
        assert!(span_step(-f32::MAX, f32::MAX, 15.0).is_finite());
    }

    #[test]
    fn a_group_of_zeros_has_step_one() {
        for symmetric in [true, false] {
            let f = from_extent(&target(Format::Int(INT4), symmetric, ScaleType::F16), Extent::NONE);
            assert_eq!(f.step.0[0], 1.0);
        }
    }

    #[test]
    fn mx_takes_the_binade_of_the_largest() {
        let e = Extent { min: F8::splat(-7.0), max: F8::splat(1.0) };
        let f = from_extent(&target(Format::Float(crate::format::E2M1), true, ScaleType::E8m0), e);
        assert_eq!(f.step.0[0], 1.0);
    }
}
