//! Pose2Sim's session folder, as it is.
//!
//! ```text
//! session/                     or, for a session of one trial,      session/
//!   calibration/Calib.toml                                            calibration/…
//!   Config.toml                                                       Config.toml
//!   walk/pose/cam01_json/*.json                                       pose/cam01_json/*.json
//!   run/pose/cam01_json/*.json
//! ```
//!
//! Of a trial's folders, `pose-associated` stands before `pose-sync` and that before `pose`. A trial's own folder may be
//! given too; calibration and configuration are then also sought beside it.

use super::config::{Config, Stated};
use super::description::{Description, FORMAT, TrialDescription, Up, check_rate};
use super::matching::{Matched, match_folders, subfolders};
use super::read::ReadOptions;
use super::{Subject, Unusable, keypoints, openpose};
use crate::camera::calibration;
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// In the order they are preferred.
const POSE_FOLDERS: [&str; 3] = ["pose-associated", "pose-sync", "pose"];

struct Found {
    name: String,
    pose: PathBuf,
    /// Folders of keypoint files, in natural order of their names.
    cameras: Vec<(String, PathBuf)>,
    config: Config,
}

/// States outright what a session folder holds, with the flags in `options` standing before its configuration; and
/// the configuration files that were read.
///
/// # Errors
/// No calibration or no trial; more folders than cameras; a frame rate or keypoint set that is stated nowhere, or
/// twice and differently.
pub(super) fn describe(root: &Path, options: &ReadOptions) -> Result<(Description, Vec<PathBuf>)> {
    // `.` has no name of its own.
    let root = &std::fs::canonicalize(root)
        .map_err(|error| Error::unreadable(root, &error))
        .map(|full| if root.file_name().is_some() { root.to_path_buf() } else { full })?;
    let name = folder_name(root);
    let (outer, calibration) = find_calibration(root)?;
    let outer_config = outer.as_deref().map_or_else(|| Ok(Config::default()), Config::of_folder)?;
    let root_config = Config::of_folder(root)?;
    let trials = find_trials(root, &name)?;

    let configs: Vec<&Config> =
        [&outer_config, &root_config].into_iter().chain(trials.iter().map(|t| &t.config)).collect();
    let rate_hz = rate(root, &configs, options)?;
    let keypoints = keypoint_set(root, &configs, options, &trials)?;

    let rig = calibration::read(&calibration)?;
    let names: Vec<&str> = rig.iter().map(|camera| camera.name.as_str()).collect();
    let shared_frames = root_config.frames.or(outer_config.frames);
    let mut files: Vec<PathBuf> = configs.iter().filter_map(|config| config.file.clone()).collect();
    files.dedup();
    let trials = trials
        .into_iter()
        .map(|trial| {
            let (poses, unusable) = match assign(&names, &trial) {
                Ok(poses) => (poses, None),
                Err(error) => (vec![PathBuf::new(); names.len()], Some(Unusable::new(&trial.name, &error))),
            };
            let frames = trial.config.frames.or(shared_frames);
            TrialDescription { poses, frames, name: trial.name, rate_hz, person: None, unusable }
        })
        .collect();
    let description =
        Description { format: FORMAT, name, calibration, keypoints, up: Up::Z, subject: Subject::default(), trials };
    Ok((description, files))
}

