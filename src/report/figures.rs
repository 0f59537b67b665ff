//! The few figures of a whole session that its summary, its page and its outcome share.

use super::finite;
use crate::fit::{CameraFit, OffsetFit, SessionFit, TrialFit};
use crate::math::median;
use crate::skeleton::{Coordinate, Motion};

/// Median over the frames of a coordinate's standard deviation, SI; `None` where no frame has one.
pub fn median_sd(trial: &TrialFit, coordinate: usize) -> Option<f64> {
    let finite_sd = |row: &Vec<Option<f64>>| row.get(coordinate).copied().flatten().and_then(finite);
    median(&mut trial.q_sd.iter().filter_map(finite_sd).collect::<Vec<f64>>())
}

/// A median standard deviation beyond this, radians, says that no keypoint tells the angle: what is left is the prior's.
pub const UNSEEN_SD: f64 = 0.7;

/// What is known of the session's free angles.
#[derive(Debug, Clone, PartialEq)]
pub struct Angles {
    /// How many there are.
    pub count: usize,
    /// Indices of those that no keypoint tells: in every trial beyond [`UNSEEN_SD`].
    pub unseen: Vec<usize>,
    /// Median over trials, frames and the other angles of the standard deviation, degrees; `None` where none was computed.
    pub typical_sd_deg: Option<f64>,
}

/// See [`Angles`].
pub fn angles(fit: &SessionFit) -> Angles {
    let free = |c: &Coordinate| c.motion == Motion::Rotational && !c.locked && c.coupling.is_none();
    let coordinates: Vec<usize> =
        fit.skeleton.coordinates.iter().enumerate().filter(|(_, c)| free(c)).map(|(i, _)| i).collect();
    let is_unseen = |i: &usize| {
        let mut sds = fit.trials.iter().filter_map(|t| median_sd(t, *i)).peekable();
        sds.peek().is_some() && sds.all(|sd| sd > UNSEEN_SD)
    };
    let (unseen, seen): (Vec<usize>, Vec<usize>) = coordinates.iter().copied().partition(is_unseen);
    let rows = fit.trials.iter().flat_map(|t| &t.q_sd);
    let all = rows.flat_map(|row| seen.iter().filter_map(|i| row.get(*i).copied().flatten().and_then(finite)));
    Angles {
        count: coordinates.len(),
        unseen,
        typical_sd_deg: median(&mut all.collect::<Vec<f64>>()).map(f64::to_degrees),
    }
}

/// Reprojection of all trials: the trials' figures weighted by their numbers of detections, so that one trial's are its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overall {
    /// Detections counted.
    pub observations: usize,
    /// Median, pixels.
    pub median_px: f64,
    /// Median at the starting point, pixels.
    pub median_px_before: Option<f64>,
    /// Median, millimetres at the subject.
    pub median_mm: Option<f64>,
}

/// See [`Overall`]; `None` where nothing was counted.
pub fn overall(fit: &SessionFit) -> Option<Overall> {
    let mean = |of: &dyn Fn(&TrialFit) -> (usize, f64)| {
        let rows = fit.trials.iter().map(of).filter(|(n, value)| *n > 0 && value.is_finite());
        let (n, sum) = rows.fold((0, 0.0), |(n, sum), (m, value)| (n + m, sum + m as f64 * value));
        (n > 0).then(|| sum / n as f64)
    };
    Some(Overall {
        observations: fit.trials.iter().map(|t| t.reprojection.all.observations).sum(),
        median_px: mean(&|t| (t.reprojection.all.observations, t.reprojection.all.median_px))?,
        median_px_before: mean(&|t| (t.reprojection_before.all.observations, t.reprojection_before.all.median_px)),
        median_mm: mean(&|t| (t.reprojection.all.observations, t.reprojection.all.median_mm)),
    })
}

/// Root mean square length of the marker offsets, millimetres.
pub fn offsets_rms_mm(fit: &SessionFit) -> Option<f64> {
    let n = fit.offset_fits.len();
    let sum: f64 = fit.offset_fits.iter().map(|o| o.offset.norm_squared()).sum();
    if n == 0 { None } else { finite((sum / n as f64).sqrt() * 1e3) }
}

/// The camera that moved most, by the displacement it causes at three metres: rotation and translation weighed together.
pub fn most_moved(fit: &SessionFit) -> Option<&CameraFit> {
    let moved = |c: &CameraFit| c.translation_change_mm + 3000.0 * c.rotation_change_deg.to_radians();
    fit.cameras.iter().filter(|c| moved(c) > 0.0 && moved(c).is_finite()).max_by(|a, b| moved(a).total_cmp(&moved(b)))
}

/// Whether the fit held a camera as it was calibrated.
pub fn held(camera: &CameraFit) -> bool {
    // A rotation against itself is so much off by rounding.
    let nothing = 1e-6;
    camera.rotation_sd_deg.is_none() && camera.rotation_change_deg < nothing && camera.translation_change_mm < nothing
}

/// Whether all markers that keypoints observe are fixed to their bodies.
pub fn all_markers_fixed(fit: &SessionFit) -> bool {
    let fixed = |o: &OffsetFit| fit.skeleton.markers.get(o.marker.index()).is_some_and(|m| m.fixed);
    !fit.offset_fits.is_empty() && fit.offset_fits.iter().all(fixed)
}

/// Names of the stale cameras.
pub fn stale(fit: &SessionFit) -> Vec<&str> {
    fit.cameras.iter().filter(|c| c.stale).map(|c| c.name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn medians() {}

    #[test]
    fn trials_count_by_their_detections() {
        let mut fit = sample::session();
        fit.trials[0].reprojection.all.observations = 300;
        fit.trials[0].reprojection.all.median_px = 4.0;
        fit.trials[1].reprojection.all.observations = 100;
        fit.trials[1].reprojection.all.median_px = 8.0;
        let all = overall(&fit).unwrap();
        assert_eq!((all.observations, all.median_px), (400, 5.0));
        assert_eq!(overall(&sample::empty()), None);
    }

    #[test]
    fn angles_that_are_held_or_unseen_do_not_count() {
        let mut fit = sample::session();
        let before = angles(&fit);
        assert!((0.5..3.0).contains(&before.typical_sd_deg.unwrap()) && before.unseen.is_empty());
        let locked = fit.skeleton.coordinates.iter().position(|c| c.locked).unwrap();
        for row in fit.trials.iter_mut().flat_map(|t| &mut t.q_sd) {
            row[locked] = Some(0.0);
        }
        assert_eq!(angles(&fit), before);
        let neck = fit.skeleton.coordinates.iter().position(|c| c.name == "neck_flexion").unwrap();
        for row in fit.trials.iter_mut().flat_map(|t| &mut t.q_sd) {
            row[neck] = Some(1.0);
        }
        assert_eq!(angles(&fit).unseen, [neck]);
        assert!(angles(&fit).typical_sd_deg.unwrap() < 3.0);
    }

    #[test]
    fn the_stale_camera_moved_most() {
        let fit = sample::session();
        assert_eq!(most_moved(&fit).unwrap().name, "cam03");
        assert_eq!(stale(&fit), ["cam03"]);
        assert!(most_moved(&sample::empty()).is_none());
    }
}
