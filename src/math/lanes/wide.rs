//! Numbers of one register, with the operators of numbers.

use super::{Real, Row, TILE};
use pulp::Simd;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// As many `f64` as a register takes. Belongs inside [`pulp::WithSimd`].
#[derive(Clone, Copy)]
pub struct Wide<S: Simd> {
    simd: S,
    of: S::f64s,
}

/// Registers of a row.
#[inline(always)]
pub fn registers<S: Simd>() -> usize {
    TILE / S::F64_LANES
}

impl<S: Simd> Wide<S> {
    /// The same number in all places.
    #[inline(always)]
    pub fn splat(simd: S, value: f64) -> Self {
        Self { simd, of: simd.splat_f64s(value) }
    }

    /// Several numbers. (Not by `map`: what it calls is compiled without the registers.)
    #[inline(always)]
    pub fn splats<const N: usize>(simd: S, values: [f64; N]) -> [Self; N] {
        let mut out = [Self::splat(simd, 0.0); N];
        for i in 0..N {
            out[i] = Self::splat(simd, values[i]);
        }
        out
    }

    /// The `l`-th register of a row.
    #[inline(always)]
    pub fn of(simd: S, row: &Row<f64>, l: usize) -> Self {
        Self { simd, of: f64::lanes::<S>(row)[l] }
    }

    /// As the `l`-th register of a row.
    #[inline(always)]
    pub fn to(self, row: &mut Row<f64>, l: usize) {
        f64::lanes_mut::<S>(row)[l] = self.of;
    }

    /// Added to the `l`-th register of a row.
    #[inline(always)]
    pub fn add_to(self, row: &mut Row<f64>, l: usize) {
        (Self::of(self.simd, row, l) + self).to(row, l);
    }

    /// `self·b + c`, rounded once where there are registers.
    #[inline(always)]
    pub fn mul_add(self, b: Self, c: Self) -> Self {
        Self { simd: self.simd, of: <f64 as Real>::mul_add(self.simd, self.of, b.of, c.of) }
    }

    /// A positive power.
    #[inline(always)]
    pub fn powi(self, power: u32) -> Self {
        let mut out = self;
        for _ in 1..power {
            out = out * self;
        }
        out
    }

    /// `self` where `a > b`, else 0; 0 where either is NaN.
    #[inline(always)]
    pub fn where_greater(self, a: Self, b: Self) -> Self {
        let simd = self.simd;
        Self { simd, of: simd.select_f64s(simd.greater_than_f64s(a.of, b.of), self.of, simd.splat_f64s(0.0)) }
    }

    /// `self` where `a ≤ b`, else 0; 0 where either is NaN.
    #[inline(always)]
    pub fn where_at_most(self, a: Self, b: Self) -> Self {
        let simd = self.simd;
        Self { simd, of: simd.select_f64s(simd.less_than_or_equal_f64s(a.of, b.of), self.of, simd.splat_f64s(0.0)) }
    }

    /// Two numbers for each, one after the other: what there are no instructions for.
    #[inline(always)]
    pub fn each(self, f: impl Fn(f64) -> (f64, f64)) -> [Self; 2] {
        let mut rows = [Row::filled(0.0); 2];
        self.to(&mut rows[0], 0);
        for i in 0..S::F64_LANES {
            (rows[0].0[i], rows[1].0[i]) = f(rows[0].0[i]);
        }
        [Self::of(self.simd, &rows[0], 0), Self::of(self.simd, &rows[1], 0)]
    }
}

impl<S: Simd> Add for Wide<S> {
    type Output = Self;
    #[inline(always)]
    fn add(self, b: Self) -> Self {
        Self { simd: self.simd, of: self.simd.add_f64s(self.of, b.of) }
    }
}

impl<S: Simd> Sub for Wide<S> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        Self { simd: self.simd, of: self.simd.sub_f64s(self.of, b.of) }
    }
}

impl<S: Simd> Mul for Wide<S> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        Self { simd: self.simd, of: self.simd.mul_f64s(self.of, b.of) }
    }
}

impl<S: Simd> Neg for Wide<S> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self { simd: self.simd, of: self.simd.neg_f64s(self.of) }
    }
}

impl<S: Simd> Div for Wide<S> {
    type Output = Self;
    #[inline(always)]
    fn div(self, b: Self) -> Self {
        Self { simd: self.simd, of: self.simd.div_f64s(self.of, b.of) }
    }
}
