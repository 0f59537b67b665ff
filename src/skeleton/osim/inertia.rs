//! Mass, its centre and inertia of bodies that are scaled, as OpenSim's `Body` has it (4.6).
//!
//! Where the three factors are equal, inertia grows with the square of length (and with the mass); otherwise the body is taken for a cylinder along the axis
//! of its smallest moment, whose radius and length are found from two of its moments, and scaled.

use nalgebra::Vector3;

/// Mass properties of a body, about its mass centre.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Inertial {
    /// kg.
    pub mass: f64,
    /// Metres.
    pub center: Vector3<f64>,
    /// xx yy zz xy xz yz, kg m².
    pub inertia: [f64; 6],
}

impl Inertial {
    /// Of the scaled body; with `grows` its mass grows with its volume.
    pub fn scaled(&self, s: Vector3<f64>, grows: bool) -> Self {
        let growth = if grows { (s.x * s.y * s.z).abs() } else { 1.0 };
        let mass = self.mass * growth;
        let same = |a: f64, b: f64| (a - b).abs() <= 1e-14 * a.abs().max(b.abs()).max(1.0);
        let inertia = if mass <= f64::EPSILON {
            [0.0; 6]
        } else if same(s.x, s.y) && same(s.y, s.z) {
            self.inertia.map(|i| i * growth * s.x * s.x)
        } else {
            let [xx, yy, zz] = self.cylinder(mass, s);
            let [.., xy, xz, yz] = self.inertia;
            [xx, yy, zz, xy * s.x * s.y * growth, xz * s.x * s.z * growth, yz * s.y * s.z * growth]
        };
        Self { mass, center: self.center.component_mul(&s), inertia }
    }

    /// The moments of a cylinder that has two of this body's, scaled, with this mass.
    fn cylinder(&self, mass: f64, s: Vector3<f64>) -> [f64; 3] {
        let [xx, yy, zz, ..] = self.inertia;
        let axis = if xx <= yy {
            if xx <= zz { 0 } else { 2 }
        } else if yy <= zz {
            1
        } else {
            2
        };
        let along = self.inertia[axis];
        let across = self.inertia[usize::from(axis == 0)];
        // ½·m·r² along the axis, m·(l²/12 + r²/4) across it; a body that is no cylinder may give a negative square.
        let radius_squared = (2.0 * along / self.mass).max(0.0);
        let length_squared = (12.0 * (across / self.mass - 0.25 * radius_squared)).max(0.0) * s[axis] * s[axis];
        let radius_squared = radius_squared * s[(axis + 1) % 3] * s[(axis + 2) % 3];
        let mut moments = [mass * (length_squared / 12.0 + 0.25 * radius_squared); 3];
        moments[axis] = 0.5 * mass * radius_squared;
        moments
    }

    /// The same body, denser.
    pub fn denser(&self, factor: f64) -> Self {
        Self { mass: factor * self.mass, inertia: self.inertia.map(|i| factor * i), ..*self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    fn body() -> Inertial {
        Inertial { mass: 2.0, center: Vector3::new(0.1, 0.2, 0.3), inertia: [0.02, 0.03, 0.04, 0.001, 0.002, 0.003] }
    }

    /// Written by OpenSim 4.6 after `Model::scale` of that body by 1.1, 1.2, 1.3, mass distribution not preserved.
    #[test]
    fn unequal_factors_make_a_cylinder_as_in_opensim() {
        let scaled = body().scaled(Vector3::new(1.1, 1.2, 1.3), true);
        assert_relative_eq!(scaled.mass, 3.4320000000000004, epsilon = 1e-15);
        assert_relative_eq!(scaled.center, Vector3::new(0.11, 0.24, 0.39), epsilon = 1e-15);
        let expected = [0.0535392, 0.0682968, 0.0682968, 0.00226512, 0.00490776, 0.00803088];
        for (found, expected) in scaled.inertia.iter().zip(expected) {
            assert_relative_eq!(*found, expected, max_relative = 1e-14);
        }
    }

    #[test]
    fn equal_factors_scale_exactly() {
        let kept = body().scaled(Vector3::repeat(1.5), false);
        assert_eq!(kept.mass, 2.0);
        assert_relative_eq!(kept.inertia[2], 0.04 * 2.25, max_relative = 1e-15);
        let grown = body().scaled(Vector3::repeat(2.0), true);
        assert_eq!(grown.mass, 16.0);
        assert_relative_eq!(grown.inertia[0], 0.02 * 32.0, max_relative = 1e-15);
        assert_relative_eq!(body().denser(3.0).inertia[5], 0.009, max_relative = 1e-15);
    }

    #[test]
    fn a_body_without_mass_has_no_inertia() {
        let scaled = Inertial { mass: 0.0, ..body() }.scaled(Vector3::new(1.0, 2.0, 3.0), true);
        assert_eq!(scaled.inertia, [0.0; 6]);
    }
}
