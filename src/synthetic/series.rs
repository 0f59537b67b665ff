//! Harmonic series: how one coordinate moves.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use std::f64::consts::TAU;

/// `mean + Σ amplitude·cos(2π·frequency·t + phase)`; radians (or metres), hertz, seconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Series {
    pub mean: f64,
    /// Amplitude, frequency, phase.
    pub terms: Vec<[f64; 3]>,
}

/// Share of a range left free at either end, so that limits do not press on the truth.
const MARGIN: f64 = 0.03;

/// Fastest random movement, hertz: what people do at leisure.
const SLOW_HZ: [f64; 2] = [0.2, 1.0];

impl Series {
    /// Value at a time.
    pub fn at(&self, t: f64) -> f64 {
        self.mean + self.terms.iter().map(|[a, f, p]| a * (TAU * f * t + p).cos()).sum::<f64>()
    }

    /// The same movement by another person: amplitudes by 8 %, phases by 0.15 rad, the mean by 1.5° and a slow wandering of 1° each.
    pub fn individual(mut self, rng: &mut impl Rng) -> Self {
        let mut normal = || -> f64 { StandardNormal.sample(rng) };
        self.mean += 1.5f64.to_radians() * normal();
        for [amplitude, _, phase] in &mut self.terms {
            *amplitude *= 1.0 + 0.08 * normal();
            *phase += 0.15 * normal();
        }
        self.terms.extend(Self::wandering(0.0, 1f64.to_radians(), rng).terms);
        self
    }

    /// Slow random movement about `mean`, at most `reach` from it.
    pub fn wandering(mean: f64, reach: f64, rng: &mut impl Rng) -> Self {
        let terms = (0..3).map(|_| [reach / 3.0, rng.random_range(SLOW_HZ[0]..SLOW_HZ[1]), rng.random_range(0.0..TAU)]);
        Self { mean, terms: terms.collect() }
    }

    /// Farthest from the mean.
    fn reach(&self) -> f64 {
        self.terms.iter().map(|[a, _, _]| a.abs()).sum()
    }

    /// The series inside a range: mirrored where the range lies on the other side (a model that counts the other way), moved, and at last made
    /// smaller.
    pub fn inside(mut self, [low, high]: [f64; 2]) -> Self {
        let margin = MARGIN * (high - low);
        let (low, high) = (low + margin, high - margin);
        let out_by = |mean: f64| (low - mean).max(mean - high).max(0.0);
        if out_by(-self.mean) < out_by(self.mean) {
            self.mean = -self.mean;
            self.terms.iter_mut().for_each(|t| t[0] = -t[0]);
        }
        let half = 0.5 * (high - low);
        if self.reach() > half {
            let shrink = half / self.reach();
            self.terms.iter_mut().for_each(|t| t[0] *= shrink);
        }
        let reach = self.reach().min(half);
        self.mean = self.mean.clamp((low + reach).min(high - reach), high - reach);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{Purpose, stream};

    #[test]
    fn a_series_stays_inside_its_range() {
        let mut rng = stream(3, Purpose::Movement, 0);
        for range in [[0.0, 2.0], [-2.1, 0.1], [0.4, 0.45], [-0.1, 0.1]] {
            let s = Series { mean: 0.6, terms: vec![[0.5, 1.0, 0.3], [-0.2, 2.0, 1.0]] }.individual(&mut rng);
            let fitted = s.inside(range);
            for i in 0..500 {
                let x = fitted.at(i as f64 * 0.013);
                assert!((range[0]..=range[1]).contains(&x), "{x} in {range:?}");
            }
        }
    }

    #[test]
    fn a_range_on_the_other_side_mirrors_the_movement() {
        let knee = Series { mean: 0.5, terms: vec![[0.3, 1.0, 0.0]] };
        let mirrored = knee.clone().inside([-2.1, 0.1]);
        for t in [0.0, 0.2, 0.7] {
            assert!((mirrored.at(t) + knee.at(t)).abs() < 1e-12);
        }
    }
}
