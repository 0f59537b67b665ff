//! What every calibration must satisfy, whatever file it came from.

use crate::camera::{Camera, Distortion, Intrinsics, Rig};
use crate::error::{Error, Result};
use nalgebra::{Isometry3, Matrix3, Rotation3, Translation3, UnitQuaternion, Vector2, Vector3};

/// Cameras further apart than this, in metres, are not a room or a pitch but numbers in millimetres (whose rigs, seen as
/// metres, are hundreds wide).
pub(super) const MAX_SPREAD: f64 = 100.0;
/// Further apart than this, in metres, is not even a room in millimetres.
const MAX_SPREAD_IN_MILLIMETRES: f64 = 1e3 * MAX_SPREAD;
/// Nearer together than this, metres, are the cameras of no rig; a hall's, in metres taken for millimetres, are.
const MIN_SPREAD: f64 = 0.05;
/// Farthest from the origin, in the file's unit: beyond it, millimetres are lost to rounding.
const MAX_TRANSLATION: f64 = 1e10;
/// Focal length over the longer side of the image: from the widest fisheye to a telescope.
const FOCAL: std::ops::RangeInclusive<f64> = 0.05..=100.0;
/// Distance of the optical axis from the image's corner over the longer side; cropped sensors have it outside the image.
const MAX_CENTRE: f64 = 10.0;
/// How far from orthonormal a printed rotation matrix may be: three digits.
const ROTATION_TOLERANCE: f64 = 1e-3;
/// Larger distortion coefficients are garbage, and overflow when raised to powers.
const MAX_COEFFICIENT: f64 = 1e6;

/// A camera's numbers as a file gives them.
pub(super) struct Raw {
    pub name: String,
    pub size: [f64; 2],
    /// 3×3, by rows.
    pub matrix: [[f64; 3]; 3],
    pub distortions: Vec<f64>,
    pub fisheye: bool,
    pub rotation: UnitQuaternion<f64>,
    /// Metres.
    pub translation: Vector3<f64>,
}

/// The place of a camera in a file.
pub(super) fn place(file: &str, camera: &str) -> String {
    format!("{file}: camera {camera}")
}

/// Checks one camera.
pub(super) fn camera(raw: Raw, file: &str) -> Result<Camera> {
    let place = place(file, &raw.name);
    if raw.name.trim().is_empty() {
        return Err(Error::input(file, "a camera has an empty name", "give every camera a name"));
    }
    if !raw.size.iter().all(|s| s.is_finite() && *s > 0.0) {
        return Err(Error::input(
            place,
            format_args!("the image size is {} x {}, expected positive numbers of pixels", raw.size[0], raw.size[1]),
            "enter the width and height of the images the camera was calibrated with",
        ));
    }
    let [[fx, skew, cx], [m10, fy, cy], last] = raw.matrix;
    if ![fx, skew, cx, m10, fy, cy].iter().chain(&last).all(|x| x.is_finite()) {
        return Err(Error::input(place, "the camera matrix holds NaN or infinity", "calibrate this camera again"));
    }
    if m10 != 0.0 || last != [0.0, 0.0, 1.0] {
        return Err(Error::input(
            place,
            format_args!(
                "`matrix` is not a camera matrix: its second row must begin with 0 and its third be 0, 0, 1 (found {m10} and {last:?})"
            ),
            "write it by rows as [[fx, skew, cx], [0, fy, cy], [0, 0, 1]]",
        ));
    }
    let side = raw.size[0].max(raw.size[1]);
    if !FOCAL.contains(&(fx / side)) || !FOCAL.contains(&(fy / side)) {
        return Err(Error::input(
            place,
            format_args!(
                "the focal lengths are {fx:?} and {fy:?} px, expected between {:.0} and {:.0} for images of this size",
                FOCAL.start() * side,
                FOCAL.end() * side
            ),
            "enter them and the image size in pixels, or calibrate this camera again",
        ));
    }
    if cx.abs().max(cy.abs()) > MAX_CENTRE * side || skew.abs() > fx {
        return Err(Error::input(
            place,
            format_args!(
                "the optical axis meets the image at {cx:?}, {cy:?} px with a skew of {skew:?} px, far from the image of {} x {} px",
                raw.size[0], raw.size[1]
            ),
            "enter them and the image size in pixels, or calibrate this camera again",
        ));
    }
    if !raw.translation.iter().all(|x| x.is_finite()) || !raw.rotation.coords.iter().all(|x| x.is_finite()) {
        return Err(Error::input(
            place,
            "its rotation or translation holds NaN or infinity",
            "calibrate the camera positions again",
        ));
    }
    if raw.translation.amax() > MAX_TRANSLATION {
        return Err(Error::input(
            place,
            format_args!("its translation is {:?}, which is no distance of a camera", raw.translation.as_slice()),
            "enter metres, or calibrate the camera positions again",
        ));
    }
    let distortion = distortion(&raw, &place)?;
    let camera = Camera {
        name: raw.name,
        size: raw.size,
        intrinsics: Intrinsics { fx, fy, cx, cy, skew },
        distortion,
        camera_from_world: Isometry3::from_parts(Translation3::from(raw.translation), raw.rotation),
    };
    lens(&camera, &place)?;
    Ok(camera)
}

