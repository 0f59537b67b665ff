//! `<include file="…"/>`: the content of another file's outermost element in its place, paths relative to the top-level file.

use crate::skeleton::{read_text, xml};
use crate::{Error, Result};
use std::collections::HashSet;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

/// Includes within includes.
const DEEPEST: usize = 20;
/// Of the text with everything included.
const LONGEST: usize = 512 << 20;

/// The text with all includes expanded, and whether there were any.
pub(super) fn expand(label: &str, text: &str) -> Result<(String, bool)> {
    let folder = Path::new(label).parent().map(Path::to_path_buf).unwrap_or_default();
    let expanded = expand_in(label, text, &folder, 0, &mut HashSet::from([plain(Path::new(label))]))?;
    Ok(expanded.map_or_else(|| (text.to_owned(), false), |t| (t, true)))
}

/// `taken` are the files included so far, and the top-level file.
fn expand_in(
    label: &str,
    text: &str,
    folder: &Path,
    depth: usize,
    taken: &mut HashSet<PathBuf>,
) -> Result<Option<String>> {
    let document = xml::parse(label, text)?;
    let source = xml::Source { label, document: &document };
    let mut replacements: Vec<(Range<usize>, String)> = Vec::new();
    let mut length = text.len();
    for node in document.descendants().filter(|n| n.has_tag_name("include")) {
        let file = node
            .attribute("file")
            .ok_or_else(|| source.error(node, "<include> names no file", "give it a file=\"…\""))?;
        if node.has_children() {
            return Err(source.error(node, "<include> has content of its own", "write <include file=\"…\"/>"));
        }
        if depth >= DEEPEST {
            let problem = format_args!("includes are nested more than {DEEPEST} deep");
            return Err(source.error(node, problem, "include the innermost files from the top-level file"));
        }
        let path = folder.join(file);
        if outside(folder, &path) {
            return Err(source.error(
                node,
                format_args!(
                    "it includes `{}`, which is not in the model's folder or one beside it",
                    xml::shortened(file)
                ),
                "copy the file there: a model from elsewhere could name any file of yours",
            ));
        }
        // As in MuJoCo; files that include others twice each would double them at every depth.
        if !taken.insert(plain(&path)) {
            return Err(source.error(
                node,
                format_args!("it includes `{}` a second time, or in a circle", xml::shortened(file)),
                "include every file once",
            ));
        }
        let included = read_text(&path).map_err(|e| match e {
            Error::Input { place, problem, advice } => {
                source.error(node, format_args!("it includes `{place}`, which {problem}"), advice)
            }
            e => e,
        })?;
        let name = path.display().to_string();
        let content = inner(&name, &included)?;
        let content = expand_in(&name, &content, folder, depth + 1, taken)?.unwrap_or(content);
        // `inner` gives the content a root of its own, to be parsed; it is taken off again here.
        let content = content.strip_prefix(ROOT.0).and_then(|c| c.strip_suffix(ROOT.1)).unwrap_or(&content).to_owned();
        length += content.len();
        if length > LONGEST {
            return Err(Error::input(label, "with its includes the model is larger than any", "check the includes"));
        }
        replacements.push((node.range(), content));
    }
    if replacements.is_empty() {
        return Ok(None);
    }
    Ok(Some(xml::replaced(text, replacements)))
}

/// A path without `.` and `..`, as MuJoCo compares them.
fn plain(path: &Path) -> PathBuf {
    let mut made = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(made.components().next_back(), Some(Component::Normal(_))) => {
                made.pop();
            }
            part => made.push(part),
        }
    }
    made
}

/// Whether a file that exists is neither below the folder that holds the model's nor below one beside it: collections of models share files between folders that lie beside each other.
fn outside(folder: &Path, file: &Path) -> bool {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let (Ok(folder), Ok(file)) = (folder.canonicalize(), file.canonicalize()) else { return false };
    let beside = |up: &Path| up.parent().is_some() && file.starts_with(up) && file.parent() != Some(up);
    !(file.starts_with(&folder) || folder.parent().is_some_and(beside))
}

const ROOT: (&str, &str) = ("<mujocoinclude>", "</mujocoinclude>");

/// What stands inside a file's outermost element, in an outermost element without attributes.
fn inner(label: &str, text: &str) -> Result<String> {
    let document = xml::parse(label, text)?;
    let root = document.root_element();
    let source = xml::Source { label, document: &document };
    if !matches!(root.tag_name().name(), "mujoco" | "mujocoinclude") {
        return Err(source.error(
            root,
            "an included file's outermost element is <mujoco> or <mujocoinclude>",
            "check that it is a MuJoCo file",
        ));
    }
    let content = match (root.first_child(), root.last_child()) {
        (Some(first), Some(last)) => &text[first.range().start..last.range().end],
        _ => "",
    };
    Ok(format!("{}{content}{}", ROOT.0, ROOT.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_included_once() {
        let place = tempfile::tempdir().unwrap();
        for name in ["a.xml", "b.xml"] {
            std::fs::write(place.path().join(name), "<mujoco/>").unwrap();
        }
        std::fs::create_dir(place.path().join("s")).unwrap();
        let label = place.path().join("top.xml").display().to_string();
        std::fs::write(&label, "<mujoco/>").unwrap();
        let read = |second: &str| {
            expand(&label, &format!("<mujoco>\n<include file=\"a.xml\"/>\n<include file=\"{second}\"/></mujoco>"))
        };
        assert!(read("b.xml").unwrap().1);
        for second in ["a.xml", "./a.xml", "s/../a.xml", "top.xml"] {
            let error = read(second).unwrap_err().to_string();
            assert!(error.contains("top.xml:3, <include>") && error.contains("a second time"), "{error}");
        }
    }

    #[test]
    fn files_in_files_in_files_are_refused() {
        let place = tempfile::tempdir().unwrap();
        for i in 0..=DEEPEST {
            let text = format!("<mujoco><include file=\"{}.xml\"/></mujoco>", i + 1);
            std::fs::write(place.path().join(format!("{i}.xml")), text).unwrap();
        }
        let label = place.path().join("top.xml").display().to_string();
        let error = expand(&label, "<mujoco><include file=\"0.xml\"/></mujoco>").unwrap_err().to_string();
        assert!(error.contains("nested more than 20 deep"), "{error}");
    }
}
