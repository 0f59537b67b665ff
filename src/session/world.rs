//! Whether the calibration's world and the model's ground call the same direction up.

use crate::camera::{Camera, Rig};
use crate::skeleton::UpAxis;
use nalgebra::{Isometry3, Matrix3, Rotation3};

/// Rotation taking a session's world to the model's ground: verticals onto each other. Z-up to Y-up is the cyclic exchange that Pose2Sim and OpenSim
/// users know: ground `(x, y, z)` = world `(y, z, x)`.
pub fn ground_from_world(z_up: bool, up: UpAxis) -> Rotation3<f64> {
    let cyclic = Matrix3::new(0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0);
    match (z_up, up) {
        (true, UpAxis::Y) => Rotation3::from_matrix_unchecked(cyclic),
        (false, UpAxis::Z) => Rotation3::from_matrix_unchecked(cyclic.transpose()),
        _ => Rotation3::identity(),
    }
}

/// Cameras in the model's ground frame.
pub fn rig_in_ground(rig: &Rig, ground_from_world: &Rotation3<f64>) -> Rig {
    let world_from_ground = Isometry3::from_parts(Default::default(), ground_from_world.inverse().into());
    rig.iter().map(|c| Camera { camera_from_world: c.camera_from_world * world_from_ground, ..c.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::Vector3;

    #[test]
    fn verticals_go_onto_each_other() {
        for (z_up, up, vertical) in
            [(true, UpAxis::Y, Vector3::y()), (false, UpAxis::Z, Vector3::z()), (true, UpAxis::Z, Vector3::z())]
        {
            let world = if z_up { Vector3::z() } else { Vector3::y() };
            assert_eq!(ground_from_world(z_up, up) * world, vertical);
        }
    }
}
