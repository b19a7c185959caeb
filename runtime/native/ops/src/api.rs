//! The C interface of ONNX Runtime in Rust's terms: results for statuses, checked views of tensors.

use crate::info::Known;
use ort_sys::*;
use std::cell::OnceCell;
use std::ffi::{c_void, CStr, CString};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr::null_mut;

#[derive(Clone, Copy)]
pub struct Api(pub &'static OrtApi);

pub type Outcome<T> = Result<T, String>;

impl Api {
    /// The error text of a status, which is released.
    pub fn check(self, status: OrtStatusPtr) -> Outcome<()> {
        if status.0.is_null() {
            return Ok(());
        }
        // SAFETY: a status that is not null came from this runtime and is released once.
        unsafe {
            let text = CStr::from_ptr((self.0.GetErrorMessage)(status.0)).to_string_lossy().into_owned();
            (self.0.ReleaseStatus)(status.0);
            Err(text)
        }
    }

    /// Element type and sizes of an input. Errors: not a tensor.
    ///
    /// # Safety
    /// The value is alive.
    pub unsafe fn described(self, value: *const OrtValue, name: &str) -> Outcome<(ONNXTensorElementDataType, Vec<usize>)> {
        let check = |s| self.check(s).map_err(|e| format!("input \"{name}\": {e}"));
        let mut info = null_mut();
        check((self.0.GetTensorTypeAndShape)(value, &mut info))?;
        let info = Description(self, info);
        let (mut element, mut rank) = (ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED, 0);
        check((self.0.GetTensorElementType)(info.1, &mut element))?;
        check((self.0.GetDimensionsCount)(info.1, &mut rank))?;
        let mut dims = vec![0i64; rank];
        check((self.0.GetDimensions)(info.1, dims.as_mut_ptr(), rank))?;
        let shape: Option<Vec<usize>> = dims.into_iter().map(|d| usize::try_from(d).ok()).collect();
        Ok((element, shape.ok_or_else(|| format!("input \"{name}\" has no shape"))?))
    }

    /// An input. Errors: not a tensor of T.
    ///
    /// # Safety
    /// The value is alive as long as the view.
    pub unsafe fn view<'a, T: Element>(self, value: *const OrtValue, name: &str) -> Outcome<View<'a, T>> {
        let (element, shape) = self.described(value, name)?;
        let mut data: *mut c_void = null_mut();
        let status = (self.0.GetTensorMutableData)(value.cast_mut(), &mut data);
        self.check(status).map_err(|e| format!("input \"{name}\": {e}"))?;
        View::over(element, shape, data, name)
    }

    /// Runs `f`; its error or panic becomes a status that begins with `who`.
    pub fn guard(self, who: &str, f: impl FnOnce() -> Outcome<()>) -> OrtStatusPtr {
        let outcome = catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|_| Err("internal error: please report it".into()));
        match outcome {
            Ok(()) => OrtStatusPtr(null_mut()),
            Err(message) => {
                let text = CString::new(format!("{who}: {message}").replace('\0', " ")).unwrap_or_default();
                // SAFETY: the text lives until the call has copied it.
                unsafe { (self.0.CreateStatus)(OrtErrorCode::ORT_INVALID_ARGUMENT, text.as_ptr()) }
            }
        }
    }
}

/// One call of a kernel.
pub struct Context<'k> {
    pub api: Api,
    pub context: *mut OrtKernelContext,
    /// The inputs that are constants.
    pub known: &'k [Option<Known>],
    pub count: OnceCell<usize>,
}

/// The bits of a float16.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Half(u16);
impl Half {
    pub fn bits(x: &[Half]) -> &[u16] {
        // SAFETY: of one form.
        unsafe { std::slice::from_raw_parts(x.as_ptr().cast(), x.len()) }
    }
    pub fn bits_mut(x: &mut [Half]) -> &mut [u16] {
        // SAFETY: of one form.
        unsafe { std::slice::from_raw_parts_mut(x.as_mut_ptr().cast(), x.len()) }
    }
}

/// Element types that the operators read and write.
pub trait Element: Copy + 'static {
    const TYPE: ONNXTensorElementDataType;
    const NAME: &'static str;
}
macro_rules! elements {
    ($($type:ty, $name:literal, $onnx:ident;)*) => {$(
        impl Element for $type {
            const TYPE: ONNXTensorElementDataType = ONNXTensorElementDataType::$onnx;
            const NAME: &'static str = $name;
        }
    )*};
}
elements! {
    f32, "float32", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
    u8, "uint8", ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8;
    i8, "int8", ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8;
    Half, "float16", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16;
    i32, "int32", ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32;
    i64, "int64", ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64;
}

pub struct View<'a, T> {
    pub data: &'a [T],
    pub shape: Vec<usize>,
}

impl<T: Element> View<'_, T> {
    /// A tensor of `element` of a shape. Errors: not of T.
    ///
    /// # Safety
    /// At `data` lie as many elements as the shape says, as long as the view.
    pub unsafe fn over(element: ONNXTensorElementDataType, shape: Vec<usize>, data: *const c_void, name: &str) -> Outcome<Self> {
        if element != T::TYPE {
            return Err(format!("input \"{name}\" is not {}", T::NAME));
        }
        let len: usize = shape.iter().product();
        // SAFETY: as the caller promises.
        let data = if len == 0 { &[][..] } else { unsafe { std::slice::from_raw_parts(data.cast::<T>(), len) } };
        Ok(View { data, shape })
    }
}

