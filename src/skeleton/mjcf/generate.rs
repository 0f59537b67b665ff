//! A new MuJoCo document for a skeleton that has none.
//!
//! A body's steps `F₀ M₁ F₁ M₂ F₂` (fixed and moving) become its frame `F₀F₁F₂` and joints in it: `M₁` seen from behind `F₁F₂`, `M₂` from behind `F₂`. Seen from behind a
//! pose `S`, a motion about an axis `a` through the origin is one about `S.Rᵀa` through `S⁻¹·0`: just what a joint's `axis` and `pos` say.

use crate::Result;
use crate::skeleton::generate::{Move, Pose, Step, children, escaped, inexact, inexact_coordinate, joined, steps};
use crate::skeleton::{CoordinateId, Function, Offsets, Scales, Skeleton, UpAxis, compose};
use nalgebra::{UnitQuaternion, Vector3};
use std::collections::HashSet;
use std::fmt::Write as _;

const FORMAT: &str = "MuJoCo's MJCF";
/// Deeper chains of bodies make documents nobody's reader accepts.
const DEEPEST_CHAIN: usize = 150;

pub(super) fn write(skeleton: &Skeleton, scales: &Scales, offsets: &Offsets) -> Result<String> {
    let steps = steps(skeleton, scales, FORMAT)?;
    if !steps[0].is_empty() {
        return Err(inexact(skeleton, 0, FORMAT, "ground itself is displaced"));
    }
    let mut writer = Writer {
        skeleton,
        scales,
        offsets,
        steps,
        children: children(skeleton),
        placed: vec![None; skeleton.coordinates.len()],
        names: skeleton.coordinates.iter().map(|c| c.name.clone()).collect(),
        followers: Vec::new(),
        equalities: String::new(),
    };
    let mut bodies = String::new();
    writer.sites(0, 1, &mut bodies);
    for child in writer.children[0].clone() {
        writer.body(child, 1, &mut bodies)?;
    }
    writer.couple()?;
    let gravity = match skeleton.up {
        UpAxis::Y => "0 -9.80665 0",
        UpAxis::Z => "0 0 -9.80665",
    };
    let equality = match writer.equalities.as_str() {
        "" => String::new(),
        e => format!("  <equality>\n{e}  </equality>\n"),
    };
    Ok(format!(
        "<mujoco model=\"{}\">\n  <!--Written by kinefit: exact in its kinematics. Masses and inertias are placeholders.-->\n  <compiler angle=\"radian\" autolimits=\"true\"/>\n  <option gravity=\"{gravity}\"/>\n  <worldbody>\n{bodies}  </worldbody>\n{equality}</mujoco>\n",
        escaped(&skeleton.name)
    ))
}

/// How a coordinate is a joint: `q` of the file is `q − ref` turned or moved, along the axis or against it.
#[derive(Clone, Copy)]
struct Placed {
    reference: f64,
}

struct Writer<'s> {
    skeleton: &'s Skeleton,
    scales: &'s Scales,
    offsets: &'s Offsets,
    steps: Vec<Vec<Step>>,
    children: Vec<Vec<usize>>,
    placed: Vec<Option<Placed>>,
    names: HashSet<String>,
    /// Body, name, own coordinate, independent coordinate, function of that.
    followers: Vec<(usize, String, CoordinateId, CoordinateId, Function)>,
    equalities: String,
}

