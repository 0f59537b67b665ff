use super::*;
use crate::camera::autodiff::{Cameras, pixels};
use crate::fit::default_skeleton;
use crate::math::tensor::testing::{fixed, free, gradient, random, values, with_threads, work};
use crate::skeleton::{ScaleGroups, Skeleton, read_model_str};
use crate::synthetic;
use burn::tensor::activation::tanh;
use burn::tensor::{DType, Device};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Arguments of the operation as numbers, and weights of its output.
#[derive(Clone)]
struct Case {
    mechanism: Arc<Mechanism>,
    batch: usize,
    q: Vec<f64>,
    rotors: Vec<f64>,
    scales: Vec<f64>,
    offsets: Vec<f64>,
    weights: Vec<f64>,
}

/// The tensors of a case.
type Inputs = (Tensor<2>, Tensor<2>, Tensor<1>, Tensor<2>);

impl Case {
    fn new(skeleton: Skeleton, batch: usize, seed: u64) -> Self {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let groups = ScaleGroups::default_for(&skeleton).with_overall(&skeleton).with_axes(&skeleton);
        let (markers, count) = (skeleton.markers.len(), batch * skeleton.rotors.len());
        let rotation = |_| {
            let r = so3::exp(&Vector3::from_column_slice(&random(rng, 3, 2.0)));
            r.matrix().transpose().iter().copied().collect::<Vec<_>>()
        };
        let rotors = (0..count).flat_map(rotation).collect();
        Self {
            q: random(rng, batch * skeleton.coordinates.len(), 1.2),
            rotors,
            scales: random(rng, groups.groups.len(), 0.2),
            offsets: random(rng, 3 * markers, 0.05),
            weights: random(rng, batch * 3 * markers, 1.0),
            mechanism: Arc::new(Mechanism::new(skeleton, groups)),
            batch,
        }
    }

    fn skeleton(&self) -> &Skeleton {
        self.mechanism.skeleton()
    }

    fn inputs(&self, make: impl Make) -> Inputs {
        let s = self.skeleton();
        (
            make.tensor(&self.q, [self.batch, s.coordinates.len()]),
            make.tensor(&self.rotors, [self.batch, 9 * s.rotors.len()]),
            make.tensor(&self.scales, [self.scales.len()]),
            make.tensor(&self.offsets, [s.markers.len(), 3]),
        )
    }

    fn run(&self, (q, rotors, scales, offsets): Inputs) -> Tensor<3> {
        markers(&self.mechanism, q, rotors, scales, offsets).unwrap()
    }

    /// The weighted sum of all outputs.
    fn value(&self) -> f64 {
        values(&work(self.run(self.inputs(Fixed(DType::F64))), &self.weights))[0]
    }

    /// Output, and gradients of the weighted sum in q, rotors, scales and offsets.
    fn gradients(&self, dtype: DType) -> [Vec<f64>; 5] {
        let inputs = self.inputs(Free(dtype));
        let output = self.run(inputs.clone());
        assert_eq!(output.dtype(), dtype);
        let found = work(output.clone(), &self.weights).backward();
        let (q, rotors, scales, offsets) = &inputs;
        let rotors = if self.rotors.is_empty() { Vec::new() } else { gradient(rotors, &found) };
        [values(&output), gradient(q, &found), rotors, gradient(scales, &found), gradient(offsets, &found)]
    }
}

/// How arguments become tensors.
trait Make {
    fn tensor<const D: usize>(&self, values: &[f64], shape: [usize; D]) -> Tensor<D>;
}

struct Free(DType);
struct Fixed(DType);

impl Make for Free {
    fn tensor<const D: usize>(&self, values: &[f64], shape: [usize; D]) -> Tensor<D> {
        free(values, shape, self.0)
    }
}

impl Make for Fixed {
    fn tensor<const D: usize>(&self, values: &[f64], shape: [usize; D]) -> Tensor<D> {
        fixed(values, shape, self.0, &Device::flex())
    }
}

fn every_joint() -> Skeleton {
    read_model_str("every_joint.osim", include_str!("../../../tests/data/every_joint.osim")).unwrap()
}

