//! Cameras against the figures of other programs: OpenCV's projection, Pose2Sim's reading of a Qualisys calibration.

use kinefit::camera::{
    Camera, CameraId, Distortion, Intrinsics, TriangulationOptions, calibration, projectors, triangulate,
};
use nalgebra::{Isometry3, Translation3, UnitQuaternion, Vector2, Vector3};
use serde::Deserialize;
use std::path::PathBuf;

/// A file of the shared data, or `None` (with the reason printed) where it is not installed.
fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("KINEFIT_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")), PathBuf::from);
    let file = root.join(path);
    if !file.exists() {
        eprintln!("skipped: {} is not there", file.display());
        return None;
    }
    Some(file)
}

#[derive(Deserialize)]
#[allow(non_snake_case)]
struct OpenCv {
    model: String,
    K: [[f64; 3]; 3],
    dist: Vec<f64>,
    rvec: [f64; 3],
    tvec: [f64; 3],
    points: Vec<[f64; 3]>,
    uv: Vec<[f64; 2]>,
}

impl OpenCv {
    fn camera(&self) -> Camera {
        let distortion = if self.model.starts_with("fisheye") {
            Distortion::Fisheye(self.dist.as_slice().try_into().unwrap())
        } else {
            let mut k = [0.0; 8];
            k[..self.dist.len()].copy_from_slice(&self.dist);
            Distortion::Rational(k)
        };
        Camera {
            name: self.model.clone(),
            size: [1920.0, 1080.0],
            intrinsics: Intrinsics {
                fx: self.K[0][0],
                fy: self.K[1][1],
                cx: self.K[0][2],
                cy: self.K[1][2],
                skew: self.K[0][1],
            },
            distortion,
            camera_from_world: Isometry3::from_parts(
                Translation3::from(Vector3::from(self.tvec)),
                UnitQuaternion::from_scaled_axis(Vector3::from(self.rvec)),
            ),
        }
    }
}

#[test]
fn projection_agrees_with_opencv() {
    let Some(file) = shared("oracles/opencv_projection.json") else { return };
    let cases: Vec<OpenCv> = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert!(cases.len() >= 5);
    for case in &cases {
        let projector = case.camera().projector();
        for (p, uv) in case.points.iter().zip(&case.uv) {
            let pixel = projector.project(&Vector3::from(*p)).unwrap_or_else(|| panic!("{}: {p:?}", case.model));
            let expected = Vector2::from(*uv);
            // Both compute in double precision; some ten operations on numbers of the pixel's size.
            assert!(
                (pixel - expected).norm() < 1e-11 * expected.norm().max(1000.0),
                "{}: {pixel} {expected}",
                case.model
            );
            let back = projector.undistort(&expected).unwrap();
            let x = projector.point_in_camera(&Vector3::from(*p));
            assert!((back - Vector2::new(x.x / x.z, x.y / x.z)).norm() < 1e-10, "{}", case.model);
        }
    }
}

#[test]
fn qualisys_agrees_with_pose2sim() {
    let (Some(qca), Some(toml)) =
        (shared("data/balancing/calibration/Calib.qca.txt"), shared("data/balancing_references/Calib_qualisys.toml"))
    else {
        return;
    };
    let (ours, theirs) = (calibration::read(&qca).unwrap(), calibration::read(&toml).unwrap());
    assert_eq!(ours.len(), theirs.len());
    for (a, b) in ours.iter().zip(&theirs) {
        assert_eq!(a.name, b.name);
        assert_eq!(a.size, b.size);
        // The conversion prints rotations and translations to 8 digits after the point, the rest in full.
        let turn = a.camera_from_world.rotation.angle_to(&b.camera_from_world.rotation);
        let shift = (a.camera_from_world.translation.vector - b.camera_from_world.translation.vector).norm();
        assert!(turn < 3e-8 && shift < 3e-8, "{}: {turn} rad, {shift} m", a.name);
        let (i, j) = (a.intrinsics, b.intrinsics);
        for (x, y) in [(i.fx, j.fx), (i.fy, j.fy), (i.cx, j.cx), (i.cy, j.cy), (i.skew, j.skew)] {
            assert!((x - y).abs() < 1e-9, "{}: {x} {y}", a.name);
        }
        let (Distortion::Rational(k), Distortion::Rational(l)) = (a.distortion, b.distortion) else {
            panic!("no lens")
        };
        assert!(k.iter().zip(&l).all(|(x, y)| (x - y).abs() < 1e-12), "{}: {k:?} {l:?}", a.name);
    }
}

