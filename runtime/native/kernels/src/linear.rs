//! y = x·Wᵀ + b with W in layout 1. A task is one panel of 32 columns for a range of rows; tasks write apart from each other.

pub mod bitplanes;
mod chunks;
mod columns;
mod few;
mod finish;
mod float;
mod int8;
#[cfg(target_arch = "x86_64")]
mod tall;

pub use columns::column_sums;
pub use finish::{Branch, Factor, Finish};
pub use float::{float_task, pack_floats};
pub use int8::int8_task;

use crate::layout::Weight;
use crate::Isa;
use std::marker::PhantomData;
use std::ops::Range;

/// What several tasks write at once, apart from each other.
pub struct Output<'a, T = f32> {
    at: *mut T,
    len: usize,
    life: PhantomData<&'a mut [T]>,
}
// SAFETY: tasks write disjoint columns.
unsafe impl<T> Sync for Output<'_, T> {}

impl<'a, T> Output<'a, T> {
    pub fn new(y: &'a mut [T]) -> Self {
        Output { at: y.as_mut_ptr(), len: y.len(), life: PhantomData }
    }
    pub(crate) fn at(&self) -> *mut T {
        self.at
    }
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

/// y [rows, n]: floats, or codes round(y / scale) from −128 to 127.
pub enum Results<'a> {
    Floats(Output<'a>),
    Codes(Output<'a, i8>, f32),
}

impl<'a> Results<'a> {
    pub fn new(y: &'a mut [f32]) -> Self {
        Results::Floats(Output::new(y))
    }
    fn len(&self) -> usize {
        match self {
            Results::Floats(y) => y.len(),
            Results::Codes(y, _) => y.len(),
        }
    }
}

/// What one task computes.
#[derive(Clone)]
pub struct Task {
    pub panel: usize,
    pub rows: Range<usize>,
}

fn check(isa: Isa, w: &Weight, finish: &Finish, y: &Results, task: &Task, rows: usize) {
    assert!(isa.available());
    assert!(task.panel < w.panels() && task.rows.start <= task.rows.end && task.rows.end <= rows && y.len() == rows * w.n);
    assert!(finish.fits(rows, w.n));
}

/// At least `len` bytes at a multiple of 64, the thread's own: valid until its next call.
/// A pointer, not a closure's argument, since closures are compiled without the caller's instruction set.
pub(crate) fn scratch(len: usize) -> *mut u8 {
    #[derive(Clone, Copy)]
    #[repr(C, align(64))]
    struct Line([u8; 64]);
    thread_local!(static LINES: std::cell::RefCell<Vec<Line>> = const { std::cell::RefCell::new(Vec::new()) });
    LINES.with_borrow_mut(|lines| {
        if lines.len() < len.div_ceil(64) {
            lines.resize(len.div_ceil(64), Line([0; 64]));
        }
        lines.as_mut_ptr().cast()
    })
}
