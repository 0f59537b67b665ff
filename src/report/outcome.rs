//! `outcome.json`: the program's interface to other programs.
//!
//! The layout below is versioned by [`FORMAT`]: fields may be added under the same number, never renamed or removed. Every
//! number is finite; one that does not exist (a deviation that was not computed, the median of no detections, a figure of a
//! failed trial) is `null`. Lengths in millimetres and angles in degrees where a field's name says so, else SI.

use super::finite;
use crate::camera::Camera;
use crate::error::Error;
use crate::fit::{CameraFit, SessionFit, Status, TrialFit};
use crate::quality::{CameraReprojection, Reprojection};
use crate::session::coordinates::file_unit;
use crate::session::{Session, Trial};
use nalgebra::{Rotation3, UnitQuaternion};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the layout.
pub const FORMAT: u32 = 1;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// [`FORMAT`].
    pub format: u32,
    /// Version of kinefit that wrote it.
    pub kinefit: String,
    /// Name of the session.
    pub session: String,
    /// What the parameters that the trials share deserve; trials that failed on their own say so themselves.
    pub status: Status,
    /// Why.
    pub reason: String,
    /// Where it ended that way (`read`, `initialise`, `pose`, `subject`, `cameras`, `covariance`, `sanity`); `null` where it converged.
    #[serde(default)]
    pub stage: Option<String>,
    /// What to do; `null` where it converged.
    #[serde(default)]
    pub advice: Option<String>,
    /// Things the user should know, each a sentence.
    pub warnings: Vec<String>,
    /// One entry per trial, in the session's order.
    pub trials: Vec<TrialOutcome>,
    /// Factor of each scale group.
    pub scales: BTreeMap<String, Option<f64>>,
    /// Its standard deviation.
    pub scales_sd: BTreeMap<String, Option<f64>>,
    /// Factors of each body along its axes, all groups together.
    pub body_scales: BTreeMap<String, [Option<f64>; 3]>,
    /// Offset of each observed marker in its body's frame.
    pub offsets_mm: BTreeMap<String, [Option<f64>; 3]>,
    /// Its standard deviations.
    pub offsets_sd_mm: BTreeMap<String, [Option<f64>; 3]>,
    /// Root mean square length of the offsets.
    pub offsets_rms_mm: Option<f64>,
    /// Standing height of the fitted model, metres; `null` where it has no markers on crown and feet to tell it by.
    pub height_m: Option<f64>,
    /// Rotation taking the calibration's world, in which cameras are, to the model's ground, in which everything else is.
    pub ground_from_world_quat_wxyz: [f64; 4],
    /// What became of each camera.
    pub cameras: BTreeMap<String, CameraOutcome>,
    /// For how many frames the errors of the detections last (integrated autocorrelation time); deviations are stated as if there were that many fewer
    /// detections. `null` where they were not computed.
    #[serde(default)]
    pub autocorrelation_frames: Option<f64>,
    /// Wall-clock seconds.
    pub timing_s: Timing,
    /// Iterations of the solver, all stages.
    pub iterations: usize,
    /// Objective after each iteration.
    pub cost_history: Vec<Option<f64>>,
}

/// One trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialOutcome {
    /// Name in the session.
    pub name: String,
    /// How it ended.
    pub status: Status,
    /// Why.
    pub reason: String,
    /// As for the session.
    #[serde(default)]
    pub stage: Option<String>,
    /// As for the session.
    #[serde(default)]
    pub advice: Option<String>,
    /// Stem of its files in this folder; a trial that failed on its own has none.
    pub files: String,
    /// How many rows its files have.
    pub frames: usize,
    /// Frames per second.
    pub rate_hz: Option<f64>,
    /// Number of the first frame in the input's counting.
    pub first_frame: i64,
    /// Errors of the fit.
    pub reprojection: ReprojectionOutcome,
    /// Errors of the starting point, cameras as calibrated.
    pub reprojection_before: ReprojectionOutcome,
    /// Noise level per camera and keypoint; pairs of which nothing was seen are left out.
    pub noise_px: BTreeMap<String, BTreeMap<String, f64>>,
    /// Median over the frames of each coordinate's standard deviation, degrees or metres as in the `.mot`; coordinates
    /// without one are left out.
    pub coordinate_sd: BTreeMap<String, f64>,
}

/// Reprojection error over a set of detections.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// How many detections.
    pub observations: usize,
    /// Median distance between detection and projected marker.
    pub median_px: Option<f64>,
    /// Mean distance.
    pub mean_px: Option<f64>,
    /// Mean weighted by confidence.
    pub weighted_mean_px: Option<f64>,
    /// Share within 5 px.
    pub within_5_px: Option<f64>,
    /// Share within 10 px.
    pub within_10_px: Option<f64>,
    /// Share within 20 px.
    pub within_20_px: Option<f64>,
    /// Median of pixels × depth / focal length.
    pub median_mm: Option<f64>,
}

