//! From a session and a model to the solver's problem.

use super::FitOptions;
use super::inverse_kinematics::nothing_moves;
use crate::error::{Error, Result};
use crate::kinematics::Mechanism;
use crate::quality::height_by_scale;
use crate::residual::reprojection::Observation;
use crate::residual::sightings::{Place, Sightings};
use crate::session::{Session, Trial, ground_from_world, rig_in_ground};
use crate::skeleton::{CoordinateId, MarkerId, Motion, Operation, ScaleGroups, Skeleton};
use crate::solve::{Free, Hyperparameters, Priors, Problem, StaturePrior, TrialProblem};
use crate::trajectory::Layout;
use nalgebra::Rotation3;
use std::sync::Arc;

/// Standard deviation of a stature that a user states, metres: a measurement against a wall, with shoes or without.
const STATURE_SD: f64 = 0.01;

/// Third derivative of joint angles and positions that the smoothness starts from, rad/s³ and m/s³ (root mean square): brisk
/// everyday movement. The data then decide, coordinate by coordinate.
const JERK: (f64, f64) = (300.0, 30.0);

/// A session made ready: the problem with nothing seen left out, and the names to speak of it.
pub(super) struct Built {
    pub problem: Problem,
    pub ground_from_world: Rotation3<f64>,
    /// Marker of each keypoint.
    pub keypoint_markers: Vec<Option<MarkerId>>,
    pub warnings: Vec<String>,
}

pub(super) fn build(
    session: &Session,
    skeleton: &Skeleton,
    groups: Option<ScaleGroups>,
    options: &FitOptions,
) -> Result<Built> {
    if session.rig.len() < 2 {
        return Err(Error::input(
            format_args!("session `{}`", session.name),
            "has one camera, which cannot tell how far away anything is; two cameras or more are needed",
            "add the calibration and the keypoints of another camera that saw the person at the same time",
        ));
    }
    if let Some(odd) = session.trials.iter().find(|t| t.detections.cameras > session.rig.len()) {
        return Err(Error::input(
            format_args!("trial `{}`", odd.name),
            format_args!("has detections of {} cameras; {} are calibrated", odd.detections.cameras, session.rig.len()),
            "give the calibration of every camera, in the order of the detections",
        ));
    }
    let skeleton = skeleton.with_rotors();
    let mut warnings = Vec::new();
    let keypoint_markers: Vec<Option<MarkerId>> =
        session.keypoints.points.iter().map(|k| k.marker_names().find_map(|m| skeleton.marker(m))).collect();
    let lacking: Vec<&str> = session
        .keypoints
        .points
        .iter()
        .zip(&keypoint_markers)
        .filter(|(k, m)| k.marker.is_some() && m.is_none())
        .map(|(k, _)| k.name.as_str())
        .collect();
    let mut markers: Vec<MarkerId> = keypoint_markers.iter().flatten().copied().collect();
    markers.sort();
    markers.dedup();
    if markers.len() < 4 {
        return Err(Error::input(
            format_args!("model `{}` with keypoint set {}", skeleton.name, session.keypoints.name),
            format_args!("the model has markers for {} of the set's keypoints; at least 4 are needed", markers.len()),
            "give a marker set whose markers are named as the keypoints (--marker-set), or another keypoint set (--keypoints)",
        ));
    }
    if !lacking.is_empty() {
        warnings.push(format!(
            "The model has no marker for {} of the keypoints: {}; they are not used.",
            lacking.len(),
            lacking.join(", ")
        ));
    }
    let groups = groups.unwrap_or_else(|| {
        ScaleGroups::for_markers(&skeleton, |m| markers.iter().any(|k| k.index() == m)).with_overall(&skeleton)
    });
    let mechanism = Arc::new(Mechanism::new(skeleton, groups));
    let layout = Arc::new(Layout::new(&mechanism));
    if layout.dofs() == 0 {
        return Err(nothing_moves(mechanism.skeleton()));
    }
    let ground_from_world = ground_from_world(session.z_up, mechanism.skeleton().up);
    let slot_of: Vec<Option<u32>> =
        keypoint_markers.iter().map(|m| m.and_then(|m| markers.binary_search(&m).ok()).map(|s| s as u32)).collect();
    let trials = session.trials.iter().map(|t| trial_problem(t, session.rig.len(), &slot_of)).collect();
    let priors = session_priors(&mechanism, &markers, session, options)?;
    let mut hyper = Hyperparameters::new(
        session.rig.len(),
        session.keypoints.points.len(),
        10.0,
        starting_smoothness(&mechanism, options.knot_spacing),
        options.loss,
    );
    hyper.smoothness_spacing = Some(options.knot_spacing);
    let problem = Problem {
        rig: rig_in_ground(&session.rig, &ground_from_world),
        markers,
        trials,
        free: Free { scales: options.scales, offsets: false, cameras: vec![false; session.rig.len()] },
        priors,
        hyper,
        mechanism,
        layout,
    };
    Ok(Built { problem, ground_from_world, keypoint_markers, warnings })
}

/// Precision of third differences of controls `spacing` apart, per degree of freedom.
pub(super) fn starting_smoothness(mechanism: &Mechanism, spacing: f64) -> Vec<f64> {
    let in_rotors = mechanism.rotor_dofs().first().copied().unwrap_or(mechanism.dofs().len());
    mechanism
        .dofs()
        .iter()
        .enumerate()
        .map(|(j, c)| {
            let translation =
                j < in_rotors && mechanism.skeleton().coordinates[c.index()].motion == Motion::Translational;
            let jerk = if translation { JERK.1 } else { JERK.0 };
            (jerk * spacing.powi(3)).powi(-2)
        })
        .collect()
}

