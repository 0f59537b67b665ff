//! Fits whose trajectories are networks: against truth, against the B-spline, and through interruptions.

mod common;

use common::shared;
use kinefit::fit::{FitOptions, NetworkOptions, NetworkStart, Objective, Optimizer, SavedNetwork, SessionFit, Status};
use kinefit::fit::{TrajectoryKind, default_scale_groups, default_skeleton, fit_session};
use kinefit::quality::evaluate;
use kinefit::session::{self, ReadOptions};
use kinefit::skeleton::{ScaleGroups, read_model};
use kinefit::synthetic::{Synthetic, SyntheticOptions, Truth, generate};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Somebody who walks before four cameras.
fn walk(frames: usize) -> Synthetic {
    let skeleton = default_skeleton().unwrap();
    let groups = default_scale_groups(&skeleton).unwrap();
    generate(&skeleton, &groups, &SyntheticOptions { frames, cameras: 4, ..Default::default() }).unwrap()
}

fn mlp(options: NetworkOptions) -> FitOptions {
    FitOptions { trajectory: TrajectoryKind::Mlp(Box::new(options)), ..FitOptions::default() }
}

/// From a random start, as the published method.
fn random() -> NetworkOptions {
    NetworkOptions { start: NetworkStart::Random, ..NetworkOptions::default() }
}

/// Few steps, for what does not depend on where they lead.
fn short(steps: u64) -> NetworkOptions {
    NetworkOptions { max_steps: steps, round: 20, ..NetworkOptions::default() }
}

fn median(fit: &SessionFit) -> f64 {
    fit.trials[0].reprojection.all.median_px
}

fn fit(made: &Synthetic, options: &FitOptions) -> SessionFit {
    fit_session(&made.session, options).unwrap()
}

/// The bounds asked for: 3 % of reprojection, 0.2° of joint error without constant parts, from a random start.
#[test]
fn finds_the_optimum_of_the_bspline_from_a_random_start() {
    let made = walk(40);
    let bspline = fit(&made, &FitOptions::default());
    let network = fit(&made, &mlp(random()));
    assert_eq!(network.status, Status::Converged, "{}", network.reason);
    compare(&made.truth, &bspline, &network);
    // Of another start, too.
    let other = fit(&made, &mlp(NetworkOptions { seed: 5, ..random() }));
    compare(&made.truth, &bspline, &other);
    assert!(network.trials[0].network.is_some() && bspline.trials[0].network.is_none());
}

fn compare(truth: &Truth, bspline: &SessionFit, network: &SessionFit) {
    let ratio = median(network) / median(bspline);
    let joints = |fit: &SessionFit| evaluate(truth, &fit.fitted_data()).unwrap().trials[0].joints.bias_free;
    let (ours, theirs) = (joints(network), joints(bspline));
    eprintln!(
        "reprojection {ratio:.4} of the B-spline's; joints {ours:.2}° against {theirs:.2}°; {} steps",
        network.iterations
    );
    assert!((0.97..1.03).contains(&ratio), "{ratio}");
    assert!((ours - theirs).abs() < 0.2, "{ours} {theirs}");
    assert!(!network.warnings.iter().any(|w| w.contains("ran away")), "{:?}", network.warnings);
    // Deviations are there, taken from the B-spline nearest to the network.
    assert!(network.trials[0].q_sd[3].iter().flatten().count() > 20);
}

#[test]
fn the_quasi_newton_method_comes_close() {
    let made = walk(20);
    let bspline = fit(&made, &FitOptions::default());
    let options = NetworkOptions { optimizer: Optimizer::Lbfgs, max_steps: 3000, ..NetworkOptions::default() };
    let network = fit(&made, &mlp(options));
    let ratio = median(&network) / median(&bspline);
    eprintln!("L-BFGS: {ratio:.4} of the B-spline's reprojection in {} steps", network.iterations);
    // That it is within 3 % of what the second-order solver finds is what `converged` means.
    assert_eq!(network.status, Status::Converged, "{}", network.reason);
    assert!(ratio < 1.05, "{ratio}");
    assert_eq!(network.cost_history.len(), network.iterations);
}

