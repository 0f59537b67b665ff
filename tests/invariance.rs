//! What must not matter: where the world's origin is and which way its axes point, the order of cameras, of keypoints, of markers.
//!
//! **Tolerance.** A fit ends with a step that lowers the objective by less than 0.05. Near the minimum a step leaves at most a quarter of what there was to gain (the weights' and the
//! kinematics' bend, which the normal equations leave out), so that the end is within `√(2·0.05/4) = 0.16` posterior standard deviations of the minimum, in the space of all parameters
//! together, hence for each number by itself as well (Cauchy–Schwarz). Two fits of the same thing are apart by less than twice that, 0.32.

mod common;

use common::stick;
use kinefit::camera::Camera;
use kinefit::fit::{FitOptions, SessionFit, Status, fit_session};
use kinefit::session::{Detections, Session};
use kinefit::skeleton::{Motion, ScaleGroups, Skeleton};
use kinefit::synthetic::{StaleCamera, SyntheticOptions, generate};
use nalgebra::{Isometry3, Translation3, UnitQuaternion, Vector3};

/// Where the solver's steps are the same but for rounding: 1e-16 of numbers of 10, times the 1e7 by which the normal equations' condition multiplies it. Standard deviations, millimetres,
/// pixels.
const ROUNDING: (f64, f64, f64) = (1e-6, 1e-6, 1e-6);

/// Where they are not, because damping and the smoothness of the root's path are along the world's axes: see above for the deviations, of which 10 mm is the largest that a marker or
/// camera has here; for the median, its own sampling error, 1.25·2 px/√9000.
const STOPPED: (f64, f64, f64) = (0.32, 3.2, 0.03);

fn session() -> Session {
    let (skeleton, groups) = stick();
    let options = SyntheticOptions {
        seed: 41,
        outlier_share: 0.05,
        missing_share: 0.1,
        calibration_error_deg: 0.2,
        calibration_error_mm: 8.0,
        stale_cameras: vec![StaleCamera { camera: 1, rotation_deg: 1.5, translation_mm: 60.0 }],
        ..Default::default()
    };
    generate(&skeleton, &groups, &options).unwrap().session
}

fn fitted(session: &Session, (skeleton, groups): (Skeleton, ScaleGroups)) -> SessionFit {
    let options = FitOptions { skeleton: Some(skeleton), scale_groups: Some(groups), ..FitOptions::default() };
    let fit = fit_session(session, &options).unwrap();
    assert_eq!(fit.status, Status::Converged, "{}", fit.reason);
    fit
}

/// A motion of the ground.
type Moved = Isometry3<f64>;

/// Compares two fits of the same thing, the second's ground being the first's moved.
#[track_caller]
fn same(what: &str, a: &SessionFit, b: &SessionFit, moved: &Moved, tolerances: (f64, f64, f64)) {
    let (mut worst, mut squares, mut count) = ((0.0, String::new()), 0.0, 0.0);
    let mut compare = |name: &str, difference: f64, sd: f64| {
        // Numbers that are held have no deviation, and are the same.
        assert!(sd > 0.0 || difference == 0.0, "{name}: {difference} {sd}");
        if sd > 0.0 {
            let z = difference.abs() / sd;
            (squares, count) = (squares + z * z, count + 1.0);
            if z > worst.0 {
                worst = (z, format!("{name}: {difference:.2e}, sd {sd:.2e}"));
            }
        }
    };
    for (i, coordinate) in a.skeleton.coordinates.iter().enumerate() {
        // The root's own coordinates are of the world, and are compared by way of the markers.
        if coordinate.name.starts_with("pelvis") || coordinate.motion == Motion::Coupled {
            continue;
        }
        let j = b.skeleton.coordinate(&coordinate.name).unwrap().index();
        for (f, (x, y)) in a.trials[0].q.iter().zip(&b.trials[0].q).enumerate() {
            if let Some(sd) = a.trials[0].q_sd[f][i] {
                compare(&coordinate.name, x[i] - y[j], sd);
            }
        }
    }
    for x in &a.scale_groups {
        let y = b.scale_groups.iter().find(|y| y.group == x.group).unwrap();
        compare(&x.group, x.factor - y.factor, x.sd);
    }
    for x in &a.offset_fits {
        let y = b.offset_fits.iter().find(|y| y.name == x.name).unwrap();
        (0..3).for_each(|k| compare(&x.name, x.offset[k] - y.offset[k], x.sd[k]));
    }
    let rms = f64::sqrt(squares / count);
    let mut markers_mm: f64 = 0.0;
    for x in &a.offset_fits {
        let m = b.skeleton.marker(&x.name).unwrap().index();
        for (p, q) in a.trials[0].markers.iter().zip(&b.trials[0].markers) {
            markers_mm =
                markers_mm.max(1e3 * ((moved * nalgebra::Point3::from(p[x.marker.index()])).coords - q[m]).norm());
        }
    }
    let cameras_mm = a.cameras.iter().map(|x| {
        let y = b.cameras.iter().find(|y| y.name == x.name).unwrap();
        (x.translation_change_mm - y.translation_change_mm).abs()
    });
    let cameras_mm = cameras_mm.fold(0.0, f64::max);
    let px = |f: &SessionFit| f.trials[0].reprojection.all.median_px;
    eprintln!(
        "{what}: rms {rms:.1e} sd, worst {:.1e} sd ({}); markers {markers_mm:.1e} mm, cameras {cameras_mm:.1e} mm, median {:.5} and {:.5} px, cost {:.6} and {:.6}, {} and {} iterations",
        worst.0,
        worst.1,
        px(a),
        px(b),
        a.cost_history.last().unwrap(),
        b.cost_history.last().unwrap(),
        a.iterations,
        b.iterations
    );
    let (apart_sd, apart_mm, apart_px) = tolerances;
    assert!(worst.0 < apart_sd, "{what}: {worst:?}");
    assert!(markers_mm < apart_mm && cameras_mm < apart_mm, "{what}: {markers_mm} {cameras_mm}");
    assert!((px(a) - px(b)).abs() < apart_px, "{what}: {} {}", px(a), px(b));
}

