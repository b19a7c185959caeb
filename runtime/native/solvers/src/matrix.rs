//! A float matrix W[out, reduce] in either order, read eight rows at a time.

use crate::backing::{Backing, Input};
use crate::fault::{Fault, Outcome};
use crate::lanes::F8;
use half::f16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloatType {
    F32,
    F16,
    Bf16,
    F64,
}

impl FloatType {
    pub fn size(self) -> usize {
        match self {
            FloatType::F32 => 4,
            FloatType::F16 | FloatType::Bf16 => 2,
            FloatType::F64 => 8,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// [out, reduce] row-major.
    OutReduce,
    /// [reduce, out] row-major.
    ReduceOut,
}

/// `data` may be unaligned: a weight can lie anywhere in a protobuf.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a [u8],
    file: Option<&'a dyn Backing>,
    dtype: FloatType,
    /// What each row is divided by.
    steps: Option<&'a [f32]>,
    pub out: usize,
    pub reduce: usize,
    pub order: Order,
}

impl<'a> Matrix<'a> {
    pub fn new(data: &'a [u8], dtype: FloatType, out: usize, reduce: usize, order: Order) -> Outcome<Self> {
        let expected = out.checked_mul(reduce).and_then(|n| n.checked_mul(dtype.size()));
        if out == 0 || reduce == 0 || expected != Some(data.len()) {
            return Err(Fault::request(format!("a weight of {out} × {reduce} {dtype:?} in {} bytes", data.len())));
        }
        Ok(Matrix { data, file: None, dtype, steps: None, out, reduce, order })
    }

    /// The matrix with each row divided by its step.
    pub fn divided(self, steps: &'a [f32]) -> Self {
        assert_eq!(steps.len(), self.out);
        Matrix { steps: Some(steps), ..self }
    }

    /// Square of a row's step: what squared errors of divided rows are multiplied by.
    pub fn square(&self, row: usize) -> f64 {
        self.steps.map_or(1.0, |s| f64::from(s[row]).powi(2))
    }

    /// The same matrix, mapped from a file.
    pub fn from_file(self, file: Option<&'a dyn Backing>) -> Self {
        Matrix { file, ..self }
    }

    /// Its bytes.
    pub fn input(&self) -> Input<'a> {
        Input { bytes: self.data, file: self.file }
    }

    /// The number of lines (what lies together in memory: a row of the order), and the bytes of one.
    pub fn lines(&self) -> (usize, usize) {
        match self.order {
            Order::OutReduce => (self.out, self.reduce * self.dtype.size()),
            Order::ReduceOut => (self.reduce, self.out * self.dtype.size()),
        }
    }

