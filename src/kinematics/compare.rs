//! Whether two skeletons move alike.

use super::{Frame, forward};
use crate::skeleton::{Offsets, Scales, Skeleton, opensim_name};
use nalgebra::Matrix3;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// Poses that two skeletons are compared in, besides the default one.
const POSES: usize = 200;

/// Half the range in which a coordinate without limits is drawn about its default: radians or metres.
const UNLIMITED: f64 = 1.0;

/// No coordinate is drawn further than this from its default, whatever its range.
const FURTHEST: f64 = 10.0;

/// How far two skeletons are apart. Ground is no body here.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Poses compared: the default one and random ones within the ranges of the coordinates.
    pub poses: usize,
    /// Coordinates that both have.
    pub coordinates: usize,
    /// Markers that both have.
    pub markers: usize,
    /// Bodies that both have.
    pub bodies: usize,
    /// Largest distance between a marker's two places, metres, and the marker.
    pub largest_marker_m: Option<(f64, String)>,
    /// Largest distance between a body's two origins, metres, and the body.
    pub largest_body_m: Option<(f64, String)>,
    /// Largest angle between a body's two orientations, radians, and the body.
    pub largest_turn_rad: Option<(f64, String)>,
    /// What only the first has.
    pub lost: Names,
    /// What only the second has.
    pub added: Names,
}

/// Names of what one skeleton has and another does not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Names {
    /// Markers.
    pub markers: Vec<String>,
    /// Bodies.
    pub bodies: Vec<String>,
    /// Coordinates.
    pub coordinates: Vec<String>,
}

/// The largest of what was noted, and the index of what it was noted of.
#[derive(Default)]
struct Largest(Option<(f64, usize)>);

impl Largest {
    fn note(&mut self, value: f64, i: usize) {
        // A place that is no number is further than any.
        let value = if value.is_nan() { f64::INFINITY } else { value };
        if self.0.is_none_or(|l| value > l.0) {
            self.0 = Some((value, i));
        }
    }

    fn of(self, names: &[String]) -> Option<(f64, String)> {
        self.0.map(|(value, i)| (value, names[i].clone()))
    }
}

/// Compares markers and bodies of the same names in the same poses, drawn from `seed`. A name is the same as its spelling in OpenSim, [`opensim_name`]. Coordinates of the same names get
/// the same values; those that only one of them has keep their defaults.
pub fn compare(a: &Skeleton, b: &Skeleton, seed: u64) -> Comparison {
    let names = |s: &Skeleton| {
        (
            s.markers.iter().map(|m| m.name.clone()).collect::<Vec<_>>(),
            s.bodies.iter().skip(1).map(|b| b.name.clone()).collect::<Vec<_>>(),
            s.coordinates.iter().map(|c| c.name.clone()).collect::<Vec<_>>(),
        )
    };
    let (of_a, of_b) = (names(a), names(b));
    let markers = Pairs::new(&of_a.0, &of_b.0);
    let bodies = Pairs::new(&of_a.1, &of_b.1);
    let coordinates = Pairs::new(&of_a.2, &of_b.2);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut frame_a, mut frame_b) = (Frame::new(a), Frame::new(b));
    let (mut marker_m, mut body_m, mut turn_rad) = (Largest::default(), Largest::default(), Largest::default());
    let defaults = |s: &Skeleton| -> Vec<f64> { s.coordinates.iter().map(|c| c.default).collect() };
    for pose in 0..=POSES {
        let (mut q_a, mut q_b) = (defaults(a), defaults(b));
        for &(i, j) in &coordinates.both {
            let c = &a.coordinates[i];
            if pose > 0 && !c.locked {
                let [low, high] = c.range.unwrap_or([c.default - UNLIMITED, c.default + UNLIMITED]);
                let (low, high) = (low.max(c.default - FURTHEST), high.min(c.default + FURTHEST));
                q_a[i] = if low < high { rng.random_range(low..=high) } else { low };
            }
            q_b[j] = q_a[i];
        }
        for (skeleton, q, frame) in [(a, &mut q_a, &mut frame_a), (b, &mut q_b, &mut frame_b)] {
            skeleton.resolve_couplings(q);
            let (scales, offsets) = (Scales::ones(skeleton), Offsets::zeros(skeleton));
            forward(skeleton, &scales, &offsets, q, &skeleton.rotor_rotations(q), frame);
        }
        for &(i, j) in &markers.both {
            marker_m.note((frame_a.markers[i] - frame_b.markers[j]).norm(), i);
        }
        for &(i, j) in &bodies.both {
            body_m.note((frame_a.origins[i + 1] - frame_b.origins[j + 1]).norm(), i);
            turn_rad.note(angle(frame_a.rotations[i + 1].matrix(), frame_b.rotations[j + 1].matrix()), i);
        }
    }
    Comparison {
        poses: POSES + 1,
        coordinates: coordinates.both.len(),
        markers: markers.both.len(),
        bodies: bodies.both.len(),
        largest_marker_m: marker_m.of(&of_a.0),
        largest_body_m: body_m.of(&of_a.1),
        largest_turn_rad: turn_rad.of(&of_a.1),
        lost: Names { markers: markers.lost, bodies: bodies.lost, coordinates: coordinates.lost },
        added: Names { markers: markers.added, bodies: bodies.added, coordinates: coordinates.added },
    }
}

