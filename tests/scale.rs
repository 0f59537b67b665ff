//! `kinefit scale` against OpenSim 4.6's scale tool and against figures made by hand, and what it says of setups that are wrong.

mod common;

use common::shared;
use kinefit::skeleton::{Skeleton, read_model};
use nalgebra::Vector3;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn kinefit(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kinefit")).current_dir(folder).arg("scale").args(arguments).output().unwrap()
}

/// What it says on the way, on one line a sentence.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The numbers in `tag` of the element that has this name.
fn numbers(model: &str, name: &str, tag: &str) -> Vec<f64> {
    let document = roxmltree::Document::parse(model).unwrap();
    let owner = document.descendants().find(|n| n.attribute("name") == Some(name) && n.has_children()).unwrap();
    let node = owner.children().find(|n| n.has_tag_name(tag)).unwrap_or_else(|| panic!("{name} has no {tag}"));
    node.text().unwrap().split_whitespace().map(|w| w.parse().unwrap()).collect()
}

fn near(found: &[f64], expected: &[f64], relative: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let size = expected.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= relative * size, "{what}: {found:?} instead of {expected:?}");
    }
}

fn marker(skeleton: &Skeleton, name: &str) -> Vector3<f64> {
    skeleton.markers[skeleton.marker(name).unwrap_or_else(|| panic!("{name}")).index()].location
}

/// What OpenSim 4.6 made of a setup, by `tests/opensim/scale_reference.py`.
struct Reference {
    factors: &'static [(&'static str, [f64; 3])],
    /// Mass, mass centre, moments of inertia.
    bodies: &'static [(&'static str, f64, [f64; 3], [f64; 3])],
    /// Fibre and tendon.
    muscles: &'static [(&'static str, f64, f64)],
    /// In the pose where OpenSim's objective is least; OpenSim's own solver stops millimetres to centimetres before.
    markers: &'static [(&'static str, [f64; 3])],
}

/// `inertia`: OpenSim reads those of documents before 30500 with six digits.
fn agrees(folder: &Path, scaled: &str, placed: &str, figures: &str, reference: &Reference, inertia: f64) {
    let text = fs::read_to_string(folder.join(scaled)).unwrap();
    let figures: Value = serde_json::from_str(&fs::read_to_string(folder.join(figures)).unwrap()).unwrap();
    for (body, factors) in reference.factors {
        for axis in 0..3 {
            let found = figures["body_scale_factors"][*body][axis].as_f64().unwrap();
            assert!((found - factors[axis]).abs() < 1e-12, "{body}: {found}");
        }
    }
    for (body, mass, center, moments) in reference.bodies {
        near(&numbers(&text, body, "mass"), &[*mass], 1e-12, body);
        near(&numbers(&text, body, "mass_center"), center, 1e-12, body);
        let found = if text.contains("<inertia_xx>") {
            ["inertia_xx", "inertia_yy", "inertia_zz"].iter().map(|tag| numbers(&text, body, tag)[0]).collect()
        } else {
            numbers(&text, body, "inertia")[..3].to_vec()
        };
        near(&found, moments, inertia, body);
    }
    for (muscle, fibre, tendon) in reference.muscles {
        near(&numbers(&text, muscle, "optimal_fiber_length"), &[*fibre], 1e-9, muscle);
        near(&numbers(&text, muscle, "tendon_slack_length"), &[*tendon], 1e-9, muscle);
    }
    let placed = read_model(&folder.join(placed)).unwrap();
    for (name, place) in reference.markers {
        let distance = (marker(&placed, name) - Vector3::from(*place)).norm();
        // The pose ends where nothing is left to gain in the ninth digit of the objective: its flattest direction by some micrometres.
        assert!(distance < 1e-5, "{name}: {distance:.1e} m");
    }
}

