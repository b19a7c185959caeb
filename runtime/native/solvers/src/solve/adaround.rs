//! AdaRound on the Hessian of a layer: each weight goes down or up, as a soft choice that the exact gradient of the layer's quadratic moves and
//! a regulariser makes hard. Source: Nagel et al., Up or Down?, ICML 2020 (arXiv:2004.10568).
//!
//! ŵ = s·(⌊w/s⌋ + h(v)), h(v) = clip(1.2·σ(v) − .1, 0, 1); loss (w − ŵ)·H·(w − ŵ)ᵀ + λ Σ (1 − |2h − 1|^β), β from 20 to 2. It begins at h = the
//! fraction of w/s, which rounds to nearest; a row that ends worse than rounding to nearest keeps that.

use super::kernels::{add, dots_of, mul, sub, Wide, ZERO};
use super::{integers, Output, ROWS};
use crate::fault::{Fault, Outcome};
use crate::fit::{exp2, fit, log2, power, Fitted, Target, Unit};
use crate::format::{Grid, Int};
use crate::isa::Isa;
use crate::lanes::F8;
use crate::layout::Grain;
use crate::matrix::Matrix;
use crate::split::{Shared, Split};

pub struct Job<'a> {
    pub weight: Matrix<'a>,
    pub target: Target,
    pub grain: Grain,
    /// XᵀX [reduce, reduce].
    pub hessian: &'a [f64],
    /// XᵀX_float [reduce, reduce]: aims at the output of the float inputs.
    pub cross: Option<&'a [f64]>,
    pub damp: f64,
    pub iterations: usize,
    /// Step of Adam.
    pub rate: f32,
    /// λ, against a loss in units of squared steps times the mean diagonal of H.
    pub regular: f32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    pub error: f64,
    pub energy: f64,
    /// The layer's loss, and that of rounding to nearest with the same scales.
    pub loss: f64,
    pub nearest: f64,
    /// Rows that stayed rounded to nearest.
    pub kept: usize,
}

const LOW: f32 = -0.1;
const SPAN: f32 = 1.2;

/// Errors: `nan-weight`, `hessian-nan`, those of `integers`.
pub fn adaround(isa: Isa, split: &dyn Split, job: &Job, output: Output) -> Outcome<Summary> {
    let (format, group) = integers(&job.weight, &job.target, job.grain, job.hessian, job.cross, &output)?;
    let Matrix { out, reduce: n, .. } = job.weight;
    if job.hessian.iter().chain(job.cross.unwrap_or(&[])).any(|x| !x.is_finite()) {
        return Err(Fault::new("hessian-nan", "the Hessian of the layer holds NaN or infinity"));
    }
    let mean = (0..n).map(|i| job.hessian[i * n + i]).sum::<f64>() / n as f64;
    let mean = if mean > 0.0 { mean } else { 1.0 };
    let diagonal = |at: usize| if at / n == at % n { job.damp * mean } else { 0.0 };
    let h: Vec<f32> = job.hessian.iter().enumerate().map(|(at, x)| ((x + diagonal(at)) / mean) as f32).collect();
    let shift: Option<Vec<f32>> = job.cross.map(|c| c.iter().zip(job.hessian).map(|(c, h)| ((c - h) / mean) as f32).collect());
    let groups = n.div_ceil(group);
    let size = job.target.scale.size();
    let mut sums = vec![[0.0f64; 5]; out];
    {
        let (codes, scales) = (Shared::new(output.codes), Shared::new(output.scales));
        let zeros = output.zeros.map(Shared::new);
        let all = Shared::new(&mut sums);
        split.run(out.div_ceil(ROWS), &|task| {
            let first = task * ROWS;
            let mut rows = vec![F8::splat(0.0); 2 * n];
            job.weight.gather(first, 2, 0, n, n, &mut rows, n);
            let tile = Tile::new(isa, job, format, group, &rows, &h, shift.as_deref());
            let (code, lost) = tile.solve();
            for lane in 0..ROWS.min(out - first) {
                let row = first + lane;
                // SAFETY: each task writes what belongs to its rows.
                unsafe {
                    all.at(row, 1)[0] = lost[lane].map(|x| x * job.weight.square(row));
                    for (i, to) in codes.at(row * n, n).iter_mut().enumerate() {
                        let (half, lane) = (lane / 8, lane % 8);
                        let zero = tile.fitted[i / group][half].zero;
                        *to = job.target.grid(format, tile.fitted[i / group][half]).code(code[i][half].0[lane], zero.0[lane]) as u8;
                    }
                    for g in 0..groups {
                        let of = tile.fitted[g][lane / 8];
                        job.target.scale.write(of.step.0[lane % 8], scales.at((row * groups + g) * size, size));
                        if let Some(zeros) = &zeros {
                            zeros.at(row * groups + g, 1)[0] = of.zero.0[lane % 8] as i32 as u8;
                        }
                    }
                }
            }
        });
    }
    let [loss, nearest, error, energy, kept] = sums.iter().fold([0.0; 5], |a, s| std::array::from_fn(|i| a[i] + s[i]));
    if !energy.is_finite() {
        return Err(Fault::new("nan-weight", "the weight holds NaN or infinity"));
    }
    let kept = if energy > 0.0 { kept.round() as usize } else { out };
    Ok(Summary { error, energy, loss: loss * mean, nearest: nearest * mean, kept })
}

