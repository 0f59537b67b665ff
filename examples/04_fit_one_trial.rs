//! Fit a session: what `kinefit fit` does, from Rust, on a synthetic walk whose truth is known.
//!
//!     cargo run --release --example 04_fit_one_trial
//!
//! With a recorded session, [`kinefit::session::read`] takes the place of [`generate`].

use kinefit::fit::{FitOptions, default_skeleton, fit_session};
use kinefit::report::summary;
use kinefit::skeleton::ScaleGroups;
use kinefit::synthetic::{SyntheticOptions, generate};

fn main() -> kinefit::Result<()> {
    let skeleton = default_skeleton()?;
    let groups = ScaleGroups::default_for(&skeleton);
    let options = SyntheticOptions {
        frames: 40,
        noise_px: 3.0,
        calibration_error_deg: 0.3,
        calibration_error_mm: 10.0,
        ..SyntheticOptions::default()
    };
    let made = generate(&skeleton, &groups, &options)?;

    let fit = fit_session(&made.session, &FitOptions::default())?;
    print!("{}", summary(&fit, None));

    // Every number has its standard deviation; here the right knee in the last frame, and what it really was.
    let (trial, truth) = (&fit.trials[0], &made.truth.trials[0]);
    if let Some(knee) = fit.skeleton.coordinate("knee_angle_r").map(|c| c.index()) {
        let last = trial.q.len() - 1;
        let sd = trial.q_sd[last][knee].map_or("?".into(), |sd| format!("{:.1}", sd.to_degrees()));
        let (found, was) = (trial.q[last][knee].to_degrees(), truth.coordinates[last][knee].to_degrees());
        println!("right knee, last frame: {found:.1}° ± {sd}°; truth {was:.1}°");
    }
    Ok(())
}
