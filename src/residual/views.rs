//! All observations of a frame at once, those of one camera side by side: [`reprojection`](super::reprojection)'s cost, gradient and information in the markers' positions, at several times
//! the speed of one after the other.

use super::Curvature;
use super::reprojection::UNSEEN;
use super::sightings::Sightings;
use crate::camera::{ProjectedRows, Projector};
use crate::math::lanes::{Row, TILE, Wide, registers};
use crate::math::robust::RobustLoss;
use nalgebra::{Matrix3, Vector3};
use pulp::{Simd, WithSimd};

/// What is seen in a frame, and by what it is judged.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// What cameras saw.
    pub sightings: &'a Sightings,
    /// When.
    pub frame: usize,
    /// Where the markers are, by slot; world, metres.
    pub points: &'a [Vector3<f64>],
    /// All cameras.
    pub cameras: &'a [Projector],
    /// `1/σ²` of the noise and its logarithm, 1/px²: by [`Sightings::by_place`].
    pub precision: &'a [[Row<f64>; 2]],
    /// Of a residual of two components.
    pub loss: RobustLoss,
}

/// A frame's observations evaluated. Memory is kept from frame to frame.
#[derive(Debug, Clone, Default)]
pub struct Views {
    tiles: usize,
    /// Cameras that may have seen something.
    cameras: usize,
    /// By tile.
    points: Vec<[Row<f64>; 3]>,
    /// By tile.
    on_way: Vec<OnWay>,
    /// All cameras', by tile.
    together: Vec<Seen>,
    /// `[camera][tile]`; where that was not asked for, of the last camera.
    each: Vec<Seen>,
    sums: Vec<Sums>,
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

/// As many observations as a row has places.
#[derive(Debug, Clone)]
struct Seen {
    weight: Row<f64>,
    gradient: [Row<f64>; 3],
    /// 00, 01, 02, 11, 12, 22.
    information: [Row<f64>; 6],
}

impl Seen {
    const NOTHING: Self = {
        let row = Row([0.0; TILE]);
        Self { weight: row, gradient: [row; 3], information: [row; 6] }
    };
}

/// Between the steps of an evaluation.
#[derive(Debug, Clone)]
struct OnWay {
    any: bool,
    projected: ProjectedRows,
    /// Pixels.
    error: [Row<f64>; 2],
    /// ρ, its slope and its mean curvature.
    loss: [Row<f64>; 3],
}

/// What is wanted beside the [`Sums`].
#[derive(Clone, Copy)]
enum Wanted {
    Gradients,
    /// And information; of each observation too.
    Each(Curvature),
}

impl Views {
    /// What a frame's observations cost; knows [`Self::gradient`] and [`Self::sums`] afterwards.
    pub fn evaluate(&mut self, scene: &Scene) -> f64 {
        self.run(scene, Wanted::Gradients)
    }

    /// The same, with [`Self::information`] and [`Self::information_in`].
    pub fn linearise(&mut self, scene: &Scene, curvature: Curvature) -> f64 {
        self.run(scene, Wanted::Each(curvature))
    }

    fn run(&mut self, scene: &Scene, wanted: Wanted) -> f64 {
        let tiles = scene.sightings.tiles();
        let seen = scene.sightings.rows(scene.frame).len();
        (self.tiles, self.cameras) = (tiles, seen / tiles.max(1));
        self.points.resize(tiles, [Row::filled(0.0); 3]);
        let places = scene.sightings.places();
        for (own, to) in places.chunks(TILE).zip(&mut self.points) {
            // Beyond the last place anything that can be projected.
            for (i, (slot, _)) in own.iter().chain(std::iter::repeat(&own[0])).take(TILE).enumerate() {
                let p = &scene.points[*slot as usize];
                (0..3).for_each(|k| to[k].0[i] = p[k]);
            }
        }
        self.together.resize(tiles, Seen::NOTHING);
        self.on_way.resize(tiles, OnWay::NOTHING);
        let kept = if let Wanted::Each(_) = wanted { seen.max(tiles) } else { tiles };
        if self.each.len() < kept {
            self.each.resize(kept, Seen::NOTHING);
        }
        self.sums.clear();
        self.sums.resize(scene.cameras.len(), Sums::default());
        pulp::Arch::new().dispatch(Evaluation { scene, views: self, wanted });
        self.sums.iter().map(|sums| sums.cost).sum()
    }

