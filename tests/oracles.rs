//! Forward kinematics against OpenSim's and MuJoCo's own, on their models.

use kinefit::kinematics::{Frame, forward};
use kinefit::skeleton::{Function, Motion, Offsets, ScaleGroups, Scales, Skeleton, read_marker_set, read_model};
use nalgebra::{Quaternion, Rotation3, UnitQuaternion, Vector3};
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

/// Our coordinates from MuJoCo's `qpos`: angles of a rotation where it has a quaternion.
fn from_qpos(skeleton: &Skeleton, kinds: &[(String, String)], qpos: &[f64]) -> Vec<f64> {
    let mut q = Vec::new();
    let mut at = 0;
    for (_, kind) in kinds {
        if kind == "hinge" || kind == "slide" {
            q.push(qpos[at]);
            at += 1;
            continue;
        }
        if kind == "free" {
            q.extend(&qpos[at..at + 3]);
            at += 3;
        }
        let rotor = skeleton.rotors.iter().find(|r| r.coordinates[0].index() == q.len()).expect("a rotor begins here");
        let quat_wxyz = Quaternion::new(qpos[at], qpos[at + 1], qpos[at + 2], qpos[at + 3]);
        let rotation = UnitQuaternion::new_normalize(quat_wxyz).to_rotation_matrix();
        q.extend(rotor.angles_from_rotation(&rotation, [0.0; 3]).0);
        at += 4;
    }
    assert_eq!((at, q.len()), (qpos.len(), skeleton.coordinates.len()));
    q
}

#[test]
fn bodies_and_sites_agree_with_mujoco() {
    let cases = [
        ("fkmj_loco_humanoid_torque", "mjcf/loco_humanoid_torque.xml"),
        ("fkmj_mujoco_humanoid", "mjcf/humanoid.xml"),
        ("fkmj_myo_legs", "mjcf/myo_sim/leg/myolegs.xml"),
    ];
    for (oracle, model) in cases {
        let (Some(reference), Some(model)) =
            (shared(&format!("oracles/mujoco/{oracle}.json")), shared(&format!("data/{model}")))
        else {
            return;
        };
        let (reference, skeleton) = (json(reference), read_model(&model).unwrap());
        let joints = reference["joints"].as_array().unwrap();
        let kinds: Vec<(String, String)> = joints
            .iter()
            .map(|j| (j["name"].as_str().unwrap().to_owned(), j["type"].as_str().unwrap().to_owned()))
            .collect();
        for joint in joints.iter().filter(|j| matches!(j["type"].as_str(), Some("hinge" | "slide"))) {
            let c = &skeleton.coordinates[skeleton.coordinate(joint["name"].as_str().unwrap()).unwrap().index()];
            let expected = joint["limited"].as_bool().unwrap().then(|| numbers(&joint["range"]));
            assert_eq!(c.range.is_some(), expected.is_some(), "{}", c.name);
            if let (Some(range), Some(expected)) = (c.range, expected) {
                assert!((range[0] - expected[0]).abs() < 1e-9 && (range[1] - expected[1]).abs() < 1e-9, "{}", c.name);
            }
        }
        let coupled = skeleton.coordinates.iter().filter(|c| c.coupling.is_some()).count();
        let constant = skeleton.coordinates.iter().filter(|c| c.locked).count();
        assert_eq!(coupled + constant, reference["equalities"].as_array().unwrap().len());
        let (scales, offsets) = (Scales::ones(&skeleton), Offsets::zeros(&skeleton));
        let rotors = skeleton.with_rotors();
        let mut worst = (0.0f64, 0.0f64);
        for (index, pose) in reference["poses"].as_array().unwrap().iter().enumerate() {
            let mut q = from_qpos(&skeleton, &kinds, &numbers(&pose["qpos"]));
            let given = q.clone();
            skeleton.resolve_couplings(&mut q);
            let broken = (0..q.len()).filter(|&i| (q[i] - given[i]).abs() > 1e-12).count();
            if broken > 0 {
                // The pose all joints start in ignores equalities; every other pose keeps them.
                assert_eq!(index, 0, "{oracle}");
                continue;
            }
            for s in [&skeleton, &rotors] {
                let frame = kinematics(s, &scales, &offsets, &q);
                let (bodies, sites) = (pose["bodies"].as_object().unwrap(), pose["sites"].as_object().unwrap());
                assert_eq!((bodies.len(), sites.len()), (s.bodies.len(), s.markers.len()));
                for (name, body) in bodies {
                    let b = s.body(name).unwrap().index();
                    worst.0 = worst.0.max((frame.origins[b] - vector(&body["p"])).norm());
                    worst.1 = worst.1.max(rotation_error(&frame.rotations[b], &body["R"]));
                }
                for (name, point) in sites {
                    let m = s.marker(name).unwrap().index();
                    worst.0 = worst.0.max((frame.markers[m] - vector(point)).norm());
                }
            }
        }
        println!("{oracle}: {:.2e} m, {:.2e}", worst.0, worst.1);
        assert!(worst.0 < 1e-9 && worst.1 < 1e-9, "{oracle}: {worst:?}");
    }
}

