//! Reading an output folder back: a fit as the plain data that [`crate::quality::evaluate`] compares with a truth.

use super::outcome::{FORMAT, Outcome, TrialOutcome};
use crate::camera::calibration;
use crate::error::{Error, Result};
use crate::fit::Status;
use crate::quality::{FittedCoordinate, FittedData, FittedOffset, FittedRotor, FittedTrial};
use crate::session::columns::column;
use crate::session::coordinates::file_unit;
use crate::skeleton::{Skeleton, read_model};
use nalgebra::{Quaternion, UnitQuaternion, Vector3};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const ADVICE: &str = "give a folder that `kinefit fit` wrote, with all its files";

/// Reads what a fit left in a folder. Markers are those of the `.trc`, the observed ones.
///
/// # Errors
/// Files that are not there, cannot be read, or do not belong together, by name and line.
pub fn read_folder(folder: &Path) -> Result<FittedData> {
    let path = folder.join("outcome.json");
    let outcome: Outcome = serde_json::from_str(&text(&path)?)
        .map_err(|e| Error::file(&path, format_args!("line {}: is no outcome of a fit: {e}", e.line()), ADVICE))?;
    if outcome.format != FORMAT {
        let problem = format!("format is {}; this version of kinefit reads {FORMAT}", outcome.format);
        return Err(Error::file(&path, problem, "fit again with this version"));
    }
    let mut trials = Vec::new();
    let mut names: Option<[Vec<String>; 2]> = None;
    // A trial that failed on its own left no files.
    for trial in outcome.trials.iter().filter(|t| t.frames > 0 || t.status != Status::Failed) {
        let (read, here) = read_trial(folder, trial)?;
        if names.get_or_insert_with(|| here.clone()) != &here {
            let place = format!("{}: trial `{}`", folder.display(), trial.name);
            return Err(Error::input(place, "its columns are not those of the other trials", ADVICE));
        }
        trials.push(read);
    }
    let Some([columns, markers]) = names else {
        return Err(Error::file(&path, "there are no trials in it", ADVICE));
    };
    let skeleton = model(folder, &columns)?;
    trials.iter_mut().for_each(|trial| to_radians(trial, &skeleton));
    let [w, x, y, z] = outcome.ground_from_world_quat_wxyz;
    Ok(FittedData {
        coordinates: FittedCoordinate::of_model(&skeleton),
        rotors: FittedRotor::of_model(&skeleton),
        markers,
        scales: outcome.body_scales.into_iter().filter_map(|(name, s)| Some((name, all(s)?))).collect(),
        group_factors: pairs(&outcome.scales, &outcome.scales_sd)
            .filter_map(|(name, factor, sd)| Some((name, [(*factor)?, sd.copied().flatten().unwrap_or(0.0)])))
            .collect(),
        offsets: pairs(&outcome.offsets_mm, &outcome.offsets_sd_mm)
            .filter_map(|(name, value, sd)| {
                let metres = |mm: [Option<f64>; 3]| all(mm).map(|v| v.map(|x| 1e-3 * x));
                Some((name, FittedOffset { value: metres(*value)?, sd: sd.copied().and_then(metres) }))
            })
            .collect(),
        rig: calibration::read(&folder.join("cameras.toml"))?,
        ground_from_world: UnitQuaternion::new_normalize(Quaternion::new(w, x, y, z)).to_rotation_matrix(),
        trials,
    })
}

fn pairs<'a, T>(
    values: &'a BTreeMap<String, T>,
    deviations: &'a BTreeMap<String, T>,
) -> impl Iterator<Item = (String, &'a T, Option<&'a T>)> {
    values.iter().map(|(name, value)| (name.clone(), value, deviations.get(name)))
}

fn all(v: [Option<f64>; 3]) -> Option<[f64; 3]> {
    let [x, y, z] = v;
    Some([x?, y?, z?])
}

fn text(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|e| Error::unreadable(path, &e))
}

