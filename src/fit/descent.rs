//! A fit whose trajectories are networks, by descent along the gradient of everything at once.
//!
//! The objective is the B-spline's, and so are noise levels and smoothness, estimated between rounds: of the B-spline nearest to the network's poses, from which the standard deviations
//! come, too, for a network's own normal matrix is singular.

use super::adrift::{Adrift, adrift};
use super::build::Built;
use super::checkpoint::{Checkpoint, Course, Progress};
use super::options::{NetworkOptions, NetworkStart, SavedNetwork};
use super::run::Run;
use super::stages::{free_everything, relative_change, stages};
use super::verdict::Shortfall;
use super::{FitOptions, Objective, Optimizer, Stage};
use crate::error::{Error, Result};
use crate::math::basis::Knots;
use crate::math::robust::RobustLoss;
use crate::quality::COUNTED_CONFIDENCE;
use crate::residual::extrinsics::ExtrinsicsPrior;
use crate::residual::gauge::GaugePrior;
use crate::session::Unusable;
use crate::solve::first_order::{
    AdamOptions, Descended, Group, Lesson, Memory, Networks, Schedule, Terms, adam, quasi_newton, shared_vector,
};
use crate::solve::{
    EvidenceOptions, Free, Hyperparameters, Parameters, Problem, TrialProblem, observed, update_noise,
    update_smoothness,
};
use crate::trajectory::mlp::{Head, Mlp};
use crate::trajectory::{BSpline, Pose, Trajectory, nearest_spline};
use nalgebra::{Matrix3, Rotation3};
use std::sync::{Arc, Mutex};

/// Relative change of the noise levels below which they have settled.
const SETTLED: f64 = 0.02;

/// Estimates of smoothness, once noise levels are steady: the B-spline's fit takes as many.
const SMOOTHNESS_ROUNDS: u32 = 2;

/// Rate and steps of teaching a network poses.
const LESSON_RATE: f64 = 3e-3;
const LESSON_STEPS: u64 = 2000;

/// How often frames that have gone adrift are taught what their neighbours do: a heading that goes round the wrong way is no step away from the right one.
const MENDED: u32 = 2;
/// Frames on either side of them that are taught with them.
const BESIDE: usize = 3;

/// Fewest frames a network is fitted to: third differences want four.
const FEWEST_FRAMES: usize = 4;

/// What is wrong, for a network, with a trial of so many frames.
pub(super) fn too_short(frames: usize) -> Option<Unusable> {
    (frames < FEWEST_FRAMES).then(|| Unusable {
        problem: format!("has {frames} frames; a network of time needs {FEWEST_FRAMES}"),
        advice: "fit short trials with --trajectory bspline".into(),
    })
}

/// What came of a descent.
pub(super) struct Descent {
    /// With the B-splines nearest to the networks.
    pub parameters: Parameters,
    pub networks: Vec<Mlp>,
    /// Whether it ended because nothing was left to gain.
    pub converged: bool,
    /// Otherwise, why it is not at its end.
    pub shortfall: Option<Shortfall>,
}

