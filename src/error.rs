//! One error type for the whole library.
//!
//! Every message is a sentence a user can act on: the place (file and line, or the item inside it), what is wrong there,
//! and what to do. The command turns [`Error::exit_code`] into its exit status: 2 for bad input, 1 for a fit that failed.

use std::fmt::Display;
use std::path::Path;

/// Result of every fallible function of this library.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something the user gave cannot be used as it is.
    #[error("{place}: {problem}\n  {advice}")]
    Input {
        /// File, and the line, camera, trial or element in it.
        place: String,
        /// What was found and what was expected.
        problem: String,
        /// What the user can do.
        advice: String,
    },
    /// A result could not be written.
    #[error(
        "{place}: cannot be written: {source}\n  choose a folder that exists and may be written to, for example with --out"
    )]
    Output {
        /// The file or folder.
        place: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The fit ran and did not give a usable result.
    #[error("the fit failed in stage `{stage}`: {reason}\n  {advice}")]
    Fit {
        /// `initialise`, `pose`, `subject` or `cameras`.
        stage: String,
        /// What was seen.
        reason: String,
        /// What the user can do.
        advice: String,
    },
    /// The user asked to stop before anything usable existed.
    #[error("interrupted before a result existed; nothing was written")]
    Interrupted,
}

/// Longest part of a message, bytes: what a file holds may be quoted in it, and a file may hold a name of a gigabyte.
const LONGEST: usize = 4000;

fn bounded(part: impl Display) -> String {
    let mut text = part.to_string();
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

impl Error {
    /// A mistake in the user's input: `place` names the file and the item, `problem` what was found and expected,
    /// `advice` what to do.
    pub fn input(place: impl Display, problem: impl Display, advice: impl Display) -> Self {
        Self::Input { place: bounded(place), problem: bounded(problem), advice: bounded(advice) }
    }

    /// The same for a file.
    pub fn file(path: &Path, problem: impl Display, advice: impl Display) -> Self {
        Self::input(path.display(), problem, advice)
    }

    /// A file that cannot be read at all.
    pub fn unreadable(path: &Path, source: &std::io::Error) -> Self {
        Self::file(path, format_args!("cannot be read: {source}"), "check the name and that you may read it")
    }

    /// A file or folder that cannot be written.
    pub fn output(path: &Path, source: std::io::Error) -> Self {
        Self::Output { place: path.display().to_string(), source }
    }

    /// A fit that gave nothing usable.
    pub fn fit(stage: impl Display, reason: impl Display, advice: impl Display) -> Self {
        Self::Fit { stage: stage.to_string(), reason: reason.to_string(), advice: advice.to_string() }
    }

    /// The command's exit status for this error: 2 for bad input (and places that cannot be written), 1 for a failed fit.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Input { .. } | Self::Output { .. } => 2,
            Self::Fit { .. } | Self::Interrupted => 1,
        }
    }
}
