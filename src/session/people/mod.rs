//! Who of the people in the images is the subject.
//!
//! Detectors list people in any order, which changes from frame to frame, and now and then take one person for two.
//! 1. In each camera, people are followed through the images while nobody else could be meant (`track`).
//! 2. The tracks of all cameras and times that are of one person are joined, on the evidence of how well their rays
//!    meet (`cluster`). Nothing of this depends on the calibration's unit of length, and a calibration that is off by
//!    tens of pixels still serves.
//! 3. The subject is the person with the largest sum, over all frames, of cameras × confidence.
//! 4. Frame by frame, what disagrees with the other cameras is exchanged for what agrees, or is missing; what was seen of
//!    the subject beside the main detection is added to it (`refine`).

mod cluster;
mod refine;
mod track;
mod view;

use super::{Detections, Person};
use crate::camera::Rig;
use crate::error::{Error, Result};
use cluster::Scene;
use view::Eye;

/// Everything that was seen in one trial.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sightings {
    /// Number of keypoints of every person.
    pub keypoints: usize,
    /// Number of frames.
    pub frames: usize,
    /// People by camera and frame: `cameras[camera][frame]`.
    pub cameras: Vec<Vec<Vec<Person>>>,
}

/// What was made of the people in a trial.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Association {
    /// People who are seen by several cameras in agreement (or, with one camera, at all).
    pub people: usize,
    /// Most people detected in one image.
    pub most_in_one_image: usize,
    /// Frames in which each camera sees the subject.
    pub frames_seen: Vec<usize>,
    /// Frames in which at least two cameras see the subject.
    pub frames_seen_by_two: usize,
    /// Detections exchanged for another that agrees with the other cameras.
    pub exchanged: usize,
    /// Detections dropped because they agree with no other camera.
    pub dropped: usize,
    /// Detections of part of the subject that were added to the main one.
    pub merged: usize,
    /// Times the subject came back after not being seen for a while, and was taken to be the same.
    pub returned: usize,
}

/// Detections of the `rank`-th person, 0 being the one seen best; `place` names the trial in messages.
///
/// # Errors
/// Nobody is seen by two cameras (of a rig that has two), nobody agrees between any two, or there is no such rank.
pub fn associate(rig: &Rig, seen: &Sightings, rank: usize, place: &str) -> Result<(Detections, Association)> {
    let views = view::views(rig, &seen.cameras);
    let eyes: Vec<Eye> = rig.iter().map(Eye::new).collect();
    let tracks: Vec<track::Track> =
        views.iter().enumerate().flat_map(|(camera, frames)| track::tracks(camera, frames)).collect();
    let scene = Scene { eyes: &eyes, views: &views, tracks: &tracks };
    let cameras_needed = rig.len().min(2);
    let (people, returns) = refine::with_returns(&scene, scene.people(cameras_needed));
    let Some(subject) = people.get(rank) else {
        return Err(nobody(rig, &scene, people.len(), rank, seen.frames, place));
    };
    let mut association = Association {
        people: people.len(),
        most_in_one_image: seen.cameras.iter().flatten().map(Vec::len).max().unwrap_or(0),
        returned: returns.get(rank).copied().unwrap_or(0),
        ..Association::default()
    };
    let others = people.iter().enumerate().filter(|(other, _)| *other != rank).map(|(_, person)| person);
    let chosen = refine::refine(&scene, subject, others, seen.frames, &mut association);
    Ok((collect(&scene, &chosen, seen, &mut association), association))
}

fn collect(scene: &Scene<'_>, chosen: &refine::Chosen, seen: &Sightings, association: &mut Association) -> Detections {
    let mut detections = Detections::missing(seen.cameras.len(), seen.frames, seen.keypoints);
    let mut seen_by = vec![0usize; seen.frames];
    for (camera, frames) in chosen.iter().enumerate() {
        let mut frames_seen = 0;
        for (frame, views) in frames.iter().enumerate() {
            frames_seen += usize::from(!views.is_empty());
            if let Some(count) = seen_by.get_mut(frame) {
                *count += usize::from(!views.is_empty());
            }
            for view in views.iter().filter_map(|&index| scene.view(camera, frame, index)) {
                for (keypoint, &point) in view.person.iter().enumerate().take(seen.keypoints) {
                    // The main detection comes first; a part only fills what it lacks.
                    if point[2] > 0.0 && detections.get(camera, frame, keypoint)[2] == 0.0 {
                        detections.set(camera, frame, keypoint, point);
                    }
                }
            }
        }
        association.frames_seen.push(frames_seen);
    }
    association.frames_seen_by_two = seen_by.iter().filter(|&&cameras| cameras >= 2).count();
    detections
}

fn nobody(rig: &Rig, scene: &Scene<'_>, people: usize, rank: usize, frames: usize, place: &str) -> Error {
    if people > 0 {
        return Error::input(
            place,
            format_args!("person {rank} was asked for, but there are {people}, counted from 0"),
            format_args!("choose --person 0 to {}", people - 1),
        );
    }
    if rig.len() < 2 {
        return Error::input(place, "the camera sees nobody", "check the keypoint files, or take the trial away");
    }
    let watches = |c: usize| scene.views.get(c).is_some_and(|frames| frames.iter().any(|views| !views.is_empty()));
    let (watching, blind): (Vec<usize>, Vec<usize>) = (0..rig.len()).partition(|&c| watches(c));
    let enough = format!("{} keypoints with confidence {} or more", view::FEWEST, view::CONFIDENT);
    if let [] | [_] = watching[..] {
        let names = |cameras: &[usize]| cameras.iter().map(|&c| rig[c].name.as_str()).collect::<Vec<_>>().join(", ");
        let (who, also) = match watching.is_empty() {
            true => ("no camera".to_owned(), String::new()),
            false => {
                (format!("only camera {}", names(&watching)), format!("; none does in those of {}", names(&blind)))
            }
        };
        return Error::input(
            place,
            format_args!("{who} has a person with {enough} in its files{also}"),
            "where somebody stands takes two cameras: put the keypoints of another one here, which saw the person at the same time, in a folder with the name that the calibration gives it",
        );
    }
    let together = |frame: usize| scene.views.iter().filter(|c| c.get(frame).is_some_and(|v| !v.is_empty())).count();
    let meetings = (0..frames).filter(|&frame| together(frame) >= 2).count();
    if meetings == 0 {
        return Error::input(
            place,
            format_args!("in none of its {frames} frames is anybody seen by two cameras ({enough})"),
            "check that the cameras are synchronised, frame numbers agree between their files, and folders are complete",
        );
    }
    Error::input(
        place,
        format_args!(
            "two cameras see somebody in {meetings} frames, but in none do their keypoints agree on one person"
        ),
        "check that the calibration belongs to this recording, that folders and cameras are in the same order, and that the cameras are synchronised",
    )
}

#[cfg(test)]
mod tests;
