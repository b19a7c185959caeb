//! The operators of `qc.v1` as a library that any ONNX Runtime registers: `register_custom_ops_library` in Python, the session of
//! `qrecipe/runtime` in Node. Nothing panics across the boundary; an error names its operator.

mod api;
mod attention;
mod conv1d;
mod linear;
mod op;
mod pointwise;
mod registry;
mod scan;

pub use registry::{add_domain, RegisterCustomOps};
