//! Which bodies are scaled together.
//!
//! A body's factor is `1 + Σ` of the parameters of its groups, axis by axis: groups may overlap.

use super::symmetry::without_side;
use super::xml::{nearest, shortened};
use super::{BodyId, GROUND, Operation, Scales, Skeleton, read_text};
use crate::{Error, Result};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// Bodies that share a scale parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct ScaleGroup {
    /// Name, for reports.
    pub name: String,
    /// Its bodies, and along which of their axes the parameter counts.
    pub members: Vec<(BodyId, [bool; 3])>,
    /// Standard deviation of the parameter among people, where it is known.
    pub prior_sd: Option<f64>,
}

/// The free scale parameters of a skeleton.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScaleGroups {
    /// One parameter each.
    pub groups: Vec<ScaleGroup>,
}

/// A leaf with fewer markers shows where it is but not how large.
const MARKERS_THAT_SHOW_SIZE: usize = 2;

/// Standard deviation of a segment's share in stature: about 4 % among adults (de Leva 1996 and the surveys it adjusts), a little more for children.
const SEGMENT_SD: f64 = 0.05;

/// Standard deviation of a body's proportions along one axis: segments differ in stoutness by about twice what they do in length.
const AXIS_SD: f64 = 0.1;

/// Standard deviation of size as a whole: wide enough for children.
const OVERALL_SD: f64 = 0.2;

impl ScaleGroups {
    /// The factors of every body for one parameter per group.
    pub fn factors(&self, skeleton: &Skeleton, parameters: &[f64]) -> Scales {
        let mut scales = Scales::ones(skeleton);
        for (group, parameter) in self.groups.iter().zip(parameters) {
            for (body, axes) in &group.members {
                for (factor, counts) in scales.0[body.index()].iter_mut().zip(axes) {
                    if *counts {
                        *factor += parameter;
                    }
                }
            }
        }
        scales
    }

    /// Reads groups from a JSON file: `{"groups": {"thigh": ["femur_r", "femur_l:y"]}}`; letters after a colon say along which axes, all where there are none.
    ///
    /// # Errors
    /// Where the file cannot be read, names a body the skeleton does not have, or holds an empty group.
    pub fn read(path: &Path, skeleton: &Skeleton) -> Result<Self> {
        Self::from_json(&path.display().to_string(), &read_text(path)?, skeleton)
    }

    /// The same from text; `label` stands for the path in errors.
    pub fn from_json(label: &str, text: &str, skeleton: &Skeleton) -> Result<Self> {
        let file: File = serde_json::from_str(text).map_err(|e| {
            Error::input(
                format_args!("{label}:{}", e.line()),
                format_args!("this is not a file of scale groups: {e}"),
                "write {\"groups\": {\"name\": [\"body\", …], …}}",
            )
        })?;
        let mut made = Self::default();
        for (name, members) in file.groups.0 {
            let place = format!("{label}, group `{}`", shortened(&name));
            if made.groups.iter().any(|g| g.name == name) {
                return Err(Error::input(place, "a second group has this name", "give every group its own name"));
            }
            if members.is_empty() {
                return Err(Error::input(place, "the group has no bodies", "name some, or remove it"));
            }
            let mut seen = HashSet::new();
            let members = members
                .iter()
                .map(|member| {
                    let (body, axes) = member_of(&place, member, skeleton)?;
                    if !seen.insert(body) {
                        return Err(Error::input(
                            &place,
                            format_args!("`{}` stands in it twice", skeleton.bodies[body.index()].name),
                            "leave it once, with all its axes: \"body:xy\"",
                        ));
                    }
                    Ok((body, axes))
                })
                .collect::<Result<Vec<_>>>()?;
            let prior_sd = match file.prior_sd.get(&name) {
                Some(sd) if !(sd.is_finite() && *sd > 0.0) => {
                    return Err(Error::input(
                        place,
                        format_args!("its prior_sd is {sd}"),
                        "give the standard deviation of the factor among people, for example 0.05",
                    ));
                }
                sd => sd.copied(),
            };
            made.groups.push(ScaleGroup { name, members, prior_sd });
        }
        if made.groups.is_empty() {
            return Err(Error::input(label, "there are no groups in it", "write at least one"));
        }
        Ok(made)
    }

