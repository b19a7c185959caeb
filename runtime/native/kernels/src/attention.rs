//! Attention over a cache: [`append`] writes what is new in the cache of one key head, [`crate::attend`] computes some rows of its group.

use crate::attend::{turn, Columns, Queries};
use crate::isa::dispatch;
use crate::Isa;

/// Sizes and inputs of one call. Rows of q are [batch, new, heads, dim], of k and v [batch, new, kv_heads, dim].
#[derive(Debug, Clone, Copy)]
pub struct Attention<'a> {
    pub batch: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub dim: usize,
    pub past: usize,
    pub new: usize,
    pub scale: f32,
    pub q: &'a [f32],
    pub k: &'a [f32],
    pub v: &'a [f32],
    /// As those of [`Queries`].
    pub cos: &'a [f32],
    pub sin: &'a [f32],
    pub bias: &'a [f32],
    pub bias_steps: [usize; 4],
}

impl<'a> Attention<'a> {
    pub fn total(&self) -> usize {
        self.past + self.new
    }
    /// Elements of the whole cache of keys, or of values.
    pub fn cache(&self) -> usize {
        self.batch * self.kv_heads * self.total() * self.dim
    }
    pub fn queries(&self) -> Queries<'a> {
        let &Attention { batch, heads, kv_heads, dim, past, new, scale, q, cos, sin, bias, bias_steps, .. } = self;
        let q = Columns::whole(q, heads.saturating_mul(dim));
        Queries { batch, heads, kv_heads, dim, new, total: past.saturating_add(new), scale, q, cos, sin, bias, bias_steps }
    }

    /// Errors: what does not fit, in words.
    pub fn check(&self) -> Result<(), String> {
        self.queries().check()?;
        for (name, x, heads) in [("q", self.q, self.heads), ("k", self.k, self.kv_heads), ("v", self.v, self.kv_heads)] {
            if x.len() != self.batch * self.new * heads * self.dim {
                return Err(format!("{name} has {} elements, which does not fit {}", x.len(), self.queries()));
            }
        }
        Ok(())
    }
}

/// The new keys (turned) and values of key head `head` of batch `b`, [new, dim] each.
pub fn append(isa: Isa, a: &Attention, b: usize, head: usize, keys: &mut [f32], values: &mut [f32]) {
    let len = a.new * a.dim;
    assert!(isa.available() && a.check().is_ok() && b < a.batch && head < a.kv_heads && keys.len() == len && values.len() == len);
    // SAFETY: the machine has `isa`.
    unsafe { append_all(isa, a, b, head, keys, values) }
}
dispatch! { fn append_all(a: &Attention, b: usize, head: usize, keys: &mut [f32], values: &mut [f32]) = append_body }

#[inline(always)]
fn append_body<S>(a: &Attention, b: usize, head: usize, keys: &mut [f32], values: &mut [f32]) {
    let d = a.dim;
    let queries = a.queries();
    for position in 0..a.new {
        let from = ((b * a.new + position) * a.kv_heads + head) * d;
        let to = position * d;
        turn(&a.k[from..from + d], queries.angles(b, position), &mut keys[to..to + d]);
        values[to..to + d].copy_from_slice(&a.v[from..from + d]);
    }
}
