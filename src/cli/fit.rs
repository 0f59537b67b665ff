//! `kinefit fit`: a session folder in, everything about its subject out.

use super::console::Console;
use super::interrupt;
use super::model::ModelArguments;
use super::output::{Output, command_line, folder_name};
use crate::error::{Error, Result};
use crate::fit::{FitOptions, TrajectoryKind, default_scale_groups, fit_session};
use crate::report::Provenance;
use crate::session::{self, ReadOptions, Reading};
use crate::skeleton::{ScaleGroups, UpAxis};
use clap::{ArgAction, Args, ValueEnum};
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

const EXAMPLES: &str = "\
Examples:
  kinefit fit recordings/S01
  kinefit fit recordings/S01 --out S01 --stature 1.73
  kinefit fit recordings/S01 --keypoints HALPE_26 --rate 60 --frames 100..400
  kinefit fit recordings/S01 --model my.osim --marker-set my_markers.xml

SESSION is a Pose2Sim session folder as it is (calibration/, <trial>/pose/*json*/, Config.toml if there),
or a session.toml that states the same:

  name = \"S01\"
  calibration = \"calibration/Calib.toml\"
  keypoints = \"HALPE_26\"
  [subject]
  stature = 1.73                # metres, if known
  [[trials]]
  name = \"walk\"
  rate_hz = 60
  poses = [\"pose/cam01_json\", \"pose/cam02_json\"]   # one per camera, in the calibration's order";

/// Fit a skeleton to what the cameras of a session saw
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES, after_help = "Example:\n  kinefit fit recordings/S01 --out S01")]
pub(super) struct Arguments {
    /// Session folder, or a session.toml
    session: PathBuf,
    #[command(flatten)]
    model: ModelArguments,
    /// Folder for the results; made if it is not there [default: kinefit_<session> here]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Refine the camera positions, within what calibrations are usually off
    #[arg(long, value_name = "true|false", action = ArgAction::Set, default_value_t = true, num_args = 0..=1,
          default_missing_value = "true", require_equals = true, hide_possible_values = true)]
    refine_cameras: bool,
    /// Frames per second, where the session does not state them or is wrong
    #[arg(long, value_name = "HZ")]
    rate: Option<f64>,
    /// Keypoint set (BODY_25, BODY_25B, COCO_17, COCO_133, HALPE_26, BLAZEPOSE_33, MOVI_87) or a file that lists one
    #[arg(long, value_name = "SET")]
    keypoints: Option<String>,
    /// Which bodies are scaled together, a JSON file [default: left and right alike]
    #[arg(long, value_name = "FILE")]
    scale_groups: Option<PathBuf>,
    /// Standing height of the subject, if known, metres
    #[arg(long, value_name = "M")]
    stature: Option<f64>,
    /// Frames to fit, numbered as the files are; B is one past the last
    #[arg(long, value_name = "A..B", value_parser = frames)]
    frames: Option<Range<i64>>,
    /// What the pose is as a function of time: a B-spline, or a network (mlp; a build with the feature `learn`)
    #[arg(long, value_name = "bspline|mlp", value_enum, default_value_t = Kind::Bspline, hide_possible_values = true)]
    trajectory: Kind,
    /// Which person: 0 is the one the cameras see best, 1 the next
    #[arg(long, value_name = "N")]
    person: Option<usize>,
    /// Print outcome.json to standard output, and nothing else there
    #[arg(long)]
    json: bool,
    /// Processor cores to use [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    // Last: its heading is that of whatever follows.
    #[cfg(feature = "learn")]
    #[command(flatten)]
    network: super::network::NetworkArguments,
}

/// `--trajectory`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Bspline,
    Mlp,
}

