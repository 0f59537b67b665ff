//! MuJoCo models; the body of the input stands inside the outermost element, so that less is refused at once.
#![no_main]

use kinefit::skeleton::read_model_str;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = read_model_str("f.xml", text);
    let _ = read_model_str("f.xml", &format!("<mujoco>{text}</mujoco>"));
});
