//! Statistics of activations, folded batch by batch. Every sum runs over rows in order, whatever the batching.

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
    use crate::isa::Isa;

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
