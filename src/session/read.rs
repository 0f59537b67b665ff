//! From a folder or a `session.toml` to a [`Session`].

use super::description::{self, Description, TrialDescription, Up, check_rate};
use super::openpose::{self, Folder};
use super::people::{self, Association, Sightings};
use super::{
    Detections, KeypointSet, Person, Session, Trial, Unusable, confidence, image_size, keypoints, mixup, pose2sim,
    trial_place,
};
use crate::camera::{Rig, calibration};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What the user says beside the files; each stands before what they say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ReadOptions {
    /// Frames per second of all trials.
    pub rate_hz: Option<f64>,
    /// A built-in keypoint set or a file.
    pub keypoints: Option<String>,
    /// Frames to take, in the files' own counting.
    pub frames: Option<Range<i64>>,
    /// Rank of the subject among the people, 0 being the one seen best.
    pub person: Option<usize>,
    /// Standing height of the subject, metres.
    pub stature: Option<f64>,
}

/// A session, and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The session.
    pub session: Session,
    /// The same as files state it: what a `session.toml` for it would say.
    pub description: Description,
    /// What was made of the people, per trial; of one that cannot be used, nothing.
    pub associations: Vec<Association>,
    /// The files that decided: description or configurations, calibration, keypoint set; folders of keypoints.
    pub inputs: Vec<PathBuf>,
}

/// Frames without a file between those with one, per frame with a file, beyond which the numbers are no frame numbers.
const SPARSEST: usize = 100;

/// Frames without a file, one after the other, that are no reason to ask however short a trial is. Otherwise a gap must not be longer than what is there: nothing tells where somebody was in it.
const GAP: i64 = 60;

/// Fewer points than this are alike by chance, or because nobody was seen.
const FEWEST_POINTS: usize = 30;

/// Most points (camera × frame × keypoint) of one trial: 24 bytes each.
const MOST_POINTS: usize = 100_000_000;

/// Reads a Pose2Sim session folder, a folder with a `session.toml`, or a `session.toml`.
///
/// A trial that cannot be used says so ([`Trial::unusable`]) and stops no other.
///
/// # Errors
/// Input that cannot be used, with file and place: see the modules of this one. What is wrong with a trial is an error only where no trial can be used.
pub fn read(path: &Path, options: &ReadOptions) -> Result<Session> {
    read_with_sources(path, options).map(|reading| reading.session)
}

/// As [`read`], with the files it came from and what was made of the people.
///
/// # Errors
/// As for [`read`].
pub fn read_with_sources(path: &Path, options: &ReadOptions) -> Result<Reading> {
    let explicit = if path.is_dir() { path.join(description::FILE_NAME) } else { path.to_path_buf() };
    let (mut description, mut inputs) = if explicit.is_file() {
        let mut description = Description::read(&explicit)?;
        if let Some(set) = &options.keypoints {
            description.keypoints = keypoints::resolve(set, explicit.parent().unwrap_or(Path::new("")))?;
        }
        (description, vec![explicit])
    } else if path.is_dir() {
        pose2sim::describe(path, options)?
    } else {
        return Err(Error::file(path, "does not exist", "give a session folder or a session.toml"));
    };
    override_with(&mut description, options)?;
    let (set, set_file) = keypoints::find(&description.keypoints, &[Path::new("")])?;
    let rig = calibration::read(&description.calibration)?;
    inputs.push(description.calibration.clone());
    inputs.extend(set_file);
    let mut trials = Vec::new();
    let mut associations = Vec::new();
    let mut first_error = None;
    for trial in &description.trials {
        let (read, association) = match read_trial(trial, &rig, &set) {
            Ok(read) => read,
            // One bad trial stops no other.
            Err(error) => {
                tracing::info!(trial = %trial.name, "cannot be used: {error}");
                let read = unusable(trial, Unusable::new(&trial.name, &error));
                first_error = first_error.or(Some(error));
                (read, Association::default())
            }
        };
        trials.push(read);
        associations.push(association);
    }
    if let Some(error) = first_error.filter(|_| trials.iter().all(|trial| trial.unusable.is_some())) {
        return Err(error);
    }
    let read = description.trials.iter().zip(&trials).filter(|(_, read)| read.unusable.is_none());
    inputs.extend(read.flat_map(|(trial, _)| &trial.poses).filter(|p| !p.as_os_str().is_empty()).cloned());
    let session = Session {
        name: description.name.clone(),
        rig,
        z_up: description.up == Up::Z,
        keypoints: set,
        trials,
        subject: description.subject.clone(),
    };
    Ok(Reading { session, description, associations, inputs })
}

