//! What was left to gain where a descent ended, held against the second-order solver.

use crate::fit::build::Built;
use crate::fit::options::{NetworkOptions, NetworkStart};
use crate::fit::run::Run;
use crate::fit::stages::stages;
use crate::fit::verdict::Shortfall;
use crate::fit::{FitOptions, Optimizer};
use crate::math::median;
use crate::quality::COUNTED_CONFIDENCE;
use crate::solve::{Free, Hyperparameters, Parameters, Problem};

/// A descent has come to its end where the second-order solver, from there and from the first guess, comes to errors that are lower by less than this share.
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
    /// The same, and it would have gone on if it had had the steps.
    TooFewSteps,
    LastStep,
    /// No step at all, or away at any rate.
    GaveUp,
}

/// Errors of reprojection, counted as reports do, pixels. The mean alone is that of what no pose explains where there is much of that, the median alone that of the better half.
#[derive(Debug, Clone, Copy)]
pub(super) struct Errors {
    median: f64,
    mean: f64,
}

impl Errors {
    /// Of all trials together.
    pub fn new(problem: &Problem, parameters: &Parameters) -> Self {
        let residuals = problem.pixel_residuals(parameters);
        let counted = residuals.iter().flatten().filter(|r| r.weight >= COUNTED_CONFIDENCE);
        let mut errors: Vec<f64> = counted.map(|r| r.error_px.norm()).collect();
        let mean = errors.iter().sum::<f64>() / errors.len().max(1) as f64;
        Self { median: median(&mut errors).unwrap_or(0.0), mean }
    }

    /// Both in one number, by which fits with different noise levels can be compared.
    pub fn size(&self) -> f64 {
        (self.median * self.mean).sqrt()
    }

    fn reach(&self, there: &Self) -> bool {
        self.median <= (1.0 + LEFT) * there.median && self.mean <= (1.0 + LEFT) * there.mean
    }
}

impl std::fmt::Display for Errors {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{:.1} px (half of the detections) and {:.1} px (mean)", self.median, self.mean)
    }
}

/// Another way to the end.
pub(super) enum Elsewhere {
    /// From what the B-spline's fit begins with.
    Guess(Box<(Parameters, Free, Hyperparameters)>),
    /// Where that fit ended; `None` where it breaks down.
    Fitted(Option<Parameters>),
}

impl Elsewhere {
    /// Where it leads: fitted once, then remembered.
    fn fitted(&mut self, aside: &mut Run, built: &mut Built) -> Option<Parameters> {
        if let Self::Guess(guess) = self {
            let (start, free, hyper) = (**guess).clone();
            let problem = &mut built.problem;
            let (free, hyper) =
                (std::mem::replace(&mut problem.free, free), std::mem::replace(&mut problem.hyper, hyper));
            let fitted = stages(aside, built, start).map(|(fitted, _)| fitted);
            (built.problem.free, built.problem.hyper) = (free, hyper);
            *self = Self::Fitted(fitted.ok());
        }
        match self {
            Self::Fitted(fitted) => fitted.clone(),
            Self::Guess(_) => None,
        }
    }
}

/// What the second-order solver makes of where a descent has come to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    /// Of the network.
    pub here: Errors,
    /// From there on.
    nearby: Errors,
    /// From the first guess: with its own noise levels, or with those of the network where that is better, for noise that was estimated far from the end makes everything look alike.
    elsewhere: Option<Errors>,
    /// By how much lower the objective is from the first guess than nearby, nats.
    lower: f64,
}

/// What there is left to gain: rates that have faded, and steps that are used up, say little of that. `None` where it was asked to stop.
pub(super) fn held(
    run: &mut Run,
    built: &mut Built,
    parameters: &Parameters,
    elsewhere: &mut Elsewhere,
) -> Option<Held> {
    let here = Errors::new(&built.problem, parameters);
    let quiet = FitOptions { progress: None, ..run.options.clone() };
    let mut aside = Run::new(&quiet);
    let nearby = aside.finish(&built.problem, parameters.clone(), SETTLED, 1e-3);
    let fitted = elsewhere.fitted(&mut aside, built);
    let own = fitted.as_ref().map(|fitted| Errors::new(&built.problem, fitted));
    // With the noise levels and smoothness that the network ended at: the objective of both.
    let there = fitted.map(|fitted| aside.finish(&built.problem, fitted, SETTLED, 1e-3));
    if aside.interrupted {
        run.interrupted = true;
        return None;
    }
    let lower = there.as_ref().map_or(0.0, |there| nearby.cost - there.cost);
    let there = there.map(|there| Errors::new(&built.problem, &there.parameters));
    let nearby = Errors::new(&built.problem, &nearby.parameters);
    tracing::debug!(
        "errors here {here}, from here on {nearby}, from the first guess {own:?}, {there:?}; the objective lower there by {lower:.1}"
    );
    let elsewhere = own.into_iter().chain(there).min_by(|a, b| a.size().total_cmp(&b.size()));
    Some(Held { here, nearby, elsewhere, lower })
}

