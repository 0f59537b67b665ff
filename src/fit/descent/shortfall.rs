//! What was left to gain where a descent ended, held against the second-order solver.

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

/// By so much lower, in nats, the objective is in another minimum: odds of twenty thousand to one.
const ANOTHER: f64 = 10.0;

/// Decrement at which both are compared, nats.
const SETTLED: f64 = 0.5;

/// How a descent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Rates have faded, or no step lowers the objective.
    Rest,
    LastStep,
    /// No step at all, or away at any rate.
    GaveUp,
}

/// What the second-order solver makes of where a descent has come to. Mean reprojection errors in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    /// Of the network.
    pub here: f64,
    /// From there on.
    nearby: f64,
    /// From the first guess.
    elsewhere: f64,
    /// By how much lower the objective is from the first guess than nearby, nats.
    lower: f64,
}

/// What there is left to gain: rates that have faded, and steps that are used up, say little of that. `guess` is what the B-spline's fit begins with. `None` where it was asked to stop.
pub(super) fn held(
    run: &mut Run,
    built: &mut Built,
    parameters: &Parameters,
    guess: &(Parameters, Free, Hyperparameters),
    options: &NetworkOptions,
) -> Option<Held> {
    let here = mean_px(&built.problem, parameters);
    let quiet = FitOptions { progress: None, ..run.options.clone() };
    let mut aside = Run::new(&quiet);
    let nearby = aside.finish(&built.problem, parameters.clone(), SETTLED, 1e-3);
    let (start, free, hyper) = guess.clone();
    let elsewhere = match options.start {
        NetworkStart::BSpline => Some(start),
        NetworkStart::Random | NetworkStart::Guess | NetworkStart::Saved(_) => {
            let problem = &mut built.problem;
            let (free, hyper) =
                (std::mem::replace(&mut problem.free, free), std::mem::replace(&mut problem.hyper, hyper));
            let fitted = stages(&mut aside, built, start).map(|(fitted, _)| fitted);
            (built.problem.free, built.problem.hyper) = (free, hyper);
            fitted.ok()
        }
    };
    // With the noise levels and smoothness that the network ended at: the objective of both.
    let elsewhere = elsewhere.map(|fitted| aside.finish(&built.problem, fitted, SETTLED, 1e-3));
    if aside.interrupted {
        run.interrupted = true;
        return None;
    }
    let lower = elsewhere.as_ref().map_or(0.0, |there| nearby.cost - there.cost);
    let elsewhere = elsewhere.map_or(f64::INFINITY, |there| mean_px(&built.problem, &there.parameters));
    let nearby = mean_px(&built.problem, &nearby.parameters);
    tracing::debug!(
        here,
        nearby,
        elsewhere,
        lower,
        "mean errors, and by how much the objective is lower from the first guess"
    );
    Some(Held { here, nearby, elsewhere, lower })
}

impl Held {
    fn reached(&self, there: f64) -> bool {
        self.here <= (1.0 + LEFT) * there
    }

    /// Whether there is more to gain without going elsewhere.
    pub fn more_nearby(&self) -> bool {
        !self.reached(self.nearby)
    }

    /// What keeps a descent that ended like this from being at its end.
    pub fn shortfall(&self, options: &NetworkOptions, end: End) -> Option<Shortfall> {
        let Self { here, nearby, elsewhere, lower } = *self;
        let px = |there: f64| format!("comes to a mean error of {there:.1} px, the network to {here:.1}");
        let reason = match end {
            End::Rest if self.reached(nearby) && !self.reached(elsewhere) => format!(
                "the descent came to rest in another minimum: the second-order solver, from the first guess, {}",
                px(elsewhere)
            ),
            End::Rest if self.reached(nearby) && lower > ANOTHER => format!(
                "the descent came to rest in another minimum: the second-order solver, from the first guess, comes to an objective lower by {lower:.0} nats at as small an error"
            ),
            End::Rest if self.reached(nearby) => return None,
            End::Rest => format!(
                "the descent came to rest before there was nothing left to gain: the second-order solver, from {}, {}",
                if nearby <= elsewhere { "there" } else { "the first guess" },
                px(nearby.min(elsewhere))
            ),
            End::LastStep | End::GaveUp => {
                let stopped = if end == End::LastStep { "was at its last step" } else { "could not go on" };
                let before = match self.reached(nearby.min(elsewhere)) {
                    true => ": the second-order solver, from there,",
                    false => " before there was nothing left to gain: the second-order solver",
                };
                let there = if self.reached(nearby.min(elsewhere)) { nearby.min(here) } else { nearby.min(elsewhere) };
                format!("the descent {stopped}{before} {}", px(there))
            }
        };
        let other_rate = options.rates.network != NetworkOptions::default().rates.network;
        let advice = match (end, options.optimizer) {
            (End::LastStep, Optimizer::Adam) if other_rate => {
                "leave out --learning-rate, or go on with --resume and more --steps"
            }
            (End::LastStep, _) => "go on with --resume and more --steps, or fit with --trajectory bspline",
            (_, Optimizer::Lbfgs) => "leave out --optimizer lbfgs, or fit with --trajectory bspline",
            (End::GaveUp, _) => "give a lower --learning-rate, or fit with --trajectory bspline",
            (End::Rest, _) if other_rate => "leave out --learning-rate",
            (End::Rest, _) if options.mini_batch.is_some() => {
                "leave out --batch or give more frames, or fit with --trajectory bspline"
            }
            (End::Rest, _) if options.start == NetworkStart::Random => {
                "begin at the first guess (leave out --warm-start random), or fit with --trajectory bspline"
            }
            (End::Rest, _) => {
                "begin at the B-spline's fit (--warm-start bspline), try another --seed, or fit with --trajectory bspline"
            }
        };
        Some(Shortfall { reason, advice: advice.into() })
    }
}

/// Mean reprojection error, counted as reports do.
fn mean_px(problem: &Problem, parameters: &Parameters) -> f64 {
    let residuals = problem.pixel_residuals(parameters);
    let counted = || residuals.iter().flatten().filter(|r| r.weight >= COUNTED_CONFIDENCE);
    counted().map(|r| r.error_px.norm()).sum::<f64>() / counted().count().max(1) as f64
}
