//! Rows of activations as signed codes: s·q ≈ x with one scale a row, found at run time, or with a step that is known.

use crate::isa::dispatch;
use crate::Isa;

/// The smallest scale, so that a row of zeros has one.
const TINY: f32 = 1e-30;
const LANES: usize = 32;

/// How a row finds its scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rows {
    /// s = max(max|x| / top, 1e-30), q = round(x / s).
    Symmetric { top: f32 },
    /// s = max((max − min) / (hi − lo), 1e-30) over the row and 0, z = clip(round(lo − min / s), lo, hi), q = clip(round(x / s) + z, lo, hi) − z;
    /// hi − lo ≤ 127, so that q is a signed byte.
    Asymmetric { lo: f32, hi: f32 },
}

impl Rows {
    /// Are all codes signed bytes?
    pub fn fits(self) -> bool {
        let levels = match self {
            Rows::Symmetric { top } => top,
            Rows::Asymmetric { lo, hi } if lo.abs() <= 128.0 => hi - lo,
            Rows::Asymmetric { .. } => f32::NAN,
        };
        (1.0..=127.0).contains(&levels)
    }
}

/// Quantizes rows of `width`. A row with a NaN or an infinity has the scale NaN and codes 0. Panics where sizes do not fit.
pub fn quantize_rows(isa: Isa, rows: Rows, x: &[f32], width: usize, codes: &mut [i8], scales: &mut [f32]) {
    assert!(isa.available() && width > 0 && x.len() == codes.len() && x.len() == scales.len() * width);
    assert!(rows.fits());
    // SAFETY: the machine has `isa`.
    unsafe { all(isa, rows, x, width, codes, scales) }
}
dispatch! { fn all(rows: Rows, x: &[f32], width: usize, codes: &mut [i8], scales: &mut [f32]) = all_body }

#[inline(always)]
fn all_body<S>(rows: Rows, x: &[f32], width: usize, codes: &mut [i8], scales: &mut [f32]) {
    for ((x, codes), scale) in x.chunks_exact(width).zip(codes.chunks_exact_mut(width)).zip(scales) {
        quantize_rows_body(rows, x, codes, scale);
    }
}

/// Quantizes x under one step: clip(round(x / step) + zero, lo, hi); a NaN is 0. Panics where sizes do not fit.
pub fn quantize_steps(isa: Isa, x: &[f32], by: (f32, f32), lo: i8, hi: i8, codes: &mut [i8]) {
    assert!(isa.available() && x.len() == codes.len());
    // SAFETY: the machine has `isa`.
    unsafe { steps(isa, x, by, lo, hi, codes) }
}
dispatch! { fn steps(x: &[f32], by: (f32, f32), lo: i8, hi: i8, codes: &mut [i8]) = steps_body }

#[inline(always)]
fn steps_body<S>(x: &[f32], by: (f32, f32), lo: i8, hi: i8, codes: &mut [i8]) {
    round_body(x, by, lo, hi, codes);
}

/// One row.
#[inline(always)]
pub(crate) fn quantize_rows_body(rows: Rows, x: &[f32], codes: &mut [i8], scale: &mut f32) {
    let most = largest(x);
    if !most.is_finite() {
        *scale = f32::NAN;
        return codes.fill(0);
    }
    match rows {
        Rows::Symmetric { top } => {
            let s = (most / top).max(TINY);
            *scale = s;
            divided(x, s, codes);
        }
        Rows::Asymmetric { lo, hi } => {
            let (low, high) = ends(x);
            let s = ((high - low) / (hi - lo)).max(TINY);
            let zero = clip((lo - low / s).round_ties_even(), lo, hi);
            *scale = s;
            for (q, v) in codes.iter_mut().zip(x) {
                let code = clip((v / s).round_ties_even() + zero, lo, hi) - zero;
                // SAFETY: between −127 and 127.
                *q = unsafe { code.to_int_unchecked::<i32>() } as i8;
            }
        }
    }
}

