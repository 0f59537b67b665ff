//! Runs of steps, and the best that came of them.

use crate::fit::checkpoint::Checkpoint;
use crate::fit::options::NetworkOptions;
use crate::fit::run::Run;
use crate::fit::{Optimizer, Stage};
use crate::solve::Problem;
use crate::solve::first_order::{AdamOptions, Descended, Memory, Networks, Rates, adam, quasi_newton};
use std::sync::{Arc, Mutex};

/// The root of how many batches make the whole; 1 without.
pub(super) fn longer(problem: &Problem, options: &NetworkOptions) -> f64 {
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

pub(super) fn one_run(
    run: &Run,
    networks: &Networks,
    at: Vec<f32>,
    options: &NetworkOptions,
    state: Option<Memory>,
    (taken, steps): (u64, u64),
    history: &Arc<Mutex<Vec<f64>>>,
) -> Descended {
    let groups = networks.groups(&Rates { network: options.network_rate(), ..options.rates });
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

/// The best of the steps since it last went on from rest, by the objective as it is now, which is the same for one that resumes with no steps left; and of all frames: of batches the luckiest would win.
pub(super) fn best(run: &Run, whole: &Networks, mut here: Checkpoint, options: &NetworkOptions) -> Vec<f32> {
    let taken = here.progress.taken;
    let evaluated = |at, state| {
        let done = one_run(run, whole, at, options, state, (taken, 0), &Arc::default());
        (done.cost, done.best)
    };
    let of_batches = match (options.mini_batch, &mut here.state) {
        (Some(_), Some(Memory::Adam(state))) => state.best.take().map(|best| best.1),
        _ => None,
    };
    let last = evaluated(here.parameters, here.state);
    match of_batches.map(|at| evaluated(at, None)) {
        Some(other) if other.0 < last.0 => other.1,
        _ => last.1,
    }
}

fn detections(problem: &Problem) -> usize {
    problem.trials.iter().map(|t| t.sightings.count()).sum()
}
