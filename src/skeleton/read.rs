//! Reading a model of either format.

use super::{Skeleton, mjcf, osim, xml};
use crate::{Error, Result};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Larger than any model.
const LARGEST_FILE: u64 = 512 << 20;

/// Reads an OpenSim (`.osim`) or MuJoCo (`.xml`) model, told apart by the outermost element.
///
/// # Errors
/// Where the file cannot be read, is neither, or holds something of the kinematics that is not understood; the message names file, line and element.
pub fn read_model(path: &Path) -> Result<Skeleton> {
    let text = read_text(path)?;
    read_model_str(&path.display().to_string(), &text)
}

/// The same from text; `label` stands for the path: in errors, for what is written, and as the place that includes are relative to.
pub fn read_model_str(label: &str, text: &str) -> Result<Skeleton> {
    let root = {
        let document = xml::parse(label, text)?;
        document.root_element().tag_name().name().to_owned()
    };
    match root.as_str() {
        "OpenSimDocument" => osim::read(label, text),
        "mujoco" | "mujocoinclude" => mjcf::read(label, text),
        other => Err(Error::input(
            label,
            format_args!("the outermost element is <{}>: neither an OpenSim nor a MuJoCo model", xml::shortened(other)),
            "give an .osim file or an MJCF .xml file",
        )),
    }
}

/// A whole file as text, UTF-8.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    let file = File::open(path).map_err(|e| Error::unreadable(path, &e))?;
    let too_large = || {
        let problem = format_args!("the file has more than {LARGEST_FILE} bytes: more than any model");
        Error::file(path, problem, "check the name")
    };
    if file.metadata().is_ok_and(|m| m.len() > LARGEST_FILE) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    // What is no plain file may say that it is empty, and never end.
    file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(|e| Error::unreadable(path, &e))?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(too_large());
    }
    Ok(with_plain_comments(decoded(bytes)))
}

/// Text in UTF-8, else in Latin-1: in old files names and credits hold such letters. A byte-order mark is dropped.
pub(crate) fn decoded(bytes: Vec<u8>) -> String {
    let mut text =
        String::from_utf8(bytes).unwrap_or_else(|e| e.into_bytes().iter().map(|&b| char::from(b)).collect::<String>());
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    text
}

/// XML forbids `--` inside comments, but OpenSim and MuJoCo read it and people draw lines with it: such hyphens become `=`.
fn with_plain_comments(text: String) -> String {
    let mut made = String::new();
    let mut at = 0;
    while let Some(start) = text[at..].find("<!--").map(|i| at + i + 4) {
        let Some(end) = text[start..].find("-->").map(|i| start + i) else { break };
        let comment = &text[start..end];
        made.push_str(&text[at..start]);
        if comment.contains("--") || comment.ends_with('-') {
            made.push_str(&comment.replace('-', "="));
        } else {
            made.push_str(comment);
        }
        made.push_str("-->");
        at = end + 3;
    }
    made.push_str(&text[at..]);
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_in_comments_are_kept_readable() {
        for (text, plain) in [
            ("<a><!-- a-b --><b/></a>", "<a><!-- a-b --><b/></a>"),
            ("<a><!-- ---- legs -- ---><b x=\"--\"/></a>", "<a><!-- ==== legs == =--><b x=\"--\"/></a>"),
            ("<a><!-- never ends --", "<a><!-- never ends --"),
        ] {
            assert_eq!(with_plain_comments(text.to_owned()), plain);
        }
    }
}