/// Fits networks that begin where the options say; after the B-spline's fit, `start` is that. `trials` are the trials' names, none of them [`too_short`].
pub(super) fn descend(
    run: &mut Run,
    built: &mut Built,
    start: Parameters,
    options: &NetworkOptions,
    trials: &[&str],
) -> Result<Descent> {
    let evidence = evidence(run.options);
    let problem = &mut built.problem;
    let knots: Vec<Knots> = start.trajectories.iter().map(|t| *t.knots()).collect();
    let guess = (start.clone(), problem.free.clone(), problem.hyper.clone());
    let mut mlps = match &options.start {
        NetworkStart::Saved(saved) => saved_networks(problem, (saved, trials), options.terms.poses)?,
        NetworkStart::Random | NetworkStart::BSpline => random_networks(problem, &start, options)?,
    };
    spoken_of(&mut built.warnings, problem, &mlps, options);
    let after_bspline = options.start == NetworkStart::BSpline;
    let prior_smoothness = match after_bspline {
        // The B-spline's own fit has begun so, and has been there.
        true => problem.hyper.smoothness.clone(),
        false => free_everything(problem, run.options),
    };
    let published = options.objective == Objective::Published;
    if published {
        published_objective(problem);
    }
    run.say(Stage::Pose, 0.1);
    let course = Course::new(problem, run.options, options);
    // As many looks at all frames as without batches: until then costs are no measure.
    let round = (options.round.max(1) as f64 * longer(problem, options)).ceil() as u64;
    let at = Networks::new(problem, &mlps, options.terms, None).flatten(&shared_vector(problem, &start));
    let mut here = match &run.options.resume {
        Some(bytes) => {
            let here = Checkpoint::from_bytes(bytes, &course, at.len())?;
            if here.sigma.len() != problem.hyper.sigmas().len()
                || here.smoothness.len() != problem.hyper.smoothness.len()
            {
                return Err(Error::input("the checkpoint", "is damaged", "leave out --resume to begin again"));
            }
            problem.hyper.set_sigma(here.sigma.clone());
            problem.hyper.smoothness.clone_from(&here.smoothness);
            [problem.hyper.autocorrelation_frames, problem.hyper.smoothing_frames] = here.lasting;
            // Those of the whole descent, as if it had never been stopped.
            run.iterations += here.progress.taken;
            here
        }
        None => {
            let at = if after_bspline { taught(problem, &mlps, &poses_of(problem, &start), at) } else { at };
            if !published {
                update_noise(problem, &projected(problem, &mlps, &at, &knots)?, &evidence);
            }
            let settled = published || after_bspline;
            let progress = Progress { left: round, settled, ..Progress::default() };
            let [sigma, smoothness, history] = [const { Vec::new() }; 3];
            Checkpoint { parameters: at, state: None, sigma, smoothness, lasting: [1.0; 2], history, progress }
        }
    };

    let mut converged = here.progress.rested;
    while here.progress.taken < options.max_steps && !converged && !run.interrupted {
        let steps = here.progress.left.min(options.max_steps - here.progress.taken);
        let networks = Networks::new(problem, &mlps, options.terms, options.mini_batch);
        let history = Arc::new(Mutex::new(Vec::new()));
        let at = std::mem::take(&mut here.parameters);
        let done = one_run(run, &networks, at, options, here.state.take(), (here.progress.taken, steps), &history);
        (here.parameters, here.state) = (done.last, done.state);
        here.progress.taken += done.steps;
        here.progress.left = here.progress.left.saturating_sub(done.steps);
        run.iterations += done.steps;
        run.interrupted |= done.interrupted;
        here.history.extend(history.lock().map(|h| h.clone()).unwrap_or_default());
        converged = done.converged;
        let given_up = matches!(&here.state, Some(Memory::Adam(state)) if state.given_up());
        // One that was stopped at the end of a round has no steps left in it.
        let stuck = given_up || (steps > 0 && done.steps == 0 && !done.converged);
        if (here.progress.left == 0 || converged) && !run.interrupted {
            here.progress.left = round;
            if !here.progress.settled {
                let parameters = projected(problem, &mlps, &here.parameters, &knots)?;
                let old = problem.hyper.sigmas().to_vec();
                update_noise(problem, &parameters, &evidence);
                let taken = here.progress.taken;
                let everything_moves = taken > options.rates.cameras.1.max(options.rates.offsets.1) + options.round;
                let steady = everything_moves && relative_change(&old, problem.hyper.sigmas()) < SETTLED;
                // How rough a network is before it has come near says nothing of the movement.
                if steady || here.progress.smoothed > 0 || converged {
                    if options.terms.smoothness && here.progress.smoothed < SMOOTHNESS_ROUNDS {
                        let nothing = Free::nothing(problem.rig.len());
                        if let Some(told) = observed(&mut run.workspace, problem, &nothing, &parameters) {
                            update_smoothness(problem, &parameters, &told, &prior_smoothness, &evidence);
                            told.recycle(&mut run.workspace);
                        }
                        here.progress.smoothed += 1;
                    } else {
                        here.progress.settled = true;
                    }
                }
                // The objective is another one than that the end was found for.
                match &mut here.state {
                    Some(Memory::Adam(state)) => state.forget(),
                    memory => *memory = None,
                }
                converged = false;
            }
        }
        // What is taught is only where to begin: without the steps to descend again it would be worse than what was found.
        let again = options.max_steps.saturating_sub(here.progress.taken) >= options.expected_steps;
        if converged && again && !stuck && here.progress.mended < MENDED && !published {
            let networks = Networks::new(problem, &mlps, options.terms, None);
            let wanted = mended(
                problem,
                &projected(problem, &mlps, &here.parameters, &knots)?,
                networks.poses(&here.parameters),
            );
            if let Some(wanted) = wanted {
                here.parameters = taught(problem, &mlps, &wanted, here.parameters);
                (here.state, here.progress.mended, converged) = (None, here.progress.mended + 1, false);
            }
        }
        if let Some(keep) = &run.options.checkpoint {
            here.sigma = problem.hyper.sigmas().to_vec();
            here.smoothness.clone_from(&problem.hyper.smoothness);
            here.lasting = [problem.hyper.autocorrelation_frames, problem.hyper.smoothing_frames];
            here.progress.rested = converged;
            keep(&here.to_bytes(&course)?);
            run.resumable = true;
        }
        if stuck {
            break;
        }
    }
    run.history.append(&mut here.history);
    let here_taken = here.progress.taken;
    let runaways = match &here.state {
        Some(Memory::Adam(state)) => state.runaways,
        _ => 0,
    };
    // The best by the objective as it is now, which is the same for one that resumes with no steps left; and of all frames: of batches the luckiest would win.
    let whole = Networks::new(problem, &mlps, options.terms, None);
    let best_of_batches = match (options.mini_batch, &mut here.state) {
        (Some(_), Some(Memory::Adam(state))) => state.best.take().map(|best| best.1),
        _ => None,
    };
    let evaluated = |at, state| one_run(run, &whole, at, options, state, (here_taken, 0), &Arc::default());
    let mut done = evaluated(here.parameters, here.state);
    if let Some(at) = best_of_batches {
        let other = evaluated(at, None);
        done = if other.cost < done.cost { other } else { done };
    }
    let best = done.best;
    let parameters = projected(problem, &mlps, &best, &knots)?;
    let networks = Networks::new(problem, &mlps, options.terms, None);
    let ranges: Vec<_> = (0..mlps.len()).map(|i| networks.network(i)).collect();
    for (mlp, range) in mlps.iter_mut().zip(ranges) {
        mlp.set_parameters(&best[range]);
    }
    if runaways > 0 {
        built.warnings.push(format!(
            "The descent ran away ({}): it went back to the best so far and on at half the rate.",
            if runaways == 1 { "once".into() } else { format!("{runaways} times") }
        ));
    }
    built.warnings.push(match published {
        true => "Poses are those of the B-spline nearest to the network, which itself is in its file; without priors there are no standard deviations.".into(),
        false => "Poses and standard deviations are those of the B-spline nearest to the network, whose own normal matrix is singular; the network itself is in its file.".into(),
    });
    let end = match converged {
        true => End::Rest,
        false if here_taken < options.max_steps => End::GaveUp,
        false => End::LastStep,
    };
    let shortfall = match (run.interrupted, published) {
        (true, _) => None,
        (false, true) if here_taken < options.expected_steps => Some(Shortfall {
            reason: format!(
                "the descent ended after {here_taken} of the published method's {} steps",
                options.expected_steps
            ),
            advice: "go on with --resume and more --steps".into(),
        }),
        (false, true) => Some(Shortfall {
            reason: "the published method ends after its steps, whatever is left to gain".into(),
            advice: "compare its errors with those of --trajectory bspline".into(),
        }),
        (false, false) => shortfall(run, built, &parameters, guess, options, end),
    };
    converged &= shortfall.is_none();
    Ok(Descent { parameters, networks: mlps, converged, shortfall })
}

