//! Small models of our own, against closed forms and committed references of the engines; writing and reading back.

use kinefit::kinematics::{Frame, forward};
use kinefit::skeleton::{
    Motion, Offsets, Operation, ScaleGroups, Scales, Skeleton, UpAxis, read_marker_set_str, read_model, read_model_str,
    write_mjcf, write_osim,
};
use nalgebra::{Matrix3, Vector3};
use proptest::prelude::*;
use serde_json::Value;
use std::io::Write;
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

/// Beyond ranges and the ends of curves, and with the middle of three angles at its singularity.
#[test]
fn every_joint_of_opensim_beyond_its_range_and_where_angles_are_singular() {
    let skeleton = read_model(&data("every_joint.osim")).unwrap();
    let reference: Value = serde_json::from_str(&std::fs::read_to_string(data("every_joint.json")).unwrap()).unwrap();
    let (ones, zeros) = (Scales::ones(&skeleton), Offsets::zeros(&skeleton));
    let rotors = skeleton.with_rotors();
    let poses = reference["singular"].as_array().unwrap();
    assert_eq!(poses.len(), 6);
    for (i, pose) in poses.iter().enumerate() {
        let mut q = numbers(&pose["q"]);
        let singular = q[skeleton.coordinate("ball_1").unwrap().index()];
        assert!((singular.rem_euclid(std::f64::consts::PI) - std::f64::consts::FRAC_PI_2).abs() < 2e-3);
        skeleton.resolve_couplings(&mut q);
        for s in [&skeleton, &rotors] {
            let worst = difference(s, &kinematics(s, &ones, &zeros, &q), pose);
            // Lines and cubics are followed far out: the chain grows to several metres.
            assert!(worst < 10.0 * ROUNDING, "pose {i}: {worst:e}");
        }
        // The angles that fitting gets from a rotation give it back there too.
        for (rotor, rotation) in rotors.rotors.iter().zip(rotors.rotor_rotations(&q)) {
            let (angles, _) = rotor.angles_from_rotation(&rotation, [0.3; 3]);
            let back = rotor.rotation_from_angles(angles);
            assert!((back.matrix() - rotation.matrix()).abs().max() < ROUNDING, "pose {i}");
        }
    }
}

