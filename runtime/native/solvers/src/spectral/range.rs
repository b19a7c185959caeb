//! The p-norm of rows as a smooth range, and its derivative: what learnt rotations lower.

use crate::split::{Shared, Split};

const ROWS: usize = 64;

/// Σ weight·‖y_i‖²_p over the rows of `y` [rows, n]; writes its derivative [rows, n]. Rows are added in order.
pub fn range_norms(split: &dyn Split, y: &[f32], n: usize, p: f64, weight: f64, derivative: &mut [f32]) -> f64 {
    let rows = y.len() / n;
    let mut norms = vec![0.0; rows];
    {
        let (to, sums) = (Shared::new(derivative), Shared::new(&mut norms));
        split.run(rows.div_ceil(ROWS), &|task| {
            for i in task * ROWS..rows.min((task + 1) * ROWS) {
                // SAFETY: each task has its own rows.
                let (d, norm) = unsafe { (to.at(i * n, n), &mut sums.at(i, 1)[0]) };
                *norm = row(&y[i * n..(i + 1) * n], p, weight, d);
            }
        });
    }
    norms.iter().sum()
}

/// weight·‖y‖²_p = weight·m²·(Σ (|y|/m)^p)^(2/p), m the largest magnitude.
fn row(y: &[f32], p: f64, weight: f64, d: &mut [f32]) -> f64 {
    let most = y.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    if most == 0.0 || !most.is_finite() {
        d.fill(0.0);
        return if most == 0.0 { 0.0 } else { f64::NAN };
    }
    let most = f64::from(most);
    let whole = (p.fract() == 0.0 && (2.0..=64.0).contains(&p)).then_some(p as u32 - 1);
    let raised = |x: f32| {
        let x = f64::from(x.abs()) / most;
        whole.map_or_else(|| power(x, p - 1.0), |k| repeated(x, k))
    };
    let sum: f64 = y.iter().map(|&x| raised(x) * (f64::from(x.abs()) / most)).sum();
    let factor = 2.0 * weight * most * power(sum, 2.0 / p - 1.0);
    for (d, &x) in d.iter_mut().zip(y) {
        let slope = factor * raised(x);
        *d = if x < 0.0 { -slope as f32 } else { slope as f32 };
    }
    weight * most * most * power(sum, 2.0 / p)
}

/// x^k by squaring.
fn repeated(x: f64, mut k: u32) -> f64 {
    let (mut square, mut product) = (x, 1.0);
    while k > 0 {
        if k & 1 == 1 {
            product *= square;
        }
        square *= square;
        k >>= 1;
    }
    product
}

/// x^a for x ≥ 0, the same on every machine: the library's differ in their last bits.
fn power(x: f64, a: f64) -> f64 {
    if x < f64::MIN_POSITIVE {
        return if a > 0.0 { 0.0 } else { 1.0 };
    }
    exp2(a * log2(x))
}

/// Exponent plus 2/ln 2·atanh((m − 1)/(m + 1)) for the mantissa m in [√½, √2).
fn log2(x: f64) -> f64 {
    const ROOT_HALF: u64 = std::f64::consts::FRAC_1_SQRT_2.to_bits();
    let shifted = x.to_bits().wrapping_sub(ROOT_HALF) as i64;
    let exponent = shifted >> 52;
    let m = f64::from_bits(x.to_bits().wrapping_sub((exponent << 52) as u64));
    let t = (m - 1.0) / (m + 1.0);
    let u = t * t;
    let series = (0..=11).rev().fold(0.0, |s, k| s * u + 1.0 / f64::from(2 * k + 1));
    exponent as f64 + 2.0 * std::f64::consts::LOG2_E * t * series
}

fn exp2(x: f64) -> f64 {
    let x = x.clamp(-1022.0, 1023.0);
    let whole = (x + 0.5).floor();
    let f = (x - whole) * std::f64::consts::LN_2;
    let series = (1..=14).rev().fold(1.0, |s, k| 1.0 + s * f / f64::from(k));
    f64::from_bits(((whole as i64 + 1023) as u64) << 52) * series
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::Sequential;

    #[test]
    fn powers_are_those_of_the_library_to_the_last_bits() {
        for (x, a) in [(0.3, 1.7), (1.0, 5.5), (7.25, -0.8), (1e-9, 0.2), (512.0, 0.2), (0.999, 9.5)] {
            let y: f64 = power(x, a);
            assert!((y / f64::powf(x, a) - 1.0).abs() < 4e-15, "{x} {a} {y}");
        }
        assert_eq!((repeated(3.0, 9), power(0.0, 2.0)), (19683.0, 0.0));
    }

    #[test]
    fn the_derivative_is_the_slope() {
        let n = 7;
        let y: Vec<f32> = (0..3 * n).map(|i| ((i * 7919 % 101) as f32 - 50.0) / 20.0).collect();
        for p in [10.0, 3.5] {
            let (mut d, mut other) = (vec![0.0; 3 * n], vec![0.0; 3 * n]);
            let j = range_norms(&Sequential, &y, n, p, 0.5, &mut d);
            let direct: f64 = y.chunks(n).map(|r| 0.5 * r.iter().map(|x| f64::from(x.abs()).powf(p)).sum::<f64>().powf(2.0 / p)).sum();
            assert!((j / direct - 1.0).abs() < 1e-12);
            for k in 0..y.len() {
                let mut moved = y.clone();
                moved[k] += 1e-3;
                let step = f64::from(moved[k]) - f64::from(y[k]);
                let slope = (range_norms(&Sequential, &moved, n, p, 0.5, &mut other) - j) / step;
                assert!((slope - f64::from(d[k])).abs() < 2e-2 * (1.0 + slope.abs()), "{p} {k} {slope} {}", d[k]);
            }
        }
    }
}
