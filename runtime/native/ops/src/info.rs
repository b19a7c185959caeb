//! What a kernel is made with: the attributes of its node, and those inputs that are constants of the model.

use crate::api::{Api, Element, Outcome, View};
use ort_sys::*;
use std::ffi::{c_void, CStr};

/// Attributes of the node that a kernel is made for.
pub struct Info {
    pub api: Api,
    pub info: *const OrtKernelInfo,
}

impl Info {
    pub fn int(&self, name: &CStr) -> Outcome<i64> {
        let mut value = 0;
        // SAFETY: `info` is alive during the kernel's creation.
        let status = unsafe { (self.api.0.KernelInfoGetAttribute_int64)(self.info, name.as_ptr(), &mut value) };
        self.api.check(status).map_err(|_| format!("the integer attribute \"{}\" is missing", name.to_string_lossy()))?;
        Ok(value)
    }
    /// An integer that is 0 or 1.
    pub fn flag(&self, name: &CStr) -> Outcome<bool> {
        match self.int(name)? {
            0 => Ok(false),
            1 => Ok(true),
            n => Err(format!("{} is {n}, not 0 or 1", name.to_string_lossy())),
        }
    }
    /// Input `index` where it is a constant of the model, which the session keeps; nothing where it is not. Errors: not a tensor of T.
    pub fn constant<T: Element>(&self, index: usize, name: &str) -> Outcome<Option<View<'_, T>>> {
        let (mut constant, mut value) = (0, std::ptr::null());
        // SAFETY: as above; a constant lives as long as the session.
        unsafe {
            self.api.check((self.api.0.KernelInfoGetConstantInput_tensor)(self.info, index, &mut constant, &mut value))?;
            if constant == 0 || value.is_null() { Ok(None) } else { self.api.view(value, name).map(Some) }
        }
    }
    pub fn float(&self, name: &CStr) -> Outcome<f32> {
        let mut value = 0.0;
        // SAFETY: as above.
        let status = unsafe { (self.api.0.KernelInfoGetAttribute_float)(self.info, name.as_ptr(), &mut value) };
        self.api.check(status).map_err(|_| format!("the float attribute \"{}\" is missing", name.to_string_lossy()))?;
        Ok(value)
    }
    /// N sizes of at least 1.
    pub fn sizes<const N: usize>(&self, name: &CStr) -> Outcome<[usize; N]> {
        self.integers(name, 1)
    }
    /// N integers of at least 0.
    pub fn counts<const N: usize>(&self, name: &CStr) -> Outcome<[usize; N]> {
        self.integers(name, 0)
    }
    fn integers<const N: usize>(&self, name: &CStr, least: i64) -> Outcome<[usize; N]> {
        let mut values = [0i64; N];
        let mut len = N;
        // SAFETY: as above; at most `len` values are written.
        let status = unsafe { (self.api.0.KernelInfoGetAttributeArray_int64)(self.info, name.as_ptr(), values.as_mut_ptr(), &mut len) };
        let name = name.to_string_lossy();
        self.api.check(status).map_err(|_| format!("the attribute \"{name}\" is not a list of {N} integers"))?;
        let fits = len == N && values.iter().all(|&v| v >= least);
        let sizes = values.map(|v| usize::try_from(v).unwrap_or(usize::MAX));
        fits.then_some(sizes).ok_or_else(|| format!("the attribute \"{name}\" is not {N} sizes, but {values:?}"))
    }
    /// The inputs that are constants, described once: asking at each call costs more than a small operator computes.
    pub fn known(&self, inputs: usize) -> Vec<Option<Known>> {
        let one = |index| {
            let (mut constant, mut value) = (0, std::ptr::null());
            // SAFETY: as above.
            unsafe {
                self.api.check((self.api.0.KernelInfoGetConstantInput_tensor)(self.info, index, &mut constant, &mut value)).ok()?;
                if constant == 0 || value.is_null() {
                    return None;
                }
                let (element, shape) = self.api.described(value, "").ok()?;
                let mut data: *mut c_void = std::ptr::null_mut();
                self.api.check((self.api.0.GetTensorMutableData)(value.cast_mut(), &mut data)).ok()?;
                Some(Known { element, shape, data })
            }
        };
        (0..inputs).map(one).collect()
    }
}

/// A tensor that lives as long as the session.
pub struct Known {
    pub element: ONNXTensorElementDataType,
    pub shape: Vec<usize>,
    data: *const c_void,
}
// SAFETY: only read.
unsafe impl Send for Known {}
unsafe impl Sync for Known {}

impl Known {
    /// Errors: not a tensor of T.
    pub fn view<T: Element>(&self, name: &str) -> Outcome<View<'_, T>> {
        // SAFETY: the session keeps the tensor, which has as many elements as its shape says.
        unsafe { View::over(self.element, self.shape.clone(), self.data, name) }
    }
}
