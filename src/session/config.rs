//! What a Pose2Sim `Config.toml` says that a session needs: frame rate, keypoint set, frame range.
//!
//! Configurations nest: a trial's own stands before the session's. Values that are left to the tool (`"auto"`, empty
//! lists) count as not stated. The height of the participant is not taken over, because the files are shipped with a
//! default in its place and it would count as a measurement here.

use super::text;
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Name of the file.
const FILE_NAME: &str = "Config.toml";

/// One value and the file that states it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stated<T> {
    pub value: T,
    pub file: PathBuf,
}

/// What one file states.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Config {
    pub rate_hz: Option<Stated<f64>>,
    pub keypoints: Option<Stated<String>>,
    pub frames: Option<[i64; 2]>,
    pub file: Option<PathBuf>,
}

impl Config {
    /// Reads the `Config.toml` of a folder; all unstated where there is none.
    ///
    /// # Errors
    /// A file that cannot be read or is no TOML; a value of another kind than Pose2Sim documents.
    pub(super) fn of_folder(folder: &Path) -> Result<Self> {
        let file = folder.join(FILE_NAME);
        if !file.is_file() {
            return Ok(Self::default());
        }
        let source = text::read(&file)?;
        let table: Table = toml::from_str(&source).map_err(|error| {
            text::toml_error(&file, &source, &error, "correct this line; Pose2Sim's documentation shows a Config.toml")
        })?;
        let get = |section: &str, key: &str| table.get(section).and_then(|section| section.get(key));
        let stated = |value| Stated { value, file: file.clone() };
        Ok(Self {
            rate_hz: rate(get("project", "frame_rate"), &file)?.map(stated),
            keypoints: keypoints(get("pose", "pose_model"), &file)?.map(|value| Stated { value, file: file.clone() }),
            frames: frames(get("project", "frame_range"), &file)?,
            file: Some(file),
        })
    }
}

fn rate(value: Option<&Value>, file: &Path) -> Result<Option<f64>> {
    let rate = match value {
        None => return Ok(None),
        Some(Value::String(word)) if word.trim().is_empty() || word.eq_ignore_ascii_case("auto") => return Ok(None),
        Some(Value::Integer(rate)) => *rate as f64,
        Some(Value::Float(rate)) => *rate,
        Some(other) => return Err(wrong(file, "[project] frame_rate", other, "a number, or \"auto\"")),
    };
    super::description::check_rate(rate, format_args!("{}, [project] frame_rate", file.display()))?;
    Ok(Some(rate))
}

fn keypoints(value: Option<&Value>, file: &Path) -> Result<Option<String>> {
    match value {
        None => Ok(None),
        Some(Value::String(name)) if name.trim().is_empty() => Ok(None),
        Some(Value::String(name)) => Ok(Some(name.trim().to_owned())),
        Some(other) => Err(wrong(file, "[pose] pose_model", other, "the name of a keypoint set, or a file")),
    }
}

fn frames(value: Option<&Value>, file: &Path) -> Result<Option<[i64; 2]>> {
    let expected = "[first frame, one past the last], or []";
    match value {
        None | Some(Value::String(_)) => Ok(None),
        Some(Value::Array(list)) if list.is_empty() => Ok(None),
        Some(other @ Value::Array(list)) => match list.as_slice() {
            [Value::Integer(first), Value::Integer(end)] if first < end => Ok(Some([*first, *end])),
            // Some versions allow one range per trial, in an order that only the tool knows.
            _ => Err(wrong(file, "[project] frame_range", other, expected)),
        },
        Some(other) => Err(wrong(file, "[project] frame_range", other, expected)),
    }
}

fn wrong(file: &Path, key: &str, found: &Value, expected: &str) -> Error {
    let found: String = found.to_string().chars().take(60).collect();
    Error::input(
        format_args!("{}, {key}", file.display()),
        format_args!("is {found}; expected {expected}"),
        "correct the value, or take the line out and give --rate, --keypoints or --frames",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(body: &str) -> Result<Config> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE_NAME), body).unwrap();
        Config::of_folder(dir.path())
    }

    #[test]
    fn what_is_stated_is_read_and_what_is_left_open_is_not() {
        let config =
            read("[project]\nframe_rate = 59.94\nframe_range = [2, 9]\n[pose]\npose_model = 'HALPE_26'\n").unwrap();
        assert_eq!(config.rate_hz.map(|rate| rate.value), Some(59.94));
        assert_eq!(config.keypoints.map(|set| set.value).as_deref(), Some("HALPE_26"));
        assert_eq!(config.frames, Some([2, 9]));
        let open = read("[project]\nframe_rate = 'auto'\nframe_range = []\n[pose]\nvid_img_extension = 'mp4'").unwrap();
        assert_eq!((open.rate_hz, open.keypoints, open.frames), (None, None, None));
        assert_eq!(Config::of_folder(Path::new("/nowhere")).unwrap(), Config::default());
    }

    #[test]
    fn wrong_values_are_named() {
        for (body, expected) in [
            ("[project]\nframe_rate = -5", "-5 Hz"),
            ("[project]\nframe_rate = nan", "NaN Hz"),
            ("[project]\nframe_rate = 'fast'", "frame_rate"),
            ("[project]\nframe_range = [9, 2]", "frame_range"),
            ("[pose]\npose_model = 25", "pose_model"),
            ("[project]\nframe_rate = ", "line 2"),
        ] {
            let error = read(body).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(expected) && error.to_string().contains(FILE_NAME), "{error}");
        }
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(body in "(\\[project\\]\nframe_rate = )?\\PC{0,80}") {
            let _ = read(&body);
        }
    }
}
