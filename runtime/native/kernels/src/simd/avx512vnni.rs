//! AVX-512 with VNNI: vpdpbusd on 512 bits, sixteen columns a register.

mod cells;
mod sums;

pub(crate) use cells::widened;

use super::codes::HALVES;
use super::{codes, Simd};
use cells::{halves_of, load};
use std::arch::x86_64::*;
use sums::{halves, streams, tall};

// Arrays are written out: the closures of `map` and `from_fn` are compiled without the instruction set, and may stay calls.
pub struct Avx512Vnni;

/// An integer in every lane. Loads side by side would be merged and then shuffled apart, on the port that multiplies.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn broadcast(from: *const i32) -> __m512i {
    let x: __m512i;
    std::arch::asm!("vpbroadcastd {0}, dword ptr [{1}]", out(zmm_reg) x, in(reg) from, options(readonly, nostack, preserves_flags));
    x
}

impl Avx512Vnni {
    #[inline(always)]
    pub(crate) unsafe fn add_start(sums: [__m512i; 2], start: i32) -> [__m512i; 2] {
        let start = _mm512_set1_epi32(start);
        [_mm512_add_epi32(sums[0], start), _mm512_add_epi32(sums[1], start)]
    }
}

impl Simd for Avx512Vnni {
    type Ints = [__m512i; 2];
    type Floats = [__m512; 2];
    const ROWS: usize = 12;
    const WIDEN: usize = 36;
    const TABLES: bool = true;

    #[inline(always)]
    unsafe fn products<const R: usize, const CODES: u8>(codes: *const u8, a: *const i8, cells: usize, start: [Self::Ints; R]) -> [Self::Ints; R] {
        if CODES == HALVES {
            return match R {
                1 => halves::<R, 4>(codes, a, cells, start),
                2 | 4 => halves::<R, 2>(codes, a, cells, start),
                _ => halves::<R, 1>(codes, a, cells, start),
            };
        }
        match R {
            1 => streams::<R, CODES, 4>(codes, a, cells, start),
            2 | 4 => streams::<R, CODES, 2>(codes, a, cells, start),
            _ => tall::<R, CODES>(codes, a, cells, start),
        }
    }
    #[inline(always)]
    unsafe fn widen<const CODES: u8>(codes: *const u8, to: *mut u8) {
        let [low, high] = widened::<CODES>(codes);
        _mm512_storeu_si512(to.cast(), low);
        _mm512_storeu_si512(to.add(64).cast(), high);
    }
    #[inline(always)]
    unsafe fn less_each(sums: Self::Ints, zeros: *const u8, offset: i32, by: i32) -> Self::Ints {
        let (offset, by) = (_mm512_set1_epi32(offset), _mm512_set1_epi32(by));
        let mut less = sums;
        for (j, s) in less.iter_mut().enumerate() {
            let z = _mm512_cvtepu8_epi32(_mm_loadu_si128(zeros.add(16 * j).cast()));
            *s = _mm512_sub_epi32(*s, _mm512_mullo_epi32(_mm512_sub_epi32(z, offset), by));
        }
        less
    }
    #[inline(always)]
    unsafe fn less_ints(sums: Self::Ints, ints: *const i32, by: i32) -> Self::Ints {
        let (by, ints) = (_mm512_set1_epi32(by), Self::load_ints(ints));
        [_mm512_sub_epi32(sums[0], _mm512_mullo_epi32(ints[0], by)), _mm512_sub_epi32(sums[1], _mm512_mullo_epi32(ints[1], by))]
    }
    #[inline(always)]
    unsafe fn add_stepped(acc: Self::Ints, sums: Self::Ints, steps: *const u8) -> Self::Ints {
        let mut more = acc;
        for (j, m) in more.iter_mut().enumerate() {
            let steps = _mm512_cvtepu8_epi32(_mm_loadu_si128(steps.add(16 * j).cast()));
            *m = _mm512_add_epi32(*m, _mm512_mullo_epi32(sums[j], steps));
        }
        more
    }
    #[inline(always)]
    unsafe fn same(x: i32) -> Self::Ints {
        [_mm512_set1_epi32(x); 2]
    }
    #[inline(always)]
    unsafe fn same_as(from: *const i32) -> Self::Ints {
        // Two loads cost less than a load and a copy.
        [broadcast(from), broadcast(from)]
    }
    #[inline(always)]
    unsafe fn load_ints(from: *const i32) -> Self::Ints {
        [_mm512_loadu_si512(from.cast()), _mm512_loadu_si512(from.add(16).cast())]
    }
    #[inline(always)]
    unsafe fn store_ints(x: Self::Ints, to: *mut i32) {
        _mm512_storeu_si512(to.cast(), x[0]);
        _mm512_storeu_si512(to.add(16).cast(), x[1]);
    }
    #[inline(always)]
    unsafe fn to_floats(x: Self::Ints) -> Self::Floats {
        [_mm512_cvtepi32_ps(x[0]), _mm512_cvtepi32_ps(x[1])]
    }