    /// What each camera's come to.
    pub fn sums(&self) -> &[Sums] {
        &self.sums
    }

    /// Whether any camera saw what has a place among [`Sightings::places`]; like what follows, of what was linearised last.
    #[inline]
    pub fn is_seen(&self, place: usize) -> bool {
        self.together[place / TILE].weight.0[place % TILE] > 0.0
    }

    /// The sum of all cameras' gradients in a place.
    #[inline]
    pub fn gradient(&self, place: usize) -> Vector3<f64> {
        let tile = &self.together[place / TILE];
        Vector3::from_fn(|k, _| tile.gradient[k].0[place % TILE])
    }

    /// The sum of all cameras' information in a place.
    #[inline]
    pub fn information(&self, place: usize) -> Matrix3<f64> {
        self.together[place / TILE].information(place % TILE)
    }

    /// What one camera says in a place, if it saw it; 0 where the marker has no projection.
    #[inline]
    pub fn information_in(&self, camera: usize, place: usize) -> Option<Matrix3<f64>> {
        let tile = self.each.get(camera * self.tiles + place / TILE).filter(|_| camera < self.cameras)?;
        (tile.weight.0[place % TILE] > 0.0).then(|| tile.information(place % TILE))
    }
}

/// What the processor's widest registers are chosen for.
struct Evaluation<'a> {
    scene: &'a Scene<'a>,
    views: &'a mut Views,
    wanted: Wanted,
}

impl WithSimd for Evaluation<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { scene, views: Views { tiles, points, on_way, together, each, sums, .. }, wanted } = self;
        together.iter_mut().for_each(|seen| seen.clear(wanted));
        let sightings = scene.sightings.rows(scene.frame);
        let tiles = *tiles;
        for (c, (camera, to)) in scene.cameras.iter().zip(sums).enumerate() {
            let Some(observed) = sightings.get(c * tiles..(c + 1) * tiles) else { break };
            let own = match wanted {
                Wanted::Gradients => &mut each[..tiles],
                Wanted::Each(_) => &mut each[c * tiles..(c + 1) * tiles],
            };
            // Step by step, all tiles in each. (Tile by tile, all steps in each, takes as long.)
            for (((seen, observed), point), on_way) in own.iter_mut().zip(observed).zip(&*points).zip(&mut *on_way) {
                if let Wanted::Each(_) = wanted {
                    seen.weight = observed[2];
                }
                on_way.any = observed[2].0.iter().any(|weight| *weight != 0.0);
                if on_way.any {
                    camera.project_rows(simd, point, &mut on_way.projected);
                }
            }
            let precision = &scene.precision[c * tiles..(c + 1) * tiles];
            for ((observed, precision), on_way) in observed.iter().zip(precision).zip(&mut *on_way) {
                match wanted {
                    _ if !on_way.any => {}
                    Wanted::Gradients => on_way.judge::<S, false>(simd, observed, &precision[0], scene.loss),
                    Wanted::Each(_) => on_way.judge::<S, true>(simd, observed, &precision[0], scene.loss),
                }
            }
            let mut rows = [Row::filled(0.0); 7];
            for (t, (seen, on_way)) in own.iter_mut().zip(&*on_way).enumerate().filter(|(_, (_, on_way))| on_way.any) {
                let (weight, precision) = (&observed[t][2], &precision[t]);
                on_way.add_to(simd, camera, (weight, precision), &points[t], &mut rows, &mut together[t].gradient);
                if let Wanted::Each(curvature) = wanted {
                    seen.inform(simd, camera, on_way, precision, curvature);
                    together[t].add(seen);
                }
            }
            let mut sums = [0.0; 7];
            for (sum, row) in sums.iter_mut().zip(&rows) {
                *sum = row.0.iter().sum::<f64>();
            }
            let [cost, force @ .., mx, my, mz] = sums;
            *to = Sums { cost, force: force.into(), moment: Vector3::new(mx, my, mz) };
        }
    }
}

