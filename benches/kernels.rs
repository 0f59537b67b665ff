//! The inner loops: projection, forward kinematics, trajectories, the arrow solver.
//!
//!     cargo bench --bench kernels

mod common;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use kinefit::kinematics::batch::Program;
use kinefit::kinematics::{Frame, forward};
use kinefit::math::lanes::{Real, Tiles};
use kinefit::skeleton::{Offsets, Scales, Skeleton};
use kinefit::trajectory::{LocalTrajectory, Trajectory};
use std::hint::black_box;

fn projection(c: &mut Criterion) {
    let points = common::points(1024);
    let mut group = c.benchmark_group("project_with_derivatives");
    group.throughput(Throughput::Elements(points.len() as u64));
    for (name, projector) in common::lenses() {
        group.bench_function(name, |b| {
            b.iter(|| {
                for p in &points {
                    black_box(projector.project_with_derivatives(black_box(p)));
                }
            });
        });
    }
}

fn kinematics(c: &mut Criterion) {
    let made = common::session(60, 30.0);
    let mechanism = common::mechanism();
    let skeleton = mechanism.skeleton();
    let scales = mechanism.scales(&vec![0.01; mechanism.groups().groups.len()]);
    let offsets = Offsets::zeros(skeleton);
    let pose = common::pose(&made, &mechanism, 30);

    let mut group = c.benchmark_group("kinematics");
    let mut frame = Frame::new(skeleton);
    group.bench_function("forward", |b| {
        b.iter(|| {
            forward(skeleton, &scales, &offsets, black_box(&pose.q), &pose.rotors, &mut frame);
            black_box(&frame);
        });
    });
    let mut work = mechanism.workspace();
    group.bench_function("linearise", |b| {
        b.iter(|| {
            mechanism.linearise(&scales, &offsets, black_box(&pose.q), &pose.rotors, &mut work);
            black_box(&work);
        });
    });
}

/// Time per frame of many frames on one core: `markers/512` stay in the cache as inputs and results do, `jacobian/512` a tile at a time.
fn batch(c: &mut Criterion) {
    fn measure<T: Real>(c: &mut Criterion, body: &str, skeleton: &Skeleton) {
        const FRAMES: usize = 512;
        let program = Program::<T>::new(skeleton, &Scales::ones(skeleton), &Offsets::zeros(skeleton));
        let inputs = common::walk(&program, skeleton, FRAMES);
        let (mut work, mut markers) = (program.workspace(), Tiles::zeros(0, 0));
        let mut group = c.benchmark_group(format!("batch/{body}/{}", std::any::type_name::<T>()));
        group.throughput(Throughput::Elements(FRAMES as u64));
        group.bench_function("markers/512", |b| {
            b.iter(|| {
                program.forward(black_box(&inputs), &mut work, &mut markers, None);
                black_box(&markers);
            });
        });
        group.bench_function("jacobian/512", |b| {
            b.iter(|| {
                program.linearise(black_box(&inputs), &mut work, |tile| {
                    black_box(tile);
                })
            });
        });
    }
    let mut bodies = vec![("default", common::mechanism().skeleton().clone())];
    bodies.extend(common::humanoid().map(|skeleton| ("humanoid_87", skeleton)));
    for (name, skeleton) in &bodies {
        measure::<f64>(c, name, skeleton);
        measure::<f32>(c, name, skeleton);
    }
}

fn trajectory(c: &mut Criterion) {
    let made = common::session(60, 30.0);
    let mechanism = common::mechanism();
    let spline = common::trajectory(&made, &mechanism, 1.0 / 30.0);
    let layout = spline.layout().clone();

    let mut group = c.benchmark_group("spline");
    let mut pose = layout.default_pose();
    group.bench_function("pose", |b| b.iter(|| spline.pose(black_box(0.917), &mut pose)));
    let mut weights = layout.weights();
    group.bench_function("weights", |b| b.iter(|| spline.weights(black_box(0.917), &mut weights)));
}

fn arrow(c: &mut Criterion) {
    // Five seconds of controls, the built-in body, and the shared parameters of 87 markers and eight cameras.
    let arrow = common::arrow(153, 40, 317);
    let factor = arrow.clone().factor().expect("positive definite");
    let mut group = c.benchmark_group("arrow");
    group.sample_size(20);
    group.bench_function("factor", |b| b.iter_batched(|| arrow.clone(), |a| a.factor(), BatchSize::LargeInput));
    group.bench_function("solve", |b| b.iter(|| factor.solve()));
    group.bench_function("covariance", |b| {
        b.iter_batched(|| factor.clone(), |f| f.into_covariance(), BatchSize::LargeInput);
    });
}

criterion_group!(kernels, projection, kinematics, batch, trajectory, arrow);
criterion_main!(kernels);
