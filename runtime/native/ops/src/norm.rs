//! The norms: `RmsNorm` and `LayerNorm`, with `Add` in front (a residual is added first), `Quantize`, `QuantizeStatic` or `QuantizeStaticSplit` behind.
//!
//! Inputs: x […, n], residual like x (`Add`), gain [n], bias [n] (`LayerNorm`), step of one element (`QuantizeStatic`), channels
//! int64 [m] (`Split`: codes are of these channels of the norm).
//! Outputs: y like x, or codes int8 like x; scale float32 […, 1] (`Quantize`); sum = x + residual (`Add`).
//! Attributes: eps; top, the largest code (`Quantize`); lo, hi and zero (`QuantizeStatic`).

use crate::api::{Context, Element, Outcome};
use crate::emits::{take, Emits, Format};
use crate::info::Info;
use crate::op::{chosen, Operator};
use ort_sys::ONNXTensorElementDataType;
use qc_kernels::{norm, Isa, Norm as Rule};
use std::ffi::CStr;
use std::sync::Mutex;

/// Elements of a task.
const PIECE: usize = 1 << 15;

pub struct Norm {
    pub name: &'static CStr,
    /// With a mean and a bias.
    pub layer: bool,
    /// A residual is added first, the sum is the last output.
    pub add: bool,
    pub emits: Emits,
}

pub struct Kernel {
    isa: Isa,
    eps: f32,
    layer: bool,
    add: bool,
    /// Of what it emits; the sum stands behind.
    outputs: usize,
    format: Format,
}

impl Operator for Norm {
    type Kernel = Kernel;
    fn name(&self) -> &'static CStr {
        self.name
    }
    fn inputs(&self) -> usize {
        2 + usize::from(self.add) + usize::from(self.layer) + self.emits.inputs()
    }
    fn input_type(&self, index: usize) -> ONNXTensorElementDataType {
        let channels = self.emits == Emits::Picked && index + 1 == self.inputs();
        if channels { i64::TYPE } else { f32::TYPE }
    }
    fn outputs(&self) -> &'static [ONNXTensorElementDataType] {
        match (self.add, self.emits) {
            (false, emits) => emits.outputs(),
            (true, Emits::Floats) => &[f32::TYPE, f32::TYPE],
            (true, Emits::Rows | Emits::Asymmetric) => &[i8::TYPE, f32::TYPE, f32::TYPE],
            (true, Emits::Steps | Emits::Picked) => &[i8::TYPE, f32::TYPE],
        }
    }

    fn make(&self, info: &Info) -> Outcome<Kernel> {
        let eps = info.float(c"eps")?;
        (eps >= 0.0).then_some(()).ok_or_else(|| format!("eps is {eps}"))?;
        let format = Format::read(self.emits, info)?;
        Ok(Kernel { isa: chosen()?, eps, layer: self.layer, add: self.add, outputs: self.emits.outputs().len(), format })
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
        let rule = Rule { gain, bias, eps: k.eps };
        let mut sums = if k.add { Some(context.output::<f32>(k.outputs, &x.shape)?) } else { None };
        let size = PIECE.div_ceil(n);
        let len = size * n;
        k.format.places(context, &x.shape, size, next, |places| {
            let tasks = places.into_iter().enumerate().map(|(i, to)| {
                let range = i * len..x.data.len().min((i + 1) * len);
                let residual = residual.as_ref().zip(sums.as_mut()).map(|(r, sums)| (&r.data[range.clone()], take(sums, len)));
                Mutex::new(Some((&x.data[range], residual, to)))
            });
            context.each(tasks.collect(), &|(x, residual, to)| norm(k.isa, &rule, x, residual, to))
        })
    }
}
