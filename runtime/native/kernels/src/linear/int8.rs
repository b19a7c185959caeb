//! Activations in int8: sums of a group in int32, groups added in order in float32 by FMA.

use super::finish::{Finish, Row};
use super::{check, chunks, few, Results, Task};
use crate::isa::dispatch;
use crate::layout::{Weight, Zeros, COLUMNS, DEPTH};
use crate::simd::{codes, Simd};
use crate::tiles::{Tiles, Tiling};
use crate::Isa;
use std::ops::Range;

/// y[m, n] = Σ_g (Σ_k (a − zero[m])·(code − zero))·scale[n, g]·s[m, g], finished. `columns`: [`column_sums`], where activations have zero points.
/// Panics where sizes do not fit. Two tasks of one panel that overlap in rows must not run at once.
pub fn int8_task(isa: Isa, w: &Weight, x: &Tiles, columns: &[i32], finish: &Finish, y: &Results, task: &Task) {
    let count = x.scales.len() / x.spans;
    check(isa, w, finish, y, task, count);
    assert!(x.tiling == Tiling::of(isa, x.group) && x.depth == w.depth() && x.depth % x.group == 0 && x.group % DEPTH == 0);
    assert!(x.codes.len() == count * x.depth && x.starts.len() == count * x.groups() && x.scales.len() == count * x.spans);
    assert!(w.group % x.group == 0 && x.groups() % x.spans == 0 && (w.steps.is_none() || (x.spans == 1 && x.group == w.group)));
    assert!(x.zeros.is_none_or(|z| z.len() == x.scales.len() && columns.len() == w.panels() * x.groups() * COLUMNS));
    let border = |m: usize| m == count || m % Tiling::BORDER == 0;
    assert!(border(task.rows.start) && border(task.rows.end));
    let panel = task.panel;
    #[cfg_attr(not(target_arch = "x86_64"), allow(unused_mut))]
    let mut rows = task.rows.clone();
    let columns = x.zeros.map(|_| &columns[panel * x.groups() * COLUMNS..]);
    // SAFETY: the sizes are checked, the machine has `isa`.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if x.tiling.step > 0 {
            rows.start = super::tall::rows(w, x, columns, finish, y, task);
        }
        int8(isa, &Pass { w, x, columns, finish, y, panel }, rows)
    }
}

dispatch! { fn int8(pass: &Pass, rows: Range<usize>) = int8_rows }

/// What a pass over a panel reads and writes.
pub(super) struct Pass<'a> {
    pub w: &'a Weight<'a>,
    pub x: &'a Tiles<'a>,
    pub columns: Option<&'a [i32]>,
    pub finish: &'a Finish<'a>,
    pub y: &'a Results<'a>,
    pub panel: usize,
}

/// Runs `$each` with CODES for the planes of a width.
macro_rules! with_planes {
    ($bits:expr, $each:ident::<$s:ident, _>($($arg:expr),*)) => {
        match $bits {
            2 => $each::<$s, 2>($($arg),*),
            3 => $each::<$s, 3>($($arg),*),
            4 => $each::<$s, 4>($($arg),*),
            5 => $each::<$s, 5>($($arg),*),
            6 => $each::<$s, 6>($($arg),*),
            _ => $each::<$s, 7>($($arg),*),
        }
    };
}
pub(super) use with_planes;

/// Calls `$tile` for every tile of `$rows`, with its height as a constant.
macro_rules! each_tile {
    ($s:ident, $tiling:expr, $rows:expr, $tile:ident::<_ $(, $arg:ident)*>($($p:expr),*)) => {{
        let mut row = $rows.start;
        while row < $rows.end {
            let height = $tiling.height($rows.end - row);
            match height {
                12 if $s::ROWS >= 12 => $tile::<$s, 12 $(, $arg)*>($($p,)* row),
                8 if $s::ROWS >= 8 => $tile::<$s, 8 $(, $arg)*>($($p,)* row),
                4 if $s::ROWS >= 4 => $tile::<$s, 4 $(, $arg)*>($($p,)* row),
                2 if $s::ROWS >= 2 => $tile::<$s, 2 $(, $arg)*>($($p,)* row),
                _ => $tile::<$s, 1 $(, $arg)*>($($p,)* row),
            }
            row += height;
        }
    }};
}
pub(super) use each_tile;

