//! What one call of attention reads: queries by rows and heads, a bias that broadcasts, parts of the columns of matrices.

/// A bias below it masks: a visible key's score cannot be so low that the masked one counts.
const MASKED: f32 = -1e20;
/// Elements of a mask that are looked at together.
const PIECE: usize = 32;

/// A part of the columns of a matrix: row i begins at element at + i·step.
#[derive(Debug, Clone, Copy)]
pub struct Columns<'a> {
    pub data: &'a [f32],
    pub step: usize,
    pub at: usize,
}

impl<'a> Columns<'a> {
    /// Rows of `width`, whole.
    pub fn whole(data: &'a [f32], width: usize) -> Columns<'a> {
        Columns { data, step: width, at: 0 }
    }
    /// The same columns moved by `by` elements.
    pub fn from(self, by: usize) -> Columns<'a> {
        Columns { at: self.at + by, ..self }
    }
    /// Are there `rows` rows with `width` elements each?
    pub fn holds(&self, rows: usize, width: usize) -> bool {
        let end = rows.saturating_sub(1).checked_mul(self.step).and_then(|n| n.checked_add(self.at)?.checked_add(width));
        rows == 0 || end.is_some_and(|n| n <= self.data.len())
    }
    #[inline(always)]
    pub(super) fn row(&self, i: usize, width: usize) -> &'a [f32] {
        let at = self.at + i * self.step;
        &self.data[at..at + width]
    }
}

/// Sizes and queries of one call. Rows of q are [batch · new], its columns [heads, dim].
#[derive(Debug, Clone, Copy)]
pub struct Queries<'a> {
    pub batch: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub dim: usize,
    /// Queries of a sequence.
    pub new: usize,
    /// Its keys.
    pub total: usize,
    pub scale: f32,
    pub q: Columns<'a>,
    /// Cosines and sines [batch or 1, new, dim]; empty: no rotary embedding. Element i turns with element i ± dim / 2.
    pub cos: &'a [f32],
    pub sin: &'a [f32],
    /// Added to scores, broadcast to [batch, heads, new, total]; empty: nothing.
    pub bias: &'a [f32],
    /// Steps of the bias along those axes; 0 where it is one wide.
    pub bias_steps: [usize; 4],
}

impl<'a> Queries<'a> {
    /// Rows of one key head: positions × query heads of its group.
    pub fn rows(&self) -> usize {
        self.new * self.heads / self.kv_heads
    }

    /// Errors: what does not fit, in words.
    pub fn check(&self) -> Result<(), String> {
        if self.heads == 0 || self.kv_heads == 0 || self.heads % self.kv_heads != 0 || self.dim == 0 {
            return Err(format!("{} heads cannot share {} key heads of size {}", self.heads, self.kv_heads, self.dim));
        }
        let product = |sizes: &[usize]| sizes.iter().try_fold(1usize, |n, &s| n.checked_mul(s));
        let most = self.total.checked_add(self.new);
        let rows = most.and_then(|t| product(&[self.batch, self.heads, t, self.dim, 4])).map(|_| self.batch * self.new);
        let (b, d) = (self.batch, self.dim);
        if !self.q.holds(rows.ok_or("sizes are too large")?, self.heads * d) {
            return Err(format!("q has {} elements, which does not fit {self}", self.q.data.len()));
        }
        if !self.cos.is_empty() {
            if d % 2 != 0 {
                return Err(format!("a rotary embedding needs an even head size, not {d}"));
            }
            let batches = if self.cos.len() == self.new * d { 1 } else { b };
            for (name, x) in [("cos", self.cos), ("sin", self.sin)] {
                if x.len() != batches * self.new * d {
                    return Err(format!("{name} has {} elements, which does not fit {self}", x.len()));
                }
            }
        }
        if !self.bias.is_empty() {
            let sizes = [b, self.heads, self.new, self.total];
            let last: usize = sizes.iter().zip(self.bias_steps).map(|(&n, step)| n.saturating_sub(1) * step).sum();
            if last >= self.bias.len() {
                return Err(format!("the bias has {} elements, which does not fit {self}", self.bias.len()));
            }
        }
        Ok(())
    }

    #[inline(always)]
    pub(crate) fn angles(&self, b: usize, position: usize) -> Option<(&'a [f32], &'a [f32])> {
        if self.cos.is_empty() {
            return None;
        }
        let b = if self.cos.len() == self.new * self.dim { 0 } else { b };
        let at = (b * self.new + position) * self.dim;
        Some((&self.cos[at..at + self.dim], &self.sin[at..at + self.dim]))
    }

    #[inline(always)]
    pub(super) unsafe fn bias_row(&self, b: usize, (position, head): (usize, usize)) -> Option<(*const f32, usize)> {
        let [sb, sh, sp, st] = self.bias_steps;
        (!self.bias.is_empty()).then(|| (self.bias.as_ptr().add(b * sb + head * sh + position * sp), st))
    }

    /// Keys up to the last that one of the rows sees (given by position and head); all where a row sees none.
    #[inline(always)]
    pub(super) unsafe fn visible(&self, b: usize, rows: impl Iterator<Item = (usize, usize)>) -> usize {
        let (mut most, mut last) = (0, usize::MAX);
        for (position, head) in rows {
            // Heads of a position mostly share their bias.
            if self.bias_steps[1] == 0 && position == last {
                continue;
            }
            last = position;
            let Some((bias, step)) = self.bias_row(b, (position, head)) else { return self.total };
            // A NaN is not masked.
            let masked = |from: usize, to: usize| match step {
                1 => std::slice::from_raw_parts(bias.add(from), to - from).iter().fold(true, |all, &x| all & (x < MASKED)),
                _ => (from..to).all(|i| *bias.add(i * step) < MASKED),
            };
            let mut n = self.total;
            while n >= most + PIECE && masked(n - PIECE, n) {
                n -= PIECE;
            }
            while n > most && masked(n - 1, n) {
                n -= 1;
            }
            if n == most && masked(0, n) {
                return self.total;
            }
            most = n;
        }
        most
    }
}

impl std::fmt::Display for Queries<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Queries { batch, heads, kv_heads, dim, new, total, .. } = self;
        write!(f, "batch {batch}, {new} queries and {total} keys, {heads} heads, {kv_heads} key heads of size {dim}")
    }
}
