//! Is the result a human being in a sane world? Checked apart from reprojection, which a mirrored world passes.

use crate::kinematics::{Frame, Mechanism, forward};
use crate::skeleton::{GROUND, Offsets, Operation, Scales, Skeleton, UpAxis};
use nalgebra::Vector3;

/// Standing heights of people, toddlers to giants, metres.
pub const HUMAN_HEIGHT: std::ops::Range<f64> = 0.7..2.6;

/// Names of a marker on top of the head, as [`plain`] writes them: those of keypoint sets and gait laboratories. Markers that only
/// tell of the head's whereabouts (its centre, its sides) are none of these.
const CROWN: [&str; 8] = ["head", "headtop", "tophead", "topofhead", "headvertex", "vertex", "crown", "tophd"];

/// Parts of names of markers low on the foot, as [`plain`] writes them.
const FOOT: [&str; 3] = ["heel", "toe", "calc"];

/// Whole names of such markers.
const FOOT_NAMES: [&str; 3] = ["cal", "rcal", "lcal"];

/// Height of a marker on the smallest toe, commonly the lowest of a foot, above the ground, metres: that of the built-in body.
const TOE: f64 = 0.013;

/// Letters and digits in lower case: `Top.Head` and `top_head` are one.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn is_crown(name: &str) -> bool {
    CROWN.contains(&plain(name).as_str())
}

/// How far the ground is below a marker in standing, if its name says so, metres.
fn above_ground(name: &str) -> Option<f64> {
    let name = plain(name);
    let on_foot = FOOT_NAMES.contains(&name.as_str()) || FOOT.iter().any(|part| name.contains(part));
    if name.contains("sole") { Some(0.0) } else { on_foot.then_some(TOE) }
}

/// Vertical component.
fn up(skeleton: &Skeleton, v: &Vector3<f64>) -> f64 {
    match skeleton.up {
        UpAxis::Y => v.y,
        UpAxis::Z => v.z,
    }
}

/// Standing height, metres: from the ground, 13 mm below the lowest marker on heels and toes (at one on the sole), to the marker on
/// the crown, in the default pose, markers where the scaled model has them. Markers are known by name (`Head`, `HeadTop`,
/// `Top.Head`, `Vertex`; `RHeel`, `L.Toe.Tip`, `r_calc`, …, in any case). `None` where the model has none on the crown, or none on the feet: how much of the person is above its highest
/// marker is then not known.
pub fn default_height(skeleton: &Skeleton, scales: &Scales) -> Option<f64> {
    let frame = default_frame(skeleton, scales);
    let heights = || skeleton.markers.iter().zip(&frame.markers).map(|(m, p)| (m.name.as_str(), up(skeleton, p)));
    let crown = heights().filter(|(name, _)| is_crown(name)).map(|(_, height)| height).reduce(f64::max)?;
    let ground = heights().filter_map(|(name, height)| Some(height - above_ground(name)?)).reduce(f64::min)?;
    Some(crown - ground)
}

/// Median angle, over frames, between the direction from the feet to the crown and the vertical, degrees; `markers[frame][marker]`, ground. `None` where the model has none on
/// the crown or none on the feet, or there are no frames.
pub fn inclination<'a>(skeleton: &Skeleton, markers: impl Iterator<Item = &'a Vec<Vector3<f64>>>) -> Option<f64> {
    let named = |is: &dyn Fn(&str) -> bool| -> Vec<usize> {
        (0..skeleton.markers.len()).filter(|&m| is(&skeleton.markers[m].name)).collect()
    };
    let (crown, feet) = (named(&is_crown), named(&|name| above_ground(name).is_some()));
    if crown.is_empty() || feet.is_empty() {
        return None;
    }
    let mean =
        |frame: &[Vector3<f64>], of: &[usize]| of.iter().map(|&m| frame[m]).sum::<Vector3<f64>>() / of.len() as f64;
    let mut angles: Vec<f64> = markers
        .map(|frame| {
            let v = mean(frame, &crown) - mean(frame, &feet);
            (up(skeleton, &v) / v.norm()).clamp(-1.0, 1.0).acos().to_degrees()
        })
        .collect();
    crate::math::median(&mut angles)
}

/// Leaning by more than this in half of all frames, nobody stands, degrees.
pub const LYING: f64 = 60.0;

/// Frames, evenly spread over a trial, that [`root_inclination`] looks at: a median is known well enough from them.
const FRAMES_LOOKED_AT: usize = 500;

/// Median angle, over frames, by which the body that moves freely against ground leans from where the default pose has it, degrees: its turn about the vertical does not count.
/// `q[frame]` are coordinates in file order. `None` without frames, and where no body hangs on ground by six degrees of freedom: what else moves there, an upper arm say, may point anywhere.
pub fn root_inclination(skeleton: &Skeleton, q: &[Vec<f64>]) -> Option<f64> {
    let free = |body: &crate::skeleton::Body| {
        let (mut turns, mut slides) = (0, 0);
        for operation in &skeleton.operations[body.operations.clone()] {
            match operation {
                Operation::Ball(_) => turns += 3,
                Operation::RotateAbout { coordinate: Some(_), .. } => turns += 1,
                Operation::TranslateAlong { coordinate: Some(_), .. } => slides += 1,
                _ => {}
            }
        }
        body.parent == GROUND && turns >= 3 && slides >= 3
    };
    let root = (1..skeleton.bodies.len()).find(|&b| free(&skeleton.bodies[b]))?;
    let scales = Scales::ones(skeleton);
    let vertical = match skeleton.up {
        UpAxis::Y => Vector3::y(),
        UpAxis::Z => Vector3::z(),
    };
    // The vertical as the body has it in the default pose.
    let own = default_frame(skeleton, &scales).rotations[root].inverse() * vertical;
    let offsets = Offsets::zeros(skeleton);
    let mut frame = Frame::new(skeleton);
    let step = q.len().div_ceil(FRAMES_LOOKED_AT).max(1);
    let lean = |q: &Vec<f64>| {
        forward(skeleton, &scales, &offsets, q, &skeleton.rotor_rotations(q), &mut frame);
        (frame.rotations[root] * own).dot(&vertical).clamp(-1.0, 1.0).acos().to_degrees()
    };
    crate::math::median(&mut q.iter().step_by(step).map(lean).collect::<Vec<_>>())
}

