//! A first guess that needs nothing from the user: triangulated keypoints, the subject's size, the root's pose by superposition, all joints by a robust
//! fit of every sampled frame on its own.

use super::FitOptions;
use super::build::Built;
use super::superpose::Superposition;
use crate::camera::{CameraId, Projector, TriangulationOptions, triangulate};
use crate::kinematics::Frame;
use crate::math::basis::Knots;
use crate::math::median;
use crate::residual::point::PointObservation;
use crate::residual::reprojection::Observation;
use crate::session::{Session, Trial, Unusable};
use crate::skeleton::{Motion, Offsets};
use crate::solve::{Parameters, Problem, SolveOptions, TrialProblem, solve};
use crate::trajectory::{BSpline, Pose, Trajectory, between};
use nalgebra::Vector3;
use rayon::prelude::*;
use std::f64::consts::TAU;

/// Frames are initialised at about this rate, and others by interpolation: enough for any movement to be followed.
const SAMPLE_HZ: f64 = 15.0;

/// Standard deviation of a triangulated keypoint as a marker's position, metres: detectors and the generic body's markers differ by centimetres.
const POINT_SD: f64 = 0.02;

/// Fewest points that fix a body in space.
pub(super) const MIN_POINTS: usize = 4;

/// Rays may miss each other by this much where a calibration has gone stale, pixels.
const LENIENT_PX: f64 = 60.0;

/// Sizes of a subject relative to the model beyond which nothing of the kind was filmed; wider than people are, for this is a guess, and a fit tells better.
const SIZES: std::ops::Range<f64> = 0.35..2.8;

/// Rays closer to parallel than this say nothing about depth, radians.
const MIN_RAY_ANGLE: f64 = 0.05;

/// Points of a sampled frame, triangulated or measured.
pub(super) struct Sample {
    /// Seconds from the beginning of the trial.
    pub time: f64,
    /// One for each marker.
    pub points: Vec<PointObservation>,
}

/// How many frames a sample is apart from the next.
pub(super) fn stride(rate_hz: f64) -> usize {
    ((rate_hz / SAMPLE_HZ).round() as usize).max(1)
}

/// Triangulated frames of each trial; of one in which nobody can be placed, what is wrong with it.
pub(super) fn sample(session: &Session, built: &Built) -> Vec<std::result::Result<Vec<Sample>, Unusable>> {
    let projectors: Vec<Projector> = built.problem.rig.iter().map(Projector::new).collect();
    let of_trial = |(trial, data): (&Trial, &TrialProblem)| {
        let frames: Vec<usize> = (0..data.times.len()).step_by(stride(trial.rate_hz)).collect();
        let taken: Vec<Sample> = frames
            .par_iter()
            .map(|&f| Sample { time: data.times[f], points: points(data, f, &projectors) })
            .filter(|s| s.points.len() >= MIN_POINTS)
            .collect();
        match taken.is_empty() {
            false => Ok(taken),
            true => Err(Unusable {
                problem: format!("in no frame do two cameras see {MIN_POINTS} keypoints of the same person"),
                advice: "check that camera folders and calibration belong together and are in the same order".into(),
            }),
        }
    };
    session.trials.iter().zip(&built.problem.trials).map(of_trial).collect()
}

/// What is wrong with a trial whose triangulated keypoints are of nobody's size: a calibration in another unit than metres, or keypoints of other names.
pub(super) fn of_no_size(problem: &Problem, sample: &[Sample]) -> Option<Unusable> {
    let size = size(problem, std::iter::once(sample));
    if !problem.free.scales || SIZES.contains(&size) {
        return None;
    }
    Some(Unusable {
        problem: format!("distances between triangulated keypoints are {size:.3} times the model's, which no person's are"),
        advice: "look at the calibration's unit (metres are expected; of a calibration in feet or inches everything comes out too large), at the keypoint set, and at whether camera folders and calibration are in the same order".into(),
    })
}

