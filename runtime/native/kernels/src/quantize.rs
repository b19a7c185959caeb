//! Activations in int8, one scale a row: s = max(max|x| / 127, 1e-30), code = round half to even of x / s.

use crate::isa::dispatch;

/// The smallest scale, so that a row of zeros has one.
const TINY: f32 = 1e-30;
const LANES: usize = 32;

/// Quantizes the row `x`; codes beyond its length are 0. A row with a NaN or an infinity has scale NaN and codes 0.
pub fn quantize_row(isa: crate::Isa, x: &[f32], codes: &mut [i8], scale: &mut f32) {
    assert!(isa.available() && codes.len() >= x.len());
    // SAFETY: the machine has `isa`.
    unsafe { quantize(isa, x, codes, scale) }
}

dispatch! { fn quantize(x: &[f32], codes: &mut [i8], scale: &mut f32) = body }

#[inline(always)]
fn body<S>(x: &[f32], codes: &mut [i8], scale: &mut f32) {
    let most = largest(x);
    let s = (most / 127.0).max(TINY);
    *scale = if most.is_finite() { s } else { f32::NAN };
    if !most.is_finite() {
        return codes.fill(0);
    }
    codes[x.len()..].fill(0);
    for (q, v) in codes.iter_mut().zip(x) {
        // SAFETY: |v / s| < 128.
        *q = unsafe { (v / s).round_ties_even().to_int_unchecked::<i32>() } as i8;
    }
}

/// max|x|, as integers: the order of the bits of non-negative floats, in which infinities and NaN are above all numbers.
#[inline(always)]
fn largest(x: &[f32]) -> f32 {
    let mut lanes = [0u32; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder();
    for c in chunks {
        for (m, v) in lanes.iter_mut().zip(c) {
            *m = (*m).max(v.to_bits() & 0x7fff_ffff);
        }
    }
    let bits = lanes.into_iter().chain(rest.iter().map(|v| v.to_bits() & 0x7fff_ffff)).fold(0, u32::max);
    f32::from_bits(bits)
}
