//! Gram and Schmidt, twice: orthonormal rows that span what was given.

use super::lines::{dot, subtract};
use crate::isa::Isa;

/// Rows [count, n], count ≤ n, in place. A row that depends on those before it becomes a unit vector that does not.
pub fn orthonormal(isa: Isa, rows: &mut [f64], n: usize) {
    for r in 0..rows.len() / n {
        let (before, rest) = rows.split_at_mut(r * n);
        let row = &mut rest[..n];
        let given = dot(isa, row, row).sqrt();
        for unit in 0.. {
            for _ in 0..2 {
                for other in before.chunks_exact(n) {
                    let f = dot(isa, row, other);
                    subtract(isa, row, f, other);
                }
            }
            let norm = dot(isa, row, row).sqrt();
            if norm > 0.0 && norm > 1e-12 * if unit == 0 { given } else { 1.0 } {
                row.iter_mut().for_each(|x| *x /= norm);
                break;
            }
            // After n unit vectors only NaN is left.
            if unit >= n {
                break;
            }
            row.fill(0.0);
            row[(r + unit) % n] = 1.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_orthonormal_where_they_were_dependent_too() {
        let n = 5;
        let mut rows = vec![0.0; 4 * n];
        for (i, x) in rows.iter_mut().enumerate() {
            *x = ((i * 7919) % 101) as f64 - 50.0;
        }
        let (head, tail) = rows.split_at_mut(n);
        tail[..n].copy_from_slice(head);
        tail[n..2 * n].fill(0.0);
        orthonormal(Isa::detect(), &mut rows, n);
        for r in 0..4 {
            for s in 0..4 {
                let dot: f64 = (0..n).map(|i| rows[r * n + i] * rows[s * n + i]).sum();
                assert!((dot - f64::from(u8::from(r == s))).abs() < 1e-14);
            }
        }
    }
}