fn default_frame(skeleton: &Skeleton, scales: &Scales) -> Frame {
    let mut q: Vec<f64> = skeleton.coordinates.iter().map(|c| c.default).collect();
    skeleton.resolve_couplings(&mut q);
    let mut frame = Frame::new(skeleton);
    forward(skeleton, scales, &Offsets::zeros(skeleton), &q, &skeleton.rotor_rotations(&q), &mut frame);
    frame
}

/// [`default_height`] at scale parameters 0, and its derivative in each: exact as long as the same markers are highest and lowest.
/// `None` where the height is not known.
pub fn height_by_scale(mechanism: &Mechanism) -> Option<(f64, Vec<f64>)> {
    let groups = mechanism.groups().groups.len();
    let zero = vec![0.0; groups];
    let at_zero = default_height(mechanism.skeleton(), &mechanism.scales(&zero))?;
    let by_scale = (0..groups)
        .map(|g| {
            // Heights are linear in the factors; a small step keeps the extreme markers the same.
            let step = 1e-4;
            let mut p = zero.clone();
            p[g] = step;
            Some((default_height(mechanism.skeleton(), &mechanism.scales(&p))? - at_zero) / step)
        })
        .collect::<Option<_>>()?;
    Some((at_zero, by_scale))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::skeleton::read_model_str;

    fn body() -> Skeleton {
        read_model_str("body.osim", include_str!("../../data/body.osim")).unwrap()
    }

    #[test]
    fn crowns_and_feet_by_name() {
        for crown in ["Head", "HEAD", "HeadTop", "Top.Head", "top_head", "Vertex"] {
            assert!(is_crown(crown), "{crown}");
        }
        for other in ["HeadCentre", "rfronthead", "Nose", "forehead", "Neck", "R_HJC"] {
            assert!(!is_crown(other), "{other}");
        }
        for foot in ["RHeel", "L.Toe.Tip", "r_calc", "LCAL", "RBigToe", "lfourthtoe"] {
            assert_eq!(above_ground(foot), Some(TOE), "{foot}");
        }
        for other in ["RAnkle", "LShoulder", "RMT5", "Head", "RHip", "CLAV", "cervical"] {
            assert_eq!(above_ground(other), None, "{other}");
        }
        assert_eq!(above_ground("left_sole"), Some(0.0));
    }

    /// Angles of the pelvis are told by hand: it turns about the vertical first, and then leans.
    #[test]
    fn a_free_root_that_lies_is_told_and_an_arm_is_not() {
        let body = body();
        let of = |name: &str, value: f64| {
            let mut q: Vec<f64> = body.coordinates.iter().map(|c| c.default).collect();
            q[body.coordinate(name).unwrap().index()] = value;
            q
        };
        let lean = |q: Vec<f64>| root_inclination(&body, &[q.clone(), q.clone(), of("pelvis_rotation", 0.0)]).unwrap();
        assert!(lean(of("pelvis_rotation", 1.5)) < 1e-6);
        for name in ["pelvis_tilt", "pelvis_list"] {
            assert!((lean(of(name, -1.5)).to_radians() - 1.5).abs() < 1e-9, "{name}");
        }
        assert_eq!(root_inclination(&body, &[]), None);
        let arm = "<mujoco><worldbody><body name=\"a\"><joint type=\"ball\" name=\"j\"/></body></worldbody></mujoco>";
        let arm = read_model_str("arm.xml", arm).unwrap();
        assert_eq!(root_inclination(&arm, &[vec![1.5; arm.coordinates.len()]]), None);
    }

    #[test]
    fn the_built_in_body_is_one_and_three_quarter_metres_tall() {
        let mut body = body();
        let height = default_height(&body, &Scales::ones(&body)).unwrap();
        // Its crown is 1.75 m above its ground, and its markers are given to the millimetre.
        assert!((height - 1.75).abs() < 0.001, "{height}");
        // A hand stretched up makes nobody taller.
        let hand = body.markers.iter().position(|m| m.name == "RHand").unwrap();
        body.markers[hand].location.y += 10.0;
        assert_eq!(default_height(&body, &Scales::ones(&body)), Some(height));
    }

    #[test]
    fn without_crown_or_feet_the_height_is_not_known() {
        let keep = |of: fn(&str) -> bool| {
            let mut body = body();
            body.markers.iter_mut().filter(|m| of(&m.name)).for_each(|m| m.name = format!("x_{}_x", m.name.len()));
            default_height(&body, &Scales::ones(&body))
        };
        assert_eq!(keep(is_crown), None);
        assert_eq!(keep(|name| above_ground(name).is_some()), None);
        assert!(keep(|_| false).is_some());
    }
}