#[test]
fn opensims_own_example_in_an_old_format() {
    let Some(setup) = shared("data/trials/core_gait2354/subject01_Setup_Scale.xml") else { return };
    let Some(model) = shared("data/models/gait2354_simbody_v20302.osim") else { return };
    let place = tempfile::tempdir().unwrap();
    let arguments = [setup.to_str().unwrap(), "--model", model.to_str().unwrap(), "--out", "out"];
    let output = kinefit(place.path(), &arguments);
    assert!(output.status.success(), "{}", said(&output));
    // The setup scales patellae, and this model has none.
    assert!(said(&output).contains("the model has no body `patella_r`"), "{}", said(&output));
    for name in ["subject01_scaleSet_applied.xml", "subject01_static_output.mot"] {
        assert!(place.path().join("out").join(name).is_file(), "{name}");
    }
    let reference = Reference {
        factors: &[
            ("torso", [1.0797198918295745; 3]),
            ("pelvis", [1.0245770378331935; 3]),
            ("talus_r", [1.1139780752269925; 3]),
            ("calcn_l", [1.027084768282156; 3]),
            // Manual scales come second and overrule.
            ("femur_r", [1.14724; 3]),
            ("tibia_l", [0.988523; 3]),
        ],
        bodies: &[
            (
                "pelvis",
                11.375171290740589,
                [-0.07243759657480678, 0.0, 0.0],
                [0.1042330921836048, 0.08831422499213987, 0.05870715989718597],
            ),
            (
                "femur_r",
                8.984038230762886,
                [0.0, -0.19503080000000003, 0.0],
                [0.1702207143394107, 0.0446209639530494, 0.1795008578396175],
            ),
            (
                "torso",
                33.068454565047915,
                [-0.03239159675488723, 0.34551036538546387, 0.0],
                [1.6603140842047517, 0.8507068773256627, 1.6117826925267424],
            ),
        ],
        muscles: &[
            ("glut_med1_r", 0.056406346620673106, 0.08223729040023368),
            // Of a point that moves with the knee, and of one that is there only while the knee is bent.
            ("rect_fem_r", 0.13046234897333245, 0.35476603668186896),
            ("grac_r", 0.3965858695127477, 0.1419597146551313),
        ],
        markers: &[
            ("Top.Head", [0.096271692704, 0.695500809113, 0.003776664814]),
            ("R.ASIS", [0.023421145199, 0.036283513062, 0.130842350066]),
            ("L.Knee.Lat", [-0.008676546189, -0.445765055335, -0.06417576864]),
            ("R.Toe.Tip", [0.270904696214, 0.0036051153, -0.003147193272]),
        ],
    };
    let out = place.path().join("out");
    agrees(&out, "subject01_scaledOnly.osim", "subject01_simbody.osim", "subject01_scale.json", &reference, 1e-5);
}

#[test]
fn opencaps_setup_on_a_static_trial() {
    let Some(models) = shared("data/models") else { return };
    let Some(trial) = shared("data/balancing_references/triangulated_static.trc") else { return };
    let place = tempfile::tempdir().unwrap();
    let setup = fs::read_to_string(models.join("Setup_scaling_LaiUhlrich2022_openpose.xml")).unwrap();
    // The trial is shorter than that for which the setup was made.
    let setup = setup.replace("<time_range> 3.41 3.66</time_range>", "<time_range> 0 0.15</time_range>");
    let setup = setup.replacen("<output_model_file />", "<output_model_file>scaled_only.osim</output_model_file>", 1);
    fs::write(place.path().join("setup.xml"), setup).unwrap();
    let at = |name: &str| models.join(name).display().to_string();
    let output = kinefit(
        place.path(),
        &[
            "setup.xml",
            "--model",
            &at("LaiUhlrich2022.osim"),
            "--marker-set",
            &at("LaiUhlrich2022_markers_openpose.xml"),
            "--markers",
            &trial.display().to_string(),
            "--json",
        ],
    );
    assert!(output.status.success(), "{}", said(&output));
    let figures: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(figures["placed"]["removed"][0], "midHip");
    let reference = Reference {
        factors: &[
            ("pelvis", [1.113853382627841; 3]),
            ("torso", [1.0098167492626635, 1.0098167492626635, 1.1892604289192479]),
            ("femur_r", [0.8925544653668741; 3]),
            ("toes_l", [1.0454524273372094; 3]),
            ("radius_r", [0.9332542834228752; 3]),
        ],
        bodies: &[
            (
                "pelvis",
                11.777000000000001,
                [-0.07874943415178835, 0.0, 0.0],
                [0.1275408100015245, 0.10806230108105823, 0.0718347558277069],
            ),
            // Unequal factors: a cylinder.
            (
                "torso",
                26.826600000000006,
                [-0.030294502477879903, 0.32314135976405234, 0.0],
                [1.5720419658927254, 0.9073064683204358, 1.5720419658927254],
            ),
        ],
        muscles: &[("tibant_l", 0.07003908379957959, 0.2465837478655721)],
        markers: &[
            ("RHip", [-0.05286044487, -0.074982152636, 0.104961581167]),
            ("Neck", [0.02590312613, 0.451138306008, 0.003162958881]),
            ("LWrist", [-0.000722486771, -0.004976878196, -0.00152819407]),
            ("RBigToe", [0.24532425547, -0.024880581633, -0.003430318538]),
        ],
    };
    let out = place.path().join("kinefit_scale");
    let (scaled, placed) = ("scaled_only.osim", "LaiUhlrich2022.osim");
    agrees(&out, scaled, placed, "LaiUhlrich2022_scale.json", &reference, 1e-12);
}

