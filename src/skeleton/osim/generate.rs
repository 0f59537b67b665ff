//! A new OpenSim document for a skeleton that has none: one CustomJoint per body.
//!
//! A CustomJoint displaces along up to three axes and then turns about up to three, between two fixed frames; a body whose steps are not
//! of that shape is refused.

use super::joint::COLLINEAR;
use crate::Result;
use crate::skeleton::generate::{Move, Pose, Step, inexact, inexact_coordinate, joined, steps};
use crate::skeleton::{Function, GROUND, ModelSource, Motion, Offsets, Scales, Skeleton, UpAxis};
use nalgebra::{Rotation3, Unit, Vector3};
use std::collections::HashSet;
use std::fmt::Write as _;

const FORMAT: &str = "OpenSim's .osim";

pub(super) fn write(skeleton: &Skeleton, scales: &Scales, offsets: &Offsets) -> Result<String> {
    let steps = steps(skeleton, scales, FORMAT)?;
    if !steps[0].is_empty() {
        return Err(inexact(skeleton, 0, FORMAT, "ground itself is displaced"));
    }
    distinct(skeleton, skeleton.bodies.iter().map(|b| b.name.as_str()))?;
    distinct(skeleton, skeleton.coordinates.iter().map(|c| c.name.as_str()))?;
    distinct(skeleton, skeleton.markers.iter().map(|m| m.name.as_str()))?;
    let mut joints = String::new();
    let mut couplers = String::new();
    let mut placed = HashSet::new();
    for (b, steps) in steps.iter().enumerate().skip(1) {
        joints.push_str(&joint(skeleton, b, steps, &mut placed)?);
    }
    for (i, c) in skeleton.coordinates.iter().enumerate() {
        if !placed.contains(&i) {
            return Err(inexact_coordinate(skeleton, i, FORMAT, "the coordinate moves no body"));
        }
        if let Some(coupling) = &c.coupling {
            let f = function(&coupling.function).ok_or_else(|| {
                inexact_coordinate(skeleton, i, FORMAT, "the function that couples it is none of OpenSim's")
            })?;
            let independent = &skeleton.coordinates[coupling.independent.index()].name;
            let _ = write!(
                couplers,
                "\n\t\t\t\t<CoordinateCouplerConstraint name=\"{}_coupler\"><isEnforced>true</isEnforced><coupled_coordinates_function>{f}</coupled_coordinates_function><independent_coordinate_names>{}</independent_coordinate_names><dependent_coordinate_name>{}</dependent_coordinate_name><scale_factor>1</scale_factor></CoordinateCouplerConstraint>",
                escaped(&c.name),
                escaped(independent),
                escaped(&c.name)
            );
        }
    }
    let bodies: String = skeleton
        .bodies
        .iter()
        .skip(1)
        .map(|b| {
            format!(
                "\n\t\t\t\t<Body name=\"{}\"><mass>1</mass><mass_center>0 0 0</mass_center><inertia>0.01 0.01 0.01 0 0 0</inertia></Body>",
                escaped(&b.name)
            )
        })
        .collect();
    let markers: String = skeleton
        .markers
        .iter()
        .zip(&offsets.0)
        .map(|(m, offset)| {
            let place = m.location.component_mul(&Vector3::from(scales.0[m.body.index()])) + offset;
            format!(
                "\n\t\t\t\t<Marker name=\"{}\"><socket_parent_frame>{}</socket_parent_frame><location>{}</location><fixed>{}</fixed></Marker>",
                escaped(&m.name),
                frame(skeleton, m.body.index()),
                joined(place.as_slice()),
                m.fixed
            )
        })
        .collect();
    let gravity = match skeleton.up {
        UpAxis::Y => "0 -9.80665 0",
        UpAxis::Z => "0 0 -9.80665",
    };
    Ok(format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n<OpenSimDocument Version=\"40000\">\n\t<!--Written by kinefit: exact in its kinematics. Masses and inertias are placeholders.-->\n\t<Model name=\"{}\">\n\t\t<gravity>{gravity}</gravity>\n\t\t<BodySet name=\"bodyset\">\n\t\t\t<objects>{bodies}\n\t\t\t</objects>\n\t\t</BodySet>\n\t\t<JointSet name=\"jointset\">\n\t\t\t<objects>{joints}\n\t\t\t</objects>\n\t\t</JointSet>\n\t\t<ConstraintSet name=\"constraintset\">\n\t\t\t<objects>{couplers}\n\t\t\t</objects>\n\t\t</ConstraintSet>\n\t\t<MarkerSet name=\"markerset\">\n\t\t\t<objects>{markers}\n\t\t\t</objects>\n\t\t</MarkerSet>\n\t</Model>\n</OpenSimDocument>\n",
        escaped(&skeleton.name)
    ))
}

