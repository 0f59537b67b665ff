//! Noise levels and smoothness, estimated from the data between rounds of minimisation.
//!
//! **Noise.** σ per camera and keypoint is the scale of a two-dimensional Student t, by its EM step
//! `σ² = Σ w·u·‖e‖² / (2·Σ w·m)`, `u = ρ'(‖e‖²/σ²)` and `m` the probability that a detection is one of the keypoint; cells with few detections are drawn towards a
//! common level.
//!
//! **Smoothness.** λ_j of degree of freedom j maximises the evidence of the data (MacKay 1992, *Bayesian interpolation*):
//! `λ_j = γ_j / Σ_k r_k²` (`r_k` and `P_j` scaled to one spacing of the controls where trials differ in it), where `γ_j = rank − λ_j·tr(H⁻¹P_j)` is the number of differences that the data determine. The trace comes from
//! the inverse's blocks inside the band, shared parameters held.

use super::linearise::{Workspace, linearise_in};
use super::problem::{Free, Information, Parameters, Problem};
use crate::math::arrow::{EliminatedBands, SchurComplement};
use crate::math::{dense, median};
use crate::residual::smoothness;
use crate::skeleton::{GROUND, Motion, Operation};
use crate::trajectory::LocalTrajectory;

/// Bounds and weights of the estimates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EvidenceOptions {
    /// Smallest noise level, pixels.
    pub min_sigma: f64,
    /// Largest noise level, pixels.
    pub max_sigma: f64,
    /// Detections' worth of belief in the level that a cell is drawn to.
    pub pooling: f64,
    /// Whether that level is its camera's × its keypoint's, or that of all cells together. A camera that is free to move must not explain itself as noisy instead: its
    /// misfit would lower its own weight, and what its calibration has lost would stay lost.
    pub own_levels: bool,
    /// Differences' worth of belief in the starting smoothness.
    pub smoothness_weight: f64,
}

impl EvidenceOptions {
    /// For fits that free cameras. Errors of a detector last for many frames, so that a cell's hundred detections are worth a handful: hence the strong pull.
    pub fn with_free_cameras() -> Self {
        Self { pooling: 2000.0, own_levels: false, ..Self::default() }
    }
}

impl Default for EvidenceOptions {
    fn default() -> Self {
        Self { min_sigma: 0.3, max_sigma: 60.0, pooling: 20.0, own_levels: true, smoothness_weight: 2.0 }
    }
}

/// One EM step for the noise levels at the given parameters, applied three times.
pub fn update_noise(problem: &mut Problem, parameters: &Parameters, options: &EvidenceOptions) {
    let (cameras, keypoints) = (problem.rig.len(), problem.hyper.keypoints);
    let cells = cameras * keypoints;
    let residuals = problem.pixel_residuals(parameters);
    let loss = problem.hyper.pixel_loss;
    for _ in 0..3 {
        let mut levels = problem.hyper.sigmas().to_vec();
        let mut weight = vec![0.0; cells];
        let mut sum = vec![0.0; cells];
        for trial in &residuals {
            for r in trial {
                let cell = r.camera as usize * keypoints + r.keypoint as usize;
                let sigma = levels[cell];
                let squared_px = r.error_px.norm_squared();
                let s = squared_px / (sigma * sigma);
                weight[cell] += r.weight * loss.membership::<2>(s);
                sum[cell] += 0.5 * r.weight * loss.weight::<2>(s) * squared_px;
            }
        }
        let level = |cells: &mut dyn Iterator<Item = usize>| -> Option<f64> {
            let (mut w, mut s) = (0.0, 0.0);
            for c in cells {
                w += weight[c];
                s += sum[c];
            }
            (w > 0.0).then(|| s / w)
        };
        let Some(all) = level(&mut (0..cells)) else { return };
        let by_camera: Vec<f64> =
            (0..cameras).map(|c| level(&mut (c * keypoints..(c + 1) * keypoints)).unwrap_or(all)).collect();
        let by_keypoint: Vec<f64> =
            (0..keypoints).map(|k| level(&mut (0..cameras).map(|c| c * keypoints + k)).unwrap_or(all)).collect();
        for c in 0..cameras {
            for k in 0..keypoints {
                let cell = c * keypoints + k;
                let expected = if options.own_levels { by_camera[c] * by_keypoint[k] / all.max(1e-12) } else { all };
                let variance = (options.pooling * expected + sum[cell]) / (options.pooling + weight[cell]);
                levels[cell] = variance.sqrt().clamp(options.min_sigma, options.max_sigma);
            }
        }
        problem.hyper.set_sigma(levels);
    }
}

/// Bounds of the noise of points in space, metres: no system measures a body better than the first, and what is worse than the second is no measurement of the marker.
const POINT_SIGMA: (f64, f64) = (1e-4, 0.1);

/// Noise of a marker where the data leave nothing to tell it by, metres: skin over bone.
const UNKNOWN_NOISE: f64 = 5e-3;