    /// Groups that the markers of the skeleton can tell apart: see [`ScaleGroups::for_markers`].
    pub fn default_for(skeleton: &Skeleton) -> Self {
        Self::for_markers(skeleton, |_| true)
    }

    /// One group for each segment of the body whose size the markers that `observed` accepts can show, left and right together.
    ///
    /// Bodies of one segment (foot, forearm, trunk) stay together; one that nothing observed lies beyond, one without a length of its own,
    /// and an end (head, hand) with fewer than two markers join their neighbour.
    pub fn for_markers(skeleton: &Skeleton, observed: impl Fn(usize) -> bool) -> Self {
        let n = skeleton.bodies.len();
        let mut own = vec![0usize; n];
        for (i, marker) in skeleton.markers.iter().enumerate() {
            own[marker.body.index()] += usize::from(observed(i));
        }
        let mut beyond = own.clone();
        let mut children = vec![Vec::new(); n];
        for b in (1..n).rev() {
            let parent = skeleton.bodies[b].parent.index();
            beyond[parent] += beyond[b];
            children[parent].push(b);
        }
        let mut sets = Sets((0..n).collect());
        let mut first_of: HashMap<String, usize> = HashMap::new();
        let stems: Vec<String> = skeleton
            .bodies
            .iter()
            .map(|b| without_side(&b.name).map_or_else(|| b.name.clone(), |(stem, _)| stem).to_lowercase())
            .collect();
        let segments: Vec<Option<&str>> = stems.iter().map(|stem| segment(stem)).collect();
        for b in 1..n {
            // The two sides, and the bodies of one segment, of either side.
            let key = segments[b].map_or_else(|| stems[b].clone(), |s| format!("\0{s}"));
            let first = *first_of.entry(key).or_insert(b);
            sets.join(first, b);
        }
        for b in 1..n {
            let parent = skeleton.bodies[b].parent;
            let leaf = children[b].iter().all(|&c| beyond[c] == 0);
            let hidden = beyond[b] == 0 || (leaf && own[b] < MARKERS_THAT_SHOW_SIZE && segments[b] != Some("foot"));
            let without_length = own[b] == 0 && !children[b].is_empty() && length(skeleton, b, &children[b]) < 0.01;
            if (hidden || without_length) && segments[b] != Some("pelvis") {
                if parent != GROUND {
                    sets.join(parent.index(), b);
                } else if let Some(&child) = children[b].iter().max_by_key(|&&c| beyond[c]) {
                    sets.join(child, b);
                }
            }
        }
        let mut made = Self::default();
        let mut group_of: HashMap<usize, usize> = HashMap::new();
        let mut members_by_group: Vec<Vec<usize>> = Vec::new();
        for b in 1..n {
            let group = *group_of.entry(sets.find(b)).or_insert_with(|| {
                members_by_group.push(Vec::new());
                members_by_group.len() - 1
            });
            members_by_group[group].push(b);
        }
        for members in members_by_group {
            // Named after the first of them that has a size of its own.
            let sized = |b: usize| beyond[b] > 0 && (own[b] > 0 || length(skeleton, b, &children[b]) >= 0.01);
            let best = members.iter().copied().find(|&b| sized(b)).unwrap_or(members[0]);
            let base = segments[best].map_or_else(|| stems[best].clone(), str::to_owned);
            let mut name = base.clone();
            let mut k = 1;
            while made.groups.iter().any(|g| g.name == name) {
                k += 1;
                name = format!("{base}_{k}");
            }
            let members = members.into_iter().map(|b| (BodyId(b as u32), [true; 3])).collect();
            made.groups.push(ScaleGroup { name, members, prior_sd: Some(SEGMENT_SD) });
        }
        made
    }

    /// These groups and one more, `overall`, of all bodies: then the others are deviations from a common size.
    pub fn with_overall(mut self, skeleton: &Skeleton) -> Self {
        let members = (1..skeleton.bodies.len()).map(|b| (BodyId(b as u32), [true; 3])).collect();
        self.groups.push(ScaleGroup { name: "overall".into(), members, prior_sd: Some(OVERALL_SD) });
        self
    }

