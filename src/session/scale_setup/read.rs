//! Reading the setup file. What is not understood in it is refused by name.

use super::{BodyScale, ManualScale, MarkerPair, MarkerPlacer, Measurement, ModelScaler, ScaleSetup, ScalingStep};
use crate::error::{Error, Result};
use crate::session::tasks::{self, IkTasks, check, members};
use crate::skeleton::read::read_text;
use crate::skeleton::xml::{self, Source, child, flag, shortened, text};
use roxmltree::Node;
use std::path::{Path, PathBuf};

/// What OpenSim 4.6 lists for the tool and its parts, and with them what older programs did.
const TOOL: &[&str] = &[
    "mass",
    "height",
    "age",
    "notes",
    "GenericModelMaker",
    "ModelScaler",
    "MarkerPlacer",
    "defaults",
    "results_directory",
];
const PARTS: [(&str, &[&str]); 3] = [
    ("GenericModelMaker", &["model_file", "marker_set_file"]),
    (
        "ModelScaler",
        &[
            "apply",
            "scaling_order",
            "MeasurementSet",
            "ScaleSet",
            "marker_file",
            "time_range",
            "preserve_mass_distribution",
            "output_model_file",
            "output_scale_file",
            "output_joint_file",
            "output_muscle_file",
            "max_marker_movement",
        ],
    ),
    (
        "MarkerPlacer",
        &[
            "apply",
            "IKTaskSet",
            "marker_file",
            "coordinate_file",
            "time_range",
            "output_motion_file",
            "output_model_file",
            "output_marker_file",
            "max_marker_movement",
            "output_joint_file",
            "output_muscle_file",
            "optimizer_algorithm",
        ],
    ),
];

/// Reads a setup file of OpenSim's `ScaleTool`.
///
/// # Errors
/// A file that cannot be read, otherwise as [`read_str`].
pub fn read(path: &Path) -> Result<ScaleSetup> {
    let folder = path.parent().unwrap_or(Path::new(""));
    read_str(&path.display().to_string(), &read_text(path)?, folder)
}

/// The same from text; `label` names it in errors, `folder` is what its files are relative to.
///
/// # Errors
/// What is no XML, or has no `ScaleTool`; elements and attributes that are not known in it, its parts and sets; numbers that are none, factors and masses that are not positive, axes, orders and flags that are not
/// known; pairs of other than two markers; times that are not two or run backwards; sets in another file that cannot be read; names of files that end in a folder; what is wrong with the tasks.
pub fn read_str(label: &str, text: &str, folder: &Path) -> Result<ScaleSetup> {
    let document = xml::parse(label, text)?;
    let source = Source { label, document: &document };
    let root = document.root_element();
    let tool = root.descendants().find(|n| n.has_tag_name("ScaleTool")).ok_or_else(|| {
        source.error(root, "there is no <ScaleTool> in the document", "give a setup file of OpenSim's scale tool")
    })?;
    check(source, tool, TOOL)?;
    for (part, known) in PARTS {
        if let Some(node) = child(tool, part) {
            check(source, node, known)?;
        }
    }
    let maker = child(tool, "GenericModelMaker").map(|node| Part { source, node, folder });
    let mass = Part { source, node: tool, folder }.number("mass", -1.0)?;
    let applied = |tag: &str| -> Result<Option<Part<'_, '_>>> {
        let Some(node) = child(tool, tag) else { return Ok(None) };
        Ok(flag(source, node, "apply", true)?.then_some(Part { source, node, folder }))
    };
    Ok(ScaleSetup {
        name: tool.attribute("name").map(str::trim).filter(|n| !n.is_empty()).unwrap_or("subject").to_owned(),
        mass: (mass > 0.0).then_some(mass),
        model_file: maker.and_then(|part| part.path("model_file")),
        marker_set_file: maker.and_then(|part| part.path("marker_set_file")),
        scaler: applied("ModelScaler")?.map(Part::scaler).transpose()?,
        placer: applied("MarkerPlacer")?.map(Part::placer).transpose()?,
    })
}

/// Reads a set.
type Reader<T> = for<'a, 'i> fn(Source<'a, 'i>, Node<'a, 'i>) -> Result<T>;

