//! Groups that are shorter than a chunk by far: what limits them is how sums are scaled, not the tiles.

use super::{Panel, CHUNK, S, SUMS};
use crate::layout::COLUMNS;
use crate::simd::Simd;
use std::ops::Range;

/// Short groups whose sums wait together.
const BATCH: usize = 2;
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
        let mut at = 0;
        for first in (0..groups).step_by(chunk) {
            let count = chunk.min(groups - first);
            let codes = self.widened::<true>(first * self.group, count * self.group);
            for tile in 0..self.tiles.len() {
                for from in (0..count).step_by(BATCH) {
                    let b = Batch { tile, group: first + from, count: BATCH.min(count - from), at };
                    for g in 0..b.count {
                        self.prefetch((first + count) * self.group, CHUNK, tile * count + from + g, self.tiles.len() * count);
                        let to = sums.0[at][g].as_mut_ptr();
                        self.multiply::<true>(codes.add((from + g) * self.group * COLUMNS), tile, (b.group + g) * self.group, self.group, true, to);
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
