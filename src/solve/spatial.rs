//! What markers know about the twist of the body they are on.

use nalgebra::{Matrix3, Matrix6x3, Vector3, Vector6};
use std::ops::AddAssign;

/// `Σ AᵀWA` (6×6) for `A = ∂p/∂twist = [−[p]× | I]` and the information `W` of each point, by its parts
///
/// ```text
/// ⎡ turning  mixed  ⎤     turning = [p]×·W·[p]×ᵀ,  mixed = [p]×·W,  moving = W
/// ⎣ mixedᵀ   moving ⎦
/// ```
///
/// It is to information what a rigid body's spatial inertia is to mass (Featherstone 2008, *Rigid body dynamics algorithms*, §2.13), and adds in the same way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SpatialInformation {
    pub turning: Matrix3<f64>,
    pub mixed: Matrix3<f64>,
    pub moving: Matrix3<f64>,
}

impl SpatialInformation {
    pub fn zeros() -> Self {
        Self { turning: Matrix3::zeros(), mixed: Matrix3::zeros(), moving: Matrix3::zeros() }
    }

    /// Of a single point.
    #[inline]
    pub fn of_point(p: &Vector3<f64>, information: &Matrix3<f64>) -> Self {
        let mixed = by_columns(p, information);
        // Rows of a product with [p]×ᵀ are turned as columns of one with [p]× are.
        Self { turning: by_columns(p, &mixed.transpose()).transpose(), mixed, moving: *information }
    }

    /// `AᵀW·u`: the generalised force of a displacement `u` of all points alike.
    #[inline]
    pub fn of_displacement(&self, u: &Vector3<f64>) -> Vector6<f64> {
        stack(&(self.mixed * u), &(self.moving * u))
    }

    /// `AᵀWA·ξ`.
    #[inline]
    pub fn times(&self, twist: &Vector6<f64>) -> Vector6<f64> {
        let (omega, v) = (twist.fixed_rows::<3>(0), twist.fixed_rows::<3>(3));
        stack(&(self.turning * omega + self.mixed * v), &(self.mixed.tr_mul(&omega) + self.moving * v))
    }

    /// The force alone of the same: without the torque.
    #[inline]
    pub fn moved_by(&self, twist: &Vector6<f64>) -> Vector3<f64> {
        let (omega, v) = (twist.fixed_rows::<3>(0), twist.fixed_rows::<3>(3));
        self.mixed.tr_mul(&omega) + self.moving * v
    }

    /// Element `(i, j)` of the 6×6 matrix.
    pub fn at(&self, i: usize, j: usize) -> f64 {
        match (i < 3, j < 3) {
            (true, true) => self.turning[(i, j)],
            (true, false) => self.mixed[(i, j - 3)],
            (false, true) => self.mixed[(j, i - 3)],
            (false, false) => self.moving[(i - 3, j - 3)],
        }
    }
}

impl AddAssign for SpatialInformation {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        self.turning += other.turning;
        self.mixed += other.mixed;
        self.moving += other.moving;
    }
}

/// [`SpatialInformation`] of points that tell as much along every axis, `W = w·I`: a rigid body's spatial inertia, in ten numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SpatialInertia {
    /// `Σ w`.
    mass: f64,
    /// `Σ w·p`.
    first: Vector3<f64>,
    /// `Σ w·p·pᵀ`: its diagonal, and yz, zx, xy.
    squares: Vector3<f64>,
    products: Vector3<f64>,
}

impl SpatialInertia {
    pub fn zeros() -> Self {
        let none = Vector3::zeros();
        Self { mass: 0.0, first: none, squares: none, products: none }
    }

    /// Of a single point.
    #[inline]
    pub fn of_point(p: &Vector3<f64>, weight: f64) -> Self {
        let first = p * weight;
        let products = Vector3::new(first.y * p.z, first.z * p.x, first.x * p.y);
        Self { mass: weight, first, squares: first.component_mul(p), products }
    }