/// That the middle half of the image is seen through the lens: absurd distortion folds it, so that pixels have no
/// direction. What lies outside may have none: the dark round a fisheye's circle, corners that a fit to points near the
/// middle has folded.
fn lens(camera: &Camera, place: &str) -> Result<()> {
    const GRID: usize = 9;
    let projector = camera.projector();
    let at = |index: usize, side: f64| (0.25 + 0.5 * (index as f64 + 0.5) / GRID as f64) * side;
    let pixels = (0..GRID * GRID).map(|i| Vector2::new(at(i % GRID, camera.size[0]), at(i / GRID, camera.size[1])));
    let blind = pixels.filter(|pixel| projector.undistort(pixel).is_none()).count();
    if 2 * blind <= GRID * GRID {
        return Ok(());
    }
    Err(Error::input(
        place,
        format_args!(
            "its distortion coefficients fit no lens: {:.0} % of the pixels in the middle of the image belong to no direction",
            100.0 * blind as f64 / (GRID * GRID) as f64
        ),
        "check their order (OpenCV: k1, k2, p1, p2, k3, k4, k5, k6) and `fisheye`, or calibrate this camera again",
    ))
}

fn distortion(raw: &Raw, place: &str) -> Result<Distortion> {
    let k = raw.distortions.as_slice();
    if !k.iter().all(|x| x.abs() <= MAX_COEFFICIENT) {
        return Err(Error::input(
            place,
            "its distortion coefficients are not plausible numbers (NaN, infinite or above a million)",
            "calibrate this camera again",
        ));
    }
    match (raw.fisheye, k) {
        (true, []) => Ok(Distortion::Fisheye([0.0; 4])),
        (true, &[k1, k2, k3, k4]) => Ok(Distortion::Fisheye([k1, k2, k3, k4])),
        (true, _) => Err(Error::input(
            place,
            format_args!("a fisheye lens has 4 distortion coefficients, found {}", k.len()),
            "write k1, k2, k3, k4, or set fisheye = false",
        )),
        (false, k) if matches!(k.len(), 0 | 4 | 5 | 8) => {
            if k.iter().all(|&x| x == 0.0) {
                return Ok(Distortion::None);
            }
            let mut all = [0.0; 8];
            all[..k.len()].copy_from_slice(k);
            Ok(Distortion::Rational(all))
        }
        (false, k) => Err(Error::input(
            place,
            format_args!("expected 0, 4, 5 or 8 distortion coefficients, found {}", k.len()),
            "write them in OpenCV's order k1, k2, p1, p2, k3, k4, k5, k6",
        )),
    }
}

/// The rotation nearest to a printed matrix, which must be one up to its printed digits.
pub(super) fn rotation(matrix: &Matrix3<f64>, place: &str) -> Result<UnitQuaternion<f64>> {
    let error = (matrix * matrix.transpose() - Matrix3::identity()).norm();
    if error.is_nan() || error >= ROTATION_TOLERANCE {
        return Err(Error::input(
            place,
            "its rotation matrix is no rotation: its rows are not of length 1 and at right angles",
            "export the calibration again",
        ));
    }
    if matrix.determinant() < 0.0 {
        return Err(Error::input(
            place,
            "its rotation matrix is mirrored (determinant −1): this camera would see the world as in a mirror",
            "export the calibration again; an axis was probably negated by hand or by a conversion",
        ));
    }
    // The polar factor U·Vᵀ is the nearest rotation in the Frobenius norm.
    let svd = matrix.svd(true, true);
    let nearest = match (svd.u, svd.v_t) {
        (Some(u), Some(v_t)) => u * v_t,
        _ => *matrix,
    };
    Ok(UnitQuaternion::from_rotation_matrix(&Rotation3::from_matrix_unchecked(nearest)))
}

