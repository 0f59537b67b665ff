//! The embedded session is what its options make, with the body that is built in.
//!
//! After a change of either, `KINEFIT_RENEW=1 cargo test --release --test demo` writes `data/demo.json` anew.

use kinefit::fit::{FitOptions, Status, default_skeleton, fit_session};
use kinefit::quality::evaluate;
use kinefit::report::{OutputFolder, Provenance, read_folder, write_all};
use kinefit::session::Session;
use kinefit::skeleton::ScaleGroups;
use kinefit::synthetic::{Truth, demo, demo_options, generate};
use serde_json::json;
use std::path::Path;

/// What the file is rounded to: pixels and confidences, and, for the truth, as it writes itself.
const DECIMALS: f64 = 1e3;

fn made() -> (Session, Truth) {
    let skeleton = default_skeleton().unwrap();
    let groups = ScaleGroups::default_for(&skeleton);
    let mut made = generate(&skeleton, &groups, &demo_options()).unwrap();
    made.session.name = "demo".into();
    for trial in &mut made.session.trials {
        trial.detections.data.iter_mut().flatten().for_each(|x| *x = (*x * DECIMALS).round() / DECIMALS);
    }
    let truth = Truth::from_json(&made.truth.to_json(), "truth").unwrap();
    (made.session, truth)
}

#[test]
fn the_embedded_session_is_what_its_options_make() {
    let (session, truth) = made();
    if std::env::var_os("KINEFIT_RENEW").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/demo.json");
        std::fs::write(path, json!({ "session": session, "truth": truth }).to_string() + "\n").unwrap();
        panic!("data/demo.json was written anew; run the test again, without KINEFIT_RENEW");
    }
    let (embedded, embedded_truth) = demo().unwrap();
    assert_eq!(embedded.keypoints, session.keypoints);
    assert_eq!((embedded.trials.len(), embedded.z_up), (session.trials.len(), session.z_up));
    // Sines differ in their last bits from machine to machine, and what is rounded may then fall to the other side.
    for (a, b) in embedded.trials.iter().zip(&session.trials) {
        assert_eq!((a.detections.frames, a.detections.cameras), (b.detections.frames, b.detections.cameras));
        let apart =
            a.detections.data.iter().flatten().zip(b.detections.data.iter().flatten()).map(|(x, y)| (x - y).abs());
        assert!(apart.fold(0.0, f64::max) < 2.0 / DECIMALS, "renew data/demo.json: see the head of this file");
    }
    for (a, b) in embedded.rig.iter().zip(&session.rig) {
        assert!((a.centre_in_world() - b.centre_in_world()).norm() < 1e-9);
    }
    assert_eq!(embedded_truth.coordinates, truth.coordinates);
    assert_eq!(embedded_truth.markers, truth.markers);
    for (a, b) in embedded_truth.trials.iter().zip(&truth.trials) {
        let apart =
            a.markers.iter().flatten().flatten().zip(b.markers.iter().flatten().flatten()).map(|(x, y)| (x - y).abs());
        assert!(apart.fold(0.0, f64::max) < 2e-7, "renew data/demo.json: see the head of this file");
    }
}

#[test]
fn its_fit_is_close_to_the_truth_and_is_read_back_from_its_folder() {
    let (session, truth) = demo().unwrap();
    let fit = fit_session(&session, &FitOptions::default()).unwrap();
    assert_ne!(fit.status, Status::Failed, "{}", fit.reason);
    let direct = evaluate(&truth, &fit.fitted_data()).unwrap();
    // 3 px at 4 m and some 1500 px are 8 mm, four cameras and the neighbouring frames help; the stale camera was 30 mm and 1° off.
    assert!(direct.trials[0].markers.after_similarity_mm < 10.0, "{direct:?}");
    assert!(fit.cameras[2].stale, "{:?}", fit.cameras);

    let place = tempfile::tempdir().unwrap();
    write_all(&fit, &OutputFolder::open(place.path()).unwrap(), &Provenance::default()).unwrap();
    let again = evaluate(&truth, &read_folder(place.path()).unwrap()).unwrap();
    let [a, b] = [&direct.trials[0], &again.trials[0]];
    assert_eq!((a.frames, a.joint_count), (b.frames, b.joint_count));
    // Twelve decimals of degrees, millimetres and metres.
    let pairs = [
        (a.joints.mean_abs, b.joints.mean_abs),
        (a.markers.raw_mm, b.markers.raw_mm),
        (direct.scale_error, again.scale_error),
        (direct.offset_error_mm, again.offset_error_mm),
        (direct.coverage.coordinates.rms, again.coverage.coordinates.rms),
        (direct.coverage.offsets.rms, again.coverage.offsets.rms),
        (direct.coverage.scales.rms, again.coverage.scales.rms),
        (direct.cameras["cam03"].centre_mm, again.cameras["cam03"].centre_mm),
        (direct.cameras["cam03"].rotation_after_similarity_deg, again.cameras["cam03"].rotation_after_similarity_deg),
    ];
    for (i, (x, y)) in pairs.iter().enumerate() {
        assert!((x - y).abs() <= 1e-6 * x.abs().max(1.0), "figure {i}: {x} and {y}");
    }
    // A folder in which something is missing is named.
    std::fs::remove_file(place.path().join("walk.trc")).unwrap();
    assert!(read_folder(place.path()).unwrap_err().to_string().contains("walk.trc"));
}
