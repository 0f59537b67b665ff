//! Times of the inner loops over a reference measured beside them, against the committed `baseline.json`.
//!
//!     cargo bench --bench ratios              # a table; exit status 1 where a ratio is worse than its tolerance allows
//!     cargo bench --bench ratios -- --write   # measure again what the baseline holds
//!
//! One thread throughout. Kernel and reference take turns, so that what else the machine does meets both, and the fastest turn of each counts.

mod common;

use faer::linalg::solvers::Llt;
use faer::{Mat, Side};
use kinefit::fit_session;
use kinefit::kinematics::batch::Program;
use kinefit::kinematics::{Frame, forward};
use kinefit::math::lanes::Tiles;
use kinefit::skeleton::Offsets;
use kinefit::solve::{SolveOptions, linearise, solve};
use kinefit::trajectory::{LocalTrajectory, Trajectory};
use nalgebra::{Matrix6, Vector3};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/baseline.json");

/// Turns of kernel and reference in one measurement.
const TURNS: usize = 12;
/// Seconds a turn should last at least: well above what a clock resolves.
const TURN: f64 = 2e-3;
/// Controls of a system that is factored as an arrow and dense.
const SHORT: usize = 20;
/// Measurements of a kernel that seems worse before it is called so.
const TRIES: usize = 4;

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Worse {
    Higher,
    Lower,
}

/// A line of the baseline.
#[derive(Clone, Serialize, Deserialize)]
struct Expected {
    /// The reference it is divided by.
    over: String,
    ratio: f64,
    /// Which direction is the bad one.
    worse: Worse,
    /// Factor in the bad direction that is still accepted.
    tolerance: f64,
}

impl Expected {
    /// How much worse `measured` is: above 1 is worse, below is better.
    fn worsening(&self, measured: f64) -> f64 {
        match self.worse {
            Worse::Higher => measured / self.ratio,
            Worse::Lower => self.ratio / measured,
        }
    }
}

/// Something to time: returns the seconds of one run.
type Run = Box<dyn FnMut() -> f64>;

/// Runs on the wall's clock, and on the processor's where the system tells this thread's time on it (Linux).
struct Stopwatch {
    begun: Instant,
    on_processor: Option<f64>,
}

impl Stopwatch {
    /// The system counts a thread's time up to its last tick, milliseconds ago.
    const LONG: f64 = 50e-3;

    fn start() -> Self {
        Self { on_processor: Self::on_processor(), begun: Instant::now() }
    }

    fn on_processor() -> Option<f64> {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        Some(text.split_whitespace().next()?.parse::<f64>().ok()? * 1e-9)
    }

    /// Seconds since the start; of long runs, which other processes interrupt, without what was theirs.
    fn stop(self) -> f64 {
        let wall = self.begun.elapsed().as_secs_f64();
        if wall < Self::LONG {
            return wall;
        }
        Self::on_processor().zip(self.on_processor).map_or(wall, |(now, then)| wall.min(now - then))
    }
}

fn run<T>(mut f: impl FnMut() -> T + 'static) -> Run {
    Box::new(move || {
        let watch = Stopwatch::start();
        black_box(f());
        watch.stop()
    })
}

/// As [`run`], each time on a fresh copy that is made, and dropped, outside the measurement.
fn run_on<S: 'static, T>(fresh: impl Fn() -> S + 'static, f: impl Fn(S) -> T + 'static) -> Run {
    Box::new(move || {
        let input = fresh();
        let watch = Stopwatch::start();
        let output = black_box(f(input));
        let seconds = watch.stop();
        drop(output);
        seconds
    })
}

/// Seconds of one call in the mean over a turn.
fn turn(f: &mut Run, calls: usize) -> f64 {
    (0..calls).map(|_| f()).sum::<f64>() / calls as f64
}