/// Every type of joint with rotors of its own, sticks, and the default body with its root a rotor.
fn cases(batch: usize) -> Vec<Case> {
    let stick = read_model_str("stick.xml", include_str!("../../../tests/data/stick.xml")).unwrap();
    let skeletons = [every_joint(), stick, default_skeleton().unwrap().with_rotors(), default_skeleton().unwrap()];
    skeletons.into_iter().zip(0..).map(|(skeleton, seed)| Case::new(skeleton, batch, seed)).collect()
}

#[test]
fn values_are_the_forward_kinematics() {
    for case in cases(3) {
        let skeleton = case.skeleton();
        let (n, found) = (skeleton.coordinates.len(), values(&case.run(case.inputs(Fixed(DType::F64)))));
        let mut frame = Frame::new(skeleton);
        for t in 0..case.batch {
            let mut q = case.q[t * n..(t + 1) * n].to_vec();
            for (value, c) in q.iter_mut().zip(&skeleton.coordinates).filter(|(_, c)| c.locked) {
                *value = c.default;
            }
            skeleton.resolve_couplings(&mut q);
            let rows = case.rotors[9 * skeleton.rotors.len() * t..].chunks_exact(9).take(skeleton.rotors.len());
            let rotors: Vec<_> = rows.map(|r| Rotation3::from_matrix_unchecked(Matrix3::from_row_slice(r))).collect();
            let (scales, offsets) = (case.mechanism.scales(&case.scales), displacements(&case.offsets));
            forward(skeleton, &scales, &offsets, &q, &rotors, &mut frame);
            let expected: Vec<f64> = frame.markers.iter().flat_map(|p| p.iter().copied()).collect();
            assert_eq!(found[t * expected.len()..(t + 1) * expected.len()], expected, "{}", skeleton.name);
        }
    }
}

/// Central differences with step h = 1e-5: truncation h²/6 of third derivatives below 1e3 for each of some tens of markers, rounding ε·(sum of all)/h: both below 1e-6 of `size`.
#[test]
fn gradients_are_slopes() {
    let h = 1e-5;
    for case in cases(2) {
        let [_, by_q, by_rotors, by_scales, by_offsets] = case.gradients(DType::F64);
        let (skeleton, size) = (case.skeleton(), case.weights.len() as f64);
        let check = |what: &str, i: usize, found: f64, set: &dyn Fn(&mut Case, f64)| {
            let [after, before] = [h, -h].map(|by| {
                let mut moved = case.clone();
                set(&mut moved, by);
                moved.value()
            });
            let slope = (after - before) / (2.0 * h);
            assert!((slope - found).abs() < 1e-6 * size, "{} {what} {i}: {found} {slope}", skeleton.name);
        };
        for i in 0..case.q.len() {
            check("q", i, by_q[i], &|case, by| case.q[i] += by);
        }
        for (i, g) in by_scales.iter().enumerate() {
            check("scales", i, *g, &|case, by| case.scales[i] += by);
        }
        for (i, g) in by_offsets.iter().enumerate() {
            check("offsets", i, *g, &|case, by| case.offsets[i] += by);
        }
        for (first, g) in (0..).step_by(9).zip(by_rotors.chunks_exact(9)) {
            let (r, g) = (Matrix3::from_row_slice(&case.rotors[first..first + 9]), Matrix3::from_row_slice(g));
            for k in 0..3 {
                let omega = Vector3::ith(k, 1.0);
                check("rotors", first + k, g.dot(&(so3::hat(&omega) * r)), &|case, by| {
                    let turned = so3::exp(&(omega * by)).matrix() * r;
                    case.rotors[first..first + 9].copy_from_slice(turned.transpose().as_slice());
                });
            }
            // Nothing across the rotations.
            let across = g * r.transpose() + r * g.transpose();
            assert!(across.amax() < 1e-12 * size, "{across}");
        }
    }
}

