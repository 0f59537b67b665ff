//! Whether two skeletons move alike.

use super::{Frame, forward};
use crate::skeleton::{Offsets, Scales, Skeleton};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// Poses that two skeletons are compared in, besides the default one.
const POSES: usize = 200;

/// Half the range in which a coordinate without limits is drawn about its default: radians or metres.
const UNLIMITED: f64 = 1.0;

/// No coordinate is drawn further than this from its default, whatever its range.
const FURTHEST: f64 = 10.0;

/// How far two skeletons are apart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Poses compared: the default one and random ones within the ranges of the coordinates.
    pub poses: usize,
    /// Coordinates that both have.
    pub coordinates: usize,
    /// Markers that both have.
    pub markers: usize,
    /// Bodies that both have.
    pub bodies: usize,
    /// Largest distance between a marker's two places, metres, and the marker.
    pub largest_marker_m: Option<(f64, String)>,
    /// Largest distance between a body's two origins, metres, and the body.
    pub largest_body_m: Option<(f64, String)>,
    /// Markers that only one of them has.
    pub missing_markers: Vec<String>,
}

/// Compares markers and bodies of the same names in the same poses, drawn from `seed`. Coordinates of the same names get the same values; those that only one of them
/// has keep their defaults.
pub fn compare(a: &Skeleton, b: &Skeleton, seed: u64) -> Comparison {
    let pairs = |n: usize, find: &dyn Fn(usize) -> Option<usize>| -> Vec<(usize, usize)> {
        (0..n).filter_map(|i| Some((i, find(i)?))).collect()
    };
    let coordinates = pairs(a.coordinates.len(), &|i| b.coordinate(&a.coordinates[i].name).map(|c| c.index()));
    let markers = pairs(a.markers.len(), &|i| b.marker(&a.markers[i].name).map(|m| m.index()));
    let bodies = pairs(a.bodies.len(), &|i| b.body(&a.bodies[i].name).map(|m| m.index()));
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut frame_a, mut frame_b) = (Frame::new(a), Frame::new(b));
    let mut largest_marker: Option<(f64, usize)> = None;
    let mut largest_body: Option<(f64, usize)> = None;
    let defaults = |s: &Skeleton| -> Vec<f64> { s.coordinates.iter().map(|c| c.default).collect() };
    for pose in 0..=POSES {
        let (mut q_a, mut q_b) = (defaults(a), defaults(b));
        for &(i, j) in &coordinates {
            let c = &a.coordinates[i];
            if pose > 0 && !c.locked {
                let [low, high] = c.range.unwrap_or([c.default - UNLIMITED, c.default + UNLIMITED]);
                let (low, high) = (low.max(c.default - FURTHEST), high.min(c.default + FURTHEST));
                q_a[i] = if low < high { rng.random_range(low..=high) } else { low };
            }
            q_b[j] = q_a[i];
        }
        for (skeleton, q, frame) in [(a, &mut q_a, &mut frame_a), (b, &mut q_b, &mut frame_b)] {
            skeleton.resolve_couplings(q);
            let (scales, offsets) = (Scales::ones(skeleton), Offsets::zeros(skeleton));
            forward(skeleton, &scales, &offsets, q, &skeleton.rotor_rotations(q), frame);
        }
        let note = |largest: &mut Option<(f64, usize)>, distance: f64, i: usize| {
            // A place that is no number is further than any.
            let distance = if distance.is_nan() { f64::INFINITY } else { distance };
            if largest.is_none_or(|l| distance > l.0) {
                *largest = Some((distance, i));
            }
        };
        for &(i, j) in &markers {
            note(&mut largest_marker, (frame_a.markers[i] - frame_b.markers[j]).norm(), i);
        }
        for &(i, j) in &bodies {
            note(&mut largest_body, (frame_a.origins[i] - frame_b.origins[j]).norm(), i);
        }
    }
    let only = |x: &Skeleton, y: &Skeleton| -> Vec<String> {
        x.markers.iter().map(|m| m.name.clone()).filter(|n| y.marker(n).is_none()).collect()
    };
    Comparison {
        poses: POSES + 1,
        coordinates: coordinates.len(),
        markers: markers.len(),
        bodies: bodies.len(),
        largest_marker_m: largest_marker.map(|(d, i)| (d, a.markers[i].name.clone())),
        largest_body_m: largest_body.map(|(d, i)| (d, a.bodies[i].name.clone())),
        missing_markers: [only(a, b), only(b, a)].concat(),
    }
}
