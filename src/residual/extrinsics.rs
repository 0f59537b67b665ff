//! Prior on a camera's extrinsics: how far calibrations are wrong.
//!
//! ```text
//! e = [ log(R·R₀ᵀ)/σ_rotation ; (c − c₀)/σ_position ]      6×1
//! cost = ½·ρ(‖e‖²) + ½·‖e‖²/FAR²,   ρ(s) = (ν + 6)·ln(1 + s/ν)           (six-dimensional Student t)
//! ```
//!
//! with `world_from_camera = (R, c)`, `R₀, c₀` its calibrated value. A calibration is usually good; a tripod that was kicked is far off. The heavy tail says so:
//! cameras that moved are let go, and the good ones hold the gauge (world, and size) that free extrinsics would leave open.
//! Derivatives with respect to a left perturbation `[rotation; translation]`: `∂c/∂ξ = [−[c]× | I]`.

use crate::math::{robust::RobustLoss, se3, so3};
use nalgebra::{Isometry3, Matrix6, Vector3, Vector6};
use serde::{Deserialize, Serialize};

/// How far calibrations are usually off.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ExtrinsicsPrior {
    /// Standard deviation of the orientation about each axis, radians.
    pub rotation_sd: f64,
    /// Standard deviation of the optical centre along each axis, metres.
    pub position_sd: f64,
    /// Degrees of freedom ν of the tail; infinite for a Gaussian.
    pub dof: f64,
}

/// Standard deviations, relative to those of a good calibration, of one that was kicked: beyond them the tail is Gaussian again, so that a camera which hardly
/// anything else holds does not wander off.
const FAR: f64 = 12.0;

/// Value, gradient and Gauss–Newton matrix in a left perturbation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TwistModel {
    /// Value here.
    pub cost: f64,
    /// 6.
    pub gradient: Vector6<f64>,
    /// 6×6.
    pub information: Matrix6<f64>,
}

impl ExtrinsicsPrior {
    /// Local model at `world_from_camera` for the calibrated value `reference`.
    pub fn linearise(
        &self,
        world_from_camera: &Isometry3<f64>,
        reference: &Isometry3<f64>,
        origin: &Vector3<f64>,
    ) -> TwistModel {
        let omega = so3::log_quaternion(&(world_from_camera.rotation * reference.rotation.inverse()));
        let centre = world_from_camera.translation.vector;
        let mut e = Vector6::zeros();
        e.fixed_rows_mut::<3>(0).copy_from(&(omega / self.rotation_sd));
        e.fixed_rows_mut::<3>(3).copy_from(&((centre - reference.translation.vector) / self.position_sd));
        let mut jacobian = Matrix6::zeros(); // 6×6, left
        jacobian.fixed_view_mut::<3, 3>(0, 0).copy_from(&(so3::left_jacobian_inverse(&omega) / self.rotation_sd));
        jacobian.fixed_view_mut::<3, 6>(3, 0).copy_from(&(se3::d_moved_d_twist(&(centre - origin)) / self.position_sd));
        let s = e.norm_squared();
        let far = if self.dof.is_finite() { 1.0 / (FAR * FAR) } else { 0.0 };
        let (rho, slope) = if self.dof.is_finite() {
            // The 2-D loss of `robust` with its dimension replaced by 6.
            ((self.dof + 6.0) * (s / self.dof).ln_1p(), (self.dof + 6.0) / (self.dof + s))
        } else {
            RobustLoss::Gaussian.evaluate::<6>(s)
        };
        TwistModel {
            cost: 0.5 * (rho + far * s),
            gradient: jacobian.tr_mul(&e) * (slope + far),
            information: jacobian.tr_mul(&jacobian) * (slope + far),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradient_is_the_derivative() {
        let reference = Isometry3::new(Vector3::new(1.0, 2.0, -3.0), Vector3::new(0.2, -1.0, 0.5));
        let here = Isometry3::new(Vector3::new(1.03, 2.1, -3.05), Vector3::new(0.21, -0.9, 0.52));
        let origin = Vector3::new(0.3, 2.0, 1.0);
        for dof in [f64::INFINITY, 4.0] {
            let prior = ExtrinsicsPrior { rotation_sd: 0.02, position_sd: 0.05, dof };
            let model = prior.linearise(&here, &reference, &origin);
            for k in 0..6 {
                let mut d = Vector6::zeros();
                d[k] = 1e-6;
                let plus = prior.linearise(&se3::retract_about(&here, &d, &origin), &reference, &origin).cost;
                let minus = prior.linearise(&se3::retract_about(&here, &-d, &origin), &reference, &origin).cost;
                let numeric = (plus - minus) / 2e-6;
                assert!((numeric - model.gradient[k]).abs() < 1e-6 * (1.0 + model.gradient.norm()), "{k}");
            }
        }
    }
}
