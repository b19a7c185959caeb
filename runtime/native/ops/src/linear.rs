//! The linear family: y = (x·Wᵀ + h·U + bias)·silu(gate) + residual with W in layout 1 (docs/layouts.md).
//!
//! `Linear` + weight (`W2` … `W8`; `P4`: progressive) + input (none: float; `A8`: float, rounded to int8 by the row; `C8`: int8 codes)
//! + of C8 `Gated`, `Codes`.
//! Inputs: x […, K]; codes uint8 [panels, steps / 4, 16·bits]; scales float32 [panels, groups, 32] (P4: [panels, 1, 32]); zeros uint8
//! [panels, groups, 32] or [1, 1, 1]; bias float32 [N] or [1]; residual float32 like y, or one 0; h float32 […, R] and up float16 or float32
//! [panels, R, 32], or one 0 each; then, where the name says so, in this order: C8: x_scale float32 and x_zero int8, one, one a row, or several
//! a row, each for as many steps; P4: steps uint8 [panels, groups, 32]; Gated: gate float32, like y; Codes: y_scale float32, one.
//! Weights of float codes read floats: `LinearF4` (e2m1), `LinearMXF4`, `LinearNVF4` (scales uint8: e8m0; e4m3, with the last input outer float32, one),
//! `LinearF8E4M3`, `LinearF8E5M2`. They do not read `zeros`.
//! Attributes: shape [K, N], group, layout.

mod form;
mod pack;

pub use form::{Form, Input};

use crate::api::{Context, Element, Half, Outcome, View};
use crate::info::Info;
use crate::op::{chosen, Operator};
use form::{FloatCodes, Scales, COMMON};
use pack::Buffers;
use ort_sys::ONNXTensorElementDataType;
use qc_kernels::*;
use std::ffi::{CStr, CString};
use std::sync::Mutex;

/// The newest weight layout that this library reads.
pub const LAYOUT: i64 = 1;
/// Bytes of activations of a task: they stay in the second-level cache. Tile registers are fed from there whole panels at a time, and want fewer of them.
const BLOCK: usize = 1 << 20;
const TALL: usize = 5 << 18;

pub struct Linear {
    name: CString,
    form: Form,
}

impl Linear {
    pub fn new(form: Form) -> Linear {
        Linear { name: CString::new(form.name()).unwrap_or_default(), form }
    }
}

pub struct Kernel {
    isa: Isa,
    form: Form,
    k: usize,
    n: usize,
    group: usize,
    /// Buffers of finished calls, for the next.
    spare: Mutex<Vec<Buffers>>,
    /// Sums of the columns, and the group that they are of: for activations with zero points.
    columns: Mutex<Option<(usize, std::sync::Arc<Vec<i32>>)>>,
}

