//! `kinefit ik`.

use crate::{kinefit, stderr};
use std::path::Path;

/// A trial of two frames: four markers of the default pose, as `fk` tells them; one of another name.
fn still(folder: &Path) -> String {
    std::fs::write(folder.join("q.json"), r#"{"poses": [{"q": {"pelvis_ty": 1.0}}]}"#).unwrap();
    let out = kinefit(folder, &["fk", "--coordinates", "q.json"]);
    let positions: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let names = ["RHip", "LHip", "RKnee", "LKnee"];
    let cells: Vec<String> = names
        .iter()
        .flat_map(|n| (0..3).map(move |i| (n, i)))
        .map(|(n, i)| positions["poses"][0]["markers"][n][i].to_string())
        .collect();
    format!(
        "PathFileType\t4\t(X/Y/Z)\tstill.trc\nDataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames\n\
         50\t50\t2\t5\tm\t50\t1\t2\nFrame#\tTime\t{}\t\t\tStranger\t\t\n\t\t{labels}\n1\t0\t{c}\t9\t9\t9\n2\t0.02\t{c}\t9\t9\t9\n",
        names.join("\t\t\t"),
        labels = (1..=5).map(|i| format!("X{i}\tY{i}\tZ{i}")).collect::<Vec<_>>().join("\t"),
        c = cells.join("\t")
    )
}

#[test]
fn markers_in_space_give_a_motion() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let place = tempfile::tempdir().unwrap();
    let trc = place.path().join("still.trc");
    let at = |name: &str| place.path().join(name).display().to_string();
    std::fs::write(&trc, still(place.path())).unwrap();
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
    assert!(figures["autocorrelation_frames"].is_null(), "every frame on its own");
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

/// A TRC does not say which axis points up: whoever lies in it is spoken of, and can be set upright.
#[test]
fn a_subject_that_lies_is_spoken_of() {
    let place = tempfile::tempdir().unwrap();
    let upright = still(place.path());
    let (head, body) = upright.split_at(upright.find("\n1\t0\t").unwrap() + 1);
    let turned: String = body
        .lines()
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let (own, xyz) = cells.split_at(2);
            let xyz: Vec<String> = xyz.chunks(3).map(|p| [p[2], p[0], p[1]].join("\t")).collect();
            format!("{}\t{}\n", own.join("\t"), xyz.join("\t"))
        })
        .collect();
    std::fs::write(place.path().join("z.trc"), format!("{head}{turned}")).unwrap();
    for apart in [&["--independent-frames"][..], &[]] {
        let run = |more: &[&str]| kinefit(place.path(), &[&["ik", "--markers", "z.trc"], apart, more].concat());
        let said = stderr(&run(&[]));
        assert!(said.contains("the trial z") && said.contains("leans by 90°") && said.contains("--up z"), "{said}");
        let out = run(&["--up", "z"]);
        assert!(out.status.success() && !stderr(&out).contains("leans"), "{out:?}");
        let figures = std::fs::read_to_string(place.path().join("kinefit_ik/z_ik.json")).unwrap();
        let figures: serde_json::Value = serde_json::from_str(&figures).unwrap();
        assert!(figures["leans_deg"].as_f64().unwrap() < 1.0, "{figures}");
    }
}

