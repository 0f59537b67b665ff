//! Sine and cosine of a row.
//!
//! Cody–Waite: `r = x − n·π/2` with `n` the nearest integer to `2x/π`, π/2 in three parts, each step one fused operation; then minimax polynomials on `|r| ≤ π/4`,
//!
//! ```text
//! sin r ≈ r + r·z·S(z),    cos r ≈ 1 + z·C(z),    z = r²
//! ```
//!
//! and the two exchanged and signed by `n mod 4`. The first step is exact (`r` is below 1 and a multiple of the last digit of `x` or of π/2's first part: it fits), the
//! second rounds once, the third matters only beside multiples of π/2; so `r` is off by half a unit in the last place (ulp), a relative error however
//! small it is. With the polynomials' own errors (f64: 2⁻⁵⁷·⁹ and 2⁻⁶⁴, f32: 2⁻²⁷·⁸ and 2⁻³³, found by Remez' exchange in 60 digits, on ±0.7855 and ±0.7954: in f32 `n` may be
//! the second nearest) and two roundings each, sine and cosine are within 2 ulp of the true values for `|x| ≤` [`SIN_COS_LIMIT`]; measured over
//! 300 000 arguments against 50 digits, 1.5 at most in either. Larger arguments and what is not finite go to the standard library, one by one.
//!
//! Source: Cody & Waite 1980, *Software Manual for the Elementary Functions*, ch. 8; Muller 2016, *Elementary Functions*, §11.2.

use super::{Real, Row, TILE};
use pulp::Simd;

/// The largest argument that is reduced here, radians: `n` is then exact in `f32` too.
pub const SIN_COS_LIMIT: f64 = 1e5;

/// The numbers of the method in one precision.
#[derive(Debug, Clone, Copy)]
pub struct Coefficients<T: 'static> {
    /// Added to a number below 2²² (f32), 2⁵¹ (f64), it rounds it to an integer that stands in the lowest bits.
    rounds: T,
    two_over_pi: T,
    /// π/2 in three parts.
    half_pi: [T; 3],
    /// `S`, lowest power first.
    sine: &'static [T],
    /// `C`, lowest power first.
    cosine: &'static [T],
}

pub(super) const F64: Coefficients<f64> = Coefficients {
    rounds: 6_755_399_441_055_744.0, // 1.5·2⁵²
    two_over_pi: std::f64::consts::FRAC_2_PI,
    half_pi: [std::f64::consts::FRAC_PI_2, 6.123_233_995_736_766e-17, -1.497_384_904_859_169_8e-33],
    sine: &[
        -0.166_666_666_666_666_3,
        0.008_333_333_333_322_104,
        -0.000_198_412_698_295_773_96,
        2.755_731_361_702_117_8e-6,
        -2.505_074_705_708_995_7e-8,
        1.589_618_801_516_110_3e-10,
    ],
    cosine: &[
        -0.5,
        0.041_666_666_666_666_49,
        -0.001_388_888_888_886_388_1,
        2.480_158_728_499_378_4e-5,
        -2.755_731_333_494_783_4e-7,
        2.087_560_806_952_432_4e-9,
        -1.135_449_114_543_502_7e-11,
    ],
};

pub(super) const F32: Coefficients<f32> = Coefficients {
    rounds: 12_582_912.0, // 1.5·2²³
    two_over_pi: std::f32::consts::FRAC_2_PI,
    half_pi: [std::f32::consts::FRAC_PI_2, -4.371_139e-8, -1.715_124_5e-15],
    sine: &[-0.166_666_54, 0.008_332_1, -0.000_195_069_41],
    cosine: &[-0.5, 0.041_666_62, -0.001_388_665_4, 2.437_999_5e-5],
};

/// Sine and cosine of every number of a row, within 2 units in the last place.
#[inline(always)]
pub fn sin_cos_rows<T: Real, S: Simd>(simd: S, x: &Row<T>, sine: &mut Row<T>, cosine: &mut Row<T>) {
    if S::IS_SCALAR {
        return one_by_one(x, sine, cosine, |_| true);
    }
    let limit = T::from_f64(SIN_COS_LIMIT);
    let mut all_within = true;
    for k in 0..T::lanes::<S>(x).len() {
        let a = T::lanes::<S>(x)[k];
        all_within &= T::all_within(simd, a, limit);
        (T::lanes_mut::<S>(sine)[k], T::lanes_mut::<S>(cosine)[k]) = sin_cos_lanes::<T, S>(simd, a);
    }
    if !all_within {
        // NaN is not below the limit either.
        one_by_one(x, sine, cosine, |a: T| a.magnitude().partial_cmp(&limit).is_none_or(std::cmp::Ordering::is_gt));
    }
}

/// By the standard library, where `asked`.
#[cold]
#[inline(never)]
fn one_by_one<T: Real>(x: &Row<T>, sine: &mut Row<T>, cosine: &mut Row<T>, asked: impl Fn(T) -> bool) {
    for i in 0..TILE {
        if asked(x.0[i]) {
            (sine.0[i], cosine.0[i]) = x.0[i].sin_cos();
        }
    }
}