#[test]
fn every_shared_calibration_reads_and_round_trips() {
    for path in [
        "data/balancing_references/Calib_qualisys.toml",
        "data/balancing/calibration/Calib.qca.txt",
        "data/synthetic_walk_T100/calibration/Calib.toml",
        "data/synthetic_walk_T100/cameras_truth.toml",
    ] {
        let Some(file) = shared(path) else { return };
        let rig = calibration::read(&file).unwrap();
        let back = calibration::read_str(&calibration::to_toml(&rig), path).unwrap();
        for (a, b) in rig.iter().zip(&back) {
            assert_eq!((a.intrinsics, a.distortion, a.size), (b.intrinsics, b.distortion, b.size));
            assert!(a.camera_from_world.rotation.angle_to(&b.camera_from_world.rotation) < 1e-12);
        }
    }
    let Some(folder) = shared("data/balancing/calibration") else { return };
    assert!(calibration::find(&folder).unwrap().ends_with("Calib.qca.txt"));
}

/// Four people-sized points seen by the real cameras of the balancing recording, through the file's text and back.
#[test]
fn real_cameras_triangulate_what_they_project() {
    let Some(file) = shared("data/balancing/calibration/Calib.qca.txt") else { return };
    let rig = projectors(&calibration::read(&file).unwrap());
    for p in [[0.0, 0.0, 0.1], [0.2, -0.1, 0.9], [-0.3, 0.2, 1.4], [0.0, 0.0, 1.7]].map(Vector3::from) {
        let seen: Vec<_> = rig
            .iter()
            .enumerate()
            .filter_map(|(i, c)| c.project(&p).map(|u| (CameraId(i as u32), [u.x, u.y, 1.0])))
            .collect();
        assert_eq!(seen.len(), 4, "all four cameras look at the beam");
        let t = triangulate(&rig, &seen, &TriangulationOptions::default()).unwrap();
        assert!((t.point - p).norm() < 1e-9);
    }
}

/// The same path without shared data: a calibration text, its cameras, a point there and back.
#[test]
fn a_calibration_in_memory_triangulates_what_it_projects() {
    let text = r#"
        [left]
        size = [1920, 1080]
        matrix = [[1150.0, 0.0, 960.0], [0.0, 1150.0, 540.0], [0.0, 0.0, 1.0]]
        distortions = [-0.2, 0.05, 0.001, -0.0005]
        rotation = [0.0, 0.3, 0.0]
        translation = [0.0, 0.0, 4.0]
        [right]
        size = [1920, 1080]
        matrix = [[1150.0, 0.0, 960.0], [0.0, 1150.0, 540.0], [0.0, 0.0, 1.0]]
        distortions = [0.02, -0.01, 0.003, -0.001]
        rotation = [0.0, -0.3, 0.0]
        translation = [0.0, 0.0, 4.0]
        fisheye = true
    "#;
    let rig = projectors(&calibration::read_str(text, "in memory").unwrap());
    let p = Vector3::new(0.1, -0.2, 0.3);
    let seen: Vec<_> = (0..2).map(|i| (CameraId(i), rig[i as usize].project(&p).unwrap())).collect();
    let seen = [(seen[0].0, [seen[0].1.x, seen[0].1.y, 1.0]), (seen[1].0, [seen[1].1.x, seen[1].1.y, 0.5])];
    let t = triangulate(&rig, &seen, &TriangulationOptions::default()).unwrap();
    assert!((t.point - p).norm() < 1e-10);
    // The axes enclose 0.6 rad where they meet, 4 m away; the point is 0.4 m from there.
    assert!((t.angle - 0.6).abs() < 0.06);
}
