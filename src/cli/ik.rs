//! `kinefit ik`: poses, and with them the subject, from 3-D markers.

use super::console::{Console, print};
use super::fit::use_threads;
use super::interrupt;
use super::model::ModelArguments;
use crate::error::{Error, Result};
use crate::fit::{FitOptions, MarkerFit, Status, default_scale_groups, fit_markers, inverse_kinematics};
use crate::quality::LYING;
use crate::report::{
    IkSummary, NewFile, OffsetFigures, OutputFolder, Subject, ik_files, ik_summary, marker_trial_files,
    marker_trial_summary, subject_files,
};
use crate::session::markers::MarkerTrial;
use crate::session::tasks::{CoordinateTask, IkTasks, Target};
use crate::session::{coordinates, markers, tasks};
use crate::skeleton::{ScaleGroups, Skeleton, UpAxis};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

const EXAMPLE: &str = "\
Examples:
  kinefit ik --model generic.osim --markers walk.trc --static standing.trc --scale --offsets --out subject
  kinefit ik --model subject/model.osim --markers run.c3d --out results
  kinefit ik --model scaled.osim --markers walk.trc --tasks ik_tasks.xml --independent-frames --out results

Frames are fitted together, with standard deviations, unless --independent-frames asks for what OpenSim does.
--scale and --offsets fit segments and markers of the subject, from all trials at once; markers that the model calls
fixed are drawn to where it has them with a deviation of a centimetre, others of five.

In the output folder, for each trial: walk_ik.mot (coordinates, degrees), walk_ik.sd.csv (their standard deviations),
walk_ik.trc (the model's markers), walk_ik_errors.csv (distance of every marker in every frame, metres) and walk_ik.json
(figures). With --scale or --offsets: subject.json, and model.osim and model.xml where the model can be written so.";

/// Find the poses that bring a model's markers to measured ones, and the subject's segments and markers
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// Markers over time: .trc or .c3d; may be repeated for trials of the same subject
    #[arg(long, value_name = "FILE", required = true)]
    markers: Vec<PathBuf>,
    /// A static trial that helps to find segments and markers, but of which no motion is written; may be repeated
    #[arg(long = "static", value_name = "FILE", conflicts_with = "independent_frames")]
    still: Vec<PathBuf>,
    /// OpenSim's inverse kinematics tasks, or a setup file that holds them [default: each marker weighs as its noise]
    #[arg(long, value_name = "FILE")]
    tasks: Option<PathBuf>,
    /// Coordinates (.mot, .sto) for tasks whose value is `from_file`; with --independent-frames
    #[arg(long, value_name = "FILE")]
    coordinates: Option<PathBuf>,
    /// The axis that points up in the files of markers, static ones too, whatever they say of it [default: a C3D's own; otherwise that of the model]
    #[arg(long, value_name = "AXIS")]
    up: Option<Up>,
    /// Fit the sizes of the segments
    #[arg(long, conflicts_with = "independent_frames")]
    scale: bool,
    /// Fit where the markers sit on their segments
    #[arg(long, conflicts_with = "independent_frames")]
    offsets: bool,
    /// Which segments are scaled together, a JSON file: {"groups": {"thigh": ["femur_r", "femur_l:y"]}} [default: each along its axes, left as right]
    #[arg(long, value_name = "FILE", requires = "scale")]
    scale_groups: Option<PathBuf>,
    /// Fit every frame on its own, as OpenSim does; markers without --tasks weigh the same
    #[arg(long)]
    independent_frames: bool,
    /// Folder for the results
    #[arg(long, value_name = "DIR", default_value = "kinefit_ik")]
    out: PathBuf,
    /// Print the figures as JSON: of the trial, or a list where there are several
    #[arg(long)]
    json: bool,
    /// Processor cores to use [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

/// A vertical axis, as the command line names it.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Up {
    Y,
    Z,
}

/// Stretches without markers that are named one by one.
const GAPS_NAMED: usize = 4;