/// What MuJoCo makes of several orders of Euler angles, units, and ranges that are limits or not.
#[test]
fn compilers_of_mujoco() {
    let reference: Value = serde_json::from_str(&std::fs::read_to_string(data("compilers.json")).unwrap()).unwrap();
    let cases = reference["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 7);
    for case in cases {
        let text = case["model"].as_str().unwrap();
        let skeleton = read_model_str("model.xml", text).unwrap();
        let (ones, zeros) = (Scales::ones(&skeleton), Offsets::zeros(&skeleton));
        for (name, limited) in case["limited"].as_object().unwrap().iter().filter(|(name, _)| *name != "ball") {
            let c = &skeleton.coordinates[skeleton.coordinate(name).unwrap().index()];
            assert_eq!(c.range.is_some(), limited.as_bool().unwrap(), "{name}: {text}");
            let expected = numbers(&case["ranges"][name]);
            for (a, b) in c.range.iter().flatten().zip(expected) {
                assert!((a - b).abs() < ROUNDING, "{name}: {text}");
            }
        }
        for pose in case["poses"].as_array().unwrap() {
            let q = skeleton.coordinates_from_qpos("qpos", &numbers(&pose["qpos"])).unwrap();
            let frame = kinematics(&skeleton, &ones, &zeros, &q);
            for (b, (p, r)) in (0..).zip(std::iter::zip(rows(&pose["xpos"]), rows(&pose["xmat"]))) {
                let name = &skeleton.bodies[b].name;
                assert!((frame.origins[b] - Vector3::from_column_slice(&p)).norm() < ROUNDING, "{name}: {text}");
                let difference = frame.rotations[b].matrix() - Matrix3::from_row_slice(&r);
                assert!(difference.abs().max() < ROUNDING, "{name}: {text}");
            }
            for (m, p) in rows(&pose["sites"]).iter().enumerate() {
                assert!((frame.markers[m] - Vector3::from_column_slice(p)).norm() < ROUNDING, "{text}");
            }
        }
    }
}

#[test]
fn every_joint_and_orientation_of_mujoco() {
    let skeleton = read_model(&data("body.xml")).unwrap();
    let reference: Value = serde_json::from_str(&std::fs::read_to_string(data("body.json")).unwrap()).unwrap();
    assert_eq!(skeleton.up, UpAxis::Z);
    for joint in reference["joints"].as_array().unwrap() {
        let name = joint["name"].as_str().unwrap();
        let name = if name.is_empty() { "by_axisangle_joint" } else { name };
        let Some(c) = skeleton.coordinate(name) else { continue };
        let c = &skeleton.coordinates[c.index()];
        assert_eq!(c.range.is_some(), joint["limited"].as_bool().unwrap(), "{name}");
        if let Some(range) = c.range {
            let expected = numbers(&joint["range"]);
            assert!((range[0] - expected[0]).abs() < 1e-12 && (range[1] - expected[1]).abs() < 1e-12, "{name}");
        }
        if c.coupling.is_none() && !c.locked {
            assert!((c.default - joint["ref"].as_f64().unwrap()).abs() < 1e-12, "{name}");
        }
    }
    let held = &skeleton.coordinates[skeleton.coordinate("held").unwrap().index()];
    assert!(held.locked && held.default == 0.125);
    let (ones, zeros) = (Scales::ones(&skeleton), Offsets::zeros(&skeleton));
    for pose in reference["poses"].as_array().unwrap() {
        let mut q = skeleton.coordinates_from_qpos("qpos", &numbers(&pose["qpos"])).unwrap();
        q[skeleton.coordinate("led").unwrap().index()] = f64::NAN;
        skeleton.resolve_couplings(&mut q);
        for s in [&skeleton, &skeleton.with_rotors()] {
            let frame = kinematics(s, &ones, &zeros, &q);
            for (b, (p, r)) in (0..).zip(std::iter::zip(rows(&pose["xpos"]), rows(&pose["xmat"]))) {
                let name = &s.bodies[b].name;
                assert!((frame.origins[b] - Vector3::from_column_slice(&p)).norm() < ROUNDING, "{name}");
                assert!((frame.rotations[b].matrix() - Matrix3::from_row_slice(&r)).abs().max() < ROUNDING, "{name}");
            }
            let sites = rows(&pose["sites"]);
            assert_eq!(sites.len(), s.markers.len());
            for (m, p) in sites.iter().enumerate() {
                assert!((frame.markers[m] - Vector3::from_column_slice(p)).norm() < ROUNDING, "{}", s.markers[m].name);
            }
        }
    }
}

fn rows(v: &Value) -> Vec<Vec<f64>> {
    v.as_array().unwrap().iter().map(numbers).collect()
}

/// A planar arm of two links in each format: shoulder at (0, 1, 0), elbow 0.3 further along x, marker 0.25 beyond that.
const ARM: &str = r#"<OpenSimDocument Version="40500"><Model name="arm">
<BodySet><objects><Body name="forearm"/><Body name="upper"/></objects></BodySet>
<JointSet><objects>
<PinJoint name="elbow"><socket_parent_frame>at_upper</socket_parent_frame><socket_child_frame>/bodyset/forearm</socket_child_frame>
<coordinates><Coordinate name="elbow_angle"><range>0 2.5</range><clamped>true</clamped></Coordinate></coordinates>
<frames><PhysicalOffsetFrame name="at_upper"><socket_parent>/bodyset/upper</socket_parent><translation>0.3 0 0</translation></PhysicalOffsetFrame></frames></PinJoint>
<PinJoint name="shoulder"><socket_parent_frame>at_ground</socket_parent_frame><socket_child_frame>/bodyset/upper</socket_child_frame>
<coordinates><Coordinate name="shoulder_angle"><default_value>0.5</default_value></Coordinate></coordinates>
<frames><PhysicalOffsetFrame name="at_ground"><socket_parent>/ground</socket_parent><translation>0 1 0</translation></PhysicalOffsetFrame></frames></PinJoint>
</objects></JointSet>
<MarkerSet><objects><Marker name="wrist"><socket_parent_frame>/bodyset/forearm</socket_parent_frame><location>0.25 0 0</location></Marker></objects></MarkerSet>
</Model></OpenSimDocument>"#;

#[test]
fn a_planar_arm_has_its_closed_form() {
    let arm = read_model_str("arm.osim", ARM).unwrap();
    let names: Vec<&str> = arm.bodies.iter().map(|b| b.name.as_str()).collect();
    assert_eq!(names, ["ground", "upper", "forearm"], "parents come first");
    let names: Vec<&str> = arm.coordinates.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["elbow_angle", "shoulder_angle"], "coordinates stay in the file's order");
    assert_eq!(arm.coordinates[0].motion, Motion::Rotational);
    assert_eq!((arm.coordinates[0].range, arm.coordinates[0].clamped), (Some([0.0, 2.5]), true));
    assert_eq!((arm.coordinates[1].default, arm.coordinates[1].range), (0.5, None));
    // Only what moves or displaces is left of the frames.
    assert_eq!(arm.operations.len(), 4);
    assert!(arm.operations.iter().all(|o| !matches!(o, Operation::Rotate(_))));
    let scales = Scales(vec![[1.0; 3], [1.2, 0.7, 0.9], [0.8, 1.0, 1.0]]);
    let offsets = Offsets(vec![Vector3::new(0.0, 0.01, 0.02)]);
    let (e, s) = (0.7, -0.4);
    let frame = kinematics(&arm, &scales, &offsets, &[e, s]);
    let (upper, forearm) = (0.3 * 1.2, 0.25 * 0.8);
    let wrist = Vector3::new(
        upper * f64::cos(s) + forearm * f64::cos(s + e) - 0.01 * f64::sin(s + e),
        1.0 + upper * f64::sin(s) + forearm * f64::sin(s + e) + 0.01 * f64::cos(s + e),
        0.02,
    );
    assert!((frame.markers[0] - wrist).norm() < 1e-15);
}

