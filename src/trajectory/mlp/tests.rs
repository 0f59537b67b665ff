use super::*;
use crate::math::so3;
use crate::skeleton::{ScaleGroups, read_model_str};
use nalgebra::Vector3;
use proptest::prelude::*;
use rand::Rng;
use std::path::Path;
use std::sync::Arc;

fn body() -> (Mechanism, Arc<Layout>) {
    let body = read_model_str("data/body.osim", include_str!("../../../data/body.osim")).unwrap().with_rotors();
    let groups = ScaleGroups::default_for(&body);
    let mechanism = Mechanism::new(body, groups);
    let layout = Arc::new(Layout::new(&mechanism));
    (mechanism, layout)
}

/// A network small enough that differences in all its parameters are quick, with every feature of the large ones.
fn tiny(activation: Activation, spacing: Spacing, seed: u64) -> (Mechanism, Mlp) {
    let (mechanism, layout) = body();
    let architecture =
        Architecture { layers: vec![7, 5, 6], spacing, highest_hz: 2.0, concatenated: 2, activation, last: 1.0 };
    let mut usual = layout.default_pose();
    usual.rotors.iter_mut().for_each(|r| *r = so3::exp(&Vector3::new(0.4, -1.0, 2.0)));
    let mlp = Mlp::random(architecture, &mechanism, layout, &usual, true, 2.0, seed).unwrap();
    (mechanism, mlp)
}

fn pose(mlp: &Mlp, parameters: &[f64], t: f64) -> Pose {
    let mut out = mlp.layout().default_pose();
    mlp.head.pose(&mlp.network.outputs(parameters, &mlp.features(t)), &mut out);
    out
}

