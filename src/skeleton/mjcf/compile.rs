//! From a model's elements to the internal form.

use super::document::{self, BodyElement, Equality, JointKind, ModelElements};
use super::include;
use crate::Result;
use crate::skeleton::generate::Element;
use crate::skeleton::xml::{self, Source, nearest};
use crate::skeleton::{
    Body, BodyId, Coordinate, CoordinateId, Coupling, Function, Marker, ModelSource, Motion, Operation, Rotor, RotorId,
    Skeleton, compose,
};
use nalgebra::{Matrix3, Unit, Vector3};
use std::collections::HashMap;

/// Reads a model from text; `label` stands for the path in errors and is where includes are looked for.
pub(in crate::skeleton) fn read(label: &str, text: &str) -> Result<Skeleton> {
    let (text, included) = include::expand(label, text)?;
    let place = if included { format!("{label} with its includes") } else { label.to_owned() };
    let document = xml::parse(&place, &text)?;
    let source = Source { label: &place, document: &document };
    let elements = document::collect(source)?;
    let origin = ModelSource::Mjcf { path: label.to_owned(), text: text.as_str().into() };
    compile(source, &elements, origin)
}

/// The body each joint moves, by names; of a text with its includes expanded.
pub(in crate::skeleton) fn joints(label: &str, text: &str) -> Result<HashMap<String, String>> {
    let document = xml::parse(label, text)?;
    let elements = document::collect(Source { label, document: &document })?;
    let joints = elements.bodies.iter().flat_map(|b| b.joints.iter().map(|j| (j.name.clone(), b.name.clone())));
    Ok(joints.collect())
}

/// Where an element stands in its document, includes expanded; `None` where there is none of that name. The joints of a body are named by the body.
pub(in crate::skeleton) fn place(label: &str, text: &str, element: Element<'_>) -> Option<String> {
    let document = xml::parse(label, text).ok()?;
    let source = Source { label, document: &document };
    let model = document::collect(source).ok()?;
    let node = match element {
        Element::JointOf(body) => model.bodies.iter().find(|b| b.name == body)?.node,
        Element::Coordinate { joint, .. } => {
            model.bodies.iter().flat_map(|b| &b.joints).find(|j| j.name == joint)?.node
        }
    };
    Some(source.place(node))
}

fn compile(source: Source<'_, '_>, model: &ModelElements<'_, '_>, origin: ModelSource) -> Result<Skeleton> {
    let (mut coordinates, first_of_joint) = coordinates(source, model)?;
    couple(source, model, &first_of_joint, &mut coordinates)?;
    let mut made = Skeleton {
        name: model.name.clone(),
        source: origin,
        up: model.up,
        bodies: Vec::with_capacity(model.bodies.len()),
        operations: Vec::new(),
        coordinates,
        rotors: Vec::new(),
        markers: Vec::new(),
    };
    for (i, body) in model.bodies.iter().enumerate() {
        let start = made.operations.len();
        if i > 0 {
            body_operations(&mut made, body, BodyId(i as u32), &first_of_joint);
        }
        made.bodies.push(Body {
            name: body.name.clone(),
            parent: BodyId(body.parent as u32),
            operations: start..made.operations.len(),
        });
        made.markers.extend(body.sites.iter().map(|site| Marker {
            name: site.name.clone(),
            body: BodyId(i as u32),
            location: site.position,
            fixed: false,
        }));
    }
    Ok(made)
}

