//! NEON with the dot product: sdot on 128 bits, four columns a register. Its intrinsics are not stable, so it is written in assembly.

use super::codes::{self, BYTES, WIDE};
use super::Simd;
use std::arch::aarch64::*;
use std::arch::asm;
use std::array::from_fn;

pub struct Neon;

/// sums + Σ w·a over four bytes each.
#[inline(always)]
unsafe fn sdot(mut sums: int32x4_t, w: uint8x16_t, a: int32x4_t) -> int32x4_t {
    asm!("sdot {0:v}.4s, {1:v}.16b, {2:v}.16b", inout(vreg) sums, in(vreg) w, in(vreg) a, options(pure, nomem, nostack, preserves_flags));
    sums
}

#[inline(always)]
unsafe fn load<const N: usize>(from: *const u8) -> [uint8x16_t; N] {
    from_fn(|j| vld1q_u8(from.add(16 * j)))
}

/// (x >> BY) below `mask`.
#[inline(always)]
unsafe fn part(x: uint8x16_t, by: usize, mask: u8) -> uint8x16_t {
    vandq_u8(vshlq_u8(x, vdupq_n_s8(-(by as i8))), vdupq_n_u8(mask))
}

/// A plane of WIDTH bits as bytes; COUNT = WIDTH registers hold it.
#[inline(always)]
unsafe fn plane<const WIDTH: usize>(at: *const u8) -> [uint8x16_t; 8] {
    let x = load::<WIDTH>(at);
    from_fn(|j| part(x[j % WIDTH], j / WIDTH * WIDTH, (1 << WIDTH) - 1))
}

#[inline(always)]
unsafe fn nibbles(at: *const u8) -> [uint8x16_t; 8] {
    plane::<4>(at)
}
#[inline(always)]
unsafe fn quarters(at: *const u8) -> [uint8x16_t; 8] {
    plane::<2>(at)
}
#[inline(always)]
unsafe fn eighths(at: *const u8) -> [uint8x16_t; 8] {
    plane::<1>(at)
}
#[inline(always)]
unsafe fn bytes(at: *const u8) -> [uint8x16_t; 8] {
    load::<8>(at)
}

/// x + 2^BY·upper.
#[inline(always)]
unsafe fn above<const BY: i32>(x: [uint8x16_t; 8], upper: [uint8x16_t; 8]) -> [uint8x16_t; 8] {
    from_fn(|j| vorrq_u8(x[j], vshlq_n_u8::<BY>(upper[j])))
}

super::widened! { uint8x16_t 8 }

/// Four halves, given by their bits, as floats: by assembly, since the type of a half is not stable.
#[inline(always)]
unsafe fn halves(x: uint16x4_t) -> float32x4_t {
    let y: float32x4_t;
    asm!("fcvtl {0:v}.4s, {1:v}.4h", out(vreg) y, in(vreg) x, options(pure, nomem, nostack, preserves_flags));
    y
}

/// What four codes of E4M3 or E5M2 stand for: halves of fewer bits, E4M3 with a bias of its own.
#[inline(always)]
unsafe fn fp8<const CODES: u8>(q: uint16x4_t) -> float32x4_t {
    if CODES == codes::E5M2 {
        return halves(vshl_n_u16::<8>(q));
    }
    let (sign, rest) = (vand_u16(q, vdup_n_u16(128)), vand_u16(q, vdup_n_u16(127)));
    vmulq_f32(halves(vorr_u16(vshl_n_u16::<8>(sign), vshl_n_u16::<7>(rest))), vdupq_n_f32(256.0))
}

/// Entries of a table of sixteen floats, looked up byte by byte.
#[inline(always)]
unsafe fn entries(table: uint8x16x4_t, q: uint16x4_t) -> float32x4_t {
    // Bytes 4q to 4q + 3.
    let first = vmulq_n_u32(vmovl_u16(q), 0x0404_0404);
    vreinterpretq_f32_u8(vqtbl4q_u8(table, vreinterpretq_u8_u32(vaddq_u32(first, vdupq_n_u32(0x0302_0100)))))
}

/// Thirty-two bytes as integers.
#[inline(always)]
unsafe fn integers(from: *const u8) -> [int32x4_t; 8] {
    let [x, y] = load::<2>(from);
    let wide = [vmovl_u8(vget_low_u8(x)), vmovl_u8(vget_high_u8(x)), vmovl_u8(vget_low_u8(y)), vmovl_u8(vget_high_u8(y))];
    from_fn(|j| {
        let half = wide[j / 2];
        vreinterpretq_s32_u32(if j % 2 == 0 { vmovl_u16(vget_low_u16(half)) } else { vmovl_u16(vget_high_u16(half)) })
    })
}

impl Simd for Neon {
    type Ints = [int32x4_t; 8];
    type Floats = [float32x4_t; 8];
    /// Bytes as signed ones: code − 128.
    const OFFSET8: i32 = 128;
    const ROWS: usize = 2;
    const WIDEN: usize = 16;

