//! C += Σ AᵀB in float64, one product after the other in the order of the rows: the bits are those of a plain loop, whatever the
//! blocking, the instruction set and the number of threads.

use crate::isa::Isa;
use crate::split::{Shared, Split};

/// Columns of a panel of B; rows of C that a task takes (a multiple of every tile's height and of a panel).
const WIDTH: usize = 16;
pub const STRIP: usize = 48;
/// Rows of X that are packed together.
pub const DEPTH: usize = 256;

/// Columns of B in float64, in panels [⌈columns / 16⌉][depth][16], zero where a panel is wider.
pub struct Panels {
    cells: Vec<[f64; WIDTH]>,
    depth: usize,
    columns: usize,
}

impl Panels {
    /// Columns from `from` on of `b` [depth, n].
    pub fn new<T: Copy + Into<f64> + Sync>(split: &dyn Split, b: &[T], n: usize, from: usize) -> Panels {
        let (depth, columns) = (b.len() / n, n - from);
        let mut cells = vec![[0.0; WIDTH]; columns.div_ceil(WIDTH) * depth];
        let to = Shared::new(&mut cells);
        split.run(columns.div_ceil(WIDTH), &|p| {
            let (first, last) = (from + p * WIDTH, n.min(from + (p + 1) * WIDTH));
            // SAFETY: each task fills its own panel.
            for (cell, row) in unsafe { to.at(p * depth, depth) }.iter_mut().zip(b.chunks_exact(n)) {
                for (c, &v) in cell.iter_mut().zip(&row[first..last]) {
                    *c = v.into();
                }
            }
        });
        Panels { cells, depth, columns }
    }

    /// Of what `at(k, j)` gives, k < depth, j < columns.
    pub fn filled(depth: usize, columns: usize, at: impl Fn(usize, usize) -> f64) -> Panels {
        let mut cells = vec![[0.0; WIDTH]; columns.div_ceil(WIDTH) * depth];
        for (p, panel) in cells.chunks_exact_mut(depth.max(1)).enumerate() {
            let from = p * WIDTH;
            for (k, cell) in panel.iter_mut().enumerate() {
                for (c, j) in cell.iter_mut().zip(from..columns) {
                    *c = at(k, j);
                }
            }
        }
        Panels { cells, depth, columns }
    }

    fn panel(&self, p: usize) -> &[[f64; WIDTH]] {
        &self.cells[p * self.depth..(p + 1) * self.depth]
    }
}

/// Rows of C that are worked on together.
pub struct Strip<'a> {
    /// Whole rows [height ≤ STRIP, n].
    pub rows: &'a mut [f64],
    pub n: usize,
    /// The column of C where the panels begin.
    pub from: usize,
    /// The first panel that is wanted.
    pub panel: usize,
}

impl Strip<'_> {
    /// rows[i, from + j] += Σ_k left(k, i)·B[k, j]. `exact`: products have no more than 53 bits, so that a fused product is the same.
    pub fn add(&mut self, isa: Isa, left: impl Fn(usize, usize) -> f64, b: &Panels, exact: bool) {
        match (isa, exact) {
            // SAFETY: the sets are only made where the machine has them.
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx512, true) => unsafe { x86::avx512::<true>(self, &packed(&left, self.height(), b.depth), b) },
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx512, false) => unsafe { x86::avx512::<false>(self, &packed(&left, self.height(), b.depth), b) },
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx2, true) => unsafe { x86::avx2::<true>(self, &packed(&left, self.height(), b.depth), b) },
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx2, false) => unsafe { x86::avx2::<false>(self, &packed(&left, self.height(), b.depth), b) },
            (Isa::Scalar, _) => plain(self, &packed(&left, self.height(), b.depth), b),
        }
    }

    fn height(&self) -> usize {
        self.rows.len() / self.n
    }

    /// Calls `tile` for every tile [M, W]: rows of the packed left side, cells of a panel and the column within, and the values of C.
    #[inline(always)]
    fn tiles<const M: usize, const W: usize>(&mut self, left: &[[f64; M]], b: &Panels, tile: impl Fn(&[[f64; M]], &[[f64; WIDTH]], usize, &mut [[f64; W]; M])) {
        let (n, height) = (self.n, self.height());
        for p in self.panel..b.columns.div_ceil(WIDTH) {
            for (group, left) in left.chunks_exact(b.depth.max(1)).enumerate() {
                for at in (0..WIDTH).step_by(W) {
                    let column = p * WIDTH + at;
                    let width = W.min(b.columns.saturating_sub(column));
                    if width == 0 {
                        break;
                    }
                    let rows = M.min(height - group * M);
                    let mut sum = [[0.0f64; W]; M];
                    let place = |r: usize| (group * M + r) * n + self.from + column;
                    for (r, sum) in sum.iter_mut().enumerate().take(rows) {
                        sum[..width].copy_from_slice(&self.rows[place(r)..place(r) + width]);
                    }
                    tile(left, b.panel(p), at, &mut sum);
                    for (r, sum) in sum.iter().enumerate().take(rows) {
                        self.rows[place(r)..place(r) + width].copy_from_slice(&sum[..width]);
                    }
                }
            }
        }
    }
}

