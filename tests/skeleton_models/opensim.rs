//! OpenSim's models: joints against values of OpenSim, and what is wrong with some.

use crate::{ARM, LEG, ROUNDING, data, difference, kinematics, moves_the_same, numbers, scales_of, some_subject};
use kinefit::skeleton::{
    Motion, Offsets, Operation, Scales, UpAxis, read_marker_set_str, read_model, read_model_str, write_osim,
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

/// Up is against gravity; what is written of a model that stands on Z reads so again.
#[test]
fn gravity_tells_which_axis_points_up() {
    let with = |gravity: &str| ARM.replace("<BodySet>", &format!("<gravity>{gravity}</gravity><BodySet>"));
    for (gravity, up) in [("0 -9.80665 0", UpAxis::Y), ("0 0 -9.81", UpAxis::Z), ("0 0 0", UpAxis::Y)] {
        assert_eq!(read_model_str("m.osim", &with(gravity)).unwrap().up, up, "{gravity}");
    }
    let leg = read_model_str("leg.xml", LEG).unwrap();
    let written = write_osim(&leg, &Scales::ones(&leg), &Offsets::zeros(&leg)).unwrap();
    assert_eq!((leg.up, read_model_str("w.osim", &written).unwrap().up), (UpAxis::Z, UpAxis::Z));
    let error = read_model_str("m.osim", &with("0 down 0")).unwrap_err().to_string();
    assert!(error.contains("`down`") && error.contains("gravity"), "{error}");
}

/// A marker that does not say where it is sits at its body's origin in OpenSim 4.6, and is written with its offset.
#[test]
fn a_marker_without_a_location_sits_at_the_origin() {
    let text = ARM.replace("<location>0.25 0 0</location>", "");
    let arm = read_model_str("arm.osim", &text).unwrap();
    assert_eq!(arm.markers[0].location, Vector3::zeros());
    assert_eq!(write_osim(&arm, &Scales::ones(&arm), &Offsets::zeros(&arm)).unwrap(), text);
    let (scales, offsets) = some_subject(&arm);
    let written = read_model_str("w.osim", &write_osim(&arm, &scales, &offsets).unwrap()).unwrap();
    assert!(offsets.0[0].norm() > 0.0 && written.markers[0].location == offsets.0[0]);
    moves_the_same(&arm, &scales, &offsets, &written);
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
            change("<range>0 2.5", "<range>0.5 2.5"),
            &["<Coordinate name=\"elbow_angle\">", "default value 0 ", "0.5 to 2.5", "clamped", "m.osim:5"],
        ),
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
        (change("<BodySet>", "<BodySet><objects/></BodySet><BodySet>"), &["a second <BodySet>", "leave one"]),
        (change("<Body name=\"forearm\"/><Body name=\"upper\"/>", ""), &["no bodies"]),
        (constrained(&coupler("elbow_angle", "elbow_angle")), &["circle"]),
        (
            constrained(&(coupler("elbow_angle", "shoulder_angle") + &coupler("shoulder_angle", "elbow_angle"))),
            &["circle"],
        ),
        (
            constrained(&(coupler("elbow_angle", "shoulder_angle") + &coupler("elbow_angle", "shoulder_angle"))),
            &["twice"],
        ),
        (
            constrained(&coupler("elbow_angle", "shoulder_angle"))
                .replace("<clamped>true</clamped>", "<locked>true</locked>"),
            &["`elbow_angle` follows `shoulder_angle` and is locked", "unlock it"],
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
}

/// A chain of couplers has one independent coordinate; OpenSim 4.6 assembles this one to 0.2, 0.5 and 1.1 rad.
#[test]
fn a_coupler_on_a_coupler_is_followed_to_the_end() {
    let joint = |name: &str, parent: &str| {
        format!(
            "<PinJoint name=\"j{name}\"><socket_parent_frame>{parent}</socket_parent_frame><socket_child_frame>/bodyset/{name}</socket_child_frame><coordinates><Coordinate name=\"q{name}\"/></coordinates></PinJoint>"
        )
    };
    let coupler = |dependent: &str, independent: &str| {
        format!(
            "<CoordinateCouplerConstraint name=\"{dependent}\"><coupled_coordinates_function><LinearFunction><coefficients>2 0.1</coefficients></LinearFunction></coupled_coordinates_function><independent_coordinate_names>{independent}</independent_coordinate_names><dependent_coordinate_name>{dependent}</dependent_coordinate_name></CoordinateCouplerConstraint>"
        )
    };
    let text = format!(
        "<OpenSimDocument Version=\"40500\"><Model name=\"chain\"><BodySet><objects><Body name=\"a\"/><Body name=\"b\"/><Body name=\"c\"/></objects></BodySet><JointSet><objects>{}{}{}</objects></JointSet><ConstraintSet><objects>{}{}</objects></ConstraintSet></Model></OpenSimDocument>",
        joint("a", "/ground"),
        joint("b", "/bodyset/a"),
        joint("c", "/bodyset/b"),
        coupler("qc", "qb"),
        coupler("qb", "qa"),
    );
    let chain = read_model_str("chain.osim", &text).unwrap();
    let mut q: Vec<f64> = vec![0.2, 0.0, 0.0];
    chain.resolve_couplings(&mut q);
    for (found, expected) in q.iter().zip([0.2, 0.5, 1.1]) {
        assert!((found - expected).abs() < 1e-15, "{q:?}");
    }
}

/// OpenSim finds the six axes of a joint by their names, wherever they stand (checked with 4.6).
#[test]
fn axes_are_found_by_name() {
    let axis = |name: &str, about: &str, coordinate: &str| {
        format!(
            "<TransformAxis name=\"{name}\"><coordinates>{coordinate}</coordinates><axis>{about}</axis><LinearFunction><coefficients>1 0</coefficients></LinearFunction></TransformAxis>"
        )
    };
    let (first, second) = (axis("rotation1", "0 0 1", "elbow_angle"), axis("rotation2", "1 0 0", "twist"));
    let along = axis("translation1", "1 0 0", "reach");
    let arm = |axes: String| {
        let text = ARM
            .replacen("<PinJoint name=\"elbow\">", "<CustomJoint name=\"elbow\">", 1)
            .replacen(
                "</Coordinate></coordinates>",
                "</Coordinate><Coordinate name=\"twist\"/><Coordinate name=\"reach\"/></coordinates>",
                1,
            )
            .replacen(
                "</frames></PinJoint>",
                &format!("</frames><SpatialTransform>{axes}</SpatialTransform></CustomJoint>"),
                1,
            );
        read_model_str("arm.osim", &text)
    };
    let ordered = arm(format!("{first}{second}{along}")).unwrap();
    let shuffled = arm(format!("{along}{second}{first}")).unwrap();
    assert_eq!(ordered.operations, shuffled.operations);
    assert_eq!(ordered.coordinates, shuffled.coordinates);
    for (axes, said) in [
        (format!("{first}{first}"), "a second axis of the joint has this name"),
        (format!("{first}{}", axis("rotation4", "1 0 0", "twist")), "translation3"),
        (axis("", "0 0 1", "").repeat(7), "one more"),
        (format!("{first}{}", axis("rotation3", "0 0 -2", "twist")), "lies along that of another rotation"),
        (format!("{along}{}", axis("translation3", "1 1e-6 0", "twist")), "lies along that of another translation"),
    ] {
        let error = arm(axes).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("arm.osim:6"), "{error}");
    }
}