fn frame(skeleton: &Skeleton, body: usize) -> String {
    if body == 0 { "/ground".into() } else { format!("/bodyset/{}", escaped(&skeleton.bodies[body].name)) }
}

/// A name as OpenSim accepts it, which allows no white space and none of `\\*+/`: `_` stands for each.
pub fn opensim_name(name: &str) -> String {
    let allowed = |c: char| if c.is_whitespace() || "\\*+/".contains(c) { '_' } else { c };
    name.chars().map(allowed).collect()
}

fn escaped(name: &str) -> String {
    crate::skeleton::generate::escaped(&opensim_name(name))
}

/// An error where two names become one in OpenSim's spelling.
fn distinct<'n>(skeleton: &Skeleton, names: impl Iterator<Item = &'n str>) -> Result<()> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(escaped(name)) {
            return Err(crate::Error::input(
                match &skeleton.source {
                    ModelSource::Osim { path, .. } | ModelSource::Mjcf { path, .. } => path.clone(),
                    ModelSource::None => format!("model `{}`", skeleton.name),
                },
                format_args!("it cannot be written as {FORMAT}: two names become `{}` there", opensim_name(name)),
                "rename one of them",
            ));
        }
    }
    Ok(())
}

/// A body's steps, sorted into what a CustomJoint has.
struct Shape<'s> {
    /// `parent_from_f`.
    before: Pose,
    translations: Vec<&'s Move>,
    rotations: Vec<&'s Move>,
    /// `m_from_body`.
    after: Pose,
}

fn shape<'s>(skeleton: &Skeleton, body: usize, steps: &'s [Step]) -> Result<Shape<'s>> {
    let refuse = |why: &str| Err(inexact(skeleton, body, FORMAT, why));
    let mut found =
        Shape { before: Pose::IDENTITY, translations: Vec::new(), rotations: Vec::new(), after: Pose::IDENTITY };
    for step in steps {
        match step {
            Step::Fixed(pose) => {
                if !found.rotations.is_empty() {
                    found.after = found.after.then(pose);
                } else if found.translations.is_empty() || pose.rotation == Rotation3::identity() {
                    // A fixed displacement and moving ones in one frame may change places.
                    found.before = found.before.then(pose);
                } else {
                    return refuse("a fixed turn stands between its translations and its rotations");
                }
            }
            Step::Move(m) if m.turns => {
                if found.after != Pose::IDENTITY {
                    return refuse("two of its rotations have different centres");
                }
                found.rotations.push(m);
            }
            Step::Move(m) => {
                if !found.rotations.is_empty() {
                    return refuse("a translation follows a rotation");
                }
                found.translations.push(m);
            }
        }
    }
    if found.rotations.len() > 3 || found.translations.len() > 3 {
        return refuse("it has more than three rotations or more than three translations");
    }
    Ok(found)
}

fn joint(skeleton: &Skeleton, body: usize, steps: &[Step], placed: &mut HashSet<usize>) -> Result<String> {
    let shape = shape(skeleton, body, steps)?;
    let child = shape.after.inverse();
    let frames = [("parent", skeleton.bodies[body].parent.index(), shape.before), ("child", body, child)].map(
        |(end, on, pose)| {
            format!(
                "<PhysicalOffsetFrame name=\"{end}_offset\"><socket_parent>{}</socket_parent><translation>{}</translation><orientation>{}</orientation></PhysicalOffsetFrame>",
                frame(skeleton, on),
                joined(pose.position.as_slice()),
                joined(&euler(&pose.rotation))
            )
        },
    );
    let name = escaped(&skeleton.bodies[body].name);
    let sockets =
        "<socket_parent_frame>parent_offset</socket_parent_frame><socket_child_frame>child_offset</socket_child_frame>";
    if shape.translations.is_empty() && shape.rotations.is_empty() {
        return Ok(format!(
            "\n\t\t\t\t<WeldJoint name=\"{name}_joint\">{sockets}<frames>{}{}</frames></WeldJoint>",
            frames[0], frames[1]
        ));
    }
    for m in &shape.translations {
        // Scaling such a one is scaling along an axis of the parent.
        let c = &skeleton.coordinates[m.coordinate.index()];
        let coupled = c.coupling.is_some() && c.motion == Motion::Translational;
        let along_one = m.axis.iter().filter(|v| v.abs() > 1e-12).count() == 1;
        if coupled && skeleton.bodies[body].parent != GROUND && !(along_one && m.function.is_identity()) {
            let why = "it follows another coordinate and slides, but not along x, y or z of its frame";
            return Err(inexact_coordinate(skeleton, m.coordinate.index(), FORMAT, why));
        }
    }
    let mut coordinates = String::new();
    for m in shape.translations.iter().chain(&shape.rotations) {
        let i = m.coordinate.index();
        if placed.insert(i) {
            coordinates.push_str(&coordinate(skeleton, i));
        }
    }
    let mut axes = String::new();
    for (kind, moves) in [("rotation", &shape.rotations), ("translation", &shape.translations)] {
        let given: Vec<Unit<Vector3<f64>>> = moves.iter().map(|m| m.axis).collect();
        let parallel = |i: usize| given[..i].iter().any(|first| first.cross(&given[i]).norm() < COLLINEAR);
        if (1..given.len()).any(parallel) {
            let why = format!("it has two {kind}s along one axis, and OpenSim opens no such joint");
            return Err(inexact(skeleton, body, FORMAT, &why));
        }
        for (k, axis) in completed(&given).into_iter().enumerate() {
            let (name, f) = match moves.get(k) {
                Some(m) => {
                    let f = function(&m.function).ok_or_else(|| {
                        inexact(skeleton, body, FORMAT, "its function is a composition OpenSim does not have")
                    })?;
                    (escaped(&skeleton.coordinates[m.coordinate.index()].name), f)
                }
                None => (String::new(), "<Constant><value>0</value></Constant>".into()),
            };
            let _ = write!(
                axes,
                "<TransformAxis name=\"{kind}{}\"><coordinates>{name}</coordinates><axis>{}</axis><function>{f}</function></TransformAxis>",
                k + 1,
                joined(axis.as_slice())
            );
        }
    }
    Ok(format!(
        "\n\t\t\t\t<CustomJoint name=\"{name}_joint\">{sockets}<coordinates>{coordinates}</coordinates><frames>{}{}</frames><SpatialTransform>{axes}</SpatialTransform></CustomJoint>",
        frames[0], frames[1]
    ))
}

