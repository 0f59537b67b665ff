//! Forward kinematics of one frame.

use crate::skeleton::{Offsets, Operation, Scales, Skeleton};
use nalgebra::{Rotation3, Vector3};

/// Poses of all bodies and positions of all markers in one frame; reused between calls.
#[derive(Debug, Clone)]
pub struct Frame {
    /// `ground_from_body` rotation of every body.
    pub rotations: Vec<Rotation3<f64>>,
    /// Origin of every body in ground, metres.
    pub origins: Vec<Vector3<f64>>,
    /// Every marker in ground, metres.
    pub markers: Vec<Vector3<f64>>,
}

impl Frame {
    /// Room for one frame of this skeleton.
    pub fn new(skeleton: &Skeleton) -> Self {
        Self {
            rotations: vec![Rotation3::identity(); skeleton.bodies.len()],
            origins: vec![Vector3::zeros(); skeleton.bodies.len()],
            markers: vec![Vector3::zeros(); skeleton.markers.len()],
        }
    }
}

/// Body poses and marker positions for coordinates `q` (one per coordinate, file order, couplings already resolved;
/// the entries of a rotor's coordinates are not read) and the rotors' rotations.
pub fn forward(
    skeleton: &Skeleton,
    scales: &Scales,
    offsets: &Offsets,
    q: &[f64],
    rotors: &[Rotation3<f64>],
    out: &mut Frame,
) {
    for (b, body) in skeleton.bodies.iter().enumerate() {
        let parent = body.parent.index();
        let (mut r, mut p) = if b == 0 {
            (Rotation3::identity(), Vector3::zeros())
        } else {
            (out.rotations[parent], out.origins[parent])
        };
        for operation in &skeleton.operations[body.operations.clone()] {
            match operation {
                Operation::Translate { offset, scaled_by } => {
                    p += r * offset.component_mul(&Vector3::from(scales.0[scaled_by.index()]));
                }
                Operation::Rotate(c) => r *= c,
                Operation::RotateAbout { axis, coordinate, function } => {
                    let angle = function.value(coordinate.map_or(0.0, |c| q[c.index()]));
                    r *= Rotation3::from_axis_angle(axis, angle);
                }
                Operation::TranslateAlong { axis, coordinate, function, scaled_by } => {
                    let k = scaled_by.map_or(1.0, |b| axis.abs().dot(&Vector3::from(scales.0[b.index()])));
                    p += r * axis.into_inner() * (k * function.value(coordinate.map_or(0.0, |c| q[c.index()])));
                }
                Operation::Ball(rotor) => r *= rotors[rotor.index()],
            }
        }
        out.rotations[b] = r;
        out.origins[b] = p;
    }
    for (i, m) in skeleton.markers.iter().enumerate() {
        let b = m.body.index();
        out.markers[i] =
            out.origins[b] + out.rotations[b] * (m.location.component_mul(&Vector3::from(scales.0[b])) + offsets.0[i]);
    }
}
