//! Skeletons: bodies, joints, coordinates, markers, scaling; readers and writers for `.osim` and MJCF.
//!
//! Both file formats compile to one internal form: bodies in topological order, each with a list of elementary
//! [`Operation`]s applied from its parent's frame, left to right. Starting from the parent's pose `(R, p)` in ground,
//!
//! | operation | effect |
//! |---|---|
//! | `Translate` | `p ← p + R·(s_b ∘ t)` |
//! | `Rotate` | `R ← R·C` |
//! | `RotateAbout` | `R ← R·exp(a·f(q))` |
//! | `TranslateAlong` | `p ← p + R·a·k·f(q)`, `k = Σ|aᵢ|·s_b,i` or 1 |
//! | `Ball` | `R ← R·R_rotor` |
//!
//! and the result is the body's pose `ground_from_body`. `s_b` are the scale factors of the body the operation's numbers are written in. (Along an oblique axis `k` is not 1 where the factors are; readers of scaled
//! functions divide by `Σ|aᵢ|`, so that an unscaled model moves as its file says.) A marker sits at
//! `p_body + R_body·(s_body ∘ m + o)`.

mod function;
mod generate;
mod left;
mod mjcf;
mod osim;
pub(crate) mod read;
mod rotor;
mod scale_groups;
mod scaling;
mod symmetry;
pub(crate) mod xml;

use nalgebra::{Rotation3, Unit, Vector3};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;

pub use left::left_behind;
pub use mjcf::write_mjcf;
pub use osim::{
    DefaultPoses, Subject, opensim_name, read_marker_set, read_marker_set_str, write_marker_set, write_osim,
    write_scale_set, write_subject_osim,
};
use read::read_text;
pub use read::{read_model, read_model_str};
pub use scale_groups::{ScaleGroup, ScaleGroups};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u32);
        impl $name {
            /// The index as a `usize`.
            pub fn index(self) -> usize { self.0 as usize }
        }
    };
}
id!(/// Index of a body; 0 is ground.
    BodyId);
id!(/// Index of a coordinate, in the file's order.
    CoordinateId);
id!(/// Index of a marker.
    MarkerId);
id!(/// Index of a three-degree rotation that is kept as a rotation, not as angles.
    RotorId);
id!(/// Index of a free scale parameter.
    GroupId);

/// Ground, the first body of every skeleton.
pub const GROUND: BodyId = BodyId(0);

/// Which way the world's vertical points in a model's ground frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpAxis {
    /// OpenSim.
    Y,
    /// MuJoCo, Pose2Sim calibrations.
    Z,
}

/// A function of one coordinate, with its first two derivatives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Function {
    /// Always the same value.
    Constant(f64),
    /// `slope·x + intercept`.
    Linear {
        /// Slope.
        slope: f64,
        /// Value at 0.
        intercept: f64,
    },
    /// Coefficients, highest power first.
    Polynomial(Vec<f64>),
    /// Straight lines between points, extrapolated with the end slopes.
    PiecewiseLinear {
        /// Abscissae, strictly increasing.
        x: Vec<f64>,
        /// Ordinates.
        y: Vec<f64>,
    },
    /// OpenSim's `SimmSpline`; `b`, `c`, `d` are its cubic coefficients at each knot.
    SimmSpline {
        /// Abscissae, strictly increasing.
        x: Vec<f64>,
        /// Ordinates.
        y: Vec<f64>,
        /// First-order coefficients.
        b: Vec<f64>,
        /// Second-order coefficients.
        c: Vec<f64>,
        /// Third-order coefficients.
        d: Vec<f64>,
    },
    /// `factor · inner(x)`.
    Multiple {
        /// The factor.
        factor: f64,
        /// The function multiplied.
        inner: Box<Function>,
    },
    /// `outer(inner(x))`: how a coupled coordinate is substituted.
    Composite {
        /// Applied second.
        outer: Box<Function>,
        /// Applied first.
        inner: Box<Function>,
    },
}

/// One elementary operation; see the module's table.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// A fixed displacement, scaled with the body it is written in.
    Translate {
        /// Metres, in the current frame, unscaled.
        offset: Vector3<f64>,
        /// Whose factors scale it.
        scaled_by: BodyId,
    },
    /// A fixed rotation.
    Rotate(Rotation3<f64>),
    /// A rotation about a fixed axis by a function of a coordinate, radians.
    RotateAbout {
        /// Axis in the current frame.
        axis: Unit<Vector3<f64>>,
        /// Independent coordinate, `None` for a constant.
        coordinate: Option<CoordinateId>,
        /// Angle as a function of it.
        function: Function,
    },
    /// A displacement along a fixed axis by a function of a coordinate, metres.
    TranslateAlong {
        /// Axis in the current frame.
        axis: Unit<Vector3<f64>>,
        /// Independent coordinate, `None` for a constant.
        coordinate: Option<CoordinateId>,
        /// Length as a function of it.
        function: Function,
        /// Whose factors scale it; `None` for a true degree of freedom.
        scaled_by: Option<BodyId>,
    },
    /// A rotation kept as a rotation.
    Ball(RotorId),
}

