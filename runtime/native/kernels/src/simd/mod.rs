//! What a loop needs of an instruction set: thirty-two columns side by side.

pub mod scalar;
#[cfg(target_arch = "x86_64")]
pub mod amx;
#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "x86_64")]
pub mod avx512vnni;
#[cfg(target_arch = "x86_64")]
pub mod avxvnni;
#[cfg(target_arch = "aarch64")]
pub mod neon;

/// How the codes lie that [`Simd::products`] reads: 2 to 7: planes of so many bits; else bytes.
pub mod codes {
    /// Bytes up to 127.
    pub const SMALL: u8 = 0;
    /// 4 bits: one plane.
    pub const HALVES: u8 = 4;
    /// Bytes up to 255.
    pub const BYTES: u8 = 8;
    /// Bytes up to 255 under activations down to −128.
    pub const WIDE: u8 = 9;

    /// 4 bits that stand for one of sixteen floats.
    pub const TABLE: u8 = 10;
    /// Bytes that are floats of eight bits: four bits of exponent, or five. Only [`super::Simd::floats`] reads these and TABLE.
    pub const E4M3: u8 = 11;
    pub const E5M2: u8 = 12;

    /// Bytes of a cell.
    pub const fn cell(codes: u8) -> usize {
        if codes == TABLE { 64 } else if codes >= 2 && codes < 8 { 16 * codes as usize } else { 128 }
    }
    /// The largest code.
    pub const fn most(codes: u8) -> usize {
        match codes { SMALL => 127, BYTES | WIDE => 255, bits => (1 << bits) - 1 }
    }
}

/// Defines `widened`: the codes of a cell as bytes, N registers, from planes that `nibbles`, `quarters` and `eighths` read; `above` puts one above another.
macro_rules! widened {
    ($register:ident $count:literal) => {
        /// The codes of a cell as bytes.
        #[inline(always)]
        pub(crate) unsafe fn widened<const CODES: u8>(cell: *const u8) -> [$register; $count] {
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
    };
}
use widened;

/// Asks for a line of the cache. Any address will do.
#[inline(always)]
pub(crate) fn prefetch(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE is in the baseline.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Thirty-two columns. All functions are unsafe: the machine must have the instruction set, pointers must reach as far as is said.
pub trait Simd {
    type Ints: Copy;
    type Floats: Copy;
    /// What products have already taken off codes of eight bits.
    const OFFSET8: i32 = 0;
    /// The most rows that one pass over a weight serves: 1, 2, 4, 8 or 12.
    const ROWS: usize;
    /// From so many rows on it pays to widen 4-bit codes to bytes first.
    const WIDEN: usize;
    /// Is a table of sixteen floats faster than a conversion?
    const TABLES: bool = false;

    /// sums + Σ code·a over `cells` cells for the R rows of a tile `a` [cells, R, 4], |a| ≤ 128, but ≤ 127 beside BYTES. CODES: see [`codes`].
    unsafe fn products<const R: usize, const CODES: u8>(codes: *const u8, a: *const i8, cells: usize, sums: [Self::Ints; R]) -> [Self::Ints; R];
    /// A cell of planes as bytes: 128 bytes.
    unsafe fn widen<const CODES: u8>(codes: *const u8, to: *mut u8);
    /// sums − (zeros − offset)·by, `zeros` thirty-two bytes.
    unsafe fn less_each(sums: Self::Ints, zeros: *const u8, offset: i32, by: i32) -> Self::Ints;
    /// sums − ints·by, `ints` thirty-two integers.
    unsafe fn less_ints(sums: Self::Ints, ints: *const i32, by: i32) -> Self::Ints;
    /// acc + sums·steps, `steps` thirty-two bytes.
    unsafe fn add_stepped(acc: Self::Ints, sums: Self::Ints, steps: *const u8) -> Self::Ints;
    /// x in every column.
    unsafe fn same(x: i32) -> Self::Ints;
    /// What `from` points at, in every column.
    #[inline(always)]
    unsafe fn same_as(from: *const i32) -> Self::Ints {
        Self::same(*from)
    }
    unsafe fn load_ints(from: *const i32) -> Self::Ints;
    unsafe fn store_ints(x: Self::Ints, to: *mut i32);
    unsafe fn to_floats(x: Self::Ints) -> Self::Floats;

    /// The four steps of a cell as floats: integer codes less `zeros`; of TABLE the entry of `table` (sixteen floats), of FP8 what the code stands for.
    unsafe fn floats<const CODES: u8>(cell: *const u8, zeros: Self::Floats, table: *const f32) -> [Self::Floats; 4];
    /// Σ a[i]·w[i] over `depth` rows of w, `stride` apart, in order by FMA, for R rows of a, whose elements are `step` apart.
    unsafe fn dot<const R: usize>(w: *const f32, stride: usize, a: [*const f32; R], step: usize, depth: usize) -> [Self::Floats; R];
    /// acc + x·y, rounded once.
    unsafe fn fused(acc: Self::Floats, x: Self::Floats, y: Self::Floats) -> Self::Floats;
    /// x in every column.
    unsafe fn splat(x: f32) -> Self::Floats;

    unsafe fn zero() -> Self::Floats;
    unsafe fn load(from: *const f32) -> Self::Floats;
    /// Thirty-two halves, given by their bits.
    unsafe fn load_half(from: *const u16) -> Self::Floats;
    unsafe fn store(x: Self::Floats, to: *mut f32);
    unsafe fn times(x: Self::Floats, by: f32) -> Self::Floats;
    unsafe fn plus(x: Self::Floats, y: Self::Floats) -> Self::Floats;
}
