//! From trials of markers and a model to the solver's problem.

use super::FitOptions;
use super::build::{priors, starting_smoothness};
use super::initialise::{MIN_POINTS, Sample, knots, stride};
use super::inverse_kinematics::{FollowedMarkers, names_apart, nothing_moves};
use crate::error::{Error, Result};
use crate::kinematics::Mechanism;
use crate::math::basis::Knots;
use crate::math::median;
use crate::residual::point::PointObservation;
use crate::session::markers::MarkerTrial;
use crate::session::tasks::{IkTasks, Target};
use crate::skeleton::{MarkerId, ScaleGroups, Skeleton};
use crate::solve::{Free, Hyperparameters, Problem, TrialProblem};
use crate::trajectory::Layout;
use std::sync::Arc;

/// Noise level of a marker before anything is known of it, metres: skin, and a model that is not the subject's yet.
const FIRST_SIGMA: f64 = 0.02;

/// A marker that the model does not call fixed may sit this many times further from where the model has it than one on a bone that is felt through the skin.
const PUT_ANYWHERE: f64 = 5.0;

/// Frames that span so many times the time that they would take at their usual distance are no recording of a motion.
const SPARSE: f64 = 20.0;

/// How far from the model's usual place somebody may be, metres (and radians, of a root that is told by angles).
const ROOM: f64 = 10.0;

/// Frames per second, as the times tell it: what a file states may be another.
fn rate_hz(trial: &MarkerTrial) -> f64 {
    let mut steps: Vec<f64> = trial.times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    median(&mut steps).filter(|step| *step > 0.0).map_or(trial.rate_hz, f64::recip)
}

/// Whether frames are too few for a trajectory, or too far apart: they stand each on its own.
fn stand_alone(trial: &MarkerTrial) -> bool {
    let frames = trial.frames();
    let span = trial.times.last().zip(trial.times.first()).map_or(0.0, |(last, first)| last - first);
    frames < 4 || span * rate_hz(trial) > SPARSE * frames as f64
}

/// Seconds from the first frame; of frames that stand alone, their places in the trial at its rate.
fn times(trial: &MarkerTrial) -> Vec<f64> {
    let first = trial.times.first().copied().unwrap_or(0.0);
    match stand_alone(trial) {
        true => (0..trial.frames()).map(|f| f as f64 / rate_hz(trial)).collect(),
        false => trial.times.iter().map(|t| t - first).collect(),
    }
}

/// Knots over the whole of a trial, whose frames need not be at even steps.
pub(super) fn grid(trial: &MarkerTrial, options: &FitOptions) -> Knots {
    let (rate_hz, last) = (rate_hz(trial), times(trial).last().copied().unwrap_or(0.0));
    if stand_alone(trial) {
        return Knots::independent(trial.frames(), rate_hz);
    }
    // Far fewer frames than the time they span: no more controls than frames.
    let thinned = rate_hz * (trial.frames() as f64 / (last * rate_hz + 1.0)).min(1.0);
    knots(((last * thinned).ceil() as usize + 1).max(4), thinned, options)
}

pub(super) fn build(
    trials: &[MarkerTrial],
    followed: &[FollowedMarkers],
    skeleton: &Skeleton,
    options: &FitOptions,
) -> Result<Problem> {
    let mut markers: Vec<MarkerId> = followed.iter().flat_map(|f| f.columns.iter().map(|c| c.1)).collect();
    markers.sort();
    markers.dedup();
    let turned = skeleton.with_rotors();
    let groups = match (&options.scale_groups, options.scales) {
        (_, false) => ScaleGroups::default(),
        (Some(groups), true) => groups.clone(),
        (None, true) => {
            let seen = |m: usize| markers.iter().any(|k| k.index() == m);
            ScaleGroups::for_markers(&turned, seen).with_overall(&turned).with_axes(&turned)
        }
    };
    let mechanism = Arc::new(Mechanism::new(turned, groups));
    let layout = Arc::new(Layout::new(&mechanism));
    if layout.dofs() == 0 {
        return Err(nothing_moves(skeleton));
    }
    let fixed = |m: &MarkerId| mechanism.skeleton().markers[m.index()].fixed;
    // Where all are called the same, the model does not tell them apart.
    let tells = markers.iter().any(fixed);
    let sd = |m: &MarkerId| if tells && !fixed(m) { PUT_ANYWHERE * options.offset_sd } else { options.offset_sd };
    let offset_sd = markers.iter().map(sd).collect();
    let longest = trials.iter().map(MarkerTrial::frames).max().unwrap_or(1);
    let mut hyper =
        Hyperparameters::new(0, 0, 1.0, starting_smoothness(&mechanism, options.knot_spacing), options.loss);
    hyper.smoothness_spacing = Some(options.knot_spacing);
    hyper.point_sigma = vec![FIRST_SIGMA; markers.len()];
    let mut priors = priors(&mechanism, offset_sd, longest, options);
    // Where nothing is seen for long, somebody is somewhere in the room.
    for (_, sd) in priors.pose.iter_mut().filter(|p| p.1.is_infinite()) {
        *sd = ROOM * (longest.max(1) as f64).sqrt();
    }
    Ok(Problem {
        rig: Vec::new(),
        trials: trials.iter().zip(followed).map(|(t, f)| trial_problem(t, f, &markers)).collect(),
        free: Free { scales: options.scales, offsets: false, cameras: Vec::new() },
        priors,
        hyper,
        markers,
        mechanism,
        layout,
    })
}

