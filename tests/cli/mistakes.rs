//! Sessions with mistakes in them: what is said of each.

use crate::{Recording, kinefit, stderr};
use kinefit::camera::calibration;
use serde_json::{Value, json};
use std::fs;

#[test]
fn no_calibration() {
    let recording = Recording::new();
    fs::remove_file(recording.calibration()).unwrap();
    // The true cameras would do as well.
    fs::remove_file(recording.path("cameras_truth.toml")).unwrap();
    recording.refused(&[], &["session", "no calibration", "Calib*.toml"]);
    fs::remove_dir(recording.path("calibration")).unwrap();
    recording.refused(&[], &["session", "calibration"]);
}

#[test]
fn fewer_cameras_than_folders() {
    let recording = Recording::new();
    let file = fs::read_to_string(&recording.files(1)[0]).unwrap();
    recording.put("walk/pose/cam04_json/cam04_00000000.json", &file);
    recording.refused(&[], &["walk/pose", "4 folders of keypoints for 3 calibrated cameras"]);
}

#[test]
fn one_camera_alone() {
    let recording = Recording::new();
    let rig = calibration::read(&recording.calibration()).unwrap();
    calibration::write_toml(&recording.calibration(), &rig[..1].to_vec()).unwrap();
    for c in [2, 3] {
        fs::remove_dir_all(recording.path(&format!("walk/pose/cam{c:02}_json"))).unwrap();
    }
    recording.refused(&[], &["session `session`", "has one camera", "another camera"]);
}

#[test]
fn millimetres_taken_for_metres() {
    let recording = Recording::new();
    let mut rig = calibration::read(&recording.calibration()).unwrap();
    for camera in &mut rig {
        camera.camera_from_world.translation.vector *= 1000.0;
    }
    calibration::write_toml(&recording.calibration(), &rig).unwrap();
    recording.refused(&[], &["Calib.toml", "millimetres", "divide every translation by 1000"]);
    for camera in [0, 2] {
        rig[camera].camera_from_world.translation.vector /= 1000.0;
    }
    calibration::write_toml(&recording.calibration(), &rig).unwrap();
    recording.refused(&[], &["Calib.toml: camera cam02", "millimetres", "divide its translation by 1000"]);
}