#[test]
fn a_warm_start_begins_where_the_bspline_ended() {
    let made = walk(24);
    let bspline = fit(&made, &FitOptions::default());
    let network =
        fit(&made, &mlp(NetworkOptions { start: NetworkStart::BSpline, max_steps: 400, ..NetworkOptions::default() }));
    let ratio = median(&network) / median(&bspline);
    assert!((0.95..1.05).contains(&ratio), "{ratio}");
}

/// From the networks of an earlier fit, which left its sizes and cameras behind, the way is a fraction of that from a random start.
#[test]
fn a_fit_begins_at_the_networks_of_another() {
    let made = walk(24);
    let first = fit(&made, &mlp(NetworkOptions::default()));
    let bytes = first.trials[0].network.clone().unwrap();
    let saved = |bytes: &[u8]| {
        let file = SavedNetwork::new(&made.session.trials[0].name, Path::new("walk.safetensors"), bytes.to_vec());
        NetworkStart::Saved(vec![file])
    };
    let steps = |start| NetworkOptions { start, max_steps: 60, ..NetworkOptions::default() };
    let from_there = fit(&made, &mlp(steps(saved(&bytes))));
    let from_random = fit(&made, &mlp(steps(NetworkStart::Random)));
    let [there, random] = [&from_there, &from_random].map(|f| median(f) / median(&first));
    eprintln!(
        "after 60 steps from there {there:.3}, from random {random:.3} of the reprojection of {} steps",
        first.iterations
    );
    // Scales, offsets and cameras begin anew.
    assert!(there - 1.0 < 0.25 * (random - 1.0), "{there} {random}");

    let refused = |made: &Synthetic, start| fit_session(&made.session, &mlp(steps(start))).unwrap_err().to_string();
    let longer = refused(&walk(40), saved(&bytes));
    assert!(
        longer.contains("walk.safetensors") && longer.contains("0.400 s") && longer.contains("0.667 s"),
        "{longer}"
    );
    let of_another = refused(&made, NetworkStart::Saved(Vec::new()));
    assert!(of_another.contains("no network to begin at"), "{of_another}");
    // The published objective keeps coordinates within their ranges, without the margin that soft limits leave.
    let published = NetworkOptions { start: saved(&bytes), max_steps: 60, ..NetworkOptions::published() };
    let other_ranges = fit_session(&made.session, &mlp(published)).unwrap_err().to_string();
    assert!(other_ranges.contains("walk.safetensors") && other_ranges.contains("to another range"), "{other_ranges}");
    let mut damaged = bytes.clone();
    let last = damaged.len() - 4;
    damaged[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    let damaged = refused(&made, saved(&damaged));
    assert!(damaged.contains("walk.safetensors") && damaged.contains("NaN"), "{damaged}");
    // Numbers that no fit has come to: it is the file that is wrong, not the descent from it.
    for (weight, last, said) in [(1e9f32, 200, "m away"), (3e38, 2000, "no numbers")] {
        let mut absurd = bytes.clone();
        let first = absurd.len() - 4 * last;
        absurd[first..].chunks_exact_mut(4).for_each(|w| w.copy_from_slice(&weight.to_le_bytes()));
        let absurd = refused(&made, saved(&absurd));
        assert!(absurd.contains("walk.safetensors") && absurd.contains(said), "{absurd}");
    }
}

#[test]
fn batches_of_frames_lead_there_too() {
    let made = walk(60);
    let bspline = fit(&made, &FitOptions::default());
    let batch = kinefit::solve::first_order::MiniBatch { frames: 24, stretch: 12, seed: 1 };
    let network = fit(&made, &mlp(NetworkOptions { mini_batch: Some(batch), ..NetworkOptions::default() }));
    let ratio = median(&network) / median(&bspline);
    eprintln!("batches: {ratio:.4} of the B-spline's reprojection in {} steps", network.iterations);
    assert!(ratio < 1.05, "{ratio}");
}

/// Frames that are seconds apart: an encoding as fine as that of a film would let every frame go its own way.
#[test]
fn slow_cameras_are_no_obstacle() {
    let skeleton = default_skeleton().unwrap();
    let groups = default_scale_groups(&skeleton).unwrap();
    let options = SyntheticOptions { frames: 40, cameras: 4, rate_hz: 2.0, ..Default::default() };
    let made = generate(&skeleton, &groups, &options).unwrap();
    let bspline = fit(&made, &FitOptions::default());
    let network = fit(&made, &mlp(NetworkOptions::default()));
    let ratio = median(&network) / median(&bspline);
    eprintln!("2 Hz: {ratio:.4} of the B-spline's reprojection in {} steps", network.iterations);
    assert_eq!(network.status, Status::Converged, "{}", network.reason);
    assert!(ratio < 1.05, "{ratio}");
}

/// `converged` is more than rates that have faded, and what is no better than the first guess is not usable.
#[test]
fn a_descent_that_does_not_arrive_says_so() {
    let made = walk(12);
    let ended = |options: NetworkOptions| {
        let fit = fit(&made, &mlp(options));
        (fit.status, fit.reason, fit.advice.unwrap_or_default())
    };
    let mut slow = random();
    slow.rates.network = 1e-6;
    let (status, reason, advice) = ended(slow);
    assert_eq!(status, Status::Failed, "{reason}");
    assert!(reason.contains("no better than its first guess") && reason.contains("second-order solver"), "{reason}");
    assert!(advice.contains("--learning-rate"), "{advice}");
    let (status, reason, advice) = ended(NetworkOptions { max_steps: 1, ..random() });
    assert_eq!(status, Status::Failed, "{reason}");
    assert!(reason.contains("last step") && advice.contains("--resume"), "{reason}: {advice}");
    // Before two cameras a turn is learnt the wrong way round.
    let skeleton = default_skeleton().unwrap();
    let groups = default_scale_groups(&skeleton).unwrap();
    let movements = vec![kinefit::synthetic::Movement::Turn];
    let options = SyntheticOptions { frames: 90, cameras: 2, rate_hz: 30.0, seed: 9, movements, ..Default::default() };
    let turn = generate(&skeleton, &groups, &options).unwrap();
    let (bspline, network) = (fit(&turn, &FitOptions::default()), fit(&turn, &mlp(random())));
    let mean = |fit: &SessionFit| fit.trials[0].reprojection.all.mean_px;
    let there = mean(&network) <= 1.03 * mean(&bspline);
    assert_eq!(network.status == Status::Converged, there, "{}: {}", mean(&network) / mean(&bspline), network.reason);
    assert!(there || network.advice.as_ref().is_some_and(|a| a.contains("--warm-start")), "{:?}", network.advice);
    // Not so from the first guess.
    let guess = fit(&turn, &mlp(NetworkOptions::default()));
    assert_eq!(guess.status, Status::Converged, "{}", guess.reason);
    assert!(mean(&guess) <= 1.03 * mean(&bspline), "{}", mean(&guess) / mean(&bspline));
    // As small an error is not yet as likely a pose.
    let mut high = random();
    high.rates.network = 0.3;
    let (status, reason, advice) = ended(high);
    assert_eq!(status, Status::Usable, "{reason}");
    assert!(reason.contains("nats") && advice.contains("--learning-rate"), "{reason}: {advice}");
    // Its networks hardly learn before all else has faded.
    let mut coarse = NetworkOptions { max_steps: 700, ..random() };
    coarse.rates.network = 3e-4;
    let (status, reason, _) = ended(coarse);
    assert_eq!(status, Status::Usable, "{reason}");
    assert!(reason.contains("last step") && reason.contains("second-order solver"), "{reason}");
}

/// Where rates have fallen before the end is reached, and steps are left, they rise again: a fixed schedule is no end. Gone on from a checkpoint after that, in the same bits.
#[test]
fn rates_that_fade_too_soon_rise_again() {
    let made = walk(12);
    let mut slow = random();
    slow.rates.network = 1e-5;
    let with = |max_steps, resume, checkpoint| {
        let options = NetworkOptions { max_steps, ..slow.clone() };
        fit(&made, &FitOptions { resume, checkpoint, ..mlp(options) })
    };
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = kept.clone();
    // Somewhat more than the 6031 in which rates that the cost never halves fade to a thousandth.
    let once = with(6100, None, Some(Arc::new(move |bytes: &[u8]| *keep.lock().unwrap() = bytes.to_vec()) as _));
    assert_eq!(once.status, Status::Failed, "{}", once.reason);
    assert!(once.advice.as_ref().is_some_and(|a| a.contains("--resume")), "{:?}", once.advice);
    let on = with(NetworkOptions::default().max_steps, None, None);
    eprintln!("rates that fade too soon: {:.2} px after {} steps, {}", median(&once), once.iterations, once.reason);
    eprintln!("risen again: {:.2} px after {} steps, {}", median(&on), on.iterations, on.reason);
    assert_eq!(on.status, Status::Converged, "{}", on.reason);
    assert!(on.iterations > 10_000, "{}", on.iterations);
    let kept = Some(Arc::new(kept.lock().unwrap().clone()));
    let resumed = with(NetworkOptions::default().max_steps, kept, None);
    assert!(bits(&resumed) == bits(&on) && resumed.iterations == on.iterations, "{}", resumed.iterations);
}

/// Interrupted in the middle of a round and at the end of one, gone on from the checkpoint: the bits of a fit that was left alone. At one thread as at two.
#[test]
fn an_interrupted_fit_ends_in_the_same_bits() {
    let made = walk(12);
    let run = |threads: usize, options: FitOptions| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| fit(&made, &options))
    };
    let by = |optimizer| NetworkOptions { optimizer, ..short(90) };
    let both = [Optimizer::Adam, Optimizer::Lbfgs];
    for (optimizer, stop_at) in both.into_iter().flat_map(|o| [(o, 33u64), (o, 40)]) {
        let whole = run(2, mlp(by(optimizer)));
        assert_eq!(bits(&run(1, mlp(by(optimizer)))), bits(&whole), "one thread");
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (keep, flag, seen) = (kept.clone(), Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let raised = flag.clone();
        let first = run(
            2,
            FitOptions {
                checkpoint: Some(Arc::new(move |bytes: &[u8]| *keep.lock().unwrap() = bytes.to_vec())),
                stop: Some(flag),
                // Told of every tenth step: the flag is up from the first after `stop_at`.
                progress: Some(Arc::new(move |_, _, _| {
                    if seen.fetch_add(1, Ordering::Relaxed) * 10 > stop_at {
                        raised.store(true, Ordering::Relaxed);
                    }
                })),
                ..mlp(by(optimizer))
            },
        );
        assert!(first.reason.contains("stopped on request"), "{}", first.reason);
        assert!(first.advice.as_ref().is_some_and(|a| a.contains("--resume")), "{:?}", first.advice);
        assert!(first.iterations > 0 && first.iterations < 90, "{}", first.iterations);
        let resume = Some(Arc::new(kept.lock().unwrap().clone()));
        let second = run(2, FitOptions { resume: resume.clone(), ..mlp(by(optimizer)) });
        assert_eq!(second.iterations, 90, "of the whole descent");
        assert_eq!(bits(&second), bits(&whole), "stopped after {}", first.iterations);
        assert_eq!(second.cost_history, whole.cost_history);
        // Another fit's checkpoint is none.
        let other = NetworkOptions { seed: 9, ..by(optimizer) };
        let error = fit_session(&made.session, &FitOptions { resume, ..mlp(other) }).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("other options"), "{error}");
    }
}