/// Figures of a trial: all detections, and each camera's and keypoint's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReprojectionOutcome {
    /// All detections.
    #[serde(flatten)]
    pub all: Figures,
    /// By camera.
    pub cameras: BTreeMap<String, Figures>,
    /// By keypoint.
    pub keypoints: BTreeMap<String, Figures>,
}

/// One camera.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CameraOutcome {
    /// Angle between calibrated and fitted orientation.
    pub rotation_change_deg: Option<f64>,
    /// Distance between calibrated and fitted optical centre.
    pub translation_change_mm: Option<f64>,
    /// Clock offset.
    pub clock_s: Option<f64>,
    /// Standard deviation of the orientation; `null` where the camera was held.
    pub rotation_sd_deg: Option<f64>,
    /// Standard deviation of the centre; `null` where the camera was held.
    pub translation_sd_mm: Option<f64>,
    /// The calibration disagrees with the keypoints by more than noise explains.
    pub stale: bool,
    /// Fitted optical centre in the calibration's world.
    pub centre_in_world_m: Option<[f64; 3]>,
}

/// Wall-clock seconds of each stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Reading files.
    pub read: Option<f64>,
    /// Finding the person, triangulation, first poses and scales.
    pub initialise: Option<f64>,
    /// The solver.
    pub solve: Option<f64>,
    /// Standard deviations.
    pub covariance: Option<f64>,
    /// Preparing the files of this folder, up to this one.
    pub write: Option<f64>,
    /// All of it.
    pub total: Option<f64>,
}

impl Outcome {
    /// What is written of a fit. `stems` are the trials' file names, `written_s` the seconds spent on the other files so
    /// far; both times of the fit's own (`write`, `total`) grow by them.
    pub fn new(fit: &SessionFit, stems: &[String], written_s: f64) -> Self {
        let mm = |v: &nalgebra::Vector3<f64>| [v.x, v.y, v.z].map(|x| finite(x * 1e3));
        let bodies = fit.skeleton.bodies.iter().zip(&fit.scales.0).skip(1);
        Self {
            format: FORMAT,
            kinefit: super::VERSION.into(),
            session: fit.name.clone(),
            status: fit.status,
            reason: fit.reason.clone(),
            stage: fit.stage.clone(),
            advice: fit.advice.clone(),
            warnings: fit.warnings.clone(),
            trials: fit.trials.iter().enumerate().map(|(i, t)| TrialOutcome::new(t, fit, stems.get(i))).collect(),
            scales: fit.scale_groups.iter().map(|s| (s.group.clone(), finite(s.factor))).collect(),
            scales_sd: fit.scale_groups.iter().map(|s| (s.group.clone(), finite(s.sd))).collect(),
            body_scales: bodies.map(|(body, s)| (body.name.clone(), s.map(finite))).collect(),
            offsets_mm: fit.offset_fits.iter().map(|o| (o.name.clone(), mm(&o.offset))).collect(),
            offsets_sd_mm: fit.offset_fits.iter().map(|o| (o.name.clone(), mm(&o.sd))).collect(),
            offsets_rms_mm: super::figures::offsets_rms_mm(fit),
            height_m: fit.height_m.and_then(finite),
            ground_from_world_quat_wxyz: quat_wxyz(&fit.ground_from_world),
            cameras: fit
                .cameras
                .iter()
                .map(|c| (c.name.clone(), CameraOutcome::new(c, fit.rig.iter().find(|r| r.name == c.name))))
                .collect(),
            autocorrelation_frames: finite(fit.autocorrelation_frames),
            timing_s: Timing {
                read: finite(fit.timings.read),
                initialise: finite(fit.timings.initialise),
                solve: finite(fit.timings.solve),
                covariance: finite(fit.timings.covariance),
                write: finite(fit.timings.write + written_s),
                total: finite(fit.timings.total + written_s),
            },
            iterations: fit.iterations,
            cost_history: fit.cost_history.iter().map(|c| finite(*c)).collect(),
        }
    }

