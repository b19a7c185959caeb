//! Sums of groups become float sums, and those of the last group rows of y.

use super::{Panel, BATCH, SUMS};
use crate::layout::{Zeros, COLUMNS};
use crate::linear::finish::Row;
use crate::simd::avx512vnni::Avx512Vnni as S;
use crate::simd::Simd;

/// Sums of `count` groups from `group` on of a tile, whose rows `from` to `to` are still to be scaled.
pub(super) struct Waiting {
    pub tile: usize,
    pub group: usize,
    pub count: usize,
    pub from: usize,
    pub to: usize,
    /// Are these the first groups of the reduction; the last?
    pub first: bool,
    pub last: bool,
    pub sums: *const i32,
    /// Which of the two buffers is free.
    pub other: usize,
}

impl Waiting {
    pub fn nothing() -> Waiting {
        Waiting { tile: 0, group: 0, count: 0, from: 0, to: 0, first: false, last: false, sums: std::ptr::null(), other: 0 }
    }
    pub fn left(&self) -> usize {
        self.to - self.from
    }
}

impl Panel<'_> {
    /// acc += Σ (sums of a group, less zero points)·scales, groups in order, of at most `count` rows of what waits.
    #[inline(always)]
    pub(super) unsafe fn scale<const SIGNED: bool, const PLAIN: bool>(&self, waiting: &mut Waiting, count: usize) {
        let to = waiting.to.min(waiting.from + count);
        if waiting.from == to {
            return;
        }
        let (w, x) = (self.w, self.x);
        let every = w.group / x.group;
        let mut index = [0; BATCH];
        let mut scales = [S::zero(); BATCH];
        for g in 0..BATCH {
            let of = if w.steps.is_some() { self.panel } else { self.panel * w.groups() + (waiting.group + g.min(waiting.count - 1)) / every };
            index[g] = of * COLUMNS;
            scales[g] = S::load(w.scales.as_ptr().add(index[g]));
        }
        let (row, height) = self.tiles[waiting.tile];
        for r in waiting.from..to {
            let at = self.acc.add(waiting.tile * self.kept + r * COLUMNS);
            let mut acc = if waiting.first { S::zero() } else { S::load(at) };
            for g in 0..BATCH {
                if g < waiting.count {
                    let sums = S::load_ints(waiting.sums.add(g * SUMS + r * COLUMNS));
                    let start = x.starts.as_ptr().add(row * x.groups() + (waiting.group + g) * height + r);
                    if !PLAIN {
                        acc = self.general::<SIGNED>(acc, sums, (waiting.group + g, index[g]), (row, height, r), *start);
                        continue;
                    }
                    let sums = if SIGNED { sums } else { S::add_start(sums, *start) };
                    acc = S::fused(acc, S::to_floats(sums), scales[g]);
                }
            }
            if waiting.last {
                let y = if x.spans == 1 { S::times(acc, *x.scales.as_ptr().add(row + r)) } else { acc };
                self.finish.write::<S>(y, self.y, Row { panel: self.panel, row: row + r, n: w.n });
            } else {
                S::store(acc, at);
            }
        }
        waiting.from = to;
    }

    /// One row of one group, whatever zero points and scales there are.
    #[inline(always)]
    unsafe fn general<const SIGNED: bool>(
        &self,
        acc: <S as Simd>::Floats,
        sums: <S as Simd>::Ints,
        (group, index): (usize, usize),
        (row, height, r): (usize, usize, usize),
        start: i32,
    ) -> <S as Simd>::Floats {
        let (w, x) = (self.w, self.x);
        let mut s = sums;
        if !SIGNED {
            s = match w.zeros {
                Zeros::One(_) => S::add_start(s, start),
                Zeros::Each(z) => S::less_each(s, z.as_ptr().add(index), 0, start),
            };
        }
        let span = row * x.spans + group * x.spans / x.groups() * height + r;
        if let (Some(zeros), Some(columns)) = (x.zeros, self.columns) {
            // Of progressive weights the one sum is of all groups.
            for g in if w.steps.is_some() { 0..x.groups() } else { group..group + 1 } {
                s = S::less_ints(s, columns.as_ptr().add(g * COLUMNS), *zeros.as_ptr().add(span));
            }
        }
        let scales = S::load(w.scales.as_ptr().add(index));
        if x.spans == 1 {
            return S::fused(acc, S::to_floats(s), scales);
        }
        S::plus(acc, S::times(S::fused(S::zero(), S::to_floats(s), scales), *x.scales.as_ptr().add(span)))
    }
}
