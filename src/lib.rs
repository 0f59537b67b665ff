//! Joint angles, bone lengths and camera positions, with error bars, from what several cameras saw of a person.
//!
//! Everything here serves one equation:
//!
//! ```text
//! argmin      Σ      Σ      w·ρ( ‖ π( Cᶜ , p_k( q_φ(t + τ_c), s, o ) ) − u_ckt ‖ / σ )  +  priors(φ, s, o, C, τ)
//! φ,s,o,C,τ  trials  c,k,t
//! ```
//!
//! | symbol | what it is | unit | where |
//! |---|---|---|---|
//! | `u_ckt`, `w` | keypoint `k` seen by camera `c` in frame `t`, and its confidence | px, 0..1 | [`session`] |
//! | `q_φ(t)` | the pose, a function of continuous time with parameters φ | rad, m | [`trajectory`] |
//! | `p_k(q, s, o)` | position of a marker: the skeleton's forward kinematics with body scales `s` and marker offsets `o` | m | [`skeleton`], [`kinematics`] |
//! | `π`, `C`, `τ_c` | projection through a lens; where the camera stands; its clock | px, m, s | [`camera`] |
//! | `ρ`, priors | robust loss; joint limits, smoothness, scales, offsets, calibration | – | [`math::robust`], [`residual`] |
//! | `σ` | noise of each camera and keypoint, estimated from the residuals | px | [`solve::update_noise`] |
//! | `argmin` | Levenberg–Marquardt on a block-banded, bordered system; covariances from its inverse; descent for networks | – | [`solve`] |
//!
//! [`fit_session`] minimises it over all trials of a session at once, with nothing to tune beforehand. [`quality`] holds the
//! figures of a result, [`report`] its files and pages, [`synthetic`] sessions whose truth is known, [`cli`] the `kinefit` command.
//!
//! # From a session to joint angles
//!
//! ```
//! use kinefit::fit::{FitOptions, Status, default_skeleton};
//! use kinefit::skeleton::ScaleGroups;
//! use kinefit::synthetic::{SyntheticOptions, generate};
//! use kinefit::fit_session;
//!
//! # fn main() -> kinefit::Result<()> {
//! // Somebody walks before four cameras, whose detector errs by 3 px. A recording is read by
//! // `kinefit::session::read(path, &ReadOptions::default())?` instead.
//! let skeleton = default_skeleton()?;
//! let groups = ScaleGroups::default_for(&skeleton);
//! let recording = generate(&skeleton, &groups, &SyntheticOptions { frames: 20, ..Default::default() })?;
//!
//! let fit = fit_session(&recording.session, &FitOptions::default())?;
//! assert_ne!(fit.status, Status::Failed, "{}", fit.reason);
//!
//! // Joint angles of every frame, radians, each with its standard deviation.
//! let trial = &fit.trials[0];
//! let knee = skeleton.coordinate("knee_angle_r").expect("the built-in body has knees").index();
//! let (angle, sd) = (trial.q[10][knee], trial.q_sd[10][knee]);
//! println!("right knee in frame 10: {:.1}° ± {:.1}°", angle.to_degrees(), sd.unwrap_or(f64::NAN).to_degrees());
//!
//! // How long the bones are against the model's, how tall the person, where the cameras really stood.
//! for scale in &fit.scale_groups {
//!     println!("{}: {:.3} ± {:.3}", scale.group, scale.factor, scale.sd);
//! }
//! println!("{:.2} m tall; {} cameras", fit.height_m.unwrap_or(f64::NAN), fit.rig.len());
//! println!("half of all detections within {:.1} px", trial.reprojection.all.median_px);
//!
//! // Here the truth is known: the knee is found to a few degrees.
//! let truth = recording.truth.trials[0].coordinates[10][knee];
//! assert!((angle - truth).abs() < 10f64.to_radians());
//! # Ok(())
//! # }
//! ```
//!
//! With the feature `learn` the pose may be a network of time instead of a B-spline (`trajectory::mlp`, `solve::first_order`).
//!
//! The numbered programs in `examples/` lead there from a single pose.
//!
//! # Conventions
//!
//! - **Units** are SI: metres, radians, seconds, and pixels. Degrees and millimetres exist in files only, and in names that say
//!   so (`_deg`, `_mm`).
//! - **Frames.** A transform that maps coordinates in `a` to coordinates in `b` is `b_from_a`, a point is `knee_in_world`; products
//!   read by adjacent names. Camera axes are x right, y down, z forward; pixels count from the top left corner of the
//!   distorted image. A session's world is the calibration's; the model's *ground* has its own vertical, and results are in ground
//!   except for cameras.
//! - **Perturbations** of rotations and rigid transforms are on the left, in the order `[rotation; translation]`: see [`math`].
//! - **Quaternions** that cross a border are `w x y z`.
//! - **Missing** is confidence 0 going in; no NaN comes out.
//! - **Errors** ([`Error`]) name the file and the place in it, what was expected, and what to do.
//! - Sums are reduced in a fixed order: a rerun gives the same bits at any number of threads.

// Allowed where a SIMD or CUDA border needs it, there alone and with its reason.
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod camera;
pub mod cli;
pub mod error;
pub mod fit;
pub mod kinematics;
pub mod math;
pub mod quality;
pub mod report;
pub mod residual;
pub mod session;
pub mod skeleton;
pub mod solve;
pub mod synthetic;
pub mod trajectory;

pub use error::{Error, Result};
pub use fit::fit_session;
