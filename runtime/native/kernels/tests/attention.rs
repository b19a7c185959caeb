//! Attention over a cache against float64, equal bits on every instruction set.

mod common;

use common::{each_isa, relative, same_bits, Random};
use qc_kernels::*;

struct Case {
    sizes: [usize; 6],
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    past_k: Vec<f32>,
    past_v: Vec<f32>,
    cos: Vec<f32>,
    sin: Vec<f32>,
    bias: Vec<f32>,
    bias_steps: [usize; 4],
}

#[derive(Clone, Copy, PartialEq)]
enum Mask {
    None,
    Causal(f32),
    /// The first position of the first sequence sees nothing.
    Nothing,
}

fn case(seed: u64, sizes: [usize; 6], rope: bool, mask: Mask) -> Case {
    let [batch, heads, kv, d, past, new] = sizes;
    let mut r = Random(seed);
    let total = past + new;
    let angles = r.floats(if rope { new * d } else { 0 }, 3.0);
    let bias = match mask {
        Mask::None => vec![],
        _ => (0..batch * new * total)
            .map(|i| {
                let (b, position, key) = (i / (new * total), i / total % new, i % total);
                match mask {
                    Mask::Nothing if b == 0 && position == 0 => f32::NEG_INFINITY,
                    Mask::Causal(low) if key > past + position || (b == 1 && key == 0) => low,
                    _ => 0.25 * (key % 3) as f32,
                }
            })
            .collect(),
    };
    Case {
        sizes,
        q: r.floats(batch * new * heads * d, 2.0),
        k: r.floats(batch * new * kv * d, 2.0),
        v: r.floats(batch * new * kv * d, 2.0),
        past_k: r.floats(batch * kv * past * d, 2.0),
        past_v: r.floats(batch * kv * past * d, 2.0),
        cos: angles.iter().map(|a| a.cos()).collect(),
        sin: angles.iter().map(|a| a.sin()).collect(),
        bias,
        bias_steps: [new * total, 0, total, 1],
    }
}

impl Case {
    fn attention(&self) -> Attention<'_> {
        let [batch, heads, kv_heads, dim, past, new] = self.sizes;
        let Case { q, k, v, cos, sin, bias, bias_steps, .. } = self;
        Attention { batch, heads, kv_heads, dim, past, new, scale: 0.3, q, k, v, cos, sin, bias, bias_steps: *bias_steps }
    }
    /// y, keys, values.
    fn run(&self, isa: Isa) -> [Vec<f32>; 3] {
        let a = self.attention();
        let (mut keys, mut values, mut y) = (vec![f32::NAN; a.cache()], vec![f32::NAN; a.cache()], vec![f32::NAN; a.q.len()]);
        let len = a.total() * a.dim;
        let out = Output::new(&mut y);
        for (i, (keys, values)) in keys.chunks_mut(len).zip(values.chunks_mut(len)).enumerate() {
            let (b, head) = (i / a.kv_heads, i % a.kv_heads);
            let past = a.past * a.dim;
            let old = i * past..(i + 1) * past;
            keys[..past].copy_from_slice(&self.past_k[old.clone()]);
            values[..past].copy_from_slice(&self.past_v[old]);
            append(isa, &a, b, head, &mut keys[past..], &mut values[past..]);
            let all = a.queries();
            for rows in [0..all.rows() / 3, all.rows() / 3..all.rows()] {
                attend(isa, &all, b, head, rows, Columns::whole(keys, a.dim), Columns::whole(values, a.dim), &out);
            }
        }
        [y, keys, values]
    }
    fn reference(&self) -> Vec<f64> {
        let a = self.attention();
        let [_, keys, values] = self.run(Isa::Scalar).map(|x| x.into_iter().map(f64::from).collect::<Vec<_>>());
        let (d, total) = (a.dim, a.total());
        let mut y = vec![];
        for b in 0..a.batch {
            for position in 0..a.new {
                for h in 0..a.heads {
                    let from = ((b * a.new + position) * a.heads + h) * d;
                    let x: Vec<f64> = a.q[from..from + d].iter().map(|&v| f64::from(v)).collect();
                    let q: Vec<f64> = (0..d)
                        .map(|i| {
                            if a.cos.is_empty() {
                                return x[i];
                            }
                            let turned = if i < d / 2 { -x[i + d / 2] } else { x[i - d / 2] };
                            let at = position * d + i;
                            x[i] * f64::from(a.cos[at]) + turned * f64::from(a.sin[at])
                        })
                        .collect();
                    let cache = (b * a.kv_heads + h / (a.heads / a.kv_heads)) * total * d;
                    let scores: Vec<f64> = (0..total)
                        .map(|j| {
                            let dot: f64 = (0..d).map(|i| q[i] * keys[cache + j * d + i]).sum();
                            let bias = if a.bias.is_empty() { 0.0 } else { f64::from(a.bias[(b * a.new + position) * total + j]) };
                            dot * f64::from(a.scale) + bias
                        })
                        .collect();
                    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let weights: Vec<f64> = scores.iter().map(|s| if most == f64::NEG_INFINITY { 0.0 } else { (s - most).exp() }).collect();
                    let sum: f64 = weights.iter().sum::<f64>().max(1e-300);
                    y.extend((0..d).map(|i| (0..total).map(|j| weights[j] / sum * values[cache + j * d + i]).sum::<f64>()));
                }
            }
        }
        y
    }
}

