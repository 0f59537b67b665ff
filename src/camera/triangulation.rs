//! A point from its pixels in several cameras, confidence-weighted and robust.
//!
//! ```text
//! argmin_p  Σ_c  w_c·ρ( ‖π(C, p) − u_c‖² / τ² ),     ρ(s) = s / (1 + s)
//! ```
//!
//! `w` is the confidence, `τ` the residual up to which an observation counts as an inlier. ρ (Geman & McClure 1987) is bounded,
//! so that a keypoint of somebody else costs the same however far away it lies, and so does a camera that could not see the
//! point at all.
//!
//! A bounded loss has many minima, so the start matters: the point nearest to all undistorted rays (Hartley & Sturm 1997,
//! *Triangulation*, the mid-point method, which needs no scale), and, if that leaves outliers, the same of every pair of
//! cameras. The best of each is refined by Gauss–Newton steps on the pixels. Nothing is random.

use super::{CameraId, Projector};
use nalgebra::{Matrix3, Vector2, Vector3};
use serde::{Deserialize, Serialize};

/// How a point is triangulated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TriangulationOptions {
    /// Residual up to which an observation counts as seeing the point, pixels. 30 and more where the calibration is stale.
    pub inlier_px: f64,
    /// Observations of lower confidence are not used.
    pub min_confidence: f64,
    /// Fewer inliers than this (at least 2) make no point.
    pub min_inliers: usize,
}

impl Default for TriangulationOptions {
    fn default() -> Self {
        Self { inlier_px: 15.0, min_confidence: 0.0, min_inliers: 2 }
    }
}

/// A triangulated point and how far to trust it.
#[derive(Debug, Clone, PartialEq)]
pub struct Triangulated {
    /// In world, metres.
    pub point: Vector3<f64>,
    /// Distance from each observation, in the order given, pixels; infinite where the observation is not finite or the point has
    /// no projection.
    pub residuals_px: Vec<f64>,
    /// Which observations were used and lie within [`TriangulationOptions::inlier_px`].
    pub inliers: Vec<bool>,
    /// Largest angle between the rays of two inliers, radians. Below a degree or two the depth is hardly known.
    pub angle: f64,
    /// Longest over shortest axis of the point's error ellipsoid, from the inliers; infinite where a direction is not observed.
    pub condition: f64,
}

impl Triangulated {
    /// Number of inliers.
    pub fn inlier_count(&self) -> usize {
        self.inliers.iter().filter(|&&i| i).count()
    }

    /// Root mean square residual of the inliers, pixels.
    pub fn rms_px(&self) -> f64 {
        let (sum, n) = self
            .residuals_px
            .iter()
            .zip(&self.inliers)
            .filter(|(_, inlier)| **inlier)
            .fold((0.0, 0usize), |(sum, n), (r, _)| (sum + r * r, n + 1));
        (sum / n.max(1) as f64).sqrt()
    }
}

/// Gauss–Newton steps; each start needs four or five.
const ITERATIONS: usize = 30;
/// Steps shorter than this end the refinement, metres.
const STEP_TOLERANCE: f64 = 1e-10;

/// One usable observation.
struct Ray<'a> {
    projector: &'a Projector,
    index: usize,
    pixel: Vector2<f64>,
    weight: f64,
    centre: Vector3<f64>,
    direction: Vector3<f64>,
}

