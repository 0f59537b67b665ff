//! Reading `.mot` and `.sto`: a header up to `endheader`, a line of column heads, rows of numbers.
//!
//! Both generations of headers are read: `version=1`, `nRows=`, `nColumns=`, `inDegrees=yes` of OpenSim; `name`, `datacolumns`, `datarows`, `range` of SIMM. Where none says
//! whether angles are degrees, they are as OpenSim takes them: degrees in files without a version, radians in others. (A flag is believed in either.)
//! A SIMM file without a column of time has its rows spread over its `range`.

use super::CoordinateTable;
use crate::error::{Error, Result};
use crate::session::columns::{NoNumber, cells, is_blank, lines, no_number, place, time, value};
use crate::session::text;
use crate::skeleton::read::decoded;
use crate::skeleton::xml::shortened;
use std::collections::HashMap;
use std::path::Path;

/// Larger than any motion that is fitted; bounds memory.
const MOST_MIB: u64 = 512;

/// Most numbers in a table: 1 GiB.
const MOST_VALUES: usize = 1 << 26;

/// Most columns: OpenSim's states of the largest models have some thousand.
const MOST_COLUMNS: usize = 100_000;

const DAMAGED: &str = "the file is cut off or damaged here: export or copy it again";

/// Reads a `.mot` or `.sto` file.
///
/// # Errors
/// A file that cannot be read, otherwise as [`read_str`].
pub fn read(path: &Path) -> Result<CoordinateTable> {
    let bytes = text::bytes_up_to(path, MOST_MIB)?;
    read_str(&path.display().to_string(), &decoded(bytes))
}

/// The same from text; `label` names it in errors.
///
/// # Errors
/// No `endheader`; counts of columns that disagree; a row of another length; a cell that is neither a number nor missing; times that do not
/// increase; two columns of one name; a file that ends early.
pub fn read_str(label: &str, text: &str) -> Result<CoordinateTable> {
    let mut rest = lines(text);
    let header = Header::read(label, &mut rest)?;
    let (line, heads) = rest
        .by_ref()
        .find(|(_, line)| !is_blank(line))
        .ok_or_else(|| Error::input(label, "the file ends after its header: no line names its columns", DAMAGED))?;
    let heads = heads_of(label, line, heads, &header)?;
    let time_column = heads.iter().position(|head| head.eq_ignore_ascii_case("time"));
    let mut table = CoordinateTable {
        names: heads
            .iter()
            .enumerate()
            .filter(|(i, _)| Some(*i) != time_column)
            .map(|(_, h)| (*h).to_owned())
            .collect(),
        times: Vec::new(),
        values: Vec::new(),
        in_degrees: header.in_degrees.unwrap_or(!header.versioned),
    };
    let (mut rows, mut last) = (0usize, line);
    for (line, row) in rest.filter(|(_, row)| !is_blank(row)) {
        let cells = cells(row, heads.len()).map_err(|count| {
            let problem = format_args!("{count} columns, and the line of their names has {}", heads.len());
            Error::input(place(label, line), problem, DAMAGED)
        })?;
        if table.values.len() + cells.len() > MOST_VALUES {
            let problem = format_args!("more than the {MOST_VALUES} numbers that are read");
            return Err(Error::input(place(label, line), problem, "cut the motion into shorter ones"));
        }
        for (i, cell) in cells.into_iter().enumerate() {
            if Some(i) == time_column {
                table.times.push(time(place(label, line), cell, table.times.last().copied())?);
            } else {
                let number = value(cell).map_err(|NoNumber| {
                    no_number(place(label, line), format_args!("column `{}`", shortened(heads[i])), cell)
                })?;
                table.values.push(number);
            }
        }
        (rows, last) = (rows + 1, line);
    }
    header.check_rows(label, rows, last, text.ends_with(['\n', '\r']))?;
    if time_column.is_none() {
        table.times = header.spread(label, line, rows)?;
    }
    Ok(table)
}

/// What a header says, as far as it matters.
#[derive(Default)]
struct Header {
    /// Has a `version` of at least 1.
    versioned: bool,
    in_degrees: Option<bool>,
    rows: Option<usize>,
    columns: Option<usize>,
    range: Option<[f64; 2]>,
}