impl Writer<'_> {
    fn body(&mut self, b: usize, depth: usize, out: &mut String) -> Result<()> {
        if depth > DEEPEST_CHAIN {
            return Err(inexact(
                self.skeleton,
                b,
                FORMAT,
                format_args!("the chain of bodies is longer than {DEEPEST_CHAIN}"),
            ));
        }
        let pad = "  ".repeat(depth + 1);
        let steps = std::mem::take(&mut self.steps[b]);
        let whole = steps.iter().fold(Pose::IDENTITY, |pose, step| match step {
            Step::Fixed(fixed) => pose.then(fixed),
            Step::Move(_) => pose,
        });
        let quat_wxyz = UnitQuaternion::from_rotation_matrix(&whole.rotation);
        let _ = writeln!(
            out,
            "{pad}<body name=\"{}\" pos=\"{}\" quat=\"{}\">",
            escaped(&self.skeleton.bodies[b].name),
            joined(whole.position.as_slice()),
            joined(&[quat_wxyz.w, quat_wxyz.i, quat_wxyz.j, quat_wxyz.k])
        );
        let _ = writeln!(out, "{pad}  <inertial pos=\"0 0 0\" mass=\"1\" diaginertia=\"0.01 0.01 0.01\"/>");
        // Which step of each coordinate is the coordinate itself.
        let primary = |c: CoordinateId| {
            steps.iter().position(
                |s| matches!(s, Step::Move(m) if m.coordinate == c && m.function.as_linear().is_some_and(|(k, _)| k.abs() == 1.0)),
            )
        };
        for (k, step) in steps.iter().enumerate() {
            let Step::Move(m) = step else { continue };
            let behind = steps[k + 1..].iter().fold(Pose::IDENTITY, |pose, step| match step {
                Step::Fixed(fixed) => pose.then(fixed),
                Step::Move(_) => pose,
            });
            let line =
                if primary(m.coordinate) == Some(k) { self.joint(m, &behind) } else { self.follower(b, m, &behind) };
            let _ = writeln!(out, "{pad}  {line}");
        }
        self.sites(b, depth, out);
        for child in self.children[b].clone() {
            self.body(child, depth + 1, out)?;
        }
        let _ = writeln!(out, "{pad}</body>");
        Ok(())
    }

    fn sites(&self, b: usize, depth: usize, out: &mut String) {
        let pad = "  ".repeat(depth + 2);
        for (marker, offset) in self.skeleton.markers.iter().zip(&self.offsets.0).filter(|(m, _)| m.body.index() == b) {
            let place = marker.location.component_mul(&Vector3::from(self.scales.0[b])) + offset;
            let _ =
                writeln!(out, "{pad}<site name=\"{}\" pos=\"{}\"/>", escaped(&marker.name), joined(place.as_slice()));
        }
    }

    /// A coordinate as a joint: `q` for `q + b`, `−q` for `b − q` about the opposite axis.
    fn joint(&mut self, m: &Move, behind: &Pose) -> String {
        let (slope, intercept) = m.function.as_linear().unwrap_or((1.0, 0.0));
        let reference = -intercept * slope;
        let coordinate = &self.skeleton.coordinates[m.coordinate.index()];
        self.placed[m.coordinate.index()] = Some(Placed { reference });
        let limits = match coordinate.range {
            Some(range) if range[0] < range[1] => format!("limited=\"true\" range=\"{}\"", joined(&range)),
            // MuJoCo loads no limits that leave nothing between them.
            _ => "limited=\"false\"".to_owned(),
        };
        element(&coordinate.name, m, behind, slope, &format!("ref=\"{}\" {limits}", reference + 0.0))
    }

    /// A further motion of a coordinate: a joint of its own, held to it by an equality.
    fn follower(&mut self, b: usize, m: &Move, behind: &Pose) -> String {
        let body = &self.skeleton.bodies[b].name;
        let coordinate = self.skeleton.coordinates[m.coordinate.index()].clone();
        let mut k = 1;
        let mut name = format!("{body}_{}_{k}", coordinate.name);
        while !self.names.insert(name.clone()) {
            k += 1;
            name = format!("{body}_{}_{k}", coordinate.name);
        }
        let (independent, function) = match &coordinate.coupling {
            Some(coupling) => (coupling.independent, compose(m.function.clone(), &coupling.function)),
            None => (m.coordinate, m.function.clone()),
        };
        self.followers.push((b, name.clone(), m.coordinate, independent, function));
        element(&name, m, behind, 1.0, "limited=\"false\"")
    }

    /// `name = function(independent)`, or why it cannot be written.
    fn equality(
        &mut self,
        name: &str,
        independent: CoordinateId,
        function: &Function,
    ) -> std::result::Result<(), String> {
        let other = &self.skeleton.coordinates[independent.index()];
        // MuJoCo's polynomial is in q₂ − ref₂.
        let reference = self.placed[independent.index()].map(|p| p.reference).ok_or_else(|| {
            format!("it follows coordinate `{}`, by which nothing turns or moves directly", other.name)
        })?;
        let shifted = compose(function.clone(), &Function::Linear { slope: 1.0, intercept: reference });
        let mut lowest_first = shifted.as_polynomial().filter(|c| c.len() <= 5).ok_or_else(|| {
            format!(
                "it follows coordinate `{}` by a function that is no polynomial of at most fourth degree",
                other.name
            )
        })?;
        lowest_first.reverse();
        lowest_first.resize(5, 0.0);
        let _ = writeln!(
            self.equalities,
            "    <joint joint1=\"{}\" joint2=\"{}\" polycoef=\"{}\"/>",
            escaped(name),
            escaped(&other.name),
            joined(&lowest_first)
        );
        Ok(())
    }

    /// Equalities of coupled and locked coordinates.
    fn couple(&mut self) -> Result<()> {
        for (b, name, _, independent, function) in self.followers.clone() {
            self.equality(&name, independent, &function).map_err(|why| inexact(self.skeleton, b, FORMAT, why))?;
        }
        let skeleton = self.skeleton;
        let refused = |i: usize, why: String| inexact_coordinate(skeleton, i, FORMAT, why);
        for (i, c) in skeleton.coordinates.iter().enumerate() {
            let Some(placed) = self.placed[i] else {
                // A dependent coordinate may live on in what follows it.
                if c.coupling.is_some() && self.followers.iter().any(|f| f.2.index() == i) {
                    continue;
                }
                return Err(refused(i, "nothing turns or moves by it directly".into()));
            };
            match &c.coupling {
                // MuJoCo's left side is q₁ − ref₁.
                Some(coupling) => {
                    let shift = Function::Linear { slope: 1.0, intercept: -placed.reference };
                    let function = compose(shift, &coupling.function);
                    self.equality(&c.name, coupling.independent, &function).map_err(|why| refused(i, why))?;
                }
                None if c.locked => {
                    let _ = writeln!(
                        self.equalities,
                        "    <joint joint1=\"{}\" polycoef=\"{} 0 0 0 0\"/>",
                        escaped(&c.name),
                        c.default - placed.reference
                    );
                }
                None => {}
            }
        }
        Ok(())
    }
}

fn element(name: &str, m: &Move, behind: &Pose, sign: f64, rest: &str) -> String {
    let kind = if m.turns { "hinge" } else { "slide" };
    let inverse = behind.inverse();
    let axis = inverse.rotation * m.axis.into_inner() * sign;
    format!(
        "<joint name=\"{}\" type=\"{kind}\" pos=\"{}\" axis=\"{}\" {rest}/>",
        escaped(name),
        joined(inverse.position.as_slice()),
        joined(axis.as_slice())
    )
}
