//! Many rows: a chunk of the weight, as bytes, stays in the first-level cache while all rows pass by; sums wait in memory.

use super::int8::{each_tile, with_planes, Pass};
use super::scratch;
use crate::layout::{Zeros, COLUMNS, DEPTH};
use crate::simd::{codes, prefetch, Simd};
use std::ops::Range;

/// Reduction steps of a chunk: 16 KiB of bytes.
const CHUNK: usize = 512;

/// A chunk of a panel as a tile reads it.
struct Chunk<'a> {
    pass: &'a Pass<'a>,
    rows: Range<usize>,
    /// Steps of one sum.
    group: usize,
    steps: Range<usize>,
    /// One zero point of the weight, none of the activations, one scale a row.
    plain: bool,
    bytes: *const u8,
    /// Codes of the next chunk, and lines of them.
    next: *const u8,
    ahead: usize,
    /// Float sums of all rows, [rows, 32].
    acc: *mut f32,
    /// Integer sums of groups that are longer than a chunk.
    sums: *mut i32,
}

#[inline(always)]
unsafe fn widen<S: Simd, const CODES: u8>(pass: &Pass, steps: Range<usize>, to: *mut u8) {
    let from = pass.w.codes.as_ptr().add(pass.panel * pass.w.panel());
    for (i, cell) in (steps.start / DEPTH..steps.end / DEPTH).enumerate() {
        S::widen::<CODES>(from.add(cell * codes::cell(CODES)), to.add(i * 128));
    }
}

/// Cells of codes of one group as (code − zero)·step + 128. `index`: of the numbers of the group.
#[inline(always)]
unsafe fn step_up(cells: &mut [[u8; 128]], pass: &Pass, index: usize) {
    let given = pass.w.steps.unwrap_unchecked();
    let (mut zeros, mut steps) = ([0u8; 128], [0u8; 128]);
    for i in 0..128 {
        zeros[i] = pass.w.zero(index + i / DEPTH);
        steps[i] = *given.get_unchecked(index + i / DEPTH);
    }
    for cell in cells {
        for i in 0..128 {
            cell[i] = cell[i].wrapping_sub(zeros[i]).wrapping_mul(steps[i]).wrapping_add(128);
        }
    }
}

/// Fills a chunk: planes are widened (CODES: SMALL), progressive weights become bytes (code − zero)·step + 128 (WIDE). Codes of eight bits are read as they lie.
#[inline(always)]
unsafe fn fill<S: Simd, const CODES: u8>(pass: &Pass, steps: Range<usize>, to: *mut u8) {
    let w = pass.w;
    if CODES == codes::SMALL {
        with_planes!(w.bits, widen::<S, _>(pass, steps, to));
    } else if w.steps.is_some() {
        widen::<S, { codes::HALVES }>(pass, steps.clone(), to);
        let mut from = steps.start;
        while from < steps.end {
            let g = from / w.group;
            let end = steps.end.min((g + 1) * w.group);
            let cells = std::slice::from_raw_parts_mut(to.add((from - steps.start) * COLUMNS).cast(), (end - from) / DEPTH);
            step_up(cells, pass, (pass.panel * w.groups() + g) * COLUMNS);
            from = end;
        }
    }
}

/// CODES: SMALL; WIDE for progressive weights; BYTES or WIDE for codes of eight bits.
#[inline(always)]
pub(super) unsafe fn rows<S: Simd, const CODES: u8>(pass: &Pass, rows: Range<usize>) {
    let (w, x) = (pass.w, pass.x);
    let depth = w.depth();
    let group = if w.steps.is_some() { depth } else { x.group };
    let own = scratch(CHUNK * COLUMNS + 8 * rows.len() * COLUMNS);
    let acc = own.add(CHUNK * COLUMNS).cast::<f32>();
    acc.write_bytes(0, rows.len() * COLUMNS);
    let sums = acc.add(rows.len() * COLUMNS).cast();
    let panel = w.codes.as_ptr().add(pass.panel * w.panel());
    let whole = CHUNK / group * group;
    let plain = w.steps.is_none() && matches!(w.zeros, Zeros::One(_)) && x.zeros.is_none() && x.spans == 1 && x.group == w.group;
    let mut from = 0;
    while from < depth {
        // Whole groups, or a part of one.
        let to = if whole > 0 { depth.min(from + whole) } else { (from + CHUNK).min((from / group + 1) * group) };
        let bytes = if w.bits == 8 { panel.add(from * COLUMNS) } else { own };
        fill::<S, CODES>(pass, from..to, own);
        // The third-level cache is far away: every tile asks for a part of the next chunk.
        let ahead = (depth.min(to + CHUNK) - to) / DEPTH * w.cell() / 64;
        let chunk = Chunk { pass, rows: rows.clone(), group, steps: from..to, plain, bytes, next: panel.add(to / DEPTH * w.cell()), ahead, acc, sums };
        each_tile!(S, x.tiling, rows, tile::<_, CODES>(&chunk));
        from = to;
    }
    each_tile!(S, x.tiling, rows, finish::<_>(pass, acc, rows.start));
}

