//! Activations as int8 codes, packed by tile: the rows that one pass over a weight serves lie side by side.
//!
//! Row m starts the tile of `height` rows at codes[m·depth]. A tile of up to 12 rows is [depth / 4, height, 4]; one of 16 or 32 rows,
//! for tile registers, is [depth / step, height, step] with steps of 64 or 32.

use crate::isa::dispatch;
use crate::layout::{Weight, Zeros};
use crate::quantize::quantize_row;
use crate::Isa;

/// How rows are cut into tiles for an instruction set and a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tiling {
    pub isa: Isa,
    /// Reduction steps of a tile register's row; 0: no tile registers.
    pub step: usize,
}

impl Tiling {
    pub fn of(isa: Isa, group: usize) -> Tiling {
        let tall = isa.heights()[0] > 12;
        let step = [64, 32].into_iter().find(|s| tall && group % s == 0).unwrap_or(0);
        Tiling { isa, step }
    }
    /// Rows of the tile that starts where `left` rows are left.
    pub fn height(&self, left: usize) -> usize {
        let most = if self.step == 0 { 12 } else { 32 };
        self.isa.heights().iter().copied().find(|&h| h <= left && h <= most).unwrap_or(1)
    }
    /// A tile may start at any multiple of this many rows.
    pub const BORDER: usize = 96;
}

/// Rows of int8 codes in tiles: x = scale·(code − zero).
#[derive(Debug, Clone, Copy)]
pub struct Tiles<'a> {
    pub tiling: Tiling,
    pub depth: usize,
    /// Steps of one sum: the shorter of the weight's group and the group of scales here; one divides the other.
    pub group: usize,
    pub codes: &'a [i8],
    /// How many scales a row has: 1, or one each `depth / spans` steps.
    pub spans: usize,
    /// A tile from row m on: [spans, height] at m·spans.
    pub scales: &'a [f32],
    /// As scales; nothing: all zero.
    pub zeros: Option<&'a [i32]>,
    /// A tile from row m on: [groups, height] at m·groups. The sum of a group's codes times [`start_factor`].
    pub starts: &'a [i32],
    /// Is one of the codes −128?
    pub lowest: bool,
}

impl Tiles<'_> {
    pub fn groups(&self) -> usize {
        self.depth / self.group
    }
}

/// Where one tile of rows goes.
pub struct TileMut<'a> {
    pub codes: &'a mut [i8],
    pub scales: &'a mut [f32],
    pub starts: &'a mut [i32],
}

/// What the sum of a group's codes is multiplied by to give the start of a sum of products. 8-bit codes are summed around `offset`.
pub fn start_factor(isa: Isa, w: &Weight) -> i32 {
    match w.zeros {
        Zeros::One(z) if w.steps.is_none() => offset(isa, w.bits) - i32::from(z),
        _ => 1,
    }
}

/// What the products of an instruction set have already taken off 8-bit codes.
pub(crate) fn offset(isa: Isa, bits: usize) -> i32 {
    match isa {
        #[cfg(target_arch = "aarch64")]
        Isa::Neon if bits == 8 => <crate::simd::neon::Neon as crate::simd::Simd>::OFFSET8,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 if bits == 8 => <crate::simd::avx2::Avx2 as crate::simd::Simd>::OFFSET8,
        _ => 0,
    }
}

/// Quantizes the rows `x` (of `k`) of one tile, one scale a row. Lengths: rows·depth codes, a scale a row, rows·depth / group starts.
pub fn quantize_tile(tiling: Tiling, x: &[f32], k: usize, group: usize, factor: i32, to: TileMut) {
    let rows = x.len() / k;
    let depth = to.codes.len() / rows;
    assert!(tiling.isa.available() && depth >= k && rows * depth == to.codes.len());
    if rows == 1 {
        quantize_row(tiling.isa, x, to.codes, &mut to.scales[0]);
        return sums(tiling.isa, to.codes, 1, group, factor, to.starts);
    }
    let mut codes = vec![0i8; rows * depth];
    for ((x, codes), scale) in x.chunks_exact(k).zip(codes.chunks_exact_mut(depth)).zip(&mut *to.scales) {
        quantize_row(tiling.isa, x, codes, scale);
    }
    pack_tile(tiling, &codes, rows, group, factor, to.codes, to.starts);
}

