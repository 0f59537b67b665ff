//! Which tracks, of all cameras and times, are of one person.
//!
//! Every two tracks that exist at the same time in different cameras give evidence for or against being of one person:
//!
//! ```text
//! Σ  1 − d / D        over the frames both have, never below −2 for one frame
//! ```
//!
//! with the disagreement `d` of the two views and [`AGREE`] for `D`. Two tracks in one camera at one time are certainly of
//! two people, unless they see different parts of the body. Tracks are joined, strongest evidence first, as long as the
//! sum over all pairs stays positive.

use super::track::{FARTHEST, Track};
use super::view::{Eye, View};
use rayon::prelude::*;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// Two views whose disagreement, over the person's size, is below this are of one person. A calibration that is off by
/// 40 px stays below it for a person 300 px tall; people who stand apart in the image differ by several times as much.
pub(super) const AGREE: f64 = 0.08;

/// Frames compared for one pair of tracks; more say no more.
const COMPARED: usize = 40;

/// Frames after which a track in the same camera may still be taken for the continuation of an ended one.
const RESUMED_WITHIN: usize = 30;

/// Tracks of one person.
#[derive(Debug, Clone, Default)]
pub(super) struct Person {
    pub tracks: Vec<usize>,
    /// Sum over the frames seen by enough cameras of the weights of the views.
    pub score: f64,
    /// Those frames.
    pub frames: Vec<usize>,
    /// Cameras that see the person, mean over those frames.
    pub cameras: f64,
}

pub(super) struct Scene<'a> {
    pub eyes: &'a [Eye],
    /// Camera, frame, view.
    pub views: &'a [Vec<Vec<View<'a>>>],
    pub tracks: &'a [Track],
}

