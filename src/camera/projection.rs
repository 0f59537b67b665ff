use super::{Camera, Distortion};
use nalgebra::{Matrix2, Matrix2x3, Matrix3, Vector2, Vector3};
#[derive(Debug, Clone)]
pub struct Projector {
    r: Matrix3<f64>,
    t: Vector3<f64>,
    f: [f64; 5],
    d: Distortion,
}
#[derive(Debug, Clone, Copy)]
pub struct Projection {
    pub pixel: Vector2<f64>,
    pub depth: f64,
    pub d_pixel_d_point: Matrix2x3<f64>,
}
impl Projector {
    pub fn new(c: &Camera) -> Self {
        let k = c.intrinsics;
        Self {
            r: *c.camera_from_world.rotation.to_rotation_matrix().matrix(),
            t: c.camera_from_world.translation.vector,
            f: [k.fx, k.fy, k.cx, k.cy, k.skew],
            d: c.distortion,
        }
    }
    pub fn project(&self, p: &Vector3<f64>) -> Option<Vector2<f64>> {
        self.project_with_derivatives(p).map(|p| p.pixel)
    }
    pub fn project_with_derivatives(&self, p: &Vector3<f64>) -> Option<Projection> {
        let c = self.r * p + self.t;
        if c.z < 1e-3 {
            return None;
        }
        let iz = 1.0 / c.z;
        let (x, y) = (c.x * iz, c.y * iz);
        let (u, j) = match self.d {
            Distortion::None => (Vector2::new(x, y), Matrix2::identity()),
            Distortion::Rational([k1, k2, p1, p2, k3, k4, k5, k6]) => {
                let r2 = x * x + y * y;
                let num = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3));
                let den = 1.0 + r2 * (k4 + r2 * (k5 + r2 * k6));
                let g = num / den;
                let dg = ((k1 + r2 * (2.0 * k2 + 3.0 * r2 * k3)) - g * (k4 + r2 * (2.0 * k5 + 3.0 * r2 * k6))) / den;
                (
                    Vector2::new(
                        x * g + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x),
                        y * g + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y,
                    ),
                    Matrix2::new(
                        g + 2.0 * x * x * dg + 2.0 * p1 * y + 6.0 * p2 * x,
                        2.0 * x * y * dg + 2.0 * p1 * x + 2.0 * p2 * y,
                        2.0 * x * y * dg + 2.0 * p1 * x + 2.0 * p2 * y,
                        g + 2.0 * y * y * dg + 6.0 * p1 * y + 2.0 * p2 * x,
                    ),
                )
            }
            Distortion::Fisheye(_) => return None,
        };
        let [fx, fy, cx, cy, s] = self.f;
        let pixel = Vector2::new(fx * u.x + s * u.y + cx, fy * u.y + cy);
        let k = Matrix2::new(fx, s, 0.0, fy) * j;
        let n = Matrix2x3::new(iz, 0.0, -x * iz, 0.0, iz, -y * iz);
        Some(Projection { pixel, depth: c.z, d_pixel_d_point: k * n * self.r })
    }
}
