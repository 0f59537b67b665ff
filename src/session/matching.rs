//! Which folder of keypoints belongs to which camera.

use crate::error::{Error, Result};
use std::cmp::Ordering;
use std::path::{Path, PathBuf};

/// How folders were matched to cameras.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Matched {
    /// Every folder bears the name of a camera.
    ByName,
    /// No folder bears the name of a camera; both were taken in their order.
    ByOrder,
    /// Some do; the others were taken in their order.
    InPart,
}

/// For each camera, the index of its folder. `cameras` and `folders` are names; both in their own order.
///
/// # Errors
/// More folders than cameras; folders missing that no name tells.
pub(super) fn match_folders(cameras: &[&str], folders: &[&str], place: &Path) -> Result<(Vec<Option<usize>>, Matched)> {
    if folders.len() > cameras.len() {
        return Err(Error::file(
            place,
            format_args!("{} folders of keypoints for {} calibrated cameras", folders.len(), cameras.len()),
            "calibrate the other cameras, or take their folders away",
        ));
    }
    let cameras_plain: Vec<String> = cameras.iter().map(|name| plain(name)).collect();
    let folders_plain: Vec<String> = folders.iter().map(|name| plain(name)).collect();
    let once = |names: &[String], name: &String| names.iter().filter(|other| *other == name).count() == 1;
    let mut of_camera: Vec<Option<usize>> = cameras_plain
        .iter()
        .map(|camera| {
            let folder = folders_plain.iter().position(|folder| folder == camera && !folder.is_empty())?;
            (once(&cameras_plain, camera) && once(&folders_plain, camera)).then_some(folder)
        })
        .collect();
    let named = of_camera.iter().flatten().count();
    if named == folders.len() {
        return Ok((of_camera, Matched::ByName));
    }
    if folders.len() < cameras.len() {
        let strangers: Vec<&str> = folders
            .iter()
            .enumerate()
            .filter(|(index, _)| !of_camera.contains(&Some(*index)))
            .map(|(_, name)| *name)
            .collect();
        return Err(Error::file(
            place,
            format_args!(
                "{} folders of keypoints for {} cameras, and no camera has the name of {}, so it is not known which camera saw nothing",
                folders.len(),
                cameras.len(),
                strangers.join(", ")
            ),
            format_args!("name the folders like the cameras: {}", cameras.join(", ")),
        ));
    }
    let mut rest =
        (0..folders.len()).filter(|index| !of_camera.contains(&Some(*index))).collect::<Vec<_>>().into_iter();
    for slot in of_camera.iter_mut().filter(|slot| slot.is_none()) {
        *slot = rest.next();
    }
    Ok((of_camera, if named == 0 { Matched::ByOrder } else { Matched::InPart }))
}

/// A name without case, separators, leading zeros of its numbers, and the words tools add: `int_Cam_01_img` and
/// `cam1_json` are the same camera.
fn plain(name: &str) -> String {
    let lower = name.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric());
    let kept =
        words.filter(|word| !matches!(*word, "json" | "img" | "vid" | "video" | "int" | "ext" | "pose" | "calib"));
    let mut plain = String::new();
    for word in kept {
        for (digits, run) in runs(word) {
            plain.push_str(if digits { nonzero(run) } else { run });
            // Numbers that stood apart stay apart.
            if digits {
                plain.push('.');
            }
        }
    }
    plain
}

fn nonzero(digits: &str) -> &str {
    let trimmed = digits.trim_start_matches('0');
    if trimmed.is_empty() { "0" } else { trimmed }
}

/// Maximal runs of digits and of other characters.
fn runs(text: &str) -> impl Iterator<Item = (bool, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let digits = rest.chars().next()?.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
        let (run, tail) = rest.split_at(end);
        rest = tail;
        Some((digits, run))
    })
}

/// The order a person would put names in: numbers by value.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (runs(a), runs(b));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return a.cmp(b),
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some((true, x)), Some((true, y))) => {
                let (x, y) = (nonzero(x), nonzero(y));
                x.len().cmp(&y.len()).then_with(|| x.cmp(y))
            }
            (Some((_, x)), Some((_, y))) => x.cmp(y),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Sub-folders of a folder that are not hidden, in natural order; none where it cannot be listed.
pub(super) fn subfolders(folder: &Path) -> Vec<(String, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<(String, PathBuf)> = entries
        .filter_map(|entry| entry.ok())
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
        .filter(|(name, path)| !name.starts_with('.') && path.is_dir())
        .collect();
    found.sort_by(|a, b| natural(&a.0, &b.0));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(cameras: &[&str], folders: &[&str]) -> Result<(Vec<Option<usize>>, Matched)> {
        match_folders(cameras, folders, Path::new("pose"))
    }

    #[test]
    fn names_decide_where_they_agree() {
        let (folders, how) =
            matched(&["cam_01", "cam_02", "cam_10"], &["cam2_json", "cam10_json", "cam01_json"]).unwrap();
        assert_eq!((folders, how), (vec![Some(2), Some(0), Some(1)], Matched::ByName));
        let (folders, how) = matched(&["int_cam01_img", "int_cam02_img"], &["cam02_json"]).unwrap();
        assert_eq!((folders, how), (vec![None, Some(0)], Matched::ByName));
        let (folders, how) = matched(&["M1"], &[]).unwrap();
        assert_eq!((folders, how), (vec![None], Matched::ByName));
    }

    #[test]
    fn order_decides_otherwise() {
        let (folders, how) = matched(&["26578", "26579"], &["cam1_json", "cam2_json"]).unwrap();
        assert_eq!((folders, how), (vec![Some(0), Some(1)], Matched::ByOrder));
        let (folders, how) = matched(&["a", "cam2", "c"], &["cam2", "x", "y"]).unwrap();
        assert_eq!((folders, how), (vec![Some(1), Some(0), Some(2)], Matched::InPart));
        // The same name twice tells nothing.
        let (_, how) = matched(&["cam1", "cam_1"], &["cam1", "cam01"]).unwrap();
        assert_eq!(how, Matched::ByOrder);
        // Numbers do not run together: 1 and 11 are not 11 and 1.
        let (_, how) = matched(&["1_11", "2_22"], &["11_1", "3"]).unwrap();
        assert_eq!(how, Matched::ByOrder);
    }

    #[test]
    fn what_cannot_be_told_is_an_error() {
        let error = matched(&["cam1"], &["cam1", "cam2"]).unwrap_err().to_string();
        assert!(error.contains("2 folders of keypoints for 1 calibrated cameras"), "{error}");
        let error = matched(&["26578", "26579", "26580"], &["cam1", "cam3"]).unwrap_err().to_string();
        assert!(error.contains("cam1, cam3") && error.contains("26579"), "{error}");
    }

    #[test]
    fn numbers_are_ordered_by_value() {
        let mut names = ["cam10", "cam2", "cam1", "b", "cam02"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["b", "cam1", "cam02", "cam2", "cam10"]);
    }
}
