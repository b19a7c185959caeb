//! Rows times a Kronecker product of a Sylvester Hadamard matrix and a small matrix: the fast Walsh–Hadamard transform, and the sizes
//! 12·2ⁿ, 20·2ⁿ, 28·2ⁿ … whose odd part has a matrix of its own.

use crate::isa::dispatch;
use crate::Isa;

/// What a row consists of: blocks of `2^power · order` elements.
#[derive(Debug, Clone, Copy)]
pub struct Blocks<'a> {
    /// M, rows `stride` apart.
    pub matrix: &'a [f32],
    pub stride: usize,
    pub order: usize,
    /// The Sylvester matrix has 2^power rows.
    pub power: u32,
    /// What every result is multiplied by.
    pub scale: f32,
}

impl Blocks<'_> {
    pub fn size(&self) -> usize {
        self.order << self.power
    }
    /// Errors in words.
    pub fn check(&self, width: usize) -> Result<(), String> {
        let reach = self.order.checked_sub(1).and_then(|n| n.checked_mul(self.stride)).and_then(|n| n.checked_add(self.order));
        if self.order > 4096 || self.power > 24 || self.order > self.stride || reach.is_none_or(|n| n > self.matrix.len()) {
            return Err(format!("2^{} and a matrix of order {} in {} elements have no Kronecker product", self.power, self.order, self.matrix.len()));
        }
        if width == 0 || width % self.size() != 0 {
            return Err(format!("rows of {width} are no blocks of {}", self.size()));
        }
        Ok(())
    }
}

/// Is the square matrix of `n` rows a Sylvester Hadamard matrix ⊗ its own first `order` rows and columns, element by element?
pub fn is_over(matrix: &[f32], n: usize, order: usize) -> bool {
    let whole = n > 0 && order > 0 && n.checked_mul(n) == Some(matrix.len()) && n % order == 0 && (n / order).is_power_of_two();
    whole
        && matrix.chunks_exact(n).enumerate().all(|(i, row)| {
            let first = &matrix[i % order * n..][..order];
            row.chunks_exact(order).enumerate().all(|(j, part)| {
                let sign = if ((i / order) & j).count_ones() % 2 == 0 { 1.0 } else { -1.0 };
                part.iter().zip(first).all(|(x, m)| *x == sign * m)
            })
        })
}

/// y[block] = x[block] · (S ⊗ M) · scale for each block of each row: element (i, j) of a block is at i·order + j,
/// y[a, b] = scale · Σ_i (−1)^popcount(i & a) · Σ_j M[j, b] x[i, j]. Panics where sizes do not fit.
pub fn hadamard(isa: Isa, h: &Blocks, x: &[f32], y: &mut [f32]) {
    assert!(isa.available() && x.len() == y.len() && (x.is_empty() || h.check(x.len()).is_ok()));
    // SAFETY: the machine has `isa`.
    unsafe { all(isa, h, x, y) }
}
dispatch! { fn all(h: &Blocks, x: &[f32], y: &mut [f32]) = body }

#[inline(always)]
fn body<S>(h: &Blocks, x: &[f32], y: &mut [f32]) {
    let m = h.order;
    let padded = if m == 1 { vec![] } else { padded(h) };
    for (x, y) in x.chunks_exact(h.size()).zip(y.chunks_exact_mut(h.size())) {
        if m == 1 {
            y.copy_from_slice(x);
        } else {
            small(&padded, m, x, y);
        }
        sylvester(y, m);
        let by = if m == 1 { h.scale * h.matrix[0] } else { h.scale };
        y.iter_mut().for_each(|v| *v *= by);
    }
}

/// Columns of M that are held at once.
const LANES: usize = 16;

/// M in strips of so many columns, a strip behind the other, zeros behind the last column.
fn padded(h: &Blocks) -> Vec<f32> {
    let m = h.order;
    let mut strips = vec![0.0; m.div_ceil(LANES) * m * LANES];
    for (s, strip) in strips.chunks_exact_mut(m * LANES).enumerate() {
        for (j, to) in strip.chunks_exact_mut(LANES).enumerate() {
            let columns = s * LANES..m.min((s + 1) * LANES);
            to[..columns.len()].copy_from_slice(&h.matrix[j * h.stride..][columns]);
        }
    }
    strips
}

