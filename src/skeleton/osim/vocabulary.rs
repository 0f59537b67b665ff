//! The elements OpenSim knows in what has a meaning for kinematics: anything else there is refused by name.
//!
//! OpenSim passes over an element it does not know without a word, and the property keeps its default: a misspelt `<default_value>` is zero. Here it
//! is an error. The names are those OpenSim 4.6 lists for its classes, and those its converters of older documents look for. What has no
//! meaning for kinematics (forces, geometry, wrapping, controllers) is not looked into.

use super::document::last_part;
use crate::Result;
use crate::skeleton::xml::{Source, child, elements, flag, nearest, shortened};
use roxmltree::Node;

/// Documents of this version and later say how bodies are joined by sockets and frames; in between came betas that mix both.
const FRAMES_SINCE: u32 = 30500;
/// From this version on OpenSim 4.6 no longer reads this element of older documents: nested joints and `isDisabled` as tried version by version, the `body` of markers as the format says.
fn old_until(tag: &str) -> u32 {
    match tag {
        "Joint" | "parent_body" | "location_in_parent" | "orientation_in_parent" | "location" | "orientation" => 30500,
        "body" => 30505,
        "isDisabled" => 30509,
        _ => 40000,
    }
}

/// What the elements of one class may hold.
struct Class {
    /// In every document.
    always: &'static [&'static str],
    /// In documents before 4.0 only, where it has a meaning for kinematics.
    old: &'static [&'static str],
    /// In documents since 3.5 only.
    new: &'static [&'static str],
}

/// What of a model is read once; credits and the like people have written twice.
const READ_OF_MODEL: &[&str] = &["BodySet", "JointSet", "ConstraintSet", "MarkerSet", "Ground", "ground"];

/// Kinds of joints that are read.
const JOINTS: &[&str] = &[
    "CustomJoint",
    "PinJoint",
    "WeldJoint",
    "BallJoint",
    "GimbalJoint",
    "FreeJoint",
    "PlanarJoint",
    "SliderJoint",
    "UniversalJoint",
];

/// Other classes with a meaning for kinematics, whose properties OpenSim would take from a model's `<defaults>`.
const KINEMATIC: &[&str] = &[
    "Coordinate",
    "PhysicalOffsetFrame",
    "SpatialTransform",
    "TransformAxis",
    "Marker",
    "CoordinateCouplerConstraint",
    "Constant",
    "LinearFunction",
    "PolynomialFunction",
    "MultiplierFunction",
    "PiecewiseLinearFunction",
    "SimmSpline",
    "NaturalCubicSpline",
];

/// Properties of everything in a model since 3.5.
const COMPONENT: &[&str] = &["components", "connectors"];

