//! The stages of a fit.

use super::build::{Built, build};
#[cfg(feature = "learn")]
use super::checkpoint::LeftOut;
use super::initialise::{initialise, knots, of_no_size, sample};
use super::lost::recapture;
use super::result::{Finished, session_fit, trial_figures};
use super::run::Run;
use super::verdict::{Verdict, insane_trial, with_failures};
use super::{FitOptions, SessionFit, Stage, TrajectoryKind};
use crate::error::{Error, Result};
use crate::math::arrow::{NonPositivePivot, Part};
use crate::session::{Session, Trial, Unusable, trial_place};
use crate::skeleton::{ScaleGroups, Skeleton, read_model_str};
use crate::solve::{
    EvidenceOptions, Free, Parameters, Problem, observed, uncertainty_in, update_noise, update_smoothness,
};
use std::borrow::Cow;
use std::time::Instant;

/// Change of the objective's scale below which another round of noise and smoothness estimates is not worth its time: relative change of the noise levels.
const SETTLED: f64 = 0.01;

/// Decrement at which a fit has converged. The step that promises it is taken, and leaves a third of it or less to gain (measured over 300 and 3000 frames: a step's promise is 0.03 to 0.3 of that before):
/// 0.05, a distance of 0.3 standard deviations in the space of all its thousands of parameters together.
const CONVERGED: f64 = 0.15;

/// Rounds of estimating noise and smoothness in the last stage.
const MAX_ROUNDS: usize = 6;

/// The built-in body.
///
/// # Errors
/// Never in a release: the model is compiled in, and a test reads it.
pub fn default_skeleton() -> Result<Skeleton> {
    read_model_str("data/body.osim", include_str!("../../data/body.osim"))
}

/// The scale groups of the built-in body, with what is known of people's proportions.
///
/// # Errors
/// Never in a release, as for [`default_skeleton`].
pub fn default_scale_groups(skeleton: &Skeleton) -> Result<ScaleGroups> {
    ScaleGroups::from_json("data/scale_groups.json", include_str!("../../data/scale_groups.json"), skeleton)
}

/// Fits a session.
///
/// # Errors
/// [`Error::Input`] where session and model cannot be fitted together (no markers for the keypoints, nobody seen by two cameras), [`Error::Fit`] where the fit breaks down. A fit
/// that ends badly but in numbers is returned with its status and reason, not as an error. A trial that cannot be fitted is left out and says why
/// ([`super::TrialFit::status`]); it is an error only where no trial is left.
pub fn fit_session(session: &Session, options: &FitOptions) -> Result<SessionFit> {
    let begun = Instant::now();
    let (skeleton, usual_groups) = match &options.skeleton {
        Some(s) => (s.clone(), None),
        None => {
            let body = default_skeleton()?;
            let groups = default_scale_groups(&body)?;
            (body, Some(groups))
        }
    };
    let groups = options.scale_groups.clone().or(usual_groups);
    let on_reading = |trial: &Trial| trial.unusable.as_ref().map(|why| Verdict::unusable("read", why));
    let mut failures: Vec<Option<Verdict>> = session.trials.iter().map(on_reading).collect();
    let mut options = Cow::Borrowed(options);
    #[cfg(feature = "learn")]
    for left in options.resume.iter().flat_map(|bytes| super::checkpoint::left_out(bytes)) {
        let trials = session.trials.iter().zip(&mut failures);
        if let Some((_, failure)) = trials.into_iter().find(|(t, f)| t.name == left.trial && f.is_none()) {
            *failure = Some(Verdict {
                status: super::Status::Failed,
                reason: left.reason,
                stage: left.stage,
                advice: left.advice,
            });
        }
    }
    // Again without a trial that turns out to have no place in the session: the others shall end as if it had never been there.
    loop {
        let kept = kept(session, &failures)?;
        let attempt = attempt((session, &failures), &kept, &skeleton, groups.clone(), &options, begun)?;
        let mut fit = match attempt {
            Attempt::Fitted(fit) => *fit,
            Attempt::Without { failures: new, fitted } => {
                let open = failures.iter_mut().filter(|f| f.is_none());
                open.zip(new).for_each(|(failure, new)| *failure = new);
                if fitted {
                    // What was gone on from were all of them.
                    options = Cow::Owned(FitOptions { resume: None, ..options.into_owned() });
                }
                continue;
            }
        };
        with_failures(&mut fit, session, failures);
        fit.timings.total = begun.elapsed().as_secs_f64();
        if let Some(p) = &options.progress {
            p(Stage::Covariance, 1.0, fit.cost_history.last().copied().unwrap_or(f64::NAN));
        }
        return Ok(fit);
    }
}

