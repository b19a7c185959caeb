//! Sums of products in 16 bits, widened to 32.

use super::cells::{bytes, widened};
use crate::simd::codes;
use std::arch::x86_64::*;

/// Four activations of step `cell`, in every 32-bit lane.
#[inline(always)]
pub(in crate::simd) unsafe fn quad(a: *const i8, cell: usize) -> __m256i {
    _mm256_set1_epi32(a.add(cell * 4).cast::<i32>().read_unaligned())
}

/// Sums of products in 16 bits, as many cells at a time as fit: a pair is at most 2·128·most.
#[inline(always)]
pub(super) unsafe fn paired<const R: usize, const CODES: u8>(mut sums: [[__m256i; 4]; R], codes: *const u8, a: *const i8, cells: usize) -> [[__m256i; 4]; R] {
    let fit = 32767 / (256 * codes::most(CODES));
    let ones = _mm256_set1_epi16(1);
    let mut from = 0;
    while from < cells {
        let to = cells.min(from + fit);
        let mut part = [[_mm256_setzero_si256(); 4]; R];
        for cell in from..to {
            let w = widened::<CODES>(codes.add(cell * codes::cell(CODES)));
            for r in 0..R {
                let x = quad(a, cell * R + r);
                for j in 0..4 {
                    part[r][j] = _mm256_add_epi16(part[r][j], _mm256_maddubs_epi16(w[j], x));
                }
            }
        }
        for r in 0..R {
            for j in 0..4 {
                sums[r][j] = _mm256_add_epi32(sums[r][j], _mm256_madd_epi16(part[r][j], ones));
            }
        }
        from = to;
    }
    sums
}

/// Σ (code − 128)·a for codes of eight bits.
#[inline(always)]
pub(super) unsafe fn around_zero<const R: usize>(mut sums: [[__m256i; 4]; R], codes: *const u8, a: *const i8, cells: usize) -> [[__m256i; 4]; R] {
    let (ones, top) = (_mm256_set1_epi16(1), _mm256_set1_epi8(-128));
    for cell in 0..cells {
        let w = bytes(codes.add(cell * 128)).map(|x| _mm256_xor_si256(x, top));
        for r in 0..R {
            let x = quad(a, cell * R + r);
            for j in 0..4 {
                // |w|·(a with the sign of w): a pair is at most 2·128·127 < 2¹⁵.
                let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w[j]), _mm256_sign_epi8(x, w[j]));
                sums[r][j] = _mm256_add_epi32(sums[r][j], _mm256_madd_epi16(pairs, ones));
            }
        }
    }
    sums
}

/// Σ (code − 128)·a for a down to −128: the lower seven bits and the upper one apart, since pairs of whole bytes would not fit.
#[inline(always)]
pub(super) unsafe fn around_zero_wide<const R: usize>(mut sums: [[__m256i; 4]; R], codes: *const u8, a: *const i8, cells: usize) -> [[__m256i; 4]; R] {
    let (ones, top, low, one) = (_mm256_set1_epi16(1), _mm256_set1_epi16(-128), _mm256_set1_epi8(127), _mm256_set1_epi8(1));
    for cell in 0..cells {
        let w = bytes(codes.add(cell * 128));
        for r in 0..R {
            let x = quad(a, cell * R + r);
            for j in 0..4 {
                let absent = _mm256_andnot_si256(_mm256_srli_epi16(w[j], 7), one);
                let lower = _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_and_si256(w[j], low), x), ones);
                let upper = _mm256_madd_epi16(_mm256_maddubs_epi16(absent, x), top);
                sums[r][j] = _mm256_add_epi32(sums[r][j], _mm256_add_epi32(lower, upper));
            }
        }
    }
    sums
}
