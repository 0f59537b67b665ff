//! Where every marker is in many frames at once, and how long that takes.
//!
//!     cargo run --release --example 08_many_frames_at_once [MODEL [FRAMES]]
//!
//! Without a model it takes the built-in body. Every coordinate swings as `0.5·sin(0.05·frame + index)`, radians or metres. One core; the fastest of many runs, because whatever else the
//! machine does only makes one slower. `benches/peers/forward_kinematics.py` runs it beside MuJoCo.

use kinefit::fit::default_skeleton;
use kinefit::kinematics::batch::Program;
use kinefit::kinematics::{Frame, forward};
use kinefit::math::lanes::Tiles;
use kinefit::skeleton::{Offsets, Scales, Skeleton, read_model};
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

/// Seconds that runs are repeated for.
const REPEATED_S: f64 = 1.0;

fn main() -> kinefit::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let skeleton = match arguments.next() {
        Some(path) => read_model(Path::new(&path))?,
        None => default_skeleton()?,
    };
    let frames = arguments.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0).unwrap_or(512);
    let (scales, offsets) = (Scales::ones(&skeleton), Offsets::zeros(&skeleton));
    let program = Program::<f64>::new(&skeleton, &scales, &offsets);
    let poses: Vec<Vec<f64>> = (0..frames).map(|frame| pose(&skeleton, frame)).collect();
    let mut inputs = program.inputs(frames);
    for (frame, q) in poses.iter().enumerate() {
        program.set(&mut inputs, frame, q, &skeleton.rotor_rotations(q));
    }
    let (mut workspace, mut markers) = (program.workspace(), Tiles::zeros(0, 0));
    let batch_us = fastest_us(frames, || {
        program.forward(black_box(&inputs), &mut workspace, &mut markers, None);
        black_box(&markers);
    });

    // The same one frame after the other, and how far the two are apart.
    let rotors: Vec<_> = poses.iter().map(|q| skeleton.rotor_rotations(q)).collect();
    let mut frame = Frame::new(&skeleton);
    let single_us = fastest_us(frames, || {
        for (q, rotors) in poses.iter().zip(&rotors) {
            forward(&skeleton, &scales, &offsets, black_box(q), rotors, &mut frame);
            black_box(&frame);
        }
    });
    let mut apart_m = 0.0f64;
    for (f, (q, rotors)) in poses.iter().zip(&rotors).enumerate() {
        forward(&skeleton, &scales, &offsets, q, rotors, &mut frame);
        for (m, place) in frame.markers.iter().enumerate() {
            apart_m = apart_m.max((markers.vector(m, f) - place).norm());
        }
    }
    println!(
        "{}: {} coordinates, {} markers, {frames} frames\nall frames at once   {batch_us:.3} µs a frame\none after the other  {single_us:.3} µs a frame\napart by at most     {apart_m:.1e} m",
        skeleton.name,
        skeleton.coordinates.len(),
        skeleton.markers.len()
    );
    Ok(())
}

fn pose(skeleton: &Skeleton, frame: usize) -> Vec<f64> {
    let swing = |i: usize| 0.5 * (0.05 * frame as f64 + i as f64).sin();
    let mut q: Vec<f64> = (0..skeleton.coordinates.len()).map(swing).collect();
    skeleton.resolve_couplings(&mut q);
    q
}

/// Microseconds a frame in the fastest run.
fn fastest_us(frames: usize, mut run: impl FnMut()) -> f64 {
    let (begun, mut fastest) = (Instant::now(), Duration::MAX);
    while begun.elapsed().as_secs_f64() < REPEATED_S {
        let start = Instant::now();
        run();
        fastest = fastest.min(start.elapsed());
    }
    1e6 * fastest.as_secs_f64() / frames as f64
}
