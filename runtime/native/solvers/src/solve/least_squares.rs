//! Weights with the least error of the layer's output: min Σ over rows |X·v − X_float·w|² + λ|v − w|², each row over the weights that it may have.
//! With a mask and the same inputs this is w_S = (H_SS + λ1)⁻¹ ((H + λ1) w)_S.

use super::cholesky::cholesky;
use crate::fault::{Fault, Outcome};
use crate::isa::Isa;
use crate::lanes::F8;
use crate::matrix::Matrix;
use crate::split::{Sequential, Shared, Split};

pub struct Job<'a> {
    pub weight: Matrix<'a>,
    /// XᵀX [reduce, reduce].
    pub hessian: &'a [f64],
    /// XᵀX_float [reduce, reduce].
    pub cross: Option<&'a [f64]>,
    /// λ as a share of the mean diagonal of H.
    pub damp: f64,
    /// [out, reduce]: weights that stay zero are 0. Absent: every weight is free.
    pub mask: Option<&'a [u8]>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// The loss, constant left out, of the masked weights as they were, and of those found.
    pub before: f64,
    pub after: f64,
    pub free: usize,
}

const TRIES: usize = 8;

/// Writes the weights [out, reduce] to `to`. Errors: `nan-weight`, `hessian-nan`, `hessian-singular`.
pub fn least_squares(isa: Isa, split: &dyn Split, job: &Job, to: &mut [f32]) -> Outcome<Summary> {
    let Matrix { out, reduce: n, .. } = job.weight;
    let square = n.checked_mul(n);
    let fits = Some(job.hessian.len()) == square
        && job.cross.is_none_or(|c| Some(c.len()) == square)
        && job.mask.is_none_or(|m| m.len() == to.len())
        && Some(to.len()) == out.checked_mul(n);
    if !fits {
        return Err(Fault::request("least squares: buffers of other sizes than the layer"));
    }
    if job.hessian.iter().chain(job.cross.unwrap_or(&[])).any(|x| !x.is_finite()) {
        return Err(Fault::new("hessian-nan", "the Hessian of the layer holds NaN or infinity"));
    }
    let mean = (0..n).map(|i| job.hessian[i * n + i]).sum::<f64>() / n.max(1) as f64;
    let lambda = (job.damp * mean).max(if mean > 0.0 { 1e-12 * mean } else { 1.0 });
    let every: Vec<usize> = (0..n).collect();
    let shared = if job.mask.is_none() { Some(factor(isa, split, job.hessian, &every, n, lambda, mean)?) } else { None };
    let mut sums = vec![[0.0f64; 3]; out];
    let failed = std::sync::atomic::AtomicBool::new(false);
    {
        let (to, sums) = (Shared::new(to), Shared::new(&mut sums));
        split.run(out.div_ceil(8), &|task| {
            let mut tile = vec![F8::splat(0.0); n];
            job.weight.gather(8 * task, 1, 0, n, n, &mut tile, n);
            for lane in 0..8.min(out - 8 * task) {
                let row = 8 * task + lane;
                let w: Vec<f64> = tile.iter().map(|t| f64::from(t.0[lane])).collect();
                let free: Vec<usize> = match job.mask {
                    Some(m) => (0..n).filter(|&k| m[row * n + k] != 0).collect(),
                    None => every.clone(),
                };
                // The right side: C·w + λw.
                let want: Vec<f64> = free.iter().map(|&i| dot(&job.cross.unwrap_or(job.hessian)[i * n..(i + 1) * n], &w) + lambda * w[i]).collect();
                let own = if shared.is_none() { factor(isa, &Sequential, job.hessian, &free, n, lambda, mean).ok() } else { None };
                let Some(r) = shared.as_ref().or(own.as_ref()) else {
                    failed.store(true, std::sync::atomic::Ordering::Relaxed);
                    continue;
                };
                let found = substituted(r, &want);
                let loss = |v: &dyn Fn(usize) -> f64| -> f64 {
                    let x: Vec<f64> = free.iter().enumerate().map(|(k, _)| v(k)).collect();
                    let bend: f64 = free.iter().zip(&x).map(|(&i, a)| a * (free.iter().zip(&x).map(|(&j, b)| job.hessian[i * n + j] * b).sum::<f64>() + lambda * a)).sum();
                    bend - 2.0 * x.iter().zip(&want).map(|(a, b)| a * b).sum::<f64>()
                };
                // SAFETY: each task writes its own rows.
                unsafe {
                    sums.at(row, 1)[0] = [loss(&|k| w[free[k]]), loss(&|k| found[k]), free.len() as f64];
                    let row = to.at(row * n, n);
                    row.fill(0.0);
                    for (&i, &x) in free.iter().zip(&found) {
                        row[i] = x as f32;
                    }
                }
            }
        });
    }
    if failed.into_inner() {
        return Err(Fault::new("hessian-singular", "the Hessian of the layer has no Cholesky factor: more damping is needed"));
    }
    let [before, after, free] = sums.iter().fold([0.0; 3], |a, s| std::array::from_fn(|i| a[i] + s[i]));
    if !after.is_finite() {
        return Err(Fault::new("nan-weight", "the weight holds NaN or infinity"));
    }
    Ok(Summary { before, after, free: free as usize })
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// R of H_SS + λ1 = RᵀR, [s, s]; λ grows tenfold while there is none.
fn factor(isa: Isa, split: &dyn Split, h: &[f64], s: &[usize], n: usize, lambda: f64, mean: f64) -> Outcome<Vec<f64>> {
    let m = s.len();
    let mut more = lambda;
    for _ in 0..TRIES {
        let mut r: Vec<f64> = s.iter().flat_map(|&i| s.iter().map(move |&j| (i, j))).map(|(i, j)| h[i * n + j] + if i == j { more } else { 0.0 }).collect();
        if m == 0 || cholesky(isa, split, &mut r, m) {
            return Ok(r);
        }
        more = more.max(1e-6 * mean) * 10.0;
    }
    Err(Fault::new("hessian-singular", "the Hessian of the layer has no Cholesky factor: more damping is needed"))
}

/// x of RᵀR x = b.
fn substituted(r: &[f64], b: &[f64]) -> Vec<f64> {
    let m = b.len();
    let mut x = b.to_vec();
    for i in 0..m {
        x[i] /= r[i * m + i];
        let (head, tail) = x.split_at_mut(i + 1);
        for (t, &f) in tail.iter_mut().zip(&r[i * m + i + 1..(i + 1) * m]) {
            *t -= f * head[i];
        }
    }
    for i in (0..m).rev() {
        let sum: f64 = (i + 1..m).map(|j| r[i * m + j] * x[j]).sum();
        x[i] = (x[i] - sum) / r[i * m + i];
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::{FloatType, Order};
    use crate::solve::tests::{gram, inputs, noise};

    fn run(w: &[f32], n: usize, hessian: &[f64], cross: Option<&[f64]>, mask: Option<&[u8]>, damp: f64) -> (Vec<f32>, Summary) {
        let bytes: Vec<u8> = w.iter().flat_map(|x| x.to_le_bytes()).collect();
        let weight = Matrix::new(&bytes, FloatType::F32, w.len() / n, n, Order::OutReduce).unwrap();
        let mut to = vec![0.0; w.len()];
        let s = least_squares(Isa::detect(), &Sequential, &Job { weight, hessian, cross, damp, mask }, &mut to).unwrap();
        (to, s)
    }

    #[test]
    fn under_a_mask_the_gradient_of_the_free_weights_is_zero() {
        let (out, n) = (11, 40);
        let (h, w) = (gram(&inputs(300, n), n), noise(out * n, 3));
        let mask: Vec<u8> = (0..out * n).map(|i| u8::from(w[i].abs() > 0.3)).collect();
        let (v, s) = run(&w, n, &h, None, Some(&mask), 1e-9);
        assert!(s.after < s.before && s.free == mask.iter().filter(|&&m| m != 0).count());
        for o in 0..out {
            for i in 0..n {
                let slope: f64 = (0..n).map(|j| h[i * n + j] * f64::from(v[o * n + j] - w[o * n + j])).sum();
                let all: f64 = (0..n).map(|j| (h[i * n + j] * f64::from(w[o * n + j])).abs()).sum();
                if mask[o * n + i] == 0 {
                    assert_eq!(v[o * n + i], 0.0);
                } else {
                    assert!(slope.abs() < 1e-5 * all, "{slope} {all}");
                }
            }
        }
    }

    #[test]
    fn free_weights_on_the_same_inputs_stay_and_on_others_make_up_for_them() {
        let (out, n) = (5, 24);
        let (x, w) = (inputs(200, n), noise(out * n, 3));
        let h = gram(&x, n);
        let (v, _) = run(&w, n, &h, None, None, 0.01);
        assert!(v.iter().zip(&w).all(|(a, b)| (a - b).abs() < 1e-5));
        // Inputs 1.25 times as large: weights .8 times.
        let (big, both): (Vec<f64>, Vec<f64>) = (h.iter().map(|v| v * 1.5625).collect(), h.iter().map(|v| v * 1.25).collect());
        let (v, s) = run(&w, n, &big, Some(&both), None, 1e-9);
        assert!(v.iter().zip(&w).all(|(a, b)| (a - 0.8 * b).abs() < 1e-4) && s.after < s.before);
    }
}
