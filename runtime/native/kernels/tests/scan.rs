//! The selective scan against float64, equal bits on every instruction set, codes against the definition step by step.

mod common;

use common::{each_isa, relative, same_bits, Random};
use qc_kernels::*;

#[derive(Clone, Copy, PartialEq)]
enum Steps {
    None,
    One,
    Each,
}

/// Sizes: batch, time, heads, width, states, groups.
struct Case {
    sizes: [usize; 6],
    per_head: bool,
    softplus: bool,
    gated: bool,
    /// Values of x, dt, B, C, z; steps of each; codes where a port is int8.
    ports: [(Vec<f32>, Vec<f32>, Option<Vec<i8>>); 5],
    a: Vec<f32>,
    skip: Vec<f32>,
    gate: Vec<f32>,
    past: Vec<f32>,
    scale: Vec<f32>,
    /// Lowest codes of the state and of each port, counted from zero points; none where codes are around zero (even seeds).
    low: Vec<f32>,
    lows: [Vec<f32>; 5],
}

fn case(seed: u64, sizes: [usize; 6], per_head: bool, softplus: bool, gated: bool, steps: Steps, coded: bool) -> Case {
    let [batch, time, heads, width, states, groups] = sizes;
    let mut r = Random(seed);
    let channels = heads * width;
    let each = if per_head { heads } else { channels };
    let widths = [channels, each, groups * states, groups * states, channels];
    let ports = std::array::from_fn(|i| {
        let n = batch * time * widths[i];
        // Δ is positive where it is not softplus of something.
        let x = r.floats(n, 2.0).into_iter().map(|v| if i == 1 && !softplus { v.abs() * 0.1 } else { v }).collect::<Vec<_>>();
        let count = match steps {
            Steps::None => 0,
            Steps::One => 1,
            Steps::Each => widths[i],
        };
        let scale: Vec<f32> = (0..count).map(|_| 0.004 + 0.02 * r.float().abs()).collect();
        let codes = coded && !scale.is_empty() && !(i == 1 && softplus);
        let q = codes.then(|| x.iter().enumerate().map(|(j, v)| (v / scale[j % widths[i] % scale.len()]).round_ties_even() as i8).collect());
        (x, scale, q)
    });
    let a = r.floats(if per_head { heads } else { channels * states }, 4.0).into_iter().map(|v| -v.abs() - 0.01).collect();
    let scale = match steps {
        Steps::None => vec![],
        Steps::One => vec![0.013],
        Steps::Each => (0..channels * states).map(|_| 0.005 + 0.02 * r.float().abs()).collect(),
    };
    let mut lows = |scales: usize| (0..if seed % 2 == 1 { scales } else { 0 }).map(|_| -(r.next() as u8 as f32)).collect::<Vec<_>>();
    let (low, lows) = (lows(scale.len()), std::array::from_fn(|i| lows(match steps { Steps::None => 0, Steps::One => 1, Steps::Each => widths[i] })));
    Case {
        sizes, per_head, softplus, gated, ports, a, scale, low, lows,
        skip: r.floats(each, 1.0),
        gate: vec![1.0],
        past: r.floats(batch * channels * states, 1.5),
    }
}

