//! Scaling: a skeleton with its factors worked into its numbers.
//!
//! As OpenSim's `Model::scale`: every translation is multiplied by the factors of the body it is written in, axis by axis; orientations, rotation
//! functions, ranges and defaults stay; translation functions take `Σ|aᵢ|·sᵢ` of their parent. Masses are not part of a skeleton.

use super::{Function, Motion, Offsets, Operation, Scales, Skeleton};
use nalgebra::Vector3;

impl Skeleton {
    /// The same skeleton with the factors and offsets worked in: with all factors 1 and no offsets it moves as this one does with them.
    ///
    /// Its source stays what it was: write it with `scales` and `offsets` of the original, or as one made in memory.
    pub fn scaled(&self, scales: &Scales, offsets: &Offsets) -> Self {
        let mut made = self.clone();
        let factors = |b: super::BodyId| Vector3::from(scales.0[b.index()]);
        for operation in &mut made.operations {
            match operation {
                Operation::Translate { offset, scaled_by } => *offset = offset.component_mul(&factors(*scaled_by)),
                Operation::TranslateAlong { axis, function, scaled_by: Some(b), .. } => {
                    *function = multiplied(function, axis.abs().dot(&factors(*b)));
                }
                Operation::TranslateAlong { .. }
                | Operation::Rotate(_)
                | Operation::RotateAbout { .. }
                | Operation::Ball(_) => {}
            }
        }
        for (marker, offset) in made.markers.iter_mut().zip(&offsets.0) {
            marker.location = marker.location.component_mul(&factors(marker.body)) + offset;
        }
        made
    }

    /// Coordinates that slide, follow another, and are part of a body that is not scaled evenly, with that body's name: such models OpenSim does not scale.
    ///
    /// # Errors
    /// Where the model's source can no longer be read.
    pub(crate) fn unevenly_scaled_couplers(&self, scales: &Scales) -> crate::Result<Vec<(&str, &str)>> {
        let owners = super::generate::owners(self)?;
        let slides = self.coordinates.iter().zip(owners);
        let slides = slides.filter(|(c, _)| c.coupling.is_some() && c.motion == Motion::Translational);
        let parts = slides.filter_map(|(c, owner)| Some((c, self.bodies[owner?].parent.index())));
        let uneven = parts.filter(|(_, parent)| scales.0[*parent].iter().any(|s| *s != scales.0[*parent][0]));
        Ok(uneven.map(|(c, parent)| (c.name.as_str(), self.bodies[parent].name.as_str())).collect())
    }
}

/// `factor · function`, an existing multiple taken into account.
pub(super) fn multiplied(function: &Function, factor: f64) -> Function {
    match function {
        _ if factor == 1.0 => function.clone(),
        Function::Constant(value) => Function::Constant(factor * value),
        Function::Multiple { factor: old, inner } => Function::Multiple { factor: factor * old, inner: inner.clone() },
        _ => Function::Multiple { factor, inner: Box::new(function.clone()) },
    }
}
