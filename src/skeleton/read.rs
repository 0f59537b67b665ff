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
    let text = decoded(bytes);
    // OpenSim reads a declaration that is not where XML wants it.
    let text = if text.trim_start().starts_with("<?xml") { text.trim_start().to_owned() } else { text };
    Ok(with_plain_comments(declared_utf8(text)))
}

/// Text in UTF-8, in UTF-16 where a byte-order mark says so, else in Latin-1: in old files names and credits hold such letters. The mark is dropped.
pub(crate) fn decoded(bytes: Vec<u8>) -> String {
    let unit: fn([u8; 2]) -> u16 = match bytes {
        ref b if b.starts_with(&[0xff, 0xfe]) => u16::from_le_bytes,
        ref b if b.starts_with(&[0xfe, 0xff]) => u16::from_be_bytes,
        // Without a mark: XML begins with `<`.
        ref b if b.starts_with(&[b'<', 0]) => u16::from_le_bytes,
        ref b if b.starts_with(&[0, b'<']) => u16::from_be_bytes,
        _ => return decoded_bytes(bytes),
    };
    let mark = 2 * usize::from(bytes[0] != b'<' && bytes[1] != b'<');
    let units: Vec<u16> = bytes[mark..].as_chunks::<2>().0.iter().map(|&pair| unit(pair)).collect();
    String::from_utf16_lossy(&units)
}

fn decoded_bytes(bytes: Vec<u8>) -> String {
    let mut text =
        String::from_utf8(bytes).unwrap_or_else(|e| e.into_bytes().iter().map(|&b| char::from(b)).collect::<String>());
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    text
}

/// XML that declares another encoding than the one it is in from here on, in which it is written again, declares that.
fn declared_utf8(mut text: String) -> String {
    let Some(end) = text.find("?>").filter(|_| text.starts_with("<?xml")) else { return text };
    let Some(after) = text[..end].find("encoding").map(|at| at + "encoding".len()) else { return text };
    let Some(open) = text[after..end].find(['"', '\'']).map(|at| after + at + 1) else { return text };
    let quote = &text[open - 1..open];
    if let Some(close) = text[open..end].find(quote).map(|at| open + at) {
        text.replace_range(open..close, "UTF-8");
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
    fn files_of_other_encodings_are_read_and_said_to_be_utf8() {
        let text = "<?xml version=\"1.0\" encoding='UTF-16'?><a n=\"Müller 𝛼\"/>";
        let wanted = text.replace("UTF-16", "UTF-8");
        for (mark, bytes) in [
            (vec![0xff, 0xfe], text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()),
            (vec![0xfe, 0xff], text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
            (vec![], text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
            (vec![], text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
            (vec![0xef, 0xbb, 0xbf], text.into()),
        ] {
            assert_eq!(declared_utf8(decoded([mark, bytes].concat())), wanted);
        }
        let latin = b"<?xml encoding=\"ISO-8859-1\"?><a>M\xfcller</a>".to_vec();
        assert_eq!(declared_utf8(decoded(latin)), "<?xml encoding=\"UTF-8\"?><a>Müller</a>");
        // Cut in the middle of a letter, or of a declaration: whatever it is, it is text.
        assert_eq!(decoded(vec![0xff, 0xfe, b'<', 0, b'a']), "<");
        for odd in ["<?xml encoding", "<?xml encoding=\"?>", "<?xml encoding=?>\"", "<?xml?>", ""] {
            assert_eq!(declared_utf8(odd.into()), odd);
        }
    }

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
