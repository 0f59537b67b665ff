//! Files of inverse kinematics: coordinates, markers, errors.

use super::atomic::NewFile;
use super::motion::deviations;
use super::names::csv_field;
use super::{finite, json};
use crate::error::Result;
use crate::fit::{Exchange, IkFit, MarkerFit, MarkerTrialFit, Status};
use crate::math::median;
use crate::quality::root_inclination;
use crate::session::columns::{number, rows};
use crate::session::coordinates::{CoordinateTable, file_unit};
use crate::session::markers::{MarkerTrial, trc::to_text};
use crate::skeleton::{Motion, Skeleton};
use serde::Serialize;
use std::fmt::Write;

/// What `<trial>_ik.json` holds: the figures of a whole trial.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IkSummary {
    /// Version of this form.
    pub format: u32,
    /// `converged`, `usable` where some frames were given up, `failed` where all were.
    pub status: &'static str,
    /// Number of frames.
    pub frames: usize,
    /// Frames whose descent did not end, by their place in the trial.
    pub not_converged: Vec<usize>,
    /// Root mean square distance of all markers seen, metres.
    pub rms_m: Option<f64>,
    /// The largest distance of all, metres, its marker and its time.
    pub largest: Option<LargestError>,
    /// Markers that were followed.
    pub markers: Vec<String>,
    /// Markers of the trial that the model does not have.
    pub not_in_model: Vec<String>,
    /// Markers of the model that the trial does not have.
    pub not_in_trial: Vec<String>,
    /// Free coordinates that the markers do not observe, in all frames that show three markers or in some: an error of a centimetre in the markers turns them by more than 40°, or moves them by more than 0.1 m.
    pub unobserved: Vec<UnobservedCoordinate>,
    /// Standard deviation of the other free angles, the median over all of them and all frames, degrees; `None` where none was computed.
    pub typical_sd_deg: Option<f64>,
    /// Markers whose names were found exchanged, and mended; never where every frame was fitted on its own.
    pub exchanged: Vec<ExchangedMarkers>,
    /// Times, first and last, in which fewer than three markers were seen for ten frames or more, where frames were fitted together: what is written there is filled in.
    pub gaps: Vec<[f64; 2]>,
    /// By how much, in half of the frames or more, the body that moves freely against ground leans from where the model's default pose has it, degrees; `None` where there is no such body.
    pub leans_deg: Option<f64>,
    /// For how many frames errors of markers last, where frames were fitted together: deviations are stated as if there were that many fewer frames.
    pub autocorrelation_frames: Option<f64>,
    /// How long a frame took, seconds; not in the file, which is the same whenever it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_per_frame: Option<f64>,
}

/// A coordinate that the markers do not observe.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UnobservedCoordinate {
    /// Which.
    pub coordinate: String,
    /// In how many frames.
    pub frames: usize,
    /// Of how many that show three markers or more.
    pub of: usize,
}

/// Two markers that bore each other's name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExchangedMarkers {
    /// Both.
    pub markers: [String; 2],
    /// From this time, seconds,
    pub from_s: f64,
    /// to this one, both included.
    pub to_s: f64,
}

/// The largest distance between a measured marker and the model's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LargestError {
    /// Of this marker.
    pub marker: String,
    /// At this time, seconds.
    pub time_s: f64,
    /// Metres.
    pub distance_m: f64,
}

/// Figures of a whole trial.
pub fn ik_summary(fit: &IkFit, trial: &MarkerTrial, skeleton: &Skeleton) -> IkSummary {
    let name = |i: usize| skeleton.markers[fit.markers[i].index()].name.clone();
    let squares = || fit.frames.iter().flat_map(|f| f.squared.iter().flatten());
    let seen = squares().count();
    let not_converged: Vec<usize> =
        fit.frames.iter().enumerate().filter(|(_, f)| !f.converged).map(|(i, _)| i).collect();
    let worst = fit.frames.iter().zip(&trial.times).filter_map(|(f, t)| f.largest().map(|(i, d)| (i, d, *t)));
    IkSummary {
        format: 1,
        status: match not_converged.len() {
            0 => "converged",
            n if n < fit.frames.len() => "usable",
            _ => "failed",
        },
        frames: fit.frames.len(),
        not_converged,
        rms_m: (seen > 0).then(|| (squares().sum::<f64>() / seen as f64).sqrt()),
        largest: worst.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(i, distance_m, time_s)| LargestError {
            marker: name(i),
            time_s,
            distance_m,
        }),
        markers: (0..fit.markers.len()).map(name).collect(),
        not_in_model: fit.not_in_model.clone(),
        not_in_trial: fit.not_in_trial.clone(),
        unobserved: fit
            .unobserved
            .iter()
            .map(|u| UnobservedCoordinate {
                coordinate: skeleton.coordinates[u.coordinate.index()].name.clone(),
                frames: u.frames,
                of: u.of,
            })
            .collect(),
        typical_sd_deg: typical_sd(fit, skeleton).map(f64::to_degrees),
        exchanged: Vec::new(),
        // Nothing fills them but what was there before.
        gaps: gaps(fit, trial, 1),
        leans_deg: root_inclination(skeleton, &fit.q),
        autocorrelation_frames: None,
        seconds_per_frame: None,
    }
}

