//! What all rows of a layer share: the order of its columns and the matrices of its Hessian, in that order.

use super::cholesky::cholesky;
use crate::fault::{Fault, Outcome};
use crate::isa::Isa;
use crate::split::{Shared, Split};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// First column first.
    Natural,
    /// Largest diagonal of the Hessian first.
    Hessian,
}

/// How often damping grows before a Hessian is given up, and by how much.
const TRIES: usize = 8;
const GROWTH: f64 = 10.0;

/// Matrices in positions: columns are solved from the last position to the first.
pub struct Factors {
    pub n: usize,
    /// The column at each position.
    pub column: Vec<usize>,
    /// U[i, j] = L[j, i] / L[i, i] for j > i, where H + λI = L·Lᵀ; zero elsewhere. [n, n]
    pub factor: Vec<f32>,
    /// L[i, i]².
    pub pivot: Vec<f64>,
    /// (H + λI)[i, j] / (H + λI)[i, i]; empty where nothing is refined. [n, n]
    pub hessian: Vec<f32>,
    /// (H + λI)[i, i].
    pub diagonal: Vec<f64>,
    /// C − H, where C = XᵀX_float; empty without a float target. [n, n]
    pub shift: Vec<f32>,
    /// λ.
    pub damping: f64,
    /// Columns that never had an input.
    pub dead: usize,
}

impl Factors {
    /// `h` = XᵀX [n, n]. λ = damp · mean diagonal, growing while the Cholesky factor does not exist. Errors: `hessian-nan`, `hessian-singular`.
    pub fn new(isa: Isa, split: &dyn Split, h: &[f64], cross: Option<&[f64]>, n: usize, damp: f64, order: Order, refine: bool) -> Outcome<Factors> {
        if h.iter().chain(cross.unwrap_or(&[])).any(|x| !x.is_finite()) {
            return Err(Fault::new("hessian-nan", "the Hessian of the layer holds NaN or infinity"));
        }
        let diagonal: Vec<f64> = (0..n).map(|i| h[i * n + i]).collect();
        let dead = diagonal.iter().filter(|&&d| d <= 0.0).count();
        let mean = diagonal.iter().sum::<f64>() / n as f64;
        let column = positions(&diagonal, order);
        // A layer that never had an input: every column by itself.
        let mean = if mean > 0.0 { mean } else { 1.0 };
        let mut damping = damp * mean;
        let mut r = vec![0.0f64; n * n];
        let mut tries = 0;
        loop {
            permuted(split, h, &column, n, &mut r);
            for i in 0..n {
                r[i * n + i] += damping;
                if r[i * n + i] <= 0.0 {
                    r[i * n + i] = mean;
                }
            }
            if cholesky(isa, split, &mut r, n) {
                break;
            }
            tries += 1;
            if tries == TRIES {
                return Err(Fault::new("hessian-singular", format!("the Hessian of the layer has no Cholesky factor, even with {damping:.3e} on its diagonal")));
            }
            damping = damping.max(1e-6 * mean) * GROWTH;
        }
        let pivot: Vec<f64> = (0..n).map(|i| r[i * n + i] * r[i * n + i]).collect();
        let factor = narrowed(split, n, |i, j| if j > i { r[i * n + j] / r[i * n + i] } else { 0.0 });
        drop(r);
        let alive = |d: f64| if d + damping > 0.0 { d + damping } else { mean };
        let diagonal: Vec<f64> = column.iter().map(|&c| alive(diagonal[c])).collect();
        let row = |i: usize, j: usize| h[column[i] * n + column[j]];
        let hessian = if refine { narrowed(split, n, |i, j| if i == j { 1.0 } else { row(i, j) / diagonal[i] }) } else { Vec::new() };
        let shift = cross.map_or_else(Vec::new, |c| narrowed(split, n, |i, j| c[column[i] * n + column[j]] - row(i, j)));
        Ok(Factors { n, column, factor, pivot, hessian, diagonal, shift, damping, dead })
    }
}

/// The column at each position, so that the last position is solved first. Of equal diagonals the lower column is solved first.
fn positions(diagonal: &[f64], order: Order) -> Vec<usize> {
    let mut columns: Vec<usize> = (0..diagonal.len()).rev().collect();
    if order == Order::Hessian {
        columns.sort_by(|&a, &b| diagonal[a].total_cmp(&diagonal[b]));
    }
    columns
}

const STRIP: usize = 16;

/// Rows and columns in positions, the upper triangle only.
fn permuted(split: &dyn Split, h: &[f64], column: &[usize], n: usize, to: &mut [f64]) {
    let to = Shared::new(to);
    split.run(n.div_ceil(STRIP), &|s| {
        for i in s * STRIP..((s + 1) * STRIP).min(n) {
            let from = &h[column[i] * n..(column[i] + 1) * n];
            // SAFETY: each task writes its own rows.
            let row = unsafe { to.at(i * n, n) };
            for (x, &c) in row[i..].iter_mut().zip(&column[i..]) {
                *x = from[c];
            }
        }
    });
}

fn narrowed(split: &dyn Split, n: usize, value: impl Fn(usize, usize) -> f64 + Sync) -> Vec<f32> {
    let mut out = vec![0.0f32; n * n];
    let to = Shared::new(&mut out);
    split.run(n.div_ceil(STRIP), &|s| {
        for i in s * STRIP..((s + 1) * STRIP).min(n) {
            // SAFETY: each task writes its own rows.
            for (j, x) in unsafe { to.at(i * n, n) }.iter_mut().enumerate() {
                *x = value(i, j) as f32;
            }
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::Sequential;

    #[test]
    fn the_largest_diagonal_is_solved_first() {
        assert_eq!(positions(&[1.0, 3.0, 2.0, 3.0], Order::Hessian), [0, 2, 3, 1]);
        assert_eq!(positions(&[1.0, 3.0, 2.0], Order::Natural), [2, 1, 0]);
    }

    #[test]
    fn damping_grows_until_the_factor_exists() {
        let f = Factors::new(Isa::detect(), &Sequential, &[1.0, 1.5, 1.5, 1.0], None, 2, 0.0, Order::Natural, false).unwrap();
        assert!(f.damping > 0.5 && f.damping < 20.0, "{}", f.damping);
        let bad = Factors::new(Isa::detect(), &Sequential, &[f64::NAN], None, 1, 0.01, Order::Natural, false);
        assert_eq!(bad.err().unwrap().code, "hessian-nan");
    }

    #[test]
    fn a_dead_column_stands_alone() {
        let f = Factors::new(Isa::detect(), &Sequential, &[2.0, 0.0, 0.0, 0.0], None, 2, 0.0, Order::Natural, true).unwrap();
        assert_eq!((f.dead, f.factor.iter().all(|&x| x == 0.0)), (1, true));
    }
}