    /// These groups and one more for each body and each of its axes, the two sides together: what markers on the skin of every segment can tell, keypoints of joints cannot.
    pub fn with_axes(mut self, skeleton: &Skeleton) -> Self {
        let mut by_name: Vec<(String, Vec<BodyId>)> = Vec::new();
        for (b, body) in skeleton.bodies.iter().enumerate().skip(1) {
            let name = without_side(&body.name).map_or_else(|| body.name.clone(), |(stem, _)| stem);
            match by_name.iter_mut().find(|(n, _)| *n == name) {
                Some((_, bodies)) => bodies.push(BodyId(b as u32)),
                None => by_name.push((name, vec![BodyId(b as u32)])),
            }
        }
        for (name, bodies) in by_name {
            for (axis, letter) in ["x", "y", "z"].into_iter().enumerate() {
                let along = std::array::from_fn(|i| i == axis);
                let members = bodies.iter().map(|&b| (b, along)).collect();
                self.groups.push(ScaleGroup { name: format!("{name}:{letter}"), members, prior_sd: Some(AXIS_SD) });
            }
        }
        self
    }
}

/// The segments that models split into several bodies.
fn segment(stem: &str) -> Option<&'static str> {
    let has = |words: &[&str]| words.iter().any(|w| stem.contains(w));
    if has(&["talus", "calcn", "calcan", "toe", "foot", "feet", "navicular", "metatars", "cuneif", "cuboid"]) {
        Some("foot")
    } else if has(&["ulna", "radius", "forearm", "lower_arm", "lowerarm"]) {
        Some("forearm")
    } else if has(&["torso", "thorax", "chest", "abdom", "lumbar", "spine", "waist", "trunk", "ribs"]) {
        Some("torso")
    } else if has(&["pelvis", "sacrum"]) {
        Some("pelvis")
    } else if has(&["hand", "finger", "thumb", "carp", "capitate", "lunate", "wrist"]) {
        Some("hand")
    } else {
        None
    }
}

/// The longest fixed displacement inside a body: to its children, or from its own joint.
fn length(skeleton: &Skeleton, body: usize, children: &[usize]) -> f64 {
    let bodies = children.iter().chain([&body]);
    bodies
        .flat_map(|&b| &skeleton.operations[skeleton.bodies[b].operations.clone()])
        .filter_map(|operation| match operation {
            Operation::Translate { offset, scaled_by } if scaled_by.index() == body => Some(offset.norm()),
            _ => None,
        })
        .fold(0.0, f64::max)
}

/// `body` or `body:axes`.
fn member_of(place: &str, member: &str, skeleton: &Skeleton) -> Result<(BodyId, [bool; 3])> {
    let (name, axes) = match member.rsplit_once(':') {
        Some((name, axes)) if skeleton.body(member).is_none() => (name, axes),
        _ => (member, "xyz"),
    };
    let known = !axes.is_empty() && axes.chars().all(|c| "xyz".contains(c));
    if !known {
        return Err(Error::input(
            place,
            format_args!("`{}` names axes other than x, y and z", shortened(member)),
            "write for example \"femur_r:y\"",
        ));
    }
    match skeleton.body(name) {
        Some(body) if body != GROUND => Ok((body, ['x', 'y', 'z'].map(|a| axes.contains(a)))),
        Some(_) => Err(Error::input(place, "ground cannot be scaled", "remove it from the group")),
        None => Err(Error::input(
            place,
            format_args!("the model has no body `{}`", shortened(name)),
            format_args!(
                "correct the name; {}",
                nearest(name, skeleton.bodies.iter().skip(1).map(|b| b.name.as_str()))
            ),
        )),
    }
}

/// Sets of bodies that are joined step by step.
struct Sets(Vec<usize>);

impl Sets {
    fn find(&mut self, mut a: usize) -> usize {
        while self.0[a] != a {
            self.0[a] = self.0[self.0[a]];
            a = self.0[a];
        }
        a
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        self.0[a.max(b)] = a.min(b);
    }
}

#[derive(serde::Deserialize)]
struct File {
    groups: InOrder,
    #[serde(default)]
    prior_sd: HashMap<String, f64>,
}

/// A JSON object of lists, in the file's order.
struct InOrder(Vec<(String, Vec<String>)>);

impl<'de> Deserialize<'de> for InOrder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = InOrder;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("an object of lists of body names")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<InOrder, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(InOrder(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}
