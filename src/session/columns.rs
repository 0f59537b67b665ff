//! Text in columns: lines, cells, numbers that may be missing. What TRC, MOT and STO have in common.

use crate::error::{Error, Result};
use rayon::prelude::*;
use std::fmt::{Display, Write};

/// Lines without their ends, each with its number counted from 1. Ends are LF or CRLF, or CR where the text has no LF at all.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let end = if text.contains('\n') { '\n' } else { '\r' };
    // What follows the last end is a line only if there is something.
    let text = text.strip_suffix(end).unwrap_or(text);
    text.split(end).map(|line| line.strip_suffix('\r').unwrap_or(line)).zip(1..).map(|(line, number)| (number, line))
}

/// Whether a line holds nothing but white space.
pub(super) fn is_blank(line: &str) -> bool {
    line.trim().is_empty()
}

/// `file, line n`, as errors name a place.
pub(super) fn place(label: &str, line: usize) -> String {
    format!("{label}, line {line}")
}

/// Exactly `expected` cells of a row. Cells stand between tabs, and may be followed by empty ones; a row that this does not give the right
/// number for may have white space between its cells instead, none of which can then be empty.
///
/// # Errors
/// The number of columns there are.
pub(super) fn cells(line: &str, expected: usize) -> std::result::Result<Vec<&str>, usize> {
    let count = line.split('\t').count();
    if count >= expected && line.split('\t').skip(expected).all(is_blank) {
        return Ok(line.split('\t').take(expected).collect());
    }
    let words = line.split_whitespace().count();
    if words == expected {
        return Ok(line.split_whitespace().collect());
    }
    let blank_at_end = line.rsplit('\t').take_while(|cell| is_blank(cell)).count();
    Err(if count > 1 { count - blank_at_end.min(count - 1) } else { words })
}

/// The number in a cell; `None` where it says that there is none: empty, NaN or infinite, as C, Python, MATLAB or Microsoft's compilers spell
/// these.
///
/// # Errors
/// Something that is neither.
pub(super) fn value(cell: &str) -> std::result::Result<Option<f64>, NoNumber> {
    let cell = cell.trim();
    if cell.is_empty() {
        return Ok(None);
    }
    if let Ok(number) = cell.parse::<f64>() {
        return Ok(Some(number).filter(|n| n.is_finite()));
    }
    let word = cell.trim_start_matches(['-', '+']).to_ascii_lowercase();
    let not_a_number = matches!(word.as_str(), "nan" | "nanq" | "nans" | "ind" | "n/a" | "na")
        || (word.starts_with("nan(") && word.ends_with(')'))
        || ["1.#qnan", "1.#snan", "1.#ind", "1.#inf"].iter().any(|spelling| word.starts_with(spelling));
    if not_a_number { Ok(None) } else { Err(NoNumber) }
}

/// A cell that is neither a number nor a way to say that there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoNumber;

/// The error for such a cell.
pub(super) fn no_number(place: impl Display, what: impl Display, cell: &str) -> Error {
    let cell = crate::skeleton::xml::shortened(cell.trim());
    let advice = if cell.contains(',') {
        "write numbers with a decimal point, not a comma"
    } else {
        "write a number, or leave the cell empty where there is none"
    };
    Error::input(place, format_args!("{what}: `{cell}` is not a number"), advice)
}

/// Checks a row's time against the row's before: a number, and later.
///
/// # Errors
/// It is not.
pub(super) fn time(place: impl Display, cell: &str, before: Option<f64>) -> Result<f64> {
    match value(cell).map_err(|NoNumber| no_number(&place, "time", cell))? {
        None => Err(Error::input(place, "the row has no time", "give every row its time, seconds")),
        Some(time) => match before {
            Some(before) if time <= before => Err(Error::input(
                place,
                format_args!("time goes from {before} s to {time} s"),
                "times must increase from row to row: remove the rows that stand twice, or write the file again",
            )),
            _ => Ok(time),
        },
    }
}

