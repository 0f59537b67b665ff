//! Scaling a model by measured distances, and moving its markers to where they were: what OpenSim's scale tool does.
//!
//! The factor of a measurement is the mean over its marker pairs of *measured distance / model's distance*, the former averaged over the
//! frames of a time range, the latter in the model's default pose (`ModelScaler`, OpenSim 4.6). A body's factor along an axis is that of the last measurement or manual scale
//! that names it. Markers are then moved to their averaged places, in the pose that inverse kinematics finds for these (`MarkerPlacer`).

use super::inverse_kinematics::{IkFrame, inverse_kinematics};
use crate::error::{Error, Result};
use crate::kinematics::{Frame, forward};
use crate::session::coordinates::CoordinateTable;
use crate::session::markers::MarkerTrial;
use crate::session::scale_setup::{MarkerPlacer, Measurement, ModelScaler, ScalingStep};
use crate::skeleton::{Marker, MarkerId, Offsets, Scales, Skeleton};
use nalgebra::Vector3;
use std::ops::RangeInclusive;

/// Factors from measurements, and how they came about.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredScales {
    /// Of every body.
    pub scales: Scales,
    /// Every measurement that applies, in the setup's order.
    pub measurements: Vec<MeasurementOutcome>,
    /// What the setup asks for and could not be done, a sentence each, with file and line.
    pub warnings: Vec<String>,
}

/// What became of a measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasurementOutcome {
    /// Its name.
    pub name: String,
    /// Its factor; `None` where it could not be taken, and scales nothing.
    pub factor: Option<f64>,
    /// Its pairs that could be measured.
    pub pairs: Vec<PairLengths>,
}

/// Distance between two markers.
#[derive(Debug, Clone, PartialEq)]
pub struct PairLengths {
    /// Their names.
    pub markers: [String; 2],
    /// In the model's default pose, metres.
    pub model_m: f64,
    /// In the trial, metres: the mean over the time range.
    pub measured_m: f64,
}

/// Markers where they were.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacedMarkers {
    /// The model without the markers that the trial does not have: OpenSim removes them.
    pub skeleton: Skeleton,
    /// Of its markers, from their scaled places to the new ones.
    pub offsets: Offsets,
    /// Names of the markers that were removed.
    pub removed: Vec<String>,
    /// Markers that were moved.
    pub moved: Vec<MarkerId>,
    /// Coordinates of the static pose, file order, radians and metres.
    pub q: Vec<f64>,
    /// Its time: that of the first frame averaged, seconds.
    pub time: f64,
    /// How near the pose came to the markers before they were moved.
    pub pose: IkFrame,
    /// Markers that the pose followed: `pose.squared` are their distances.
    pub followed: Vec<MarkerId>,
    /// What deserves a look, a sentence each.
    pub warnings: Vec<String>,
}

/// The factors that a setup asks for. `trial` is needed where a measurement applies.
///
/// As in OpenSim, a measurement that lacks a marker, in the model or in any frame of the time range, scales nothing, and a body that the model does not have is passed over; both are
/// said in `warnings`.
///
/// # Errors
/// Measurements without a trial; a time range outside of it; a pair of markers in one place, or further apart than any body; a body that is not scaled evenly and carries a coordinate that slides and follows another.
pub fn measured_scales(
    scaler: &ModelScaler,
    skeleton: &Skeleton,
    trial: Option<&MarkerTrial>,
) -> Result<MeasuredScales> {
    let mut made = MeasuredScales { scales: Scales::ones(skeleton), measurements: Vec::new(), warnings: Vec::new() };
    for step in &scaler.order {
        match step {
            ScalingStep::Measurements => {
                for measurement in scaler.measurements.iter().filter(|m| m.apply) {
                    let trial = trial.ok_or_else(|| {
                        let problem =
                            format_args!("measurement `{}` applies, and no marker file is given", measurement.name);
                        Error::input(
                            &scaler.place,
                            problem,
                            "name the static trial in <marker_file>, or with --markers",
                        )
                    })?;
                    made.measure(scaler, measurement, skeleton, trial)?;
                }
            }
            ScalingStep::ManualScale => {
                for manual in scaler.manual.iter().filter(|m| m.apply) {
                    made.set(&manual.place, &manual.body, skeleton, |axis| Some(manual.factors[axis]));
                }
            }
        }
    }
    if let Some((coordinate, body)) = skeleton.unevenly_scaled_couplers(&made.scales)?.first() {
        return Err(Error::input(
            &scaler.place,
            format_args!(
                "`{body}` is scaled by other factors along other axes, and the coordinate `{coordinate}`, which slides on it, follows another: OpenSim scales no such model"
            ),
            format_args!("scale `{body}` by one factor along all axes"),
        ));
    }
    if scaler.order.is_empty() {
        made.warnings
            .push(format!("{}: <scaling_order> is empty: no measurement and no factor is used.", scaler.place));
    } else if made.scales == Scales::ones(skeleton) {
        made.warnings.push(format!("{}: nothing scales the model: it keeps its size.", scaler.place));
    }
    Ok(made)
}