impl Held {
    /// Whether there is more to gain without going elsewhere.
    pub fn more_nearby(&self) -> bool {
        !self.here.reach(&self.nearby)
    }

    /// What keeps a descent that ended like this from being at its end.
    pub fn shortfall(&self, options: &NetworkOptions, end: End) -> Option<Shortfall> {
        let here = &self.here;
        // The best there is to be had, and whence.
        let (best, whence) = match &self.elsewhere {
            Some(there) if there.size() < self.nearby.size() => (there, "the first guess"),
            _ => (&self.nearby, "there"),
        };
        let from = match options.start {
            NetworkStart::BSpline if whence != "there" => "the B-spline's fit, at which it began,".to_owned(),
            _ => format!("the second-order solver, from {whence},"),
        };
        let comes = format!("{from} comes to {best}, the network to {here}");
        let elsewhere = self.elsewhere.as_ref().is_none_or(|there| here.reach(there));
        let nearby = !self.more_nearby();
        let reason = match end {
            End::Rest | End::TooFewSteps if nearby && elsewhere && self.lower <= ANOTHER => return None,
            End::Rest if nearby && elsewhere => format!(
                "the descent came to rest in another minimum: the second-order solver, from the first guess, comes to an objective lower by {:.0} nats at as small an error",
                self.lower
            ),
            End::Rest if nearby => format!("the descent came to rest in another minimum: {comes}"),
            End::Rest => format!("the descent came to rest before there was nothing left to gain: {comes}"),
            End::TooFewSteps => {
                format!("the descent came to rest with too few steps left to go on from there: {comes}")
            }
            End::LastStep | End::GaveUp => {
                let stopped = if end == End::LastStep { "was at its last step" } else { "could not go on" };
                let before = if nearby && elsewhere { "" } else { " before there was nothing left to gain" };
                format!("the descent {stopped}{before}: {comes}")
            }
        };
        Some(Shortfall { reason, advice: advice(options, end).into() })
    }
}

/// What to change.
fn advice(options: &NetworkOptions, end: End) -> &'static str {
    let usual = NetworkOptions { start: options.start.clone(), ..NetworkOptions::default() };
    let other_rate = options.network_rate() != usual.network_rate();
    match (end, options.optimizer, &options.start) {
        (End::LastStep | End::TooFewSteps, Optimizer::Adam, _) if other_rate => {
            "leave out --learning-rate, or go on with --resume and more --steps"
        }
        (End::LastStep | End::TooFewSteps, ..) => {
            "go on with --resume and more --steps, or fit with --trajectory bspline"
        }
        (_, Optimizer::Lbfgs, _) => "leave out --optimizer lbfgs, or fit with --trajectory bspline",
        (End::GaveUp, ..) => "give a lower --learning-rate, or fit with --trajectory bspline",
        (End::Rest, ..) if other_rate => "leave out --learning-rate, or fit with --trajectory bspline",
        (End::Rest, ..) if options.mini_batch.is_some() => {
            "leave out --batch or give more frames, or fit with --trajectory bspline"
        }
        (End::Rest, _, NetworkStart::Random | NetworkStart::Saved(_)) => {
            "begin at the first guess (leave out --warm-start), or fit with --trajectory bspline"
        }
        (End::Rest, _, NetworkStart::Guess) => {
            "fit with --trajectory bspline, or begin elsewhere (--warm-start bspline or random, another --seed)"
        }
        (End::Rest, _, NetworkStart::BSpline) => "fit with --trajectory bspline",
    }
}
