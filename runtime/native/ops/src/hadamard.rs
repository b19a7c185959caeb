//! `Hadamard`, `HadamardQuantize`, `HadamardQuantizeAsymmetric`, `HadamardQuantizeStatic`: rows turned by S ⊗ M, S the Sylvester Hadamard matrix, M a matrix of a given order.
//!
//! Inputs: x […, n]; left float32 [a, a] and right [b, b], with left ⊗ right = S ⊗ M up to a factor: left is a Sylvester matrix, right one ⊗ M. n is a
//! multiple of a·b, whose blocks are turned; step of one element (`Static`). Outputs: y like x; or codes int8 like x and scale float32 […, 1]; or codes.
//! Attributes: order, that of M; top; or lo and hi; or lo, hi and zero, as norms and `QuantizeRows` have them.

use crate::api::{Context, Outcome, View};
use crate::emits::{Emits, Format};
use crate::info::Info;
use crate::op::{chosen, Operator};
use ort_sys::ONNXTensorElementDataType;
use qc_kernels::{hadamard, is_over, quantize_rows, quantize_steps, Blocks, Isa, Normed};
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
    /// The matrices are constants and were found to be what they have to be.
    known: bool,
}

/// Are the matrices a Sylvester matrix, and one over a matrix of that order?
fn fits(left: &View<'_, f32>, right: &View<'_, f32>, order: usize) -> Outcome<()> {
    let square = |m: &View<'_, f32>| matches!(m.shape[..], [a, b] if a == b).then(|| m.shape[0]);
    let both = square(left).zip(square(right)).filter(|&(a, b)| is_over(left.data, a, 1) && is_over(right.data, b, order));
    both.map(|_| ()).ok_or_else(|| {
        format!("left and right of the shapes {:?} and {:?} are no Hadamard matrix over one of order {order}", left.shape, right.shape)
    })
}

impl Operator for Hadamard {
    type Kernel = Kernel;
    fn name(&self) -> &'static CStr {
        self.name
    }
    fn inputs(&self) -> usize {
        3 + self.emits.inputs()
    }
    fn outputs(&self) -> &'static [ONNXTensorElementDataType] {
        self.emits.outputs()
    }
    fn make(&self, info: &Info) -> Outcome<Kernel> {
        let order = info.int(c"order")?;
        let order = usize::try_from(order).ok().filter(|n| (1..=4096).contains(n)).ok_or_else(|| format!("an order of {order}, not from 1 to 4096"))?;
        let constants = info.constant::<f32>(1, "left")?.zip(info.constant::<f32>(2, "right")?);
        if let Some((left, right)) = &constants {
            fits(left, right, order)?;
        }
        Ok(Kernel { isa: chosen()?, order, format: Format::read(self.emits, info)?, known: constants.is_some() })
    }

    fn compute(k: &Kernel, context: &Context) -> Outcome<()> {
        let x = context.input::<f32>(0, "x")?;
        let (left, right) = (context.input::<f32>(1, "left")?, context.input::<f32>(2, "right")?);
        if !k.known {
            fits(&left, &right, k.order)?;
        }
        let (a, b) = (left.shape[0], right.shape[0]);
        let times = a * b / k.order;
        let n = *x.shape.last().unwrap_or(&0);
        let blocks = Blocks { matrix: right.data, stride: b, order: k.order, power: times.trailing_zeros(), scale: left.data[0] };
        blocks.check(n)?;
        let size = PIECE.div_ceil(n) * n;
        let turned = |x: &[f32]| {
            let mut y = vec![0.0; x.len()];
            hadamard(k.isa, &blocks, x, &mut y);
            y
        };
        k.format.places(context, &x.shape, size / n, 3, |places| {
            let tasks = x.data.chunks(size).zip(places).map(|task| Mutex::new(Some(task))).collect();
            context.each(tasks, &|(x, to)| match to {
                Normed::Floats(y) => hadamard(k.isa, &blocks, x, y),
                Normed::Rows { rows, codes, scales } => quantize_rows(k.isa, rows, &turned(x), n, codes, scales),
                Normed::Steps { step, zero, lo, hi, codes } => quantize_steps(k.isa, &turned(x), (step, zero), lo, hi, codes),
                // No operator of this kind has it.
                Normed::Picked { .. } => {}
            })
        })
    }
}