/// From so many rows on progressive weights are widened to bytes: then a column has one sum.
const FEW: usize = 8;

#[inline(always)]
unsafe fn int8_rows<S: Simd>(pass: &Pass, rows: Range<usize>) {
    match (pass.w.bits, rows.len()) {
        (_, 0) => {}
        (_, count) if pass.w.steps.is_some() => if count < FEW { few::stepped::<S>(pass, rows) } else { chunks::rows::<S, { codes::WIDE }>(pass, rows) },
        (8, count) if pass.x.lowest && S::OFFSET8 != 0 => {
            if count < S::WIDEN { few::tiles::<S, { codes::WIDE }>(pass, rows) } else { chunks::rows::<S, { codes::WIDE }>(pass, rows) }
        }
        (8, count) if count < S::WIDEN => few::tiles::<S, { codes::BYTES }>(pass, rows),
        (8, _) => chunks::rows::<S, { codes::BYTES }>(pass, rows),
        (4, count) if count < S::WIDEN => few::tiles::<S, { codes::HALVES }>(pass, rows),
        (bits, 1) => with_planes!(bits, one_row::<S, _>(pass, rows.start)),
        _ => chunks::rows::<S, { codes::SMALL }>(pass, rows),
    }
}

#[inline(always)]
unsafe fn one_row<S: Simd, const CODES: u8>(pass: &Pass, row: usize) {
    few::tile::<S, 1, CODES>(pass, row)
}

impl Pass<'_> {
    /// What the sums of a group begin with.
    #[inline(always)]
    pub unsafe fn starts<S: Simd, const R: usize>(&self, row: usize, g: usize) -> [S::Ints; R] {
        let mut sums = [S::same(0); R];
        if let Zeros::One(_) = self.w.zeros {
            let start = self.x.starts.as_ptr().add(row * self.x.groups() + g * R);
            for (r, s) in sums.iter_mut().enumerate() {
                *s = S::same(*start.add(r));
            }
        }
        sums
    }

    /// acc + (sums of group g, less the zero points)·scales; `index`: of the scales.
    #[inline(always)]
    pub unsafe fn scaled<S: Simd, const R: usize>(&self, acc: [S::Floats; R], sums: [S::Ints; R], row: usize, g: usize, index: usize) -> [S::Floats; R] {
        let Pass { w, x, .. } = self;
        let (mut acc, mut sums) = (acc, sums);
        if let Zeros::Each(z) = w.zeros {
            let start = x.starts.as_ptr().add(row * x.groups() + g * R);
            let offset = if w.bits == 8 { S::OFFSET8 } else { 0 };
            for (r, s) in sums.iter_mut().enumerate() {
                *s = S::less_each(*s, z.as_ptr().add(index), offset, *start.add(r));
            }
        }
        let span = row * x.spans + g * x.spans / x.groups() * R;
        if let (Some(zeros), Some(columns)) = (x.zeros, self.columns) {
            for (r, s) in sums.iter_mut().enumerate() {
                *s = S::less_ints(*s, columns.as_ptr().add(g * COLUMNS), *zeros.as_ptr().add(span + r));
            }
        }
        let scales = S::load(w.scales.as_ptr().add(index));
        for r in 0..R {
            let part = S::to_floats(sums[r]);
            acc[r] = if x.spans == 1 {
                S::fused(acc[r], part, scales)
            } else {
                S::plus(acc[r], S::times(S::fused(S::zero(), part, scales), *x.scales.as_ptr().add(span + r)))
            };
        }
        acc
    }

    /// Finishes the rows of a tile.
    #[inline(always)]
    pub unsafe fn write<S: Simd, const R: usize>(&self, acc: [S::Floats; R], row: usize) {
        for r in 0..R {
            let scaled = if self.x.spans == 1 { S::times(acc[r], *self.x.scales.get_unchecked(row + r)) } else { acc[r] };
            self.finish.write::<S>(scaled, self.y, Row { panel: self.panel, row: row + r, n: self.w.n });
        }
    }
}
