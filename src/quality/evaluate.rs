//! A fit against its truth.
//!
//! | figure | formula |
//! |---|---|
//! | bias-free error of a coordinate | mean over frames of `\|e − median(e)\|`, `e` = fitted − true: markers say where a joint's zero is only as well as their offsets are known |
//! | of the joints | its mean over the rotational coordinates that have limits (a root's orientation has none) |
//! | marker error | mean distance over frames and observed markers; *after similarity*: one rotation, translation and size for the trial (Umeyama 1991) |
//! | scale error | mean over bodies and axes of `\|fitted − true\|` factor |
//! | offset error | mean over observed markers of `‖fitted − true‖` |
//! | cameras | distance of the centres, angle between the orientations; *after similarity*: that of all trials' markers |
//! | coverage | share of errors within one and two of the fit's own standard deviations: 0.683 and 0.954 where these are right |

use super::{FittedData, FittedOffset, FittedRotor, FittedTrial};
use crate::error::{Error, Result};
use crate::math::median;
use crate::skeleton::Rotor;
use crate::synthetic::{TrialTruth, Truth};
use nalgebra::{Matrix3, Rotation3, Vector3};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::f64::consts::{PI, TAU};

/// Errors of a fit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Trials, in the truth's order.
    pub trials: Vec<TrialEvaluation>,
    /// Mean error of scale factors, over bodies and axes.
    pub scale_error: f64,
    /// Mean error of offsets, millimetres.
    pub offset_error_mm: f64,
    /// Cameras by name.
    pub cameras: BTreeMap<String, CameraError>,
    /// Whether the stated deviations of coordinates, scale groups and offsets hold.
    pub coverage: CoverageByKind,
}

/// Errors of a trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialEvaluation {
    /// Name.
    pub name: String,
    /// Frames compared.
    pub frames: usize,
    /// Mean over limited rotational coordinates, degrees.
    pub joints: CoordinateError,
    /// How many those are.
    pub joint_count: usize,
    /// Every coordinate both have: degrees for angles, millimetres for lengths.
    pub coordinates: BTreeMap<String, CoordinateError>,
    /// Markers.
    pub markers: MarkerError,
}

/// Errors of a coordinate over a trial, degrees or millimetres.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct CoordinateError {
    /// Root mean square.
    pub rmse: f64,
    /// Mean absolute.
    pub mean_abs: f64,
    /// Mean absolute, less the median error.
    pub bias_free: f64,
    /// The median error.
    pub bias: f64,
}

/// Errors of marker positions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct MarkerError {
    /// Mean distance, millimetres.
    pub raw_mm: f64,
    /// After one similarity for the trial.
    pub after_similarity_mm: f64,
    /// The size that similarity gives the fitted body: 1 is right.
    pub size: f64,
}

/// Errors of a camera.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct CameraError {
    /// Of the optical centre, millimetres.
    pub centre_mm: f64,
    /// Of the orientation, degrees.
    pub rotation_deg: f64,
    /// Of the centre after the similarity of the markers.
    pub centre_after_similarity_mm: f64,
    /// Of the orientation after it.
    pub rotation_after_similarity_deg: f64,
}

/// Shares of errors within the stated deviations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// Within one standard deviation.
    pub within_1_sd: f64,
    /// Within two.
    pub within_2_sd: f64,
    /// Root mean square of error over deviation: 1 is right.
    pub rms: f64,
    /// Of how many numbers.
    pub count: usize,
}

/// Coverage by what was estimated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct CoverageByKind {
    /// Coordinates, all frames.
    pub coordinates: Coverage,
    /// Factors of scale groups.
    pub scales: Coverage,
    /// Offset components.
    pub offsets: Coverage,
}

