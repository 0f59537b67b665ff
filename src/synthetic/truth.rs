//! What really was: the content of `truth.json`.

use crate::camera::{Camera, calibration};
use crate::error::{Error, Result};
use nalgebra::{Quaternion, Rotation3, UnitQuaternion};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The only version of the file there is.
pub(super) const FORMAT: u32 = 1;

/// A truth is megabytes; a file larger than this is something else.
const LARGEST_FILE: u64 = 4 << 30;

const ADVICE: &str = "give the truth.json that `kinefit synth` wrote";

/// The truth of a session. Ground is the model's ground frame; metres and radians.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// 1.
    pub format: u32,
    /// Name of the model.
    pub model: String,
    /// What the session was generated from.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Names of the columns of [`TrialTruth::coordinates`].
    pub coordinates: Vec<String>,
    /// Names of the columns of [`TrialTruth::markers`].
    pub markers: Vec<String>,
    /// Factor of the bodies of each scale group: 1 + the parameters of all groups that contain every one of them.
    #[serde(default)]
    pub group_factors: BTreeMap<String, f64>,
    /// Scale factors by body, ground left out.
    pub scales: BTreeMap<String, [f64; 3]>,
    /// Offsets of the observed markers, in the body's frame.
    pub offsets: BTreeMap<String, [f64; 3]>,
    /// Cameras in the calibration's world.
    #[serde(default)]
    pub cameras: Vec<TrueCamera>,
    /// Trials.
    pub trials: Vec<TrialTruth>,
}

/// Where a camera stood, in the calibration's world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrueCamera {
    /// Name.
    pub name: String,
    /// Optical centre.
    pub centre: [f64; 3],
    /// Orientation `camera_from_world`.
    pub quat_wxyz: [f64; 4],
}

impl TrueCamera {
    /// Of a camera.
    pub fn of(camera: &Camera) -> Self {
        let q = camera.camera_from_world.rotation;
        Self { name: camera.name.clone(), centre: camera.centre_in_world().into(), quat_wxyz: [q.w, q.i, q.j, q.k] }
    }

    /// Orientation.
    pub fn camera_from_world(&self) -> Rotation3<f64> {
        let [w, x, y, z] = self.quat_wxyz;
        UnitQuaternion::new_normalize(Quaternion::new(w, x, y, z)).to_rotation_matrix()
    }
}

/// A trial's truth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialTruth {
    /// Name.
    pub name: String,
    /// Frames per second; the first frame is at time 0.
    pub rate_hz: f64,
    /// `[frame][coordinate]`, angles unwrapped.
    pub coordinates: Vec<Vec<f64>>,
    /// `[frame][marker]` in ground.
    pub markers: Vec<Vec<[f64; 3]>>,
}

/// The layout of sessions made with MuJoCo: one trial, isotropic factors, arrays by name lists.
#[derive(Deserialize)]
struct MujocoTruth {
    fps: f64,
    joint_names: Vec<String>,
    qpos_true: Vec<Vec<f64>>,
    #[serde(default)]
    scale_groups: Vec<String>,
    #[serde(default)]
    scale_true: Vec<f64>,
    /// `[body][group]`, 1 where the group contains the body.
    #[serde(default)]
    mixer: Vec<Vec<f64>>,
    body_names: Vec<String>,
    body_scale_true: Vec<f64>,
    site_names: Vec<String>,
    offset_true: Vec<[f64; 3]>,
    site_true: Vec<Vec<[f64; 3]>>,
}

/// Either layout, told apart by its members.
#[derive(Deserialize)]
#[serde(untagged)]
enum AnyTruth {
    Own(Truth),
    Mujoco(MujocoTruth),
}

impl Truth {
    /// Reads a `truth.json`, of this library or of a session made with MuJoCo; cameras that the file lacks are taken from
    /// a `cameras_truth.toml` beside it.
    ///
    /// # Errors
    /// A file that cannot be read, is neither, or whose arrays do not agree with each other.
    pub fn read(path: &Path) -> Result<Self> {
        let unreadable = |e: &std::io::Error| Error::unreadable(path, e);
        if std::fs::metadata(path).map_err(|e| unreadable(&e))?.len() > LARGEST_FILE {
            return Err(Error::file(path, "is larger than any truth file", ADVICE));
        }
        let text = std::fs::read_to_string(path).map_err(|e| unreadable(&e))?;
        let mut truth = Self::from_json(&text, &path.display().to_string())?;
        let beside = path.with_file_name("cameras_truth.toml");
        if truth.cameras.is_empty() && beside.is_file() {
            truth.cameras = calibration::read(&beside)?.iter().map(TrueCamera::of).collect();
        }
        Ok(truth)
    }

    /// Reads it from memory; `place` is what error messages call it.
    ///
    /// # Errors
    /// As for [`Truth::read`].
    pub fn from_json(text: &str, place: &str) -> Result<Self> {
        let bad_json = |e: serde_json::Error| {
            let place = format!("{place}, line {}, column {}", e.line(), e.column());
            Error::input(place, format_args!("this is no truth file: {e}"), ADVICE)
        };
        // Once for its place in a broken file, then for either layout.
        let value: serde_json::Value = serde_json::from_str(text).map_err(bad_json)?;
        let truth = match serde_json::from_value::<AnyTruth>(value) {
            Ok(AnyTruth::Own(truth)) => truth,
            Ok(AnyTruth::Mujoco(truth)) => truth.translated(),
            Err(_) => {
                return Err(Error::input(
                    place,
                    "the members of a truth file are not there, or of another kind",
                    ADVICE,
                ));
            }
        };
        truth.check(place)?;
        Ok(truth)
    }