/// The checkpoint of a fit that has taken all its steps, in the middle of a round and between two looks at the best parameters: going on from it is to have its result again.
#[test]
fn a_finished_fit_resumed_is_itself() {
    let made = walk(12);
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = kept.clone();
    let checkpoint = Some(Arc::new(move |bytes: &[u8]| *keep.lock().unwrap() = bytes.to_vec()) as _);
    let whole = fit(&made, &FitOptions { checkpoint, ..mlp(short(95)) });
    let resume = Some(Arc::new(kept.lock().unwrap().clone()));
    let again = fit(&made, &FitOptions { resume, ..mlp(short(95)) });
    assert_eq!((whole.iterations, again.iterations), (95, 95));
    assert_eq!(bits(&again), bits(&whole));
}

/// A trial that turns out to have no place in the session begins the descent anew without it; a checkpoint of that goes on without it, and ends in the bits of one that was left alone.
#[test]
fn what_was_left_out_stays_out_after_a_resume() {
    const SHIFT: f64 = 500.0;
    let made = walk(12);
    let mut session = made.session.clone();
    let mut other = session.trials[0].clone();
    other.name = "scattered".into();
    // Cameras that have been turned, each its own way, by more than a calibration that has gone stale.
    let each = other.detections.data.len() / other.detections.cameras;
    for (i, detection) in other.detections.data.iter_mut().enumerate() {
        let [u, v] = [[0.0, 0.0], [SHIFT, 0.0], [0.0, SHIFT], [-SHIFT, 0.0]][i / each];
        (detection[0], detection[1]) = (detection[0] + u, detection[1] + v);
    }
    session.trials.push(other);
    let mut options = NetworkOptions { max_steps: 500, round: 100, ..NetworkOptions::default() };
    options.architecture.layers = vec![16];
    let held = || FitOptions { refine_cameras: false, ..mlp(options.clone()) };
    let kept: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let keep = kept.clone();
    let checkpoint = Some(Arc::new(move |bytes: &[u8]| keep.lock().unwrap().push(bytes.to_vec())) as _);
    let whole = fit_session(&session, &FitOptions { checkpoint, ..held() }).unwrap();
    let left_out = |fit: &SessionFit| fit.trials.iter().map(|t| t.left_out()).collect::<Vec<_>>();
    assert_eq!(left_out(&whole), [false, true], "{}", whole.reason);
    let kept = kept.lock().unwrap();
    // Of both descents: that of both trials, and that of the one.
    assert_eq!(kept.len(), 10);
    for at in [2, 7, 9] {
        let resume = Some(Arc::new(kept[at].clone()));
        let again = fit_session(&session, &FitOptions { resume, ..held() }).unwrap();
        assert_eq!(left_out(&again), [false, true], "checkpoint {at}");
        assert_eq!(again.trials[1].reason, whole.trials[1].reason);
        assert!(bits(&again) == bits(&whole) && again.iterations == whole.iterations, "checkpoint {at}");
    }
}