/// One of the tool's three parts.
#[derive(Clone, Copy)]
struct Part<'a, 'i> {
    source: Source<'a, 'i>,
    node: Node<'a, 'i>,
    folder: &'a Path,
}

impl<'a> Part<'a, '_> {
    fn scaler(self) -> Result<ModelScaler> {
        let order = child(self.node, "scaling_order").map_or("", text);
        let step = |word: &str| match word {
            "measurements" => Ok(ScalingStep::Measurements),
            "manualScale" => Ok(ScalingStep::ManualScale),
            other => Err(self.source.error(
                child(self.node, "scaling_order").unwrap_or(self.node),
                format_args!("`{}` is not a way to scale", shortened(other)),
                "expected measurements, manualScale, or both in the order wanted",
            )),
        };
        Ok(ModelScaler {
            place: self.source.place(self.node),
            order: order.split_whitespace().map(step).collect::<Result<_>>()?,
            measurements: self.set("MeasurementSet", measurements)?.unwrap_or_default(),
            manual: self.set("ScaleSet", manual_scales)?.unwrap_or_default(),
            marker_file: self.path("marker_file"),
            time_range: self.time_range()?,
            preserve_mass_distribution: flag(self.source, self.node, "preserve_mass_distribution", false)?,
            output_model_file: self.output("output_model_file")?,
            output_scale_file: self.output("output_scale_file")?,
        })
    }

    fn placer(self) -> Result<MarkerPlacer> {
        let movement = self.number("max_marker_movement", -1.0)?;
        let tasks = self.set("IKTaskSet", tasks::of_set)?;
        Ok(MarkerPlacer {
            place: self.source.place(self.node),
            tasks: tasks.map_or_else(|| Err(self.missing("IKTaskSet")), Ok::<IkTasks, Error>)?,
            marker_file: self.path("marker_file"),
            coordinate_file: self.path("coordinate_file"),
            time_range: self.time_range()?,
            max_marker_movement: (movement > 0.0).then_some(movement),
            output_model_file: self.output("output_model_file")?,
            output_motion_file: self.output("output_motion_file")?,
            output_marker_file: self.output("output_marker_file")?,
        })
    }

    fn missing(self, tag: &str) -> Error {
        let problem = format_args!("<{tag}> is missing");
        self.source.error(self.node, problem, "add it, or set <apply> to false")
    }

    /// What an element says, unless that is nothing.
    fn said(self, tag: &str) -> Option<&'a str> {
        child(self.node, tag).map(text).filter(|said| !matches!(*said, "" | "Unassigned"))
    }

    fn number(self, tag: &str, default: f64) -> Result<f64> {
        match child(self.node, tag).filter(|n| !text(*n).is_empty()) {
            Some(node) => self.source.number(node, text(node)),
            None => Ok(default),
        }
    }

    fn path(self, tag: &str) -> Option<PathBuf> {
        self.said(tag).map(|said| self.folder.join(said))
    }

    /// The name of a file to be written, without the folder that a setup may put it into.
    fn output(self, tag: &str) -> Result<Option<String>> {
        let Some(said) = self.said(tag) else { return Ok(None) };
        match said.rsplit(['/', '\\']).next() {
            Some(name) if !matches!(name, "" | "." | "..") => Ok(Some(name.to_owned())),
            _ => Err(self.source.error(
                child(self.node, tag).unwrap_or(self.node),
                format_args!("`{}` is no name of a file", shortened(said)),
                "name a file",
            )),
        }
    }

    /// OpenSim's default, −1 to −1, is of no use: it lies before any trial.
    fn time_range(self) -> Result<[f64; 2]> {
        let Some(node) = child(self.node, "time_range").filter(|n| !text(*n).is_empty()) else {
            return Ok([-1.0, -1.0]);
        };
        match self.source.numbers(node, text(node))?.as_slice() {
            [from, to] if from <= to => Ok([*from, *to]),
            [from, to] => Err(self.source.error(
                node,
                format_args!("{from} to {to} runs backwards"),
                "write the earlier time first",
            )),
            other => Err(self.source.error(
                node,
                format_args!("two times are expected, {} found", other.len()),
                "write the times from and to which to average, in seconds",
            )),
        }
    }

    /// What `read` makes of a set, which may stand in a file of its own.
    fn set<T>(self, tag: &str, read: Reader<T>) -> Result<Option<T>> {
        let Some(set) = child(self.node, tag) else { return Ok(None) };
        let Some(file) = set.attribute("file").map(str::trim).filter(|file| !file.is_empty()) else {
            return read(self.source, set).map(Some);
        };
        let path = self.folder.join(file);
        let label = path.display().to_string();
        let text = read_text(&path)?;
        let document = xml::parse(&label, &text)?;
        let source = Source { label: &label, document: &document };
        let root = document.root_element();
        let set = root.descendants().find(|n| n.has_tag_name(tag)).ok_or_else(|| {
            let named =
                format_args!("there is no <{tag}> in the document, and {} takes it from here", self.source.label);
            source.error(root, named, "name the file that holds it")
        })?;
        read(source, set).map(Some)
    }
}

