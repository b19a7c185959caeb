//! Tiles of 16 and 32 rows on tile registers (AMX). Chunks of the weight stay in the first-level cache while all rows pass by.

use super::{scratch, write, Output, Task};
use crate::layout::{Weight, Zeros, COLUMNS, DEPTH};
use crate::simd::amx::{each_four_times, products, widen_signed, Configured};
use crate::simd::avx512vnni::Avx512Vnni as S;
use crate::simd::Simd;
use crate::tiles::Tiles;
use std::arch::x86_64::{_mm_prefetch, _MM_HINT_T0};

/// Reduction steps of a chunk: 16 KiB of bytes.
const CHUNK: usize = 512;
/// A tile's sums.
const SUMS: usize = 32 * COLUMNS;

/// Computes the tall tiles of a task, gives the first row that is left.
/// Safety: sizes are checked, the machine has AMX.
pub unsafe fn rows(w: &Weight, x: &Tiles, bias: Option<&[f32]>, y: &Output, task: &Task) -> usize {
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
        panel(w, x, bias, y, task.panel, &tiles);
    }
    row
}

#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
unsafe fn panel(w: &Weight, x: &Tiles, bias: Option<&[f32]>, y: &Output, panel: usize, tiles: &[(usize, usize)]) {
    let configured = Configured::new(x.tiling.step);
    let whole = w.group <= CHUNK;
    let at = scratch(CHUNK * COLUMNS + tiles.len() * SUMS * if whole { 4 } else { 8 });
    let acc = at.add(CHUNK * COLUMNS).cast::<f32>();
    acc.write_bytes(0, tiles.len() * SUMS);
    let sums = acc.add(tiles.len() * SUMS).cast();
    let p = Panel { w, x, panel, tiles, bytes: at, acc };
    match (w.bits, whole) {
        (4, true) => p.groups::<true>(),
        (4, false) => p.long_groups::<true>(sums),
        (_, true) => p.groups::<false>(),
        (_, false) => p.long_groups::<false>(sums),
    }
    for (t, &(row, height)) in tiles.iter().enumerate() {
        for r in 0..height {
            let scaled = S::times(S::load(acc.add(t * SUMS + r * COLUMNS)), *x.scales.get_unchecked(row + r));
            write::<S>(w, scaled, bias, y, panel, row + r);
        }
    }
    drop(configured);
}

struct Panel<'a> {
    w: &'a Weight<'a>,
    x: &'a Tiles<'a>,
    panel: usize,
    tiles: &'a [(usize, usize)],
    /// A chunk of codes, widened.
    bytes: *mut u8,
    /// Float sums of each tile.
    acc: *mut f32,
}

impl Panel<'_> {
    /// Byte codes of steps [from, from + depth) of one group: 4-bit codes less their zero points.
    #[inline(always)]
    unsafe fn widened<const SIGNED: bool>(&self, group: usize, from: usize, depth: usize, to: usize) -> *const u8 {
        let cells = self.w.codes.as_ptr().add(self.panel * self.w.panel() + from / DEPTH * self.w.cell());
        if !SIGNED {
            return cells;
        }
        let zeros = match self.w.zeros {
            Zeros::One(z) => each_four_times([z; COLUMNS].as_ptr()),
            Zeros::Each(z) => each_four_times(z.as_ptr().add((self.panel * self.w.groups() + group) * COLUMNS)),
        };
        let to = self.bytes.add(to * COLUMNS);
        for cell in 0..depth / DEPTH {
            widen_signed(cells.add(cell * 64), zeros, to.add(cell * 128));
        }
        to
    }

    /// Asks for part `i` of `parts` of the packed codes of the chunk that begins at step `from`: the third-level cache is far away, and
    /// tile loads are not foreseen by the hardware.
    #[inline(always)]
    unsafe fn prefetch(&self, from: usize, i: usize, parts: usize) {
        let depth = CHUNK.min(self.w.depth().saturating_sub(from));
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

    /// acc += (sums of one group, less its zero points)·scales.
    #[inline(always)]
    unsafe fn scale<const SIGNED: bool>(&self, tile: usize, group: usize, sums: *const i32) {
        let (row, height) = self.tiles[tile];
        let index = (self.panel * self.w.groups() + group) * COLUMNS;
        let scales = self.w.scales.as_ptr().add(index);
        let starts = self.x.starts.as_ptr().add(row * self.x.groups + group * height);
        for r in 0..height {
            let mut s = S::load_ints(sums.add(r * COLUMNS));
            if !SIGNED {
                s = match self.w.zeros {
                    Zeros::One(_) => S::add_start(s, *starts.add(r)),
                    Zeros::Each(z) => S::less_each(s, z.as_ptr().add(index), 0, *starts.add(r)),
                };
            }
            let acc = self.acc.add(tile * SUMS + r * COLUMNS);
            S::store(S::add_scaled(S::load(acc), s, scales), acc);
        }
    }

    /// Groups of at most a chunk: several a chunk. A group is scaled while the tile registers compute the next.
    #[inline(always)]
    unsafe fn groups<const SIGNED: bool>(&self) {
        #[repr(align(64))]
        struct Sums([[i32; SUMS]; 2]);
        let mut sums = Sums([[0; SUMS]; 2]);
        let group = self.w.group;
        let chunk = (CHUNK / group).max(1);
        for first in (0..self.w.groups()).step_by(chunk) {
            let count = chunk.min(self.w.groups() - first);
            let mut codes = self.bytes.cast_const();
            for g in 0..count {
                let at = self.widened::<SIGNED>(first + g, (first + g) * group, group, g * group);
                if g == 0 {
                    codes = at;
                }
            }
            let mut last: Option<(usize, usize, usize)> = None;
            for tile in 0..self.tiles.len() {
                for g in 0..count {
                    self.prefetch((first + count) * group, tile * count + g, self.tiles.len() * count);
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
        let group = self.w.group;
        for g in 0..self.w.groups() {
            for from in (0..group).step_by(CHUNK) {
                let depth = CHUNK.min(group - from);
                let codes = self.widened::<SIGNED>(g, g * group + from, depth, 0);
                for tile in 0..self.tiles.len() {
                    self.prefetch(g * group + from + depth, tile, self.tiles.len());
                    self.multiply::<SIGNED>(codes, tile, g * group + from, depth, from == 0, sums.add(tile * SUMS));
                }
            }
            for tile in 0..self.tiles.len() {
                self.scale::<SIGNED>(tile, g, sums.add(tile * SUMS));
            }
        }
    }
}
