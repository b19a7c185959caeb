//! One call for everything, so that the Node addon and the wasm module share the reading of requests:
//! an operation, its numbers, buffers in, buffers out. The writer of these is runtime/protocol.ts.

use crate::backing::{Backing, Input};
use crate::cast::{cast, Element};
use crate::clip::clip;
use crate::dequantize::{dequantize, Coded};
use crate::fault::{Fault, Outcome};
use crate::fit::{extent, Law, Target};
use crate::format::{Format, Int, E2M1, E4M3, E5M2};
use crate::hash::hash;
use crate::isa::Isa;
use crate::lanes::F8;
use crate::layout::{Geometry, Grain, Layout};
use crate::matrix::{FloatType, Matrix, Order};
use crate::products::cross;
use crate::quantize::{quantize, Job, Output};
use crate::scale::ScaleType;
use crate::solve::{self, adaround, least_squares, solve};
use crate::split::{Shared, Split};
use crate::statistics::{histogram, moments};

/// Performs operation `op`; the numbers it returns belong to its result. `file`: what the first input is mapped from.
pub fn call(isa: Isa, split: &dyn Split, op: u32, numbers: &[f64], file: Option<&dyn Backing>, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Outcome<Vec<f64>> {
    let mut n = Numbers { rest: numbers };
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
        21 => {
            let weight = n.matrix(input(inputs, 0)?)?;
            let (damp, crossed, masked) = (n.take()?, n.flag()?, n.flag()?);
            check((0.0..=1e6).contains(&damp), "least squares: damping is a share of the mean diagonal")?;
            let cross = if crossed { Some(doubles_in(input(inputs, 2)?)?) } else { None };
            let mask = if masked { Some(input(inputs, 2 + usize::from(crossed))?) } else { None };
            let job = least_squares::Job { weight, hessian: doubles_in(input(inputs, 1)?)?, cross, damp, mask };
            let s = least_squares::least_squares(isa, split, &job, floats_out(output(outputs, 0)?)?)?;
            vec![s.before, s.after, s.free as f64]
        }
        _ => return Err(Fault::request(format!("operation {op} is unknown"))),
    };
    Ok(result)
}

