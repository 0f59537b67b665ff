//! Projection into cameras as an operation of burn's, with its own backward pass.
//!
//! The extrinsics are the six numbers by which each camera is moved from its calibration, so that zero is a place to start from:
//!
//! ```text
//! world_from_camera = exp([ω; v]) · calibrated,     rotations about `origin`             (`se3::retract_about`)
//!
//! f = (∂pixel/∂p)ᵀ·g            y = p − origin − v
//! ∂/∂p = f     ∂/∂v = −f     ∂/∂ω = −J(ω)ᵀ·(y × f)                                       J: `so3::left_jacobian`
//! ```
//!
//! since moving a camera is moving all it sees the other way: it sees `exp(−ω)·y + origin` where its calibration would, and `exp(−(ω + δ))·y ≈ exp(−ω)·(y + y × J(ω)·δ)`. At
//! `ω = 0` the Jacobian is the identity, and elsewhere it is what makes `ω` a vector of numbers that any optimiser may step in.

use super::{Camera, Projector};
use crate::Result;
use crate::math::tensor::{Arguments, PullBack, chunks, numbers, record, tensor};
use crate::math::{se3, so3};
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Bool, Tensor, TensorData};
use nalgebra::{Isometry3, Vector2, Vector3, Vector6};
use rayon::prelude::*;
use std::sync::Arc;

/// Calibrated cameras, prepared for [`pixels`].
#[derive(Debug, Clone, PartialEq)]
pub struct Cameras {
    projectors: Vec<Projector>,
    /// As calibrated.
    world_from_camera: Vec<Isometry3<f64>>,
    /// The point in the world about which extrinsics turn cameras.
    origin: Vector3<f64>,
}

impl Cameras {
    /// Prepares the cameras of a rig. `origin`, metres in the world, is the point that extrinsics turn them about: with the middle of what they see, rotations and translations are of a like size.
    pub fn new(rig: &[Camera], origin: Vector3<f64>) -> Self {
        Self {
            projectors: super::projectors(rig),
            world_from_camera: rig.iter().map(|c| c.camera_from_world.inverse()).collect(),
            origin,
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.projectors.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.projectors.is_empty()
    }

    /// The cameras moved by the rows of `extrinsics`.
    fn moved(&self, extrinsics: &[f64]) -> Vec<Projector> {
        let moved = |((projector, calibrated), row): ((&Projector, _), &[f64])| {
            let world_from_camera = se3::retract_about(calibrated, &Vector6::from_column_slice(row), &self.origin);
            projector.with_extrinsics(&world_from_camera.inverse())
        };
        self.projectors.iter().zip(&self.world_from_camera).zip(extrinsics.chunks_exact(6)).map(moved).collect()
    }
}

/// What [`pixels`] gives.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `[batch, cameras, markers, 2]`, pixels of the distorted images.
    pub pixels: Tensor<4>,
    /// `[batch, cameras, markers]`: whether the camera's model has a pixel for the point. Where not, the pixel is (0, 0) and has no gradient.
    pub visible: Tensor<3, Bool>,
}

/// Where points appear; in the points' type of number.
///
/// | argument | shape | |
/// |---|---|---|
/// | `extrinsics` | `[cameras, 6]` | `[ω; v]`, rad and m, by which each camera is moved from its calibration: see the [module](self) |
/// | `points` | `[batch, markers, 3]` | metres, world |
///
/// A point behind a camera, beyond its lens model, or not a number, has no pixel: it is not visible, and nothing of it reaches a gradient. A point outside the image has one.
///
/// Any argument may do without gradient; none needs to be on an autodiff device. With types mixed, each gradient is of its argument's. The backward pass has no derivative of its own: burn
/// differentiates through the operation once, not twice. Only the Flex backend (the processor) runs it.
///
/// # Errors
/// An argument of another shape, of numbers other than `f32` and `f64`, on another device than Flex, or of another strategy of gradient checkpointing than the other.
pub fn pixels(cameras: &Arc<Cameras>, extrinsics: Tensor<2>, points: Tensor<3>) -> Result<Seen> {
    let [batch, markers, _] = points.dims();
    let mut arguments = Arguments::of("pixels");
    arguments.check("extrinsics", &extrinsics, [cameras.len(), 6], "[cameras, 6]")?;
    arguments.check("points", &points, [batch, markers, 3], "[batch, markers, 3]")?;
    let operation = Arc::new(Pixels { cameras: cameras.clone(), batch, markers });
    let (pixels, visible) = Dispatch::pixels(extrinsics.into_dispatch(), points.into_dispatch(), operation);
    Ok(Seen { pixels: Tensor::from_dispatch(pixels), visible: Tensor::from_dispatch(visible) })
}

/// The operation as a backend has it; [`pixels`] checks the arguments first.
#[backend_extension(Autodiff, Flex)]
trait PixelsBackend: Backend {
    fn pixels(
        extrinsics: FloatTensor<Self>,
        points: FloatTensor<Self>,
        operation: Arc<Pixels>,
    ) -> (FloatTensor<Self>, BoolTensor<Self>);
}

