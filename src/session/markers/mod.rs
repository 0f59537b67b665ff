//! 3-D marker trials: positions of markers over time, and the files that hold them.

pub mod c3d;
mod names;
pub mod trc;

use super::{ground_from_world, text};
use crate::error::{Error, Result};
use crate::skeleton::UpAxis;
use crate::skeleton::read::decoded;
use nalgebra::{Rotation3, Vector3};
use std::path::Path;

/// Larger than any trial that is fitted as one; with [`MOST_POSITIONS`] it bounds memory.
const MOST_MIB: u64 = 512;

/// Most positions (frames × markers) of a trial: an hour of 90 markers at 100 Hz; 1 GiB.
const MOST_POSITIONS: usize = 1 << 25;

/// Most markers: what C3D can count.
const MOST_MARKERS: usize = 65_535;

/// Markers over time. Positions are metres, in the axes of the file.
#[derive(Debug, Clone)]
pub struct MarkerTrial {
    /// What errors and warnings call it: the path of its file. Two trials may be equal whatever they are called.
    pub label: String,
    /// One name per marker, each its own; those that the file gives none are called `unlabelled 3` by their place.
    pub names: Vec<String>,
    /// Frames per second, as the file states it, or as its times have it where a TRC's disagree.
    pub rate_hz: f64,
    /// Number of the first frame in the file's own counting.
    pub first_frame: i64,
    /// Seconds, one per frame, increasing, not necessarily in even steps.
    pub times: Vec<f64>,
    /// Frame-major: marker `m` of frame `f` at `f·names.len() + m`; `None` where missing, never a NaN.
    pub positions: Vec<Option<Vector3<f64>>>,
    /// The axis that points up, where the file tells: C3D may, TRC never does (by custom it is Y).
    pub up: Option<UpAxis>,
}

impl PartialEq for MarkerTrial {
    fn eq(&self, other: &Self) -> bool {
        let Self { label: _, names, rate_hz, first_frame, times, positions, up } = self;
        *names == other.names
            && *rate_hz == other.rate_hz
            && *first_frame == other.first_frame
            && *times == other.times
            && *positions == other.positions
            && *up == other.up
    }
}

impl MarkerTrial {
    /// Number of frames.
    pub fn frames(&self) -> usize {
        self.times.len()
    }

    /// Where a marker is in a frame, metres; `None` where it is missing, or there is no such frame or marker.
    pub fn get(&self, frame: usize, marker: usize) -> Option<Vector3<f64>> {
        let place = frame.checked_mul(self.names.len())?.checked_add(marker)?;
        self.positions.get(place).copied().flatten().filter(|_| marker < self.names.len())
    }

    /// Takes positions that are exactly `0 0 0` for gaps, and says how many there were: some programs write so what was not seen, and no marker is at the origin to the last digit.
    pub fn without_zeros(&mut self) -> usize {
        let zeros = self.positions.iter_mut().filter(|p| **p == Some(Vector3::zeros()));
        zeros.map(|p| *p = None).count()
    }

    /// Rotation taking positions of the file to a model's ground, whose vertical is `up`: none where the file does not tell its own.
    pub fn ground_from_file(&self, up: UpAxis) -> Rotation3<f64> {
        self.up.map_or_else(Rotation3::identity, |own| ground_from_world(own == UpAxis::Z, up))
    }

    /// The positions of one frame, one per marker.
    pub fn frame(&self, frame: usize) -> &[Option<Vector3<f64>>] {
        let start = frame.saturating_mul(self.names.len());
        self.positions.get(start..start.saturating_add(self.names.len())).unwrap_or(&[])
    }

    /// Checks what every reader promises and every writer needs: names for all markers, each its own; a rate; times that increase; a
    /// position or `None` for every marker of every frame, no NaN.
    ///
    /// # Errors
    /// What is not so; `label` is the place the error names.
    pub fn check(&self, label: &str) -> Result<()> {
        let wrong = |problem: String| Err(Error::input(label, problem, "make the marker trial again"));
        names::check(label, &self.names)?;
        if !(self.rate_hz.is_finite() && self.rate_hz > 0.0) {
            return wrong(format!("a rate of {} frames per second", self.rate_hz));
        }
        if self.times.iter().any(|t| !t.is_finite()) || self.times.windows(2).any(|pair| pair[0] >= pair[1]) {
            return wrong("times that do not increase from frame to frame".into());
        }
        let (frames, markers) = (self.frames(), self.names.len());
        if frames.checked_mul(markers) != Some(self.positions.len()) {
            return wrong(format!("{} positions for {frames} frames of {markers} markers", self.positions.len()));
        }
        if self.positions.iter().flatten().any(|p| p.iter().any(|x| !x.is_finite())) {
            return wrong("a position that is no number".into());
        }
        Ok(())
    }
}

/// Reads a marker trial, C3D or TRC: the file's ending says which, or its content where it ends otherwise.
///
/// # Errors
/// A file that cannot be read, or is neither; otherwise those of [`trc::read`] and [`c3d::read`].
pub fn read(path: &Path) -> Result<MarkerTrial> {
    let bytes = text::bytes_up_to(path, MOST_MIB)?;
    let label = path.display().to_string();
    let ends = |ending: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending));
    if ends("c3d") || (!ends("trc") && c3d::is_c3d(&bytes)) {
        c3d::read(&label, &bytes)
    } else {
        trc::read(&label, &decoded(bytes))
    }
}

