//! Networks and what their trials share, as one flat vector to descend in.

use super::adamw::{AdamOptions, AdamState, AdamW, Descent, DescentState, Group};
use super::objective::{ObjectiveGradient, Terms, Window, in_twists, shared_parameters};
use super::roughness::SHORTEST_STRETCH;
use crate::solve::levenberg::{Progress, StopFlag};
use crate::solve::problem::{Parameters, Problem};
use crate::trajectory::Pose;
use crate::trajectory::mlp::{Batch, Mlp};
use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{Executor, KV, State, TerminationReason};
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Frames drawn for one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MiniBatch {
    /// How many in all.
    pub frames: usize,
    /// In stretches of so many neighbours, which third differences need: eight at least.
    pub stretch: usize,
    /// Of the draw.
    pub seed: u64,
}

impl MiniBatch {
    fn stretch(&self) -> usize {
        self.stretch.max(SHORTEST_STRETCH)
    }

    /// Stretches of a step.
    fn stretches(&self) -> usize {
        self.frames.div_ceil(self.stretch())
    }

    /// Frames of a step: rounded up to whole stretches.
    pub fn drawn(&self) -> usize {
        self.stretches() * self.stretch()
    }
}

/// Height of the rates of each kind of parameter, and when it begins to move.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Networks.
    pub network: f64,
    /// Decoupled weight decay of networks.
    pub decay: f64,
    /// Scale parameters.
    pub scales: (f64, u64),
    /// Marker offsets, metres.
    pub offsets: (f64, u64),
    /// Twists of cameras, radians and metres.
    pub cameras: (f64, u64),
}

/// The objective of networks for all trials of a problem. The flat vector: each network's parameters, then the columns of the problem's border.
pub struct Networks<'a> {
    problem: &'a Problem,
    mlps: &'a [Mlp],
    terms: Terms,
    mini_batch: Option<MiniBatch>,
    /// All frames of each trial, made ready.
    whole: Vec<Batch>,
}

impl<'a> Networks<'a> {
    /// Over all frames in each step, or mini-batches of them.
    pub fn new(problem: &'a Problem, mlps: &'a [Mlp], terms: Terms, mini_batch: Option<MiniBatch>) -> Self {
        let frames = problem.trials.iter().map(|t| t.times.len()).sum();
        let mini_batch = mini_batch.filter(|m| m.drawn() < frames);
        let whole = match mini_batch {
            None => mlps.iter().zip(&problem.trials).map(|(m, t)| m.batch(&t.times)).collect(),
            Some(_) => Vec::new(),
        };
        Self { problem, mlps, terms, mini_batch, whole }
    }

    /// What they are fitted to.
    pub fn problem(&self) -> &Problem {
        self.problem
    }

    /// Length of the flat vector.
    pub fn parameters(&self) -> usize {
        self.shared().end
    }

    /// Where trial `i`'s network lies.
    pub fn network(&self, i: usize) -> Range<usize> {
        let start: usize = self.mlps[..i].iter().map(|m| m.parameters().len()).sum();
        start..start + self.mlps[i].parameters().len()
    }

    /// Where what trials share lies.
    pub fn shared(&self) -> Range<usize> {
        let start: usize = self.mlps.iter().map(|m| m.parameters().len()).sum();
        start..start + self.problem.border().columns
    }

    /// The groups of the vector that have rates of their own.
    pub fn groups(&self, rates: &Rates) -> Vec<Group> {
        let border = self.problem.border();
        let shared = self.shared().start;
        let mut groups = vec![Group { range: 0..shared, rate: rates.network, decay: rates.decay, from_step: 0 }];
        let mut add = |range: Range<usize>, (rate, from_step): (f64, u64)| {
            groups.push(Group { range: shared + range.start..shared + range.end, rate, decay: 0.0, from_step });
        };
        if let Some(s) = border.scales {
            add(s..s + self.problem.groups(), rates.scales);
        }
        for o in border.offsets.iter().flatten() {
            add(*o..o + 3, rates.offsets);
        }
        for c in border.cameras.iter().flatten() {
            add(*c..c + 6, rates.cameras);
        }
        groups
    }

