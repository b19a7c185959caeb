//! The causal convolution against float64, equal bits on every instruction set.

mod common;

use common::{each_isa, relative, same_bits, Random};
use qc_kernels::*;

struct Case {
    sizes: [usize; 4],
    x: Vec<f32>,
    past: Vec<f32>,
    w: Vec<f32>,
    codes: Vec<i8>,
    steps: Vec<f32>,
    bias: Vec<f32>,
    scale: Vec<f32>,
    low: Vec<f32>,
    silu: bool,
    int8: bool,
}

fn case(seed: u64, sizes: [usize; 4], int8: bool, scales: usize, silu: bool) -> Case {
    let [batch, time, channels, taps] = sizes;
    let mut r = Random(seed);
    let scale: Vec<f32> = (0..scales).map(|_| 0.005 + 0.02 * r.float().abs()).collect();
    // Odd seeds: codes that are not around zero.
    let low = (0..if seed % 2 == 1 { scales } else { 0 }).map(|_| -(r.next() as u8 as f32)).collect();
    Case {
        sizes, silu, int8, scale, low,
        x: r.floats(batch * time * channels, 2.0),
        past: r.floats(batch * channels * (taps - 1), 2.0),
        w: r.floats(taps * channels, 1.0),
        codes: (0..taps * channels).map(|_| r.next() as i8).collect(),
        steps: r.floats(channels, 0.01),
        bias: r.floats(channels, 1.0),
    }
}

impl Case {
    fn conv<'a>(&'a self, past: State<'a>) -> Conv<'a> {
        let [batch, time, channels, taps] = self.sizes;
        let weights = if self.int8 { Weights::Codes(&self.codes, &self.steps) } else { Weights::Floats(&self.w) };
        Conv { batch, time, channels, taps, silu: self.silu, x: &self.x, past, weights, bias: &self.bias, scale: &self.scale, low: &self.low }
    }
    fn run(&self, isa: Isa) -> (Vec<f32>, Vec<f32>) {
        let c = self.conv(State::Floats(&self.past));
        assert_eq!(c.check(), Ok(()));
        let (mut y, mut state) = (vec![f32::NAN; self.x.len()], vec![f32::NAN; self.past.len()]);
        let (out, after) = (Output::new(&mut y), After::Floats(Output::new(&mut state)));
        (0..c.tasks()).for_each(|i| conv_task(isa, &c, i, &out, &after));
        (y, state)
    }
    /// Input at time t ≥ −(K − 1).
    fn at(&self, b: usize, t: isize, c: usize) -> f32 {
        let [_, time, channels, taps] = self.sizes;
        match usize::try_from(t) {
            Ok(t) => self.x[(b * time + t) * channels + c],
            Err(_) => self.past[(b * channels + c) * (taps - 1) + (t + taps as isize - 1) as usize],
        }
    }
    fn step(&self, c: usize) -> f32 {
        self.scale[if self.scale.len() == 1 { 0 } else { c }]
    }
    fn low(&self, c: usize) -> f32 {
        self.low.get(if self.low.len() == 1 { 0 } else { c }).copied().unwrap_or(-128.0)
    }
    fn reference(&self) -> Vec<f64> {
        let [batch, time, channels, taps] = self.sizes;
        let mut y = vec![];
        for b in 0..batch {
            for t in 0..time {
                for c in 0..channels {
                    let sum: f64 = (0..taps)
                        .map(|k| {
                            let x = self.at(b, (t + k) as isize - taps as isize + 1, c);
                            let x = if self.scale.is_empty() { f64::from(x) } else { f64::from((x / self.step(c)).round_ties_even().clamp(self.low(c), self.low(c) + 255.0)) * f64::from(self.step(c)) };
                            let w = if self.int8 { f64::from(self.codes[k * channels + c]) * f64::from(self.steps[c]) } else { f64::from(self.w[k * channels + c]) };
                            w * x
                        })
                        .sum::<f64>()
                        + f64::from(self.bias[c]);
                    y.push(if self.silu { sum / (1.0 + (-sum).exp()) } else { sum });
                }
            }
        }
        y
    }
}