/// Sixteen rows.
struct Tile<'a> {
    isa: Isa,
    job: &'a Job<'a>,
    group: usize,
    h: &'a [f32],
    w: Vec<Wide>,
    /// (C − H)·w.
    pull: Vec<Wide>,
    fitted: Vec<[Fitted; 2]>,
    /// The lower code of each weight, and what the upper one adds: 0 at the ends of the range.
    base: Vec<Wide>,
    reach: Vec<Wide>,
    nearest: Vec<Wide>,
    all: Vec<usize>,
}

impl<'a> Tile<'a> {
    fn new(isa: Isa, job: &'a Job<'a>, format: Int, group: usize, rows: &[F8], h: &'a [f32], shift: Option<&[f32]>) -> Self {
        let n = job.weight.reduce;
        let w: Vec<Wide> = (0..n).map(|c| [rows[c], rows[n + c]]).collect();
        let fitted = (0..n.div_ceil(group))
            .map(|g| {
                let (from, to) = (g * group, ((g + 1) * group).min(n));
                std::array::from_fn(|half| {
                    let tile = &rows[half * n + from..half * n + to];
                    fit(isa, &job.target, &Unit { tile, importance: None, joint: false, count: tile.len() })
                })
            })
            .collect::<Vec<[Fitted; 2]>>();
        let all: Vec<usize> = (0..n).collect();
        let mut pull = vec![ZERO; n];
        if let Some(shift) = shift {
            dots_of(isa, shift, &all, 0, n, &w, &mut pull);
        }
        let (mut base, mut reach, mut nearest) = (vec![ZERO; n], vec![ZERO; n], vec![ZERO; n]);
        for i in 0..n {
            for half in 0..2 {
                let at = fitted[i / group][half];
                let grid = job.target.grid(format, at);
                let x = w[i][half] / at.step;
                let floor = x.map(f32::floor);
                let within = |v: F8| v.max(grid.lo).min(grid.hi);
                base[i][half] = within(floor);
                reach[i][half] = within(floor + F8::splat(1.0)) - base[i][half];
                nearest[i][half] = grid.snap(x);
            }
        }
        Tile { isa, job, group, h, w, pull, fitted, base, reach, nearest, all }
    }

    fn step(&self, i: usize) -> Wide {
        let f = &self.fitted[i / self.group];
        [f[0].step, f[1].step]
    }

    fn errors(&self, code: &[Wide]) -> Vec<Wide> {
        (0..code.len()).map(|i| sub(self.w[i], mul(code[i], self.step(i)))).collect()
    }

