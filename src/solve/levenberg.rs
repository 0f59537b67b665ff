//! Levenberg–Marquardt on the arrow system, as an argmin [`Solver`].
//!
//! ```text
//! (H + μ·diag H)·δ = −g,      accepted when the cost falls by a fraction of what the quadratic model promised
//! ```
//!
//! with Nielsen's rule for μ (Madsen, Nielsen & Tingleff 2004, *Methods for non-linear least squares problems*, §3.2), but after a step that gained
//! just what it promised μ falls with the error of that promise: what is weakly told would otherwise be held back for iterations in which nothing else moves. The stop test is the Newton
//! decrement `½·gᵀ·H⁻¹·g`: how far the cost can still fall. The cost being a negative log posterior, a decrement of 10⁻² is a distance of 0.14
//! standard deviations from the minimum in the space of all parameters together, below anything that is reported. The decrement after a step need not be computed where the
//! step tells it: assumed to fall by the same factor again (Hairer & Wanner 1996, *Solving ordinary differential equations II*, §IV.8, of Newton steps of another kind), it must be far below
//! what matters. Many slow directions may belie that, so the gain must agree, too: where the matrix exceeds the Hessian by shares `κ` of a direction, the gain differs from its promise by
//! the mean of `κ`, weighed as the promise, and what is left is the mean of `κ²`, which is less.

