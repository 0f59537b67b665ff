//! The default pose laid onto measured points by its root: where every fit of a pose begins.

use crate::kinematics::{FrameDerivatives, Mechanism};
use crate::skeleton::{MarkerId, Offsets, Operation, Scales};
use crate::trajectory::{Layout, Pose};
use nalgebra::{DMatrix, DVector, Matrix3, Rotation3, Vector3};

/// A skeleton ready to be laid onto points, frame after frame.
pub(super) struct Superposition<'a> {
    mechanism: &'a Mechanism,
    layout: &'a Layout,
    scales: Scales,
    offsets: Offsets,
    /// The body that carries the root's rotation.
    root: Option<usize>,
    /// How many degrees of freedom lie between the root and each body.
    beyond: Vec<usize>,
    work: FrameDerivatives,
}

impl<'a> Superposition<'a> {
    /// For bodies of these factors, markers where the model has them.
    pub fn new(mechanism: &'a Mechanism, layout: &'a Layout, scales: Scales) -> Self {
        let skeleton = mechanism.skeleton();
        let root = skeleton.bodies.iter().position(|b| {
            skeleton.operations[b.operations.clone()].iter().any(|o| matches!(o, Operation::Ball(r) if r.index() == 0))
        });
        let mut beyond = vec![0usize; skeleton.bodies.len()];
        for b in 1..skeleton.bodies.len() {
            let own = if Some(b) == root { 0 } else { mechanism.body_columns(b).len() };
            beyond[b] = beyond[skeleton.bodies[b].parent.index()] + own;
        }
        Self { mechanism, layout, scales, offsets: Offsets::zeros(skeleton), root, beyond, work: mechanism.workspace() }
    }

    /// The default pose with its root where it brings the markers nearest to the points, those nearest to the root counting most. The default pose as it is where
    /// the root has no rotation that is free, or fewer than three points are given.
    pub fn pose(&mut self, points: &[(MarkerId, Vector3<f64>)]) -> Pose {
        let mut out = self.layout.default_pose();
        let Some(root) = self.root else { return out };
        let (mechanism, skeleton) = (self.mechanism, self.mechanism.skeleton());
        let work = &mut self.work;
        mechanism.linearise(&self.scales, &self.offsets, &out.q, &out.rotors, work);
        let pairs: Vec<Pair> = points
            .iter()
            .map(|(m, x)| {
                let b = skeleton.markers[m.index()].body.index();
                (work.frame.markers[m.index()], *x, 1.0 / (1.0 + self.beyond[b] as f64).powi(2))
            })
            .collect();
        let Some((turn, _)) = kabsch(&pairs) else { return out };
        // R_rotor ← (F⁻¹·turn·F)·R_rotor with F the frame before the rotation: its axes are those the rotor's tangent turns about.
        let first = mechanism.rotor_dofs()[0];
        let axes: Vec<Vector3<f64>> = mechanism
            .body_columns(root)
            .filter(|&k| (first..first + 3).contains(&mechanism.columns()[k].dof))
            .map(|k| work.twists[k].fixed_rows::<3>(0).into_owned())
            .collect();
        let before = Rotation3::from_matrix_unchecked(Matrix3::from_columns(&axes));
        out.rotors[0] = before.inverse() * turn * before * out.rotors[0];
        mechanism.linearise(&self.scales, &self.offsets, &out.q, &out.rotors, work);
        // Then slide it there along its own translations.
        let total: f64 = pairs.iter().map(|p| p.2).sum();
        let mut gap = Vector3::zeros();
        for ((m, x), pair) in points.iter().zip(&pairs) {
            gap += (x - work.frame.markers[m.index()]) * (pair.2 / total);
        }
        let slides: Vec<usize> =
            mechanism.body_columns(root).filter(|&k| work.twists[k].fixed_rows::<3>(0).norm() == 0.0).collect();
        if slides.is_empty() {
            return out;
        }
        let a = DMatrix::from_fn(3, slides.len(), |i, j| work.twists[slides[j]][3 + i]);
        if let Ok(x) = a.svd(true, true).solve(&DVector::from_column_slice(gap.as_slice()), 1e-9) {
            for (k, step) in slides.iter().zip(x.iter()) {
                out.q[self.layout.coordinates[mechanism.columns()[*k].dof]] += step;
            }
        }
        out
    }
}

/// A point, where it should lie, and its weight.
type Pair = (Vector3<f64>, Vector3<f64>, f64);

/// The rotation and translation that best lay the first points onto the second (Kabsch 1976), by weight.
fn kabsch(pairs: &[Pair]) -> Option<(Rotation3<f64>, Vector3<f64>)> {
    let total: f64 = pairs.iter().map(|p| p.2).sum();
    if pairs.len() < 3 || total <= 0.0 {
        return None;
    }
    let mean = |f: &dyn Fn(&Pair) -> Vector3<f64>| pairs.iter().fold(Vector3::zeros(), |s, p| s + f(p) * p.2) / total;
    let (a, b) = (mean(&|p| p.0), mean(&|p| p.1));
    let h: Matrix3<f64> = pairs.iter().fold(Matrix3::zeros(), |h, p| h + (p.1 - b) * (p.0 - a).transpose() * p.2);
    let svd = h.svd(true, true);
    let (u, vt) = (svd.u?, svd.v_t?);
    let d = (u * vt).determinant().signum();
    let r = u * Matrix3::from_diagonal(&Vector3::new(1.0, 1.0, d)) * vt;
    let r = Rotation3::from_matrix_unchecked(r);
    Some((r, b - r * a))
}