fn trial_problem(trial: &Trial, cameras: usize, slot_of: &[Option<u32>]) -> TrialProblem {
    let d = &trial.detections;
    let places: Vec<Place> = slot_of.iter().enumerate().filter_map(|(k, s)| s.map(|s| (s, k as u16))).collect();
    let mut sightings = Sightings::new(cameras, places.clone());
    for f in 0..d.frames {
        sightings.begin_frame();
        for &(slot, keypoint) in &places {
            for c in 0..d.cameras {
                let [u, v, weight] = d.get(c, f, keypoint.into());
                sightings.push(&Observation { slot, camera: c as u16, keypoint, pixel: [u, v], weight });
            }
        }
    }
    TrialProblem { times: (0..d.frames).map(|f| f as f64 / trial.rate_hz).collect(), sightings, ..Default::default() }
}

fn session_priors(
    mechanism: &Mechanism,
    markers: &[MarkerId],
    session: &Session,
    options: &FitOptions,
) -> Result<Priors> {
    let frames = session.trials.iter().map(|t| t.detections.frames).max().unwrap_or(1);
    let fixed = |m: &MarkerId| mechanism.skeleton().markers[m.index()].fixed;
    let offset_sd = markers.iter().map(|m| if fixed(m) { 0.0 } else { options.offset_sd }).collect();
    let mut priors = priors(mechanism, offset_sd, frames, options);
    priors.stature = session.subject.stature.map(|measured| stature_prior(mechanism, measured)).transpose()?;
    // Two cameras cannot tell which of them has moved: with no third to side with, a tail that lets one go would let both.
    let sees = |c: usize| {
        session.trials.iter().any(|t| {
            let d = &t.detections;
            (0..d.frames).any(|f| (0..d.keypoints).any(|k| d.get(c, f, k)[2] > 0.0))
        })
    };
    if (0..session.rig.len()).filter(|&c| sees(c)).count() < 3 {
        priors.extrinsics.dof = f64::INFINITY;
    }
    Ok(priors)
}

/// Deviation of how a joint is usually held, as a share of its range: what a joint can do is three deviations to either side of where it rests. What keypoints tell does not feel it (a
/// knee at 60° in all of a trial, known to 1°, is moved by 0.1°); what they hardly tell, the bend of an almost straight trunk or the girdle of the shoulders, otherwise makes up for a segment
/// whose length is not the usual one: twenty degrees for 5 %.
const USUAL_SHARE: f64 = 1.0 / 6.0;

/// Of a joint with next to no range, radians.
const LEAST_POSE_SD: f64 = 0.01;

/// What is known of any body and rig before anything is seen; `offset_sd` is for each observed marker, `frames` are those of the longest trial.
pub(super) fn priors(mechanism: &Mechanism, offset_sd: Vec<f64>, frames: usize, options: &FitOptions) -> Priors {
    let skeleton = mechanism.skeleton();
    let coordinate = |c: &CoordinateId| &skeleton.coordinates[c.index()];
    // Frames of a trial are far from independent: how a joint is usually held is known once per trial, not once per frame.
    let per_trial = (frames.max(1) as f64).sqrt();
    Priors {
        scales: mechanism.groups().groups.iter().map(|g| (0.0, g.prior_sd.unwrap_or(options.scale_sd))).collect(),
        offset_sd,
        extrinsics: options.extrinsics,
        gauge: options.gauge,
        pose: mechanism
            .dofs()
            .iter()
            .map(|c| {
                // Where somebody stands and faces is not known beforehand; how joints are usually held is, a little: those without
                // limits too, or a hinge that the keypoints hardly tell comes to rest anywhere.
                let place = coordinate(c).range.is_none() && places_the_root(skeleton, *c);
                let free = coordinate(c).motion == Motion::Translational || place;
                let of_range = coordinate(c).range.map_or(f64::INFINITY, |r| USUAL_SHARE * (r[1] - r[0]));
                let usual = options.pose_sd.min(of_range.max(LEAST_POSE_SD));
                let sd = if free { f64::INFINITY } else { per_trial * usual };
                (coordinate(c).default, sd)
            })
            .collect(),
        limits: mechanism
            .dofs()
            .iter()
            .map(|c| {
                let c = coordinate(c);
                let softness = if c.motion == Motion::Translational { 0.005 } else { options.limit_softness };
                c.range.map(|r| (r, softness))
            })
            .collect(),
        stature: None,
    }
}

fn stature_prior(mechanism: &Mechanism, measured: f64) -> Result<StaturePrior> {
    let (at_zero, by_scale) = height_by_scale(mechanism).ok_or_else(|| {
        Error::input(
            format_args!("--stature {measured}, with model `{}`", mechanism.skeleton().name),
            "the model's height is not known: it has no marker on top of the head (`Head`, `HeadTop`, `Top.Head`, `Vertex`) or none on heels or toes",
            "leave the stature out (in Config.toml or session.toml as well), or add such markers with --marker-set",
        )
    })?;
    Ok(StaturePrior { at_zero, by_scale, measured, sd: STATURE_SD })
}

/// Whether a coordinate turns a body against ground.
fn places_the_root(skeleton: &Skeleton, coordinate: CoordinateId) -> bool {
    let turns = |operation: &Operation| match operation {
        Operation::RotateAbout { coordinate: by, .. } => *by == Some(coordinate),
        Operation::Ball(rotor) => skeleton.rotors[rotor.index()].coordinates.contains(&coordinate),
        _ => false,
    };
    let on_ground = skeleton.bodies.iter().skip(1).filter(|b| b.parent.index() == 0);
    on_ground.flat_map(|b| &skeleton.operations[b.operations.clone()]).any(turns)
}
