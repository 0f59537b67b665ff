//! Lens distortion in normalised coordinates: forward with its Jacobian, and its inverse.
//!
//! For an undistorted point `n = (a, b)`, `s = a² + b²`:
//!
//! ```text
//! distort(n) = g(s)·n + t(n)
//! rational   g = (1 + k1 s + k2 s² + k3 s³) / (1 + k4 s + k5 s² + k6 s³)
//!            t = ( 2 p1 a b + p2 (s + 2a²),  p1 (s + 2b²) + 2 p2 a b )
//! fisheye    g = θ (1 + k1 θ² + k2 θ⁴ + k3 θ⁶ + k4 θ⁸) / √s,   θ = atan √s,   t = 0
//! Jacobian   g·I + 2 g'·n nᵀ + ∂t/∂n                                                         // 2×2, symmetric
//! ```
//!
//! Source: OpenCV documentation, modules `calib3d` and `fisheye`; Kannala & Brandt 2006.
//!
//! **Where the model ends.** These polynomials are fitted inside the image. Far outside they turn over and would fold a
//! point at the side of the camera back into the picture. A [`Lens`] therefore knows the disc around the axis on which
//! the mapping is certainly one to one, and has no image for points outside it. With `f(r) = r·g(r²)` and `p = (p1, p2)`,
//! the disc is where `f'(ρ) > 7‖p‖ρ` for all `ρ ≤ r`: the radial part of the Jacobian has eigenvalues `f'` and
//! `f/r`, the tangential part lowers them by at most `6‖p‖r` (radially) and `2‖p‖r`, and the bound leaves their sum
//! positive definite; a map with a positive definite Jacobian on a convex set is injective.

use super::Distortion;
use super::polynomial;
use crate::math::lanes::Wide;
use nalgebra::{Matrix2, Vector2};
use pulp::Simd;

/// Slope `f'` below which an image is so compressed that nothing can be read from it; ends the disc a little before the fold.
const MIN_SLOPE: f64 = 1e-3;
/// Largest radius looked at in the rational model: 89.4° from the axis.
const MAX_RADIUS: f64 = 100.0;
/// Below this squared radius the fisheye's series, cut after its second term, is exact to rounding.
const SMALL_RADIUS2: f64 = 1e-8;
/// Residual, relative to the point, at which the inverse has converged.
const INVERSE_TOLERANCE: f64 = 1e-13;
const INVERSE_ITERATIONS: usize = 60;

/// A [`Distortion`] with what can be worked out beforehand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lens {
    model: Model,
    /// Squared radius of the disc on which the model holds.
    max_radius2: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Model {
    Pinhole,
    /// `n`: numerator k1..k3, `d`: denominator k4..k6.
    Rational {
        n: [f64; 3],
        d: [f64; 3],
        p: [f64; 2],
        has_denominator: bool,
    },
    Fisheye([f64; 4]),
}

/// `1 + c₀·s + c₁·s² + c₂·s³`, and its derivative.
#[inline(always)]
fn cubic<S: Simd>(simd: S, c: &[f64; 3], s: Wide<S>) -> [Wide<S>; 2] {
    let [c0, c1, c2, one, two_c1, three_c2] = Wide::splats(simd, [c[0], c[1], c[2], 1.0, 2.0 * c[1], 3.0 * c[2]]);
    [s.mul_add(s.mul_add(s.mul_add(c2, c1), c0), one), s.mul_add(s.mul_add(three_c2, two_c1), c0)]
}

impl Lens {
    /// Prepares a lens model: finds the disc on which it is one to one, which takes 1 µs with four coefficients and 30 µs with eight.
    pub fn new(distortion: &Distortion) -> Self {
        match *distortion {
            Distortion::None => Self { model: Model::Pinhole, max_radius2: f64::INFINITY },
            Distortion::Rational([k1, k2, p1, p2, k3, k4, k5, k6]) => {
                let (n, d, p) = ([k1, k2, k3], [k4, k5, k6], [p1, p2]);
                let r = rational_limit(n, d, p);
                Self { model: Model::Rational { n, d, p, has_denominator: d != [0.0; 3] }, max_radius2: r * r }
            }
            Distortion::Fisheye(k) => {
                let r = fisheye_limit(k).tan();
                Self { model: Model::Fisheye(k), max_radius2: r * r }
            }
        }
    }

