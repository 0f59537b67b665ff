//! All observations of a frame at once, those of one camera side by side: [`reprojection`](super::reprojection)'s cost, gradient and information in the markers' positions, at several times
//! the speed of one after the other.

use super::Curvature;
use super::reprojection::{Observation, UNSEEN};
use crate::camera::Projector;
use crate::math::lanes::{Row, TILE};
use crate::math::robust::RobustLoss;
use nalgebra::{Matrix3, Vector3};
use pulp::{Simd, WithSimd};

/// Observations of a frame, with what they say of the markers' positions. Memory is kept from frame to frame.
#[derive(Debug, Clone, Default)]
pub struct Views {
    cameras: Vec<OfCamera>,
    /// Camera and place in it of each observation.
    places: Vec<(u16, u32)>,
}

#[derive(Debug, Clone, Default)]
struct OfCamera {
    count: usize,
    tiles: Vec<Tile>,
    sums: Sums,
}

/// What the observations of one camera come to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sums {
    /// Their cost.
    pub cost: f64,
    /// The sum of their gradients, world.
    pub force: Vector3<f64>,
    /// Its moment about the world's origin: the sum of `p × gradient`.
    pub moment: Vector3<f64>,
}

/// As many observations of one camera as a row has places.
#[derive(Debug, Clone)]
struct Tile {
    slot: [u32; TILE],
    point: [Row<f64>; 3],
    pixel: [Row<f64>; 2],
    weight: Row<f64>,
    precision: Row<f64>,
    log_precision: Row<f64>,
    cost: Row<f64>,
    gradient: [Row<f64>; 3],
    /// 00, 01, 02, 11, 12, 22.
    information: [Row<f64>; 6],
}

impl Tile {
    const EMPTY: Self = {
        let row = Row([0.0; TILE]);
        Self {
            slot: [0; TILE],
            point: [row; 3],
            pixel: [row; 2],
            weight: row,
            precision: row,
            log_precision: row,
            cost: row,
            gradient: [row; 3],
            information: [row; 6],
        }
    };
}

impl Views {
    /// Forgets what was there.
    pub fn clear(&mut self) {
        self.places.clear();
        self.cameras.iter_mut().for_each(|camera| (camera.count, camera.sums) = (0, Sums::default()));
    }

    /// One more observation of a marker at `point` (world, metres), with the noise's precision `1/σ²` and its logarithm.
    pub fn push(&mut self, observation: &Observation, point: &Vector3<f64>, (precision, log_precision): (f64, f64)) {
        let index = usize::from(observation.camera);
        if index >= self.cameras.len() {
            self.cameras.resize_with(index + 1, OfCamera::default);
        }
        let camera = &mut self.cameras[index];
        let (tile, i) = (camera.count / TILE, camera.count % TILE);
        if tile == camera.tiles.len() {
            camera.tiles.push(Tile::EMPTY);
        }
        let to = &mut camera.tiles[tile];
        to.slot[i] = observation.slot;
        for k in 0..3 {
            to.point[k].0[i] = point[k];
        }
        for k in 0..2 {
            to.pixel[k].0[i] = observation.pixel[k];
        }
        to.weight.0[i] = observation.weight;
        to.precision.0[i] = precision;
        to.log_precision.0[i] = log_precision;
        self.places.push((observation.camera, camera.count as u32));
        camera.count += 1;
    }

    /// Evaluates all of them: cost and gradient, and with a `curvature` the information too.
    pub fn evaluate(&mut self, cameras: &[Projector], loss: RobustLoss, curvature: Option<Curvature>) {
        debug_assert!(self.cameras.len() <= cameras.len(), "observations of cameras that are not there");
        pulp::Arch::new().dispatch(Evaluation { views: &mut self.cameras, cameras, loss, curvature });
    }

    /// What each camera's come to; of cameras that were heard of.
    pub fn sums(&self) -> impl Iterator<Item = &Sums> {
        self.cameras.iter().map(|camera| &camera.sums)
    }

    /// Adds each observation's gradient to its marker's, by slot.
    pub fn add_gradients(&self, by_slot: &mut [Vector3<f64>]) {
        for camera in &self.cameras {
            for (tile, first) in camera.tiles.iter().zip((0..camera.count).step_by(TILE)) {
                let [x, y, z] = &tile.gradient;
                for i in 0..(camera.count - first).min(TILE) {
                    by_slot[tile.slot[i] as usize] += Vector3::new(x.0[i], y.0[i], z.0[i]);
                }
            }
        }
    }

    #[inline]
    fn at(&self, index: usize) -> (&Tile, usize) {
        let (camera, place) = self.places[index];
        (&self.cameras[usize::from(camera)].tiles[place as usize / TILE], place as usize % TILE)
    }

