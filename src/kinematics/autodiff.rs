//! Forward kinematics as an operation of burn's, with its own backward pass.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use kinefit::kinematics::{Mechanism, autodiff};
//! use kinefit::skeleton::ScaleGroups;
//! use std::sync::Arc;
//!
//! # fn main() -> kinefit::Result<()> {
//! let skeleton = kinefit::fit::default_skeleton()?;
//! let groups = ScaleGroups::default_for(&skeleton);
//! let mechanism = Arc::new(Mechanism::new(skeleton, groups));
//! let (frames, skeleton) = (5, mechanism.skeleton());
//!
//! let device = Device::flex().autodiff();
//! let q = Tensor::<2>::zeros([frames, skeleton.coordinates.len()], &device).require_grad();
//! let rotors = Tensor::zeros([frames, 9 * skeleton.rotors.len()], &device);
//! let scales = Tensor::<1>::zeros([mechanism.groups().groups.len()], &device).require_grad();
//! let offsets = Tensor::zeros([skeleton.markers.len(), 3], &device);
//! let markers = autodiff::markers(&mechanism, q.clone(), rotors, scales.clone(), offsets)?;
//!
//! let gradients = markers.powi_scalar(2).sum().backward();
//! println!("{:?} {:?}", q.grad(&gradients), scales.grad(&gradients));
//! # Ok(())
//! # }
//! ```
//!
//! The backward pass is [`Mechanism::pull_back`]: one wrench per body and one product per degree of freedom, never a Jacobian. It has no derivative of its own: burn differentiates through the
//! operation once, not twice. Only the Flex backend (the processor) runs it.

use super::{Frame, Mechanism, PoseGradient, forward};
use crate::Result;
use crate::math::so3;
use crate::math::tensor::{Arguments, PullBack, chunks, numbers, record, tensor};
use crate::skeleton::{MarkerId, Offsets};
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use nalgebra::{Matrix3, Rotation3, Vector3};
use rayon::prelude::*;
use std::sync::Arc;

/// Markers of many poses, `[batch, markers, 3]`, metres in ground; in `q`'s type of number.
///
/// | argument | shape | |
/// |---|---|---|
/// | `q` | `[batch, coordinates]` | rad, m; the file's order. Dependent coordinates follow, locked ones stay at their default, rotors have their own argument: these entries are not read, and their gradient is 0 |
/// | `rotors` | `[batch, 9·rotors]` | rotation matrices, row by row; not checked to be rotations |
/// | `scales` | `[groups]` | scale parameters of the mechanism's groups, 0 for the model as it is |
/// | `offsets` | `[markers, 3]` | metres, in the markers' bodies |
///
/// What follows from a coordinate by a coupling is part of that coordinate's gradient. The gradient in a rotation matrix is [`so3::matrix_gradient`]: that of all ways in which
/// it can change and stay a rotation, and nothing across. Any argument may do without gradient; none needs to be on an autodiff device. With types mixed, each gradient is of its argument's.
///
/// # Errors
/// An argument of another shape, of numbers other than `f32` and `f64`, on another device than Flex, or of another strategy of gradient checkpointing than the others.
pub fn markers(
    mechanism: &Arc<Mechanism>,
    q: Tensor<2>,
    rotors: Tensor<2>,
    scales: Tensor<1>,
    offsets: Tensor<2>,
) -> Result<Tensor<3>> {
    let skeleton = mechanism.skeleton();
    let batch = q.dims()[0];
    let mut arguments = Arguments::of("markers");
    arguments.check("q", &q, [batch, skeleton.coordinates.len()], "[batch, coordinates of the model]")?;
    arguments.check("rotors", &rotors, [batch, 9 * skeleton.rotors.len()], "[batch, 9 · rotors of the model]")?;
    arguments.check("scales", &scales, [mechanism.groups().groups.len()], "[scale groups of the mechanism]")?;
    arguments.check("offsets", &offsets, [skeleton.markers.len(), 3], "[markers of the model, 3]")?;
    let operation = Arc::new(Markers { mechanism: mechanism.clone(), batch });
    Ok(Tensor::from_dispatch(Dispatch::markers(
        q.into_dispatch(),
        rotors.into_dispatch(),
        scales.into_dispatch(),
        offsets.into_dispatch(),
        operation,
    )))
}

/// The operation as a backend has it; [`markers`] checks the arguments first.
#[backend_extension(Autodiff, Flex)]
trait MarkersBackend: Backend {
    fn markers(
        q: FloatTensor<Self>,
        rotors: FloatTensor<Self>,
        scales: FloatTensor<Self>,
        offsets: FloatTensor<Self>,
        operation: Arc<Markers>,
    ) -> FloatTensor<Self>;
}

impl MarkersBackend for Flex {
    fn markers(
        q: FloatTensor<Self>,
        rotors: FloatTensor<Self>,
        scales: FloatTensor<Self>,
        offsets: FloatTensor<Self>,
        operation: Arc<Markers>,
    ) -> FloatTensor<Self> {
        let shape = [operation.batch, operation.mechanism.skeleton().markers.len(), 3];
        let values = operation.positions([&q, &rotors, &scales, &offsets].map(numbers));
        tensor(values, &shape, q.dtype())
    }
}

