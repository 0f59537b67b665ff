//! Rotations, rigid motions, robust losses, spline bases, and the block-banded + bordered ("arrow") linear system.
//!
//! **Perturbations are on the left**, everywhere: a rotation changes as `R ← exp(δ)·R`, a rigid transform as
//! `b_from_a ← exp(δ)·b_from_a`, and a tangent vector of a rigid transform is ordered `[rotation; translation]`.

pub mod arrow;
pub mod banded;
pub mod basis;
pub mod border;
pub(crate) mod dense;
pub mod lanes;
mod order;
pub mod robust;
pub mod se3;
pub mod so3;
#[cfg(feature = "learn")]
pub(crate) mod tensor;

pub use order::median;

use rayon::prelude::*;

/// Makes a vector `length` zeros, in the memory it has where that is enough.
pub(crate) fn zeroed(values: &mut Vec<f64>, length: usize) {
    /// Numbers that a thread takes at a time: those of a long trial are larger than any cache.
    const PIECE: usize = 1 << 16;
    if values.capacity() < length {
        // Not both at once. Zeroed by the system, page by page as they are touched.
        *values = Vec::new();
        *values = vec![0.0; length];
        return;
    }
    values.resize(length, 0.0);
    values.par_chunks_mut(PIECE).for_each(|piece| piece.fill(0.0));
}
