//! Fits of subject and motion to markers, all frames together.

use kinefit::Result;
use kinefit::fit::{FitOptions, MarkerFit, Status, default_skeleton, fit_markers};
use kinefit::kinematics::{Frame, forward};
use kinefit::report::{marker_trial_summary, subject_files};
use kinefit::session::markers::{self, MarkerTrial};
use kinefit::skeleton::{Offsets, Scales, Skeleton, read_model};
use nalgebra::Vector3;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use std::f64::consts::TAU;
use std::path::PathBuf;

fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("KINEFIT_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from);
    if !folder.join("data/trials").is_dir() {
        eprintln!("skipped: no recordings at {}", folder.display());
        return None;
    }
    Some(folder.join("data/trials"))
}

fn subject_too() -> FitOptions {
    FitOptions { scales: true, offsets: true, ..FitOptions::for_markers() }
}

fn fit_one(trial: &MarkerTrial, skeleton: &Skeleton, options: &FitOptions) -> Result<MarkerFit> {
    fit_markers(std::slice::from_ref(trial), skeleton, None, options)
}

/// Root mean square distance of all markers seen but those named, metres.
fn rms(fit: &MarkerFit, but: &[&str]) -> f64 {
    let trial = &fit.trials[0].fit;
    let counts = |i: usize| !but.contains(&fit.skeleton.markers[trial.markers[i].index()].name.as_str());
    let of_frame = |f: &kinefit::fit::IkFrame| -> Vec<f64> {
        f.squared.iter().enumerate().filter(|(i, _)| counts(*i)).filter_map(|(_, s)| *s).collect()
    };
    let squares: Vec<f64> = trial.frames.iter().flat_map(of_frame).collect();
    (squares.iter().sum::<f64>() / squares.len() as f64).sqrt()
}

fn rms_length<'a>(vectors: impl Iterator<Item = &'a Vector3<f64>>) -> f64 {
    let (n, sum) = vectors.fold((0.0, 0.0), |(n, s), v| (n + 1.0, s + v.norm_squared()));
    (sum / f64::max(n, 1.0)).sqrt()
}

/// Distance from each body's origin to that of its parent, in the default pose, metres.
fn lengths(skeleton: &Skeleton, scales: &Scales) -> Vec<(String, f64)> {
    let mut frame = Frame::new(skeleton);
    let q: Vec<f64> = skeleton.coordinates.iter().map(|c| c.default).collect();
    forward(skeleton, scales, &Offsets::zeros(skeleton), &q, &skeleton.rotor_rotations(&q), &mut frame);
    let bodies = skeleton.bodies.iter().enumerate().skip(1).filter(|(_, b)| b.parent.index() > 0);
    bodies.map(|(i, b)| (b.name.clone(), (frame.origins[i] - frame.origins[b.parent.index()]).norm())).collect()
}

