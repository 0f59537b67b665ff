//! OpenSim models (`.osim`, versions 20302 to 45xxx), read and written.
//!
//! [`document`](self) collects the elements that have a meaning for kinematics, `compile` turns them into the internal form. A joint's body is
//! reached by `X_ground_body = X_ground_parent · X_parent_F · X_F_M(q) · X_body_M⁻¹`; offset orientations are body-fixed x-y-z Euler angles. Everything else in the file
//! (muscles, wrapping, contact, geometry, controllers) is passed over in reading and carried through in writing; what is not understood of the rest is refused (`vocabulary`).

mod compile;
mod document;
mod function;
mod generate;
mod inertia;
mod joint;
mod left;
mod markers;
mod paths;
mod subject;
mod vocabulary;
mod write;

pub(super) use compile::{joints, place, read};
pub use generate::opensim_name;
pub(super) use left::left_behind;
pub use markers::{read_marker_set, read_marker_set_str};
pub use paths::DefaultPoses;
pub use subject::Subject;
pub use write::{write_marker_set, write_osim, write_scale_set, write_subject_osim};
