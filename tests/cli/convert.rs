//! `kinefit convert`.

use crate::kinefit;
use std::path::Path;

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