/// A pelvis and a thigh, free in space, with all that scaling touches.
const MODEL: &str = r#"<OpenSimDocument Version="40000"><Model name="two">
<BodySet><objects>
<Body name="pelvis"><mass>10</mass><mass_center>0.1 0 0</mass_center><inertia>0.1 0.1 0.1 0 0 0</inertia>
<WrapObjectSet><objects><WrapSphere name="ball"><translation>0.1 0.1 0.1</translation><radius>0.05</radius></WrapSphere></objects></WrapObjectSet></Body>
<Body name="thigh"><mass>5</mass><mass_center>0 -0.2 0</mass_center><inertia>0.2 0.02 0.2 0 0 0</inertia></Body>
</objects></BodySet>
<JointSet><objects>
<FreeJoint name="root"><socket_parent_frame>/ground</socket_parent_frame><socket_child_frame>/bodyset/pelvis</socket_child_frame><coordinates>
<Coordinate name="rx"/><Coordinate name="ry"/><Coordinate name="rz"/><Coordinate name="tx"/><Coordinate name="ty"/><Coordinate name="tz"/></coordinates></FreeJoint>
<PinJoint name="hip"><socket_parent_frame>at_pelvis</socket_parent_frame><socket_child_frame>/bodyset/thigh</socket_child_frame>
<coordinates><Coordinate name="flexion"/></coordinates>
<frames><PhysicalOffsetFrame name="at_pelvis"><socket_parent>/bodyset/pelvis</socket_parent><translation>0.1 0 0</translation></PhysicalOffsetFrame></frames></PinJoint>
</objects></JointSet>
<ForceSet><objects><Thelen2003Muscle name="flexor"><GeometryPath><PathPointSet><objects>
<PathPoint name="a"><socket_parent_frame>/bodyset/pelvis</socket_parent_frame><location>0.1 0.3 0</location></PathPoint>
<PathPoint name="b"><socket_parent_frame>/bodyset/thigh</socket_parent_frame><location>0 -0.1 0</location></PathPoint></objects></PathPointSet></GeometryPath>
<optimal_fiber_length>0.1</optimal_fiber_length><tendon_slack_length>0.2</tendon_slack_length></Thelen2003Muscle></objects></ForceSet>
<MarkerSet><objects>
<Marker name="A"><socket_parent_frame>/bodyset/pelvis</socket_parent_frame><location>0 0 0</location></Marker>
<Marker name="B"><socket_parent_frame>/bodyset/pelvis</socket_parent_frame><location>0.2 0 0</location></Marker>
<Marker name="D"><socket_parent_frame>/bodyset/pelvis</socket_parent_frame><location>0 0.1 0.1</location></Marker>
<Marker name="F"><socket_parent_frame>/bodyset/pelvis</socket_parent_frame><location>0.1 0.1 0</location><fixed>true</fixed></Marker>
<Marker name="H"><socket_parent_frame>/bodyset/thigh</socket_parent_frame><location>0 0 0</location></Marker>
<Marker name="K"><socket_parent_frame>/bodyset/thigh</socket_parent_frame><location>0 -0.4 0</location></Marker>
<Marker name="X"><socket_parent_frame>/bodyset/thigh</socket_parent_frame><location>0.1 -0.2 0</location></Marker>
<Marker name="U"><socket_parent_frame>/bodyset/thigh</socket_parent_frame><location>0 0 0.1</location></Marker>
</objects></MarkerSet></Model></OpenSimDocument>"#;

