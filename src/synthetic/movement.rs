//! What people do, as functions of time.
//!
//! Joint angles are harmonic series about textbook curves (walking: Winter 2009, *Biomechanics and Motor Control of Human Movement*, to the second harmonic); the
//! root's orientation is made as a rotation, never as angles. Its height follows from the floor: the lowest marker stays on it, where lowest is a soft minimum, so
//! that the movement stays smooth when weight goes from one foot or hand to the other.

use super::root::{Root, directions};
use super::series::Series;
use super::{Movement, Purpose, stream};
use crate::kinematics::{Frame, forward};
use crate::math::so3;
use crate::skeleton::{Motion, Offsets, Scales, Skeleton};
use nalgebra::{Rotation3, Vector3};
use std::f64::consts::{PI, TAU};

/// Mean in degrees, and terms: amplitude in degrees, multiple of the base frequency, phase.
type Row = (&'static str, f64, &'static [[f64; 3]]);

/// Right side; the left follows half a cycle later. Phase 0 is the right heel strike.
const WALK: [Row; 20] = [
    ("hip_flexion", 8.0, &[[22.0, 1.0, 0.0], [3.0, 2.0, -0.5]]),
    ("hip_adduction", -2.0, &[[4.0, 1.0, -1.2]]),
    ("hip_rotation", 0.0, &[[5.0, 1.0, 0.4]]),
    ("knee_angle", 27.0, &[[18.0, 1.0, -4.6], [17.0, 2.0, -2.3]]),
    ("ankle_angle", 1.0, &[[6.0, 1.0, -1.8], [9.0, 2.0, -4.8]]),
    ("subtalar_angle", 0.0, &[[4.0, 1.0, -2.0]]),
    ("mtp_angle", 4.0, &[[6.0, 2.0, -1.0]]),
    ("lumbar_extension", -6.0, &[[2.0, 2.0, 0.3]]),
    ("lumbar_bending", 0.0, &[[4.0, 1.0, -1.5]]),
    ("lumbar_rotation", 0.0, &[[7.0, 1.0, PI]]),
    ("neck_extension", 2.0, &[[2.0, 2.0, 1.0]]),
    ("neck_bending", 0.0, &[[2.0, 1.0, 1.5]]),
    ("neck_rotation", 0.0, &[[5.0, 1.0, 0.0]]),
    ("arm_flex", 0.0, &[[20.0, 1.0, PI]]),
    ("arm_add", -12.0, &[[3.0, 1.0, 0.5]]),
    ("arm_rot", 0.0, &[[6.0, 1.0, 1.0]]),
    ("elbow_flex", 32.0, &[[12.0, 1.0, 2.5]]),
    ("pro_sup", 60.0, &[[8.0, 1.0, 0.0]]),
    ("wrist_flex", 0.0, &[[6.0, 1.0, 2.0]]),
    ("wrist_dev", 0.0, &[[3.0, 1.0, 1.0]]),
];

const SQUAT: [Row; 9] = [
    ("hip_flexion", 45.0, &[[-40.0, 1.0, 0.0]]),
    ("hip_adduction", -8.0, &[[3.0, 1.0, 0.0]]),
    ("knee_angle", 52.0, &[[-46.0, 1.0, 0.0]]),
    ("ankle_angle", 11.0, &[[-9.0, 1.0, 0.0]]),
    ("lumbar_extension", -14.0, &[[10.0, 1.0, 0.0]]),
    ("arm_flex", 42.0, &[[-38.0, 1.0, 0.2]]),
    ("arm_add", -10.0, &[[3.0, 1.0, 0.0]]),
    ("elbow_flex", 20.0, &[[8.0, 1.0, 0.0]]),
    ("pro_sup", 45.0, &[]),
];

/// Arms beside the head (abduction is negative), legs apart.
const CARTWHEEL: [Row; 9] = [
    ("hip_flexion", 5.0, &[[10.0, 1.0, 0.0]]),
    ("hip_adduction", -30.0, &[[8.0, 1.0, PI]]),
    ("knee_angle", 12.0, &[[6.0, 1.0, 0.0]]),
    ("ankle_angle", -10.0, &[[8.0, 1.0, 0.5]]),
    ("lumbar_bending", 0.0, &[[8.0, 1.0, 1.0]]),
    ("arm_flex", 5.0, &[[8.0, 1.0, 0.0]]),
    ("arm_add", -110.0, &[[5.0, 1.0, 0.0]]),
    ("elbow_flex", 12.0, &[[6.0, 1.0, 0.4]]),
    ("pro_sup", 45.0, &[]),
];

/// Opens, tucks, opens.
const SOMERSAULT: [Row; 8] = [
    ("hip_flexion", 45.0, &[[-35.0, 1.0, 0.0]]),
    ("knee_angle", 55.0, &[[-40.0, 1.0, 0.0]]),
    ("ankle_angle", -15.0, &[[8.0, 1.0, 0.0]]),
    ("lumbar_extension", -15.0, &[[10.0, 1.0, 0.0]]),
    ("arm_flex", 40.0, &[[25.0, 1.0, 0.0]]),
    ("arm_add", -20.0, &[[10.0, 1.0, 1.0]]),
    ("elbow_flex", 50.0, &[[-30.0, 1.0, 0.0]]),
    ("pro_sup", 45.0, &[]),
];