/// First parameters of all trials from their samples, cameras as calibrated; `knots` are those of the trajectories.
pub(super) fn initialise(
    problem: &Problem,
    samples: &[Vec<Sample>],
    knots: &[Knots],
    options: &FitOptions,
) -> Parameters {
    let scales = match problem.free.scales {
        true => scales_of_size(problem, size(problem, samples.iter().map(Vec::as_slice))),
        false => vec![0.0; problem.groups()],
    };
    let mut parameters = Parameters {
        trajectories: Vec::new(),
        offsets: vec![Vector3::zeros(); problem.markers.len()],
        world_from_camera: problem.rig.iter().map(|c| c.camera_from_world.inverse()).collect(),
        scales: scales.clone(),
    };
    // Every sampled frame on its own, all trials together so that they share the scales.
    let mut frames = problem.clone();
    frames.trials.clear();
    for taken in samples {
        let mut trial = TrialProblem::default();
        for s in taken {
            trial.times.push(trial.times.len() as f64);
            trial.point_start.push(trial.points.len());
            trial.points.extend(&s.points);
        }
        trial.point_start.push(trial.points.len());
        let poses = superpose(problem, &scales, taken);
        let knots = Knots::independent(taken.len(), 1.0);
        parameters
            .trajectories
            .push(BSpline::through(problem.layout.clone(), knots, |t| poses[t.round() as usize].clone()));
        frames.trials.push(trial);
    }
    frames.free.scales = false;
    frames.hyper.point_sigma = vec![POINT_SD; problem.markers.len()];
    // Frames on their own have no neighbours to lean on: here the usual pose is known once per frame.
    for (prior, usual) in frames.priors.pose.iter_mut().zip(&problem.priors.pose) {
        prior.1 = if usual.1.is_finite() { options.pose_sd } else { usual.1 };
    }
    let quick = SolveOptions {
        max_iterations: 15,
        decrement: 0.5,
        damping: 1e-2,
        stop: options.stop.clone(),
        ..SolveOptions::default()
    };
    let outcome = solve(&frames, parameters, &quick);
    frames.free.scales = problem.free.scales;
    let outcome = solve(&frames, outcome.parameters, &quick);
    let mut parameters = outcome.parameters;
    parameters.trajectories = parameters
        .trajectories
        .iter()
        .zip(samples)
        .zip(knots)
        .map(|((found, taken), knots)| {
            let times: Vec<f64> = taken.iter().map(|s| s.time).collect();
            let mut poses: Vec<Pose> = (0..taken.len())
                .map(|i| {
                    let mut pose = problem.layout.default_pose();
                    found.pose(i as f64, &mut pose);
                    pose
                })
                .collect();
            unwind(problem, &mut poses);
            BSpline::through(problem.layout.clone(), *knots, |t| between(&times, &poses, t))
        })
        .collect();
    parameters
}

/// Knots of a trajectory over frames at even steps from time 0. A cubic has four controls: fewer frames cannot fix them, and stand each on its own.
pub(super) fn knots(frames: usize, rate_hz: f64, options: &FitOptions) -> Knots {
    match frames {
        0..4 => Knots::independent(frames, rate_hz),
        _ => Knots::cubic(frames, rate_hz, options.knot_spacing.max(1.0 / rate_hz)),
    }
}

/// Triangulates a frame's markers.
fn points(trial: &TrialProblem, frame: usize, projectors: &[Projector]) -> Vec<PointObservation> {
    let lenient = TriangulationOptions { inlier_px: LENIENT_PX, ..TriangulationOptions::default() };
    let mut out = Vec::new();
    let observations: Vec<Observation> = trial.sightings.frame(frame).collect();
    for seen in observations.chunk_by(|a, b| a.slot == b.slot) {
        let rays: Vec<(CameraId, [f64; 3])> =
            seen.iter().map(|o| (CameraId(o.camera as u32), [o.pixel[0], o.pixel[1], o.weight])).collect();
        if let Some(t) = triangulate(projectors, &rays, &lenient).filter(|t| t.angle > MIN_RAY_ANGLE) {
            out.push(PointObservation { slot: seen[0].slot, position: t.point, weight: 1.0 });
        }
    }
    out
}

