//! Is the result a human being in a sane world? Checked apart from reprojection, which a mirrored world passes.

use crate::kinematics::{Frame, Mechanism, forward};
use crate::skeleton::{Offsets, Scales, Skeleton, UpAxis};

/// Standing heights of people, toddlers to giants, metres.
pub const HUMAN_HEIGHT: std::ops::Range<f64> = 0.7..2.6;

/// Vertical component.
fn up(skeleton: &Skeleton, v: &nalgebra::Vector3<f64>) -> f64 {
    match skeleton.up {
        UpAxis::Y => v.y,
        UpAxis::Z => v.z,
    }
}

/// Vertical extent of the markers in the default pose: standing height where the model has markers on crown and heels. 0 without markers.
pub fn default_height(skeleton: &Skeleton, scales: &Scales) -> f64 {
    let frame = default_frame(skeleton, scales);
    let heights = frame.markers.iter().map(|m| up(skeleton, m));
    let (low, high) = heights.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), h| (a.min(h), b.max(h)));
    (high - low).max(0.0)
}

fn default_frame(skeleton: &Skeleton, scales: &Scales) -> Frame {
    let mut q: Vec<f64> = skeleton.coordinates.iter().map(|c| c.default).collect();
    skeleton.resolve_couplings(&mut q);
    let mut frame = Frame::new(skeleton);
    forward(skeleton, scales, &Offsets::zeros(skeleton), &q, &skeleton.rotor_rotations(&q), &mut frame);
    frame
}

/// [`default_height`] at scale parameters 0, and its derivative in each: exact as long as the same markers are highest and lowest.
pub fn height_by_scale(mechanism: &Mechanism) -> (f64, Vec<f64>) {
    let groups = mechanism.groups().groups.len();
    let zero = vec![0.0; groups];
    let at_zero = default_height(mechanism.skeleton(), &mechanism.scales(&zero));
    let by_scale = (0..groups)
        .map(|g| {
            // Heights are linear in the factors; a small step keeps the extreme markers the same.
            let step = 1e-4;
            let mut p = zero.clone();
            p[g] = step;
            (default_height(mechanism.skeleton(), &mechanism.scales(&p)) - at_zero) / step
        })
        .collect();
    (at_zero, by_scale)
}
