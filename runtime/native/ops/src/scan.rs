//! `SelectiveScan`, and `SelectiveScanInt8` whose state goes in and out as int8 codes.
//!
//! Inputs: state [batch, channels, states], channels split or not; x, z [batch, time, channels], dt [batch, time, channels or heads], B, C
//! [batch, time, groups·states]; A [states, channels] (Mamba 1) or [1, heads] (Mamba 2); D [channels] or [heads], as A;
//! then steps: state_scale [1, 1] or [states, channels]; x_scale, dt_scale, B_scale, C_scale, z_scale [1] or one a position; gate_scale.
//! Two rows of steps ([2, …] instead of […]) are steps and lowest codes, counted from the zero point (−128 where there is one row).
//! A port of floats with a step is rounded by it, one of int8 codes is multiplied; the step [0] says that there is none. z [1]: no gate.
//! Outputs: y like x, state. Attributes: heads = [heads (Mamba 1: 1), groups of them that share B and C], softplus (0 or 1: is Δ = ln(1 + e^dt)?).

use crate::api::{Context, Element, Outcome, View};
use crate::info::Info;
use crate::op::{chosen, Operator, ANY};
use ort_sys::ONNXTensorElementDataType;
use qc_kernels::{scan_task, After, Data, Isa, Output, Port, Scan, State};
use std::ffi::CStr;

/// So few state elements times steps are done by the calling thread.
const SMALL: usize = 1 << 15;

pub struct SelectiveScan {
    pub name: &'static CStr,
    pub codes: bool,
}
pub struct Kernel {
    isa: Isa,
    heads: usize,
    groups: usize,
    softplus: bool,
    codes: bool,
}

/// Floats or int8 codes, and their shape.
pub fn port<'a>(context: &'a Context, index: usize, name: &str) -> Outcome<(Data<'a>, Vec<usize>)> {
    if context.element(index, name)? == i8::TYPE {
        let View { data, shape } = context.input::<i8>(index, name)?;
        return Ok((Data::Codes(data), shape));
    }
    let View { data, shape } = context.input::<f32>(index, name).map_err(|e| format!("{e} or int8"))?;
    Ok((Data::Floats(data), shape))
}

/// Steps, and the lowest codes under them; neither where the steps are 0. `axes`: of the steps alone; one more in front has the lowest codes second.
pub fn steps<'a>(context: &'a Context, index: usize, name: &str, axes: usize) -> Outcome<(&'a [f32], &'a [f32])> {
    let View { data, shape } = context.input::<f32>(index, name)?;
    let (scale, low) = if shape.len() <= axes {
        (data, &data[..0])
    } else if shape.len() == axes + 1 && shape[0] == 2 {
        data.split_at(data.len() / 2)
    } else {
        return Err(format!("{name} has the shape {shape:?}: {axes} axes of steps, or 2 rows of them, the second the lowest codes"));
    };
    // Bytes hold 256 codes, zero among them.
    if let Some(bad) = low.iter().find(|&&l| !(-255.0..=0.0).contains(&l) || l.fract() != 0.0) {
        return Err(format!("{name}: the lowest code {bad} is no integer from −255 to 0"));
    }
    Ok(if scale == [0.0] { (&[], &[]) } else { (scale, low) })
}

/// A port under its steps.
fn stepped<'a>(context: &'a Context, index: usize, name: &str, data: Data<'a>) -> Outcome<Port<'a>> {
    let (scale, low) = steps(context, index, name, 1)?;
    Ok(Port { data, scale, low })
}

impl Operator for SelectiveScan {
    type Kernel = Kernel;
    fn name(&self) -> &'static CStr {
        self.name
    }
    fn inputs(&self) -> usize {
        15
    }
    /// Ports are floats or codes.
    fn input_type(&self, index: usize) -> ONNXTensorElementDataType {
        match index {
            0 if self.codes => i8::TYPE,
            1..=5 => ANY,
            _ => f32::TYPE,
        }
    }
    fn outputs(&self) -> &'static [ONNXTensorElementDataType] {
        if self.codes { &[f32::TYPE, i8::TYPE] } else { &[f32::TYPE, f32::TYPE] }
    }
    fn make(&self, info: &Info) -> Outcome<Kernel> {
        let [heads, groups] = info.sizes(c"heads")?;
        let softplus = info.flag(c"softplus")?;
        Ok(Kernel { isa: chosen()?, heads, groups, softplus, codes: self.codes })
    }

    fn compute(&Kernel { isa, heads, groups, softplus, codes }: &Kernel, context: &Context) -> Outcome<()> {
        let port = |index, name| port(context, index, name);
        let (state, x, dt, b, c, z) = (port(0, "state")?, port(1, "x")?, port(2, "dt")?, port(3, "B")?, port(4, "C")?, port(5, "z")?);
        let (a, skip) = (context.input::<f32>(6, "A")?, context.input::<f32>(7, "D")?);
        let &[_, .., states] = &state.1[..] else { return Err(format!("the state has the shape {:?}, not [batch, channels, states]", state.1)) };
        let channels: usize = state.1[1..state.1.len() - 1].iter().product();
        let per_head = a.shape == [1, heads];
        if channels % heads != 0 || !(per_head || heads == 1 && a.shape == [states, channels]) {
            return Err(format!("A has the shape {:?}, not [1, {heads}]{}", a.shape, if heads == 1 { format!(" or [{states}, {channels}]") } else { String::new() }));
        }
        let width = channels / heads;
        let &[batch, time, ..] = &x.1[..] else { return Err(format!("x has the shape {:?}, not [batch, time, channels]", x.1)) };
        for (name, shape) in [("dt", &dt.1), ("B", &b.1), ("C", &c.1)] {
            if shape.len() < 2 || shape[..2] != [batch, time] {
                return Err(format!("{name} has the shape {shape:?}, x {:?}: not one batch and time", x.1));
            }
        }
        if state.1[0] != batch {
            return Err(format!("the state has the shape {:?}, x {:?}: not one batch", state.1, x.1));
        }
        let (scale, low) = steps(context, 8, "state_scale", 2)?;
        let gated = z.1 != [1];
        let s = Scan {
            batch, time, heads, width, states, groups, per_head, softplus,
            x: stepped(context, 9, "x_scale", x.0)?,
            dt: stepped(context, 10, "dt_scale", dt.0)?,
            b: stepped(context, 11, "B_scale", b.0)?,
            c: stepped(context, 12, "C_scale", c.0)?,
            z: if gated { stepped(context, 13, "z_scale", z.0)? } else { Port::floats(&[]) },
            gate: context.input::<f32>(14, "gate_scale")?.data,
            a: a.data, skip: skip.data,
            past: match state.0 {
                Data::Floats(p) => State::Floats(p),
                Data::Codes(p) => State::Codes(p),
            },
            scale, low,
        };
        if gated && s.z.is_empty() && !s.x.is_empty() {
            return Err(format!("z has the shape {:?}", z.1));
        }
        if matches!(s.past, State::Codes(_)) != codes {
            return Err(format!("the state is not {}", if codes { "int8" } else { "float32" }));
        }
        s.check()?;
        let y = Output::new(context.output(0, &x.1)?);
        let after = if codes { After::Codes(Output::new(context.output(1, &state.1)?)) } else { After::Floats(Output::new(context.output(1, &state.1)?)) };
        let work = time.saturating_mul(batch * heads * width * states);
        if work < SMALL {
            (0..s.tasks()).for_each(|i| scan_task(isa, &s, i, &y, &after));
            return Ok(());
        }
        context.parallel(s.tasks(), &|i| scan_task(isa, &s, i, &y, &after))
    }
}