/// The bounds are the issue's: markers 0.1 mm, lengths 0.1 %, angles 0.05°.
#[test]
fn an_exact_trial_gives_its_subject_back() {
    let Some(data) = shared().map(|d| d.join("arnold_synthetic_subject01")) else { return };
    let generic = read_model(&data.join("generic_stripped.osim")).unwrap();
    let truth = read_model(&data.join("subject01_truth_stripped.osim")).unwrap();
    let trial = markers::read(&data.join("markers.trc")).unwrap();
    let fit = fit_one(&trial, &generic, &subject_too()).unwrap();
    assert_eq!(fit.status, Status::Converged);
    assert!(rms(&fit, &[]) < 1e-4, "{} m", rms(&fit, &[]));
    assert!(fit.trials[0].exchanged.is_empty(), "{:?}", fit.trials[0].exchanged);
    let mut worst: f64 = 0.0;
    for ((name, found), (_, length)) in
        lengths(&generic, &fit.scales).iter().zip(lengths(&truth, &Scales::ones(&truth)))
    {
        worst = worst.max((found / length - 1.0).abs());
        assert!((found / length - 1.0).abs() < 1e-3, "{name}: {found} m instead of {length}");
    }
    let reference: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(data.join("truth_motion_opensim46_ik.json")).unwrap()).unwrap();
    let mut angle: f64 = 0.0;
    for (k, name) in reference["coordinates"].as_array().unwrap().iter().enumerate() {
        let c = generic.coordinate(name.as_str().unwrap()).unwrap();
        let q = &fit.trials[0].fit.q;
        let difference = |(f, q): (usize, &Vec<f64>)| q[c.index()] - reference["q"][f][k].as_f64().unwrap();
        let rms = (q.iter().enumerate().map(|x| difference(x).powi(2)).sum::<f64>() / q.len() as f64).sqrt();
        angle = angle.max(rms.to_degrees());
        // Metres of the root's place are held to the same number of radians.
        assert!(rms.to_degrees() < 0.05, "{name}: {rms} rad");
    }
    eprintln!(
        "markers {:.4} mm, lengths within {:.4} %, angles within {angle:.4}°, offsets {:.4} mm, {} iterations",
        1e3 * rms(&fit, &[]),
        1e2 * worst,
        1e3 * rms_length(fit.offset_fits.iter().map(|o| &o.offset)),
        fit.iterations
    );
}

/// Two of its thigh markers bear each other's name in frames 7 and 10, each time with the other one missing. The bounds are the issue's: 9.7 mm, offsets no larger than those by which the
/// manually scaled model's markers differ from the generic model's at the fitted size.
#[test]
fn a_real_walk_with_exchanged_markers() {
    let Some(data) = shared().map(|d| d.join("subject4")) else { return };
    let generic = read_model(&data.join("generic_stripped.osim")).unwrap();
    let manual = read_model(&data.join("manually_scaled_stripped.osim")).unwrap();
    let trial = markers::read(&data.join("walking1.trc")).unwrap();
    let fit = fit_one(&trial, &generic, &subject_too()).unwrap();
    assert_eq!(fit.status, Status::Converged);
    let rest = rms(&fit, &["r_thigh3", "r_thigh5"]);
    assert!(rest < 9.7e-3, "{rest} m");
    let exchanged: Vec<_> = fit.trials[0].exchanged.iter().map(|e| (e.names.clone(), e.frames.clone())).collect();
    assert_eq!(exchanged, [(["r_thigh3".to_string(), "r_thigh5".to_string()], 7..11)]);
    let theirs: Vec<Vector3<f64>> = fit
        .offset_fits
        .iter()
        .map(|o| {
            let own = &generic.markers[o.marker.index()];
            let there = &manual.markers[manual.marker(&o.name).unwrap().index()];
            there.location - own.location.component_mul(&Vector3::from(fit.scales.0[own.body.index()]))
        })
        .collect();
    let (ours, theirs) = (rms_length(fit.offset_fits.iter().map(|o| &o.offset)), rms_length(theirs.iter()));
    assert!(ours <= theirs, "{ours} m, theirs {theirs}");
    // The long bones as an expert scaled them by hand, within what experts differ by.
    let mut said = String::new();
    for ((name, found), (_, length)) in
        lengths(&generic, &fit.scales).iter().zip(lengths(&manual, &Scales::ones(&manual)))
    {
        if ["tibia_r", "tibia_l", "talus_r", "talus_l", "ulna_r", "ulna_l"].contains(&name.as_str()) {
            said += &format!(" {name} {:+.1} %", 100.0 * (found / length - 1.0));
            assert!((found / length - 1.0).abs() < 0.05, "{name}: {found} m, by hand {length}");
        }
    }
    eprintln!(
        "markers {:.2} mm, offsets {:.1} mm (theirs {:.1}), τ {:.1} frames, {} iterations;{said}",
        1e3 * rest,
        1e3 * ours,
        1e3 * theirs,
        fit.autocorrelation_frames,
        fit.iterations
    );
}

/// The built-in body with sizes, marker places and a motion of its own: what a fit has to find.
struct Truth {
    skeleton: Skeleton,
    scales: Scales,
    q: Vec<Vec<f64>>,
    trial: MarkerTrial,
}

