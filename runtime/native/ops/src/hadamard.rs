//! `Hadamard`, `HadamardQuantize`: rows turned by S ⊗ M, S the Sylvester Hadamard matrix, M a matrix of a given order.
//!
//! Inputs: x […, n]; left float32 [a, a] and right [b, b], with left ⊗ right = S ⊗ M up to a factor: left is a Sylvester matrix, right one ⊗ M. n is a
//! multiple of a·b, whose blocks are turned. Outputs: y like x; or codes int8 like x and scale float32 […, 1].
//! Attributes: order, that of M; top, the largest code (`HadamardQuantize`).

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
    order: usize,
    rows: Option<Rows>,
}

impl Operator for Hadamard {
    type Kernel = Kernel;
    fn name(&self) -> &'static CStr {
        self.name
    }
    fn inputs(&self) -> usize {
        3
    }
    fn outputs(&self) -> &'static [ONNXTensorElementDataType] {
        if self.emits == Emits::Rows { &[i8::TYPE, f32::TYPE] } else { &[f32::TYPE] }
    }
    fn make(&self, info: &Info) -> Outcome<Kernel> {
        let order = info.int(c"order")?;
        let order = usize::try_from(order).ok().filter(|n| (1..=4096).contains(n)).ok_or_else(|| format!("an order of {order}, not from 1 to 4096"))?;
        let rows = if self.emits == Emits::Rows { Some(symmetric(info)?) } else { None };
        Ok(Kernel { isa: chosen()?, order, rows })
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