/// A descent has come to its end where the second-order solver, from there and from the first guess, comes to a mean error that is lower by less than this share.
const LEFT: f64 = 0.03;

/// How a descent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Rates have faded, or no step lowers the objective.
    Rest,
    LastStep,
    /// No step at all, or away at any rate.
    GaveUp,
}

/// What there was left to gain where a descent ended: rates that have faded, and steps that are used up, say little of that. `guess` is what the B-spline's fit begins with.
fn shortfall(
    run: &mut Run,
    built: &mut Built,
    parameters: &Parameters,
    guess: (Parameters, Free, Hyperparameters),
    options: &NetworkOptions,
    end: End,
) -> Option<Shortfall> {
    let here = mean_px(&built.problem, parameters);
    let quiet = FitOptions { progress: None, ..run.options.clone() };
    let mut aside = Run::new(&quiet);
    // A thousandth of a nat for each detection: a thirtieth of what `LEFT` is worth.
    let little = 1e-3 * detections(&built.problem) as f64;
    let nearby = aside.solve(&built.problem, parameters.clone(), 8, little, 1e-3).parameters;
    let nearby = mean_px(&built.problem, &nearby);
    let (start, free, hyper) = guess;
    let best = match options.start {
        NetworkStart::BSpline => mean_px(&built.problem, &start),
        NetworkStart::Random | NetworkStart::Saved(_) => {
            let problem = &mut built.problem;
            let (free, hyper) =
                (std::mem::replace(&mut problem.free, free), std::mem::replace(&mut problem.hyper, hyper));
            let fitted = stages(&mut aside, built, start).map(|(fitted, _)| mean_px(&built.problem, &fitted));
            (built.problem.free, built.problem.hyper) = (free, hyper);
            fitted.unwrap_or(f64::INFINITY)
        }
    };
    if aside.interrupted {
        run.interrupted = true;
        return None;
    }
    let reached = |there: f64| here <= (1.0 + LEFT) * there;
    let (how, there) = match end {
        _ if reached(nearby) && reached(best) => match end {
            End::Rest => return None,
            End::LastStep => ("was at its last step: the second-order solver, from there,", nearby.min(here)),
            End::GaveUp => ("could not go on: the second-order solver, from there,", nearby.min(here)),
        },
        End::Rest if reached(nearby) => {
            ("came to rest in another minimum: the second-order solver, from the first guess,", best)
        }
        End::Rest => {
            ("came to rest before there was nothing left to gain: the second-order solver, from there,", nearby)
        }
        End::LastStep => {
            ("was at its last step before there was nothing left to gain: the second-order solver", nearby.min(best))
        }
        End::GaveUp => {
            ("could not go on before there was nothing left to gain: the second-order solver", nearby.min(best))
        }
    };
    let usual = NetworkOptions::default();
    let advice = match (end, options.optimizer) {
        (End::LastStep, _) => "go on with --resume and more --steps, or fit with --trajectory bspline",
        (_, Optimizer::Lbfgs) => "leave out --optimizer lbfgs, or fit with --trajectory bspline",
        (End::GaveUp, _) => "give a lower --learning-rate, or fit with --trajectory bspline",
        (End::Rest, _) if options.rates.network != usual.rates.network => "leave out --learning-rate",
        (End::Rest, _) if options.mini_batch.is_some() => {
            "leave out --batch or give more frames, or fit with --trajectory bspline"
        }
        (End::Rest, _) => {
            "begin at the B-spline's fit (--warm-start bspline), try another --seed, or fit with --trajectory bspline"
        }
    };
    let reason = format!("the descent {how} comes to a mean error of {there:.1} px, the network to {here:.1}");
    Some(Shortfall { reason, advice: advice.into() })
}