/// The model whose coordinates are the columns: a folder may hold the other format too, whose coordinates may differ.
fn model(folder: &Path, columns: &[String]) -> Result<Skeleton> {
    for name in ["model.osim", "model.xml"] {
        let path = folder.join(name);
        if !path.is_file() {
            continue;
        }
        let skeleton = read_model(&path)?;
        if skeleton.coordinates.iter().map(|c| column(&c.name)).eq(columns.iter().cloned()) {
            return Ok(skeleton);
        }
    }
    Err(Error::file(folder, "holds no model whose coordinates are those of the motion files", ADVICE))
}

/// From the files' degrees.
fn to_radians(trial: &mut FittedTrial, skeleton: &Skeleton) {
    let units: Vec<f64> = skeleton.coordinates.iter().map(|c| file_unit(c.motion)).collect();
    for row in &mut trial.q {
        row.iter_mut().zip(&units).for_each(|(value, unit)| *value /= unit);
    }
    for row in &mut trial.q_sd {
        row.iter_mut().zip(&units).for_each(|(value, unit)| *value = value.map(|sd| sd / unit));
    }
}

/// The trial in the files' units, the names of its coordinates, and those of its markers.
fn read_trial(folder: &Path, trial: &TrialOutcome) -> Result<(FittedTrial, [Vec<String>; 2])> {
    let file = |end: &str| folder.join(format!("{}.{end}", trial.files));
    let path = file("mot");
    let body = text(&path)?;
    let start = body.lines().position(|line| line == "endheader");
    let start = start.ok_or_else(|| Error::file(&path, "has no line `endheader`", ADVICE))?;
    let motion = Table::read(&path, &body, start + 1, start + 2, '\t')?;
    let path = file("sd.csv");
    let deviations = Table::read(&path, &text(&path)?, 0, 1, ',')?;
    let path = file("trc");
    let places = Table::read(&path, &text(&path)?, 3, 6, '\t')?;
    for (name, rows) in [("sd.csv", deviations.rows.len()), ("trc", places.rows.len())] {
        if rows != motion.rows.len() {
            let problem = format!("has {rows} rows, and the motion file has {}", motion.rows.len());
            return Err(Error::file(&file(name), problem, ADVICE));
        }
    }
    let markers: Vec<String> = places.names.iter().skip(2).step_by(3).filter(|n| !n.is_empty()).cloned().collect();
    let fitted = FittedTrial {
        name: trial.name.clone(),
        first_frame: trial.first_frame,
        q: complete(&file("mot"), &motion, 1, motion.names.len())?,
        q_sd: deviations.rows.into_iter().map(|row| row.into_iter().skip(1).collect()).collect(),
        markers: complete(&file("trc"), &places, 2, 2 + 3 * markers.len())?
            .into_iter()
            .map(|row| row.chunks_exact(3).map(Vector3::from_row_slice).collect())
            .collect(),
    };
    Ok((fitted, [motion.names.into_iter().skip(1).collect(), markers]))
}

/// Columns `from..to` of every row, none of which may be empty.
fn complete(path: &Path, table: &Table, from: usize, to: usize) -> Result<Vec<Vec<f64>>> {
    let row = |(i, row): (usize, &Vec<Option<f64>>)| {
        let numbers: Option<Vec<f64>> = (from..to).map(|k| row.get(k).copied().flatten()).collect();
        numbers.ok_or_else(|| Error::file(path, format_args!("row {} has not a number in every column", i + 1), ADVICE))
    };
    table.rows.iter().enumerate().map(row).collect()
}

/// Names and numbers of a text file; an empty field is `None`.
struct Table {
    names: Vec<String>,
    rows: Vec<Vec<Option<f64>>>,
}

impl Table {
    fn read(path: &Path, body: &str, names: usize, first: usize, separator: char) -> Result<Self> {
        let header = body.lines().nth(names).unwrap_or_default();
        let mut rows = Vec::new();
        for (i, line) in body.lines().enumerate().skip(first) {
            let number =
                |field: &str| match field.trim() {
                    "" => Ok(None),
                    number => number.parse::<f64>().ok().filter(|x| x.is_finite()).map(Some).ok_or_else(|| {
                        Error::file(path, format_args!("line {}: `{number}` is no number", i + 1), ADVICE)
                    }),
                };
            rows.push(line.split(separator).map(number).collect::<Result<_>>()?);
        }
        Ok(Self { names: header.split(separator).map(str::to_owned).collect(), rows })
    }
}
