//! `LogSqrt2MatMul4`, `LogSqrt2MatMul6`, `Log2MatMul4`: rows of logarithmic codes times integers, by shifts.
//! Inputs codes int32 […, t, s], v uint8 […, s, d], scale and zero of v (one element, or one a matrix of v), and delta (one element, or […, t, 1];
//! absent: 1); y […, t, d].

use crate::api::{Context, Element, Outcome};
use crate::info::Info;
use crate::op::{chosen, Operator};
use ort_sys::ONNXTensorElementDataType;
use qc_kernels::{levels_row, Isa, Levels};
use std::ffi::CStr;
use std::sync::Mutex;

pub struct LevelsMatMul {
    pub name: &'static CStr,
    pub levels: Levels,
}

impl Operator for LevelsMatMul {
    type Kernel = (Isa, Levels);
    fn name(&self) -> &'static CStr {
        self.name
    }
    fn inputs(&self) -> usize {
        5
    }
    fn required(&self) -> usize {
        4
    }
    fn input_type(&self, index: usize) -> ONNXTensorElementDataType {
        match index {
            0 => i32::TYPE,
            1 | 3 => u8::TYPE,
            _ => f32::TYPE,
        }
    }
    fn make(&self, _: &Info) -> Outcome<Self::Kernel> {
        Ok((chosen()?, self.levels))
    }
    fn compute(&(isa, levels): &Self::Kernel, context: &Context) -> Outcome<()> {
        let (codes, v) = (context.input::<i32>(0, "codes")?, context.input::<u8>(1, "v")?);
        let (scale, zero) = (context.input::<f32>(2, "scale")?.data, context.input::<u8>(3, "zero")?.data);
        let delta = context.optional::<f32>(4, "delta")?;
        let rank = codes.shape.len();
        let (&[.., t, s], &[.., s2, d]) = (&codes.shape[..], &v.shape[..]) else { return Err("codes and v are matrices".into()) };
        if v.shape.len() != rank || s != s2 || codes.shape[..rank - 2] != v.shape[..rank - 2] {
            return Err(format!("codes and v have the shapes {:?} and {:?}", codes.shape, v.shape));
        }
        let blocks: usize = codes.shape[..rank - 2].iter().product();
        if [scale.len(), zero.len()].iter().any(|&n| n != 1 && n != blocks) {
            return Err(format!("scale and zero have {} and {} elements, not 1 or {blocks}", scale.len(), zero.len()));
        }
        if !levels.fits(s) {
            return Err(format!("sums of {s} shifted integers would overflow"));
        }
        let mut shape = codes.shape.clone();
        shape[rank - 1] = 1;
        if delta.as_ref().is_some_and(|x| x.data.len() != 1 && x.shape != shape) {
            return Err(format!("delta has the shape {:?}, not {shape:?} or one element", delta.as_ref().map_or(&[][..], |x| &x.shape)));
        }
        shape[rank - 1] = d;
        let y = context.output::<f32>(0, &shape)?;
        if y.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = y.chunks_mut(d).map(|r| Mutex::new(Some(r))).collect();
        context.parallel(rows.len(), &|i| {
            if let Some(row) = rows[i].lock().ok().and_then(|mut r| r.take()) {
                let block = i / t;
                let one = |x: &[f32], i: usize| if x.len() == 1 { x[0] } else { x[i] };
                let delta = delta.as_ref().map_or(1.0, |x| one(x.data, i));
                let (scale, zero) = (one(scale, block), if zero.len() == 1 { zero[0] } else { zero[block] });
                levels_row(isa, levels, &codes.data[i * s..(i + 1) * s], &v.data[block * s * d..(block + 1) * s * d], zero, delta * scale, row);
            }
        })
    }
}
