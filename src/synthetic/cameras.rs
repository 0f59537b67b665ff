//! Cameras around the subject, and calibrations that are off.

use super::{Purpose, StaleCamera, stream};
use crate::camera::{Camera, Distortion, Intrinsics, Rig};
use nalgebra::{Isometry3, Matrix3, Rotation3, Translation3, UnitQuaternion, Vector3};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use std::f64::consts::TAU;

/// Image size, pixels.
const SIZE: [f64; 2] = [1920.0, 1080.0];
/// Distance from the middle, metres: a standing person fills three quarters of the image.
const RADIUS: f64 = 4.6;
/// What the cameras look at, metres above the floor.
const MIDDLE: f64 = 0.95;

/// Cameras in a ring about the origin of a Z-up world, unevenly spaced, at heights between 1 and 2.4 m, with wide lenses whose distortion is
/// that of action cameras.
pub fn ring(cameras: usize, seed: u64) -> Rig {
    let mut rng = stream(seed, Purpose::Cameras, 0);
    let spacing = TAU / cameras as f64;
    let start = rng.random_range(0.0..spacing);
    (0..cameras)
        .map(|c| {
            let mut jitter = |size: f64| rng.random_range(-size..size);
            let angle = start + spacing * (c as f64 + jitter(0.15));
            let radius = RADIUS + jitter(0.3);
            let height = if c % 2 == 0 { 2.2 } else { 1.2 } + jitter(0.2);
            let centre = Vector3::new(radius * angle.cos(), radius * angle.sin(), height);
            let aim = Vector3::new(jitter(0.1), jitter(0.1), MIDDLE + jitter(0.1));
            let focal = 1250.0 + jitter(60.0);
            Camera {
                name: format!("cam{:02}", c + 1),
                size: SIZE,
                intrinsics: Intrinsics {
                    fx: focal,
                    fy: focal * (1.0 + jitter(0.002)),
                    cx: 0.5 * SIZE[0] + jitter(15.0),
                    cy: 0.5 * SIZE[1] + jitter(15.0),
                    skew: 0.0,
                },
                distortion: Distortion::Rational([
                    -0.10 + jitter(0.03),
                    0.03 + jitter(0.01),
                    jitter(5e-4),
                    jitter(5e-4),
                    0.0,
                    0.0,
                    0.0,
                    0.0,
                ]),
                camera_from_world: looking(&centre, &aim),
            }
        })
        .collect()
}

/// The pose of a camera at `centre` that looks at `aim`, upright in a Z-up world.
fn looking(centre: &Vector3<f64>, aim: &Vector3<f64>) -> Isometry3<f64> {
    let z = (aim - centre).normalize();
    let x = z.cross(&Vector3::z()).normalize();
    let y = z.cross(&x);
    let camera_from_world = Rotation3::from_matrix_unchecked(Matrix3::from_columns(&[x, y, z]).transpose());
    Isometry3::from_parts(
        Translation3::from(-(camera_from_world * centre)),
        UnitQuaternion::from_rotation_matrix(&camera_from_world),
    )
}

/// The same camera turned by a rotation vector (in world, about its centre) and its centre moved: the error that
/// [`ExtrinsicsPrior`](crate::residual::extrinsics::ExtrinsicsPrior) speaks of.
pub fn perturbed(camera: &Camera, rotation: &Vector3<f64>, translation: &Vector3<f64>) -> Camera {
    let world_from_camera = camera.camera_from_world.inverse();
    let moved = Isometry3::from_parts(
        Translation3::from(world_from_camera.translation.vector + translation),
        UnitQuaternion::from_scaled_axis(*rotation) * world_from_camera.rotation,
    );
    Camera { camera_from_world: moved.inverse(), ..camera.clone() }
}

/// A calibration as the user has it: every camera off a little, some a lot.
pub(super) fn miscalibrated(rig: &Rig, sd_deg: f64, sd_mm: f64, stale: &[StaleCamera], seed: u64) -> Rig {
    rig.iter()
        .enumerate()
        .map(|(c, camera)| {
            let mut rng = stream(seed, Purpose::Calibration, c);
            let mut normal = || Vector3::from_fn(|_, _| StandardNormal.sample(&mut rng));
            let mut rotation: Vector3<f64> = normal() * sd_deg.to_radians();
            let mut translation: Vector3<f64> = normal() * (sd_mm * 1e-3);
            for s in stale.iter().filter(|s| s.camera == c) {
                rotation += normal().normalize() * s.rotation_deg.to_radians();
                translation += normal().normalize() * (s.translation_mm * 1e-3);
            }
            perturbed(camera, &rotation, &translation)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::so3;

    #[test]
    fn every_camera_sees_the_middle_upright() {
        for camera in ring(9, 5) {
            let at = |p: Vector3<f64>| camera.project(&p).unwrap();
            let (head, middle, foot) =
                (at(Vector3::new(0.0, 0.0, 1.8)), at(Vector3::new(0.0, 0.0, 0.95)), at(Vector3::zeros()));
            assert!((middle.x - 960.0).abs() < 100.0 && (middle.y - 540.0).abs() < 100.0, "{middle}");
            assert!(head.y < middle.y - 150.0 && foot.y > middle.y + 150.0 && foot.y < 1080.0 && head.y > 0.0);
            assert!((camera.centre_in_world().xy().norm() - RADIUS).abs() < 0.31);
        }
    }

    #[test]
    fn a_stale_camera_is_off_by_what_was_asked() {
        let rig = ring(3, 1);
        let stale = StaleCamera { camera: 1, rotation_deg: 2.0, translation_mm: 80.0 };
        let off = miscalibrated(&rig, 0.0, 0.0, &[stale], 1);
        for (c, (a, b)) in rig.iter().zip(&off).enumerate() {
            let turn = so3::log_quaternion(&(a.camera_from_world.rotation * b.camera_from_world.rotation.inverse()));
            let moved = (a.centre_in_world() - b.centre_in_world()).norm();
            let (deg, m) = if c == 1 { (2.0, 0.08) } else { (0.0, 0.0) };
            assert!((turn.norm().to_degrees() - deg).abs() < 1e-9 && (moved - m).abs() < 1e-9);
        }
    }
}
