//! Sessions on the ONNX Runtime that onnxruntime-node ships, with or without the operators of qc.v1, as JavaScript sees them.

use crate::described::Described;
use crate::opened::Opened;
use crate::opening::{Opening, SessionSettings};
use crate::runtime::Outcome;
use crate::session_run::{Feed, Fetch, Fetched};
use napi::bindgen_prelude::*;
use napi::Task;
use napi_derive::napi;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;

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
