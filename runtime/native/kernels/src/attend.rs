//! softmax(q·kᵀ·scale + bias)·v for rows of queries; query heads share key heads in groups. Scores exist for a block of keys at a time: what was
//! summed under a smaller maximum is scaled down when a larger one comes.

use crate::isa::dispatch;
use crate::math::{exp, largest, sum};
use crate::simd::Simd;
use crate::transpose::transpose;
use crate::Isa;
use std::ops::Range;

/// Keys side by side in a panel.
const KEYS: usize = 32;
/// Keys of a block.
const BLOCK: usize = 512;
/// A bias below it masks: a visible key's score cannot be so low that the masked one counts.
const MASKED: f32 = -1e20;
/// Rows that are multiplied at once.
const TILE: usize = 12;

/// A part of the columns of a matrix: row i begins at element at + i·step.
#[derive(Debug, Clone, Copy)]
pub struct Columns<'a> {
    pub data: &'a [f32],
    pub step: usize,
    pub at: usize,
}

impl<'a> Columns<'a> {
    /// Rows of `width`, whole.
    pub fn whole(data: &'a [f32], width: usize) -> Columns<'a> {
        Columns { data, step: width, at: 0 }
    }
    /// The same columns moved by `by` elements.
    pub fn from(self, by: usize) -> Columns<'a> {
        Columns { at: self.at + by, ..self }
    }
    /// Are there `rows` rows with `width` elements each?
    pub fn holds(&self, rows: usize, width: usize) -> bool {
        let end = rows.saturating_sub(1).checked_mul(self.step).and_then(|n| n.checked_add(self.at)?.checked_add(width));
        rows == 0 || end.is_some_and(|n| n <= self.data.len())
    }
    #[inline(always)]
    fn row(&self, i: usize, width: usize) -> &'a [f32] {
        let at = self.at + i * self.step;
        &self.data[at..at + width]
    }
}

/// Sizes and queries of one call. Rows of q are [batch · new], its columns [heads, dim].
#[derive(Debug, Clone, Copy)]
pub struct Queries<'a> {
    pub batch: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub dim: usize,
    /// Queries of a sequence.
    pub new: usize,
    /// Its keys.
    pub total: usize,
    pub scale: f32,
    pub q: Columns<'a>,
    /// Cosines and sines [batch or 1, new, dim]; empty: no rotary embedding. Element i turns with element i ± dim / 2.
    pub cos: &'a [f32],
    pub sin: &'a [f32],
    /// Added to scores, broadcast to [batch, heads, new, total]; empty: nothing.
    pub bias: &'a [f32],
    /// Steps of the bias along those axes; 0 where it is one wide.
    pub bias_steps: [usize; 4],
}

impl<'a> Queries<'a> {
    /// Rows of one key head: positions × query heads of its group.
    pub fn rows(&self) -> usize {
        self.new * self.heads / self.kv_heads
    }

    /// Errors: what does not fit, in words.
    pub fn check(&self) -> Result<(), String> {
        if self.heads == 0 || self.kv_heads == 0 || self.heads % self.kv_heads != 0 || self.dim == 0 {
            return Err(format!("{} heads cannot share {} key heads of size {}", self.heads, self.kv_heads, self.dim));
        }
        let product = |sizes: &[usize]| sizes.iter().try_fold(1usize, |n, &s| n.checked_mul(s));
        let most = self.total.checked_add(self.new);
        let rows = most.and_then(|t| product(&[self.batch, self.heads, t, self.dim, 4])).map(|_| self.batch * self.new);
        let (b, d) = (self.batch, self.dim);
        if !self.q.holds(rows.ok_or("sizes are too large")?, self.heads * d) {
            return Err(format!("q has {} elements, which does not fit {self}", self.q.data.len()));
        }
        if !self.cos.is_empty() {
            if d % 2 != 0 {
                return Err(format!("a rotary embedding needs an even head size, not {d}"));
            }
            let batches = if self.cos.len() == self.new * d { 1 } else { b };
            for (name, x) in [("cos", self.cos), ("sin", self.sin)] {
                if x.len() != batches * self.new * d {
                    return Err(format!("{name} has {} elements, which does not fit {self}", x.len()));
                }
            }
        }
        if !self.bias.is_empty() {
            let sizes = [b, self.heads, self.new, self.total];
            let last: usize = sizes.iter().zip(self.bias_steps).map(|(&n, step)| n.saturating_sub(1) * step).sum();
            if last >= self.bias.len() {
                return Err(format!("the bias has {} elements, which does not fit {self}", self.bias.len()));
            }
        }
        Ok(())
    }

