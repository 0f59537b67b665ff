//! Figures from a result: reprojection error, sanity. No files.

mod reprojection;
mod sanity;

pub use reprojection::{COUNTED_CONFIDENCE, CameraReprojection, Reprojection, median, reprojection};
pub use sanity::{HUMAN_HEIGHT, default_height, height_by_scale};
