//! From a model's elements to the internal form.

use super::document::{self, ModelElements};
use super::joint::{Axis, Joint, Offset};
use crate::skeleton::generate::Element;
use crate::skeleton::scaling::multiplied;
use crate::skeleton::xml::{self, Source, child, nearest, text};
use crate::skeleton::{
    Body, BodyId, Coordinate, CoordinateId, Coupling, Function, GROUND, Marker, ModelSource, Motion, Operation, Rotor,
    RotorId, Skeleton, UpAxis, compose,
};
use crate::{Error, Result};
use nalgebra::Vector3;
use std::collections::HashMap;

/// Reads a model from text; `label` stands for the path in errors and in what is written.
pub(in crate::skeleton) fn read(label: &str, text: &str) -> Result<Skeleton> {
    let document = xml::parse(label, text)?;
    let source = Source { label, document: &document };
    let elements = document::collect(source)?;
    compile(source, &elements, ModelSource::Osim { path: label.to_owned(), text: text.into() })
}

/// The body each joint moves, by names.
pub(in crate::skeleton) fn joints(label: &str, text: &str) -> Result<HashMap<String, String>> {
    let document = xml::parse(label, text)?;
    let elements = document::collect(Source { label, document: &document })?;
    Ok(elements.joints.iter().map(|j| (j.name.to_owned(), j.child.to_owned())).collect())
}

/// Where an element stands in its document; `None` where there is none of that name.
pub(in crate::skeleton) fn place(label: &str, text: &str, element: Element<'_>) -> Option<String> {
    let document = xml::parse(label, text).ok()?;
    let source = Source { label, document: &document };
    let model = document::collect(source).ok()?;
    let joint = |body: &str| model.joints.iter().find(|j| j.child == body);
    let node = match element {
        Element::JointOf(body) => joint(body)?.node,
        Element::Coordinate { name, .. } => {
            model.joints.iter().flat_map(|j| &j.coordinates).find(|c| c.name == name)?.node
        }
    };
    Some(source.place(node))
}

fn compile(source: Source<'_, '_>, model: &ModelElements<'_, '_>, origin: ModelSource) -> Result<Skeleton> {
    let joint_of = joints_of_bodies(source, model)?;
    let order = parents_first(source, model, &joint_of)?;
    let mut id_of: HashMap<&str, BodyId> = HashMap::from([("ground", GROUND)]);
    for (i, &b) in order.iter().enumerate() {
        id_of.insert(model.bodies[b].name, BodyId(i as u32 + 1));
    }

    let mut coordinates: Vec<Coordinate> = Vec::new();
    let mut first_coordinate = Vec::with_capacity(model.joints.len());
    let mut joint_of_coordinate = Vec::new();
    let mut coordinate_of: HashMap<&str, usize> = HashMap::new();
    for (j, joint) in model.joints.iter().enumerate() {
        first_coordinate.push(coordinates.len());
        for c in &joint.coordinates {
            if coordinate_of.insert(c.name, coordinates.len()).is_some() {
                return Err(source.error(
                    c.node,
                    "a second coordinate has this name",
                    "give every coordinate its own name",
                ));
            }
            joint_of_coordinate.push(j);
            coordinates.push(Coordinate {
                name: c.name.to_owned(),
                joint: joint.name.to_owned(),
                motion: c.motion,
                default: c.default,
                range: c.range,
                placeholder: c.placeholder,
                clamped: c.clamped,
                locked: c.locked,
                coupling: None,
            });
        }
    }
    couple(source, model, &coordinate_of, &mut coordinates)?;

    let mut compiler = Compiler { source, coordinates: &coordinates, operations: Vec::new(), rotors: Vec::new() };
    let ground = Body { name: "ground".into(), parent: GROUND, operations: 0..0 };
    let mut bodies = vec![ground];
    for &b in &order {
        let element = &model.bodies[b];
        let j = joint_of[element.name];
        let joint = &model.joints[j];
        let (parent, body) = (id_of[joint.parent], id_of[element.name]);
        let start = compiler.operations.len();
        compiler.joint(joint, first_coordinate[j], parent, body)?;
        bodies.push(Body { name: element.name.to_owned(), parent, operations: start..compiler.operations.len() });
    }
    let Compiler { operations, rotors, .. } = compiler;

    let markers = model
        .markers
        .iter()
        .map(|m| Marker { name: m.name.to_owned(), body: id_of[m.body], location: m.location, fixed: m.fixed })
        .collect();
    Ok(Skeleton {
        name: model.name.clone(),
        source: origin,
        up: vertical(source, model)?,
        bodies,
        operations,
        coordinates,
        rotors,
        markers,
    })
}