#[inline(always)]
fn sin_cos_lanes<T: Real, S: Simd>(simd: S, x: T::Lanes<S>) -> (T::Lanes<S>, T::Lanes<S>) {
    let c = &T::SINE;
    let shifted = T::mul_add(simd, x, T::splat(simd, c.two_over_pi), T::splat(simd, c.rounds));
    let n = T::sub(simd, shifted, T::splat(simd, c.rounds));
    let mut r = x;
    for &part in &c.half_pi {
        r = T::negate_mul_add(simd, n, T::splat(simd, part), r);
    }
    let z = T::mul(simd, r, r);
    let one = T::splat(simd, T::from_f64(1.0));
    let sine = T::mul_add(simd, T::mul(simd, r, z), polynomial::<T, S>(simd, z, c.sine), r);
    let cosine = T::mul_add(simd, z, polynomial::<T, S>(simd, z, c.cosine), one);
    let next = T::add(simd, shifted, one);
    (
        T::negate_where_second_bit(simd, shifted, T::where_odd(simd, shifted, cosine, sine)),
        T::negate_where_second_bit(simd, next, T::where_odd(simd, shifted, sine, cosine)),
    )
}

/// By Horner's rule, coefficients lowest power first.
#[inline(always)]
fn polynomial<T: Real, S: Simd>(simd: S, z: T::Lanes<S>, coefficients: &[T]) -> T::Lanes<S> {
    let mut sum = T::splat(simd, coefficients[coefficients.len() - 1]);
    for &c in coefficients[..coefficients.len() - 1].iter().rev() {
        sum = T::mul_add(simd, sum, z, T::splat(simd, c));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use pulp::{Arch, WithSimd};

    struct Row16<'a, T>(&'a Row<T>);

    impl<T: Real> WithSimd for Row16<'_, T> {
        type Output = (Row<T>, Row<T>);
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
            let (mut s, mut c) = (*self.0, *self.0);
            sin_cos_rows(simd, self.0, &mut s, &mut c);
            (s, c)
        }
    }

    /// By the widest instructions; the narrower ones must give the same bits, for each step rounds once on all of them.
    fn sin_cos<T: Real>(x: [T; TILE]) -> ([T; TILE], [T; TILE]) {
        let (s, c) = Arch::new().dispatch(Row16(&Row(x)));
        #[cfg(target_arch = "x86_64")]
        if let Some(narrow) = pulp::x86::V3::try_new() {
            let (s3, c3) = Arch::V3(narrow).dispatch(Row16(&Row(x)));
            for (a, b) in [(s, s3), (c, c3)] {
                let same = |(a, b): (&T, &T)| a == b || (a.to_f64().is_nan() && b.to_f64().is_nan());
                assert!(a.0.iter().zip(&b.0).all(same), "{x:?}");
            }
        }
        (s.0, c.0)
    }

    /// Distance in units in the last place of `b`.
    fn ulps(a: f64, b: f64) -> f64 {
        (a - b).abs() / (f64::from_bits(b.abs().to_bits() + 1) - b.abs())
    }

    fn ulps_f32(a: f32, b: f64) -> f64 {
        let b32 = b.abs() as f32;
        (f64::from(a) - b).abs() / f64::from(f32::from_bits(b32.to_bits() + 1) - b32)
    }

    /// The standard library's f64 is within 1 ulp, the bound here 2: no more than 3 apart; in f32 its f64 is as good as exact.
    fn check(x: f64) -> Result<(), TestCaseError> {
        let (s, c) = sin_cos([x; TILE]);
        prop_assert!(ulps(s[3], x.sin()) <= 3.0, "sin {x:e}: {:e} {:e}", s[3], x.sin());
        prop_assert!(ulps(c[9], x.cos()) <= 3.0, "cos {x:e}: {:e} {:e}", c[9], x.cos());
        let x = x as f32;
        let (s, c) = sin_cos([x; TILE]);
        prop_assert!(ulps_f32(s[3], f64::from(x).sin()) <= 2.0, "sin {x:e}: {:e} {:e}", s[3], f64::from(x).sin());
        prop_assert!(ulps_f32(c[9], f64::from(x).cos()) <= 2.0, "cos {x:e}: {:e} {:e}", c[9], f64::from(x).cos());
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn angles_of_bodies(x in -7.0f64..7.0) {
            check(x)?;
        }

        #[test]
        fn many_turns(x in -1e5f64..1e5) {
            check(x)?;
        }

        #[test]
        fn beside_multiples_of_a_right_angle(n in -63_000i32..63_000, away in -60i32..-1, sign in any::<bool>()) {
            let x = f64::from(n) * std::f64::consts::FRAC_PI_2;
            check(x + if sign { 1.0 } else { -1.0 } * f64::from(away).exp2())?;
        }
    }

    #[test]
    fn large_arguments_and_no_numbers_are_the_standard_librarys_own() {
        let mut x = [0.3; TILE];
        (x[0], x[5], x[6], x[7], x[15]) = (1e22, f64::NAN, f64::INFINITY, -1e5 - 1.0, -0.0);
        let (s, c) = sin_cos(x);
        for i in [0, 7] {
            assert_eq!((s[i], c[i]), x[i].sin_cos());
        }
        assert!([5, 6].iter().all(|&i| s[i].is_nan() && c[i].is_nan()));
        assert_eq!((s[15], c[15]), (0.0, 1.0));
        // Neighbours do not matter: not even in the last bit.
        assert_eq!((s[1], c[1]), (sin_cos([0.3; TILE]).0[9], sin_cos([0.3; TILE]).1[9]));
        let (s, c) = sin_cos([1e22f32; TILE]);
        assert_eq!((s[2], c[2]), 1e22f32.sin_cos());
    }
}
