//! Setup files of OpenSim's scale tool.
#![no_main]

use kinefit::session::scale_setup;
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|text: &str| {
    let _ = scale_setup::read_str("f", text, Path::new("/nowhere"));
});
