//! The B-spline nearest to given poses.

use super::{BSpline, Layout, LocalTrajectory, Pose, Trajectory};
use crate::math::arrow::{Arrow, Band};
use crate::math::basis::{Degree, Knots};
use crate::math::so3;
use nalgebra::{UnitQuaternion, Vector3};
use std::sync::Arc;

/// What holds controls that no pose tells, of what one pose tells.
const RIDGE: f64 = 1e-6;

/// Gauss–Newton steps: numbers are linear, rotations nearly.
const STEPS: usize = 4;

/// Least squares over the poses at `times`, ascending seconds inside the knots' interval: numbers by value, rotations by angle. Controls that no pose tells stay near the poses beside
/// them. `None` where there are no poses or they are not numbers.
pub fn nearest_spline(layout: &Arc<Layout>, knots: Knots, times: &[f64], poses: &[Pose]) -> Option<BSpline> {
    if poses.is_empty() || times.len() != poses.len() {
        return None;
    }
    let mut k = 0.0;
    let mut spline = BSpline::through(layout.clone(), knots, |t| {
        k += 1.0;
        // The outermost controls stand outside the interval, where `t` does not go.
        onward(times, poses, if knots.degree == Degree::Cubic { knots.start + (k - 2.0) * knots.spacing } else { t })
    });
    let n = layout.dofs();
    let (mut weights, mut pose) = (layout.weights(), layout.default_pose());
    for _ in 0..STEPS {
        let mut band = Band::zeros(n, spline.controls(), spline.bandwidth(), 0);
        for (&t, wanted) in times.iter().zip(poses) {
            spline.weights(t, &mut weights);
            spline.pose(t, &mut pose);
            for a in 0..weights.count {
                let row = weights.first + a;
                for (j, &c) in layout.coordinates[..layout.scalars()].iter().enumerate() {
                    band.rhs[row * n + j] += weights.value[a] * (wanted.q[c] - pose.q[c]);
                    for b in 0..=a {
                        *band.matrix.at_mut(row, weights.first + b, j, j) += weights.value[a] * weights.value[b];
                    }
                }
                for (r, &at) in layout.rotors.iter().enumerate() {
                    let missing: Vector3<f64> = so3::log(&(wanted.rotors[r] * pose.rotors[r].inverse()));
                    let own = weights.rotors[r][a].tr_mul(&missing);
                    for i in 0..3 {
                        band.rhs[row * n + at + i] += own[i];
                    }
                    for b in 0..=a {
                        let block = weights.rotors[r][a].tr_mul(&weights.rotors[r][b]);
                        for i in 0..3 {
                            for j in 0..3 {
                                *band.matrix.at_mut(row, weights.first + b, at + i, at + j) += block[(i, j)];
                            }
                        }
                    }
                }
            }
        }
        for k in 0..spline.controls() {
            for j in 0..n {
                *band.matrix.at_mut(k, k, j, j) += RIDGE;
            }
        }
        let arrow = Arrow { bands: vec![band], corner: Vec::new(), corner_rhs: Vec::new() };
        let solution = arrow.factor().ok()?.solve();
        spline.retract(&solution.bands[0]);
    }
    Some(spline)
}

/// As [`between`]; outside, as if the movement went on as it came: mirrored in time and about the pose at the end.
fn onward(times: &[f64], poses: &[Pose], t: f64) -> Pose {
    let edge = match (times.first(), times.last()) {
        (Some(first), _) if t < *first => (*first, &poses[0]),
        (_, Some(last)) if t > *last => (*last, &poses[poses.len() - 1]),
        _ => return between(times, poses, t),
    };
    let mirrored = between(times, poses, 2.0 * edge.0 - t);
    Pose {
        q: edge.1.q.iter().zip(&mirrored.q).map(|(e, m)| 2.0 * e - m).collect(),
        rotors: edge.1.rotors.iter().zip(&mirrored.rotors).map(|(e, m)| e * m.inverse() * e).collect(),
    }
}

/// The pose between the two beside `t`; the nearest one outside.
pub fn between(times: &[f64], poses: &[Pose], t: f64) -> Pose {
    let after = times.partition_point(|&x| x < t);
    if after == 0 {
        return poses[0].clone();
    }
    if after == times.len() {
        return poses[after - 1].clone();
    }
    let x = (t - times[after - 1]) / (times[after] - times[after - 1]);
    let (a, b) = (&poses[after - 1], &poses[after]);
    Pose {
        q: a.q.iter().zip(&b.q).map(|(a, b)| a + x * (b - a)).collect(),
        rotors: a
            .rotors
            .iter()
            .zip(&b.rotors)
            .map(|(a, b)| {
                let (a, b) = (UnitQuaternion::from_rotation_matrix(a), UnitQuaternion::from_rotation_matrix(b));
                // Half a turn apart has no shortest way; then the nearer of the two.
                a.try_slerp(&b, x, 1e-9).unwrap_or(if x < 0.5 { a } else { b }).to_rotation_matrix()
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Arc<Layout> {
        Arc::new(Layout { template: vec![0.0; 4], coordinates: vec![0, 1, 2, 3], rotors: vec![1] })
    }

    fn at(t: f64) -> Pose {
        Pose {
            q: vec![(3.0 * t).sin(), 0.0, 0.0, 0.0],
            rotors: vec![so3::exp(&Vector3::new(0.3 * (2.0 * t).sin(), 4.0 * t, 0.2))],
        }
    }

    /// A cubic spline with knots h apart approaches a smooth function to about h⁴/384 times its fourth derivative (3⁴ here, some more for the rotation): 2.6e-7 at 1/30 s.
    #[test]
    fn follows_smooth_poses_between_the_given_times() {
        let layout = layout();
        let times: Vec<f64> = (0..120).map(|f| f as f64 / 60.0).collect();
        let poses: Vec<Pose> = times.iter().map(|&t| at(t)).collect();
        let spline = nearest_spline(&layout, Knots::cubic(120, 60.0, 1.0 / 30.0), &times, &poses).unwrap();
        let mut pose = layout.default_pose();
        for f in 0..238 {
            let t = f as f64 / 120.0;
            spline.pose(t, &mut pose);
            let wanted = at(t);
            assert!((pose.q[0] - wanted.q[0]).abs() < 2e-6, "{t}");
            assert!(so3::log(&(pose.rotors[0] * wanted.rotors[0].inverse())).norm() < 5e-6, "{t}");
        }
    }

    /// As many frames as spans: two controls more than poses, which come to rest where the movement would go on. Mirrored, it errs by h²·q″, 0.01 at the ends, of which a twelfth shows
    /// between the last frames.
    #[test]
    fn controls_that_no_pose_tells_stay_near() {
        let layout = layout();
        let times: Vec<f64> = (0..30).map(|f| f as f64 / 30.0).collect();
        let poses: Vec<Pose> = times.iter().map(|&t| at(t)).collect();
        let spline = nearest_spline(&layout, Knots::cubic(30, 30.0, 1.0 / 30.0), &times, &poses).unwrap();
        let mut pose = layout.default_pose();
        for f in 0..59 {
            let t = f as f64 / 60.0;
            spline.pose(t, &mut pose);
            assert!((pose.q[0] - at(t).q[0]).abs() < 1e-3, "{t}: {} {}", pose.q[0], at(t).q[0]);
        }
        assert!(nearest_spline(&layout, Knots::cubic(30, 30.0, 0.1), &[], &[]).is_none());
    }
}
