//! Residuals of the detections, and for how long their errors last.
//!
//! **Autocorrelation.** A detector that places a knee 5 px too far left does so in the next frame too. The likelihood counts every frame as new; what it then claims to know of things
//! that do not change from frame to frame (bodies, cameras) is too much by the integrated autocorrelation time of the scores `g_t = w·ρ'·r/σ` of a keypoint in a camera,
//!
//! ```text
//! τ = Σ_{t,u} g_t·g_u / Σ_t ‖g_t‖² = 1 + 2·Σ_l C_l/C_0,     C_l = Σ_cells Σ_t g_t·g_{t+l}
//! ```
//!
//! the ratio of the variance of a sum of scores to what it would be if they were independent (the `J` and `H` of composite likelihoods: Varin, Reid & Firth 2011, *An overview
//! of composite likelihood methods*, §2.3). The sum over lags ends where pairs of them stop being positive (Geyer 1992, *Practical Markov chain Monte Carlo*, §3.3). Posterior deviations
//! are those of detections that weigh 1/τ ([`super::uncertainty`]); the estimate itself does not use it.

use super::posed::{Body, of_frames};
use super::problem::{Parameters, Problem, TrialProblem};
use crate::camera::Camera;
use nalgebra::{SVector, Vector2, Vector3};
use rayon::prelude::*;

/// A detection's residual.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PixelResidual {
    /// Frame.
    pub frame: u32,
    /// Camera.
    pub camera: u16,
    /// Keypoint.
    pub keypoint: u16,
    /// Confidence.
    pub weight: f64,
    /// Marker less detection, pixels.
    pub error_px: Vector2<f64>,
    /// Depth of the marker in the camera, metres.
    pub depth: f64,
}

impl PixelResidual {
    /// The error as a distance at the subject, metres, in the camera that it is of.
    pub fn at_subject(&self, camera: &Camera) -> f64 {
        let k = &camera.intrinsics;
        self.error_px.norm() * self.depth.abs() / (k.fx * k.fy).abs().sqrt()
    }
}

/// A measured point's residual.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PointResidual {
    /// Frame.
    pub frame: u32,
    /// Index among the observed markers.
    pub slot: u32,
    /// Weight.
    pub weight: f64,
    /// Marker less measurement, metres in ground.
    pub error: Vector3<f64>,
}

impl Problem {
    /// Distance of every detection from its marker, by trial. A marker behind the camera is 10⁴ px away.
    pub fn pixel_residuals(&self, parameters: &Parameters) -> Vec<Vec<PixelResidual>> {
        let projectors = self.projectors(parameters);
        let body = Body::new(self, parameters);
        let none =
            PixelResidual { frame: 0, camera: 0, keypoint: 0, weight: 0.0, error_px: Vector2::zeros(), depth: 0.0 };
        let of_trial = |(i, trial): (usize, &TrialProblem)| {
            of_frames(&body, i, trial.sightings.starts(), none, |frame, f, out| {
                for (o, out) in trial.sightings.frame(f).zip(out) {
                    let p = &frame.markers[self.markers[o.slot as usize].index()];
                    let camera = &projectors[o.camera as usize];
                    let unseen = Vector2::new(1e4, 0.0);
                    *out = PixelResidual {
                        frame: f as u32,
                        camera: o.camera,
                        keypoint: o.keypoint,
                        weight: o.weight,
                        error_px: camera.project(p).map_or(unseen, |u| u - Vector2::from(o.pixel)),
                        depth: camera.point_in_camera(p).z,
                    };
                }
            })
        };
        self.trials.iter().enumerate().map(of_trial).collect()
    }

    /// What a camera sees: markers' positions in world, metres, the pixels they were detected at, and the confidence of that; all trials, in the order of frames.
    pub fn seen_by(&self, parameters: &Parameters, camera: usize) -> Vec<(Vector3<f64>, Vector2<f64>, f64)> {
        let body = Body::new(self, parameters);
        let of_trial = |(i, trial): (usize, &TrialProblem)| {
            of_frames(&body, i, trial.sightings.starts(), None, |frame, f, out| {
                for (o, out) in trial.sightings.frame(f).zip(out) {
                    let p = frame.markers[self.markers[o.slot as usize].index()];
                    *out = (usize::from(o.camera) == camera).then_some((p, Vector2::from(o.pixel), o.weight));
                }
            })
        };
        self.trials.iter().enumerate().flat_map(of_trial).flatten().collect()
    }

