//! Coordinates over time: OpenSim's `.mot`, and their standard deviations as `.sd.csv`.
//!
//! Rotational coordinates in degrees, translational ones in metres, coupled ones (a mixture) in the model file's own unit,
//! which is also how OpenSim reads them. Twelve decimals: a rounding of 5e-13 degrees or metres, so that OpenSim puts the
//! markers where the fit has them to far less than a micrometre.

use super::names::csv_field;
use crate::fit::TrialFit;
use crate::session::columns::{number, rows};
use crate::session::coordinates::{CoordinateTable, file_unit};
use crate::skeleton::Skeleton;
use std::fmt::Write;

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
    let row = |row: &Vec<f64>| -> Vec<Option<f64>> {
        row.iter().zip(&skeleton.coordinates).map(|(value, c)| Some(value * file_unit(c.motion))).collect()
    };
    let table = CoordinateTable {
        names: skeleton.coordinates.iter().map(|c| c.name.clone()).collect(),
        times: trial.time.clone(),
        values: trial.q.iter().flat_map(row).collect(),
        in_degrees: true,
    };
    table.to_mot(&trial.name).ok()
}

/// Standard deviations, columns and units as in the `.mot`; an empty field is a coordinate without one (held, not computed,
/// or an angle near its singularity).
pub fn sd_csv(trial: &TrialFit, skeleton: &Skeleton) -> String {
    deviations(&trial.time, &trial.q_sd, skeleton)
}

/// The same from the times and deviations of the frames, radians and metres.
pub(super) fn deviations(times: &[f64], q_sd: &[Vec<Option<f64>>], skeleton: &Skeleton) -> String {
    let mut out = String::from("time");
    for coordinate in &skeleton.coordinates {
        let _ = write!(out, ",{}", csv_field(&coordinate.name));
    }
    out.push('\n');
    out.push_str(&rows(times.len(), |out, frame| {
        if !times[frame].is_finite() {
            return;
        }
        number(out, times[frame]);
        let row = q_sd.get(frame).map_or(&[][..], Vec::as_slice);
        for (i, coordinate) in skeleton.coordinates.iter().enumerate() {
            out.push(',');
            if let Some(sd) = row.get(i).copied().flatten().filter(|sd| sd.is_finite()) {
                number(out, sd * file_unit(coordinate.motion));
            }
        }
        out.push('\n');
    }));
    out
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
}
