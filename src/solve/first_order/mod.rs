//! First-order solvers: descent along gradients, for trajectories whose ∂q/∂φ has no structure.
//!
//! [`Problem::cost_of_poses`](crate::solve::Problem::cost_of_poses) gives the gradient in poses and shared parameters; the trajectory carries it back to its own. [`AdamW`] and argmin's
//! L-BFGS move one flat vector: the networks of all trials, then what trials share.

mod adamw;
mod lbfgs;
mod lesson;
mod networks;
mod objective;
mod roughness;
#[cfg(test)]
mod tests;

pub use adamw::{AdamOptions, AdamState, AdamW, Descent, DescentState, Group, Schedule};
pub use lbfgs::{is_memory, quasi_newton};
pub use lesson::Lesson;
pub use networks::{Descended, Memory, MiniBatch, Networks, Rates, adam};
pub use objective::{ObjectiveGradient, Terms, Window, in_twists, shared_parameters, shared_vector};
