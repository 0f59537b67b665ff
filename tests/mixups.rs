//! Calibrations that are not of these images: of another size, turned, or exchanged between cameras. Told on reading, and never of one that is merely stale.

mod common;

use common::{shared, stick};
use kinefit::session::{self, ReadOptions, Session};
use kinefit::synthetic::{StaleCamera, Synthetic, SyntheticOptions, demo, generate};

fn made(options: SyntheticOptions) -> Synthetic {
    let (skeleton, groups) = stick();
    generate(&skeleton, &groups, &SyntheticOptions { frames: 40, ..options }).unwrap()
}

/// What comes of writing a session and reading it.
fn read(made: &Synthetic) -> kinefit::Result<Session> {
    let place = tempfile::tempdir().unwrap();
    made.write(place.path()).unwrap();
    session::read(place.path(), &ReadOptions::default())
}

/// That the session is refused as bad input, with all of `parts` in what is said.
#[track_caller]
fn refused(made: &Synthetic, parts: &[&str]) {
    let error = read(made).expect_err("the session was read");
    assert_eq!(error.exit_code(), 2);
    parts.iter().for_each(|part| assert!(error.to_string().contains(part), "`{part}` is not in: {error}"));
    eprintln!("{error}\n");
}

/// Changes what a camera saw.
fn change(made: &mut Synthetic, camera: usize, to: impl Fn([f64; 2]) -> [f64; 2]) {
    for trial in &mut made.session.trials {
        let d = &mut trial.detections;
        let of_camera = d.frames * d.keypoints;
        for p in d.data[camera * of_camera..(camera + 1) * of_camera].iter_mut().filter(|p| p[2] > 0.0) {
            [p[0], p[1]] = to([p[0], p[1]]);
        }
    }
}

/// Gives the second camera's folder what the first saw, and so on; the last's goes to the first.
fn pass_on(made: &mut Synthetic, cameras: &[usize]) {
    for trial in &mut made.session.trials {
        let (old, d) = (trial.detections.clone(), &mut trial.detections);
        for (i, &from) in cameras.iter().enumerate() {
            let to = cameras[(i + 1) % cameras.len()];
            for f in 0..d.frames {
                (0..d.keypoints).for_each(|k| d.set(to, f, k, old.get(from, f, k)));
            }
        }
    }
}

/// Noise, outliers and a calibration that is off, as sessions have them.
fn usual(seed: u64, cameras: usize) -> SyntheticOptions {
    SyntheticOptions {
        seed,
        cameras,
        outlier_share: 0.05,
        missing_share: 0.1,
        calibration_error_deg: 0.5,
        calibration_error_mm: 20.0,
        ..Default::default()
    }
}

#[test]
fn images_of_another_size() {
    for (seed, cameras) in [(51, 3), (52, 4), (53, 8)] {
        for by in [0.5, 2.0 / 3.0, 0.75, 1.0 / 3.0] {
            let mut all = made(usual(seed, cameras));
            (0..cameras).for_each(|c| change(&mut all, c, |p| p.map(|x| by * x)));
            let size =
                format!("{:.0} × {:.0} pixels, {by:.3} times the calibrated 1920 × 1080", 1920.0 * by, 1080.0 * by);
            let last = format!("`cam{cameras:02}`");
            refused(&all, &["trial `walk`, cameras `cam01`", &last, &size]);
            let mut one = made(usual(seed, cameras));
            change(&mut one, 1, |p| p.map(|x| by * x));
            refused(&one, &["trial `walk`, camera `cam02`:", &size]);
        }
    }
    // Larger ones leave the calibrated image, which is seen without triangulating, unless the person keeps to its upper left.
    let mut larger = made(usual(54, 4));
    (0..4).for_each(|c| change(&mut larger, c, |p| p.map(|x| 1.5 * x)));
    refused(&larger, &["camera `cam0", "1920 × 1080"]);
}

#[test]
fn some_of_the_images_of_another_size() {
    let mut two = made(usual(55, 5));
    [0, 3].iter().for_each(|&c| change(&mut two, c, |p| p.map(|x| 0.5 * x)));
    refused(&two, &["cameras `cam01`, `cam04`:", "960 × 540"]);
}

#[test]
fn turned_images() {
    let mut upside_down = made(usual(56, 4));
    change(&mut upside_down, 2, |[u, v]| [1919.0 - u, 1079.0 - v]);
    refused(&upside_down, &["camera `cam03`:", "turned by 180°"]);
    // Turned by a quarter; so few frames that little of the person is outside the calibrated image.
    let mut quarter = made(usual(57, 4));
    change(&mut quarter, 0, |[u, v]| [1079.0 - v, u]);
    refused(&quarter, &["camera `cam01`", "turned by 90°"]);
}

#[test]
fn exchanged_folders() {
    for cameras in [3, 4, 8] {
        for seed in 200..206 {
            for [a, b] in [[0, 1], [0, 2]] {
                let mut two = made(usual(seed, cameras));
                pass_on(&mut two, &[a, b]);
                let [a, b] = [a + 1, b + 1];
                refused(
                    &two,
                    &[
                        &format!("folders of cameras `cam0{a}`, `cam0{b}`: the folders look exchanged"),
                        &format!("cam0{a}_json fits camera `cam0{b}`"),
                        &format!("cam0{b}_json fits camera `cam0{a}`"),
                        "rename the folders",
                    ],
                );
            }
        }
    }
    let mut around = made(usual(64, 4));
    pass_on(&mut around, &[0, 1, 2]);
    refused(
        &around,
        &["cam02_json fits camera `cam01`", "cam03_json fits camera `cam02`", "cam01_json fits camera `cam03`"],
    );
}