    /// The flat vector of the networks as they are and shared parameters at `shared`.
    pub fn flatten(&self, shared: &[f64]) -> Vec<f32> {
        let networks = self.mlps.iter().flat_map(|m| m.parameters().iter().copied());
        networks.chain(shared.iter().map(|&x| x as f32)).collect()
    }

    /// What trials share, at a flat vector.
    pub fn shared_of(&self, parameters: &[f32]) -> Parameters {
        let x: Vec<f64> = parameters[self.shared()].iter().map(|&x| x.into()).collect();
        shared_parameters(self.problem, &x)
    }

    /// Poses of all frames of all trials.
    pub fn poses(&self, parameters: &[f32]) -> Vec<Vec<Pose>> {
        let parameters = Arc::new(parameters.to_vec());
        let of_trial = |(i, mlp): (usize, &Mlp)| {
            let times = &self.problem.trials[i].times;
            let mut poses = vec![self.problem.layout.default_pose(); times.len()];
            mlp.poses(&parameters, self.network(i).start, &mlp.batch(times), &mut poses);
            poses
        };
        self.mlps.iter().enumerate().map(of_trial).collect()
    }

    /// The windows of a step and the weight that makes their cost one of all frames.
    fn windows(&self, step: u64) -> (Vec<Window>, f64) {
        let lengths = self.problem.trials.iter().map(|t| t.times.len());
        let Some(mini) = self.mini_batch else {
            let whole = lengths.enumerate().filter(|(_, n)| *n > 0);
            return (whole.map(|(trial, n)| Window { trial, frames: 0..n, stretch: None }).collect(), 1.0);
        };
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(mini.seed);
        rng.set_stream(step);
        let (lengths, stretch): (Vec<usize>, usize) = (lengths.collect(), mini.stretch());
        let all: usize = lengths.iter().sum();
        let windows = (0..mini.stretches()).flat_map(|_| stretch_at(&lengths, stretch, rng.random_range(0..all)));
        (windows.collect(), all as f64 / mini.drawn() as f64)
    }
}

/// The stretch that begins at a frame, all trials being one ring: every frame is in as many of them, and all are as long. It is cut where a trial ends.
pub(super) fn stretch_at(lengths: &[usize], stretch: usize, mut start: usize) -> Vec<Window> {
    let (mut trial, mut left) = (0, stretch);
    let mut windows = Vec::new();
    loop {
        if start < lengths[trial] {
            let end = (start + left).min(lengths[trial]);
            windows.push(Window { trial, frames: start..end, stretch: Some(stretch) });
            left -= end - start;
            if left == 0 {
                return windows;
            }
            start = end;
        }
        start -= lengths[trial];
        trial = (trial + 1) % lengths.len();
    }
}

impl Descent for Networks<'_> {
    fn descend(&self, parameters: &Arc<Vec<f32>>, step: u64, gradient: &mut Vec<f32>) -> f64 {
        let (windows, weight) = self.windows(step);
        let mut records = Vec::with_capacity(windows.len());
        let mut poses = Vec::with_capacity(windows.len());
        for window in &windows {
            let (i, mlp) = (window.trial, &self.mlps[window.trial]);
            let record = match self.whole.get(i) {
                Some(batch) => mlp.record(parameters, self.network(i).start, batch),
                None => {
                    let times = &self.problem.trials[i].times[window.frames.clone()];
                    mlp.record(parameters, self.network(i).start, &mlp.batch(times))
                }
            };
            let mut of_window = vec![self.problem.layout.default_pose(); window.frames.len()];
            record.poses(mlp, &mut of_window);
            records.push(record);
            poses.push(of_window);
        }
        let x: Vec<f64> = parameters[self.shared()].iter().map(|&x| x.into()).collect();
        let mut found = ObjectiveGradient::default();
        let shared = shared_parameters(self.problem, &x);
        let cost = self.problem.cost_of_poses(&windows, &poses, &shared, self.terms, weight, &mut found);
        in_twists(self.problem, &x, &mut found.shared);
        let mut written = vec![false; self.mlps.len()];
        for ((window, record), pose_gradient) in windows.iter().zip(records).zip(&found.poses) {
            let i = window.trial;
            record.pull_back(&self.mlps[i], pose_gradient, gradient, std::mem::replace(&mut written[i], true));
        }
        for i in (0..written.len()).filter(|&i| !written[i]) {
            gradient[self.network(i)].fill(0.0);
        }
        gradient[self.shared()].iter_mut().zip(&found.shared).for_each(|(a, b)| *a = *b as f32);
        cost
    }
}

