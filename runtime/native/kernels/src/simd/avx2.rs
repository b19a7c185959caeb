//! AVX2: vpmaddubsw multiplies unsigned codes with signed activations.

mod cells;
mod sums;

pub(super) use cells::widened;
pub(super) use sums::quad;

use super::codes::{self, BYTES, WIDE};
use super::Simd;
use cells::{halves, nibbles};
use std::arch::x86_64::*;
use std::array::from_fn;
use sums::{around_zero, around_zero_wide, paired};

pub struct Avx2;

impl Simd for Avx2 {
    type Ints = [__m256i; 4];
    type Floats = [__m256; 4];
    /// Codes around zero: products of unsigned bytes beyond 128 would saturate in vpmaddubsw.
    const OFFSET8: i32 = 128;
    const ROWS: usize = 2;
    const WIDEN: usize = 16;

    #[inline(always)]
    unsafe fn products<const R: usize, const CODES: u8>(codes: *const u8, a: *const i8, cells: usize, sums: [Self::Ints; R]) -> [Self::Ints; R] {
        match CODES {
            BYTES => around_zero(sums, codes, a, cells),
            WIDE => around_zero_wide(sums, codes, a, cells),
            _ => paired::<R, CODES>(sums, codes, a, cells),
        }
    }
    #[inline(always)]
    unsafe fn widen<const CODES: u8>(codes: *const u8, to: *mut u8) {
        for (j, x) in widened::<CODES>(codes).into_iter().enumerate() {
            _mm256_storeu_si256(to.add(32 * j).cast(), x);
        }
    }
    #[inline(always)]
    unsafe fn less_each(sums: Self::Ints, zeros: *const u8, offset: i32, by: i32) -> Self::Ints {
        let (offset, by) = (_mm256_set1_epi32(offset), _mm256_set1_epi32(by));
        from_fn(|j| {
            let z = _mm256_cvtepu8_epi32(_mm_loadl_epi64(zeros.add(8 * j).cast()));
            _mm256_sub_epi32(sums[j], _mm256_mullo_epi32(_mm256_sub_epi32(z, offset), by))
        })
    }
    #[inline(always)]
    unsafe fn less_ints(sums: Self::Ints, ints: *const i32, by: i32) -> Self::Ints {
        let by = _mm256_set1_epi32(by);
        from_fn(|j| _mm256_sub_epi32(sums[j], _mm256_mullo_epi32(_mm256_loadu_si256(ints.add(8 * j).cast()), by)))
    }
    #[inline(always)]
    unsafe fn add_stepped(acc: Self::Ints, sums: Self::Ints, steps: *const u8) -> Self::Ints {
        from_fn(|j| {
            let steps = _mm256_cvtepu8_epi32(_mm_loadl_epi64(steps.add(8 * j).cast()));
            _mm256_add_epi32(acc[j], _mm256_mullo_epi32(sums[j], steps))
        })
    }
    #[inline(always)]
    unsafe fn same(x: i32) -> Self::Ints {
        [_mm256_set1_epi32(x); 4]
    }
    #[inline(always)]
    unsafe fn load_ints(from: *const i32) -> Self::Ints {
        from_fn(|j| _mm256_loadu_si256(from.add(8 * j).cast()))
    }
    #[inline(always)]
    unsafe fn store_ints(x: Self::Ints, to: *mut i32) {
        for (j, v) in x.into_iter().enumerate() {
            _mm256_storeu_si256(to.add(8 * j).cast(), v);
        }
    }
    #[inline(always)]
    unsafe fn to_floats(x: Self::Ints) -> Self::Floats {
        x.map(|v| _mm256_cvtepi32_ps(v))
    }

    #[inline(always)]
    unsafe fn floats<const CODES: u8>(cell: *const u8, zeros: Self::Floats, table: *const f32) -> [Self::Floats; 4] {
        let low = _mm256_set1_epi32(255);
        let x = if CODES == codes::TABLE { nibbles(cell) } else { widened::<CODES>(cell) };
        let tables = if CODES == codes::TABLE { [_mm256_loadu_ps(table), _mm256_loadu_ps(table.add(8))] } else { [_mm256_setzero_ps(); 2] };
        from_fn(|k| {
            from_fn(|j| {
                let q = _mm256_and_si256(_mm256_srl_epi32(x[j], _mm_cvtsi32_si128(8 * k as i32)), low);
                match CODES {
                    codes::TABLE => {
                        let upper = _mm256_castsi256_ps(_mm256_slli_epi32(q, 28));
                        _mm256_blendv_ps(_mm256_permutevar8x32_ps(tables[0], q), _mm256_permutevar8x32_ps(tables[1], q), upper)
                    }
                    codes::E4M3 => {
                        let (sign, rest) = (_mm256_and_si256(q, _mm256_set1_epi32(128)), _mm256_and_si256(q, _mm256_set1_epi32(127)));
                        let half = _mm256_or_si256(_mm256_slli_epi32(sign, 8), _mm256_slli_epi32(rest, 7));
                        _mm256_mul_ps(halves(half), _mm256_set1_ps(256.0))
                    }
                    codes::E5M2 => halves(_mm256_slli_epi32(q, 8)),
                    _ => _mm256_sub_ps(_mm256_cvtepi32_ps(q), zeros[j]),
                }
            })
        })
    }
    #[inline(always)]
    unsafe fn dot<const R: usize>(w: *const f32, stride: usize, a: [*const f32; R], step: usize, depth: usize) -> [Self::Floats; R] {
        let mut sums = [[_mm256_setzero_ps(); 4]; R];
        for k in 0..depth {
            let w = Self::load(w.add(stride * k));
            for r in 0..R {
                let x = _mm256_set1_ps(*a[r].add(k * step));
                for j in 0..4 {
                    sums[r][j] = _mm256_fmadd_ps(w[j], x, sums[r][j]);
                }
            }
        }
        sums
    }
    #[inline(always)]
    unsafe fn fused(acc: Self::Floats, x: Self::Floats, y: Self::Floats) -> Self::Floats {
        from_fn(|j| _mm256_fmadd_ps(x[j], y[j], acc[j]))
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::Floats {
        [_mm256_set1_ps(x); 4]
    }

    #[inline(always)]
    unsafe fn zero() -> Self::Floats {
        [_mm256_setzero_ps(); 4]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::Floats {
        from_fn(|j| _mm256_loadu_ps(from.add(8 * j)))
    }
    #[inline(always)]
    unsafe fn load_half(from: *const u16) -> Self::Floats {
        from_fn(|j| _mm256_cvtph_ps(_mm_loadu_si128(from.add(8 * j).cast())))
    }
    #[inline(always)]
    unsafe fn store(x: Self::Floats, to: *mut f32) {
        for (j, v) in x.into_iter().enumerate() {
            _mm256_storeu_ps(to.add(8 * j), v);
        }
    }
    #[inline(always)]
    unsafe fn times(x: Self::Floats, by: f32) -> Self::Floats {
        let by = _mm256_set1_ps(by);
        x.map(|v| _mm256_mul_ps(v, by))
    }
    #[inline(always)]
    unsafe fn plus(x: Self::Floats, y: Self::Floats) -> Self::Floats {
        from_fn(|j| _mm256_add_ps(x[j], y[j]))
    }
}
