//! What is free, what is known, and how it is solved.

use crate::math::robust::RobustLoss;
use crate::residual::extrinsics::ExtrinsicsPrior;
use crate::residual::gauge::GaugePrior;
use crate::skeleton::{ScaleGroups, Skeleton};
use crate::solve::StopFlag;
use serde::Serialize;
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

/// Told of the stage, the share of the fit that is done (0..1), and the cost.
pub type FitProgress = Arc<dyn Fn(Stage, f64, f64) + Send + Sync>;

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
    /// Time between control points, seconds, but never shorter than a frame.
    pub knot_spacing: f64,
    /// Loss of a detection's error.
    pub loss: RobustLoss,
    /// Standard deviation of a rotational coordinate about its default, once per trial, radians: so wide that it decides only what no keypoint does.
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
            knot_spacing: 1.0 / 30.0,
            loss: RobustLoss::Contaminated { dof: 10.0, kappa: 1e-4 },
            pose_sd: 1.0,
            limit_softness: 5f64.to_radians(),
            max_iterations: 60,
            stop: None,
            progress: None,
        }
    }
}
