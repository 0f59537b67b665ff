//! A subject and its motion from 3-D markers, all frames and trials at once: the fit of a session with points in the place of pixels.

use super::exchanged::{Exchange, mend_names};
use super::initialise::initialise;
use super::inverse_kinematics::{FollowedMarkers, Observer, Unobserved, followed_markers};
use super::marker_problem::{build, coordinate_tasks, grid, samples, trial_problem, unheard_tasks};
use super::result::{Kinematics, body_scale_deviations, offset_fits, poses, scale_fits};
use super::run::Run;
use super::{FitOptions, IkFit, IkFrame, OffsetFit, ScaleFit, Stage, Status};
use crate::error::Result;
use crate::kinematics::Mechanism;
use crate::math::arrow::{NonPositivePivot, Part};
use crate::math::basis::Knots;
use crate::math::median;
use crate::math::robust::RobustLoss;
use crate::session::markers::MarkerTrial;
use crate::session::tasks::IkTasks;
use crate::skeleton::{MarkerId, Offsets, ScaleGroups, Scales, Skeleton};
use crate::solve::{
    EvidenceOptions, Free, Observed, Parameters, Priors, Problem, TrialProblem, Uncertainty, Workspace, observed,
    offset_sd, uncertainty_in, update_point_noise, update_smoothness,
};
use crate::trajectory::Trajectory;
use nalgebra::Vector3;

/// Points' worth of belief in the noise level of all markers together, when that of one is estimated.
const NOISE_POOLING: f64 = 300.0;

/// Factors of a segment along an axis beyond which it is none, and a typical distance of markers that is no error but another body, metres.
const SANE: (std::ops::Range<f64>, f64) = (0.3..3.0, 0.1);

/// Rounds of estimating noise, smoothness and the spread of offsets.
const ROUNDS: usize = 12;

/// Change of the estimates below which another round is not worth its time: relative, and in metres, a hundredth of a millimetre being nothing on a body.
const SETTLED: (f64, f64) = (0.05, 1e-5);

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
    /// Standard deviations of the factors, `[body][axis]`; `None` where none were computed. Factors of the same groups err alike.
    pub scales_sd: Option<Vec<[f64; 3]>>,
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
    let mut run = Run::new(options);

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
    mend_names(&mut trials, &followed, &problem, skeleton, &mut outcome.parameters, &mut exchanged);
    problem.trials = retold(&trials, &followed, &problem);
    problem.hyper.point_loss = options.loss;

    let evidence = EvidenceOptions::default();
    let (prior_smoothness, believed) = (problem.hyper.smoothness.clone(), problem.priors.clone());
    for round in 1..=ROUNDS {
        if run.interrupted {
            if round == 1 {
                // For how many frames errors last is told all the same.
                weigh_priors(&mut problem, &outcome.parameters, None, &believed);
            }
            break;
        }
        let estimates = |problem: &Problem| [&problem.hyper.point_sigma[..], &problem.priors.offset_sd].concat();
        let before = estimates(&problem);
        update_point_noise(&mut problem, &outcome.parameters, pooling);
        // Trajectories are told the same with and without what they share: one matrix for both estimates.
        let told = told(&mut run.workspace, &problem, &outcome.parameters);
        weigh_priors(&mut problem, &outcome.parameters, told.as_ref(), &believed);
        if let Some(told) = &told {
            update_smoothness(&mut problem, &outcome.parameters, told, &prior_smoothness, &evidence);
        }
        if let Some(told) = told {
            told.recycle(&mut run.workspace);
        }
        coordinate_tasks(&mut problem, tasks)?;
        let same = |(a, b): (&f64, f64)| (b - a).abs() < SETTLED.1.max(SETTLED.0 * a);
        let same = before.iter().zip(estimates(&problem)).all(same);
        run.say(Stage::Subject, 0.3 + 0.6 * round as f64 / ROUNDS as f64);
        let settled = round == ROUNDS || same;
        outcome = match settled {
            true => run.finish(&problem, outcome.parameters, CONVERGED, outcome.damping),
            // One step is as good as several: the next estimates move the minimum by more than is left.
            false => run.solve(&problem, outcome.parameters, 1, 0.1 * rough, outcome.damping),
        };
        // Names that drew the model away from where it belongs until large errors counted less.
        let again = round == 1
            && mend_names(&mut trials, &followed, &problem, skeleton, &mut outcome.parameters, &mut exchanged);
        if again {
            problem.trials = retold(&trials, &followed, &problem);
        }
        if settled && !again {
            break;
        }
    }

    run.say(Stage::Covariance, 0.9);
    let parameters = outcome.parameters;
    problem.priors.scales.clone_from(&believed.scales);
    let share = problem.hyper.autocorrelation_frames.sqrt();
    problem.priors.offset_sd.iter_mut().for_each(|sd| *sd *= share);
    let mut warnings: Vec<String> = unheard_tasks(&problem, tasks);
    let deviations = match options.covariance && !run.interrupted {
        true => uncertainty_in(&mut run.workspace, &problem, &parameters)
            .map_err(|e| warnings.push(no_deviations(&problem, &trials, &e)))
            .ok(),
        false => None,
    };
    let fitted: Vec<MarkerTrialFit> = (0..trials.len())
        .map(|i| {
            let kinematics = poses(&problem, skeleton, &parameters, deviations.as_ref(), i);
            let exchanged = std::mem::take(&mut exchanged[i]);
            let unobserved = not_observed(skeleton, &problem, &parameters, i, &trials[i], &followed[i]);
            trial_fit(unobserved, &trials[i], &followed[i], kinematics, exchanged, outcome.converged)
        })
        .collect();
    let (status, reason) = verdict(&problem, &parameters, &fitted, run.interrupted, outcome.converged);
    Ok(MarkerFit {
        status,
        reason,
        warnings,
        scales: problem.all_scales(&parameters),
        offsets: problem.all_offsets(&parameters),
        scales_sd: deviations.as_ref().map(|u| body_scale_deviations(&problem, u)),
        scale_groups: scales_found(&problem, &parameters, deviations.as_ref()),
        offset_fits: offset_fits(&problem, &parameters, deviations.as_ref()),
        noise: problem.markers.iter().copied().zip(problem.hyper.point_sigma.iter().copied()).collect(),
        autocorrelation_frames: problem.hyper.autocorrelation_frames,
        trials: fitted,
        iterations: run.iterations as usize,
        skeleton: skeleton.clone(),
    })
}

