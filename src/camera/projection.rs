//! Projection of a point into a camera, with its derivatives.
//!
//! ```text
//! x_cam = R·p + t;   n = (x/z, y/z);   pixel = F·distort(n) + c,   F = [[fx, skew], [0, fy]]
//!
//! A = F·∂distort/∂n                                                        // 2×2
//! ∂pixel/∂x_cam = A·[1 0 −x/z; 0 1 −y/z] / z                               // 2×3
//! ∂pixel/∂p = ∂pixel/∂x_cam · R                                            // 2×3
//! ∂pixel/∂δ = ∂pixel/∂x_cam · [−[x_cam]× | I]                              // 2×6
//! ```
//!
//! `p` in world, metres; δ perturbs `camera_from_world` on the left, `x_cam' = exp(ω)·x_cam + v`, ordered `[ω; v]`.
//! Points behind the camera, and points so far outside the image that the lens model no longer describes them
//! ([`Lens`]), have no projection.
//!
//! Source: Hartley & Zisserman 2004, §6; OpenCV documentation, `calib3d`.

use super::lens::Lens;
use super::{Camera, Intrinsics};
use crate::math::lanes::{Row, TILE, Wide, registers};
use crate::math::se3;
use nalgebra::{Matrix2x3, Matrix2x6, Matrix3, RowVector3, Vector2, Vector3, Vector6};
use pulp::Simd;

/// Points nearer to the plane of the camera than this, or behind it, have no projection; metres.
pub const MIN_DEPTH: f64 = 1e-3;

/// Where a point appears, and how that changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Projection {
    /// Pixel of the distorted image.
    pub pixel: Vector2<f64>,
    /// Distance along the optical axis, metres.
    pub depth: f64,
    /// Derivative in the point, world frame; px/m.
    pub d_pixel_d_point: Matrix2x3<f64>,
    /// Derivative in a left perturbation of `camera_from_world`, `[rotation; translation]`; px/rad and px/m.
    pub d_pixel_d_extrinsics: Matrix2x6<f64>,
}

/// Where points side by side appear.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProjectedRows {
    /// Pixel of the distorted image, `u` and `v`; anything where nothing is seen.
    pub pixel: [Row<f64>; 2],
    /// Normalised coordinates `(x/z, y/z)`, undistorted; anything where nothing is seen.
    normalised: [Row<f64>; 2],
    /// Derivative of the pixel in the normalised coordinates, over `z`, 2×2 by rows; px/m. Anything where nothing is seen.
    slope: [Row<f64>; 4],
    /// 1 where there is a projection; 0 behind the camera or beyond the lens model.
    pub seen: Row<f64>,
}

impl ProjectedRows {
    /// Nothing is seen.
    pub const NOTHING: Self = {
        let zero = Row([0.0; TILE]);
        Self { pixel: [zero; 2], normalised: [zero; 2], slope: [zero; 4], seen: zero }
    };
}

/// A camera prepared for many projections: rotation as a matrix, limits of the lens model known. Allocates nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Projector {
    rotation: Matrix3<f64>,
    translation: Vector3<f64>,
    intrinsics: Intrinsics,
    lens: Lens,
}

impl Projector {
    /// Prepares a camera. This finds the limits of the lens model ([`Lens::new`]), so keep it where a camera is used more than once.
    pub fn new(camera: &Camera) -> Self {
        Self {
            rotation: camera.camera_from_world.rotation.to_rotation_matrix().into_inner(),
            translation: camera.camera_from_world.translation.vector,
            intrinsics: camera.intrinsics,
            lens: Lens::new(&camera.distortion),
        }
    }

    /// The same lens with other extrinsics; costs a rotation matrix and nothing else.
    pub fn with_extrinsics(&self, camera_from_world: &nalgebra::Isometry3<f64>) -> Self {
        Self {
            rotation: camera_from_world.rotation.to_rotation_matrix().into_inner(),
            translation: camera_from_world.translation.vector,
            ..*self
        }
    }

    /// The prepared lens model.
    pub fn lens(&self) -> &Lens {
        &self.lens
    }

    /// Coordinates of a world point in the camera, metres.
    #[inline]
    pub fn point_in_camera(&self, point_in_world: &Vector3<f64>) -> Vector3<f64> {
        self.rotation * point_in_world + self.translation
    }

