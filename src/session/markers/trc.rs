//! Marker trials as `.trc`: five lines of header, then a row per frame with its number, its time, and three columns per marker.
//!
//! Read as OpenSim's own files, Pose2Sim's, Cortex's and Vicon's really are: units of mm, cm or m; a marker whose cells are empty or NaN in any
//! spelling is missing; names stand anywhere in their line as long as there are as many as the header says; a blank line may or may not
//! stand before the data; columns and lines may end in tabs, CR or nothing; the count of frames in the header need not be true. What would
//! put a number under another marker's name is an error: counts of markers that disagree, rows of another length.

use super::super::columns::{NoNumber, cells, column, is_blank, lines, no_number, number, place, rows, time, value};
use super::{MOST_MARKERS, MarkerTrial, check_size, metres, names, no_unit};
use crate::error::{Error, Result};
use crate::skeleton::xml::shortened;
use nalgebra::Vector3;
use std::fmt::Write;

/// What the header says.
struct Header {
    /// `None` where it is no positive number.
    rate_hz: Option<f64>,
    /// Of the data, as declared.
    frames: Option<f64>,
    markers: usize,
    metres_per_unit: f64,
}

/// Reads the text of a `.trc`; `label` names it in errors. Positions keep the file's axes.
///
/// # Errors
/// Text that does not begin as a TRC file does; a header without rate, markers or unit, or whose count of markers is not that of the names or
/// columns; a row of another length; a cell that is neither a number nor empty; times that do not increase; two markers of one name; a
/// file that ends early.
pub fn read(label: &str, text: &str) -> Result<MarkerTrial> {
    let mut rest = lines(text).peekable();
    let mut line = |what: &str| {
        rest.next().ok_or_else(|| {
            Error::input(label, format_args!("the file ends before {what}"), "it is cut off: export or copy it again")
        })
    };
    let (_, first) = line("its first line")?;
    if !first.trim_start().get(..12).is_some_and(|word| word.eq_ignore_ascii_case("PathFileType")) {
        return Err(Error::input(
            place(label, 1),
            "a TRC file begins with `PathFileType`, and this one does not",
            "give a .trc or .c3d file of markers",
        ));
    }
    let (_, keys) = line("the second line of its header")?;
    let (_, values) = line("the third line of its header")?;
    let header = header(label, keys, values)?;
    let (_, labels) = line("the names of its markers")?;
    let names = marker_names(label, labels, header.markers)?;
    // The line X1 Y1 Z1 … says nothing but how many there are.
    if let Some((number, axes)) = rest.next_if(|(_, line)| line.trim_start().starts_with(['X', 'x'])) {
        let count = axes.split_whitespace().count();
        if count != 3 * header.markers {
            return Err(Error::input(
                place(label, number),
                format_args!(
                    "{count} columns X1, Y1, Z1, …, and {} markers in the header need {}",
                    header.markers,
                    3 * header.markers
                ),
                "correct NumMarkers in line 3, or export the file again",
            ));
        }
    }
    let mut trial = MarkerTrial {
        label: label.to_owned(),
        names,
        rate_hz: header.rate_hz.unwrap_or(0.0),
        first_frame: 0,
        times: Vec::new(),
        positions: Vec::new(),
        up: None,
    };
    let mut last = 0;
    for (number, row) in rest.filter(|(_, row)| !is_blank(row)) {
        check_size(label, trial.frames() + 1, trial.names.len())?;
        push(&mut trial, label, number, row, header.metres_per_unit)?;
        last = number;
    }
    finish(trial, label, &header, last, text.ends_with(['\n', '\r']))
}

/// How many metres are one of the units that a TRC file states.
///
/// # Errors
/// A header that is none, as [`read`] has it.
pub fn metres_per_unit(label: &str, text: &str) -> Result<f64> {
    let mut rest = lines(text).map(|(_, line)| line).skip(1);
    Ok(header(label, rest.next().unwrap_or(""), rest.next().unwrap_or(""))?.metres_per_unit)
}

