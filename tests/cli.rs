//! The command as a user meets it: exit status, messages, files.

use kinefit::camera::calibration;
use kinefit::fit::{FitOptions, default_skeleton, fit_session};
use kinefit::session::{self, ReadOptions};
use kinefit::skeleton::ScaleGroups;
use kinefit::synthetic::{SyntheticOptions, generate};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// Where the recorded sessions and references are that are not part of this repository.
fn shared() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let found = std::env::var_os("KINEFIT_SHARED").map_or(beside, PathBuf::from);
    if !found.is_dir() {
        eprintln!("skipped: {} is not there", found.display());
        return None;
    }
    Some(found)
}

fn kinefit(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kinefit")).current_dir(folder).args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A session folder of somebody walking, three cameras and twelve frames, in which mistakes can be made.
struct Recording {
    place: TempDir,
}

impl Recording {
    fn new() -> Self {
        let options = SyntheticOptions { cameras: 3, frames: 12, seed: 5, ..SyntheticOptions::default() };
        let skeleton = default_skeleton().unwrap();
        let made = generate(&skeleton, &ScaleGroups::default_for(&skeleton), &options).unwrap();
        let place = tempfile::tempdir().unwrap();
        made.write(&place.path().join("session")).unwrap();
        Self { place }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join("session").join(name)
    }

    fn calibration(&self) -> PathBuf {
        self.path("calibration/Calib.toml")
    }

    fn put(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    /// Replaces the first occurrence in a file.
    fn replace(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "`{from}` is not in {name}:\n{text}");
        fs::write(self.path(name), text.replacen(from, to, 1)).unwrap();
    }

    /// The keypoint files of camera `c` (from 1), in order.
    fn files(&self, c: usize) -> Vec<PathBuf> {
        let folder = self.path(&format!("walk/pose/cam{c:02}_json"));
        let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        files
    }

    fn fit(&self, arguments: &[&str]) -> Output {
        kinefit(self.place.path(), &[&["fit", "session", "--out", "results"], arguments].concat())
    }

    /// That the fit is refused as bad input, with all of `parts` in what is said, and nothing written.
    fn refused(&self, arguments: &[&str], parts: &[&str]) {
        let output = self.fit(arguments);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{parts:?}: {said}");
        assert!(output.stdout.is_empty());
        let error = said.split_once("error: ").unwrap_or_else(|| panic!("no error in: {said}")).1;
        for part in parts {
            assert!(error.contains(part), "`{part}` is not in: {error}");
        }
        let advice = error.lines().nth(1).unwrap_or_default();
        assert!(advice.starts_with("  ") && advice.len() > 10, "no advice in: {error}");
        assert!(!self.place.path().join("results").exists(), "something was written");
    }
}

#[test]
fn a_fit_writes_everything_and_says_so() {
    let recording = Recording::new();
    let output = recording.fit(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = stdout(&output);
    assert!(said.lines().count() <= 10 && said.contains("results"), "{said}");
    // Standard error is no terminal here: a line per stage, and no control characters.
    assert!(stderr(&output).contains("error bars") && !stderr(&output).contains('\u{1b}'));
    let mut names: Vec<String> = fs::read_dir(recording.place.path().join("results"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    for name in [
        "cameras.toml",
        "manifest.json",
        "model.osim",
        "outcome.json",
        "report.html",
        "walk.mot",
        "walk.sd.csv",
        "walk.trc",
    ] {
        assert!(names.iter().any(|n| n == name), "{name} is not among {names:?}");
    }
    assert!(names.iter().all(|n| !n.ends_with(".tmp") && !n.starts_with('.')), "{names:?}");

    // What was fitted can be compared with the truth.
    let evaluated = kinefit(recording.place.path(), &["evaluate", "results", "--truth", "session", "--json"]);
    let figures: Value = serde_json::from_slice(&evaluated.stdout).unwrap();
    assert_eq!(figures["trials"][0]["frames"], 12);
    // Three cameras with 3 px of noise at 4 m and 1500 px: 8 mm each, less where frames help; a blunder is many times this.
    assert!(figures["trials"][0]["markers"]["after_similarity_mm"].as_f64().unwrap() < 40.0, "{figures}");
}

#[test]
fn json_is_all_there_is_on_standard_output_and_the_default_folder_has_the_sessions_name() {
    let recording = Recording::new();
    let arguments = ["fit", "session", "--json", "--refine-cameras=false", "--threads", "1", "--frames", "2..8"];
    let output = kinefit(recording.place.path(), &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let outcome: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((outcome["format"].as_u64(), outcome["trials"][0]["frames"].as_u64()), (Some(1), Some(6)));
    assert_eq!(outcome["trials"][0]["first_frame"], 2);
    assert_eq!(outcome["cameras"]["cam01"]["rotation_change_deg"], 0.0);
    let written = fs::read(recording.place.path().join("kinefit_session/outcome.json")).unwrap();
    assert_eq!(output.stdout, written);
    let manifest = fs::read_to_string(recording.place.path().join("kinefit_session/manifest.json")).unwrap();
    assert!(manifest.contains("--refine-cameras=false"));
}

#[test]
fn the_command_scales_the_body_as_the_library_does() {
    let recording = Recording::new();
    let output = recording.fit(&["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let outcome: Value = serde_json::from_slice(&output.stdout).unwrap();
    let session = session::read(&recording.path(""), &ReadOptions::default()).unwrap();
    let fit = fit_session(&session, &FitOptions::default()).unwrap();
    let factors: BTreeMap<String, f64> = fit.scale_groups.iter().map(|s| (s.group.clone(), s.factor)).collect();
    assert!(!factors.is_empty());
    // The same computation on the same files; reading a decimal back may lose its last bit.
    let said: BTreeMap<String, f64> = serde_json::from_value(outcome["scales"].clone()).unwrap();
    assert!(said.keys().eq(factors.keys()));
    assert!(
        said.values().zip(factors.values()).all(|(a, b)| (a - b).abs() <= 4.0 * f64::EPSILON),
        "{said:?} {factors:?}"
    );
    assert!((outcome["height_m"].as_f64().unwrap() - fit.height_m.unwrap()).abs() <= 4.0 * f64::EPSILON);

    // Another marker leaves the body what it is.
    let set = r#"<OpenSimDocument Version="40000"><MarkerSet name="more"><objects><Marker name="buckle">
      <socket_parent_frame>/bodyset/pelvis</socket_parent_frame><location>0.1 0.1 0</location><fixed>true</fixed>
    </Marker></objects></MarkerSet></OpenSimDocument>"#;
    recording.put("more.xml", set);
    let output = recording.fit(&["--json", "--marker-set", "session/more.xml"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let more: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(more["scales"], outcome["scales"]);
}

#[test]
fn a_stature_needs_a_model_that_tells_its_height() {
    let recording = Recording::new();
    let body = include_str!("../data/body.osim");
    assert!(body.contains("<Marker name=\"Head\">"));
    recording.put("headless.osim", &body.replace("<Marker name=\"Head\">", "<Marker name=\"Hat\">"));
    let model = ["--model", "session/headless.osim"];
    recording.refused(&[&model[..], &["--stature", "1.7"]].concat(), &["--stature 1.7", "top of the head"]);
    let output = recording.fit(&[&model[..], &["--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let outcome: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(outcome["height_m"].is_null() && outcome["status"] != "failed", "{outcome}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_output_is_named() {
    let recording = Recording::new();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_kinefit"))
        .current_dir(recording.place.path())
        .args(["fit", "session", "--json", "--frames", "2..8"])
        .stdout(full)
        .output()
        .unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("standard output: cannot be written") && !said.contains("--out"), "{said}");
}

#[test]
fn usage_errors_are_bad_input() {
    let place = tempfile::tempdir().unwrap();
    for arguments in [
        &["fit"][..],
        &["fit", "x", "--frames", "5-9"],
        &["fit", "x", "--threads", "0"],
        &["fit", "x", "--refine-cameras=maybe"],
        &["fit", "x", "--device", "cuda"],
        &["dance"],
    ] {
        assert_eq!(kinefit(place.path(), arguments).status.code(), Some(2), "{arguments:?}");
    }
    let output = kinefit(place.path(), &["fit", "absent"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("absent: does not exist"));
    assert_eq!(kinefit(place.path(), &["--help"]).status.code(), Some(0));
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

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
fn a_folder_that_cannot_be_written() {
    // The user may be root, whom no permission stops; nobody can make a folder under a file.
    let recording = Recording::new();
    fs::write(recording.place.path().join("file"), "mine").unwrap();
    let arguments = ["fit", "session", "--out", "file/results"];
    let output = kinefit(recording.place.path(), &arguments);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.contains("file/results: cannot be written") && said.contains("--out"), "{said}");
    assert!(!said.contains("finding first poses"), "the fit was run before: {said}");
    assert_eq!(fs::read_to_string(recording.place.path().join("file")).unwrap(), "mine");
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

#[test]
fn a_bad_trial_is_said_to_be_and_the_others_are_written() {
    let recording = Recording::new();
    let copy = |c: usize, text: &str| {
        for file in recording.files(c) {
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            recording.put(&format!("run/pose/cam{c:02}_json/{name}"), text);
        }
    };
    (1..=3).for_each(|c| copy(c, "{}"));
    let output = recording.fit(&[]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("warning: Trial run failed and was left out: is empty"), "{said}");
    let summary = stdout(&output);
    assert!(summary.contains("1 of 2 trials (run failed)") && summary.contains("Trial run failed"), "{summary}");
    let at = |name: &str| recording.place.path().join("results").join(name);
    let outcome: Value = serde_json::from_slice(&fs::read(at("outcome.json")).unwrap()).unwrap();
    assert_ne!(outcome["status"], "failed");
    let [run, walk] = [0, 1].map(|i| &outcome["trials"][i]);
    assert_eq!(
        (&run["name"], &run["status"], &run["stage"], &run["frames"]),
        (&json!("run"), &json!("failed"), &json!("read"), &json!(0))
    );
    assert!(
        run["reason"].as_str().unwrap().contains("is empty") && run["advice"].as_str().unwrap().len() > 10,
        "{run}"
    );
    assert_eq!((&walk["name"], &walk["status"]), (&json!("walk"), &outcome["status"]));
    assert!(
        at("walk.mot").is_file() && !at("run.mot").exists() && !at("run.trc").exists() && !at("run.sd.csv").exists()
    );
    assert!(fs::read_to_string(at("manifest.json")).unwrap().contains("trial `run` failed and was left out"));
    assert!(fs::read_to_string(at("report.html")).unwrap().contains("is empty"));
    // What is there can be read back and compared.
    let evaluated = kinefit(recording.place.path(), &["evaluate", "results", "--truth", "session", "--json"]);
    assert_eq!(evaluated.status.code(), Some(0), "{}", stderr(&evaluated));
    // Where somebody was seen, but by one camera only, fitting finds it out.
    copy(1, &fs::read_to_string(&recording.files(1)[0]).unwrap());
    let output = recording.fit(&["--json"]);
    let outcome: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(outcome["trials"][0]["reason"].as_str().unwrap().contains("two cameras"), "{}", outcome["trials"][0]);
}

/// Cameras two and a half times as far apart as they were see a giant.
#[test]
fn a_fit_of_nobody_is_written_as_failed() {
    let recording = Recording::new();
    let mut rig = calibration::read(&recording.calibration()).unwrap();
    rig.iter_mut().for_each(|c| c.camera_from_world.translation.vector *= 2.5);
    calibration::write_toml(&recording.calibration(), &rig).unwrap();
    let output = recording.fit(&[]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stdout(&output).contains("failed – "), "{}", stdout(&output));
    let text = fs::read(recording.place.path().join("results/outcome.json")).unwrap();
    let outcome: Value = serde_json::from_slice(&text).unwrap();
    for at in [&outcome, &outcome["trials"][0]] {
        assert_eq!((&at["status"], &at["stage"]), (&json!("failed"), &json!("sanity")));
        assert!(
            at["reason"].as_str().unwrap().contains("no person") && at["advice"].as_str().unwrap().len() > 10,
            "{at}"
        );
    }
}

/// A body that may slide to wherever it likes, for it carries no marker and its place has no range: its deviation is infinite.
#[test]
fn a_fit_that_breaks_down_leaves_an_outcome() {
    let recording = Recording::new();
    let stick = include_str!("data/stick.xml");
    let torso = r#"<body name="torso" pos="-0.02 0 0.1">"#;
    assert!(stick.contains(torso));
    let tail = r#"<body name="tail" pos="0 0 0"><joint name="tail_slide" type="slide" axis="1 0 0"/></body>"#;
    recording.put("tail.xml", &stick.replace(torso, &format!("{torso}{tail}")));
    // What an earlier fit left there must not be taken for this one's.
    assert_eq!(recording.fit(&[]).status.code(), Some(0));
    let output = recording.fit(&["--model", "session/tail.xml", "--json"]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the fit failed in stage `covariance`"), "{said}");
    let at = |name: &str| recording.place.path().join("results").join(name);
    assert_eq!(output.stdout, fs::read(at("outcome.json")).unwrap());
    let outcome: Value = serde_json::from_slice(&output.stdout).unwrap();
    for at in [&outcome, &outcome["trials"][0]] {
        assert_eq!((&at["status"], &at["stage"]), (&json!("failed"), &json!("covariance")));
        assert!(at["reason"].as_str().unwrap().contains("`tail_slide`"), "{at}");
        assert!(at["advice"].as_str().unwrap().contains("lock the coordinate"), "{at}");
    }
    let manifest: Value = serde_json::from_slice(&fs::read(at("manifest.json")).unwrap()).unwrap();
    assert!(manifest["inputs"].as_array().is_some_and(|inputs| inputs.len() > 2), "{manifest}");
    let mut left: Vec<_> = fs::read_dir(at("")).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["manifest.json", "outcome.json"]);
}

#[test]
fn models_and_groups_that_cannot_be_read() {
    let recording = Recording::new();
    recording.put("model.osim", "<OpenSimDocument Version=\"40500\"><Model>");
    let path = recording.path("model.osim");
    recording.refused(&["--model", path.to_str().unwrap()], &["model.osim"]);
    recording.put("groups.json", r#"{"groups": {"tail": ["tail_bone"]}}"#);
    let path = recording.path("groups.json");
    recording.refused(&["--scale-groups", path.to_str().unwrap()], &["groups.json", "tail"]);
    recording.refused(&["--stature", "173"], &["--stature", "metres"]);
    recording.refused(&["--person", "3"], &["--person"]);
    recording.refused(&["--frames", "50..60"], &["0 to 11", "--frames"]);
}

/// The first Ctrl-C ends the fit with what it has.
#[cfg(unix)]
#[test]
fn ctrl_c_writes_the_best_so_far() {
    use std::io::{BufRead, BufReader, Read};
    let place = tempfile::tempdir().unwrap();
    let made = kinefit(place.path(), &["synth", "--out", "long", "--frames", "900", "--cameras", "6"]);
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    let mut running = Command::new(env!("CARGO_BIN_EXE_kinefit"))
        .current_dir(place.path())
        .args(["fit", "long", "--out", "out", "--json"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(running.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("poses and body size") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "the fit ended before its first stage");
    }
    assert!(Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap().success());
    let mut outcome = String::new();
    running.stdout.take().unwrap().read_to_string(&mut outcome).unwrap();
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("stopping after this iteration"), "{rest}");
    assert_eq!(running.wait().unwrap().code(), Some(0), "{rest}");
    let outcome: Value = serde_json::from_str(&outcome).unwrap();
    assert_eq!(outcome["status"], "usable");
    assert!(outcome["reason"].as_str().unwrap().contains("stopped"));
    assert!(place.path().join("out/long.mot").exists() || place.path().join("out/walk.mot").exists());
}

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
    let Some(shared) = shared() else { return };
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
fn a_recorded_session_is_fitted() {
    let Some(shared) = shared() else { return };
    let place = tempfile::tempdir().unwrap();
    let session = shared.join("data/balancing").display().to_string();
    let output = kinefit(place.path(), &["fit", &session, "--out", "out", "--refine-cameras=false"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let outcome: Value = serde_json::from_slice(&fs::read(place.path().join("out/outcome.json")).unwrap()).unwrap();
    assert_eq!(outcome["trials"][0]["frames"], 100);
}

#[test]
fn models_convert_with_proof_and_refuse_what_they_cannot_hold() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let place = tempfile::tempdir().unwrap();
    let model = place.path().join("body.xml");
    let out = kinefit(here, &["convert", "data/body.osim", &model.display().to_string()]);
    assert!(out.status.success(), "{out:?}");
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(said.contains("99 compared in 201 poses of 44 coordinates"), "{said}");
    let back = place.path().join("back.osim");
    assert!(kinefit(here, &["convert", &model.display().to_string(), &back.display().to_string()]).status.success());
    let out = kinefit(here, &["convert", "data/body.osim", &place.path().join("walk.trc").display().to_string()]);
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("`.osim` cannot become `.trc`"));
    assert!(!place.path().join("walk.trc").exists());
}

#[test]
fn markers_in_space_give_a_motion() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let place = tempfile::tempdir().unwrap();
    let trc = place.path().join("still.trc");
    // Four markers of the default pose, as `fk` tells them; one of another name.
    std::fs::write(place.path().join("q.json"), r#"{"poses": [{"q": {"pelvis_ty": 1.0}}]}"#).unwrap();
    let at = |name: &str| place.path().join(name).display().to_string();
    let out = kinefit(here, &["fk", "--coordinates", &at("q.json")]);
    let positions: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let names = ["RHip", "LHip", "RKnee", "LKnee"];
    let cells: Vec<String> = names
        .iter()
        .flat_map(|n| (0..3).map(move |i| (n, i)))
        .map(|(n, i)| positions["poses"][0]["markers"][n][i].to_string())
        .collect();
    let text = format!(
        "PathFileType\t4\t(X/Y/Z)\tstill.trc\nDataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames\n\
         50\t50\t2\t5\tm\t50\t1\t2\nFrame#\tTime\t{}\t\t\tStranger\t\t\n\t\t{labels}\n1\t0\t{c}\t9\t9\t9\n2\t0.02\t{c}\t9\t9\t9\n",
        names.join("\t\t\t"),
        labels = (1..=5).map(|i| format!("X{i}\tY{i}\tZ{i}")).collect::<Vec<_>>().join("\t"),
        c = cells.join("\t")
    );
    std::fs::write(&trc, text).unwrap();
    let out =
        kinefit(here, &["ik", "--markers", &trc.display().to_string(), "--independent-frames", "--out", &at("out")]);
    assert!(out.status.success(), "{out:?}");
    assert!(String::from_utf8_lossy(&out.stderr).contains("Stranger"), "{out:?}");
    for name in ["still_ik.mot", "still_ik.trc", "still_ik_errors.csv", "still_ik.json"] {
        assert!(place.path().join("out").join(name).is_file(), "{name}");
    }
    let figures: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(place.path().join("out/still_ik.json")).unwrap()).unwrap();
    assert_eq!(figures["status"], "converged");
    assert!(figures["rms_m"].as_f64().unwrap() < 1e-8, "{figures}");
    assert_eq!(figures["not_in_model"][0], "Stranger");
    let absent = figures["not_in_trial"].as_array().unwrap();
    assert!(absent.iter().any(|name| name == "RAnkle") && !absent.iter().any(|name| name == "RKnee"), "{figures}");
    let said = stderr(&out);
    assert!(said.contains("lacks markers of the trial still: Stranger;"), "{said}");
    assert!(said.contains("The trial still lacks markers of the model:") && said.contains("RAnkle"), "{said}");
    // Neither what is measured nor what is converted is ever written over.
    let out = kinefit(here, &["ik", "--markers", &at("still.trc"), "--independent-frames", "--out", &at("")]);
    assert!(out.status.success(), "{out:?}");
    assert!(std::fs::read_to_string(&trc).unwrap().contains("Stranger"));
    let out = kinefit(here, &["convert", &at("still.trc"), &at("still.trc")]);
    assert_eq!(out.status.code(), Some(2));
}
