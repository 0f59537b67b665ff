//! Descend to a pose from pixels with burn's own gradients, through the body and the cameras.
//!
//!     cargo run --release --features learn --example 09_burn_operations
//!
//! `markers` and `pixels` are operations like any of burn's: in the place of the free pose here any network may stand.

use burn::tensor::{Device, Tensor, TensorData};
use kinefit::camera::autodiff::{Cameras, pixels};
use kinefit::fit::default_skeleton;
use kinefit::kinematics::{Mechanism, autodiff::markers};
use kinefit::skeleton::ScaleGroups;
use kinefit::synthetic::ring;
use nalgebra::{UnitQuaternion, Vector3};
use std::f64::consts::FRAC_PI_2;
use std::sync::Arc;

/// The knee and the elbow somebody has, degrees.
const TRUTH: [(&str, f32); 2] = [("knee_angle_r", 50.0), ("elbow_flex_l", 80.0)];

fn main() -> kinefit::Result<()> {
    let skeleton = default_skeleton()?;
    let groups = ScaleGroups::default_for(&skeleton);
    let mechanism = Arc::new(Mechanism::new(skeleton, groups));
    let skeleton = mechanism.skeleton();

    // Four cameras whose world has z up, brought into the model's ground, which has y up.
    let mut rig = ring(4, 1);
    rig.iter_mut().for_each(|c| c.camera_from_world *= UnitQuaternion::from_axis_angle(&Vector3::x_axis(), FRAC_PI_2));
    let cameras = Arc::new(Cameras::new(&rig, Vector3::zeros()));

    // Constants need no autodiff device. One frame; the body is not scaled, the cameras stand where their calibration says.
    let (n, device) = (skeleton.coordinates.len(), Device::flex());
    let project = |q: Tensor<2>| {
        let scales = Tensor::zeros([mechanism.groups().groups.len()], &device);
        let (rotors, offsets) = (Tensor::zeros([1, 0], &device), Tensor::zeros([skeleton.markers.len(), 3], &device));
        let points = markers(&mechanism, q, rotors, scales, offsets)?;
        pixels(&cameras, Tensor::zeros([cameras.len(), 6], &device), points)
    };

    // What the cameras saw of the true pose.
    let named = |(name, degrees): &(&str, f32)| Some((skeleton.coordinate(name)?.index(), degrees.to_radians()));
    let start: Vec<f32> = skeleton.coordinates.iter().map(|c| c.default as f32).collect();
    let mut truth = start.clone();
    TRUTH.iter().filter_map(named).for_each(|(i, angle)| truth[i] = angle);
    let row = |values: &[f32]| Tensor::<2>::from_data(TensorData::new(values.to_vec(), [1, n]), &device);
    let target = project(row(&truth))?;

    // Adam, written out.
    let mut q = row(&start);
    let (mut mean, mut square) = (q.zeros_like(), q.zeros_like());
    for step in 0..=1200 {
        let free = q.clone().autodiff().require_grad();
        let seen = project(free.clone())?;
        let hidden =
            (seen.visible & target.visible.clone()).bool_not().unsqueeze_dim::<4>(3).expand(seen.pixels.dims());
        let error = (seen.pixels - target.pixels.clone()).mask_fill(hidden, 0.0);
        let loss = error.powi_scalar(2).mean();
        if step % 300 == 0 {
            let rms = loss.clone().sqrt().into_scalar::<f32>();
            println!("step {step:>4}: {rms:8.3} px rms");
        }
        let Some(gradient) = free.grad(&loss.backward()) else { break };
        mean = mean * 0.9 + gradient.clone() * 0.1;
        square = square * 0.99 + gradient.powi_scalar(2) * 0.01;
        let rate = 0.05 * 0.995f32.powi(step);
        q = q - mean.clone() * rate / (square.clone().sqrt() + 1e-8);
    }

    let found: Vec<f32> = q.into_data().iter::<f32>().collect();
    for (i, angle) in TRUTH.iter().filter_map(named) {
        let name = &skeleton.coordinates[i].name;
        println!("{name}: {:.1}°, truly {:.1}°", found[i].to_degrees(), angle.to_degrees());
    }
    Ok(())
}