const SETUP: &str = r#"<OpenSimDocument Version="40000"><ScaleTool name="small"><mass>30</mass>
<GenericModelMaker><model_file>model.osim</model_file><marker_set_file>Unassigned</marker_set_file></GenericModelMaker>
<ModelScaler><scaling_order> measurements manualScale </scaling_order>
<MeasurementSet><objects>
<Measurement name="width"><MarkerPairSet><objects><MarkerPair><markers>A B</markers></MarkerPair></objects></MarkerPairSet>
<BodyScaleSet><objects><BodyScale name="pelvis"><axes>X z</axes></BodyScale></objects></BodyScaleSet></Measurement>
<Measurement name="length"><MarkerPairSet><objects><MarkerPair><markers>H K</markers></MarkerPair></objects></MarkerPairSet>
<BodyScaleSet><objects><BodyScale name="thigh"><axes>X Y Z</axes></BodyScale></objects></BodyScaleSet></Measurement>
<Measurement name="off"><apply>false</apply><MarkerPairSet><objects><MarkerPair><markers>A none</markers></MarkerPair></objects></MarkerPairSet>
<BodyScaleSet><objects><BodyScale name="thigh"><axes>X Y Z</axes></BodyScale></objects></BodyScaleSet></Measurement>
</objects></MeasurementSet>
<ScaleSet><objects><Scale><scales>1 2 1</scales><segment>thigh</segment><apply>false</apply></Scale></objects></ScaleSet>
<marker_file>still.trc</marker_file><time_range>0.1 0.2</time_range><preserve_mass_distribution>true</preserve_mass_distribution>
<output_model_file>scaled.osim</output_model_file><output_scale_file>factors.xml</output_scale_file></ModelScaler>
<MarkerPlacer><IKTaskSet><objects>
<IKMarkerTask name="A"><weight>1</weight></IKMarkerTask><IKMarkerTask name="B"><weight>1</weight></IKMarkerTask><IKMarkerTask name="D"><weight>1</weight></IKMarkerTask>
<IKMarkerTask name="H"><weight>1</weight></IKMarkerTask><IKMarkerTask name="K"><weight>2</weight></IKMarkerTask>
</objects></IKTaskSet><marker_file>still.trc</marker_file><time_range>0.1 0.2</time_range><max_marker_movement>15</max_marker_movement>
<output_model_file>placed.osim</output_model_file><output_motion_file>pose.mot</output_motion_file><output_marker_file>markers.xml</output_marker_file></MarkerPlacer>
</ScaleTool></OpenSimDocument>"#;

/// Four frames, 0 to 0.3 s, of which the middle two count; all markers but U, millimetres, the whole body moved by (1, 2, 3) m. In the two frames B is 220 and 240 mm from A, and in
/// the outer ones elsewhere.
fn trial() -> String {
    let names = ["A", "B", "D", "F", "H", "K", "X"];
    let mut text = format!(
        "PathFileType\t4\t(X/Y/Z)\tstill.trc\nDataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames\n\
         10\t10\t4\t7\tmm\t10\t1\t4\nFrame#\tTime\t{}\t\t\n\t\t{}\n",
        names.join("\t\t\t"),
        (1..=7).map(|i| format!("X{i}\tY{i}\tZ{i}")).collect::<Vec<_>>().join("\t")
    );
    for (frame, width) in [500.0, 220.0, 240.0, 700.0].into_iter().enumerate() {
        // The scaled model: pelvis 1.15 along x and z, thigh 1.25; the hip 115 mm from the pelvis; X is 10, 20, 30 mm from where it would be.
        let places = [
            [0.0, 0.0, 0.0],
            [width, 0.0, 0.0],
            [0.0, 100.0, 115.0],
            [900.0, 900.0, 900.0],
            [115.0, 0.0, 0.0],
            [115.0, -500.0, 0.0],
            [115.0 + 125.0 + 10.0, -250.0 + 20.0, 30.0],
        ];
        let cells: Vec<String> =
            places.iter().flatten().zip([1e3, 2e3, 3e3].iter().cycle()).map(|(p, o)| (p + o).to_string()).collect();
        text += &format!("{}\t{}\t{}\n", frame + 1, 0.1 * frame as f64, cells.join("\t"));
    }
    text.replace("0.30000000000000004", "0.3")
}

fn small() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    for (name, text) in [("model.osim", MODEL), ("setup.xml", SETUP), ("still.trc", &trial())] {
        fs::write(place.path().join(name), text).unwrap();
    }
    place
}

