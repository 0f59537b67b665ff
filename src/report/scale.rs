//! Files of a scaled model: models, factors, the static pose, markers, figures.

use super::atomic::NewFile;
use super::json;
use super::names::stems;
use crate::error::{Error, Result};
use crate::fit::{MeasuredScales, PlacedMarkers};
use crate::kinematics::{Frame, forward};
use crate::session::coordinates::{CoordinateTable, file_unit};
use crate::session::scale_setup::ScaleSetup;
use crate::skeleton::{
    DefaultPoses, Offsets, Scales, Skeleton, Subject, write_marker_set, write_scale_set, write_subject_osim,
};
use nalgebra::{Isometry3, Rotation3, Vector3};
use serde::Serialize;
use std::collections::BTreeMap;

/// What `<subject>_scale.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScaleSummary {
    /// Version of this form.
    pub format: u32,
    /// Name of the subject and of the scaled model.
    pub subject: String,
    /// Name of the model that was scaled.
    pub model: String,
    /// Mass that the setup gives the model, kg.
    pub mass_kg: Option<f64>,
    /// What was measured.
    pub measurements: Vec<MeasurementFigures>,
    /// Factors of the bodies that were scaled, along their x, y and z.
    pub body_scale_factors: BTreeMap<String, [f64; 3]>,
    /// How the markers were placed, where they were.
    pub placed: Option<PlacementFigures>,
    /// Parts of the model that have a size and are not exactly the subject's, by kind.
    pub inexact: BTreeMap<&'static str, usize>,
    /// What deserves a look.
    pub warnings: Vec<String>,
    /// Names of the other files.
    pub files: Vec<String>,
}

/// A measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeasurementFigures {
    /// Its name.
    pub name: String,
    /// Its factor, `None` where it was not used.
    pub factor: Option<f64>,
    /// Its pairs of markers.
    pub pairs: Vec<PairFigures>,
}

/// A pair of markers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairFigures {
    /// Their names.
    pub markers: [String; 2],
    /// Their distance in the model, metres.
    pub model_m: f64,
    /// In the trial, metres.
    pub measured_m: f64,
}

/// How markers were placed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlacementFigures {
    /// Root mean square distance of the markers that the static pose followed, before they were moved, metres.
    pub rms_m: Option<f64>,
    /// The largest of these distances, metres, and its marker.
    pub largest: Option<(String, f64)>,
    /// Markers that were moved, each by how far in the frame of its body, mm.
    pub moved_mm: BTreeMap<String, [f64; 3]>,
    /// Markers of the model that the trial does not have; they were removed.
    pub removed: Vec<String>,
}

