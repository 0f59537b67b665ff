//! A subject and its motion from 3-D markers, all frames and trials at once: the fit of a session with points in the place of pixels.

use super::build::{priors, starting_smoothness};
use super::exchanged::{Exchange, find_exchanged};
use super::initialise::{MIN_POINTS, Sample, initialise, knots, stride};
use super::inverse_kinematics::{FollowedMarkers, followed_markers, nothing_moves};
use super::result::{Kinematics, offset_fits, poses, scale_fits};
use super::{FitOptions, IkFit, IkFrame, OffsetFit, ScaleFit, Stage, Status};
use crate::error::{Error, Result};
use crate::kinematics::Mechanism;
use crate::math::arrow::{NonPositivePivot, Part};
use crate::math::basis::Knots;
use crate::math::median;
use crate::math::robust::RobustLoss;
use crate::residual::point::PointObservation;
use crate::session::markers::MarkerTrial;
use crate::session::tasks::{IkTasks, Target};
use crate::skeleton::{MarkerId, Offsets, ScaleGroups, Scales, Skeleton};
use crate::solve::{
    EvidenceOptions, Free, Hyperparameters, Parameters, Priors, Problem, SolveOptions, SolveOutcome, TrialProblem,
    Uncertainty, offset_sd, solve, uncertainty, update_point_noise, update_smoothness,
};
use crate::trajectory::Layout;
use nalgebra::Vector3;
use std::sync::Arc;

/// Noise level of a marker before anything is known of it, metres: skin, and a model that is not the subject's yet.
const FIRST_SIGMA: f64 = 0.02;

/// Points' worth of belief in the noise level of all markers together, when that of one is estimated.
const NOISE_POOLING: f64 = 300.0;

/// A marker that the model does not call fixed may sit this many times further from where the model has it than one on a bone that is felt through the skin.
const PUT_ANYWHERE: f64 = 5.0;

/// Frames that span so many times the time that they would take at their usual distance are no recording of a motion.
const SPARSE: f64 = 20.0;

/// How far from the model's usual place somebody may be, metres (and radians, of a root that is told by angles).
const ROOM: f64 = 10.0;

/// Factors of a segment along an axis beyond which it is none, and a typical distance of markers that is no error but another body, metres.
const SANE: (std::ops::Range<f64>, f64) = (0.3..3.0, 0.1);

/// Rounds of estimating noise, smoothness and the spread of offsets.
const ROUNDS: usize = 8;

/// Relative change of the estimates below which another round is not worth its time.
const SETTLED: f64 = 0.05;

/// Decrement at which the fit has converged: a standard deviation in the space of all its thousands of parameters together.
const CONVERGED: f64 = 0.5;

/// What came of fitting trials of markers together.
#[derive(Debug, Clone, PartialEq)]
pub struct MarkerFit {
    /// How it ended.
    pub status: Status,
    /// Why.
    pub reason: String,
    /// Things the user should know, each a sentence.
    pub warnings: Vec<String>,
    /// The model as read: unscaled.
    pub skeleton: Skeleton,
    /// Scale factors of every body.
    pub scales: Scales,
    /// Offsets of every marker, metres, in its body's frame; 0 for markers never seen.
    pub offsets: Offsets,
    /// The scale parameters behind `scales`; empty where the model kept its size.
    pub scale_groups: Vec<ScaleFit>,
    /// The offsets of the markers that were followed.
    pub offset_fits: Vec<OffsetFit>,
    /// Noise level of each followed marker, per axis, metres.
    pub noise: Vec<(MarkerId, f64)>,
    /// For how many frames errors of markers last; deviations are stated accordingly.
    pub autocorrelation_frames: f64,
    /// Trials, in the order given.
    pub trials: Vec<MarkerTrialFit>,
    /// Iterations of the solver.
    pub iterations: usize,
}

/// A fitted trial.
#[derive(Debug, Clone, PartialEq)]
pub struct MarkerTrialFit {
    /// Poses, markers and errors; markers that were found exchanged count as mended.
    pub fit: IkFit,
    /// Standard deviations of the coordinates, `[frame][coordinate]`, radians and metres; `None` where an angle is near its singularity, or none were computed.
    pub q_sd: Vec<Vec<Option<f64>>>,
    /// Markers whose names were found exchanged.
    pub exchanged: Vec<Exchange>,
}