/// Compares a fit with its truth.
///
/// # Errors
/// Where they have no trial, coordinate or marker in common, or are not of one session: most cameras stand elsewhere, or a trial has more frames.
pub fn evaluate(truth: &Truth, fitted: &FittedData) -> Result<Evaluation> {
    let observed: Vec<(usize, usize)> = fitted
        .markers
        .iter()
        .enumerate()
        .filter(|(_, name)| fitted.offsets.contains_key(*name))
        .filter_map(|(i, name)| Some((i, truth.markers.iter().position(|m| m == name)?)))
        .collect();
    let columns: Vec<(usize, usize)> = fitted
        .coordinates
        .iter()
        .enumerate()
        .filter_map(|(i, c)| Some((i, truth.coordinates.iter().position(|n| *n == c.name)?)))
        .collect();
    let pairs = trial_pairs(truth, fitted);
    same_session(truth, fitted, &pairs)?;
    if pairs.is_empty() {
        let names = |all: Vec<&str>| all.join(", ");
        return Err(Error::input(
            "truth and fit",
            format_args!(
                "no trial has the same name in both: the truth has {}, the fit {}",
                names(truth.trials.iter().map(|t| t.name.as_str()).collect()),
                if fitted.trials.is_empty() {
                    "none".into()
                } else {
                    names(fitted.trials.iter().map(|t| t.name.as_str()).collect())
                }
            ),
            "give the truth of the very session that was fitted",
        ));
    }
    if observed.is_empty() || columns.is_empty() {
        return Err(Error::input(
            "truth and fit",
            format_args!("they have {} observed markers and {} coordinates in common", observed.len(), columns.len()),
            "give the truth of the very session, and a fit with the model it was made with",
        ));
    }
    let mut z = Vec::new();
    let mut all_points = Vec::new();
    let mut trials = Vec::new();
    for (t, f) in pairs {
        let rows = common_frames(t, f);
        let points = points(t, f, &rows, &observed);
        let expected = expected_coordinates(t, f, &rows, &columns, &fitted.rotors);
        let mut coordinates = BTreeMap::new();
        let mut joints = Vec::new();
        for (k, &(i, _)) in columns.iter().enumerate() {
            let c = &fitted.coordinates[i];
            let errors = coordinate_errors(f, &rows, i, expected.iter().map(|row| row[k]), c.rotational);
            let sds = rows.iter().map(|&(_, row)| f.q_sd.get(row).and_then(|sd| sd.get(i).copied().flatten()));
            z.extend(errors.iter().zip(sds).filter_map(|(e, sd)| z_score(*e, sd?)));
            let unit = if c.rotational { 1f64.to_degrees() } else { 1e3 };
            let error = coordinate_error(&errors, unit);
            if c.rotational && c.limited {
                joints.push(error);
            }
            coordinates.insert(c.name.clone(), error);
        }
        trials.push(TrialEvaluation {
            name: f.name.clone(),
            frames: rows.len(),
            joints: mean_error(&joints),
            joint_count: joints.len(),
            coordinates,
            markers: marker_error(&points),
        });
        all_points.extend(points);
    }
    Ok(Evaluation {
        trials,
        scale_error: scale_error(truth, fitted),
        offset_error_mm: offset_error_mm(truth, fitted),
        cameras: camera_errors(truth, fitted, &Similarity::between(&all_points)),
        coverage: CoverageByKind {
            coordinates: coverage(&z),
            scales: coverage(&scale_scores(truth, fitted)),
            offsets: coverage(&offset_scores(truth, fitted)),
        },
    })
}

/// Centres of cameras farther from where they stood than any calibration is off, millimetres.
const ELSEWHERE: f64 = 500.0;

/// A truth of another session gives figures too, which say nothing.
fn same_session(truth: &Truth, fitted: &FittedData, pairs: &[(&TrialTruth, &FittedTrial)]) -> Result<()> {
    let other = |problem: String| {
        Err(Error::input("truth and fit", problem, "give the truth of the very session that was fitted"))
    };
    for (t, f) in pairs {
        let frames = t.coordinates.len() as i64;
        let last = f.first_frame + f.q.len() as i64;
        if last > frames {
            return other(format!(
                "trial `{}` was fitted up to frame {}, but the truth has {frames}",
                f.name,
                last - 1
            ));
        }
    }
    let as_fitted = Similarity { rotation: Rotation3::identity(), size: 1.0, shift: Vector3::zeros() };
    let cameras = camera_errors(truth, fitted, &as_fitted);
    if cameras.is_empty() && !truth.cameras.is_empty() {
        return other("no camera has the same name in both".into());
    }
    match median(&mut cameras.values().map(|c| c.centre_mm).collect::<Vec<_>>()) {
        Some(typical) if typical > ELSEWHERE => {
            other(format!("half of the cameras stood {:.1} m or more from where they were fitted", 1e-3 * typical))
        }
        _ => Ok(()),
    }
}

