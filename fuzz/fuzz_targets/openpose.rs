//! Keypoints of one image.
#![no_main]

use kinefit::session::openpose;
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    for point in openpose::read_bytes(Path::new("f.json"), bytes).unwrap_or_default().iter().flatten() {
        assert!(point.iter().all(|x| x.is_finite()));
    }
});
