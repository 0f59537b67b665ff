//! Joint limits.
//!
//! ```text
//! r = max(0, q − high, low − q) / softness
//! cost = ½·r²
//! ```
//!
//! Nothing inside the range, a spring outside: a limit in a model file is where a typical joint ends, not a wall, and a one-sided quadratic keeps
//! the normal equations exact. `softness` is the overshoot that costs as much as one standard deviation.

/// `(cost, gradient, curvature)` in `q`.
pub fn evaluate(q: f64, [low, high]: [f64; 2], softness: f64) -> (f64, f64, f64) {
    let excess = if q > high {
        q - high
    } else if q < low {
        q - low
    } else {
        return (0.0, 0.0, 0.0);
    };
    super::gaussian::evaluate(excess, 0.0, softness)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradient_is_the_derivative_on_both_sides() {
        for q in [-1.3, -0.99, 0.0, 0.7, 0.81, 2.0] {
            let h = 1e-6;
            let at = |q| evaluate(q, [-1.0, 0.8], 0.1);
            let d = (at(q + h).0 - at(q - h).0) / (2.0 * h);
            assert!((d - at(q).1).abs() < 1e-6, "{q}");
        }
        assert_eq!(evaluate(0.2, [-1.0, 0.8], 0.1), (0.0, 0.0, 0.0));
    }
}