fn header(label: &str, keys: &str, values: &str) -> Result<Header> {
    // As many values as names stand in their order, whatever is between them; where one is blank, they stand under each other between tabs.
    let (by_tabs, by_words) = ([keys, values].map(tabbed), [keys, values].map(words));
    let (named, given) = (by_words[0].len(), by_words[1].len());
    let by_tabs = (named != given && by_tabs[0].len() == by_tabs[1].len()).then_some(by_tabs);
    let find = |key: &str| under(by_tabs.as_ref().unwrap_or(&by_words), key);
    // A value that is missing or too much makes each that follows it another's.
    let shifted = |what: &str, text: &str| {
        Error::input(
            place(label, 3),
            format_args!(
                "{what} is `{}`, and line 2 names {named} values where this line has {given}: they do not stand under their names",
                shortened(text)
            ),
            "put in what is missing, or export the file again",
        )
    };
    let need = |key: &str| {
        find(key).ok_or_else(|| {
            let problem = format_args!("the header has no value of {key}");
            Error::input(
                place(label, 3),
                problem,
                "expected DataRate, CameraRate, NumFrames, NumMarkers, Units, … in line 2 and their values in line 3",
            )
        })
    };
    let count = need("NumMarkers")?;
    let markers = count.parse().ok().filter(|n| *n > 0).ok_or_else(|| {
        if named != given {
            return shifted("NumMarkers", count);
        }
        let problem = format_args!("NumMarkers is `{}`: not a number of markers", shortened(count));
        Error::input(place(label, 3), problem, "correct the header, or export the file again")
    })?;
    check_size(label, 1, markers)?;
    let unit = need("Units")?;
    Ok(Header {
        rate_hz: need("DataRate")?.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0),
        frames: find("NumFrames").and_then(|text| text.parse().ok()),
        markers,
        metres_per_unit: metres(unit)
            .ok_or_else(|| if named == given { no_unit(place(label, 3), unit) } else { shifted("Units", unit) })?,
    })
}

fn tabbed(line: &str) -> Vec<&str> {
    line.split('\t').map(str::trim).collect()
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// The value at the place of a key.
fn under<'a>([keys, values]: &[Vec<&'a str>; 2], key: &str) -> Option<&'a str> {
    let place = keys.iter().position(|k| k.eq_ignore_ascii_case(key))?;
    values.get(place).copied().filter(|v| !v.is_empty())
}

/// The names in line 4. They stand over their first columns or, in some files, elsewhere: then they count in their order.
fn marker_names(label: &str, line: &str, markers: usize) -> Result<Vec<String>> {
    let tabs = line.contains('\t');
    let cells = |line| -> Vec<&str> {
        // Hostile files may have more than fit: what is beyond is only counted.
        let most = 3 * MOST_MARKERS + 3;
        if tabs { str::split(line, '\t').take(most).collect() } else { line.split_whitespace().take(most).collect() }
    };
    let cells = cells(line);
    let heads = cells.first().copied().zip(cells.get(1).copied());
    if !heads.is_some_and(|(a, b)| a.trim().eq_ignore_ascii_case("Frame#") && b.trim().eq_ignore_ascii_case("Time")) {
        return Err(Error::input(
            place(label, 4),
            "the line with the names of the markers is expected here, beginning with Frame# and Time",
            "check that nothing is missing from the five lines of the header",
        ));
    }
    let cells = &cells[2..];
    let named: Vec<&str> = cells.iter().copied().filter(|cell| !is_blank(cell)).collect();
    if named.len() == markers {
        return names::from_labels(&place(label, 4), named);
    }
    // Fewer names than markers: some have none, which only shows where names stand over their columns.
    let over_columns = tabs && cells.iter().enumerate().all(|(i, cell)| i % 3 == 0 || is_blank(cell));
    let reach = cells.iter().rposition(|cell| !is_blank(cell)).map_or(0, |i| i / 3 + 1);
    if named.len() < markers && over_columns && reach <= markers && cells.len() + 2 >= 3 * markers {
        let label_of = |marker: usize| cells.get(3 * marker).copied().unwrap_or("");
        return names::from_labels(&place(label, 4), (0..markers).map(label_of));
    }
    Err(Error::input(
        place(label, 4),
        format_args!("{} names of markers, and the header says that there are {markers}", named.len()),
        "correct NumMarkers in line 3 or the names in line 4, or export the file again",
    ))
}

/// Adds the frame in a row.
fn push(trial: &mut MarkerTrial, label: &str, number: usize, row: &str, metres_per_unit: f64) -> Result<()> {
    let expected = 2 + 3 * trial.names.len();
    let cells = cells(row, expected).map_err(|count| {
        Error::input(
            place(label, number),
            format_args!("{count} columns, and {} markers need {expected}", trial.names.len()),
            "the file is cut off or damaged here: export or copy it again",
        )
    })?;
    if trial.times.is_empty() {
        let frame = value(cells[0]).ok().flatten();
        trial.first_frame =
            frame.ok_or_else(|| no_number(place(label, number), "number of the frame", cells[0]))? as i64;
    }
    trial.times.push(time(place(label, number), cells[1], trial.times.last().copied())?);
    for (name, cells) in trial.names.iter().zip(cells[2..].chunks_exact(3)) {
        let mut point = Some(Vector3::zeros());
        for (axis, cell) in cells.iter().enumerate() {
            let x = value(cell).map_err(|NoNumber| {
                no_number(place(label, number), format_args!("marker `{}`", shortened(name)), cell)
            })?;
            point = point.zip(x).map(|(mut point, x)| {
                point[axis] = x * metres_per_unit;
                point
            });
        }
        trial.positions.push(point);
    }
    Ok(())
}

