//! From forces on markers to gradients: the transpose of [`Mechanism::linearise`].
//!
//! A function of the markers whose gradient in marker `m` is `f_m` pulls at it as a force would. With `W_b = Σ [(p_m − origin) × f_m; f_m]` over the markers of body `b`
//! and of all bodies distal to it,
//!
//! ```text
//! ∂/∂q_j = Σ τ_k·W_b(k)                          columns k of degree of freedom j; b(k) the body they act at
//! ∂/∂s_g = Σ t_b,g·F_b + Σ (R_b·d_m,g)·f_m       t: of a body away from its parent, d: of a marker within its body; F_b: the force in W_b
//! ∂/∂o_m = R_bᵀ·f_m
//! ```
//!
//! so one pass over the markers and one over the bodies, from the tips inwards, give all of it: no Jacobian is formed. (Featherstone 2008, *Rigid body dynamics algorithms*,
//! §5.3: joint forces from forces on bodies.)

use super::{FrameDerivatives, Mechanism};
use crate::math::se3;
use crate::skeleton::MarkerId;
use nalgebra::{Vector3, Vector6};

/// Gradient of a function of one or more frames' markers.
#[derive(Debug, Clone, PartialEq)]
pub struct PoseGradient {
    /// In each degree of freedom ([`Mechanism::dofs`]) of the last frame; of a rotor in a left perturbation of its rotation, in the frame before it. Per rad or m.
    pub dofs: Vec<f64>,
    /// In each scale parameter, summed over frames.
    pub scales: Vec<f64>,
    /// In each marker's offset, body axes, per metre; summed over frames.
    pub offsets: Vec<Vector3<f64>>,
    /// Torque about the origin and force on each body.
    wrenches: Vec<Vector6<f64>>,
    /// Sum over each body's markers of place and force, axis by axis of the body: what stretching it would feel.
    stretches: Vec<Vector3<f64>>,
}

impl PoseGradient {
    /// Zero.
    pub fn zeros(mechanism: &Mechanism) -> Self {
        let skeleton = mechanism.skeleton();
        Self {
            dofs: vec![0.0; mechanism.dofs().len()],
            scales: vec![0.0; mechanism.groups().groups.len()],
            offsets: vec![Vector3::zeros(); skeleton.markers.len()],
            wrenches: vec![Vector6::zeros(); skeleton.bodies.len()],
            stretches: vec![Vector3::zeros(); skeleton.bodies.len()],
        }
    }

    /// Adds what another sum over frames found for what frames share: scales and offsets.
    pub fn add_shared(&mut self, other: &Self) {
        for (a, b) in self.scales.iter_mut().zip(&other.scales) {
            *a += b;
        }
        for (a, b) in self.offsets.iter_mut().zip(&other.offsets) {
            *a += b;
        }
    }
}

impl Mechanism {
    /// Pulls a gradient in markers back to what moves them. `frame` is what [`Mechanism::linearise`] gave, `forces` the gradient in each marker that has one, in ground, per metre; a
    /// marker named twice feels both.
    ///
    /// Of `gradient`, `dofs` is replaced; `scales` and `offsets`, which frames share, are added to.
    pub fn pull_back(
        &self,
        frame: &FrameDerivatives,
        forces: impl IntoIterator<Item = (MarkerId, Vector3<f64>)>,
        gradient: &mut PoseGradient,
    ) {
        self.pull_back_about(&Vector3::zeros(), frame, forces, gradient);
    }

    /// The same for [`Mechanism::linearise_about`], with the same `origin`.
    pub fn pull_back_about(
        &self,
        origin: &Vector3<f64>,
        frame: &FrameDerivatives,
        forces: impl IntoIterator<Item = (MarkerId, Vector3<f64>)>,
        gradient: &mut PoseGradient,
    ) {
        let PoseGradient { dofs, scales, offsets, wrenches, stretches } = gradient;
        let skeleton = self.skeleton();
        dofs.fill(0.0);
        wrenches.fill(Vector6::zeros());
        stretches.fill(Vector3::zeros());
        for (marker, force) in forces {
            let m = marker.index();
            let b = skeleton.markers[m].body.index();
            wrenches[b] += se3::wrench(&(frame.frame.markers[m] - origin), &force);
            let in_body = frame.frame.rotations[b].inverse_transform_vector(&force);
            offsets[m] += in_body;
            stretches[b] += skeleton.markers[m].location.component_mul(&in_body);
        }
        for (b, stretch) in stretches.iter().enumerate() {
            self.groups_within(b).iter().for_each(|s| scales[s.group] += s.mask.dot(stretch));
        }
        // Children come after their parents: backwards, each body has all that is distal to it when its turn comes.
        for (b, body) in skeleton.bodies.iter().enumerate().rev() {
            let distal = wrenches[b];
            for k in self.body_columns(b) {
                dofs[self.columns()[k].dof] += frame.twists[k].dot(&distal);
            }
            let force = distal.fixed_rows::<3>(3).into_owned();
            for i in self.body_shifts(b) {
                scales[self.shifts()[i].group] += frame.shifts[i].dot(&force);
            }
            if b > 0 {
                wrenches[body.parent.index()] += distal;
            }
        }
    }
}
