//! Tiles of 16 and 32 rows on tile registers (AMX). A panel of the weight, as bytes, and a block of rows lie in the second-level cache; sums of a group
//! stay in tile registers, and are scaled while those multiply the next group.

mod scale;
mod short;
mod widen;

use super::finish::Finish;
use super::{scratch, Results, Task};
use crate::layout::{Weight, Zeros, COLUMNS, DEPTH};
use crate::simd::amx::{step, Configured, Sums};
use crate::tiles::Tiles;
use scale::Waiting;
use std::arch::x86_64::{_mm_prefetch, _MM_HINT_T1};

/// Reduction steps of a chunk: 256 KiB of bytes.
const CHUNK: usize = 8192;
/// A tile's sums.
const SUMS: usize = 32 * COLUMNS;
/// Groups whose sums wait together.
const BATCH: usize = 2;
/// Rows that are scaled beside a block of products at least: sums leave the first-level cache soon.
const ROWS_BESIDE: usize = 4;

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
    let depth = w.depth();
    let group = if w.steps.is_some() { depth } else { x.group };
    let chunk = if group > CHUNK { CHUNK } else { CHUNK / group * group };
    let plain = x.zeros.is_none() && x.spans == 1 && x.group == w.group;
    let short = plain && w.bits < 8 && w.steps.is_none() && group <= short::SHORT;
    // Sums of a tile are kept between chunks.
    let kept = if short || chunk < depth { tiles.len() * SUMS } else { SUMS };
    let bytes = if w.bits < 8 { chunk.min(depth) * COLUMNS } else { 0 };
    let buffers = scratch(bytes + 4 * (2 * kept + 2 * BATCH * SUMS));
    let acc = buffers.add(bytes).cast::<f32>();
    let spilled = acc.add(kept).cast::<i32>();
    let p = Panel { w, x, columns, finish, y, group, chunk, panel, tiles, bytes: buffers, acc, kept: if chunk < depth { SUMS } else { 0 }, spilled, sums: spilled.add(kept) };
    if short {
        acc.write_bytes(0, tiles.len() * SUMS);
    }
    match (w.bits < 8, plain, w.zeros) {
        _ if short => p.short_groups(),
        (true, true, _) => p.chunks::<true, true>(),
        (true, false, _) => p.chunks::<true, false>(),
        (false, true, Zeros::One(_)) => p.chunks::<false, true>(),
        (false, ..) => p.chunks::<false, false>(),
    }
    drop(configured);
}

struct Panel<'a> {
    w: &'a Weight<'a>,
    x: &'a Tiles<'a>,
    columns: Option<&'a [i32]>,
    finish: &'a Finish<'a>,
    y: &'a Results<'a>,
    /// Steps of one sum: that of the tiles, of progressive weights all.
    group: usize,
    /// Steps that are widened at once: whole groups, or a part of one.
    chunk: usize,
    panel: usize,
    tiles: &'a [(usize, usize)],
    /// A chunk of codes, widened.
    bytes: *mut u8,
    /// Float sums of each tile, `kept` apart, and integer sums of groups that are longer than a chunk.
    acc: *mut f32,
    kept: usize,
    spilled: *mut i32,
    /// Sums of the groups that are computed and of those that are scaled, BATCH each.
    sums: *mut i32,
}

/// Lines of the next panel's codes, asked for a few at a time: the third-level cache is far away, and tile loads are not foreseen by the hardware.
struct Ahead {
    at: *const u8,
    end: *const u8,
    lines: usize,
}

impl Ahead {
    #[inline(always)]
    unsafe fn ask(&mut self) {
        for _ in 0..self.lines {
            _mm_prefetch::<_MM_HINT_T1>(self.at.cast());
            self.at = self.at.wrapping_add(64);
        }
        if self.at >= self.end {
            self.lines = 0;
        }
    }
}

/// A part of one group of a tile: `steps` blocks of products.
struct Part {
    codes: *const u8,
    a: *const i8,
    steps: usize,
    fresh: bool,
    to: *mut i32,
}

