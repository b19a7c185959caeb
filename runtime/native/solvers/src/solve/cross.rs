//! The cross moment of two sets of inputs.

use crate::isa::Isa;
use crate::products::{add_products, STRIP};
use crate::split::{Shared, Split};

/// C += XᵀY with X, Y float32 [rows, n] and C float64 [n, n], rows in order.
pub fn cross(isa: Isa, split: &dyn Split, c: &mut [f64], x: &[f32], y: &[f32], n: usize) {
    let shared = Shared::new(c);
    split.run(n.div_ceil(STRIP), &|s| {
        let first = s * STRIP;
        let rows = STRIP.min(n - first);
        // SAFETY: each task owns rows first … first + rows of C.
        let strip = unsafe { shared.at(first * n, rows * n) };
        add_products(isa, strip, first, 0, x, y, n);
    });
}