#[test]
fn figures_made_by_hand() {
    let place = small();
    // The setup's own folder is what its files are relative to.
    let setup = place.path().join("setup.xml").display().to_string();
    let elsewhere = tempfile::tempdir().unwrap();
    let output = kinefit(elsewhere.path(), &[&setup, "--out", "out", "--json"]);
    assert!(output.status.success(), "{}", said(&output));
    let figures: Value = serde_json::from_slice(&output.stdout).unwrap();
    let out = elsewhere.path().join("out");
    let files = ["scaled.osim", "factors.xml", "placed.osim", "pose.mot", "markers.xml"];
    assert_eq!(figures["files"], serde_json::json!(files));
    for name in files.iter().chain(&["small_scale.json"]) {
        assert!(out.join(name).is_file(), "{name}");
    }
    assert_eq!(figures["measurements"].as_array().unwrap().len(), 2, "the one that is not applied is left out");
    let factor = |body: &str, axis: usize| figures["body_scale_factors"][body][axis].as_f64().unwrap();
    for axis in 0..3 {
        assert!((factor("pelvis", axis) - [1.15, 1.0, 1.15][axis]).abs() < 1e-12);
        assert!((factor("thigh", axis) - 1.25).abs() < 1e-12);
    }
    assert_eq!(figures["placed"]["removed"], serde_json::json!(["U"]));
    // B moves by 20 mm, and 15 are allowed.
    let warnings = figures["warnings"].to_string();
    assert!(warnings.contains("Marker `B` moves by 20.0000") && !warnings.contains("`A`"), "{warnings}");

    let scaled = fs::read_to_string(out.join("scaled.osim")).unwrap();
    assert!(scaled.contains("<Model name=\"small\">"));
    for (name, tag, expected) in [
        ("pelvis", "mass", &[20.0][..]),
        ("thigh", "mass", &[10.0]),
        ("pelvis", "mass_center", &[0.115, 0.0, 0.0]),
        // Twice as dense, 1.25 times as long.
        ("thigh", "inertia", &[0.2 * 2.0 * 1.5625, 0.02 * 2.0 * 1.5625, 0.2 * 2.0 * 1.5625, 0.0, 0.0, 0.0]),
        ("ball", "translation", &[0.115, 0.1, 0.115]),
        ("ball", "radius", &[0.05 * 1.1]),
        ("a", "location", &[0.115, 0.3, 0.0]),
        ("b", "location", &[0.0, -0.125, 0.0]),
        // 0.425 instead of 0.4 m.
        ("flexor", "optimal_fiber_length", &[0.10625]),
        ("flexor", "tendon_slack_length", &[0.2125]),
    ] {
        near(&numbers(&scaled, name, tag), expected, 1e-12, &format!("{tag} of {name}"));
    }
    let scaled = read_model(&out.join("scaled.osim")).unwrap();
    assert_eq!(scaled.markers.len(), 8);
    assert!((marker(&scaled, "U") - Vector3::new(0.0, 0.0, 0.125)).norm() < 1e-15);

    let placed = read_model(&out.join("placed.osim")).unwrap();
    assert!(placed.marker("U").is_none());
    // A distance that the solver need not find to the end, 1e-8 m, and what single steps of a thousandth of it leave.
    for (name, expected) in [
        ("A", [0.0, 0.0, 0.0]),
        ("B", [0.23, 0.0, 0.0]),
        ("F", [0.115, 0.1, 0.0]),
        ("K", [0.0, -0.5, 0.0]),
        ("X", [0.135, -0.23, 0.03]),
    ] {
        assert!((marker(&placed, name) - Vector3::from(expected)).norm() < 1e-7, "{name}: {}", marker(&placed, name));
    }
    let set = fs::read_to_string(out.join("markers.xml")).unwrap();
    assert!(set.contains("<MarkerSet") && set.contains("/bodyset/thigh") && !set.contains("\"U\""));
    let pose = kinefit::session::coordinates::read(&out.join("pose.mot")).unwrap();
    assert_eq!((pose.rows(), pose.times[0]), (1, 0.1));
    let ty = pose.get(0, pose.column("ty").unwrap()).unwrap();
    assert!((ty - 2.0).abs() < 1e-7, "{ty}");
}

