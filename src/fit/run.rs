//! What the stages of a fit share: progress, interruption, and the count of what was done.

use super::{FitOptions, Stage};
use crate::solve::{Parameters, Problem, SolveOptions, SolveOutcome, Workspace, solve_in};

/// Progress and interruption through the stages.
pub(super) struct Run<'a> {
    /// As they were given.
    pub options: &'a FitOptions,
    /// The objective after each iteration.
    pub history: Vec<f64>,
    /// Iterations of all minimisations.
    pub iterations: u64,
    /// Whether it was asked to stop.
    pub interrupted: bool,
    /// Whether a checkpoint was kept to go on from.
    pub resumable: bool,
    /// The last one begun.
    pub stage: Stage,
    /// The solver's memory.
    pub workspace: Workspace,
}

impl<'a> Run<'a> {
    /// Nothing done yet.
    pub fn new(options: &'a FitOptions) -> Self {
        Self {
            options,
            history: Vec::new(),
            iterations: 0,
            interrupted: false,
            resumable: false,
            stage: Stage::Initialise,
            workspace: Workspace::default(),
        }
    }

    /// A stage is begun, or `share` of the whole is done.
    pub fn say(&mut self, stage: Stage, share: f64) {
        if !self.interrupted {
            self.stage = stage;
        }
        if let Some(p) = &self.options.progress {
            p(stage, share, self.history.last().copied().unwrap_or(f64::NAN));
        }
    }

    /// A minimisation, counted.
    pub fn solve(
        &mut self,
        problem: &Problem,
        start: Parameters,
        iterations: u64,
        decrement: f64,
        damping: f64,
    ) -> SolveOutcome {
        self.solve_with(
            problem,
            start,
            SolveOptions { max_iterations: iterations, decrement, damping, ..SolveOptions::default() },
        )
    }

    /// The same from near the minimum.
    pub fn finish(&mut self, problem: &Problem, start: Parameters, decrement: f64, damping: f64) -> SolveOutcome {
        let max_iterations = self.options.max_iterations;
        self.solve_with(
            problem,
            start,
            SolveOptions { max_iterations, decrement, damping, near: true, ..SolveOptions::default() },
        )
    }

    fn solve_with(&mut self, problem: &Problem, start: Parameters, options: SolveOptions) -> SolveOutcome {
        let options = SolveOptions { stop: self.options.stop.clone(), ..options };
        let outcome = solve_in(&mut self.workspace, problem, start, &options);
        self.history.extend(&outcome.history);
        self.iterations += outcome.iterations;
        self.interrupted |= outcome.interrupted;
        outcome
    }

    /// Something that is no part of the fit that is reported.
    pub fn aside<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let (iterations, history) = (self.iterations, self.history.len());
        let result = work(self);
        self.iterations = iterations;
        self.history.truncate(history);
        result
    }
}