impl FitOptions {
    /// For markers of motion capture: a control point in every frame up to 100 Hz, model and markers as they are. What lies far off is skin that slides, not another thing: errors have heavy
    /// tails, but none is dismissed.
    pub fn for_markers() -> Self {
        let loss = RobustLoss::StudentT { dof: 4.0 };
        Self { scales: false, offsets: false, refine_cameras: false, knot_spacing: 0.01, loss, ..Self::default() }
    }
}

/// Fits smooth trajectories to trials of one subject, and with `options.scales` and `options.offsets` its segments and markers. Tasks weigh the markers against each other; without any, each
/// marker's noise is estimated. Coordinates with a task are drawn to its value.
///
/// # Errors
/// What [`super::inverse_kinematics`] says of trials and tasks; a trial in which no frame shows four markers of the model; a task that takes its value from a file.
pub fn fit_markers(
    trials: &[MarkerTrial],
    skeleton: &Skeleton,
    tasks: Option<&IkTasks>,
    options: &FitOptions,
) -> Result<MarkerFit> {
    let followed: Vec<FollowedMarkers> =
        trials.iter().map(|t| followed_markers(t, skeleton, tasks)).collect::<Result<_>>()?;
    let mut trials: Vec<MarkerTrial> = trials.to_vec();
    let mut problem = build(&trials, &followed, skeleton, options)?;
    let grids: Vec<Knots> = trials.iter().map(|t| grid(t, options)).collect();
    let mut exchanged: Vec<Vec<Exchange>> = vec![Vec::new(); trials.len()];
    let mut run = Run { options, iterations: 0, interrupted: false };

    run.say(Stage::Initialise, 0.0);
    let samples = samples(&trials, &problem)?;
    let start = initialise(&problem, &samples, &grids, options);
    coordinate_tasks(&mut problem, tasks)?;

    // Trajectories and sizes, then offsets, with a noise level and a loss that let everything in: a marker that the model has in another place is none that lies.
    run.say(Stage::Pose, 0.2);
    let points: usize = problem.trials.iter().map(|t| t.points.len()).sum();
    let rough = 1e-2 * points as f64;
    let mut outcome = run.solve(&problem, start, 6, rough, 1e-3);
    run.say(Stage::Subject, 0.3);
    problem.free.offsets = options.offsets;
    outcome = run.solve(&problem, outcome.parameters, 6, rough, 1e-3);
    // Names that do not belong where they stand are put right.
    let pooling = if tasks.is_some() { f64::INFINITY } else { NOISE_POOLING };
    update_point_noise(&mut problem, &outcome.parameters, pooling);
    for (i, trial) in trials.iter_mut().enumerate() {
        let kinematics = poses(&problem, skeleton, &outcome.parameters, None, i);
        exchanged[i] = find_exchanged(trial, &followed[i], &problem, &kinematics.markers);
        exchanged[i].iter().for_each(|e| e.mend(trial));
        problem.trials[i] = trial_problem(trial, &followed[i], &problem.markers);
    }
    problem.hyper.point_loss = options.loss;

    let evidence = EvidenceOptions::default();
    let (prior_smoothness, believed) = (problem.hyper.smoothness.clone(), problem.priors.clone());
    for round in 1..=ROUNDS {
        if run.interrupted {
            break;
        }
        let estimates = |problem: &Problem| [&problem.hyper.point_sigma[..], &problem.priors.offset_sd].concat();
        let before = estimates(&problem);
        update_point_noise(&mut problem, &outcome.parameters, pooling);
        weigh_priors(&mut problem, &outcome.parameters, &believed);
        update_smoothness(&mut problem, &outcome.parameters, &prior_smoothness, &evidence);
        coordinate_tasks(&mut problem, tasks)?;
        let change = before.iter().zip(estimates(&problem)).map(|(a, b)| (b / a - 1.0).abs()).fold(0.0, f64::max);
        run.say(Stage::Subject, 0.3 + 0.6 * round as f64 / ROUNDS as f64);
        let settled = round == ROUNDS || change < SETTLED;
        let (iterations, decrement) = if settled { (options.max_iterations, CONVERGED) } else { (3, 0.1 * rough) };
        outcome = run.solve(&problem, outcome.parameters, iterations, decrement, outcome.damping);
        if settled {
            break;
        }
    }

    run.say(Stage::Covariance, 0.9);
    let parameters = outcome.parameters;
    weigh_priors(&mut problem, &parameters, &believed);
    problem.priors.scales.clone_from(&believed.scales);
    let share = problem.hyper.autocorrelation_frames.sqrt();
    problem.priors.offset_sd.iter_mut().for_each(|sd| *sd *= share);
    let mut warnings: Vec<String> = unheard_tasks(&problem, tasks);
    let deviations = match options.covariance && !run.interrupted {
        true => uncertainty(&problem, &parameters).map_err(|e| warnings.push(no_deviations(&problem, &e))).ok(),
        false => None,
    };
    let fitted: Vec<MarkerTrialFit> = (0..trials.len())
        .map(|i| {
            let kinematics = poses(&problem, skeleton, &parameters, deviations.as_ref(), i);
            let exchanged = std::mem::take(&mut exchanged[i]);
            trial_fit(&trials[i], &followed[i], kinematics, exchanged, outcome.converged)
        })
        .collect();
    let (status, reason) = verdict(&problem, &parameters, &fitted, run.interrupted, outcome.converged);
    Ok(MarkerFit {
        status,
        reason,
        warnings,
        scales: problem.all_scales(&parameters),
        offsets: problem.all_offsets(&parameters),
        scale_groups: scales_found(&problem, &parameters, deviations.as_ref()),
        offset_fits: offset_fits(&problem, &parameters, deviations.as_ref()),
        noise: problem.markers.iter().copied().zip(problem.hyper.point_sigma.iter().copied()).collect(),
        autocorrelation_frames: problem.hyper.autocorrelation_frames,
        trials: fitted,
        iterations: run.iterations as usize,
        skeleton: skeleton.clone(),
    })
}