/// Trials of the same name; where the truth has one trial without a name, it is the only fitted one's.
fn trial_pairs<'a>(truth: &'a Truth, fitted: &'a FittedData) -> Vec<(&'a TrialTruth, &'a FittedTrial)> {
    match (&truth.trials[..], &fitted.trials[..]) {
        ([t], [f]) if t.name.is_empty() => vec![(t, f)],
        (truths, fits) => {
            truths.iter().filter_map(|t| fits.iter().find(|f| f.name == t.name).map(|f| (t, f))).collect()
        }
    }
}

/// Rows of truth and fit that are the same frame.
fn common_frames(t: &TrialTruth, f: &FittedTrial) -> Vec<(usize, usize)> {
    (0..f.q.len().min(f.markers.len()))
        .filter_map(|row| Some((usize::try_from(f.first_frame + row as i64).ok()?, row)))
        .filter(|(frame, _)| *frame < t.coordinates.len())
        .collect()
}

/// Fitted and true positions.
fn points(
    t: &TrialTruth,
    f: &FittedTrial,
    rows: &[(usize, usize)],
    observed: &[(usize, usize)],
) -> Vec<[Vector3<f64>; 2]> {
    let of = |&(frame, row): &(usize, usize)| {
        observed.iter().map(move |&(i, j)| [f.markers[row][i], Vector3::from(t.markers[frame][j])])
    };
    rows.iter().flat_map(of).collect()
}

/// The truth by frame and common column, each rotation as those of its angles that are nearest the fit's.
fn expected_coordinates(
    t: &TrialTruth,
    f: &FittedTrial,
    rows: &[(usize, usize)],
    columns: &[(usize, usize)],
    rotors: &[FittedRotor],
) -> Vec<Vec<f64>> {
    let place = |coordinate: usize| columns.iter().position(|&(i, _)| i == coordinate);
    let rotors: Vec<(Rotor, [usize; 3])> = rotors
        .iter()
        .filter_map(|r| {
            let [a, b, c] = r.coordinates.map(place);
            Some((r.rotor(), [a?, b?, c?]))
        })
        .collect();
    rows.iter()
        .map(|&(frame, row)| {
            let mut q: Vec<f64> = columns.iter().map(|&(_, j)| t.coordinates[frame][j]).collect();
            for (rotor, at) in &rotors {
                let rotation = rotor.rotation_from_angles(at.map(|k| q[k]));
                let (angles, _) = rotor.angles_from_rotation(&rotation, at.map(|k| f.q[row][columns[k].0]));
                at.iter().zip(angles).for_each(|(&k, angle)| q[k] = angle);
            }
            q
        })
        .collect()
}

/// Fitted less true. Angles that differ by whole turns all along are the same: the turns nearest the first error are taken out.
fn coordinate_errors(
    f: &FittedTrial,
    rows: &[(usize, usize)],
    coordinate: usize,
    expected: impl Iterator<Item = f64>,
    rotational: bool,
) -> Vec<f64> {
    let mut errors: Vec<f64> =
        rows.iter().zip(expected).map(|(&(_, row), truth)| f.q[row][coordinate] - truth).collect();
    if rotational && let Some(first) = errors.first().copied() {
        let turns = TAU * ((first + PI) / TAU).floor();
        errors.iter_mut().for_each(|e| *e -= turns);
    }
    errors
}

fn coordinate_error(errors: &[f64], unit: f64) -> CoordinateError {
    if errors.is_empty() {
        return CoordinateError::default();
    }
    let n = errors.len() as f64;
    let bias = median(&mut errors.to_vec()).unwrap_or(0.0);
    CoordinateError {
        rmse: unit * (errors.iter().map(|e| e * e).sum::<f64>() / n).sqrt(),
        mean_abs: unit * errors.iter().map(|e| e.abs()).sum::<f64>() / n,
        bias_free: unit * errors.iter().map(|e| (e - bias).abs()).sum::<f64>() / n,
        bias: unit * bias,
    }
}

