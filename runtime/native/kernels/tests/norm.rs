//! Norms and rows of codes against float64, equal bits on every instruction set.

mod common;

use common::{each_isa, relative, same_bits, Random};
use qc_kernels::*;

const EPS: f32 = 1e-5;

struct Case {
    x: Vec<f32>,
    residual: Vec<f32>,
    gain: Vec<f32>,
    bias: Option<Vec<f32>>,
}

fn cases() -> Vec<Case> {
    let mut all = vec![];
    for (seed, (rows, n, scale, shift)) in [(1, 1, 1.0, 0.0), (3, 7, 1e-3, 0.0), (2, 32, 50.0, 3.0), (5, 65, 1.0, 1000.0), (2, 2048, 3.0, 0.5)].into_iter().enumerate() {
        for layer in [false, true] {
            let mut r = Random(seed as u64);
            let x: Vec<f32> = r.floats(rows * n, scale).into_iter().map(|v| v + shift).collect();
            let (residual, gain) = (r.floats(rows * n, scale), r.floats(n, 2.0));
            all.push(Case { x, residual, gain, bias: layer.then(|| r.floats(n, 0.5)) });
        }
    }
    all
}

impl Case {
    fn norm(&self) -> Norm<'_> {
        Norm { gain: &self.gain, bias: self.bias.as_deref(), eps: EPS }
    }
    fn reference(&self, x: &[f32]) -> Vec<f64> {
        let row = |x: &[f32]| {
            let count = x.len() as f64;
            let mean = if self.bias.is_some() { x.iter().map(|&v| f64::from(v)).sum::<f64>() / count } else { 0.0 };
            let variance = x.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count;
            let root = (variance + f64::from(EPS)).sqrt();
            let bias = |i: usize| self.bias.as_ref().map_or(0.0, |b| f64::from(b[i]));
            (0..x.len()).map(|i| (f64::from(x[i]) - mean) / root * f64::from(self.gain[i]) + bias(i)).collect::<Vec<_>>()
        };
        x.chunks(self.gain.len()).flat_map(row).collect()
    }
    fn floats(&self, isa: Isa) -> Vec<f32> {
        let mut y = vec![f32::NAN; self.x.len()];
        norm(isa, &self.norm(), &self.x, None, Normed::Floats(&mut y));
        y
    }
}

#[test]
fn norms_are_their_formulas() {
    for c in cases() {
        let want = c.reference(&c.x);
        each_isa(|isa| {
            assert!(relative(&want, &c.floats(isa)) < 1e-6, "{} n {}: {}", isa.name(), c.gain.len(), relative(&want, &c.floats(isa)));
            assert!(same_bits(&c.floats(isa), &c.floats(Isa::Scalar)), "{}", isa.name());
        });
    }
}

#[test]
fn a_residual_is_added_first() {
    for c in cases() {
        let sums: Vec<f32> = c.x.iter().zip(&c.residual).map(|(a, b)| a + b).collect();
        let mut want = vec![0.0; sums.len()];
        norm(Isa::Scalar, &c.norm(), &sums, None, Normed::Floats(&mut want));
        each_isa(|isa| {
            let (mut y, mut got) = (vec![f32::NAN; sums.len()], vec![f32::NAN; sums.len()]);
            norm(isa, &c.norm(), &c.x, Some((&c.residual, &mut got)), Normed::Floats(&mut y));
            assert!(same_bits(&got, &sums) && same_bits(&y, &want));
        });
    }
}

#[test]
fn split_channels_are_picked_from_the_codes() {
    for c in cases() {
        let (n, rows) = (c.gain.len(), c.x.len() / c.gain.len());
        let steps = |isa, to: &mut [i8]| norm(isa, &c.norm(), &c.x, None, Normed::Steps { step: 0.02, zero: 3.0, lo: -100, hi: 100, codes: to });
        let mut all = vec![0i8; c.x.len()];
        steps(Isa::Scalar, &mut all);
        let channels: Vec<u32> = (0..n as u32).flat_map(|k| vec![k; [1, 2, 0, 5][k as usize % 4]]).chain([0]).collect();
        let want: Vec<i8> = (0..rows).flat_map(|r| channels.iter().map(|&k| all[r * n + k as usize]).collect::<Vec<_>>()).collect();
        each_isa(|isa| {
            let mut codes = vec![99i8; want.len()];
            norm(isa, &c.norm(), &c.x, None, Normed::Picked { step: 0.02, zero: 3.0, lo: -100, hi: 100, channels: &channels, codes: &mut codes });
            assert_eq!(codes, want, "{} n {n}", isa.name());
        });
    }
}

