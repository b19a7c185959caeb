//! The operators of `qc.v1` as a library that any ONNX Runtime registers: `register_custom_ops_library` in Python, the session of
//! `qrecipe/runtime` in Node. Nothing panics across the boundary; an error names its operator.

mod affine;
mod api;
mod attention;
mod cache;
mod conv1d;
mod embedding;
mod emits;
mod gelu;
mod hadamard;
mod info;
mod levels;
mod linear;
mod norm;
mod op;
mod plain_attention;
mod pointwise;
mod registry;
mod rows;
mod scan;

pub use op::chosen;
pub use qc_kernels::Isa;
pub use registry::{add_domain, operators, RegisterCustomOps};

/// The instruction set called `name`, if this machine has it.
pub fn named(name: &str) -> Result<Isa, String> {
    Isa::named(name)
}
