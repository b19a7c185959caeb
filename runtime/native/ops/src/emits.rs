//! What operators yield that compute floats by rows: those, or codes of them.

use crate::api::{Context, Element, Outcome};
use crate::info::Info;
use ort_sys::ONNXTensorElementDataType;
use qc_kernels::{Normed, Rows};

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Emits {
    Floats,
    /// Codes with a scale a row.
    Rows,
    /// The same with zero points, which are taken off.
    Asymmetric,
    /// Codes under a step.
    Steps,
    /// The same, of channels that an input lists.
    Picked,
}

impl Emits {
    /// Types of the outputs.
    pub fn outputs(self) -> &'static [ONNXTensorElementDataType] {
        match self {
            Emits::Floats => &[f32::TYPE],
            Emits::Rows | Emits::Asymmetric => &[i8::TYPE, f32::TYPE],
            Emits::Steps | Emits::Picked => &[i8::TYPE],
        }
    }
    /// Inputs that it needs behind the others: the step, the channels.
    pub fn inputs(self) -> usize {
        match self {
            Emits::Floats | Emits::Rows | Emits::Asymmetric => 0,
            Emits::Steps => 1,
            Emits::Picked => 2,
        }
    }
}

/// What the attributes say of the codes.
#[derive(Clone, Copy)]
pub enum Format {
    Floats,
    Rows(Rows),
    Steps { lo: i8, hi: i8, zero: f32, picked: bool },
}

impl Format {
    pub fn read(emits: Emits, info: &Info) -> Outcome<Format> {
        match emits {
            Emits::Floats => Ok(Format::Floats),
            Emits::Rows => symmetric(info).map(Format::Rows),
            Emits::Asymmetric => asymmetric(info).map(Format::Rows),
            Emits::Steps | Emits::Picked => {
                let (lo, hi, zero) = (info.float(c"lo")?, info.float(c"hi")?, info.float(c"zero")?);
                let fits = lo < hi && [lo, hi, zero].iter().all(|v| v.fract() == 0.0 && (-128.0..=127.0).contains(v));
                let format = Format::Steps { lo: lo as i8, hi: hi as i8, zero, picked: emits == Emits::Picked };
                fits.then_some(format).ok_or_else(|| format!("codes from {lo} to {hi} around {zero} are no signed bytes"))
            }
        }
    }

    /// Calls `run` with the places of the results of each `size` rows of `shape`; the step and the channels are the inputs from `next` on.
    pub fn places(self, context: &Context, shape: &[usize], size: usize, next: usize, run: impl FnOnce(Vec<Normed>) -> Outcome<()>) -> Outcome<()> {
        let n = shape.last().copied().unwrap_or(0).max(1);
        let rows = shape.iter().product::<usize>() / n;
        let tasks = rows.div_ceil(size);
        match self {
            Format::Floats => {
                let mut y = context.output::<f32>(0, shape)?;
                run((0..tasks).map(|_| Normed::Floats(take(&mut y, size * n))).collect())
            }
            Format::Rows(how) => {
                let mut codes = context.output::<i8>(0, shape)?;
                let mut scales = context.output::<f32>(1, &with_last(shape, 1))?;
                run((0..tasks).map(|_| Normed::Rows { rows: how, codes: take(&mut codes, size * n), scales: take(&mut scales, size) }).collect())
            }
            Format::Steps { lo, hi, zero, picked: false } => {
                let step = step(context.input::<f32>(next, "step")?.data)?;
                let mut codes = context.output::<i8>(0, shape)?;
                run((0..tasks).map(|_| Normed::Steps { step, zero, lo, hi, codes: take(&mut codes, size * n) }).collect())
            }
            Format::Steps { lo, hi, zero, picked: true } => {
                let step = step(context.input::<f32>(next, "step")?.data)?;
                let channels = channels(context.input::<i64>(next + 1, "channels")?.data, n)?;
                let mut codes = context.output::<i8>(0, &with_last(shape, channels.len()))?;
                let to = |codes| Normed::Picked { step, zero, lo, hi, channels: &channels, codes };
                run((0..tasks).map(|_| to(take(&mut codes, size * channels.len()))).collect())
            }
        }
    }
}

fn with_last(shape: &[usize], n: usize) -> Vec<usize> {
    let mut shape = shape.to_vec();
    if let Some(last) = shape.last_mut() {
        *last = n;
    }
    shape
}

/// Channels of rows of `n`. Errors: none, or one that there is not.
fn channels(given: &[i64], n: usize) -> Outcome<Vec<u32>> {
    let known = |&c: &i64| u32::try_from(c).ok().filter(|&c| (c as usize) < n);
    let all: Option<Vec<u32>> = given.iter().map(known).collect();
    all.filter(|all| !all.is_empty()).ok_or_else(|| format!("\"channels\" does not list channels from 0 to {}", n - 1))
}

/// The step in an input of one positive number.
pub fn step(given: &[f32]) -> Outcome<f32> {
    match given {
        &[s] if s > 0.0 && s.is_finite() => Ok(s),
        s => Err(format!("the step is {:?}, not one positive number", &s[..s.len().min(4)])),
    }
}

/// The scale of a row from the attribute `top`.
pub fn symmetric(info: &Info) -> Outcome<Rows> {
    let top = info.float(c"top")?;
    let rows = Rows::Symmetric { top };
    (rows.fits() && top.fract() == 0.0).then_some(rows).ok_or_else(|| format!("the largest code is {top}, not from 1 to 127"))
}

/// Rows with zero points from the attributes `lo` and `hi`.
pub fn asymmetric(info: &Info) -> Outcome<Rows> {
    let (lo, hi) = (info.float(c"lo")?, info.float(c"hi")?);
    let rows = Rows::Asymmetric { lo, hi };
    let fits = rows.fits() && lo.fract() == 0.0 && hi.fract() == 0.0;
    fits.then_some(rows).ok_or_else(|| format!("codes from {lo} to {hi} are not 2 to 128 integers"))
}

/// The first `len` elements, or what there is; the rest stays.
pub fn take<'a, T>(from: &mut &'a mut [T], len: usize) -> &'a mut [T] {
    let len = len.min(from.len());
    from.split_off_mut(..len).unwrap_or_default()
}
