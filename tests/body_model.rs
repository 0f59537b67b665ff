//! The default body and its scale groups: proportions, symmetry, signs, and that every keypoint finds its marker.

use kinefit::kinematics::{Frame, forward};
use kinefit::session::keypoints;
use kinefit::skeleton::{
    Function, Motion, Offsets, Operation, ScaleGroups, Scales, Skeleton, read_model, read_model_str, write_mjcf,
};
use nalgebra::Vector3;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Ten rotations one after another, lengths of a metre: rounding stays far below this.
const ROUNDING: f64 = 1e-12;

/// Axes are written with nine decimals, over a chain of ten joints and arms of up to a metre.
const WRITTEN: f64 = 1e-8;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name)
}

fn body() -> Skeleton {
    read_model(&data("body.osim")).unwrap()
}

fn defaults(skeleton: &Skeleton) -> Vec<f64> {
    skeleton.coordinates.iter().map(|c| c.default).collect()
}

fn pose(skeleton: &Skeleton, q: &[f64]) -> Frame {
    let mut frame = Frame::new(skeleton);
    let rotors = skeleton.rotor_rotations(q);
    forward(skeleton, &Scales::ones(skeleton), &Offsets::zeros(skeleton), q, &rotors, &mut frame);
    frame
}

fn marker(skeleton: &Skeleton, frame: &Frame, name: &str) -> Vector3<f64> {
    frame.markers[skeleton.marker(name).unwrap_or_else(|| panic!("no marker {name}")).index()]
}

fn mirrored(v: Vector3<f64>) -> Vector3<f64> {
    Vector3::new(v.x, v.y, -v.z)
}

/// The marker of the other side; its own name for one in the midline.
fn opposite(skeleton: &Skeleton, name: &str) -> String {
    let (first, rest) = name.split_at(1);
    let other = match first {
        "R" => "L",
        "L" => "R",
        "r" => "l",
        "l" => "r",
        _ => return name.to_owned(),
    };
    let other = format!("{other}{rest}");
    if skeleton.marker(&other).is_some() { other } else { name.to_owned() }
}

#[test]
fn bodies_and_coordinates_have_the_fields_names() {
    let skeleton = body();
    let sided = |stems: &[&str], middle: &[&str]| -> BTreeSet<String> {
        let both = stems.iter().flat_map(|s| [format!("{s}_r"), format!("{s}_l")]);
        both.chain(middle.iter().map(|m| (*m).to_owned())).collect()
    };
    let bodies: BTreeSet<String> = skeleton.bodies.iter().skip(1).map(|b| b.name.clone()).collect();
    assert_eq!(
        bodies,
        sided(
            &["femur", "tibia", "talus", "calcn", "toes", "clavicle", "humerus", "ulna", "radius", "hand"],
            &["pelvis", "torso", "head"]
        )
    );
    let coordinates: BTreeSet<String> = skeleton.coordinates.iter().map(|c| c.name.clone()).collect();
    assert_eq!(
        coordinates,
        sided(
            &[
                "hip_flexion",
                "hip_adduction",
                "hip_rotation",
                "knee_angle",
                "ankle_angle",
                "subtalar_angle",
                "mtp_angle",
                "clavicle_protraction",
                "clavicle_elevation",
                "arm_flex",
                "arm_add",
                "arm_rot",
                "elbow_flex",
                "pro_sup",
                "wrist_flex",
                "wrist_dev"
            ],
            &[
                "pelvis_tilt",
                "pelvis_list",
                "pelvis_rotation",
                "pelvis_tx",
                "pelvis_ty",
                "pelvis_tz",
                "lumbar_extension",
                "lumbar_bending",
                "lumbar_rotation",
                "neck_extension",
                "neck_bending",
                "neck_rotation"
            ]
        )
    );
}

#[test]
fn every_joint_limits_but_the_free_one_and_holds_its_default() {
    for c in &body().coordinates {
        assert!(!c.locked && c.coupling.is_none(), "{}", c.name);
        if c.joint == "ground_pelvis" {
            assert!(!c.clamped && c.range.is_none(), "{}", c.name);
            continue;
        }
        assert_eq!(c.motion, Motion::Rotational);
        assert!(c.clamped, "{}", c.name);
        let [low, high] = c.range.unwrap_or_else(|| panic!("{} has no range", c.name));
        assert!(low < 0.0 && 0.0 < high, "{}: {low} to {high}", c.name);
        assert!(low <= c.default && c.default <= high, "{}", c.name);
        assert!(high - low > 40f64.to_radians() && high - low < 275f64.to_radians(), "{}: {low} to {high}", c.name);
    }
}

