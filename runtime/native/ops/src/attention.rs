//! `CachedAttention…`: softmax(rope(q)·rope(k)ᵀ·scale + bias)·v over a cache in floats, float16 or codes.
//!
//! Inputs: q [batch, new, heads·dim], k and v [batch, new, kv_heads·dim], past_key and past_value [batch, kv_heads, past, dim], cos and sin
//! [batch or 1, 1, new, dim] (or of one element: no rotary embedding), bias that broadcasts to [batch, heads, new, past + new].
//! Outputs: y like q, key and value [batch, kv_heads, past + new, dim]. Attributes: heads = [heads, kv_heads, dim], scale.
//! Caches in codes have uint8 [.., dim] (or [.., dim / 2]: two codes a byte) and beside them scales float32 and, with zero points, zeros uint8
//! [batch, kv_heads, past, 1]: inputs and outputs behind the others, that of the key first. Attributes lo, hi, shift (and top, middle without zeros).

use crate::api::{Context, Element, Half, Outcome, View};
use crate::cache::{angles, grow, steps, with_floats, Shards};
use crate::info::Info;
use crate::op::{chosen, Operator};
use ort_sys::ONNXTensorElementDataType;
use qc_kernels::{append, attend, decode_rows, encode_rows, from_half, round_rows, to_half, Attention, Columns, Fit, Isa, Output, RowCodes};
use std::ffi::CStr;

/// Rows of a task: enough to use panels of keys and values well.
const ROWS: usize = 384;

/// What a cache holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Store {
    Floats,
    /// Floats that are rounded to codes and back whenever they are read.
    Rounded,
    Half,
    Codes { packed: bool },
}

pub struct CachedAttention {
    pub name: &'static CStr,
    pub store: Store,
    /// Codes with zero points.
    pub zeros: bool,
}
pub struct Kernel {
    isa: Isa,
    heads: [usize; 3],
    scale: f32,
    store: Store,
    codes: Option<RowCodes>,
}

const F: ONNXTensorElementDataType = f32::TYPE;
const B: ONNXTensorElementDataType = u8::TYPE;