/// Median of the deviations of the free angles that the markers tell, radians.
fn typical_sd(fit: &IkFit, skeleton: &Skeleton) -> Option<f64> {
    let told: Vec<usize> = skeleton
        .coordinates
        .iter()
        .enumerate()
        .filter(|(i, c)| {
            c.motion == Motion::Rotational
                && !c.locked
                && c.coupling.is_none()
                && !fit.unobserved.iter().any(|u| u.coordinate.index() == *i && u.frames == u.of)
        })
        .map(|(i, _)| i)
        .collect();
    let all =
        fit.q_sd.iter().flat_map(|row| told.iter().filter_map(|i| row.get(*i).copied().flatten().and_then(finite)));
    median(&mut all.collect::<Vec<f64>>())
}

/// Figures of a trial that was fitted with all its frames together, as one of those of `whole`.
pub fn marker_trial_summary(whole: &MarkerFit, fit: &MarkerTrialFit, trial: &MarkerTrial) -> IkSummary {
    let time = |frame: usize| trial.times.get(frame).copied().unwrap_or_default();
    let exchanged = |e: &Exchange| ExchangedMarkers {
        markers: e.names.clone(),
        from_s: time(e.frames.start),
        to_s: time(e.frames.end.saturating_sub(1)),
    };
    IkSummary {
        exchanged: fit.exchanged.iter().map(exchanged).collect(),
        gaps: gaps(&fit.fit, trial, SHORT_GAP),
        autocorrelation_frames: finite(whole.autocorrelation_frames),
        status: match whole.status {
            Status::Converged => "converged",
            Status::Usable => "usable",
            Status::Failed => "failed",
        },
        // It is the trial as a whole that converges.
        not_converged: Vec::new(),
        ..ik_summary(&fit.fit, trial, &whole.skeleton)
    }
}

/// Fewer markers than this do not tell where a body is.
const TELLING: usize = 3;

/// Gaps of fewer frames are what a trajectory is for.
const SHORT_GAP: usize = 10;

/// Times in which too few markers were seen for so many frames or more: first and last, seconds.
fn gaps(fit: &IkFit, trial: &MarkerTrial, shortest: usize) -> Vec<[f64; 2]> {
    let blind: Vec<bool> = fit.frames.iter().map(|f| f.squared.iter().flatten().count() < TELLING).collect();
    let mut out = Vec::new();
    let mut start = 0;
    for f in 0..=blind.len() {
        if blind.get(f).copied().unwrap_or(false) {
            continue;
        }
        if f - start >= shortest && f > start {
            out.push([trial.times[start], trial.times[f - 1]]);
        }
        start = f + 1;
    }
    out
}

/// [`ik_files`] of a trial that was fitted with all its frames together.
///
/// # Errors
/// As for [`ik_files`].
pub fn marker_trial_files(
    whole: &MarkerFit,
    fit: &MarkerTrialFit,
    trial: &MarkerTrial,
    name: &str,
) -> Result<Vec<NewFile>> {
    files(&fit.fit, &marker_trial_summary(whole, fit, trial), trial, &whole.skeleton, name)
}

/// `<name>_ik.mot` (degrees), `<name>_ik.sd.csv` (the coordinates' standard deviations, degrees and metres, empty where there is none or no marker tells the coordinate), `<name>_ik.trc` (the followed markers where the model has them, metres in ground), `<name>_ik_errors.csv` (distance of each followed marker in
/// every frame, metres, empty where it was not seen) and `<name>_ik.json` ([`IkSummary`]).
///
/// # Errors
/// A coordinate or position that is no number.
pub fn ik_files(fit: &IkFit, trial: &MarkerTrial, skeleton: &Skeleton, name: &str) -> Result<Vec<NewFile>> {
    files(fit, &ik_summary(fit, trial, skeleton), trial, skeleton, name)
}

fn files(
    fit: &IkFit,
    summary: &IkSummary,
    trial: &MarkerTrial,
    skeleton: &Skeleton,
    name: &str,
) -> Result<Vec<NewFile>> {
    let coordinates = CoordinateTable {
        names: skeleton.coordinates.iter().map(|c| c.name.clone()).collect(),
        times: trial.times.clone(),
        values: fit
            .q
            .iter()
            .flat_map(|q| q.iter().zip(&skeleton.coordinates).map(|(v, c)| Some(v * file_unit(c.motion))))
            .collect(),
        in_degrees: true,
    };
    let names: Vec<String> = fit.markers.iter().map(|m| skeleton.markers[m.index()].name.clone()).collect();
    let markers = MarkerTrial {
        label: trial.label.clone(),
        names: names.clone(),
        rate_hz: trial.rate_hz,
        first_frame: trial.first_frame,
        times: trial.times.clone(),
        positions: fit.positions.iter().flatten().map(|p| Some(*p)).collect(),
        up: None,
    };
    let mut errors = String::from("time,rms");
    for name in &names {
        let _ = write!(errors, ",{}", csv_field(name));
    }
    errors.push('\n');
    errors.push_str(&rows(fit.frames.len().min(trial.times.len()), |errors, f| {
        let frame = &fit.frames[f];
        number(errors, trial.times[f]);
        let distances = frame.squared.iter().map(|s| s.map(f64::sqrt));
        for value in std::iter::once(frame.rms()).chain(distances) {
            errors.push(',');
            if let Some(value) = value {
                number(errors, value);
            }
        }
        errors.push('\n');
    }));
    let trc = format!("{name}_ik.trc");
    let file = |ending: &str, text: String| NewFile { name: format!("{name}{ending}"), content: text.into_bytes() };
    Ok(vec![
        file("_ik.mot", coordinates.to_mot(name)?),
        file("_ik.sd.csv", deviations(&trial.times, &fit.q_sd, skeleton)),
        file("_ik.trc", to_text(&markers, &trc)?),
        file("_ik_errors.csv", errors),
        file("_ik.json", json(summary)),
    ])
}
