//! The numeric loops of qc as pure functions. No OS calls and no threads: callers split the work through [`Split`],
//! so that the same code runs in the Node addon and as wasm, and gives the same bytes.
//!
//! Exactness: every sum has one fixed order whatever the instruction set and the number of threads. A group is summed
//! along `reduce` in order, within one of eight lanes; lanes are different rows. Nothing is contracted to FMA.

#[macro_use]
mod isa;

mod backing;
mod cast;
mod clip;
mod dequantize;
mod fault;
mod fit;
mod format;
mod hash;
mod lanes;
mod layout;
mod matrix;
mod products;
pub mod protocol;
mod quantize;
mod scale;
mod slabs;
mod solve;
mod spectral;
mod split;
mod statistics;
mod thin;

pub use backing::Backing;
pub use fault::{Fault, Outcome};
pub use isa::Isa;
pub use split::{Sequential, Split};
