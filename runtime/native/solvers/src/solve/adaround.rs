//! AdaRound on the Hessian of a layer: each weight goes down or up, as a soft choice that the exact gradient of the layer's quadratic moves and
//! a regulariser makes hard. Source: Nagel et al., Up or Down?, ICML 2020 (arXiv:2004.10568).
//!
//! ŵ = s·(⌊w/s⌋ + h(v)), h(v) = clip(1.2·σ(v) − .1, 0, 1); loss (w − ŵ)·H·(w − ŵ)ᵀ + λ Σ (1 − |2h − 1|^β), β from 20 to 2. It begins at h = the
//! fraction of w/s, which rounds to nearest; a row that ends worse than rounding to nearest keeps that.

use super::soft::Tile;
use super::{Layer, Output, ROWS};
use crate::fault::{Fault, Outcome};
use crate::format::Grid;
use crate::isa::Isa;
use crate::lanes::F8;
use crate::matrix::Matrix;
use crate::split::{Shared, Split};

pub struct Descent {
    pub iterations: usize,
    /// Step of Adam.
    pub rate: f32,
    /// λ, against a loss in units of squared steps times the mean diagonal of H.
    pub regular: f32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    pub error: f64,
    pub energy: f64,
    /// The layer's loss, and that of rounding to nearest with the same scales.
    pub loss: f64,
    pub nearest: f64,
    /// Rows that stayed rounded to nearest.
    pub kept: usize,
}

/// Errors: `nan-weight`, `hessian-nan`, those of `integers`.
pub fn adaround(isa: Isa, split: &dyn Split, layer: &Layer, how: &Descent, output: Output) -> Outcome<Summary> {
    let (format, group) = layer.integers(&output)?;
    let Matrix { out, reduce: n, .. } = layer.weight;
    if layer.hessian.iter().chain(layer.cross.unwrap_or(&[])).any(|x| !x.is_finite()) {
        return Err(Fault::new("hessian-nan", "the Hessian of the layer holds NaN or infinity"));
    }
    let mean = (0..n).map(|i| layer.hessian[i * n + i]).sum::<f64>() / n as f64;
    let mean = if mean > 0.0 { mean } else { 1.0 };
    let diagonal = |at: usize| if at / n == at % n { layer.damp * mean } else { 0.0 };
    let h: Vec<f32> = layer.hessian.iter().enumerate().map(|(at, x)| ((x + diagonal(at)) / mean) as f32).collect();
    let shift: Option<Vec<f32>> = layer.cross.map(|c| c.iter().zip(layer.hessian).map(|(c, h)| ((c - h) / mean) as f32).collect());
    let groups = n.div_ceil(group);
    let size = layer.target.scale.size();
    let mut sums = vec![[0.0f64; 5]; out];
    {
        let (codes, scales) = (Shared::new(output.codes), Shared::new(output.scales));
        let zeros = output.zeros.map(Shared::new);
        let all = Shared::new(&mut sums);
        split.run(out.div_ceil(ROWS), &|task| {
            let first = task * ROWS;
            let mut rows = vec![F8::splat(0.0); 2 * n];
            layer.weight.gather(first, 2, 0, n, n, &mut rows, n);
            let tile = Tile::new(isa, layer, how, format, group, &rows, &h, shift.as_deref());
            let (code, lost) = tile.solve();
            for lane in 0..ROWS.min(out - first) {
                let row = first + lane;
                // SAFETY: each task writes what belongs to its rows.
                unsafe {
                    all.at(row, 1)[0] = lost[lane].map(|x| x * layer.weight.square(row));
                    for (i, to) in codes.at(row * n, n).iter_mut().enumerate() {
                        let (half, lane) = (lane / 8, lane % 8);
                        let zero = tile.fitted[i / group][half].zero;
                        *to = layer.target.grid(format, tile.fitted[i / group][half]).code(code[i][half].0[lane], zero.0[lane]) as u8;
                    }
                    for g in 0..groups {
                        let of = tile.fitted[g][lane / 8];
                        layer.target.scale.write(of.step.0[lane % 8], scales.at((row * groups + g) * size, size));
                        if let Some(zeros) = &zeros {
                            zeros.at(row * groups + g, 1)[0] = of.zero.0[lane % 8] as i32 as u8;
                        }
                    }
                }
            }
        });
    }
    let [loss, nearest, error, energy, kept] = sums.iter().fold([0.0; 5], |a, s| std::array::from_fn(|i| a[i] + s[i]));
    if !energy.is_finite() {
        return Err(Fault::new("nan-weight", "the weight holds NaN or infinity"));
    }
    let kept = if energy > 0.0 { kept.round() as usize } else { out };
    Ok(Summary { error, energy, loss: loss * mean, nearest: nearest * mean, kept })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::{Law, Target};
    use crate::format::{Format, Int};
    use crate::layout::Grain;
    use crate::matrix::{FloatType, Order};
    use crate::scale::ScaleType;
    use crate::solve::tests::{gram, inputs, noise};
    use crate::split::Sequential;

    fn run(isa: Isa, hessian: &[f64], cross: Option<&[f64]>, symmetric: bool) -> (Vec<u8>, Vec<u8>, Summary) {
        let (out, n) = (19, 48);
        let bytes: Vec<u8> = noise(out * n, 3).iter().flat_map(|x| x.to_le_bytes()).collect();
        let weight = Matrix::new(&bytes, FloatType::F32, out, n, Order::OutReduce).unwrap();
        let format = Int { bits: 4, signed: true, lo: -8.0, hi: 7.0 };
        let target = Target { format: Format::Int(format), symmetric, law: Law::Minmax, scale: ScaleType::F32 };
        let layer = Layer { weight, target, grain: Grain::Group(16), hessian, cross, damp: 0.01 };
        let how = Descent { iterations: 300, rate: 0.02, regular: 0.1 };
        let (mut codes, mut scales, mut zeros) = (vec![0; out * n], vec![0; out * 12], vec![0; out * 3]);
        let s = adaround(isa, &Sequential, &layer, &how, Output { codes: &mut codes, scales: &mut scales, zeros: Some(&mut zeros) }).unwrap();
        (codes, scales, s)
    }

    #[test]
    fn better_than_nearest_where_columns_are_correlated_and_nearest_where_not() {
        let n = 48;
        let h = gram(&inputs(300, n), n);
        for symmetric in [true, false] {
            let (_, _, s) = run(Isa::detect(), &h, None, symmetric);
            assert!(s.loss < 0.6 * s.nearest, "{s:?}");
        }
        let mut white = vec![0.0; n * n];
        (0..n).for_each(|i| white[i * n + i] = 1.0);
        let (_, _, s) = run(Isa::detect(), &white, None, true);
        assert!(s.loss == s.nearest, "{s:?}");
    }

    #[test]
    fn every_instruction_set_gives_the_same_codes() {
        let n = 48;
        let x = inputs(200, n);
        let h = gram(&x, n);
        let c = gram(&x.iter().map(|v| v * 1.02).collect::<Vec<_>>(), n);
        assert!(run(Isa::Scalar, &h, Some(&c), false) == run(Isa::detect(), &h, Some(&c), false));
    }
}
