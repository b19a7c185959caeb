//! `SiluMul`: y = gate · σ(gate) · up; inputs of one shape.
//! `SiLUScaled`: y = x · σ(s·x); inputs x […, n] and s [n] or [1].

use crate::api::{Context, Outcome};
use crate::info::Info;
use crate::op::{chosen, Operator};
use qc_kernels::{silu_mul, silu_scaled, Isa};
use std::ffi::CStr;
use std::sync::Mutex;

/// Elements of a task.
const PIECE: usize = 1 << 14;

/// Calls `f` with pieces of y, a multiple of `unit` elements each, and where they begin.
fn pieces(context: &Context, y: &mut [f32], unit: usize, f: &(dyn Fn(usize, &mut [f32]) + Sync)) -> Outcome<()> {
    let size = PIECE.div_ceil(unit) * unit;
    if y.len() <= size {
        f(0, y);
        return Ok(());
    }
    let parts: Vec<_> = y.chunks_mut(size).map(Mutex::new).collect();
    context.parallel(parts.len(), &|i| {
        if let Ok(mut part) = parts[i].lock() {
            f(i * size, &mut part);
        }
    })
}

pub struct SiluMul;
impl Operator for SiluMul {
    type Kernel = Isa;
    fn name(&self) -> &'static CStr {
        c"SiluMul"
    }
    fn inputs(&self) -> usize {
        2
    }
    fn make(&self, _: &Info) -> Outcome<Isa> {
        chosen()
    }
    fn compute(&isa: &Isa, context: &Context) -> Outcome<()> {
        let (gate, up) = (context.input::<f32>(0, "gate")?, context.input::<f32>(1, "up")?);
        if gate.shape != up.shape {
            return Err(format!("gate and up have the shapes {:?} and {:?}", gate.shape, up.shape));
        }
        let y = context.output(0, &gate.shape)?;
        pieces(context, y, 1, &|at, y| silu_mul(isa, &gate.data[at..at + y.len()], &up.data[at..at + y.len()], y))
    }
}

pub struct SiLUScaled;
impl Operator for SiLUScaled {
    type Kernel = Isa;
    fn name(&self) -> &'static CStr {
        c"SiLUScaled"
    }
    fn inputs(&self) -> usize {
        2
    }
    fn make(&self, _: &Info) -> Outcome<Isa> {
        chosen()
    }
    fn compute(&isa: &Isa, context: &Context) -> Outcome<()> {
        let (x, scale) = (context.input::<f32>(0, "x")?, context.input::<f32>(1, "scale")?.data);
        if scale.is_empty() || (scale.len() > 1 && x.shape.last() != Some(&scale.len())) {
            return Err(format!("x has the shape {:?}, its last size is not that of scale, {}", x.shape, scale.len()));
        }
        let y = context.output(0, &x.shape)?;
        pieces(context, y, scale.len(), &|at, y| silu_scaled(isa, &x.data[at..at + y.len()], scale, y))
    }
}
