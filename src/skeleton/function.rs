//! Functions of one coordinate, with their first two derivatives.
//!
//! OpenSim's `SimmSpline` (also written `NaturalCubicSpline` and `natCubicSpline`) is *not* natural: its end conditions match the
//! third divided differences of the outer four points (Forsythe, Malcolm & Moler 1977, *Computer Methods for Mathematical
//! Computations*, §4.4, subroutine SPLINE); with two or three points it is that routine's shorter form. Outside its points it goes on straight with the end slope.

use super::Function;

/// Smallest spacing of spline points that the construction divides by, as in OpenSim.
const SMALLEST_SPACING: f64 = 1e-7;

impl Function {
    /// `x`, unchanged.
    pub const IDENTITY: Self = Self::Linear { slope: 1.0, intercept: 0.0 };

    /// OpenSim's spline through the points `(x[i], y[i])`; `x` strictly increasing.
    ///
    /// `None` where fewer than two points are given, the lengths differ, a number is not finite or `x` does not increase.
    pub fn simm_spline(x: Vec<f64>, y: Vec<f64>) -> Option<Self> {
        let n = x.len();
        if n < 2 || y.len() != n || !is_increasing(&x) || !y.iter().all(|v| v.is_finite()) {
            return None;
        }
        let (mut b, mut c, mut d) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        if n == 2 {
            let slope = (y[1] - y[0]) / (x[1] - x[0]).max(SMALLEST_SPACING);
            b.fill(slope);
            return Some(Self::SimmSpline { x, y, b, c, d });
        }
        // A tridiagonal system: `b` its diagonal, `d` its off-diagonal, `c` its right-hand side.
        let last = n - 1;
        d[0] = (x[1] - x[0]).max(SMALLEST_SPACING);
        c[1] = (y[1] - y[0]) / d[0];
        for i in 1..last {
            d[i] = (x[i + 1] - x[i]).max(SMALLEST_SPACING);
            b[i] = 2.0 * (d[i - 1] + d[i]);
            c[i + 1] = (y[i + 1] - y[i]) / d[i];
            c[i] = c[i + 1] - c[i];
        }
        b[0] = -d[0];
        b[last] = -d[last - 1];
        c[0] = 0.0;
        c[last] = 0.0;
        if n > 3 {
            let second = |i: usize| (x[i + 1] - x[i - 1]).max(SMALLEST_SPACING);
            let first_third = (c[2] / second(2) - c[1] / second(1)) / (x[3] - x[0]).max(SMALLEST_SPACING);
            let last_third = (c[last - 1] / second(last - 1) - c[last - 2] / second(last - 2))
                / (x[last] - x[last - 3]).max(SMALLEST_SPACING);
            c[0] = first_third * d[0] * d[0];
            c[last] = -last_third * d[last - 1] * d[last - 1];
        }
        for i in 1..n {
            let t = d[i - 1] / b[i - 1];
            b[i] -= t * d[i - 1];
            c[i] -= t * c[i - 1];
        }
        c[last] /= b[last];
        for i in (0..last).rev() {
            c[i] = (c[i] - d[i] * c[i + 1]) / b[i];
        }
        b[last] = (y[last] - y[last - 1]) / d[last - 1] + d[last - 1] * (c[last - 1] + 2.0 * c[last]);
        for i in 0..last {
            b[i] = (y[i + 1] - y[i]) / d[i] - d[i] * (c[i + 1] + 2.0 * c[i]);
            d[i] = (c[i + 1] - c[i]) / d[i];
            c[i] *= 3.0;
        }
        c[last] *= 3.0;
        d[last] = d[last - 1];
        Some(Self::SimmSpline { x, y, b, c, d })
    }

    /// Straight lines through the points `(x[i], y[i])`; `x` strictly increasing, at least two points.
    pub fn piecewise_linear(x: Vec<f64>, y: Vec<f64>) -> Option<Self> {
        (x.len() >= 2 && y.len() == x.len() && is_increasing(&x) && y.iter().all(|v| v.is_finite()))
            .then_some(Self::PiecewiseLinear { x, y })
    }