impl Operator for CachedAttention {
    type Kernel = Kernel;
    fn name(&self) -> &'static CStr {
        self.name
    }
    fn inputs(&self) -> usize {
        match self.store {
            Store::Codes { .. } if self.zeros => 12,
            Store::Codes { .. } => 10,
            _ => 8,
        }
    }
    fn input_type(&self, index: usize) -> ONNXTensorElementDataType {
        match (self.store, index) {
            (Store::Half, 3 | 4) => Half::TYPE,
            (Store::Codes { .. }, 3 | 4 | 10 | 11) => B,
            _ => F,
        }
    }
    fn outputs(&self) -> &'static [ONNXTensorElementDataType] {
        match self.store {
            Store::Floats | Store::Rounded => &[F, F, F],
            Store::Half => &[F, Half::TYPE, Half::TYPE],
            Store::Codes { .. } if self.zeros => &[F, B, B, F, F, B, B],
            Store::Codes { .. } => &[F, B, B, F, F],
        }
    }
    fn make(&self, info: &Info) -> Outcome<Kernel> {
        let heads: [usize; 3] = info.sizes(c"heads")?;
        let packed = self.store == Store::Codes { packed: true };
        let codes = match self.store {
            Store::Floats | Store::Half => None,
            _ => {
                let fit = if self.zeros { Fit::Zeros } else { Fit::Symmetric { top: info.float(c"top")?, middle: info.float(c"middle")? } };
                let c = RowCodes { lo: info.float(c"lo")?, hi: info.float(c"hi")?, shift: info.float(c"shift")?, fit, packed };
                c.check(heads[2])?;
                Some(c)
            }
        };
        Ok(Kernel { isa: chosen()?, heads, scale: info.float(c"scale")?, store: self.store, codes })
    }

    fn compute(kernel: &Kernel, context: &Context) -> Outcome<()> {
        let &Kernel { isa, heads: [heads, kv_heads, dim], scale, store, codes } = kernel;
        let input = |i, name| context.input::<f32>(i, name);
        let (q, k, v) = (input(0, "q")?, input(1, "k")?, input(2, "v")?);
        let (cos, sin, bias) = (input(5, "cos")?, input(6, "sin")?, input(7, "bias")?);
        let (shape, value_shape) = (context.shape(3, "past_key")?, context.shape(4, "past_value")?);
        let &[batch, new, _] = &q.shape[..] else { return Err(format!("q has the shape {:?}, not three sizes", q.shape)) };
        let &[_, _, past, _] = &shape[..] else { return Err(format!("past_key has the shape {shape:?}, not four sizes")) };
        let width = |x: &View<f32>, n: usize| x.shape.len() == 3 && Some(x.shape[2]) == n.checked_mul(dim);
        if !width(&q, heads) || !width(&k, kv_heads) || !width(&v, kv_heads) {
            return Err(format!("q, k and v have the shapes {:?}, {:?} and {:?}, not {heads}, {kv_heads} and {kv_heads} heads of {dim}", q.shape, k.shape, v.shape));
        }
        let bytes = codes.filter(|_| store != Store::Rounded).map_or(dim, |c| c.bytes(dim));
        if shape != [batch, kv_heads, past, bytes] || value_shape != shape {
            return Err(format!("past_key and past_value have the shapes {shape:?} and {value_shape:?}, not {:?}", [batch, kv_heads, past, bytes]));
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
            q: q.data, k: k.data, v: v.data,
            cos, sin, bias: if nothing { &[] } else { bias.data }, bias_steps,
        };
        a.check()?;
        let y = context.output(0, &q.shape)?;
        let outside = [batch, kv_heads, total, bytes];
        let all = batch * kv_heads;
        let fresh = past * dim..total * dim;
        match store {
            Store::Floats | Store::Rounded => {
                let (keys, values) = (grow::<f32>(context, 3, 1, "past_key", &outside)?, grow::<f32>(context, 4, 2, "past_value", &outside)?);
                context.parallel(all, &|i| {
                    // SAFETY: each task has a head of its own.
                    let (keys, values) = unsafe { (keys.part(i, fresh.clone()), values.part(i, fresh.clone())) };
                    append(isa, &a, i / kv_heads, i % kv_heads, keys, values);
                })?;
                let (keys, values) = (keys.done(), values.done());
                let len = total * dim;
                let head = |i: usize| (&keys[i * len..(i + 1) * len], &values[i * len..(i + 1) * len]);
                let Some(c) = codes else {
                    return results(context, isa, &a, y, &|i, f| {
                        let (k, v) = head(i);
                        f(k, v)
                    });
                };
                let rounded = |i: usize, f: &mut dyn FnMut(&[f32], &[f32])| {
                    with_floats(len, |k, v| {
                        let (keys, values) = head(i);
                        k.copy_from_slice(keys);
                        v.copy_from_slice(values);
                        round_rows(isa, &c, dim, k);
                        round_rows(isa, &c, dim, v);
                        f(k, v);
                    });
                };
                results(context, isa, &a, y, &|i, f| rounded(i, &mut |k, v| f(k, v)))
            }
            Store::Half => {
                let (keys, values) = (grow::<Half>(context, 3, 1, "past_key", &outside)?, grow::<Half>(context, 4, 2, "past_value", &outside)?);
                context.parallel(all, &|i| {
                    with_floats(new * dim, |k, v| {
                        append(isa, &a, i / kv_heads, i % kv_heads, k, v);
                        // SAFETY: each task has a head of its own.
                        unsafe {
                            to_half(k, Half::bits_mut(keys.part(i, fresh.clone())));
                            to_half(v, Half::bits_mut(values.part(i, fresh.clone())));
                        }
                    });
                })?;
                let (keys, values) = (Half::bits(keys.done()), Half::bits(values.done()));
                let len = total * dim;
                results(context, isa, &a, y, &|i, f| {
                    with_floats(len, |k, v| {
                        from_half(&keys[i * len..(i + 1) * len], k);
                        from_half(&values[i * len..(i + 1) * len], v);
                        f(k, v);
                    });
                })
            }
            Store::Codes { .. } => {
                let c = codes.ok_or("its codes are not known")?;
                let sides = [Side::open(context, 0, &c, &outside)?, Side::open(context, 1, &c, &outside)?];
                context.parallel(all, &|i| {
                    with_floats(new * dim, |k, v| {
                        append(isa, &a, i / kv_heads, i % kv_heads, k, v);
                        for (side, x) in sides.iter().zip([&*k, &*v]) {
                            // SAFETY: each task has a head of its own.
                            let (codes, scales, zeros) = unsafe { (side.codes.part(i, past * bytes..total * bytes), side.scales.part(i, past..total), side.zeros(i, past..total)) };
                            encode_rows(isa, &c, dim, x, codes, scales, zeros);
                        }
                    });
                })?;
                results(context, isa, &a, y, &|i, f| {
                    with_floats(total * dim, |k, v| {
                        for (side, x) in sides.iter().zip([&mut *k, &mut *v]) {
                            // SAFETY: nobody writes any more.
                            let (codes, scales, zeros) = unsafe { (side.codes.part(i, 0..total * bytes), side.scales.part(i, 0..total), side.zeros(i, 0..total)) };
                            decode_rows(isa, &c, dim, codes, scales, zeros, x);
                        }
                        f(k, v);
                    });
                })
            }
        }
    }
}

