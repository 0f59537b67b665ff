//! What a detector makes of a moving person: noise, gross errors, gaps.

use super::{Confidence, SyntheticOptions};
use crate::camera::{Projector, Rig};
use crate::session::Detections;
use crate::skeleton::MarkerId;
use nalgebra::Vector3;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Detections of one person by all cameras. `rig` in ground; `markers` by frame, in ground; `of_keypoint` the marker behind each keypoint.
///
/// Every detection takes the same random numbers whatever becomes of it, so that more of one error leaves the others where they were.
pub(super) fn observe(
    rig: &Rig,
    markers: &[Vec<Vector3<f64>>],
    of_keypoint: &[Option<MarkerId>],
    options: &SyntheticOptions,
    rng: &mut ChaCha8Rng,
) -> Detections {
    let (frames, keypoints) = (markers.len(), of_keypoint.len());
    let mut seen = Detections::missing(rig.len(), frames, keypoints);
    for (c, camera) in rig.iter().enumerate() {
        let projector = Projector::new(camera);
        let last = match options.dropout {
            Some(d) if d.camera == c => (d.after * frames as f64).round() as usize,
            _ => frames,
        };
        for (k, marker) in of_keypoint.iter().enumerate() {
            let Some(marker) = marker else { continue };
            let start: f64 = rng.random();
            let mut hidden = options.gaps.is_some_and(|g| start < g.share);
            for (f, places) in markers.iter().enumerate() {
                let [u, v]: [f64; 2] = [StandardNormal.sample(rng), StandardNormal.sample(rng)];
                let [gross, missing, sure, run]: [f64; 4] = rng.random();
                if let Some(gaps) = options.gaps {
                    // A Markov chain whose hidden runs have the mean length and whose hidden share is the stationary one.
                    let leave = 1.0 / gaps.mean_frames;
                    let enter = leave * gaps.share / (1.0 - gaps.share);
                    hidden = if hidden { run >= leave } else { run < enter };
                }
                let Some(pixel) = projector.project(&places[marker.index()]) else { continue };
                if hidden || f >= last || missing < options.missing_share {
                    continue;
                }
                let gross = gross < options.outlier_share;
                let spread = if gross { options.outlier_px } else { options.noise_px };
                let [u, v] = [pixel.x + spread * u, pixel.y + spread * v];
                if !(0.0..camera.size[0]).contains(&u) || !(0.0..camera.size[1]).contains(&v) {
                    continue;
                }
                let confidence = match options.confidence {
                    Confidence::Constant(c) => c,
                    Confidence::Realistic if gross => 0.3 + 0.6 * sure,
                    Confidence::Realistic => 0.55 + 0.45 * sure.sqrt(),
                };
                seen.set(c, f, k, [u, v, confidence]);
            }
        }
    }
    seen
}
