//! `kinefit convert`.

use crate::{kinefit, stderr, stdout};
use std::fs;
use std::path::Path;

#[test]
fn models_convert_with_proof_and_refuse_what_they_cannot_hold() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let place = tempfile::tempdir().unwrap();
    let model = place.path().join("body.xml");
    let out = kinefit(here, &["convert", "data/body.osim", &model.display().to_string()]);
    assert!(out.status.success(), "{out:?}");
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(said.contains("Compared in 201 poses of 44 coordinates\nMarkers  99, at most "), "{said}");
    assert!(said.contains("Bodies   ") && !said.contains("Lost") && !said.contains("Added"), "{said}");
    let back = place.path().join("back.osim");
    assert!(kinefit(here, &["convert", &model.display().to_string(), &back.display().to_string()]).status.success());
    let out = kinefit(here, &["convert", "data/body.osim", &place.path().join("walk.trc").display().to_string()]);
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("`.osim` cannot become `.trc`"));
    assert!(!place.path().join("walk.trc").exists());
}

/// Two links without markers; `beta` follows `alpha`, and what turns by it turns twice as far, so that no joint of MuJoCo's is `beta` itself.
const LINKS: &str = r#"<OpenSimDocument Version="40500"><Model name="links">
<BodySet><objects><Body name="upper"/><Body name="lower"/></objects></BodySet>
<JointSet><objects>
<PinJoint name="shoulder"><socket_parent_frame>/ground</socket_parent_frame><socket_child_frame>/bodyset/upper</socket_child_frame>
<coordinates><Coordinate name="alpha"/></coordinates></PinJoint>
<CustomJoint name="elbow"><socket_parent_frame>/bodyset/upper</socket_parent_frame><socket_child_frame>/bodyset/lower</socket_child_frame>
<coordinates><Coordinate name="beta"/></coordinates>
<SpatialTransform><TransformAxis name="rotation1"><coordinates>beta</coordinates><axis>0 0 1</axis>
<LinearFunction><coefficients>2 0</coefficients></LinearFunction></TransformAxis></SpatialTransform></CustomJoint>
</objects></JointSet>
<ConstraintSet><objects><CoordinateCouplerConstraint name="follows"><coupled_coordinates_function><LinearFunction><coefficients>1 0.25</coefficients></LinearFunction></coupled_coordinates_function>
<independent_coordinate_names>alpha</independent_coordinate_names><dependent_coordinate_name>beta</dependent_coordinate_name></CoordinateCouplerConstraint></objects></ConstraintSet>
</Model></OpenSimDocument>"#;

#[test]
fn bodies_are_compared_where_there_are_no_markers_and_what_is_lost_is_said() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("links.osim"), LINKS).unwrap();
    let out = kinefit(place.path(), &["convert", "links.osim", "links.xml"]);
    assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
    let said = stdout(&out);
    for part in
        ["in 201 poses of 1 coordinates\nMarkers  none\nBodies   2, origins at most ", "Lost     coordinates beta\n"]
    {
        assert!(said.contains(part), "`{part}` is not in {said}");
    }
    assert!(said.contains("Added    coordinates lower_beta_1\n") && !said.contains("Left"), "{said}");
}

/// Two bodies with what the other format is not given.
const LADEN: &str = r#"<OpenSimDocument Version="40500"><Model name="m"><BodySet><objects>
<Body name="a"><attached_geometry><Sphere name="g"><radius>1</radius></Sphere></attached_geometry><mass>5</mass><mass_center>0 0.2 0</mass_center><inertia>1 1 1 0 0 0</inertia>
<WrapObjectSet><objects><WrapSphere name="w"/><WrapSphere name="v"/></objects></WrapObjectSet></Body>
<Body name="b"/></objects></BodySet><JointSet><objects>
<PinJoint name="ja"><socket_parent_frame>/ground</socket_parent_frame><socket_child_frame>/bodyset/a</socket_child_frame>
<coordinates><Coordinate name="qa"><default_value>0.2</default_value><range>-3 3</range></Coordinate></coordinates></PinJoint>
<PinJoint name="jb"><socket_parent_frame>/bodyset/a</socket_parent_frame><socket_child_frame>/bodyset/b</socket_child_frame>
<coordinates><Coordinate name="qb"/></coordinates></PinJoint></objects></JointSet>
<ConstraintSet><objects><WeldConstraint name="weld"><isEnforced>false</isEnforced></WeldConstraint></objects></ConstraintSet>
<MarkerSet><objects><Marker name="k"><socket_parent_frame>/bodyset/b</socket_parent_frame><location>0.1 0.2 0.3</location><fixed>true</fixed></Marker></objects></MarkerSet>
<ForceSet><objects><PointToPointSpring name="s"/><Thelen2003Muscle name="t"/><Thelen2003Muscle name="u"/></objects></ForceSet>
<ControllerSet><objects/><groups/></ControllerSet></Model></OpenSimDocument>"#;

