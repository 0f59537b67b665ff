pub mod camera;
pub mod cli;
pub mod error;
pub mod fit;
pub mod kinematics;
pub mod math;
pub mod quality;
pub mod report;
pub mod residual;
pub mod session;
pub mod skeleton;
pub mod solve;
pub mod synthetic;
pub mod trajectory;

pub use error::{Error, Result};
