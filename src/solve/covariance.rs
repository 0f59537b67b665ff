//! Posterior standard deviations: the inverse of the normal matrix, where the band and the border reach.

use super::linearise::{Workspace, linearise_in};
use super::problem::{BorderLayout, Information, Parameters, Problem};
use crate::math::arrow::{NonPositivePivot, Part};
use crate::math::border::Border;
use crate::math::dense;
use crate::trajectory::LocalTrajectory;
use nalgebra::Matrix3;
use rayon::prelude::*;

/// Uncertainty of everything.
#[derive(Debug, Clone)]
pub struct Uncertainty {
    /// Variance of each degree of freedom, `[trial][frame][dof]`.
    pub variances: Vec<Vec<Vec<f64>>>,
    /// Covariance of each rotor's left tangent, `[trial][frame][rotor]`, 3×3, rad².
    pub rotors: Vec<Vec<Vec<Matrix3<f64>>>>,
    /// Covariance of the shared parameters, column-major.
    pub shared: Vec<f64>,
    /// Where each stands in it.
    pub border: BorderLayout,
}

impl Uncertainty {
    /// Variance of shared parameter `i`.
    pub fn shared_variance(&self, i: usize) -> f64 {
        self.shared[i * self.border.columns + i]
    }
}

/// A variance this many times what it would be if all else were known is rounding: nothing holds the parameter, and that the matrix could be factored is luck.
const LOOSE: f64 = 1e11;

/// Posterior covariances at a solution: undamped, losses with their mean curvature, detections counted for as many as they are worth.
///
/// # Errors
/// When the normal matrix is not positive definite: something is neither observed nor held by a prior.
pub fn uncertainty(problem: &Problem, parameters: &Parameters) -> Result<Uncertainty, NonPositivePivot> {
    uncertainty_in(&mut Workspace::default(), problem, parameters)
}

/// The same in the memory of a solver.
///
/// # Errors
/// As [`uncertainty`].
pub fn uncertainty_in(
    workspace: &mut Workspace,
    problem: &Problem,
    parameters: &Parameters,
) -> Result<Uncertainty, NonPositivePivot> {
    let border = problem.border();
    let n = problem.layout.dofs();
    let here = linearise_in(workspace, problem, &problem.free, parameters, Information::Posterior);
    let diagonals: Vec<Vec<f64>> = here
        .arrow
        .bands
        .iter()
        .map(|b| (0..b.matrix.order()).map(|r| b.matrix.at(r / n, r / n, r % n, r % n)).collect())
        .collect();
    let covariance = here.arrow.factor()?.into_covariance();
    for (trial, (diagonal, band)) in diagonals.iter().zip(&covariance.bands).enumerate() {
        let loose = |r: usize| {
            let through: f64 = band.through_border.row(r).flatten().map(|x| x * x).sum();
            let variance = band.inside.at(r / n, r / n, r % n, r % n) + through;
            let times = variance * diagonal[r];
            times.is_nan() || times >= LOOSE
        };
        if let Some(index) = (0..diagonal.len()).find(|&r| loose(r)) {
            return Err(NonPositivePivot { place: Part::Band(trial), index });
        }
    }
    let shared = Information::Posterior.weight_of_shared_priors(problem);
    let layout = &problem.layout;
    let columns = border.columns;
    let (mut variances, mut rotors) = (Vec::new(), Vec::new());
    for ((trial, trajectory), band) in problem.trials.iter().zip(&parameters.trajectories).zip(&covariance.bands) {
        let frames: Vec<(Vec<f64>, Vec<Matrix3<f64>>)> = trial
            .times
            .par_iter()
            .map(|&t| {
                let mut w = layout.weights();
                trajectory.weights(t, &mut w);
                let mut variance = vec![0.0; n];
                let mut through = vec![0.0; columns];
                // Element (i, j) of the controls' covariance, band only, blocks in either order.
                let inside = |a: usize, b: usize, i: usize, j: usize| {
                    if a >= b {
                        band.inside.at(w.first + a, w.first + b, i, j)
                    } else {
                        band.inside.at(w.first + b, w.first + a, j, i)
                    }
                };
                for (j, v) in variance[..layout.scalars()].iter_mut().enumerate() {
                    for a in 0..w.count {
                        for b in 0..w.count {
                            *v += w.value[a] * w.value[b] * inside(a, b, j, j);
                        }
                    }
                    combine(
                        &band.through_border,
                        &mut through,
                        (0..w.count).map(|a| ((w.first + a) * n + j, w.value[a])),
                    );
                    *v += shared * dense::dot(&through, &through);
                }
                let mut blocks = Vec::with_capacity(layout.rotors.len());
                for (r, &at) in layout.rotors.iter().enumerate() {
                    let mut m = Matrix3::zeros();
                    for a in 0..w.count {
                        for b in 0..w.count {
                            let block = Matrix3::from_fn(|i, j| inside(a, b, at + i, at + j));
                            m += w.rotors[r][a] * block * w.rotors[r][b].transpose();
                        }
                    }
                    let rows: [Vec<f64>; 3] = std::array::from_fn(|i| {
                        let weights = |a: usize| (0..3).map(move |j| (a, j));
                        let terms = (0..w.count).flat_map(weights);
                        let mut row = vec![0.0; columns];
                        combine(
                            &band.through_border,
                            &mut row,
                            terms.map(|(a, j)| ((w.first + a) * n + at + j, w.rotors[r][a][(i, j)])),
                        );
                        row
                    });
                    m += shared * Matrix3::from_fn(|i, j| dense::dot(&rows[i], &rows[j]));
                    for i in 0..3 {
                        variance[at + i] = m[(i, i)];
                    }
                    blocks.push(m);
                }
                (variance, blocks)
            })
            .collect();
        let (v, r) = frames.into_iter().unzip();
        variances.push(v);
        rotors.push(r);
    }
    let shared = covariance.border.iter().map(|v| shared * v).collect();
    Ok(Uncertainty { variances, rotors, shared, border })
}

/// `Σ weight·(row of the border)`.
fn combine(border: &Border, out: &mut [f64], terms: impl Iterator<Item = (usize, f64)>) {
    out.fill(0.0);
    for (row, weight) in terms {
        for (o, x) in out.iter_mut().zip(border.row(row).flatten()) {
            *o += weight * x;
        }
    }
}
