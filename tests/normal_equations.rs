//! The normal equations of the second-order solver against those of a dense Jacobian, formed marker by marker: random skeletons, any number of overlapping scale groups, all that may be free.

mod common;

use common::random::{poses, random_skeleton, vector};
use kinefit::fit::FitOptions;
use kinefit::kinematics::Mechanism;
use kinefit::math::basis::Knots;
use kinefit::math::robust::RobustLoss;
use kinefit::residual::point::PointObservation;
use kinefit::skeleton::{BodyId, MarkerId, ScaleGroup, ScaleGroups};
use kinefit::solve::{Free, Hyperparameters, Linearisation, Parameters, Priors, Problem, TrialProblem, linearise};
use kinefit::trajectory::{BSpline, Layout, LocalTrajectory, Pose, Trajectory};
use nalgebra::{DMatrix, DVector, Vector3};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

const RATE_HZ: f64 = 50.0;

/// Points of all markers but some, in every frame of a trajectory of these knots, before no cameras and with no priors. Groups scale any bodies, ground among them, along any axes.
fn problem(seed: u64, groups: usize, knots: Knots, frames: usize, free: (bool, bool)) -> (Problem, Parameters) {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let skeleton = random_skeleton(seed).0;
    let bodies = skeleton.bodies.len() as u32;
    let group = |i: usize| {
        let mut members = Vec::new();
        for b in 0..bodies {
            if rng.random_bool(0.5) {
                members.push((BodyId(b), [0; 3].map(|_| rng.random_bool(0.6))));
            }
        }
        ScaleGroup { name: format!("g{i}"), prior_sd: None, members }
    };
    let groups = ScaleGroups { groups: (0..groups).map(group).collect() };
    let mechanism = Arc::new(Mechanism::new(skeleton, groups));
    let (skeleton, layout) = (mechanism.skeleton(), Arc::new(Layout::new(&mechanism)));
    let markers: Vec<MarkerId> =
        (0..skeleton.markers.len() as u32).filter(|_| rng.random_bool(0.8)).map(MarkerId).collect();
    let mut posed = poses(skeleton, knots.controls(), 0.6, seed).into_iter();
    let mut data = TrialProblem::default();
    for f in 0..frames {
        data.times.push(f as f64 / RATE_HZ);
        data.point_start.push(data.points.len());
        for slot in 0..markers.len() as u32 {
            // Some twice, some not at all.
            for _ in 0..[1, 1, 2, 0][rng.random_range(0..4)] {
                let (position, weight) = (vector(rng, 1.0), rng.random_range(0.2..1.0));
                data.points.push(PointObservation { slot, position, weight });
            }
        }
    }
    data.point_start.push(data.points.len());
    let options = FitOptions::for_markers();
    let mut hyper = Hyperparameters::new(0, 0, 1.0, vec![0.0; layout.dofs()], options.loss);
    hyper.point_sigma = markers.iter().map(|_| rng.random_range(0.5..2.0)).collect();
    hyper.point_loss = RobustLoss::Gaussian;
    let parameters = Parameters {
        trajectories: vec![BSpline::through(layout.clone(), knots, |_| {
            let (q, rotors) = posed.next().expect("a pose for each control");
            Pose { q, rotors }
        })],
        scales: (0..mechanism.groups().groups.len()).map(|_| rng.random_range(-0.05..0.05)).collect(),
        offsets: markers.iter().map(|_| vector(rng, 0.05)).collect(),
        world_from_camera: Vec::new(),
    };
    let told_nothing = f64::INFINITY;
    let problem = Problem {
        priors: Priors {
            scales: vec![(0.0, told_nothing); parameters.scales.len()],
            // Some are held.
            offset_sd: markers.iter().map(|_| if rng.random_bool(0.3) { 0.0 } else { told_nothing }).collect(),
            extrinsics: options.extrinsics,
            gauge: options.gauge,
            pose: vec![(0.0, told_nothing); layout.dofs()],
            limits: vec![None; layout.dofs()],
            stature: None,
        },
        rig: Vec::new(),
        trials: vec![data],
        free: Free { scales: free.0, offsets: free.1, cameras: Vec::new() },
        hyper,
        markers,
        layout,
        mechanism: mechanism.clone(),
    };
    (problem, parameters)
}

