//! `CachedAffine`: y = a[step]·x + b[step], channel by channel: what a cached feature is corrected by at a step of a sampler (CacheQuant).
//!
//! Inputs: x [batch, …], step int64 of one element, or of one for each of the batch, a and b float32 [steps, channels]. Output: y like x.
//! Attribute axis: that of the channels, from 1 on.

use crate::api::{Context, Element, Outcome};
use crate::info::Info;
use crate::op::{chosen, Operator};
use ort_sys::ONNXTensorElementDataType;
use qc_kernels::{affine, Isa};
use std::ffi::CStr;
use std::sync::Mutex;

pub struct CachedAffine;

impl Operator for CachedAffine {
    type Kernel = (Isa, usize);
    fn name(&self) -> &'static CStr {
        c"CachedAffine"
    }
    fn inputs(&self) -> usize {
        4
    }
    fn input_type(&self, index: usize) -> ONNXTensorElementDataType {
        if index == 1 { i64::TYPE } else { f32::TYPE }
    }
    fn make(&self, info: &Info) -> Outcome<Self::Kernel> {
        let [axis] = info.sizes(c"axis")?;
        Ok((chosen()?, axis))
    }
    fn compute(&(isa, axis): &Self::Kernel, context: &Context) -> Outcome<()> {
        let (x, step) = (context.input::<f32>(0, "x")?, context.input::<i64>(1, "step")?);
        let (a, b) = (context.input::<f32>(2, "a")?, context.input::<f32>(3, "b")?);
        let &[steps, channels] = &a.shape[..] else { return Err(format!("a has the shape {:?}, not two sizes", a.shape)) };
        if a.shape != b.shape || channels == 0 || x.shape.get(axis) != Some(&channels) {
            return Err(format!("x, a and b have the shapes {:?}, {:?} and {:?}, channels on axis {axis}", x.shape, a.shape, b.shape));
        }
        let batch = x.shape[0];
        if step.data.is_empty() || (step.data.len() != 1 && step.data.len() != batch) {
            return Err(format!("{} steps for a batch of {batch}", step.data.len()));
        }
        let known = |&s: &i64| usize::try_from(if s < 0 { s.saturating_add(steps as i64) } else { s }).ok().filter(|&s| s < steps);
        let rows: Option<Vec<usize>> = step.data.iter().map(known).collect();
        let rows = rows.ok_or_else(|| format!("the steps {:?} are not all of {steps}", &step.data[..step.data.len().min(4)]))?;
        let y = context.output::<f32>(0, &x.shape)?;
        if y.is_empty() {
            return Ok(());
        }
        let inner: usize = x.shape[axis + 1..].iter().product();
        let each = y.len() / batch;
        let tasks = x.data.chunks(each).zip(y.chunks_mut(each)).enumerate().map(|task| Mutex::new(Some(task))).collect();
        context.each(tasks, &|(i, (x, y))| {
            let row = rows[if rows.len() == 1 { 0 } else { i }] * channels;
            affine(isa, x, inner, &a.data[row..row + channels], &b.data[row..row + channels], y);
        })
    }
}
