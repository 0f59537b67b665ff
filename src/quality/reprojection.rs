//! Reprojection error, counted over **every** detection with confidence ≥ 0.3 of a keypoint that the model has a marker
//! for; none is excluded.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Detections below this confidence are not counted in reported errors (they are still fitted, with their weight).
pub const COUNTED_CONFIDENCE: f64 = 0.3;

/// Figures over a set of detections. All are 0 when there are none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CameraReprojection {
    /// How many detections were counted.
    pub observations: usize,
    /// Median distance between detection and projected marker, pixels.
    pub median_px: f64,
    /// Mean distance, pixels.
    pub mean_px: f64,
    /// Mean weighted by confidence, pixels.
    pub weighted_mean_px: f64,
    /// Share within 5 px.
    pub within_5_px: f64,
    /// Share within 10 px.
    pub within_10_px: f64,
    /// Share within 20 px.
    pub within_20_px: f64,
    /// Median of pixels × depth / focal length, millimetres.
    pub median_mm: f64,
}

/// Figures of a trial: all cameras together, and each camera and keypoint by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reprojection {
    /// All detections.
    #[serde(flatten)]
    pub all: CameraReprojection,
    /// By camera name.
    pub cameras: BTreeMap<String, CameraReprojection>,
    /// By keypoint name.
    pub keypoints: BTreeMap<String, CameraReprojection>,
}
