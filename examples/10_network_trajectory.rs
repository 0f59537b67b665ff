//! The pose as a network of time, beside the B-spline: the same session, the same objective.
//!
//!     cargo run --release --features learn --example 10_network_trajectory [SESSION]
//!
//! Without a session folder it takes the embedded demo, whose truth is known. The table has the B-spline's fit, the network's from a random start at about the B-spline's cost in time,
//! at ten times that, and at its own end, where rates have faded; then the network that begins where the B-spline ended.

use kinefit::fit::{FitOptions, NetworkOptions, NetworkStart, SessionFit, TrajectoryKind, fit_session};
use kinefit::quality::evaluate;
use kinefit::session::{self, ReadOptions};
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

fn network(session: &Session, options: NetworkOptions) -> Result<SessionFit> {
    let trajectory = TrajectoryKind::Mlp(Box::new(options));
    fit_session(session, &FitOptions { trajectory, ..FitOptions::default() })
}

fn main() -> Result<()> {
    let (session, truth) = match std::env::args_os().nth(1) {
        Some(path) => {
            let truth = Truth::read(&Path::new(&path).join("truth.json")).ok();
            (session::read(Path::new(&path), &ReadOptions::default())?, truth)
        }
        None => demo().map(|made| (made.session, Some(made.truth)))?,
    };
    println!("{:38} {:>12} {:>9} {:>11} {:>11} {:>8}", "", "", "solve", "median", "mean", "joints");
    let bspline = fit_session(&session, &FitOptions::default())?;
    row("B-spline", &bspline, truth.as_ref())?;

    let whole = network(&session, NetworkOptions::default())?;
    let per_second = whole.iterations as f64 / whole.timings.solve;
    for times in [1.0, 10.0] {
        let steps = ((times * bspline.timings.solve * per_second) as u64).max(1);
        let part = network(&session, NetworkOptions { max_steps: steps, ..NetworkOptions::default() })?;
        row(&format!("network, random start, {times} × the time"), &part, truth.as_ref())?;
    }
    row("network, random start, to its end", &whole, truth.as_ref())?;

    let warm = network(&session, NetworkOptions { start: NetworkStart::BSpline, ..NetworkOptions::default() })?;
    row("network, from the B-spline's fit", &warm, truth.as_ref())?;

    let weights = whole.trials[0].network.as_ref().map_or(0, Vec::len) / 4;
    println!(
        "\nThe network has {weights} parameters; as a file it is written beside a fit's others: <trial>.safetensors."
    );
    Ok(())
}
