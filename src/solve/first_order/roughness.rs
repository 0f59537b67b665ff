//! Smoothness of poses in neighbouring frames, for trajectories without controls.
//!
//! The B-spline's prior is on third differences of controls. Poses `v` at the knots' own distance are smoothed controls, `v = c + Δ²c/6`, so that their third differences are smaller, at half
//! the Nyquist frequency by a half; what is taken here are those of the controls of the spline through the poses, its inverse weights to second order:
//!
//! ```text
//! c = v − Δ²v/6 + Δ⁴v/36,      r = Δ²d − Δ⁴d/6 + Δ⁶d/36,      d_k = v_{k+1} − v_k,   for rotations log(R_kᵀR_{k+1})
//! ```
//!
//! and `Δ²d` alone at the ends of a trial. cost = ½·λ·‖r‖², λ for frames that far apart ([`crate::residual::smoothness::spacing_share`]).
//!
//! Of a stretch of a trial, drawn with others, those `r` count that lie within it whole, and for as many as such stretches miss: on average over all draws the sum is that of the trial.

use crate::math::so3;
use crate::trajectory::{Layout, Pose};
use nalgebra::{Matrix3, UnitQuaternion, Vector3};

/// Weights of `d` in `r`, in the middle and at the ends.
const MIDDLE: [f64; 7] = [1.0 / 36.0, -1.0 / 3.0, 25.0 / 12.0, -32.0 / 9.0, 25.0 / 12.0, -1.0 / 3.0, 1.0 / 36.0];
const END: [f64; 3] = [1.0, -2.0, 1.0];

/// Coordinates side by side.
const TOGETHER: usize = 8;

/// Frames of the shortest stretch that has every kind of residual.
pub(super) const SHORTEST_STRETCH: usize = MIDDLE.len() + 1;

/// Where poses lie in their trial.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Frame of the first.
    pub first: usize,
    /// Frames of the trial.
    pub of: usize,
    /// Frames of the stretches that are drawn, at least [`SHORTEST_STRETCH`]; `None` where the poses are those of the whole trial.
    pub stretch: Option<usize>,
}

impl Place {
    /// Calls `each` with the first step, counted from that of `steps` steps at this place, the weights and the share of every residual there.
    fn residuals(self, steps: usize, mut each: impl FnMut(usize, &[f64], f64)) {
        let all = self.of.saturating_sub(1);
        for k in 1..all.saturating_sub(1) {
            let (first, weights) = match k >= 3 && k + 3 < all {
                true => (k - 3, &MIDDLE[..]),
                false => (k - 1, &END[..]),
            };
            // Of the stretches that have one frame, so many fewer have all of these.
            let share = self.stretch.map_or(1.0, |long| long as f64 / (long - weights.len()) as f64);
            match first.checked_sub(self.first) {
                Some(first) if first + weights.len() <= steps => each(first, weights, share),
                _ => {}
            }
        }
    }
}

