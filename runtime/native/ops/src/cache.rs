//! What caches need of tensors: outputs that begin with their past, parts for tasks, biases and angles that broadcast.

use crate::api::{Context, Element, Outcome, View};
use qc_kernels::carry;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::Range;

/// An output whose heads are written by tasks of their own.
pub struct Shards<'a, T> {
    at: *mut T,
    heads: usize,
    /// Elements of a head.
    len: usize,
    life: PhantomData<&'a mut [T]>,
}
// SAFETY: tasks ask for parts of their own.
unsafe impl<T: Send> Sync for Shards<'_, T> {}

impl<'a, T> Shards<'a, T> {
    /// Elements `range` of a head.
    ///
    /// # Safety
    /// Nobody else has or asks for a part that overlaps while it is written.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn part(&self, head: usize, range: Range<usize>) -> &mut [T] {
        assert!(head < self.heads && range.start <= range.end && range.end <= self.len);
        if range.is_empty() {
            return &mut [];
        }
        // SAFETY: inside the tensor.
        unsafe { std::slice::from_raw_parts_mut(self.at.add(head * self.len + range.start), range.len()) }
    }
    /// All of it, when everything is written.
    pub fn done(self) -> &'a [T] {
        let all = self.heads * self.len;
        // SAFETY: inside the tensor; the writers are gone with `self`.
        if all == 0 { &[] } else { unsafe { std::slice::from_raw_parts(self.at, all) } }
    }
}

/// Output `output` of `shape` [batch, heads, total, n], which begins with input `input` [batch, heads, past, n] in each head. Both may be one buffer.
/// Errors: another type or other sizes.
pub fn grow<'a, T: Element>(context: &'a Context, input: usize, output: usize, name: &str, shape: &[usize; 4]) -> Outcome<Shards<'a, T>> {
    let past = context.input::<T>(input, name)?;
    let &[batch, heads, total, n] = shape;
    let fits = matches!(past.shape[..], [b, h, p, m] if (b, h, m) == (batch, heads, n) && p <= total);
    if !fits {
        return Err(format!("{name} has the shape {:?}, which does not grow to {shape:?}", past.shape));
    }
    let (heads, len, before) = (batch * heads, total * n, past.shape[2] * n);
    let from = past.data.as_ptr();
    let to = context.output::<T>(output, shape)?.as_mut_ptr();
    if before > 0 && heads > 0 {
        // SAFETY: both have their sizes; a buffer that is given twice begins at one address.
        unsafe { carry(from, to, heads, before, len) };
    }
    Ok(Shards { at: to, heads, len, life: PhantomData })
}

thread_local!(static FLOATS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) });

/// Calls `f` with two buffers of `len`, the thread's own; what is in them is not defined.
pub fn with_floats(len: usize, f: impl FnOnce(&mut [f32], &mut [f32])) {
    let mut buffer = FLOATS.with_borrow_mut(std::mem::take);
    if buffer.len() < 2 * len {
        buffer.resize(2 * len, 0.0);
    }
    let (a, b) = buffer[..2 * len].split_at_mut(len);
    f(a, b);
    FLOATS.with_borrow_mut(|held| *held = buffer);
}

/// Angles [batch or 1, 1, new, dim]; nothing where there is one element.
pub fn angles<'a>(x: &View<'a, f32>, name: &str, batch: usize, new: usize, dim: usize) -> Outcome<&'a [f32]> {
    match x.shape[..] {
        [b, 1, n, d] if (b == 1 || b == batch) && n == new && d == dim => Ok(x.data),
        _ if x.data.len() == 1 => Ok(&[]),
        _ => Err(format!("{name} has the shape {:?}, not [{batch} or 1, 1, {new}, {dim}]", x.shape)),
    }
}

/// Steps of a tensor along the axes that it is broadcast to. Errors: it does not broadcast.
pub fn steps(shape: &[usize], to: [usize; 4]) -> Outcome<[usize; 4]> {
    let fits = shape.len() <= 4 && shape.iter().rev().zip(to.iter().rev()).all(|(&n, &want)| n == want || n == 1);
    if !fits {
        return Err(format!("the bias has the shape {shape:?}, which does not broadcast to {to:?}"));
    }
    let mut steps = [0; 4];
    let mut step = 1;
    for (i, &n) in shape.iter().rev().enumerate() {
        if n != 1 {
            steps[3 - i] = step;
        }
        step *= n;
    }
    Ok(steps)
}