const LADEN_MJCF: &str = r#"<mujoco><default><joint damping="3"/></default><worldbody><body name="a"><joint name="j" ref="20"/>
<inertial pos="0 0.1 0" mass="7" diaginertia="1 2 3"/><geom size="0.1"/><geom size="0.2"/><site name="s" pos="0.1 0.2 0.3" euler="0 30 0"/><camera name="c"/></body></worldbody>
<asset><mesh name="m" vertex="0 0 0 1 0 0 0 1 0 0 0 1"/></asset><actuator><motor joint="j"/></actuator><sensor><jointpos joint="j"/></sensor>
<keyframe><key qpos="0.5"/></keyframe><equality><weld body1="a" active="false"/></equality></mujoco>"#;

#[test]
fn what_a_document_loses_is_named() {
    let place = tempfile::tempdir().unwrap();
    for (name, text) in [("laden.osim", LADEN), ("laden.xml", LADEN_MJCF)] {
        fs::write(place.path().join(name), text).unwrap();
    }
    for (from, to, left) in [
        (
            "laden.osim",
            "made.xml",
            "masses and inertias (placeholders stand in their place), geometry, 2 muscles, 1 force or actuator, 2 wrapping objects, \
             1 constraint that is not enforced; default values of coordinates: qa; which markers are fixed",
        ),
        (
            "laden.xml",
            "made.osim",
            "masses and inertias (placeholders stand in their place), 2 geoms, 1 camera, 1 asset, 1 actuator, 1 sensor, 1 keyframe, \
             1 equality that is not active, damping and stiffness of joints, orientations of sites",
        ),
    ] {
        let out = kinefit(place.path(), &["convert", from, to]);
        assert!(out.status.success(), "{}", stderr(&out));
        assert!(stdout(&out).ends_with(&format!("\nLeft     {left}\n")), "{}", stdout(&out));
    }
    // In its own format a model keeps all it has.
    for (from, to) in [("laden.osim", "same.osim"), ("laden.xml", "same.mjcf")] {
        let out = kinefit(place.path(), &["convert", from, to]);
        assert!(out.status.success() && !stdout(&out).contains("Left"), "{}{}", stdout(&out), stderr(&out));
    }
}

/// What has no counterpart is named where the user can find it: in the file given, never in the one that was to be made.
#[test]
fn a_refused_joint_is_named_in_its_own_file() {
    let place = tempfile::tempdir().unwrap();
    let slide = r#"<mujoco><worldbody><body name="a"><joint name="turn"/>
<body name="b"><joint name="glide" type="slide" axis="1 1 0"/></body></body></worldbody>
<equality><joint joint1="glide" joint2="turn" polycoef="0 0.1"/></equality></mujoco>"#;
    let centres = r#"<mujoco><worldbody><body name="a">
<joint name="one" axis="1 0 0"/><joint name="two" axis="0 1 0" pos="0.1 0 0"/></body></worldbody></mujoco>"#;
    let squared = LINKS.replace("<LinearFunction><coefficients>2 0<", "<PolynomialFunction><coefficients>1 0 0<");
    let squared = squared.replace(
        "0</coefficients></LinearFunction></TransformAxis>",
        "0</coefficients></PolynomialFunction></TransformAxis>",
    );
    let sine = LINKS.replace(
        "<LinearFunction><coefficients>1 0.25</coefficients></LinearFunction>",
        "<SimmSpline><x>-1 0 1 2</x><y>0 1 0 1</y></SimmSpline>",
    );
    for (from, text, to, parts) in [
        ("slide.xml", slide, "made.osim", ["slide.xml:2, <joint name=\"glide\">", "not along x, y or z"]),
        ("centres.xml", centres, "made.osim", ["centres.xml:1, <body name=\"a\">", "different centres"]),
        ("sine.osim", &sine, "made.xml", ["sine.osim:6, <CustomJoint name=\"elbow\">", "no polynomial"]),
        (
            "free.osim",
            &LINKS.replace(
                "<CoordinateCouplerConstraint name=\"follows\">",
                "<CoordinateCouplerConstraint name=\"follows\"><isEnforced>false</isEnforced>",
            ),
            "made.xml",
            ["free.osim:6, <CustomJoint name=\"elbow\">", "`beta`, by which nothing turns"],
        ),
    ] {
        fs::write(place.path().join(from), text).unwrap();
        let out = kinefit(place.path(), &["convert", from, to]);
        assert_eq!(out.status.code(), Some(2), "{from}");
        let said = stderr(&out);
        for part in parts {
            assert!(said.contains(part), "`{part}` is not in {said}");
        }
        assert!(!said.contains("made.") && !place.path().join(to).exists(), "{said}");
    }
    // A function of the coupled coordinate is one of the other's, and stays within the fourth degree.
    fs::write(place.path().join("squared.osim"), squared).unwrap();
    assert!(kinefit(place.path(), &["convert", "squared.osim", "squared.xml"]).status.success());
}
