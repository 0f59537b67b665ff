//! Stick figures before simple cameras, where it is known who is who.

use super::*;
use crate::camera::{Camera, Distortion, Intrinsics};
use nalgebra::{Isometry3, Matrix3, Rotation3, Translation3, UnitQuaternion, Vector3};
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

const FRAMES: usize = 60;

/// A camera at `centre`, metres, looking at the middle of the room.
fn camera(name: usize, centre: Vector3<f64>) -> Camera {
    let forward = (Vector3::new(0.0, 0.0, 0.9) - centre).normalize();
    let right = forward.cross(&Vector3::z()).normalize();
    let world_from_camera =
        Rotation3::from_matrix_unchecked(Matrix3::from_columns(&[right, forward.cross(&right), forward]));
    let rotation = UnitQuaternion::from_rotation_matrix(&world_from_camera.inverse());
    let camera_from_world = Isometry3::from_parts(Translation3::from(-(rotation * centre)), rotation);
    let intrinsics = Intrinsics { fx: 1100.0, fy: 1100.0, cx: 960.0, cy: 540.0, skew: 0.0 };
    let distortion = Distortion::Rational([-0.02, 0.01, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    Camera { name: format!("cam{name}"), size: [1920.0, 1080.0], intrinsics, distortion, camera_from_world }
}

fn ring(count: usize) -> Rig {
    (0..count)
        .map(|index| {
            let angle = index as f64 * 1.3;
            camera(index, Vector3::new(5.0 * angle.cos(), 5.0 * angle.sin(), 1.2 + 0.2 * index as f64))
        })
        .collect()
}

/// Joints of a standing figure, metres.
const FIGURE: [[f64; 3]; 13] = [
    [0.0, 0.1, 1.65],
    [0.2, 0.0, 1.4],
    [-0.2, 0.0, 1.4],
    [0.3, 0.05, 1.1],
    [-0.3, 0.05, 1.1],
    [0.3, 0.2, 0.9],
    [-0.3, 0.2, 0.9],
    [0.1, 0.0, 0.9],
    [-0.1, 0.0, 0.9],
    [0.12, 0.05, 0.5],
    [-0.12, 0.05, 0.5],
    [0.12, 0.0, 0.08],
    [-0.12, 0.0, 0.08],
];

/// The figure at a place on the floor, swinging its limbs.
fn figure(at: [f64; 2], frame: usize) -> Vec<Vector3<f64>> {
    FIGURE
        .iter()
        .enumerate()
        .map(|(joint, p)| {
            let side = if joint % 2 == 0 { 1.0 } else { -1.0 };
            let swing = side * 0.15 * (0.2 * frame as f64).sin() * (1.4 - p[2]).abs();
            Vector3::new(p[0] + at[0], p[1] + at[1] + swing, p[2])
        })
        .collect()
}

/// What a camera detects of a figure: 3 px of noise; `None` where nothing of it is in the image.
fn detect(camera: &Camera, figure: &[Vector3<f64>], rng: &mut ChaCha8Rng) -> Option<Person> {
    let person: Person = figure
        .iter()
        .map(|point| {
            let noise = Vector3::new(rng.random_range(-3.0..3.0), rng.random_range(-3.0..3.0), 0.0);
            let pixel =
                camera.project(point).map(|pixel| [pixel.x + noise.x, pixel.y + noise.y, rng.random_range(0.5..0.95)]);
            pixel.filter(|p| (0.0..1920.0).contains(&p[0]) && (0.0..1080.0).contains(&p[1])).unwrap_or_default()
        })
        .collect();
    person.iter().any(|point| point[2] > 0.0).then_some(person)
}

struct Stage {
    rig: Rig,
    seen: Sightings,
    /// By camera and frame, the subject and the bystander.
    subject: Vec<Vec<Option<Person>>>,
    bystander: Vec<Vec<Option<Person>>>,
}

/// The subject walks through the room; a bystander stands about, passes in front, and is seen by `bystander_cameras`.
fn stage(cameras: usize, bystander_cameras: &[usize], seed: u64) -> Stage {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let rig = ring(cameras);
    let mut record = |place: &dyn Fn(f64) -> [f64; 2], cameras: &[usize]| -> Vec<Vec<Option<Person>>> {
        rig.iter()
            .enumerate()
            .map(|(index, camera)| {
                let seen =
                    |frame: usize| cameras.contains(&index).then(|| figure(place(frame as f64 / FRAMES as f64), frame));
                (0..FRAMES).map(|frame| seen(frame).and_then(|figure| detect(camera, &figure, &mut rng))).collect()
            })
            .collect()
    };
    let everyone: Vec<usize> = (0..cameras).collect();
    let subject = record(&|t| [1.2 * (t - 0.5), 0.3 * (3.0 * t).sin()], &everyone);
    let bystander = record(&|t| [-1.5 + 2.0 * t, 1.2 - 0.3 * t], bystander_cameras);
    let seen =
        Sightings { keypoints: FIGURE.len(), frames: FRAMES, cameras: shuffled(&[&subject, &bystander], &mut rng) };
    Stage { rig, seen, subject, bystander }
}

fn shuffled(people: &[&Vec<Vec<Option<Person>>>], rng: &mut ChaCha8Rng) -> Vec<Vec<Vec<Person>>> {
    let cameras = people.first().map_or(0, |person| person.len());
    (0..cameras)
        .map(|camera| {
            (0..FRAMES)
                .map(|frame| {
                    let mut there: Vec<Person> =
                        people.iter().filter_map(|person| person[camera][frame].clone()).collect();
                    there.shuffle(rng);
                    there
                })
                .collect()
        })
        .collect()
}

/// Right and wrong points, and those that were there and were not taken.
fn judge(found: &Detections, truth: &[Vec<Option<Person>>]) -> (usize, usize, usize) {
    let (mut right, mut wrong, mut lost) = (0, 0, 0);
    for (camera, frames) in truth.iter().enumerate() {
        for (frame, person) in frames.iter().enumerate() {
            for keypoint in 0..found.keypoints {
                let point = found.get(camera, frame, keypoint);
                let expected = person.as_ref().map_or([0.0; 3], |person| person[keypoint]);
                right += usize::from(point[2] > 0.0 && point == expected);
                wrong += usize::from(point[2] > 0.0 && point != expected);
                lost += usize::from(point[2] == 0.0 && expected[2] > 0.0);
            }
        }
    }
    (right, wrong, lost)
}

#[test]
fn the_subject_is_followed_among_shuffled_people() {
    for seed in 0..10 {
        let stage = stage(4, &[0, 1, 2], seed);
        let (found, association) = associate(&stage.rig, &stage.seen, 0, "trial").unwrap();
        let (right, wrong, lost) = judge(&found, &stage.subject);
        assert_eq!((wrong, lost), (0, 0), "seed {seed}: {association:?}");
        assert!(right > 2000 && association.frames_seen_by_two == FRAMES);
        let (found, _) = associate(&stage.rig, &stage.seen, 1, "trial").unwrap();
        let (right, wrong, lost) = judge(&found, &stage.bystander);
        assert_eq!(wrong, 0, "seed {seed}: the bystander gets the subject's points");
        assert!(lost * 20 < right, "seed {seed}: {lost} of the bystander's points are lost");
    }
}

#[test]
fn a_stale_calibration_still_tells_people_apart() {
    for seed in 0..10 {
        let mut stage = stage(4, &[0, 1], seed);
        // 1.2° and 6 cm in each of two cameras: about 30 px.
        for (camera, sign) in [(0, 1.0), (2, -1.0)] {
            let change = Isometry3::new(Vector3::new(0.06 * sign, 0.0, 0.0), Vector3::new(0.021 * sign, 0.0, 0.0));
            stage.rig[camera].camera_from_world = change * stage.rig[camera].camera_from_world;
        }
        let (found, association) = associate(&stage.rig, &stage.seen, 0, "trial").unwrap();
        let (right, wrong, lost) = judge(&found, &stage.subject);
        assert_eq!(wrong, 0, "seed {seed}: {association:?}");
        assert!(lost * 50 < right, "seed {seed}: {lost} lost, {association:?}");
    }
}

#[test]
fn nothing_depends_on_the_order_of_people_or_the_unit_of_length() {
    let stage = stage(4, &[0, 1, 2], 3);
    let reference = associate(&stage.rig, &stage.seen, 0, "trial").unwrap();
    let mut reversed = stage.seen.clone();
    reversed.cameras.iter_mut().flatten().for_each(|people| people.reverse());
    assert_eq!(associate(&stage.rig, &reversed, 0, "trial").unwrap(), reference);
    let mut millimetres = stage.rig.clone();
    millimetres.iter_mut().for_each(|camera| camera.camera_from_world.translation.vector *= 1000.0);
    assert_eq!(associate(&millimetres, &stage.seen, 0, "trial").unwrap(), reference);
}

#[test]
fn a_person_taken_for_two_is_put_together() {
    let mut stage = stage(4, &[1], 5);
    for (camera, frame) in [(0, 10), (2, 11), (3, 40)] {
        let whole = stage.subject[camera][frame].clone().unwrap();
        let (mut upper, mut lower) = (whole.clone(), whole);
        upper[6..].iter_mut().for_each(|point| *point = [0.0; 3]);
        lower[..6].iter_mut().for_each(|point| *point = [0.0; 3]);
        let people = &mut stage.seen.cameras[camera][frame];
        people.retain(|person| Some(person) != stage.subject[camera][frame].as_ref());
        people.insert(0, lower);
        people.push(upper);
    }
    let (found, association) = associate(&stage.rig, &stage.seen, 0, "trial").unwrap();
    let (_, wrong, lost) = judge(&found, &stage.subject);
    assert_eq!((wrong, lost), (0, 0), "{association:?}");
    assert_eq!(association.merged, 3);
}

#[test]
fn gaps_and_a_camera_that_drops_out_do_no_harm() {
    let mut stage = stage(4, &[0, 1], 7);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for (camera, frames) in stage.subject.iter_mut().enumerate() {
        for (frame, person) in frames.iter_mut().enumerate() {
            if camera == 3 && frame >= FRAMES / 2 {
                *person = None;
            }
            for point in person.iter_mut().flatten().filter(|_| rng.random_range(0.0..1.0) < 0.4) {
                *point = [0.0; 3];
            }
        }
    }
    stage.seen.cameras = shuffled(&[&stage.subject, &stage.bystander], &mut rng);
    let (found, association) = associate(&stage.rig, &stage.seen, 0, "trial").unwrap();
    let (right, wrong, lost) = judge(&found, &stage.subject);
    assert_eq!(wrong, 0, "{association:?}");
    assert!(lost * 50 < right, "{lost} lost of {right}, {association:?}");
    assert_eq!(association.frames_seen[3], FRAMES / 2);
}

#[test]
fn who_leaves_and_comes_back_alone_is_the_same() {
    let mut stage = stage(3, &[], 9);
    for frames in &mut stage.subject {
        frames[10..45].iter_mut().for_each(|person| *person = None);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    stage.seen.cameras = shuffled(&[&stage.subject], &mut rng);
    let (found, association) = associate(&stage.rig, &stage.seen, 0, "trial").unwrap();
    let (_, wrong, lost) = judge(&found, &stage.subject);
    assert_eq!((wrong, lost, association.returned), (0, 0, 1));
}

#[test]
fn a_bystander_in_fewer_cameras_does_not_keep_the_subject_from_coming_back() {
    for seed in 0..10 {
        let mut stage = stage(4, &[0, 1], seed);
        let leave = |person: &mut Vec<Vec<Option<Person>>>| {
            person.iter_mut().flat_map(|frames| &mut frames[9..49]).for_each(|person| *person = None);
        };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        leave(&mut stage.subject);
        // The bystander stays all the while, and is then seen for longer than the subject.
        stage.seen.cameras = shuffled(&[&stage.subject, &stage.bystander], &mut rng);
        let (found, association) = associate(&stage.rig, &stage.seen, 1, "trial").unwrap();
        let (right, wrong, lost) = judge(&found, &stage.subject);
        assert_eq!((wrong, lost, association.returned), (0, 0, 1), "seed {seed}: {association:?}");
        assert!(right > 4 * 15 * FIGURE.len());
        // Or both leave.
        leave(&mut stage.bystander);
        stage.seen.cameras = shuffled(&[&stage.subject, &stage.bystander], &mut rng);
        let (found, association) = associate(&stage.rig, &stage.seen, 0, "trial").unwrap();
        let (_, wrong, lost) = judge(&found, &stage.subject);
        assert_eq!((wrong, lost, association.returned), (0, 0, 1), "seed {seed}: {association:?}");
    }
}

#[test]
fn of_two_people_seen_alike_nobody_is_guessed_to_come_back() {
    let mut stage = stage(4, &[0, 1, 2, 3], 4);
    for person in [&mut stage.subject, &mut stage.bystander] {
        person.iter_mut().flat_map(|frames| &mut frames[9..49]).for_each(|person| *person = None);
    }
    stage.seen.cameras = shuffled(&[&stage.subject, &stage.bystander], &mut ChaCha8Rng::seed_from_u64(3));
    let (_, association) = associate(&stage.rig, &stage.seen, 0, "trial").unwrap();
    assert_eq!((association.returned, association.people), (0, 4), "{association:?}");
}

#[test]
fn one_camera_follows_by_continuity() {
    let stage = stage(1, &[], 11);
    let (found, association) = associate(&stage.rig, &stage.seen, 0, "trial").unwrap();
    let (_, wrong, lost) = judge(&found, &stage.subject);
    assert_eq!((wrong, lost, association.people), (0, 0, 1));
}

#[test]
fn what_cannot_be_used_is_said() {
    let stage = stage(3, &[0, 1], 13);
    let message = |rig: &Rig, seen: &Sightings, rank: usize| {
        let error = associate(rig, seen, rank, "trial `walk`").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let message = error.to_string();
        assert!(message.contains("trial `walk`"), "{message}");
        message
    };
    assert!(message(&stage.rig, &stage.seen, 7).contains("person 7"));
    let mut alone = stage.seen.clone();
    for (camera, frames) in alone.cameras.iter_mut().enumerate() {
        frames.iter_mut().enumerate().filter(|(frame, _)| frame % 3 != camera).for_each(|(_, people)| people.clear());
    }
    assert!(message(&stage.rig, &alone, 0).contains("seen by two cameras"));
    let mut elsewhere = stage.rig.clone();
    for (index, camera) in elsewhere.iter_mut().enumerate() {
        let turn = Isometry3::rotation(Vector3::new(0.5 * index as f64, 0.0, 0.0));
        camera.camera_from_world = turn * camera.camera_from_world;
    }
    assert!(message(&elsewhere, &stage.seen, 0).contains("agree"));
    let nobody = Sightings { cameras: vec![vec![Vec::new(); FRAMES]; 3], ..stage.seen };
    assert!(message(&stage.rig, &nobody, 0).contains("no camera has a person"));
    let empty = Sightings { frames: 0, cameras: vec![Vec::new()], ..nobody };
    assert!(message(&stage.rig[..1].to_vec(), &empty, 0).contains("nobody"));
}

#[test]
fn a_track_ends_where_two_people_meet() {
    let (camera, mut rng) = (camera(0, Vector3::new(5.0, 0.0, 1.2)), ChaCha8Rng::seed_from_u64(4));
    // Side by side at first, in one place from frame 20 to 30, side by side again.
    let gap = |frame: usize| if (20..30).contains(&frame) { 0.0 } else { 0.8 };
    let frames: Vec<Vec<Person>> = (0..50)
        .map(|frame| {
            [0.0, gap(frame)].into_iter().filter_map(|y| detect(&camera, &figure([0.0, y], frame), &mut rng)).collect()
        })
        .collect();
    let cameras = [frames];
    let views = view::views(&vec![camera], &cameras);
    let tracks = track::tracks(0, &views[0]);
    let crossing = tracks.iter().filter(|track| track.first() < 20 && track.last() >= 30).count();
    assert_eq!(crossing, 0, "nobody can be followed through: {tracks:?}");
    let before = tracks.iter().filter(|track| track.first() == 0 && track.last() >= 19).count();
    assert_eq!(before, 2);
}

mod hostile {
    use super::*;
    use proptest::prelude::*;

    fn any_point() -> impl Strategy<Value = [f64; 3]> {
        prop_oneof![
            Just([0.0; 3]),
            (-1e6..1e6, -1e6..1e6, 0.0..=1.0).prop_map(|(u, v, confidence)| [u, v, confidence]),
            (0u8..3, 0u8..3).prop_map(|(u, v)| [f64::from(u) * 300.0, f64::from(v) * 300.0, 1.0]),
        ]
    }

    proptest! {
        #[test]
        fn people_of_any_kind_give_an_error_or_what_was_there(
            cameras in proptest::collection::vec(
                proptest::collection::vec(proptest::collection::vec(proptest::collection::vec(any_point(), 5), 0..4), 6),
                1..4,
            ),
            rank in 0usize..3,
        ) {
            let rig = ring(cameras.len());
            let seen = Sightings { keypoints: 5, frames: 6, cameras };
            if let Ok((found, _)) = associate(&rig, &seen, rank, "trial") {
                for (camera, frames) in seen.cameras.iter().enumerate() {
                    for (frame, people) in frames.iter().enumerate() {
                        for keypoint in 0..5 {
                            let point = found.get(camera, frame, keypoint);
                            prop_assert!(point == [0.0; 3] || people.iter().any(|person| person[keypoint] == point));
                        }
                    }
                }
            }
        }
    }
}
