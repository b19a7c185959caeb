//! Activations in int8: sums of a group in int32, groups added in order in float32.

use super::finish::{Finish, Row};
use super::{check, Results, Task};
use crate::isa::dispatch;
use crate::layout::{Weight, Zeros, COLUMNS, DEPTH};
use crate::simd::{codes, Simd};
use crate::tiles::{offset, Tiles, Tiling};
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
        int8(isa, w, x, columns, finish, y, panel, rows)
    }
}

dispatch! { fn int8(w: &Weight, x: &Tiles, columns: Option<&[i32]>, finish: &Finish, y: &Results, panel: usize, rows: Range<usize>) = int8_rows }

/// Σ_k (code − zero) of each group of `group` steps: [groups, 32] of one panel, of progressive weights with their steps.
pub fn column_sums(isa: Isa, w: &Weight, group: usize, panel: usize, to: &mut [i32]) {
    assert!(isa.available() && w.group % group == 0 && group % DEPTH == 0 && panel < w.panels() && to.len() == w.depth() / group * COLUMNS);
    // SAFETY: the sizes are checked, the machine has `isa`.
    unsafe { sum_columns(isa, w, group, panel, to) }
}
dispatch! { fn sum_columns(w: &Weight, group: usize, panel: usize, to: &mut [i32]) = sum_columns_of }

/// A panel as a pass over it reads it.
struct Pass<'a> {
    w: &'a Weight<'a>,
    x: &'a Tiles<'a>,
    columns: Option<&'a [i32]>,
    finish: &'a Finish<'a>,
    y: &'a Results<'a>,
    panel: usize,
    /// Codes that begin with this panel.
    at: *const u8,
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

#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn int8_rows<S: Simd>(w: &Weight, x: &Tiles, columns: Option<&[i32]>, finish: &Finish, y: &Results, panel: usize, rows: Range<usize>) {
    let mut pass = Pass { w, x, columns, finish, y, panel, at: w.codes.as_ptr().add(panel * w.panel()) };
    let cells = w.depth() / DEPTH;
    match w.bits {
        8 if x.lowest && S::OFFSET8 != 0 => return every_wide::<S>(&pass, rows),
        8 => return every_tile::<S, { codes::BYTES }>(&pass, rows),
        4 if w.steps.is_some() && rows.len() < FEW => return every_stepped::<S>(&pass, rows),
        4 if w.steps.is_none() && rows.len() < S::WIDEN => return every_tile::<S, { codes::HALVES }>(&pass, rows),
        bits if w.steps.is_none() && rows.len() == 1 => return with_planes!(bits, one_row::<S, _>(&pass, rows.start)),
        _ => {}
    }
    // The panel as bytes, in the second-level cache, serves all tiles.
    let bytes = super::scratch(cells * 128);
    with_planes!(w.bits, widen_panel::<S, _>(pass.at, cells, bytes));
    pass.at = bytes;
    if let Some(steps) = w.steps {
        for cell in 0..cells {
            step_up(bytes.add(cell * 128), w, (panel * w.groups() + cell * DEPTH / w.group) * COLUMNS, steps);
        }
        return every_whole::<S>(&pass, rows);
    }
    every_tile::<S, { codes::SMALL }>(&pass, rows)
}

/// From so many rows on progressive weights are widened to bytes: then a column has one sum.
const FEW: usize = 8;

#[inline(always)]
unsafe fn widen_panel<S: Simd, const CODES: u8>(from: *const u8, cells: usize, to: *mut u8) {
    for cell in 0..cells {
        S::widen::<CODES>(from.add(cell * codes::cell(CODES)), to.add(cell * 128));
    }
}

/// A cell of codes as (code − zero)·step + 128. `index`: of the numbers of its group.
#[inline(always)]
unsafe fn step_up(cell: *mut u8, w: &Weight, index: usize, steps: &[u8]) {
    for c in 0..COLUMNS {
        let (step, zero) = (*steps.get_unchecked(index + c), w.zero(index + c));
        for i in 4 * c..4 * c + 4 {
            *cell.add(i) = (*cell.add(i)).wrapping_sub(zero).wrapping_mul(step).wrapping_add(128);
        }
    }
}

