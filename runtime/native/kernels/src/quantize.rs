//! Activations in int8, one scale a row: s = max(max|x| / 127, 1e-30), code = round half to even of x / s.

use crate::isa::dispatch;
use crate::rows::{quantize_rows_body, Rows};

/// Quantizes the row `x`; codes beyond its length are 0. A row with a NaN or an infinity has scale NaN and codes 0.
pub fn quantize_row(isa: crate::Isa, x: &[f32], codes: &mut [i8], scale: &mut f32) {
    assert!(isa.available() && codes.len() >= x.len());
    // SAFETY: the machine has `isa`.
    unsafe { quantize(isa, x, codes, scale) }
}

dispatch! { fn quantize(x: &[f32], codes: &mut [i8], scale: &mut f32) = body }

#[inline(always)]
fn body<S>(x: &[f32], codes: &mut [i8], scale: &mut f32) {
    let (codes, padding) = codes.split_at_mut(x.len());
    quantize_rows_body(Rows::Symmetric { top: 127.0 }, x, codes, scale);
    padding.fill(0);
}