#[test]
fn rotations_that_are_none() {
    let recording = Recording::new();
    fs::remove_file(recording.calibration()).unwrap();
    let good = |name: &str, matrix: &str| {
        format!(
            r#"<camera active="1" serial="{name}" model="Miqus Video" viewrotation="0">
  <fov_video bottom="1079" left="0" right="1919" top="0"/>
  <transform {matrix} x="0" y="0" z="4000"/>
  <intrinsic centerPointU="61440" centerPointV="34560" focalLengthU="96000" focalLengthV="96000" radialDistortion1="0"
   radialDistortion2="0" radialDistortion3="0" skew="0" tangentalDistortion1="0" tangentalDistortion2="0"/>
</camera>"#
        )
    };
    let matrix = |d: [f64; 3]| {
        let [a, b, c] = d;
        format!(r#"r11="{a}" r12="0" r13="0" r21="0" r22="{b}" r23="0" r31="0" r32="0" r33="{c}""#)
    };
    let file = |wrong: [f64; 3]| {
        let cameras =
            [good("cam01", &matrix([1.0; 3])), good("cam02", &matrix(wrong)), good("cam03", &matrix([1.0; 3]))];
        format!("<?xml version='1.0'?>\n<calibration><cameras>{}</cameras></calibration>", cameras.concat())
    };
    recording.put("calibration/Calib.qca.txt", &file([1.0, 1.0, -1.0]));
    recording.refused(&[], &["Calib.qca.txt", "cam02", "mirror"]);
    recording.put("calibration/Calib.qca.txt", &file([1.0, 1.2, 1.0]));
    recording.refused(&[], &["Calib.qca.txt", "cam02", "no rotation"]);
}

#[test]
fn intrinsics_that_are_none() {
    let (nan, zero) = ([f64::NAN, 1000.0], [0.0, 1000.0]);
    for ([fx, fy], said) in [(nan, "NaN"), (zero, "focal lengths are 0")] {
        let recording = Recording::new();
        let mut rig = calibration::read(&recording.calibration()).unwrap();
        (rig[1].intrinsics.fx, rig[1].intrinsics.fy) = (fx, fy);
        calibration::write_toml(&recording.calibration(), &rig).unwrap();
        recording.refused(&[], &["Calib.toml", "cam02", said]);
    }
}

#[test]
fn keypoint_arrays_of_the_wrong_length() {
    let recording = Recording::new();
    for c in 1..=3 {
        for file in recording.files(c) {
            fs::write(file, json!({ "people": [{ "pose_keypoints_2d": vec![1.0; 50] }] }).to_string()).unwrap();
        }
    }
    recording.refused(&[], &["cam01_00000000.json", "trial `walk`", "50 numbers", "HALPE_26 needs 78"]);
}

#[test]
fn json_that_was_cut_off() {
    let recording = Recording::new();
    let file = &recording.files(2)[7];
    let text = fs::read_to_string(file).unwrap();
    fs::write(file, &text[..text.len() / 2]).unwrap();
    recording.refused(&[], &["cam02_00000007.json, line 1, column", "cut off"]);
}

#[test]
fn empty_trials() {
    let recording = Recording::new();
    for c in 1..=3 {
        for file in recording.files(c) {
            fs::write(file, "{}").unwrap();
        }
    }
    recording.refused(&[], &["trial `walk`", "is empty"]);
    for c in 1..=3 {
        for file in recording.files(c) {
            fs::remove_file(file).unwrap();
        }
    }
    recording.refused(&[], &["walk", "empty"]);
}

#[test]
fn keypoints_that_the_model_has_no_markers_for() {
    let recording = Recording::new();
    let names: Vec<String> = (0..26).map(|i| format!("antenna_{i}")).collect();
    recording.put("ants.json", &json!({ "names": names }).to_string());
    let set = recording.path("ants.json");
    recording.refused(&["--keypoints", set.to_str().unwrap()], &["ants", "markers", "--marker-set"]);
}

#[test]
fn frame_rates_that_disagree_or_are_not_stated() {
    let recording = Recording::new();
    recording.put("walk/Config.toml", "[project]\nframe_rate = 50\n");
    recording.refused(&[], &["walk/Config.toml", "50", "60"]);
    fs::remove_file(recording.path("walk/Config.toml")).unwrap();
    recording.replace("Config.toml", "frame_rate = 60", "frame_rate = \"auto\"");
    recording.refused(&[], &["frame rate is stated nowhere", "--rate"]);
    assert_eq!(recording.fit(&["--rate", "60"]).status.code(), Some(0));
}

#[test]
fn five_and_twenty_points_may_be_two_sets() {
    let recording = Recording::new();
    for c in 1..=3 {
        for file in recording.files(c) {
            let mut people: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
            people["people"][0]["pose_keypoints_2d"].as_array_mut().unwrap().truncate(75);
            fs::write(file, people.to_string()).unwrap();
        }
    }
    recording.replace("Config.toml", "pose_model = \"HALPE_26\"", "");
    recording.refused(&[], &["25 points, which may be BODY_25 or BODY_25B", "--keypoints"]);
}

#[test]
fn somebody_whom_no_two_cameras_see() {
    let recording = Recording::new();
    for c in [2, 3] {
        for file in recording.files(c) {
            fs::write(file, "{}").unwrap();
        }
    }
    recording.refused(&[], &["trial `walk`", "two cameras"]);
}

/// Every keypoint of one camera, changed.
fn rewrite(recording: &Recording, c: usize, change: impl Fn(usize, f64) -> f64) {
    for file in recording.files(c) {
        let mut document: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        for person in document["people"].as_array_mut().unwrap() {
            for (i, x) in person["pose_keypoints_2d"].as_array_mut().unwrap().iter_mut().enumerate() {
                *x = json!(change(i % 3, x.as_f64().unwrap()));
            }
        }
        fs::write(file, document.to_string()).unwrap();
    }
}

#[test]
fn keypoints_that_are_no_pixels() {
    let recording = Recording::new();
    rewrite(&recording, 3, |axis, x| if axis == 2 { x } else { 1e6 * x });
    recording.refused(&[], &["cam03_00000000.json", "camera `cam03`", "trial `walk`", "in no image", "e8", "pixels"]);
    let recording = Recording::new();
    rewrite(&recording, 2, |axis, x| x / [1920.0, 1080.0, 1.0][axis]);
    recording.refused(&[], &["camera `cam02`", "shares of the image", "multiply x"]);
}

#[test]
fn keypoints_of_one_camera_only() {
    let recording = Recording::new();
    for c in [2, 3] {
        fs::remove_dir_all(recording.path(&format!("walk/pose/cam{c:02}_json"))).unwrap();
    }
    recording.refused(&[], &["walk/pose", "only camera cam01", "cam02, cam03", "takes two cameras"]);
}

#[test]
fn metres_taken_for_millimetres_or_kilometres() {
    let recording = Recording::new();
    let mut rig = calibration::read(&recording.calibration()).unwrap();
    for camera in &mut rig {
        camera.camera_from_world.translation.vector /= 1000.0;
    }
    calibration::write_toml(&recording.calibration(), &rig).unwrap();
    recording.refused(&[], &["Calib.toml", "within 0.00", "kilometres, expected metres"]);
}

#[test]
fn feet_taken_for_metres() {
    let recording = Recording::new();
    let mut rig = calibration::read(&recording.calibration()).unwrap();
    for camera in &mut rig {
        camera.camera_from_world.translation.vector /= 0.3048;
    }
    calibration::write_toml(&recording.calibration(), &rig).unwrap();
    recording.refused(&[], &["trial `walk`", "times the model's", "feet"]);
}

#[test]
fn two_calibrations() {
    let recording = Recording::new();
    let rig = calibration::read(&recording.calibration()).unwrap();
    // The same cameras once more are no question.
    calibration::write_toml(&recording.path("calibration/again.toml"), &rig).unwrap();
    assert_eq!(recording.fit(&[]).status.code(), Some(0));
    fs::remove_dir_all(recording.place.path().join("results")).unwrap();
    // Nor are they in another order, or a file that nobody can read.
    let reversed: Vec<_> = rig.iter().rev().cloned().collect();
    calibration::write_toml(&recording.path("calibration/again.toml"), &reversed).unwrap();
    recording.put("calibration/old.qca.txt", "<calibration><cameras>");
    let output = recording.fit(&[]);
    assert!(
        output.status.code() == Some(0) && stderr(&output).contains("old.qca.txt is passed over"),
        "{}",
        stderr(&output)
    );
    fs::remove_file(recording.path("calibration/old.qca.txt")).unwrap();
    fs::remove_dir_all(recording.place.path().join("results")).unwrap();
    let mut other = rig.clone();
    other[1].camera_from_world.translation.vector.x += 0.1;
    calibration::write_toml(&recording.path("calibration/again.toml"), &other).unwrap();
    recording.refused(&[], &["calibration", "do not state the same cameras", "Calib.toml, again.toml", "session.toml"]);
    fs::remove_file(recording.path("calibration/again.toml")).unwrap();
    fs::create_dir(recording.path("old_calibration")).unwrap();
    calibration::write_toml(&recording.path("old_calibration/Calib.toml"), &other).unwrap();
    recording.refused(&[], &["two folders hold calibrations", "calibration and old_calibration"]);
}

#[test]
fn a_session_over_another() {
    let recording = Recording::new();
    let synth = |arguments: &[&str]| {
        let common = ["synth", "--out", "session", "--cameras", "3", "--frames", "6"];
        kinefit(recording.place.path(), &[&common[..], arguments].concat())
    };
    let before = fs::read(recording.path("truth.json")).unwrap();
    let output = synth(&["--movement", "squat"]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("session") && said.contains("walk/pose/cam01_json") && said.contains("empty or new"),
        "{said}"
    );
    assert_eq!(fs::read(recording.path("truth.json")).unwrap(), before);
    assert!(!recording.path("squat").exists());
    let other = |arguments: &[&str]| {
        kinefit(recording.place.path(), &[&["synth", "--out", "other", "--frames", "6"], arguments].concat())
    };
    // The same once more writes the same files.
    assert_eq!([other(&[]), other(&[])].map(|o| o.status.code()), [Some(0); 2]);
    let lone = other(&["--cameras", "1"]);
    assert!(lone.status.code() == Some(2) && stderr(&lone).contains("number of cameras is 1"), "{}", stderr(&lone));
}

#[test]
fn the_truth_of_another_session() {
    let recording = Recording::new();
    assert_eq!(recording.fit(&[]).status.code(), Some(0));
    let refused = |truth: &str, parts: &[&str]| {
        let output = kinefit(recording.place.path(), &["evaluate", "results", "--truth", truth]);
        let said = stderr(&output);
        assert!(output.status.code() == Some(2) && output.stdout.is_empty(), "{said}");
        parts.iter().for_each(|part| assert!(said.contains(part), "`{part}` is not in: {said}"));
    };
    let synth = ["synth", "--out", "other", "--seed", "99", "--cameras", "3", "--frames", "300"];
    assert_eq!(kinefit(recording.place.path(), &synth).status.code(), Some(0));
    refused("other", &["half of the cameras stood"]);
    let truth: Value = serde_json::from_slice(&fs::read(recording.path("truth.json")).unwrap()).unwrap();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut truth = truth.clone();
        change(&mut truth);
        recording.put("changed.json", &truth.to_string());
    };
    changed(&|t| t["trials"][0]["name"] = json!("squat"));
    refused("session/changed.json", &["no trial has the same name", "squat", "walk"]);
    changed(&|t| {
        for rows in ["coordinates", "markers"] {
            t["trials"][0][rows].as_array_mut().unwrap().truncate(5);
        }
    });
    refused("session/changed.json", &["trial `walk` was fitted up to frame", "the truth has 5"]);
    changed(&|t| t["cameras"].as_array_mut().unwrap().iter_mut().for_each(|c| c["name"] = json!("eye")));
    refused("session/changed.json", &["no camera has the same name"]);
}

