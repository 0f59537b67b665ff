//! Calibrations as TOML: a table per camera, as Pose2Sim, AniPose, Caliscope and FreeMoCap write them.
//!
//! ```text
//! [cam01]
//! name = "cam01"                     # the table's own name if absent
//! size = [1088.0, 1920.0]            # width, height; px
//! matrix = [[fx, skew, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]
//! distortions = [k1, k2, p1, p2]     # OpenCV; 0, 4, 5 or 8 numbers; fisheye: k1..k4
//! rotation = [rx, ry, rz]            # Rodrigues vector (or 3×3 matrix), camera_from_world
//! translation = [tx, ty, tz]         # x_cam = R·x + t
//! fisheye = false
//! ```
//!
//! Tables that describe no camera (`metadata`, `capture_volume`, …) are passed over, as is a camera with `ignore = true`
//! (Caliscope); newer Caliscope files keep the cameras one level down, in `cameras`.
//!
//! **FreeMoCap writes millimetres** (the unit of its `charuco_square_size`). Its files are known by their metadata and
//! converted, unless the cameras stand so close together that somebody has converted them already. A square size of 1 means
//! that it was never entered; such a file has no unit and is refused.

use super::check::{self, MAX_SPREAD, Raw};
use crate::camera::{Camera, Distortion, Rig};
use crate::error::{Error, Result};
use crate::math::so3;
use nalgebra::{Matrix3, UnitQuaternion, Vector3};
use serde::Serialize;
use toml::{Table, Value};

/// Tables with these names are never cameras.
const NOT_CAMERAS: [&str; 5] = ["metadata", "capture_volume", "charuco", "checkerboard", "intrinsic_charuco"];
/// A table with one of these is meant to be a camera.
const CAMERA_KEYS: [&str; 4] = ["matrix", "distortions", "rotation", "translation"];

/// Whether a text is TOML with at least one camera in it, sound or not.
pub(super) fn holds_cameras(text: &str) -> bool {
    text.parse::<Table>().is_ok_and(|root| camera_tables(&root).next().is_some())
}

pub(super) fn read_str(text: &str, file: &str) -> Result<Rig> {
    let root: Table = toml::from_str(text).map_err(|e| {
        let place = match e.span() {
            Some(span) => format!(
                "{file}, line {}",
                text.as_bytes()[..span.start.min(text.len())].iter().filter(|&&b| b == b'\n').count() + 1
            ),
            None => file.to_owned(),
        };
        Error::input(
            place,
            format_args!("is not valid TOML: {}", e.message()),
            "repair this line, or export the calibration again",
        )
    })?;
    let mut rig = Rig::new();
    for (key, table) in camera_tables(&root) {
        rig.push(camera(key, table, file)?);
    }
    if is_freemocap(&root) {
        convert_freemocap(&mut rig, &root, file)?;
    }
    Ok(rig)
}

fn camera_tables(root: &Table) -> impl Iterator<Item = (&str, &Table)> {
    let nested = root.get("cameras").and_then(Value::as_table).filter(|t| !is_camera(t));
    root.iter()
        .chain(nested.into_iter().flatten())
        .filter_map(|(key, value)| Some((key.as_str(), value.as_table()?)))
        .filter(|(key, table)| !NOT_CAMERAS.contains(key) && is_camera(table))
        .filter(|(_, table)| table.get("ignore").and_then(Value::as_bool) != Some(true))
}

fn is_camera(table: &Table) -> bool {
    CAMERA_KEYS.iter().any(|key| table.contains_key(*key))
}

fn camera(key: &str, table: &Table, file: &str) -> Result<Camera> {
    let name = match table.get("name") {
        None => key.to_owned(),
        Some(Value::String(name)) => name.clone(),
        Some(Value::Integer(number)) => number.to_string(),
        Some(other) => return Err(wrong_type(file, key, "name", "a text", other)),
    };
    let fields = Fields { table, file, camera: &name };
    let fisheye = match table.get("fisheye") {
        None => false,
        Some(Value::Boolean(b)) => *b,
        Some(other) => return Err(wrong_type(file, &name, "fisheye", "true or false", other)),
    };
    let raw = Raw {
        size: fields.numbers("size")?,
        matrix: fields.matrix("matrix")?,
        distortions: match table.get("distortions") {
            None => Vec::new(),
            Some(value) => fields.list("distortions", value)?,
        },
        fisheye,
        rotation: fields.rotation()?,
        translation: Vector3::from(fields.numbers("translation")?),
        name: name.clone(),
    };
    check::camera(raw, file)
}

/// The entries of one camera's table, read with messages that name them.
struct Fields<'a> {
    table: &'a Table,
    file: &'a str,
    camera: &'a str,
}