    /// As JSON, numbers to the tenth of a micrometre and microradian: what is finer is no truth of a body, and half the file.
    pub fn to_json(&self) -> String {
        let round = |x: &mut f64| *x = (*x * 1e7).round() / 1e7;
        let mut truth = self.clone();
        truth.group_factors.values_mut().for_each(round);
        truth.scales.values_mut().chain(truth.offsets.values_mut()).flatten().for_each(round);
        for trial in &mut truth.trials {
            trial.coordinates.iter_mut().flatten().for_each(round);
            trial.markers.iter_mut().flatten().flatten().for_each(round);
        }
        // Plain numbers, lists and string keys cannot fail to serialise.
        serde_json::to_string(&truth).unwrap_or_default()
    }

    fn check(&self, place: &str) -> Result<()> {
        let refuse = |problem: String| Err(Error::input(place, problem, ADVICE));
        if self.format != FORMAT {
            return refuse(format!("format is {}; this version of kinefit reads {FORMAT}", self.format));
        }
        if self.trials.is_empty() {
            return refuse("there are no trials in it".into());
        }
        for trial in &self.trials {
            let name = &trial.name;
            if trial.coordinates.len() != trial.markers.len() {
                let (a, b) = (trial.coordinates.len(), trial.markers.len());
                return refuse(format!("trial `{name}` has {a} frames of coordinates and {b} of markers"));
            }
            if let Some(f) = trial.coordinates.iter().position(|row| row.len() != self.coordinates.len()) {
                let n = self.coordinates.len();
                return refuse(format!("trial `{name}`, frame {f} has not the {n} coordinates that are named"));
            }
            if let Some(f) = trial.markers.iter().position(|row| row.len() != self.markers.len()) {
                let n = self.markers.len();
                return refuse(format!("trial `{name}`, frame {f} has not the {n} markers that are named"));
            }
        }
        Ok(())
    }
}

impl MujocoTruth {
    fn group_factors(&self) -> BTreeMap<String, f64> {
        let contains = |row: &[f64], group: usize| row.get(group).is_some_and(|&m| m != 0.0);
        let factor = |g: usize| {
            let counts = |h: usize| self.mixer.iter().filter(|row| contains(row, g)).all(|row| contains(row, h));
            1.0 + self.scale_true.iter().enumerate().filter(|(h, _)| counts(*h)).map(|(_, p)| p).sum::<f64>()
        };
        self.scale_groups.iter().enumerate().map(|(g, name)| (name.clone(), factor(g))).collect()
    }

    fn translated(self) -> Truth {
        let group_factors = self.group_factors();
        Truth {
            format: FORMAT,
            model: String::new(),
            seed: None,
            coordinates: self.joint_names,
            group_factors,
            scales: self.body_names.into_iter().zip(self.body_scale_true).skip(1).map(|(n, s)| (n, [s; 3])).collect(),
            offsets: self.site_names.iter().cloned().zip(self.offset_true).collect(),
            markers: self.site_names,
            cameras: Vec::new(),
            trials: vec![TrialTruth {
                name: String::new(),
                rate_hz: self.fps,
                coordinates: self.qpos_true,
                markers: self.site_true,
            }],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example() -> Truth {
        Truth {
            format: FORMAT,
            model: "m".into(),
            seed: Some(7),
            coordinates: vec!["knee".into()],
            markers: vec!["toe".into()],
            group_factors: [("leg".to_string(), 1.0312345)].into(),
            scales: [("tibia".to_string(), [1.0312345, 1.0, 1.0])].into(),
            offsets: [("toe".to_string(), [0.001, -0.0023456, 0.0])].into(),
            cameras: vec![TrueCamera { name: "a".into(), centre: [1.0, 2.0, 3.0], quat_wxyz: [1.0, 0.0, 0.0, 0.0] }],
            trials: vec![TrialTruth {
                name: "t".into(),
                rate_hz: 30.0,
                coordinates: vec![vec![0.5], vec![0.625]],
                markers: vec![vec![[0.1, 0.2, 0.3]], vec![[0.1, 0.2, -0.3]]],
            }],
        }
    }

    #[test]
    fn written_and_read_again_it_is_the_same() {
        assert_eq!(Truth::from_json(&example().to_json(), "here").unwrap(), example());
    }

    #[test]
    fn arrays_that_disagree_are_named() {
        let good = example().to_json();
        for (from, to, expected) in [
            ("\"format\":1", "\"format\":2", "format is 2"),
            ("[[0.5],[0.625]]", "[[0.5]]", "1 frames of coordinates and 2"),
            ("[[0.5],[0.625]]", "[[0.5],[]]", "frame 1"),
            ("\"markers\":[\"toe\"]", "\"markers\":[]", "frame 0"),
            ("\"coordinates\":[\"knee\"]", "\"joints\":[]", "members"),
            ("[1.0,2.0,3.0]", "[1.0,2.0,", "line 1, column"),
        ] {
            assert!(good.contains(from), "{from} in {good}");
            let error = Truth::from_json(&good.replace(from, to), "here").unwrap_err();
            assert!(error.to_string().contains(expected) && error.to_string().contains("here"), "{to}: {error}");
        }
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(text in ".{0,200}", cut in 0usize..600) {
            let _ = Truth::from_json(&text, "x");
            let good = example().to_json();
            let start: String = good.chars().take(cut).collect();
            let _ = Truth::from_json(&(start + &text), "x");
        }
    }
}
