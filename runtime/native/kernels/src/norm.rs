//! Norms over the last axis, with a residual added before and a quantization behind: one pass over the rows.
//!
//! RMS: h = x / √(mean(x²) + eps) · gain. Layer: h = (x − mean) / √(mean((x − mean)²) + eps) · gain + bias.

use crate::isa::dispatch;
use crate::math::{moments, sum};
use crate::rows::{quantize_rows_body, round_body, Rows};
use crate::Isa;

/// A norm of rows of `gain.len()`. With a bias it is a LayerNorm, without an RMSNorm.
#[derive(Debug, Clone, Copy)]
pub struct Norm<'a> {
    pub gain: &'a [f32],
    pub bias: Option<&'a [f32]>,
    pub eps: f32,
}

/// What a norm yields.
pub enum Normed<'a> {
    Floats(&'a mut [f32]),
    /// Codes with a scale a row.
    Rows { rows: Rows, codes: &'a mut [i8], scales: &'a mut [f32] },
    /// clip(round(h / step) + zero).
    Steps { step: f32, zero: f32, lo: i8, hi: i8, codes: &'a mut [i8] },
    /// The same, of these channels: some more than once, some perhaps not.
    Picked { step: f32, zero: f32, lo: i8, hi: i8, channels: &'a [u32], codes: &'a mut [i8] },
}

impl Normed<'_> {
    /// Does it take what becomes of `rows` rows of `width`?
    pub(crate) fn takes(&self, rows: usize, width: usize) -> bool {
        match self {
            Normed::Floats(y) => y.len() == rows * width,
            Normed::Rows { rows: how, codes, scales } => how.fits() && codes.len() == rows * width && scales.len() == rows,
            Normed::Steps { codes, .. } => codes.len() == rows * width,
            Normed::Picked { channels, codes, .. } => codes.len() == rows * channels.len() && channels.iter().all(|&c| (c as usize) < width),
        }
    }
}

/// Norms the rows of x, or of x + residual, which is written to `sums` then. Panics where sizes do not fit.
pub fn norm(isa: Isa, n: &Norm, x: &[f32], residual: Option<(&[f32], &mut [f32])>, to: Normed) {
    let width = n.gain.len();
    assert!(isa.available() && width > 0 && x.len() % width == 0 && n.bias.is_none_or(|b| b.len() == width));
    assert!(residual.as_ref().is_none_or(|(r, sums)| r.len() == x.len() && sums.len() == x.len()));
    assert!(to.takes(x.len() / width, width));
    // SAFETY: the machine has `isa`.
    unsafe { norm_all(isa, n, x, residual, to) }
}
dispatch! { fn norm_all(n: &Norm, x: &[f32], residual: Option<(&[f32], &mut [f32])>, to: Normed) = body }

#[inline(always)]
fn body<S>(n: &Norm, x: &[f32], residual: Option<(&[f32], &mut [f32])>, to: Normed) {
    let width = n.gain.len();
    match residual {
        None => each_row(width, x, to, n),
        Some((r, sums)) => each_row(width, x, to, Added { norm: n, residual: r.chunks_exact(width), sums: sums.chunks_exact_mut(width) }),
    }
}

/// What becomes of a row. Not a closure: it has to be inlined where the instruction set is known.
pub(crate) trait Row {
    fn row(&mut self, x: &[f32], y: &mut [f32]);
}

/// Does it with each row of x, and rounds the result where that is asked for.
#[inline(always)]
pub(crate) fn each_row(width: usize, x: &[f32], to: Normed, mut f: impl Row) {
    match to {
        Normed::Floats(y) => x.chunks_exact(width).zip(y.chunks_exact_mut(width)).for_each(|(x, y)| f.row(x, y)),
        Normed::Rows { rows, codes, scales } => {
            let mut h = vec![0.0; width];
            for ((x, codes), scale) in x.chunks_exact(width).zip(codes.chunks_exact_mut(width)).zip(scales) {
                f.row(x, &mut h);
                quantize_rows_body(rows, &h, codes, scale);
            }
        }
        Normed::Steps { step, zero, lo, hi, codes } => {
            let mut h = vec![0.0; width];
            for (x, codes) in x.chunks_exact(width).zip(codes.chunks_exact_mut(width)) {
                f.row(x, &mut h);
                round_body(&h, (step, zero), lo, hi, codes);
            }
        }
        Normed::Picked { step, zero, lo, hi, channels, codes } => {
            let (mut h, mut all) = (vec![0.0; width], vec![0; width]);
            for (x, codes) in x.chunks_exact(width).zip(codes.chunks_exact_mut(channels.len().max(1))) {
                f.row(x, &mut h);
                round_body(&h, (step, zero), lo, hi, &mut all);
                for (q, &channel) in codes.iter_mut().zip(channels) {
                    *q = all[channel as usize];
                }
            }
        }
    }
}

impl Row for &Norm<'_> {
    #[inline(always)]
    fn row(&mut self, x: &[f32], y: &mut [f32]) {
        let count = x.len() as f32;
        let Some(bias) = self.bias else {
            let by = 1.0 / (sum(x, |v| v * v) / count + self.eps).sqrt();
            for ((y, x), g) in y.iter_mut().zip(x).zip(self.gain) {
                *y = x * by * g;
            }
            return;
        };
        // The mean in two steps: what the first one rounds away, the second finds; it is little, so the squares around it lose nothing by taking it off last.
        let first = sum(x, |v| v) / count;
        let (rest, squares) = moments(x, first);
        let (rest, squares) = (rest / count, squares / count);
        let by = 1.0 / ((squares - rest * rest).max(0.0) + self.eps).sqrt();
        for (((y, x), g), b) in y.iter_mut().zip(x).zip(self.gain).zip(bias) {
            *y = (x - first - rest) * by * g + b;
        }
    }
}

/// A norm of x + residual. Row by row, so that a sum is still in the first-level cache when its norm is taken.
struct Added<'a> {
    norm: &'a Norm<'a>,
    residual: std::slice::ChunksExact<'a, f32>,
    sums: std::slice::ChunksExactMut<'a, f32>,
}

impl Row for Added<'_> {
    #[inline(always)]
    fn row(&mut self, x: &[f32], y: &mut [f32]) {
        let (Some(residual), Some(sums)) = (self.residual.next(), self.sums.next()) else { return };
        for ((s, x), r) in sums.iter_mut().zip(x).zip(residual) {
            *s = x + r;
        }
        self.norm.row(sums, y);
    }
}
