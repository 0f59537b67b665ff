//! OpenSim's models: joints against values of OpenSim, and what is wrong with some.

use crate::{ARM, ROUNDING, data, difference, kinematics, moves_the_same, numbers, scales_of, some_subject};
use kinefit::skeleton::{
    Motion, Offsets, Operation, Scales, read_marker_set_str, read_model, read_model_str, write_osim,
};
use nalgebra::Vector3;
use serde_json::Value;

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
