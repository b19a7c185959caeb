//! `Hadamard`, `HadamardQuantize`, `HadamardQuantizeAsymmetric`, `HadamardQuantizeStatic`: rows turned by S ⊗ M, S the Sylvester Hadamard matrix, M a matrix of a given order.
//!
//! Inputs: x […, n]; left float32 [a, a] and right [b, b], with left ⊗ right = S ⊗ M up to a factor: left is a Sylvester matrix, right one ⊗ M. n is a
//! multiple of a·b, whose blocks are turned; step of one element (`Static`). Outputs: y like x; or codes int8 like x and scale float32 […, 1]; or codes.
//! Attributes: order, that of M; top; or lo and hi; or lo, hi and zero, as norms and `QuantizeRows` have them.

use crate::api::{Context, Element, Info, Outcome};
use crate::norm::{step, take, Emits, Format};
use crate::op::{chosen, Operator};
use ort_sys::ONNXTensorElementDataType;
use qc_kernels::{hadamard, quantize_rows, quantize_steps, Blocks, Isa};
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
    order: usize,
    format: Format,
}

impl Operator for Hadamard {
    type Kernel = Kernel;
    fn name(&self) -> &'static CStr {
        self.name
    }
    fn inputs(&self) -> usize {
        if self.emits == Emits::Steps { 4 } else { 3 }
    }
    fn outputs(&self) -> &'static [ONNXTensorElementDataType] {
        match self.emits {
            Emits::Floats => &[f32::TYPE],
            Emits::Rows | Emits::Asymmetric => &[i8::TYPE, f32::TYPE],
            Emits::Steps => &[i8::TYPE],
        }
    }
    fn make(&self, info: &Info) -> Outcome<Kernel> {
        let order = info.int(c"order")?;
        let order = usize::try_from(order).ok().filter(|n| (1..=4096).contains(n)).ok_or_else(|| format!("an order of {order}, not from 1 to 4096"))?;
        Ok(Kernel { isa: chosen()?, order, format: Format::read(self.emits, info)? })
    }

    fn compute(k: &Kernel, context: &Context) -> Outcome<()> {
        let x = context.input::<f32>(0, "x")?;
        let (left, right) = (context.input::<f32>(1, "left")?, context.input::<f32>(2, "right")?);
        let (&[a, a2], &[b, b2]) = (&left.shape[..], &right.shape[..]) else {
            return Err(format!("left and right have the shapes {:?} and {:?}", left.shape, right.shape));
        };
        let times = a.checked_mul(b).filter(|n| *n > 0 && a == a2 && b == b2 && b % k.order == 0).map_or(0, |n| n / k.order);
        if !times.is_power_of_two() {
            return Err(format!("left and right of the shapes {:?} and {:?} are no Hadamard matrix over one of order {}", left.shape, right.shape, k.order));
        }
        let n = *x.shape.last().unwrap_or(&0);
        let blocks = Blocks { matrix: right.data, stride: b, order: k.order, power: times.trailing_zeros(), scale: left.data[0] };
        blocks.check(n)?;
        let size = PIECE.div_ceil(n) * n;
        let turned = |x: &[f32]| {
            let mut y = vec![0.0; x.len()];
            hadamard(k.isa, &blocks, x, &mut y);
            y
        };
        match k.format {
            Format::Floats => {
                let mut y = context.output::<f32>(0, &x.shape)?;
                let tasks: Vec<_> = x.data.chunks(size).map(|x| Mutex::new(Some((x, take(&mut y, size))))).collect();
                context.each(tasks, &|(x, y)| hadamard(k.isa, &blocks, x, y))
            }
            Format::Rows(rows) => {
                let mut codes = context.output::<i8>(0, &x.shape)?;
                let mut shape = x.shape.clone();
                shape[x.shape.len() - 1] = 1;
                let mut scales = context.output::<f32>(1, &shape)?;
                let tasks: Vec<_> = x.data.chunks(size).map(|x| Mutex::new(Some((x, take(&mut codes, size), take(&mut scales, size / n))))).collect();
                context.each(tasks, &|(x, codes, scales)| quantize_rows(k.isa, rows, &turned(x), n, codes, scales))
            }
            Format::Steps { lo, hi, zero } => {
                let by = step(context.input::<f32>(3, "step")?.data)?;
                let mut codes = context.output::<i8>(0, &x.shape)?;
                let tasks: Vec<_> = x.data.chunks(size).map(|x| Mutex::new(Some((x, take(&mut codes, size))))).collect();
                context.each(tasks, &|(x, codes)| quantize_steps(k.isa, &turned(x), (by, zero), lo, hi, codes))
            }
        }
    }
}
