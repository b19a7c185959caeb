//! AVX-VNNI: vpdpbusd on 256 bits; floats as AVX2.

use super::avx2::{quad, widened, Avx2};
use super::{codes, Simd};
use std::arch::x86_64::*;

pub struct AvxVnni;

impl Simd for AvxVnni {
    type Ints = <Avx2 as Simd>::Ints;
    type Floats = <Avx2 as Simd>::Floats;
    const ROWS: usize = 2;
    const WIDEN: usize = 16;

    #[inline(always)]
    unsafe fn products<const R: usize, const CODES: u8>(codes: *const u8, a: *const i8, cells: usize, mut sums: [Self::Ints; R]) -> [Self::Ints; R] {
        for cell in 0..cells {
            let w = widened::<CODES>(codes.add(cell * codes::cell(CODES)));
            for r in 0..R {
                let x = quad(a, cell * R + r);
                for j in 0..4 {
                    sums[r][j] = _mm256_dpbusd_avx_epi32(sums[r][j], w[j], x);
                }
            }
        }
        sums
    }
    #[inline(always)]
    unsafe fn widen<const CODES: u8>(codes: *const u8, to: *mut u8) {
        Avx2::widen::<CODES>(codes, to)
    }
    #[inline(always)]
    unsafe fn less_each(sums: Self::Ints, zeros: *const u8, offset: i32, by: i32) -> Self::Ints {
        Avx2::less_each(sums, zeros, offset, by)
    }
    #[inline(always)]
    unsafe fn less_ints(sums: Self::Ints, ints: *const i32, by: i32) -> Self::Ints {
        Avx2::less_ints(sums, ints, by)
    }
    #[inline(always)]
    unsafe fn add_stepped(acc: Self::Ints, sums: Self::Ints, steps: *const u8) -> Self::Ints {
        Avx2::add_stepped(acc, sums, steps)
    }
    #[inline(always)]
    unsafe fn same(x: i32) -> Self::Ints {
        Avx2::same(x)
    }
    #[inline(always)]
    unsafe fn load_ints(from: *const i32) -> Self::Ints {
        Avx2::load_ints(from)
    }
    #[inline(always)]
    unsafe fn store_ints(x: Self::Ints, to: *mut i32) {
        Avx2::store_ints(x, to)
    }
    #[inline(always)]
    unsafe fn to_floats(x: Self::Ints) -> Self::Floats {
        Avx2::to_floats(x)
    }
    #[inline(always)]
    unsafe fn floats<const CODES: u8>(cell: *const u8, zeros: Self::Floats, table: *const f32) -> [Self::Floats; 4] {
        Avx2::floats::<CODES>(cell, zeros, table)
    }
    #[inline(always)]
    unsafe fn dot<const R: usize>(w: *const f32, stride: usize, a: [*const f32; R], step: usize, depth: usize) -> [Self::Floats; R] {
        Avx2::dot(w, stride, a, step, depth)
    }
    #[inline(always)]
    unsafe fn fused(acc: Self::Floats, x: Self::Floats, y: Self::Floats) -> Self::Floats {
        Avx2::fused(acc, x, y)
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::Floats {
        Avx2::splat(x)
    }
    #[inline(always)]
    unsafe fn zero() -> Self::Floats {
        Avx2::zero()
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::Floats {
        Avx2::load(from)
    }
    #[inline(always)]
    unsafe fn load_half(from: *const u16) -> Self::Floats {
        Avx2::load_half(from)
    }
    #[inline(always)]
    unsafe fn store(x: Self::Floats, to: *mut f32) {
        Avx2::store(x, to)
    }
    #[inline(always)]
    unsafe fn times(x: Self::Floats, by: f32) -> Self::Floats {
        Avx2::times(x, by)
    }
    #[inline(always)]
    unsafe fn plus(x: Self::Floats, y: Self::Floats) -> Self::Floats {
        Avx2::plus(x, y)
    }
}
