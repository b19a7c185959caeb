//! Weights of float codes (e2m1, e4m3, e5m2) under wide and narrow scales: kernel = definition, in the same bits on every instruction set.

mod common;

use common::{each_isa, packed_floats, relative, same_bits, Random};
use qc_kernels::*;

struct Case {
    coding: Coding,
    /// 0: wide scales, 1: powers of two, 2: e4m3 under one scale.
    scales: usize,
    rows: usize,
    k: usize,
    n: usize,
    group: usize,
    packed: Packed,
    narrow: Vec<u8>,
    x: Vec<f32>,
}

fn case(seed: u64, coding: Coding, scales: usize, (rows, k, n): (usize, usize, usize), group: usize) -> Case {
    let mut r = Random(seed);
    let bits = coding.bits().unwrap();
    // No code of an infinity or of NaN: e4m3 has them at 127, e5m2 from 124 on.
    let top = match coding { Coding::E2m1 => 16, Coding::E4m3 => 127, _ => 124 };
    let codes: Vec<u8> = (0..n * k).map(|_| r.below(top) as u8 | if bits == 8 { (r.below(2) as u8) << 7 } else { 0 }).collect();
    let groups = k.div_ceil(group);
    let wide: Vec<f32> = (0..n * groups).map(|_| 0.01 + r.float().abs()).collect();
    let packed = Packed::pack(k, n, bits, group, &codes, &wide, &[0]);
    let narrow = packed.scales.iter().map(|s| match (scales, *s == 0.0) { (_, true) => 0, (1, _) => 118 + r.below(16) as u8, _ => r.below(127) as u8 }).collect();
    Case { coding, scales, rows, k, n, group, packed, narrow, x: r.floats(rows * k, 1.0) }
}

impl Case {
    fn weight(&self) -> Weight<'_> {
        let narrow = match self.scales { 0 => None, 1 => Some(NarrowScales::Powers(&self.narrow)), _ => Some(NarrowScales::Floats(&self.narrow, 0.013)) };
        let wide: &[f32] = if self.scales == 0 { &self.packed.scales } else { &[] };
        Weight::floats(self.k, self.n, self.coding, self.group, &self.packed.codes, wide, narrow).unwrap()
    }
    fn run(&self, isa: Isa) -> Vec<f32> {
        let (w, x) = (self.weight(), packed_floats(isa, &self.x, self.k));
        let mut y = vec![f32::NAN; self.rows * self.n];
        let to = Results::new(&mut y);
        for panel in 0..w.panels() {
            float_task(isa, &w, &x, &Finish::default(), &to, &Task { panel, rows: 0..self.rows });
        }
        y
    }
}

#[test]
fn float_codes_are_what_they_stand_for() {
    let mut seed = 0;
    for shape in [(1, 1usize, 1), (1, 1029, 40), (2, 37, 33), (5, 130, 70), (13, 96, 64), (40, 260, 31)] {
        for coding in [Coding::E2m1, Coding::E4m3, Coding::E5m2] {
            for (scales, group) in [(0, 32), (0, shape.1.next_multiple_of(4)), (1, 32), (2, 16)] {
                seed += 1;
                let c = case(seed, coding, scales, shape, group);
                let w = c.weight();
                let mut want = Vec::new();
                for m in 0..c.rows {
                    want.extend((0..c.n).map(|n| (0..c.k).map(|k| f64::from(c.x[m * c.k + k]) * w.value(n, k)).sum::<f64>()));
                }
                let scalar = c.run(Isa::Scalar);
                assert!(relative(&want, &scalar) < 1e-6, "{coding:?} {shape:?} scales {scales} group {group}");
                each_isa(|isa| assert!(same_bits(&c.run(isa), &scalar), "{} {coding:?} {shape:?} scales {scales} group {group}", isa.name()));
            }
        }
    }
}

/// Every code alone, against the definition of the formats: sign, exponent, mantissa.
#[test]
fn every_code_is_its_number() {
    for (coding, exponent, mantissa, bias) in [(Coding::E2m1, 2, 1, 1), (Coding::E4m3, 4, 3, 7), (Coding::E5m2, 5, 2, 15)] {
        let bits = 1 + exponent + mantissa;
        let codes: Vec<u8> = (0..1u32 << bits).map(|c| c as u8).collect();
        let number = |code: u8| {
            let (e, m) = (i32::from(code >> mantissa & ((1 << exponent) - 1)), f64::from(code & ((1 << mantissa) - 1)) / f64::from(1 << mantissa));
            let size = if e == 0 { m * 2f64.powi(1 - bias) } else { (1.0 + m) * 2f64.powi(e - bias) };
            if code >> (bits - 1) == 1 { -size } else { size }
        };
        let packed = Packed::pack(1, codes.len(), bits as usize, 4, &codes, &vec![1.0; codes.len()], &[0]);
        let w = Weight::floats(1, codes.len(), coding, 4, &packed.codes, &packed.scales, None).unwrap();
        each_isa(|isa| {
            let mut y = vec![f32::NAN; codes.len()];
            let to = Results::new(&mut y);
            (0..w.panels()).for_each(|panel| float_task(isa, &w, &[1.0], &Finish::default(), &to, &Task { panel, rows: 0..1 }));
            for (&code, &y) in codes.iter().zip(&y) {
                let special = coding == Coding::E5m2 && code & 0x7f > 0x7b;
                assert!(if special { !y.is_finite() } else { f64::from(y) == number(code) }, "{} {coding:?} {code}: {y}", isa.name());
            }
        });
    }
}
