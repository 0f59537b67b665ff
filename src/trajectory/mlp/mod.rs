//! The pose as a network of time.
//!
//! ```text
//! q_φ(t) = head( W_n·[ … f(W₁·e(t) + b₁) …, e(t) ] + b_n )
//! ```
//!
//! An implicit representation (Cotton 2024, arXiv 2402.17192): sinusoidal [encoding](Encoding) of time, fully connected [layers](Network) with the encoding beside the first ones' outputs,
//! outputs [squashed](Head) to joint ranges where there are ranges, rotations by six numbers. A network has from tens of thousands to millions of parameters and no ∂q/∂φ that is local:
//! first-order methods fit it (`solve::first_order`), on burn, [many times at once](Batch). Parameters are single precision; one time is evaluated in double precision, with exact rates.

mod architecture;
mod batch;
mod encoding;
mod file;
mod head;
mod layer;
mod network;

pub use architecture::Architecture;
pub use batch::{Batch, Record};
pub use encoding::{Encoding, Spacing};
pub use file::architecture_of;
pub use head::Head;
pub use network::{Activation, Dense, Network};

use super::{Layout, Pose, Rates, Trajectory};
use crate::error::{Error, Result};
use crate::kinematics::Mechanism;
use rand::SeedableRng;
use std::sync::Arc;

/// A trajectory that is a network.
#[derive(Debug, Clone)]
pub struct Mlp {
    architecture: Architecture,
    layout: Arc<Layout>,
    head: Head,
    encoding: Encoding,
    network: Network,
    duration: f64,
    parameters: Vec<f32>,
}

impl Mlp {
    /// A random network for a trial of `duration` seconds whose poses are about `usual`; `soft` as for [`Head::new`].
    ///
    /// # Errors
    /// As for [`Architecture::check`].
    pub fn random(
        architecture: Architecture,
        mechanism: &Mechanism,
        layout: Arc<Layout>,
        usual: &Pose,
        soft: bool,
        duration: f64,
        seed: u64,
    ) -> Result<Self> {
        architecture.check(duration)?;
        let head = Head::new(mechanism, &layout, usual, soft);
        let encoding = architecture.encoding(duration);
        let network = architecture.network(&encoding, head.outputs());
        if network.parameters() > file::LARGEST {
            return Err(Error::input(
                "the network",
                format_args!(
                    "would have {} parameters; up to {} are written and read",
                    network.parameters(),
                    file::LARGEST
                ),
                "choose small, medium or large, or smaller sizes",
            ));
        }
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let parameters = network.random(&mut rng, architecture.last, head.bias());
        Ok(Self { architecture, layout, head, encoding, network, duration, parameters })
    }

    /// How it is made.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Pose layout.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// What makes poses of outputs.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The layers.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Length of the trial, seconds.
    pub fn duration(&self) -> f64 {
        self.duration
    }

    /// All parameters, flat: what is checkpointed.
    pub fn parameters(&self) -> &[f32] {
        &self.parameters
    }

    /// Sets all parameters; `None` when the length does not fit.
    pub fn set_parameters(&mut self, parameters: &[f32]) -> Option<()> {
        (parameters.len() == self.parameters.len()).then(|| self.parameters.copy_from_slice(parameters))
    }

    fn features(&self, t: f64) -> Vec<f64> {
        let mut features = vec![0.0; self.encoding.len()];
        self.encoding.features(t, &mut features);
        features
    }
}

impl Trajectory for Mlp {
    fn tangent_len(&self) -> usize {
        self.parameters.len()
    }

    fn pose(&self, t: f64, out: &mut Pose) {
        self.head.pose(&self.network.outputs(&self.parameters, &self.features(t)), out);
    }

    fn rates(&self, t: f64, out: &mut Rates) {
        let n = self.encoding.len();
        let (mut value, mut rate, mut acceleration) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        self.encoding.evaluate(t, [&mut value, &mut rate, &mut acceleration]);
        let [y, yd, ydd] = self.network.jet(&self.parameters, [&value, &rate, &acceleration]);
        self.head.rates([&y, &yd, &ydd], out);
    }

    fn jvp(&self, t: f64, tangent: &[f64], out: &mut [f64]) {
        let (y, moved) = self.network.push(&self.parameters, tangent, &self.features(t));
        self.head.push(&y, &moved, out);
    }

    fn vjp(&self, t: f64, cotangent: &[f64], out: &mut [f64]) {
        let pull = |y: &[f64]| {
            let mut gradient = vec![0.0; self.head.outputs()];
            self.head.pull(y, cotangent, &mut gradient);
            gradient
        };
        self.network.pull(&self.parameters, &self.features(t), pull, out);
    }

    fn retract(&mut self, tangent: &[f64]) {
        for (p, d) in self.parameters.iter_mut().zip(tangent) {
            *p = (f64::from(*p) + d) as f32;
        }
    }
}

#[cfg(test)]
mod tests;
