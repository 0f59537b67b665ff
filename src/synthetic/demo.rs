//! The embedded session: somebody walks before four cameras, one of which was knocked after calibration.
//!
//! `data/demo` holds it in the files of a session folder, but for the detections, which are kept in one file as whole numbers (tenths of a pixel, hundredths of
//! confidence) instead of hundreds. A test makes it again from [`demo_options`] and compares.

use super::{Confidence, Movement, StaleCamera, Synthetic, SyntheticOptions, Truth};
use crate::camera::calibration;
use crate::error::{Error, Result};
use crate::session::{Detections, Session, Subject, Trial, keypoints};
use serde::{Deserialize, Serialize};

const CALIBRATION: &str = include_str!("../../data/demo/calibration/Calib.toml");
const CAMERAS_TRUTH: &str = include_str!("../../data/demo/cameras_truth.toml");
const TRUTH: &str = include_str!("../../data/demo/truth.json");
const DETECTIONS: &str = include_str!("../../data/demo/detections.json");

/// Parts of a pixel and of a confidence that are kept.
const PARTS: [f64; 3] = [10.0, 10.0, 100.0];

/// How the demo was made, with the default body and its scale groups.
pub fn demo_options() -> SyntheticOptions {
    SyntheticOptions {
        seed: 1,
        cameras: 4,
        frames: 120,
        rate_hz: 60.0,
        movements: vec![Movement::Walk],
        keypoints: "HALPE_26".into(),
        noise_px: 3.0,
        outlier_share: 0.05,
        missing_share: 0.1,
        confidence: Confidence::Realistic,
        calibration_error_deg: 0.1,
        calibration_error_mm: 4.0,
        stale_cameras: vec![StaleCamera { camera: 2, rotation_deg: 1.5, translation_mm: 60.0 }],
        ..SyntheticOptions::default()
    }
}

/// All detections of the demo's one trial.
#[derive(Serialize, Deserialize)]
struct Packed {
    unit: String,
    frames: usize,
    keypoints: usize,
    /// By camera, then frame, then keypoint: u, v, confidence.
    cameras: Vec<Vec<i32>>,
}

/// The demo, ready to be [written](Synthetic::write) as a session folder.
///
/// # Errors
/// Never in a release: the files are compiled in, and a test reads them.
pub fn demo() -> Result<Synthetic> {
    let options = demo_options();
    let broken = |problem: String| Error::input("the embedded demo", problem, "build the program from an intact copy");
    let packed: Packed = serde_json::from_str(DETECTIONS).map_err(|e| broken(e.to_string()))?;
    let truth = Truth::from_json(TRUTH, "data/demo/truth.json")?;
    let set = keypoints::by_name(&options.keypoints).ok_or_else(|| broken("its keypoint set is not known".into()))?;
    let data: Vec<[f64; 3]> = packed
        .cameras
        .iter()
        .flatten()
        .zip(PARTS.iter().cycle())
        .map(|(x, part)| f64::from(*x) / part)
        .collect::<Vec<_>>()
        .chunks_exact(3)
        .map(|point| [point[0], point[1], point[2]])
        .collect();
    let detections =
        Detections { cameras: packed.cameras.len(), frames: packed.frames, keypoints: packed.keypoints, data };
    if detections.data.len() != detections.cameras * detections.frames * set.points.len() {
        return Err(broken("its detections are not complete".into()));
    }
    let session = Session {
        name: "demo".into(),
        rig: calibration::read_str(CALIBRATION, "data/demo/calibration/Calib.toml")?,
        z_up: true,
        keypoints: set,
        trials: vec![Trial {
            name: Movement::Walk.name().into(),
            rate_hz: options.rate_hz,
            first_frame: 0,
            detections,
            unusable: None,
        }],
        subject: Subject::default(),
    };
    let rig = calibration::read_str(CAMERAS_TRUTH, "data/demo/cameras_truth.toml")?;
    Ok(Synthetic { session, truth, rig, bystanders: Vec::new(), options })
}

impl Synthetic {
    /// The files of `data/demo` for this session (its first trial): path below that folder, and content. Of the truth, the markers that are observed.
    pub fn demo_files(&self) -> Vec<(&'static str, String)> {
        let packed = self.session.trials.first().map(|t| &t.detections).map(|d| Packed {
            unit: "tenths of a pixel, tenths of a pixel, hundredths".into(),
            frames: d.frames,
            keypoints: d.keypoints,
            cameras: d
                .data
                .chunks(d.frames * d.keypoints)
                .map(|points| {
                    let whole = |(x, part): (&f64, &f64)| (x * part).round() as i32;
                    points.iter().flatten().zip(PARTS.iter().cycle()).map(whole).collect()
                })
                .collect(),
        });
        let mut truth = self.truth.clone();
        let keep: Vec<bool> = truth.markers.iter().map(|m| truth.offsets.contains_key(m)).collect();
        fn kept<T>(row: &mut Vec<T>, keep: &[bool]) {
            let mut keep = keep.iter();
            row.retain(|_| keep.next().copied().unwrap_or(false));
        }
        truth.trials.iter_mut().flat_map(|t| &mut t.markers).for_each(|row| kept(row, &keep));
        kept(&mut truth.markers, &keep);
        vec![
            ("calibration/Calib.toml", calibration::to_toml(&self.session.rig)),
            ("cameras_truth.toml", calibration::to_toml(&self.rig)),
            ("truth.json", truth.to_json()),
            // Whole numbers in lists cannot fail to serialise.
            ("detections.json", serde_json::to_string(&packed).unwrap_or_default()),
        ]
    }
}
