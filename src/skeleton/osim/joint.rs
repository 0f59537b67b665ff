//! Joints: their frames, coordinates and the axes their bodies move by.

use super::document::{FrameNames, socket};
use super::function;
use crate::Result;
use crate::skeleton::xml::{Source, child, elements, flag, shortened, text};
use crate::skeleton::{Function, Motion};
use nalgebra::{Rotation3, Unit, Vector3};
use roxmltree::Node;

/// How far beyond its range OpenSim takes the default value of a clamped coordinate: `√ε` of double precision.
const CLAMP_ROOM: f64 = 1.490_116_119_384_765_6e-8;

/// The sine of the angle below which OpenSim calls two axes collinear.
pub(super) const COLLINEAR: f64 = 1e-5;

/// A joint between two bodies.
pub(super) struct Joint<'a, 'i> {
    pub name: &'a str,
    pub node: Node<'a, 'i>,
    pub parent: &'a str,
    pub child: &'a str,
    /// From the parent body to F, outermost first.
    pub parent_offsets: Vec<Offset<'a, 'i>>,
    /// From the child body to M, outermost first.
    pub child_offsets: Vec<Offset<'a, 'i>>,
    pub coordinates: Vec<CoordinateElement<'a, 'i>>,
    /// Translations in F, then rotations from F to M.
    pub axes: Vec<Axis<'a, 'i>>,
    /// Whether its three rotations are one ball: they have no order of their own.
    pub ball: bool,
}

/// A fixed displacement and turn: `X = (rotation, translation)`.
pub(super) struct Offset<'a, 'i> {
    pub translation: Vector3<f64>,
    pub rotation: Rotation3<f64>,
    /// The element that holds the translation, where there is one.
    pub node: Option<Node<'a, 'i>>,
}

/// One of a joint's axes.
pub(super) struct Axis<'a, 'i> {
    pub translates: bool,
    pub axis: Unit<Vector3<f64>>,
    /// Index in the joint's coordinates.
    pub coordinate: Option<usize>,
    pub function: Function,
    /// The function's element, for a CustomJoint.
    pub node: Option<Node<'a, 'i>>,
}

/// A coordinate as its file has it.
pub(super) struct CoordinateElement<'a, 'i> {
    pub name: &'a str,
    pub node: Node<'a, 'i>,
    pub motion: Motion,
    pub default: f64,
    pub range: Option<[f64; 2]>,
    /// A range that tells nothing of a body.
    pub placeholder: Option<[f64; 2]>,
    pub clamped: bool,
    pub locked: bool,
}

/// A joint of a `JointSet`, its frames named by sockets.
pub(super) fn read<'a, 'i>(
    source: Source<'a, 'i>,
    node: Node<'a, 'i>,
    names: &FrameNames<'a, 'i>,
) -> Result<Joint<'a, 'i>> {
    let end = |which: &str| {
        let socket = socket(node, which).ok_or_else(|| {
            source.error(node, format_args!("<socket_{which}> is missing"), "name the frame the joint connects")
        })?;
        follow(source, node, socket, &format!("/jointset/{}", source.name(node)?), names)
    };
    let (parent, parent_offsets) = end("parent_frame")?;
    let (child_body, child_offsets) = end("child_frame")?;
    let coordinates = child(node, "coordinates").into_iter().flat_map(elements);
    finish(source, node, Ends { parent, child: child_body, parent_offsets, child_offsets }, coordinates.collect())
}

