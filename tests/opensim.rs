//! What is written, read by OpenSim itself: the marker positions must be the very same.
//!
//! Needs a Python that has the wheel `opensim`: the one that `KINEFIT_PYTHON` names, else `python3`. Skipped where there is none.

use kinefit::fit::{FitOptions, default_skeleton, fit_session};
use kinefit::report::{OutputFolder, Provenance, write_all};
use kinefit::session::{self, ReadOptions, Session};
use kinefit::skeleton::{ScaleGroups, Skeleton, read_marker_set, read_model};
use kinefit::synthetic::{Movement, SyntheticOptions, generate};
use std::path::{Path, PathBuf};
use std::process::Command;

fn python() -> Option<String> {
    let python = std::env::var("KINEFIT_PYTHON").unwrap_or_else(|_| "python3".into());
    let has = Command::new(&python).args(["-c", "import opensim"]).output().is_ok_and(|o| o.status.success());
    if !has {
        eprintln!(
            "skipped: `{python}` has no module opensim (pip install opensim; name the Python with KINEFIT_PYTHON)"
        );
    }
    has.then_some(python)
}

fn shared() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let found = std::env::var_os("KINEFIT_SHARED").map_or(beside, PathBuf::from);
    if !found.is_dir() {
        eprintln!("skipped: {} is not there", found.display());
    }
    found.is_dir().then_some(found)
}

fn written(session: &Session, skeleton: &Skeleton) -> tempfile::TempDir {
    let options = FitOptions { skeleton: Some(skeleton.clone()), ..FitOptions::default() };
    let fit = fit_session(session, &options).unwrap();
    let place = tempfile::tempdir().unwrap();
    write_all(&fit, &OutputFolder::open(place.path()).unwrap(), &Provenance::default()).unwrap();
    place
}

fn check(python: &str, folder: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/opensim/check_outputs.py");
    let output = Command::new(python).current_dir(folder).arg(script).arg(folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    eprintln!("largest distance from OpenSim's markers: {said}");
}

#[test]
fn the_built_in_bodys_markers_are_where_opensim_has_them() {
    let Some(python) = python() else { return };
    let skeleton = default_skeleton().unwrap();
    // A somersault passes through every singularity of the angles that are written.
    let options = SyntheticOptions {
        frames: 40,
        movements: vec![Movement::Walk, Movement::Somersault],
        offset_sd: 0.01,
        scale_sd: 0.05,
        ..SyntheticOptions::default()
    };
    let made = generate(&skeleton, &ScaleGroups::default_for(&skeleton), &options).unwrap();
    check(&python, written(&made.session, &skeleton).path());
}

#[test]
fn so_are_those_of_other_models_on_recorded_data() {
    let Some(python) = python() else { return };
    let Some(shared) = shared() else { return };
    let session = session::read(&shared.join("data/balancing"), &ReadOptions::default()).unwrap();
    check(&python, written(&session, &default_skeleton().unwrap()).path());

    let models = shared.join("data/models");
    let mut skeleton = read_model(&models.join("LaiUhlrich2022.osim")).unwrap();
    read_marker_set(&models.join("LaiUhlrich2022_markers_openpose.xml"), &mut skeleton).unwrap();
    check(&python, written(&session, &skeleton).path());
}
