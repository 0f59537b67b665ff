//! `kinefit convert`: models and marker trials from one format to another; models with proof.

use super::console::print;
use super::model::ModelArguments;
use super::output::place;
use crate::error::{Error, Result};
use crate::kinematics::{Comparison, compare};
use crate::report::OutputFolder;
use crate::session::ground_from_world;
use crate::session::markers::{self, c3d, trc};
use crate::skeleton::xml::{self, Source, child, elements, flag, text};
use crate::skeleton::{
    Coordinate, ModelSource, Offsets, Scales, Skeleton, UpAxis, opensim_name, read_model_str, write_mjcf, write_osim,
};
use clap::Args;
use roxmltree::Node;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const EXAMPLE: &str = "\
Examples:
  kinefit convert model.osim model.xml      OpenSim to MuJoCo, or back
  kinefit convert walk.c3d walk.trc         marker trials

A converted model is read again and compared with the original in 200 random poses; the largest distance between a marker's
two places, between a body's two origins, and the largest angle between its two orientations are printed, the names of what
the other format has no place for, and what else of the document is left behind: masses and inertias, geometry, forces and
the like are not converted. A joint that has no exact counterpart is an error that names it, and nothing is written.";

/// Seed of the poses in which models are compared.
const SEED: u64 = 1;

/// A converted model must put markers and bodies where the original does to this, metres, and turn bodies alike to this, radians: far less than what joint frames are known to, and far
/// above rounding.
const AGREEMENT: f64 = 1e-9;

/// Convert a model (.osim, .xml), showing that nothing moved, or a marker trial (.trc, .c3d)
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Arguments {
    /// What to convert
    #[arg(value_name = "FROM")]
    from: PathBuf,
    /// Where to; its ending says into what
    #[arg(value_name = "TO")]
    to: PathBuf,
    /// OpenSim MarkerSet file whose markers are added to the model's; may be repeated
    #[arg(long, value_name = "FILE")]
    marker_set: Vec<PathBuf>,
}

fn ending(path: &Path) -> String {
    path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default()
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.to.canonicalize().is_ok_and(|to| arguments.from.canonicalize().is_ok_and(|from| from == to)) {
        return Err(Error::input(arguments.to.display(), "is what is to be converted", "give the result another name"));
    }
    match (ending(&arguments.from).as_str(), ending(&arguments.to).as_str()) {
        ("osim" | "xml" | "mjcf", to @ ("osim" | "xml" | "mjcf")) => model(arguments, to == "osim"),
        ("trc" | "c3d", to @ ("trc" | "c3d")) => trial(arguments, to == "trc"),
        (from, to) => Err(Error::input(
            format_args!("{} to {}", arguments.from.display(), arguments.to.display()),
            format_args!("`.{from}` cannot become `.{to}`"),
            "models: .osim and .xml (MuJoCo); marker trials: .trc and .c3d",
        )),
    }
}

fn model(arguments: &Arguments, to_osim: bool) -> Result<ExitCode> {
    let source = ModelArguments { model: Some(arguments.from.clone()), marker_set: arguments.marker_set.clone() };
    let skeleton = source.read()?;
    let (scales, offsets) = (Scales::ones(&skeleton), Offsets::zeros(&skeleton));
    let text =
        if to_osim { write_osim(&skeleton, &scales, &offsets)? } else { write_mjcf(&skeleton, &scales, &offsets)? };
    let label = arguments.to.display().to_string();
    let inexact = |problem: String| {
        let advice = "nothing was written; the model has something that the other format cannot hold exactly";
        Error::file(&arguments.from, problem, advice)
    };
    let converted = read_model_str("the converted model", &text)
        .map_err(|e| inexact(format!("converted, it could not be read again: {e}")))?;
    let found = compare(&skeleton, &converted, SEED);
    let all = [(&found.largest_marker_m, "m"), (&found.largest_body_m, "m"), (&found.largest_turn_rad, "radians")];
    for (largest, unit) in all {
        if let Some((distance, name)) = largest.as_ref().filter(|l| l.0 > AGREEMENT) {
            return Err(inexact(format!("converted, `{name}` would be up to {distance:.1e} {unit} off")));
        }
    }
    let left = left(&skeleton, &converted, to_osim)?;
    let (folder, name) = place(&arguments.to)?;
    OutputFolder::open(folder)?.write(name, text.as_bytes())?;
    print(&format!("Wrote    {label}\n{}{left}", proof(&found)))?;
    Ok(ExitCode::SUCCESS)
}