/// Which names two lists share.
struct Pairs {
    both: Vec<(usize, usize)>,
    lost: Vec<String>,
    added: Vec<String>,
}

impl Pairs {
    fn new(a: &[String], b: &[String]) -> Self {
        let find = |name: &String| {
            let spelt = opensim_name(name);
            b.iter().position(|n| n == name).or_else(|| b.iter().position(|n| *n == spelt))
        };
        let found: Vec<Option<usize>> = a.iter().map(find).collect();
        let unfound = |(j, name): (usize, &String)| (!found.contains(&Some(j))).then(|| name.clone());
        Self {
            both: found.iter().enumerate().filter_map(|(i, j)| Some((i, (*j)?))).collect(),
            lost: a.iter().zip(&found).filter(|(_, j)| j.is_none()).map(|(name, _)| name.clone()).collect(),
            added: b.iter().enumerate().filter_map(unfound).collect(),
        }
    }
}

/// Angle between two orientations, radians: `‖A − B‖ = 2√2·|sin(θ/2)|`, exact where the trace of `AᵀB` has lost all digits.
fn angle(a: &Matrix3<f64>, b: &Matrix3<f64>) -> f64 {
    2.0 * ((a - b).norm() / 8f64.sqrt()).min(1.0).asin()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::skeleton::read_model_str;

    fn model(turn: f64) -> Skeleton {
        let text = format!(
            "<mujoco><compiler angle=\"radian\"/><worldbody><body name=\"a b\"><joint name=\"j\"/><body name=\"c\" euler=\"0 0 {turn}\"/></body></worldbody></mujoco>"
        );
        read_model_str("m.xml", &text).unwrap()
    }

    #[test]
    fn a_turn_in_place_shows_without_any_marker() {
        let found = compare(&model(0.0), &model(1e-7), 1);
        assert_eq!((found.markers, found.bodies, found.coordinates, found.largest_marker_m), (0, 2, 1, None));
        assert_eq!(found.largest_body_m.unwrap().0, 0.0);
        let (turn_rad, body) = found.largest_turn_rad.unwrap();
        assert!((turn_rad - 1e-7).abs() < 1e-14 && body == "c", "{turn_rad} {body}");
        assert_eq!((found.lost, found.added), (Names::default(), Names::default()));
    }

    #[test]
    fn what_only_one_has_is_said_of_that_one() {
        let (one, mut other) = (model(0.0), model(0.0));
        other.bodies[1].name = "a_b".into();
        other.bodies[2].name = "d".into();
        other.coordinates[0].name = "k".into();
        let found = compare(&one, &other, 1);
        assert_eq!(found.bodies, 1, "OpenSim spells `a b` so");
        let names = |body: &str, coordinate: &str| Names {
            bodies: vec![body.into()],
            coordinates: vec![coordinate.into()],
            ..Names::default()
        };
        assert_eq!((found.lost, found.added), (names("c", "j"), names("d", "k")));
    }
}
