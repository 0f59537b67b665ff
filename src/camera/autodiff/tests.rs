use super::*;
use crate::camera::{Distortion, Intrinsics};
use crate::math::tensor::testing::{fixed, free, gradient, random, values, with_threads, work};
use burn::tensor::{DType, Device};
use nalgebra::{Translation3, UnitQuaternion};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const BATCH: usize = 2;
const MARKERS: usize = 5;

/// One camera for each lens model, around the origin.
fn rig() -> Vec<Camera> {
    let lenses = [
        Distortion::None,
        Distortion::Rational([-0.28, 0.09, 0.001, -0.0005, 0.0, 0.0, 0.0, 0.0]),
        Distortion::Rational([0.1, -0.05, 0.001, -0.0005, 0.01, 0.12, -0.03, 0.02]),
        Distortion::Fisheye([0.02, -0.01, 0.003, -0.001]),
    ];
    let camera = |(i, distortion): (usize, Distortion)| Camera {
        name: format!("camera {i}"),
        size: [1920.0, 1080.0],
        intrinsics: Intrinsics { fx: 1150.0, fy: 1148.0, cx: 955.0, cy: 545.0, skew: 1.7 },
        distortion,
        camera_from_world: Isometry3::from_parts(
            Translation3::new(0.05, -0.1, 4.0),
            UnitQuaternion::from_scaled_axis(Vector3::new(1.2, -0.7 + 1.3 * i as f64, 0.4)),
        ),
    };
    lenses.into_iter().enumerate().map(camera).collect()
}

struct Case {
    cameras: Arc<Cameras>,
    batch: usize,
    extrinsics: Vec<f64>,
    points: Vec<f64>,
    weights: Vec<f64>,
}

impl Case {
    /// Cameras turned by up to `turn` about a point among the points.
    fn new(batch: usize, turn: f64, seed: u64) -> Self {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let cameras = Arc::new(Cameras::new(&rig(), Vector3::new(0.1, -0.2, 0.1)));
        Self {
            batch,
            extrinsics: random(rng, 6 * cameras.len(), turn),
            points: random(rng, 3 * MARKERS * batch, 0.5),
            weights: random(rng, 2 * MARKERS * batch * cameras.len(), 1.0),
            cameras,
        }
    }

    fn seen(&self, extrinsics: &[f64], points: &[f64]) -> Seen {
        let device = Device::flex();
        let extrinsics = fixed(extrinsics, [self.cameras.len(), 6], DType::F64, &device);
        pixels(&self.cameras, extrinsics, fixed(points, [self.batch, MARKERS, 3], DType::F64, &device)).unwrap()
    }

    /// Pixels, and gradients of their weighted sum in extrinsics and points.
    fn gradients(&self, dtype: DType) -> [Vec<f64>; 3] {
        let extrinsics = free(&self.extrinsics, [self.cameras.len(), 6], dtype);
        let points = free(&self.points, [self.batch, MARKERS, 3], dtype);
        let pixels = pixels(&self.cameras, extrinsics.clone(), points.clone()).unwrap().pixels;
        assert_eq!(pixels.dtype(), dtype);
        let found = work(pixels.clone(), &self.weights).backward();
        [values(&pixels), gradient(&extrinsics, &found), gradient(&points, &found)]
    }
}

fn visible(seen: &Seen) -> Vec<bool> {
    seen.visible.to_data().iter::<bool>().collect()
}

#[test]
fn pixels_are_those_of_cameras_moved_from_their_calibration() {
    let case = Case::new(BATCH, 0.3, 1);
    let seen = case.seen(&case.extrinsics, &case.points);
    assert!(visible(&seen).iter().all(|v| *v));
    let found = values(&seen.pixels);
    for (c, camera) in rig().iter().enumerate() {
        let twist = Vector6::from_column_slice(&case.extrinsics[6 * c..]);
        let world_from_camera =
            se3::retract_about(&camera.camera_from_world.inverse(), &twist, &Vector3::new(0.1, -0.2, 0.1));
        let moved = Camera { camera_from_world: world_from_camera.inverse(), ..camera.clone() };
        for (i, p) in case.points.chunks_exact(3).enumerate() {
            let (t, m) = (i / MARKERS, i % MARKERS);
            let at = 2 * ((t * case.cameras.len() + c) * MARKERS + m);
            let expected = moved.project(&Vector3::from_column_slice(p)).unwrap();
            assert_eq!([found[at], found[at + 1]], [expected.x, expected.y]);
        }
    }
}

