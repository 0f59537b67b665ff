//! The subject's detections frame by frame, from the tracks that were found to be the subject's.

use super::Association;
use super::cluster::{AGREE, Person, Scene};
use super::track::FARTHEST;
use super::view::median;
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

/// Someone who comes back after everyone was gone is the one who left, as far as there is nobody else to be: joins people
/// (best first) that are never there at the same time as another of some weight. Also returns how often each came back.
pub(super) fn with_returns(scene: &Scene<'_>, people: Vec<Person>) -> (Vec<Person>, Vec<usize>) {
    let span = |person: &Person| {
        let tracks = person.tracks.iter().filter_map(|&track| scene.tracks.get(track));
        tracks.fold((usize::MAX, 0), |(first, last), track| (first.min(track.first()), last.max(track.last())))
    };
    let spans: Vec<(usize, usize)> = people.iter().map(span).collect();
    let apart = |a: (usize, usize), b: (usize, usize)| a.1 < b.0 || b.1 < a.0;
    let alone: Vec<bool> = people
        .iter()
        .enumerate()
        .map(|(index, person)| {
            let others = people.iter().zip(&spans).enumerate().filter(|(other, _)| *other != index);
            let mine = spans.get(index).copied().unwrap_or_default();
            others.into_iter().all(|(_, (other, span))| apart(mine, *span) || other.score < 0.1 * person.score)
        })
        .collect();
    let mut joined: Vec<Person> = Vec::new();
    let mut returns = Vec::new();
    let mut sole: Option<usize> = None;
    for (person, alone) in people.into_iter().zip(alone) {
        match sole.filter(|_| alone).and_then(|sole| joined.get_mut(sole).zip(returns.get_mut(sole))) {
            Some((first, returns)) => {
                first.tracks.extend(person.tracks);
                first.frames.extend(person.frames);
                first.score += person.score;
                *returns += 1;
            }
            None => {
                if alone {
                    sole = Some(joined.len());
                }
                joined.push(person);
                returns.push(0);
            }
        }
    }
    (joined, returns)
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
