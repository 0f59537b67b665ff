//! Where networks begin: at random, at poses they are taught, or where an earlier fit left them.

use crate::error::{Error, Result};
use crate::fit::options::{NetworkOptions, SavedNetwork};
use crate::fit::{Objective, Optimizer};
use crate::kinematics::{Frame, forward};
use crate::session::Unusable;
use crate::skeleton::{Offsets, Scales};
use crate::solve::first_order::{AdamOptions, Group, Lesson, Networks, Schedule, Terms, adam};
use crate::solve::{Parameters, Problem, StopFlag, TrialProblem};
use crate::trajectory::mlp::{Head, Mlp};
use crate::trajectory::{BSpline, Pose, Trajectory};
use nalgebra::{Matrix3, Rotation3};
use std::sync::Arc;

/// Rate and steps of teaching a network poses.
const LESSON_RATE: f64 = 3e-3;
const LESSON_STEPS: u64 = 2000;

/// Fewest frames a network is fitted to: third differences want four.
const FEWEST_FRAMES: usize = 4;

/// What is wrong, for a network, with a trial of so many frames.
pub(in crate::fit) fn too_short(frames: usize) -> Option<Unusable> {
    (frames < FEWEST_FRAMES).then(|| Unusable {
        problem: format!("has {frames} frames; a network of time needs {FEWEST_FRAMES}"),
        advice: "fit short trials with --trajectory bspline".into(),
    })
}

/// A network for each trial: random, about the mean place and direction of the subject in the first guess, every joint as usual.
pub(super) fn random_networks(problem: &Problem, start: &Parameters, options: &NetworkOptions) -> Result<Vec<Mlp>> {
    let soft = options.terms.poses;
    let of_trial = |(i, trajectory): (usize, &BSpline)| {
        let times = &problem.trials[i].times;
        let duration = times[times.len() - 1] + times[1];
        let usual = mean_pose(problem, trajectory, times);
        let seed = options.seed.wrapping_add(i as u64);
        let mut architecture = options.architecture.clone();
        if options.objective == Objective::Posterior {
            // What is quicker than half the rate, frames do not tell.
            architecture.highest_hz = architecture.highest_hz.min(0.5 / times[1]);
        }
        Mlp::random(architecture, &problem.mechanism, problem.layout.clone(), &usual, soft, duration, seed)
    };
    start.trajectories.iter().enumerate().map(of_trial).collect()
}

/// The networks of an earlier fit.
pub(super) fn saved_networks(
    problem: &Problem,
    (saved, trials): (&[SavedNetwork], &[&str]),
    soft: bool,
) -> Result<Vec<Mlp>> {
    let expected = Head::new(&problem.mechanism, &problem.layout, &problem.layout.default_pose(), soft);
    let of_trial = |(trial, name): (&TrialProblem, &&str)| {
        let file = saved.iter().find(|s| s.trial == *name).ok_or_else(|| {
            Error::input(format_args!("trial `{name}`"), "has no network to begin at", "give one for each trial")
        })?;
        let mlp = Mlp::from_safetensors(file.bytes(), &file.path, &problem.mechanism, problem.layout.clone())?;
        if let Some(odd) = mlp.head().other_range(&expected) {
            let coordinate = &problem.mechanism.skeleton().coordinates[problem.layout.coordinates[odd]].name;
            return Err(Error::file(
                &file.path,
                format_args!("keeps `{coordinate}` to another range than this model and these options do"),
                "give a network that was fitted with them, or leave out --warm-start",
            ));
        }
        let step = trial.times[1];
        let duration = trial.times[trial.times.len() - 1] + step;
        if (mlp.duration() - duration).abs() > step {
            return Err(Error::file(
                &file.path,
                format_args!("is the network of {:.3} s; trial `{name}` has {duration:.3} s", mlp.duration()),
                "give the network of this trial, fitted over the same frames, or leave out --warm-start",
            ));
        }
        if let Some(odd) = absurd(problem, trial, &mlp) {
            return Err(Error::file(
                &file.path,
                odd,
                "give the network of a fit that was usable, or leave out --warm-start",
            ));
        }
        Ok(mlp)
    };
    problem.trials.iter().zip(trials).map(of_trial).collect()
}

/// A body this far away is before no camera, metres.
const FAR: f64 = 1000.0;

/// What is wrong with the poses of a network.
fn absurd(problem: &Problem, trial: &TrialProblem, mlp: &Mlp) -> Option<String> {
    let skeleton = problem.mechanism.skeleton();
    let (scales, offsets) = (Scales::ones(skeleton), Offsets::zeros(skeleton));
    let mut frame = Frame::new(skeleton);
    let mut poses = vec![problem.layout.default_pose(); trial.times.len()];
    mlp.poses(&Arc::new(mlp.parameters().to_vec()), 0, &mlp.batch(&trial.times), &mut poses);
    let origin = problem.origin();
    poses.iter().enumerate().find_map(|(f, pose)| {
        forward(skeleton, &scales, &offsets, &pose.q, &pose.rotors, &mut frame);
        let far = problem.markers.iter().map(|m| (frame.markers[m.index()] - origin).norm()).fold(0.0, f64::max);
        let nowhere = problem.markers.iter().any(|m| !frame.markers[m.index()].iter().all(|x| x.is_finite()));
        match nowhere {
            true => Some(format!("has weights that make poses which are no numbers (frame {f} of its trial)")),
            false if far > FAR => {
                Some(format!("has weights that place the body {far:.0e} m away (frame {f} of its trial)"))
            }
            false => None,
        }
    })
}

