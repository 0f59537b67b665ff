//! Everything that lands in an output folder, written from a [`SessionFit`].
//!
//! | file | written by |
//! |---|---|
//! | `outcome.json` | [`outcome`] |
//! | `<trial>.mot`, `<trial>.sd.csv` | [`motion`] |
//! | `<trial>.trc` | [`markers`] |
//! | `cameras.toml`, `model.osim`, `model.xml` | [`crate::camera`], [`crate::skeleton`] |
//! | `report.html` | [`html`] |
//! | `manifest.json` | [`manifest`] |
//!
//! All of them are rendered in memory, staged, and put in place together ([`atomic`]); the manifest comes last, with the
//! hashes of the others. No file holds a number that is none.

pub mod atomic;
pub mod figures;
pub mod html;
pub mod manifest;
pub mod markers;
pub mod motion;
mod names;
pub mod outcome;
#[cfg(test)]
mod sample;
pub mod summary;

pub use atomic::OutputFolder;
pub use manifest::Provenance;
pub use outcome::Outcome;
pub use summary::summary;

use crate::error::Result;
use crate::fit::SessionFit;
use crate::skeleton::{ModelSource, UpAxis};
use atomic::NewFile;
use manifest::{Absent, FileEntry, Manifest};
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
        let file = NewFile { name: name.into(), content: content.into_bytes() };
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
/// A failed fit is written too, as far as it has numbers; `outcome.json` says that it failed.
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
    let Rendered { mut files, entries, absent } = rendered;
    let manifest = Manifest::new(&fit.name, provenance, entries, absent);
    files.push(NewFile { name: "manifest.json".into(), content: manifest.to_json().into_bytes() });
    out.write_set(&files)
}

fn trials(fit: &SessionFit, stems: &[String], rendered: &mut Rendered) {
    let observed = markers::observed(fit);
    let up = match fit.skeleton.up {
        UpAxis::Y => "Y up",
        UpAxis::Z => "Z up",
    };
    for (trial, stem) in fit.trials.iter().zip(stems) {
        let name = &trial.name;
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
    }
}
