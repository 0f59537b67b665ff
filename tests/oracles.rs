//! Forward kinematics against OpenSim's and MuJoCo's own, on their models.

use kinefit::kinematics::{Frame, forward};
use kinefit::skeleton::{Function, Motion, Offsets, Scales, Skeleton, read_marker_set, read_model};
use nalgebra::{Rotation3, Vector3};
use serde_json::Value;
use std::path::PathBuf;

/// The shared folder, or a printed reason why not.
fn shared(part: &str) -> Option<PathBuf> {
    let root = std::env::var_os("KINEFIT_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = root.join(part);
    if path.exists() {
        Some(path)
    } else {
        eprintln!("skipped: {} is not there", path.display());
        None
    }
}

fn json(path: PathBuf) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn vector(v: &Value) -> Vector3<f64> {
    Vector3::from_column_slice(&numbers(v))
}

fn kinematics(skeleton: &Skeleton, scales: &Scales, offsets: &Offsets, q: &[f64]) -> Frame {
    let mut frame = Frame::new(skeleton);
    forward(skeleton, scales, offsets, q, &skeleton.rotor_rotations(q), &mut frame);
    frame
}

fn rotation_error(r: &Rotation3<f64>, rows: &Value) -> f64 {
    let rows = rows.as_array().unwrap();
    (0..3)
        .flat_map(|i| (0..3).map(move |j| (i, j)))
        .fold(0.0, |worst: f64, (i, j)| worst.max((r[(i, j)] - rows[i][j].as_f64().unwrap()).abs()))
}

#[test]
fn functions_agree_with_opensim() {
    let Some(path) = shared("oracles/opensim/function_values.json") else { return };
    let cases = json(path);
    let cases = cases.as_array().unwrap();
    assert!(cases.len() >= 34);
    for case in cases {
        let inner = match case["type"].as_str().unwrap() {
            "SimmSpline" => Function::simm_spline(numbers(&case["x"]), numbers(&case["y"])).unwrap(),
            "PolynomialFunction" => Function::Polynomial(numbers(&case["coefficients"])),
            other => panic!("{other}"),
        };
        let f = Function::Multiple { factor: case["multiplier"].as_f64().unwrap(), inner: Box::new(inner) };
        let (x, y, dy) = (numbers(&case["eval_x"]), numbers(&case["eval_f"]), numbers(&case["eval_df"]));
        let (high, steep) = (largest(&y), largest(&dy));
        for i in 0..x.len() {
            let (value, slope, _) = f.value_and_derivatives(x[i]);
            // Relative to the curve's own size: its zeros have no relative error.
            assert!(
                (value - y[i]).abs() < 1e-10 * high,
                "{} {} at {}: {value} {}",
                case["model"],
                case["joint"],
                x[i],
                y[i]
            );
            assert!(
                (slope - dy[i]).abs() < 1e-10 * steep,
                "{} {} at {}: {slope} {}",
                case["model"],
                case["joint"],
                x[i],
                dy[i]
            );
        }
    }
}

fn largest(v: &[f64]) -> f64 {
    v.iter().fold(0.0, |a: f64, b| a.max(b.abs()))
}

/// Worst errors over all poses of one OpenSim reference: origins and markers (m), rotation matrices.
fn opensim(oracle: &str, model: &str, marker_sets: &[&str]) -> Option<(f64, f64)> {
    let reference = json(shared(&format!("oracles/opensim/{oracle}.json"))?);
    let mut skeleton = read_model(&shared(&format!("data/{model}"))?).unwrap();
    for set in marker_sets {
        read_marker_set(&shared(&format!("data/models/{set}"))?, &mut skeleton).unwrap();
    }
    let listed: Vec<&str> =
        reference["coordinates"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(listed, skeleton.coordinates.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), "{oracle}");
    for (c, r) in skeleton.coordinates.iter().zip(reference["coordinates"].as_array().unwrap()) {
        let motion = match c.motion {
            Motion::Rotational => "rotational",
            Motion::Translational => "translational",
            Motion::Coupled => "coupled",
        };
        assert_eq!(motion, r["type"].as_str().unwrap(), "{oracle} {}", c.name);
        assert_eq!(c.joint, r["joint"].as_str().unwrap());
        assert_eq!(c.locked, r["locked"].as_bool().unwrap());
        assert_eq!(c.clamped, r["clamped"].as_bool().unwrap());
    }
    let mut scales = Scales::ones(&skeleton);
    if let Some(factors) = reference["body_scale_factors"].as_object() {
        assert_eq!(factors.len(), skeleton.bodies.len() - 1);
        for (body, factor) in factors {
            let b = skeleton.body(body).unwrap();
            scales.0[b.index()].copy_from_slice(&numbers(factor));
        }
    }
    let offsets = Offsets::zeros(&skeleton);
    let mut worst = (0.0f64, 0.0f64);
    let rotors = skeleton.with_rotors();
    let baked = skeleton.scaled(&scales, &offsets);
    for pose in reference["poses"].as_array().unwrap() {
        let mut q: Vec<f64> = skeleton.coordinates.iter().map(|c| pose["q"][&c.name].as_f64().unwrap()).collect();
        // Dependent coordinates must follow from the independent ones alone.
        for (c, v) in skeleton.coordinates.iter().zip(&mut q) {
            if c.coupling.is_some() {
                *v = f64::NAN;
            }
        }
        skeleton.resolve_couplings(&mut q);
        for (c, v) in skeleton.coordinates.iter().zip(&q) {
            assert!((v - pose["q"][&c.name].as_f64().unwrap()).abs() < 1e-9, "{oracle} {}", c.name);
        }
        for (s, scales) in [(&skeleton, &scales), (&rotors, &scales), (&baked, &Scales::ones(&skeleton))] {
            let frame = kinematics(s, scales, &offsets, &q);
            let bodies = pose["bodies"].as_object().unwrap();
            assert_eq!(bodies.len(), s.bodies.len() - 1);
            for (name, body) in bodies {
                let b = s.body(name).unwrap().index();
                worst.0 = worst.0.max((frame.origins[b] - vector(&body["p"])).norm());
                worst.1 = worst.1.max(rotation_error(&frame.rotations[b], &body["R"]));
            }
            let markers = pose["markers"].as_object().unwrap();
            assert_eq!(markers.len(), s.markers.len(), "{oracle}");
            for (name, point) in markers {
                let m = s.marker(name).unwrap().index();
                worst.0 = worst.0.max((frame.markers[m] - vector(point)).norm());
            }
        }
    }
    println!("{oracle}: {:.2e} m, {:.2e}", worst.0, worst.1);
    Some(worst)
}

#[test]
fn bodies_and_markers_agree_with_opensim() {
    let lai = ["LaiUhlrich2022_markers_openpose.xml", "LaiUhlrich2022_markers_mocap.xml"];
    let cases: [(&str, &str, &[&str]); 10] = [
        ("fk_gait2354_v20302", "models/gait2354_simbody_v20302.osim", &[]),
        ("fk_gait2354_scaled_v20303", "models/gait2354_subject01_scaled_v20303.osim", &[]),
        ("fk_gait2392", "models/gait2392_thelen2003muscle_v40000.osim", &[]),
        ("fk_gait2392_scaled_nonuniform", "models/gait2392_thelen2003muscle_v40000.osim", &[]),
        ("fk_laiuhlrich2022", "models/LaiUhlrich2022.osim", &lai),
        ("fk_laiuhlrich2022_scaled_nonuniform", "models/LaiUhlrich2022.osim", &lai),
        ("fk_pose2sim_body25b_scaled", "balancing_references/Model_Pose2Sim_body25b_scaled.osim", &[]),
        ("fk_rajagopal2015", "models/Rajagopal2015_v30000.osim", &[]),
        ("fk_rajagopal2015_scaled_nonuniform", "models/Rajagopal2015_v30000.osim", &[]),
        ("fk_rajagopal_walk_scaled_core", "models/rajagopal_subject_walk_scaled_v40500.osim", &[]),
    ];
    for (oracle, model, sets) in cases {
        // Some ten joints, each of a few dozen operations on numbers of order one: 1e-13; the bound leaves room for other libraries' sines.
        if let Some((length, angle)) = opensim(oracle, model, sets) {
            assert!(length < 1e-9 && angle < 1e-9, "{oracle}: {length:e} m, {angle:e}");
        }
    }
}