const MODEL: Class = Class {
    always: &[
        "BodySet",
        "ConstraintSet",
        "MarkerSet",
        "ForceSet",
        "ContactGeometrySet",
        "ControllerSet",
        "ComponentSet",
        "ProbeSet",
        "FrameSet",
        "MiscModelComponentSet",
        "ModelComponentSet",
        "assembly_accuracy",
        "gravity",
        "credits",
        "publications",
        "length_units",
        "force_units",
        "defaults",
        "VisibleObject",
        "ModelVisualPreferences",
        "ModelVisualizer",
    ],
    old: &[],
    new: &["JointSet", "Ground", "ground"],
};
const SET: Class = Class { always: &["objects", "groups"], old: &[], new: COMPONENT };
const BODY: Class = Class {
    always: &[
        "mass",
        "mass_center",
        "inertia",
        "inertia_xx",
        "inertia_yy",
        "inertia_zz",
        "inertia_xy",
        "inertia_xz",
        "inertia_yz",
        "VisibleObject",
        "WrapObjectSet",
        "attached_geometry",
        "frame_geometry",
        "FrameGeometry",
        "geometry",
        "GeometrySet",
        "Appearance",
        "display_preference",
    ],
    old: &["Joint"],
    new: &["frames"],
};
const JOINT: Class = Class {
    always: &["reverse", "VisibleObject"],
    old: &["CoordinateSet", "parent_body", "location_in_parent", "orientation_in_parent", "location", "orientation"],
    new: &[
        "coordinates",
        "frames",
        "socket_parent_frame",
        "socket_child_frame",
        "socket_parent_frame_connectee_name",
        "socket_child_frame_connectee_name",
    ],
};
const FRAME: Class = Class {
    always: &[
        "translation",
        "orientation",
        "attached_geometry",
        "frame_geometry",
        "FrameGeometry",
        "WrapObjectSet",
        "geometry",
        "Appearance",
    ],
    old: &[],
    new: &["socket_parent", "socket_parent_connectee_name"],
};
const COORDINATE: Class = Class {
    always: &[
        "motion_type",
        "default_value",
        "default_speed_value",
        "initial_value",
        "initial_speed_value",
        "range",
        "clamped",
        "locked",
        "prescribed",
        "prescribed_function",
        "is_free_to_satisfy_constraints",
        "stiffness",
        "tolerance",
        "keys",
        "restraint_function",
        "min_restraint_function",
        "max_restraint_function",
        "restraint_active",
    ],
    old: &[],
    new: &[],
};
const TRANSFORM: Class = Class { always: &["TransformAxis"], old: &[], new: &[] };
const LINE: Class = Class { always: &["coefficients"], old: &[], new: &[] };
const CURVE: Class = Class { always: &["x", "y"], old: &[], new: &[] };
const CONSTANT: Class = Class { always: &["value"], old: &[], new: &[] };
const MARKER: Class = Class {
    always: &["location", "fixed", "VisibleObject"],
    old: &["body"],
    new: &["socket_parent_frame", "socket_parent_frame_connectee_name"],
};
const COUPLER: Class = Class {
    always: &[
        "coupled_coordinates_function",
        "independent_coordinate_names",
        "dependent_coordinate_name",
        "scale_factor",
        "isEnforced",
    ],
    old: &["isDisabled"],
    new: &[],
};

/// A document and its version.
pub(super) struct Vocabulary<'a, 'i> {
    pub source: Source<'a, 'i>,
    pub version: u32,
}