/// A joint inside the body it moves, as files before 30500 have it; their numbers OpenSim rounds to six digits as it
/// converts them, and so does this.
pub(super) fn read_nested<'a, 'i>(source: Source<'a, 'i>, node: Node<'a, 'i>, body: &'a str) -> Result<Joint<'a, 'i>> {
    let parent = text(source.need(node, "parent_body")?);
    let offset = |location: &str, orientation: &str| -> Result<Offset<'a, 'i>> {
        let read = |tag: &str| -> Result<Vector3<f64>> {
            let v = child(node, tag).map_or(Ok(Vector3::zeros()), |n| source.vector(n, text(n)))?;
            Ok(v.map(six_digits))
        };
        Ok(Offset {
            translation: read(location)?,
            rotation: body_fixed_xyz(read(orientation)?),
            node: child(node, location),
        })
    };
    let parent_offsets = vec![offset("location_in_parent", "orientation_in_parent")?];
    let child_offsets = vec![offset("location", "orientation")?];
    let set = child(node, "CoordinateSet").and_then(|n| child(n, "objects"));
    let coordinates = set.into_iter().flat_map(elements).collect();
    finish(source, node, Ends { parent, child: body, parent_offsets, child_offsets }, coordinates)
}

/// Whether it translates, along or about what, by which coordinate of the joint.
type SimpleAxis = (bool, Unit<Vector3<f64>>, usize);

struct Ends<'a, 'i> {
    parent: &'a str,
    child: &'a str,
    parent_offsets: Vec<Offset<'a, 'i>>,
    child_offsets: Vec<Offset<'a, 'i>>,
}

fn finish<'a, 'i>(
    source: Source<'a, 'i>,
    node: Node<'a, 'i>,
    ends: Ends<'a, 'i>,
    coordinates: Vec<Node<'a, 'i>>,
) -> Result<Joint<'a, 'i>> {
    use Motion::{Rotational, Translational};
    if flag(source, node, "reverse", false)? {
        return Err(source.error(
            node,
            "the joint is reversed (child to parent), which is not understood",
            "open and save the model in OpenSim 4",
        ));
    }
    let name = source.name(node)?;
    let mut coordinates =
        coordinates.into_iter().map(|n| read_coordinate(source, n)).collect::<Result<Vec<CoordinateElement>>>()?;
    let (x, y, z) = (Vector3::x_axis(), Vector3::y_axis(), Vector3::z_axis());
    // For the simple joints: (translates, axis, coordinate), translations first, and what the coordinates measure.
    let fixed: (&[SimpleAxis], &[Motion]) = match node.tag_name().name() {
        "CustomJoint" => {
            let mut axes = custom_axes(source, node, &mut coordinates)?;
            order_by_use(&mut coordinates, &mut axes);
            return Ok(joint(name, node, ends, coordinates, axes, false));
        }
        "WeldJoint" => (&[], &[]),
        "PinJoint" => (&[(false, z, 0)], &[Rotational]),
        "SliderJoint" => (&[(true, x, 0)], &[Translational]),
        "UniversalJoint" => (&[(false, x, 0), (false, y, 1)], &[Rotational; 2]),
        "BallJoint" | "GimbalJoint" => (&[(false, x, 0), (false, y, 1), (false, z, 2)], &[Rotational; 3]),
        "PlanarJoint" => (&[(true, x, 1), (true, y, 2), (false, z, 0)], &[Rotational, Translational, Translational]),
        "FreeJoint" => (
            &[(true, x, 3), (true, y, 4), (true, z, 5), (false, x, 0), (false, y, 1), (false, z, 2)],
            &[Rotational, Rotational, Rotational, Translational, Translational, Translational],
        ),
        other => {
            return Err(source.error(
                node,
                format_args!("joints of the kind {other} are not understood"),
                "kinefit understands Custom, Pin, Weld, Universal, Slider, Ball, Gimbal, Planar and Free joints",
            ));
        }
    };
    let (axes, motions) = fixed;
    if coordinates.len() != motions.len() {
        return Err(source.error(
            node,
            format_args!("a {} has {} coordinates; {} found", node.tag_name().name(), motions.len(), coordinates.len()),
            "open and save the model in OpenSim 4",
        ));
    }
    for (coordinate, motion) in coordinates.iter_mut().zip(motions) {
        coordinate.motion = *motion;
        coordinate.judge_range();
    }
    let axes = axes
        .iter()
        .map(|&(translates, axis, i)| Axis {
            translates,
            axis,
            coordinate: Some(i),
            function: Function::IDENTITY,
            node: None,
        })
        .collect();
    let ball = matches!(node.tag_name().name(), "BallJoint" | "GimbalJoint" | "FreeJoint");
    Ok(joint(name, node, ends, coordinates, axes, ball))
}

