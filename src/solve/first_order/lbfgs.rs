//! Limited-memory BFGS over all frames: argmin's solver and line search, the second choice.

use super::adamw::{Descent, Group};
use super::networks::{Descended, Memory, Report};
use crate::solve::levenberg::{Progress, StopFlag};
use argmin::core::observers::ObserverMode;
use argmin::core::{
    CostFunction, Executor, Gradient, IterState, KV, Problem, Solver, State as _, TerminationReason, TerminationStatus,
};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Steps whose curvature is remembered.
const MEMORY: usize = 20;

/// Steps that together must lower the cost by [`PLATEAU`], or there is nothing left to gain.
const WINDOW: u64 = 20;
/// Nats.
const PLATEAU: f64 = 0.1;

/// Stands for the cost of a start that is no number.
const NO_NUMBER: f64 = 1e60;

type Numbers = Vec<f64>;
type At = IterState<Numbers, Numbers, (), (), (), f64>;
type Solve = LBFGS<MoreThuenteLineSearch<Numbers, Numbers, f64>, Numbers, Numbers, f64>;

/// The objective in parameters divided by their groups' rates: one step in each then does about as much, which a quasi-Newton method wants to begin with.
struct Scaled<'a, D> {
    inner: &'a D,
    unit: &'a [f64],
    /// The last point, its cost and gradient: a line search asks for both.
    last: RefCell<(Numbers, f64, Numbers)>,
    best: RefCell<(Numbers, f64, Numbers)>,
}

impl<D: Descent> Scaled<'_, D> {
    fn evaluate(&self, x: &[f64]) {
        if self.last.borrow().0 == x {
            return;
        }
        let parameters = Arc::new(x.iter().zip(self.unit).map(|(x, u)| (x * u) as f32).collect());
        let mut gradient = vec![0.0f32; x.len()];
        let cost = self.inner.descend(&parameters, 0, &mut gradient);
        let mut gradient: Numbers = gradient.iter().zip(self.unit).map(|(g, u)| f64::from(*g) * u).collect();
        let sound = cost.is_finite() && gradient.iter().all(|g| g.is_finite());
        let cost = if sound { cost } else { self.beyond(&mut gradient) };
        if sound && cost < self.best.borrow().1 {
            *self.best.borrow_mut() = (x.to_vec(), cost, gradient.clone());
        }
        *self.last.borrow_mut() = (x.to_vec(), cost, gradient);
    }

    /// What stands for a cost and a gradient that are no numbers: a line search wants some wherever it goes, or it never ends. So much higher that it turns back, and so little that it does
    /// not turn back to where it was; downhill is where the best came from.
    fn beyond(&self, gradient: &mut [f64]) -> f64 {
        let (_, best, of_best) = &*self.best.borrow();
        if of_best.is_empty() {
            gradient.fill(0.0);
            return NO_NUMBER;
        }
        gradient.iter_mut().zip(of_best).for_each(|(g, b)| *g = -b);
        best + 10.0 * (1.0 + best.abs())
    }
}

impl<D: Descent> CostFunction for &Scaled<'_, D> {
    type Param = Numbers;
    type Output = f64;

    fn cost(&self, x: &Numbers) -> Result<f64, argmin::core::Error> {
        self.evaluate(x);
        Ok(self.last.borrow().1)
    }
}

impl<D: Descent> Gradient for &Scaled<'_, D> {
    type Param = Numbers;
    type Gradient = Numbers;

    fn gradient(&self, x: &Numbers) -> Result<Numbers, argmin::core::Error> {
        self.evaluate(x);
        Ok(self.last.borrow().2.clone())
    }
}

/// argmin's solver, which ends where there is nothing left to gain, and when it is asked to: between steps, so that it can go on from there.
#[derive(Clone, Serialize, Deserialize)]
struct Watched<S> {
    inner: S,
    /// Cost where the present window began.
    before: Option<f64>,
    #[serde(skip)]
    stop: Option<StopFlag>,
}

impl<O, S: Solver<O, At>> Solver<O, At> for Watched<S> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn init(&mut self, problem: &mut Problem<O>, state: At) -> Result<(At, Option<KV>), argmin::core::Error> {
        self.inner.init(problem, state)
    }

    fn next_iter(&mut self, problem: &mut Problem<O>, state: At) -> Result<(At, Option<KV>), argmin::core::Error> {
        if state.get_iter().is_multiple_of(WINDOW) {
            self.before = Some(state.get_cost());
        }
        self.inner.next_iter(problem, state)
    }

    fn terminate(&mut self, state: &At) -> TerminationStatus {
        if self.stop.as_ref().is_some_and(|s| s.load(Ordering::Relaxed)) {
            return TerminationStatus::Terminated(TerminationReason::Interrupt);
        }
        let at_end = state.get_iter() > 0 && state.get_iter().is_multiple_of(WINDOW);
        if at_end && self.before.is_some_and(|before| state.get_cost() > before - PLATEAU) {
            return TerminationStatus::Terminated(TerminationReason::SolverConverged);
        }
        self.inner.terminate(state)
    }
}

