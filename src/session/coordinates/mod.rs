//! Coordinates over time, as OpenSim's `.mot` and `.sto` files hold them.

mod read;
mod write;

pub use read::{read, read_str};

use crate::skeleton::{Motion, Skeleton};

/// The unit files state a coordinate in where they are in degrees, per SI unit.
pub fn file_unit(motion: Motion) -> f64 {
    match motion {
        Motion::Rotational => 1f64.to_degrees(),
        Motion::Translational | Motion::Coupled => 1.0,
    }
}

/// Columns of numbers over time.
#[derive(Debug, Clone, PartialEq)]
pub struct CoordinateTable {
    /// Heads of the columns, without that of time: names of coordinates, or the paths that OpenSim gives states
    /// (`/jointset/hip_r/hip_flexion_r/value`); each its own.
    pub names: Vec<String>,
    /// Seconds, one per row, increasing, not necessarily in even steps.
    pub times: Vec<f64>,
    /// Row-major: column `c` of row `r` at `r·names.len() + c`; `None` where missing, never a NaN. Metres, and radians or degrees.
    pub values: Vec<Option<f64>>,
    /// Whether rotational coordinates are in degrees.
    pub in_degrees: bool,
}

impl CoordinateTable {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.times.len()
    }

    /// A value; `None` where it is missing, or there is no such row or column.
    pub fn get(&self, row: usize, column: usize) -> Option<f64> {
        let place = row.checked_mul(self.names.len())?.checked_add(column)?;
        self.values.get(place).copied().flatten().filter(|_| column < self.names.len())
    }

    /// A column's value at a time, linearly between the rows around it; `None` outside the rows or next to a missing value.
    pub fn at(&self, time: f64, column: usize) -> Option<f64> {
        let after = self.times.partition_point(|&t| t < time);
        let next = self.get(after, column).filter(|_| after < self.rows());
        if after < self.rows() && self.times[after] == time {
            return next;
        }
        let before = after.checked_sub(1)?;
        let (a, b) = (self.get(before, column)?, next?);
        let x = (time - self.times[before]) / (self.times[after] - self.times[before]);
        Some(a + x * (b - a))
    }

    /// The column of a coordinate: of its name, or of its path among states.
    pub fn column(&self, coordinate: &str) -> Option<usize> {
        let exact = self.names.iter().position(|name| name == coordinate);
        exact.or_else(|| self.names.iter().position(|name| coordinate_name(name) == coordinate))
    }

    /// The same with rotational coordinates in radians, as `is_rotational` says of the coordinate of each column; others are left as they are, and so is
    /// everything in a table that is in radians already.
    pub fn in_si(&self, is_rotational: impl Fn(&str) -> bool) -> Self {
        let mut table = Self { in_degrees: false, ..self.clone() };
        if self.in_degrees && !self.names.is_empty() {
            let rotational: Vec<bool> = self.names.iter().map(|name| is_rotational(coordinate_name(name))).collect();
            for row in table.values.chunks_mut(rotational.len()) {
                let converted = row.iter_mut().zip(&rotational).filter(|(_, rotational)| **rotational);
                converted.for_each(|(value, _)| *value = value.map(f64::to_radians));
            }
        }
        table
    }

    /// The same for the coordinates of a model: its rotational ones are converted, translational and coupled ones and columns that it does not
    /// have are not. (OpenSim does so too; other tools write coupled coordinates in other ways, or not at all.)
    pub fn in_si_for(&self, skeleton: &Skeleton) -> Self {
        self.in_si(|name| {
            skeleton.coordinate(name).is_some_and(|id| skeleton.coordinates[id.index()].motion == Motion::Rotational)
        })
    }
}

/// The coordinate that a column's head names: itself, or the last but one part of a path to its value. Paths to anything else stay whole.
fn coordinate_name(head: &str) -> &str {
    let path = head.strip_suffix("/value").filter(|path| path.contains('/'));
    path.and_then(|path| path.rsplit('/').next()).unwrap_or(head)
}

#[cfg(test)]
mod tests;