/// While a network is taught the B-spline's poses, there are those.
#[test]
fn a_lesson_can_be_stopped() {
    let made = walk(24);
    let (flag, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let raised = flag.clone();
    let progress = Some(Arc::new(move |stage, share: f64, _| {
        // Poses are begun twice: those of the B-spline, and those of the network.
        if stage == kinefit::fit::Stage::Pose && share == 0.1 && seen.fetch_add(1, Ordering::Relaxed) == 1 {
            raised.store(true, Ordering::Relaxed);
        }
    }) as _);
    let options = NetworkOptions { start: NetworkStart::BSpline, ..NetworkOptions::default() };
    let stopped = fit(&made, &FitOptions { stop: Some(flag), progress, ..mlp(options) });
    assert!(stopped.reason.contains("stopped on request"), "{}", stopped.reason);
    assert!(stopped.warnings.iter().any(|w| w.contains("still being taught")), "{:?}", stopped.warnings);
    let ratio = median(&stopped) / median(&fit(&made, &FitOptions::default()));
    assert!((0.99..1.01).contains(&ratio), "{ratio}");
}

/// From any checkpoint of a fit that ends by itself, noise and smoothness estimated on the way: the same poses, and the same deviations.
#[test]
fn a_fit_killed_at_any_time_ends_the_same() {
    let made = walk(12);
    let kept: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let keep = kept.clone();
    let checkpoint = Some(Arc::new(move |bytes: &[u8]| keep.lock().unwrap().push(bytes.to_vec())) as _);
    let mut options = NetworkOptions { round: 100, ..NetworkOptions::default() };
    options.architecture.layers = vec![16];
    let whole = fit(&made, &FitOptions { checkpoint, ..mlp(options.clone()) });
    let kept = kept.lock().unwrap();
    for at in [1, kept.len() / 2, kept.len() - 2] {
        let again = fit(&made, &FitOptions { resume: Some(Arc::new(kept[at].clone())), ..mlp(options.clone()) });
        assert_eq!(again.iterations, whole.iterations, "checkpoint {at} of {}", kept.len());
        assert!(bits(&again) == bits(&whole), "checkpoint {at} of {}", kept.len());
    }
}

fn bits(fit: &SessionFit) -> Vec<u64> {
    let poses = fit.trials[0].q.iter().flatten().copied();
    let deviations = fit.trials[0].q_sd.iter().flatten().flatten().copied();
    poses.chain(fit.scales.0.iter().flatten().copied()).chain(deviations).map(f64::to_bits).collect()
}

/// A rate at which nothing converges ends in numbers, the best that was seen, and says so.
#[test]
fn a_rate_that_is_far_too_high_is_survived() {
    let made = walk(12);
    let mut options = NetworkOptions { max_steps: 600, ..NetworkOptions::default() };
    options.rates.network = 0.9;
    options.rates.cameras = (0.9, 0);
    options.adam.longest = None;
    options.runaway = 0.1;
    let fit = fit_session(&made.session, &mlp(options)).unwrap();
    assert!(fit.trials[0].q.iter().flatten().all(|q| q.is_finite()));
    assert!(fit.warnings.iter().any(|w| w.contains("ran away")), "{:?}", fit.warnings);
}

#[test]
fn a_trial_of_three_frames_is_too_short() {
    let error = fit_session(&walk(3).session, &mlp(short(10))).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("has 3 frames") && error.contains("--trajectory bspline"), "{error}");
    // Of two trials only the short one fails, and by its name.
    let mut session = walk(12).session;
    let mut short = walk(3).session.trials.remove(0);
    short.name = "short".into();
    session.trials.push(short);
    let fit = fit_session(&session, &mlp(self::short(10))).unwrap();
    let ends: Vec<_> = fit.trials.iter().map(|t| (t.name.as_str(), t.left_out())).collect();
    assert_eq!(ends, [("walk", false), ("short", true)]);
    assert!(fit.trials[1].reason.contains("has 3 frames"), "{}", fit.trials[1].reason);
}