fn override_with(description: &mut Description, options: &ReadOptions) -> Result<()> {
    if let Some(stature) = options.stature {
        if !(0.3..=2.8).contains(&stature) {
            return Err(Error::input(
                "--stature",
                format_args!("is {stature}"),
                "give the standing height in metres, 0.3 to 2.8",
            ));
        }
        description.subject.stature = Some(stature);
    }
    if let Some(range) = options.frames.as_ref().filter(|range| range.is_empty()) {
        return Err(Error::input(
            "--frames",
            format_args!("{}..{} is no range", range.start, range.end),
            "give first..end, the end being one past the last frame",
        ));
    }
    if let Some(rate_hz) = options.rate_hz {
        check_rate(rate_hz, "--rate")?;
    }
    for trial in &mut description.trials {
        trial.rate_hz = options.rate_hz.unwrap_or(trial.rate_hz);
        trial.frames = options.frames.as_ref().map(|range| [range.start, range.end]).or(trial.frames);
        trial.person = options.person.or(trial.person);
    }
    Ok(())
}

fn unusable(trial: &TrialDescription, why: Unusable) -> Trial {
    Trial {
        name: trial.name.clone(),
        rate_hz: trial.rate_hz,
        first_frame: 0,
        detections: Detections::missing(0, 0, 0),
        unusable: Some(why),
    }
}

fn read_trial(trial: &TrialDescription, rig: &Rig, set: &KeypointSet) -> Result<(Trial, Association)> {
    let name = trial_place(&trial.name);
    if let Some(why) = &trial.unusable {
        return Err(Error::input(name, &why.problem, &why.advice));
    }
    // A trial's folders mostly lie in one; where not, that of the first tells the place as well as any.
    let folder = trial.poses.iter().find_map(|pose| pose.parent().filter(|folder| !folder.as_os_str().is_empty()));
    let place = folder.map_or_else(|| name.clone(), |folder| format!("{}, {name}", folder.display()));
    if trial.poses.len() != rig.len() {
        return Err(Error::input(
            &place,
            format_args!("{} folders of keypoints for {} calibrated cameras", trial.poses.len(), rig.len()),
            "list one folder per camera of the calibration, in its order; \"\" for a camera that saw nothing",
        ));
    }
    let mut folders = Vec::with_capacity(rig.len());
    for pose in &trial.poses {
        let empty = pose.as_os_str().is_empty();
        folders.push(if empty { Folder::default() } else { openpose::read_folder(pose, set.points.len())? });
    }
    check_lengths(&folders, set, &place, &name)?;
    confidence::normalise(&mut folders, &name)?;
    image_size::check(rig, &folders, &name)?;
    check_copies(rig, &folders, &trial.poses, &name)?;
    let frames = frame_range(trial, &folders, rig.len() * set.points.len(), &place)?;
    let first_frame = frames.start;
    let count = usize::try_from(frames.end - frames.start).unwrap_or(0);
    let cameras: Vec<Vec<Vec<Person>>> = folders
        .into_iter()
        .map(|mut folder| frames.clone().map(|frame| folder.frames.remove(&frame).unwrap_or_default()).collect())
        .collect();
    mixup::check(rig, &cameras, &trial.poses, &name)?;
    let sightings = Sightings { keypoints: set.points.len(), frames: count, cameras };
    let (detections, association) = people::associate(rig, &sightings, trial.person.unwrap_or(0), &place)?;
    log(trial, rig, count, &association);
    Ok((
        Trial { name: trial.name.clone(), rate_hz: trial.rate_hz, first_frame, detections, unusable: None },
        association,
    ))
}

fn log(trial: &TrialDescription, rig: &Rig, frames: usize, found: &Association) {
    tracing::info!(
        trial = %trial.name,
        "{frames} frames, {} people (up to {} in one image); the subject is seen by two cameras or more in {} frames; \
         {} detections exchanged, {} dropped, {} parts added",
        found.people,
        found.most_in_one_image,
        found.frames_seen_by_two,
        found.exchanged,
        found.dropped,
        found.merged,
    );
    for (camera, &seen) in rig.iter().zip(&found.frames_seen) {
        tracing::info!(trial = %trial.name, camera = %camera.name, "sees the subject in {seen} of {frames} frames");
    }
    if found.returned > 0 {
        tracing::warn!(trial = %trial.name, "somebody came back {} times after the subject was not seen for a while; taken to be the subject", found.returned);
    }
}

