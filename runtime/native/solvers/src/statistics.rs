//! Statistics of activations, folded batch by batch. Every sum runs over rows in order, whatever the batching.

use crate::isa::Isa;
use crate::products::{add_products, STRIP};
use crate::split::{Shared, Split};

/// H += XᵀX, with X float32 [rows, n] and H float64 [n, n]. Products of float32 are exact in float64.
pub fn gram(isa: Isa, split: &dyn Split, h: &mut [f64], x: &[f32], n: usize) {
    let strips = n.div_ceil(STRIP);
    {
        let shared = Shared::new(h);
        split.run(strips, &|s| {
            let first = s * STRIP;
            let rows = (n - first).min(STRIP);
            // SAFETY: each task owns rows first … first + rows of H.
            let strip = unsafe { shared.at(first * n, rows * n) };
            add_products(isa, strip, first, first, x, x, n);
        });
    }
    for i in 0..n {
        for j in 0..i {
            h[i * n + j] = h[j * n + i];
        }
    }
}

per_isa! {
    /// acc [5, n] (min, max, Σ, Σx², Σ|x|) folded with X [rows, n].
    pub fn moments(acc: &mut [f64], x: &[f32], n: usize) {
        let (min, rest) = acc.split_at_mut(n);
        let (max, rest) = rest.split_at_mut(n);
        let (sum, rest) = rest.split_at_mut(n);
        let (squares, magnitudes) = rest.split_at_mut(n);
        for row in x.chunks_exact(n) {
            for i in 0..n {
                let v = f64::from(row[i]);
                min[i] = if v < min[i] { v } else { min[i] };
                max[i] = if max[i] < v { v } else { max[i] };
                sum[i] += v;
                squares[i] += v * v;
                magnitudes[i] += v.abs();
            }
        }
    }
}

/// Equal bins over [lo, hi].
#[derive(Debug, Clone, Copy)]
pub struct Bins {
    lo: f64,
    per_unit: f64,
    last: f64,
}

impl Bins {
    pub fn new(lo: f64, hi: f64, count: usize) -> Self {
        Bins { lo, per_unit: count as f64 / (hi - lo), last: count as f64 - 1.0 }
    }
}

/// The bin of `x`; values outside fall into the end bins.
#[inline(always)]
pub fn bin_of(bins: &Bins, x: f32) -> usize {
    ((f64::from(x) - bins.lo) * bins.per_unit).max(0.0).min(bins.last) as usize
}

pub fn histogram(counts: &mut [f64], x: &[f32], lo: f64, hi: f64) {
    let bins = Bins::new(lo, hi, counts.len());
    for &v in x {
        counts[bin_of(&bins, v)] += 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::Sequential;

    #[test]
    fn gram_is_the_same_however_batched() {
        let n = 37;
        let x: Vec<f32> = (0..200 * n).map(|i| ((i * 7919 % 1009) as f32 - 500.0) / 77.0).collect();
        let mut whole = vec![0.0; n * n];
        gram(Isa::Scalar, &Sequential, &mut whole, &x, n);
        let mut parts = vec![0.0; n * n];
        for batch in x.chunks(13 * n) {
            gram(Isa::detect(), &Sequential, &mut parts, batch, n);
        }
        assert_eq!(whole, parts);
        for (i, j) in [(0, 0), (3, 30), (36, 5), (20, 20)] {
            let direct = (0..200).fold(0.0, |s, r| s + f64::from(x[r * n + i]) * f64::from(x[r * n + j]));
            assert_eq!(whole[i * n + j], direct);
        }
    }

    #[test]
    fn moments_and_histogram() {
        let x = [1.0f32, -2.0, 3.0, 4.0];
        let mut acc = vec![f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        moments(Isa::detect(), &mut acc, &x, 2);
        assert_eq!(acc, [1.0, -2.0, 3.0, 4.0, 4.0, 2.0, 10.0, 20.0, 4.0, 6.0]);
        let mut counts = [0.0; 4];
        histogram(&mut counts, &[-9.0, 0.0, 0.49, 0.5, 1.99, 2.0, 7.0], 0.0, 2.0);
        assert_eq!(counts, [3.0, 1.0, 0.0, 3.0]);
    }
}
