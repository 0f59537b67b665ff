//! Where a body stands: its root's pose, whatever joint the model hangs it on.

use crate::kinematics::{Frame, forward};
use crate::skeleton::{BodyId, CoordinateId, GROUND, Operation, Skeleton, UpAxis};
use crate::skeleton::{Offsets, RotorId, Scales};
use nalgebra::{Matrix3, Rotation3, Vector3};

/// The body that carries the others.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Root {
    body: BodyId,
    /// Its rotor and the constant rotations before and after it.
    rotor: Option<(RotorId, Rotation3<f64>, Rotation3<f64>)>,
    /// Coordinates that carry it along the three axes of space, if it has them.
    translations: Option<[CoordinateId; 3]>,
    /// Its orientation where nothing is turned.
    neutral: Rotation3<f64>,
}

/// Vertical, forward and left of a model's ground, by the custom of OpenSim and MuJoCo: x is forward.
pub(super) fn directions(up: UpAxis) -> [Vector3<f64>; 3] {
    let vertical = match up {
        UpAxis::Y => Vector3::y(),
        UpAxis::Z => Vector3::z(),
    };
    [vertical, Vector3::x(), vertical.cross(&Vector3::x())]
}

impl Root {
    /// The first body on ground that can turn or travel freely; `skeleton` with its rotors.
    pub fn find(skeleton: &Skeleton) -> Option<Self> {
        skeleton.bodies.iter().enumerate().skip(1).filter(|(_, body)| body.parent == GROUND).find_map(|(b, body)| {
            let operations = &skeleton.operations[body.operations.clone()];
            let mut rotor = None;
            let (mut before, mut after) = (Rotation3::identity(), Rotation3::identity());
            let mut translations = Vec::new();
            for operation in operations {
                match operation {
                    Operation::Ball(id) => rotor = Some(*id),
                    Operation::TranslateAlong { coordinate: Some(c), .. } => translations.push(*c),
                    Operation::Rotate(r) if rotor.is_some() => after *= r,
                    Operation::Rotate(r) => before *= r,
                    _ => {}
                }
            }
            let translations = <[CoordinateId; 3]>::try_from(translations).ok();
            (rotor.is_some() || translations.is_some()).then(|| Self {
                body: BodyId(b as u32),
                rotor: rotor.map(|r| (r, before, after)),
                translations,
                neutral: before * after,
            })
        })
    }

    /// Whether a coordinate is one of the root's own.
    pub fn owns(&self, skeleton: &Skeleton, coordinate: CoordinateId) -> bool {
        let turns = self.rotor.is_some_and(|(r, ..)| skeleton.rotors[r.index()].coordinates.contains(&coordinate));
        turns || self.translations.is_some_and(|t| t.contains(&coordinate))
    }

    /// Turns the root by `turn` from its neutral orientation (in ground).
    pub fn turn(&self, turn: &Rotation3<f64>, rotors: &mut [Rotation3<f64>]) {
        if let Some((rotor, before, after)) = &self.rotor {
            rotors[rotor.index()] = before.inverse() * turn * self.neutral * after.inverse();
        }
    }

    /// Sets the coordinates that bring the root's origin to `origin_in_ground`; `frame` is left at the pose.
    pub fn place(
        &self,
        skeleton: &Skeleton,
        (scales, offsets): (&Scales, &Offsets),
        origin_in_ground: &Vector3<f64>,
        (q, rotors): (&mut [f64], &[Rotation3<f64>]),
        frame: &mut Frame,
    ) {
        let Some(translations) = self.translations else {
            return forward(skeleton, scales, offsets, q, rotors, frame);
        };
        let mut origin = |q: &[f64]| {
            forward(skeleton, scales, offsets, q, rotors, frame);
            frame.origins[self.body.index()]
        };
        translations.iter().for_each(|c| q[c.index()] = 0.0);
        let zero = origin(q);
        let columns = translations.map(|c| {
            q[c.index()] = 1.0;
            let column = origin(q) - zero;
            q[c.index()] = 0.0;
            column
        });
        if let Some(inverse) = Matrix3::from_columns(&columns).try_inverse() {
            let solved = inverse * (origin_in_ground - zero);
            translations.iter().zip(solved.iter()).for_each(|(c, x)| q[c.index()] = *x);
        }
        origin(q);
    }
}
