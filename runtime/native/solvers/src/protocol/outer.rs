//! Steps of rows, under which a progressive format has integer scales.

use super::buffers::check;
use crate::fault::{Fault, Outcome};
use crate::fit::extent;
use crate::isa::Isa;
use crate::lanes::F8;
use crate::matrix::Matrix;
use crate::scale::ScaleType;
use crate::split::{Shared, Split};

/// Steps of the rows of a progressive format: absmax / bound, rounded to their type.
pub fn outer_steps(isa: Isa, split: &dyn Split, weight: &Matrix, bound: f32, kind: ScaleType) -> Vec<f32> {
    let mut steps = vec![1.0f32; weight.out];
    let to = Shared::new(&mut steps);
    split.run(weight.out.div_ceil(8), &|block| {
        let mut tile = vec![F8::splat(0.0); weight.reduce];
        weight.gather(8 * block, 1, 0, weight.reduce, weight.reduce, &mut tile, weight.reduce);
        let most = extent(isa, &tile, false).absmax();
        let rows = 8.min(weight.out - 8 * block);
        // SAFETY: each task writes the steps of its own rows.
        for (step, most) in unsafe { to.at(8 * block, rows) }.iter_mut().zip(most.0) {
            *step = kind.round(most / bound);
        }
    });
    steps
}

/// Writes the steps of rows into the last output, where there are any; gives the others.
pub fn write_outer<'a, 'b>(outer: Option<(f32, ScaleType)>, steps: Option<&[f32]>, outputs: &'a mut [&'b mut [u8]]) -> Outcome<&'a mut [&'b mut [u8]]> {
    let (Some((_, kind)), Some(steps)) = (outer, steps) else {
        return Ok(outputs);
    };
    let (last, rest) = outputs.split_last_mut().ok_or_else(|| Fault::request("too few outputs"))?;
    check(last.len() == steps.len() * kind.size(), "steps of rows: an output of one scale a row")?;
    for (step, to) in steps.iter().zip(last.chunks_exact_mut(kind.size())) {
        kind.write(*step, to);
    }
    Ok(rest)
}