/// The largest distance between two camera centres, or of a lone camera from the origin; in the file's unit.
pub(super) fn spread(rig: &[Camera]) -> f64 {
    let centres: Vec<_> = rig.iter().map(Camera::centre_in_world).collect();
    match centres.as_slice() {
        [one] => one.norm(),
        all => {
            all.iter().enumerate().flat_map(|(i, a)| all[..i].iter().map(move |b| (a - b).norm())).fold(0.0, f64::max)
        }
    }
}

/// Whether two files state the same cameras, in any order, up to their printed digits and conventions of a pixel's middle. Names may differ, and images be of another size (`binning`).
pub(super) fn same(a: &Rig, b: &Rig) -> bool {
    /// Metres, radians, and parts of the image's longer side.
    const TOLERANCE: (f64, f64, f64) = (0.005, 2e-3, 5e-3);
    let side = |c: &Camera| c.size[0].max(c.size[1]);
    let lens = |c: &Camera| [c.intrinsics.fx, c.intrinsics.fy, c.intrinsics.cx, c.intrinsics.cy].map(|x| x / side(c));
    let same = |a: &Camera, b: &Camera| {
        (a.centre_in_world() - b.centre_in_world()).norm() <= TOLERANCE.0
            && a.camera_from_world.rotation.angle_to(&b.camera_from_world.rotation) <= TOLERANCE.1
            && lens(a).iter().zip(lens(b)).all(|(a, b)| (a - b).abs() <= TOLERANCE.2)
    };
    a.len() == b.len() && a.iter().all(|a| b.iter().any(|b| same(a, b)))
}

/// Checks what concerns the cameras together; the file's unit is `per_metre` to the metre.
pub(super) fn rig(rig: &Rig, file: &str, per_metre: f64) -> Result<()> {
    if rig.is_empty() {
        return Err(Error::input(
            file,
            "holds no cameras",
            "expected a table per camera with size, matrix, distortions, rotation and translation",
        ));
    }
    let mut names: Vec<_> = rig.iter().map(|c| c.name.as_str()).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Error::input(
            file,
            format_args!("two cameras are called {}", pair[0]),
            "give every camera a name of its own",
        ));
    }
    let spread = spread(rig);
    if rig.len() > 1 && spread < 1e-9 {
        return Err(Error::input(
            file,
            "all cameras stand at the same place: it has no positions of cameras",
            "calibrate the camera positions (extrinsics), not the lenses alone",
        ));
    }
    if rig.len() > 1 && spread < MIN_SPREAD {
        let (unit, other) = if per_metre == 1.0 { ("metres", "kilometres") } else { ("millimetres", "metres") };
        return Err(Error::input(
            file,
            format_args!(
                "all cameras are within {:.3} m of each other, too near to tell how far away anything is: positions look like {other}, expected {unit}",
                spread
            ),
            format_args!(
                "check the unit of the positions (multiply each by 1000 if they are {other}), or calibrate them again"
            ),
        ));
    }
    // One that is apart from all others, when these are near each other, is the one that is wrong.
    let without =
        |c: usize| -> Rig { rig.iter().enumerate().filter(|(i, _)| *i != c).map(|(_, c)| c.clone()).collect() };
    let rest_is_a_rig = |c: &usize| (MIN_SPREAD..=0.5 * MAX_SPREAD).contains(&self::spread(&without(*c)));
    let may_be = rig.len() > 2 && (MAX_SPREAD..=MAX_SPREAD_IN_MILLIMETRES).contains(&spread);
    let odd = (0..rig.len()).filter(|_| may_be).find(rest_is_a_rig);
    if let Some(odd) = odd {
        return Err(Error::input(
            place(file, &rig[odd].name),
            format_args!(
                "it stands {spread:.0} m from the others, which are within {:.1} m: its position looks like millimetres, expected metres",
                self::spread(&without(odd))
            ),
            "divide its translation by 1000, or calibrate its position again",
        ));
    }
    if spread > MAX_SPREAD_IN_MILLIMETRES {
        return Err(Error::input(
            file,
            format_args!("the cameras are up to {spread:.0} m apart, which no room is, in millimetres either"),
            "check the translations, in metres, or calibrate the camera positions again",
        ));
    }
    if spread > MAX_SPREAD {
        return Err(Error::input(
            file,
            format_args!("the cameras are up to {spread:.0} m apart: this looks like millimetres, expected metres"),
            "divide every translation by 1000",
        ));
    }
    Ok(())
}
