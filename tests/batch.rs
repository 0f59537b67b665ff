//! Kinematics of many frames at once against those of one.

mod common;

use common::random::{Pose, kinks, poses, random_skeleton, vector};
use common::shared;
use kinefit::fit::default_skeleton;
use kinefit::kinematics::batch::Program;
use kinefit::kinematics::{Frame, Mechanism, forward};
use kinefit::math::lanes::{Real, TILE, Tiles};
use kinefit::skeleton::{Function, MarkerId, Offsets, Operation, ScaleGroups, Scales, Skeleton, read_model};
use nalgebra::{Rotation3, Vector3};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

fn inputs<T: Real>(program: &Program<T>, poses: &[Pose]) -> Tiles<T> {
    let mut inputs = program.inputs(poses.len());
    for (frame, (q, rotors)) in poses.iter().enumerate() {
        program.set(&mut inputs, frame, q, rotors);
    }
    inputs
}

/// Largest distances of markers and bodies from those of one frame at a time, in roundings of what can be expected: each operation rounds a few times, an angle
/// to its own last place; the lever is as long as the farthest body is away.
fn forward_error<T: Real>(
    skeleton: &Skeleton,
    scales: &Scales,
    offsets: &Offsets,
    poses: &[Pose],
    epsilon: f64,
) -> f64 {
    let program = Program::<T>::new(skeleton, scales, offsets);
    let (mut markers, mut bodies) = (Tiles::zeros(0, 0), Tiles::zeros(0, 0));
    program.forward(&inputs(&program, poses), &mut program.workspace(), &mut markers, Some(&mut bodies));
    let mut frame = Frame::new(skeleton);
    let mut worst = 0.0f64;
    for (f, (q, rotors)) in poses.iter().enumerate() {
        forward(skeleton, scales, offsets, q, rotors, &mut frame);
        let reach = frame.origins.iter().chain(&frame.markers).map(|p| p.norm()).fold(1.0, f64::max);
        let turns = angles(skeleton, q);
        // Beyond what a body does, and single precision overflows.
        if epsilon * (reach + turns) > 0.1 {
            continue;
        }
        let unit = epsilon * reach * (1.0 + skeleton.operations.len() as f64 + turns);
        for (m, place) in frame.markers.iter().enumerate() {
            worst = worst.max((markers.vector(3 * m, f) - place).norm() / unit);
        }
        for b in 0..skeleton.bodies.len() {
            let (rotation, origin) = program.body(&bodies, b, f);
            worst = worst.max((origin - frame.origins[b]).norm() / unit);
            let turned = (rotation.matrix() - frame.rotations[b].matrix()).amax();
            worst = worst.max(turned / (unit / reach));
        }
    }
    worst
}

/// Sum of what the angles of a pose may be wrong by, in their own roundings: an angle, and the argument it comes from times its slope.
fn angles(skeleton: &Skeleton, q: &[f64]) -> f64 {
    let mut sum = 0.0;
    for operation in &skeleton.operations {
        if let Operation::RotateAbout { coordinate: Some(c), function, .. }
        | Operation::TranslateAlong { coordinate: Some(c), function, .. } = operation
        {
            let x = q[c.index()];
            sum += size(function, x);
        }
    }
    sum
}

/// Sum of the sizes of all that is added up in a function, slopes taken along: how far rounding moves its value, in roundings.
fn size(function: &Function, x: f64) -> f64 {
    let (y, dy, _) = function.value_and_derivatives(x);
    let own = y.abs() + (dy * x).abs();
    match function {
        Function::Polynomial(c) => c.iter().fold(0.0, |sum, c| sum * x.abs() + c.abs()) * c.len() as f64 + own,
        Function::Multiple { factor, inner } => factor.abs() * size(inner, x) + own,
        Function::Composite { outer, inner } => {
            let (u, _, _) = inner.value_and_derivatives(x);
            size(outer, u) + outer.value_and_derivatives(u).1.abs() * size(inner, x) + own
        }
        Function::SimmSpline { y, b, .. } => {
            own + y.iter().fold(0.0, |a: f64, v| a.max(v.abs()))
                + b.iter().fold(0.0, |a: f64, v| a.max(v.abs())) * x.abs()
        }
        _ => own,
    }
}

