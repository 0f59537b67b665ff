//! Writing OpenSim models: the source with its numbers scaled.

use super::document::{self, ModelElements};
use super::generate;
use super::joint::{Joint, Offset};
use super::subject::{self, Left, Subject};
use crate::skeleton::generate::{escaped, joined};
use crate::skeleton::xml::{self, Source, child, elements, text};
use crate::skeleton::{Function, Marker, ModelSource, Offsets, Scales, Skeleton};
use crate::{Error, Result};
use nalgebra::Vector3;
use roxmltree::{Node, NodeId};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// What a scaled file says of itself.
const NOTE: &str = "<!--Scaled by kinefit: joint frames, translation functions of joints, markers and geometry are the subject's. Masses, inertias, muscle paths and wrapping are those of the original.-->";

/// What one says of itself that was scaled for a subject.
const SUBJECT_NOTE: &str = "<!--Scaled by kinefit as OpenSim's scale tool does: joint frames, translation functions of joints, markers, geometry, masses, path points and wrapping objects are the subject's.-->";

/// A skeleton as an OpenSim document (`.osim`), with factors and offsets worked in.
///
/// One that came as `.osim` is its own text, unchanged but for the numbers OpenSim's `Model::scale` would change of the kinematics: translations of joint frames, translation
/// functions of CustomJoints (in a `MultiplierFunction`), marker locations `s ∘ m + o`, `scale_factors` of the bodies' geometry. Masses, inertias, muscle paths and wrapping objects stay as they are, and
/// the file says so. Markers that came from files of their own are put into its marker set. In documents before 30500 OpenSim reads
/// joint locations with six digits, whatever is written.
///
/// One that came as MJCF or was made in memory is written anew with one CustomJoint per body.
///
/// # Errors
/// Where the new document would not move exactly as the skeleton does; the message says why.
pub fn write_osim(skeleton: &Skeleton, scales: &Scales, offsets: &Offsets) -> Result<String> {
    check_lengths(skeleton, scales, offsets)?;
    match &skeleton.source {
        ModelSource::Osim { path, text } => {
            rewrite(skeleton, scales, offsets, path, text, None).map(|(document, _)| document)
        }
        ModelSource::Mjcf { .. } | ModelSource::None => generate::write(skeleton, scales, offsets),
    }
}

fn check_lengths(skeleton: &Skeleton, scales: &Scales, offsets: &Offsets) -> Result<()> {
    if scales.0.len() == skeleton.bodies.len() && offsets.0.len() == skeleton.markers.len() {
        return Ok(());
    }
    Err(Error::input(
        format_args!("model `{}`", skeleton.name),
        "the scale factors or offsets belong to another model",
        "give one triple of factors per body and one offset per marker",
    ))
}