pub(super) fn trial_problem(trial: &MarkerTrial, followed: &FollowedMarkers, markers: &[MarkerId]) -> TrialProblem {
    // Weights of one on average: what is left of their scale is the noise level.
    let mean = followed.columns.iter().map(|c| c.2).sum::<f64>() / followed.columns.len() as f64;
    let mut columns: Vec<(u32, usize, f64)> = followed
        .columns
        .iter()
        .filter_map(|&(column, marker, weight)| {
            Some((markers.binary_search(&marker).ok()? as u32, column, weight / mean))
        })
        .collect();
    columns.sort_unstable_by_key(|c| c.0);
    let mut out = TrialProblem { times: times(trial), ..TrialProblem::default() };
    for f in 0..trial.frames() {
        out.point_start.push(out.points.len());
        out.points.extend(columns.iter().filter_map(|&(slot, column, weight)| {
            Some(PointObservation { slot, position: followed.turn * trial.get(f, column)?, weight })
        }));
    }
    out.point_start.push(out.points.len());
    out
}

/// Frames to begin with.
pub(super) fn samples(trials: &[MarkerTrial], problem: &Problem) -> Result<Vec<Vec<Sample>>> {
    let of_trial = |(trial, data): (&MarkerTrial, &TrialProblem)| {
        let sample = |f: usize| Sample { time: data.times[f], points: data.frame_points(f).to_vec() };
        let enough = |s: &Sample| s.points.len() >= MIN_POINTS;
        let taken: Vec<Sample> =
            (0..data.times.len()).step_by(stride(rate_hz(trial))).map(sample).filter(enough).collect();
        if !taken.is_empty() {
            return Ok(taken);
        }
        let any: Vec<Sample> = (0..data.times.len()).map(sample).filter(enough).take(1).collect();
        match any.is_empty() {
            false => Ok(any),
            true => Err(Error::input(
                &trial.label,
                format_args!("in no frame are {MIN_POINTS} markers of the model seen"),
                format_args!(
                    "{}check the names of the markers, or give a model with more of them",
                    names_apart(trial, problem.mechanism.skeleton())
                ),
            )),
        }
    };
    trials.iter().zip(&problem.trials).map(of_trial).collect()
}

/// Draws coordinates to the values of their tasks: `w·(q − value)²` beside `Σ w‖e‖²/Σ w` of the markers, radians and metres alike, as OpenSim's objective has it. Here markers weigh one on
/// average and are divided by their noise: `w·N/σ²` is what the task then weighs beside `N` of them.
pub(super) fn coordinate_tasks(problem: &mut Problem, tasks: Option<&IkTasks>) -> Result<()> {
    let Some(tasks) = tasks else { return Ok(()) };
    let sigma = problem.hyper.point_sigma.first().copied().unwrap_or(FIRST_SIGMA);
    for task in tasks.coordinates.iter().filter(|t| t.apply && t.weight > 0.0) {
        let place = || format!("task of coordinate `{}`", task.name);
        let skeleton = problem.mechanism.skeleton();
        let Some(coordinate) = skeleton.coordinate(&task.name) else {
            let wrong = format!("the model `{}` has no coordinate of that name", skeleton.name);
            return Err(Error::input(place(), wrong, "remove the task, or set its <apply> to false"));
        };
        let value = match task.target {
            Target::Default => skeleton.coordinates[coordinate.index()].default,
            Target::Manual(value) => value,
            Target::FromFile => {
                return Err(Error::input(
                    place(),
                    "takes its value from a file, which frames that are fitted together cannot follow",
                    "fit every frame on its own (--independent-frames), or give another <value_type>",
                ));
            }
        };
        let scalars = problem.layout.scalars();
        // Angles of a rotor are no coordinates of the fit; a task for one is OpenSim's way to hold what markers hold here.
        if let Some(j) = problem.mechanism.dof_of(coordinate).filter(|&j| j < scalars) {
            problem.priors.pose[j] = (value, sigma / (task.weight * problem.markers.len() as f64).sqrt());
        }
    }
    Ok(())
}

/// Tasks of coordinates that cannot be followed where frames are fitted together.
pub(super) fn unheard_tasks(problem: &Problem, tasks: Option<&IkTasks>) -> Vec<String> {
    let skeleton = problem.mechanism.skeleton();
    let heard = |name: &str| {
        let dof = skeleton.coordinate(name).and_then(|c| problem.mechanism.dof_of(c));
        dof.is_some_and(|j| j < problem.layout.scalars())
    };
    let tasks = tasks.map_or(&[][..], |t| &t.coordinates[..]).iter().filter(|t| t.apply && t.weight > 0.0);
    tasks
        .filter(|t| !heard(&t.name))
        .map(|t| {
            format!(
                "The task of coordinate `{}` is not followed: it is locked, dependent on another, or an angle of a body that is free to turn.",
                t.name
            )
        })
        .collect()
}