/// OpenSim passes over what it does not know, and the property keeps its default; here it is an error that names the element.
#[test]
fn what_is_not_understood_is_never_passed_over() {
    let cases = [
        ("<range>0 2.5</range>", "<rangee>0 2.5</rangee>", "<rangee> is not understood in a <Coordinate>", "`range`"),
        ("<default_value>0.5</default_value>", "<defalt_value>0.5</defalt_value>", "<defalt_value>", "`default_value`"),
        ("<range>0 2.5</range>", "<range>0 2.5</range><range>0 1</range>", "a second <range>", "leave one"),
        ("<range>0 2.5</range>", "<prescribed>true</prescribed>", "prescribed", "lock it"),
        ("name=\"elbow_angle\"", "name=\"elbow_angle\" clamped=\"true\"", "clamped=", "<clamped>"),
        (
            "<Body name=\"upper\"/>",
            "<Body name=\"upper\"><bogus/></Body>",
            "<bogus> is not understood in a <Body>",
            "mass",
        ),
        ("<translation>0 1 0", "<shift>1</shift><translation>0 1 0", "<shift>", "`translation`"),
        ("</frames></PinJoint>", "</frames><SpatialTransform/></PinJoint>", "<SpatialTransform>", "<PinJoint>"),
        ("</frames></PinJoint>", "</frames><reverse>true</reverse></PinJoint>", "reversed", "OpenSim 4"),
        ("<location>0.25 0 0</location>", "<location>0.25 0 0</location><fixt>1</fixt>", "<fixt>", "`fixed`"),
        ("<Marker name", "<Markr/><Marker name", "<Markr> is not understood in a <MarkerSet>", "<Marker>"),
        ("<MarkerSet>", "<Fancy/><MarkerSet>", "<Fancy> is not understood in a <Model>", "`"),
        ("<MarkerSet>", "<MarkerSet file=\"m.xml\"/><MarkerSet>", "a second <MarkerSet>", "leave one"),
        ("<MarkerSet>", "<MarkerSet file=\"m.xml\">", "in another file, `m.xml`", "--marker-set"),
        ("<BodySet><objects>", "<BodySet><objets/><objects>", "<objets>", "`objects`"),
        (
            "<MarkerSet>",
            "<components><PinJoint/></components><MarkerSet>",
            "<PinJoint> among the components",
            "JointSet",
        ),
        ("<socket_parent>/ground<", "<body>x</body><socket_parent>/ground<", "<body> is not understood", "remove it"),
        ("<range>0 2.5</range>", "<range>0 2.5 rad</range>", "`rad` is not a number", "correct the number"),
        (
            "<MarkerSet>",
            "<defaults><Coordinate name=\"default\"><default_value>1</default_value></Coordinate></defaults><MarkerSet>",
            "defaults of <Coordinate>s are not understood",
            "writes them out",
        ),
        (
            "<MarkerSet>",
            "<ConstraintSet><objects><CoordinateCouplerConstraint name=\"c\"><isDisabled>true</isDisabled></CoordinateCouplerConstraint></objects></ConstraintSet><MarkerSet>",
            "<isDisabled> in a <CoordinateCouplerConstraint> belongs to documents before Version 30509",
            "Version",
        ),
        (
            "<Body name=\"upper\"/>",
            "<Body name=\"upper\"><components><StationDefinedFrame name=\"at_upper\"/></components></Body>",
            "<StationDefinedFrame> is not a kind of frame",
            "PhysicalOffsetFrame",
        ),
        ("Version=\"40500\"", "", "does not say its Version", "40000"),
        ("Version=\"40500\"", "Version=\"20302\"", "<JointSet> in a <Model> belongs to documents since 4.0", "Version"),
        (
            "<Body name=\"upper\"/>",
            "<Body name=\"upper\"><Joint/></Body>",
            "<Joint> in a <Body> belongs to documents before Version 30500",
            "Version",
        ),
        (
            "</frames></PinJoint>",
            "</frames><location_in_parent>0 1 0</location_in_parent></PinJoint>",
            "<location_in_parent> in a <PinJoint> belongs to documents before Version 30500",
            "OpenSim 4",
        ),
    ];
    for (from, to, problem, advice) in cases {
        assert!(ARM.contains(from), "{from}");
        let mut text = ARM.replacen(from, to, 1);
        if to.contains("StationDefinedFrame") {
            text = text.replacen("<socket_parent_frame>at_upper<", "<socket_parent_frame>/bodyset/upper/at_upper<", 1);
            text = text.replacen("PhysicalOffsetFrame name=\"at_upper\"", "PhysicalOffsetFrame name=\"other\"", 1);
        }
        let error = match read_model_str("arm.osim", &text) {
            Ok(_) => panic!("read with {to}"),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(problem) && error.contains(advice) && error.contains("arm.osim:"), "{to}: {error}");
    }
    // What has no meaning for kinematics may be anything.
    let muscles = "<defaults><Millard2012EquilibriumMuscle name=\"default\"><bogus>1</bogus></Millard2012EquilibriumMuscle></defaults><MarkerSet>";
    assert!(read_model_str("arm.osim", &ARM.replacen("<MarkerSet>", muscles, 1)).is_ok());
    // A kind of joint that is not understood is named as that, and not its elements.
    let ellipsoid = ARM.replacen("PinJoint name=\"elbow\"", "EllipsoidJoint name=\"elbow\"", 1).replacen(
        "</frames></PinJoint>",
        "</frames><radii_x_y_z>1 1 1</radii_x_y_z></EllipsoidJoint>",
        1,
    );
    let error = read_model_str("arm.osim", &ellipsoid).unwrap_err().to_string();
    assert!(error.contains("joints of the kind EllipsoidJoint are not understood"), "{error}");
    let carried = "<ForceSet><objects><Fancy><bogus/></Fancy></objects></ForceSet><MarkerSet>";
    assert!(read_model_str("arm.osim", &ARM.replacen("<MarkerSet>", carried, 1)).is_ok());
    let shown = "<Body name=\"upper\"><attached_geometry><Fancy/></attached_geometry></Body>";
    assert!(read_model_str("arm.osim", &ARM.replacen("<Body name=\"upper\"/>", shown, 1)).is_ok());
    // Files of marker sets are held to the same.
    let set = "<OpenSimDocument Version=\"40000\"><MarkerSet><objects><Marker name=\"a\"><body>upper</body><location>0 0 0</location></Marker></objects></MarkerSet></OpenSimDocument>";
    let mut arm = read_model_str("arm.osim", ARM).unwrap();
    let error = read_marker_set_str("set.xml", set, &mut arm).unwrap_err().to_string();
    assert!(error.contains("<body> in a <Marker> belongs to documents before Version 30505"), "{error}");
    read_marker_set_str("set.xml", &set.replace("40000", "30000"), &mut arm).unwrap();
}

