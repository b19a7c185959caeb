//! Half-quadratic quantization: the zero point is refitted so that the error W − Ŵ is sparse (l_p, p < 1).
//! Alternates W_e ← shrink(W − Ŵ, β), z ← mean(W_q − (W − W_e) / s), β ← κβ; z is then rounded to a code.
//! Source: Badri & Shaji, Half-Quadratic Quantization of Large Machine Learning Models, 2023.

use super::minmax::{extent, from_extent};
use super::{power, Fitted, Law, Target, Unit};
use crate::format::{Format, Int};
use crate::isa::Isa;
use crate::lanes::F8;

pub fn fit(isa: Isa, target: &Target, unit: &Unit) -> Fitted {
    let Law::Hqq { p, beta, kappa, iterations } = target.law else { unreachable!("fit() chose the law") };
    let start = from_extent(target, extent(isa, unit.tile, unit.joint));
    let Format::Int(f) = target.format else { return start };
    if target.symmetric {
        return start;
    }
    let mut zero = start.zero;
    let mut beta = beta;
    for _ in 0..iterations {
        let sums = refit(isa, f, unit.tile, start.step, zero, beta, p);
        let mean = |sum: f64, n: usize| (sum / n as f64) as f32;
        let rows = unit.tile.len();
        zero = if unit.joint {
            F8::splat(mean(sums.iter().sum(), 8 * rows))
        } else {
            let mut z = [0.0; 8];
            for lane in 0..8 {
                z[lane] = mean(sums[lane], rows);
            }
            F8(z)
        };
        beta *= kappa;
    }
    Fitted { step: start.step, zero: zero.max(F8::splat(f.lo)).min(F8::splat(f.hi)).round() }
}

per_isa! {
    fn refit(f: Int, tile: &[F8], step: F8, zero: F8, beta: f32, p: f32) -> [f64; 8] {
        let (lo, hi) = (F8::splat(f.lo), F8::splat(f.hi));
        let mut sums = [0.0f64; 8];
        for &x in tile {
            let code = (x / step + zero).max(lo).min(hi).round();
            let error = x - (code - zero) * step;
            let shrunk = error.map(|e| shrink(e, beta, p));
            let z = code - (x - shrunk) / step;
            for lane in 0..8 {
                sums[lane] += f64::from(z.0[lane]);
            }
        }
        sums
    }
}

/// sign(x)·max(|x| − |x|^(p−1) / β, 0).
#[inline(always)]
fn shrink(x: f32, beta: f32, p: f32) -> f32 {
    let a = x.abs();
    let kept = a - power(a, p - 1.0) / beta;
    if kept > 0.0 {
        kept.copysign(x)
    } else {
        0.0
    }
}
