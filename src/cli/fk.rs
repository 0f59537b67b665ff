//! `kinefit fk`: positions of bodies and markers, to check a model against another program.

use super::console::print;
use super::model::ModelArguments;
use super::output::place;
use crate::error::{Error, Result};
use crate::kinematics::{Frame, forward};
use crate::report::OutputFolder;
use crate::skeleton::read::decoded;
use crate::skeleton::xml::shortened;
use crate::skeleton::{Offsets, Scales, Skeleton};
use clap::Args;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const EXAMPLE: &str = "\
Example:
  kinefit fk --model gait2392.osim --coordinates poses.json --out positions.json

with poses.json (radians and metres; what is not given takes the model's default, coupled coordinates are computed):

  { \"poses\": [ { \"q\": { \"hip_flexion_r\": 0.3, \"pelvis_ty\": 0.95 } } ] }

of a MuJoCo model also { \"qpos\": [0, 0, 1, 1, 0, 0, 0, ...] }, MuJoCo's own order: 7 numbers for a free joint, 4 for a ball;
and, if wanted, \"body_scale_factors\": { \"femur_r\": [1.02, 1.05, 1.02] } beside \"poses\". Of every body the origin `p` in
ground and the rotation `R` (x_ground = R x_body + p, by rows) are written, of every marker its position in ground; metres.";

/// Compute where bodies and markers are for given coordinates
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// Poses, a JSON file
    #[arg(long, value_name = "FILE")]
    coordinates: PathBuf,
    /// File for the result [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What the file holds.
#[derive(Debug)]
struct Input {
    poses: Vec<PoseIn>,
    body_scale_factors: BTreeMap<String, [f64; 3]>,
}

#[derive(Debug)]
struct PoseIn {
    q: Option<BTreeMap<String, f64>>,
    qpos: Option<Vec<f64>>,
}

#[derive(Debug, Serialize)]
struct Positions<'a> {
    model: &'a str,
    units: &'static str,
    poses: Vec<PoseOut<'a>>,
}

#[derive(Debug, Serialize)]
struct PoseOut<'a> {
    q: BTreeMap<&'a str, f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    qpos: Option<&'a [f64]>,
    bodies: BTreeMap<&'a str, BodyOut>,
    markers: BTreeMap<&'a str, [f64; 3]>,
}

#[derive(Debug, Serialize)]
struct BodyOut {
    p: [f64; 3],
    #[serde(rename = "R")]
    rotation: [[f64; 3]; 3],
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let skeleton = arguments.model.read()?;
    let input = read(&arguments.coordinates)?;
    let place = arguments.coordinates.display().to_string();
    let scales = factors(&skeleton, &input, &place)?;
    let poses = input
        .poses
        .iter()
        .enumerate()
        .map(|(i, pose)| positions(&skeleton, &scales, pose, &format!("{place}: pose {i}")))
        .collect::<Result<_>>()?;
    let result = Positions { model: &skeleton.name, units: "m, rad; R by rows, x_ground = R x_body + p", poses };
    // Plain structs with text keys, written to memory: nothing here can fail.
    let mut text = serde_json::to_string_pretty(&result).unwrap_or_default();
    text.push('\n');
    match &arguments.out {
        Some(path) => write(path, &text)?,
        None => print(&text)?,
    }
    Ok(ExitCode::SUCCESS)
}

const FORM: &str = "write { \"poses\": [ { \"q\": { \"<coordinate>\": <number>, ... } }, ... ] }, radians and metres";

fn read(path: &Path) -> Result<Input> {
    let text = decoded(std::fs::read(path).map_err(|e| Error::unreadable(path, &e))?);
    let whole: Value = serde_json::from_str(&text).map_err(|e| {
        let problem = if e.is_eof() { "the file ends before its JSON does" } else { "this is not valid JSON" };
        Error::input(format_args!("{}, line {}, column {}", path.display(), e.line(), e.column()), problem, FORM)
    })?;
    let wrong = |place: &str, problem: String| {
        let place = if place.is_empty() { path.display().to_string() } else { format!("{}: {place}", path.display()) };
        Err(Error::input(place, problem, FORM))
    };
    let misspelt = whole.as_object().into_iter().flat_map(|o| o.keys()).find(|key| {
        let key = key.to_ascii_lowercase();
        key != "body_scale_factors" && (key.contains("scale") || key.contains("factor"))
    });
    if let Some(key) = misspelt {
        return wrong(&shortened(key), "it is not understood; factors are called \"body_scale_factors\"".into());
    }
    let Some(poses) = whole.get("poses") else { return wrong("", "there is no list \"poses\"".into()) };
    let Some(poses) = poses.as_array() else { return wrong("poses", format!("it is {}, not a list", kind(poses))) };
    let mut input = Input { poses: Vec::with_capacity(poses.len()), body_scale_factors: BTreeMap::new() };
    for (i, pose) in poses.iter().enumerate() {
        let place = format!("pose {i}");
        if !pose.is_object() {
            return wrong(&place, format!("it is {}, not an object with \"q\" or \"qpos\"", kind(pose)));
        }
        let mut read = PoseIn { q: None, qpos: None };
        if let Some(q) = pose.get("q").filter(|q| !q.is_null()) {
            let Some(q) = q.as_object() else {
                return wrong(&format!("{place}: q"), format!("it is {}, not an object of coordinates", kind(q)));
            };
            let mut values = BTreeMap::new();
            for (name, value) in q {
                let Some(value) = value.as_f64() else {
                    return wrong(
                        &format!("{place}: {}", shortened(name)),
                        format!("it is {}, not a number", kind(value)),
                    );
                };
                values.insert(name.clone(), value);
            }
            read.q = Some(values);
        }
        if let Some(qpos) = pose.get("qpos").filter(|q| !q.is_null()) {
            match numbers(qpos) {
                Some(numbers) => read.qpos = Some(numbers),
                None => return wrong(&format!("{place}: qpos"), "it is not a list of numbers".into()),
            }
        }
        input.poses.push(read);
    }
    if let Some(factors) = whole.get("body_scale_factors").filter(|f| !f.is_null()) {
        let Some(bodies) = factors.as_object() else {
            return wrong("body_scale_factors", format!("it is {}, not an object of bodies", kind(factors)));
        };
        for (body, factors) in bodies {
            let Some(factors) = numbers(factors).and_then(|f| <[f64; 3]>::try_from(f).ok()) else {
                let place = format!("body_scale_factors: {}", shortened(body));
                return wrong(&place, "it is not a list of three numbers".into());
            };
            input.body_scale_factors.insert(body.clone(), factors);
        }
    }
    Ok(input)
}

fn numbers(value: &Value) -> Option<Vec<f64>> {
    value.as_array()?.iter().map(Value::as_f64).collect()
}

/// What a JSON value is, for messages.
fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(b) => format!("`{b}`"),
        Value::Number(n) => format!("the number {n}"),
        Value::String(text) => format!("the text \"{}\"", shortened(text)),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    let (folder, name) = place(path)?;
    OutputFolder::open(folder)?.write(name, text.as_bytes())?;
    Ok(())
}

