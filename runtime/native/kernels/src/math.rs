//! Elementary functions in float32 by operations that every instruction set has: the same bits everywhere, and loops over them vectorize.

/// eˣ with a relative error below 2·10⁻⁷; 0 below −87.3, at most 2.4·10³⁸; NaN stays.
/// 2ⁿ·eʳ with n = round(x / ln 2), |r| ≤ ln 2 / 2, eʳ by its Taylor polynomial of degree 7 (remainder 5·10⁻⁹).
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const LOW: f32 = -87.3;
    const HIGH: f32 = 88.3;
    /// Adding it rounds to an integer, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts: n times the first is exact.
    const LN2: (f32, f32) = (0.693_359_375, -2.121_944_4e-4);
    let c = if x < LOW { LOW } else { x };
    let c = if c > HIGH { HIGH } else { c };
    let shifted = c * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = c - n * LN2.0 - n * LN2.1;
    let mut p = 1.0 / 5040.0;
    for k in [720.0f32, 120.0, 24.0, 6.0, 2.0, 1.0] {
        p = p * r + 1.0 / k;
    }
    p = p * r + 1.0;
    let power = f32::from_bits(shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23);
    if x < LOW {
        0.0
    } else {
        p * power
    }
}

const LANES: usize = 32;

/// Σ f(x) with one fixed order: thirty-two sums side by side, folded in halves.
#[inline(always)]
pub fn sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder();
    for c in chunks {
        for i in 0..LANES {
            lanes[i] += f(c[i]);
        }
    }
    for (lane, &v) in lanes.iter_mut().zip(rest) {
        *lane += f(v);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// The largest element; NaN where there is one, −∞ of nothing.
#[inline(always)]
pub fn largest(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let mut odd = [0u32; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder();
    for c in chunks {
        for i in 0..LANES {
            lanes[i] = if c[i] > lanes[i] { c[i] } else { lanes[i] };
            odd[i] |= u32::from(c[i].is_nan());
        }
    }
    for (i, &v) in rest.iter().enumerate() {
        lanes[i] = if v > lanes[i] { v } else { lanes[i] };
        odd[i] |= u32::from(v.is_nan());
    }
    if odd.iter().any(|&n| n != 0) {
        return f32::NAN;
    }
    lanes.into_iter().fold(f32::NEG_INFINITY, |m, v| if v > m { v } else { m })
}

/// ln(1 + eˣ) with a relative error below 5·10⁻⁷: max(x, 0) + ln(1 + u), u = e^−|x|; ln(1 + u) = 2·artanh(u / (2 + u)), whose series in
/// s² ≤ 1/9 is cut behind s¹⁶ (remainder 2·10⁻⁹).
#[inline(always)]
pub fn softplus(x: f32) -> f32 {
    let u = exp(-x.abs());
    let s = u / (2.0 + u);
    let q = s * s;
    let mut p = 1.0 / 17.0;
    for k in [15.0f32, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0] {
        p = p * q + 1.0 / k;
    }
    p = p * q + 1.0;
    let above = if x > 0.0 { x } else { 0.0 };
    above + 2.0 * s * p
}

/// x · σ(s·x).
#[inline(always)]
pub fn silu_scaled(x: f32, s: f32) -> f32 {
    x / (1.0 + exp(-(s * x)))
}

/// The lowest code of a byte around zero.
pub const LOW: f32 = -128.0;

/// The code of x / scale as a float, counted from the zero point: rounded half to even, one of the 256 from `low` on; NaN stays.
#[inline(always)]
pub fn code(x: f32, scale: f32, low: f32) -> f32 {
    let q = (x / scale).round_ties_even();
    let q = if q < low { low } else { q };
    let high = low + 255.0;
    if q > high { high } else { q }
}

/// The byte that stands for such a code outside: it modulo 256, so that zero is the byte 0 wherever the range lies.
#[inline(always)]
pub fn byte_of(code: f32) -> i8 {
    code as i32 as i8
}

/// The code from `low` on that a byte stands for.
#[inline(always)]
pub fn of_byte(byte: i8, low: f32) -> f32 {
    let low = low as i32;
    (low + (i32::from(byte).wrapping_sub(low) & 255)) as f32
}
