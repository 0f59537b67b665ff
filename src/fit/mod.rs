//! From a session to a fitted subject: initialise → pose → subject → cameras.
//!
//! [`fit_session`] minimises the equation of this library over everything at once, by stages that each start from the last: first trajectory and scales from the triangulated guess,
//! then marker offsets, then the cameras. Between rounds the noise of each camera and keypoint and the smoothness of each coordinate
//! are estimated from the residuals, so that nothing about detector or movement has to be known.
//!
//! With [`TrajectoryKind`] `Mlp` (feature `learn`) the same objective is descended along its gradient, with networks of time in the place of B-splines.

mod adrift;
mod build;
#[cfg(feature = "learn")]
mod checkpoint;
#[cfg(feature = "learn")]
mod descent;
mod evaluation;
mod exchanged;
mod initialise;
mod inverse_kinematics;
mod lost;
mod marker_problem;
mod markers;
mod options;
mod outcome;
mod result;
mod run;
mod scaling;
mod stages;
mod superpose;
mod verdict;

pub use crate::session::ground_from_world;
pub use exchanged::Exchange;
pub use inverse_kinematics::{IkFit, IkFrame, UNOBSERVED_SD, UNOBSERVED_SD_M, Unobserved, inverse_kinematics};
pub use markers::{MarkerFit, MarkerTrialFit, fit_markers};
pub use options::{FitOptions, FitProgress, KeepCheckpoint, Stage, TrajectoryKind};
#[cfg(feature = "learn")]
pub use options::{NetworkOptions, NetworkStart, Objective, Optimizer, SavedNetwork};
pub use outcome::{CameraFit, OffsetFit, ScaleFit, SessionFit, Status, Timings, TrialFit, seeing, undecided};
pub use scaling::{MeasuredScales, MeasurementOutcome, PairLengths, PlacedMarkers, measured_scales, place_markers};
pub use stages::{default_scale_groups, default_skeleton, fit_session};