/// A column head for files whose columns are separated by tabs: control characters become `_`.
pub(crate) fn column(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '_' } else { c }).collect()
}

/// Twelve decimals, and no minus before a zero.
pub(crate) fn number(out: &mut String, value: f64) {
    let start = out.len();
    let _ = write!(out, "{value:.12}");
    if out[start..].starts_with('-') && out[start..].bytes().all(|b| matches!(b, b'-' | b'0' | b'.')) {
        out.remove(start);
    }
}

/// The lines of `count` rows, written side by side, in their order: twelve decimals take a fifth of a microsecond each, and a long trial has millions.
pub(crate) fn rows(count: usize, write: impl Fn(&mut String, usize) + Sync) -> String {
    /// Rows of one piece of work.
    const ROWS: usize = 32;
    let piece = |i: usize| {
        let mut out = String::new();
        (i * ROWS..count.min((i + 1) * ROWS)).for_each(|row| write(&mut out, row));
        out
    };
    (0..count.div_ceil(ROWS)).into_par_iter().map(piece).collect::<Vec<String>>().concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_the_ways_to_have_none() {
        for (cell, number) in
            [("1", 1.0), (" -2.50 ", -2.5), ("1.5E-02", 0.015), ("+3e2", 300.0), (".5", 0.5), ("7.", 7.0)]
        {
            assert_eq!(value(cell), Ok(Some(number)), "{cell}");
        }
        for cell in [
            "",
            "  ",
            "NaN",
            "nan",
            "NAN",
            "Nan",
            "-nan",
            "-nan(ind)",
            "nan(snan)",
            "1.#QNAN",
            "-1.#IND",
            "1.#IND00",
            "1.#INF",
            "inf",
            "-Infinity",
            "1e999",
            "N/A",
        ] {
            assert_eq!(value(cell), Ok(None), "{cell}");
        }
        for cell in ["x", "1,5", "1.2.3", "nancy", "0x10", "1 2", "--1", "1.#"] {
            assert_eq!(value(cell), Err(NoNumber), "{cell}");
        }
    }

    #[test]
    fn rows_have_the_cells_that_are_expected() {
        assert_eq!(cells("1\t2\t3", 3), Ok(vec!["1", "2", "3"]));
        assert_eq!(cells("1\t\t3\t\t ", 3), Ok(vec!["1", "", "3"]));
        assert_eq!(cells("1\t2\t", 3), Ok(vec!["1", "2", ""]));
        assert_eq!(cells("  1  2\t 3 ", 3), Ok(vec!["1", "2", "3"]));
        assert_eq!(cells("1\t2\t3\t4\t", 3), Err(4));
        assert_eq!(cells("1\t2", 3), Err(2));
        assert_eq!(cells("1 2", 3), Err(2));
        assert_eq!(cells("", 3), Err(0));
        assert_eq!(cells("\t", 3), Err(1));
    }

    #[test]
    fn lines_end_as_any_system_ends_them() {
        let of = |text| lines(text).map(|(_, line)| line).collect::<Vec<_>>();
        assert_eq!(of("a\n\nb\n"), ["a", "", "b"]);
        assert_eq!(of("a\r\n\r\nb"), ["a", "", "b"]);
        assert_eq!(of("a\r\rb\r"), ["a", "", "b"]);
        assert_eq!(lines("a\nb").last(), Some((2, "b")));
    }

    #[test]
    fn rows_keep_their_order() {
        let of = |count| rows(count, |out, row| out.push_str(&format!("{row}\n")));
        assert_eq!(of(0), "");
        for count in [1, 31, 32, 33, 100] {
            let expected: String = (0..count).map(|row| format!("{row}\n")).collect();
            assert_eq!(of(count), expected);
        }
    }

    #[test]
    fn zero_has_no_sign() {
        let mut out = String::new();
        number(&mut out, -1e-15);
        assert_eq!(out, "0.000000000000");
    }

    #[test]
    fn heads_keep_to_their_column() {
        assert_eq!(column("a\tb\n"), "a_b_");
    }
}
