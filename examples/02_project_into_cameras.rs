//! Where does a camera see a point, how does the pixel move with it, and where was the point, from two pixels?
//!
//!     cargo run --release --example 02_project_into_cameras

use kinefit::camera::{Camera, CameraId, Distortion, Intrinsics, TriangulationOptions, triangulate};
use nalgebra::{Isometry3, Point3, Rotation3, Translation3, UnitQuaternion, Vector3};
use std::f64::consts::PI;

/// A Full-HD camera at `centre` that looks at `target`; the world's z points up.
fn camera(name: &str, centre: Vector3<f64>, target: Vector3<f64>) -> Camera {
    // `look_at_rh` has y up and looks along −z; camera axes are x right, y down, z forward.
    let view = Isometry3::look_at_rh(&Point3::from(centre), &Point3::from(target), &Vector3::z());
    let turned = Rotation3::from_axis_angle(&Vector3::x_axis(), PI);
    let camera_from_world = Isometry3::from_parts(Translation3::identity(), UnitQuaternion::from(turned)) * view;
    Camera {
        name: name.into(),
        size: [1920.0, 1080.0],
        intrinsics: Intrinsics { fx: 1500.0, fy: 1500.0, cx: 960.0, cy: 540.0, skew: 0.0 },
        distortion: Distortion::Rational([-0.12, 0.05, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
        camera_from_world,
    }
}

fn main() {
    let knee_in_world = Vector3::new(0.3, 0.1, 0.5);
    let chest = Vector3::new(0.0, 0.0, 1.0);
    let rig =
        [camera("left", Vector3::new(4.0, -2.0, 1.5), chest), camera("right", Vector3::new(4.0, 2.0, 1.5), chest)];

    let mut seen = Vec::new();
    for (id, camera) in (0..).map(CameraId).zip(&rig) {
        // `None` for a point behind the camera.
        let Some(projection) = camera.project_with_derivatives(&knee_in_world) else { continue };
        let pixel = projection.pixel;
        println!("{:>5}: pixel ({:.1}, {:.1})", camera.name, pixel.x, pixel.y);
        let up = projection.d_pixel_d_point * Vector3::new(0.0, 0.0, 0.01); // 2×3
        println!("       1 cm further up moves it by ({:+.2}, {:+.2}) px", up.x, up.y);
        seen.push((id, [pixel.x, pixel.y, 1.0]));
    }

    let projectors = rig.each_ref().map(Camera::projector);
    if let Some(found) = triangulate(&projectors, &seen, &TriangulationOptions::default()) {
        println!("triangulated again: off by {:.1e} m", (found.point - knee_in_world).norm());
    }
}