fn detections(problem: &Problem) -> usize {
    problem.trials.iter().map(|t| t.sightings.count()).sum()
}

/// Mean reprojection error, counted as reports do.
fn mean_px(problem: &Problem, parameters: &Parameters) -> f64 {
    let residuals = problem.pixel_residuals(parameters);
    let counted = || residuals.iter().flatten().filter(|r| r.weight >= COUNTED_CONFIDENCE);
    counted().map(|r| r.error_px.norm()).sum::<f64>() / counted().count().max(1) as f64
}

/// Numbers of four bytes that a descent by Adam holds for each parameter, its checkpoint being written (measured: 69 bytes at 15 million, 67 at 68 million).
const COPIES: f64 = 17.0;

/// The same of L-BFGS, which remembers twenty steps and their gradients in eight bytes each (measured: 1400 bytes at 0.8 million).
const COPIES_LBFGS: f64 = 350.0;

/// Memory beyond which a user of a laptop should know, bytes.
const MUCH: f64 = 4e9;

/// What of the options the user should know before the descent begins; it takes long.
fn spoken_of(warnings: &mut Vec<String>, problem: &Problem, mlps: &[Mlp], options: &NetworkOptions) {
    let frames: usize = problem.trials.iter().map(|t| t.times.len()).sum();
    if let Some(batch) = options.mini_batch.filter(|batch| batch.frames >= frames) {
        warnings.push(format!(
            "A batch of {} frames is no part of the {frames} that there are: every step takes all of them.",
            batch.frames
        ));
    }
    if options.objective == Objective::Published && options.max_steps < options.expected_steps {
        warnings.push(format!(
            "The published rates fall over {} steps; after {} they are still high.",
            options.expected_steps, options.max_steps
        ));
    }
    let parameters: usize = mlps.iter().map(|m| m.parameters().len()).sum();
    let (copies, other) = match options.optimizer {
        Optimizer::Adam => (COPIES, ""),
        Optimizer::Lbfgs => (COPIES_LBFGS, ", a twentieth of that with --optimizer adam"),
    };
    let bytes = copies * 4.0 * parameters as f64;
    if bytes > MUCH {
        tracing::warn!(
            "The networks have {:.1} million parameters: their descent takes about {:.0} GB of memory{other}.",
            1e-6 * parameters as f64,
            1e-9 * bytes
        );
    }
}