const SHAPES: [[usize; 4]; 6] = [[1, 1, 1, 1], [1, 1, 384, 4], [2, 7, 65, 4], [1, 40, 33, 2], [2, 2, 130, 9], [1, 0, 5, 4]];

#[test]
fn the_convolution_is_its_formula() {
    for (i, sizes) in SHAPES.into_iter().enumerate() {
        for (int8, scales, silu) in [(false, 0, false), (false, 0, true), (true, 0, true), (true, 1, true), (true, sizes[2], false), (false, sizes[2], true)] {
            let c = case(i as u64, sizes, int8, scales, silu);
            let (want, scalar) = (c.reference(), c.run(Isa::Scalar));
            each_isa(|isa| {
                let (y, state) = c.run(isa);
                assert!(relative(&want, &y) < 1e-6, "{} {sizes:?}: {}", isa.name(), relative(&want, &y));
                assert!(same_bits(&y, &scalar.0) && same_bits(&state, &scalar.1));
            });
            let [batch, time, channels, taps] = sizes;
            for (i, v) in scalar.1.iter().enumerate() {
                let (b, ch, k) = (i / (taps - 1) / channels, i / (taps - 1) % channels, i % (taps - 1));
                assert!(b < batch && *v == c.at(b, (time + k) as isize - taps as isize + 1, ch), "{sizes:?} {i}");
            }
        }
    }
}

#[test]
fn codes_of_the_state_are_those_of_its_numbers() {
    for (sizes, seed) in SHAPES.into_iter().flat_map(|s| [(s, 2), (s, 3)]) {
        let c = case(seed, sizes, true, sizes[2], true);
        let [_, _, channels, taps] = sizes;
        let code = |v: f32, i: usize| {
            let at = i / (taps - 1) % channels;
            (v / c.step(at)).round_ties_even().clamp(c.low(at), c.low(at) + 255.0) as i32 as i8
        };
        let past: Vec<i8> = c.past.iter().enumerate().map(|(i, v)| code(*v, i)).collect();
        let (y, state) = c.run(Isa::detect());
        let k = c.conv(State::Codes(&past));
        let (mut y8, mut q) = (vec![0.0; y.len()], vec![0i8; past.len()]);
        let (out, after) = (Output::new(&mut y8), After::Codes(Output::new(&mut q)));
        (0..k.tasks()).for_each(|i| conv_task(Isa::detect(), &k, i, &out, &after));
        assert!(same_bits(&y, &y8));
        assert!(state.iter().enumerate().all(|(i, v)| code(*v, i) == q[i]));
    }
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let c = case(2, [2, 3, 40, 4], true, 40, true);
    let good = c.conv(State::Floats(&c.past));
    let says = |s: Conv, what: &str| assert!(s.check().unwrap_err().contains(what), "{what}: {:?}", s.check());
    says(Conv { x: &c.x[1..], ..good }, "x has 239 elements");
    says(Conv { past: State::Floats(&c.x[1..]), ..good }, "the state has 239 elements");
    says(Conv { past: State::Codes(&[0; 240]), scale: &[], ..good }, "no scale");
    says(Conv { weights: Weights::Floats(&[]), ..good }, "weight has 0 elements");
    says(Conv { weights: Weights::Codes(&c.codes, &[1.0; 3]), ..good }, "weight_scale has 3 elements");
    says(Conv { low: &[0.0; 2], ..good }, "lowest codes has 2 elements");
    says(Conv { bias: &[], ..good }, "bias has 0 elements");
    says(Conv { scale: &[1.0; 2], ..good }, "x_scale has 2 elements");
    says(Conv { taps: 0, ..good }, "filters of 0");
    says(Conv { taps: 4000, ..good }, "filters of 4000");
    says(Conv { batch: usize::MAX, ..good }, "too large");
}
