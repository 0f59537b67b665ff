//! The problem the solver is given, and the parameters it moves.

use crate::camera::{Camera, Projector, Rig};
use crate::kinematics::Mechanism;
use crate::math::{basis::Knots, robust::RobustLoss, se3};
use crate::residual::extrinsics::ExtrinsicsPrior;
use crate::residual::gauge::GaugePrior;
use crate::residual::point::PointObservation;
use crate::residual::sightings::Sightings;
use crate::residual::smoothness::spacing_share;
use crate::skeleton::{MarkerId, Offsets, Scales};
use crate::trajectory::{BSpline, Layout, Trajectory};
use nalgebra::{Isometry3, Vector3, Vector6};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;

/// What a trial contributes.
#[derive(Debug, Clone, Default)]
pub struct TrialProblem {
    /// Time of each frame, seconds.
    pub times: Vec<f64>,
    /// Pixels; without a frame where there are none at all.
    pub sightings: Sightings,
    /// Points in space, sorted by marker within a frame.
    pub points: Vec<PointObservation>,
    /// Points of frame `f` are `start[f] .. start[f + 1]`; empty when there are none at all.
    pub point_start: Vec<usize>,
}

impl TrialProblem {
    /// Points of a frame.
    pub fn frame_points(&self, frame: usize) -> &[PointObservation] {
        match self.point_start.get(frame..frame + 2) {
            Some(r) => &self.points[r[0]..r[1]],
            None => &[],
        }
    }
}

/// Which shared parameters are free. Trajectories always are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Free {
    /// Scale parameters.
    pub scales: bool,
    /// Marker offsets.
    pub offsets: bool,
    /// Extrinsics, camera by camera.
    pub cameras: Vec<bool>,
}

impl Free {
    /// Trajectories alone.
    pub fn nothing(cameras: usize) -> Self {
        Self { scales: false, offsets: false, cameras: vec![false; cameras] }
    }
}

/// Prior knowledge, all Gaussian but the extrinsics'. Standard deviations.
#[derive(Debug, Clone, PartialEq)]
pub struct Priors {
    /// Mean and standard deviation of each scale parameter.
    pub scales: Vec<(f64, f64)>,
    /// Standard deviation of the offset of each observed marker along each axis, metres; 0 for one that is held.
    pub offset_sd: Vec<f64>,
    /// Extrinsics, camera by camera.
    pub extrinsics: ExtrinsicsPrior,
    /// The rig as a whole.
    pub gauge: GaugePrior,
    /// Mean and standard deviation of each degree of freedom that is a number, in every frame: wide, so that what nothing observes
    /// stays where people usually have it. Infinite for none.
    pub pose: Vec<(f64, f64)>,
    /// Range and softness of each degree of freedom that has limits.
    pub limits: Vec<Option<([f64; 2], f64)>>,
    /// A measured standing height.
    pub stature: Option<StaturePrior>,
}

/// A measured stature: a linear function of the scale parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct StaturePrior {
    /// Height of the unscaled model, metres.
    pub at_zero: f64,
    /// Its derivative in each scale parameter.
    pub by_scale: Vec<f64>,
    /// What was measured.
    pub measured: f64,
    /// Its standard deviation, metres.
    pub sd: f64,
}

/// Quantities estimated between rounds of minimisation and held during one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hyperparameters {
    /// Noise level per camera and keypoint, pixels: `[camera · keypoints + keypoint]`.
    sigma: Vec<f64>,
    /// `1/σ²`, 1/px², and `ln 1/σ²` of the same.
    precision: Vec<[f64; 2]>,
    /// Number of keypoints in the table above.
    pub keypoints: usize,
    /// Precision of third differences, per degree of freedom (the same for the three of a rotor).
    pub smoothness: Vec<f64>,
    /// Distance between the controls that `smoothness` is stated for, seconds; other trials' is [`spacing_share`] of it. `None`: every trial's own.
    pub smoothness_spacing: Option<f64>,
    /// For how many frames the error of a detection lasts ([`Problem::autocorrelation_time`]): to what does not change from frame to frame, detections are worth that much less.
    pub autocorrelation_frames: f64,
    /// Over how many frames the trajectory averages, estimated with its smoothness: to a frame's pose, detections whose errors last are worth that much less, but not less than those of
    /// that frame alone.
    pub smoothing_frames: f64,
    /// Noise level of the points of each observed marker, per axis, metres; empty where there are no points.
    pub point_sigma: Vec<f64>,
    /// Loss of pixels.
    pub pixel_loss: RobustLoss,
    /// Loss of points in space.
    pub point_loss: RobustLoss,
}

