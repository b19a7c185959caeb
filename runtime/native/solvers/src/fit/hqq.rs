//! Half-quadratic quantization, with the step refitted and the zero point an integer code:
//! min over s, z of ‖W − Ŵ‖_p^p (p < 1) by splitting off a sparse error W_e,
//!   W_e ← shrink(W − Ŵ, β),  s ← ⟨W − W_e, q − z⟩ / ‖q − z‖²,  β ← κβ,
//! from a few ranges and the zero points next to each. HQQ refits z to make the mean error zero; rounded to a code it
//! cannot, so candidates are compared by ‖W − Ŵ‖² with the mean error counted `MEAN` times more.
//! Source: Badri & Shaji, Half-Quadratic Quantization of Large Machine Learning Models, 2023, §2.

use super::minmax::{extent, from_extent, span_step};
use super::{power, Fitted, Law, Target, Unit};
use crate::format::{Format, Int};
use crate::isa::Isa;
use crate::lanes::F8;

/// Shares of the whole range that are tried.
const RANGES: [f32; 4] = [1.0, 0.92, 0.84, 0.76];
/// Weight of n·mean(error)² beside Σ error². Measured on minilm at 4 bits, group 32: 0, 2, 4 give mean cosines .9785, .9790, .9791.
const MEAN: f64 = 2.0;

pub fn fit(isa: Isa, target: &Target, unit: &Unit) -> Fitted {
    let Law::Hqq { p, beta, kappa, iterations } = target.law else { unreachable!("fit() chose the law") };
    let e = extent(isa, unit.tile, unit.joint);
    let start = from_extent(target, e);
    let Format::Int(f) = target.format else { return start };
    let (lo, hi) = (F8::splat(f.lo), F8::splat(f.hi));
    let count = if unit.joint { 8 * unit.tile.len() } else { unit.tile.len() } as f64;
    let largest = e.absmax().0.iter().fold(0.0f32, |a, &b| a.max(b));
    let mut best = (start, [f64::INFINITY; 8]);
    for share in RANGES {
        let first = e.min.zip(e.max, |min, max| target.scale.round(span_step(min * share, max * share, f.hi - f.lo)));
        let middle = (lo + hi) * F8::splat(0.5) - (e.min * F8::splat(0.5) + e.max * F8::splat(0.5)) / first;
        for shift in [-1.0, 0.0, 1.0] {
            let zero = (middle.max(lo).min(hi).round() + F8::splat(shift)).max(lo).min(hi);
            let (mut step, mut beta) = (first, beta);
            for _ in 0..iterations {
                // Errors below β^(1/(p−2)) shrink to nothing.
                let sparse = power(largest, 2.0 - p) * beta > 1.0;
                let sums = combine(pass(isa, f, unit.tile, step, zero, if sparse { Some((beta, p)) } else { None }), unit.joint);
                let mut next = step;
                for lane in 0..8 {
                    let score = sums.squares[lane] + MEAN * sums.errors[lane] * sums.errors[lane] / count;
                    if score < best.1[lane] {
                        best.1[lane] = score;
                        (best.0.step.0[lane], best.0.zero.0[lane]) = (step.0[lane], zero.0[lane]);
                    }
                    let refit = (sums.product[lane] / sums.codes[lane]) as f32;
                    if refit > 0.0 && refit.is_finite() {
                        next.0[lane] = target.scale.round(refit);
                    }
                }
                if next == step {
                    break;
                }
                step = next;
                beta *= kappa;
            }
        }
    }
    best.0
}

/// Sums over a group: error², error, (w − w_e)·(q − z), (q − z)².
struct Sums {
    squares: [f64; 8],
    errors: [f64; 8],
    product: [f64; 8],
    codes: [f64; 8],
}

fn combine(sums: Sums, joint: bool) -> Sums {
    if !joint {
        return sums;
    }
    let all = |lanes: [f64; 8]| [lanes.iter().sum(); 8];
    Sums { squares: all(sums.squares), errors: all(sums.errors), product: all(sums.product), codes: all(sums.codes) }
}

/// Float32 sums are folded into float64 ones after this many columns.
const CHUNK: usize = 256;

per_isa! {
    fn pass(f: Int, tile: &[F8], step: F8, zero: F8, sparse: Option<(f32, f32)>) -> Sums {
        let (lo, hi) = (F8::splat(f.lo) - zero, F8::splat(f.hi) - zero);
        let inverse = F8::splat(1.0) / step;
        let mut total = Sums { squares: [0.0; 8], errors: [0.0; 8], product: [0.0; 8], codes: [0.0; 8] };
        for chunk in tile.chunks(CHUNK) {
            let (mut squares, mut errors) = (F8::splat(0.0), F8::splat(0.0));
            let (mut product, mut codes) = (F8::splat(0.0), F8::splat(0.0));
            for &x in chunk {
                let q = (x * inverse).max(lo).min(hi).round();
                let error = x - q * step;
                let kept = match sparse {
                    Some((beta, p)) => x - error.map(|e| shrink(e, beta, p)),
                    None => x,
                };
                squares = squares + error * error;
                errors = errors + error;
                product = product + kept * q;
                codes = codes + q * q;
            }
            for lane in 0..8 {
                total.squares[lane] += f64::from(squares.0[lane]);
                total.errors[lane] += f64::from(errors.0[lane]);
                total.product[lane] += f64::from(product.0[lane]);
                total.codes[lane] += f64::from(codes.0[lane]);
            }
        }
        total
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::mse::error;
    use crate::scale::ScaleType;

    #[test]
    fn not_worse_than_minmax_and_zero_is_a_code() {
        let uint4 = Int { bits: 4, signed: false, lo: 0.0, hi: 15.0 };
        let law = Law::Hqq { p: 0.7, beta: 10.0, kappa: 1.01, iterations: 20 };
        let target = Target { format: Format::Int(uint4), symmetric: false, law, scale: ScaleType::F16 };
        let tile: Vec<F8> = (0..64).map(|k| F8(std::array::from_fn(|n| ((k * 37 + n * 11) % 101) as f32 / 90.0 - 0.4 + if k == 5 { n as f32 } else { 0.0 }))).collect();
        let unit = Unit { tile: &tile, importance: None, joint: false, count: 64 };
        let fitted = fit(Isa::detect(), &target, &unit);
        let plain = from_extent(&target, extent(Isa::Scalar, &tile, false));
        let (a, b) = (error(Isa::Scalar, &target, &unit, fitted, 2.0), error(Isa::Scalar, &target, &unit, plain, 2.0));
        for lane in 0..8 {
            // The mean error counts too, so the squared error alone may be a little larger.
            assert!(a[lane] <= b[lane] * 1.01, "{a:?} {b:?}");
            assert!(fitted.zero.0[lane].fract() == 0.0 && (0.0..=15.0).contains(&fitted.zero.0[lane]));
        }
        assert!(a.iter().sum::<f64>() < 0.98 * b.iter().sum::<f64>());
    }

    #[test]
    fn shrinkage_leaves_small_errors_out() {
        assert_eq!(shrink(0.1, 10.0, 0.7), 0.0);
        assert!((shrink(-1.0, 10.0, 0.7) + 0.9).abs() < 1e-5);
    }
}
