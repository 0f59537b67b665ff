//! Inverse kinematics of single frames: against OpenSim's own results, and against poses that are known.

use kinefit::fit::{IkFit, default_skeleton, inverse_kinematics};
use kinefit::kinematics::{Frame, Mechanism, forward};
use kinefit::session::markers::{self, MarkerTrial};
use kinefit::session::tasks::{CoordinateTask, IkTasks, MarkerTask, Target};
use kinefit::skeleton::{MarkerId, Motion, Offsets, ScaleGroups, Scales, Skeleton, read_model, read_model_str};
use kinefit::solve::InverseKinematics;
use rand::{Rng, SeedableRng};
use serde::Deserialize;
use std::path::PathBuf;

mod deviations;
mod opensim;
mod ranges;

fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("KINEFIT_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from);
    if !folder.join("data/trials").is_dir() {
        eprintln!("skipped: no recordings at {}", folder.display());
        return None;
    }
    Some(folder.join("data"))
}

/// The deviation of the heaviest marker that the errors of a whole trial tell, metres per axis.
fn noise(fit: &IkFit, skeleton: &Skeleton) -> f64 {
    let dofs = skeleton.coordinates.iter().filter(|c| !c.locked && c.coupling.is_none()).count();
    let heaviest = fit.weights.iter().copied().fold(0.0, f64::max);
    let (mut sum, mut left) = (0.0, 0);
    for frame in &fit.frames {
        left += 3 * frame.squared.iter().flatten().count() - dofs;
        sum += frame.squared.iter().zip(&fit.weights).filter_map(|(s, w)| Some((*s)? * w / heaviest)).sum::<f64>();
    }
    (sum / left as f64).sqrt()
}

/// The built-in body, frames of a smooth movement, and where its markers are.
fn known(frames: usize, seed: u64) -> (Skeleton, Vec<Vec<f64>>, MarkerTrial) {
    let skeleton = default_skeleton().unwrap();
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let waves: Vec<[f64; 3]> = skeleton
        .coordinates
        .iter()
        .map(|_| [rng.random_range(0.0..1.0), rng.random_range(0.5..2.0), rng.random_range(0.0..6.0)])
        .collect();
    let (mut poses, mut positions) = (Vec::new(), Vec::new());
    let mut frame = Frame::new(&skeleton);
    for f in 0..frames {
        let t = f as f64 / 60.0;
        let mut q: Vec<f64> = skeleton
            .coordinates
            .iter()
            .zip(&waves)
            .map(|(c, [size, rate, phase])| {
                if c.locked {
                    return c.default;
                }
                let s = 0.5 + 0.5 * size * (rate * t + phase).sin();
                match c.range {
                    Some([low, high]) => low + (high - low) * (0.1 + 0.8 * s),
                    None => c.default + 0.6 * (s - 0.5),
                }
            })
            .collect();
        skeleton.resolve_couplings(&mut q);
        let (scales, offsets) = (Scales::ones(&skeleton), Offsets::zeros(&skeleton));
        forward(&skeleton, &scales, &offsets, &q, &skeleton.rotor_rotations(&q), &mut frame);
        positions.extend(frame.markers.iter().map(|p| Some(*p)));
        poses.push(q);
    }
    let trial = MarkerTrial {
        label: "walks/made.trc".into(),
        names: skeleton.markers.iter().map(|m| m.name.clone()).collect(),
        rate_hz: 60.0,
        first_frame: 1,
        times: (0..frames).map(|f| f as f64 / 60.0).collect(),
        positions,
        up: None,
    };
    (skeleton, poses, trial)
}

#[test]
fn exact_markers_give_the_pose_back() {
    let (skeleton, poses, trial) = known(40, 7);
    let fit = inverse_kinematics(&trial, &skeleton, None, None).unwrap();
    for (f, frame) in fit.frames.iter().enumerate() {
        // The descent ends where it promises less than a nanometre, squared.
        assert!(frame.converged && frame.cost < 1e-15, "frame {f}: {:e}", frame.cost);
    }
    let work = &fit.q;
    let mut determined = 0;
    for (c, coordinate) in skeleton.coordinates.iter().enumerate() {
        let differs = |f: usize| (work[f][c] - poses[f][c]).abs();
        let worst = (0..poses.len()).map(differs).fold(0.0, f64::max);
        // √1e-15 m over the arm of the best marker (a centimetre at least).
        if worst < 1e-5 {
            determined += 1;
        } else {
            eprintln!("{}: {worst:e}", coordinate.name);
        }
    }
    // The built-in marker sets, all together, tell every coordinate.
    assert_eq!(determined, skeleton.coordinates.len());
}

