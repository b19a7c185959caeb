//! `Attention`: softmax(q·kᵀ·scale + bias)·v without a cache; queries and keys may be of different sequences.
//!
//! Inputs: q [batch, queries, …], k and v [batch, keys, …], of which the columns from at = [of q, of k, of v] on are [heads·dim], [kv_heads·dim]
//! twice (a projection that yields all three is given three times), bias that broadcasts to [batch, heads, queries, keys].
//! Output: y [batch, queries, heads·dim]. Attributes: heads = [heads, kv_heads, dim], at, scale. A row whose scores are all −∞ is 0.

use crate::api::{Context, Outcome, View};
use crate::cache::steps;
use crate::info::Info;
use crate::op::{chosen, Operator};
use qc_kernels::{attend, Columns, Isa, Output, Queries};
use std::ffi::CStr;

/// The most rows of a task: each goes once through all keys, which lie on a page each where heads are parts of wide rows.
const ROWS: usize = 512;
/// So many tasks are enough for the threads of a session.
const TASKS: usize = 16;

pub struct Attention;
pub struct Kernel {
    isa: Isa,
    heads: [usize; 3],
    at: [usize; 3],
    scale: f32,
}

impl Operator for Attention {
    type Kernel = Kernel;
    fn name(&self) -> &'static CStr {
        c"Attention"
    }
    fn inputs(&self) -> usize {
        4
    }
    fn make(&self, info: &Info) -> Outcome<Kernel> {
        Ok(Kernel { isa: chosen()?, heads: info.sizes(c"heads")?, at: info.counts(c"at")?, scale: info.float(c"scale")? })
    }

    fn compute(k: &Kernel, context: &Context) -> Outcome<()> {
        let [heads, kv_heads, dim] = k.heads;
        let (q, keys, values, bias) = (context.input::<f32>(0, "q")?, context.input::<f32>(1, "k")?, context.input::<f32>(2, "v")?, context.input::<f32>(3, "bias")?);
        let part = |x: &View<'_, f32>, name: &str, at: usize, heads: usize| -> Outcome<[usize; 3]> {
            let wide = heads.checked_mul(dim).and_then(|n| n.checked_add(at));
            match x.shape[..] {
                [batch, rows, width] if wide.is_some_and(|n| n <= width) => Ok([batch, rows, width]),
                _ => Err(format!("{name} has the shape {:?}, not three sizes with {heads} heads of {dim} from column {at} on", x.shape)),
            }
        };
        let [batch, new, width] = part(&q, "q", k.at[0], heads)?;
        let [key_batch, total, key_width] = part(&keys, "k", k.at[1], kv_heads)?;
        let [value_batch, value_total, value_width] = part(&values, "v", k.at[2], kv_heads)?;
        if key_batch != batch || value_batch != batch || value_total != total || total == 0 {
            return Err(format!("q, k and v have the shapes {:?}, {:?} and {:?}", q.shape, keys.shape, values.shape));
        }
        let bias_steps = steps(&bias.shape, [batch, heads, new, total])?;
        let columns = |data, step, i: usize| Columns { data, step, at: k.at[i] };
        let all = Queries {
            batch, heads, kv_heads, dim, new, total,
            scale: k.scale,
            q: columns(q.data, width, 0),
            cos: &[],
            sin: &[],
            bias: if bias.data == [0.0] { &[] } else { bias.data },
            bias_steps,
        };
        all.check()?;
        let (keys, values) = (columns(keys.data, key_width, 1), columns(values.data, value_width, 2));
        let y = context.output(0, &[batch, new, heads * dim])?;
        if y.is_empty() {
            return Ok(());
        }
        let y = Output::new(y);
        let rows = all.rows();
        let least = rows.div_ceil(ROWS).max(TASKS.div_ceil(batch * kv_heads)).min(rows.div_ceil(12));
        let size = rows.div_ceil(least).next_multiple_of(12);
        let blocks = rows.div_ceil(size);
        context.parallel(blocks * batch * kv_heads, &|i| {
            let (at, block) = (i / blocks, i % blocks);
            let (b, head) = (at / kv_heads, at % kv_heads);
            let [keys, values] = [keys, values].map(|x| x.from(b * total * x.step + head * dim));
            attend(k.isa, &all, b, head, block * size..rows.min((block + 1) * size), keys, values, &y);
        })
    }
}
