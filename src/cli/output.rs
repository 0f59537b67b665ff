//! What every fitting command does with a fit: the folder is probed before it, files and summary are written after it.

use super::console::{Console, print};
use crate::error::{Error, Result};
use crate::fit::{SessionFit, Status};
use crate::report::{OutputFolder, Provenance, summary, write_all, write_broken};
use crate::session::Session;
use nalgebra::Rotation3;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A folder that will hold results. Where the command made it and nothing came of it, it goes again.
pub(super) struct Output {
    folder: OutputFolder,
    /// Folders that did not exist before, innermost first.
    made: Vec<PathBuf>,
    filled: bool,
}

impl Output {
    /// Makes sure that files can be written there.
    ///
    /// # Errors
    /// [`Error::Output`] naming the folder.
    pub fn open(path: &Path) -> Result<Self> {
        let made = path
            .ancestors()
            .take_while(|p| !p.as_os_str().is_empty() && fs::symlink_metadata(p).is_err())
            .map(Path::to_path_buf)
            .collect();
        Ok(Self { folder: OutputFolder::open(path)?, made, filled: false })
    }

    /// Writes all files of a fit; prints its warnings and the summary, or with `json` the `outcome.json`. The exit status is
    /// 1 where the fit failed.
    ///
    /// # Errors
    /// [`Error::Output`] naming the file.
    pub fn write(
        mut self,
        fit: &SessionFit,
        provenance: &Provenance,
        json: bool,
        console: &Console,
    ) -> Result<ExitCode> {
        write_all(fit, &self.folder, provenance)?;
        self.filled = true;
        for warning in &fit.warnings {
            console.warn(warning);
        }
        if json {
            self.print_outcome()?;
        } else {
            print(&summary(fit, Some(self.folder.path())))?;
        }
        Ok(ExitCode::from(u8::from(fit.status == Status::Failed)))
    }

    /// Writes that a fit broke down, and gives its error back; other errors come back as they are, and nothing is written.
    ///
    /// # Errors
    /// [`Error::Output`] naming the file.
    pub fn write_broken(
        mut self,
        session: &Session,
        ground_from_world: &Rotation3<f64>,
        error: Error,
        provenance: &Provenance,
        json: bool,
    ) -> Result<Error> {
        if matches!(error, Error::Fit { .. }) {
            write_broken(session, ground_from_world, &error, &self.folder, provenance)?;
            self.filled = true;
            if json {
                self.print_outcome()?;
            }
        }
        Ok(error)
    }

    fn print_outcome(&self) -> Result<()> {
        let path = self.folder.path().join("outcome.json");
        print(&fs::read_to_string(&path).map_err(|e| Error::unreadable(&path, &e))?)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if !self.filled {
            // Only empty folders can be removed this way, and what stays behind is harmless.
            for folder in &self.made {
                let _ = fs::remove_dir(folder);
            }
        }
    }
}

/// Folder and name of a file that is to be written.
pub(super) fn place(path: &Path) -> Result<(&Path, &str)> {
    let name = path
        .file_name()
        .and_then(OsStr::to_str)
        .ok_or_else(|| Error::input(path.display(), "is no name of a file", "name a file, such as out.json"))?;
    Ok((path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")), name))
}

/// The command as typed.
pub(super) fn command_line() -> Vec<String> {
    std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect()
}

/// Name of a folder made from the name of a session, which may hold anything.
pub(super) fn folder_name(session: &str) -> String {
    let safe = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    format!("kinefit_{}", session.chars().map(safe).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_name_makes_one_folder() {
        assert_eq!(folder_name("walk 1/../é"), "kinefit_walk_1_.._é");
    }

    #[test]
    fn a_folder_made_for_nothing_goes_again() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a/b");
        drop(Output::open(&path).unwrap());
        assert!(!place.path().join("a").exists());
        fs::create_dir(place.path().join("a")).unwrap();
        drop(Output::open(&path).unwrap());
        assert!(place.path().join("a").is_dir() && !path.exists());
        fs::create_dir(&path).unwrap();
        drop(Output::open(&path).unwrap());
        assert!(path.is_dir());
    }
}