/// The poses of trajectories, in every frame of every trial.
fn poses_of(problem: &Problem, start: &Parameters) -> Vec<Vec<Pose>> {
    start
        .trajectories
        .iter()
        .zip(&problem.trials)
        .map(|(trajectory, trial)| {
            let pose = |&t: &f64| {
                let mut pose = problem.layout.default_pose();
                trajectory.pose(t, &mut pose);
                pose
            };
            trial.times.iter().map(pose).collect()
        })
        .collect()
}

/// The poses with those frames that have gone adrift going straight from what is before them to what is after; `None` where none has.
fn mended(problem: &Problem, parameters: &Parameters, mut poses: Vec<Vec<Pose>>) -> Option<Vec<Vec<Pose>>> {
    let residuals = problem.pixel_residuals(parameters);
    let mut any = false;
    for ((poses, residuals), trial) in poses.iter_mut().zip(&residuals).zip(&problem.trials) {
        let frames = trial.times.len();
        for Adrift { frames: stretch, .. } in adrift(residuals, &problem.rig, frames) {
            let (from, to) = (stretch.start.checked_sub(1 + BESIDE), stretch.end + BESIDE);
            let (before, after) = (from.map(|f| poses[f].clone()), poses.get(to).cloned());
            let first = from.map_or(0, |f| f + 1);
            let last = to.min(frames);
            for f in first..last {
                let share = (f + 1 - first) as f64 / (last + 1 - first) as f64;
                match (&before, &after) {
                    (Some(a), Some(b)) => between(a, b, share, &mut poses[f]),
                    (Some(one), None) | (None, Some(one)) => poses[f].clone_from(one),
                    // All of it is adrift: there is nothing to go by.
                    (None, None) => continue,
                }
                any = true;
            }
        }
    }
    any.then_some(poses)
}

/// The pose a share of the way from one to another.
fn between(a: &Pose, b: &Pose, share: f64, out: &mut Pose) {
    for ((x, a), b) in out.q.iter_mut().zip(&a.q).zip(&b.q) {
        *x = a + share * (b - a);
    }
    for ((r, a), b) in out.rotors.iter_mut().zip(&a.rotors).zip(&b.rotors) {
        *r = Rotation3::new(share * (b * a.inverse()).scaled_axis()) * a;
    }
}

/// Networks that follow these poses.
fn taught(problem: &Problem, mlps: &[Mlp], wanted: &[Vec<Pose>], at: Vec<f32>) -> Vec<f32> {
    let networks = Networks::new(problem, mlps, Terms::default(), None);
    let lesson = Lesson::new(problem, mlps, &networks, wanted);
    let groups = vec![Group { range: 0..networks.shared().start, rate: LESSON_RATE, decay: 0.0, from_step: 0 }];
    let options = AdamOptions {
        schedule: Schedule { half_life: LESSON_STEPS as f64 / 8.0, ..AdamOptions::default().schedule },
        ..AdamOptions::default()
    };
    adam(&lesson, at, groups, &options, None, LESSON_STEPS, (None, None)).best
}

