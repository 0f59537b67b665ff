//! Smoothness of a trajectory's controls.
//!
//! Numbers: third differences of the controls, which approximate `spacing³·jerk` and leave constant acceleration free,
//!
//! ```text
//! r_k = √λ·(c_{k+3} − 3c_{k+2} + 3c_{k+1} − c_k)
//! ```
//!
//! Rotations: third differences of the control rotations, by way of the steps `d_k = log(Q_kᵀQ_{k+1})` in the body's own axes,
//!
//! ```text
//! r_k = √λ·(d_{k+2} − 2d_{k+1} + d_k)              3×1
//! ```
//!
//! which a rigid motion of the world does not change. cost = ½‖r‖². Derivatives with respect to control numbers, and to left perturbations of control
//! rotations: `∂d_k/∂δ_{k+1} = J⁻¹(d_k)·Q_kᵀ = −∂d_k/∂δ_k`.
//! **Spacing.** Trials whose controls are `h` apart share what is known of a movement, not a λ: third differences are `h³·jerk`, and a sum over controls is `1/h` of an integral over
//! time, so that `Λ·∫jerk²dt ≈ Λ·Σ(r/h³)²·h = Λ·h⁻⁵·Σr²`. One precision Λ of the integral is `λ(h) = Λ·h⁻⁵`, and a λ stated for controls `h₀` apart is `λ·(h₀/h)⁵` for others
//! ([`spacing_share`]): jerk is white noise, whose mean over `h` has a variance like `1/h`.
//!
//! λ is a precision: the prior says that third differences have variance 1/λ. It is estimated per degree of freedom from the data
//! (`solve::smoothing`). Source of the penalty on B-spline coefficients: Eilers & Marx 1996; of the third derivative for movement: Woltring 1986.

use crate::math::so3;
use nalgebra::{Matrix3, UnitQuaternion, Vector3};

/// Weights of a third difference over four controls.
pub const THIRD_DIFFERENCE: [f64; 4] = [-1.0, 3.0, -3.0, 1.0];

/// `(h₀/h)⁵`: what a precision of third differences of controls `stated` apart is for controls `spacing` apart.
pub fn spacing_share(stated: f64, spacing: f64) -> f64 {
    (stated / spacing).powi(5)
}

/// Third difference of four control rotations and its derivative in a left perturbation of each.
pub fn rotation_difference(q: [&UnitQuaternion<f64>; 4]) -> (Vector3<f64>, [Matrix3<f64>; 4]) {
    let mut r = Vector3::zeros();
    let mut jacobian = [Matrix3::zeros(); 4]; // 3×3 each
    for (k, weight) in [1.0, -2.0, 1.0].into_iter().enumerate() {
        let d = so3::log_quaternion(&(q[k].inverse() * q[k + 1]));
        let m = so3::left_jacobian_inverse(&d) * q[k].to_rotation_matrix().matrix().transpose() * weight;
        r += d * weight;
        jacobian[k] -= m;
        jacobian[k + 1] += m;
    }
    (r, jacobian)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivative_of_the_rotation_difference() {
        let q: Vec<UnitQuaternion<f64>> = (0..4)
            .map(|k| UnitQuaternion::from_scaled_axis(Vector3::new(0.4, -0.3, 0.8) * (k * k) as f64 * 0.3))
            .collect();
        let (_, jacobian) = rotation_difference([&q[0], &q[1], &q[2], &q[3]]);
        let h = 1e-6;
        for k in 0..4 {
            for i in 0..3 {
                let at = |step: f64| {
                    let mut moved = q.clone();
                    let mut delta = Vector3::zeros();
                    delta[i] = step;
                    moved[k] = UnitQuaternion::from_scaled_axis(delta) * moved[k];
                    rotation_difference([&moved[0], &moved[1], &moved[2], &moved[3]]).0
                };
                let numeric = (at(h) - at(-h)) / (2.0 * h);
                assert!((numeric - jacobian[k].column(i)).norm() < 1e-8, "control {k}, axis {i}");
            }
        }
    }

    /// A movement sampled with controls half as far apart costs the same: for `q(t) = sin(t)` over its period, where `∫jerk² = π`.
    #[test]
    fn the_cost_of_a_movement_does_not_depend_on_the_spacing() {
        let cost = |controls: usize| {
            let h = std::f64::consts::TAU / controls as f64;
            let c: Vec<f64> = (0..controls + 3).map(|k| (k as f64 * h).sin()).collect();
            let squares: f64 =
                c.windows(4).map(|c| (0..4).map(|i| THIRD_DIFFERENCE[i] * c[i]).sum::<f64>().powi(2)).sum();
            spacing_share(1.0, h) * squares
        };
        // A third difference of a sine is its derivative times (2·sin(h/2)/h)³: short by 3·h²/24 each, twice that squared.
        for controls in [60, 120, 360] {
            let h = std::f64::consts::TAU / controls as f64;
            let short = 1.0 - cost(controls) / std::f64::consts::PI;
            assert!(short > 0.0 && short < 0.25 * h * h * 1.01 + 1e-9, "{controls}: {short}");
        }
    }

    #[test]
    fn a_steady_turn_costs_nothing() {
        let q: Vec<UnitQuaternion<f64>> =
            (0..4).map(|k| UnitQuaternion::from_scaled_axis(Vector3::new(0.0, 2.0 * k as f64, 0.0))).collect();
        assert!(rotation_difference([&q[0], &q[1], &q[2], &q[3]]).0.norm() < 1e-14);
    }
}