/// The cost of poses at even times, for a precision of each degree of freedom; adds its gradient.
pub(super) fn roughness(layout: &Layout, poses: &[Pose], place: Place, precision: &[f64], gradient: &mut [f64]) -> f64 {
    let n = layout.dofs();
    let steps = poses.len().saturating_sub(1);
    let mut cost = 0.0;
    let scalars = &layout.coordinates[..layout.scalars()];
    let (mut d, mut pull) = (vec![[0.0; TOGETHER]; steps], vec![[0.0; TOGETHER]; steps]);
    for (first_dof, coordinates) in (0..).step_by(TOGETHER).zip(scalars.chunks(TOGETHER)) {
        let mut weight = [0.0; TOGETHER];
        weight[..coordinates.len()].copy_from_slice(&precision[first_dof..first_dof + coordinates.len()]);
        for (d, p) in d.iter_mut().zip(poses.windows(2)) {
            d.iter_mut().zip(coordinates).for_each(|(d, &c)| *d = p[1].q[c] - p[0].q[c]);
        }
        pull.fill([0.0; TOGETHER]);
        place.residuals(steps, |first, weights, share| {
            let mut r = [0.0; TOGETHER];
            for (d, w) in d[first..].iter().zip(weights) {
                (0..TOGETHER).for_each(|i| r[i] += w * d[i]);
            }
            for i in 0..TOGETHER {
                let force = share * weight[i] * r[i];
                cost += 0.5 * force * r[i];
                r[i] = force;
            }
            for (pull, w) in pull[first..].iter_mut().zip(weights) {
                (0..TOGETHER).for_each(|i| pull[i] += w * r[i]);
            }
        });
        for (k, pull) in pull.iter().enumerate() {
            let at = k * n + first_dof;
            for (i, p) in pull[..coordinates.len()].iter().enumerate() {
                gradient[at + n + i] += p;
                gradient[at + i] -= p;
            }
        }
    }
    for (rotor, &at) in layout.rotors.iter().enumerate() {
        let q: Vec<UnitQuaternion<f64>> =
            poses.iter().map(|p| UnitQuaternion::from_rotation_matrix(&p.rotors[rotor])).collect();
        let d: Vec<Vector3<f64>> = q.windows(2).map(|q| so3::log_quaternion(&(q[0].inverse() * q[1]))).collect();
        let mut pull = vec![Vector3::zeros(); steps];
        place.residuals(steps, |first, weights, share| {
            let precision = share * precision[at];
            let r: Vector3<f64> = weights.iter().zip(&d[first..]).map(|(w, d)| d * *w).sum();
            cost += 0.5 * precision * r.norm_squared();
            pull[first..].iter_mut().zip(weights).for_each(|(p, w)| *p += r * (precision * w));
        });
        for (k, p) in pull.iter().enumerate() {
            // ∂d_k/∂δ_{k+1} = J⁻¹(d_k)·R_kᵀ = −∂d_k/∂δ_k.
            let m: Matrix3<f64> = so3::left_jacobian_inverse(&d[k]) * q[k].to_rotation_matrix().matrix().transpose();
            let g = m.tr_mul(p);
            for i in 0..3 {
                gradient[(k + 1) * n + at + i] += g[i];
                gradient[k * n + at + i] -= g[i];
            }
        }
    }
    cost
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::basis::Knots;
    use crate::residual::smoothness::THIRD_DIFFERENCE;
    use crate::trajectory::{BSpline, Trajectory};
    use std::sync::Arc;

    fn whole(frames: usize) -> Place {
        Place { first: 0, of: frames, stretch: None }
    }

    /// For a B-spline sampled at its knots, whose controls swing at a quarter of the sampling rate: third differences of the poses themselves would cost (2/3)² of what those of the
    /// controls do; the correction leaves 1 − (1/3)³ = 0.963 in amplitude, 0.93 in cost. Ends have only the uncorrected ones: 300 frames make them few.
    #[test]
    fn costs_what_the_splines_controls_cost() {
        let layout = Arc::new(Layout { template: vec![0.0], coordinates: vec![0], rotors: Vec::new() });
        let knots = Knots::cubic(300, 30.0, 1.0 / 30.0);
        let spline = BSpline::through(layout.clone(), knots, |t| Pose {
            q: vec![(t * 30.0 * std::f64::consts::FRAC_PI_2).sin()],
            rotors: Vec::new(),
        });
        let controls: f64 = (0..knots.controls() - 3)
            .map(|k| (0..4).map(|i| THIRD_DIFFERENCE[i] * spline.control_scalars(k + i)[0]).sum::<f64>().powi(2) / 2.0)
            .sum();
        let poses: Vec<Pose> = (0..300)
            .map(|f| {
                let mut pose = layout.default_pose();
                spline.pose(f as f64 / 30.0, &mut pose);
                pose
            })
            .collect();
        let ratio = roughness(&layout, &poses, whole(300), &[1.0], &mut vec![0.0; 300]) / controls;
        assert!((ratio - 0.93).abs() < 0.03, "{ratio}");
    }

    #[test]
    fn constant_acceleration_costs_nothing() {
        let layout = Layout { template: vec![0.0; 4], coordinates: vec![0, 1, 2, 3], rotors: vec![1] };
        let pose = |f: usize| {
            let t = f as f64 / 10.0;
            let turn = Vector3::new(0.0, 2.0 * t, 0.0);
            Pose { q: vec![1.0 + t + 3.0 * t * t, 0.0, 0.0, 0.0], rotors: vec![so3::exp(&turn)] }
        };
        let poses: Vec<Pose> = (0..12).map(pose).collect();
        // Squares of roundings of numbers of a few units.
        assert!(roughness(&layout, &poses, whole(12), &[1.0; 4], &mut vec![0.0; 48]) < 1e-26);
    }
}
