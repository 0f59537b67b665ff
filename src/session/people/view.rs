//! One person in one image, prepared for comparison with others: in the image over time, in space between cameras.

use crate::camera::{Camera, Projector, Rig};
use crate::math::median;
use crate::session::Person;
use nalgebra::{Vector2, Vector3};
use rayon::prelude::*;

/// Keypoints below this confidence say nothing about who is who.
pub(super) const CONFIDENT: f64 = 0.3;

/// Fewer keypoints than this tell no person from another.
pub(super) const FEWEST: usize = 3;

/// Sine of the angle below which two rays meet nowhere in particular (1°).
const PARALLEL: f64 = 0.0175;

/// A camera as seen from the rays it casts.
pub(super) struct Eye {
    /// Optical centre in the world, metres.
    pub centre: Vector3<f64>,
    /// Pixels per radian near the axis.
    pub focal: f64,
}

impl Eye {
    pub(super) fn new(camera: &Camera) -> Self {
        let focal = (camera.intrinsics.fx.abs() * camera.intrinsics.fy.abs()).sqrt();
        Self { centre: camera.centre_in_world(), focal }
    }
}

/// One person in one image.
pub(super) struct View<'a> {
    pub person: &'a Person,
    /// Unit directions in the world, from the optical centre, of the confident keypoints.
    rays: Vec<Option<Vector3<f64>>>,
    /// Diagonal of the confident keypoints' bounding box, pixels.
    pub size: f64,
    /// Sum of confidences over the number of keypoints, 0..=1.
    pub weight: f64,
}

impl<'a> View<'a> {
    /// `None` if too little is seen to tell the person from another.
    pub(super) fn new(person: &'a Person, projector: &Projector) -> Option<Self> {
        let mut low = Vector2::repeat(f64::INFINITY);
        let mut high = Vector2::repeat(f64::NEG_INFINITY);
        let mut confident = 0;
        for &[u, v, _] in person.iter().filter(|point| point[2] >= CONFIDENT) {
            low = low.inf(&Vector2::new(u, v));
            high = high.sup(&Vector2::new(u, v));
            confident += 1;
        }
        let size = (high - low).norm();
        if confident < FEWEST || size <= 1.0 {
            return None;
        }
        let rays = person
            .iter()
            .map(|&[u, v, confidence]| {
                (confidence >= CONFIDENT).then(|| projector.direction_in_world(&Vector2::new(u, v))).flatten()
            })
            .collect();
        let weight = person.iter().map(|point| point[2]).sum::<f64>() / person.len() as f64;
        Some(Self { person, rays, size, weight })
    }

    /// Mean distance, in the image, of the keypoints both views have, over the larger person's size; `None` if they
    /// share too few.
    pub(super) fn distance(&self, other: &Self) -> Option<f64> {
        let mut sum = 0.0;
        let mut shared = 0;
        for (a, b) in self.person.iter().zip(other.person) {
            if a[2] >= CONFIDENT && b[2] >= CONFIDENT {
                sum += (a[0] - b[0]).hypot(a[1] - b[1]);
                shared += 1;
            }
        }
        (shared >= FEWEST).then(|| sum / shared as f64 / self.size.max(other.size))
    }

    /// How badly two cameras' views fit one person: the median, over the keypoints both have, of the distance in the
    /// image between a keypoint and the point half-way between the two rays, over the person's size there.
    ///
    /// Free of the calibration's unit of length. `None` if they share too few keypoints, or the cameras stand so that
    /// their rays run along each other.
    pub(super) fn disagreement(&self, eye: &Eye, other: &Self, other_eye: &Eye) -> Option<f64> {
        let base = other_eye.centre - eye.centre;
        let mut errors: Vec<f64> = self
            .rays
            .iter()
            .zip(&other.rays)
            .filter_map(|(a, b)| {
                let (a, b) = (a.as_ref()?, b.as_ref()?);
                let normal = a.cross(b);
                let sine = normal.norm();
                if sine < PARALLEL {
                    return None;
                }
                // Nearest points of two lines; Eberly, Robust computation of distance between line segments, §2.
                let depth = base.cross(b).dot(&normal) / sine.powi(2);
                let other_depth = base.cross(a).dot(&normal) / sine.powi(2);
                if depth <= 0.0 || other_depth <= 0.0 {
                    return Some(f64::INFINITY);
                }
                let half_gap = 0.5 * base.dot(&normal).abs() / sine;
                let here = eye.focal * half_gap / depth / self.size;
                let there = other_eye.focal * half_gap / other_depth / other.size;
                Some(0.5 * (here + there))
            })
            .collect();
        (errors.len() >= FEWEST).then(|| median(&mut errors)).flatten()
    }

    /// Whether `other` sees nearly only keypoints that this view lacks, as the second part of a person who was taken
    /// for two.
    pub(super) fn complements(&self, other: &Self) -> bool {
        let confident = |point: &[f64; 3]| point[2] >= CONFIDENT;
        let both = self.person.iter().zip(other.person).filter(|(a, b)| confident(a) && confident(b)).count();
        let of_other = other.person.iter().filter(|point| confident(point)).count();
        10 * both <= 3 * of_other
    }
}

/// All views of a trial by camera and frame, people in the files' order; those that say too little are left out.
pub(super) fn views<'a>(rig: &Rig, cameras: &'a [Vec<Vec<Person>>]) -> Vec<Vec<Vec<View<'a>>>> {
    rig.par_iter()
        .zip(cameras)
        .map(|(camera, frames)| {
            let projector = camera.projector();
            let of_frame =
                |people: &'a Vec<Person>| people.iter().filter_map(|person| View::new(person, &projector)).collect();
            frames.iter().map(of_frame).collect()
        })
        .collect()
}
