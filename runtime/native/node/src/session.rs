//! Sessions on the ONNX Runtime that onnxruntime-node ships, with or without the operators of qc.v1.

use crate::flush::Flushed;
use crate::session_run::{Feed, Fetch, Fetched};
use crate::values::{number_of, Value};
use napi::bindgen_prelude::*;
use napi::Task;
use napi_derive::napi;
use ort_sys::*;
use std::collections::HashMap;
use std::ffi::{c_char, CStr, CString};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr::null_mut;
use std::sync::{Arc, Mutex};

/// A loaded ONNX Runtime and its one environment; never unloaded.
#[derive(Clone, Copy)]
pub struct Runtime {
    pub api: &'static OrtApi,
    env: *mut OrtEnv,
}
// SAFETY: the interface and the environment may be used from all threads.
unsafe impl Send for Runtime {}
static RUNTIMES: Mutex<Vec<(String, Runtime)>> = Mutex::new(Vec::new());

pub type Outcome<T> = std::result::Result<T, String>;

impl Runtime {
    fn load(path: &str) -> Outcome<Runtime> {
        let mut known = RUNTIMES.lock().map_err(|_| "internal error".to_string())?;
        if let Some((_, runtime)) = known.iter().find(|(p, _)| p == path) {
            return Ok(*runtime);
        }
        // SAFETY: the library is an ONNX Runtime; it stays loaded.
        let runtime = unsafe {
            let library = Box::leak(Box::new(libloading::Library::new(path).map_err(|e| format!("{path}: {e}"))?));
            let base = library.get::<unsafe extern "system" fn() -> *const OrtApiBase>(b"OrtGetApiBase").map_err(|e| format!("{path}: {e}"))?();
            let api = ((*base).GetApi)(17).as_ref().ok_or_else(|| format!("{path} is older than ONNX Runtime 1.17"))?;
            let mut env = null_mut();
            let runtime = Runtime { api, env: null_mut() };
            runtime.check((api.CreateEnv)(OrtLoggingLevel::ORT_LOGGING_LEVEL_ERROR, c"qc".as_ptr(), &mut env))?;
            let runtime = Runtime { api, env };
            runtime.share_memory()?;
            runtime
        };
        known.push((path.into(), runtime));
        Ok(runtime)
    }

    /// One arena for all sessions that ask for it (`session.use_env_allocators`): a session in the place of another finds its memory there.
    /// Safety: once an environment.
    unsafe fn share_memory(&self) -> Outcome<()> {
        let (mut info, mut config) = (null_mut(), null_mut());
        self.check((self.api.CreateCpuMemoryInfo)(OrtAllocatorType::OrtArenaAllocator, OrtMemType::OrtMemTypeDefault, &mut info))?;
        // −1 and 0: ONNX Runtime's own choice; 1: as much as is asked for, not the next power of two.
        let made = self.check((self.api.CreateArenaCfg)(0, 1, -1, -1, &mut config));
        let shared = made.and_then(|()| self.check((self.api.CreateAndRegisterAllocator)(self.env, info, config)));
        (self.api.ReleaseMemoryInfo)(info);
        if !config.is_null() {
            (self.api.ReleaseArenaCfg)(config);
        }
        shared
    }

    pub fn check(&self, status: OrtStatusPtr) -> Outcome<()> {
        if status.0.is_null() {
            return Ok(());
        }
        // SAFETY: a status that is not null is this runtime's, and released once.
        unsafe {
            let text = CStr::from_ptr((self.api.GetErrorMessage)(status.0)).to_string_lossy().into_owned();
            (self.api.ReleaseStatus)(status.0);
            Err(text)
        }
    }
}

/// What a session is opened from and with.
pub struct Opening {
    runtime: String,
    model: Either<String, Uint8Array>,
    options: SessionSettings,
}

/// What a session is opened with, in the terms of onnxruntime's session options.
#[napi(object)]
pub struct SessionSettings {
    /// Threads inside an operator; 0: ONNX Runtime's own choice.
    pub threads: u32,
    /// Session configuration entries, key and value in turn.
    pub config: Vec<String>,
    /// Optimisation of the graph: 0 none, 1 basic, 2 extended, 99 all.
    pub optimize: u32,
    pub arena: bool,
    pub pattern: bool,
    /// Are the operators of qc.v1 registered?
    pub kernels: bool,
    /// Are denormal numbers zeros in its runs?
    pub flush: bool,
    /// Sizes of named dimensions, name and size in turn.
    pub dimensions: Vec<String>,
    /// Where a profile is written: the beginning of its path.
    pub profile: Option<String>,
}

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

struct Options(Runtime, *mut OrtSessionOptions);
impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: released once.
        unsafe { (self.0.api.ReleaseSessionOptions)(self.1) }
    }
}