const NOISE: f64 = 0.002;
const RATE_HZ: f64 = 50.0;

fn truth(seed: u64, frames: usize) -> Truth {
    let skeleton = default_skeleton().unwrap();
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut scales = Scales::ones(&skeleton);
    for (body, factors) in skeleton.bodies.iter().zip(&mut scales.0).skip(1) {
        // Left as right: the same draw for both sides of a segment.
        let name = body.name.trim_end_matches("_r").trim_end_matches("_l");
        let draw = name.bytes().fold(7u64, |h, b| h.wrapping_mul(31).wrapping_add(b.into()));
        let mut own = rand_chacha::ChaCha8Rng::seed_from_u64(seed ^ draw);
        *factors = [(); 3].map(|()| 1.05 + own.random_range(-0.05..0.05));
    }
    let wave: Vec<[f64; 3]> = skeleton
        .coordinates
        .iter()
        .map(|_| [rng.random_range(0.1..0.3), rng.random_range(0.4..1.2), rng.random_range(0.0..TAU)])
        .collect();
    let offsets = Offsets::zeros(&skeleton);
    let (mut q_all, mut positions, mut frame) = (Vec::new(), Vec::new(), Frame::new(&skeleton));
    for f in 0..frames {
        let t = f as f64 / RATE_HZ;
        let mut q: Vec<f64> = skeleton
            .coordinates
            .iter()
            .zip(&wave)
            .map(|(c, [amplitude, hz, phase])| {
                let middle = c.range.map_or(c.default, |[a, b]| c.default.clamp(a.max(-3.0), b.min(3.0)));
                let room = c.range.map_or(1.0, |[a, b]| 0.25 * (b - a).min(2.0));
                let swing = amplitude * room * (TAU * hz * t + phase).sin();
                if c.locked { c.default } else { c.range.map_or(middle + swing, |[a, b]| (middle + swing).clamp(a, b)) }
            })
            .collect();
        skeleton.resolve_couplings(&mut q);
        forward(&skeleton, &scales, &offsets, &q, &skeleton.rotor_rotations(&q), &mut frame);
        let noisy = |p: &Vector3<f64>| {
            let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
            Some(p + Vector3::new(normal(), normal(), normal()) * NOISE)
        };
        positions.extend(frame.markers.iter().map(noisy));
        q_all.push(q);
    }
    let trial = MarkerTrial {
        label: "walks/made.trc".into(),
        names: skeleton.markers.iter().map(|m| m.name.clone()).collect(),
        rate_hz: RATE_HZ,
        first_frame: 1,
        times: (0..frames).map(|f| 2.0 + f as f64 / RATE_HZ).collect(),
        positions,
        up: None,
    };
    Truth { skeleton, scales, q: q_all, trial }
}

