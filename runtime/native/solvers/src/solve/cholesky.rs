//! H = RᵀR in float64 with one fixed order of sums, so that every machine gets the same bits. (Libraries choose kernels, and with
//! them the order and fused multiply-adds, by the machine.)

use crate::isa::Isa;
use crate::split::{Shared, Split};

/// Rows of a block, of a task, of a kernel; columns of a kernel.
const BLOCK: usize = 64;
const STRIP: usize = 32;
const ROWS: usize = 4;
const COLS: usize = 8;

/// Replaces the upper triangle of row-major `a` [n, n] by R; the lower one is lost. False: `a` is not positive definite.
pub fn cholesky(isa: Isa, split: &dyn Split, a: &mut [f64], n: usize) -> bool {
    for k0 in (0..n).step_by(BLOCK) {
        let k1 = (k0 + BLOCK).min(n);
        let (head, tail) = a.split_at_mut(k1 * n);
        let panel = &mut head[k0 * n..];
        if !panel_rows(isa, panel, k0, n) {
            return false;
        }
        let (panel, rest) = (&*panel, Shared::new(tail));
        split.run((n - k1).div_ceil(STRIP), &|s| {
            let first = k1 + s * STRIP;
            let rows = STRIP.min(n - first);
            // SAFETY: each task owns rows first … first + rows.
            let strip = unsafe { rest.at((first - k1) * n, rows * n) };
            subtract_products(isa, strip, panel, first, n);
        });
    }
    true
}

per_isa! {
    /// Factors rows k0… of `panel`, which hold what is left after the blocks above.
    fn panel_rows(panel: &mut [f64], k0: usize, n: usize) -> bool {
        let rows = panel.len() / n;
        for k in 0..rows {
            let (above, below) = panel.split_at_mut((k + 1) * n);
            let row = &mut above[k * n..];
            let pivot = row[k0 + k];
            if !(pivot > 0.0 && pivot.is_finite()) {
                return false;
            }
            let root = pivot.sqrt();
            for x in &mut row[k0 + k..n] {
                *x /= root;
            }
            for (i, other) in below.chunks_exact_mut(n).enumerate() {
                let first = k0 + k + 1 + i;
                let factor = row[first];
                for (x, &r) in other[first..].iter_mut().zip(&row[first..n]) {
                    *x -= factor * r;
                }
            }
        }
        true
    }
}

per_isa! {
    /// strip[i, j] −= Σ_k R[k, i]·R[k, j] for j from the strip's first column on, k in order.
    fn subtract_products(strip: &mut [f64], panel: &[f64], first: usize, n: usize) {
        let height = strip.len() / n;
        let mut left = [[[0.0f64; ROWS]; BLOCK]; STRIP / ROWS];
        for (k, row) in panel.chunks_exact(n).enumerate() {
            for i in 0..height {
                left[i / ROWS][k][i % ROWS] = row[first + i];
            }
        }
        let mut right = [[0.0f64; COLS]; BLOCK];
        let depth = panel.len() / n;
        let mut j = first;
        while j < n {
            let width = COLS.min(n - j);
            for (to, row) in right.iter_mut().zip(panel.chunks_exact(n)) {
                to[..width].copy_from_slice(&row[j..j + width]);
            }
            for (group, left) in left.iter().enumerate().take(height.div_ceil(ROWS)) {
                let mut sum = [[0.0f64; COLS]; ROWS];
                for (a, b) in left[..depth].iter().zip(&right[..depth]) {
                    for r in 0..ROWS {
                        for c in 0..COLS {
                            sum[r][c] += a[r] * b[c];
                        }
                    }
                }
                for r in 0..ROWS.min(height - group * ROWS) {
                    let at = (group * ROWS + r) * n + j;
                    for c in 0..width {
                        strip[at + c] -= sum[r][c];
                    }
                }
            }
            j += width;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::Sequential;

    #[test]
    fn the_product_of_the_factor_is_the_matrix() {
        for n in [1usize, 3, 64, 65, 150] {
            let x: Vec<f64> = (0..2 * n * n).map(|i| ((i * 7919 + i * i * 31) % 1009) as f64 / 500.0 - 1.0).collect();
            let h: Vec<f64> = (0..n * n).map(|at| (0..2 * n).map(|r| x[r * n + at / n] * x[r * n + at % n]).sum::<f64>() + f64::from(u8::from(at / n == at % n))).collect();
            let mut a = h.clone();
            assert!(cholesky(Isa::detect(), &Sequential, &mut a, n));
            let mut b = h.clone();
            assert!(cholesky(Isa::Scalar, &Sequential, &mut b, n));
            for i in 0..n {
                for j in i..n {
                    assert_eq!(a[i * n + j].to_bits(), b[i * n + j].to_bits());
                    let product = (0..=i).map(|k| a[k * n + i] * a[k * n + j]).sum::<f64>();
                    assert!((product - h[i * n + j]).abs() < 1e-9 * n as f64, "{n} {i} {j}");
                }
            }
        }
    }

    #[test]
    fn an_indefinite_matrix_is_refused() {
        assert!(!cholesky(Isa::detect(), &Sequential, &mut [1.0, 2.0, 2.0, 1.0], 2));
        assert!(!cholesky(Isa::detect(), &Sequential, &mut [f64::NAN], 1));
    }
}
