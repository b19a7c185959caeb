//! softmax(rope(q)·rope(k)ᵀ·scale + bias)·v over a cache of keys and values; query heads share key heads in groups.
//!
//! Two passes: [`append`] writes what is new in the cache of one key head, [`attend`] computes some rows of one key head's group.

use crate::isa::dispatch;
use crate::math::{exp, largest, sum};
use crate::simd::Simd;
use crate::Isa;
use std::ops::Range;

/// Keys side by side in a panel.
const KEYS: usize = 32;
/// A bias below it masks: a visible key's score cannot be so low that the masked one counts.
const MASKED: f32 = -1e20;

/// Sizes and inputs of one call. Rows of q are [batch, new, heads, dim], of k and v [batch, new, kv_heads, dim].
#[derive(Debug, Clone, Copy)]
pub struct Attention<'a> {
    pub batch: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub dim: usize,
    pub past: usize,
    pub new: usize,
    pub scale: f32,
    pub q: &'a [f32],
    pub k: &'a [f32],
    pub v: &'a [f32],
    /// Cosines and sines [batch or 1, new, dim]; empty: no rotary embedding. Element i turns with element i ± dim / 2.
    pub cos: &'a [f32],
    pub sin: &'a [f32],
    /// Added to scores, broadcast to [batch, heads, new, past + new]; empty: nothing.
    pub bias: &'a [f32],
    /// Steps of the bias along those axes; 0 where it is one wide.
    pub bias_steps: [usize; 4],
}

impl Attention<'_> {
    pub fn total(&self) -> usize {
        self.past + self.new
    }
    /// Rows of one key head: positions × query heads of its group.
    pub fn rows(&self) -> usize {
        self.new * self.heads / self.kv_heads
    }
    /// Elements of the whole cache of keys, or of values.
    pub fn cache(&self) -> usize {
        self.batch * self.kv_heads * self.total() * self.dim
    }

    /// Errors: what does not fit, in words.
    pub fn check(&self) -> Result<(), String> {
        let same = |what: &str, want: Option<usize>, have: usize| match want {
            Some(want) if want == have => Ok(()),
            _ => Err(format!("{what} has {have} elements, which does not fit {self}")),
        };
        if self.heads == 0 || self.kv_heads == 0 || self.heads % self.kv_heads != 0 || self.dim == 0 {
            return Err(format!("{} heads cannot share {} key heads of size {}", self.heads, self.kv_heads, self.dim));
        }
        let product = |sizes: &[usize]| sizes.iter().try_fold(1usize, |n, &s| n.checked_mul(s));
        let total = self.past.checked_add(self.new);
        total.and_then(|t| product(&[self.batch, self.heads, t, self.dim, 4])).ok_or("sizes are too large")?;
        let (b, kv, d) = (self.batch, self.kv_heads, self.dim);
        same("q", product(&[b, self.new, self.heads, d]), self.q.len())?;
        same("k", product(&[b, self.new, kv, d]), self.k.len())?;
        same("v", product(&[b, self.new, kv, d]), self.v.len())?;
        if !self.cos.is_empty() {
            if d % 2 != 0 {
                return Err(format!("a rotary embedding needs an even head size, not {d}"));
            }
            let batches = if self.cos.len() == self.new * d { 1 } else { b };
            same("cos", product(&[batches, self.new, d]), self.cos.len())?;
            same("sin", product(&[batches, self.new, d]), self.sin.len())?;
        }
        if !self.bias.is_empty() {
            let sizes = [b, self.heads, self.new, self.total()];
            let last: usize = sizes.iter().zip(self.bias_steps).map(|(&n, step)| n.saturating_sub(1) * step).sum();
            if last >= self.bias.len() {
                return Err(format!("the bias has {} elements, which does not fit {self}", self.bias.len()));
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn angles(&self, b: usize, position: usize) -> Option<(&[f32], &[f32])> {
        if self.cos.is_empty() {
            return None;
        }
        let b = if self.cos.len() == self.new * self.dim { 0 } else { b };
        let at = (b * self.new + position) * self.dim;
        Some((&self.cos[at..at + self.dim], &self.sin[at..at + self.dim]))
    }
}

impl std::fmt::Display for Attention<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Attention { batch, heads, kv_heads, dim, past, new, .. } = self;
        write!(f, "batch {batch}, {new} new and {past} past positions, {heads} heads, {kv_heads} key heads of size {dim}")
    }
}

/// The new keys (turned) and values of key head `head` of batch `b`, [new, dim] each.
pub fn append(isa: Isa, a: &Attention, b: usize, head: usize, keys: &mut [f32], values: &mut [f32]) {
    let len = a.new * a.dim;
    assert!(isa.available() && a.check().is_ok() && b < a.batch && head < a.kv_heads && keys.len() == len && values.len() == len);
    // SAFETY: the machine has `isa`.
    unsafe { append_all(isa, a, b, head, keys, values) }
}
dispatch! { fn append_all(a: &Attention, b: usize, head: usize, keys: &mut [f32], values: &mut [f32]) = append_body }

#[inline(always)]
fn append_body<S>(a: &Attention, b: usize, head: usize, keys: &mut [f32], values: &mut [f32]) {
    let d = a.dim;
    for position in 0..a.new {
        let from = ((b * a.new + position) * a.kv_heads + head) * d;
        let to = position * d;
        turn(&a.k[from..from + d], a.angles(b, position), &mut keys[to..to + d]);
        values[to..to + d].copy_from_slice(&a.v[from..from + d]);
    }
}