impl Panel<'_> {
    fn ahead(&self) -> Ahead {
        let bytes = self.w.panel();
        let at = self.w.codes.as_ptr().wrapping_add((self.panel + 1) * bytes);
        let blocks = self.tiles.len() * self.w.depth() / self.x.tiling.step;
        if self.panel + 1 < self.w.panels() {
            Ahead { at, end: at.wrapping_add(bytes), lines: (bytes / 64).div_ceil(blocks) }
        } else {
            Ahead { at, end: at, lines: 0 }
        }
    }

    #[inline(always)]
    unsafe fn chunks<const SIGNED: bool, const PLAIN: bool>(&self) {
        let depth = self.w.depth();
        let mut waiting = Waiting::nothing();
        let mut ahead = self.ahead();
        let mut from = 0;
        while from < depth {
            let to = if self.group <= self.chunk { depth.min(from + self.chunk) } else { (from + self.chunk).min((from / self.group + 1) * self.group) };
            let codes = self.widened::<SIGNED>(from, to - from);
            for (t, &(_, height)) in self.tiles.iter().enumerate() {
                if height == 32 {
                    self.tile::<32, SIGNED, PLAIN>(t, codes, from, to, &mut waiting, &mut ahead);
                } else {
                    self.tile::<16, SIGNED, PLAIN>(t, codes, from, to, &mut waiting, &mut ahead);
                }
            }
            from = to;
        }
        self.scale::<SIGNED, PLAIN>(&mut waiting, 32);
    }

    /// Steps [from, to) of one tile.
    #[inline(always)]
    unsafe fn tile<const ROWS: usize, const SIGNED: bool, const PLAIN: bool>(&self, tile: usize, codes: *const u8, from: usize, to: usize, waiting: &mut Waiting, ahead: &mut Ahead) {
        let (row, step) = (self.tiles[tile].0, self.x.tiling.step);
        let a = self.x.codes.as_ptr().add(row * self.x.depth);
        let depth = self.w.depth();
        let mut at = from;
        let mut group = from / self.group;
        while at < to {
            let begin = group * self.group;
            let (length, count) = if begin < at || begin + self.group > to { (to - at, 1) } else { (self.group, BATCH.min((to - at) / self.group)) };
            let part = self.group > self.chunk;
            let buffer = if part { self.spilled.add(tile * SUMS) } else { self.sums.add(waiting.other * BATCH * SUMS) };
            // Rows that are scaled beside each block.
            let rows = waiting.left().div_ceil(length / step * count).max(ROWS_BESIDE);
            for g in 0..count {
                let at = at + g * length;
                let part = Part { codes: codes.add((at - from) * COLUMNS), a: a.add(at * ROWS), steps: length / step, fresh: at == begin + g * self.group, to: buffer.add(g * SUMS) };
                self.part::<ROWS, SIGNED, PLAIN>(&part, rows, waiting, ahead);
            }
            self.scale::<SIGNED, PLAIN>(waiting, 32);
            at += length * count;
            if at == begin + self.group * count {
                *waiting = Waiting { tile, group, count, from: 0, to: ROWS, first: begin == 0, last: at == depth, sums: buffer, other: 1 - waiting.other };
                group += count;
            }
        }
    }

    /// Products of one group, or a part of it; beside them `rows` rows of what waits are scaled.
    #[inline(always)]
    unsafe fn part<const ROWS: usize, const SIGNED: bool, const PLAIN: bool>(&self, p: &Part, rows: usize, waiting: &mut Waiting, ahead: &mut Ahead) {
        if p.fresh {
            Sums::<ROWS>::zero();
        } else {
            Sums::<ROWS>::load(p.to);
        }
        let wide = self.x.tiling.step;
        for i in 0..p.steps {
            step::<ROWS, SIGNED>(p.codes.add(i * wide / DEPTH * 128), p.a.add(i * ROWS * wide), wide);
            ahead.ask();
            self.scale::<SIGNED, PLAIN>(waiting, rows);
        }
        Sums::<ROWS>::store(p.to);
    }
}