    /// The matrix of some of its lines.
    pub fn of_lines<'b>(&self, first: usize, height: usize, data: &'b [u8]) -> Matrix<'b>
    where
        'a: 'b,
    {
        let (out, reduce, steps) = match self.order {
            Order::OutReduce => (height, self.reduce, self.steps.map(|s| &s[first..first + height])),
            Order::ReduceOut => (self.out, height, self.steps),
        };
        Matrix { data, file: None, dtype: self.dtype, steps, out, reduce, order: self.order }
    }

    /// Rows n0 … n0 + 8·blocks − 1, columns k0 … k0 + len − 1 as `blocks` tiles of [padded][8 lanes], tile b at `tiles[b·stride]`.
    /// Outside the matrix (rows past the last, columns past `len`) are zeros.
    pub fn gather(&self, n0: usize, blocks: usize, k0: usize, len: usize, padded: usize, tiles: &mut [F8], stride: usize) {
        match self.dtype {
            FloatType::F32 => self.gather_as(n0, blocks, k0, len, tiles, stride, |b: [u8; 4]| f32::from_le_bytes(b)),
            FloatType::F16 => self.gather_as(n0, blocks, k0, len, tiles, stride, |b: [u8; 2]| f16::from_le_bytes(b).to_f32_const()),
            FloatType::Bf16 => self.gather_as(n0, blocks, k0, len, tiles, stride, |b: [u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16)),
            FloatType::F64 => self.gather_as(n0, blocks, k0, len, tiles, stride, |b: [u8; 8]| f64::from_le_bytes(b) as f32),
        }
        for b in 0..blocks {
            tiles[b * stride + len..b * stride + padded].fill(F8::splat(0.0));
            let Some(steps) = self.steps else { continue };
            let step = F8(std::array::from_fn(|lane| steps.get(n0 + 8 * b + lane).copied().unwrap_or(1.0)));
            for t in &mut tiles[b * stride..b * stride + len] {
                *t = *t / step;
            }
        }
    }

    #[inline(always)]
    fn gather_as<const S: usize>(&self, n0: usize, blocks: usize, k0: usize, len: usize, tiles: &mut [F8], stride: usize, value: impl Fn([u8; S]) -> f32) {
        let rows = (self.out - n0).min(8 * blocks);
        let (cells, _) = self.data.as_chunks::<S>();
        match self.order {
            Order::ReduceOut => {
                for k in 0..len {
                    let start = (k0 + k) * self.out + n0;
                    let row = &cells[start..start + rows];
                    // Rows lie a page or more apart, where the hardware does not look ahead.
                    if k + AHEAD < len {
                        prefetch(&cells[start + AHEAD * self.out..][..rows]);
                    }
                    let (whole, rest) = row.as_chunks::<8>();
                    for (b, eight) in whole.iter().enumerate() {
                        let lanes = &mut tiles[b * stride + k].0;
                        for i in 0..8 {
                            lanes[i] = value(eight[i]);
                        }
                    }
                    if !rest.is_empty() {
                        let lanes = &mut tiles[whole.len() * stride + k].0;
                        *lanes = [0.0; 8];
                        for (lane, cell) in lanes.iter_mut().zip(rest) {
                            *lane = value(*cell);
                        }
                    }
                }
            }
            Order::OutReduce => {
                for b in 0..blocks {
                    let tile = &mut tiles[b * stride..b * stride + len];
                    for lane in 0..8 {
                        let n = n0 + 8 * b + lane;
                        if n >= self.out {
                            tile.iter_mut().for_each(|t| t.0[lane] = 0.0);
                            continue;
                        }
                        let start = n * self.reduce + k0;
                        for (t, cell) in tile.iter_mut().zip(&cells[start..start + len]) {
                            t.0[lane] = value(*cell);
                        }
                    }
                }
            }
        }
    }
}

/// Rows that are fetched into cache before their turn.
const AHEAD: usize = 8;

/// Asks for the cache lines of `cells`.
#[inline(always)]
fn prefetch<T>(cells: &[T]) {
    #[cfg(target_arch = "x86_64")]
    for at in (0..std::mem::size_of_val(cells)).step_by(64) {
        use std::arch::x86_64::{_mm_prefetch, _MM_HINT_T0};
        // SAFETY: a prefetch reads nothing, and the address is inside the slice.
        unsafe { _mm_prefetch(cells.as_ptr().cast::<i8>().add(at), _MM_HINT_T0) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = cells;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_orders_give_the_same_lanes() {
        let (out, reduce) = (13, 5);
        let or: Vec<f32> = (0..out * reduce).map(|i| i as f32).collect();
        let ro: Vec<f32> = (0..out * reduce).map(|i| or[(i % out) * reduce + i / out]).collect();
        let bytes = |v: &[f32]| v.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        let (a, b) = (bytes(&or), bytes(&ro));
        let read = |data: &[u8], order| {
            let m = Matrix::new(data, FloatType::F32, out, reduce, order).unwrap();
            let mut tiles = vec![F8::splat(9.0); 2 * 8];
            m.gather(0, 2, 1, 4, 6, &mut tiles, 8);
            tiles
        };
        let (x, y) = (read(&a, Order::OutReduce), read(&b, Order::ReduceOut));
        assert_eq!(x, y);
        assert_eq!(x[0].0[2], 11.0);
        assert_eq!(x[8 + 3].0[4], 12.0 * 5.0 + 4.0);
        assert_eq!((x[8].0[5], x[4].0[0], x[6].0[0]), (0.0, 0.0, 9.0));
    }

    #[test]
    fn a_wrong_size_is_refused() {
        assert!(Matrix::new(&[0; 12], FloatType::F32, 2, 2, Order::OutReduce).is_err());
        assert!(Matrix::new(&[], FloatType::F32, usize::MAX, 2, Order::OutReduce).is_err());
    }
}
