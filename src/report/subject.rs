//! Files of a subject that was fitted to markers: the scaled model, and its sizes and markers with their deviations.

use super::atomic::NewFile;
use super::{VERSION, finite, json, model};
use crate::fit::{MarkerFit, OffsetFit, Status};
use serde::Serialize;
use std::collections::BTreeMap;

/// What `subject.json` holds. Every number is finite or `null`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Subject {
    /// Version of this form.
    pub format: u32,
    /// Version of kinefit that wrote it.
    pub kinefit: &'static str,
    /// How the fit ended.
    pub status: Status,
    /// Why.
    pub reason: String,
    /// Factors of each body along its axes.
    pub body_scales: BTreeMap<String, [Option<f64>; 3]>,
    /// Their standard deviations, of the factor as a whole and not of one group's part in it; 0 where the model kept its size.
    pub body_scales_sd: BTreeMap<String, [Option<f64>; 3]>,
    /// Factor of each scale group.
    pub scales: BTreeMap<String, Option<f64>>,
    /// Its standard deviation.
    pub scales_sd: BTreeMap<String, Option<f64>>,
    /// Offset of each followed marker in its body's frame.
    pub offsets_mm: BTreeMap<String, [Option<f64>; 3]>,
    /// Its standard deviations; 0 for markers that were held.
    pub offsets_sd_mm: BTreeMap<String, [Option<f64>; 3]>,
    /// Root mean square length of the offsets.
    pub offsets_rms_mm: Option<f64>,
    /// Of markers that the model calls fixed, and of the others; `null` where it does not tell them apart.
    pub offsets_fixed: Option<OffsetFigures>,
    /// See `offsets_fixed`.
    pub offsets_free: Option<OffsetFigures>,
    /// Noise level of each followed marker, per axis.
    pub noise_mm: BTreeMap<String, Option<f64>>,
    /// For how many frames errors of markers last; deviations are stated as if there were that many fewer frames.
    pub autocorrelation_frames: Option<f64>,
    /// Iterations of the solver.
    pub iterations: usize,
    /// A model format in which the scaled model could not be written, and why.
    pub absent: BTreeMap<&'static str, String>,
}

/// How far some of the markers were moved.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OffsetFigures {
    /// How many they are.
    pub markers: usize,
    /// Root mean square length of their offsets.
    pub rms_mm: Option<f64>,
    /// Length of the largest.
    pub largest_mm: Option<f64>,
    /// The marker that has it.
    pub largest: String,
}

/// Those of markers that the model calls fixed (or does not); `None` unless there are both kinds.
fn offset_figures(fit: &MarkerFit, fixed: bool) -> Option<OffsetFigures> {
    let (chosen, others): (Vec<&OffsetFit>, Vec<&OffsetFit>) =
        fit.offset_fits.iter().partition(|o| fit.skeleton.markers[o.marker.index()].fixed == fixed);
    let largest = chosen.iter().max_by(|a, b| a.offset.norm().total_cmp(&b.offset.norm()));
    let largest = largest.filter(|_| !others.is_empty())?;
    Some(OffsetFigures {
        markers: chosen.len(),
        rms_mm: rms_mm(chosen.iter().copied()),
        largest_mm: finite(1e3 * largest.offset.norm()),
        largest: largest.name.clone(),
    })
}

/// Root mean square length of offsets, millimetres.
fn rms_mm<'o>(offsets: impl ExactSizeIterator<Item = &'o OffsetFit>) -> Option<f64> {
    let count = offsets.len().max(1) as f64;
    finite(1e3 * (offsets.map(|o| o.offset.norm_squared()).sum::<f64>() / count).sqrt())
}

fn figures(fit: &MarkerFit, absent: BTreeMap<&'static str, String>) -> Subject {
    let name = |m: usize| fit.skeleton.markers[m].name.clone();
    let mm = |v: &nalgebra::Vector3<f64>| [v.x, v.y, v.z].map(|x| finite(1e3 * x));
    let of_bodies = |factors: &[[f64; 3]]| {
        let named = fit.skeleton.bodies.iter().zip(factors).skip(1);
        named.map(|(b, s)| (b.name.clone(), s.map(finite))).collect()
    };
    let unknown = vec![[f64::NAN; 3]; fit.scales.0.len()];
    Subject {
        format: 1,
        kinefit: VERSION,
        status: fit.status,
        reason: fit.reason.clone(),
        body_scales: of_bodies(&fit.scales.0),
        body_scales_sd: of_bodies(fit.scales_sd.as_ref().unwrap_or(&unknown)),
        scales: fit.scale_groups.iter().map(|g| (g.group.clone(), finite(g.factor))).collect(),
        scales_sd: fit.scale_groups.iter().map(|g| (g.group.clone(), finite(g.sd))).collect(),
        offsets_mm: fit.offset_fits.iter().map(|o| (o.name.clone(), mm(&o.offset))).collect(),
        offsets_sd_mm: fit.offset_fits.iter().map(|o| (o.name.clone(), mm(&o.sd))).collect(),
        offsets_rms_mm: rms_mm(fit.offset_fits.iter()),
        offsets_fixed: offset_figures(fit, true),
        offsets_free: offset_figures(fit, false),
        noise_mm: fit.noise.iter().map(|(m, sigma)| (name(m.index()), finite(1e3 * sigma))).collect(),
        autocorrelation_frames: finite(fit.autocorrelation_frames),
        iterations: fit.iterations,
        absent,
    }
}

/// `model.osim` and `model.xml` (where the model can be written in that format) and `subject.json`, the figures that come with them.
pub fn subject_files(fit: &MarkerFit) -> (Subject, Vec<NewFile>) {
    let (mut files, mut absent) = (Vec::new(), BTreeMap::new());
    for file in model::files(&fit.skeleton, &fit.scales, &fit.offsets) {
        match file.content {
            Ok(text) => files.push(NewFile { name: file.name.into(), content: text.into_bytes() }),
            Err(why) => {
                absent.insert(file.name, why);
            }
        }
    }
    let subject = figures(fit, absent);
    files.push(NewFile { name: "subject.json".into(), content: json(&subject).into_bytes() });
    (subject, files)
}