    /// Value at `x`.
    pub fn value(&self, x: f64) -> f64 {
        self.value_and_derivatives(x).0
    }

    /// Value, first and second derivative at `x`. At a kink the derivative is that of the piece to the right.
    pub fn value_and_derivatives(&self, x: f64) -> (f64, f64, f64) {
        match self {
            Self::Constant(value) => (*value, 0.0, 0.0),
            Self::Linear { slope, intercept } => (slope * x + intercept, *slope, 0.0),
            Self::Polynomial(coefficients) => coefficients
                .iter()
                .fold((0.0, 0.0, 0.0), |(f, df, ddf), &c| (f * x + c, df * x + f, ddf * x + 2.0 * df)),
            Self::PiecewiseLinear { x: knots, y } => {
                let i = piece(knots, x);
                let slope = (y[i + 1] - y[i]) / (knots[i + 1] - knots[i]);
                (y[i] + (x - knots[i]) * slope, slope, 0.0)
            }
            Self::SimmSpline { x: knots, y, b, c, d } => {
                let last = knots.len() - 1;
                if x < knots[0] {
                    return (y[0] + (x - knots[0]) * b[0], b[0], 0.0);
                }
                if x > knots[last] {
                    return (y[last] + (x - knots[last]) * b[last], b[last], 0.0);
                }
                let i = piece(knots, x);
                let t = x - knots[i];
                (
                    y[i] + t * (b[i] + t * (c[i] + t * d[i])),
                    b[i] + t * (2.0 * c[i] + t * 3.0 * d[i]),
                    2.0 * c[i] + 6.0 * t * d[i],
                )
            }
            Self::Multiple { factor, inner } => {
                let (f, df, ddf) = inner.value_and_derivatives(x);
                (factor * f, factor * df, factor * ddf)
            }
            Self::Composite { outer, inner } => {
                let (u, du, ddu) = inner.value_and_derivatives(x);
                let (f, df, ddf) = outer.value_and_derivatives(u);
                (f, df * du, ddf * du * du + df * ddu)
            }
        }
    }

    /// The stretch around `from`, within `limits`, over which the function stays within `range`; `None` where it is outside at `from` itself. Exact for straight lines; others are followed
    /// outwards, as far as `limits` or a hundred from `from`, in steps of a thousandth of that, and the crossings bisected.
    pub fn stays_within(&self, range: [f64; 2], from: f64, limits: [f64; 2]) -> Option<[f64; 2]> {
        const STEPS: u32 = 1000;
        const FAR: f64 = 100.0;
        let inside = |x: f64| {
            let y = self.value(x);
            range[0] <= y && y <= range[1]
        };
        if let Some((slope, intercept)) = self.as_linear().filter(|line| line.0 != 0.0) {
            let ends = range.map(|y| (y - intercept) / slope);
            let (low, high) = (ends[0].min(ends[1]).max(limits[0]), ends[0].max(ends[1]).min(limits[1]));
            return (low <= from && from <= high).then_some([low, high]);
        }
        if !inside(from) {
            return None;
        }
        let end = |limit: f64| {
            let last = limit.clamp(from - FAR, from + FAR);
            let at = |k: u32| from + (last - from) * f64::from(k) / f64::from(STEPS);
            let Some(k) = (1..=STEPS).find(|&k| !inside(at(k))) else { return limit };
            let (mut good, mut bad) = (at(k - 1), at(k));
            for _ in 0..60 {
                let middle = 0.5 * (good + bad);
                *(if inside(middle) { &mut good } else { &mut bad }) = middle;
            }
            good
        };
        Some(limits.map(end))
    }

    /// Whether this is exactly `x`: a coordinate that is itself the angle or the length, a degree of freedom.
    pub fn is_identity(&self) -> bool {
        matches!(self, Self::Linear { slope, intercept } if *slope == 1.0 && *intercept == 0.0)
    }

