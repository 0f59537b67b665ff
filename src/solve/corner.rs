//! Sums over frames of what touches only shared parameters, kept in the coordinates in which they are cheap to sum.
//!
//! A marker moves with scale `g` by `m_g + R·d_g`: its body's origin moves by `m_g`, which changes from frame to frame, and it moves within the body by
//! `d_g`, which does not. So does its offset, along the columns of `R`: whatever is summed for offsets gives the part of scales within the body too, once all frames are done.

use super::frame::Shared;
use super::scale_sums::tiles;
use super::spatial::SpatialInformation;
use crate::math::lanes::{Row, TILE};
use nalgebra::{Matrix3, Matrix6x3, Vector3, Vector6};

/// See the [module](self). `W`, `g`: information and gradient of a marker; `A = ∂p/∂twist`.
#[derive(Debug, Clone)]
pub(super) struct Corner {
    pub cost: f64,
    /// Scale parameters that are free.
    pub groups: usize,
    /// `M`, of which `M + Mᵀ` is `Σ m_gᵀ·W·m_h`: `[g][h]`, in rows.
    pub scale_scale: Vec<Row<f64>>,
    /// `Σ m_gᵀ·g`.
    pub scale_gradient: Vec<f64>,
    /// `Σ diag(location)·RᵀW·m_g` over the markers of a body, `[body][group]`, in rows.
    pub stretch_scale: Vec<[Row<f64>; 3]>,
    /// `Σ RᵀW·R`, by slot.
    pub offset_offset: Vec<Matrix3<f64>>,
    /// `Σ Rᵀ·g`, by slot.
    pub offset_gradient: Vec<Vector3<f64>>,
    /// `Σ RᵀW·m_g` of markers whose offset is free, `[marker][group]`, in rows.
    pub offset_scale: Vec<[Row<f64>; 3]>,
    /// `Σ AᵀW·A`, by camera.
    pub camera_camera: Vec<SpatialInformation>,
    /// `Σ Aᵀ·g`, by camera.
    pub camera_gradient: Vec<Vector6<f64>>,
    /// `Σ AᵀW·m_g`, `[camera][group]`.
    pub camera_scale: Vec<Vector6<f64>>,
    /// `Σ AᵀW·R`, `[camera][slot]`.
    pub camera_offset: Vec<Matrix6x3<f64>>,
}

impl Corner {
    pub fn zeros(shared: &Shared) -> Self {
        let (cameras, slots) = (shared.problem.rig.len(), shared.problem.markers.len());
        let (groups, free) = (shared.scales_free(), shared.free_offsets.iter().flatten().count());
        let (tiles, bodies) = (tiles(groups), shared.problem.mechanism.skeleton().bodies.len());
        let row = Row::filled(0.0);
        Self {
            cost: 0.0,
            groups,
            scale_scale: vec![row; groups * tiles],
            scale_gradient: vec![0.0; groups],
            stretch_scale: vec![[row; 3]; bodies * tiles],
            offset_offset: vec![Matrix3::zeros(); slots],
            offset_gradient: vec![Vector3::zeros(); slots],
            offset_scale: vec![[row; 3]; free * tiles],
            camera_camera: vec![SpatialInformation::zeros(); cameras],
            camera_gradient: vec![Vector6::zeros(); cameras],
            camera_scale: vec![Vector6::zeros(); cameras * groups],
            camera_offset: vec![Matrix6x3::zeros(); cameras * slots],
        }
    }

    pub fn clear(&mut self) {
        let row = Row::filled(0.0);
        self.cost = 0.0;
        self.scale_scale.fill(row);
        self.scale_gradient.fill(0.0);
        self.stretch_scale.fill([row; 3]);
        self.offset_offset.fill(Matrix3::zeros());
        self.offset_gradient.fill(Vector3::zeros());
        self.offset_scale.fill([row; 3]);
        self.camera_camera.fill(SpatialInformation::zeros());
        self.camera_gradient.fill(Vector6::zeros());
        self.camera_scale.fill(Vector6::zeros());
        self.camera_offset.fill(Matrix6x3::zeros());
    }

