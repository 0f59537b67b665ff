//! Figures from a result: reprojection error, sanity. No files.

mod reprojection;

pub use reprojection::{CameraReprojection, Reprojection};