impl MeasuredScales {
    /// Sets the factors of a body.
    fn set(&mut self, place: &str, body: &str, skeleton: &Skeleton, factor: impl Fn(usize) -> Option<f64>) {
        match skeleton.body(body) {
            Some(b) if b.index() > 0 => {
                for axis in 0..3 {
                    self.scales.0[b.index()][axis] = factor(axis).unwrap_or(self.scales.0[b.index()][axis]);
                }
            }
            Some(_) => self.warnings.push(format!("{place}: ground is no body and is not scaled.")),
            None => self.warnings.push(format!("{place}: the model has no body `{body}`; it is passed over.")),
        }
    }

    fn measure(
        &mut self,
        scaler: &ModelScaler,
        measurement: &Measurement,
        skeleton: &Skeleton,
        trial: &MarkerTrial,
    ) -> Result<()> {
        let model = default_frame(skeleton);
        let frames = frames_within(trial, scaler.time_range, &scaler.place)?;
        let mut outcome = MeasurementOutcome { name: measurement.name.clone(), factor: None, pairs: Vec::new() };
        let mut ratios = Vec::new();
        for pair in &measurement.pairs {
            let in_model = pair.markers.each_ref().map(|name| skeleton.marker(name));
            let in_trial = pair.markers.each_ref().map(|name| trial.names.iter().position(|n| n == name));
            let mut lacks = |what: String| {
                let place = &pair.place;
                self.warnings.push(format!("{place}: {what}; measurement `{}` is not used.", measurement.name));
            };
            for (i, name) in pair.markers.iter().enumerate() {
                if in_model[i].is_none() {
                    lacks(format!("the model has no marker `{name}`"));
                }
                if in_trial[i].is_none() {
                    lacks(format!("the trial has no marker `{name}`"));
                }
            }
            let ([Some(a), Some(b)], [Some(c), Some(d)]) = (in_model, in_trial) else { continue };
            let distances: Vec<f64> =
                frames.clone().filter_map(|f| Some((trial.get(f, c)? - trial.get(f, d)?).norm())).collect();
            let missing = frames.clone().count() - distances.len();
            if missing > 0 {
                let [a, b] = &pair.markers;
                lacks(format!("`{a}` or `{b}` is missing in {missing} frames of the time range"));
                continue;
            }
            let model_m = (model.markers[a.index()] - model.markers[b.index()]).norm();
            let measured_m = distances.iter().sum::<f64>() / distances.len() as f64;
            let ratio = measured_m / model_m;
            if !(ratio > 1e-3 && ratio < 1e3) {
                return Err(Error::input(
                    &pair.place,
                    format_args!(
                        "the markers are {model_m:.3e} m apart in the model and {measured_m:.3e} m in the trial"
                    ),
                    "check the names, and the unit that the trial states",
                ));
            }
            ratios.push(ratio);
            outcome.pairs.push(PairLengths { markers: pair.markers.clone(), model_m, measured_m });
        }
        if ratios.is_empty() && measurement.pairs.is_empty() {
            self.warnings.push(format!("{}: measurement `{}` has no marker pairs.", scaler.place, measurement.name));
        }
        if !ratios.is_empty() && ratios.len() == measurement.pairs.len() {
            let factor = ratios.iter().sum::<f64>() / ratios.len() as f64;
            for body in &measurement.bodies {
                self.set(&body.place, &body.body, skeleton, |axis| body.axes[axis].then_some(factor));
            }
            outcome.factor = Some(factor);
        }
        self.measurements.push(outcome);
        Ok(())
    }
}

