//! Functions of one coordinate.

use super::Function;

impl Function {
    /// Value at `x`.
    pub fn value(&self, _x: f64) -> f64 {
        0.0
    }

    /// temp
    pub fn value_and_derivatives(&self, x: f64) -> (f64, f64, f64) {
        (self.value(x), 0.0, 0.0)
    }
}