    /// What is written where a fit broke down before it gave anything: every trial failed, for the same reason.
    pub fn broken(session: &Session, ground_from_world: &Rotation3<f64>, error: &Error, stems: &[String]) -> Self {
        let (reason, stage, advice) = match error {
            Error::Fit { stage, reason, advice } => (reason.clone(), Some(stage.clone()), Some(advice.clone())),
            other => (other.to_string(), None, None),
        };
        let trial = |t: &Trial| {
            let (reason, stage, advice) = match &t.unusable {
                Some(why) => (why.problem.clone(), Some("read".into()), Some(why.advice.clone())),
                None => (reason.clone(), stage.clone(), advice.clone()),
            };
            TrialFit::failed(&t.name, t.rate_hz, t.first_frame, reason, stage, advice)
        };
        let trials = session.trials.iter().zip(stems).map(|(t, stem)| TrialOutcome::bare(&trial(t), stem)).collect();
        Self {
            format: FORMAT,
            kinefit: super::VERSION.into(),
            session: session.name.clone(),
            status: Status::Failed,
            trials,
            warnings: Vec::new(),
            scales: BTreeMap::new(),
            scales_sd: BTreeMap::new(),
            body_scales: BTreeMap::new(),
            offsets_mm: BTreeMap::new(),
            offsets_sd_mm: BTreeMap::new(),
            offsets_rms_mm: None,
            height_m: None,
            ground_from_world_quat_wxyz: quat_wxyz(ground_from_world),
            cameras: BTreeMap::new(),
            autocorrelation_frames: None,
            timing_s: Timing { read: None, initialise: None, solve: None, covariance: None, write: None, total: None },
            iterations: 0,
            cost_history: Vec::new(),
            reason,
            stage,
            advice,
        }
    }

    /// The file's text.
    pub fn to_json(&self) -> String {
        super::json(self)
    }
}

impl TrialOutcome {
    fn new(trial: &TrialFit, fit: &SessionFit, stem: Option<&String>) -> Self {
        let noise = fit.rig.iter().zip(&trial.noise_px).map(|(camera, row)| {
            let levels = fit
                .keypoints
                .iter()
                .zip(row)
                .filter_map(|((name, _), px)| Some((name.clone(), px.and_then(finite)?)))
                .collect();
            (camera.name.clone(), levels)
        });
        let coordinates = fit.skeleton.coordinates.iter().enumerate();
        Self {
            noise_px: noise.collect(),
            coordinate_sd: coordinates
                .filter_map(|(i, c)| Some((c.name.clone(), super::figures::median_sd(trial, i)? * file_unit(c.motion))))
                .collect(),
            ..Self::bare(trial, stem.unwrap_or(&trial.name))
        }
    }

    /// Without what is said by the names of cameras, keypoints and coordinates.
    fn bare(trial: &TrialFit, stem: &str) -> Self {
        Self {
            name: trial.name.clone(),
            status: trial.status,
            reason: trial.reason.clone(),
            stage: trial.stage.clone(),
            advice: trial.advice.clone(),
            files: stem.into(),
            frames: trial.time.len(),
            rate_hz: finite(trial.rate_hz),
            first_frame: trial.first_frame,
            reprojection: ReprojectionOutcome::new(&trial.reprojection),
            reprojection_before: ReprojectionOutcome::new(&trial.reprojection_before),
            noise_px: BTreeMap::new(),
            coordinate_sd: BTreeMap::new(),
        }
    }
}

fn quat_wxyz(rotation: &Rotation3<f64>) -> [f64; 4] {
    let q = UnitQuaternion::from_rotation_matrix(rotation);
    [q.w, q.i, q.j, q.k]
}

impl ReprojectionOutcome {
    fn new(r: &Reprojection) -> Self {
        let named = |map: &BTreeMap<String, CameraReprojection>| {
            map.iter().map(|(name, f)| (name.clone(), Figures::new(f))).collect()
        };
        Self { all: Figures::new(&r.all), cameras: named(&r.cameras), keypoints: named(&r.keypoints) }
    }
}

impl Figures {
    fn new(f: &CameraReprojection) -> Self {
        let of = |value: f64| finite(value).filter(|_| f.observations > 0);
        Self {
            observations: f.observations,
            median_px: of(f.median_px),
            mean_px: of(f.mean_px),
            weighted_mean_px: of(f.weighted_mean_px),
            within_5_px: of(f.within_5_px),
            within_10_px: of(f.within_10_px),
            within_20_px: of(f.within_20_px),
            median_mm: of(f.median_mm),
        }
    }
}

