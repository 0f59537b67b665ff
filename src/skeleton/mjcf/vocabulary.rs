//! The elements and attributes of MJCF in what has a meaning for kinematics: anything else there is refused by name, as MuJoCo does.
//!
//! The names are those of MuJoCo's schema (`mj_printSchema`, 4.0) with those that older versions had. What has no meaning for kinematics (assets, contacts, actuators,
//! sensors, geometry) is not looked into.

use crate::Result;
use crate::skeleton::xml::{Source, elements, nearest, shortened};
use roxmltree::Node;

const SECTIONS: &[&str] = &[
    "compiler",
    "option",
    "size",
    "statistic",
    "visual",
    "default",
    "extension",
    "custom",
    "asset",
    "worldbody",
    "deformable",
    "contact",
    "tendon",
    "equality",
    "actuator",
    "sensor",
    "keyframe",
];
const COMPILER: &[&str] = &[
    "alignfree",
    "angle",
    "assetdir",
    "autolimits",
    "balanceinertia",
    "boundinertia",
    "boundmass",
    "conflict",
    "convexhull",
    "coordinate",
    "discardvisual",
    "eulerseq",
    "exactmeshinertia",
    "fitaabb",
    "fusestatic",
    "inertiafromgeom",
    "inertiagrouprange",
    "meshdir",
    "passthrough",
    "savecanonical",
    "savecompiled",
    "saveinertial",
    "settotalmass",
    "strippath",
    "texturedir",
    "usethread",
];
const DEFAULTS: &[&str] = &[
    "default",
    "mesh",
    "texture",
    "material",
    "skin",
    "joint",
    "geom",
    "site",
    "camera",
    "light",
    "pair",
    "equality",
    "tendon",
    "general",
    "motor",
    "position",
    "velocity",
    "intvelocity",
    "orientation",
    "pid",
    "damper",
    "cylinder",
    "muscle",
    "adhesion",
    "dcmotor",
    "plugin",
];
const IN_BODY: &[&str] = &[
    "body",
    "frame",
    "inertial",
    "joint",
    "freejoint",
    "geom",
    "site",
    "camera",
    "light",
    "plugin",
    "attach",
    "composite",
    "flexcomp",
    "replicate",
];
const BODY: &[&str] = &[
    "axisangle",
    "childclass",
    "euler",
    "fuse",
    "gravcomp",
    "mocap",
    "name",
    "pos",
    "quat",
    "simple",
    "sleep",
    "user",
    "xyaxes",
    "zaxis",
];
const FRAME: &[&str] = &["axisangle", "childclass", "euler", "name", "pos", "quat", "xyaxes", "zaxis"];
const JOINT: &[&str] = &[
    "actuatorfrclimited",
    "actuatorfrcrange",
    "actuatorgravcomp",
    "armature",
    "axis",
    "class",
    "damping",
    "frictionloss",
    "group",
    "limited",
    "margin",
    "name",
    "pos",
    "range",
    "ref",
    "solimpfriction",
    "solimplimit",
    "solreffriction",
    "solreflimit",
    "springdamper",
    "springref",
    "springyield",
    "stiffness",
    "type",
    "user",
];
const FREE_JOINT: &[&str] = &["align", "group", "name"];
const SITE: &[&str] = &[
    "axisangle",
    "class",
    "euler",
    "fromto",
    "group",
    "material",
    "mesh",
    "name",
    "pos",
    "quat",
    "rgba",
    "size",
    "type",
    "user",
    "xyaxes",
    "zaxis",
];
const EQUALITIES: &[&str] = &["connect", "weld", "joint", "tendon", "flex", "flexvert", "flexstrain", "distance"];
const COUPLING: &[&str] = &["active", "class", "joint1", "joint2", "name", "polycoef", "solimp", "solref"];
const EQUALITY_DEFAULTS: &[&str] = &["active", "solimp", "solref"];

/// Checks a model with its includes expanded.
///
/// # Errors
/// At the first element or attribute that is not understood.
pub(super) fn check<'a, 'i>(source: Source<'a, 'i>, root: Node<'a, 'i>) -> Result<()> {
    attributes(source, root, &["model"])?;
    children(source, root, SECTIONS)?;
    for section in elements(root) {
        match section.tag_name().name() {
            "compiler" => {
                attributes(source, section, COMPILER)?;
                children(source, section, &["lengthrange"])?;
            }
            "default" => default(source, section)?,
            "worldbody" => {
                attributes(source, section, &[])?;
                in_body(source, section)?;
            }
            "equality" => {
                attributes(source, section, &[])?;
                children(source, section, EQUALITIES)?;
                for node in elements(section).filter(|n| n.has_tag_name("joint")) {
                    attributes(source, node, COUPLING)?;
                    children(source, node, &[])?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn default<'a, 'i>(source: Source<'a, 'i>, node: Node<'a, 'i>) -> Result<()> {
    attributes(source, node, &["class"])?;
    children(source, node, DEFAULTS)?;
    for element in elements(node) {
        match element.tag_name().name() {
            "default" => default(source, element)?,
            "joint" => attributes(source, element, JOINT)?,
            "site" => attributes(source, element, SITE)?,
            "equality" => attributes(source, element, EQUALITY_DEFAULTS)?,
            _ => {}
        }
    }
    Ok(())
}

/// What stands in a body, the world or a frame.
fn in_body<'a, 'i>(source: Source<'a, 'i>, body: Node<'a, 'i>) -> Result<()> {
    children(source, body, IN_BODY)?;
    for node in elements(body) {
        let known = match node.tag_name().name() {
            "body" => BODY,
            "frame" => FRAME,
            "joint" => JOINT,
            "freejoint" => FREE_JOINT,
            "site" => SITE,
            _ => continue,
        };
        attributes(source, node, known)?;
        if matches!(node.tag_name().name(), "body" | "frame") {
            in_body(source, node)?;
        } else {
            children(source, node, &[])?;
        }
    }
    Ok(())
}

fn attributes(source: Source<'_, '_>, node: Node<'_, '_>, known: &[&str]) -> Result<()> {
    match node.attributes().find(|a| a.namespace().is_none() && !known.contains(&a.name())) {
        Some(unknown) => {
            let name = shortened(unknown.name());
            let problem = format_args!("the attribute {name}=\"…\" is not understood in a <{}>", tag(node));
            Err(source.error(node, problem, advice(&name, known)))
        }
        None => Ok(()),
    }
}

fn children(source: Source<'_, '_>, node: Node<'_, '_>, known: &[&str]) -> Result<()> {
    match elements(node).find(|n| !known.contains(&n.tag_name().name())) {
        Some(unknown) => {
            let name = tag(unknown);
            let problem = format_args!("<{name}> is not understood in a <{}>", tag(node));
            Err(source.error(unknown, problem, advice(&name, known)))
        }
        None => Ok(()),
    }
}

fn advice(name: &str, known: &[&str]) -> String {
    match known {
        [] => "remove it".into(),
        known => format!("correct its name or remove it; {}", nearest(name, known.iter().copied())),
    }
}

fn tag(node: Node<'_, '_>) -> String {
    shortened(node.tag_name().name())
}
