//! Calibrations of all dialects; what is read is written and read again.
#![no_main]

use kinefit::camera::calibration;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(rig) = calibration::read_str(text, "f") {
        let _ = calibration::read_str(&calibration::to_toml(&rig), "again");
    }
});