/// Central differences with step h = 1e-5 of a sum of tens of pixels: truncation h²/6 times third derivatives of 1e4 px, rounding 1e-13·1e4 px/h; each below 1e-5 of a sum whose columns are 300 px.
#[test]
fn gradients_are_slopes() {
    let h = 1e-5;
    for (turn, seed) in [(0.0, 1), (0.3, 2), (2.5, 3)] {
        let mut case = Case::new(BATCH, turn, seed);
        if turn > 1.0 {
            // Turned far about a point between all the points, and moved little.
            case.extrinsics.chunks_exact_mut(6).for_each(|row| row[3..].iter_mut().for_each(|v| *v *= 0.1));
        }
        let [_, by_extrinsics, by_points] = case.gradients(DType::F64);
        let value = |extrinsics: &[f64], points: &[f64]| {
            let seen = case.seen(extrinsics, points);
            assert!(visible(&seen).iter().all(|v| *v));
            values(&work(seen.pixels, &case.weights))[0]
        };
        let check = |what: &str, i: usize, found: f64, at: &dyn Fn(f64) -> f64| {
            let slope = (at(h) - at(-h)) / (2.0 * h);
            assert!((slope - found).abs() < 1e-5 * (300.0 + found.abs()), "±{turn} {what} {i}: {found} {slope}");
        };
        for i in 0..case.extrinsics.len() {
            check("extrinsics", i, by_extrinsics[i], &|by| {
                let mut moved = case.extrinsics.clone();
                moved[i] += by;
                value(&moved, &case.points)
            });
        }
        for i in 0..case.points.len() {
            check("points", i, by_points[i], &|by| {
                let mut moved = case.points.clone();
                moved[i] += by;
                value(&case.extrinsics, &moved)
            });
        }
    }
}

#[test]
fn single_precision_is_double_rounded() {
    let mut case = Case::new(BATCH, 0.2, 5);
    for values in [&mut case.extrinsics, &mut case.points, &mut case.weights] {
        values.iter_mut().for_each(|v| *v = f64::from(*v as f32));
    }
    for (a, b) in case.gradients(DType::F32).iter().zip(case.gradients(DType::F64)) {
        for (a, b) in a.iter().zip(&b) {
            assert!((a - b).abs() <= 0.5 * f64::from(f32::EPSILON) * b.abs(), "{a} {b}");
        }
    }
}

