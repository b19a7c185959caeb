//! Attention without a cache against float64: parts of wider rows, more keys than a block, other keys than queries; equal bits on every instruction set.

mod common;

use common::{each_isa, relative, same_bits, Random};
use qc_kernels::*;

/// batch, heads, key heads, dim, queries, keys.
type Sizes = [usize; 6];

struct Case {
    sizes: Sizes,
    /// q, k and v side by side in rows of `width`, for as many rows as the longer one has.
    packed: Vec<f32>,
    width: usize,
    at: [usize; 3],
    bias: Vec<f32>,
}

fn case(seed: u64, sizes: Sizes, bias: &[f32]) -> Case {
    let [batch, heads, kv, d, new, total] = sizes;
    let at = [1, 1 + heads * d, 3 + heads * d + kv * d];
    let width = at[2] + kv * d + 2;
    Case { sizes, packed: Random(seed).floats(batch * new.max(total) * width, 2.0), width, at, bias: bias.to_vec() }
}

impl Case {
    fn parts(&self) -> (Queries<'_>, [Columns<'_>; 2]) {
        let [batch, heads, kv_heads, dim, new, total] = self.sizes;
        let columns = |i: usize| Columns { data: &self.packed, step: self.width, at: self.at[i] };
        // Sequences lie behind one another with as many rows as each has: q and k are read from one tensor only where they are as long.
        let bias_steps = if self.bias.len() == total { [0, 0, 0, 1] } else { [0, 0, total, 1] };
        (Queries { batch, heads, kv_heads, dim, new, total, scale: 0.2, q: columns(0), cos: &[], sin: &[], bias: &self.bias, bias_steps }, [columns(1), columns(2)])
    }
    fn run(&self, isa: Isa, size: usize) -> Vec<f32> {
        let (q, kv) = self.parts();
        let mut y = vec![f32::NAN; q.batch * q.new * q.heads * q.dim];
        let out = Output::new(&mut y);
        for i in 0..q.batch * q.kv_heads {
            let (b, head) = (i / q.kv_heads, i % q.kv_heads);
            let [keys, values] = kv.map(|x| x.from(b * q.total * x.step + head * q.dim));
            for first in (0..q.rows()).step_by(size) {
                attend(isa, &q, b, head, first..q.rows().min(first + size), keys, values, &out);
            }
        }
        y
    }
    fn reference(&self) -> Vec<f64> {
        let (q, [k, v]) = self.parts();
        let at = |x: &Columns, row: usize, c: usize| f64::from(x.data[x.at + row * x.step + c]);
        let mut y = vec![];
        for (b, position, h) in (0..q.batch * q.new * q.heads).map(|i| (i / (q.new * q.heads), i / q.heads % q.new, i % q.heads)) {
            let kv = h / (q.heads / q.kv_heads);
            let scores: Vec<f64> = (0..q.total)
                .map(|j| {
                    let dot: f64 = (0..q.dim).map(|c| at(&q.q, b * q.new + position, h * q.dim + c) * at(&k, b * q.total + j, kv * q.dim + c)).sum();
                    let bias = if q.bias.is_empty() { 0.0 } else { f64::from(q.bias[position * q.bias_steps[2] + j]) };
                    dot * f64::from(q.scale) + bias
                })
                .collect();
            let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|s| if most == f64::NEG_INFINITY { 0.0 } else { (s - most).exp() }).collect();
            let sum = weights.iter().sum::<f64>().max(1e-300);
            y.extend((0..q.dim).map(|c| (0..q.total).map(|j| weights[j] / sum * at(&v, b * q.total + j, kv * q.dim + c)).sum::<f64>()));
        }
        y
    }
}

#[test]
fn attention_is_its_formula() {
    let shapes: [Sizes; 7] = [[1, 1, 1, 1, 1, 1], [2, 4, 4, 32, 65, 65], [1, 6, 2, 40, 7, 7], [1, 2, 1, 64, 3, 515], [1, 1, 1, 8, 2, 1100], [2, 3, 3, 17, 5, 2], [1, 2, 2, 32, 30, 513]];
    for (i, sizes) in shapes.into_iter().enumerate() {
        let [.., new, total] = sizes;
        let padding: Vec<f32> = (0..total).map(|j| if total > 3 && j >= total - total / 3 { -1e30 } else { 0.1 * (j % 5) as f32 }).collect();
        // The first keys of the first query, and all of the last one, are out of sight.
        let rows: Vec<f32> = (0..new * total).map(|j| if j / total + 1 == new || (j < total && j < 600 && j + 1 < total) { f32::NEG_INFINITY } else { 0.0 }).collect();
        for bias in [&[][..], &padding, &rows] {
            let c = case(i as u64, sizes, bias);
            let want = c.reference();
            let scalar = c.run(Isa::Scalar, 96);
            each_isa(|isa| {
                let got = c.run(isa, 5);
                let error = relative(&want, &got);
                assert!(error < 1e-6 || want.iter().all(|&v| v == 0.0) && got.iter().all(|&v| v == 0.0), "{} {sizes:?}: {error}", isa.name());
                assert!(same_bits(&got, &scalar), "{} {sizes:?}", isa.name());
            });
        }
    }
}

#[test]
fn extremes_stay_in_their_rows() {
    let mut c = case(9, [1, 1, 1, 4, 3, 600], &[]);
    c.packed[c.at[0]] = f32::NAN;
    c.packed[c.width + c.at[0]] = 1e30;
    let y = c.run(Isa::detect(), 96);
    assert!(y[..4].iter().all(|v| v.is_nan()), "{y:?}");
    // A score far above all others: its value alone.
    let (k, v) = (c.at[1], c.at[2]);
    let best = (0..600).max_by(|&i, &j| c.packed[i * c.width + k].total_cmp(&c.packed[j * c.width + k])).unwrap();
    for (y, want) in y[4..8].iter().zip(&c.packed[best * c.width + v..]) {
        assert!((y - want).abs() < 1e-6, "{y} {want}");
    }
    assert!(y[8..].iter().all(|v| v.is_finite()));
}

#[test]
fn columns_that_are_not_there_are_refused() {
    let c = case(1, [1, 2, 1, 4, 3, 3], &[]);
    let (q, _) = c.parts();
    assert_eq!(q.check(), Ok(()));
    let beyond = Queries { q: q.q.from(c.packed.len()), ..q };
    assert!(beyond.check().unwrap_err().contains("q has"), "{:?}", beyond.check());
    assert!(!Columns { data: &c.packed, step: usize::MAX, at: 0 }.holds(3, 1));
}
