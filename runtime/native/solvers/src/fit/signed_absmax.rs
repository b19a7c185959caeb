//! onnxruntime's MatMulNBits law. Symmetric: s = w[argmax |w|] / lo, so the extreme value falls on lo with its sign.
//! Asymmetric: s = (max − min) / (hi − lo), z = lo + roundf(−min / s).
//! Source: onnxruntime/core/mlas/lib/q4_dq.cpp, range2scale and range2scalezp.

use super::minmax::{span_step, symmetric, Extent};
use super::{Fitted, Target};
use crate::format::{round_half_up, Format, Int};
use crate::lanes::F8;

pub fn from_extent(target: &Target, e: Extent) -> Fitted {
    match target.format {
        Format::Int(f) if !target.symmetric => asymmetric(target, f, e),
        Format::Int(f) => symmetric(target, e.min.zip(e.max, |min, max| extreme(min, max) / lowest(f))),
        f => symmetric(target, e.absmax() / F8::splat(f.top())),
    }
}

/// The value of larger magnitude; the negative one of two equal ones.
pub fn extreme(min: f32, max: f32) -> f32 {
    if max.abs() > min.abs() {
        max
    } else {
        min
    }
}

/// lo of a signed format; a format without negative codes has only hi.
pub fn lowest(f: Int) -> f32 {
    if f.lo < 0.0 {
        f.lo
    } else {
        f.hi
    }
}

fn asymmetric(target: &Target, f: Int, e: Extent) -> Fitted {
    let step = e.min.zip(e.max, |min, max| target.scale.round(span_step(min, max, f.hi - f.lo)));
    let zero = e.min.zip(step, |min, s| f.lo + round_half_up((0.0 - min / s).clamp(0.0, f.hi - f.lo)));
    Fitted { step, zero }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::Law;
    use crate::scale::ScaleType;

    #[test]
    fn the_extreme_falls_on_the_lowest_code() {
        let int4 = Int { bits: 4, signed: true, lo: -8.0, hi: 7.0 };
        let t = Target { format: Format::Int(int4), symmetric: true, law: Law::SignedAbsmax, scale: ScaleType::F32 };
        let f = from_extent(&t, Extent { min: F8::splat(-1.0), max: F8::splat(1.6) });
        assert_eq!(f.step.0[0], -0.2);
        let f = from_extent(&t, Extent { min: F8::splat(-1.6), max: F8::splat(1.0) });
        assert_eq!(f.step.0[0], 0.2);
    }
}