/// The small setup with one thing replaced in one of its files, run.
fn changed(file: &str, from: &str, to: &str) -> (tempfile::TempDir, Output) {
    let place = small();
    let path: PathBuf = place.path().join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file}: {from}");
    fs::write(&path, text.replace(from, to)).unwrap();
    let output = kinefit(place.path(), &["setup.xml", "--out", "out"]);
    (place, output)
}

#[test]
fn the_order_of_scaling_decides_and_masses_may_follow_volume() {
    let manual = "<scales>1 2 1</scales><segment>thigh</segment><apply>true</apply>";
    let place = small();
    let write = |order: &str| {
        let setup = SETUP
            .replace("<scales>1 2 1</scales><segment>thigh</segment><apply>false</apply>", manual)
            .replace(" measurements manualScale ", order)
            .replace("<mass>30</mass>", "")
            .replace("<preserve_mass_distribution>true", "<preserve_mass_distribution>false");
        fs::write(place.path().join("setup.xml"), setup).unwrap();
        let output = kinefit(place.path(), &["setup.xml", "--out", "out"]);
        assert!(output.status.success(), "{}", said(&output));
        numbers(&fs::read_to_string(place.path().join("out/scaled.osim")).unwrap(), "thigh", "mass")
    };
    near(&write("measurements manualScale"), &[5.0 * 2.0], 1e-12, "manual last");
    near(&write("manualScale measurements"), &[5.0 * 1.25f64.powi(3)], 1e-12, "measured last");
    near(&write("manualScale"), &[10.0], 1e-12, "manual only");
}

#[test]
fn wrong_setups_are_refused_with_the_place() {
    for (file, from, to, parts) in [
        ("setup.xml", "model.osim", "none.osim", &["none.osim: cannot be read"][..]),
        ("setup.xml", "<model_file>model.osim</model_file>", "", &["setup.xml: it names no model", "--model"]),
        ("setup.xml", "still.trc", "none.trc", &["none.trc: cannot be read"]),
        ("setup.xml", "<marker_file>still.trc</marker_file>", "", &["setup.xml:3, <ModelScaler>", "no marker file"]),
        ("setup.xml", "Unassigned", "none.xml", &["none.xml: cannot be read"]),
        ("setup.xml", "<time_range>0.1 0.2", "<time_range>7 8", &["setup.xml:3", "7 to 8 s", "from 0 to 0.3 s"]),
        ("setup.xml", "<time_range>0.1 0.2", "<time_range>-8 -7", &["lies outside of the trial"]),
        ("setup.xml", "<time_range>0.1 0.2", "<time_range>0.2 0.1", &["<time_range>", "runs backwards"]),
        ("setup.xml", "<time_range>0.1 0.2", "<time_range>NaN 0.2", &["`NaN` is not a finite number"]),
        ("setup.xml", "<time_range>0.1 0.2", "<time_range>0.1", &["two times are expected, 1 found"]),
        ("setup.xml", "<mass>30", "<mass>heavy", &["<mass>", "`heavy` is not a finite number"]),
        ("setup.xml", "<scales>1 2 1", "<scales>1 NaN 1", &["<scales>", "`NaN` is not a finite number"]),
        ("setup.xml", "<scales>1 2 1", "<scales>1 -2 1", &["the factors are [1.0, -2.0, 1.0]"]),
        ("setup.xml", " manualScale", " automatic", &["`automatic` is not a way to scale"]),
        ("setup.xml", "<markers>A B", "<markers>A B C", &["a pair has two markers, 3 found"]),
        ("setup.xml", "<axes>X z", "<axes>X w", &["setup.xml:6, <BodyScale name=\"pelvis\">", "`w` is no axis"]),
        ("setup.xml", "<markers>A B", "<markers>A A", &["setup.xml:5, <MarkerPair>", "0.000e0 m apart in the model"]),
        ("setup.xml", "ScaleTool", "ScaleTools", &["there is no <ScaleTool>"]),
        ("setup.xml", "<IKTaskSet>", "<IKTaskSet file=\"tasks.xml\">", &["tasks.xml: cannot be read"]),
        ("setup.xml", "placed.osim", "..", &["`..` is no name of a file"]),
        ("setup.xml", "markers.xml", "pose.mot", &["two of the files to be written are called `pose.mot`"]),
        ("setup.xml", "<weight>2", "<weight>-2", &["the weight is -2"]),
        (
            "setup.xml",
            "<Measurement name=\"width\">",
            "<Measurment name=\"x\"/><Measurement name=\"width\">",
            &["setup.xml:5, <Measurment name=\"x\">", "not understood in <MeasurementSet>", "expected <Measurement>"],
        ),
        ("setup.xml", "weight>", "wieght>", &["<wieght> of <IKMarkerTask name=\"A\">", "`weight`"]),
        (
            "setup.xml",
            "preserve_mass",
            "keep_mass",
            &["setup.xml:13, <keep_mass_distribution>", "`preserve_mass_distribution`"],
        ),
        (
            "setup.xml",
            "MarkerPlacer>",
            "MarkersPlacer>",
            &["<MarkersPlacer> of <ScaleTool name=\"small\">", "`MarkerPlacer`"],
        ),
        (
            "setup.xml",
            "<model_file>",
            "<model>m.osim</model><model_file>",
            &["<model> is not understood in <GenericModelMaker>", "`model_file`"],
        ),
        (
            "setup.xml",
            "MarkerPairSet>",
            "MarkerPairs>",
            &["<MarkerPairs> of <Measurement name=\"width\">", "`MarkerPairSet`"],
        ),
        ("setup.xml", "<axes>X z", "<axis>X</axis><axes>X z", &["<axis> of <BodyScale name=\"pelvis\">", "`axes`"]),
        ("setup.xml", "segment>", "body>", &["<body> is not understood in <Scale>", "`segment`"]),
        (
            "setup.xml",
            "<markers>A B",
            "<marker>A</marker><markers>A B",
            &["<marker> is not understood in <MarkerPair>", "`markers`"],
        ),
        ("setup.xml", "<mass>30</mass>", "<mass>30</mass><mass>40</mass>", &["a second <mass> stands in <ScaleTool>"]),
        ("setup.xml", "<MarkerPlacer>", "<MarkerPlacer apply=\"false\">", &["the attribute apply=", "<apply>"]),
        ("still.trc", "mm", "furlong", &["still.trc", "`furlong` is not known"]),
        ("model.osim", "<mass>5", "<mass>NaN", &["model.osim:5", "`NaN` is not a finite number"]),
    ] {
        let (place, output) = changed(file, from, to);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{from} -> {to}: {said}");
        for part in parts {
            assert!(said.contains(part), "{from} -> {to}: {part}: {said}");
        }
        assert!(!place.path().join("out").exists(), "{from} -> {to}: nothing is written");
    }
}

