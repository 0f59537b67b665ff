//! `session.toml`: what a session consists of, stated outright.
//!
//! ```toml
//! format = 1
//! name = "balancing"
//! calibration = "calibration/Calib.qca.txt"
//! keypoints = "BODY_25B"             # a built-in set or a file
//! up = "z"                           # vertical of the calibration's world; "z" unless stated
//!
//! [subject]
//! name = "S01"
//! stature = 1.73                     # metres
//!
//! [[trials]]
//! name = "beam"
//! rate_hz = 60
//! poses = ["pose/cam01_json", "pose/cam02_json", ""]   # one folder per camera of the calibration; "" for none
//! frames = [0, 100]                  # first and one past the last, in the files' counting; all unless stated
//! person = 0                         # rank of the subject; 0, seen best, unless stated
//! ```
//!
//! Paths are relative to the file. Trials may differ in rate here, because each is stated on purpose.

use super::{Subject, Unusable, text};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Name that the file has when `kinefit` writes it, and that is looked for in a folder.
pub const FILE_NAME: &str = "session.toml";

/// The only version of the file there is.
pub const FORMAT: u32 = 1;

const ADVICE: &str = "see the example of session.toml in the documentation of `kinefit fit`";

/// The content of a `session.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// [`FORMAT`].
    #[serde(default = "format")]
    pub format: u32,
    /// Name of the session, for reports.
    pub name: String,
    /// Calibration file.
    pub calibration: PathBuf,
    /// A built-in keypoint set or a file.
    pub keypoints: String,
    /// The vertical axis of the calibration's world.
    #[serde(default)]
    pub up: Up,
    /// Who was filmed.
    #[serde(default)]
    pub subject: Subject,
    /// Recordings.
    pub trials: Vec<TrialDescription>,
}

fn format() -> u32 {
    FORMAT
}

/// A vertical axis.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Up {
    /// Y points up, as in OpenSim.
    Y,
    /// Z points up, as in Pose2Sim's calibrations.
    #[default]
    Z,
}

/// One recording in a `session.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialDescription {
    /// Name, for reports and output files.
    pub name: String,
    /// Frames per second.
    pub rate_hz: f64,
    /// One folder of keypoint files per camera, in the calibration's order; empty for a camera that saw nothing.
    pub poses: Vec<PathBuf>,
    /// First frame and one past the last, in the files' own counting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<[i64; 2]>,
    /// Rank of the subject among the people, 0 being the one seen best.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<usize>,
    /// Why it cannot be used, where its folders already tell.
    #[serde(skip)]
    pub unusable: Option<Unusable>,
}

impl Description {
    /// Reads a `session.toml`; paths in the result are relative to the working directory, not to the file.
    ///
    /// # Errors
    /// A file that cannot be read, that is no TOML of this form, or states what cannot be, with its line or trial.
    pub fn read(path: &Path) -> Result<Self> {
        let source = text::read(path)?;
        let description: Self =
            toml::from_str(&source).map_err(|error| text::toml_error(path, &source, &error, ADVICE))?;
        description.check(path)?;
        Ok(description.rebased(|relative| path.parent().unwrap_or(Path::new("")).join(relative)))
    }