/// Moves a scaled model's markers, but for those that are fixed, to where they were in a static trial. `metres_per_unit` is the unit of the trial's file, for the largest movement
/// that the setup allows; `coordinates` the file that tasks refer to, in radians.
///
/// As in OpenSim: the pose follows the mean places of the markers that are seen in every frame between the two times; the markers are moved to their
/// mean places over the frames that enclose these times, those missing left out; markers never seen there stay where they are.
///
/// # Errors
/// A time range outside of the trial, and what [`inverse_kinematics`] refuses.
pub fn place_markers(
    placer: &MarkerPlacer,
    skeleton: &Skeleton,
    scales: &Scales,
    trial: &MarkerTrial,
    metres_per_unit: f64,
    coordinates: Option<&CoordinateTable>,
) -> Result<PlacedMarkers> {
    let frames = frames_within(trial, placer.time_range, &placer.place)?;
    let [from, to] = placer.time_range;
    let time = from.max(trial.times[0]);
    let inner: Vec<usize> = frames.clone().filter(|f| (time..=to).contains(&trial.times[*f])).collect();
    let inner = if inner.is_empty() { frames.clone().collect() } else { inner };
    let turn = trial.ground_from_file(skeleton.up);
    let seen = |frames: &mut dyn Iterator<Item = usize>, marker: usize| -> Vec<Vector3<f64>> {
        frames.filter_map(|f| trial.get(f, marker).map(|p| turn * p)).collect()
    };
    let mut warnings = Vec::new();
    let (mut followed, mut places) = (Vec::new(), Vec::new());
    for (m, name) in trial.names.iter().enumerate() {
        let within = seen(&mut inner.iter().copied(), m);
        let around = seen(&mut frames.clone(), m);
        followed.push(mean(&within).filter(|_| within.len() == inner.len()));
        places.push(mean(&around));
        if skeleton.marker(name).is_none() {
            continue;
        }
        if around.is_empty() {
            warnings.push(format!("Marker `{name}` is not seen in the time range; it is not moved."));
        } else if within.len() < inner.len() {
            let missing = inner.len() - within.len();
            warnings.push(format!(
                "Marker `{name}` is missing in {missing} frames of the time range; the static pose does not follow it."
            ));
        }
        let moved = (0..3).map(|axis| spread(around.iter().map(|p| p[axis]))).fold(0.0, f64::max) / metres_per_unit;
        if let Some(most) = placer.max_marker_movement.filter(|most| moved > *most) {
            warnings
                .push(format!("Marker `{name}` moves by {moved:.4} in the time range, more than the {most} allowed."));
        }
    }
    let (kept, removed): (Vec<Marker>, Vec<Marker>) =
        skeleton.markers.iter().cloned().partition(|m| trial.names.contains(&m.name));
    let skeleton = Skeleton { markers: kept, ..skeleton.clone() };
    let pose = MarkerTrial {
        label: trial.label.clone(),
        names: trial.names.clone(),
        rate_hz: trial.rate_hz,
        first_frame: 1,
        times: vec![time],
        positions: followed,
        up: None,
    };
    let mut offsets = Offsets::zeros(&skeleton);
    let subject = skeleton.scaled(scales, &offsets);
    let ik = inverse_kinematics(&pose, &subject, Some(&placer.tasks), coordinates)?;
    let frame = frame_at(&subject, &ik.q[0]);
    let mut moved = Vec::new();
    for (i, marker) in subject.markers.iter().enumerate().filter(|(_, m)| !m.fixed) {
        let place = trial.names.iter().position(|n| *n == marker.name).and_then(|m| places[m]);
        if let Some(place) = place {
            let b = marker.body.index();
            offsets.0[i] = frame.rotations[b].inverse() * (place - frame.origins[b]) - marker.location;
            moved.push(MarkerId(i as u32));
        }
    }
    if !ik.frames[0].converged {
        warnings.push("The static pose was given up before convergence.".into());
    }
    Ok(PlacedMarkers {
        skeleton,
        offsets,
        removed: removed.into_iter().map(|m| m.name).collect(),
        moved,
        q: ik.q[0].clone(),
        time,
        pose: ik.frames[0].clone(),
        followed: ik.markers,
        warnings,
    })
}

/// The frames from the last that is not after the one time to the first that is not before the other, as OpenSim chooses them.
fn frames_within(trial: &MarkerTrial, [from, to]: [f64; 2], place: &str) -> Result<RangeInclusive<usize>> {
    let (first, last) = match (trial.times.first(), trial.times.last()) {
        (Some(first), Some(last)) => (*first, *last),
        _ => return Err(Error::input(place, "the marker file holds no frames", "export the trial again")),
    };
    if to < first || from > last {
        return Err(Error::input(
            place,
            format_args!(
                "the time range {from} to {to} s lies outside of the trial, which lasts from {first} to {last} s"
            ),
            "correct <time_range>",
        ));
    }
    let start = trial.times.partition_point(|t| *t <= from).saturating_sub(1);
    let end = trial.times.partition_point(|t| *t < to).min(trial.frames() - 1);
    Ok(start..=end.max(start))
}

fn mean(points: &[Vector3<f64>]) -> Option<Vector3<f64>> {
    (!points.is_empty()).then(|| points.iter().sum::<Vector3<f64>>() / points.len() as f64)
}

fn spread(values: impl Iterator<Item = f64>) -> f64 {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    high - low
}

/// Bodies and markers of an unscaled model in its default pose.
fn default_frame(skeleton: &Skeleton) -> Frame {
    let mut q: Vec<f64> = skeleton.coordinates.iter().map(|c| c.default).collect();
    skeleton.resolve_couplings(&mut q);
    frame_at(skeleton, &q)
}

fn frame_at(skeleton: &Skeleton, q: &[f64]) -> Frame {
    let mut frame = Frame::new(skeleton);
    let (scales, offsets) = (Scales::ones(skeleton), Offsets::zeros(skeleton));
    forward(skeleton, &scales, &offsets, q, &skeleton.rotor_rotations(q), &mut frame);
    frame
}