/// The left side of a strip as [⌈height / M⌉][depth][M].
fn packed<const M: usize>(left: &impl Fn(usize, usize) -> f64, height: usize, depth: usize) -> Vec<[f64; M]> {
    let mut out = vec![[0.0; M]; height.div_ceil(M) * depth];
    for (group, cells) in out.chunks_exact_mut(depth.max(1)).enumerate() {
        for (k, cell) in cells.iter_mut().enumerate() {
            for (r, c) in cell.iter_mut().enumerate().take(height - group * M) {
                *c = left(k, group * M + r);
            }
        }
    }
    out
}

fn plain(strip: &mut Strip, left: &[[f64; 4]], b: &Panels) {
    strip.tiles::<4, 4>(left, b, |left, right, at, out| {
        let mut sum = *out;
        for (a, b) in left.iter().zip(right) {
            for r in 0..4 {
                for c in 0..4 {
                    sum[r][c] += a[r] * b[at + c];
                }
            }
        }
        *out = sum;
    });
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Panels, Strip, WIDTH};
    use std::arch::x86_64::*;

    #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,fma")]
    pub unsafe fn avx512<const FUSED: bool>(strip: &mut Strip, left: &[[f64; 12]], b: &Panels) {
        #[inline(always)]
        unsafe fn tile<const FUSED: bool>(left: &[[f64; 12]], right: &[[f64; WIDTH]], out: &mut [[f64; 16]; 12]) {
            let mut sum = [[_mm512_setzero_pd(); 2]; 12];
            for r in 0..12 {
                for c in 0..2 {
                    sum[r][c] = _mm512_loadu_pd(out[r].as_ptr().add(8 * c));
                }
            }
            for (a, b) in left.iter().zip(right) {
                let right = [_mm512_loadu_pd(b.as_ptr()), _mm512_loadu_pd(b.as_ptr().add(8))];
                for r in 0..12 {
                    let x = _mm512_set1_pd(a[r]);
                    for c in 0..2 {
                        sum[r][c] = if FUSED { _mm512_fmadd_pd(x, right[c], sum[r][c]) } else { _mm512_add_pd(sum[r][c], _mm512_mul_pd(x, right[c])) };
                    }
                }
            }
            for r in 0..12 {
                for c in 0..2 {
                    _mm512_storeu_pd(out[r].as_mut_ptr().add(8 * c), sum[r][c]);
                }
            }
        }
        strip.tiles::<12, 16>(left, b, |left, right, _, out| unsafe { tile::<FUSED>(left, right, out) });
    }

    #[target_feature(enable = "avx2,fma")]
    pub unsafe fn avx2<const FUSED: bool>(strip: &mut Strip, left: &[[f64; 4]], b: &Panels) {
        #[inline(always)]
        unsafe fn tile<const FUSED: bool>(left: &[[f64; 4]], right: &[[f64; WIDTH]], at: usize, out: &mut [[f64; 8]; 4]) {
            let mut sum = [[_mm256_setzero_pd(); 2]; 4];
            for r in 0..4 {
                for c in 0..2 {
                    sum[r][c] = _mm256_loadu_pd(out[r].as_ptr().add(4 * c));
                }
            }
            for (a, b) in left.iter().zip(right) {
                let right = [_mm256_loadu_pd(b.as_ptr().add(at)), _mm256_loadu_pd(b.as_ptr().add(at + 4))];
                for r in 0..4 {
                    let x = _mm256_set1_pd(a[r]);
                    for c in 0..2 {
                        sum[r][c] = if FUSED { _mm256_fmadd_pd(x, right[c], sum[r][c]) } else { _mm256_add_pd(sum[r][c], _mm256_mul_pd(x, right[c])) };
                    }
                }
            }
            for r in 0..4 {
                for c in 0..2 {
                    _mm256_storeu_pd(out[r].as_mut_ptr().add(4 * c), sum[r][c]);
                }
            }
        }
        strip.tiles::<4, 8>(left, b, |left, right, at, out| unsafe { tile::<FUSED>(left, right, at, out) });
    }
}

