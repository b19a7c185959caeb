//! Float activations: pieces of the weight are unpacked to floats, in the first-level cache, and serve all rows; one row multiplies them as they are unpacked.

use super::finish::{Finish, Row};
use super::int8::each_tile;
use super::{check, scratch, Results, Task};
use crate::isa::dispatch;
use crate::layout::{Coding, Weight, Zeros, COLUMNS, DEPTH, E2M1};
use crate::simd::{codes, Simd};
use crate::tiles::Tiling;
use crate::Isa;
use std::ops::Range;

/// y[m, n] = Σ_c (Σ_{k in c} x·w)·scale[n, g] in float32 by FMA, finished; w: code − zero, or the float that a code stands for; c: pieces of a group
/// of at most 128, in order. `x`: rows in tiles ([`pack_floats`]). Panics where sizes do not fit.
pub fn float_task(isa: Isa, w: &Weight, x: &[f32], finish: &Finish, y: &Results, task: &Task) {
    let count = x.len() / w.k;
    check(isa, w, finish, y, task, count);
    assert!(x.len() % w.k == 0);
    let border = |m: usize| m == count || m % Tiling::BORDER == 0;
    assert!(border(task.rows.start) && border(task.rows.end));
    if task.rows.is_empty() {
        return;
    }
    // SAFETY: the sizes are checked, the machine has `isa`.
    unsafe { float(isa, &Pass { w, x, tiling: tiling(isa), finish, y, panel: task.panel }, task.rows.clone()) }
}

dispatch! { fn float(pass: &Pass, rows: Range<usize>) = float_rows }

/// Float rows have no tile registers.
pub(super) fn tiling(isa: Isa) -> Tiling {
    Tiling { isa: isa.below_tiles(), step: 0 }
}

/// Puts the rows of the tile that begins with row 0 of `x` (of `k`) side by side: [k, height]. Gives its height; what remains is for the next call.
/// One row lies as it is.
pub fn pack_floats(isa: Isa, x: &[f32], k: usize, to: &mut [f32]) -> usize {
    let height = tiling(isa).height(x.len() / k);
    assert!(x.len() >= height * k && to.len() >= height * k);
    // NarrowScales of steps: what is written stays in the first-level cache.
    const BLOCK: usize = 128;
    for from in (0..k).step_by(BLOCK) {
        let block = from..k.min(from + BLOCK);
        let to = &mut to[from * height..block.end * height];
        for (r, row) in x.chunks_exact(k).take(height).enumerate() {
            for (to, v) in to.iter_mut().skip(r).step_by(height).zip(&row[block.clone()]) {
                *to = *v;
            }
        }
    }
    height
}

struct Pass<'a> {
    w: &'a Weight<'a>,
    x: &'a [f32],
    tiling: Tiling,
    finish: &'a Finish<'a>,
    y: &'a Results<'a>,
    panel: usize,
}

/// Steps whose products are summed before they are scaled: bounds the rounding error, and fits the first-level cache.
const PIECE: usize = 128;
/// Pieces that one row multiplies side by side: a product waits four cycles for the one before.
const STREAMS: usize = 4;

/// Runs `$each` with CODES for how the codes are read.
macro_rules! with_codes {
    ($pass:expr, $each:ident::<$s:ident, _>($($arg:expr),*)) => {
        match ($pass.w.coding, $pass.w.bits) {
            (Coding::E4m3, _) => $each::<$s, { codes::E4M3 }>($($arg),*),
            (Coding::E5m2, _) => $each::<$s, { codes::E5M2 }>($($arg),*),
            (Coding::E2m1, _) => $each::<$s, { codes::TABLE }>($($arg),*),
            (_, 4) if $s::TABLES && matches!($pass.w.zeros, Zeros::One(_)) => $each::<$s, { codes::TABLE }>($($arg),*),
            (_, 2) => $each::<$s, 2>($($arg),*),
            (_, 3) => $each::<$s, 3>($($arg),*),
            (_, 4) => $each::<$s, 4>($($arg),*),
            (_, 5) => $each::<$s, 5>($($arg),*),
            (_, 6) => $each::<$s, 6>($($arg),*),
            (_, 7) => $each::<$s, 7>($($arg),*),
            _ => $each::<$s, { codes::BYTES }>($($arg),*),
        }
    };
}

