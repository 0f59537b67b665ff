//! How the places of markers bend along a step.
//!
//! A foot that is turned by a constant angle, its markers moved back to where they were, is told by nothing but the prior of their offsets: a valley. It is curved. Along a straight line in
//! angles and offsets a marker at distance `r` from the joint leaves its place by `½·r·δ²`, which data of thousands of frames charge dearly, and steps would have to be short.
//! The offsets can take that back:
//!
//! ```text
//! e = ½·(p(x + δ) + p(x − δ)) − p(x)        second-order part of a marker's way, in a frame
//! o ← o + δo − mean over the frames in which it is seen of Rᵀ·e     R: of its body
//! ```
//!
//! It is the geodesic acceleration (Transtrum & Sethna 2012, *Improvements to the Levenberg-Marquardt algorithm for nonlinear least-squares minimization*) of what offsets can undo, for
//! the price of placing the body three times in each frame instead of that of another solution of the normal equations.

use super::posed::Body;
use super::problem::{Parameters, Problem};
use nalgebra::Vector3;
use rayon::prelude::*;

/// Frames that one thread takes at a time.
const PIECE: usize = 64;

/// The mean of `Rᵀ·e` for every observed marker over its detections, metres in its body, for a step that leads `ahead`, and its opposite `behind`.
pub(super) fn bend(problem: &Problem, here: &Parameters, ahead: &Parameters, behind: &Parameters) -> Vec<Vector3<f64>> {
    let bodies = [here, ahead, behind].map(|p| Body::new(problem, p));
    let skeleton = problem.mechanism.skeleton();
    let mut sums = vec![(Vector3::zeros(), 0u32); problem.markers.len()];
    for (i, trial) in problem.trials.iter().enumerate() {
        let count = trial.times.len();
        let of_piece = |k: usize| {
            let mut rooms = bodies.each_ref().map(Body::room);
            let mut sums = vec![(Vector3::zeros(), 0u32); problem.markers.len()];
            for f in k * PIECE..count.min((k + 1) * PIECE) {
                for (body, room) in bodies.iter().zip(&mut rooms) {
                    body.pose(i, f, room);
                }
                let [at, plus, minus] = rooms.each_ref().map(|room| &room.frame);
                let pixels = trial.sightings.frame(f).map(|o| o.slot as usize);
                for slot in pixels.chain(trial.frame_points(f).iter().map(|o| o.slot as usize)) {
                    let m = problem.markers[slot].index();
                    let e = 0.5 * (plus.markers[m] + minus.markers[m]) - at.markers[m];
                    let (sum, count) = &mut sums[slot];
                    *sum += at.rotations[skeleton.markers[m].body.index()].inverse_transform_vector(&e);
                    *count += 1;
                }
            }
            sums
        };
        let pieces: Vec<_> = (0..count.div_ceil(PIECE)).into_par_iter().map(of_piece).collect();
        for piece in pieces {
            sums.iter_mut().zip(piece).for_each(|((a, n), (b, m))| (*a, *n) = (*a + b, *n + m));
        }
    }
    sums.into_iter().map(|(sum, count)| sum / f64::from(count.max(1))).collect()
}