    /// Cost of the observation that was the `index`-th to come, and its gradient; 0 where the marker has no projection.
    #[inline]
    pub fn gradient(&self, index: usize) -> (f64, Vector3<f64>) {
        let (tile, i) = self.at(index);
        (tile.cost.0[i], Vector3::from_fn(|k, _| tile.gradient[k].0[i]))
    }

    /// Its information; 0 where the marker has no projection.
    #[inline]
    pub fn information(&self, index: usize) -> Matrix3<f64> {
        let (tile, i) = self.at(index);
        let [a, b, c, d, e, f] = [0, 1, 2, 3, 4, 5].map(|k| tile.information[k].0[i]);
        Matrix3::new(a, b, c, b, d, e, c, e, f)
    }
}

/// What the processor's widest registers are chosen for.
struct Evaluation<'a> {
    views: &'a mut [OfCamera],
    cameras: &'a [Projector],
    loss: RobustLoss,
    curvature: Option<Curvature>,
}

impl WithSimd for Evaluation<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (views, camera) in self.views.iter_mut().zip(self.cameras) {
            let tiles = views.count.div_ceil(TILE);
            let mut sums = [Row::filled(0.0); 7];
            for (t, tile) in views.tiles[..tiles].iter_mut().enumerate() {
                tile.pad((views.count - t * TILE).min(TILE));
                tile.evaluate(camera, self.loss, self.curvature);
                tile.add_to(&mut sums);
            }
            let [cost, force @ .., mx, my, mz] = sums.map(|row| row.0.iter().sum::<f64>());
            views.sums = Sums { cost, force: force.into(), moment: Vector3::new(mx, my, mz) };
        }
    }
}

impl Tile {
    /// Fills the places from `count` on with what weighs nothing.
    #[inline(always)]
    fn pad(&mut self, count: usize) {
        for i in count..TILE {
            self.weight.0[i] = 0.0;
            let rows = self.point.iter_mut().chain(&mut self.pixel);
            rows.chain([&mut self.precision, &mut self.log_precision]).for_each(|row| row.0[i] = row.0[0]);
        }
    }

    /// Adds cost, gradients and their moments, place by place.
    #[inline(always)]
    fn add_to(&self, sums: &mut [Row<f64>; 7]) {
        let ([x, y, z], [gx, gy, gz]) = (&self.point, &self.gradient);
        for i in 0..TILE {
            sums[0].0[i] += self.cost.0[i];
            sums[1].0[i] += gx.0[i];
            sums[2].0[i] += gy.0[i];
            sums[3].0[i] += gz.0[i];
            sums[4].0[i] += y.0[i] * gz.0[i] - z.0[i] * gy.0[i];
            sums[5].0[i] += z.0[i] * gx.0[i] - x.0[i] * gz.0[i];
            sums[6].0[i] += x.0[i] * gy.0[i] - y.0[i] * gx.0[i];
        }
    }

