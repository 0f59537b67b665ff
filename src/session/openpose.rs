//! OpenPose 1.3 JSON: one file per camera and frame, `people[].pose_keypoints_2d = [u, v, confidence] · K`.
//!
//! Pixels of the distorted image, origin top left. The frame is the last number in the file's name. Detectors and the
//! tools around them write much that is not quite this, and all of it is taken: `{}`, people without points, points
//! that are 0, NaN (Python's bare `NaN` too) or absurd, confidences above 1 (see `confidence`), frames without a file, files that are
//! something else. A person whose array has another length than the keypoint set is skipped and counted.

use super::{Person, text};
use crate::error::{Error, Result};
use rayon::prelude::*;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Farther than this from the origin, pixels, is no place in an image.
const FARTHEST: f64 = 1e6;

/// How a bare `NaN` or infinity arrives here: in as few letters as `NaN` has, and beyond [`FARTHEST`].
const NAN: (&[u8; 3], f64) = (b"9e9", 9e9);

/// What one camera's folder holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Folder {
    /// The people of each frame that has a file, by the frame's number, in the file's order; confidences as written.
    pub frames: BTreeMap<i64, Vec<Person>>,
    /// How many people there were, by the length of their array; people without one are not counted.
    pub lengths: BTreeMap<usize, usize>,
    /// Files that are not keypoints: hidden, not JSON, or without a number in the name.
    pub strays: usize,
    /// The first file with a person whose array has not the length asked for.
    pub odd: Option<PathBuf>,
    /// Points with numbers that are no place in any image; they count as missing.
    pub nowhere: usize,
    /// The first of them, in its file.
    pub first_nowhere: Option<(PathBuf, [f64; 2])>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    people: Option<Vec<Figure>>,
}

#[derive(Deserialize)]
struct Figure {
    #[serde(default)]
    pose_keypoints_2d: Option<Vec<Option<f64>>>,
}

/// Reads all frames of one camera, in parallel; people with other than `keypoints` points are left out and counted.
///
/// # Errors
/// A folder or file that cannot be read; text that is not JSON or is cut off, with its line and column; two files of
/// the same frame.
pub fn read_folder(folder: &Path, keypoints: usize) -> Result<Folder> {
    let (files, strays) = list(folder)?;
    // Collected whole, so that the first file in order is the one blamed, whichever thread is first.
    let parsed: Vec<Result<Vec<Array>>> = files.par_iter().map(|(_, path)| read_file(path)).collect();
    let mut result = Folder { strays, ..Folder::default() };
    for ((frame, path), people) in files.into_iter().zip(parsed) {
        let mut kept = Vec::new();
        for person in people? {
            *result.lengths.entry(person.length).or_insert(0) += 1;
            result.nowhere += person.nowhere.len();
            if let (None, Some(&at)) = (&result.first_nowhere, person.nowhere.first()) {
                result.first_nowhere = Some((path.clone(), at));
            }
            if person.length == 3 * keypoints {
                kept.push(person.points);
            } else if result.odd.is_none() {
                result.odd = Some(path.clone());
            }
        }
        result.frames.insert(frame, kept);
    }
    Ok(result)
}

/// JSON files with a number in their name, by frame; and how many others there are.
fn list(folder: &Path) -> Result<(BTreeMap<i64, PathBuf>, usize)> {
    let mut files = BTreeMap::new();
    let mut strays = 0;
    for entry in fs::read_dir(folder).map_err(|error| Error::unreadable(folder, &error))? {
        let path = entry.map_err(|error| Error::unreadable(folder, &error))?.path();
        let Some(frame) = frame_number(&path).filter(|_| path.is_file()) else {
            strays += 1;
            continue;
        };
        if let Some(other) = files.insert(frame, path.clone()) {
            // Directory order is the system's; name the two in an order of their own.
            let (first, second) = if other < path { (other, path) } else { (path, other) };
            return Err(Error::file(
                &second,
                format_args!(
                    "has the frame number {frame} (the last number in its name), and so has {}",
                    first.display()
                ),
                "leave one file per frame in the folder, named so that the frame is the last number",
            ));
        }
    }
    Ok((files, strays))
}

/// The last number in the name of a JSON file that is not hidden.
fn frame_number(path: &Path) -> Option<i64> {
    let name = path.file_name()?.to_str()?;
    if name.starts_with('.') || !path.extension()?.eq_ignore_ascii_case("json") {
        return None;
    }
    let stem = path.file_stem()?.to_str()?;
    stem.rsplit(|c: char| !c.is_ascii_digit()).find(|digits| !digits.is_empty())?.parse().ok()
}

/// One person's array as it was, and its points.
struct Array {
    length: usize,
    points: Person,
    /// Places beyond any image, as written.
    nowhere: Vec<[f64; 2]>,
}

fn read_file(path: &Path) -> Result<Vec<Array>> {
    parse(&text::bytes(path)?, path)
}