/// One coordinate for a hinge or slide, three for a ball, six for a free joint; and each joint's first.
fn coordinates<'m>(
    source: Source<'_, '_>,
    model: &'m ModelElements<'_, '_>,
) -> Result<(Vec<Coordinate>, HashMap<&'m str, usize>)> {
    let mut made: Vec<Coordinate> = Vec::new();
    let mut first = HashMap::new();
    let mut taken = HashMap::new();
    let axes =
        Rotor { coordinates: [CoordinateId(0); 3], axes: [Vector3::x_axis(), Vector3::y_axis(), Vector3::z_axis()] };
    for body in &model.bodies {
        for joint in &body.joints {
            first.insert(joint.name.as_str(), made.len());
            let one = |suffix: &str, motion, default| Coordinate {
                name: format!("{}{suffix}", joint.name),
                joint: joint.name.clone(),
                motion,
                default,
                range: joint.range.filter(|_| suffix.is_empty()),
                placeholder: None,
                clamped: joint.range.is_some() && suffix.is_empty(),
                locked: false,
                coupling: None,
            };
            match joint.kind {
                JointKind::Hinge => made.push(one("", Motion::Rotational, joint.reference)),
                JointKind::Slide => made.push(one("", Motion::Translational, joint.reference)),
                JointKind::Ball | JointKind::Free => {
                    let mut angles = [0.0; 3];
                    if joint.kind == JointKind::Free {
                        for (suffix, value) in ["_tx", "_ty", "_tz"].iter().zip(body.place.position.iter()) {
                            made.push(one(suffix, Motion::Translational, *value));
                        }
                        angles = axes.angles_from_rotation(&body.place.rotation, [0.0; 3]).0;
                    }
                    for (suffix, value) in ["_rx", "_ry", "_rz"].iter().zip(angles) {
                        made.push(one(suffix, Motion::Rotational, value));
                    }
                }
            }
            for c in &made[taken.len()..] {
                if taken.insert(c.name.clone(), ()).is_some() {
                    return Err(source.error(
                        joint.node,
                        format_args!("it makes a second coordinate `{}`", c.name),
                        "rename one of the joints",
                    ));
                }
            }
        }
    }
    Ok((made, first))
}

fn couple(
    source: Source<'_, '_>,
    model: &ModelElements<'_, '_>,
    first_of_joint: &HashMap<&str, usize>,
    coordinates: &mut [Coordinate],
) -> Result<()> {
    let simple: HashMap<&str, f64> = model
        .bodies
        .iter()
        .flat_map(|b| &b.joints)
        .filter(|j| matches!(j.kind, JointKind::Hinge | JointKind::Slide))
        .map(|j| (j.name.as_str(), j.reference))
        .collect();
    let find = |equality: &Equality<'_, '_>, name: &str| match (simple.get(name), first_of_joint.get(name)) {
        (Some(reference), Some(first)) => Ok((*first, *reference)),
        _ => Err(source.error(
            equality.node,
            format_args!("it couples joint `{name}`, and there is no hinge or slide of that name"),
            format_args!("correct the name; {}", nearest(name, simple.keys().copied())),
        )),
    };
    let mut direct: HashMap<usize, (usize, Function)> = HashMap::new();
    let mut constant = HashMap::new();
    for equality in &model.equalities {
        let (dependent, reference) = find(equality, equality.first)?;
        let mut coefficients = equality.coefficients.clone();
        coefficients[0] += reference;
        let twice = match equality.second {
            None => constant.insert(dependent, coefficients[0]).is_some() || direct.contains_key(&dependent),
            Some(second) => {
                let (independent, other) = find(equality, second)?;
                let shift = Function::Linear { slope: 1.0, intercept: -other };
                let function = compose(polynomial(coefficients), &shift);
                direct.insert(dependent, (independent, function)).is_some() || constant.contains_key(&dependent)
            }
        };
        if twice {
            return Err(source.error(
                equality.node,
                format_args!("joint `{}` is coupled twice", equality.first),
                "remove one of the equalities",
            ));
        }
    }
    for (dependent, value) in constant {
        coordinates[dependent].default = value;
        coordinates[dependent].locked = true;
    }
    for (&dependent, (independent, function)) in &direct {
        let mut function = function.clone();
        let mut at = *independent;
        let mut steps = 0;
        while let Some((next, inner)) = direct.get(&at) {
            steps += 1;
            if steps > direct.len().min(50) {
                return Err(source.error(
                    source.document.root_element(),
                    format_args!("the equality of joint `{}` leads round in a circle", coordinates[dependent].name),
                    "one joint of it must be independent",
                ));
            }
            function = compose(function, inner);
            at = *next;
        }
        let independent = CoordinateId(at as u32);
        coordinates[dependent].default = function.value(coordinates[at].default);
        coordinates[dependent].coupling = Some(Coupling { independent, function });
    }
    Ok(())
}

