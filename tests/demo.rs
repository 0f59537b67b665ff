//! The embedded session is the one its seed makes, and fits.

use kinefit::fit::{FitOptions, default_scale_groups, default_skeleton, fit_session};
use kinefit::quality::evaluate;
use kinefit::session::{self, ReadOptions};
use kinefit::synthetic::{Synthetic, Truth, demo, demo_options, generate};
use std::path::Path;

fn made() -> Synthetic {
    let skeleton = default_skeleton().unwrap();
    generate(&skeleton, &default_scale_groups(&skeleton).unwrap(), &demo_options()).unwrap()
}

/// After a change of body or generator: `KINEFIT_WRITE_DEMO=1 cargo test --test demo` writes `data/demo` anew.
#[test]
fn the_seed_makes_the_demo_again() {
    let made = made();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/demo");
    if std::env::var_os("KINEFIT_WRITE_DEMO").is_some() {
        for (path, content) in made.demo_files() {
            std::fs::write(folder.join(path), content).unwrap();
        }
        return;
    }
    let size: u64 = made.demo_files().iter().map(|(path, _)| folder.join(path).metadata().unwrap().len()).sum();
    assert!(size < 400_000, "{size} bytes");

    let stored = demo().unwrap();
    assert_eq!(stored.session.keypoints, made.session.keypoints);
    let (a, b) = (&stored.session.trials[0].detections, &made.session.trials[0].detections);
    assert_eq!((a.cameras, a.frames, a.keypoints), (b.cameras, b.frames, b.keypoints));
    for (x, y) in a.data.iter().zip(&b.data) {
        // Half a tenth of a pixel and half a hundredth from rounding, and as much again where another machine's sine rounds the other way.
        assert!((x[0] - y[0]).abs() < 0.11 && (x[1] - y[1]).abs() < 0.11 && (x[2] - y[2]).abs() < 0.011, "{x:?} {y:?}");
    }
    for (x, y) in stored.session.rig.iter().chain(&stored.rig).zip(made.session.rig.iter().chain(&made.rig)) {
        // The file holds 17 digits of a rotation vector.
        assert!((x.centre_in_world() - y.centre_in_world()).norm() < 1e-9, "{}", x.name);
        assert!(x.camera_from_world.rotation.angle_to(&y.camera_from_world.rotation) < 1e-7);
    }
    let again = made.demo_files().into_iter().find(|(path, _)| *path == "truth.json").unwrap().1;
    let again = Truth::from_json(&again, "made again").unwrap();
    assert_eq!(again.markers, stored.truth.markers);
    assert_eq!(again.offsets.keys().collect::<Vec<_>>(), stored.truth.offsets.keys().collect::<Vec<_>>());
    let numbers = |t: &Truth| -> Vec<f64> {
        let trial = &t.trials[0];
        let places = trial.markers.iter().flatten().flatten();
        trial.coordinates.iter().flatten().chain(places).chain(t.offsets.values().flatten()).copied().collect()
    };
    let (x, y) = (numbers(&stored.truth), numbers(&again));
    assert_eq!(x.len(), y.len());
    // Rounded to 1e-7 in the file.
    assert!(x.iter().zip(&y).all(|(x, y)| (x - y).abs() < 2e-7));
}

#[test]
fn the_demo_written_out_reads_as_a_session_and_fits() {
    let stored = demo().unwrap();
    let dir = tempfile::tempdir().unwrap();
    stored.write(dir.path()).unwrap();
    let session = session::read(dir.path(), &ReadOptions::default()).unwrap();
    assert_eq!(session.trials[0].detections, stored.session.trials[0].detections);
    let fit = fit_session(&session, &FitOptions::default()).unwrap();
    let truth = Truth::read(&dir.path().join("truth.json")).unwrap();
    let e = evaluate(&truth, &fit.fitted_data()).unwrap();
    let t = &e.trials[0];
    // 3 px at 4.6 m and f = 1250 px are 11 mm; with four cameras and neighbouring frames a marker is known to a third of it.
    assert!(t.markers.after_similarity_mm < 5.0, "{:?}", t.markers);
    // One camera was knocked by 1.5° and 60 mm, and comes back to where it stood.
    let knocked = &e.cameras[&session.rig[2].name];
    assert!(knocked.rotation_after_similarity_deg < 0.3 && knocked.centre_after_similarity_mm < 20.0, "{knocked:?}");
    let stale: Vec<bool> = fit.cameras.iter().map(|c| c.stale).collect();
    assert_eq!(stale, [false, false, true, false]);
}
