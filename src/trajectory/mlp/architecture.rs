//! How large a network is, and what of time it is told.

use super::encoding::{Encoding, Spacing};
use super::network::{Activation, Network};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// The largest layer: the largest published one has 4096.
const WIDEST: usize = 16_384;

/// The most layers.
const DEEPEST: usize = 32;

/// The most features of time: an hour of harmonics up to 4 Hz.
const MOST_FEATURES: usize = 65_536;

/// Configuration of a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// Sizes of the hidden layers.
    pub layers: Vec<usize>,
    /// Frequencies of the encoding.
    pub spacing: Spacing,
    /// The highest frequency wanted, Hz.
    pub highest_hz: f64,
    /// Behind the outputs of how many layers the encoding is put again.
    pub concatenated: usize,
    /// What bends the layers.
    pub activation: Activation,
    /// The last layer's weights at first, of those usual for its inputs: poses begin within about so many radians of one another.
    pub last: f64,
}

impl Architecture {
    /// Two layers of 128 beside all harmonics up to 8 Hz: the default. Tens of thousands of parameters for trials of seconds, where the large ones have millions.
    pub fn small() -> Self {
        Self {
            layers: vec![128, 128],
            spacing: Spacing::Harmonics,
            highest_hz: 8.0,
            concatenated: 2,
            activation: Activation::Silu,
            last: 0.1,
        }
    }

    /// (128, 256, 512, 1024).
    pub fn medium() -> Self {
        Self {
            layers: vec![128, 256, 512, 1024],
            spacing: Spacing::Octaves,
            highest_hz: 12.8,
            concatenated: 3,
            ..Self::small()
        }
    }

    /// (128, 256, 512, 1024, 2048, 2048, 4096): the released size.
    pub fn large() -> Self {
        Self { layers: vec![128, 256, 512, 1024, 2048, 2048, 4096], ..Self::medium() }
    }

    /// The released network as it was: bent by `max(x, 0)`, octaves up to 80 rad/s over 2 (the first frequency with 2ⁿ·π/T ≥ 40 rad/s), and a last layer as random as the others.
    pub fn published() -> Self {
        Self { activation: Activation::Relu, highest_hz: 40.0 / std::f64::consts::TAU, last: 1.0, ..Self::large() }
    }

    /// By name: `small`, `medium`, `large`, `published`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "small" => Some(Self::small()),
            "medium" => Some(Self::medium()),
            "large" => Some(Self::large()),
            "published" => Some(Self::published()),
            _ => None,
        }
    }

    /// The encoding of a trial of `duration` seconds.
    pub fn encoding(&self, duration: f64) -> Encoding {
        Encoding::new(self.spacing, duration, self.highest_hz)
    }

    /// The network for an encoding and a number of outputs.
    pub fn network(&self, encoding: &Encoding, outputs: usize) -> Network {
        Network::new(encoding.len(), &self.layers, outputs, self.concatenated, self.activation)
    }

    /// Whether a network of this shape can be made for a trial of `duration` seconds.
    ///
    /// # Errors
    /// [`Error::Input`] naming what is too large or not a number.
    pub fn check(&self, duration: f64) -> Result<()> {
        let refuse = |problem: String| {
            Err(Error::input("the network", problem, "choose small, medium or large, or sizes as 64,64"))
        };
        if self.layers.len() > DEEPEST || self.layers.iter().any(|&l| l == 0 || l > WIDEST) {
            return refuse(format!("has up to {DEEPEST} layers of 1 to {WIDEST}; {:?} were asked for", self.layers));
        }
        if !(self.highest_hz > 0.0 && self.highest_hz < 1e3 && self.last.is_finite()) {
            return refuse(format!("wants a highest frequency above 0 and below 1000 Hz, not {}", self.highest_hz));
        }
        if !(duration > 0.0 && duration.is_finite()) {
            return refuse(format!("needs a trial of some length, not of {duration} s"));
        }
        if self.spacing == Spacing::Harmonics && 4.0 * duration * self.highest_hz > MOST_FEATURES as f64 {
            return Err(Error::input(
                "the network",
                format!(
                    "all harmonics up to {} Hz of a trial of {duration:.0} s are more than {MOST_FEATURES} features",
                    self.highest_hz
                ),
                "choose medium or large, whose frequencies are octaves, or shorter trials",
            ));
        }
        Ok(())
    }
}
