//! What holds of both formats: writing and reading back, damaged and endless input.

use crate::{ARM, LEG, data, kinematics, moves_the_same, some_pose, some_subject};
use kinefit::skeleton::{
    Offsets, ScaleGroups, Scales, Skeleton, UpAxis, read_model, read_model_str, write_mjcf, write_osim,
};
use proptest::prelude::*;
use std::io::Write;

#[test]
fn models_are_written_in_their_own_format_and_the_other() {
    let arm = read_model_str("arm.osim", ARM).unwrap();
    let leg = read_model_str("leg.xml", LEG).unwrap();
    for (skeleton, unchanged) in [(&arm, ARM), (&leg, LEG)] {
        let (ones, zeros) = (Scales::ones(skeleton), Offsets::zeros(skeleton));
        let own = if skeleton.up == UpAxis::Y { write_osim } else { write_mjcf };
        assert_eq!(own(skeleton, &ones, &zeros).unwrap(), unchanged, "nothing fitted, nothing changed");
        let (scales, offsets) = some_subject(skeleton);
        let osim = read_model_str("w.osim", &write_osim(skeleton, &scales, &offsets).unwrap()).unwrap();
        moves_the_same(skeleton, &scales, &offsets, &osim);
        let mjcf = read_model_str("w.xml", &write_mjcf(skeleton, &scales, &offsets).unwrap()).unwrap();
        moves_the_same(skeleton, &scales, &offsets, &mjcf);
        assert_eq!(mjcf.up, skeleton.up);
        // And one made in memory.
        let mut loose = skeleton.scaled(&scales, &offsets);
        loose.source = kinefit::skeleton::ModelSource::None;
        let osim = read_model_str("w.osim", &write_osim(&loose, &ones, &zeros).unwrap()).unwrap();
        moves_the_same(skeleton, &scales, &offsets, &osim);
    }
    let whole = read_model(&data("body.xml")).unwrap();
    let (mut scales, offsets) = some_subject(&whole);
    for factors in &mut scales.0 {
        *factors = [factors[0]; 3];
    }
    let written = write_mjcf(&whole, &scales, &offsets).unwrap();
    moves_the_same(&whole, &scales, &offsets, &read_model_str("w.xml", &written).unwrap());
    let refused = write_osim(&whole, &scales, &offsets).unwrap_err().to_string();
    assert!(
        refused.contains("body.xml:") && refused.contains("by_axisangle") && refused.contains("different centres"),
        "{refused}"
    );
    let joints = read_model(&data("every_joint.osim")).unwrap();
    let refused = write_mjcf(&joints, &Scales::ones(&joints), &Offsets::zeros(&joints)).unwrap_err().to_string();
    assert!(
        refused.contains("every_joint.osim:") && refused.contains("custom") && refused.contains("directly"),
        "{refused}"
    );
}