/// `Jᵀ·W·J` and `−Jᵀ·W·r`, and the same sums of what bounds their terms.
struct Dense {
    matrix: DMatrix<f64>,
    rhs: DVector<f64>,
    sizes: DMatrix<f64>,
    rhs_sizes: DVector<f64>,
}

fn dense(problem: &Problem, parameters: &Parameters) -> Dense {
    let (mechanism, layout, trial) = (&problem.mechanism, &problem.layout, &problem.trials[0]);
    let trajectory = &parameters.trajectories[0];
    let (n, border) = (layout.dofs(), problem.border());
    let shared = trajectory.controls() * n;
    let total = shared + border.columns;
    let mut out = Dense {
        matrix: DMatrix::zeros(total, total),
        rhs: DVector::zeros(total),
        sizes: DMatrix::zeros(total, total),
        rhs_sizes: DVector::zeros(total),
    };
    let (scales, offsets) = (problem.all_scales(parameters), problem.all_offsets(parameters));
    let (mut pose, mut weights, mut work) = (layout.default_pose(), layout.weights(), mechanism.workspace());
    let mut by_group = vec![Vector3::zeros(); problem.groups()];
    for (f, &t) in trial.times.iter().enumerate() {
        trajectory.pose(t, &mut pose);
        trajectory.weights(t, &mut weights);
        mechanism.linearise(&scales, &offsets, &pose.q, &pose.rotors, &mut work);
        for o in trial.frame_points(f) {
            let slot = o.slot as usize;
            let (marker, sigma) = (problem.markers[slot], problem.hyper.point_sigma[slot]);
            let b = mechanism.skeleton().markers[marker.index()].body.index();
            let p = work.frame.markers[marker.index()];
            // What moves the marker, in the order of the system's columns, each with the bound of its terms.
            let mut by_dof = vec![(Vector3::zeros(), 0.0); n];
            for &k in &mechanism.paths()[b] {
                let (omega, v) = (work.twists[k].fixed_rows::<3>(0), work.twists[k].fixed_rows::<3>(3));
                let (way, size) = &mut by_dof[mechanism.columns()[k].dof];
                *way += v + omega.cross(&p);
                *size += v.norm() + omega.norm() * p.norm();
            }
            let mut ways: Vec<(usize, Vector3<f64>, f64)> = Vec::new();
            for k in 0..weights.count {
                let first = (weights.first + k) * n;
                for (j, (way, size)) in by_dof[..layout.scalars()].iter().enumerate() {
                    ways.push((first + j, way * weights.value[k], size * weights.value[k]));
                }
                for (r, &at) in layout.rotors.iter().enumerate() {
                    for j in 0..3 {
                        let s = weights.rotors[r][k].column(j);
                        let way = (0..3).map(|i| by_dof[at + i].0 * s[i]).sum();
                        ways.push((first + at + j, way, (0..3).map(|i| by_dof[at + i].1 * s[i].abs()).sum()));
                    }
                }
            }
            if let Some(first) = border.scales {
                mechanism.marker_by_scale(&work, marker, &mut by_group);
                ways.extend(by_group.iter().enumerate().map(|(g, way)| (shared + first + g, *way, 3.0)));
            }
            if let Some(first) = border.offsets[slot] {
                let axes = work.frame.rotations[b];
                ways.extend((0..3).map(|i| (shared + first + i, axes.matrix().column(i).into_owned(), 1.0)));
            }
            let (w, e) = (o.weight / (sigma * sigma), p - o.position);
            for (i, way, size) in &ways {
                out.rhs[*i] -= w * way.dot(&e);
                out.rhs_sizes[*i] += w * size * (e.norm() + p.norm());
                for (j, other, its) in &ways {
                    out.matrix[(*i, *j)] += w * way.dot(other);
                    out.sizes[(*i, *j)] += w * size * its;
                }
            }
        }
    }
    out
}

