//! Rows of keys and values in few bits, as a cache holds them, and the cache that grows by new rows.

use crate::isa::dispatch;
use crate::rows::{clip, ends, largest};
use crate::Isa;

const TINY: f32 = 1e-30;

/// How a row x of a head becomes unsigned codes u with x ≈ scale · (u − zero): codes lo … hi, stored with `shift` added.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowCodes {
    pub lo: f32,
    pub hi: f32,
    pub shift: f32,
    pub fit: Fit,
    /// Two codes a byte, the even channel low.
    pub packed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fit {
    /// scale = max(max|x| / top, 1e-30), one zero for all rows: `middle`, before the shift.
    Symmetric { top: f32, middle: f32 },
    /// scale = max((max − min) / (hi − lo), 1e-30) over the row and 0, zero = clip(round(lo − min / scale), lo, hi).
    Zeros,
}

impl RowCodes {
    /// Bytes of a row.
    pub fn bytes(&self, dim: usize) -> usize {
        if self.packed { dim / 2 } else { dim }
    }
    /// Do the codes fit their bytes, and the rows? Errors in words.
    pub fn check(&self, dim: usize) -> Result<(), String> {
        let most = if self.packed { 15.0 } else { 255.0 };
        let whole = [self.lo, self.hi, self.shift].iter().all(|v| v.fract() == 0.0);
        let inside = self.lo + self.shift >= 0.0 && self.hi + self.shift <= most && self.lo < self.hi;
        let fit = match self.fit {
            Fit::Symmetric { top, middle } => top >= 1.0 && top <= self.hi - self.lo && middle >= self.lo && middle <= self.hi && middle.fract() == 0.0,
            Fit::Zeros => true,
        };
        if !(whole && inside && fit) {
            return Err(format!("codes from {} to {}, moved by {}, do not fit {} bits", self.lo, self.hi, self.shift, if self.packed { 4 } else { 8 }));
        }
        if self.packed && dim % 2 != 0 {
            return Err(format!("two codes a byte need an even head size, not {dim}"));
        }
        Ok(())
    }
}

/// Codes of rows of `dim`, their scales and zeros (no zeros where the fit is symmetric). A row with a NaN or an infinity has the scale NaN.
/// Panics where sizes do not fit.
pub fn encode_rows(isa: Isa, c: &RowCodes, dim: usize, x: &[f32], codes: &mut [u8], scales: &mut [f32], zeros: &mut [u8]) {
    let rows = scales.len();
    assert!(isa.available() && dim > 0 && c.check(dim).is_ok() && x.len() == rows * dim && codes.len() == rows * c.bytes(dim));
    assert!(zeros.len() == if c.fit == Fit::Zeros { rows } else { 0 });
    // SAFETY: the machine has `isa`.
    unsafe { encode(isa, c, dim, x, codes, scales, zeros) }
}
dispatch! { fn encode(c: &RowCodes, dim: usize, x: &[f32], codes: &mut [u8], scales: &mut [f32], zeros: &mut [u8]) = encode_body }

#[inline(always)]
fn encode_body<S>(c: &RowCodes, dim: usize, x: &[f32], codes: &mut [u8], scales: &mut [f32], zeros: &mut [u8]) {
    for (row, (x, to)) in x.chunks_exact(dim).zip(codes.chunks_exact_mut(c.bytes(dim))).enumerate() {
        let (scale, zero) = fit(c, x);
        scales[row] = scale;
        if let Some(z) = zeros.get_mut(row) {
            *z = (zero + c.shift) as u8;
        }
        let code = |v: f32| {
            let q = clip((v / scale).round_ties_even() + zero, c.lo, c.hi) + c.shift;
            let q = if q.is_nan() { 0.0 } else { q };
            // SAFETY: from 0 to 255; a cast that saturates does not become vectors.
            unsafe { q.to_int_unchecked::<i32>() as u8 }
        };
        if c.packed {
            for (b, pair) in to.iter_mut().zip(x.chunks_exact(2)) {
                *b = code(pair[0]) | code(pair[1]) << 4;
            }
        } else {
            for (b, v) in to.iter_mut().zip(x) {
                *b = code(*v);
            }
        }
    }
}

