//! Arguments of fits by networks.

use crate::error::{Error, Result};
use crate::fit::{FitOptions, NetworkOptions, NetworkStart, Optimizer, SavedNetwork, TrajectoryKind};
use crate::report::{OutputFolder, stems};
use crate::session::Session;
use crate::trajectory::mlp::{Architecture, architecture_of};
use clap::{Args, ValueEnum};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What only `--trajectory mlp` has.
#[derive(Debug, Args)]
#[command(next_help_heading = "Networks (--trajectory mlp)")]
pub(super) struct NetworkArguments {
    /// The published method's own conditions: its network, loss, rates and steps, no priors but its own; hours, and no standard deviations
    #[arg(long, conflicts_with_all = ["network", "optimizer", "warm_start", "learning_rate", "batch"])]
    paper: bool,
    /// Size: small, medium (128, 256, 512, 1024) or large (…, 2048, 2048, 4096); or sizes of your own, as 64,64 [default: small]
    #[arg(long, value_name = "SIZE")]
    network: Option<String>,
    /// First-order method [default: adam]
    #[arg(long, value_enum)]
    optimizer: Option<Method>,
    /// Of the random weights that the network begins with, and of the draw of batches [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Where the network begins: at the poses of the first guess, as the B-spline's fit does; at random, as the published method does; at the B-spline's fit; or at the networks in the output FOLDER of an earlier fit (sizes, offsets and cameras begin anew) [default: guess]
    #[arg(long, value_name = "guess|random|bspline|FOLDER")]
    warm_start: Option<PathBuf>,
    /// Go on from the checkpoint that an interrupted fit left in the output folder
    #[arg(long)]
    resume: bool,
    /// Most steps
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Frames of a step, drawn at random in stretches of 16 [default: all]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Height of the network's learning rate [default: 0.003 from a random start, 0.001 from poses]
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    learning_rate: Option<f64>,
}

/// `--optimizer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Method {
    Adam,
    Lbfgs,
}

/// `--warm-start` without an earlier fit. A folder of such a name is `./guess`.
fn start(name: &Path) -> Option<NetworkStart> {
    match name.to_str()? {
        "guess" => Some(NetworkStart::Guess),
        "random" => Some(NetworkStart::Random),
        "bspline" => Some(NetworkStart::BSpline),
        _ => None,
    }
}

/// The file in the output folder that an interrupted fit goes on from. Safetensors; but no trial's network has this ending.
pub(super) const CHECKPOINT: &str = "fit.checkpoint";

