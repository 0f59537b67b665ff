//! Reading whole sessions: recorded ones where they are present, and small ones written here.

use kinefit::session::{self, ReadOptions, Reading};
use std::path::PathBuf;

/// The folder of shared data, if it is there.
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

fn confident(reading: &Reading) -> Vec<usize> {
    let session = &reading.session;
    let detections = &session.trials[0].detections;
    (0..detections.cameras)
        .map(|camera| {
            let points = (0..detections.frames).flat_map(|frame| {
                let marked = session.keypoints.points.iter().enumerate().filter(|(_, point)| point.marker.is_some());
                marked.map(move |(keypoint, _)| detections.get(camera, frame, keypoint))
            });
            points.filter(|point| point[2] >= 0.3).count()
        })
        .collect()
}

#[test]
fn balancing() {
    let Some(path) = shared("balancing") else { return };
    let start = std::time::Instant::now();
    let reading = session::read_with_sources(&path, &ReadOptions::default()).unwrap();
    eprintln!("{:?} {:?}", start.elapsed(), reading.associations);
    eprintln!("{:?}", confident(&reading));
    if let Some(p) = std::env::var_os("DUMP") { std::fs::write(p, serde_json::to_string(&reading.session).unwrap()).unwrap(); }
    let o = ReadOptions { person: Some(1), ..Default::default() };
    let reading = session::read_with_sources(&path, &o).unwrap();
    eprintln!("{:?}", reading.associations);
    eprintln!("{:?}", confident(&reading));
}

#[test]
fn walk() {
    let Some(path) = shared("synthetic_walk_T100") else { return };
    let start = std::time::Instant::now();
    let reading = session::read_with_sources(&path, &ReadOptions::default()).unwrap();
    eprintln!("{:?} {:?}", start.elapsed(), reading.associations);
    eprintln!("{:?} {}", confident(&reading), confident(&reading).iter().sum::<usize>());
}
