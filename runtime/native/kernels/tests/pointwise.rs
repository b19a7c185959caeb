//! Activations against float64, equal bits on every instruction set.

mod common;

use common::{each_isa, relative, same_bits, Random};
use qc_kernels::*;

#[test]
fn silu_mul_is_its_formula() {
    let mut r = Random(5);
    let mut gate = r.floats(1001, 30.0);
    gate.extend([0.0, -0.0, 100.0, -100.0, 1e-30, 88.3, -88.4, 87.2]);
    let up = r.floats(gate.len(), 3.0);
    let want: Vec<f64> = gate.iter().zip(&up).map(|(&g, &u)| f64::from(g) / (1.0 + (-f64::from(g)).exp()) * f64::from(u)).collect();
    let run = |isa, gate: &[f32], up: &[f32]| {
        let mut y = vec![f32::NAN; gate.len()];
        silu_mul(isa, gate, up, &mut y);
        y
    };
    each_isa(|isa| {
        assert!(relative(&want, &run(isa, &gate, &up)) < 1e-6);
        assert!(same_bits(&run(isa, &gate, &up), &run(Isa::Scalar, &gate, &up)), "{}", isa.name());
        // Each element, not only the large ones.
        for (g, y) in gate.iter().zip(run(isa, &gate, &vec![1.0; gate.len()])) {
            let exact = f64::from(*g) / (1.0 + (-f64::from(*g)).exp());
            assert!((f64::from(y) - exact).abs() <= 5e-7 * exact.abs() + 1e-36, "{g}: {y} {exact}");
        }
        let odd = run(isa, &[f32::NAN, f32::INFINITY, f32::NEG_INFINITY], &[1.0; 3]);
        assert!(odd[0].is_nan() && odd[1] == f32::INFINITY);
    });
}

#[test]
fn silu_scaled_is_its_formula() {
    let mut r = Random(7);
    let n = 37;
    let (x, scale) = (r.floats(n * 29, 20.0), r.floats(n, 3.0));
    for scale in [&scale[..], &scale[..1], &[1.0]] {
        let want: Vec<f64> = x.iter().enumerate().map(|(i, &v)| f64::from(v) / (1.0 + (-f64::from(scale[i % n % scale.len()]) * f64::from(v)).exp())).collect();
        let run = |isa| {
            let mut y = vec![f32::NAN; x.len()];
            silu_scaled(isa, &x, scale, &mut y);
            y
        };
        each_isa(|isa| {
            assert!(relative(&want, &run(isa)) < 1e-6);
            assert!(same_bits(&run(isa), &run(Isa::Scalar)), "{}", isa.name());
        });
    }
    // SiLUScaled(g / s, s)·s is SiLU(g), exactly where s is a power of two (MambaQuant's smoothing of gates).
    let (mut plain, mut scaled) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    silu_mul(Isa::detect(), &x, &vec![1.0; x.len()], &mut plain);
    silu_scaled(Isa::detect(), &x.iter().map(|v| v / 8.0).collect::<Vec<_>>(), &[8.0], &mut scaled);
    assert!(plain.iter().zip(&scaled).all(|(a, b)| (a / 8.0).to_bits() == b.to_bits()));
}
