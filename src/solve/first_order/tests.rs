use super::networks::stretch_at;
use super::*;
use crate::math::robust::RobustLoss;
use crate::math::so3;
use crate::solve::linearise;
use crate::solve::tests::problem;
use crate::trajectory::mlp::{Architecture, Mlp};
use crate::trajectory::{Pose, Trajectory};
use nalgebra::Vector3;
use rand::{Rng, SeedableRng};
use std::sync::Arc;

const LOSS: RobustLoss = RobustLoss::StudentT { dof: 5.0 };

fn windows(problem: &crate::solve::Problem) -> Vec<Window> {
    problem
        .trials
        .iter()
        .enumerate()
        .map(|(trial, t)| Window { trial, frames: 0..t.times.len(), stretch: None })
        .collect()
}

fn poses(problem: &crate::solve::Problem, parameters: &crate::solve::Parameters) -> Vec<Vec<Pose>> {
    let of_trial = |(t, trial): (&crate::trajectory::BSpline, &crate::solve::TrialProblem)| {
        let at = |&time: &f64| {
            let mut pose = problem.layout.default_pose();
            t.pose(time, &mut pose);
            pose
        };
        trial.times.iter().map(at).collect()
    };
    parameters.trajectories.iter().zip(&problem.trials).map(of_trial).collect()
}

/// The same sums in another order: rounding of thousands of terms.
#[test]
fn cost_and_gradient_are_those_of_the_second_order_solver() {
    let (mut problem, parameters) = problem(3.0, LOSS);
    problem.hyper.smoothness.fill(0.0);
    let mut gradient = ObjectiveGradient::default();
    let poses = poses(&problem, &parameters);
    let cost = problem.cost_of_poses(&windows(&problem), &poses, &parameters, Terms::default(), 1.0, &mut gradient);
    let second = linearise(&problem, &parameters);
    assert!((cost - second.cost).abs() < 1e-10 * cost.abs(), "{cost} {}", second.cost);
    let size = second.arrow.corner_rhs.iter().fold(0.0f64, |a, b| a.max(b.abs()));
    for (a, b) in gradient.shared.iter().zip(&second.arrow.corner_rhs) {
        assert!((a + b).abs() < 1e-10 * size, "{a} {b}");
    }
    let n = problem.layout.dofs();
    for (i, trajectory) in parameters.trajectories.iter().enumerate() {
        let mut pulled = vec![0.0; trajectory.tangent_len()];
        for (f, &t) in problem.trials[i].times.iter().enumerate() {
            trajectory.vjp(t, &gradient.poses[i][f * n..(f + 1) * n], &mut pulled);
        }
        let rhs = &second.arrow.bands[i].rhs;
        let size = rhs.iter().fold(0.0f64, |a, b| a.max(b.abs()));
        for (a, b) in pulled.iter().zip(rhs) {
            assert!((a + b).abs() < 1e-10 * size, "{a} {b}");
        }
    }
}

