//! Gradients pulled back from markers against the Jacobian they are the transpose of, and against slopes.

mod common;

use common::random::{Pose, kinks, poses, random_skeleton, vector};
use kinefit::fit::default_skeleton;
use kinefit::kinematics::{Frame, Mechanism, PoseGradient, forward};
use kinefit::skeleton::{BodyId, MarkerId, Offsets, ScaleGroup, ScaleGroups, Skeleton, read_model};
use nalgebra::{Rotation3, Vector3};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::Path;

/// A mechanism with scales, offsets, poses, and forces on its markers.
struct Case {
    mechanism: Mechanism,
    scales: Vec<f64>,
    offsets: Offsets,
    poses: Vec<Pose>,
    forces: Vec<Vector3<f64>>,
}

impl Case {
    /// One group for each body along some of its axes, and one for all of them.
    fn new(skeleton: Skeleton, seed: u64) -> Self {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let bodies: Vec<BodyId> = (1..skeleton.bodies.len() as u32).map(BodyId).collect();
        let mut groups: Vec<ScaleGroup> = (bodies.iter())
            .map(|b| ScaleGroup {
                name: format!("{b:?}"),
                prior_sd: None,
                members: vec![(*b, [0; 3].map(|_| rng.random_bool(0.7)))],
            })
            .collect();
        let members = bodies.iter().map(|b| (*b, [true; 3])).collect();
        groups.push(ScaleGroup { name: "all".into(), prior_sd: None, members });
        let poses = poses(&skeleton, 3, 1.5, seed);
        Self {
            scales: groups.iter().map(|_| rng.random_range(-0.2..0.2)).collect(),
            offsets: Offsets(skeleton.markers.iter().map(|_| vector(rng, 0.05)).collect()),
            forces: skeleton.markers.iter().map(|_| vector(rng, 1.0)).collect(),
            mechanism: Mechanism::new(skeleton, ScaleGroups { groups }),
            poses,
        }
    }

    fn forces(&self) -> impl Iterator<Item = (MarkerId, Vector3<f64>)> {
        (0..).map(MarkerId).zip(self.forces.iter().copied())
    }

    fn gradient(
        &self,
        origin: &Vector3<f64>,
        (q, rotors): &Pose,
    ) -> (PoseGradient, kinefit::kinematics::FrameDerivatives) {
        let mut work = self.mechanism.workspace();
        let mut gradient = PoseGradient::zeros(&self.mechanism);
        self.mechanism.linearise_about(
            origin,
            &self.mechanism.scales(&self.scales),
            &self.offsets,
            q,
            rotors,
            &mut work,
        );
        self.mechanism.pull_back_about(origin, &work, self.forces(), &mut gradient);
        (gradient, work)
    }

    /// Work of the forces, a function whose gradient in the markers they are.
    fn work(&self, scales: &[f64], offsets: &Offsets, (q, rotors): &Pose) -> f64 {
        let skeleton = self.mechanism.skeleton();
        let mut frame = Frame::new(skeleton);
        forward(skeleton, &self.mechanism.scales(scales), offsets, q, rotors, &mut frame);
        frame.markers.iter().zip(&self.forces).map(|(p, f)| p.dot(f)).sum()
    }
}

