//! The weight in tiles of eight rows, gathered while they are in cache.

use super::Run;
use crate::fault::Outcome;
use crate::hash::Pieces;
use crate::lanes::F8;
use crate::layout::Layout;
use crate::matrix::{Matrix, Order};
use crate::slabs::{each_slab, lines_of};
use std::ops::Range;

/// Lanes of tiles that are gathered together: 256 KiB, half of an L2 cache.
const BAND: usize = 8192;

thread_local! {
    /// Tiles in work.
    static TILES: std::cell::RefCell<Vec<F8>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// Eight rows by some columns.
pub struct Band<'a> {
    pub rows: Range<usize>,
    pub k0: usize,
    /// Real columns; the tile may have more, which are zero.
    pub len: usize,
    pub tile: &'a [F8],
}

impl Band<'_> {
    /// The first weight that is no number: output, input.
    pub fn first_bad(&self) -> Option<(usize, usize)> {
        (0..self.rows.len()).find_map(|lane| {
            let k = self.tile.iter().position(|t| !t.0[lane].is_finite())?;
            Some((self.rows.start + lane, self.k0 + k))
        })
    }
}

impl Run<'_> {
    /// Calls `f` with every tile of eight rows by `segment` columns (padded with zeros to `padded`):
    /// slab by slab, or, where a segment is too long for that, columns of bands.
    pub fn each_band(&self, segment: usize, padded: usize, pieces: Option<&Pieces>, f: impl Fn(Band) + Sync) -> Outcome<()> {
        let unit = if self.weight.order == Order::ReduceOut { segment } else { 8 };
        if let Some(step) = lines_of(&self.weight, unit) {
            return each_slab(self.split, &self.weight, step, pieces, &|slab| {
                self.bands(&slab.matrix, slab.origin, 0..slab.matrix.out, segment, padded, &f);
            });
        }
        let input = self.weight.input();
        if let Some(file) = input.file {
            file.populate();
        }
        if let Some(p) = pieces {
            p.take_all(self.split, input)?;
        }
        let rows = 8 * self.blocks(padded);
        let per_task = rows * self.weight.out.div_ceil(rows).div_ceil(64);
        self.split.run(self.weight.out.div_ceil(per_task), &|task| {
            let own = task * per_task..((task + 1) * per_task).min(self.weight.out);
            self.bands(&self.weight, (0, 0), own, segment, padded, &f);
        });
        Ok(())
    }

    /// Tiles that are gathered together.
    fn blocks(&self, padded: usize) -> usize {
        match self.weight.order {
            Order::ReduceOut => (BAND / (padded + 2)).clamp(2, 32),
            Order::OutReduce => 1,
        }
    }

    /// The bands of some rows of `part`, which begins at `origin` of the weight.
    fn bands(&self, part: &Matrix, origin: (usize, usize), rows: Range<usize>, segment: usize, padded: usize, f: &(impl Fn(Band) + Sync)) {
        let (stride, blocks) = (padded + 2, self.blocks(padded));
        TILES.with_borrow_mut(|tiles| {
            tiles.resize(tiles.len().max(blocks * stride), F8::splat(0.0));
            for n0 in rows.clone().step_by(8 * blocks) {
                let filled = blocks.min((rows.end - n0).div_ceil(8));
                for k0 in (0..part.reduce).step_by(segment) {
                    let len = segment.min(part.reduce - k0);
                    let padded = if self.geometry.layout == Layout::NBits { padded } else { len };
                    part.gather(n0, filled, k0, len, padded, tiles, stride);
                    for b in 0..filled {
                        let n = n0 + 8 * b;
                        let own = origin.0 + n..origin.0 + (n + 8).min(part.out);
                        f(Band { rows: own, k0: origin.1 + k0, len, tile: &tiles[b * stride..b * stride + padded] });
                    }
                }
            }
        });
    }
}