/// One marker's row: the twists of the degrees of freedom on its way.
#[test]
fn a_row_is_the_jacobians() {
    let mut case = Case::new(every_joint(), 1, 8);
    let (mechanism, scales) = (case.mechanism.clone(), case.mechanism.scales(&case.scales));
    let (mut work, mut pose) = (mechanism.workspace(), Markers { mechanism: mechanism.clone(), batch: 1 }.pose());
    Markers { mechanism: mechanism.clone(), batch: 1 }.read(0, &case.q, &case.rotors, &mut pose);
    mechanism.linearise(&scales, &displacements(&case.offsets), &pose.q, &pose.rotors, &mut work);
    let paths = mechanism.paths();
    for (m, marker) in case.mechanism.skeleton().markers.clone().iter().enumerate() {
        for axis in 0..3 {
            case.weights.fill(0.0);
            case.weights[3 * m + axis] = 1.0;
            let [_, by_q, _, _, _] = case.gradients(DType::F64);
            let mut expected = vec![0.0; by_q.len()];
            for &k in &paths[marker.body.index()] {
                let (omega, v) = (work.twists[k].fixed_rows::<3>(0), work.twists[k].fixed_rows::<3>(3));
                let c = mechanism.dofs()[mechanism.columns()[k].dof].index();
                expected[c] += (v + omega.cross(&work.frame.markers[m]))[axis];
            }
            for c in case.skeleton().rotors.iter().flat_map(|r| r.coordinates) {
                expected[c.index()] = 0.0;
            }
            for (a, b) in by_q.iter().zip(&expected) {
                // A few products of numbers below 10.
                assert!((a - b).abs() < 1e-13, "{}: {a} {b}", marker.name);
            }
        }
    }
}

#[test]
fn what_does_not_move_has_no_gradient_and_is_not_read() {
    // The model has no locked coordinate: lock one that moves markers by itself.
    let mut skeleton = every_joint();
    let by_q = Case::new(skeleton.clone(), 2, 4).gradients(DType::F64)[1].clone();
    let followed =
        |i| skeleton.coordinates.iter().any(|c| c.coupling.as_ref().is_some_and(|k| k.independent.index() == i));
    let locked = (0..skeleton.coordinates.len()).find(|i| by_q[*i] != 0.0 && !followed(*i)).unwrap();
    skeleton.coordinates[locked].locked = true;
    let case = Case::new(skeleton, 2, 4);
    let skeleton = case.skeleton();
    let in_rotor: Vec<_> = skeleton.rotors.iter().flat_map(|r| r.coordinates.map(|c| c.index())).collect();
    let still = |i: usize| {
        let c = &skeleton.coordinates[i];
        c.locked || c.coupling.is_some() || in_rotor.contains(&i)
    };
    let n = skeleton.coordinates.len();
    assert!((0..n).any(|i| skeleton.coordinates[i].coupling.is_some()) && !in_rotor.is_empty());
    let mut other = case.clone();
    for i in (0..case.q.len()).filter(|i| still(i % n)) {
        other.q[i] = f64::NAN;
    }
    let (a, b) = (case.gradients(DType::F64), other.gradients(DType::F64));
    assert_eq!(a, b);
    for (i, g) in a[1].iter().enumerate() {
        assert!(!still(i % n) || *g == 0.0, "{}", skeleton.coordinates[i % n].name);
    }
    let moves = |i: usize| (0..case.batch).any(|t| a[1][t * n + i] != 0.0);
    for c in skeleton.coordinates.iter().filter_map(|c| c.coupling.as_ref()) {
        assert!(moves(c.independent.index()), "{}", skeleton.coordinates[c.independent.index()].name);
    }
}

/// Arguments are rounded to single precision, and so are results; between them nothing is.
#[test]
fn single_precision_is_double_rounded() {
    let single = f64::from(f32::EPSILON);
    for mut case in cases(3) {
        for values in [&mut case.q, &mut case.rotors, &mut case.scales, &mut case.offsets, &mut case.weights] {
            values.iter_mut().for_each(|v| *v = f64::from(*v as f32));
        }
        for (a, b) in case.gradients(DType::F32).iter().zip(case.gradients(DType::F64)) {
            assert_eq!(a.len(), b.len());
            for (a, b) in a.iter().zip(&b) {
                assert!((a - b).abs() <= 0.5 * single * b.abs(), "{a} {b}");
            }
        }
    }
}

