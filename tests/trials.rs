//! Trials of one session: each with its own clock and its own ending, and a bad one stops or changes no other.

mod common;

use common::stick;
use kinefit::fit::{FitOptions, SessionFit, Status, TrialFit, fit_session};
use kinefit::quality::evaluate;
use kinefit::session::{self, Detections, ReadOptions, Session, Trial};
use kinefit::skeleton::read_model_str;
use kinefit::synthetic::{Movement, Synthetic, SyntheticOptions, generate};
use std::fs;

fn made(options: &SyntheticOptions) -> Synthetic {
    let (skeleton, groups) = stick();
    generate(&skeleton, &groups, options).unwrap()
}

fn fitted(session: &Session) -> SessionFit {
    let (skeleton, groups) = stick();
    let options = FitOptions { skeleton: Some(skeleton), scale_groups: Some(groups), ..FitOptions::default() };
    fit_session(session, &options).unwrap()
}

fn two_movements(frames: usize) -> Synthetic {
    made(&SyntheticOptions { seed: 31, frames, movements: vec![Movement::Walk, Movement::Squat], ..Default::default() })
}

/// A trial like the first whose detections are something else.
fn spoilt(session: &Session, name: &str, change: impl Fn(usize, [f64; 3]) -> [f64; 3]) -> Trial {
    let mut trial = Trial { name: name.into(), ..session.trials[0].clone() };
    trial.detections.data.iter_mut().enumerate().for_each(|(i, point)| *point = change(i, *point));
    trial
}

/// A number in 0..1 that looks like chance.
fn hash(i: usize) -> f64 {
    let x = (i as f64 * 12.9898 + 4.1).sin() * 43758.5453;
    x - x.floor()
}

/// Whatever was fitted of two trials is the same to the last bit.
#[track_caller]
fn same(a: &TrialFit, b: &TrialFit) {
    assert_eq!((&a.status, &a.q, &a.q_sd, &a.markers), (&b.status, &b.q, &b.q_sd, &b.markers), "{}", a.name);
    assert_eq!(a.reprojection, b.reprojection);
}

#[test]
fn a_bad_trial_changes_no_bit_of_the_others() {
    let good = two_movements(60).session;
    let alone = fitted(&good);
    assert_eq!(alone.status, Status::Converged, "{}", alone.reason);
    let cameras = good.rig.len();
    let one_camera = |i: usize, point: [f64; 3]| if i < 60 * good.keypoints.points.len() { point } else { [0.0; 3] };
    let bad = [
        ("unseen", spoilt(&good, "unseen", |_, _| [0.0; 3]), "initialise"),
        ("one camera", spoilt(&good, "one camera", one_camera), "initialise"),
        // Far longer than the others, and at a tenth of their rate: neither its length nor its clock may show in them.
        (
            "long",
            Trial {
                name: "long".into(),
                rate_hz: 6.0,
                first_frame: 0,
                detections: Detections::missing(cameras, 5000, good.keypoints.points.len()),
                unusable: None,
            },
            "initialise",
        ),
        ("noise", spoilt(&good, "noise", |i, _| [1920.0 * hash(2 * i), 1080.0 * hash(2 * i + 1), 1.0]), "initialise"),
        (
            "shaken",
            spoilt(&good, "shaken", |i, p| {
                [p[0] + 320.0 * (hash(2 * i) - 0.5), p[1] + 320.0 * (hash(2 * i + 1) - 0.5), p[2]]
            }),
            "sanity",
        ),
    ];
    for (name, trial, stage) in bad {
        for place in 0..=good.trials.len() {
            if stage == "sanity" && place != 1 {
                continue;
            }
            let mut session = good.clone();
            session.trials.insert(place, trial.clone());
            let fit = fitted(&session);
            let failed = &fit.trials[place];
            assert_eq!((failed.status, failed.name.as_str()), (Status::Failed, name));
            assert_eq!(failed.stage.as_deref(), Some(stage), "{}", failed.reason);
            assert!(failed.left_out() && failed.reason.len() > 20 && failed.advice.is_some(), "{failed:?}");
            assert!(fit.warnings[0].contains(name) && fit.warnings[0].contains(&failed.reason), "{:?}", fit.warnings);
            assert_eq!((fit.status, &fit.reason), (alone.status, &alone.reason));
            assert_eq!((&fit.scales, &fit.offsets, &fit.rig), (&alone.scales, &alone.offsets, &alone.rig));
            let others: Vec<&TrialFit> = fit.trials.iter().filter(|t| !t.left_out()).collect();
            assert_eq!(others.len(), alone.trials.len());
            others.iter().zip(&alone.trials).for_each(|(a, b)| same(a, b));
        }
    }
}

#[test]
fn where_no_trial_is_left_the_first_is_named() {
    let good = two_movements(20).session;
    let mut session = good.clone();
    session.trials = vec![spoilt(&good, "first", |_, _| [0.0; 3]), spoilt(&good, "second", |_, _| [0.0; 3])];
    let (skeleton, groups) = stick();
    let options = FitOptions { skeleton: Some(skeleton), scale_groups: Some(groups), ..FitOptions::default() };
    let error = fit_session(&session, &options).unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().starts_with("trial `first`: in no frame"), "{error}");
    session.trials.clear();
    let error = fit_session(&session, &options).unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().contains("has no trial"), "{error}");
}

