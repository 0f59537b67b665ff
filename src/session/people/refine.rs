//! The subject's detections frame by frame, from the tracks that were found to be the subject's.

use super::Association;
use super::cluster::{AGREE, Person, Scene};
use super::track::FARTHEST;
use crate::math::median;
use rayon::prelude::*;
use std::collections::BTreeSet;

/// Views of the subject by camera and frame: the main detection first, then those that complete it.
pub(super) type Chosen = Vec<Vec<Vec<usize>>>;

/// The one chosen view by camera and frame.
type Main = Vec<Vec<Option<usize>>>;

/// A detection must agree this well to be added by itself, without a track to speak for it.
const AGREE_WELL: f64 = 0.5 * AGREE;

/// Frames within which a detection added by itself must lie near another of the same camera.
const NEIGHBOURS: usize = 5;

/// Passes over all frames; each uses the choices of the one before.
const PASSES: usize = 2;

/// Part of a person's score below which another counts as nobody: a scrap, or somebody in passing.
const NOBODY: f64 = 0.1;

/// Part of a person's cameras up to which another, there at the same time, is a bystander and no rival.
const BYSTANDER: f64 = 0.75;

/// Part of a person's cameras that must see who comes back, or it is a bystander's appearance.
const MOST: f64 = 0.5;

/// Somebody in all the time between the first and the last sighting, and everything since that was taken for the same.
struct Stay {
    person: Person,
    spans: Vec<(usize, usize)>,
    /// Whether nobody was there who might as well have been the one to come back.
    distinct: bool,
}

/// Someone who comes back is the one who left, as far as there is nobody else to be: joins people who are never there at
/// the same time as each other or as a rival. A rival is seen by about as many cameras, and for more than a moment; a
/// bystander, whom fewer cameras see, is none. Of several who left, the one seen best came back.
///
/// Returns people, best first, with how often each came back.
pub(super) fn with_returns(scene: &Scene<'_>, people: Vec<Person>) -> (Vec<Person>, Vec<usize>) {
    let span = |person: &Person| {
        let tracks = person.tracks.iter().filter_map(|&track| scene.tracks.get(track));
        tracks.fold((usize::MAX, 0), |(first, last), track| (first.min(track.first()), last.max(track.last())))
    };
    let apart = |a: (usize, usize), b: (usize, usize)| a.1 < b.0 || b.1 < a.0;
    let spans: Vec<(usize, usize)> = people.iter().map(span).collect();
    let distinct: Vec<bool> = people
        .iter()
        .zip(&spans)
        .enumerate()
        .map(|(index, (person, mine))| {
            let others = people.iter().zip(&spans).enumerate().filter(|(other, _)| *other != index);
            others.into_iter().all(|(_, (other, span))| {
                apart(*mine, *span)
                    || other.score < NOBODY * person.score
                    || other.cameras <= BYSTANDER * person.cameras
            })
        })
        .collect();
    let mut stays: Vec<Stay> = Vec::new();
    for ((person, span), distinct) in people.into_iter().zip(spans).zip(distinct) {
        let same = |stay: &&mut Stay| {
            stay.distinct
                && person.cameras > MOST * stay.person.cameras
                && stay.spans.iter().all(|there| apart(*there, span))
        };
        match stays.iter_mut().filter(|_| distinct).find(same) {
            Some(stay) => {
                stay.person.tracks.extend(person.tracks);
                stay.person.frames.extend(person.frames);
                stay.person.score += person.score;
                stay.spans.push(span);
            }
            None => stays.push(Stay { person, spans: vec![span], distinct }),
        }
    }
    // Stable: equals stay in the order they came in.
    stays.sort_by(|a, b| b.person.score.total_cmp(&a.person.score));
    stays.into_iter().map(|stay| (stay.person, stay.spans.len() - 1)).unzip()
}

/// Chooses the views of `subject`; what is in the tracks of `others` is theirs unless it fits the subject much better.
pub(super) fn refine<'p>(
    scene: &Scene<'_>,
    subject: &Person,
    others: impl Iterator<Item = &'p Person>,
    frames: usize,
    association: &mut Association,
) -> Chosen {
    let start = main_of(scene, &subject.tracks, frames);
    let claimed: BTreeSet<(usize, usize, usize)> = others
        .flat_map(|person| &person.tracks)
        .filter_map(|&track| scene.tracks.get(track))
        .flat_map(|track| track.sightings.iter().map(|&(frame, index)| (track.camera, frame, index)))
        .collect();
    let mut main = start.clone();
    for _ in 0..PASSES {
        let pass = Pass { scene, main: &main, claimed: &claimed };
        main = (0..main.len())
            .map(|camera| (0..frames).into_par_iter().map(|frame| pass.choose(camera, frame)).collect())
            .collect();
    }
    for (before, after) in start.iter().flatten().zip(main.iter().flatten()) {
        match (before, after) {
            (Some(_), None) => association.dropped += 1,
            (Some(before), Some(after)) if before != after => association.exchanged += 1,
            _ => {}
        }
    }
    let pass = Pass { scene, main: &main, claimed: &claimed };
    let chosen: Chosen = (0..main.len())
        .map(|camera| (0..frames).into_par_iter().map(|frame| pass.complete(camera, frame)).collect())
        .collect();
    association.merged = chosen.iter().flatten().map(|views| views.len().saturating_sub(1)).sum();
    chosen
}

