//! Reading XML with errors that name file, line and element.
//!
//! Parsing is iterative in `roxmltree`; readers that recurse into elements are protected by a limit on depth checked here once. Document type
//! definitions, and with them entities, are refused.

use crate::{Error, Result};
use nalgebra::Vector3;
use roxmltree::{Document, Node, ParsingOptions};
use std::fmt::Display;

/// Deeper than any model (the deepest known is 20), and shallow enough for recursive readers on any stack.
const DEEPEST: usize = 200;
/// More elements, texts and comments than any model (the largest known has some 10⁵).
const MOST_NODES: u32 = 20_000_000;

/// Parses `text` after the guards above; `label` names it in errors.
pub(crate) fn parse<'a>(label: &str, text: &'a str) -> Result<Document<'a>> {
    if text.trim().is_empty() {
        return Err(Error::input(label, "the file is empty", "check that it was copied completely"));
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MOST_NODES, entity_resolver: None };
    let document = Document::parse_with_options(text, options).map_err(|e| match e {
        roxmltree::Error::DtdDetected => Error::input(
            format_args!("{label}:{}", 1 + text.split("<!DOCTYPE").next().unwrap_or("").matches('\n').count()),
            "the file has a document type definition (<!DOCTYPE …>), which models do not need",
            "remove it; entities must be written out",
        ),
        roxmltree::Error::UnexpectedEndOfStream | roxmltree::Error::UnclosedRootNode => Error::input(
            format_args!("{label}:{}", text.lines().count()),
            "the file ends in the middle of an element",
            "it is truncated: copy or download it again",
        ),
        e => Error::input(
            format_args!("{label}:{}", e.pos().row),
            format_args!("this is not valid XML: {e}"),
            "open the file in an editor and correct that line",
        ),
    })?;
    let mut depth = 0usize;
    let mut node = document.root();
    // Depth-first without recursion: down, else right, else up until right.
    'walk: loop {
        if let Some(child) = node.first_child() {
            depth += 1;
            node = child;
            if depth > DEEPEST {
                return Err(Source { label, document: &document }.error(
                    node,
                    format_args!("elements are nested more than {DEEPEST} deep"),
                    "no model is: check the file",
                ));
            }
            continue;
        }
        loop {
            if let Some(next) = node.next_sibling() {
                node = next;
                continue 'walk;
            }
            match node.parent() {
                Some(parent) => {
                    node = parent;
                    depth = depth.saturating_sub(1);
                }
                None => break 'walk,
            }
        }
    }
    Ok(document)
}

/// A parsed document and the name errors give it.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a, 'i> {
    pub label: &'a str,
    pub document: &'a Document<'i>,
}

impl<'a, 'i> Source<'a, 'i> {
    /// `file:line, <element name="…">`, or `<element> of <owner name="…">` where the element has no name.
    pub fn place(&self, node: Node) -> String {
        let line = self.document.text_pos_at(node.range().start).row;
        let mut said = format!("{}:{line}", self.label);
        let mut before = ", ";
        for element in node.ancestors().filter(Node::is_element).take(3) {
            let tag = element.tag_name().name();
            match element.attribute("name") {
                Some(name) => return format!("{said}{before}<{tag} name=\"{}\">", shortened(name)),
                None if before == ", " => said = format!("{said}{before}<{tag}>"),
                None => {}
            }
            before = " of ";
        }
        said
    }

    /// An error at `node`.
    pub fn error(&self, node: Node, problem: impl Display, advice: impl Display) -> Error {
        Error::input(self.place(node), problem, advice)
    }

    /// The first child element of that name, or an error.
    pub fn need(&self, node: Node<'a, 'i>, tag: &str) -> Result<Node<'a, 'i>> {
        child(node, tag).ok_or_else(|| {
            self.error(
                node,
                format_args!("<{tag}> is missing"),
                "add it, or open and save the model in its own program",
            )
        })
    }

