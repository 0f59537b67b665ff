//! Uniform cubic B-splines over coordinates and rotations.
//!
//! Scalars: `q(t) = Σ_k B_k(t)·c_k`. Rotations: the cumulative form
//!
//! ```text
//! R(t) = Q₀·exp(λ₁d₁)·exp(λ₂d₂)·exp(λ₃d₃),   d_j = log(Q_{j−1}ᵀQ_j),   λ_j = Σ_{i≥j} B_i(t)
//! ```
//!
//! over the four control rotations whose spans meet at `t`: C², local, the same wherever the world's axes point, and without a singular pose. Each control is its
//! own reference: a step perturbs it on the left and the next iteration starts from the moved control, so that nothing is ever far from its anchor and any
//! number of turns is an ordinary trajectory. Sources: Kim, Kim & Shin 1995 (the form); Sommer et al. 2020, arXiv 1911.08860 (rates).

use super::{LocalTrajectory, LocalWeights, Pose, Rates, Trajectory};
use crate::kinematics::Mechanism;
use crate::math::basis::{Degree, Knots};
use crate::math::so3;
use nalgebra::{Matrix3, Rotation3, UnitQuaternion, Vector3};
use std::sync::Arc;

/// How poses are laid out: which coordinate each degree of freedom drives.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// Values of all coordinates before any is set: locked ones keep theirs.
    pub template: Vec<f64>,
    /// Coordinate of each degree of freedom.
    pub coordinates: Vec<usize>,
    /// First of the three degrees of freedom of each rotor; they are the last ones.
    pub rotors: Vec<usize>,
}

impl Layout {
    /// The layout a mechanism wants.
    pub fn new(mechanism: &Mechanism) -> Self {
        Self {
            template: mechanism.skeleton().coordinates.iter().map(|c| c.default).collect(),
            coordinates: mechanism.dofs().iter().map(|c| c.index()).collect(),
            rotors: mechanism.rotor_dofs().to_vec(),
        }
    }

    /// Number of degrees of freedom.
    pub fn dofs(&self) -> usize {
        self.coordinates.len()
    }

    /// Degrees of freedom that are plain numbers: the first ones.
    pub fn scalars(&self) -> usize {
        self.rotors.first().copied().unwrap_or(self.coordinates.len())
    }

    /// A pose with every number at its default, and rotors unturned.
    pub fn default_pose(&self) -> Pose {
        Pose { q: self.template.clone(), rotors: vec![Rotation3::identity(); self.rotors.len()] }
    }

    /// Room for weights.
    pub fn weights(&self) -> LocalWeights {
        LocalWeights { first: 0, count: 0, value: [0.0; 4], rotors: vec![[Matrix3::zeros(); 4]; self.rotors.len()] }
    }
}

/// A trajectory of control poses.
#[derive(Debug, Clone, PartialEq)]
pub struct BSpline {
    layout: Arc<Layout>,
    knots: Knots,
    /// `[control][degree of freedom]`; the places of rotors are 0.
    scalars: Vec<f64>,
    /// `[control][rotor]`.
    rotations: Vec<UnitQuaternion<f64>>,
}

impl BSpline {
    /// The trajectory whose controls are the given poses at the controls' own times (Schoenberg's variation-diminishing approximation: a smooth start, not an
    /// interpolation).
    pub fn through(layout: Arc<Layout>, knots: Knots, mut pose_at: impl FnMut(f64) -> Pose) -> Self {
        let (n, rotors) = (layout.dofs(), layout.rotors.len());
        let mut scalars = vec![0.0; knots.controls() * n];
        let mut rotations: Vec<UnitQuaternion<f64>> = Vec::with_capacity(knots.controls() * rotors);
        for k in 0..knots.controls() {
            let pose = pose_at(knots.control_time(k));
            for j in 0..layout.scalars() {
                scalars[k * n + j] = pose.q[layout.coordinates[j]];
            }
            rotations.extend(pose.rotors.iter().map(UnitQuaternion::from_rotation_matrix));
        }
        Self { layout, knots, scalars, rotations }
    }

    /// The layout.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The knots.
    pub fn knots(&self) -> &Knots {
        &self.knots
    }

    /// Scalar values of control `k`, one per degree of freedom.
    pub fn control_scalars(&self, k: usize) -> &[f64] {
        let n = self.layout.dofs();
        &self.scalars[k * n..(k + 1) * n]
    }

    /// Rotation of rotor `r` at control `k`.
    pub fn control_rotation(&self, k: usize, r: usize) -> &UnitQuaternion<f64> {
        &self.rotations[k * self.layout.rotors.len() + r]
    }