fn ratio(kernel: &mut Run, reference: &mut Run) -> f64 {
    let calls = |f: &mut Run| (TURN / f().max(1e-9)).ceil().clamp(1.0, 1e6) as usize;
    let (a, b) = (calls(kernel), calls(reference));
    let mut best = [f64::INFINITY; 2];
    for _ in 0..TURNS {
        best[0] = best[0].min(turn(kernel, a));
        best[1] = best[1].min(turn(reference, b));
    }
    best[0] / best[1]
}

/// A dense positive definite matrix.
fn dense(n: usize) -> Mat<f64> {
    Mat::from_fn(n, n, |r, c| if r == c { n as f64 } else { ((r * c) % 7) as f64 / 7.0 })
}

/// What kernels are measured against: arithmetic of small matrices as the compiler makes it, the library's dense kernels,
/// and the arrow solver for what its structure is worth.
fn references() -> BTreeMap<&'static str, Run> {
    let small = Matrix6::from_fn(|r, c| 0.01 * (r + 6 * c) as f64);
    let large = dense(300);
    let short = common::arrow(SHORT, 40, 317);
    BTreeMap::from([
        ("products_6x6", run(move || (0..1000).fold(Matrix6::identity(), |m, _| black_box(&small) * m * 0.5))),
        ("arrow_20", run_on(move || short.clone(), |a| a.factor())),
        ("cholesky_300", run(move || Llt::new(large.as_ref(), Side::Lower).is_ok())),
    ])
}

/// Every kernel by name.
fn kernels() -> Vec<(String, Run)> {
    let mut all: Vec<(String, Run)> = Vec::new();
    let points = common::points(1000);
    for (name, projector) in common::lenses() {
        let points = points.clone();
        let sum = move || {
            let found = points.iter().filter_map(|p| projector.project_with_derivatives(p));
            found.fold(Vector3::zeros(), |sum, p| sum + p.d_pixel_d_point.row(0).transpose())
        };
        all.push((format!("project_with_derivatives/{name}, 1000 points"), run(sum)));
    }

    let made = common::session(60, 30.0);
    let mechanism = common::mechanism();
    let poses: Vec<_> = (0..60).map(|f| common::pose(&made, &mechanism, f)).collect();
    let scales = mechanism.scales(&vec![0.01; mechanism.groups().groups.len()]);
    let offsets = Offsets::zeros(mechanism.skeleton());
    let mut frame = Frame::new(mechanism.skeleton());
    let (m, p, s, o) = (mechanism.clone(), poses.clone(), scales.clone(), offsets.clone());
    let each = move || p.iter().for_each(|pose| forward(m.skeleton(), &s, &o, &pose.q, &pose.rotors, &mut frame));
    all.push(("forward, 60 frames".into(), run(each)));
    let program = Program::<f64>::new(mechanism.skeleton(), &scales, &offsets);
    let inputs = common::walk(&program, mechanism.skeleton(), 512);
    let (p, i, mut work, mut markers) = (program.clone(), inputs.clone(), program.workspace(), Tiles::zeros(0, 0));
    all.push(("batch forward, 512 frames".into(), run(move || p.forward(&i, &mut work, &mut markers, None))));
    let mut work = program.workspace();
    let each = move || {
        program.linearise(&inputs, &mut work, |tile| {
            black_box(tile);
        })
    };
    all.push(("batch linearise, 512 frames".into(), run(each)));
    let (m, mut work) = (mechanism.clone(), mechanism.workspace());
    let each = move || poses.iter().for_each(|p| m.linearise(&scales, &offsets, &p.q, &p.rotors, &mut work));
    all.push(("mechanism linearise, 60 frames".into(), run(each)));

    let spline = common::trajectory(&made, &mechanism, 1.0 / 30.0);
    let times: Vec<f64> = (0..1000).map(|i| f64::from(i) * 1.9e-3).collect();
    let (curve, t, mut pose) = (spline.clone(), times.clone(), spline.layout().default_pose());
    all.push(("spline pose, 1000 times".into(), run(move || t.iter().for_each(|&t| curve.pose(t, &mut pose)))));
    let mut weights = spline.layout().weights();
    let each = move || times.iter().for_each(|&t| spline.weights(t, &mut weights));
    all.push(("spline weights, 1000 times".into(), run(each)));

    let system = common::arrow(153, 40, 317);
    let factor = system.clone().factor().expect("positive definite");
    all.push(("arrow factor, 153×40 + 317".into(), run_on(move || system.clone(), |a| a.factor())));
    let solved = factor.clone();
    all.push(("arrow solve, 153×40 + 317".into(), run(move || solved.solve())));
    all.push(("arrow covariance, 153×40 + 317".into(), run_on(move || factor.clone(), |f| f.into_covariance())));

    let same = dense(SHORT * 40 + 317);
    all.push(("dense Cholesky, 20×40 + 317".into(), run(move || Llt::new(same.as_ref(), Side::Lower).is_ok())));

    let (problem, start) = common::problem(&made);
    let (p, s) = (problem.clone(), start.clone());
    all.push(("solve linearise, 60 frames".into(), run(move || linearise(&p, &s))));
    let one = SolveOptions { max_iterations: 1, ..SolveOptions::default() };
    all.push(("one iteration, 60 frames".into(), run_on(move || start.clone(), move |s| solve(&problem, s, &one))));
    let options = common::fit_options();
    all.push(("fit_session, 60 frames".into(), run(move || fit_session(&made.session, &options))));
    all
}

