//! Cameras: intrinsics, lens distortion, extrinsics, and calibration files.
//!
//! A [`Camera`] maps a point in the world to a pixel of the distorted image:
//!
//! ```text
//! u = K · distort( x/z, y/z ),   (x, y, z) = camera_from_world · point_in_world
//! ```
//!
//! With feature `learn`, `autodiff` makes this an operation of burn's.
//!
//! Camera axes: x right, y down, z forward (OpenCV). Lengths in metres, pixels from the top left corner.

#[cfg(feature = "learn")]
pub mod autodiff;
pub mod calibration;
pub mod lens;
mod polynomial;
pub mod projection;
pub mod resection;
pub mod triangulation;

pub use projection::{ProjectedRows, Projection, Projector};
pub use resection::resect;
pub use triangulation::{Triangulated, TriangulationOptions, triangulate};

use nalgebra::{Isometry3, Vector3};
use serde::{Deserialize, Serialize};

/// Index of a camera in a [`Rig`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CameraId(pub u32);

impl CameraId {
    /// The index as a `usize`.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Pinhole parameters, pixels: `u = fx·x + skew·y + cx`, `v = fy·y + cy` for normalised (and distorted) `x, y`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Intrinsics {
    /// Focal length along the image's rows.
    pub fx: f64,
    /// Focal length along the image's columns.
    pub fy: f64,
    /// Principal point.
    pub cx: f64,
    /// Principal point.
    pub cy: f64,
    /// Skew, usually 0.
    pub skew: f64,
}

/// Lens model, in OpenCV's parameters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Distortion {
    /// A perfect pinhole.
    None,
    /// OpenCV's rational model `[k1, k2, p1, p2, k3, k4, k5, k6]`; files with 4 or 5 coefficients leave the rest 0.
    Rational([f64; 8]),
    /// OpenCV's fisheye model (Kannala–Brandt) `[k1, k2, k3, k4]`.
    Fisheye([f64; 4]),
}

/// One camera.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Camera {
    /// Name in the calibration file.
    pub name: String,
    /// Image width and height, pixels.
    pub size: [f64; 2],
    /// Pinhole parameters.
    pub intrinsics: Intrinsics,
    /// Lens model.
    pub distortion: Distortion,
    /// Extrinsics: coordinates in the camera from coordinates in the world.
    pub camera_from_world: Isometry3<f64>,
}

impl Camera {
    /// Position of the optical centre in the world, metres.
    pub fn centre_in_world(&self) -> Vector3<f64> {
        -(self.camera_from_world.rotation.inverse() * self.camera_from_world.translation.vector)
    }

    /// Viewing direction in the world, unit length.
    pub fn axis_in_world(&self) -> Vector3<f64> {
        self.camera_from_world.rotation.inverse() * Vector3::z()
    }
}

/// The cameras of a session, in a fixed order.
pub type Rig = Vec<Camera>;

/// Every camera of a rig prepared for projection, in the same order.
pub fn projectors(rig: &[Camera]) -> Vec<Projector> {
    rig.iter().map(Camera::projector).collect()
}
