//! The best product of two thin matrices for a matrix, by subspace iteration from a given start.
//! Source: Halko, Martinsson, Tropp, Finding structure with randomness, SIAM Review 53, 2011, algorithms 4.4 and 5.1.

use super::eigen::eigen;
use super::orthonormal::orthonormal;
use crate::fault::{Fault, Outcome};
use crate::isa::Isa;
use crate::split::Split;
use crate::thin::{by_columns, by_rows, minus_product, Shape};
use half::f16;

/// The error of what is taken away, E, counts as E S: S symmetric [n, n], one, or diagonal [n].
#[derive(Clone, Copy)]
pub enum Space<'a> {
    Plain,
    Diagonal(&'a [f32]),
    Dense { root: &'a [f32], inverse: &'a [f32] },
}

pub struct Job<'a> {
    /// W [out, n].
    pub weight: &'a [f32],
    /// Q [out, n]: the branch is the best for W − Q; without, for W.
    pub codes: Option<&'a [f32]>,
    pub n: usize,
    /// Rows of the space that is iterated [count, n], count ≥ rank.
    pub start: &'a [f32],
    pub rank: usize,
    /// Power steps.
    pub steps: usize,
    /// Factors are rounded to float16.
    pub half: bool,
    pub space: Space<'a>,
}

pub struct Found<'a> {
    /// Leading directions in the space of errors, orthonormal, the largest first [count, n]: the next start.
    pub basis: &'a mut [f32],
    /// [rank, n].
    pub down: &'a mut [f32],
    /// [out, rank].
    pub up: &'a mut [f32],
    /// W − up·down [out, n].
    pub rest: &'a mut [f32],
}

/// Error: `nan-weight`.
pub fn low_rank(isa: Isa, split: &dyn Split, job: &Job, found: &mut Found) -> Outcome<()> {
    let &Job { weight, n, rank, steps, .. } = job;
    let difference: Vec<f32>;
    let target = match job.codes {
        Some(q) => {
            difference = weight.iter().zip(q).map(|(w, q)| w - q).collect();
            &difference
        }
        None => weight,
    };
    if target.iter().any(|x| !x.is_finite()) {
        return Err(Fault::new("nan-weight", "a weight that a low-rank branch is wanted of holds NaN or infinity"));
    }
    let run = Run { isa, split, target, out: weight.len() / n, n, space: job.space };
    let mut basis: Vec<f64> = job.start.iter().map(|x| f64::from(*x)).collect();
    orthonormal(isa, &mut basis, n);
    for _ in 0..steps {
        basis = run.step(&narrow(&basis));
        orthonormal(isa, &mut basis, n);
    }
    basis = run.sorted(&narrow(&basis))?;
    copy(found.basis, &basis);
    run.back(&mut basis[..rank * n]);
    shrink(found.down, &basis[..rank * n], job.half);
    let up = run.best(found.down, rank);
    shrink(found.up, &up, job.half);
    run.rest(weight, found);
    Ok(())
}

struct Run<'a> {
    isa: Isa,
    split: &'a dyn Split,
    target: &'a [f32],
    out: usize,
    n: usize,
    space: Space<'a>,
}

