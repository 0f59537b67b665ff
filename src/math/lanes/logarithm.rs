//! Natural logarithm in arithmetic that compilers put side by side.
//!
//! `x = m·2ᵉ` with `m` in [√½, √2), `ln x = e·ln 2 + ln m`, and with `f = (m − 1)/(m + 1)`, `|f| ≤ 0.1716`,
//!
//! ```text
//! ln m = 2·artanh f = 2f·(1 + z/3 + z²/5 + … ),    z = f² ≤ 0.02944
//! ```
//!
//! cut after `z¹⁰/21`: what is left out is below 3·10⁻¹⁸ of it. `e·ln 2` is taken in two parts, the first of which is exact. No branch and no table: a loop over this is a loop over
//! registers.
//!
//! Source: Muller 2016, *Elementary Functions*, §11.

use super::{Row, TILE, Wide, registers};
use pulp::Simd;

/// `x = m·2ᵉ` as `(m, e)`, `m` in [√½, √2).
#[inline(always)]
fn split(x: f64) -> (f64, f64) {
    const ROOT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    const BIAS: u64 = 1023;
    /// A number of this exponent counts in ones.
    const ONES: u64 = 0x4330_0000_0000_0000;
    const TWO_52: f64 = 4_503_599_627_370_496.0;
    let bits = x.to_bits();
    // Counted from √½, the integer part of the exponent; with a bias, so that it is not negative.
    let exponent = bits.wrapping_sub(ROOT_HALF).wrapping_add(BIAS << 52) >> 52;
    let m = f64::from_bits(bits.wrapping_sub(exponent.wrapping_sub(BIAS) << 52));
    (m, f64::from_bits(ONES | exponent) - (TWO_52 + BIAS as f64))
}

/// `ln x` in all places, for positive numbers that are neither subnormal nor infinite, within two units in the last place (beside 1 in the absolute sense of 10⁻¹⁶); anything for others.
///
/// Belongs inside [`pulp::WithSimd`].
#[inline(always)]
pub fn ln_row<S: Simd>(simd: S, x: &Row<f64>) -> Row<f64> {
    const LN_2: [f64; 2] = [6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10];
    let (mut m, mut e) = (Row::filled(0.0), Row::filled(0.0));
    for i in 0..TILE {
        (m.0[i], e.0[i]) = split(x.0[i]);
    }
    let mut out = Row::filled(0.0);
    let one = Wide::splat(simd, 1.0);
    for l in 0..registers::<S>() {
        let (m, e) = (Wide::of(simd, &m, l), Wide::of(simd, &e, l));
        let f = (m - one) / (m + one);
        let z = f * f;
        let mut series = Wide::splat(simd, 1.0 / 21.0);
        let mut k = 19.0;
        while k > 1.0 {
            series = series.mul_add(z, Wide::splat(simd, 1.0 / k));
            k -= 2.0;
        }
        let two_f = f + f;
        let small = (two_f * z).mul_add(series, e * Wide::splat(simd, LN_2[1]));
        e.mul_add(Wide::splat(simd, LN_2[0]), two_f + small).to(&mut out, l);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ln(x: f64) -> f64 {
        struct Ln(f64);
        impl pulp::WithSimd for Ln {
            type Output = f64;
            fn with_simd<S: Simd>(self, simd: S) -> f64 {
                ln_row(simd, &Row::filled(self.0)).0[TILE - 1]
            }
        }
        pulp::Arch::new().dispatch(Ln(x))
    }

    /// Against the standard library, whose own error is below one unit in the last place (ulp); beside 1, where the result is small, the roundings of `f` count in units of 1.
    #[test]
    fn logarithms_of_all_sizes() {
        let mut worst = 0.0f64;
        let mut x = 1e-300;
        while x < 1e300 {
            let expected: f64 = f64::ln(x);
            let ulp = f64::EPSILON * expected.abs();
            worst = worst.max((ln(x) - expected).abs() / ulp);
            x *= 1.000_93;
        }
        for i in 1..40_000 {
            let x = 0.25 + 1e-4 * f64::from(i);
            assert!((ln(x) - x.ln()).abs() <= 2.0 * f64::EPSILON * x.ln().abs() + 1e-16, "{x}");
        }
        assert!(worst < 2.0, "{worst} ulp");
        assert_eq!(ln(1.0), 0.0);
        for x in [f64::MIN_POSITIVE, f64::MAX, std::f64::consts::SQRT_2, std::f64::consts::FRAC_1_SQRT_2] {
            assert!((ln(x) - x.ln()).abs() <= 2.0 * f64::EPSILON * x.ln().abs(), "{x}");
        }
    }
}
