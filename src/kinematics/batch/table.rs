//! The flat table a skeleton becomes: nothing but arrays of numbers, so that every kernel, on any device, reads the same one.

use crate::math::lanes::Real;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Version of the layout; raised whenever the meaning of an array changes.
pub const FORMAT: u32 = 1;

/// Stands for "none" among indices.
pub const NONE: u32 = u32::MAX;

/// What [`Table::operation_code`] holds. `R`, `p` are the link's rotation and origin so far, `c` its constants, `m` its motion.
pub mod operation {
    /// `p ← p + R·c`, 3 constants.
    pub const SHIFT: u8 = 0;
    /// `R ← R·C`, 9 constants, column by column.
    pub const TURN: u8 = 1;
    /// `R ← R·exp(e·m)`, `e` the first axis; the second and third follow as `ROTATE + 1`, `ROTATE + 2`.
    pub const ROTATE: u8 = 2;
    /// `p ← p + R·e·m`, `e` the first axis; the second and third follow.
    pub const SLIDE: u8 = 5;
    /// `p ← p + R·c·m`, 3 constants.
    pub const SLIDE_ALONG: u8 = 8;
    /// `R ← R·R_rotor`; [`super::Table::operation_motion`] is the rotor.
    pub const ROTOR: u8 = 9;
}

/// What [`Table::stage_code`] holds; parameters in this order.
pub mod stage {
    /// `slope, intercept`.
    pub const LINE: u8 = 0;
    /// Coefficients, highest power first.
    pub const POLYNOMIAL: u8 = 1;
    /// The `n` starts of cubic pieces, ascending (the first holds from −∞ whatever it says); then for each `x₀, a, b, c, d` of
    /// `a + t·(b + t·(c + t·d))`, `t = x − x₀`.
    pub const PIECES: u8 = 2;
}

/// What [`Table::motion_code`] holds.
pub mod motion {
    /// A length.
    pub const LENGTH: u8 = 0;
    /// An angle, of which sine and cosine are taken.
    pub const ANGLE: u8 = 1;
}

/// A skeleton with its scales and offsets, folded into numbers.
///
/// *Links* are what moves: a body without a motion of its own is part of its parent's link, and a link's frame is chosen such that as many axes as
/// possible are its own, which costs no bone its place. Link 0 is ground; parents come before children. `x_start` arrays have one entry more than there are `x`s:
/// `x`'s part is `start[i]..start[i + 1]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "T: Real")]
pub struct Table<T> {
    /// [`FORMAT`].
    pub format: u32,
    /// Coordinates of the skeleton: the first input rows.
    pub coordinates: u32,
    /// Rotors: nine input rows each after the coordinates, column by column.
    pub rotors: u32,

    /// What moves: `LENGTH` or `ANGLE` as a function of a coordinate, its stages applied one after the other.
    pub motion_code: Vec<u8>,
    /// Input row of each motion.
    pub motion_coordinate: Vec<u32>,
    /// Stages of each motion, at least one.
    pub motion_start: Vec<u32>,
    /// Kinds of stages.
    pub stage_code: Vec<u8>,
    /// Parameters of each stage in `parameters`.
    pub stage_start: Vec<u32>,
    /// Parameters of all stages.
    pub parameters: Vec<T>,

    /// Parent of each link; ground's is ground.
    pub link_parent: Vec<u32>,
    /// Operations of each link; ground has none.
    pub link_start: Vec<u32>,
    /// Kinds of operations.
    pub operation_code: Vec<u8>,
    /// Motion (or rotor) of each operation, or `NONE`.
    pub operation_motion: Vec<u32>,
    /// First constant of each operation, or `NONE`.
    pub operation_constant: Vec<u32>,
    /// Column whose twist the operation adds to, or `NONE` where its coordinate is not free; a rotor's has three in a row.
    pub operation_column: Vec<u32>,
    /// Column that the sum starts from: the operation's own where an earlier one has begun it, that of a link before where the same coordinate moves that too, or
    /// `NONE` for zero.
    pub operation_onto: Vec<u32>,
    /// Constants of all operations.
    pub constants: Vec<T>,

