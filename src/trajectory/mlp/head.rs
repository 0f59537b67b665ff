//! From a network's outputs to a pose.
//!
//! | degree of freedom | outputs | pose |
//! |---|---|---|
//! | a number with a range | 1 | `mid + half·tanh y` |
//! | another number | 1 | `centre + y` |
//! | a rotor | 6 | `a = y₁…₃`, `b = y₄…₆`: the first two columns of R after Gram and Schmidt |
//!
//! Six numbers are the fewest that make every rotation a smooth function of them (Zhou et al. 2019, arXiv 1812.07035). With `e₁e₂e₃` the columns of R and
//! `u = b − (e₁·b)·e₁`, the angular velocity is
//!
//! ```text
//! ω = p·e₃ − q·e₂ + r·e₁,    p = ȧ·e₂/‖a‖,   q = ȧ·e₃/‖a‖,   r = (ḃ·e₃ − (e₁·b)·q)/‖u‖,      ω̇ = ṗ·e₃ − q̇·e₂ + ṙ·e₁
//! ```

use super::super::{Layout, Pose, Rates};
use crate::kinematics::Mechanism;
use crate::skeleton::Motion;
use nalgebra::{Matrix3, Rotation3, Vector3};
use serde::{Deserialize, Serialize};

/// Outputs of a rotor.
const ROTOR: usize = 6;

/// Shorter than this, a direction is nobody's.
const SHORTEST: f64 = 1e-9;

/// Share of the squashing's height beyond which outputs are not looked for: there it is flat.
const STEEP: f64 = 0.98;

/// How far past a range the squashing reaches where the objective has limits of its own: overshoot, radians and metres, that these make unlikely.
const OVERSHOOT: (f64, f64) = (0.3, 0.03);

/// How a number is made of an output.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Squash {
    /// Between `mid − half` and `mid + half`.
    Within { mid: f64, half: f64 },
    /// Anything, counted from a centre.
    About(f64),
}

/// Makes poses of outputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Head {
    squash: Vec<Squash>,
    coordinates: Vec<usize>,
    rotors: Vec<usize>,
    /// What outputs begin at.
    bias: Vec<f64>,
}

impl Head {
    /// For poses near `usual` at first. With `soft`, ranges are widened, for objectives that hold joints inside by a prior that may be overruled, as limits in a model file may.
    pub fn new(mechanism: &Mechanism, layout: &Layout, usual: &Pose, soft: bool) -> Self {
        let coordinates = layout.coordinates[..layout.scalars()].to_vec();
        let mut bias = Vec::new();
        let mut squash = Vec::new();
        for &c in &coordinates {
            let coordinate = &mechanism.skeleton().coordinates[c];
            let wider = match (soft, coordinate.motion) {
                (false, _) => 0.0,
                (true, Motion::Translational) => OVERSHOOT.1,
                (true, _) => OVERSHOOT.0,
            };
            match coordinate.range {
                Some([low, high]) if high > low => {
                    let (mid, half) = (0.5 * (low + high), 0.5 * (high - low) + wider);
                    // Not where the squashing is flat, or nothing would pull it out.
                    bias.push(((usual.q[c] - mid) / half).clamp(-0.9, 0.9).atanh());
                    squash.push(Squash::Within { mid, half });
                }
                _ => {
                    bias.push(0.0);
                    squash.push(Squash::About(usual.q[c]));
                }
            }
        }
        for r in &usual.rotors {
            bias.extend(r.matrix().columns(0, 2).iter());
        }
        Self { squash, coordinates, rotors: layout.rotors.clone(), bias }
    }

    /// The first number that another head keeps to another range, by its place among the degrees of freedom.
    pub fn other_range(&self, other: &Self) -> Option<usize> {
        let range = |s: &Squash| match *s {
            Squash::Within { mid, half } => Some((mid, half)),
            Squash::About(_) => None,
        };
        let near = |a: (f64, f64), b: (f64, f64)| (a.0 - b.0).abs() + (a.1 - b.1).abs() < 1e-9;
        self.squash.iter().zip(&other.squash).position(|(a, b)| match (range(a), range(b)) {
            (Some(a), Some(b)) => !near(a, b),
            (a, b) => a.is_some() != b.is_some(),
        })
    }