#[test]
fn the_walking_body_agrees_with_mujoco_scaled_and_not() {
    let (Some(reference), Some(model)) =
        (shared("oracles/mujoco/fkref_humanoid_torque.json"), shared("data/synthetic_walk_T100/humanoid_torque.xml"))
    else {
        return;
    };
    let (reference, skeleton) = (json(reference), read_model(&model).unwrap());
    let names = |key: &str| -> Vec<String> {
        reference["model"][key].as_array().unwrap().iter().map(|n| n.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("body_names"), skeleton.bodies.iter().map(|b| b.name.clone()).collect::<Vec<_>>());
    assert_eq!(names("jnt_names"), skeleton.coordinates.iter().map(|c| c.name.clone()).collect::<Vec<_>>());
    assert_eq!(names("site_names"), skeleton.markers.iter().map(|m| m.name.clone()).collect::<Vec<_>>());
    let limited = reference["model"]["jnt_limited"].as_array().unwrap();
    for (c, l) in skeleton.coordinates.iter().zip(limited) {
        assert_eq!(c.range.is_some(), l.as_bool().unwrap_or_else(|| l.as_f64() == Some(1.0)), "{}", c.name);
    }
    let ones = Scales::ones(&skeleton);
    let scaled = &reference["scaled"];
    let parameters = numbers(&scaled["s"]);
    let mixed = Scales(
        scaled["mixer"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| [1.0 + numbers(row).iter().zip(&parameters).map(|(a, b)| a * b).sum::<f64>(); 3])
            .collect(),
    );
    let moved = Offsets(scaled["site_offset"].as_array().unwrap().iter().map(vector).collect());
    let zero = Offsets::zeros(&skeleton);
    let rotors = skeleton.with_rotors();
    assert_eq!(rotors.rotors.len(), 1, "the pelvis turns as one");
    let mut worst = 0.0f64;
    for (i, case) in reference["cases"].as_array().unwrap().iter().enumerate() {
        let q = numbers(&case["qpos"]);
        for s in [&skeleton, &rotors] {
            for (scales, offsets, bodies, sites) in [
                (&ones, &zero, &case["xpos"], &case["site_xpos"]),
                (&mixed, &moved, &scaled["xpos"][i], &scaled["site_xpos"][i]),
            ] {
                let frame = kinematics(s, scales, offsets, &q);
                for (b, point) in bodies.as_array().unwrap().iter().enumerate() {
                    worst = worst.max((frame.origins[b] - vector(point)).norm());
                }
                for (m, point) in sites.as_array().unwrap().iter().enumerate() {
                    worst = worst.max((frame.markers[m] - vector(point)).norm());
                }
            }
        }
    }
    println!("fkref_humanoid_torque: {worst:.2e} m");
    assert!(worst < 1e-9, "{worst:e}");
}

#[test]
fn scale_groups_of_known_models() {
    let Some(models) = shared("data/models") else { return };
    let walk = shared("data/synthetic_walk_T100").expect("the folder is whole");
    let skeleton = read_model(&walk.join("humanoid_torque.xml")).unwrap();
    let groups = ScaleGroups::read(&walk.join("scale_groups.json"), &skeleton).unwrap();
    let names: Vec<&str> = groups.groups.iter().map(|g| g.name.as_str()).collect();
    let listed = ["pelvis", "left_thigh", "left_leg", "right_thigh", "right_leg", "left_arm", "right_arm", "overall"];
    assert_eq!(names, listed);
    let scales = groups.factors(&skeleton, &[0.1, 0.0, 0.0, 0.02, 0.0, 0.0, 0.0, -0.03]);
    for (body, factor) in [("pelvis", 1.07), ("femur_r", 0.99), ("femur_l", 0.97), ("world", 1.0)] {
        let found = scales.0[skeleton.body(body).unwrap().index()];
        assert!(found.iter().all(|f| (f - factor).abs() < 1e-15), "{body} {found:?}");
    }
    let mut lai = read_model(&models.join("LaiUhlrich2022.osim")).unwrap();
    read_marker_set(&models.join("LaiUhlrich2022_markers_openpose.xml"), &mut lai).unwrap();
    for s in [&skeleton, &lai] {
        let groups = ScaleGroups::default_for(s);
        let mut count = vec![0; s.bodies.len()];
        for group in &groups.groups {
            let bodies: Vec<&str> = group.members.iter().map(|(b, _)| s.bodies[b.index()].name.as_str()).collect();
            println!("{}: {bodies:?}", group.name);
            group.members.iter().for_each(|(b, _)| count[b.index()] += 1);
        }
        assert_eq!(count[0], 0);
        assert!(count[1..].iter().all(|&c| c == 1), "every body is in one group");
        assert!((6..=9).contains(&groups.groups.len()));
        let together = |a: &str, b: &str| {
            groups.groups.iter().any(|g| [a, b].iter().all(|n| g.members.iter().any(|m| Some(m.0) == s.body(n))))
        };
        assert!(together("femur_r", "femur_l") && together("calcn_r", "toes_l") && together("ulna_l", "radius_r"));
        assert!(!together("femur_r", "tibia_r") && !together("pelvis", "torso") && !together("tibia_l", "calcn_l"));
    }
}
