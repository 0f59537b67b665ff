//! Writing `.mot`.

use super::CoordinateTable;
use crate::error::{Error, Result};
use crate::session::columns::{column, number};
use std::fmt::Write;

impl CoordinateTable {
    /// The text of an OpenSim 4 motion file, columns in their order, twelve decimals: a rounding of 5e-13 degrees, radians or metres. `label` is
    /// the place that errors name.
    ///
    /// # Errors
    /// A value that is missing or no number (OpenSim stops reading there); a number of values that is not rows × columns; a time that is no number.
    pub fn to_mot(&self, label: &str) -> Result<String> {
        let (rows, columns) = (self.rows(), self.names.len());
        let wrong =
            |problem: String| Err(Error::input(label, problem, "fill what is missing, or leave the column or row out"));
        if rows.checked_mul(columns) != Some(self.values.len()) {
            return wrong(format!("{} values for {rows} rows of {columns} columns", self.values.len()));
        }
        let mut out = format!(
            "Coordinates\nversion=1\nnRows={rows}\nnColumns={}\ninDegrees={}\n\n\
             Units are S.I. units (second, meters, Newtons, ...)\n\
             If the header above contains a line with 'inDegrees', this indicates whether rotational values are in degrees (yes) or radians (no).\n\n\
             endheader\ntime",
            columns + 1,
            if self.in_degrees { "yes" } else { "no" },
        );
        for name in &self.names {
            let _ = write!(out, "\t{}", column(name));
        }
        out.push('\n');
        for (row, time) in self.times.iter().enumerate() {
            if !time.is_finite() {
                return wrong(format!("row {} has no time", row + 1));
            }
            number(&mut out, *time);
            for (name, value) in self.names.iter().zip(&self.values[row * columns..]) {
                let Some(value) = value.filter(|value| value.is_finite()) else {
                    return wrong(format!("coordinate `{name}` has no value at {time} s"));
                };
                out.push('\t');
                number(&mut out, value);
            }
            out.push('\n');
        }
        Ok(out)
    }
}