/// How many metres are one of the units that a marker file states: millimetres in a C3D, as nearly all have them.
///
/// # Errors
/// A file that cannot be read, and a TRC whose header is none.
pub fn metres_per_unit(path: &Path) -> Result<f64> {
    let bytes = text::bytes_up_to(path, MOST_MIB)?;
    if c3d::is_c3d(&bytes) {
        return Ok(0.001);
    }
    trc::metres_per_unit(&path.display().to_string(), &decoded(bytes))
}

/// Metres per unit of length, by its usual names.
fn metres(unit: &str) -> Option<f64> {
    match unit.trim().to_ascii_lowercase().as_str() {
        "m" | "meter" | "meters" | "metre" | "metres" => Some(1.0),
        "cm" | "centimeter" | "centimeters" | "centimetre" | "centimetres" => Some(0.01),
        "mm" | "millimeter" | "millimeters" | "millimetre" | "millimetres" => Some(0.001),
        _ => None,
    }
}

/// The error for a unit that is none of these.
fn no_unit(place: impl std::fmt::Display, unit: &str) -> Error {
    let unit = crate::skeleton::xml::shortened(unit.trim());
    Error::input(
        place,
        format_args!("the unit of length `{unit}` is not known"),
        "expected m, cm or mm; export the file in millimetres",
    )
}

/// Refuses trials that would not fit the memory set aside.
fn check_size(label: &str, frames: usize, markers: usize) -> Result<()> {
    if markers > MOST_MARKERS {
        let problem = format_args!("{markers} markers, and at most {MOST_MARKERS} are read");
        return Err(Error::input(label, problem, "check that this is a file of markers"));
    }
    match frames.checked_mul(markers) {
        Some(count) if count <= MOST_POSITIONS => Ok(()),
        _ => Err(Error::input(
            label,
            format_args!(
                "{frames} frames of {markers} markers are more than the {MOST_POSITIONS} positions that are read"
            ),
            "cut the trial into shorter ones",
        )),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Three markers, four frames, two positions missing.
    pub fn sample() -> MarkerTrial {
        let mut positions: Vec<_> = (0..12)
            .map(|i| Some(Vector3::new(0.1 * f64::from(i), 1.0 - 0.01 * f64::from(i), -0.25 * f64::from(i))))
            .collect();
        positions[0] = None;
        positions[11] = None;
        MarkerTrial {
            label: "sample".into(),
            names: vec!["R.ASIS".into(), "L ASIS".into(), "Sacrum".into()],
            rate_hz: 50.0,
            first_frame: 11,
            times: (10..14).map(|i| f64::from(i) / 50.0).collect(),
            positions,
            up: None,
        }
    }

    #[test]
    fn markers_outside_are_missing() {
        let trial = sample();
        assert_eq!(trial.get(0, 0), None);
        assert_eq!(trial.get(1, 0), trial.positions[3]);
        assert_eq!(trial.get(0, 3), None, "not the next frame's first");
        assert_eq!(trial.get(usize::MAX, 2), None);
        assert_eq!(trial.frame(3), &trial.positions[9..]);
        assert!(trial.frame(4).is_empty());
    }

    #[test]
    fn what_is_no_trial_is_said() {
        type Change = fn(&mut MarkerTrial);
        let wrong: [(&str, Change); 8] = [
            ("rate", |t| t.rate_hz = 0.0),
            ("increase", |t| t.times[2] = t.times[1]),
            ("increase", |t| t.times[0] = f64::NAN),
            ("positions for", |t| t.positions.truncate(11)),
            ("no number", |t| t.positions[5] = Some(Vector3::new(0.0, f64::NAN, 0.0))),
            ("stands twice", |t| t.names[2] = t.names[0].clone()),
            ("no name", |t| t.names[2] = " ".into()),
            ("no markers", |t| t.names.clear()),
        ];
        for (what, change) in wrong {
            let mut trial = sample();
            change(&mut trial);
            let error = trial.check("a.trc").unwrap_err().to_string();
            assert!(error.contains(what) && error.starts_with("a.trc"), "{what}: {error}");
        }
        sample().check("a.trc").unwrap();
    }

    #[test]
    fn the_kind_is_the_ending_or_the_content() {
        let place = tempfile::tempdir().unwrap();
        let trial = MarkerTrial { first_frame: 11, ..sample() };
        let files = [
            ("a.TRC", trc::to_text(&trial, "a").unwrap().into_bytes()),
            ("b.data", trc::to_text(&trial, "b").unwrap().into_bytes()),
            ("c.c3d", c3d::to_bytes(&trial, "c").unwrap()),
            ("d.data", c3d::to_bytes(&trial, "d").unwrap()),
        ];
        for (name, bytes) in files {
            let path = place.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let read = read(&path).unwrap();
            assert_eq!((read.names, read.first_frame), (trial.names.clone(), 11), "{name}");
        }
        let error = read(&place.path().join("none.trc")).unwrap_err().to_string();
        assert!(error.contains("none.trc: cannot be read"), "{error}");
    }
}