    /// Distance of every point from its marker, by trial.
    pub fn point_residuals(&self, parameters: &Parameters) -> Vec<Vec<PointResidual>> {
        let body = Body::new(self, parameters);
        let none = PointResidual { frame: 0, slot: 0, weight: 0.0, error: Vector3::zeros() };
        let of_trial = |(i, trial): (usize, &TrialProblem)| {
            of_frames(&body, i, &trial.point_start, none, |frame, f, out| {
                for (o, out) in trial.frame_points(f).iter().zip(out) {
                    *out = PointResidual {
                        frame: f as u32,
                        slot: o.slot,
                        weight: o.weight,
                        error: frame.markers[self.markers[o.slot as usize].index()] - o.position,
                    };
                }
            })
        };
        self.trials.iter().enumerate().map(of_trial).collect()
    }

    /// τ of the points of all trials together, frames.
    pub fn point_autocorrelation_time(&self, residuals: &[Vec<PointResidual>]) -> f64 {
        let mut series: Vec<Vec<Vector3<f64>>> = Vec::new();
        for (trial, residuals) in self.trials.iter().zip(residuals) {
            let mut scores = vec![vec![Vector3::zeros(); trial.times.len()]; self.markers.len()];
            for r in residuals {
                let e = r.error / self.hyper.point_sigma[r.slot as usize];
                let weight = r.weight * self.hyper.point_loss.weight::<3>(e.norm_squared());
                scores[r.slot as usize][r.frame as usize] = e * weight;
            }
            series.append(&mut scores);
        }
        integrated_autocorrelation_time(&series)
    }

    /// τ of the detections of all trials together, frames; 1 where errors are new in every frame.
    pub fn autocorrelation_time(&self, residuals: &[Vec<PixelResidual>]) -> f64 {
        let cells = self.rig.len() * self.hyper.keypoints;
        let mut series: Vec<Vec<Vector2<f64>>> = Vec::new();
        for (trial, residuals) in self.trials.iter().zip(residuals) {
            // A detection that is missing says nothing.
            let mut scores = vec![vec![Vector2::zeros(); trial.times.len()]; cells];
            for r in residuals {
                let cell = usize::from(r.camera) * self.hyper.keypoints + usize::from(r.keypoint);
                let e = r.error_px / self.hyper.sigma(r.camera.into(), r.keypoint.into());
                let weight = r.weight * self.hyper.pixel_loss.weight::<2>(e.norm_squared());
                scores[cell][r.frame as usize] = e * weight;
            }
            series.append(&mut scores);
        }
        integrated_autocorrelation_time(&series)
    }
}

/// τ of independent series of scores with mean 0, in steps; see the head of this file.
fn integrated_autocorrelation_time<const DIM: usize>(series: &[Vec<SVector<f64, DIM>>]) -> f64 {
    let longest = series.iter().map(Vec::len).max().unwrap_or(0);
    let covariance = |lag: usize| -> f64 {
        let of = |s: &Vec<SVector<f64, DIM>>| -> f64 { s.iter().zip(s.iter().skip(lag)).map(|(a, b)| a.dot(b)).sum() };
        let parts: Vec<f64> = series.par_iter().map(of).collect();
        parts.iter().sum()
    };
    let variance = covariance(0);
    let mut time = -1.0;
    let mut lag = 0;
    while lag < longest {
        let pair = (covariance(lag) + covariance(lag + 1)) / variance;
        // Not a number where there is no variance.
        if pair.is_nan() || pair <= 0.0 {
            break;
        }
        // Far out the covariance changes slowly, and a pair stands for others beside it: a long trial of errors that never change has thousands of lags.
        let pairs = 1 + lag / 32;
        time += 2.0 * pair * pairs as f64;
        lag += 2 * pairs;
    }
    time.max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_distr::{Distribution, StandardNormal};

    /// First-order autoregression: τ = (1 + φ)/(1 − φ). The estimate's relative deviation is about √(2·(2M + 1)/N) with M, the lags it sums over, a few τ (Sokal 1997, *Monte
    /// Carlo methods in statistical mechanics*, §3): with N = 2·50·4000 numbers, below 1.5 % for M = 40.
    #[test]
    fn finds_the_time_of_an_autoregression() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        for (phi, expected) in [(0.0_f64, 1.0), (0.5, 3.0), (0.8, 9.0)] {
            let series: Vec<Vec<Vector2<f64>>> = (0..50)
                .map(|_| {
                    let innovation = (1.0 - phi * phi).sqrt();
                    let mut x = Vector2::new(normal(), normal());
                    (0..4000)
                        .map(|_| {
                            x = x * phi + Vector2::new(normal(), normal()) * innovation;
                            x
                        })
                        .collect()
                })
                .collect();
            let found = integrated_autocorrelation_time(&series);
            assert!((found / expected - 1.0).abs() < 0.05, "φ = {phi}: {found} instead of {expected}");
        }
    }

    #[test]
    fn nothing_seen_is_no_correlation() {
        assert_eq!(integrated_autocorrelation_time::<2>(&[]), 1.0);
        assert_eq!(integrated_autocorrelation_time(&[vec![Vector3::zeros(); 5]]), 1.0);
    }
}
