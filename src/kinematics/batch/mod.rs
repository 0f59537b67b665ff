//! Forward kinematics and the marker Jacobian of many frames, several in each instruction.
//!
//! ```
//! use kinefit::kinematics::batch::Program;
//! use kinefit::math::lanes::{TILE, Tiles};
//! use kinefit::skeleton::{Offsets, Scales};
//!
//! # fn main() -> kinefit::Result<()> {
//! let skeleton = kinefit::fit::default_skeleton()?;
//! let program = Program::<f64>::new(&skeleton, &Scales::ones(&skeleton), &Offsets::zeros(&skeleton));
//! let mut inputs = program.inputs(100);
//! let knee = skeleton.coordinate("knee_angle_r").expect("the built-in body has knees");
//! for frame in 0..inputs.frames() {
//!     inputs.set(knee.index(), frame, 0.01 * frame as f64);
//! }
//! let (mut workspace, mut markers) = (program.workspace(), Tiles::zeros(0, 0));
//! program.forward(&inputs, &mut workspace, &mut markers, None);
//! println!("marker 0 in frame 99: {}", markers.vector(0, 99));
//!
//! let pairs = program.pairs();
//! program.linearise(&inputs, &mut workspace, |tile| {
//!     let (marker, coordinate) = pairs[0];
//!     let derivative = tile.jacobian[0].0[3]; // x of the first pair in the tile's fourth frame
//!     println!("frame {}: ∂x{}/∂q{} = {derivative}", tile.tile * TILE + 3, marker.index(), coordinate.index());
//! });
//! # Ok(())
//! # }
//! ```
//!
//! # Layout
//!
//! A skeleton with its scales and offsets is folded once into a [`Table`], flat arrays of numbers and nothing else, versioned, in `f32` or `f64`: the form that
//! kernels of every kind read. Frames lie in tiles of [`TILE`](crate::math::lanes::TILE), `[tile][row][frame in the tile]`: whatever the processor takes at once, 1 to 16
//! numbers, divides it. The last tile is evaluated whole; what stands beyond the last frame is not to be read.
//!
//! | rows of | are | unit |
//! |---|---|---|
//! | inputs | one per coordinate, in the file's order, couplings resolved (a rotor's coordinates are not read); then nine per rotor, its rotation column by column | rad, m |
//! | markers | `[marker][xyz]`, in ground | m |
//! | bodies | twelve per body: `ground_from_body` column by column, its origin in ground | m |
//! | Jacobian | `[pair][xyz]`, the pairs of a marker and a coordinate on its way from ground ([`Program::pairs`]); a coordinate that drives several operations has one pair with their sum; a rotor's three are those of a left perturbation in the frame before it | m/rad |
//!
//! # Method
//!
//! Every function of a coordinate, and sine and cosine where it is an angle; then the links from ground outwards, each operation on all frames of a register; then the markers by
//! link. A rotation about an axis of the frame touches two columns: 12 multiplications. What is constant was worked into the table. Derivatives are twists about ground's
//! origin, `∂p/∂q = v + ω × p`, one per link and coordinate with all before it added in, so that each pair is one product.
//!
//! # Accuracy
//!
//! Sine and cosine are within 2 units in the last place ([`sin_cos_rows`](crate::math::lanes::sin_cos_rows)), the rest rounds as [`super::forward`] does, in another order: tests hold both
//! to 8 roundings of (operations + sizes of the angles) × reach against each other, which is below 10⁻¹² m for a
//! human body. Found on the default body, every coordinate up to 1.5 rad or m: 1.4·10⁻¹⁵ m at most, in `f32` 7·10⁻⁷ m. A frame's result has the same bits wherever it stands and whatever its neighbours are, on the same instruction set; other
//! instruction sets fuse other roundings.
//!
//! # Speed
//!
//! One core of a Xeon with AVX-512 (Sapphire Rapids, 2 GHz), per frame, 512 frames (`cargo bench --bench kernels -- batch`); one frame at a time with
//! [`super::forward`] and [`super::Mechanism::linearise`] 1.8 µs and 2.3 µs for the default body:
//!
//! | body | markers f64 | f32 | Jacobian too, f64 | f32 |
//! |---|---|---|---|---|
//! | 40 coordinates, 87 markers, MJCF | 0.18 µs | 0.08 µs | 1.04 µs | 0.46 µs |
//! | the default body | 0.21 µs | 0.08 µs | 1.19 µs | 0.57 µs |
//!
//! With AVX2 alone the first line is 0.4, 0.2, 2.2 and 1.0 µs. The Jacobian of 87 markers is 29 kB a frame in `f64`: it is the stores that take the time, so a tile is handed over while it is in
//! the cache, and nothing is gained by keeping all of them.
//!
//! The compiler ends each kernel, and precedes each call out of one, with `vzeroupper` (seen in its output), so no code after it waits for upper halves of registers.
//!
//! Tried, and did not help: closures on lanes, as in `[0, 1, 2].map(|i| …)`. A closure does not have the instruction set of the function around it, so nothing
//! in it is inlined: 15 times slower. Everything on lanes is a function marked `#[inline(always)]`.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::lanes::TILE;

    /// Every instruction set this machine has.
    fn instruction_sets() -> Vec<Arch> {
        let mut all = vec![Arch::Scalar, Arch::new()];
        #[cfg(target_arch = "x86_64")]
        all.extend(pulp::x86::V3::try_new().map(Arch::V3));
        all
    }

    fn evaluated<T: Real>(arch: Arch, skeleton: &Skeleton, far: f64) -> (Tiles<T>, Vec<T>) {
        let (scales, offsets) = (Scales::ones(skeleton), Offsets::zeros(skeleton));
        let program = Program::<T> { arch, ..Program::new(skeleton, &scales, &offsets) };
        let mut inputs = program.inputs(TILE + 1);
        let knee = skeleton.coordinate("knee_angle_r").unwrap().index();
        for frame in 0..=TILE {
            let mut q: Vec<f64> =
                (0..skeleton.coordinates.len()).map(|i| (frame as f64 + 3.1 * i as f64).sin()).collect();
            q[knee] += far;
            skeleton.resolve_couplings(&mut q);
            program.set(&mut inputs, frame, &q, &skeleton.rotor_rotations(&q));
        }
        let (mut workspace, mut markers, mut jacobian) = (program.workspace(), Tiles::zeros(0, 0), Vec::new());
        program.forward(&inputs, &mut workspace, &mut markers, None);
        program.linearise(&inputs, &mut workspace, |tile| {
            let frames = if tile.tile == 0 { TILE } else { 1 };
            jacobian.extend(tile.jacobian.iter().flat_map(|row| row.0[..frames].to_vec()));
        });
        (markers, jacobian)
    }

    /// Instruction sets differ in how products and sums round, by some `ε` per operation of a chain of less than 60, at most 2 m and 2 m/rad long; and each angle by its own.
    fn agree<T: Real>(epsilon: f64, far: f64) {
        let bound = 120.0 * epsilon * (1.0 + far);
        let body = crate::fit::default_skeleton().unwrap();
        for skeleton in [body.with_rotors(), body] {
            let sets = instruction_sets();
            let (markers, jacobian) = evaluated::<T>(sets[0], &skeleton, far);
            for set in &sets[1..] {
                let (others, derivatives) = evaluated::<T>(*set, &skeleton, far);
                for m in 0..skeleton.markers.len() {
                    for frame in 0..=TILE {
                        let away = markers.vector(3 * m, frame) - others.vector(3 * m, frame);
                        assert!(away.norm() < bound, "{set:?} {m} {frame} {away}");
                    }
                }
                assert_eq!(jacobian.len(), derivatives.len());
                for (a, b) in jacobian.iter().zip(&derivatives) {
                    assert!((a.to_f64() - b.to_f64()).abs() < bound, "{set:?} {a:?} {b:?}");
                }
            }
        }
    }

    #[test]
    fn instruction_sets_agree() {
        agree::<f64>(f64::EPSILON, 0.0);
        agree::<f32>(f64::from(f32::EPSILON), 0.0);
        // A turn that is too far for lanes.
        agree::<f64>(f64::EPSILON, 2e5);
    }
}
