//! From a session to a fitted subject: initialise → pose → subject → cameras.

mod outcome;

pub use outcome::{CameraFit, OffsetFit, ScaleFit, SessionFit, Status, Timings, TrialFit};