/// Roundings per unit: see [`forward_error`]. Sine and cosine of either side are off by 2 units in the last place, products by a half each.
const ROUNDINGS: f64 = 8.0;

fn check_forward(skeleton: &Skeleton, scales: &Scales, offsets: &Offsets, seed: u64) {
    for (frames, size) in [(1, 0.5), (TILE + 3, 3.0), (2 * TILE, 300.0)] {
        let poses = poses(skeleton, frames, size, seed);
        let worst = forward_error::<f64>(skeleton, scales, offsets, &poses, f64::EPSILON);
        assert!(worst < ROUNDINGS, "{}, ±{size}: {worst} roundings", skeleton.name);
        let worst = forward_error::<f32>(skeleton, scales, offsets, &poses, f64::from(f32::EPSILON));
        assert!(worst < ROUNDINGS, "{}, ±{size}, f32: {worst} roundings", skeleton.name);
    }
}

/// The default body, the sticks and random skeletons, and how they are scaled.
fn own_skeletons() -> Vec<(Skeleton, Scales, Offsets)> {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut scaled = |skeleton: Skeleton| {
        let scales = Scales(skeleton.bodies.iter().map(|_| [0; 3].map(|_| rng.random_range(0.9..1.1))).collect());
        let offsets = Offsets(skeleton.markers.iter().map(|_| vector(&mut rng, 0.02)).collect());
        (skeleton, scales, offsets)
    };
    let body = default_skeleton().unwrap();
    let mut all = vec![scaled(body.with_rotors()), scaled(body), scaled(common::stick().0)];
    all.extend((0..300).map(random_skeleton));
    all
}

#[test]
fn many_frames_move_as_one_does() {
    for (i, (skeleton, scales, offsets)) in own_skeletons().into_iter().enumerate() {
        check_forward(&skeleton, &scales, &offsets, i as u64);
    }
}

/// What the module's documentation says in metres.
#[test]
fn a_body_in_either_precision() {
    let skeleton = default_skeleton().unwrap();
    let (scales, offsets) = (Scales::ones(&skeleton), Offsets::zeros(&skeleton));
    fn worst<T: Real>(skeleton: &Skeleton, scales: &Scales, offsets: &Offsets) -> f64 {
        let program = Program::<T>::new(skeleton, scales, offsets);
        let poses = poses(skeleton, 1000, 1.5, 4);
        let mut markers = Tiles::zeros(0, 0);
        program.forward(&inputs(&program, &poses), &mut program.workspace(), &mut markers, None);
        let mut frame = Frame::new(skeleton);
        let mut worst = 0.0f64;
        for (f, (q, rotors)) in poses.iter().enumerate() {
            forward(skeleton, scales, offsets, q, rotors, &mut frame);
            let away = |(m, place): (usize, &Vector3<f64>)| (markers.vector(3 * m, f) - place).norm();
            worst = frame.markers.iter().enumerate().map(away).fold(worst, f64::max);
        }
        worst
    }
    let (double, single) = (worst::<f64>(&skeleton, &scales, &offsets), worst::<f32>(&skeleton, &scales, &offsets));
    println!("f64 {double:.1e} m, f32 {single:.1e} m");
    assert!(double < 1e-14 && single < 5e-6, "{double:e} {single:e}");
}

fn models(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.map(|e| e.unwrap().path()) {
        if path.is_dir() {
            models(&path, found);
        } else if path.extension().is_some_and(|e| e == "osim" || e == "xml") {
            found.push(path);
        }
    }
}

#[test]
fn models_of_others_do_so_too() {
    let Some(data) = shared("data") else { return };
    let mut paths = Vec::new();
    models(&data, &mut paths);
    paths.sort();
    let mut read = 0;
    for path in paths {
        let Ok(skeleton) = read_model(&path) else { continue };
        read += 1;
        for skeleton in [skeleton.with_rotors(), skeleton] {
            check_forward(&skeleton, &Scales::ones(&skeleton), &Offsets::zeros(&skeleton), read);
            check_jacobian(&skeleton, &Scales::ones(&skeleton), &Offsets::zeros(&skeleton), read);
        }
    }
    assert!(read > 5);
    println!("{read} models");
}

