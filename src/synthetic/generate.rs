//! From options to a session and its truth.

use super::cameras::{miscalibrated, ring};
use super::movement::{Choreography, Instant, Person};
use super::observe::observe;
use super::root::Root;
use super::truth::{FORMAT, TrialTruth, TrueCamera, Truth};
use super::{Movement, Purpose, SyntheticOptions, stream};
use crate::camera::Rig;
use crate::error::{Error, Result};
use crate::session::{Detections, Session, Subject, Trial, ground_from_world, keypoints, rig_in_ground};
use crate::skeleton::{MarkerId, Offsets, ScaleGroup, ScaleGroups, Skeleton};
use nalgebra::Vector3;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use std::collections::BTreeMap;
use std::f64::consts::TAU;

/// A session with its truth.
#[derive(Debug, Clone, PartialEq)]
pub struct Synthetic {
    /// As a user would have it: noisy, and with a calibration that is off as asked for. Holds the subject alone.
    pub session: Session,
    /// The truth behind it.
    pub truth: Truth,
    /// The cameras as they really stood, in the calibration's world.
    pub rig: Rig,
    /// What was seen of bystanders, `[trial][person]`.
    pub bystanders: Vec<Vec<Detections>>,
    /// How it was made.
    pub options: SyntheticOptions,
}

/// Random numbers have a bound here: a body three deviations out is a body still, one five out may be none.
const FARTHEST: f64 = 3.0;

/// Makes a session of `skeleton`, whose scale parameters are those of `groups`.
///
/// # Errors
/// Options that cannot be; a skeleton that has no marker for any keypoint of the set.
pub fn generate(skeleton: &Skeleton, groups: &ScaleGroups, options: &SyntheticOptions) -> Result<Synthetic> {
    options.check()?;
    let set = keypoints::by_name(&options.keypoints)
        .unwrap_or(crate::session::KeypointSet { name: options.keypoints.clone(), points: Vec::new() });
    let of_keypoint: Vec<Option<MarkerId>> =
        set.points.iter().map(|k| k.marker_names().find_map(|m| skeleton.marker(m))).collect();
    if of_keypoint.iter().flatten().next().is_none() {
        return Err(Error::input(
            format_args!("model `{}` with keypoint set {}", skeleton.name, set.name),
            "the model has no marker for any keypoint of the set",
            "give a marker set whose markers are named as the keypoints, or another keypoint set",
        ));
    }
    let skeleton = &skeleton.with_rotors();
    let root = Root::find(skeleton);
    let observed = |m: usize| of_keypoint.contains(&Some(MarkerId(m as u32)));

    let mut rng = stream(options.seed, Purpose::Subject, 0);
    let (parameters, subject) = person(skeleton, root.as_ref(), groups, options.scale_sd, options, observed, &mut rng);
    let rig = ring(options.cameras, options.seed);
    let calibrated = miscalibrated(
        &rig,
        options.calibration_error_deg,
        options.calibration_error_mm,
        &options.stale_cameras,
        options.seed,
    );
    let true_rig = rig_in_ground(&rig, &ground_from_world(true, skeleton.up));

    let mut trials = Vec::new();
    let mut trial_truths = Vec::new();
    let mut bystanders = Vec::new();
    let names = trial_names(&options.movements);
    for (i, (&movement, name)) in options.movements.iter().zip(&names).enumerate() {
        let duration = (options.frames - 1) as f64 / options.rate_hz;
        let choreography = |movement, purpose, index| {
            Choreography::new(movement, duration, skeleton, root.as_ref(), options.seed, (purpose, index))
        };
        let instants = |moves: &Choreography, person: &Person| -> Vec<Instant> {
            (0..options.frames).map(|f| moves.instant(person, f as f64 / options.rate_hz)).collect()
        };
        let followed = instants(&choreography(movement, Purpose::Movement, i), &subject);
        let markers: Vec<Vec<Vector3<f64>>> = followed.iter().map(|x| x.frame.markers.clone()).collect();
        let mut noise = stream(options.seed, Purpose::Detections, i);
        trials.push(Trial {
            name: name.clone(),
            rate_hz: options.rate_hz,
            first_frame: 0,
            detections: observe(&true_rig, &markers, &of_keypoint, options, &mut noise),
            unusable: None,
        });
        trial_truths.push(TrialTruth {
            name: name.clone(),
            rate_hz: options.rate_hz,
            coordinates: file_coordinates(skeleton, &followed),
            markers: markers.iter().map(|m| m.iter().map(|p| [p.x, p.y, p.z]).collect()).collect(),
        });
        let around = (0..options.bystanders).map(|b| {
            let index = i * options.bystanders + b;
            let mut rng = stream(options.seed, Purpose::Bystanders, index);
            let (_, other) = person(skeleton, root.as_ref(), groups, 0.05, options, observed, &mut rng);
            // At the rim of the room: cut off by some images and outside others.
            let (away, angle): (f64, f64) = (rng.random_range(2.6..3.2), rng.random_range(0.0..TAU));
            // Choreographies of people follow those of trials in the streams.
            let moves = choreography(Movement::Stand, Purpose::Bystanders, (1 << 16) + index)
                .at([away * angle.cos(), away * angle.sin()]);
            let markers: Vec<_> = instants(&moves, &other).into_iter().map(|x| x.frame.markers).collect();
            observe(&true_rig, &markers, &of_keypoint, options, &mut rng)
        });
        bystanders.push(around.collect());
    }

    let cameras = rig.iter().map(TrueCamera::of).collect();
    let truth = Truth {
        format: FORMAT,
        model: skeleton.name.clone(),
        seed: Some(options.seed),
        coordinates: skeleton.coordinates.iter().map(|c| c.name.clone()).collect(),
        markers: skeleton.markers.iter().map(|m| m.name.clone()).collect(),
        group_factors: group_factors(groups, &parameters),
        scales: skeleton.bodies.iter().skip(1).zip(&subject.scales.0[1..]).map(|(b, s)| (b.name.clone(), *s)).collect(),
        offsets: skeleton
            .markers
            .iter()
            .enumerate()
            .filter(|(m, _)| observed(*m))
            .map(|(m, marker)| (marker.name.clone(), subject.offsets.0[m].into()))
            .collect(),
        cameras,
        trials: trial_truths,
    };
    let session = Session {
        name: "synthetic".into(),
        rig: calibrated,
        z_up: true,
        keypoints: set,
        trials,
        subject: Subject::default(),
    };
    Ok(Synthetic { session, truth, rig, bystanders, options: options.clone() })
}