/// The mean of each figure; of the bias, that of its size.
fn mean_error(errors: &[CoordinateError]) -> CoordinateError {
    let mean = |of: fn(&CoordinateError) -> f64| errors.iter().map(of).sum::<f64>() / errors.len().max(1) as f64;
    CoordinateError {
        rmse: mean(|e| e.rmse),
        mean_abs: mean(|e| e.mean_abs),
        bias_free: mean(|e| e.bias_free),
        bias: mean(|e| e.bias.abs()),
    }
}

/// `true ≈ size·rotation·fitted + shift`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Similarity {
    rotation: Rotation3<f64>,
    size: f64,
    shift: Vector3<f64>,
}

impl Similarity {
    /// Least squares between pairs of fitted and true points. Source: Umeyama 1991, IEEE TPAMI 13:376.
    fn between(pairs: &[[Vector3<f64>; 2]]) -> Self {
        let n = pairs.len().max(1) as f64;
        let (a, b) = pairs.iter().fold((Vector3::zeros(), Vector3::zeros()), |(a, b), [x, y]| (a + x / n, b + y / n));
        let covariance = pairs.iter().fold(Matrix3::zeros(), |m, [x, y]| m + (y - b) * (x - a).transpose());
        let spread: f64 = pairs.iter().map(|[x, _]| (x - a).norm_squared()).sum();
        let svd = covariance.svd(true, true);
        let (Some(u), Some(v_t)) = (svd.u, svd.v_t) else {
            return Self { rotation: Rotation3::identity(), size: 1.0, shift: b - a };
        };
        // The smallest singular value is the last; a mirror image is turned over along it.
        let sign = if (u.determinant() * v_t.determinant()) < 0.0 { -1.0 } else { 1.0 };
        let flip = Matrix3::from_diagonal(&Vector3::new(1.0, 1.0, sign));
        let rotation = Rotation3::from_matrix_unchecked(u * flip * v_t);
        let trace = svd.singular_values[0] + svd.singular_values[1] + sign * svd.singular_values[2];
        let size = if spread > 0.0 { trace / spread } else { 1.0 };
        Self { rotation, size, shift: b - rotation * a * size }
    }

    fn apply(&self, x: &Vector3<f64>) -> Vector3<f64> {
        self.rotation * x * self.size + self.shift
    }
}

fn marker_error(pairs: &[[Vector3<f64>; 2]]) -> MarkerError {
    let s = Similarity::between(pairs);
    let mean_mm = |distance: &dyn Fn(&[Vector3<f64>; 2]) -> f64| {
        1e3 * pairs.iter().map(distance).sum::<f64>() / pairs.len().max(1) as f64
    };
    MarkerError {
        raw_mm: mean_mm(&|[x, y]| (x - y).norm()),
        after_similarity_mm: mean_mm(&|[x, y]| (s.apply(x) - y).norm()),
        size: s.size,
    }
}

fn scale_error(truth: &Truth, fitted: &FittedData) -> f64 {
    let errors: Vec<f64> = truth
        .scales
        .iter()
        .filter_map(|(body, t)| fitted.scales.get(body).map(|f| (t, f)))
        .flat_map(|(t, f)| (0..3).map(|k| (t[k] - f[k]).abs()))
        .collect();
    errors.iter().sum::<f64>() / errors.len().max(1) as f64
}

fn offset_pairs<'a>(
    truth: &'a Truth,
    fitted: &'a FittedData,
) -> impl Iterator<Item = (Vector3<f64>, &'a FittedOffset)> {
    truth.offsets.iter().filter_map(|(marker, t)| {
        let f = fitted.offsets.get(marker)?;
        Some((Vector3::from(f.value) - Vector3::from(*t), f))
    })
}

fn offset_error_mm(truth: &Truth, fitted: &FittedData) -> f64 {
    let errors: Vec<f64> = offset_pairs(truth, fitted).map(|(e, _)| 1e3 * e.norm()).collect();
    errors.iter().sum::<f64>() / errors.len().max(1) as f64
}

