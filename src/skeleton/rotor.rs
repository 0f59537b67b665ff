//! Rotations kept as rotations, and the angles files express them in.
//!
//! `R = exp(a₁q₁)·exp(a₂q₂)·exp(a₃q₃)` with orthonormal axes. In the basis `(a₁, a₂, a₁×a₂)` this is `Rx(q₁)·Ry(q₂)·Rz(±q₃)`, minus for a left-handed triple,
//! whose angles follow element by element; its singularity is `q₂ = ±π/2`.

use super::{Body, BodyId, CoordinateId, Function, GROUND, Operation, Rotor, RotorId, Skeleton};
use nalgebra::{Matrix3, Rotation3};
use std::f64::consts::{PI, TAU};

/// Closer to the singularity than this the first angle is free: any choice gives the rotation back to rounding.
const SINGULAR: f64 = 1e-13;

impl Rotor {
    /// The rotation of three angles, radians.
    pub fn rotation_from_angles(&self, angles: [f64; 3]) -> Rotation3<f64> {
        let [a, b, c] = [0, 1, 2].map(|i| Rotation3::from_axis_angle(&self.axes[i], angles[i]));
        a * b * c
    }

    /// The angles of a rotation, radians: of the two triples and their whole turns the one nearest to `near`; and how far, radians, the middle angle
    /// is from its singularity, where the outer two become one.
    ///
    /// At the singularity itself the first angle stays at `near`'s.
    pub fn angles_from_rotation(&self, rotation: &Rotation3<f64>, near: [f64; 3]) -> ([f64; 3], f64) {
        let near = near.map(|v| if v.is_finite() { v } else { 0.0 });
        let third = self.axes[0].cross(&self.axes[1]);
        let sign = if third.dot(&self.axes[2]) < 0.0 { -1.0 } else { 1.0 };
        let basis = Matrix3::from_columns(&[self.axes[0].into_inner(), self.axes[1].into_inner(), third]);
        let m = basis.transpose() * rotation.matrix() * basis;
        let cosine = m[(1, 2)].hypot(m[(2, 2)]);
        let first = if cosine > SINGULAR { (-m[(1, 2)]).atan2(m[(2, 2)]) } else { near[0] };
        // The others from what the first leaves, `Ry(q₂)·Rz(q₃)`: so they agree with it however badly it is determined.
        let (s, c) = first.sin_cos();
        let second = m[(0, 2)].atan2(c * m[(2, 2)] - s * m[(1, 2)]);
        let last = sign * (c * m[(1, 0)] + s * m[(2, 0)]).atan2(c * m[(1, 1)] + s * m[(2, 1)]);
        let candidates = [[first, second, last], [first + PI, PI - second, last + PI]].map(|angles| {
            let mut distance = 0.0;
            let angles = [0, 1, 2].map(|i| {
                let turned = angles[i] + TAU * ((near[i] - angles[i]) / TAU).round();
                distance += (turned - near[i]).powi(2);
                turned
            });
            (distance, angles)
        });
        let [a, b] = candidates;
        (if b.0 < a.0 { b.1 } else { a.1 }, cosine.atan2(m[(0, 2)].abs()))
    }
}

impl Skeleton {
    /// The form used in fitting: three successive rotations of a body that hangs on ground, about orthogonal axes by three coordinates as
    /// they are, become one [`Operation::Ball`]. Ball, Gimbal and Free joints (and MJCF's) have been read so already. Order and names of the coordinates stay.
    pub fn with_rotors(&self) -> Self {
        self.with_rotors_where(|_, _| true)
    }

    /// The form used where the ranges of clamped coordinates are kept: three angles of which one is clamped stay three angles, but for a body that is free in space, which may turn as it likes.
    pub fn with_unclamped_rotors(&self) -> Self {
        let free = |body: &Body| {
            let slides = |o: &&Operation| matches!(o, Operation::TranslateAlong { coordinate: Some(_), .. });
            body.parent == GROUND && self.operations[body.operations.clone()].iter().filter(slides).count() >= 3
        };
        let clamped = |c: &CoordinateId| {
            let c = &self.coordinates[c.index()];
            c.clamped && c.range.or(c.placeholder).is_some()
        };
        self.with_rotors_where(|body, rotor| free(body) || !rotor.coordinates.iter().any(clamped))
    }

    /// With rotors, numbered from the root outwards, for all rotations that may be one.
    fn with_rotors_where(&self, may: impl Fn(&Body, &Rotor) -> bool) -> Self {
        let mut uses = vec![0u32; self.coordinates.len()];
        for operation in &self.operations {
            match operation {
                Operation::RotateAbout { coordinate: Some(c), .. }
                | Operation::TranslateAlong { coordinate: Some(c), .. } => {
                    uses[c.index()] += 1;
                }
                _ => {}
            }
        }
        let mut made = self.clone();
        made.operations.clear();
        made.rotors.clear();
        for (b, body) in self.bodies.iter().enumerate() {
            let operations = &self.operations[body.operations.clone()];
            let start = made.operations.len();
            let mut i = 0;
            while i < operations.len() {
                let on_ground = body.parent == GROUND && BodyId(b as u32) != GROUND;
                let three = on_ground.then(|| operations.get(i..i + 3).and_then(|three| self.rotor(three, &uses)));
                let (rotor, taken) = match (&operations[i], three.flatten()) {
                    (Operation::Ball(r), _) => (Some(self.rotors[r.index()].clone()), 1),
                    (_, three) => (three, 3),
                };
                match rotor {
                    Some(rotor) if may(body, &rotor) => {
                        made.operations.push(Operation::Ball(RotorId(made.rotors.len() as u32)));
                        made.rotors.push(rotor);
                        i += taken;
                    }
                    Some(Rotor { coordinates, axes }) if taken == 1 => {
                        let one = |(c, axis)| Operation::RotateAbout {
                            axis,
                            coordinate: Some(c),
                            function: Function::IDENTITY,
                        };
                        made.operations.extend(coordinates.into_iter().zip(axes).map(one));
                        i += 1;
                    }
                    _ => {
                        made.operations.push(operations[i].clone());
                        i += 1;
                    }
                }
            }
            made.bodies[b].operations = start..made.operations.len();
        }
        made
    }