    #[inline(always)]
    pub(crate) fn angles(&self, b: usize, position: usize) -> Option<(&'a [f32], &'a [f32])> {
        if self.cos.is_empty() {
            return None;
        }
        let b = if self.cos.len() == self.new * self.dim { 0 } else { b };
        let at = (b * self.new + position) * self.dim;
        Some((&self.cos[at..at + self.dim], &self.sin[at..at + self.dim]))
    }

    #[inline(always)]
    unsafe fn bias_row(&self, b: usize, (position, head): (usize, usize)) -> Option<(*const f32, usize)> {
        let [sb, sh, sp, st] = self.bias_steps;
        (!self.bias.is_empty()).then(|| (self.bias.as_ptr().add(b * sb + head * sh + position * sp), st))
    }

    /// Keys up to the last that a row sees; all where it sees none.
    #[inline(always)]
    unsafe fn visible(&self, b: usize, place: (usize, usize)) -> usize {
        let Some((bias, step)) = self.bias_row(b, place) else { return self.total };
        let mut n = self.total;
        // A NaN is not masked.
        while n > 0 && *bias.add((n - 1) * step) < MASKED {
            n -= 1;
        }
        if n == 0 { self.total } else { n }
    }
}

impl std::fmt::Display for Queries<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Queries { batch, heads, kv_heads, dim, new, total, .. } = self;
        write!(f, "batch {batch}, {new} queries and {total} keys, {heads} heads, {kv_heads} key heads of size {dim}")
    }
}

/// x·cos + (−second half, first half)·sin, or x.
#[inline(always)]
pub(crate) fn turn(x: &[f32], angles: Option<(&[f32], &[f32])>, y: &mut [f32]) {
    let Some((cos, sin)) = angles else { return y.copy_from_slice(x) };
    let (low, high) = x.split_at(x.len() / 2);
    let (ylow, yhigh) = y.split_at_mut(low.len());
    let ((clow, chigh), (slow, shigh)) = (cos.split_at(low.len()), sin.split_at(low.len()));
    for i in 0..low.len() {
        ylow[i] = low[i] * clow[i] + -high[i] * slow[i];
        yhigh[i] = high[i] * chigh[i] + low[i] * shigh[i];
    }
}

/// Where the rows of y [batch, new, heads, dim] go, written by several tasks at once.
pub type Output<'a> = crate::linear::Output<'a>;

/// Rows `rows` (position · group + head of the group) of key head `head` of batch `b`; `keys` and `values` are that head's, `total` rows of dim.
/// A row without a key (all scores −∞) is 0. Panics where sizes do not fit.
#[allow(clippy::too_many_arguments)]
pub fn attend(isa: Isa, a: &Queries, b: usize, head: usize, rows: Range<usize>, keys: Columns, values: Columns, y: &Output) {
    assert!(isa.available() && a.check().is_ok() && b < a.batch && head < a.kv_heads && a.total > 0);
    assert!([keys, values].iter().all(|x| x.holds(a.total, a.dim) && (a.total == 1 || x.step >= a.dim)));
    assert!(rows.end <= a.rows() && y.len() == a.batch * a.new * a.heads * a.dim);
    // SAFETY: sizes are checked, the machine has `isa`, tasks write rows of their own.
    unsafe { attend_rows(isa, a, b, head, rows, keys, values, y) }
}
dispatch! { fn attend_rows(a: &Queries, b: usize, head: usize, rows: Range<usize>, keys: Columns, values: Columns, y: &Output) = attend_body }