/// The published objective has no priors: no deviations, and what nothing holds drifts; but it goes down.
#[test]
fn the_published_conditions_run() {
    let made = walk(12);
    let layers = vec![16, 16, 16, 16];
    let published = NetworkOptions::published();
    let architecture = kinefit::trajectory::mlp::Architecture { layers, ..published.architecture.clone() };
    let fit = fit(&made, &mlp(NetworkOptions { architecture, max_steps: 60, ..published }));
    assert_eq!(NetworkOptions::published().objective, Objective::Published);
    assert!(fit.trials[0].q_sd.iter().flatten().all(Option::is_none));
    let (first, last) = (fit.cost_history[0], fit.cost_history[59]);
    assert!(last < first, "{first} {last}");
}

fn command(arguments: &[&str]) -> (Option<i32>, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_kinefit")).args(arguments).output().unwrap();
    (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
}

#[test]
fn the_command_fits_networks() {
    let place = tempfile::tempdir().unwrap();
    let folder = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let (session, out) = (folder("session"), folder("out"));
    assert_eq!(command(&["synth", "--out", &session, "--frames", "12"]).0, Some(0));
    let fit = ["fit", &session, "--out", &out];
    let with = |more: &[&str]| command(&fit.iter().copied().chain(more.iter().copied()).collect::<Vec<_>>());
    let (code, error) = with(&["--network", "medium"]);
    assert!(code == Some(2) && error.contains("--trajectory mlp"), "{error}");
    let (code, error) = with(&["--trajectory", "mlp", "--network", "huge"]);
    assert!(code == Some(2) && error.contains("small, medium, large"), "{error}");
    let (code, error) = with(&["--trajectory", "mlp", "--resume"]);
    assert!(code == Some(2) && error.contains("nothing to go on from"), "{error}");
    let start = ["--trajectory", "mlp", "--network", "16", "--warm-start", "random"];
    let (code, error) = with(&[&start[..], &["--steps", "50"]].concat());
    assert_eq!(code, Some(1), "fifty steps from a random start are no fit: {error}");
    let reason = std::fs::read_to_string(Path::new(&out).join("outcome.json")).unwrap();
    assert!(reason.contains("no better than its first guess"), "{reason}");
    let written = |name: &str| PathBuf::from(&out).join(name).is_file();
    let stem = std::fs::read_dir(&out).unwrap().filter_map(|e| e.unwrap().file_name().into_string().ok());
    let networks: Vec<String> = stem.filter(|n| n.ends_with(".safetensors")).collect();
    assert_eq!(networks, ["walk.safetensors"]);
    assert!(written("report.html") && written("model.osim") && written("fit.checkpoint"));
    let (code, error) = with(&[&start[..], &["--steps", "1500", "--resume"]].concat());
    assert_eq!(code, Some(0), "{error}");
    let outcome: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(Path::new(&out).join("outcome.json")).unwrap()).unwrap();
    assert_eq!(outcome["iterations"], 1500);
    let (code, error) = with(&["--trajectory", "mlp", "--network", "17", "--steps", "1600", "--resume"]);
    assert!(code == Some(2) && error.contains("other options") && error.contains("fit.checkpoint"), "{error}");
    // Over the networks it begins at it would write its own.
    let (code, error) = with(&["--trajectory", "mlp", "--warm-start", &out]);
    assert!(code == Some(2) && error.contains("another folder"), "{error}");
    let after = format!("{out}_after");
    let from_there = |more: &[&str]| {
        let fixed = ["fit", &session, "--out", &after, "--trajectory", "mlp", "--warm-start", &out];
        command(&fixed.into_iter().chain(more.iter().copied()).collect::<Vec<_>>())
    };
    let (code, error) = from_there(&["--steps", "300"]);
    assert_eq!(code, Some(0), "{error}");
    let manifest = std::fs::read_to_string(Path::new(&after).join("manifest.json")).unwrap();
    assert_eq!(manifest.matches(".safetensors").count(), 2, "the network it began at and its own: {manifest}");
    let (code, error) = from_there(&["--steps", "400", "--resume"]);
    assert_eq!(code, Some(0), "{error}");
    let (code, error) = from_there(&["--network", "16"]);
    assert!(code == Some(2) && error.contains("--network"), "{error}");
    let (code, error) = with(&["--trajectory", "mlp", "--warm-start", "nowhere"]);
    assert!(code == Some(2) && error.contains("nowhere") && error.contains("bspline"), "{error}");
    let (code, error) = with(&["--trajectory", "mlp", "--warm-start", &session]);
    assert!(code == Some(2) && error.contains(".safetensors") && error.contains("--warm-start"), "{error}");
    let (code, error) = with(&["--warm-start", "bspline"]);
    assert!(code == Some(2) && error.contains("--trajectory mlp"), "{error}");
}

