//! The command as a user meets it: exit status, messages, files. One program with a module per command: each would be linked with the whole library.

#[path = "../common/mod.rs"]
mod common;
mod convert;
mod fit;
mod fk;
mod ik;
mod mistakes;

use kinefit::fit::default_skeleton;
use kinefit::skeleton::ScaleGroups;
use kinefit::synthetic::{SyntheticOptions, generate};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

fn kinefit(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kinefit")).current_dir(folder).args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A session folder of somebody walking, three cameras and twelve frames, in which mistakes can be made.
struct Recording {
    place: TempDir,
}

impl Recording {
    fn new() -> Self {
        let options = SyntheticOptions { cameras: 3, frames: 12, seed: 5, ..SyntheticOptions::default() };
        let skeleton = default_skeleton().unwrap();
        let made = generate(&skeleton, &ScaleGroups::default_for(&skeleton), &options).unwrap();
        let place = tempfile::tempdir().unwrap();
        made.write(&place.path().join("session")).unwrap();
        Self { place }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join("session").join(name)
    }

    fn calibration(&self) -> PathBuf {
        self.path("calibration/Calib.toml")
    }

    fn put(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    /// Replaces the first occurrence in a file.
    fn replace(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "`{from}` is not in {name}:\n{text}");
        fs::write(self.path(name), text.replacen(from, to, 1)).unwrap();
    }

    /// The keypoint files of camera `c` (from 1), in order.
    fn files(&self, c: usize) -> Vec<PathBuf> {
        let folder = self.path(&format!("walk/pose/cam{c:02}_json"));
        let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        files
    }

    fn fit(&self, arguments: &[&str]) -> Output {
        kinefit(self.place.path(), &[&["fit", "session", "--out", "results"], arguments].concat())
    }

    /// That the fit is refused as bad input, with all of `parts` in what is said, and nothing written.
    fn refused(&self, arguments: &[&str], parts: &[&str]) {
        let output = self.fit(arguments);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{parts:?}: {said}");
        assert!(output.stdout.is_empty());
        let error = said.split_once("error: ").unwrap_or_else(|| panic!("no error in: {said}")).1;
        for part in parts {
            assert!(error.contains(part), "`{part}` is not in: {error}");
        }
        let advice = error.lines().nth(1).unwrap_or_default();
        assert!(advice.starts_with("  ") && advice.len() > 10, "no advice in: {error}");
        assert!(!self.place.path().join("results").exists(), "something was written");
    }
}
