//! `Gelu…`, `GeluTanh…`: x·Φ(x), or x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³))), in floats or in codes.
//!
//! Inputs: x […, n]; step of one element (`QuantizeStatic`). Outputs and the attributes of codes as those of norms.

use crate::api::{Context, Outcome};
use crate::emits::{Emits, Format};
use crate::info::Info;
use crate::op::{chosen, Operator};
use ort_sys::ONNXTensorElementDataType;
use qc_kernels::{gelu, Gelu as How, Isa};
use std::ffi::CStr;
use std::sync::Mutex;

/// Elements of a task.
const PIECE: usize = 1 << 13;

pub struct Gelu {
    pub name: &'static CStr,
    pub how: How,
    pub emits: Emits,
}

impl Operator for Gelu {
    type Kernel = (Isa, How, Format);
    fn name(&self) -> &'static CStr {
        self.name
    }
    fn inputs(&self) -> usize {
        1 + self.emits.inputs()
    }
    fn outputs(&self) -> &'static [ONNXTensorElementDataType] {
        self.emits.outputs()
    }
    fn make(&self, info: &Info) -> Outcome<Self::Kernel> {
        Ok((chosen()?, self.how, Format::read(self.emits, info)?))
    }
    fn compute(&(isa, how, format): &Self::Kernel, context: &Context) -> Outcome<()> {
        let x = context.input::<f32>(0, "x")?;
        let Some(&n) = x.shape.last().filter(|&&n| n > 0) else { return Err(format!("x has the shape {:?}: there are no rows", x.shape)) };
        let size = PIECE.div_ceil(n);
        format.places(context, &x.shape, size, 1, |places| {
            let tasks = x.data.chunks(size * n).zip(places).map(|task| Mutex::new(Some(task))).collect();
            context.each(tasks, &|(x, to)| gelu(isa, how, x, n, to))
        })
    }
}
