//! A marker measured in space (triangulated, or by a motion-capture system).
//!
//! ```text
//! r = (p − x) / σ                  3×1
//! cost = w·½·ρ(‖r‖²)
//! ```
//!
//! `p`, `x` in ground, metres; derivatives with respect to `p`.

use super::PointModel;
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
    /// Standard deviation per axis, metres.
    pub sigma: f64,
}

/// Cost, gradient and Gauss–Newton information in the marker's position.
pub fn linearise(observation: &PointObservation, point_in_ground: &Vector3<f64>, loss: RobustLoss) -> PointModel {
    let e = point_in_ground - observation.position;
    let precision = 1.0 / (observation.sigma * observation.sigma);
    let squared = e.norm_squared() * precision;
    let (rho, slope) = loss.evaluate(squared);
    let k = observation.weight * slope * precision;
    PointModel { cost: observation.weight * 0.5 * rho, gradient: e * k, information: Matrix3::identity() * k, squared }
}