    /// `AᵀWA·ξ`.
    #[inline]
    pub fn times(&self, twist: &Vector6<f64>) -> Vector6<f64> {
        let (omega, v) = (twist.fixed_rows::<3>(0).into_owned(), twist.fixed_rows::<3>(3).into_owned());
        let (s, p) = (&self.squares, &self.products);
        let turned = Vector3::new(
            (s.y + s.z) * omega.x - p.z * omega.y - p.y * omega.z,
            (s.z + s.x) * omega.y - p.x * omega.z - p.z * omega.x,
            (s.x + s.y) * omega.z - p.y * omega.x - p.x * omega.y,
        );
        stack(&(turned + self.first.cross(&v)), &(omega.cross(&self.first) + v * self.mass))
    }
}

impl AddAssign for SpatialInertia {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        self.mass += other.mass;
        self.first += other.first;
        self.squares += other.squares;
        self.products += other.products;
    }
}

/// `AᵀW·R` of a point, for its `by_axes = W·R`: of displacements along the axes of a body.
#[inline]
pub(super) fn of_axes(p: &Vector3<f64>, by_axes: &Matrix3<f64>) -> Matrix6x3<f64> {
    let turning = by_columns(p, by_axes);
    Matrix6x3::from_fn(|i, j| if i < 3 { turning[(i, j)] } else { by_axes[(i - 3, j)] })
}

/// `[p]×·m`.
#[inline]
fn by_columns(p: &Vector3<f64>, m: &Matrix3<f64>) -> Matrix3<f64> {
    Matrix3::from_columns(&[p.cross(&m.column(0)), p.cross(&m.column(1)), p.cross(&m.column(2))])
}

#[inline]
fn stack(top: &Vector3<f64>, bottom: &Vector3<f64>) -> Vector6<f64> {
    Vector6::new(top.x, top.y, top.z, bottom.x, bottom.y, bottom.z)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::se3;
    use nalgebra::{Matrix6, Rotation3};

    #[test]
    fn points_alike_along_every_axis_have_an_inertia() {
        let points = [Vector3::new(0.3, -1.2, 0.8), Vector3::new(-0.5, 0.1, 0.4), Vector3::new(0.9, 0.7, -0.2)];
        let (mut whole, mut inertia) = (SpatialInformation::zeros(), SpatialInertia::zeros());
        for (p, w) in points.iter().zip([2.0, 0.5, 1.0]) {
            whole += SpatialInformation::of_point(p, &Matrix3::from_diagonal_element(w));
            inertia += SpatialInertia::of_point(p, w);
        }
        let twist = Vector6::new(0.1, -0.4, 0.3, 1.0, 0.2, -0.7);
        assert!((inertia.times(&twist) - whole.times(&twist)).amax() < 1e-14);
    }

    #[test]
    fn is_the_product_it_stands_for() {
        let p = Vector3::new(0.3, -1.2, 0.8);
        let w = Matrix3::new(3.0, 0.4, -0.2, 0.4, 2.0, 0.1, -0.2, 0.1, 5.0);
        let a = se3::d_moved_d_twist(&p);
        let dense: Matrix6<f64> = a.tr_mul(&(w * a));
        let s = SpatialInformation::of_point(&p, &w);
        let twist = Vector6::new(0.1, -0.4, 0.3, 1.0, 0.2, -0.7);
        // Products of a few numbers near 1: 1e-14 is a hundred roundings.
        assert!((Matrix6::from_fn(|i, j| s.at(i, j)) - dense).amax() < 1e-14);
        assert!((s.times(&twist) - dense * twist).amax() < 1e-14);
        assert!((s.moved_by(&twist) - (dense * twist).fixed_rows::<3>(3)).amax() < 1e-14);
        let u = Vector3::new(-0.2, 0.9, 0.5);
        assert!((s.of_displacement(&u) - a.tr_mul(&(w * u))).amax() < 1e-14);
        let r = Rotation3::from_euler_angles(0.3, -0.5, 1.1);
        let by_axes = w * r.matrix();
        assert!((of_axes(&p, &by_axes) - a.tr_mul(&by_axes)).amax() < 1e-14);
    }
}
