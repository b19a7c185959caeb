use super::*;
use crate::matrix::{FloatType, Order as Layout};
use crate::products::cross;
use crate::scale::ScaleType;
use crate::split::Sequential;

const INT4: Int = Int { bits: 4, signed: true, lo: -8.0, hi: 7.0 };
const INT2: Int = Int { bits: 2, signed: true, lo: -2.0, hi: 1.0 };

pub(super) fn noise(n: usize, seed: u64) -> Vec<f32> {
    let mut s = seed;
    let mut next = || {
        s = s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (s >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    (0..n).map(|_| next() + next() + next()).collect()
}

/// Inputs whose columns are correlated and of different sizes.
pub(super) fn inputs(rows: usize, n: usize) -> Vec<f32> {
    let raw = noise(rows * n, 7);
    (0..rows * n).map(|i| (raw[i] + 0.8 * raw[i / n * n + (i + 1) % n] + raw[i / n * n]) * (1.0 + (i % n % 5) as f32)).collect()
}

pub(super) fn gram(x: &[f32], n: usize) -> Vec<f64> {
    let mut h = vec![0.0; n * n];
    cross(Isa::detect(), &Sequential, &mut h, x, None, n);
    h
}

struct Case {
    out: usize,
    n: usize,
    w: Vec<f32>,
    format: Int,
    symmetric: bool,
    law: Law,
    grain: Grain,
}

impl Case {
    fn new(out: usize, n: usize, format: Int, grain: Grain) -> Case {
        Case { out, n, w: noise(out * n, 3), format, symmetric: true, law: Law::Minmax, grain }
    }

    fn run(&self, isa: Isa, hessian: &[f64], cross: Option<&[f64]>, change: impl Fn(&mut Sweep, &mut f64)) -> (Vec<u8>, Vec<f32>, Vec<u8>, Summary) {
        let bytes: Vec<u8> = self.w.iter().flat_map(|x| x.to_le_bytes()).collect();
        let weight = Matrix::new(&bytes, FloatType::F32, self.out, self.n, Layout::OutReduce).unwrap();
        let target = Target { format: Format::Int(self.format), symmetric: self.symmetric, law: self.law, scale: ScaleType::F32 };
        let mut how = Sweep { order: Order::Natural, static_groups: true, block: 128, descents: 0, rescale: false };
        let mut damp = 0.01;
        change(&mut how, &mut damp);
        let layer = Layer { weight, target, grain: self.grain, hessian, cross, damp };
        let cells = self.out * if let Grain::Group(g) = self.grain { self.n.div_ceil(g) } else { 1 };
        let (mut codes, mut scales, mut zeros) = (vec![0; self.out * self.n], vec![0; cells * 4], vec![0; cells]);
        let output = Output { codes: &mut codes, scales: &mut scales, zeros: Some(&mut zeros) };
        let summary = solve(isa, &Sequential, &layer, &how, output).unwrap();
        let scales = scales.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        (codes, scales, zeros, summary)
    }

    fn weights(&self, codes: &[u8], scales: &[f32], zeros: &[u8]) -> Vec<f64> {
        let group = if let Grain::Group(g) = self.grain { g } else { self.n };
        let groups = self.n.div_ceil(group);
        let value = |b: u8| if self.format.signed { f64::from(b as i8) } else { f64::from(b) };
        (0..codes.len())
            .map(|i| {
                let cell = i / self.n * groups + i % self.n / group;
                f64::from(scales[cell]) * (value(codes[i]) - value(zeros[cell]))
            })
            .collect()
    }

    /// Σ over rows of (w − v)·H·(w − v)ᵀ.
    fn loss(&self, v: &[f64], h: &[f64]) -> f64 {
        let n = self.n;
        (0..self.out)
            .map(|o| {
                let e: Vec<f64> = (0..n).map(|k| f64::from(self.w[o * n + k]) - v[o * n + k]).collect();
                (0..n * n).map(|at| e[at / n] * h[at] * e[at % n]).sum::<f64>()
            })
            .sum()
    }

    /// Rounding to nearest with the same scales: what a white Hessian gives.
    fn nearest(&self) -> Vec<f64> {
        let mut white = vec![0.0; self.n * self.n];
        (0..self.n).for_each(|i| white[i * self.n + i] = 1.0);
        let (c, s, z, _) = self.run(Isa::detect(), &white, None, |_, _| ());
        self.weights(&c, &s, &z)
    }
}

#[test]
fn a_diagonal_hessian_gives_rounding_to_nearest() {
    let case = Case::new(19, 24, INT4, Grain::Group(8));
    let nearest = case.nearest();
    for (i, &v) in nearest.iter().enumerate() {
        let group = i / 8 * 8;
        let step = case.w[group..group + 8].iter().fold(0.0f32, |a, x| a.max(x.abs())) / 7.0;
        assert_eq!(v, f64::from(step) * f64::from((case.w[i] / step).round_ties_even().clamp(-8.0, 7.0)));
    }
    let mut h = vec![0.0; 24 * 24];
    (0..24).for_each(|i| h[i * 24 + i] = 1.0 + i as f64);
    for order in [Order::Natural, Order::Hessian] {
        let (c, s, z, _) = case.run(Isa::detect(), &h, None, |j, _| j.order = order);
        assert_eq!(case.weights(&c, &s, &z), nearest);
    }
}

#[test]
fn the_loss_falls_with_every_step() {
    let n = 96;
    let h = gram(&inputs(300, n), n);
    for (grain, symmetric) in [(Grain::Group(32), true), (Grain::Group(32), false), (Grain::Channel, true), (Grain::Channel, false)] {
        let mut case = Case::new(21, n, INT4, grain);
        case.symmetric = symmetric;
        case.law = Law::Mse { steps: 12, shrink: 0.76, p: 2.4, signed: symmetric };
        let loss = |change: &dyn Fn(&mut Sweep, &mut f64)| {
            let (c, s, z, summary) = case.run(Isa::detect(), &h, None, change);
            let loss = case.loss(&case.weights(&c, &s, &z), &h);
            let damped = loss + summary.damping * summary.error;
            assert!((summary.loss / damped - 1.0).abs() < 1e-3, "{} {damped}", summary.loss);
            loss
        };
        let nearest = case.loss(&case.nearest(), &h);
        let ordered = loss(&|j, _| j.order = Order::Hessian);
        let descended = loss(&|j, _| (j.order, j.descents) = (Order::Hessian, 2));
        let rescaled = loss(&|j, _| (j.order, j.descents, j.rescale) = (Order::Hessian, 2, true));
        assert!(ordered < 0.8 * nearest && descended < ordered && rescaled < descended, "{nearest} {ordered} {descended} {rescaled}");
        assert!(loss(&|_, _| ()) < 0.8 * nearest);
        assert!(loss(&|j, _| j.static_groups = false) < 0.8 * nearest);
    }
}

#[test]
fn blocks_and_instruction_sets_do_not_change_a_bit() {
    let n = 70;
    let x = inputs(200, n);
    let (h, c) = (gram(&x, n), gram(&x.iter().map(|v| v * 1.01).collect::<Vec<_>>(), n));
    let mut case = Case::new(18, n, INT4, Grain::Group(35));
    case.symmetric = false;
    let run = |isa, block| case.run(isa, &h, Some(&c), |j, _| (j.block, j.descents, j.rescale, j.order) = (block, 1, true, Order::Hessian));
    let one = run(Isa::Scalar, 128);
    assert!(one == run(Isa::detect(), 7) && one == run(Isa::detect(), 1));
}

#[test]
fn descent_ends_where_no_single_code_is_better() {
    let n = 12;
    let h = gram(&inputs(60, n), n);
    let case = Case::new(5, n, INT2, Grain::Channel);
    let (codes, s, z, summary) = case.run(Isa::detect(), &h, None, |j, _| j.descents = 20);
    let damped: Vec<f64> = h.iter().enumerate().map(|(at, x)| x + if at / n == at % n { summary.damping } else { 0.0 }).collect();
    let best = case.loss(&case.weights(&codes, &s, &z), &damped);
    for i in 0..codes.len() {
        for other in -2..=1i8 {
            let mut c = codes.clone();
            c[i] = other as u8;
            assert!(case.loss(&case.weights(&c, &s, &z), &damped) >= best * (1.0 - 1e-5));
        }
    }
}

#[test]
fn sweep_and_descent_come_near_the_best_of_all_codes() {
    let n = 6;
    let h = gram(&inputs(40, n), n);
    let case = Case::new(1, n, INT2, Grain::Channel);
    let (codes, s, z, summary) = case.run(Isa::detect(), &h, None, |j, damp| (j.descents, j.order, *damp) = (10, Order::Hessian, 1e-9));
    let found = case.loss(&case.weights(&codes, &s, &z), &h);
    let all = (0..4usize.pow(n as u32)).map(|k| {
        let c: Vec<u8> = (0..n).map(|i| ((k >> (2 * i) & 3) as i8 - 2) as u8).collect();
        case.loss(&case.weights(&c, &s, &z), &h)
    });
    let best = all.fold(f64::INFINITY, f64::min);
    assert!(found <= 1.25 * best && found >= best * (1.0 - 1e-5) && summary.dead == 0, "{found} {best}");
}

#[test]
fn the_float_target_is_met() {
    // Quantized inputs that are the float ones times 1.25: weights 0.8 times as large give the same output.
    let n = 16;
    let x = inputs(100, n);
    let quantized: Vec<f32> = x.iter().map(|v| 1.25 * v).collect();
    let h = gram(&quantized, n);
    let mut c = vec![0.0; n * n];
    cross(Isa::detect(), &Sequential, &mut c, &quantized, Some(&x), n);
    let int8 = Int { bits: 8, signed: true, lo: -128.0, hi: 127.0 };
    let case = Case::new(4, n, int8, Grain::Channel);
    let (codes, s, z, _) = case.run(Isa::detect(), &h, Some(&c), |j, damp| (*damp, j.descents, j.rescale) = (1e-6, 3, true));
    let v = case.weights(&codes, &s, &z);
    let target = Case { w: case.w.iter().map(|w| 0.8 * w).collect(), ..case };
    let plain = target.loss(&target.w.iter().map(|&w| f64::from(w) * 1.25).collect::<Vec<_>>(), &h);
    assert!(target.loss(&v, &h) < 0.01 * plain);
}
