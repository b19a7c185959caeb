//! Float activations: codes are unpacked to floats piece by piece.

use super::finish::{Finish, Row};
use super::{check, Results, Task};
use crate::isa::dispatch;
use crate::layout::{Weight, COLUMNS, DEPTH};
use crate::simd::Simd;
use crate::Isa;

/// y[m, n] = Σ_c (Σ_{k in c} x·(code − zero))·scale[n, g] in float32, finished; c: pieces of a group of at most 128, in order.
pub fn float_task(isa: Isa, w: &Weight, x: &[f32], finish: &Finish, y: &Results, task: &Task) {
    check(isa, w, finish, y, task, x.len() / w.k);
    assert!(x.len() % w.k == 0);
    // SAFETY: the sizes are checked, the machine has `isa`.
    unsafe { float(isa, w, x, finish, y, task) }
}

dispatch! { fn float(w: &Weight, x: &[f32], finish: &Finish, y: &Results, task: &Task) = float_rows }

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
unsafe fn float_rows<S: Simd>(w: &Weight, x: &[f32], finish: &Finish, y: &Results, task: &Task) {
    let groups = w.groups();
    let mut unpacked = [0.0f32; PIECE * COLUMNS];
    for first in task.rows.clone().step_by(BLOCK) {
        let rows = first..task.rows.end.min(first + BLOCK);
        let mut sums = [0.0f32; BLOCK * COLUMNS];
        for g in 0..groups {
            let index = (task.panel * groups + g) * COLUMNS;
            let zeros: [f32; COLUMNS] = std::array::from_fn(|i| f32::from(w.zero(index + i)));
            let end = w.k.min((g + 1) * w.group);
            let mut stepped = [0.0f32; COLUMNS];
            let scales = match w.steps {
                None => w.scales.as_ptr().add(index),
                Some(steps) => {
                    for (c, s) in stepped.iter_mut().enumerate() {
                        *s = w.scales[task.panel * COLUMNS + c] * f32::from(steps[index + c]);
                    }
                    stepped.as_ptr()
                }
            };
            for k in (g * w.group..end).step_by(PIECE) {
                let depth = PIECE.min(end - k);
                let codes = w.codes.as_ptr().add(task.panel * w.panel() + k / DEPTH * w.cell());
                unpack::<S>(w, codes, depth.div_ceil(DEPTH), &zeros, unpacked.as_mut_ptr());
                tiles!(S, rows, |row| float_tile::<S, _>(unpacked.as_ptr(), x, w.k, k, depth, scales, &mut sums, row, first));
            }
        }
        for row in rows {
            finish.write::<S>(S::load(sums.as_ptr().add((row - first) * COLUMNS)), y, Row { panel: task.panel, row, n: w.n });
        }
    }
}

/// `cells` cells less their zero points as floats, [4·cells, 32].
#[inline(always)]
unsafe fn unpack<S: Simd>(w: &Weight, codes: *const u8, cells: usize, zeros: &[f32; COLUMNS], to: *mut f32) {
    let mut bytes = [0u8; 128];
    for c in 0..cells {
        let (at, to) = (codes.add(c * w.cell()), to.add(c * DEPTH * COLUMNS));
        match w.bits {
            4 => {
                S::unpack4(at, zeros.as_ptr(), to);
                continue;
            }
            8 => {
                S::unpack8(at, zeros.as_ptr(), to);
                continue;
            }
            2 => S::widen::<2>(at, bytes.as_mut_ptr()),
            3 => S::widen::<3>(at, bytes.as_mut_ptr()),
            5 => S::widen::<5>(at, bytes.as_mut_ptr()),
            6 => S::widen::<6>(at, bytes.as_mut_ptr()),
            _ => S::widen::<7>(at, bytes.as_mut_ptr()),
        }
        S::unpack8(bytes.as_ptr(), zeros.as_ptr(), to);
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
        S::store(S::fused(S::load(at), parts[r], S::load(scales)), at);
    }
}