/// The same for a subject: what scaling changes beyond the kinematics, as OpenSim's scale tool does, is changed too. Mass, mass centre and inertia of bodies, points of muscle
/// paths, stations, offset frames and wrapping objects are scaled; markers that the skeleton no longer has are removed. Beside the document, what is not exactly the subject's: its kind, and how many.
///
/// # Errors
/// As [`write_osim`]; a model that did not come as `.osim`; masses that are no numbers.
pub fn write_subject_osim(
    skeleton: &Skeleton,
    scales: &Scales,
    offsets: &Offsets,
    subject: &Subject,
) -> Result<(String, Vec<(&'static str, usize)>)> {
    let ModelSource::Osim { path, text } = &skeleton.source else {
        let place = format_args!("model `{}`", skeleton.name);
        return Err(Error::input(place, "it is no OpenSim model, and has no masses to scale", "give an .osim file"));
    };
    check_lengths(skeleton, scales, offsets)?;
    let (document, left) = rewrite(skeleton, scales, offsets, path, text, Some(subject))?;
    Ok((document, left.into_iter().collect()))
}

fn rewrite(
    skeleton: &Skeleton,
    scales: &Scales,
    offsets: &Offsets,
    path: &str,
    original: &str,
    subject: Option<&Subject>,
) -> Result<(String, Left)> {
    let document = xml::parse(path, original)?;
    let source = Source { label: path, document: &document };
    let model = document::collect(source)?;
    let mut edits = Edits { made: Vec::new(), done: HashSet::new() };
    let factors = |name: &str| skeleton.body(name).map_or(Vector3::repeat(1.0), |b| Vector3::from(scales.0[b.index()]));
    for joint in &model.joints {
        for (offsets, body) in [(&joint.parent_offsets, joint.parent), (&joint.child_offsets, joint.child)] {
            edits.offsets(offsets, factors(body));
        }
        if joint.parent != "ground" {
            functions(source, &mut edits, &model, joint, factors(joint.parent))?;
        }
    }
    for body in &model.bodies {
        geometry(source, &mut edits, body.node, factors(body.name))?;
    }
    markers(source, &mut edits, &model, skeleton, scales, offsets)?;
    let mut left = Left::new();
    if let Some(subject) = subject {
        left = subject::scale(source, &mut edits, &model, subject, skeleton, &factors)?;
        let gone = model.markers.iter().filter(|m| skeleton.marker(m.name).is_none());
        edits.made.extend(gone.map(|m| (m.node.range(), String::new())));
        if let Some(name) = model.node.attribute_node("name") {
            edits.made.push((name.range_value(), escaped(&subject.name)));
        }
    }
    if edits.made.is_empty() {
        return Ok((original.to_owned(), left));
    }
    let root = document.root_element();
    let note = if subject.is_some() { SUBJECT_NOTE } else { NOTE };
    if let Some(first) = root.first_child().filter(|_| !original.contains(note)) {
        let at = first.range().start;
        edits.made.push((at..at, format!("\n\t{note}")));
    }
    Ok((xml::replaced(original, edits.made), left))
}

/// Replacements in the text; every element is edited once, whoever refers to it.
pub(super) struct Edits {
    made: Vec<(Range<usize>, String)>,
    done: HashSet<NodeId>,
}

impl Edits {
    /// Replaces what stands in an element.
    pub fn content(&mut self, node: Node<'_, '_>, new: String) {
        if !self.done.insert(node.id()) {
            return;
        }
        let range = match (node.first_child(), node.last_child()) {
            (Some(first), Some(last)) => first.range().start..last.range().end,
            _ => {
                let tag = node.tag_name().name();
                self.made.push((node.range(), format!("<{tag}>{new}</{tag}>")));
                return;
            }
        };
        self.made.push((range, new));
    }

    fn insert(&mut self, at: usize, new: String) {
        self.made.push((at..at, new));
    }

    /// Multiplies a function.
    pub fn multiplied(&mut self, source: Source<'_, '_>, node: Node<'_, '_>, factor: f64) -> Result<()> {
        if factor == 1.0 {
            return Ok(());
        }
        if node.has_tag_name("MultiplierFunction") {
            scale_number(source, self, node, "scale", factor)?;
        } else if self.done.insert(node.id()) {
            let Range { start, end } = node.range();
            self.insert(start, "<MultiplierFunction name=\"function\"><function>".into());
            self.insert(end, format!("</function><scale>{factor}</scale></MultiplierFunction>"));
        }
        Ok(())
    }

    fn offsets(&mut self, offsets: &[Offset<'_, '_>], factors: Vector3<f64>) {
        for offset in offsets {
            let scaled = offset.translation.component_mul(&factors);
            if let Some(node) = offset.node.filter(|_| scaled != offset.translation) {
                self.content(node, joined(scaled.as_slice()));
            }
        }
    }
}

/// The translation functions of a CustomJoint, and couplers of its translations.
fn functions(
    source: Source<'_, '_>,
    edits: &mut Edits,
    model: &ModelElements<'_, '_>,
    joint: &Joint<'_, '_>,
    factors: Vector3<f64>,
) -> Result<()> {
    for axis in joint.axes.iter().filter(|a| a.translates) {
        let factor = axis.axis.abs().dot(&factors) / axis.axis.lp_norm(1);
        if factor == 1.0 {
            continue;
        }
        let coordinate = axis.coordinate.map(|i| joint.coordinates[i].name);
        if axis.function.is_identity() {
            let Some(coupler) = model.couplers.iter().find(|k| Some(k.dependent) == coordinate) else { continue };
            if model.couplers.iter().any(|k| k.independent == coupler.dependent) {
                return Err(source.error(
                    coupler.node,
                    "another coupler follows this translation, which scaling changes",
                    "let it follow the independent coordinate itself",
                ));
            }
            scale_number(source, edits, coupler.node, "scale_factor", factor)?;
            continue;
        }
        let Some(node) = axis.node.filter(|_| axis.function != Function::Constant(0.0)) else { continue };
        edits.multiplied(source, node, factor)?;
    }
    Ok(())
}

/// Multiplies the number in a child element, which is 1 where it is missing.
pub(super) fn scale_number(
    source: Source<'_, '_>,
    edits: &mut Edits,
    node: Node<'_, '_>,
    tag: &str,
    factor: f64,
) -> Result<()> {
    match child(node, tag) {
        Some(n) => edits.content(n, format!("{}", source.number(n, text(n))? * factor)),
        None => {
            if let Some(last) = node.last_child().filter(|_| edits.done.insert(node.id())) {
                edits.insert(last.range().end, format!("<{tag}>{factor}</{tag}>"));
            }
        }
    }
    Ok(())
}

/// The `scale_factors` of a body's own geometry (not of the frame's axes, which are only display).
pub(super) fn geometry(
    source: Source<'_, '_>,
    edits: &mut Edits,
    body: Node<'_, '_>,
    factors: Vector3<f64>,
) -> Result<()> {
    if factors == Vector3::repeat(1.0) {
        return Ok(());
    }
    let attached = child(body, "attached_geometry").into_iter().flat_map(elements);
    for owner in attached.chain(child(body, "VisibleObject")) {
        if let Some(n) = child(owner, "scale_factors") {
            let scaled = source.vector(n, text(n))?.component_mul(&factors);
            edits.content(n, joined(scaled.as_slice()));
        } else if let Some(last) = owner.last_child().filter(|_| edits.done.insert(owner.id())) {
            // Files of 4.x leave out factors of 1.
            edits.insert(last.range().end, format!("<scale_factors>{}</scale_factors>", joined(factors.as_slice())));
        }
    }
    Ok(())
}

fn markers(
    source: Source<'_, '_>,
    edits: &mut Edits,
    model: &ModelElements<'_, '_>,
    skeleton: &Skeleton,
    scales: &Scales,
    offsets: &Offsets,
) -> Result<()> {
    let place =
        |i: usize, m: &Marker| m.location.component_mul(&Vector3::from(scales.0[m.body.index()])) + offsets.0[i];
    let sockets = document::version(source)? >= 30505;
    let by_name: HashMap<&str, usize> =
        skeleton.markers.iter().enumerate().map(|(i, m)| (m.name.as_str(), i)).collect();
    let written: HashSet<&str> = model.markers.iter().map(|m| m.name).collect();
    for element in &model.markers {
        let Some(&i) = by_name.get(element.name) else { continue };
        let marker = &skeleton.markers[i];
        if skeleton.bodies[marker.body.index()].name != element.body || marker.fixed != element.fixed {
            if edits.done.insert(element.node.id()) {
                edits.made.push((element.node.range(), new_marker(skeleton, marker, place(i, marker), sockets)));
            }
            continue;
        }
        edits.offsets(&element.offsets, Vector3::from(scales.0[marker.body.index()]));
        // What lies between the body and the frame it is written in is scaled there.
        let between = (element.location - element.own).component_mul(&Vector3::from(scales.0[marker.body.index()]));
        let new = place(i, marker) - between;
        let unchanged = marker.location == element.location
            && offsets.0[i] == Vector3::zeros()
            && scales.0[marker.body.index()] == [1.0; 3];
        if !unchanged {
            match (child(element.node, "location"), element.node.last_child()) {
                (Some(location), _) => edits.content(location, joined(new.as_slice())),
                (None, Some(last)) => {
                    edits.insert(last.range().end, format!("<location>{}</location>", joined(new.as_slice())));
                }
                // It has at least the name of its body.
                (None, None) => {}
            }
        }
    }
    let new: String = skeleton
        .markers
        .iter()
        .enumerate()
        .filter(|(_, m)| !written.contains(m.name.as_str()))
        .map(|(i, m)| format!("\n\t\t\t\t{}", new_marker(skeleton, m, place(i, m), sockets)))
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    let set = child(model.node, "MarkerSet");
    let objects = set.and_then(|s| child(s, "objects"));
    match (set, objects) {
        (_, Some(objects)) => match objects.last_child() {
            Some(last) => {
                // Before the white space that leads to the closing tag.
                let last = elements(objects).last().unwrap_or(last);
                edits.insert(last.range().end, new);
            }
            None => edits.made.push((objects.range(), format!("<objects>{new}\n\t\t\t</objects>"))),
        },
        (set, None) => {
            let whole = format!(
                "<MarkerSet name=\"markerset\">\n\t\t\t<objects>{new}\n\t\t\t</objects>\n\t\t\t<groups />\n\t\t</MarkerSet>"
            );
            match (set, model.node.last_child()) {
                (Some(set), _) => edits.made.push((set.range(), whole)),
                (None, Some(last)) => {
                    let last = elements(model.node).last().unwrap_or(last);
                    edits.insert(last.range().end, format!("\n\t\t{whole}"));
                }
                (None, None) => {}
            }
        }
    }
    Ok(())
}

fn new_marker(skeleton: &Skeleton, marker: &Marker, place: Vector3<f64>, sockets: bool) -> String {
    let body = &skeleton.bodies[marker.body.index()].name;
    let frame = match (sockets, marker.body.index()) {
        (true, 0) => "<socket_parent_frame>/ground</socket_parent_frame>".to_owned(),
        (true, _) => format!("<socket_parent_frame>/bodyset/{}</socket_parent_frame>", escaped(body)),
        (false, _) => format!("<body>{}</body>", escaped(body)),
    };
    format!(
        "<Marker name=\"{}\">{frame}<location>{}</location><fixed>{}</fixed></Marker>",
        escaped(&marker.name),
        joined(place.as_slice()),
        marker.fixed
    )
}

/// The markers of a skeleton, scaled and moved, as a marker set file.
pub fn write_marker_set(skeleton: &Skeleton, scales: &Scales, offsets: &Offsets) -> String {
    let place = |(m, offset): (&Marker, &Vector3<f64>)| {
        let place = m.location.component_mul(&Vector3::from(scales.0[m.body.index()])) + offset;
        format!("\n\t\t\t{}", new_marker(skeleton, m, place, true))
    };
    let markers: String = skeleton.markers.iter().zip(&offsets.0).map(place).collect();
    set_document("MarkerSet", "markerset", &markers)
}

/// The factors of all bodies as a scale set file.
pub fn write_scale_set(skeleton: &Skeleton, scales: &Scales, name: &str) -> String {
    let scale = |(body, factors): (&crate::skeleton::Body, &[f64; 3])| {
        format!(
            "\n\t\t\t<Scale><scales>{}</scales><segment>{}</segment><apply>true</apply></Scale>",
            joined(factors),
            escaped(&body.name)
        )
    };
    let all: String = skeleton.bodies.iter().zip(&scales.0).map(scale).collect();
    set_document("ScaleSet", name, &all)
}

fn set_document(tag: &str, name: &str, objects: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n<OpenSimDocument Version=\"40000\">\n\t<{tag} name=\"{}\">\n\t\t<objects>{objects}\n\t\t</objects>\n\t\t<groups />\n\t</{tag}>\n</OpenSimDocument>\n",
        escaped(name)
    )
}