#[test]
fn any_argument_may_be_free_alone() {
    let case = &cases(2)[2];
    let all = case.gradients(DType::F64);
    let fixed = || case.inputs(Fixed(DType::F64));
    let free = case.inputs(Free(DType::F64));
    let alone = [
        (free.0.clone(), fixed().1, fixed().2, fixed().3),
        (fixed().0, free.1.clone(), fixed().2, fixed().3),
        (fixed().0, fixed().1, free.2.clone(), fixed().3),
        (fixed().0, fixed().1, fixed().2, free.3.clone()),
    ];
    for (i, inputs) in alone.into_iter().enumerate() {
        let found = work(case.run(inputs.clone()), &case.weights).backward();
        let grads = [
            inputs.0.grad(&found).map(|g| values(&g)),
            inputs.1.grad(&found).map(|g| values(&g)),
            inputs.2.grad(&found).map(|g| values(&g)),
            inputs.3.grad(&found).map(|g| values(&g)),
        ];
        for (k, grad) in grads.into_iter().enumerate() {
            assert_eq!(grad, (k == i).then(|| all[k + 1].clone()));
        }
    }
    // On an autodiff device, and none free.
    let plain = fixed();
    let output = case.run((plain.0.autodiff(), plain.1, plain.2, plain.3));
    assert!(output.is_autodiff() && !output.is_tracked());
    assert_eq!(values(&output), all[0]);
    // Types mixed: the output is of q's, gradients of their own arguments'.
    let single = case.inputs(Free(DType::F32));
    let inputs = (single.0.clone(), fixed().1, free.2.clone(), single.3.clone());
    let output = case.run(inputs);
    assert_eq!(output.dtype(), DType::F32);
    let found = work(output, &case.weights).backward();
    gradient(&single.0, &found);
    gradient(&single.3, &found);
    // q alone was rounded, by 6e-8 rad, and moves the slopes by as much of their sums.
    for (a, b) in gradient(&free.2, &found).iter().zip(&all[3]) {
        assert!((a - b).abs() < 1e-6 * case.weights.len() as f64, "{a} {b}");
    }
}

#[test]
fn threads_change_no_bit() {
    let case = Case::new(default_skeleton().unwrap().with_rotors(), 101, 5);
    let one = with_threads(1, || case.gradients(DType::F64));
    for threads in [2, 5] {
        assert_eq!(one, with_threads(threads, || case.gradients(DType::F64)), "{threads}");
    }
}

#[test]
fn arguments_that_do_not_fit_are_refused() {
    let case = &cases(2)[2];
    let skeleton = case.skeleton();
    let (n, r, g, m) =
        (skeleton.coordinates.len(), 9 * skeleton.rotors.len(), case.scales.len(), skeleton.markers.len());
    let device = Device::flex().autodiff();
    let run = |q: [usize; 2], rotors: [usize; 2], scales: usize, offsets: [usize; 2]| {
        let (q, rotors) = (Tensor::zeros(q, &device), Tensor::zeros(rotors, &device));
        markers(&case.mechanism, q, rotors, Tensor::zeros([scales], &device), Tensor::zeros(offsets, &device))
    };
    assert!(run([2, n], [2, r], g, [m, 3]).is_ok());
    for (name, found) in [
        ("q", run([2, n + 1], [2, r], g, [m, 3])),
        ("rotors", run([2, n], [3, r], g, [m, 3])),
        ("rotors", run([2, n], [2, r - 1], g, [m, 3])),
        ("scales", run([2, n], [2, r], g + 1, [m, 3])),
        ("offsets", run([2, n], [2, r], g, [m - 1, 3])),
        ("offsets", run([2, n], [2, r], g, [m, 2])),
    ] {
        let message = found.unwrap_err().to_string();
        assert!(message.contains(&format!("`markers`, argument `{name}`")), "{message}");
        assert!(message.contains("was expected"), "{message}");
    }
    let (q, rotors, scales, offsets) = case.inputs(Fixed(DType::F64));
    let half = markers(&case.mechanism, q.cast(DType::F16), rotors, scales, offsets);
    assert!(half.unwrap_err().to_string().contains("F16"));
    let (q, rotors, scales, offsets) = case.inputs(Free(DType::F64));
    let strategy = burn::backend::GradientCheckpointingStrategy::Balanced;
    let rotors = rotors.with_gradient_checkpointing_strategy(strategy);
    let mixed = markers(&case.mechanism, q, rotors, scales, offsets);
    assert!(mixed.unwrap_err().to_string().contains("checkpointing"));
}

