//! Time and memory of a whole fit as trials grow: 300 and 3000 frames × 8 cameras × 87 points, everything free, no standard deviations.
//!
//!     cargo bench --bench scaling                      # both lengths, three runs of the short one
//!     RAYON_NUM_THREADS=1 cargo bench --bench scaling
//!     cargo bench --bench scaling -- --rate 30         # a control of the trajectory every frame, not every second one
//!
//! Each run is a process of its own, so that its peak memory (Linux only) is its own.

mod common;

use kinefit::fit::{Status, fit_session};
use serde::{Deserialize, Serialize};
use std::process::{Command, ExitCode, Stdio};

const SHORT: usize = 300;
const LONG: usize = 3000;
const RATE_HZ: f64 = 60.0;
/// Runs of each length, of which the fastest counts.
const RUNS: [(usize, usize); 2] = [(SHORT, 3), (LONG, 1)];

#[derive(Clone, Serialize, Deserialize)]
struct Figures {
    frames: usize,
    detections: usize,
    status: String,
    iterations: usize,
    initialise_s: f64,
    solve_s: f64,
    total_s: f64,
    /// Seconds of all threads together, which other processes lengthen less than the clock on the wall.
    cpu_s: Option<f64>,
    /// Where the system tells it.
    peak_mb: Option<f64>,
    /// Before the fit: the session itself.
    before_mb: Option<f64>,
}

/// Peak resident memory of this process, megabytes.
fn peak_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

/// Processor time of this process so far, user and system, in Linux's hundredths of a second.
fn cpu_s() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may hold spaces; times are the 14th and 15th field, the first after the name is the 3rd.
    let ticks = stat.rsplit_once(')')?.1.split_whitespace().skip(11).take(2);
    Some(ticks.filter_map(|t| t.parse::<f64>().ok()).sum::<f64>() / 100.0)
}

fn one(frames: usize, rate_hz: f64) -> Figures {
    let session = common::session(frames, rate_hz).session;
    let detections = session.trials[0].detections.data.iter().filter(|d| d[2] > 0.0).count();
    let before_mb = peak_mb();
    let cpu_before = cpu_s();
    let fit = fit_session(&session, &common::fit_options()).expect("a session that can be fitted");
    if fit.status != Status::Converged {
        eprintln!("{}: {}", session.name, fit.reason);
    }
    Figures {
        frames,
        detections,
        status: format!("{:?}", fit.status).to_lowercase(),
        iterations: fit.iterations,
        initialise_s: fit.timings.initialise,
        solve_s: fit.timings.solve,
        total_s: fit.timings.total,
        cpu_s: cpu_s().zip(cpu_before).map(|(after, before)| after - before),
        peak_mb: peak_mb(),
        before_mb,
    }
}

/// Runs one length in a child process.
fn in_child(frames: usize, rate_hz: f64) -> Option<Figures> {
    let child = Command::new(std::env::current_exe().ok()?)
        .args(["--bench", "--frames", &frames.to_string(), "--rate", &rate_hz.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .ok()?;
    serde_json::from_slice(&child.stdout).ok()
}

fn argument(name: &str) -> Option<f64> {
    let mut arguments = std::env::args().skip_while(|a| a != name);
    arguments.nth(1)?.parse().ok()
}

fn main() -> ExitCode {
    if !common::asked_for() {
        return ExitCode::SUCCESS;
    }
    let rate_hz = argument("--rate").unwrap_or(RATE_HZ);
    if let Some(frames) = argument("--frames") {
        println!("{}", serde_json::to_string(&one(frames as usize, rate_hz)).expect("plain numbers"));
        return ExitCode::SUCCESS;
    }
    println!("{rate_hz} Hz, {} threads", rayon::current_num_threads());
    println!(
        "{:>6} {:>11} {:>10} {:>10} {:>12} {:>8} {:>8} {:>8} {:>9} {:>13}",
        "frames",
        "detections",
        "status",
        "iterations",
        "initialise s",
        "solve s",
        "total s",
        "cpu s",
        "peak MB",
        "before fit MB"
    );
    let mut best: Vec<Figures> = Vec::new();
    for (frames, runs) in RUNS {
        let mut fastest: Option<Figures> = None;
        for _ in 0..runs {
            let Some(f) = in_child(frames, rate_hz) else {
                eprintln!("the run of {frames} frames failed");
                return ExitCode::FAILURE;
            };
            let mb = |x: Option<f64>| x.map_or("?".into(), |x| format!("{x:.0}"));
            println!(
                "{:>6} {:>11} {:>10} {:>10} {:>12.2} {:>8.2} {:>8.2} {:>8} {:>9} {:>13}",
                f.frames,
                f.detections,
                f.status,
                f.iterations,
                f.initialise_s,
                f.solve_s,
                f.total_s,
                f.cpu_s.map_or("?".into(), |s| format!("{s:.2}")),
                mb(f.peak_mb),
                mb(f.before_mb)
            );
            if fastest.as_ref().is_none_or(|b| f.solve_s < b.solve_s) {
                fastest = Some(f);
            }
        }
        best.extend(fastest);
    }
    if let [short, long] = &best[..] {
        println!(
            "{LONG} over {SHORT} frames: solve {:.1}×, total {:.1}×",
            long.solve_s / short.solve_s,
            long.total_s / short.total_s
        );
    }
    ExitCode::SUCCESS
}
