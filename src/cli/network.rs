//! Arguments of fits by networks.

use crate::error::{Error, Result};
use crate::fit::{FitOptions, NetworkOptions, Optimizer};
use crate::report::OutputFolder;
use crate::trajectory::mlp::Architecture;
use clap::{Args, ValueEnum};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// What only `--trajectory mlp` has.
#[derive(Debug, Args)]
#[command(next_help_heading = "Networks (--trajectory mlp)")]
pub(super) struct NetworkArguments {
    /// The published method's own conditions: its network, loss, rates and steps, no priors but its own; hours, and no standard deviations
    #[arg(long, conflicts_with_all = ["network", "optimizer", "warm_start", "learning_rate"])]
    paper: bool,
    /// Size: small, medium (128, 256, 512, 1024) or large (…, 2048, 2048, 4096); or sizes of your own, as 64,64 [default: small]
    #[arg(long, value_name = "SIZE")]
    network: Option<String>,
    /// First-order method [default: adam]
    #[arg(long, value_enum)]
    optimizer: Option<Method>,
    /// Of the network's random start [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Begin at the B-spline's fit instead of at random
    #[arg(long, value_name = "bspline", value_enum)]
    warm_start: Option<WarmStart>,
    /// Go on from the checkpoint that an interrupted fit left in the output folder
    #[arg(long)]
    resume: bool,
    /// Most steps
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Frames of a step, drawn at random [default: all]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Height of the network's learning rate
    #[arg(long, value_name = "R")]
    learning_rate: Option<f64>,
}

/// `--optimizer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Method {
    Adam,
    Lbfgs,
}

/// `--warm-start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WarmStart {
    Bspline,
}

/// The file in the output folder that an interrupted fit goes on from.
pub(super) const CHECKPOINT: &str = "checkpoint.safetensors";

impl NetworkArguments {
    /// Keeps checkpoints in `folder`, and reads the one there with `--resume`.
    ///
    /// # Errors
    /// With `--resume`, where there is none to go on from.
    pub fn keep(&self, folder: &Path, options: &mut FitOptions) -> Result<()> {
        let path = folder.join(CHECKPOINT);
        if self.resume {
            let bytes = fs::read(&path).map_err(|_| {
                Error::file(
                    &path,
                    "is not there: nothing to go on from",
                    "leave out --resume, or give the folder of the interrupted fit as --out",
                )
            })?;
            options.resume = Some(Arc::new(bytes));
        }
        let out = OutputFolder::open(folder)?;
        options.checkpoint = Some(Arc::new(move |bytes| {
            // A fit is not lost for a checkpoint that cannot be written.
            if let Err(e) = out.write(CHECKPOINT, bytes) {
                tracing::warn!("no checkpoint: {e}");
            }
        }));
        Ok(())
    }

    /// Nothing here may be given for another trajectory.
    pub fn unused(&self) -> Result<()> {
        let given = [
            ("--paper", self.paper),
            ("--network", self.network.is_some()),
            ("--optimizer", self.optimizer.is_some()),
            ("--seed", self.seed.is_some()),
            ("--warm-start", self.warm_start.is_some()),
            ("--resume", self.resume),
            ("--steps", self.steps.is_some()),
            ("--batch", self.batch.is_some()),
            ("--learning-rate", self.learning_rate.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((name, _)) => {
                Err(Error::input(name, "is for networks, and the trajectory is a B-spline", "add --trajectory mlp"))
            }
        }
    }

    /// As options.
    pub fn options(&self) -> Result<NetworkOptions> {
        let mut options = if self.paper { NetworkOptions::published() } else { NetworkOptions::default() };
        if let Some(size) = &self.network {
            options.architecture = architecture(size)?;
        }
        if self.optimizer == Some(Method::Lbfgs) {
            options.optimizer = Optimizer::Lbfgs;
        }
        options.warm_start = self.warm_start.is_some();
        options.seed = self.seed.unwrap_or(options.seed);
        options.max_steps = self.steps.unwrap_or(options.max_steps);
        if let Some(frames) = self.batch {
            if frames < 8 {
                return Err(Error::input("--batch", format_args!("{frames} frames are no batch"), "give 8 or more"));
            }
            options.mini_batch =
                Some(crate::solve::first_order::MiniBatch { frames, stretch: frames.min(16), seed: options.seed });
        }
        if let Some(rate) = self.learning_rate {
            if !(rate > 0.0 && rate < 1.0) {
                return Err(Error::input(
                    "--learning-rate",
                    format_args!("{rate} is none"),
                    "give one between 0 and 1",
                ));
            }
            options.rates.network = rate;
        }
        Ok(options)
    }
}

/// A named size, or a list of layers.
fn architecture(text: &str) -> Result<Architecture> {
    if let Some(named) = Architecture::named(text) {
        return Ok(named);
    }
    let layers: std::result::Result<Vec<usize>, _> = text.split(',').map(|n| n.trim().parse()).collect();
    let layers = layers.map_err(|_| {
        Error::input("--network", format_args!("`{text}` is no size"), "give small, medium, large, or sizes as 64,64")
    })?;
    let architecture = Architecture { concatenated: layers.len().min(3), layers, ..Architecture::small() };
    architecture.check(1.0)?;
    Ok(architecture)
}