/// What x comes as.
enum Activations<'a> {
    Float(&'a [f32]),
    Rows(&'a [f32]),
    Codes { codes: &'a [i8], spans: usize, scales: &'a [f32], zeros: Option<&'a [i8]> },
}

impl Operator for Linear {
    type Kernel = Kernel;
    fn name(&self) -> &CStr {
        &self.name
    }
    fn inputs(&self) -> usize {
        self.form.inputs()
    }
    fn input_type(&self, index: usize) -> ONNXTensorElementDataType {
        self.form.input_type(index)
    }
    fn outputs(&self) -> &'static [ONNXTensorElementDataType] {
        if self.form.codes { &[i8::TYPE] } else { &[f32::TYPE] }
    }

    fn variant(&self, isa: Isa) -> Isa {
        if self.form.input == Input::Float { isa.below_tiles() } else { isa }
    }

    fn make(&self, info: &Info) -> Outcome<Kernel> {
        let layout = info.int(c"layout")?;
        if layout != LAYOUT {
            return Err(format!("its weights have layout {layout}, this library reads layout {LAYOUT}: install the version of qrecipe that wrote the model"));
        }
        let [k, n] = info.sizes(c"shape")?;
        let group = info.int(c"group")?;
        let group = usize::try_from(group).map_err(|_| format!("a group of {group}"))?;
        Ok(Kernel { isa: chosen()?, form: self.form, k, n, group, spare: Mutex::default(), columns: Mutex::default() })
    }

    fn compute(kernel: &Kernel, context: &Context) -> Outcome<()> {
        let Form { bits, progressive, input, gated, codes: to_codes, .. } = kernel.form;
        let codes = context.input::<u8>(1, "codes")?;
        let zeros = context.input::<u8>(3, "zeros")?.data;
        let bias = context.input::<f32>(4, "bias")?.data;
        let mut next = COMMON..kernel.form.inputs();
        let mut next = || next.next().unwrap_or_default();
        let zeros = if zeros.len() == 1 { Zeros::One(zeros[0]) } else { Zeros::Each(zeros) };
        let (k, n, group) = (kernel.k, kernel.n, kernel.group);
        let scaled = (input == Input::Codes).then(|| (next(), next()));
        let wide = || context.input::<f32>(2, "scales").map(|s| s.data);
        let weight = if let Some(float) = kernel.form.float {
            float_codes(kernel, context, float, codes.data)?
        } else if progressive {
            let scales = wide()?;
            Weight::progressive(k, n, group, codes.data, scales, zeros, context.input::<u8>(next(), "steps")?.data)?
        } else {
            Weight::new(k, n, bits, group, codes.data, wide()?, zeros)?
        };
        let (x, mut shape) = match scaled {
            None => {
                let x = context.input::<f32>(0, "x")?;
                (if input == Input::Rows { Activations::Rows(x.data) } else { Activations::Float(x.data) }, x.shape)
            }
            Some((scale, zero)) => {
                let x = context.input::<i8>(0, "x")?;
                let (scale, zero) = (context.input::<f32>(scale, "x_scale")?, context.input::<i8>(zero, "x_zero")?);
                (with_scales(&weight, x.data, &scale, &zero)?, x.shape)
            }
        };
        if shape.last() != Some(&k) {
            return Err(format!("x has the shape {shape:?}, its last size is not K = {k}"));
        }
        shape.pop();
        let rows: usize = shape.iter().product();
        let repeated;
        let bias = match bias {
            [0.0] => None,
            [b] => {
                repeated = vec![*b; n];
                Some(&repeated[..])
            }
            b if b.len() == n => Some(b),
            b => return Err(format!("the bias has {} values, not N = {n} or 1", b.len())),
        };
        let branch = low_rank(context, rows, n)?;
        shape.push(n);
        let like_y = |index, name| {
            let v = context.input::<f32>(index, name)?;
            if v.shape == shape { Ok(v.data) } else { Err(format!("{name} has the shape {:?}, not that of y, {shape:?}", v.shape)) }
        };
        let residual = if context.input::<f32>(5, "residual")?.data == [0.0] { None } else { Some(like_y(5, "residual")?) };
        let gate = if gated { Some(like_y(next(), "gate")?) } else { None };
        let finish = Finish { bias, branch, gate, residual };
        if to_codes {
            let scale = context.input::<f32>(kernel.form.inputs() - 1, "y_scale")?.data;
            let &[scale] = scale else { return Err(format!("y_scale has {} values, not one", scale.len())) };
            let y = Results::Codes(Output::new(context.output(0, &shape)?), scale);
            return kernel.run(context, &weight, x, rows, &finish, &y);
        }
        let y = Results::new(context.output(0, &shape)?);
        kernel.run(context, &weight, x, rows, &finish, &y)
    }
}

/// A weight of float codes.
fn float_codes<'a>(kernel: &Kernel, context: &'a Context, float: FloatCodes, codes: &'a [u8]) -> Outcome<Weight<'a>> {
    let (k, n, group) = (kernel.k, kernel.n, kernel.group);
    if float.scales == Scales::Wide {
        return Weight::floats(k, n, float.coding, group, codes, context.input::<f32>(2, "scales")?.data, None);
    }
    let scales = context.input::<u8>(2, "scales")?.data;
    let narrow = if float.scales == Scales::Powers {
        NarrowScales::Powers(scales)
    } else {
        match context.input::<f32>(COMMON, "outer")?.data {
            &[outer] => NarrowScales::Floats(scales, outer),
            outer => return Err(format!("outer has {} values, not one", outer.len())),
        }
    };
    Weight::floats(k, n, float.coding, group, codes, &[], Some(narrow))
}

/// Codes under one scale, one a row, or several a row for as many steps each.
fn with_scales<'a>(w: &Weight, codes: &'a [i8], scale: &View<'a, f32>, zero: &View<'a, i8>) -> Outcome<Activations<'a>> {
    let (rows, k, count) = (codes.len() / w.k, w.k, scale.data.len());
    let spans = if count == 1 { 1 } else { count.checked_div(rows).unwrap_or(1) };
    if count != 1 && (spans == 0 || spans * rows != count) {
        return Err(format!("x_scale has {count} values, not one, or as many for each of the {rows} rows"));
    }
    let zeros = match zero.data {
        [0] => None,
        z if z.len() == 1 || z.len() == count => Some(z),
        z => return Err(format!("x_zero has {} values, not one, or as many as x_scale, {count}", z.len())),
    };
    let span = k / spans;
    let meets = span % w.group == 0 || w.group % span == 0;
    if spans > 1 && (k % spans != 0 || span % DEPTH != 0 || !meets || w.depth() != k) {
        return Err(format!("{spans} scales a row of {k} do not meet groups of {}: one must divide the other", w.group));
    }
    if spans > 1 && w.steps.is_some() {
        return Err("progressive weights take one scale a row".into());
    }
    Ok(Activations::Codes { codes, spans, scales: scale.data, zeros })
}