    /// Radius, in normalised coordinates, of the disc on which the model holds; infinite for a pinhole.
    pub fn max_radius(&self) -> f64 {
        self.max_radius2.sqrt()
    }

    /// The distorted point, or `None` outside the disc (and for NaN and infinity).
    #[inline]
    pub fn distort(&self, n: &Vector2<f64>) -> Option<Vector2<f64>> {
        let s = n.norm_squared();
        if !s.is_finite() || s > self.max_radius2 {
            return None;
        }
        let mut out = n * self.radial(s).0;
        if let Model::Rational { p, .. } = &self.model {
            out += tangential(n, s, p);
        }
        Some(out)
    }

    /// The distorted point and the Jacobian of the distortion (2×2), or `None` outside the disc.
    #[inline]
    pub fn distort_with_jacobian(&self, n: &Vector2<f64>) -> Option<(Vector2<f64>, Matrix2<f64>)> {
        let s = n.norm_squared();
        if !s.is_finite() || s > self.max_radius2 {
            return None;
        }
        let (a, b) = (n.x, n.y);
        let (g, dg) = self.radial(s);
        let mut out = n * g;
        let (mut j00, mut j01, mut j11) = (g + 2.0 * dg * a * a, 2.0 * dg * a * b, g + 2.0 * dg * b * b);
        if let Model::Rational { p, .. } = &self.model {
            out += tangential(n, s, p);
            let [p1, p2] = *p;
            j00 += 2.0 * p1 * b + 6.0 * p2 * a;
            j01 += 2.0 * (p1 * a + p2 * b);
            j11 += 6.0 * p1 * b + 2.0 * p2 * a;
        }
        Some((out, Matrix2::new(j00, j01, j01, j11)))
    }

    /// [`Lens::distort_with_jacobian`] of points side by side: `seen`, 0 outside the disc; the distorted points, and the Jacobian's `[00, 01, 11]`, symmetric as it is, which outside are anything.
    ///
    /// Belongs inside [`pulp::WithSimd`].
    #[inline(always)]
    pub(super) fn distort_wide<S: Simd>(
        &self,
        simd: S,
        [a, b]: [Wide<S>; 2],
        seen: Wide<S>,
    ) -> (Wide<S>, [Wide<S>; 2], [Wide<S>; 3]) {
        let (aa, ab, bb) = (a * a, a * b, b * b);
        let s = aa + bb;
        // Infinity lies outside any disc.
        let seen = seen.where_at_most(s, Wide::splat(simd, self.max_radius2.min(f64::MAX)));
        let [g, dg] = self.radial_wide(simd, s);
        let two_dg = dg + dg;
        let (out, jacobian) = ([a * g, b * g], [two_dg.mul_add(aa, g), two_dg * ab, two_dg.mul_add(bb, g)]);
        let Model::Rational { p: [p1, p2], .. } = self.model else { return (seen, out, jacobian) };
        let [p1, p2, three] = Wide::splats(simd, [p1, p2, 3.0]);
        let (two_ab, p1a, p1b, p2a, p2b) = (ab + ab, p1 * a, p1 * b, p2 * a, p2 * b);
        let x = p1.mul_add(two_ab, p2.mul_add(s + aa + aa, out[0]));
        let y = p2.mul_add(two_ab, p1.mul_add(s + bb + bb, out[1]));
        let (xx, xy, yy) = (three.mul_add(p2a, p1b), p1a + p2b, three.mul_add(p1b, p2a));
        (seen, [x, y], [jacobian[0] + xx + xx, jacobian[1] + xy + xy, jacobian[2] + yy + yy])
    }