/// OpenSim 4.6 opens neither a clamped coordinate whose default lies outside its range nor a joint that turns twice about one axis; MuJoCo both.
#[test]
fn no_model_is_written_that_opensim_does_not_open() {
    let read = |joints: &str| {
        let body = format!("<body name=\"a\">{joints}<site name=\"s\" pos=\"0.3 0 0\"/></body>");
        read_model_str("m.xml", &format!("<mujoco><worldbody>{body}</worldbody></mujoco>")).unwrap()
    };
    let written = |s: &Skeleton| write_osim(s, &Scales::ones(s), &Offsets::zeros(s));
    let away = read(r#"<joint name="j" range="10 40" limited="true"/>"#);
    let back = read_model_str("w.osim", &written(&away).unwrap()).unwrap();
    assert!(!back.coordinates[0].clamped && back.coordinates[0].range == away.coordinates[0].range);
    let reached = read(r#"<joint name="j" range="-10 40" limited="true"/>"#);
    assert!(read_model_str("w.osim", &written(&reached).unwrap()).unwrap().coordinates[0].clamped);
    let turns = ["0 0 1", "0 1 0", "0 0 -1"].map(|axis| format!("<joint axis=\"{axis}\"/>"));
    let refused = written(&read(&turns.concat())).unwrap_err().to_string();
    assert!(refused.contains("<body name=\"a\">") && refused.contains("two rotations along one axis"), "{refused}");
}

#[test]
fn scale_groups_say_what_is_wrong() {
    let arm = read_model_str("arm.osim", ARM).unwrap();
    let good = r#"{"groups": {"second": ["upper:xy"], "first": ["upper", "forearm:z"]}, "notes": "ignored"}"#;
    let groups = ScaleGroups::from_json("g.json", good, &arm).unwrap();
    assert_eq!(groups.groups[0].name, "second", "in the file's order");
    assert_eq!(
        groups.factors(&arm, &[0.1, 0.2]).0,
        [[1.0; 3], [1.0 + 0.1 + 0.2, 1.0 + 0.1 + 0.2, 1.2], [1.0, 1.0, 1.2]]
    );
    for (text, said) in [
        (r#"{"groups": {"a": ["uper"]}}"#, "`upper`"),
        (r#"{"groups": {"a": ["upper:w"]}}"#, "axes"),
        (r#"{"groups": {"a": ["ground"]}}"#, "ground"),
        (r#"{"groups": {"a": []}}"#, "no bodies"),
        (r#"{"groups": {"a": ["upper", "upper:x"]}}"#, "twice"),
        (r#"{"groups": {"a": ["upper"], "a": ["upper"]}}"#, "second group"),
        (r#"{"groups": {}}"#, "no groups"),
        (r#"{"groups": {"a": ["upper""#, "g.json:1"),
        ("", "g.json"),
    ] {
        let error = ScaleGroups::from_json("g.json", text, &arm).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("g.json"), "{text}: {error}");
    }
}

/// A gigabyte in one attribute is refused unread; what is read and quoted is cut short.
#[test]
fn endless_attributes_make_no_endless_messages() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge.osim");
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(b"<OpenSimDocument Version=\"").unwrap();
    // A hole: it takes no room on the disk.
    file.set_len(1 << 30).unwrap();
    let error = read_model(&path).unwrap_err().to_string();
    assert!(error.contains("huge.osim: the file has more than"), "{error}");

    let long = "x".repeat(20_000_000);
    for text in [
        format!("<OpenSimDocument Version=\"{long}\"/>"),
        ARM.replace("\"forearm\"", &format!("\"{long}\"")),
        ARM.replace("0.25 0 0", &long),
        LEG.replace("type=\"slide\"", &format!("type=\"{long}\"")),
        LEG.replace("joint2=\"knee\"", &format!("joint2=\"{long}\"")),
        format!("<{long}/>"),
    ] {
        let error = read_model_str("m.osim", &text).unwrap_err().to_string();
        assert!(error.len() < 20_000 && error.starts_with("m.osim"), "{} bytes", error.len());
    }
}

proptest! {
    /// Whatever is cut out of or put into a model, reading gives a skeleton or an error.
    #[test]
    fn damaged_models_do_not_panic(at in 0.0f64..1.0, cut in 0usize..40, put in "[<>/\"= a-zA-Z0-9.-]{0,12}", which in 0..2) {
        let text = [ARM, LEG][which as usize];
        let start = (at * text.len() as f64) as usize;
        let end = (start + cut).min(text.len());
        let damaged = format!("{}{put}{}", &text[..start], &text[end..]);
        if let Ok(skeleton) = read_model_str("damaged", &damaged) {
            let q = some_pose(&skeleton, 0.3);
            let frame = kinematics(&skeleton, &Scales::ones(&skeleton), &Offsets::zeros(&skeleton), &q);
            prop_assert!(frame.origins.iter().all(|p| p.iter().all(|v| v.is_finite() || v.abs() > 1e100)));
            let _ = write_osim(&skeleton, &Scales::ones(&skeleton), &Offsets::zeros(&skeleton));
            let _ = write_mjcf(&skeleton, &Scales::ones(&skeleton), &Offsets::zeros(&skeleton));
        }
    }
}
