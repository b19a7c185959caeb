//! y = x·Wᵀ + b with W in layout 1. A task is one panel of 32 columns for a range of rows; tasks write apart from each other.

use crate::isa::dispatch;
use crate::layout::{Weight, Zeros, COLUMNS, DEPTH};
use crate::quantize::Rows;
use crate::simd::Simd;
use crate::Isa;
use std::marker::PhantomData;
use std::ops::Range;

/// y [rows, n], written by several tasks at once.
pub struct Output<'a> {
    at: *mut f32,
    len: usize,
    life: PhantomData<&'a mut [f32]>,
}
// SAFETY: tasks write disjoint columns.
unsafe impl Sync for Output<'_> {}

impl<'a> Output<'a> {
    pub fn new(y: &'a mut [f32]) -> Self {
        Output { at: y.as_mut_ptr(), len: y.len(), life: PhantomData }
    }
}

/// What one task computes.
#[derive(Clone)]
pub struct Task {
    pub panel: usize,
    pub rows: Range<usize>,
}

fn check(isa: Isa, w: &Weight, bias: Option<&[f32]>, y: &Output, task: &Task, rows: usize) {
    assert!(isa.available());
    assert!(task.panel < w.panels() && task.rows.start <= task.rows.end && task.rows.end <= rows && y.len == rows * w.n);
    assert!(bias.is_none_or(|b| b.len() == w.n));
}

/// y[m, n] = (Σ_g (Σ_k a·(code − zero))·scale[n, g])·s[m] + bias[n]: sums of a group in int32, groups added in order in float32.
/// Panics where sizes do not fit. Two tasks of one panel that overlap in rows must not run at once.
pub fn int8_task(isa: Isa, w: &Weight, x: &Rows, bias: Option<&[f32]>, y: &Output, task: &Task) {
    check(isa, w, bias, y, task, x.scales.len());
    assert!(x.stride == w.depth() && x.groups == w.groups() && x.codes.len() == x.scales.len() * x.stride && x.sums.len() == x.scales.len() * x.groups);
    // SAFETY: the sizes are checked, the machine has `isa`.
    unsafe { int8(isa, w, x, bias, y, task) }
}

/// y[m, n] = Σ_c (Σ_{k in c} x·(code − zero))·scale[n, g] + bias[n] in float32; c: pieces of a group of at most 128, in order.
pub fn float_task(isa: Isa, w: &Weight, x: &[f32], bias: Option<&[f32]>, y: &Output, task: &Task) {
    check(isa, w, bias, y, task, x.len() / w.k);
    assert!(x.len() % w.k == 0);
    // SAFETY: as above.
    unsafe { float(isa, w, x, bias, y, task) }
}

dispatch! { fn int8(w: &Weight, x: &Rows, bias: Option<&[f32]>, y: &Output, task: &Task) = int8_rows }
dispatch! { fn float(w: &Weight, x: &[f32], bias: Option<&[f32]>, y: &Output, task: &Task) = float_rows }

/// Calls `tile` with as many rows at a time as the instruction set serves, then with fewer.
macro_rules! tiles {
    ($simd:ident, $rows:expr, |$row:ident| $tile:ident::<$s:ident, _ $(, $more:tt)*>($($arg:expr),*)) => {{
        let mut $row = $rows.start;
        tiles!(@ 8, $simd, $row, $rows, $tile::<$s, 8 $(, $more)*>($($arg),*));
        tiles!(@ 4, $simd, $row, $rows, $tile::<$s, 4 $(, $more)*>($($arg),*));
        tiles!(@ 2, $simd, $row, $rows, $tile::<$s, 2 $(, $more)*>($($arg),*));
        tiles!(@ 1, $simd, $row, $rows, $tile::<$s, 1 $(, $more)*>($($arg),*));
    }};
    (@ $n:literal, $simd:ident, $row:ident, $rows:expr, $call:expr) => {
        while $simd::ROWS >= $n && $row + $n <= $rows.end {
            $call;
            $row += $n;
        }
    };
}

#[inline(always)]
unsafe fn int8_rows<S: Simd>(w: &Weight, x: &Rows, bias: Option<&[f32]>, y: &Output, task: &Task) {
    let rows = task.rows.clone();
    if w.bits == 4 {
        tiles!(S, rows, |row| int8_tile::<S, _, 4>(w, x, bias, y, task.panel, row));
    } else {
        tiles!(S, rows, |row| int8_tile::<S, _, 8>(w, x, bias, y, task.panel, row));
    }
}

