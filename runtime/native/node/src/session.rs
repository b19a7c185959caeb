//! Sessions on the ONNX Runtime that onnxruntime-node ships, with the operators of qc.v1 registered.

use crate::session_run::{Feed, Fetched};
use napi::bindgen_prelude::*;
use napi::Task;
use napi_derive::napi;
use ort_sys::*;
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
            Runtime { api, env }
        };
        known.push((path.into(), runtime));
        Ok(runtime)
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
    threads: u32,
    config: Vec<(String, String)>,
}

pub struct Opened {
    pub runtime: Runtime,
    pub session: *mut OrtSession,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
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

impl Opening {
    fn open(&self) -> Outcome<Opened> {
        let runtime = Runtime::load(&self.runtime)?;
        let api = runtime.api;
        // SAFETY: pointers are alive during the calls; what is made is owned by `Options` and `Opened`.
        unsafe {
            let mut options = Options(runtime, null_mut());
            runtime.check((api.CreateSessionOptions)(&mut options.1))?;
            runtime.check((api.SetIntraOpNumThreads)(options.1, self.threads.min(1024) as i32))?;
            for (key, value) in &self.config {
                runtime.check((api.AddSessionConfigEntry)(options.1, text(key)?.as_ptr(), text(value)?.as_ptr()))?;
            }
            qc_ops::add_domain(api, options.1)?;
            let mut session = null_mut();
            runtime.check(match &self.model {
                Either::A(path) => (api.CreateSession)(runtime.env, text(path)?.as_ptr(), options.1, &mut session),
                Either::B(bytes) => (api.CreateSessionFromArray)(runtime.env, bytes.as_ptr().cast(), bytes.len(), options.1, &mut session),
            })?;
            let mut opened = Opened { runtime, session, inputs: vec![], outputs: vec![] };
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
            described.element = crate::session_run::number_of(element);
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

/// Opens a session of the ONNX Runtime at `runtime` (its library) on a model's path or bytes; 0 threads: its own choice.
/// `config`: session configuration entries, key and value in turn.
#[napi]
pub fn open_session(runtime: String, model: Either<String, Uint8Array>, threads: u32, config: Vec<String>) -> AsyncTask<Opening> {
    let config = config.chunks_exact(2).map(|p| (p[0].clone(), p[1].clone())).collect();
    AsyncTask::new(Opening { runtime, model, threads, config })
}

#[napi]
pub struct Session {
    opened: Option<Arc<Opened>>,
}

pub struct Running {
    opened: Arc<Opened>,
    feeds: Vec<Feed>,
    fetch: Vec<String>,
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
    /// Runs off the main thread. The bytes of feeds must not change until the promise settles.
    #[napi]
    pub fn run(&self, feeds: Vec<Feed>, fetch: Vec<String>) -> Result<AsyncTask<Running>> {
        Ok(AsyncTask::new(Running { opened: self.opened()?.clone(), feeds, fetch }))
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
        guarded(|| crate::session_run::run(&self.opened, &mut self.feeds, &self.fetch))
    }
    fn resolve(&mut self, _env: Env, output: Vec<Fetched>) -> Result<Vec<Fetched>> {
        Ok(output)
    }
}
