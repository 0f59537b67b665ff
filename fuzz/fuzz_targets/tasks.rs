//! Tasks of inverse kinematics.
#![no_main]

use kinefit::session::tasks;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = tasks::read_str("f", text);
});