#[inline(always)]
unsafe fn int8_tile<S: Simd, const R: usize, const BITS: usize>(w: &Weight, x: &Rows, bias: Option<&[f32]>, y: &Output, panel: usize, row: usize) {
    let groups = w.groups();
    let cells = w.group / DEPTH;
    let codes = w.codes.as_ptr().add(panel * w.panel());
    let scales = w.scales.as_ptr().add(panel * groups * COLUMNS);
    let offset = if BITS == 8 { S::OFFSET8 } else { 0 };
    let mut acc = [S::zero(); R];
    for g in 0..groups {
        let a: [*const i8; R] = std::array::from_fn(|r| x.codes.as_ptr().add((row + r) * x.stride + g * w.group));
        let at = codes.add(g * cells * w.cell());
        let sums = if BITS == 4 { S::dot4::<R>(at, a, cells) } else { S::dot8::<R>(at, a, cells) };
        for r in 0..R {
            let total = *x.sums.get_unchecked((row + r) * groups + g);
            let s = match w.zeros {
                Zeros::One(z) => S::less(sums[r], (i32::from(z) - offset) * total),
                Zeros::Each(z) => S::less_each(sums[r], z.as_ptr().add((panel * groups + g) * COLUMNS), offset, total),
            };
            acc[r] = S::add_scaled(acc[r], s, scales.add(g * COLUMNS));
        }
    }
    for r in 0..R {
        let scaled = S::times(acc[r], *x.scales.get_unchecked(row + r));
        write::<S>(w, scaled, bias, y, panel, row + r);
    }
}

/// Adds the bias and writes the columns that there are.
#[inline(always)]
unsafe fn write<S: Simd>(w: &Weight, x: S::Floats, bias: Option<&[f32]>, y: &Output, panel: usize, row: usize) {
    let from = panel * COLUMNS;
    let to = y.at.add(row * w.n + from);
    let count = (w.n - from).min(COLUMNS);
    if count == COLUMNS {
        let x = bias.map_or(x, |b| S::plus(x, S::load(b.as_ptr().add(from))));
        return S::store(x, to);
    }
    let mut whole = [0.0f32; COLUMNS];
    S::store(x, whole.as_mut_ptr());
    for (i, v) in whole[..count].iter().enumerate() {
        *to.add(i) = bias.map_or(*v, |b| *v + b[from + i]);
    }
}

/// Steps whose products are summed before they are scaled: bounds the rounding error, and fits the first-level cache.
const PIECE: usize = 128;
/// Rows whose sums are kept at once.
const BLOCK: usize = 32;

#[inline(always)]
unsafe fn float_rows<S: Simd>(w: &Weight, x: &[f32], bias: Option<&[f32]>, y: &Output, task: &Task) {
    let groups = w.groups();
    let mut unpacked = [0.0f32; PIECE * COLUMNS];
    for first in task.rows.clone().step_by(BLOCK) {
        let rows = first..task.rows.end.min(first + BLOCK);
        let mut sums = [0.0f32; BLOCK * COLUMNS];
        for g in 0..groups {
            let index = (task.panel * groups + g) * COLUMNS;
            let zeros: [f32; COLUMNS] = std::array::from_fn(|i| f32::from(w.zero(index + i)));
            let end = w.k.min((g + 1) * w.group);
            for k in (g * w.group..end).step_by(PIECE) {
                let depth = PIECE.min(end - k);
                let codes = w.codes.as_ptr().add(task.panel * w.panel() + k / DEPTH * w.cell());
                for c in 0..depth.div_ceil(DEPTH) {
                    let to = unpacked.as_mut_ptr().add(c * DEPTH * COLUMNS);
                    if w.bits == 4 {
                        S::unpack4(codes.add(c * 64), zeros.as_ptr(), to);
                    } else {
                        S::unpack8(codes.add(c * 128), zeros.as_ptr(), to);
                    }
                }
                let scales = w.scales.as_ptr().add(index);
                tiles!(S, rows, |row| float_tile::<S, _>(unpacked.as_ptr(), x, w.k, k, depth, scales, &mut sums, row, first));
            }
        }
        for row in rows {
            write::<S>(w, S::load(sums.as_ptr().add((row - first) * COLUMNS)), bias, y, task.panel, row);
        }
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn float_tile<S: Simd, const R: usize>(
    unpacked: *const f32,
    x: &[f32],
    stride: usize,
    k: usize,
    depth: usize,
    scales: *const f32,
    sums: &mut [f32; BLOCK * COLUMNS],
    row: usize,
    first: usize,
) {
    let a: [*const f32; R] = std::array::from_fn(|r| x.as_ptr().add((row + r) * stride + k));
    let parts = S::dot::<R>(unpacked, a, depth);
    for r in 0..R {
        let at = sums.as_mut_ptr().add((row + r - first) * COLUMNS);
        S::store(S::add_product(S::load(at), parts[r], scales), at);
    }
}