#[inline(always)]
unsafe fn finish<S: Simd, const R: usize>(pass: &Pass, acc: *const f32, first: usize, row: usize) {
    let mut held = [S::zero(); R];
    for (r, h) in held.iter_mut().enumerate() {
        *h = S::load(acc.add((row - first + r) * COLUMNS));
    }
    pass.write::<S, R>(held, row)
}

#[inline(always)]
unsafe fn tile<S: Simd, const R: usize, const CODES: u8>(c: &Chunk, row: usize) {
    let Pass { w, x, .. } = c.pass;
    let line = |row: usize| c.ahead * (row - c.rows.start) / c.rows.len();
    for i in line(row)..line(row + R) {
        prefetch(c.next.wrapping_add(64 * i));
    }
    let at = (row - c.rows.start) * COLUMNS;
    let (acc, waiting) = (c.acc.add(at), c.sums.add(at));
    let (mut codes, mut a) = (c.bytes, x.codes.as_ptr().add(row * x.depth + c.steps.start * R));
    let mut g = c.steps.start / c.group;
    let mut start = x.starts.as_ptr().add(row * x.groups() + g * R);
    let mut scales = w.scales.as_ptr().add((c.pass.panel * w.groups() + g) * COLUMNS);
    let (mut from, mut end) = (c.steps.start, (g + 1) * c.group);
    while from < c.steps.end {
        let to = end.min(c.steps.end);
        let mut sums = [S::same(0); R];
        if end - from < c.group {
            for r in 0..R {
                sums[r] = S::load_ints(waiting.add(r * COLUMNS));
            }
        } else if c.plain {
            for r in 0..R {
                sums[r] = S::same_as(start.add(r));
            }
        }
        sums = S::products::<R, CODES>(codes, a, (to - from) / DEPTH, sums);
        if c.plain && to == end {
            let scales = S::load(scales);
            for r in 0..R {
                let acc = acc.add(r * COLUMNS);
                S::store(S::fused(S::load(acc), S::to_floats(sums[r]), scales), acc);
            }
        } else {
            for r in 0..R {
                S::store_ints(sums[r], waiting.add(r * COLUMNS));
            }
            if to == end {
                for r in 0..R {
                    scale::<S, CODES>(c, row, R, r, g);
                }
            }
        }
        codes = codes.add((to - from) * COLUMNS);
        a = a.add((to - from) * R);
        (from, end, g, start, scales) = (to, end + c.group, g + 1, start.add(R), scales.add(COLUMNS));
    }
}

/// acc += (sums of group g of row r of a tile, less all zero points)·scales.
#[inline(always)]
unsafe fn scale<S: Simd, const CODES: u8>(c: &Chunk, row: usize, height: usize, r: usize, g: usize) {
    let Pass { w, x, columns, panel, .. } = c.pass;
    let at = (row + r - c.rows.start) * COLUMNS;
    let acc = c.acc.add(at);
    let starts = x.starts.as_ptr().add(row * x.groups() + r);
    let span = row * x.spans + g * x.spans / x.groups() * height + r;
    let mut sums = S::load_ints(c.sums.add(at));
    let index = if w.steps.is_some() { panel * COLUMNS } else { (panel * w.groups() + g / (w.group / x.group)) * COLUMNS };
    let groups = if w.steps.is_some() {
        for g in 0..x.groups() {
            sums = S::less_ints(sums, [S::OFFSET8.wrapping_sub(128).wrapping_neg(); COLUMNS].as_ptr(), *starts.add(g * height));
        }
        0..x.groups()
    } else {
        match w.zeros {
            Zeros::One(_) => sums = S::less_ints(sums, [-1; COLUMNS].as_ptr(), *starts.add(g * height)),
            Zeros::Each(z) => sums = S::less_each(sums, z.as_ptr().add(index), if w.bits == 8 { S::OFFSET8 } else { 0 }, *starts.add(g * height)),
        }
        g..g + 1
    };
    if let (Some(zeros), Some(columns)) = (x.zeros, columns) {
        for g in groups {
            sums = S::less_ints(sums, columns.as_ptr().add(g * COLUMNS), *zeros.as_ptr().add(span));
        }
    }
    let (part, scales) = (S::to_floats(sums), S::load(w.scales.as_ptr().add(index)));
    let sum = if x.spans == 1 {
        S::fused(S::load(acc), part, scales)
    } else {
        S::plus(S::load(acc), S::times(S::fused(S::zero(), part, scales), *x.scales.as_ptr().add(span)))
    };
    S::store(sum, acc);
}
