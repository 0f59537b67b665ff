//! Coordinates over time: OpenSim's `.mot`, and their standard deviations as `.sd.csv`.
//!
//! Rotational coordinates in degrees, translational ones in metres, coupled ones (a mixture) in the model file's own unit,
//! which is also how OpenSim reads them. Twelve decimals: a rounding of 5e-13 degrees or metres, so that OpenSim puts the
//! markers where the fit has them to far less than a micrometre.

use super::names::{column, csv_field};
use crate::fit::TrialFit;
use crate::skeleton::{Motion, Skeleton};
use std::fmt::Write;

/// The unit files state a coordinate in, per SI unit inside.
pub fn file_unit(motion: Motion) -> f64 {
    match motion {
        Motion::Rotational => 1f64.to_degrees(),
        Motion::Translational | Motion::Coupled => 1.0,
    }
}

/// Whether every coordinate of every frame is a number. A motion file is written only then: a failed trial may have none.
pub fn is_complete(trial: &TrialFit, skeleton: &Skeleton) -> bool {
    trial.q.len() == trial.time.len()
        && trial.time.iter().all(|t| t.is_finite())
        && trial.q.iter().all(|row| row.len() == skeleton.coordinates.len() && row.iter().all(|v| v.is_finite()))
}

/// A trial as an OpenSim 4 motion file, all coordinates in the model's order, dependent and locked ones too; `None` where
/// some coordinate is no number.
pub fn mot(trial: &TrialFit, skeleton: &Skeleton) -> Option<String> {
    if !is_complete(trial, skeleton) {
        return None;
    }
    let mut out = format!(
        "Coordinates\nversion=1\nnRows={}\nnColumns={}\ninDegrees=yes\n\n\
         Units are S.I. units (second, meters, Newtons, ...)\n\
         If the header above contains a line with 'inDegrees', this indicates whether rotational values are in degrees (yes) or radians (no).\n\n\
         endheader\ntime",
        trial.time.len(),
        skeleton.coordinates.len() + 1,
    );
    for coordinate in &skeleton.coordinates {
        let _ = write!(out, "\t{}", column(&coordinate.name));
    }
    out.push('\n');
    for (time, row) in trial.time.iter().zip(&trial.q) {
        number(&mut out, *time);
        for (value, coordinate) in row.iter().zip(&skeleton.coordinates) {
            out.push('\t');
            number(&mut out, value * file_unit(coordinate.motion));
        }
        out.push('\n');
    }
    Some(out)
}

/// Standard deviations, columns and units as in the `.mot`; an empty field is a coordinate without one (held, not computed,
/// or an angle near its singularity).
pub fn sd_csv(trial: &TrialFit, skeleton: &Skeleton) -> String {
    let mut out = String::from("time");
    for coordinate in &skeleton.coordinates {
        let _ = write!(out, ",{}", csv_field(&coordinate.name));
    }
    out.push('\n');
    for (frame, time) in trial.time.iter().enumerate() {
        if !time.is_finite() {
            continue;
        }
        number(&mut out, *time);
        let row = trial.q_sd.get(frame).map_or(&[][..], Vec::as_slice);
        for (i, coordinate) in skeleton.coordinates.iter().enumerate() {
            out.push(',');
            if let Some(sd) = row.get(i).copied().flatten().filter(|sd| sd.is_finite()) {
                number(&mut out, sd * file_unit(coordinate.motion));
            }
        }
        out.push('\n');
    }
    out
}

/// Twelve decimals, and no minus before a zero.
pub fn number(out: &mut String, value: f64) {
    let start = out.len();
    let _ = write!(out, "{value:.12}");
    if out[start..].starts_with('-') && out[start..].bytes().all(|b| matches!(b, b'-' | b'0' | b'.')) {
        out.remove(start);
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn rows(text: &str, skip: usize, separator: char) -> Vec<Vec<&str>> {
        text.lines().skip(skip).map(|line| line.split(separator).collect()).collect()
    }

    #[test]
    fn motion_reads_back() {
        let fit = sample::session();
        let trial = &fit.trials[0];
        let text = mot(trial, &fit.skeleton).unwrap();
        let header = text.lines().position(|l| l == "endheader").unwrap();
        assert!(text.contains(&format!(
            "nRows={}\nnColumns={}\n",
            trial.time.len(),
            fit.skeleton.coordinates.len() + 1
        )));
        let rows = rows(&text, header + 1, '\t');
        assert_eq!(rows.len(), trial.time.len() + 1);
        for (c, coordinate) in fit.skeleton.coordinates.iter().enumerate() {
            assert_eq!(rows[0][c + 1], coordinate.name);
            for f in 0..trial.time.len() {
                let read: f64 = rows[f + 1][c + 1].parse().unwrap();
                // Half of the last decimal, and the rounding of the conversion to degrees.
                assert!((read / file_unit(coordinate.motion) - trial.q[f][c]).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn deviations_read_back_and_missing_ones_are_empty() {
        let fit = sample::session();
        let trial = &fit.trials[0];
        let text = sd_csv(trial, &fit.skeleton);
        let rows = rows(&text, 1, ',');
        let mut missing = 0;
        for (f, row) in rows.iter().enumerate() {
            for (c, coordinate) in fit.skeleton.coordinates.iter().enumerate() {
                match trial.q_sd[f][c] {
                    Some(sd) => {
                        let read: f64 = row[c + 1].parse().unwrap();
                        assert!((read / file_unit(coordinate.motion) - sd).abs() < 1e-12);
                    }
                    None => {
                        missing += 1;
                        assert_eq!(row[c + 1], "");
                    }
                }
            }
        }
        assert!(missing > 0, "the sample has coordinates without a deviation");
    }

    #[test]
    fn no_numbers_no_motion_file() {
        let mut fit = sample::session();
        fit.trials[0].q[3][2] = f64::NAN;
        fit.trials[0].q_sd[3][2] = Some(f64::INFINITY);
        assert!(mot(&fit.trials[0], &fit.skeleton).is_none());
        let text = sd_csv(&fit.trials[0], &fit.skeleton);
        assert!(!text.contains("NaN") && !text.contains("inf"));
    }

    #[test]
    fn zero_has_no_sign() {
        let mut out = String::new();
        number(&mut out, -1e-15);
        assert_eq!(out, "0.000000000000");
    }
}