/// Folders in the reverse order: two pairs exchanged at once, of six cameras three.
#[test]
fn reversed_folders() {
    for cameras in [4, 5, 6] {
        for seed in 210..213 {
            let mut reversed = made(usual(seed, cameras));
            (0..cameras / 2).for_each(|c| pass_on(&mut reversed, &[c, cameras - 1 - c]));
            let last = format!("cam01_json fits camera `cam0{cameras}`");
            refused(&reversed, &["the folders look exchanged", &last, "cam02_json fits camera"]);
        }
    }
}

/// Of two cameras, exchanging which changes little in some pairs: many are told, and none that are right.
#[test]
fn exchanged_folders_of_two_cameras() {
    let (mut found, seeds) = (0, 300..320u64);
    for seed in seeds.clone() {
        let mut pair = made(usual(seed, 2));
        read(&pair).unwrap();
        pass_on(&mut pair, &[0, 1]);
        let Err(error) = read(&pair) else { continue };
        for part in
            ["folders of cameras `cam01`, `cam02`: the folders look exchanged", "cam01_json fits camera `cam02`"]
        {
            assert!(error.to_string().contains(part), "`{part}` is not in: {error}");
        }
        found += 1;
    }
    eprintln!("{found} of {} exchanged pairs were told", seeds.count());
    // About half are expected, ± 2.2 of 20.
    assert!(found >= 6, "{found}");
}

#[test]
fn a_stale_calibration_is_none_of_these() {
    let stale = |camera, rotation_deg, translation_mm| StaleCamera { camera, rotation_deg, translation_mm };
    let outliers = SyntheticOptions { outlier_share: 0.3, outlier_px: 150.0, ..usual(72, 4) };
    for (what, options) in [
        ("as it is", usual(70, 4)),
        ("two cameras", usual(71, 2)),
        ("outliers", outliers),
        ("one far off", SyntheticOptions { stale_cameras: vec![stale(1, 12.0, 500.0)], ..usual(73, 4) }),
        ("one of two", SyntheticOptions { stale_cameras: vec![stale(1, 3.0, 100.0)], ..usual(74, 2) }),
        ("one of three", SyntheticOptions { stale_cameras: vec![stale(0, 6.0, 200.0)], ..usual(75, 3) }),
        (
            "three of four",
            SyntheticOptions { stale_cameras: (0..3).map(|c| stale(c, 5.0, 200.0)).collect(), ..usual(76, 4) },
        ),
        ("both of two", SyntheticOptions { calibration_error_deg: 1.5, calibration_error_mm: 50.0, ..usual(79, 2) }),
        ("all", SyntheticOptions { calibration_error_deg: 4.0, calibration_error_mm: 150.0, ..usual(77, 6) }),
        ("bystanders", SyntheticOptions { bystanders: 2, shuffle_people: true, ..usual(78, 4) }),
    ] {
        for seed in 0..3 {
            let made = made(SyntheticOptions { seed: 100 * seed + options.seed, ..options.clone() });
            if let Err(error) = read(&made) {
                panic!("{what}: {error}");
            }
        }
    }
    assert!(read(&demo().unwrap()).is_ok());
}

#[test]
fn recordings_are_none_of_these() {
    for name in ["balancing", "synthetic_walk_T100"] {
        let Some(folder) = shared(&format!("data/{name}")) else { continue };
        session::read(&folder, &ReadOptions::default()).unwrap();
    }
}

/// The recordings as any two of their cameras saw them, and with the two exchanged.
#[cfg(unix)]
#[test]
fn no_two_cameras_of_a_recording_look_exchanged() {
    use kinefit::camera::{Rig, calibration};
    use std::os::unix::fs::symlink;
    for name in ["balancing", "synthetic_walk_T100"] {
        let Some(folder) = shared(&format!("data/{name}")) else { continue };
        let rig = session::read(&folder, &ReadOptions::default()).unwrap().rig;
        let mut views: Vec<_> = std::fs::read_dir(folder.join("pose")).unwrap().map(|e| e.unwrap().path()).collect();
        views.retain(|view| view.is_dir());
        views.sort();
        assert_eq!(views.len(), rig.len());
        let read_as = |pair: [usize; 2], seen: [usize; 2]| {
            let place = tempfile::tempdir().unwrap();
            let at = |name: &str| place.path().join(name);
            ["calibration", "pose"].iter().for_each(|name| std::fs::create_dir(at(name)).unwrap());
            for file in ["Config.toml", "keypoints.json"].iter().filter(|file| folder.join(file).is_file()) {
                std::fs::copy(folder.join(file), at(file)).unwrap();
            }
            let two: Rig = pair.iter().map(|&c| rig[c].clone()).collect();
            calibration::write_toml(&at("calibration/Calib.toml"), &two).unwrap();
            for (c, from) in pair.into_iter().zip(seen) {
                symlink(&views[from], at("pose").join(views[c].file_name().unwrap())).unwrap();
            }
            session::read(place.path(), &ReadOptions::default()).map(|session| session.rig.len())
        };
        let (mut told, mut pairs) = (0, 0);
        for a in 0..rig.len() {
            for b in a + 1..rig.len() {
                assert_eq!(read_as([a, b], [a, b]).unwrap(), 2, "{name}: {a} and {b}");
                pairs += 1;
                if let Err(error) = read_as([a, b], [b, a]) {
                    assert!(error.to_string().contains("the folders look exchanged"), "{error}");
                    told += 1;
                }
            }
        }
        eprintln!("{name}: {told} of {pairs} pairs are told when they are exchanged");
        assert!(told > 0);
    }
}
