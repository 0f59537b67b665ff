//! Networks that are taught poses: how one begins where another trajectory ended.

use super::adamw::Descent;
use super::networks::Networks;
use crate::trajectory::Pose;
use crate::trajectory::mlp::{Batch, Mlp};
use std::sync::Arc;

/// Half the squared distance of networks' outputs from those that make given poses, in units of a milliradian and a millimetre. Of outputs, not of poses: there is no pose that lies on the far
/// side of another and draws either way, nor one that is out of reach because squashing is flat.
pub struct Lesson<'a> {
    mlps: &'a [Mlp],
    networks: &'a Networks<'a>,
    whole: Vec<Batch>,
    /// By trial, `[frame][output]`.
    wanted: Vec<Vec<f64>>,
    /// By trial, of each output.
    weights: Vec<Vec<f64>>,
}

/// Poses that differ by this are alike, radians and metres.
pub const FINE: f64 = 1e-3;

impl<'a> Lesson<'a> {
    /// For poses of all frames of all trials.
    pub fn new(mlps: &'a [Mlp], networks: &'a Networks<'a>, wanted: &[Vec<Pose>]) -> Self {
        let whole = mlps.iter().zip(&networks.problem().trials).map(|(m, t)| m.batch(&t.times)).collect();
        let of_trial = |(mlp, poses): (&Mlp, &Vec<Pose>)| poses.iter().flat_map(|p| mlp.head().outputs_of(p)).collect();
        let wanted = mlps.iter().zip(wanted).map(of_trial).collect();
        let weight = |mlp: &Mlp| mlp.head().steepest().iter().map(|s| (s / FINE).powi(2)).collect();
        Self { mlps, networks, whole, wanted, weights: mlps.iter().map(weight).collect() }
    }
}

impl Descent for Lesson<'_> {
    fn descend(&self, parameters: &Arc<Vec<f32>>, _step: u64, gradient: &mut Vec<f32>) -> f64 {
        let mut cost = 0.0;
        for (i, mlp) in self.mlps.iter().enumerate() {
            let record = mlp.record(parameters, self.networks.network(i).start, &self.whole[i]);
            let weights = self.weights[i].iter().cycle();
            let pulls = record.outputs().iter().zip(&self.wanted[i]).zip(weights).map(|((y, wanted), weight)| {
                cost += 0.5 * weight * (y - wanted).powi(2);
                weight * (y - wanted)
            });
            let pulls: Vec<f64> = pulls.collect();
            record.pull_back_outputs(mlp, &pulls, gradient, false);
        }
        gradient[self.networks.shared()].fill(0.0);
        cost
    }
}
