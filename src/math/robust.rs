//! Robust losses of a normalised residual.
//!
//! Every loss is a function `ρ(s)` of `s = ‖r/σ‖²`, with `ρ(s) ≈ s` near 0, so that the cost of an observation of
//! weight `w` is `½·w·ρ(s)` and its share of the normal equations is weighted with `w·ρ'(s)` (iteratively reweighted
//! least squares: Holland & Welsch 1977; the gradient is exact, the Hessian its positive part).

use serde::{Deserialize, Serialize};

/// The choice of loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RobustLoss {
    /// `ρ = s`: Gaussian noise and nothing else.
    Gaussian,
    /// Negative log likelihood of a two-dimensional Student t with `dof` degrees of freedom:
    /// `ρ = (dof + 2)·ln(1 + s/dof)`. Heavy tails: a gross outlier's pull falls as 1/distance.
    StudentT {
        /// Degrees of freedom; 4–8 suit detectors.
        dof: f64,
    },
}

impl RobustLoss {
    /// `ρ'(s)`: the weight of an observation.
    pub fn weight(self, s: f64) -> f64 {
        match self {
            Self::Gaussian => 1.0,
            Self::StudentT { dof } => (dof + 2.0) / (dof + s),
        }
    }

    /// `(ρ(s), ρ'(s))`.
    pub fn evaluate(self, s: f64) -> (f64, f64) {
        match self {
            Self::Gaussian => (s, self.weight(s)),
            Self::StudentT { dof } => ((dof + 2.0) * (s / dof).ln_1p(), self.weight(s)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weight_is_the_derivative() {
        for loss in [RobustLoss::Gaussian, RobustLoss::StudentT { dof: 4.0 }] {
            for s in [1e-3, 0.5, 3.0, 100.0] {
                let h = 1e-6 * s;
                let d = (loss.evaluate(s + h).0 - loss.evaluate(s - h).0) / (2.0 * h);
                assert!((d - loss.evaluate(s).1).abs() < 1e-8 * (1.0 + d));
            }
        }
    }
}
