//! The elements of an OpenSim document that have a meaning for kinematics.

use super::function;
use super::joint::{self, Joint};
use super::markers::{self, MarkerElement};
use super::vocabulary::Vocabulary;
use crate::skeleton::Function;
use crate::skeleton::xml::{Source, child, elements, flag, shortened, text};
use crate::{Error, Result};
use roxmltree::{Node, NodeId};
use std::collections::HashMap;

/// A model's elements, in the file's order, with the numbers in them.
pub(super) struct ModelElements<'a, 'i> {
    /// Name of the model.
    pub name: String,
    /// Every body but ground.
    pub bodies: Vec<BodyElement<'a, 'i>>,
    pub joints: Vec<Joint<'a, 'i>>,
    pub couplers: Vec<Coupler<'a, 'i>>,
    pub markers: Vec<MarkerElement<'a, 'i>>,
    /// Names of frames.
    pub names: FrameNames<'a, 'i>,
    /// The `<Model>` element.
    pub node: Node<'a, 'i>,
}

pub(super) struct BodyElement<'a, 'i> {
    pub name: &'a str,
    pub node: Node<'a, 'i>,
}

/// `dependent = function(independent)`.
pub(super) struct Coupler<'a, 'i> {
    pub dependent: &'a str,
    pub independent: &'a str,
    pub function: Function,
    pub node: Node<'a, 'i>,
}

/// Paths to frames that are longer than this are no model's: names inside names would fill all memory.
const LONGEST_PATH: usize = 1024;

/// What paths to frames stand for.
#[derive(Default)]
pub(super) struct FrameNames<'a, 'i> {
    /// Bodies by name, ground among them.
    pub bodies: HashMap<&'a str, ()>,
    /// Offset frames of bodies, joints, the model and each other, by absolute path: `/bodyset/x/f`, `/jointset/j/f`, `/f`.
    frames: HashMap<String, Node<'a, 'i>>,
    /// And back.
    paths: HashMap<NodeId, String>,
}

/// The version of a document, with its root checked.
pub(super) fn version(source: Source<'_, '_>) -> Result<u32> {
    let root = source.document.root_element();
    if !root.has_tag_name("OpenSimDocument") {
        return Err(source.error(
            root,
            format_args!("the outermost element is <{}>, not <OpenSimDocument>", root.tag_name().name()),
            "give an OpenSim file (.osim, or a marker set .xml)",
        ));
    }
    let Some(written) = root.attribute("Version") else {
        return Err(source.error(
            root,
            "the document does not say its Version",
            "open and save it in OpenSim, or write Version=\"40000\" if it was made by OpenSim 4",
        ));
    };
    let version = written.trim().parse::<u32>().map_err(|_| {
        source.error(
            root,
            format_args!("Version=\"{}\" is not a number", shortened(written)),
            "open and save the model in OpenSim 4",
        )
    })?;
    if !(20000..60000).contains(&version) {
        return Err(source.error(
            root,
            format_args!("document version {version} is not one of 20302 to 45xxx"),
            "open and save the model in OpenSim 4",
        ));
    }
    Ok(version)
}

/// Collects the elements of a whole model.
pub(super) fn collect<'a, 'i>(source: Source<'a, 'i>) -> Result<ModelElements<'a, 'i>> {
    let version = version(source)?;
    let root = source.document.root_element();
    let model = child(root, "Model").ok_or_else(|| {
        source.error(
            root,
            "there is no <Model> in the document",
            "give a model (.osim); a marker set goes with --marker-set",
        )
    })?;
    Vocabulary { source, version }.check_model(model)?;
    let objects = |set: &str| child(child(model, set)?, "objects");
    let mut bodies = Vec::new();
    let mut names = FrameNames { bodies: HashMap::from([("ground", ())]), ..FrameNames::default() };
    if let Some(ground) = child(model, "Ground") {
        names.add_frames_of(ground, "/ground");
    }
    for node in objects("BodySet").into_iter().flat_map(elements) {
        if !node.has_tag_name("Body") {
            return Err(source.error(
                node,
                format_args!("<{}> is not a kind of body that is understood", node.tag_name().name()),
                "use <Body>",
            ));
        }
        let name = source.name(node)?;
        if name == "ground" {
            continue;
        }
        if names.bodies.insert(name, ()).is_some() {
            return Err(source.error(node, "a second body has this name", "give every body its own name"));
        }
        check_mass(source, node)?;
        names.add_frames_of(node, &format!("/bodyset/{name}"));
        bodies.push(BodyElement { name, node });
    }
    if bodies.is_empty() {
        return Err(source.error(model, "the model has no bodies", "check that <BodySet> was saved with the model"));
    }
    names.add_frames_of(model, "");
    for node in objects("ComponentSet").into_iter().flat_map(elements) {
        names.add_frame(node, "/componentset");
    }
    for node in objects("JointSet").into_iter().flat_map(elements) {
        names.add_frames_of(node, &format!("/jointset/{}", node.attribute("name").unwrap_or_default()));
    }

    let mut joints = Vec::new();
    for body in &bodies {
        for node in child(body.node, "Joint").into_iter().flat_map(elements) {
            joints.push(joint::read_nested(source, node, body.name)?);
        }
    }
    for node in objects("JointSet").into_iter().flat_map(elements) {
        joints.push(joint::read(source, node, &names)?);
    }

    let mut couplers = Vec::new();
    for node in objects("ConstraintSet").into_iter().flat_map(elements) {
        couplers.extend(coupler(source, node)?);
    }

    let markers = match objects("MarkerSet") {
        Some(objects) => markers::collect(source, objects, &names)?,
        None => Vec::new(),
    };
    Ok(ModelElements {
        name: model.attribute("name").unwrap_or("model").to_owned(),
        bodies,
        joints,
        couplers,
        markers,
        names,
        node: model,
    })
}

