//! Values of a session: over JavaScript's bytes, in ONNX Runtime's memory, or in memory of ours that the next step may grow into.

use crate::runtime::{Outcome, Runtime};
use ort_sys::*;
use std::alloc::{alloc_zeroed, dealloc, Layout};
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::Arc;

pub type Element = ONNXTensorElementDataType;

/// Element types that Node passes: ONNX's number, bits, ONNX Runtime's name.
const ELEMENTS: [(u32, usize, Element); 14] = [
    (1, 32, Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT),
    (2, 8, Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8),
    (3, 8, Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8),
    (4, 16, Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16),
    (5, 16, Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16),
    (6, 32, Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32),
    (7, 64, Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64),
    (9, 8, Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL),
    (10, 16, Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16),
    (11, 64, Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE),
    (12, 32, Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32),
    (13, 64, Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64),
    (21, 4, Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT4),
    (22, 4, Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT4),
];

/// ONNX's number of an element type; 0 for one that cannot be passed.
pub fn number_of(element: Element) -> u32 {
    ELEMENTS.iter().find(|e| e.2 == element).map_or(0, |e| e.0)
}

/// The bytes of a tensor and its element type. Errors: a type that cannot be passed, a shape that is none.
fn bytes_of(number: u32, dims: &[i64]) -> Outcome<(usize, Element)> {
    let &(_, bits, element) = ELEMENTS.iter().find(|e| e.0 == number).ok_or("its type cannot be passed")?;
    let count = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(usize::try_from(d).ok()?));
    let bits = count.and_then(|n| n.checked_mul(bits)).ok_or_else(|| format!("{dims:?} is no shape"))?;
    Ok((bits.div_ceil(8), element))
}

/// Zeroed memory at a multiple of 64 bytes.
pub struct Memory {
    at: *mut u8,
    layout: Layout,
}
// SAFETY: only an address; runs that write it are ordered by their caller.
unsafe impl Send for Memory {}
unsafe impl Sync for Memory {}
impl Memory {
    fn new(len: usize) -> Outcome<Memory> {
        let layout = Layout::from_size_align(len.max(64), 64).map_err(|_| "too large")?;
        // SAFETY: the size is not zero.
        let at = unsafe { alloc_zeroed(layout) };
        if at.is_null() { Err(format!("no memory for {len} bytes")) } else { Ok(Memory { at, layout }) }
    }
}
impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, freed once.
        unsafe { dealloc(self.at, self.layout) }
    }
}

pub struct Value {
    runtime: Runtime,
    pub value: *mut OrtValue,
    memory: Option<Arc<Memory>>,
}
// SAFETY: ONNX Runtime's values may be read from all threads.
unsafe impl Send for Value {}
unsafe impl Sync for Value {}
impl Drop for Value {
    fn drop(&mut self) {
        if !self.value.is_null() {
            // SAFETY: released once.
            unsafe { (self.runtime.api.ReleaseValue)(self.value) }
        }
    }
}

impl Value {
    /// What a run made; null where it made nothing.
    pub fn made(runtime: Runtime, value: *mut OrtValue) -> Value {
        Value { runtime, value, memory: None }
    }

    /// A tensor over bytes that outlive it.
    pub fn over(runtime: Runtime, data: &mut [u8], number: u32, dims: &[i64]) -> Outcome<Value> {
        let (bytes, element) = bytes_of(number, dims)?;
        if bytes != data.len() {
            return Err(format!("{} bytes are not a tensor of shape {dims:?}", data.len()));
        }
        // SAFETY: as the caller promises.
        unsafe { Self::tensor(runtime, data.as_mut_ptr(), bytes, element, dims, None) }
    }

    /// A tensor in memory that belongs to it: `past`'s own where it has room, else new memory with room to grow.
    pub fn grown(runtime: Runtime, past: Option<&Value>, number: u32, dims: &[i64]) -> Outcome<Value> {
        let (bytes, element) = bytes_of(number, dims)?;
        let memory = match past.and_then(|p| p.memory.as_ref()) {
            Some(memory) if memory.layout.size() >= bytes => memory.clone(),
            _ => Arc::new(Memory::new(bytes.checked_mul(3).ok_or("too large")? / 2)?),
        };
        // SAFETY: the memory is kept by the value.
        unsafe { Self::tensor(runtime, memory.at, bytes, element, dims, Some(memory.clone())) }
    }

    unsafe fn tensor(runtime: Runtime, at: *mut u8, len: usize, element: Element, dims: &[i64], memory: Option<Arc<Memory>>) -> Outcome<Value> {
        let (mut info, mut value) = (null_mut(), null_mut());
        runtime.check((runtime.api.CreateCpuMemoryInfo)(OrtAllocatorType::OrtDeviceAllocator, OrtMemType::OrtMemTypeDefault, &mut info))?;
        let made = (runtime.api.CreateTensorWithDataAsOrtValue)(info, at.cast::<c_void>(), len, dims.as_ptr(), dims.len(), element, &mut value);
        (runtime.api.ReleaseMemoryInfo)(info);
        runtime.check(made)?;
        Ok(Value { runtime, value, memory })
    }

    /// ONNX's number of the element type, the shape, the bytes.
    pub fn read(&self) -> Outcome<(u32, Vec<i64>, &[u8])> {
        let api = self.runtime.api;
        // SAFETY: the value is alive; the description is released before its checks are looked at.
        unsafe {
            let mut info = null_mut();
            self.runtime.check((api.GetTensorTypeAndShape)(self.value, &mut info))?;
            let (mut element, mut rank) = (Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED, 0);
            let checks = [(api.GetTensorElementType)(info, &mut element), (api.GetDimensionsCount)(info, &mut rank)];
            let mut dims = vec![0i64; rank];
            let shape = (api.GetDimensions)(info, dims.as_mut_ptr(), rank);
            (api.ReleaseTensorTypeAndShapeInfo)(info);
            for status in checks.into_iter().chain([shape]) {
                self.runtime.check(status)?;
            }
            let number = number_of(element);
            let (len, _) = bytes_of(number, &dims)?;
            let mut data = null_mut();
            self.runtime.check((api.GetTensorMutableData)(self.value, &mut data))?;
            let bytes = if len == 0 { &[][..] } else { std::slice::from_raw_parts(data.cast::<u8>(), len) };
            Ok((number, dims, bytes))
        }
    }
}
