//! `kinefit scale`: OpenSim's scale tool.

use super::console::{Console, print};
use crate::error::{Error, Result};
use crate::fit::{measured_scales, place_markers};
use crate::report::{OutputFolder, ScaleSummary, scale_files};
use crate::session::coordinates;
use crate::session::markers::{self, MarkerTrial};
use crate::session::scale_setup::{self, ScaleSetup};
use crate::skeleton::{Skeleton, read_marker_set, read_model};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const EXAMPLE: &str = "\
Example:
  kinefit scale subject01_Setup_Scale.xml --out scaled

Does what the setup says, as OpenSim 4.6 does: factors from distances between markers or given outright, the mass of the subject, markers
moved to where they were in the static trial. Files that the setup names are relative to it; what it has written goes
into the folder of --out under the names it gives, with <subject>_scale.json for the figures. Joint frames, masses and
inertias, markers, geometry, wrapping objects and muscles are scaled (fibres and tendons of muscles that wrap by their
straight path, which is near OpenSim's but not the same); contact geometry is not, nor is it by OpenSim.";

/// Scale a model to a subject by measured distances, from the setup file of OpenSim's scale tool
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Arguments {
    /// Setup file of OpenSim's scale tool (.xml)
    #[arg(value_name = "SETUP.xml")]
    setup: PathBuf,
    /// Model to be scaled (.osim) [default: the setup's]
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// OpenSim MarkerSet file whose markers are added to the model's; may be repeated [default: the setup's]
    #[arg(long, value_name = "FILE")]
    marker_set: Vec<PathBuf>,
    /// Markers of the static trial: .trc or .c3d [default: the setup's]
    #[arg(long, value_name = "FILE")]
    markers: Option<PathBuf>,
    /// Folder for the results
    #[arg(long, value_name = "DIR", default_value = "kinefit_scale")]
    out: PathBuf,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<ExitCode> {
    let setup = scale_setup::read(&arguments.setup)?;
    let mut inputs = vec![arguments.setup.clone()];
    let skeleton = model(arguments, &setup, &mut inputs)?;
    let mut trials = Trials { given: arguments.markers.as_deref(), read: Vec::new() };
    let measured = match &setup.scaler {
        Some(scaler) => {
            let trial = trials.read(scaler.marker_file.as_deref())?;
            Some(measured_scales(scaler, &skeleton, trial)?)
        }
        None => None,
    };
    let placed = match &setup.placer {
        Some(placer) => {
            let scales =
                measured.as_ref().map_or_else(|| crate::skeleton::Scales::ones(&skeleton), |m| m.scales.clone());
            let file = trials.file(placer.marker_file.as_deref()).map(Path::to_path_buf);
            let trial = trials.read(placer.marker_file.as_deref())?.ok_or_else(|| {
                Error::input(
                    &placer.place,
                    "it names no marker file",
                    "name the static trial in <marker_file>, or with --markers",
                )
            })?;
            let unit = match file.filter(|_| placer.max_marker_movement.is_some()) {
                Some(file) => markers::metres_per_unit(&file)?,
                None => 1.0,
            };
            let table = placer.coordinate_file.as_deref().map(coordinates::read).transpose()?;
            let table = table.map(|table| table.in_si_for(&skeleton));
            Some(place_markers(placer, &skeleton, &scales, trial, unit, table.as_ref())?)
        }
        None => None,
    };
    inputs.extend(trials.read.into_iter().map(|(path, _)| path));
    inputs.extend(setup.placer.iter().filter_map(|p| p.coordinate_file.clone()));
    let (files, summary) = scale_files(&setup, &skeleton, measured.as_ref(), placed.as_ref())?;
    let folder = OutputFolder::open(&arguments.out)?;
    for file in &files {
        let place = arguments.out.join(&file.name);
        if place.canonicalize().is_ok_and(|p| inputs.iter().any(|i| i.canonicalize().is_ok_and(|i| i == p))) {
            let problem = "is an input, and would be written over";
            return Err(Error::input(place.display(), problem, "choose another folder with --out"));
        }
    }
    folder.write_set(&files)?;
    for warning in &summary.warnings {
        console.warn(warning);
    }
    if arguments.json {
        // Plain structs with text keys, written to memory: nothing here can fail.
        print(&(serde_json::to_string_pretty(&summary).unwrap_or_default() + "\n"))?;
    } else {
        print(&said(&summary, &arguments.out))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn model(arguments: &Arguments, setup: &ScaleSetup, inputs: &mut Vec<PathBuf>) -> Result<Skeleton> {
    let path = arguments.model.as_ref().or(setup.model_file.as_ref()).ok_or_else(|| {
        Error::file(
            &arguments.setup,
            "it names no model (<GenericModelMaker>, <model_file>)",
            "name it there, or with --model",
        )
    })?;
    let mut skeleton = read_model(path)?;
    let sets = if arguments.marker_set.is_empty() { setup.marker_set_file.as_slice() } else { &arguments.marker_set };
    for set in sets {
        read_marker_set(set, &mut skeleton)?;
    }
    inputs.push(path.clone());
    inputs.extend(sets.iter().cloned());
    Ok(skeleton)
}

/// Marker files, each read once.
struct Trials<'a> {
    given: Option<&'a Path>,
    read: Vec<(PathBuf, MarkerTrial)>,
}

impl<'a> Trials<'a> {
    /// The file that counts where the setup names this one.
    fn file<'b>(&self, named: Option<&'b Path>) -> Option<&'b Path>
    where
        'a: 'b,
    {
        self.given.or(named)
    }

    fn read(&mut self, named: Option<&Path>) -> Result<Option<&MarkerTrial>> {
        let Some(path) = self.given.or(named) else { return Ok(None) };
        let place = match self.read.iter().position(|(p, _)| p == path) {
            Some(place) => place,
            None => {
                let mut trial = markers::read(path)?;
                trial.without_zeros();
                self.read.push((path.to_path_buf(), trial));
                self.read.len() - 1
            }
        };
        Ok(Some(&self.read[place].1))
    }
}

fn said(summary: &ScaleSummary, out: &Path) -> String {
    let mass = summary.mass_kg.map_or(String::new(), |mass| format!(", {mass} kg"));
    let mut text = format!("Scaled   {} to {}{mass}\n", summary.model, summary.subject);
    for measurement in &summary.measurements {
        let factor = measurement.factor.map_or("not used".into(), |f| format!("{f:.4}"));
        text += &format!("Measure  {}: {factor}, from {} pairs\n", measurement.name, measurement.pairs.len());
    }
    text += &format!("Bodies   {} scaled\n", summary.body_scale_factors.len());
    if let Some(placed) = &summary.placed {
        let largest =
            placed.largest.as_ref().map_or(String::new(), |(name, d)| format!(", largest {:.1} mm ({name})", 1e3 * d));
        let rms = placed.rms_m.map_or(String::new(), |rms| {
            format!(" the static pose missed them by {:.1} mm root mean square{largest};", 1e3 * rms)
        });
        text += &format!("Markers  {} moved;{rms} {} removed\n", placed.moved_mm.len(), placed.removed.len());
    }
    for (kind, count) in &summary.inexact {
        text += &format!("Inexact  {count} {kind}\n");
    }
    text + &format!("Files    {}\n", out.display())
}
