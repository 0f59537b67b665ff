//! What scaling changes of a model beyond its kinematics: masses, and what is fixed to bodies.
//!
//! As OpenSim's `Model::scale` (4.6) has it: mass properties of bodies; points of muscle paths and other stations; wrapping objects; offset frames
//! that no joint uses; the resting lengths of muscles and other paths. Contact geometry and the points of other forces it leaves alone.

use super::document::{ModelElements, socket};
use super::inertia::Inertial;
use super::joint::{Axis, body_fixed_xyz, follow};
use super::paths::{DefaultPoses, Paths, Scaled};
use super::write::{Edits, scale_number};
use crate::Result;
use crate::skeleton::generate::joined;
use crate::skeleton::xml::{Source, child, elements, text};
use crate::skeleton::{Function, Skeleton};
use nalgebra::Vector3;
use roxmltree::Node;
use std::collections::BTreeMap;

/// Whom a scaled model is of.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// Name of the scaled model.
    pub name: String,
    /// Mass of the whole model, kg; `None` leaves what scaling makes of it.
    pub mass: Option<f64>,
    /// Whether bodies keep their shares of the mass, instead of growing with their volume.
    pub preserve_mass_distribution: bool,
    /// Default poses, for lengths of muscles. `None`: the model is not scaled, and its masses and muscles stay as they are.
    pub poses: Option<DefaultPoses>,
}

/// Muscles and others whose lengths are scaled by the straight path.
const WRAPPED: &str = "lengths of paths that wrap (scaled as if they ran straight)";

/// Joints whose translations OpenSim multiplies by `Σ|aᵢ|·sᵢ`, which stretches an oblique motion even where all sᵢ are 1.
const OBLIQUE: &str = "joints that translate along oblique axes (scaled as their parents are in that direction, which OpenSim does otherwise)";

/// What is not exactly the subject's, by kind, with how many.
pub(super) type Left = BTreeMap<&'static str, usize>;

/// Scales all of it.
pub(super) fn scale<'a, 'i>(
    source: Source<'a, 'i>,
    edits: &mut Edits,
    model: &ModelElements<'a, 'i>,
    subject: &Subject,
    skeleton: &Skeleton,
    factors: &dyn Fn(&str) -> Vector3<f64>,
) -> Result<Left> {
    let mut left = Left::new();
    let Some(poses) = &subject.poses else { return Ok(left) };
    masses(source, edits, model, subject, factors, &mut left)?;
    for joint in &model.joints {
        let s = factors(joint.parent);
        let oblique = |axis: &Axis| {
            axis.translates && axis.node.is_some() && axis.axis.iter().filter(|a| a.abs() > 1e-12).count() > 1
        };
        let moves = |axis: &Axis| !axis.function.is_identity() && axis.function != Function::Constant(0.0);
        if s != Vector3::repeat(1.0) && joint.axes.iter().any(|axis| oblique(axis) && moves(axis)) {
            *left.entry(OBLIQUE).or_default() += 1;
        }
    }
    let body = |name: &str| {
        skeleton.body(name).map(|b| b.index()).filter(|b| *b < poses.generic.len().min(poses.scaled.len()))
    };
    let coordinate = |name: &str| skeleton.coordinate(name).map(|c| c.index()).filter(|c| *c < poses.q.len());
    let paths = Paths { source, model, body: &body, coordinate: &coordinate, factors, poses };
    for node in model.node.descendants().filter(Node::is_element) {
        let kind = node.tag_name().name();
        match kind {
            "PathPoint" | "ConditionalPathPoint" | "Station" | "MovingPathPoint" => {
                let Some(s) = of_frame(source, model, node, "parent_frame", factors) else {
                    *left.entry("points on frames that were not found (left as they are)").or_default() += 1;
                    continue;
                };
                vector(source, edits, node, "location", s)?;
                for (axis, tag) in ["x_location", "y_location", "z_location"].into_iter().enumerate() {
                    if let Some(function) = child(node, tag).and_then(|n| elements(n).next()) {
                        edits.multiplied(source, function, s[axis])?;
                    }
                }
            }
            "PhysicalOffsetFrame" => {
                let Some(s) = of_frame(source, model, node, "parent", factors) else {
                    *left.entry("offset frames on frames that were not found (left as they are)").or_default() += 1;
                    continue;
                };
                vector(source, edits, node, "translation", s)?;
                super::write::geometry(source, edits, node, s)?;
            }
            "WrapCylinder" | "WrapSphere" | "WrapEllipsoid" | "WrapTorus" => {
                let Some(body) = node.ancestors().find(|n| n.has_tag_name("Body")).and_then(|n| n.attribute("name"))
                else {
                    continue;
                };
                wrap(source, edits, node, factors(body))?;
            }
            "GeometryPath" => match paths.scale(edits, node)? {
                Scaled::Exactly => {}
                Scaled::Nearly => *left.entry(WRAPPED).or_default() += 1,
                Scaled::Not => {
                    *left.entry("lengths of paths that could not be measured (left as they are)").or_default() += 1
                }
            },
            "ContactSphere" | "ContactMesh" => *left.entry("contact geometry (left as it is)").or_default() += 1,
            _ => {}
        }
    }
    Ok(left)
}

