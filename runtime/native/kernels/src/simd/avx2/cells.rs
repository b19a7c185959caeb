//! Cells of codes as bytes, and halves as floats.

use crate::simd::widened;
use std::arch::x86_64::*;
use std::array::from_fn;

/// A 4-bit cell as bytes: columns 0–7, 8–15, 16–23, 24–31, four codes each.
#[inline(always)]
pub(super) unsafe fn nibbles(cell: *const u8) -> [__m256i; 4] {
    let low = _mm256_set1_epi8(15);
    let [x, y] = [0, 32].map(|at| _mm256_loadu_si256(cell.add(at).cast()));
    [
        _mm256_and_si256(x, low),
        _mm256_and_si256(y, low),
        _mm256_and_si256(_mm256_srli_epi16(x, 4), low),
        _mm256_and_si256(_mm256_srli_epi16(y, 4), low),
    ]
}

/// A plane of 2 bits as bytes.
#[inline(always)]
unsafe fn quarters(plane: *const u8) -> [__m256i; 4] {
    let (x, low) = (_mm256_loadu_si256(plane.cast()), _mm256_set1_epi8(3));
    [
        _mm256_and_si256(x, low),
        _mm256_and_si256(_mm256_srli_epi16(x, 2), low),
        _mm256_and_si256(_mm256_srli_epi16(x, 4), low),
        _mm256_and_si256(_mm256_srli_epi16(x, 6), low),
    ]
}

/// A plane of 1 bit as bytes: the upper half of a register takes the bits above those of the lower.
#[inline(always)]
unsafe fn eighths(plane: *const u8) -> [__m256i; 4] {
    let (x, low) = (_mm256_broadcastsi128_si256(_mm_loadu_si128(plane.cast())), _mm256_set1_epi8(1));
    let x = _mm256_srlv_epi32(x, _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1));
    [
        _mm256_and_si256(x, low),
        _mm256_and_si256(_mm256_srli_epi16(x, 2), low),
        _mm256_and_si256(_mm256_srli_epi16(x, 4), low),
        _mm256_and_si256(_mm256_srli_epi16(x, 6), low),
    ]
}

/// x + 2^BY·upper.
#[inline(always)]
unsafe fn above<const BY: i32>(x: [__m256i; 4], upper: [__m256i; 4]) -> [__m256i; 4] {
    let mut sum = x;
    for j in 0..4 {
        sum[j] = _mm256_or_si256(x[j], _mm256_slli_epi16(upper[j], BY));
    }
    sum
}

widened! { __m256i 4 }

#[inline(always)]
pub(super) unsafe fn bytes(cell: *const u8) -> [__m256i; 4] {
    from_fn(|j| _mm256_loadu_si256(cell.add(32 * j).cast()))
}

/// Halves in the low words of eight lanes, as floats.
#[inline(always)]
pub(super) unsafe fn halves(x: __m256i) -> __m256 {
    let words = _mm256_permute4x64_epi64(_mm256_packus_epi32(x, x), 0b1000);
    _mm256_cvtph_ps(_mm256_castsi256_si128(words))
}
