//! What the inputs and outputs of a session are.

use crate::opened::Opened;
use crate::runtime::{Outcome, Runtime};
use crate::values::number_of;
use napi_derive::napi;
use ort_sys::*;
use std::ffi::{c_char, CStr};
use std::ptr::null_mut;

type TypeOf = unsafe extern "system" fn(*const OrtSession, usize, *mut *mut OrtTypeInfo) -> OrtStatusPtr;

/// ONNX's number of the element type (0: not a tensor, or a type that cannot be passed), sizes (−1: not fixed), names of sizes.
#[napi(object)]
pub struct Described {
    pub element: u32,
    pub dims: Vec<i64>,
    pub symbols: Vec<String>,
}

struct TypeInfo(Runtime, *mut OrtTypeInfo);
impl Drop for TypeInfo {
    fn drop(&mut self) {
        // SAFETY: released once.
        unsafe { (self.0.api.ReleaseTypeInfo)(self.1) }
    }
}

impl Opened {
    pub fn describe(&self, of: TypeOf, i: usize) -> Outcome<Described> {
        let (runtime, api) = (self.runtime, self.runtime.api);
        // SAFETY: `info` belongs to `whole`, which lives to the end; arrays have the lengths that are passed.
        unsafe {
            let mut whole = TypeInfo(runtime, null_mut());
            runtime.check(of(self.session, i, &mut whole.1))?;
            let mut info = std::ptr::null();
            runtime.check((api.CastTypeInfoToTensorInfo)(whole.1, &mut info))?;
            let mut described = Described { element: 0, dims: vec![], symbols: vec![] };
            if info.is_null() {
                return Ok(described);
            }
            let (mut element, mut rank) = (ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED, 0);
            runtime.check((api.GetTensorElementType)(info, &mut element))?;
            runtime.check((api.GetDimensionsCount)(info, &mut rank))?;
            described.element = number_of(element);
            described.dims.resize(rank, 0);
            runtime.check((api.GetDimensions)(info, described.dims.as_mut_ptr(), rank))?;
            let mut symbols = vec![std::ptr::null(); rank];
            runtime.check((api.GetSymbolicDimensions)(info, symbols.as_mut_ptr(), rank))?;
            let name = |&s: &*const c_char| if s.is_null() { String::new() } else { CStr::from_ptr(s).to_string_lossy().into_owned() };
            described.symbols = symbols.iter().map(name).collect();
            Ok(described)
        }
    }
}