fn difference(a: &Pose, b: &Pose, layout: &Layout) -> Vec<f64> {
    let mut d: Vec<f64> =
        (0..layout.scalars()).map(|j| a.q[layout.coordinates[j]] - b.q[layout.coordinates[j]]).collect();
    for (x, y) in a.rotors.iter().zip(&b.rotors) {
        d.extend(so3::log(&(x * y.inverse())).iter());
    }
    d
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// In double-precision parameters: a step of 1e-5 leaves a truncation of 1e-10 times third derivatives of order 1 and rounding of 1e-11.
    #[test]
    fn products_agree_with_differences(seed in 0u64..1000, t in 0.0..2.0f64) {
        let (_, mlp) = tiny(Activation::Silu, Spacing::Harmonics, seed);
        let layout = mlp.layout().clone();
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let at: Vec<f64> = mlp.parameters().iter().map(|&p| p.into()).collect();
        let tangent: Vec<f64> = at.iter().map(|_| rng.random_range(-1.0..1.0)).collect();
        let moved = |h: f64| -> Vec<f64> { at.iter().zip(&tangent).map(|(p, d)| p + h * d).collect() };
        let h = 1e-5;
        let numeric = difference(&pose(&mlp, &moved(h), t), &pose(&mlp, &moved(-h), t), &layout);
        let mut exact = vec![0.0; layout.dofs()];
        mlp.jvp(t, &tangent, &mut exact);
        for (a, b) in numeric.iter().zip(&exact) {
            prop_assert!((a / (2.0 * h) - b).abs() < 1e-6 * (1.0 + b.abs()), "{} {}", a / (2.0 * h), b);
        }
        // The transpose: ⟨y, J x⟩ = ⟨Jᵀy, x⟩.
        let y: Vec<f64> = exact.iter().map(|_| rng.random_range(-1.0..1.0)).collect();
        let mut back = vec![0.0; mlp.tangent_len()];
        mlp.vjp(t, &y, &mut back);
        let left: f64 = y.iter().zip(&exact).map(|(a, b)| a * b).sum();
        let right: f64 = back.iter().zip(&tangent).map(|(a, b)| a * b).sum();
        prop_assert!((left - right).abs() < 1e-10 * (1.0 + left.abs()), "{left} {right}");
    }

    #[test]
    fn rates_agree_with_differences(seed in 0u64..1000, t in 0.1..1.9f64) {
        for spacing in [Spacing::Harmonics, Spacing::Octaves] {
            let (_, mlp) = tiny(Activation::Silu, spacing, seed);
            let layout = mlp.layout().clone();
            let at = |t: f64| { let mut p = layout.default_pose(); mlp.pose(t, &mut p); p };
            let rates = |t: f64| {
                let mut r = Rates { velocity: vec![0.0; layout.dofs()], acceleration: vec![0.0; layout.dofs()] };
                mlp.rates(t, &mut r);
                r
            };
            // Frequencies reach 2 Hz, 13 rad/s, and products of layers some times that: third and fourth derivatives of 1e5 and 1e6 times h²/6.
            let h = 1e-5;
            let velocity = difference(&at(t + h), &at(t - h), &layout);
            let (before, here, after) = (rates(t - h), rates(t), rates(t + h));
            for j in 0..layout.dofs() {
                prop_assert!((velocity[j] / (2.0 * h) - here.velocity[j]).abs() < 1e-4);
                let acceleration = (after.velocity[j] - before.velocity[j]) / (2.0 * h);
                prop_assert!((acceleration - here.acceleration[j]).abs() < 1e-3, "{} {}", acceleration, here.acceleration[j]);
            }
        }
    }

    /// burn's single-precision products and reverse mode against the double-precision ones here: sums of tens of terms, each rounded by 6e-8.
    #[test]
    fn a_batch_agrees_with_one_time_after_another(seed in 0u64..1000) {
        for activation in [Activation::Silu, Activation::Relu] {
            let (_, mlp) = tiny(activation, Spacing::Octaves, seed);
            let layout = mlp.layout().clone();
            let times = [0.0, 0.31, 0.9, 1.77];
            // In a longer vector, from the third number on.
            let flat = Arc::new([&[f32::NAN; 2], mlp.parameters(), &[f32::NAN]].concat());
            let batch = mlp.batch(&times);
            let record = mlp.record(&flat, 2, &batch);
            let mut poses = vec![layout.default_pose(); times.len()];
            record.poses(&mlp, &mut poses);
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let gradient: Vec<f64> = (0..times.len() * layout.dofs()).map(|_| rng.random_range(-1.0..1.0)).collect();
            let mut found = vec![f32::NAN; flat.len()];
            record.pull_back(&mlp, &gradient, &mut found, false);
            let once = found.clone();
            mlp.record(&flat, 2, &batch).pull_back(&mlp, &gradient, &mut found, true);
            prop_assert!(found.iter().zip(&once).all(|(a, b)| *a == 2.0 * b || a.is_nan() && b.is_nan()));
            // The tape lets go of what it was given.
            prop_assert_eq!(Arc::strong_count(&flat), 1);
            prop_assert!(once[..2].iter().chain(&once[once.len() - 1..]).all(|g| g.is_nan()));
            let found = &once[2..once.len() - 1];
            let mut expected = vec![0.0; mlp.parameters().len()];
            for (i, &t) in times.iter().enumerate() {
                let mut pose = layout.default_pose();
                mlp.pose(t, &mut pose);
                for d in difference(&pose, &poses[i], &layout) {
                    prop_assert!(d.abs() < 1e-5, "{d}");
                }
                mlp.vjp(t, &gradient[i * layout.dofs()..(i + 1) * layout.dofs()], &mut expected);
            }
            let size = expected.iter().fold(0.0f64, |a, b| a.max(b.abs()));
            for (a, b) in found.iter().zip(&expected) {
                prop_assert!((f64::from(*a) - b).abs() < 1e-5 * size, "{a} {b} of {size}");
            }
        }
    }
}

#[test]
fn begins_at_the_usual_pose() {
    let (mechanism, layout) = body();
    let mut usual = layout.default_pose();
    usual.rotors.iter_mut().for_each(|r| *r = so3::exp(&Vector3::new(0.1, 3.0, 0.0)));
    let flat = Architecture { last: 0.0, ..Architecture::small() };
    let mlp = Mlp::random(flat, &mechanism, layout.clone(), &usual, true, 5.0, 3).unwrap();
    let mut pose = layout.default_pose();
    mlp.pose(1.0, &mut pose);
    // Biases are single precision.
    assert!(difference(&pose, &usual, &layout).iter().all(|d| d.abs() < 1e-6));
}

#[test]
fn directions_that_vanish_are_still_a_rotation() {
    let (_, layout) = body();
    let (_, mlp) = tiny(Activation::Silu, Spacing::Harmonics, 1);
    for six in [[0.0; 6], [1.0, 0.0, 0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 0.0, 0.0]] {
        let mut y = vec![0.0; mlp.head().outputs()];
        let first = y.len() - 6 * layout.rotors.len();
        y[first..first + 6].copy_from_slice(&six);
        let mut pose = layout.default_pose();
        mlp.head().pose(&y, &mut pose);
        let m = pose.rotors[0].matrix();
        assert!((m.transpose() * m - nalgebra::Matrix3::identity()).norm() < 1e-12 && m.determinant() > 0.0);
    }
}