/// [`Objective::Published`], as a posterior: its mean loss times the number of detections.
fn published_objective(problem: &mut Problem) {
    const HUBER_PX: f64 = 5.0;
    const OFFSETS: f64 = 100.0;
    let observations = problem.trials.iter().flat_map(|t| t.sightings.iter());
    let count: f64 = observations.map(|o| o.weight).sum();
    problem.hyper.set_sigma(vec![1.0; problem.hyper.sigmas().len()]);
    problem.hyper.pixel_loss = RobustLoss::Huber { delta: HUBER_PX };
    let sd = 1.0 / (2.0 * OFFSETS * count).sqrt();
    problem.priors.offset_sd.iter_mut().filter(|s| **s > 0.0).for_each(|s| *s = sd);
    problem.priors.scales.iter_mut().for_each(|s| s.1 = f64::INFINITY);
    problem.priors.extrinsics =
        ExtrinsicsPrior { rotation_sd: f64::INFINITY, position_sd: f64::INFINITY, dof: f64::INFINITY };
    problem.priors.gauge =
        GaugePrior { rotation_sd: f64::INFINITY, position_sd: f64::INFINITY, size_sd: f64::INFINITY };
    problem.priors.stature = None;
}

/// How noise is estimated, as for the B-spline.
fn evidence(options: &FitOptions) -> EvidenceOptions {
    match options.refine_cameras {
        true => EvidenceOptions::with_free_cameras(),
        false => EvidenceOptions::default(),
    }
}

/// The root of how many batches make the whole; 1 without.
fn longer(problem: &Problem, options: &NetworkOptions) -> f64 {
    let frames: usize = problem.trials.iter().map(|t| t.times.len()).sum();
    options.mini_batch.map_or(1.0, |batch| (frames as f64 / batch.frames as f64).sqrt().max(1.0))
}

/// Adam's options for a problem. With mini-batches, gradients are noisy in proportion to the root of how many of them make the whole: rates stay high for as many times as long, and what
/// costs differ by from one batch to the next is no plateau.
fn adam_options(problem: &Problem, options: &NetworkOptions) -> AdamOptions {
    let mut adam = options.adam.clone();
    adam.runaway = options.runaway * detections(problem) as f64;
    if options.mini_batch.is_some() {
        let longer = longer(problem, options);
        let schedule = &mut adam.schedule;
        schedule.half_life *= longer;
        schedule.window = (schedule.window as f64 * longer).ceil() as u64;
        schedule.doubt = 1.0;
    }
    adam
}

fn one_run(
    run: &Run,
    networks: &Networks,
    at: Vec<f32>,
    options: &NetworkOptions,
    state: Option<Memory>,
    (taken, steps): (u64, u64),
    history: &Arc<Mutex<Vec<f64>>>,
) -> Descended {
    let groups = networks.groups(&options.rates);
    let stop = run.options.stop.as_ref();
    let (told, costs) = (run.options.progress.clone(), history.clone());
    let longest = options.expected_steps as f64;
    let progress = move |step: u64, cost: f64| {
        if let Ok(mut costs) = costs.lock() {
            costs.push(cost);
        }
        if let Some(p) = told.as_ref().filter(|_| step.is_multiple_of(10)) {
            p(Stage::Cameras, 0.1 + 0.75 * ((taken + step) as f64 / longest).min(1.0), cost);
        }
    };
    let watched = (Some(Arc::new(progress) as _), stop);
    match (options.optimizer, state) {
        (Optimizer::Adam, Some(Memory::Adam(state))) => {
            adam(networks, at, groups, &adam_options(networks.problem(), options), Some(state), steps, watched)
        }
        (Optimizer::Adam, _) => {
            adam(networks, at, groups, &adam_options(networks.problem(), options), None, steps, watched)
        }
        (Optimizer::Lbfgs, Some(Memory::QuasiNewton(memory))) => {
            quasi_newton(networks, at, &groups, Some(memory), steps, watched)
        }
        (Optimizer::Lbfgs, _) => quasi_newton(networks, at, &groups, None, steps, watched),
    }
}

/// A network for each trial: random, about the mean place and direction of the subject in the first guess, every joint as usual.
fn random_networks(problem: &Problem, start: &Parameters, options: &NetworkOptions) -> Result<Vec<Mlp>> {
    let soft = options.terms.poses;
    let of_trial = |(i, trajectory): (usize, &BSpline)| {
        let times = &problem.trials[i].times;
        let duration = times[times.len() - 1] + times[1];
        let usual = mean_pose(problem, trajectory, times);
        let seed = options.seed.wrapping_add(i as u64);
        let mut architecture = options.architecture.clone();
        if options.objective == Objective::Posterior {
            // What is quicker than half the rate, frames do not tell.
            architecture.highest_hz = architecture.highest_hz.min(0.5 / times[1]);
        }
        Mlp::random(architecture, &problem.mechanism, problem.layout.clone(), &usual, soft, duration, seed)
    };
    start.trajectories.iter().enumerate().map(of_trial).collect()
}

