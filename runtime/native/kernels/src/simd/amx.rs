//! AMX: tiles of 16 rows by 64 bytes, products of 16×64 by 64×16 in one instruction. A weight's cells of bytes are tiles as they lie:
//! sixteen cells, 128 bytes apart, are 64 steps of sixteen columns.

use super::avx512vnni::widened;
use std::arch::asm;
use std::arch::x86_64::*;
use std::sync::OnceLock;

/// Has the processor tile registers, and does the system let this process use them?
pub fn available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        const TILE_AND_INT8: u32 = 1 << 24 | 1 << 25;
        // Leaf 7 is on every processor with AVX-512.
        let told = is_x86_feature_detected!("avx512f") && __cpuid_count(7, 0).edx & TILE_AND_INT8 == TILE_AND_INT8;
        told && permitted()
    })
}

/// Linux enables the tiles' state for a process that asks (arch_prctl ARCH_REQ_XCOMP_PERM).
#[cfg(target_os = "linux")]
fn permitted() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const REQUEST_PERMISSION: i64 = 0x1023;
    const TILE_DATA: i64 = 18;
    let outcome: i64;
    // SAFETY: the call only changes what the process may use.
    unsafe { asm!("syscall", inlateout("rax") ARCH_PRCTL => outcome, in("rdi") REQUEST_PERMISSION, in("rsi") TILE_DATA, out("rcx") _, out("r11") _) }
    outcome == 0
}
#[cfg(not(target_os = "linux"))]
fn permitted() -> bool {
    false
}

#[repr(C, align(64))]
struct Config {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes: [u16; 16],
    rows: [u8; 16],
}

/// Tiles 0–3: sums; 4, 5: activations of `step` steps; 6, 7: weights. Freed when dropped.
pub struct Configured(());
impl Configured {
    /// Safety: the machine has AMX.
    pub unsafe fn new(step: usize) -> Configured {
        let mut c = Config { palette: 1, start_row: 0, reserved: [0; 14], bytes: [0; 16], rows: [0; 16] };
        for t in 0..8 {
            let (rows, bytes) = [(16, 64), (16, step), (step / 4, 64)][t / 4 + t / 6];
            c.rows[t] = rows as u8;
            c.bytes[t] = bytes as u16;
        }
        asm!("ldtilecfg [{}]", in(reg) &c, options(nostack));
        Configured(())
    }
}
impl Drop for Configured {
    fn drop(&mut self) {
        // SAFETY: configured by `new` on this thread.
        unsafe { asm!("tilerelease", options(nostack)) }
    }
}

/// Bytes between rows of weights, and of sums.
const ROW: usize = 128;

/// The sums in tiles 0 to 3: those of ROWS (16 or 32) rows and 32 columns.
pub struct Sums<const ROWS: usize>(());

/// Safety: tiles are configured; pointers reach [ROWS, 32].
impl<const ROWS: usize> Sums<ROWS> {
    #[inline(always)]
    pub unsafe fn zero() {
        asm!("tilezero tmm0", "tilezero tmm1", options(nostack, nomem));
        if ROWS == 32 {
            asm!("tilezero tmm2", "tilezero tmm3", options(nostack, nomem));
        }
    }
    #[inline(always)]
    pub unsafe fn load(from: *const i32) {
        asm!("tileloadd tmm0, [{t} + {s}]", "tileloadd tmm1, [{t} + {s} + 64]", t = in(reg) from, s = in(reg) ROW, options(nostack));
        if ROWS == 32 {
            asm!("tileloadd tmm2, [{t} + {s}]", "tileloadd tmm3, [{t} + {s} + 64]", t = in(reg) from.add(16 * 32), s = in(reg) ROW, options(nostack));
        }
    }
    #[inline(always)]
    pub unsafe fn store(to: *mut i32) {
        asm!("tilestored [{t} + {s}], tmm0", "tilestored [{t} + {s} + 64], tmm1", t = in(reg) to, s = in(reg) ROW, options(nostack));
        if ROWS == 32 {
            asm!("tilestored [{t} + {s}], tmm2", "tilestored [{t} + {s} + 64], tmm3", t = in(reg) to.add(16 * 32), s = in(reg) ROW, options(nostack));
        }
    }
}

/// Sums += products of ROWS rows of `step` reduction steps with 32 columns of byte codes. `a` [ROWS, step]; `codes` cells of 128 bytes, signed where SIGNED.
/// Safety: tiles are configured for `step`.
#[inline(always)]
pub unsafe fn step<const ROWS: usize, const SIGNED: bool>(codes: *const u8, a: *const i8, step: usize) {
    macro_rules! step {
        ($multiply:literal) => {{
            asm!(
                "tileloadd tmm6, [{w} + {s}]", "tileloadd tmm4, [{a} + {k}]", concat!($multiply, " tmm0, tmm4, tmm6"),
                "tileloadd tmm7, [{w} + {s} + 64]", concat!($multiply, " tmm1, tmm4, tmm7"),
                w = in(reg) codes, s = in(reg) ROW, a = in(reg) a, k = in(reg) step, options(nostack)
            );
            if ROWS == 32 {
                asm!(
                    "tileloadd tmm5, [{a} + {k}]", concat!($multiply, " tmm2, tmm5, tmm6"), concat!($multiply, " tmm3, tmm5, tmm7"),
                    a = in(reg) a.add(16 * step), k = in(reg) step, options(nostack)
                );
            }
        }};
    }
    if SIGNED { step!("tdpbssd") } else { step!("tdpbsud") }
}

/// A cell of planes as signed bytes code − zero; `zeros`: the zero point of each byte, two registers.
#[inline(always)]
pub unsafe fn widen_signed<const CODES: u8>(codes: *const u8, zeros: [__m512i; 2], to: *mut u8) {
    let [low, high] = widened::<CODES>(codes);
    _mm512_storeu_si512(to.cast(), _mm512_sub_epi8(low, zeros[0]));
    _mm512_storeu_si512(to.add(64).cast(), _mm512_sub_epi8(high, zeros[1]));
}

/// Signed bytes times steps, modulo 256; `steps`: that of each byte.
#[inline(always)]
pub unsafe fn stepped(bytes: *mut u8, steps: [__m512i; 2]) {
    for (j, step) in steps.into_iter().enumerate() {
        let at = bytes.add(64 * j);
        let x = _mm512_loadu_si512(at.cast());
        let even = _mm512_mullo_epi16(x, step);
        let odd = _mm512_mullo_epi16(_mm512_srli_epi16(x, 8), _mm512_srli_epi16(step, 8));
        _mm512_storeu_si512(at.cast(), _mm512_mask_blend_epi8(0xaaaa_aaaa_aaaa_aaaa, even, _mm512_slli_epi16(odd, 8)));
    }
}

/// Bytes of thirty-two columns, each four times.
#[inline(always)]
pub unsafe fn each_four_times(zeros: *const u8) -> [__m512i; 2] {
    let four = _mm512_set1_epi32(0x0101_0101);
    std::array::from_fn(|j| _mm512_mullo_epi32(_mm512_cvtepu8_epi32(_mm_loadu_si128(zeros.add(16 * j).cast())), four))
}
