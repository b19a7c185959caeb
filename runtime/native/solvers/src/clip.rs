//! The best clip of a histogram, for activations and for the entropy law of weights.

use crate::fit::{power, Law};
use crate::format::{Format, Grid, IntGrid};
use crate::lanes::F8;

/// Candidate ranges of the entropy search.
const CANDIDATES: usize = 100;

/// Codes that a format has.
pub fn levels(format: Format) -> usize {
    match format {
        Format::Int(f) => (f.hi - f.lo) as usize + 1,
        Format::Float(f) => (1 << f.bits) - 1,
    }
}

/// The range to represent: `counts` are equal bins over [lo, hi]. Symmetric ranges come back as (−a, a).
pub fn clip(counts: &[f64], lo: f64, hi: f64, format: Format, symmetric: bool, law: Law) -> (f64, f64) {
    let total: f64 = counts.iter().sum();
    let whole = if symmetric { (-hi.max(-lo), hi.max(-lo)) } else { (lo.min(0.0), hi.max(0.0)) };
    if total <= 0.0 || !(lo < hi) {
        return whole;
    }
    match law {
        Law::Share { ratio } => (whole.0 * f64::from(ratio), whole.1 * f64::from(ratio)),
        Law::Percentile { p } if symmetric => {
            let a = quantile(&folded(counts, lo, hi), 0.0, whole.1, p / 100.0);
            (-a, a)
        }
        Law::Percentile { p } => {
            let low = quantile(counts, lo, hi, (100.0 - p) / 200.0);
            let high = quantile(counts, lo, hi, (100.0 + p) / 200.0);
            (low.min(0.0), high.max(0.0))
        }
        Law::Entropy { .. } if symmetric => {
            let fold = folded(counts, lo, hi);
            let mirrored: Vec<f64> = fold.iter().rev().chain(&fold).map(|c| c / 2.0).collect();
            entropy_clip(&mirrored, whole.0, whole.1, levels(format))
        }
        Law::Entropy { .. } => entropy_clip(counts, lo, hi, levels(format)),
        Law::Mse { steps, shrink, p, .. } => mse_clip(counts, lo, hi, format, symmetric, whole, steps, shrink, p),
        _ => whole,
    }
}

/// Histogram of |x| over [0, max(−lo, hi)], with as many bins; a bin goes where its centre falls.
fn folded(counts: &[f64], lo: f64, hi: f64) -> Vec<f64> {
    let top = hi.max(-lo);
    let n = counts.len();
    let width = (hi - lo) / n as f64;
    let mut out = vec![0.0; n];
    for (i, c) in counts.iter().enumerate() {
        let centre = (lo + (i as f64 + 0.5) * width).abs();
        out[((centre / top * n as f64) as usize).min(n - 1)] += c;
    }
    out
}

/// Where the cumulated share reaches `q`, linear within the bin.
fn quantile(counts: &[f64], lo: f64, hi: f64, q: f64) -> f64 {
    let total: f64 = counts.iter().sum();
    let width = (hi - lo) / counts.len() as f64;
    let mut below = 0.0;
    for (i, &c) in counts.iter().enumerate() {
        if c > 0.0 && below + c >= q * total {
            let inside = ((q * total - below) / c).clamp(0.0, 1.0);
            return lo + (i as f64 + inside) * width;
        }
        below += c;
    }
    hi
}

