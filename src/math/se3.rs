//! Rigid motions, with tangent vectors `[rotation; translation]` (6).
//!
//! The retraction used throughout is `exp(δ)·T` with `exp([ω; v])·x = exp(ω)·x + v`: a chart of SE(3) that agrees with
//! its exponential to first order, which is all that an iteration needs, and whose rotation and translation do not mix.

use super::so3;
use nalgebra::{Isometry3, Matrix3x6, Translation3, UnitQuaternion, Vector3, Vector6};

/// `exp(δ)·t`, the left perturbation of a rigid transform.
pub fn retract(t: &Isometry3<f64>, delta: &Vector6<f64>) -> Isometry3<f64> {
    let r = UnitQuaternion::from_scaled_axis(delta.fixed_rows::<3>(0).into_owned());
    let v: Vector3<f64> = delta.fixed_rows::<3>(3).into_owned();
    let rotation = UnitQuaternion::new_normalize((r * t.rotation).into_inner());
    Isometry3::from_parts(Translation3::from(r * t.translation.vector + v), rotation)
}

/// The same with rotations about `origin` instead of the world's: `x ↦ exp(ω)·(x − origin) + origin + v`. Far from the world's origin this keeps the six numbers of a like size.
pub fn retract_about(t: &Isometry3<f64>, delta: &Vector6<f64>, origin: &Vector3<f64>) -> Isometry3<f64> {
    let shift = |t: &Isometry3<f64>, by: Vector3<f64>| {
        Isometry3::from_parts(Translation3::from(t.translation.vector + by), t.rotation)
    };
    shift(&retract(&shift(t, -origin), delta), *origin)
}

/// Derivative of `exp(δ)·x` in `δ` at 0, 3×6: `[−[x]× | I]`.
pub fn d_moved_d_twist(x: &Vector3<f64>) -> Matrix3x6<f64> {
    let mut m = Matrix3x6::zeros();
    m.fixed_view_mut::<3, 3>(0, 0).copy_from(&(-so3::hat(x)));
    m.fixed_view_mut::<3, 3>(0, 3).fill_with_identity();
    m
}

/// Its transpose times `force`, 6: the torque about the origin and the force, `[x × f; f]`. What a gradient in a point is worth to a rigid motion.
#[inline]
pub fn wrench(x: &Vector3<f64>, force: &Vector3<f64>) -> Vector6<f64> {
    let torque = x.cross(force);
    Vector6::new(torque.x, torque.y, torque.z, force.x, force.y, force.z)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::Point3;

    #[test]
    fn derivative_of_a_moved_point() {
        let t = Isometry3::new(Vector3::new(0.3, -2.0, 1.0), Vector3::new(0.4, 0.2, -1.1));
        let x = Point3::new(0.7, 0.1, -0.4);
        let d = d_moved_d_twist(&(t * x).coords);
        for k in 0..6 {
            let mut delta = Vector6::zeros();
            delta[k] = 1e-6;
            let numeric = (retract(&t, &delta) * x - retract(&t, &-delta) * x) / 2e-6;
            assert!((numeric - d.column(k)).norm() < 1e-9);
        }
    }
    #[test]
    fn a_wrench_is_the_transpose() {
        let (x, f) = (Vector3::new(0.7, 0.1, -0.4), Vector3::new(-0.2, 1.3, 0.6));
        // Two products of numbers near 1 and their sum.
        assert!((wrench(&x, &f) - d_moved_d_twist(&x).tr_mul(&f)).amax() < 1e-15);
    }
}