/// That no two cameras have the same detections: two views never are.
fn check_copies(rig: &Rig, folders: &[Folder], poses: &[PathBuf], name: &str) -> Result<()> {
    for (a, folder) in folders.iter().enumerate() {
        let points = folder.frames.values().flatten().flatten().filter(|point| point[2] > 0.0).count();
        if points < FEWEST_POINTS {
            continue;
        }
        if let Some(b) = (0..a).find(|&b| folders[b].frames == folder.frames) {
            return Err(Error::input(
                format_args!("{}, {name}", poses[a].display()),
                format_args!(
                    "cameras `{}` and `{}` have the same keypoints throughout, those of {}: one folder stands for both",
                    rig[b].name,
                    rig[a].name,
                    poses[b].display()
                ),
                "put each camera's own keypoints into its folder (in session.toml: list each folder once)",
            ));
        }
    }
    Ok(())
}

/// That at least one person has as many numbers as the set asks for.
fn check_lengths(folders: &[Folder], set: &KeypointSet, place: &str, name: &str) -> Result<()> {
    let expected = 3 * set.points.len();
    let mut lengths: BTreeMap<usize, usize> = BTreeMap::new();
    for (&length, &count) in folders.iter().flat_map(|folder| &folder.lengths) {
        *lengths.entry(length).or_insert(0) += count;
    }
    let fitting = lengths.remove(&expected).unwrap_or(0);
    let odd = folders.iter().find_map(|folder| folder.odd.as_ref());
    let common = lengths.iter().max_by_key(|(_, count)| **count).map(|(length, _)| *length);
    let strays: usize = folders.iter().map(|folder| folder.strays).sum();
    if strays > 0 {
        tracing::info!(%place, "{strays} files are no keypoint files and were passed over");
    }
    match (fitting, odd, common) {
        (0, Some(file), Some(length)) => {
            let sets = keypoints::names_with(length / 3);
            let advice = if length % 3 != 0 {
                "expected x, y, confidence of each point; write the files again with the detector".to_owned()
            } else if sets.is_empty() {
                format!("no built-in set has {} points; give a file that lists them with --keypoints FILE", length / 3)
            } else {
                format!("sets with {} points: {}; choose with --keypoints SET", length / 3, sets.join(", "))
            };
            Err(Error::input(
                format_args!("{}, {name}", file.display()),
                format_args!(
                    "every person has {length} numbers, but {} needs {expected} ({} points)",
                    set.name,
                    set.points.len()
                ),
                advice,
            ))
        }
        (0, _, _) => Err(Error::input(
            place,
            "is empty: no camera has a frame with a person in it",
            "run the pose estimation, or take the trial away",
        )),
        (_, Some(file), _) => {
            let skipped: usize = lengths.values().sum();
            tracing::warn!(%place, "{skipped} people have other than {expected} numbers and were skipped, first in {}", file.display());
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The frames to take: from the first to the last that has a file, within what was asked for.
fn frame_range(
    trial: &TrialDescription,
    folders: &[Folder],
    points_per_frame: usize,
    place: &str,
) -> Result<Range<i64>> {
    let [from, to] = trial.frames.unwrap_or([i64::MIN, i64::MAX]);
    let all = || folders.iter().flat_map(|folder| folder.frames.keys().copied());
    let mut taken: Vec<i64> = all().filter(|frame| (from..to).contains(frame)).collect();
    taken.sort_unstable();
    taken.dedup();
    let (Some(&first), Some(&last)) = (taken.first(), taken.last()) else {
        let there = all().min().zip(all().max());
        let there = there.map_or_else(|| "there are none".to_owned(), |(a, b)| format!("the files have {a} to {b}"));
        return Err(Error::input(
            place,
            format_args!("no file has a frame from {from} to before {to}; {there}"),
            "choose --frames A..B in the numbers of the file names",
        ));
    };
    if trial.frames.is_some() && (from < first && from >= 0 || to > last + 1) {
        tracing::warn!(%place, "frames {from} to {} were asked for; there are files from {first} to {last}", to - 1);
    }
    // Frame numbers are never negative, so that this cannot overflow.
    let span = usize::try_from(last - first).unwrap_or(usize::MAX).saturating_add(1);
    if span > taken.len().saturating_mul(SPARSEST) || span.saturating_mul(points_per_frame) > MOST_POINTS {
        return Err(Error::input(
            place,
            format_args!("frame numbers run from {first} to {last}, for {} frames that have a file", taken.len()),
            "name the files so that the last number counts the frames, or choose some with --frames A..B",
        ));
    }
    let widest = taken.windows(2).max_by_key(|pair| pair[1] - pair[0]);
    if let Some(&[before, after]) = widest
        && after - before > GAP.max(taken.len() as i64)
    {
        return Err(Error::input(
            place,
            format_args!(
                "no camera has a file from frame {} to {}: that is longer than all {} frames that have one",
                before + 1,
                after - 1,
                taken.len()
            ),
            "look for a file or a camera that is numbered apart from the others, or choose the frames that belong together with --frames A..B",
        ));
    }
    Ok(first..last + 1)
}
