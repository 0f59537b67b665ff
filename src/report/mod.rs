//! Everything that lands in an output folder, written from a [`SessionFit`].
//!
//! | file | written by |
//! |---|---|
//! | `outcome.json` | [`outcome`] |
//! | `<trial>.mot`, `<trial>.sd.csv` | [`motion`] |
//! | `<trial>.trc` | [`markers`] |
//! | `<trial>.safetensors`, of fits by networks | [`crate::trajectory`] |
//! | `cameras.toml`, `model.osim`, `model.xml` | [`crate::camera`], [`crate::skeleton`] |
//! | `report.html` | [`html`] |
//! | `manifest.json` | [`manifest`] |
//!
//! All of them are rendered in memory, staged, and put in place together ([`atomic`]); the manifest comes last, with the
//! hashes of the others. No file holds a number that is none.

pub mod atomic;
pub mod figures;
mod folder;
pub mod html;
mod ik;
pub mod manifest;
pub mod markers;
mod model;
pub mod motion;
mod names;
pub mod outcome;
#[cfg(test)]
mod sample;
mod scale;
mod subject;
pub mod summary;

pub use atomic::{NewFile, OutputFolder};
pub use folder::read_folder;
pub use ik::{
    ExchangedMarkers, IkSummary, LargestError, ik_files, ik_summary, marker_trial_files, marker_trial_summary,
};
pub use manifest::Provenance;
pub use names::stems;
pub use outcome::Outcome;
pub use scale::{MeasurementFigures, PairFigures, PlacementFigures, ScaleSummary, scale_files};
pub use subject::{OffsetFigures, Subject, subject_files};
pub use summary::summary;

use crate::camera::calibration;
use crate::error::{Error, Result};
use crate::fit::SessionFit;
use crate::session::Session;
use crate::skeleton::UpAxis;
use manifest::{Absent, FileEntry, Manifest};
use nalgebra::Rotation3;
use std::path::PathBuf;
use std::time::Instant;

/// Version of this program, as files state it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A number that may be written.
pub(crate) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// Indented JSON with a newline at its end.
fn json(value: &impl serde::Serialize) -> String {
    // Our own plain structs: text keys, no number types JSON lacks, writing to memory; nothing here can fail.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_else(|_| "null".into());
    text.push('\n');
    text
}

/// Files and what is said of them, in the order they are put in place.
#[derive(Default)]
struct Rendered {
    files: Vec<NewFile>,
    entries: Vec<FileEntry>,
    absent: Vec<Absent>,
}

impl Rendered {
    fn add(&mut self, name: impl Into<String>, content: String, what: impl Into<String>) {
        self.add_bytes(name, content.into_bytes(), what);
    }

    fn add_bytes(&mut self, name: impl Into<String>, content: Vec<u8>, what: impl Into<String>) {
        let file = NewFile { name: name.into(), content };
        self.entries.push(FileEntry::new(&file, what));
        self.files.push(file);
    }

    fn add_or(&mut self, name: String, content: Option<String>, what: impl Into<String>, why_not: &str) {
        match content {
            Some(content) => self.add(name, content, what),
            None => self.absent.push(Absent { name, why: why_not.into() }),
        }
    }
}

/// Writes everything a fit gives into a folder, and returns the paths of the files in the order they were put in place.
///
/// A failed fit is written too, as far as it has numbers; `outcome.json` says that it failed. Files that the folder's previous
/// `manifest.json` names and this fit does not give are removed: what is in the folder belongs together.
///
/// # Errors
/// [`crate::Error::Output`]; nothing in the folder has then changed unless the folder failed between two renames, and even then
/// each file is a whole one.
pub fn write_all(fit: &SessionFit, out: &OutputFolder, provenance: &Provenance) -> Result<Vec<PathBuf>> {
    let started = Instant::now();
    let mut rendered = Rendered::default();
    let stems = names::stems(fit.trials.iter().map(|t| t.name.as_str()));
    trials(fit, &stems, &mut rendered);
    cameras(fit, &mut rendered);
    models(fit, &mut rendered);
    rendered.add("report.html", html::page(fit, provenance), "the fit as one page for a browser; needs no network");
    let outcome = Outcome::new(fit, &stems, started.elapsed().as_secs_f64());
    rendered.add("outcome.json", outcome.to_json(), "status, errors, scales, offsets, cameras and times, for programs");
    place(rendered, &fit.name, out, provenance)
}

