//! y = x·Wᵀ + b with W in layout 1. A task is one panel of 32 columns for a range of rows; tasks write apart from each other.

mod float;
mod int8;
#[cfg(target_arch = "x86_64")]
mod tall;

pub use float::float_task;
pub use int8::int8_task;

use crate::layout::{Weight, COLUMNS};
use crate::simd::Simd;
use crate::Isa;
use std::marker::PhantomData;
use std::ops::Range;

/// y [rows, n], written by several tasks at once.
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