/// Gives the checkpoint, which the library knows as bytes, the path that the user knows.
pub(super) fn with_path(error: Error, folder: &Path) -> Error {
    match error {
        Error::Input { place, problem, advice } if place == "the checkpoint" => {
            Error::file(&folder.join(CHECKPOINT), problem, advice)
        }
        other => other,
    }
}

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

    /// The networks that `--warm-start` names, for the trials of a session.
    ///
    /// # Errors
    /// Where none can be read, and where the fit would write over them.
    pub fn warm_start(&self, session: &Session, out: &Path, options: &mut FitOptions) -> Result<()> {
        let (Some(folder), TrajectoryKind::Mlp(network)) = (&self.warm_start, &mut options.trajectory) else {
            return Ok(());
        };
        if let Some(start) = start(folder) {
            network.start = start;
            return Ok(());
        }
        if !folder.is_dir() {
            let advice = "give `guess`, `random`, `bspline`, or the output folder of a fit with --trajectory mlp";
            return Err(Error::file(folder, "(--warm-start) is no folder", advice));
        }
        if out.canonicalize().is_ok_and(|out| folder.canonicalize().is_ok_and(|folder| out == folder)) {
            let problem =
                "(--warm-start) is also where this fit writes: its networks would be lost before it has ended";
            return Err(Error::file(folder, problem, "give another folder as --out"));
        }
        if self.seed.is_some() && self.batch.is_none() {
            let problem = "is of random weights, and this fit begins at networks of an earlier one (--warm-start)";
            return Err(Error::input("--seed", problem, "leave it out"));
        }
        if self.network.is_some() {
            let problem = "is told by the networks that --warm-start names";
            return Err(Error::input("--network", problem, "leave it out"));
        }
        const ADVICE: &str = "give the output folder of a fit of this session with --trajectory mlp";
        let names: Vec<&str> = session.trials.iter().map(|t| t.name.as_str()).collect();
        let mut saved = Vec::new();
        for (name, stem) in names.iter().zip(stems(names.iter().copied())) {
            let path = folder.join(format!("{stem}.safetensors"));
            match fs::read(&path) {
                Ok(bytes) => saved.push(SavedNetwork::new(name, &path, bytes)),
                // A trial that could not be fitted has none, and may be left out again.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => {
                    let problem = format!("(--warm-start, trial `{name}`) cannot be read: {e}");
                    return Err(Error::file(&path, problem, ADVICE));
                }
            }
        }
        let Some(first) = saved.first() else {
            let problem = "(--warm-start) has no `.safetensors` of any trial of this session";
            return Err(Error::file(folder, problem, ADVICE));
        };
        network.architecture = architecture_of(first.bytes(), &first.path)?;
        network.start = NetworkStart::Saved(saved);
        Ok(())
    }

    /// Files that a fit begins at.
    pub fn inputs(options: &FitOptions) -> impl Iterator<Item = &Path> {
        let saved = match &options.trajectory {
            TrajectoryKind::Mlp(network) => match &network.start {
                NetworkStart::Saved(saved) => &saved[..],
                NetworkStart::Random | NetworkStart::Guess | NetworkStart::BSpline => &[],
            },
            TrajectoryKind::BSpline => &[],
        };
        saved.iter().map(|s| s.path.as_path())
    }

    /// As options, but for [`Self::warm_start`].
    pub fn options(&self) -> Result<NetworkOptions> {
        let mut options = if self.paper { NetworkOptions::published() } else { NetworkOptions::default() };
        if let Some(size) = &self.network {
            options.architecture = architecture(size)?;
        }
        if self.optimizer == Some(Method::Lbfgs) {
            options.optimizer = Optimizer::Lbfgs;
        }
        if self.optimizer == Some(Method::Lbfgs) {
            let given = [("--batch", self.batch.is_some()), ("--learning-rate", self.learning_rate.is_some())];
            if let Some((name, _)) = given.iter().find(|(_, given)| *given) {
                let problem = "is of AdamW: L-BFGS takes all frames, and finds the length of its steps itself";
                return Err(Error::input(name, problem, "leave it out, or leave out --optimizer lbfgs"));
            }
        }
        if self.steps == Some(0) {
            return Err(Error::input("--steps", "0 are none", "give 1 or more"));
        }
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
                    "give one above 0 and below 1",
                ));
            }
            (options.rates.network, options.taught) = (rate, 1.0);
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
    // The sizes of a named one are that one, encoding and all.
    let same = |a: &Architecture| a.layers == layers;
    if let Some(named) = [Architecture::small(), Architecture::medium(), Architecture::large()].into_iter().find(same) {
        return Ok(named);
    }
    let architecture = Architecture { concatenated: layers.len().min(3), layers, ..Architecture::small() };
    architecture.check(1.0)?;
    Ok(architecture)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        network: NetworkArguments,
    }

    fn line(words: &str) -> std::result::Result<NetworkOptions, String> {
        let line = Line::try_parse_from(std::iter::once("fit").chain(words.split_whitespace()));
        line.map_err(|e| e.to_string())?.network.options().map_err(|e| e.to_string())
    }

    #[test]
    fn options_that_would_do_nothing_or_harm_are_refused() {
        for (words, said) in [
            ("--paper --batch 40", "--batch"),
            ("--paper --network small", "--network"),
            ("--optimizer lbfgs --batch 40", "L-BFGS takes all frames"),
            ("--optimizer lbfgs --learning-rate 0.1", "--learning-rate: is of AdamW"),
            ("--steps 0", "give 1 or more"),
            ("--batch 3", "3 frames are no batch"),
            ("--learning-rate -1", "--learning-rate: -1 is none"),
            ("--learning-rate nan", "--learning-rate: NaN is none"),
            ("--learning-rate 1", "below 1"),
            ("--network 0,4", "sizes as 64,64"),
            ("--network tiny", "`tiny` is no size"),
        ] {
            let error = line(words).expect_err(words);
            assert!(error.contains(said), "{words}: {error}");
        }
        let options = line("--network 16,8 --seed 3 --steps 50 --batch 40 --learning-rate 0.01").unwrap();
        assert_eq!((options.architecture.layers, options.seed, options.max_steps), (vec![16, 8], 3, 50));
        assert_eq!(options.mini_batch.map(|m| (m.frames, m.seed)), Some((40, 3)));
        assert_eq!(line("--paper --steps 60").unwrap().max_steps, 60);
        assert_eq!(line("--network 128,256,512,1024").unwrap().architecture, Architecture::medium());
    }
}
