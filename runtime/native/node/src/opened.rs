//! An open session: its names, the values that it holds, its metadata.

use crate::runtime::{text, Outcome, Runtime};
use crate::values::Value;
use ort_sys::*;
use std::collections::HashMap;
use std::ffi::{c_char, CStr};
use std::ptr::null_mut;
use std::sync::{Arc, Mutex};

pub struct Opened {
    pub runtime: Runtime,
    pub session: *mut OrtSession,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub flush: bool,
    values: Mutex<(u32, HashMap<u32, Arc<Value>>)>,
}
// SAFETY: ONNX Runtime's sessions may be used from all threads.
unsafe impl Send for Opened {}
unsafe impl Sync for Opened {}
impl Drop for Opened {
    fn drop(&mut self) {
        // SAFETY: released once, when no run holds it.
        unsafe { (self.runtime.api.ReleaseSession)(self.session) }
    }
}

type NameOf = unsafe extern "system" fn(*const OrtSession, usize, *mut OrtAllocator, *mut *mut c_char) -> OrtStatusPtr;

impl Opened {
    /// Takes a session, and asks for its names. Safety: `session` is alive, of `runtime`, and nobody else's.
    pub unsafe fn new(runtime: Runtime, session: *mut OrtSession, flush: bool) -> Outcome<Opened> {
        let api = runtime.api;
        let mut opened = Opened { runtime, session, inputs: vec![], outputs: vec![], flush, values: Mutex::default() };
        let (mut inputs, mut outputs) = (0, 0);
        runtime.check((api.SessionGetInputCount)(session, &mut inputs))?;
        runtime.check((api.SessionGetOutputCount)(session, &mut outputs))?;
        opened.inputs = (0..inputs).map(|i| opened.name(api.SessionGetInputName, i)).collect::<Outcome<_>>()?;
        opened.outputs = (0..outputs).map(|i| opened.name(api.SessionGetOutputName, i)).collect::<Outcome<_>>()?;
        Ok(opened)
    }

    unsafe fn name(&self, of: NameOf, i: usize) -> Outcome<String> {
        let (mut allocator, mut name) = (null_mut(), null_mut());
        self.runtime.check((self.runtime.api.GetAllocatorWithDefaultOptions)(&mut allocator))?;
        self.runtime.check(of(self.session, i, allocator, &mut name))?;
        let text = CStr::from_ptr(name).to_string_lossy().into_owned();
        self.runtime.check((self.runtime.api.AllocatorFree)(allocator, name.cast()))?;
        Ok(text)
    }

    pub fn hold(&self, value: Value) -> Outcome<u32> {
        let (last, values) = &mut *self.values.lock().map_err(|_| "internal error")?;
        *last = last.checked_add(1).ok_or("too many values")?;
        values.insert(*last, Arc::new(value));
        Ok(*last)
    }
    pub fn held(&self, id: u32) -> Outcome<Arc<Value>> {
        let values = self.values.lock().map_err(|_| "internal error")?;
        values.1.get(&id).cloned().ok_or_else(|| "its tensor was disposed, or belongs to another session".into())
    }
    pub fn forget(&self, id: u32) {
        if let Ok(mut values) = self.values.lock() {
            values.1.remove(&id);
        }
    }

    pub fn metadata(&self, key: &str) -> Outcome<Option<String>> {
        let (runtime, api) = (self.runtime, self.runtime.api);
        let (mut metadata, mut allocator, mut value) = (null_mut(), null_mut(), null_mut());
        // SAFETY: what is made is released.
        unsafe {
            runtime.check((api.GetAllocatorWithDefaultOptions)(&mut allocator))?;
            let key = text(key)?;
            runtime.check((api.SessionGetModelMetadata)(self.session, &mut metadata))?;
            let status = (api.ModelMetadataLookupCustomMetadataMap)(metadata, allocator, key.as_ptr(), &mut value);
            (api.ReleaseModelMetadata)(metadata);
            runtime.check(status)?;
            if value.is_null() {
                return Ok(None);
            }
            let found = CStr::from_ptr(value).to_string_lossy().into_owned();
            runtime.check((api.AllocatorFree)(allocator, value.cast()))?;
            Ok(Some(found))
        }
    }

    pub fn end_profiling(&self) -> Outcome<String> {
        let (runtime, api) = (self.runtime, self.runtime.api);
        let (mut allocator, mut path) = (null_mut(), null_mut());
        // SAFETY: the name is released.
        unsafe {
            runtime.check((api.GetAllocatorWithDefaultOptions)(&mut allocator))?;
            runtime.check((api.SessionEndProfiling)(self.session, allocator, &mut path))?;
            let found = CStr::from_ptr(path).to_string_lossy().into_owned();
            runtime.check((api.AllocatorFree)(allocator, path.cast()))?;
            Ok(found)
        }
    }
}
