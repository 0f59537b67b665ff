//! A fit whose trajectories are networks, by descent along the gradient of everything at once.
//!
//! The objective is the B-spline's, and so are noise levels and smoothness, estimated between rounds: of the B-spline nearest to the network's poses, from which the standard deviations
//! come, too, for a network's own normal matrix is singular.

mod begin;
mod mended;
mod shortfall;
mod steps;

use super::build::Built;
use super::checkpoint::{Before, Checkpoint, Course, LeftOut, Progress};
use super::options::{NetworkOptions, NetworkStart};
use super::run::Run;
use super::stages::{free_everything, relative_change};
use super::verdict::Shortfall;
use super::{FitOptions, Objective, Stage};
use crate::error::{Error, Result};
use crate::math::basis::Knots;
use crate::math::robust::RobustLoss;
use crate::residual::extrinsics::ExtrinsicsPrior;
use crate::residual::gauge::GaugePrior;
use crate::solve::first_order::{Memory, Networks, shared_vector};
use crate::solve::{EvidenceOptions, Free, Parameters, Problem, observed, update_noise, update_smoothness};
use crate::trajectory::mlp::Mlp;
use crate::trajectory::nearest_spline;
pub(super) use begin::too_short;
use begin::{poses_of, random_networks, saved_networks, spoken_of, taught};
use mended::mended;
use shortfall::{Elsewhere, End, Errors, Held, held};
use std::sync::{Arc, Mutex};
use steps::{best, longer, one_run};

/// Relative change of the noise levels below which they have settled.
const SETTLED: f64 = 0.02;

/// Estimates of smoothness, once noise levels are steady: the B-spline's fit takes as many.
const SMOOTHNESS_ROUNDS: u32 = 2;

/// How often frames that have gone adrift are taught what their neighbours do: a heading that goes round the wrong way is no step away from the right one.
const MENDED: u32 = 2;

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