/// What a file says of itself and is not so is an error where numbers would be wrong, otherwise a warning, each with its place.
#[test]
fn what_files_say_of_themselves_is_held_against_them() {
    let place = tempfile::tempdir().unwrap();
    let good = still(place.path());
    // A frame more every 0.02 s.
    let (head, last) = good.trim_end().rsplit_once('\n').unwrap();
    let cells = last.split_once('\t').unwrap().1.split_once('\t').unwrap().1;
    let rows: Vec<String> = (2..=20).map(|f| format!("{f}\t{:.2}\t{cells}", 0.02 * f64::from(f - 1))).collect();
    let good = format!("{head}\n{}\n", rows.join("\n")).replace("50\t50\t2\t", "50\t50\t20\t");
    let put = |name: &str, from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        std::fs::write(place.path().join(name), good.replacen(from, to, 1)).unwrap();
    };
    let run = |name: &str| kinefit(place.path(), &["ik", "--markers", name, "--independent-frames", "--out", "out"]);
    for (from, to, parts) in [
        ("50\t50\t20\t5\tm\t", "50\t50\t20\t5\t", ["Units is `50`", "line 2 names 8 values where this line has 7"]),
        ("50\t50\t20\t5\tm", "50\t20\t5\tm", ["NumMarkers is `m`", "put in what is missing"]),
        ("\t5\tm\t", "\t5\tfeet\t", ["the unit of length `feet`", "line 3"]),
        ("\t5\tm\t", "\t5\tmm\t", ["1/1000 as far apart as those of the model", "check the unit"]),
        ("RKnee", "RHip", ["line 4: the marker `RHip` stands twice", "marker 1 and 3"]),
    ] {
        put("bad.trc", from, to);
        let out = run("bad.trc");
        assert_eq!(out.status.code(), Some(2), "{to}: {out:?}");
        for part in parts.iter().chain(&["bad.trc"]) {
            assert!(stderr(&out).contains(part), "{part} is not in {}", stderr(&out));
        }
    }
    for (from, to, part) in [
        ("50\t50\t20\t", "50\t50\t400\t", "says that there are 400 frames, and there are 20; all of them are read"),
        ("50\t50\t20\t", "0\t50\t20\t", "DataRate is not a positive number; taken from the times of the frames, 50.00"),
        ("50\t50\t20\t", "NaN\t50\t20\t", "DataRate is not a positive number"),
        ("50\t50\t20\t", "100\t50\t20\t", "DataRate is 100, and the times of the frames have 50.00 a second"),
    ] {
        put("odd.trc", from, to);
        let out = run("odd.trc");
        assert!(out.status.success(), "{out:?}");
        let said = stderr(&out);
        assert!(said.contains("warning: odd.trc, line 3: ") && said.contains(part), "{part} is not in {said}");
    }
    put("good.trc", "RHip", "RHip");
    assert!(!stderr(&run("good.trc")).contains("line 3"));
    assert!(kinefit(place.path(), &["convert", "good.trc", "good.c3d"]).status.success());
    let whole = std::fs::read(place.path().join("good.c3d")).unwrap();
    let changed = |at: usize, bytes: &[u8]| {
        let mut file = whole.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        std::fs::write(place.path().join("odd.c3d"), file).unwrap();
        let out = run("odd.c3d");
        (out.status.code(), stderr(&out))
    };
    // Words 5, 9, and the float in 11 and 12: the last frame, the block of the data, the rate.
    let (code, said) = changed(8, &6u16.to_le_bytes());
    assert!(code == Some(0) && said.contains("the header counts 6 frames and POINT:FRAMES 20"), "{said}");
    assert!(said.contains("counts 6 frames, and the file goes on behind them"), "{said}");
    let (code, said) = changed(8, &300u16.to_le_bytes());
    assert!(
        code == Some(2) && said.contains("the header says that there are 300 frames, and the file holds 2"),
        "{said}"
    );
    let (_, said) = changed(16, &2u16.to_le_bytes());
    assert!(said.contains("its data begin in block 2 and POINT:DATA_START"), "{said}");
    let (code, said) = changed(20, &200f32.to_le_bytes());
    assert!(code == Some(0) && said.contains("the header says 200 frames per second and POINT:RATE 50"), "{said}");
    let (code, said) = changed(12, &0f32.to_le_bytes());
    assert!(code == Some(2) && said.contains("odd.c3d: the scale of its numbers is 0 in the header"), "{said}");
}

/// Tasks of the scale tool are for the pose that a subject stands in.
/// Frames without markers, places at exactly the origin, tasks that nobody has, names in other letters: each is said.
#[test]
fn what_does_not_count_is_said() {
    let place = tempfile::tempdir().unwrap();
    let good = still(place.path());
    let (head, last) = good.trim_end().rsplit_once('\n').unwrap();
    let cells = last.split_once('\t').unwrap().1.split_once('\t').unwrap().1;
    let row = |f: usize, cells: &str| format!("{f}\t{:.2}\t{cells}", 0.02 * (f - 1) as f64);
    let first = cells.split('\t').take(3).collect::<Vec<_>>().join("\t");
    let rows: Vec<String> = (2..=20)
        .map(|f| match f {
            5..=9 => row(f, &"\t".repeat(14)),
            12 => row(f, &cells.replacen(&first, "0\t0\t0", 1)),
            _ => row(f, cells),
        })
        .collect();
    let trial = format!("{head}\n{}\n", rows.join("\n")).replace("50\t50\t2\t", "50\t50\t20\t");
    let put = |name: &str, text: &str| std::fs::write(place.path().join(name), text).unwrap();
    put("trial.trc", &trial);
    let task =
        |name: &str| format!("<IKMarkerTask name=\"{name}\"><apply>true</apply><weight>1</weight></IKMarkerTask>");
    let tasks = ["RHip", "LHip", "RKnee", "LKneee"].map(task).concat();
    put(
        "tasks.xml",
        &format!(
            "<OpenSimDocument Version=\"40000\"><IKTaskSet><objects>{tasks}</objects></IKTaskSet></OpenSimDocument>"
        ),
    );
    let run = |trial: &str, more: &[&str]| {
        let fixed = ["ik", "--markers", trial, "--independent-frames", "--out", "out"];
        kinefit(place.path(), &fixed.iter().chain(more).copied().collect::<Vec<_>>())
    };
    let out = run("trial.trc", &["--tasks", "tasks.xml"]);
    assert!(out.status.success(), "{out:?}");
    for part in [
        "hardly any marker was seen from 0.080 to 0.160 s",
        "1 positions are exactly 0 0 0",
        "that the model or the trials lack: LKneee",
        "Markers without a task are not used: LKnee.",
    ] {
        assert!(stderr(&out).contains(part), "{part} is not in {}", stderr(&out));
    }
    let figures: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(place.path().join("out/trial_ik.json")).unwrap()).unwrap();
    // Two of three markers are left in frame 12, too.
    assert_eq!(figures["gaps"], serde_json::json!([[0.08, 0.16], [0.22, 0.22]]));
    assert!(figures["rms_m"].as_f64().unwrap() < 1e-8, "{figures}");
    put(
        "low.trc",
        &["RHip", "LHip", "RKnee", "LKnee"].iter().fold(trial.clone(), |t, n| t.replace(n, &n.to_lowercase())),
    );
    let out = run("low.trc", &[]);
    assert_eq!(out.status.code(), Some(2), "{out:?}");
    assert!(stderr(&out).contains("only spelt in another way (`rhip` for `RHip`"), "{}", stderr(&out));
}

