//! Small models of our own, against closed forms and committed references of the engines; writing and reading back.

mod either;
mod mujoco;
mod opensim;

use kinefit::kinematics::{Frame, forward};
use kinefit::skeleton::{Offsets, Scales, Skeleton};
use nalgebra::{Matrix3, Vector3};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn rows(v: &Value) -> Vec<Vec<f64>> {
    v.as_array().unwrap().iter().map(numbers).collect()
}

fn kinematics(skeleton: &Skeleton, scales: &Scales, offsets: &Offsets, q: &[f64]) -> Frame {
    let mut frame = Frame::new(skeleton);
    forward(skeleton, scales, offsets, q, &skeleton.rotor_rotations(q), &mut frame);
    frame
}

/// The largest difference between a frame and a pose of a reference.
fn difference(skeleton: &Skeleton, frame: &Frame, pose: &Value) -> f64 {
    let mut worst = 0.0f64;
    let bodies = pose["bodies"].as_object().unwrap();
    for (name, body) in bodies {
        let b = skeleton.body(name).unwrap().index();
        worst = worst.max((frame.origins[b] - Vector3::from_column_slice(&numbers(&body["p"]))).norm());
        let rows: Vec<f64> = body["R"].as_array().unwrap().iter().flat_map(numbers).collect();
        worst = worst.max((frame.rotations[b].matrix() - Matrix3::from_row_slice(&rows)).abs().max());
    }
    let markers = pose["markers"].as_object().unwrap();
    for (name, point) in markers {
        let m = skeleton.marker(name).unwrap().index();
        worst = worst.max((frame.markers[m] - Vector3::from_column_slice(&numbers(point))).norm());
    }
    worst
}

fn scales_of(skeleton: &Skeleton, factors: &Value) -> Scales {
    let mut scales = Scales::ones(skeleton);
    for (body, factor) in factors.as_object().unwrap() {
        scales.0[skeleton.body(body).unwrap().index()].copy_from_slice(&numbers(factor));
    }
    scales
}

/// A chain of some ten joints: rounding stays far below this.
const ROUNDING: f64 = 1e-12;

/// A planar arm of two links in each format: shoulder at (0, 1, 0), elbow 0.3 further along x, marker 0.25 beyond that.
const ARM: &str = r#"<OpenSimDocument Version="40500"><Model name="arm">
<BodySet><objects><Body name="forearm"/><Body name="upper"/></objects></BodySet>
<JointSet><objects>
<PinJoint name="elbow"><socket_parent_frame>at_upper</socket_parent_frame><socket_child_frame>/bodyset/forearm</socket_child_frame>
<coordinates><Coordinate name="elbow_angle"><range>0 2.5</range><clamped>true</clamped></Coordinate></coordinates>
<frames><PhysicalOffsetFrame name="at_upper"><socket_parent>/bodyset/upper</socket_parent><translation>0.3 0 0</translation></PhysicalOffsetFrame></frames></PinJoint>
<PinJoint name="shoulder"><socket_parent_frame>at_ground</socket_parent_frame><socket_child_frame>/bodyset/upper</socket_child_frame>
<coordinates><Coordinate name="shoulder_angle"><default_value>0.5</default_value></Coordinate></coordinates>
<frames><PhysicalOffsetFrame name="at_ground"><socket_parent>/ground</socket_parent><translation>0 1 0</translation></PhysicalOffsetFrame></frames></PinJoint>
</objects></JointSet>
<MarkerSet><objects><Marker name="wrist"><socket_parent_frame>/bodyset/forearm</socket_parent_frame><location>0.25 0 0</location></Marker></objects></MarkerSet>
</Model></OpenSimDocument>"#;

/// A hinge and a slide with anchors and polynomial followers, in the shape both formats have.
const LEG: &str = r#"<mujoco model="a leg"><compiler angle="radian"/><worldbody>
<body name="pelvis" pos="0 0 1" quat="1 1 0 0"><freejoint name="root"/><site name="hip left" pos="0 0.1 0.1"/>
<body name="thigh" pos="0.1 -0.2 0.05"><joint name="flexion" axis="0 0 1" range="-1 1"/><joint name="adduction" axis="1 0 0"/><site name="knee" pos="0 -0.4 0"/>
<body name="shank" pos="0 -0.4 0"><joint name="up" type="slide" axis="0 1 0"/><joint name="knee" axis="0 0 1" pos="0.01 0.02 0" ref="0.2" range="-2 0.2"/><site name="ankle" pos="0 -0.4 0"/>
<body name="foot" pos="0 -0.4 0.1" euler="0.1 0.2 0.3"><site name="toe" pos="0.2 0 0"/></body></body></body></body></worldbody>
<equality><joint joint1="up" joint2="knee" polycoef="0.01 0.02 -0.01 0.003 0.001"/></equality></mujoco>"#;

/// Coordinates within their ranges, couplings kept.
fn some_pose(skeleton: &Skeleton, seed: f64) -> Vec<f64> {
    let mut q: Vec<f64> = skeleton
        .coordinates
        .iter()
        .enumerate()
        .map(|(i, c)| {
            let [low, high] = c.range.unwrap_or([-0.7, 0.7]);
            if c.locked { c.default } else { low + (high - low) * (0.5 + 0.5 * (seed + 1.7 * i as f64).sin()) }
        })
        .collect();
    skeleton.resolve_couplings(&mut q);
    q
}

/// Uneven factors and offsets.
fn some_subject(skeleton: &Skeleton) -> (Scales, Offsets) {
    let mut scales = Scales::ones(skeleton);
    for (b, factors) in scales.0.iter_mut().enumerate().skip(1) {
        *factors = [0, 1, 2].map(|k| 1.0 + 0.2 * (1.3 * b as f64 + f64::from(k)).sin());
    }
    let offsets = (0..skeleton.markers.len()).map(|m| Vector3::repeat(0.01 * (m as f64).cos())).collect();
    (scales, Offsets(offsets))
}

/// The written model, unscaled, moves as the original does scaled.
fn moves_the_same(original: &Skeleton, scales: &Scales, offsets: &Offsets, written: &Skeleton) {
    let (ones, zeros) = (Scales::ones(written), Offsets::zeros(written));
    assert_eq!(original.markers.len(), written.markers.len());
    for seed in [0.1, 0.9, 2.3] {
        let q = some_pose(original, seed);
        let mut same = some_pose(written, seed);
        for (value, c) in same.iter_mut().zip(&written.coordinates) {
            if let Some(c) = original.coordinate(&c.name) {
                *value = q[c.index()];
            }
        }
        written.resolve_couplings(&mut same);
        let (a, b) = (kinematics(original, scales, offsets, &q), kinematics(written, &ones, &zeros, &same));
        for (m, marker) in original.markers.iter().enumerate() {
            // OpenSim spells names without spaces.
            let found = written.marker(&marker.name).or_else(|| written.marker(&marker.name.replace(' ', "_")));
            let there = b.markers[found.unwrap().index()];
            assert!((a.markers[m] - there).norm() < ROUNDING, "{}: {} {there}", marker.name, a.markers[m]);
        }
        for (i, body) in original.bodies.iter().enumerate().skip(1) {
            let j = written.body(&body.name).unwrap().index();
            assert!((a.rotations[i].matrix() - b.rotations[j].matrix()).abs().max() < ROUNDING, "{}", body.name);
        }
    }
}
