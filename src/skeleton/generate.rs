//! The internal form as a sequence of fixed and moving steps, for writing a model anew.
//!
//! Coupled coordinates, which the form has substituted, are put back: a step follows a coordinate of its own.

use super::{
    Coordinate, CoordinateId, Function, ModelSource, Operation, Scales, Skeleton, compose, mjcf, osim, scaling,
};
use crate::{Error, Result};
use nalgebra::{Matrix3, Rotation3, Unit, Vector3};

/// One step on the way from a parent's frame to a body's.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// A fixed displacement, then a fixed turn.
    Fixed(Pose),
    /// A motion.
    Move(Move),
}

/// A turn about or a displacement along an axis of the current frame.
#[derive(Debug, Clone)]
pub(super) struct Move {
    pub turns: bool,
    pub axis: Unit<Vector3<f64>>,
    /// The coordinate of this very joint.
    pub coordinate: CoordinateId,
    /// Of that coordinate, radians or metres.
    pub function: Function,
}

/// `x ↦ rotation·x + position`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pose {
    pub rotation: Rotation3<f64>,
    pub position: Vector3<f64>,
}

impl Pose {
    pub const IDENTITY: Self = Self {
        rotation: Rotation3::from_matrix_unchecked(Matrix3::new(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)),
        position: Vector3::new(0.0, 0.0, 0.0),
    };

    /// First `self`, then `inner` in its frame.
    pub fn then(&self, inner: &Self) -> Self {
        Self { rotation: self.rotation * inner.rotation, position: self.position + self.rotation * inner.position }
    }

    pub fn inverse(&self) -> Self {
        let rotation = self.rotation.inverse();
        Self { rotation, position: -(rotation * self.position) }
    }
}

/// An element of the file that a model came in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Element<'n> {
    /// What moves the body of this name.
    JointOf(&'n str),
    /// A coordinate.
    Coordinate {
        /// Its name.
        name: &'n str,
        /// That of its joint.
        joint: &'n str,
    },
}

/// An error that a body's joint has no exact counterpart in a format; it names the joint in the file that the model came in.
pub(super) fn inexact(skeleton: &Skeleton, body: usize, format: &str, why: impl std::fmt::Display) -> Error {
    refused(skeleton, Element::JointOf(&skeleton.bodies[body].name), format, why)
}

/// The same of a coordinate.
pub(super) fn inexact_coordinate(
    skeleton: &Skeleton,
    coordinate: usize,
    format: &str,
    why: impl std::fmt::Display,
) -> Error {
    let Coordinate { name, joint, .. } = &skeleton.coordinates[coordinate];
    refused(skeleton, Element::Coordinate { name, joint }, format, why)
}

fn refused(skeleton: &Skeleton, element: Element<'_>, format: &str, why: impl std::fmt::Display) -> Error {
    let in_file = match &skeleton.source {
        ModelSource::Osim { path, text } => osim::place(path, text, element),
        ModelSource::Mjcf { path, text } => mjcf::place(path, text, element),
        ModelSource::None => None,
    };
    let place = in_file.unwrap_or_else(|| match element {
        Element::JointOf(body) => format!("model `{}`, joint of body `{body}`", skeleton.name),
        Element::Coordinate { name, .. } => format!("model `{}`, coordinate `{name}`", skeleton.name),
    });
    Error::input(
        place,
        format_args!("it cannot be written as {format} exactly: {why}"),
        "use the model in the format it came in",
    )
}

/// The steps of every body, scale factors worked in; neighbouring fixed steps are one.
pub(super) fn steps(skeleton: &Skeleton, scales: &Scales, format: &str) -> Result<Vec<Vec<Step>>> {
    let mut owner = owners(skeleton)?;
    let mut made = Vec::with_capacity(skeleton.bodies.len());
    for (b, body) in skeleton.bodies.iter().enumerate() {
        let mut steps = Vec::new();
        for operation in &skeleton.operations[body.operations.clone()] {
            match operation {
                Operation::Translate { offset, scaled_by } => {
                    let position = offset.component_mul(&Vector3::from(scales.0[scaled_by.index()]));
                    fix(&mut steps, Pose { position, ..Pose::IDENTITY });
                }
                Operation::Rotate(rotation) => fix(&mut steps, Pose { rotation: *rotation, ..Pose::IDENTITY }),
                Operation::RotateAbout { axis, coordinate: None, function } => {
                    let rotation = Rotation3::from_axis_angle(axis, function.value(0.0));
                    fix(&mut steps, Pose { rotation, ..Pose::IDENTITY });
                }
                Operation::TranslateAlong { axis, coordinate: None, function, scaled_by } => {
                    let k = length_factor(axis, *scaled_by, scales);
                    let position = axis.into_inner() * (k * function.value(0.0));
                    fix(&mut steps, Pose { position, ..Pose::IDENTITY });
                }
                Operation::RotateAbout { axis, coordinate: Some(c), function } => {
                    let (coordinate, function) = own(skeleton, *c, function, b, &mut owner, format)?;
                    steps.push(Step::Move(Move { turns: true, axis: *axis, coordinate, function }));
                }
                Operation::TranslateAlong { axis, coordinate: Some(c), function, scaled_by } => {
                    let (coordinate, function) = own(skeleton, *c, function, b, &mut owner, format)?;
                    let function = scaling::multiplied(&function, length_factor(axis, *scaled_by, scales));
                    steps.push(Step::Move(Move { turns: false, axis: *axis, coordinate, function }));
                }
                Operation::Ball(rotor) => {
                    let rotor = &skeleton.rotors[rotor.index()];
                    for (c, axis) in rotor.coordinates.iter().zip(rotor.axes) {
                        let (coordinate, function) = own(skeleton, *c, &Function::IDENTITY, b, &mut owner, format)?;
                        steps.push(Step::Move(Move { turns: true, axis, coordinate, function }));
                    }
                }
            }
        }
        made.push(steps);
    }
    Ok(made)
}