/// Three axes, the given ones first, the others at right angles: OpenSim wants three that differ.
fn completed(given: &[Unit<Vector3<f64>>]) -> Vec<Unit<Vector3<f64>>> {
    let mut axes = given.to_vec();
    while axes.len() < 3 {
        let candidates = [Vector3::x_axis(), Vector3::y_axis(), Vector3::z_axis()];
        let new = match axes.as_slice() {
            [a, b] => Unit::try_new(a.cross(b), 1e-6),
            _ => None,
        };
        let far = |c: &Unit<Vector3<f64>>| axes.iter().map(|a| a.dot(c).abs()).fold(0.0, f64::max);
        let fallback = candidates.into_iter().min_by(|a, b| far(a).total_cmp(&far(b)));
        axes.push(new.or(fallback).unwrap_or_else(Vector3::x_axis));
    }
    axes
}

fn coordinate(skeleton: &Skeleton, i: usize) -> String {
    let c = &skeleton.coordinates[i];
    let range = c.range.unwrap_or(match c.motion {
        Motion::Rotational => [-100.0, 100.0],
        Motion::Translational | Motion::Coupled => [-1000.0, 1000.0],
    });
    // OpenSim opens no model where a clamped coordinate's default lies outside its range.
    let reached = c.range.is_some_and(|[low, high]| low <= c.default && c.default <= high);
    format!(
        "<Coordinate name=\"{}\"><default_value>{}</default_value><range>{}</range><clamped>{}</clamped><locked>{}</locked></Coordinate>",
        escaped(&c.name),
        c.default,
        joined(&range),
        c.clamped && reached,
        c.locked
    )
}

/// A function's element, `None` for compositions that are no polynomials.
fn function(f: &Function) -> Option<String> {
    let points = |tag: &str, x: &[f64], y: &[f64]| format!("<{tag}><x>{}</x><y>{}</y></{tag}>", joined(x), joined(y));
    Some(match f {
        Function::Constant(value) => format!("<Constant><value>{value}</value></Constant>"),
        Function::Linear { slope, intercept } => {
            format!("<LinearFunction><coefficients>{slope} {intercept}</coefficients></LinearFunction>")
        }
        Function::PiecewiseLinear { x, y } => points("PiecewiseLinearFunction", x, y),
        Function::SimmSpline { x, y, .. } => points("SimmSpline", x, y),
        Function::Multiple { factor, inner } => format!(
            "<MultiplierFunction><function>{}</function><scale>{factor}</scale></MultiplierFunction>",
            function(inner)?
        ),
        Function::Polynomial(_) | Function::Composite { .. } => {
            format!(
                "<PolynomialFunction><coefficients>{}</coefficients></PolynomialFunction>",
                joined(&f.as_polynomial()?)
            )
        }
    })
}

/// Body-fixed x-y-z angles.
fn euler(rotation: &Rotation3<f64>) -> [f64; 3] {
    let rotor = crate::skeleton::Rotor {
        coordinates: [crate::skeleton::CoordinateId(0); 3],
        axes: [Vector3::x_axis(), Vector3::y_axis(), Vector3::z_axis()],
    };
    rotor.angles_from_rotation(rotation, [0.0; 3]).0
}