/// Coordinates within their ranges, couplings kept.
fn some_pose(skeleton: &Skeleton, seed: f64) -> Vec<f64> {
    let mut q: Vec<f64> = skeleton
        .coordinates
        .iter()
        .enumerate()
        .map(|(i, c)| {
            let [low, high] = c.range.unwrap_or([-0.7, 0.7]);
            if c.locked { c.default } else { low + (high - low) * (0.5 + 0.5 * (seed + 1.7 * i as f64).sin()) }
        })
        .collect();
    skeleton.resolve_couplings(&mut q);
    q
}

/// Uneven factors and offsets.
fn some_subject(skeleton: &Skeleton) -> (Scales, Offsets) {
    let mut scales = Scales::ones(skeleton);
    for (b, factors) in scales.0.iter_mut().enumerate().skip(1) {
        *factors = [0, 1, 2].map(|k| 1.0 + 0.2 * (1.3 * b as f64 + f64::from(k)).sin());
    }
    let offsets = (0..skeleton.markers.len()).map(|m| Vector3::repeat(0.01 * (m as f64).cos())).collect();
    (scales, Offsets(offsets))
}

/// The written model, unscaled, moves as the original does scaled.
fn moves_the_same(original: &Skeleton, scales: &Scales, offsets: &Offsets, written: &Skeleton) {
    let (ones, zeros) = (Scales::ones(written), Offsets::zeros(written));
    assert_eq!(original.markers.len(), written.markers.len());
    for seed in [0.1, 0.9, 2.3] {
        let q = some_pose(original, seed);
        let mut same = some_pose(written, seed);
        for (value, c) in same.iter_mut().zip(&written.coordinates) {
            if let Some(c) = original.coordinate(&c.name) {
                *value = q[c.index()];
            }
        }
        written.resolve_couplings(&mut same);
        let (a, b) = (kinematics(original, scales, offsets, &q), kinematics(written, &ones, &zeros, &same));
        for (m, marker) in original.markers.iter().enumerate() {
            // OpenSim spells names without spaces.
            let found = written.marker(&marker.name).or_else(|| written.marker(&marker.name.replace(' ', "_")));
            let there = b.markers[found.unwrap().index()];
            assert!((a.markers[m] - there).norm() < ROUNDING, "{}: {} {there}", marker.name, a.markers[m]);
        }
        for (i, body) in original.bodies.iter().enumerate().skip(1) {
            let j = written.body(&body.name).unwrap().index();
            assert!((a.rotations[i].matrix() - b.rotations[j].matrix()).abs().max() < ROUNDING, "{}", body.name);
        }
    }
}

