//! `manifest.json`: what made the files of a folder, from what, and what each of them is.

use super::atomic::NewFile;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

/// What a fit was made from: everything needed to make it again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The command as typed; empty where the library was called.
    pub command: Vec<String>,
    /// Options, as the caller's type serialises.
    pub options: serde_json::Value,
    /// Seeds by what they were used for; empty where nothing was drawn at random.
    pub seeds: BTreeMap<String, u64>,
    /// Files and folders read.
    pub inputs: Vec<Input>,
}

/// A file that was read, or a folder of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// As given.
    pub path: String,
    /// SHA-256 of the content, lower-case hexadecimal; of a folder, see [`hash_input`].
    pub sha256: String,
}

impl Provenance {
    /// With these options and no inputs yet.
    ///
    /// # Errors
    /// Options that JSON cannot hold.
    pub fn new(options: &impl Serialize) -> Result<Self> {
        let options = serde_json::to_value(options).map_err(|e| {
            Error::input("options", format_args!("cannot be recorded: {e}"), "use options that serialise to JSON")
        })?;
        Ok(Self { options, ..Self::default() })
    }

    /// Adds a file or folder with its hash.
    ///
    /// # Errors
    /// As for [`hash_input`].
    pub fn add_input(&mut self, path: &Path) -> Result<()> {
        let sha256 = hash_input(path)?;
        self.inputs.push(Input { path: path.display().to_string(), sha256 });
        Ok(())
    }
}

/// SHA-256 of a file. Of a folder: of one line `<sha256>  <name>` for each file directly in it, sorted by name, as
/// `sha256sum *` prints them.
///
/// # Errors
/// [`Error::Input`] naming the file that cannot be read.
pub fn hash_input(path: &Path) -> Result<String> {
    if !path.is_dir() {
        return hash_file(path);
    }
    let unreadable = |e: io::Error| Error::unreadable(path, &e);
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    let mut all = Sha256::new();
    for file in files {
        let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        all.update(format!("{}  {name}\n", hash_file(&file)?));
    }
    Ok(hex(&all.finalize()))
}

fn hash_file(path: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    File::open(path)
        .and_then(|mut file| io::copy(&mut file, &mut hasher))
        .map_err(|error| Error::unreadable(path, &error))?;
    Ok(hex(&hasher.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this layout.
    pub format: u32,
    /// Version of kinefit.
    pub kinefit: String,
    /// Operating system and processor of the program.
    pub platform: String,
    /// Name of the session.
    pub session: String,
    /// How it was made.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// Files beside this one.
    pub files: Vec<FileEntry>,
    /// Files that could have been expected, and why they are not there.
    pub absent: Vec<Absent>,
}

/// A written file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Name in this folder.
    pub name: String,
    /// What it holds, in which units and frame.
    pub what: String,
    /// SHA-256 of its content.
    pub sha256: String,
}

/// A file that was not written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absent {
    /// The name it would have.
    pub name: String,
    /// Why it is not there.
    pub why: String,
}

impl FileEntry {
    /// The entry of a file about to be written.
    pub fn new(file: &NewFile, what: impl Into<String>) -> Self {
        Self { name: file.name.clone(), what: what.into(), sha256: hex(&Sha256::digest(&file.content)) }
    }
}

/// Names of the files that an earlier run's manifest in the folder says it wrote; none where there is no manifest of ours. Only
/// plain names: nothing outside the folder can be meant.
pub(super) fn written_before(folder: &Path) -> Vec<String> {
    let read = || -> Option<Manifest> { serde_json::from_slice(&fs::read(folder.join("manifest.json")).ok()?).ok() };
    let is_plain = |name: &String| {
        let mut parts = Path::new(name).components();
        matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name.as_str())
    };
    read().map_or(Vec::new(), |m| m.files.into_iter().map(|f| f.name).filter(is_plain).collect())
}

impl Manifest {
    /// With the version and platform of this program.
    pub fn new(session: &str, provenance: &Provenance, files: Vec<FileEntry>, absent: Vec<Absent>) -> Self {
        Self {
            format: 1,
            kinefit: super::VERSION.into(),
            platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            session: session.into(),
            provenance: provenance.clone(),
            files,
            absent,
        }
    }

    /// The file's text.
    pub fn to_json(&self) -> String {
        super::json(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_sha256sum_does() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("b"), "abc").unwrap();
        fs::write(place.path().join("a"), "").unwrap();
        // FIPS 180-4's example, and the well-known hash of nothing.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hash_input(&place.path().join("b")).unwrap(), abc);
        let lines = format!("{nothing}  a\n{abc}  b\n");
        assert_eq!(hash_input(place.path()).unwrap(), hex(&Sha256::digest(lines)));
        let error = hash_input(&place.path().join("c")).unwrap_err().to_string();
        assert!(error.contains("c: cannot be read"), "{error}");
    }
}
