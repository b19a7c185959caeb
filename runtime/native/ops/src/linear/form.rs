//! The list of the family's operators, and what each of them reads.

use crate::api::Element;
use crate::op::ANY;
use ort_sys::ONNXTensorElementDataType;
use qc_kernels::{Coding, WIDTHS};

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Input {
    Float,
    /// Floats that are rounded to int8, one scale a row.
    Rows,
    /// int8 codes with their scales.
    Codes,
}

/// How the scales of float codes lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scales {
    /// float32.
    Wide,
    /// uint8: e8m0, powers of two.
    Powers,
    /// uint8: e4m3, under the float32 of the input `outer`.
    Blocks,
}

/// Weights of float codes: their name, coding and scales.
#[derive(Debug, Clone, Copy)]
pub struct FloatCodes {
    name: &'static str,
    pub coding: Coding,
    pub scales: Scales,
}

const FLOAT_CODES: [FloatCodes; 5] = [
    FloatCodes { name: "F4", coding: Coding::E2m1, scales: Scales::Wide },
    FloatCodes { name: "MXF4", coding: Coding::E2m1, scales: Scales::Powers },
    FloatCodes { name: "NVF4", coding: Coding::E2m1, scales: Scales::Blocks },
    FloatCodes { name: "F8E4M3", coding: Coding::E4m3, scales: Scales::Wide },
    FloatCodes { name: "F8E5M2", coding: Coding::E5m2, scales: Scales::Wide },
];

/// One operator of the family.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// Weights of float codes; their activations are floats.
    pub float: Option<FloatCodes>,
    pub bits: usize,
    pub progressive: bool,
    pub input: Input,
    pub gated: bool,
    /// y in int8.
    pub codes: bool,
}

/// Inputs that all have.
pub const COMMON: usize = 8;

impl Form {
    /// The list: an operator for each. A session pays for every one of them when it is made, so what can be said by an input of one element is no form.
    pub fn all() -> impl Iterator<Item = Form> {
        let floats = FLOAT_CODES.into_iter().map(|f| Form { float: Some(f), bits: 0, progressive: false, input: Input::Float, gated: false, codes: false });
        let weights = WIDTHS.into_iter().map(|bits| (bits, false)).chain([(4, true)]);
        let weights = weights.flat_map(|(bits, progressive)| {
            let form = move |(input, gated, codes)| Form { float: None, bits, progressive, input, gated, codes };
            let of_codes = [(false, false), (true, false), (false, true), (true, true)].map(|(gated, codes)| (Input::Codes, gated, codes));
            [(Input::Float, false, false), (Input::Rows, false, false)].into_iter().chain(of_codes).map(form)
        });
        weights.chain(floats)
    }

    pub fn name(&self) -> String {
        if let Some(float) = self.float {
            return format!("Linear{}", float.name);
        }
        let weight = if self.progressive { 'P' } else { 'W' };
        let input = match self.input {
            Input::Float => "",
            Input::Rows => "A8",
            Input::Codes => "C8",
        };
        format!("Linear{weight}{}{input}{}{}", self.bits, if self.gated { "Gated" } else { "" }, if self.codes { "Codes" } else { "" })
    }

    pub fn inputs(&self) -> usize {
        let outer = self.float.is_some_and(|f| f.scales == Scales::Blocks);
        COMMON + usize::from(outer) + 2 * usize::from(self.input == Input::Codes) + usize::from(self.progressive) + usize::from(self.gated) + usize::from(self.codes)
    }
    pub fn input_type(&self, index: usize) -> ONNXTensorElementDataType {
        let codes = self.input == Input::Codes;
        match index {
            0 if codes => i8::TYPE,
            1 | 3 => u8::TYPE,
            2 if self.float.is_some_and(|f| f.scales != Scales::Wide) => u8::TYPE,
            7 => ANY,
            9 if codes => i8::TYPE,
            i if self.progressive && i == COMMON + 2 * usize::from(codes) => u8::TYPE,
            _ => f32::TYPE,
        }
    }
}