impl<'a> Scene<'a> {
    pub(super) fn view(&self, camera: usize, frame: usize, index: usize) -> Option<&View<'a>> {
        self.views.get(camera)?.get(frame)?.get(index)
    }

    /// Disagreement of two views in one frame.
    pub(super) fn disagreement(&self, frame: usize, a: (usize, usize), b: (usize, usize)) -> Option<f64> {
        let (view, other) = (self.view(a.0, frame, a.1)?, self.view(b.0, frame, b.1)?);
        view.disagreement(self.eyes.get(a.0)?, other, self.eyes.get(b.0)?)
    }

    /// Evidence that two tracks are of one person; `-∞` if they certainly are not, 0 if nothing is known.
    fn evidence(&self, a: &Track, b: &Track) -> f64 {
        if a.camera == b.camera { self.evidence_in_one_camera(a, b) } else { self.evidence_between_cameras(a, b) }
    }

    fn evidence_between_cameras(&self, a: &Track, b: &Track) -> f64 {
        if a.last() < b.first() || b.last() < a.first() {
            return 0.0;
        }
        let shared = shared_frames(a, b);
        let step = shared.len().div_ceil(COMPARED).max(1);
        let compared = shared.iter().step_by(step);
        let each = compared.filter_map(|&(frame, i, j)| self.disagreement(frame, (a.camera, i), (b.camera, j)));
        each.map(|disagreement| (1.0 - disagreement / AGREE).max(-2.0)).sum::<f64>() * step as f64
    }

    /// A track that begins where another has ended: weak evidence, which decides only where no camera objects.
    fn evidence_in_one_camera(&self, a: &Track, b: &Track) -> f64 {
        let (early, late) = if a.first() <= b.first() { (a, b) } else { (b, a) };
        if late.first() > early.last() {
            let gap = late.first() - early.last();
            let sighting = |track: &Track, sighting: Option<&(usize, usize)>| {
                sighting.and_then(|&(frame, index)| self.view(track.camera, frame, index))
            };
            let (Some(end), Some(start)) =
                (sighting(early, early.sightings.last()), sighting(late, late.sightings.first()))
            else {
                return 0.0;
            };
            let near = end.distance(start).filter(|distance| gap <= RESUMED_WITHIN && *distance <= FARTHEST);
            return near.map_or(0.0, |distance| 0.5 * (1.0 - distance / FARTHEST) / gap as f64);
        }
        // One person may be taken for two, who then have no keypoint in common.
        let parts = shared_frames(early, late).into_iter().all(|(frame, i, j)| {
            let views = self.view(early.camera, frame, i).zip(self.view(late.camera, frame, j));
            views.is_some_and(|(a, b)| a.complements(b) && b.complements(a))
        });
        if parts { 0.0 } else { f64::NEG_INFINITY }
    }

    /// All people, the one seen best by most cameras first. `cameras` must see a person at once for a frame to count.
    pub(super) fn people(&self, cameras: usize) -> Vec<Person> {
        let mut people: Vec<Person> = self
            .join()
            .into_iter()
            .map(|tracks| self.rank(tracks, cameras))
            .filter(|person| person.score > 0.0)
            .collect();
        people.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.tracks.cmp(&b.tracks)));
        people
    }

    fn rank(&self, mut tracks: Vec<usize>, cameras: usize) -> Person {
        tracks.sort_unstable();
        let mut frames: BTreeMap<usize, (BTreeSet<usize>, f64)> = BTreeMap::new();
        for track in tracks.iter().filter_map(|&track| self.tracks.get(track)) {
            for &(frame, index) in &track.sightings {
                let (seen_by, weight) = frames.entry(frame).or_default();
                seen_by.insert(track.camera);
                *weight += self.view(track.camera, frame, index).map_or(0.0, |view| view.weight);
            }
        }
        frames.retain(|_, (seen_by, _)| seen_by.len() >= cameras);
        let sightings: usize = frames.values().map(|(seen_by, _)| seen_by.len()).sum();
        Person {
            tracks,
            score: frames.values().map(|(_, weight)| weight).sum(),
            cameras: sightings as f64 / frames.len().max(1) as f64,
            frames: frames.into_keys().collect(),
        }
    }

    /// Pairs of tracks with evidence, in a fixed order.
    fn pairs(&self) -> Vec<(usize, usize, f64)> {
        let mut order: Vec<usize> = (0..self.tracks.len()).collect();
        let first = |index: &usize| self.tracks.get(*index).map_or(0, Track::first);
        order.sort_by_key(first);
        let per_track: Vec<Vec<(usize, usize, f64)>> = order
            .par_iter()
            .enumerate()
            .map(|(place, &a)| {
                let Some(track) = self.tracks.get(a) else { return Vec::new() };
                let later = order.iter().skip(place + 1);
                later
                    .take_while(|b| first(b) <= track.last() + RESUMED_WITHIN)
                    .filter_map(|&b| Some((a.min(b), a.max(b), self.evidence(track, self.tracks.get(b)?))))
                    .filter(|(_, _, evidence)| *evidence != 0.0)
                    .collect()
            })
            .collect();
        per_track.into_iter().flatten().collect()
    }

    /// Groups of tracks, each of one person.
    fn join(&self) -> Vec<Vec<usize>> {
        let count = self.tracks.len();
        let mut groups: Vec<Option<Vec<usize>>> = (0..count).map(|track| Some(vec![track])).collect();
        let mut evidence: Vec<BTreeMap<usize, f64>> = vec![BTreeMap::new(); count];
        let mut heap = BinaryHeap::new();
        for (a, b, weight) in self.pairs() {
            if let Ok([of_a, of_b]) = evidence.get_disjoint_mut([a, b]) {
                of_a.insert(b, weight);
                of_b.insert(a, weight);
            }
            if weight > 0.0 {
                heap.push((Ordered(weight), Reverse(a), Reverse(b)));
            }
        }
        while let Some((Ordered(weight), Reverse(a), Reverse(b))) = heap.pop() {
            let current = |a: usize, b: usize| evidence.get(a).and_then(|of_a| of_a.get(&b)).copied();
            // Outdated by an earlier join.
            if current(a, b) != Some(weight) {
                continue;
            }
            let Some(joined) = groups.get_mut(b).and_then(Option::take) else { continue };
            if let Some(Some(group)) = groups.get_mut(a) {
                group.extend(joined);
            }
            let of_b = evidence.get_mut(b).map(std::mem::take).unwrap_or_default();
            for (other, weight) in of_b {
                if let Some(of_other) = evidence.get_mut(other) {
                    of_other.remove(&b);
                }
                if other == a {
                    continue;
                }
                let sum = current_or_zero(&evidence, a, other) + weight;
                if let Some(of_a) = evidence.get_mut(a) {
                    of_a.insert(other, sum);
                }
                if let Some(of_other) = evidence.get_mut(other) {
                    of_other.insert(a, sum);
                }
                if sum > 0.0 {
                    heap.push((Ordered(sum), Reverse(a.min(other)), Reverse(a.max(other))));
                }
            }
        }
        groups.into_iter().flatten().collect()
    }
}

fn current_or_zero(evidence: &[BTreeMap<usize, f64>], a: usize, b: usize) -> f64 {
    evidence.get(a).and_then(|of_a| of_a.get(&b)).copied().unwrap_or(0.0)
}

/// Frames in which both tracks have a sighting, with their views.
fn shared_frames(a: &Track, b: &Track) -> Vec<(usize, usize, usize)> {
    let mut shared = Vec::new();
    let mut others = b.sightings.iter().peekable();
    for &(frame, index) in &a.sightings {
        while others.next_if(|other| other.0 < frame).is_some() {}
        if let Some(&&(_, other)) = others.peek().filter(|other| other.0 == frame) {
            shared.push((frame, index, other));
        }
    }
    shared
}

/// A weight in the order of numbers; there is no NaN among them.
#[derive(PartialEq)]
struct Ordered(f64);

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}