/// Masses say nothing of kinematics, but they are written again, and OpenSim opens no model whose masses are no numbers.
fn check_mass<'a, 'i>(source: Source<'a, 'i>, body: Node<'a, 'i>) -> Result<()> {
    for tag in ["mass", "mass_center", "inertia"] {
        let Some(node) = child(body, tag) else { continue };
        let numbers = source.numbers(node, text(node))?;
        if let Some(mass) = numbers.first().filter(|mass| tag == "mass" && **mass < 0.0) {
            return Err(source.error(node, format_args!("the mass is {mass}"), "write a mass of at least 0"));
        }
    }
    Ok(())
}

/// Frames of every kind: what refers to one of a kind that is not understood says so.
fn is_frame(node: Node<'_, '_>) -> bool {
    node.tag_name().name().ends_with("Frame")
}

/// What a frame is called where an element refers to it: the forms of 4.x and of its betas.
pub(super) fn socket<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<&'a str> {
    child(node, &format!("socket_{name}"))
        .or_else(|| child(node, &format!("socket_{name}_connectee_name")))
        .or_else(|| {
            let connector = elements(child(node, "connectors")?).find(|n| n.attribute("name") == Some(name))?;
            child(connector, "connectee_name")
        })
        .map(text)
        .filter(|t| !t.is_empty())
}

/// The last part of a path.
pub(super) fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn coupler<'a, 'i>(source: Source<'a, 'i>, node: Node<'a, 'i>) -> Result<Option<Coupler<'a, 'i>>> {
    let enforced = match child(node, "isEnforced") {
        Some(_) => flag(source, node, "isEnforced", true)?,
        None => !flag(source, node, "isDisabled", false)?,
    };
    if !enforced {
        return Ok(None);
    }
    if !node.has_tag_name("CoordinateCouplerConstraint") {
        return Err(source.error(
            node,
            format_args!(
                "the model enforces a {}, and only CoordinateCouplerConstraint is understood",
                node.tag_name().name()
            ),
            "set its isEnforced to false, or replace it by joints",
        ));
    }
    let named = |tag| -> Result<&'a str> {
        let n = source.need(node, tag)?;
        let mut words = text(n).split_whitespace();
        match (words.next(), words.next()) {
            (Some(name), None) => Ok(name),
            (None, _) => Err(source.error(n, "it names no coordinate", "name one")),
            _ => Err(source.error(
                n,
                "it names more than one coordinate",
                "a coupler of one independent coordinate is understood",
            )),
        }
    };
    let (independent, dependent) = (named("independent_coordinate_names")?, named("dependent_coordinate_name")?);
    let property = source.need(node, "coupled_coordinates_function")?;
    let inner = function::inside(source, property)?
        .ok_or_else(|| source.error(property, "it holds no function", "put one into it"))?;
    let factor = child(node, "scale_factor").map_or(Ok(1.0), |n| source.number(n, text(n)))?;
    let function = function::read(source, inner)?;
    let function = if factor == 1.0 { function } else { Function::Multiple { factor, inner: Box::new(function) } };
    Ok(Some(Coupler { dependent, independent, function, node }))
}

impl<'a, 'i> FrameNames<'a, 'i> {
    /// The frames that the component at `path` carries, those that they carry, and so on.
    fn add_frames_of(&mut self, owner: Node<'a, 'i>, path: &str) {
        for set in ["components", "frames"] {
            for node in child(owner, set).into_iter().flat_map(elements) {
                self.add_frame(node, path);
            }
        }
    }

