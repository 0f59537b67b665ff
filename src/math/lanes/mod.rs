//! The same quantity in several frames side by side, and arithmetic on all of them at once.
//!
//! A [`Row`] is one number of [`TILE`] frames, [`Tiles`] are the rows of any number of frames, a tile after the other. How many numbers one instruction
//! takes is found out at run time (`pulp`: AVX-512, AVX2, NEON or none); what is stored does not depend on it, and neither does a frame's result
//! depend on its place among the others.

mod logarithm;
mod sine;
mod wide;

use nalgebra::Vector3;
use pulp::Simd;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

pub use logarithm::ln_row;
pub use sine::{SIN_COS_LIMIT, sin_cos_rows};
pub use wide::{Wide, registers};

/// Frames in a row: the widest register's worth of `f32`, two of `f64`.
pub const TILE: usize = 16;

/// One number of each frame of a tile.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C, align(64))]
pub struct Row<T>(pub [T; TILE]);

impl<T: Real> Row<T> {
    /// The same number in all frames.
    pub fn filled(value: T) -> Self {
        Self([value; TILE])
    }
}

/// Rows of any number of frames, `[tile][row][frame in the tile]`: what belongs to a tile lies together. The last tile's places
/// beyond the last frame hold anything.
#[derive(Debug, Clone, PartialEq)]
pub struct Tiles<T> {
    frames: usize,
    rows: usize,
    data: Vec<Row<T>>,
}

impl<T: Real> Tiles<T> {
    /// Zeros.
    pub fn zeros(rows: usize, frames: usize) -> Self {
        Self { frames, rows, data: vec![Row::filled(T::default()); rows * frames.div_ceil(TILE)] }
    }

    /// Makes room for that many rows and frames; allocates only where there was less.
    pub fn resize(&mut self, rows: usize, frames: usize) {
        self.data.resize(rows * frames.div_ceil(TILE), Row::filled(T::default()));
        (self.rows, self.frames) = (rows, frames);
    }

    /// Number of frames.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Rows of a tile.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of tiles.
    pub fn tiles(&self) -> usize {
        self.frames.div_ceil(TILE)
    }

    /// The rows of one tile.
    pub fn tile(&self, tile: usize) -> &[Row<T>] {
        &self.data[tile * self.rows..(tile + 1) * self.rows]
    }

    /// The rows of one tile, to write.
    pub fn tile_mut(&mut self, tile: usize) -> &mut [Row<T>] {
        &mut self.data[tile * self.rows..(tile + 1) * self.rows]
    }

    /// A number of a frame.
    pub fn get(&self, row: usize, frame: usize) -> T {
        self.tile(frame / TILE)[row].0[frame % TILE]
    }

    /// Sets a number of a frame.
    pub fn set(&mut self, row: usize, frame: usize, value: T) {
        self.tile_mut(frame / TILE)[row].0[frame % TILE] = value;
    }

    /// Three rows of a frame.
    pub fn vector(&self, first_row: usize, frame: usize) -> Vector3<f64> {
        let rows = &self.tile(frame / TILE)[first_row..first_row + 3];
        Vector3::from_fn(|i, _| rows[i].0[frame % TILE].to_f64())
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// `f32` and `f64`: what kernels over rows are generic in. The functions on lanes belong inside [`pulp::WithSimd`].
#[allow(missing_docs)]
pub trait Real:
    sealed::Sealed + Copy + Debug + Default + PartialOrd + Send + Sync + Serialize + DeserializeOwned + 'static
{
    /// As many numbers as one instruction takes.
    type Lanes<S: Simd>: Copy;
    /// See [`sin_cos_rows`].
    const SINE: sine::Coefficients<Self>;

    fn from_f64(value: f64) -> Self;
    fn to_f64(self) -> f64;
    /// By the standard library.
    fn sin_cos(self) -> (Self, Self);
    fn magnitude(self) -> Self;

    /// A row as lanes.
    fn lanes<S: Simd>(row: &Row<Self>) -> &[Self::Lanes<S>];
    /// A row as lanes, to write.
    fn lanes_mut<S: Simd>(row: &mut Row<Self>) -> &mut [Self::Lanes<S>];
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Lanes<S>;
    fn add<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>) -> Self::Lanes<S>;
    fn sub<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>) -> Self::Lanes<S>;
    fn mul<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>) -> Self::Lanes<S>;
    /// `a·b + c`, rounded once where there are lanes.
    fn mul_add<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>, c: Self::Lanes<S>) -> Self::Lanes<S>;
    /// `c − a·b`, rounded once where there are lanes.
    fn negate_mul_add<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>, c: Self::Lanes<S>) -> Self::Lanes<S>;
    /// `yes` where `a ≥ b`, else `no`.
    fn where_at_least<S: Simd>(
        simd: S,
        a: Self::Lanes<S>,
        b: Self::Lanes<S>,
        yes: Self::Lanes<S>,
        no: Self::Lanes<S>,
    ) -> Self::Lanes<S>;
    /// `yes` where the lowest bit of `a`'s representation is set, else `no`.
    fn where_odd<S: Simd>(simd: S, a: Self::Lanes<S>, yes: Self::Lanes<S>, no: Self::Lanes<S>) -> Self::Lanes<S>;
    /// `value` with its sign turned where the second lowest bit of `a`'s representation is set.
    fn negate_where_second_bit<S: Simd>(simd: S, a: Self::Lanes<S>, value: Self::Lanes<S>) -> Self::Lanes<S>;
    /// Whether every number lies within `±limit`; NaN does not.
    fn all_within<S: Simd>(simd: S, a: Self::Lanes<S>, limit: Self) -> bool;
}

