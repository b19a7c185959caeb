//! H = RᵀR in float64 with one fixed order of sums, so that every machine gets the same bits. (Libraries choose kernels, and with
//! them the order and fused multiply-adds, by the machine.)

use crate::isa::Isa;
use crate::products::{Panels, Strip, STRIP};
use crate::split::{Shared, Split};

/// Rows of a block; columns of a task within its rows.
const BLOCK: usize = 128;
const COLUMNS: usize = 128;

/// Replaces the upper triangle of row-major `a` [n, n] by R; the lower one is lost. False: `a` is not positive definite.
pub fn cholesky(isa: Isa, split: &dyn Split, a: &mut [f64], n: usize) -> bool {
    for k0 in (0..n).step_by(BLOCK) {
        let k1 = (k0 + BLOCK).min(n);
        let (head, tail) = a.split_at_mut(k1 * n);
        let block = &mut head[k0 * n..];
        let Some(corner) = corner(isa, block, k0, n) else {
            return false;
        };
        {
            let shared = Shared::new(block);
            split.run((n - k1).div_ceil(COLUMNS), &|s| {
                let first = k1 + s * COLUMNS;
                let width = COLUMNS.min(n - first);
                // SAFETY: each task owns its columns of the rows of the block.
                let mut rows: Vec<&mut [f64]> = (0..k1 - k0).map(|k| unsafe { shared.at(k * n + first, width) }).collect();
                eliminate(isa, &corner, &mut rows);
            });
        }
        let block = &*block;
        let panels = Panels::new(split, block, n, k1);
        let rest = Shared::new(tail);
        split.run((n - k1).div_ceil(STRIP), &|s| {
            let first = k1 + s * STRIP;
            let height = STRIP.min(n - first);
            // SAFETY: each task owns rows first … first + height.
            let rows = unsafe { rest.at((first - k1) * n, height * n) };
            Strip { rows, n, from: k1, panel: s * STRIP / 16 }.add(isa, |k, i| -block[k * n + first + i], &panels, false);
        });
    }
    true
}

per_isa! {
    /// Factors the diagonal block of `block` [rows, n] at column k0 in place; gives it as [rows, rows].
    fn corner(block: &mut [f64], k0: usize, n: usize) -> Option<Vec<f64>> {
        let rows = block.len() / n;
        let mut r: Vec<f64> = block.chunks_exact(n).flat_map(|row| &row[k0..k0 + rows]).copied().collect();
        for k in 0..rows {
            let (above, below) = r.split_at_mut((k + 1) * rows);
            let row = &mut above[k * rows..];
            let pivot = row[k];
            if !(pivot > 0.0 && pivot.is_finite()) {
                return None;
            }
            let root = pivot.sqrt();
            for x in &mut row[k..] {
                *x /= root;
            }
            for (i, other) in below.chunks_exact_mut(rows).enumerate() {
                let first = k + 1 + i;
                let factor = row[first];
                for (x, &r) in other[first..].iter_mut().zip(&row[first..]) {
                    *x -= factor * r;
                }
            }
        }
        for (row, r) in block.chunks_exact_mut(n).zip(r.chunks_exact(rows)) {
            row[k0..k0 + rows].copy_from_slice(r);
        }
        Some(r)
    }
}

per_isa! {
    /// Solves cornerᵀ·X = rows in place, for columns to the right of the corner.
    fn eliminate(corner: &[f64], rows: &mut [&mut [f64]]) {
        let n = rows.len();
        for k in 0..n {
            let (above, below) = rows.split_at_mut(k + 1);
            let row = &mut *above[k];
            let root = corner[k * n + k];
            for x in row.iter_mut() {
                *x /= root;
            }
            for (i, other) in below.iter_mut().enumerate() {
                let factor = corner[k * n + k + 1 + i];
                for (x, &r) in other.iter_mut().zip(&*row) {
                    *x -= factor * r;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::Sequential;

    #[test]
    fn the_product_of_the_factor_is_the_matrix() {
        for n in [1usize, 3, 64, 65, 150, 300] {
            let x: Vec<f64> = (0..2 * n * n).map(|i| ((i * 7919 + i * i * 31) % 1009) as f64 / 500.0 - 1.0).collect();
            let h: Vec<f64> = (0..n * n).map(|at| (0..2 * n).map(|r| x[r * n + at / n] * x[r * n + at % n]).sum::<f64>() + f64::from(u8::from(at / n == at % n))).collect();
            let mut a = h.clone();
            assert!(cholesky(Isa::detect(), &Sequential, &mut a, n));
            let mut b = h.clone();
            assert!(cholesky(Isa::Scalar, &Sequential, &mut b, n));
            for isa in ["avx2", "avx512"].into_iter().filter_map(Isa::named) {
                let mut c = h.clone();
                assert!(cholesky(isa, &Sequential, &mut c, n));
                assert!((0..n * n).all(|at| at / n > at % n || b[at].to_bits() == c[at].to_bits()), "{n} {}", isa.name());
            }
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