/// Writes what is to be said of a fit that broke down: `outcome.json` and `manifest.json`. Files of an earlier fit in the folder are removed, as by [`write_all`].
///
/// # Errors
/// As for [`write_all`].
pub fn write_broken(
    session: &Session,
    ground_from_world: &Rotation3<f64>,
    error: &Error,
    out: &OutputFolder,
    provenance: &Provenance,
) -> Result<Vec<PathBuf>> {
    let stems = names::stems(session.trials.iter().map(|t| t.name.as_str()));
    let outcome = Outcome::broken(session, ground_from_world, error, &stems);
    let mut rendered = Rendered::default();
    rendered.add("outcome.json", outcome.to_json(), "that the fit failed, where, why, and what to do; for programs");
    let expected = stems.iter().map(|stem| format!("{stem}.mot")).chain(["model.osim".into(), "cameras.toml".into()]);
    rendered.absent.extend(expected.map(|name| Absent { name, why: "the fit failed; outcome.json says why".into() }));
    place(rendered, &session.name, out, provenance)
}

/// Puts rendered files and their manifest in place of what the folder held before.
fn place(rendered: Rendered, session: &str, out: &OutputFolder, provenance: &Provenance) -> Result<Vec<PathBuf>> {
    let old = manifest::written_before(out.path());
    let Rendered { mut files, entries, absent } = rendered;
    let manifest = Manifest::new(session, provenance, entries, absent);
    files.push(NewFile { name: "manifest.json".into(), content: manifest.to_json().into_bytes() });
    out.replace_set(&files, &old)
}

fn trials(fit: &SessionFit, stems: &[String], rendered: &mut Rendered) {
    let observed = markers::observed(fit);
    let up = match fit.skeleton.up {
        UpAxis::Y => "Y up",
        UpAxis::Z => "Z up",
    };
    for (trial, stem) in fit.trials.iter().zip(stems) {
        let name = &trial.name;
        if trial.left_out() {
            let absent = ["mot", "sd.csv", "trc"].map(|end| Absent {
                name: format!("{stem}.{end}"),
                why: format!("trial `{name}` failed and was left out: {}", trial.reason),
            });
            rendered.absent.extend(absent);
            continue;
        }
        rendered.add_or(
            format!("{stem}.mot"),
            motion::mot(trial, &fit.skeleton),
            format!("coordinates of trial `{name}`, degrees and metres, for OpenSim"),
            "the trial has no complete set of coordinates; outcome.json says why",
        );
        rendered.add(
            format!("{stem}.sd.csv"),
            motion::sd_csv(trial, &fit.skeleton),
            "standard deviations of these coordinates, degrees and metres; empty where there is none (held, not computed, or near an angle's singularity)",
        );
        let file = format!("{stem}.trc");
        let text = markers::trc(trial, fit, &observed, &file);
        rendered.add_or(
            file,
            text,
            format!("positions of the fitted model's markers that some camera observed, metres, in the model's ground frame ({up})"),
            "the trial has no complete set of marker positions; outcome.json says why",
        );
        if let Some(network) = &trial.network {
            let what = format!("the poses of trial `{name}` as a network of time, weights and what they belong to");
            rendered.add_bytes(format!("{stem}.safetensors"), network.clone(), what);
        }
    }
}

fn cameras(fit: &SessionFit, rendered: &mut Rendered) {
    let numbers = |c: &crate::camera::Camera| c.camera_from_world.to_homogeneous().iter().all(|x| x.is_finite());
    let text = (!fit.rig.is_empty() && fit.rig.iter().all(numbers)).then(|| calibration::to_toml(&fit.rig));
    let what = "the calibration as fitted, in the calibration's own world, metres";
    rendered.add_or("cameras.toml".into(), text, what, "the fit left no complete set of cameras");
}