/// A three-degree rotation, and the angles files express it in.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotor {
    /// The three coordinates of the file. In a tangent vector their places hold a left perturbation `R ← exp(δ)·R`,
    /// expressed in the frame before the rotation.
    pub coordinates: [CoordinateId; 3],
    /// The axes of the file's angles: `R = exp(a₁q₁)·exp(a₂q₂)·exp(a₃q₃)`.
    pub axes: [Unit<Vector3<f64>>; 3],
}

/// What a coordinate measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Motion {
    /// Radians; degrees in files that say so.
    Rotational,
    /// Metres.
    Translational,
    /// A mixture; its unit is the file's, never converted.
    Coupled,
}

/// A coordinate that is a function of another.
#[derive(Debug, Clone, PartialEq)]
pub struct Coupling {
    /// The coordinate it follows.
    pub independent: CoordinateId,
    /// Its value as a function of that.
    pub function: Function,
}

/// A coordinate of the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Coordinate {
    /// Name in the file.
    pub name: String,
    /// Name of its joint.
    pub joint: String,
    /// What it measures.
    pub motion: Motion,
    /// Value when nothing else is said.
    pub default: f64,
    /// Limits, where the file has real ones (a range marked as not limited is none).
    pub range: Option<[f64; 2]>,
    /// The range that the file has where it tells nothing of a body: no width, so much of it that it only fills a place, or an end at infinity.
    pub placeholder: Option<[f64; 2]>,
    /// Whether OpenSim would clamp it to its range, or to that placeholder.
    pub clamped: bool,
    /// Held at its default.
    pub locked: bool,
    /// Set for dependent coordinates.
    pub coupling: Option<Coupling>,
}

/// A body and how to reach it from its parent.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// Name in the file.
    pub name: String,
    /// Parent; ground's is ground.
    pub parent: BodyId,
    /// Its operations in [`Skeleton::operations`].
    pub operations: Range<usize>,
}

/// A point fixed to a body.
#[derive(Debug, Clone, PartialEq)]
pub struct Marker {
    /// Name; keypoints find their marker by it.
    pub name: String,
    /// The body it sits on.
    pub body: BodyId,
    /// Position in that body's frame, metres, unscaled.
    pub location: Vector3<f64>,
    /// A fixed marker takes no offset.
    pub fixed: bool,
}

/// The format a model came in, with its text, so that it can be written back unchanged but for what was fitted.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelSource {
    /// An OpenSim document and its path.
    Osim {
        /// Path as given.
        path: String,
        /// The whole text.
        text: Arc<str>,
    },
    /// A MuJoCo document (top-level file, includes expanded) and its path.
    Mjcf {
        /// Path as given.
        path: String,
        /// The whole text.
        text: Arc<str>,
    },
    /// Made in memory.
    None,
}

/// An immutable skeleton.
#[derive(Debug, Clone, PartialEq)]
pub struct Skeleton {
    /// Name in the file.
    pub name: String,
    /// Where it came from.
    pub source: ModelSource,
    /// The vertical of its ground frame.
    pub up: UpAxis,
    /// Bodies, ground first, parents before children.
    pub bodies: Vec<Body>,
    /// All bodies' operations, one after another.
    pub operations: Vec<Operation>,
    /// Coordinates in the file's order.
    pub coordinates: Vec<Coordinate>,
    /// Rotations kept as rotations: as read those of Ball, Gimbal and Free joints and of MJCF, more after [`Skeleton::with_rotors`].
    pub rotors: Vec<Rotor>,
    /// Markers.
    pub markers: Vec<Marker>,
}

/// `outer ∘ inner`, without the wrapping where one of them is the identity.
fn compose(outer: Function, inner: &Function) -> Function {
    if inner.is_identity() {
        outer
    } else if outer.is_identity() {
        inner.clone()
    } else {
        Function::Composite { outer: Box::new(outer), inner: Box::new(inner.clone()) }
    }
}

impl Skeleton {
    /// The body of that name.
    pub fn body(&self, name: &str) -> Option<BodyId> {
        self.bodies.iter().position(|b| b.name == name).map(|i| BodyId(i as u32))
    }

    /// The coordinate of that name.
    pub fn coordinate(&self, name: &str) -> Option<CoordinateId> {
        self.coordinates.iter().position(|c| c.name == name).map(|i| CoordinateId(i as u32))
    }

    /// The marker of that name.
    pub fn marker(&self, name: &str) -> Option<MarkerId> {
        self.markers.iter().position(|m| m.name == name).map(|i| MarkerId(i as u32))
    }

    /// Fills in the dependent coordinates of `q` (one value per coordinate, file order) from the independent ones.
    pub fn resolve_couplings(&self, q: &mut [f64]) {
        for (i, c) in self.coordinates.iter().enumerate() {
            if let Some(k) = &c.coupling {
                q[i] = k.function.value(q[k.independent.index()]);
            }
        }
    }
}

/// Scale factors of every body, `[x, y, z]` in its own axes; ground's are 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scales(pub Vec<[f64; 3]>);

impl Scales {
    /// All factors 1.
    pub fn ones(skeleton: &Skeleton) -> Self {
        Self(vec![[1.0; 3]; skeleton.bodies.len()])
    }
}

/// Offsets of every marker from its scaled place, metres, in its body's frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Offsets(pub Vec<Vector3<f64>>);

impl Offsets {
    /// All offsets 0.
    pub fn zeros(skeleton: &Skeleton) -> Self {
        Self(vec![Vector3::zeros(); skeleton.markers.len()])
    }
}
