//! Marker positions over time: `.trc`.
//!
//! Metres, in the model's ground frame (Y up for OpenSim models, Z up for MuJoCo ones), twelve decimals. Only markers that some
//! detection observed are written: the others are where the skeleton carries them, which the model and the `.mot` say anyway.

use crate::fit::{SessionFit, TrialFit};
use crate::session::markers::{MarkerTrial, trc::to_text};
use crate::skeleton::MarkerId;
use std::collections::BTreeSet;

/// Markers with a fitted offset, and markers of a keypoint that some camera saw in some trial, in the model's order.
pub fn observed(fit: &SessionFit) -> Vec<MarkerId> {
    let seen = |keypoint: usize| {
        fit.trials
            .iter()
            .flat_map(|trial| &trial.noise_px)
            .any(|camera| camera.get(keypoint).is_some_and(|noise| noise.is_some()))
    };
    let by_keypoint = fit.keypoints.iter().enumerate().filter(|(k, _)| seen(*k)).filter_map(|(_, (_, marker))| *marker);
    let all: BTreeSet<MarkerId> = fit.offset_fits.iter().map(|o| o.marker).chain(by_keypoint).collect();
    all.into_iter().filter(|m| m.index() < fit.skeleton.markers.len()).collect()
}

/// A trial's markers as a `.trc` of that name; `None` where a marker's place is no number.
pub fn trc(trial: &TrialFit, fit: &SessionFit, markers: &[MarkerId], file: &str) -> Option<String> {
    let complete = trial.markers.len() == trial.time.len()
        && trial.rate_hz.is_finite()
        && trial.time.iter().all(|t| t.is_finite())
        && trial
            .markers
            .iter()
            .all(|row| markers.iter().all(|m| row.get(m.index()).is_some_and(|p| p.iter().all(|x| x.is_finite()))));
    if !complete {
        return None;
    }
    let table = MarkerTrial {
        label: file.to_owned(),
        names: markers.iter().map(|m| fit.skeleton.markers[m.index()].name.clone()).collect(),
        rate_hz: trial.rate_hz,
        first_frame: trial.first_frame,
        times: trial.time.clone(),
        positions: trial.markers.iter().flat_map(|row| markers.iter().map(|m| Some(row[m.index()]))).collect(),
        up: None,
    };
    to_text(&table, file).ok()
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn markers_read_back() {
        let fit = sample::session();
        let trial = &fit.trials[1];
        let markers = observed(&fit);
        assert!(markers.len() < fit.skeleton.markers.len(), "one marker of the sample is never observed");
        let text = trc(trial, &fit, &markers, "b.trc").unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].ends_with("b.trc"));
        let names: Vec<&str> = lines[3].split('\t').skip(2).step_by(3).filter(|n| !n.is_empty()).collect();
        assert_eq!(names.len(), markers.len());
        for (f, line) in lines[6..].iter().enumerate() {
            let numbers: Vec<f64> = line.split('\t').map(|x| x.parse().unwrap()).collect();
            assert_eq!(numbers[0] as i64, trial.first_frame + f as i64);
            assert!((numbers[1] - trial.time[f]).abs() < 1e-11);
            for (m, marker) in markers.iter().enumerate() {
                for axis in 0..3 {
                    // Half of the last decimal.
                    assert!((numbers[2 + 3 * m + axis] - trial.markers[f][marker.index()][axis]).abs() <= 0.6e-12);
                }
            }
        }
        assert_eq!(lines.len() - 6, trial.time.len());
    }

    #[test]
    fn a_place_that_is_no_number_makes_no_file() {
        let mut fit = sample::session();
        let markers = observed(&fit);
        fit.trials[1].markers[0][markers[0].index()].y = f64::NAN;
        assert!(trc(&fit.trials[1], &fit, &markers, "b.trc").is_none());
    }
}