fn measurements<'a, 'i>(source: Source<'a, 'i>, set: Node<'a, 'i>) -> Result<Vec<Measurement>> {
    members(source, set, &["Measurement"])?.into_iter().map(|node| measurement(source, node)).collect()
}

fn measurement<'a, 'i>(source: Source<'a, 'i>, node: Node<'a, 'i>) -> Result<Measurement> {
    check(source, node, &["apply", "MarkerPairSet", "BodyScaleSet"])?;
    let within =
        |set: &str, kind: &str| child(node, set).map_or_else(|| Ok(Vec::new()), |set| members(source, set, &[kind]));
    Ok(Measurement {
        name: node.attribute("name").unwrap_or("").trim().to_owned(),
        apply: flag(source, node, "apply", true)?,
        pairs: within("MarkerPairSet", "MarkerPair")?
            .into_iter()
            .map(|n| marker_pair(source, n))
            .collect::<Result<_>>()?,
        bodies: within("BodyScaleSet", "BodyScale")?
            .into_iter()
            .map(|n| body_scale(source, n))
            .collect::<Result<_>>()?,
    })
}

fn marker_pair<'a, 'i>(source: Source<'a, 'i>, node: Node<'a, 'i>) -> Result<MarkerPair> {
    check(source, node, &["markers"])?;
    let markers = source.need(node, "markers")?;
    let names: Vec<String> = text(markers).split_whitespace().map(str::to_owned).collect();
    let found = names.len();
    let markers = <[String; 2]>::try_from(names).map_err(|_| {
        source.error(
            markers,
            format_args!("a pair has two markers, {found} found"),
            "name two, without spaces in the names",
        )
    })?;
    Ok(MarkerPair { place: source.place(node), markers })
}

fn body_scale<'a, 'i>(source: Source<'a, 'i>, node: Node<'a, 'i>) -> Result<BodyScale> {
    check(source, node, &["axes"])?;
    let mut axes = [false; 3];
    for word in child(node, "axes").map_or("", text).split_whitespace() {
        let axis = ["x", "y", "z"].iter().position(|axis| word.eq_ignore_ascii_case(axis)).ok_or_else(|| {
            source.error(node, format_args!("`{}` is no axis", shortened(word)), "expected X, Y and Z")
        })?;
        axes[axis] = true;
    }
    Ok(BodyScale { place: source.place(node), body: source.name(node)?.to_owned(), axes })
}

fn manual_scales<'a, 'i>(source: Source<'a, 'i>, set: Node<'a, 'i>) -> Result<Vec<ManualScale>> {
    members(source, set, &["Scale"])?.into_iter().map(|node| manual_scale(source, node)).collect()
}

fn manual_scale<'a, 'i>(source: Source<'a, 'i>, node: Node<'a, 'i>) -> Result<ManualScale> {
    check(source, node, &["scales", "segment", "apply"])?;
    let scales = source.need(node, "scales")?;
    let factors: [f64; 3] = source.vector(scales, text(scales))?.into();
    if factors.iter().any(|f| *f <= 0.0) {
        return Err(source.error(scales, format_args!("the factors are {factors:?}"), "give positive numbers"));
    }
    let body = text(source.need(node, "segment")?);
    if body.is_empty() {
        return Err(source.error(node, "it names no body", "name one in <segment>"));
    }
    Ok(ManualScale {
        place: source.place(node),
        body: body.to_owned(),
        apply: flag(source, node, "apply", true)?,
        factors,
    })
}