/// Triangulates one point from `[u, v, confidence]` in several cameras.
///
/// `rig` holds the cameras in the order of their ids. Observations with NaN, with confidence 0, or at a pixel that no ray of the
/// lens model reaches are left out; confidence above 1 counts as 1. `None` when fewer than `min_inliers` cameras agree on a
/// point before them. A camera may appear once only; a further observation by it is left out.
pub fn triangulate(
    rig: &[Projector],
    observations: &[(CameraId, [f64; 3])],
    options: &TriangulationOptions,
) -> Option<Triangulated> {
    let rays = rays(rig, observations, options);
    let needed = options.min_inliers.max(2);
    if rays.len() < needed {
        return None;
    }
    let all: Vec<&Ray> = rays.iter().collect();
    let mut best = nearest_to_rays(&all).map(|start| refine(start, &rays, options));
    let agrees = |p: &Vector3<f64>| rays.iter().all(|ray| residual(ray, p) <= options.inlier_px);
    if !best.as_ref().is_some_and(|(_, p)| agrees(p)) {
        let pair = best_pair(&rays, options).map(|start| refine(start, &rays, options));
        if let Some(pair) = pair
            && best.as_ref().is_none_or(|best| pair.0 < best.0)
        {
            best = Some(pair);
        }
    }
    let (_, point) = best?;

    let mut inliers = vec![false; observations.len()];
    let mut seen: Vec<&Ray> = Vec::with_capacity(rays.len());
    for ray in rays.iter().filter(|ray| residual(ray, &point) <= options.inlier_px) {
        inliers[ray.index] = true;
        seen.push(ray);
    }
    if seen.len() < needed {
        return None;
    }
    let residuals_px = observations
        .iter()
        .map(|(camera, [u, v, _])| {
            let pixel = rig.get(camera.index()).and_then(|projector| projector.project(&point));
            pixel.map_or(f64::INFINITY, |p| (p - Vector2::new(*u, *v)).norm()).min(f64::INFINITY)
        })
        .collect();
    Some(Triangulated {
        point,
        residuals_px,
        inliers,
        angle: widest_angle(&seen, &point),
        condition: condition(&seen, &point),
    })
}

fn rays<'a>(
    rig: &'a [Projector],
    observations: &[(CameraId, [f64; 3])],
    options: &TriangulationOptions,
) -> Vec<Ray<'a>> {
    let mut rays: Vec<Ray> = Vec::with_capacity(observations.len());
    let mut cameras = Vec::with_capacity(observations.len());
    for (index, &(camera, [u, v, confidence])) in observations.iter().enumerate() {
        let usable = u.is_finite() && v.is_finite() && confidence > 0.0 && confidence >= options.min_confidence;
        if !usable || cameras.contains(&camera) {
            continue;
        }
        let Some(projector) = rig.get(camera.index()) else { continue };
        let pixel = Vector2::new(u, v);
        let Some(direction) = projector.direction_in_world(&pixel) else { continue };
        cameras.push(camera);
        let (weight, centre) = (confidence.min(1.0), projector.centre_in_world());
        rays.push(Ray { projector, index, pixel, weight, centre, direction });
    }
    rays
}

/// The point of least weighted squared distance to the rays; `None` where they are parallel.
fn nearest_to_rays(rays: &[&Ray]) -> Option<Vector3<f64>> {
    let (mut a, mut b) = (Matrix3::zeros(), Vector3::zeros());
    for ray in rays {
        let across = (Matrix3::identity() - ray.direction * ray.direction.transpose()) * ray.weight;
        a += across;
        b += across * ray.centre;
    }
    a.cholesky().map(|a| a.solve(&b)).filter(|p| p.iter().all(|x| x.is_finite()))
}

fn best_pair(rays: &[Ray], options: &TriangulationOptions) -> Option<Vector3<f64>> {
    let mut best: Option<(f64, Vector3<f64>)> = None;
    for (i, a) in rays.iter().enumerate() {
        for b in &rays[..i] {
            if let Some(p) = nearest_to_rays(&[a, b]) {
                let cost = cost(rays, &p, options.inlier_px);
                if best.is_none_or(|(least, _)| cost < least) {
                    best = Some((cost, p));
                }
            }
        }
    }
    best.map(|(_, p)| p)
}

fn residual(ray: &Ray, point: &Vector3<f64>) -> f64 {
    ray.projector.project(point).map_or(f64::INFINITY, |pixel| (pixel - ray.pixel).norm())
}

