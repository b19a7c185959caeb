//! Tiles of 16 and 32 rows on tile registers (AMX). Chunks of the weight stay in the first-level cache while all rows pass by.

mod short;

use super::finish::{Finish, Row};
use super::{scratch, Results, Task};
use crate::layout::{Weight, Zeros, COLUMNS, DEPTH};
use crate::simd::amx::{each_four_times, products, stepped, widen_signed, Configured};
use crate::simd::avx512vnni::Avx512Vnni as S;
use crate::simd::Simd;
use crate::tiles::Tiles;
use std::arch::x86_64::{_mm_prefetch, _MM_HINT_T0};

/// Reduction steps of a chunk: 16 KiB of bytes.
const CHUNK: usize = 512;
/// Of codes that are bytes already: fewer loads and stores of sums are worth more than the first-level cache.
const BYTES: usize = 2048;
/// A tile's sums.
const SUMS: usize = 32 * COLUMNS;

/// Computes the tall tiles of a task, gives the first row that is left.
/// Safety: sizes are checked, the machine has AMX.
pub unsafe fn rows(w: &Weight, x: &Tiles, columns: Option<&[i32]>, finish: &Finish, y: &Results, task: &Task) -> usize {
    let mut tiles = vec![];
    let mut row = task.rows.start;
    loop {
        let height = x.tiling.height(task.rows.end.saturating_sub(row).max(1));
        if height < 16 {
            break;
        }
        tiles.push((row, height));
        row += height;
    }
    if !tiles.is_empty() {
        panel(w, x, columns, finish, y, task.panel, &tiles);
    }
    row
}

#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vnni")]
unsafe fn panel(w: &Weight, x: &Tiles, columns: Option<&[i32]>, finish: &Finish, y: &Results, panel: usize, tiles: &[(usize, usize)]) {
    let configured = Configured::new(x.tiling.step);
    let group = if w.steps.is_some() { w.depth() } else { x.group };
    let whole = group <= CHUNK;
    let at = scratch(CHUNK * COLUMNS + tiles.len() * SUMS * if whole { 4 } else { 8 });
    let acc = at.add(CHUNK * COLUMNS).cast::<f32>();
    acc.write_bytes(0, tiles.len() * SUMS);
    let sums = acc.add(tiles.len() * SUMS).cast();
    let p = Panel { w, x, columns, group, panel, tiles, bytes: at, acc };
    let plain = w.bits < 8 && w.steps.is_none() && x.zeros.is_none() && x.spans == 1 && x.group == w.group;
    match (w.bits < 8, whole) {
        _ if plain && group <= short::SHORT => p.short_groups(),
        (true, true) => p.groups::<true>(),
        (true, false) => p.long_groups::<true>(sums),
        (_, true) => p.groups::<false>(),
        (_, false) => p.long_groups::<false>(sums),
    }
    for (t, &(row, height)) in tiles.iter().enumerate() {
        for r in 0..height {
            let y_row = S::load(acc.add(t * SUMS + r * COLUMNS));
            let scaled = if x.spans == 1 { S::times(y_row, *x.scales.get_unchecked(row + r)) } else { y_row };
            finish.write::<S>(scaled, y, Row { panel, row: row + r, n: w.n });
        }
    }
    drop(configured);
}

struct Panel<'a> {
    w: &'a Weight<'a>,
    x: &'a Tiles<'a>,
    columns: Option<&'a [i32]>,
    /// Steps of one sum: that of the tiles, of progressive weights all.
    group: usize,
    panel: usize,
    tiles: &'a [(usize, usize)],
    /// A chunk of codes, widened.
    bytes: *mut u8,
    /// Float sums of each tile.
    acc: *mut f32,
}