fn text(s: &str) -> Outcome<CString> {
    CString::new(s).map_err(|_| format!("\"{s}\" has a zero character"))
}

/// A path as ONNX Runtime takes it on this system.
#[cfg(not(windows))]
fn os_path(s: &str) -> Outcome<Vec<c_char>> {
    Ok(text(s)?.as_bytes_with_nul().iter().map(|&b| b as c_char).collect())
}
#[cfg(windows)]
fn os_path(s: &str) -> Outcome<Vec<u16>> {
    text(s)?;
    Ok(s.encode_utf16().chain([0]).collect())
}

impl SessionSettings {
    /// Safety: `options` are alive.
    unsafe fn apply(&self, runtime: Runtime, options: *mut OrtSessionOptions) -> Outcome<()> {
        let api = runtime.api;
        runtime.check((api.SetIntraOpNumThreads)(options, self.threads.min(1024) as i32))?;
        runtime.check((api.SetSessionGraphOptimizationLevel)(
            options,
            match self.optimize {
                0 => GraphOptimizationLevel::ORT_DISABLE_ALL,
                1 => GraphOptimizationLevel::ORT_ENABLE_BASIC,
                2 => GraphOptimizationLevel::ORT_ENABLE_EXTENDED,
                _ => GraphOptimizationLevel::ORT_ENABLE_ALL,
            },
        ))?;
        if !self.arena {
            runtime.check((api.DisableCpuMemArena)(options))?;
        }
        if !self.pattern {
            runtime.check((api.DisableMemPattern)(options))?;
        }
        for pair in self.config.chunks_exact(2) {
            runtime.check((api.AddSessionConfigEntry)(options, text(&pair[0])?.as_ptr(), text(&pair[1])?.as_ptr()))?;
        }
        for pair in self.dimensions.chunks_exact(2) {
            let size = pair[1].parse::<i64>().map_err(|_| format!("{} is no size", pair[1]))?;
            runtime.check((api.AddFreeDimensionOverrideByName)(options, text(&pair[0])?.as_ptr(), size))?;
        }
        match &self.profile {
            Some(path) => runtime.check((api.EnableProfiling)(options, os_path(path)?.as_ptr())),
            None => Ok(()),
        }
    }
}

impl Opening {
    fn open(&self) -> Outcome<Opened> {
        let _flushed = self.options.flush.then(Flushed::new);
        let runtime = Runtime::load(&self.runtime)?;
        let api = runtime.api;
        // SAFETY: pointers are alive during the calls; what is made is owned by `Options` and `Opened`.
        unsafe {
            let mut options = Options(runtime, null_mut());
            runtime.check((api.CreateSessionOptions)(&mut options.1))?;
            self.options.apply(runtime, options.1)?;
            if self.options.kernels {
                qc_ops::add_domain(api, options.1)?;
            }
            let mut session = null_mut();
            runtime.check(match &self.model {
                Either::A(path) => (api.CreateSession)(runtime.env, os_path(path)?.as_ptr(), options.1, &mut session),
                Either::B(bytes) => (api.CreateSessionFromArray)(runtime.env, bytes.as_ptr().cast(), bytes.len(), options.1, &mut session),
            })?;
            let mut opened = Opened { runtime, session, inputs: vec![], outputs: vec![], flush: self.options.flush, values: Mutex::default() };
            let (mut inputs, mut outputs) = (0, 0);
            runtime.check((api.SessionGetInputCount)(session, &mut inputs))?;
            runtime.check((api.SessionGetOutputCount)(session, &mut outputs))?;
            opened.inputs = (0..inputs).map(|i| opened.name(api.SessionGetInputName, i)).collect::<Outcome<_>>()?;
            opened.outputs = (0..outputs).map(|i| opened.name(api.SessionGetOutputName, i)).collect::<Outcome<_>>()?;
            Ok(opened)
        }
    }
}

type NameOf = unsafe extern "system" fn(*const OrtSession, usize, *mut OrtAllocator, *mut *mut c_char) -> OrtStatusPtr;

impl Opened {
    unsafe fn name(&self, of: NameOf, i: usize) -> Outcome<String> {
        let (mut allocator, mut name) = (null_mut(), null_mut());
        self.runtime.check((self.runtime.api.GetAllocatorWithDefaultOptions)(&mut allocator))?;
        self.runtime.check(of(self.session, i, allocator, &mut name))?;
        let text = CStr::from_ptr(name).to_string_lossy().into_owned();
        self.runtime.check((self.runtime.api.AllocatorFree)(allocator, name.cast()))?;
        Ok(text)
    }
}