/// Noise of 2 mm on every marker: what is left is that noise (less the share of it that the fit takes up), lengths are right within a few standard deviations of what 2 mm over 100 frames leave, and
/// deviations cover as they say.
#[test]
fn a_made_up_subject_is_found_with_its_deviations() {
    let truth = truth(3, 100);
    let fit = fit_one(&truth.trial, &truth.skeleton, &subject_too()).unwrap();
    assert_eq!(fit.status, Status::Converged);
    // √3 axes; the fit can only take away, at most the share of its numbers in the data's.
    let left = rms(&fit, &[]) / (3f64.sqrt() * NOISE);
    assert!((0.8..1.01).contains(&left), "{left}");
    for ((name, found), (_, length)) in
        lengths(&truth.skeleton, &fit.scales).iter().zip(lengths(&truth.skeleton, &truth.scales))
    {
        // Long bones only: a short one is known to millimetres, not to percents.
        assert!(length < 0.1 || (found / length - 1.0).abs() < 0.02, "{name}: {found} m instead of {length}");
    }
    // Sizes: those of a body along its axes, each the sum of several parameters.
    let sizes = |s: &[[f64; 3]]| s.iter().skip(1).flatten().copied().collect::<Vec<f64>>();
    let (found, sd, true_sizes) =
        (sizes(&fit.scales.0), sizes(fit.scales_sd.as_ref().unwrap()), sizes(&truth.scales.0));
    let off: Vec<f64> = found.iter().zip(&sd).zip(&true_sizes).map(|((f, sd), t)| ((f - t) / sd).abs()).collect();
    let within = off.iter().filter(|z| **z < 2.0).count() as f64 / off.len() as f64;
    eprintln!("sizes: {:.1} % within two deviations of {:.4} (median)", 100.0 * within, median(&sd));
    // 95 % expected, of some thirty independent ones (left as right): four of their deviations below.
    assert!(within > 0.79, "{within}");
    // The factor of a group of one body and axis is that body's along it, and so is its deviation; the body's other groups are coarser.
    let mut alone = 0;
    for group in fit.scale_groups.iter().filter(|g| g.bodies.len() == 1) {
        let body = fit.skeleton.body(&group.bodies[0]).unwrap().index();
        for (factor, sd) in fit.scales.0[body].iter().zip(&fit.scales_sd.as_ref().unwrap()[body]) {
            if (factor - group.factor).abs() < 1e-12 {
                assert!((sd - group.sd).abs() < 1e-12, "{group:?}: {sd}");
                alone += 1;
            }
        }
    }
    assert!(alone > 0);
    let (mut inside, mut all) = (0.0, 0.0);
    for ((q, sd), true_q) in fit.trials[0].fit.q.iter().zip(&fit.trials[0].fit.q_sd).zip(&truth.q) {
        for ((q, sd), t) in q.iter().zip(sd).zip(true_q) {
            if let Some(sd) = sd.filter(|sd| *sd > 0.0) {
                inside += f64::from(u8::from((q - t).abs() < 2.0 * sd));
                all += 1.0;
            }
        }
    }
    // 95 % expected. Errors of a coordinate are shared by all frames (its markers' offsets): about 40 independent draws, of which 95 ± 4 % lie inside; three deviations below.
    assert!(inside / all > 0.83, "{}", inside / all);
    eprintln!(
        "residual {left:.3} of the noise, {:.1} % within two deviations, τ {:.2}",
        100.0 * inside / all,
        fit.autocorrelation_frames
    );
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// What is said of the subject: deviations of sizes, and offsets of fixed markers and of others where the model tells them apart.
#[test]
fn figures_of_a_subject_tell_fixed_markers_from_others() {
    let mut truth = truth(9, 12);
    let alike = fit_one(&truth.trial, &truth.skeleton, &subject_too()).unwrap();
    let (subject, _) = subject_files(&alike);
    assert_eq!((subject.offsets_fixed, subject.offsets_free), (None, None));
    for (i, marker) in truth.skeleton.markers.iter_mut().enumerate() {
        marker.fixed = i % 3 == 0;
    }
    let fit = fit_one(&truth.trial, &truth.skeleton, &subject_too()).unwrap();
    let (subject, files) = subject_files(&fit);
    let (fixed, free) = (subject.offsets_fixed.unwrap(), subject.offsets_free.unwrap());
    assert_eq!(
        (fixed.markers, fixed.markers + free.markers),
        (fit.offset_fits.len().div_ceil(3), fit.offset_fits.len())
    );
    for (figures, is_fixed) in [(&fixed, true), (&free, false)] {
        let own = || fit.offset_fits.iter().filter(|o| truth.skeleton.markers[o.marker.index()].fixed == is_fixed);
        let largest = own().max_by(|a, b| a.offset.norm().total_cmp(&b.offset.norm())).unwrap();
        assert_eq!(figures.largest, largest.name);
        assert!((figures.largest_mm.unwrap() - 1e3 * largest.offset.norm()).abs() < 1e-9);
        assert!((figures.rms_mm.unwrap() - 1e3 * rms_length(own().map(|o| &o.offset))).abs() < 1e-9);
    }
    let json = files.iter().find(|f| f.name == "subject.json").unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json.content).unwrap();
    let femur = fit.skeleton.body("femur_r").unwrap().index();
    for (part, expected) in
        [("body_scales", fit.scales.0[femur]), ("body_scales_sd", fit.scales_sd.as_ref().unwrap()[femur])]
    {
        for (found, expected) in json[part]["femur_r"].as_array().unwrap().iter().zip(expected) {
            assert!((found.as_f64().unwrap() - expected).abs() < 1e-12, "{part}");
            assert!(expected > 0.0, "{part}");
        }
    }
    let summary = marker_trial_summary(&fit, &fit.trials[0], &truth.trial);
    assert_eq!(summary.autocorrelation_frames, Some(fit.autocorrelation_frames));
    // Sizes that were held, and deviations that were not asked for.
    let held = FitOptions { covariance: false, ..FitOptions::for_markers() };
    let (subject, _) = subject_files(&fit_one(&truth.trial, &truth.skeleton, &held).unwrap());
    assert_eq!(subject.body_scales_sd["femur_r"], [None; 3]);
    let held = fit_one(&truth.trial, &truth.skeleton, &FitOptions::for_markers()).unwrap();
    assert_eq!(subject_files(&held).0.body_scales_sd["femur_r"], [Some(0.0); 3]);
}

