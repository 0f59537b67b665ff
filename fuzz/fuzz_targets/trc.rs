//! Marker trials as text: what is read keeps its promises, and reads back from what is written.
#![no_main]

use kinefit::session::markers::trc;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(trial) = trc::read("f", text) {
        let written = trc::to_text(&trial, "f").expect("what was read can be written");
        let again = trc::read("f", &written).map(|again| again.positions.len());
        // Times closer than twelve decimals tell apart are one after writing.
        assert!(again.is_err() || again.ok() == Some(trial.positions.len()));
    }
});
