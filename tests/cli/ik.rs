//! `kinefit ik`.

use crate::{kinefit, stderr};
use std::path::Path;

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
