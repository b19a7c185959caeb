//! Orthogonal matrices: eigenvectors, orthonormal rows, and the norms that learnt rotations lower.

mod eigen;
mod lines;
mod orthonormal;
mod range;
mod tridiagonal;

pub use eigen::eigen;
pub use orthonormal::orthonormal;
pub use range::range_norms;
