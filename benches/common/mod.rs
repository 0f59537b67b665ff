//! What the benchmarks measure: sessions of named seeds, the problem near its solution, and arrow systems of a trial's size.
#![allow(dead_code)]

use kinefit::camera::{Camera, Distortion, Intrinsics, Projector};
use kinefit::fit::{FitOptions, default_scale_groups, default_skeleton};
use kinefit::kinematics::Mechanism;
use kinefit::kinematics::batch::Program;
use kinefit::math::arrow::{Arrow, Band};
use kinefit::math::basis::Knots;
use kinefit::math::lanes::{Real, Tiles};
use kinefit::math::robust::RobustLoss;
use kinefit::residual::point::PointObservation;
use kinefit::residual::reprojection::Observation;
use kinefit::residual::sightings::Sightings;
use kinefit::session::{ground_from_world, rig_in_ground};
use kinefit::skeleton::{ScaleGroups, Skeleton, read_model};
use kinefit::solve::{Free, Hyperparameters, Parameters, Priors, Problem, TrialProblem};
use kinefit::synthetic::{Synthetic, SyntheticOptions, generate};
use kinefit::trajectory::{BSpline, Layout, Pose};
use nalgebra::{Isometry3, UnitQuaternion, Vector3};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use std::sync::Arc;

/// The seed of every session and system that is measured.
pub const SEED: u64 = 87;

/// Somebody who walks before eight cameras whose calibration is off by 1° and 2 cm, seen by a detector of the 87 MoVi points that errs by 3 px, misses a tenth and
/// is grossly wrong in a twentieth.
pub fn options(frames: usize, rate_hz: f64) -> SyntheticOptions {
    SyntheticOptions {
        seed: SEED,
        cameras: 8,
        frames,
        rate_hz,
        keypoints: "MoVi_87".into(),
        noise_px: 3.0,
        outlier_share: 0.05,
        missing_share: 0.1,
        calibration_error_deg: 1.0,
        calibration_error_mm: 20.0,
        ..SyntheticOptions::default()
    }
}

/// That session.
pub fn session(frames: usize, rate_hz: f64) -> Synthetic {
    let skeleton = default_skeleton().expect("the built-in body");
    let groups = default_scale_groups(&skeleton).expect("its scale groups");
    generate(&skeleton, &groups, &options(frames, rate_hz)).expect("options that can be")
}

/// How a session is fitted here: everything free, no standard deviations.
pub fn fit_options() -> FitOptions {
    FitOptions { covariance: false, ..FitOptions::default() }
}

/// The built-in body, made ready.
pub fn mechanism() -> Arc<Mechanism> {
    let skeleton = default_skeleton().expect("the built-in body").with_rotors();
    let groups = default_scale_groups(&skeleton).expect("its scale groups");
    Arc::new(Mechanism::new(skeleton, groups))
}

/// The true pose of a frame.
pub fn pose(made: &Synthetic, mechanism: &Mechanism, frame: usize) -> Pose {
    let rows = &made.truth.trials[0].coordinates;
    let q = rows[frame.min(rows.len() - 1)].clone();
    Pose { rotors: mechanism.skeleton().rotor_rotations(&q), q }
}