/// The networks of an earlier fit.
fn saved_networks(problem: &Problem, (saved, trials): (&[SavedNetwork], &[&str]), soft: bool) -> Result<Vec<Mlp>> {
    let expected = Head::new(&problem.mechanism, &problem.layout, &problem.layout.default_pose(), soft);
    let of_trial = |(trial, name): (&TrialProblem, &&str)| {
        let file = saved.iter().find(|s| s.trial == *name).ok_or_else(|| {
            Error::input(format_args!("trial `{name}`"), "has no network to begin at", "give one for each trial")
        })?;
        let mlp = Mlp::from_safetensors(file.bytes(), &file.path, &problem.mechanism, problem.layout.clone())?;
        if let Some(odd) = mlp.head().other_range(&expected) {
            let coordinate = &problem.mechanism.skeleton().coordinates[problem.layout.coordinates[odd]].name;
            return Err(Error::file(
                &file.path,
                format_args!("keeps `{coordinate}` to another range than this model and these options do"),
                "give a network that was fitted with them, or begin at random",
            ));
        }
        let step = trial.times[1];
        let duration = trial.times[trial.times.len() - 1] + step;
        if (mlp.duration() - duration).abs() > step {
            return Err(Error::file(
                &file.path,
                format_args!("is the network of {:.3} s; trial `{name}` has {duration:.3} s", mlp.duration()),
                "give the network of this trial, fitted over the same frames, or begin at random",
            ));
        }
        Ok(mlp)
    };
    problem.trials.iter().zip(trials).map(of_trial).collect()
}

/// Means over time of what places the body: rotors, and numbers without a range.
fn mean_pose(problem: &Problem, trajectory: &BSpline, times: &[f64]) -> Pose {
    let layout = &problem.layout;
    let mut usual = layout.default_pose();
    let mut pose = layout.default_pose();
    let mut sums = vec![0.0; layout.scalars()];
    let mut turns = vec![Matrix3::zeros(); layout.rotors.len()];
    for &t in times {
        trajectory.pose(t, &mut pose);
        for (sum, &c) in sums.iter_mut().zip(&layout.coordinates) {
            *sum += pose.q[c];
        }
        turns.iter_mut().zip(&pose.rotors).for_each(|(sum, r)| *sum += r.matrix());
    }
    for (sum, &c) in sums.iter().zip(&layout.coordinates) {
        if problem.mechanism.skeleton().coordinates[c].range.is_none() {
            usual.q[c] = sum / times.len() as f64;
        }
    }
    for (r, sum) in usual.rotors.iter_mut().zip(&turns) {
        *r = Rotation3::from_matrix(&(sum / times.len() as f64));
    }
    usual
}

/// What trials share, and the B-splines nearest to the networks.
fn projected(problem: &Problem, mlps: &[Mlp], at: &[f32], knots: &[Knots]) -> Result<Parameters> {
    let networks = Networks::new(problem, mlps, Default::default(), None);
    let mut parameters = networks.shared_of(at);
    for ((poses, knots), trial) in networks.poses(at).iter().zip(knots).zip(&problem.trials) {
        let spline = nearest_spline(&problem.layout, *knots, &trial.times, poses).ok_or_else(|| {
            Error::fit(
                "pose",
                "the network's poses are not numbers any more",
                "lower the rate of its descent, or fit with --trajectory bspline",
            )
        })?;
        parameters.trajectories.push(spline);
    }
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_two_poses_rotations_take_the_shorter_way() {
        let turn = |angle: f64| Rotation3::from_euler_angles(0.0, 0.0, angle);
        let pose = |x: f64, angle: f64| Pose { q: vec![x, 1.0], rotors: vec![turn(angle)] };
        let mut out = pose(9.0, 9.0);
        // From 170° to 190° by way of 180°, not of 0°.
        between(&pose(0.0, 170f64.to_radians()), &pose(4.0, -170f64.to_radians()), 0.25, &mut out);
        assert_eq!(out.q, [1.0, 1.0]);
        assert!(out.rotors[0].angle_to(&turn(175f64.to_radians())) < 1e-12);
    }
}