    /// The point inside the disc that [`Lens::distort`] maps to `distorted`, or `None` where there is none.
    ///
    /// The radial part is inverted on its own by bracketed Newton steps, which cannot fail on a monotone function; the
    /// tangential part follows with Newton's method on the exact Jacobian, and the result is checked.
    pub fn undistort(&self, distorted: &Vector2<f64>) -> Option<Vector2<f64>> {
        if !(distorted.x.is_finite() && distorted.y.is_finite()) {
            return None;
        }
        let target = distorted.norm();
        match &self.model {
            Model::Pinhole => Some(*distorted),
            _ if target == 0.0 && self.tangential_norm() == 0.0 => Some(*distorted),
            Model::Fisheye(k) => {
                let max = self.max_radius().atan();
                let theta = invert_monotone(target, max, |t| fisheye_angle(k, t))?;
                Some(distorted * (theta.tan() / target))
            }
            Model::Rational { .. } => {
                let max = self.max_radius();
                let slope = |r: f64| {
                    let (g, dg) = self.radial(r * r);
                    (r * g, g + 2.0 * r * r * dg)
                };
                let start = if self.tangential_norm() == 0.0 {
                    invert_monotone(target, max, slope)?
                } else {
                    // The tangential part may bring a point just beyond the rim inside; Newton's method decides.
                    invert_monotone(target, max, slope).unwrap_or(max)
                };
                let start = if target > 0.0 { distorted * (start / target) } else { *distorted };
                self.newton(distorted, start)
            }
        }
    }

    fn newton(&self, distorted: &Vector2<f64>, start: Vector2<f64>) -> Option<Vector2<f64>> {
        let tolerance = INVERSE_TOLERANCE * (1.0 + distorted.norm());
        // A start on the rim itself may lie outside it by rounding.
        let mut n = start * (1.0 - 1e-12);
        let (mut at, mut jacobian) = self.distort_with_jacobian(&n)?;
        let mut error = (distorted - at).norm();
        for _ in 0..INVERSE_ITERATIONS {
            if error <= tolerance {
                return Some(n);
            }
            let step = jacobian.try_inverse()? * (distorted - at);
            let mut fraction = 1.0;
            loop {
                let trial = n + step * fraction;
                if let Some((image, j)) = self.distort_with_jacobian(&trial) {
                    let e = (distorted - image).norm();
                    if e < error {
                        (n, at, jacobian, error) = (trial, image, j, e);
                        break;
                    }
                }
                fraction *= 0.5;
                if fraction < 1e-6 {
                    return (error <= 100.0 * tolerance).then_some(n);
                }
            }
        }
        None
    }

    fn tangential_norm(&self) -> f64 {
        match &self.model {
            Model::Rational { p, .. } => p[0].hypot(p[1]),
            _ => 0.0,
        }
    }

    /// [`Self::radial`] of numbers side by side; a fisheye's one after the other.
    #[inline(always)]
    fn radial_wide<S: Simd>(&self, simd: S, s: Wide<S>) -> [Wide<S>; 2] {
        match &self.model {
            Model::Pinhole => Wide::splats(simd, [1.0, 0.0]),
            Model::Rational { n, d, has_denominator, .. } => {
                let [num, d_num] = cubic(simd, n, s);
                if !has_denominator {
                    return [num, d_num];
                }
                let [den, d_den] = cubic(simd, d, s);
                let inverse = Wide::splat(simd, 1.0) / den;
                let g = num * inverse;
                [g, (d_num - g * d_den) * inverse]
            }
            Model::Fisheye(_) => s.each(|s| self.radial(s)),
        }
    }