/// Scale and zero of a row.
#[inline(always)]
fn fit(c: &RowCodes, x: &[f32]) -> (f32, f32) {
    let most = largest(x);
    if !most.is_finite() {
        return (f32::NAN, 0.0);
    }
    match c.fit {
        Fit::Symmetric { top, middle } => ((most / top).max(TINY), middle),
        Fit::Zeros => {
            let (low, high) = ends(x);
            let s = ((high - low) / (c.hi - c.lo)).max(TINY);
            (s, clip((c.lo - low / s).round_ties_even(), c.lo, c.hi))
        }
    }
}

/// What rows of codes stand for. Panics where sizes do not fit.
pub fn decode_rows(isa: Isa, c: &RowCodes, dim: usize, codes: &[u8], scales: &[f32], zeros: &[u8], y: &mut [f32]) {
    let rows = scales.len();
    assert!(isa.available() && dim > 0 && c.check(dim).is_ok() && y.len() == rows * dim && codes.len() == rows * c.bytes(dim));
    assert!(zeros.len() == if c.fit == Fit::Zeros { rows } else { 0 });
    // SAFETY: the machine has `isa`.
    unsafe { decode(isa, c, dim, codes, scales, zeros, y) }
}
dispatch! { fn decode(c: &RowCodes, dim: usize, codes: &[u8], scales: &[f32], zeros: &[u8], y: &mut [f32]) = decode_body }

#[inline(always)]
fn decode_body<S>(c: &RowCodes, dim: usize, codes: &[u8], scales: &[f32], zeros: &[u8], y: &mut [f32]) {
    for (row, (from, y)) in codes.chunks_exact(c.bytes(dim)).zip(y.chunks_exact_mut(dim)).enumerate() {
        let scale = scales[row];
        let zero = match c.fit {
            Fit::Symmetric { middle, .. } => middle + c.shift,
            Fit::Zeros => f32::from(zeros[row]),
        };
        if c.packed {
            for (pair, b) in y.chunks_exact_mut(2).zip(from) {
                pair[0] = (f32::from(b & 15) - zero) * scale;
                pair[1] = (f32::from(b >> 4) - zero) * scale;
            }
        } else {
            for (y, u) in y.iter_mut().zip(from) {
                *y = (f32::from(*u) - zero) * scale;
            }
        }
    }
}

/// Rows rounded to codes and back, in place: to the bits what [`decode_rows`] makes of [`encode_rows`]. Panics where sizes do not fit.
pub fn round_rows(isa: Isa, c: &RowCodes, dim: usize, x: &mut [f32]) {
    assert!(isa.available() && dim > 0 && c.check(dim).is_ok() && x.len() % dim == 0);
    // SAFETY: the machine has `isa`.
    unsafe { round(isa, c, dim, x) }
}
dispatch! { fn round(c: &RowCodes, dim: usize, x: &mut [f32]) = round_body }

#[inline(always)]
fn round_body<S>(c: &RowCodes, dim: usize, x: &mut [f32]) {
    for x in x.chunks_exact_mut(dim) {
        let (scale, zero) = fit(c, x);
        for v in x {
            // The shift comes and goes: both are whole.
            *v = (clip((*v / scale).round_ties_even() + zero, c.lo, c.hi) - zero) * scale;
        }
    }
}

/// Moves the past of `heads` heads, `past` elements each, to where heads have `total`. Both may be one buffer that is grown in place.
///
/// # Safety
/// `from` has heads·past elements, `to` heads·total, past ≤ total; they are one buffer or do not overlap.
pub unsafe fn carry<T: Copy>(from: *const T, to: *mut T, heads: usize, past: usize, total: usize) {
    // From the last head on: what is moved ahead has been read.
    for head in (0..heads).rev() {
        // SAFETY: as the caller promises.
        unsafe { std::ptr::copy(from.add(head * past), to.add(head * total), past) };
    }
}

/// Floats as the bits of float16, rounded half to even. Panics where sizes differ.
pub fn to_half(x: &[f32], to: &mut [u16]) {
    use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
    to.reinterpret_cast_mut::<half::f16>().convert_from_f32_slice(x);
}

/// What bits of float16 stand for. Panics where sizes differ.
pub fn from_half(x: &[u16], to: &mut [f32]) {
    use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
    x.reinterpret_cast::<half::f16>().convert_to_f32_slice(to);
}
