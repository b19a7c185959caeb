//! Cells of codes as bytes, and halves as floats.

use crate::simd::widened;
use std::arch::x86_64::*;

#[inline(always)]
pub(super) unsafe fn load(from: *const u8) -> __m512i {
    _mm512_loadu_si512(from.cast())
}

/// Halves in the low words of sixteen lanes, as floats.
#[inline(always)]
pub(super) unsafe fn halves_of(x: __m512i) -> __m512 {
    _mm512_cvtph_ps(_mm512_cvtepi32_epi16(x))
}

/// A plane of 4 bits as bytes.
#[inline(always)]
pub(super) unsafe fn nibbles(plane: *const u8) -> [__m512i; 2] {
    let (x, low) = (load(plane), _mm512_set1_epi8(15));
    [_mm512_and_si512(x, low), _mm512_and_si512(_mm512_srli_epi16(x, 4), low)]
}

/// A plane of 2 bits as bytes: the upper half of the register takes the bits above those of the lower.
#[inline(always)]
pub(super) unsafe fn quarters(plane: *const u8) -> [__m512i; 2] {
    let (x, low) = (_mm512_broadcast_i64x4(_mm256_loadu_si256(plane.cast())), _mm512_set1_epi8(3));
    let x = _mm512_srlv_epi32(x, _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2, 2, 2));
    [_mm512_and_si512(x, low), _mm512_and_si512(_mm512_srli_epi16(x, 4), low)]
}

/// A plane of 1 bit as bytes, a quarter of the register each bit.
#[inline(always)]
pub(super) unsafe fn eighths(plane: *const u8) -> [__m512i; 2] {
    let (x, low) = (_mm512_broadcast_i32x4(_mm_loadu_si128(plane.cast())), _mm512_set1_epi8(1));
    let x = _mm512_srlv_epi32(x, _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3));
    [_mm512_and_si512(x, low), _mm512_and_si512(_mm512_srli_epi16(x, 4), low)]
}

/// x + 2^BY·upper.
#[inline(always)]
pub(super) unsafe fn above<const BY: u32>(x: [__m512i; 2], upper: [__m512i; 2]) -> [__m512i; 2] {
    [_mm512_or_si512(x[0], _mm512_slli_epi16::<BY>(upper[0])), _mm512_or_si512(x[1], _mm512_slli_epi16::<BY>(upper[1]))]
}

#[inline(always)]
unsafe fn bytes(cell: *const u8) -> [__m512i; 2] {
    [load(cell), load(cell.add(64))]
}

widened! { __m512i 2 }