    #[inline(always)]
    fn evaluate(&mut self, camera: &Projector, loss: RobustLoss, curvature: Option<Curvature>) {
        let projected = camera.project_rows(&self.point);
        let (d, seen) = (&projected.derivative, &projected.seen);
        let mut squared = Row::filled(0.0);
        let mut e = [Row::filled(0.0); 2];
        for i in 0..TILE {
            e[0].0[i] = projected.pixel[0].0[i] - self.pixel[0].0[i];
            e[1].0[i] = projected.pixel[1].0[i] - self.pixel[1].0[i];
            let s = (e[0].0[i] * e[0].0[i] + e[1].0[i] * e[1].0[i]) * self.precision.0[i];
            squared.0[i] = if seen.0[i] > 0.0 { s } else { UNSEEN * UNSEEN };
        }
        let [rho, slope, mean] = loss.expand_rows::<2>(&squared);
        for i in 0..TILE {
            self.cost.0[i] = self.weight.0[i] * (0.5 * rho.0[i] - self.log_precision.0[i]);
            let k = self.weight.0[i] * self.precision.0[i] * slope.0[i];
            let (u, v) = (e[0].0[i] * k, e[1].0[i] * k);
            for c in 0..3 {
                let g = d[c].0[i] * u + d[3 + c].0[i] * v;
                self.gradient[c].0[i] = if seen.0[i] > 0.0 { g } else { 0.0 };
            }
        }
        let Some(curvature) = curvature else { return };
        for i in 0..TILE {
            let k = self.weight.0[i] * self.precision.0[i] * curvature.of(slope.0[i], mean.0[i]);
            let [u, v] = [0, 3].map(|r| [d[r].0[i], d[r + 1].0[i], d[r + 2].0[i]]);
            for (to, (a, b)) in self.information.iter_mut().zip([(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]) {
                let information = k * (u[a] * u[b] + v[a] * v[b]);
                to.0[i] = if seen.0[i] > 0.0 { information } else { 0.0 };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::{Camera, Distortion, Intrinsics};
    use crate::residual::reprojection;
    use nalgebra::{Isometry3, UnitQuaternion};
    use rand::{Rng, SeedableRng};

    /// Of three cameras, one of which nothing is seen by, in any order, some behind their camera: what each says alone.
    #[test]
    fn a_frame_at_once_is_its_observations_alone() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let lenses = [
            Distortion::None,
            Distortion::Rational([-0.28, 0.09, 1e-3, -5e-4, -0.012, 0.0, 0.0, 0.0]),
            Distortion::Fisheye([0.02, -0.01, 0.003, -0.001]),
        ];
        let cameras: Vec<Projector> = lenses
            .iter()
            .map(|&distortion| {
                let turn = UnitQuaternion::from_scaled_axis(Vector3::from_fn(|_, _| rng.random_range(-0.3..0.3)));
                Projector::new(&Camera {
                    name: "c".into(),
                    size: [1920.0, 1080.0],
                    intrinsics: Intrinsics { fx: 1100.0, fy: 1105.0, cx: 960.0, cy: 540.0, skew: 0.4 },
                    distortion,
                    camera_from_world: Isometry3::from_parts(Vector3::new(0.1, -0.2, 3.0).into(), turn),
                })
            })
            .collect();
        let mut views = Views::default();
        for (round, loss) in [RobustLoss::Contaminated { dof: 6.0, kappa: 1e-4 }, RobustLoss::Huber { delta: 2.0 }]
            .into_iter()
            .enumerate()
        {
            views.clear();
            let mut alone = Vec::new();
            for slot in 0..70 - 40 * round as u32 {
                let point =
                    Vector3::from_fn(|_, _| rng.random_range(-1.0..1.0)) * if slot % 9 == 0 { 12.0 } else { 1.0 };
                for camera in [2, 0] {
                    let near = cameras[camera].project(&point).map_or([0.0; 2], Into::into);
                    let observation = Observation {
                        slot,
                        camera: camera as u16,
                        keypoint: 0,
                        pixel: near.map(|x: f64| x + rng.random_range(-30.0..30.0)),
                        weight: rng.random_range(0.1..1.0),
                    };
                    let precision = rng.random_range(0.05..0.3);
                    alone.push((observation, point, (precision, f64::ln(precision))));
                }
            }
            alone.iter().for_each(|(o, p, precision)| views.push(o, p, *precision));
            let curvature = Curvature::Mean(0.7);
            views.evaluate(&cameras, loss, Some(curvature));
            let mut unseen = 0;
            let (mut by_slot, mut sums) = (vec![Vector3::zeros(); 70], [Sums::default(); 3]);
            views.add_gradients(&mut by_slot);
            for (i, (o, p, precision)) in alone.iter().enumerate() {
                let camera = &cameras[usize::from(o.camera)];
                let (cost, gradient) = views.gradient(i);
                let expected = reprojection::cost(o, camera, p, *precision, loss).0;
                assert!((cost - expected).abs() < 1e-11 * (1.0 + expected.abs()), "{cost} {expected}");
                let Some(m) = reprojection::linearise(o, camera, p, *precision, loss, curvature) else {
                    assert!(gradient == Vector3::zeros() && views.information(i) == Matrix3::zeros());
                    unseen += 1;
                    continue;
                };
                assert!(
                    (gradient - m.gradient).norm() < 1e-10 * (1.0 + m.gradient.norm()),
                    "{gradient} {}",
                    m.gradient
                );
                let difference = (views.information(i) - m.information).norm();
                assert!(difference < 1e-10 * (1.0 + m.information.norm()), "{difference}");
                by_slot[o.slot as usize] -= gradient;
            }
            for (i, (o, p, _)) in alone.iter().enumerate() {
                let (to, (cost, gradient)) = (&mut sums[usize::from(o.camera)], views.gradient(i));
                to.cost += cost;
                to.force += gradient;
                to.moment += p.cross(&gradient);
            }
            // Sums of seventy numbers in another order.
            for (found, expected) in views.sums().zip(&sums) {
                let size = expected.force.norm() + expected.moment.norm() + expected.cost.abs() + 1.0;
                assert!((found.cost - expected.cost).abs() < 1e-11 * size);
                assert!((found.force - expected.force).norm() + (found.moment - expected.moment).norm() < 1e-11 * size);
            }
            assert!(by_slot.iter().all(|rest| rest.norm() < 1e-9));
            assert!(unseen > 0, "round {round}");
        }
    }
}
