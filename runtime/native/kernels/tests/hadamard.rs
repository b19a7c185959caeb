//! Hadamard transforms against float64, equal bits on every instruction set.

mod common;

use common::{each_isa, relative, same_bits, Random};
use qc_kernels::*;

#[test]
fn hadamard_is_its_formula() {
    for (seed, (side, power, blocks)) in [(1usize, 0u32, 3), (1, 1, 1), (1, 3, 5), (1, 11, 2), (12, 4, 1), (20, 0, 2), (28, 5, 1), (3, 2, 4), (44, 7, 1)].into_iter().enumerate() {
        let mut r = Random(seed as u64);
        let outer: Vec<f32> = if side == 1 { vec![1.0] } else { (0..side * side).map(|_| if r.below(2) == 0 { 1.0 } else { -1.0 }).collect() };
        let n = 1usize << power;
        let h = Blocks { matrix: &outer, stride: side, order: side, power, scale: 1.0 / ((side * n) as f32).sqrt() };
        let x = r.floats(side * n * blocks, 3.0);
        let mut want = vec![];
        for x in x.chunks(h.size()) {
            for a in 0..n {
                for b in 0..side {
                    let inner = |i: usize| (0..side).map(|j| f64::from(x[i * side + j]) * f64::from(outer[j * side + b])).sum::<f64>();
                    let sign = |i: usize| if (i & a).count_ones() % 2 == 0 { 1.0 } else { -1.0 };
                    want.push((0..n).map(|i| sign(i) * inner(i)).sum::<f64>() * f64::from(h.scale));
                }
            }
        }
        let run = |isa| {
            let mut y = vec![f32::NAN; x.len()];
            hadamard(isa, &h, &x, &mut y);
            y
        };
        each_isa(|isa| {
            assert!(relative(&want, &run(isa)) < 1e-6, "{side} · 2^{power} {}: {}", isa.name(), relative(&want, &run(isa)));
            assert!(same_bits(&run(isa), &run(Isa::Scalar)), "{}", isa.name());
        });
        hadamard(Isa::detect(), &h, &[], &mut []);
    }
    let bad = Blocks { matrix: &[1.0; 9], stride: 3, order: 3, power: 2, scale: 1.0 };
    assert!(bad.check(13).unwrap_err().contains("no blocks of 12") && bad.check(0).is_err());
    assert!(Blocks { matrix: &[1.0; 8], ..bad }.check(12).unwrap_err().contains("in 8 elements"));
    assert!(Blocks { power: 70, ..bad }.check(12).is_err() && Blocks { order: 0, ..bad }.check(12).is_err() && Blocks { stride: usize::MAX, ..bad }.check(12).is_err());
}

#[test]
fn a_matrix_is_over_one_of_an_order_or_not() {
    let mut r = Random(4);
    for (order, power) in [(1usize, 0u32), (1, 5), (12, 3), (3, 2)] {
        let small: Vec<f32> = (0..order * order).map(|_| if r.below(2) == 0 { 0.25 } else { -0.25 }).collect();
        let n = order << power;
        let sign = |i: usize, j: usize| if (i & j).count_ones() % 2 == 0 { 1.0 } else { -1.0 };
        let whole: Vec<f32> = (0..n * n).map(|k| sign(k / n / order, k % n / order) * small[k / n % order * order + k % n % order]).collect();
        assert!(is_over(&whole, n, order), "{order} · 2^{power}");
        assert!(is_over(&whole, n, n), "over itself");
        if power > 0 {
            for k in [n * n - 1, order, n * order] {
                let mut other = whole.clone();
                other[k] = -other[k];
                assert!(!is_over(&other, n, order), "element {k}");
                other[k] = f32::NAN;
                assert!(!is_over(&other, n, order));
            }
        }
        assert!(!is_over(&whole[1..], n, order) && !is_over(&whole, n, 0) && !is_over(&whole, n, 2 * n) && !is_over(&[], 0, 1));
    }
}