/// The factors of the body that a frame hangs on.
fn of_frame<'a, 'i>(
    source: Source<'a, 'i>,
    model: &ModelElements<'a, 'i>,
    node: Node<'a, 'i>,
    name: &str,
    factors: &dyn Fn(&str) -> Vector3<f64>,
) -> Option<Vector3<f64>> {
    let path = socket(node, name).or_else(|| child(node, "body").map(text))?;
    follow(source, node, path, model.names.path_of(node), &model.names).ok().map(|(body, _)| factors(body))
}

/// Multiplies a vector, where there is one.
fn vector<'a, 'i>(
    source: Source<'a, 'i>,
    edits: &mut Edits,
    node: Node<'a, 'i>,
    tag: &str,
    s: Vector3<f64>,
) -> Result<()> {
    let Some(n) = child(node, tag).filter(|_| s != Vector3::repeat(1.0)) else { return Ok(()) };
    let old = source.numbers(n, text(n))?;
    if let [x, y, z] = *old.as_slice() {
        edits.content(n, joined(Vector3::new(x, y, z).component_mul(&s).as_slice()));
    }
    Ok(())
}

/// A wrapping object: its place by the body's factors, its size by how much these stretch its own axes.
fn wrap<'a, 'i>(source: Source<'a, 'i>, edits: &mut Edits, node: Node<'a, 'i>, s: Vector3<f64>) -> Result<()> {
    if s == Vector3::repeat(1.0) {
        return Ok(());
    }
    vector(source, edits, node, "translation", s)?;
    let turn = match child(node, "xyz_body_rotation") {
        Some(n) => body_fixed_xyz(source.vector(n, text(n))?),
        None => body_fixed_xyz(Vector3::zeros()),
    };
    let stretch = [0, 1, 2].map(|axis| turn.matrix().column(axis).component_mul(&s).norm());
    let across = 0.5 * (stretch[0] + stretch[1]);
    match node.tag_name().name() {
        "WrapCylinder" => {
            scale_number(source, edits, node, "radius", across)?;
            scale_number(source, edits, node, "length", stretch[2])?;
        }
        "WrapSphere" => scale_number(source, edits, node, "radius", s.mean())?,
        "WrapTorus" => {
            scale_number(source, edits, node, "inner_radius", across)?;
            scale_number(source, edits, node, "outer_radius", across)?;
        }
        _ => vector(source, edits, node, "dimensions", Vector3::from(stretch))?,
    }
    Ok(())
}

/// Names of the inertia's components in documents before 30500.
const COMPONENTS: [&str; 6] = ["inertia_xx", "inertia_yy", "inertia_zz", "inertia_xy", "inertia_xz", "inertia_yz"];

fn masses<'a, 'i>(
    source: Source<'a, 'i>,
    edits: &mut Edits,
    model: &ModelElements<'a, 'i>,
    subject: &Subject,
    factors: &dyn Fn(&str) -> Vector3<f64>,
    left: &mut Left,
) -> Result<()> {
    let mut made = Vec::new();
    for body in &model.bodies {
        match inertial(source, body.node)? {
            Some(old) => made.push((body.node, old.scaled(factors(body.name), !subject.preserve_mass_distribution))),
            None => *left.entry("bodies without mass, mass_center or inertia (left as they are)").or_default() += 1,
        }
    }
    let total: f64 = made.iter().map(|(_, body)| body.mass).sum();
    let density = subject.mass.filter(|_| total > 0.0).map_or(1.0, |mass| mass / total);
    for (node, body) in made {
        let body = body.denser(density);
        let mut put = |tag: &str, numbers: &[f64]| child(node, tag).map(|n| edits.content(n, joined(numbers)));
        put("mass", &[body.mass]);
        put("mass_center", body.center.as_slice());
        put("inertia", &body.inertia);
        for (tag, value) in COMPONENTS.iter().zip(body.inertia) {
            put(tag, &[value]);
        }
    }
    Ok(())
}

/// A body's mass properties, where its element has them all.
fn inertial<'a, 'i>(source: Source<'a, 'i>, body: Node<'a, 'i>) -> Result<Option<Inertial>> {
    let (Some(mass), Some(center)) = (child(body, "mass"), child(body, "mass_center")) else { return Ok(None) };
    let inertia = match child(body, "inertia") {
        Some(n) => source.numbers(n, text(n))?,
        None => {
            let parts = COMPONENTS.iter().filter_map(|tag| child(body, tag));
            parts.map(|n| source.number(n, text(n))).collect::<Result<_>>()?
        }
    };
    let Ok(inertia) = <[f64; 6]>::try_from(inertia) else { return Ok(None) };
    Ok(Some(Inertial { mass: source.number(mass, text(mass))?, center: source.vector(center, text(center))?, inertia }))
}
