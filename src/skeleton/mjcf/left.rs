//! What no other format is given of a MuJoCo model.

use crate::error::Result;
use crate::skeleton::left::{MASSES, counted};
use crate::skeleton::xml::{self, elements};

/// Kind by kind, with how many there are.
pub(in crate::skeleton) fn left_behind(path: &str, content: &str) -> Result<Vec<String>> {
    let document = xml::parse(path, content)?;
    let root = document.root_element();
    let of = |section: &'static str| elements(root).filter(move |n| n.has_tag_name(section)).flat_map(elements);
    let count = |sections: &[&'static str]| sections.iter().map(|&section| of(section).count()).sum::<usize>();
    let world = |tags: &[&str]| {
        let worlds = elements(root).filter(|n| n.has_tag_name("worldbody"));
        worlds.flat_map(|n| n.descendants()).filter(|n| tags.contains(&n.tag_name().name())).count()
    };
    let says = |tag: &str, attributes: &[&str]| {
        root.descendants().any(|n| n.has_tag_name(tag) && attributes.iter().any(|a| n.has_attribute(*a)))
    };
    let mut left = Vec::new();
    if world(&["inertial", "geom"]) > 0 {
        left.push(MASSES.to_owned());
    }
    // Whatever is no joint is inactive, or the model would have been refused.
    let free = of("equality").filter(|n| !n.has_tag_name("joint") || n.attribute("active") == Some("false")).count();
    left.extend(
        [
            counted(world(&["geom"]), "geom", "geoms"),
            counted(world(&["camera"]), "camera", "cameras"),
            counted(world(&["light"]), "light", "lights"),
            counted(count(&["asset"]), "asset", "assets"),
            counted(count(&["actuator"]), "actuator", "actuators"),
            counted(count(&["tendon"]), "tendon", "tendons"),
            counted(count(&["sensor"]), "sensor", "sensors"),
            counted(count(&["contact"]), "contact pair or exclusion", "contact pairs and exclusions"),
            counted(count(&["deformable"]), "deformable body", "deformable bodies"),
            counted(count(&["keyframe"]), "keyframe", "keyframes"),
            counted(free, "equality that is not active", "equalities that are not active"),
            counted(count(&["custom", "extension"]), "custom element", "custom elements"),
        ]
        .into_iter()
        .flatten(),
    );
    if says("joint", &["damping", "stiffness", "armature", "frictionloss", "springdamper"]) {
        left.push("damping and stiffness of joints".to_owned());
    }
    if says("site", &["quat", "axisangle", "euler", "xyaxes", "zaxis"]) {
        left.push("orientations of sites".to_owned());
    }
    Ok(left)
}
