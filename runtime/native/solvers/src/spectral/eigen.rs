//! Eigenvalues and eigenvectors of symmetric matrices: Householder's reduction to tridiagonal form, then QL with implicit shifts.
//! Source: Bowdler, Martin, Reinsch, Wilkinson, The QR and QL algorithms for symmetric matrices, Numerische Mathematik 11, 1968.

use super::lines::turn;
use super::tridiagonal::{tridiagonal, Tridiagonal};
use crate::fault::{Fault, Outcome};
use crate::isa::Isa;
use crate::split::{Shared, Split};

/// Columns that go through the rotations together: what they hold stays in the second-level cache.
const STRIP: usize = 64;
/// Rotations that wait for each row, before they are applied.
const WAITING: usize = 32;
const ROUNDS: usize = 60;

/// A = Vᵀ·diag(values)·V for symmetric `a` [n, n]: values from the largest to the smallest [n], their vectors as rows [n, n], each with
/// its largest component positive. Errors: `eigen-nan`, `eigen-diverged`.
pub fn eigen(isa: Isa, split: &dyn Split, a: &[f64], n: usize, values: &mut [f64], vectors: &mut [f64]) -> Outcome<()> {
    if a.iter().any(|x| !x.is_finite()) {
        return Err(Fault::new("eigen-nan", "a matrix whose eigenvectors are wanted holds NaN or infinity"));
    }
    let scale = a.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    let scaled = a.iter().map(|x| if scale > 0.0 { x / scale } else { 0.0 }).collect();
    let Tridiagonal { diagonal, beside, turned } = tridiagonal(isa, split, scaled, n);
    let mut ql = Ql { isa, split, n, d: diagonal, e: beside, rows: turned, turns: vec![] };
    ql.diagonalise()?;
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| ql.d[b].total_cmp(&ql.d[a]).then(a.cmp(&b)));
    for (to, &k) in order.iter().enumerate() {
        values[to] = ql.d[k] * scale;
        let row = &ql.rows[k * n..(k + 1) * n];
        let top = row.iter().fold(0.0f64, |m, x| if x.abs() > m.abs() { *x } else { m });
        let sign = if top < 0.0 { -1.0 } else { 1.0 };
        for (x, y) in vectors[to * n..(to + 1) * n].iter_mut().zip(row) {
            *x = sign * y;
        }
    }
    Ok(())
}

struct Ql<'a> {
    isa: Isa,
    split: &'a dyn Split,
    n: usize,
    d: Vec<f64>,
    e: Vec<f64>,
    /// Becomes the eigenvectors.
    rows: Vec<f64>,
    /// Rotations of rows i and i + 1 that wait: i, c, s.
    turns: Vec<(usize, f64, f64)>,
}

fn length(a: f64, b: f64) -> f64 {
    (a * a + b * b).sqrt()
}

