//! A Gaussian prior on one number (a scale parameter, an offset component, a coordinate).
//!
//! ```text
//! r = (x − mean) / sd              1×1
//! cost = ½·r²
//! ```

/// `(cost, gradient, curvature)` in `x`.
pub fn evaluate(x: f64, mean: f64, sd: f64) -> (f64, f64, f64) {
    let precision = 1.0 / (sd * sd);
    let d = x - mean;
    (0.5 * d * d * precision, d * precision, precision)
}
