//! The run-time loops of qc as pure functions: no ONNX Runtime, no OS calls, no threads; callers hand out the tasks.
//!
//! A loop is written once over [`simd::Simd`] (thirty-two columns side by side) and compiled for every instruction set
//! of the list in [`isa`]. Integers are equal on all of them; floats too, since every sum has one fixed order
//! and nothing is contracted to FMA.

pub mod attention;
pub mod conv1d;
pub mod isa;
pub mod layout;
pub mod linear;
mod math;
pub mod pointwise;
pub mod port;
pub mod quantize;
pub mod scan;
pub mod simd;
pub mod tiles;

pub use attention::{append, attend, Attention};
pub use conv1d::{conv_task, Conv, Weights, CHANNELS};
pub use isa::Isa;
pub use layout::{Packed, Weight, Zeros, COLUMNS, DEPTH};
pub use linear::{float_task, int8_task, Output, Task};
pub use pointwise::{rms_norm, silu_mul, silu_scaled};
pub use port::{Data, Port};
pub use quantize::quantize_row;
pub use scan::{scan_task, After, Scan, State};
pub use tiles::{pack_tile, quantize_tile, start_factor, TileMut, Tiles, Tiling};