impl OnWay {
    const NOTHING: Self = {
        let row = Row([0.0; TILE]);
        Self { any: false, projected: ProjectedRows::NOTHING, error: [row; 2], loss: [row; 3] }
    };

    /// Errors and the loss, with its curvature or without.
    #[inline(always)]
    fn judge<S: Simd, const CURVATURE: bool>(
        &mut self,
        simd: S,
        observed: &[Row<f64>; 3],
        precision: &Row<f64>,
        loss: RobustLoss,
    ) {
        let (ProjectedRows { pixel, seen, .. }, e) = (&self.projected, &mut self.error);
        let mut squared = Row::filled(0.0);
        for i in 0..TILE {
            e[0].0[i] = pixel[0].0[i] - observed[0].0[i];
            e[1].0[i] = pixel[1].0[i] - observed[1].0[i];
            let s = (e[0].0[i] * e[0].0[i] + e[1].0[i] * e[1].0[i]) * precision.0[i];
            squared.0[i] = if seen.0[i] > 0.0 { s } else { UNSEEN * UNSEEN };
        }
        loss.expand_rows::<2, CURVATURE, S>(simd, &squared, &mut self.loss);
    }

    /// Adds cost, gradients and their moments to a camera's sums, place by place, and gradients to what all cameras say.
    #[inline(always)]
    fn add_to<S: Simd>(
        &self,
        simd: S,
        camera: &Projector,
        (weight, [precision, log_precision]): (&Row<f64>, &[Row<f64>; 2]),
        point: &[Row<f64>; 3],
        sums: &mut [Row<f64>; 7],
        together: &mut [Row<f64>; 3],
    ) {
        let Self { projected, error: e, loss: [rho, slope, _], .. } = self;
        let [half, nothing] = Wide::splats(simd, [0.5, 0.0]);
        for l in 0..registers::<S>() {
            let of = |row| Wide::of(simd, row, l);
            let (weight, seen) = (of(weight), of(&projected.seen));
            // Of what was not seen, not even the noise need be known.
            let k = (weight * of(precision) * of(slope)).where_greater(weight, nothing);
            let (u, v) = (of(&e[0]) * k, of(&e[1]) * k);
            // Where there is no projection, errors and derivatives may be anything.
            let [gx, gy, gz] = camera.pull_wide(simd, projected, l, [u, v]);
            let gx = gx.where_greater(seen, nothing);
            let gy = gy.where_greater(seen, nothing);
            let gz = gz.where_greater(seen, nothing);
            let (x, y, z) = (of(&point[0]), of(&point[1]), of(&point[2]));
            let [cost, fx, fy, fz, mx, my, mz] = sums;
            (weight * (half * of(rho) - of(log_precision))).where_greater(weight, nothing).add_to(cost, l);
            gx.add_to(fx, l);
            gy.add_to(fy, l);
            gz.add_to(fz, l);
            y.mul_add(gz, -z * gy).add_to(mx, l);
            z.mul_add(gx, -x * gz).add_to(my, l);
            x.mul_add(gy, -y * gx).add_to(mz, l);
            let [tx, ty, tz] = together;
            gx.add_to(tx, l);
            gy.add_to(ty, l);
            gz.add_to(tz, l);
        }
    }
}

impl Seen {
    #[inline]
    fn information(&self, i: usize) -> Matrix3<f64> {
        let [a, b, c, d, e, f] = [0, 1, 2, 3, 4, 5].map(|k| self.information[k].0[i]);
        Matrix3::new(a, b, c, b, d, e, c, e, f)
    }

    #[inline(always)]
    fn clear(&mut self, wanted: Wanted) {
        (self.weight, self.gradient) = (Row::filled(0.0), [Row::filled(0.0); 3]);
        if let Wanted::Each(_) = wanted {
            self.information = [Row::filled(0.0); 6];
        }
    }

