//! The Node addon: one asynchronous call into the solvers, off the main thread, over mapped files.

mod described;
mod flush;
mod mapped;
mod opened;
mod opening;
mod runtime;
mod session;
mod session_run;
mod threads;
mod values;

use mapped::Mapped;
use napi::bindgen_prelude::*;
use napi::Task;
use napi_derive::napi;
use qc_solvers::{protocol, Backing, Fault, Isa};
use std::panic::{catch_unwind, AssertUnwindSafe};
use threads::Threads;

/// A range of a file, mapped as the first input.
#[napi(object)]
pub struct FileRange {
    pub path: String,
    pub at: f64,
    pub len: f64,
}

/// The instruction set of the solvers for `name`, a set of the kernels: the nearest below. The best of this machine for an empty name.
#[napi]
pub fn isa(name: String) -> Result<String> {
    Ok(named_isa(&name).map_err(to_error)?.name().into())
}

fn named_isa(name: &str) -> std::result::Result<Isa, Fault> {
    if name.is_empty() {
        return Ok(Isa::detect());
    }
    if let Some(isa) = Isa::named(name) {
        return Ok(isa);
    }
    let kernels = qc_ops::named(name).map_err(|message| Fault { code: "bad-isa", message })?;
    Ok(if kernels.name() == "avxvnni" { Isa::named("avx2").unwrap_or(Isa::Scalar) } else { Isa::detect() })
}

/// An instruction set that this build knows.
#[napi(object)]
pub struct Known {
    pub name: String,
    pub available: bool,
}

/// Instruction sets of the kernels, best last.
#[napi]
pub fn instruction_sets() -> Vec<Known> {
    qc_ops::Isa::ALL.iter().map(|i| Known { name: i.name().into(), available: i.available() }).collect()
}

/// An operator, and the variant of its kernel that runs.
#[napi(object)]
pub struct OperatorInfo {
    pub name: String,
    pub variant: String,
}

/// Operators of qc.v1 under the instruction set `isa`; empty: QC_ISA's, else the best of this machine.
#[napi]
pub fn operators(isa: String) -> Result<Vec<OperatorInfo>> {
    let isa = if isa.is_empty() { qc_ops::chosen() } else { qc_ops::named(&isa) };
    let isa = isa.map_err(|message| to_error(Fault { code: "bad-isa", message }))?;
    Ok(qc_ops::operators(isa).map(|(name, variant)| OperatorInfo { name: name.into(), variant: variant.name().into() }).collect())
}

/// The version of this library.
#[napi]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

pub struct Call {
    isa: Isa,
    op: u32,
    numbers: Vec<f64>,
    file: Option<FileRange>,
    inputs: Vec<Uint8Array>,
    outputs: Vec<Uint8Array>,
}

impl Call {
    fn run(&mut self) -> std::result::Result<Vec<f64>, Fault> {
        let mapped = self.file.as_ref().map(|f| Mapped::open(&f.path, f.at, f.len)).transpose()?;
        let mut inputs: Vec<&[u8]> = mapped.iter().map(Mapped::bytes).collect();
        inputs.extend(self.inputs.iter().map(|b| &**b));
        // SAFETY: JavaScript has handed the outputs over until the promise settles.
        let mut outputs: Vec<&mut [u8]> = self.outputs.iter_mut().map(|b| unsafe { b.as_mut() }).collect();
        let file = mapped.as_ref().map(|m| m as &dyn Backing);
        protocol::call(self.isa, &Threads, self.op, &self.numbers, file, &inputs, &mut outputs)
    }
}

impl Task for Call {
    type Output = Vec<f64>;
    type JsValue = Vec<f64>;

    fn compute(&mut self) -> Result<Vec<f64>> {
        match catch_unwind(AssertUnwindSafe(|| self.run())) {
            Ok(outcome) => outcome.map_err(to_error),
            Err(_) => Err(to_error(Fault { code: "panic", message: format!("operation {} panicked", self.op) })),
        }
    }

    fn resolve(&mut self, _env: Env, output: Vec<f64>) -> Result<Vec<f64>> {
        Ok(output)
    }
}

/// Performs an operation of the protocol on a worker thread. Outputs must not be touched until the promise settles.
#[napi]
pub fn call(isa: String, op: u32, numbers: Vec<f64>, file: Option<FileRange>, inputs: Vec<Uint8Array>, outputs: Vec<Uint8Array>) -> Result<AsyncTask<Call>> {
    Ok(AsyncTask::new(Call { isa: named_isa(&isa).map_err(to_error)?, op, numbers, file, inputs, outputs }))
}

/// `code: message`, which the loader takes apart.
fn to_error(fault: Fault) -> Error {
    Error::from_reason(format!("{}: {}", fault.code, fault.message))
}