/// Every type of joint of OpenSim, the default body and the sticks with and without rotors, and random skeletons.
fn cases() -> Vec<Case> {
    let joints = read_model(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/every_joint.osim")).unwrap();
    let (body, stick) = (default_skeleton().unwrap(), common::stick().0);
    let mut all = vec![joints.with_rotors(), joints, body.with_rotors(), body, stick.with_rotors(), stick];
    all.extend((0..150).map(|seed| random_skeleton(seed).0));
    all.into_iter().enumerate().map(|(i, skeleton)| Case::new(skeleton, i as u64)).collect()
}

/// Sums of at most some hundreds of products, in another order: 2000 roundings of the sum of their sizes.
fn close(a: f64, b: f64, sizes: f64) -> bool {
    (a - b).abs() <= 2000.0 * f64::EPSILON * sizes
}

#[test]
fn it_is_the_jacobians_transpose() {
    let origin = Vector3::new(0.4, -0.3, 1.1);
    let mut moved = 0;
    for case in cases() {
        let mechanism = &case.mechanism;
        let (paths, groups) = (mechanism.paths(), case.scales.len());
        for pose in &case.poses {
            let (found, work) = case.gradient(&origin, pose);
            let mut by_dof = vec![(0.0, 0.0); mechanism.dofs().len()];
            let mut by_scale = vec![(0.0, 0.0); groups];
            let mut by_group = vec![Vector3::zeros(); groups];
            for (marker, force) in case.forces() {
                let body = mechanism.skeleton().markers[marker.index()].body.index();
                let about = work.frame.markers[marker.index()] - origin;
                for &k in &paths[body] {
                    let (omega, v) = (work.twists[k].fixed_rows::<3>(0), work.twists[k].fixed_rows::<3>(3));
                    let (sum, sizes) = &mut by_dof[mechanism.columns()[k].dof];
                    *sum += (v + omega.cross(&about)).dot(&force);
                    *sizes += (v.norm() + omega.norm() * about.norm()) * force.norm();
                }
                mechanism.marker_by_scale(&work, marker, &mut by_group);
                for ((sum, sizes), d) in by_scale.iter_mut().zip(&by_group) {
                    *sum += d.dot(&force);
                    *sizes += (1.0 + d.norm()) * force.norm();
                }
                let in_body = work.frame.rotations[body].inverse() * force;
                assert!((in_body - found.offsets[marker.index()]).norm() < 1e-14);
            }
            for ((sum, sizes), found) in by_dof.iter().zip(&found.dofs).chain(by_scale.iter().zip(&found.scales)) {
                assert!(close(*sum, *found, *sizes), "{}: {sum} {found}", mechanism.skeleton().name);
                moved += usize::from(*found != 0.0);
            }
        }
    }
    assert!(moved > 2000, "{moved}");
}

/// Central differences with step h: truncation h²/6 of the third derivative, rounding ε·work/h; with h = 1e-5 and derivatives of the functions below 1e3, both
/// under 1e-6. In scales and offsets the markers are linear. Coordinates beside a kink of a function of theirs are left out.
#[test]
fn it_is_the_slope() {
    let h = 1e-5;
    let mut checked = 0;
    for case in cases() {
        let mechanism = &case.mechanism;
        let skeleton = mechanism.skeleton();
        for pose in &case.poses {
            let (found, _) = case.gradient(&Vector3::zeros(), pose);
            let size = 1.0 + case.forces.len() as f64;
            let check = |what: &str, found: f64, at: &dyn Fn(f64) -> f64| {
                let slope = (at(h) - at(-h)) / (2.0 * h);
                assert!(
                    (slope - found).abs() < 1e-6 * (size + found.abs()),
                    "{} {what}: {found} {slope}",
                    skeleton.name
                );
            };
            for (dof, c) in mechanism.dofs().iter().enumerate() {
                if kinks(skeleton, &pose.0, c.index(), h) {
                    continue;
                }
                checked += 1;
                check(&skeleton.coordinates[c.index()].name, found.dofs[dof], &|by| {
                    let mut pose = pose.clone();
                    pose.0[c.index()] += by;
                    skeleton.resolve_couplings(&mut pose.0);
                    for (rotation, first) in pose.1.iter_mut().zip(mechanism.rotor_dofs()) {
                        if (*first..first + 3).contains(&dof) {
                            *rotation = Rotation3::new(by * Vector3::ith(dof - first, 1.0)) * *rotation;
                        }
                    }
                    case.work(&case.scales, &case.offsets, &pose)
                });
            }
            for g in 0..case.scales.len() {
                check(&case.mechanism.groups().groups[g].name, found.scales[g], &|by| {
                    let mut scales = case.scales.clone();
                    scales[g] += by;
                    case.work(&scales, &case.offsets, pose)
                });
            }
            for m in 0..case.forces.len() {
                for i in 0..3 {
                    check(&skeleton.markers[m].name, found.offsets[m][i], &|by| {
                        let mut offsets = case.offsets.clone();
                        offsets.0[m][i] += by;
                        case.work(&case.scales, &offsets, pose)
                    });
                }
            }
        }
    }
    assert!(checked > 1000, "{checked}");
}

/// A dependent coordinate's motion belongs to the one it follows.
#[test]
fn a_coupling_reaches_what_it_follows() {
    let joints = read_model(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/every_joint.osim")).unwrap();
    let followed: Vec<_> = joints.coordinates.iter().filter_map(|c| Some(c.coupling.as_ref()?.independent)).collect();
    assert!(!followed.is_empty());
    let case = Case::new(joints, 1);
    let (found, _) = case.gradient(&Vector3::zeros(), &case.poses[0]);
    for c in followed {
        let dof = case.mechanism.dof_of(c).unwrap();
        assert!(found.dofs[dof].abs() > 1e-6, "{}", case.mechanism.skeleton().coordinates[c.index()].name);
    }
}

#[test]
fn frames_share_scales_and_offsets_alone() {
    let case = Case::new(default_skeleton().unwrap(), 3);
    let mechanism = &case.mechanism;
    let scales = mechanism.scales(&case.scales);
    let (mut work, mut all) = (mechanism.workspace(), PoseGradient::zeros(mechanism));
    let mut sum = PoseGradient::zeros(mechanism);
    for pose in &case.poses {
        mechanism.linearise(&scales, &case.offsets, &pose.0, &pose.1, &mut work);
        mechanism.pull_back(&work, case.forces(), &mut all);
        let (one, _) = case.gradient(&Vector3::zeros(), pose);
        assert_eq!(one.dofs, all.dofs);
        sum.add_shared(&one);
    }
    for (a, b) in sum.scales.iter().zip(&all.scales) {
        assert!((a - b).abs() < 1e-12 * (1.0 + a.abs()));
    }
    assert_eq!(sum.offsets.len(), all.offsets.len());
    for (a, b) in sum.offsets.iter().zip(&all.offsets) {
        assert!((a - b).norm() < 1e-14);
    }
    // Half a force twice is the force; no force, no gradient in the pose.
    let mut halves = PoseGradient::zeros(mechanism);
    let half = || case.forces().map(|(m, f)| (m, f * 0.5));
    mechanism.pull_back(&work, half().chain(half()), &mut halves);
    for (a, b) in halves.dofs.iter().zip(&all.dofs) {
        assert!((a - b).abs() < 1e-12 * (1.0 + a.abs()));
    }
    let before = all.clone();
    mechanism.pull_back(&work, [], &mut all);
    assert!(all.dofs.iter().all(|d| *d == 0.0));
    assert_eq!((all.scales, all.offsets), (before.scales, before.offsets));
}
