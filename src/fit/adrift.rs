//! Frames in which the body is not where the detections are.
//!
//! A robust loss gives up detections that are far off, and with them a whole frame whose pose is: a network that turns its heading the wrong way round fits every
//! other frame perfectly. Such frames are found by their errors against the trial's.

use crate::camera::Rig;
use crate::math::median;
use crate::solve::PixelResidual;
use std::ops::Range;

/// Half of a frame's detections are this many times as far off, at the subject, as the trial's typically are.
const TIMES: f64 = 4.0;

/// And at least so far, metres at the subject: less can be a movement that is quicker than the trajectory.
const AT_LEAST: f64 = 0.05;

/// Fewer detections than this in a frame prove nothing.
const FEWEST: usize = 12;

/// A stretch of frames, and half of its detections are further off than this, metres at the subject.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Adrift {
    pub frames: Range<usize>,
    pub metres: f64,
}

/// The stretches of a trial in which the body is elsewhere, in order.
pub(super) fn adrift(residuals: &[PixelResidual], rig: &Rig, frames: usize) -> Vec<Adrift> {
    let mut errors: Vec<Vec<f64>> = vec![Vec::new(); frames];
    for r in residuals {
        if let Some(frame) = errors.get_mut(r.frame as usize) {
            frame.push(r.at_subject(&rig[usize::from(r.camera)]));
        }
    }
    let Some(usual) = median(&mut errors.iter().flatten().copied().collect::<Vec<_>>()) else { return Vec::new() };
    let limit = AT_LEAST.max(TIMES * usual);
    let mut found: Vec<Adrift> = Vec::new();
    for (f, errors) in errors.iter_mut().enumerate().filter(|(_, e)| e.len() >= FEWEST) {
        let Some(metres) = median(errors).filter(|m| *m > limit) else { continue };
        match found.last_mut().filter(|last| last.frames.end == f) {
            Some(last) => (last.frames.end, last.metres) = (f + 1, last.metres.max(metres)),
            None => found.push(Adrift { frames: f..f + 1, metres }),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::demo;
    use nalgebra::Vector2;

    #[test]
    fn stretches_are_found_by_their_errors_against_the_others() {
        let rig = demo().unwrap().session.rig;
        let focal = rig[0].intrinsics.fx;
        let made = |off: fn(u32) -> f64, count: u16| -> Vec<PixelResidual> {
            let one = |frame: u32, keypoint: u16| PixelResidual {
                frame,
                camera: 0,
                keypoint,
                weight: 1.0,
                // Metres, at four metres.
                error_px: Vector2::new(off(frame) * focal / 4.0, 0.0),
                depth: 4.0,
            };
            (0..50).flat_map(|f| (0..count).map(move |k| one(f, k))).collect()
        };
        assert_eq!(adrift(&made(|_| 0.2, 20), &rig, 50), [], "all alike are no stretch");
        assert_eq!(
            adrift(&made(|f| if f == 7 { 0.04 } else { 0.005 }, 20), &rig, 50),
            [],
            "centimetres are a movement"
        );
        let bad = |f: u32| if (7..10).contains(&f) || f == 49 { 0.1 } else { 0.005 };
        assert_eq!(adrift(&made(bad, 5), &rig, 50), [], "a few detections prove nothing");
        let found = adrift(&made(bad, 20), &rig, 50);
        assert_eq!(found.iter().map(|a| a.frames.clone()).collect::<Vec<_>>(), [7..10, 49..50]);
        assert!(found.iter().all(|a| (a.metres / 0.1 - 1.0).abs() < 0.01), "{found:?}");
    }
}