/// Fits networks that begin where the options say; after the B-spline's fit, `start` is that. `trials` are the trials' names, none of them [`too_short`]; the session had others, that are `left_out`.
pub(super) fn descend(
    run: &mut Run,
    built: &mut Built,
    start: Parameters,
    options: &NetworkOptions,
    (trials, left_out): (&[&str], &[LeftOut]),
) -> Result<Descent> {
    let problem = &mut built.problem;
    let knots: Vec<Knots> = start.trajectories.iter().map(|t| *t.knots()).collect();
    let mut elsewhere = match options.start {
        NetworkStart::BSpline => Elsewhere::Fitted(Some(start.clone())),
        _ => Elsewhere::Guess(Box::new((start.clone(), problem.free.clone(), problem.hyper.clone()))),
    };
    let mut mlps = match &options.start {
        NetworkStart::Saved(saved) => saved_networks(problem, (saved, trials), options.terms.poses)?,
        NetworkStart::Random | NetworkStart::Guess | NetworkStart::BSpline => {
            random_networks(problem, &start, options)?
        }
    };
    spoken_of(&mut built.warnings, problem, &mlps, options);
    // A batch of all frames is none.
    let frames: usize = problem.trials.iter().map(|t| t.times.len()).sum();
    let mini_batch = options.mini_batch.filter(|batch| batch.drawn() < frames);
    let options = &NetworkOptions { mini_batch, ..options.clone() };
    let prior_smoothness = match options.start {
        // The B-spline's own fit has begun so, and has been there.
        NetworkStart::BSpline => problem.hyper.smoothness.clone(),
        NetworkStart::Random | NetworkStart::Guess | NetworkStart::Saved(_) => free_everything(problem, run.options),
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
        Some(bytes) => resumed(run, problem, bytes, &course, at.len())?,
        None => begun(run, problem, &start, (&mlps, at), options, round)?,
    };

    if run.interrupted {
        // In the midst of being taught what is there already.
        built.warnings.push(match options.start {
            NetworkStart::BSpline => {
                "The network was still being taught the B-spline's poses: these are the B-spline's.".into()
            }
            _ => "The network was still being taught the poses of the first guess: these are those.".into(),
        });
        return Ok(Descent { parameters: start, networks: mlps, converged: false, shortfall: None });
    }

    let mut rested = here.progress.rested;
    let mut rest = None;
    while !run.interrupted {
        if rested {
            match at_rest(run, built, (&mlps, &knots), &mut here, &mut elsewhere, options)? {
                Next::On => here.progress.left = round,
                Next::End(end) => {
                    rest = Some(end);
                    break;
                }
                Next::Stopped => {
                    run.interrupted = true;
                    break;
                }
            }
        }
        if here.progress.taken >= options.max_steps {
            break;
        }
        let steps = here.progress.left.min(options.max_steps - here.progress.taken);
        let networks = Networks::new(&built.problem, &mlps, options.terms, options.mini_batch);
        let history = Arc::new(Mutex::new(Vec::new()));
        let at = std::mem::take(&mut here.parameters);
        let done = one_run(run, &networks, at, options, here.state.take(), (here.progress.taken, steps), &history);
        (here.parameters, here.state) = (done.last, done.state);
        here.progress.taken += done.steps;
        here.progress.left = here.progress.left.saturating_sub(done.steps);
        run.iterations += done.steps;
        run.interrupted |= done.interrupted;
        here.history.extend(history.lock().map(|h| h.clone()).unwrap_or_default());
        rested = done.converged;
        let given_up = matches!(&here.state, Some(Memory::Adam(state)) if state.given_up());
        // One that was stopped at the end of a round has no steps left in it.
        let stuck = given_up || (steps > 0 && done.steps == 0 && !done.converged);
        if (here.progress.left == 0 || rested) && !run.interrupted {
            here.progress.left = round;
            if !here.progress.settled {
                let parameters = projected(&built.problem, &mlps, &here.parameters, &knots)?;
                estimate(run, &mut built.problem, &parameters, &mut here, options, (&prior_smoothness, rested));
                rested = false;
            }
        }
        if let Some(keep) = &run.options.checkpoint {
            here.sigma = built.problem.hyper.sigmas().to_vec();
            here.smoothness.clone_from(&built.problem.hyper.smoothness);
            here.lasting = [built.problem.hyper.autocorrelation_frames, built.problem.hyper.smoothing_frames];
            here.progress.rested = rested;
            keep(&here.to_bytes(&course, left_out)?);
            run.resumable = true;
        }
        if stuck {
            break;
        }
    }
    run.history.append(&mut here.history);
    let taken = here.progress.taken;
    let runaways = here.progress.runaways + runaways(here.state.as_ref());
    let converged = rest.is_some();
    let Rest { networks: best, parameters, found, few } = match rest {
        Some(rest) => rest,
        None => {
            let (networks, parameters) = kept(run, built, (&mlps, &knots), &here, options)?;
            Rest { networks, parameters, found: None, few: false }
        }
    };
    let networks = Networks::new(&built.problem, &mlps, options.terms, None);
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
        true if few => End::TooFewSteps,
        true => End::Rest,
        false if taken < options.max_steps => End::GaveUp,
        false => End::LastStep,
    };
    let shortfall = match (run.interrupted, published) {
        (true, _) => None,
        (false, true) => Some(of_the_published(taken, options)),
        (false, false) => {
            let found = found.or_else(|| held(run, built, &parameters, &mut elsewhere));
            found.and_then(|found| found.shortfall(options, end))
        }
    };
    Ok(Descent {
        parameters,
        networks: mlps,
        converged: converged && !run.interrupted && shortfall.is_none(),
        shortfall,
    })
}

