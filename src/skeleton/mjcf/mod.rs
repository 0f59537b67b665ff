//! MuJoCo models (MJCF), read and written.
//!
//! A body is reached from its parent by `pos` and its orientation, then by its joints in document order. A hinge turns about its own anchor:
//! `p ← p + R·a`, `R ← R·exp(axis·(q − ref))`, `p ← p − R·a`; a slide moves along its axis; a free joint replaces the pose. MJCF knows no scaling: here a child body's `pos` takes the
//! factors of the body it is written in, a joint's and a site's `pos` those of their own.

mod compile;
mod defaults;
mod document;
mod generate;
mod include;
mod left;
mod orientation;
mod qpos;
mod vocabulary;
mod write;

pub(super) use compile::{joints, place, read};
pub(super) use left::left_behind;
pub use write::write_mjcf;
