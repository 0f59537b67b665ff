//! `kinefit fit`: what it writes, says and ends with.

use crate::common::shared;
use crate::{Recording, kinefit, stderr, stdout};
use kinefit::camera::calibration;
use kinefit::fit::{FitOptions, fit_session};
use kinefit::session::{self, ReadOptions};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

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
    let body = include_str!("../../data/body.osim");
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
    assert!(said.contains("warning: Trial run failed and was left out: session/run/pose: is empty"), "{said}");
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
    assert!(outcome["trials"][0]["reason"].as_str().unwrap().contains("only camera cam01"), "{}", outcome["trials"][0]);
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
    let stick = include_str!("../data/stick.xml");
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
fn a_recorded_session_is_fitted() {
    let Some(shared) = shared("") else { return };
    let place = tempfile::tempdir().unwrap();
    let session = shared.join("data/balancing").display().to_string();
    let output = kinefit(place.path(), &["fit", &session, "--out", "out", "--refine-cameras=false"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let outcome: Value = serde_json::from_slice(&fs::read(place.path().join("out/outcome.json")).unwrap()).unwrap();
    assert_eq!(outcome["trials"][0]["frames"], 100);
}
