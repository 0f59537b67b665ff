//! The pose as a network of time, beside the B-spline: the same session, the same objective.
//!
//!     cargo run --release --features learn --example 10_network_trajectory [SESSION [MODEL [SCALE_GROUPS]]]
//!
//! Without a session folder it takes the embedded demo, whose truth is known. The table has the B-spline's fit; the network's from a random start, with as many steps as the B-spline's
//! fit takes time for, with ten times that, and at its own end, where rates have faded; then those that begin at the first guess and where the B-spline ended; last, of some starts of either
//! kind how many did not end as `converged`: at the optimum that the second-order solver finds.

use kinefit::fit::{FitOptions, NetworkOptions, NetworkStart, SessionFit, Status, TrajectoryKind, fit_session};
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
        "{what:48} {:6} steps {:7.1} s {:8.2} px {:8.2} px {joints:>8}  {}",
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

/// Seeds that are counted, of either start.
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
    println!("{:48} {:>12} {:>9} {:>11} {:>11} {:>8}", "", "", "solve", "median", "mean", "joints");
    let bspline = fit_session(&session, &options)?;
    row("B-spline", &bspline, truth.as_ref())?;

    let from = |start, seed| NetworkOptions { start, seed, ..NetworkOptions::default() };
    let random = network(&session, &options, from(NetworkStart::Random, 0))?;
    // What a lesson and the check at the end take is not a matter of steps.
    let steps = |max_steps| NetworkOptions { max_steps, ..from(NetworkStart::Random, 0) };
    let first = network(&session, &options, steps(1))?;
    let per_step = (random.timings.solve - first.timings.solve) / (random.iterations as f64 - 1.0);
    for times in [1.0, 10.0] {
        let part = network(&session, &options, steps(((times * bspline.timings.solve / per_step) as u64).max(1)))?;
        row(&format!("network, random start, steps of {times} × its time"), &part, truth.as_ref())?;
    }
    row("network, random start, to its end", &random, truth.as_ref())?;
    let whole = network(&session, &options, from(NetworkStart::Guess, 0))?;
    row("network, first guess, to its end", &whole, truth.as_ref())?;
    row(
        "network, from the B-spline's fit",
        &network(&session, &options, from(NetworkStart::BSpline, 0))?,
        truth.as_ref(),
    )?;

    for (start, what, first) in
        [(NetworkStart::Guess, "the first guess", &whole), (NetworkStart::Random, "random starts", &random)]
    {
        let mut ends = vec![first.status];
        for seed in 1..STARTS {
            ends.push(network(&session, &options, from(start.clone(), seed))?.status);
        }
        let failures = ends.iter().filter(|end| **end != Status::Converged).count();
        println!("\nOf {STARTS} seeds from {what} {failures} did not converge.");
    }

    let weights = whole.trials[0].network.as_ref().map_or(0, Vec::len) / 4;
    println!(
        "The network has {weights} parameters; as a file it is written beside a fit's others: <trial>.safetensors."
    );
    Ok(())
}
