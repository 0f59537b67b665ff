//! What a conversion from one format to the other leaves behind.

use super::{Coordinate, ModelSource, Skeleton, mjcf, opensim_name, osim};
use crate::error::Result;

/// Numbers of two formats that differ by less are the same.
const AGREEMENT: f64 = 1e-9;

/// Whether the first of two coordinates has something that the second has not.
type Lost = fn(&Coordinate, &Coordinate) -> bool;

fn differs(a: f64, b: f64) -> bool {
    (a - b).abs() > AGREEMENT * a.abs().max(1.0)
}

/// What the document of a model has that was not converted with it into another format's, kind by kind, but for what [`crate::kinematics::compare`] names; nothing where the format is the same,
/// for then a model is written as its own text.
///
/// # Errors
/// [`crate::Error`] where the document cannot be read again.
pub fn left_behind(skeleton: &Skeleton, converted: &Skeleton) -> Result<Vec<String>> {
    let things = match (&skeleton.source, &converted.source) {
        (ModelSource::Osim { path, text }, ModelSource::Mjcf { .. }) => osim::left_behind(path, text)?,
        (ModelSource::Mjcf { path, text }, ModelSource::Osim { .. }) => mjcf::left_behind(path, text)?,
        _ => return Ok(Vec::new()),
    };
    let mut said: Vec<String> = Vec::new();
    if !things.is_empty() {
        said.push(things.join(", "));
    }
    let kinds: [(&str, Lost); 4] = [
        // The value of one that follows another is that other's doing.
        ("default values", |a, b| a.coupling.is_none() && differs(a.default, b.default)),
        ("ranges", |a, b| match (a.range, b.range.or(b.placeholder)) {
            (Some(a), Some(b)) => differs(a[0], b[0]) || differs(a[1], b[1]),
            (a, _) => a.is_some(),
        }),
        ("clamping", |a, b| a.clamped && a.range.is_some() && !b.clamped),
        ("locks", |a, b| a.locked && !b.locked),
    ];
    for (kind, lost) in kinds {
        let pairs = skeleton.coordinates.iter().filter_map(|a| {
            let name = opensim_name(&a.name);
            converted.coordinates.iter().find(|b| opensim_name(&b.name) == name).map(|b| (a, b))
        });
        let names: Vec<&str> = pairs.filter(|&(a, b)| lost(a, b)).map(|(a, _)| a.name.as_str()).collect();
        if !names.is_empty() {
            said.push(format!("{kind} of coordinates: {}", names.join(", ")));
        }
    }
    let fixed = skeleton.markers.iter().filter(|m| m.fixed).count();
    if fixed > converted.markers.iter().filter(|m| m.fixed).count() {
        said.push("which markers are fixed".into());
    }
    Ok(said)
}

/// Both programs want masses, and get some.
pub(super) const MASSES: &str = "masses and inertias (placeholders stand in their place)";

/// `2 forces`, unless there are none.
pub(super) fn counted(count: usize, one: &str, many: &str) -> Option<String> {
    (count > 0).then(|| format!("{count} {}", if count == 1 { one } else { many }))
}