fn cost(rays: &[Ray], point: &Vector3<f64>, scale: f64) -> f64 {
    rays.iter()
        .map(|ray| {
            let s = (residual(ray, point) / scale).powi(2);
            ray.weight * if s.is_finite() { s / (1.0 + s) } else { 1.0 }
        })
        .sum()
}

/// Damped Gauss–Newton with the loss's weights; the cost never rises. Gives the cost and the point.
fn refine(start: Vector3<f64>, rays: &[Ray], options: &TriangulationOptions) -> (f64, Vector3<f64>) {
    let scale = options.inlier_px;
    let (mut point, mut least) = (start, cost(rays, &start, scale));
    let mut damping = 1e-9;
    for _ in 0..ITERATIONS {
        let (hessian, gradient) = normal_equations(rays, &point, |s| (1.0 + s).powi(-2), scale);
        let mut moved = false;
        while damping < 1e6 {
            let damped = hessian + Matrix3::identity() * (damping * hessian.trace());
            let Some(factor) = damped.cholesky() else {
                damping *= 10.0;
                continue;
            };
            let step = factor.solve(&-gradient);
            let trial = point + step;
            let c = cost(rays, &trial, scale);
            if c < least {
                (point, least, damping) = (trial, c, (damping * 0.1).max(1e-12));
                moved = step.norm() > STEP_TOLERANCE;
                break;
            }
            if step.norm() <= STEP_TOLERANCE {
                break;
            }
            damping *= 10.0;
        }
        if !moved {
            break;
        }
    }
    (least, point)
}

/// `(Σ w·weight(s)·JᵀJ, Σ w·weight(s)·Jᵀr)` with `s = ‖r‖²/scale²`.
fn normal_equations<'a, 'b: 'a>(
    rays: impl IntoIterator<Item = &'a Ray<'b>>,
    point: &Vector3<f64>,
    weight: impl Fn(f64) -> f64,
    scale: f64,
) -> (Matrix3<f64>, Vector3<f64>) {
    let (mut hessian, mut gradient) = (Matrix3::zeros(), Vector3::zeros());
    for ray in rays {
        let Some(p) = ray.projector.project_with_derivatives(point) else { continue };
        let r = p.pixel - ray.pixel;
        let w = ray.weight * weight(r.norm_squared() / (scale * scale));
        hessian += p.d_pixel_d_point.tr_mul(&p.d_pixel_d_point) * w;
        gradient += p.d_pixel_d_point.tr_mul(&r) * w;
    }
    (hessian, gradient)
}

fn widest_angle(rays: &[&Ray], point: &Vector3<f64>) -> f64 {
    let mut widest = 0.0;
    for (i, a) in rays.iter().enumerate() {
        for b in &rays[..i] {
            widest = f64::max(widest, (point - a.centre).angle(&(point - b.centre)));
        }
    }
    widest
}