    /// Position of the optical centre in the world, metres.
    pub fn centre_in_world(&self) -> Vector3<f64> {
        -self.rotation.tr_mul(&self.translation)
    }

    /// Pixel of the distorted image at which a world point appears; `None` behind the camera or beyond the lens model.
    #[inline]
    pub fn project(&self, point_in_world: &Vector3<f64>) -> Option<Vector2<f64>> {
        let x = self.point_in_camera(point_in_world);
        if !x.z.is_finite() || x.z <= MIN_DEPTH {
            return None;
        }
        let inverse_depth = 1.0 / x.z;
        let d = self.lens.distort(&Vector2::new(x.x * inverse_depth, x.y * inverse_depth))?;
        Some(self.pixel_from_distorted(&d))
    }

    /// The projection with its derivatives; `None` behind the camera or beyond the lens model.
    #[inline]
    pub fn project_with_derivatives(&self, point_in_world: &Vector3<f64>) -> Option<Projection> {
        let (x, pixel, d_pixel_d_camera) = self.linearise(point_in_world)?;
        let (row_u, row_v) = (d_pixel_d_camera.row(0), d_pixel_d_camera.row(1));
        // Row d of −d·[x]× is x × d.
        let d_pixel_d_extrinsics = Matrix2x6::new(
            x.y * row_u[2] - x.z * row_u[1],
            x.z * row_u[0] - x.x * row_u[2],
            x.x * row_u[1] - x.y * row_u[0],
            row_u[0],
            row_u[1],
            row_u[2],
            x.y * row_v[2] - x.z * row_v[1],
            x.z * row_v[0] - x.x * row_v[2],
            x.x * row_v[1] - x.y * row_v[0],
            row_v[0],
            row_v[1],
            row_v[2],
        );
        Some(Projection { pixel, depth: x.z, d_pixel_d_point: d_pixel_d_camera * self.rotation, d_pixel_d_extrinsics })
    }

    /// The projection with its derivative in the point alone (px/m, 2×3); `None` behind the camera or beyond the lens model.
    #[inline]
    pub fn project_with_point_derivative(
        &self,
        point_in_world: &Vector3<f64>,
    ) -> Option<(Vector2<f64>, Matrix2x3<f64>)> {
        let (_, pixel, d_pixel_d_camera) = self.linearise(point_in_world)?;
        Some((pixel, d_pixel_d_camera * self.rotation))
    }

    /// [`Self::project_with_point_derivative`] of points side by side; the derivative by [`Self::derivative_wide`] or [`Self::pull_wide`].
    ///
    /// Belongs inside [`pulp::WithSimd`].
    #[inline(always)]
    pub fn project_rows<S: Simd>(&self, simd: S, point_in_world: &[Row<f64>; 3], out: &mut ProjectedRows) {
        let (r, t, k) = (&self.rotation, &self.translation, &self.intrinsics);
        // Row by row of the rotation, with the translation.
        let [r00, r01, r02, t0] = Wide::splats(simd, [r.m11, r.m12, r.m13, t.x]);
        let [r10, r11, r12, t1] = Wide::splats(simd, [r.m21, r.m22, r.m23, t.y]);
        let [r20, r21, r22, t2] = Wide::splats(simd, [r.m31, r.m32, r.m33, t.z]);
        let [fx, fy, skew, cx, cy] = Wide::splats(simd, [k.fx, k.fy, k.skew, k.cx, k.cy]);
        let [one, nearest, farthest] = Wide::splats(simd, [1.0, MIN_DEPTH, f64::MAX]);
        for l in 0..registers::<S>() {
            let x = Wide::of(simd, &point_in_world[0], l);
            let y = Wide::of(simd, &point_in_world[1], l);
            let z = Wide::of(simd, &point_in_world[2], l);
            let depth = r20.mul_add(x, r21.mul_add(y, r22.mul_add(z, t2)));
            let inverse = one / depth;
            let n0 = r00.mul_add(x, r01.mul_add(y, r02.mul_add(z, t0))) * inverse;
            let n1 = r10.mul_add(x, r11.mul_add(y, r12.mul_add(z, t1))) * inverse;
            let seen = one.where_greater(depth, nearest).where_at_most(depth, farthest);
            let (seen, d, j) = self.lens.distort_wide(simd, [n0, n1], seen);
            seen.to(&mut out.seen, l);
            fx.mul_add(d[0], skew.mul_add(d[1], cx)).to(&mut out.pixel[0], l);
            fy.mul_add(d[1], cy).to(&mut out.pixel[1], l);
            // A / z, by rows.
            let (fx, fy, skew) = (fx * inverse, fy * inverse, skew * inverse);
            let (a00, a01) = (fx.mul_add(j[0], skew * j[1]), fx.mul_add(j[1], skew * j[2]));
            let (a10, a11) = (fy * j[1], fy * j[2]);
            a00.to(&mut out.slope[0], l);
            a01.to(&mut out.slope[1], l);
            a10.to(&mut out.slope[2], l);
            a11.to(&mut out.slope[3], l);
            n0.to(&mut out.normalised[0], l);
            n1.to(&mut out.normalised[1], l);
        }
    }

