//! Keypoint sets: what the numbers of a detector mean, and by which marker of the skeleton each is observed.
//!
//! The built-in sets are the files of `data/keypoints`; any other set is a file of the same form, given by its path:
//!
//! ```toml
//! name = "MY_3"
//! points = [ { name = "Nose", marker = "Nose" }, { name = "LEye" }, { name = "LWrist", marker = "LWrist" } ]
//! ```
//!
//! or JSON `{"names": ["Nose", …]}`, where every point is observed by the marker of its own name.

use super::{Keypoint, KeypointSet, text};
use crate::error::{Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The files in `data/keypoints`, in the order they are listed to users.
const BUILTIN: [&str; 7] = [
    include_str!("../../data/keypoints/body_25.toml"),
    include_str!("../../data/keypoints/body_25b.toml"),
    include_str!("../../data/keypoints/coco_17.toml"),
    include_str!("../../data/keypoints/coco_133.toml"),
    include_str!("../../data/keypoints/halpe_26.toml"),
    include_str!("../../data/keypoints/blazepose_33.toml"),
    include_str!("../../data/keypoints/movi_87.toml"),
];

/// More points than any detector gives; a larger file is a mistake.
const MOST_POINTS: usize = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetFile {
    name: Option<String>,
    /// Citation, for readers of the file.
    #[serde(default, rename = "source")]
    _source: Option<String>,
    #[serde(default)]
    aliases: Vec<String>,
    points: Vec<Keypoint>,
}

#[derive(Deserialize)]
struct NamesFile {
    name: Option<String>,
    names: Vec<String>,
}

/// The sets that need no file, in a fixed order.
pub fn builtin() -> Vec<KeypointSet> {
    builtin_files().map(|file| KeypointSet { name: file.name.unwrap_or_default(), points: file.points }).collect()
}

fn builtin_files() -> impl Iterator<Item = SetFile> {
    // That each of them parses is held by a test.
    BUILTIN.iter().filter_map(|source| toml::from_str(source).ok())
}

/// The built-in set of that name or alias, whatever its case and its `_`, `-` and blanks; `None` for any other name.
pub fn by_name(name: &str) -> Option<KeypointSet> {
    let wanted = plain(name);
    builtin_files()
        .find(|file| file.name.iter().chain(&file.aliases).any(|known| plain(known) == wanted))
        .map(|file| KeypointSet { name: file.name.unwrap_or_default(), points: file.points })
}

/// Names of the built-in sets that have `points` points.
pub fn names_with(points: usize) -> Vec<String> {
    builtin().into_iter().filter(|set| set.points.len() == points).map(|set| set.name).collect()
}

/// The set that `set` names: a built-in one, or a TOML or JSON file, sought relative to each of `folders` in turn.
///
/// Returns the file too, if it came from one.
///
/// # Errors
/// An unknown name; a file that cannot be read, has no points, or names a point or marker twice.
pub fn find(set: &str, folders: &[&Path]) -> Result<(KeypointSet, Option<PathBuf>)> {
    if let Some(found) = by_name(set) {
        return Ok((found, None));
    }
    match folders.iter().map(|folder| folder.join(set)).find(|path| path.is_file()) {
        Some(path) => Ok((read(&path)?, Some(path))),
        None => Err(Error::input(
            format_args!("keypoint set `{set}`"),
            "neither a built-in set nor a file that exists",
            format_args!("use one of {} or the path of a .toml or .json file that lists the points", known_names()),
        )),
    }
}

/// What [`find`] finds for a set given on the command line, as a name or path that holds wherever it is said: a file is
/// sought from where the command runs, then in the session's folder.
///
/// # Errors
/// As for [`find`].
pub(super) fn resolve(set: &str, session: &Path) -> Result<String> {
    let (_, file) = find(set, &[Path::new(""), session])?;
    Ok(file.map_or_else(|| set.to_owned(), |file| file.to_string_lossy().into_owned()))
}

/// Reads a set from a TOML or JSON file.
///
/// # Errors
/// As for [`find`].
pub fn read(path: &Path) -> Result<KeypointSet> {
    let source = text::read(path)?;
    let json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let (name, points) = if json {
        let file: NamesFile = serde_json::from_str(&source).map_err(|error| {
            Error::input(
                format_args!("{}, line {}, column {}", path.display(), error.line(), error.column()),
                format_args!("not a list of keypoint names: {error}"),
                "expected {\"names\": [\"Nose\", …]} in the order of the detector's output",
            )
        })?;
        let points = file
            .names
            .into_iter()
            .map(|name| Keypoint { marker: Some(name.clone()), alternative: None, name })
            .collect();
        (file.name, points)
    } else {
        let file: SetFile = toml::from_str(&source).map_err(|error| {
            text::toml_error(
                path,
                &source,
                &error,
                "expected name = \"…\" and points = [ { name = \"Nose\", marker = \"Nose\" }, … ]",
            )
        })?;
        (file.name, file.points)
    };
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let set = KeypointSet { name: name.or(stem).unwrap_or_default(), points };
    check(&set, path)?;
    Ok(set)
}

fn check(set: &KeypointSet, path: &Path) -> Result<()> {
    let count = set.points.len();
    if count == 0 || count > MOST_POINTS {
        return Err(Error::file(
            path,
            format_args!("the keypoint set has {count} points"),
            "list the points of the detector's output, in its order",
        ));
    }
    let mut names = BTreeMap::new();
    let mut markers = BTreeMap::new();
    for (index, point) in set.points.iter().enumerate() {
        let twice = names.insert(&point.name, index).map(|first| (first, "named", &point.name)).or_else(|| {
            let marker = point.marker.as_ref()?;
            markers.insert(marker, index).map(|first| (first, "given the marker", marker))
        });
        if let Some((first, how, name)) = twice {
            return Err(Error::file(
                path,
                format_args!("points {first} and {index} (counted from 0) are both {how} `{name}`"),
                "give every point a name of its own, and a marker to at most one point",
            ));
        }
    }
    Ok(())
}

/// `BODY_25, BODY_25B, …`, for messages.
pub fn known_names() -> String {
    builtin().into_iter().map(|set| set.name).collect::<Vec<_>>().join(", ")
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn markers(set: &KeypointSet) -> Vec<&str> {
        set.points.iter().filter_map(|point| point.marker.as_deref()).collect()
    }

    #[test]
    fn every_builtin_file_parses_and_has_the_points_its_name_says() {
        let sets = builtin();
        assert_eq!(sets.len(), BUILTIN.len());
        for set in &sets {
            let digits: String = set.name.chars().filter(char::is_ascii_digit).collect();
            assert_eq!(set.points.len(), digits.parse::<usize>().unwrap(), "{}", set.name);
            check(set, Path::new(&set.name)).unwrap();
        }
    }

    #[test]
    fn eyes_ears_and_face_carry_no_marker() {
        for (name, count) in [
            ("BODY_25", 21),
            ("BODY_25B", 21),
            ("COCO_17", 13),
            ("HALPE_26", 22),
            ("BlazePose_33", 23),
            ("MoVi_87", 87),
        ] {
            let set = by_name(name).unwrap();
            assert_eq!(markers(&set).len(), count, "{name}");
            assert!(markers(&set).iter().all(|marker| !marker.contains("Eye") && !marker.contains("Ear")), "{name}");
        }
        // Body 13, feet 6, two knuckles of each hand.
        assert_eq!(markers(&by_name("COCO_133").unwrap()).len(), 23);
    }

    #[test]
    fn numbers_mean_what_the_detectors_document() {
        let name = |set: &str, index: usize| by_name(set).unwrap().points[index].name.clone();
        assert_eq!(name("BODY_25", 8), "MidHip");
        assert_eq!(name("BODY_25", 19), "LBigToe");
        assert_eq!(name("BODY_25B", 18), "HeadTop");
        assert_eq!(name("BODY_25B", 24), "RHeel");
        assert_eq!(name("COCO_17", 16), "RAnkle");
        assert_eq!(name("HALPE_26", 21), "RBigToe");
        assert_eq!(name("COCO_133", 22), "RHeel");
        assert_eq!(name("COCO_133", 91), "LHandRoot");
        assert_eq!(name("COCO_133", 132), "RPinky4");
        assert_eq!(name("BlazePose_33", 31), "LFootIndex");
    }

    #[test]
    fn names_are_found_however_they_are_written() {
        for (written, name) in [
            ("BODY25B", "BODY_25B"),
            ("body_25b", "BODY_25B"),
            ("body-25", "BODY_25"),
            ("Body_with_feet", "HALPE_26"),
            ("Whole_body", "COCO_133"),
            ("whole body", "COCO_133"),
            ("Body", "COCO_17"),
            ("BLAZEPOSE", "BlazePose_33"),
            ("movi", "MoVi_87"),
        ] {
            assert_eq!(by_name(written).map(|set| set.name).as_deref(), Some(name), "{written}");
        }
        assert_eq!(names_with(25), ["BODY_25", "BODY_25B"]);
        let error = find("BODY_26", &[Path::new(".")]).unwrap_err().to_string();
        assert!(error.contains("BODY_26") && error.contains("BODY_25B"), "{error}");
    }

    #[test]
    fn files_of_both_forms_are_read_and_bad_ones_named() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, body: &str| {
            std::fs::write(dir.path().join(name), body).unwrap();
            find(name, &[dir.path()])
        };
        let (set, file) = put("three.json", r#"{"names": ["a", "b", "c"]}"#).unwrap();
        assert_eq!((set.name.as_str(), markers(&set)), ("three", vec!["a", "b", "c"]));
        assert_eq!(file, Some(dir.path().join("three.json")));
        let (set, _) =
            put("two.toml", "name = 'X'\npoints = [{ name = 'a' }, { name = 'b', marker = 'Nose' }]").unwrap();
        assert_eq!((set.name.as_str(), markers(&set)), ("X", vec!["Nose"]));
        for (name, body, expected) in [
            ("dup.json", r#"{"names": ["a", "a"]}"#, "points 0 and 1"),
            ("none.json", r#"{"names": []}"#, "0 points"),
            ("cut.json", "{\"names\": [\"a\",", "line 1"),
            ("cut.toml", "name = 'X'\npoints = [{ nam", "line 2"),
            ("typo.toml", "name = 'X'\n\npoints = []\nmarker = 1", "line 4"),
        ] {
            let error = put(name, body).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(expected) && error.to_string().contains(name), "{error}");
        }
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), json: bool) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(if json { "set.json" } else { "set.toml" });
            std::fs::write(&path, bytes).unwrap();
            let _ = read(&path);
        }
    }
}