#[test]
fn recordings() {
    let Some(folder) = shared("data/balancing") else { return };
    let session = session::read(&folder, &ReadOptions::default()).unwrap();
    let bspline = fit_session(&session, &FitOptions::default()).unwrap();
    for options in [random(), NetworkOptions::default()] {
        let start = options.start.clone();
        let network = fit_session(&session, &mlp(options)).unwrap();
        let ratio = median(&network) / median(&bspline);
        let seconds = network.timings.solve;
        eprintln!("balancing, {start:?}: {ratio:.4} of the B-spline's reprojection, {seconds:.1} s");
        assert_eq!(network.status, Status::Converged, "{}", network.reason);
        assert!((0.97..1.03).contains(&ratio), "{ratio}");
    }

    let Some(folder) = shared("data/synthetic_walk_T100") else { return };
    let session = session::read(&folder, &ReadOptions::default()).unwrap();
    let skeleton = read_model(&folder.join("humanoid_torque.xml")).unwrap();
    let groups = ScaleGroups::read(&folder.join("scale_groups.json"), &skeleton).unwrap();
    let with = |options: FitOptions| {
        let options = FitOptions { skeleton: Some(skeleton.clone()), scale_groups: Some(groups.clone()), ..options };
        fit_session(&session, &options).unwrap()
    };
    let truth = Truth::read(&folder.join("truth.json")).unwrap();
    let bspline = with(FitOptions::default());
    for options in [random(), NetworkOptions::default()] {
        let network = with(mlp(options));
        assert_eq!(network.status, Status::Converged, "{}", network.reason);
        compare(&truth, &bspline, &network);
    }
}
