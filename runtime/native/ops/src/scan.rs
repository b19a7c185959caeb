//! `SelectiveScan`, and `SelectiveScanInt8` whose state goes in and out as int8 codes.
//!
//! Inputs: state [batch, channels, states], channels split or not; x, z [batch, time, channels], dt [batch, time, channels or heads], B, C
//! [batch, time, groups·states]; A [states, channels] (Mamba 1) or [1, heads] (Mamba 2); D [channels] or [heads], as A;
//! then steps: state_scale [1, 1] or [states, channels]; x_scale, dt_scale, B_scale, C_scale, z_scale [1] or one a position; gate_scale.
//! A port of floats with a step is rounded by it, one of int8 codes is multiplied; the step [0] says that there is none. z [1]: no gate.
//! Outputs: y like x, state. Attributes: heads = [heads (Mamba 1: 1), groups of them that share B and C], softplus (0 or 1: is Δ = ln(1 + e^dt)?).

use crate::api::{Context, Element, Info, Outcome, View};
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

/// Steps; none where there is one that is 0.
pub fn steps<'a>(context: &'a Context, index: usize, name: &str) -> Outcome<&'a [f32]> {
    let data = context.input::<f32>(index, name)?.data;
    Ok(if data == [0.0] { &[] } else { data })
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
        let scale = |i, name| steps(context, i, name);
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
        let floats = |data| Port { data, scale: &[] };
        let gated = z.1 != [1];
        let s = Scan {
            batch, time, heads, width, states, groups, per_head, softplus,
            x: Port { scale: scale(9, "x_scale")?, ..floats(x.0) },
            dt: Port { scale: scale(10, "dt_scale")?, ..floats(dt.0) },
            b: Port { scale: scale(11, "B_scale")?, ..floats(b.0) },
            c: Port { scale: scale(12, "C_scale")?, ..floats(c.0) },
            z: if gated { Port { scale: scale(13, "z_scale")?, ..floats(z.0) } } else { Port::floats(&[]) },
            gate: context.input::<f32>(14, "gate_scale")?.data,
            a: a.data, skip: skip.data,
            past: match state.0 {
                Data::Floats(p) => State::Floats(p),
                Data::Codes(p) => State::Codes(p),
            },
            scale: scale(8, "state_scale")?,
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
