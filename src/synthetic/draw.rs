//! A truth drawn from the very priors of a fit.
//!
//! For a Bayesian bound (van Trees 1968) the truth must come from the prior that the fit is told. Of the prior on movement – third differences of the controls
//! independent, variance `1/λ` – only what it says something about can be drawn: what it leaves free (where the movement is, its mean rate and
//! acceleration) is taken from a given base, and the parabola that a random walk of third order runs away with is taken out, which leaves its third
//! differences as they are.

use super::cameras::perturbed;
use super::{Purpose, stream};
use crate::camera::Rig;
use crate::trajectory::BSpline;
use nalgebra::{UnitQuaternion, Vector3};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Standard deviations of a fit's priors.
#[derive(Debug, Clone, PartialEq)]
pub struct Spread {
    /// Mean and standard deviation of each scale parameter.
    pub scales: Vec<(f64, f64)>,
    /// Of each offset component, metres.
    pub offset_sd: f64,
    /// Of each camera's orientation about each axis, radians.
    pub rotation_sd: f64,
    /// Of each camera's centre along each axis, metres.
    pub position_sd: f64,
    /// Precision of third differences per degree of freedom.
    pub smoothness: Vec<f64>,
}

/// A truth.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// The movement.
    pub trajectory: BSpline,
    /// Scale parameters.
    pub scales: Vec<f64>,
    /// One offset per marker asked for, metres.
    pub offsets: Vec<Vector3<f64>>,
    /// The cameras as they stand; the given ones are their calibration.
    pub rig: Rig,
}

/// Draws a truth. `base` is a trajectory whose third differences vanish (somebody standing still); `markers` the number of offsets.
pub fn draw_from_priors(base: &BSpline, rig: &Rig, markers: usize, spread: &Spread, seed: u64) -> Drawn {
    let mut rng = stream(seed, Purpose::Subject, 0);
    let scales = spread.scales.iter().map(|(mean, sd)| mean + sd * normal(&mut rng)).collect();
    let offsets = (0..markers).map(|_| vector(&mut rng) * spread.offset_sd).collect();
    let mut rng = stream(seed, Purpose::Calibration, 0);
    let rig = rig
        .iter()
        .map(|c| {
            let rotation = vector(&mut rng) * spread.rotation_sd;
            perturbed(c, &rotation, &(vector(&mut rng) * spread.position_sd))
        })
        .collect();
    let mut rng = stream(seed, Purpose::Movement, 0);
    Drawn { trajectory: moved(base, &spread.smoothness, &mut rng), scales, offsets, rig }
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(rng)
}

fn vector(rng: &mut ChaCha8Rng) -> Vector3<f64> {
    Vector3::from_fn(|_, _| normal(rng))
}

/// The base with a random process added to every degree of freedom.
fn moved(base: &BSpline, smoothness: &[f64], rng: &mut ChaCha8Rng) -> BSpline {
    let layout = base.layout();
    let (controls, dofs) = (base.knots().controls(), layout.dofs());
    let mut flat = base.to_flat();
    for j in 0..layout.scalars() {
        let process = integrated(controls, 3, smoothness[j].powf(-0.5), rng);
        for (k, x) in process.iter().enumerate() {
            flat[k * dofs + j] += x;
        }
    }
    let rotors = layout.rotors.len();
    for (r, &first) in layout.rotors.iter().enumerate() {
        // The steps between control rotations are what the prior is about: second differences of the steps, in the body's own axes.
        let sd = smoothness[first].powf(-0.5);
        let along = [0, 1, 2].map(|_| integrated(controls - 1, 2, sd, rng));
        let mut q = *base.control_rotation(0, r);
        let mut keep = |k: usize, q: &UnitQuaternion<f64>| {
            let at = controls * dofs + 4 * (k * rotors + r);
            flat[at..at + 4].copy_from_slice(&[q.w, q.i, q.j, q.k]);
        };
        keep(0, &q);
        for (k, ((x, y), z)) in along[0].iter().zip(&along[1]).zip(&along[2]).enumerate() {
            let step = base.control_rotation(k, r).inverse() * base.control_rotation(k + 1, r);
            let turned = q * UnitQuaternion::from_scaled_axis(step.scaled_axis() + Vector3::new(*x, *y, *z));
            q = UnitQuaternion::new_normalize(turned.into_inner());
            keep(k + 1, &q);
        }
    }
    let mut made = base.clone();
    // The vector came from this trajectory and has its length.
    let _ = made.set_flat(&flat);
    made
}

/// A process of `n` values whose differences of the given order are independent with standard deviation `sd`, less its best polynomial of lower degree.
fn integrated(n: usize, order: usize, sd: f64, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let mut x: Vec<f64> = (0..n).map(|k| if k < order { 0.0 } else { sd * normal(rng) }).collect();
    for _ in 0..order {
        let mut sum = 0.0;
        for value in &mut x {
            sum += *value;
            *value = sum;
        }
    }
    // Orthogonal polynomials by Gram–Schmidt on the grid.
    let mut basis: Vec<Vec<f64>> = Vec::new();
    for degree in 0..order {
        let mut p: Vec<f64> = (0..n).map(|k| (2.0 * k as f64 / n as f64 - 1.0).powi(degree as i32)).collect();
        basis.iter().for_each(|b| remove(&mut p, b));
        let norm = p.iter().map(|v| v * v).sum::<f64>().sqrt();
        if norm > 1e-9 {
            p.iter_mut().for_each(|v| *v /= norm);
            remove(&mut x, &p);
            basis.push(p);
        }
    }
    x
}

/// Takes out of `x` its part along the unit vector `b`.
fn remove(x: &mut [f64], b: &[f64]) {
    let along: f64 = x.iter().zip(b).map(|(x, b)| x * b).sum();
    x.iter_mut().zip(b).for_each(|(x, b)| *x -= along * b);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_have_the_stated_deviation_and_nothing_runs_away() {
        let mut rng = stream(4, Purpose::Movement, 0);
        let (n, sd) = (2000, 0.01);
        let x = integrated(n, 3, sd, &mut rng);
        let third: Vec<f64> = x.windows(4).map(|w| w[3] - 3.0 * w[2] + 3.0 * w[1] - w[0]).collect();
        let found = (third.iter().map(|d| d * d).sum::<f64>() / third.len() as f64).sqrt();
        // A standard deviation from 1997 numbers is known to 1/√(2·1997) = 1.6 %; three of those.
        assert!((found / sd - 1.0).abs() < 0.05, "{found}");
        for degree in 0..3 {
            let moment: f64 = x.iter().enumerate().map(|(k, v)| v * (k as f64 / n as f64).powi(degree)).sum();
            let size = x.iter().map(|v| v.abs()).sum::<f64>();
            assert!(moment.abs() < 1e-9 * size, "{degree}");
        }
    }
}
