//! `QuantizeRows`, `QuantizeRowsAsymmetric`: rows as signed codes with one scale each; `DequantizeRows`: what they stand for.
//!
//! Input: x […, n]. Outputs: codes int8 like x, scale float32 […, 1]; x ≈ scale · codes. Attributes: top, the largest code; or lo and hi of the codes
//! before the zero point is taken off, hi − lo ≤ 127.

use crate::api::{Context, Element, Outcome};
use crate::emits::{asymmetric, symmetric, take};
use crate::info::Info;
use crate::op::{chosen, Operator};
use ort_sys::ONNXTensorElementDataType;
use qc_kernels::{dequantize_rows, quantize_rows, Isa, Rows};
use std::ffi::CStr;
use std::sync::Mutex;

/// Elements of a task.
const PIECE: usize = 1 << 15;

pub struct QuantizeRows {
    pub name: &'static CStr,
    pub symmetric: bool,
}

impl Operator for QuantizeRows {
    type Kernel = (Isa, Rows);
    fn name(&self) -> &'static CStr {
        self.name
    }
    fn inputs(&self) -> usize {
        1
    }
    fn outputs(&self) -> &'static [ONNXTensorElementDataType] {
        &[i8::TYPE, f32::TYPE]
    }
    fn make(&self, info: &Info) -> Outcome<Self::Kernel> {
        Ok((chosen()?, if self.symmetric { symmetric(info)? } else { asymmetric(info)? }))
    }
    fn compute(&(isa, rows): &Self::Kernel, context: &Context) -> Outcome<()> {
        let x = context.input::<f32>(0, "x")?;
        let Some(&n) = x.shape.last().filter(|&&n| n > 0) else { return Err(format!("x has the shape {:?}: there are no rows", x.shape)) };
        let mut codes = context.output::<i8>(0, &x.shape)?;
        let mut shape = x.shape.clone();
        shape[x.shape.len() - 1] = 1;
        let mut scales = context.output::<f32>(1, &shape)?;
        let size = PIECE.div_ceil(n);
        let tasks: Vec<_> = x.data.chunks(size * n).map(|x| Mutex::new(Some((x, take(&mut codes, size * n), take(&mut scales, size))))).collect();
        context.each(tasks, &|(x, codes, scales)| quantize_rows(isa, rows, x, n, codes, scales))
    }
}

pub struct DequantizeRows;
impl Operator for DequantizeRows {
    type Kernel = Isa;
    fn name(&self) -> &'static CStr {
        c"DequantizeRows"
    }
    fn inputs(&self) -> usize {
        2
    }
    fn input_type(&self, index: usize) -> ONNXTensorElementDataType {
        if index == 0 { i8::TYPE } else { f32::TYPE }
    }
    fn make(&self, _: &Info) -> Outcome<Isa> {
        chosen()
    }
    fn compute(&isa: &Isa, context: &Context) -> Outcome<()> {
        let (codes, scale) = (context.input::<i8>(0, "codes")?, context.input::<f32>(1, "scale")?);
        let Some(&n) = codes.shape.last().filter(|&&n| n > 0) else { return Err(format!("codes have the shape {:?}: there are no rows", codes.shape)) };
        if scale.data.len() * n != codes.data.len() {
            return Err(format!("codes and scale have the shapes {:?} and {:?}, not a scale for each row", codes.shape, scale.shape));
        }
        let y = context.output::<f32>(0, &codes.shape)?;
        let size = PIECE.div_ceil(n);
        let rows = codes.data.chunks(size * n).zip(scale.data.chunks(size)).zip(y.chunks_mut(size * n));
        context.each(rows.map(|task| Mutex::new(Some(task))).collect(), &|((codes, scales), y)| dequantize_rows(isa, codes, n, scales, y))
    }
}
