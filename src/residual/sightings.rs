//! The detections of a trial, as they are evaluated: for each frame and camera a row of pixels and weights, in which every keypoint of a marker has its place. What was not seen weighs nothing.
//!
//! Cameras mostly see the same markers: with places that do not change, the observations of a camera lie side by side without being gathered, and what all cameras say of a marker is
//! one sum of rows. A place takes three numbers for each camera and frame: as much memory as a list,
//! where three of four are filled.

use super::reprojection::Observation;
use crate::math::lanes::{Row, TILE};

/// A marker's slot, and the keypoint that stands for it.
pub type Place = (u32, u16);

/// See the [module](self).
#[derive(Debug, Clone, Default)]
pub struct Sightings {
    cameras: usize,
    /// Sorted.
    places: Vec<Place>,
    /// `[frame][camera][tile]`: `u`, `v`, weight.
    rows: Vec<[Row<f64>; 3]>,
    /// Sightings before each frame, and all.
    starts: Vec<usize>,
}

impl Sightings {
    /// Without a frame yet; for markers and keypoints that may be seen by so many cameras.
    pub fn new(cameras: usize, mut places: Vec<Place>) -> Self {
        places.sort_unstable();
        places.dedup();
        Self { cameras, places, rows: Vec::new(), starts: vec![0] }
    }

    /// One more frame, in which nothing is seen yet.
    pub fn begin_frame(&mut self) {
        let rows = self.rows.len() + self.cameras * self.tiles();
        self.rows.resize(rows, [Row::filled(0.0); 3]);
        let count = self.count();
        self.starts.push(count);
    }

    /// One more sighting in the last frame; none where the weight is not positive.
    ///
    /// # Panics
    ///
    /// Before the first frame, and for cameras and places that are not among those of [`Self::new`].
    pub fn push(&mut self, o: &Observation) {
        assert!(usize::from(o.camera) < self.cameras && self.starts.len() > 1, "a sighting out of its place");
        let Ok(place) = self.places.binary_search(&(o.slot, o.keypoint)) else {
            panic!("a sighting of no known place");
        };
        if o.weight.is_nan() || o.weight <= 0.0 {
            return;
        }
        let tiles = self.tiles();
        let first = self.rows.len() - self.cameras * tiles;
        let (tile, i) = (first + usize::from(o.camera) * tiles + place / TILE, place % TILE);
        let [u, v, weight] = &mut self.rows[tile];
        if weight.0[i] == 0.0 {
            self.starts.iter_mut().next_back().into_iter().for_each(|n| *n += 1);
        }
        (u.0[i], v.0[i], weight.0[i]) = (o.pixel[0], o.pixel[1], o.weight);
    }

    /// Number of sightings.
    pub fn count(&self) -> usize {
        self.starts.last().copied().unwrap_or(0)
    }

    /// How many come before each frame, and how many there are; empty without frames.
    pub fn starts(&self) -> &[usize] {
        if self.starts.len() > 1 { &self.starts } else { &[] }
    }

    /// What has a place, in order: sorted by slot.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// Tiles of a camera in a frame.
    pub fn tiles(&self) -> usize {
        self.places.len().div_ceil(TILE)
    }

    /// A frame's, `[camera][tile]`: `u`, `v` and weights by place, 0 where nothing is seen and beyond the last place. Empty beyond the last frame.
    pub fn rows(&self, frame: usize) -> &[[Row<f64>; 3]] {
        let rows = self.cameras * self.tiles();
        self.rows.get(frame * rows..(frame + 1) * rows).unwrap_or(&[])
    }

    /// A frame's sightings, sorted by slot, keypoint and camera.
    pub fn frame(&self, frame: usize) -> impl Iterator<Item = Observation> + Clone + '_ {
        let (rows, tiles) = (self.rows(frame), self.tiles());
        self.places.iter().enumerate().flat_map(move |(place, &(slot, keypoint))| {
            let (tile, i) = (place / TILE, place % TILE);
            rows.iter().skip(tile).step_by(tiles).enumerate().filter_map(move |(camera, [u, v, weight])| {
                let (pixel, weight) = ([u.0[i], v.0[i]], weight.0[i]);
                (weight > 0.0).then_some(Observation { slot, camera: camera as u16, keypoint, pixel, weight })
            })
        })
    }

    /// All, frame by frame.
    pub fn iter(&self) -> impl Iterator<Item = Observation> + '_ {
        (0..self.starts.len().saturating_sub(1)).flat_map(|f| self.frame(f))
    }

    /// Rows of something that each camera has of each keypoint, `[camera][tile]`. Beyond the last place, that of the first.
    pub fn by_place<const N: usize>(&self, of: impl Fn(usize, usize) -> [f64; N]) -> Vec<[Row<f64>; N]> {
        let mut out = vec![[Row::filled(0.0); N]; self.cameras * self.tiles()];
        for camera in 0..self.cameras {
            let own = &mut out[camera * self.tiles()..(camera + 1) * self.tiles()];
            for (t, rows) in own.iter_mut().enumerate() {
                for i in 0..TILE {
                    let (_, keypoint) = self.places.get(t * TILE + i).copied().unwrap_or(self.places[0]);
                    let values = of(camera, usize::from(keypoint));
                    rows.iter_mut().zip(values).for_each(|(row, value)| row.0[i] = value);
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was put in comes out, in order; nothing else.
    #[test]
    fn sightings_come_out_as_they_went_in() {
        let places: Vec<Place> = (0..20u16).map(|k| (u32::from(k / 2), 19 - k)).collect();
        let mut sightings = Sightings::new(3, places.clone());
        assert_eq!((sightings.count(), sightings.starts().len(), sightings.frame(0).count()), (0, 0, 0));
        let mut all = Vec::new();
        for f in 0..4u16 {
            sightings.begin_frame();
            // One that does not count, in a place of its own.
            let (slot, keypoint) = places[7];
            sightings.push(&Observation { slot, camera: 1, keypoint, pixel: [1.0, 2.0], weight: 0.0 });
            let mut here = Vec::new();
            for camera in [2, 0] {
                for (k, &(slot, keypoint)) in places.iter().enumerate().rev().skip(f.into()).step_by(3) {
                    let pixel = [f64::from(f), k as f64];
                    here.push(Observation { slot, camera, keypoint, pixel, weight: 0.5 + f64::from(camera) });
                    sightings.push(here.last().unwrap());
                }
            }
            here.sort_by_key(|o| (o.slot, o.keypoint, o.camera));
            assert_eq!(sightings.frame(f.into()).collect::<Vec<_>>(), here);
            all.extend(here);
            assert_eq!(sightings.starts().last(), Some(&all.len()));
        }
        assert_eq!(sightings.iter().collect::<Vec<_>>(), all);
        let of = sightings.by_place(|camera, keypoint| [(100 * camera + keypoint) as f64]);
        assert_eq!((of.len(), of[2][0].0[1], of[3][0].0[9]), (6, 119.0, 118.0));
    }

    #[test]
    #[should_panic(expected = "no known place")]
    fn a_keypoint_without_a_place_is_a_mistake() {
        let mut sightings = Sightings::new(1, vec![(0, 0)]);
        sightings.begin_frame();
        sightings.push(&Observation { slot: 0, camera: 0, keypoint: 1, pixel: [0.0; 2], weight: 1.0 });
    }
}