/// A fit that takes more than this share of the data's numbers for itself has left nothing to tell noise by.
const ALL_TAKEN: f64 = 0.9;

/// One EM step for the noise levels of points, applied three times: of each marker, drawn to that of all with the weight of `pooling` points (infinite: one level for all, as weights
/// that somebody has set presume). Residuals are smaller than the noise by what the fit takes up, which is made good.
pub fn update_point_noise(problem: &mut Problem, parameters: &Parameters, pooling: f64) {
    let residuals = problem.point_residuals(parameters);
    let loss = problem.hyper.point_loss;
    let frames: usize = problem.trials.iter().map(|t| t.times.len()).sum();
    let taken =
        (problem.layout.dofs() * frames) as f64 / problem.hyper.smoothing_frames + problem.border().columns as f64;
    let share = taken / (3 * residuals.iter().map(Vec::len).sum::<usize>()).max(1) as f64;
    if share > ALL_TAKEN {
        problem.hyper.point_sigma.fill(UNKNOWN_NOISE);
        return;
    }
    for _ in 0..3 {
        let markers = problem.markers.len();
        let (mut weight, mut sum) = (vec![0.0; markers], vec![0.0; markers]);
        for r in residuals.iter().flatten() {
            let slot = r.slot as usize;
            let s = r.error.norm_squared() / problem.hyper.point_sigma[slot].powi(2);
            weight[slot] += r.weight * loss.membership::<3>(s);
            sum[slot] += r.weight * loss.weight::<3>(s) * r.error.norm_squared() / (3.0 * (1.0 - share));
        }
        let (points, squares): (f64, f64) = (weight.iter().sum(), sum.iter().sum());
        if points <= 0.0 {
            return;
        }
        let all = squares / points;
        for (slot, sigma) in problem.hyper.point_sigma.iter_mut().enumerate() {
            let own = if pooling.is_finite() { (pooling * all + sum[slot]) / (pooling + weight[slot]) } else { all };
            *sigma = own.sqrt().clamp(POINT_SIGMA.0, POINT_SIGMA.1);
        }
    }
}

/// Files hold places on a body to no more digits than this, metres.
const OFFSET_SD_FLOOR: f64 = 1e-5;

/// What the data tell at some parameters: the normal matrix with its mean curvature, trajectories eliminated.
pub struct Observed {
    bands: EliminatedBands,
    /// On what trajectories share, if anything.
    schur: SchurComplement,
}

/// What the data tell at the given parameters of trajectories and of what is free; `None` where the system cannot be factored.
pub fn observed(
    workspace: &mut Workspace,
    problem: &Problem,
    free: &Free,
    parameters: &Parameters,
) -> Option<Observed> {
    let here = linearise_in(workspace, problem, free, parameters, Information::Observed);
    let (schur, bands) = here.arrow.eliminate(here.cost).ok()?;
    Some(Observed { bands, schur })
}

impl Observed {
    /// Gives its memory back once it is not needed any more.
    pub fn recycle(self, workspace: &mut Workspace) {
        workspace.recycle(self.bands.into_bands());
    }
}

/// The deviations of marker offsets that maximise the evidence, those together that were `believed` to be alike: `Σ‖o‖²/γ`, `γ` being the number of components that the data
/// determine, `Σ (1 − variance/prior variance)` (MacKay 1992, as for smoothness). Those of a model whose markers sit where the subject's do are small, and markers then tell scales far
/// better. Never larger than believed: segments could take any size if their markers could go anywhere. `None` where offsets are held, or the system cannot be factored. `told` is of the
/// problem's own free parameters.
pub fn offset_sd(problem: &Problem, parameters: &Parameters, told: &Observed, believed: &[f64]) -> Option<Vec<f64>> {
    let border = problem.border();
    border.offsets.iter().flatten().next()?;
    let order = told.schur.order;
    let variances = dense::inverse_diagonal(&told.schur.matrix, order)?;
    let of_slot = |sd: &f64| {
        let (mut determined, mut squares) = (0.0, 0.0);
        for (slot, first) in border.offsets.iter().enumerate() {
            let Some(first) = first.filter(|_| believed[slot] == *sd) else { continue };
            let prior = problem.priors.offset_sd[slot].powi(2);
            determined += (first..first + 3).map(|i| (1.0 - variances[i] / prior).clamp(0.0, 1.0)).sum::<f64>();
            squares += parameters.offsets[slot].norm_squared();
        }
        (squares / f64::max(determined, 1.0)).sqrt().max(OFFSET_SD_FLOOR).min(*sd)
    };
    Some(believed.iter().map(of_slot).collect())
}

