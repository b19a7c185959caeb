//! One run of a session: bytes in, bytes out.

use crate::session::{Opened, Outcome, Runtime};
use napi::bindgen_prelude::*;
use napi_derive::napi;
use ort_sys::*;
use std::ffi::{c_void, CString};
use std::ptr::{null, null_mut};

/// An input: ONNX's number of the element type, the shape, little-endian bytes.
#[napi(object)]
pub struct Feed {
    pub name: String,
    pub element: u32,
    pub dims: Vec<i64>,
    pub data: Uint8Array,
}

#[napi(object)]
pub struct Fetched {
    pub element: u32,
    pub dims: Vec<i64>,
    pub data: Uint8Array,
}

type Element = ONNXTensorElementDataType;

/// Element types of whole bytes that Node passes: ONNX's number, width, ONNX Runtime's name.
const ELEMENTS: [(u32, usize, Element); 12] = [
    (1, 4, Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT),
    (2, 1, Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8),
    (3, 1, Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8),
    (4, 2, Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16),
    (5, 2, Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16),
    (6, 4, Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32),
    (7, 8, Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64),
    (9, 1, Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL),
    (10, 2, Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16),
    (11, 8, Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE),
    (12, 4, Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32),
    (13, 8, Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64),
];

/// ONNX's number of an element type; 0 for one that cannot be passed.
pub fn number_of(element: Element) -> u32 {
    ELEMENTS.iter().find(|e| e.2 == element).map_or(0, |e| e.0)
}

/// Values that are released on every way out.
struct Values(Runtime, Vec<*mut OrtValue>);
impl Drop for Values {
    fn drop(&mut self) {
        for &v in self.1.iter().filter(|v| !v.is_null()) {
            // SAFETY: released once.
            unsafe { (self.0.api.ReleaseValue)(v) }
        }
    }
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> Outcome<Vec<CString>> {
    names.map(|n| CString::new(n.as_str()).map_err(|_| "a name has a zero character".to_string())).collect()
}

pub fn run(opened: &Opened, feeds: &mut [Feed], fetch: &[String]) -> Outcome<Vec<Fetched>> {
    let runtime = opened.runtime;
    let api = runtime.api;
    let mut inputs = Values(runtime, vec![]);
    for feed in feeds.iter_mut() {
        inputs.1.push(value(runtime, feed)?);
    }
    let mut outputs = Values(runtime, vec![null_mut(); fetch.len()]);
    let (input_names, output_names) = (names(feeds.iter().map(|f| &f.name))?, names(fetch.iter())?);
    let pointers = |n: &[CString]| n.iter().map(|n| n.as_ptr()).collect::<Vec<_>>();
    let (input_names, output_names) = (pointers(&input_names), pointers(&output_names));
    let given: Vec<*const OrtValue> = inputs.1.iter().map(|v| v.cast_const()).collect();
    // SAFETY: all arrays have the lengths that are passed and live during the call.
    runtime.check(unsafe {
        let (n, m) = (given.len(), fetch.len());
        (api.Run)(opened.session, null(), input_names.as_ptr(), given.as_ptr(), n, output_names.as_ptr(), m, outputs.1.as_mut_ptr())
    })?;
    outputs.1.iter().zip(fetch).map(|(&v, name)| fetched(runtime, v).map_err(|e| format!("output \"{name}\": {e}"))).collect()
}

/// A tensor over the feed's own bytes.
fn value(runtime: Runtime, feed: &mut Feed) -> Outcome<*mut OrtValue> {
    let fault = |what: &str| format!("input \"{}\": {what}", feed.name);
    let &(_, width, element) = ELEMENTS.iter().find(|e| e.0 == feed.element).ok_or_else(|| fault("its type cannot be passed"))?;
    let count = feed.dims.iter().try_fold(1usize, |n, &d| n.checked_mul(usize::try_from(d).ok()?));
    if count.and_then(|n| n.checked_mul(width)) != Some(feed.data.len()) {
        return Err(fault(&format!("{} bytes are not a tensor of shape {:?}", feed.data.len(), feed.dims)));
    }
    let (mut memory, mut value) = (null_mut(), null_mut());
    // SAFETY: the bytes outlive the run; JavaScript leaves them alone until the promise settles.
    unsafe {
        runtime.check((runtime.api.CreateCpuMemoryInfo)(OrtAllocatorType::OrtDeviceAllocator, OrtMemType::OrtMemTypeDefault, &mut memory))?;
        let data = feed.data.as_mut().as_mut_ptr().cast::<c_void>();
        let made =
            (runtime.api.CreateTensorWithDataAsOrtValue)(memory, data, feed.data.len(), feed.dims.as_ptr(), feed.dims.len(), element, &mut value);
        (runtime.api.ReleaseMemoryInfo)(memory);
        runtime.check(made)?;
    }
    Ok(value)
}

fn fetched(runtime: Runtime, value: *mut OrtValue) -> Outcome<Fetched> {
    let api = runtime.api;
    // SAFETY: `value` is alive; the description is released before its checks are looked at.
    unsafe {
        let mut info = null_mut();
        runtime.check((api.GetTensorTypeAndShape)(value, &mut info))?;
        let (mut element, mut rank, mut count) = (Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED, 0, 0);
        let checks = [
            (api.GetTensorElementType)(info, &mut element),
            (api.GetDimensionsCount)(info, &mut rank),
            (api.GetTensorShapeElementCount)(info, &mut count),
        ];
        let mut dims = vec![0i64; rank];
        let shape = (api.GetDimensions)(info, dims.as_mut_ptr(), rank);
        (api.ReleaseTensorTypeAndShapeInfo)(info);
        for status in checks.into_iter().chain([shape]) {
            runtime.check(status)?;
        }
        let &(number, width, _) = ELEMENTS.iter().find(|e| e.2 == element).ok_or("its type cannot be passed")?;
        let mut data = null_mut();
        runtime.check((api.GetTensorMutableData)(value, &mut data))?;
        let bytes = if count == 0 { vec![] } else { std::slice::from_raw_parts(data.cast::<u8>(), count * width).to_vec() };
        Ok(Fetched { element: number, dims, data: bytes.into() })
    }
}
