//! Standard deviations, and what markers observe.

use super::*;

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
