//! The cost, and the normal equations as an arrow system.

use super::corner::{Corner, DenseCorner};
use super::frame::{FrameWork, Shared};
use super::problem::{BorderLayout, Free, Information, Parameters, Problem, pieces};
use crate::kinematics::Mechanism;
use crate::math::arrow::{Arrow, Band, BandPart};
use crate::math::border::PANEL;
use crate::residual::{gaussian, smoothness};
use crate::trajectory::{BSpline, Layout, LocalTrajectory};
use nalgebra::{Matrix3, Vector3};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

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

/// Memory of linearisations, kept from one to the next, whatever is free in them: that of a long trial is large, and fresh memory costs the system more than the sums that go into it.
#[derive(Default)]
pub struct Workspace {
    bands: Vec<Band>,
    pieces: Vec<Piece>,
    /// What the pieces are for.
    shape: Option<Shape>,
}

impl Workspace {
    /// Takes back what an earlier linearisation was written to.
    pub fn recycle(&mut self, bands: Vec<Band>) {
        self.bands = bands;
    }
}

/// What a worker needs to sum over a piece, and what it finds for others: its own controls it adds to where they are.
struct Piece {
    work: FrameWork,
    /// The next piece's first controls.
    beyond: Band,
    corner: Corner,
}

impl Problem {
    /// The whole objective: a negative log posterior up to a constant.
    pub fn cost(&self, parameters: &Parameters) -> f64 {
        let shared = Shared::new(self, &self.free, parameters, Information::Step);
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
        let mut corner = DenseCorner::gradient(0);
        shared_priors(&shared, &mut corner);
        cost + corner.cost
    }
}

/// Linearises the problem for a step.
pub fn linearise(problem: &Problem, parameters: &Parameters) -> Linearisation {
    linearise_in(&mut Workspace::default(), problem, &problem.free, parameters, Information::Step)
}

/// The same with only `free` free, in the memory of an earlier linearisation.
pub fn linearise_in(
    workspace: &mut Workspace,
    problem: &Problem,
    free: &Free,
    parameters: &Parameters,
    information: Information,
) -> Linearisation {
    let shared = Shared::new(problem, free, parameters, information).for_matrix();
    let columns = shared.border.columns;
    let n = problem.layout.dofs();
    let mut corner = Corner::zeros(&shared);
    let mut bands = Vec::with_capacity(problem.trials.len());
    let mut storage = std::mem::take(&mut workspace.bands).into_iter();
    for (i, trial) in problem.trials.iter().enumerate() {
        let trajectory = &parameters.trajectories[i];
        let (controls, p) = (trajectory.controls(), trajectory.bandwidth());
        let mut band = storage.next().unwrap_or_else(|| Band::zeros(n, 0, p, 0));
        band.reshape(n, controls, p, columns);
        let pieces = pieces(trajectory, &trial.times);
        // A piece's frames bear on the controls of its spans and on the next piece's first; the last piece has those at the end, too.
        let end_of = |(spans, _): &(Range<usize>, _)| if spans.end + p == controls { controls } else { spans.end };
        let ends: Vec<usize> = pieces.iter().map(end_of).collect();
        let mut parts = band.parts_mut(&ends);
        for (w, wave) in pieces.chunks(WAVE).enumerate() {
            let done = workspace.pieces(&shared, wave.len());
            let first = w * WAVE;
            wave.par_iter().zip(&mut *done).zip(&mut parts[first..]).for_each(|(((spans, frames), piece), own)| {
                piece.sum(&shared, (i, frames.clone()), spans.start, own);
            });
            let next: Vec<_> = parts[first..].iter_mut().skip(1).take(wave.len()).collect();
            next.into_par_iter().zip(&*done).for_each(|(next, piece)| next.add(&piece.beyond));
            done.iter().for_each(|piece| corner.add(&piece.corner));
        }
        drop(parts);
        corner.cost += smoothness_normal(trajectory, &problem.hyper.smoothness_of(trajectory.knots()), &mut band);
        bands.push(band);
    }
    let mut corner = corner.assemble(&shared);
    let mut priors = DenseCorner::zeros(columns, 0.0);
    shared_priors(&shared, &mut priors);
    corner.add(&priors, shared.information.weight_of_shared_priors(problem));
    corner.mirror();
    let corner_rhs = corner.gradient.iter().map(|g| -g).collect();
    Linearisation { arrow: Arrow { bands, corner: corner.matrix, corner_rhs }, cost: corner.cost }
}

impl Workspace {
    /// `count` pieces for a problem. What they hold is anything.
    fn pieces(&mut self, shared: &Shared, count: usize) -> &mut [Piece] {
        let shape = Shape::of(shared);
        if self.shape.as_ref().is_none_or(|s| !s.is(&shape)) {
            for piece in &mut self.pieces {
                (piece.work, piece.corner) = (FrameWork::new(shared), Corner::zeros(shared));
            }
            self.shape = Some(shape);
        }
        while self.pieces.len() < count {
            self.pieces.push(Piece {
                work: FrameWork::new(shared),
                corner: Corner::zeros(shared),
                beyond: Band::zeros(0, 0, 0, 0),
            });
        }
        &mut self.pieces[..count]
    }
}

