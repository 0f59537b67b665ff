//! Which side and which part of the body a name speaks of: for layout only, from the words people use in models.

/// Side of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The subject's left.
    Left,
    /// The subject's right.
    Right,
    /// Neither.
    Middle,
}

impl Side {
    /// Class in the page.
    pub fn class(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
            Self::Middle => "mid",
        }
    }
}

/// The side, and the name without it: `hip_flexion_r`, `r_hip_flexion`, `RightHipFlexion` and `hip flexion right` are the right
/// side's `hip_flexion`.
pub fn side(name: &str) -> (Side, String) {
    for (prefix, side) in [("Right", Side::Right), ("Left", Side::Left)] {
        if let Some(rest) = name.strip_prefix(prefix).filter(|r| r.starts_with(|c: char| c.is_uppercase())) {
            return (side, rest.to_string());
        }
    }
    let words: Vec<&str> = name.split(['_', ' ', '-', '.']).filter(|w| !w.is_empty()).collect();
    let of = |word: &&str| match word.to_ascii_lowercase().as_str() {
        "r" | "right" => Some(Side::Right),
        "l" | "left" => Some(Side::Left),
        _ => None,
    };
    match words.iter().position(|w| of(w).is_some()) {
        Some(at) if words.len() > 1 => {
            let rest: Vec<&str> = words.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, w)| *w).collect();
            (of(&words[at]).unwrap_or(Side::Middle), rest.join("_"))
        }
        _ => (Side::Middle, name.to_string()),
    }
}

/// Parts in the order of the page.
pub const PARTS: [&str; 10] = [
    "Pelvis",
    "Position",
    "Trunk",
    "Neck and head",
    "Hips",
    "Knees",
    "Ankles and feet",
    "Shoulders",
    "Elbows and forearms",
    "Wrists and hands",
];

/// Where none of [`PARTS`] is meant.
pub const OTHER: &str = "Other";

/// Part of the body a coordinate moves.
pub fn part(coordinate: &str, joint: &str, translational: bool) -> &'static str {
    // More telling words first: a forearm is no arm.
    const WORDS: [(&str, &[&str]); 9] = [
        ("Wrists and hands", &["wrist", "hand", "finger", "thumb"]),
        ("Elbows and forearms", &["elbow", "pro_sup", "forearm", "radius", "ulna"]),
        ("Shoulders", &["shoulder", "arm", "clav", "scap", "humer"]),
        ("Neck and head", &["neck", "head", "cervical", "skull"]),
        ("Trunk", &["lumbar", "back", "trunk", "torso", "spine", "thora", "chest", "abdomen"]),
        ("Ankles and feet", &["ankle", "subtalar", "mtp", "foot", "toe", "talus", "calcn"]),
        ("Knees", &["knee", "tibia", "shank"]),
        ("Hips", &["hip", "femur", "thigh"]),
        ("Pelvis", &["pelvis", "root", "ground"]),
    ];
    for name in [coordinate, joint] {
        let name = name.to_lowercase();
        if let Some((part, _)) = WORDS.iter().find(|(_, words)| words.iter().any(|w| name.contains(w))) {
            return if *part == "Pelvis" && translational { "Position" } else { part };
        }
    }
    OTHER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides() {
        for name in ["hip_flexion_r", "r_hip_flexion", "hip_r_flexion", "hip_flexion_Right"] {
            assert_eq!(side(name), (Side::Right, "hip_flexion".into()), "{name}");
        }
        assert_eq!(side("LeftFoot"), (Side::Left, "Foot".into()));
        assert_eq!(side("lumbar_extension"), (Side::Middle, "lumbar_extension".into()));
        assert_eq!(side("r"), (Side::Middle, "r".into()));
    }

    #[test]
    fn every_part_is_on_the_page() {
        for (name, expected) in [
            ("pelvis_tx", "Position"),
            ("hip_rotation_l", "Hips"),
            ("pro_sup_r", "Elbows and forearms"),
            ("arm_flex_r", "Shoulders"),
            ("mtp_angle_r", "Ankles and feet"),
            ("lumbar_bending", "Trunk"),
        ] {
            assert_eq!(part(name, "", expected == "Position"), expected);
            assert!(PARTS.contains(&expected));
        }
        assert_eq!(part("rx", "knee_r", false), "Knees");
        assert_eq!(part("x", "y", false), OTHER);
    }
}
