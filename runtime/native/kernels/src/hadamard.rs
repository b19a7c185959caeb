//! Rows times a Kronecker product of a small matrix and a Sylvester Hadamard matrix: the fast Walsh–Hadamard transform, and the sizes
//! 12·2ⁿ, 20·2ⁿ, 28·2ⁿ … whose odd part has a matrix of its own.

use crate::isa::dispatch;
use crate::Isa;

/// What a row consists of: blocks of `outer · 2^power` elements.
#[derive(Debug, Clone, Copy)]
pub struct Blocks<'a> {
    /// M, row-major [outer, outer]; one element: none.
    pub outer: &'a [f32],
    /// Elements of M's side.
    pub side: usize,
    /// The Sylvester matrix has 2^power rows.
    pub power: u32,
    /// What every result is multiplied by.
    pub scale: f32,
}

impl Blocks<'_> {
    pub fn size(&self) -> usize {
        self.side << self.power
    }
    /// Errors in words.
    pub fn check(&self, width: usize) -> Result<(), String> {
        if self.side == 0 || self.side > 4096 || self.power > 24 || self.outer.len() != self.side * self.side {
            return Err(format!("a matrix of {} elements and 2^{} have no Kronecker product", self.outer.len(), self.power));
        }
        if width == 0 || width % self.size() != 0 {
            return Err(format!("rows of {width} are no blocks of {}", self.size()));
        }
        Ok(())
    }
}

/// y[block] = x[block] · (M ⊗ S) · scale for each block of each row: element (i, j) of a block is at i·2^power + j,
/// y[a, b] = scale · Σ_i M[i, a] · Σ_j (−1)^popcount(j & b) x[i, j]. Panics where sizes do not fit.
pub fn hadamard(isa: Isa, h: &Blocks, x: &[f32], y: &mut [f32]) {
    assert!(isa.available() && x.len() == y.len() && (x.is_empty() || h.check(x.len()).is_ok()));
    // SAFETY: the machine has `isa`.
    unsafe { all(isa, h, x, y) }
}
dispatch! { fn all(h: &Blocks, x: &[f32], y: &mut [f32]) = body }

#[inline(always)]
fn body<S>(h: &Blocks, x: &[f32], y: &mut [f32]) {
    let (size, n) = (h.size(), 1usize << h.power);
    let mut walsh = vec![0.0f32; size];
    for (x, y) in x.chunks_exact(size).zip(y.chunks_exact_mut(size)) {
        if h.side == 1 {
            y.copy_from_slice(x);
            sylvester(y);
            let by = h.scale * h.outer[0];
            y.iter_mut().for_each(|v| *v *= by);
            continue;
        }
        walsh.copy_from_slice(x);
        walsh.chunks_exact_mut(n).for_each(sylvester);
        for (a, y) in y.chunks_exact_mut(n).enumerate() {
            y.fill(0.0);
            for (i, w) in walsh.chunks_exact(n).enumerate() {
                let m = h.outer[i * h.side + a];
                for (y, w) in y.iter_mut().zip(w) {
                    *y += m * w;
                }
            }
            y.iter_mut().for_each(|v| *v *= h.scale);
        }
    }
}

/// x · S in place, S[i, j] = (−1)^popcount(i & j).
#[inline(always)]
fn sylvester(x: &mut [f32]) {
    let n = x.len();
    let mut half = 1;
    // The short steps on sixteen elements at once, which compilers unroll.
    while half < n && half < 16 {
        for pair in x.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
    while half < n {
        for pair in x.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (a, b) in low.chunks_exact_mut(16).zip(high.chunks_exact_mut(16)) {
                for i in 0..16 {
                    (a[i], b[i]) = (a[i] + b[i], a[i] - b[i]);
                }
            }
        }
        half *= 2;
    }
}
