//! Weights to codes and back.

use super::buffers::{check, floats, floats_out, input, output};
use super::numbers::Numbers;
use super::outer::{outer_steps, write_outer};
use crate::backing::Backing;
use crate::dequantize::{dequantize, Coded};
use crate::fault::{Fault, Outcome};
use crate::fit::Target;
use crate::format::Format;
use crate::isa::Isa;
use crate::layout::{Geometry, Grain};
use crate::quantize::{quantize, Job, Output};
use crate::scale::ScaleType;
use crate::split::Split;

/// Numbers: dtype, out, reduce, order, format, symmetric, grain, law, scale type, layout, which optional inputs there are, whether a digest is asked for.
pub fn call_quantize(isa: Isa, split: &dyn Split, n: &mut Numbers, file: Option<&dyn Backing>, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Outcome<Vec<f64>> {
    let weight = n.matrix(input(inputs, 0)?)?.from_file(file);
    let (format, symmetric, grain, law) = (n.format()?, n.flag()?, n.grain()?, n.law()?);
    let (scale, outer) = n.scale_types()?;
    let target = Target { format, symmetric, law, scale };
    let layout = n.layout()?;
    let rows = outer.map(|(bound, kind)| outer_steps(isa, split, &weight, bound, kind));
    let weight = rows.as_deref().map_or(weight, |steps| weight.divided(steps));
    let outputs = write_outer(outer, rows.as_deref(), outputs)?;
    let mut next = 1;
    let mut optional = |present: bool| -> Outcome<Option<&[f32]>> {
        if !present {
            return Ok(None);
        }
        next += 1;
        floats(input(inputs, next - 1)?).map(Some)
    };
    let (importance, scales, zeros) = (optional(n.flag()?)?, optional(n.flag()?)?, optional(n.flag()?)?);
    let job = Job { weight, target, grain, layout, importance, scales, zeros };
    let output = match (n.flag()?, &mut outputs[..]) {
        (false, [codes, scales]) => Output { codes, scales, zeros: None, digest: None },
        (false, [codes, scales, zeros]) => Output { codes, scales, zeros: Some(zeros), digest: None },
        (true, [codes, scales, digest]) => Output { codes, scales, zeros: None, digest: Some(digest) },
        (true, [codes, scales, zeros, digest]) => Output { codes, scales, zeros: Some(zeros), digest: Some(digest) },
        _ => return Err(Fault::request("quantize: two or three outputs, and a digest where one is asked for")),
    };
    let s = quantize(isa, split, job, output)?;
    Ok(vec![s.error, s.energy, f64::from(s.global)])
}

/// Numbers: out, reduce, order, format, grain, scale type, layout, the scale of the tensor.
pub fn call_dequantize(split: &dyn Split, n: &mut Numbers, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Outcome<Vec<f64>> {
    let (out, reduce, order) = (n.size()?, n.size()?, n.order()?);
    let (format, grain) = (n.format()?, n.grain()?);
    let (mut scale, outer) = n.scale_types()?;
    let (layout, global) = (n.layout()?, n.take()? as f32);
    if let ScaleType::Nv { .. } = scale {
        scale = ScaleType::Nv { global };
    }
    let (inputs, rows) = match (outer, inputs.split_last()) {
        (Some((_, kind)), Some((last, rest))) => (rest, Some((kind, *last))),
        _ => (inputs, None),
    };
    let (signed, float) = match format {
        Format::Int(f) => (f.signed, false),
        Format::Float(_) => (true, true),
    };
    // No count of bytes below overflows: 16 bits a code, and tables not larger than the matrix (plus one patch).
    check(out.checked_mul(reduce).and_then(|x| x.checked_mul(16)).is_some(), "dequantize: sizes overflow")?;
    if let Grain::Group(cols) | Grain::Block { cols, .. } = grain {
        check(out.checked_mul(cols.saturating_add(reduce)).and_then(|x| x.checked_mul(16)).is_some(), "dequantize: sizes overflow")?;
    }
    let geometry = Geometry { out, reduce, order, layout, grain, bits: format.bits(), signed, float };
    let coded = Coded { geometry, format, scale, codes: input(inputs, 0)?, scales: input(inputs, 1)?, zeros: inputs.get(2).copied(), rows };
    dequantize(split, coded, floats_out(output(outputs, 0)?)?)?;
    Ok(vec![])
}