#[test]
fn what_no_camera_sees_is_nought_and_pulls_at_nothing() {
    let mut camera = rig()[1].clone();
    camera.camera_from_world = Isometry3::identity();
    camera.distortion = Distortion::Rational([-1.0 / 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let pinhole = Camera { distortion: Distortion::None, ..camera.clone() };
    let cameras = Arc::new(Cameras::new(&[camera, pinhole], Vector3::zeros()));
    let hidden = [
        [0.0, 0.0, -1.0],
        [0.0, 0.0, 0.0],
        [f64::NAN, 0.0, 1.0],
        [0.0, f64::INFINITY, 1.0],
        [0.1, 0.0, f64::NAN],
        // A number in double precision only.
        [1e37, 0.0, 1.0],
    ];
    // Seen by the pinhole alone; seen by both.
    let others = [[3f64.sqrt(), 0.0, 1.0], [0.2, 0.1, 1.0]];
    let all: Vec<f64> = hidden.iter().chain(&others).flatten().copied().collect();
    for dtype in [DType::F32, DType::F64] {
        let (extrinsics, points) = (free(&[0.0; 12], [2, 6], dtype), free(&all, [1, 8, 3], dtype));
        let seen = pixels(&cameras, extrinsics.clone(), points.clone()).unwrap();
        let expected: Vec<bool> = (0..16).map(|i| i % 8 > 6 || i == 14).collect();
        assert_eq!(visible(&seen), expected);
        for (pixel, visible) in values(&seen.pixels).chunks_exact(2).zip(&expected) {
            assert!(*visible || pixel == [0.0, 0.0]);
        }
        // Not even a gradient that is no number gets through.
        let weights: Vec<f64> = expected.iter().flat_map(|v| [if *v { 1.0 } else { f64::NAN }; 2]).collect();
        let found = work(seen.pixels, &weights).backward();
        assert!(gradient(&extrinsics, &found).iter().all(|g| g.is_finite()));
        let by_points = gradient(&points, &found);
        assert!(by_points[..18].iter().all(|g| *g == 0.0) && by_points[18..].iter().all(|g| g.is_finite()));
        assert!(by_points[21] > 1000.0);
    }
    // A camera that is nowhere sees nothing.
    let (nowhere, points) = (free(&[f64::NAN; 12], [2, 6], DType::F64), free(&all, [1, 8, 3], DType::F64));
    let seen = pixels(&cameras, nowhere.clone(), points.clone()).unwrap();
    assert!(visible(&seen).iter().all(|v| !v));
    let found = seen.pixels.sum().backward();
    assert!(gradient(&points, &found).iter().all(|g| *g == 0.0));
}

#[test]
fn either_argument_may_be_free_alone() {
    let case = Case::new(BATCH, 0.2, 7);
    let [_, by_extrinsics, by_points] = case.gradients(DType::F64);
    let device = Device::flex();
    let extrinsics = free(&case.extrinsics, [4, 6], DType::F64);
    let points = free(&case.points, [BATCH, MARKERS, 3], DType::F64);
    let run = |e: Tensor<2>, p: Tensor<3>| work(pixels(&case.cameras, e, p).unwrap().pixels, &case.weights).backward();
    let found = run(extrinsics.clone(), fixed(&case.points, [BATCH, MARKERS, 3], DType::F64, &device));
    assert_eq!((gradient(&extrinsics, &found), points.grad(&found).is_none()), (by_extrinsics, true));
    let found = run(fixed(&case.extrinsics, [4, 6], DType::F64, &device), points.clone());
    assert_eq!((gradient(&points, &found), extrinsics.grad(&found).is_none()), (by_points, true));
}

#[test]
fn threads_change_no_bit() {
    let case = Case::new(101, 0.2, 9);
    let one = with_threads(1, || case.gradients(DType::F64));
    for threads in [2, 5] {
        assert_eq!(one, with_threads(threads, || case.gradients(DType::F64)), "{threads}");
    }
}

#[test]
fn arguments_that_do_not_fit_are_refused() {
    let cameras = Arc::new(Cameras::new(&rig(), Vector3::zeros()));
    let device = Device::flex().autodiff();
    let run = |extrinsics: [usize; 2], points: [usize; 3]| {
        pixels(&cameras, Tensor::zeros(extrinsics, &device), Tensor::zeros(points, &device))
    };
    assert!(run([4, 6], [2, 3, 3]).is_ok());
    for (name, found) in [
        ("extrinsics", run([3, 6], [2, 3, 3])),
        ("extrinsics", run([4, 7], [2, 3, 3])),
        ("points", run([4, 6], [2, 3, 2])),
    ] {
        let message = found.unwrap_err().to_string();
        assert!(message.contains(&format!("`pixels`, argument `{name}`")), "{message}");
    }
    // No frames, no markers.
    assert_eq!(run([4, 6], [0, 3, 3]).unwrap().pixels.dims(), [0, 4, 3, 2]);
    assert_eq!(run([4, 6], [2, 0, 3]).unwrap().visible.dims(), [2, 4, 0]);
}
