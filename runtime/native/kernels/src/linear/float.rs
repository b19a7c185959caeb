//! Float activations: codes are unpacked to floats piece by piece.

use super::{check, write, Output, Task};
use crate::isa::dispatch;
use crate::layout::{Weight, COLUMNS, DEPTH};
use crate::simd::Simd;
use crate::Isa;

/// y[m, n] = Σ_c (Σ_{k in c} x·(code − zero))·scale[n, g] + bias[n] in float32; c: pieces of a group of at most 128, in order.
pub fn float_task(isa: Isa, w: &Weight, x: &[f32], bias: Option<&[f32]>, y: &Output, task: &Task) {
    check(isa, w, bias, y, task, x.len() / w.k);
    assert!(x.len() % w.k == 0);
    // SAFETY: the sizes are checked, the machine has `isa`.
    unsafe { float(isa, w, x, bias, y, task) }
}

dispatch! { fn float(w: &Weight, x: &[f32], bias: Option<&[f32]>, y: &Output, task: &Task) = float_rows }

/// Calls `tile` with as many rows at a time as the instruction set serves, then with fewer.
macro_rules! tiles {
    ($simd:ident, $rows:expr, |$row:ident| $tile:ident::<$s:ident, _ $(, $more:tt)*>($($arg:expr),*)) => {{
        let mut $row = $rows.start;
        tiles!(@ 12, $simd, $row, $rows, $tile::<$s, 12 $(, $more)*>($($arg),*));
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
    let parts = S::dot::<R>(unpacked, COLUMNS, a, depth);
    for r in 0..R {
        let at = sums.as_mut_ptr().add((row + r - first) * COLUMNS);
        S::store(S::add_product(S::load(at), parts[r], scales), at);
    }
}