/// The trials once their names were mended, as the solver sees them.
fn retold(trials: &[MarkerTrial], followed: &[FollowedMarkers], problem: &Problem) -> Vec<TrialProblem> {
    trials.iter().zip(followed).map(|(t, f)| trial_problem(t, f, &problem.markers)).collect()
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
fn no_deviations(problem: &Problem, trials: &[MarkerTrial], at: &NonPositivePivot) -> String {
    let dofs = problem.layout.dofs();
    match at.place {
        Part::Band(trial) => {
            let name = &problem.mechanism.skeleton().coordinates[problem.layout.coordinates[at.index % dofs]].name;
            format!(
                "There are no standard deviations: in {} nothing holds the coordinate `{name}` for some time, because no marker tells it there. Do not rely on it in such gaps.",
                trials[trial].label
            )
        }
        Part::Border => {
            "There are no standard deviations: no marker tells some of the segments' sizes or offsets.".into()
        }
    }
}

/// What the data tell, of shared parameters only where their spread is estimated.
fn told(workspace: &mut Workspace, problem: &Problem, parameters: &Parameters) -> Option<Observed> {
    let held = Free::nothing(problem.rig.len());
    observed(workspace, problem, if problem.free.offsets { &problem.free } else { &held }, parameters)
}

/// Weighs what is believed of the body against data whose errors last: skin slides over bone and stays there for many frames, in which a thousand points say no more than a handful. The data that a
/// size or a place on the body is told by count for 1/τ, or, the same, its priors for τ; the trajectory follows the data as they come.
fn weigh_priors(problem: &mut Problem, parameters: &Parameters, told: Option<&Observed>, believed: &Priors) {
    let time = problem.point_autocorrelation_time(&problem.point_residuals(parameters));
    problem.hyper.autocorrelation_frames = time;
    let share = time.sqrt().recip();
    problem.priors.scales = believed.scales.iter().map(|(mean, sd)| (*mean, sd * share)).collect();
    let sd = told.and_then(|told| offset_sd(problem, parameters, told, &believed.offset_sd));
    let sd = sd.unwrap_or_else(|| believed.offset_sd.clone());
    problem.priors.offset_sd = sd.iter().map(|sd| sd * share).collect();
}

fn scales_found(problem: &Problem, parameters: &Parameters, u: Option<&Uncertainty>) -> Vec<ScaleFit> {
    if problem.free.scales { scale_fits(problem, parameters, u) } else { Vec::new() }
}

/// Coordinates that the markers of a trial do not observe.
fn not_observed(
    skeleton: &Skeleton,
    problem: &Problem,
    parameters: &Parameters,
    index: usize,
    trial: &MarkerTrial,
    followed: &FollowedMarkers,
) -> Vec<Unobserved> {
    let mechanism = Mechanism::new(skeleton.with_rotors(), ScaleGroups::default());
    let (scales, offsets) = (problem.all_scales(parameters), problem.all_offsets(parameters));
    let markers = followed.columns.iter().map(|c| c.1);
    let mut observer = Observer::new(skeleton, &mechanism, scales, offsets, markers);
    let mut pose = problem.layout.default_pose();
    for (f, &t) in problem.trials[index].times.iter().enumerate() {
        parameters.trajectories[index].pose(t, &mut pose);
        let points: Vec<_> = followed.columns.iter().map(|c| trial.get(f, c.0).map(|p| followed.turn * p)).collect();
        observer.look(&points, &pose);
    }
    observer.found()
}

fn trial_fit(
    unobserved: Vec<Unobserved>,
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
            unobserved,
            q_sd: kinematics.q_sd,
            positions,
            frames,
        },
        exchanged,
    }
}