impl Fields<'_> {
    fn get(&self, key: &str) -> Result<&Value> {
        self.table.get(key).ok_or_else(|| {
            Error::input(
                check::place(self.file, self.camera),
                format_args!("`{key}` is missing"),
                "expected size, matrix, distortions, rotation and translation for every camera",
            )
        })
    }

    fn number(&self, key: &str, value: &Value) -> Result<f64> {
        match value {
            Value::Float(x) => Ok(*x),
            Value::Integer(x) => Ok(*x as f64),
            other => Err(wrong_type(self.file, self.camera, key, "numbers", other)),
        }
    }

    fn list(&self, key: &str, value: &Value) -> Result<Vec<f64>> {
        match value {
            Value::Array(items) => items.iter().map(|item| self.number(key, item)).collect(),
            other => Err(wrong_type(self.file, self.camera, key, "a list of numbers", other)),
        }
    }

    fn numbers<const N: usize>(&self, key: &str) -> Result<[f64; N]> {
        let list = self.list(key, self.get(key)?)?;
        let found = list.len();
        list.try_into().map_err(|_| self.wrong_shape(key, &format!("{N} numbers"), &found.to_string()))
    }

    fn matrix(&self, key: &str) -> Result<[[f64; 3]; 3]> {
        let shape = "3 rows of 3 numbers";
        let value = self.get(key)?;
        let Value::Array(rows) = value else { return Err(wrong_type(self.file, self.camera, key, shape, value)) };
        let mut out = [[0.0; 3]; 3];
        if rows.len() != 3 {
            return Err(self.wrong_shape(key, shape, &format!("{} rows", rows.len())));
        }
        for (out, row) in out.iter_mut().zip(rows) {
            let row = self.list(key, row)?;
            let found = row.len();
            *out = row.try_into().map_err(|_| self.wrong_shape(key, shape, &format!("a row of {found}")))?;
        }
        Ok(out)
    }

    fn rotation(&self) -> Result<UnitQuaternion<f64>> {
        let is_matrix = matches!(self.get("rotation")?, Value::Array(rows) if rows.iter().any(Value::is_array));
        if is_matrix {
            let rows = self.matrix("rotation")?;
            let matrix = Matrix3::from_fn(|i, j| rows[i][j]);
            return check::rotation(&matrix, &check::place(self.file, self.camera));
        }
        Ok(UnitQuaternion::from_scaled_axis(Vector3::from(self.numbers::<3>("rotation")?)))
    }

    fn wrong_shape(&self, key: &str, expected: &str, found: &str) -> Error {
        Error::input(
            check::place(self.file, self.camera),
            format_args!("`{key}` must hold {expected}, found {found}"),
            "compare it with the other cameras, or export the calibration again",
        )
    }
}

fn wrong_type(file: &str, camera: &str, key: &str, expected: &str, found: &Value) -> Error {
    Error::input(
        check::place(file, camera),
        format_args!("`{key}` must be {expected}, found a {}", found.type_str()),
        "compare it with the other cameras, or export the calibration again",
    )
}

fn is_freemocap(root: &Table) -> bool {
    let metadata = root.get("metadata").and_then(Value::as_table);
    metadata.is_some_and(|m| {
        ["charuco_square_size", "charuco_board_object", "path_to_recorded_videos", "date_time_calibrated"]
            .iter()
            .any(|key| m.contains_key(*key))
    })
}

fn convert_freemocap(rig: &mut Rig, root: &Table, file: &str) -> Result<()> {
    let square = root.get("metadata").and_then(|m| m.get("charuco_square_size"));
    if matches!(square, Some(Value::Integer(1))) || matches!(square, Some(Value::Float(x)) if *x == 1.0) {
        return Err(Error::input(
            format_args!("{file}: metadata"),
            "FreeMoCap was not told the size of the board's squares (charuco_square_size is 1), so lengths have no unit",
            "multiply every translation and charuco_square_size by the side of a square in millimetres",
        ));
    }
    if check::spread(rig) > MAX_SPREAD {
        for camera in rig {
            camera.camera_from_world.translation.vector /= 1000.0;
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct CameraTable {
    name: String,
    size: [f64; 2],
    matrix: [[f64; 3]; 3],
    distortions: Vec<f64>,
    rotation: [f64; 3],
    translation: [f64; 3],
    fisheye: bool,
}

pub(super) fn write(rig: &Rig) -> String {
    let mut out = String::new();
    for camera in rig {
        let k = &camera.intrinsics;
        let (fisheye, distortions) = match &camera.distortion {
            Distortion::None => (false, vec![0.0; 4]),
            Distortion::Fisheye(c) => (true, c.to_vec()),
            Distortion::Rational(c) => {
                let used = c.iter().rposition(|&x| x != 0.0).map_or(0, |last| last + 1);
                let length = [4, 5, 8].into_iter().find(|&n| used <= n).unwrap_or(8);
                (false, c[..length].to_vec())
            }
        };
        let table = CameraTable {
            name: camera.name.clone(),
            size: camera.size,
            matrix: [[k.fx, k.skew, k.cx], [0.0, k.fy, k.cy], [0.0, 0.0, 1.0]],
            distortions,
            rotation: so3::log_quaternion(&camera.camera_from_world.rotation).into(),
            translation: camera.camera_from_world.translation.vector.into(),
            fisheye,
        };
        // Texts, booleans and numbers always have a form in TOML, so neither of these can fail.
        let body = toml::to_string(&table).unwrap_or_default();
        out.push_str(&format!("[{}]\n{body}\n", quoted(&camera.name)));
    }
    out.push_str("[metadata]\nadjusted = false\nerror = 0.0\n");
    out
}

/// A name as a key: bare where TOML allows it, else quoted. `metadata` and its like would be passed over when read again.
fn quoted(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if NOT_CAMERAS.contains(&name) || name == "cameras" {
        return format!("camera_{name}");
    }
    if bare {
        return name.to_owned();
    }
    let mut out = String::from("\"");
    for c in name.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
