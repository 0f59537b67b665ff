//! What a frame's markers have to do with scale parameters, several of them side by side.
//!
//! A marker moves with scale `g` by `m_g + R·d_g`: its body's origin by `m_g`, and within the body by `d_g`. Origins move by what they and all proximal bodies move away from their parents,
//! the shifts `t` ([`Mechanism::shifts`](crate::kinematics::Mechanism::shifts)), which are columns of the Jacobian like those of joints: translations, of the body and of all that is distal
//! to it. With `I_b` the information (`W_b`: its block of displacements) and `F_b` the force of body `b` and all that is distal to it, and `τ` a column at `b`,
//!
//! ```text
//! gradient(g)  = Σ_b t_b,g·F_b
//! scale(g, h)  = M + Mᵀ,  M = Σ_b t_b,gᵀ·W_b·½·(m_b,h + m_parent(b),h)
//! τ × scale(g) = τᵀ·S_b,g + (I_b·τ)·m_b,g                                    S: force of what moves relative to b's origin
//!        S_b,g = Σ_c S_c,g + I_c·t_c,g  over children c,  and Σ AᵀW·R·d_g    A = ∂p/∂twist, W: of each of the body's own markers
//! camera × scale(g) = Σ_b I_b·t_b,g                                           I: of what that camera sees
//! ```
//!
//! to which the [corner](super::corner) adds what is made of `d_g`, the same in all frames, from sums of `diag(location)·RᵀW·m_g` over the markers of each body. (Columns and subtrees as in the composite rigid body algorithm: Featherstone 2008, *Rigid body
//! dynamics algorithms*, §6.2.)

use super::corner::Corner;
use super::frame::Shared;
use super::spatial::SpatialInformation;
use crate::kinematics::FrameDerivatives;
use crate::math::lanes::{Row, TILE, Wide, registers};
use nalgebra::{Matrix3, Matrix6x3, Vector3, Vector6};
use pulp::{Simd, WithSimd};

/// Buffers of one worker.
pub(super) struct ScaleSums {
    /// Rows for all groups that are free.
    tiles: usize,
    /// `m`: `[body][tile]`.
    moved: Vec<[Row<f64>; 3]>,
    /// `S`: `[body][tile]`.
    pulled: Vec<[Row<f64>; 6]>,
    /// `Σ AᵀW·R·diag(location)` of each body's own markers: the force of stretching it along each of its axes.
    stretched: Vec<Matrix6x3<f64>>,
    /// `W·R` of markers whose offset is free, with their body and their place among those.
    by_axes: Vec<(usize, usize, Matrix3<f64>)>,
    /// `½·(m_b + m_parent(b))` of one body.
    between: Vec<[Row<f64>; 3]>,
    /// One row of the border.
    row: Vec<Row<f64>>,
}

/// Sums over the bodies distal to each, itself included.
pub(super) struct Subtrees<'a> {
    pub information: &'a [SpatialInformation],
    pub force: &'a [Vector6<f64>],
    /// `[camera][body]`.
    pub in_camera: &'a [SpatialInformation],
}

/// Rows that `groups` numbers take.
pub(super) fn tiles(groups: usize) -> usize {
    groups.div_ceil(TILE)
}

impl ScaleSums {
    pub fn new(shared: &Shared) -> Self {
        let (bodies, tiles) = (shared.problem.mechanism.skeleton().bodies.len(), tiles(shared.scales_free()));
        let row = Row::filled(0.0);
        Self {
            tiles,
            moved: vec![[row; 3]; bodies * tiles],
            pulled: vec![[row; 6]; bodies * tiles],
            stretched: vec![Matrix6x3::zeros(); bodies],
            by_axes: Vec::new(),
            between: vec![[row; 3]; tiles],
            row: vec![row; tiles],
        }
    }

    /// Forgets the frame before.
    pub fn clear(&mut self) {
        self.stretched.fill(Matrix6x3::zeros());
        self.by_axes.clear();
    }

    /// Whether any scale is free.
    pub fn wanted(&self) -> bool {
        self.tiles > 0
    }

    /// Adds a marker at `location` of a body: `axes = AᵀW·R`, `by_axes = W·R`, and its place among those whose offset is free.
    #[inline]
    pub fn marker(
        &mut self,
        body: usize,
        location: &Vector3<f64>,
        axes: &Matrix6x3<f64>,
        (by_axes, free): (&Matrix3<f64>, Option<usize>),
    ) {
        for a in 0..3 {
            let mut column = self.stretched[body].column_mut(a);
            column += axes.column(a) * location[a];
        }
        if let Some(free) = free {
            self.by_axes.push((body, free, *by_axes));
        }
    }

    /// Adds all that touches scales to the corner, and to `cross` (degrees of freedom × border, row-major).
    pub fn gather(
        &mut self,
        shared: &Shared,
        kinematics: &FrameDerivatives,
        subtrees: &Subtrees,
        cross: &mut [f64],
        corner: &mut Corner,
    ) {
        if let Some(first) = shared.border.scales.filter(|_| self.tiles > 0) {
            pulp::Arch::new().dispatch(Gathering { sums: self, shared, first, kinematics, subtrees, cross, corner });
        }
    }
}

struct Gathering<'a, 'b> {
    sums: &'a mut ScaleSums,
    shared: &'a Shared<'b>,
    /// Of the scales' columns of the border.
    first: usize,
    kinematics: &'a FrameDerivatives,
    subtrees: &'a Subtrees<'a>,
    cross: &'a mut [f64],
    corner: &'a mut Corner,
}