#[test]
fn a_setup_of_the_scale_tool_has_no_tasks_for_motions() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("still.trc"), still(place.path())).unwrap();
    let setup = "<OpenSimDocument Version=\"40000\"><ScaleTool name=\"a\"><MarkerPlacer><IKTaskSet><objects><IKMarkerTask name=\"RHip\"><weight>1</weight></IKMarkerTask></objects></IKTaskSet></MarkerPlacer></ScaleTool></OpenSimDocument>";
    std::fs::write(place.path().join("setup.xml"), setup).unwrap();
    let out = kinefit(place.path(), &["ik", "--markers", "still.trc", "--tasks", "setup.xml", "--out", "out"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(stderr(&out).contains("setup.xml:1, <ScaleTool name=\"a\">") && stderr(&out).contains("kinefit scale"));
}

/// Of several trials, the one that cannot be used is named by its file.
#[test]
fn a_trial_that_cannot_be_used_is_named() {
    let place = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(place.path().join(name), text).unwrap();
    let good = still(place.path());
    put("good.trc", &good);
    put("others.trc", &good.replace("RKnee", "r").replace("LKnee", "l").replace("RHip", "hip"));
    put("three.trc", &good.replace("RKnee", "r"));
    let far = good.replacen("\n2\t0.02\t-", "\n2\t0.02\t-99999", 1);
    assert_ne!(far, good, "the first cell is negative");
    put("far.trc", &far);
    for (bad, apart, parts) in [
        ("others.trc", true, ["others.trc: 1 of the trial's 5 markers", "--marker-set"]),
        ("others.trc", false, ["others.trc: 1 of the trial's 5 markers", "--marker-set"]),
        ("three.trc", false, ["three.trc: in no frame are 4 markers", "names"]),
        ("far.trc", true, ["far.trc, marker `RHip` at 0.02 s", "unit"]),
        ("far.trc", false, ["far.trc, marker `RHip` at 0.02 s", "unit"]),
    ] {
        let mut arguments = vec!["ik", "--markers", "good.trc", "--markers", bad, "--out", "out"];
        arguments.extend(apart.then_some("--independent-frames"));
        let out = kinefit(place.path(), &arguments);
        assert_eq!(out.status.code(), Some(2), "{bad}");
        let said = stderr(&out);
        parts.iter().for_each(|part| assert!(said.contains(part), "`{part}` is not in {said}"));
    }
}

/// A file of coordinates that nothing would be taken from is no silent nothing.
#[test]
fn coordinates_that_nothing_follows_are_a_mistake() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("still.trc"), still(place.path())).unwrap();
    let tasks = |kind: &str| {
        let text = format!(
            r#"<OpenSimDocument Version="40000"><IKTaskSet name="t"><objects><IKMarkerTask name="RHip"><apply>true</apply><weight>1</weight></IKMarkerTask>
<IKCoordinateTask name="knee_angle_r"><apply>true</apply><weight>1</weight><value_type>{kind}</value_type></IKCoordinateTask></objects></IKTaskSet></OpenSimDocument>"#
        );
        std::fs::write(place.path().join("tasks.xml"), text).unwrap();
    };
    tasks("from_file");
    for (more, kind, said) in [
        (&["--tasks", "tasks.xml"][..], "from_file", "add --independent-frames"),
        (&["--independent-frames"], "from_file", "give the tasks with --tasks"),
        (&["--independent-frames", "--tasks", "tasks.xml"], "default_value", "none of the tasks takes its value"),
    ] {
        tasks(kind);
        let mut arguments = vec!["ik", "--markers", "still.trc", "--coordinates", "knee.mot", "--out", "out"];
        arguments.extend(more);
        let out = kinefit(place.path(), &arguments);
        assert_eq!(out.status.code(), Some(2), "{said}");
        assert!(stderr(&out).contains("knee.mot: ") && stderr(&out).contains(said), "{}", stderr(&out));
        assert!(!place.path().join("out").exists());
    }
}