/// Against gravity; Y, as in all models that come with OpenSim, unless that says Z.
fn vertical(source: Source<'_, '_>, model: &ModelElements<'_, '_>) -> Result<UpAxis> {
    let Some(node) = child(model.node, "gravity") else { return Ok(UpAxis::Y) };
    let gravity = source.vector(node, text(node))?;
    Ok(if gravity.z < 0.0 && gravity.z.abs() > gravity.y.abs() { UpAxis::Z } else { UpAxis::Y })
}

/// The one joint that moves each body.
fn joints_of_bodies<'a>(source: Source<'_, '_>, model: &ModelElements<'a, '_>) -> Result<HashMap<&'a str, usize>> {
    let mut found: HashMap<&str, usize> = HashMap::new();
    for (j, joint) in model.joints.iter().enumerate() {
        if joint.child == "ground" {
            return Err(source.error(
                joint.node,
                "ground is the child of this joint",
                "exchange its parent and child frames: ground is where the skeleton starts",
            ));
        }
        if !model.bodies.iter().any(|b| b.name == joint.child) {
            return Err(missing(source, model, joint, joint.child));
        }
        if joint.parent != "ground" && !model.bodies.iter().any(|b| b.name == joint.parent) {
            return Err(missing(source, model, joint, joint.parent));
        }
        if let Some(other) = found.insert(joint.child, j) {
            return Err(source.error(
                joint.node,
                format_args!(
                    "body `{}` is moved by two joints, this one and `{}`: closed chains are not understood",
                    joint.child, model.joints[other].name
                ),
                "remove one",
            ));
        }
    }
    for body in &model.bodies {
        if !found.contains_key(body.name) {
            return Err(source.error(body.node, "no joint moves this body", "add a joint to it, or remove the body"));
        }
    }
    Ok(found)
}

fn missing(source: Source<'_, '_>, model: &ModelElements<'_, '_>, joint: &Joint<'_, '_>, name: &str) -> Error {
    source.error(
        joint.node,
        format_args!("it connects body `{name}`, which the model does not have"),
        format_args!("correct the name; {}", nearest(name, model.bodies.iter().map(|b| b.name))),
    )
}

/// The bodies so that parents come before children, otherwise as in the file.
fn parents_first(
    source: Source<'_, '_>,
    model: &ModelElements<'_, '_>,
    joint_of: &HashMap<&str, usize>,
) -> Result<Vec<usize>> {
    let index: HashMap<&str, usize> = model.bodies.iter().enumerate().map(|(i, b)| (b.name, i)).collect();
    let mut placed = vec![false; model.bodies.len()];
    let mut order = Vec::with_capacity(model.bodies.len());
    for start in 0..model.bodies.len() {
        let mut chain = Vec::new();
        let mut at = start;
        while !placed[at] {
            if chain.len() > model.bodies.len() {
                return Err(source.error(
                    model.bodies[start].node,
                    "following the joints from this body to their parents leads round in a circle",
                    "one body of the circle must be joined to ground",
                ));
            }
            chain.push(at);
            match index.get(model.joints[joint_of[model.bodies[at].name]].parent) {
                Some(&parent) => at = parent,
                None => break,
            }
        }
        for b in chain.into_iter().rev() {
            placed[b] = true;
            order.push(b);
        }
    }
    Ok(order)
}

/// Fills in `coupling`, every dependent coordinate following an independent one directly.
fn couple(
    source: Source<'_, '_>,
    model: &ModelElements<'_, '_>,
    coordinate_of: &HashMap<&str, usize>,
    coordinates: &mut [Coordinate],
) -> Result<()> {
    let mut direct: HashMap<usize, (usize, usize)> = HashMap::new();
    for (k, coupler) in model.couplers.iter().enumerate() {
        let find = |name: &str| {
            coordinate_of.get(name).copied().ok_or_else(|| {
                source.error(
                    coupler.node,
                    format_args!("it couples coordinate `{name}`, which the model does not have"),
                    format_args!("correct the name; {}", nearest(name, coordinate_of.keys().copied())),
                )
            })
        };
        let (dependent, independent) = (find(coupler.dependent)?, find(coupler.independent)?);
        if direct.insert(dependent, (independent, k)).is_some() {
            return Err(source.error(
                coupler.node,
                format_args!("coordinate `{}` is coupled twice", coupler.dependent),
                "remove one of the couplers",
            ));
        }
    }
    for (&dependent, &(independent, k)) in &direct {
        let mut function = model.couplers[k].function.clone();
        let mut at = independent;
        let mut steps = 0;
        while let Some(&(next, k)) = direct.get(&at) {
            steps += 1;
            if steps > direct.len().min(50) {
                return Err(source.error(
                    model.couplers[k].node,
                    "couplers follow each other in a circle or in a very long chain",
                    "one coordinate of it must be independent",
                ));
            }
            function = compose(function, &model.couplers[k].function);
            at = next;
        }
        if coordinates[dependent].locked {
            return Err(source.error(
                model.couplers[k].node,
                format_args!(
                    "coordinate `{}` follows `{}` and is locked, so that neither could move",
                    coordinates[dependent].name, coordinates[at].name
                ),
                "unlock it; if both are to be held, lock the one it follows at the value that suits",
            ));
        }
        coordinates[dependent].coupling = Some(Coupling { independent: CoordinateId(at as u32), function });
    }
    Ok(())
}