fn main() -> ExitCode {
    if !common::asked_for() {
        return ExitCode::SUCCESS;
    }
    let write = std::env::args().any(|a| a == "--write");
    let text = std::fs::read_to_string(BASELINE).expect("benches/baseline.json");
    let mut baseline: BTreeMap<String, Expected> = serde_json::from_str(&text).expect("a baseline");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    let worse = pool.install(|| measure(&mut baseline, write));
    if write {
        let text = serde_json::to_string_pretty(&baseline).expect("plain numbers") + "\n";
        std::fs::write(BASELINE, text).expect("benches/baseline.json");
        return ExitCode::SUCCESS;
    }
    match worse {
        0 => ExitCode::SUCCESS,
        n => {
            eprintln!("{n} of the ratios are worse than allowed");
            ExitCode::FAILURE
        }
    }
}

/// Measures every kernel, prints the table, and returns how many are worse than allowed or not in the baseline.
fn measure(baseline: &mut BTreeMap<String, Expected>, write: bool) -> usize {
    let mut references = references();
    let mut worse = 0;
    println!("{:<52} {:>12} {:>8} {:>8} {:>6}", "kernel", "over", "ratio", "baseline", "change");
    for (name, mut kernel) in kernels() {
        let Some(expected) = baseline.get_mut(&name) else {
            println!("{name:<52} is not in the baseline");
            worse += 1;
            continue;
        };
        let Some(reference) = references.get_mut(expected.over.as_str()) else {
            println!("{name:<52} is measured over `{}`, which is no reference", expected.over);
            worse += 1;
            continue;
        };
        let mut measured = ratio(&mut kernel, reference);
        for _ in 1..TRIES {
            if expected.worsening(measured) <= expected.tolerance {
                break;
            }
            let again = ratio(&mut kernel, reference);
            measured = if expected.worsening(again) < expected.worsening(measured) { again } else { measured };
        }
        let change = expected.worsening(measured);
        let verdict = match change {
            c if c > expected.tolerance => "WORSE",
            c if c < 1.0 / expected.tolerance => "better: write the baseline again",
            _ => "",
        };
        worse += usize::from(change > expected.tolerance);
        println!("{name:<52} {:>12} {measured:>8.3} {:>8.3} {change:>5.2}× {verdict}", expected.over, expected.ratio);
        if write {
            // Three digits: the rest is noise.
            expected.ratio = format!("{measured:.2e}").parse().expect("a number");
        }
    }
    worse
}