/// What the numbers deserve.
fn verdict(
    problem: &Problem,
    parameters: &Parameters,
    trials: &[MarkerTrialFit],
    interrupted: bool,
    converged: bool,
) -> (Status, String) {
    let scales = problem.all_scales(parameters);
    let names = problem.mechanism.skeleton().bodies.iter().map(|b| &b.name);
    let outside = |f: &&f64| !SANE.0.contains(f);
    if let Some((name, f)) = names.zip(&scales.0).find_map(|(n, f)| f.iter().find(outside).map(|f| (n, f))) {
        let reason = format!(
            "the segment `{name}` came out {f:.2} times the model's; look at the markers' unit, at whether left and right or an axis are exchanged, and at the markers' names"
        );
        return (Status::Failed, reason);
    }
    let squares = trials.iter().flat_map(|t| &t.fit.frames).flat_map(|f| f.squared.iter().flatten());
    let typical = median(&mut squares.map(|s| s.sqrt()).collect::<Vec<f64>>()).unwrap_or(0.0);
    if typical > SANE.1 {
        let reason = format!(
            "half of the markers are {:.0} mm or more from the model; look at their unit and names, at the model's size (--scale), and at which axis points up",
            1e3 * typical
        );
        return (Status::Failed, reason);
    }
    let (status, reason) = match (interrupted, converged) {
        (true, _) => (Status::Usable, "stopped on request before convergence; the best so far"),
        (false, true) => (Status::Converged, "the objective can fall no further"),
        (false, false) => {
            (Status::Usable, "stopped at the iteration limit or where no step lowered the objective further")
        }
    };
    (status, reason.into())
}

/// Why there are no standard deviations.
fn no_deviations(problem: &Problem, at: &NonPositivePivot) -> String {
    let dofs = problem.layout.dofs();
    match at.place {
        Part::Band(trial) => {
            let name = &problem.mechanism.skeleton().coordinates[problem.layout.coordinates[at.index % dofs]].name;
            format!(
                "There are no standard deviations: in trial {} nothing holds the coordinate `{name}` for some time, because no marker tells it there. Do not rely on it in such gaps.",
                trial + 1
            )
        }
        Part::Border => {
            "There are no standard deviations: no marker tells some of the segments' sizes or offsets.".into()
        }
    }
}

/// Tasks of coordinates that cannot be followed where frames are fitted together.
fn unheard_tasks(problem: &Problem, tasks: Option<&IkTasks>) -> Vec<String> {
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

/// Progress and interruption.
struct Run<'a> {
    options: &'a FitOptions,
    iterations: u64,
    interrupted: bool,
}

impl Run<'_> {
    fn say(&self, stage: Stage, share: f64) {
        if let Some(p) = &self.options.progress {
            p(stage, share, f64::NAN);
        }
    }

    fn solve(
        &mut self,
        problem: &Problem,
        start: Parameters,
        iterations: u64,
        decrement: f64,
        damping: f64,
    ) -> SolveOutcome {
        let stop = self.options.stop.clone();
        let options = SolveOptions { max_iterations: iterations, decrement, damping, stop, ..SolveOptions::default() };
        let outcome = solve(problem, start, &options);
        self.iterations += outcome.iterations;
        self.interrupted |= outcome.interrupted;
        outcome
    }
}

