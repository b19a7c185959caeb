//! The cross moment of two sets of inputs.

use crate::isa::Isa;
use crate::split::{Shared, Split};

const STRIP: usize = 16;
const COLS: usize = 16;

/// C += XᵀY with X, Y float32 [rows, n] and C float64 [n, n], rows in order.
pub fn cross(isa: Isa, split: &dyn Split, c: &mut [f64], x: &[f32], y: &[f32], n: usize) {
    let shared = Shared::new(c);
    split.run(n.div_ceil(STRIP), &|s| {
        let first = s * STRIP;
        let rows = STRIP.min(n - first);
        // SAFETY: each task owns rows first … first + rows of C.
        let strip = unsafe { shared.at(first * n, rows * n) };
        cross_strip(isa, strip, first, x, y, n);
    });
}

per_isa! {
    fn cross_strip(strip: &mut [f64], first: usize, x: &[f32], y: &[f32], n: usize) {
        const ROWS: usize = 64;
        let height = strip.len() / n;
        for (x, y) in x.chunks(ROWS * n).zip(y.chunks(ROWS * n)) {
            for j in (0..n).step_by(COLS) {
                let width = COLS.min(n - j);
                for i in 0..height {
                    let mut sum = [0.0f64; COLS];
                    let to = &mut strip[i * n + j..i * n + j + width];
                    sum[..width].copy_from_slice(to);
                    for (a, b) in x.chunks_exact(n).zip(y.chunks_exact(n)) {
                        let a = f64::from(a[first + i]);
                        if width == COLS {
                            for (s, &b) in sum.iter_mut().zip(&b[j..j + COLS]) {
                                *s += a * f64::from(b);
                            }
                        } else {
                            for (s, &b) in sum.iter_mut().zip(&b[j..j + width]) {
                                *s += a * f64::from(b);
                            }
                        }
                    }
                    to.copy_from_slice(&sum[..width]);
                }
            }
        }
    }
}