    /// All parameters as a flat vector: scalars, then quaternions `w x y z`. What is checkpointed.
    pub fn to_flat(&self) -> Vec<f64> {
        let quats = self.rotations.iter().flat_map(|q| [q.w, q.i, q.j, q.k]);
        self.scalars.iter().copied().chain(quats).collect()
    }

    /// Takes back what [`BSpline::to_flat`] gave; `None` when the length does not fit.
    pub fn set_flat(&mut self, flat: &[f64]) -> Option<()> {
        if flat.len() != self.scalars.len() + 4 * self.rotations.len() {
            return None;
        }
        let (scalars, quats) = flat.split_at(self.scalars.len());
        self.scalars.copy_from_slice(scalars);
        for (r, q) in self.rotations.iter_mut().zip(quats.chunks_exact(4)) {
            // Kept as stored: normalising again would change the last bit.
            *r = UnitQuaternion::new_unchecked(nalgebra::Quaternion::new(q[0], q[1], q[2], q[3]));
        }
        Some(())
    }

    /// Steps `d_j` between the controls of a span.
    fn steps(&self, first: usize, rotor: usize) -> [Vector3<f64>; 3] {
        std::array::from_fn(|j| {
            let (a, b) = (self.control_rotation(first + j, rotor), self.control_rotation(first + j + 1, rotor));
            so3::log_quaternion(&(a.inverse() * b))
        })
    }

    fn rotation(&self, t: f64, rotor: usize) -> Rotation3<f64> {
        let s = self.knots.support(t);
        let mut r = *self.control_rotation(s.first, rotor);
        if self.knots.degree == Degree::Cubic {
            for (j, d) in self.steps(s.first, rotor).iter().enumerate() {
                r *= UnitQuaternion::from_scaled_axis(d * s.cumulative[0][j + 1]);
            }
        }
        r.to_rotation_matrix()
    }
}

impl Trajectory for BSpline {
    fn tangent_len(&self) -> usize {
        self.scalars.len()
    }

    fn pose(&self, t: f64, out: &mut Pose) {
        let s = self.knots.support(t);
        let n = self.layout.dofs();
        for j in 0..self.layout.scalars() {
            let mut x = 0.0;
            for k in 0..self.knots.degree.support() {
                x += s.value[k] * self.scalars[(s.first + k) * n + j];
            }
            out.q[self.layout.coordinates[j]] = x;
        }
        for r in 0..self.layout.rotors.len() {
            out.rotors[r] = self.rotation(t, r);
        }
    }

    fn rates(&self, t: f64, out: &mut Rates) {
        let s = self.knots.support(t);
        let n = self.layout.dofs();
        let support = self.knots.degree.support();
        for j in 0..self.layout.scalars() {
            let sum = |w: &[f64; 4]| (0..support).map(|k| w[k] * self.scalars[(s.first + k) * n + j]).sum();
            out.velocity[j] = sum(&s.rate);
            out.acceleration[j] = sum(&s.acceleration);
        }
        for (r, &first) in self.layout.rotors.iter().enumerate() {
            // Body frame, factor by factor: ω ← Aᵀω + λ̇d, α ← Aᵀα + λ̇(Aᵀω) × d + λ̈d.
            let (mut omega, mut alpha) = (Vector3::zeros(), Vector3::zeros());
            if self.knots.degree == Degree::Cubic {
                for (j, d) in self.steps(s.first, r).iter().enumerate() {
                    let [l, ld, ldd] = s.cumulative.map(|c| c[j + 1]);
                    let a = so3::exp(&(d * l)).inverse();
                    let turned = a * omega;
                    alpha = a * alpha + turned.cross(d) * ld + d * ldd;
                    omega = turned + d * ld;
                }
            }
            let rotation = self.rotation(t, r);
            out.velocity[first..first + 3].copy_from_slice((rotation * omega).as_slice());
            out.acceleration[first..first + 3].copy_from_slice((rotation * alpha).as_slice());
        }
    }

    fn jvp(&self, t: f64, tangent: &[f64], out: &mut [f64]) {
        let mut w = self.layout.weights();
        self.weights(t, &mut w);
        let n = self.layout.dofs();
        out.fill(0.0);
        for k in 0..w.count {
            let block = &tangent[(w.first + k) * n..(w.first + k + 1) * n];
            for j in 0..self.layout.scalars() {
                out[j] += w.value[k] * block[j];
            }
            for (r, &first) in self.layout.rotors.iter().enumerate() {
                let moved = w.rotors[r][k] * Vector3::from_column_slice(&block[first..first + 3]);
                for i in 0..3 {
                    out[first + i] += moved[i];
                }
            }
        }
    }