fn folder_name(folder: &Path) -> String {
    let full = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf());
    full.file_name().map_or_else(|| "session".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// The calibration file, and the folder around `root` if it was found only there.
fn find_calibration(root: &Path) -> Result<(Option<PathBuf>, PathBuf)> {
    let here = calibration_in(root);
    if here.is_err()
        && pose_folder(root).is_some()
        && let Some(outer) = root.parent()
        && let Ok(file) = calibration_in(outer)
    {
        return Ok((Some(outer.to_path_buf()), file));
    }
    Ok((None, here?))
}

/// The calibration file of a session: in its folder named after calibration, or beside its trials.
fn calibration_in(session: &Path) -> Result<PathBuf> {
    let mut named = subfolders(session);
    named.retain(|(name, _)| name.to_lowercase().contains("calib"));
    let mut found: Option<(&str, PathBuf)> = None;
    for (name, folder) in &named {
        let Some(file) = calibration::find_any(folder)? else { continue };
        match &found {
            None => found = Some((name, file)),
            Some((_, first)) if calibration::agree(first, &file)? => {}
            Some((first, _)) => {
                return Err(Error::file(
                    session,
                    format_args!(
                        "two folders hold calibrations that do not state the same cameras: {first} and {name}"
                    ),
                    "keep one of them here, or name the file you mean in session.toml",
                ));
            }
        }
    }
    match (found, named.first()) {
        (Some((_, file)), _) => Ok(file),
        (None, Some((_, folder))) => calibration::find(folder),
        (None, None) => calibration::find(session).map_err(|_| {
            Error::file(
                session,
                "no calibration: no folder whose name contains `calib`, and no calibration file",
                "put Calib.toml or the Qualisys .qca.txt into a folder `calibration` of the session",
            )
        }),
    }
}

fn pose_folder(trial: &Path) -> Option<PathBuf> {
    let existing = POSE_FOLDERS.iter().map(|name| trial.join(name)).filter(|folder| folder.is_dir());
    let (full, empty): (Vec<_>, Vec<_>) = existing.partition(|folder| !camera_folders(folder).is_empty());
    full.into_iter().chain(empty).next()
}

fn camera_folders(pose: &Path) -> Vec<(String, PathBuf)> {
    let mut folders = subfolders(pose);
    folders.retain(|(name, _)| name.to_lowercase().contains("json"));
    folders
}

fn find_trials(root: &Path, name: &str) -> Result<Vec<Found>> {
    let found: Vec<(String, PathBuf, PathBuf)> = match pose_folder(root) {
        Some(pose) => vec![(name.to_owned(), root.to_path_buf(), pose)],
        None => subfolders(root)
            .into_iter()
            .filter_map(|(name, folder)| pose_folder(&folder).map(|pose| (name, folder, pose)))
            .collect(),
    };
    if found.is_empty() {
        return Err(Error::file(
            root,
            "no trial: neither this folder nor one in it holds a folder `pose` (or `pose-sync`, `pose-associated`)",
            "give the folder of a Pose2Sim session after pose estimation, or a session.toml",
        ));
    }
    found
        .into_iter()
        .map(|(name, folder, pose)| {
            let cameras = camera_folders(&pose);
            let config = if folder == root { Config::default() } else { Config::of_folder(&folder)? };
            Ok(Found { name, pose, cameras, config })
        })
        .collect()
}

fn rate(root: &Path, configs: &[&Config], options: &ReadOptions) -> Result<f64> {
    if let Some(rate_hz) = options.rate_hz {
        check_rate(rate_hz, "--rate")?;
        return Ok(rate_hz);
    }
    let advice = "give the frames per second of the cameras with --rate HZ, or write session.toml";
    let stated = agreed(configs.iter().filter_map(|config| config.rate_hz.as_ref()), "frame rate", advice)?;
    stated.map(|rate| rate.value).ok_or_else(|| {
        Error::file(
            root,
            "the frame rate is stated nowhere: no Config.toml has a number in [project] frame_rate",
            advice,
        )
    })
}

fn keypoint_set(root: &Path, configs: &[&Config], options: &ReadOptions, trials: &[Found]) -> Result<String> {
    if let Some(set) = &options.keypoints {
        return keypoints::resolve(set, root);
    }
    let advice = "give the keypoint set with --keypoints SET";
    let stated = agreed(configs.iter().filter_map(|config| config.keypoints.as_ref()), "keypoint set", advice)?;
    if let Some(stated) = stated {
        let folder = stated.file.parent().unwrap_or(root);
        let found = keypoints::find(&stated.value, &[folder, root]).map_err(|error| match error {
            Error::Input { place, problem, advice } => {
                Error::input(format_args!("{}, [pose] pose_model: {place}", stated.file.display()), problem, advice)
            }
            other => other,
        })?;
        return Ok(found.1.map_or_else(|| stated.value.clone(), |file| file.to_string_lossy().into_owned()));
    }
    let mut seen = "no person is in the files".to_owned();
    for (_, folder) in trials.iter().flat_map(|trial| &trial.cameras) {
        if let Some((&numbers, _)) = openpose::read_folder(folder, 0)?.lengths.iter().max_by_key(|(_, count)| **count) {
            let points = numbers / 3;
            seen = match keypoints::names_with(points).as_slice() {
                [] => format!("the files have {points} points, as no built-in set has"),
                [only] => format!("the files have {points} points, which may be {only}"),
                several => format!("the files have {points} points, which may be {}", several.join(" or ")),
            };
            break;
        }
    }
    Err(Error::file(
        root,
        format_args!("the keypoint set is stated nowhere; {seen}"),
        format_args!("{advice} (one of {} or a file)", keypoints::known_names()),
    ))
}

/// The one value that all files state, if any does.
fn agreed<'a, T: PartialEq + std::fmt::Display + 'a>(
    stated: impl Iterator<Item = &'a Stated<T>>,
    what: &str,
    advice: &str,
) -> Result<Option<&'a Stated<T>>> {
    let mut first: Option<&Stated<T>> = None;
    for next in stated {
        match first {
            Some(known) if known.value != next.value => {
                return Err(Error::file(
                    &next.file,
                    format_args!("the {what} is {}, but {} has {}", next.value, known.file.display(), known.value),
                    advice,
                ));
            }
            _ => first = first.or(Some(next)),
        }
    }
    Ok(first)
}

fn assign(cameras: &[&str], trial: &Found) -> Result<Vec<PathBuf>> {
    if trial.cameras.is_empty() {
        return Err(Error::file(
            &trial.pose,
            "an empty trial: no folder whose name contains `json`",
            "expected one folder per camera, such as cam01_json; run the pose estimation, or take the trial away",
        ));
    }
    let folders: Vec<&str> = trial.cameras.iter().map(|(name, _)| name.as_str()).collect();
    let (of_camera, how) = match_folders(cameras, &folders, &trial.pose)?;
    let how = match how {
        Matched::ByName => "by name",
        Matched::ByOrder => "by order, because no names agree",
        Matched::InPart => "by name where names agree, the others by order",
    };
    tracing::info!(trial = %trial.name, "folders matched to cameras {how}");
    let mut poses = Vec::with_capacity(cameras.len());
    for (camera, folder) in cameras.iter().zip(of_camera) {
        let folder = folder.and_then(|index| trial.cameras.get(index));
        match folder {
            Some((name, _)) => tracing::info!(trial = %trial.name, %camera, folder = %name, "matched"),
            None => tracing::warn!(trial = %trial.name, %camera, "has no folder of keypoints; it sees nothing here"),
        }
        poses.push(folder.map(|(_, path)| path.clone()).unwrap_or_default());
    }
    Ok(poses)
}
