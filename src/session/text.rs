//! Reading small text files with a bound on their size, and saying where in them a mistake is.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Larger than any file of keypoints, calibration or settings; bounds memory on hostile input.
const MOST_MIB: u64 = 64;

/// The bytes of a file.
///
/// # Errors
/// A file that cannot be read, or is larger than 64 MiB.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>> {
    bytes_up_to(path, MOST_MIB)
}

/// The bytes of a file that may have up to `most_mib` MiB.
///
/// # Errors
/// A file that cannot be read, or is larger.
pub(super) fn bytes_up_to(path: &Path, most_mib: u64) -> Result<Vec<u8>> {
    let most = most_mib << 20;
    let file = File::open(path).map_err(|error| Error::unreadable(path, &error))?;
    let expected = file.metadata().map_or(0, |metadata| metadata.len()).min(most);
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0) + 1);
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| Error::unreadable(path, &error))?;
    if bytes.len() as u64 > most {
        let problem = format_args!("larger than {most_mib} MiB");
        return Err(Error::file(path, problem, "this is not a file of the expected kind; check the name"));
    }
    Ok(bytes)
}

/// The text of a file; a byte-order mark is dropped.
///
/// # Errors
/// As for [`bytes`], and text that is not UTF-8.
pub(super) fn read(path: &Path) -> Result<String> {
    let text = String::from_utf8(bytes(path)?).map_err(|error| {
        Error::input(
            format_args!("{}, byte {}", path.display(), error.utf8_error().valid_up_to()),
            "not text in UTF-8",
            "save the file as UTF-8 text, or check that it is the one meant",
        )
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// A mistake that the TOML reader found, with its line.
pub(super) fn toml_error(path: &Path, source: &str, error: &toml::de::Error, advice: &str) -> Error {
    let place = match error.span() {
        Some(span) => {
            let line = source.bytes().take(span.start).filter(|&byte| byte == b'\n').count() + 1;
            format!("{}, line {line}", path.display())
        }
        None => path.display().to_string(),
    };
    Error::input(place, error.message(), advice)
}