/// Sums of at most some thousands of products, in another order, through chains of less than a hundred operations: 4000 roundings of the sum of their sizes.
fn agree(found: &Linearisation, expected: &Dense, what: &str) {
    let close = |a: f64, b: f64, sizes: f64| (a - b).abs() <= 4000.0 * f64::EPSILON * sizes;
    let band = &found.arrow.bands[0];
    let (m, columns) = (&band.matrix, found.arrow.columns());
    let shared = m.order();
    for c in 0..m.blocks {
        for r in c..m.blocks {
            for j in 0..m.block {
                for i in 0..m.block {
                    let at = (r * m.block + i, c * m.block + j);
                    let value = if r <= c + m.bandwidth { m.at(r, c, i, j) } else { 0.0 };
                    assert!(close(value, expected.matrix[at], expected.sizes[at]), "{what}: band {at:?}");
                }
            }
        }
    }
    for c in 0..columns {
        for r in 0..shared {
            let (value, at) = (band.border.at(r, c), (r, shared + c));
            assert!(close(value, expected.matrix[at], expected.sizes[at]), "{what}: border {r} {c}: {value}");
        }
        for r in 0..columns {
            let (value, at) = (found.arrow.corner[c * columns + r], (shared + r, shared + c));
            assert!(close(value, expected.matrix[at], expected.sizes[at]), "{what}: corner {r} {c}: {value}");
        }
    }
    for (i, value) in band.rhs.iter().chain(&found.arrow.corner_rhs).enumerate() {
        assert!(close(*value, expected.rhs[i], expected.rhs_sizes[i]), "{what}: right-hand side {i}");
    }
}

#[test]
fn they_are_those_of_the_dense_jacobian() {
    let (mut columns, mut shifted) = (0, 0);
    for seed in 0..60 {
        for (free, groups) in [((true, true), 40), ((true, true), 1), ((true, false), 17), ((false, true), 5)] {
            let frames = 5;
            let knots = match seed % 2 {
                0 => Knots::independent(frames, RATE_HZ),
                _ => Knots::cubic(frames, RATE_HZ, 0.05),
            };
            let (problem, parameters) = problem(seed, groups, knots, frames, free);
            let found = linearise(&problem, &parameters);
            agree(&found, &dense(&problem, &parameters), &format!("seed {seed}, {free:?}, {groups} groups"));
            columns = columns.max(problem.border().columns);
            shifted += problem.mechanism.shifts().len();
        }
    }
    // More than a panel of the border, more than a row of scales.
    assert!(columns > 48 && shifted > 1000, "{columns} {shifted}");
}

/// Some hundred controls are many pieces, summed in waves; on any number of threads to the same bits.
#[test]
fn long_trials_are_summed_in_pieces() {
    let mut checked = 0;
    for seed in 0..40 {
        let knots = Knots::cubic(120, RATE_HZ, 0.02);
        assert!(knots.spans > 100);
        let (problem, parameters) = problem(seed, 3, knots, 120, (true, true));
        if problem.layout.dofs() > 6 || problem.markers.is_empty() {
            continue;
        }
        checked += 1;
        let threads = |count: usize| rayon::ThreadPoolBuilder::new().num_threads(count).build().expect("threads");
        let found = threads(4).install(|| linearise(&problem, &parameters));
        agree(&found, &dense(&problem, &parameters), &format!("seed {seed}"));
        let alone = threads(1).install(|| linearise(&problem, &parameters));
        assert!(found.arrow == alone.arrow && found.cost == alone.cost);
    }
    assert!(checked > 3, "{checked}");
}