/// What the memory for a frame depends on.
struct Shape {
    mechanism: Arc<Mechanism>,
    layout: Arc<Layout>,
    border: BorderLayout,
    /// Cameras, and observed markers.
    counts: [usize; 2],
}

impl Shape {
    fn of(shared: &Shared) -> Self {
        let problem = shared.problem;
        Self {
            mechanism: problem.mechanism.clone(),
            layout: problem.layout.clone(),
            border: shared.border.clone(),
            counts: [problem.rig.len(), problem.markers.len()],
        }
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.mechanism, &other.mechanism)
            && Arc::ptr_eq(&self.layout, &other.layout)
            && (&self.border, self.counts) == (&other.border, other.counts)
    }
}

impl Piece {
    /// Sums over frames of a trial; `own` are the controls from `first` on.
    fn sum(&mut self, shared: &Shared, (trial, frames): (usize, Range<usize>), first: usize, own: &mut BandPart) {
        let Self { work, beyond, corner } = self;
        let (n, rotors) = (shared.problem.layout.dofs(), &shared.problem.layout.rotors);
        let p = shared.parameters.trajectories[trial].bandwidth();
        beyond.reshape(n, p, p, shared.border.columns);
        let mut beyond = beyond.parts_mut(&[p]);
        let mut targets = Targets { own: own.reborrow(), beyond: beyond.swap_remove(0) };
        corner.clear();
        let mut column = vec![0.0; n];
        for frame in frames {
            work.linearise(shared, trial, frame, corner);
            let first = work.weights.first - first;
            work.gradient.iter_mut().for_each(|g| *g = -*g);
            for k in 0..work.weights.count {
                let (part, at) = targets.of(first + k);
                add_weighted(part.rhs_mut(at), &work.gradient, work, k, rotors);
                if shared.border.columns > 0 {
                    add_border(part, at, shared, work, k);
                }
            }
            // A_ab += S_aᵀ·H·S_b, column by column of S_b.
            for b in 0..work.weights.count {
                let (part, at) = targets.of(first + b);
                for c in 0..n {
                    weighted_column(&mut column, work, b, c, rotors);
                    for a in b..work.weights.count {
                        add_weighted(part.column_mut(at + a - b, at, c), &column, work, a, rotors);
                    }
                }
            }
        }
    }
}

/// Where a piece adds to.
struct Targets<'a> {
    own: BandPart<'a>,
    beyond: BandPart<'a>,
}

impl<'a> Targets<'a> {
    /// Where a control is, counted from the piece's first.
    fn of(&mut self, control: usize) -> (&mut BandPart<'a>, usize) {
        match control.checked_sub(self.own.blocks()) {
            None => (&mut self.own, control),
            Some(behind) => (&mut self.beyond, behind),
        }
    }
}

/// `E_k += S_kᵀ·cross` for control `k` of a frame, which is control `at` of `part`, row by row.
fn add_border(part: &mut BandPart, at: usize, shared: &Shared, work: &FrameWork, k: usize) {
    let (n, columns) = (work.gradient.len(), shared.border.columns);
    let layout = &shared.problem.layout;
    let mut add = |to: usize, from: usize, weight: f64| {
        let row = &work.cross[from * columns..(from + 1) * columns];
        for range in &shared.touched[from] {
            let (panel, start) = (range.start / PANEL, range.start % PANEL);
            let to = part.border_mut(at * n + to, panel, start..start + range.len());
            for (t, x) in to.iter_mut().zip(&row[range.clone()]) {
                *t += weight * x;
            }
        }
    };
    for j in 0..layout.scalars() {
        add(j, j, work.weights.value[k]);
    }
    for (r, &at) in layout.rotors.iter().enumerate() {
        for i in 0..3 {
            for j in 0..3 {
                add(at + i, at + j, work.weights.rotors[r][k][(j, i)]);
            }
        }
    }
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

/// Priors on shared parameters, as far as there is room for them ([`DenseCorner::gradient`], [`DenseCorner::zeros`]).
pub(super) fn shared_priors(shared: &Shared, corner: &mut DenseCorner) {
    let (problem, parameters, border) = (shared.problem, shared.parameters, &shared.border);
    let priors = &problem.priors;
    let columns = corner.gradient.len();
    let mut scalar = |at: Option<usize>, (cost, gradient, curvature): (f64, f64, f64)| {
        corner.cost += cost;
        if let Some(at) = at.filter(|_| columns > 0) {
            corner.gradient[at] += gradient;
            corner.lower(at, at, curvature);
        }
    };
    if border.scales.is_some() {
        for (g, &(mean, sd)) in priors.scales.iter().enumerate() {
            scalar(border.scales.map(|s| s + g), gaussian::evaluate(parameters.scales[g], mean, sd));
        }
    }
    for ((o, at), sd) in parameters.offsets.iter().zip(&border.offsets).zip(&priors.offset_sd) {
        if let Some(at) = at {
            for i in 0..3 {
                scalar(Some(at + i), gaussian::evaluate(o[i], 0.0, *sd));
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
                        corner.lower(at + i, at + j, m.information[(i, j)]);
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
                    corner.lower(row, column, information[(i, j)]);
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
                    corner.lower(at + g, at + h, curvature * a * b);
                }
            }
        }
    }
}
