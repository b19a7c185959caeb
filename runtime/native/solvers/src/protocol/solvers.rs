//! Solvers of a layer. Their requests begin alike: the matrix, what its codes are, damping, whether there is a cross moment.

use super::buffers::{check, doubles_in, floats_out, input, output};
use super::numbers::Numbers;
use super::outer::{outer_steps, write_outer};
use crate::fault::{Fault, Outcome};
use crate::fit::Target;
use crate::isa::Isa;
use crate::scale::ScaleType;
use crate::solve::{adaround, least_squares, solve, Layer, Order, Output, Sweep};
use crate::split::Split;

/// The layer of a request, and how the steps of rows of a progressive format are stored.
fn layer<'a>(n: &mut Numbers, inputs: &[&'a [u8]]) -> Outcome<(Layer<'a>, Option<(f32, ScaleType)>)> {
    let weight = n.matrix(input(inputs, 0)?)?;
    let (format, symmetric, grain, law) = (n.format()?, n.flag()?, n.grain()?, n.law()?);
    let (scale, outer) = n.scale_types()?;
    let damp = n.take()?;
    check((0.0..=1e6).contains(&damp), "damping is a share of the mean diagonal")?;
    let cross = if n.flag()? { Some(doubles_in(input(inputs, 2)?)?) } else { None };
    let target = Target { format, symmetric, law, scale };
    Ok((Layer { weight, target, grain, hessian: doubles_in(input(inputs, 1)?)?, cross, damp }, outer))
}

/// Runs a solver of codes on the layer, divided by the steps of its rows where it has some.
fn coded<T>(
    isa: Isa,
    split: &dyn Split,
    (layer, outer): (Layer, Option<(f32, ScaleType)>),
    outputs: &mut [&mut [u8]],
    run: impl FnOnce(&Layer, Output) -> Outcome<T>,
) -> Outcome<T> {
    let rows = outer.map(|(bound, kind)| outer_steps(isa, split, &layer.weight, bound, kind));
    let weight = rows.as_deref().map_or(layer.weight, |steps| layer.weight.divided(steps));
    let output = match write_outer(outer, rows.as_deref(), outputs)? {
        [codes, scales] => Output { codes, scales, zeros: None },
        [codes, scales, zeros] => Output { codes, scales, zeros: Some(zeros) },
        _ => return Err(Fault::request("a solver of codes has two or three outputs")),
    };
    run(&Layer { weight, ..layer }, output)
}

/// Numbers: the layer, order, static groups, block, descents, rescale.
pub fn call_solve(isa: Isa, split: &dyn Split, n: &mut Numbers, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Outcome<Vec<f64>> {
    let layer = layer(n, inputs)?;
    let order = if n.flag()? { Order::Hessian } else { Order::Natural };
    let sweep = Sweep { order, static_groups: n.flag()?, block: n.size()?, descents: n.size()?, rescale: n.flag()? };
    let s = coded(isa, split, layer, outputs, |layer, output| solve(isa, split, layer, &sweep, output))?;
    Ok(vec![s.error, s.energy, s.loss, s.damping, s.dead as f64])
}

/// Numbers: the layer, iterations, rate, regulariser.
pub fn call_adaround(isa: Isa, split: &dyn Split, n: &mut Numbers, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Outcome<Vec<f64>> {
    let layer = layer(n, inputs)?;
    let descent = adaround::Descent { iterations: n.size()?, rate: n.take()? as f32, regular: n.take()? as f32 };
    check(descent.rate > 0.0 && descent.rate <= 1.0 && descent.regular >= 0.0, "adaround: rate and regulariser are positive")?;
    let s = coded(isa, split, layer, outputs, |layer, output| adaround::adaround(isa, split, layer, &descent, output))?;
    Ok(vec![s.error, s.energy, s.loss, s.nearest, s.kept as f64])
}

/// Numbers: matrix, damping, whether there are a cross moment and a mask.
pub fn call_least_squares(isa: Isa, split: &dyn Split, n: &mut Numbers, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Outcome<Vec<f64>> {
    let weight = n.matrix(input(inputs, 0)?)?;
    let (damp, crossed, masked) = (n.take()?, n.flag()?, n.flag()?);
    check((0.0..=1e6).contains(&damp), "least squares: damping is a share of the mean diagonal")?;
    let cross = if crossed { Some(doubles_in(input(inputs, 2)?)?) } else { None };
    let mask = if masked { Some(input(inputs, 2 + usize::from(crossed))?) } else { None };
    let job = least_squares::Job { weight, hessian: doubles_in(input(inputs, 1)?)?, cross, damp, mask };
    let s = least_squares::least_squares(isa, split, &job, floats_out(output(outputs, 0)?)?)?;
    Ok(vec![s.before, s.after, s.free as f64])
}