    /// The slope and intercept where the function is a straight line, however it is written.
    pub fn as_linear(&self) -> Option<(f64, f64)> {
        match self {
            Self::Constant(value) => Some((0.0, *value)),
            Self::Linear { slope, intercept } => Some((*slope, *intercept)),
            Self::Polynomial(_) => match self.as_polynomial()?.as_slice() {
                [intercept] => Some((0.0, *intercept)),
                [slope, intercept] => Some((*slope, *intercept)),
                _ => None,
            },
            Self::Multiple { factor, inner } => inner.as_linear().map(|(a, b)| (factor * a, factor * b)),
            Self::Composite { outer, inner } => {
                let ((a, b), (c, d)) = (outer.as_linear()?, inner.as_linear()?);
                Some((a * c, a * d + b))
            }
            Self::PiecewiseLinear { .. } | Self::SimmSpline { .. } => None,
        }
    }

    /// The coefficients, highest power first and without leading zeros, where the function is a polynomial of at most 32nd degree.
    pub fn as_polynomial(&self) -> Option<Vec<f64>> {
        let mut c = match self {
            Self::Constant(value) => vec![*value],
            Self::Linear { slope, intercept } => vec![*slope, *intercept],
            Self::Polynomial(coefficients) => coefficients.clone(),
            Self::Multiple { factor, inner } => inner.as_polynomial()?.into_iter().map(|c| factor * c).collect(),
            Self::Composite { outer, inner } => {
                let inner = inner.as_polynomial()?;
                // Horner's rule on polynomials.
                outer.as_polynomial()?.into_iter().try_fold(vec![0.0], |sum: Vec<f64>, c| {
                    if sum.len() + inner.len() > 34 {
                        return None;
                    }
                    let mut product = vec![0.0; sum.len() + inner.len() - 1];
                    for (i, a) in sum.iter().enumerate() {
                        for (j, b) in inner.iter().enumerate() {
                            product[i + j] += a * b;
                        }
                    }
                    *product.last_mut()? += c;
                    Some(product)
                })?
            }
            Self::PiecewiseLinear { .. } | Self::SimmSpline { .. } => return None,
        };
        let leading = c.iter().take_while(|&&v| v == 0.0).count().min(c.len().saturating_sub(1));
        c.drain(..leading);
        if c.is_empty() {
            c.push(0.0);
        }
        (c.len() <= 33).then_some(c)
    }
}

fn is_increasing(x: &[f64]) -> bool {
    x.iter().all(|v| v.is_finite()) && x.windows(2).all(|w| w[0] < w[1])
}