impl Case {
    fn scan<'a>(&'a self, past: State<'a>) -> Scan<'a> {
        let [batch, time, heads, width, states, groups] = self.sizes;
        let port = |i: usize| {
            let (x, scale, q) = &self.ports[i];
            Port { data: q.as_deref().map_or(Data::Floats(x), Data::Codes), scale, low: &self.lows[i] }
        };
        Scan {
            batch, time, heads, width, states, groups,
            per_head: self.per_head, softplus: self.softplus,
            x: port(0), dt: port(1), b: port(2), c: port(3),
            z: if self.gated { port(4) } else { Port::floats(&[]) },
            gate: &self.gate, a: &self.a, skip: &self.skip, past, scale: &self.scale, low: &self.low,
        }
    }
    fn run(&self, isa: Isa) -> (Vec<f32>, Vec<f32>) {
        let s = self.scan(State::Floats(&self.past));
        assert_eq!(s.check(), Ok(()));
        let (mut y, mut state) = (vec![f32::NAN; s.x.len()], vec![f32::NAN; self.past.len()]);
        let (out, after) = (Output::new(&mut y), After::Floats(Output::new(&mut state)));
        (0..s.tasks()).for_each(|i| scan_task(isa, &s, i, &out, &after));
        (y, state)
    }
    /// In float64; the state's codes of each step come from `codes` where it is rounded (what float32 rounds may differ at a tie).
    fn reference(&self) -> (Vec<f64>, Vec<f64>) {
        let [batch, time, heads, width, states, groups] = self.sizes;
        let channels = heads * width;
        let each = if self.per_head { heads } else { channels };
        let widths = [channels, each, groups * states, groups * states, channels];
        let value = |i: usize, row: usize, at: usize| {
            let (x, scale, q) = &self.ports[i];
            let from = row * widths[i] + at;
            let step = |v: f64| match scale.len() {
                0 => v,
                n => {
                    let s = scale[at % n];
                    let low = self.lows[i].get(at % n).copied().unwrap_or(-128.0);
                    f64::from((v as f32 / s).round_ties_even().clamp(low, low + 255.0)) * f64::from(s)
                }
            };
            match q {
                Some(q) => f64::from(q[from]) * f64::from(scale[at % scale.len()]),
                None if i == 1 && self.softplus => step(f64::from(x[from]).exp().ln_1p()),
                None => step(f64::from(x[from])),
            }
        };
        let (mut y, mut after) = (vec![0.0; batch * time * channels], vec![0.0; self.past.len()]);
        for b in 0..batch {
            for p in 0..channels {
                let head = p / width;
                let group = head / (heads / groups);
                let held = (b * channels + p) * states;
                let step = |n: usize| f64::from(self.scale[if self.scale.len() == 1 { 0 } else { n * channels + p }]);
                let low = |n: usize| self.low.get(if self.low.len() == 1 { 0 } else { n * channels + p }).map_or(-128.0, |&l| f64::from(l));
                let round = |v: f64, n: usize| if self.scale.is_empty() { v } else { (v / step(n)).round_ties_even().clamp(low(n), low(n) + 255.0) * step(n) };
                let mut h: Vec<f64> = (0..states).map(|n| round(f64::from(self.past[held + n]), n)).collect();
                for t in 0..time {
                    let row = b * time + t;
                    let dt = value(1, row, if self.per_head { head } else { p });
                    let x = value(0, row, p);
                    let mut sum = 0.0;
                    for (n, h) in h.iter_mut().enumerate() {
                        let a = if self.per_head { self.a[head] } else { self.a[n * channels + p] };
                        let v = *h * (dt * f64::from(a)).exp() + dt * x * value(2, row, group * states + n);
                        sum += v * value(3, row, group * states + n);
                        *h = round(v, n);
                    }
                    sum += f64::from(self.skip[if self.per_head { head } else { p }]) * x;
                    if self.gated {
                        let z = value(4, row, p);
                        sum *= z / (1.0 + (-z).exp());
                    }
                    y[row * channels + p] = sum;
                }
                after[held..held + states].copy_from_slice(&h);
            }
        }
        (y, after)
    }
}

const SHAPES: [([usize; 6], bool); 7] = [
    ([1, 1, 1, 1, 1, 1], false),
    ([2, 5, 1, 37, 16, 1], false),
    ([1, 33, 1, 64, 3, 1], false),
    ([1, 3, 2, 40, 5, 2], false),
    ([1, 1, 6, 64, 32, 2], true),
    ([2, 65, 4, 20, 16, 2], true),
    ([1, 7, 3, 33, 17, 1], true),
];

#[test]
fn the_scan_is_its_formula() {
    for (i, (sizes, per_head)) in SHAPES.into_iter().enumerate() {
        for (softplus, gated) in [(false, false), (true, true), (true, false)] {
            let c = case(i as u64, sizes, per_head, softplus, gated, Steps::None, false);
            let (want, state) = c.reference();
            let scalar = c.run(Isa::Scalar);
            each_isa(|isa| {
                let got = c.run(isa);
                assert!(relative(&want, &got.0) < 1e-6 && relative(&state, &got.1) < 1e-6, "{} {sizes:?}: {} {}", isa.name(), relative(&want, &got.0), relative(&state, &got.1));
                assert!(same_bits(&got.0, &scalar.0) && same_bits(&got.1, &scalar.1), "{} {sizes:?}", isa.name());
            });
        }
    }
}

#[test]
fn quantized_ports_and_state_are_equal_on_every_set_and_one_step_is_the_definition() {
    for (i, (sizes, per_head)) in SHAPES.into_iter().enumerate() {
        for steps in [Steps::One, Steps::Each] {
            for coded in [false, true] {
                let c = case(i as u64, sizes, per_head, !coded, true, steps, coded);
                let scalar = c.run(Isa::Scalar);
                each_isa(|isa| {
                    let got = c.run(isa);
                    assert!(same_bits(&got.0, &scalar.0) && same_bits(&got.1, &scalar.1), "{} {sizes:?}", isa.name());
                });
                // One step: codes may differ only where float64 is within 10⁻⁴ of a tie.
                let c = case(i as u64, [sizes[0], 1, sizes[2], sizes[3], sizes[4], sizes[5]], per_head, false, true, steps, true);
                let (want, state) = c.reference();
                let got = c.run(Isa::detect());
                assert!(relative(&want, &got.0) < 1e-6, "{sizes:?} {}", relative(&want, &got.0));
                assert!(relative(&state, &got.1) < 1e-6, "{sizes:?} {}", relative(&state, &got.1));
            }
        }
    }
}