impl PixelsBackend for Flex {
    fn pixels(
        extrinsics: FloatTensor<Self>,
        points: FloatTensor<Self>,
        operation: Arc<Pixels>,
    ) -> (FloatTensor<Self>, BoolTensor<Self>) {
        let shape = [operation.batch, operation.cameras.len(), operation.markers];
        let (pixels, visible) = operation.images(&numbers(&extrinsics), &numbers(&points));
        let visible = BoolTensor::<Self>::from_data(TensorData::new(visible, shape));
        (tensor(pixels, &[shape[0], shape[1], shape[2], 2], points.dtype()), visible)
    }
}

impl<C: CheckpointStrategy> PixelsBackend for Autodiff<Flex, C> {
    fn pixels(
        extrinsics: FloatTensor<Self>,
        points: FloatTensor<Self>,
        operation: Arc<Pixels>,
    ) -> (FloatTensor<Self>, BoolTensor<Self>) {
        let inputs = [extrinsics, points];
        let [extrinsics, points] = inputs.each_ref().map(|input| input.primitive().clone());
        let (pixels, visible) = Flex::pixels(extrinsics, points, operation.clone());
        (record::<C, _, 2>(operation, inputs, pixels), visible)
    }
}

/// The operation's constants.
#[derive(Debug)]
struct Pixels {
    cameras: Arc<Cameras>,
    batch: usize,
    markers: usize,
}

impl Pixels {
    /// Points of a frame.
    fn frame<'a>(&self, points: &'a [f64], t: usize) -> impl Iterator<Item = Vector3<f64>> + use<'a> {
        let rows = &points[3 * self.markers * t..3 * self.markers * (t + 1)];
        rows.chunks_exact(3).map(Vector3::from_column_slice)
    }

    /// Pixels, and whether there are any, for `[batch, cameras, markers]`.
    fn images(&self, extrinsics: &[f64], points: &[f64]) -> (Vec<f64>, Vec<bool>) {
        let moved = self.cameras.moved(extrinsics);
        let parts: Vec<(Vec<f64>, Vec<bool>)> = chunks(self.batch)
            .map(|frames| {
                let count = frames.len() * moved.len() * self.markers;
                let (mut pixels, mut visible) = (Vec::with_capacity(2 * count), Vec::with_capacity(count));
                for t in frames {
                    for projector in &moved {
                        for p in self.frame(points, t) {
                            let seen = projector.project(&p).filter(fits);
                            let pixel = seen.unwrap_or_default();
                            pixels.extend([pixel.x, pixel.y]);
                            visible.push(seen.is_some());
                        }
                    }
                }
                (pixels, visible)
            })
            .collect();
        let (pixels, visible): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        (pixels.concat(), visible.concat())
    }
}

/// Whether a pixel is a number in single precision, too.
fn fits(pixel: &Vector2<f64>) -> bool {
    pixel.amax() <= f64::from(f32::MAX)
}

impl PullBack<2> for Pixels {
    fn pull_back(&self, [extrinsics, points]: &[Vec<f64>; 2], output: &[f64]) -> [Vec<f64>; 2] {
        let Cameras { origin, .. } = *self.cameras;
        let moved = self.cameras.moved(extrinsics);
        let twists: Vec<_> = extrinsics.chunks_exact(6).map(Vector6::from_column_slice).collect();
        // Gradients in the chunk's points; torque and force on each camera's points.
        let parts: Vec<(Vec<f64>, Vec<Vector6<f64>>)> = chunks(self.batch)
            .map(|frames| {
                let mut by_points = vec![Vector3::zeros(); frames.len() * self.markers];
                let mut wrenches = vec![Vector6::zeros(); moved.len()];
                for (i, t) in frames.enumerate() {
                    for (c, projector) in moved.iter().enumerate() {
                        let first = 2 * self.markers * (t * moved.len() + c);
                        let pivot = origin + twists[c].fixed_rows::<3>(3);
                        let own = &mut by_points[i * self.markers..(i + 1) * self.markers];
                        let rows = output[first..].chunks_exact(2);
                        for ((p, g), sum) in self.frame(points, t).zip(rows).zip(own) {
                            if g == [0.0, 0.0] {
                                continue;
                            }
                            let seen = projector.project_with_point_derivative(&p).filter(|(pixel, _)| fits(pixel));
                            if let Some((_, d)) = seen {
                                let force = d.tr_mul(&Vector2::new(g[0], g[1]));
                                *sum += force;
                                wrenches[c] += se3::wrench(&(p - pivot), &force);
                            }
                        }
                    }
                }
                (by_points.iter().flat_map(|g| g.iter().copied()).collect(), wrenches)
            })
            .collect();
        let (by_points, of_chunks): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let mut wrenches = vec![Vector6::zeros(); moved.len()];
        for part in of_chunks {
            wrenches.iter_mut().zip(part).for_each(|(sum, wrench)| *sum += wrench);
        }
        let by_extrinsics = twists.iter().zip(&wrenches).flat_map(|(twist, wrench)| {
            let jacobian = so3::left_jacobian(&twist.fixed_rows::<3>(0).into_owned());
            let turning = -jacobian.tr_mul(&wrench.fixed_rows::<3>(0));
            [turning.x, turning.y, turning.z, -wrench[3], -wrench[4], -wrench[5]]
        });
        [by_extrinsics.collect(), by_points.concat()]
    }
}

#[cfg(test)]
mod tests;