#[inline(always)]
unsafe fn attend_body<S: Simd>(a: &Queries, b: usize, head: usize, rows: Range<usize>, keys: Columns, values: Columns, y: &Output) {
    let (d, group, count) = (a.dim, a.heads / a.kv_heads, rows.len());
    let place = |row: usize| (row / group, head * group + row % group);
    let total = rows.clone().map(|row| a.visible(b, place(row))).max().unwrap_or(0);
    let (width, padded) = (BLOCK.min(total.next_multiple_of(KEYS)), d.next_multiple_of(KEYS));
    // Turned queries, a panel of keys, scores, a result, sums, for each row its maximum, sum and last factor; values where they are not whole panels.
    let copied = if d == padded { 0 } else { width * padded };
    let floats = count * (d + width + padded + 3) + KEYS * d + TILE * KEYS + copied;
    let queries: *mut f32 = crate::linear::scratch(4 * floats).cast();
    let panel = queries.add(count * d);
    let scores = panel.add(KEYS * d);
    let result = scores.add(count * width);
    let sums = result.add(TILE * KEYS);
    let state = std::slice::from_raw_parts_mut(sums.add(count * padded).cast::<[f32; 3]>(), count);
    let copy = sums.add(count * (padded + 3));
    for (i, row) in rows.clone().enumerate() {
        let (position, h) = place(row);
        let x = a.q.from(h * d).row(b * a.new + position, d);
        turn(x, a.angles(b, position), std::slice::from_raw_parts_mut(queries.add(i * d), d));
        state[i] = [f32::NEG_INFINITY, 0.0, 0.0];
    }
    for first in (0..total).step_by(BLOCK) {
        let n = BLOCK.min(total - first);
        for at in (0..n).step_by(KEYS) {
            let some = KEYS.min(n - at);
            if some < KEYS {
                panel.write_bytes(0, d * KEYS);
            }
            transpose(keys.data.as_ptr().add(keys.at + (first + at) * keys.step), keys.step, some, d, panel, KEYS);
            products::<S>(panel, KEYS, d, queries, d, count, scores.add(at), width);
        }
        for (i, row) in rows.clone().enumerate() {
            let bias = a.bias_row(b, place(row)).map(|(bias, step)| (bias.add(first * step), step));
            soften(a.scale, bias, std::slice::from_raw_parts_mut(scores.add(i * width), n), &mut state[i]);
        }
        let (mut v, mut stride) = (values.data.as_ptr().add(values.at + first * values.step), values.step);
        if d != padded {
            for k in 0..n {
                std::ptr::copy_nonoverlapping(v.add(k * stride), copy.add(k * padded), d);
                copy.add(k * padded + d).write_bytes(0, padded - d);
            }
            (v, stride) = (copy, padded);
        }
        for column in (0..d).step_by(KEYS) {
            if first == 0 {
                products::<S>(v.add(column), stride, n, scores, width, count, sums.add(column), padded);
                continue;
            }
            for from in (0..count).step_by(TILE) {
                let some = TILE.min(count - from);
                products::<S>(v.add(column), stride, n, scores.add(from * width), width, some, result, KEYS);
                for i in 0..some {
                    let to = sums.add((from + i) * padded + column);
                    S::store(S::plus(S::times(S::load(to), state[from + i][2]), S::load(result.add(i * KEYS))), to);
                }
            }
        }
    }
    for (i, row) in rows.enumerate() {
        let (position, h) = place(row);
        let to = std::slice::from_raw_parts_mut(y.at().add(((b * a.new + position) * a.heads + h) * d), d);
        let from = std::slice::from_raw_parts(sums.add(i * padded), d);
        let [most, total, _] = state[i];
        if most == f32::NEG_INFINITY {
            to.fill(0.0);
        } else {
            for (y, x) in to.iter_mut().zip(from) {
                *y = x / total;
            }
        }
    }
}

/// to[row, 0..32] = Σ_k x[row, k]·w[k, 0..32] for `count` rows.
#[allow(clippy::too_many_arguments)]
#[inline(always)]
unsafe fn products<S: Simd>(w: *const f32, stride: usize, depth: usize, x: *const f32, step: usize, count: usize, to: *mut f32, to_step: usize) {
    let mut row = 0;
    macro_rules! tiles {
        ($($n:literal)*) => {$(
            while S::ROWS >= $n && row + $n <= count {
                let mut a = [x; $n];
                for (r, a) in a.iter_mut().enumerate() {
                    *a = x.add((row + r) * step);
                }
                let sums = S::dot::<$n>(w, stride, a, 1, depth);
                for (r, s) in sums.into_iter().enumerate() {
                    S::store(s, to.add((row + r) * to_step));
                }
                row += $n;
            }
        )*};
    }
    tiles!(12 8 4 2 1);
}

/// Products to e^(score − maximum), in place. `state`: the maximum and the sum so far, and what earlier sums are worth under the new maximum.
#[inline(always)]
unsafe fn soften(scale: f32, bias: Option<(*const f32, usize)>, x: &mut [f32], state: &mut [f32; 3]) {
    match bias {
        Some((bias, 1)) => {
            for (i, x) in x.iter_mut().enumerate() {
                *x = *x * scale + *bias.add(i);
            }
        }
        other => {
            let add = other.map_or(0.0, |(bias, _)| *bias);
            for x in x.iter_mut() {
                *x = *x * scale + add;
            }
        }
    }
    let [before, summed, _] = *state;
    let most = largest(x);
    // A NaN stays.
    let most = if most > before || most.is_nan() { most } else { before };
    if most == f32::NEG_INFINITY {
        *state = [most, 0.0, 0.0];
        return x.fill(0.0);
    }
    for x in x.iter_mut() {
        *x = exp(*x - most);
    }
    let worth = exp(before - most);
    *state = [most, summed * worth + sum(x, |v| v), worth];
}