const STAND: [Row; 4] =
    [("knee_angle", 6.0, &[]), ("arm_add", -10.0, &[]), ("elbow_flex", 20.0, &[]), ("pro_sup", 45.0, &[])];

/// Strides per second.
const STRIDE_HZ: f64 = 0.9;
const WALKING_SPEED: f64 = 1.2;
/// Longest straight walk before the cameras, metres; longer ones go round a circle of this radius.
const STRAIGHT: f64 = 4.0;
const CIRCLE: f64 = 1.6;
/// Depth over which the lowest markers share the weight, metres.
const SOFTNESS: f64 = 0.03;
/// Height of the lowest marker above the floor: markers sit on joints and skin, not under soles.
const CLEARANCE: f64 = 0.02;
/// Rise of the root in a somersault, metres.
const JUMP: f64 = 0.9;

/// One person's movement in one trial.
#[derive(Debug, Clone)]
pub(super) struct Choreography {
    movement: Movement,
    duration: f64,
    /// One per coordinate, file order; those that are not driven have no terms.
    joints: Vec<Option<Series>>,
    /// Swaying of the root about left, forward and vertical.
    sway: [Series; 3],
    /// Where the movement is centred, forward and left, and which way it faces.
    place: [f64; 2],
    facing: f64,
}

/// Pose and markers of one instant.
#[derive(Debug, Clone)]
pub(super) struct Instant {
    /// Coordinates, those of rotors not set.
    pub q: Vec<f64>,
    pub rotors: Vec<Rotation3<f64>>,
    pub frame: Frame,
}

/// A body and its size: what a choreography moves.
#[derive(Debug, Clone)]
pub(super) struct Person<'a> {
    /// With rotors.
    pub skeleton: &'a Skeleton,
    pub root: Option<&'a Root>,
    pub scales: Scales,
    pub offsets: Offsets,
}

impl Choreography {
    /// A movement as one person does it; `index` tells trials and people apart.
    pub fn new(
        movement: Movement,
        duration: f64,
        skeleton: &Skeleton,
        root: Option<&Root>,
        seed: u64,
        (purpose, index): (Purpose, usize),
    ) -> Self {
        use rand::Rng;
        let mut rng = stream(seed, purpose, index);
        let (rows, hertz, amplitude): (&[Row], f64, f64) = match movement {
            Movement::Walk => (&WALK, STRIDE_HZ, 1.0),
            Movement::Turn => (&WALK, STRIDE_HZ, 0.5),
            Movement::Squat => (&SQUAT, 0.4, 1.0),
            Movement::Cartwheel => (&CARTWHEEL, 1.0 / duration, 1.0),
            Movement::Somersault => (&SOMERSAULT, 1.0 / duration, 1.0),
            Movement::Stand => (&STAND, STRIDE_HZ, 1.0),
            Movement::Random => (&[], STRIDE_HZ, 1.0),
        };
        let hertz = hertz * (1.0 + 0.03 * rng.random_range(-1.0..1.0));
        let alternating = matches!(movement, Movement::Walk | Movement::Turn);
        let joints = skeleton
            .coordinates
            .iter()
            .enumerate()
            .map(|(i, c)| {
                let id = crate::skeleton::CoordinateId(i as u32);
                if c.locked || c.coupling.is_some() || root.is_some_and(|r| r.owns(skeleton, id)) {
                    return None;
                }
                let (stem, left) = match (c.name.strip_suffix("_r"), c.name.strip_suffix("_l")) {
                    (Some(stem), _) => (stem, false),
                    (_, Some(stem)) => (stem, true),
                    _ => (c.name.as_str(), false),
                };
                let series = match rows.iter().find(|row| row.0 == stem && c.motion == Motion::Rotational) {
                    Some(&(_, mean, terms)) => {
                        let delay = if left && alternating { PI } else { 0.0 };
                        let term = |&[a, k, p]: &[f64; 3]| [a.to_radians() * amplitude, k * hertz, p + k * delay];
                        Series { mean: mean.to_radians(), terms: terms.iter().map(term).collect() }.individual(&mut rng)
                    }
                    None => unnamed(c, movement == Movement::Random, &mut rng),
                };
                Some(match c.range {
                    Some(range) => series.inside(range),
                    None => series,
                })
            })
            .collect();
        let sway = [0, 1, 2].map(|_| Series::wandering(0.0, 4f64.to_radians(), &mut rng));
        Self { movement, duration, joints, sway, place: [0.0; 2], facing: rng.random_range(0.0..TAU) }
    }

    /// The same somewhere else, forward and left of the middle, metres.
    pub fn at(self, place: [f64; 2]) -> Self {
        Self { place, ..self }
    }