#[test]
fn codes_in_and_out_are_the_rounded_state() {
    let mut beyond = false;
    for ((sizes, per_head), seed) in SHAPES.into_iter().flat_map(|s| [(s, 8), (s, 9)]) {
        let c = case(seed, sizes, per_head, true, false, Steps::Each, false);
        let (y, state) = c.run(Isa::detect());
        let [batch, _, heads, width, states, _] = sizes;
        let channels = heads * width;
        let at = |i: usize| i % states * channels + i / states % channels;
        let step = |i: usize| c.scale[at(i)];
        let low = |i: usize| c.low.get(at(i)).copied().unwrap_or(-128.0);
        // Outside a code is itself modulo 256.
        let past: Vec<i8> = c.past.iter().enumerate().map(|(i, v)| (v / step(i)).round_ties_even().clamp(low(i), low(i) + 255.0) as i32 as i8).collect();
        let s = c.scan(State::Codes(&past));
        let (mut y8, mut q) = (vec![0.0; y.len()], vec![0i8; batch * channels * states]);
        let (out, after) = (Output::new(&mut y8), After::Codes(Output::new(&mut q)));
        (0..s.tasks()).for_each(|i| scan_task(Isa::detect(), &s, i, &out, &after));
        assert!(same_bits(&y, &y8));
        let number = |q: i8, low: f32| (0..256).map(|k| low + k as f32).find(|&c| c as i32 as i8 == q).unwrap();
        assert!(q.iter().enumerate().all(|(i, &q)| number(q, low(i)) * step(i) == state[i]), "{sizes:?}");
        beyond |= q.iter().enumerate().any(|(i, &q)| f32::from(q) != number(q, low(i)));
    }
    assert!(beyond, "no code was beyond the signed bytes");
}

#[test]
fn a_sequence_is_its_steps() {
    for (sizes, per_head) in SHAPES {
        for steps in [Steps::None, Steps::Each] {
            let [batch, time, heads, width, ..] = sizes;
            if batch != 1 {
                continue;
            }
            let c = case(4, sizes, per_head, true, true, steps, false);
            let (y, state) = c.run(Isa::detect());
            let mut past = c.past.clone();
            for t in 0..time {
                let mut one = case(4, sizes, per_head, true, true, steps, false);
                one.sizes[1] = 1;
                for (x, ..) in &mut one.ports {
                    let n = x.len() / time;
                    *x = x[t * n..(t + 1) * n].to_vec();
                }
                one.past = past;
                let (row, next) = one.run(Isa::detect());
                assert!(same_bits(&row, &y[t * heads * width..(t + 1) * heads * width]), "{sizes:?} {t}");
                past = next;
            }
            assert!(same_bits(&past, &state));
        }
    }
}

#[test]
fn extreme_values_stay_in_range() {
    let mut c = case(2, [1, 4, 1, 33, 4, 1], false, true, true, Steps::Each, false);
    c.ports[0].0[0] = f32::INFINITY;
    c.ports[1].0[1] = f32::NAN;
    c.ports[1].0[2] = 1e30;
    c.ports[4].0[3] = -1e30;
    c.past[0] = f32::MAX;
    let scalar = c.run(Isa::Scalar);
    each_isa(|isa| {
        let got = c.run(isa);
        let alike = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan());
        assert!(alike(&got.0, &scalar.0) && alike(&got.1, &scalar.1));
        assert!(got.1.iter().enumerate().all(|(i, v)| v.is_nan() || v.abs() <= 128.0 * c.scale[i % 4 * 33 + i / 4]));
    });
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let c = case(2, [2, 3, 4, 8, 5, 2], true, true, true, Steps::Each, false);
    let good = c.scan(State::Floats(&c.past));
    let says = |s: Scan, what: &str| assert!(s.check().unwrap_err().contains(what), "{what}: {:?}", s.check());
    fn short(p: Port) -> Port {
        Port { data: Data::Floats(&[0.0; 3]), ..p }
    }
    says(Scan { x: short(good.x), ..good }, "x has 3 elements");
    says(Scan { dt: short(good.dt), ..good }, "dt has 3 elements");
    says(Scan { b: short(good.b), ..good }, "B has 3 elements");
    says(Scan { c: Port { scale: &[1.0, 2.0], ..good.c }, ..good }, "C has 2 scales");
    says(Scan { z: short(good.z), ..good }, "z has 3 elements");
    says(Scan { a: &[1.0], ..good }, "A has 1 elements");
    says(Scan { skip: &[], ..good }, "D has 0 elements");
    says(Scan { gate: &[], ..good }, "gate_scale has 0 elements");
    says(Scan { scale: &[1.0, 2.0], ..good }, "state_scale has 2 elements");
    says(Scan { low: &[0.0; 2], ..good }, "lowest codes has 2 elements");
    says(Scan { c: Port { low: &[0.0], ..good.c }, ..good }, "lowest codes");
    says(Scan { past: State::Floats(&[]), ..good }, "the state has 0 elements");
    says(Scan { past: State::Codes(&[0; 320]), scale: &[], ..good }, "no scale");
    says(Scan { groups: 3, ..good }, "cannot share");
    says(Scan { states: usize::MAX, ..good }, "too large");
    says(Scan { dt: Port { data: Data::Codes(&[0; 24]), ..good.dt }, ..good }, "softplus");
}
