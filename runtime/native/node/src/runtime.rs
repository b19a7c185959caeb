//! ONNX Runtime's library and its one environment.

use ort_sys::*;
use std::ffi::{c_char, CStr, CString};
use std::ptr::null_mut;
use std::sync::Mutex;

/// A loaded ONNX Runtime and its one environment; never unloaded.
#[derive(Clone, Copy)]
pub struct Runtime {
    pub api: &'static OrtApi,
    pub env: *mut OrtEnv,
}
// SAFETY: the interface and the environment may be used from all threads.
unsafe impl Send for Runtime {}
static RUNTIMES: Mutex<Vec<(String, Runtime)>> = Mutex::new(Vec::new());

pub type Outcome<T> = std::result::Result<T, String>;

impl Runtime {
    /// The library at `path`, loaded once.
    pub fn load(path: &str) -> Outcome<Runtime> {
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

/// A string as C has it. Errors: one with a zero character.
pub fn text(s: &str) -> Outcome<CString> {
    CString::new(s).map_err(|_| format!("\"{s}\" has a zero character"))
}

/// A path as ONNX Runtime takes it on this system.
#[cfg(not(windows))]
pub fn os_path(s: &str) -> Outcome<Vec<c_char>> {
    Ok(text(s)?.as_bytes_with_nul().iter().map(|&b| b as c_char).collect())
}
#[cfg(windows)]
pub fn os_path(s: &str) -> Outcome<Vec<u16>> {
    text(s)?;
    Ok(s.encode_utf16().chain([0]).collect())
}