impl Header {
    /// Reads up to `endheader`, which it takes too.
    fn read<'a>(label: &str, lines: &mut impl Iterator<Item = (usize, &'a str)>) -> Result<Self> {
        let mut header = Self::default();
        for (number, line) in lines {
            let line = line.trim();
            if line.get(..9).is_some_and(|word| word.eq_ignore_ascii_case("endheader")) && is_blank(&line[9..]) {
                return Ok(header);
            }
            // `key=value`, or `key value` in SIMM's.
            let (key, said) =
                line.split_once('=').or_else(|| line.split_once(char::is_whitespace)).unwrap_or((line, ""));
            let said = said.trim();
            let count = || {
                said.parse().map(Some).map_err(|_| {
                    let problem = format_args!("{} is `{}`: not a count", shortened(key.trim()), shortened(said));
                    Error::input(place(label, number), problem, "correct the header, or export the file again")
                })
            };
            match key.trim().to_ascii_lowercase().as_str() {
                "version" => header.versioned = said.parse::<f64>().is_ok_and(|version| version >= 1.0),
                "nrows" | "datarows" => header.rows = count()?,
                "ncolumns" | "datacolumns" => header.columns = count()?,
                "indegrees" => header.in_degrees = Some(yes(label, number, said)?),
                "range" => {
                    let mut ends = said.split_whitespace().filter_map(|word| value(word).ok().flatten());
                    header.range = ends.next().zip(ends.next()).map(|(start, end)| [start, end]);
                }
                _ => {}
            }
        }
        Err(Error::input(
            label,
            "there is no line `endheader`, which ends the header of a .mot or .sto file",
            "give a motion file of OpenSim; if this is one, it is cut off: copy it again",
        ))
    }

    fn check_rows(&self, label: &str, rows: usize, last: usize, complete: bool) -> Result<()> {
        if rows == 0 {
            return Err(Error::input(label, "there are no rows of numbers", DAMAGED));
        }
        if let Some(declared) = self.rows.filter(|declared| *declared != rows) {
            if declared > rows && !complete {
                let problem = format_args!("the file ends in the middle of a line, after {rows} of {declared} rows");
                return Err(Error::input(place(label, last), problem, DAMAGED));
            }
            tracing::warn!(
                file = label,
                "the header says that there are {declared} rows, and there are {rows}; all of them are read"
            );
        }
        Ok(())
    }

    /// Times of rows that have none: evenly over the range.
    fn spread(&self, label: &str, line: usize, rows: usize) -> Result<Vec<f64>> {
        match self.range {
            Some([start, end]) if rows > 1 && start < end => {
                let times: Vec<f64> = (0..rows).map(|i| start + (end - start) * i as f64 / (rows - 1) as f64).collect();
                let increase = times.windows(2).all(|pair| pair[0] < pair[1]) && times.iter().all(|t| t.is_finite());
                if increase {
                    return Ok(times);
                }
            }
            _ => {}
        }
        let problem = "there is no column `time`, and no `range` in the header to spread the rows over";
        Err(Error::input(place(label, line), problem, "name the column of times `time`"))
    }
}

fn yes(label: &str, line: usize, said: &str) -> Result<bool> {
    match said.to_ascii_lowercase().as_str() {
        "yes" | "y" | "true" | "1" => Ok(true),
        "no" | "n" | "false" | "0" => Ok(false),
        _ => {
            let problem = format_args!("inDegrees is `{}`", shortened(said));
            Err(Error::input(place(label, line), problem, "write inDegrees=yes or inDegrees=no"))
        }
    }
}

/// Names of the columns, that of time among them.
fn heads_of<'a>(label: &str, number: usize, line: &'a str, header: &Header) -> Result<Vec<&'a str>> {
    if line.split_whitespace().nth(MOST_COLUMNS).is_some() || line.split('\t').nth(MOST_COLUMNS).is_some() {
        let problem = format_args!("more than {MOST_COLUMNS} columns");
        return Err(Error::input(place(label, number), problem, "this is not a file of coordinates; check the name"));
    }
    // Between tabs names may hold spaces; without tabs, or where these give the wrong number, they cannot.
    let between_tabs: Vec<&str> = line.trim().split('\t').map(str::trim).collect();
    let words: Vec<&str> = line.split_whitespace().collect();
    let fits = |heads: &[&str]| heads.iter().all(|h| !h.is_empty()) && header.columns.is_none_or(|n| n == heads.len());
    let tabs = between_tabs.len() > 1 && (fits(&between_tabs) || !fits(&words));
    let heads = if tabs { between_tabs } else { words };
    if let Some(declared) = header.columns.filter(|declared| *declared != heads.len()) {
        return Err(Error::input(
            place(label, number),
            format_args!("{} columns are named, and the header says that there are {declared}", heads.len()),
            "correct the header, or export the file again",
        ));
    }
    let mut seen = HashMap::new();
    for (i, head) in heads.iter().enumerate() {
        if head.is_empty() {
            let problem = format_args!("column {} has no name", i + 1);
            return Err(Error::input(place(label, number), problem, "give every column its own name"));
        }
        if let Some(first) = seen.insert(*head, i) {
            let problem = format_args!("columns {} and {} are both named `{}`", first + 1, i + 1, shortened(head));
            return Err(Error::input(place(label, number), problem, "give every column its own name"));
        }
    }
    Ok(heads)
}
