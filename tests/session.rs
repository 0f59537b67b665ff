//! Reading whole sessions: recorded ones where they are present, and small ones written here.

use kinefit::Error;
use kinefit::session::{self, Description, ReadOptions, Reading, Session};
use std::fs;
use std::path::{Path, PathBuf};

/// A folder of shared data, if it is there.
fn shared(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("KINEFIT_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = root.join("data").join(folder);
    if !path.is_dir() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

/// Detections with confidence of at least 0.3 of keypoints that have a marker, per camera.
fn confident(session: &Session) -> Vec<usize> {
    let detections = &session.trials[0].detections;
    let marked: Vec<usize> =
        (0..detections.keypoints).filter(|&k| session.keypoints.points[k].marker.is_some()).collect();
    (0..detections.cameras)
        .map(|camera| {
            let frames = 0..detections.frames;
            let points = frames.flat_map(|frame| marked.iter().map(move |&k| detections.get(camera, frame, k)));
            points.filter(|point| point[2] >= 0.3).count()
        })
        .collect()
}

#[test]
fn balancing_has_its_subject_and_not_its_bystander() {
    let Some(path) = shared("balancing") else { return };
    let Reading { session, associations, description, .. } =
        session::read_with_sources(&path, &ReadOptions::default()).unwrap();
    assert_eq!((session.name.as_str(), session.trials[0].name.as_str()), ("balancing", "balancing"));
    assert_eq!((session.keypoints.name.as_str(), session.trials[0].rate_hz, session.z_up), ("BODY_25B", 60.0, true));
    assert_eq!((session.trials[0].first_frame, session.trials[0].detections.frames), (0, 100));
    let names: Vec<_> = description.trials[0].poses.iter().map(|pose| pose.file_name().unwrap().to_owned()).collect();
    assert_eq!(names, ["cam01_json", "cam02_json", "cam03_json", "cam04_json"]);
    // The subject is in every image; the detector took it for two in one.
    assert_eq!((associations[0].people, &associations[0].frames_seen), (2, &vec![100; 4]));
    assert_eq!((associations[0].merged, associations[0].dropped), (1, 0));
    // Counted apart from this program: all but the figures at u < 150 in the first camera and u > 720 in the second, where
    // the bystander stands, less the one keypoint that both parts of the divided subject have.
    assert_eq!(confident(&session), [2083 - 1, 2094, 1952, 1966]);

    let bystander = session::read(&path, &ReadOptions { person: Some(1), ..ReadOptions::default() }).unwrap();
    let seen = confident(&bystander);
    assert!(seen[0] > 1000 && seen[1] > 1000 && seen[2] + seen[3] == 0, "{seen:?}");
    // It stands at the edge of the first camera's image.
    let detections = &bystander.trials[0].detections;
    assert!((0..100).all(|frame| (0..25).all(|k| detections.get(0, frame, k)[0] < 200.0)));

    let some = ReadOptions { frames: Some(30..50), rate_hz: Some(59.94), ..ReadOptions::default() };
    let part = session::read(&path, &some).unwrap();
    assert_eq!((part.trials[0].first_frame, part.trials[0].detections.frames, part.trials[0].rate_hz), (30, 20, 59.94));
    assert_eq!(part.trials[0].detections.get(3, 5, 0), session.trials[0].detections.get(3, 35, 0));
}

#[test]
fn the_walk_is_read_with_the_keypoint_set_beside_it() {
    let Some(path) = shared("synthetic_walk_T100") else { return };
    let session = session::read(&path, &ReadOptions::default()).unwrap();
    assert_eq!((session.keypoints.points.len(), session.rig.len()), (87, 8));
    assert_eq!(session.keypoints.points[56].marker.as_deref(), Some("Head"));
    // 10 % of 8 × 100 × 87 are missing; a binomial deviation of that share is 0.11 %.
    let share = confident(&session).iter().sum::<usize>() as f64 / (8.0 * 100.0 * 87.0);
    assert!((0.885..0.905).contains(&share), "{share}");
}

#[test]
fn what_is_read_is_what_a_description_of_it_reads() {
    let Some(path) = shared("balancing") else { return };
    let reading = session::read_with_sources(&path, &ReadOptions::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("session.toml");
    reading.description.write(&file).unwrap();
    assert_eq!(Description::read(&file).unwrap().trials.len(), 1);
    for written in [dir.path(), &file] {
        assert_eq!(session::read(written, &ReadOptions::default()).unwrap(), reading.session);
    }
}

/// Camera tables of two cameras, at 4 m on the x and y axes, that look at the origin; Z up.
const CALIBRATION: &str = "
[cam_1]
name = 'cam_1'
size = [640.0, 480.0]
matrix = [[500.0, 0.0, 320.0], [0.0, 500.0, 240.0], [0.0, 0.0, 1.0]]
distortions = [0.0, 0.0, 0.0, 0.0]
rotation = [1.2091995761561452, 1.2091995761561452, -1.2091995761561452]
translation = [0.0, 0.0, 4.0]
fisheye = false

[cam_2]
name = 'cam_2'
size = [640.0, 480.0]
matrix = [[500.0, 0.0, 320.0], [0.0, 500.0, 240.0], [0.0, 0.0, 1.0]]
distortions = [0.0, 0.0, 0.0, 0.0]
rotation = [0.0, 2.221441469079183, -2.221441469079183]
translation = [0.0, 0.0, 4.0]
fisheye = false
";

const CONFIG: &str = "[project]\nframe_rate = 60\n[pose]\npose_model = 'three.json'\n";

/// A session of two cameras, five frames and four keypoints, with a mistake to be made in it.
struct Small {
    dir: tempfile::TempDir,
}

impl Small {
    fn new() -> Self {
        let small = Self { dir: tempfile::tempdir().unwrap() };
        small.put("calibration/Calib.toml", CALIBRATION);
        small.put("Config.toml", CONFIG);
        small.put("three.json", r#"{"names": ["Head", "LHip", "RHip", "Nose"]}"#);
        small.trial("walk");
        small
    }

    fn trial(&self, name: &str) {
        for frame in 0..5 {
            for camera in [1, 2] {
                let file = format!("{name}/pose/cam{camera:02}_json/cam_{frame:04}.json");
                self.put(&file, &people(&[&points(camera, 0.1 * f64::from(frame))]));
            }
        }
    }

    fn root(&self) -> &Path {
        self.dir.path()
    }

    fn put(&self, name: &str, body: &str) {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, body).unwrap();
    }

    fn each(&self, change: impl Fn(usize, &str) -> String) {
        for camera in [1, 2] {
            for frame in 0..5 {
                let path = self.root().join(format!("walk/pose/cam{camera:02}_json/cam_{frame:04}.json"));
                let body = fs::read_to_string(&path).unwrap();
                fs::write(&path, change(camera, &body)).unwrap();
            }
        }
    }

    fn read(&self) -> kinefit::Result<Session> {
        session::read(self.root(), &ReadOptions::default())
    }

    /// That reading fails as bad input, with all of `parts` in what is said.
    fn refused(&self, options: &ReadOptions, parts: &[&str]) {
        let error = session::read(self.root(), options).expect_err(parts[0]);
        assert_eq!(error.exit_code(), 2);
        let Error::Input { place, problem, advice } = &error else { panic!("{error:?}") };
        assert!(!place.is_empty() && !problem.is_empty() && !advice.is_empty());
        for part in parts {
            assert!(error.to_string().contains(part), "`{part}` is not in: {error}");
        }
    }
}

/// Pixels of four points about the origin, moved by `shift` metres along both axes of the floor.
fn points(camera: usize, shift: f64) -> Vec<[f64; 3]> {
    let body = [[0.0, 0.1, 0.8], [0.15, 0.0, 0.0], [-0.15, 0.05, 0.0], [0.05, 0.12, 0.6]];
    body.iter()
        .map(|p| {
            let (x, y, z) = (p[0] + shift, p[1] + shift, p[2]);
            let (right, depth) = if camera == 1 { (y, 4.0 - x) } else { (-x, 4.0 - y) };
            [320.0 + 500.0 * right / depth, 240.0 - 500.0 * z / depth, 0.9]
        })
        .collect()
}

fn people(people: &[&[[f64; 3]]]) -> String {
    let people = people.iter().map(|person| serde_json::json!({ "pose_keypoints_2d": person.concat() }));
    serde_json::json!({ "version": 1.3, "people": people.collect::<Vec<_>>() }).to_string()
}

fn flags() -> ReadOptions {
    ReadOptions::default()
}

#[test]
fn a_small_session_is_read_in_each_of_its_layouts() {
    let small = Small::new();
    let session = small.read().unwrap();
    let detections = &session.trials[0].detections;
    assert_eq!((detections.cameras, detections.frames, detections.keypoints), (2, 5, 4));
    assert_eq!(session.trials[0].name, "walk");
    for camera in [0, 1] {
        let expected = points(camera + 1, 0.2)[3];
        assert_eq!(detections.get(camera, 2, 3), expected);
    }
    // A trial by itself, with calibration and configuration beside it.
    let trial = session::read(&small.root().join("walk"), &flags()).unwrap();
    assert_eq!(trial.trials, session.trials);
    // Folders of associated and synchronised people come first.
    let first = small.root().join("walk/pose/cam01_json/cam_0000.json");
    for (folder, frames) in [("pose-sync", 4), ("pose-associated", 3)] {
        for frame in 0..frames {
            for camera in [1, 2] {
                small.put(&format!("walk/{folder}/cam{camera}_json/a{frame}.json"), &people(&[&points(camera, 0.0)]));
            }
        }
        assert_eq!(small.read().unwrap().trials[0].detections.frames, frames, "{folder}");
    }
    assert!(first.is_file());
    // Several trials, in natural order.
    small.trial("trial 10");
    small.trial("trial 9");
    let names: Vec<String> = small.read().unwrap().trials.into_iter().map(|trial| trial.name).collect();
    assert_eq!(names, ["trial 9", "trial 10", "walk"]);
}

#[test]
fn dirt_in_the_files_does_no_harm() {
    let small = Small::new();
    let clean = small.read().unwrap();
    small.put("walk/pose/cam01_json/notes.txt", "hello");
    small.put("walk/pose/cam01_json/.cam_0000.json", "{");
    small.put("walk/pose/cam01_json/info.json", "not json");
    small.put("walk/pose/readme.json", "not a folder");
    let [first, second] = [1, 2].map(|camera| points(camera, 0.0));
    small.put("walk/pose/cam01_json/cam_0000.json", &people(&[&first[..2], &[], &first]));
    assert_eq!(small.read().unwrap(), clean);
    // A frame nobody wrote, one without people, one of NaN.
    fs::remove_file(small.root().join("walk/pose/cam02_json/cam_0003.json")).unwrap();
    small.put("walk/pose/cam02_json/cam_0001.json", "{}");
    small.put("walk/pose/cam02_json/cam_0002.json", &people(&[&second]).replace("0.9", "NaN"));
    let session = small.read().unwrap();
    for frame in [1, 2, 3] {
        assert!((0..4).all(|k| session.trials[0].detections.get(1, frame, k) == [0.0; 3]), "{frame}");
        assert_eq!(session.trials[0].detections.get(0, frame, 0), clean.trials[0].detections.get(0, frame, 0));
    }
}

#[test]
fn a_camera_without_a_folder_sees_nothing_where_names_tell_which() {
    let small = Small::new();
    let third = CALIBRATION.split_once("\n[cam_2]").unwrap().1.replace("cam_2", "cam_3");
    small.put("calibration/Calib.toml", &format!("{CALIBRATION}\n[cam_3]{third}"));
    let session = small.read().unwrap();
    assert!((0..5).all(|frame| session.trials[0].detections.get(2, frame, 0) == [0.0; 3]));
    small.put("calibration/Calib.toml", &format!("{CALIBRATION}\n[cam_3]{third}").replace("cam_", "26_57"));
    small.refused(&flags(), &["2 folders of keypoints for 3 cameras", "cam01_json, cam02_json", "26_573"]);
}

#[test]
fn calibration_and_folders_must_fit() {
    let small = Small::new();
    small.put("walk/pose/cam03_json/cam_0000.json", "{}");
    small.refused(&flags(), &["walk/pose", "3 folders of keypoints for 2 calibrated cameras"]);
    let small = Small::new();
    fs::remove_dir_all(small.root().join("calibration")).unwrap();
    small.refused(&flags(), &["calibration"]);
    let small = Small::new();
    fs::remove_dir_all(small.root().join("walk")).unwrap();
    small.refused(&flags(), &["no trial"]);
    let absent = session::read(&small.root().join("absent"), &flags()).unwrap_err();
    assert!(absent.to_string().contains("does not exist"));
}

#[test]
fn rate_and_keypoints_must_be_stated_once() {
    let small = Small::new();
    small.put("Config.toml", "[project]\nframe_rate = 'auto'\n[pose]\npose_model = 'three.json'");
    small.refused(&flags(), &["frame rate is stated nowhere", "--rate"]);
    let session = session::read(small.root(), &ReadOptions { rate_hz: Some(30.0), ..flags() }).unwrap();
    assert_eq!(session.trials[0].rate_hz, 30.0);
    small.refused(&ReadOptions { rate_hz: Some(f64::NAN), ..flags() }, &["--rate", "NaN"]);

    small.put("Config.toml", "[project]\nframe_rate = 60\n");
    small.refused(&flags(), &["keypoint set is stated nowhere", "4 points"]);
    let five_and_twenty = vec![[100.0, 100.0, 0.9]; 25];
    small.each(|_, _| people(&[&five_and_twenty]));
    small.refused(&flags(), &["25 points, which may be BODY_25 or BODY_25B", "--keypoints"]);

    let small = Small::new();
    small.trial("run");
    small.put("run/Config.toml", "[project]\nframe_rate = 50\n");
    small.refused(&flags(), &["run/Config.toml", "50", "60"]);
    small.put("run/Config.toml", "[pose]\npose_model = 'COCO_17'\n");
    small.refused(&flags(), &["run/Config.toml", "COCO_17", "three.json"]);
    small.put(
        "run/Config.toml",
        "[pose]\npose_model = 'three.json'\n[project]\nframe_rate = 60.0\nframe_range = [1, 3]\n",
    );
    let session = small.read().unwrap();
    assert_eq!(session.trials[0].detections.frames, 2);
    small.put("Config.toml", &CONFIG.replace("three.json", "BODY_26"));
    fs::remove_file(small.root().join("run/Config.toml")).unwrap();
    small.refused(&flags(), &["Config.toml", "BODY_26", "HALPE_26"]);
}

#[test]
fn wrong_lengths_and_cut_files_are_named() {
    let small = Small::new();
    small.refused(
        &ReadOptions { keypoints: Some("COCO_17".into()), ..flags() },
        &["cam_0000.json", "trial `walk`", "12 numbers", "COCO_17 needs 51", "no built-in set has 4 points"],
    );
    let small = Small::new();
    small.put("walk/pose/cam02_json/cam_0004.json", "{\"people\": [\n{\"pose_keypoints_2d\": [1, 2");
    small.refused(&flags(), &["cam_0004.json, line 2, column", "cut off"]);
    let small = Small::new();
    small.put("walk/pose/cam02_json/cam_9000000000000.json", "{}");
    small.refused(&flags(), &["frame numbers run from 0 to 9000000000000", "--frames"]);
    assert!(session::read(small.root(), &ReadOptions { frames: Some(0..5), ..flags() }).is_ok());
    // A number that might be one, of a file nobody meant or a camera that counts apart, stretches the trial by what nobody saw.
    let small = Small::new();
    small.put("walk/pose/cam02_json/cam_0200.json", "{}");
    small.refused(
        &flags(),
        &["trial `walk`", "no camera has a file from frame", "to 199", "numbered apart", "--frames"],
    );
    assert!(session::read(small.root(), &ReadOptions { frames: Some(0..5), ..flags() }).is_ok());
    let small = Small::new();
    small.put("walk/pose/cam02_json/cam_0040.json", "{}");
    assert!(small.read().is_ok(), "a short gap");
}

#[test]
fn nothing_to_see_is_an_error() {
    let small = Small::new();
    small.each(|_, _| "{}".to_owned());
    small.refused(&flags(), &["trial `walk`", "is empty"]);
    let small = Small::new();
    small.each(|camera, body| if camera == 1 { body.to_owned() } else { "{}".to_owned() });
    small.refused(&flags(), &["walk/pose, trial `walk`", "only camera cam_1", "two cameras"]);
    let small = Small::new();
    fs::remove_dir_all(small.root().join("walk/pose/cam01_json")).unwrap();
    fs::remove_dir_all(small.root().join("walk/pose/cam02_json")).unwrap();
    small.refused(&flags(), &["walk/pose", "an empty trial"]);
    let small = Small::new();
    small.refused(&ReadOptions { frames: Some(7..9), ..flags() }, &["no file has a frame from 7", "0 to 4"]);
    small.refused(&ReadOptions { frames: Some(3..3), ..flags() }, &["--frames", "3..3"]);
    small.refused(&ReadOptions { person: Some(1), ..flags() }, &["person 1", "--person 0"]);
    small.refused(&ReadOptions { stature: Some(173.0), ..flags() }, &["--stature", "metres"]);
}

#[test]
fn images_of_another_size_are_told_from_turned_ones() {
    let scaled = |x: f64, y: f64| move |_: usize, _: &str| people(&[&[[x, y, 0.9]; 4], &[[x * 0.9, y * 0.95, 0.9]; 4]]);
    let small = Small::new();
    small.each(scaled(300.0, 600.0));
    small.refused(&flags(), &["camera `cam_1`", "turned by 90°", "640 × 480"]);
    small.each(scaled(1200.0, 900.0));
    small.refused(&flags(), &["camera `cam_1`", "larger than the calibrated", "1200, 900"]);
}

#[test]
fn a_description_must_list_every_camera() {
    let small = Small::new();
    let reading = session::read_with_sources(small.root(), &flags()).unwrap();
    let mut description = reading.description;
    description.write(&small.root().join("session.toml")).unwrap();
    assert_eq!(small.read().unwrap(), reading.session);
    description.trials[0].poses.pop();
    description.write(&small.root().join("session.toml")).unwrap();
    small.refused(&flags(), &["trial `walk`", "1 folders of keypoints for 2 calibrated cameras"]);
}
