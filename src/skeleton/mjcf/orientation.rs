//! The ways MJCF writes an orientation.

use crate::Result;
use crate::skeleton::xml::{Source, shortened};
use nalgebra::{Matrix3, Quaternion, Rotation3, Unit, UnitQuaternion, Vector3};
use roxmltree::Node;

/// What `<compiler>` says about angles and limits.
#[derive(Clone)]
pub(super) struct Compiler {
    /// Radians per unit of the file's angles.
    pub angle: f64,
    /// Axes of `euler`, lower case intrinsic, upper case extrinsic.
    pub eulerseq: [u8; 3],
    /// Whether a range alone makes a limit.
    pub autolimits: bool,
    /// Whether bodies with a free joint are turned into their principal axes of inertia.
    pub align_free: bool,
}

impl Compiler {
    /// Reads all `<compiler>` elements in order; later ones overrule.
    pub fn read<'a, 'i>(source: Source<'a, 'i>, compilers: impl Iterator<Item = Node<'a, 'i>>) -> Result<Self> {
        let mut found = Self { angle: 1f64.to_radians(), eulerseq: *b"xyz", autolimits: true, align_free: false };
        for node in compilers {
            match node.attribute("angle") {
                Some("radian") => found.angle = 1.0,
                Some("degree") => found.angle = 1f64.to_radians(),
                None => {}
                Some(other) => {
                    return Err(source.error(
                        node,
                        format_args!("angle=\"{}\" is not understood", shortened(other)),
                        "write radian or degree",
                    ));
                }
            }
            if let Some(sequence) = node.attribute("eulerseq") {
                found.eulerseq = sequence
                    .as_bytes()
                    .try_into()
                    .ok()
                    .filter(|s: &[u8; 3]| s.iter().all(|c| b"xyzXYZ".contains(c)))
                    .ok_or_else(|| {
                        source.error(
                            node,
                            format_args!("eulerseq=\"{}\" is not three of x, y, z, X, Y, Z", shortened(sequence)),
                            "correct it",
                        )
                    })?;
            }
            for (name, said) in [("autolimits", &mut found.autolimits), ("alignfree", &mut found.align_free)] {
                match node.attribute(name) {
                    None => {}
                    Some("true") => *said = true,
                    Some("false") => *said = false,
                    Some(other) => {
                        return Err(source.error(
                            node,
                            format_args!("{name}=\"{}\" is not understood", shortened(other)),
                            "write true or false",
                        ));
                    }
                }
            }
            if node.attribute("coordinate") == Some("global") {
                return Err(source.error(
                    node,
                    "coordinate=\"global\" is not understood",
                    "load and save the model in a MuJoCo older than 2.3.3, which converts it",
                ));
            }
        }
        Ok(found)
    }

    /// The orientation of a body or frame, identity where none is written.
    pub fn orientation<'a, 'i>(&self, source: Source<'a, 'i>, node: Node<'a, 'i>) -> Result<Rotation3<f64>> {
        let mut found = None;
        for form in ["quat", "axisangle", "euler", "xyaxes", "zaxis"] {
            let Some(text) = node.attribute(form) else { continue };
            if found.is_some() {
                return Err(source.error(node, "the orientation is written in two ways", "leave one"));
            }
            let v = source.numbers(node, text)?;
            let rotation = match (form, v.as_slice()) {
                ("quat", [w, x, y, z]) => {
                    UnitQuaternion::try_new(Quaternion::new(*w, *x, *y, *z), 1e-12).map(|q| q.to_rotation_matrix())
                }
                ("axisangle", [x, y, z, a]) => Unit::try_new(Vector3::new(*x, *y, *z), 1e-12)
                    .map(|axis| Rotation3::from_axis_angle(&axis, a * self.angle)),
                ("euler", [a, b, c]) => Some(self.euler([*a, *b, *c])),
                ("xyaxes", [a, b, c, d, e, f]) => xy_axes(Vector3::new(*a, *b, *c), Vector3::new(*d, *e, *f)),
                ("zaxis", [x, y, z]) => Unit::try_new(Vector3::new(*x, *y, *z), 1e-12).map(|z| z_axis(&z)),
                _ => None,
            };
            found = Some(rotation.ok_or_else(|| {
                source.error(
                    node,
                    format_args!("{form}=\"{}\" is not an orientation", shortened(text)),
                    "correct its numbers: as many as the form has, and not all zero",
                )
            })?);
        }
        Ok(found.unwrap_or_else(Rotation3::identity))
    }

    fn euler(&self, angles: [f64; 3]) -> Rotation3<f64> {
        let mut rotation = Rotation3::identity();
        for (letter, angle) in self.eulerseq.iter().zip(angles) {
            let axis = match letter.to_ascii_lowercase() {
                b'x' => Vector3::x_axis(),
                b'y' => Vector3::y_axis(),
                _ => Vector3::z_axis(),
            };
            let one = Rotation3::from_axis_angle(&axis, angle * self.angle);
            rotation = if letter.is_ascii_lowercase() { rotation * one } else { one * rotation };
        }
        rotation
    }
}

/// x as given, y made orthogonal to it.
fn xy_axes(x: Vector3<f64>, y: Vector3<f64>) -> Option<Rotation3<f64>> {
    let x = Unit::try_new(x, 1e-12)?;
    let y = Unit::try_new(y - x.into_inner() * x.dot(&y), 1e-12)?;
    let z = x.cross(&y);
    Some(Rotation3::from_matrix_unchecked(Matrix3::from_columns(&[x.into_inner(), y.into_inner(), z])))
}

/// The smallest rotation that takes z to `to`; half a turn about x where they are opposite, as MuJoCo does.
fn z_axis(to: &Unit<Vector3<f64>>) -> Rotation3<f64> {
    let axis = Vector3::z().cross(to);
    let sine = axis.norm();
    match Unit::try_new(axis, 1e-10) {
        Some(axis) => Rotation3::from_axis_angle(&axis, sine.atan2(to.z)),
        None if to.z > 0.0 => Rotation3::identity(),
        None => Rotation3::from_axis_angle(&Vector3::x_axis(), std::f64::consts::PI),
    }
}
