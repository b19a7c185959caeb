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
