//! Synthetic sessions: made as asked for, and their truth recovered by a fit.

mod common;

use common::stick;
use kinefit::fit::{FitOptions, SessionFit, fit_session};
use kinefit::quality::{Evaluation, evaluate};
use kinefit::synthetic::{Movement, Synthetic, SyntheticOptions, generate};

fn fitted(options: &SyntheticOptions) -> (Synthetic, SessionFit, Evaluation) {
    let (skeleton, groups) = stick();
    let made = generate(&skeleton, &groups, options).unwrap();
    let fit_options = FitOptions { skeleton: Some(skeleton), scale_groups: Some(groups), ..FitOptions::default() };
    let fit = fit_session(&made.session, &fit_options).unwrap();
    let e = evaluate(&made.truth, &fit.fitted_data()).unwrap();
    for t in &e.trials {
        eprintln!(
            "{:?} {}: joints {:.3?} markers {:.2?} reproj {:.2} its {}",
            fit.status, t.name, t.joints, t.markers, fit.trials[0].reprojection.all.median_px, fit.iterations
        );
    }
    eprintln!(
        "scale {:.5} offset {:.2} mm coverage {:.3?} {:?}",
        e.scale_error, e.offset_error_mm, e.coverage, fit.warnings
    );
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

#[test]
fn explore_body() {
    let skeleton = kinefit::fit::default_skeleton().unwrap();
    let groups = kinefit::skeleton::ScaleGroups::from_json(
        "g",
        &std::fs::read_to_string("/work/tmp/synth_groups.json").unwrap(),
        &skeleton,
    )
    .unwrap();
    for (m, set) in [
        (Movement::Walk, "HALPE_26"),
        (Movement::Walk, "MoVi_87"),
        (Movement::Cartwheel, "HALPE_26"),
        (Movement::Turn, "HALPE_26"),
        (Movement::Squat, "HALPE_26"),
    ] {
        let t = std::time::Instant::now();
        let options = SyntheticOptions {
            seed: 1,
            movements: vec![m],
            keypoints: set.into(),
            scale_sd: 0.03,
            ..Default::default()
        };
        let made = generate(&skeleton, &groups, &options).unwrap();
        if m == Movement::Walk {
            made.write(&std::path::Path::new("/work/tmp/synth_out").join(set)).unwrap();
        }
        let fit_options = FitOptions {
            skeleton: Some(skeleton.clone()),
            scale_groups: Some(groups.clone()),
            ..FitOptions::default()
        };
        let fit = fit_session(&made.session, &fit_options).unwrap();
        let e = evaluate(&made.truth, &fit.fitted_data()).unwrap();
        let t1 = &e.trials[0];
        eprintln!(
            "BODY {:?} {set} {}: joints {:.3?} n {} markers {:.2?} its {} {:.2} s",
            fit.status,
            t1.name,
            t1.joints,
            t1.joint_count,
            t1.markers,
            fit.iterations,
            t.elapsed().as_secs_f64()
        );
        eprintln!(
            "scale {:.5} offset {:.2} mm coverage {:.3?} {:?}",
            e.scale_error, e.offset_error_mm, e.coverage, fit.warnings
        );
    }
}