/// The people in the bytes of one file, of any number of points, in the file's order; confidences as written. `path` names it in errors.
///
/// # Errors
/// What is not JSON of OpenPose's form or is cut off, with its line and column.
pub fn read_bytes(path: &Path, bytes: &[u8]) -> Result<Vec<Person>> {
    Ok(parse(bytes, path)?.into_iter().map(|person| person.points).collect())
}

fn parse(bytes: &[u8], path: &Path) -> Result<Vec<Array>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.trim_ascii_start().starts_with(b"[") {
        // A struct may be read from a list too; OpenPose writes an object.
        return Err(Error::input(
            format_args!("{}, line 1", path.display()),
            "a JSON list where OpenPose has an object",
            "expected {\"people\": [{\"pose_keypoints_2d\": [x, y, confidence, …]}]}",
        ));
    }
    let document: Document = serde_json::from_slice(&without_nan(bytes)).map_err(|error| {
        let advice = if error.is_eof() {
            "the file is cut off; write it again with the detector, or delete it (the frame then counts as not seen)"
        } else {
            "expected OpenPose's {\"people\": [{\"pose_keypoints_2d\": [x, y, confidence, …]}]}; write the file again or delete it"
        };
        Error::input(
            format_args!("{}, line {}, column {}", path.display(), error.line(), error.column()),
            format_args!("not keypoints in OpenPose's JSON: {error}"),
            advice,
        )
    })?;
    let figures = document.people.unwrap_or_default();
    Ok(figures
        .into_iter()
        .filter_map(|figure| figure.pose_keypoints_2d)
        .filter(|numbers| !numbers.is_empty())
        .map(|numbers| Array { length: numbers.len(), points: points(&numbers), nowhere: nowhere(&numbers) })
        .collect())
}

/// Cleaned points: missing is all 0. Confidences stay on the file's scale, which one person does not tell.
fn points(numbers: &[Option<f64>]) -> Person {
    let missing = [0.0; 3];
    numbers
        .chunks_exact(3)
        .map(|triple| match *triple {
            [Some(u), Some(v), Some(confidence)] => {
                let placed = u.abs() <= FARTHEST && v.abs() <= FARTHEST && (u != 0.0 || v != 0.0);
                if placed && confidence > 0.0 && confidence <= FARTHEST { [u, v, confidence] } else { missing }
            }
            _ => missing,
        })
        .collect()
}

/// Places of confident points that are numbers, but beyond any image.
fn nowhere(numbers: &[Option<f64>]) -> Vec<[f64; 2]> {
    let beyond = |x: f64| x.abs() > FARTHEST && x.abs() != NAN.1;
    numbers
        .chunks_exact(3)
        .filter_map(|triple| match *triple {
            [Some(u), Some(v), Some(confidence)] if confidence > 0.0 && (beyond(u) || beyond(v)) => Some([u, v]),
            _ => None,
        })
        .collect()
}

