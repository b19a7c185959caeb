//! Weights to codes, scales and zero points: the fit of a group and its encoding happen while its tile is in cache.

mod bands;
mod codes;
mod known;
mod tile;
mod writer;

use crate::fault::{Fault, Outcome};
use crate::fit::{Law, Target};
use crate::format::Format;
use crate::hash::Pieces;
use crate::isa::Isa;
use crate::layout::{Geometry, Grain, Layout};
use crate::matrix::Matrix;
use crate::scale::ScaleType;
use crate::split::Split;

pub struct Job<'a> {
    pub weight: Matrix<'a>,
    pub target: Target,
    pub grain: Grain,
    pub layout: Layout,
    pub importance: Option<&'a [f32]>,
    /// Scales and zero points from outside, in plain order.
    pub scales: Option<&'a [f32]>,
    pub zeros: Option<&'a [f32]>,
}

/// Zeroed buffers of the sizes that [`Geometry`] gives.
pub struct Output<'a> {
    pub codes: &'a mut [u8],
    pub scales: &'a mut [u8],
    pub zeros: Option<&'a mut [u8]>,
    /// BLAKE3 of the weight's bytes, taken on the way.
    pub digest: Option<&'a mut [u8]>,
}

/// Σ(w − ŵ)², Σw², and the tensor's scale of `nv`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    pub error: f64,
    pub energy: f64,
    pub global: f32,
}

/// Columns of a tile where the scale does not ask for whole rows.
const SEGMENT: usize = 1024;

pub fn quantize(isa: Isa, split: &dyn Split, job: Job, output: Output) -> Outcome<Summary> {
    let run = Run::new(isa, split, job)?;
    run.check_output(&output)?;
    let (rows, cols) = run.geometry.table();
    let mut steps = vec![1.0f32; rows * cols];
    let mut zeros = vec![0.0f32; rows * cols];
    let fitted_early = run.known_scales(&mut steps, &mut zeros)?;
    let pieces = output.digest.is_some().then(|| Pieces::new(run.weight.input().bytes.len()));
    let (error, energy) = run.encode(&mut steps, &mut zeros, fitted_early, output.codes, pieces.as_ref())?;
    if let Some((to, pieces)) = output.digest.zip(pieces) {
        to.copy_from_slice(&pieces.finish(run.weight.input())?);
    }
    let size = run.target.scale.size();
    for row in 0..rows {
        for col in 0..cols {
            let at = run.geometry.scale_place(row, col) * size;
            run.target.scale.write(steps[row * cols + col], &mut output.scales[at..at + size]);
        }
    }
    if let Some(to) = output.zeros {
        run.geometry.write_zeros(&zeros, to);
    }
    Ok(Summary { error, energy, global: if let ScaleType::Nv { global } = run.target.scale { global } else { 1.0 } })
}

struct Run<'a> {
    isa: Isa,
    split: &'a dyn Split,
    weight: Matrix<'a>,
    target: Target,
    geometry: Geometry,
    importance: Option<&'a [f32]>,
    scales: Option<&'a [f32]>,
    zeros: Option<&'a [f32]>,
}

impl<'a> Run<'a> {
    fn new(isa: Isa, split: &'a dyn Split, job: Job<'a>) -> Outcome<Self> {
        let Job { weight, mut target, grain, layout, importance, scales, zeros } = job;
        let (signed, float) = match target.format {
            Format::Int(f) => (f.signed, false),
            Format::Float(_) => (true, true),
        };
        let geometry =
            Geometry { out: weight.out, reduce: weight.reduce, order: weight.order, layout, grain, bits: target.format.bits(), signed, float }.check()?;
        let wrong = |what: &str, got: usize, want: usize| Fault::request(format!("{got} {what} where {want} are needed"));
        if let Some(i) = importance.filter(|i| i.len() != weight.reduce) {
            return Err(wrong("importances", i.len(), weight.reduce));
        }
        for (what, given) in [("scales", scales), ("zero points", zeros)] {
            if let Some(g) = given.filter(|g| g.len() != geometry.scale_count()) {
                return Err(wrong(what, g.len(), geometry.scale_count()));
            }
        }
        if float && !target.symmetric {
            target.symmetric = true;
        }
        if matches!(target.law, Law::Hqq { .. }) && target.symmetric && scales.is_none() {
            return Err(Fault::new("bad-law", "the law hqq refits a zero point: it needs an asymmetric integer format"));
        }
        let mut run = Run { isa, split, weight, target, geometry, importance, scales, zeros };
        if matches!(run.target.scale, ScaleType::Nv { .. }) {
            run.target.scale = ScaleType::Nv { global: run.nv_global()? };
        }
        Ok(run)
    }

    fn check_output(&self, output: &Output) -> Outcome<()> {
        let g = &self.geometry;
        let sizes = [
            ("codes", output.codes.len(), g.code_bytes()),
            ("scales", output.scales.len(), g.scale_count() * self.target.scale.size()),
            ("zeros", output.zeros.as_ref().map_or(g.zero_bytes(), |z| z.len()), g.zero_bytes()),
            ("a digest", output.digest.as_ref().map_or(32, |d| d.len()), 32),
        ];
        match sizes.iter().find(|(_, got, want)| got != want) {
            Some((what, got, want)) => Err(Fault::request(format!("{got} bytes for {what} where {want} are needed"))),
            None => Ok(()),
        }
    }
}
