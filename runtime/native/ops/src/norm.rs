//! The norms: `RmsNorm` and `LayerNorm`, with `Add` in front (a residual is added first), `Quantize` or `QuantizeStatic` behind.
//!
//! Inputs: x […, n], residual like x (`Add`), gain [n], bias [n] (`LayerNorm`), step of one element (`QuantizeStatic`).
//! Outputs: y like x, or codes int8 like x; scale float32 […, 1] (`Quantize`); sum = x + residual (`Add`).
//! Attributes: eps; top, the largest code (`Quantize`); lo, hi and zero (`QuantizeStatic`).

use crate::api::{Context, Element, Info, Outcome};
use crate::op::{chosen, Operator};
use ort_sys::ONNXTensorElementDataType;
use qc_kernels::{norm, Isa, Norm as Rule, Normed, Rows};
use std::ffi::CStr;
use std::sync::Mutex;

/// Elements of a task.
const PIECE: usize = 1 << 14;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Emits {
    Floats,
    /// Codes with a scale a row.
    Rows,
    /// The same with zero points, which are taken off.
    Asymmetric,
    /// Codes under a step.
    Steps,
}

pub struct Norm {
    pub name: &'static CStr,
    /// With a mean and a bias.
    pub layer: bool,
    /// A residual is added first, the sum is the last output.
    pub add: bool,
    pub emits: Emits,
}

/// What the attributes say of the codes.
#[derive(Clone, Copy)]
pub enum Format {
    Floats,
    Rows(Rows),
    Steps { lo: i8, hi: i8, zero: f32 },
}

impl Format {
    pub fn read(emits: Emits, info: &Info) -> Outcome<Format> {
        match emits {
            Emits::Floats => Ok(Format::Floats),
            Emits::Rows => symmetric(info).map(Format::Rows),
            Emits::Asymmetric => asymmetric(info).map(Format::Rows),
            Emits::Steps => {
                let (lo, hi, zero) = (info.float(c"lo")?, info.float(c"hi")?, info.float(c"zero")?);
                let fits = lo < hi && [lo, hi, zero].iter().all(|v| v.fract() == 0.0 && (-128.0..=127.0).contains(v));
                let format = Format::Steps { lo: lo as i8, hi: hi as i8, zero };
                fits.then_some(format).ok_or_else(|| format!("codes from {lo} to {hi} around {zero} are no signed bytes"))
            }
        }
    }
}

/// The step in an input of one positive number.
pub fn step(given: &[f32]) -> Outcome<f32> {
    match given {
        &[s] if s > 0.0 && s.is_finite() => Ok(s),
        s => Err(format!("the step is {:?}, not one positive number", &s[..s.len().min(4)])),
    }
}

pub struct Kernel {
    isa: Isa,
    eps: f32,
    layer: bool,
    add: bool,
    format: Format,
}

