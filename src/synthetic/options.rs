//! What a synthetic session is like.

use crate::error::{Error, Result};
use crate::session::keypoints;
use serde::{Deserialize, Serialize};

/// What the subject does. Coordinates move by harmonic series for the names of Rajagopal's model (knee flexion positive); those of other names by
/// slow random movement inside their ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Movement {
    /// Walks at 1.2 m/s: straight on while the room allows it, else in a circle.
    Walk,
    /// Squats, once in 2.5 s.
    Squat,
    /// Turns twice about the vertical, stepping.
    Turn,
    /// A cartwheel: one turn about the sagittal axis, travelling sideways.
    Cartwheel,
    /// A somersault with a full twist: passes through every singularity that Euler angles have.
    Somersault,
    /// Stands and sways.
    Stand,
    /// Every coordinate on its own, slowly, inside its range.
    Random,
}

impl Movement {
    /// Name, for trials and folders.
    pub fn name(self) -> &'static str {
        match self {
            Self::Walk => "walk",
            Self::Squat => "squat",
            Self::Turn => "turn",
            Self::Cartwheel => "cartwheel",
            Self::Somersault => "somersault",
            Self::Stand => "stand",
            Self::Random => "random",
        }
    }
}

/// What the detector says of its own certainty.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// The same for every detection.
    Constant(f64),
    /// 0.55 to 1 for good detections, 0.3 to 0.9 for outliers: lower, but not low enough to tell.
    Realistic,
}

/// Runs of frames in which a camera misses a keypoint (occlusion).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gaps {
    /// Share of detections that fall into one, below 1.
    pub share: f64,
    /// Mean length, frames.
    pub mean_frames: f64,
}

/// A camera that stops.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Dropout {
    /// Which.
    pub camera: usize,
    /// After this share of the trial, 0..1.
    pub after: f64,
}

/// A camera that was moved after calibration, in a random direction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StaleCamera {
    /// Which.
    pub camera: usize,
    /// By this angle, degrees.
    pub rotation_deg: f64,
    /// And its centre by this much, millimetres.
    pub translation_mm: f64,
}

/// Options of [`generate`](super::generate()). The default is a walk before four cameras and a good detector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SyntheticOptions {
    /// The same seed gives the same session.
    pub seed: u64,
    /// Number of cameras, in a ring around the subject.
    pub cameras: usize,
    /// Frames of each trial.
    pub frames: usize,
    /// Frames per second.
    pub rate_hz: f64,
    /// One trial each.
    pub movements: Vec<Movement>,
    /// A built-in keypoint set.
    pub keypoints: String,
    /// Standard deviation of a detection along each image axis, pixels.
    pub noise_px: f64,
    /// Share of detections that are gross errors.
    pub outlier_share: f64,
    /// Standard deviation of those along each image axis, pixels.
    pub outlier_px: f64,
    /// Share of detections missing here and there.
    pub missing_share: f64,
    /// Detections missing in runs.
    pub gaps: Option<Gaps>,
    /// Confidences.
    pub confidence: Confidence,
    /// How far the calibration's orientations are off: standard deviation about each axis, degrees.
    pub calibration_error_deg: f64,
    /// How far its camera centres are off: standard deviation along each axis, millimetres.
    pub calibration_error_mm: f64,
    /// Cameras that moved after calibration.
    pub stale_cameras: Vec<StaleCamera>,
    /// Standard deviation of the subject's scale parameters.
    pub scale_sd: f64,
    /// Standard deviation of marker offsets along each axis, metres.
    pub offset_sd: f64,
    /// A camera that stops recording.
    pub dropout: Option<Dropout>,
    /// Other people in the room.
    pub bystanders: usize,
    /// Whether the order of people changes from frame to frame and camera to camera; otherwise the subject comes first.
    pub shuffle_people: bool,
}

