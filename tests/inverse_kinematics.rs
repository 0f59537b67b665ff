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

fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("KINEFIT_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from);
    if !folder.join("data/trials").is_dir() {
        eprintln!("skipped: no recordings at {}", folder.display());
        return None;
    }
    Some(folder.join("data"))
}

/// OpenSim's inverse kinematics, made with its accuracy at 1e-7 or better.
#[derive(Deserialize)]
struct Reference {
    time: Vec<f64>,
    coordinates: Vec<String>,
    q: Vec<Vec<f64>>,
    markers: Vec<String>,
    weights: Vec<f64>,
    weighted_cost: Vec<f64>,
    sq_err_m2: Vec<Vec<f64>>,
}

/// Fits with the reference's weights, and holds the objective against OpenSim's in every frame.
fn against_opensim(model: &str, trc: &str, reference: &str) {
    let Some(data) = shared() else { return };
    let skeleton = read_model(&data.join(model)).unwrap();
    let trial = markers::read(&data.join(trc)).unwrap();
    let reference: Reference = serde_json::from_str(&std::fs::read_to_string(data.join(reference)).unwrap()).unwrap();
    let tasks = IkTasks {
        markers: reference
            .markers
            .iter()
            .zip(&reference.weights)
            .map(|(name, weight)| MarkerTask { name: name.clone(), apply: true, weight: *weight })
            .collect(),
        coordinates: Vec::new(),
    };
    let fit = inverse_kinematics(&trial, &skeleton, Some(&tasks), None).unwrap();
    assert_eq!(fit.frames.len(), reference.time.len());
    let mut worst = f64::NEG_INFINITY;
    for (f, frame) in fit.frames.iter().enumerate() {
        // Both as plain sums: OpenSim's objective times the weight that is seen, which is the same in both.
        let ours: f64 = frame.squared.iter().zip(&fit.weights).filter_map(|(s, w)| Some((*s)? * w)).sum();
        let theirs = reference.weighted_cost[f];
        worst = worst.max(ours / theirs - 1.0);
        assert!(
            ours <= theirs * (1.0 + 1e-6) + 1e-12,
            "frame {f} at {} s: {ours:e} m² over {theirs:e}",
            trial.times[f]
        );
        assert!(frame.converged, "frame {f}");
    }
    // Markers are where OpenSim has them, as far as it has come: near the least of a sum of squares, what is above it is the sum of the squares of the
    // distances from there (half as much again for the curvature that is left out), and the nanometres that its own accuracy leaves.
    let mut furthest: f64 = 0.0;
    for (f, frame) in fit.frames.iter().enumerate() {
        let ours: f64 = frame.squared.iter().zip(&fit.weights).filter_map(|(s, w)| Some((*s)? * w)).sum();
        let allowed = 1.5 * (reference.weighted_cost[f] - ours).max(0.0).sqrt() + 1e-6;
        for (i, marker) in fit.markers.iter().enumerate() {
            let name = &skeleton.markers[marker.index()].name;
            let (Some(squared), Some(k)) = (frame.squared[i], reference.markers.iter().position(|m| m == name)) else {
                continue;
            };
            let apart = (squared.sqrt() - reference.sq_err_m2[f][k].sqrt()).abs();
            furthest = furthest.max(apart);
            assert!(apart <= allowed, "frame {f}, {name}: {apart:e} m, {allowed:e} allowed");
        }
    }
    // Angles agree to 0.05°, but where OpenSim's own objective says that it has not come to the end: a coordinate whose variance is C per unit of the markers' is
    // within √(C·gap) of the least, with half as much again for the curvature that is left out. Those that the markers do not tell are reported.
    let whole = fit.unobserved.iter().filter(|u| u.frames == u.of);
    let unobserved: Vec<&str> = whole.map(|u| skeleton.coordinates[u.coordinate.index()].name.as_str()).collect();
    let noise = noise(&fit, &skeleton);
    let mut beyond = Vec::new();
    for (k, name) in reference.coordinates.iter().enumerate() {
        let c = skeleton.coordinate(name).unwrap().index();
        if skeleton.coordinates[c].motion != Motion::Rotational || unobserved.contains(&name.as_str()) {
            continue;
        }
        let (mut differs, mut explained) = (0.0, 0.0);
        for f in 0..fit.q.len() {
            let ours: f64 = fit.frames[f].squared.iter().zip(&fit.weights).filter_map(|(s, w)| Some((*s)? * w)).sum();
            let per_noise = fit.q_sd[f][c].unwrap_or(0.0) / noise;
            differs += (fit.q[f][c] - reference.q[f][k]).powi(2);
            explained += per_noise * per_noise * (reference.weighted_cost[f] - ours).max(0.0);
        }
        let rms = |sum: f64| (sum / fit.q.len() as f64).sqrt().to_degrees();
        let (differs, explained) = (rms(differs), rms(explained));
        assert!(differs <= 0.05 || differs <= 1.5 * explained, "{name}: {differs}°, of which {explained}° explained");
        if differs > 0.05 {
            beyond.push(format!("{name} {differs:.3} (at most {explained:.3} from where OpenSim stopped)"));
        }
    }
    eprintln!("{model}: unobserved {unobserved:?}; beyond 0.05°: {beyond:?}");
    let angles = angle_differences(&fit, &skeleton, &reference);
    let iterations: usize = fit.frames.iter().map(|f| f.iterations).sum();
    eprintln!(
        "{model}: objective at most {worst:+.1e} of OpenSim's; marker errors differ by at most {:.4} mm; {:.1} steps a frame; angles (RMS, °): {}",
        1e3 * furthest,
        iterations as f64 / fit.frames.len() as f64,
        angles.iter().map(|(n, d)| format!("{n} {d:.4}")).collect::<Vec<_>>().join(", ")
    );
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

/// Root mean square difference of each rotational coordinate, degrees, largest first, those above 0.01°.
fn angle_differences(fit: &IkFit, skeleton: &Skeleton, reference: &Reference) -> Vec<(String, f64)> {
    let mut all = Vec::new();
    for (k, name) in reference.coordinates.iter().enumerate() {
        let Some(c) = skeleton.coordinate(name) else { continue };
        if skeleton.coordinates[c.index()].motion != Motion::Rotational {
            continue;
        }
        let sum: f64 = fit.q.iter().zip(&reference.q).map(|(a, b)| (a[c.index()] - b[k]).powi(2)).sum();
        all.push((name.clone(), (sum / fit.q.len() as f64).sqrt().to_degrees()));
    }
    all.retain(|a| a.1 > 0.01);
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all
}

#[test]
fn rajagopal_walk_as_opensim() {
    against_opensim(
        "models/rajagopal_subject_walk_scaled_v40500.osim",
        "trials/rajagopal_walk/markers_walk.trc",
        "trials/rajagopal_walk/ik_opensim46_uniform.json",
    );
}

#[test]
fn subject4_as_opensim() {
    against_opensim(
        "trials/subject4/manually_scaled_stripped.osim",
        "trials/subject4/walking1.trc",
        "trials/subject4/ik_opensim46_manual_walking1_uniform.json",
    );
}

#[test]
fn gait2354_as_opensim() {
    against_opensim(
        "models/gait2354_subject01_scaled_v20303.osim",
        "trials/core_gait2354/subject01_synthetic_marker_data.trc",
        "trials/core_gait2354/ik_opensim46_accuracy1e-9.json",
    );
}

#[test]
fn arnold_as_opensim() {
    against_opensim(
        "trials/arnold_synthetic_subject01/subject01_truth_stripped.osim",
        "trials/arnold_synthetic_subject01/markers.trc",
        "trials/arnold_synthetic_subject01/truth_motion_opensim46_ik.json",
    );
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

/// Markers with noise of a known size: the angles err as their deviations say.
#[test]
fn deviations_are_those_of_the_errors() {
    let (skeleton, poses, mut trial) = known(60, 5);
    let exact = inverse_kinematics(&trial, &skeleton, None, None).unwrap();
    let largest = exact.q_sd.iter().flatten().flatten().fold(0.0, |a: f64, b| a.max(*b));
    assert!(exact.unobserved.iter().all(|u| u.frames < u.of) && largest < 1e-5, "{largest}");
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(9);
    let normal = rand_distr::Normal::new(0.0, 0.003).unwrap();
    let n = trial.names.len();
    // Markers of two kinds: half of them with four times the variance, and a quarter of the weight.
    for (i, p) in trial.positions.iter_mut().enumerate() {
        let times = if (i % n) % 2 == 0 { 1.0 } else { 2.0 };
        *p = p.map(|p| p.map(|x| x + times * rng.sample(normal)));
    }
    let tasks = IkTasks {
        markers: trial
            .names
            .iter()
            .enumerate()
            .map(|(m, name)| MarkerTask {
                name: name.clone(),
                apply: true,
                weight: if m % 2 == 0 { 20.0 } else { 5.0 },
            })
            .collect(),
        coordinates: Vec::new(),
    };
    let fit = inverse_kinematics(&trial, &skeleton, Some(&tasks), None).unwrap();
    assert!((noise(&fit, &skeleton) / 0.003 - 1.0).abs() < 0.02, "{}", noise(&fit, &skeleton));
    let (mut within, mut beyond_two, mut count) = (0, 0, 0);
    for (f, q) in fit.q.iter().enumerate() {
        for (c, coordinate) in skeleton.coordinates.iter().enumerate() {
            // At a bound an error is cut off.
            let at_bound = coordinate.clamped
                && coordinate.range.is_some_and(|[low, high]| q[c] - low < 1e-9 || high - q[c] < 1e-9);
            let Some(sd) = fit.q_sd[f][c].filter(|sd| *sd > 0.0 && !at_bound) else { continue };
            let off = (q[c] - poses[f][c]).abs() / sd;
            (count, within, beyond_two) =
                (count + 1, within + usize::from(off <= 1.0), beyond_two + usize::from(off > 2.0));
        }
    }
    // 60 frames × 41 coordinates that err together in threes or so: a share of 0.68 is known to ±0.02 or better.
    let share = |k: usize| k as f64 / count as f64;
    assert!(count > 2000 && (share(within) - 0.683).abs() < 0.05, "{} of {count} within one", share(within));
    assert!((share(beyond_two) - 0.046).abs() < 0.03, "{} of {count} beyond two", share(beyond_two));
    // A hand without its markers turns as it likes, and that is said; and all with it where a frame shows nothing.
    let lost = skeleton.coordinate("wrist_flex_r").or(skeleton.coordinate("pro_sup_r")).unwrap();
    let bodies: Vec<&str> = skeleton.bodies.iter().map(|b| b.name.as_str()).collect();
    for f in 0..60 {
        for (m, marker) in skeleton.markers.iter().enumerate() {
            if bodies[marker.body.index()].contains("hand_r") || f == 30 {
                trial.positions[f * n + m] = None;
            }
        }
    }
    let fit = inverse_kinematics(&trial, &skeleton, Some(&tasks), None).unwrap();
    let whole = |u: &&kinefit::fit::Unobserved| u.frames == 59 && u.of == 59;
    assert!(fit.unobserved.iter().filter(whole).any(|u| u.coordinate == lost), "{:?} of {bodies:?}", fit.unobserved);
    assert!(fit.unobserved.len() < 8);
    let free = |c: &&kinefit::skeleton::Coordinate| !c.locked && c.coupling.is_none();
    assert_eq!(
        fit.q_sd[30].iter().flatten().filter(|sd| sd.is_infinite()).count(),
        skeleton.coordinates.iter().filter(free).count()
    );
}

/// Weights say how much a marker is believed, not what it shows; what is seen in some frames only is counted.
#[test]
fn what_markers_observe_does_not_depend_on_their_weights() {
    let (skeleton, _, mut trial) = known(30, 21);
    let heavy = |weight: f64| IkTasks {
        markers: trial
            .names
            .iter()
            .enumerate()
            .map(|(m, name)| MarkerTask { name: name.clone(), apply: true, weight: if m == 3 { weight } else { 1.0 } })
            .collect(),
        coordinates: Vec::new(),
    };
    let tasks = heavy(1000.0);
    assert!(inverse_kinematics(&trial, &skeleton, Some(&tasks), None).unwrap().unobserved.is_empty());
    let n = trial.names.len();
    for f in 20..30 {
        for (m, marker) in skeleton.markers.iter().enumerate() {
            if skeleton.bodies[marker.body.index()].name == "hand_r" {
                trial.positions[f * n + m] = None;
            }
        }
    }
    let found = |tasks: Option<&IkTasks>| inverse_kinematics(&trial, &skeleton, tasks, None).unwrap().unobserved;
    let (even, uneven) = (found(None), found(Some(&tasks)));
    assert!(!even.is_empty() && even.iter().all(|u| u.frames == 10 && u.of == 30), "{even:?}");
    assert_eq!(even, uneven);
}

/// A clamped coordinate stays in its range however wide that is, and whatever it tells of a body (OpenSim 4.6 does the same).
#[test]
fn clamped_ranges_that_tell_nothing_are_kept() {
    for (range, joint, value, expected) in [
        ("0 0", "PinJoint", 0.3, 0.0),
        ("0.1 0.1", "PinJoint", 0.3, 0.1),
        ("-inf 0.1", "PinJoint", 0.3, 0.1),
        ("0 20", "PinJoint", -0.4, 0.0),
        ("-3 3", "SliderJoint", 3.5, 3.0),
        ("-5 5", "SliderJoint", 3.5, 3.5),
    ] {
        let text = format!(
            "<OpenSimDocument Version=\"40500\"><Model name=\"one\"><BodySet><objects><Body name=\"a\"/></objects></BodySet><JointSet><objects><{joint} name=\"j\"><socket_parent_frame>/ground</socket_parent_frame><socket_child_frame>/bodyset/a</socket_child_frame><coordinates><Coordinate name=\"q\"><default_value>{}</default_value><range>{range}</range><clamped>true</clamped></Coordinate></coordinates></{joint}></objects></JointSet><MarkerSet><objects>{}</objects></MarkerSet></Model></OpenSimDocument>",
            // OpenSim opens none whose default is beyond.
            if range == "0.1 0.1" { 0.1 } else { 0.0 },
            [("m", "0.3 0 0"), ("n", "0 0.2 0"), ("o", "0.1 0.1 0.3")]
                .map(|(name, at)| format!("<Marker name=\"{name}\"><socket_parent_frame>/bodyset/a</socket_parent_frame><location>{at}</location></Marker>"))
                .concat()
        );
        let skeleton = read_model_str("one.osim", &text).unwrap();
        let mut frame = Frame::new(&skeleton);
        forward(&skeleton, &Scales::ones(&skeleton), &Offsets::zeros(&skeleton), &[value], &[], &mut frame);
        let trial = MarkerTrial {
            label: "one.trc".into(),
            names: skeleton.markers.iter().map(|m| m.name.clone()).collect(),
            rate_hz: 60.0,
            first_frame: 1,
            times: vec![0.0],
            positions: frame.markers.iter().map(|p| Some(*p)).collect(),
            up: None,
        };
        let fit = inverse_kinematics(&trial, &skeleton, None, None).unwrap();
        assert!((fit.q[0][0] - expected).abs() < 1e-9, "{range}: {}", fit.q[0][0]);
    }
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

/// By the factor that the last step has left, and by one of their own. Both carry 1e-9 of the diagonal; the step's has 1e-14 of the largest beside it, which what is observed least by far feels in
/// the fourth digit.
#[test]
fn deviations_of_the_last_step_are_those_of_the_pose() {
    let (skeleton, _, trial) = known(3, 5);
    let mechanism = Mechanism::new(skeleton.with_rotors(), ScaleGroups::default());
    let columns: Vec<(usize, MarkerId)> =
        trial.names.iter().enumerate().filter_map(|(i, n)| Some((i, skeleton.marker(n)?))).collect();
    let followed: Vec<(MarkerId, f64)> = columns.iter().map(|c| (c.1, 1.0)).collect();
    let problem = InverseKinematics::new(&mechanism, Scales::ones(&skeleton), Offsets::zeros(&skeleton), &followed);
    let fit = inverse_kinematics(&trial, &skeleton, None, None).unwrap();
    let (mut work, mut pose) = (problem.workspace(), problem.layout().default_pose());
    pose.q.copy_from_slice(&fit.q[1]);
    pose.rotors = skeleton.with_rotors().rotor_rotations(&fit.q[1]);
    let points: Vec<_> = columns.iter().map(|c| trial.get(1, c.0)).collect();
    let outcome = problem.solve(&points, &[], &mut pose, &mut work);
    assert!(outcome.converged, "{outcome:?}");
    let left = problem.variances(&points, &pose, true, &mut work);
    let own = problem.variances(&points, &pose, false, &mut work);
    for (a, b) in left.scalars.iter().zip(&own.scalars) {
        assert!(a == b || (a / b - 1.0).abs() < 1e-3, "{a:e} {b:e}");
    }
    for (a, b) in left.rotors.iter().zip(&own.rotors) {
        assert!((a - b).amax() < 1e-6 * b.amax(), "{a} {b}");
    }
}

#[test]
fn clamped_coordinates_stay_in_their_ranges() {
    let (mut skeleton, poses, trial) = known(10, 11);
    let knee = skeleton.coordinate("knee_angle_r").unwrap().index();
    let top = poses.iter().map(|q| q[knee]).fold(f64::NEG_INFINITY, f64::max) - 0.1;
    let low = skeleton.coordinates[knee].range.unwrap()[0];
    skeleton.coordinates[knee].range = Some([low, top]);
    skeleton.coordinates[knee].clamped = true;
    let clamped = inverse_kinematics(&trial, &skeleton, None, None).unwrap();
    skeleton.coordinates[knee].clamped = false;
    let free = inverse_kinematics(&trial, &skeleton, None, None).unwrap();
    let mut at_bound = 0;
    for f in 0..10 {
        assert!(clamped.q[f][knee] <= top);
        at_bound += usize::from(clamped.q[f][knee] == top);
        assert!(clamped.frames[f].cost >= free.frames[f].cost * (1.0 - 1e-9));
        assert!(clamped.frames[f].converged);
    }
    assert!(at_bound > 0 && free.q.iter().any(|q| q[knee] > top));
}

/// Three links in a plane and one across, each with a narrow range: most targets pull several coordinates against their bounds at once.
const NARROW: &str = r#"<OpenSimDocument Version="40500"><Model name="narrow">
<BodySet><objects><Body name="a"/><Body name="b"/><Body name="c"/><Body name="d"/></objects></BodySet>
<JointSet><objects>
<UniversalJoint name="ja"><socket_parent_frame>/ground</socket_parent_frame><socket_child_frame>/bodyset/a</socket_child_frame>
<coordinates><Coordinate name="a1"><range>-0.5 0.6</range><clamped>true</clamped></Coordinate><Coordinate name="a2"><range>-0.3 0.3</range><clamped>true</clamped></Coordinate></coordinates></UniversalJoint>
<PinJoint name="jb"><socket_parent_frame>fb</socket_parent_frame><socket_child_frame>/bodyset/b</socket_child_frame>
<coordinates><Coordinate name="b1"><range>0 1</range><clamped>true</clamped></Coordinate></coordinates>
<frames><PhysicalOffsetFrame name="fb"><socket_parent>/bodyset/a</socket_parent><translation>0.3 0 0</translation></PhysicalOffsetFrame></frames></PinJoint>
<UniversalJoint name="jc"><socket_parent_frame>fc</socket_parent_frame><socket_child_frame>/bodyset/c</socket_child_frame>
<coordinates><Coordinate name="c1"><range>-0.2 0.9</range><clamped>true</clamped></Coordinate><Coordinate name="c2"><range>-0.4 0.1</range><clamped>true</clamped></Coordinate></coordinates>
<frames><PhysicalOffsetFrame name="fc"><socket_parent>/bodyset/b</socket_parent><translation>0.3 0 0.1</translation></PhysicalOffsetFrame></frames></UniversalJoint>
<PinJoint name="jd"><socket_parent_frame>fd</socket_parent_frame><socket_child_frame>/bodyset/d</socket_child_frame>
<coordinates><Coordinate name="d1"><range>0 0.8</range><clamped>true</clamped></Coordinate></coordinates>
<frames><PhysicalOffsetFrame name="fd"><socket_parent>/bodyset/c</socket_parent><translation>0.2 0 0</translation></PhysicalOffsetFrame></frames></PinJoint>
</objects></JointSet>
<MarkerSet><objects>
<Marker name="A"><socket_parent_frame>/bodyset/a</socket_parent_frame><location>0.2 0.1 0</location></Marker>
<Marker name="B"><socket_parent_frame>/bodyset/b</socket_parent_frame><location>0.2 0 0.1</location></Marker>
<Marker name="C"><socket_parent_frame>/bodyset/c</socket_parent_frame><location>0.2 0.05 0</location></Marker>
<Marker name="D"><socket_parent_frame>/bodyset/d</socket_parent_frame><location>0.3 0 0</location></Marker>
</objects></MarkerSet></Model></OpenSimDocument>"#;

/// Where markers pull coordinates against their ranges, no small change within the ranges makes the objective less.
#[test]
fn bounds_do_not_end_a_descent_early() {
    let skeleton = kinefit::skeleton::read_model_str("narrow.osim", NARROW).unwrap();
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(5);
    let (scales, offsets) = (Scales::ones(&skeleton), Offsets::zeros(&skeleton));
    let mut frame = Frame::new(&skeleton);
    let names: Vec<String> = skeleton.markers.iter().map(|m| m.name.clone()).collect();
    let (mut bound, mut given_up, mut worst) = (0, 0, 0.0f64);
    for _ in 0..300 {
        let far: Vec<f64> = skeleton.coordinates.iter().map(|_| random.random_range(-2.5..2.5)).collect();
        forward(&skeleton, &scales, &offsets, &far, &[], &mut frame);
        let targets = frame.markers.clone();
        let trial = MarkerTrial {
            label: "made".into(),
            names: names.clone(),
            rate_hz: 100.0,
            first_frame: 1,
            times: vec![0.0],
            positions: targets.iter().map(|p| Some(*p)).collect(),
            up: None,
        };
        let fit = inverse_kinematics(&trial, &skeleton, None, None).unwrap();
        given_up += usize::from(!fit.frames[0].converged);
        let mut objective = |q: &[f64]| {
            forward(&skeleton, &scales, &offsets, q, &[], &mut frame);
            frame.markers.iter().zip(&targets).map(|(a, b)| (a - b).norm_squared()).sum::<f64>() / 4.0
        };
        let least = objective(&fit.q[0]);
        for (i, c) in skeleton.coordinates.iter().enumerate() {
            let [low, high] = c.range.unwrap();
            bound += usize::from(fit.q[0][i] == low || fit.q[0][i] == high);
            for step in [-1e-4, 1e-4] {
                let mut q = fit.q[0].clone();
                q[i] = (q[i] + step).clamp(low, high);
                worst = worst.max(1.0 - objective(&q) / least);
            }
        }
    }
    // A descent ends where a step promises a billionth of the objective; far from the markers steps are too short by a factor that is the same every time, and
    // what is left is some hundred times that.
    println!("objective at most {worst:.1e} above that of a neighbour; {given_up} given up");
    assert!(worst < 1e-6, "{worst:e}");
    // Far from all markers, the descent is damped to the end, and may not call that convergence.
    assert!(given_up < 30, "{given_up}");
    assert!(bound > 300, "{bound}: the ranges must matter");
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

/// Three angles that are clamped have a range in whichever joint they stand: the pose is the best within it. (OpenSim 4.6 comes to the same objective to 5e-10.) Only a body that is free in space turns as it likes.
#[test]
fn clamped_angles_of_balls_keep_their_ranges() {
    let angles = ["x", "y", "z"].map(|name| coordinate(name, "-0.2 0.2")).concat();
    let pin = joint("PinJoint", "pin", ["/ground", "/bodyset/upper"], &coordinate("first", "-3 3"), "");
    let axis = |i: usize, name: &str, along: &str| {
        format!(
            "<TransformAxis name=\"{name}\"><coordinates>{}</coordinates><axis>{along}</axis><LinearFunction><coefficients>1 0</coefficients></LinearFunction></TransformAxis>",
            ["x", "y", "z"][i]
        )
    };
    let turns = ["1 0 0", "0 1 0", "0 0 1"].iter().enumerate().map(|(i, a)| axis(i, &format!("rotation{}", i + 1), a));
    let turns = format!("<SpatialTransform>{}</SpatialTransform>", turns.collect::<String>());
    let last = joint("PinJoint", "pin", ["/bodyset/upper", "/bodyset/lower"], &coordinate("first", "-3 3"), "");
    let models = [
        [pin.clone(), joint("BallJoint", "ball", ["/bodyset/upper", "/bodyset/lower"], &angles, "")].concat(),
        [pin, joint("GimbalJoint", "ball", ["/bodyset/upper", "/bodyset/lower"], &angles, "")].concat(),
        [joint("BallJoint", "ball", ["/ground", "/bodyset/upper"], &angles, ""), last.clone()].concat(),
        [joint("CustomJoint", "ball", ["/ground", "/bodyset/upper"], &angles, &turns), last].concat(),
    ];
    for joints in models {
        let skeleton = chain(&joints, "");
        let place = |name: &str| skeleton.coordinate(name).unwrap().index();
        let mut q = vec![0.0; 4];
        for (name, value) in [("first", 0.1), ("x", 0.6), ("y", 0.1), ("z", -0.5)] {
            q[place(name)] = value;
        }
        let trial = seen_at(&skeleton, &q);
        let fit = inverse_kinematics(&trial, &skeleton, None, None).unwrap();
        let found = &fit.q[0];
        assert!(["x", "y", "z"].iter().all(|name| found[place(name)].abs() <= 0.2 + 1e-12), "{found:?}");
        let reached = objective(&skeleton, found, &trial);
        assert!((reached - fit.frames[0].cost).abs() < 1e-12 && reached > 1e-3, "{reached:e}");
        // No other pose within the ranges is better.
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        for _ in 0..2000 {
            let mut other = found.clone();
            let near = 10f64.powf(rng.random_range(-6.0..0.0));
            for (i, c) in skeleton.coordinates.iter().enumerate() {
                let [low, high] = c.range.unwrap();
                other[i] = (other[i] + near * rng.random_range(-1.0..1.0)).clamp(low, high);
            }
            // As closely as is promised against OpenSim.
            assert!(objective(&skeleton, &other, &trial) >= reached * (1.0 - 1e-6) - 1e-12, "{other:?}");
        }
    }
    let free = ["x", "y", "z"].map(|name| coordinate(name, "-0.2 0.2")).concat();
    let slides = ["tx", "ty", "tz"].map(|name| format!("<Coordinate name=\"{name}\"/>")).concat();
    let joints = [
        joint("FreeJoint", "free", ["/ground", "/bodyset/upper"], &(free + &slides), ""),
        joint("PinJoint", "pin", ["/bodyset/upper", "/bodyset/lower"], &coordinate("first", "-3 3"), ""),
    ];
    let skeleton = chain(&joints.concat(), "");
    let mut q = vec![0.0; 7];
    q[skeleton.coordinate("x").unwrap().index()] = 2.0;
    let fit = inverse_kinematics(&seen_at(&skeleton, &q), &skeleton, None, None).unwrap();
    assert!(fit.frames[0].cost < 1e-18, "{:e}", fit.frames[0].cost);
}

/// A coordinate that follows another keeps to its range, too, and holds the other back.
#[test]
fn followers_keep_their_ranges() {
    let pins = |follower: &str| {
        [
            joint("PinJoint", "one", ["/ground", "/bodyset/upper"], &coordinate("lead", "-2 2"), ""),
            joint("PinJoint", "two", ["/bodyset/upper", "/bodyset/lower"], &coordinate("follower", follower), ""),
        ]
        .concat()
    };
    let coupler = |function: &str| {
        format!(
            "<CoordinateCouplerConstraint name=\"c\"><coupled_coordinates_function>{function}</coupled_coordinates_function><independent_coordinate_names>lead</independent_coordinate_names><dependent_coordinate_name>follower</dependent_coordinate_name></CoordinateCouplerConstraint>"
        )
    };
    let line = coupler("<LinearFunction><coefficients>-2 0.1</coefficients></LinearFunction>");
    let square = coupler("<PolynomialFunction><coefficients>1 0 0</coefficients></PolynomialFunction>");
    // -2·lead + 0.1 ≥ -0.3 up to a lead of 0.2; lead² ≤ 0.09 up to 0.3; within -0.5 to 0.5 neither is reached.
    for (constraint, range, expected) in
        [(&line, "-0.3 3", 0.2), (&square, "-1 0.09", 0.3), (&square, "-1 2", 0.5), (&line, "-3 3", 0.5)]
    {
        let skeleton = chain(&pins(range), constraint);
        let mut q = vec![0.5, 0.0];
        skeleton.resolve_couplings(&mut q);
        let fit = inverse_kinematics(&seen_at(&skeleton, &q), &skeleton, None, None).unwrap();
        let lead = fit.q[0][skeleton.coordinate("lead").unwrap().index()];
        assert!((lead - expected).abs() < 1e-8, "{lead} for {range}");
    }
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