/// How a descent ended.
#[derive(Debug, Clone)]
pub struct Descended {
    /// Where it came to: what the next run goes on from.
    pub last: Vec<f32>,
    /// The best parameters seen.
    pub best: Vec<f32>,
    /// Their cost.
    pub cost: f64,
    /// Steps taken in this run.
    pub steps: u64,
    /// Whether rates had faded: there is nothing left to gain.
    pub converged: bool,
    /// Whether the stop flag ended it.
    pub interrupted: bool,
    /// What the next run goes on from.
    pub state: Option<Memory>,
}

/// What a descent remembers.
#[derive(Debug, Clone, PartialEq)]
pub enum Memory {
    /// Of AdamW.
    Adam(AdamState),
    /// Of L-BFGS: argmin's solver and state, as bytes.
    QuasiNewton(Vec<u8>),
}

/// Tells of steps.
pub(super) struct Report {
    pub progress: Option<Progress>,
}

impl<S: State<Float = f64>> Observe<S> for Report {
    fn observe_iter(&mut self, state: &S, _kv: &KV) -> Result<(), argmin::core::Error> {
        if let Some(p) = &self.progress {
            p(state.get_iter() + 1, state.get_cost());
        }
        Ok(())
    }
}

/// A problem that is to stop when the flag is up.
struct Stoppable<'a, D> {
    inner: &'a D,
    stop: Option<&'a StopFlag>,
}

impl<D: Descent> Descent for Stoppable<'_, D> {
    fn descend(&self, parameters: &Arc<Vec<f32>>, step: u64, gradient: &mut Vec<f32>) -> f64 {
        self.inner.descend(parameters, step, gradient)
    }

    fn stopped(&self) -> bool {
        self.stop.is_some_and(|s| s.load(Ordering::Relaxed))
    }
}

/// Up to `steps` steps of AdamW from `start`, or from where `state` was left.
pub fn adam(
    objective: &impl Descent,
    start: Vec<f32>,
    groups: Vec<Group>,
    options: &AdamOptions,
    state: Option<AdamState>,
    steps: u64,
    (progress, stop): (Option<Progress>, Option<&StopFlag>),
) -> Descended {
    let start = Arc::new(start);
    let solver = AdamW::new(options.clone(), groups, start.clone(), state);
    let problem = Stoppable { inner: objective, stop };
    let run = Executor::new(problem, solver)
        .configure(|s: DescentState| s.max_iters(steps))
        .timer(false)
        .add_observer(Report { progress }, ObserverMode::Always)
        .run();
    match run {
        Ok(mut result) => {
            let reason = result.state.get_termination_reason().cloned();
            let steps = result.state.get_iter();
            let (best, cost) = result.solver.better(objective);
            Descended {
                last: result.solver.parameters().to_vec(),
                best,
                cost,
                steps,
                converged: reason == Some(TerminationReason::SolverConverged),
                interrupted: reason == Some(TerminationReason::Interrupt),
                state: Some(Memory::Adam(result.solver.into_state())),
            }
        }
        // The solver itself has none.
        Err(_) => Descended {
            last: start.to_vec(),
            best: start.to_vec(),
            cost: f64::NAN,
            steps: 0,
            converged: false,
            interrupted: false,
            state: None,
        },
    }
}