/// The session with the trials that have not failed.
///
/// # Errors
/// What is wrong with the first where none is left.
fn kept<'a>(session: &'a Session, failures: &[Option<Verdict>]) -> Result<Cow<'a, Session>> {
    if failures.iter().all(Option::is_none) && !failures.is_empty() {
        return Ok(Cow::Borrowed(session));
    }
    let all = || session.trials.iter().zip(failures);
    let trials: Vec<Trial> = all().filter(|(_, failure)| failure.is_none()).map(|(trial, _)| trial.clone()).collect();
    if trials.is_empty() {
        return Err(match all().find_map(|(trial, failure)| failure.as_ref().map(|f| (trial, f))) {
            Some((trial, f)) => {
                Error::input(trial_place(&trial.name), &f.reason, f.advice.as_deref().unwrap_or_default())
            }
            None => Error::input(
                format_args!("session `{}`", session.name),
                "has no trial",
                "give a session with at least one recording",
            ),
        });
    }
    Ok(Cow::Owned(Session {
        trials,
        name: session.name.clone(),
        rig: session.rig.clone(),
        z_up: session.z_up,
        keypoints: session.keypoints.clone(),
        subject: session.subject.clone(),
    }))
}

/// What came of fitting some trials together.
enum Attempt {
    /// All of them.
    Fitted(Box<SessionFit>),
    /// Some have no place among the others: what is wrong with each, and whether it was a fit of all that told.
    Without { failures: Vec<Option<Verdict>>, fitted: bool },
}

