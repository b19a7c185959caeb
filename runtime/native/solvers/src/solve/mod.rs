//! Integers for a layer y = X·Wᵀ that lower the error of y on calibration inputs, known by H = XᵀX: a sweep that carries each rounding
//! error into the columns that are left, then coordinate descent on the codes and least squares on the scales.

pub mod adaround;
mod cholesky;
mod factors;
mod kernels;
pub mod least_squares;
mod soft;
mod sweep;
mod tile;

pub use factors::Order;

use crate::fault::{Fault, Outcome};
use crate::fit::{Law, Target};
use crate::format::{Format, Int};
use crate::isa::Isa;
use crate::lanes::F8;
use crate::layout::Grain;
use crate::matrix::Matrix;
use crate::split::{Shared, Split};
use factors::Factors;
use sweep::{descend, sweep};
use tile::Tile;

/// A layer whose codes are looked for, and what is known of its inputs.
pub struct Layer<'a> {
    pub weight: Matrix<'a>,
    pub target: Target,
    pub grain: Grain,
    /// XᵀX [reduce, reduce].
    pub hessian: &'a [f64],
    /// XᵀX_float [reduce, reduce]: corrects toward the output of the float inputs.
    pub cross: Option<&'a [f64]>,
    /// Share of the mean diagonal that is added to the Hessian.
    pub damp: f64,
}

/// How the sweep goes over the columns, and what follows it.
pub struct Sweep {
    pub order: Order,
    /// Scales are fitted to the float weights; else (natural order) to the weights as the sweep has moved them.
    pub static_groups: bool,
    pub block: usize,
    /// Rounds of coordinate descent.
    pub descents: usize,
    /// Least-squares scales after the sweep and after each round.
    pub rescale: bool,
}

/// Codes [out, reduce] and zero points [out, groups] a byte each, scales [out, groups].
pub struct Output<'a> {
    pub codes: &'a mut [u8],
    pub scales: &'a mut [u8],
    pub zeros: Option<&'a mut [u8]>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Σ(w − ŵ)² and Σw².
    pub error: f64,
    pub energy: f64,
    /// Σ of the rows' e·(H + λI)·eᵀ.
    pub loss: f64,
    pub damping: f64,
    pub dead: usize,
}

/// Rows of a tile.
const ROWS: usize = 16;
/// Tiles of a task at most.
const COMPANY: usize = 4;

/// Errors: `nan-weight`, `hessian-nan`, `hessian-singular`, `bad-law`, `solve-order`.
pub fn solve(isa: Isa, split: &dyn Split, layer: &Layer, how: &Sweep, output: Output) -> Outcome<Summary> {
    let early = early(layer, how);
    checked(how, early)?;
    let (format, group) = layer.integers(&output)?;
    let Matrix { out, reduce, .. } = layer.weight;
    let refine = how.descents > 0 || how.rescale;
    let factors = Factors::new(isa, split, layer.hessian, layer.cross, reduce, layer.damp, how.order, refine)?;
    let groups = reduce.div_ceil(group);
    let size = layer.target.scale.size();
    let mut sums = vec![[0.0f64; 3]; out];
    {
        let (codes, scales) = (Shared::new(output.codes), Shared::new(output.scales));
        let zeros = output.zeros.map(Shared::new);
        let all = Shared::new(&mut sums);
        let tiles = out.div_ceil(ROWS);
        // Few tiles are spread over the threads one by one; many go in company, since a matrix that is larger than the caches is read once for all.
        let company = (tiles / 16).clamp(1, COMPANY);
        split.run(tiles.div_ceil(company), &|task| {
            let (from, to) = (task * company, tiles.min((task + 1) * company));
            let mut tiles: Vec<Tile> = (from..to).map(|t| started(isa, layer, early, &factors, format, group, t * ROWS)).collect();
            refined(how, early, &mut tiles);
            for (t, tile) in tiles.iter().enumerate() {
                let first = (from + t) * ROWS;
                for (lane, sum) in tile.sums().into_iter().enumerate().take(out - first) {
                    let row = first + lane;
                    // SAFETY: each task writes what belongs to its rows.
                    unsafe {
                        all.at(row, 1)[0] = sum.map(|x| x * layer.weight.square(row));
                        let to = codes.at(row * reduce, reduce);
                        tile.codes(lane).for_each(|(column, code)| to[column] = code);
                        for g in 0..groups {
                            let of = |v: &kernels::Wide| v[lane / 8].0[lane % 8];
                            layer.target.scale.write(of(&tile.step[g]), scales.at((row * groups + g) * size, size));
                            if let Some(zeros) = &zeros {
                                zeros.at(row * groups + g, 1)[0] = of(&tile.zero[g]) as i32 as u8;
                            }
                        }
                    }
                }
            }
        });
    }
    let [loss, error, energy] = sums.iter().fold([0.0; 3], |a, s| [a[0] + s[0], a[1] + s[1], a[2] + s[2]]);
    if !energy.is_finite() {
        return Err(Fault::new("nan-weight", "the weight holds NaN or infinity"));
    }
    Ok(Summary { error, energy, loss, damping: factors.damping, dead: factors.dead })
}

