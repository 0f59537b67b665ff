//! The cost, and the normal equations as an arrow system.

use super::frame::{Corner, FrameWork, Shared};
use super::problem::{Parameters, Problem, pieces};
use crate::math::arrow::{Arrow, Band, BlockBanded};
use crate::residual::{gaussian, smoothness};
use crate::trajectory::{BSpline, LocalTrajectory};
use nalgebra::{Matrix3, Vector3};
use rayon::prelude::*;
use std::ops::Range;

/// Pieces that are in memory at once before they are added up: bounds the memory of long trials, and is fixed so that nothing depends on threads.
const WAVE: usize = 8;

/// The normal equations at some parameters: `arrow` with right-hand sides minus the gradient, undamped.
#[derive(Debug, Clone)]
pub struct Linearisation {
    /// The system.
    pub arrow: Arrow,
    /// The cost there.
    pub cost: f64,
}

/// One piece's sums.
struct Piece {
    band: BlockBanded,
    border: Vec<f64>,
    gradient: Vec<f64>,
    corner: Corner,
}

impl Problem {
    /// The whole objective: a negative log posterior up to a constant.
    pub fn cost(&self, parameters: &Parameters) -> f64 {
        let shared = Shared::new(self, parameters);
        let mut cost = 0.0;
        for (i, trial) in self.trials.iter().enumerate() {
            let parts: Vec<f64> = pieces(&parameters.trajectories[i], &trial.times)
                .into_par_iter()
                .map_init(
                    || FrameWork::new(&shared),
                    |work, (_, frames)| frames.map(|f| work.cost(&shared, i, f)).sum::<f64>(),
                )
                .collect();
            cost += parts.iter().sum::<f64>();
            cost += smoothness_cost(
                &parameters.trajectories[i],
                &self.hyper.smoothness_of(parameters.trajectories[i].knots()),
            );
        }
        let mut corner = Corner::zeros(0);
        shared_priors(&shared, &mut corner);
        cost + corner.cost
    }
}

/// Linearises the problem.
pub fn linearise(problem: &Problem, parameters: &Parameters) -> Linearisation {
    let shared = Shared::new(problem, parameters);
    let columns = shared.border.columns;
    let n = problem.layout.dofs();
    let mut corner = Corner::zeros(columns);
    let mut bands = Vec::with_capacity(problem.trials.len());
    for (i, trial) in problem.trials.iter().enumerate() {
        let trajectory = &parameters.trajectories[i];
        let (controls, p) = (trajectory.controls(), trajectory.bandwidth());
        let mut band = Band::zeros(n, controls, p, columns);
        let order = band.matrix.order();
        for wave in pieces(trajectory, &trial.times).chunks(WAVE) {
            let done: Vec<(usize, Piece)> = wave
                .par_iter()
                .map_init(
                    || FrameWork::new(&shared),
                    |work, (spans, frames)| (spans.start, piece(&shared, work, i, spans, frames.clone())),
                )
                .collect();
            // Bands and borders of different pieces overlap by the spline's support: added in order.
            for (first, piece) in &done {
                for (a, b) in band.matrix.panels_mut(*first).iter_mut().zip(piece.band.panels()) {
                    *a += b;
                }
                for (a, b) in band.rhs[first * n..].iter_mut().zip(&piece.gradient) {
                    *a -= b;
                }
                corner.add(&piece.corner);
            }
            band.border.par_chunks_mut(order.max(1)).enumerate().for_each(|(c, column)| {
                for (first, piece) in &done {
                    let local = piece.gradient.len();
                    for (a, b) in column[first * n..].iter_mut().zip(&piece.border[c * local..(c + 1) * local]) {
                        *a += b;
                    }
                }
            });
        }
        corner.cost += smoothness_normal(trajectory, &problem.hyper.smoothness_of(trajectory.knots()), &mut band);
        bands.push(band);
    }
    shared_priors(&shared, &mut corner);
    for c in 0..columns {
        for r in c..columns {
            corner.matrix[r * columns + c] = corner.matrix[c * columns + r];
        }
    }
    let corner_rhs = corner.gradient.iter().map(|g| -g).collect();
    Linearisation { arrow: Arrow { bands, corner: corner.matrix, corner_rhs }, cost: corner.cost }
}