/// The text with bare `NaN`, `nan`, `Infinity` and `inf` (no JSON, but written by Python and C) replaced by [`NAN`], byte
/// for byte, so that places in messages stay true.
fn without_nan(text: &[u8]) -> Cow<'_, [u8]> {
    let suspicious = |window: &[u8]| window.eq_ignore_ascii_case(b"nan") || window.eq_ignore_ascii_case(b"inf");
    if !text.windows(3).any(suspicious) {
        return Cow::Borrowed(text);
    }
    let mut clean = text.to_vec();
    let mut in_string = false;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let rest = text.get(at..).unwrap_or_default();
        let word = |word: &[u8]| rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        let mut length = 1;
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => length = 2,
            _ if in_string => {}
            _ if word(b"infinity") => length = 8,
            _ if word(b"nan") || word(b"inf") => length = 3,
            _ => {}
        }
        if length >= 3
            && let Some(place) = clean.get_mut(at..at + length)
        {
            place.fill(b' ');
            place.iter_mut().zip(NAN.0).for_each(|(to, &from)| *to = from);
        }
        at += length;
    }
    Cow::Owned(clean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn people(text: &str) -> Vec<Person> {
        parse(text.as_bytes(), Path::new("x.json")).unwrap().into_iter().map(|array| array.points).collect()
    }

    fn person(numbers: &str) -> Person {
        people(&format!("{{\"people\":[{{\"pose_keypoints_2d\":[{numbers}]}}]}}")).remove(0)
    }

    #[test]
    fn nobody_in_many_spellings() {
        for text in [
            "{}",
            "{\"version\":1.3}",
            "{\"people\":[]}",
            "{\"people\":null}",
            "{\"people\":[{}]}",
            "{\"people\":[{\"pose_keypoints_2d\":[]}]}",
            "{\"people\":[{\"pose_keypoints_2d\":null}]}",
            "\u{feff}{}",
        ] {
            assert!(people(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn dirt_becomes_missing() {
        let gone = [0.0; 3];
        assert_eq!(person("0,0,0, 1,2,0.5"), [gone, [1.0, 2.0, 0.5]]);
        assert_eq!(person("1,2,3.5, 1,2,-1"), [[1.0, 2.0, 3.5], gone]);
        assert_eq!(person("NaN,NaN,0.9, 5,-nan,0.9, 5,6,NaN"), [gone, gone, gone]);
        assert_eq!(person("-Infinity,1,1, inf,1,1, 1,1,Infinity"), [gone, gone, gone]);
        assert_eq!(person("null,1,1, 1e300,1,1, 0,0,0.7"), [gone, gone, gone]);
        // Left of or above the image is a place, and one coordinate may be 0.
        assert_eq!(person("-3,0,0.7"), [[-3.0, 0.0, 0.7]]);
    }

    #[test]
    fn words_inside_strings_are_left_alone() {
        let text = r#"{"name":"nan \" inf","people":[{"pose_keypoints_2d":[NaN,1,1]}]}"#;
        let clean = without_nan(text.as_bytes());
        assert_eq!(clean.len(), text.len());
        assert!(clean.starts_with(br#"{"name":"nan \" inf""#));
        assert_eq!(people(text), [vec![[0.0; 3]]]);
    }

    #[test]
    fn the_frame_is_the_last_number_of_a_json_file() {
        let frame = |name: &str| frame_number(Path::new(name));
        assert_eq!(frame("cam01.0037.json"), Some(37));
        assert_eq!(frame("cam01_000000000012_keypoints.JSON"), Some(12));
        for stray in ["notes.txt", ".cam01.0001.json", "._a1.json", "keypoints.json", "7", "99999999999999999999.json"]
        {
            assert_eq!(frame(stray), None, "{stray}");
        }
    }

    #[test]
    fn a_folder_is_read_whole_and_its_mistakes_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, body: &str| std::fs::write(dir.path().join(name), body).unwrap();
        put("a_10.json", r#"{"people":[{"pose_keypoints_2d":[1,2,1, 3,4,1]}]}"#);
        put("a_9.json", r#"{"people":[{"pose_keypoints_2d":[1,2,1]},{"pose_keypoints_2d":[5,6,1, 7,8,1]}]}"#);
        put("a_12.json", "{}");
        put("readme.txt", "hello");
        let folder = read_folder(dir.path(), 2).unwrap();
        assert_eq!(folder.frames.keys().copied().collect::<Vec<_>>(), [9, 10, 12]);
        assert_eq!(folder.frames[&9], [vec![[5.0, 6.0, 1.0], [7.0, 8.0, 1.0]]]);
        assert_eq!(folder.lengths, BTreeMap::from([(3, 1), (6, 2)]));
        assert_eq!((folder.strays, folder.odd), (1, Some(dir.path().join("a_9.json"))));

        put("a_13.json", "{\"people\":[{\"pose_keypoints_2d\":[1,2,");
        let error = read_folder(dir.path(), 2).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let error = error.to_string();
        assert!(error.contains("a_13.json, line 1, column") && error.contains("cut off"), "{error}");

        put("a_13.json", "{}");
        put("b_9.json", "{}");
        let error = read_folder(dir.path(), 2).unwrap_err().to_string();
        assert!(
            error.contains("b_9.json") && error.contains("a_9.json") && error.contains("frame number 9"),
            "{error}"
        );
        assert!(read_folder(&dir.path().join("absent"), 2).is_err());
    }

    #[test]
    fn what_is_not_keypoints_is_refused() {
        for text in [
            "",
            "[]",
            "3",
            "{\"people\":{}}",
            "{\"people\":[{\"pose_keypoints_2d\":[\"a\",1,2]}]}",
            "{\"people\":[1e999]}",
        ] {
            assert!(parse(text.as_bytes(), Path::new("x.json")).is_err(), "{text}");
        }
        // Deeper than any stack should follow.
        let deep = format!("{{\"people\":{}", "[".repeat(200_000));
        assert!(parse(deep.as_bytes(), Path::new("x.json")).is_err());
        let deep = format!("{{\"other\":{}", "[".repeat(200_000));
        assert!(parse(deep.as_bytes(), Path::new("x.json")).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_give_clean_people_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(people) = parse(&bytes, Path::new("x.json")) {
                prop_assert!(people.iter().flat_map(|person| &person.points).flatten().all(|number| number.is_finite()));
            }
        }

        #[test]
        fn any_numbers_are_cleaned(numbers in proptest::collection::vec(any::<f64>(), 0..60), cut in 0usize..2000) {
            let list = numbers.iter().map(|number| format!("{number:?}")).collect::<Vec<_>>().join(", ");
            let text = format!("{{\"people\": [{{\"pose_keypoints_2d\": [{list}]}}]}}");
            let whole = parse(text.as_bytes(), Path::new("x.json")).unwrap();
            for &[u, v, confidence] in whole.iter().flat_map(|person| &person.points) {
                prop_assert!(u.is_finite() && v.is_finite() && (0.0..=FARTHEST).contains(&confidence));
            }
            let cut = &text.as_bytes()[..cut.min(text.len() - 1)];
            prop_assert!(parse(cut, Path::new("x.json")).is_err());
        }
    }
}
