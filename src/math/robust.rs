//! Robust losses of a normalised residual.
//!
//! Every loss is a function `ρ(s)` of `s = ‖r/σ‖²`, with `ρ(s) ≈ s` near 0, so that the cost of an observation of
//! weight `w` is `½·w·ρ(s)` and its share of the normal equations is weighted with `w·ρ'(s)` (iteratively reweighted
//! least squares: Holland & Welsch 1977; the gradient is exact). Its share of the Hessian is the curvature of [`RobustLoss::expand`].

use super::lanes::{self, Row, TILE, Wide};
use pulp::Simd;
use serde::{Deserialize, Serialize};

/// The choice of loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RobustLoss {
    /// `ρ = s`: Gaussian noise and nothing else.
    Gaussian,
    /// Negative log likelihood of a Student t with `dof` degrees of freedom in `DIM` dimensions:
    /// `ρ = (dof + DIM)·ln(1 + s/dof)`. Heavy tails: a gross outlier's pull falls as 1/distance.
    StudentT {
        /// Degrees of freedom; 4–10 suit detectors.
        dof: f64,
    },
    /// Huber's: `ρ = s` up to `√s = delta`, `2·delta·√s − delta²` beyond, where it pulls with a constant force.
    Huber {
        /// Where it becomes a cone.
        delta: f64,
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
    /// `ρ'(s)`: the weight of an observation of `DIM` components.
    pub fn weight<const DIM: usize>(self, s: f64) -> f64 {
        match self {
            Self::Gaussian => 1.0,
            Self::Huber { delta } => (delta / s.sqrt()).min(1.0),
            Self::StudentT { dof } => (dof + DIM as f64) / (dof + s),
            Self::Contaminated { dof, .. } => (dof + DIM as f64) / (dof + s) * self.membership::<DIM>(s),
        }
    }

    /// Probability that an observation is one of the keypoint at all.
    pub fn membership<const DIM: usize>(self, s: f64) -> f64 {
        match self {
            Self::Gaussian | Self::Huber { .. } | Self::StudentT { .. } => 1.0,
            Self::Contaminated { dof, kappa } => {
                let inlier = density::<DIM>(s, dof);
                inlier / (inlier + kappa)
            }
        }
    }

    /// `(ρ(s), ρ'(s))`.
    #[inline]
    pub fn evaluate<const DIM: usize>(self, s: f64) -> (f64, f64) {
        let (rho, slope, _) = self.expand::<DIM>(s);
        (rho, slope)
    }

    /// `ρ(s)`, `ρ'(s)` and the curvature of `½ρ(‖r‖²)` in `r` of `DIM` components, the mean over all directions: `ρ' + 2/DIM·s·ρ''`.
    ///
    /// Over the density that the loss belongs to, its mean is the Fisher information, which that of `ρ'` alone exceeds (for a t of 10 degrees of freedom by a sixth: steps would
    /// be as much too short, and stated variances too small). It is not let below half of `ρ'`, the curvature of a parabola that touches the loss from above: a
    /// step with half of that still does not climb.
    #[inline]
    pub fn expand<const DIM: usize>(self, s: f64) -> (f64, f64, f64) {
        let dimensions = DIM as f64;
        let share = 2.0 / dimensions;
        let curvature = |slope: f64, second: f64| (slope + share * s * second).max(0.5 * slope);
        match self {
            Self::Gaussian => (s, 1.0, 1.0),
            Self::Huber { delta } if s <= delta * delta => (s, 1.0, 1.0),
            Self::Huber { delta } => {
                let slope = delta / s.sqrt();
                (2.0 * delta * s.sqrt() - delta * delta, slope, curvature(slope, -0.5 * slope / s))
            }
            Self::StudentT { dof } => {
                let slope = (dof + dimensions) / (dof + s);
                ((dof + dimensions) * (s / dof).ln_1p(), slope, curvature(slope, -slope / (dof + s)))
            }
            Self::Contaminated { dof, kappa } => {
                let inlier = density::<DIM>(s, dof);
                let rho = -2.0 * ((inlier + kappa) / (1.0 + kappa)).ln();
                let (of_t, membership) = ((dof + dimensions) / (dof + s), inlier / (inlier + kappa));
                let slope = of_t * membership;
                let second = -slope / (dof + s) - 0.5 * of_t * slope * (1.0 - membership);
                (rho, slope, curvature(slope, second))
            }
        }
    }

    /// [`RobustLoss::expand`] of numbers side by side: `[ρ, ρ', curvature]`, the last only with `CURVATURE`, else anything. Logarithms are [`lanes::ln_row`]'s, so that the last digits may differ.
    ///
    /// Belongs inside [`pulp::WithSimd`], as everything that is taken in there.
    #[inline(always)]
    pub fn expand_rows<const DIM: usize, const CURVATURE: bool, S: Simd>(
        self,
        simd: S,
        s: &Row<f64>,
        out: &mut [Row<f64>; 3],
    ) {
        let dimensions = DIM as f64;
        let share = 2.0 / dimensions;
        let [rho, slope, mean] = out;
        let curvature = |slope: f64, bend: f64| {
            let (sum, half) = (slope + bend, 0.5 * slope);
            if sum > half { sum } else { half }
        };
        match self {
            Self::Gaussian => (*rho, *slope, *mean) = (*s, Row::filled(1.0), Row::filled(1.0)),
            Self::Huber { delta } => {
                for i in 0..TILE {
                    let (s, root) = (s.0[i], s.0[i].sqrt());
                    let near = s <= delta * delta;
                    rho.0[i] = if near { s } else { 2.0 * delta * root - delta * delta };
                    slope.0[i] = if near { 1.0 } else { delta / root };
                    if CURVATURE {
                        mean.0[i] = if near { 1.0 } else { curvature(delta / root, -0.5 * share * delta / root) };
                    }
                }
            }
            Self::StudentT { dof } => {
                let mut base = Row::filled(1.0);
                for i in 0..TILE {
                    base.0[i] += s.0[i] / dof;
                }
                let ln = lanes::ln_row(simd, &base);
                for i in 0..TILE {
                    let s = s.0[i];
                    slope.0[i] = (dof + dimensions) / (dof + s);
                    rho.0[i] = (dof + dimensions) * ln.0[i];
                    if CURVATURE {
                        mean.0[i] = curvature(slope.0[i], -share * s * slope.0[i] / (dof + s));
                    }
                }
            }
            Self::Contaminated { dof, kappa } => {
                let power = 0.5 * (dof + dimensions);
                let whole = power.fract() == 0.0 && power <= 16.0;
                let [one, half, kappa, all] = Wide::splats(simd, [1.0, 0.5, kappa, 1.0 / (1.0 + kappa)]);
                let [at_centre, per_dof, share] = Wide::splats(simd, [(dof + dimensions) / dof, 1.0 / dof, share]);
                // The density relative to its peak is a power of 1/(1 + s/dof); `rho` and `mean` hold what is on its way.
                let (density, bend) = (&mut *rho, &mut *mean);
                for i in 0..TILE {
                    density.0[i] = 1.0 / (1.0 + s.0[i] * (1.0 / dof));
                }
                let root = *density;
                if !whole {
                    density.0.iter_mut().for_each(|x| *x = x.powf(power));
                }
                for l in 0..lanes::registers::<S>() {
                    let root = Wide::of(simd, &root, l);
                    let inlier = if whole { root.powi(power as u32) } else { Wide::of(simd, density, l) };
                    let mixed = inlier + kappa;
                    (mixed * all).to(density, l);
                    let (of_t, membership) = (at_centre * root, inlier / mixed);
                    let of_mixture = of_t * membership;
                    of_mixture.to(slope, l);
                    if CURVATURE {
                        let second = -of_mixture * root.mul_add(per_dof, half * of_t * (one - membership));
                        (share * Wide::of(simd, s, l) * second).to(bend, l);
                    }
                }
                let ln = lanes::ln_row(simd, density);
                for i in 0..TILE {
                    rho.0[i] = -2.0 * ln.0[i];
                    if CURVATURE {
                        mean.0[i] = curvature(slope.0[i], mean.0[i]);
                    }
                }
            }
        }
    }
}

