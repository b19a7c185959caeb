//! Orthogonal matrices: eigenvectors, orthonormal rows, leading directions, Hadamard matrices, and the norms that learnt rotations lower.

mod eigen;
mod hadamard;
mod lines;
mod low_rank;
mod orthonormal;
mod range;
mod tridiagonal;

pub use eigen::eigen;
pub use hadamard::{hadamard, Lines};
pub use low_rank::{low_rank, Found, Job, Space};
pub use orthonormal::orthonormal;
pub use range::range_norms;
