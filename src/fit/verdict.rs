//! How fit and trials ended: what the numbers deserve, apart from how well they fit.

use super::result::{Finished, camera_fits};
use super::{SessionFit, Status, TrialFit};
use crate::math::median;
use crate::quality::{HUMAN_HEIGHT, Reprojection};
use crate::session::{KeypointSet, Session, Unusable, keypoints};
use crate::solve::Problem;

/// Sizes of people's segments relative to a model of an adult, from a child of four to a giant.
const HUMAN_FACTORS: std::ops::Range<f64> = 0.5..1.7;

/// Marker offsets beyond this, root mean square, belong to other markers, metres.
const MAX_OFFSETS: f64 = 0.1;

/// Half of the cameras turned by more than this are no stale cameras but another calibration, degrees.
const MAX_TYPICAL_TURN_DEG: f64 = 4.0;

/// A trial of which half of the detections are farther than this from the model, metres, is not one of this person before these cameras: it is
/// three times what a poor detector before a calibration gone stale gives, and about a person's half width.
const MAX_TRIAL_MM: f64 = 150.0;

/// How a fit or a trial of it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub status: Status,
    pub reason: String,
    /// Where it ended that way; `None` where nothing is wrong.
    pub stage: Option<String>,
    pub advice: Option<String>,
}

impl Verdict {
    fn new(status: Status, stage: &str, reason: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { status, reason: reason.into(), stage: Some(stage.into()), advice: Some(advice.into()) }
    }

    pub fn failed(stage: &str, reason: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(Status::Failed, stage, reason, advice)
    }

    /// A trial that cannot be fitted at all.
    pub fn unusable(stage: &str, why: &Unusable) -> Self {
        Self::failed(stage, &why.problem, &why.advice)
    }
}

/// Why a fit that could go no further is not at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shortfall {
    pub reason: String,
    pub advice: String,
}

/// What the parameters that all trials share deserve; `after` are the figures of each trial.
pub(super) fn verdict(
    done: &Finished,
    problem: &Problem,
    after: &[Reprojection],
    height_m: Option<f64>,
    set: &KeypointSet,
) -> Verdict {
    let ended = ended(done, after);
    match (insane_fit(done, problem, after, height_m, set), &done.shortfall) {
        (None, _) => ended,
        // What has not come to its end proves nothing of calibration and keypoints.
        (Some(_), Some(_)) if ended.status == Status::Failed => ended,
        (Some(insane), None) if ended.status == Status::Failed => {
            Verdict { reason: format!("{}; {}", ended.reason, insane.reason), ..ended }
        }
        (Some(insane), None) => insane,
        (Some(insane), Some(Shortfall { reason, advice })) => {
            Verdict::failed("sanity", format!("{}; {reason}", insane.reason), advice)
        }
    }
}

/// How the solver ended.
fn ended(done: &Finished, after: &[Reprojection]) -> Verdict {
    if done.converged && !done.interrupted {
        let reason = "the objective can fall no further".into();
        return Verdict { status: Status::Converged, reason, stage: None, advice: None };
    }
    let short = match (&done.shortfall, done.interrupted) {
        (_, true) => Shortfall {
            reason: "stopped on request before convergence".into(),
            advice: match done.resumable {
                true => "go on from where it was with --resume, and let it end",
                false => "fit again and let it end",
            }
            .into(),
        },
        (Some(short), _) => short.clone(),
        (None, _) => Shortfall {
            reason: "stopped before convergence, at the iteration limit or where no step lowered the objective further"
                .into(),
            advice: "look at the warnings and at the page's errors by camera and keypoint before you rely on it".into(),
        },
    };
    let (before, now) = (typical_px(&done.before), typical_px(after));
    if now >= before {
        let reason = format!(
            "no better than its first guess (a median error of {now:.1} px, {before:.1} px there): {}",
            short.reason
        );
        return Verdict::failed(&done.stage, reason, short.advice);
    }
    let reason = if done.interrupted { format!("{}; the best so far", short.reason) } else { short.reason };
    Verdict::new(Status::Usable, &done.stage, reason, short.advice)
}

/// Mean over all trials of the median error, weighted by their detections, pixels.
fn typical_px(trials: &[Reprojection]) -> f64 {
    let sum = |of: fn(&Reprojection) -> f64| trials.iter().map(of).sum::<f64>();
    sum(|t| t.all.observations as f64 * t.all.median_px) / sum(|t| t.all.observations as f64).max(1.0)
}

