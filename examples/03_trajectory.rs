//! A pose as a function of time: somebody who turns twice about the vertical while walking on, asked between the frames.
//!
//! Rotations of the root are kept as rotations, not as angles, so that no turn and no singularity is special.
//!
//!     cargo run --release --example 03_trajectory

use kinefit::fit::default_skeleton;
use kinefit::kinematics::Mechanism;
use kinefit::math::basis::Knots;
use kinefit::skeleton::ScaleGroups;
use kinefit::trajectory::{BSpline, Layout, LocalTrajectory, Rates, Trajectory};
use nalgebra::{Rotation3, Vector3};
use std::f64::consts::TAU;
use std::sync::Arc;

fn main() -> kinefit::Result<()> {
    // With rotors: the three angles of the root and of ball-like joints become one rotation each.
    let skeleton = default_skeleton()?.with_rotors();
    let groups = ScaleGroups::default_for(&skeleton);
    let mechanism = Mechanism::new(skeleton, groups);
    let layout = Arc::new(Layout::new(&mechanism));

    // Two seconds at 60 Hz with a control pose every 1/30 s: a turn per second, 1.2 m/s along x.
    let (frames, rate_hz) = (120, 60.0);
    let forward = mechanism.skeleton().coordinate("pelvis_tx");
    let walk = BSpline::through(layout.clone(), Knots::cubic(frames, rate_hz, 1.0 / 30.0), |t| {
        let mut pose = layout.default_pose();
        if let Some(forward) = forward {
            pose.q[forward.index()] = 1.2 * t;
        }
        if let Some(root) = pose.rotors.first_mut() {
            *root = Rotation3::from_axis_angle(&Vector3::y_axis(), TAU * t);
        }
        pose
    });
    println!("{} control poses for {frames} frames", walk.controls());

    let mut pose = layout.default_pose();
    let mut rates = Rates { velocity: vec![0.0; layout.dofs()], acceleration: vec![0.0; layout.dofs()] };
    for t in [0.25, 0.5125, 1.0, 1.75] {
        walk.pose(t, &mut pose);
        walk.rates(t, &mut rates);
        let x = forward.map_or(0.0, |c| pose.q[c.index()]);
        let heading = pose.rotors.first().map_or(0.0, |r| r.angle().to_degrees());
        let spin = layout.rotors.first().map_or(0.0, |&j| rates.velocity[j + 1]);
        println!("t = {t:.4} s: x = {x:.3} m, turned by {heading:.1}° (shortest way), at {spin:.3} rad/s");
    }
    Ok(())
}