impl Run<'_> {
    /// Rows V → V S.
    fn into(&self, v: &[f32]) -> Vec<f32> {
        let n = self.n;
        match self.space {
            Space::Plain => v.to_vec(),
            Space::Diagonal(root) => v.iter().enumerate().map(|(i, x)| x * root[i % n]).collect(),
            Space::Dense { root, .. } => narrow(&self.square(v, root)),
        }
    }

    fn square(&self, v: &[f32], s: &[f32]) -> Vec<f64> {
        let n = self.n;
        by_columns(self.isa, self.split, Shape { rows: v.len() / n, depth: n, columns: n }, |i, k| v[i * n + k], |k, j| s[k * n + j])
    }

    /// T Vᵀ [out, count] for rows V [count, n].
    fn seen(&self, v: &[f32]) -> Vec<f32> {
        let (n, columns) = (self.n, v.len() / self.n);
        let mut z = vec![0.0; self.out * columns];
        let to = crate::split::Shared::new(&mut z);
        by_rows(self.isa, self.split, Shape { rows: self.out, depth: n, columns }, |i, k| self.target[i * n + k], |k, j| v[j * n + k], |first, strip| {
            // SAFETY: strips are disjoint.
            for (z, x) in unsafe { to.at(first * columns, strip.len()) }.iter_mut().zip(strip) {
                *z = *x as f32;
            }
        });
        z
    }

    /// V (T S)ᵀ (T S).
    fn step(&self, v: &[f32]) -> Vec<f64> {
        let (n, count) = (self.n, v.len() / self.n);
        let z = self.seen(&self.into(v));
        let back = by_columns(self.isa, self.split, Shape { rows: count, depth: self.out, columns: n }, |i, k| z[k * count + i], |k, j| self.target[k * n + j]);
        match self.space {
            Space::Plain => back,
            _ => self.into(&narrow(&back)).iter().map(|x| f64::from(*x)).collect(),
        }
    }

    /// The same space with its rows in the order of what T S does to them.
    fn sorted(&self, v: &[f32]) -> Outcome<Vec<f64>> {
        let (n, count) = (self.n, v.len() / self.n);
        let z = self.seen(&self.into(v));
        let shape = Shape { rows: count, depth: self.out, columns: count };
        let gram = by_columns(self.isa, self.split, shape, |i, k| z[k * count + i], |k, j| z[k * count + j]);
        let (mut values, mut turns) = (vec![0.0; count], vec![0.0; count * count]);
        eigen(self.isa, self.split, &gram, count, &mut values, &mut turns)?;
        let turns = narrow(&turns);
        Ok(by_columns(self.isa, self.split, Shape { rows: count, depth: count, columns: n }, |i, k| turns[i * count + k], |k, j| v[k * n + j]))
    }

    /// Rows V → V S⁻¹, each with a largest entry of 1, so that they keep their digits in float16.
    fn back(&self, v: &mut [f64]) {
        let n = self.n;
        match self.space {
            Space::Plain => return,
            Space::Diagonal(root) => v.iter_mut().enumerate().for_each(|(i, x)| *x /= f64::from(root[i % n])),
            Space::Dense { inverse, .. } => v.copy_from_slice(&self.square(&narrow(v), inverse)),
        }
        for row in v.chunks_exact_mut(n) {
            let most = row.iter().fold(0.0f64, |m, x| m.max(x.abs()));
            if most > 0.0 {
                row.iter_mut().for_each(|x| *x /= most);
            }
        }
    }

    /// U [out, rank] with U V the best for T where the rows of V [rank, n] are orthogonal in the space of errors.
    fn best(&self, v: &[f32], rank: usize) -> Vec<f64> {
        let inside = self.into(v);
        let norms: Vec<f64> = inside.chunks_exact(self.n).map(|r| r.iter().map(|x| f64::from(*x) * f64::from(*x)).sum()).collect();
        let through = if matches!(self.space, Space::Plain) { inside } else { self.into(&inside) };
        let z = self.seen(&through);
        z.iter().enumerate().map(|(i, x)| if norms[i % rank] > 0.0 { f64::from(*x) / norms[i % rank] } else { 0.0 }).collect()
    }

    fn rest(&self, weight: &[f32], found: &mut Found) {
        // Rows at a time, so that no more than them is held in float64.
        const ROWS: usize = 512;
        let (n, rank) = (self.n, found.down.len() / self.n);
        for (i, (w, rest)) in weight.chunks(ROWS * n).zip(found.rest.chunks_mut(ROWS * n)).enumerate() {
            let mut x: Vec<f64> = w.iter().map(|x| f64::from(*x)).collect();
            let up = &found.up[i * ROWS * rank..][..w.len() / n * rank];
            minus_product(self.isa, self.split, &mut x, up, found.down, n);
            copy(rest, &x);
        }
    }
}

fn narrow(x: &[f64]) -> Vec<f32> {
    x.iter().map(|x| *x as f32).collect()
}

fn copy(to: &mut [f32], x: &[f64]) {
    to.iter_mut().zip(x).for_each(|(t, x)| *t = *x as f32);
}

