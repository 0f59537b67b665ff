//! Cameras that were knocked out of the losses' reach.
//!
//! A robust loss gives up detections that are tens of pixels off, and with them a camera whose calibration is: nothing pulls it back, and a fit without it looks perfect.
//! Such a camera is found by its errors against the others', and placed anew by what it sees of the fitted body.

use crate::camera::{Projector, resect};
use crate::math::median;
use crate::solve::{Parameters, PixelResidual, Problem};

/// Half of a camera's detections are this many times as far off as the other cameras' typically are.
const TIMES: f64 = 5.0;

/// And at least so far, pixels: less, the losses reach.
const AT_LEAST: f64 = 15.0;

/// Fewer detections than this prove nothing.
const FEWEST: usize = 30;

/// Cameras that must see the subject for one to be blamed.
const CAMERAS: usize = 3;

/// A resection of more points than this is no better.
const POINTS: usize = 2000;

/// A camera that disagrees with what the others see.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Lost {
    pub camera: usize,
    /// Median distance of its detections, pixels.
    pub median_px: f64,
}

/// Which cameras disagree by far more than the others, by the residuals of all trials.
pub(super) fn lost(problem: &Problem, residuals: &[Vec<PixelResidual>]) -> Vec<Lost> {
    let mut errors: Vec<Vec<f64>> = vec![Vec::new(); problem.rig.len()];
    residuals.iter().flatten().for_each(|r| errors[usize::from(r.camera)].push(r.error_px.norm()));
    let typical: Vec<(usize, f64)> = errors
        .iter_mut()
        .enumerate()
        .filter(|(_, errors)| errors.len() >= FEWEST)
        .filter_map(|(c, errors)| Some((c, median(errors)?)))
        .collect();
    if typical.len() < CAMERAS {
        return Vec::new();
    }
    let far = |&(camera, own): &(usize, f64)| {
        let mut others: Vec<f64> = typical.iter().filter(|(c, _)| *c != camera).map(|(_, m)| *m).collect();
        let usual = median(&mut others)?;
        (own > AT_LEAST && own > TIMES * usual).then_some(Lost { camera, median_px: own })
    };
    typical.iter().filter_map(far).collect()
}

/// Places lost cameras that are free anew. Returns whether any was.
pub(super) fn recapture(problem: &Problem, parameters: &mut Parameters) -> bool {
    let mut any = false;
    for Lost { camera, median_px } in lost(problem, &problem.pixel_residuals(parameters)) {
        if !problem.free.cameras[camera] {
            continue;
        }
        let seen = problem.seen_by(parameters, camera);
        let step = seen.len().div_ceil(POINTS).max(1);
        let points: Vec<_> = seen.into_iter().step_by(step).collect();
        let projector = Projector::new(&problem.rig[camera]);
        let start = parameters.world_from_camera[camera].inverse();
        let Some(found) = resect(&projector, &start, &points) else { continue };
        let there = projector.with_extrinsics(&found);
        let mut errors: Vec<f64> =
            points.iter().filter_map(|(p, pixel, _)| Some((there.project(p)? - pixel).norm())).collect();
        // Half as far off may still be out of reach, but not for the next time.
        if 2 * errors.len() > points.len() && median(&mut errors).is_some_and(|m| m < 0.5 * median_px) {
            tracing::info!(camera = %problem.rig[camera].name, "was {median_px:.0} px off and is placed anew");
            parameters.world_from_camera[camera] = found.inverse();
            any = true;
        }
    }
    any
}