/// Where a descent begins that no other went before.
fn begun(
    run: &mut Run,
    problem: &mut Problem,
    start: &Parameters,
    (mlps, random): (&[Mlp], Vec<f32>),
    options: &NetworkOptions,
    round: u64,
) -> Result<Checkpoint> {
    let at = match options.start {
        NetworkStart::Guess | NetworkStart::BSpline => {
            taught(problem, mlps, &poses_of(problem, start), random.clone(), run.options.stop.as_ref())
        }
        NetworkStart::Random | NetworkStart::Saved(_) => Some(random.clone()),
    };
    run.interrupted |= at.is_none();
    let at = at.unwrap_or(random);
    // After the B-spline's fit they are known better than a lesson can tell.
    if !known(options) {
        let knots: Vec<Knots> = start.trajectories.iter().map(|t| *t.knots()).collect();
        let projected = projected(problem, mlps, &at, &knots)?;
        update_noise(problem, &projected, &evidence(run.options));
    }
    let progress = Progress { left: round, settled: known(options), ..Progress::default() };
    let [sigma, smoothness, history] = [const { Vec::new() }; 3];
    Ok(Checkpoint {
        parameters: at,
        state: None,
        sigma,
        smoothness,
        lasting: [1.0; 2],
        history,
        progress,
        before: None,
    })
}

/// Whether noise and smoothness are known from the first: the published method has none, and the B-spline's fit has found them.
fn known(options: &NetworkOptions) -> bool {
    options.objective == Objective::Published || options.start == NetworkStart::BSpline
}

/// Where a descent ended by itself.
struct Rest {
    /// With what trials share, as one vector.
    networks: Vec<f32>,
    /// With the B-splines nearest to them.
    parameters: Parameters,
    /// What the second-order solver makes of it.
    found: Option<Held>,
    /// Whether it would have gone on if it had had the steps.
    few: bool,
}

/// What to do at rest.
enum Next {
    /// Go on from where the checkpoint is now.
    On,
    End(Rest),
    Stopped,
}

/// At rest: frames that have gone adrift are taught, or the rates rise again where there is more to gain; otherwise it is the end.
fn at_rest(
    run: &mut Run,
    built: &mut Built,
    (mlps, knots): (&[Mlp], &[Knots]),
    here: &mut Checkpoint,
    elsewhere: &mut Elsewhere,
    options: &NetworkOptions,
) -> Result<Next> {
    let published = options.objective == Objective::Published;
    let (at, parameters) = kept(run, built, (mlps, knots), here, options)?;
    let left = options.max_steps.saturating_sub(here.progress.taken);
    let whole = Networks::new(&built.problem, mlps, options.terms, None);
    let adrift = match here.progress.mended < MENDED && !published {
        true => mended(&built.problem, &parameters, whole.poses(&at)),
        false => None,
    };
    // What is taught is only where to begin: without the steps to descend again it would be worse than what was found.
    let few = adrift.is_some() && left < options.expected_steps;
    let next = match adrift.filter(|_| !few) {
        Some(wanted) => {
            let taught = taught(&built.problem, mlps, &wanted, at.clone(), run.options.stop.as_ref());
            let Some(taught) = taught else { return Ok(Next::Stopped) };
            here.progress.mended += 1;
            taught
        }
        None => {
            let found = if published { None } else { held(run, built, &parameters, elsewhere) };
            let more = found.is_some_and(|found| found.more_nearby());
            let size = found.map(|found| found.here.size());
            let Some(size) = size.filter(|&size| more && !few && left > 0 && here.progress.gained(size)) else {
                return Ok(Next::End(Rest { networks: at, parameters, found, few: few || (more && left == 0) }));
            };
            here.progress.rest_px = Some(size);
            // What was estimated so far from the end says little.
            (here.progress.settled, here.progress.smoothed) = (known(options), 0);
            at.clone()
        }
    };
    let hyper = &built.problem.hyper;
    here.before = Some(Before {
        parameters: at,
        sigma: hyper.sigmas().to_vec(),
        smoothness: hyper.smoothness.clone(),
        lasting: [hyper.autocorrelation_frames, hyper.smoothing_frames],
    });
    here.parameters = next;
    here.progress.runaways += runaways(here.state.take().as_ref());
    Ok(Next::On)
}

/// How often a descent ran away since it last went on from rest.
fn runaways(state: Option<&Memory>) -> u32 {
    match state {
        Some(Memory::Adam(state)) => state.runaways,
        _ => 0,
    }
}

