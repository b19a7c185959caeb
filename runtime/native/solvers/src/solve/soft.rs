//! Sixteen rows of a layer whose weights choose, softly at first, between the code below and the one above.

use super::adaround::Descent;
use super::kernels::{add, dots_of, mul, sub, Wide, ZERO};
use super::{Layer, ROWS};
use crate::fit::{exp2, fit, log2, power, Fitted, Unit};
use crate::format::{Grid, Int};
use crate::isa::Isa;
use crate::lanes::F8;

/// h(v) = clip(SPAN·σ(v) + LOW, 0, 1).
const LOW: f32 = -0.1;
const SPAN: f32 = 1.2;

/// Sixteen rows.
pub struct Tile<'a> {
    isa: Isa,
    how: &'a Descent,
    group: usize,
    h: &'a [f32],
    w: Vec<Wide>,
    /// (C − H)·w.
    pull: Vec<Wide>,
    pub fitted: Vec<[Fitted; 2]>,
    /// The lower code of each weight, and what the upper one adds: 0 at the ends of the range.
    base: Vec<Wide>,
    reach: Vec<Wide>,
    nearest: Vec<Wide>,
    all: Vec<usize>,
}

impl<'a> Tile<'a> {
    pub fn new(isa: Isa, layer: &'a Layer<'a>, how: &'a Descent, format: Int, group: usize, rows: &[F8], h: &'a [f32], shift: Option<&[f32]>) -> Self {
        let n = layer.weight.reduce;
        let w: Vec<Wide> = (0..n).map(|c| [rows[c], rows[n + c]]).collect();
        let fitted = (0..n.div_ceil(group))
            .map(|g| {
                let (from, to) = (g * group, ((g + 1) * group).min(n));
                std::array::from_fn(|half| {
                    let tile = &rows[half * n + from..half * n + to];
                    fit(isa, &layer.target, &Unit { tile, importance: None, joint: false, count: tile.len() })
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
                let grid = layer.target.grid(format, at);
                let x = w[i][half] / at.step;
                let floor = x.map(f32::floor);
                let within = |v: F8| v.max(grid.lo).min(grid.hi);
                base[i][half] = within(floor);
                reach[i][half] = within(floor + F8::splat(1.0)) - base[i][half];
                nearest[i][half] = grid.snap(x);
            }
        }
        Tile { isa, how, group, h, w, pull, fitted, base, reach, nearest, all }
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
    pub fn solve(&self) -> (Vec<Wide>, [[f64; 5]; ROWS]) {
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
        let (n, how) = (self.w.len(), self.how);
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
        let warm = how.iterations / 5;
        for t in 0..how.iterations {
            let code: Vec<Wide> = (0..n).map(|i| add(self.base[i], mul(self.reach[i], soft[i]))).collect();
            let g = self.slope(&self.errors(&code));
            let share = if t < warm { None } else { Some((t - warm) as f32 / (how.iterations - warm) as f32) };
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
                            d -= how.regular * 2.0 * beta * power(u.abs(), beta - 1.0) * u.signum();
                        }
                        let inside = h > 0.0 && h < 1.0;
                        let d = if inside { d * SPAN * sigma * (1.0 - sigma) } else { 0.0 };
                        let (m, s) = (&mut first[i][half].0[lane], &mut second[i][half].0[lane]);
                        *m = 0.9 * *m + 0.1 * d;
                        *s = 0.999 * *s + 0.001 * d * d;
                        *x -= how.rate * (*m * grow) / ((*s * widen).sqrt() + 1e-8);
                        let h = SPAN / (1.0 + exp2(-std::f32::consts::LOG2_E * *x)) + LOW;
                        soft[i][half].0[lane] = if h < 0.0 { 0.0 } else if 1.0 < h { 1.0 } else { h };
                    }
                }
            }
        }
        soft
    }
}