/// Fits what is kept of a session, of which some trials have failed already.
fn attempt(
    #[cfg_attr(not(feature = "learn"), allow(unused_variables))] (whole, failed): (&Session, &[Option<Verdict>]),
    session: &Session,
    skeleton: &Skeleton,
    groups: Option<ScaleGroups>,
    options: &FitOptions,
    begun: Instant,
) -> Result<Attempt> {
    let mut run = Run::new(options);
    run.say(Stage::Initialise, 0.0);
    let mut built = build(session, skeleton, groups, options)?;
    let sampled = sample(session, &built);
    if sampled.iter().any(std::result::Result::is_err) {
        let failure = |s: std::result::Result<_, Unusable>| s.err().map(|why| Verdict::unusable("initialise", &why));
        let failures = sampled.into_iter().map(failure).collect();
        return Ok(Attempt::Without { failures, fitted: false });
    }
    #[cfg(feature = "learn")]
    if let TrajectoryKind::Mlp(_) = &options.trajectory {
        let short = |t: &Trial| super::descent::too_short(t.detections.frames);
        let failures: Vec<_> =
            session.trials.iter().map(|t| short(t).map(|why| Verdict::unusable("initialise", &why))).collect();
        if failures.iter().any(Option::is_some) {
            return Ok(Attempt::Without { failures, fitted: false });
        }
    }
    let samples: Vec<_> = sampled.into_iter().flatten().collect();
    let odd: Vec<_> = samples
        .iter()
        .map(|s| of_no_size(&built.problem, s).map(|why| Verdict::unusable("initialise", &why)))
        .collect();
    if odd.iter().any(Option::is_some) {
        return Ok(Attempt::Without { failures: odd, fitted: false });
    }
    let grids: Vec<_> = session.trials.iter().map(|t| knots(t.detections.frames, t.rate_hz, options)).collect();
    let start = initialise(&built.problem, &samples, &grids, options);
    let initialised = begun.elapsed().as_secs_f64();
    run.say(Stage::Pose, 0.1);
    let before = built.problem.pixel_residuals(&start).iter().map(|r| trial_figures(session, r)).collect();
    let solving = Instant::now();
    #[allow(unused_mut)] // There are some only with the feature that fits them.
    let mut networks: Vec<Vec<u8>> = Vec::new();
    let (parameters, converged, shortfall) = match &options.trajectory {
        TrajectoryKind::BSpline => {
            let (parameters, converged) = stages(&mut run, &mut built, start)?;
            (parameters, converged, None)
        }
        #[cfg(feature = "learn")]
        TrajectoryKind::Mlp(network) => {
            let start = match network.start {
                super::NetworkStart::BSpline => stages(&mut run, &mut built, start)?.0,
                _ => start,
            };
            let names: Vec<&str> = session.trials.iter().map(|t| t.name.as_str()).collect();
            let left_out: Vec<LeftOut> = whole
                .trials
                .iter()
                .zip(failed)
                .filter_map(|(t, f)| {
                    Some(LeftOut {
                        trial: t.name.clone(),
                        reason: f.as_ref()?.reason.clone(),
                        stage: f.as_ref()?.stage.clone(),
                        advice: f.as_ref()?.advice.clone(),
                    })
                })
                .collect();
            let done = super::descent::descend(&mut run, &mut built, start, network, (&names, &left_out))?;
            for mlp in &done.networks {
                networks.push(mlp.to_safetensors(&built.problem.mechanism)?);
            }
            (done.parameters, done.converged, done.shortfall)
        }
    };
    let solved = solving.elapsed().as_secs_f64();

    let freed = match options.refine_cameras || run.interrupted {
        true => None,
        false => Some(free_cameras(&mut run, &built, parameters.clone())),
    };

    run.say(Stage::Covariance, 0.9);
    let covariance = Instant::now();
    let problem = &mut built.problem;
    problem.hyper.autocorrelation_frames = problem.autocorrelation_time(&problem.pixel_residuals(&parameters));
    let uncertainty = match options.covariance && options.trajectory.has_priors() && !run.interrupted {
        true => match uncertainty_in(&mut run.workspace, &built.problem, &parameters) {
            Ok(found) => Some(found),
            // Far from any end, nothing may be in view: that is no mistake of the model's.
            Err(_) if shortfall.is_some() => {
                built
                    .warnings
                    .push("There are no standard deviations: this is too far from what the keypoints say.".into());
                None
            }
            Err(e) => {
                let why = Unusable { problem: nothing_holds(&built.problem, &e), advice: NOTHING_HOLDS.into() };
                // What a trial alone does not tell is that trial's.
                if let (Part::Band(bad), 2..) = (e.place, session.trials.len()) {
                    let failure = |i: usize| (i == bad).then(|| Verdict::unusable("covariance", &why));
                    let failures = (0..session.trials.len()).map(failure).collect();
                    return Ok(Attempt::Without { failures, fitted: true });
                }
                return Err(Error::fit("covariance", why.problem, why.advice));
            }
        },
        false => None,
    };
    let (stage, interrupted) = (run.stage.name().to_owned(), run.interrupted);
    let mut fit = session_fit(
        session,
        skeleton.clone(),
        built,
        Finished {
            parameters,
            freed,
            uncertainty,
            before,
            converged,
            shortfall,
            interrupted: run.interrupted,
            resumable: run.resumable,
            stage,
            iterations: run.iterations as usize,
            history: run.history,
        },
    );
    fit.trials.iter_mut().zip(networks).for_each(|(trial, network)| trial.network = Some(network));
    fit.timings.initialise = initialised;
    fit.timings.solve = solved;
    fit.timings.covariance = covariance.elapsed().as_secs_f64();
    let insane: Vec<Option<Verdict>> = fit.trials.iter().map(|t| insane_trial(&t.reprojection)).collect();
    // Where all trials are bad, it is what they share that is: the session says so.
    if insane.iter().any(Option::is_some) && insane.iter().any(Option::is_none) && !interrupted {
        return Ok(Attempt::Without { failures: insane, fitted: true });
    }
    Ok(Attempt::Fitted(Box::new(fit)))
}

const NOTHING_HOLDS: &str = "lock the coordinate, give it a range, or give more keypoints or a narrower prior";

/// Which number has no finite deviation.
fn nothing_holds(problem: &Problem, at: &NonPositivePivot) -> String {
    let dofs = problem.layout.dofs().max(1);
    match at.place {
        Part::Band(_) => {
            let coordinate = problem.layout.coordinates[at.index % dofs];
            let name = &problem.mechanism.skeleton().coordinates[coordinate].name;
            format!("the coordinate `{name}` is neither observed nor held by a prior, so that it has no deviation")
        }
        _ => format!("something that trials share is neither observed nor held by a prior: {at}"),
    }
}