fn offset_scores(truth: &Truth, fitted: &FittedData) -> Vec<f64> {
    offset_pairs(truth, fitted)
        .filter_map(|(e, f)| Some((e, f.sd?)))
        .flat_map(|(e, sd)| (0..3).filter_map(move |k| z_score(e[k], sd[k])))
        .collect()
}

fn scale_scores(truth: &Truth, fitted: &FittedData) -> Vec<f64> {
    truth
        .group_factors
        .iter()
        .filter_map(|(group, t)| fitted.group_factors.get(group).and_then(|[f, sd]| z_score(f - t, *sd)))
        .collect()
}

/// Error over deviation, where there is one.
fn z_score(error: f64, sd: f64) -> Option<f64> {
    (sd > 0.0 && sd.is_finite()).then(|| error / sd)
}

fn coverage(z: &[f64]) -> Coverage {
    if z.is_empty() {
        return Coverage::default();
    }
    let n = z.len() as f64;
    let within = |limit: f64| z.iter().filter(|z| z.abs() <= limit).count() as f64 / n;
    Coverage {
        within_1_sd: within(1.0),
        within_2_sd: within(2.0),
        rms: (z.iter().map(|z| z * z).sum::<f64>() / n).sqrt(),
        count: z.len(),
    }
}

fn camera_errors(truth: &Truth, fitted: &FittedData, similarity: &Similarity) -> BTreeMap<String, CameraError> {
    let turn = &fitted.ground_from_world;
    let of = |t: &crate::synthetic::TrueCamera| {
        let f = fitted.rig.iter().find(|f| f.name == t.name)?;
        let (true_centre, centre) = (turn * Vector3::from(t.centre), turn * f.centre_in_world());
        let ground_from = |camera_from_world: Rotation3<f64>| turn * camera_from_world.inverse();
        let true_axes = ground_from(t.camera_from_world());
        let axes = ground_from(f.camera_from_world.rotation.to_rotation_matrix());
        let error = CameraError {
            centre_mm: 1e3 * (centre - true_centre).norm(),
            rotation_deg: axes.angle_to(&true_axes).to_degrees(),
            centre_after_similarity_mm: 1e3 * (similarity.apply(&centre) - true_centre).norm(),
            rotation_after_similarity_deg: (similarity.rotation * axes).angle_to(&true_axes).to_degrees(),
        };
        Some((t.name.clone(), error))
    };
    truth.cameras.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scattered(n: usize) -> Vec<Vector3<f64>> {
        (0..n).map(|i| Vector3::new((i as f64).sin(), (1.7 * i as f64).cos(), (0.3 * i as f64).sin())).collect()
    }

    #[test]
    fn a_similarity_is_found_again() {
        let s = Similarity {
            rotation: Rotation3::new(Vector3::new(0.4, -2.0, 1.0)),
            size: 1.07,
            shift: Vector3::new(1.0, -3.0, 0.2),
        };
        let pairs: Vec<_> = scattered(30).into_iter().map(|x| [x, s.apply(&x)]).collect();
        let e = marker_error(&pairs);
        assert!(e.after_similarity_mm < 1e-9 && (e.size - 1.07).abs() < 1e-12 && e.raw_mm > 1e3, "{e:?}");
    }

    #[test]
    fn a_mirror_image_is_no_similarity() {
        let pairs: Vec<_> = scattered(30).into_iter().map(|x| [x, Vector3::new(-x.x, x.y, x.z)]).collect();
        assert!(marker_error(&pairs).after_similarity_mm > 100.0);
    }

    #[test]
    fn errors_of_a_coordinate() {
        let e = coordinate_error(&[1.0, 1.0, 1.0, 3.0, -1.0], 2.0);
        assert_eq!((e.bias, e.mean_abs), (2.0, 2.8));
        assert!((e.bias_free - 1.6).abs() < 1e-12 && (e.rmse - 2.0 * (13.0f64 / 5.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn coverage_counts_what_lies_within() {
        let c = coverage(&[0.5, -0.9, 1.5, -2.5]);
        assert_eq!((c.within_1_sd, c.within_2_sd, c.count), (0.5, 0.75, 4));
        assert_eq!(coverage(&[]), Coverage::default());
    }
}