    fn vjp(&self, t: f64, cotangent: &[f64], out: &mut [f64]) {
        let mut w = self.layout.weights();
        self.weights(t, &mut w);
        let n = self.layout.dofs();
        for k in 0..w.count {
            let block = &mut out[(w.first + k) * n..(w.first + k + 1) * n];
            for j in 0..self.layout.scalars() {
                block[j] += w.value[k] * cotangent[j];
            }
            for (r, &first) in self.layout.rotors.iter().enumerate() {
                let back = w.rotors[r][k].tr_mul(&Vector3::from_column_slice(&cotangent[first..first + 3]));
                for i in 0..3 {
                    block[first + i] += back[i];
                }
            }
        }
    }

    fn retract(&mut self, tangent: &[f64]) {
        let n = self.layout.dofs();
        let rotors = self.layout.rotors.len();
        for k in 0..self.knots.controls() {
            for j in 0..self.layout.scalars() {
                self.scalars[k * n + j] += tangent[k * n + j];
            }
            for (r, &first) in self.layout.rotors.iter().enumerate() {
                let delta = Vector3::from_column_slice(&tangent[k * n + first..k * n + first + 3]);
                let q = &mut self.rotations[k * rotors + r];
                *q = UnitQuaternion::new_normalize((UnitQuaternion::from_scaled_axis(delta) * *q).into_inner());
            }
        }
    }
}

impl LocalTrajectory for BSpline {
    fn controls(&self) -> usize {
        self.knots.controls()
    }

    fn bandwidth(&self) -> usize {
        self.knots.bandwidth()
    }

