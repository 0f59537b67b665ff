//! `kinefit synth`: a session whose truth is known.

use super::console::print;
use super::model::ModelArguments;
use crate::error::{Error, Result};
use crate::report::OutputFolder;
use crate::skeleton::ScaleGroups;
use crate::synthetic::{Movement, SyntheticOptions, generate};
use clap::Args;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  kinefit synth --out session
  kinefit synth --out session --seed 7 --movement walk --movement squat --cameras 6 --noise 5 --outliers 0.05
  kinefit fit session --out fitted && kinefit evaluate fitted --truth session

The folder holds a session as `kinefit fit` reads it, and the truth: truth.json and cameras_truth.toml. A file of options
(TOML) may set everything that the library's `SyntheticOptions` has, for example

  frames = 300
  calibration_error_deg = 0.5
  gaps = { share = 0.1, mean_frames = 20 }";

/// Make a session whose truth is known
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Folder for the session
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    model: ModelArguments,
    /// Options from a file; what is given here stands before it
    #[arg(long, value_name = "FILE")]
    options: Option<PathBuf>,
    /// The same seed makes the same session
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Cameras, in a ring around the subject
    #[arg(long, value_name = "N")]
    cameras: Option<usize>,
    /// Frames of each trial
    #[arg(long, value_name = "N")]
    frames: Option<usize>,
    /// Frames per second
    #[arg(long, value_name = "HZ")]
    rate: Option<f64>,
    /// What the subject does: walk, squat, turn, cartwheel, somersault, stand or random; one trial each, may be repeated
    #[arg(long, value_name = "WHAT", value_parser = movement)]
    movement: Vec<Movement>,
    /// A built-in keypoint set
    #[arg(long, value_name = "SET")]
    keypoints: Option<String>,
    /// Error of a detection along each image axis, pixels (standard deviation)
    #[arg(long, value_name = "PX")]
    noise: Option<f64>,
    /// Share of detections that are gross errors, 0 to 1
    #[arg(long, value_name = "SHARE")]
    outliers: Option<f64>,
    /// Share of detections that are missing, 0 to 1
    #[arg(long, value_name = "SHARE")]
    missing: Option<f64>,
    /// Other people in the room
    #[arg(long, value_name = "N")]
    bystanders: Option<usize>,
}

/// Names as in files of options.
fn movement(name: &str) -> std::result::Result<Movement, String> {
    Movement::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(name))
        .map_err(|_| "choose walk, squat, turn, cartwheel, somersault, stand or random".to_owned())
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let options = arguments.options()?;
    let skeleton = arguments.model.read()?;
    let groups = ScaleGroups::default_for(&skeleton);
    let made = generate(&skeleton, &groups, &options)?;
    let out = OutputFolder::open(&arguments.out)?;
    made.write(out.path())?;
    print(&format!(
        "{} trials of {} frames at {} Hz before {} cameras, seed {}: {}\nThe truth is truth.json there.\n",
        made.session.trials.len(),
        options.frames,
        options.rate_hz,
        options.cameras,
        options.seed,
        out.path().display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

impl Arguments {
    fn options(&self) -> Result<SyntheticOptions> {
        let mut options = match &self.options {
            Some(path) => read(path)?,
            None => SyntheticOptions::default(),
        };
        let o = &mut options;
        o.seed = self.seed.unwrap_or(o.seed);
        o.cameras = self.cameras.unwrap_or(o.cameras);
        o.frames = self.frames.unwrap_or(o.frames);
        o.rate_hz = self.rate.unwrap_or(o.rate_hz);
        if !self.movement.is_empty() {
            o.movements.clone_from(&self.movement);
        }
        o.keypoints = self.keypoints.clone().unwrap_or(std::mem::take(&mut o.keypoints));
        o.noise_px = self.noise.unwrap_or(o.noise_px);
        o.outlier_share = self.outliers.unwrap_or(o.outlier_share);
        o.missing_share = self.missing.unwrap_or(o.missing_share);
        o.bystanders = self.bystanders.unwrap_or(o.bystanders);
        o.shuffle_people |= o.bystanders > 0;
        Ok(options)
    }
}

fn read(path: &Path) -> Result<SyntheticOptions> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::unreadable(path, &e))?;
    toml::from_str(&text)
        .map_err(|e| Error::file(path, e.to_string().trim_end(), "see `kinefit synth --help` for an example"))
}