    /// Of what [`Self::project_rows`] gave, in the `l`-th register: the pixel's derivative in the point, transposed, times a gradient in the pixel. World frame, per metre; anything where
    /// nothing is seen.
    ///
    /// Belongs inside [`pulp::WithSimd`].
    #[inline(always)]
    pub fn pull_wide<S: Simd>(&self, simd: S, rows: &ProjectedRows, l: usize, [u, v]: [Wide<S>; 2]) -> [Wide<S>; 3] {
        let of = |row| Wide::of(simd, row, l);
        let [a00, a01, a10, a11] = &rows.slope;
        let (x, y) = (of(a00).mul_add(u, of(a10) * v), of(a01).mul_add(u, of(a11) * v));
        self.turned_back(simd, [x, y], [of(&rows.normalised[0]), of(&rows.normalised[1])])
    }

    /// The same derivative itself, 2×3 by rows; px/m.
    #[inline(always)]
    pub fn derivative_wide<S: Simd>(&self, simd: S, rows: &ProjectedRows, l: usize) -> [[Wide<S>; 3]; 2] {
        let of = |row| Wide::of(simd, row, l);
        let [a00, a01, a10, a11] = &rows.slope;
        let n = [of(&rows.normalised[0]), of(&rows.normalised[1])];
        [self.turned_back(simd, [of(a00), of(a01)], n), self.turned_back(simd, [of(a10), of(a11)], n)]
    }

    /// A gradient `(x, y)` in the normalised coordinates `n`, over the depth, as one in the point: `Rᵀ·[1 0; 0 1; −n₀ −n₁]·(x, y)`.
    #[inline(always)]
    fn turned_back<S: Simd>(&self, simd: S, [x, y]: [Wide<S>; 2], n: [Wide<S>; 2]) -> [Wide<S>; 3] {
        let r = &self.rotation;
        let z = -x.mul_add(n[0], y * n[1]);
        let [r00, r01, r02] = Wide::splats(simd, [r.m11, r.m12, r.m13]);
        let [r10, r11, r12] = Wide::splats(simd, [r.m21, r.m22, r.m23]);
        let [r20, r21, r22] = Wide::splats(simd, [r.m31, r.m32, r.m33]);
        [
            x.mul_add(r00, y.mul_add(r10, z * r20)),
            x.mul_add(r01, y.mul_add(r11, z * r21)),
            x.mul_add(r02, y.mul_add(r12, z * r22)),
        ]
    }

    /// The point in the camera, its pixel, and the pixel's derivative in the former.
    #[inline]
    fn linearise(&self, point_in_world: &Vector3<f64>) -> Option<(Vector3<f64>, Vector2<f64>, Matrix2x3<f64>)> {
        let x = self.point_in_camera(point_in_world);
        if !x.z.is_finite() || x.z <= MIN_DEPTH {
            return None;
        }
        let inverse_depth = 1.0 / x.z;
        let n = Vector2::new(x.x * inverse_depth, x.y * inverse_depth);
        let (distorted, j) = self.lens.distort_with_jacobian(&n)?;
        let k = &self.intrinsics;
        let (fx, fy, skew) = (k.fx * inverse_depth, k.fy * inverse_depth, k.skew * inverse_depth);
        // A / z, by rows.
        let (a00, a01) = (fx * j.m11 + skew * j.m21, fx * j.m12 + skew * j.m22);
        let (a10, a11) = (fy * j.m21, fy * j.m22);
        let row_u = RowVector3::new(a00, a01, -(a00 * n.x + a01 * n.y));
        let row_v = RowVector3::new(a10, a11, -(a10 * n.x + a11 * n.y));
        Some((x, self.pixel_from_distorted(&distorted), Matrix2x3::from_rows(&[row_u, row_v])))
    }

