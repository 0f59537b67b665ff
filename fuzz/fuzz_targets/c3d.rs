//! Marker trials as C3D: what is read keeps its promises, and what can be written reads back.
#![no_main]

use kinefit::session::markers::c3d;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(trial) = c3d::read("f", bytes) {
        trial.check("f").expect("what is read is a trial");
        if let Ok(written) = c3d::to_bytes(&trial, "f") {
            let again = c3d::read("f", &written).expect("what was written can be read");
            assert_eq!(again.positions.len(), trial.positions.len());
        }
    }
});