#[test]
fn codes_are_those_of_the_floats() {
    for c in cases() {
        let (n, y) = (c.gain.len(), c.floats(Isa::Scalar));
        each_isa(|isa| {
            let (mut codes, mut scales) = (vec![9i8; y.len()], vec![f32::NAN; y.len() / n]);
            for top in [127.0, 7.0] {
                norm(isa, &c.norm(), &c.x, None, Normed::Rows { rows: Rows::Symmetric { top }, codes: &mut codes, scales: &mut scales });
                for ((y, q), s) in y.chunks(n).zip(codes.chunks(n)).zip(&scales) {
                    let most = y.iter().fold(0.0f32, |m, v| m.max(v.abs()));
                    assert_eq!(*s, (most / top).max(1e-30));
                    assert!(q.iter().zip(y).all(|(q, v)| f32::from(*q) == (v / s).round_ties_even() && f32::from(*q).abs() <= top));
                }
            }
            norm(isa, &c.norm(), &c.x, None, Normed::Steps { step: 0.25, zero: 2.0, lo: -8, hi: 7, codes: &mut codes });
            assert!(codes.iter().zip(&y).all(|(q, v)| f32::from(*q) == ((v / 0.25).round_ties_even() + 2.0).clamp(-8.0, 7.0)));
        });
        // The codes of int8 rows are those that a linear layer makes of the floats.
        let (mut codes, mut own, mut scales, mut scale) = (vec![0i8; n], vec![0i8; n], [0.0], 0.0);
        quantize_rows(Isa::detect(), Rows::Symmetric { top: 127.0 }, &y[..n], n, &mut codes, &mut scales);
        quantize_row(Isa::detect(), &y[..n], &mut own, &mut scale);
        assert!(codes == own && scales[0] == scale);
    }
}

#[test]
fn rows_with_zero_points() {
    let mut r = Random(9);
    let n = 67;
    let mut x = r.floats(5 * n, 3.0);
    x[..n].iter_mut().for_each(|v| *v = v.abs() + 1.0);
    x[n..2 * n].fill(0.0);
    x[2 * n..3 * n].iter_mut().for_each(|v| *v = -v.abs());
    x[4 * n] = f32::INFINITY;
    for (lo, hi) in [(-8.0f32, 7.0f32), (0.0, 15.0), (-64.0, 63.0)] {
        each_isa(|isa| {
            let (mut codes, mut scales) = (vec![9i8; x.len()], vec![0.0; 5]);
            quantize_rows(isa, Rows::Asymmetric { lo, hi }, &x, n, &mut codes, &mut scales);
            for (row, (x, q)) in x.chunks(n).zip(codes.chunks(n)).enumerate().take(4) {
                let (low, high) = x.iter().fold((0.0f32, 0.0f32), |(a, b), &v| (a.min(v), b.max(v)));
                let s = ((high - low) / (hi - lo)).max(1e-30);
                let z = (lo - low / s).round_ties_even().clamp(lo, hi);
                assert_eq!(scales[row], s);
                assert!(q.iter().zip(x).all(|(q, v)| f32::from(*q) == ((v / s).round_ties_even() + z).clamp(lo, hi) - z));
            }
            assert!(scales[4].is_nan() && codes[4 * n..].iter().all(|&q| q == 0));
        });
    }
    assert!(!Rows::Asymmetric { lo: 0.0, hi: 255.0 }.fits() && !Rows::Symmetric { top: 128.0 }.fits() && !Rows::Symmetric { top: f32::NAN }.fits());
}