    /// The `name` attribute, or an error.
    pub fn name(&self, node: Node<'a, 'i>) -> Result<&'a str> {
        match node.attribute("name").map(str::trim) {
            Some(name) if !name.is_empty() => Ok(name),
            _ => Err(self.error(node, "the element has no name", "give it a name=\"…\"")),
        }
    }

    /// All numbers in `text`, finite; `node` is where they stand.
    pub fn numbers(&self, node: Node, text: &str) -> Result<Vec<f64>> {
        // With commas behind some, as OpenSim reads them.
        text.split_whitespace()
            .map(|word| {
                let word = word.strip_suffix(',').unwrap_or(word);
                word.parse::<f64>().ok().filter(|v| v.is_finite()).ok_or_else(|| {
                    self.error(node, format_args!("`{}` is not a finite number", shortened(word)), "correct the number")
                })
            })
            .collect()
    }

    /// The one number in `text`.
    pub fn number(&self, node: Node, text: &str) -> Result<f64> {
        match self.numbers(node, text)?.as_slice() {
            [v] => Ok(*v),
            v => {
                Err(self.error(node, format_args!("one number is expected, {} found", v.len()), "correct the element"))
            }
        }
    }

    /// The three numbers in `text`.
    pub fn vector(&self, node: Node, text: &str) -> Result<Vector3<f64>> {
        match self.numbers(node, text)?.as_slice() {
            [x, y, z] => Ok(Vector3::new(*x, *y, *z)),
            v => Err(self.error(
                node,
                format_args!("three numbers are expected, {} found", v.len()),
                "correct the element",
            )),
        }
    }
}

/// The first child element of that name.
pub(crate) fn child<'a, 'i>(node: Node<'a, 'i>, tag: &str) -> Option<Node<'a, 'i>> {
    elements(node).find(|n| n.has_tag_name(tag))
}

/// All child elements.
pub(crate) fn elements<'a, 'i>(node: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(Node::is_element)
}

/// The text of an element, without white space at its ends.
pub(crate) fn text<'a>(node: Node<'a, '_>) -> &'a str {
    // A comment may split the text: the first part that says something counts.
    node.children()
        .filter_map(|n| n.is_text().then(|| n.text()).flatten())
        .map(str::trim)
        .find(|t| !t.is_empty())
        .unwrap_or("")
}

/// `true`, `false`, or the default where the element is missing.
pub(crate) fn flag(source: Source<'_, '_>, node: Node<'_, '_>, tag: &str, default: bool) -> Result<bool> {
    let Some(n) = elements(node).find(|n| n.has_tag_name(tag)) else { return Ok(default) };
    match text(n).to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        "" => Ok(default),
        other => Err(source.error(
            n,
            format_args!("`{}` is neither true nor false", shortened(other)),
            "write true or false",
        )),
    }
}

/// At most 40 characters of a word, for messages.
pub(crate) fn shortened(word: &str) -> String {
    if word.chars().count() <= 40 { word.to_owned() } else { word.chars().take(40).chain(['…']).collect() }
}

/// `text` with byte ranges replaced; ranges must not overlap, their order does not matter. Of two insertions at one place the first in the list comes first.
pub(crate) fn replaced(text: &str, mut edits: Vec<(std::ops::Range<usize>, String)>) -> String {
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    let mut made = String::with_capacity(text.len() + edits.iter().map(|(_, new)| new.len()).sum::<usize>());
    let mut at = 0;
    for (range, new) in edits {
        made.push_str(&text[at..range.start]);
        made.push_str(&new);
        at = range.end;
    }
    made.push_str(&text[at..]);
    made
}

/// The names nearest to `wanted`, for advice: at most three, by edit distance.
pub(crate) fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> String {
    let wanted: Vec<char> = wanted.chars().take(64).flat_map(char::to_lowercase).collect();
    let mut scored: Vec<(usize, &str)> = names
        .map(|name| {
            let other: Vec<char> = name.chars().take(64).flat_map(char::to_lowercase).collect();
            let mut row: Vec<usize> = (0..=other.len()).collect();
            for (i, a) in wanted.iter().enumerate() {
                let mut diagonal = row[0];
                row[0] = i + 1;
                for (j, b) in other.iter().enumerate() {
                    let cost = diagonal + usize::from(a != b);
                    diagonal = row[j + 1];
                    row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
                }
            }
            (row[other.len()], name)
        })
        .collect();
    scored.sort_by_key(|(distance, _)| *distance);
    let names: Vec<String> = scored.iter().take(3).map(|(_, name)| format!("`{name}`")).collect();
    if names.is_empty() { "there are none".into() } else { format!("the nearest names are {}", names.join(", ")) }
}