/// The scaled-down range [lo·a, hi·a] whose histogram P (outliers in its end bins) is nearest to its quantization Q
/// to `levels` levels, in KL(P ‖ Q); with a level for every bin nothing is to be gained. Source: Migacz, 8-bit Inference with TensorRT, GTC 2017.
pub fn entropy_clip(counts: &[f64], lo: f64, hi: f64, levels: usize) -> (f64, f64) {
    let n = counts.len();
    if levels >= n {
        return (lo.min(0.0), hi.max(0.0));
    }
    let zero = ((-lo / (hi - lo)) * n as f64).clamp(0.0, n as f64);
    let sums = Cumulated::new(counts);
    let mut best = (f64::INFINITY, lo, hi);
    let width = (hi - lo) / n as f64;
    for i in 0..CANDIDATES {
        let a = 1.0 - i as f64 / CANDIDATES as f64;
        let first = (zero - zero * a).round() as usize;
        let end = (zero + (n as f64 - zero) * a).round() as usize;
        if end <= first + levels {
            break;
        }
        let divergence = sums.divergence(counts, first, end, levels);
        if divergence < best.0 {
            best = (divergence, lo + first as f64 * width, lo + end as f64 * width);
        }
    }
    (best.1.min(0.0), best.2.max(0.0))
}

/// Prefix sums over bins, so that a candidate costs one logarithm a level, not one a bin.
struct Cumulated {
    mass: Vec<f64>,
    present: Vec<f64>,
    /// Σ c·ln c.
    logs: Vec<f64>,
}

impl Cumulated {
    fn new(counts: &[f64]) -> Self {
        let prefix = |f: fn(f64) -> f64| {
            let mut sum = 0.0;
            std::iter::once(0.0)
                .chain(counts.iter().map(|&c| {
                    sum += if c > 0.0 { f(c) } else { 0.0 };
                    sum
                }))
                .collect()
        };
        Cumulated { mass: prefix(|c| c), present: prefix(|_| 1.0), logs: prefix(|c| c * ln(c)) }
    }

    /// KL(P ‖ Q) = (Σ p ln p − Σ p ln q) / T − ln T, where q is one number for the bins of a level that are not empty.
    fn divergence(&self, counts: &[f64], first: usize, end: usize, levels: usize) -> f64 {
        let total = self.mass[counts.len()];
        let kept = self.mass[end] - self.mass[first];
        if kept <= 0.0 {
            return f64::INFINITY;
        }
        let outside = [(first, self.mass[first]), (end - 1, total - self.mass[end])];
        let n = end - first;
        let mut cross = 0.0;
        let mut entropy = self.logs[end] - self.logs[first];
        for level in 0..levels {
            let (a, b) = (first + level * n / levels, first + (level + 1) * n / levels);
            let mass = self.mass[b] - self.mass[a];
            let log = if mass > 0.0 { ln(mass / ((self.present[b] - self.present[a]) * kept)) } else { 0.0 };
            cross += mass * log;
            for (bin, extra) in outside {
                if extra > 0.0 && (a..b).contains(&bin) {
                    // Outliers clipped into an empty bin have no level: a small mass keeps the sum finite.
                    cross += extra * if counts[bin] > 0.0 { log } else { ln(1e-12) };
                    let before = if counts[bin] > 0.0 { counts[bin] * ln(counts[bin]) } else { 0.0 };
                    entropy += (counts[bin] + extra) * ln(counts[bin] + extra) - before;
                }
            }
        }
        (entropy - cross) / total - ln(total)
    }
}

/// Natural logarithm of a normal x > 0 by the atanh series, the same on every machine.
fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let shifted = bits.wrapping_sub(0x3fe6_a09e_667f_3bcd) as i64;
    let exponent = shifted >> 52;
    let m = f64::from_bits(bits.wrapping_sub((exponent << 52) as u64));
    let t = (m - 1.0) / (m + 1.0);
    let u = t * t;
    let mut sum = 0.0;
    for k in (0..12).rev() {
        sum = sum * u + 1.0 / (2 * k + 1) as f64;
    }
    exponent as f64 * std::f64::consts::LN_2 + 2.0 * t * sum
}