struct Compiler<'c, 'a, 'i> {
    source: Source<'a, 'i>,
    coordinates: &'c [Coordinate],
    operations: Vec<Operation>,
    rotors: Vec<Rotor>,
}

impl Compiler<'_, '_, '_> {
    fn joint(&mut self, joint: &Joint<'_, '_>, first: usize, parent: BodyId, body: BodyId) -> Result<()> {
        for offset in &joint.parent_offsets {
            self.translate(offset.translation, parent);
            self.rotate(offset);
        }
        let free = |i: usize| {
            let c = &self.coordinates[first + i];
            !c.locked && c.coupling.is_none()
        };
        let ball = joint.ball && (0..3).all(free);
        for axis in joint.axes.iter().filter(|a| !ball || a.translates) {
            self.axis(joint, axis, first, parent)?;
        }
        if ball {
            self.operations.push(Operation::Ball(RotorId(self.rotors.len() as u32)));
            self.rotors.push(Rotor {
                coordinates: [0, 1, 2].map(|i| CoordinateId((first + i) as u32)),
                axes: [Vector3::x_axis(), Vector3::y_axis(), Vector3::z_axis()],
            });
        }
        // X_body_M⁻¹ = (Rᵀ, −Rᵀ t): turn back first, then go back along the body's own axes.
        for offset in joint.child_offsets.iter().rev() {
            self.rotate(&Offset { rotation: offset.rotation.inverse(), translation: Vector3::zeros(), node: None });
            self.translate(-offset.translation, body);
        }
        Ok(())
    }

    fn translate(&mut self, offset: Vector3<f64>, scaled_by: BodyId) {
        if offset != Vector3::zeros() {
            self.operations.push(Operation::Translate { offset, scaled_by });
        }
    }

    fn rotate(&mut self, offset: &Offset<'_, '_>) {
        if offset.rotation.matrix() != &nalgebra::Matrix3::identity() {
            self.operations.push(Operation::Rotate(offset.rotation));
        }
    }

    /// An axis of the joint. The form's factor `Σ|aᵢ|·sᵢ` is OpenSim's, which for an oblique axis is not 1 where all sᵢ are: `Model::scale` by 1 would
    /// stretch such a motion. Here it is divided by `Σ|aᵢ|`, so that an unscaled model moves as its file says.
    fn axis(&mut self, joint: &Joint<'_, '_>, axis: &Axis<'_, '_>, first: usize, parent: BodyId) -> Result<()> {
        let mut function = axis.function.clone();
        // A degree of freedom is a length in metres, not a part of the body; so is everything ground is the parent of.
        let mut scaled = !function.is_identity() && parent != GROUND;
        let coordinate = match axis.coordinate {
            Some(i) => match &self.coordinates[first + i].coupling {
                Some(coupling) => {
                    if axis.translates
                        && self.coordinates[first + i].motion == Motion::Translational
                        && parent != GROUND
                    {
                        let along_one = axis.axis.iter().filter(|v| v.abs() > 1e-12).count() == 1;
                        if !function.is_identity() || !along_one {
                            return Err(self.source.error(
                                joint.node,
                                format_args!(
                                    "the translation coordinate `{}` is coupled, and its axis is oblique or reversed",
                                    joint.coordinates[i].name
                                ),
                                "let it move along x, y or z with the function 1·q + 0",
                            ));
                        }
                        scaled = true;
                    }
                    function = compose(function, &coupling.function);
                    Some(coupling.independent)
                }
                None => Some(CoordinateId((first + i) as u32)),
            },
            None => None,
        };
        let coordinate = match coordinate {
            Some(c) if !matches!(function, Function::Constant(_)) => Some(c),
            _ => {
                let value = function.value(0.0);
                if value == 0.0 {
                    return Ok(());
                }
                function = Function::Constant(value);
                None
            }
        };
        self.operations.push(if axis.translates {
            let scaled_by = scaled.then_some(parent);
            if scaled {
                function = multiplied(&function, 1.0 / axis.axis.lp_norm(1));
            }
            Operation::TranslateAlong { axis: axis.axis, coordinate, function, scaled_by }
        } else {
            Operation::RotateAbout { axis: axis.axis, coordinate, function }
        });
        Ok(())
    }
}