#[inline(always)]
unsafe fn float_rows<S: Simd>(pass: &Pass, rows: Range<usize>) {
    if rows.len() == 1 {
        with_codes!(pass, one_row::<S, _>(pass, rows.start))
    } else {
        many_rows::<S>(pass, rows)
    }
}

/// What a group's codes are read with.
struct Numbers {
    zeros: [f32; COLUMNS],
    scales: [f32; COLUMNS],
}

impl Pass<'_> {
    #[inline(always)]
    unsafe fn numbers(&self, g: usize) -> Numbers {
        let w = self.w;
        let index = (self.panel * w.groups() + g) * COLUMNS;
        let mut n = Numbers { zeros: [0.0; COLUMNS], scales: [0.0; COLUMNS] };
        match w.zeros {
            Zeros::One(z) => n.zeros = [z.into(); COLUMNS],
            Zeros::Each(z) => {
                for (c, to) in n.zeros.iter_mut().enumerate() {
                    *to = f32::from(*z.get_unchecked(index + c));
                }
            }
        }
        for (c, to) in n.scales.iter_mut().enumerate() {
            *to = match (w.steps, &w.blocks) {
                (Some(steps), _) => w.scales.get_unchecked(self.panel * COLUMNS + c) * f32::from(*steps.get_unchecked(index + c)),
                (_, Some(blocks)) => blocks.get(index + c),
                _ => *w.scales.get_unchecked(index + c),
            };
        }
        n
    }

    /// What 4-bit codes stand for, where there is a table of them.
    fn table(&self) -> [f32; 16] {
        match (self.w.coding, self.w.zeros) {
            (Coding::Integer, Zeros::One(z)) => std::array::from_fn(|code| code as f32 - f32::from(z)),
            _ => E2M1,
        }
    }
}

#[inline(always)]
unsafe fn one_row<S: Simd, const CODES: u8>(pass: &Pass, row: usize) {
    let w = pass.w;
    let x = pass.x.as_ptr().add(row * w.k);
    let codes = w.codes.as_ptr().add(pass.panel * w.panel());
    let table = pass.table();
    let bytes = codes::cell(CODES) / DEPTH;
    let mut acc = S::zero();
    let mut k = 0;
    let mut part = [S::zero(); STREAMS];
    while k < w.k {
        let (g, piece) = piece(w, k);
        let len = piece.len();
        // As many whole pieces as are multiplied side by side, if they follow each other in even lengths.
        let even = len == PIECE.min(w.group) && w.group % len == 0 && len % DEPTH == 0 && k + STREAMS * len <= w.k;
        if even {
            let mut numbers = [const { Numbers { zeros: [0.0; COLUMNS], scales: [0.0; COLUMNS] } }; STREAMS];
            for (i, n) in numbers.iter_mut().enumerate() {
                *n = pass.numbers((k + i * len) / w.group);
                part[i] = S::zero();
            }
            // The same streams of the next turn.
            let ahead = (STREAMS * len * bytes).max(AHEAD);
            for step in (0..len).step_by(DEPTH) {
                for (i, part) in part.iter_mut().enumerate() {
                    let at = k + i * len + step;
                    let cell = codes.add(at * bytes);
                    crate::simd::prefetch(cell.wrapping_add(ahead));
                    *part = products::<S, CODES>(*part, cell, &numbers[i], &table, x.add(at), DEPTH);
                }
            }
            for (i, n) in numbers.iter().enumerate() {
                acc = S::fused(acc, part[i], S::load(n.scales.as_ptr()));
            }
            k += STREAMS * len;
            continue;
        }
        let numbers = pass.numbers(g);
        let mut sum = S::zero();
        for step in (0..len).step_by(DEPTH) {
            sum = products::<S, CODES>(sum, codes.add((k + step) * bytes), &numbers, &table, x.add(k + step), DEPTH.min(len - step));
        }
        acc = S::fused(acc, sum, S::load(numbers.scales.as_ptr()));
        k = piece.end;
    }
    pass.finish.write::<S>(acc, pass.y, Row { panel: pass.panel, row, n: w.n });
}