#[test]
fn exchanged_names_and_gaps_do_no_harm() {
    let clean = truth(5, 60);
    let mut trial = clean.trial.clone();
    let n = trial.names.len();
    let body_of = |m: usize| clean.skeleton.markers[m].body;
    // Two markers of one body that are far enough apart to be told from each other.
    let far =
        |a: usize, b: usize| (clean.skeleton.markers[a].location - clean.skeleton.markers[b].location).norm() > 0.1;
    let (a, b) =
        (0..n).flat_map(|a| (0..a).map(move |b| (b, a))).find(|&(a, b)| body_of(a) == body_of(b) && far(a, b)).unwrap();
    for f in 20..35 {
        trial.positions.swap(f * n + a, f * n + b);
    }
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    for p in &mut trial.positions {
        if rng.random_bool(0.2) {
            *p = None;
        }
    }
    let fit = fit_one(&trial, &clean.skeleton, &FitOptions { scales: true, ..FitOptions::for_markers() }).unwrap();
    assert_eq!(fit.trials[0].exchanged.len(), 1, "{:?}", fit.trials[0].exchanged);
    let found = &fit.trials[0].exchanged[0];
    let mut names = found.names.clone();
    names.sort();
    let mut expected = [trial.names[a].clone(), trial.names[b].clone()];
    expected.sort();
    assert_eq!(names, expected);
    // Its ends may be frames in which neither was seen.
    assert!((20..23).contains(&found.frames.start) && (33..=35).contains(&found.frames.end), "{:?}", found.frames);
    assert!(rms(&fit, &[]) < 1.05 * 3f64.sqrt() * NOISE, "{}", rms(&fit, &[]));
    // Places where nothing was measured are filled by the trajectory.
    assert!(fit.trials[0].fit.q.iter().flatten().all(|q| q.is_finite()));
}

/// Exchanged throughout, or for so long that offsets follow the wrong names; between segments; and twice.
#[test]
fn names_exchanged_for_most_of_a_trial_or_between_segments_are_found() {
    let clean = truth(12, 60);
    let n = clean.trial.names.len();
    let column = |name: &str| clean.trial.names.iter().position(|m| m == name).unwrap();
    let same_body = ["sternum", "upperback"];
    let left_right = ["LKnee", "RKnee"];
    for (what, pair, frames, options) in [
        ("throughout", same_body, 0..60, subject_too()),
        ("for most of it", same_body, 0..50, subject_too()),
        ("sizes only", same_body, 0..60, FitOptions { scales: true, ..FitOptions::for_markers() }),
        ("left for right", left_right, 20..35, subject_too()),
        ("left for right, sizes only", left_right, 20..35, FitOptions { scales: true, ..FitOptions::for_markers() }),
    ] {
        let mut trial = clean.trial.clone();
        let [a, b] = pair.map(column);
        frames.clone().for_each(|f| trial.positions.swap(f * n + a, f * n + b));
        let fit = fit_one(&trial, &clean.skeleton, &FitOptions { covariance: false, ..options }).unwrap();
        let found: Vec<_> = fit.trials[0].exchanged.iter().map(|e| (e.columns, e.frames.clone())).collect();
        eprintln!("{what}: {found:?}, {:.2} mm", 1e3 * rms(&fit, &[]));
        assert_eq!(found, [([a.min(b), a.max(b)], frames)], "{what}");
        assert!(rms(&fit, &[]) < 1.05 * 3f64.sqrt() * NOISE, "{what}: {}", rms(&fit, &[]));
    }
}