    /// `g(s)` and `dg/ds`.
    #[inline]
    fn radial(&self, s: f64) -> (f64, f64) {
        match &self.model {
            Model::Pinhole => (1.0, 0.0),
            Model::Rational { n, d, has_denominator, .. } => {
                let num = 1.0 + s * (n[0] + s * (n[1] + s * n[2]));
                let d_num = n[0] + s * (2.0 * n[1] + s * 3.0 * n[2]);
                if !has_denominator {
                    return (num, d_num);
                }
                let inverse = 1.0 / (1.0 + s * (d[0] + s * (d[1] + s * d[2])));
                let d_den = d[0] + s * (2.0 * d[1] + s * 3.0 * d[2]);
                let g = num * inverse;
                (g, (d_num - g * d_den) * inverse)
            }
            Model::Fisheye(k) => {
                if s < SMALL_RADIUS2 {
                    // θ/r = 1 − s/3 + s²/5 − …, θ²= s − 2s²/3 + …
                    let c = k[0] - 1.0 / 3.0;
                    return (1.0 + c * s, c);
                }
                let r = s.sqrt();
                let (angle, d_angle) = fisheye_angle(k, r.atan());
                let g = angle / r;
                (g, (d_angle / (1.0 + s) - g) / (2.0 * s))
            }
        }
    }
}

#[inline]
fn tangential(n: &Vector2<f64>, s: f64, p: &[f64; 2]) -> Vector2<f64> {
    let ab = 2.0 * n.x * n.y;
    Vector2::new(p[0] * ab + p[1] * (s + 2.0 * n.x * n.x), p[0] * (s + 2.0 * n.y * n.y) + p[1] * ab)
}

/// `θ_d(θ)` and its derivative.
#[inline]
fn fisheye_angle(k: &[f64; 4], theta: f64) -> (f64, f64) {
    let t = theta * theta;
    let value = 1.0 + t * (k[0] + t * (k[1] + t * (k[2] + t * k[3])));
    let slope = 1.0 + t * (3.0 * k[0] + t * (5.0 * k[1] + t * (7.0 * k[2] + t * 9.0 * k[3])));
    (theta * value, slope)
}

/// Largest `θ` up to which `θ_d' > MIN_SLOPE`; at most a right angle, since the model has only points before the camera.
fn fisheye_limit(k: [f64; 4]) -> f64 {
    let right_angle = std::f64::consts::FRAC_PI_2;
    let slope = [1.0 - MIN_SLOPE, 3.0 * k[0], 5.0 * k[1], 7.0 * k[2], 9.0 * k[3]];
    polynomial::first_root(&slope, right_angle * right_angle).map_or(right_angle, f64::sqrt)
}

/// Largest radius up to which `f' > MIN_SLOPE + 7‖p‖r` and the denominator is positive.
fn rational_limit(n: [f64; 3], d: [f64; 3], p: [f64; 2]) -> f64 {
    // In s: f' = ((N + 2sN')·D − 2s·N·D') / D².
    let num = [1.0, n[0], n[1], n[2]];
    let den = [1.0, d[0], d[1], d[2]];
    let twice_s_d = |c: &[f64; 4]| [0.0, 2.0 * c[1], 4.0 * c[2], 6.0 * c[3]];
    let (d_num, d_den) = (twice_s_d(&num), twice_s_d(&den));
    let den2 = product(&den, &den);
    let mut slope = product(&std::array::from_fn(|i| num[i] + d_num[i]), &den);
    for (c, minus) in slope.iter_mut().zip(product(&num, &d_den)) {
        *c -= minus;
    }
    let tangential = 7.0 * p[0].hypot(p[1]);
    // In r, of degree 13: even powers hold the slope, odd ones the tangential bound.
    let mut in_r = [0.0; 14];
    for i in 0..7 {
        in_r[2 * i] = slope[i] - MIN_SLOPE * den2[i];
        in_r[2 * i + 1] = -tangential * den2[i];
    }
    let fold = if tangential == 0.0 {
        let in_s: [f64; 7] = std::array::from_fn(|i| in_r[2 * i]);
        polynomial::first_root(&in_s, MAX_RADIUS * MAX_RADIUS).map(f64::sqrt)
    } else {
        polynomial::first_root(&in_r, MAX_RADIUS)
    };
    let pole = polynomial::first_root(&den, MAX_RADIUS * MAX_RADIUS).map(f64::sqrt);
    let limit = fold.unwrap_or(MAX_RADIUS);
    // Just before a pole the image is at infinity; one part in a thousand keeps the numbers finite.
    pole.map_or(limit, |pole| limit.min(pole * 0.999))
}