/// Pose → subject → cameras. Returns the parameters and whether the last minimisation converged.
pub(super) fn stages(run: &mut Run, built: &mut Built, start: Parameters) -> Result<(Parameters, bool)> {
    let options = run.options;
    let evidence = match options.refine_cameras {
        true => EvidenceOptions::with_free_cameras(),
        false => EvidenceOptions::default(),
    };
    let problem = &mut built.problem;
    let prior_smoothness = starting_smoothness(problem);

    // Pose and scales, with a noise level that lets everything in.
    update_noise(problem, &start, &evidence);
    let observations: usize = problem.trials.iter().map(|t| t.sightings.count()).sum();
    // A hundredth of a nat for each detection: noise levels that are not estimated yet are worth tens of times that.
    let rough = 1e-2 * observations as f64;
    let mut outcome = run.solve(problem, start, 3, rough, 1e-3);
    update_noise(problem, &outcome.parameters, &evidence);
    run.say(Stage::Subject, 0.25);

    // Everything that will be free.
    problem.free.offsets = options.offsets;
    if options.refine_cameras {
        problem.free.cameras.fill(true);
        run.say(Stage::Cameras, 0.35);
    }
    outcome = run.solve(problem, outcome.parameters, 4, rough, 1e-4);
    if !run.interrupted && recapture(problem, &mut outcome.parameters) {
        update_noise(problem, &outcome.parameters, &evidence);
        outcome = run.solve(problem, outcome.parameters, 4, rough, 1e-4);
    }
    for round in 1..=MAX_ROUNDS {
        if run.interrupted {
            break;
        }
        let old = problem.hyper.sigmas().to_vec();
        update_noise(problem, &outcome.parameters, &evidence);
        let nothing = Free::nothing(problem.rig.len());
        if let Some(told) = observed(&mut run.workspace, problem, &nothing, &outcome.parameters) {
            update_smoothness(problem, &outcome.parameters, &told, &prior_smoothness, &evidence);
            told.recycle(&mut run.workspace);
        }
        run.say(Stage::Cameras, 0.4 + 0.4 * round as f64 / MAX_ROUNDS as f64);
        let settled = round == MAX_ROUNDS || relative_change(&old, problem.hyper.sigmas()) < SETTLED;
        outcome = match settled {
            true => run.finish(problem, outcome.parameters, CONVERGED, outcome.damping),
            false => run.solve(problem, outcome.parameters, 2, 0.1 * rough, outcome.damping),
        };
        if settled {
            break;
        }
    }
    if !outcome.cost.is_finite() {
        return Err(Error::fit(
            "cameras",
            "the objective is not a number",
            "look at the calibration: camera positions and focal lengths must be in metres and pixels",
        ));
    }
    Ok((outcome.parameters, outcome.converged))
}

/// Sets the smoothness that estimates begin from, and are drawn to.
fn starting_smoothness(problem: &mut Problem) -> Vec<f64> {
    for j in 0..problem.hyper.smoothness.len() {
        problem.hyper.smoothness[j] *= problem.smoothness_share(j);
    }
    problem.hyper.smoothness.clone()
}

/// Frees at once all that the options would have free, for solvers without stages; the smoothness to begin from.
#[cfg(feature = "learn")]
pub(super) fn free_everything(problem: &mut Problem, options: &FitOptions) -> Vec<f64> {
    problem.free.offsets = options.offsets;
    problem.free.cameras.fill(options.refine_cameras);
    starting_smoothness(problem)
}

/// Where the cameras would go if they were free: a test of the calibration for a fit that holds them.
fn free_cameras(run: &mut Run, built: &Built, parameters: Parameters) -> Parameters {
    let evidence = EvidenceOptions::with_free_cameras();
    let mut problem = built.problem.clone();
    problem.free.cameras.fill(true);
    let mut parameters = parameters;
    recapture(&problem, &mut parameters);
    run.aside(|run| {
        for _ in 0..3 {
            update_noise(&mut problem, &parameters, &evidence);
            parameters = run.solve(&problem, parameters, 6, 1.0, 1e-4).parameters;
        }
        parameters
    })
}

/// Root mean square of the relative changes.
pub(super) fn relative_change(old: &[f64], new: &[f64]) -> f64 {
    let sum: f64 = old.iter().zip(new).map(|(a, b)| ((b - a) / a).powi(2)).sum();
    (sum / old.len().max(1) as f64).sqrt()
}
