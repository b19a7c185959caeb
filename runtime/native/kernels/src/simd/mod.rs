//! What a loop needs of an instruction set: thirty-two columns side by side.

pub mod scalar;
#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "x86_64")]
pub mod avx512vnni;
#[cfg(target_arch = "x86_64")]
pub mod avxvnni;

/// Thirty-two columns. All functions are unsafe: the machine must have the instruction set, pointers must reach as far as is said.
pub trait Simd {
    type Ints: Copy;
    type Floats: Copy;
    /// Rows that one pass over a weight serves: 1, 2, 4 or 8.
    const ROWS: usize;
    /// What `dot8` has already taken off the codes.
    const OFFSET8: i32;

    /// Σ code·a over `cells` cells of 4-bit codes (64 bytes and 4 activations each), for R rows.
    unsafe fn dot4<const R: usize>(codes: *const u8, a: [*const i8; R], cells: usize) -> [Self::Ints; R];
    /// Σ (code − OFFSET8)·a over `cells` cells of 8-bit codes (128 bytes and 4 activations each), |a| ≤ 127.
    unsafe fn dot8<const R: usize>(codes: *const u8, a: [*const i8; R], cells: usize) -> [Self::Ints; R];
    /// sums − by.
    unsafe fn less(sums: Self::Ints, by: i32) -> Self::Ints;
    /// sums − (zeros − offset)·by, `zeros` thirty-two bytes.
    unsafe fn less_each(sums: Self::Ints, zeros: *const u8, offset: i32, by: i32) -> Self::Ints;
    /// acc + sums·scales.
    unsafe fn add_scaled(acc: Self::Floats, sums: Self::Ints, scales: *const f32) -> Self::Floats;

    /// code − zero of one cell as floats, four rows of thirty-two. `zeros`: thirty-two floats.
    unsafe fn unpack4(codes: *const u8, zeros: *const f32, to: *mut f32);
    unsafe fn unpack8(codes: *const u8, zeros: *const f32, to: *mut f32);
    /// Σ a[i]·w[i] over `depth` rows of w, in order, for R rows of a.
    unsafe fn dot<const R: usize>(w: *const f32, a: [*const f32; R], depth: usize) -> [Self::Floats; R];
    /// acc + part·scales.
    unsafe fn add_product(acc: Self::Floats, part: Self::Floats, scales: *const f32) -> Self::Floats;

    unsafe fn zero() -> Self::Floats;
    unsafe fn load(from: *const f32) -> Self::Floats;
    unsafe fn store(x: Self::Floats, to: *mut f32);
    unsafe fn times(x: Self::Floats, by: f32) -> Self::Floats;
    unsafe fn plus(x: Self::Floats, y: Self::Floats) -> Self::Floats;
}
