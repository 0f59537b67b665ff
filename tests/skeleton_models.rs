//! Small models of our own, against closed forms and committed references of the engines; writing and reading back.

use kinefit::kinematics::{Frame, forward};
use kinefit::skeleton::{
    Motion, Offsets, Operation, ScaleGroups, Scales, Skeleton, UpAxis, read_marker_set_str, read_model, read_model_str,
    write_mjcf, write_osim,
};
use nalgebra::{Matrix3, Rotation3, Vector3};
use proptest::prelude::*;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn kinematics(skeleton: &Skeleton, scales: &Scales, offsets: &Offsets, q: &[f64]) -> Frame {
    let mut frame = Frame::new(skeleton);
    forward(skeleton, scales, offsets, q, &skeleton.rotor_rotations(q), &mut frame);
    frame
}

/// The largest difference between a frame and a pose of a reference.
fn difference(skeleton: &Skeleton, frame: &Frame, pose: &Value) -> f64 {
    let mut worst = 0.0f64;
    let bodies = pose["bodies"].as_object().unwrap();
    for (name, body) in bodies {
        let b = skeleton.body(name).unwrap().index();
        worst = worst.max((frame.origins[b] - Vector3::from_column_slice(&numbers(&body["p"]))).norm());
        let rows: Vec<f64> = body["R"].as_array().unwrap().iter().flat_map(numbers).collect();
        worst = worst.max((frame.rotations[b].matrix() - Matrix3::from_row_slice(&rows)).abs().max());
    }
    let markers = pose["markers"].as_object().unwrap();
    for (name, point) in markers {
        let m = skeleton.marker(name).unwrap().index();
        worst = worst.max((frame.markers[m] - Vector3::from_column_slice(&numbers(point))).norm());
    }
    worst
}

fn scales_of(skeleton: &Skeleton, factors: &Value) -> Scales {
    let mut scales = Scales::ones(skeleton);
    for (body, factor) in factors.as_object().unwrap() {
        scales.0[skeleton.body(body).unwrap().index()].copy_from_slice(&numbers(factor));
    }
    scales
}

/// A chain of some ten joints: rounding stays far below this.
const ROUNDING: f64 = 1e-12;

#[test]
fn every_joint_of_opensim_scaled_and_not() {
    let skeleton = read_model(&data("every_joint.osim")).unwrap();
    let reference: Value = serde_json::from_str(&std::fs::read_to_string(data("every_joint.json")).unwrap()).unwrap();
    let names: Vec<&str> = reference["coordinates"].as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
    assert_eq!(names, skeleton.coordinates.iter().map(|c| c.name.as_str()).collect::<Vec<_>>());
    for (c, motion) in skeleton.coordinates.iter().zip(reference["motions"].as_array().unwrap()) {
        assert_eq!(format!("{:?}", c.motion).to_lowercase(), motion.as_str().unwrap(), "{}", c.name);
    }
    let (ones, zeros) = (Scales::ones(&skeleton), Offsets::zeros(&skeleton));
    let scales = scales_of(&skeleton, &reference["factors"]);
    let baked = skeleton.scaled(&scales, &zeros);
    let rotors = skeleton.with_rotors();
    assert_eq!(rotors.rotors.len(), 3, "free, ball and gimbal");
    let written = read_model_str("written.osim", &write_osim(&skeleton, &scales, &zeros).unwrap()).unwrap();
    for (plain, scaled) in reference["poses"].as_array().unwrap().iter().zip(reference["scaled"].as_array().unwrap()) {
        let mut q = numbers(&plain["q"]);
        for (value, c) in q.iter_mut().zip(&skeleton.coordinates) {
            if c.coupling.is_some() {
                *value = f64::NAN;
            }
        }
        skeleton.resolve_couplings(&mut q);
        for (s, factors, pose) in [
            (&skeleton, &ones, plain),
            (&rotors, &ones, plain),
            (&skeleton, &scales, scaled),
            (&rotors, &scales, scaled),
            (&baked, &ones, scaled),
            (&written, &ones, scaled),
        ] {
            let compared = if std::ptr::eq(pose, plain) { 12 } else { 11 };
            assert_eq!(pose["bodies"].as_object().unwrap().len(), compared);
            assert_eq!(pose["markers"].as_object().unwrap().len(), compared);
            let worst = difference(s, &kinematics(s, factors, &zeros, &q), pose);
            assert!(worst < ROUNDING, "{worst:e}");
        }
    }
}
