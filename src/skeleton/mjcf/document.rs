//! The elements of an MJCF document that have a meaning for kinematics, with their defaults filled in.

use super::defaults::Defaults;
use super::orientation::Compiler;
use super::vocabulary;
use crate::Result;
use crate::skeleton::UpAxis;
use crate::skeleton::xml::{Source, elements, nearest, shortened};
use nalgebra::{Rotation3, Unit, Vector3};
use roxmltree::Node;
use std::collections::HashSet;

/// A model's elements. Bodies as MuJoCo numbers them, the world first.
pub(super) struct ModelElements<'a, 'i> {
    pub name: String,
    pub bodies: Vec<BodyElement<'a, 'i>>,
    pub equalities: Vec<Equality<'a, 'i>>,
    /// Z, unless gravity says otherwise.
    pub up: UpAxis,
}

pub(super) struct BodyElement<'a, 'i> {
    pub name: String,
    pub node: Node<'a, 'i>,
    /// Index of the parent; the world's is itself.
    pub parent: usize,
    /// In the parent.
    pub place: Place,
    pub joints: Vec<JointElement<'a, 'i>>,
    pub sites: Vec<SiteElement<'a, 'i>>,
}

/// Where something is in its body: position and orientation.
#[derive(Clone)]
pub(super) struct Place {
    pub position: Vector3<f64>,
    pub rotation: Rotation3<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum JointKind {
    Free,
    Ball,
    Slide,
    Hinge,
}

pub(super) struct JointElement<'a, 'i> {
    pub name: String,
    pub node: Node<'a, 'i>,
    pub kind: JointKind,
    /// In the body.
    pub position: Vector3<f64>,
    /// As written, or the default's: in the frame it stands in.
    pub written: Vector3<f64>,
    pub axis: Unit<Vector3<f64>>,
    /// `None` where not limited.
    pub range: Option<[f64; 2]>,
    pub reference: f64,
}

pub(super) struct SiteElement<'a, 'i> {
    pub name: String,
    pub node: Node<'a, 'i>,
    /// In the body.
    pub position: Vector3<f64>,
    /// As written, or the default's: in the frame it stands in.
    pub written: Vector3<f64>,
    /// That frame in the body.
    pub frame: Place,
}

/// `q1 − ref1 = Σ cₖ (q2 − ref2)ᵏ`, or `c₀` where there is no second joint.
pub(super) struct Equality<'a, 'i> {
    pub first: &'a str,
    pub second: Option<&'a str>,
    /// Lowest power first.
    pub coefficients: Vec<f64>,
    pub node: Node<'a, 'i>,
}

/// Collects the elements of a model.
pub(super) fn collect<'a, 'i>(source: Source<'a, 'i>) -> Result<ModelElements<'a, 'i>> {
    let root = source.document.root_element();
    let mut worlds = elements(root).filter(|n| n.has_tag_name("worldbody")).peekable();
    let Some(first) = worlds.peek().copied() else {
        return Err(source.error(root, "the model has no <worldbody>", "give the model's top-level file"));
    };
    vocabulary::check(source, root)?;
    let compiler = Compiler::read(source, elements(root).filter(|n| n.has_tag_name("compiler")))?;
    let defaults = Defaults::collect(source, root)?;
    let identity = Place { position: Vector3::zeros(), rotation: Rotation3::identity() };
    let world = BodyElement {
        name: "world".into(),
        node: first,
        parent: 0,
        place: identity.clone(),
        joints: Vec::new(),
        sites: Vec::new(),
    };
    let mut reader = Reader { source, compiler, defaults, bodies: vec![world] };
    for node in worlds {
        reader.children(node, 0, &identity, None)?;
    }
    let mut bodies = std::mem::take(&mut reader.bodies);
    if bodies.len() < 2 {
        return Err(source.error(
            first,
            "there is no <body> in its <worldbody>",
            "give the model's top-level file; this may be a part of one",
        ));
    }
    name_the_nameless(source, &mut bodies)?;
    let mut equalities = Vec::new();
    for node in elements(root).filter(|n| n.has_tag_name("equality")).flat_map(elements) {
        reader.known(node, node.attribute("class"))?;
        equalities.extend(equality(source, node, &reader.defaults)?);
    }
    let mut up = UpAxis::Z;
    for node in elements(root).filter(|n| n.has_tag_name("option")) {
        if let Some(text) = node.attribute("gravity") {
            let gravity = source.vector(node, text)?;
            up = if gravity.y < 0.0 && gravity.y.abs() > gravity.z.abs() { UpAxis::Y } else { UpAxis::Z };
        }
    }
    Ok(ModelElements { up, name: root.attribute("model").unwrap_or("MuJoCo Model").to_owned(), bodies, equalities })
}

struct Reader<'a, 'i> {
    source: Source<'a, 'i>,
    compiler: Compiler,
    defaults: Defaults<'a>,
    bodies: Vec<BodyElement<'a, 'i>>,
}

impl<'a, 'i> Reader<'a, 'i> {
    /// Everything inside body `body`, depth first: a frame's content stands where the frame stands, among joints and sites as among bodies.
    fn children(&mut self, node: Node<'a, 'i>, body: usize, place: &Place, class: Option<&'a str>) -> Result<()> {
        for child in elements(node) {
            match child.tag_name().name() {
                "joint" | "freejoint" if body == 0 => {
                    return Err(self.source.error(child, "the world cannot have joints", "put the joint into a body"));
                }
                "joint" | "freejoint" => {
                    let joint = self.joint(child, place, class)?;
                    self.bodies[body].joints.push(joint);
                }
                "site" => {
                    let site = self.site(child, place, class)?;
                    self.bodies[body].sites.push(site);
                }
                "frame" => {
                    let class = self.class(child)?.or(class);
                    let inside = self.place(child, place)?;
                    self.children(child, body, &inside, class)?;
                }
                "body" => {
                    let class = self.class(child)?.or(class);
                    let inside = self.place(child, place)?;
                    let index = self.bodies.len();
                    self.bodies.push(BodyElement {
                        name: child.attribute("name").unwrap_or("").to_owned(),
                        node: child,
                        parent: body,
                        place: inside,
                        joints: Vec::new(),
                        sites: Vec::new(),
                    });
                    let origin = Place { position: Vector3::zeros(), rotation: Rotation3::identity() };
                    self.children(child, index, &origin, class)?;
                    self.check_joints(index)?;
                }
                "inertial" | "geom" => self.check_mass(child)?,
                other @ ("replicate" | "attach" | "composite" | "flexcomp") => {
                    return Err(self.source.error(
                        child,
                        format_args!("<{other}> is not understood"),
                        "load the model in MuJoCo and save it with mj_saveLastXML, which writes it out",
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Masses say nothing of kinematics, but they are written again, and MuJoCo loads no model whose masses are no numbers.
    fn check_mass(&self, node: Node<'a, 'i>) -> Result<()> {
        for name in ["mass", "density", "diaginertia", "fullinertia"] {
            let Some(written) = node.attribute(name) else { continue };
            let numbers = self.source.numbers(node, written)?;
            if let Some(mass) = numbers.first().filter(|mass| name == "mass" && **mass < 0.0) {
                let problem = format_args!("the mass is {mass}");
                return Err(self.source.error(node, problem, "write a mass of at least 0"));
            }
        }
        Ok(())
    }

    fn class(&self, node: Node<'a, 'i>) -> Result<Option<&'a str>> {
        let class = node.attribute("childclass");
        self.known(node, class)?;
        Ok(class)
    }

    fn known(&self, node: Node<'a, 'i>, class: Option<&str>) -> Result<()> {
        match class {
            Some(name) if !self.defaults.has(name) => Err(self.source.error(
                node,
                format_args!("there is no default class `{}`", shortened(name)),
                format_args!("correct the name; {}", nearest(name, self.defaults.names())),
            )),
            _ => Ok(()),
        }
    }

    fn place(&self, node: Node<'a, 'i>, outer: &Place) -> Result<Place> {
        let position = node.attribute("pos").map_or(Ok(Vector3::zeros()), |t| self.source.vector(node, t))?;
        let rotation = self.compiler.orientation(self.source, node)?;
        Ok(Place { position: outer.position + outer.rotation * position, rotation: outer.rotation * rotation })
    }

    fn joint(&self, node: Node<'a, 'i>, place: &Place, class: Option<&'a str>) -> Result<JointElement<'a, 'i>> {
        self.known(node, node.attribute("class"))?;
        let source = self.source;
        let free = node.has_tag_name("freejoint");
        let get = |name: &str| self.defaults.attribute(node, class, name).filter(|_| !free || name == "name");
        let kind = match get("type") {
            _ if free => JointKind::Free,
            None | Some("hinge") => JointKind::Hinge,
            Some("slide") => JointKind::Slide,
            Some("ball") => JointKind::Ball,
            Some("free") => JointKind::Free,
            Some(other) => {
                return Err(source.error(
                    node,
                    format_args!("joints of the type `{}` are not understood", shortened(other)),
                    "hinge, slide, ball and free are",
                ));
            }
        };
        // `<joint type="free">` has no `align`, and does as the compiler says.
        let align = node.attribute("align").filter(|align| free && *align != "auto");
        if kind == JointKind::Free && align.map_or(self.compiler.align_free, |align| align == "true") {
            let written = if free { "align=\"false\"" } else { "alignfree=\"false\" in <compiler>" };
            return Err(source.error(
                node,
                "the body is to be aligned with its inertia, which is not understood",
                format_args!("write {written}, or load the model in MuJoCo and save it with mj_saveLastXML"),
            ));
        }
        let angle = if matches!(kind, JointKind::Hinge | JointKind::Ball) { self.compiler.angle } else { 1.0 };
        let position = get("pos").map_or(Ok(Vector3::zeros()), |t| source.vector(node, t))?;
        let axis = get("axis").map_or(Ok(Vector3::z()), |t| source.vector(node, t))?;
        let axis = Unit::try_new(place.rotation * axis, 1e-12)
            .ok_or_else(|| source.error(node, "the axis has no direction", "give it one that is not 0 0 0"))?;
        let range = match get("range") {
            Some(text) => match source.numbers(node, text)?.as_slice() {
                [low, high] => Some([low * angle, high * angle]),
                _ => return Err(source.error(node, "a range has two numbers", "correct it")),
            },
            None => None,
        };
        let limited = match get("limited") {
            Some("true") => true,
            Some("false") => false,
            None | Some("auto") => self.compiler.autolimits && range.is_some(),
            Some(other) => {
                return Err(source.error(
                    node,
                    format_args!("limited=\"{}\" is not understood", shortened(other)),
                    "write true, false or auto",
                ));
            }
        };
        // A free joint has no limits whatever is written; a ball's do not count here.
        if get("limited") == Some("true")
            && matches!(kind, JointKind::Hinge | JointKind::Slide)
            && range.is_none_or(|[low, high]| low >= high)
        {
            return Err(source.error(
                node,
                "the joint is limited, and its range is missing or does not go from less to more",
                "write range=\"<least> <most>\", or limited=\"false\"",
            ));
        }
        let reference = get("ref").map_or(Ok(0.0), |t| source.number(node, t))? * angle;
        Ok(JointElement {
            name: node.attribute("name").unwrap_or("").to_owned(),
            node,
            kind,
            position: place.position + place.rotation * position,
            written: position,
            axis,
            range: range.filter(|[low, high]| limited && low < high),
            reference,
        })
    }

    fn site(&self, node: Node<'a, 'i>, place: &Place, class: Option<&'a str>) -> Result<SiteElement<'a, 'i>> {
        self.known(node, node.attribute("class"))?;
        let get = |name: &str| self.defaults.attribute(node, class, name);
        let written = get("pos").map_or(Ok(Vector3::zeros()), |t| self.source.vector(node, t))?;
        let position = match get("fromto") {
            Some(_) if written != Vector3::zeros() => {
                return Err(self.source.error(
                    node,
                    "the site has both pos and fromto, its own or its class's",
                    "leave one, or write pos=\"0 0 0\" beside fromto",
                ));
            }
            Some(text) => match self.source.numbers(node, text)?.as_slice() {
                [a, b, c, d, e, f] => (Vector3::new(*a, *b, *c) + Vector3::new(*d, *e, *f)) / 2.0,
                _ => return Err(self.source.error(node, "fromto has six numbers", "correct it")),
            },
            None => written,
        };
        Ok(SiteElement {
            name: node.attribute("name").unwrap_or("").to_owned(),
            node,
            position: place.position + place.rotation * position,
            written: position,
            frame: place.clone(),
        })
    }

    fn check_joints(&self, index: usize) -> Result<()> {
        let body = &self.bodies[index];
        let free = body.joints.iter().any(|j| j.kind == JointKind::Free);
        if free && (body.parent != 0 || body.joints.len() > 1) {
            return Err(self.source.error(
                body.node,
                "a free joint must be the only joint of a body that hangs on the world",
                "remove the other joints, or put the body into <worldbody>",
            ));
        }
        if body.node.attribute("mocap") == Some("true") && (body.parent != 0 || !body.joints.is_empty()) {
            return Err(self.source.error(
                body.node,
                "a mocap body must hang on the world and have no joints",
                "remove mocap=\"true\", or the joints, or put the body into <worldbody>",
            ));
        }
        let mut turning = body.joints.iter().skip_while(|j| j.kind != JointKind::Ball).skip(1);
        if let Some(joint) = turning.find(|j| matches!(j.kind, JointKind::Ball | JointKind::Hinge)) {
            return Err(self.source.error(
                joint.node,
                "no hinge or ball can follow a ball in the same body",
                "remove one of them, or put it into a body between",
            ));
        }
        Ok(())
    }
}

/// Gives names to bodies, joints and sites without one, and refuses names used twice.
fn name_the_nameless(source: Source<'_, '_>, bodies: &mut [BodyElement<'_, '_>]) -> Result<()> {
    let twice = |node, what: &str| {
        source.error(
            node,
            format_args!("a second {what} has this name"),
            format_args!("give every {what} its own name"),
        )
    };
    let (mut of_bodies, mut of_joints, mut of_sites) = (HashSet::new(), HashSet::new(), HashSet::new());
    for (i, body) in bodies.iter().enumerate() {
        if !body.name.is_empty() && !of_bodies.insert(body.name.clone()) && i > 0 {
            return Err(twice(body.node, "body"));
        }
        for joint in body.joints.iter().filter(|j| !j.name.is_empty()) {
            if !of_joints.insert(joint.name.clone()) {
                return Err(twice(joint.node, "joint"));
            }
        }
        for site in body.sites.iter().filter(|s| !s.name.is_empty()) {
            if !of_sites.insert(site.name.clone()) {
                return Err(twice(site.node, "site"));
            }
        }
    }
    let fresh = |taken: &mut HashSet<String>, base: String| {
        let mut name = base.clone();
        let mut n = 1;
        while !taken.insert(name.clone()) {
            n += 1;
            name = format!("{base}_{n}");
        }
        name
    };
    for (i, body) in bodies.iter_mut().enumerate() {
        if body.name.is_empty() {
            body.name = fresh(&mut of_bodies, format!("body{i}"));
        }
        for joint in body.joints.iter_mut().filter(|j| j.name.is_empty()) {
            joint.name = fresh(&mut of_joints, format!("{}_joint", body.name));
        }
        for site in body.sites.iter_mut().filter(|s| s.name.is_empty()) {
            site.name = fresh(&mut of_sites, format!("{}_site", body.name));
        }
    }
    Ok(())
}

fn equality<'a, 'i>(
    source: Source<'a, 'i>,
    node: Node<'a, 'i>,
    defaults: &Defaults<'a>,
) -> Result<Option<Equality<'a, 'i>>> {
    let get = |name: &str| defaults.attribute_of("equality", node, None, name);
    if get("active") == Some("false") {
        return Ok(None);
    }
    if !node.has_tag_name("joint") {
        return Err(source.error(
            node,
            format_args!("the model enforces an equality <{}>, and only <joint> is understood", node.tag_name().name()),
            "set active=\"false\", or replace it by joints",
        ));
    }
    let first = node
        .attribute("joint1")
        .ok_or_else(|| source.error(node, "joint1 is missing", "name the joint that follows"))?;
    let mut coefficients = match node.attribute("polycoef") {
        Some(text) => source.numbers(node, text)?,
        None => vec![0.0, 1.0],
    };
    // MuJoCo writes what is there over its default of 0 1 0 0 0.
    if let [constant] = coefficients[..] {
        coefficients = vec![constant, 1.0];
    }
    if coefficients.is_empty() || coefficients.len() > 5 {
        return Err(source.error(node, "polycoef has one to five numbers", "correct it"));
    }
    Ok(Some(Equality { first, second: node.attribute("joint2"), coefficients, node }))
}
