//! Tiles on their way through the columns: the sweep that rounds them, and the descent that refines them. Tiles that go together read each
//! piece of the matrix once.
//!
//! With e = w − ŵ the loss is e·H·eᵀ = |e·L|². Column i of e·L is L[i,i]·(e_i + Σ_{j>i} e_j·U[i,j]), so columns are rounded from the last
//! to the first, each to w_i + Σ_{j>i} e_j·U[i,j]: GPTQ without an inverse.
//! Sources: Frantar et al., GPTQ, ICLR 2023 (arXiv:2210.17323); Chen et al., The Geometry of LLM Quantization: GPTQ as Babai's Nearest
//! Plane Algorithm, 2025 (arXiv:2507.18553).

use super::kernels::{add, dots_of, scaled, sub, Wide, ZERO};
use super::tile::Tile;
use crate::lanes::F8;
use std::ops::Range;

/// Columns of a stretch that all tiles pass before the next one; columns that are descended together; columns whose sums run one after the other.
const STRETCH: usize = 512;
const DESCENT: usize = 32;
const FEW: usize = 8;

/// Rounds all columns in blocks of `block`. `early`: scales are there already; else the natural order fits those of a group when it comes to it.
pub fn sweep(tiles: &mut [Tile], block: usize, early: bool) {
    let Some(first) = tiles.first() else { return };
    let (factors, block) = (first.factors, if early { block } else { first.group });
    let (n, u) = (factors.n, &factors.factor[..]);
    let mut moved: Vec<Vec<Wide>> = tiles.iter().map(Tile::starts).collect();
    // In natural order positions run against columns, so blocks that end at n begin at groups.
    let mut end = n;
    while end > 0 {
        let first = end.saturating_sub(block);
        far(tiles, u, first..end, end..n, &mut moved);
        for (tile, moved) in tiles.iter_mut().zip(&mut moved) {
            if !early {
                tile.fit_ahead(first, end, moved);
            }
            let mut last = end;
            while last > first {
                let from = first.max(last.saturating_sub(FEW));
                let rows: Vec<usize> = (from..last).collect();
                dots_of(tile.isa, u, &rows, last, end, &tile.e, &mut moved[from..last]);
                for i in (from..last).rev() {
                    let x = (i + 1..last).rev().fold(moved[i], |x, j| add(x, scaled(tile.e[j], u[i * n + j])));
                    moved[i] = x;
                    tile.round(i, add(tile.w[i], x));
                }
                last = from;
            }
        }
        end = first;
    }
    for (tile, moved) in tiles.iter_mut().zip(moved) {
        tile.through = moved;
    }
}

/// One round of coordinate descent: each code to the best one for all others as they are.
pub fn descend(tiles: &mut [Tile]) {
    let Some(first) = tiles.first() else { return };
    let factors = first.factors;
    let (n, h) = (factors.n, &factors.hessian[..]);
    let mut sums: Vec<Vec<Wide>> = tiles.iter().map(|_| vec![ZERO; n]).collect();
    let mut end = n;
    while end > 0 {
        let first = end.saturating_sub(DESCENT);
        sums.iter_mut().for_each(|s| s[first..end].fill(ZERO));
        far(tiles, h, first..end, end..n, &mut sums);
        far(tiles, h, first..end, 0..first, &mut sums);
        for (tile, sums) in tiles.iter_mut().zip(&sums) {
            for i in (first..end).rev() {
                let others = (first..end).rev().filter(|&j| j != i);
                let x = others.fold(sums[i], |x, j| add(x, scaled(tile.e[j], h[i * n + j])));
                tile.round(i, add(add(tile.w[i], x), tile.pull_at(i)));
            }
        }
        end = first;
    }
    for tile in tiles {
        tile.through.clear();
    }
}

/// sums[i] += Σ_{j in columns} m[i, j]·e[j] for each tile, j descending.
fn far(tiles: &[Tile], m: &[f32], rows: Range<usize>, columns: Range<usize>, sums: &mut [Vec<Wide>]) {
    let places: Vec<usize> = rows.clone().collect();
    let mut to = columns.end;
    while to > columns.start {
        let from = columns.start.max(to.saturating_sub(STRETCH));
        for (tile, sums) in tiles.iter().zip(sums.iter_mut()) {
            dots_of(tile.isa, m, &places, from, to, &tile.e, &mut sums[rows.clone()]);
        }
        to = from;
    }
}

impl Tile<'_> {
    /// Fits the group at positions first … end − 1 to its weights as they would be if nothing more were rounded.
    fn fit_ahead(&mut self, first: usize, end: usize, moved: &[Wide]) {
        let n = self.factors.n;
        let mut x = moved[first..end].to_vec();
        for p in (first..end).rev() {
            for j in (p + 1..end).rev() {
                x[p - first] = sub(x[p - first], scaled(x[j - first], self.factors.factor[p * n + j]));
            }
        }
        let at = |p: usize| add(self.w[p], x[p - first]);
        let ahead: Vec<Wide> = (first..end).rev().map(at).collect();
        let half = |h: usize| ahead.iter().map(|v| v[h]).collect::<Vec<F8>>();
        self.fit(self.factors.column[end - 1] / self.group, &half(0), &half(1));
    }
}
