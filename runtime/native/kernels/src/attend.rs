//! softmax(q·kᵀ·scale + bias)·v for rows of queries; query heads share key heads in groups. Scores exist for a block of keys at a time: what was
//! summed under a smaller maximum is scaled down when a larger one comes.

mod queries;
mod softmax;

pub use queries::{Columns, Queries};

use crate::isa::dispatch;
use crate::simd::Simd;
use crate::transpose::transpose;
use crate::Isa;
use softmax::soften;
use std::ops::Range;

/// Keys side by side in a panel.
const KEYS: usize = 32;
/// Keys of a block: a panel of their values fits the first-level cache.
const BLOCK: usize = 256;
/// Elements between rows of scores beyond a block, so that the rows of a tile do not meet in the same sets of the cache.
const APART: usize = 16;
/// From so many rows on it pays to copy the values of a block to panels first.
const COPY: usize = 24;
/// Rows that are multiplied at once.
const TILE: usize = 12;

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
    let total = a.visible(b, rows.clone().map(place));
    let (block, padded) = (BLOCK.min(total.next_multiple_of(KEYS)), d.next_multiple_of(KEYS));
    let (pitch, panels) = (block + APART, d != padded || count >= COPY);
    // Turned queries, a panel of keys, scores, a result, sums, for each row its maximum, sum and last factor; values in panels.
    let floats = count * (d + pitch + padded + 3) + KEYS * d + TILE * KEYS + if panels { block * padded } else { 0 };
    let queries: *mut f32 = crate::linear::scratch(4 * floats).cast();
    let panel = queries.add(count * d);
    let scores = panel.add(KEYS * d);
    let result = scores.add(count * pitch);
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
            products::<S>(panel, KEYS, d, queries, d, count, scores.add(at), pitch);
        }
        for (i, row) in rows.clone().enumerate() {
            let bias = a.bias_row(b, place(row)).map(|(bias, step)| (bias.add(first * step), step));
            soften::<S>(a.scale, bias, std::slice::from_raw_parts_mut(scores.add(i * pitch), n), &mut state[i]);
        }
        let v = values.data.as_ptr().add(values.at + first * values.step);
        if panels {
            to_panels::<S>(v, values.step, n, d, copy);
        }
        for column in (0..d).step_by(KEYS) {
            let (v, stride) = if panels { (copy.add(column * n).cast_const(), KEYS) } else { (v.add(column), values.step) };
            if first == 0 {
                products::<S>(v, stride, n, scores, pitch, count, sums.add(column), padded);
                continue;
            }
            for from in (0..count).step_by(TILE) {
                let some = TILE.min(count - from);
                products::<S>(v, stride, n, scores.add(from * pitch), pitch, some, result, KEYS);
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
        let [_, total, _] = state[i];
        // No key: the largest weight of a key is 1.
        if total == 0.0 {
            to.fill(0.0);
        } else {
            for (y, x) in to.iter_mut().zip(from) {
                *y = x / total;
            }
        }
    }
}

/// Columns of v, `n` rows `step` apart, in panels of thirty-two, zeros behind the last.
#[inline(always)]
unsafe fn to_panels<S: Simd>(v: *const f32, step: usize, n: usize, d: usize, to: *mut f32) {
    for column in (0..d).step_by(KEYS) {
        let (panel, some) = (to.add(column * n), KEYS.min(d - column));
        for k in 0..n {
            let (from, to) = (v.add(k * step + column), panel.add(k * KEYS));
            if some == KEYS {
                S::store(S::load(from), to);
            } else {
                std::ptr::copy_nonoverlapping(from, to, some);
                to.add(some).write_bytes(0, KEYS - some);
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
