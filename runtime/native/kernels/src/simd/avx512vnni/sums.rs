//! Sums of products of codes and int8 activations.

use super::cells::{load, widened};
use crate::simd::codes;
use std::arch::x86_64::*;

#[inline(always)]
unsafe fn quad(a: *const i8, cell: usize) -> __m512i {
    _mm512_set1_epi32(a.add(cell * 4).cast::<i32>().read_unaligned())
}

#[inline(always)]
unsafe fn multiply<const R: usize>(sums: &mut [[__m512i; 2]; R], w: [__m512i; 2], a: *const i8, cell: usize) {
    for r in 0..R {
        let x = quad(a, cell * R + r);
        for j in 0..2 {
            sums[r][j] = _mm512_dpbusd_epi32(sums[r][j], w[j], x);
        }
    }
}

/// Bytes ahead of what is read that few rows ask for: the hardware's own prefetch stops at each page.
const AHEAD: usize = 2048;

/// Any codes for many rows: four cells a turn, since what counts the turns takes the ports that multiply.
#[inline(always)]
pub(super) unsafe fn tall<const R: usize, const CODES: u8>(codes: *const u8, a: *const i8, cells: usize, start: [[__m512i; 2]; R]) -> [[__m512i; 2]; R] {
    const TURN: usize = 4;
    let bytes = codes::cell(CODES);
    let (mut sums, mut codes, mut a) = (start, codes, a);
    for _ in 0..cells / TURN {
        for c in 0..TURN {
            multiply(&mut sums, widened::<CODES>(codes.add(c * bytes)), a, c);
        }
        (codes, a) = (codes.add(TURN * bytes), a.add(TURN * R * 4));
    }
    for c in 0..cells % TURN {
        multiply(&mut sums, widened::<CODES>(codes.add(c * bytes)), a, c);
    }
    sums
}

/// Any codes, CHAINS cells at a time in sums of their own, since a product takes five cycles.
#[inline(always)]
pub(super) unsafe fn streams<const R: usize, const CODES: u8, const CHAINS: usize>(codes: *const u8, a: *const i8, cells: usize, start: [[__m512i; 2]; R]) -> [[__m512i; 2]; R] {
    let mut sums = [[[_mm512_setzero_si512(); 2]; R]; CHAINS];
    sums[0] = start;
    let bytes = codes::cell(CODES);
    let whole = cells / CHAINS * CHAINS;
    let mut cell = 0;
    while cell < whole {
        for (c, sums) in sums.iter_mut().enumerate() {
            let at = codes.add((cell + c) * bytes);
            if R <= 2 {
                for line in 0..bytes.div_ceil(64) {
                    _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(AHEAD + 64 * line).cast());
                }
            }
            multiply(sums, widened::<CODES>(at), a, cell + c);
        }
        cell += CHAINS;
    }
    for cell in whole..cells {
        multiply(&mut sums[0], widened::<CODES>(codes.add(cell * bytes)), a, cell);
    }
    for c in 1..CHAINS {
        for r in 0..R {
            for j in 0..2 {
                sums[0][r][j] = _mm512_add_epi32(sums[0][r][j], sums[c][r][j]);
            }
        }
    }
    sums[0]
}

/// 4-bit codes, CHAINS cells at a time in sums of their own, since a product takes five cycles.
/// A byte is low + 16·high: the sums are those of whole bytes and of 16·high, one mask a cell; low and high follow at the end (modulo 2³²).
#[inline(always)]
pub(super) unsafe fn halves<const R: usize, const CHAINS: usize>(codes: *const u8, a: *const i8, cells: usize, start: [[__m512i; 2]; R]) -> [[__m512i; 2]; R] {
    let high = _mm512_set1_epi8(-16);
    let mut sums = [[[_mm512_setzero_si512(); 2]; R]; CHAINS];
    let whole = cells / CHAINS * CHAINS;
    let mut cell = 0;
    while cell < whole {
        for (c, sums) in sums.iter_mut().enumerate() {
            let at = codes.add((cell + c) * 64);
            if R <= 2 {
                _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(AHEAD).cast());
            }
            let x = load(at);
            multiply(sums, [x, _mm512_and_si512(x, high)], a, cell + c);
        }
        cell += CHAINS;
    }
    for cell in whole..cells {
        let x = load(codes.add(cell * 64));
        multiply(&mut sums[0], [x, _mm512_and_si512(x, high)], a, cell);
    }
    for c in 1..CHAINS {
        for r in 0..R {
            for j in 0..2 {
                sums[0][r][j] = _mm512_add_epi32(sums[0][r][j], sums[c][r][j]);
            }
        }
    }
    let mut sums = sums[0];
    for (r, [both, upper]) in sums.iter_mut().enumerate() {
        *both = _mm512_add_epi32(start[r][0], _mm512_sub_epi32(*both, *upper));
        *upper = _mm512_add_epi32(start[r][1], _mm512_srai_epi32::<4>(*upper));
    }
    sums
}