/// Releases the description of a tensor on every way out.
struct Description(Api, *mut OrtTensorTypeAndShapeInfo);
impl Drop for Description {
    fn drop(&mut self) {
        // SAFETY: released once.
        unsafe { (self.0 .0.ReleaseTensorTypeAndShapeInfo)(self.1) }
    }
}

impl Context<'_> {
    fn constant(&self, index: usize) -> Option<&Known> {
        self.known.get(index)?.as_ref()
    }

    /// The value of input `index`; null where it is absent.
    fn value(&self, index: usize) -> Outcome<*const OrtValue> {
        let api = self.api.0;
        let (mut count, mut value) = (self.count.get().copied().unwrap_or(0), std::ptr::null());
        // SAFETY: the context is alive during the call.
        unsafe {
            if self.count.get().is_none() {
                self.api.check((api.KernelContext_GetInputCount)(self.context, &mut count))?;
                let _ = self.count.set(count);
            }
            if index < count {
                self.api.check((api.KernelContext_GetInput)(self.context, index, &mut value))?;
            }
        }
        Ok(value)
    }

    /// The value of input `index`. Errors: absent.
    fn present(&self, index: usize, name: &str) -> Outcome<*const OrtValue> {
        let value = self.value(index)?;
        if value.is_null() { Err(format!("input \"{name}\" is missing")) } else { Ok(value) }
    }

    /// Input `index`, or nothing where it is absent. Errors: not a tensor of T.
    pub fn optional<T: Element>(&self, index: usize, name: &str) -> Outcome<Option<View<'_, T>>> {
        if self.constant(index).is_none() && self.value(index)?.is_null() { Ok(None) } else { self.input(index, name).map(Some) }
    }

    /// The sizes of input `index`. Errors: absent, or not a tensor.
    pub fn shape(&self, index: usize, name: &str) -> Outcome<Vec<usize>> {
        self.described(index, name).map(|(_, shape)| shape)
    }

    /// The element type of input `index`. Errors: absent, or not a tensor.
    pub fn element(&self, index: usize, name: &str) -> Outcome<ONNXTensorElementDataType> {
        self.described(index, name).map(|(element, _)| element)
    }

    fn described(&self, index: usize, name: &str) -> Outcome<(ONNXTensorElementDataType, Vec<usize>)> {
        match self.constant(index) {
            Some(known) => Ok((known.element, known.shape.clone())),
            // SAFETY: the runtime owns the value and keeps it during the call.
            None => unsafe { self.api.described(self.present(index, name)?, name) },
        }
    }

    /// Input `index`. Errors: absent, or not a tensor of T.
    pub fn input<T: Element>(&self, index: usize, name: &str) -> Outcome<View<'_, T>> {
        match self.constant(index) {
            Some(known) => known.view(name),
            // SAFETY: as above.
            None => unsafe { self.api.view(self.present(index, name)?, name) },
        }
    }

    /// Output `index` of a shape; T is the type that the operator declares for it. Each output is asked for once.
    // The runtime's memory, of which each output is handed out once.
    #[allow(clippy::mut_from_ref)]
    pub fn output<T: Element>(&self, index: usize, shape: &[usize]) -> Outcome<&mut [T]> {
        let dims: Vec<i64> = shape.iter().map(|&d| d as i64).collect();
        let len: usize = shape.iter().product();
        // SAFETY: as in `input`.
        unsafe {
            let mut value = null_mut();
            self.api.check((self.api.0.KernelContext_GetOutput)(self.context, index, dims.as_ptr(), dims.len(), &mut value))?;
            let mut data: *mut c_void = null_mut();
            self.api.check((self.api.0.GetTensorMutableData)(value, &mut data))?;
            Ok(if len == 0 { &mut [] } else { std::slice::from_raw_parts_mut(data.cast::<T>(), len) })
        }
    }

    /// Runs `task(0..n)` on the session's own threads. Errors: a task that panicked.
    pub fn parallel(&self, n: usize, task: &(dyn Fn(usize) + Sync)) -> Outcome<()> {
        type Job<'a> = (&'a (dyn Fn(usize) + Sync), std::sync::atomic::AtomicBool);
        unsafe extern "C" fn call(job: *mut c_void, i: usize) {
            // SAFETY: `job` outlives the parallel loop.
            let (task, failed) = unsafe { &*job.cast::<Job>() };
            if catch_unwind(AssertUnwindSafe(|| task(i))).is_err() {
                failed.store(true, std::sync::atomic::Ordering::Relaxed);
            }
        }
        let mut job: Job = (task, false.into());
        // SAFETY: the call returns when all tasks have.
        let status = unsafe { (self.api.0.KernelContext_ParallelFor)(self.context, call, n, 0, (&raw mut job).cast()) };
        self.api.check(status)?;
        if job.1.into_inner() { Err("internal error: please report it".into()) } else { Ok(()) }
    }

    /// Runs `f` on each task once, on the session's own threads where there are several. Errors: a task that panicked.
    pub fn each<T: Send>(&self, tasks: Vec<std::sync::Mutex<Option<T>>>, f: &(dyn Fn(T) + Sync)) -> Outcome<()> {
        let run = |i: usize| {
            if let Some(task) = tasks[i].lock().ok().and_then(|mut t| t.take()) {
                f(task);
            }
        };
        match tasks.len() {
            0 => Ok(()),
            1 => {
                run(0);
                Ok(())
            }
            n => self.parallel(n, &run),
        }
    }
}