/// A walk at 60 Hz beside a squat at 6 Hz, whose controls are five times as far apart as the walk's may be.
#[test]
fn a_slow_camera_does_not_coarsen_another_trial() {
    let options = SyntheticOptions { seed: 32, movements: vec![Movement::Walk, Movement::Squat], ..Default::default() };
    let mut made = made(&options);
    let alone = {
        let mut session = made.session.clone();
        session.trials.truncate(1);
        let fit = fitted(&session);
        evaluate(&made.truth, &fit.fitted_data()).unwrap()
    };
    // Every tenth frame of the squat.
    let (trial, truth) = (&mut made.session.trials[1], &mut made.truth.trials[1]);
    let (all, keypoints) = (trial.detections.clone(), trial.detections.keypoints);
    let frames = all.frames.div_ceil(10);
    trial.detections = Detections::missing(all.cameras, frames, keypoints);
    for c in 0..all.cameras {
        for f in 0..frames {
            (0..keypoints).for_each(|k| trial.detections.set(c, f, k, all.get(c, 10 * f, k)));
        }
    }
    trial.rate_hz = 6.0;
    truth.rate_hz = 6.0;
    truth.coordinates = truth.coordinates.iter().step_by(10).cloned().collect();
    truth.markers = truth.markers.iter().step_by(10).cloned().collect();
    let fit = fitted(&made.session);
    assert_eq!(fit.status, Status::Converged, "{}", fit.reason);
    let together = evaluate(&made.truth, &fit.fitted_data()).unwrap();
    let mm = |e: &kinefit::quality::Evaluation, i: usize| e.trials[i].markers.after_similarity_mm;
    eprintln!(
        "walk alone {:.2} mm, beside {:.2} mm; squat {:.2} mm",
        mm(&alone, 0),
        mm(&together, 0),
        mm(&together, 1)
    );
    // A second trial tells more of body and cameras; it may also take a little away where its own noise does. Controls a sixth of a second apart would leave centimetres of a
    // foot's swing.
    assert!(mm(&together, 0) < 1.1 * mm(&alone, 0), "{} {}", mm(&together, 0), mm(&alone, 0));
    // Frames of the squat have no neighbours near enough to lean on: a triangulated point's 11.0 mm of three pixels in four cameras, less what the body joins.
    assert!(mm(&together, 1) < 9.0, "{}", mm(&together, 1));
}

/// On reading: files cut off, folders too many, nobody there. Each is that trial's own.
#[test]
fn trials_that_cannot_be_read() {
    let made = two_movements(12);
    let place = tempfile::tempdir().unwrap();
    made.write(place.path()).unwrap();
    let whole = session::read(place.path(), &ReadOptions::default()).unwrap();
    let walk = |c: usize| place.path().join(format!("walk/pose/cam{c:02}_json"));
    let file = walk(2).join("cam02_00000003.json");
    let text = fs::read_to_string(&file).unwrap();
    let read = || session::read_with_sources(place.path(), &ReadOptions::default()).unwrap();

    fs::write(&file, &text[..text.len() / 2]).unwrap();
    let cut = read();
    let why = |s: &Session| s.trials.iter().find(|t| t.name == "walk").unwrap().unusable.clone().unwrap();
    assert!(why(&cut.session).problem.contains("cam02_00000003.json, line 1"), "{:?}", why(&cut.session));
    let squat = |s: &Session| s.trials.iter().find(|t| t.name == "squat").unwrap().clone();
    assert_eq!(squat(&cut.session), squat(&whole));
    assert!(cut.inputs.iter().all(|p| !p.starts_with(place.path().join("walk"))));
    fs::write(&file, &text).unwrap();

    fs::create_dir(place.path().join("walk/pose/cam05_json")).unwrap();
    assert!(why(&read().session).problem.contains("5 folders of keypoints for 4"), "{:?}", why(&read().session));
    fs::remove_dir(place.path().join("walk/pose/cam05_json")).unwrap();
    assert_eq!(read().session, whole);

    (1..=4).for_each(|c| fs::remove_dir_all(walk(c)).unwrap());
    assert!(why(&read().session).problem.contains("empty trial"), "{:?}", why(&read().session));
    // The squat's turn: now there is none left, and the first is the one that is named.
    for c in 1..=4 {
        fs::remove_dir_all(place.path().join(format!("squat/pose/cam{c:02}_json"))).unwrap();
    }
    let error = session::read(place.path(), &ReadOptions::default()).unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().contains("squat"), "{error}");
}

/// A wrist that slides along the forearm without end is told by its keypoint, and by nothing where that is missing.
#[test]
fn what_one_trial_does_not_tell_is_its_own() {
    let stick = include_str!("data/stick.xml");
    let wrist = r#"<site name="RWrist" pos="0 0 -0.26"/>"#;
    assert!(stick.contains(wrist));
    let sliding =
        format!(r#"<body name="wrist_r"><joint name="wrist_slide" type="slide" axis="0 0 1"/>{wrist}</body>"#);
    let skeleton = read_model_str("sliding.xml", &stick.replace(wrist, &sliding)).unwrap();
    let mut session = two_movements(40).session;
    let k = session.keypoints.points.iter().position(|p| p.name == "RWrist").unwrap();
    let d = &mut session.trials[1].detections;
    for c in 0..d.cameras {
        (0..d.frames).for_each(|f| d.set(c, f, k, [0.0; 3]));
    }
    let fit = fit_session(&session, &FitOptions { skeleton: Some(skeleton), ..FitOptions::default() }).unwrap();
    assert_ne!((fit.status, fit.trials[0].status), (Status::Failed, Status::Failed), "{}", fit.reason);
    let failed = &fit.trials[1];
    assert!(failed.left_out() && failed.stage.as_deref() == Some("covariance"), "{failed:?}");
    assert!(failed.reason.contains("`wrist_slide`"), "{}", failed.reason);
}