/// The least number of bytes ahead of what one row reads: the hardware's own prefetch stops at each page.
const AHEAD: usize = 2048;

/// sum + the products of a cell's first `depth` steps.
#[inline(always)]
unsafe fn products<S: Simd, const CODES: u8>(sum: S::Floats, cell: *const u8, n: &Numbers, table: &[f32; 16], x: *const f32, depth: usize) -> S::Floats {
    let steps = S::floats::<CODES>(cell, S::load(n.zeros.as_ptr()), table.as_ptr());
    let mut sum = sum;
    for (i, w) in steps.into_iter().enumerate() {
        if i < depth {
            sum = S::fused(sum, w, S::splat(*x.add(i)));
        }
    }
    sum
}

/// The group of step `k`, and the piece that begins with it.
#[inline(always)]
fn piece(w: &Weight, k: usize) -> (usize, Range<usize>) {
    let g = k / w.group;
    (g, k..w.k.min((g + 1) * w.group).min(k + PIECE))
}

#[inline(always)]
unsafe fn many_rows<S: Simd>(pass: &Pass, rows: Range<usize>) {
    let w = pass.w;
    let unpacked = scratch(4 * (PIECE + DEPTH + rows.len()) * COLUMNS).cast::<f32>();
    let acc = unpacked.add((PIECE + DEPTH) * COLUMNS);
    acc.write_bytes(0, rows.len() * COLUMNS);
    let table = pass.table();
    let mut k = 0;
    while k < w.k {
        let (g, steps) = piece(w, k);
        let numbers = pass.numbers(g);
        k = steps.end;
        with_codes!(pass, unpack::<S, _>(pass, steps.clone(), &numbers, &table, unpacked));
        let piece = Piece { pass, first: rows.start, steps, unpacked, scales: numbers.scales.as_ptr(), acc };
        each_tile!(S, pass.tiling, rows, tile::<_>(&piece));
    }
    for row in rows.clone() {
        pass.finish.write::<S>(S::load(acc.add((row - rows.start) * COLUMNS)), pass.y, Row { panel: pass.panel, row, n: w.n });
    }
}

/// The cells of `steps` as floats, [steps, 32].
#[inline(always)]
unsafe fn unpack<S: Simd, const CODES: u8>(pass: &Pass, steps: Range<usize>, n: &Numbers, table: &[f32; 16], to: *mut f32) {
    let codes = pass.w.codes.as_ptr().add(pass.panel * pass.w.panel());
    let zeros = S::load(n.zeros.as_ptr());
    for (i, cell) in (steps.start / DEPTH..steps.end.div_ceil(DEPTH)).enumerate() {
        let four = S::floats::<CODES>(codes.add(cell * codes::cell(CODES)), zeros, table.as_ptr());
        for (k, x) in four.into_iter().enumerate() {
            S::store(x, to.add((DEPTH * i + k) * COLUMNS));
        }
    }
}

struct Piece<'a> {
    pass: &'a Pass<'a>,
    first: usize,
    steps: Range<usize>,
    unpacked: *const f32,
    scales: *const f32,
    /// [rows, 32].
    acc: *mut f32,
}

#[inline(always)]
unsafe fn tile<S: Simd, const R: usize>(p: &Piece, row: usize) {
    let at = p.pass.x.as_ptr().add(row * p.pass.w.k + p.steps.start * R);
    let mut a = [at; R];
    for (r, a) in a.iter_mut().enumerate() {
        *a = at.add(r);
    }
    let parts = S::dot::<R>(p.unpacked, COLUMNS, a, R, p.steps.len());
    let scales = S::load(p.scales);
    for r in 0..R {
        let acc = p.acc.add((row - p.first + r) * COLUMNS);
        S::store(S::fused(S::load(acc), parts[r], scales), acc);
    }
}