#[test]
fn one_folder_for_two_cameras() {
    let recording = Recording::new();
    for file in recording.files(1) {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        fs::copy(&file, recording.path(&format!("walk/pose/cam03_json/{}", name.replace("cam01", "cam03")))).unwrap();
    }
    recording.refused(
        &[],
        &["cam03_json, trial `walk`", "`cam01` and `cam03` have the same keypoints", "list each folder once"],
    );
    // People of zeros are nobody, in any number of cameras.
    let recording = Recording::new();
    [1, 3].into_iter().for_each(|c| rewrite(&recording, c, |_, _| 0.0));
    recording.refused(&[], &["only camera cam02"]);
}

/// What is not refused, but said.
#[test]
fn a_wrong_stature_and_a_wrong_vertical_are_spoken_of() {
    let recording = Recording::new();
    let said = stderr(&recording.fit(&["--stature", "1.5"]));
    assert!(said.contains("A stature of 1.50 m was stated, but the fit ended at 1.6"), "{said}");
    assert!(!stderr(&recording.fit(&[])).contains("leans"));
    let poses: Vec<String> = (1..=3).map(|c| format!("\"walk/pose/cam{c:02}_json\"")).collect();
    let description = format!(
        "name = \"s\"\ncalibration = \"calibration/Calib.toml\"\nkeypoints = \"HALPE_26\"\nup = \"y\"\n[[trials]]\nname = \"walk\"\nrate_hz = 60\nposes = [{}]\n",
        poses.join(", ")
    );
    recording.put("session.toml", &description);
    let output = recording.fit(&[]);
    let said = stderr(&output);
    assert!(said.contains("the subject leans by") && said.contains("vertical"), "{said}");
}