#[test]
fn joints_are_rotations_about_fixed_axes_and_only_the_pelvis_translates() {
    let skeleton = body();
    for (b, bone) in skeleton.bodies.iter().enumerate() {
        for operation in &skeleton.operations[bone.operations.clone()] {
            match operation {
                Operation::RotateAbout { coordinate: Some(_), function, .. } => assert!(
                    matches!(function, Function::Linear { slope, intercept } if *slope == 1.0 && *intercept == 0.0),
                    "{}",
                    bone.name
                ),
                Operation::TranslateAlong { coordinate: Some(_), scaled_by, .. } => {
                    assert_eq!((bone.name.as_str(), scaled_by), ("pelvis", &None));
                }
                Operation::Ball(_) => panic!("{} has a ball joint", bone.name),
                Operation::RotateAbout { coordinate: None, .. }
                | Operation::TranslateAlong { coordinate: None, .. }
                | Operation::Rotate(_)
                | Operation::Translate { .. } => {}
            }
        }
        assert!(b == 0 || bone.parent.index() < b);
    }
    let text = std::fs::read_to_string(data("body.osim")).unwrap();
    let document = roxmltree::Document::parse(&text).unwrap();
    let joints: Vec<_> = document.descendants().filter(|n| n.has_tag_name("CustomJoint")).collect();
    assert_eq!(joints.len(), skeleton.bodies.len() - 1);
    for joint in joints {
        let axes: Vec<&str> = joint
            .descendants()
            .filter(|n| n.has_tag_name("TransformAxis"))
            .map(|n| n.attribute("name").unwrap())
            .collect();
        assert_eq!(axes, ["rotation1", "rotation2", "rotation3", "translation1", "translation2", "translation3"]);
    }
}

#[test]
fn the_same_body_is_written_for_mujoco() {
    let skeleton = body();
    let text = write_mjcf(&skeleton, &Scales::ones(&skeleton), &Offsets::zeros(&skeleton)).unwrap();
    let other = read_model_str("body.xml", &text).unwrap();
    let q: Vec<f64> =
        skeleton.coordinates.iter().enumerate().map(|(i, c)| c.default + 0.3 * (i as f64).sin()).collect();
    let mut other_q = defaults(&other);
    for (c, value) in skeleton.coordinates.iter().zip(&q) {
        other_q[other.coordinate(&c.name).unwrap().index()] = *value;
    }
    let (ours, theirs) = (pose(&skeleton, &q), pose(&other, &other_q));
    // The other file's vertical is z: compare distances.
    for a in &skeleton.markers {
        let base = "MidHip";
        let d = (marker(&skeleton, &ours, &a.name) - marker(&skeleton, &ours, base)).norm();
        let e = (marker(&other, &theirs, &a.name) - marker(&other, &theirs, base)).norm();
        assert!((d - e).abs() < WRITTEN, "{}: {d} against {e}", a.name);
    }
}

#[test]
fn left_mirrors_right_to_the_digit() {
    let skeleton = body();
    let mut pairs = 0;
    for m in &skeleton.markers {
        let other = opposite(&skeleton, &m.name);
        let twin = &skeleton.markers[skeleton.marker(&other).unwrap().index()];
        assert_eq!(m.location, mirrored(twin.location), "{}", m.name);
        pairs += usize::from(other != m.name);
    }
    assert!(pairs >= 60, "{pairs}");
}