#[test]
fn sizes_are_the_published_ones() {
    let (mechanism, layout) = body();
    let mlp =
        |a: Architecture| Mlp::random(a, &mechanism, layout.clone(), &layout.default_pose(), false, 61.0, 0).unwrap();
    let published = mlp(Architecture::published());
    // ⌈log₂(80·61/2π) + 1⌉ = 11 octaves (their rule), 23 features; three times concatenated.
    assert_eq!(published.network().encoding, 23);
    let inputs: Vec<usize> = published.network().layers.iter().map(|l| l.inputs).collect();
    assert_eq!(inputs, [23, 128 + 23, 256 + 23, 512 + 23, 1024, 2048, 2048, 4096]);
}

#[test]
fn comes_back_from_its_file_bit_for_bit() {
    let (mechanism, mlp) = tiny(Activation::Silu, Spacing::Octaves, 5);
    let bytes = mlp.to_safetensors(&mechanism).unwrap();
    let again = Mlp::from_safetensors(&bytes, Path::new("n"), &mechanism, mlp.layout().clone()).unwrap();
    assert_eq!(again.parameters(), mlp.parameters());
    let (mut a, mut b) = (mlp.layout().default_pose(), mlp.layout().default_pose());
    mlp.pose(0.4, &mut a);
    again.pose(0.4, &mut b);
    assert_eq!(a, b);
}

#[test]
fn refuses_files_that_are_not_its_own() {
    let (mechanism, mlp) = tiny(Activation::Silu, Spacing::Octaves, 5);
    let layout = mlp.layout().clone();
    let read = |bytes: &[u8]| {
        let error = Mlp::from_safetensors(bytes, Path::new("net.safetensors"), &mechanism, layout.clone());
        error.map(|_| ()).unwrap_err().to_string()
    };
    let bytes = mlp.to_safetensors(&mechanism).unwrap();
    assert!(read(b"").contains("no safetensors file"));
    assert!(read(&bytes[..bytes.len() / 2]).contains("net.safetensors"));
    let mut lying = bytes.clone();
    lying[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(read(&lying).contains("no safetensors file"));
    // NaN in the last bias.
    let mut broken = bytes.clone();
    let end = broken.len();
    broken[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(read(&broken).contains("NaN in a place for numbers"), "{}", read(&broken));
    // Metadata of the same length that says other things.
    let altered = |from: &str, to: &str| {
        let at = bytes.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
        let mut altered = bytes.clone();
        altered[at..at + to.len()].copy_from_slice(to.as_bytes());
        altered
    };
    assert!(read(&altered("[7,5,6]", "[7,5,7]")).contains("was expected"), "{}", read(&altered("[7,5,6]", "[7,5,7]")));
    assert!(read(&altered("[7,5,6]", "[7,5,0]")).contains("layers of 1 to"));
    let other = read(&altered("knee_angle_r", "knee_angle_x"));
    assert!(other.contains("another model's network: it moves `knee_angle_x` in place of `knee_angle_r`"), "{other}");
    assert!(read(&altered("\\\"format\\\":1", "\\\"format\\\":7")).contains("format 7"));
    // A file of plain tensors, and one that is another model's.
    let plain = safetensors::tensor::serialize(Vec::<(String, safetensors::tensor::TensorView)>::new(), None).unwrap();
    assert!(read(&plain).contains("another program's"));
}

#[test]
fn refuses_what_cannot_be_built() {
    let (mechanism, layout) = body();
    let make = |a: Architecture, duration: f64| {
        let made = Mlp::random(a, &mechanism, layout.clone(), &layout.default_pose(), true, duration, 0);
        made.map(|_| ()).unwrap_err().to_string()
    };
    assert!(make(Architecture { layers: vec![1 << 20], ..Architecture::small() }, 1.0).contains("layers"));
    assert!(make(Architecture { highest_hz: f64::NAN, ..Architecture::small() }, 1.0).contains("Hz"));
    assert!(make(Architecture::small(), 0.0).contains("some length"));
    assert!(make(Architecture::small(), 1e5).contains("medium or large"));
}