impl CameraOutcome {
    fn new(camera: &CameraFit, fitted: Option<&Camera>) -> Self {
        Self {
            rotation_change_deg: finite(camera.rotation_change_deg),
            translation_change_mm: finite(camera.translation_change_mm),
            clock_s: finite(camera.clock_s),
            rotation_sd_deg: camera.rotation_sd_deg.and_then(finite),
            translation_sd_mm: camera.translation_sd_mm.and_then(finite),
            stale: camera.stale,
            centre_in_world_m: fitted
                .map(|c| <[f64; 3]>::from(c.centre_in_world()))
                .filter(|c| c.iter().all(|x| x.is_finite())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use serde_json::Value;

    fn outcome(fit: &SessionFit) -> Outcome {
        let stems = super::super::names::stems(fit.trials.iter().map(|t| t.name.as_str()));
        Outcome::new(fit, &stems, 0.25)
    }

    /// The same but for the last bit of numbers, which the JSON reader does not promise.
    fn same(a: &Value, b: &Value) -> bool {
        match (a, b) {
            (Value::Number(a), Value::Number(b)) => {
                let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
                (a - b).abs() <= 4.0 * f64::EPSILON * a.abs()
            }
            (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
            (Value::Object(a), Value::Object(b)) => {
                a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
            }
            _ => a == b,
        }
    }

    fn reads_back(written: &Outcome) -> bool {
        let read: Outcome = serde_json::from_str(&written.to_json()).unwrap();
        same(&serde_json::to_value(&read).unwrap(), &serde_json::to_value(written).unwrap())
    }

    #[test]
    fn reads_back_and_holds_what_was_promised() {
        let fit = sample::session();
        let written = outcome(&fit);
        let text = written.to_json();
        assert!(reads_back(&written));
        let v: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(v["format"], 1);
        assert_eq!(v["status"], "usable");
        assert_eq!(v["trials"][0]["frames"], 300);
        assert_eq!(v["trials"][0]["rate_hz"], 60.0);
        let r = &v["trials"][0]["reprojection"];
        for key in
            ["median_px", "mean_px", "weighted_mean_px", "within_5_px", "within_10_px", "within_20_px", "median_mm"]
        {
            assert!(r[key].is_number() && r["cameras"]["cam01"][key].is_number(), "{key}");
        }
        assert_eq!(r["observations"], 8082);
        assert_eq!(v["scales"]["thigh"], 1.043);
        assert_eq!(v["offsets_mm"]["LKnee"].as_array().unwrap().len(), 3);
        assert_eq!(v["height_m"], 1.734);
        for key in ["rotation_change_deg", "translation_change_mm", "clock_s"] {
            assert!(v["cameras"]["cam03"][key].is_number(), "{key}");
        }
        assert!(v["cameras"]["cam02"]["rotation_sd_deg"].is_null());
        for key in ["read", "initialise", "solve", "write", "total"] {
            assert!(v["timing_s"][key].is_number(), "{key}");
        }
        assert_eq!(v["timing_s"]["write"], 0.25);
        assert_eq!(v["iterations"], 34);
    }

    #[test]
    fn a_fit_that_broke_down_is_an_outcome_too() {
        let options = crate::synthetic::SyntheticOptions {
            frames: 3,
            movements: vec![crate::synthetic::Movement::Walk, crate::synthetic::Movement::Stand],
            ..Default::default()
        };
        let body = crate::fit::default_skeleton().unwrap();
        let groups = crate::skeleton::ScaleGroups::default_for(&body);
        let mut session = crate::synthetic::generate(&body, &groups, &options).unwrap().session;
        session.trials[1].unusable =
            Some(crate::session::Unusable { problem: "torn".into(), advice: "mend it".into() });
        let error = Error::fit("covariance", "pivot 7 is not positive", "give more keypoints");
        let written = Outcome::broken(&session, &Rotation3::identity(), &error, &["walk".into(), "stand".into()]);
        assert!(reads_back(&written));
        let v: Value = serde_json::from_str(&written.to_json()).unwrap();
        for (at, [status, reason, stage, advice]) in [
            (&v, ["failed", "pivot 7 is not positive", "covariance", "give more keypoints"]),
            (&v["trials"][0], ["failed", "pivot 7 is not positive", "covariance", "give more keypoints"]),
            (&v["trials"][1], ["failed", "torn", "read", "mend it"]),
        ] {
            assert_eq!((&at["status"], &at["reason"]), (&Value::from(status), &Value::from(reason)));
            assert_eq!((&at["stage"], &at["advice"]), (&Value::from(stage), &Value::from(advice)));
        }
        assert_eq!((&v["height_m"], &v["iterations"]), (&Value::Null, &Value::from(0)));
    }

    #[test]
    fn what_is_no_number_is_null() {
        let mut fit = sample::session();
        fit.height_m = Some(f64::NAN);
        fit.trials[0].reprojection.all.median_mm = f64::INFINITY;
        fit.trials[0].noise_px[0][0] = Some(f64::NAN);
        fit.offset_fits[0].sd.x = f64::NAN;
        let written = outcome(&fit);
        assert_eq!(written.height_m, None);
        assert_eq!(written.trials[0].reprojection.all.median_mm, None);
        assert!(!written.trials[0].noise_px["cam01"].contains_key("Nose"));
        assert!(reads_back(&written));
        let empty = outcome(&sample::empty());
        assert_eq!(empty.trials[0].reprojection.all.median_px, None);
        assert!(reads_back(&empty));
    }
}