/// Overall size of the subject relative to the model: the weighted median, over pairs of markers whose distance hardly depends on the pose, of
/// measured over modelled distance.
fn size<'a>(problem: &Problem, samples: impl Iterator<Item = &'a [Sample]> + Clone) -> f64 {
    let skeleton = problem.mechanism.skeleton();
    let pose = problem.layout.default_pose();
    let mut frame = Frame::new(skeleton);
    let scales = problem.mechanism.scales(&vec![0.0; problem.groups()]);
    crate::kinematics::forward(skeleton, &scales, &Offsets::zeros(skeleton), &pose.q, &pose.rotors, &mut frame);
    let place = |slot: usize| frame.markers[problem.markers[slot].index()];
    let body = |slot: usize| skeleton.markers[problem.markers[slot].index()].body;
    let near = |a: usize, b: usize| {
        let (x, y) = (body(a), body(b));
        x == y || skeleton.bodies[x.index()].parent == y || skeleton.bodies[y.index()].parent == x
    };
    let mut ratios: Vec<(f64, f64)> = Vec::new();
    for a in 0..problem.markers.len() {
        for b in 0..a {
            let modelled = (place(a) - place(b)).norm();
            // Short distances carry more of the detector's error than of the subject's size.
            if !near(a, b) || modelled < 0.15 {
                continue;
            }
            let mut measured: Vec<f64> = samples
                .clone()
                .flatten()
                .filter_map(|s| {
                    let at = |slot: usize| s.points.iter().find(|p| p.slot as usize == slot).map(|p| p.position);
                    Some((at(a)? - at(b)?).norm())
                })
                .collect();
            if let Some(measured) = median(&mut measured).filter(|_| measured.len() >= 3) {
                ratios.push((measured / modelled, modelled));
            }
        }
    }
    ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half: f64 = ratios.iter().map(|r| r.1).sum::<f64>() / 2.0;
    let mut sum = 0.0;
    for (ratio, weight) in &ratios {
        sum += weight;
        if sum >= half {
            return *ratio;
        }
    }
    1.0
}

/// Scale parameters that make all bodies about `size` times the model's: least squares with the prior's weights.
fn scales_of_size(problem: &Problem, size: f64) -> Vec<f64> {
    let groups = &problem.mechanism.groups().groups;
    let n = groups.len();
    let mut h = nalgebra::DMatrix::<f64>::zeros(n, n);
    let mut g = nalgebra::DVector::<f64>::zeros(n);
    for b in 1..problem.mechanism.skeleton().bodies.len() {
        let row = nalgebra::DVector::from_iterator(
            n,
            groups.iter().map(|g| if g.members.iter().any(|(m, _)| m.index() == b) { 1.0 } else { 0.0 }),
        );
        h += &row * row.transpose();
        g += row * (size - 1.0);
    }
    for (i, (_, sd)) in problem.priors.scales.iter().enumerate() {
        h[(i, i)] += 1e-4 / (sd * sd);
    }
    h.cholesky().map_or_else(|| vec![0.0; n], |c| c.solve(&g).iter().copied().collect())
}

/// Default poses with the root laid onto each frame's points.
fn superpose(problem: &Problem, scales: &[f64], samples: &[Sample]) -> Vec<Pose> {
    let mut superposition = Superposition::new(&problem.mechanism, &problem.layout, problem.mechanism.scales(scales));
    samples
        .iter()
        .map(|sample| {
            let points: Vec<_> = sample.points.iter().map(|p| (problem.markers[p.slot as usize], p.position)).collect();
            superposition.pose(&points)
        })
        .collect()
}

/// Takes whole turns out between neighbouring samples, and out of the first: each was fitted on its own, and a hinge without limits may have come to rest turns
/// away, from where a trajectory through them would spin back within a frame or two, and no descent undoes a turn.
fn unwind(problem: &Problem, poses: &mut [Pose]) {
    let skeleton = problem.mechanism.skeleton();
    for &c in &problem.layout.coordinates[..problem.layout.scalars()] {
        let coordinate = &skeleton.coordinates[c];
        if coordinate.motion != Motion::Rotational || coordinate.range.is_some() {
            continue;
        }
        let mut before = coordinate.default;
        for pose in poses.iter_mut() {
            pose.q[c] -= TAU * ((pose.q[c] - before) / TAU).round();
            before = pose.q[c];
        }
    }
}
