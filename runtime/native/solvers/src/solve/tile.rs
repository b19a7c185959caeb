//! Sixteen rows of a layer: weights, errors, codes and scales; sweep.rs moves them.

use super::factors::Factors;
use super::kernels::{add, dots_of, eliminate, mul, scaled, sub, Wide, ZERO};
use crate::fit::{fit, Fitted, Target, Unit};
use crate::format::{Grid, Int, IntGrid};
use crate::isa::Isa;
use crate::lanes::F8;

/// Columns whose loss is summed together.
const BLOCK: usize = 32;

pub struct Tile<'a> {
    pub isa: Isa,
    pub factors: &'a Factors,
    pub target: &'a Target,
    pub format: Int,
    /// Columns of a group; n where a row has one scale.
    pub group: usize,
    /// By position: weights, errors w − ŵ, codes minus zero point, and the pull toward the float target.
    pub(super) w: Vec<Wide>,
    pub(super) e: Vec<Wide>,
    code: Vec<Wide>,
    pull: Vec<Wide>,
    /// y / L[i, i], where y·Lᵀ is the pull: what the sweep starts from. Like `pull`, empty without a float target.
    start: Vec<Wide>,
    /// Σ_{j>i} e_j·U[i, j] and the start, as the sweep left them; empty where codes were changed after it.
    pub(super) through: Vec<Wide>,
    /// By group.
    pub step: Vec<Wide>,
    pub zero: Vec<Wide>,
}

impl<'a> Tile<'a> {
    /// `rows` [2][n]: the weights by column, eight rows each.
    pub fn new(isa: Isa, factors: &'a Factors, target: &'a Target, format: Int, group: usize, rows: &[F8]) -> Self {
        let n = factors.n;
        let w: Vec<Wide> = factors.column.iter().map(|&c| [rows[c], rows[n + c]]).collect();
        let groups = n.div_ceil(group);
        let mut tile = Tile {
            isa,
            factors,
            target,
            format,
            group,
            w,
            e: vec![ZERO; n],
            code: vec![ZERO; n],
            pull: Vec::new(),
            step: vec![ZERO; groups],
            zero: vec![ZERO; groups],
            start: Vec::new(),
            through: Vec::new(),
        };
        if !factors.shift.is_empty() {
            tile.pull = vec![ZERO; n];
            let all: Vec<usize> = (0..n).collect();
            dots_of(isa, &factors.shift, &all, 0, n, &tile.w, &mut tile.pull);
            tile.start = tile.solved_pull();
        }
        tile
    }

    /// Scales of every group, from columns [2][n] as they are.
    pub fn fit_all(&mut self, rows: &[F8]) {
        let n = self.factors.n;
        for g in 0..self.step.len() {
            let (from, to) = (g * self.group, ((g + 1) * self.group).min(n));
            self.fit(g, &rows[from..to], &rows[n + from..n + to]);
        }
    }

    pub(super) fn fit(&mut self, g: usize, low: &[F8], high: &[F8]) {
        let one = |tile: &[F8]| -> Fitted { fit(self.isa, self.target, &Unit { tile, importance: None, joint: false, count: tile.len() }) };
        let (a, b) = (one(low), one(high));
        (self.step[g], self.zero[g]) = ([a.step, b.step], [a.zero, b.zero]);
    }

    /// Solves y·Lᵀ = pull and gives y / L[i, i].
    fn solved_pull(&self) -> Vec<Wide> {
        let n = self.factors.n;
        let mut v = self.pull.clone();
        let row = |m: usize| &self.factors.factor[m * n..(m + 1) * n];
        for m0 in (0..n).step_by(4) {
            let m1 = (m0 + 4).min(n);
            for m in m0..m1 {
                for k in m + 1..m1 {
                    v[k] = sub(v[k], scaled(v[m], row(m)[k]));
                }
            }
            if m1 < n {
                let rows = std::array::from_fn(|r| &row(m0 + r)[m1..]);
                let t = std::array::from_fn(|r| v[m0 + r]);
                eliminate(self.isa, rows, t, &mut v[m1..]);
            }
        }
        for (x, &pivot) in v.iter_mut().zip(&self.factors.pivot) {
            *x = scaled(*x, (1.0 / pivot) as f32);
        }
        v
    }