/// The branch h·U; none where h is one 0.
fn low_rank<'a>(context: &'a Context, rows: usize, n: usize) -> Outcome<Option<Branch<'a>>> {
    let h = context.input::<f32>(6, "h")?;
    if h.data == [0.0] {
        return Ok(None);
    }
    let rank = h.shape.last().copied().unwrap_or(0);
    let factor = if context.element(7, "up")? == Half::TYPE {
        Factor::Half(Half::bits(context.input::<Half>(7, "up")?.data))
    } else {
        Factor::Float(context.input::<f32>(7, "up")?.data)
    };
    let want = n.checked_next_multiple_of(COLUMNS).and_then(|n| n.checked_mul(rank));
    if h.data.len() != rows * rank || Some(factor.len()) != want {
        return Err(format!("h of the shape {:?} and up of {} values are no branch of {rows} rows to N = {n}", h.shape, factor.len()));
    }
    Ok(Some(Branch { rank, h: h.data, up: factor }))
}

impl Kernel {
    fn run(&self, context: &Context, weight: &Weight, x: Activations, rows: usize, finish: &Finish, y: &Results) -> Outcome<()> {
        if rows == 0 {
            return Ok(());
        }
        let size = if self.form.input == Input::Float { 4 * weight.depth() } else { weight.depth() };
        let bytes = if self.form.input != Input::Float && self.isa != self.isa.below_tiles() { TALL } else { BLOCK };
        let block = (bytes / size / Tiling::BORDER).max(1) * Tiling::BORDER;
        let tasks = rows.div_ceil(block) * weight.panels();
        let task = |i: usize| {
            let from = i / weight.panels() * block;
            Task { panel: i % weight.panels(), rows: from..rows.min(from + block) }
        };
        if let Activations::Float(x) = x {
            let mut held = self.spare.lock().map(|mut s| s.pop()).ok().flatten().unwrap_or_default();
            let x = self.pack_floats(context, x, &mut held.floats)?;
            let outcome = context.parallel(tasks, &|i| float_task(self.isa, weight, x, finish, y, &task(i)));
            if let Ok(mut spare) = self.spare.lock() {
                spare.push(held);
            }
            return outcome;
        }
        let spans = if let Activations::Codes { spans, .. } = x { spans } else { 1 };
        let group = if spans == 1 { weight.group } else { weight.group.min(self.k / spans) };
        let tiling = Tiling::of(self.isa, group);
        let mut buffers = self.spare.lock().map(|mut s| s.pop()).ok().flatten().unwrap_or_default();
        let lowest = self.pack(context, tiling, group, weight, &x, rows, &mut buffers)?;
        let with_zeros = matches!(x, Activations::Codes { zeros: Some(_), .. });
        let columns = if with_zeros { self.columns(context, weight, group)? } else { Default::default() };
        let Buffers { codes, scales, zeros, starts, .. } = &buffers;
        let codes = &codes.codes()[..rows * weight.depth()];
        let tiles = Tiles { tiling, depth: weight.depth(), group, codes, spans, scales, zeros: with_zeros.then_some(zeros), starts, lowest };
        context.parallel(tasks, &|i| int8_task(self.isa, weight, &tiles, &columns, finish, y, &task(i)))?;
        if let Ok(mut spare) = self.spare.lock() {
            spare.push(buffers);
        }
        Ok(())
    }
}
