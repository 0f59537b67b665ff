//! Forward kinematics and its Jacobians.
//!
//! [`forward`] gives body poses and marker positions of one frame. [`Mechanism::linearise`] adds, without a further pass over the markers, everything their
//! derivatives need. In the world, a degree of freedom moves every point distal to it by one rigid velocity
//!
//! ```text
//! ∂p/∂q_j = v_j + ω_j × p,        τ_j = [ω_j; v_j]   (6, a twist about the world's origin)
//! ```
//!
//! so the Jacobian of all markers is one twist per degree of freedom, whatever the number of markers (Featherstone 2008,
//! *Rigid Body Dynamics Algorithms*, §6: the composite-rigid-body idea, with information in the place of inertia).
//!
//! [`batch`] does both for many frames at once, several in each instruction, from one flat table.
//!
//! [`Mechanism::pull_back`] is the Jacobian's transpose: it turns a gradient in markers into one in coordinates, scales and offsets without forming the Jacobian. With feature
//! `learn`, `autodiff` makes it and the forward kinematics one operation of burn's.

#[cfg(feature = "learn")]
pub mod autodiff;
pub mod batch;
mod compare;
mod forward;
mod mechanism;
mod pullback;

pub use compare::{Comparison, Names, compare};
pub use forward::{Frame, forward};
pub use mechanism::{Column, FrameDerivatives, Mechanism};
pub use pullback::PoseGradient;
