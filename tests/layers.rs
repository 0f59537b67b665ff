//! The direction of imports is part of the design: each module of `src` uses only those listed before it.

use std::fs;
use std::path::{Path, PathBuf};

/// Every module may import from those before it.
const LAYERS: [&str; 16] = [
    "error",
    "math",
    "camera",
    "skeleton",
    "session",
    "kinematics",
    "trajectory",
    "residual",
    "synthetic",
    "solve",
    "learn",
    "quality",
    "fit",
    "cohort",
    "report",
    "cli",
];

/// Names at the crate's root that belong to a layer.
const RE_EXPORTS: [(&str, &str); 2] = [("Error", "error"), ("Result", "error")];

/// An import of the crate: the line it is on, and the module it names.
type Import = (usize, String);

fn layer(module: &str) -> Option<usize> {
    let module = RE_EXPORTS.iter().find(|(name, _)| *name == module).map_or(module, |(_, module)| module);
    LAYERS.iter().position(|name| *name == module)
}

/// Source without comments, strings and characters, line structure kept, and ended where the unit tests begin: those stand
/// at the end of a file and may use anything.
fn code(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let skipped = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => string_length(rest),
            'r' if (rest.starts_with("r\"") || rest.starts_with("r#"))
                && !out.ends_with(|c: char| c.is_alphanumeric() || c == '_') =>
            {
                raw_length(rest)
            }
            '\'' => character_length(rest),
            _ => 0,
        };
        if skipped == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            out.extend(rest[..skipped].chars().filter(|c| *c == '\n'));
            rest = &rest[skipped..];
        }
    }
    let tests = out.match_indices("#[cfg(test)]").find(|(at, _)| {
        let item = out[at + "#[cfg(test)]".len()..].trim_start();
        item.starts_with("mod tests {") || item.starts_with("pub(crate) mod tests {")
    });
    out.truncate(tests.map_or(out.len(), |(at, _)| at));
    out
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn raw_length(text: &str) -> usize {
    let hashes = text[1..].bytes().take_while(|b| *b == b'#').count();
    if !text[1 + hashes..].starts_with('"') {
        return 0; // r#identifier
    }
    let end = format!("\"{}", "#".repeat(hashes));
    text[2 + hashes..].find(&end).map_or(text.len(), |at| 2 + hashes + at + end.len())
}

/// Length of a character literal; 0 for a lifetime.
fn character_length(text: &str) -> usize {
    let mut inside = text[1..].char_indices();
    match (inside.next(), inside.next()) {
        (Some((_, '\\')), _) => text[2..].char_indices().skip(1).find(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 3),
        (Some(_), Some((at, '\''))) => at + 2,
        _ => 0,
    }
}

/// What a file imports from the crate: `crate::x…`, `crate::{x, y::z}`, and `super::…` as far as it leaves the module.
fn imports(code: &str, path: &[String]) -> Vec<Import> {
    let mut found = Vec::new();
    let mut add = |at: usize, names: Vec<String>| {
        let line = code[..at].matches('\n').count() + 1;
        found.extend(names.into_iter().map(|name| (line, name)));
    };
    for (at, start) in code.match_indices("crate::") {
        if !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            add(at, names(&code[at + start.len()..]));
        }
    }
    // `super` repeated as often as the file is deep reaches the crate's root.
    let out = "super::".repeat(path.len());
    for (at, start) in code.match_indices(&out) {
        if !code[..at].ends_with("super::") && !code[at + start.len()..].starts_with("super::") {
            add(at, names(&code[at + start.len()..]));
        }
    }
    found
}

/// The first segments of a use tree that follows `crate::`.
fn names(tree: &str) -> Vec<String> {
    let identifier =
        |text: &str| -> String { text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let Some(group) = tree.trim_start().strip_prefix('{') else { return vec![identifier(tree)] };
    let (mut depth, mut parts, mut start) = (0usize, Vec::new(), 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&group[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.into_iter().map(identifier).filter(|name| !name.is_empty()).collect()
}

/// Upward imports of a file, each as a sentence. `relative` is its path below `src`.
fn violations(relative: &Path, source: &str) -> Vec<String> {
    let parts: Vec<String> = relative.iter().map(|p| p.to_string_lossy().into_owned()).collect();
    let module = parts[0].trim_end_matches(".rs").to_owned();
    let Some(own) = layer(&module) else {
        return vec![format!("src/{}: module `{module}` is not in the list of layers", relative.display())];
    };
    // a/mod.rs and a.rs are one deep, a/b.rs two.
    let mut path = parts.clone();
    if path.last().is_some_and(|name| name == "mod.rs") {
        path.pop();
    }
    imports(&code(source), &path)
        .into_iter()
        .filter_map(|(line, name)| match layer(&name) {
            Some(theirs) if theirs <= own => None,
            Some(_) => {
                Some(format!("src/{}:{line}: `{module}` imports `{name}`, which stands above it", relative.display()))
            }
            None => Some(format!("src/{}:{line}: `{name}` is not in the list of layers", relative.display())),
        })
        .collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn modules_import_only_from_those_before_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files.sort();
    // The crate's root and the command's entry see everything; a file that holds nothing but tests may use anything.
    let exempt = |path: &PathBuf| {
        let name = path.file_name().unwrap();
        path.parent() == Some(&root) && (name == "lib.rs" || name == "main.rs") || name == "tests.rs"
    };
    files.retain(|path| !exempt(path));
    assert!(files.len() > 30, "the sources were not found");
    let wrong: Vec<String> = files
        .iter()
        .flat_map(|path| violations(path.strip_prefix(&root).unwrap(), &fs::read_to_string(path).unwrap()))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn an_upward_import_is_found_however_it_is_written() {
    let found = |path: &str, source: &str| violations(Path::new(path), source);
    for source in [
        "use crate::fit::x;",
        "use crate::{\n    math,\n    fit,\n};",
        "use crate::{math::{a, b}, fit::{c}};",
        "fn f() { crate::fit::g(); }",
        "use super::super::fit::x;",
        "const A: char = '\"';\nuse crate::fit; // \"",
    ] {
        let wrong = found("camera/lens.rs", source);
        assert_eq!(wrong.len(), 1, "{source}\n{wrong:?}");
        assert!(wrong[0].contains("`camera` imports `fit`"), "{wrong:?}");
    }
    assert!(found("camera/lens.rs", "\n\nuse crate::fit;")[0].contains("src/camera/lens.rs:3:"));
    assert!(found("camera.rs", "use super::fit;")[0].contains("imports `fit`"));
    assert!(found("novel/mod.rs", "")[0].contains("not in the list"));
    assert!(found("camera/lens.rs", "use crate::novel;")[0].contains("not in the list"));
}

#[test]
fn what_is_no_upward_import_is_let_through() {
    for source in [
        "use crate::math::so3;",
        "use crate::{Error, Result};",
        "use super::fit;",
        "use super::{fit, Camera};",
        "// crate::fit",
        "/* crate::fit */",
        "const S: &str = \"crate::fit \\\" crate::fit\";",
        "const S: &str = r#\"crate::fit \" crate::fit\"#;",
        "fn f<'a>(x: &'a str) {}",
        "fn f() {}\n#[cfg(test)]\nmod tests {\n    use crate::fit;\n}",
        "use mycrate::fit;",
    ] {
        let wrong = violations(Path::new("camera/lens.rs"), source);
        assert!(wrong.is_empty(), "{source}\n{wrong:?}");
    }
}
