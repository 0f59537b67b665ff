//! The first positive root of a polynomial of low degree.

/// The smallest root in `(0, max]` of `c[0] + c[1] x + c[2] x² + …`, where the polynomial changes its sign.
///
/// Roots are separated by those of the derivative, found the same way, and then bisected: no root is overlooked, and no
/// start value needed. Coefficients that are not finite give `None`.
pub(super) fn first_root(c: &[f64], max: f64) -> Option<f64> {
    roots(c, max).first().copied()
}

fn roots(c: &[f64], max: f64) -> Vec<f64> {
    let degree = c.iter().rposition(|&x| x != 0.0).unwrap_or(0);
    if degree == 0 || c.iter().any(|x| !x.is_finite()) {
        return Vec::new();
    }
    let derivative: Vec<f64> = (1..=degree).map(|i| i as f64 * c[i]).collect();
    let mut found = Vec::new();
    let mut low = 0.0;
    for high in roots(&derivative, max).into_iter().chain([max]) {
        if evaluate(c, low) * evaluate(c, high).signum() < 0.0 {
            found.push(bisect(c, low, high));
        }
        low = high;
    }
    found
}

fn evaluate(c: &[f64], x: f64) -> f64 {
    c.iter().rev().fold(0.0, |sum, &k| sum * x + k)
}

fn bisect(c: &[f64], mut low: f64, mut high: f64) -> f64 {
    let sign = evaluate(c, low).signum();
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if evaluate(c, middle) * sign > 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_first_of_several_roots() {
        // (1 − x)(2 − x)(3 − x)
        let c = [6.0, -11.0, 6.0, -1.0];
        assert!((first_root(&c, 10.0).unwrap() - 1.0).abs() < 1e-13);
        assert_eq!(first_root(&c, 0.9), None);
    }

    #[test]
    fn two_roots_close_together_are_not_overlooked() {
        // (x − 1)(x − 1.000001)
        let c = [1.000001, -2.000001, 1.0];
        let root = first_root(&c, 100.0).unwrap();
        // Rounding of the coefficients moves a root by 1e-16 over the gap of 1e-6.
        assert!((root - 1.0).abs() < 1e-9, "{root}");
    }

    #[test]
    fn no_roots_no_answer() {
        assert_eq!(first_root(&[1.0, 0.0, 1.0], 100.0), None);
        assert_eq!(first_root(&[1.0], 100.0), None);
        assert_eq!(first_root(&[], 100.0), None);
        assert_eq!(first_root(&[1.0, f64::NAN], 100.0), None);
    }
}