/// Where a marker at (0.1, 0.2, 0.3) of the second body is, its joint hanging on frames named in every way that OpenSim 4.6 reads; with its positions. Each frame is (0.1, 0.2, 0.3) from what it
/// is fixed to. Frames of one name, and a frame called like a body, are told apart by their paths.
#[test]
fn frames_are_found_by_their_paths() {
    let frame = |name: &str, parent: &str, inside: &str| {
        format!(
            "<PhysicalOffsetFrame name=\"{name}\">{inside}<socket_parent>{parent}</socket_parent><translation>.1 .2 .3</translation></PhysicalOffsetFrame>"
        )
    };
    let nested = format!("<components>{}</components>", frame("ga", "..", ""));
    // Path in the joint, frames of the first body, of the joint, of the model; how many frames lie on the way.
    let cases = [
        ("/bodyset/a", String::new(), String::new(), String::new(), 0),
        ("../../bodyset/a", String::new(), String::new(), String::new(), 0),
        ("own", String::new(), frame("own", "/bodyset/a", ""), String::new(), 1),
        ("own", String::new(), frame("own", "../../../bodyset/a", ""), String::new(), 1),
        ("own", String::new(), frame("own", "../other", "") + &frame("other", "/bodyset/a", ""), String::new(), 2),
        ("/bodyset/a/fa", frame("fa", "/bodyset/a", ""), String::new(), String::new(), 1),
        ("/bodyset/a/fa", frame("fa", "..", ""), String::new(), String::new(), 1),
        ("../../bodyset/a/fa", frame("fa", "..", ""), String::new(), String::new(), 1),
        ("/bodyset/a/fb", frame("fa", "..", "") + &frame("fb", "../fa", ""), String::new(), String::new(), 2),
        ("/bodyset/a/fa/ga", frame("fa", "..", &nested), String::new(), String::new(), 2),
        ("/h", String::new(), String::new(), frame("h", "/bodyset/a", ""), 1),
        ("/bodyset/a/fa", frame("fa", "..", ""), frame("fa", "/bodyset/a/fa", ""), String::new(), 1),
        ("/bodyset/a", String::new(), frame("a", "/bodyset/a", ""), String::new(), 0),
        ("a", String::new(), frame("a", "/bodyset/a", ""), String::new(), 1),
    ];
    for (path, of_body, of_joint, of_model, frames) in cases {
        let text = format!(
            "<OpenSimDocument Version=\"40500\"><Model name=\"m\"><components>{of_model}</components><BodySet><objects><Body name=\"a\"><components>{of_body}</components></Body><Body name=\"b\"/></objects></BodySet>
<JointSet><objects><WeldJoint name=\"ja\"><socket_parent_frame>/ground</socket_parent_frame><socket_child_frame>/bodyset/a</socket_child_frame></WeldJoint>
<PinJoint name=\"jb\"><socket_parent_frame>{path}</socket_parent_frame><socket_child_frame>/bodyset/b</socket_child_frame><coordinates><Coordinate name=\"q\"/></coordinates><frames>{of_joint}</frames></PinJoint></objects></JointSet>
<MarkerSet><objects><Marker name=\"k\"><socket_parent_frame>/bodyset/b</socket_parent_frame><location>.1 .2 .3</location></Marker></objects></MarkerSet></Model></OpenSimDocument>"
        );
        let skeleton = read_model_str("frames.osim", &text).unwrap_or_else(|e| panic!("{path}: {e}"));
        let (ones, zeros) = (Scales::ones(&skeleton), Offsets::zeros(&skeleton));
        let there = kinematics(&skeleton, &ones, &zeros, &[0.0]).markers[0];
        let wanted = Vector3::new(0.1, 0.2, 0.3) * f64::from(1 + frames);
        assert!((there - wanted).norm() < ROUNDING, "{path}: {there}");
    }
}