/// Calls `$tile` for every tile of `$rows`, with its height as a constant; of those of 12 and 8 rows only where `$tall`.
macro_rules! every {
    ($pass:ident, $rows:ident, $s:ident, tall, $tile:ident [$($arg:ident)*]) => {
        every!(@ $pass, $rows, $s, $tile [$($arg)*] { 12 if $s::ROWS >= 12 => 12, 8 if $s::ROWS >= 8 => 8, 4 if $s::ROWS >= 4 => 4, 2 if $s::ROWS >= 2 => 2 })
    };
    ($pass:ident, $rows:ident, $s:ident, low, $tile:ident [$($arg:ident)*]) => {
        every!(@ $pass, $rows, $s, $tile [$($arg)*] { 4 if $s::ROWS >= 4 => 4, 2 if $s::ROWS >= 2 => 2 })
    };
    (@ $pass:ident, $rows:ident, $s:ident, $tile:ident $args:tt { $($height:literal if $has:expr => $r:literal),* }) => {{
        let mut row = $rows.start;
        while row < $rows.end {
            let height = $pass.x.tiling.height($rows.end - row);
            match height {
                $($height if $has => every!(% $tile, $s, $r, $args, $pass, row),)*
                _ => every!(% $tile, $s, 1, $args, $pass, row),
            }
            row += height;
        }
    }};
    (% $tile:ident, $s:ident, $r:literal, [$($arg:ident)*], $pass:ident, $row:ident) => { $tile::<$s, $r $(, $arg)*>($pass, $row) };
}

#[inline(always)]
unsafe fn every_tile<S: Simd, const CODES: u8>(pass: &Pass, rows: Range<usize>) {
    every!(pass, rows, S, tall, tile[CODES])
}
/// Of the sets for which codes of −128 make a difference: those of two rows.
#[inline(always)]
unsafe fn every_wide<S: Simd>(pass: &Pass, rows: Range<usize>) {
    const CODES: u8 = codes::WIDE;
    every!(pass, rows, S, low, tile[CODES])
}
#[inline(always)]
unsafe fn one_row<S: Simd, const CODES: u8>(pass: &Pass, row: usize) {
    tile::<S, 1, CODES>(pass, row)
}
#[inline(always)]
unsafe fn every_stepped<S: Simd>(pass: &Pass, rows: Range<usize>) {
    every!(pass, rows, S, low, stepped_tile[])
}
#[inline(always)]
unsafe fn every_whole<S: Simd>(pass: &Pass, rows: Range<usize>) {
    every!(pass, rows, S, tall, whole_tile[])
}

/// Sums of the products of one group, less both zero points. `each`: zero points of the weight, where it has one each column; `start` as tiles say.
#[inline(always)]
unsafe fn group_sums<S: Simd, const R: usize, const CODES: u8>(pass: &Pass, at: *const u8, row: usize, g: usize, each: Option<*const u8>, offset: i32) -> [S::Ints; R] {
    let x = pass.x;
    let a = x.codes.as_ptr().add(row * x.depth + g * x.group * R);
    let start = x.starts.as_ptr().add(row * x.groups() + g * R);
    let cells = x.group / DEPTH;
    let mut sums = match each {
        None => S::products::<R, CODES>(at, a, cells, start),
        Some(zeros) => {
            let mut sums = S::products::<R, CODES>(at, a, cells, [0i32; R].as_ptr());
            for (r, s) in sums.iter_mut().enumerate() {
                *s = S::less_each(*s, zeros, offset, *start.add(r));
            }
            sums
        }
    };
    if let (Some(zeros), Some(columns)) = (x.zeros, pass.columns) {
        let zeros = zeros.as_ptr().add(row * x.spans + g * x.spans / x.groups() * R);
        for (r, s) in sums.iter_mut().enumerate() {
            *s = S::less_ints(*s, columns.as_ptr().add(g * COLUMNS), *zeros.add(r));
        }
    }
    sums
}

#[inline(always)]
unsafe fn tile<S: Simd, const R: usize, const CODES: u8>(pass: &Pass, row: usize) {
    let Pass { w, x, .. } = pass;
    let bytes = x.group / DEPTH * codes::cell(CODES);
    let base = pass.panel * w.groups();
    let every = w.group / x.group;
    let offset = offset(x.tiling.isa, w.bits);
    let mut acc = [S::zero(); R];
    for g in 0..x.groups() {
        let index = (base + g / every) * COLUMNS;
        let each = match w.zeros {
            Zeros::One(_) => None,
            Zeros::Each(z) => Some(z.as_ptr().add(index)),
        };
        let sums = group_sums::<S, R, CODES>(pass, pass.at.add(g * bytes), row, g, each, offset);
        let scales = w.scales.as_ptr().add(index);
        if x.spans == 1 {
            for r in 0..R {
                acc[r] = S::add_scaled(acc[r], sums[r], scales);
            }
        } else {
            let by = x.scales.as_ptr().add(row * x.spans + g * x.spans / x.groups() * R);
            for r in 0..R {
                acc[r] = S::plus(acc[r], S::times(S::add_scaled(S::zero(), sums[r], scales), *by.add(r)));
            }
        }
    }
    write_rows::<S, R>(pass, acc, row)
}

