//! Activations in int8, one scale a row: s = max(max|x| / 127, 1e-30), code = round half to even of x / s.

use crate::isa::dispatch;

/// Codes of rows, zero-padded to `stride`, the scale of each, and the sum of the codes of each group.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    pub stride: usize,
    pub groups: usize,
    pub codes: &'a [i8],
    pub scales: &'a [f32],
    pub sums: &'a [i32],
}

/// The smallest scale, so that a row of zeros has one.
const TINY: f32 = 1e-30;
const LANES: usize = 32;

/// Quantizes `x` (rows of `k`) in steps of `group`. A row with a NaN or an infinity has scale NaN and codes 0.
/// Lengths: codes rows·groups·group, scales rows, sums rows·groups. Panics where they do not fit.
pub fn quantize_rows(isa: crate::Isa, x: &[f32], k: usize, group: usize, codes: &mut [i8], scales: &mut [f32], sums: &mut [i32]) {
    assert!(isa.available());
    let groups = k.div_ceil(group);
    let rows = x.len() / k;
    assert!(x.len() == rows * k && codes.len() == rows * groups * group && scales.len() == rows && sums.len() == rows * groups);
    // SAFETY: the machine has `isa`.
    unsafe { quantize(isa, x, k, group, codes, scales, sums) }
}

dispatch! {
    fn quantize(x: &[f32], k: usize, group: usize, codes: &mut [i8], scales: &mut [f32], sums: &mut [i32]) = body
}

#[inline(always)]
fn body<S>(x: &[f32], k: usize, group: usize, codes: &mut [i8], scales: &mut [f32], sums: &mut [i32]) {
    let groups = k.div_ceil(group);
    let each = x.chunks_exact(k).zip(codes.chunks_exact_mut(groups * group)).zip(scales).zip(sums.chunks_exact_mut(groups));
    for (((x, codes), scale), sums) in each {
        let most = largest(x);
        let s = (most / 127.0).max(TINY);
        *scale = if most.is_finite() { s } else { f32::NAN };
        codes[k..].fill(0);
        if most.is_finite() {
            for (q, v) in codes.iter_mut().zip(x) {
                // SAFETY: |v / s| < 128.
                *q = unsafe { (v / s).round_ties_even().to_int_unchecked::<i32>() } as i8;
            }
        } else {
            codes.fill(0);
        }
        for (sum, codes) in sums.iter_mut().zip(codes.chunks_exact(group)) {
            *sum = codes.iter().map(|&q| i32::from(q)).sum();
        }
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
