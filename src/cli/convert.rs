//! `kinefit convert`: models and marker trials from one format to another; models with proof.

use super::console::print;
use super::model::ModelArguments;
use super::output::place;
use crate::error::{Error, Result};
use crate::kinematics::compare;
use crate::report::OutputFolder;
use crate::session::ground_from_world;
use crate::session::markers::{self, c3d, trc};
use crate::skeleton::{Offsets, Scales, UpAxis, read_model_str, write_mjcf, write_osim};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const EXAMPLE: &str = "\
Examples:
  kinefit convert model.osim model.xml      OpenSim to MuJoCo, or back
  kinefit convert walk.c3d walk.trc         marker trials

A converted model is read again and compared with the original in 200 random poses; the largest distance between a marker's
two places is printed. A joint that has no exact counterpart is an error that names it, and nothing is written.";

/// Seed of the poses in which models are compared.
const SEED: u64 = 1;

/// A converted model must put markers where the original does to this, metres: a thousandth of what joint frames are known to, and far above rounding.
const AGREEMENT_M: f64 = 1e-9;

/// Convert a model (.osim, .xml), showing that nothing moved, or a marker trial (.trc, .c3d)
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Arguments {
    /// What to convert
    #[arg(value_name = "FROM")]
    from: PathBuf,
    /// Where to; its ending says into what
    #[arg(value_name = "TO")]
    to: PathBuf,
    /// OpenSim MarkerSet file whose markers are added to the model's; may be repeated
    #[arg(long, value_name = "FILE")]
    marker_set: Vec<PathBuf>,
}

fn ending(path: &Path) -> String {
    path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default()
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.to.canonicalize().is_ok_and(|to| arguments.from.canonicalize().is_ok_and(|from| from == to)) {
        return Err(Error::input(arguments.to.display(), "is what is to be converted", "give the result another name"));
    }
    match (ending(&arguments.from).as_str(), ending(&arguments.to).as_str()) {
        ("osim" | "xml" | "mjcf", to @ ("osim" | "xml" | "mjcf")) => model(arguments, to == "osim"),
        ("trc" | "c3d", to @ ("trc" | "c3d")) => trial(arguments, to == "trc"),
        (from, to) => Err(Error::input(
            format_args!("{} to {}", arguments.from.display(), arguments.to.display()),
            format_args!("`.{from}` cannot become `.{to}`"),
            "models: .osim and .xml (MuJoCo); marker trials: .trc and .c3d",
        )),
    }
}

fn model(arguments: &Arguments, to_osim: bool) -> Result<ExitCode> {
    let source = ModelArguments { model: Some(arguments.from.clone()), marker_set: arguments.marker_set.clone() };
    let skeleton = source.read()?;
    let (scales, offsets) = (Scales::ones(&skeleton), Offsets::zeros(&skeleton));
    let text =
        if to_osim { write_osim(&skeleton, &scales, &offsets)? } else { write_mjcf(&skeleton, &scales, &offsets)? };
    let label = arguments.to.display().to_string();
    let found = compare(&skeleton, &read_model_str(&label, &text)?, SEED);
    let worst =
        [&found.largest_marker_m, &found.largest_body_m].into_iter().flatten().max_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((distance, name)) = worst.filter(|w| w.0 > AGREEMENT_M) {
        return Err(Error::input(
            arguments.from.display(),
            format_args!("converted, `{name}` would be up to {distance:.1e} m from where it belongs"),
            "nothing was written; the model has something that the other format cannot hold exactly",
        ));
    }
    let (folder, name) = place(&arguments.to)?;
    OutputFolder::open(folder)?.write(name, text.as_bytes())?;
    let difference = match &found.largest_marker_m {
        None => "there are none".into(),
        Some((0.0, _)) => "exactly where the original has them".into(),
        Some((d, name)) => format!("at most {d:.1e} m from where the original has them ({name})"),
    };
    let mut said = format!(
        "Wrote    {label}\nMarkers  {} compared in {} poses of {} coordinates: {difference}\n",
        found.markers, found.poses, found.coordinates
    );
    if !found.missing_markers.is_empty() {
        said += &format!("Lost     {}\n", found.missing_markers.join(", "));
    }
    print(&said)?;
    Ok(ExitCode::SUCCESS)
}

fn trial(arguments: &Arguments, to_trc: bool) -> Result<ExitCode> {
    if !arguments.marker_set.is_empty() {
        return Err(Error::input("--marker-set", "is for models, and this is a marker trial", "leave it out"));
    }
    let mut trial = markers::read(&arguments.from)?;
    let turned = to_trc && trial.up == Some(UpAxis::Z);
    if turned {
        // A TRC has no place to say which axis is up, and Y is what everybody takes for it.
        let turn = ground_from_world(true, UpAxis::Y);
        trial.positions.iter_mut().flatten().for_each(|p| *p = turn * *p);
        trial.up = None;
    }
    let (folder, name) = place(&arguments.to)?;
    let label = arguments.to.display().to_string();
    let content = if to_trc { trc::to_text(&trial, name)?.into_bytes() } else { c3d::to_bytes(&trial, &label)? };
    OutputFolder::open(folder)?.write(name, &content)?;
    let missing = trial.positions.iter().filter(|p| p.is_none()).count();
    print(&format!(
        "Wrote    {label}: {} frames of {} markers at {} Hz, {missing} of {} positions missing{}\n",
        trial.frames(),
        trial.names.len(),
        trial.rate_hz,
        trial.positions.len(),
        if turned { "; turned from Z up to Y up, (x, y, z) now (y, z, x)" } else { "" }
    ))?;
    Ok(ExitCode::SUCCESS)
}
