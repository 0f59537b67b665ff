//! What was left to gain where a descent ended, held against the second-order solver.

use super::detections;
use crate::fit::build::Built;
use crate::fit::options::{NetworkOptions, NetworkStart};
use crate::fit::run::Run;
use crate::fit::stages::stages;
use crate::fit::verdict::Shortfall;
use crate::fit::{FitOptions, Optimizer};
use crate::quality::COUNTED_CONFIDENCE;
use crate::solve::{Free, Hyperparameters, Parameters, Problem};

/// A descent has come to its end where the second-order solver, from there and from the first guess, comes to a mean error that is lower by less than this share.
const LEFT: f64 = 0.03;

/// How a descent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Rates have faded, or no step lowers the objective.
    Rest,
    LastStep,
    /// No step at all, or away at any rate.
    GaveUp,
}

/// What there was left to gain where a descent ended: rates that have faded, and steps that are used up, say little of that. `guess` is what the B-spline's fit begins with.
pub(super) fn shortfall(
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

/// Mean reprojection error, counted as reports do.
fn mean_px(problem: &Problem, parameters: &Parameters) -> f64 {
    let residuals = problem.pixel_residuals(parameters);
    let counted = || residuals.iter().flatten().filter(|r| r.weight >= COUNTED_CONFIDENCE);
    counted().map(|r| r.error_px.norm()).sum::<f64>() / counted().count().max(1) as f64
}
