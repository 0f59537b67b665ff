//! Reprojection of a marker into a camera.
//!
//! ```text
//! r = (π(C, p) − u) / σ            2×1
//! cost = w·( ½·ρ(‖r‖²) + ln σ² )
//! ```
//!
//! `p` in world, metres; `u` in pixels of the distorted image; `w` the detector's confidence; `σ` the noise level of this
//! camera and keypoint, pixels, per axis: it is estimated, so its logarithm (of a two-dimensional density) is part of the cost.
//! Derivatives are with respect to `p`; those with respect to `world_from_camera ← exp(ξ)·world_from_camera` follow from
//! them, because moving the camera by `ξ` is moving the point by `−ξ`: `∂π/∂ξ = −(∂π/∂p)·[−[p]× | I]`.
//!
//! One observation at a time, as the formula stands; the solvers take a frame's at once ([`views`](super::views)), which a test holds against this.

use super::{Curvature, PointModel};
use crate::camera::Projector;
use crate::math::robust::RobustLoss;
use nalgebra::{Vector2, Vector3};

/// One detection of one marker.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// Index among the observed markers.
    pub slot: u32,
    /// Index of the camera.
    pub camera: u16,
    /// Index of the keypoint in the session's set.
    pub keypoint: u16,
    /// Pixels of the distorted image.
    pub pixel: [f64; 2],
    /// Confidence.
    pub weight: f64,
}

/// Cost, gradient and information (the projection's by Gauss and Newton, the loss's as `curvature` says) in the marker's position, for a noise of precision `1/σ²` (given with its logarithm); `None` behind the camera or beyond its lens model.
pub fn linearise(
    observation: &Observation,
    camera: &Projector,
    point_in_world: &Vector3<f64>,
    (precision, log_precision): (f64, f64),
    loss: RobustLoss,
    curvature: Curvature,
) -> Option<PointModel> {
    let (pixel, d) = camera.project_with_point_derivative(point_in_world)?; // 2, 2×3
    let e = pixel - Vector2::from(observation.pixel);
    let squared = e.norm_squared() * precision;
    let (rho, slope, mean) = loss.expand::<2>(squared);
    let k = observation.weight * precision;
    Some(PointModel {
        cost: observation.weight * (0.5 * rho - log_precision),
        gradient: d.tr_mul(&(e * (k * slope))),
        information: d.tr_mul(&(d * (k * curvature.of(slope, mean)))),
        squared,
    })
}

/// The cost alone, and `‖r‖²`; a marker that no longer projects costs as much as one `UNSEEN` standard deviations away.
pub fn cost(
    observation: &Observation,
    camera: &Projector,
    point_in_world: &Vector3<f64>,
    (precision, log_precision): (f64, f64),
    loss: RobustLoss,
) -> (f64, f64) {
    let squared = match camera.project(point_in_world) {
        Some(pixel) => (pixel - Vector2::from(observation.pixel)).norm_squared() * precision,
        None => UNSEEN * UNSEEN,
    };
    (observation.weight * (0.5 * loss.evaluate::<2>(squared).0 - log_precision), squared)
}

/// Distance, in standard deviations, that a marker behind its camera is charged with.
pub const UNSEEN: f64 = 1e3;
