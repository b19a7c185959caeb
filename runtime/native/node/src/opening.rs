//! How a session is opened.

use crate::flush::Flushed;
use crate::opened::Opened;
use crate::runtime::{os_path, text, Outcome, Runtime};
use napi::bindgen_prelude::*;
use napi_derive::napi;
use ort_sys::*;
use std::ptr::null_mut;

/// What a session is opened from and with.
pub struct Opening {
    pub runtime: String,
    pub model: Either<String, Uint8Array>,
    pub options: SessionSettings,
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

struct Options(Runtime, *mut OrtSessionOptions);
impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: released once.
        unsafe { (self.0.api.ReleaseSessionOptions)(self.1) }
    }
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
    pub fn open(&self) -> Outcome<Opened> {
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
            Opened::new(runtime, session, self.options.flush)
        }
    }
}
