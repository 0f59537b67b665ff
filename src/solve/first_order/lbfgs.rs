//! Limited-memory BFGS over all frames: argmin's solver and line search, the second choice.

use super::adamw::{Descent, Group};
use super::networks::Descended;
use crate::solve::levenberg::StopFlag;
use argmin::core::{CostFunction, Executor, Gradient, IterState, State, TerminationReason};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Steps whose curvature is remembered.
const MEMORY: usize = 20;

/// A relative fall of the cost below this is rounding of single-precision networks.
const ROUNDING: f64 = 1e-7;

/// The objective in parameters divided by their groups' rates: one step in each then does about as much, which a quasi-Newton method wants to begin with.
struct Scaled<'a, D> {
    inner: &'a D,
    unit: Vec<f64>,
    /// The last point, its cost and gradient: a line search asks for both.
    last: RefCell<(Vec<f64>, f64, Vec<f64>)>,
    best: RefCell<(Vec<f64>, f64)>,
    stop: Option<&'a StopFlag>,
}

impl<D: Descent> Scaled<'_, D> {
    fn evaluate(&self, x: &[f64]) {
        if self.last.borrow().0 == x {
            return;
        }
        let parameters = Arc::new(x.iter().zip(&self.unit).map(|(x, u)| (x * u) as f32).collect());
        let mut gradient = vec![0.0f32; x.len()];
        let cost = self.inner.descend(&parameters, 0, &mut gradient);
        let gradient = gradient.iter().zip(&self.unit).map(|(g, u)| f64::from(*g) * u).collect();
        // A line search wants a number wherever it goes.
        let cost = if cost.is_finite() { cost } else { f64::MAX };
        if cost < self.best.borrow().1 {
            *self.best.borrow_mut() = (x.to_vec(), cost);
        }
        *self.last.borrow_mut() = (x.to_vec(), cost, gradient);
    }

    fn check(&self) -> Result<(), argmin::core::Error> {
        match self.stop.is_some_and(|s| s.load(Ordering::Relaxed)) {
            true => Err(argmin::core::ArgminError::ConditionViolated { text: "interrupted".into() }.into()),
            false => Ok(()),
        }
    }
}

impl<D: Descent> CostFunction for &Scaled<'_, D> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, x: &Vec<f64>) -> Result<f64, argmin::core::Error> {
        self.check()?;
        self.evaluate(x);
        Ok(self.last.borrow().1)
    }
}

impl<D: Descent> Gradient for &Scaled<'_, D> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, argmin::core::Error> {
        self.check()?;
        self.evaluate(x);
        Ok(self.last.borrow().2.clone())
    }
}

/// Up to `steps` steps from `start`. The objective must be of all frames. Rates of `groups` are units of the parameters; those with rate 0 are held.
pub fn quasi_newton(
    objective: &impl Descent,
    start: Vec<f32>,
    groups: &[Group],
    steps: u64,
    stop: Option<&StopFlag>,
) -> Descended {
    let mut unit = vec![0.0; start.len()];
    groups.iter().for_each(|g| unit[g.range.clone()].fill(g.rate));
    let held: Vec<f32> = start.clone();
    let x: Vec<f64> = start.iter().zip(&unit).map(|(p, u)| if *u > 0.0 { f64::from(*p) / u } else { 0.0 }).collect();
    let problem = Scaled {
        inner: objective,
        unit,
        last: RefCell::default(),
        best: RefCell::new((x.clone(), f64::INFINITY)),
        stop,
    };
    let solver = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY).with_tolerance_cost(ROUNDING);
    let executor = solver.map(|solver| {
        Executor::new(&problem, solver)
            .configure(|s: IterState<Vec<f64>, Vec<f64>, (), (), (), f64>| s.param(x).max_iters(steps))
            .timer(false)
    });
    let run = executor.and_then(|e| e.run());
    let (mut taken, mut converged) = (0, false);
    if let Ok(result) = &run {
        taken = result.state.get_iter();
        let reason = result.state.get_termination_reason();
        converged = matches!(reason, Some(TerminationReason::SolverConverged | TerminationReason::TargetCostReached));
    }
    let interrupted = stop.is_some_and(|s| s.load(Ordering::Relaxed));
    // A line search that finds no lower point ends in an error: then rounding hides what is left to gain.
    converged |= run.is_err() && !interrupted;
    let (best, cost) = problem.best.into_inner();
    let back = |((b, u), h): ((&f64, &f64), &f32)| if *u > 0.0 { (b * u) as f32 } else { *h };
    let best: Vec<f32> = best.iter().zip(&problem.unit).zip(&held).map(back).collect();
    Descended { last: best.clone(), best, cost, steps: taken, converged, interrupted, state: None }
}
