//! The C interface of ONNX Runtime in Rust's terms: results for statuses, checked views of tensors.

use ort_sys::*;
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
}

/// One call of a kernel.
pub struct Context {
    pub api: Api,
    pub context: *mut OrtKernelContext,
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

/// Releases the description of a tensor on every way out.
struct Description(Api, *mut OrtTensorTypeAndShapeInfo);
impl Drop for Description {
    fn drop(&mut self) {
        // SAFETY: released once.
        unsafe { (self.0 .0.ReleaseTensorTypeAndShapeInfo)(self.1) }
    }
}

impl Context {
    /// The value of input `index`; null where it is absent.
    fn value(&self, index: usize) -> Outcome<*const OrtValue> {
        let api = self.api.0;
        let (mut count, mut value) = (0, std::ptr::null());
        // SAFETY: the context is alive during the call.
        unsafe {
            self.api.check((api.KernelContext_GetInputCount)(self.context, &mut count))?;
            if index < count {
                self.api.check((api.KernelContext_GetInput)(self.context, index, &mut value))?;
            }
        }
        Ok(value)
    }

    /// Input `index`, or nothing where it is absent. Errors: not a tensor of T.
    pub fn optional<T: Element>(&self, index: usize, name: &str) -> Outcome<Option<View<'_, T>>> {
        if self.value(index)?.is_null() { Ok(None) } else { self.input(index, name).map(Some) }
    }

    /// The sizes of input `index`. Errors: absent, or not a tensor.
    pub fn shape(&self, index: usize, name: &str) -> Outcome<Vec<usize>> {
        self.described(index, name).map(|(.., shape)| shape)
    }

    /// The element type of input `index`. Errors: absent, or not a tensor.
    pub fn element(&self, index: usize, name: &str) -> Outcome<ONNXTensorElementDataType> {
        self.described(index, name).map(|(_, element, _)| element)
    }

    fn described(&self, index: usize, name: &str) -> Outcome<(*const OrtValue, ONNXTensorElementDataType, Vec<usize>)> {
        let api = self.api.0;
        let check = |s| self.api.check(s).map_err(|e| format!("input \"{name}\": {e}"));
        let value = self.value(index)?;
        if value.is_null() {
            return Err(format!("input \"{name}\" is missing"));
        }
        // SAFETY: the runtime owns the value and keeps it during the call.
        unsafe {
            let mut info = null_mut();
            check((api.GetTensorTypeAndShape)(value, &mut info))?;
            let info = Description(self.api, info);
            let (mut element, mut rank) = (ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED, 0);
            check((api.GetTensorElementType)(info.1, &mut element))?;
            check((api.GetDimensionsCount)(info.1, &mut rank))?;
            let mut dims = vec![0i64; rank];
            check((api.GetDimensions)(info.1, dims.as_mut_ptr(), rank))?;
            let shape: Option<Vec<usize>> = dims.into_iter().map(|d| usize::try_from(d).ok()).collect();
            Ok((value, element, shape.ok_or_else(|| format!("input \"{name}\" has no shape"))?))
        }
    }

    /// Input `index`. Errors: absent, or not a tensor of T.
    pub fn input<T: Element>(&self, index: usize, name: &str) -> Outcome<View<'_, T>> {
        let (value, element, shape) = self.described(index, name)?;
        if element != T::TYPE {
            return Err(format!("input \"{name}\" is not {}", T::NAME));
        }
        let mut data: *mut c_void = null_mut();
        // SAFETY: as above; the tensor has as many elements as its shape says.
        unsafe {
            let status = (self.api.0.GetTensorMutableData)(value.cast_mut(), &mut data);
            self.api.check(status).map_err(|e| format!("input \"{name}\": {e}"))?;
            let len: usize = shape.iter().product();
            let data = if len == 0 { &[][..] } else { std::slice::from_raw_parts(data.cast::<T>(), len) };
            Ok(View { data, shape })
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
