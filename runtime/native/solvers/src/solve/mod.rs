//! Integers for a layer y = X·Wᵀ that lower the error of y on calibration inputs, known by H = XᵀX: a sweep that carries each rounding
//! error into the columns that are left, then coordinate descent on the codes and least squares on the scales.

pub mod adaround;
mod cholesky;
mod factors;
mod kernels;
pub mod least_squares;
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

pub struct Job<'a> {
    pub weight: Matrix<'a>,
    pub target: Target,
    pub grain: Grain,
    /// XᵀX [reduce, reduce].
    pub hessian: &'a [f64],
    /// XᵀX_float [reduce, reduce]: corrects toward the output of the float inputs.
    pub cross: Option<&'a [f64]>,
    pub damp: f64,
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
pub fn solve(isa: Isa, split: &dyn Split, job: &Job, output: Output) -> Outcome<Summary> {
    let (format, group) = checked(job, &output)?;
    let Matrix { out, reduce, .. } = job.weight;
    let refine = job.descents > 0 || job.rescale;
    let factors = Factors::new(isa, split, job.hessian, job.cross, reduce, job.damp, job.order, refine)?;
    let groups = reduce.div_ceil(group);
    let size = job.target.scale.size();
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
            let mut tiles: Vec<Tile> = (from..to).map(|t| started(isa, job, &factors, format, group, t * ROWS)).collect();
            refined(job, &mut tiles);
            for (t, tile) in tiles.iter().enumerate() {
                let first = (from + t) * ROWS;
                for (lane, sum) in tile.sums().into_iter().enumerate().take(out - first) {
                    let row = first + lane;
                    // SAFETY: each task writes what belongs to its rows.
                    unsafe {
                        all.at(row, 1)[0] = sum.map(|x| x * job.weight.square(row));
                        let to = codes.at(row * reduce, reduce);
                        tile.codes(lane).for_each(|(column, code)| to[column] = code);
                        for g in 0..groups {
                            let of = |v: &kernels::Wide| v[lane / 8].0[lane % 8];
                            job.target.scale.write(of(&tile.step[g]), scales.at((row * groups + g) * size, size));
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
fn started<'a>(isa: Isa, job: &'a Job, factors: &'a Factors, format: Int, group: usize, first: usize) -> Tile<'a> {
    let n = job.weight.reduce;
    let mut rows = vec![F8::splat(0.0); 2 * n];
    job.weight.gather(first, 2, 0, n, n, &mut rows, n);
    let mut tile = Tile::new(isa, factors, &job.target, format, group, &rows);
    if early(job) {
        tile.fit_all(&rows);
    }
    tile
}

/// The sweep and what the job asks for after it.
fn refined(job: &Job, tiles: &mut [Tile]) {
    sweep(tiles, job.block, early(job));
    for _ in 0..job.descents {
        if job.rescale {
            tiles.iter_mut().for_each(Tile::rescale);
        }
        descend(tiles);
    }
    if job.rescale {
        tiles.iter_mut().for_each(Tile::rescale);
    }
}

/// A row with one scale has it from the float weights in any case.
fn early(job: &Job) -> bool {
    job.static_groups || !matches!(job.grain, Grain::Group(_))
}

fn checked(job: &Job, output: &Output) -> Outcome<(Int, usize)> {
    if !early(job) && job.order == Order::Hessian {
        return Err(Fault::new("solve-order", "columns in the order of the Hessian need static groups: ONNX has no index of groups"));
    }
    if job.block == 0 {
        return Err(Fault::request("solve: a block has a column"));
    }
    integers(&job.weight, &job.target, job.grain, job.hessian, job.cross, output)
}

/// The integer format and the columns of a group, where all sizes are those of the layer. Error: `bad-law`.
fn integers(weight: &Matrix, target: &Target, grain: Grain, hessian: &[f64], cross: Option<&[f64]>, output: &Output) -> Outcome<(Int, usize)> {
    let Matrix { out, reduce, .. } = *weight;
    let Format::Int(format) = target.format else {
        return Err(Fault::request("solve: integers only"));
    };
    let group = match grain {
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

#[cfg(test)]
mod tests;
