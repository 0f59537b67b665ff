//! The scale of a detector's confidences.
//!
//! Everything here counts confidence from 0 to 1, as OpenPose does. Other detectors have scales of their own, which the
//! numbers of a whole trial tell, where one number does not:
//!
//! | median of those above 0 | greatest | taken as |
//! |---|---|---|
//! | up to 1.5 | any | 0 to 1, some estimated a little higher: these count as 1 |
//! | 1.5 to 10 | up to 100 | scores without an upper end: those above 1 count as 1, with a warning |
//! | above 10 | up to 100 | percent: divided by 100, with a warning |
//! | above 1.5 | above 100 | no scale known here: an error |

use super::openpose::Folder;
use crate::error::{Error, Result};
use crate::math::median;

/// Median above which confidences are no longer from 0 to 1.
const MOST_OF_ONE: f64 = 1.5;

/// Median above which they are percent rather than scores.
const LEAST_PERCENT: f64 = 10.0;

/// Full confidence in percent.
const PERCENT: f64 = 100.0;

/// Brings the confidences of one trial into 0..=1.
///
/// # Errors
/// They are on a scale that is not known.
pub(super) fn normalise(folders: &mut [Folder], place: &str) -> Result<()> {
    let people = || folders.iter().flat_map(|folder| folder.frames.values()).flatten();
    let mut confidences: Vec<f64> = people().flatten().map(|point| point[2]).filter(|c| *c > 0.0).collect();
    let greatest = confidences.iter().copied().fold(0.0, f64::max);
    let median = median(&mut confidences).unwrap_or(0.0);
    let mut scale = 1.0;
    if median > MOST_OF_ONE {
        if greatest > PERCENT {
            return Err(Error::input(
                place,
                format_args!(
                    "half of the confidences are above {median:.3}, the greatest is {greatest:.3}; expected 0 to 1 (or percent)"
                ),
                "check that the third number of every keypoint is its confidence, and divide it by its greatest possible value",
            ));
        }
        if median > LEAST_PERCENT {
            scale = PERCENT.recip();
            tracing::warn!(%place, "half of the confidences are above {median:.0}; taken to be percent and divided by 100");
        } else {
            tracing::warn!(
                %place,
                "half of the confidences are above {median:.1}, expected 0 to 1; those above 1 count as 1, so that good and \
                 poor detections weigh the same; divide them by their greatest possible value"
            );
        }
    }
    let points = folders.iter_mut().flat_map(|folder| folder.frames.values_mut()).flatten().flatten();
    points.for_each(|point| point[2] = (scale * point[2]).min(1.0));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// The confidences after normalising; the last in a camera of its own.
    fn normalised(confidences: &[f64]) -> Result<Vec<f64>> {
        let folder = |confidences: &[f64]| Folder {
            frames: BTreeMap::from([(0, vec![confidences.iter().map(|&c| [3.0, 4.0, c]).collect()])]),
            ..Folder::default()
        };
        let (last, rest) = confidences.split_last().unwrap();
        let mut folders = [folder(rest), Folder::default(), folder(&[*last])];
        normalise(&mut folders, "trial `a`")?;
        Ok(folders.iter().flat_map(|f| f.frames.values()).flatten().flatten().map(|point| point[2]).collect())
    }

    #[test]
    fn the_usual_scale_is_left_alone() {
        assert_eq!(normalised(&[0.0, 0.5, 0.9, 1.0]).unwrap(), [0.0, 0.5, 0.9, 1.0]);
        // A few above 1, even far above, say nothing about the others.
        assert_eq!(normalised(&[0.4, 1.2, 0.9, 900.0, 0.3]).unwrap(), [0.4, 1.0, 0.9, 1.0, 0.3]);
        assert_eq!(normalised(&[0.0, 0.0]).unwrap(), [0.0, 0.0]);
    }

    #[test]
    fn percent_is_understood_whatever_is_missing() {
        assert_eq!(
            normalised(&[0.0, 0.0, 0.0, 50.0, 1.0, 75.0, 100.0]).unwrap(),
            [0.0, 0.0, 0.0, 0.5, 0.01, 0.75, 1.0]
        );
    }

    #[test]
    fn scores_without_an_end_are_full_confidence() {
        assert_eq!(normalised(&[0.5, 4.0, 7.0, 8.0]).unwrap(), [0.5, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn unknown_scales_are_refused() {
        let message = normalised(&[120.0, 255.0, 250.0]).unwrap_err().to_string();
        assert!(message.contains("trial `a`") && message.contains("250") && message.contains("255"), "{message}");
    }
}