fn factors(skeleton: &Skeleton, input: &Input, place: &str) -> Result<Scales> {
    let mut scales = Scales::ones(skeleton);
    for (name, factors) in &input.body_scale_factors {
        let place = format!("{place}: body_scale_factors: {name}");
        let Some(body) = skeleton.body(name) else {
            return Err(unknown(&place, "body", skeleton, skeleton.bodies.iter().map(|b| b.name.as_str())));
        };
        if !factors.iter().all(|f| f.is_finite() && *f > 0.0) {
            return Err(Error::input(place, format_args!("the factors are {factors:?}"), "give positive numbers"));
        }
        scales.0[body.index()] = *factors;
    }
    Ok(scales)
}

fn unknown<'a>(place: &str, what: &str, skeleton: &Skeleton, names: impl Iterator<Item = &'a str>) -> Error {
    let names: Vec<&str> = names.collect();
    Error::input(
        place,
        format_args!("the model `{}` has no {what} of that name", skeleton.name),
        format_args!("use one of: {}", names.join(", ")),
    )
}

fn positions<'a>(skeleton: &'a Skeleton, scales: &Scales, pose: &'a PoseIn, place: &str) -> Result<PoseOut<'a>> {
    let mut q: Vec<f64> = match (&pose.qpos, &pose.q) {
        (None, Some(_)) => skeleton.coordinates.iter().map(|c| c.default).collect(),
        (Some(qpos), None) => skeleton.coordinates_from_qpos(&format!("{place}: qpos"), qpos)?,
        (None, None) => return Err(Error::input(place, "it has neither \"q\" nor \"qpos\"", "give one of them")),
        (Some(_), Some(_)) => return Err(Error::input(place, "it has both \"q\" and \"qpos\"", "give one of them")),
    };
    for (name, &value) in pose.q.iter().flatten() {
        let place = format!("{place}: {name}");
        let Some(coordinate) = skeleton.coordinate(name) else {
            return Err(unknown(&place, "coordinate", skeleton, skeleton.coordinates.iter().map(|c| c.name.as_str())));
        };
        // JSON has no NaN, but 1e999 reads as infinity.
        if !value.is_finite() {
            return Err(Error::input(place, format_args!("the value is {value}"), "give a finite number"));
        }
        q[coordinate.index()] = value;
    }
    skeleton.resolve_couplings(&mut q);
    let mut frame = Frame::new(skeleton);
    forward(skeleton, scales, &Offsets::zeros(skeleton), &q, &skeleton.rotor_rotations(&q), &mut frame);
    let body = |b: usize| BodyOut {
        p: frame.origins[b].into(),
        rotation: [0, 1, 2].map(|i| [0, 1, 2].map(|j| frame.rotations[b][(i, j)])),
    };
    // The first body is the ground.
    Ok(PoseOut {
        qpos: pose.qpos.as_deref(),
        q: skeleton.coordinates.iter().map(|c| c.name.as_str()).zip(q.iter().copied()).collect(),
        bodies: skeleton.bodies.iter().enumerate().skip(1).map(|(b, it)| (it.name.as_str(), body(b))).collect(),
        markers: skeleton.markers.iter().zip(&frame.markers).map(|(m, p)| (m.name.as_str(), (*p).into())).collect(),
    })
}