impl<C: CheckpointStrategy> MarkersBackend for Autodiff<Flex, C> {
    fn markers(
        q: FloatTensor<Self>,
        rotors: FloatTensor<Self>,
        scales: FloatTensor<Self>,
        offsets: FloatTensor<Self>,
        operation: Arc<Markers>,
    ) -> FloatTensor<Self> {
        let inputs = [q, rotors, scales, offsets];
        let [q, rotors, scales, offsets] = inputs.each_ref().map(|input| input.primitive().clone());
        let output = Flex::markers(q, rotors, scales, offsets, operation.clone());
        record::<C, _, 4>(operation, inputs, output)
    }
}

/// The operation's constants.
#[derive(Debug)]
struct Markers {
    mechanism: Arc<Mechanism>,
    batch: usize,
}

/// One thread's pose.
struct Pose {
    q: Vec<f64>,
    rotors: Vec<Rotation3<f64>>,
}

impl Markers {
    /// Room for a pose, locked coordinates at their defaults.
    fn pose(&self) -> Pose {
        let skeleton = self.mechanism.skeleton();
        Pose {
            q: skeleton.coordinates.iter().map(|c| c.default).collect(),
            rotors: vec![Rotation3::identity(); skeleton.rotors.len()],
        }
    }

    /// Sets a pose to what a frame's rows say.
    fn read(&self, frame: usize, q: &[f64], rotors: &[f64], pose: &mut Pose) {
        let row = &q[frame * pose.q.len()..(frame + 1) * pose.q.len()];
        for c in self.mechanism.dofs() {
            pose.q[c.index()] = row[c.index()];
        }
        let first = 9 * pose.rotors.len() * frame;
        for (rotation, row) in pose.rotors.iter_mut().zip(rotors[first..].chunks_exact(9)) {
            *rotation = Rotation3::from_matrix_unchecked(Matrix3::from_row_slice(row));
        }
    }

    /// `[batch, markers, 3]`.
    fn positions(&self, [q, rotors, scales, offsets]: [Vec<f64>; 4]) -> Vec<f64> {
        let skeleton = self.mechanism.skeleton();
        let (scales, offsets) = (self.mechanism.scales(&scales), displacements(&offsets));
        let parts: Vec<Vec<f64>> = chunks(self.batch)
            .map(|frames| {
                let (mut pose, mut frame) = (self.pose(), Frame::new(skeleton));
                let mut found = Vec::with_capacity(frames.len() * 3 * skeleton.markers.len());
                for t in frames {
                    self.read(t, &q, &rotors, &mut pose);
                    forward(skeleton, &scales, &offsets, &pose.q, &pose.rotors, &mut frame);
                    found.extend(frame.markers.iter().flat_map(|p| p.iter().copied()));
                }
                found
            })
            .collect();
        parts.concat()
    }
}

impl PullBack<4> for Markers {
    fn pull_back(&self, [q, rotors, scales, offsets]: &[Vec<f64>; 4], output: &[f64]) -> [Vec<f64>; 4] {
        let (mechanism, skeleton) = (&self.mechanism, self.mechanism.skeleton());
        let (scales, offsets) = (mechanism.scales(scales), displacements(offsets));
        let parts: Vec<(Vec<f64>, Vec<f64>, PoseGradient)> = chunks(self.batch)
            .map(|frames| {
                let (mut pose, mut work) = (self.pose(), mechanism.workspace());
                let mut gradient = PoseGradient::zeros(mechanism);
                let mut by_q = vec![0.0; frames.len() * pose.q.len()];
                let mut by_rotors = Vec::with_capacity(frames.len() * 9 * pose.rotors.len());
                for (i, t) in frames.enumerate() {
                    self.read(t, q, rotors, &mut pose);
                    mechanism.linearise(&scales, &offsets, &pose.q, &pose.rotors, &mut work);
                    let rows = output[3 * skeleton.markers.len() * t..].chunks_exact(3);
                    let forces =
                        (0..skeleton.markers.len() as u32).map(MarkerId).zip(rows.map(Vector3::from_column_slice));
                    mechanism.pull_back(&work, forces, &mut gradient);
                    let row = &mut by_q[i * pose.q.len()..(i + 1) * pose.q.len()];
                    for (c, g) in mechanism.dofs().iter().zip(&gradient.dofs) {
                        row[c.index()] = *g;
                    }
                    for ((&first, rotor), rotation) in
                        mechanism.rotor_dofs().iter().zip(&skeleton.rotors).zip(&pose.rotors)
                    {
                        // These three are of a rotation, not of the angles of the file.
                        rotor.coordinates.iter().for_each(|c| row[c.index()] = 0.0);
                        let tangent = Vector3::from_column_slice(&gradient.dofs[first..first + 3]);
                        by_rotors.extend(so3::matrix_gradient(&tangent, rotation).transpose().iter());
                    }
                }
                (by_q, by_rotors, gradient)
            })
            .collect();
        let mut shared = PoseGradient::zeros(mechanism);
        let (mut by_q, mut by_rotors) = (Vec::with_capacity(q.len()), Vec::with_capacity(rotors.len()));
        for (of_q, of_rotors, part) in &parts {
            by_q.extend_from_slice(of_q);
            by_rotors.extend_from_slice(of_rotors);
            shared.add_shared(part);
        }
        let by_offsets = shared.offsets.iter().flat_map(|g| g.iter().copied()).collect();
        [by_q, by_rotors, shared.scales, by_offsets]
    }
}

/// Offsets out of their rows.
fn displacements(rows: &[f64]) -> Offsets {
    Offsets(rows.chunks_exact(3).map(Vector3::from_column_slice).collect())
}

#[cfg(test)]
mod tests;
