//! Lengths of muscles and other paths, which grow as their paths do.
//!
//! As OpenSim: fibre, tendon and resting lengths are multiplied by how much longer the path is in the scaled model's default pose. OpenSim lets paths wrap over objects; here
//! they run straight from point to point, so that the factors of those that wrap are approximate.

use super::document::{ModelElements, last_part, socket};
use super::function;
use super::joint::follow;
use super::write::{Edits, scale_number};
use crate::Result;
use crate::skeleton::xml::{Source, child, elements, text};
use nalgebra::{Isometry3, Point3, Translation3, UnitQuaternion, Vector3};
use roxmltree::Node;

/// A model's default pose before and after scaling, for the lengths of its paths.
#[derive(Debug, Clone, PartialEq)]
pub struct DefaultPoses {
    /// Value of every coordinate, file order, dependent ones too.
    pub q: Vec<f64>,
    /// `ground_from_body` of every body, before.
    pub generic: Vec<Isometry3<f64>>,
    /// After.
    pub scaled: Vec<Isometry3<f64>>,
}

/// Lengths that a path's owner has, by the kind of owner.
const LENGTHS: [&str; 4] = ["optimal_fiber_length", "tendon_slack_length", "resting_length", "slack_length"];

/// What paths are measured in.
pub(super) struct Paths<'m, 'a, 'i> {
    pub source: Source<'a, 'i>,
    pub model: &'m ModelElements<'a, 'i>,
    /// Place of a body in the poses.
    pub body: &'m dyn Fn(&str) -> Option<usize>,
    /// Place of a coordinate in the pose.
    pub coordinate: &'m dyn Fn(&str) -> Option<usize>,
    pub factors: &'m dyn Fn(&str) -> Vector3<f64>,
    pub poses: &'m DefaultPoses,
}

/// What became of a path's lengths.
pub(super) enum Scaled {
    /// They are the subject's, or there are none.
    Exactly,
    /// The path wraps.
    Nearly,
    /// The path could not be measured.
    Not,
}

impl<'a, 'i> Paths<'_, 'a, 'i> {
    /// Scales the lengths of the owner of a `GeometryPath`.
    pub fn scale(&self, edits: &mut Edits, path: Node<'a, 'i>) -> Result<Scaled> {
        let owner = path.ancestors().skip(1).find(|n| n.is_element() && !n.has_tag_name("path"));
        let lengths: Vec<_> =
            LENGTHS.into_iter().filter(|tag| owner.is_some_and(|owner| child(owner, tag).is_some())).collect();
        let Some(owner) = owner.filter(|_| !lengths.is_empty()) else { return Ok(Scaled::Exactly) };
        let (mut before, mut after) = (Vec::new(), Vec::new());
        let set = child(path, "PathPointSet").map(|n| child(n, "objects").unwrap_or(n));
        for node in set.into_iter().flat_map(elements) {
            match self.point(node)? {
                Point::At(b, a) => {
                    before.push(b);
                    after.push(a);
                }
                Point::Absent => {}
                Point::Unknown => return Ok(Scaled::Not),
            }
        }
        let (before, after) = (length(&before), length(&after));
        if !(before > 0.0 && after > 0.0) {
            return Ok(Scaled::Not);
        }
        for tag in lengths {
            scale_number(self.source, edits, owner, tag, after / before)?;
        }
        let wraps = child(path, "PathWrapSet").map(|n| child(n, "objects").unwrap_or(n));
        Ok(if wraps.is_some_and(|n| elements(n).next().is_some()) { Scaled::Nearly } else { Scaled::Exactly })
    }

    fn point(&self, node: Node<'a, 'i>) -> Result<Point> {
        let value = |socket_name: &str, old: &str| {
            let name = socket(node, socket_name).or_else(|| child(node, old).map(text))?;
            Some(self.poses.q[(self.coordinate)(last_part(name))?])
        };
        if node.has_tag_name("ConditionalPathPoint") {
            let range = child(node, "range").map_or(Ok(Vec::new()), |n| self.source.numbers(n, text(n)))?;
            let (Some(q), [low, high]) = (value("coordinate", "coordinate"), range.as_slice()) else {
                return Ok(Point::Unknown);
            };
            // OpenSim's own margin.
            if q < low - 1e-5 || q > high + 1e-5 {
                return Ok(Point::Absent);
            }
        }
        let mut at = match child(node, "location") {
            Some(n) => self.source.vector(n, text(n))?,
            None => Vector3::zeros(),
        };
        if node.has_tag_name("MovingPathPoint") {
            for (axis, letter) in ["x", "y", "z"].into_iter().enumerate() {
                let Some(f) = child(node, &format!("{letter}_location")).and_then(|n| elements(n).next()) else {
                    return Ok(Point::Unknown);
                };
                let coordinate = format!("{letter}_coordinate");
                let Some(q) = value(&coordinate, &coordinate) else { return Ok(Point::Unknown) };
                at[axis] = function::read(self.source, f)?.value(q);
            }
        }
        let path = socket(node, "parent_frame").or_else(|| child(node, "body").map(text)).unwrap_or("");
        let Ok((body, offsets)) = follow(self.source, node, path, "", &self.model.names) else {
            return Ok(Point::Unknown);
        };
        let Some(b) = (self.body)(body) else { return Ok(Point::Unknown) };
        let place = |ground_from_body: &Isometry3<f64>, s: Vector3<f64>| {
            let along = offsets.iter().fold(*ground_from_body, |x, o| {
                let turn = UnitQuaternion::from_rotation_matrix(&o.rotation);
                x * Isometry3::from_parts(Translation3::from(o.translation.component_mul(&s)), turn)
            });
            along * Point3::from(at.component_mul(&s))
        };
        let before = place(&self.poses.generic[b], Vector3::repeat(1.0));
        Ok(Point::At(before, place(&self.poses.scaled[b], (self.factors)(body))))
    }
}

/// Of a line from point to point.
fn length(points: &[Point3<f64>]) -> f64 {
    points.windows(2).map(|pair| (pair[1] - pair[0]).norm()).sum()
}

/// A point of a path.
enum Point {
    /// In ground, before and after scaling.
    At(Point3<f64>, Point3<f64>),
    /// Not part of the path in this pose.
    Absent,
    /// Of a frame or coordinate that is not known.
    Unknown,
}
