//! Marker sets, in a model and in files of their own.

use super::document::{self, FrameNames, last_part, socket};
use super::joint::{Offset, follow};
use super::vocabulary::Vocabulary;
use crate::skeleton::xml::{self, Source, child, elements, flag, text};
use crate::skeleton::{Marker, Skeleton};
use crate::{Error, Result};
use nalgebra::Vector3;
use roxmltree::Node;
use std::collections::HashMap;
use std::path::Path;

/// A marker as its file has it.
pub(super) struct MarkerElement<'a, 'i> {
    pub name: &'a str,
    pub body: &'a str,
    /// In the body's frame.
    pub location: Vector3<f64>,
    /// In the frame it is written in.
    pub own: Vector3<f64>,
    pub fixed: bool,
    /// Between the body and the frame it is written in.
    pub offsets: Vec<Offset<'a, 'i>>,
    pub node: Node<'a, 'i>,
}

/// All `<Marker>`s under `objects`.
pub(super) fn collect<'a, 'i>(
    source: Source<'a, 'i>,
    objects: Node<'a, 'i>,
    names: &FrameNames<'a, 'i>,
) -> Result<Vec<MarkerElement<'a, 'i>>> {
    let mut seen = HashMap::new();
    let mut markers = Vec::new();
    for node in elements(objects) {
        let name = source.name(node)?;
        if seen.insert(name, ()).is_some() {
            return Err(source.error(node, "a second marker has this name", "give every marker its own name"));
        }
        // Left out, OpenSim reads zeros.
        let own = child(node, "location").map_or(Ok(Vector3::zeros()), |n| source.vector(n, text(n)))?;
        let path = socket(node, "parent_frame").or_else(|| child(node, "body").map(text)).unwrap_or("");
        if path.is_empty() {
            return Err(source.error(node, "it does not say which body it is fixed to", "add <socket_parent_frame>"));
        }
        let (body, offsets) = follow(source, node, path, &format!("/markerset/{name}"), names)?;
        let mut place = own;
        for offset in offsets.iter().rev() {
            // Its scale factors are the body's, but along the frame's axes: only parallel axes agree.
            if offset.rotation.angle() > 1e-12 {
                return Err(source.error(
                    node,
                    "it is fixed to a frame that is turned against its body",
                    "fix it to the body itself",
                ));
            }
            place += offset.translation;
        }
        markers.push(MarkerElement {
            name,
            body,
            location: place,
            own,
            fixed: flag(source, node, "fixed", false)?,
            offsets,
            node,
        });
    }
    Ok(markers)
}

/// Adds the markers of a marker set file to a skeleton; one whose name is there already takes the other's place.
///
/// # Errors
/// Where the file cannot be read or understood, or a marker names a body the skeleton does not have.
pub fn read_marker_set(path: &Path, skeleton: &mut Skeleton) -> Result<()> {
    let text = super::super::read_text(path)?;
    read_marker_set_str(&path.display().to_string(), &text, skeleton)
}

/// The same from text; `label` stands for the path in errors.
pub fn read_marker_set_str(label: &str, text: &str, skeleton: &mut Skeleton) -> Result<()> {
    let document = xml::parse(label, text)?;
    let source = Source { label, document: &document };
    let version = document::version(source)?;
    let root = document.root_element();
    let set = child(root, "MarkerSet")
        .or_else(|| child(root, "Model").and_then(|m| child(m, "MarkerSet")))
        .ok_or_else(|| source.error(root, "there is no <MarkerSet> in the document", "give a marker set file"))?;
    Vocabulary { source, version }.check_markers(set)?;
    let Some(objects) = child(set, "objects") else { return Ok(()) };
    // The skeleton's bodies, under lifetimes of the document: names as the file spells them.
    let mut names = FrameNames::default();
    for node in elements(objects) {
        let path = socket(node, "parent_frame").or_else(|| child(node, "body").map(xml::text)).unwrap_or("");
        let name = last_part(path);
        if skeleton.body(name).is_some() {
            names.bodies.insert(name, ());
        } else if !path.is_empty() && node.has_tag_name("Marker") {
            return Err(Error::input(
                source.place(node),
                format_args!("it is fixed to `{path}`, and the model has no body of that name"),
                format_args!(
                    "correct the name; {}",
                    xml::nearest(name, skeleton.bodies.iter().map(|b| b.name.as_str()))
                ),
            ));
        }
    }
    for element in collect(source, objects, &names)? {
        let Some(body) = skeleton.body(element.body) else { continue };
        let marker = Marker { name: element.name.to_owned(), body, location: element.location, fixed: element.fixed };
        match skeleton.markers.iter_mut().find(|m| m.name == marker.name) {
            Some(old) => *old = marker,
            None => skeleton.markers.push(marker),
        }
    }
    Ok(())
}
