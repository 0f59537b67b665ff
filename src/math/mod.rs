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