    /// Information of each observation, whose weights are there.
    #[inline(always)]
    fn inform<S: Simd>(
        &mut self,
        simd: S,
        camera: &Projector,
        on_way: &OnWay,
        [precision, _]: &[Row<f64>; 2],
        curvature: Curvature,
    ) {
        let OnWay { projected, loss: [_, slope, mean], .. } = on_way;
        let mut worth = Row::filled(0.0);
        for i in 0..TILE {
            worth.0[i] = self.weight.0[i] * precision.0[i] * curvature.of(slope.0[i], mean.0[i]);
        }
        let nothing = Wide::splat(simd, 0.0);
        for l in 0..registers::<S>() {
            let (seen, weight) = (Wide::of(simd, &projected.seen, l), Wide::of(simd, &self.weight, l));
            let [u, v] = camera.derivative_wide(simd, projected, l);
            let k = Wide::of(simd, &worth, l);
            for (to, (a, b)) in self.information.iter_mut().zip([(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]) {
                let information = k * u[a].mul_add(u[b], v[a] * v[b]);
                information.where_greater(seen, nothing).where_greater(weight, nothing).to(to, l);
            }
        }
    }

    /// Adds weights and information.
    #[inline(always)]
    fn add(&mut self, other: &Self) {
        (0..TILE).for_each(|i| self.weight.0[i] += other.weight.0[i]);
        for (to, own) in self.information.iter_mut().zip(&other.information) {
            (0..TILE).for_each(|i| to.0[i] += own.0[i]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::{Camera, Distortion, Intrinsics};
    use crate::residual::reprojection::{self, Observation};
    use nalgebra::{Isometry3, UnitQuaternion};
    use rand::{Rng, SeedableRng};

    /// A trial may have been seen by the first cameras of a rig only: what it tells is what it would if the others had seen nothing.
    #[test]
    fn fewer_cameras_are_cameras_that_saw_nothing() {
        let projector = |x: f64| {
            Projector::new(&Camera {
                name: "c".into(),
                size: [1920.0, 1080.0],
                intrinsics: Intrinsics { fx: 1100.0, fy: 1105.0, cx: 960.0, cy: 540.0, skew: 0.0 },
                distortion: Distortion::None,
                camera_from_world: Isometry3::translation(x, 0.0, 3.0),
            })
        };
        let cameras = [-0.5, 0.0, 0.5].map(projector);
        let points: Vec<Vector3<f64>> = (0..20).map(|i| Vector3::new(0.03 * f64::from(i), -0.2, 0.1)).collect();
        let told = |count: usize| {
            let mut sightings = Sightings::new(count, (0..20).map(|i| (i, i as u16)).collect());
            sightings.begin_frame();
            for (slot, camera) in (0..20).flat_map(|slot| [(slot, 0u16), (slot, 1)]) {
                let pixel: [f64; 2] = cameras[usize::from(camera)].project(&points[slot as usize]).unwrap().into();
                let pixel = [pixel[0] + 3.0, pixel[1] - f64::from(slot)];
                sightings.push(&Observation { slot, camera, keypoint: slot as u16, pixel, weight: 0.8 });
            }
            let rows = sightings.by_place(|_, _| [0.1, 0.1f64.ln()]);
            let loss = RobustLoss::StudentT { dof: 4.0 };
            let mut views = Views::default();
            let scene =
                Scene { sightings: &sightings, frame: 0, points: &points, cameras: &cameras, precision: &rows, loss };
            let cost = views.linearise(&scene, Curvature::Majorant);
            assert!(cost > 0.0 && views.sums().len() == 3 && views.sums()[2] == Sums::default());
            let of_places: Vec<_> = (0..20).map(|place| (views.gradient(place), views.information(place))).collect();
            (cost, views.sums().to_vec(), of_places)
        };
        assert_eq!(told(2), told(3));
    }

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
            let slots = 70 - 40 * round;
            let points: Vec<Vector3<f64>> = (0..slots)
                .map(|slot| {
                    Vector3::from_fn(|_, _| rng.random_range(-1.0..1.0)) * if slot % 9 == 0 { 12.0 } else { 1.0 }
                })
                .collect();
            let precision: Vec<f64> = (0..3 * slots).map(|_| rng.random_range(0.05..0.3)).collect();
            let keypoint = |slot: usize| (slots - 1 - slot) as u16;
            let places = (0..slots).map(|slot| (slot as u32, keypoint(slot))).collect();
            let mut sightings = Sightings::new(3, places);
            sightings.begin_frame();
            sightings.begin_frame();
            for (slot, point) in points.iter().enumerate() {
                // A whole row that one camera has nothing of, and single places.
                for camera in [2, 0].into_iter().filter(|c| slot % 7 != 3 && (slot >= 16 || *c == 2)) {
                    let near = cameras[camera].project(point).map_or([0.0; 2], Into::into);
                    sightings.push(&Observation {
                        slot: slot as u32,
                        camera: camera as u16,
                        keypoint: keypoint(slot),
                        pixel: near.map(|x: f64| x + rng.random_range(-30.0..30.0)),
                        weight: rng.random_range(0.1..1.0),
                    });
                }
            }
            let of = |camera: usize, keypoint: usize| precision[camera * slots + keypoint];
            // Of a camera that saw nothing, and of a keypoint that this one did not see, the noise is unknown.
            let known = |c: usize, k: usize| if c == 1 || (slots - 1 - k) % 7 == 3 { f64::NAN } else { of(c, k) };
            let rows = sightings.by_place(|c, k| [known(c, k), known(c, k).ln()]);
            let scene =
                Scene { sightings: &sightings, frame: 1, points: &points, cameras: &cameras, precision: &rows, loss };
            let curvature = Curvature::Mean(0.7);
            assert_eq!(views.evaluate(&Scene { frame: 0, ..scene }), 0.0);
            let cost = views.evaluate(&scene);
            let alone: Vec<Vector3<f64>> = (0..slots).map(|place| views.gradient(place)).collect();
            assert_eq!(views.linearise(&scene, curvature), cost);
            let (mut unseen, mut sums) = (0, [Sums::default(); 3]);
            let mut gradients = vec![(Vector3::zeros(), 0.0); slots];
            let mut together = vec![Matrix3::zeros(); slots];
            for o in sightings.frame(1) {
                let (c, slot) = (usize::from(o.camera), o.slot as usize);
                let (camera, p) = (&cameras[c], &points[slot]);
                let precision = (of(c, o.keypoint.into()), of(c, o.keypoint.into()).ln());
                sums[c].cost += reprojection::cost(&o, camera, p, precision, loss).0;
                let information = views.information_in(c, slot).unwrap();
                let Some(m) = reprojection::linearise(&o, camera, p, precision, loss, curvature) else {
                    assert_eq!(information, Matrix3::zeros());
                    unseen += 1;
                    continue;
                };
                sums[c].force += m.gradient;
                sums[c].moment += p.cross(&m.gradient);
                gradients[slot].0 += m.gradient;
                gradients[slot].1 += m.gradient.norm();
                together[slot] += m.information;
                let difference = (information - m.information).norm();
                assert!(difference < 1e-10 * (1.0 + m.information.norm()), "{difference}");
            }
            for slot in 0..slots {
                assert_eq!(views.is_seen(slot), slot % 7 != 3, "{slot}");
                let off = (views.gradient(slot) - gradients[slot].0).norm();
                assert!(off < 1e-10 * (1.0 + gradients[slot].1), "{off}");
                assert_eq!(views.gradient(slot), alone[slot]);
                let off = (views.information(slot) - together[slot]).norm();
                assert!(off < 1e-10 * (1.0 + together[slot].norm()), "{off}");
                assert_eq!(views.information_in(1, slot), None);
            }
            // Sums of seventy numbers in another order.
            for (found, expected) in views.sums().iter().zip(&sums) {
                let size = expected.force.norm() + expected.moment.norm() + expected.cost.abs() + 1.0;
                assert!((found.cost - expected.cost).abs() < 1e-11 * size);
                assert!((found.force - expected.force).norm() + (found.moment - expected.moment).norm() < 1e-11 * size);
            }
            assert!(unseen > 0, "round {round}");
        }
    }
}
