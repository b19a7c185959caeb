//! The step with the smallest Σ importance·|w − ŵ|^p on a grid of shrunken ranges. `signed`: negative steps too, which turn
//! the extra negative code of a symmetric format toward positive weights, and the step of the signed_absmax law.
//! Source: Nagel et al., A White Paper on Neural Network Quantization, 2021 (arXiv:2106.08295), §3.1.

use super::minmax::{asymmetric, extent, symmetric, Extent};
use super::signed_absmax::{extreme, lowest};
use super::{power, Fitted, Law, Target, Unit};
use crate::format::{Format, Grid};
use crate::isa::Isa;
use crate::lanes::F8;

/// Float32 sums are folded into float64 ones after this many columns.
const CHUNK: usize = 512;

pub fn fit(isa: Isa, target: &Target, unit: &Unit) -> Fitted {
    let Law::Mse { steps, shrink, p, signed } = target.law else { unreachable!("fit() chose the law") };
    let e = extent(isa, unit.tile, unit.joint);
    let share = |i: usize| 1.0 - i as f32 * (1.0 - shrink) / steps as f32;
    let mut best: Option<(Fitted, [f64; 8])> = None;
    let mut consider = |fitted: Fitted| {
        let error = error(isa, target, unit, fitted, p);
        best = Some(match best.take() {
            None => (fitted, error),
            Some(old) => better(old, (fitted, error)),
        });
    };
    for i in 0..steps {
        let a = F8::splat(share(i));
        match target.format {
            Format::Int(f) if !target.symmetric => consider(asymmetric(target, f, Extent { min: e.min * a, max: e.max * a })),
            Format::Int(f) => {
                let step = e.absmax() * a / F8::splat(target.format.top());
                consider(symmetric(target, step));
                if signed && f.lo < -f.hi {
                    consider(symmetric(target, F8::splat(0.0) - step));
                    if i == 0 {
                        consider(symmetric(target, e.min.zip(e.max, |min, max| extreme(min, max) / lowest(f))));
                    }
                }
            }
            Format::Float(f) => consider(symmetric(target, e.absmax() * a / F8::splat(f.max))),
        }
    }
    best.map_or_else(|| super::minmax::from_extent(target, e), |(fitted, _)| fitted)
}

fn better(old: (Fitted, [f64; 8]), new: (Fitted, [f64; 8])) -> (Fitted, [f64; 8]) {
    let (mut kept, mut error) = old;
    for lane in 0..8 {
        if new.1[lane] < error[lane] {
            error[lane] = new.1[lane];
            kept.step.0[lane] = new.0.step.0[lane];
            kept.zero.0[lane] = new.0.zero.0[lane];
        }
    }
    (kept, error)
}

/// Σ importance·|w − ŵ|^p of each lane (of all lanes together, in lane order, when joint).
pub fn error(isa: Isa, target: &Target, unit: &Unit, fitted: Fitted, p: f32) -> [f64; 8] {
    let sums = match target.format {
        Format::Int(f) => grid_error(isa, target.grid(f, fitted), unit.tile, unit.importance, fitted.step, p),
        Format::Float(f) => grid_error(isa, f, unit.tile, unit.importance, fitted.step, p),
    };
    if unit.joint {
        [sums.iter().sum(); 8]
    } else {
        sums
    }
}

per_isa! {
    fn grid_error<G: Grid>(grid: G, tile: &[F8], importance: Option<&[f32]>, step: F8, p: f32) -> [f64; 8] {
        let inverse = F8::splat(1.0) / step;
        let mut total = [0.0f64; 8];
        for (c, chunk) in tile.chunks(CHUNK).enumerate() {
            let mut sum = F8::splat(0.0);
            match importance {
                None if p == 2.0 => {
                    for &x in chunk {
                        let d = x - grid.snap(x * inverse) * step;
                        sum = sum + d * d;
                    }
                }
                None => {
                    for &x in chunk {
                        let d = x - grid.snap(x * inverse) * step;
                        sum = sum + d.map(|d| power(d.abs(), p));
                    }
                }
                Some(weights) => {
                    for (&x, &w) in chunk.iter().zip(&weights[c * CHUNK..]) {
                        let d = x - grid.snap(x * inverse) * step;
                        let e = if p == 2.0 { d * d } else { d.map(|d| power(d.abs(), p)) };
                        sum = sum + e * F8::splat(w);
                    }
                }
            }
            for lane in 0..8 {
                total[lane] += f64::from(sum.0[lane]);
            }
        }
        total
    }
}
