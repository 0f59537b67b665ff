//! The pose as a network of time, beside the B-spline: the same session, the same objective.
//!
//!     cargo run --release --features learn --example 10_network_trajectory [SESSION [MODEL [SCALE_GROUPS]]]
//!
//! Without a session folder it takes the embedded demo, whose truth is known. The table has the B-spline's fit, the network's from a random start at about the B-spline's cost in time,
//! at ten times that, and at its own end, where rates have faded; then the network that begins where the B-spline ended; last, of some random starts how many did not come
//! within 3 % of the B-spline's reprojection.

use kinefit::fit::{FitOptions, NetworkOptions, NetworkStart, SessionFit, TrajectoryKind, fit_session};
use kinefit::quality::evaluate;
use kinefit::session::{self, ReadOptions};
use kinefit::skeleton::{ScaleGroups, read_model};
use kinefit::synthetic::{Truth, demo};
use kinefit::{Result, session::Session};
use std::path::Path;

fn row(what: &str, fit: &SessionFit, truth: Option<&Truth>) -> Result<()> {
    let all = &fit.trials[0].reprojection.all;
    let joints = match truth {
        Some(truth) => format!("{:.2}°", evaluate(truth, &fit.fitted_data())?.trials[0].joints.bias_free),
        None => "–".into(),
    };
    println!(
        "{what:38} {:6} steps {:7.1} s {:8.2} px {:8.2} px {joints:>8}  {}",
        fit.iterations,
        fit.timings.solve,
        all.median_px,
        all.mean_px,
        format!("{:?}", fit.status).to_lowercase()
    );
    Ok(())
}

fn network(session: &Session, of_body: &FitOptions, options: NetworkOptions) -> Result<SessionFit> {
    let trajectory = TrajectoryKind::Mlp(Box::new(options));
    fit_session(session, &FitOptions { trajectory, ..of_body.clone() })
}

/// Random starts that are counted.
const STARTS: u64 = 5;

fn main() -> Result<()> {
    let (session, truth) = match std::env::args_os().nth(1) {
        Some(path) => {
            let truth = Truth::read(&Path::new(&path).join("truth.json")).ok();
            (session::read(Path::new(&path), &ReadOptions::default())?, truth)
        }
        None => demo().map(|made| (made.session, Some(made.truth)))?,
    };
    let mut options = FitOptions::default();
    if let Some(path) = std::env::args_os().nth(2) {
        let skeleton = read_model(Path::new(&path))?;
        let groups = std::env::args_os().nth(3).map(|path| ScaleGroups::read(Path::new(&path), &skeleton));
        options.scale_groups = groups.transpose()?;
        options.skeleton = Some(skeleton);
    }
    println!("{:38} {:>12} {:>9} {:>11} {:>11} {:>8}", "", "", "solve", "median", "mean", "joints");
    let bspline = fit_session(&session, &options)?;
    row("B-spline", &bspline, truth.as_ref())?;

    let whole = network(&session, &options, NetworkOptions::default())?;
    let per_second = whole.iterations as f64 / whole.timings.solve;
    for times in [1.0, 10.0] {
        let steps = ((times * bspline.timings.solve * per_second) as u64).max(1);
        let part = network(&session, &options, NetworkOptions { max_steps: steps, ..NetworkOptions::default() })?;
        row(&format!("network, random start, {times} × the time"), &part, truth.as_ref())?;
    }
    row("network, random start, to its end", &whole, truth.as_ref())?;

    let warm =
        network(&session, &options, NetworkOptions { start: NetworkStart::BSpline, ..NetworkOptions::default() })?;
    row("network, from the B-spline's fit", &warm, truth.as_ref())?;

    let reached = |fit: &SessionFit| {
        let of = |fit: &SessionFit| fit.trials[0].reprojection.all.median_px;
        of(fit) <= 1.03 * of(&bspline)
    };
    let mut failures = u64::from(!reached(&whole));
    for seed in 1..STARTS {
        failures +=
            u64::from(!reached(&network(&session, &options, NetworkOptions { seed, ..NetworkOptions::default() })?));
    }
    println!("\nOf {STARTS} random starts {failures} did not come within 3 % of the B-spline's reprojection.");

    let weights = whole.trials[0].network.as_ref().map_or(0, Vec::len) / 4;
    println!(
        "The network has {weights} parameters; as a file it is written beside a fit's others: <trial>.safetensors."
    );
    Ok(())
}
