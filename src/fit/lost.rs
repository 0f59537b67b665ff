//! Cameras that were knocked out of the losses' reach.
//!
//! A robust loss gives up detections that are tens of pixels off, and with them a camera whose calibration is: nothing pulls it back, and a fit without it looks perfect.
//! Such a camera is found by its errors against the others', and placed anew by what it sees of the fitted body. Where no other place makes its errors much smaller, it was not
//! knocked: its detections are bad.

use crate::camera::{Projector, resect};
use crate::math::median;
use crate::solve::{Parameters, PixelResidual, Problem};
use nalgebra::Isometry3;

/// Half of a camera's detections are this many times as far off, at the subject, as the other cameras' typically are.
const TIMES: f64 = 5.0;

/// And at least so far, metres at the subject: less, the losses reach.
const AT_LEAST: f64 = 0.05;

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
    /// `camera_from_world` from where they are less than half as far off, if there is such a place.
    pub there: Option<Isometry3<f64>>,
}

/// Which cameras disagree by far more than the others, by the residuals of all trials.
pub(super) fn lost(problem: &Problem, parameters: &Parameters, residuals: &[Vec<PixelResidual>]) -> Vec<Lost> {
    let mut errors: Vec<Vec<(f64, f64)>> = vec![Vec::new(); problem.rig.len()];
    for r in residuals.iter().flatten() {
        let camera = usize::from(r.camera);
        errors[camera].push((r.error_px.norm(), r.at_subject(&problem.rig[camera])));
    }
    let middle = |of: &[(f64, f64)], part: fn(&(f64, f64)) -> f64| median(&mut of.iter().map(part).collect::<Vec<_>>());
    let typical: Vec<(usize, f64)> = errors
        .iter()
        .enumerate()
        .filter(|(_, errors)| errors.len() >= FEWEST)
        .filter_map(|(c, errors)| Some((c, middle(errors, |e| e.1)?)))
        .collect();
    if typical.len() < CAMERAS {
        return Vec::new();
    }
    let far = |&(camera, own): &(usize, f64)| {
        let mut others: Vec<f64> = typical.iter().filter(|(c, _)| *c != camera).map(|(_, m)| *m).collect();
        let usual = median(&mut others)?;
        if own <= AT_LEAST || own <= TIMES * usual {
            return None;
        }
        let median_px = middle(&errors[camera], |e| e.0)?;
        Some(Lost { camera, median_px, there: elsewhere(problem, parameters, camera, median_px) })
    };
    typical.iter().filter_map(far).collect()
}

/// The place from where a camera's detections are less than half as far off as `median_px`.
fn elsewhere(problem: &Problem, parameters: &Parameters, camera: usize, median_px: f64) -> Option<Isometry3<f64>> {
    let seen = problem.seen_by(parameters, camera);
    let step = seen.len().div_ceil(POINTS).max(1);
    let points: Vec<_> = seen.into_iter().step_by(step).collect();
    let projector = Projector::new(&problem.rig[camera]);
    let found = resect(&projector, &parameters.world_from_camera[camera].inverse(), &points)?;
    let there = projector.with_extrinsics(&found);
    let mut errors: Vec<f64> =
        points.iter().filter_map(|(p, pixel, _)| Some((there.project(p)? - pixel).norm())).collect();
    let better = 2 * errors.len() > points.len() && median(&mut errors)? < 0.5 * median_px;
    better.then_some(found)
}

/// Places lost cameras that are free anew. Returns whether any was.
pub(super) fn recapture(problem: &Problem, parameters: &mut Parameters) -> bool {
    let mut any = false;
    for Lost { camera, median_px, there } in lost(problem, parameters, &problem.pixel_residuals(parameters)) {
        if let Some(there) = there.filter(|_| problem.free.cameras[camera]) {
            tracing::info!(camera = %problem.rig[camera].name, "was {median_px:.0} px off and is placed anew");
            parameters.world_from_camera[camera] = there.inverse();
            any = true;
        }
    }
    any
}
