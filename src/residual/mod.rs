//! One file per term of the equation: its formula, its derivatives, and the check of them. Detections are kept as [`sightings`], and [`views`] evaluates those of a frame together.
//!
//! All terms are parts of one negative log posterior: `½·(…)²` of residuals divided by their standard deviation. Each
//! gives a quadratic local model: cost, gradient, and a positive semi-definite Gauss–Newton matrix.

pub mod extrinsics;
pub mod gauge;
pub mod gaussian;
pub mod limit;
pub mod point;
pub mod reprojection;
pub mod sightings;
pub mod smoothness;
pub mod views;

use nalgebra::{Matrix3, Vector3};

/// Local model of a term in the position of one marker: `cost + gradientᵀ·δp + ½·δpᵀ·information·δp`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PointModel {
    /// Value here.
    pub cost: f64,
    /// 3, per metre.
    pub gradient: Vector3<f64>,
    /// 3×3, per square metre.
    pub information: Matrix3<f64>,
    /// `‖residual‖²/σ²`.
    pub squared: f64,
}

/// How much of a robust loss's bend goes into the information.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Curvature {
    /// That of a parabola that touches the loss from above: for steps.
    Majorant,
    /// The mean over all directions ([`RobustLoss::expand`](crate::math::robust::RobustLoss::expand)), times a share: for what a solution is worth.
    Mean(f64),
}

impl Curvature {
    /// From the slope and the mean curvature of a loss.
    #[inline(always)]
    fn of(self, slope: f64, mean: f64) -> f64 {
        match self {
            Self::Majorant => slope,
            Self::Mean(share) => share * mean,
        }
    }
}
