//! From fitted parameters to what the user gets.

use super::adrift::adrift;
use super::build::Built;
use super::lost::{Lost, lost};
use super::outcome::{seeing, undecided};
use super::verdict::{Shortfall, Verdict, verdict};
use super::{CameraFit, OffsetFit, ScaleFit, SessionFit, Status, Timings, TrialFit};
use crate::camera::Camera;
use crate::kinematics::{Frame, forward};
use crate::math::so3;
use crate::quality::{LYING, Reprojection, default_height, inclination, reprojection};
use crate::session::Session;
use crate::skeleton::{BodyId, Rotor, Skeleton};
use crate::solve::{Parameters, PixelResidual, Problem, TrialProblem, Uncertainty, tangent_of_angles};
use crate::trajectory::Trajectory;
use nalgebra::{Isometry3, Matrix3, Vector3};

/// Closer to its singularity than this an Euler angle gets no standard deviation, radians: there the angles' deviations grow without bound
/// while the rotation's stay what they are.
pub(super) const NEAR_SINGULARITY: f64 = 0.1;

/// A camera whose orientation is off by more than this is called stale, degrees: at three metres, 26 mm.
const STALE_DEG: f64 = 0.5;
/// So is one whose centre is off by more than this, millimetres.
const STALE_MM: f64 = 40.0;

pub(super) struct Finished {
    pub parameters: Parameters,
    /// Where cameras that were held would have gone.
    pub freed: Option<Parameters>,
    pub uncertainty: Option<Uncertainty>,
    /// Figures of each trial where the fit began.
    pub before: Vec<Reprojection>,
    pub converged: bool,
    /// Why it is not at its end, where that is known.
    pub shortfall: Option<Shortfall>,
    pub interrupted: bool,
    /// Whether there is a checkpoint to go on from.
    pub resumable: bool,
    /// The last stage that was begun.
    pub stage: String,
    pub iterations: usize,
    pub history: Vec<f64>,
}

