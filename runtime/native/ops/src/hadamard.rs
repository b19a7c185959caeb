//! `Hadamard`, `HadamardQuantize`: rows turned by M ⊗ S, M a small matrix, S the Sylvester Hadamard matrix of 2^power rows.
//!
//! Inputs: x […, n], n a multiple of the block side·2^power; matrix float32 [side, side]. Outputs: y like x; or codes int8 like x and scale float32
//! […, 1]. Attributes: power; scale, what every result is multiplied by; top, the largest code (`HadamardQuantize`).

use crate::api::{Context, Element, Info, Outcome};
use crate::norm::{symmetric, take, Emits};
use crate::op::{chosen, Operator};
use ort_sys::ONNXTensorElementDataType;
use qc_kernels::{hadamard, quantize_rows, Blocks, Isa, Rows};
use std::ffi::CStr;
use std::sync::Mutex;

/// Elements of a task.
const PIECE: usize = 1 << 13;

pub struct Hadamard {
    pub name: &'static CStr,
    pub emits: Emits,
}
pub struct Kernel {
    isa: Isa,
    power: u32,
    scale: f32,
    rows: Option<Rows>,
}

impl Operator for Hadamard {
    type Kernel = Kernel;
    fn name(&self) -> &'static CStr {
        self.name
    }
    fn inputs(&self) -> usize {
        2
    }
    fn outputs(&self) -> &'static [ONNXTensorElementDataType] {
        if self.emits == Emits::Rows { &[i8::TYPE, f32::TYPE] } else { &[f32::TYPE] }
    }
    fn make(&self, info: &Info) -> Outcome<Kernel> {
        let power = info.int(c"power")?;
        let power = u32::try_from(power).ok().filter(|p| *p <= 24).ok_or_else(|| format!("a power of {power}, not from 0 to 24"))?;
        let rows = if self.emits == Emits::Rows { Some(symmetric(info)?) } else { None };
        Ok(Kernel { isa: chosen()?, power, scale: info.float(c"scale")?, rows })
    }

    fn compute(k: &Kernel, context: &Context) -> Outcome<()> {
        let x = context.input::<f32>(0, "x")?;
        let outer = context.input::<f32>(1, "matrix")?;
        let &[side, other] = &outer.shape[..] else { return Err(format!("the matrix has the shape {:?}", outer.shape)) };
        let n = *x.shape.last().unwrap_or(&0);
        let blocks = Blocks { outer: outer.data, side, power: k.power, scale: k.scale };
        if side != other {
            return Err(format!("the matrix has the shape {:?}", outer.shape));
        }
        blocks.check(n)?;
        let size = PIECE.div_ceil(n) * n;
        let Some(rows) = k.rows else {
            let mut y = context.output::<f32>(0, &x.shape)?;
            let tasks: Vec<_> = x.data.chunks(size).map(|x| Mutex::new(Some((x, take(&mut y, size))))).collect();
            return context.each(tasks, &|(x, y)| hadamard(k.isa, &blocks, x, y));
        };
        let mut codes = context.output::<i8>(0, &x.shape)?;
        let mut shape = x.shape.clone();
        shape[x.shape.len() - 1] = 1;
        let mut scales = context.output::<f32>(1, &shape)?;
        let tasks: Vec<_> = x.data.chunks(size).map(|x| Mutex::new(Some((x, take(&mut codes, size), take(&mut scales, size / n))))).collect();
        context.each(tasks, &|(x, codes, scales)| {
            let mut y = vec![0.0; x.len()];
            hadamard(k.isa, &blocks, x, &mut y);
            quantize_rows(k.isa, rows, &y, n, codes, scales);
        })
    }
}