/// What L-BFGS remembers of a problem of so many parameters; `None` where the bytes are none of it.
fn read(bytes: &[u8], parameters: usize) -> Option<(Watched<Solve>, At)> {
    let read = postcard::from_bytes::<(Watched<Solve>, At)>(bytes).ok();
    read.filter(|(_, state)| state.param.as_ref().is_some_and(|p| p.len() == parameters))
}

/// Whether bytes are [`Memory::QuasiNewton`]'s, of a problem of so many parameters.
pub fn is_memory(bytes: &[u8], parameters: usize) -> bool {
    read(bytes, parameters).is_some()
}

/// Up to `steps` steps from `start`, or from where `memory` was left. The objective must be of all frames. Rates of `groups` are units of the parameters; those with rate 0 are held.
///
/// A line search that finds no lower point is tried once more along the gradient; where that finds none either, rounding of single-precision networks hides what is left to gain.
pub fn quasi_newton(
    objective: &impl Descent,
    start: Vec<f32>,
    groups: &[Group],
    memory: Option<Vec<u8>>,
    steps: u64,
    (progress, stop): (Option<Progress>, Option<&StopFlag>),
) -> Descended {
    let mut unit = vec![0.0; start.len()];
    groups.iter().for_each(|g| unit[g.range.clone()].fill(g.rate));
    let x: Numbers = start.iter().zip(&unit).map(|(p, u)| if *u > 0.0 { f64::from(*p) / u } else { 0.0 }).collect();
    let back = |x: &[f64]| -> Vec<f32> {
        x.iter().zip(&unit).zip(&start).map(|((x, u), p)| if *u > 0.0 { (x * u) as f32 } else { *p }).collect()
    };
    if steps == 0 {
        let state = memory.map(Memory::QuasiNewton);
        let cost = objective.descend(&Arc::new(start.clone()), 0, &mut vec![0.0; start.len()]);
        let (last, best) = (start.clone(), start);
        return Descended { last, best, cost, steps: 0, converged: false, interrupted: false, state };
    }
    let mut remembered = memory.and_then(|bytes| read(&bytes, x.len()));
    let problem = Scaled {
        inner: objective,
        unit: &unit,
        last: RefCell::default(),
        best: RefCell::new((x, f64::INFINITY, Vec::new())),
    };
    let mut done = Descended {
        last: start.clone(),
        best: Vec::new(),
        cost: f64::INFINITY,
        steps: 0,
        converged: false,
        interrupted: false,
        state: None,
    };
    while done.steps < steps && !done.converged && !done.interrupted {
        let (mut solver, state) = remembered.take().unwrap_or_else(|| {
            let inner = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY);
            // A single step that gains nothing measurable says little.
            let inner = inner.clone().with_tolerance_cost(0.0).unwrap_or(inner);
            let x = problem.best.borrow().0.clone();
            (Watched { inner, before: None, stop: None }, At::new().param(x))
        });
        solver.stop = stop.cloned();
        let (begun, before) = (state.get_iter(), problem.best.borrow().1);
        let taken = done.steps;
        let told = progress.clone().map(|p| -> Progress { Arc::new(move |iter, cost| p(iter - begun + taken, cost)) });
        let result = Executor::new(&problem, solver)
            .configure(|_| state.max_iters(begun + steps - taken))
            .timer(false)
            .add_observer(Report { progress: told }, ObserverMode::Always)
            .run();
        let Ok(result) = result else { break };
        let (solver, mut state) = (result.solver, result.state);
        let here = state.get_iter() - begun;
        done.steps += here;
        match state.get_termination_reason() {
            Some(TerminationReason::MaxItersReached | TerminationReason::Interrupt) => {
                done.interrupted = state.get_termination_reason() == Some(&TerminationReason::Interrupt);
                state.termination_status = TerminationStatus::NotTerminated;
                done.last = state.get_param().map_or_else(|| start.clone(), |x| back(x));
                done.state = postcard::to_allocvec(&(solver, state)).ok().map(Memory::QuasiNewton);
                break;
            }
            Some(TerminationReason::SolverConverged) => done.converged = true,
            // No lower point in the direction that the memory makes: without it, then.
            _ => done.converged = begun == 0 && problem.best.borrow().1 > before - PLATEAU,
        }
        done.last = back(&problem.best.borrow().0);
    }
    let (best, cost, _) = problem.best.into_inner();
    done.best = back(&best);
    done.cost = cost;
    done.converged &= cost.is_finite();
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    /// Rosenbrock's valley, in pairs.
    struct Valley;

    impl Descent for Valley {
        fn descend(&self, x: &Arc<Vec<f32>>, _: u64, gradient: &mut Vec<f32>) -> f64 {
            let mut cost = 0.0;
            for (x, g) in x.chunks_exact(2).zip(gradient.chunks_exact_mut(2)) {
                let (a, b) = (f64::from(x[0]), f64::from(x[1]));
                let d = b - a * a;
                cost += 1e4 * d * d + 100.0 * (1.0 - a).powi(2);
                g[0] = (-4e4 * a * d - 200.0 * (1.0 - a)) as f32;
                g[1] = (2e4 * d) as f32;
            }
            cost
        }
    }

    fn run(start: Vec<f32>, memory: Option<Vec<u8>>, steps: u64, stop: Option<&StopFlag>) -> Descended {
        let groups = [Group { range: 0..start.len(), rate: 0.1, decay: 0.0, from_step: 0 }];
        quasi_newton(&Valley, start, &groups, memory, steps, (None, stop))
    }

    fn start() -> Vec<f32> {
        vec![-1.2, 1.0, 0.3, -0.7, 2.0, 2.0]
    }

    /// In single precision a cost of 1e4·d² with d rounded at 6e-8 is known to 1e-10; the end leaves up to a plateau.
    #[test]
    fn ends_on_its_own_at_the_minimum() {
        let done = run(start(), None, 5000, None);
        assert!(done.converged && done.steps < 500, "{} steps", done.steps);
        assert!(done.cost < PLATEAU, "{}", done.cost);
        assert!(done.best.iter().all(|x| (x - 1.0).abs() < 0.1), "{:?}", done.best);
    }

    #[test]
    fn goes_on_in_the_same_bits() {
        let whole = run(start(), None, 40, None);
        assert!(!whole.converged && whole.steps == 40);
        let half = run(start(), None, 17, None);
        let Some(Memory::QuasiNewton(memory)) = half.state else { panic!("no memory") };
        let again = run(half.last, Some(memory), 23, None);
        assert_eq!((again.steps, &again.last, again.cost), (23, &whole.last, whole.cost));
    }

    #[test]
    fn stops_when_asked_and_remembers() {
        let stop: StopFlag = Arc::new(AtomicBool::new(true));
        let done = run(start(), None, 40, Some(&stop));
        assert!(done.interrupted && !done.converged && done.steps == 0 && done.state.is_some());
        assert_eq!(done.last, start());
    }

    #[test]
    fn memory_that_is_none_is_left() {
        for bytes in [vec![], vec![7; 100]] {
            assert_eq!(run(start(), Some(bytes), 40, None).cost, run(start(), None, 40, None).cost);
        }
    }

    /// A cliff beyond which there are no numbers, not far from where it begins.
    #[test]
    fn a_search_comes_back_from_where_there_are_no_numbers() {
        struct Cliff;
        impl Descent for Cliff {
            fn descend(&self, x: &Arc<Vec<f32>>, step: u64, gradient: &mut Vec<f32>) -> f64 {
                if x.iter().any(|x| x.abs() > 1.5) {
                    gradient.fill(f32::NAN);
                    return f64::INFINITY;
                }
                Valley.descend(x, step, gradient)
            }
        }
        let start = vec![-1.2, 1.0, 0.3, -0.7];
        let groups = [Group { range: 0..4, rate: 10.0, decay: 0.0, from_step: 0 }];
        let done = quasi_newton(&Cliff, start, &groups, None, 1000, (None, None));
        assert!(done.converged && done.cost < PLATEAU, "{} after {} steps", done.cost, done.steps);
    }

    #[test]
    fn nothing_that_is_no_number_has_converged() {
        struct Nothing;
        impl Descent for Nothing {
            fn descend(&self, _: &Arc<Vec<f32>>, _: u64, gradient: &mut Vec<f32>) -> f64 {
                gradient.fill(f32::NAN);
                f64::NAN
            }
        }
        let groups = [Group { range: 0..1, rate: 0.1, decay: 0.0, from_step: 0 }];
        let done = quasi_newton(&Nothing, vec![0.5], &groups, None, 10, (None, None));
        assert!(!done.converged && done.best == [0.5], "{done:?}");
    }
}
