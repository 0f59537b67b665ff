//! MuJoCo's `qpos`: one number per hinge and slide, three and a quaternion (w x y z) per free joint, a quaternion per ball.

use crate::skeleton::{ModelSource, Skeleton};
use crate::{Error, Result};
use nalgebra::{Quaternion, UnitQuaternion};

impl Skeleton {
    /// Coordinates (one per coordinate, file order) from MuJoCo's `qpos` of a model that came as MJCF. Quaternions are normalised; dependent coordinates are as given. `label` is the
    /// place that errors name.
    ///
    /// # Errors
    /// Another number of values than the model has, values that are no numbers, a quaternion that is zero, and a model that is not MuJoCo's.
    pub fn coordinates_from_qpos(&self, label: &str, qpos: &[f64]) -> Result<Vec<f64>> {
        if !matches!(self.source, ModelSource::Mjcf { .. }) {
            let problem = format_args!("`qpos` is MuJoCo's, and the model `{}` did not come as MJCF", self.name);
            return Err(Error::input(label, problem, "give \"q\": { \"<coordinate>\": <number>, ... }"));
        }
        // A rotor's three angles are four numbers of a quaternion.
        let wanted = self.coordinates.len() + self.rotors.len();
        if qpos.len() != wanted {
            let problem = format_args!("it has {} numbers, and the model `{}` has {wanted}", qpos.len(), self.name);
            return Err(Error::input(label, problem, "give one per hinge and slide, 7 per free joint, 4 per ball"));
        }
        if let Some(value) = qpos.iter().find(|v| !v.is_finite()) {
            return Err(Error::input(label, format_args!("the value is {value}"), "give finite numbers"));
        }
        let mut q = Vec::with_capacity(self.coordinates.len());
        let mut rest = qpos.iter().copied();
        let mut next = || rest.next().unwrap_or(0.0);
        while q.len() < self.coordinates.len() {
            let Some(rotor) = self.rotors.iter().find(|r| r.coordinates[0].index() == q.len()) else {
                q.push(next());
                continue;
            };
            let quat_wxyz = Quaternion::new(next(), next(), next(), next());
            let Some(rotation) = UnitQuaternion::try_new(quat_wxyz, 1e-12) else {
                let joint = &self.coordinates[q.len()].joint;
                let problem = format_args!("the quaternion of joint `{joint}` is zero");
                return Err(Error::input(label, problem, "give w x y z; 1 0 0 0 turns nothing"));
            };
            q.extend(rotor.angles_from_rotation(&rotation.to_rotation_matrix(), [0.0; 3]).0);
        }
        Ok(q)
    }
}