/// Source of `Real`'s methods: pulp names every operation by its type.
macro_rules! real {
    ($type:ty, $bits:ty, $coefficients:expr, $lanes:ident, $bit_lanes:ident, $as_simd:ident, $as_mut_simd:ident, $splat:ident, $splat_bits:ident,
     $add:ident, $sub:ident, $mul:ident, $mul_add:ident, $negate_mul_add:ident, $at_least:ident, $at_most:ident, $select:ident, $to_bits:ident,
     $and_bits:ident, $equal_bits:ident, $negate:ident, $absolute:ident, $lane_count:ident, $first_true:ident, $not:ident) => {
        impl Real for $type {
            type Lanes<S: Simd> = S::$lanes;
            const SINE: sine::Coefficients<Self> = $coefficients;

            #[inline(always)]
            fn from_f64(value: f64) -> Self {
                value as $type
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            fn sin_cos(self) -> (Self, Self) {
                self.sin_cos()
            }
            #[inline(always)]
            fn magnitude(self) -> Self {
                self.abs()
            }
            #[inline(always)]
            fn lanes<S: Simd>(row: &Row<Self>) -> &[S::$lanes] {
                S::$as_simd(&row.0).0
            }
            #[inline(always)]
            fn lanes_mut<S: Simd>(row: &mut Row<Self>) -> &mut [S::$lanes] {
                S::$as_mut_simd(&mut row.0).0
            }
            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> S::$lanes {
                simd.$splat(value)
            }
            #[inline(always)]
            fn add<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes) -> S::$lanes {
                simd.$add(a, b)
            }
            #[inline(always)]
            fn sub<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes) -> S::$lanes {
                simd.$sub(a, b)
            }
            #[inline(always)]
            fn mul<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes) -> S::$lanes {
                simd.$mul(a, b)
            }
            #[inline(always)]
            fn mul_add<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes, c: S::$lanes) -> S::$lanes {
                if S::IS_SCALAR { simd.$add(simd.$mul(a, b), c) } else { simd.$mul_add(a, b, c) }
            }
            #[inline(always)]
            fn negate_mul_add<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes, c: S::$lanes) -> S::$lanes {
                if S::IS_SCALAR { simd.$sub(c, simd.$mul(a, b)) } else { simd.$negate_mul_add(a, b, c) }
            }
            #[inline(always)]
            fn where_at_least<S: Simd>(
                simd: S,
                a: S::$lanes,
                b: S::$lanes,
                yes: S::$lanes,
                no: S::$lanes,
            ) -> S::$lanes {
                simd.$select(simd.$at_least(a, b), yes, no)
            }
            #[inline(always)]
            fn where_odd<S: Simd>(simd: S, a: S::$lanes, yes: S::$lanes, no: S::$lanes) -> S::$lanes {
                let one = simd.$splat_bits(1);
                simd.$select(simd.$equal_bits(simd.$and_bits(simd.$to_bits(a), one), one), yes, no)
            }
            #[inline(always)]
            fn negate_where_second_bit<S: Simd>(simd: S, a: S::$lanes, value: S::$lanes) -> S::$lanes {
                let two = simd.$splat_bits(2);
                let set = simd.$equal_bits(simd.$and_bits(simd.$to_bits(a), two), two);
                simd.$select(set, simd.$negate(value), value)
            }
            #[inline(always)]
            fn all_within<S: Simd>(simd: S, a: S::$lanes, limit: Self) -> bool {
                let within = simd.$at_most(simd.$absolute(a), simd.$splat(limit));
                simd.$first_true(simd.$not(within)) == S::$lane_count
            }
        }
    };
}
#[rustfmt::skip]
real!(f64, u64, sine::F64, f64s, u64s, as_simd_f64s, as_mut_simd_f64s, splat_f64s, splat_u64s, add_f64s, sub_f64s, mul_f64s, mul_add_f64s,
    negate_mul_add_f64s, greater_than_or_equal_f64s, less_than_or_equal_f64s, select_f64s, transmute_u64s_f64s, and_u64s, equal_u64s, neg_f64s, abs_f64s,
    F64_LANES, first_true_m64s, not_m64s);
#[rustfmt::skip]
real!(f32, u32, sine::F32, f32s, u32s, as_simd_f32s, as_mut_simd_f32s, splat_f32s, splat_u32s, add_f32s, sub_f32s, mul_f32s, mul_add_f32s,
    negate_mul_add_f32s, greater_than_or_equal_f32s, less_than_or_equal_f32s, select_f32s, transmute_u32s_f32s, and_u32s, equal_u32s, neg_f32s, abs_f32s,
    F32_LANES, first_true_m32s, not_m32s);
