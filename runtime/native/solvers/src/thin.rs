//! Products of float32 matrices that are summed in float64, one product after the other in the order of the sum: the bits are those of a
//! plain loop, whatever the blocking, the instruction set and the number of threads.

use crate::isa::Isa;
use crate::products::{Panels, Strip, DEPTH, STRIP};
use crate::split::{Shared, Split};

/// Columns that a task of `by_columns` takes.
const BLOCK: usize = 128;

/// Rows of the result, terms of a sum, columns of the result.
#[derive(Clone, Copy)]
pub struct Shape {
    pub rows: usize,
    pub depth: usize,
    pub columns: usize,
}

/// C [rows, columns] = Σ_k left(i, k)·right(k, j) where there are many rows: `each(i, rows from i on)` gets them strip by strip, on any thread.
/// The right side is held in float64.
pub fn by_rows(
    isa: Isa,
    split: &dyn Split,
    Shape { rows, depth, columns }: Shape,
    left: impl Fn(usize, usize) -> f32 + Sync,
    right: impl Fn(usize, usize) -> f32,
    each: impl Fn(usize, &[f64]) + Sync,
) {
    let parts: Vec<(usize, Panels)> = (0..depth)
        .step_by(DEPTH)
        .map(|at| (at, Panels::filled(DEPTH.min(depth - at), columns, |k, j| f64::from(right(at + k, j)))))
        .collect();
    split.run(rows.div_ceil(STRIP), &|task| {
        let first = task * STRIP;
        let mut strip = vec![0.0; STRIP.min(rows - first) * columns];
        for (at, panels) in &parts {
            Strip { rows: &mut strip, n: columns, from: 0, panel: 0 }.add(isa, |k, i| f64::from(left(first + i, at + k)), panels, true);
        }
        each(first, &strip);
    });
}

/// As `by_rows` where there are few rows: columns are spread over the threads. [rows, columns]
pub fn by_columns(
    isa: Isa,
    split: &dyn Split,
    Shape { rows, depth, columns }: Shape,
    left: impl Fn(usize, usize) -> f32 + Sync,
    right: impl Fn(usize, usize) -> f32 + Sync,
) -> Vec<f64> {
    let mut out = vec![0.0; rows * columns];
    let to = Shared::new(&mut out);
    split.run(columns.div_ceil(BLOCK), &|task| {
        let from = task * BLOCK;
        let width = BLOCK.min(columns - from);
        let mut sums = vec![0.0; rows * width];
        for at in (0..depth).step_by(DEPTH) {
            let panels = Panels::filled(DEPTH.min(depth - at), width, |k, j| f64::from(right(at + k, from + j)));
            for (s, strip) in sums.chunks_mut(STRIP * width).enumerate() {
                Strip { rows: strip, n: width, from: 0, panel: 0 }.add(isa, |k, i| f64::from(left(s * STRIP + i, at + k)), &panels, true);
            }
        }
        for (i, row) in sums.chunks_exact(width).enumerate() {
            // SAFETY: each task has its own columns.
            unsafe { to.at(i * columns + from, width) }.copy_from_slice(row);
        }
    });
    out
}

/// x [rows, columns] −= left [rows, rank]·right [rank, columns].
pub fn minus_product(isa: Isa, split: &dyn Split, x: &mut [f64], left: &[f32], right: &[f32], columns: usize) {
    let rows = x.len() / columns;
    let depth = right.len() / columns;
    let to = Shared::new(x);
    by_rows(
        isa,
        split,
        Shape { rows, depth, columns },
        |i, k| left[i * depth + k],
        |k, j| right[k * columns + j],
        |first, strip| {
            // SAFETY: strips are disjoint.
            for (x, p) in unsafe { to.at(first * columns, strip.len()) }.iter_mut().zip(strip) {
                *x -= p;
            }
        },
    );
}

/// ‖A Xᵀ − B Yᵀ‖² for A, B [outputs, n] and rows X, Y [count, n].
pub fn distance(isa: Isa, split: &dyn Split, [a, b]: [&[f32]; 2], [x, y]: [&[f32]; 2], n: usize) -> f64 {
    let (rows, columns) = (a.len() / n, x.len() / n);
    let mut sums = vec![0.0; rows.div_ceil(STRIP)];
    let to = Shared::new(&mut sums);
    by_rows(
        isa,
        split,
        Shape { rows, depth: 2 * n, columns },
        |i, k| if k < n { a[i * n + k] } else { -b[i * n + k - n] },
        |k, j| if k < n { x[j * n + k] } else { y[j * n + k - n] },
        |first, strip| {
            // SAFETY: each strip has its own sum.
            unsafe { to.at(first / STRIP, 1)[0] = strip.iter().map(|d| d * d).sum() };
        },
    );
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::Sequential;

    fn numbers(len: usize, seed: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * seed % 1009) as f32 - 500.0) / 77.0).collect()
    }

    #[test]
    fn sums_run_in_order_on_every_set() {
        let (rows, depth, columns) = (61, 300, 131);
        let (a, b) = (numbers(rows * depth, 7919), numbers(depth * columns, 104_729));
        let direct: Vec<f64> =
            (0..rows * columns).map(|c| (0..depth).fold(0.0, |s, k| s + f64::from(a[c / columns * depth + k]) * f64::from(b[k * columns + c % columns]))).collect();
        for isa in ["scalar", "avx2", "avx512"].into_iter().filter_map(Isa::named) {
            let shape = Shape { rows, depth, columns };
            assert_eq!(by_columns(isa, &Sequential, shape, |i, k| a[i * depth + k], |k, j| b[k * columns + j]), direct);
            let mut x = vec![1.0; rows * columns];
            minus_product(isa, &Sequential, &mut x, &a, &b, columns);
            assert!(x.iter().zip(&direct).all(|(x, p)| *x == 1.0 - p));
        }
    }

    #[test]
    fn the_distance_of_outputs_is_theirs() {
        let (n, outputs, count) = (29, 50, 7);
        let [a, b, x, y] = [1, 2, 3, 4].map(|s| numbers(if s < 3 { outputs * n } else { count * n }, 7919 + s));
        let dot = |p: &[f32], q: &[f32], o: usize, s: usize| (0..n).map(|k| f64::from(p[o * n + k]) * f64::from(q[s * n + k])).sum::<f64>();
        let direct: f64 = (0..outputs * count).map(|c| (dot(&a, &x, c / count, c % count) - dot(&b, &y, c / count, c % count)).powi(2)).sum();
        let found = distance(Isa::detect(), &Sequential, [&a, &b], [&x, &y], n);
        assert!((found - direct).abs() < 1e-9 * direct, "{found} {direct}");
    }
}