/// The body with 40 coordinates and 87 markers of the shared recordings, where they are.
pub fn humanoid() -> Option<Skeleton> {
    let root = std::env::var_os("KINEFIT_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), Into::into);
    read_model(&root.join("data/synthetic_walk_T100/humanoid_torque.xml")).ok()
}

/// Frames that follow each other smoothly, every coordinate swinging.
pub fn walk<T: Real>(program: &Program<T>, skeleton: &Skeleton, frames: usize) -> Tiles<T> {
    let mut inputs = program.inputs(frames);
    for frame in 0..frames {
        let swing = |i: usize| 0.5 * (0.05 * frame as f64 + i as f64).sin();
        let mut q: Vec<f64> = (0..skeleton.coordinates.len()).map(swing).collect();
        skeleton.resolve_couplings(&mut q);
        program.set(&mut inputs, frame, &q, &skeleton.rotor_rotations(&q));
    }
    inputs
}

/// The true movement as a trajectory with a control every `spacing` seconds.
pub fn trajectory(made: &Synthetic, mechanism: &Mechanism, spacing: f64) -> BSpline {
    let trial = &made.truth.trials[0];
    let layout = Arc::new(Layout::new(mechanism));
    let knots = Knots::cubic(trial.coordinates.len(), trial.rate_hz, spacing);
    BSpline::through(layout, knots, |t| pose(made, mechanism, (t * trial.rate_hz).round().max(0.0) as usize))
}

/// What the solver is given in the last stage of a fit, everything free, and parameters near the solution: the true movement of an unscaled body before cameras as
/// calibrated.
pub fn problem(made: &Synthetic) -> (Problem, Parameters) {
    let mechanism = mechanism();
    let skeleton = mechanism.skeleton();
    let session = &made.session;
    let fit = fit_options();
    let of_keypoint: Vec<_> =
        session.keypoints.points.iter().map(|k| k.marker_names().find_map(|m| skeleton.marker(m))).collect();
    let mut markers: Vec<_> = of_keypoint.iter().flatten().copied().collect();
    markers.sort();
    markers.dedup();
    let slots: Vec<_> = of_keypoint.iter().map(|m| m.and_then(|m| markers.binary_search(&m).ok())).collect();
    let place = |(k, slot): (usize, &Option<usize>)| Some(((*slot)? as u32, k as u16));
    let places: Vec<_> = slots.iter().enumerate().filter_map(place).collect();

    let seen = &session.trials[0].detections;
    let mut trial = TrialProblem { sightings: Sightings::new(seen.cameras, places.clone()), ..TrialProblem::default() };
    for f in 0..seen.frames {
        trial.times.push(f as f64 / session.trials[0].rate_hz);
        trial.sightings.begin_frame();
        for &(slot, keypoint) in &places {
            for c in 0..seen.cameras {
                let [u, v, weight] = seen.get(c, f, keypoint.into());
                trial.sightings.push(&Observation { slot, camera: c as u16, keypoint, pixel: [u, v], weight });
            }
        }
    }

    let trajectory = trajectory(made, &mechanism, fit.knot_spacing);
    let layout = trajectory.layout().clone();
    let rig = rig_in_ground(&session.rig, &ground_from_world(session.z_up, skeleton.up));
    let limit = |dof: usize| {
        let coordinate = &skeleton.coordinates[layout.coordinates[dof]];
        coordinate.range.filter(|_| dof < layout.scalars()).map(|range| (range, fit.limit_softness))
    };
    let parameters = Parameters {
        trajectories: vec![trajectory],
        scales: vec![0.0; mechanism.groups().groups.len()],
        offsets: vec![Vector3::zeros(); markers.len()],
        world_from_camera: rig.iter().map(|c| c.camera_from_world.inverse()).collect(),
    };
    let problem = Problem {
        priors: Priors {
            gauge: kinefit::fit::FitOptions::default().gauge,
            scales: vec![(0.0, fit.scale_sd); parameters.scales.len()],
            offset_sd: vec![fit.offset_sd; markers.len()],
            extrinsics: fit.extrinsics,
            pose: vec![(0.0, f64::INFINITY); layout.dofs()],
            limits: (0..layout.dofs()).map(limit).collect(),
            stature: None,
        },
        // Third differences of 1/30 s controls at 300 rad/s³, for every degree of freedom.
        hyper: Hyperparameters::new(
            rig.len(),
            session.keypoints.points.len(),
            made.options.noise_px,
            vec![(300.0 * fit.knot_spacing.powi(3)).powi(-2); layout.dofs()],
            fit.loss,
        ),
        free: Free { scales: true, offsets: true, cameras: vec![true; rig.len()] },
        trials: vec![trial],
        markers,
        rig,
        layout,
        mechanism: mechanism.clone(),
    };
    (problem, parameters)
}

/// A camera for each lens model.
pub fn lenses() -> [(&'static str, Projector); 4] {
    let camera = |distortion| {
        Camera {
            name: "bench".into(),
            size: [1920.0, 1080.0],
            intrinsics: Intrinsics { fx: 1250.0, fy: 1248.0, cx: 960.0, cy: 540.0, skew: 0.0 },
            distortion,
            camera_from_world: Isometry3::from_parts(
                Vector3::new(0.1, -0.2, 4.0).into(),
                UnitQuaternion::from_scaled_axis(Vector3::new(0.3, -0.2, 0.1)),
            ),
        }
        .projector()
    };
    [
        ("pinhole", camera(Distortion::None)),
        ("five_coefficients", camera(Distortion::Rational([-0.28, 0.09, 0.001, -0.0005, -0.012, 0.0, 0.0, 0.0]))),
        ("eight_coefficients", camera(Distortion::Rational([0.1, -0.05, 0.001, -0.0005, 0.01, 0.12, -0.03, 0.02]))),
        ("fisheye", camera(Distortion::Fisheye([0.02, -0.01, 0.003, -0.001]))),
    ]
}

/// Points inside a metre of the origin, which every camera of [`lenses`] sees.
pub fn points(count: usize) -> Vec<Vector3<f64>> {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    (0..count).map(|_| Vector3::from_fn(|_, _| rng.random_range(-0.5..0.5))).collect()
}

/// A positive definite arrow system of one trial: `blocks` controls of `n` degrees of freedom, cubic splines' bandwidth 3, `columns` shared parameters.
pub fn arrow(blocks: usize, n: usize, columns: usize) -> Arrow {
    const BANDWIDTH: usize = 3;
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let mut random = || rng.random_range(-1.0..1.0);
    let mut band = Band::zeros(n, blocks, BANDWIDTH, columns);
    // Diagonals above the sum of the magnitudes in their rows.
    let order = (blocks * n) as f64;
    let inside = ((2 * BANDWIDTH + 1) * n + columns) as f64;
    for j in 0..blocks {
        for i in j..blocks.min(j + BANDWIDTH + 1) {
            for c in 0..n {
                for r in if i == j { c } else { 0 }..n {
                    let value = if i == j && r == c { inside } else { random() };
                    *band.matrix.at_mut(i, j, r, c) = value;
                    if i == j {
                        *band.matrix.at_mut(i, j, c, r) = value;
                    }
                }
            }
        }
    }
    for c in 0..columns {
        for r in 0..blocks * n {
            *band.border.at_mut(r, c) = random();
        }
    }
    band.rhs.iter_mut().for_each(|x| *x = random());
    let mut corner = vec![0.0; columns * columns];
    (0..columns).for_each(|c| corner[c * columns + c] = order);
    Arrow { bands: vec![band], corner, corner_rhs: (0..columns).map(|_| random()).collect() }
}

/// Whether a plain `main` was started by `cargo bench`; `cargo test --all-targets` starts it too, but wants no measurements.
pub fn asked_for() -> bool {
    let asked = std::env::args().any(|a| a == "--bench");
    if !asked {
        eprintln!("nothing measured: run by `cargo bench`");
    }
    asked
}

/// The exact marker trial among the shared recordings, where they are: sizes and poses free, every frame on its own, from the poses that its generic model takes to come near.
pub fn markers() -> Option<(Problem, Parameters)> {
    let root = std::env::var_os("KINEFIT_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), Into::into);
    let folder = root.join("data/trials/arnold_synthetic_subject01");
    let generic = read_model(&folder.join("generic_stripped.osim")).ok()?;
    let trial = kinefit::session::markers::read(&folder.join("markers.trc")).ok()?;
    let start = kinefit::fit::inverse_kinematics(&trial, &generic, None, None).expect("a trial of this model");
    let skeleton = generic.with_rotors();
    let groups = ScaleGroups::default_for(&skeleton).with_overall(&skeleton).with_axes(&skeleton);
    let mechanism = Arc::new(Mechanism::new(skeleton, groups));
    let skeleton = mechanism.skeleton();
    let mut markers = start.markers.clone();
    markers.sort();
    let mut columns: Vec<(usize, usize)> = (0..trial.names.len())
        .filter_map(|c| Some((markers.binary_search(&skeleton.marker(&trial.names[c])?).ok()?, c)))
        .collect();
    columns.sort_unstable();
    let mut data = TrialProblem { times: trial.times.clone(), ..TrialProblem::default() };
    for f in 0..trial.frames() {
        data.point_start.push(data.points.len());
        data.points.extend(columns.iter().filter_map(|&(slot, c)| {
            Some(PointObservation { slot: slot as u32, position: trial.get(f, c)?, weight: 1.0 })
        }));
    }
    data.point_start.push(data.points.len());
    let first = data.times[0];
    data.times.iter_mut().for_each(|t| *t -= first);

    let layout = Arc::new(Layout::new(&mechanism));
    let knots = Knots::independent(trial.frames(), trial.rate_hz);
    let frame = |t: f64| (t * trial.rate_hz).round() as usize;
    let pose = |t: f64| Pose { q: start.q[frame(t)].clone(), rotors: skeleton.rotor_rotations(&start.q[frame(t)]) };
    let parameters = Parameters {
        trajectories: vec![BSpline::through(layout.clone(), knots, pose)],
        scales: vec![0.0; mechanism.groups().groups.len()],
        offsets: vec![Vector3::zeros(); markers.len()],
        world_from_camera: Vec::new(),
    };
    let fit = FitOptions::for_markers();
    let mut hyper = Hyperparameters::new(0, 0, 1.0, vec![0.0; layout.dofs()], fit.loss);
    hyper.point_sigma = vec![1e-3; markers.len()];
    hyper.point_loss = RobustLoss::Gaussian;
    let problem = Problem {
        priors: Priors {
            scales: mechanism.groups().groups.iter().map(|g| (0.0, g.prior_sd.unwrap_or(fit.scale_sd))).collect(),
            offset_sd: vec![0.0; markers.len()],
            extrinsics: fit.extrinsics,
            gauge: fit.gauge,
            pose: vec![(0.0, 10.0); layout.dofs()],
            limits: vec![None; layout.dofs()],
            stature: None,
        },
        rig: Vec::new(),
        trials: vec![data],
        free: Free { scales: true, offsets: false, cameras: Vec::new() },
        hyper,
        markers,
        layout,
        mechanism: mechanism.clone(),
    };
    Some((problem, parameters))
}
