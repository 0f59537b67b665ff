//! `kinefit fk`.

use crate::common::shared;
use crate::{kinefit, stderr, stdout};
use serde_json::Value;
use std::fs;

#[test]
fn forward_kinematics_takes_defaults_and_computes_what_is_coupled() {
    let place = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| fs::write(place.path().join(name), text).unwrap();
    file("poses.json", r#"{"poses": [{"q": {}}, {"q": {"knee_angle_r": 0.5}}]}"#);
    let output = kinefit(place.path(), &["fk", "--coordinates", "poses.json", "--out", "there/positions.json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = fs::read_to_string(place.path().join("there/positions.json")).unwrap();
    let positions: Value = serde_json::from_str(&text).unwrap();
    let [straight, bent] = [0, 1].map(|i| &positions["poses"][i]);
    assert_eq!(straight["q"]["knee_angle_r"], 0.0);
    assert_eq!(straight["bodies"]["femur_r"], bent["bodies"]["femur_r"]);
    assert_ne!(straight["markers"]["RHeel"], bent["markers"]["RHeel"]);
    assert_eq!(straight["markers"]["LHeel"], bent["markers"]["LHeel"]);
    // The same on standard output.
    assert_eq!(stdout(&kinefit(place.path(), &["fk", "--coordinates", "poses.json"])), text);

    for (wrong, said) in [
        (r#"{"poses": [{"q": {"knee": 0.5}}]}"#, "pose 0: knee"),
        (r#"{"poses": [{"q": {"knee_angle_r": 0.5}"#, "line 1"),
        (r#"{"poses": [], "body_scale_factors": {"tail": [1, 1, 1]}}"#, "tail"),
        (r#"{"poses": [], "body_scale_factors": {"femur_r": [1, 0, 1]}}"#, "femur_r"),
    ] {
        file("wrong.json", wrong);
        let output = kinefit(place.path(), &["fk", "--coordinates", "wrong.json", "--out", "none.json"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("wrong.json") && stderr(&output).contains(said), "{}", stderr(&output));
        assert!(!place.path().join("none.json").exists());
    }
}

/// Largest distance between the numbers of two JSON trees that have the same shape where `expected` has any.
fn largest_difference(expected: &Value, found: &Value) -> f64 {
    match expected {
        Value::Number(a) => (a.as_f64().unwrap() - found.as_f64().unwrap()).abs(),
        Value::Array(a) => a.iter().enumerate().map(|(i, a)| largest_difference(a, &found[i])).fold(0.0, f64::max),
        Value::Object(a) => a.iter().map(|(k, a)| largest_difference(a, &found[k])).fold(0.0, f64::max),
        _ => f64::INFINITY,
    }
}

/// The model of each oracle, and its marker sets; `None` for what is no forward kinematics.
fn model_of_oracle(oracle: &str) -> Option<(&'static str, &'static [&'static str])> {
    let lai: &[&str] = &["models/LaiUhlrich2022_markers_openpose.xml", "models/LaiUhlrich2022_markers_mocap.xml"];
    Some(match oracle {
        "fk_gait2354_scaled_v20303" => ("models/gait2354_subject01_scaled_v20303.osim", &[]),
        "fk_gait2354_v20302" => ("models/gait2354_simbody_v20302.osim", &[]),
        "fk_gait2392" | "fk_gait2392_scaled_nonuniform" => ("models/gait2392_thelen2003muscle_v40000.osim", &[]),
        "fk_laiuhlrich2022" | "fk_laiuhlrich2022_scaled_nonuniform" => ("models/LaiUhlrich2022.osim", lai),
        "fk_pose2sim_body25b_scaled" => ("balancing_references/Model_Pose2Sim_body25b_scaled.osim", &[]),
        "fk_rajagopal2015" | "fk_rajagopal2015_scaled_nonuniform" => ("models/Rajagopal2015_v30000.osim", &[]),
        "fk_rajagopal_walk_scaled_core" => ("models/rajagopal_subject_walk_scaled_v40500.osim", &[]),
        "fkmj_loco_humanoid_torque" => ("mjcf/loco_humanoid_torque.xml", &[]),
        "fkmj_mujoco_humanoid" => ("mjcf/humanoid.xml", &[]),
        "fkmj_myo_legs" => ("mjcf/myo_sim/leg/myolegs.xml", &[]),
        "fkref_humanoid_torque" => ("synthetic_walk_T100/humanoid_torque.xml", &[]),
        "function_values" => return None,
        other => panic!("oracle {other} is compared with nothing"),
    })
}

/// The poses of an oracle in the form of most of them: bodies and markers by name.
fn poses_of_oracle(oracle: &Value) -> Vec<Value> {
    let Some(cases) = oracle["cases"].as_array() else { return oracle["poses"].as_array().unwrap().clone() };
    let named = |names: &str, places: &Value, wrap: fn(&Value) -> Value| -> Value {
        let names = oracle["model"][names].as_array().unwrap().iter().map(|n| n.as_str().unwrap().to_owned());
        names.zip(places.as_array().unwrap().iter().map(wrap)).collect::<serde_json::Map<_, _>>().into()
    };
    let pose = |case: &Value| {
        let bodies = named("body_names", &case["xpos"], |p| serde_json::json!({ "p": p }));
        serde_json::json!({ "qpos": case["qpos"], "bodies": bodies, "sites": named("site_names", &case["site_xpos"], Value::clone) })
    };
    cases.iter().map(pose).collect()
}

#[test]
fn forward_kinematics_agrees_with_every_oracle() {
    let Some(shared) = shared("") else { return };
    let place = tempfile::tempdir().unwrap();
    let mut compared = 0;
    let files = ["opensim", "mujoco"].map(|engine| fs::read_dir(shared.join("oracles").join(engine)).unwrap());
    for file in files.into_iter().flatten().map(|f| f.unwrap().path()) {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let Some((model, sets)) = model_of_oracle(&name) else { continue };
        let oracle: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let expected = poses_of_oracle(&oracle);
        // Nearly all are valid input as they are.
        let mut input = file.display().to_string();
        if oracle["cases"].is_array() {
            input = place.path().join("input.json").display().to_string();
            fs::write(&input, serde_json::json!({ "poses": expected }).to_string()).unwrap();
        }
        let at = |part: &str| shared.join("data").join(part).display().to_string();
        let mut arguments: Vec<String> =
            ["fk", "--coordinates", &input, "--model", &at(model)].map(str::to_owned).into();
        arguments.extend(sets.iter().flat_map(|set| ["--marker-set".to_owned(), at(set)]));
        let output = kinefit(place.path(), &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(output.status.code(), Some(0), "{name}: {}", stderr(&output));
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        let found = found["poses"].as_array().unwrap();
        assert!(expected.len() > 5 && found.len() == expected.len(), "{name}");
        for (i, (mut a, b)) in expected.into_iter().zip(found).enumerate() {
            if name == "fkmj_myo_legs" && i == 0 {
                // The pose that all joints start in breaks the model's own equalities, which are computed here.
                continue;
            }
            // MuJoCo's markers are sites, and its world is a body.
            if let Some(sites) = a.get("sites").cloned() {
                a["markers"] = sites;
                a["bodies"].as_object_mut().unwrap().remove("world");
                assert_eq!(a["qpos"], b["qpos"], "{name}");
            }
            for part in ["bodies", "markers"] {
                let count = |v: &Value| v[part].as_object().unwrap().len();
                assert_eq!(count(&a), count(b), "{name}: {part}");
                // Double precision through a chain of a dozen joints.
                let apart = largest_difference(&a[part], &b[part]);
                assert!(apart < 1e-9, "{part} of pose {i} of {name}: {apart:.1e}");
            }
        }
        compared += 1;
    }
    assert_eq!(compared, 14);
}

/// A free body with a ball on it: MuJoCo's order, quaternions of any length, and what is wrong with some.
#[test]
fn forward_kinematics_takes_mujocos_qpos() {
    let place = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| fs::write(place.path().join(name), text).unwrap();
    file(
        "model.xml",
        r#"<mujoco><worldbody><body name="a" pos="0 0 5"><freejoint name="root"/><body name="b" pos="1 0 0"><joint name="hip" type="ball"/><site name="s" pos="1 0 0"/>
<body name="c" pos="0 0 1"><joint name="knee" axis="0 1 0"/><site name="t" pos="1 0 0"/></body></body></body></worldbody></mujoco>"#,
    );
    // At (1, 2, 3), turned a quarter about z; the ball another quarter about z, twice as long; the knee a quarter about y.
    let quarter = "0.7071067811865476";
    let poses =
        format!(r#"{{"poses": [{{"qpos": [1, 2, 3, {quarter}, 0, 0, {quarter}, 2, 0, 0, 2, 1.5707963267948966]}}]}}"#);
    file("poses.json", &poses);
    let output = kinefit(place.path(), &["fk", "--model", "model.xml", "--coordinates", "poses.json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = serde_json::json!({ "s": [0.0, 3.0, 3.0], "t": [1.0, 3.0, 3.0] });
    assert!(largest_difference(&expected, &found["poses"][0]["markers"]) < 1e-12, "{}", found["poses"][0]["markers"]);
    for (wrong, said) in [
        (r#"{"poses": [{"qpos": [1, 2]}]}"#, "pose 0: qpos: it has 2 numbers, and the model"),
        (r#"{"poses": [{"qpos": [1, 2, 3, 0, 0, 0, 0, 1, 0, 0, 0, 0]}]}"#, "the quaternion of joint `root` is zero"),
        (r#"{"poses": [{"qpos": [1e999, 2, 3, 1, 0, 0, 0, 1, 0, 0, 0, 0]}]}"#, "wrong.json"),
        (r#"{"poses": [{"q": {}}, {"qpos": [], "q": {}}]}"#, "pose 1: it has both"),
        (r#"{"poses": [{}]}"#, "pose 0: it has neither"),
    ] {
        file("wrong.json", wrong);
        let output = kinefit(place.path(), &["fk", "--model", "model.xml", "--coordinates", "wrong.json"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("wrong.json") && stderr(&output).contains(said), "{}", stderr(&output));
    }
    let output = kinefit(place.path(), &["fk", "--coordinates", "poses.json"]);
    assert!(stderr(&output).contains("did not come as MJCF"), "{}", stderr(&output));
}

#[test]
fn poses_that_are_none_are_named_with_their_place() {
    let place = tempfile::tempdir().unwrap();
    for (text, said) in [
        (
            r#"{"poses": [{"q": {"pelvis_ty": "x"}}]}"#,
            "poses.json: pose 0: pelvis_ty: it is the text \"x\", not a number",
        ),
        (r#"{"poses": [{"q": {}}, {"q": [1, 2]}]}"#, "poses.json: pose 1: q: it is a list, not an object"),
        (r#"{"poses": [7]}"#, "pose 0: it is the number 7"),
        (r#"{"poses": [{"qpos": [0, null]}]}"#, "pose 0: qpos: it is not a list of numbers"),
        (r#"{"poses": [{}]}"#, "pose 0: it has neither"),
        (r#"{"poses": {"q": 1}}"#, "poses: it is an object, not a list"),
        (r#"[{"q": {}}]"#, "there is no list \"poses\""),
        (
            r#"{"poses": [], "body_scale_factors": {"pelvis": [1, 2]}}"#,
            "body_scale_factors: pelvis: it is not a list of three numbers",
        ),
        (r#"{"poses": [], "body_scale_factor": {}}"#, "body_scale_factor: it is not understood"),
        ("{\"poses\": [\n{\"q\": {", "poses.json, line 2, column 7: the file ends before its JSON does"),
        ("{\"poses\": [\n}", "poses.json, line 2, column 1: this is not valid JSON"),
    ] {
        std::fs::write(place.path().join("poses.json"), text).unwrap();
        let out = kinefit(place.path(), &["fk", "--coordinates", "poses.json"]);
        assert_eq!(out.status.code(), Some(2), "{text}");
        let error = crate::stderr(&out);
        assert!(error.contains(said) && error.contains("write { \"poses\"") | error.contains("give one"), "{error}");
    }
}