    /// H·e + pull.
    fn slope(&self, e: &[Wide]) -> Vec<Wide> {
        let mut g = self.pull.clone();
        dots_of(self.isa, self.h, &self.all, 0, e.len(), e, &mut g);
        g
    }

    /// Codes relative to the zero points; of each row the loss, that of rounding to nearest, Σ(w − ŵ)², Σw², and 1 where it stayed so.
    fn solve(&self) -> (Vec<Wide>, [[f64; 5]; ROWS]) {
        let n = self.w.len();
        let soft = self.descend();
        let mut code: Vec<Wide> = (0..n)
            .map(|i| std::array::from_fn(|half| self.base[i][half] + self.reach[i][half].zip(soft[i][half], |r, h| if h >= 0.5 { r } else { 0.0 })))
            .collect();
        let (found, near) = (self.losses(&code), self.losses(&self.nearest));
        let mut sums = [[0.0; 5]; ROWS];
        for (lane, s) in sums.iter_mut().enumerate() {
            let keep = !(found[lane] < near[lane]);
            if keep {
                for (c, x) in code.iter_mut().zip(&self.nearest) {
                    c[lane / 8].0[lane % 8] = x[lane / 8].0[lane % 8];
                }
            }
            *s = [found[lane].min(near[lane]), near[lane], 0.0, 0.0, f64::from(u8::from(keep))];
        }
        for (e, w) in self.errors(&code).iter().zip(&self.w) {
            for (lane, s) in sums.iter_mut().enumerate() {
                s[2] += f64::from(e[lane / 8].0[lane % 8]).powi(2);
                s[3] += f64::from(w[lane / 8].0[lane % 8]).powi(2);
            }
        }
        (code, sums)
    }

    /// e·H·eᵀ + 2 e·pull of each row.
    fn losses(&self, code: &[Wide]) -> [f64; ROWS] {
        let e = self.errors(code);
        let g = self.slope(&e);
        let mut sums = [0.0; ROWS];
        for i in 0..e.len() {
            for (lane, s) in sums.iter_mut().enumerate() {
                let of = |v: &Wide| f64::from(v[lane / 8].0[lane % 8]);
                *s += of(&e[i]) * (of(&g[i]) + of(&self.pull[i]));
            }
        }
        sums
    }

