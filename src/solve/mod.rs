//! The second-order solver: problem, linearisation into the arrow system, Levenberg–Marquardt on argmin's traits, noise and
//! smoothness estimated from the data, covariances.
//!
//! The order of DESIGN's solver: observations of all cameras collapse into 3×3 information per marker; those, by body, into 6×6 information about the world's origin;
//! twists of the degrees of freedom, and what scales move, pull them into joint space; B-spline weights spread the frame's block over the band;
//! scales, offsets and extrinsics are the border.

mod bend;
mod corner;
mod covariance;
mod evidence;
#[cfg(feature = "learn")]
pub mod first_order;
mod frame;
mod inverse_kinematics;
mod levenberg;
mod linearise;
mod posed;
mod problem;
mod residuals;
mod scale_sums;
mod spatial;
#[cfg(test)]
pub(super) mod tests;

pub use covariance::{Uncertainty, uncertainty, uncertainty_in};
pub use evidence::{
    EvidenceOptions, Observed, observed, offset_sd, update_noise, update_point_noise, update_smoothness,
};
pub use inverse_kinematics::{
    CoordinateGoal, IkOutcome, IkVariances, IkWorkspace, InverseKinematics, tangent_of_angles,
};
pub use levenberg::{LevenbergMarquardt, Progress, SolveOptions, SolveOutcome, StopFlag, solve, solve_in};
pub use linearise::{Linearisation, Workspace, linearise};
pub use problem::{BorderLayout, Free, Hyperparameters, Parameters, Priors, Problem, StaturePrior, TrialProblem};
pub use residuals::{PixelResidual, PointResidual};
