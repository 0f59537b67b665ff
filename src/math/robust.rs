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
        /// Degrees of freedom; 4–10 suit detectors.
        dof: f64,
    },
    /// A Student t for detections of the keypoint, and a small constant density for those of something else:
    /// `ρ = −2·ln((e^{−ρ_t/2} + κ) / (1 + κ))`. A detection far out pulls no more at all.
    Contaminated {
        /// Degrees of freedom of the t.
        dof: f64,
        /// Density κ of the others relative to the peak of the t: 10⁻⁴ makes a detection six standard deviations out as likely the one as the other.
        kappa: f64,
    },
}

impl RobustLoss {
    /// `ρ'(s)`: the weight of an observation.
    pub fn weight(self, s: f64) -> f64 {
        match self {
            Self::Gaussian => 1.0,
            Self::StudentT { dof } => (dof + 2.0) / (dof + s),
            Self::Contaminated { dof, .. } => (dof + 2.0) / (dof + s) * self.membership(s),
        }
    }

    /// Probability that an observation is one of the keypoint at all.
    pub fn membership(self, s: f64) -> f64 {
        match self {
            Self::Gaussian | Self::StudentT { .. } => 1.0,
            Self::Contaminated { dof, kappa } => {
                let inlier = density(s, dof);
                inlier / (inlier + kappa)
            }
        }
    }

    /// `(ρ(s), ρ'(s))`.
    pub fn evaluate(self, s: f64) -> (f64, f64) {
        match self {
            Self::Gaussian => (s, 1.0),
            Self::StudentT { dof } => ((dof + 2.0) * (s / dof).ln_1p(), self.weight(s)),
            Self::Contaminated { dof, kappa } => {
                let inlier = density(s, dof);
                let rho = -2.0 * ((inlier + kappa) / (1.0 + kappa)).ln();
                (rho, (dof + 2.0) / (dof + s) * inlier / (inlier + kappa))
            }
        }
    }
}

/// Density of the two-dimensional t relative to its peak, `(1 + s/dof)^(−(dof + 2)/2)`. Evaluated for every detection in every iteration: a
/// power by multiplication where the degrees of freedom allow it.
fn density(s: f64, dof: f64) -> f64 {
    let (base, power) = (1.0 + s / dof, 0.5 * (dof + 2.0));
    if power.fract() == 0.0 && power <= 16.0 { base.powi(power as i32).recip() } else { base.powf(-power) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weight_is_the_derivative() {
        let contaminated = RobustLoss::Contaminated { dof: 6.0, kappa: 1e-3 };
        let odd = RobustLoss::Contaminated { dof: 7.0, kappa: 1e-3 };
        for loss in [RobustLoss::Gaussian, RobustLoss::StudentT { dof: 4.0 }, contaminated, odd] {
            for s in [1e-3, 0.5, 3.0, 100.0] {
                // Rounding of the logarithm limits the difference at small s: 1e-16/h.
                let h = 1e-4 * s;
                let d = (loss.evaluate(s + h).0 - loss.evaluate(s - h).0) / (2.0 * h);
                assert!((d - loss.evaluate(s).1).abs() < 1e-6 * (1.0 + d), "{loss:?} {s} {d}");
                assert!((loss.weight(s) - loss.evaluate(s).1).abs() < 1e-14);
            }
        }
    }
}