fn condition(rays: &[&Ray], point: &Vector3<f64>) -> f64 {
    let (information, _) = normal_equations(rays.iter().copied(), point, |_| 1.0, 1.0);
    let eigenvalues = information.symmetric_eigenvalues();
    let (least, most) = (eigenvalues.min(), eigenvalues.max());
    if least > 0.0 { (most / least).sqrt() } else { f64::INFINITY }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::{Camera, Distortion, Intrinsics};
    use nalgebra::{Isometry3, Point3};
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_distr::StandardNormal;

    /// Cameras on a circle of 4 m at a height of 1.6 m, looking at the middle.
    fn ring(n: usize) -> Vec<Projector> {
        (0..n)
            .map(|i| {
                let a = i as f64 / n as f64 * std::f64::consts::TAU;
                let eye = Point3::new(4.0 * a.cos(), 4.0 * a.sin(), 1.6);
                // look_at gives axes x right, y up, z backward with `rh`; half a turn about x makes it OpenCV's.
                let flip = Isometry3::rotation(Vector3::x() * std::f64::consts::PI);
                let camera_from_world = flip * Isometry3::look_at_rh(&eye, &Point3::new(0.0, 0.0, 1.0), &Vector3::z());
                Projector::new(&Camera {
                    name: i.to_string(),
                    size: [1920.0, 1080.0],
                    intrinsics: Intrinsics { fx: 1150.0, fy: 1148.0, cx: 955.0, cy: 545.0, skew: 0.0 },
                    distortion: Distortion::Rational([-0.2, 0.05, 0.001, -0.0005, 0.0, 0.0, 0.0, 0.0]),
                    camera_from_world,
                })
            })
            .collect()
    }

    fn observe(rig: &[Projector], point: &Vector3<f64>) -> Vec<(CameraId, [f64; 3])> {
        rig.iter()
            .enumerate()
            .map(|(i, c)| {
                let p = c.project(point).unwrap();
                (CameraId(i as u32), [p.x, p.y, 0.9])
            })
            .collect()
    }

    fn inside() -> impl Strategy<Value = Vector3<f64>> {
        (-0.8..0.8f64, -0.8..0.8f64, 0.2..1.9f64).prop_map(|(x, y, z)| Vector3::new(x, y, z))
    }

    proptest! {
        #[test]
        fn exact_pixels_give_the_exact_point(point in inside(), n in 2..9usize) {
            // Two cameras opposite each other see a point between them under 180°: leave those out.
            let rig = &ring(if n == 2 { 5 } else { n })[..n];
            let t = triangulate(rig, &observe(rig, &point), &Default::default()).unwrap();
            // 1e-13 px of rounding in the projection over 300 px/m, times the condition.
            prop_assert!((t.point - point).norm() < 1e-10, "{}", t.point - point);
            prop_assert_eq!(t.inlier_count(), n);
            prop_assert!(t.rms_px() < 1e-7);
        }

        #[test]
        fn outliers_are_found(point in inside(), seed in 0..1000u64, outliers in 1..4usize) {
            let rig = ring(8);
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let mut seen = observe(&rig, &point);
            for (_, o) in &mut seen {
                o[0] += rng.sample::<f64, _>(StandardNormal);
                o[1] += rng.sample::<f64, _>(StandardNormal);
            }
            // Three of eight cameras see something else, in agreement with nobody.
            for (i, (_, o)) in seen.iter_mut().enumerate().take(outliers) {
                o[0] += 100.0 + 60.0 * i as f64;
                o[1] -= 80.0 + 90.0 * i as f64;
            }
            let t = triangulate(&rig, &seen, &Default::default()).unwrap();
            prop_assert_eq!(&t.inliers, &(0..8).map(|i| i >= outliers).collect::<Vec<_>>());
            // 1 px at 4 m and 1150 px is 3.5 mm; five or more cameras; 20 mm is six deviations and more.
            prop_assert!((t.point - point).norm() < 0.02);
        }

        #[test]
        fn hostile_observations_give_an_answer(
            seen in prop::collection::vec((0..6u32, prop::array::uniform3(prop::num::f64::ANY)), 0..8)
        ) {
            let seen: Vec<_> = seen.into_iter().map(|(c, o)| (CameraId(c), o)).collect();
            if let Some(t) = triangulate(&ring(4), &seen, &Default::default()) {
                prop_assert!(t.point.iter().all(|x| x.is_finite()) && t.inlier_count() >= 2);
                prop_assert!(t.residuals_px.iter().all(|r| !r.is_nan()));
            }
        }
    }

    #[test]
    fn noise_averages_as_the_linearised_theory_says() {
        let rig = ring(8);
        let point = Vector3::new(0.3, -0.2, 1.1);
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        let exact = observe(&rig, &point);
        let information = rig.iter().fold(Matrix3::zeros(), |sum, c| {
            let j = c.project_with_derivatives(&point).unwrap().d_pixel_d_point;
            sum + j.tr_mul(&j)
        });
        let expected = information.try_inverse().unwrap().trace();
        let trials = 2000;
        let mean = (0..trials)
            .map(|_| {
                let mut seen = exact.clone();
                for (_, o) in &mut seen {
                    o[0] += rng.sample::<f64, _>(StandardNormal);
                    o[1] += rng.sample::<f64, _>(StandardNormal);
                }
                (triangulate(&rig, &seen, &Default::default()).unwrap().point - point).norm_squared()
            })
            .sum::<f64>()
            / trials as f64;
        // A mean of 2000 draws of about three degrees of freedom deviates by 2 %; the loss costs 1/15² of efficiency.
        assert!((mean / expected - 1.0).abs() < 0.1, "{}", mean / expected);
    }

    #[test]
    fn a_stale_calibration_is_tolerated_when_asked() {
        let rig = ring(4);
        let point = Vector3::new(0.1, 0.2, 1.0);
        let mut seen = observe(&rig, &point);
        for (i, (_, o)) in seen.iter_mut().enumerate() {
            o[0] += if i % 2 == 0 { 25.0 } else { -25.0 };
            o[1] += if i < 2 { 12.0 } else { -12.0 };
        }
        let t = triangulate(&rig, &seen, &TriangulationOptions { inlier_px: 60.0, ..Default::default() }).unwrap();
        assert_eq!(t.inlier_count(), 4);
        // 28 px at 4 m and 1150 px are 10 cm.
        assert!((t.point - point).norm() < 0.1);
        let strict = triangulate(&rig, &seen, &TriangulationOptions { min_inliers: 4, ..Default::default() });
        assert_eq!(strict, None);
    }

    #[test]
    fn confidence_is_a_weight() {
        let rig = ring(5);
        let point = Vector3::new(0.1, 0.2, 1.0);
        let mut seen = observe(&rig, &point);
        seen[0].1[0] += 10.0;
        let error = |confidence: f64| {
            let mut seen = seen.clone();
            seen[0].1[2] = confidence;
            (triangulate(&rig, &seen, &Default::default()).unwrap().point - point).norm()
        };
        assert!(error(0.1) < 0.3 * error(0.9));
        assert!(error(0.0) < 1e-9 && error(f64::NAN) < 1e-9);
        assert_eq!(error(1.0), error(7.0));
    }

    #[test]
    fn what_cannot_be_a_point_is_none() {
        let rig = ring(4);
        let point = Vector3::new(0.1, 0.2, 1.0);
        let seen = observe(&rig, &point);
        let options = TriangulationOptions::default();
        assert_eq!(triangulate(&rig, &[], &options), None);
        assert_eq!(triangulate(&rig, &seen[..1], &options), None);
        // The same camera twice is one camera; a camera that does not exist is none.
        assert_eq!(triangulate(&rig, &[seen[0], seen[0]], &options), None);
        assert_eq!(triangulate(&rig, &[seen[0], (CameraId(9), seen[1].1)], &options), None);
        // Rays that pass each other at a distance.
        let mut apart = [seen[0], seen[1]];
        apart[0].1[1] += 300.0;
        assert_eq!(triangulate(&rig, &apart, &options), None);
    }

    #[test]
    fn a_narrow_angle_is_reported() {
        let wide = ring(4);
        // A twin beside camera 0, 1 cm away.
        let near = wide[0].with_extrinsics(&{
            let eye = Point3::new(4.0, 0.01, 1.6);
            Isometry3::rotation(Vector3::x() * std::f64::consts::PI)
                * Isometry3::look_at_rh(&eye, &Point3::new(0.0, 0.0, 1.0), &Vector3::z())
        });
        let point = Vector3::new(0.1, 0.2, 1.0);
        let narrow = [wide[0], near];
        let t = triangulate(&narrow, &observe(&narrow, &point), &Default::default()).unwrap();
        // 1 cm over 4 m is 2.5 mrad.
        assert!(t.angle < 0.003 && t.condition > 100.0, "{} {}", t.angle, t.condition);
        let t = triangulate(&wide, &observe(&wide, &point), &Default::default()).unwrap();
        assert!(t.angle > 1.0 && t.condition < 3.0, "{} {}", t.angle, t.condition);
    }
}
