//! The scaled model with its fitted markers, as files.
//!
//! Always in the format the model came in, and in the other one where that moves exactly as the skeleton does; where it does
//! not, the format's writer says why. This is the one place that calls those writers.

use crate::skeleton::{ModelSource, Offsets, Scales, Skeleton, write_mjcf, write_osim};

/// A model file, or why it cannot be written.
pub struct ModelFile {
    /// Name in the output folder.
    pub name: &'static str,
    /// What it is, for the manifest.
    pub what: &'static str,
    /// Its text, or the reason.
    pub content: Result<String, String>,
}

/// Both model files, the model's own format first.
pub fn files(skeleton: &Skeleton, scales: &Scales, offsets: &Offsets) -> Vec<ModelFile> {
    let says = |e: crate::Error| e.to_string().replace("\n  ", "; ");
    let osim = ModelFile {
        name: "model.osim",
        what: "the scaled model with its fitted markers, for OpenSim",
        content: numbers(scales, offsets).and_then(|()| write_osim(skeleton, scales, offsets).map_err(says)),
    };
    let mjcf = ModelFile {
        name: "model.xml",
        what: "the scaled model with its fitted markers, for MuJoCo",
        content: numbers(scales, offsets).and_then(|()| write_mjcf(skeleton, scales, offsets).map_err(says)),
    };
    match skeleton.source {
        ModelSource::Mjcf { .. } => vec![mjcf, osim],
        ModelSource::Osim { .. } | ModelSource::None => vec![osim, mjcf],
    }
}

/// A failed fit may have left factors that are no numbers; no model is made of those.
fn numbers(scales: &Scales, offsets: &Offsets) -> Result<(), String> {
    let complete = scales.0.iter().flatten().all(|s| s.is_finite());
    let offsets = offsets.0.iter().all(|o| o.iter().all(|x| x.is_finite()));
    if scales.0.iter().flatten().any(|s| *s <= 0.0) {
        return Err("the fit failed: a segment has no size that is above 0".into());
    }
    if complete && offsets {
        Ok(())
    } else {
        Err("the fit failed and left no complete set of scales and offsets".into())
    }
}
