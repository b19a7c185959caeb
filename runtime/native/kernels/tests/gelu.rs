//! GELU against float64, its codes those of its floats; equal bits on every instruction set.

mod common;

use common::{each_isa, relative, same_bits, Random};
use qc_kernels::*;

/// erf by its series where that converges well, by its continued fraction beyond.
fn erf(x: f64) -> f64 {
    let a = x.abs();
    if a < 3.0 {
        let mut term = a;
        let mut sum = a;
        for n in 1..100 {
            term *= -a * a / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return sum * 2.0 / std::f64::consts::PI.sqrt() * x.signum();
    }
    let rest = (1..60).rev().fold(a, |t, k| a + f64::from(k) / 2.0 / t);
    (1.0 - (-a * a).exp() / std::f64::consts::PI.sqrt() / rest) * x.signum()
}

fn exact(how: Gelu, x: f32) -> f64 {
    let x = f64::from(x);
    match how {
        Gelu::Erf => x / 2.0 * (1.0 + erf(x / 2f64.sqrt())),
        Gelu::Tanh => x / 2.0 * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh()),
    }
}

fn floats(isa: Isa, how: Gelu, x: &[f32], width: usize) -> Vec<f32> {
    let mut y = vec![f32::NAN; x.len()];
    gelu(isa, how, x, width, Normed::Floats(&mut y));
    y
}

#[test]
fn gelu_is_its_formula() {
    for how in [Gelu::Erf, Gelu::Tanh] {
        for (scale, rows, width) in [(1.0, 3, 1), (4.0, 5, 37), (0.01, 2, 64), (30.0, 1, 333)] {
            let x = Random(7).floats(rows * width, scale);
            let want: Vec<f64> = x.iter().map(|&v| exact(how, v)).collect();
            each_isa(|isa| {
                let y = floats(isa, how, &x, width);
                assert!(relative(&want, &y) < 1e-6, "{how:?} {} {scale}: {}", isa.name(), relative(&want, &y));
                assert!(same_bits(&y, &floats(Isa::Scalar, how, &x, width)), "{}", isa.name());
            });
        }
        let odd = floats(Isa::detect(), how, &[f32::NAN, f32::INFINITY, 0.0, -0.0, 100.0, -1e30, 1e30], 7);
        assert!(odd[0].is_nan() && odd[1] == f32::INFINITY && odd[2..4] == [0.0, 0.0] && odd[4] == 100.0 && odd[5].abs() < 1e-6 && odd[6] == 1e30, "{odd:?}");
    }
}

#[test]
fn codes_are_those_of_the_floats() {
    let (rows, width) = (4, 45);
    let x = Random(3).floats(rows * width, 3.0);
    for how in [Gelu::Erf, Gelu::Tanh] {
        let y = floats(Isa::Scalar, how, &x, width);
        let (mut want, mut scales) = (vec![0i8; y.len()], vec![0.0; rows]);
        quantize_rows(Isa::Scalar, Rows::Symmetric { top: 127.0 }, &y, width, &mut want, &mut scales);
        let mut steps = vec![0i8; y.len()];
        quantize_steps(Isa::Scalar, &y, (0.03, -5.0), -100, 120, &mut steps);
        each_isa(|isa| {
            let (mut codes, mut found) = (vec![99i8; y.len()], vec![0.0; rows]);
            gelu(isa, how, &x, width, Normed::Rows { rows: Rows::Symmetric { top: 127.0 }, codes: &mut codes, scales: &mut found });
            assert!(codes == want && same_bits(&found, &scales), "{}", isa.name());
            gelu(isa, how, &x, width, Normed::Steps { step: 0.03, zero: -5.0, lo: -100, hi: 120, codes: &mut codes });
            assert_eq!(codes, steps, "{}", isa.name());
        });
    }
}
