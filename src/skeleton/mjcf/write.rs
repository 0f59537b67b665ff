//! Writing MuJoCo models: the source with its numbers scaled.

use super::document::{self, BodyElement};
use super::generate;
use crate::skeleton::generate::{escaped, joined};
use crate::skeleton::xml::{self, Source};
use crate::skeleton::{ModelSource, Offsets, Scales, Skeleton};
use crate::{Error, Result};
use nalgebra::Vector3;
use roxmltree::{Node, NodeId};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// A skeleton as a MuJoCo document (MJCF), with factors and offsets worked in.
///
/// One that came as MJCF is its own text with includes expanded, unchanged but for `pos` of bodies, joints and sites. Masses, geoms, meshes and tendons stay as they are. Markers from marker sets become sites.
///
/// One that came as `.osim` or was made in memory is written anew: coordinates that are angles or lengths themselves become hinges and slides, further motions
/// of theirs that are polynomials up to the fourth degree become joints with an equality. As always in MuJoCo, whoever sets `qpos` sets those too.
///
/// # Errors
/// Where the new document would not move exactly as the skeleton does; the message names the joint and says why.
pub fn write_mjcf(skeleton: &Skeleton, scales: &Scales, offsets: &Offsets) -> Result<String> {
    if scales.0.len() != skeleton.bodies.len() || offsets.0.len() != skeleton.markers.len() {
        return Err(Error::input(
            format_args!("model `{}`", skeleton.name),
            "the scale factors or offsets belong to another model",
            "give one triple of factors per body and one offset per marker",
        ));
    }
    match &skeleton.source {
        ModelSource::Mjcf { path, text } => rewrite(skeleton, scales, offsets, path, text),
        ModelSource::Osim { .. } | ModelSource::None => generate::write(skeleton, scales, offsets),
    }
}

fn rewrite(skeleton: &Skeleton, scales: &Scales, offsets: &Offsets, path: &str, original: &str) -> Result<String> {
    let document = xml::parse(path, original)?;
    let source = Source { label: path, document: &document };
    let model = document::collect(source)?;
    let factors = |b: usize| Vector3::from(scales.0[b]);
    let mut edits = Edits { made: Vec::new(), done: HashSet::new() };
    let by_name: HashMap<&str, usize> =
        skeleton.markers.iter().enumerate().map(|(i, m)| (m.name.as_str(), i)).collect();
    let mut written = HashSet::new();
    for (b, body) in model.bodies.iter().enumerate() {
        if b > 0 {
            let of_parent = factors(body.parent);
            scale_frames(source, &mut edits, &model.bodies[body.parent], body.node, of_parent)?;
            let own = body.node.attribute("pos").map_or(Ok(Vector3::zeros()), |t| source.vector(body.node, t))?;
            edits.position(body.node, own, own.component_mul(&of_parent));
        }
        for joint in &body.joints {
            in_plain_frame(source, body, joint.node, factors(b))?;
            scale_frames(source, &mut edits, body, joint.node, factors(b))?;
            if joint.written != Vector3::zeros() {
                edits.position(joint.node, joint.written, joint.written.component_mul(&factors(b)));
            }
        }
        for site in &body.sites {
            written.insert(site.name.as_str());
            let Some(&i) = by_name.get(site.name.as_str()) else { continue };
            let marker = &skeleton.markers[i];
            if marker.body.index() != b {
                return Err(source.error(
                    site.node,
                    "a marker set moved this site to another body, which cannot be written back",
                    "give the marker of the set a name of its own",
                ));
            }
            scale_frames(source, &mut edits, body, site.node, factors(b))?;
            if site.node.attribute("fromto").is_some() {
                return Err(source.error(site.node, "a site given by fromto cannot be moved", "give it a pos"));
            }
            let unchanged = marker.location == site.position
                && offsets.0[i] == Vector3::zeros()
                && factors(b) == Vector3::repeat(1.0);
            if unchanged {
                continue;
            }
            let in_body = marker.location.component_mul(&factors(b)) + offsets.0[i];
            let frame_in_body = site.frame.position.component_mul(&factors(b));
            let new = site.frame.rotation.inverse() * (in_body - frame_in_body);
            edits.position(site.node, site.written, new);
        }
    }
    for (i, marker) in skeleton.markers.iter().enumerate().filter(|(_, m)| !written.contains(m.name.as_str())) {
        let b = marker.body.index();
        let place = marker.location.component_mul(&factors(b)) + offsets.0[i];
        let site = format!("<site name=\"{}\" pos=\"{}\"/>", escaped(&marker.name), joined(place.as_slice()));
        let node = model.bodies[b].node;
        match node.last_child() {
            Some(last) => edits.made.push((last.range().end..last.range().end, site)),
            None => {
                return Err(source.error(
                    node,
                    "a marker cannot be put into an empty element",
                    "give it an <inertial>",
                ));
            }
        }
    }
    Ok(xml::replaced(original, edits.made))
}

/// Replacements in the text; every element is edited once.
struct Edits {
    made: Vec<(Range<usize>, String)>,
    done: HashSet<NodeId>,
}

impl Edits {
    /// Sets an element's `pos`.
    fn position(&mut self, node: Node<'_, '_>, old: Vector3<f64>, new: Vector3<f64>) {
        if old == new || !self.done.insert(node.id()) {
            return;
        }
        let text = joined(new.as_slice());
        match node.attribute_node("pos") {
            Some(attribute) => self.made.push((attribute.range_value(), text)),
            None => {
                // Behind `<` and the name.
                let at = node.range().start + 1 + node.tag_name().name().len();
                self.made.push((at..at, format!(" pos=\"{text}\"")));
            }
        }
    }
}

/// Scales the `pos` of the `<frame>`s between an element and its body.
fn scale_frames<'a, 'i>(
    source: Source<'a, 'i>,
    edits: &mut Edits,
    body: &BodyElement<'a, 'i>,
    node: Node<'a, 'i>,
    factors: Vector3<f64>,
) -> Result<()> {
    in_plain_frame(source, body, node, factors)?;
    for frame in node.ancestors().skip(1).take_while(|n| n.has_tag_name("frame")) {
        let own = frame.attribute("pos").map_or(Ok(Vector3::zeros()), |t| source.vector(frame, t))?;
        edits.position(frame, own, own.component_mul(&factors));
    }
    Ok(())
}

/// Positions in a turned frame cannot be scaled along the body's axes.
fn in_plain_frame<'a, 'i>(
    source: Source<'a, 'i>,
    body: &BodyElement<'a, 'i>,
    node: Node<'a, 'i>,
    factors: Vector3<f64>,
) -> Result<()> {
    let uniform = factors.x == factors.y && factors.y == factors.z;
    let turned = node
        .ancestors()
        .skip(1)
        .take_while(|n| n.has_tag_name("frame"))
        .any(|f| ["quat", "axisangle", "euler", "xyaxes", "zaxis"].iter().any(|a| f.has_attribute(*a)));
    if uniform || !turned {
        return Ok(());
    }
    Err(source.error(
        node,
        format_args!("it stands in a turned <frame>, and body `{}` is scaled differently along its axes", body.name),
        "scale it by one factor, or load and save the model in MuJoCo, which writes frames out",
    ))
}