pub(super) fn session_fit(session: &Session, skeleton: Skeleton, built: Built, done: Finished) -> SessionFit {
    let Built { problem, ground_from_world, keypoint_markers, mut warnings } = built;
    let parameters = &done.parameters;
    let scales = problem.all_scales(parameters);
    let offsets = problem.all_offsets(parameters);
    let height_m = default_height(&skeleton, &scales);
    warnings.extend(seen_in_part(session, &problem));
    let residuals = problem.pixel_residuals(parameters);
    let mut figures: Vec<Reprojection> = residuals.iter().map(|r| trial_figures(session, r)).collect();
    let Verdict { status, reason, stage, advice } = verdict(&done, &problem, &figures, height_m, &session.keypoints);
    let trials: Vec<TrialFit> = session
        .trials
        .iter()
        .enumerate()
        .map(|(i, trial)| {
            let kinematics = poses(&problem, &skeleton, parameters, done.uncertainty.as_ref(), i);
            TrialFit {
                name: trial.name.clone(),
                status,
                reason: reason.clone(),
                stage: stage.clone(),
                advice: advice.clone(),
                rate_hz: trial.rate_hz,
                first_frame: trial.first_frame,
                time: problem.trials[i].times.clone(),
                q: kinematics.q,
                q_sd: kinematics.q_sd,
                markers: kinematics.markers,
                body_origins: kinematics.origins,
                reprojection: std::mem::take(&mut figures[i]),
                reprojection_before: done.before[i].clone(),
                noise_px: noise(&problem, &residuals[i]),
                network: None,
            }
        })
        .collect();
    let mut cameras = camera_fits(&problem, parameters, done.uncertainty.as_ref());
    if status == Status::Failed {
        // Where it is no person that was fitted, the cameras' disagreement with it says nothing of them.
        cameras.iter_mut().for_each(|camera| camera.stale = false);
    } else if let Some(freed) = &done.freed {
        cameras.iter_mut().zip(camera_fits(&problem, freed, None)).for_each(|(camera, free)| camera.stale = free.stale);
        warnings.extend(camera_fits(&problem, freed, None).iter().filter(|c| c.stale).map(|c| {
            format!(
                "Camera {} looks stale: the keypoints would have it turned by {:.2}° and moved by {:.0} mm. Fit with refined cameras, or calibrate again.",
                c.name, c.rotation_change_deg, c.translation_change_mm
            )
        }));
    } else {
        warnings.extend(cameras.iter().filter(|c| c.stale).map(|c| {
            format!(
                "Camera {}: its calibration disagrees with the keypoints; it was corrected by {:.2}° and {:.0} mm. Check whether it was moved after calibration, and runs in step with the others.",
                c.name, c.rotation_change_deg, c.translation_change_mm
            )
        }));
    }
    warnings.extend(other_stature(session.subject.stature, height_m));
    // Of what is no person no frame is where it was seen.
    if status != Status::Failed || stage.as_deref() != Some("sanity") {
        let elsewhere = not_where_it_was_seen(session, &problem, &residuals);
        warnings.splice(0..0, elsewhere);
    }
    if status != Status::Failed {
        warnings.extend(not_upright(&skeleton, &trials));
        let far_off = lost(&problem, parameters, &residuals).into_iter().map(|l| far_off(&mut cameras[l.camera], &l));
        warnings.splice(0..0, far_off.collect::<Vec<_>>());
    }
    warnings.extend(cameras.iter().filter(|c| !c.sees).map(|c| {
        format!(
            "Camera {} adds nothing: it has no detections that agree with what the others see of the subject. Its files hold nobody, it looks elsewhere, runs out of step, or its calibration is far off; its position is the calibration's.",
            c.name
        )
    }));
    if undecided(&cameras) {
        let stale = cameras.iter().filter(|c| c.stale).count();
        warnings.insert(
            0,
            format!(
                "{stale} of {} cameras disagree with their calibration. Keypoints tell that cameras disagree, not which are right: the stale ones may be the others, or they do not run in step. Calibrate again, and look at the synchronisation; until then trust neither where the cameras are nor what is measured against the room.",
                seeing(&cameras)
            ),
        );
    }
    let scale_groups = scale_fits(&problem, parameters, done.uncertainty.as_ref());
    let offset_fits = offset_fits(&problem, parameters, done.uncertainty.as_ref());
    let back = Isometry3::from_parts(Default::default(), ground_from_world.into());
    let rig = problem
        .cameras(parameters)
        .into_iter()
        .map(|c| Camera { camera_from_world: c.camera_from_world * back, ..c })
        .collect();
    SessionFit {
        name: session.name.clone(),
        status,
        reason,
        stage,
        advice,
        warnings,
        scales,
        offsets,
        scale_groups,
        offset_fits,
        height_m,
        keypoints: session.keypoints.points.iter().map(|k| k.name.clone()).zip(keypoint_markers).collect(),
        rig_before: session.rig.clone(),
        rig,
        ground_from_world,
        cameras,
        trials,
        timings: Timings::default(),
        autocorrelation_frames: problem.hyper.autocorrelation_frames,
        iterations: done.iterations,
        cost_history: done.history,
        skeleton,
    }
}

/// What is said of a camera whose detections are far from the model; one that was knocked is stale, and has no deviations: it stayed where nothing pulled at it.
fn far_off(camera: &mut CameraFit, lost: &Lost) -> String {
    let Lost { median_px, there, .. } = lost;
    let off = format!(
        "Camera {}: half of its detections are {median_px:.0} px or more from the model, many times as far as those of the others at the subject.",
        camera.name
    );
    if there.is_none() {
        return format!(
            "{off} No other place of it makes them much better: they are bad (left and right exchanged, somebody else, out of step, a poor image)."
        );
    }
    camera.stale = true;
    (camera.rotation_sd_deg, camera.translation_sd_mm) = (None, None);
    format!(
        "{off} From another place they would be less than half as far: it was knocked after calibration, and hardly counts in this fit."
    )
}

/// A stature that the fit departs from by more than this is not the subject's, metres: shoes, hair and a bad posture come to half of it.
const OTHER_STATURE: f64 = 0.06;

/// A stated stature that the keypoints contradict.
fn other_stature(stated: Option<f64>, fitted: Option<f64>) -> Option<String> {
    let (stated, fitted) = (stated?, fitted?);
    ((fitted - stated).abs() > OTHER_STATURE).then(|| {
        format!(
            "A stature of {stated:.2} m was stated, but the fit ended at {fitted:.2} m, drawn to it as it was: check the stature, or leave it out. Where it is wrong, segments and cameras pay for it."
        )
    })
}

