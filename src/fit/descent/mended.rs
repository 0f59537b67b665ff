//! Frames that have gone adrift, set right.

use crate::fit::adrift::{Adrift, adrift};
use crate::solve::{Parameters, Problem};
use crate::trajectory::Pose;
use nalgebra::Rotation3;

/// Frames on either side of them that are taught with them.
const BESIDE: usize = 3;

/// The poses with those frames that have gone adrift going straight from what is before them to what is after; `None` where none has.
pub(super) fn mended(problem: &Problem, parameters: &Parameters, mut poses: Vec<Vec<Pose>>) -> Option<Vec<Vec<Pose>>> {
    let residuals = problem.pixel_residuals(parameters);
    let mut any = false;
    for ((poses, residuals), trial) in poses.iter_mut().zip(&residuals).zip(&problem.trials) {
        let frames = trial.times.len();
        for Adrift { frames: stretch, .. } in adrift(residuals, &problem.rig, frames) {
            let (from, to) = (stretch.start.checked_sub(1 + BESIDE), stretch.end + BESIDE);
            let (before, after) = (from.map(|f| poses[f].clone()), poses.get(to).cloned());
            let first = from.map_or(0, |f| f + 1);
            let last = to.min(frames);
            for f in first..last {
                let share = (f + 1 - first) as f64 / (last + 1 - first) as f64;
                match (&before, &after) {
                    (Some(a), Some(b)) => between(a, b, share, &mut poses[f]),
                    (Some(one), None) | (None, Some(one)) => poses[f].clone_from(one),
                    // All of it is adrift: there is nothing to go by.
                    (None, None) => continue,
                }
                any = true;
            }
        }
    }
    any.then_some(poses)
}

/// The pose a share of the way from one to another.
fn between(a: &Pose, b: &Pose, share: f64, out: &mut Pose) {
    for ((x, a), b) in out.q.iter_mut().zip(&a.q).zip(&b.q) {
        *x = a + share * (b - a);
    }
    for ((r, a), b) in out.rotors.iter_mut().zip(&a.rotors).zip(&b.rotors) {
        *r = Rotation3::new(share * (b * a.inverse()).scaled_axis()) * a;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_two_poses_rotations_take_the_shorter_way() {
        let turn = |angle: f64| Rotation3::from_euler_angles(0.0, 0.0, angle);
        let pose = |x: f64, angle: f64| Pose { q: vec![x, 1.0], rotors: vec![turn(angle)] };
        let mut out = pose(9.0, 9.0);
        // From 170° to 190° by way of 180°, not of 0°.
        between(&pose(0.0, 170f64.to_radians()), &pose(4.0, -170f64.to_radians()), 0.25, &mut out);
        assert_eq!(out.q, [1.0, 1.0]);
        assert!(out.rotors[0].angle_to(&turn(175f64.to_radians())) < 1e-12);
    }
}
