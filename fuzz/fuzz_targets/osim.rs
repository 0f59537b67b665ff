//! OpenSim models, and marker sets for a small one.
#![no_main]

use kinefit::skeleton::{read_marker_set_str, read_model_str};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(mut skeleton) = read_model_str("f.osim", text) {
        let _ = read_marker_set_str("f.xml", text, &mut skeleton);
    }
});