    /// Writes a `session.toml`, paths relative to its folder where they lie below it; replaces an older one at once.
    ///
    /// # Errors
    /// A place that cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let folder = path.parent().unwrap_or(Path::new(""));
        // Elsewhere a path would depend on where the command runs, and is written in full.
        let relative = |path: &Path| match path.strip_prefix(folder) {
            Ok(below) => below.to_path_buf(),
            Err(_) => std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()),
        };
        let output = |error| Error::output(path, error);
        let body =
            toml::to_string(&self.clone().rebased(relative)).map_err(|error| output(std::io::Error::other(error)))?;
        let temporary = path.with_extension("toml.part");
        fs::write(&temporary, body).map_err(output)?;
        fs::rename(&temporary, path).map_err(output)
    }

    fn rebased(mut self, base: impl Fn(&Path) -> PathBuf) -> Self {
        let rebase = |path: &mut PathBuf| {
            if !path.as_os_str().is_empty() {
                *path = base(path);
            }
        };
        rebase(&mut self.calibration);
        self.trials.iter_mut().flat_map(|trial| &mut trial.poses).for_each(rebase);
        if super::keypoints::by_name(&self.keypoints).is_none() {
            self.keypoints = base(Path::new(&self.keypoints)).to_string_lossy().into_owned();
        }
        self
    }

    fn check(&self, path: &Path) -> Result<()> {
        let refuse = |place: &str, problem: String| {
            Err(Error::input(format_args!("{}{place}", path.display()), problem, ADVICE))
        };
        if self.format != FORMAT {
            return refuse("", format!("format is {}; this version of kinefit reads {FORMAT}", self.format));
        }
        if let Some(stature) = self.subject.stature.filter(|stature| !(0.3..=2.8).contains(stature)) {
            return refuse(", [subject]", format!("stature is {stature}; expected metres between 0.3 and 2.8"));
        }
        if self.trials.is_empty() {
            return refuse("", "there is no [[trials]]".to_owned());
        }
        let mut names = BTreeSet::new();
        for trial in &self.trials {
            let place = format!(", trial `{}`", trial.name);
            if trial.name.trim().is_empty() || trial.name.contains(['/', '\\']) {
                return refuse(&place, "its name cannot name an output file".to_owned());
            }
            if !names.insert(&trial.name) {
                return refuse(&place, "two trials have this name".to_owned());
            }
            check_rate(trial.rate_hz, format_args!("{}{place}", path.display()))?;
            if let Some([first, end]) = trial.frames.filter(|[first, end]| end <= first) {
                return refuse(
                    &place,
                    format!("frames = [{first}, {end}] is no range; expected [first, one past the last]"),
                );
            }
        }
        Ok(())
    }
}

/// Frame rates that a camera can have.
///
/// # Errors
/// A rate that is not a number between 1 and 100 000 frames per second.
pub(super) fn check_rate(rate_hz: f64, place: impl std::fmt::Display) -> Result<()> {
    if (1.0..=1e5).contains(&rate_hz) {
        return Ok(());
    }
    Err(Error::input(
        place,
        format_args!("the frame rate is {rate_hz} Hz"),
        "state the frames per second of the cameras, between 1 and 100000",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example() -> Description {
        Description {
            format: FORMAT,
            name: "S".into(),
            calibration: "calibration/Calib.toml".into(),
            keypoints: "BODY_25B".into(),
            up: Up::Y,
            subject: Subject { name: None, stature: Some(1.73) },
            trials: vec![TrialDescription {
                name: "walk".into(),
                rate_hz: 59.94,
                poses: vec!["walk/pose/cam1_json".into(), "".into()],
                frames: Some([3, 9]),
                person: None,
                unusable: None,
            }],
        }
    }

    #[test]
    fn written_and_read_again_it_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        let description = example().rebased(|relative| dir.path().join(relative));
        description.write(&path).unwrap();
        assert_eq!(Description::read(&path).unwrap(), description);
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.contains("\"walk/pose/cam1_json\", \"\"") && !text.contains(dir.path().to_str().unwrap()),
            "{text}"
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn paths_elsewhere_are_written_in_full() {
        let dir = tempfile::tempdir().unwrap();
        let (here, there) = (dir.path().join("out"), dir.path().join("data"));
        fs::create_dir(&here).unwrap();
        let description = example().rebased(|relative| there.join(relative));
        description.write(&here.join(FILE_NAME)).unwrap();
        assert_eq!(Description::read(&here.join(FILE_NAME)).unwrap(), description);
    }

    #[test]
    fn mistakes_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        let good = toml::to_string(&example()).unwrap();
        for (from, to, expected) in [
            ("format = 1", "format = 2", "format is 2"),
            ("stature = 1.73", "stature = 173.0", "metres"),
            ("59.94", "nan", "NaN Hz"),
            ("59.94", "0.0", "0 Hz"),
            ("59.94", "\"fast\"", "line 12"),
            ("[3, 9]", "[9, 9]", "is no range"),
            ("rate_hz", "rate", "line 12"),
            ("up = \"y\"", "up = \"x\"", "line 5"),
            ("\"walk\"", "\"a/b\"", "output file"),
        ] {
            assert!(good.contains(from), "{from} in {good}");
            fs::write(&path, good.replace(from, to)).unwrap();
            let error = Description::read(&path).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(expected) && error.to_string().contains(FILE_NAME), "{to}: {error}");
        }
        assert!(example().write(&dir.path().join("absent").join(FILE_NAME)).is_err());
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..400) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(FILE_NAME);
            let good = toml::to_string(&example()).unwrap();
            let start = good.as_bytes().iter().copied().take(cut);
            fs::write(&path, start.chain(bytes).collect::<Vec<_>>()).unwrap();
            let _ = Description::read(&path);
        }
    }
}