fn piece(shared: &Shared, work: &mut FrameWork, trial: usize, spans: &Range<usize>, frames: Range<usize>) -> Piece {
    let problem = shared.problem;
    let n = problem.layout.dofs();
    let columns = shared.border.columns;
    let p = shared.parameters.trajectories[trial].bandwidth();
    let blocks = spans.len() + p;
    let order = blocks * n;
    let mut out = Piece {
        band: BlockBanded::zeros(n, blocks, p),
        border: vec![0.0; order * columns],
        gradient: vec![0.0; order],
        corner: Corner::zeros(columns),
    };
    let mut column = vec![0.0; n];
    for frame in frames {
        work.linearise(shared, trial, frame, &mut out.corner);
        let w = &work.weights;
        let first = w.first - spans.start;
        for k in 0..w.count {
            let at = (first + k) * n;
            add_weighted(&mut out.gradient[at..at + n], &work.gradient, work, k, &problem.layout.rotors);
            for c in 0..columns {
                let target = &mut out.border[c * order + at..c * order + at + n];
                add_weighted(target, &work.cross[c * n..(c + 1) * n], work, k, &problem.layout.rotors);
            }
        }
        // A_ab += S_aᵀ·H·S_b, column by column of S_b.
        for b in 0..w.count {
            for c in 0..n {
                weighted_column(&mut column, work, b, c, &problem.layout.rotors);
                for a in b..w.count {
                    let target = out.band.column_mut(first + a, first + b, c);
                    add_weighted(target, &column, work, a, &problem.layout.rotors);
                }
            }
        }
    }
    out
}

/// `target += S_kᵀ·h` for a vector over degrees of freedom.
fn add_weighted(target: &mut [f64], h: &[f64], work: &FrameWork, k: usize, rotors: &[usize]) {
    let w = work.weights.value[k];
    let scalars = rotors.first().copied().unwrap_or(h.len());
    for (t, x) in target[..scalars].iter_mut().zip(&h[..scalars]) {
        *t += w * x;
    }
    for (r, &at) in rotors.iter().enumerate() {
        let m = work.weights.rotors[r][k].tr_mul(&Vector3::from_column_slice(&h[at..at + 3]));
        for i in 0..3 {
            target[at + i] += m[i];
        }
    }
}

/// Column `c` of `H·S_k`.
fn weighted_column(out: &mut [f64], work: &FrameWork, k: usize, c: usize, rotors: &[usize]) {
    let n = out.len();
    let h = &work.hessian;
    match rotors.iter().position(|&at| (at..at + 3).contains(&c)) {
        None => {
            let w = work.weights.value[k];
            for (o, x) in out.iter_mut().zip(&h[c * n..(c + 1) * n]) {
                *o = w * x;
            }
        }
        Some(r) => {
            let at = rotors[r];
            let w = work.weights.rotors[r][k].column(c - at).into_owned();
            for (i, o) in out.iter_mut().enumerate() {
                *o = (0..3).map(|j| h[(at + j) * n + i] * w[j]).sum();
            }
        }
    }
}

/// Cost of a trajectory's third differences.
fn smoothness_cost(trajectory: &BSpline, precision: &[f64]) -> f64 {
    let mut cost = 0.0;
    if trajectory.bandwidth() < 3 {
        return cost;
    }
    let layout = trajectory.layout();
    for k in 0..trajectory.controls() - 3 {
        for (j, lambda) in precision[..layout.scalars()].iter().enumerate() {
            let r: f64 = (0..4).map(|i| smoothness::THIRD_DIFFERENCE[i] * trajectory.control_scalars(k + i)[j]).sum();
            cost += 0.5 * lambda * r * r;
        }
        for (r, &at) in layout.rotors.iter().enumerate() {
            let d = smoothness::rotation_difference(std::array::from_fn(|i| trajectory.control_rotation(k + i, r))).0;
            cost += 0.5 * precision[at] * d.norm_squared();
        }
    }
    cost
}