#[test]
fn what_a_setup_asks_in_vain_is_said_and_the_rest_is_done() {
    for (file, from, to, parts) in [
        (
            "setup.xml",
            "<markers>A B",
            "<markers>A Z",
            &["the model has no marker `Z`", "measurement `width` is not used"][..],
        ),
        ("setup.xml", "<markers>A B", "<markers>A U", &["setup.xml:5, <MarkerPair>", "the trial has no marker `U`"]),
        (
            "setup.xml",
            "name=\"thigh\"><axes>",
            "name=\"shank\"><axes>",
            &["setup.xml:8", "the model has no body `shank`"],
        ),
        ("setup.xml", "measurements manualScale", "", &["<scaling_order> is empty"]),
        ("setup.xml", "measurements manualScale", "manualScale", &["nothing scales the model"]),
        ("still.trc", "1220", "", &["`A` or `B` is missing in 1 frames", "the static pose does not follow it"]),
    ] {
        let (place, output) = changed(file, from, to);
        assert!(output.status.success(), "{from} -> {to}: {}", said(&output));
        for part in parts {
            assert!(said(&output).contains(part), "{from} -> {to}: {part}: {}", said(&output));
        }
        assert!(place.path().join("out/placed.osim").is_file());
    }
}

#[test]
fn sets_may_stand_in_files_of_their_own_and_inputs_are_never_written_over() {
    let place = small();
    let (start, end) = (SETUP.find("<IKTaskSet>").unwrap(), SETUP.find("</IKTaskSet>").unwrap() + 12);
    let tasks = format!("<OpenSimDocument Version=\"20302\">{}</OpenSimDocument>", &SETUP[start..end]);
    fs::write(place.path().join("tasks.xml"), tasks).unwrap();
    let setup = format!("{}<IKTaskSet file=\"tasks.xml\"/>{}", &SETUP[..start], &SETUP[end..]);
    fs::write(place.path().join("setup.xml"), &setup).unwrap();
    let output = kinefit(place.path(), &["setup.xml", "--out", "out"]);
    assert!(output.status.success(), "{}", said(&output));

    fs::write(place.path().join("setup.xml"), setup.replace("placed.osim", "model.osim")).unwrap();
    let output = kinefit(place.path(), &["setup.xml", "--out", "."]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("model.osim: is an input"), "{}", said(&output));
    assert_eq!(fs::read_to_string(place.path().join("model.osim")).unwrap(), MODEL);
    assert!(!place.path().join("factors.xml").exists());
}

