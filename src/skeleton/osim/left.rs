//! What no other format is given of an OpenSim model.

use crate::error::Result;
use crate::skeleton::left::{MASSES, counted};
use crate::skeleton::xml::{self, Source, child, elements, flag, text};
use roxmltree::Node;

/// Kind by kind, with how many there are.
pub(in crate::skeleton) fn left_behind(path: &str, content: &str) -> Result<Vec<String>> {
    let document = xml::parse(path, content)?;
    let source = Source { label: path, document: &document };
    let root = document.root_element();
    let model = root.descendants().find(|n| n.has_tag_name("Model")).unwrap_or(root);
    let weighs = |body: &Node| child(*body, "mass").is_some_and(|m| text(m).parse::<f64>().is_ok_and(|kg| kg != 0.0));
    let mut left = Vec::new();
    if objects(model, "BodySet").iter().any(weighs) {
        left.push(MASSES.to_owned());
    }
    if model.descendants().any(is_geometry) {
        left.push("geometry".to_owned());
    }
    let (muscles, forces): (Vec<_>, Vec<_>) =
        objects(model, "ForceSet").into_iter().partition(|n| n.tag_name().name().contains("Muscle"));
    let wrapping = model.descendants().filter(|n| n.has_tag_name("WrapObjectSet"));
    let wrapping: usize = wrapping.map(|set| child(set, "objects").map_or(0, |list| elements(list).count())).sum();
    // As the reader of constraints asks it.
    let enforced = |n: &Node| match child(*n, "isEnforced") {
        Some(_) => flag(source, *n, "isEnforced", true),
        None => flag(source, *n, "isDisabled", false).map(|disabled| !disabled),
    };
    let free = objects(model, "ConstraintSet").into_iter().filter(|n| !enforced(n).unwrap_or(true)).count();
    let all = |sets: &[&'static str]| sets.iter().map(|&set| objects(model, set).len()).sum::<usize>();
    left.extend(
        [
            counted(muscles.len(), "muscle", "muscles"),
            counted(forces.len(), "force or actuator", "forces and actuators"),
            counted(wrapping, "wrapping object", "wrapping objects"),
            counted(all(&["ContactGeometrySet"]), "contact geometry", "contact geometries"),
            counted(all(&["ControllerSet"]), "controller", "controllers"),
            counted(all(&["ProbeSet"]), "probe", "probes"),
            counted(free, "constraint that is not enforced", "constraints that are not enforced"),
            counted(
                all(&["components", "ComponentSet", "MiscModelComponentSet", "ModelComponentSet"]),
                "other component",
                "other components",
            ),
        ]
        .into_iter()
        .flatten(),
    );
    Ok(left)
}

/// What a model's set of that name holds.
fn objects<'a, 'i>(model: Node<'a, 'i>, set: &'static str) -> Vec<Node<'a, 'i>> {
    let sets = elements(model).filter(|n| n.has_tag_name(set));
    let lists = sets.flat_map(|set| elements(child(set, "objects").unwrap_or(set)));
    lists.filter(|n| !matches!(n.tag_name().name(), "objects" | "groups" | "defaults")).collect()
}

/// What is seen of a body; the axes of its frame and the ways of muscles are not it.
fn is_geometry(node: Node) -> bool {
    let of = node.parent_element().map_or("", |n| n.tag_name().name());
    if !matches!(of, "Body" | "Ground" | "ground" | "PhysicalOffsetFrame") {
        return false;
    }
    match node.tag_name().name() {
        "attached_geometry" => elements(node).next().is_some(),
        "VisibleObject" => node.descendants().any(|n| {
            n.has_tag_name("DisplayGeometry")
                || (n.has_tag_name("geometry_files") && !matches!(text(n), "" | "Unassigned"))
        }),
        _ => false,
    }
}
