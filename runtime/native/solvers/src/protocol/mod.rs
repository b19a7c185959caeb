//! One call for everything, so that the Node addon and the wasm module share the reading of requests:
//! an operation, its numbers, buffers in, buffers out. The writer of these is runtime/protocol.ts.

mod buffers;
mod low_rank;
mod numbers;
mod outer;
mod solvers;
mod spectral;
mod weights;

use crate::backing::{Backing, Input};
use crate::cast::cast;
use crate::clip::clip;
use crate::fault::{Fault, Outcome};
use crate::hash::hash;
use crate::isa::Isa;
use crate::products::cross;
use crate::split::Split;
use crate::statistics::{histogram, moments};
use buffers::{check, doubles, doubles_in, floats, input, output};
use low_rank::{call_distance, call_low_rank, call_minus_product};
use numbers::Numbers;
use solvers::{call_adaround, call_least_squares, call_solve};
use spectral::{call_eigen, call_hadamard, call_orthonormal, call_range_norms};
use weights::{call_dequantize, call_quantize};

/// Performs operation `op`; the numbers it returns belong to its result. `file`: what the first input is mapped from.
pub fn call(isa: Isa, split: &dyn Split, op: u32, numbers: &[f64], file: Option<&dyn Backing>, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Outcome<Vec<f64>> {
    let mut n = Numbers::new(numbers);
    if let Some(f) = file.filter(|_| !matches!(op, 0 | 9)) {
        f.populate();
    }
    let result = match op {
        0 => call_quantize(isa, split, &mut n, file, inputs, outputs)?,
        1 => call_dequantize(split, &mut n, inputs, outputs)?,
        2 => {
            let (from, to) = (n.element()?, n.element()?);
            cast(input(inputs, 0)?, from, to, output(outputs, 0)?)?;
            vec![]
        }
        4 => {
            let width = n.size()?;
            let (acc, x) = (doubles(output(outputs, 0)?)?, floats(input(inputs, 0)?)?);
            check(width > 0 && Some(acc.len()) == width.checked_mul(5) && x.len() % width == 0, "moments: acc [5, n] and X [rows, n]")?;
            moments(isa, acc, x, width);
            vec![]
        }
        5 => {
            let (lo, hi) = (n.take()?, n.take()?);
            let (counts, x) = (doubles(output(outputs, 0)?)?, floats(input(inputs, 0)?)?);
            check(!counts.is_empty() && lo < hi && (hi - lo).is_finite(), "histogram: bins over lo < hi")?;
            histogram(counts, x, lo, hi);
            vec![]
        }
        6 => {
            let (lo, hi) = (n.take()?, n.take()?);
            let (format, symmetric, law) = (n.format()?, n.flag()?, n.law()?);
            let counts = doubles_in(input(inputs, 0)?)?;
            check(!counts.is_empty() && lo <= hi && (hi - lo).is_finite(), "clip: bins over lo … hi")?;
            let (a, b) = clip(counts, lo, hi, format, symmetric, law);
            vec![a, b]
        }
        7 => call_solve(isa, split, &mut n, inputs, outputs)?,
        8 => {
            let width = n.size()?;
            let (c, x) = (doubles(output(outputs, 0)?)?, floats(input(inputs, 0)?)?);
            let y = if inputs.len() > 1 { Some(floats(inputs[1])?) } else { None };
            let sizes = width > 0 && Some(c.len()) == width.checked_mul(width) && x.len() % width == 0 && y.is_none_or(|y| y.len() == x.len());
            check(sizes, "cross: C [n, n], X and Y [rows, n]")?;
            cross(isa, split, c, x, y, width);
            vec![]
        }
        9 => {
            let to = output(outputs, 0)?;
            check(to.len() == 32, "hash: an output of 32 bytes")?;
            to.copy_from_slice(&hash(split, Input { bytes: input(inputs, 0)?, file })?);
            vec![]
        }
        20 => call_adaround(isa, split, &mut n, inputs, outputs)?,
        21 => call_least_squares(isa, split, &mut n, inputs, outputs)?,
        22 => call_eigen(isa, split, &mut n, inputs, outputs)?,
        23 => call_orthonormal(isa, &mut n, inputs, outputs)?,
        24 => call_range_norms(split, &mut n, inputs, outputs)?,
        25 => call_low_rank(isa, split, &mut n, inputs, outputs)?,
        26 => call_distance(isa, split, &mut n, inputs)?,
        27 => call_minus_product(isa, split, &mut n, inputs, outputs)?,
        28 => call_hadamard(isa, split, &mut n, inputs, outputs)?,
        _ => return Err(Fault::request(format!("operation {op} is unknown"))),
    };
    Ok(result)
}