/// A trial with the name of its files.
struct Named {
    name: String,
    trial: MarkerTrial,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<ExitCode> {
    if let Some(threads) = arguments.threads {
        use_threads(threads)?;
    }
    let skeleton = arguments.model.read()?;
    let setup = arguments.tasks.as_deref().map(tasks::read_setup).transpose()?;
    let time_range = setup.as_ref().and_then(|s| s.time_range);
    let tasks = setup.map(|s| s.tasks);
    check_coordinates(arguments, tasks.as_ref())?;
    let mut trials = Vec::new();
    for path in &arguments.markers {
        let name = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        // Some file systems take capital letters for small ones.
        if trials.iter().any(|t: &Named| t.name.to_lowercase() == name.to_lowercase()) {
            return Err(Error::file(
                path,
                format_args!("is a second trial `{name}`, whose results would have the same names"),
                "rename one of the files",
            ));
        }
        trials.push(Named { name, trial: read_trial(path, arguments, console)? });
    }
    if let Some([from, to]) = time_range {
        // It belongs to one trial of the tool, and here there may be others.
        let outside = |t: &Named| t.trial.times.iter().any(|time| !(from - 1e-6..=to + 1e-6).contains(time));
        if trials.iter().any(outside) {
            console.warn(&format!(
                "The setup asks for the frames from {from} to {to} s (<time_range>); all frames are fitted. Cut the trial, if the others should not count."
            ));
        }
    }
    if let Some(tasks) = &tasks {
        check_tasks(tasks, &skeleton, &trials, console);
    }
    let out = OutputFolder::open(&arguments.out)?;
    let (files, summaries, text) = match arguments.independent_frames {
        true => apart(arguments, &skeleton, tasks.as_ref(), &trials)?,
        false => together(arguments, &skeleton, tasks.as_ref(), &trials, console)?,
    };
    out.write_set(&files)?;
    let list = |names: &[String]| names.join(", ");
    for (named, summary) in trials.iter().zip(&summaries) {
        let name = &named.name;
        if !summary.not_in_model.is_empty() {
            console.warn(&format!(
                "The model `{}` lacks markers of the trial {name}: {}; they are not used.",
                skeleton.name,
                list(&summary.not_in_model)
            ));
        }
        if !summary.not_in_trial.is_empty() {
            console.warn(&format!("The trial {name} lacks markers of the model: {}.", list(&summary.not_in_trial)));
        }
        if let Some(angle) = summary.leans_deg.filter(|angle| *angle > LYING) {
            // What would set it upright if the file's vertical is not the one that was taken.
            let other = match named.trial.up.unwrap_or(skeleton.up) {
                UpAxis::Y => "z",
                UpAxis::Z => "y",
            };
            console.warn(&format!(
                "In the trial {name}, the subject leans by {angle:.0}° or more in half of the frames. Unless it lies, another axis points up in the file than was taken: give --up {other}."
            ));
        }
        if summary.gaps.len() > GAPS_NAMED {
            console.warn(&format!(
                "In the trial {name}, hardly any marker was seen in {} stretches, the first of which are named here and all of them in {name}_ik.json.",
                summary.gaps.len()
            ));
        }
        for [from, to] in summary.gaps.iter().take(GAPS_NAMED) {
            console.warn(&format!(
                "In the trial {name}, hardly any marker was seen from {from:.3} to {to:.3} s; what is written there is filled in: do not measure there."
            ));
        }
        let times = &named.trial.times;
        for e in &summary.exchanged {
            let [a, b] = &e.markers;
            let whole = times.len() > 1 && times.first() == Some(&e.from_s) && times.last() == Some(&e.to_s);
            let (when, mend) = match whole {
                true => ("throughout".into(), "Mend the file, or the model if it has them the wrong way round."),
                false => (format!("from {:.3} to {:.3} s", e.from_s, e.to_s), "Mend the file."),
            };
            console.warn(&format!(
                "In the trial {name}, {a} and {b} bear each other's name {when}; they were used as exchanged. {mend}"
            ));
        }
    }
    let code = ExitCode::from(u8::from(summaries.iter().all(|s| s.status == "failed")));
    if arguments.json {
        // Plain structs with text keys, written to memory: nothing here can fail.
        let text = match &summaries[..] {
            [one] => serde_json::to_string_pretty(one),
            all => serde_json::to_string_pretty(all),
        };
        print(&(text.unwrap_or_default() + "\n"))?;
        return Ok(code);
    }
    print(&format!("{text}Files    {}\n", arguments.out.display()))?;
    Ok(code)
}

/// Says which tasks weigh nothing because nobody has their markers, and which markers have none.
fn check_tasks(tasks: &IkTasks, skeleton: &Skeleton, trials: &[Named], console: &Console) {
    let in_a_trial = |name: &str| trials.iter().any(|t| t.trial.names.iter().any(|n| n == name));
    let applied = tasks.markers.iter().filter(|t| t.apply && t.weight > 0.0).map(|t| t.name.as_str());
    let of_nobody: Vec<&str> = applied.filter(|name| skeleton.marker(name).is_none() || !in_a_trial(name)).collect();
    if !of_nobody.is_empty() {
        console.warn(&format!(
            "There are tasks for markers that the model or the trials lack: {}; they do nothing.",
            of_nobody.join(", ")
        ));
    }
    let has_task = |name: &str| tasks.markers.iter().any(|t| t.name == name);
    let names = skeleton.markers.iter().map(|m| m.name.as_str());
    let without: Vec<&str> = names.filter(|name| in_a_trial(name) && !has_task(name)).collect();
    if !without.is_empty() {
        console.warn(&format!("Markers without a task are not used: {}.", without.join(", ")));
    }
}

/// A file of coordinates that nothing would be taken from is a mistake.
fn check_coordinates(arguments: &Arguments, tasks: Option<&IkTasks>) -> Result<()> {
    let Some(file) = &arguments.coordinates else { return Ok(()) };
    let wrong = |problem: &str, advice: &str| Err(Error::file(file, problem, advice));
    let from_file = |t: &&CoordinateTask| t.apply && t.weight > 0.0 && t.target == Target::FromFile;
    if !arguments.independent_frames {
        return wrong(
            "coordinates from a file (--coordinates) are followed only where every frame is fitted on its own",
            "add --independent-frames, which does what OpenSim does; or leave --coordinates out and give the tasks that refer to it another <value_type>",
        );
    }
    match tasks.map(|t| t.coordinates.iter().any(|t| from_file(&t))) {
        None => wrong(
            "there are no tasks that would take values from this file (--coordinates)",
            "give the tasks with --tasks, or leave --coordinates out",
        ),
        Some(false) => wrong(
            "none of the tasks takes its value from this file (--coordinates)",
            "give those that shall <value_type>from_file</value_type> and a weight, or leave --coordinates out",
        ),
        Some(true) => Ok(()),
    }
}

fn read_trial(path: &Path, arguments: &Arguments, console: &Console) -> Result<MarkerTrial> {
    let mut trial = markers::read(path)?;
    trial.up = match arguments.up {
        Some(Up::Y) => Some(UpAxis::Y),
        Some(Up::Z) => Some(UpAxis::Z),
        None => trial.up,
    };
    let zeros = trial.without_zeros();
    if zeros > 0 {
        console.warn(&format!(
            "{}: {zeros} positions are exactly 0 0 0, which is how some programs write what was not seen; they are taken for gaps.",
            path.display()
        ));
    }
    if trial.frames() == 0 {
        return Err(Error::file(path, "holds no frames", "export the trial again"));
    }
    Ok(trial)
}

type Results = (Vec<NewFile>, Vec<IkSummary>, String);

/// Every frame on its own.
fn apart(arguments: &Arguments, skeleton: &Skeleton, tasks: Option<&IkTasks>, trials: &[Named]) -> Result<Results> {
    let coordinates = arguments.coordinates.as_deref().map(coordinates::read).transpose()?;
    let coordinates = coordinates.map(|table| table.in_si_for(skeleton));
    let (mut files, mut summaries, mut text) = (Vec::new(), Vec::new(), String::new());
    for Named { name, trial } in trials {
        let begun = Instant::now();
        let fit = inverse_kinematics(trial, skeleton, tasks, coordinates.as_ref())?;
        let seconds = begun.elapsed().as_secs_f64() / trial.frames() as f64;
        let summary = IkSummary { seconds_per_frame: Some(seconds), ..ik_summary(&fit, trial, skeleton) };
        files.extend(ik_files(&fit, trial, skeleton, name)?);
        text += &format!(
            "Fitted   {name}: {} frames, {} markers, with the model `{}`, every frame on its own; {:.0} µs a frame\n",
            summary.frames,
            summary.markers.len(),
            skeleton.name,
            1e6 * seconds
        );
        text += &match summary.not_converged.len() {
            0 => "Result   converged in every frame\n".to_string(),
            n => format!("Result   {n} frames were given up before convergence; they are listed in {name}_ik.json\n"),
        };
        text += &error_line(&summary);
        text += &angle_line(&summary);
        summaries.push(summary);
    }
    Ok((files, summaries, text))
}

/// All frames and trials at once.
fn together(
    arguments: &Arguments,
    skeleton: &Skeleton,
    tasks: Option<&IkTasks>,
    trials: &[Named],
    console: &Console,
) -> Result<Results> {
    let still = arguments.still.iter().map(|path| read_trial(path, arguments, console)).collect::<Result<Vec<_>>>()?;
    let all: Vec<MarkerTrial> = trials.iter().map(|t| t.trial.clone()).chain(still).collect();
    let scale_groups = match &arguments.scale_groups {
        Some(path) => Some(ScaleGroups::read(path, skeleton)?),
        None if arguments.model.is_built_in() => Some(default_scale_groups(skeleton)?.with_axes(skeleton)),
        None => None,
    };
    let options = FitOptions {
        scales: arguments.scale,
        offsets: arguments.offsets,
        scale_groups,
        stop: Some(interrupt::stop_flag()),
        progress: Some(console.progress()),
        ..FitOptions::for_markers()
    };
    let begun = Instant::now();
    let fitted = fit_markers(&all, skeleton, tasks, &options);
    console.end_progress();
    let fit = fitted?;
    let seconds = begun.elapsed().as_secs_f64();
    fit.warnings.iter().for_each(|warning| console.warn(warning));
    let frames: usize = all.iter().map(MarkerTrial::frames).sum();
    let (mut files, mut summaries, mut text) = (Vec::new(), Vec::new(), String::new());
    for (Named { name, trial }, fitted) in trials.iter().zip(&fit.trials) {
        let summary = marker_trial_summary(&fit, fitted, trial);
        files.extend(marker_trial_files(&fit, fitted, trial, name)?);
        text += &format!(
            "Fitted   {name}: {} frames, {} markers, with the model `{}`\n",
            summary.frames,
            summary.markers.len(),
            skeleton.name
        );
        text += &error_line(&summary);
        text += &angle_line(&summary);
        summaries.push(IkSummary { seconds_per_frame: Some(seconds / frames as f64), ..summary });
    }
    let status = match fit.status {
        Status::Converged => "converged",
        Status::Usable => "usable",
        Status::Failed => "failed",
    };
    text += &format!("Result   {status} – {}, in {seconds:.2} s\n", fit.reason);
    if arguments.scale || arguments.offsets {
        let (subject, written) = subject_files(&fit);
        files.extend(written);
        text += &body_line(&fit, &subject, arguments);
        for (file, why) in subject.absent {
            text += &format!("Absent   {file}: {why}\n");
        }
    }
    Ok((files, summaries, text))
}

/// How well the angles are known, and which are not.
fn angle_line(summary: &IkSummary) -> String {
    let known = summary.typical_sd_deg.map(|sd| match 1.96 * sd {
        sd if sd < 0.1 => "typically known to better than ±0.1° (95 %)".into(),
        sd => format!("typically known to ±{sd:.1}° (95 %)"),
    });
    let list = |all: Vec<String>| match all.len() {
        0..=6 => all.join(", "),
        n => format!("{} and {} more", all[..5].join(", "), n - 5),
    };
    let (never, at_times): (Vec<_>, Vec<_>) = summary.unobserved.iter().partition(|u| u.frames == u.of);
    // Angles near their singular pose are not observed for a frame or two.
    let at_times: Vec<_> = at_times.into_iter().filter(|u| 10 * u.frames >= u.of).collect();
    let never = list(never.iter().map(|u| u.coordinate.clone()).collect());
    let at_times =
        list(at_times.iter().map(|u| format!("{} in {} of {} frames", u.coordinate, u.frames, u.of)).collect());
    let all: Vec<String> = [never, at_times].into_iter().filter(|text| !text.is_empty()).collect();
    let unobserved = (!all.is_empty()).then(|| format!("not observed by the markers: {}", all.join("; ")));
    match (known, unobserved) {
        (None, None) => String::new(),
        (Some(one), None) | (None, Some(one)) => format!("Angles   {one}\n"),
        (Some(known), Some(unobserved)) => format!("Angles   {known}; {unobserved}\n"),
    }
}

fn error_line(summary: &IkSummary) -> String {
    let mm = |x: f64| format!("{:.2} mm", 1e3 * x);
    match (summary.rms_m, &summary.largest) {
        (Some(rms), Some(largest)) => format!(
            "Error    {} root mean square; largest {} ({} at {:.3} s)\n",
            mm(rms),
            mm(largest.distance_m),
            largest.marker,
            largest.time_s
        ),
        _ => String::new(),
    }
}

fn body_line(fit: &MarkerFit, subject: &Subject, arguments: &Arguments) -> String {
    let factors = || fit.scales.0.iter().skip(1).flatten().copied();
    let (least, most) = (factors().fold(f64::INFINITY, f64::min), factors().fold(f64::NEG_INFINITY, f64::max));
    let sizes = match arguments.scale {
        true => format!("segments {least:.2} to {most:.2} times the model's along their axes"),
        false => "segments as the model has them".into(),
    };
    let moved = match (arguments.offsets, subject.offsets_rms_mm) {
        (true, Some(rms)) => format!("markers moved by {rms:.0} mm (root mean square)"),
        _ => "markers where the model has them".into(),
    };
    let told_apart = subject.offsets_fixed.as_ref().zip(subject.offsets_free.as_ref()).filter(|_| arguments.offsets);
    let apart = told_apart.map_or(String::new(), |(fixed, free)| {
        let mm = |x: Option<f64>| x.map_or("–".into(), |x| format!("{x:.0}"));
        let part = |kind: &str, o: &OffsetFigures| {
            let (rms, largest) = (mm(o.rms_mm), mm(o.largest_mm));
            format!("{} {kind} by {rms} mm (root mean square; at most {largest}, {})", o.markers, o.largest)
        };
        format!("Markers  {}, {}\n", part("that the model calls fixed moved", fixed), part("others", free))
    });
    format!("Body     {sizes}; {moved}\n{apart}")
}
