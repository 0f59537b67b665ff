//! Forward kinematics and its Jacobians.

mod forward;

pub use forward::{Frame, forward};