use super::bend::bend;
use super::linearise::{Linearisation, Workspace, linearise_in};
use super::problem::{Information, Parameters, Problem};
use crate::math::arrow::{Arrow, Band};
use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{Executor, IterState, KV, Solver, State, TerminationReason, TerminationStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// argmin's state for this solver.
pub type LmState = IterState<Parameters, (), (), (), (), f64>;

/// A flag that asks a running solver to stop after the current iteration. The command owns one; the solvers read it.
pub type StopFlag = Arc<AtomicBool>;

/// Called after each iteration with the number of iterations and the cost.
pub type Progress = Arc<dyn Fn(u64, f64) + Send + Sync>;

/// How to solve.
#[derive(Clone)]
pub struct SolveOptions {
    /// Most iterations.
    pub max_iterations: u64,
    /// Stop when the cost can still fall by less than this.
    pub decrement: f64,
    /// First value of μ.
    pub damping: f64,
    /// Whether the start is near the minimum already. The matrix then has the losses' mean curvature, with which steps gain what they promise, and not that of parabolas above them,
    /// which may be followed from afar but makes every step some tenths too short.
    pub near: bool,
    /// Time limit.
    pub timeout: Option<Duration>,
    /// Asks to stop.
    pub stop: Option<StopFlag>,
    /// Told of every iteration.
    pub progress: Option<Progress>,
}

impl Default for SolveOptions {
    fn default() -> Self {
        Self {
            max_iterations: 50,
            decrement: 1e-2,
            damping: 1e-4,
            near: false,
            timeout: None,
            stop: None,
            progress: None,
        }
    }
}

/// How it ended.
#[derive(Debug, Clone)]
pub struct SolveOutcome {
    /// The best parameters seen.
    pub parameters: Parameters,
    /// Their cost.
    pub cost: f64,
    /// Iterations.
    pub iterations: u64,
    /// Whether the decrement test was met, or is known to be.
    pub converged: bool,
    /// Whether the stop flag ended it.
    pub interrupted: bool,
    /// Last damping, to continue with.
    pub damping: f64,
    /// Cost after each iteration.
    pub history: Vec<f64>,
}

/// The solver.
pub struct LevenbergMarquardt {
    options: SolveOptions,
    damping: f64,
    growth: f64,
    /// What the step before promised, if it kept that.
    kept: Option<f64>,
    finished: Option<TerminationReason>,
    history: Vec<f64>,
    /// Normal equations at the current parameters. A candidate is judged by linearising it, which is what the next iteration needs when it is accepted, as it nearly always is;
    /// one after which no further iteration is expected, by its cost alone.
    current: Option<Linearisation>,
    workspace: Workspace,
}

/// Beyond this damping no step helps: the parameters are as good as rounding allows.
const MAX_DAMPING: f64 = 1e12;

/// How far from 1 the gain of a step that kept its promise is to what it promised.
const NEARLY: f64 = 0.1;

/// One good step says no more of the next than that damping may fall by this factor.
const LARGEST_DECAY: f64 = 1e-3;

impl LevenbergMarquardt {
    /// A solver with these options.
    pub fn new(options: SolveOptions) -> Self {
        Self {
            damping: options.damping,
            growth: 2.0,
            kept: None,
            finished: None,
            history: Vec::new(),
            current: None,
            workspace: Workspace::default(),
            options,
        }
    }

    /// The same in the memory of an earlier one.
    fn with_workspace(options: SolveOptions, workspace: &mut Workspace) -> Self {
        Self { workspace: std::mem::take(workspace), ..Self::new(options) }
    }

    /// Its memory.
    fn into_workspace(mut self) -> Workspace {
        if let Some(unused) = self.current {
            self.workspace.recycle(unused.arrow.bands);
        }
        self.workspace
    }
}

impl Solver<&Problem, LmState> for LevenbergMarquardt {
    fn name(&self) -> &str {
        "Levenberg-Marquardt (arrow)"
    }

    fn init(
        &mut self,
        problem: &mut argmin::core::Problem<&Problem>,
        state: LmState,
    ) -> Result<(LmState, Option<KV>), argmin::core::Error> {
        let Some(parameters) = state.get_param().cloned() else {
            return Err(argmin::core::ArgminError::NotInitialized { text: "parameters are not set".into() }.into());
        };
        let here = problem.problem("linearise_count", |p| Ok(self.linearise(p, &parameters)))?;
        let cost = here.cost;
        self.current = Some(here);
        Ok((state.param(parameters).cost(cost), None))
    }

    fn next_iter(
        &mut self,
        problem: &mut argmin::core::Problem<&Problem>,
        mut state: LmState,
    ) -> Result<(LmState, Option<KV>), argmin::core::Error> {
        let cost = state.get_cost();
        let Some(parameters) = state.take_param() else {
            return Err(argmin::core::ArgminError::NotInitialized { text: "parameters are lost".into() }.into());
        };
        let mut decrement = f64::NAN;
        let mut accepted = None;
        while accepted.is_none() && self.finished.is_none() {
            let here = match self.current.take() {
                Some(l) => l,
                None => problem.problem("linearise_count", |p| Ok(self.linearise(p, &parameters)))?,
            };
            let Some(mut step) = damped_step(here.arrow, self.damping) else {
                self.reject();
                continue;
            };
            self.workspace.recycle(std::mem::take(&mut step.storage));
            decrement = step.predicted;
            let mut candidate = parameters.clone();
            problem.problem("retract_count", |p| {
                candidate.retract(p, &step.bands, &step.border);
                // Once only: what was rejected may have been so for its bend.
                if self.growth == 2.0 {
                    candidate.follow(p, &parameters, &step);
                }
                Ok(())
            })?;
            let promised_little = step.predicted < self.options.decrement;
            let leaves_nothing = self.leaves_nothing(step.predicted);
            let last = promised_little || leaves_nothing || state.get_iter() + 1 >= self.options.max_iterations;
            let (new, there) = if last {
                (problem.problem("cost_count", |p| Ok(p.cost(&candidate)))?, None)
            } else {
                let there = problem.problem("linearise_count", |p| Ok(self.linearise(p, &candidate)))?;
                (there.cost, Some(there))
            };
            let ratio = (cost - new) / step.predicted;
            if new.is_finite() && ratio > 1e-4 {
                let kept = (ratio - 1.0).abs() < NEARLY;
                self.damping = (self.damping * decay(ratio)).max(1e-12);
                self.growth = 2.0;
                self.kept = kept.then_some(step.predicted);
                accepted = Some((candidate, new));
                self.current = there;
                // A step shortened by damping may promise little far from the minimum.
                let unforeseen = (ratio - 1.0).abs() * step.predicted;
                if promised_little && self.damping < 1.0
                    || leaves_nothing && kept && unforeseen < self.options.decrement
                {
                    self.finished = Some(TerminationReason::SolverConverged);
                }
            } else {
                if let Some(unused) = there {
                    self.workspace.recycle(unused.arrow.bands);
                }
                if promised_little {
                    // Nothing left to gain but rounding.
                    self.finished = Some(TerminationReason::SolverConverged);
                } else {
                    self.reject();
                }
            }
            if self.options.stop.as_ref().is_some_and(|s| s.load(Ordering::Relaxed)) {
                self.finished = Some(TerminationReason::Interrupt);
            }
        }
        let (parameters, cost) = accepted.unwrap_or((parameters, cost));
        self.history.push(cost);
        Ok((
            state.param(parameters).cost(cost),
            Some(argmin::kv!("damping" => self.damping; "decrement" => decrement;)),
        ))
    }

    fn terminate(&mut self, _state: &LmState) -> TerminationStatus {
        match &self.finished {
            Some(reason) => TerminationStatus::Terminated(reason.clone()),
            None => TerminationStatus::NotTerminated,
        }
    }
}

impl LevenbergMarquardt {
    fn linearise(&mut self, problem: &Problem, parameters: &Parameters) -> Linearisation {
        let information = if self.options.near { Information::Observed } else { Information::Step };
        linearise_in(&mut self.workspace, problem, &problem.free, parameters, information)
    }

    /// Whether a step that promises `predicted`, and keeps that, will have left less than is worth another.
    fn leaves_nothing(&self, predicted: f64) -> bool {
        /// By how much better than needed two steps have to converge to be believed.
        const SAFETY: f64 = 10.0;
        /// Beyond this damping promises are its own, and not the data's.
        const UNDAMPED: f64 = 1e-8;
        let next = self.kept.map_or(f64::INFINITY, |before| predicted * (predicted / before));
        self.damping <= UNDAMPED && SAFETY * next < self.options.decrement
    }

    fn reject(&mut self) {
        self.kept = None;
        self.damping = (self.damping * self.growth).max(1e-8);
        self.growth *= 2.0;
        if self.damping > MAX_DAMPING {
            self.finished = Some(TerminationReason::SolverExit("no step reduces the cost".into()));
        }
    }
}

/// What damping is multiplied with after a step that gained `ratio` of what it promised: Nielsen's rule, and where the model held to a few percent, in proportion to its error.
fn decay(ratio: f64) -> f64 {
    let least = (4.0 * (ratio - 1.0).abs()).clamp(LARGEST_DECAY, 1.0 / 5.0);
    (1.0 - (2.0 * ratio - 1.0).powi(3)).max(least)
}

impl Parameters {
    /// Bends a step from `start` where offsets are free: see [`bend`](super::bend).
    fn follow(&mut self, problem: &Problem, start: &Parameters, step: &Step) {
        let free = problem.border().offsets;
        if free.iter().flatten().next().is_none() {
            return;
        }
        let mut behind = start.clone();
        let back: Vec<Vec<f64>> = step.bands.iter().map(|b| b.iter().map(|x| -x).collect()).collect();
        let border: Vec<f64> = step.border.iter().map(|x| -x).collect();
        behind.retract(problem, &back, &border);
        let bends = bend(problem, start, self, &behind);
        for (slot, first) in free.iter().enumerate() {
            let Some(first) = *first else { continue };
            // As far as the data and not the prior hold it where it is.
            let prior = problem.priors.offset_sd[slot].powi(-2);
            for i in 0..3 {
                let share = (1.0 - prior / step.border_information[first + i]).clamp(0.0, 1.0);
                self.offsets[slot][i] -= share * bends[slot][i];
            }
        }
    }
}

struct Step {
    bands: Vec<Vec<f64>>,
    border: Vec<f64>,
    /// Diagonal of the border's own normal matrix, undamped.
    border_information: Vec<f64>,
    predicted: f64,
    /// The factor's memory.
    storage: Vec<Band>,
}

/// The damped step and the decrease the quadratic model promises; `None` where the matrix is not positive definite.
fn damped_step(mut arrow: Arrow, damping: f64) -> Option<Step> {
    let columns = arrow.columns();
    let rhs: Vec<Vec<f64>> = arrow.bands.iter().map(|b| b.rhs.clone()).collect();
    let rhs_border = arrow.corner_rhs.clone();
    let mut added: Vec<Vec<f64>> = Vec::new();
    for band in &mut arrow.bands {
        let n = band.matrix.block;
        let mut extra = Vec::with_capacity(band.matrix.order());
        for r in 0..band.matrix.order() {
            let d = band.matrix.at_mut(r / n, r / n, r % n, r % n);
            extra.push(damping * *d);
            *d += damping * *d;
        }
        added.push(extra);
    }
    let border_information: Vec<f64> = (0..columns).map(|c| arrow.corner[c * columns + c]).collect();
    let added_border: Vec<f64> = border_information.iter().map(|d| damping * d).collect();
    for (c, added) in added_border.iter().enumerate() {
        arrow.corner[c * columns + c] += added;
    }
    let factor = arrow.factor().ok()?;
    let solution = factor.solve();
    // ½·δᵀ(μDδ + b), b = −g.
    let share = |x: &[f64], d: &[f64], b: &[f64]| -> f64 {
        x.iter().zip(d).zip(b).map(|((x, d), b)| 0.5 * x * (d * x + b)).sum()
    };
    let mut predicted = share(&solution.border, &added_border, &rhs_border);
    for (i, x) in solution.bands.iter().enumerate() {
        predicted += share(x, &added[i], &rhs[i]);
    }
    let storage = factor.into_bands();
    let (bands, border) = (solution.bands, solution.border);
    predicted.is_finite().then_some(Step { bands, border, border_information, predicted, storage })
}

struct Report(Progress);

impl Observe<LmState> for Report {
    fn observe_iter(&mut self, state: &LmState, _kv: &KV) -> Result<(), argmin::core::Error> {
        (self.0)(state.get_iter() + 1, state.get_cost());
        Ok(())
    }
}

/// Minimises the problem from `start`. The best parameters are returned however it ends.
pub fn solve(problem: &Problem, start: Parameters, options: &SolveOptions) -> SolveOutcome {
    solve_in(&mut Workspace::default(), problem, start, options)
}

/// The same in memory that is kept from one problem to the next.
pub fn solve_in(
    workspace: &mut Workspace,
    problem: &Problem,
    start: Parameters,
    options: &SolveOptions,
) -> SolveOutcome {
    let mut executor = Executor::new(problem, LevenbergMarquardt::with_workspace(options.clone(), workspace))
        .configure(|s: LmState| s.param(start.clone()).max_iters(options.max_iterations))
        .timer(options.timeout.is_some());
    if let Some(t) = options.timeout {
        executor = executor.timeout(t);
    }
    if let Some(p) = &options.progress {
        executor = executor.add_observer(Report(p.clone()), ObserverMode::Always);
    }
    match executor.run() {
        Ok(mut result) => {
            let reason = result.state.get_termination_reason().cloned();
            let (damping, history) = (result.solver.damping, std::mem::take(&mut result.solver.history));
            *workspace = result.solver.into_workspace();
            SolveOutcome {
                cost: result.state.get_best_cost(),
                iterations: result.state.get_iter(),
                converged: reason == Some(TerminationReason::SolverConverged),
                interrupted: reason == Some(TerminationReason::Interrupt),
                damping,
                history,
                parameters: result.state.take_best_param().unwrap_or(start),
            }
        }
        // The solver's own errors say only that it was used without parameters.
        Err(_) => SolveOutcome {
            cost: problem.cost(&start),
            parameters: start,
            iterations: 0,
            converged: false,
            interrupted: false,
            damping: options.damping,
            history: Vec::new(),
        },
    }
}