/// Weighs what is believed of the body against data whose errors last: skin slides over bone and stays there for many frames, in which a thousand points say no more than a handful. The data that a
/// size or a place on the body is told by count for 1/τ, or, the same, its priors for τ; the trajectory follows the data as they come.
fn weigh_priors(problem: &mut Problem, parameters: &Parameters, believed: &Priors) {
    let time = problem.point_autocorrelation_time(&problem.point_residuals(parameters));
    problem.hyper.autocorrelation_frames = time;
    let share = time.sqrt().recip();
    problem.priors.scales = believed.scales.iter().map(|(mean, sd)| (*mean, sd * share)).collect();
    let sd = offset_sd(problem, parameters, &believed.offset_sd).unwrap_or_else(|| believed.offset_sd.clone());
    problem.priors.offset_sd = sd.iter().map(|sd| sd * share).collect();
}

fn scales_found(problem: &Problem, parameters: &Parameters, u: Option<&Uncertainty>) -> Vec<ScaleFit> {
    if problem.free.scales { scale_fits(problem, parameters, u) } else { Vec::new() }
}

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
fn grid(trial: &MarkerTrial, options: &FitOptions) -> Knots {
    let (rate_hz, last) = (rate_hz(trial), times(trial).last().copied().unwrap_or(0.0));
    if stand_alone(trial) {
        return Knots::independent(trial.frames(), rate_hz);
    }
    // Far fewer frames than the time they span: no more controls than frames.
    let thinned = rate_hz * (trial.frames() as f64 / (last * rate_hz + 1.0)).min(1.0);
    knots(((last * thinned).ceil() as usize + 1).max(4), thinned, options)
}

fn build(
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

fn trial_problem(trial: &MarkerTrial, followed: &FollowedMarkers, markers: &[MarkerId]) -> TrialProblem {
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
fn samples(trials: &[MarkerTrial], problem: &Problem) -> Result<Vec<Vec<Sample>>> {
    let of_trial = |(i, (trial, data)): (usize, (&MarkerTrial, &TrialProblem))| {
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
                format_args!("marker trial {}", i + 1),
                format_args!("in no frame are {MIN_POINTS} markers of the model seen"),
                "check the names of the markers, or give a model with more of them",
            )),
        }
    };
    trials.iter().zip(&problem.trials).enumerate().map(of_trial).collect()
}

/// Draws coordinates to the values of their tasks: `w·(q − value)²` beside `Σ w‖e‖²/Σ w` of the markers, radians and metres alike, as OpenSim's objective has it. Here markers weigh one on
/// average and are divided by their noise: `w·N/σ²` is what the task then weighs beside `N` of them.
fn coordinate_tasks(problem: &mut Problem, tasks: Option<&IkTasks>) -> Result<()> {
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

fn trial_fit(
    trial: &MarkerTrial,
    followed: &FollowedMarkers,
    kinematics: Kinematics,
    exchanged: Vec<Exchange>,
    converged: bool,
) -> MarkerTrialFit {
    let (mut positions, mut frames) = (Vec::new(), Vec::new());
    for (f, markers) in kinematics.markers.iter().enumerate() {
        let here: Vec<Vector3<f64>> = followed.columns.iter().map(|c| markers[c.1.index()]).collect();
        let squared: Vec<Option<f64>> = followed
            .columns
            .iter()
            .zip(&here)
            .map(|(c, p)| trial.get(f, c.0).map(|x| (p - followed.turn * x).norm_squared()))
            .collect();
        let (sum, weight) = followed
            .columns
            .iter()
            .zip(&squared)
            .fold((0.0, 0.0), |(s, w), (c, e)| e.map_or((s, w), |e| (s + c.2 * e, w + c.2)));
        let cost = if weight > 0.0 { sum / weight } else { 0.0 };
        positions.push(here);
        frames.push(IkFrame { cost, squared, iterations: 0, converged });
    }
    MarkerTrialFit {
        fit: IkFit {
            markers: followed.columns.iter().map(|c| c.1).collect(),
            weights: followed.columns.iter().map(|c| c.2).collect(),
            not_in_model: followed.not_in_model.clone(),
            not_in_trial: followed.not_in_trial.clone(),
            q: kinematics.q,
            positions,
            frames,
        },
        q_sd: kinematics.q_sd,
        exchanged,
    }
}