/// What a comparison found, line by line.
fn proof(found: &Comparison) -> String {
    let far = |largest: &Option<(f64, String)>, unit: &str| match largest {
        None => String::new(),
        Some((0.0, _)) => format!("0 {unit}"),
        Some((d, name)) => format!("{d:.1e} {unit} ({name})"),
    };
    let degrees = found.largest_turn_rad.as_ref().map(|(turn_rad, name)| (turn_rad.to_degrees(), name.clone()));
    let markers = match found.markers {
        0 => "none".to_owned(),
        n => format!("{n}, at most {} from where the original has them", far(&found.largest_marker_m, "m")),
    };
    let mut said = format!(
        "Compared in {} poses of {} coordinates\nMarkers  {markers}\nBodies   {}, origins at most {} from where the original has them, turned by at most {}\n",
        found.poses,
        found.coordinates,
        found.bodies,
        far(&found.largest_body_m, "m"),
        far(&degrees, "°"),
    );
    for (what, names) in [("Lost", &found.lost), ("Added", &found.added)] {
        let kinds = [("markers", &names.markers), ("bodies", &names.bodies), ("coordinates", &names.coordinates)];
        for (kind, names) in kinds.into_iter().filter(|k| !k.1.is_empty()) {
            said += &format!("{what:8} {kind} {}\n", names.join(", "));
        }
    }
    said
}

/// Whether the first of two coordinates has something that the second has not.
type Lost = fn(&Coordinate, &Coordinate) -> bool;

fn differs(a: f64, b: f64) -> bool {
    (a - b).abs() > AGREEMENT * a.abs().max(1.0)
}

/// A line that names what the source document has and the other format's was not given, but for what a comparison names; nothing where there is no such thing.
fn left(skeleton: &Skeleton, converted: &Skeleton, to_osim: bool) -> Result<String> {
    // In its own format a model is written as its own text.
    let things = match (&skeleton.source, to_osim) {
        (ModelSource::Osim { path, text }, false) => left_of_osim(path, text)?,
        (ModelSource::Mjcf { path, text }, true) => left_of_mjcf(path, text)?,
        _ => return Ok(String::new()),
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
    Ok(if said.is_empty() { String::new() } else { format!("Left     {}\n", said.join("; ")) })
}

/// Both programs want masses, and get some.
const MASSES: &str = "masses and inertias (placeholders stand in their place)";

/// `2 forces`, unless there are none.
fn counted(count: usize, one: &str, many: &str) -> Option<String> {
    (count > 0).then(|| format!("{count} {}", if count == 1 { one } else { many }))
}

fn left_of_osim(path: &str, content: &str) -> Result<Vec<String>> {
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

fn left_of_mjcf(path: &str, content: &str) -> Result<Vec<String>> {
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

fn trial(arguments: &Arguments, to_trc: bool) -> Result<ExitCode> {
    if !arguments.marker_set.is_empty() {
        return Err(Error::input("--marker-set", "is for models, and this is a marker trial", "leave it out"));
    }
    let mut trial = markers::read(&arguments.from)?;
    let turned = to_trc && trial.up == Some(UpAxis::Z);
    if turned {
        // A TRC has no place to say which axis is up, and Y is what everybody takes for it.
        let turn = ground_from_world(true, UpAxis::Y);
        trial.positions.iter_mut().flatten().for_each(|p| *p = turn * *p);
        trial.up = None;
    }
    let (folder, name) = place(&arguments.to)?;
    let label = arguments.to.display().to_string();
    let content = if to_trc { trc::to_text(&trial, name)?.into_bytes() } else { c3d::to_bytes(&trial, &label)? };
    OutputFolder::open(folder)?.write(name, &content)?;
    let missing = trial.positions.iter().filter(|p| p.is_none()).count();
    print(&format!(
        "Wrote    {label}: {} frames of {} markers at {} Hz, {missing} of {} positions missing{}\n",
        trial.frames(),
        trial.names.len(),
        trial.rate_hz,
        trial.positions.len(),
        if turned { "; turned from Z up to Y up, (x, y, z) now (y, z, x)" } else { "" }
    ))?;
    Ok(ExitCode::SUCCESS)
}