/// Numbers: dtype, out, reduce, order, format, symmetric, grain, law, scale type, layout, which optional inputs there are, whether a digest is asked for.
fn call_quantize(isa: Isa, split: &dyn Split, n: &mut Numbers, file: Option<&dyn Backing>, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Outcome<Vec<f64>> {
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

/// Numbers: matrix, format, symmetric, grain, law, scale type, damping, order, static groups, block, descents, rescale, whether there is a cross moment.
fn call_solve(isa: Isa, split: &dyn Split, n: &mut Numbers, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Outcome<Vec<f64>> {
    let weight = n.matrix(input(inputs, 0)?)?;
    let (format, symmetric, grain, law) = (n.format()?, n.flag()?, n.grain()?, n.law()?);
    let (scale, outer) = n.scale_types()?;
    let target = Target { format, symmetric, law, scale };
    let damp = n.take()?;
    check((0.0..=1e6).contains(&damp), "solve: damping is a share of the mean diagonal")?;
    let order = if n.flag()? { solve::Order::Hessian } else { solve::Order::Natural };
    let (static_groups, block, descents, rescale) = (n.flag()?, n.size()?, n.size()?, n.flag()?);
    let cross = if n.flag()? { Some(doubles_in(input(inputs, 2)?)?) } else { None };
    let rows = outer.map(|(bound, kind)| outer_steps(isa, split, &weight, bound, kind));
    let weight = rows.as_deref().map_or(weight, |steps| weight.divided(steps));
    let outputs = write_outer(outer, rows.as_deref(), outputs)?;
    let job = solve::Job { weight, target, grain, hessian: doubles_in(input(inputs, 1)?)?, cross, damp, order, static_groups, block, descents, rescale };
    let output = match &mut outputs[..] {
        [codes, scales] => solve::Output { codes, scales, zeros: None },
        [codes, scales, zeros] => solve::Output { codes, scales, zeros: Some(zeros) },
        _ => return Err(Fault::request("solve: two or three outputs")),
    };
    let s = solve(isa, split, &job, output)?;
    Ok(vec![s.error, s.energy, s.loss, s.damping, s.dead as f64])
}

/// Numbers: matrix, format, symmetric, grain, law, scale type, damping, iterations, rate, regulariser, whether there is a cross moment.
fn call_adaround(isa: Isa, split: &dyn Split, n: &mut Numbers, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Outcome<Vec<f64>> {
    let weight = n.matrix(input(inputs, 0)?)?;
    let (format, symmetric, grain, law) = (n.format()?, n.flag()?, n.grain()?, n.law()?);
    let (scale, outer) = n.scale_types()?;
    let target = Target { format, symmetric, law, scale };
    let (damp, iterations, rate, regular) = (n.take()?, n.size()?, n.take()? as f32, n.take()? as f32);
    check((0.0..=1e6).contains(&damp) && rate > 0.0 && rate <= 1.0 && regular >= 0.0, "adaround: damping, rate and regulariser are positive")?;
    let cross = if n.flag()? { Some(doubles_in(input(inputs, 2)?)?) } else { None };
    let rows = outer.map(|(bound, kind)| outer_steps(isa, split, &weight, bound, kind));
    let weight = rows.as_deref().map_or(weight, |steps| weight.divided(steps));
    let outputs = write_outer(outer, rows.as_deref(), outputs)?;
    let job = adaround::Job { weight, target, grain, hessian: doubles_in(input(inputs, 1)?)?, cross, damp, iterations, rate, regular };
    let output = match &mut outputs[..] {
        [codes, scales] => solve::Output { codes, scales, zeros: None },
        [codes, scales, zeros] => solve::Output { codes, scales, zeros: Some(zeros) },
        _ => return Err(Fault::request("adaround: two or three outputs")),
    };
    let s = adaround::adaround(isa, split, &job, output)?;
    Ok(vec![s.error, s.energy, s.loss, s.nearest, s.kept as f64])
}

/// Steps of the rows of a progressive format: absmax / bound, rounded to their type.
fn outer_steps(isa: Isa, split: &dyn Split, weight: &Matrix, bound: f32, kind: ScaleType) -> Vec<f32> {
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
fn write_outer<'a, 'b>(outer: Option<(f32, ScaleType)>, steps: Option<&[f32]>, outputs: &'a mut [&'b mut [u8]]) -> Outcome<&'a mut [&'b mut [u8]]> {
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

/// Numbers: out, reduce, order, format, grain, scale type, layout, the scale of the tensor.
fn call_dequantize(split: &dyn Split, n: &mut Numbers, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Outcome<Vec<f64>> {
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

/// The numbers of a request, taken from the front.
pub struct Numbers<'a> {
    rest: &'a [f64],
}

impl Numbers<'_> {
    fn take(&mut self) -> Outcome<f64> {
        let (first, rest) = self.rest.split_first().ok_or_else(|| Fault::request("too few numbers"))?;
        self.rest = rest;
        Ok(*first)
    }

    fn size(&mut self) -> Outcome<usize> {
        let x = self.take()?;
        check(x >= 0.0 && x.fract() == 0.0 && x <= 9_007_199_254_740_992.0, "a size is a whole number")?;
        usize::try_from(x as u64).map_err(|_| Fault::request(format!("a size of {x}")))
    }

    fn flag(&mut self) -> Outcome<bool> {
        Ok(self.take()? != 0.0)
    }

    fn order(&mut self) -> Outcome<Order> {
        Ok(if self.flag()? { Order::ReduceOut } else { Order::OutReduce })
    }

    /// dtype, out, reduce, order.
    fn matrix<'a>(&mut self, data: &'a [u8]) -> Outcome<Matrix<'a>> {
        let dtype = match self.size()? {
            0 => FloatType::F32,
            1 => FloatType::F16,
            2 => FloatType::Bf16,
            3 => FloatType::F64,
            x => return Err(unknown("weight type", x)),
        };
        let (out, reduce, order) = (self.size()?, self.size()?, self.order()?);
        Matrix::new(data, dtype, out, reduce, order)
    }

    /// kind, then for integers bits, signed, lo, hi.
    fn format(&mut self) -> Outcome<Format> {
        match self.size()? {
            0 => {
                let (bits, signed, lo, hi) = (self.size()?, self.flag()?, self.take()?, self.take()?);
                let (least, most) = if signed { (-(2f64.powi(15)), 2f64.powi(15) - 1.0) } else { (0.0, 2f64.powi(16) - 1.0) };
                let fits = (1..=16).contains(&bits) && lo < hi && lo.fract() == 0.0 && hi.fract() == 0.0;
                let shift = 16 - bits.min(16) as i32;
                let inside = lo >= (least / f64::from(1 << shift)).floor() && hi <= (most / f64::from(1 << shift)).floor();
                check(fits && inside, "an integer format has 1 to 16 bits and lo < hi within them")?;
                Ok(Format::Int(Int { bits: bits as u32, signed, lo: lo as f32, hi: hi as f32 }))
            }
            1 => Ok(Format::Float(E4M3)),
            2 => Ok(Format::Float(E5M2)),
            3 => Ok(Format::Float(E2M1)),
            x => Err(unknown("format", x)),
        }
    }

    /// kind, then two sizes.
    fn grain(&mut self) -> Outcome<Grain> {
        let (kind, a, b) = (self.size()?, self.size()?, self.size()?);
        match kind {
            0 => Ok(Grain::Tensor),
            1 => Ok(Grain::Channel),
            2 => Ok(Grain::Group(a)),
            3 => Ok(Grain::Block { rows: a, cols: b }),
            x => Err(unknown("grain", x)),
        }
    }

    /// kind, then four parameters.
    fn law(&mut self) -> Outcome<Law> {
        let (kind, a, b, c, d) = (self.size()?, self.take()?, self.take()?, self.take()?, self.take()?);
        let law = match kind {
            0 => Law::Minmax,
            1 => Law::SignedAbsmax,
            2 => Law::Percentile { p: a },
            3 => Law::Mse { steps: a as usize, shrink: b as f32, p: c as f32, signed: d != 0.0 },
            4 => Law::Entropy { bins: a as usize },
            5 => Law::Hqq { p: a as f32, beta: b as f32, kappa: c as f32, iterations: d as usize },
            6 => Law::Share { ratio: a as f32 },
            x => return Err(unknown("law", x)),
        };
        let sane = match law {
            Law::Percentile { p } => (0.0..=100.0).contains(&p),
            Law::Mse { steps, shrink, p, .. } => (1..=1 << 20).contains(&steps) && shrink > 0.0 && shrink <= 1.0 && p > 0.0,
            Law::Entropy { bins } => (2..=1 << 24).contains(&bins),
            Law::Hqq { p, beta, .. } => p > 0.0 && beta > 0.0,
            Law::Share { ratio } => ratio > 0.0 && ratio <= 1.0,
            _ => true,
        };
        check(sane, "a parameter of the scale law is out of range")?;
        Ok(law)
    }

    /// The type of scales; for integer ones also the bound of what they scale and the type of the rows' steps.
    fn scale_types(&mut self) -> Outcome<(ScaleType, Option<(f32, ScaleType)>)> {
        let scale = self.scale_type()?;
        if scale != ScaleType::Int8 {
            return Ok((scale, None));
        }
        let (bound, kind) = (self.take()?, self.scale_type()?);
        check((1.0..=127.0).contains(&bound), "the outer format of a progressive one has codes of at most ±127")?;
        check(matches!(kind, ScaleType::F32 | ScaleType::F16 | ScaleType::Bf16), "steps of rows are floats")?;
        Ok((scale, Some((bound as f32, kind))))
    }

    fn scale_type(&mut self) -> Outcome<ScaleType> {
        match self.size()? {
            0 => Ok(ScaleType::F32),
            1 => Ok(ScaleType::F16),
            2 => Ok(ScaleType::Bf16),
            3 => Ok(ScaleType::F64),
            4 => Ok(ScaleType::E8m0),
            5 => Ok(ScaleType::Nv { global: 1.0 }),
            6 => Ok(ScaleType::Int8),
            x => Err(unknown("scale type", x)),
        }
    }

    fn layout(&mut self) -> Outcome<Layout> {
        match self.size()? {
            0 => Ok(Layout::Plain),
            1 => Ok(Layout::Source),
            2 => Ok(Layout::NBits),
            x => Err(unknown("layout", x)),
        }
    }

    /// Numbers 100·signed + bits for integers (200 for bool), small ones for floats.
    fn element(&mut self) -> Outcome<Element> {
        Ok(match self.size()? {
            0 => Element::F32,
            1 => Element::F64,
            2 => Element::F16,
            3 => Element::Bf16,
            4 => Element::E4m3,
            5 => Element::E5m2,
            6 => Element::E2m1,
            7 => Element::E8m0,
            200 => Element::Bool,
            x if x >= 20 => match (x - 20) % 100 {
                bits @ (2 | 4 | 8 | 16 | 32 | 64) if x < 220 => Element::Int { bits: bits as u32, signed: x >= 120 },
                _ => return Err(unknown("element type", x)),
            },
            x => return Err(unknown("element type", x)),
        })
    }
}

fn unknown(what: &str, number: usize) -> Fault {
    Fault::request(format!("{what} {number} is unknown"))
}

fn check(holds: bool, rule: &str) -> Outcome<()> {
    if holds {
        Ok(())
    } else {
        Err(Fault::request(rule))
    }
}

fn input<'a>(inputs: &[&'a [u8]], i: usize) -> Outcome<&'a [u8]> {
    inputs.get(i).copied().ok_or_else(|| Fault::request("too few inputs"))
}

fn output<'a>(outputs: &'a mut [&mut [u8]], i: usize) -> Outcome<&'a mut [u8]> {
    outputs.get_mut(i).map(|o| &mut **o).ok_or_else(|| Fault::request("too few outputs"))
}

fn aligned<T>(whole: (&[u8], T, &[u8])) -> Outcome<T> {
    check(whole.0.is_empty() && whole.2.is_empty(), "numbers must be aligned to their size")?;
    Ok(whole.1)
}

// SAFETY of the four casts: every bit pattern is a float, and `align_to` keeps to alignment.
fn floats(bytes: &[u8]) -> Outcome<&[f32]> {
    aligned(unsafe { bytes.align_to() })
}
fn doubles_in(bytes: &[u8]) -> Outcome<&[f64]> {
    aligned(unsafe { bytes.align_to() })
}
fn floats_out(bytes: &mut [u8]) -> Outcome<&mut [f32]> {
    let (a, b, c) = unsafe { bytes.align_to_mut() };
    aligned((a, b, c))
}
fn doubles(bytes: &mut [u8]) -> Outcome<&mut [f64]> {
    let (a, b, c) = unsafe { bytes.align_to_mut() };
    aligned((a, b, c))
}