/// The tile of rows from `first` on, with its scales where they come from the float weights.
fn started<'a>(isa: Isa, layer: &'a Layer, early: bool, factors: &'a Factors, format: Int, group: usize, first: usize) -> Tile<'a> {
    let n = layer.weight.reduce;
    let mut rows = vec![F8::splat(0.0); 2 * n];
    layer.weight.gather(first, 2, 0, n, n, &mut rows, n);
    let mut tile = Tile::new(isa, factors, &layer.target, format, group, &rows);
    if early {
        tile.fit_all(&rows);
    }
    tile
}

/// The sweep and what the job asks for after it.
fn refined(how: &Sweep, early: bool, tiles: &mut [Tile]) {
    sweep(tiles, how.block, early);
    for _ in 0..how.descents {
        if how.rescale {
            tiles.iter_mut().for_each(Tile::rescale);
        }
        descend(tiles);
    }
    if how.rescale {
        tiles.iter_mut().for_each(Tile::rescale);
    }
}

/// A row with one scale has it from the float weights in any case.
fn early(layer: &Layer, how: &Sweep) -> bool {
    how.static_groups || !matches!(layer.grain, Grain::Group(_))
}

fn checked(how: &Sweep, early: bool) -> Outcome<()> {
    if !early && how.order == Order::Hessian {
        return Err(Fault::new("solve-order", "columns in the order of the Hessian need static groups: ONNX has no index of groups"));
    }
    if how.block == 0 {
        return Err(Fault::request("solve: a block has a column"));
    }
    Ok(())
}

impl Layer<'_> {
    /// The integer format and the columns of a group, where all sizes are those of the layer. Error: `bad-law`.
    fn integers(&self, output: &Output) -> Outcome<(Int, usize)> {
        let Layer { target, grain, hessian, cross, .. } = self;
        let Matrix { out, reduce, .. } = self.weight;
        let Format::Int(format) = target.format else {
            return Err(Fault::request("solve: integers only"));
        };
        let group = match *grain {
            Grain::Channel => reduce,
            Grain::Group(g) if g > 0 => g.min(reduce),
            _ => return Err(Fault::request("solve: a scale for each channel or group")),
        };
        if matches!(target.law, Law::Hqq { .. }) && target.symmetric {
            return Err(Fault::new("bad-law", "the law hqq refits a zero point: it needs an asymmetric integer format"));
        }
        let square = reduce.checked_mul(reduce);
        let cells = out * reduce.div_ceil(group);
        let fits = format.bits <= 8
            && Some(hessian.len()) == square
            && cross.is_none_or(|c| Some(c.len()) == square)
            && output.codes.len() == out * reduce
            && output.scales.len() == cells * target.scale.size()
            && output.zeros.as_ref().is_none_or(|z| z.len() == cells);
        if fits {
            Ok((format, group))
        } else {
            Err(Fault::request("solve: buffers of other sizes than the layer"))
        }
    }
}

#[cfg(test)]
mod tests;