    #[inline(always)]
    unsafe fn floats<const CODES: u8>(cell: *const u8, zeros: Self::Floats, table: *const f32) -> [Self::Floats; 4] {
        let mut steps = [[_mm512_setzero_ps(); 2]; 4];
        if CODES == codes::TABLE {
            let (x, table) = (load(cell), _mm512_loadu_ps(table));
            for (k, step) in steps.iter_mut().enumerate() {
                for (j, half) in step.iter_mut().enumerate() {
                    // The index is the low four bits of a lane.
                    *half = _mm512_permutexvar_ps(_mm512_srl_epi32(x, _mm_cvtsi32_si128(8 * k as i32 + 4 * j as i32)), table);
                }
            }
            return steps;
        }
        let (x, low) = (widened::<CODES>(cell), _mm512_set1_epi32(255));
        for (k, step) in steps.iter_mut().enumerate() {
            for (j, half) in step.iter_mut().enumerate() {
                let q = _mm512_srl_epi32(x[j], _mm_cvtsi32_si128(8 * k as i32));
                *half = match CODES {
                    codes::E4M3 => {
                        let sign = _mm512_and_si512(_mm512_slli_epi32::<8>(q), _mm512_set1_epi32(0x8000));
                        let rest = _mm512_and_si512(_mm512_slli_epi32::<7>(q), _mm512_set1_epi32(0x3f80));
                        _mm512_mul_ps(halves_of(_mm512_or_si512(sign, rest)), _mm512_set1_ps(256.0))
                    }
                    codes::E5M2 => halves_of(_mm512_slli_epi32::<8>(_mm512_and_si512(q, low))),
                    _ => _mm512_sub_ps(_mm512_cvtepi32_ps(_mm512_and_si512(q, low)), zeros[j]),
                };
            }
        }
        steps
    }
    #[inline(always)]
    unsafe fn dot<const R: usize>(w: *const f32, stride: usize, a: [*const f32; R], step: usize, depth: usize) -> [Self::Floats; R] {
        let mut sums = [[_mm512_setzero_ps(); 2]; R];
        for k in 0..depth {
            let w = Self::load(w.add(stride * k));
            for r in 0..R {
                let x = _mm512_set1_ps(*a[r].add(k * step));
                for j in 0..2 {
                    sums[r][j] = _mm512_fmadd_ps(w[j], x, sums[r][j]);
                }
            }
        }
        sums
    }
    #[inline(always)]
    unsafe fn fused(acc: Self::Floats, x: Self::Floats, y: Self::Floats) -> Self::Floats {
        [_mm512_fmadd_ps(x[0], y[0], acc[0]), _mm512_fmadd_ps(x[1], y[1], acc[1])]
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::Floats {
        [_mm512_set1_ps(x); 2]
    }

    #[inline(always)]
    unsafe fn zero() -> Self::Floats {
        [_mm512_setzero_ps(); 2]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::Floats {
        [_mm512_loadu_ps(from), _mm512_loadu_ps(from.add(16))]
    }
    #[inline(always)]
    unsafe fn load_half(from: *const u16) -> Self::Floats {
        [_mm512_cvtph_ps(_mm256_loadu_si256(from.cast())), _mm512_cvtph_ps(_mm256_loadu_si256(from.add(16).cast()))]
    }
    #[inline(always)]
    unsafe fn store(x: Self::Floats, to: *mut f32) {
        for (j, v) in x.into_iter().enumerate() {
            _mm512_storeu_ps(to.add(16 * j), v);
        }
    }
    #[inline(always)]
    unsafe fn times(x: Self::Floats, by: f32) -> Self::Floats {
        let by = _mm512_set1_ps(by);
        [_mm512_mul_ps(x[0], by), _mm512_mul_ps(x[1], by)]
    }
    #[inline(always)]
    unsafe fn plus(x: Self::Floats, y: Self::Floats) -> Self::Floats {
        [_mm512_add_ps(x[0], y[0]), _mm512_add_ps(x[1], y[1])]
    }
}