    /// Coordinate of each column of the Jacobian.
    pub column_coordinate: Vec<u32>,
    /// 0 where the column only displaces: its ω is zero.
    pub column_turns: Vec<u8>,
    /// Columns that move each link, all on its way from ground, by ascending coordinate: part `link_column_start[i]..`.
    pub link_column_start: Vec<u32>,
    /// Columns of all links.
    pub link_column: Vec<u32>,

    /// Markers on each link: part of `marker`.
    pub link_marker_start: Vec<u32>,
    /// Markers (of the skeleton's order) by link.
    pub marker: Vec<u32>,
    /// Place of each of `marker` in its link's frame, 3 each, metres.
    pub marker_place: Vec<T>,
    /// First pair of each marker, in the skeleton's order: its pairs are those of its link's columns.
    pub pair_start: Vec<u32>,

    /// Link of each body.
    pub body_link: Vec<u32>,
    /// Rotation of each body in its link's frame, 9 each, column by column.
    pub body_rotation: Vec<T>,
    /// Origin of each body in its link's frame, 3 each, metres.
    pub body_origin: Vec<T>,
}

impl<T: Real> Table<T> {
    /// The same in another precision.
    pub fn cast<U: Real>(&self) -> Table<U> {
        let cast = |v: &[T]| v.iter().map(|x| U::from_f64(x.to_f64())).collect();
        Table {
            format: self.format,
            coordinates: self.coordinates,
            rotors: self.rotors,
            motion_code: self.motion_code.clone(),
            motion_coordinate: self.motion_coordinate.clone(),
            motion_start: self.motion_start.clone(),
            stage_code: self.stage_code.clone(),
            stage_start: self.stage_start.clone(),
            parameters: cast(&self.parameters),
            link_parent: self.link_parent.clone(),
            link_start: self.link_start.clone(),
            operation_code: self.operation_code.clone(),
            operation_motion: self.operation_motion.clone(),
            operation_constant: self.operation_constant.clone(),
            operation_column: self.operation_column.clone(),
            operation_onto: self.operation_onto.clone(),
            constants: cast(&self.constants),
            column_coordinate: self.column_coordinate.clone(),
            column_turns: self.column_turns.clone(),
            link_column_start: self.link_column_start.clone(),
            link_column: self.link_column.clone(),
            link_marker_start: self.link_marker_start.clone(),
            marker: self.marker.clone(),
            marker_place: cast(&self.marker_place),
            pair_start: self.pair_start.clone(),
            body_link: self.body_link.clone(),
            body_rotation: cast(&self.body_rotation),
            body_origin: cast(&self.body_origin),
        }
    }

    /// Links, ground included.
    pub fn links(&self) -> usize {
        self.link_parent.len()
    }

    /// Motions.
    pub fn motions(&self) -> usize {
        self.motion_code.len()
    }

    /// Columns of the Jacobian, each with one twist.
    pub fn columns(&self) -> usize {
        self.column_coordinate.len()
    }

    /// Markers.
    pub fn markers(&self) -> usize {
        self.marker.len()
    }

    /// Pairs of a marker and a coordinate that moves it.
    pub fn pairs(&self) -> usize {
        self.pair_start.last().map_or(0, |&n| n as usize)
    }

    /// Rows of a frame's inputs.
    pub fn input_rows(&self) -> usize {
        self.coordinates as usize + 9 * self.rotors as usize
    }

