//! The cost of poses and shared parameters, and its gradient in them: what any trajectory needs to be fitted by descent, whatever it is made of.
//!
//! The terms are those of the second-order solver. Smoothness alone differs: a trajectory without controls has none to take third differences of, and its poses in neighbouring frames
//! take their place ([`super::roughness`]).

use super::roughness::{Place, roughness};
use crate::kinematics::{FrameDerivatives, PoseGradient};
use crate::math::so3;
use crate::residual::smoothness::spacing_share;
use crate::residual::views::Views;
use crate::residual::{Curvature, gaussian, limit, point};
use crate::solve::corner::DenseCorner;
use crate::solve::frame::{Shared, scene};
use crate::solve::linearise::shared_priors;
use crate::solve::problem::{Information, Parameters, Problem};
use crate::trajectory::Pose;
use nalgebra::Vector3;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Frames of one piece of parallel work: fixed, so that nothing depends on threads.
const PIECE: usize = 8;

/// Pieces that a worker takes at least: its buffers are worth some frames.
const SHARE: usize = 4;

/// What an objective counts beside the observations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Third differences of poses.
    pub smoothness: bool,
    /// How joints are usually held, and their limits.
    pub poses: bool,
}

impl Default for Terms {
    fn default() -> Self {
        Self { smoothness: true, poses: true }
    }
}

/// Frames of one trial that are evaluated together: neighbours, so that third differences are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Index of the trial.
    pub trial: usize,
    /// Its frames.
    pub frames: Range<usize>,
    /// Frames of the stretches that are drawn, 8 or more, where this is one, or a part of one that a trial's end has cut; every frame is in as many stretches. `None` for the whole trial.
    pub stretch: Option<usize>,
}

/// The gradient.
#[derive(Debug, Clone, Default)]
pub struct ObjectiveGradient {
    /// By window, `[frame][degree of freedom]`; rotors by left tangents.
    pub poses: Vec<Vec<f64>>,
    /// In the order of [`super::super::BorderLayout`]; cameras by left tangents at where they stand.
    pub shared: Vec<f64>,
}

/// Parameters that trials share, as they lie in a flat vector: scales, offsets, and for each camera the twist that moves it from its calibration.
pub fn shared_parameters(problem: &Problem, x: &[f64]) -> Parameters {
    let mut parameters = Parameters {
        trajectories: Vec::new(),
        scales: vec![0.0; problem.groups()],
        offsets: vec![Vector3::zeros(); problem.markers.len()],
        world_from_camera: problem.rig.iter().map(|c| c.camera_from_world.inverse()).collect(),
    };
    parameters.retract(problem, &[], x);
    parameters
}

/// The flat vector of what trials share: the inverse of [`shared_parameters`].
pub fn shared_vector(problem: &Problem, parameters: &Parameters) -> Vec<f64> {
    let (border, origin) = (problem.border(), problem.origin());
    let mut x = vec![0.0; border.columns];
    if let Some(s) = border.scales {
        x[s..s + parameters.scales.len()].copy_from_slice(&parameters.scales);
    }
    for (at, offset) in border.offsets.iter().zip(&parameters.offsets) {
        if let Some(at) = at {
            x[*at..at + 3].copy_from_slice(offset.as_slice());
        }
    }
    for ((at, camera), moved) in border.cameras.iter().zip(problem.rig.iter()).zip(&parameters.world_from_camera) {
        if let Some(at) = at {
            let calibrated = camera.camera_from_world.inverse();
            let turn = moved.rotation * calibrated.rotation.inverse();
            let shift = moved.translation.vector - origin - turn * (calibrated.translation.vector - origin);
            x[*at..at + 3].copy_from_slice(so3::log_quaternion(&turn).as_slice());
            x[at + 3..at + 6].copy_from_slice(shift.as_slice());
        }
    }
    x
}

