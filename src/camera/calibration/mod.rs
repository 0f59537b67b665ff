//! Calibration files: reading, writing, and finding them in a folder.
//!
//! | format | recognised by | read in |
//! |---|---|---|
//! | TOML of Pose2Sim, AniPose, Caliscope, FreeMoCap | anything that is not XML | `toml_tables` |
//! | Qualisys `.qca.txt` | the first character, `<` | `qualisys` |
//!
//! Whatever the format, a [`Rig`] that comes out of here has at least one camera, distinct names, positive sizes and focal
//! lengths, finite numbers throughout, proper rotations, and metres.

mod check;
mod qualisys;
mod toml_tables;

use super::Rig;
use crate::error::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// A calibration is a few kilobytes; a file larger than this is something else.
const MAX_BYTES: u64 = 16 << 20;

/// Reads a calibration file of any known format.
///
/// # Errors
/// Names the file and the camera when something in it cannot be used.
pub fn read(path: &Path) -> Result<Rig> {
    read_str(&read_text(path)?, &path.display().to_string())
}

/// Reads a calibration from memory; `place` is what error messages call it.
pub fn read_str(text: &str, place: &str) -> Result<Rig> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (rig, per_metre) = match is_xml(text) {
        true => (qualisys::read_str(text, place)?, qualisys::PER_METRE),
        false => (toml_tables::read_str(text, place)?, 1.0),
    };
    check::rig(&rig, place, per_metre)?;
    Ok(rig)
}

/// The cameras as a TOML file in Pose2Sim's dialect; [`read_str`] gives them back to rounding.
pub fn to_toml(rig: &Rig) -> String {
    toml_tables::write(rig)
}

/// Writes [`to_toml`] to a file, under a temporary name first.
pub fn write_toml(path: &Path, rig: &Rig) -> Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    fs::write(&temporary, to_toml(rig)).and_then(|()| fs::rename(&temporary, path)).map_err(|e| {
        // What was half written helps nobody; that it cannot be removed either adds nothing to the message.
        let _ = fs::remove_file(&temporary);
        Error::output(path, e)
    })
}

/// The calibration file in a folder: `Calib*.toml`, else `*.qca.txt`, else any other `.toml` that holds cameras.
///
/// The first kind goes before the second because Pose2Sim writes its conversion beside the Qualisys file.
///
/// # Errors
/// None of these, several of the same kind, or of different kinds that do not state the same cameras (which are listed).
pub fn find(folder: &Path) -> Result<PathBuf> {
    find_any(folder)?.ok_or_else(|| {
        Error::file(
            folder,
            "holds no calibration file (looked for Calib*.toml, *.qca.txt, and other .toml files with cameras)",
            "put the calibration of these cameras there",
        )
    })
}

/// [`find`], where there may be none.
///
/// # Errors
/// As there, but for none.
pub fn find_any(folder: &Path) -> Result<Option<PathBuf>> {
    let mut kinds: [Vec<PathBuf>; 3] = Default::default();
    for entry in fs::read_dir(folder).map_err(|e| Error::unreadable(folder, &e))? {
        let path = entry.map_err(|e| Error::unreadable(folder, &e))?.path();
        let Some(name) = path.file_name().map(|n| n.to_string_lossy().to_ascii_lowercase()) else { continue };
        // `cameras_truth.toml` of a synthetic session is what a fit must not see.
        if !path.is_file() || name.starts_with('.') || name.contains("truth") {
            continue;
        }
        if name.ends_with(".qca.txt") {
            kinds[1].push(path);
        } else if name.ends_with(".toml") {
            kinds[if name.starts_with("calib") { 0 } else { 2 }].push(path);
        }
    }
    kinds[2].retain(|path| read_text(path).is_ok_and(|text| toml_tables::holds_cameras(&text)));
    kinds.iter_mut().for_each(|candidates| candidates.sort());
    let several = |files: &[&PathBuf], what: &str| {
        let names: Vec<_> =
            files.iter().filter_map(|p| p.file_name()).map(|n| n.to_string_lossy().into_owned()).collect();
        let advice = "keep one of them here, or name the one you mean in session.toml";
        Err(Error::file(folder, format_args!("holds {what}: {}", names.join(", ")), advice))
    };
    let mut rest = kinds.iter().skip_while(|candidates| candidates.is_empty());
    if let Some(first) = rest.next() {
        let [one] = first.as_slice() else {
            return several(&first.iter().collect::<Vec<_>>(), "several calibration files");
        };
        let others: Vec<&PathBuf> = rest.flatten().collect();
        // What is wrong with the one that counts is said when it is read.
        for other in others {
            match agree(one, other) {
                Ok(true) => {}
                Ok(false) => return several(&[one, other], "calibration files that do not state the same cameras"),
                Err(why) => tracing::warn!("{} is passed over beside {}: {why}", other.display(), one.display()),
            }
        }
        return Ok(Some(one.clone()));
    }
    Ok(None)
}

/// Whether two files state the same cameras; `true` where the first cannot be read, which is said when it is.
///
/// # Errors
/// What is wrong with the second.
pub fn agree(one: &Path, other: &Path) -> Result<bool> {
    let Ok(rig) = read(one) else { return Ok(true) };
    Ok(check::same(&rig, &read(other)?))
}

fn is_xml(text: &str) -> bool {
    text.trim_start().starts_with('<')
}

fn read_text(path: &Path) -> Result<String> {
    let size = fs::metadata(path).map_err(|e| Error::unreadable(path, &e))?.len();
    if size > MAX_BYTES {
        return Err(Error::file(
            path,
            format_args!("is {} MB long, which no calibration file is", size >> 20),
            "check that this is the right file",
        ));
    }
    let bytes = fs::read(path).map_err(|e| Error::unreadable(path, &e))?;
    String::from_utf8(bytes).map_err(|e| {
        Error::file(
            path,
            format_args!("is not UTF-8 text (byte {})", e.utf8_error().valid_up_to()),
            "save it as UTF-8 text",
        )
    })
}

#[cfg(test)]
mod tests;