/// Means over time of what places the body: rotors, and numbers without a range.
fn mean_pose(problem: &Problem, trajectory: &BSpline, times: &[f64]) -> Pose {
    let layout = &problem.layout;
    let mut usual = layout.default_pose();
    let mut pose = layout.default_pose();
    let mut sums = vec![0.0; layout.scalars()];
    let mut turns = vec![Matrix3::zeros(); layout.rotors.len()];
    for &t in times {
        trajectory.pose(t, &mut pose);
        for (sum, &c) in sums.iter_mut().zip(&layout.coordinates) {
            *sum += pose.q[c];
        }
        turns.iter_mut().zip(&pose.rotors).for_each(|(sum, r)| *sum += r.matrix());
    }
    for (sum, &c) in sums.iter().zip(&layout.coordinates) {
        if problem.mechanism.skeleton().coordinates[c].range.is_none() {
            usual.q[c] = sum / times.len() as f64;
        }
    }
    for (r, sum) in usual.rotors.iter_mut().zip(&turns) {
        *r = Rotation3::from_matrix(&(sum / times.len() as f64));
    }
    usual
}

/// The poses of trajectories, in every frame of every trial.
pub(super) fn poses_of(problem: &Problem, start: &Parameters) -> Vec<Vec<Pose>> {
    start
        .trajectories
        .iter()
        .zip(&problem.trials)
        .map(|(trajectory, trial)| {
            let pose = |&t: &f64| {
                let mut pose = problem.layout.default_pose();
                trajectory.pose(t, &mut pose);
                pose
            };
            trial.times.iter().map(pose).collect()
        })
        .collect()
}

/// Networks that follow these poses; `None` where it was stopped.
pub(super) fn taught(
    problem: &Problem,
    mlps: &[Mlp],
    wanted: &[Vec<Pose>],
    at: Vec<f32>,
    stop: Option<&StopFlag>,
) -> Option<Vec<f32>> {
    let networks = Networks::new(problem, mlps, Terms::default(), None);
    let lesson = Lesson::new(mlps, &networks, wanted);
    let groups = vec![Group { range: 0..networks.shared().start, rate: LESSON_RATE, decay: 0.0, from_step: 0 }];
    let options = AdamOptions {
        schedule: Schedule { half_life: LESSON_STEPS as f64 / 8.0, ..AdamOptions::default().schedule },
        ..AdamOptions::default()
    };
    let done = adam(&lesson, at, groups, &options, None, LESSON_STEPS, (None, stop));
    tracing::debug!("lesson: {} after {} steps", done.cost, done.steps);
    (!done.interrupted).then_some(done.best)
}

/// Numbers of four bytes that a descent by Adam holds for each parameter, its checkpoint being written (measured: 69 bytes at 15 million, 67 at 68 million).
const COPIES: f64 = 17.0;

/// The same of L-BFGS, which remembers twenty steps and their gradients in eight bytes each (measured: 1400 bytes at 0.8 million).
const COPIES_LBFGS: f64 = 350.0;

/// Memory beyond which a user of a laptop should know, bytes.
const MUCH: f64 = 4e9;

/// What of the options the user should know before the descent begins; it takes long.
pub(super) fn spoken_of(warnings: &mut Vec<String>, problem: &Problem, mlps: &[Mlp], options: &NetworkOptions) {
    let frames: usize = problem.trials.iter().map(|t| t.times.len()).sum();
    if let Some(batch) = options.mini_batch.filter(|batch| batch.drawn() >= frames) {
        warnings.push(format!(
            "A batch of {} frames ({} in whole stretches) is no part of the {frames} that there are: every step takes all of them.",
            batch.frames,
            batch.drawn()
        ));
    }
    if options.objective == Objective::Published && problem.priors.stature.is_some() {
        warnings.push(
            "The published objective knows no stature: the one that was stated serves the first guess alone.".into(),
        );
    }
    if options.objective == Objective::Published && options.max_steps < options.expected_steps {
        warnings.push(format!(
            "The published rates fall over {} steps; after {} they are still high.",
            options.expected_steps, options.max_steps
        ));
    }
    let parameters: usize = mlps.iter().map(|m| m.parameters().len()).sum();
    let (copies, other) = match options.optimizer {
        Optimizer::Adam => (COPIES, ""),
        Optimizer::Lbfgs => (COPIES_LBFGS, ", a twentieth of that with --optimizer adam"),
    };
    let bytes = copies * 4.0 * parameters as f64;
    if bytes > MUCH {
        tracing::warn!(
            "The networks have {:.1} million parameters: their descent takes about {:.0} GB of memory{other}.",
            1e-6 * parameters as f64,
            1e-9 * bytes
        );
    }
}