fn joint<'a, 'i>(
    name: &'a str,
    node: Node<'a, 'i>,
    ends: Ends<'a, 'i>,
    coordinates: Vec<CoordinateElement<'a, 'i>>,
    axes: Vec<Axis<'a, 'i>>,
    ball: bool,
) -> Joint<'a, 'i> {
    let Ends { parent, child, parent_offsets, child_offsets } = ends;
    Joint { name, node, parent, child, parent_offsets, child_offsets, coordinates, axes, ball }
}

/// The body that a path leads to from the component at `owner`, with the offset frames passed on the way, outermost (next to the body) first.
pub(super) fn follow<'a, 'i>(
    source: Source<'a, 'i>,
    node: Node<'a, 'i>,
    path: &'a str,
    owner: &str,
    names: &FrameNames<'a, 'i>,
) -> Result<(&'a str, Vec<Offset<'a, 'i>>)> {
    let mut found = Vec::new();
    let (mut path, mut owner) = (path, owner.to_owned());
    loop {
        let Some(frame) = names.frame(path, &owner) else {
            let body = names.body_from(path, &owner).ok_or_else(|| names.unknown(source, node, path))?;
            found.reverse();
            return Ok((body, found));
        };
        if !frame.has_tag_name("PhysicalOffsetFrame") {
            return Err(source.error(
                frame,
                format_args!("<{}> is not a kind of frame that is understood", frame.tag_name().name()),
                "use <PhysicalOffsetFrame>",
            ));
        }
        if found.len() > 20 {
            return Err(source.error(frame, "offset frames hang on each other in a circle", "let one refer to a body"));
        }
        let vector = |tag: &str| child(frame, tag).map_or(Ok(Vector3::zeros()), |n| source.vector(n, text(n)));
        found.push(Offset {
            translation: vector("translation")?,
            rotation: body_fixed_xyz(vector("orientation")?),
            node: child(frame, "translation"),
        });
        path = socket(frame, "parent")
            .ok_or_else(|| source.error(frame, "<socket_parent> is missing", "name the body this frame is fixed to"))?;
        owner = names.path_of(frame).to_owned();
    }
}

/// The axes of a CustomJoint. Sets what its coordinates measure: OpenSim calls a coordinate rotational or translational where the first axis it drives is that
/// kind and follows it at its own rate (slope 1 or −1), else coupled.
fn custom_axes<'a, 'i>(
    source: Source<'a, 'i>,
    node: Node<'a, 'i>,
    coordinates: &mut [CoordinateElement<'a, 'i>],
) -> Result<Vec<Axis<'a, 'i>>> {
    let transform = child(node, "SpatialTransform");
    let mut axes: Vec<Axis> = Vec::with_capacity(6);
    let slots = named_axes(source, transform)?;
    let mut used: Vec<Option<Motion>> = vec![None; coordinates.len()];
    for (i, element) in slots.into_iter().enumerate() {
        let Some(element) = element else { continue };
        let axis_node = source.need(element, "axis")?;
        let axis = Unit::try_new(source.vector(axis_node, text(axis_node))?, 1e-9)
            .ok_or_else(|| source.error(axis_node, "the axis has no direction", "give it one that is not 0 0 0"))?;
        let mut names = child(element, "coordinates").map_or("", text).split_whitespace();
        let coordinate = match (names.next(), names.next()) {
            (None, _) => None,
            (Some(name), None) => Some(coordinates.iter().position(|c| c.name == name).ok_or_else(|| {
                source.error(
                    element,
                    format_args!("the axis follows `{}`, which is no coordinate of its joint", shortened(name)),
                    format_args!(
                        "correct the name; {}",
                        crate::skeleton::xml::nearest(name, coordinates.iter().map(|c| c.name))
                    ),
                )
            })?),
            _ => return Err(source.error(element, "the axis follows more than one coordinate", "one is understood")),
        };
        let mut functions = elements(element).filter(|n| !n.has_tag_name("axis") && !n.has_tag_name("coordinates"));
        let function_node = match functions.next() {
            Some(n) if n.has_tag_name("function") => function::inside(source, n)?,
            other => other,
        };
        if let Some(second) = functions.next() {
            return Err(source.error(second, "a second function stands beside the first", "leave one"));
        }
        let function = function_node.map_or(Ok(Function::Constant(0.0)), |n| function::read(source, n))?;
        let translates = i >= 3;
        if let Some(c) = coordinate {
            let plain = matches!(function, Function::Linear { slope, .. } if slope.abs() == 1.0);
            used[c].get_or_insert(match (plain, translates) {
                (false, _) => Motion::Coupled,
                (true, false) => Motion::Rotational,
                (true, true) => Motion::Translational,
            });
        }
        axes.push(Axis { translates, axis, coordinate, function, node: function_node });
    }
    for (coordinate, used) in coordinates.iter_mut().zip(used) {
        coordinate.motion = used.unwrap_or(coordinate.motion);
        coordinate.judge_range();
    }
    check_directions(source, &slots, &axes)?;
    // Translations happen in F, before the rotations.
    axes.sort_by_key(|a| !a.translates);
    Ok(axes)
}

