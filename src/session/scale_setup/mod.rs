//! How a model is to be scaled to a subject: the setup file of OpenSim's `ScaleTool`.
//!
//! Three parts, as there: which model (`GenericModelMaker`), by which factors (`ModelScaler`), and where its markers really were
//! (`MarkerPlacer`). What a setup leaves out, or calls `Unassigned`, takes OpenSim's defaults. Files are relative to the setup file; of files to be
//! written only their names are kept.

mod read;

pub use read::{read, read_str};

use super::tasks::IkTasks;
use std::path::PathBuf;

/// A whole setup.
#[derive(Debug, Clone, PartialEq)]
pub struct ScaleSetup {
    /// Name of the subject, which the scaled model takes.
    pub name: String,
    /// Mass that the scaled model is to have, kg; `None` leaves the total as scaling makes it.
    pub mass: Option<f64>,
    /// The model to be scaled.
    pub model_file: Option<PathBuf>,
    /// Markers that are added to it, or take the place of its own.
    pub marker_set_file: Option<PathBuf>,
    /// How it is scaled, where it is.
    pub scaler: Option<ModelScaler>,
    /// How markers are moved, where they are.
    pub placer: Option<MarkerPlacer>,
}

/// How factors are found.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelScaler {
    /// Where in the setup file it stands.
    pub place: String,
    /// What is done, in this order; later ones overrule earlier ones.
    pub order: Vec<ScalingStep>,
    /// Measurements, in the file's order.
    pub measurements: Vec<Measurement>,
    /// Factors given outright, in the file's order.
    pub manual: Vec<ManualScale>,
    /// Trial that is measured.
    pub marker_file: Option<PathBuf>,
    /// Seconds, from and to; lengths are averaged between.
    pub time_range: [f64; 2],
    /// Whether bodies keep their shares of the mass, instead of growing with their volume.
    pub preserve_mass_distribution: bool,
    /// Name of the model file to be written.
    pub output_model_file: Option<String>,
    /// Name of the file of factors to be written.
    pub output_scale_file: Option<String>,
}

/// A way to find factors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScalingStep {
    /// From distances between markers.
    Measurements,
    /// As given.
    ManualScale,
}

/// Distances between markers, and the bodies they say the size of.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// Name.
    pub name: String,
    /// Whether it is used.
    pub apply: bool,
    /// Its factor is the mean of theirs.
    pub pairs: Vec<MarkerPair>,
    /// What it scales.
    pub bodies: Vec<BodyScale>,
}

/// Two markers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkerPair {
    /// Where in the setup file it stands.
    pub place: String,
    /// Their names.
    pub markers: [String; 2],
}

/// A body, and the axes along which it is scaled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyScale {
    /// Where in the setup file it stands.
    pub place: String,
    /// Name of the body.
    pub body: String,
    /// Its x, y and z.
    pub axes: [bool; 3],
}

/// Factors given outright.
#[derive(Debug, Clone, PartialEq)]
pub struct ManualScale {
    /// Where in the setup file it stands.
    pub place: String,
    /// Name of the body.
    pub body: String,
    /// Whether it is used.
    pub apply: bool,
    /// Along its x, y and z.
    pub factors: [f64; 3],
}

/// How markers are moved to where they were.
#[derive(Debug, Clone, PartialEq)]
pub struct MarkerPlacer {
    /// Where in the setup file it stands.
    pub place: String,
    /// What the pose of the static trial follows.
    pub tasks: IkTasks,
    /// The static trial.
    pub marker_file: Option<PathBuf>,
    /// Coordinates that tasks `from_file` refer to.
    pub coordinate_file: Option<PathBuf>,
    /// Seconds, from and to; positions are averaged between.
    pub time_range: [f64; 2],
    /// A marker that moves further than this in that time is warned of, in the unit of the trial's file; `None`: none is.
    pub max_marker_movement: Option<f64>,
    /// Name of the model file to be written.
    pub output_model_file: Option<String>,
    /// Name of the file of coordinates to be written.
    pub output_motion_file: Option<String>,
    /// Name of the marker set file to be written.
    pub output_marker_file: Option<String>,
}