/// A subject that lies may lie; more often the calibration's vertical is another.
fn not_upright(skeleton: &Skeleton, trials: &[TrialFit]) -> Option<String> {
    let angle = inclination(skeleton, trials.iter().flat_map(|t| &t.markers)).filter(|angle| *angle > LYING)?;
    Some(format!(
        "In half of the frames the subject leans by {angle:.0}° or more. Unless it lies, the calibration's vertical is not the one that was taken (Z, unless a session.toml says `up = \"y\"`; a calibration in a camera's own axes has none): angles of the pelvis against the room then mean nothing, those of the joints are right."
    ))
}

/// A trial whose subject is seen in a smaller share of its frames is spoken of.
const WELL_SEEN: f64 = 0.9;

/// What the user should know of trials that were seen in part.
fn seen_in_part(session: &Session, problem: &Problem) -> Vec<String> {
    let mut out = Vec::new();
    for (trial, problem) in session.trials.iter().zip(&problem.trials) {
        let frames = problem.times.len();
        let unseen: Vec<usize> = (0..frames).filter(|&f| problem.sightings.frame(f).next().is_none()).collect();
        if (frames - unseen.len()) as f64 >= WELL_SEEN * frames as f64 {
            continue;
        }
        let stretches: Vec<String> = unseen
            .chunk_by(|a, b| b - a == 1)
            .map(|s| {
                let number = |f: Option<&usize>| trial.first_frame + f.copied().unwrap_or(0) as i64;
                format!("{}–{}", number(s.first()), number(s.last()))
            })
            .take(5)
            .collect();
        out.push(format!(
            "Trial {}: the subject was seen in {} of {frames} frames; frames {} are filled in, with wide error bars: do not measure there.",
            trial.name,
            frames - unseen.len(),
            stretches.join(", ")
        ));
    }
    out
}

/// Most stretches of a trial that are named.
const NAMED: usize = 5;

/// What the user should know of frames in which the body is elsewhere.
fn not_where_it_was_seen(session: &Session, problem: &Problem, residuals: &[Vec<PixelResidual>]) -> Vec<String> {
    let of_trial = |((trial, problem_of), residuals): (
        (&crate::session::Trial, &TrialProblem),
        &Vec<PixelResidual>,
    )| {
        let found = adrift(residuals, &problem.rig, problem_of.times.len());
        let worst = found.iter().map(|a| a.metres).fold(0.0, f64::max);
        let number = |f: usize| trial.first_frame + f as i64;
        let stretches: Vec<String> = found
            .iter()
            .take(NAMED)
            .map(|a| match a.frames.len() {
                1 => number(a.frames.start).to_string(),
                _ => format!("{}–{}", number(a.frames.start), number(a.frames.end - 1)),
            })
            .collect();
        let more =
            if found.len() > NAMED { format!(" and {} more stretches", found.len() - NAMED) } else { String::new() };
        (!found.is_empty()).then(|| {
            format!(
                "Trial {}: in frames {}{more} the body is not where it was seen: half of the detections are up to {:.0} mm away, and the loss has given them up. Do not measure there; angles after them may be off by whole turns.",
                trial.name,
                stretches.join(", "),
                1e3 * worst
            )
        })
    };
    session.trials.iter().zip(&problem.trials).zip(residuals).filter_map(of_trial).collect()
}

pub(super) fn trial_figures(session: &Session, residuals: &[PixelResidual]) -> Reprojection {
    let cameras: Vec<String> = session.rig.iter().map(|c| c.name.clone()).collect();
    let keypoints: Vec<String> = session.keypoints.points.iter().map(|k| k.name.clone()).collect();
    let focal: Vec<f64> = session.rig.iter().map(|c| 0.5 * (c.intrinsics.fx + c.intrinsics.fy)).collect();
    reprojection(residuals, &cameras, &focal, &keypoints)
}

fn noise(problem: &Problem, residuals: &[PixelResidual]) -> Vec<Vec<Option<f64>>> {
    let mut seen = vec![vec![None; problem.hyper.keypoints]; problem.rig.len()];
    for r in residuals {
        let (camera, keypoint) = (usize::from(r.camera), usize::from(r.keypoint));
        seen[camera][keypoint] = Some(problem.hyper.sigma(camera, keypoint));
    }
    seen
}