impl Ql<'_> {
    fn diagonalise(&mut self) -> Outcome<()> {
        let n = self.n;
        let (mut shift, mut largest) = (0.0f64, 0.0f64);
        for l in 0..n {
            largest = largest.max(self.d[l].abs() + self.e[l].abs());
            let mut m = l;
            while m < n - 1 && self.e[m].abs() > f64::EPSILON * largest {
                m += 1;
            }
            let mut left = if m > l { ROUNDS } else { 0 };
            while left > 0 {
                left -= 1;
                if left == 0 {
                    return Err(Fault::new("eigen-diverged", "the eigenvalues of a symmetric matrix do not converge"));
                }
                let (g, e) = (self.d[l], self.e[l]);
                let p = (self.d[l + 1] - g) / (2.0 * e);
                let r = if p < 0.0 { -length(p, 1.0) } else { length(p, 1.0) };
                self.d[l] = e / (p + r);
                self.d[l + 1] = e * (p + r);
                let h = g - self.d[l];
                for x in &mut self.d[l + 2..] {
                    *x -= h;
                }
                shift += h;
                self.sweep(l, m);
                if self.e[l].abs() <= f64::EPSILON * largest {
                    break;
                }
            }
            self.d[l] += shift;
            self.e[l] = 0.0;
        }
        self.apply();
        Ok(())
    }

    fn sweep(&mut self, l: usize, m: usize) {
        let (d, e) = (&mut self.d, &mut self.e);
        let next = d[l + 1];
        let (mut p, mut c, mut c2, mut c3, mut s, mut s2) = (d[m], 1.0, 1.0, 1.0, 0.0, 0.0);
        let beside = e[l + 1];
        for i in (l..m).rev() {
            (c3, c2, s2) = (c2, c, s);
            let (g, h) = (c * e[i], c * p);
            let r = length(p, e[i]);
            e[i + 1] = s * r;
            s = e[i] / r;
            c = p / r;
            p = c * d[i] - s * g;
            d[i + 1] = h + s * (c * g + s * d[i]);
            self.turns.push((i, c, s));
        }
        let q = -s * s2 * c3 * beside * e[l] / next;
        e[l] = s * q;
        d[l] = c * q;
        if self.turns.len() > WAITING * self.n {
            self.apply();
        }
    }

    /// Turns the rows, strip by strip of columns: columns do not meet.
    fn apply(&mut self) {
        let (n, isa, turns) = (self.n, self.isa, &self.turns);
        let rows = Shared::new(&mut self.rows);
        self.split.run(n.div_ceil(STRIP), &|task| {
            let from = task * STRIP;
            let width = STRIP.min(n - from);
            for &(i, c, s) in turns {
                // SAFETY: each task has its own columns.
                let (upper, lower) = unsafe { (rows.at(i * n + from, width), rows.at((i + 1) * n + from, width)) };
                turn(isa, upper, lower, c, s);
            }
        });
        self.turns.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::Sequential;

    fn symmetric(n: usize) -> Vec<f64> {
        let at = |i: usize, j: usize| ((i * 7919 + j * 104_729) % 1009) as f64 / 500.0 - 1.0;
        (0..n * n).map(|k| at(k / n, k % n) + at(k % n, k / n)).collect()
    }

    fn solved(isa: Isa, a: &[f64], n: usize) -> (Vec<f64>, Vec<f64>) {
        let (mut values, mut vectors) = (vec![0.0; n], vec![0.0; n * n]);
        eigen(isa, &Sequential, a, n, &mut values, &mut vectors).unwrap();
        (values, vectors)
    }

    #[test]
    fn vectors_are_orthonormal_and_the_matrix_stretches_them() {
        for n in [1, 2, 3, 8, 67, 130] {
            let a = symmetric(n);
            let (values, v) = solved(Isa::detect(), &a, n);
            assert!(values.windows(2).all(|w| w[0] >= w[1]));
            for r in 0..n {
                for s in 0..n {
                    let dot: f64 = (0..n).map(|i| v[r * n + i] * v[s * n + i]).sum();
                    assert!((dot - f64::from(u8::from(r == s))).abs() < 1e-12, "{n} {r} {s} {dot}");
                }
                for i in 0..n {
                    let x: f64 = (0..n).map(|j| a[i * n + j] * v[r * n + j]).sum();
                    assert!((x - values[r] * v[r * n + i]).abs() < 1e-10 * n as f64, "{n} {r}");
                }
            }
        }
    }

    #[test]
    fn known_values_equal_ones_and_zeros() {
        let (values, _) = solved(Isa::detect(), &[2.0, 1.0, 0.0, 1.0, 2.0, 1.0, 0.0, 1.0, 2.0], 3);
        for (v, w) in values.iter().zip([2.0 + 2f64.sqrt(), 2.0, 2.0 - 2f64.sqrt()]) {
            assert!((v - w).abs() < 1e-14);
        }
        let (values, v) = solved(Isa::detect(), &[0.0; 16], 4);
        assert!(values.iter().all(|x| *x == 0.0) && v.iter().sum::<f64>() == 4.0);
        assert!(eigen(Isa::Scalar, &Sequential, &[f64::NAN], 1, &mut [0.0], &mut [0.0]).is_err());
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let a = symmetric(67);
        for name in ["avx2", "avx512"] {
            if let Some(isa) = Isa::named(name) {
                assert_eq!(solved(Isa::Scalar, &a, 67), solved(isa, &a, 67), "{name}");
            }
        }
    }
}
