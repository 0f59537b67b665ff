//! Qualisys calibrations, `.qca.txt`.
//!
//! XML, one `camera` element each with
//!
//! - `fov_video` `left top right bottom`: the picture's corner pixels, so that its width is `right − left + 1`;
//! - `intrinsic`: focal lengths and centre in 1/64 px of the full sensor, from whose centre `left`, `top` are subtracted;
//! - `transform`: `rIJ`, rows the camera's axes in the world (x right, y up, z backward), and `x y z`, its position in mm.
//!
//! With `F = diag(1, −1, −1)`, half a turn about x, that is `camera_from_world`: `R = F·r`, `t = −R·(x, y, z)/1000`.
//! A `video_resolution` of, say, `720p` scales sizes, focal lengths and centre by 720/1080.
//!
//! **Distortion** is read as Pose2Sim reads it, coefficients divided by 64 as well. That is open to doubt: coefficients of a
//! polynomial in normalised coordinates have no unit, and undivided they are ordinary values for such lenses (they would
//! move a point by 1 px at 400 px from the centre, by 7 px in the corners). The one recording with such a file that this
//! was tried on does not decide it: adjusting cameras and points to its keypoints leaves a median of 6.80 px with the
//! coefficients divided, 6.80 px without any, 6.81 px with them undivided, and 6.82 px with their signs turned. So agreement
//! with the calibrations people already hold decides.
//!
//! Cameras are those that take video (`model` of a video camera, or `none`; all, where no model says so), in natural order
//! of their serials, as Pose2Sim orders them.

use super::check::{self, Raw};
use crate::camera::{Camera, Rig};
use crate::error::{Error, Result};
use nalgebra::{Matrix3, Vector3};
use roxmltree::{Document, Node};

/// Qualisys counts in parts of a pixel.
const SUBPIXELS: f64 = 64.0;
/// Qualisys counts in millimetres.
pub(super) const PER_METRE: f64 = 1000.0;
/// Height of the picture that the numbers refer to, lines.
const FULL_RESOLUTION: f64 = 1080.0;
pub(super) fn read_str(text: &str, file: &str) -> Result<Rig> {
    let document = Document::parse(text).map_err(|e| {
        Error::input(
            format_args!("{file}, line {}", e.pos().row),
            format_args!("is not valid XML: {e}"),
            "the file may be cut off; export the calibration again",
        )
    })?;
    let root = document.root_element();
    if !root.has_tag_name("calibration") {
        return Err(Error::input(
            file,
            format_args!(
                "is XML but no Qualisys calibration: its root is <{}>, expected <calibration>",
                root.tag_name().name()
            ),
            "check that this is the right file",
        ));
    }
    let all: Vec<_> = root
        .children()
        .filter(|n| n.has_tag_name("cameras"))
        .flat_map(|n| n.children())
        .filter(|n| n.has_tag_name("camera") && n.attribute("active") != Some("0"))
        .collect();
    let takes_video = |n: &Node| n.attribute("model").is_some_and(|m| m == "none" || m.contains("Video"));
    let any_video = all.iter().any(takes_video);
    let mut rig =
        all.iter().filter(|n| !any_video || takes_video(n)).map(|n| camera(*n, file)).collect::<Result<Rig>>()?;
    rig.sort_by_cached_key(|c| natural_key(&c.name));
    Ok(rig)
}

fn camera(node: Node, file: &str) -> Result<Camera> {
    let name = node.attribute("serial").unwrap_or_default().to_owned();
    let place = check::place(file, &name);
    let resolution = match node.attribute("video_resolution").filter(|text| !text.is_empty()) {
        None => FULL_RESOLUTION,
        Some(text) => {
            text.trim_end_matches(['p', 'i']).parse().ok().filter(|lines: &f64| *lines > 0.0).ok_or_else(|| {
                Error::input(
                    &place,
                    format_args!("video_resolution is `{text}`, expected something like 1080p"),
                    "export the calibration again",
                )
            })?
        }
    };
    let scale = resolution / FULL_RESOLUTION;

    let picture = child(node, "fov_video", &place)?;
    let [left, top, right, bottom] = attributes(picture, ["left", "top", "right", "bottom"], &place)?;
    let lens = child(node, "intrinsic", &place)?;
    let [fu, fv, cu, cv] = attributes(lens, ["focalLengthU", "focalLengthV", "centerPointU", "centerPointV"], &place)?
        .map(|x| x / SUBPIXELS);
    let [skew] = attributes(lens, ["skew"], &place)?;
    let names =
        ["radialDistortion1", "radialDistortion2", "tangentalDistortion1", "tangentalDistortion2", "radialDistortion3"];
    let mut distortions = attributes(lens, names, &place)?.map(|x| x / SUBPIXELS).to_vec();
    if distortions[4] == 0.0 {
        distortions.pop();
    }

    let pose = child(node, "transform", &place)?;
    let r = attributes(pose, ["r11", "r12", "r13", "r21", "r22", "r23", "r31", "r32", "r33"], &place)?;
    let half_turn = Matrix3::from_diagonal(&Vector3::new(1.0, -1.0, -1.0));
    let rotation = check::rotation(&(half_turn * Matrix3::from_row_slice(&r)), &place)?;
    let position = Vector3::from(attributes(pose, ["x", "y", "z"], &place)?) / PER_METRE;

    let raw = Raw {
        name,
        size: [(right - left + 1.0) * scale, (bottom - top + 1.0) * scale],
        matrix: [
            [fu * scale, skew / SUBPIXELS * scale, (cu - left) * scale],
            [0.0, fv * scale, (cv - top) * scale],
            [0.0, 0.0, 1.0],
        ],
        distortions,
        fisheye: false,
        translation: -(rotation * position),
        rotation,
    };
    check::camera(raw, file)
}

fn child<'a, 'd>(node: Node<'a, 'd>, name: &str, place: &str) -> Result<Node<'a, 'd>> {
    node.children().find(|n| n.has_tag_name(name)).ok_or_else(|| {
        Error::input(place, format_args!("<{name}> is missing"), "export the calibration again from QTM")
    })
}

fn attributes<const N: usize>(node: Node, names: [&str; N], place: &str) -> Result<[f64; N]> {
    let mut out = [0.0; N];
    for (out, name) in out.iter_mut().zip(names) {
        let text = node.attribute(name).unwrap_or("nothing");
        *out = text.trim().parse().ok().filter(|x: &f64| x.is_finite()).ok_or_else(|| {
            Error::input(
                place,
                format_args!("<{}> gives {text} for {name}, expected a number", node.tag_name().name()),
                "export the calibration again from QTM",
            )
        })?;
    }
    Ok(out)
}

/// Orders `cam_2` before `cam_10`: runs of digits by value, the rest by letter.
fn natural_key(name: &str) -> Vec<(String, u64)> {
    let mut key = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (text, tail) = rest.split_at(letters);
        let digits = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
        let (number, tail) = tail.split_at(digits);
        key.push((text.to_lowercase(), number.parse().unwrap_or(u64::MAX)));
        rest = tail;
    }
    key
}