    pub(super) fn starts(&self) -> Vec<Wide> {
        if self.start.is_empty() {
            vec![ZERO; self.factors.n]
        } else {
            self.start.clone()
        }
    }

    pub(super) fn round(&mut self, i: usize, x: Wide) {
        let g = self.factors.column[i] / self.group;
        for h in 0..2 {
            let fitted = Fitted { step: self.step[g][h], zero: self.zero[g][h] };
            let value = self.target.grid(self.format, fitted).snap(x[h] / fitted.step);
            self.code[i][h] = value;
            self.e[i][h] = self.w[i][h] - value * self.step[g][h];
        }
    }

    pub(super) fn pull_at(&self, i: usize) -> Wide {
        if self.pull.is_empty() {
            ZERO
        } else {
            scaled(self.pull[i], (1.0 / self.factors.diagonal[i]) as f32)
        }
    }

    /// Sets the scale of each group to its least-squares value under the codes as they are, group after group.
    pub fn rescale(&mut self) {
        self.through.clear();
        let n = self.factors.n;
        let mut members = vec![Vec::new(); self.step.len()];
        for (i, &c) in self.factors.column.iter().enumerate() {
            members[c / self.group].push(i);
        }
        for (g, members) in members.iter().enumerate() {
            let mut slope = vec![ZERO; members.len()];
            dots_of(self.isa, &self.factors.hessian, members, 0, n, &self.e, &mut slope);
            let (mut along, mut curve) = ([0.0f64; 16], [0.0f64; 16]);
            for (&i, &s) in members.iter().zip(&slope) {
                let h = &self.factors.hessian[i * n..(i + 1) * n];
                let bend = members.iter().fold(ZERO, |b, &j| add(b, scaled(self.code[j], h[j])));
                let (a, b) = (mul(self.code[i], add(s, self.pull_at(i))), mul(self.code[i], bend));
                for lane in 0..16 {
                    along[lane] += self.factors.diagonal[i] * f64::from(a[lane / 8].0[lane % 8]);
                    curve[lane] += self.factors.diagonal[i] * f64::from(b[lane / 8].0[lane % 8]);
                }
            }
            for lane in 0..16 {
                let step = &mut self.step[g][lane / 8].0[lane % 8];
                let best = f64::from(*step) + along[lane] / curve[lane];
                let rounded = self.target.scale.round(best as f32);
                let nearer = (f64::from(rounded) - best).abs() < (f64::from(*step) - best).abs();
                if curve[lane] > 0.0 && best.is_finite() && nearer && (rounded > 0.0) == (*step > 0.0) {
                    *step = rounded;
                }
            }
            for &i in members {
                self.e[i] = sub(self.w[i], mul(self.code[i], self.step[g]));
            }
        }
    }

    fn carried(&self) -> Vec<Wide> {
        let n = self.factors.n;
        let mut through = self.starts();
        for first in (0..n).step_by(BLOCK) {
            let rows: Vec<usize> = (first..(first + BLOCK).min(n)).collect();
            dots_of(self.isa, &self.factors.factor, &rows, first, n, &self.e, &mut through[first..first + rows.len()]);
        }
        through
    }

    /// Of each row: the loss |e·L + y|² (damped), Σ(w − ŵ)², Σw².
    pub fn sums(&self) -> [[f64; 3]; 16] {
        let n = self.factors.n;
        let mut out = [[0.0; 3]; 16];
        let through = if self.through.is_empty() { self.carried() } else { self.through.clone() };
        for i in 0..n {
            let t = add(through[i], self.e[i]);
            for (lane, sums) in out.iter_mut().enumerate() {
                let of = |v: &Wide| f64::from(v[lane / 8].0[lane % 8]).powi(2);
                sums[0] += self.factors.pivot[i] * of(&t);
                sums[1] += of(&self.e[i]);
                sums[2] += of(&self.w[i]);
            }
        }
        out
    }

    /// The code of `lane` at each position, as a byte.
    pub fn codes(&self, lane: usize) -> impl Iterator<Item = (usize, u8)> + '_ {
        let (h, l) = (lane / 8, lane % 8);
        self.factors.column.iter().zip(&self.code).map(move |(&column, value)| {
            let zero = self.zero[column / self.group][h].0[l];
            let grid = IntGrid::new(self.format, self.zero[column / self.group][h]);
            (column, grid.code(value[h].0[l], zero) as u8)
        })
    }
}
