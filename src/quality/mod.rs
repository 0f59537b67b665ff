//! Figures from a result: reprojection error, sanity, errors against a truth. No files.

mod evaluate;
mod fitted;
mod reprojection;
mod sanity;

pub use evaluate::{
    CameraError, CoordinateError, Coverage, CoverageByKind, Evaluation, MarkerError, TrialEvaluation, evaluate,
};
pub use fitted::{FittedCoordinate, FittedData, FittedOffset, FittedRotor, FittedTrial};
pub use reprojection::{COUNTED_CONFIDENCE, CameraReprojection, Reprojection, reprojection};
pub use sanity::{HUMAN_HEIGHT, LYING, default_height, height_by_scale, inclination, root_inclination};