/// The factor of a group's bodies: 1 + the parameters of all groups that contain every one of them (its own, and those of larger groups, as of the body as a whole).
pub(super) fn scale_fits(problem: &Problem, parameters: &Parameters, u: Option<&Uncertainty>) -> Vec<ScaleFit> {
    let groups = &problem.mechanism.groups().groups;
    let border = problem.border();
    groups
        .iter()
        .map(|group| {
            let holds = |h: usize, (body, axes): &(BodyId, [bool; 3])| {
                let covers = |all: &[bool; 3]| axes.iter().zip(all).all(|(own, all)| *all || !own);
                groups[h].members.iter().any(|(b, all)| b == body && covers(all))
            };
            let counts: Vec<usize> = (0..groups.len()).filter(|&h| group.members.iter().all(|m| holds(h, m))).collect();
            let name = |b: &crate::skeleton::BodyId| problem.mechanism.skeleton().bodies[b.index()].name.clone();
            ScaleFit {
                group: group.name.clone(),
                bodies: group.members.iter().map(|(b, _)| name(b)).collect(),
                factor: 1.0 + counts.iter().map(|&h| parameters.scales[h]).sum::<f64>(),
                sd: u.map_or(0.0, |u| sum_deviation(u, border.scales, &counts)),
            }
        })
        .collect()
}

/// Standard deviations of the factors of every body along its axes, each 1 + the parameters of all groups that hold it.
pub(super) fn body_scale_deviations(problem: &Problem, u: &Uncertainty) -> Vec<[f64; 3]> {
    let groups = &problem.mechanism.groups().groups;
    let first = problem.border().scales;
    let deviation = |body: usize, axis: usize| {
        let holds = |g: &usize| groups[*g].members.iter().any(|(b, axes)| b.index() == body && axes[axis]);
        sum_deviation(u, first, &(0..groups.len()).filter(holds).collect::<Vec<usize>>())
    };
    (0..problem.mechanism.skeleton().bodies.len()).map(|b| [0, 1, 2].map(|axis| deviation(b, axis))).collect()
}

/// Standard deviation of a sum of scale parameters, which stand in the border from `first` on: they err together, so that those of a body and of the whole are known worse than their sum.
fn sum_deviation(u: &Uncertainty, first: Option<usize>, parameters: &[usize]) -> f64 {
    let Some(first) = first else { return 0.0 };
    let at = |a: usize, b: usize| u.shared[(first + b) * u.border.columns + first + a];
    let pairs = parameters.iter().flat_map(|&a| parameters.iter().map(move |&b| at(a, b)));
    pairs.sum::<f64>().max(0.0).sqrt()
}

pub(super) fn offset_fits(problem: &Problem, parameters: &Parameters, u: Option<&Uncertainty>) -> Vec<OffsetFit> {
    let border = problem.border();
    let sd = |at: Option<usize>| match (u, at) {
        (Some(u), Some(i)) => u.shared_variance(i).max(0.0).sqrt(),
        _ => 0.0,
    };
    problem
        .markers
        .iter()
        .enumerate()
        .map(|(slot, &marker)| OffsetFit {
            marker,
            name: problem.mechanism.skeleton().markers[marker.index()].name.clone(),
            offset: parameters.offsets[slot],
            sd: Vector3::from_fn(|i, _| sd(border.offsets[slot].map(|o| o + i))),
        })
        .collect()
}

pub(super) struct Kinematics {
    pub q: Vec<Vec<f64>>,
    pub q_sd: Vec<Vec<Option<f64>>>,
    pub markers: Vec<Vec<Vector3<f64>>>,
    origins: Vec<Vec<Vector3<f64>>>,
}