impl Panel<'_> {
    /// Byte codes of steps [from, from + depth): codes of fewer bits less their zero points, times their steps.
    #[inline(always)]
    unsafe fn widened<const SIGNED: bool>(&self, from: usize, depth: usize) -> *const u8 {
        if !SIGNED {
            return self.w.codes.as_ptr().add(self.panel * self.w.panel() + from / DEPTH * self.w.cell());
        }
        match self.w.bits {
            2 => self.signed::<2>(from, depth),
            3 => self.signed::<3>(from, depth),
            4 => self.signed::<4>(from, depth),
            5 => self.signed::<5>(from, depth),
            6 => self.signed::<6>(from, depth),
            _ => self.signed::<7>(from, depth),
        }
    }

    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vnni")]
    unsafe fn signed<const CODES: u8>(&self, from: usize, depth: usize) -> *const u8 {
        let to = self.bytes;
        let codes = self.w.codes.as_ptr().add(self.panel * self.w.panel());
        let mut at = from;
        while at < from + depth {
            let group = at / self.w.group;
            let end = (from + depth).min((group + 1) * self.w.group);
            let index = (self.panel * self.w.groups() + group) * COLUMNS;
            let zeros = match self.w.zeros {
                Zeros::One(z) => each_four_times([z; COLUMNS].as_ptr()),
                Zeros::Each(z) => each_four_times(z.as_ptr().add(index)),
            };
            let steps = self.w.steps.map(|s| s.as_ptr().add(index));
            for cell in at / DEPTH..end / DEPTH {
                let to = to.add((cell - from / DEPTH) * 128);
                widen_signed::<CODES>(codes.add(cell * self.w.cell()), zeros, to);
                if let Some(steps) = steps {
                    stepped(to, each_four_times(steps));
                }
            }
            at = end;
        }
        to
    }

    /// Asks for part `i` of `parts` of the packed codes of the chunk that begins at step `from`: the third-level cache is far away, and
    /// tile loads are not foreseen by the hardware.
    #[inline(always)]
    unsafe fn prefetch(&self, from: usize, chunk: usize, i: usize, parts: usize) {
        let depth = chunk.min(self.w.depth().saturating_sub(from));
        let lines = (depth / DEPTH * self.w.cell()).div_ceil(64);
        let at = self.w.codes.as_ptr().add(self.panel * self.w.panel() + from / DEPTH * self.w.cell());
        for line in i * lines / parts..(i + 1) * lines / parts {
            _mm_prefetch::<_MM_HINT_T0>(at.add(line * 64).cast());
        }
    }

    #[inline(always)]
    unsafe fn multiply<const SIGNED: bool>(&self, codes: *const u8, tile: usize, from: usize, depth: usize, fresh: bool, to: *mut i32) {
        let (row, height) = self.tiles[tile];
        let step = self.x.tiling.step;
        let a = self.x.codes.as_ptr().add(row * self.x.depth + from * height);
        if height == 32 {
            products::<32, SIGNED>(codes, a, step, depth / step, fresh, to);
        } else {
            products::<16, SIGNED>(codes, a, step, depth / step, fresh, to);
        }
    }

    /// acc += (sums of one group, less zero points)·scales.
    #[inline(always)]
    unsafe fn scale<const SIGNED: bool>(&self, tile: usize, group: usize, sums: *const i32) {
        let (row, height) = self.tiles[tile];
        let (w, x) = (self.w, self.x);
        let (groups, of) = if w.steps.is_some() { (1, 0) } else { (w.groups(), group * self.group / w.group) };
        let index = (self.panel * groups + of) * COLUMNS;
        let scales = S::load(w.scales.as_ptr().add(index));
        let starts = x.starts.as_ptr().add(row * x.groups() + group * height);
        let span = row * x.spans + group * x.spans / x.groups() * height;
        for r in 0..height {
            let mut s = S::load_ints(sums.add(r * COLUMNS));
            if !SIGNED {
                s = match w.zeros {
                    Zeros::One(_) => S::add_start(s, *starts.add(r)),
                    Zeros::Each(z) => S::less_each(s, z.as_ptr().add(index), 0, *starts.add(r)),
                };
            }
            if let (Some(zeros), Some(columns)) = (x.zeros, self.columns) {
                // Of progressive weights the one sum is of all groups.
                for g in if w.steps.is_some() { 0..x.groups() } else { group..group + 1 } {
                    s = S::less_ints(s, columns.as_ptr().add(g * COLUMNS), *zeros.as_ptr().add(span + r));
                }
            }
            let acc = self.acc.add(tile * SUMS + r * COLUMNS);
            if x.spans == 1 {
                S::store(S::fused(S::load(acc), S::to_floats(s), scales), acc);
            } else {
                let part = S::times(S::fused(S::zero(), S::to_floats(s), scales), *x.scales.as_ptr().add(span + r));
                S::store(S::plus(S::load(acc), part), acc);
            }
        }
    }

    /// Groups of at most a chunk: several a chunk. A group is scaled while the tile registers compute the next.
    #[inline(always)]
    unsafe fn groups<const SIGNED: bool>(&self) {
        #[repr(align(64))]
        struct Sums([[i32; SUMS]; 2]);
        let mut sums = Sums([[0; SUMS]; 2]);
        let group = self.group;
        let groups = self.w.depth() / group;
        let chunk = (CHUNK / group).max(1);
        for first in (0..groups).step_by(chunk) {
            let count = chunk.min(groups - first);
            let codes = self.widened::<SIGNED>(first * group, count * group);
            let mut last: Option<(usize, usize, usize)> = None;
            for tile in 0..self.tiles.len() {
                for g in 0..count {
                    self.prefetch((first + count) * group, CHUNK, tile * count + g, self.tiles.len() * count);
                    let to = last.map_or(0, |l| 1 - l.2);
                    self.multiply::<SIGNED>(codes.add(g * group * COLUMNS), tile, (first + g) * group, group, true, sums.0[to].as_mut_ptr());
                    if let Some((tile, g, at)) = last {
                        self.scale::<SIGNED>(tile, g, sums.0[at].as_ptr());
                    }
                    last = Some((tile, first + g, to));
                }
            }
            if let Some((tile, g, at)) = last {
                self.scale::<SIGNED>(tile, g, sums.0[at].as_ptr());
            }
        }
    }

    /// Longer groups: `sums` keeps every tile's while the chunks of a group pass by.
    #[inline(always)]
    unsafe fn long_groups<const SIGNED: bool>(&self, sums: *mut i32) {
        let (group, chunk) = (self.group, if SIGNED { CHUNK } else { BYTES });
        for g in 0..self.w.depth() / group {
            for from in (0..group).step_by(chunk) {
                let depth = chunk.min(group - from);
                let codes = self.widened::<SIGNED>(g * group + from, depth);
                for tile in 0..self.tiles.len() {
                    self.prefetch(g * group + from + depth, chunk, tile, self.tiles.len());
                    self.multiply::<SIGNED>(codes, tile, g * group + from, depth, from == 0, sums.add(tile * SUMS));
                }
            }
            for tile in 0..self.tiles.len() {
                self.scale::<SIGNED>(tile, g, sums.add(tile * SUMS));
            }
        }
    }
}