/// A coordinate that slides and follows another is scaled with its body, which OpenSim 4.6 does where the body is scaled evenly, and otherwise refuses.
#[test]
fn couplers_that_slide_want_even_factors() {
    let joint = |name: &str, [parent, child]: [&str; 2], coordinates: &str, axes: &str| {
        format!(
            "<CustomJoint name=\"{name}\"><socket_parent_frame>{parent}</socket_parent_frame><socket_child_frame>{child}</socket_child_frame><coordinates>{coordinates}</coordinates><SpatialTransform>{axes}</SpatialTransform></CustomJoint>"
        )
    };
    let axis = |name: &str, of: &str, along: &str| {
        format!(
            "<TransformAxis name=\"{name}\"><coordinates>{of}</coordinates><axis>{along}</axis><LinearFunction><coefficients>1 0</coefficients></LinearFunction></TransformAxis>"
        )
    };
    let base = joint(
        "base",
        ["/ground", "/bodyset/shank"],
        "<Coordinate name=\"turn\"/>",
        &axis("rotation1", "turn", "0 0 1"),
    );
    let patella = joint(
        "patella",
        ["/bodyset/shank", "/bodyset/patella"],
        "<Coordinate name=\"knee\"/><Coordinate name=\"slide\"/>",
        &(axis("rotation1", "knee", "1 0 0") + &axis("translation2", "slide", "0 1 0")),
    );
    let model = format!(
        "<OpenSimDocument Version=\"40500\"><Model name=\"m\"><BodySet><objects><Body name=\"shank\"><mass>1</mass></Body><Body name=\"patella\"><mass>1</mass></Body></objects></BodySet><JointSet><objects>{base}{patella}</objects></JointSet><ConstraintSet><objects><CoordinateCouplerConstraint name=\"c\"><coupled_coordinates_function><PolynomialFunction><coefficients>0.5 0.1</coefficients></PolynomialFunction></coupled_coordinates_function><independent_coordinate_names>knee</independent_coordinate_names><dependent_coordinate_name>slide</dependent_coordinate_name></CoordinateCouplerConstraint></objects></ConstraintSet></Model></OpenSimDocument>"
    );
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("model.osim"), model).unwrap();
    let scaled = |factors: &str| {
        let setup = format!(
            "<OpenSimDocument Version=\"40000\"><ScaleTool name=\"s\"><GenericModelMaker><model_file>model.osim</model_file></GenericModelMaker><ModelScaler><apply>true</apply><scaling_order>manualScale</scaling_order><ScaleSet><objects><Scale><scales>{factors}</scales><segment>shank</segment><apply>true</apply></Scale></objects></ScaleSet><output_model_file>scaled.osim</output_model_file></ModelScaler><MarkerPlacer><apply>false</apply></MarkerPlacer></ScaleTool></OpenSimDocument>"
        );
        fs::write(place.path().join("setup.xml"), setup).unwrap();
        kinefit(place.path(), &["setup.xml", "--out", "out"])
    };
    let refused = scaled("1.2 0.9 1.1");
    assert!(!refused.status.success());
    for part in ["setup.xml:1", "`shank`", "`slide`", "one factor"] {
        assert!(said(&refused).contains(part), "{part}: {}", said(&refused));
    }
    let even = scaled("1.2 1.2 1.2");
    assert!(even.status.success(), "{}", said(&even));
    let skeleton = kinefit::skeleton::read_model(&place.path().join("out/scaled.osim")).unwrap();
    let mut q = vec![0.0; skeleton.coordinates.len()];
    q[skeleton.coordinate("knee").unwrap().index()] = 0.7;
    skeleton.resolve_couplings(&mut q);
    let slide = q[skeleton.coordinate("slide").unwrap().index()];
    assert!((slide - 1.2 * (0.5 * 0.7 + 0.1)).abs() < 1e-12, "{slide}");
}
