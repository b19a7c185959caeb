//! The run-time loops of qc as pure functions: no ONNX Runtime, no OS calls, no threads; callers hand out the tasks.
//!
//! A loop is written once over [`simd::Simd`] (thirty-two columns side by side) and compiled for every instruction set
//! of the list in [`isa`]. Integers are equal on all of them; floats too, since every sum has one fixed order
//! and a multiply-add is fused on all of them or on none.

pub mod attend;
pub mod attention;
pub mod cache;
pub mod conv1d;
pub mod hadamard;
pub mod isa;
pub mod layout;
pub mod levels;
pub mod linear;
mod math;
pub mod norm;
pub mod pointwise;
pub mod port;
pub mod quantize;
pub mod rows;
pub mod scan;
pub mod simd;
pub mod tiles;
mod transpose;

pub use attend::{attend, Columns, Queries};
pub use attention::{append, Attention};
pub use cache::{carry, decode_rows, encode_rows, from_half, round_rows, to_half, Fit, RowCodes};
pub use conv1d::{conv_task, Conv, Weights, CHANNELS};
pub use hadamard::{hadamard, Blocks};
pub use isa::Isa;
pub use layout::{Coding, NarrowScales, Packed, Weight, Zeros, COLUMNS, DEPTH, WIDTHS};
pub use levels::{levels_row, Levels};
pub use linear::{bitplanes, column_sums, float_task, pack_floats, int8_task, Branch, Factor, Finish, Output, Results, Task};
pub use norm::{norm, Norm, Normed};
pub use pointwise::{silu_mul, silu_scaled};
pub use port::{Data, Port};
pub use quantize::quantize_row;
pub use rows::{quantize_rows, quantize_steps, Rows};
pub use scan::{scan_task, After, Scan, State};
pub use tiles::{pack_rows, pack_tile, quantize_tile, start_factor, TileMut, Tiles, Tiling};
