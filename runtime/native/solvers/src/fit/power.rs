//! |x|^p in float32 by polynomials, the same on every machine (libm's powf is not).

const MAGIC: f32 = 12_582_912.0;

/// x^p for finite x ≥ 0 with a relative error near 1e-6·p; below 2^-126 counts as 2^-126, results clamp to 2^±126.
#[inline(always)]
pub fn power(x: f32, p: f32) -> f32 {
    exp2(p * log2(x))
}

/// log2 of max(x, 2^-126): exponent plus 2/ln 2 · atanh((m − 1) / (m + 1)) for the mantissa m in [√½, √2).
#[inline(always)]
pub fn log2(x: f32) -> f32 {
    let x = if x < f32::MIN_POSITIVE { f32::MIN_POSITIVE } else { x };
    const ROOT_HALF: u32 = 0x3f35_04f3;
    let shifted = x.to_bits().wrapping_sub(ROOT_HALF) as i32;
    let exponent = shifted >> 23;
    let m = f32::from_bits(x.to_bits().wrapping_sub((exponent << 23) as u32));
    let t = (m - 1.0) / (m + 1.0);
    let u = t * t;
    let series = 2.885_390_1 + u * (0.961_796_7 + u * (0.577_078_04 + u * (0.412_198_6 + u * 0.320_598_9)));
    exponent as f32 + t * series
}

/// 2^x with x clamped to ±126: integer part into the exponent, Taylor polynomial of 2^f for |f| ≤ ½.
#[inline(always)]
pub fn exp2(x: f32) -> f32 {
    let x = if x < -126.0 { -126.0 } else if 126.0 < x { 126.0 } else { x };
    let shifted = x + MAGIC;
    let f = x - (shifted - MAGIC);
    let exponent = shifted.to_bits().wrapping_sub(MAGIC.to_bits());
    let poly = 1.0
        + f * (std::f32::consts::LN_2 + f * (0.240_226_51 + f * (0.055_504_11 + f * (0.009_618_129 + f * (0.001_333_355_8 + f * 0.000_154_035_3)))));
    f32::from_bits(poly.to_bits().wrapping_add(exponent << 23))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_the_true_power() {
        for i in 0..20_000 {
            let x = 1e-6 * 1.0015f32.powi(i);
            for p in [0.5, 0.7, 1.0, 2.4, 3.0] {
                let exact = f64::from(x).powf(p);
                if (1e-36..1e36).contains(&exact) {
                    let got = f64::from(power(x, p as f32));
                    assert!((got / exact - 1.0).abs() < 2e-5, "{x}^{p}: {got} {exact}");
                }
            }
        }
    }

    #[test]
    fn extremes_are_finite() {
        assert!(power(0.0, 2.4) < 1e-37 && power(f32::MAX, 2.4).is_finite() && power(0.0, 0.3) > 0.0);
    }
}