/// x·cos + (−second half, first half)·sin, or x.
#[inline(always)]
fn turn(x: &[f32], angles: Option<(&[f32], &[f32])>, y: &mut [f32]) {
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

/// Rows `rows` (position · group + head of the group) of key head `head` of batch `b`; `keys` and `values` are that head's cache [total, dim].
/// A row without a key (all scores −∞) is 0.
#[allow(clippy::too_many_arguments)]
pub fn attend(isa: Isa, a: &Attention, b: usize, head: usize, rows: Range<usize>, keys: &[f32], values: &[f32], y: &Output) {
    let len = a.total() * a.dim;
    assert!(isa.available() && a.check().is_ok() && b < a.batch && head < a.kv_heads && keys.len() == len && values.len() == len);
    assert!(rows.end <= a.rows() && y.len() == a.q.len() && a.total() > 0);
    // SAFETY: sizes are checked, the machine has `isa`, tasks write rows of their own.
    unsafe { attend_rows(isa, a, b, head, rows, keys, values, y) }
}
dispatch! { fn attend_rows(a: &Attention, b: usize, head: usize, rows: Range<usize>, keys: &[f32], values: &[f32], y: &Output) = attend_body }

#[inline(always)]
unsafe fn attend_body<S: Simd>(a: &Attention, b: usize, head: usize, rows: Range<usize>, keys: &[f32], values: &[f32], y: &Output) {
    let (d, group, count) = (a.dim, a.heads / a.kv_heads, rows.len());
    let place = |row: usize| (row / group, head * group + row % group);
    let total = rows.clone().map(|row| visible(a, b, place(row))).max().unwrap_or(0);
    let (width, padded) = (total.next_multiple_of(KEYS), d.next_multiple_of(KEYS));
    // Turned queries, a panel of keys, scores, a result.
    let at: *mut f32 = crate::linear::scratch(4 * (count * d + KEYS * d + count * width + 12 * KEYS) + if d == padded { 0 } else { 4 * total * padded }).cast();
    let (panel, scores) = (at.add(count * d), at.add(count * d + KEYS * d));
    let result = scores.add(count * width);
    for (i, row) in rows.clone().enumerate() {
        let (position, h) = place(row);
        let from = ((b * a.new + position) * a.heads + h) * d;
        turn(&a.q[from..from + d], a.angles(b, position), std::slice::from_raw_parts_mut(at.add(i * d), d));
    }
    for first in (0..total).step_by(KEYS) {
        let n = KEYS.min(total - first);
        transpose(keys.as_ptr().add(first * d), n, d, panel);
        products::<S>(panel, KEYS, d, at, d, count, scores.add(first), width);
    }
    for (i, row) in rows.clone().enumerate() {
        soften(a, b, place(row), std::slice::from_raw_parts_mut(scores.add(i * width), total));
    }
    let (mut v, mut stride) = (values.as_ptr(), d);
    if d != padded {
        let copy = result.add(12 * KEYS);
        for k in 0..total {
            for i in 0..padded {
                *copy.add(k * padded + i) = if i < d { values[k * d + i] } else { 0.0 };
            }
        }
        (v, stride) = (copy, padded);
    }
    for column in (0..d).step_by(KEYS) {
        let n = KEYS.min(d - column);
        for from in (0..count).step_by(12) {
            let some = 12.min(count - from);
            products::<S>(v.add(column), stride, total, scores.add(from * width), width, some, result, KEYS);
            for i in 0..some {
                let (position, h) = place(rows.start + from + i);
                let to = y.at().add(((b * a.new + position) * a.heads + h) * d + column);
                std::ptr::copy_nonoverlapping(result.add(i * KEYS), to, n);
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

/// Rows of `n` keys as columns, 32 wide; what is missing is 0.
#[inline(always)]
unsafe fn transpose(keys: *const f32, n: usize, d: usize, to: *mut f32) {
    if n < KEYS {
        to.write_bytes(0, d * KEYS);
    }
    for i in 0..d {
        for k in 0..n {
            *to.add(i * KEYS + k) = *keys.add(k * d + i);
        }
    }
}

#[inline(always)]
unsafe fn bias_row<'a>(a: &Attention<'a>, b: usize, (position, head): (usize, usize)) -> Option<(*const f32, usize)> {
    let [sb, sh, sp, st] = a.bias_steps;
    (!a.bias.is_empty()).then(|| (a.bias.as_ptr().add(b * sb + head * sh + position * sp), st))
}

/// Keys up to the last that a row sees; all where it sees none.
#[inline(always)]
unsafe fn visible(a: &Attention, b: usize, place: (usize, usize)) -> usize {
    let Some((bias, step)) = bias_row(a, b, place) else { return a.total() };
    let mut n = a.total();
    // A NaN is not masked.
    while n > 0 && *bias.add((n - 1) * step) < MASKED {
        n -= 1;
    }
    if n == 0 { a.total() } else { n }
}

/// Scores to probabilities, in place.
#[inline(always)]
unsafe fn soften(a: &Attention, b: usize, place: (usize, usize), x: &mut [f32]) {
    match bias_row(a, b, place) {
        Some((bias, 1)) => {
            for (i, x) in x.iter_mut().enumerate() {
                *x = *x * a.scale + *bias.add(i);
            }
        }
        other => {
            let add = other.map_or(0.0, |(bias, _)| *bias);
            for x in x.iter_mut() {
                *x = *x * a.scale + add;
            }
        }
    }
    let most = largest(x);
    if most == f32::NEG_INFINITY {
        return x.fill(0.0);
    }
    for x in x.iter_mut() {
        *x = exp(*x - most);
    }
    let total = sum(x, |v| v);
    for x in x.iter_mut() {
        *x /= total;
    }
}