/// The best so far, and the B-splines nearest to it: of the steps since it last went on from rest, or what there was then. Noise levels and smoothness become those it was found with.
fn kept(
    run: &Run,
    built: &mut Built,
    (mlps, knots): (&[Mlp], &[Knots]),
    here: &Checkpoint,
    options: &NetworkOptions,
) -> Result<(Vec<f32>, Parameters)> {
    let problem = &mut built.problem;
    let at = best(run, &Networks::new(problem, mlps, options.terms, None), here.clone(), options);
    let parameters = projected(problem, mlps, &at, knots)?;
    let Some(before) = &here.before else { return Ok((at, parameters)) };
    let earlier = projected(problem, mlps, &before.parameters, knots)?;
    if Errors::new(problem, &parameters).size() < Errors::new(problem, &earlier).size() {
        return Ok((at, parameters));
    }
    problem.hyper.set_sigma(before.sigma.clone());
    problem.hyper.smoothness.clone_from(&before.smoothness);
    [problem.hyper.autocorrelation_frames, problem.hyper.smoothing_frames] = before.lasting;
    Ok((before.parameters.clone(), earlier))
}

/// Where an earlier descent of the same course stopped, `length` numbers.
fn resumed(run: &mut Run, problem: &mut Problem, bytes: &[u8], course: &Course, length: usize) -> Result<Checkpoint> {
    let here = Checkpoint::from_bytes(bytes, course, length)?;
    if here.sigma.len() != problem.hyper.sigmas().len() || here.smoothness.len() != problem.hyper.smoothness.len() {
        return Err(Error::input("the checkpoint", "is damaged", "leave out --resume to begin again"));
    }
    problem.hyper.set_sigma(here.sigma.clone());
    problem.hyper.smoothness.clone_from(&here.smoothness);
    [problem.hyper.autocorrelation_frames, problem.hyper.smoothing_frames] = here.lasting;
    run.resumable = true;
    // Those of the whole descent, as if it had never been stopped.
    run.iterations += here.progress.taken;
    Ok(here)
}

/// Noise levels at the end of a round; once they are steady, or nothing moves any more, smoothness.
fn estimate(
    run: &mut Run,
    problem: &mut Problem,
    parameters: &Parameters,
    here: &mut Checkpoint,
    options: &NetworkOptions,
    (prior_smoothness, converged): (&[f64], bool),
) {
    let evidence = evidence(run.options);
    let old = problem.hyper.sigmas().to_vec();
    update_noise(problem, parameters, &evidence);
    let everything_moves = here.progress.taken > options.rates.cameras.1.max(options.rates.offsets.1) + options.round;
    let steady = everything_moves && relative_change(&old, problem.hyper.sigmas()) < SETTLED;
    // How rough a network is before it has come near says nothing of the movement; but one that began near and is held smoother than the movement is would take what it misses for noise.
    let near = everything_moves && options.start != NetworkStart::Random;
    let smoothing = options.terms.smoothness && (near || here.progress.smoothed < SMOOTHNESS_ROUNDS);
    if smoothing && (near || steady || here.progress.smoothed > 0 || converged) {
        let nothing = Free::nothing(problem.rig.len());
        if let Some(told) = observed(&mut run.workspace, problem, &nothing, parameters) {
            update_smoothness(problem, parameters, &told, prior_smoothness, &evidence);
            told.recycle(&mut run.workspace);
        }
        here.progress.smoothed += 1;
        here.progress.settled = near && (steady || converged);
    } else {
        here.progress.settled = steady || here.progress.smoothed > 0 || converged;
    }
    // The objective is another one than that the end was found for.
    match &mut here.state {
        Some(Memory::Adam(state)) => state.forget(),
        memory => *memory = None,
    }
}

/// What the published method, whose end is a number of steps, leaves open.
fn of_the_published(taken: u64, options: &NetworkOptions) -> Shortfall {
    match taken < options.expected_steps {
        true => Shortfall {
            reason: format!(
                "the descent ended after {taken} of the published method's {} steps",
                options.expected_steps
            ),
            advice: "go on with --resume and more --steps".into(),
        },
        false => Shortfall {
            reason: "the published method ends after its steps, whatever is left to gain".into(),
            advice: "compare its errors with those of --trajectory bspline".into(),
        },
    }
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