/// Turns the gradient in left tangents of cameras where they stand into one in the twists from the calibration. With `exp(δ)` as in [`crate::math::se3`], a change of `δ` turns by
/// `J(ω)·dω` and shifts by `dv − (J·dω) × v`.
pub fn in_twists(problem: &Problem, x: &[f64], gradient: &mut [f64]) {
    for first in problem.border().cameras.into_iter().flatten() {
        let three = |from: &[f64], at: usize| Vector3::new(from[at], from[at + 1], from[at + 2]);
        let (omega, v) = (three(x, first), three(x, first + 3));
        let (turn, shift) = (three(gradient, first), three(gradient, first + 3));
        let turn = so3::left_jacobian(&omega).tr_mul(&(turn - v.cross(&shift)));
        gradient[first..first + 3].copy_from_slice(turn.as_slice());
    }
}

impl Problem {
    /// The cost of poses in some frames, all observations there and in proportion the priors on poses, times `weight`; with the priors on shared parameters, once. Writes the gradient.
    pub fn cost_of_poses(
        &self,
        windows: &[Window],
        poses: &[Vec<Pose>],
        parameters: &Parameters,
        terms: Terms,
        weight: f64,
        gradient: &mut ObjectiveGradient,
    ) -> f64 {
        let shared = Shared::new(self, &self.free, parameters, Information::Step);
        let (n, columns) = (self.layout.dofs(), shared.border.columns);
        gradient.shared.clear();
        gradient.shared.resize(columns, 0.0);
        gradient.poses.resize_with(windows.len(), Vec::new);
        let mut cost = 0.0;
        for ((window, poses), to) in windows.iter().zip(poses).zip(&mut gradient.poses) {
            to.clear();
            to.resize(poses.len() * n, 0.0);
            let piece = |work: &mut Work, (i, to): (usize, &mut [f64])| {
                work.clear();
                for (k, to) in to.chunks_exact_mut(n).enumerate() {
                    let at = i * PIECE + k;
                    work.frame(&shared, window.trial, window.frames.start + at, &poses[at], terms, to);
                }
                (work.cost, work.shared(&shared))
            };
            let pieces: Vec<(f64, Vec<f64>)> = to
                .par_chunks_mut(PIECE * n)
                .enumerate()
                .with_min_len(SHARE)
                .map_init(|| Work::new(&shared), piece)
                .collect();
            for (piece, of_shared) in pieces {
                cost += piece;
                gradient.shared.iter_mut().zip(of_shared).for_each(|(a, b)| *a += b);
            }
            if terms.smoothness {
                cost += self.roughness(window, poses, to);
            }
            to.iter_mut().for_each(|g| *g *= weight);
        }
        cost *= weight;
        gradient.shared.iter_mut().for_each(|g| *g *= weight);
        let mut corner = DenseCorner::gradient(columns);
        shared_priors(&shared, &mut corner);
        gradient.shared.iter_mut().zip(&corner.gradient).for_each(|(a, b)| *a += b);
        cost + corner.cost
    }

    /// Third differences of neighbouring poses; adds their gradient.
    fn roughness(&self, window: &Window, poses: &[Pose], gradient: &mut [f64]) -> f64 {
        let times = &self.trials[window.trial].times;
        let place = Place { first: window.frames.start, of: times.len(), stretch: window.stretch };
        let Some(step) = times.get(1).map(|t| t - times[0]) else { return 0.0 };
        let share = self.hyper.smoothness_spacing.map_or(1.0, |stated| spacing_share(stated, step));
        let precision: Vec<f64> = self.hyper.smoothness.iter().map(|lambda| share * lambda).collect();
        roughness(&self.layout, poses, place, &precision, gradient)
    }
}

/// Buffers of one worker, and its sums.
struct Work {
    kinematics: FrameDerivatives,
    views: Views,
    /// By slot.
    points: Vec<Vector3<f64>>,
    /// By slot.
    forces: Vec<Vector3<f64>>,
    pulled: PoseGradient,
    cost: f64,
    /// In the border's columns: cameras, and at the end of a piece the rest.
    shared: Vec<f64>,
}