/// Along random directions in poses and everything shared, cameras well away from their calibration: a step of 1e-5 leaves 1e-10 of truncation times third derivatives of some hundred
/// times the gradient, and rounding of costs of 1e4 by 1e-16, divided by the step.
#[test]
fn gradient_agrees_with_differences() {
    let (mut problem, parameters) = problem(3.0, LOSS);
    problem.hyper.smoothness.fill(50.0);
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
    let columns = problem.border().columns;
    let mut x = vec![0.0; columns];
    x[..3].copy_from_slice(&parameters.scales);
    for first in problem.border().cameras.iter().flatten() {
        x[*first..first + 6].iter_mut().for_each(|x| *x = rng.random_range(-0.15..0.15));
    }
    let (windows, poses) = (windows(&problem), poses(&problem, &parameters));
    let n = problem.layout.dofs();
    let evaluate = |poses: &[Vec<Pose>], x: &[f64], gradient: &mut ObjectiveGradient| {
        let cost =
            problem.cost_of_poses(&windows, poses, &shared_parameters(&problem, x), Terms::default(), 0.7, gradient);
        in_twists(&problem, x, &mut gradient.shared);
        cost
    };
    let mut gradient = ObjectiveGradient::default();
    evaluate(&poses, &x, &mut gradient);
    for _ in 0..10 {
        let along: Vec<f64> = (0..columns).map(|_| 0.1 * rng.random_range(-1.0..1.0)).collect();
        let turns: Vec<Vec<f64>> =
            gradient.poses.iter().map(|g| g.iter().map(|_| 0.1 * rng.random_range(-1.0..1.0)).collect()).collect();
        let at = |h: f64| {
            let moved: Vec<Vec<Pose>> = poses
                .iter()
                .zip(&turns)
                .map(|(poses, d)| {
                    let one = |(pose, d): (&Pose, &[f64])| {
                        let mut pose = pose.clone();
                        for (j, &c) in problem.layout.coordinates[..problem.layout.scalars()].iter().enumerate() {
                            pose.q[c] += h * d[j];
                        }
                        for (r, &first) in problem.layout.rotors.iter().enumerate() {
                            pose.rotors[r] =
                                so3::exp(&(Vector3::from_column_slice(&d[first..first + 3]) * h)) * pose.rotors[r];
                        }
                        pose
                    };
                    poses.iter().zip(d.chunks_exact(n)).map(one).collect()
                })
                .collect();
            let x: Vec<f64> = x.iter().zip(&along).map(|(x, d)| x + h * d).collect();
            evaluate(&moved, &x, &mut ObjectiveGradient::default())
        };
        let h = 1e-5;
        let numeric = (at(h) - at(-h)) / (2.0 * h);
        let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
        let exact =
            dot(&gradient.shared, &along) + gradient.poses.iter().zip(&turns).map(|(g, d)| dot(g, d)).sum::<f64>();
        let size = gradient.poses.iter().flatten().chain(&gradient.shared).map(|g| g * g).sum::<f64>().sqrt();
        assert!((numeric - exact).abs() < 1e-6 * size, "{numeric} {exact} of {size}");
    }
}

fn networks(problem: &crate::solve::Problem) -> Vec<Mlp> {
    let one = |(i, t): (usize, &crate::solve::TrialProblem)| {
        let architecture = Architecture { layers: vec![24], highest_hz: 4.0, ..Architecture::small() };
        let duration = t.times.len() as f64 / 50.0;
        let usual = problem.layout.default_pose();
        Mlp::random(architecture, &problem.mechanism, problem.layout.clone(), &usual, true, duration, i as u64).unwrap()
    };
    problem.trials.iter().enumerate().map(one).collect()
}

/// Networks, scales, offsets and cameras in one vector, in single precision: differences over 1e-2 of what is smooth on the scale of 1 are good to some 1e-4, and single-precision poses
/// err by 1e-6.
#[test]
fn gradient_of_the_flat_vector_agrees_with_differences() {
    let (problem, parameters) = problem(3.0, LOSS);
    let mlps = networks(&problem);
    let objective = Networks::new(&problem, &mlps, Terms::default(), None);
    let mut shared = vec![0.0; problem.border().columns];
    shared[..3].copy_from_slice(&parameters.scales);
    let at = Arc::new(objective.flatten(&shared));
    let mut gradient = vec![f32::NAN; at.len()];
    objective.descend(&at, 0, &mut gradient);
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
    for _ in 0..6 {
        let along: Vec<f64> = (0..at.len()).map(|_| rng.random_range(-1.0..1.0)).collect();
        let cost = |h: f64| {
            let moved = Arc::new(at.iter().zip(&along).map(|(p, d)| (f64::from(*p) + h * d) as f32).collect());
            objective.descend(&moved, 0, &mut vec![0.0; at.len()])
        };
        let h = 1e-4;
        let numeric = (cost(h) - cost(-h)) / (2.0 * h);
        let exact: f64 = gradient.iter().zip(&along).map(|(g, d)| f64::from(*g) * d).sum();
        let size = gradient.iter().map(|g| f64::from(g * g)).sum::<f64>().sqrt();
        assert!((numeric - exact).abs() < 2e-3 * size, "{numeric} {exact} of {size}");
    }
}