/// Refuses two rotations, or two translations, along one line: OpenSim opens no such joint.
fn check_directions(source: Source<'_, '_>, slots: &[Option<Node<'_, '_>>; 6], axes: &[Axis<'_, '_>]) -> Result<()> {
    let elements: Vec<_> = slots.iter().flatten().collect();
    for (i, second) in axes.iter().enumerate() {
        let parallel = |first: &&Axis<'_, '_>| {
            first.translates == second.translates && first.axis.cross(&second.axis).norm() < COLLINEAR
        };
        if axes[..i].iter().any(|first| parallel(&first)) {
            let what = if second.translates { "translation" } else { "rotation" };
            return Err(source.error(
                *elements[i],
                format_args!("its axis lies along that of another {what} of the joint"),
                "give the joint three directions, those of axes that do nothing too; OpenSim does not open such a model",
            ));
        }
    }
    Ok(())
}

/// The elements of the six axes: OpenSim finds them by name, in whatever order they stand; those without a name take the places left.
fn named_axes<'a, 'i>(source: Source<'a, 'i>, transform: Option<Node<'a, 'i>>) -> Result<[Option<Node<'a, 'i>>; 6]> {
    const NAMES: [&str; 6] = ["rotation1", "rotation2", "rotation3", "translation1", "translation2", "translation3"];
    let mut slots = [None; 6];
    let (named, nameless): (Vec<_>, Vec<_>) = transform
        .into_iter()
        .flat_map(elements)
        .partition(|n| n.attribute("name").is_some_and(|name| !name.is_empty()));
    for element in named {
        let name = element.attribute("name").unwrap_or_default();
        let Some(i) = NAMES.iter().position(|known| *known == name) else {
            return Err(source.error(
                element,
                "an axis of a joint has another name",
                format_args!("call them {}", NAMES.join(", ")),
            ));
        };
        if slots[i].replace(element).is_some() {
            return Err(source.error(element, "a second axis of the joint has this name", "leave one"));
        }
    }
    for element in nameless {
        let Some(slot) = slots.iter_mut().find(|slot| slot.is_none()) else {
            return Err(source.error(element, "a joint has six axes, and this is one more", "remove it"));
        };
        *slot = Some(element);
    }
    Ok(slots)
}

