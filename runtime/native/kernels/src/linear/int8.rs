//! Activations in int8: sums of a group in int32, groups added in order in float32.

use super::{check, write, Output, Task};
use crate::isa::dispatch;
use crate::layout::{Weight, Zeros, COLUMNS, DEPTH};
use crate::simd::{codes, Simd};
use crate::tiles::{offset, Tiles, Tiling};
use crate::Isa;
use std::ops::Range;

/// y[m, n] = (Σ_g (Σ_k a·(code − zero))·scale[n, g])·s[m] + bias[n].
/// Panics where sizes do not fit. Two tasks of one panel that overlap in rows must not run at once.
pub fn int8_task(isa: Isa, w: &Weight, x: &Tiles, bias: Option<&[f32]>, y: &Output, task: &Task) {
    let count = x.scales.len();
    check(isa, w, bias, y, task, count);
    assert!(x.tiling == Tiling::of(isa, w.group) && x.depth == w.depth() && x.groups == w.groups());
    assert!(x.codes.len() == count * x.depth && x.starts.len() == count * x.groups);
    let border = |m: usize| m == count || m % Tiling::BORDER == 0;
    assert!(border(task.rows.start) && border(task.rows.end));
    let mut rows = task.rows.clone();
    // SAFETY: the sizes are checked, the machine has `isa`.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if x.tiling.step > 0 {
            rows.start = super::tall::rows(w, x, bias, y, task);
        }
        int8(isa, w, x, bias, y, task.panel, rows)
    }
}

dispatch! { fn int8(w: &Weight, x: &Tiles, bias: Option<&[f32]>, y: &Output, panel: usize, rows: Range<usize>) = int8_rows }

#[inline(always)]
unsafe fn int8_rows<S: Simd>(w: &Weight, x: &Tiles, bias: Option<&[f32]>, y: &Output, panel: usize, rows: Range<usize>) {
    let cells = w.depth() / DEPTH;
    let at = w.codes.as_ptr().add(panel * w.panel());
    if w.bits == 8 {
        return every_tile::<S, { codes::BYTES }>(w, x, bias, y, panel, rows, at);
    }
    if rows.len() < S::WIDEN {
        return every_tile::<S, { codes::HALVES }>(w, x, bias, y, panel, rows, at);
    }
    // The panel as bytes, in the second-level cache, serves all tiles.
    let bytes = super::scratch(cells * 128);
    for cell in 0..cells {
        S::widen(at.add(cell * 64), bytes.add(cell * 128));
    }
    every_tile::<S, { codes::SMALL }>(w, x, bias, y, panel, rows, bytes)
}

#[inline(always)]
unsafe fn every_tile<S: Simd, const CODES: u8>(w: &Weight, x: &Tiles, bias: Option<&[f32]>, y: &Output, panel: usize, rows: Range<usize>, at: *const u8) {
    let mut row = rows.start;
    while row < rows.end {
        let height = x.tiling.height(rows.end - row);
        match height {
            12 if S::ROWS >= 12 => tile::<S, 12, CODES>(w, x, bias, y, panel, row, at),
            8 if S::ROWS >= 8 => tile::<S, 8, CODES>(w, x, bias, y, panel, row, at),
            4 if S::ROWS >= 4 => tile::<S, 4, CODES>(w, x, bias, y, panel, row, at),
            2 if S::ROWS >= 2 => tile::<S, 2, CODES>(w, x, bias, y, panel, row, at),
            _ => tile::<S, 1, CODES>(w, x, bias, y, panel, row, at),
        }
        row += height;
    }
}

/// `at`: the panel's codes as CODES says.
#[inline(always)]
unsafe fn tile<S: Simd, const R: usize, const CODES: u8>(w: &Weight, x: &Tiles, bias: Option<&[f32]>, y: &Output, panel: usize, row: usize, at: *const u8) {
    let groups = w.groups();
    let cells = w.group / DEPTH;
    let cell = if CODES == codes::HALVES { 64 } else { 128 };
    let scales = w.scales.as_ptr().add(panel * groups * COLUMNS);
    let (a, starts) = (x.codes.as_ptr().add(row * x.depth), x.starts.as_ptr().add(row * groups));
    let offset = offset(x.tiling.isa, w.bits);
    let none = [0i32; R];
    let mut acc = [S::zero(); R];
    for g in 0..groups {
        let start = starts.add(g * R);
        let (at, a) = (at.add(g * cells * cell), a.add(g * w.group * R));
        let sums = match w.zeros {
            Zeros::One(_) => S::products::<R, CODES>(at, a, cells, start),
            Zeros::Each(z) => {
                let mut sums = S::products::<R, CODES>(at, a, cells, none.as_ptr());
                for (r, s) in sums.iter_mut().enumerate() {
                    *s = S::less_each(*s, z.as_ptr().add((panel * groups + g) * COLUMNS), offset, *start.add(r));
                }
                sums
            }
        };
        for r in 0..R {
            acc[r] = S::add_scaled(acc[r], sums[r], scales.add(g * COLUMNS));
        }
    }
    for r in 0..R {
        let scaled = S::times(acc[r], *x.scales.get_unchecked(row + r));
        write::<S>(w, scaled, bias, y, panel, row + r);
    }
}