impl Work {
    fn new(shared: &Shared) -> Self {
        let mechanism = &shared.problem.mechanism;
        Self {
            kinematics: mechanism.workspace(),
            views: Views::default(),
            points: Vec::new(),
            forces: vec![Vector3::zeros(); shared.problem.markers.len()],
            pulled: PoseGradient::zeros(mechanism),
            cost: 0.0,
            shared: vec![0.0; shared.border.columns],
        }
    }

    fn clear(&mut self) {
        self.cost = 0.0;
        self.shared.fill(0.0);
        self.pulled.scales.fill(0.0);
        self.pulled.offsets.fill(Vector3::zeros());
    }

    /// What the frames since [`Self::clear`] say of shared parameters, in the border's columns.
    fn shared(&mut self, shared: &Shared) -> Vec<f64> {
        if let Some(s) = shared.border.scales {
            self.shared[s..].iter_mut().zip(&self.pulled.scales).for_each(|(a, b)| *a += b);
        }
        for (at, marker) in shared.border.offsets.iter().zip(&shared.problem.markers) {
            if let Some(at) = at {
                let of_marker = self.pulled.offsets[marker.index()];
                self.shared[*at..at + 3].iter_mut().zip(of_marker.iter()).for_each(|(a, b)| *a += b);
            }
        }
        self.shared.clone()
    }

    /// Adds a frame; writes the gradient in its pose.
    fn frame(&mut self, shared: &Shared, trial: usize, frame: usize, pose: &Pose, terms: Terms, gradient: &mut [f64]) {
        let (problem, border) = (shared.problem, &shared.border);
        let (mechanism, hyper) = (&problem.mechanism, &problem.hyper);
        let w = &mut self.kinematics;
        mechanism.linearise_about(&shared.origin, &shared.scales, &shared.offsets, &pose.q, &pose.rotors, w);
        self.forces.fill(Vector3::zeros());
        let data = &problem.trials[trial];
        self.cost += self.views.evaluate(&scene(shared, (trial, frame), &w.frame.markers, &mut self.points));
        for (place, &(slot, _)) in data.sightings.places().iter().enumerate() {
            self.forces[slot as usize] += self.views.gradient(place);
        }
        for (sums, at) in self.views.sums().iter().zip(&border.cameras) {
            if let Some(first) = *at {
                // Moving a camera by a twist is moving all it sees by the opposite.
                let moment = sums.moment - shared.origin.cross(&sums.force);
                let twisted = moment.iter().chain(sums.force.iter());
                self.shared[first..first + 6].iter_mut().zip(twisted).for_each(|(a, b)| *a -= b);
            }
        }
        for o in data.frame_points(frame) {
            let slot = o.slot as usize;
            let p = w.frame.markers[problem.markers[slot].index()];
            let m = point::linearise(o, &p, hyper.point_sigma[slot], hyper.point_loss, Curvature::Majorant);
            self.cost += m.cost;
            self.forces[slot] += m.gradient;
        }
        let forces = problem.markers.iter().copied().zip(self.forces.iter().copied());
        mechanism.pull_back_about(&shared.origin, w, forces, &mut self.pulled);
        gradient.iter_mut().zip(&self.pulled.dofs).for_each(|(a, b)| *a += b);
        if !terms.poses {
            return;
        }
        for (j, &c) in problem.layout.coordinates[..problem.layout.scalars()].iter().enumerate() {
            let (mean, sd) = problem.priors.pose[j];
            let mut add = |(cost, slope, _): (f64, f64, f64)| {
                self.cost += cost;
                gradient[j] += slope;
            };
            if sd.is_finite() {
                add(gaussian::evaluate(pose.q[c], mean, sd));
            }
            if let Some((range, softness)) = problem.priors.limits[j] {
                add(limit::evaluate(pose.q[c], range, softness));
            }
        }
    }
}
