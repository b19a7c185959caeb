//! AVX2: vpmaddubsw multiplies unsigned codes with signed activations.

use super::codes::{self, BYTES, WIDE};
use super::Simd;
use std::arch::x86_64::*;
use std::array::from_fn;

pub struct Avx2;

/// Four activations of step `cell`, in every 32-bit lane.
#[inline(always)]
pub(super) unsafe fn quad(a: *const i8, cell: usize) -> __m256i {
    _mm256_set1_epi32(a.add(cell * 4).cast::<i32>().read_unaligned())
}

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

/// The codes of a cell as bytes.
#[inline(always)]
pub(super) unsafe fn widened<const CODES: u8>(cell: *const u8) -> [__m256i; 4] {
    match CODES {
        2 => quarters(cell),
        3 => above::<2>(quarters(cell), eighths(cell.add(32))),
        4 => nibbles(cell),
        5 => above::<4>(nibbles(cell), eighths(cell.add(64))),
        6 => above::<4>(nibbles(cell), quarters(cell.add(64))),
        7 => above::<6>(above::<4>(nibbles(cell), quarters(cell.add(64))), eighths(cell.add(96))),
        _ => bytes(cell),
    }
}

#[inline(always)]
pub(super) unsafe fn bytes(cell: *const u8) -> [__m256i; 4] {
    from_fn(|j| _mm256_loadu_si256(cell.add(32 * j).cast()))
}

/// Halves in the low words of eight lanes, as floats.
#[inline(always)]
unsafe fn halves(x: __m256i) -> __m256 {
    let words = _mm256_permute4x64_epi64(_mm256_packus_epi32(x, x), 0b1000);
    _mm256_cvtph_ps(_mm256_castsi256_si128(words))
}

/// Sums of products in 16 bits, as many cells at a time as fit: a pair is at most 2·128·most.
#[inline(always)]
unsafe fn paired<const R: usize, const CODES: u8>(mut sums: [[__m256i; 4]; R], codes: *const u8, a: *const i8, cells: usize) -> [[__m256i; 4]; R] {
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
unsafe fn around_zero<const R: usize>(mut sums: [[__m256i; 4]; R], codes: *const u8, a: *const i8, cells: usize) -> [[__m256i; 4]; R] {
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
unsafe fn around_zero_wide<const R: usize>(mut sums: [[__m256i; 4]; R], codes: *const u8, a: *const i8, cells: usize) -> [[__m256i; 4]; R] {
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