/// What no person can be.
fn insane_fit(
    done: &Finished,
    problem: &Problem,
    after: &[Reprojection],
    height_m: Option<f64>,
    set: &KeypointSet,
) -> Option<Verdict> {
    let insane = |reason: String, advice: &str| Verdict::failed("sanity", reason, advice);
    let factors = problem.all_scales(&done.parameters);
    let outside = |f: &&f64| !HUMAN_FACTORS.contains(f);
    if let Some((b, f)) = factors.0.iter().enumerate().find_map(|(b, f)| f.iter().find(outside).map(|f| (b, *f))) {
        let body = &problem.mechanism.skeleton().bodies[b].name;
        return Some(insane(
            format!("the segment `{body}` came out {f:.2} times the model's, which no person's is"),
            &format!("{}, the calibration and its unit, and whether all cameras see the same person", look_at_set(set)),
        ));
    }
    let offsets = &done.parameters.offsets;
    let rms = (offsets.iter().map(|o| o.norm_squared()).sum::<f64>() / offsets.len().max(1) as f64).sqrt();
    if rms > MAX_OFFSETS {
        let mm = 1e3 * rms;
        return Some(insane(
            format!(
                "markers had to be moved by {mm:.0} mm (root mean square) to fit; they are not the keypoints of this set"
            ),
            &format!("{} and at the model's marker set", look_at_set(set)),
        ));
    }
    // The rig as a whole is known: when most cameras had to turn far, the calibration is not that of these images.
    let mut turns: Vec<f64> =
        camera_fits(problem, &done.parameters, None).iter().map(|c| c.rotation_change_deg).collect();
    let typical = median(&mut turns).unwrap_or(0.0);
    if typical > MAX_TYPICAL_TURN_DEG {
        return Some(insane(
            format!(
                "most cameras had to be turned by {typical:.0}° or more: the calibration does not belong to these images"
            ),
            "look at the images' size against the calibration's, and at the order of the cameras",
        ));
    }
    if let Some(height_m) = height_m.filter(|h| !HUMAN_HEIGHT.contains(h)) {
        return Some(insane(
            format!("the fitted body is {height_m:.2} m tall, which no person is"),
            "look at the calibration's unit and at whether all cameras see the same person",
        ));
    }
    // Where all trials are bad, it is what they share that is.
    let mut trials = after.iter().map(insane_trial);
    let first = trials.next()??;
    trials.all(|t| t.is_some()).then_some(first)
}

/// Numbers do not tell which of two sets they are of.
fn look_at_set(set: &KeypointSet) -> String {
    let mut others = keypoints::names_with(set.points.len());
    others.retain(|name| *name != set.name);
    match others.is_empty() {
        true => "look at the keypoint set".into(),
        false => format!("look at the keypoint set (it was {}; {} has as many points)", set.name, others.join(" or ")),
    }
}

/// What is wrong with a fitted trial itself, by its errors.
pub(super) fn insane_trial(reprojection: &Reprojection) -> Option<Verdict> {
    let mm = reprojection.all.median_mm;
    (mm > MAX_TRIAL_MM).then(|| {
        Verdict::failed(
            "sanity",
            format!("half of its detections lie {mm:.0} mm or more from the model, which is no fit"),
            "look at whether its cameras were those of the calibration, in step, and saw the subject; or take the trial away",
        )
    })
}

/// Puts the trials that could not be fitted into their places, and says so. `failures` has an entry for each trial of the session.
pub(super) fn with_failures(fit: &mut SessionFit, session: &Session, failures: Vec<Option<Verdict>>) {
    let mut fitted = std::mem::take(&mut fit.trials).into_iter();
    let mut warnings = Vec::new();
    for (trial, failure) in session.trials.iter().zip(failures) {
        let Some(verdict) = failure else {
            fit.trials.extend(fitted.next());
            continue;
        };
        let advice = verdict.advice.as_deref().unwrap_or_default();
        warnings.push(format!("Trial {} failed and was left out: {}; {advice}.", trial.name, verdict.reason));
        let Verdict { reason, stage, advice, .. } = verdict;
        fit.trials.push(TrialFit::failed(&trial.name, trial.rate_hz, trial.first_frame, reason, stage, advice));
    }
    fit.warnings.splice(0..0, warnings);
}