fn shrink(to: &mut [f32], x: &[f64], half: bool) {
    copy(to, x);
    if half {
        to.iter_mut().for_each(|x| *x = f16::from_f32(*x).to_f32());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::Sequential;

    /// Σ_r 2^−r a_r b_rᵀ of waves: a matrix with a known decay, seen from a start that knows nothing.
    fn matrix(out: usize, n: usize) -> Vec<f32> {
        let wave = |r: usize, i: usize, n: usize| f64::cos(std::f64::consts::PI * (r as f64 + 1.0) * (i as f64 + 0.5) / n as f64);
        (0..out * n).map(|c| (0..12).map(|r| 0.5f64.powi(r as i32) * wave(r, c / n, out) * wave(r, c % n, n)).sum::<f64>() as f32).collect()
    }

    fn solved(isa: Isa, space: Space, w: &[f32], n: usize, rank: usize, codes: Option<&[f32]>) -> [Vec<f32>; 4] {
        let out = w.len() / n;
        let count = n.min(rank + 4);
        let start: Vec<f32> = (0..count * n).map(|i| ((i * 7919 + 13) % 1009) as f32 - 504.0).collect();
        let mut found = [vec![0.0; count * n], vec![0.0; rank * n], vec![0.0; out * rank], vec![0.0; out * n]];
        let [basis, down, up, rest] = &mut found;
        let job = Job { weight: w, codes, n, start: &start, rank, steps: 2, half: false, space };
        low_rank(isa, &Sequential, &job, &mut Found { basis, down, up, rest }).unwrap();
        found
    }

    fn energy(x: &[f32]) -> f64 {
        x.iter().map(|x| f64::from(*x).powi(2)).sum()
    }

    #[test]
    fn what_is_left_is_what_the_smaller_singular_values_hold() {
        let (out, n, rank) = (64, 48, 5);
        let w = matrix(out, n);
        let [_, _, _, rest] = solved(Isa::detect(), Space::Plain, &w, n, rank, None);
        // The waves are orthogonal, of norms out/2 and n/2.
        let left: f64 = (rank..12).map(|r| 0.25f64.powi(r as i32) * (out * n) as f64 / 4.0).sum();
        assert!((energy(&rest) / left - 1.0).abs() < 1e-4, "{} {left}", energy(&rest));
        let [_, _, _, rest] = solved(Isa::detect(), Space::Plain, &w, n, n, None);
        assert!(energy(&rest) < 1e-10 * energy(&w));
    }

    #[test]
    fn the_branch_is_taken_from_the_weight_and_aims_at_what_codes_leave() {
        let (n, rank) = (48, 12);
        let w = matrix(64, n);
        let codes: Vec<f32> = w.iter().map(|x| (x * 4.0).round() / 4.0).collect();
        let [_, down, up, rest] = solved(Isa::detect(), Space::Plain, &w, n, rank, Some(&codes));
        let of = |i: usize, k: usize| (0..rank).map(|r| up[i * rank + r] * down[r * n + k]).sum::<f32>();
        assert!((rest[n + 3] - (w[n + 3] - of(1, 3))).abs() < 1e-6);
        let before: Vec<f32> = w.iter().zip(&codes).map(|(w, q)| w - q).collect();
        let after: Vec<f32> = before.iter().enumerate().map(|(c, d)| d - of(c / n, c % n)).collect();
        assert!(energy(&after) < 0.8 * energy(&before), "{} {}", energy(&after), energy(&before));
    }

    #[test]
    fn a_dense_space_that_is_diagonal_is_the_diagonal_one() {
        let n = 48;
        let w = matrix(64, n);
        let root: Vec<f32> = (0..n).map(|i| 1.0 + (i % 7) as f32).collect();
        let square = |f: &dyn Fn(f32) -> f32| (0..n * n).map(|c| if c / n == c % n { f(root[c % n]) } else { 0.0 }).collect::<Vec<f32>>();
        let (whole, inverse) = (square(&|x| x), square(&|x| 1.0 / x));
        let [_, a, _, p] = solved(Isa::detect(), Space::Diagonal(&root), &w, n, 4, None);
        let [_, b, _, q] = solved(Isa::detect(), Space::Dense { root: &whole, inverse: &inverse }, &w, n, 4, None);
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5) && p.iter().zip(&q).all(|(p, q)| (p - q).abs() < 1e-5));
        let counted = |rest: &[f32]| rest.iter().enumerate().map(|(c, x)| f64::from(x * root[c % n]).powi(2)).sum::<f64>();
        let [_, _, _, plain] = solved(Isa::detect(), Space::Plain, &w, n, 4, None);
        assert!(counted(&p) < counted(&plain) && energy(&p) > energy(&plain));
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let w = matrix(61, 37);
        let reference = solved(Isa::Scalar, Space::Plain, &w, 37, 6, None);
        for isa in ["avx2", "avx512"].into_iter().filter_map(Isa::named) {
            assert_eq!(solved(isa, Space::Plain, &w, 37, 6, None), reference);
        }
        let mut broken = w;
        broken[5] = f32::NAN;
        let mut found = [vec![0.0; 37], vec![0.0; 37], vec![0.0; 61], vec![0.0; 61 * 37]];
        let [basis, down, up, rest] = &mut found;
        let job = Job { weight: &broken, codes: None, n: 37, start: &[1.0; 37], rank: 1, steps: 1, half: false, space: Space::Plain };
        assert!(low_rank(Isa::Scalar, &Sequential, &job, &mut Found { basis, down, up, rest }).is_err());
    }
}