/// The piece `x` falls on: `knots[i] ≤ x < knots[i + 1]`, the end pieces beyond the ends.
fn piece(knots: &[f64], x: f64) -> usize {
    knots.partition_point(|&k| k <= x).clamp(1, knots.len() - 1) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use proptest::prelude::*;

    fn spline() -> Function {
        Function::simm_spline(vec![-2.0, -1.1, 0.0, 0.4, 1.5, 2.5], vec![0.3, -0.2, 0.1, 0.5, 0.4, -1.0]).unwrap()
    }

    /// Every kind of function that is smooth, and nestings of them.
    fn smooth() -> Vec<Function> {
        let cubic = Function::Polynomial(vec![0.3, -0.7, 0.2, 1.1]);
        vec![
            Function::Constant(0.4),
            Function::Linear { slope: -2.0, intercept: 0.5 },
            cubic.clone(),
            spline(),
            Function::Multiple { factor: -1.7, inner: Box::new(spline()) },
            Function::Composite { outer: Box::new(spline()), inner: Box::new(cubic.clone()) },
            Function::Composite {
                outer: Box::new(Function::Multiple { factor: 3.0, inner: Box::new(cubic) }),
                inner: Box::new(spline()),
            },
        ]
    }

    #[test]
    fn a_cubic_is_reproduced_by_the_spline_through_it() {
        // End conditions from third differences make every cubic exact, which a natural spline would not be.
        let cubic = Function::Polynomial(vec![0.5, -1.0, 2.0, 0.25]);
        let x = vec![-1.0, -0.2, 0.1, 0.9, 2.0];
        let spline = Function::simm_spline(x.clone(), x.iter().map(|&x| cubic.value(x)).collect()).unwrap();
        for i in 0..=300 {
            let x = -1.0 + 0.01 * f64::from(i);
            let ((f, df, ddf), (g, dg, ddg)) = (cubic.value_and_derivatives(x), spline.value_and_derivatives(x));
            assert_relative_eq!(f, g, epsilon = 1e-13);
            assert_relative_eq!(df, dg, epsilon = 1e-12);
            assert_relative_eq!(ddf, ddg, epsilon = 1e-11);
        }
        let (_, slope, _) = cubic.value_and_derivatives(2.0);
        assert_relative_eq!(spline.value(3.0), cubic.value(2.0) + slope, epsilon = 1e-12);
    }

    #[test]
    fn two_points_make_a_line_and_bad_points_make_nothing() {
        let line = Function::simm_spline(vec![1.0, 3.0], vec![0.0, 4.0]).unwrap();
        assert_eq!(line.value_and_derivatives(-1.0), (-4.0, 2.0, 0.0));
        assert_eq!(line.value_and_derivatives(2.5), (3.0, 2.0, 0.0));
        for (x, y) in [
            (vec![1.0], vec![1.0]),
            (vec![1.0, 1.0], vec![0.0, 1.0]),
            (vec![2.0, 1.0], vec![0.0, 1.0]),
            (vec![1.0, 2.0], vec![0.0]),
            (vec![1.0, f64::NAN], vec![0.0, 1.0]),
            (vec![1.0, 2.0], vec![0.0, f64::INFINITY]),
        ] {
            assert!(Function::simm_spline(x.clone(), y.clone()).is_none());
            assert!(Function::piecewise_linear(x, y).is_none());
        }
    }

    #[test]
    fn piecewise_lines_go_on_straight() {
        let f = Function::piecewise_linear(vec![0.0, 1.0, 2.0], vec![0.0, 1.0, -1.0]).unwrap();
        for (x, y) in [(-2.0, -2.0), (0.5, 0.5), (1.5, 0.0), (3.0, -3.0)] {
            assert_relative_eq!(f.value(x), y, epsilon = 1e-15);
        }
    }

    #[test]
    fn polynomials_compose() {
        let outer = Function::Polynomial(vec![1.0, 0.0, -1.0]);
        let inner = Function::Linear { slope: 2.0, intercept: 1.0 };
        let f = Function::Composite { outer: Box::new(outer), inner: Box::new(inner) };
        assert_eq!(f.as_polynomial(), Some(vec![4.0, 4.0, 0.0]));
        assert_eq!(f.as_linear(), None);
        assert_eq!(Function::Polynomial(vec![0.0, 3.0, 1.0]).as_linear(), Some((3.0, 1.0)));
        assert_eq!(Function::Polynomial(vec![]).as_polynomial(), Some(vec![0.0]));
    }

    proptest! {
        /// Central differences: truncation h²·f‴/6 with |f‴| below 10³ here, rounding ε/h; at h = 1e-5 both stay under 1e-6. Second
        /// derivatives are differences of the first, so the same holds, except across a knot, where the spline's third derivative jumps: 1e-3.
        #[test]
        fn derivatives_are_slopes(x in -1.9f64..2.4) {
            let h = 1e-5;
            for f in smooth() {
                let (_, df, ddf) = f.value_and_derivatives(x);
                let (a, da, _) = f.value_and_derivatives(x - h);
                let (b, db, _) = f.value_and_derivatives(x + h);
                prop_assert!(((b - a) / (2.0 * h) - df).abs() < 1e-6 * (1.0 + df.abs()), "{f:?}");
                prop_assert!(((db - da) / (2.0 * h) - ddf).abs() < 1e-3 * (1.0 + ddf.abs()), "{f:?}");
            }
        }
    }
}
