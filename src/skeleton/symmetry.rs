//! Left and right in names.

/// The side a name tells of, and the name without it: `femur_r`, `right_thigh`, `R_hand`, `LeftFoot`, `shin.left`.
///
/// Only full words and single letters that stand apart count, and `Left`/`Right` at the start of a word in capitals.
pub(super) fn without_side(name: &str) -> Option<(String, Side)> {
    let separated = |c: char| matches!(c, '_' | '-' | '.' | ' ');
    let side_of = |word: &str| match word.to_ascii_lowercase().as_str() {
        "l" | "left" => Some(Side::Left),
        "r" | "right" => Some(Side::Right),
        _ => None,
    };
    let parts: Vec<&str> = name.split(separated).collect();
    if parts.len() > 1 {
        for (i, part) in parts.iter().enumerate() {
            if let Some(side) = side_of(part) {
                let mut rest = parts.clone();
                rest.remove(i);
                return Some((rest.join("_"), side));
            }
        }
    }
    for (word, side) in [("Left", Side::Left), ("left", Side::Left), ("Right", Side::Right), ("right", Side::Right)] {
        let rest = name.strip_prefix(word).or_else(|| name.strip_suffix(word));
        // `LeftFoot` and `footLeft`, not `leftover`.
        let apart = |r: &&str| r.starts_with(char::is_uppercase) || word.starts_with(char::is_uppercase);
        if let Some(rest) = rest.filter(|r| !r.is_empty()).filter(apart) {
            return Some((rest.to_owned(), side));
        }
    }
    None
}

/// A side of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_found() {
        for (name, stem, side) in [
            ("femur_r", "femur", Side::Right),
            ("hand_left", "hand", Side::Left),
            ("left_thigh", "thigh", Side::Left),
            ("R_hand", "hand", Side::Right),
            ("LeftFoot", "Foot", Side::Left),
            ("upper_arm_right", "upper_arm", Side::Right),
            ("foot.l.2", "foot_2", Side::Left),
        ] {
            assert_eq!(without_side(name), Some((stem.to_owned(), side)), "{name}");
        }
        for name in ["pelvis", "torso", "l", "leftover", "right", "lumbar5", ""] {
            assert_eq!(without_side(name), None, "{name}");
        }
    }
}
