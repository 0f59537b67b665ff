//! `kinefit ik`: poses from 3-D markers.

use super::console::{Console, print};
use super::model::ModelArguments;
use crate::error::{Error, Result};
use crate::fit::inverse_kinematics;
use crate::report::{IkSummary, OutputFolder, ik_files, ik_summary};
use crate::session::{coordinates, markers, tasks};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

const EXAMPLE: &str = "\
Example:
  kinefit ik --model scaled.osim --markers walk.trc --tasks ik_tasks.xml --independent-frames --out results

Without --tasks all markers weigh the same. In the output folder: walk_ik.mot (coordinates, degrees), walk_ik.trc (the
model's markers), walk_ik_errors.csv (distance of every marker in every frame, metres) and walk_ik.json (figures).";

/// Find the poses that bring a model's markers to measured ones
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// Markers over time: .trc or .c3d
    #[arg(long, value_name = "FILE")]
    markers: PathBuf,
    /// OpenSim's inverse kinematics tasks, or a setup file that holds them [default: all markers weigh 1]
    #[arg(long, value_name = "FILE")]
    tasks: Option<PathBuf>,
    /// Coordinates (.mot, .sto) for tasks whose value is `from_file`
    #[arg(long, value_name = "FILE")]
    coordinates: Option<PathBuf>,
    /// Fit every frame on its own, as OpenSim does. So far the only way, and to be asked for: without it, frames will be fitted together
    #[arg(long, required = true)]
    independent_frames: bool,
    /// Folder for the results
    #[arg(long, value_name = "DIR", default_value = "kinefit_ik")]
    out: PathBuf,
    /// Print the figures of the trial as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<ExitCode> {
    let skeleton = arguments.model.read()?;
    let trial = markers::read(&arguments.markers)?;
    let tasks = arguments.tasks.as_deref().map(tasks::read).transpose()?;
    let coordinates = arguments.coordinates.as_deref().map(coordinates::read).transpose()?;
    let coordinates = coordinates.map(|table| table.in_si_for(&skeleton));
    let name = arguments.markers.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    if trial.frames() == 0 {
        return Err(Error::file(&arguments.markers, "holds no frames", "export the trial again"));
    }
    let begun = Instant::now();
    let fit = inverse_kinematics(&trial, &skeleton, tasks.as_ref(), coordinates.as_ref())?;
    let seconds = begun.elapsed().as_secs_f64() / trial.frames() as f64;
    let summary = IkSummary { seconds_per_frame: Some(seconds), ..ik_summary(&fit, &trial, &skeleton) };
    OutputFolder::open(&arguments.out)?.write_set(&ik_files(&fit, &trial, &skeleton, &name)?)?;
    let list = |names: &[String]| names.join(", ");
    if !summary.not_in_model.is_empty() {
        console.warn(&format!(
            "The model `{}` lacks markers of the trial: {}; they are not used.",
            skeleton.name,
            list(&summary.not_in_model)
        ));
    }
    if !summary.not_in_trial.is_empty() {
        console.warn(&format!("The trial lacks markers of the model: {}.", list(&summary.not_in_trial)));
    }
    let code = ExitCode::from(u8::from(summary.status == "failed"));
    if arguments.json {
        // Plain structs with text keys, written to memory: nothing here can fail.
        print(&(serde_json::to_string_pretty(&summary).unwrap_or_default() + "\n"))?;
        return Ok(code);
    }
    let mm = |x: f64| format!("{:.2} mm", 1e3 * x);
    let mut text = format!(
        "Fitted   {name}: {} frames, {} markers, with the model `{}`, every frame on its own; {:.0} µs a frame\n",
        summary.frames,
        summary.markers.len(),
        skeleton.name,
        1e6 * seconds
    );
    match summary.not_converged.len() {
        0 => text += "Result   converged in every frame\n",
        n => {
            text +=
                &format!("Result   {n} frames were given up before convergence; they are listed in {name}_ik.json\n")
        }
    }
    if let (Some(rms), Some(largest)) = (summary.rms_m, &summary.largest) {
        text += &format!(
            "Error    {} root mean square; largest {} ({} at {:.3} s)\n",
            mm(rms),
            mm(largest.distance_m),
            largest.marker,
            largest.time_s
        );
    }
    text += &format!("Files    {}\n", arguments.out.display());
    print(&text)?;
    Ok(code)
}
