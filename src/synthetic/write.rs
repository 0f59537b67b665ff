//! A synthetic session as a folder that every reader of Pose2Sim sessions takes.
//!
//! ```text
//! DIR/calibration/Calib.toml      as the user has it
//! DIR/cameras_truth.toml          as it really was
//! DIR/truth.json                  everything else that really was
//! DIR/Config.toml                 frame rate and keypoint set
//! DIR/walk/pose/cam01_json/cam01_00000000.json …
//! ```

use super::{Purpose, Synthetic, stream};
use crate::camera::calibration;
use crate::error::{Error, Result};
use crate::session::Detections;
use rand::seq::SliceRandom;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

impl Synthetic {
    /// Writes the session and its truth into `folder`, which is made where it is not there. Pixels to the thousandth, as detectors write them.
    ///
    /// # Errors
    /// A folder that cannot be written, or that holds files which are none of this session's: a reader would take them for part of it.
    pub fn write(&self, folder: &Path) -> Result<()> {
        if let Some(stranger) = self.stranger(folder, folder) {
            return Err(Error::file(
                folder,
                format_args!("holds {}, which is not of this session and may be read with it", stranger.display()),
                "give a folder that is empty or new, or delete this one first",
            ));
        }
        let calibrated = folder.join("calibration");
        make(&calibrated)?;
        calibration::write_toml(&calibrated.join("Calib.toml"), &self.session.rig)?;
        calibration::write_toml(&folder.join("cameras_truth.toml"), &self.rig)?;
        write(&folder.join("truth.json"), &self.truth.to_json())?;
        let config = format!(
            "[project]\nmulti_person = {}\nframe_rate = {}\n\n[pose]\npose_model = \"{}\"\n",
            self.options.bystanders > 0,
            self.options.rate_hz,
            self.session.keypoints.name
        );
        write(&folder.join("Config.toml"), &config)?;
        for (i, trial) in self.session.trials.iter().enumerate() {
            let people: Vec<&Detections> =
                std::iter::once(&trial.detections).chain(self.bystanders.get(i).into_iter().flatten()).collect();
            for (c, camera) in self.session.rig.iter().enumerate() {
                let place = folder.join(&trial.name).join("pose").join(format!("{}_json", camera.name));
                make(&place)?;
                let mut order = stream(self.options.seed, Purpose::Order, i * self.session.rig.len() + c);
                for f in 0..trial.detections.frames {
                    let mut present: Vec<&[[f64; 3]]> = people
                        .iter()
                        .map(|p| person(p, c, f))
                        .filter(|points| points.iter().any(|point| point[2] > 0.0))
                        .collect();
                    if self.options.shuffle_people {
                        present.shuffle(&mut order);
                    }
                    write(&place.join(format!("{}_{f:08}.json", camera.name)), &openpose(&present))?;
                }
            }
        }
        Ok(())
    }

    /// The first file below `here`, in the order of names, that [`write`](Self::write) would leave as it is.
    fn stranger(&self, folder: &Path, here: &Path) -> Option<PathBuf> {
        // What file managers leave is read by nobody; links are not followed.
        let litter = |name: &str| name.starts_with('.') || ["Thumbs.db", "desktop.ini"].contains(&name);
        let mut entries: Vec<(PathBuf, bool)> = fs::read_dir(here)
            .ok()?
            .filter_map(|e| e.ok())
            .filter(|e| !e.file_name().to_str().is_some_and(litter))
            .map(|e| (e.path(), e.file_type().is_ok_and(|kind| kind.is_dir())))
            .collect();
        entries.sort();
        entries.into_iter().find_map(|(path, is_folder)| match is_folder {
            true => self.stranger(folder, &path),
            false => (!path.strip_prefix(folder).is_ok_and(|own| self.writes(own))).then_some(path),
        })
    }

    /// Whether a session's folder has this file.
    fn writes(&self, file: &Path) -> bool {
        let Some(parts) = file.iter().map(|part| part.to_str()).collect::<Option<Vec<_>>>() else { return false };
        match parts[..] {
            ["truth.json" | "cameras_truth.toml" | "Config.toml"] | ["calibration", "Calib.toml"] => true,
            [trial, "pose", camera, file] => {
                let of_trial = self.session.trials.iter().find(|t| t.name == trial);
                let name = camera.strip_suffix("_json").filter(|name| self.session.rig.iter().any(|c| c.name == *name));
                let frame = name.and_then(|name| {
                    file.strip_prefix(name)?.strip_prefix('_')?.strip_suffix(".json").filter(|frame| frame.len() == 8)
                });
                let frame = frame.and_then(|frame| frame.parse::<usize>().ok());
                of_trial.zip(frame).is_some_and(|(trial, frame)| frame < trial.detections.frames)
            }
            _ => false,
        }
    }
}

fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|e| Error::output(folder, e))
}

fn write(path: &Path, text: &str) -> Result<()> {
    let temporary = path.with_extension("part");
    let output = |e| Error::output(path, e);
    fs::write(&temporary, text).map_err(output)?;
    fs::rename(&temporary, path).map_err(output)
}

/// One person's points in one image.
fn person(detections: &Detections, camera: usize, frame: usize) -> &[[f64; 3]] {
    let first = (camera * detections.frames + frame) * detections.keypoints;
    &detections.data[first..first + detections.keypoints]
}

/// OpenPose's JSON.
fn openpose(people: &[&[[f64; 3]]]) -> String {
    let mut text = String::from("{\"version\":1.3,\"people\":[");
    for (i, points) in people.iter().enumerate() {
        text.push_str(if i > 0 { ",{" } else { "{" });
        text.push_str("\"person_id\":[-1],\"pose_keypoints_2d\":[");
        for (k, x) in points.iter().flatten().enumerate() {
            let comma = if k > 0 { "," } else { "" };
            // Writing to a string cannot fail.
            let _ = write!(text, "{comma}{}", (x * 1e3).round() / 1e3);
        }
        text.push_str("]}");
    }
    text.push_str("]}");
    text
}
