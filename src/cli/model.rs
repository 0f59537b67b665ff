//! `--model` and `--marker-set`.

use crate::error::Result;
use crate::fit::default_skeleton;
use crate::skeleton::{Skeleton, read_marker_set, read_model};
use clap::Args;
use std::path::PathBuf;

/// Which model.
#[derive(Debug, Args)]
pub(super) struct ModelArguments {
    /// Model: OpenSim (.osim) or MuJoCo (.xml) [default: the built-in full body]
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// OpenSim MarkerSet file whose markers are added to the model's; may be repeated
    #[arg(long, value_name = "FILE")]
    pub marker_set: Vec<PathBuf>,
}

impl ModelArguments {
    /// Whether the body is the built-in one, perhaps with more markers.
    pub fn is_built_in(&self) -> bool {
        self.model.is_none()
    }

    /// Reads the model with its markers.
    pub fn read(&self) -> Result<Skeleton> {
        let mut skeleton = match &self.model {
            Some(path) => read_model(path)?,
            None => default_skeleton()?,
        };
        for path in &self.marker_set {
            read_marker_set(path, &mut skeleton)?;
        }
        Ok(skeleton)
    }

    /// The files it consists of.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.model.iter().chain(&self.marker_set)
    }
}