    /// The rotation of every rotor for coordinates `q` (one per coordinate, file order).
    pub fn rotor_rotations(&self, q: &[f64]) -> Vec<Rotation3<f64>> {
        self.rotors.iter().map(|r| r.rotation_from_angles(r.coordinates.map(|c| q[c.index()]))).collect()
    }

    /// Three operations as one rotor, where they are one.
    fn rotor(&self, three: &[Operation], uses: &[u32]) -> Option<Rotor> {
        let mut coordinates = [CoordinateId(0); 3];
        let mut axes = [nalgebra::Vector3::x_axis(); 3];
        for (i, operation) in three.iter().enumerate() {
            let Operation::RotateAbout { axis, coordinate: Some(c), function } = operation else { return None };
            let coordinate = &self.coordinates[c.index()];
            if !function.is_identity() || coordinate.locked || coordinate.coupling.is_some() || uses[c.index()] != 1 {
                return None;
            }
            coordinates[i] = *c;
            axes[i] = *axis;
        }
        let orthogonal = |i: usize, j: usize| axes[i].dot(&axes[j]).abs() < 1e-9;
        (orthogonal(0, 1) && orthogonal(1, 2) && orthogonal(0, 2)).then_some(Rotor { coordinates, axes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::{Unit, Vector3};
    use proptest::prelude::*;

    /// All 48 signed orders of the axes, turned away from the coordinate axes.
    fn triples(turn: &Rotation3<f64>) -> Vec<Rotor> {
        let mut found = Vec::new();
        for order in [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 2, 1], [2, 1, 0], [1, 0, 2]] {
            for signs in 0..8u8 {
                let axes = [0, 1, 2].map(|i: usize| {
                    let mut v = Vector3::zeros();
                    v[order[i]] = if signs >> i & 1 == 1 { -1.0 } else { 1.0 };
                    Unit::new_normalize(turn * v)
                });
                found.push(Rotor { coordinates: [CoordinateId(0), CoordinateId(1), CoordinateId(2)], axes });
            }
        }
        found
    }

    fn distance(a: &Rotation3<f64>, b: &Rotation3<f64>) -> f64 {
        (a.matrix() - b.matrix()).abs().max()
    }

    proptest! {
        #[test]
        fn angles_give_the_rotation_back(
            q in prop::array::uniform3(-7.0f64..7.0), near in prop::array::uniform3(-7.0f64..7.0),
            turn in prop::array::uniform3(-3.0f64..3.0), exponent in 0.0f64..20.0, way in 0u8..4,
        ) {
            let turn = Rotation3::from_euler_angles(turn[0], turn[1], turn[2]);
            // From far away down to beyond rounding of the singularity, both of them.
            let close = 10f64.powf(-exponent);
            let middle = [q[1], PI / 2.0 - close, -PI / 2.0 + close, PI / 2.0 + close][usize::from(way)];
            for rotor in triples(&turn) {
                let rotation = rotor.rotation_from_angles([q[0], middle, q[2]]);
                let (angles, away) = rotor.angles_from_rotation(&rotation, near);
                // Three products of rotations and three arc tangents: some tens of ε, and the threshold of the singularity.
                prop_assert!(distance(&rotor.rotation_from_angles(angles), &rotation) < 1e-12);
                prop_assert!((0.0..=PI / 2.0 + 1e-12).contains(&away));
                if way > 0 {
                    prop_assert!((away - close.min(PI - close).abs()).abs() < 1e-7);
                }
            }
        }

        /// Near the angles themselves, away from the singularity, they come back and not their twins.
        #[test]
        fn nearest_angles_are_chosen(
            q in prop::array::uniform3(-20.0f64..20.0), shift in prop::array::uniform3(-0.05f64..0.05),
        ) {
            prop_assume!(q[1].cos().abs() > 0.2);
            for rotor in triples(&Rotation3::identity()) {
                let near = [0, 1, 2].map(|i| q[i] + shift[i]);
                let (angles, _) = rotor.angles_from_rotation(&rotor.rotation_from_angles(q), near);
                for i in 0..3 {
                    prop_assert!((angles[i] - q[i]).abs() < 1e-12, "{angles:?} {q:?}");
                }
            }
        }
    }

    #[test]
    fn at_the_singularity_the_first_angle_stays() {
        for rotor in triples(&Rotation3::identity()) {
            for middle in [PI / 2.0, -PI / 2.0] {
                let rotation = rotor.rotation_from_angles([0.4, middle, -0.3]);
                let (angles, away) = rotor.angles_from_rotation(&rotation, [0.45, middle, -0.2]);
                assert!((angles[0] - 0.45).abs() < 1e-12 && away < 1e-12, "{angles:?}");
                assert!((angles[1] - middle).abs() < 1e-12);
                assert!(distance(&rotor.rotation_from_angles(angles), &rotation) < 1e-12);
            }
        }
    }
}