#[test]
fn nothing_is_a_number_of_frames_too() {
    let case = &cases(2)[0];
    let empty = Case { batch: 0, q: Vec::new(), rotors: Vec::new(), weights: Vec::new(), ..case.clone() };
    let inputs = empty.inputs(Free(DType::F32));
    let output = empty.run(inputs.clone());
    assert_eq!(output.dims(), [0, case.skeleton().markers.len(), 3]);
    let found = output.sum().backward();
    assert!(gradient(&inputs.2, &found).iter().all(|g| *g == 0.0));
}

/// A network makes poses, the body markers, the cameras pixels, and a loss of those that are seen is descended: its gradient reaches the weights.
#[test]
fn a_network_learns_through_markers_and_pixels() {
    let skeleton = default_skeleton().unwrap();
    let case = Case::new(skeleton, 7, 2);
    let rng = &mut ChaCha8Rng::seed_from_u64(3);
    let n = case.skeleton().coordinates.len();
    let cameras = Arc::new(Cameras::new(&synthetic::ring(4, 1), Vector3::new(0.0, 0.0, 1.0)));
    let [first, second, times, extrinsics] =
        [(4 * 8, 0.5), (8 * n, 0.3), (7 * 4, 1.0), (4 * 6, 0.05)].map(|(count, size)| random(rng, count, size));
    let loss = |first: &[f64], extrinsics: &[f64], gradients: bool| {
        let device = Device::flex().autodiff();
        let layers = [free(first, [4, 8], DType::F64), free(&second, [8, n], DType::F64)];
        let hidden = tanh(fixed(&times, [7, 4], DType::F64, &device).matmul(layers[0].clone()));
        let (_, rotors, scales, offsets) = case.inputs(Fixed(DType::F64));
        let points = case.run((hidden.matmul(layers[1].clone()), rotors, scales, offsets));
        let extrinsics = free(extrinsics, [4, 6], DType::F64);
        let seen = pixels(&cameras, extrinsics.clone(), points).unwrap();
        let square = (seen.pixels - 500.0).div_scalar(100.0).powi_scalar(2).sum_dim(3).squeeze_dim::<3>(3);
        let loss = (square + 1.0).log().mask_fill(seen.visible.bool_not(), 0.0).mean();
        let value = values(&loss)[0];
        let found = gradients.then(|| {
            let found = loss.backward();
            gradient(&layers[1], &found);
            (gradient(&layers[0], &found), gradient(&extrinsics, &found))
        });
        (value, found)
    };
    let (_, found) = loss(&first, &extrinsics, true);
    let (by_first, by_extrinsics) = found.unwrap();
    let h = 1e-6;
    let check = |found: f64, at: &dyn Fn(f64) -> f64| {
        let slope = (at(h) - at(-h)) / (2.0 * h);
        // Truncation h² of third derivatives below 1e4, rounding 1e-15·10/h.
        assert!((slope - found).abs() < 1e-7 * (1.0 + found.abs()), "{found} {slope}");
    };
    for i in 0..first.len() {
        check(by_first[i], &|by| {
            let mut moved = first.clone();
            moved[i] += by;
            loss(&moved, &extrinsics, false).0
        });
    }
    for i in 0..extrinsics.len() {
        check(by_extrinsics[i], &|by| {
            let mut moved = extrinsics.clone();
            moved[i] += by;
            loss(&first, &moved, false).0
        });
    }
    assert!(by_first.iter().any(|g| g.abs() > 1e-3) && by_extrinsics.iter().any(|g| g.abs() > 1e-3));
}
