//! A matrix in slabs: lines that lie together in memory, read once, and hashed while they are in cache.

use crate::fault::Outcome;
use crate::hash::Pieces;
use crate::matrix::{Matrix, Order};
use crate::split::Split;
use std::cell::RefCell;
use std::sync::Mutex;

/// Bytes of a slab where its unit allows.
const SLAB: usize = 1 << 20;
/// Fewer bytes are not worth a task.
const LEAST: usize = 1 << 16;
/// Slabs that a matrix should have at least, for the cores.
const TASKS: usize = 32;
/// A unit above this is not read as a slab.
const MOST: usize = 16 << 20;

/// Lines of a slab, in units of `unit` lines; `None` where units are so long that slabs would be too large or too few.
pub fn lines_of(matrix: &Matrix, unit: usize) -> Option<usize> {
    let (lines, bytes) = matrix.lines();
    let one = unit.min(lines) * bytes;
    let wanted = (lines * bytes / TASKS).clamp(LEAST, SLAB);
    let step = unit * (wanted / one).max(1);
    let few = lines.div_ceil(step) < TASKS / 4 && lines * bytes > SLAB / 4;
    (one <= MOST && !(few && one > LEAST)).then_some(step)
}

/// Part of a matrix, and where it begins in the whole: output, input.
pub struct Slab<'a> {
    pub matrix: Matrix<'a>,
    pub origin: (usize, usize),
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with each slab of `step` lines; `pieces` hashes it first.
pub fn each_slab(split: &dyn Split, matrix: &Matrix, step: usize, pieces: Option<&Pieces>, f: &(dyn Fn(Slab) + Sync)) -> Outcome<()> {
    let (lines, bytes) = matrix.lines();
    let wrong = Mutex::new(Ok(()));
    split.run(lines.div_ceil(step), &|task| {
        let first = task * step;
        let height = step.min(lines - first);
        BUFFER.with_borrow_mut(|buffer| match matrix.input().piece(first * bytes, height * bytes, buffer) {
            Ok(data) => {
                if let Some(p) = pieces {
                    p.take(first * bytes, data);
                }
                let origin = if matrix.order == Order::ReduceOut { (0, first) } else { (first, 0) };
                f(Slab { matrix: matrix.of_lines(first, height, data), origin });
            }
            Err(fault) => *wrong.lock().expect("no panics while locked") = Err(fault),
        });
    });
    wrong.into_inner().expect("no panics while locked")
}
