//! Following a person through one camera's images, as far as nobody else could be meant.

use super::view::View;

/// Most that keypoints move between two sightings on average, over the person's size.
pub(super) const FARTHEST: f64 = 0.25;

/// Frames that a person may go unseen within a track.
const GAP: usize = 5;

/// How much nearer than the second the next sighting must be to be taken without doubt.
const CLEARLY: f64 = 2.0;

/// Sightings in one camera that are of one person.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Track {
    pub camera: usize,
    /// Frame and index of the view in it, frames rising.
    pub sightings: Vec<(usize, usize)>,
}

impl Track {
    pub(super) fn first(&self) -> usize {
        self.sightings.first().map_or(0, |sighting| sighting.0)
    }

    pub(super) fn last(&self) -> usize {
        self.sightings.last().map_or(0, |sighting| sighting.0)
    }
}

/// The tracks of one camera. Where two continuations are about as near (people crossing, one person detected twice), all
/// tracks concerned end and new ones begin: who is who is then for the other cameras to say.
pub(super) fn tracks(camera: usize, frames: &[Vec<View<'_>>]) -> Vec<Track> {
    let mut done = Vec::new();
    let mut active: Vec<Track> = Vec::new();
    for (frame, views) in frames.iter().enumerate() {
        let (current, old): (Vec<_>, Vec<_>) = active.into_iter().partition(|track| frame - track.last() <= GAP + 1);
        done.extend(old);
        let costs: Vec<Vec<f64>> = current
            .iter()
            .map(|track| {
                let last = track.sightings.last().and_then(|&(frame, index)| frames.get(frame)?.get(index));
                views
                    .iter()
                    .map(|view| last.and_then(|last| last.distance(view)).filter(|d| *d <= FARTHEST))
                    .map(|distance| distance.unwrap_or(f64::INFINITY))
                    .collect()
            })
            .collect();
        let column = |index: usize| costs.iter().map(move |row| row.get(index).copied().unwrap_or(f64::INFINITY));
        let mut taken = vec![false; views.len()];
        active = Vec::new();
        for (mut track, row) in current.into_iter().zip(&costs) {
            let Some((index, cost, second)) = two_least(row.iter().copied()) else {
                active.push(track);
                continue;
            };
            let rival = two_least(column(index))
                .map_or(f64::INFINITY, |(_, least, second)| if least < cost { least } else { second });
            if cost.is_infinite() || CLEARLY * rival <= cost {
                // Not seen in this frame; or the view is another track's without doubt.
                active.push(track);
            } else if second.min(rival) >= CLEARLY * cost {
                track.sightings.push((frame, index));
                if let Some(taken) = taken.get_mut(index) {
                    *taken = true;
                }
                active.push(track);
            } else {
                done.push(track);
            }
        }
        let fresh = taken.iter().enumerate().filter(|(_, taken)| !**taken);
        active.extend(fresh.map(|(index, _)| Track { camera, sightings: vec![(frame, index)] }));
    }
    done.extend(active);
    done.sort_by_key(|track| track.sightings.first().copied());
    done
}

/// Index and value of the least number, and the second least.
fn two_least(values: impl Iterator<Item = f64>) -> Option<(usize, f64, f64)> {
    let mut found: Option<(usize, f64, f64)> = None;
    for (index, value) in values.enumerate() {
        found = Some(match found {
            None => (index, value, f64::INFINITY),
            Some((_, least, _)) if value < least => (index, value, least),
            Some((at, least, second)) => (at, least, second.min(value)),
        });
    }
    found
}