    /// Whether this is a head for such poses, in numbers.
    pub(super) fn fits(&self, layout: &Layout) -> bool {
        let finite = |s: &Squash| match s {
            Squash::Within { mid, half } => mid.is_finite() && half.is_finite(),
            Squash::About(centre) => centre.is_finite(),
        };
        self.coordinates == layout.coordinates[..layout.scalars()]
            && self.rotors == layout.rotors
            && self.squash.len() == self.coordinates.len()
            && self.squash.iter().all(finite)
            && self.bias.len() == self.squash.len() + ROTOR * self.rotors.len()
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// What the last layer's biases begin at.
    pub fn bias(&self) -> &[f64] {
        &self.bias
    }

    /// Writes the pose.
    pub fn pose(&self, y: &[f64], out: &mut Pose) {
        for ((&c, s), &y) in self.coordinates.iter().zip(&self.squash).zip(y) {
            out.q[c] = match s {
                Squash::Within { mid, half } => mid + half * y.tanh(),
                Squash::About(centre) => centre + y,
            };
        }
        for (r, six) in out.rotors.iter_mut().zip(y[self.squash.len()..].chunks_exact(ROTOR)) {
            *r = Frame::new(six).rotation();
        }
    }

    /// Outputs that make a pose, or one as near as squashing is steep: of the many that make a rotation those of length 1, which follow it smoothly however far it turns.
    pub fn outputs_of(&self, pose: &Pose) -> Vec<f64> {
        let numbers = self.coordinates.iter().zip(&self.squash).map(|(&c, s)| match s {
            Squash::Within { mid, half } => ((pose.q[c] - mid) / half).clamp(-STEEP, STEEP).atanh(),
            Squash::About(centre) => pose.q[c] - centre,
        });
        let rotations = pose.rotors.iter().flat_map(|r| r.matrix().columns(0, 2).iter().copied().collect::<Vec<_>>());
        numbers.chain(rotations).collect()
    }

    /// By how much, at most, the pose changes with each output.
    pub fn steepest(&self) -> Vec<f64> {
        let numbers = self.squash.iter().map(|s| match s {
            Squash::Within { half, .. } => *half,
            Squash::About(_) => 1.0,
        });
        numbers.chain(vec![1.0; ROTOR * self.rotors.len()]).collect()
    }

    /// Tangent of the pose for a tangent of the outputs.
    pub fn push(&self, y: &[f64], y_tangent: &[f64], out: &mut [f64]) {
        for (j, s) in self.squash.iter().enumerate() {
            out[j] = s.slope(y[j]) * y_tangent[j];
        }
        let first = self.squash.len();
        for (i, &at) in self.rotors.iter().enumerate() {
            let range = first + ROTOR * i..first + ROTOR * (i + 1);
            let omega = Frame::new(&y[range.clone()]).angular(&y_tangent[range]).0;
            out[at..at + 3].copy_from_slice(omega.as_slice());
        }
    }

    /// The transpose: writes the gradient in the outputs of a gradient in the pose.
    pub fn pull(&self, y: &[f64], gradient: &[f64], out: &mut [f64]) {
        for (j, s) in self.squash.iter().enumerate() {
            out[j] = s.slope(y[j]) * gradient[j];
        }
        let first = self.squash.len();
        for (i, &at) in self.rotors.iter().enumerate() {
            let range = first + ROTOR * i..first + ROTOR * (i + 1);
            let g = Vector3::from_column_slice(&gradient[at..at + 3]);
            Frame::new(&y[range.clone()]).pull(&g, &mut out[range]);
        }
    }

    /// Rates of the pose from the outputs and their derivatives in time.
    pub fn rates(&self, [y, yd, ydd]: [&[f64]; 3], out: &mut Rates) {
        for (j, s) in self.squash.iter().enumerate() {
            let slope = s.slope(y[j]);
            out.velocity[j] = slope * yd[j];
            out.acceleration[j] = slope * ydd[j] + s.bend(y[j]) * yd[j] * yd[j];
        }
        let first = self.squash.len();
        for (i, &at) in self.rotors.iter().enumerate() {
            let range = first + ROTOR * i..first + ROTOR * (i + 1);
            let frame = Frame::new(&y[range.clone()]);
            let (omega, alpha) = frame.rates(&yd[range.clone()], &ydd[range]);
            out.velocity[at..at + 3].copy_from_slice(omega.as_slice());
            out.acceleration[at..at + 3].copy_from_slice(alpha.as_slice());
        }
    }
}

impl Squash {
    fn slope(&self, y: f64) -> f64 {
        match self {
            Self::Within { half, .. } => half * (1.0 - y.tanh().powi(2)),
            Self::About(_) => 1.0,
        }
    }

