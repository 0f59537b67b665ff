//! A fit as the plain data that [`crate::quality::evaluate`] compares with a truth.

use super::SessionFit;
use crate::quality::{FittedCoordinate, FittedData, FittedOffset, FittedRotor, FittedTrial};

impl SessionFit {
    /// Everything that has a truth, by name.
    pub fn fitted_data(&self) -> FittedData {
        let skeleton = &self.skeleton;
        let deviations = self.trials.iter().any(|t| t.q_sd.iter().flatten().any(Option::is_some));
        FittedData {
            coordinates: FittedCoordinate::of_model(skeleton),
            rotors: FittedRotor::of_model(skeleton),
            markers: skeleton.markers.iter().map(|m| m.name.clone()).collect(),
            scales: skeleton
                .bodies
                .iter()
                .zip(&self.scales.0)
                .skip(1)
                .map(|(body, factors)| (body.name.clone(), *factors))
                .collect(),
            group_factors: self.scale_groups.iter().map(|g| (g.group.clone(), [g.factor, g.sd])).collect(),
            offsets: self
                .offset_fits
                .iter()
                .map(|o| {
                    let sd = deviations.then(|| o.sd.into());
                    (o.name.clone(), FittedOffset { value: o.offset.into(), sd })
                })
                .collect(),
            rig: self.rig.clone(),
            ground_from_world: self.ground_from_world,
            trials: self
                .trials
                .iter()
                .filter(|t| !t.left_out())
                .map(|t| FittedTrial {
                    name: t.name.clone(),
                    first_frame: t.first_frame,
                    q: t.q.clone(),
                    q_sd: t.q_sd.clone(),
                    markers: t.markers.clone(),
                })
                .collect(),
        }
    }
}
