//! Names in files: of trials as file names, of coordinates and markers as column heads.

use crate::session::columns::column;
use std::collections::HashSet;

/// Longest stem of a file name; leaves room for endings and the temporary name below the usual 255 bytes.
const LONGEST: usize = 150;

/// One file stem per trial: its name, with what file systems cannot hold (and what would leave the folder) replaced by `_`,
/// and a number added where two trials would share one, ignoring case.
pub fn stems<'a>(trials: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut taken = HashSet::new();
    trials
        .into_iter()
        .map(|name| {
            let stem = stem(name);
            let mut unique = stem.clone();
            let mut count = 1;
            while !taken.insert(unique.to_lowercase()) {
                count += 1;
                unique = format!("{stem}-{count}");
            }
            unique
        })
        .collect()
}

fn stem(name: &str) -> String {
    let mut stem = String::new();
    for c in name.trim().chars() {
        let c = if c.is_control() || "/\\:*?\"<>|".contains(c) { '_' } else { c };
        if stem.len() + c.len_utf8() > LONGEST {
            break;
        }
        stem.push(c);
    }
    if stem.starts_with('.') {
        stem.replace_range(..1, "_");
    }
    if stem.is_empty() { "trial".into() } else { stem }
}

/// A field of a CSV file (RFC 4180).
pub fn csv_field(name: &str) -> String {
    let name = column(name);
    if name.contains([',', '"']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems_stay_in_the_folder_and_apart() {
        let names = ["walk", "Walk", "../../etc/passwd", "..", "", "a\nb", "walk-2", "gehen über"];
        let stems = stems(names);
        assert_eq!(stems, ["walk", "Walk-2", "_._.._etc_passwd", "_.", "trial", "a_b", "walk-2-2", "gehen über"]);
        assert!(super::stems([&"x".repeat(1000)[..]])[0].len() <= LONGEST);
    }

    #[test]
    fn fields_are_quoted_where_they_need_be() {
        assert_eq!(csv_field("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