    fn bend(&self, y: f64) -> f64 {
        match self {
            Self::Within { .. } => -2.0 * y.tanh() * self.slope(y),
            Self::About(_) => 0.0,
        }
    }
}

/// Gram and Schmidt of six numbers.
struct Frame {
    e: [Vector3<f64>; 3],
    b: Vector3<f64>,
    /// ‖a‖, ‖u‖.
    a_length: f64,
    u_length: f64,
}

impl Frame {
    fn new(six: &[f64]) -> Self {
        let (a, b) = (Vector3::from_column_slice(&six[..3]), Vector3::from_column_slice(&six[3..6]));
        let a_length = a.norm().max(SHORTEST);
        let e1 = a.try_normalize(SHORTEST).unwrap_or_else(Vector3::x);
        let u = b - e1 * e1.dot(&b);
        let u_length = u.norm().max(SHORTEST);
        let across = if e1.x.abs() < 0.9 { Vector3::x() } else { Vector3::y() };
        let e2 = u.try_normalize(SHORTEST).unwrap_or_else(|| e1.cross(&across).normalize());
        Self { e: [e1, e2, e1.cross(&e2)], b, a_length, u_length }
    }

    fn rotation(&self) -> Rotation3<f64> {
        Rotation3::from_matrix_unchecked(Matrix3::from_columns(&self.e))
    }

    /// `ω` and its components `p, q, r`.
    fn angular(&self, tangent: &[f64]) -> (Vector3<f64>, [f64; 3]) {
        let (ad, bd) = (Vector3::from_column_slice(&tangent[..3]), Vector3::from_column_slice(&tangent[3..6]));
        let [e1, e2, e3] = &self.e;
        let (p, q) = (ad.dot(e2) / self.a_length, ad.dot(e3) / self.a_length);
        let r = (bd.dot(e3) - e1.dot(&self.b) * q) / self.u_length;
        (e3 * p - e2 * q + e1 * r, [p, q, r])
    }

    fn pull(&self, g: &Vector3<f64>, out: &mut [f64]) {
        let [e1, e2, e3] = &self.e;
        let [g1, g2, g3] = [g.dot(e1), g.dot(e2), g.dot(e3)];
        let a = (e2 * g3 - e3 * (g2 + g1 * e1.dot(&self.b) / self.u_length)) / self.a_length;
        out[..3].copy_from_slice(a.as_slice());
        out[3..6].copy_from_slice((e3 * (g1 / self.u_length)).as_slice());
    }

    fn rates(&self, tangent: &[f64], second: &[f64]) -> (Vector3<f64>, Vector3<f64>) {
        let (omega, [p, q, r]) = self.angular(tangent);
        let (ad, bd) = (Vector3::from_column_slice(&tangent[..3]), Vector3::from_column_slice(&tangent[3..6]));
        let (add, bdd) = (Vector3::from_column_slice(&second[..3]), Vector3::from_column_slice(&second[3..6]));
        let [e1, e2, e3] = &self.e;
        let [e1d, e2d, e3d] = [omega.cross(e1), omega.cross(e2), omega.cross(e3)];
        let along = e1.dot(&self.b);
        let stretch = e1.dot(&ad) / self.a_length;
        let pd = (add.dot(e2) + ad.dot(&e2d)) / self.a_length - p * stretch;
        let qd = (add.dot(e3) + ad.dot(&e3d)) / self.a_length - q * stretch;
        let u_stretch = (e2.dot(&bd) - along * e2.dot(&e1d)) / self.u_length;
        let rd = (bdd.dot(e3) + bd.dot(&e3d) - (e1d.dot(&self.b) + e1.dot(&bd)) * q - along * qd) / self.u_length
            - r * u_stretch;
        (omega, e3 * pd - e2 * qd + e1 * rd)
    }
}
