//! Time as a network sees it: sines and cosines of many frequencies.
//!
//! ```text
//! x = π·t/T,      e(t) = [ x,  a_k·sin(n_k·x),  a_k·cos(n_k·x) ],      frequency of feature k: n_k/(2T)
//! ```
//!
//! Over a trial of length `T`, `x` runs through half a turn, so that nothing in the encoding repeats. [`Spacing::Octaves`], `n_k = 2^k`, is the published encoding (Mildenhall et al.
//! 2020, arXiv 2003.08934; for trajectories Cotton 2024, arXiv 2402.17192): short, and the layers make the frequencies in between. [`Spacing::Harmonics`], `n_k = k`, has them all,
//! and with the encoding beside the last layer's inputs the network holds every trajectory of its band as a linear function; `a_k` falls with frequency as movements do.

use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// How frequencies follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spacing {
    /// Each twice the last.
    Octaves,
    /// At even steps.
    Harmonics,
}

/// Harmonics above this weigh less, Hz: what people do voluntarily is slower.
const USUAL_HZ: f64 = 1.0;

/// The encoding of the times of one trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoding {
    /// Seconds that `x` takes from 0 to π.
    duration: f64,
    /// `(n_k, a_k)`.
    features: Vec<(f64, f64)>,
}

impl Encoding {
    /// For a trial of `duration` seconds in which nothing faster than `highest_hz` is wanted.
    pub fn new(spacing: Spacing, duration: f64, highest_hz: f64) -> Self {
        let highest = (2.0 * duration * highest_hz).max(1.0);
        let features = match spacing {
            Spacing::Octaves => (0..=highest.log2().ceil() as i32).map(|k| (f64::from(k).exp2(), 1.0)).collect(),
            Spacing::Harmonics => {
                let amplitude = |k: f64| 1.0 / (1.0 + (k / (2.0 * duration) / USUAL_HZ).powi(2)).sqrt();
                (1..=highest.ceil() as u32).map(|k| (f64::from(k), amplitude(f64::from(k)))).collect()
            }
        };
        Self { duration, features }
    }

    /// Number of features.
    #[allow(clippy::len_without_is_empty)] // Time itself is always there.
    pub fn len(&self) -> usize {
        1 + 2 * self.features.len()
    }

    /// Writes the features at `t`, seconds, and their first and second derivatives in `t`.
    pub fn evaluate(&self, t: f64, [value, rate, acceleration]: [&mut [f64]; 3]) {
        let speed = PI / self.duration;
        let x = speed * t;
        (value[0], rate[0], acceleration[0]) = (x, speed, 0.0);
        for (k, &(n, a)) in self.features.iter().enumerate() {
            let (sine, cosine) = (n * x).sin_cos();
            let w = n * speed;
            for (i, f, d) in [(1 + 2 * k, sine, cosine), (2 + 2 * k, cosine, -sine)] {
                value[i] = a * f;
                rate[i] = a * w * d;
                acceleration[i] = -a * w * w * f;
            }
        }
    }

    /// The features alone.
    pub fn features(&self, t: f64, value: &mut [f64]) {
        let x = PI * t / self.duration;
        value[0] = x;
        for (k, &(n, a)) in self.features.iter().enumerate() {
            let (sine, cosine) = (n * x).sin_cos();
            value[1 + 2 * k] = a * sine;
            value[2 + 2 * k] = a * cosine;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reaches_the_highest_frequency_wanted() {
        for (duration, hz) in [(10.0, 6.0), (0.3, 10.0), (61.0, 40.0 / std::f64::consts::TAU)] {
            for spacing in [Spacing::Octaves, Spacing::Harmonics] {
                let highest = Encoding::new(spacing, duration, hz).features.last().unwrap().0 / (2.0 * duration);
                let slack = if spacing == Spacing::Octaves { 2.0 } else { 1.0 + 1.0 / (2.0 * duration * hz) };
                assert!(highest >= hz && highest < slack * hz * (1.0 + 1e-12), "{highest} Hz for {hz}");
            }
        }
    }

    #[test]
    fn derivatives_agree_with_differences() {
        for spacing in [Spacing::Octaves, Spacing::Harmonics] {
            let encoding = Encoding::new(spacing, 2.0, 5.0);
            let n = encoding.len();
            let at = |t: f64| {
                let (mut a, mut b, mut c) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
                encoding.evaluate(t, [&mut a, &mut b, &mut c]);
                [a, b, c]
            };
            let (h, t) = (1e-5, 0.7);
            let (before, here, after) = (at(t - h), at(t), at(t + h));
            for i in 0..n {
                for order in 0..2 {
                    // Frequencies up to 8 Hz: third and fourth derivatives reach 50³ and 50⁴, times h²/6.
                    let numeric = (after[order][i] - before[order][i]) / (2.0 * h);
                    assert!((numeric - here[order + 1][i]).abs() < 2e-4, "{order} {i}");
                }
            }
            let mut features = vec![0.0; n];
            encoding.features(t, &mut features);
            assert_eq!(features, here[0]);
        }
    }
}