/// The codes of keys (0) or values (1), their scales and zeros.
struct Side<'a> {
    codes: Shards<'a, u8>,
    scales: Shards<'a, f32>,
    zeros: Option<Shards<'a, u8>>,
}

impl<'a> Side<'a> {
    fn open(context: &'a Context, which: usize, c: &RowCodes, shape: &[usize; 4]) -> Outcome<Side<'a>> {
        let names = [["past_key", "past_key_scale", "past_key_zero"], ["past_value", "past_value_scale", "past_value_zero"]][which];
        let one = [shape[0], shape[1], shape[2], 1];
        let zeros = if c.fit == Fit::Zeros { Some(grow(context, 10 + which, 5 + which, names[2], &one)?) } else { None };
        Ok(Side { codes: grow(context, 3 + which, 1 + which, names[0], shape)?, scales: grow(context, 8 + which, 3 + which, names[1], &one)?, zeros })
    }
    /// SAFETY: as [`Shards::part`].
    #[allow(clippy::mut_from_ref)]
    unsafe fn zeros(&self, head: usize, range: std::ops::Range<usize>) -> &mut [u8] {
        match &self.zeros {
            Some(z) => unsafe { z.part(head, range) },
            None => &mut [],
        }
    }
}

/// Calls its second argument with the keys and values of a head.
type Head<'a> = &'a (dyn Fn(usize, &dyn Fn(&[f32], &[f32])) + Sync);

fn results(context: &Context, isa: Isa, a: &Attention, y: &mut [f32], head: Head) -> Outcome<()> {
    if y.is_empty() {
        return Ok(());
    }
    let y = Output::new(y);
    let (all, dim) = (a.queries(), a.dim);
    let blocks = all.rows().div_ceil(ROWS);
    context.parallel(blocks * a.batch * a.kv_heads, &|i| {
        let (cache, block) = (i / blocks, i % blocks);
        let rows = block * ROWS..all.rows().min((block + 1) * ROWS);
        let (b, h) = (cache / a.kv_heads, cache % a.kv_heads);
        head(cache, &|keys, values| attend(isa, &all, b, h, rows.clone(), Columns::whole(keys, dim), Columns::whole(values, dim), &y));
    })
}
