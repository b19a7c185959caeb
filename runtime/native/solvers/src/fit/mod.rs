//! Scale laws: from eight groups of weights (one in each lane) to eight steps and zero points.

mod entropy;
mod hqq;
mod minmax;
mod mse;
mod percentile;
mod power;
mod signed_absmax;

pub use minmax::{extent, Extent};
pub use power::{exp2, log2, power};

use crate::format::{Format, Int, IntGrid};
use crate::isa::Isa;
use crate::lanes::F8;
use crate::scale::ScaleType;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Law {
    Minmax,
    SignedAbsmax,
    /// Share of values inside the range, in percent.
    Percentile { p: f64 },
    Mse { steps: usize, shrink: f32, p: f32, signed: bool },
    Entropy { bins: usize },
    Hqq { p: f32, beta: f32, kappa: f32, iterations: usize },
    /// minmax of a share of the range.
    Share { ratio: f32 },
}

/// What scales are chosen for.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub format: Format,
    pub symmetric: bool,
    pub law: Law,
    pub scale: ScaleType,
}

impl Target {
    /// The integers that a group may take, relative to its zero point. Under integer steps their products stay within int8: (q − z)·s in −128 … 127.
    pub fn grid(&self, f: Int, fitted: Fitted) -> IntGrid {
        let mut grid = IntGrid::new(f, fitted.zero);
        if self.scale == ScaleType::Int8 {
            let turned = |s: f32| s < 0.0;
            let down = fitted.step.map(|s| (if turned(s) { 127.0 } else { 128.0 } / s.abs()).floor());
            let up = fitted.step.map(|s| (if turned(s) { 128.0 } else { 127.0 } / s.abs()).floor());
            grid.lo = grid.lo.max(F8::splat(0.0) - down);
            grid.hi = grid.hi.min(up);
        }
        grid
    }
}

/// Weights of eight groups, or of one group dealt to the eight lanes (`joint`), where padding is zero.
pub struct Unit<'a> {
    pub tile: &'a [F8],
    /// One weight for each column of the tile.
    pub importance: Option<&'a [f32]>,
    pub joint: bool,
    /// Real values of a group (without padding).
    pub count: usize,
}

#[derive(Debug, Clone, Copy)]
pub struct Fitted {
    pub step: F8,
    pub zero: F8,
}

/// Steps (already rounded to their type, never zero) and zero points (codes of the format).
pub fn fit(isa: Isa, target: &Target, unit: &Unit) -> Fitted {
    match target.law {
        Law::Minmax => minmax::from_extent(target, extent(isa, unit.tile, unit.joint)),
        Law::SignedAbsmax => signed_absmax::from_extent(target, extent(isa, unit.tile, unit.joint)),
        Law::Percentile { p } => percentile::fit(target, unit, p),
        Law::Mse { .. } => mse::fit(isa, target, unit),
        Law::Entropy { bins } => entropy::fit(target, unit, bins),
        Law::Hqq { .. } => hqq::fit(isa, target, unit),
        Law::Share { ratio } => minmax::from_extent(target, extent(isa, unit.tile, unit.joint).shrunk(ratio)),
    }
}

/// Steps and zero points of laws that need only the extremes.
pub fn from_extent(target: &Target, extent: Extent) -> Option<Fitted> {
    match target.law {
        Law::Minmax => Some(minmax::from_extent(target, extent)),
        Law::SignedAbsmax => Some(signed_absmax::from_extent(target, extent)),
        Law::Share { ratio } => Some(minmax::from_extent(target, extent.shrunk(ratio))),
        _ => None,
    }
}

/// Calls `f` with the values of each group: eight times, or once for a joint unit (whose fit then fills all lanes).
fn each_group(unit: &Unit, values: &mut Vec<f32>, mut f: impl FnMut(&mut Vec<f32>) -> (f32, f32)) -> (F8, F8) {
    let (mut a, mut b) = (F8::splat(0.0), F8::splat(0.0));
    for lane in 0..8 {
        values.clear();
        if unit.joint {
            values.extend(unit.tile.iter().flat_map(|t| t.0));
        } else {
            values.extend(unit.tile.iter().map(|t| t.0[lane]));
        }
        let (x, y) = f(values);
        if unit.joint {
            return (F8::splat(x), F8::splat(y));
        }
        (a.0[lane], b.0[lane]) = (x, y);
    }
    (a, b)
}