impl Hyperparameters {
    /// The same noise level everywhere.
    pub fn new(cameras: usize, keypoints: usize, sigma: f64, smoothness: Vec<f64>, loss: RobustLoss) -> Self {
        let mut hyper = Self {
            sigma: Vec::new(),
            precision: Vec::new(),
            keypoints,
            smoothness,
            smoothness_spacing: None,
            autocorrelation_frames: 1.0,
            smoothing_frames: 1.0,
            point_sigma: Vec::new(),
            pixel_loss: loss,
            point_loss: RobustLoss::StudentT { dof: 4.0 },
        };
        hyper.set_sigma(vec![sigma; cameras * keypoints]);
        hyper
    }

    /// Noise levels, `[camera · keypoints + keypoint]`.
    pub fn sigmas(&self) -> &[f64] {
        &self.sigma
    }

    /// Sets the noise levels.
    pub fn set_sigma(&mut self, sigma: Vec<f64>) {
        self.precision = sigma.iter().map(|s| [1.0 / (s * s), -2.0 * s.ln()]).collect();
        self.sigma = sigma;
    }

    /// Precision of an observation and its logarithm, 1/px².
    pub(super) fn precision(&self, camera: usize, keypoint: usize) -> [f64; 2] {
        self.precision[camera * self.keypoints + keypoint]
    }

    /// What [`Self::smoothness`] is multiplied with for a trajectory of these knots.
    pub fn smoothness_share(&self, knots: &Knots) -> f64 {
        self.smoothness_spacing.map_or(1.0, |stated| spacing_share(stated, knots.spacing))
    }

    /// [`Self::smoothness`] for a trajectory of these knots.
    pub fn smoothness_of(&self, knots: &Knots) -> Vec<f64> {
        let share = self.smoothness_share(knots);
        self.smoothness.iter().map(|lambda| share * lambda).collect()
    }

    /// How many detections are worth one, to a frame's pose and to what does not change from frame to frame.
    pub(super) fn worth(&self) -> (f64, f64) {
        // Third differences widen the window of what weighs less by the sixth root of it: data that weigh w^−1.2 average over w^1.2 frames, and are then worth one frame.
        (self.autocorrelation_frames.min(self.smoothing_frames.powf(1.2)), self.autocorrelation_frames)
    }

    /// Noise level of an observation, pixels.
    pub fn sigma(&self, camera: usize, keypoint: usize) -> f64 {
        self.sigma[camera * self.keypoints + keypoint]
    }
}

/// Everything that stays while parameters move.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The body.
    pub mechanism: Arc<Mechanism>,
    /// Pose layout.
    pub layout: Arc<Layout>,
    /// Cameras as calibrated, world = the model's ground.
    pub rig: Rig,
    /// The observed markers, by slot.
    pub markers: Vec<MarkerId>,
    /// Trials.
    pub trials: Vec<TrialProblem>,
    /// What is free.
    pub free: Free,
    /// Priors.
    pub priors: Priors,
    /// Noise and smoothness.
    pub hyper: Hyperparameters,
}

/// The parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    /// One per trial.
    pub trajectories: Vec<BSpline>,
    /// One per scale group.
    pub scales: Vec<f64>,
    /// One per observed marker, metres in its body.
    pub offsets: Vec<Vector3<f64>>,
    /// One per camera, `world` being the model's ground.
    pub world_from_camera: Vec<Isometry3<f64>>,
}

/// Where each shared parameter stands in the border.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BorderLayout {
    /// Columns of the scale parameters, if free.
    pub scales: Option<usize>,
    /// First of three columns per observed marker, if free.
    pub offsets: Vec<Option<usize>>,
    /// First of six columns per camera, if free.
    pub cameras: Vec<Option<usize>>,
    /// Columns in all.
    pub columns: usize,
}

impl Problem {
    /// The border for what is free.
    pub fn border(&self) -> BorderLayout {
        self.border_of(&self.free)
    }

    /// The border if `free` were.
    pub(super) fn border_of(&self, free: &Free) -> BorderLayout {
        let mut columns = 0;
        let mut take = |is_free: bool, width: usize| {
            is_free.then(|| {
                columns += width;
                columns - width
            })
        };
        let scales = take(free.scales, self.mechanism.groups().groups.len());
        let offsets = self.priors.offset_sd.iter().map(|sd| take(free.offsets && *sd > 0.0, 3)).collect();
        let cameras = free.cameras.iter().map(|&f| take(f, 6)).collect();
        BorderLayout { scales, offsets, cameras, columns }
    }

    /// Number of scale parameters.
    pub fn groups(&self) -> usize {
        self.mechanism.groups().groups.len()
    }

