//! Householder's reduction of a symmetric matrix to tridiagonal form, with the orthogonal matrix that does it.

use super::lines::{dot, subtract, subtract_two};
use crate::isa::Isa;
use crate::split::{Sequential, Shared, Split};

/// Rows of a task; below so many rows a step is not worth threads.
const ROWS: usize = 32;
const WORTH: usize = 384;

pub struct Tridiagonal {
    pub diagonal: Vec<f64>,
    /// Beside the diagonal: element k between k and k + 1; the last is zero.
    pub beside: Vec<f64>,
    /// Qᵀ [n, n], where A = Q·T·Qᵀ.
    pub turned: Vec<f64>,
}

/// `a` [n, n] is symmetric and not too large to be squared; it is used up.
pub fn tridiagonal(isa: Isa, split: &dyn Split, mut a: Vec<f64>, n: usize) -> Tridiagonal {
    let (mut diagonal, mut beside) = (vec![0.0; n], vec![0.0; n]);
    let mut factors = vec![0.0; n];
    // What the last step left to subtract from the rows behind it: v·wᵀ + w·vᵀ.
    let (mut v, mut w) = (vec![0.0; n], vec![0.0; n]);
    for k in 0..n {
        let row = &mut a[k * n + k..(k + 1) * n];
        subtract_two(isa, row, v[k], &w[k..], w[k], &v[k..]);
        diagonal[k] = row[0];
        let x = &mut row[1..];
        let (factor, first) = reflector(isa, x);
        factors[k] = factor;
        if let Some(e) = first {
            beside[k] = e;
        }
        let next = x.to_vec();
        let m = next.len();
        let mut p = vec![0.0; m];
        {
            let (head, rest) = a.split_at_mut((k + 1) * n);
            let _ = head;
            let (rows, sums) = (Shared::new(rest), Shared::new(&mut p));
            let threads: &dyn Split = if m >= WORTH { split } else { &Sequential };
            threads.run(m.div_ceil(ROWS), &|task| {
                for i in task * ROWS..m.min((task + 1) * ROWS) {
                    // SAFETY: each task has its own rows and sums.
                    let (row, sum) = unsafe { (rows.at(i * n + k + 1, m), &mut sums.at(i, 1)[0]) };
                    subtract_two(isa, row, v[k + 1 + i], &w[k + 1..], w[k + 1 + i], &v[k + 1..]);
                    *sum = factor * dot(isa, row, &next);
                }
            });
        }
        let half = factor / 2.0 * dot(isa, &p, &next);
        subtract(isa, &mut p, half, &next);
        v[k + 1..].copy_from_slice(&next);
        w[k + 1..].copy_from_slice(&p);
    }
    let turned = accumulated(isa, split, &a, &factors, n);
    Tridiagonal { diagonal, beside, turned }
}

/// Makes x the v of 1 − f·v·vᵀ, which turns x into (e, 0, …); gives f and e, none where x is empty. f is 0 where nothing is to be done.
fn reflector(isa: Isa, x: &mut [f64]) -> (f64, Option<f64>) {
    let Some(&first) = x.first() else { return (0.0, None) };
    let tail = dot(isa, &x[1..], &x[1..]);
    if tail == 0.0 {
        x.fill(0.0);
        return (0.0, Some(first));
    }
    let norm = (first * first + tail).sqrt();
    let e = if first > 0.0 { -norm } else { norm };
    x[0] = first - e;
    (2.0 / (x[0] * x[0] + tail), Some(e))
}

/// Qᵀ = H_{n−1} … H_0, row by row: each row goes through the reflections from the last that touches it to the first.
fn accumulated(isa: Isa, split: &dyn Split, v: &[f64], factors: &[f64], n: usize) -> Vec<f64> {
    let mut turned = vec![0.0; n * n];
    let rows = Shared::new(&mut turned);
    split.run(n.div_ceil(ROWS), &|task| {
        let (from, to) = (task * ROWS, n.min((task + 1) * ROWS));
        // SAFETY: each task has its own rows.
        let mine = unsafe { rows.at(from * n, (to - from) * n) };
        for r in from..to {
            mine[(r - from) * n + r] = 1.0;
        }
        for k in (0..to.saturating_sub(1)).rev() {
            if factors[k] == 0.0 {
                continue;
            }
            let v = &v[k * n + k + 1..(k + 1) * n];
            for r in from.max(k + 1)..to {
                let row = &mut mine[(r - from) * n + k + 1..(r - from + 1) * n];
                let f = factors[k] * dot(isa, row, v);
                subtract(isa, row, f, v);
            }
        }
    });
    turned
}