/// A hinge and a slide with anchors and polynomial followers, in the shape both formats have.
const LEG: &str = r#"<mujoco model="a leg"><compiler angle="radian"/><worldbody>
<body name="pelvis" pos="0 0 1" quat="1 1 0 0"><freejoint name="root"/><site name="hip left" pos="0 0.1 0.1"/>
<body name="thigh" pos="0.1 -0.2 0.05"><joint name="flexion" axis="0 0 1" range="-1 1"/><joint name="adduction" axis="1 0 0"/><site name="knee" pos="0 -0.4 0"/>
<body name="shank" pos="0 -0.4 0"><joint name="up" type="slide" axis="0 1 0"/><joint name="knee" axis="0 0 1" pos="0.01 0.02 0" ref="0.2" range="-2 0.2"/><site name="ankle" pos="0 -0.4 0"/>
<body name="foot" pos="0 -0.4 0.1" euler="0.1 0.2 0.3"><site name="toe" pos="0.2 0 0"/></body></body></body></body></worldbody>
<equality><joint joint1="up" joint2="knee" polycoef="0.01 0.02 -0.01 0.003 0.001"/></equality></mujoco>"#;

#[test]
fn models_are_written_in_their_own_format_and_the_other() {
    let arm = read_model_str("arm.osim", ARM).unwrap();
    let leg = read_model_str("leg.xml", LEG).unwrap();
    for (skeleton, unchanged) in [(&arm, ARM), (&leg, LEG)] {
        let (ones, zeros) = (Scales::ones(skeleton), Offsets::zeros(skeleton));
        let own = if skeleton.up == UpAxis::Y { write_osim } else { write_mjcf };
        assert_eq!(own(skeleton, &ones, &zeros).unwrap(), unchanged, "nothing fitted, nothing changed");
        let (scales, offsets) = some_subject(skeleton);
        let osim = read_model_str("w.osim", &write_osim(skeleton, &scales, &offsets).unwrap()).unwrap();
        moves_the_same(skeleton, &scales, &offsets, &osim);
        let mjcf = read_model_str("w.xml", &write_mjcf(skeleton, &scales, &offsets).unwrap()).unwrap();
        moves_the_same(skeleton, &scales, &offsets, &mjcf);
        assert_eq!(mjcf.up, skeleton.up);
        // And one made in memory.
        let mut loose = skeleton.scaled(&scales, &offsets);
        loose.source = kinefit::skeleton::ModelSource::None;
        let osim = read_model_str("w.osim", &write_osim(&loose, &ones, &zeros).unwrap()).unwrap();
        moves_the_same(skeleton, &scales, &offsets, &osim);
    }
    let whole = read_model(&data("body.xml")).unwrap();
    let (mut scales, offsets) = some_subject(&whole);
    for factors in &mut scales.0 {
        *factors = [factors[0]; 3];
    }
    let written = write_mjcf(&whole, &scales, &offsets).unwrap();
    moves_the_same(&whole, &scales, &offsets, &read_model_str("w.xml", &written).unwrap());
    let refused = write_osim(&whole, &scales, &offsets).unwrap_err().to_string();
    assert!(refused.contains("by_axisangle") && refused.contains("different centres"), "{refused}");
    let joints = read_model(&data("every_joint.osim")).unwrap();
    let refused = write_mjcf(&joints, &Scales::ones(&joints), &Offsets::zeros(&joints)).unwrap_err().to_string();
    assert!(refused.contains("custom") && refused.contains("directly"), "{refused}");
}

#[test]
fn marker_sets_add_replace_and_are_written_back() {
    let set = r#"<OpenSimDocument Version="40000"><MarkerSet><objects>
        <Marker name="wrist"><socket_parent_frame>/bodyset/upper</socket_parent_frame><location>0.1 0.2 0.3</location></Marker>
        <Marker name="elbow &amp; co"><socket_parent_frame>/bodyset/upper</socket_parent_frame><location>0.3 0 0</location><fixed>true</fixed></Marker>
        </objects></MarkerSet></OpenSimDocument>"#;
    let mut arm = read_model_str("arm.osim", ARM).unwrap();
    read_marker_set_str("set.xml", set, &mut arm).unwrap();
    assert_eq!(arm.markers.iter().map(|m| m.name.as_str()).collect::<Vec<_>>(), ["wrist", "elbow & co"]);
    assert_eq!(arm.bodies[arm.markers[0].body.index()].name, "upper");
    let (scales, offsets) = some_subject(&arm);
    let written = read_model_str("w.osim", &write_osim(&arm, &scales, &offsets).unwrap()).unwrap();
    assert!(written.markers[1].fixed && !written.markers[0].fixed);
    moves_the_same(&arm, &scales, &offsets, &written);
    let wrong = set.replace(
        "/bodyset/upper</socket_parent_frame><location>0.3",
        "/bodyset/uper</socket_parent_frame><location>0.3",
    );
    let error = read_marker_set_str("set.xml", &wrong, &mut arm).unwrap_err().to_string();
    assert!(error.contains("set.xml:3") && error.contains("elbow") && error.contains("`upper`"), "{error}");
}

