//! The pose as an implicit function of time: parameters φ → q(t), q̇(t), q̈(t).
//!
//! Rotors (free roots, ball joints) are kept as rotations, never as angles, so that a subject who turns twice or passes through an
//! Euler singularity is fitted as well as one who walks. Their rates, and all derivatives, are left tangent vectors
//! in the frame before the rotation; a rotor takes three degrees of freedom.

mod approximate;
mod bspline;
#[cfg(feature = "learn")]
pub mod mlp;

pub use approximate::{between, nearest_spline};
pub use bspline::{BSpline, Layout};

use nalgebra::{Matrix3, Rotation3};

/// The pose at one time, as forward kinematics wants it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pose {
    /// One value per coordinate, file order; those of rotors and of dependent coordinates are not set.
    pub q: Vec<f64>,
    /// Rotation of each rotor.
    pub rotors: Vec<Rotation3<f64>>,
}

/// First and second time derivative of the pose, one entry per degree of freedom (angular velocity and acceleration for rotors).
#[derive(Debug, Clone, PartialEq)]
pub struct Rates {
    /// rad/s, m/s.
    pub velocity: Vec<f64>,
    /// rad/s², m/s².
    pub acceleration: Vec<f64>,
}

/// A trajectory with parameters φ. Tangent vectors of φ have [`Trajectory::tangent_len`] entries.
pub trait Trajectory {
    /// Length of a tangent vector of φ.
    fn tangent_len(&self) -> usize;

    /// Writes the pose at time `t`, seconds.
    fn pose(&self, t: f64, out: &mut Pose);

    /// Rates at time `t`.
    fn rates(&self, t: f64, out: &mut Rates);

    /// Jacobian–vector product: how the pose at `t` (per degree of freedom) moves with a tangent of φ.
    fn jvp(&self, t: f64, tangent: &[f64], out: &mut [f64]);

    /// Vector–Jacobian product: adds `Jᵀ·cotangent` to `out`.
    fn vjp(&self, t: f64, cotangent: &[f64], out: &mut [f64]);

    /// Moves φ along a tangent vector.
    fn retract(&mut self, tangent: &[f64]);
}

/// How the controls near a time weigh in the pose there: `∂(pose)/∂(control first + k) = diag(value[k], …)` with the 3×3 block
/// `rotors[r][k]` in the place of rotor `r`.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalWeights {
    /// First control that matters.
    pub first: usize,
    /// How many do.
    pub count: usize,
    /// Scalar weights.
    pub value: [f64; 4],
    /// Rotation weights, `[rotor][control]`.
    pub rotors: Vec<[Matrix3<f64>; 4]>,
}

/// A trajectory whose ∂q/∂φ is local and banded: what the second-order solver needs. φ is a row of `controls` blocks
/// of one entry per degree of freedom.
pub trait LocalTrajectory: Trajectory {
    /// Number of controls.
    fn controls(&self) -> usize;

    /// Half bandwidth of the normal matrix, in controls.
    fn bandwidth(&self) -> usize;

    /// Weights at time `t`.
    fn weights(&self, t: f64, out: &mut LocalWeights);
}