    pub fn add(&mut self, other: &Corner) {
        fn all<T: Copy + std::ops::AddAssign>(to: &mut [T], from: &[T]) {
            for (a, b) in to.iter_mut().zip(from) {
                *a += *b;
            }
        }
        fn rows<'a>(to: impl IntoIterator<Item = &'a mut Row<f64>>, from: impl IntoIterator<Item = &'a Row<f64>>) {
            for (a, b) in to.into_iter().zip(from) {
                all(&mut a.0, &b.0);
            }
        }
        debug_assert_eq!((self.groups, self.offset_scale.len()), (other.groups, other.offset_scale.len()));
        self.cost += other.cost;
        rows(&mut self.scale_scale, &other.scale_scale);
        all(&mut self.scale_gradient, &other.scale_gradient);
        rows(self.stretch_scale.as_flattened_mut(), other.stretch_scale.as_flattened());
        all(&mut self.offset_offset, &other.offset_offset);
        all(&mut self.offset_gradient, &other.offset_gradient);
        rows(self.offset_scale.as_flattened_mut(), other.offset_scale.as_flattened());
        all(&mut self.camera_camera, &other.camera_camera);
        all(&mut self.camera_gradient, &other.camera_gradient);
        all(&mut self.camera_scale, &other.camera_scale);
        all(&mut self.camera_offset, &other.camera_offset);
    }

    /// The corner of the normal equations in the border's columns.
    pub fn assemble(&self, shared: &Shared) -> DenseCorner {
        let (border, mechanism) = (&shared.border, &shared.problem.mechanism);
        let groups = self.groups;
        let mut out = DenseCorner::zeros(border.columns, self.cost);
        let tiles = tiles(groups);
        let skeleton = mechanism.skeleton();
        // A number, or three, of group `g` among rows.
        let of_group = |rows: &[[Row<f64>; 3]], g: usize| Vector3::from_fn(|i, _| rows[g / TILE][i].0[g % TILE]);
        // Within the body: d_g of a marker, for the groups that scale its body.
        let within = |slot: usize| {
            let mut list = Vec::new();
            mechanism.marker_within_body_by_scale(shared.problem.markers[slot], |g, d| list.push((g, d)));
            list
        };
        if let Some(s) = border.scales {
            for g in 0..groups {
                out.gradient[s + g] += self.scale_gradient[g];
                for h in 0..=g {
                    let at = |g: usize, h: usize| self.scale_scale[g * tiles + h / TILE].0[h % TILE];
                    out.lower(s + g, s + h, at(g, h) + at(h, g));
                }
            }
            for b in 0..skeleton.bodies.len() {
                let by_origin = &self.stretch_scale[b * tiles..(b + 1) * tiles];
                for scaled in mechanism.groups_within(b) {
                    for h in 0..groups {
                        let value = scaled.mask.dot(&of_group(by_origin, h));
                        out.lower(s + scaled.group, s + h, if h == scaled.group { 2.0 * value } else { value });
                    }
                }
            }
            for (slot, own) in self.offset_offset.iter().enumerate() {
                let within = within(slot);
                for (g, d) in &within {
                    out.gradient[s + g] += d.dot(&self.offset_gradient[slot]);
                    let pushed = own * d;
                    for (h, e) in within.iter().filter(|(h, _)| h <= g) {
                        out.lower(s + g, s + h, pushed.dot(e));
                    }
                    if let Some(o) = border.offsets[slot] {
                        for j in 0..3 {
                            out.lower(o + j, s + g, pushed[j]);
                        }
                    }
                }
                if let (Some(o), Some(free)) = (border.offsets[slot], shared.free_offsets[slot]) {
                    let by_origin = &self.offset_scale[free * tiles..(free + 1) * tiles];
                    for g in 0..groups {
                        let column = of_group(by_origin, g);
                        for j in 0..3 {
                            out.lower(o + j, s + g, column[j]);
                        }
                    }
                }
            }
        }
        for (slot, o) in border.offsets.iter().enumerate() {
            let Some(o) = *o else { continue };
            for i in 0..3 {
                out.gradient[o + i] += self.offset_gradient[slot][i];
                for j in 0..=i {
                    out.lower(o + i, o + j, self.offset_offset[slot][(i, j)]);
                }
            }
        }
        // Moving a camera by a twist is moving all it sees by the opposite.
        for (camera, first) in border.cameras.iter().enumerate() {
            let Some(first) = *first else { continue };
            for i in 0..6 {
                out.gradient[first + i] -= self.camera_gradient[camera][i];
                for j in 0..=i {
                    out.lower(first + i, first + j, self.camera_camera[camera].at(i, j));
                }
            }
            let slots = self.offset_offset.len();
            for slot in 0..slots {
                let block = &self.camera_offset[camera * slots + slot];
                if let Some(o) = border.offsets[slot] {
                    for j in 0..3 {
                        for i in 0..6 {
                            out.lower(first + i, o + j, -block[(i, j)]);
                        }
                    }
                }
                if let Some(s) = border.scales {
                    for (g, d) in within(slot) {
                        let column = block * d;
                        for i in 0..6 {
                            out.lower(first + i, s + g, -column[i]);
                        }
                    }
                }
            }
            if let Some(s) = border.scales {
                for g in 0..groups {
                    for i in 0..6 {
                        out.lower(first + i, s + g, -self.camera_scale[camera * groups + g][i]);
                    }
                }
            }
        }
        out
    }
}

/// The corner in the border's columns.
#[derive(Debug, Clone)]
pub(super) struct DenseCorner {
    /// Column-major; the lower triangle until [`Self::mirror`].
    pub matrix: Vec<f64>,
    pub gradient: Vec<f64>,
    pub cost: f64,
}

impl DenseCorner {
    pub fn zeros(columns: usize, cost: f64) -> Self {
        Self { matrix: vec![0.0; columns * columns], gradient: vec![0.0; columns], cost }
    }

    /// The same without a matrix.
    pub fn gradient(columns: usize) -> Self {
        Self { matrix: Vec::new(), gradient: vec![0.0; columns], cost: 0.0 }
    }

    /// Adds another, its matrix multiplied.
    pub fn add(&mut self, other: &Self, weight: f64) {
        self.cost += other.cost;
        for (a, b) in self.gradient.iter_mut().zip(&other.gradient) {
            *a += b;
        }
        for (a, b) in self.matrix.iter_mut().zip(&other.matrix) {
            *a += weight * b;
        }
    }

    /// Adds to the lower triangle (`row ≥ column`, whichever way they are given), if there is a matrix.
    pub fn lower(&mut self, i: usize, j: usize, value: f64) {
        let (row, column) = if i >= j { (i, j) } else { (j, i) };
        let n = self.gradient.len();
        debug_assert!(row < n);
        if !self.matrix.is_empty() {
            self.matrix[column * n + row] += value;
        }
    }

    /// Fills the upper triangle.
    pub fn mirror(&mut self) {
        let n = self.gradient.len();
        for c in 0..n {
            for r in c..n {
                self.matrix[r * n + c] = self.matrix[c * n + r];
            }
        }
    }
}
