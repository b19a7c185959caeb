//! `CachedAttention`: softmax(rope(q)·rope(k)ᵀ·scale + bias)·v over a cache.
//!
//! Inputs: q [batch, new, heads·dim], k and v [batch, new, kv_heads·dim], past_key and past_value [batch, kv_heads, past, dim], cos and sin
//! [batch or 1, 1, new, dim] (or of one element: no rotary embedding), bias that broadcasts to [batch, heads, new, past + new].
//! Outputs: y like q, key and value [batch, kv_heads, past + new, dim]. Attributes: heads = [heads, kv_heads, dim], scale.

use crate::api::{Element, Context, Info, Outcome, View};
use crate::op::{chosen, Operator};
use qc_kernels::{append, attend, Attention, Isa, Shared};
use ort_sys::ONNXTensorElementDataType;
use std::ffi::CStr;
use std::sync::Mutex;

/// Rows of a task: enough to use a panel of turned keys well.
const ROWS: usize = 64;

pub struct CachedAttention;
pub struct Kernel {
    isa: Isa,
    heads: [usize; 3],
    scale: f32,
}

impl Operator for CachedAttention {
    type Kernel = Kernel;
    fn name(&self) -> &'static CStr {
        c"CachedAttention"
    }
    fn inputs(&self) -> usize {
        8
    }
    fn outputs(&self) -> &'static [ONNXTensorElementDataType] {
        &[f32::TYPE, f32::TYPE, f32::TYPE]
    }
    fn make(&self, info: &Info) -> Outcome<Kernel> {
        Ok(Kernel { isa: chosen()?, heads: info.sizes(c"heads")?, scale: info.float(c"scale")? })
    }

    fn compute(&Kernel { isa, heads: [heads, kv_heads, dim], scale }: &Kernel, context: &Context) -> Outcome<()> {
        let input = |i, name| context.input::<f32>(i, name);
        let (q, k, v) = (input(0, "q")?, input(1, "k")?, input(2, "v")?);
        let (past_k, past_v) = (input(3, "past_key")?, input(4, "past_value")?);
        let (cos, sin, bias) = (input(5, "cos")?, input(6, "sin")?, input(7, "bias")?);
        let &[batch, new, _] = &q.shape[..] else { return Err(format!("q has the shape {:?}, not three sizes", q.shape)) };
        let &[_, _, past, _] = &past_k.shape[..] else { return Err(format!("past_key has the shape {:?}, not four sizes", past_k.shape)) };
        let width = |x: &View<f32>, n: usize| x.shape.len() == 3 && Some(x.shape[2]) == n.checked_mul(dim);
        if !width(&q, heads) || !width(&k, kv_heads) || !width(&v, kv_heads) {
            return Err(format!("q, k and v have the shapes {:?}, {:?} and {:?}, not {heads}, {kv_heads} and {kv_heads} heads of {dim}", q.shape, k.shape, v.shape));
        }
        if past_v.shape != past_k.shape {
            return Err(format!("past_key and past_value have the shapes {:?} and {:?}", past_k.shape, past_v.shape));
        }
        let (cos, sin) = (angles(&cos, "cos", batch, new, dim)?, angles(&sin, "sin", batch, new, dim)?);
        if cos.is_empty() != sin.is_empty() {
            return Err("one of cos and sin has one element, the other has more".into());
        }
        let total = past.checked_add(new).ok_or("sizes are too large")?;
        let bias_steps = steps(&bias.shape, [batch, heads, new, total])?;
        let nothing = bias.data == [0.0];
        let a = Attention {
            batch, heads, kv_heads, dim, past, new, scale,
            q: q.data, k: k.data, v: v.data, past_k: past_k.data, past_v: past_v.data,
            cos, sin, bias: if nothing { &[] } else { bias.data }, bias_steps,
        };
        a.check()?;
        let y = context.output(0, &q.shape)?;
        let shape = [batch, kv_heads, total, dim];
        let (keys, values) = (context.output(1, &shape)?, context.output(2, &shape)?);
        if keys.is_empty() {
            return Ok(());
        }
        let len = total * dim;
        let parts: Vec<_> = keys.chunks_mut(len).zip(values.chunks_mut(len)).map(Mutex::new).collect();
        context.parallel(parts.len(), &|i| {
            if let Ok(mut part) = parts[i].lock() {
                let (keys, values) = &mut *part;
                append(isa, &a, i / kv_heads, i % kv_heads, keys, values);
            }
        })?;
        drop(parts);
        if y.is_empty() {
            return Ok(());
        }
        let (keys, values): (&[f32], &[f32]) = (keys, values);
        let y = Shared::new(y);
        let blocks = a.rows().div_ceil(ROWS);
        context.parallel(blocks * batch * kv_heads, &|i| {
            let (cache, block) = (i / blocks, i % blocks);
            let rows = block * ROWS..a.rows().min((block + 1) * ROWS);
            let part = cache * len..(cache + 1) * len;
            attend(isa, &a, cache / kv_heads, cache % kv_heads, rows, &keys[part.clone()], &values[part], &y);
        })
    }
}

/// Angles [batch or 1, 1, new, dim]; nothing where there is one element.
fn angles<'a>(x: &View<'a, f32>, name: &str, batch: usize, new: usize, dim: usize) -> Outcome<&'a [f32]> {
    match x.shape[..] {
        [b, 1, n, d] if (b == 1 || b == batch) && n == new && d == dim => Ok(x.data),
        _ if x.data.len() == 1 => Ok(&[]),
        _ => Err(format!("{name} has the shape {:?}, not [{batch} or 1, 1, {new}, {dim}]", x.shape)),
    }
}

/// Steps of a tensor along the axes that it is broadcast to. Errors: it does not broadcast.
fn steps(shape: &[usize], to: [usize; 4]) -> Outcome<[usize; 4]> {
    let fits = shape.len() <= 4 && shape.iter().rev().zip(to.iter().rev()).all(|(&n, &want)| n == want || n == 1);
    if !fits {
        return Err(format!("the bias has the shape {shape:?}, which does not broadcast to {to:?}"));
    }
    let mut steps = [0; 4];
    let mut step = 1;
    for (i, &n) in shape.iter().rev().enumerate() {
        if n != 1 {
            steps[3 - i] = step;
        }
        step *= n;
    }
    Ok(steps)
}
