//! Synthetic sessions: made as asked for, and their truth recovered by a fit.

mod common;

use common::stick;
use kinefit::fit::{FitOptions, SessionFit, fit_session};
use kinefit::quality::{Evaluation, evaluate};
use kinefit::synthetic::{Movement, Synthetic, SyntheticOptions, generate};

fn fitted(options: &SyntheticOptions) -> (Synthetic, SessionFit, Evaluation) {
    let (skeleton, groups) = stick();
    let made = generate(&skeleton, &groups, options).unwrap();
    let fit_options =
        FitOptions { skeleton: Some(skeleton), scale_groups: Some(groups), ..FitOptions::default() };
    let fit = fit_session(&made.session, &fit_options).unwrap();
    let e = evaluate(&made.truth, &fit.fitted_data()).unwrap();
    for t in &e.trials {
        eprintln!(
            "{:?} {}: joints {:.3?} markers {:.2?} reproj {:.2} its {}",
            fit.status, t.name, t.joints, t.markers, fit.trials[0].reprojection.all.median_px, fit.iterations
        );
    }
    eprintln!("scale {:.5} offset {:.2} mm coverage {:.3?} {:?}", e.scale_error, e.offset_error_mm, e.coverage, fit.warnings);
    (made, fit, e)
}

#[test]
fn explore() {
    for m in [Movement::Walk, Movement::Squat, Movement::Turn, Movement::Cartwheel, Movement::Somersault] {
        let t = std::time::Instant::now();
        fitted(&SyntheticOptions { seed: 1, movements: vec![m], ..Default::default() });
        eprintln!("{:.2} s", t.elapsed().as_secs_f64());
    }
}