    #[inline(always)]
    unsafe fn products<const R: usize, const CODES: u8>(codes: *const u8, a: *const i8, cells: usize, mut sums: [Self::Ints; R]) -> [Self::Ints; R] {
        let top = vdupq_n_u8(if CODES == BYTES || CODES == WIDE { 128 } else { 0 });
        for cell in 0..cells {
            let w = widened::<CODES>(codes.add(cell * codes::cell(CODES)));
            for r in 0..R {
                let x = vdupq_n_s32(a.add((cell * R + r) * 4).cast::<i32>().read_unaligned());
                for j in 0..8 {
                    sums[r][j] = sdot(sums[r][j], veorq_u8(w[j], top), x);
                }
            }
        }
        sums
    }
    #[inline(always)]
    unsafe fn widen<const CODES: u8>(codes: *const u8, to: *mut u8) {
        for (j, x) in widened::<CODES>(codes).into_iter().enumerate() {
            vst1q_u8(to.add(16 * j), x);
        }
    }
    #[inline(always)]
    unsafe fn less_each(sums: Self::Ints, zeros: *const u8, offset: i32, by: i32) -> Self::Ints {
        let z = integers(zeros);
        from_fn(|j| vmlsq_s32(sums[j], vsubq_s32(z[j], vdupq_n_s32(offset)), vdupq_n_s32(by)))
    }
    #[inline(always)]
    unsafe fn less_ints(sums: Self::Ints, ints: *const i32, by: i32) -> Self::Ints {
        from_fn(|j| vmlsq_s32(sums[j], vld1q_s32(ints.add(4 * j)), vdupq_n_s32(by)))
    }
    #[inline(always)]
    unsafe fn add_stepped(acc: Self::Ints, sums: Self::Ints, steps: *const u8) -> Self::Ints {
        let steps = integers(steps);
        from_fn(|j| vmlaq_s32(acc[j], sums[j], steps[j]))
    }
    #[inline(always)]
    unsafe fn same(x: i32) -> Self::Ints {
        [vdupq_n_s32(x); 8]
    }
    #[inline(always)]
    unsafe fn load_ints(from: *const i32) -> Self::Ints {
        from_fn(|j| vld1q_s32(from.add(4 * j)))
    }
    #[inline(always)]
    unsafe fn store_ints(x: Self::Ints, to: *mut i32) {
        for (j, v) in x.into_iter().enumerate() {
            vst1q_s32(to.add(4 * j), v);
        }
    }
    #[inline(always)]
    unsafe fn to_floats(x: Self::Ints) -> Self::Floats {
        from_fn(|j| vcvtq_f32_s32(x[j]))
    }

    #[inline(always)]
    unsafe fn floats<const CODES: u8>(cell: *const u8, zeros: Self::Floats, table: *const f32) -> [Self::Floats; 4] {
        let all = if CODES == codes::TABLE { widened::<4>(cell) } else { widened::<CODES>(cell) };
        let mut wide = [0u8; 128];
        for (j, x) in all.into_iter().enumerate() {
            vst1q_u8(wide.as_mut_ptr().add(16 * j), x);
        }
        let table = if CODES == codes::TABLE { vld1q_u8_x4(table.cast()) } else { uint8x16x4_t(all[0], all[0], all[0], all[0]) };
        let (low, high) = (vld4q_u8(wide.as_ptr()), vld4q_u8(wide.as_ptr().add(64)));
        let steps = [[low.0, high.0], [low.1, high.1], [low.2, high.2], [low.3, high.3]];
        from_fn(|k| {
            from_fn(|j| {
                let bytes = steps[k][j / 4];
                let half = if j % 4 < 2 { vmovl_u8(vget_low_u8(bytes)) } else { vmovl_u8(vget_high_u8(bytes)) };
                let q = if j % 2 == 0 { vget_low_u16(half) } else { vget_high_u16(half) };
                match CODES {
                    codes::TABLE => entries(table, q),
                    codes::E4M3 | codes::E5M2 => fp8::<CODES>(q),
                    _ => vsubq_f32(vcvtq_f32_u32(vmovl_u16(q)), zeros[j]),
                }
            })
        })
    }
    #[inline(always)]
    unsafe fn dot<const R: usize>(w: *const f32, stride: usize, a: [*const f32; R], step: usize, depth: usize) -> [Self::Floats; R] {
        let mut sums = [[vdupq_n_f32(0.0); 8]; R];
        for k in 0..depth {
            let w = Self::load(w.add(stride * k));
            for r in 0..R {
                let x = vdupq_n_f32(*a[r].add(k * step));
                for j in 0..8 {
                    sums[r][j] = vfmaq_f32(sums[r][j], w[j], x);
                }
            }
        }
        sums
    }
    #[inline(always)]
    unsafe fn fused(acc: Self::Floats, x: Self::Floats, y: Self::Floats) -> Self::Floats {
        from_fn(|j| vfmaq_f32(acc[j], x[j], y[j]))
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::Floats {
        [vdupq_n_f32(x); 8]
    }

    #[inline(always)]
    unsafe fn zero() -> Self::Floats {
        [vdupq_n_f32(0.0); 8]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::Floats {
        from_fn(|j| vld1q_f32(from.add(4 * j)))
    }
    #[inline(always)]
    unsafe fn load_half(from: *const u16) -> Self::Floats {
        from_fn(|j| halves(vld1_u16(from.add(4 * j))))
    }
    #[inline(always)]
    unsafe fn store(x: Self::Floats, to: *mut f32) {
        for (j, v) in x.into_iter().enumerate() {
            vst1q_f32(to.add(4 * j), v);
        }
    }
    #[inline(always)]
    unsafe fn times(x: Self::Floats, by: f32) -> Self::Floats {
        from_fn(|j| vmulq_f32(x[j], vdupq_n_f32(by)))
    }
    #[inline(always)]
    unsafe fn plus(x: Self::Floats, y: Self::Floats) -> Self::Floats {
        from_fn(|j| vaddq_f32(x[j], y[j]))
    }
}