/// Of coefficients with the lowest power first.
fn polynomial(mut lowest_first: Vec<f64>) -> Function {
    while lowest_first.len() > 1 && lowest_first.last() == Some(&0.0) {
        lowest_first.pop();
    }
    match lowest_first.as_slice() {
        [value] => Function::Constant(*value),
        [intercept, slope] => Function::Linear { slope: *slope, intercept: *intercept },
        _ => {
            lowest_first.reverse();
            Function::Polynomial(lowest_first)
        }
    }
}

fn body_operations(made: &mut Skeleton, body: &BodyElement<'_, '_>, id: BodyId, first_of_joint: &HashMap<&str, usize>) {
    let parent = BodyId(body.parent as u32);
    let start = made.operations.len();
    if !body.joints.iter().any(|j| j.kind == JointKind::Free) {
        translate(made, start, body.place.position, parent);
        if body.place.rotation.matrix() != &Matrix3::identity() {
            made.operations.push(Operation::Rotate(body.place.rotation));
        }
    }
    for joint in &body.joints {
        let first = first_of_joint[joint.name.as_str()];
        let id_of = |i: usize| CoordinateId((first + i) as u32);
        match joint.kind {
            JointKind::Free => {
                for (i, axis) in [Vector3::x_axis(), Vector3::y_axis(), Vector3::z_axis()].into_iter().enumerate() {
                    made.operations.push(Operation::TranslateAlong {
                        axis,
                        coordinate: Some(id_of(i)),
                        function: Function::IDENTITY,
                        scaled_by: None,
                    });
                }
                ball(made, [3, 4, 5].map(id_of));
            }
            JointKind::Ball => {
                translate(made, start, joint.position, id);
                ball(made, [0, 1, 2].map(id_of));
                translate(made, start, -joint.position, id);
            }
            JointKind::Slide | JointKind::Hinge => {
                let turns = joint.kind == JointKind::Hinge;
                if turns {
                    translate(made, start, joint.position, id);
                }
                moved(made, joint.axis, first, joint.reference, turns);
                if turns {
                    translate(made, start, -joint.position, id);
                }
            }
        }
    }
}

fn ball(made: &mut Skeleton, coordinates: [CoordinateId; 3]) {
    made.operations.push(Operation::Ball(RotorId(made.rotors.len() as u32)));
    made.rotors.push(Rotor { coordinates, axes: [Vector3::x_axis(), Vector3::y_axis(), Vector3::z_axis()] });
}

/// A displacement; two after each other that cancel at every scale, as between joints with one anchor, are none.
fn translate(made: &mut Skeleton, start: usize, offset: Vector3<f64>, scaled_by: BodyId) {
    if offset == Vector3::zeros() {
        return;
    }
    if let [.., Operation::Translate { offset: last, scaled_by: b }] = &made.operations[start..]
        && *b == scaled_by
        && *last == -offset
    {
        made.operations.pop();
        return;
    }
    made.operations.push(Operation::Translate { offset, scaled_by });
}

/// The operation of a hinge or slide by `q − ref`.
fn moved(made: &mut Skeleton, axis: Unit<Vector3<f64>>, first: usize, reference: f64, turns: bool) {
    let shift = Function::Linear { slope: 1.0, intercept: -reference };
    let (coordinate, function) = match &made.coordinates[first].coupling {
        Some(coupling) => (coupling.independent, compose(shift, &coupling.function)),
        None => (CoordinateId(first as u32), shift),
    };
    let coordinate = (!matches!(function, Function::Constant(_))).then_some(coordinate);
    made.operations.push(if turns {
        Operation::RotateAbout { axis, coordinate, function }
    } else {
        Operation::TranslateAlong { axis, coordinate, function, scaled_by: None }
    });
}