impl<'a, 'i> Vocabulary<'a, 'i> {
    /// Everything of a `<Model>` that has a meaning for kinematics.
    ///
    /// # Errors
    /// At the first element or attribute that is not understood there.
    pub fn check_model(&self, model: Node<'a, 'i>) -> Result<()> {
        self.check(model, &MODEL, false)?;
        self.once(model, READ_OF_MODEL)?;
        for node in elements(model) {
            match node.tag_name().name() {
                "BodySet" => self.set(node, |body| self.body(body))?,
                "JointSet" => self.set(node, |joint| self.joint(joint))?,
                "ConstraintSet" => self.set(node, |constraint| self.constraint(constraint))?,
                "MarkerSet" => self.check_markers(node)?,
                "Ground" | "ground" => self.body(node)?,
                "defaults" => self.defaults(node)?,
                "components" | "ComponentSet" | "FrameSet" => {
                    self.components(child(node, "objects").unwrap_or(node))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What elements are where they leave something out: of muscles and the like it may be anything.
    fn defaults(&self, defaults: Node<'a, 'i>) -> Result<()> {
        let kinematic = |n: &Node| is_one_of(*n, JOINTS) || is_one_of(*n, KINEMATIC);
        match elements(defaults).find(|n| kinematic(n) && elements(*n).next().is_some()) {
            Some(node) => Err(self.source.error(
                node,
                format_args!("defaults of <{}>s are not understood", name_of(node)),
                "open and save the model in OpenSim 4, which writes them out, and remove them here",
            )),
            None => Ok(()),
        }
    }

    /// A `<MarkerSet>`.
    pub fn check_markers(&self, set: Node<'a, 'i>) -> Result<()> {
        self.set(set, |marker| {
            if !marker.has_tag_name("Marker") {
                return Err(self.source.error(
                    marker,
                    format_args!("<{}> is not understood in a <MarkerSet>", name_of(marker)),
                    "a set of markers has <objects>, and in them <Marker>s",
                ));
            }
            self.check(marker, &MARKER, true)
        })
    }

    /// The elements of a set, and the set itself.
    fn set(&self, set: Node<'a, 'i>, each: impl Fn(Node<'a, 'i>) -> Result<()>) -> Result<()> {
        self.check(set, &SET, true)?;
        child(set, "objects").into_iter().flat_map(elements).try_for_each(each)
    }

    fn body(&self, body: Node<'a, 'i>) -> Result<()> {
        self.check(body, &BODY, true)?;
        for node in elements(body) {
            match node.tag_name().name() {
                "Joint" => elements(node).try_for_each(|joint| self.joint(joint))?,
                "components" | "frames" => self.components(node)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn joint(&self, joint: Node<'a, 'i>) -> Result<()> {
        // The reader of joints names those of kinds that are not understood.
        if !is_one_of(joint, JOINTS) {
            return Ok(());
        }
        let custom = joint.has_tag_name("CustomJoint");
        self.check_but(joint, &JOINT, true, |n| custom && n.has_tag_name("SpatialTransform"))?;
        for node in elements(joint) {
            match node.tag_name().name() {
                "coordinates" => elements(node).try_for_each(|c| self.coordinate(c))?,
                "CoordinateSet" => self.set(node, |c| self.coordinate(c))?,
                "frames" | "components" => self.components(node)?,
                "SpatialTransform" => {
                    self.check(node, &TRANSFORM, false)?;
                    elements(node).try_for_each(|axis| self.axis(axis))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn coordinate(&self, coordinate: Node<'a, 'i>) -> Result<()> {
        if !coordinate.has_tag_name("Coordinate") {
            return Err(self.source.error(
                coordinate,
                format_args!("<{}> is not understood among the coordinates of a joint", name_of(coordinate)),
                "use <Coordinate>",
            ));
        }
        self.check(coordinate, &COORDINATE, true)?;
        if flag(self.source, coordinate, "prescribed", false)? {
            return Err(self.source.error(
                coordinate,
                "the coordinate is prescribed, a function of time, which is not understood",
                "set its <prescribed> to false; lock it, if it should keep its default value",
            ));
        }
        Ok(())
    }

    fn axis(&self, axis: Node<'a, 'i>) -> Result<()> {
        self.attributes(axis)?;
        // Whatever is neither the axis nor the names of coordinates is its function, bare or in an element of its own.
        for node in elements(axis) {
            match node.tag_name().name() {
                "axis" | "coordinates" => {}
                "function" => self.functions(node)?,
                _ => self.function(node)?,
            }
        }
        self.once(axis, &["axis", "coordinates", "function"])
    }

    /// The function inside a property.
    fn functions(&self, property: Node<'a, 'i>) -> Result<()> {
        elements(property).try_for_each(|f| self.function(f))
    }

    fn function(&self, function: Node<'a, 'i>) -> Result<()> {
        match function.tag_name().name() {
            "Constant" => self.check(function, &CONSTANT, true),
            "LinearFunction" | "PolynomialFunction" => self.check(function, &LINE, true),
            "PiecewiseLinearFunction" | "SimmSpline" | "NaturalCubicSpline" | "natCubicSpline" => {
                self.check(function, &CURVE, true)
            }
            "MultiplierFunction" => {
                self.attributes(function)?;
                self.once(function, &["scale", "function"])?;
                elements(function)
                    .filter(|n| !n.has_tag_name("scale"))
                    .try_for_each(|n| if n.has_tag_name("function") { self.functions(n) } else { self.function(n) })
            }
            // The reader of functions names it, and what it understands.
            _ => Ok(()),
        }
    }

    fn constraint(&self, constraint: Node<'a, 'i>) -> Result<()> {
        // Others may stand there as long as they are not enforced.
        if !constraint.has_tag_name("CoordinateCouplerConstraint") {
            return Ok(());
        }
        self.check(constraint, &COUPLER, true)?;
        child(constraint, "coupled_coordinates_function").map_or(Ok(()), |f| self.functions(f))
    }

    /// Components a model, body or joint carries: frames are looked into, forces and the like passed over. OpenSim also takes bodies, joints, constraints and
    /// markers here; the reader looks for them in their sets.
    fn components(&self, list: Node<'a, 'i>) -> Result<()> {
        for node in elements(list) {
            let tag = node.tag_name().name();
            if tag == "PhysicalOffsetFrame" {
                self.check(node, &FRAME, true)?;
                for inner in elements(node).filter(|n| n.has_tag_name("components")) {
                    self.components(inner)?;
                }
            } else if matches!(tag, "Body" | "Marker" | "Coordinate")
                || tag.ends_with("Joint")
                || tag.ends_with("Constraint")
            {
                return Err(self.source.error(
                    node,
                    format_args!("a <{tag}> among the components of <{}> is not understood", owner_of(list)),
                    "move it to the model's BodySet, JointSet, ConstraintSet or MarkerSet",
                ));
            }
        }
        Ok(())
    }

    /// Refuses what the class does not have; `once` also what stands there twice.
    fn check(&self, node: Node<'a, 'i>, class: &Class, once: bool) -> Result<()> {
        self.check_but(node, class, once, |_| false)
    }

    /// The same, with elements of its own that one kind of the class has.
    fn check_but(
        &self,
        node: Node<'a, 'i>,
        class: &Class,
        once: bool,
        own: impl Fn(Node<'a, 'i>) -> bool,
    ) -> Result<()> {
        self.attributes(node)?;
        for element in elements(node) {
            if is_one_of(element, class.always) || own(element) {
                continue;
            }
            let within = name_of(node);
            let tag = name_of(element);
            if is_one_of(element, class.old) {
                if self.version >= old_until(&tag) {
                    return Err(self.source.error(
                        element,
                        format_args!(
                            "<{tag}> in a <{within}> belongs to documents before Version {}; in this one ({}) OpenSim passes it over",
                            old_until(&tag),
                            self.version
                        ),
                        "write it as OpenSim 4 does, or correct the document's Version",
                    ));
                }
            } else if is_one_of(element, class.new) || is_one_of(element, COMPONENT) {
                if self.version < FRAMES_SINCE {
                    return Err(self.source.error(
                        element,
                        format_args!(
                            "<{tag}> in a <{within}> belongs to documents since 4.0; in this one (Version {}) OpenSim passes it over",
                            self.version
                        ),
                        "open and save the model in OpenSim 4, or correct the document's Version",
                    ));
                }
            } else {
                let known = class.always.iter().chain(class.old).chain(class.new).copied();
                return Err(self.source.error(
                    element,
                    format_args!("<{tag}> is not understood in a <{within}>"),
                    format_args!("correct its name or remove it; {}", nearest(&tag, known)),
                ));
            }
        }
        if once {
            for tags in [class.always, class.old, class.new] {
                self.once(node, tags)?;
            }
        }
        Ok(())
    }

    /// Of two elements of one name OpenSim reads one.
    fn once(&self, node: Node<'a, 'i>, tags: &[&str]) -> Result<()> {
        for tag in tags {
            if let Some(second) = elements(node).filter(|n| n.has_tag_name(*tag)).nth(1) {
                let problem = format_args!("a second <{tag}> stands in the <{}>", name_of(node));
                return Err(self.source.error(second, problem, "leave one"));
            }
        }
        Ok(())
    }

    /// Attributes hold names; all else is in elements.
    fn attributes(&self, node: Node<'a, 'i>) -> Result<()> {
        for attribute in node.attributes().filter(|a| a.namespace().is_none()) {
            let within = name_of(node);
            match attribute.name() {
                "name" | "version" | "Version" | "type" => {}
                "file" if attribute.value().trim().is_empty() => {}
                "file" => {
                    return Err(self.source.error(
                        node,
                        format_args!(
                            "the <{within}> is in another file, `{}`, which is not understood",
                            last_part(&shortened(attribute.value()))
                        ),
                        "open and save the model in OpenSim 4, which puts it in; markers may come with --marker-set",
                    ));
                }
                other => {
                    return Err(self.source.error(
                        node,
                        format_args!("the attribute {}=\"…\" is not understood in a <{within}>", shortened(other)),
                        format_args!("write it as an element of its own, <{}>, or remove it", shortened(other)),
                    ));
                }
            }
        }
        Ok(())
    }
}

fn is_one_of(node: Node<'_, '_>, tags: &[&str]) -> bool {
    tags.contains(&node.tag_name().name())
}

fn name_of(node: Node<'_, '_>) -> String {
    shortened(node.tag_name().name())
}

/// What a list of components belongs to.
fn owner_of(list: Node<'_, '_>) -> String {
    list.parent_element().map_or_else(|| name_of(list), name_of)
}