/// round(x / s), |x / s| < 128: by a multiplication where the quotient is not near a tie, since a division takes five times as long.
#[inline(always)]
fn divided(x: &[f32], s: f32, codes: &mut [i8]) {
    // The product differs from the quotient by 1.5·2⁻²³ of at most 128.
    const NEAR: f32 = 0.5 - 1e-4;
    let by = 1.0 / s;
    let exact = |x: &[f32], codes: &mut [i8]| {
        for (q, v) in codes.iter_mut().zip(x) {
            // SAFETY: |v / s| < 128.
            *q = unsafe { (v / s).round_ties_even().to_int_unchecked::<i32>() } as i8;
        }
    };
    if !by.is_normal() {
        return exact(x, codes);
    }
    // So many at a time: an element in five thousand is near a tie.
    const BLOCK: usize = 8 * LANES;
    for (x, codes) in x.chunks(BLOCK).zip(codes.chunks_mut(BLOCK)) {
        let mut most = 0;
        for (q, v) in codes.iter_mut().zip(x) {
            let product = v * by;
            let rounded = product.round_ties_even();
            most = (product - rounded).abs().to_bits().max(most);
            // SAFETY: |product| < 129.
            *q = unsafe { rounded.to_int_unchecked::<i32>() } as i8;
        }
        if most > NEAR.to_bits() {
            exact(x, codes);
        }
    }
}

/// clip(round(x / step) + zero, lo, hi); a NaN is 0.
#[inline(always)]
pub(crate) fn round_body(x: &[f32], (step, zero): (f32, f32), lo: i8, hi: i8, codes: &mut [i8]) {
    // Multiplying by a power of two is dividing by its inverse, to the last bit; a migrated step is 1.
    let by = 1.0 / step;
    if step.to_bits() & 0x007f_ffff == 0 && step.is_normal() && by.is_normal() {
        rounded::<true>(x, by, zero, (lo, hi), codes);
    } else {
        rounded::<false>(x, step, zero, (lo, hi), codes);
    }
}

#[inline(always)]
fn rounded<const TIMES: bool>(x: &[f32], by: f32, zero: f32, (lo, hi): (i8, i8), codes: &mut [i8]) {
    let (low, high) = (f32::from(lo), f32::from(hi));
    let (chunks, rest) = x.as_chunks::<LANES>();
    let (code_chunks, code_rest) = codes.as_chunks_mut::<LANES>();
    for (x, codes) in chunks.iter().zip(code_chunks) {
        // Wide first: one loop to bytes does not become vectors.
        let mut whole = [0i32; LANES];
        for i in 0..LANES {
            whole[i] = step_code::<TIMES>(x[i], by, zero, low, high);
        }
        for i in 0..LANES {
            codes[i] = whole[i] as i8;
        }
    }
    for (q, v) in code_rest.iter_mut().zip(rest) {
        *q = step_code::<TIMES>(*v, by, zero, low, high) as i8;
    }
}

#[inline(always)]
fn step_code<const TIMES: bool>(v: f32, by: f32, zero: f32, lo: f32, hi: f32) -> i32 {
    let q = if TIMES { v * by } else { v / by };
    let q = clip(q.round_ties_even() + zero, lo, hi);
    let q = if q.is_nan() { 0.0 } else { q };
    // SAFETY: a number between −128 and 127.
    unsafe { q.to_int_unchecked::<i32>() }
}

#[inline(always)]
pub(crate) fn clip(x: f32, lo: f32, hi: f32) -> f32 {
    let x = if x < lo { lo } else { x };
    if x > hi { hi } else { x }
}

/// The least and the largest of x and 0; x has no NaN.
#[inline(always)]
pub(crate) fn ends(x: &[f32]) -> (f32, f32) {
    let (mut low, mut high) = ([0.0f32; LANES], [0.0f32; LANES]);
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder();
    for c in chunks {
        for i in 0..LANES {
            low[i] = if c[i] < low[i] { c[i] } else { low[i] };
            high[i] = if c[i] > high[i] { c[i] } else { high[i] };
        }
    }
    let low = low.into_iter().chain(rest.iter().copied()).fold(0.0, |m, v| if v < m { v } else { m });
    let high = high.into_iter().chain(rest.iter().copied()).fold(0.0, |m, v| if v > m { v } else { m });
    (low, high)
}

/// max|x|, as integers: the order of the bits of non-negative floats, in which infinities and NaN are above all numbers.
#[inline(always)]
pub(crate) fn largest(x: &[f32]) -> f32 {
    // One plain reduction: lanes by hand make the compiler turn the loops around and gather.
    let bits = x.iter().fold(0, |most, v| (v.to_bits() & 0x7fff_ffff).max(most));
    f32::from_bits(bits)
}