/// Somebody: scale parameters, and the body they make.
fn person<'a>(
    skeleton: &'a Skeleton,
    root: Option<&'a Root>,
    groups: &ScaleGroups,
    scale_sd: f64,
    options: &SyntheticOptions,
    observed: impl Fn(usize) -> bool,
    rng: &mut ChaCha8Rng,
) -> (Vec<f64>, Person<'a>) {
    let mut normal = |sd: f64| {
        let x: f64 = StandardNormal.sample(rng);
        sd * x.clamp(-FARTHEST, FARTHEST)
    };
    let parameters: Vec<f64> = groups.groups.iter().map(|_| normal(scale_sd)).collect();
    let offsets = skeleton.markers.iter().enumerate().map(|(m, marker)| {
        let offset = Vector3::from_fn(|_, _| normal(options.offset_sd));
        if marker.fixed || !observed(m) { Vector3::zeros() } else { offset }
    });
    let offsets = Offsets(offsets.collect());
    let scales = groups.factors(skeleton, &parameters);
    (parameters, Person { skeleton, root, scales, offsets })
}

/// Factor of the bodies of each group: every group that contains them all counts.
fn group_factors(groups: &ScaleGroups, parameters: &[f64]) -> BTreeMap<String, f64> {
    let of = |group: &ScaleGroup| {
        let contained = |other: &ScaleGroup| group.members.iter().all(|m| other.members.contains(m));
        1.0 + groups.groups.iter().zip(parameters).filter(|(g, _)| contained(g)).map(|(_, p)| p).sum::<f64>()
    };
    groups.groups.iter().map(|g| (g.name.clone(), of(g))).collect()
}

/// Coordinates as the model's file counts them: rotations as its angles, unwrapped through the trial.
fn file_coordinates(skeleton: &Skeleton, instants: &[Instant]) -> Vec<Vec<f64>> {
    let mut near: Vec<[f64; 3]> =
        skeleton.rotors.iter().map(|r| r.coordinates.map(|c| skeleton.coordinates[c.index()].default)).collect();
    instants
        .iter()
        .map(|instant| {
            let mut q = instant.q.clone();
            for ((rotor, rotation), near) in skeleton.rotors.iter().zip(&instant.rotors).zip(&mut near) {
                (*near, _) = rotor.angles_from_rotation(rotation, *near);
                for (c, angle) in rotor.coordinates.iter().zip(*near) {
                    q[c.index()] = angle;
                }
            }
            q
        })
        .collect()
}

/// Names of movements, numbered where they come again.
fn trial_names(movements: &[Movement]) -> Vec<String> {
    let count = |i: usize| movements[..i].iter().filter(|m| **m == movements[i]).count();
    let name = |i: usize| match count(i) {
        0 => movements[i].name().to_owned(),
        n => format!("{}_{}", movements[i].name(), n + 1),
    };
    (0..movements.len()).map(name).collect()
}