#[test]
fn attention_is_its_formula() {
    let shapes = [
        [1, 1, 1, 2, 0, 1],
        [1, 4, 2, 32, 5, 1],
        [2, 6, 3, 64, 0, 7],
        [2, 4, 1, 40, 33, 9],
        [1, 8, 2, 64, 40, 30],
        [1, 2, 2, 7, 3, 4],
    ];
    for (i, sizes) in shapes.into_iter().enumerate() {
        for mask in [Mask::None, Mask::Causal(-1e30), Mask::Causal(f32::NEG_INFINITY), Mask::Nothing] {
            let rope = sizes[3] % 2 == 0 && i % 2 == 1;
            let c = case(i as u64, sizes, rope, mask);
            let want = c.reference();
            let scalar = c.run(Isa::Scalar);
            each_isa(|isa| {
                let got = c.run(isa);
                let error = relative(&want, &got[0]);
                assert!(error < 1e-6 || want.iter().all(|&v| v == 0.0) && got[0].iter().all(|&v| v == 0.0), "{} {sizes:?}: {error}", isa.name());
                for (a, b) in got.iter().zip(&scalar) {
                    assert!(same_bits(a, b), "{} {sizes:?}", isa.name());
                }
            });
        }
    }
}

#[test]
fn a_key_that_all_rows_mask_by_a_finite_number_counts_like_the_others() {
    // Padding rows of exported models: every bias is the same large negative number.
    let mut c = case(1, [1, 2, 1, 8, 0, 5], false, Mask::None);
    c.bias = vec![-1e30; 25];
    c.bias_steps = [25, 0, 5, 1];
    let [y, ..] = c.run(Isa::detect());
    let mean: f32 = (0..5).map(|j| c.v[j * 8]).sum::<f32>() / 5.0;
    assert!((y[0] - mean).abs() < 1e-6);
}

#[test]
fn the_cache_keeps_the_past_and_turns_new_keys() {
    let c = case(3, [1, 2, 1, 4, 2, 1], true, Mask::None);
    let [_, keys, values] = c.run(Isa::detect());
    assert_eq!((&keys[..8], &values[..8], &values[8..]), (&c.past_k[..], &c.past_v[..], &c.v[..]));
    assert_eq!(keys[8], c.k[0] * c.cos[0] + -c.k[2] * c.sin[0]);
    assert_eq!(keys[11], c.k[3] * c.cos[3] + c.k[1] * c.sin[3]);
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let c = case(1, [1, 4, 2, 8, 3, 2], true, Mask::Causal(-1e30));
    let good = c.attention();
    assert_eq!(good.check(), Ok(()));
    let says = |a: Attention, what: &str| assert!(a.check().unwrap_err().contains(what), "{what}: {:?}", a.check());
    says(Attention { q: &c.q[1..], ..good }, "q has 63 elements");
    says(Attention { k: &[], ..good }, "k has 0 elements");
    says(Attention { heads: 5, ..good }, "cannot share");
    says(Attention { heads: 0, ..good }, "cannot share");
    says(Attention { sin: &c.sin[1..], ..good }, "sin has");
    says(Attention { bias: &c.bias[1..], ..good }, "bias has 9 elements");
    says(Attention { new: usize::MAX, ..good }, "too large");
    says(Attention { batch: usize::MAX / 2, ..good }, "too large");
}