proptest! {
    /// The same angles left and right, nothing out of the midplane: a symmetric pose.
    #[test]
    fn symmetric_angles_give_symmetric_poses(share in prop::collection::vec(0.0f64..1.0, 44)) {
        let skeleton = body();
        let mut q = defaults(&skeleton);
        for (i, c) in skeleton.coordinates.iter().enumerate() {
            let Some([low, high]) = c.range.filter(|_| c.clamped) else { continue };
            let sagittal = c.name.ends_with("_extension");
            match c.name.strip_suffix("_r") {
                Some(stem) => {
                    q[i] = low + share[i] * (high - low);
                    q[skeleton.coordinate(&format!("{stem}_l")).unwrap().index()] = q[i];
                }
                None if sagittal => q[i] = low + share[i] * (high - low),
                None => {}
            }
        }
        let frame = pose(&skeleton, &q);
        for m in &skeleton.markers {
            let other = opposite(&skeleton, &m.name);
            let difference = (marker(&skeleton, &frame, &m.name) - mirrored(marker(&skeleton, &frame, &other))).norm();
            prop_assert!(difference < ROUNDING, "{}: {difference}", m.name);
        }
    }
}

#[test]
fn an_adult_of_average_height_and_proportions() {
    let skeleton = body();
    let frame = pose(&skeleton, &defaults(&skeleton));
    let height = |name: &str| marker(&skeleton, &frame, name).y;
    assert!((height("Head") - 1.75).abs() < 1e-9);
    for m in &skeleton.markers {
        assert!((0.0..=1.75).contains(&height(&m.name)), "{} at {}", m.name, height(&m.name));
    }
    // Heights of joints as shares of stature, Drillis and Contini 1966; 1 % is how far published tables differ.
    let origin = |name: &str| frame.origins[skeleton.body(name).unwrap().index()];
    for (measured, share) in [
        (origin("talus_r").y, 0.039),
        (origin("tibia_r").y, 0.285),
        (origin("femur_r").y, 0.530),
        (height("rshom"), 0.818),
        (origin("ulna_r").y, 0.632),
        (origin("hand_r").y, 0.486),
    ] {
        assert!((measured / 1.75 - share).abs() < 0.01, "{} against {share}", measured / 1.75);
    }
    // Hip joint centres 0.16-0.19 m apart (Harrington et al. 2007), the shoulders about twice as far.
    let width = 2.0 * origin("femur_r").z;
    assert!((0.155..0.19).contains(&width), "{width}");
    assert!((1.9..2.4).contains(&(2.0 * origin("humerus_r").z / width)));
}

/// What each coordinate does when it grows: a marker and the direction it goes, in the zero pose (palms forward).
#[test]
fn signs_are_rajagopals() {
    let skeleton = body();
    let zero: Vec<f64> =
        skeleton.coordinates.iter().map(|c| if c.name == "pelvis_ty" { c.default } else { 0.0 }).collect();
    let base = pose(&skeleton, &zero);
    let (forward_, up, right) = (Vector3::x(), Vector3::y(), Vector3::z());
    let both = [
        ("hip_flexion", "Knee", forward_),
        ("hip_adduction", "Knee", -right),
        ("hip_rotation", "BigToe", -right),
        ("knee_angle", "Ankle", -forward_),
        ("ankle_angle", "BigToe", up),
        ("subtalar_angle", "SmallToe", (-up - right).normalize()),
        ("mtp_angle", "BigToe", up),
        ("clavicle_protraction", "Shoulder", forward_),
        ("clavicle_elevation", "Shoulder", up),
        ("arm_flex", "Elbow", forward_),
        ("arm_add", "Elbow", -right),
        ("elbow_flex", "Wrist", forward_),
        ("pro_sup", "Thumb", forward_),
        ("wrist_flex", "Hand", forward_),
        ("wrist_dev", "Hand", -right),
    ];
    let middle = [
        ("pelvis_tilt", "Head", -forward_),
        ("pelvis_list", "Head", right),
        ("pelvis_rotation", "RHip", forward_),
        ("pelvis_tx", "MidHip", forward_),
        ("pelvis_ty", "MidHip", up),
        ("pelvis_tz", "MidHip", right),
        ("lumbar_extension", "Head", -forward_),
        ("lumbar_bending", "Head", right),
        ("lumbar_rotation", "RShoulder", forward_),
        ("neck_extension", "Head", -forward_),
        ("neck_bending", "Head", right),
        ("neck_rotation", "Nose", -right),
    ];
    let sides = both.iter().flat_map(|(c, m, d)| {
        [(format!("{c}_r"), format!("R{m}"), *d), (format!("{c}_l"), format!("L{m}"), mirrored(*d))]
    });
    let all: Vec<_> = sides.chain(middle.iter().map(|(c, m, d)| ((*c).to_owned(), (*m).to_owned(), *d))).collect();
    for (coordinate, name, direction) in &all {
        let mut q = zero.clone();
        q[skeleton.coordinate(coordinate).unwrap().index()] += 0.05;
        let moved = marker(&skeleton, &pose(&skeleton, &q), name) - marker(&skeleton, &base, name);
        assert!(moved.dot(direction) > 0.5 * moved.norm() && moved.norm() > 1e-3, "{coordinate}: {name} by {moved:?}");
    }
    // Inward rotation of the arm shows at the wrist of a bent elbow.
    for (side, inward) in [("r", -right), ("l", right)] {
        let mut q = zero.clone();
        let set = |q: &mut Vec<f64>, name: &str, value| {
            q[skeleton.coordinate(&format!("{name}_{side}")).unwrap().index()] = value;
        };
        set(&mut q, "elbow_flex", 1.5);
        let wrist = format!("{}Wrist", side.to_uppercase());
        let before = marker(&skeleton, &pose(&skeleton, &q), &wrist);
        set(&mut q, "arm_rot", 0.1);
        assert!((marker(&skeleton, &pose(&skeleton, &q), &wrist) - before).dot(&inward) > 0.02);
    }
}