/// The body each coordinate's joint moves, as far as the source tells.
pub(super) fn owners(skeleton: &Skeleton) -> Result<Vec<Option<usize>>> {
    let body_of_joint = match &skeleton.source {
        ModelSource::Osim { path, text } => osim::joints(path, text)?,
        ModelSource::Mjcf { path, text } => mjcf::joints(path, text)?,
        ModelSource::None => return Ok(vec![None; skeleton.coordinates.len()]),
    };
    let body = |joint: &str| skeleton.body(body_of_joint.get(joint)?).map(super::BodyId::index);
    Ok(skeleton.coordinates.iter().map(|c| body(&c.joint)).collect())
}

fn length_factor(axis: &Unit<Vector3<f64>>, scaled_by: Option<super::BodyId>, scales: &Scales) -> f64 {
    scaled_by.map_or(1.0, |b| axis.abs().dot(&Vector3::from(scales.0[b.index()])))
}

fn fix(steps: &mut Vec<Step>, pose: Pose) {
    match steps.last_mut() {
        Some(Step::Fixed(last)) => *last = last.then(&pose),
        _ => steps.push(Step::Fixed(pose)),
    }
}

/// The coordinate of this body's joint that an operation follows, and how: `coordinate` itself, or one coupled to it.
fn own(
    skeleton: &Skeleton,
    coordinate: CoordinateId,
    function: &Function,
    body: usize,
    owner: &mut [Option<usize>],
    format: &str,
) -> Result<(CoordinateId, Function)> {
    let itself = coordinate.index();
    let independent = skeleton.coordinates[itself].coupling.is_none();
    // Coupled coordinates that lead to this very function.
    let coupled: Vec<(usize, Function, bool)> = (skeleton.coordinates.iter().enumerate())
        .filter_map(|(d, candidate)| {
            let coupling = candidate.coupling.as_ref().filter(|k| k.independent == coordinate)?;
            let same = coupling.function.is_identity();
            let outer = match function {
                _ if same => function.clone(),
                Function::Composite { outer, inner } if **inner == coupling.function => (**outer).clone(),
                f if *f == coupling.function => Function::IDENTITY,
                _ => return None,
            };
            (compose(outer.clone(), &coupling.function) == *function).then_some((d, outer, same))
        })
        .collect();
    // Those this body is known to own; the coordinate itself; else whatever no other body has taken.
    let known = coupled.iter().find(|(d, _, same)| !same && owner[*d] == Some(body));
    if let Some((d, outer, _)) = known {
        return Ok((CoordinateId(*d as u32), outer.clone()));
    }
    if independent && owner[itself] == Some(body) {
        return Ok((coordinate, function.clone()));
    }
    for (d, outer, _) in coupled {
        if *owner[d].get_or_insert(body) == body {
            return Ok((CoordinateId(d as u32), outer));
        }
    }
    if independent && *owner[itself].get_or_insert(body) == body {
        return Ok((coordinate, function.clone()));
    }
    Err(inexact(
        skeleton,
        body,
        format,
        format_args!("it follows coordinate `{}` of another joint", skeleton.coordinates[coordinate.index()].name),
    ))
}

/// The children of every body, in order.
pub(super) fn children(skeleton: &Skeleton) -> Vec<Vec<usize>> {
    let mut found = vec![Vec::new(); skeleton.bodies.len()];
    for (b, body) in skeleton.bodies.iter().enumerate().skip(1) {
        found[body.parent.index()].push(b);
    }
    found
}

/// Numbers as text that reads back as the same numbers.
pub(super) fn joined(numbers: &[f64]) -> String {
    numbers.iter().map(|v| format!("{}", v + 0.0)).collect::<Vec<_>>().join(" ")
}

/// A name inside an attribute or a text.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
