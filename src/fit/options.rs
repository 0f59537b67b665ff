//! What is free, what is known, and how it is solved.

use crate::math::robust::RobustLoss;
use crate::residual::extrinsics::ExtrinsicsPrior;
use crate::residual::gauge::GaugePrior;
use crate::skeleton::{ScaleGroups, Skeleton};
use crate::solve::StopFlag;
#[cfg(feature = "learn")]
use crate::solve::first_order::{AdamOptions, MiniBatch, Rates, Schedule, Terms};
#[cfg(feature = "learn")]
use crate::trajectory::mlp::Architecture;
use serde::Serialize;
#[cfg(feature = "learn")]
use sha2::{Digest, Sha256};
#[cfg(feature = "learn")]
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Stage of a fit, for progress bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Triangulation, first poses and size.
    Initialise,
    /// Trajectory and scales.
    Pose,
    /// Offsets too.
    Subject,
    /// Cameras too.
    Cameras,
    /// Standard deviations.
    Covariance,
}

impl Stage {
    /// As errors and outcomes name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Initialise => "initialise",
            Self::Pose => "pose",
            Self::Subject => "subject",
            Self::Cameras => "cameras",
            Self::Covariance => "covariance",
        }
    }
}

/// What trajectories are made of.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum TrajectoryKind {
    /// Cubic B-splines, by the second-order solver.
    #[default]
    BSpline,
    /// Networks of time, by descent.
    #[cfg(feature = "learn")]
    Mlp(Box<NetworkOptions>),
}

impl TrajectoryKind {
    /// Whether the fit has priors that hold what nothing observes: without them there are no deviations.
    pub(super) fn has_priors(&self) -> bool {
        match self {
            Self::BSpline => true,
            #[cfg(feature = "learn")]
            Self::Mlp(options) => options.objective == Objective::Posterior,
        }
    }
}

/// Which first-order method.
#[cfg(feature = "learn")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// Adam with decoupled weight decay.
    Adam,
    /// Limited-memory BFGS over all frames.
    Lbfgs,
}

/// What is minimised.
#[cfg(feature = "learn")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Objective {
    /// The posterior that the B-spline's fit maximises, noise and smoothness estimated.
    Posterior,
    /// The published method's: the mean of Huber's loss (5 px) of all detections, and 100/m² times the sum of the squared offsets; nothing is known of scales or cameras before. Where
    /// the published program weighs the distance with a detection's confidence, its loss is weighed here.
    Published,
}

/// Where networks begin.
#[cfg(feature = "learn")]
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkStart {
    /// At random, about the mean place and heading of the subject in the first guess: as the published method does. Movements that turn may be learnt the wrong way round.
    Random,
    /// At the poses of the first guess, with which the B-spline's fit begins, too.
    Guess,
    /// At the B-spline's fit.
    BSpline,
    /// At networks of an earlier fit, whose sizes they keep: one for each trial, found by its name.
    Saved(Vec<SavedNetwork>),
}

/// A network's file.
#[cfg(feature = "learn")]
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SavedNetwork {
    /// Trial it is for.
    pub trial: String,
    /// For messages.
    #[serde(skip)]
    pub path: PathBuf,
    /// SHA-256 of the file.
    digest: String,
    #[serde(skip)]
    bytes: Arc<Vec<u8>>,
}

#[cfg(feature = "learn")]
impl SavedNetwork {
    /// The content of a file.
    pub fn new(trial: &str, path: &Path, bytes: Vec<u8>) -> Self {
        let digest = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
        Self { trial: trial.into(), path: path.into(), digest, bytes: Arc::new(bytes) }
    }

    /// What is in it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Options of a fit by networks.
#[cfg(feature = "learn")]
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NetworkOptions {
    /// Size and encoding.
    pub architecture: Architecture,
    /// Of the random weights that networks have before they are taught anything.
    pub seed: u64,
    /// Where networks begin.
    pub start: NetworkStart,
    /// The method.
    pub optimizer: Optimizer,
    /// Adam's.
    pub adam: AdamOptions,
    /// Costs that are on average this much above the best run away: nats per detection.
    pub runaway: f64,
    /// Rates of each kind of parameter.
    pub rates: Rates,
    /// Share of the networks' rate where they begin at poses, which steps as long as a random start's would leave at once.
    pub taught: f64,
    /// What is minimised.
    pub objective: Objective,
    /// What counts beside the observations.
    pub terms: Terms,
    /// Frames of a step; `None` for all.
    pub mini_batch: Option<MiniBatch>,
    /// Steps between estimates of noise and smoothness, until these have settled.
    pub round: u64,
    /// Steps that are usually enough, for progress bars.
    pub expected_steps: u64,
    /// Steps after which the fit is given as it is.
    pub max_steps: u64,
}

#[cfg(feature = "learn")]
impl Default for NetworkOptions {
    fn default() -> Self {
        Self {
            architecture: Architecture::small(),
            seed: 0,
            start: NetworkStart::Guess,
            optimizer: Optimizer::Adam,
            adam: AdamOptions::default(),
            rates: Rates {
                network: 3e-3,
                decay: 1e-5,
                scales: (2e-3, 100),
                offsets: (5e-4, 300),
                cameras: (5e-4, 300),
            },
            taught: 1.0 / 3.0,
            runaway: 1.0,
            objective: Objective::Posterior,
            terms: Terms::default(),
            mini_batch: None,
            round: 200,
            expected_steps: 6000,
            max_steps: 30_000,
        }
    }
}

#[cfg(feature = "learn")]
impl NetworkOptions {
    /// Height of the networks' rate.
    pub fn network_rate(&self) -> f64 {
        match self.start {
            NetworkStart::Random => self.rates.network,
            NetworkStart::Guess | NetworkStart::BSpline | NetworkStart::Saved(_) => self.taught * self.rates.network,
        }
    }

