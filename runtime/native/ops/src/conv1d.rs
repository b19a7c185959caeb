//! `CausalConv1d`, and `CausalConv1dInt8` whose state goes in and out as int8 codes: a depthwise convolution over time.
//!
//! Inputs: x [batch, time, channels], state [batch, channels, K − 1], weight [K, channels] (float32, or int8 with weight_scale), bias [1] or
//! [channels], weight_scale and x_scale [1] or [channels] (x and the state are rounded by it; [0]: they are not; [2, 1 or channels]: steps, and the lowest codes
//! counted from the zero point).
//! Outputs: y like x, state. Attributes: channels, silu (0 or 1: is y = v·σ(v)?).

use crate::api::{Context, Element, Outcome};
use crate::info::Info;
use crate::op::{chosen, Operator, ANY};
use crate::scan::{port, steps};
use ort_sys::ONNXTensorElementDataType;
use qc_kernels::{conv_task, After, Conv, Data, Isa, Output, State, Weights};
use std::ffi::CStr;

/// So few elements are done by the calling thread.
const SMALL: usize = 1 << 13;

pub struct CausalConv1d {
    pub name: &'static CStr,
    pub codes: bool,
}
pub struct Kernel {
    isa: Isa,
    channels: usize,
    silu: bool,
    codes: bool,
}

impl Operator for CausalConv1d {
    type Kernel = Kernel;
    fn name(&self) -> &'static CStr {
        self.name
    }
    fn inputs(&self) -> usize {
        6
    }
    fn input_type(&self, index: usize) -> ONNXTensorElementDataType {
        match index {
            1 if self.codes => i8::TYPE,
            2 => ANY,
            _ => f32::TYPE,
        }
    }
    fn outputs(&self) -> &'static [ONNXTensorElementDataType] {
        if self.codes { &[f32::TYPE, i8::TYPE] } else { &[f32::TYPE, f32::TYPE] }
    }
    fn make(&self, info: &Info) -> Outcome<Kernel> {
        let silu = info.flag(c"silu")?;
        let channels = usize::try_from(info.int(c"channels")?).map_err(|_| "channels is negative")?;
        Ok(Kernel { isa: chosen()?, channels, silu, codes: self.codes })
    }

    fn compute(&Kernel { isa, channels: told, silu, codes }: &Kernel, context: &Context) -> Outcome<()> {
        let x = context.input::<f32>(0, "x")?;
        let (state, state_shape) = port(context, 1, "state")?;
        let (weight, weight_shape) = port(context, 2, "weight")?;
        let &[batch, time, channels] = &x.shape[..] else { return Err(format!("x has the shape {:?}, not [batch, time, channels]", x.shape)) };
        let &[taps, wide] = &weight_shape[..] else { return Err(format!("weight has the shape {weight_shape:?}, not [taps, channels]")) };
        if wide != channels || channels != told || taps == 0 || state_shape != [batch, channels, taps - 1] {
            return Err(format!("x, the state and weight have the shapes {:?}, {state_shape:?} and {weight_shape:?}, not {told} channels", x.shape));
        }
        let (scale, low) = steps(context, 5, "x_scale", 1)?;
        let c = Conv {
            batch, time, channels, taps, silu,
            x: x.data,
            past: match state {
                Data::Floats(p) => State::Floats(p),
                Data::Codes(p) => State::Codes(p),
            },
            weights: match weight {
                Data::Floats(w) => Weights::Floats(w),
                Data::Codes(w) => Weights::Codes(w, context.input::<f32>(4, "weight_scale")?.data),
            },
            bias: context.input::<f32>(3, "bias")?.data,
            scale, low,
        };
        if matches!(c.past, State::Codes(_)) != codes {
            return Err(format!("the state is not {}", if codes { "int8" } else { "float32" }));
        }
        c.check()?;
        let y = Output::new(context.output(0, &x.shape)?);
        let after = if codes { After::Codes(Output::new(context.output(1, &state_shape)?)) } else { After::Floats(Output::new(context.output(1, &state_shape)?)) };
        if x.data.len() < SMALL {
            (0..c.tasks()).for_each(|i| conv_task(isa, &c, i, &y, &after));
            return Ok(());
        }
        context.parallel(c.tasks(), &|i| conv_task(isa, &c, i, &y, &after))
    }
}
