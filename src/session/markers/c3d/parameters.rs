//! The parameter section of a C3D file: groups of named arrays, each of which says where the next begins.

use super::binary::{Processor, two};
use crate::error::{Error, Result};
use crate::skeleton::read::decoded;
use std::collections::HashMap;

/// More than any file has; bounds memory on hostile input.
const MOST_PARAMETERS: usize = 65_536;

/// One named array.
struct Parameter<'a> {
    /// −1 text, 1 bytes, 2 integers, 4 floats.
    kind: i8,
    dimensions: &'a [u8],
    data: &'a [u8],
}

/// The parameters of a file, by group and name in capitals.
pub(super) struct Parameters<'a> {
    pub processor: Processor,
    all: HashMap<(String, String), Parameter<'a>>,
}

/// Reads a parameter section from the bytes that hold it, its four bytes of header included.
///
/// # Errors
/// A processor that is not known; a parameter that reaches out of the section.
pub(super) fn read<'a>(label: &str, section: &'a [u8]) -> Result<Parameters<'a>> {
    let code = section.get(3).copied().unwrap_or(0);
    let processor = Processor::from_code(code).ok_or_else(|| {
        Error::input(
            label,
            format_args!(
                "the parameter section states the processor {code}, and C3D knows 84 (Intel), 85 (DEC) and 86 (MIPS)"
            ),
            "the file is damaged, or no C3D file: export it again",
        )
    })?;
    let mut groups: HashMap<u8, String> = HashMap::new();
    let mut found = Vec::new();
    let mut at = 4;
    // A name of no characters, or the section's end, is the end.
    while let (Some(&length), Some(&id)) = (section.get(at), section.get(at + 1)) {
        // Negative lengths: locked against changes.
        let (length, id) = (length.cast_signed().unsigned_abs() as usize, id.cast_signed());
        if length == 0 || id == 0 {
            break;
        }
        let name = section.get(at + 2..at + 2 + length);
        let place = at + 2 + length;
        let next = two(section, place).map(|bytes| usize::from(processor.unsigned(bytes)));
        let (Some(name), Some(next)) = (name, next) else { return Err(outside(label, found.len())) };
        let name = decoded(name.to_vec()).trim().to_ascii_uppercase();
        if id < 0 {
            groups.insert(id.unsigned_abs(), name);
        } else {
            let Some(parameter) = parameter(section, place + 2) else { return Err(outside(label, found.len())) };
            found.push((id.unsigned_abs(), name, parameter));
        }
        if found.len() > MOST_PARAMETERS {
            let problem = format_args!("more than {MOST_PARAMETERS} parameters");
            return Err(Error::input(label, problem, "the file is damaged: export it again"));
        }
        if next == 0 {
            break;
        }
        at = place + next;
        if at > section.len() {
            return Err(outside(label, found.len()));
        }
    }
    // A group may be named after its parameters. Of two of one name the first counts.
    let mut all = HashMap::new();
    for (id, name, parameter) in found {
        if let Some(group) = groups.get(&id) {
            all.entry((group.clone(), name)).or_insert(parameter);
        }
    }
    Ok(Parameters { processor, all })
}

fn outside(label: &str, count: usize) -> Error {
    Error::input(
        label,
        format_args!("parameter {} reaches out of the parameter section", count + 1),
        "the file is damaged or cut off: export it again",
    )
}

/// The array that begins at a place.
fn parameter(section: &[u8], at: usize) -> Option<Parameter<'_>> {
    let kind = section.get(at)?.cast_signed();
    let count = usize::from(*section.get(at + 1)?);
    let dimensions = section.get(at + 2..at + 2 + count)?;
    let size = usize::from(kind.unsigned_abs());
    let bytes = dimensions.iter().try_fold(size, |bytes, d| bytes.checked_mul(usize::from(*d)))?;
    let start = at + 2 + count;
    let data = section.get(start..start.checked_add(bytes)?)?;
    Some(Parameter { kind, dimensions, data })
}

impl Parameters<'_> {
    fn get(&self, group: &str, name: &str) -> Option<&Parameter<'_>> {
        self.all.get(&(group.to_owned(), name.to_owned()))
    }

    /// Numbers of an array; integers are taken without sign, which is what counts mean.
    pub fn numbers(&self, group: &str, name: &str) -> Option<Vec<f64>> {
        let Parameter { kind, data, .. } = self.get(group, name)?;
        match kind {
            1 => Some(data.iter().map(|b| f64::from(*b)).collect()),
            2 => Some(data.as_chunks().0.iter().map(|b| f64::from(self.processor.unsigned(*b))).collect()),
            4 => Some(data.as_chunks().0.iter().map(|b| self.processor.float(*b)).collect()),
            _ => None,
        }
    }

    /// The first number of an array.
    pub fn number(&self, group: &str, name: &str) -> Option<f64> {
        self.numbers(group, name)?.first().copied()
    }

    /// The texts of an array, without the spaces that fill them up; at most `most`.
    pub fn texts(&self, group: &str, name: &str, most: usize) -> Option<Vec<String>> {
        let Parameter { kind: -1, dimensions, data } = self.get(group, name)? else { return None };
        let length = usize::from(*dimensions.first().unwrap_or(&0)).max(1);
        let text =
            |bytes: &[u8]| decoded(bytes.to_vec()).trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned();
        Some(data.chunks(length).take(most).map(text).collect())
    }

    /// The first text of an array, where it says something.
    pub fn text(&self, group: &str, name: &str) -> Option<String> {
        self.texts(group, name, 1)?.into_iter().next().filter(|text| !text.is_empty())
    }
}
