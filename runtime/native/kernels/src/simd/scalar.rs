//! The reference: plain loops.

use super::{codes, Simd};
use crate::layout::planes;
use std::array::from_fn;

pub struct Scalar;

/// The codes of a cell, by the definition of its planes.
#[inline(always)]
unsafe fn bytes<const CODES: u8>(cell: *const u8) -> [u8; 128] {
    if codes::cell(CODES) == 128 {
        return cell.cast::<[u8; 128]>().read();
    }
    let mut all = [0; 128];
    for (width, low) in planes(CODES.into()) {
        for (i, code) in all.iter_mut().enumerate() {
            let byte = *cell.add(16 * low + i % (16 * width));
            *code |= (byte >> (i / (16 * width) * width) & (0xff >> (8 - width))) << low;
        }
    }
    all
}

/// The float of a half's bits: its exponent is moved by a multiplication, which also serves subnormal ones.
#[inline(always)]
fn half(bits: u16) -> f32 {
    let (sign, rest) = (u32::from(bits >> 15) << 31, u32::from(bits & 0x7fff));
    let x = if rest >= 0x7c00 { f32::from_bits(rest << 13 | 0x7f80_0000) } else { f32::from_bits(rest << 13) * f32::from_bits(239 << 23) };
    f32::from_bits(x.to_bits() | sign)
}

/// What a code of E4M3 or E5M2 stands for. E4M3's code of NaN, which no weight has, is read as the number that its bits say, 480.
#[inline(always)]
pub(crate) fn fp8(codes: u8, code: u8) -> f32 {
    let code = u16::from(code);
    if codes == codes::E5M2 { half(code << 8) } else { half((code & 0x80) << 8 | (code & 0x7f) << 7) * 256.0 }
}

/// Thirty-two of them.
#[inline(always)]
pub(super) unsafe fn halves(from: *const u16) -> [f32; 32] {
    from_fn(|i| half(*from.add(i)))
}

impl Simd for Scalar {
    type Ints = [i32; 32];
    type Floats = [f32; 32];
    const ROWS: usize = 1;
    const WIDEN: usize = usize::MAX;

    #[inline(always)]
    unsafe fn products<const R: usize, const CODES: u8>(codes: *const u8, a: *const i8, cells: usize, mut sums: [Self::Ints; R]) -> [Self::Ints; R] {
        for cell in 0..cells {
            let bytes = bytes::<CODES>(codes.add(cell * codes::cell(CODES)));
            for (r, sum) in sums.iter_mut().enumerate() {
                for (i, &code) in bytes.iter().enumerate() {
                    sum[i / 4] += i32::from(code) * i32::from(*a.add((cell * R + r) * 4 + i % 4));
                }
            }
        }
        sums
    }
    #[inline(always)]
    unsafe fn widen<const CODES: u8>(codes: *const u8, to: *mut u8) {
        to.cast::<[u8; 128]>().write(bytes::<CODES>(codes));
    }
    #[inline(always)]
    unsafe fn less_each(sums: Self::Ints, zeros: *const u8, offset: i32, by: i32) -> Self::Ints {
        from_fn(|i| sums[i] - (i32::from(*zeros.add(i)) - offset) * by)
    }
    #[inline(always)]
    unsafe fn less_ints(sums: Self::Ints, ints: *const i32, by: i32) -> Self::Ints {
        from_fn(|i| sums[i].wrapping_sub((*ints.add(i)).wrapping_mul(by)))
    }
    #[inline(always)]
    unsafe fn add_stepped(acc: Self::Ints, sums: Self::Ints, steps: *const u8) -> Self::Ints {
        from_fn(|i| acc[i].wrapping_add(sums[i].wrapping_mul(i32::from(*steps.add(i)))))
    }
    #[inline(always)]
    unsafe fn same(x: i32) -> Self::Ints {
        [x; 32]
    }
    #[inline(always)]
    unsafe fn load_ints(from: *const i32) -> Self::Ints {
        from.cast::<Self::Ints>().read_unaligned()
    }
    #[inline(always)]
    unsafe fn store_ints(x: Self::Ints, to: *mut i32) {
        to.cast::<Self::Ints>().write_unaligned(x);
    }
    #[inline(always)]
    unsafe fn to_floats(x: Self::Ints) -> Self::Floats {
        x.map(|v| v as f32)
    }

    #[inline(always)]
    unsafe fn floats<const CODES: u8>(cell: *const u8, zeros: Self::Floats, table: *const f32) -> [Self::Floats; 4] {
        let bytes = if CODES == codes::TABLE { bytes::<{ codes::HALVES }>(cell) } else { bytes::<CODES>(cell) };
        from_fn(|k| {
            from_fn(|c| {
                let code = bytes[4 * c + k];
                match CODES {
                    codes::TABLE => *table.add(code.into()),
                    codes::E4M3 | codes::E5M2 => fp8(CODES, code),
                    _ => f32::from(code) - zeros[c],
                }
            })
        })
    }
    #[inline(always)]
    unsafe fn dot<const R: usize>(w: *const f32, stride: usize, a: [*const f32; R], step: usize, depth: usize) -> [Self::Floats; R] {
        let mut sums = [[0.0; 32]; R];
        for (sum, a) in sums.iter_mut().zip(a) {
            for k in 0..depth {
                for (i, s) in sum.iter_mut().enumerate() {
                    *s = (*w.add(k * stride + i)).mul_add(*a.add(k * step), *s);
                }
            }
        }
        sums
    }
    #[inline(always)]
    unsafe fn fused(acc: Self::Floats, x: Self::Floats, y: Self::Floats) -> Self::Floats {
        from_fn(|i| x[i].mul_add(y[i], acc[i]))
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::Floats {
        [x; 32]
    }

    #[inline(always)]
    unsafe fn zero() -> Self::Floats {
        [0.0; 32]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::Floats {
        from_fn(|i| *from.add(i))
    }
    #[inline(always)]
    unsafe fn load_half(from: *const u16) -> Self::Floats {
        halves(from)
    }
    #[inline(always)]
    unsafe fn store(x: Self::Floats, to: *mut f32) {
        for (i, v) in x.into_iter().enumerate() {
            *to.add(i) = v;
        }
    }
    #[inline(always)]
    unsafe fn times(x: Self::Floats, by: f32) -> Self::Floats {
        x.map(|v| v * by)
    }
    #[inline(always)]
    unsafe fn plus(x: Self::Floats, y: Self::Floats) -> Self::Floats {
        from_fn(|i| x[i] + y[i])
    }
}
