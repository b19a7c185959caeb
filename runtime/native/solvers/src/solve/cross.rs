//! Second moments of layer inputs for solvers: sums of float32 over a few rows, float64 over all. Half the time of float64 throughout,
//! and an error near 1e-6 of the diagonal, where the damping of a solver is 1e-2.

use crate::isa::Isa;
use crate::split::{Shared, Split};

/// Rows that are summed in float32; columns of X and Y of a kernel; columns of X of a task.
const DEPTH: usize = 128;
const LEFT: usize = 4;
const RIGHT: usize = 16;
const STRIP: usize = 16;

/// C += XᵀY with X, Y float32 [rows, n] and C float64 [n, n]; without Y, C += XᵀX. Rows in order.
pub fn cross(isa: Isa, split: &dyn Split, c: &mut [f64], x: &[f32], y: Option<&[f32]>, n: usize) {
    {
        let shared = Shared::new(c);
        split.run(n.div_ceil(STRIP), &|s| {
            let first = s * STRIP;
            let rows = STRIP.min(n - first);
            // SAFETY: each task owns rows first … first + rows of C.
            let strip = unsafe { shared.at(first * n, rows * n) };
            add_products(isa, strip, first, if y.is_some() { 0 } else { first }, x, y.unwrap_or(x), n);
        });
    }
    if y.is_none() {
        for i in 0..n {
            for j in 0..i {
                c[i * n + j] = c[j * n + i];
            }
        }
    }
}

per_isa! {
    /// strip[i, j] += Σ_r x[r, first + i]·y[r, j] for j from `from` on.
    fn add_products(strip: &mut [f64], first: usize, from: usize, x: &[f32], y: &[f32], n: usize) {
        let height = strip.len() / n;
        let mut left = [[[0.0f32; LEFT]; DEPTH]; STRIP / LEFT];
        let mut right = [[0.0f32; RIGHT]; DEPTH];
        for (x, y) in x.chunks(DEPTH * n).zip(y.chunks(DEPTH * n)) {
            let depth = x.len() / n;
            for (r, row) in x.chunks_exact(n).enumerate() {
                for i in 0..height {
                    left[i / LEFT][r][i % LEFT] = row[first + i];
                }
            }
            for j in (from..n).step_by(RIGHT) {
                let width = RIGHT.min(n - j);
                for (to, row) in right.iter_mut().zip(y.chunks_exact(n)) {
                    to[..width].copy_from_slice(&row[j..j + width]);
                }
                for (group, left) in left.iter().enumerate().take(height.div_ceil(LEFT)) {
                    let mut sum = [[0.0f32; RIGHT]; LEFT];
                    for (a, b) in left[..depth].iter().zip(&right[..depth]) {
                        for r in 0..LEFT {
                            for c in 0..RIGHT {
                                sum[r][c] += a[r] * b[c];
                            }
                        }
                    }
                    for (r, sum) in sum.iter().enumerate().take(LEFT.min(height - group * LEFT)) {
                        let at = (group * LEFT + r) * n + j;
                        for (to, &s) in strip[at..at + width].iter_mut().zip(sum) {
                            *to += f64::from(s);
                        }
                    }
                }
            }
        }
    }
}