    /// The person at time `t`, seconds.
    pub fn instant(&self, person: &Person, t: f64) -> Instant {
        let skeleton = person.skeleton;
        let mut q: Vec<f64> = skeleton.coordinates.iter().map(|c| c.default).collect();
        for (value, series) in q.iter_mut().zip(&self.joints) {
            if let Some(series) = series {
                *value = series.at(t);
            }
        }
        skeleton.resolve_couplings(&mut q);
        let mut rotors = skeleton.rotor_rotations(&q);
        let mut frame = Frame::new(skeleton);
        let (scales, offsets) = (&person.scales, &person.offsets);
        let Some(root) = person.root else {
            forward(skeleton, scales, offsets, &q, &rotors, &mut frame);
            return Instant { q, rotors, frame };
        };
        let axes = directions(skeleton.up);
        let (turn, [ahead, aside], airborne) = self.course(t, &axes);
        root.turn(&turn, &mut rotors);
        let horizontal = axes[1] * ahead + axes[2] * aside;
        let body = (scales, offsets);
        root.place(skeleton, body, &horizontal, (&mut q, &rotors), &mut frame);
        let height = match airborne {
            // Tumbling in the air: from where standing upright would put the root.
            Some(rise) => {
                let mut upright = rotors.clone();
                root.turn(&Rotation3::identity(), &mut upright);
                let mut standing = Frame::new(skeleton);
                root.place(skeleton, body, &horizontal, (&mut q, &upright), &mut standing);
                CLEARANCE - lowest(&standing, &axes[0]) + rise
            }
            None => CLEARANCE - lowest(&frame, &axes[0]),
        };
        root.place(skeleton, body, &(horizontal + axes[0] * height), (&mut q, &rotors), &mut frame);
        Instant { q, rotors, frame }
    }

    /// Orientation of the root, its place ahead and aside, and its rise where the floor does not carry it.
    fn course(&self, t: f64, [up, ahead, left]: &[Vector3<f64>; 3]) -> (Rotation3<f64>, [f64; 2], Option<f64>) {
        let about = |axis: &Vector3<f64>, angle: f64| so3::exp(&(axis * angle));
        let x = if self.duration > 0.0 { t / self.duration } else { 0.0 };
        let (turn, [mut a, mut b], rise) = match self.movement {
            Movement::Walk => {
                let way = WALKING_SPEED * t;
                let length = WALKING_SPEED * self.duration;
                if length <= STRAIGHT {
                    (Rotation3::identity(), [way - 0.5 * length, 0.0], None)
                } else {
                    let angle = way / CIRCLE;
                    (about(up, angle), [CIRCLE * angle.sin(), -CIRCLE * angle.cos()], None)
                }
            }
            Movement::Turn => (about(up, 2.0 * TAU * eased(x)), [0.0, 0.0], None),
            Movement::Cartwheel => (about(ahead, TAU * eased(x)), [0.0, 1.0 - 2.0 * eased(x)], None),
            Movement::Somersault => {
                let turn = about(left, TAU * x) * about(up, TAU * x);
                (turn, [0.5 * x, 0.0], Some(JUMP * 4.0 * x * (1.0 - x)))
            }
            Movement::Squat | Movement::Stand | Movement::Random => (Rotation3::identity(), [0.0, 0.0], None),
        };
        let (sine, cosine) = self.facing.sin_cos();
        (a, b) = (self.place[0] + cosine * a - sine * b, self.place[1] + sine * a + cosine * b);
        let [tilt, list, rotation] = [0, 1, 2].map(|i| self.sway[i].at(t));
        let sway = about(left, tilt) * about(ahead, list) * about(up, rotation);
        (about(up, self.facing) * turn * sway, [a, b], rise)
    }
}

/// A coordinate that no table names: slowly about its default, or through much of its range.
fn unnamed(c: &crate::skeleton::Coordinate, wide: bool, rng: &mut impl rand::Rng) -> Series {
    match (c.range, c.motion) {
        (Some([low, high]), _) if wide => Series::wandering(0.5 * (low + high), 0.3 * (high - low), rng),
        (_, Motion::Rotational) => Series::wandering(c.default, 3f64.to_radians(), rng),
        (Some([low, high]), _) => Series::wandering(c.default, 0.05 * (high - low), rng),
        (None, _) => Series { mean: c.default, terms: Vec::new() },
    }
}

/// 0 to 1 with rate and acceleration 0 at both ends.
fn eased(x: f64) -> f64 {
    let x = x.clamp(0.0, 1.0);
    x * x * x * (x * (6.0 * x - 15.0) + 10.0)
}

/// Soft minimum of the heights of markers (of body origins where there are no markers): `−s·ln Σ exp(−h/s)`.
fn lowest(frame: &Frame, up: &Vector3<f64>) -> f64 {
    let points = if frame.markers.is_empty() { &frame.origins[1..] } else { &frame.markers[..] };
    let heights: Vec<f64> = points.iter().map(|p| p.dot(up)).collect();
    let least = heights.iter().copied().fold(f64::INFINITY, f64::min);
    if !least.is_finite() {
        return 0.0;
    }
    least - SOFTNESS * heights.iter().map(|h| (-(h - least) / SOFTNESS).exp()).sum::<f64>().ln()
}