    /// Normalised, undistorted coordinates `(x/z, y/z)` of a pixel; `None` where no ray reaches that pixel.
    pub fn undistort(&self, pixel: &Vector2<f64>) -> Option<Vector2<f64>> {
        let k = &self.intrinsics;
        let y = (pixel.y - k.cy) / k.fy;
        let x = (pixel.x - k.cx - k.skew * y) / k.fx;
        self.lens.undistort(&Vector2::new(x, y))
    }

    /// Unit vector in the world from the optical centre through a pixel.
    pub fn direction_in_world(&self, pixel: &Vector2<f64>) -> Option<Vector3<f64>> {
        let n = self.undistort(pixel)?;
        Some(self.rotation.tr_mul(&Vector3::new(n.x, n.y, 1.0).normalize()))
    }

    #[inline]
    fn pixel_from_distorted(&self, d: &Vector2<f64>) -> Vector2<f64> {
        let k = &self.intrinsics;
        Vector2::new(k.fx * d.x + k.skew * d.y + k.cx, k.fy * d.y + k.cy)
    }
}

impl Camera {
    /// This camera prepared for many projections.
    pub fn projector(&self) -> Projector {
        Projector::new(self)
    }

    /// [`Projector::project`] for a single point; in a loop keep the [`Projector`].
    pub fn project(&self, point_in_world: &Vector3<f64>) -> Option<Vector2<f64>> {
        self.projector().project(point_in_world)
    }

    /// [`Projector::project_with_derivatives`] for a single point; in a loop keep the [`Projector`].
    pub fn project_with_derivatives(&self, point_in_world: &Vector3<f64>) -> Option<Projection> {
        self.projector().project_with_derivatives(point_in_world)
    }

    /// [`Projector::undistort`] for a single pixel; in a loop keep the [`Projector`].
    pub fn undistort(&self, pixel: &Vector2<f64>) -> Option<Vector2<f64>> {
        self.projector().undistort(pixel)
    }

    /// This camera with its extrinsics moved by `[rotation; translation]`: `camera_from_world ← exp(δ)·camera_from_world`.
    pub fn retract(&self, delta: &Vector6<f64>) -> Self {
        Self { camera_from_world: se3::retract(&self.camera_from_world, delta), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::Distortion;
    use nalgebra::{Isometry3, Translation3, UnitQuaternion};
    use proptest::prelude::*;

    const PIXEL_GRADIENT: [f64; 2] = [0.7, -0.4];

    fn camera(distortion: Distortion) -> Camera {
        Camera {
            name: "test".into(),
            size: [1920.0, 1080.0],
            intrinsics: Intrinsics { fx: 1150.0, fy: 1148.0, cx: 955.0, cy: 545.0, skew: 1.7 },
            distortion,
            camera_from_world: Isometry3::from_parts(
                Translation3::new(0.05, -0.1, 3.0),
                UnitQuaternion::from_scaled_axis(Vector3::new(1.2, -0.7, 0.4)),
            ),
        }
    }

    type World = [Row<f64>; 3];

    /// What [`Projector::project_rows`] gives, its derivatives, and those pulled back from [`PIXEL_GRADIENT`].
    fn in_widest_registers(projector: &Projector, points: &[Row<f64>; 3]) -> (ProjectedRows, [World; 2], World) {
        struct Project<'a>(&'a Projector, &'a [Row<f64>; 3]);
        impl pulp::WithSimd for Project<'_> {
            type Output = (ProjectedRows, [World; 2], World);
            fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
                let zero = Row::filled(0.0);
                let (mut out, mut derivative, mut pulled) = (ProjectedRows::NOTHING, [[zero; 3]; 2], [zero; 3]);
                self.0.project_rows(simd, self.1, &mut out);
                for l in 0..registers::<S>() {
                    let gradient = Wide::splats(simd, PIXEL_GRADIENT);
                    let of_pixel = self.0.pull_wide(simd, &out, l, gradient);
                    let rows = self.0.derivative_wide(simd, &out, l);
                    for i in 0..3 {
                        of_pixel[i].to(&mut pulled[i], l);
                        rows[0][i].to(&mut derivative[0][i], l);
                        rows[1][i].to(&mut derivative[1][i], l);
                    }
                }
                (out, derivative, pulled)
            }
        }
        pulp::Arch::new().dispatch(Project(projector, points))
    }