    /// Adam on v; gives h(v).
    fn descend(&self) -> Vec<Wide> {
        let (n, job) = (self.w.len(), self.job);
        let one = F8::splat(1.0);
        let mut soft: Vec<Wide> = (0..n)
            .map(|i| std::array::from_fn(|half| (self.w[i][half] / self.step(i)[half] - self.base[i][half]).max(F8::splat(0.0)).min(one)))
            .collect();
        let mut v: Vec<Wide> = soft.iter().map(|h| h.map(|x| x.map(|h| std::f32::consts::LN_2 * (log2((h - LOW) / SPAN) - log2(1.0 - (h - LOW) / SPAN))))).collect();
        let (mut first, mut second) = (vec![ZERO; n], vec![ZERO; n]);
        let (mut p, mut q) = (1.0f32, 1.0f32);
        // The loss counts in squared steps of the row.
        let mut unit = ZERO;
        for f in &self.fitted {
            unit = add(unit, std::array::from_fn(|half| f[half].step * f[half].step));
        }
        let unit: Wide = unit.map(|x| F8::splat(self.fitted.len() as f32) / x);
        let warm = job.iterations / 5;
        for t in 0..job.iterations {
            let code: Vec<Wide> = (0..n).map(|i| add(self.base[i], mul(self.reach[i], soft[i]))).collect();
            let g = self.slope(&self.errors(&code));
            let share = if t < warm { None } else { Some((t - warm) as f32 / (job.iterations - warm) as f32) };
            (p, q) = (p * 0.9, q * 0.999);
            let (grow, widen) = (1.0 / (1.0 - p), 1.0 / (1.0 - q));
            for i in 0..n {
                let steps = self.step(i);
                for half in 0..2 {
                    let pull = g[i][half] * steps[half] * unit[half] * self.reach[i][half] * F8::splat(-2.0);
                    for lane in 0..8 {
                        let (h, x) = (soft[i][half].0[lane], &mut v[i][half].0[lane]);
                        let sigma = 1.0 / (1.0 + exp2(-std::f32::consts::LOG2_E * *x));
                        let mut d = pull.0[lane];
                        if let Some(share) = share {
                            let (beta, u) = (20.0 - 18.0 * share, 2.0 * h - 1.0);
                            d -= job.regular * 2.0 * beta * power(u.abs(), beta - 1.0) * u.signum();
                        }
                        let inside = h > 0.0 && h < 1.0;
                        let d = if inside { d * SPAN * sigma * (1.0 - sigma) } else { 0.0 };
                        let (m, s) = (&mut first[i][half].0[lane], &mut second[i][half].0[lane]);
                        *m = 0.9 * *m + 0.1 * d;
                        *s = 0.999 * *s + 0.001 * d * d;
                        *x -= job.rate * (*m * grow) / ((*s * widen).sqrt() + 1e-8);
                        let h = SPAN / (1.0 + exp2(-std::f32::consts::LOG2_E * *x)) + LOW;
                        soft[i][half].0[lane] = if h < 0.0 { 0.0 } else if 1.0 < h { 1.0 } else { h };
                    }
                }
            }
        }
        soft
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::Law;
    use crate::format::Format;
    use crate::matrix::{FloatType, Order};
    use crate::scale::ScaleType;
    use crate::solve::tests::{gram, inputs, noise};
    use crate::split::Sequential;

    fn run(isa: Isa, hessian: &[f64], cross: Option<&[f64]>, symmetric: bool) -> (Vec<u8>, Vec<u8>, Summary) {
        let (out, n) = (19, 48);
        let bytes: Vec<u8> = noise(out * n, 3).iter().flat_map(|x| x.to_le_bytes()).collect();
        let weight = Matrix::new(&bytes, FloatType::F32, out, n, Order::OutReduce).unwrap();
        let format = Int { bits: 4, signed: true, lo: -8.0, hi: 7.0 };
        let target = Target { format: Format::Int(format), symmetric, law: Law::Minmax, scale: ScaleType::F32 };
        let job = Job { weight, target, grain: Grain::Group(16), hessian, cross, damp: 0.01, iterations: 300, rate: 0.02, regular: 0.1 };
        let (mut codes, mut scales, mut zeros) = (vec![0; out * n], vec![0; out * 12], vec![0; out * 3]);
        let s = adaround(isa, &Sequential, &job, Output { codes: &mut codes, scales: &mut scales, zeros: Some(&mut zeros) }).unwrap();
        (codes, scales, s)
    }

    #[test]
    fn better_than_nearest_where_columns_are_correlated_and_nearest_where_not() {
        let n = 48;
        let h = gram(&inputs(300, n), n);
        for symmetric in [true, false] {
            let (_, _, s) = run(Isa::detect(), &h, None, symmetric);
            assert!(s.loss < 0.6 * s.nearest, "{s:?}");
        }
        let mut white = vec![0.0; n * n];
        (0..n).for_each(|i| white[i * n + i] = 1.0);
        let (_, _, s) = run(Isa::detect(), &white, None, true);
        assert!(s.loss == s.nearest, "{s:?}");
    }

    #[test]
    fn every_instruction_set_gives_the_same_codes() {
        let n = 48;
        let x = inputs(200, n);
        let h = gram(&x, n);
        let c = gram(&x.iter().map(|v| v * 1.02).collect::<Vec<_>>(), n);
        assert!(run(Isa::Scalar, &h, Some(&c), false) == run(Isa::detect(), &h, Some(&c), false));
    }
}