impl Default for SyntheticOptions {
    fn default() -> Self {
        Self {
            seed: 0,
            cameras: 4,
            frames: 120,
            rate_hz: 60.0,
            movements: vec![Movement::Walk],
            keypoints: "HALPE_26".into(),
            noise_px: 3.0,
            outlier_share: 0.0,
            outlier_px: 35.0,
            missing_share: 0.0,
            gaps: None,
            confidence: Confidence::Constant(1.0),
            calibration_error_deg: 0.0,
            calibration_error_mm: 0.0,
            stale_cameras: Vec::new(),
            scale_sd: 0.04,
            offset_sd: 0.005,
            dropout: None,
            bystanders: 0,
            shuffle_people: false,
        }
    }
}

/// What one camera sees may be near or far.
const FEWEST_CAMERAS: usize = 2;

/// More than this is a slip of the pen.
const MOST_FRAMES: usize = 1_000_000;
const MOST_CAMERAS: usize = 1000;
const MOST_BYSTANDERS: usize = 20;

impl SyntheticOptions {
    /// That a session can be made of them.
    ///
    /// # Errors
    /// Names the first option that cannot be.
    pub fn check(&self) -> Result<()> {
        let refuse = |name: &str, problem: String, advice: &str| {
            Err(Error::input(format_args!("synthetic session, {name}"), problem, advice))
        };
        let shares = [
            ("outlier_share", self.outlier_share),
            ("missing_share", self.missing_share),
            ("gaps", self.gaps.map_or(0.0, |g| g.share)),
            ("dropout", self.dropout.map_or(0.0, |d| d.after)),
        ];
        for (name, share) in shares {
            if !(0.0..=1.0).contains(&share) || (name == "gaps" && share == 1.0) {
                return refuse(name, format!("the share is {share}"), "give a number from 0 to 1");
            }
        }
        let sizes = [
            ("noise_px", self.noise_px),
            ("outlier_px", self.outlier_px),
            ("calibration_error_deg", self.calibration_error_deg),
            ("calibration_error_mm", self.calibration_error_mm),
            ("scale_sd", self.scale_sd),
            ("offset_sd", self.offset_sd),
        ];
        let stale = self.stale_cameras.iter().flat_map(|s| [s.rotation_deg, s.translation_mm]);
        for (name, size) in sizes.into_iter().chain(stale.map(|size| ("stale_cameras", size))) {
            if !(0.0..=1e4).contains(&size) {
                return refuse(name, format!("it is {size}"), "give a number that is 0 or larger");
            }
        }
        if !(FEWEST_CAMERAS..=MOST_CAMERAS).contains(&self.cameras) {
            let advice = "give two to a thousand, better four or more: what one camera sees may be near or far";
            return refuse("cameras", format!("the number of cameras is {}", self.cameras), advice);
        }
        if !(1..=MOST_FRAMES).contains(&self.frames) {
            return refuse("frames", format!("{} frames", self.frames), "give a number from 1 to 1000000");
        }
        if !(1.0..=1e4).contains(&self.rate_hz) {
            return refuse("rate_hz", format!("{} Hz", self.rate_hz), "give frames per second, 1 to 10000");
        }
        if self.movements.is_empty() {
            return refuse("movements", "there are none".into(), "name at least one, such as walk");
        }
        if self.bystanders > MOST_BYSTANDERS {
            return refuse("bystanders", format!("{} people", self.bystanders), "give at most 20");
        }
        let named = self.stale_cameras.iter().map(|s| s.camera).chain(self.dropout.map(|d| d.camera));
        for camera in named {
            if camera >= self.cameras {
                let problem = format!("camera {camera} is named, but there are {}", self.cameras);
                return refuse("stale_cameras or dropout", problem, "count cameras from 0");
            }
        }
        if let Some(gaps) = self.gaps.filter(|gaps| !(1.0..=1e6).contains(&gaps.mean_frames)) {
            return refuse("gaps", format!("their mean length is {} frames", gaps.mean_frames), "give 1 or more");
        }
        if let Confidence::Constant(c) = self.confidence
            && !(c > 0.0 && c <= 1.0)
        {
            return refuse("confidence", format!("it is {c}"), "give a number above 0, at most 1");
        }
        if keypoints::by_name(&self.keypoints).is_none() {
            return refuse("keypoints", format!("`{}` is no built-in set", self.keypoints), "use one such as HALPE_26");
        }
        Ok(())
    }
}
