//! Groups that are shorter than a chunk by far: what limits them is how sums are scaled, not the tiles.

use super::{Panel, BATCH, SUMS};
use crate::layout::{COLUMNS, DEPTH};
use crate::linear::finish::Row;
use crate::simd::amx::{step, Sums as Registers};
use crate::simd::avx512vnni::Avx512Vnni as S;
use crate::simd::Simd;
use std::ops::Range;

/// Reduction steps of a chunk: half of it is bytes in the first-level cache, beside the sums.
const CHUNK: usize = 512;
/// Groups up to here are short.
pub(super) const SHORT: usize = 64;

/// Groups `group`… of a tile, whose sums lie in buffer `at`.
struct Batch {
    tile: usize,
    group: usize,
    count: usize,
    at: usize,
}

impl Panel<'_> {
    /// Short groups of signed codes without zero points: sums of several groups lie side by side and are scaled together, a part of the rows after each
    /// product of the next ones, so that both units work.
    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vnni")]
    pub(super) unsafe fn short_groups(&self) {
        #[repr(align(64))]
        struct Sums([[[i32; SUMS]; BATCH]; 2]);
        let mut sums = Sums([[[0; SUMS]; BATCH]; 2]);
        let groups = self.w.depth() / self.group;
        // Half a chunk: the sums want their part of the first-level cache.
        let chunk = CHUNK / 2 / self.group;
        let mut last: Option<Batch> = None;
        let mut ahead = self.ahead();
        let mut at = 0;
        for first in (0..groups).step_by(chunk) {
            let count = chunk.min(groups - first);
            let codes = self.widened::<true>(first * self.group, count * self.group);
            for tile in 0..self.tiles.len() {
                for from in (0..count).step_by(BATCH) {
                    let b = Batch { tile, group: first + from, count: BATCH.min(count - from), at };
                    for g in 0..b.count {
                        ahead.ask();
                        let to = sums.0[at][g].as_mut_ptr();
                        self.multiply(codes.add((from + g) * self.group * COLUMNS), tile, (b.group + g) * self.group, to);
                        if let Some(l) = &last {
                            let height = self.tiles[l.tile].1;
                            self.scale_batch(l, &sums.0[l.at], g * height / b.count..(g + 1) * height / b.count);
                        }
                    }
                    last = Some(b);
                    at = 1 - at;
                }
            }
        }
        if let Some(l) = &last {
            self.scale_batch(l, &sums.0[l.at], 0..self.tiles[l.tile].1);
        }
        for (t, &(row, height)) in self.tiles.iter().enumerate() {
            for r in row..row + height {
                let y = S::times(S::load(self.acc.add(t * SUMS + (r - row) * COLUMNS)), *self.x.scales.as_ptr().add(r));
                self.finish.write::<S>(y, self.y, Row { panel: self.panel, row: r, n: self.w.n });
            }
        }
    }

    /// Products of one group, which starts at step `from`.
    #[inline(always)]
    unsafe fn multiply(&self, codes: *const u8, tile: usize, from: usize, to: *mut i32) {
        let (row, height) = self.tiles[tile];
        let a = self.x.codes.as_ptr().add(row * self.x.depth + from * height);
        if height == 32 {
            self.multiply_rows::<32>(codes, a, to);
        } else {
            self.multiply_rows::<16>(codes, a, to);
        }
    }

    #[inline(always)]
    unsafe fn multiply_rows<const ROWS: usize>(&self, codes: *const u8, a: *const i8, to: *mut i32) {
        let wide = self.x.tiling.step;
        Registers::<ROWS>::zero();
        for i in 0..self.group / wide {
            step::<ROWS, true>(codes.add(i * wide / DEPTH * 128), a.add(i * ROWS * wide), wide);
        }
        Registers::<ROWS>::store(to);
    }

    /// acc += Σ sums·scales of the groups of a batch, in order, of some rows.
    #[inline(always)]
    unsafe fn scale_batch(&self, b: &Batch, sums: &[[i32; SUMS]; BATCH], rows: Range<usize>) {
        let mut scales = [S::zero(); BATCH];
        for (g, s) in scales.iter_mut().enumerate().take(b.count) {
            *s = S::load(self.w.scales.as_ptr().add((self.panel * self.w.groups() + b.group + g) * COLUMNS));
        }
        for r in rows {
            let at = self.acc.add(b.tile * SUMS + r * COLUMNS);
            let mut acc = S::load(at);
            if b.count == BATCH {
                for g in 0..BATCH {
                    acc = S::fused(acc, S::to_floats(S::load_ints(sums[g].as_ptr().add(r * COLUMNS))), scales[g]);
                }
            } else {
                for g in 0..b.count {
                    acc = S::fused(acc, S::to_floats(S::load_ints(sums[g].as_ptr().add(r * COLUMNS))), scales[g]);
                }
            }
            S::store(acc, at);
        }
    }
}
