//! Prior on what all cameras share: where the rig as a whole is, and how large.
//!
//! ```text
//! r = [ (1/N)·Σ log(RᵢRᵢ₀ᵀ) / σ_rotation ; (1/N)·Σ (cᵢ − cᵢ₀) / σ_position ; (Σ cᵢ·aᵢ / Σ ‖aᵢ‖² − 1) / σ_size ]      7×1
//! cost = ½·‖r‖²,   aᵢ = cᵢ₀ − mean c₀
//! ```
//!
//! with `world_from_camera = (Rᵢ, cᵢ)` and its calibrated value with a 0. Pixels say nothing about these seven numbers, and the heavy tail of single cameras'
//! priors hardly more once all move together; yet priors on offsets or smoothness, which are in metres, would gain by a smaller world. A rig's common error is known far better
//! than a single camera's: it is a Gaussian, whatever the number of frames.
//! Derivatives with respect to left perturbations of each camera about `origin`, `[rotation; translation]`.

use crate::math::{se3, so3};
use nalgebra::{DMatrix, DVector, Isometry3, Vector3};
use serde::{Deserialize, Serialize};

/// How well a rig as a whole is known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GaugePrior {
    /// Standard deviation of the mean orientation about each axis, radians.
    pub rotation_sd: f64,
    /// Standard deviation of the mean centre along each axis, metres.
    pub position_sd: f64,
    /// Standard deviation of the rig's size, relative.
    pub size_sd: f64,
}

impl GaugePrior {
    /// Cost, gradient (6·N) and Gauss–Newton matrix (6·N × 6·N).
    pub fn linearise(
        &self,
        world_from_camera: &[Isometry3<f64>],
        reference: &[Isometry3<f64>],
        origin: &Vector3<f64>,
    ) -> (f64, DVector<f64>, DMatrix<f64>) {
        let n = world_from_camera.len();
        let share = 1.0 / n.max(1) as f64;
        let mean = reference.iter().map(|c| c.translation.vector).sum::<Vector3<f64>>() * share;
        let spread: f64 = reference.iter().map(|c| (c.translation.vector - mean).norm_squared()).sum();
        let mut r = DVector::zeros(7);
        let mut jacobian = DMatrix::zeros(7, 6 * n);
        for (i, (here, calibrated)) in world_from_camera.iter().zip(reference).enumerate() {
            let omega = so3::log_quaternion(&(here.rotation * calibrated.rotation.inverse()));
            let centre = here.translation.vector;
            let by_twist = se3::d_moved_d_twist(&(centre - origin)); // 3×6
            for k in 0..3 {
                r[k] += omega[k] * share / self.rotation_sd;
                r[3 + k] += (centre[k] - calibrated.translation.vector[k]) * share / self.position_sd;
            }
            let turn = so3::left_jacobian_inverse(&omega) * (share / self.rotation_sd);
            jacobian.fixed_view_mut::<3, 3>(0, 6 * i).copy_from(&turn);
            jacobian.fixed_view_mut::<3, 6>(3, 6 * i).copy_from(&(by_twist * (share / self.position_sd)));
            if spread > 1e-6 {
                let a = (calibrated.translation.vector - mean) / (spread * self.size_sd);
                r[6] += (centre - calibrated.translation.vector).dot(&a);
                jacobian.fixed_view_mut::<1, 6>(6, 6 * i).copy_from(&(a.transpose() * by_twist));
            }
        }
        (0.5 * r.norm_squared(), jacobian.tr_mul(&r), jacobian.tr_mul(&jacobian))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::Vector6;

    #[test]
    fn gradient_is_the_derivative() {
        let camera =
            |k: f64| Isometry3::new(Vector3::new(3.0 * k.cos(), 1.0, 3.0 * k.sin()), Vector3::new(0.1, k, 0.0));
        let reference: Vec<_> = [0.0, 1.5, 3.0].map(camera).to_vec();
        let here: Vec<_> = [0.02, 1.53, 3.1].map(camera).to_vec();
        let prior = GaugePrior { rotation_sd: 0.01, position_sd: 0.02, size_sd: 0.005 };
        let origin = Vector3::new(0.4, -0.2, 1.0);
        let (_, gradient, _) = prior.linearise(&here, &reference, &origin);
        for i in 0..3 {
            for k in 0..6 {
                let at = |h: f64| {
                    let mut moved = here.clone();
                    let mut d = Vector6::zeros();
                    d[k] = h;
                    moved[i] = se3::retract_about(&moved[i], &d, &origin);
                    prior.linearise(&moved, &reference, &origin).0
                };
                let numeric = (at(1e-6) - at(-1e-6)) / 2e-6;
                assert!((numeric - gradient[6 * i + k]).abs() < 1e-5 * gradient.norm(), "{i} {k}");
            }
        }
    }
}
