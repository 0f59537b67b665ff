//! Where is the foot when the knee bends? Forward kinematics of the built-in body.
//!
//!     cargo run --release --example 01_forward_kinematics

use kinefit::fit::default_skeleton;
use kinefit::kinematics::{Frame, forward};
use kinefit::skeleton::{Offsets, Scales, Skeleton};

/// A position in the model's ground frame, metres: x forward, y up, z to the right.
type Point = nalgebra::Vector3<f64>;

fn heel(skeleton: &Skeleton, knee_deg: f64) -> Option<Point> {
    // One value per coordinate, in the model's order; radians and metres.
    let mut q: Vec<f64> = skeleton.coordinates.iter().map(|c| c.default).collect();
    q[skeleton.coordinate("knee_angle_r")?.index()] = knee_deg.to_radians();
    skeleton.resolve_couplings(&mut q);

    // An unscaled body with its markers where the model has them. `frame` may be reused for the next pose.
    let (scales, offsets) = (Scales::ones(skeleton), Offsets::zeros(skeleton));
    let mut frame = Frame::new(skeleton);
    forward(skeleton, &scales, &offsets, &q, &skeleton.rotor_rotations(&q), &mut frame);
    Some(frame.markers[skeleton.marker("RHeel")?.index()])
}

fn main() -> kinefit::Result<()> {
    let skeleton = default_skeleton()?;
    println!("{}: {} bodies, {} coordinates", skeleton.name, skeleton.bodies.len(), skeleton.coordinates.len());
    for knee_deg in [0.0, 30.0, 60.0, 90.0] {
        if let Some(p) = heel(&skeleton, knee_deg) {
            println!("knee {knee_deg:>2}°: right heel at x {:+.3}  y {:+.3}  z {:+.3} m", p.x, p.y, p.z);
        }
    }
    Ok(())
}
