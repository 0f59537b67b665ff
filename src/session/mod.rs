//! What was observed: keypoints, 3-D markers, trials, subjects, and their readers.

pub(crate) mod columns;
mod confidence;
mod config;
pub mod coordinates;
pub mod description;
mod image_size;
pub mod keypoints;
pub mod markers;
mod matching;
mod mixup;
pub mod openpose;
pub mod people;
mod pose2sim;
mod read;
pub mod scale_setup;
pub mod tasks;
mod text;
mod world;

pub use description::{Description, TrialDescription, Up};
pub use read::{ReadOptions, Reading, read, read_with_sources};
pub use world::{ground_from_world, rig_in_ground};

use crate::camera::Rig;
use crate::error::Error;
use serde::{Deserialize, Serialize};

/// A keypoint set: what a detector's numbers mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeypointSet {
    /// Name as in `Config.toml`: `BODY_25B`, `COCO_17`, ….
    pub name: String,
    /// One entry per point of the detector's output, in its order.
    pub points: Vec<Keypoint>,
}

/// One point of a keypoint set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Keypoint {
    /// Name the detector's authors give it.
    pub name: String,
    /// Marker it is observed by; `None` for points that say nothing about the skeleton (eyes, ears, face).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marker: Option<String>,
    /// Marker to use where a model has none of the first name: models name the same place differently.
    #[serde(default, rename = "or", skip_serializing_if = "Option::is_none")]
    pub alternative: Option<String>,
}

impl Keypoint {
    /// The names its marker may have, the best first.
    pub fn marker_names(&self) -> impl Iterator<Item = &str> {
        self.marker.iter().chain(&self.alternative).map(String::as_str)
    }
}

/// One person in one image: `[u, v, confidence]` per keypoint, confidence 0 where missing.
pub type Person = Vec<[f64; 3]>;

/// Detections of one subject in one trial, `[u, v, confidence]`, pixels of the distorted image.
///
/// Missing is confidence 0 (with u = v = 0); never NaN; confidence in 0..=1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detections {
    /// Number of cameras.
    pub cameras: usize,
    /// Number of frames.
    pub frames: usize,
    /// Number of keypoints.
    pub keypoints: usize,
    /// Camera-major, then frame, then keypoint.
    pub data: Vec<[f64; 3]>,
}

impl Detections {
    /// All missing.
    pub fn missing(cameras: usize, frames: usize, keypoints: usize) -> Self {
        Self { cameras, frames, keypoints, data: vec![[0.0; 3]; cameras * frames * keypoints] }
    }

    fn at(&self, camera: usize, frame: usize, keypoint: usize) -> usize {
        (camera * self.frames + frame) * self.keypoints + keypoint
    }

    /// One detection.
    pub fn get(&self, camera: usize, frame: usize, keypoint: usize) -> [f64; 3] {
        self.data[self.at(camera, frame, keypoint)]
    }

    /// Sets one detection.
    pub fn set(&mut self, camera: usize, frame: usize, keypoint: usize, value: [f64; 3]) {
        let i = self.at(camera, frame, keypoint);
        self.data[i] = value;
    }
}

/// One recording of the subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Name: of its folder.
    pub name: String,
    /// Frames per second.
    pub rate_hz: f64,
    /// Number of the first frame in the files' own counting.
    pub first_frame: i64,
    /// What was seen of the subject; nothing where the trial is unusable.
    pub detections: Detections,
    /// Why the trial cannot be fitted, where that was found on reading it. The others of its session can.
    #[serde(default)]
    pub unusable: Option<Unusable>,
}

/// What is wrong with a trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unusable {
    /// Where (file, line, camera) and what was found.
    pub problem: String,
    /// What the user can do.
    pub advice: String,
}

impl Unusable {
    /// From the error that a trial of this name ended in; its name need not be said again.
    pub fn new(trial: &str, error: &Error) -> Self {
        match error {
            Error::Input { place, problem, advice } => {
                let its = trial_place(trial);
                let problem = match place.strip_suffix(&its).map(|rest| rest.trim_end_matches(", ")) {
                    Some("") => problem.clone(),
                    Some(rest) => format!("{rest}: {problem}"),
                    None => format!("{place}: {problem}"),
                };
                Self { problem, advice: advice.clone() }
            }
            other => Self { problem: other.to_string(), advice: "take the trial away, or read it again".into() },
        }
    }
}

/// How messages name a trial.
pub(crate) fn trial_place(name: &str) -> String {
    format!("trial `{name}`")
}

/// The subject, as far as it is known beforehand.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// Name, for reports.
    pub name: Option<String>,
    /// Standing height, metres.
    pub stature: Option<f64>,
}

/// Cameras, trials and subject of one recording session. The world is the calibration's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Name: of its folder.
    pub name: String,
    /// Cameras.
    pub rig: Rig,
    /// The vertical of the calibration's world; `true` for Z, `false` for Y.
    pub z_up: bool,
    /// What the keypoints mean.
    pub keypoints: KeypointSet,
    /// Recordings; all share subject and cameras.
    pub trials: Vec<Trial>,
    /// Who was filmed.
    pub subject: Subject,
}
