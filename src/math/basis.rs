//! Uniform B-splines: the weights of the control points that a time touches.
//!
//! A [`Knots`] covers an interval with equal spans of length `spacing`. In span `i`, at the relative place `x ∈ [0, 1]`,
//! controls `i … i + degree` have the weights below (cubic: de Boor 1978, chapter IX; the weights are non-negative and add to 1).
//! Degree 0 makes every frame its own control: frames independent of each other.

use serde::{Deserialize, Serialize};

/// Controls a time can touch.
pub const MAX_SUPPORT: usize = 4;

/// Degree of the spline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Degree {
    /// Piecewise constant: one control per frame, used where frames are to be independent.
    Constant,
    /// C² piecewise cubic.
    Cubic,
}

impl Degree {
    /// The number.
    pub fn value(self) -> usize {
        match self {
            Self::Constant => 0,
            Self::Cubic => 3,
        }
    }

    /// Controls that a time touches.
    pub fn support(self) -> usize {
        self.value() + 1
    }
}

/// A uniform knot sequence over `[start, start + spans·spacing]`, seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Knots {
    /// Degree of the basis.
    pub degree: Degree,
    /// First knot inside the interval, seconds.
    pub start: f64,
    /// Length of a span, seconds.
    pub spacing: f64,
    /// Number of spans.
    pub spans: usize,
}

/// Where a time falls, and the weights there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Support {
    /// First control touched; the others follow.
    pub first: usize,
    /// Weights of the controls: value.
    pub value: [f64; MAX_SUPPORT],
    /// First derivative in time, 1/s.
    pub rate: [f64; MAX_SUPPORT],
    /// Second derivative in time, 1/s².
    pub acceleration: [f64; MAX_SUPPORT],
    /// Cumulative weights `b̃ⱼ = Σ_{i≥j} bᵢ` and their first two derivatives, as cumulative splines on groups want them.
    pub cumulative: [[f64; MAX_SUPPORT]; 3],
}

impl Knots {
    /// Cubic knots about `spacing` apart that cover `frames` samples at `rate_hz`, the first at time 0.
    ///
    /// The spacing is shortened so that the spans fill the interval exactly.
    pub fn cubic(frames: usize, rate_hz: f64, spacing: f64) -> Self {
        let length = (frames.saturating_sub(1)) as f64 / rate_hz;
        let spans = ((length / spacing).ceil() as usize).max(1);
        let spacing = if length > 0.0 { length / spans as f64 } else { spacing };
        Self { degree: Degree::Cubic, start: 0.0, spacing, spans }
    }

    /// One control per frame.
    pub fn independent(frames: usize, rate_hz: f64) -> Self {
        Self { degree: Degree::Constant, start: -0.5 / rate_hz, spacing: 1.0 / rate_hz, spans: frames }
    }

    /// Number of control points.
    pub fn controls(&self) -> usize {
        self.spans + self.degree.value()
    }

    /// Half bandwidth of the normal matrix, in controls.
    pub fn bandwidth(&self) -> usize {
        self.degree.value()
    }

    /// Time at which control `k` weighs most (its Greville abscissa), clamped to the interval, seconds.
    pub fn control_time(&self, k: usize) -> f64 {
        match self.degree {
            Degree::Constant => self.start + (k as f64 + 0.5) * self.spacing,
            Degree::Cubic => (self.start + (k as f64 - 1.0) * self.spacing)
                .clamp(self.start, self.start + self.spans as f64 * self.spacing),
        }
    }

    /// Span that holds time `t`; outside the interval, the nearest one (the polynomial there is continued).
    pub fn span(&self, t: f64) -> usize {
        let s = ((t - self.start) / self.spacing).floor();
        if s > 0.0 { (s as usize).min(self.spans - 1) } else { 0 }
    }

    /// Weights at time `t`, seconds.
    pub fn support(&self, t: f64) -> Support {
        let first = self.span(t);
        let x = (t - self.start) / self.spacing - first as f64;
        let (value, rate, acceleration) = match self.degree {
            Degree::Constant => ([1.0, 0.0, 0.0, 0.0], [0.0; 4], [0.0; 4]),
            Degree::Cubic => {
                let y = 1.0 - x;
                let (h, h2) = (1.0 / self.spacing, 1.0 / (self.spacing * self.spacing));
                (
                    [
                        y * y * y / 6.0,
                        (x * x * (3.0 * x - 6.0) + 4.0) / 6.0,
                        (y * y * (3.0 * y - 6.0) + 4.0) / 6.0,
                        x * x * x / 6.0,
                    ],
                    [-0.5 * y * y * h, x * (1.5 * x - 2.0) * h, -y * (1.5 * y - 2.0) * h, 0.5 * x * x * h],
                    [y * h2, (3.0 * x - 2.0) * h2, (3.0 * y - 2.0) * h2, x * h2],
                )
            }
        };
        let accumulate = |b: &[f64; 4]| {
            let c3 = b[3];
            let c2 = b[2] + c3;
            let c1 = b[1] + c2;
            [b[0] + c1, c1, c2, c3]
        };
        let cumulative = [accumulate(&value), accumulate(&rate), accumulate(&acceleration)];
        Support { first, value, rate, acceleration, cumulative }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn weights_add_to_one_and_are_derivatives_of_each_other(t in -0.5..10.5f64) {
            let k = Knots::cubic(301, 30.0, 0.07);
            let s = k.support(t);
            prop_assert!((s.value.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            prop_assert!(s.rate.iter().sum::<f64>().abs() < 1e-9 / k.spacing);
            // Inside one span the basis is a cubic, so central differences err by h²·f'''/6 ≤ 1e-10/spacing³.
            let h = 1e-5;
            let (a, b) = (k.support(t - h), k.support(t + h));
            if a.first == s.first && b.first == s.first {
                for j in 0..4 {
                    let d = (b.value[j] - a.value[j]) / (2.0 * h);
                    let dd = (b.rate[j] - a.rate[j]) / (2.0 * h);
                    prop_assert!((d - s.rate[j]).abs() < 1e-10 / k.spacing.powi(3));
                    prop_assert!((dd - s.acceleration[j]).abs() < 1e-9 / k.spacing.powi(3));
                }
            }
        }
    }

    #[test]
    fn spline_is_twice_continuous_across_a_knot() {
        let k = Knots::cubic(101, 100.0, 0.1);
        let controls: Vec<f64> = (0..k.controls()).map(|i| ((i * i) as f64).sin()).collect();
        let at = |t: f64, d: usize| -> f64 {
            let s = k.support(t);
            let w = [s.value, s.rate, s.acceleration][d];
            (0..4).map(|j| w[j] * controls[s.first + j]).sum()
        };
        for d in 0..3 {
            let (before, after) = (at(0.3 - 1e-12, d), at(0.3 + 1e-12, d));
            // The third derivative is at most about 6/spacing³ = 6e3, times 2e-12.
            assert!((before - after).abs() < 1e-7, "derivative {d}: {before} {after}");
        }
    }

    #[test]
    fn independent_frames_each_have_their_control() {
        let k = Knots::independent(7, 60.0);
        for f in 0..7 {
            let s = k.support(f as f64 / 60.0);
            assert_eq!((s.first, s.value[0]), (f, 1.0));
        }
    }
}