fn product(a: &[f64; 4], b: &[f64; 4]) -> [f64; 7] {
    let mut out = [0.0; 7];
    for (i, x) in a.iter().enumerate() {
        for (j, y) in b.iter().enumerate() {
            out[i + j] += x * y;
        }
    }
    out
}

/// Solves `f(x) = target` on `[0, max]` for a rising `f` (value and slope), by Newton's method inside a shrinking bracket.
fn invert_monotone(target: f64, max: f64, f: impl Fn(f64) -> (f64, f64)) -> Option<f64> {
    let greatest = f(max).0;
    if greatest.is_nan() || greatest < target {
        return None;
    }
    let (mut low, mut high) = (0.0, max);
    let mut x = target.min(0.5 * max);
    for _ in 0..200 {
        let (value, slope) = f(x);
        let error = value - target;
        if error.abs() <= 1e-15 * target {
            return Some(x);
        }
        if error > 0.0 {
            high = x;
        } else {
            low = x;
        }
        let newton = x - error / slope;
        let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
        if next == x || high - low <= f64::EPSILON * high {
            return Some(next);
        }
        x = next;
    }
    // Newton's steps alternate between neighbours within rounding of the root.
    ((f(x).0 - target).abs() <= INVERSE_TOLERANCE * (1.0 + target)).then_some(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lenses() -> Vec<Lens> {
        [
            Distortion::None,
            Distortion::Rational([-0.28, 0.09, 0.001, -0.0005, 0.0, 0.0, 0.0, 0.0]),
            Distortion::Rational([-0.28, 0.09, 0.001, -0.0005, -0.012, 0.0, 0.0, 0.0]),
            Distortion::Rational([0.1, -0.05, 0.001, -0.0005, 0.01, 0.12, -0.03, 0.02]),
            Distortion::Rational([0.3, 0.0, 0.05, -0.03, 0.0, 0.0, 0.0, 0.0]),
            Distortion::Fisheye([0.02, -0.01, 0.003, -0.001]),
            Distortion::Fisheye([-0.3, 0.1, 0.0, 0.0]),
        ]
        .iter()
        .map(Lens::new)
        .collect()
    }

    /// Points over the disc of a lens, or over radius 3 where that is smaller.
    fn in_disc(lens: &Lens, fraction: f64, angle: f64) -> Vector2<f64> {
        let r = fraction * lens.max_radius().min(3.0);
        Vector2::new(r * angle.cos(), r * angle.sin())
    }

    proptest! {
        #[test]
        fn undistort_undoes_distort(which in 0..7usize, fraction in 0.0..0.98f64, angle in 0.0..6.3f64) {
            let lens = lenses()[which];
            let n = in_disc(&lens, fraction, angle);
            let back = lens.undistort(&lens.distort(&n).unwrap()).unwrap();
            // The inverse amplifies the tolerance of 1e-13·(1 + ‖d‖) by 1/f', at most 1/MIN_SLOPE.
            prop_assert!((back - n).norm() < 1e-10 * (1.0 + n.norm()), "{n} {back}");
        }

        #[test]
        fn jacobian_is_the_derivative(which in 0..7usize, fraction in 0.0..0.98f64, angle in 0.0..6.3f64) {
            let lens = lenses()[which];
            let n = in_disc(&lens, fraction, angle);
            let (_, j) = lens.distort_with_jacobian(&n).unwrap();
            let h = 1e-6;
            for (k, e) in [Vector2::x(), Vector2::y()].iter().enumerate() {
                let numeric = (lens.distort(&(n + e * h)).unwrap() - lens.distort(&(n - e * h)).unwrap()) / (2.0 * h);
                // Rounding 1e-16/h, truncation h²·f'''.
                prop_assert!((numeric - j.column(k)).norm() < 1e-8 * (1.0 + j.norm()), "{j} {numeric}");
            }
        }

        #[test]
        fn the_image_never_folds_back(
            k in prop::array::uniform8(-0.5..0.5f64),
            a in (0.0..1.0f64, 0.0..6.3f64),
            b in (0.0..1.0f64, 0.0..6.3f64),
        ) {
            let [k1, k2, p1, p2, k3, k4, k5, k6] = k;
            let lens = Lens::new(&Distortion::Rational([k1, k2, 0.1 * p1, 0.1 * p2, k3, k4, k5, k6]));
            let (a, b) = (in_disc(&lens, a.0, a.1), in_disc(&lens, b.0, b.1));
            let (image_a, image_b) = (lens.distort(&a).unwrap(), lens.distort(&b).unwrap());
            // A map with a positive definite Jacobian on a convex set is monotone along every chord.
            prop_assert!((a - b).dot(&(image_a - image_b)) >= 0.0);
            prop_assert!(lens.distort_with_jacobian(&a).unwrap().1.determinant() > 0.0);
        }

        #[test]
        fn hostile_lenses_and_points_give_an_answer(
            k in prop::array::uniform8(prop::num::f64::ANY),
            x in prop::num::f64::ANY,
            y in prop::num::f64::ANY,
        ) {
            for d in [Distortion::Rational(k), Distortion::Fisheye([k[0], k[1], k[2], k[3]])] {
                let lens = Lens::new(&d);
                let _ = (lens.distort(&Vector2::new(x, y)), lens.undistort(&Vector2::new(x, y)));
                let _ = lens.undistort(&Vector2::new(0.1, 0.2));
            }
        }
    }

    #[test]
    fn a_barrel_ends_at_its_fold() {
        // f = r − r³/3, f' = 1 − r² = MIN_SLOPE.
        let lens = Lens::new(&Distortion::Rational([-1.0 / 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]));
        let expected = (1.0 - MIN_SLOPE).sqrt();
        assert!((lens.max_radius() - expected).abs() < 1e-12, "{}", lens.max_radius());
        assert!(lens.distort(&Vector2::new(expected - 1e-9, 0.0)).is_some());
        assert!(lens.distort(&Vector2::new(expected + 1e-9, 0.0)).is_none());
        // f never exceeds 2/3: no ray reaches a pixel beyond.
        assert!(lens.undistort(&Vector2::new(0.0, 0.67)).is_none());
        assert!(lens.undistort(&Vector2::new(0.0, 0.66)).is_some());
    }

    #[test]
    fn a_pole_ends_the_lens() {
        // Denominator 1 − s/4 vanishes at r = 2.
        let lens = Lens::new(&Distortion::Rational([0.0, 0.0, 0.0, 0.0, 0.0, -0.25, 0.0, 0.0]));
        assert!(lens.max_radius() < 2.0 && lens.max_radius() > 1.9);
    }

    #[test]
    fn fisheye_on_its_axis() {
        let lens = Lens::new(&Distortion::Fisheye([0.02, -0.01, 0.003, -0.001]));
        let (d, j) = lens.distort_with_jacobian(&Vector2::zeros()).unwrap();
        assert_eq!(d, Vector2::zeros());
        assert_eq!(j, Matrix2::identity());
        assert_eq!(lens.undistort(&Vector2::zeros()), Some(Vector2::zeros()));
        // Series and closed form meet: the closed form of g' loses 1e-16/s of its value.
        let r = SMALL_RADIUS2.sqrt();
        let (inside, outside) = (lens.radial(r * r * 0.999), lens.radial(r * r * 1.001));
        assert!((inside.0 - outside.0).abs() < 1e-11);
        assert!((inside.1 - outside.1).abs() < 1e-6);
    }

    #[test]
    fn fisheye_inverse_reaches_wide_angles() {
        let lens = Lens::new(&Distortion::Fisheye([0.02, -0.01, 0.003, -0.001]));
        let n = Vector2::new(80f64.to_radians().tan(), 0.0);
        let back = lens.undistort(&lens.distort(&n).unwrap()).unwrap();
        assert!((back - n).norm() < 1e-11 * n.norm_squared());
    }
}