fn models(fit: &SessionFit, rendered: &mut Rendered) {
    for file in model::files(&fit.skeleton, &fit.scales, &fit.offsets) {
        match file.content {
            Ok(text) => rendered.add(file.name, text, file.what),
            Err(why) => rendered.absent.push(Absent { name: file.name.into(), why }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn write(fit: &SessionFit, folder: &Path) -> Vec<PathBuf> {
        let out = OutputFolder::open(folder).unwrap();
        let mut provenance = Provenance::new(&serde_json::json!({ "refine_cameras": true })).unwrap();
        provenance.seeds.insert("initialise".into(), 7);
        write_all(fit, &out, &provenance).unwrap()
    }

    /// Words that only a number that is none could have put there.
    fn has_no_number(text: &str) -> bool {
        text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| matches!(word, "NaN" | "nan" | "inf" | "Infinity"))
    }

    #[test]
    fn writes_every_file_and_says_so() {
        let place = tempfile::tempdir().unwrap();
        let folder = std::env::var_os("KINEFIT_REPORT_SAMPLE").map_or(place.path().to_path_buf(), PathBuf::from);
        let paths = write(&sample::session(), &folder);
        let names: Vec<String> = paths.iter().map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect();
        let expected = [
            "balancing.mot",
            "balancing.sd.csv",
            "balancing.trc",
            "walking back.mot",
            "walking back.trc",
            "cameras.toml",
            "report.html",
            "outcome.json",
        ];
        for name in expected {
            assert!(names.iter().any(|n| n == name), "{name}");
        }
        assert_eq!(names.last().unwrap(), "manifest.json");
        let manifest: Manifest =
            serde_json::from_str(&fs::read_to_string(folder.join("manifest.json")).unwrap()).unwrap();
        assert_eq!(manifest.files.len() + 1, names.len());
        for file in &manifest.files {
            assert_eq!(manifest::hash_input(&folder.join(&file.name)).unwrap(), file.sha256, "{}", file.name);
        }
        for model in ["model.osim", "model.xml"] {
            let absent = manifest.absent.iter().any(|a| a.name == model && !a.why.is_empty());
            assert!(names.iter().any(|n| n == model) != absent, "{model} is there or its absence explained");
        }
        assert_eq!(manifest.provenance.seeds["initialise"], 7);
        for path in &paths {
            assert!(!has_no_number(&fs::read_to_string(path).unwrap()), "{}", path.display());
        }
    }

    #[test]
    fn files_of_an_earlier_fit_go_and_nothing_else_does() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("out");
        let outside = place.path().join("outside");
        fs::write(&outside, "mine").unwrap();
        write(&sample::session(), &folder);
        fs::write(folder.join("notes.txt"), "mine").unwrap();
        // A manifest may say anything: only plain names of files in its own folder count.
        let path = folder.join("manifest.json");
        let text = fs::read_to_string(&path).unwrap();
        let mut manifest: manifest::Manifest = serde_json::from_str(&text).unwrap();
        let entry = manifest.files[0].clone();
        for name in ["../outside", outside.to_str().unwrap(), "sub", ".", "", "never was"] {
            manifest.files.push(FileEntry { name: name.into(), ..entry.clone() });
        }
        fs::create_dir(folder.join("sub")).unwrap();
        fs::write(&path, manifest.to_json()).unwrap();

        let mut one = sample::session();
        let gone = one.trials.remove(0);
        assert!(folder.join(format!("{}.mot", gone.name)).is_file());
        let paths = write(&one, &folder);
        let mut expected: Vec<_> = paths.iter().map(|p| p.file_name().unwrap().to_owned()).collect();
        expected.extend(["notes.txt".into(), "sub".into()]);
        expected.sort();
        let mut found: Vec<_> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
        found.sort();
        assert_eq!(found, expected);
        assert_eq!(fs::read_to_string(outside).unwrap(), "mine");
        // Something else's manifest names nothing.
        fs::write(&path, r#"{"files": [{"name": "notes.txt"}]}"#).unwrap();
        write(&one, &folder);
        assert!(folder.join("notes.txt").is_file());
    }

    #[test]
    fn a_failed_fit_is_written_as_far_as_it_goes() {
        let nan = f64::NAN;
        let mut broken = sample::session();
        for trial in &mut broken.trials {
            trial.q.iter_mut().flatten().for_each(|q| *q = nan);
            trial.q_sd.iter_mut().flatten().for_each(|sd| *sd = Some(nan));
            trial.markers.iter_mut().chain(&mut trial.body_origins).flatten().for_each(|p| p.fill(nan));
            trial.reprojection.all.median_px = nan;
            trial.reprojection.cameras.values_mut().for_each(|f| f.mean_px = nan);
            trial.reprojection.keypoints.values_mut().for_each(|f| f.median_px = nan);
            trial.noise_px[0][0] = Some(f64::INFINITY);
        }
        broken.scales.0[2] = [nan; 3];
        broken.scale_groups[0].factor = nan;
        broken.scale_groups[1].sd = nan;
        broken.offset_fits[0].offset.x = nan;
        broken.cameras[0].rotation_change_deg = nan;
        broken.rig[1].camera_from_world.translation.x = nan;
        broken.height_m = Some(nan);
        broken.cost_history[3] = nan;
        broken.timings.solve = nan;
        let mut no_trials = sample::empty();
        no_trials.trials.clear();
        let mut ragged = sample::session();
        ragged.trials[0].q_sd.truncate(2);
        ragged.trials[0].q.truncate(5);
        ragged.trials[0].body_origins.truncate(1);
        ragged.trials[1].noise_px.clear();
        ragged.rig_before.clear();
        for fit in [broken, sample::empty(), no_trials, ragged] {
            let place = tempfile::tempdir().unwrap();
            let paths = write(&fit, place.path());
            for path in &paths {
                assert!(!has_no_number(&fs::read_to_string(path).unwrap()), "{}", path.display());
            }
            let read: Outcome =
                serde_json::from_str(&fs::read_to_string(place.path().join("outcome.json")).unwrap()).unwrap();
            assert_eq!(read.status, fit.status);
        }
    }
}
