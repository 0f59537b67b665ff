//! Random skeletons, and poses of them.

use kinefit::skeleton::{
    Body, BodyId, Coordinate, CoordinateId, Coupling, Function, Marker, ModelSource, Motion, Offsets, Operation, Rotor,
    RotorId, Scales, Skeleton, UpAxis,
};
use nalgebra::{Rotation3, Unit, Vector3};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Coordinates in the file's order, and rotors.
pub type Pose = (Vec<f64>, Vec<Rotation3<f64>>);

/// Each number in `±size`.
pub fn vector(rng: &mut ChaCha8Rng, size: f64) -> Vector3<f64> {
    Vector3::from_fn(|_, _| rng.random_range(-size..size))
}

/// One of the frame's axes, either way, or any.
fn axis(rng: &mut ChaCha8Rng) -> Unit<Vector3<f64>> {
    let axes = [Vector3::x_axis(), Vector3::y_axis(), Vector3::z_axis()];
    match rng.random_range(0..8) {
        i @ 0..3 => axes[i],
        i @ 3..6 => -axes[i - 3],
        _ => Unit::new_normalize(vector(rng, 1.0) + Vector3::new(0.0, 0.0, 1.5)),
    }
}

fn function(rng: &mut ChaCha8Rng, depth: usize) -> Function {
    let knots = |rng: &mut ChaCha8Rng| {
        let n = rng.random_range(2..8);
        let x: Vec<f64> = (0..n).map(|i| -2.0 + 0.7 * f64::from(i) + rng.random_range(-0.2..0.2)).collect();
        let y = x.iter().map(|_| rng.random_range(-0.5..0.5)).collect();
        (x, y)
    };
    let inner = |rng: &mut ChaCha8Rng| Box::new(function(rng, depth + 1));
    match rng.random_range(0..if depth < 2 { 12 } else { 8 }) {
        0..3 => Function::IDENTITY,
        3 => Function::Constant(rng.random_range(-0.5..0.5)),
        4 => Function::Linear { slope: rng.random_range(-1.5..1.5), intercept: rng.random_range(-0.3..0.3) },
        5 => Function::Polynomial((0..rng.random_range(0..5)).map(|_| rng.random_range(-0.3..0.3)).collect()),
        6 => {
            let (x, y) = knots(rng);
            Function::piecewise_linear(x, y).unwrap()
        }
        7 => {
            let (x, y) = knots(rng);
            Function::simm_spline(x, y).unwrap()
        }
        8 | 9 => Function::Multiple { factor: rng.random_range(-1.2..1.2), inner: inner(rng) },
        _ => Function::Composite { outer: inner(rng), inner: inner(rng) },
    }
}

/// Any skeleton the form allows: bodies without motion, axes at any angle, coordinates that drive several operations of several bodies, constants in places of functions,
/// rotors within the tree.
pub fn random_skeleton(seed: u64) -> (Skeleton, Scales, Offsets) {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let coordinate = |name: String| Coordinate {
        name,
        joint: String::new(),
        motion: Motion::Rotational,
        default: 0.0,
        range: None,
        placeholder: None,
        clamped: false,
        locked: false,
        coupling: None,
    };
    let count = rng.random_range(1..9);
    let mut coordinates: Vec<_> = (0..count).map(|i| coordinate(format!("q{i}"))).collect();
    coordinates.push(Coordinate { locked: true, ..coordinate("locked".into()) });
    let coupling = Some(Coupling { independent: CoordinateId(0), function: Function::IDENTITY });
    coordinates.push(Coordinate { coupling, ..coordinate("coupled".into()) });
    let driven = |rng: &mut ChaCha8Rng| match rng.random_range(0..count + 2) {
        0 => None,
        i if i > count => Some(CoordinateId(count as u32)), // the locked one
        i => Some(CoordinateId(i as u32 - 1)),
    };
    let mut bodies = vec![Body { name: "ground".into(), parent: BodyId(0), operations: 0..0 }];
    let (mut operations, mut rotors) = (Vec::new(), Vec::new());
    for b in 1..rng.random_range(2..9) {
        let first = operations.len();
        for _ in 0..rng.random_range(0..8) {
            operations.push(match rng.random_range(0..12) {
                0..3 => Operation::Translate {
                    offset: vector(rng, 0.4),
                    scaled_by: BodyId(rng.random_range(0..bodies.len()) as u32),
                },
                3 => Operation::Rotate(Rotation3::new(vector(rng, 2.0))),
                4..9 => Operation::RotateAbout { axis: axis(rng), coordinate: driven(rng), function: function(rng, 0) },
                9 if rotors.len() < 2 => {
                    let first = coordinates.len() as u32;
                    let id = RotorId(rotors.len() as u32);
                    coordinates.extend((0..3).map(|i| coordinate(format!("rotor{first}_{i}"))));
                    rotors.push(Rotor {
                        coordinates: [0, 1, 2].map(|i| CoordinateId(first + i)),
                        axes: [Vector3::z_axis(), Vector3::x_axis(), Vector3::y_axis()],
                    });
                    Operation::Ball(id)
                }
                _ => Operation::TranslateAlong {
                    axis: axis(rng),
                    coordinate: driven(rng),
                    function: function(rng, 0),
                    scaled_by: rng.random_bool(0.5).then(|| BodyId(rng.random_range(0..bodies.len()) as u32)),
                },
            });
        }
        let parent = BodyId(rng.random_range(0..bodies.len()) as u32);
        bodies.push(Body { name: format!("b{b}"), parent, operations: first..operations.len() });
    }
    let marker = |i: usize, rng: &mut ChaCha8Rng| Marker {
        name: format!("m{i}"),
        body: BodyId(rng.random_range(0..bodies.len()) as u32),
        location: vector(rng, 0.3),
        fixed: false,
    };
    let markers = (0..rng.random_range(0..12)).map(|i| marker(i, rng)).collect();
    let skeleton = Skeleton {
        name: format!("random {seed}"),
        source: ModelSource::None,
        up: UpAxis::Y,
        bodies,
        operations,
        coordinates,
        rotors,
        markers,
    };
    let scales = Scales(skeleton.bodies.iter().map(|_| [0; 3].map(|_| rng.random_range(0.8..1.2))).collect());
    let offsets = Offsets(skeleton.markers.iter().map(|_| vector(rng, 0.02)).collect());
    (skeleton, scales, offsets)
}

/// Random poses; coordinates up to `size`, far turns now and then.
pub fn poses(skeleton: &Skeleton, frames: usize, size: f64, seed: u64) -> Vec<Pose> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let pose = |_| {
        let mut q: Vec<f64> = skeleton.coordinates.iter().map(|_| rng.random_range(-size..size)).collect();
        skeleton.resolve_couplings(&mut q);
        let rotors = skeleton.rotors.iter().map(|_| Rotation3::new(vector(&mut rng, 3.0))).collect();
        (q, rotors)
    };
    (0..frames).map(pose).collect()
}

/// Whether a function of this coordinate has a kink nearby.
pub fn kinks(skeleton: &Skeleton, q: &[f64], c: usize, h: f64) -> bool {
    skeleton.operations.iter().any(|operation| match operation {
        Operation::RotateAbout { coordinate: Some(d), function, .. }
        | Operation::TranslateAlong { coordinate: Some(d), function, .. } => {
            let slope = |x: f64| function.value_and_derivatives(x).1;
            let x = q[c];
            d.index() == c && (slope(x + h) - slope(x - h)).abs() > 1e-2
        }
        _ => false,
    })
}
