//! Networks that are taught poses: how one begins where another trajectory ended.

use super::adamw::Descent;
use super::networks::Networks;
use crate::math::so3;
use crate::solve::problem::Problem;
use crate::trajectory::Pose;
use crate::trajectory::mlp::{Batch, Mlp};
use nalgebra::Vector3;
use std::sync::Arc;

/// Half the squared distance of networks' poses from given ones: numbers by value, rotations by angle; in units of a milliradian and a millimetre.
pub struct Lesson<'a> {
    problem: &'a Problem,
    mlps: &'a [Mlp],
    networks: &'a Networks<'a>,
    whole: Vec<Batch>,
    wanted: &'a [Vec<Pose>],
}

/// Poses that differ by this are alike, radians and metres.
pub const FINE: f64 = 1e-3;

impl<'a> Lesson<'a> {
    /// For poses of all frames of all trials.
    pub fn new(problem: &'a Problem, mlps: &'a [Mlp], networks: &'a Networks<'a>, wanted: &'a [Vec<Pose>]) -> Self {
        let whole = mlps.iter().zip(&problem.trials).map(|(m, t)| m.batch(&t.times)).collect();
        Self { problem, mlps, networks, whole, wanted }
    }
}

impl Descent for Lesson<'_> {
    fn descend(&self, parameters: &Arc<Vec<f32>>, _step: u64, gradient: &mut Vec<f32>) -> f64 {
        let layout = &self.problem.layout;
        let n = layout.dofs();
        let mut cost = 0.0;
        for (i, mlp) in self.mlps.iter().enumerate() {
            let record = mlp.record(parameters, self.networks.network(i).start, &self.whole[i]);
            let mut poses = vec![layout.default_pose(); self.wanted[i].len()];
            record.poses(mlp, &mut poses);
            let mut pulls = vec![0.0; poses.len() * n];
            for ((pose, wanted), pull) in poses.iter().zip(&self.wanted[i]).zip(pulls.chunks_exact_mut(n)) {
                for (j, &c) in layout.coordinates[..layout.scalars()].iter().enumerate() {
                    pull[j] = pose.q[c] - wanted.q[c];
                }
                for (r, &at) in layout.rotors.iter().enumerate() {
                    // Along its own axis a rotation vector changes as the rotation turns.
                    let turn: Vector3<f64> = so3::log(&(pose.rotors[r] * wanted.rotors[r].inverse()));
                    pull[at..at + 3].copy_from_slice(turn.as_slice());
                }
                cost += 0.5 * pull.iter().map(|d| d * d).sum::<f64>() / (FINE * FINE);
                pull.iter_mut().for_each(|d| *d /= FINE * FINE);
            }
            record.pull_back(mlp, &pulls, gradient, false);
        }
        gradient[self.networks.shared()].fill(0.0);
        cost
    }
}