/// One step of the smoothness estimate at the given parameters, at which the data told `told`. `prior` are the starting precisions. Leaves everything as it is where frames are independent.
pub fn update_smoothness(
    problem: &mut Problem,
    parameters: &Parameters,
    told: &Observed,
    prior: &[f64],
    options: &EvidenceOptions,
) {
    let layout = problem.layout.clone();
    let n = layout.dofs();
    if parameters.trajectories.iter().any(|t| t.bandwidth() < 3) {
        return;
    }
    let inverses = told.bands.inverses_inside();
    let (mut squares, mut traces, mut rank) = (vec![0.0; n], vec![0.0; n], 0.0);
    let d = smoothness::THIRD_DIFFERENCE;
    for (trajectory, inside) in parameters.trajectories.iter().zip(&inverses) {
        let differences = trajectory.controls() - 3;
        let share = problem.hyper.smoothness_share(trajectory.knots());
        rank += differences as f64;
        for k in 0..differences {
            for (j, trace) in traces.iter_mut().enumerate() {
                for a in 0..4 {
                    *trace += share * d[a] * d[a] * inside.at(k + a, k + a, j, j);
                    for b in 0..a {
                        *trace += 2.0 * share * d[a] * d[b] * inside.at(k + a, k + b, j, j);
                    }
                }
            }
            for j in 0..layout.scalars() {
                let r: f64 = (0..4).map(|i| d[i] * trajectory.control_scalars(k + i)[j]).sum();
                squares[j] += share * r * r;
            }
            for (r, &at) in layout.rotors.iter().enumerate() {
                let q = std::array::from_fn(|i| trajectory.control_rotation(k + i, r));
                let (e, _) = smoothness::rotation_difference(q);
                squares[at] += share * e.norm_squared();
            }
        }
    }
    let old = problem.hyper.smoothness.clone();
    let frames: usize = problem.trials.iter().map(|t| t.times.len()).sum();
    let mut windows = Vec::with_capacity(n);
    // Of `alike` degrees of freedom together.
    let mut estimate = |alike: usize, lambda: f64, trace: f64, squares: f64, prior: f64| -> f64 {
        let rank = alike as f64 * rank;
        let determined = (rank - lambda * trace).clamp(0.0, rank);
        windows.extend(std::iter::repeat_n((alike * frames) as f64 / determined.max(1.0), alike));
        // A gamma prior worth `smoothness_weight` differences of the starting variance.
        (determined + options.smoothness_weight) / (squares + options.smoothness_weight / prior)
    };
    for dofs in problem.alike(layout.scalars()) {
        let (share, first) = (problem.smoothness_share(dofs[0]), dofs[0]);
        let over = |values: &[f64]| dofs.iter().map(|&j| values[j]).sum::<f64>();
        let lambda = share * estimate(dofs.len(), old[first], over(&traces), over(&squares), prior[first] / share);
        for &j in &dofs {
            problem.hyper.smoothness[j] = lambda;
        }
    }
    for &at in &layout.rotors {
        let trace: f64 = traces[at..at + 3].iter().sum();
        let lambda = estimate(3, old[at], trace, squares[at], prior[at]);
        problem.hyper.smoothness[at..at + 3].fill(lambda);
    }
    // Differences that the data determine are what a trajectory has left of its freedom: it averages over the frames that come to each.
    problem.hyper.smoothing_frames = median(&mut windows).unwrap_or(1.0).max(1.0);
}

/// See [`Problem::smoothness_share`].
const POSITION_SHARE: f64 = 0.02;

impl Problem {
    /// The first `scalars` degrees of freedom, those together that have one smoothness: the slides of a body on ground, which are one displacement by its
    /// components, and must not be told apart by where the world's axes happen to point.
    fn alike(&self, scalars: usize) -> Vec<Vec<usize>> {
        let skeleton = self.mechanism.skeleton();
        let mut of_body = vec![Vec::new(); skeleton.bodies.len()];
        let mut pooled = vec![false; scalars];
        for (b, body) in skeleton.bodies.iter().enumerate().filter(|(b, body)| *b > 0 && body.parent == GROUND) {
            for operation in &skeleton.operations[body.operations.clone()] {
                if let Operation::TranslateAlong { coordinate: Some(c), scaled_by: None, .. } = operation
                    && let Some(j) = self.mechanism.dof_of(*c).filter(|&j| j < scalars && !pooled[j])
                {
                    pooled[j] = true;
                    of_body[b].push(j);
                }
            }
        }
        let single = (0..scalars).filter(|&j| !pooled[j]).map(|j| vec![j]);
        single.chain(of_body.into_iter().filter(|dofs| !dofs.is_empty())).collect()
    }

    /// The share of the estimated smoothness that a degree of freedom gets. Positions are in metres: a penalty worth one observation per control would, over a long trial, reward
    /// a smaller world more than any calibration can resist, while keypoints hold positions well without it.
    pub fn smoothness_share(&self, dof: usize) -> f64 {
        let coordinate = &self.mechanism.skeleton().coordinates[self.layout.coordinates[dof]];
        if dof < self.layout.scalars() && coordinate.motion == Motion::Translational { POSITION_SHARE } else { 1.0 }
    }
}
