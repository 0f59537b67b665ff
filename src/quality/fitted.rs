//! What a fit gave, by name: what is compared with a truth or with another fit.

use crate::camera::Rig;
use crate::skeleton::{Coordinate, CoordinateId, Motion, Rotor, Skeleton};
use nalgebra::{Rotation3, Unit, Vector3};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a fit gave, as plain data by name: from a fit in memory, or from its files. Metres and radians, ground being the model's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FittedData {
    /// Columns of [`FittedTrial::q`].
    pub coordinates: Vec<FittedCoordinate>,
    /// Rotations whose angles are three of these: past a singularity two triples of angles are one rotation.
    pub rotors: Vec<FittedRotor>,
    /// Names of the columns of [`FittedTrial::markers`].
    pub markers: Vec<String>,
    /// Scale factors by body.
    pub scales: BTreeMap<String, [f64; 3]>,
    /// Factor of the bodies of each scale group, and its standard deviation; 0 where there is none.
    pub group_factors: BTreeMap<String, [f64; 2]>,
    /// Offsets of the observed markers, in the body's frame.
    pub offsets: BTreeMap<String, FittedOffset>,
    /// Fitted cameras, in the calibration's world.
    pub rig: Rig,
    /// Rotation taking that world to ground.
    pub ground_from_world: Rotation3<f64>,
    /// Trials.
    pub trials: Vec<FittedTrial>,
}

/// A coordinate of the fitted model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FittedCoordinate {
    /// Name.
    pub name: String,
    /// An angle, not a length.
    pub rotational: bool,
    /// Has a range.
    pub limited: bool,
}

/// Three coordinates that are the angles of one rotation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FittedRotor {
    /// Columns of [`FittedTrial::q`].
    pub coordinates: [usize; 3],
    /// Axes, of unit length, one after the other.
    pub axes: [[f64; 3]; 3],
}

impl FittedCoordinate {
    /// The coordinates of a model, in its order.
    pub fn of_model(skeleton: &Skeleton) -> Vec<Self> {
        let of = |c: &Coordinate| Self {
            name: c.name.clone(),
            rotational: c.motion == Motion::Rotational,
            limited: c.range.is_some(),
        };
        skeleton.coordinates.iter().map(of).collect()
    }
}

impl FittedRotor {
    /// The rotors of a model: of its own, and of a body on ground that turns about three axes in a row.
    pub fn of_model(skeleton: &Skeleton) -> Vec<Self> {
        let of = |r: &Rotor| Self {
            coordinates: r.coordinates.map(|c| c.index()),
            axes: r.axes.map(|a| a.into_inner().into()),
        };
        skeleton.with_rotors().rotors.iter().map(of).collect()
    }

    pub(super) fn rotor(&self) -> Rotor {
        Rotor {
            coordinates: self.coordinates.map(|c| CoordinateId(c as u32)),
            axes: self.axes.map(|a| Unit::new_normalize(Vector3::from(a))),
        }
    }
}

/// A fitted offset.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FittedOffset {
    /// Value.
    pub value: [f64; 3],
    /// Standard deviations, where they were computed.
    pub sd: Option<[f64; 3]>,
}

/// A fitted trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FittedTrial {
    /// Name.
    pub name: String,
    /// The truth's frame that the first row belongs to.
    pub first_frame: i64,
    /// `[frame][coordinate]`.
    pub q: Vec<Vec<f64>>,
    /// Their standard deviations; `None` where there is none.
    pub q_sd: Vec<Vec<Option<f64>>>,
    /// `[frame][marker]` in ground.
    pub markers: Vec<Vec<Vector3<f64>>>,
}
