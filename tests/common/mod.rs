//! What several tests share.
#![allow(dead_code)]

pub mod random;

use kinefit::skeleton::{ScaleGroup, ScaleGroups, Skeleton, read_model_str};

/// A person of sticks: 33 coordinates, 21 markers of HALPE_26; fast, and fixed whatever becomes of the default body.
pub fn stick() -> (Skeleton, ScaleGroups) {
    let skeleton = read_model_str("stick.xml", include_str!("../data/stick.xml")).unwrap();
    let group = |name: &str, bodies: &[&str]| ScaleGroup {
        name: name.into(),
        prior_sd: None,
        members: bodies.iter().map(|b| (skeleton.body(b).unwrap(), [true; 3])).collect(),
    };
    let groups = vec![
        group("pelvis", &["pelvis"]),
        group("thigh", &["femur_r", "femur_l"]),
        group("shank", &["tibia_r", "tibia_l"]),
        group("foot", &["foot_r", "foot_l"]),
        group("torso", &["torso"]),
        group("head", &["head"]),
        group("upper_arm", &["humerus_r", "humerus_l"]),
        group("forearm", &["forearm_r", "forearm_l"]),
    ];
    (skeleton, ScaleGroups { groups })
}

/// A file or folder of the shared data; says that a test is skipped where there is none.
pub fn shared(path: &str) -> Option<std::path::PathBuf> {
    let root = std::env::var_os("KINEFIT_SHARED")
        .map_or_else(|| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), Into::into);
    let full = root.join(path);
    if !full.exists() {
        eprintln!("skipped: {} is not there", full.display());
        return None;
    }
    Some(full)
}
