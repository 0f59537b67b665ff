//! The session that comes with the program: somebody walks before four cameras, one of which was bumped after calibration.
//!
//! `data/demo.json` is what [`demo_options`] make with the built-in body; `tests/demo.rs` holds the two together and renews the file.

use super::{Movement, StaleCamera, SyntheticOptions, Truth};
use crate::error::{Error, Result};
use crate::session::Session;
use serde::Deserialize;

/// The file, as it is named in errors.
const PLACE: &str = "data/demo.json";

#[derive(Deserialize)]
struct Demo {
    session: Session,
    truth: Truth,
}

/// The embedded session and its truth.
///
/// # Errors
/// Never in a release: the file is compiled in, and a test reads it.
pub fn demo() -> Result<(Session, Truth)> {
    let demo: Demo = serde_json::from_str(include_str!("../../data/demo.json"))
        .map_err(|e| Error::input(PLACE, e, "build kinefit from an unchanged source"))?;
    Ok((demo.session, demo.truth))
}

/// What the embedded session was made from: two seconds, an ordinary detector, a calibration of the usual quality and one camera that moved by a degree
/// and three centimetres.
pub fn demo_options() -> SyntheticOptions {
    SyntheticOptions {
        seed: 24_021_7192,
        cameras: 4,
        frames: 60,
        rate_hz: 30.0,
        movements: vec![Movement::Walk],
        noise_px: 3.0,
        outlier_share: 0.02,
        missing_share: 0.05,
        calibration_error_deg: 0.15,
        calibration_error_mm: 5.0,
        stale_cameras: vec![StaleCamera { camera: 2, rotation_deg: 1.0, translation_mm: 30.0 }],
        ..SyntheticOptions::default()
    }
}