/// Density of the t relative to its peak, `(1 + s/dof)^(−(dof + DIM)/2)`. Evaluated for every detection in every iteration: a
/// power by multiplication where the degrees of freedom allow it.
fn density<const DIM: usize>(s: f64, dof: f64) -> f64 {
    let (base, power) = (1.0 + s / dof, 0.5 * (dof + DIM as f64));
    if power.fract() == 0.0 && power <= 16.0 { base.powi(power as i32).recip() } else { base.powf(-power) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weight_is_the_derivative() {
        let contaminated = RobustLoss::Contaminated { dof: 6.0, kappa: 1e-3 };
        let odd = RobustLoss::Contaminated { dof: 7.0, kappa: 1e-3 };
        let huber = RobustLoss::Huber { delta: 1.5 };
        for loss in [RobustLoss::Gaussian, huber, RobustLoss::StudentT { dof: 4.0 }, contaminated, odd] {
            for s in [1e-3, 0.5, 3.0, 100.0] {
                // Rounding of the logarithm limits the difference at small s: 1e-16/h.
                let h = 1e-4 * s;
                let d = (loss.evaluate::<2>(s + h).0 - loss.evaluate::<2>(s - h).0) / (2.0 * h);
                assert!((d - loss.evaluate::<2>(s).1).abs() < 1e-6 * (1.0 + d), "{loss:?} {s} {d}");
                assert!((loss.weight::<2>(s) - loss.evaluate::<2>(s).1).abs() < 1e-14);
                let second = (loss.evaluate::<2>(s + h).1 - loss.evaluate::<2>(s - h).1) / (2.0 * h);
                let curvature = (d + s * second).max(0.5 * d);
                assert!((curvature - loss.expand::<2>(s).2).abs() < 1e-6 * (1.0 + d), "{loss:?} {s} {curvature}");
            }
        }
    }

    struct Expand(RobustLoss, Row<f64>);

    impl pulp::WithSimd for Expand {
        type Output = [Row<f64>; 3];
        fn with_simd<S: Simd>(self, simd: S) -> [Row<f64>; 3] {
            let mut out = [Row::filled(0.0); 3];
            self.0.expand_rows::<2, true, S>(simd, &self.1, &mut out);
            let mut without = [Row::filled(0.0); 3];
            self.0.expand_rows::<2, false, S>(simd, &self.1, &mut without);
            assert_eq!(without[..2], out[..2]);
            out
        }
    }

    /// Roundings: of a handful of operations, and of the logarithm in units of 1.
    #[test]
    fn side_by_side_they_are_the_same() {
        let losses = [
            RobustLoss::Gaussian,
            RobustLoss::Huber { delta: 1.5 },
            RobustLoss::StudentT { dof: 4.0 },
            RobustLoss::Contaminated { dof: 6.0, kappa: 1e-3 },
            RobustLoss::Contaminated { dof: 7.0, kappa: 1e-3 },
        ];
        let s = Row(std::array::from_fn(|i| [0.0, 1e-6, 0.3, 2.25, 9.0, 400.0, 1e6, 1e12][i % 8] * (1.0 + i as f64)));
        for loss in losses {
            let rows = pulp::Arch::new().dispatch(Expand(loss, s));
            for i in 0..TILE {
                let (rho, slope, mean) = loss.expand::<2>(s.0[i]);
                for (row, expected) in rows.iter().zip([rho, slope, mean]) {
                    assert!((row.0[i] - expected).abs() <= 1e-14 * (expected.abs() + 0.1), "{loss:?} {} {i}", s.0[i]);
                }
            }
        }
    }

    /// Fisher information of the location of a `d`-dimensional t with ν degrees of freedom: (ν + d)/(ν + d + 2) of its precision (Lange, Little & Taylor 1989, *Robust statistical
    /// modeling using the t distribution*, appendix B).
    #[test]
    fn curvature_is_the_fisher_information_on_average() {
        let dof = 20.0;
        let loss = RobustLoss::StudentT { dof };
        let (mut sum, mut mass) = (0.0, 0.0);
        // s/2 has an F distribution, density (1 + s/ν)^(−(ν + 2)/2); beyond s = ν the bound from below sets in, where less than 10⁻³ of the mass is.
        for i in 0..200_000 {
            let s = (i as f64 + 0.5) * 1e-3;
            let p = density::<2>(s, dof);
            sum += p * loss.expand::<2>(s).2;
            mass += p;
        }
        let expected = (dof + 2.0) / (dof + 4.0);
        assert!((sum / mass - expected).abs() < 1e-3, "{} against {expected}", sum / mass);
    }
}
