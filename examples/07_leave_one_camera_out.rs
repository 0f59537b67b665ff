//! The guard against overfitting: fit a session without one of its cameras, then look into that camera.
//!
//!     cargo run --release --example 07_leave_one_camera_out [SESSION]
//!
//! Without a session folder it takes the embedded demo. A fit with enough freedom follows every pixel it is given; only a camera
//! that it was not given can tell. For each camera in turn the table compares
//!
//! - *in the fit*: its error where its own detections were fitted with all others;
//! - *left out, as calibrated*: nothing of it was fitted. The priors on the calibration hold the world, and the size of it, where the
//!   calibration has them, so a camera without detections stays where it was calibrated;
//! - *left out, six numbers*: only where it stands was fitted, to markers that are held. A stale calibration is not the body's fault, and
//!   six numbers cannot make a wrong body look right in every frame.

use kinefit::camera::Camera;
use kinefit::fit::{FitOptions, SessionFit, Status, fit_session};
use kinefit::math::median;
use kinefit::math::robust::RobustLoss;
use kinefit::quality::COUNTED_CONFIDENCE;
use kinefit::session::{self, ReadOptions, Session};
use kinefit::synthetic::demo;
use kinefit::{Error, Result};
use nalgebra::{Matrix6, Vector2, Vector3, Vector6};
use std::path::Path;

/// What the library's own figures charge for a marker that is behind the camera, pixels.
const BEHIND_PX: f64 = 1e4;

/// A detection and the fitted marker it should show.
struct Sighting {
    pixel: Vector2<f64>,
    confidence: f64,
    marker_in_world: Vector3<f64>,
}

fn main() -> Result<()> {
    let session = match std::env::args_os().nth(1) {
        Some(path) => session::read(Path::new(&path), &ReadOptions::default())?,
        None => demo()?.session,
    };
    let options = FitOptions { covariance: false, ..FitOptions::default() };
    let whole = fitted(&session, &options, "all cameras")?;

    println!("median / mean error in pixels, detections with confidence ≥ {COUNTED_CONFIDENCE}");
    println!(
        "{:<12} {:>10} {:>16} {:>24} {:>22}",
        "camera", "detections", "in the fit", "left out, as calibrated", "left out, six numbers"
    );
    for (c, camera) in session.rig.iter().enumerate() {
        let fit = fitted(&without(&session, c), &options, &format!("all but {}", camera.name))?;
        let unseen = sightings(&session, &fit, c);
        let placed = placed(&fit.rig[c], &unseen);
        let (count, own) = errors(&whole.rig[c], &sightings(&session, &whole, c));
        let (_, calibrated) = errors(&fit.rig[c], &unseen);
        let (_, six) = errors(&placed, &unseen);
        println!("{:<12} {count:>10} {own:>16} {calibrated:>24} {six:>22}", camera.name);
    }
    Ok(())
}

fn fitted(session: &Session, options: &FitOptions, what: &str) -> Result<SessionFit> {
    let fit = fit_session(session, options)?;
    match fit.status {
        Status::Failed => {
            Err(Error::fit(what, fit.reason, "leave a camera out of a session that fits with all of them"))
        }
        _ => Ok(fit),
    }
}

/// The session as if a camera had seen nothing.
fn without(session: &Session, camera: usize) -> Session {
    let mut session = session.clone();
    for trial in &mut session.trials {
        let seen = &mut trial.detections;
        for frame in 0..seen.frames {
            for keypoint in 0..seen.keypoints {
                seen.set(camera, frame, keypoint, [0.0; 3]);
            }
        }
    }
    session
}

/// What a camera saw of keypoints that have a marker, all trials, with the marker's fitted place.
fn sightings(session: &Session, fit: &SessionFit, camera: usize) -> Vec<Sighting> {
    // Markers are in the model's ground, cameras in the calibration's world.
    let world_from_ground = fit.ground_from_world.inverse();
    let mut out = Vec::new();
    for (seen, found) in session.trials.iter().zip(&fit.trials) {
        for (frame, markers) in found.markers.iter().enumerate() {
            for (keypoint, (_, marker)) in fit.keypoints.iter().enumerate() {
                let [u, v, confidence] = seen.detections.get(camera, frame, keypoint);
                if let Some(marker) = marker.filter(|_| confidence > 0.0) {
                    let marker_in_world = world_from_ground * markers[marker.index()];
                    out.push(Sighting { pixel: Vector2::new(u, v), confidence, marker_in_world });
                }
            }
        }
    }
    out
}

/// How many detections are counted, and their median and mean error.
fn errors(camera: &Camera, sightings: &[Sighting]) -> (usize, String) {
    let projector = camera.projector();
    let distance = |s: &Sighting| projector.project(&s.marker_in_world).map_or(BEHIND_PX, |p| (p - s.pixel).norm());
    let mut px: Vec<f64> = sightings.iter().filter(|s| s.confidence >= COUNTED_CONFIDENCE).map(distance).collect();
    let mean = px.iter().sum::<f64>() / px.len().max(1) as f64;
    (px.len(), format!("{:.1} / {mean:.1}", median(&mut px).unwrap_or(0.0)))
}

/// The camera where it sees the markers best: robust Gauss–Newton over its extrinsics alone.
///
/// The loss is that of a Student t; its width is estimated along the way, `σ² = Σ w·ρ'·‖e‖² / 2Σ w`, which is expectation
/// maximisation for a two-dimensional t.
fn placed(start: &Camera, sightings: &[Sighting]) -> Camera {
    let loss = RobustLoss::StudentT { dof: 4.0 };
    let mut camera = start.clone();
    let mut variance = 20.0f64.powi(2);
    for _ in 0..50 {
        let projector = camera.projector();
        let (mut information, mut gradient) = (Matrix6::zeros(), Vector6::zeros());
        let (mut spread, mut weights) = (0.0, 0.0);
        for s in sightings {
            let Some(p) = projector.project_with_derivatives(&s.marker_in_world) else { continue };
            let e = p.pixel - s.pixel;
            let weight = s.confidence * loss.weight::<2>(e.norm_squared() / variance);
            let d = &p.d_pixel_d_extrinsics; // 2×6
            information += d.tr_mul(d) * weight;
            gradient += d.tr_mul(&e) * weight;
            spread += weight * e.norm_squared();
            weights += s.confidence;
        }
        let Some(cholesky) = information.cholesky() else { break };
        let step = -cholesky.solve(&gradient);
        camera = camera.retract(&step);
        variance = spread / (2.0 * weights);
        if step.norm() < 1e-8 {
            break;
        }
    }
    camera
}
