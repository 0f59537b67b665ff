//! What a fit gives: plain data, complete enough that every file and page can be written from it.

use crate::camera::Rig;
use crate::quality::Reprojection;
use crate::skeleton::{MarkerId, Offsets, Scales, Skeleton};
use nalgebra::Vector3;
use serde::{Deserialize, Serialize};

/// How a fit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The solver's own convergence test was met, and the result is sane.
    Converged,
    /// Stopped before that test, but sane and better than its start.
    Usable,
    /// Not to be used; the reason says why.
    Failed,
}

/// Wall-clock seconds of each stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    /// Reading files.
    pub read: f64,
    /// Finding the person, triangulation, first poses and scales.
    pub initialise: f64,
    /// The solver.
    pub solve: f64,
    /// Standard deviations.
    pub covariance: f64,
    /// Writing files.
    pub write: f64,
    /// All of it.
    pub total: f64,
}

/// A fitted scale parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScaleFit {
    /// Its group.
    pub group: String,
    /// Bodies the group acts on.
    pub bodies: Vec<String>,
    /// Factor of the group's bodies: 1 + the parameters of all groups that contain them all.
    pub factor: f64,
    /// Its standard deviation.
    pub sd: f64,
}

/// A fitted marker offset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OffsetFit {
    /// Which marker.
    pub marker: MarkerId,
    /// Its name.
    pub name: String,
    /// Offset in the body's frame, metres.
    pub offset: Vector3<f64>,
    /// Standard deviations, metres.
    pub sd: Vector3<f64>,
}

/// What became of a camera.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CameraFit {
    /// Its name.
    pub name: String,
    /// Angle between calibrated and fitted orientation, degrees.
    pub rotation_change_deg: f64,
    /// Distance between calibrated and fitted optical centre, millimetres.
    pub translation_change_mm: f64,
    /// Clock offset, seconds (0 unless asked for).
    pub clock_s: f64,
    /// Standard deviation of the orientation (root mean square over axes), degrees; `None` where the camera was held.
    pub rotation_sd_deg: Option<f64>,
    /// Standard deviation of the centre (root mean square over axes), millimetres; `None` where the camera was held.
    pub translation_sd_mm: Option<f64>,
    /// The calibration disagrees with the keypoints by more than noise explains.
    pub stale: bool,
    /// Whether it sees the subject at all.
    pub sees: bool,
}

/// Whether half or more of the cameras that see the subject disagree with their calibration. What is left cannot outvote them: which ones are right, keypoints do not tell. Of two
/// cameras either may be meant.
pub fn undecided(cameras: &[CameraFit]) -> bool {
    let stale = cameras.iter().filter(|c| c.stale).count();
    stale > 0 && 2 * stale >= seeing(cameras)
}

/// Cameras that see the subject.
pub fn seeing(cameras: &[CameraFit]) -> usize {
    cameras.iter().filter(|c| c.sees).count()
}

/// A fitted trial. Ground is the model's ground frame. One that could not be fitted has a status, a reason, and no frames.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialFit {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub status: Status,
    /// Why.
    pub reason: String,
    /// Where, if it is not `Converged`: `read`, `initialise`, `pose`, `subject`, `cameras`, `covariance` or `sanity`.
    pub stage: Option<String>,
    /// What to do, if it is not `Converged`.
    pub advice: Option<String>,
    /// Rate of the rows below, hertz.
    pub rate_hz: f64,
    /// Number of the first frame in the input's own counting.
    pub first_frame: i64,
    /// Time of each row, seconds; the first detection frame is 0.
    pub time: Vec<f64>,
    /// Coordinates, `[frame][coordinate]`, file order, radians and metres, angles unwrapped.
    pub q: Vec<Vec<f64>>,
    /// Their standard deviations; `None` where an angle is near its singularity and has no meaningful one.
    pub q_sd: Vec<Vec<Option<f64>>>,
    /// Marker positions in ground, `[frame][marker]`, metres.
    pub markers: Vec<Vec<Vector3<f64>>>,
    /// Body poses in ground, `[frame][body]`: origin, metres.
    pub body_origins: Vec<Vec<Vector3<f64>>>,
    /// Errors of the fit.
    pub reprojection: Reprojection,
    /// Errors of the starting point (geometric initialisation, cameras as calibrated).
    pub reprojection_before: Reprojection,
    /// Noise level per camera and keypoint, pixels, `[camera][keypoint]`; `None` where nothing was seen.
    pub noise_px: Vec<Vec<Option<f64>>>,
    /// The trajectory as a network, a `safetensors` file; `None` where it was fitted as a B-spline. The poses above are of the B-spline nearest to it.
    pub network: Option<Vec<u8>>,
}

impl TrialFit {
    /// A trial that was left out of the fit.
    pub fn failed(
        name: &str,
        rate_hz: f64,
        first_frame: i64,
        reason: String,
        stage: Option<String>,
        advice: Option<String>,
    ) -> Self {
        Self {
            name: name.into(),
            status: Status::Failed,
            reason,
            stage,
            advice,
            rate_hz,
            first_frame,
            time: Vec::new(),
            q: Vec::new(),
            q_sd: Vec::new(),
            markers: Vec::new(),
            body_origins: Vec::new(),
            reprojection: Reprojection::default(),
            reprojection_before: Reprojection::default(),
            noise_px: Vec::new(),
            network: None,
        }
    }

    /// Whether it was left out of the fit: there are no rows of anything.
    pub fn left_out(&self) -> bool {
        self.status == Status::Failed && self.time.is_empty()
    }
}

/// A fitted session.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionFit {
    /// Name of the session.
    pub name: String,
    /// How it ended: what the parameters that its trials share deserve. Trials that failed on their own say so themselves.
    pub status: Status,
    /// Why.
    pub reason: String,
    /// Where, if it is not `Converged`; as for a trial.
    pub stage: Option<String>,
    /// What to do, if it is not `Converged`.
    pub advice: Option<String>,
    /// Things the user should know, each a sentence (stale cameras, unused detections, …).
    pub warnings: Vec<String>,
    /// The model as read: unscaled.
    pub skeleton: Skeleton,
    /// Scale factors of every body.
    pub scales: Scales,
    /// Offsets of every marker, metres, in its body's frame; 0 for markers never observed.
    pub offsets: Offsets,
    /// The scale parameters behind `scales`.
    pub scale_groups: Vec<ScaleFit>,
    /// The offsets of observed markers with their deviations.
    pub offset_fits: Vec<OffsetFit>,
    /// Standing height of the fitted model, metres; `None` where the model has no marker on the crown or none on the feet to tell it by
    /// (see [`crate::quality::default_height`]).
    pub height_m: Option<f64>,
    /// Keypoint names by index, and the marker each observes.
    pub keypoints: Vec<(String, Option<MarkerId>)>,
    /// Cameras as calibrated, in the calibration's world.
    pub rig_before: Rig,
    /// Cameras as fitted, in the calibration's world.
    pub rig: Rig,
    /// Rotation taking the calibration's world to the model's ground.
    pub ground_from_world: nalgebra::Rotation3<f64>,
    /// What became of each camera.
    pub cameras: Vec<CameraFit>,
    /// Trials.
    pub trials: Vec<TrialFit>,
    /// Seconds.
    pub timings: Timings,
    /// For how many frames the errors of the detections last: deviations are stated as if there were that many fewer detections.
    pub autocorrelation_frames: f64,
    /// Iterations of the solver, all stages.
    pub iterations: usize,
    /// Objective (a negative log posterior up to a constant) after each iteration.
    pub cost_history: Vec<f64>,
}