/// Progressive weights, few rows: the sums of groups times their steps stay integers.
#[inline(always)]
unsafe fn stepped_tile<S: Simd, const R: usize>(pass: &Pass, row: usize) {
    let Pass { w, x, .. } = pass;
    let steps = w.steps.unwrap_unchecked();
    let bytes = x.group / DEPTH * codes::cell(codes::HALVES);
    let mut whole = [S::no_ints(); R];
    let same = [if let Zeros::One(z) = w.zeros { z } else { 0 }; COLUMNS];
    for g in 0..x.groups() {
        let index = (pass.panel * w.groups() + g) * COLUMNS;
        let zeros = match w.zeros {
            Zeros::One(_) => same.as_ptr(),
            Zeros::Each(z) => z.as_ptr().add(index),
        };
        let mut sums = S::products::<R, { codes::HALVES }>(
            pass.at.add(g * bytes),
            x.codes.as_ptr().add(row * x.depth + g * x.group * R),
            x.group / DEPTH,
            [0i32; R].as_ptr(),
        );
        let start = x.starts.as_ptr().add(row * x.groups() + g * R);
        for r in 0..R {
            sums[r] = S::less_each(sums[r], zeros, 0, *start.add(r));
            whole[r] = S::add_stepped(whole[r], sums[r], steps.as_ptr().add(index));
            if let (Some(zeros), Some(columns)) = (x.zeros, pass.columns) {
                whole[r] = S::less_ints(whole[r], columns.as_ptr().add(g * COLUMNS), zeros[row + r]);
            }
        }
    }
    finish_whole::<S, R>(pass, whole, row)
}

/// Progressive weights as bytes (code − zero)·step + 128: one sum a column.
#[inline(always)]
unsafe fn whole_tile<S: Simd, const R: usize>(pass: &Pass, row: usize) {
    let Pass { w, x, .. } = pass;
    let mut start = [0i32; R];
    for g in 0..x.groups() {
        for (r, s) in start.iter_mut().enumerate() {
            *s += (S::OFFSET8 - 128) * *x.starts.get_unchecked(row * x.groups() + g * R + r);
        }
    }
    let mut sums = S::products::<R, { codes::WIDE }>(pass.at, x.codes.as_ptr().add(row * x.depth), w.depth() / DEPTH, start.as_ptr());
    if let (Some(zeros), Some(columns)) = (x.zeros, pass.columns) {
        for g in 0..x.groups() {
            for r in 0..R {
                sums[r] = S::less_ints(sums[r], columns.as_ptr().add(g * COLUMNS), zeros[row + r]);
            }
        }
    }
    finish_whole::<S, R>(pass, sums, row)
}

#[inline(always)]
unsafe fn finish_whole<S: Simd, const R: usize>(pass: &Pass, sums: [S::Ints; R], row: usize) {
    let mut acc = [S::zero(); R];
    for r in 0..R {
        acc[r] = S::add_scaled(acc[r], sums[r], pass.w.scales.as_ptr().add(pass.panel * COLUMNS));
    }
    write_rows::<S, R>(pass, acc, row)
}

#[inline(always)]
unsafe fn write_rows<S: Simd, const R: usize>(pass: &Pass, acc: [S::Floats; R], row: usize) {
    for r in 0..R {
        let scaled = if pass.x.spans == 1 { S::times(acc[r], *pass.x.scales.get_unchecked(row + r)) } else { acc[r] };
        pass.finish.write::<S>(scaled, pass.y, Row { panel: pass.panel, row: row + r, n: pass.w.n });
    }
}

#[inline(always)]
unsafe fn sum_columns_of<S: Simd>(w: &Weight, group: usize, panel: usize, to: &mut [i32]) {
    if w.bits == 8 {
        return sum_planes::<S, { codes::BYTES }>(w, group, panel, to);
    }
    with_planes!(w.bits, sum_planes::<S, _>(w, group, panel, to))
}

#[inline(always)]
unsafe fn sum_planes<S: Simd, const CODES: u8>(w: &Weight, group: usize, panel: usize, to: &mut [i32]) {
    let ones = vec![1i8; group];
    let bytes = group / DEPTH * codes::cell(CODES);
    let taken = if w.bits == 8 { S::OFFSET8 } else { 0 };
    for (g, to) in to.chunks_exact_mut(COLUMNS).enumerate() {
        let [sums] = S::products::<1, CODES>(w.codes.as_ptr().add(panel * w.panel() + g * bytes), ones.as_ptr(), group / DEPTH, [0].as_ptr());
        S::store_ints(sums, to.as_mut_ptr());
        let index = (panel * w.groups() + g / (w.group / group)) * COLUMNS;
        for (c, sum) in to.iter_mut().enumerate() {
            // Padding has code 0, and no zero point to take off.
            *sum += taken * group as i32 - i32::from(w.zero(index + c)) * w.k.saturating_sub(g * group).min(group) as i32;
            if let Some(steps) = w.steps {
                *sum *= i32::from(steps[index + c]);
            }
        }
    }
}