/// All files of a scaled model. `skeleton` is the model with its marker set.
///
/// # Errors
/// A model that cannot be written, and two files of one name.
pub fn scale_files(
    setup: &ScaleSetup,
    skeleton: &Skeleton,
    measured: Option<&MeasuredScales>,
    placed: Option<&PlacedMarkers>,
) -> Result<(Vec<NewFile>, ScaleSummary)> {
    let scales = measured.map_or_else(|| Scales::ones(skeleton), |m| m.scales.clone());
    let (scaler, placer) = (setup.scaler.as_ref(), setup.placer.as_ref());
    let subject = Subject {
        name: setup.name.clone(),
        mass: setup.mass,
        preserve_mass_distribution: scaler.is_some_and(|s| s.preserve_mass_distribution),
        poses: measured.map(|m| default_poses(skeleton, &m.scales)),
    };
    let stem = stems([setup.name.as_str()]).concat();
    let own_name = || format!("{stem}.osim");
    let mut files = Vec::new();
    let mut add = |name: String, text: String| files.push(NewFile { name, content: text.into_bytes() });
    let scaled_only = scaler.and_then(|s| s.output_model_file.clone());
    let last = match placed {
        Some(_) => placer.and_then(|p| p.output_model_file.clone()).unwrap_or_else(own_name),
        None => scaled_only.clone().unwrap_or_else(own_name),
    };
    let unmoved = Offsets::zeros(skeleton);
    if let Some(name) = scaled_only.filter(|name| *name != last && measured.is_some()) {
        add(name, write_subject_osim(skeleton, &scales, &unmoved, &subject)?.0);
    }
    if let Some(name) = scaler.and_then(|s| s.output_scale_file.clone()) {
        add(name, write_scale_set(skeleton, &scales, &setup.name));
    }
    let (body, offsets) = placed.map_or((skeleton, &unmoved), |p| (&p.skeleton, &p.offsets));
    let (model, left) = write_subject_osim(body, &scales, offsets, &subject)?;
    add(last, model);
    if let (Some(placer), Some(placed)) = (placer, placed) {
        if let Some(name) = &placer.output_motion_file {
            add(name.clone(), static_pose(placed, name)?);
        }
        if let Some(name) = &placer.output_marker_file {
            add(name.clone(), write_marker_set(body, &scales, offsets));
        }
    }
    let mut warnings: Vec<String> = measured.map_or_else(Vec::new, |m| m.warnings.clone());
    warnings.extend(placed.iter().flat_map(|p| p.warnings.clone()));
    let factors = scales.0.iter().zip(&skeleton.bodies).filter(|(s, _)| **s != [1.0; 3]);
    let summary = ScaleSummary {
        format: 1,
        subject: setup.name.clone(),
        model: skeleton.name.clone(),
        mass_kg: setup.mass.filter(|_| measured.is_some()),
        measurements: measured.map_or_else(Vec::new, measurements),
        body_scale_factors: factors.map(|(s, b)| (b.name.clone(), *s)).collect(),
        placed: placed.map(placement),
        inexact: left.into_iter().collect(),
        warnings,
        files: files.iter().map(|f| f.name.clone()).collect(),
    };
    files.push(NewFile { name: format!("{stem}_scale.json"), content: json(&summary).into_bytes() });
    for (i, file) in files.iter().enumerate() {
        if files[..i].iter().any(|f| f.name.eq_ignore_ascii_case(&file.name)) {
            let problem = format_args!("two of the files to be written are called `{}`", file.name);
            return Err(Error::input(format_args!("setup `{}`", setup.name), problem, "give each its own name"));
        }
    }
    Ok((files, summary))
}

/// A model's default pose before and after scaling.
fn default_poses(skeleton: &Skeleton, scales: &Scales) -> DefaultPoses {
    let mut q: Vec<f64> = skeleton.coordinates.iter().map(|c| c.default).collect();
    skeleton.resolve_couplings(&mut q);
    let poses = |scales: &Scales| {
        let mut frame = Frame::new(skeleton);
        forward(skeleton, scales, &Offsets::zeros(skeleton), &q, &skeleton.rotor_rotations(&q), &mut frame);
        let pose = |(r, p): (&Rotation3<f64>, &Vector3<f64>)| Isometry3::from_parts((*p).into(), (*r).into());
        frame.rotations.iter().zip(&frame.origins).map(pose).collect()
    };
    DefaultPoses { generic: poses(&Scales::ones(skeleton)), scaled: poses(scales), q: q.clone() }
}

/// The static pose as a motion of one frame, degrees.
fn static_pose(placed: &PlacedMarkers, name: &str) -> Result<String> {
    let coordinates = &placed.skeleton.coordinates;
    let table = CoordinateTable {
        names: coordinates.iter().map(|c| c.name.clone()).collect(),
        times: vec![placed.time],
        values: placed.q.iter().zip(coordinates).map(|(v, c)| Some(v * file_unit(c.motion))).collect(),
        in_degrees: true,
    };
    table.to_mot(name)
}

fn measurements(measured: &MeasuredScales) -> Vec<MeasurementFigures> {
    let pair = |p: &crate::fit::PairLengths| PairFigures {
        markers: p.markers.clone(),
        model_m: p.model_m,
        measured_m: p.measured_m,
    };
    let figures = measured.measurements.iter().map(|m| MeasurementFigures {
        name: m.name.clone(),
        factor: m.factor,
        pairs: m.pairs.iter().map(pair).collect(),
    });
    figures.collect()
}

fn placement(placed: &PlacedMarkers) -> PlacementFigures {
    let name = |marker: crate::skeleton::MarkerId| placed.skeleton.markers[marker.index()].name.clone();
    PlacementFigures {
        rms_m: placed.pose.rms(),
        largest: placed.pose.largest().map(|(i, distance)| (name(placed.followed[i]), distance)),
        moved_mm: placed.moved.iter().map(|&m| (name(m), (1e3 * placed.offsets.0[m.index()]).into())).collect(),
        removed: placed.removed.clone(),
    }
}