    fn weights(&self, t: f64, out: &mut LocalWeights) {
        let s = self.knots.support(t);
        out.first = s.first;
        out.count = self.knots.degree.support();
        out.value = s.value;
        for r in 0..self.layout.rotors.len() {
            let weights = &mut out.rotors[r];
            *weights = [Matrix3::zeros(); 4];
            weights[0].fill_with_identity();
            if self.knots.degree == Degree::Constant {
                continue;
            }
            // δR = δ₀ + Σ M_j(δ_j − δ_{j−1}),  M_j = P_{j−1}·λ_j·J(λ_jd_j)·J⁻¹(d_j)·Q_{j−1}ᵀ.
            let mut p = *self.control_rotation(s.first, r);
            for (j, d) in self.steps(s.first, r).iter().enumerate() {
                let lambda = s.cumulative[0][j + 1];
                let inner = so3::left_jacobian(&(d * lambda)) * so3::left_jacobian_inverse(d) * lambda;
                let q = self.control_rotation(s.first + j, r).to_rotation_matrix();
                let m = p.to_rotation_matrix().matrix() * inner * q.matrix().transpose();
                weights[j] -= m;
                weights[j + 1] += m;
                p *= UnitQuaternion::from_scaled_axis(d * lambda);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};

    fn layout() -> Arc<Layout> {
        Arc::new(Layout { template: vec![0.0; 8], coordinates: vec![0, 7, 1, 2, 3, 4, 5, 6], rotors: vec![2, 5] })
    }

    /// Random controls whose neighbours are up to about 1.2 rad apart.
    fn random(seed: u64, knots: Knots) -> BSpline {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let layout = layout();
        let mut r = [Rotation3::identity(); 2];
        BSpline::through(layout.clone(), knots, |_| {
            let mut pose = layout.default_pose();
            pose.q.iter_mut().for_each(|x| *x = rng.random_range(-1.0..1.0));
            for r in &mut r {
                *r = so3::exp(&Vector3::from_fn(|_, _| rng.random_range(-0.7..0.7))) * *r;
            }
            pose.rotors = r.to_vec();
            pose
        })
    }

    fn difference(a: &Pose, b: &Pose, layout: &Layout) -> Vec<f64> {
        let mut d: Vec<f64> =
            (0..layout.scalars()).map(|j| a.q[layout.coordinates[j]] - b.q[layout.coordinates[j]]).collect();
        for (x, y) in a.rotors.iter().zip(&b.rotors) {
            d.extend(so3::log(&(x * y.inverse())).iter());
        }
        d
    }

    proptest! {
        #[test]
        fn derivatives_agree_with_differences(seed in 0u64..50, t in 0.0..2.0f64) {
            for knots in [Knots::cubic(61, 30.0, 0.2), Knots::independent(61, 30.0)] {
                let spline = random(seed, knots);
                let layout = layout();
                let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed + 1000);
                let tangent: Vec<f64> = (0..spline.tangent_len()).map(|_| rng.random_range(-1.0..1.0)).collect();
                let at = |spline: &BSpline, t: f64| { let mut p = layout.default_pose(); spline.pose(t, &mut p); p };
                let moved = |h: f64| { let mut s = spline.clone(); s.retract(&tangent.iter().map(|x| x * h).collect::<Vec<_>>()); at(&s, t) };
                // Step 1e-5: truncation 1e-10 times third derivatives of order 10, rounding 1e-11.
                let h = 1e-5;
                let numeric: Vec<f64> = difference(&moved(h), &moved(-h), &layout).iter().map(|x| x / (2.0 * h)).collect();
                let mut exact = vec![0.0; 8];
                spline.jvp(t, &tangent, &mut exact);
                for (a, b) in numeric.iter().zip(&exact) {
                    prop_assert!((a - b).abs() < 1e-7, "{a} {b}");
                }
                // The transpose: ⟨y, J x⟩ = ⟨Jᵀy, x⟩.
                let y: Vec<f64> = (0..8).map(|_| rng.random_range(-1.0..1.0)).collect();
                let mut back = vec![0.0; spline.tangent_len()];
                spline.vjp(t, &y, &mut back);
                let left: f64 = y.iter().zip(&exact).map(|(a, b)| a * b).sum();
                let right: f64 = back.iter().zip(&tangent).map(|(a, b)| a * b).sum();
                prop_assert!((left - right).abs() < 1e-12);
            }
        }

        #[test]
        fn rates_agree_with_differences(seed in 0u64..50, t in 0.01..1.99f64) {
            let spline = random(seed, Knots::cubic(61, 30.0, 0.2));
            let layout = layout();
            let at = |t: f64| { let mut p = layout.default_pose(); spline.pose(t, &mut p); p };
            let rates = |t: f64| { let mut r = Rates { velocity: vec![0.0; 8], acceleration: vec![0.0; 8] }; spline.rates(t, &mut r); r };
            let h = 1e-5;
            let velocity: Vec<f64> = difference(&at(t + h), &at(t - h), &layout).iter().map(|x| x / (2.0 * h)).collect();
            let exact = rates(t);
            let (before, after) = (rates(t - h), rates(t + h));
            // Derivatives scale with 1/spacing: third ones reach 1e3 and jump at a knot, so that an acceleration's difference across one errs by up to h·1e4.
            for j in 0..8 {
                prop_assert!((velocity[j] - exact.velocity[j]).abs() < 1e-5);
                let acceleration = (after.velocity[j] - before.velocity[j]) / (2.0 * h);
                prop_assert!((acceleration - exact.acceleration[j]).abs() < 0.2, "{} {}", acceleration, exact.acceleration[j]);
            }
        }

        #[test]
        fn a_rigid_motion_of_the_world_turns_the_rotations(seed in 0u64..50, t in 0.0..2.0f64, x in -3.0..3.0f64) {
            let spline = random(seed, Knots::cubic(61, 30.0, 0.2));
            let turn = so3::exp(&Vector3::new(x, 0.5, -x));
            let mut turned = spline.clone();
            for q in &mut turned.rotations {
                *q = UnitQuaternion::from_rotation_matrix(&turn) * *q;
            }
            prop_assert!((turned.rotation(t, 0).matrix() - (turn * spline.rotation(t, 0)).matrix()).norm() < 1e-13);
        }
    }

    #[test]
    fn two_full_turns_are_an_ordinary_trajectory() {
        let layout = layout();
        let knots = Knots::cubic(121, 60.0, 0.1);
        let spline = BSpline::through(layout.clone(), knots, |t| {
            let mut pose = layout.default_pose();
            pose.rotors = vec![so3::exp(&Vector3::new(0.0, std::f64::consts::TAU * t, 0.0)); 2];
            pose
        });
        let mut rates = Rates { velocity: vec![0.0; 8], acceleration: vec![0.0; 8] };
        for f in 10..110 {
            spline.rates(f as f64 / 60.0, &mut rates);
            assert!((rates.velocity[3] - std::f64::consts::TAU).abs() < 1e-9);
        }
    }

    #[test]
    fn flat_form_comes_back_bit_for_bit() {
        let spline = random(3, Knots::cubic(61, 30.0, 0.2));
        let mut other = random(4, Knots::cubic(61, 30.0, 0.2));
        other.set_flat(&spline.to_flat()).unwrap();
        assert_eq!(spline, other);
        assert!(other.set_flat(&[1.0]).is_none());
    }
}