#[test]
fn scale_groups_say_what_is_wrong() {
    let arm = read_model_str("arm.osim", ARM).unwrap();
    let good = r#"{"groups": {"second": ["upper:xy"], "first": ["upper", "forearm:z"]}, "notes": "ignored"}"#;
    let groups = ScaleGroups::from_json("g.json", good, &arm).unwrap();
    assert_eq!(groups.groups[0].name, "second", "in the file's order");
    assert_eq!(
        groups.factors(&arm, &[0.1, 0.2]).0,
        [[1.0; 3], [1.0 + 0.1 + 0.2, 1.0 + 0.1 + 0.2, 1.2], [1.0, 1.0, 1.2]]
    );
    for (text, said) in [
        (r#"{"groups": {"a": ["uper"]}}"#, "`upper`"),
        (r#"{"groups": {"a": ["upper:w"]}}"#, "axes"),
        (r#"{"groups": {"a": ["ground"]}}"#, "ground"),
        (r#"{"groups": {"a": []}}"#, "no bodies"),
        (r#"{"groups": {"a": ["upper", "upper:x"]}}"#, "twice"),
        (r#"{"groups": {"a": ["upper"], "a": ["upper"]}}"#, "second group"),
        (r#"{"groups": {}}"#, "no groups"),
        (r#"{"groups": {"a": ["upper""#, "g.json:1"),
        ("", "g.json"),
    ] {
        let error = ScaleGroups::from_json("g.json", text, &arm).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("g.json"), "{text}: {error}");
    }
}

/// What is wrong with a model, and what the message must name.
#[test]
fn hostile_models_are_refused_with_the_place() {
    let change = |from: &str, to: &str| {
        assert!(ARM.contains(from), "{from}");
        ARM.replacen(from, to, 1)
    };
    let coupler = |dependent: &str, independent: &str| {
        format!(
            "<CoordinateCouplerConstraint name=\"c\"><coupled_coordinates_function><LinearFunction><coefficients>2 0</coefficients></LinearFunction></coupled_coordinates_function><independent_coordinate_names>{independent}</independent_coordinate_names><dependent_coordinate_name>{dependent}</dependent_coordinate_name></CoordinateCouplerConstraint>"
        )
    };
    let constrained = |inside: &str| {
        change("<MarkerSet>", &format!("<ConstraintSet><objects>{inside}</objects></ConstraintSet><MarkerSet>"))
    };
    let custom = |function: &str| {
        change("<PinJoint name=\"elbow\">", "<CustomJoint name=\"elbow\">").replacen(
            "</frames></PinJoint>",
            &format!("</frames><SpatialTransform><TransformAxis name=\"rotation1\"><coordinates>elbow_angle</coordinates><axis>0 0 1</axis>{function}</TransformAxis></SpatialTransform></CustomJoint>"),
            1,
        )
    };
    let deep = |n: usize| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
    let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;\">]><OpenSimDocument>&b;</OpenSimDocument>";
    let cases: Vec<(String, &[&str])> = vec![
        (change("<Body name=\"forearm\"/>", ""), &["`/bodyset/forearm`", "m.osim:4", "elbow"]),
        (change("<Body name=\"forearm\"/>", "<Body name=\"upper\"/>"), &["second body", "m.osim:2", "upper"]),
        (
            change("<Body name=\"forearm\"/>", "<Body name=\"forearm\"/><Body name=\"loose\"/>"),
            &["no joint moves", "loose"],
        ),
        (
            change("<socket_parent>/ground</socket_parent>", "<socket_parent>/bodyset/forearm</socket_parent>"),
            &["circle"],
        ),
        (
            change("<socket_parent>/ground</socket_parent>", "<socket_parent>/bodyset/nobody</socket_parent>"),
            &["nobody", "m.osim:7", "shoulder"],
        ),
        (change("elbow_angle", "shoulder_angle"), &["second coordinate", "shoulder_angle", "m.osim:8"]),
        (change("<translation>0.3 0 0", "<translation>NaN 0 0"), &["NaN", "translation", "m.osim:6"]),
        (change("<translation>0.3 0 0", "<translation>0.3 0"), &["three numbers", "m.osim:6"]),
        (change("<location>0.25", "<location>1e999"), &["1e999", "m.osim:11"]),
        (change("<range>0 2.5", "<range>3 2.5"), &["range", "m.osim:5"]),
        (
            change("<Body name=\"forearm\"/>", "<Body name=\"forearm\"><mass>NaN</mass></Body>"),
            &["m.osim:2, <mass> of <Body name=\"forearm\">", "`NaN` is not a finite number"],
        ),
        (change("<Body name=\"upper\"/>", "<Body name=\"upper\"><mass>-1</mass></Body>"), &["the mass is -1"]),
        (
            change("<Body name=\"upper\"/>", "<Body name=\"upper\"><inertia>1 1 inf 0 0 0</inertia></Body>"),
            &["`inf` is not a finite number"],
        ),
        (change("<clamped>true", "<clamped>perhaps"), &["perhaps", "elbow_angle"]),
        (
            change("PinJoint name=\"elbow\"", "EllipsoidJoint name=\"elbow\"").replacen(
                "</PinJoint>",
                "</EllipsoidJoint>",
                1,
            ),
            &["EllipsoidJoint", "elbow"],
        ),
        (change("<BodySet>", "<BodySet><objects/></BodySet><BodySet>"), &["no bodies"]),
        (constrained(&coupler("elbow_angle", "elbow_angle")), &["circle"]),
        (
            constrained(&(coupler("elbow_angle", "shoulder_angle") + &coupler("shoulder_angle", "elbow_angle"))),
            &["circle"],
        ),
        (
            constrained(&(coupler("elbow_angle", "shoulder_angle") + &coupler("elbow_angle", "shoulder_angle"))),
            &["twice"],
        ),
        (constrained(&coupler("elbow_angle", "sholder_angle")), &["sholder_angle", "`shoulder_angle`"]),
        (constrained(&coupler("elbow_angle", "shoulder_angle other")), &["more than one"]),
        (constrained("<WeldConstraint name=\"w\"/>"), &["WeldConstraint", "\"w\""]),
        (custom("<StepFunction/>"), &["StepFunction", "m.osim:6"]),
        (custom("<SimmSpline><x>0 1 1</x><y>0 1 2</y></SimmSpline>"), &["SimmSpline", "increasing"]),
        (custom("<SimmSpline><x>0</x><y>0</y></SimmSpline>"), &["at least two"]),
        (custom("<LinearFunction><coefficients>1 2 3</coefficients></LinearFunction>"), &["two coefficients"]),
        (custom("<MultiplierFunction/>"), &["multiplies no function"]),
        (
            custom(&format!(
                "{}<Constant/>{}",
                "<MultiplierFunction><function>".repeat(3000),
                "</function></MultiplierFunction>".repeat(3000)
            )),
            &["nested"],
        ),
        (format!("<OpenSimDocument Version=\"40000\">{}</OpenSimDocument>", deep(100_000)), &["nested more than"]),
        ("<a>".repeat(100_000), &["m.osim"]),
        (bomb.into(), &["DOCTYPE"]),
        (ARM[..ARM.len() / 2].into(), &["m.osim"]),
        (ARM.replace("OpenSimDocument", "Document"), &["<Document>"]),
        (ARM.replace("40500", "10900"), &["10900"]),
        (ARM.replace("Model", "Modell"), &["no <Model>"]),
        (String::new(), &["empty"]),
        (" \n ".into(), &["empty"]),
        ("not xml".into(), &["m.osim:1"]),
        ("{\"a\": 1}".into(), &["m.osim"]),
    ];
    for (text, said) in cases {
        let error = match read_model_str("m.osim", &text) {
            Ok(_) => panic!("read: {}", text.chars().take(3000).collect::<String>()),
            Err(error) => error,
        };
        assert_eq!(error.exit_code(), 2);
        for part in said.iter().chain(&["m.osim"]) {
            assert!(error.to_string().contains(part), "{part} is not in: {error}");
        }
    }
    // A coupler of a coupler is resolved.
    let chain = constrained(&coupler("elbow_angle", "shoulder_angle"));
    assert_eq!(read_model_str("m.osim", &chain).unwrap().coordinates[0].coupling.as_ref().unwrap().independent.0, 1);
}

#[test]
fn hostile_mujoco_models_are_refused_with_the_place() {
    let change = |from: &str, to: &str| {
        assert!(LEG.contains(from), "{from}");
        LEG.replacen(from, to, 1)
    };
    let cases: Vec<(String, &[&str])> = vec![
        (change("name=\"thigh\"", "name=\"shank\""), &["second body", "shank"]),
        (change("name=\"adduction\"", "name=\"flexion\""), &["second joint", "flexion"]),
        (change("name=\"adduction\"", "name=\"root_tx\""), &["root_tx"]),
        (change("quat=\"1 1 0 0\"", "quat=\"0 0 0 0\""), &["not an orientation", "pelvis", "m.xml:2"]),
        (change("quat=\"1 1 0 0\"", "quat=\"1 0 0 0\" euler=\"0 0 0\""), &["two ways"]),
        (change("axis=\"1 0 0\"", "axis=\"0 0 0\""), &["no direction", "adduction", "m.xml:3"]),
        (change("pos=\"0.1 -0.2 0.05\"", "pos=\"0.1 nan 0\""), &["nan", "thigh"]),
        (change("type=\"slide\"", "type=\"screw\""), &["screw"]),
        (change("<joint name=\"adduction\"", "<joint class=\"none\" name=\"adduction\""), &["none"]),
        (change("<joint name=\"flexion\"", "<freejoint/><joint name=\"flexion\""), &["free joint", "thigh"]),
        (change("angle=\"radian\"", "angle=\"turns\""), &["turns"]),
        (change("<compiler ", "<compiler eulerseq=\"abc\" "), &["eulerseq"]),
        (change("joint2=\"knee\"", "joint2=\"kne\""), &["`kne`", "`knee`"]),
        (change("joint2=\"knee\"", "joint2=\"up\""), &["circle"]),
        (change("</equality>", "<joint joint1=\"up\"/></equality>"), &["twice"]),
        (change("</equality>", "<weld body1=\"foot\" body2=\"thigh\"/></equality>"), &["weld"]),
        (change("<site name=\"toe\"", "<composite/><site name=\"toe\""), &["composite"]),
        (change("<worldbody>", "<include file=\"not there.xml\"/><worldbody>"), &["not there.xml"]),
        (change("<worldbody>", "<include/><worldbody>"), &["names no file"]),
        (change("<site name=\"toe\"", "<geom size=\"0.1\" mass=\"nan\"/><site name=\"toe\""), &["`nan`", "<geom>"]),
        (
            change("<site name=\"toe\"", "<inertial pos=\"0 0 0\" mass=\"-2\"/><site name=\"toe\""),
            &["the mass is -2", "<inertial>"],
        ),
        (LEG.replace("worldbody", "world"), &["worldbody"]),
        ("<mujoco><worldbody/></mujoco>".into(), &["no bodies"]),
        (format!("<mujoco><worldbody>{}", "<body>".repeat(100_000)), &["m.xml"]),
        (
            format!(
                "<mujoco><worldbody>{}{}</worldbody></mujoco>",
                "<body>".repeat(100_000),
                "</body>".repeat(100_000)
            ),
            &["nested"],
        ),
    ];
    for (text, said) in cases {
        let error = match read_model_str("m.xml", &text) {
            Ok(_) => panic!("read: {}", text.chars().take(3000).collect::<String>()),
            Err(error) => error,
        };
        for part in said.iter().chain(&["m.xml"]) {
            assert!(error.to_string().contains(part), "{part} is not in: {error}");
        }
    }
}

/// A gigabyte in one attribute is refused unread; what is read and quoted is cut short.
#[test]
fn endless_attributes_make_no_endless_messages() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge.osim");
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(b"<OpenSimDocument Version=\"").unwrap();
    // A hole: it takes no room on the disk.
    file.set_len(1 << 30).unwrap();
    let error = read_model(&path).unwrap_err().to_string();
    assert!(error.contains("huge.osim: the file has more than"), "{error}");

    let long = "x".repeat(20_000_000);
    for text in [
        format!("<OpenSimDocument Version=\"{long}\"/>"),
        ARM.replace("\"forearm\"", &format!("\"{long}\"")),
        ARM.replace("0.25 0 0", &long),
        LEG.replace("type=\"slide\"", &format!("type=\"{long}\"")),
        LEG.replace("joint2=\"knee\"", &format!("joint2=\"{long}\"")),
        format!("<{long}/>"),
    ] {
        let error = read_model_str("m.osim", &text).unwrap_err().to_string();
        assert!(error.len() < 20_000 && error.starts_with("m.osim"), "{} bytes", error.len());
    }
}

/// Files beside the model's folder may be shared between models; a model from elsewhere may not name any file there is.
#[test]
fn includes_from_elsewhere_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for inner in ["a/models", "a/shared", "b"] {
        std::fs::create_dir_all(folder.path().join(inner)).unwrap();
    }
    let body = "<mujocoinclude><worldbody><body name=\"x\"><joint name=\"j\"/></body></worldbody></mujocoinclude>";
    for place in ["a/shared/part.xml", "b/part.xml"] {
        std::fs::write(folder.path().join(place), body).unwrap();
    }
    let read = |file: &str| {
        let top = folder.path().join("a/models/top.xml");
        std::fs::write(&top, format!("<mujoco><include file=\"{file}\"/></mujoco>")).unwrap();
        read_model(&top)
    };
    assert!(read("../shared/part.xml").is_ok());
    let elsewhere = folder.path().join("b/part.xml").display().to_string();
    let mut refused = vec!["../../b/part.xml", "../shared/../../b/part.xml", &elsewhere];
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(folder.path().join("b/part.xml"), folder.path().join("a/models/link.xml")).unwrap();
        refused.push("link.xml");
    }
    for file in refused {
        let error = read(file).unwrap_err().to_string();
        assert!(error.contains("top.xml:1, <include>") && error.contains("not in the model's folder"), "{error}");
    }
    let error = read("../../b/none.xml").unwrap_err().to_string();
    assert!(error.contains("none.xml: cannot be read"), "{error}");
}

#[test]
fn includes_are_relative_to_the_top_and_may_not_go_round() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("parts")).unwrap();
    put(
        "parts/bodies.xml",
        "<mujocoinclude><body name=\"a\"><include file=\"parts/joint.xml\"/></body></mujocoinclude>",
    );
    put(
        "parts/joint.xml",
        "<!-- a joint --><mujocoinclude><joint name=\"j\"/><site name=\"s\" pos=\"1 0 0\"/></mujocoinclude>",
    );
    put("top.xml", "<mujoco><worldbody><include file=\"parts/bodies.xml\"/></worldbody></mujoco>");
    let skeleton = read_model(&folder.path().join("top.xml")).unwrap();
    assert!(skeleton.coordinate("j").is_some() && skeleton.marker("s").is_some());
    put("parts/joint.xml", "<mujocoinclude><include file=\"parts/bodies.xml\"/></mujocoinclude>");
    let error = read_model(&folder.path().join("top.xml")).unwrap_err().to_string();
    assert!(error.contains("circle"), "{error}");
}

proptest! {
    /// Whatever is cut out of or put into a model, reading gives a skeleton or an error.
    #[test]
    fn damaged_models_do_not_panic(at in 0.0f64..1.0, cut in 0usize..40, put in "[<>/\"= a-zA-Z0-9.-]{0,12}", which in 0..2) {
        let text = [ARM, LEG][which as usize];
        let start = (at * text.len() as f64) as usize;
        let end = (start + cut).min(text.len());
        let damaged = format!("{}{put}{}", &text[..start], &text[end..]);
        if let Ok(skeleton) = read_model_str("damaged", &damaged) {
            let q = some_pose(&skeleton, 0.3);
            let frame = kinematics(&skeleton, &Scales::ones(&skeleton), &Offsets::zeros(&skeleton), &q);
            prop_assert!(frame.origins.iter().all(|p| p.iter().all(|v| v.is_finite() || v.abs() > 1e100)));
            let _ = write_osim(&skeleton, &Scales::ones(&skeleton), &Offsets::zeros(&skeleton));
            let _ = write_mjcf(&skeleton, &Scales::ones(&skeleton), &Offsets::zeros(&skeleton));
        }
    }
}
