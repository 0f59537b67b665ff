//! Ranges of coordinates, against which targets pull.

use super::*;

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
