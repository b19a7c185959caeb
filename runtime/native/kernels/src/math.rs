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

/// Sums side by side.
pub const LANES: usize = 32;

/// Their sum, folded in halves.
#[inline(always)]
pub fn folded(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

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
    folded(lanes)
}

/// Σ x − by and Σ (x − by)², each in the order of [`sum`].
#[inline(always)]
pub fn moments(x: &[f32], by: f32) -> (f32, f32) {
    let (mut lanes, mut squares) = ([0.0f32; LANES], [0.0f32; LANES]);
    let (chunks, rest) = x.as_chunks::<LANES>();
    for c in chunks {
        for i in 0..LANES {
            let d = c[i] - by;
            lanes[i] += d;
            squares[i] += d * d;
        }
    }
    for (i, v) in rest.iter().enumerate() {
        let d = v - by;
        lanes[i] += d;
        squares[i] += d * d;
    }
    (folded(lanes), folded(squares))
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

/// erf(x), absolute error below 5·10⁻⁷: x·P(x²) / Q(x²) below 3.92, from where on it is ±1 in float32. Coefficients: Eigen's (`generic_fast_erf_float`).
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    const P: [f32; 6] = [2.770_681_4e-8, -2.101_024e-6, -5.692_506_5e-5, -7.349_906_3e-4, -2.954_6e-3, -1.609_603_3e-2];
    const Q: [f32; 4] = [-2.133_740_6e-4, -1.682_827e-3, -7.373_329_2e-3, -1.426_474_1e-2];
    const ONE: f32 = 3.92;
    let given = x;
    let x = if x < -ONE { -ONE } else { x };
    let x = if x > ONE { ONE } else { x };
    let q = x * x;
    let over = P.into_iter().fold(-2.726_142_3e-10, |p, c| p * q + c);
    let under = Q.into_iter().fold(-1.456_607_2e-5, |p, c| p * q + c);
    let y = x * over / under;
    let y = if given >= ONE { 1.0 } else { y };
    if given <= -ONE { -1.0 } else { y }
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