/// Packs the rows `x` (of `k` codes) of one tile; steps from k on are 0. Is one of them −128?
pub fn pack_rows(tiling: Tiling, x: &[i8], k: usize, group: usize, factor: i32, to: TileMut) -> bool {
    let rows = x.len() / k;
    let depth = to.codes.len() / rows;
    assert!(depth >= k);
    if rows == 1 {
        to.codes[..k].copy_from_slice(x);
        to.codes[k..].fill(0);
        sums(tiling.isa, to.codes, 1, group, factor, to.starts);
    } else if depth == k {
        pack_tile(tiling, x, rows, group, factor, to.codes, to.starts);
    } else {
        let mut codes = vec![0i8; rows * depth];
        for (x, codes) in x.chunks_exact(k).zip(codes.chunks_exact_mut(depth)) {
            codes[..k].copy_from_slice(x);
        }
        pack_tile(tiling, &codes, rows, group, factor, to.codes, to.starts);
    }
    x.iter().fold(0, |low, &q| low.min(q)) == i8::MIN
}

/// Packs `rows` rows of codes (each of whole groups) as one tile, and sums their groups.
pub fn pack_tile(tiling: Tiling, codes: &[i8], rows: usize, group: usize, factor: i32, to: &mut [i8], starts: &mut [i32]) {
    let depth = codes.len() / rows;
    assert!(tiling.isa.available() && to.len() == codes.len() && depth % group == 0 && group % 4 == 0);
    sums(tiling.isa, codes, rows, group, factor, starts);
    let step = if rows > 12 { tiling.step } else { 4 };
    // A block of all rows before the next: what is written stays in the first-level cache.
    const BLOCK: usize = 512;
    for from in (0..depth).step_by(BLOCK) {
        let block = from..depth.min(from + BLOCK);
        let to = &mut to[from * rows..block.end * rows];
        for (r, row) in codes.chunks_exact(depth).enumerate() {
            let row = &row[block.clone()];
            match step {
                4 => scatter::<4>(row, r, rows, to),
                32 => scatter::<32>(row, r, rows, to),
                64 => scatter::<64>(row, r, rows, to),
                _ => unreachable!("tiles beyond 12 rows need tile registers"),
            }
        }
    }
}

/// Row `r` of a tile in pieces of STEP codes.
fn scatter<const STEP: usize>(row: &[i8], r: usize, rows: usize, to: &mut [i8]) {
    for (piece, to) in row.chunks_exact(STEP).zip(to.chunks_exact_mut(rows * STEP)) {
        to[r * STEP..(r + 1) * STEP].copy_from_slice(piece);
    }
}

fn sums(isa: Isa, codes: &[i8], rows: usize, group: usize, factor: i32, starts: &mut [i32]) {
    assert!(starts.len() == codes.len() / group);
    // SAFETY: the callers have checked that the machine has `isa`.
    unsafe { sum_groups(isa, codes, rows, group, factor, starts) }
}
dispatch! { fn sum_groups(codes: &[i8], rows: usize, group: usize, factor: i32, starts: &mut [i32]) = sum_body }

#[inline(always)]
fn sum_body<S>(codes: &[i8], rows: usize, group: usize, factor: i32, starts: &mut [i32]) {
    let groups = starts.len() / rows;
    for (i, codes) in codes.chunks_exact(group).enumerate() {
        starts[i % groups * rows + i / groups] = codes.iter().map(|&q| i32::from(q)).sum::<i32>() * factor;
    }
}
