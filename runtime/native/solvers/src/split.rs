//! How work is spread over threads: by whoever calls us.

/// Runs `task(0) … task(n − 1)`, in any order and on any thread, and returns when all are done.
pub trait Split: Sync {
    fn run(&self, n: usize, task: &(dyn Fn(usize) + Sync));
}

/// One after the other, on the caller's thread.
pub struct Sequential;

impl Split for Sequential {
    fn run(&self, n: usize, task: &(dyn Fn(usize) + Sync)) {
        (0..n).for_each(task);
    }
}

/// A slice that tasks write at places of their own.
pub struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    life: std::marker::PhantomData<&'a mut [T]>,
}

// SAFETY: access goes through `at`, whose caller promises disjoint ranges.
unsafe impl<T: Send> Sync for Shared<'_, T> {}
unsafe impl<T: Send> Send for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub fn new(slice: &'a mut [T]) -> Self {
        Shared { start: slice.as_mut_ptr(), len: slice.len(), life: std::marker::PhantomData }
    }

    /// The element at `at`.
    ///
    /// # Safety
    /// No other thread writes it.
    #[inline(always)]
    pub unsafe fn get(&self, at: usize) -> T
    where
        T: Copy,
    {
        assert!(at < self.len, "read outside the output");
        *self.start.add(at)
    }

    /// `len` elements from `at`.
    ///
    /// # Safety
    /// No other thread holds an overlapping range.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn at(&self, at: usize, len: usize) -> &mut [T] {
        assert!(at <= self.len && len <= self.len - at, "write outside the output");
        std::slice::from_raw_parts_mut(self.start.add(at), len)
    }
}