/// The same with its normal equations, which it adds to the band; returns the cost.
fn smoothness_normal(trajectory: &BSpline, precision: &[f64], band: &mut Band) -> f64 {
    if trajectory.bandwidth() < 3 {
        return 0.0;
    }
    let layout = trajectory.layout();
    let n = layout.dofs();
    let mut cost = 0.0;
    for k in 0..trajectory.controls() - 3 {
        for (j, lambda) in precision[..layout.scalars()].iter().enumerate() {
            let r: f64 = (0..4).map(|i| smoothness::THIRD_DIFFERENCE[i] * trajectory.control_scalars(k + i)[j]).sum();
            cost += 0.5 * lambda * r * r;
            for a in 0..4 {
                let wa = lambda * smoothness::THIRD_DIFFERENCE[a];
                band.rhs[(k + a) * n + j] -= wa * r;
                for b in 0..=a {
                    *band.matrix.at_mut(k + a, k + b, j, j) += wa * smoothness::THIRD_DIFFERENCE[b];
                }
            }
        }
        for (r, &at) in layout.rotors.iter().enumerate() {
            let lambda = precision[at];
            let q = std::array::from_fn(|i| trajectory.control_rotation(k + i, r));
            let (d, jacobian) = smoothness::rotation_difference(q);
            cost += 0.5 * lambda * d.norm_squared();
            for a in 0..4 {
                let g = jacobian[a].tr_mul(&d) * lambda;
                for i in 0..3 {
                    band.rhs[(k + a) * n + at + i] -= g[i];
                }
                for b in 0..=a {
                    let m: Matrix3<f64> = jacobian[a].tr_mul(&jacobian[b]) * lambda;
                    for i in 0..3 {
                        for j in 0..3 {
                            *band.matrix.at_mut(k + a, k + b, at + i, at + j) += m[(i, j)];
                        }
                    }
                }
            }
        }
    }
    cost
}

/// Priors on shared parameters. With an empty corner only the cost is added.
fn shared_priors(shared: &Shared, corner: &mut Corner) {
    let (problem, parameters, border) = (shared.problem, shared.parameters, &shared.border);
    let priors = &problem.priors;
    let columns = corner.gradient.len();
    let mut scalar = |at: Option<usize>, (cost, gradient, curvature): (f64, f64, f64)| {
        corner.cost += cost;
        if let Some(at) = at.filter(|_| columns > 0) {
            corner.gradient[at] += gradient;
            corner.matrix[at * columns + at] += curvature;
        }
    };
    if border.scales.is_some() {
        for (g, &(mean, sd)) in priors.scales.iter().enumerate() {
            scalar(border.scales.map(|s| s + g), gaussian::evaluate(parameters.scales[g], mean, sd));
        }
    }
    for (o, at) in parameters.offsets.iter().zip(&border.offsets) {
        if let Some(at) = at {
            for i in 0..3 {
                scalar(Some(at + i), gaussian::evaluate(o[i], 0.0, priors.offset_sd));
            }
        }
    }
    for (c, at) in border.cameras.iter().enumerate() {
        if let Some(at) = at {
            let reference = problem.rig[c].camera_from_world.inverse();
            let m = priors.extrinsics.linearise(&parameters.world_from_camera[c], &reference, &shared.origin);
            corner.cost += m.cost;
            if columns > 0 {
                for i in 0..6 {
                    corner.gradient[at + i] += m.gradient[i];
                    for j in 0..=i {
                        corner.matrix[(at + j) * columns + at + i] += m.information[(i, j)];
                    }
                }
            }
        }
    }
    if border.cameras.iter().any(Option::is_some) {
        let reference: Vec<_> = problem.rig.iter().map(|c| c.camera_from_world.inverse()).collect();
        let (cost, gradient, information) =
            priors.gauge.linearise(&parameters.world_from_camera, &reference, &shared.origin);
        corner.cost += cost;
        if columns > 0 {
            // Cameras that are held are part of the rig, but have no columns.
            let rows: Vec<(usize, usize)> = (0..6 * border.cameras.len())
                .filter_map(|i| border.cameras[i / 6].map(|first| (i, first + i % 6)))
                .collect();
            for &(i, row) in &rows {
                corner.gradient[row] += gradient[i];
                for &(j, column) in rows.iter().filter(|c| c.1 <= row) {
                    corner.matrix[column * columns + row] += information[(i, j)];
                }
            }
        }
    }
    if let (Some(s), Some(at)) = (&priors.stature, border.scales) {
        let height = s.at_zero + s.by_scale.iter().zip(&parameters.scales).map(|(a, b)| a * b).sum::<f64>();
        let (cost, gradient, curvature) = gaussian::evaluate(height, s.measured, s.sd);
        corner.cost += cost;
        if columns > 0 {
            for (g, a) in s.by_scale.iter().enumerate() {
                corner.gradient[at + g] += gradient * a;
                for (h, b) in s.by_scale[..=g].iter().enumerate() {
                    corner.matrix[(at + h) * columns + at + g] += curvature * a * b;
                }
            }
        }
    }
}