/// OpenSim lists a CustomJoint's coordinates in the order its axes name them, rotations first, whatever their order in the file.
fn order_by_use(coordinates: &mut Vec<CoordinateElement<'_, '_>>, axes: &mut [Axis<'_, '_>]) {
    let rotations_first = axes.iter().filter(|a| !a.translates).chain(axes.iter().filter(|a| a.translates));
    let used: Vec<usize> = rotations_first.filter_map(|a| a.coordinate).collect();
    let mut order: Vec<usize> = (0..coordinates.len()).collect();
    order.sort_by_key(|&i| used.iter().position(|&u| u == i).unwrap_or(usize::MAX));
    for axis in axes {
        axis.coordinate = axis.coordinate.and_then(|c| order.iter().position(|&i| i == c));
    }
    let mut taken: Vec<Option<CoordinateElement>> = coordinates.drain(..).map(Some).collect();
    coordinates.extend(order.into_iter().filter_map(|i| taken[i].take()));
}

fn read_coordinate<'a, 'i>(source: Source<'a, 'i>, node: Node<'a, 'i>) -> Result<CoordinateElement<'a, 'i>> {
    let name = source.name(node)?;
    let default = child(node, "default_value").map_or(Ok(0.0), |n| source.number(n, text(n)))?;
    let range = match child(node, "range") {
        Some(n) => {
            // Infinite limits are written by some tools: they are none.
            let words = text(n)
                .split_whitespace()
                .map(|w| {
                    w.parse::<f64>().map_err(|_| {
                        source.error(n, format_args!("`{}` is not a number", shortened(w)), "correct the number")
                    })
                })
                .collect::<Result<Vec<f64>>>()?;
            match words.as_slice() {
                [a, b] if a.is_nan() || b.is_nan() || a > b => {
                    return Err(source.error(
                        n,
                        format_args!("{a} to {b} is not a range"),
                        "write the lower limit first",
                    ));
                }
                [a, b] => Some([*a, *b]),
                _ => return Err(source.error(n, "two numbers are expected", "write the lower and the upper limit")),
            }
        }
        None => None,
    };
    let clamped = flag(source, node, "clamped", false)?;
    if let Some([a, b]) = range.filter(|[a, b]| clamped && !(a - CLAMP_ROOM < default && default < b + CLAMP_ROOM)) {
        return Err(source.error(
            node,
            format_args!("its default value {default} lies outside its range, {a} to {b}, and it is clamped to that"),
            "correct <default_value> or <range>, or set <clamped> to false; OpenSim does not open such a model",
        ));
    }
    Ok(CoordinateElement {
        name,
        node,
        motion: Motion::Rotational,
        default,
        range,
        placeholder: None,
        clamped,
        locked: flag(source, node, "locked", false)?,
    })
}

impl CoordinateElement<'_, '_> {
    /// Sets a range aside that tells nothing of a body, once it is known what the coordinate measures.
    fn judge_range(&mut self) {
        if let Some(range) = self.range.filter(|r| !is_limit(*r, self.motion)) {
            (self.range, self.placeholder) = (None, Some(range));
        }
    }
}

/// Whether a range says anything about a body: rotations of more than two turns and translations of more than 4 m are only placeholders, and so
/// is a range of no width (a lock says that).
fn is_limit([low, high]: [f64; 2], motion: Motion) -> bool {
    let width = high - low;
    let widest = match motion {
        Motion::Rotational => 4.0 * std::f64::consts::PI,
        Motion::Translational => 4.0,
        Motion::Coupled => 100.0,
    };
    width > 0.0 && width <= widest && low.is_finite() && high.is_finite()
}

/// `Rx(a)·Ry(b)·Rz(c)`.
pub(super) fn body_fixed_xyz(angles: Vector3<f64>) -> Rotation3<f64> {
    Rotation3::from_axis_angle(&Vector3::x_axis(), angles.x)
        * Rotation3::from_axis_angle(&Vector3::y_axis(), angles.y)
        * Rotation3::from_axis_angle(&Vector3::z_axis(), angles.z)
}

/// What `printf("%.6g")` and back makes of a number.
fn six_digits(v: f64) -> f64 {
    format!("{v:.5e}").parse().unwrap_or(v)
}
