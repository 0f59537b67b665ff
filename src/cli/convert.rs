//! `kinefit convert`: models and marker trials from one format to another; models with proof.

use super::console::print;
use super::model::ModelArguments;
use super::output::place;
use crate::error::{Error, Result};
use crate::kinematics::{Comparison, compare};
use crate::report::OutputFolder;
use crate::session::ground_from_world;
use crate::session::markers::{self, c3d, trc};
use crate::skeleton::{Offsets, Scales, UpAxis, left_behind, read_model_str, write_mjcf, write_osim};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const EXAMPLE: &str = "\
Examples:
  kinefit convert model.osim model.xml      OpenSim to MuJoCo, or back
  kinefit convert walk.c3d walk.trc         marker trials

A converted model is read again and compared with the original in 200 random poses; the largest distance between a marker's
two places, between a body's two origins, and the largest angle between its two orientations are printed, the names of what
the other format has no place for, and what else of the document is left behind: masses and inertias, geometry, forces and
the like are not converted. A joint that has no exact counterpart is an error that names it, and nothing is written.";

/// Seed of the poses in which models are compared.
const SEED: u64 = 1;

/// A converted model must put markers and bodies where the original does to this, metres, and turn bodies alike to this, radians: far less than what joint frames are known to, and far
/// above rounding.
const AGREEMENT: f64 = 1e-9;

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
    let inexact = |problem: String| {
        let advice = "nothing was written; the model has something that the other format cannot hold exactly";
        Error::file(&arguments.from, problem, advice)
    };
    let converted = read_model_str("the converted model", &text)
        .map_err(|e| inexact(format!("converted, it could not be read again: {e}")))?;
    let found = compare(&skeleton, &converted, SEED);
    let all = [(&found.largest_marker_m, "m"), (&found.largest_body_m, "m"), (&found.largest_turn_rad, "radians")];
    for (largest, unit) in all {
        if let Some((distance, name)) = largest.as_ref().filter(|l| l.0 > AGREEMENT) {
            return Err(inexact(format!("converted, `{name}` would be up to {distance:.1e} {unit} off")));
        }
    }
    let left = match left_behind(&skeleton, &converted)? {
        said if said.is_empty() => String::new(),
        said => format!("Left     {}\n", said.join("; ")),
    };
    let (folder, name) = place(&arguments.to)?;
    OutputFolder::open(folder)?.write(name, text.as_bytes())?;
    print(&format!("Wrote    {label}\n{}{left}", proof(&found)))?;
    Ok(ExitCode::SUCCESS)
}

/// What a comparison found, line by line.
fn proof(found: &Comparison) -> String {
    let far = |largest: &Option<(f64, String)>, unit: &str| match largest {
        None => String::new(),
        Some((0.0, _)) => format!("0 {unit}"),
        Some((d, name)) => format!("{d:.1e} {unit} ({name})"),
    };
    let degrees = found.largest_turn_rad.as_ref().map(|(turn_rad, name)| (turn_rad.to_degrees(), name.clone()));
    let markers = match found.markers {
        0 => "none".to_owned(),
        n => format!("{n}, at most {} from where the original has them", far(&found.largest_marker_m, "m")),
    };
    let mut said = format!(
        "Compared in {} poses of {} coordinates\nMarkers  {markers}\nBodies   {}, origins at most {} from where the original has them, turned by at most {}\n",
        found.poses,
        found.coordinates,
        found.bodies,
        far(&found.largest_body_m, "m"),
        far(&degrees, "°"),
    );
    for (what, names) in [("Lost", &found.lost), ("Added", &found.added)] {
        let kinds = [("markers", &names.markers), ("bodies", &names.bodies), ("coordinates", &names.coordinates)];
        for (kind, names) in kinds.into_iter().filter(|k| !k.1.is_empty()) {
            said += &format!("{what:8} {kind} {}\n", names.join(", "));
        }
    }
    said
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