    /// Whether every index in the table is one: what a table from elsewhere is asked before it is used.
    ///
    /// # Errors
    /// Names the array that does not fit the others.
    pub fn check(&self) -> Result<()> {
        let wrong = |array: &str| {
            Err(Error::input(
                "kinematics table",
                format_args!("`{array}` does not fit the other arrays"),
                "make the table anew from its model",
            ))
        };
        if self.format != FORMAT {
            return Err(Error::input(
                "kinematics table",
                format_args!("format {} where {FORMAT} is read", self.format),
                "make the table anew from its model",
            ));
        }
        let (links, operations, columns) = (self.links(), self.operation_code.len(), self.columns());
        let starts = |s: &[u32], parts: usize, end: usize| {
            s.len() == parts + 1 && s[0] == 0 && s[parts] as usize == end && s.windows(2).all(|w| w[0] <= w[1])
        };
        let below = |v: &[u32], n: usize| v.iter().all(|&i| (i as usize) < n);
        let motions = self.motions();
        if self.motion_coordinate.len() != motions || !below(&self.motion_coordinate, self.coordinates as usize) {
            return wrong("motion_coordinate");
        }
        if !starts(&self.motion_start, motions, self.stage_code.len())
            || self.motion_start.windows(2).any(|w| w[0] == w[1])
        {
            return wrong("motion_start");
        }
        let stages = self.stage_code.len();
        let fits = |i: usize| {
            let n = self.stage_start[i + 1] - self.stage_start[i];
            match self.stage_code[i] {
                stage::LINE => n == 2,
                stage::POLYNOMIAL => n > 0,
                stage::PIECES => n > 0 && n.is_multiple_of(6),
                _ => false,
            }
        };
        if !starts(&self.stage_start, stages, self.parameters.len()) || !(0..stages).all(fits) {
            return wrong("stage_start");
        }
        if links == 0 || (0..links).any(|i| self.link_parent[i] as usize >= i.max(1)) {
            return wrong("link_parent");
        }
        if !starts(&self.link_start, links, operations) || self.link_start[1] != 0 {
            return wrong("link_start");
        }
        let of_operations =
            [&self.operation_motion, &self.operation_constant, &self.operation_column, &self.operation_onto];
        if of_operations.iter().any(|v| v.len() != operations) || !(0..operations).all(|i| self.operation_fits(i)) {
            return wrong("operation_code");
        }
        if self.column_turns.len() != columns || !below(&self.column_coordinate, self.coordinates as usize) {
            return wrong("column_coordinate");
        }
        if !starts(&self.link_column_start, links, self.link_column.len()) || !below(&self.link_column, columns) {
            return wrong("link_column");
        }
        let markers = self.markers();
        let mut seen = vec![false; markers];
        for &m in &self.marker {
            match seen.get_mut(m as usize) {
                Some(seen) if !*seen => *seen = true,
                _ => return wrong("marker"),
            }
        }
        if !starts(&self.link_marker_start, links, markers) || self.marker_place.len() != 3 * markers {
            return wrong("marker_place");
        }
        let pairs = |link: usize| self.link_column_start[link + 1] - self.link_column_start[link];
        let pairs_fit = |link: usize| {
            let on = self.link_marker_start[link] as usize..self.link_marker_start[link + 1] as usize;
            self.marker[on]
                .iter()
                .all(|&m| self.pair_start[m as usize + 1] - self.pair_start[m as usize] == pairs(link))
        };
        if !starts(&self.pair_start, markers, self.pairs()) || !(0..links).all(pairs_fit) {
            return wrong("pair_start");
        }
        let bodies = self.body_link.len();
        if !below(&self.body_link, links)
            || self.body_rotation.len() != 9 * bodies
            || self.body_origin.len() != 3 * bodies
        {
            return wrong("body_link");
        }
        Ok(())
    }

    fn operation_fits(&self, i: usize) -> bool {
        let code = self.operation_code[i];
        let constants = match code {
            operation::SHIFT | operation::SLIDE_ALONG => 3,
            operation::TURN => 9,
            _ => 0,
        };
        let constants_fit = constants == 0
            || (self.operation_constant[i] as usize).checked_add(constants).is_some_and(|n| n <= self.constants.len());
        let motion = self.operation_motion[i] as usize;
        let (motion_fits, width) = match code {
            operation::SHIFT | operation::TURN => (true, 0),
            c if c < operation::SLIDE => (self.motion_code.get(motion) == Some(&motion::ANGLE), 1),
            c if c <= operation::SLIDE_ALONG => (self.motion_code.get(motion) == Some(&motion::LENGTH), 1),
            operation::ROTOR => (motion < self.rotors as usize, 3),
            _ => (false, 0),
        };
        let column = |c: u32| c == NONE || (c as usize).checked_add(width).is_some_and(|n| n <= self.columns());
        constants_fit && motion_fits && column(self.operation_column[i]) && column(self.operation_onto[i])
    }
}
