//! Writing without ever leaving half a file behind.
//!
//! All files of a set are first written completely, under hidden temporary names in the folder they belong to, and flushed to
//! the disk; only then are they renamed, one after another. Whatever fails before that leaves the folder as it was, and a
//! rename replaces a file in one step, so that a reader sees the old one or the new one, never a part.

use crate::error::{Error, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A file's name within its folder, and its whole content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Name, without any folder.
    pub name: String,
    /// Content.
    pub content: Vec<u8>,
}

/// A folder that exists and was found writable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFolder {
    path: PathBuf,
}

impl OutputFolder {
    /// Creates the folder where it is missing, and writes and removes a small file in it: a folder that cannot be written is
    /// found before a fit starts, not after.
    ///
    /// # Errors
    /// [`Error::Output`], with what the operating system said.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        fs::create_dir_all(&path).map_err(|e| Error::output(&path, e))?;
        let probe = Staged::new(&path, "probe", b"kinefit").map_err(|e| Error::output(&path, e))?;
        drop(probe);
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes one file.
    ///
    /// # Errors
    /// [`Error::Output`]; a file of that name is then still what it was.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf> {
        let staged = self.stage(name, content)?;
        self.publish(vec![(name, staged)]).map(|mut paths| paths.pop().unwrap_or_else(|| self.path.join(name)))
    }

    /// Writes a set of files: none is replaced before all are complete on the disk. They are put in place in the order given.
    ///
    /// # Errors
    /// [`Error::Output`], naming the file; files not yet put in place are then still what they were.
    pub fn write_set(&self, files: &[NewFile]) -> Result<Vec<PathBuf>> {
        self.replace_set(files, &[])
    }

    /// The same for a set that takes the place of an earlier one: once all new files are complete on the disk, files of the names
    /// in `old` that are not among the new ones are removed. `old` must be plain names; folders and what is not there stay as they are.
    ///
    /// # Errors
    /// As for [`OutputFolder::write_set`], and where an old file cannot be removed.
    pub fn replace_set(&self, files: &[NewFile], old: &[String]) -> Result<Vec<PathBuf>> {
        let staged = files
            .iter()
            .map(|file| Ok((file.name.as_str(), self.stage(&file.name, &file.content)?)))
            .collect::<Result<Vec<_>>>()?;
        for name in old.iter().filter(|name| files.iter().all(|f| f.name != **name)) {
            let path = self.path.join(name);
            if fs::symlink_metadata(&path).is_ok_and(|m| !m.is_dir()) {
                fs::remove_file(&path).map_err(|e| Error::output(&path, e))?;
            }
        }
        self.publish(staged)
    }

    fn stage(&self, name: &str, content: &[u8]) -> Result<Staged> {
        let place = self.path.join(name);
        // A folder in the file's place would only be found when other files are already renamed.
        if place.is_dir() {
            return Err(Error::output(&place, io::Error::new(io::ErrorKind::IsADirectory, "a folder has this name")));
        }
        Staged::new(&self.path, name, content).map_err(|e| Error::output(&place, e))
    }

    fn publish(&self, staged: Vec<(&str, Staged)>) -> Result<Vec<PathBuf>> {
        let mut paths = Vec::with_capacity(staged.len());
        for (name, file) in staged {
            let path = self.path.join(name);
            file.rename(&path).map_err(|e| Error::output(&path, e))?;
            paths.push(path);
        }
        // The renames survive a power cut only once the folder itself is flushed. Not every system can do that to a folder,
        // and where it cannot the files are none the less whole.
        if let Ok(folder) = File::open(&self.path) {
            let _ = folder.sync_all();
        }
        Ok(paths)
    }
}

/// A complete file under a temporary name; removed when dropped without [`Staged::rename`].
struct Staged {
    temporary: Option<PathBuf>,
}

impl Staged {
    fn new(folder: &Path, name: &str, content: &[u8]) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        // Process and count keep runs that share a folder apart; `create_new` refuses to follow a link left there.
        let unique = format!(".{name}.{}-{}.tmp", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let temporary = folder.join(unique);
        let mut file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
        let staged = Self { temporary: Some(temporary) };
        file.write_all(content)?;
        file.sync_all()?;
        Ok(staged)
    }

    fn rename(mut self, path: &Path) -> io::Result<()> {
        if let Some(temporary) = self.temporary.take()
            && let Err(error) = fs::rename(&temporary, path)
        {
            self.temporary = Some(temporary);
            return Err(error);
        }
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            // Nothing more can be done about a temporary file that will not go.
            let _ = fs::remove_file(temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn new_file(name: &str, content: &str) -> NewFile {
        NewFile { name: name.into(), content: content.into() }
    }

    #[test]
    fn creates_the_folder_and_leaves_no_trace_of_the_probe() {
        let place = tempfile::tempdir().unwrap();
        let folder = OutputFolder::open(place.path().join("a/b")).unwrap();
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error_that_names_it() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("file"), "x").unwrap();
        let error = OutputFolder::open(place.path().join("file/out")).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("file/out"), "{error}");
        assert!(OutputFolder::open(place.path().join("file")).is_err());
    }

    #[test]
    fn a_failure_on_the_way_leaves_every_previous_file_intact() {
        let place = tempfile::tempdir().unwrap();
        let folder = OutputFolder::open(place.path()).unwrap();
        folder.write_set(&[new_file("a", "old a"), new_file("b", "old b")]).unwrap();
        fs::create_dir(place.path().join("c")).unwrap();
        let set = [new_file("a", "new a"), new_file("b", "new b"), new_file("c", "in the way"), new_file("d", "new")];
        let error = folder.write_set(&set).unwrap_err();
        assert!(error.to_string().contains('c'), "{error}");
        assert_eq!(fs::read_to_string(place.path().join("a")).unwrap(), "old a");
        assert_eq!(fs::read_to_string(place.path().join("b")).unwrap(), "old b");
        assert_eq!(names(place.path()), ["a", "b", "c"]);

        // A folder that does not exist: the operating system refuses the second file after the first was staged.
        let set = [new_file("a", "new a"), new_file("missing/b", "new b")];
        assert!(folder.write_set(&set).is_err());
        assert_eq!(fs::read_to_string(place.path().join("a")).unwrap(), "old a");
        assert_eq!(names(place.path()), ["a", "b", "c"]);
    }

    #[test]
    fn replaces_in_one_step() {
        let place = tempfile::tempdir().unwrap();
        let folder = OutputFolder::open(place.path()).unwrap();
        folder.write("a", b"a long old content").unwrap();
        assert_eq!(folder.write("a", b"new").unwrap(), place.path().join("a"));
        assert_eq!(fs::read_to_string(place.path().join("a")).unwrap(), "new");
        assert_eq!(names(place.path()), ["a"]);
    }
}