#[test]
fn every_keypoint_that_names_a_marker_finds_it() {
    let skeleton = body();
    let sets = keypoints::builtin();
    assert!(sets.len() >= 7);
    for set in &sets {
        for point in set.points.iter().filter(|p| p.marker.is_some()) {
            assert!(
                point.marker_names().any(|m| skeleton.marker(m).is_some()),
                "{}: no marker for {}",
                set.name,
                point.name
            );
        }
    }
}

#[test]
fn masses_are_those_of_a_body() {
    let text = std::fs::read_to_string(data("body.osim")).unwrap();
    let document = roxmltree::Document::parse(&text).unwrap();
    let mut total = 0.0;
    for node in document.descendants().filter(|n| n.has_tag_name("Body")) {
        let name = node.attribute("name").unwrap();
        let numbers = |tag: &str| -> Vec<f64> {
            let child = node.children().find(|c| c.has_tag_name(tag)).unwrap();
            child.text().unwrap().split_whitespace().map(|x| x.parse().unwrap()).collect()
        };
        let mass = numbers("mass")[0];
        let i = numbers("inertia");
        assert!(mass > 0.0, "{name}");
        // Moments about axes of any body obey the triangle inequality; products stay below half of the third moment.
        let (x, y, z) = (i[0], i[1], i[2]);
        assert!(x < y + z && y < z + x && z < x + y, "{name}: {i:?}");
        assert!(2.0 * i[3].abs() <= z && 2.0 * i[4].abs() <= y && 2.0 * i[5].abs() <= x, "{name}: {i:?}");
        total += mass;
    }
    assert!((total - 75.0).abs() < 1e-6 * 75.0, "{total}");
}

#[test]
fn scale_groups_cover_the_body_and_both_sides_alike() {
    let skeleton = body();
    let groups = ScaleGroups::read(&data("scale_groups.json"), &skeleton).unwrap();
    let overall = groups.groups.iter().find(|g| g.name == "overall").unwrap();
    assert_eq!(overall.members.len(), skeleton.bodies.len() - 1);
    let mut seen = BTreeSet::new();
    for group in &groups.groups {
        let sd = group.prior_sd.unwrap_or_else(|| panic!("{} has no prior_sd", group.name));
        assert!((0.01..0.3).contains(&sd));
        let names: BTreeSet<&str> =
            group.members.iter().map(|(b, _)| skeleton.bodies[b.index()].name.as_str()).collect();
        for name in &names {
            let stem = name.strip_suffix("_r").or_else(|| name.strip_suffix("_l")).unwrap_or(name);
            if stem != *name {
                assert!(names.contains(format!("{stem}_r").as_str()) && names.contains(format!("{stem}_l").as_str()));
            }
            if group.name != "overall" {
                assert!(seen.insert(name.to_string()), "{name} is in two segments");
            }
        }
    }
    assert_eq!(seen.len(), skeleton.bodies.len() - 1);
}