    /// The published method's own conditions (Cotton 2024, arXiv 2402.17192, and the released program): its network, objective, rates and steps; no priors but its own, so that size and
    /// place of everything drift. Where the sources do not say, when cameras begin to move, a tenth of the steps.
    pub fn published() -> Self {
        const STEPS: u64 = 25_000;
        const RATE: f64 = 1e-4;
        // From 1e-4 to 1e-7.
        let half_life = STEPS as f64 / 1e3f64.log2();
        Self {
            architecture: Architecture::published(),
            start: NetworkStart::Random,
            adam: AdamOptions {
                beta: [0.8, 0.999],
                longest: Some(0.1),
                schedule: Schedule { warm_up: 0, half_life, window: u64::MAX, plateau: 0.0, doubt: 0.0, faded: 0.0 },
                ..AdamOptions::default()
            },
            rates: Rates {
                network: RATE,
                decay: 1e-5,
                scales: (RATE, 0),
                offsets: (RATE, 0),
                cameras: (RATE, STEPS / 10),
            },
            runaway: f64::INFINITY,
            objective: Objective::Published,
            terms: Terms { smoothness: false, poses: false },
            expected_steps: STEPS,
            max_steps: STEPS,
            ..Self::default()
        }
    }
}

/// Told of the stage, the share of the fit that is done (0..1), and the cost.
pub type FitProgress = Arc<dyn Fn(Stage, f64, f64) + Send + Sync>;

/// Keeps a checkpoint: the bytes of a file.
pub type KeepCheckpoint = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// Options of [`crate::fit_session`]. The defaults suit a session of a walking adult as well as one of a gymnast.
#[derive(Clone, Serialize)]
pub struct FitOptions {
    /// Refine the cameras under their prior.
    pub refine_cameras: bool,
    /// Fit the sizes of the segments; `false` for a model that has the subject's size.
    pub scales: bool,
    /// Fit marker offsets.
    pub offsets: bool,
    /// Compute standard deviations.
    pub covariance: bool,
    /// The model; `None` for the built-in body.
    #[serde(skip)]
    pub skeleton: Option<Skeleton>,
    /// Scale groups; `None` for the model's usual ones.
    #[serde(skip)]
    pub scale_groups: Option<ScaleGroups>,
    /// Standard deviation of each scale parameter where its group states none.
    pub scale_sd: f64,
    /// Standard deviation of a marker's offset along each axis, metres.
    pub offset_sd: f64,
    /// How far calibrations of single cameras are off.
    pub extrinsics: ExtrinsicsPrior,
    /// How far the rig as a whole is off, size included.
    pub gauge: GaugePrior,
    /// What trajectories are made of.
    pub trajectory: TrajectoryKind,
    /// Time between control points, seconds, but never shorter than a frame.
    pub knot_spacing: f64,
    /// Loss of a detection's error.
    pub loss: RobustLoss,
    /// Standard deviation of a rotational coordinate about its default, once per trial, radians; a sixth of the coordinate's range where that is less. So wide that it decides only what
    /// keypoints hardly do.
    pub pose_sd: f64,
    /// Overshoot of a joint limit that costs one standard deviation, radians.
    pub limit_softness: f64,
    /// Most iterations of the final minimisation.
    pub max_iterations: u64,
    /// Asks the fit to stop; the best so far is returned as `usable`.
    #[serde(skip)]
    pub stop: Option<StopFlag>,
    /// Told of progress.
    #[serde(skip)]
    pub progress: Option<FitProgress>,
    /// Given, every now and then, what is needed to go on from there. Networks only: others take seconds.
    #[serde(skip)]
    pub checkpoint: Option<KeepCheckpoint>,
    /// What `checkpoint` was given last.
    #[serde(skip)]
    pub resume: Option<Arc<Vec<u8>>>,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self {
            refine_cameras: true,
            scales: true,
            offsets: true,
            covariance: true,
            skeleton: None,
            scale_groups: None,
            scale_sd: 0.1,
            offset_sd: 0.01,
            extrinsics: ExtrinsicsPrior { rotation_sd: 0.25f64.to_radians(), position_sd: 0.01, dof: 1.0 },
            gauge: GaugePrior { rotation_sd: 0.5f64.to_radians(), position_sd: 0.02, size_sd: 0.005 },
            trajectory: TrajectoryKind::BSpline,
            knot_spacing: 1.0 / 30.0,
            loss: RobustLoss::Contaminated { dof: 10.0, kappa: 1e-4 },
            pose_sd: 1.0,
            limit_softness: 5f64.to_radians(),
            max_iterations: 60,
            stop: None,
            progress: None,
            checkpoint: None,
            resume: None,
        }
    }
}