/// C += XᵀY with X, Y float32 [rows, n] and C float64 [n, n]; without Y, C += XᵀX, both triangles. Products of float32 are exact in float64.
pub fn cross(isa: Isa, split: &dyn Split, c: &mut [f64], x: &[f32], y: Option<&[f32]>, n: usize) {
    let right = y.unwrap_or(x);
    for (x, right) in x.chunks(DEPTH * n).zip(right.chunks(DEPTH * n)) {
        let panels = Panels::new(split, right, n, 0);
        let shared = Shared::new(c);
        split.run(n.div_ceil(STRIP), &|s| {
            let (first, height) = (s * STRIP, STRIP.min(n - s * STRIP));
            // SAFETY: each task owns rows first … first + height of C.
            let rows = unsafe { shared.at(first * n, height * n) };
            let panel = if y.is_some() { 0 } else { first / WIDTH };
            Strip { rows, n, from: 0, panel }.add(isa, |k, i| f64::from(x[k * n + first + i]), &panels, true);
        });
    }
    if y.is_none() {
        mirror(split, c, n);
    }
}

/// Copies the upper triangle onto the lower one.
fn mirror(split: &dyn Split, c: &mut [f64], n: usize) {
    let shared = Shared::new(c);
    split.run(n.div_ceil(STRIP), &|s| {
        let rows = s * STRIP..(s * STRIP + STRIP).min(n);
        for from in (0..rows.end).step_by(STRIP) {
            for i in rows.clone() {
                for j in from..(from + STRIP).min(i) {
                    // SAFETY: below the diagonal each element is written by one task, above it none is.
                    unsafe { shared.at(i * n + j, 1)[0] = shared.get(j * n + i) };
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::Sequential;

    #[test]
    fn sums_run_over_rows_in_order_on_every_set() {
        let (n, rows) = (67, 300);
        let x: Vec<f32> = (0..rows * n).map(|i| ((i * 7919 % 1009) as f32 - 500.0) / 77.0).collect();
        let y: Vec<f32> = (0..rows * n).map(|i| ((i * 104_729 % 997) as f32 - 500.0) / 33.0).collect();
        for name in ["scalar", "avx2", "avx512"] {
            let Some(isa) = Isa::named(name) else {
                continue;
            };
            for y in [None, Some(&y[..])] {
                let mut c = vec![0.5; n * n];
                cross(isa, &Sequential, &mut c, &x[..13 * n], y.map(|y| &y[..13 * n]), n);
                cross(isa, &Sequential, &mut c, &x[13 * n..], y.map(|y| &y[13 * n..]), n);
                let right = y.unwrap_or(&x);
                for (i, j) in [(0, 0), (3, 30), (66, 5), (20, 20), (65, 66)] {
                    let direct = (0..rows).fold(0.5, |s, r| s + f64::from(x[r * n + i]) * f64::from(right[r * n + j]));
                    assert_eq!(c[i * n + j], direct, "{name} {i} {j}");
                }
            }
        }
    }
}