#[test]
fn gaps_are_gaps() {
    let (skeleton, _, whole) = known(12, 3);
    let mut trial = whole.clone();
    let n = trial.names.len();
    for f in 0..12 {
        for m in 0..n {
            // Frame 4 has nothing, frame 7 one marker, elsewhere every ninth is missing.
            if f == 4 || (f == 7 && m != 5) || (m + f) % 9 == 0 {
                trial.positions[f * n + m] = None;
            }
        }
    }
    let fit = inverse_kinematics(&trial, &skeleton, None, None).unwrap();
    assert_eq!(fit.q.len(), 12);
    assert_eq!(fit.frames[4].rms(), None);
    assert_eq!(fit.q[4], fit.q[3], "a frame without markers stays where the one before was");
    assert!(fit.q.iter().flatten().all(|v| v.is_finite()));
    for f in [0, 3, 5, 8, 11] {
        assert!(fit.frames[f].cost < 1e-15, "frame {f}: {:e}", fit.frames[f].cost);
    }
}

#[test]
fn nothing_in_common_is_an_error_that_says_so() {
    let (skeleton, _, mut trial) = known(2, 1);
    for name in trial.names.iter_mut().skip(2) {
        name.insert_str(0, "other_");
    }
    let error = inverse_kinematics(&trial, &skeleton, None, None).unwrap_err().to_string();
    assert!(error.starts_with("walks/made.trc: 2 of the trial's") && error.contains("--marker-set"), "{error}");
}

#[test]
fn a_bad_frame_spoils_no_other() {
    let (skeleton, _, trial) = known(12, 5);
    let whole = inverse_kinematics(&trial, &skeleton, None, None).unwrap();
    let n = trial.names.len();
    for wrong in [3.0, 50.0, 5000.0] {
        let mut bad = trial.clone();
        for m in (0..n).step_by(7) {
            bad.positions[4 * n + m].as_mut().unwrap().x += wrong;
        }
        let fit = inverse_kinematics(&bad, &skeleton, None, None).unwrap();
        for f in (0..12).filter(|f| *f != 4) {
            assert!(
                fit.frames[f].converged && fit.frames[f].cost < 1e-15,
                "{wrong} m, frame {f}: {:?}",
                fit.frames[f].cost
            );
        }
        assert!(fit.q.iter().flatten().all(|v| v.is_finite()) && fit.q.len() == whole.q.len());
    }
}

#[test]
fn absurd_tasks_end_and_say_so() {
    let (skeleton, _, trial) = known(3, 9);
    let tasks = |coordinate: &str, weight: f64, value: f64| IkTasks {
        markers: trial.names.iter().map(|n| MarkerTask { name: n.clone(), apply: true, weight: 1.0 }).collect(),
        coordinates: vec![CoordinateTask {
            name: coordinate.into(),
            apply: true,
            weight,
            target: Target::Manual(value),
        }],
    };
    for (weight, value) in [(1.0, 1e200), (1e308, 50.0), (1.0, 1e9), (1e-300, 1.0)] {
        for coordinate in ["knee_angle_r", "pelvis_rotation", "pelvis_tx"] {
            let fit = inverse_kinematics(&trial, &skeleton, Some(&tasks(coordinate, weight, value)), None).unwrap();
            assert!(fit.frames.iter().all(|f| f.cost.is_finite() || !f.converged), "{coordinate} {weight} {value}");
        }
    }
    // A goal that nothing can reach takes nothing from the markers.
    let mut locked = skeleton.clone();
    let knee = locked.coordinate("knee_angle_r").unwrap().index();
    locked.coordinates[knee].locked = true;
    let at = |weight: f64| {
        let fit = inverse_kinematics(&trial, &locked, Some(&tasks("knee_angle_r", weight, 1.0)), None).unwrap();
        fit.frames.iter().map(|f| f.rms().unwrap()).collect::<Vec<_>>()
    };
    for (light, heavy) in at(1e-9).iter().zip(at(1e5)) {
        // The stop rule leaves 1e-9 of the markers' objective, and the rounding of 1e5 leaves 1e-10 m² of it.
        assert!((light - heavy).abs() < 1e-4 * light + 2e-5, "{light} {heavy}");
    }
}

#[test]
fn kilometres_and_nothing_at_all_are_errors() {
    let (skeleton, _, trial) = known(2, 1);
    let mut far = trial.clone();
    far.positions[5] = Some(nalgebra::Vector3::new(1e7, 0.0, 0.0));
    let error = inverse_kinematics(&far, &skeleton, None, None).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("walks/made.trc, marker `{}`", trial.names[5])) && error.contains("unit"),
        "{error}"
    );
    let mut none = trial.clone();
    none.positions.fill(None);
    let error = inverse_kinematics(&none, &skeleton, None, None).unwrap_err().to_string();
    assert!(error.starts_with("walks/made.trc: no frame holds any marker"), "{error}");
}

