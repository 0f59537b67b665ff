//! Rotations in three dimensions.
//!
//! ```text
//! exp(ω) = I + sinθ/θ·[ω]× + (1−cosθ)/θ²·[ω]×²,   θ = ‖ω‖
//! ```
//!
//! and the left Jacobian `J`, for which `exp(ω + δ) ≈ exp(J(ω)·δ)·exp(ω)`. Source: Solà, Deray & Atchuthan 2018,
//! *A micro Lie theory for state estimation in robotics* (arXiv 1812.01537), equations 132–147.

use nalgebra::{Matrix3, Rotation3, UnitQuaternion, Vector3};

/// Below this angle the closed forms lose digits and their Taylor series, cut after the θ⁴ terms, are exact to rounding.
const SMALL_ANGLE: f64 = 1e-2;

/// `[v]×`, the matrix with `[v]×·u = v × u`.
pub fn hat(v: &Vector3<f64>) -> Matrix3<f64> {
    Matrix3::new(0.0, -v.z, v.y, v.z, 0.0, -v.x, -v.y, v.x, 0.0)
}

/// The rotation by `‖ω‖` radians about `ω`.
pub fn exp(omega: &Vector3<f64>) -> Rotation3<f64> {
    Rotation3::new(*omega)
}

/// The rotation vector of `r`, of length at most π.
///
/// Goes by way of the quaternion, which stays accurate at small angles and at π, where the trace formula does not.
pub fn log(r: &Rotation3<f64>) -> Vector3<f64> {
    log_quaternion(&UnitQuaternion::from_rotation_matrix(r))
}

/// The rotation vector of a unit quaternion, of length at most π; `q` and `−q` give the same.
pub fn log_quaternion(q: &UnitQuaternion<f64>) -> Vector3<f64> {
    let (w, v) = if q.w < 0.0 { (-q.w, -q.imag()) } else { (q.w, q.imag()) };
    let s = v.norm();
    if s < 1e-8 {
        // 2·atan2(s, w)/s → 2/w·(1 − s²/(3w²)), and s² is below rounding.
        return v * (2.0 / w);
    }
    v * (2.0 * s.atan2(w) / s)
}

/// `(sin θ/θ, (1 − cos θ)/θ², (θ − sin θ)/θ³)`.
fn coefficients(theta: f64) -> (f64, f64, f64) {
    let t2 = theta * theta;
    if theta < SMALL_ANGLE {
        (
            1.0 - t2 / 6.0 * (1.0 - t2 / 20.0),
            0.5 * (1.0 - t2 / 12.0 * (1.0 - t2 / 30.0)),
            (1.0 - t2 / 20.0 * (1.0 - t2 / 42.0)) / 6.0,
        )
    } else {
        let (s, c) = theta.sin_cos();
        (s / theta, (1.0 - c) / t2, (theta - s) / (t2 * theta))
    }
}

/// The left Jacobian `J(ω)`, 3×3: `exp(ω + δ) ≈ exp(J(ω)·δ)·exp(ω)`.
pub fn left_jacobian(omega: &Vector3<f64>) -> Matrix3<f64> {
    let (_, b, c) = coefficients(omega.norm());
    let h = hat(omega);
    Matrix3::identity() + h * b + h * h * c
}

/// The inverse of [`left_jacobian`], for `‖ω‖ < 2π`.
pub fn left_jacobian_inverse(omega: &Vector3<f64>) -> Matrix3<f64> {
    let theta = omega.norm();
    let t2 = theta * theta;
    let k = if theta < SMALL_ANGLE {
        1.0 / 12.0 + t2 / 720.0 + t2 * t2 / 30240.0
    } else {
        let half = 0.5 * theta;
        (1.0 - half / half.tan()) / t2
    };
    let h = hat(omega);
    Matrix3::identity() - h * 0.5 + h * h * k
}

/// A gradient `g` in left perturbations `exp(ω)·R`, 3, as one in the nine numbers of `R`: `½·[g]×·R`.
///
/// Its inner product with `dR = [ω]×·R` is `½·tr([g]×ᵀ[ω]×) = g·ω` for every `ω`; across the rotations, where `R` cannot go, it has no part. Whatever makes `R` out of
/// other numbers and keeps it a rotation gets the right gradient from it.
pub fn matrix_gradient(g: &Vector3<f64>, r: &Rotation3<f64>) -> Matrix3<f64> {
    hat(&(g * 0.5)) * r.matrix()
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use proptest::prelude::*;

    fn vector(length: f64) -> impl Strategy<Value = Vector3<f64>> {
        (-1.0..1.0f64, -1.0..1.0f64, -1.0..1.0f64)
            .prop_map(move |(x, y, z)| Vector3::new(x, y, z) * length / 3f64.sqrt())
    }

    proptest! {
        #[test]
        fn log_undoes_exp(v in vector(3.1)) {
            // atan2 and the square root lose a few ulp; 1e-13 leaves room for the worst case near π.
            prop_assert!((log(&exp(&v)) - v).norm() < 1e-13 * (1.0 + 1.0 / (3.15 - v.norm())));
        }

        #[test]
        fn log_undoes_exp_at_tiny_angles(v in vector(1e-7)) {
            prop_assert!((log(&exp(&v)) - v).norm() < 1e-15);
        }

        #[test]
        fn left_jacobian_is_the_derivative(v in vector(3.0), d in vector(1.0)) {
            // Central difference with step 1e-6: truncation 1e-12, rounding 1e-10.
            let h = 1e-6;
            let r = exp(&v);
            let plus = log(&(exp(&(v + d * h)) * r.inverse()));
            let minus = log(&(exp(&(v - d * h)) * r.inverse()));
            prop_assert!(((plus - minus) / (2.0 * h) - left_jacobian(&v) * d).norm() < 1e-8);
        }

        #[test]
        fn matrix_gradient_is_the_gradient(v in vector(3.0), g in vector(2.0), omega in vector(2.0)) {
            let r = exp(&v);
            let along = matrix_gradient(&g, &r).dot(&(hat(&omega) * r.matrix()));
            // Some tens of products of numbers below 2.
            prop_assert!((along - g.dot(&omega)).abs() < 1e-14);
        }

        #[test]
        fn inverse_is_the_inverse(v in vector(6.0)) {
            let e = left_jacobian(&v) * left_jacobian_inverse(&v) - Matrix3::identity();
            // The inverse's condition grows as the angle nears 2π; at 6 rad it is about 40.
            prop_assert!(e.norm() < 1e-12 * 40.0);
        }
    }

    #[test]
    fn series_meets_closed_form() {
        for theta in [SMALL_ANGLE * 0.999, SMALL_ANGLE * 1.001] {
            let (s, c) = f64::sin_cos(theta);
            let (a, b, d) = coefficients(theta);
            assert_relative_eq!(a, s / theta, max_relative = 1e-13);
            // Cancellation in the closed forms: 1e-16/θ² and 1e-16/θ³ relative.
            assert_relative_eq!(b, (1.0 - c) / (theta * theta), max_relative = 1e-11);
            assert_relative_eq!(d, (theta - s) / theta.powi(3), max_relative = 1e-9);
        }
    }

    #[test]
    fn half_turn_has_a_logarithm() {
        let v = Vector3::new(0.0, std::f64::consts::PI, 0.0);
        assert_relative_eq!(log(&exp(&v)).norm(), std::f64::consts::PI, epsilon = 1e-12);
    }
}