impl Operator for Norm {
    type Kernel = Kernel;
    fn name(&self) -> &'static CStr {
        self.name
    }
    fn inputs(&self) -> usize {
        2 + usize::from(self.add) + usize::from(self.layer) + usize::from(self.emits == Emits::Steps)
    }
    fn outputs(&self) -> &'static [ONNXTensorElementDataType] {
        match (self.emits, self.add) {
            (Emits::Floats, false) => &[f32::TYPE],
            (Emits::Floats, true) => &[f32::TYPE, f32::TYPE],
            (Emits::Rows | Emits::Asymmetric, false) => &[i8::TYPE, f32::TYPE],
            (Emits::Rows | Emits::Asymmetric, true) => &[i8::TYPE, f32::TYPE, f32::TYPE],
            (Emits::Steps, false) => &[i8::TYPE],
            (Emits::Steps, true) => &[i8::TYPE, f32::TYPE],
        }
    }

    fn make(&self, info: &Info) -> Outcome<Kernel> {
        let eps = info.float(c"eps")?;
        (eps >= 0.0).then_some(()).ok_or_else(|| format!("eps is {eps}"))?;
        let format = Format::read(self.emits, info)?;
        Ok(Kernel { isa: chosen()?, eps, layer: self.layer, add: self.add, format })
    }

    fn compute(k: &Kernel, context: &Context) -> Outcome<()> {
        let x = context.input::<f32>(0, "x")?;
        let mut next = 1;
        let mut input = |there: bool, name: &str| {
            let index = next;
            next += usize::from(there);
            if there { context.input::<f32>(index, name).map(Some) } else { Ok(None) }
        };
        let residual = input(k.add, "residual")?;
        let gain = input(true, "gain")?.map_or(&[][..], |g| g.data);
        let bias = input(k.layer, "bias")?.map(|b| b.data);
        let given = input(matches!(k.format, Format::Steps { .. }), "step")?.map(|s| s.data);
        let n = gain.len();
        if n == 0 || x.shape.last() != Some(&n) {
            return Err(format!("x has the shape {:?}, its last size is not that of gain, {n}", x.shape));
        }
        if let Some(r) = residual.as_ref().filter(|r| r.shape != x.shape) {
            return Err(format!("x and residual have the shapes {:?} and {:?}", x.shape, r.shape));
        }
        if let Some(b) = bias.filter(|b| b.len() != n) {
            return Err(format!("the bias has {} values, not {n}", b.len()));
        }
        let step = given.map_or(Ok(1.0), step)?;
        let rule = Rule { gain, bias, eps: k.eps };
        let last = match k.format {
            Format::Rows(_) => 2,
            _ => 1,
        };
        let sums = if k.add { Some(context.output::<f32>(last, &x.shape)?) } else { None };
        let rows = x.data.len() / n;
        let size = PIECE.div_ceil(n);
        let mut parts = Parts { x: x.data, residual: residual.as_ref().map(|r| r.data), sums, size, n };
        match k.format {
            Format::Floats => {
                let mut y = context.output::<f32>(0, &x.shape)?;
                let to = (0..rows.div_ceil(size)).map(|_| Normed::Floats(take(&mut y, size * n))).collect();
                parts.run(context, k.isa, &rule, to)
            }
            Format::Rows(rule_of) => {
                let mut codes = context.output::<i8>(0, &x.shape)?;
                let mut shape = x.shape.clone();
                shape[x.shape.len() - 1] = 1;
                let mut scales = context.output::<f32>(1, &shape)?;
                let to = (0..rows.div_ceil(size))
                    .map(|_| Normed::Rows { rows: rule_of, codes: take(&mut codes, size * n), scales: take(&mut scales, size) })
                    .collect();
                parts.run(context, k.isa, &rule, to)
            }
            Format::Steps { lo, hi, zero } => {
                let mut codes = context.output::<i8>(0, &x.shape)?;
                let to = (0..rows.div_ceil(size)).map(|_| Normed::Steps { step, zero, lo, hi, codes: take(&mut codes, size * n) }).collect();
                parts.run(context, k.isa, &rule, to)
            }
        }
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

/// Rows in tasks of `size`.
struct Parts<'a> {
    x: &'a [f32],
    residual: Option<&'a [f32]>,
    sums: Option<&'a mut [f32]>,
    size: usize,
    n: usize,
}

impl<'a> Parts<'a> {
    fn run(&mut self, context: &Context, isa: Isa, rule: &Rule, to: Vec<Normed<'a>>) -> Outcome<()> {
        let len = self.size * self.n;
        let tasks: Vec<_> = to
            .into_iter()
            .enumerate()
            .map(|(i, to)| {
                let range = i * len..self.x.len().min((i + 1) * len);
                let residual = self.residual.zip(self.sums.as_mut()).map(|(r, sums)| (&r[range.clone()], take(sums, len)));
                Mutex::new(Some((&self.x[range], residual, to)))
            })
            .collect();
        context.each(tasks, &|(x, residual, to)| norm(isa, rule, x, residual, to))
    }
}