    /// Offsets of all markers: the fitted ones in their places, 0 elsewhere.
    pub fn all_offsets(&self, parameters: &Parameters) -> Offsets {
        let mut all = Offsets::zeros(self.mechanism.skeleton());
        for (m, o) in self.markers.iter().zip(&parameters.offsets) {
            all.0[m.index()] = *o;
        }
        all
    }

    /// Factors of all bodies.
    pub fn all_scales(&self, parameters: &Parameters) -> Scales {
        self.mechanism.scales(&parameters.scales)
    }

    /// The point that camera twists turn about: the middle of the calibrated rig.
    pub fn origin(&self) -> Vector3<f64> {
        let sum: Vector3<f64> = self.rig.iter().map(Camera::centre_in_world).sum();
        sum / self.rig.len().max(1) as f64
    }

    /// Cameras at the given parameters.
    pub fn cameras(&self, parameters: &Parameters) -> Vec<Camera> {
        self.rig
            .iter()
            .zip(&parameters.world_from_camera)
            .map(|(c, w)| Camera { camera_from_world: w.inverse(), ..c.clone() })
            .collect()
    }

    pub(super) fn projectors(&self, parameters: &Parameters) -> Vec<Projector> {
        self.cameras(parameters).iter().map(Projector::new).collect()
    }
}

impl Parameters {
    /// Moves along a solution of the arrow system.
    pub fn retract(&mut self, problem: &Problem, bands: &[Vec<f64>], shared: &[f64]) {
        let (border, origin) = (problem.border(), problem.origin());
        for (t, step) in self.trajectories.iter_mut().zip(bands) {
            t.retract(step);
        }
        if let Some(first) = border.scales {
            for (s, d) in self.scales.iter_mut().zip(&shared[first..]) {
                *s += d;
            }
        }
        for (o, column) in self.offsets.iter_mut().zip(&border.offsets) {
            if let Some(c) = column {
                *o += Vector3::from_column_slice(&shared[*c..c + 3]);
            }
        }
        for (w, column) in self.world_from_camera.iter_mut().zip(&border.cameras) {
            if let Some(c) = column {
                *w = se3::retract_about(w, &Vector6::from_column_slice(&shared[*c..c + 6]), &origin);
            }
        }
    }

    /// All parameters in one flat vector, for checkpoints.
    pub fn to_flat(&self) -> Vec<f64> {
        let mut flat: Vec<f64> = self.trajectories.iter().flat_map(BSpline::to_flat).collect();
        flat.extend(&self.scales);
        flat.extend(self.offsets.iter().flat_map(|o| [o.x, o.y, o.z]));
        for w in &self.world_from_camera {
            let (q, t) = (&w.rotation, &w.translation);
            flat.extend([q.w, q.i, q.j, q.k, t.x, t.y, t.z]);
        }
        flat
    }
}

/// Frames of a trial in pieces of fixed size, by spans of its knots: the unit of parallel work. Each piece is `(first span, frames)`.
pub(super) fn pieces(trajectory: &BSpline, times: &[f64]) -> Vec<(Range<usize>, Range<usize>)> {
    /// At least a spline's degree: what a piece's frames reach beyond its own controls are the next one's.
    const SPANS: usize = 12;
    let knots = trajectory.knots();
    let mut out = Vec::new();
    let mut frame = 0;
    let mut span = 0;
    while span < knots.spans {
        let end = (span + SPANS).min(knots.spans);
        let first = frame;
        while frame < times.len() && (end == knots.spans || knots.span(times[frame]) < end) {
            frame += 1;
        }
        out.push((span..end, first..frame));
        span = end;
    }
    out
}

/// What the matrix of a linearisation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Information {
    /// Steps: robust losses have the curvature of a parabola that touches them from above, which may be followed from afar.
    Step,
    /// What the data tell at a solution: their mean curvature ([`RobustLoss::expand`](crate::math::robust::RobustLoss::expand)).
    Observed,
    /// The same, detections counted for as many as they are worth to a frame's pose ([`Hyperparameters::smoothing_frames`](Hyperparameters::smoothing_frames)). To shared parameters
    /// they are worth less, by the factor by which their priors are multiplied here: their covariance is to be multiplied with it.
    Posterior,
}

impl Information {
    /// What the information of shared priors is multiplied with.
    pub(super) fn weight_of_shared_priors(self, problem: &Problem) -> f64 {
        match self {
            Self::Step | Self::Observed => 1.0,
            Self::Posterior => {
                let (pose, shared) = problem.hyper.worth();
                shared / pose
            }
        }
    }
}