/// `Σ_j by[j]·rows[j]` in register `l`.
#[inline(always)]
fn combined<S: Simd, const N: usize>(simd: S, by: &[f64; N], rows: &[Row<f64>; N], l: usize) -> Wide<S> {
    let mut sum = Wide::splat(simd, by[0]) * Wide::of(simd, &rows[0], l);
    for j in 1..N {
        sum = Wide::splat(simd, by[j]).mul_add(Wide::of(simd, &rows[j], l), sum);
    }
    sum
}

/// `to[a] += Σ_j m[(j, a)]·rows[j]`.
#[inline(always)]
fn add_transposed<S: Simd>(simd: S, to: &mut [[Row<f64>; 3]], m: &[[f64; 3]; 3], rows: &[[Row<f64>; 3]]) {
    for (to, rows) in to.iter_mut().zip(rows) {
        for l in 0..registers::<S>() {
            for a in 0..3 {
                combined(simd, &m[a], rows, l).add_to(&mut to[a], l);
            }
        }
    }
}

impl WithSimd for Gathering<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { sums, shared, first, kinematics, subtrees, cross, corner } = self;
        let mechanism = &*shared.problem.mechanism;
        let bodies = &mechanism.skeleton().bodies;
        let (tiles, groups, columns) = (sums.tiles, corner.groups, shared.border.columns);
        let (shifts, ts) = (mechanism.shifts(), &kinematics.shifts);
        for b in 1..bodies.len() {
            let parent = bodies[b].parent.index();
            sums.moved.copy_within(parent * tiles..(parent + 1) * tiles, b * tiles);
            for i in mechanism.body_shifts(b) {
                let g = shifts[i].group;
                let to = &mut sums.moved[b * tiles + g / TILE];
                for k in 0..3 {
                    to[k].0[g % TILE] += ts[i][k];
                }
            }
        }
        for b in (1..bodies.len()).rev() {
            let (before, behind) = sums.pulled.split_at_mut((b + 1) * tiles);
            let pulled = &mut before[b * tiles..];
            // The first child's, or nothing; then the others'.
            match mechanism.children(b).split_first() {
                None => pulled.fill([Row::filled(0.0); 6]),
                Some((&child, others)) => {
                    let of = |child: usize| &behind[(child - b - 1) * tiles..(child - b) * tiles];
                    pulled.copy_from_slice(of(child));
                    for &child in others {
                        for (to, from) in pulled.iter_mut().zip(of(child)) {
                            for l in 0..registers::<S>() {
                                for i in 0..6 {
                                    Wide::of(simd, &from[i], l).add_to(&mut to[i], l);
                                }
                            }
                        }
                    }
                }
            }
            let mut add = |g: usize, force: &Vector6<f64>| {
                let to = &mut pulled[g / TILE];
                for i in 0..6 {
                    to[i].0[g % TILE] += force[i];
                }
            };
            for &child in mechanism.children(b) {
                for i in mechanism.body_shifts(child) {
                    add(shifts[i].group, &subtrees.information[child].of_displacement(&ts[i]));
                }
            }
            for scaled in mechanism.groups_within(b) {
                add(scaled.group, &(sums.stretched[b] * scaled.mask));
            }

            let here = &sums.moved[b * tiles..(b + 1) * tiles];
            for k in mechanism.body_columns(b) {
                let tau = kinematics.twists[k];
                let force = subtrees.information[b].moved_by(&tau);
                let (tau, force) = (tau.into(), force.into());
                for t in 0..tiles {
                    for l in 0..registers::<S>() {
                        let sum =
                            combined::<S, 6>(simd, &tau, &pulled[t], l) + combined::<S, 3>(simd, &force, &here[t], l);
                        sum.to(&mut sums.row[t], l);
                    }
                }
                let at = mechanism.columns()[k].dof * columns + first;
                for (to, from) in cross[at..at + groups].chunks_mut(TILE).zip(&sums.row) {
                    for (to, from) in to.iter_mut().zip(&from.0) {
                        *to += from;
                    }
                }
            }

            let own = mechanism.body_shifts(b);
            let proximal = &sums.moved[bodies[b].parent.index() * tiles..];
            if !own.is_empty() {
                for (to, (m, n)) in sums.between.iter_mut().zip(here.iter().zip(proximal)) {
                    for l in 0..registers::<S>() {
                        for k in 0..3 {
                            let sum = Wide::of(simd, &m[k], l) + Wide::of(simd, &n[k], l);
                            (Wide::splat(simd, 0.5) * sum).to(&mut to[k], l);
                        }
                    }
                }
            }
            let force = subtrees.force[b].fixed_rows::<3>(3).into_owned();
            for i in own {
                let g = shifts[i].group;
                let by = (subtrees.information[b].moving * ts[i]).into();
                let to = &mut corner.scale_scale[g * tiles..(g + 1) * tiles];
                for (to, between) in to.iter_mut().zip(&sums.between) {
                    for l in 0..registers::<S>() {
                        combined::<S, 3>(simd, &by, between, l).add_to(to, l);
                    }
                }
                corner.scale_gradient[g] += ts[i].dot(&force);
                for (camera, column) in shared.border.cameras.iter().enumerate() {
                    if column.is_some() {
                        let its = &subtrees.in_camera[camera * bodies.len() + b];
                        corner.camera_scale[camera * groups + g] += its.of_displacement(&ts[i]);
                    }
                }
            }

            let linear = sums.stretched[b].fixed_rows::<3>(3).into_owned();
            // A body without markers has nothing to stretch.
            if linear != Matrix3::zeros() {
                add_transposed(simd, &mut corner.stretch_scale[b * tiles..(b + 1) * tiles], &linear.into(), here);
            }
        }
        for (b, free, by_axes) in &sums.by_axes {
            let here = &sums.moved[b * tiles..(b + 1) * tiles];
            let to = &mut corner.offset_scale[free * tiles..(free + 1) * tiles];
            add_transposed(simd, to, &(*by_axes).into(), here);
        }
    }
}
