//! Sums over frames of what touches only shared parameters, kept in the coordinates in which they are cheap to sum.
//!
//! A marker moves with scale `g` by `t_g + R·d_g`: its body's origin moves by `t_g`, which changes from frame to frame, and it moves within the body by
//! `d_g`, which does not. So does its offset, along the columns of `R`: whatever is summed for offsets gives the part of scales within the body too, once all frames are done.

use super::frame::Shared;
use super::spatial::SpatialInformation;
use nalgebra::{Matrix3, Matrix6x3, Vector3, Vector6};

/// See the [module](self). `W`, `g`: information and gradient of a marker; `A = ∂p/∂twist`.
#[derive(Debug, Clone)]
pub(super) struct Corner {
    pub cost: f64,
    groups: usize,
    slots: usize,
    /// `Σ t_gᵀ·W·t_h`, `[g][h]`, `h ≤ g`.
    pub scale_scale: Vec<f64>,
    /// `Σ t_gᵀ·g`.
    pub scale_gradient: Vec<f64>,
    /// `Σ RᵀW·R`, by slot.
    pub offset_offset: Vec<Matrix3<f64>>,
    /// `Σ Rᵀ·g`, by slot.
    pub offset_gradient: Vec<Vector3<f64>>,
    /// `Σ RᵀW·t_g`, `[slot][group]`.
    pub offset_scale: Vec<Vector3<f64>>,
    /// `Σ AᵀW·A`, by camera.
    pub camera_camera: Vec<SpatialInformation>,
    /// `Σ Aᵀ·g`, by camera.
    pub camera_gradient: Vec<Vector6<f64>>,
    /// `Σ AᵀW·t_g`, `[camera][group]`.
    pub camera_scale: Vec<Vector6<f64>>,
    /// `Σ AᵀW·R`, `[camera][slot]`.
    pub camera_offset: Vec<Matrix6x3<f64>>,
}

impl Corner {
    pub fn zeros(cameras: usize, slots: usize, groups: usize) -> Self {
        Self {
            cost: 0.0,
            groups,
            slots,
            scale_scale: vec![0.0; groups * groups],
            scale_gradient: vec![0.0; groups],
            offset_offset: vec![Matrix3::zeros(); slots],
            offset_gradient: vec![Vector3::zeros(); slots],
            offset_scale: vec![Vector3::zeros(); slots * groups],
            camera_camera: vec![SpatialInformation::zeros(); cameras],
            camera_gradient: vec![Vector6::zeros(); cameras],
            camera_scale: vec![Vector6::zeros(); cameras * groups],
            camera_offset: vec![Matrix6x3::zeros(); cameras * slots],
        }
    }

    pub fn clear(&mut self) {
        self.cost = 0.0;
        self.scale_scale.fill(0.0);
        self.scale_gradient.fill(0.0);
        self.offset_offset.fill(Matrix3::zeros());
        self.offset_gradient.fill(Vector3::zeros());
        self.offset_scale.fill(Vector3::zeros());
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
        self.cost += other.cost;
        all(&mut self.scale_scale, &other.scale_scale);
        all(&mut self.scale_gradient, &other.scale_gradient);
        all(&mut self.offset_offset, &other.offset_offset);
        all(&mut self.offset_gradient, &other.offset_gradient);
        all(&mut self.offset_scale, &other.offset_scale);
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
        // Within the body: d_g of every slot, 0 where a group does not scale it.
        let mut within = vec![Vector3::zeros(); self.slots * groups];
        for (slot, marker) in shared.problem.markers.iter().enumerate() {
            mechanism.marker_within_body_by_scale(*marker, |g, d| within[slot * groups + g] = d);
        }
        let scaled = |slot: usize| &within[slot * groups..(slot + 1) * groups];
        if let Some(s) = border.scales {
            for g in 0..groups {
                out.gradient[s + g] += self.scale_gradient[g];
                for h in 0..=g {
                    out.lower(s + g, s + h, self.scale_scale[g * groups + h]);
                }
            }
            for slot in 0..self.slots {
                let (d, own) = (scaled(slot), &self.offset_offset[slot]);
                let by_origin = &self.offset_scale[slot * groups..(slot + 1) * groups];
                for g in 0..groups {
                    out.gradient[s + g] += d[g].dot(&self.offset_gradient[slot]);
                    for h in 0..=g {
                        let value = d[g].dot(&by_origin[h]) + d[h].dot(&by_origin[g]) + d[g].dot(&(own * d[h]));
                        out.lower(s + g, s + h, value);
                    }
                    if let Some(o) = border.offsets[slot] {
                        let column = by_origin[g] + own * d[g];
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
            for slot in 0..self.slots {
                let block = &self.camera_offset[camera * self.slots + slot];
                if let Some(o) = border.offsets[slot] {
                    for j in 0..3 {
                        for i in 0..6 {
                            out.lower(first + i, o + j, -block[(i, j)]);
                        }
                    }
                }
                if let Some(s) = border.scales {
                    for (g, d) in scaled(slot).iter().enumerate().filter(|(_, d)| **d != Vector3::zeros()) {
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

    /// Adds to the lower triangle (`row ≥ column`, whichever way they are given).
    pub fn lower(&mut self, i: usize, j: usize, value: f64) {
        let (row, column) = if i >= j { (i, j) } else { (j, i) };
        let n = self.gradient.len();
        self.matrix[column * n + row] += value;
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