/// The Jacobian against the mechanism's twists, summed over all columns of a coordinate on the marker's way.
fn check_jacobian(skeleton: &Skeleton, scales: &Scales, offsets: &Offsets, seed: u64) {
    let program = Program::<f64>::new(skeleton, scales, offsets);
    let mechanism = Mechanism::new(skeleton.clone(), ScaleGroups { groups: Vec::new() });
    let (paths, mut work, pairs) = (mechanism.paths(), mechanism.workspace(), program.pairs());
    let poses = poses(skeleton, TILE + 5, 2.0, seed);
    let mut frames = 0;
    program.linearise(&inputs(&program, &poses), &mut program.workspace(), |tile| {
        for (i, (q, rotors)) in poses.iter().skip(tile.tile * TILE).take(TILE).enumerate() {
            frames += 1;
            mechanism.linearise(scales, offsets, q, rotors, &mut work);
            let mut left: HashMap<_, _> = pairs.iter().enumerate().map(|(row, &pair)| (pair, row)).collect();
            for (m, marker) in skeleton.markers.iter().enumerate() {
                let place = work.frame.markers[m];
                let at = Vector3::from_fn(|r, _| tile.markers[3 * m + r].0[i]);
                let unit = 1e-13 * (1.0 + angles(skeleton, q)) * (1.0 + place.norm());
                assert!((at - place).norm() < unit, "{}", skeleton.name);
                for (dof, coordinate) in mechanism.dofs().iter().enumerate() {
                    // Twists of pieces far away cancel: what is compared is what was added up.
                    let (mut expected, mut largest, mut moves) = (Vector3::zeros(), 1.0f64, false);
                    for &c in paths[marker.body.index()].iter().filter(|&&c| mechanism.columns()[c].dof == dof) {
                        let (omega, v) = (work.twists[c].fixed_rows::<3>(0), work.twists[c].fixed_rows::<3>(3));
                        expected += v + omega.cross(&place);
                        largest = largest.max(v.norm() + omega.norm() * place.norm());
                        moves = true;
                    }
                    if let Some(row) = left.remove(&(MarkerId(m as u32), *coordinate)) {
                        let d = Vector3::from_fn(|r, _| tile.jacobian[3 * row + r].0[i]);
                        assert!(
                            (d - expected).norm() < unit * largest,
                            "{} {m} {coordinate:?}: {d} {expected}",
                            skeleton.name
                        );
                        assert!(moves);
                    } else {
                        // A function that turns out to be constant has no column.
                        assert!(expected.norm() < 1e-12, "{} {m} {coordinate:?} has no column", skeleton.name);
                    }
                }
            }
            assert!(left.is_empty(), "{}: {left:?}", skeleton.name);
        }
    });
    assert_eq!(frames, poses.len());
}

#[test]
fn derivatives_are_the_mechanisms() {
    for (i, (skeleton, scales, offsets)) in own_skeletons().into_iter().enumerate() {
        check_jacobian(&skeleton, &scales, &offsets, i as u64);
    }
}

#[test]
fn a_frame_is_the_same_wherever_it_stands() {
    for (skeleton, scales, offsets) in own_skeletons().into_iter().take(40) {
        let program = Program::<f64>::new(&skeleton, &scales, &offsets);
        let mut poses = poses(&skeleton, 2 * TILE + 1, 3.0, 9);
        // A neighbour far away, and one that is no number.
        poses[3].0.fill(1e9);
        poses[4].0.fill(f64::NAN);
        let mut markers = Tiles::zeros(0, 0);
        program.forward(&inputs(&program, &poses), &mut program.workspace(), &mut markers, None);
        let mut alone = Tiles::zeros(0, 0);
        for (f, pose) in poses.iter().enumerate().filter(|(f, _)| *f != 4) {
            program.forward(&inputs(&program, std::slice::from_ref(pose)), &mut program.workspace(), &mut alone, None);
            for row in 0..markers.rows() {
                assert_eq!(markers.get(row, f).to_bits(), alone.get(row, 0).to_bits(), "{} {f}", skeleton.name);
            }
        }
    }
}