fn main_of(scene: &Scene<'_>, tracks: &[usize], frames: usize) -> Main {
    let mut main = vec![vec![None; frames]; scene.views.len()];
    for track in tracks.iter().filter_map(|&track| scene.tracks.get(track)) {
        for &(frame, index) in &track.sightings {
            let weight = |index: usize| scene.view(track.camera, frame, index).map_or(0.0, |view| view.weight);
            if let Some(slot) = main.get_mut(track.camera).and_then(|frames| frames.get_mut(frame)) {
                // Of two parts, the one that sees more.
                *slot = slot.filter(|&other: &usize| weight(other) >= weight(index)).or(Some(index));
            }
        }
    }
    main
}

struct Pass<'s, 'v> {
    scene: &'s Scene<'v>,
    main: &'s Main,
    /// Camera, frame and view of other people's tracks.
    claimed: &'s BTreeSet<(usize, usize, usize)>,
}

impl Pass<'_, '_> {
    fn main(&self, camera: usize, frame: usize) -> Option<usize> {
        self.main.get(camera)?.get(frame).copied().flatten()
    }

    /// Median disagreement with the other cameras' main views, and how many there are; `None` without any.
    fn disagreement(&self, camera: usize, frame: usize, index: usize) -> Option<(f64, usize)> {
        let mut each: Vec<f64> = (0..self.main.len())
            .filter(|&other| other != camera)
            .filter_map(|other| self.scene.disagreement(frame, (camera, index), (other, self.main(other, frame)?)))
            .collect();
        let count = each.len();
        median(&mut each).map(|median| (median, count))
    }

    fn candidates(&self, camera: usize, frame: usize) -> std::ops::Range<usize> {
        0..self.scene.views.get(camera).and_then(|frames| frames.get(frame)).map_or(0, Vec::len)
    }

    /// The candidate that agrees best, with its disagreement.
    fn best(&self, camera: usize, frame: usize, but: Option<usize>, limit: f64) -> Option<(usize, f64)> {
        self.candidates(camera, frame)
            .filter(|&index| Some(index) != but)
            .filter_map(|index| {
                let (disagreement, cameras) = self.disagreement(camera, frame, index)?;
                let sure = cameras >= 2 || self.continues(camera, frame, index);
                (sure && disagreement <= limit).then_some((index, disagreement))
            })
            .min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Whether the view lies near the main ones of this camera just before or after.
    fn continues(&self, camera: usize, frame: usize, index: usize) -> bool {
        let Some(view) = self.scene.view(camera, frame, index) else { return false };
        (frame.saturating_sub(NEIGHBOURS)..=frame + NEIGHBOURS).filter(|&other| other != frame).any(|other| {
            let neighbour = self.main(camera, other).and_then(|index| self.scene.view(camera, other, index));
            neighbour.and_then(|neighbour| neighbour.distance(view)).is_some_and(|distance| distance <= FARTHEST)
        })
    }

    fn choose(&self, camera: usize, frame: usize) -> Option<usize> {
        let free = |index: &usize| !self.claimed.contains(&(camera, frame, *index));
        let Some(present) = self.main(camera, frame) else {
            return self.best(camera, frame, None, AGREE_WELL).map(|(index, _)| index).filter(free);
        };
        // Without a word from other cameras the track stands.
        let Some((disagreement, _)) = self.disagreement(camera, frame, present) else { return Some(present) };
        // Between two that would both do, the track decides.
        if disagreement <= AGREE_WELL {
            return Some(present);
        }
        match self.best(camera, frame, Some(present), 0.5 * disagreement.min(AGREE)) {
            Some((other, _)) => Some(other),
            None => (disagreement <= AGREE).then_some(present),
        }
    }

    fn complete(&self, camera: usize, frame: usize) -> Vec<usize> {
        let Some(main) = self.main(camera, frame) else { return Vec::new() };
        let mut views = vec![main];
        let Some(main_view) = self.scene.view(camera, frame, main) else { return views };
        views.extend(self.candidates(camera, frame).filter(|&index| {
            index != main
                && !self.claimed.contains(&(camera, frame, index))
                && self.scene.view(camera, frame, index).is_some_and(|view| main_view.complements(view))
                && self.continues(camera, frame, index)
                && self.disagreement(camera, frame, index).is_some_and(|(disagreement, _)| disagreement <= AGREE_WELL)
        }));
        views
    }
}