/// y = x · M for each row of M's order; sums go up the rows of M.
#[inline(always)]
fn small(strips: &[f32], m: usize, x: &[f32], y: &mut [f32]) {
    let rows = x.len() / m;
    let mut i = 0;
    while i + 4 <= rows {
        strips_of::<4>(strips, m, &x[i * m..(i + 4) * m], &mut y[i * m..(i + 4) * m]);
        i += 4;
    }
    while i < rows {
        strips_of::<1>(strips, m, &x[i * m..(i + 1) * m], &mut y[i * m..(i + 1) * m]);
        i += 1;
    }
}

#[inline(always)]
fn strips_of<const R: usize>(strips: &[f32], m: usize, x: &[f32], y: &mut [f32]) {
    for (s, strip) in strips.chunks_exact(m * LANES).enumerate() {
        let mut sums = [[0.0f32; LANES]; R];
        for (j, row) in strip.as_chunks::<LANES>().0.iter().enumerate() {
            for r in 0..R {
                let v = x[r * m + j];
                for l in 0..LANES {
                    sums[r][l] += v * row[l];
                }
            }
        }
        let columns = s * LANES..m.min((s + 1) * LANES);
        for r in 0..R {
            y[r * m..][columns.clone()].copy_from_slice(&sums[r][..columns.len()]);
        }
    }
}

/// The butterflies of elements that are H apart: what stands H further is added, what stands H before is what this is taken from.
#[inline(always)]
fn stage<const H: usize>(v: &[f32; 16], y: &mut [f32; 16]) {
    for i in 0..16 {
        let sign = if i & H == 0 { 1.0 } else { -1.0 };
        y[i] = v[i ^ H] + sign * v[i];
    }
}

/// x · (S ⊗ 1) in place, S[i, j] = (−1)^popcount(i & j), the unit matrix of `unit` rows.
#[inline(always)]
fn sylvester(x: &mut [f32], unit: usize) {
    let n = x.len();
    let mut half = unit;
    if unit == 1 && n % 16 == 0 {
        for x in x.as_chunks_mut::<16>().0 {
            let mut y = [0.0; 16];
            stage::<1>(x, &mut y);
            stage::<2>(&y, x);
            stage::<4>(x, &mut y);
            stage::<8>(&y, x);
        }
        half = 16;
    }
    if half % 16 == 0 {
        while 4 * half <= n {
            x.chunks_exact_mut(4 * half).for_each(|quad| two_stages(quad, half));
            half *= 4;
        }
    }
    while half < n {
        for pair in x.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
}

/// The butterflies of elements that are `half` and 2·`half` apart, in one pass over four halves; `half` is a multiple of 16.
#[inline(always)]
fn two_stages(quad: &mut [f32], half: usize) {
    let (low, high) = quad.split_at_mut(2 * half);
    let ((a, b), (c, d)) = (low.split_at_mut(half), high.split_at_mut(half));
    let parts = a.as_chunks_mut::<16>().0.iter_mut().zip(b.as_chunks_mut::<16>().0).zip(c.as_chunks_mut::<16>().0.iter_mut().zip(d.as_chunks_mut::<16>().0));
    for ((a, b), (c, d)) in parts {
        // Copied first and last: what is written could lie where the others are read, as far as the compiler knows.
        let (va, vb, vc, vd) = (*a, *b, *c, *d);
        let mut y = [[0.0f32; 16]; 4];
        for i in 0..16 {
            let (sum, less, sum_high, less_high) = (va[i] + vb[i], va[i] - vb[i], vc[i] + vd[i], vc[i] - vd[i]);
            (y[0][i], y[1][i]) = (sum + sum_high, less + less_high);
            (y[2][i], y[3][i]) = (sum - sum_high, less - less_high);
        }
        (*a, *b, *c, *d) = (y[0], y[1], y[2], y[3]);
    }
}