/// Nothing is exchanged in these, whatever is free; in Subject4's walk what is known to be, and nothing else.
#[test]
fn names_that_are_right_are_left_alone() {
    let Some(trials) = shared() else { return };
    let data = trials.parent().unwrap();
    for (model, markers, expected) in [
        ("models/rajagopal_subject_walk_scaled_v40500.osim", "rajagopal_walk/markers_walk.trc", 0),
        ("models/gait2354_subject01_scaled_v20303.osim", "core_gait2354/subject01_synthetic_marker_data.trc", 0),
        ("models/gait2354_subject01_scaled_v20303.osim", "core_gait2354/subject01_static.trc", 0),
        ("trials/arnold_synthetic_subject01/generic_stripped.osim", "arnold_synthetic_subject01/markers.trc", 0),
        ("trials/subject4/generic_stripped.osim", "subject4/walking1.trc", 1),
        ("trials/subject4/manually_scaled_stripped.osim", "subject4/walking1.trc", 1),
    ] {
        let skeleton = read_model(&data.join(model)).unwrap();
        let trial = markers::read(&trials.join(markers)).unwrap();
        for (scales, offsets) in [(true, true), (true, false)] {
            let options = FitOptions { scales, offsets, covariance: false, ..FitOptions::for_markers() };
            let fit = fit_one(&trial, &skeleton, &options).unwrap();
            let found: Vec<_> = fit.trials[0].exchanged.iter().map(|e| (&e.names, e.frames.clone())).collect();
            eprintln!("{markers}, scales {scales}, offsets {offsets}: {found:?}");
            assert!(found.len() <= expected, "{markers}: {found:?}");
        }
    }
}

/// What a static trial and a motion have in common is fitted once; the same whichever comes first.
#[test]
fn trials_share_the_subject_in_any_order() {
    let (walk, still) = (truth(8, 40), truth(8, 1));
    let options = FitOptions { covariance: false, ..subject_too() };
    let one = fit_markers(&[walk.trial.clone(), still.trial.clone()], &walk.skeleton, None, &options).unwrap();
    let other = fit_markers(&[still.trial.clone(), walk.trial.clone()], &walk.skeleton, None, &options).unwrap();
    assert_eq!(one.trials.len(), 2);
    assert_eq!(one.trials[1].fit.q.len(), 1);
    for (a, b) in one.scales.0.iter().flatten().zip(other.scales.0.iter().flatten()) {
        // Both have converged to a decrement of a half: within one standard deviation of each other in all parameters together. Scales have deviations of at most the prior's.
        assert!((a - b).abs() < 0.02, "{a} and {b}");
    }
}

#[test]
fn what_cannot_be_fitted_says_why() {
    let truth = truth(2, 10);
    let mut trial = truth.trial.clone();
    trial.positions.iter_mut().enumerate().for_each(|(i, p)| *p = p.filter(|_| i % trial.names.len() < 3));
    let error = fit_one(&trial, &truth.skeleton, &subject_too()).unwrap_err().to_string();
    assert!(error.starts_with("walks/made.trc: in no frame are 4 markers"), "{error}");
    trial.names.iter_mut().enumerate().for_each(|(i, n)| *n = format!("m{i}"));
    let error = fit_one(&trial, &truth.skeleton, &subject_too()).unwrap_err().to_string();
    assert!(error.starts_with("walks/made.trc: 0 of the trial's"), "{error}");
}