/// `A..B`; either end may be left out.
fn frames(text: &str) -> std::result::Result<Range<i64>, String> {
    let expected = || format!("`{text}` is no range of frames; write first..end, for example 100..400");
    let (from, to) = text.split_once("..").ok_or_else(expected)?;
    let end = |text: &str, open: i64| match text.trim() {
        "" => Ok(open),
        number => number.parse().map_err(|_| expected()),
    };
    Ok(end(from, i64::MIN)?..end(to, i64::MAX)?)
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<ExitCode> {
    if let Some(threads) = arguments.threads {
        use_threads(threads)?;
    }
    let begun = Instant::now();
    let reading = session::read_with_sources(&arguments.session, &arguments.reading())?;
    let mut options = arguments.options()?;
    let out = arguments.out.clone().unwrap_or_else(|| folder_name(&reading.session.name).into());
    #[cfg(feature = "learn")]
    arguments.network.warm_start(&reading.session, &out, &mut options)?;
    let output = Output::open(&out)?;
    let provenance = arguments.provenance(&reading, &options)?;
    #[cfg(feature = "learn")]
    if arguments.trajectory == Kind::Mlp {
        arguments.network.keep(&out, &mut options)?;
    }
    let read = begun.elapsed().as_secs_f64();

    options.stop = Some(interrupt::stop_flag());
    options.progress = Some(console.progress());
    let fitted = fit_session(&reading.session, &options);
    #[cfg(feature = "learn")]
    let fitted = fitted.map_err(|e| super::network::with_path(e, &out));
    console.end_progress();
    let mut fit = match fitted {
        Ok(fit) => fit,
        Err(error) => {
            let up = options.skeleton.as_ref().map_or(UpAxis::Y, |s| s.up);
            let ground = session::ground_from_world(reading.session.z_up, up);
            return Err(output.write_broken(&reading.session, &ground, error, &provenance, arguments.json)?);
        }
    };
    fit.timings.read = read;
    fit.timings.total += read;
    #[cfg(feature = "learn")]
    if fit.status == crate::fit::Status::Converged {
        // Nothing is left to go on to; where there was none, none is missing.
        let _ = std::fs::remove_file(out.join(super::network::CHECKPOINT));
    }
    #[cfg(feature = "learn")]
    if fit.advice.as_deref().is_some_and(|advice| advice.contains("--resume")) {
        fit.warnings.push(
            "The same command with --resume goes on from where it was. (--steps counts all since the beginning.)"
                .into(),
        );
    }
    output.write(&fit, &provenance, arguments.json, console)
}

impl Arguments {
    fn reading(&self) -> ReadOptions {
        ReadOptions {
            rate_hz: self.rate,
            keypoints: self.keypoints.clone(),
            frames: self.frames.clone(),
            person: self.person,
            stature: self.stature,
        }
    }

    fn options(&self) -> Result<FitOptions> {
        let skeleton = self.model.read()?;
        let scale_groups = match &self.scale_groups {
            Some(path) => Some(ScaleGroups::read(path, &skeleton)?),
            // The same body has the same proportions, whatever markers are added to it.
            None if self.model.is_built_in() => Some(default_scale_groups(&skeleton)?),
            None => None,
        };
        Ok(FitOptions {
            refine_cameras: self.refine_cameras,
            skeleton: Some(skeleton),
            scale_groups,
            trajectory: self.trajectory()?,
            ..FitOptions::default()
        })
    }

    #[cfg(feature = "learn")]
    fn trajectory(&self) -> Result<TrajectoryKind> {
        match self.trajectory {
            Kind::Bspline => self.network.unused().map(|()| TrajectoryKind::BSpline),
            Kind::Mlp => Ok(TrajectoryKind::Mlp(Box::new(self.network.options()?))),
        }
    }

    #[cfg(not(feature = "learn"))]
    fn trajectory(&self) -> Result<TrajectoryKind> {
        match self.trajectory {
            Kind::Bspline => Ok(TrajectoryKind::BSpline),
            Kind::Mlp => Err(Error::input(
                "--trajectory mlp",
                "this kinefit was built without networks",
                "build it with `cargo build --release --features learn` (some minutes more), or fit with --trajectory bspline",
            )),
        }
    }

    fn provenance(&self, reading: &Reading, options: &FitOptions) -> Result<Provenance> {
        let mut provenance = Provenance::new(&serde_json::json!({ "read": self.reading(), "fit": options }))?;
        provenance.command = command_line();
        for path in reading.inputs.iter().chain(self.model.files()).chain(&self.scale_groups) {
            provenance.add_input(path)?;
        }
        #[cfg(feature = "learn")]
        for path in super::network::NetworkArguments::inputs(options) {
            provenance.add_input(path)?;
        }
        Ok(provenance)
    }
}

/// Before anything has used a thread. More than there are cores would wait for each other.
pub(super) fn use_threads(threads: u16) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = usize::from(threads).min(cores);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().map_err(|e| {
        Error::input(
            "--threads",
            format_args!("{threads} threads cannot be had: {e}"),
            "ask for fewer, or leave it out",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_ranges() {
        assert_eq!(frames("10..20"), Ok(10..20));
        assert_eq!(frames("10.."), Ok(10..i64::MAX));
        assert_eq!(frames(" ..20 "), Ok(i64::MIN..20));
        for bad in ["10", "10-20", "a..b", "10...20", "1.5..2"] {
            assert!(frames(bad).is_err(), "{bad}");
        }
    }
}
