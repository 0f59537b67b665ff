//! A marker measured in space (triangulated, or by a motion-capture system).
//!
//! ```text
//! r = (p − x) / σ                  3×1
//! cost = w·½·ρ(‖r‖²)
//! ```
//!
//! `p`, `x` in ground, metres; `σ` the noise level of this marker, per axis; derivatives with respect to `p`.

use super::{Curvature, PointModel};
use crate::math::robust::RobustLoss;
use nalgebra::{Matrix3, Vector3};

/// One measured point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PointObservation {
    /// Index among the observed markers.
    pub slot: u32,
    /// Where it was seen, metres in ground.
    pub position: Vector3<f64>,
    /// Weight.
    pub weight: f64,
}

/// Cost, gradient and information in the marker's position.
pub fn linearise(
    observation: &PointObservation,
    point_in_ground: &Vector3<f64>,
    sigma: f64,
    loss: RobustLoss,
    curvature: Curvature,
) -> PointModel {
    let e = point_in_ground - observation.position;
    let precision = 1.0 / (sigma * sigma);
    let squared = e.norm_squared() * precision;
    let (rho, slope, mean) = loss.expand::<3>(squared);
    let k = observation.weight * precision;
    PointModel {
        cost: observation.weight * 0.5 * rho,
        gradient: e * (k * slope),
        information: Matrix3::identity() * (k * curvature.of(slope, mean)),
        squared,
    }
}

/// The cost alone.
pub fn cost(observation: &PointObservation, point_in_ground: &Vector3<f64>, sigma: f64, loss: RobustLoss) -> f64 {
    let e = (point_in_ground - observation.position) / sigma;
    observation.weight * 0.5 * loss.evaluate::<3>(e.norm_squared()).0
}
