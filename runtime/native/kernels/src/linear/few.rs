//! Few rows: a tile reads the codes of the whole reduction as they lie.

use super::int8::{each_tile, Pass};
use crate::layout::{Zeros, COLUMNS, DEPTH};
use crate::simd::{codes, Simd};
use std::ops::Range;

#[inline(always)]
pub(super) unsafe fn tiles<S: Simd, const CODES: u8>(pass: &Pass, rows: Range<usize>) {
    each_tile!(S, pass.x.tiling, rows, tile::<_, CODES>(pass))
}

#[inline(always)]
pub(super) unsafe fn tile<S: Simd, const R: usize, const CODES: u8>(pass: &Pass, row: usize) {
    let Pass { w, x, panel, .. } = pass;
    let codes = w.codes.as_ptr().add(panel * w.panel());
    let a = x.codes.as_ptr().add(row * x.depth);
    let bytes = x.group / DEPTH * codes::cell(CODES);
    let every = w.group / x.group;
    let mut acc = [S::zero(); R];
    for g in 0..x.groups() {
        let sums = S::products::<R, CODES>(codes.add(g * bytes), a.add(g * x.group * R), x.group / DEPTH, pass.starts::<S, R>(row, g));
        acc = pass.scaled::<S, R>(acc, sums, row, g, (panel * w.groups() + g / every) * COLUMNS);
    }
    pass.write::<S, R>(acc, row)
}

/// Progressive weights: the sums of groups times their steps stay integers.
#[inline(always)]
pub(super) unsafe fn stepped<S: Simd>(pass: &Pass, rows: Range<usize>) {
    each_tile!(S, pass.x.tiling, rows, stepped_tile::<_>(pass))
}

#[inline(always)]
unsafe fn stepped_tile<S: Simd, const R: usize>(pass: &Pass, row: usize) {
    let Pass { w, x, panel, .. } = pass;
    let steps = w.steps.unwrap_unchecked();
    let codes = w.codes.as_ptr().add(panel * w.panel());
    let a = x.codes.as_ptr().add(row * x.depth);
    let bytes = x.group / DEPTH * codes::cell(codes::HALVES);
    let mut whole = [S::same(0); R];
    let same = [if let Zeros::One(z) = w.zeros { z } else { 0 }; COLUMNS];
    for g in 0..x.groups() {
        let index = (panel * w.groups() + g) * COLUMNS;
        let zeros = match w.zeros {
            Zeros::One(_) => same.as_ptr(),
            Zeros::Each(z) => z.as_ptr().add(index),
        };
        let mut sums = S::products::<R, { codes::HALVES }>(codes.add(g * bytes), a.add(g * x.group * R), x.group / DEPTH, [S::same(0); R]);
        let start = x.starts.as_ptr().add(row * x.groups() + g * R);
        for r in 0..R {
            sums[r] = S::less_each(sums[r], zeros, 0, *start.add(r));
            whole[r] = S::add_stepped(whole[r], sums[r], steps.as_ptr().add(index));
            if let (Some(zeros), Some(columns)) = (x.zeros, pass.columns) {
                whole[r] = S::less_ints(whole[r], columns.as_ptr().add(g * COLUMNS), zeros[row + r]);
            }
        }
    }
    let (mut acc, scales) = ([S::zero(); R], S::load(w.scales.as_ptr().add(panel * COLUMNS)));
    for r in 0..R {
        acc[r] = S::fused(acc[r], S::to_floats(whole[r]), scales);
    }
    pass.write::<S, R>(acc, row)
}
