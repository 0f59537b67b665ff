//! `kinefit evaluate`: how far a fit is from the truth.

use super::console::print;
use crate::error::Result;
use crate::math::median;
use crate::quality::{Evaluation, FittedData, TrialEvaluation, evaluate};
use crate::report::read_folder;
use crate::synthetic::Truth;
use clap::Args;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const EXAMPLE: &str = "\
Example:
  kinefit synth --out session
  kinefit fit session --out fitted
  kinefit evaluate fitted --truth session";

/// Compare a fit with the truth of its session
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Arguments {
    /// Folder that `kinefit fit` wrote
    fit: PathBuf,
    /// truth.json of the session, or the folder that holds it
    #[arg(long, value_name = "FILE")]
    truth: PathBuf,
    /// Print every figure as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let truth = Truth::read(&truth_file(&arguments.truth))?;
    let evaluation = evaluate(&truth, &read_folder(&arguments.fit)?)?;
    if arguments.json {
        // Plain structs with text keys, written to memory: nothing here can fail.
        let mut text = serde_json::to_string_pretty(&evaluation).unwrap_or_default();
        text.push('\n');
        print(&text)?;
    } else {
        print(&lines(&evaluation))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn truth_file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("truth.json") } else { path.to_path_buf() }
}

/// The figures that matter, for a person.
fn lines(e: &Evaluation) -> String {
    let mut text: String = e.trials.iter().map(trial).collect();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "Body     scales off by {:.4}, marker offsets by {:.1} mm (means)",
        e.scale_error, e.offset_error_mm
    );
    for (name, camera) in &e.cameras {
        let _ = writeln!(
            text,
            "Camera   {name}: centre off by {:.1} mm, orientation by {:.2}°",
            camera.centre_mm, camera.rotation_deg
        );
    }
    let _ = writeln!(text, "Bands    {}", bands(e));
    text
}

fn trial(t: &TrialEvaluation) -> String {
    format!(
        "Trial    {}: {} frames\n\
         Angles   off by {:.2}° on average over {} joint coordinates; {:.2}° less each one's constant error\n\
         Markers  off by {:.1} mm on average; {:.1} mm after the best similarity (size {:.4})\n",
        t.name,
        t.frames,
        t.joints.mean_abs,
        t.joint_count,
        t.joints.bias_free,
        t.markers.raw_mm,
        t.markers.after_similarity_mm,
        t.markers.size
    )
}

/// Whether the stated standard deviations hold.
fn bands(e: &Evaluation) -> String {
    let c = &e.coverage.coordinates;
    if c.count == 0 {
        return "no standard deviations to compare".into();
    }
    format!(
        "{:.0} % of all coordinates lie within one stated deviation (68 % expected), {:.0} % within two (95 %)",
        100.0 * c.within_1_sd,
        100.0 * c.within_2_sd
    )
}

/// The two lines that a demonstration closes with.
pub(super) fn two_lines(e: &Evaluation, fitted: &FittedData) -> String {
    let joints = fitted.coordinates.iter().filter(|c| c.rotational && c.limited);
    let mut errors: Vec<f64> = e
        .trials
        .iter()
        .flat_map(|t| joints.clone().filter_map(|c| t.coordinates.get(&c.name)))
        .map(|c| c.mean_abs)
        .collect();
    let mut markers: Vec<f64> = e.trials.iter().map(|t| t.markers.raw_mm).collect();
    format!(
        "Truth    half of the joint angles are off by less than {:.1}°, markers by {:.0} mm, segment sizes by {:.1} %\n         {}\n",
        median(&mut errors).unwrap_or(0.0),
        median(&mut markers).unwrap_or(0.0),
        100.0 * e.scale_error,
        bands(e)
    )
}
