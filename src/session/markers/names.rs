//! Names of markers as files have them: with a subject before them, twice, or not at all.

use crate::error::{Error, Result};
use crate::skeleton::xml::shortened;
use std::collections::{HashMap, HashSet};

/// Labels without the subject before them (`Anna:LASI`), where all that have one have the same, and no two markers then have one name (`Anna:LASI` and `LASI`).
pub(super) fn without_subject(labels: &[String]) -> Vec<&str> {
    let subjects: HashSet<&str> = labels.iter().filter_map(|l| Some(bare(l.split_once(':')?.0))).collect();
    let whole: Vec<&str> = labels.iter().map(String::as_str).collect();
    if subjects.len() != 1 {
        return whole;
    }
    let rest: Vec<&str> = whole.iter().map(|label| label.split_once(':').map_or(*label, |(_, rest)| rest)).collect();
    let named: Vec<_> =
        whole.iter().zip(&rest).map(|(w, r)| (bare(w), bare(r))).filter(|(_, r)| !r.is_empty()).collect();
    let before: HashSet<&str> = named.iter().map(|n| n.0).collect();
    let after: HashSet<&str> = named.iter().map(|n| n.1).collect();
    if after.len() < before.len() { whole } else { rest }
}

/// A label without what stands around it; a byte order mark there is none of its letters either, and would go when it is written and read again.
fn bare(label: &str) -> &str {
    label.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\0' | '\u{feff}'))
}

/// Names as a trial has them, from a file's labels: without white space around them; `unlabelled 3` for the third where a label is empty.
///
/// # Errors
/// Two markers of the same name, neither of them called unlabelled.
pub(super) fn from_labels<'a>(label: &str, labels: impl IntoIterator<Item = &'a str>) -> Result<Vec<String>> {
    let labels = labels.into_iter().map(bare);
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut free = 0;
    let mut names = Vec::new();
    for (i, text) in labels.enumerate() {
        let own = if is_unlabelled(text) && seen.contains_key(text) { "" } else { text };
        let mut name = own.to_owned();
        if own.is_empty() {
            // A marker may really be called so: then another number is found, and none is tried twice.
            free = free.max(i + 1);
            name = format!("unlabelled {free}");
            while seen.contains_key(&name) {
                free += 1;
                name = format!("unlabelled {free}");
            }
        } else if let Some(first) = seen.get(own) {
            return Err(twice(label, own, *first, i));
        }
        seen.insert(name.clone(), i);
        names.push(name);
    }
    Ok(names)
}

/// What systems call trajectories that nobody has named: `*12`, `Unlabeled`, `unlabelled 3`.
fn is_unlabelled(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with('*') || name.starts_with("unlabel") || name.starts_with("unnamed")
}

fn twice(label: &str, name: &str, first: usize, second: usize) -> Error {
    Error::input(
        label,
        format_args!("the marker `{}` stands twice, as marker {} and {}", shortened(name), first + 1, second + 1),
        "give every marker its own name where it was recorded, or remove one of the two",
    )
}

/// Checks that there are markers and that each has a name of its own.
///
/// # Errors
/// There are none, or one has no name, or that of another.
pub(super) fn check(label: &str, names: &[String]) -> Result<()> {
    if names.is_empty() {
        return Err(Error::input(label, "there are no markers", "check that this is a file of markers"));
    }
    let mut seen = HashMap::new();
    for (i, name) in names.iter().enumerate() {
        let name = bare(name);
        if name.is_empty() {
            let problem = format_args!("marker {} has no name", i + 1);
            return Err(Error::input(label, problem, "give every marker a name"));
        }
        if let Some(first) = seen.insert(name, i) {
            return Err(twice(label, name, first, i));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(labels: &[&str]) -> Vec<String> {
        from_labels("a.c3d", labels.iter().copied()).unwrap()
    }

    #[test]
    fn one_subject_goes_and_two_stay() {
        let of = |labels: &[&str]| -> Vec<String> {
            let labels: Vec<String> = labels.iter().map(|l| (*l).to_owned()).collect();
            without_subject(&labels).into_iter().map(str::to_owned).collect()
        };
        assert_eq!(of(&["Anna:LASI", "Anna:RASI", "*11"]), ["LASI", "RASI", "*11"]);
        assert_eq!(of(&["Anna:LASI", "Ben:LASI"]), ["Anna:LASI", "Ben:LASI"]);
        assert_eq!(of(&["LASI", "RASI"]), ["LASI", "RASI"]);
        assert_eq!(of(&["Anna:LASI", "LASI"]), ["Anna:LASI", "LASI"]);
        assert_eq!(of(&["Anna:A", "Anna:", "Anna:", ""]), ["A", "", "", ""]);
        assert_eq!(of(&["Anna: LASI", "LASI\0"]), ["Anna: LASI", "LASI\0"]);
    }

    #[test]
    fn two_markers_of_one_name_are_refused() {
        let error = from_labels("a.trc", ["LASI", "C7", " LASI "]).unwrap_err().to_string();
        assert!(error.contains("`LASI` stands twice, as marker 1 and 3"), "{error}");
        assert!(from_labels("a.c3d", ["LASI", "\u{feff}\0\0LASI"]).is_err());
    }

    #[test]
    fn what_has_no_label_gets_one() {
        assert_eq!(
            names(&["", "A", "\0 \0", "*", "*", "Unlabeled", "Unlabeled"]),
            ["unlabelled 1", "A", "unlabelled 3", "*", "unlabelled 5", "Unlabeled", "unlabelled 7"]
        );
        assert_eq!(names(&["unlabelled 2", ""]), ["unlabelled 2", "unlabelled 3"]);
        assert_eq!(names(&["", "unlabelled 1"]), ["unlabelled 1", "unlabelled 2"]);
    }
}
