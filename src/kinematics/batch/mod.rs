//! Forward kinematics and the marker Jacobian of many frames, several in each instruction.
mod compile;
mod curve;
mod kernel;
pub mod table;

use crate::Result;
use crate::math::lanes::{Real, Row, Tiles};
use crate::skeleton::{CoordinateId, MarkerId, Offsets, Scales, Skeleton};
use kernel::{POSE_ROWS, TWIST_ROWS, Tile};
use nalgebra::{Matrix3, Rotation3, Vector3};
use pulp::Arch;
use table::Table;

/// A skeleton with its scales and offsets, ready to be evaluated in many frames. Immutable.
#[derive(Debug, Clone)]
pub struct Program<T> {
    table: Table<T>,
    arch: Arch,
}

/// Room for what lies between inputs and results of one tile; reused.
#[derive(Debug, Clone)]
pub struct Workspace<T> {
    motions: Vec<Row<T>>,
    poses: Vec<Row<T>>,
    twists: Vec<Row<T>>,
    markers: Vec<Row<T>>,
    jacobian: Vec<Row<T>>,
}

/// What [`Program::linearise`] gives of one tile.
#[derive(Debug, Clone, Copy)]
pub struct Linearised<'a, T> {
    /// Which tile: its first frame is `tile ·` [`TILE`](crate::math::lanes::TILE).
    pub tile: usize,
    /// `[marker][xyz]`, metres.
    pub markers: &'a [Row<T>],
    /// `[pair][xyz]`, metres per unit of the coordinate; pairs as [`Program::pairs`] tells.
    pub jacobian: &'a [Row<T>],
}

impl<T: Real> Program<T> {
    /// Folds a skeleton of these scales and offsets into a table. All its coordinates that are neither dependent nor locked, and those of rotors, have columns in the
    /// Jacobian.
    pub fn new(skeleton: &Skeleton, scales: &Scales, offsets: &Offsets) -> Self {
        Self { table: compile::compile(skeleton, scales, offsets).cast(), arch: Arch::new() }
    }

    /// Of a table from elsewhere.
    ///
    /// # Errors
    /// Says which of the table's arrays does not fit the others.
    pub fn from_table(table: Table<T>) -> Result<Self> {
        table.check()?;
        Ok(Self { table, arch: Arch::new() })
    }

    /// The flat table.
    pub fn table(&self) -> &Table<T> {
        &self.table
    }

    /// The pairs of a marker and a coordinate that moves it, in the order of the Jacobian's rows: markers in the skeleton's order, the coordinates of
    /// each ascending.
    pub fn pairs(&self) -> Vec<(MarkerId, CoordinateId)> {
        let t = &self.table;
        let mut link_of = vec![0; t.markers()];
        for link in 0..t.links() {
            for &m in &t.marker[t.link_marker_start[link] as usize..t.link_marker_start[link + 1] as usize] {
                link_of[m as usize] = link;
            }
        }
        let columns =
            |link: usize| &t.link_column[t.link_column_start[link] as usize..t.link_column_start[link + 1] as usize];
        let of_marker = |m: usize| {
            let coordinates = columns(link_of[m]).iter().map(|&c| t.column_coordinate[c as usize]);
            coordinates.map(move |c| (MarkerId(m as u32), CoordinateId(c)))
        };
        (0..t.markers()).flat_map(of_marker).collect()
    }

    /// Room for the inputs of so many frames, zero: one row for each coordinate, nine for each rotor.
    pub fn inputs(&self, frames: usize) -> Tiles<T> {
        Tiles::zeros(self.table.input_rows(), frames)
    }

    /// Sets a frame's inputs, as [`super::forward`] takes them.
    ///
    /// # Panics
    /// Where `inputs` is not of this program's rows or has no such frame.
    pub fn set(&self, inputs: &mut Tiles<T>, frame: usize, q: &[f64], rotors: &[Rotation3<f64>]) {
        assert_eq!((inputs.rows(), q.len()), (self.table.input_rows(), self.table.coordinates as usize));
        let numbers = q.iter().chain(rotors.iter().flat_map(|r| r.matrix().iter()));
        for (row, &value) in numbers.enumerate() {
            inputs.set(row, frame, T::from_f64(value));
        }
    }

    /// Room for evaluation.
    pub fn workspace(&self) -> Workspace<T> {
        let t = &self.table;
        let zeros = |n: usize| vec![Row::filled(T::default()); n];
        let mut poses = zeros(POSE_ROWS * t.links());
        for i in [0, 4, 8] {
            poses[i] = Row::filled(T::from_f64(1.0));
        }
        Workspace {
            motions: zeros(curve::MOTION_ROWS * t.motions()),
            poses,
            twists: zeros(TWIST_ROWS * t.columns()),
            markers: zeros(3 * t.markers()),
            jacobian: zeros(3 * t.pairs()),
        }
    }

    /// Markers of all frames, rows `[marker][xyz]`, metres; and, where asked for, the poses of all bodies, twelve rows each: `ground_from_body` column by
    /// column, then the origin ([`Program::body`]). Both are made the size they need to have.
    ///
    /// # Panics
    /// Where `inputs` or the workspace are another program's.
    pub fn forward(
        &self,
        inputs: &Tiles<T>,
        workspace: &mut Workspace<T>,
        markers: &mut Tiles<T>,
        mut bodies: Option<&mut Tiles<T>>,
    ) {
        let t = &self.table;
        assert_eq!(inputs.rows(), t.input_rows());
        markers.resize(3 * t.markers(), inputs.frames());
        if let Some(bodies) = &mut bodies {
            bodies.resize(POSE_ROWS * t.body_link.len(), inputs.frames());
        }
        for tile in 0..inputs.tiles() {
            self.arch.dispatch(Tile {
                table: t,
                inputs: inputs.tile(tile),
                motions: &mut workspace.motions,
                poses: &mut workspace.poses,
                twists: &mut [],
                markers: markers.tile_mut(tile),
                bodies: bodies.as_deref_mut().map_or(&mut [], |b| b.tile_mut(tile)),
                jacobian: &mut [],
            });
        }
    }

    /// Pose of a body, `ground_from_body`, out of what [`Program::forward`] gave.
    pub fn body(&self, bodies: &Tiles<T>, body: usize, frame: usize) -> (Rotation3<f64>, Vector3<f64>) {
        let column = |j: usize| bodies.vector(POSE_ROWS * body + 3 * j, frame);
        let rotation = Matrix3::from_columns(&[column(0), column(1), column(2)]);
        (Rotation3::from_matrix_unchecked(rotation), column(3))
    }

    /// Markers of all frames and their derivatives with respect to the coordinates, a tile after the other, while each lies in the cache.
    ///
    /// # Panics
    /// Where `inputs` or the workspace are another program's.
    pub fn linearise(&self, inputs: &Tiles<T>, workspace: &mut Workspace<T>, mut each: impl FnMut(Linearised<'_, T>)) {
        assert_eq!(inputs.rows(), self.table.input_rows());
        let Workspace { motions, poses, twists, markers, jacobian } = workspace;
        for tile in 0..inputs.tiles() {
            self.arch.dispatch(Tile {
                table: &self.table,
                inputs: inputs.tile(tile),
                motions,
                poses,
                twists,
                markers,
                bodies: &mut [],
                jacobian,
            });
            each(Linearised { tile, markers, jacobian });
        }
    }
}