fn finish(mut trial: MarkerTrial, label: &str, header: &Header, last: usize, complete: bool) -> Result<MarkerTrial> {
    let frames = trial.frames();
    if frames == 0 {
        return Err(Error::input(
            label,
            "there are no frames after the header",
            "it is cut off: export or copy it again",
        ));
    }
    if let Some(declared) = header.frames.filter(|n| *n != frames as f64) {
        if declared > frames as f64 && !complete {
            return Err(Error::input(
                place(label, last),
                format_args!("the file ends in the middle of a line, after {frames} of {declared} frames"),
                "it is cut off: export or copy it again",
            ));
        }
        tracing::warn!(
            place = place(label, 3),
            "the header says that there are {declared} frames, and there are {frames}; all of them are read. If some are missing, export the file again."
        );
    }
    let duration = trial.times[frames - 1] - trial.times[0];
    let of_times = (frames - 1) as f64 / duration;
    if let Some(rate) = header.rate_hz {
        // Times are written with three digits in some files: over many frames their rate is good to a per cent.
        if frames > 10 && of_times.is_finite() && (of_times / rate - 1.0).abs() > 0.02 {
            tracing::warn!(
                place = place(label, 3),
                "DataRate is {rate}, and the times of the frames have {of_times:.2} a second; the times are used"
            );
            trial.rate_hz = of_times;
        }
    } else {
        trial.rate_hz = of_times;
        if !(trial.rate_hz.is_finite() && trial.rate_hz > 0.0) {
            let problem = "DataRate is not a positive number, and there are too few frames to tell it from their times";
            return Err(Error::input(place(label, 3), problem, "write the frames per second as DataRate"));
        }
        tracing::warn!(
            place = place(label, 3),
            "DataRate is not a positive number; taken from the times of the frames, {of_times:.2}"
        );
    }
    Ok(trial)
}

/// A trial as the text of a `.trc`, metres with twelve decimals; missing markers are empty cells. `file` is the name that the header states.
///
/// # Errors
/// What [`MarkerTrial::check`] says.
pub fn to_text(trial: &MarkerTrial, file: &str) -> Result<String> {
    trial.check(file)?;
    let (rate, frames) = (trial.rate_hz, trial.frames());
    let mut out = format!(
        "PathFileType\t4\t(X/Y/Z)\t{}\n\
         DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames\n\
         {rate}\t{rate}\t{frames}\t{}\tm\t{rate}\t{}\t{frames}\nFrame#\tTime",
        column(file),
        trial.names.len(),
        trial.first_frame,
    );
    for name in &trial.names {
        let _ = write!(out, "\t{}\t\t", column(name));
    }
    out.push_str("\n\t");
    for i in 1..=trial.names.len() {
        let _ = write!(out, "\tX{i}\tY{i}\tZ{i}");
    }
    out.push_str("\n\n");
    out.push_str(&rows(trial.times.len(), |out, i| {
        let _ = write!(out, "{}\t", trial.first_frame.saturating_add_unsigned(i as u64));
        number(out, trial.times[i]);
        for point in trial.frame(i) {
            match point {
                Some(point) => point.iter().for_each(|x| {
                    out.push('\t');
                    number(out, *x);
                }),
                None => out.push_str("\t\t\t"),
            }
        }
        // OpenSim does not count an empty cell that ends its line.
        if trial.frame(i).last().is_some_and(Option::is_none) {
            out.push('\t');
        }
        out.push('\n');
    }));
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    /// OpenSim 4.6 counts one column too few without the last tab.
    #[test]
    fn a_missing_last_marker_leaves_its_cells() {
        let text = to_text(&sample(), "a.trc").unwrap();
        let rows: Vec<&str> = text.lines().skip(6).collect();
        // Number, time, three markers; the first row misses the first, the last the last.
        assert_eq!(rows.iter().map(|row| row.split('\t').count()).collect::<Vec<_>>(), [11, 11, 11, 12]);
        assert!(rows[0].starts_with("11\t0.200000000000\t\t\t\t0.1") && rows[3].ends_with("\t\t\t\t"), "{text}");
        assert_eq!(read("a.trc", &text).unwrap().get(3, 2), None);
    }
}