/// Coordinates of every frame in the file's own terms, and positions from those very coordinates through the model as read: what another
/// program will compute from the files.
pub(super) fn poses(
    problem: &Problem,
    skeleton: &Skeleton,
    parameters: &Parameters,
    u: Option<&Uncertainty>,
    trial: usize,
) -> Kinematics {
    let fitted = problem.mechanism.skeleton();
    let (scales, offsets) = (problem.all_scales(parameters), problem.all_offsets(parameters));
    let mut pose = problem.layout.default_pose();
    let mut frame = Frame::new(skeleton);
    let mut near: Vec<[f64; 3]> =
        fitted.rotors.iter().map(|r| r.coordinates.map(|c| skeleton.coordinates[c.index()].default)).collect();
    let mut out = Kinematics { q: Vec::new(), q_sd: Vec::new(), markers: Vec::new(), origins: Vec::new() };
    for (f, &t) in problem.trials[trial].times.iter().enumerate() {
        parameters.trajectories[trial].pose(t, &mut pose);
        let mut q = pose.q.clone();
        let mut sd: Vec<Option<f64>> = vec![None; q.len()];
        if let Some(u) = u {
            for (j, &c) in problem.layout.coordinates[..problem.layout.scalars()].iter().enumerate() {
                sd[c] = Some(u.variances[trial][f][j].max(0.0).sqrt());
            }
        }
        for (r, rotor) in fitted.rotors.iter().enumerate() {
            let (angles, distance) = rotor.angles_from_rotation(&pose.rotors[r], near[r]);
            near[r] = angles;
            let deviations = u
                .filter(|_| distance > NEAR_SINGULARITY)
                .and_then(|u| angle_deviations(rotor, angles, &u.rotors[trial][f][r]));
            for k in 0..3 {
                let c = rotor.coordinates[k].index();
                q[c] = angles[k];
                sd[c] = deviations.map(|d| d[k]);
            }
        }
        skeleton.resolve_couplings(&mut q);
        if u.is_some() {
            follow_deviations(skeleton, &q, &mut sd);
        }
        forward(skeleton, &scales, &offsets, &q, &skeleton.rotor_rotations(&q), &mut frame);
        out.markers.push(frame.markers.clone());
        out.origins.push(frame.origins.clone());
        out.q.push(q);
        out.q_sd.push(sd);
    }
    out
}

/// Deviations of the coordinates that are locked, or follow others.
pub(super) fn follow_deviations(skeleton: &Skeleton, q: &[f64], sd: &mut [Option<f64>]) {
    for (i, c) in skeleton.coordinates.iter().enumerate() {
        if c.locked {
            sd[i] = Some(0.0);
        } else if let Some(k) = &c.coupling {
            let (_, slope, _) = k.function.value_and_derivatives(q[k.independent.index()]);
            sd[i] = sd[k.independent.index()].map(|s| if slope == 0.0 { 0.0 } else { s * slope.abs() });
        }
    }
}

/// Standard deviations of the file's angles from the covariance of a left perturbation, `δ = E·dθ`.
pub(super) fn angle_deviations(rotor: &Rotor, angles: [f64; 3], covariance: &Matrix3<f64>) -> Option<[f64; 3]> {
    let inverse = tangent_of_angles(rotor, angles).try_inverse()?;
    let c = inverse * covariance * inverse.transpose();
    Some([0, 1, 2].map(|k| c[(k, k)].max(0.0).sqrt()))
}

pub(super) fn camera_fits(problem: &Problem, parameters: &Parameters, u: Option<&Uncertainty>) -> Vec<CameraFit> {
    let border = problem.border();
    problem
        .rig
        .iter()
        .enumerate()
        .map(|(c, camera)| {
            let reference = camera.camera_from_world.inverse();
            let here = &parameters.world_from_camera[c];
            let rotation = so3::log_quaternion(&(here.rotation * reference.rotation.inverse())).norm().to_degrees();
            let moved = (here.translation.vector - reference.translation.vector).norm() * 1e3;
            let sd = u.zip(border.cameras[c]).map(|(u, first)| {
                let centre = here.translation.vector;
                let m = nalgebra::Matrix6::from_fn(|i, j| u.shared[(first + j) * border.columns + first + i]);
                let d = crate::math::se3::d_moved_d_twist(&(centre - problem.origin()));
                let position = d * m * d.transpose();
                let rms = |trace: f64| (trace.max(0.0) / 3.0).sqrt();
                (rms(m.fixed_view::<3, 3>(0, 0).trace()).to_degrees(), rms(position.trace()) * 1e3)
            });
            CameraFit {
                name: camera.name.clone(),
                rotation_change_deg: rotation,
                translation_change_mm: moved,
                clock_s: 0.0,
                rotation_sd_deg: sd.map(|s| s.0),
                translation_sd_mm: sd.map(|s| s.1),
                stale: rotation > STALE_DEG || moved > STALE_MM,
                sees: problem.trials.iter().any(|t| t.sightings.iter().any(|o| usize::from(o.camera) == c)),
            }
        })
        .collect()
}
