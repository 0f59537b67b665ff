//! Functions of one coordinate.

use super::Function;

impl Function {
    /// Value at `x`.
    pub fn value(&self, _x: f64) -> f64 {
        0.0
    }
}