#[allow(clippy::too_many_arguments)]
fn mse_clip(counts: &[f64], lo: f64, hi: f64, format: Format, symmetric: bool, whole: (f64, f64), steps: usize, shrink: f32, p: f32) -> (f64, f64) {
    let width = (hi - lo) / counts.len() as f64;
    let mut best = (f64::INFINITY, whole);
    for i in 0..steps {
        let a = f64::from(1.0 - i as f32 * (1.0 - shrink) / steps as f32);
        let (low, high) = (whole.0 * a, whole.1 * a);
        let mut error = 0.0;
        for (b, eight) in counts.chunks(8).enumerate() {
            let mut centre = F8::splat(0.0);
            for (lane, c) in centre.0.iter_mut().enumerate() {
                *c = (lo + ((8 * b + lane) as f64 + 0.5) * width) as f32;
            }
            let d = centre - nearest(centre, low as f32, high as f32, format, symmetric);
            for (lane, &count) in eight.iter().enumerate() {
                if count > 0.0 {
                    error += count * f64::from(power(d.0[lane].abs(), p));
                }
            }
        }
        if error < best.0 {
            best = (error, (low, high));
        }
    }
    best.1
}

/// x on the values of `format` over [low, high].
fn nearest(x: F8, low: f32, high: f32, format: Format, symmetric: bool) -> F8 {
    match format {
        Format::Float(f) => {
            let step = F8::splat(high.max(-low) / f.max);
            f.snap(x / step) * step
        }
        Format::Int(f) if symmetric => {
            let step = F8::splat(high / f.hi.max(1.0));
            IntGrid::new(f, F8::splat(0.0)).snap(x / step) * step
        }
        Format::Int(f) => {
            let step = F8::splat((high - low) / (f.hi - f.lo));
            let zero = (F8::splat(f.lo) - F8::splat(low) / step).round();
            IntGrid::new(f, zero).snap(x / step) * step
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Int;

    const INT8: Format = Format::Int(Int { bits: 8, signed: true, lo: -128.0, hi: 127.0 });

    fn bell(n: usize, sigma: f64) -> Vec<f64> {
        (0..n).map(|i| {
            let x = (i as f64 + 0.5) / n as f64 * 2.0 - 1.0;
            (1e6 * (-x * x / (2.0 * sigma * sigma)).exp()).round()
        }).collect()
    }

    #[test]
    fn logarithm() {
        for x in [1e-12, 0.3, 0.999, 1.0, 1.5, 7.0, 1e9] {
            assert!((ln(x) - x.ln()).abs() < 1e-13 * x.ln().abs().max(1.0));
        }
    }

    #[test]
    fn percentile_of_a_uniform_histogram() {
        let counts = vec![1.0; 1000];
        let (lo, hi) = clip(&counts, -1.0, 1.0, INT8, true, Law::Percentile { p: 90.0 });
        assert!((hi - 0.9).abs() < 1e-9 && lo == -hi);
        let (lo, hi) = clip(&counts, -1.0, 3.0, INT8, false, Law::Percentile { p: 90.0 });
        assert!((lo + 0.8).abs() < 1e-9 && (hi - 2.8).abs() < 1e-9);
    }

    #[test]
    fn a_lonely_outlier_is_clipped_by_mse_and_entropy() {
        let mut counts = bell(2048, 0.02);
        counts[2047] = 1.0;
        for law in [Law::Mse { steps: 80, shrink: 0.02, p: 2.0, signed: false }, Law::Entropy { bins: 2048 }] {
            let (lo, hi) = clip(&counts, -1.0, 1.0, INT8, true, law);
            assert!(hi < 0.8 && hi > 0.04 && (lo + hi).abs() < 1e-9, "{law:?} {lo} {hi}");
        }
    }

    #[test]
    fn an_empty_histogram_keeps_its_range() {
        assert_eq!(clip(&[0.0; 16], -1.0, 2.0, INT8, false, Law::Entropy { bins: 16 }), (-1.0, 2.0));
        assert_eq!(clip(&[0.0; 16], 1.0, 2.0, INT8, false, Law::Minmax), (0.0, 2.0));
    }
}