impl Opened {
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
    fn forget(&self, id: u32) {
        if let Ok(mut values) = self.values.lock() {
            values.1.remove(&id);
        }
    }

    fn metadata(&self, key: &str) -> Outcome<Option<String>> {
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

    fn end_profiling(&self) -> Outcome<String> {
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
    fn describe(&self, of: TypeOf, i: usize) -> Outcome<Described> {
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

fn guarded<T>(f: impl FnOnce() -> Outcome<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|_| Err("internal error: please report it".into())).map_err(Error::from_reason)
}

impl Task for Opening {
    type Output = Opened;
    type JsValue = Session;
    fn compute(&mut self) -> Result<Opened> {
        guarded(|| self.open())
    }
    fn resolve(&mut self, _env: Env, opened: Opened) -> Result<Session> {
        Ok(Session { opened: Some(Arc::new(opened)) })
    }
}

/// Opens a session of the ONNX Runtime at `runtime` (its library) on a model's path or bytes.
#[napi]
pub fn open_session(runtime: String, model: Either<String, Uint8Array>, options: SessionSettings) -> AsyncTask<Opening> {
    AsyncTask::new(Opening { runtime, model, options })
}

#[napi]
pub struct Session {
    opened: Option<Arc<Opened>>,
}

pub struct Running {
    opened: Arc<Opened>,
    feeds: Vec<Feed>,
    fetch: Vec<Fetch>,
}

#[napi]
impl Session {
    fn opened(&self) -> Result<&Arc<Opened>> {
        self.opened.as_ref().ok_or_else(|| Error::from_reason("the session is closed"))
    }
    #[napi]
    pub fn inputs(&self) -> Result<Vec<String>> {
        Ok(self.opened()?.inputs.clone())
    }
    #[napi]
    pub fn outputs(&self) -> Result<Vec<String>> {
        Ok(self.opened()?.outputs.clone())
    }
    /// What the inputs are, in order.
    #[napi]
    pub fn input_types(&self) -> Result<Vec<Described>> {
        let opened = self.opened()?;
        guarded(|| (0..opened.inputs.len()).map(|i| opened.describe(opened.runtime.api.SessionGetInputTypeInfo, i)).collect())
    }
    /// What the outputs are, in order.
    #[napi]
    pub fn output_types(&self) -> Result<Vec<Described>> {
        let opened = self.opened()?;
        guarded(|| (0..opened.outputs.len()).map(|i| opened.describe(opened.runtime.api.SessionGetOutputTypeInfo, i)).collect())
    }
    /// Runs off the main thread. Bytes of feeds and fetches must not be touched until the promise settles.
    #[napi]
    pub fn run(&self, feeds: Vec<Feed>, fetch: Vec<Fetch>) -> Result<AsyncTask<Running>> {
        Ok(AsyncTask::new(Running { opened: self.opened()?.clone(), feeds, fetch }))
    }
    /// Copies a held value's bytes. Errors: another length.
    #[napi]
    pub fn copy(&self, held: u32, mut to: Uint8Array) -> Result<()> {
        guarded(|| {
            let value = self.opened.as_ref().ok_or("the session is closed")?.held(held)?;
            let (_, _, bytes) = value.read()?;
            // SAFETY: on the main thread, where JavaScript does not run meanwhile.
            let to = unsafe { to.as_mut() };
            if to.len() != bytes.len() {
                return Err(format!("the value has {} bytes, not {}", bytes.len(), to.len()));
            }
            to.copy_from_slice(bytes);
            Ok(())
        })
    }
    /// Frees a held value, once runs that read it are done.
    #[napi]
    pub fn release(&self, held: u32) {
        if let Some(opened) = &self.opened {
            opened.forget(held);
        }
    }
    /// An entry of the model's metadata.
    #[napi]
    pub fn metadata(&self, key: String) -> Result<Option<String>> {
        let opened = self.opened()?;
        guarded(|| opened.metadata(&key))
    }
    /// Ends profiling; the path of the profile.
    #[napi]
    pub fn end_profiling(&self) -> Result<String> {
        let opened = self.opened()?;
        guarded(|| opened.end_profiling())
    }
    /// Frees the session, once runs that are under way are done.
    #[napi]
    pub fn close(&mut self) {
        self.opened = None;
    }
}

impl Task for Running {
    type Output = Vec<Fetched>;
    type JsValue = Vec<Fetched>;
    fn compute(&mut self) -> Result<Vec<Fetched>> {
        guarded(|| crate::session_run::run(&self.opened, &mut self.feeds, &mut self.fetch))
    }
    fn resolve(&mut self, _env: Env, output: Vec<Fetched>) -> Result<Vec<Fetched>> {
        Ok(output)
    }
}
