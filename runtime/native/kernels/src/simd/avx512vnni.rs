//! AVX-512 with VNNI: vpdpbusd on 512 bits, sixteen columns a register.

use super::codes::HALVES;
use super::{codes, Simd};
use std::arch::x86_64::*;

// Arrays are written out: the closures of `map` and `from_fn` are compiled without the instruction set, and may stay calls.
pub struct Avx512Vnni;

#[inline(always)]
unsafe fn quad(a: *const i8, cell: usize) -> __m512i {
    _mm512_set1_epi32(a.add(cell * 4).cast::<i32>().read_unaligned())
}

/// An integer in every lane. Loads side by side would be merged and then shuffled apart, on the port that multiplies.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn broadcast(from: *const i32) -> __m512i {
    let x: __m512i;
    std::arch::asm!("vpbroadcastd {0}, dword ptr [{1}]", out(zmm_reg) x, in(reg) from, options(readonly, nostack, preserves_flags));
    x
}

#[inline(always)]
unsafe fn load(from: *const u8) -> __m512i {
    _mm512_loadu_si512(from.cast())
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

/// Halves in the low words of sixteen lanes, as floats.
#[inline(always)]
unsafe fn halves_of(x: __m512i) -> __m512 {
    _mm512_cvtph_ps(_mm512_cvtepi32_epi16(x))
}

/// A plane of 4 bits as bytes.
#[inline(always)]
unsafe fn nibbles(plane: *const u8) -> [__m512i; 2] {
    let (x, low) = (load(plane), _mm512_set1_epi8(15));
    [_mm512_and_si512(x, low), _mm512_and_si512(_mm512_srli_epi16(x, 4), low)]
}

/// A plane of 2 bits as bytes: the upper half of the register takes the bits above those of the lower.
#[inline(always)]
unsafe fn quarters(plane: *const u8) -> [__m512i; 2] {
    let (x, low) = (_mm512_broadcast_i64x4(_mm256_loadu_si256(plane.cast())), _mm512_set1_epi8(3));
    let x = _mm512_srlv_epi32(x, _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2, 2, 2));
    [_mm512_and_si512(x, low), _mm512_and_si512(_mm512_srli_epi16(x, 4), low)]
}

/// A plane of 1 bit as bytes, a quarter of the register each bit.
#[inline(always)]
unsafe fn eighths(plane: *const u8) -> [__m512i; 2] {
    let (x, low) = (_mm512_broadcast_i32x4(_mm_loadu_si128(plane.cast())), _mm512_set1_epi8(1));
    let x = _mm512_srlv_epi32(x, _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3));
    [_mm512_and_si512(x, low), _mm512_and_si512(_mm512_srli_epi16(x, 4), low)]
}

/// x + 2^BY·upper.
#[inline(always)]
unsafe fn above<const BY: u32>(x: [__m512i; 2], upper: [__m512i; 2]) -> [__m512i; 2] {
    [_mm512_or_si512(x[0], _mm512_slli_epi16::<BY>(upper[0])), _mm512_or_si512(x[1], _mm512_slli_epi16::<BY>(upper[1]))]
}

/// The codes of a cell as bytes.
#[inline(always)]
pub(crate) unsafe fn widened<const CODES: u8>(cell: *const u8) -> [__m512i; 2] {
    match CODES {
        2 => quarters(cell),
        3 => above::<2>(quarters(cell), eighths(cell.add(32))),
        4 => nibbles(cell),
        5 => above::<4>(nibbles(cell), eighths(cell.add(64))),
        6 => above::<4>(nibbles(cell), quarters(cell.add(64))),
        7 => above::<6>(above::<4>(nibbles(cell), quarters(cell.add(64))), eighths(cell.add(96))),
        _ => [load(cell), load(cell.add(64))],
    }
}

/// Bytes ahead of what is read that few rows ask for: the hardware's own prefetch stops at each page.
const AHEAD: usize = 2048;

/// Any codes for many rows: four cells a turn, since what counts the turns takes the ports that multiply.
#[inline(always)]
unsafe fn tall<const R: usize, const CODES: u8>(codes: *const u8, a: *const i8, cells: usize, start: [[__m512i; 2]; R]) -> [[__m512i; 2]; R] {
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
unsafe fn streams<const R: usize, const CODES: u8, const CHAINS: usize>(codes: *const u8, a: *const i8, cells: usize, start: [[__m512i; 2]; R]) -> [[__m512i; 2]; R] {
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
unsafe fn halves<const R: usize, const CHAINS: usize>(codes: *const u8, a: *const i8, cells: usize, start: [[__m512i; 2]; R]) -> [[__m512i; 2]; R] {
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