    fn lens_models() -> [Distortion; 6] {
        [
            Distortion::None,
            Distortion::Rational([-0.28, 0.09, 0.001, -0.0005, 0.0, 0.0, 0.0, 0.0]),
            Distortion::Rational([-0.28, 0.09, 0.001, -0.0005, -0.012, 0.0, 0.0, 0.0]),
            Distortion::Rational([0.1, -0.05, 0.001, -0.0005, 0.01, 0.12, -0.03, 0.02]),
            Distortion::Fisheye([0.02, -0.01, 0.003, -0.001]),
            Distortion::Fisheye([0.0; 4]),
        ]
    }

    /// Central differences of `f` over `N` directions, compared column by column with `analytic`, relative to the column's
    /// size. Truncation h², rounding 1e-13 px/h: at h = 1e-5 both are below 1e-6 of a column of 100 px/m.
    fn check<const N: usize>(
        f: impl Fn(usize, f64) -> Vector2<f64>,
        analytic: &nalgebra::SMatrix<f64, 2, N>,
    ) -> Result<(), TestCaseError> {
        let h = 1e-5;
        for k in 0..N {
            let numeric = (f(k, h) - f(k, -h)) / (2.0 * h);
            let column = analytic.column(k);
            prop_assert!((numeric - column).norm() <= 1e-6 * column.norm().max(1.0), "column {k}: {numeric} {column}");
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn derivatives_are_the_derivatives(
            which in 0..6usize,
            x in -1.2..1.2f64,
            y in -1.2..1.2f64,
            z in 1.5..8.0f64,
        ) {
            let camera = camera(lens_models()[which]);
            let p = (camera.camera_from_world.inverse() * nalgebra::Point3::new(x, y, z)).coords;
            let projection = camera.project_with_derivatives(&p).unwrap();
            prop_assert!((projection.depth - z).abs() < 1e-12);
            prop_assert!((projection.pixel - camera.project(&p).unwrap()).norm() < 1e-12 * 2000.0);
            let moved = |k: usize, h: f64| {
                let mut q = p;
                q[k] += h;
                camera.project(&q).unwrap()
            };
            check(moved, &projection.d_pixel_d_point)?;
            let turned = |k: usize, h: f64| {
                let mut delta = Vector6::zeros();
                delta[k] = h;
                camera.retract(&delta).project(&p).unwrap()
            };
            check(turned, &projection.d_pixel_d_extrinsics)?;
        }

        #[test]
        fn a_ray_passes_through_its_point(which in 0..6usize, x in -1.0..1.0f64, y in -1.0..1.0f64, z in 1.5..8.0f64) {
            let projector = camera(lens_models()[which]).projector();
            let p = projector.rotation.tr_mul(&(Vector3::new(x, y, z) - projector.translation));
            let direction = projector.direction_in_world(&projector.project(&p).unwrap()).unwrap();
            let miss = (p - projector.centre_in_world()).cross(&direction).norm();
            prop_assert!(miss < 1e-11 * z);
        }
    }

    proptest! {
        /// Roundings of some thirty operations, of pixels and of px/m.
        #[test]
        fn points_side_by_side_are_projected_as_alone(
            which in 0..6usize,
            points in proptest::collection::vec((-4.0..4.0f64, -4.0..4.0f64, -3.0..8.0f64), TILE),
        ) {
            let camera = camera(lens_models()[which]);
            let projector = camera.projector();
            let world = |&(x, y, z): &(f64, f64, f64)| projector.rotation.tr_mul(&(Vector3::new(x, y, z) - projector.translation));
            let points: Vec<Vector3<f64>> = points.iter().map(world).collect();
            let rows = std::array::from_fn(|k| Row(std::array::from_fn(|i| points[i][k])));
            let (found, derivatives, pulled) = in_widest_registers(&projector, &rows);
            for (i, p) in points.iter().enumerate() {
                let alone = projector.project_with_point_derivative(p);
                prop_assert_eq!(found.seen.0[i], f64::from(u8::from(alone.is_some())), "{}", p);
                let Some((pixel, derivative)) = alone else { continue };
                let here = Vector2::new(found.pixel[0].0[i], found.pixel[1].0[i]);
                prop_assert!((here - pixel).norm() < 1e-11 * pixel.norm().max(1e3));
                let here = Matrix2x3::from_fn(|r, c| derivatives[r][c].0[i]);
                prop_assert!((here - derivative).norm() < 1e-11 * derivative.norm().max(1e3));
                let here = Vector3::from_fn(|c, _| pulled[c].0[i]);
                let expected = derivative.tr_mul(&Vector2::from(PIXEL_GRADIENT));
                prop_assert!((here - expected).norm() < 1e-11 * derivative.norm().max(1e3));
            }
        }
    }

    #[test]
    fn nothing_behind_the_camera_or_beyond_the_lens() {
        let mut camera = camera(Distortion::Rational([-1.0 / 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]));
        camera.camera_from_world = Isometry3::identity();
        for p in [
            Vector3::new(0.0, 0.0, -1.0),
            Vector3::zeros(),
            Vector3::new(0.0, 0.0, f64::NAN),
            Vector3::new(f64::NAN, 0.0, 1.0),
            // 60° from the axis this polynomial has folded: f(√3) = 0 is the middle of the image.
            Vector3::new(3f64.sqrt(), 0.0, 1.0),
        ] {
            assert_eq!(camera.project(&p), None, "{p}");
            assert_eq!(camera.project_with_derivatives(&p), None, "{p}");
            let rows = [p.x, p.y, p.z].map(Row::filled);
            assert_eq!(in_widest_registers(&camera.projector(), &rows).0.seen, Row::filled(0.0), "{p}");
        }
        assert!(camera.project(&Vector3::new(0.5, 0.0, 1.0)).is_some());
    }

    #[test]
    fn fisheye_axis_has_the_derivatives_of_a_pinhole() {
        let axis = |d| camera(d).camera_from_world.inverse() * nalgebra::Point3::new(0.0, 0.0, 2.0);
        let p = axis(Distortion::None).coords;
        let pinhole = camera(Distortion::None).project_with_derivatives(&p).unwrap();
        let fisheye = camera(Distortion::Fisheye([0.3, 0.1, 0.0, 0.0])).project_with_derivatives(&p).unwrap();
        assert!((pinhole.d_pixel_d_point - fisheye.d_pixel_d_point).norm() < 1e-9);
        assert!((pinhole.d_pixel_d_extrinsics - fisheye.d_pixel_d_extrinsics).norm() < 1e-9);
    }

    #[test]
    fn new_extrinsics_keep_the_lens() {
        let camera = camera(lens_models()[3]);
        let moved = camera.retract(&Vector6::new(0.1, -0.2, 0.3, 0.01, 0.02, -0.03));
        assert_eq!(camera.projector().with_extrinsics(&moved.camera_from_world), moved.projector());
    }

    /// Values of `cv2.projectPoints` and `cv2.fisheye.projectPoints` 5.0 for one point, (0.4, −0.3, 2) in the camera.
    #[test]
    fn agrees_with_opencv() {
        for (distortion, expected) in OPENCV {
            let mut camera = camera(distortion);
            camera.intrinsics.skew = 0.0;
            camera.camera_from_world = Isometry3::identity();
            let pixel = camera.project(&Vector3::new(0.4, -0.3, 2.0)).unwrap();
            assert!((pixel - Vector2::from(expected)).norm() < 1e-9, "{distortion:?}: {pixel}");
        }
    }

    const OPENCV: [(Distortion, [f64; 2]); 4] = [
        (Distortion::Rational([-0.28, 0.09, 0.001, -0.0005, 0.0, 0.0, 0.0, 0.0]), [1180.9049218750001, 375.9108109375]),
        (
            Distortion::Rational([-0.28, 0.09, 0.001, -0.0005, -0.012, 0.0, 0.0, 0.0]),
            [1180.904248046875, 375.91131542968753],
        ),
        (
            Distortion::Rational([0.1, -0.05, 0.001, -0.0005, 0.01, 0.12, -0.03, 0.02]),
            [1184.5452765049342, 373.18529325369707],
        ),
        (Distortion::Fisheye([0.02, -0.01, 0.003, -0.001]), [1180.6429176869674, 376.06212858393144]),
    ];
}