#[test]
fn a_rigid_motion_of_the_world() {
    let original = session();
    let a = fitted(&original, stick());
    let turn = UnitQuaternion::from_scaled_axis(Vector3::z() * 130f64.to_radians());
    for (what, shift, turn, tolerances) in [
        ("shifted", Vector3::new(5.0, -3.0, 2.0), UnitQuaternion::identity(), ROUNDING),
        ("turned", Vector3::zeros(), turn, STOPPED),
        ("both", Vector3::new(5.0, -3.0, 2.0), turn, STOPPED),
    ] {
        let world = Isometry3::from_parts(Translation3::from(shift), turn);
        let mut session = original.clone();
        session.rig.iter_mut().for_each(|c| c.camera_from_world *= world.inverse());
        let b = fitted(&session, stick());
        let ground = Isometry3::from_parts(Default::default(), a.ground_from_world.into());
        same(what, &a, &b, &(ground * world * ground.inverse()), tolerances);
    }
}

fn reordered(session: &Session, cameras: &[usize], keypoints: &[usize]) -> Session {
    let mut out = session.clone();
    out.rig = cameras.iter().map(|&c| session.rig[c].clone()).collect::<Vec<Camera>>();
    out.keypoints.points = keypoints.iter().map(|&k| session.keypoints.points[k].clone()).collect();
    for (trial, old) in out.trials.iter_mut().zip(&session.trials) {
        let old = &old.detections;
        trial.detections = Detections::missing(old.cameras, old.frames, old.keypoints);
        for (c, &from) in cameras.iter().enumerate() {
            for f in 0..old.frames {
                keypoints.iter().enumerate().for_each(|(k, &of)| trial.detections.set(c, f, k, old.get(from, f, of)));
            }
        }
    }
    out
}

#[test]
fn the_order_of_cameras_keypoints_and_markers() {
    let original = session();
    let a = fitted(&original, stick());
    let (n, k) = (original.rig.len(), original.keypoints.points.len());
    let as_is: Vec<usize> = (0..k).collect();
    // Seven has no divisor in common with 26.
    let scattered: Vec<usize> = (0..k).map(|i| (7 * i + 3) % k).collect();
    let moved = Isometry3::identity();
    same("cameras", &a, &fitted(&reordered(&original, &[2, 0, 3, 1], &as_is), stick()), &moved, ROUNDING);
    same(
        "keypoints",
        &a,
        &fitted(&reordered(&original, &(0..n).collect::<Vec<_>>(), &scattered), stick()),
        &moved,
        ROUNDING,
    );
    let (mut skeleton, groups) = stick();
    skeleton.markers.reverse();
    same("markers", &a, &fitted(&original, (skeleton, groups)), &moved, ROUNDING);
}
