//! Whether the images that keypoints were detected in are those that were calibrated.

use super::openpose::Folder;
use crate::camera::Rig;
use crate::error::{Error, Result};

/// Confidence from which a keypoint is taken to lie in the image.
const CONFIDENT: f64 = 0.3;

/// Part of the image's size that a detector may place a keypoint outside of it.
const MARGIN: f64 = 0.02;

/// Share of the keypoints outside the image that is no longer chance. Gross outliers are scattered; a subject filmed in
/// twice the resolution or on a turned sensor has a good part of the body outside in most frames.
const TOO_MANY: f64 = 0.15;

/// Fewer keypoints than this prove nothing.
const FEWEST: usize = 30;

/// Numbers up to this are shares of the image and no pixels, if all are.
const NORMALISED: f64 = 1.5;

/// Checks each camera's keypoints against its calibrated size.
///
/// # Errors
/// Keypoints lie outside the image throughout: it is turned by 90°, or larger than the calibrated one, or the numbers are no pixels.
pub(super) fn check(rig: &Rig, folders: &[Folder], place: &str) -> Result<()> {
    for (camera, folder) in rig.iter().zip(folders) {
        let [width, height] = camera.size;
        if !(width > 0.0 && height > 0.0) {
            continue;
        }
        no_pixels(&camera.name, folder, place)?;
        let mut count = 0usize;
        let (mut outside, mut outside_turned) = (0usize, 0usize);
        let (mut right, mut bottom) = (0.0f64, 0.0f64);
        for &[u, v, _] in folder.frames.values().flatten().flatten().filter(|point| point[2] >= CONFIDENT) {
            count += 1;
            outside += usize::from(!inside(u, v, width, height));
            outside_turned += usize::from(!inside(u, v, height, width));
            right = right.max(u);
            bottom = bottom.max(v);
        }
        let too_many = |outside: usize| outside as f64 > TOO_MANY * count as f64;
        if count < FEWEST || !too_many(outside) {
            continue;
        }
        let percent = 100.0 * outside as f64 / count as f64;
        let (what, advice) = if width != height && !too_many(10 * outside_turned) {
            (
                format!("they fit {height} × {width}, so the image is turned by 90° against the calibration"),
                "detect keypoints in images turned like those that were calibrated, or calibrate the turned ones",
            )
        } else {
            (
                format!("they reach to {right:.0}, {bottom:.0}, so the image is larger than the calibrated one"),
                "detect keypoints in images of the calibrated size, or calibrate with this size",
            )
        };
        return Err(Error::input(
            format_args!("camera `{}`, {place}", camera.name),
            format_args!(
                "{percent:.0} % of its keypoints lie outside the calibrated {width} × {height} pixels; {what}"
            ),
            advice,
        ));
    }
    Ok(())
}

/// # Errors
/// Numbers that are no pixels of any image.
fn no_pixels(camera: &str, folder: &Folder, place: &str) -> Result<()> {
    let placed = || folder.frames.values().flatten().flatten().filter(|point| point[2] >= CONFIDENT);
    let count = placed().count();
    if let Some((file, [u, v])) = &folder.first_nowhere {
        let all = count + folder.nowhere;
        let place = format!("{}, camera `{camera}`, {place}", file.display());
        if folder.nowhere as f64 > TOO_MANY * all as f64 {
            return Err(Error::input(
                place,
                format_args!(
                    "{:.0} % of this camera's keypoints are in no image, the first at {u:.3e}, {v:.3e}, expected pixels",
                    100.0 * folder.nowhere as f64 / all as f64
                ),
                "write the keypoints of this camera again, in pixels of its images",
            ));
        }
        tracing::warn!(%place, "{} keypoints of this camera are in no image, the first at {u:.3e}, {v:.3e}; they count as not seen", folder.nowhere);
    }
    if count >= FEWEST && placed().all(|[u, v, _]| u.abs().max(v.abs()) <= NORMALISED) {
        return Err(Error::input(
            format_args!("camera `{camera}`, {place}"),
            "its keypoints lie between 0 and 1: they look like shares of the image, expected pixels",
            "multiply x by the image's width and y by its height, or have the detector write pixels",
        ));
    }
    Ok(())
}

fn inside(u: f64, v: f64, width: f64, height: f64) -> bool {
    let within = |x: f64, size: f64| (-MARGIN * size..=(1.0 + MARGIN) * size).contains(&x);
    within(u, width) && within(v, height)
}