/// All stretches there are, together, are the whole as often as each frame is in one of them: third differences among them. The same sums in another order.
#[test]
fn stretches_are_the_whole_on_average() {
    let (mut problem, parameters) = problem(3.0, LOSS);
    let poses = poses(&problem, &parameters);
    let lengths: Vec<usize> = problem.trials.iter().map(|t| t.times.len()).collect();
    let frames: usize = lengths.iter().sum();
    problem.hyper.smoothness.fill(50.0);
    // The last is longer than either trial.
    assert!(lengths.len() > 1 && lengths.iter().all(|n| *n < frames - 1));
    for stretch in [8, 16, frames - 1] {
        let (mut all, mut parts) = (ObjectiveGradient::default(), ObjectiveGradient::default());
        let cost = problem.cost_of_poses(&windows(&problem), &poses, &parameters, Terms::default(), 1.0, &mut all);
        let drawn: Vec<Window> = (0..frames).flat_map(|at| stretch_at(&lengths, stretch, at)).collect();
        let of_drawn: Vec<Vec<Pose>> = drawn.iter().map(|w| poses[w.trial][w.frames.clone()].to_vec()).collect();
        let weight = 1.0 / stretch as f64;
        let mean = problem.cost_of_poses(&drawn, &of_drawn, &parameters, Terms::default(), weight, &mut parts);
        assert!((mean / cost - 1.0).abs() < 1e-11, "stretches of {stretch}: {mean} {cost}");
        let n = problem.layout.dofs();
        let mut sums: Vec<Vec<f64>> = all.poses.iter().map(|g| vec![0.0; g.len()]).collect();
        for (window, gradient) in drawn.iter().zip(&parts.poses) {
            let to = &mut sums[window.trial][window.frames.start * n..window.frames.end * n];
            to.iter_mut().zip(gradient).for_each(|(a, b)| *a += b);
        }
        let size = all.poses.iter().flatten().fold(0.0f64, |a, b| a.max(b.abs()));
        for (a, b) in sums.iter().flatten().zip(all.poses.iter().flatten()) {
            assert!((a - b).abs() < 1e-11 * size, "stretches of {stretch}: {a} {b}");
        }
    }
}

/// Over 800 draws of a fifth of the frames, within five standard deviations of their mean.
#[test]
fn batches_are_the_whole_on_average() {
    let (mut problem, _) = problem(3.0, LOSS);
    problem.hyper.smoothness.fill(50.0);
    let mlps = networks(&problem);
    let whole = Networks::new(&problem, &mlps, Terms::default(), None);
    let batch = MiniBatch { frames: 16, stretch: 8, seed: 1 };
    let parts = Networks::new(&problem, &mlps, Terms::default(), Some(batch));
    let at = Arc::new(whole.flatten(&vec![0.0; problem.border().columns]));
    let mut gradient = vec![0.0; at.len()];
    let all = whole.descend(&at, 0, &mut gradient);
    let costs: Vec<f64> = (0..800).map(|step| parts.descend(&at, step, &mut gradient)).collect();
    let n = costs.len() as f64;
    let mean = costs.iter().sum::<f64>() / n;
    let error = (costs.iter().map(|c| (c - mean).powi(2)).sum::<f64>() / (n - 1.0) / n).sqrt();
    // The draws differ by no more than that the mean is told to some percents.
    assert!((mean - all).abs() < 5.0 * error && error < 0.03 * all, "{mean} ± {error}, {all}");
    // The same step draws the same frames, another one others.
    assert_eq!(parts.descend(&at, 7, &mut gradient), parts.descend(&at, 7, &mut gradient));
    assert_ne!(parts.descend(&at, 7, &mut gradient), parts.descend(&at, 8, &mut gradient));
    // What is rounded up to all frames, or beyond, is no batch.
    assert_eq!((batch.drawn(), MiniBatch { frames: 39, stretch: 16, seed: 1 }.drawn()), (16, 48));
}

#[test]
fn shared_vectors_come_back() {
    let (problem, parameters) = problem(3.0, LOSS);
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(8);
    let x: Vec<f64> = (0..problem.border().columns).map(|_| rng.random_range(-0.4..0.4)).collect();
    let again = shared_vector(&problem, &shared_parameters(&problem, &x));
    // A few products of numbers near 1.
    assert!(x.iter().zip(&again).all(|(a, b)| (a - b).abs() < 1e-12), "{x:?} {again:?}");
    assert_eq!(shared_vector(&problem, &parameters)[..3], parameters.scales);
}