    fn add_frame(&mut self, node: Node<'a, 'i>, path: &str) {
        let name = node.attribute("name").filter(|name| is_frame(node) && path.len() + name.len() < LONGEST_PATH);
        if let Some(name) = name {
            let path = format!("{path}/{name}");
            self.add_frames_of(node, &path);
            self.paths.insert(node.id(), path.clone());
            self.frames.insert(path, node);
        }
    }

    /// The absolute path of a frame; empty for what is none.
    pub fn path_of(&self, frame: Node<'a, 'i>) -> &str {
        self.paths.get(&frame.id()).map_or("", String::as_str)
    }

    /// The frame at a path, which if it is not absolute is relative to the component at `owner`. Betas of 4.0 name a joint's own frames and the model's by less than that.
    pub fn frame(&self, path: &str, owner: &str) -> Option<Node<'a, 'i>> {
        let found = self.frames.get(&absolute(path, owner));
        found.copied().or_else(|| {
            if self.body(path).is_some() {
                return None;
            }
            let (before, last) = path.rsplit_once('/').unwrap_or(("", path));
            let of_owner = !path.starts_with('/') || last_part(before) == last_part(owner);
            let own = of_owner.then(|| self.frames.get(&format!("{owner}/{last}"))).flatten();
            let of_model = (before.is_empty() && !path.starts_with('/')).then(|| self.frames.get(&format!("/{path}")));
            own.or(of_model.flatten()).copied()
        })
    }

    /// The body at a path, as [`Self::frame`].
    pub fn body_from(&self, path: &str, owner: &str) -> Option<&'a str> {
        let whole = absolute(path, owner);
        let direct = whole.strip_prefix("/bodyset/").or(whole.strip_prefix('/').filter(|name| *name == "ground"));
        direct.and_then(|name| self.bodies.get_key_value(name)).map(|(name, ())| *name).or_else(|| self.body(path))
    }

    /// The body a path names directly.
    pub fn body(&self, path: &str) -> Option<&'a str> {
        let mut parts = path.split('/').filter(|p| !p.is_empty() && *p != "..").rev();
        let last = parts.next()?;
        // `/bodyset/x`, `../../x`, `x`, `/x`; but not `/jointset/j/x`.
        let before = parts.next();
        let (name, ()) = self.bodies.get_key_value(last)?;
        matches!(before, None | Some("bodyset")).then_some(*name)
    }

    /// An error that a frame is nowhere.
    pub fn unknown(&self, source: Source<'_, '_>, node: Node<'_, '_>, path: &str) -> Error {
        let wanted = last_part(path);
        source.error(
            node,
            format_args!("it refers to `{path}`, which is no body or frame of the model"),
            format_args!("correct the name; {}", crate::skeleton::xml::nearest(wanted, self.bodies.keys().copied())),
        )
    }
}

/// A path from the root, without `.` and `..`.
fn absolute(path: &str, owner: &str) -> String {
    let from = if path.starts_with('/') { "" } else { owner };
    let mut parts: Vec<&str> = Vec::new();
    for part in from.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.iter().map(|part| format!("/{part}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name of a megabyte on a frame, with frames in frames below it.
    #[test]
    fn names_inside_names_do_not_fill_memory() {
        let frame = |name: &str, inside: &str| {
            format!("<PhysicalOffsetFrame name=\"{name}\"><components>{inside}</components></PhysicalOffsetFrame>")
        };
        let nested = (0..60).fold(String::new(), |inside, i| frame(&format!("f{i}"), &inside));
        let text = format!("<Body><components>{}{nested}</components></Body>", frame(&"x".repeat(1 << 20), &nested));
        let document = crate::skeleton::xml::parse("frames.osim", &text).unwrap();
        let mut names = FrameNames::default();
        names.add_frames_of(document.root_element(), "/bodyset/b");
        assert_eq!(names.frames.len(), 60);
        assert!(names.frame("/bodyset/b/f59/f58", "").is_some() && names.frame("f58", "/bodyset/b/f59").is_some());
    }

    #[test]
    fn paths_are_resolved_against_their_owner() {
        for (path, owner, wanted) in [
            ("..", "/bodyset/a/f", "/bodyset/a"),
            ("../g", "/bodyset/a/f", "/bodyset/a/g"),
            ("../../bodyset/a/f", "/jointset/j", "/bodyset/a/f"),
            ("f", "/jointset/j", "/jointset/j/f"),
            ("/bodyset/./a/../b", "/jointset/j", "/bodyset/b"),
            ("../../../..", "/a", ""),
        ] {
            assert_eq!(absolute(path, owner), wanted, "{path} of {owner}");
        }
    }
}