/// Central differences with step h: truncation h²/6 of the third derivative, rounding ε·reach/h; with h = 1e-5 and curves whose derivatives stay below
/// 1e3, both under 1e-6 of the column's size. Coordinates beside a kink of a function of theirs are left out.
#[test]
fn derivatives_are_slopes() {
    let h = 1e-5;
    let mut checked = 0;
    for (skeleton, scales, offsets) in own_skeletons() {
        let program = Program::<f64>::new(&skeleton, &scales, &offsets);
        let pairs = program.pairs();
        let poses = poses(&skeleton, 3, 1.5, 77);
        let at = |pose: &Pose| {
            let mut markers = Tiles::zeros(0, 0);
            program.forward(
                &inputs(&program, std::slice::from_ref(pose)),
                &mut program.workspace(),
                &mut markers,
                None,
            );
            markers
        };
        program.linearise(&inputs(&program, &poses), &mut program.workspace(), |tile| {
            for (i, pose) in poses.iter().enumerate() {
                for c in 0..skeleton.coordinates.len() {
                    let moved = |by: f64| {
                        let mut pose = pose.clone();
                        pose.0[c] += by;
                        for (r, rotor) in skeleton.rotors.iter().enumerate() {
                            if let Some(k) = rotor.coordinates.iter().position(|x| x.index() == c) {
                                pose.1[r] = Rotation3::new(by * Vector3::ith(k, 1.0)) * pose.1[r];
                            }
                        }
                        at(&pose)
                    };
                    let (before, after) = (moved(-h), moved(h));
                    let kinks = kinks(&skeleton, &pose.0, c, h);
                    for (row, (m, _)) in pairs.iter().enumerate().filter(|(_, p)| p.1.index() == c && !kinks) {
                        let m = m.index();
                        let slope = (after.vector(3 * m, 0) - before.vector(3 * m, 0)) / (2.0 * h);
                        let d = Vector3::from_fn(|r, _| tile.jacobian[3 * row + r].0[i]);
                        let size = 1.0 + d.norm() + before.vector(3 * m, 0).norm();
                        assert!((d - slope).norm() < 1e-6 * size, "{} {m} {c}: {d} {slope}", skeleton.name);
                        checked += 1;
                    }
                }
            }
        });
    }
    assert!(checked > 10_000, "{checked}");
}

#[test]
fn a_table_survives_json_and_a_wrong_one_is_refused() {
    let (skeleton, scales, offsets) = random_skeleton(3);
    let program = Program::<f32>::new(&skeleton, &scales, &offsets);
    let text = serde_json::to_string(program.table()).unwrap();
    let table: kinefit::kinematics::batch::table::Table<f32> = serde_json::from_str(&text).unwrap();
    assert_eq!(&table, program.table());
    assert!(Program::from_table(table.clone()).is_ok());

    // Every index beyond its array is found out before it is used.
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (name, array) in json.as_object().unwrap() {
        let Some(array) = array.as_array() else { continue };
        let mut broken = json.clone();
        broken[name].as_array_mut().unwrap().push(array.first().cloned().unwrap_or(0.into()));
        let table: kinefit::kinematics::batch::table::Table<f32> = serde_json::from_value(broken).unwrap();
        // More numbers than needed harm nothing; they are caught where their count is known.
        if name != "constants" {
            assert!(Program::from_table(table).is_err(), "{name} one longer");
        }
        for i in 0..array.len() {
            let mut broken = json.clone();
            broken[name][i] = 200.into();
            let table: kinefit::kinematics::batch::table::Table<f32> = serde_json::from_value(broken).unwrap();
            if let Ok(program) = Program::from_table(table) {
                let inputs = program.inputs(3);
                program.linearise(&inputs, &mut program.workspace(), |_| {});
                program.forward(
                    &inputs,
                    &mut program.workspace(),
                    &mut Tiles::zeros(0, 0),
                    Some(&mut Tiles::zeros(0, 0)),
                );
            }
        }
    }
    let mut table = table;
    table.format += 1;
    let error = Program::from_table(table).unwrap_err().to_string();
    assert!(error.contains("format 2"), "{error}");
}