/// Two bodies on ground; `{joints}` go between, four markers sit on each.
fn chain(joints: &str, constraints: &str) -> Skeleton {
    let markers: String = [("a", "0.1 0.2 0.3"), ("b", "-0.2 0.1 0"), ("c", "0 -0.3 0.1"), ("d", "0.2 0 -0.2")]
        .iter()
        .flat_map(|(name, place)| {
            ["upper", "lower"].map(|body| format!("<Marker name=\"{body}_{name}\"><socket_parent_frame>/bodyset/{body}</socket_parent_frame><location>{place}</location></Marker>"))
        })
        .collect();
    let text = format!(
        "<OpenSimDocument Version=\"40500\"><Model name=\"m\"><BodySet><objects><Body name=\"upper\"/><Body name=\"lower\"/></objects></BodySet><JointSet><objects>{joints}</objects></JointSet><ConstraintSet><objects>{constraints}</objects></ConstraintSet><MarkerSet><objects>{markers}</objects></MarkerSet></Model></OpenSimDocument>"
    );
    read_model_str("m.osim", &text).unwrap()
}

fn joint(kind: &str, name: &str, [parent, child]: [&str; 2], coordinates: &str, rest: &str) -> String {
    format!(
        "<{kind} name=\"{name}\"><socket_parent_frame>{parent}</socket_parent_frame><socket_child_frame>{child}</socket_child_frame><coordinates>{coordinates}</coordinates>{rest}</{kind}>"
    )
}

fn coordinate(name: &str, range: &str) -> String {
    format!("<Coordinate name=\"{name}\"><range>{range}</range><clamped>true</clamped></Coordinate>")
}

/// One frame of a trial: the markers of a pose.
fn seen_at(skeleton: &Skeleton, q: &[f64]) -> MarkerTrial {
    let mut frame = Frame::new(skeleton);
    let (scales, offsets) = (Scales::ones(skeleton), Offsets::zeros(skeleton));
    forward(skeleton, &scales, &offsets, q, &skeleton.rotor_rotations(q), &mut frame);
    MarkerTrial {
        label: "made".into(),
        names: skeleton.markers.iter().map(|m| m.name.clone()).collect(),
        rate_hz: 50.0,
        first_frame: 1,
        times: vec![0.0],
        positions: frame.markers.iter().copied().map(Some).collect(),
        up: None,
    }
}

/// The objective of a pose of [`seen_at`]'s markers.
fn objective(skeleton: &Skeleton, q: &[f64], trial: &MarkerTrial) -> f64 {
    let here = seen_at(skeleton, q);
    let apart = here.positions.iter().zip(&trial.positions).map(|(a, b)| (a.unwrap() - b.unwrap()).norm_squared());
    apart.sum::<f64>() / trial.names.len() as f64
}

/// Tasks of coordinates that pull against the markers: on the way a pose that is turned over is better for some frames, and must not be held when it no longer is. Objectives of OpenSim 4.6, accuracy 1e-8.
#[test]
fn tasks_against_the_markers_turn_no_pose_over_for_good() {
    let Some(data) = shared() else { return };
    let folder = data.join("trials/core_gait2354");
    let skeleton = read_model(&folder.join("std_subject01_simbody.osim")).unwrap();
    let trial = markers::read(&folder.join("subject01_synthetic_marker_data.trc")).unwrap();
    let weights = [
        (0.5, "R.ASIS L.ASIS R.Toe.Med R.Toe.Tip L.Thigh.Front L.Shank.Upper"),
        (
            1.0,
            "Sternum R.Acromium R.Thigh.Front R.Thigh.Rear R.Heel R.Midfoot.Sup R.Midfoot.Lat L.Thigh.Upper L.Toe.Med",
        ),
        (2.0, "L.Acromium R.Thigh.Upper L.Thigh.Rear L.Shank.Front L.Toe.Tip"),
        (
            10.0,
            "Top.Head V.Sacral R.Shank.Upper R.Shank.Front R.Shank.Rear R.Toe.Lat L.Shank.Rear L.Heel L.Midfoot.Sup L.Midfoot.Lat L.Toe.Lat",
        ),
    ];
    let of_weight = |(weight, names): &(f64, &str)| {
        let task = |name: &str| MarkerTask { name: name.into(), apply: true, weight: *weight };
        names.split(' ').map(task).collect::<Vec<_>>()
    };
    let goal = |name: &str, weight, value| CoordinateTask {
        name: name.into(),
        apply: true,
        weight,
        target: Target::Manual(value),
    };
    let tasks = IkTasks {
        markers: weights.iter().flat_map(of_weight).collect(),
        coordinates: vec![goal("knee_angle_r", 2.0, -0.3), goal("pelvis_tilt", 0.05, 0.2), goal("pelvis_ty", 1.0, 0.9)],
    };
    let fit = inverse_kinematics(&trial, &skeleton, Some(&tasks), None).unwrap();
    for (frame, theirs) in [
        (0, 3.169_888_332e-3),
        (6, 1.765_131_009e-3),
        (12, 1.812_571_120e-3),
        (18, 1.333_098_210e-3),
        (24, 1.342_278_980e-3),
        (30, 1.665_017_168e-3),
        (42, 1.884_025_849e-3),
        (60, 1.823_327_445e-3),
    ] {
        let ours = fit.frames[frame].cost;
        assert!(ours <= theirs * (1.0 + 1e-6), "frame {frame}: {ours:e} over {theirs:e}");
    }
}