/// Another unit is refused before anything is fitted; what else is no subject's body is never called converged: a mirrored trial, four times the size without scales to make up for it.
#[test]
fn nonsense_fails_and_says_where_to_look() {
    let truth = truth(4, 20);
    for factor in [1e-3, 0.1, 10.0, 1e3] {
        let mut trial = truth.trial.clone();
        trial.positions.iter_mut().flatten().for_each(|p| *p *= factor);
        let error = fit_one(&trial, &truth.skeleton, &subject_too()).unwrap_err().to_string();
        assert!(
            error.starts_with("walks/made.trc: its markers of the same bodies are") && error.contains("unit"),
            "{error}"
        );
    }
    for (what, scales, change) in [
        ("four times", false, &(|p: &Vector3<f64>| p * 4.0) as &dyn Fn(&Vector3<f64>) -> Vector3<f64>),
        ("mirrored", true, &|p| Vector3::new(p.x, p.y, -p.z)),
    ] {
        let mut trial = truth.trial.clone();
        trial.positions.iter_mut().flatten().for_each(|p| *p = change(p));
        let options = FitOptions { scales, offsets: scales, ..FitOptions::for_markers() };
        let fit = fit_one(&trial, &truth.skeleton, &options).unwrap();
        assert_eq!(fit.status, Status::Failed, "{what}: {}", fit.reason);
        assert!(fit.reason.contains("unit"), "{what}: {}", fit.reason);
    }
}

/// Frames are where their times say, whatever rate the file states; few or far apart, each stands on its own.
#[test]
fn times_count_and_not_the_stated_rate() {
    let truth = truth(6, 30);
    let own = FitOptions::for_markers();
    let scaled = {
        let groups = FitOptions { scales: true, ..FitOptions::for_markers() };
        fit_one(&truth.trial, &truth.skeleton, &groups).unwrap()
    };
    for rate_hz in [1.0, 1e6] {
        let trial = MarkerTrial { rate_hz, ..truth.trial.clone() };
        let fit = fit_one(&trial, &truth.skeleton, &FitOptions { scales: true, ..FitOptions::for_markers() }).unwrap();
        assert_eq!(fit.scales, scaled.scales, "{rate_hz}");
    }
    let n = truth.trial.names.len();
    for times in [vec![0.0, 7.0], vec![0.0, 0.02, 0.04, 9.0, 300.0]] {
        let frames = times.len();
        let trial =
            MarkerTrial { positions: truth.trial.positions[..frames * n].to_vec(), times, ..truth.trial.clone() };
        let fit = fit_one(&trial, &truth.skeleton, &own).unwrap();
        assert_eq!(fit.trials[0].fit.q.len(), frames);
        // The model has not the subject's size: centimetres, not the decimetres of frames drawn together.
        assert!(rms(&fit, &[]) < 0.05, "{}", rms(&fit, &[]));
    }
}

/// A gap that nobody is seen in for longer than the rest of the trial is filled in, loses nothing of what was seen, and is not known there.
#[test]
fn a_long_gap_costs_nothing_but_itself() {
    let truth = truth(7, 400);
    let mut trial = truth.trial.clone();
    let n = trial.names.len();
    trial.positions[100 * n..300 * n].fill(None);
    let fit = fit_one(&trial, &truth.skeleton, &FitOptions { scales: true, ..FitOptions::for_markers() }).unwrap();
    assert_eq!(fit.status, Status::Converged);
    assert!(rms(&fit, &[]) < 1.05 * 3f64.sqrt() * NOISE, "{}", rms(&fit, &[]));
    let hip = truth.skeleton.coordinate("hip_flexion_r").unwrap().index();
    let sd = |f: usize| fit.trials[0].fit.q_sd[f][hip].unwrap();
    assert!(sd(200) > 10.0 * sd(50), "{} {}", sd(200), sd(50));
}
