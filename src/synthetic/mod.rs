//! Sessions with known truth: a body, a movement, cameras, and what a detector would have made of them.
//!
//! [`generate`] makes a [`Synthetic`] session from [`SyntheticOptions`]: the [`Session`](crate::session::Session) as a user would have it (noisy
//! detections, a calibration that is off) and the [`Truth`] behind it. Everything random comes from the seed, by
//! one ChaCha stream per purpose, so that, say, more noise leaves subject and cameras as they are; a named seed gives the same session on every
//! machine, up to the last digit of its sines and cosines.
//! [`draw_from_priors`] instead draws a truth exactly as a fit's priors state it, which is what bounds on its error are about.
//!
//! Movements are functions of continuous time; cameras sample them.

mod cameras;
mod demo;
mod draw;
mod generate;
mod movement;
mod observe;
mod options;
mod root;
mod series;
mod truth;
mod write;

pub use cameras::{perturbed, ring};
pub use demo::{demo, demo_options};
pub use draw::{Drawn, Spread, draw_from_priors};
pub use generate::{Synthetic, generate};
pub use options::{Confidence, Dropout, Gaps, Movement, StaleCamera, SyntheticOptions};
pub use truth::{TrialTruth, TrueCamera, Truth};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a stream of random numbers is for; each has its own, whatever the others use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Subject,
    Cameras,
    Calibration,
    Movement,
    Detections,
    Bystanders,
    Order,
}

/// The stream of a purpose; `index` tells trials or people apart.
fn stream(seed: u64, purpose: Purpose, index: usize) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(((purpose as u64) << 32) | index as u64);
    rng
}
