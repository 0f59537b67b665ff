//! Inverse kinematics of single frames: the pose that brings a skeleton's markers to measured points.
//!
//! OpenSim's objective (Delp et al. 2007; `InverseKinematicsSolver`), in square metres:
//!
//! ```text
//! Σ_m w_m·‖p_m(q) − x_m‖² / Σ_m w_m  +  Σ_c w_c·(q_c − t_c)²        over the markers seen
//! ```
//!
//! within the ranges of clamped coordinates. Levenberg–Marquardt with an active set: a coordinate at its bound that the gradient pushes outwards is held
//! in that step, steps are projected onto the bounds. The information about a body's twist is summed over its markers, then over subtrees, as in the fits of whole
//! trials; no Jacobian is formed. A free body's rotation is a rotation here, without singular poses and without bounds of its own angles.

use super::spatial::SpatialInertia;
use crate::kinematics::{FrameDerivatives, Mechanism};
use crate::math::{dense, se3::wrench};
use crate::skeleton::{Coordinate, CoordinateId, MarkerId, Offsets, Rotor, Scales, Skeleton};
use crate::trajectory::{Layout, Pose};
use faer::{MatMut, MatRef};
use nalgebra::{Matrix3, Rotation3, UnitQuaternion, Vector3, Vector6};

/// A coordinate that is drawn to a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CoordinateGoal {
    /// Which; dependent coordinates too.
    pub coordinate: CoordinateId,
    /// Weight, at least 0.
    pub weight: f64,
    /// Value, radians or metres.
    pub target: f64,
}

/// What stays from frame to frame.
#[derive(Debug, Clone)]
pub struct InverseKinematics<'a> {
    mechanism: &'a Mechanism,
    layout: Layout,
    scales: Scales,
    offsets: Offsets,
    markers: Vec<(MarkerId, f64)>,
    /// Of each degree of freedom that is a number.
    bounds: Vec<Option<[f64; 2]>>,
}

/// Buffers for one frame after another.
pub struct IkWorkspace {
    kinematics: FrameDerivatives,
    body_inertia: Vec<SpatialInertia>,
    body_gradient: Vec<Vector6<f64>>,
    hessian: Vec<f64>,
    /// Those of the pose itself, while a candidate's are made.
    hessian_here: Vec<f64>,
    gradient_here: Vec<f64>,
    factor: Vec<f64>,
    /// The damping in it.
    damping: f64,
    /// The factor's inverse, for variances, and the diagonal of the matrix's own.
    inverse: Vec<f64>,
    inverse_diagonal: Vec<f64>,
    gradient: Vec<f64>,
    step: Vec<f64>,
    /// Steps of the degrees of freedom that a bound decides.
    fixed: Vec<Option<f64>>,
    candidate: Pose,
    cholesky: dense::CholeskyWorkspace,
}

/// How a frame ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IkOutcome {
    /// The objective, m².
    pub cost: f64,
    /// Steps tried.
    pub iterations: usize,
    /// Whether nothing was left to gain.
    pub converged: bool,
}

/// What the markers of a frame tell of its pose, see [`InverseKinematics::variances`].
#[derive(Debug, Clone, PartialEq)]
pub struct IkVariances {
    /// Of the degrees of freedom that are numbers, in the layout's order; infinite where no marker moves with one.
    pub scalars: Vec<f64>,
    /// Covariance of a left perturbation of each rotation.
    pub rotors: Vec<Matrix3<f64>>,
}

/// A degree of freedom that moves the markers by less than this share of what the best does, squared, is observed by none.
const OBSERVED: f64 = 1e-9;

/// Steps after which a frame is given up.
const MAX_ITERATIONS: usize = 200;

/// A step that promises less than this share of the markers' part of the objective ends a frame: seven digits and more are final.
const RELATIVE_DECREASE: f64 = 1e-9;

/// What rounding leaves of the whole objective, as a share of it.
const ROUNDING: f64 = 1e-15;

/// The same where the objective itself vanishes, m²: a nanometre.
const ABSOLUTE_DECREASE: f64 = 1e-18;

/// Damping that no step needs.
const MAX_DAMPING: f64 = 1e12;

/// Where a coordinate may go: within its own range and to where those that follow it keep to theirs, so far as they are clamped. A follower beyond its range where the coordinate has its
/// default bounds nothing: no pose would do.
fn bounds(skeleton: &Skeleton, coordinate: usize) -> Option<[f64; 2]> {
    let range = |c: &Coordinate| c.range.or(c.placeholder).filter(|[low, high]| c.clamped && low <= high);
    let own = &skeleton.coordinates[coordinate];
    let followers = skeleton.coordinates.iter().filter_map(|c| {
        let coupling = c.coupling.as_ref().filter(|k| k.independent.index() == coordinate)?;
        Some((&coupling.function, range(c)?))
    });
    followers.fold(range(own), |so_far, (function, range)| {
        let whole = so_far.unwrap_or([f64::NEG_INFINITY, f64::INFINITY]);
        let from = own.default.clamp(whole[0], whole[1]);
        function.stays_within(range, from, whole).or(so_far)
    })
}

impl<'a> InverseKinematics<'a> {
    /// For markers with their weights; those that weigh nothing are left out.
    pub fn new(mechanism: &'a Mechanism, scales: Scales, offsets: Offsets, markers: &[(MarkerId, f64)]) -> Self {
        let skeleton = mechanism.skeleton();
        let layout = Layout::new(mechanism);
        let bounds = layout.coordinates[..layout.scalars()].iter().map(|&c| bounds(skeleton, c)).collect();
        // Only their ratios count, and the largest as 1 cannot overflow a sum.
        let largest = markers.iter().map(|m| m.1).fold(0.0, f64::max);
        let markers = markers.iter().filter(|m| m.1 > 0.0).map(|m| (m.0, m.1 / largest)).collect();
        Self { mechanism, layout, scales, offsets, markers, bounds }
    }

    /// Markers that are followed, in the order in which [`Self::solve`] wants their positions.
    pub fn markers(&self) -> impl Iterator<Item = MarkerId> {
        self.markers.iter().map(|m| m.0)
    }

    /// What moves.
    pub fn mechanism(&self) -> &Mechanism {
        self.mechanism
    }

    /// The layout of poses.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Room for one frame.
    pub fn workspace(&self) -> IkWorkspace {
        let (n, bodies) = (self.layout.dofs(), self.mechanism.skeleton().bodies.len());
        IkWorkspace {
            kinematics: self.mechanism.workspace(),
            body_inertia: vec![SpatialInertia::zeros(); bodies],
            body_gradient: vec![Vector6::zeros(); bodies],
            hessian: vec![0.0; n * n],
            hessian_here: vec![0.0; n * n],
            gradient_here: vec![0.0; n],
            factor: vec![0.0; n * n],
            damping: f64::INFINITY,
            inverse: vec![0.0; n * n.next_multiple_of(BLOCK)],
            inverse_diagonal: vec![0.0; n.next_multiple_of(BLOCK)],
            gradient: vec![0.0; n],
            step: vec![0.0; n],
            fixed: vec![None; n],
            candidate: self.layout.default_pose(),
            cholesky: dense::CholeskyWorkspace::new(n),
        }
    }

    /// Moves a pose to where the objective is least, downhill from where it is. `points` are the markers' positions in ground, metres, in the order of
    /// [`Self::markers`], `None` where one was not seen.
    pub fn solve(
        &self,
        points: &[Option<Vector3<f64>>],
        goals: &[CoordinateGoal],
        pose: &mut Pose,
        work: &mut IkWorkspace,
    ) -> IkOutcome {
        for (j, bounds) in self.bounds.iter().enumerate() {
            if let Some([low, high]) = *bounds {
                let q = &mut pose.q[self.layout.coordinates[j]];
                *q = q.clamp(low, high);
            }
        }
        let (mut cost, mut of_markers) = self.linearise(points, goals, pose, work);
        // Never less than what variances are bounded by: the last step's factor is theirs, too.
        let (mut damping, mut growth) = (OBSERVED, 4.0);
        let mut tried = false;
        work.damping = f64::INFINITY;
        if !cost.is_finite() {
            return IkOutcome { cost, iterations: 0, converged: false };
        }
        for iterations in 1..=MAX_ITERATIONS {
            // Of the markers' part: a goal out of reach must not end their descent early.
            let worth = RELATIVE_DECREASE * of_markers + ROUNDING * cost + ABSOLUTE_DECREASE;
            let mut predicted = self.step(pose, damping, false, work).unwrap_or(f64::NAN);
            if predicted < worth && self.to_be_freed(pose, damping, work).is_some() {
                // A step that bounds cut short may promise nothing where another would.
                predicted = self.step(pose, damping, true, work).unwrap_or(f64::NAN);
            }
            if predicted < worth {
                return IkOutcome { cost, iterations, converged: damping < 1.0 };
            }
            let mut accepted = false;
            if predicted.is_finite() {
                std::mem::swap(&mut work.hessian, &mut work.hessian_here);
                std::mem::swap(&mut work.gradient, &mut work.gradient_here);
                let candidate = std::mem::take(&mut work.candidate);
                let (new, new_of_markers) = self.linearise(points, goals, &candidate, work);
                work.candidate = candidate;
                tried = true;
                let ratio = (cost - new) / predicted;
                accepted = new.is_finite() && ratio > 1e-4;
                if accepted {
                    pose.clone_from(&work.candidate);
                    (cost, of_markers) = (new, new_of_markers);
                    damping = (damping * (1.0 - (2.0 * ratio - 1.0).powi(3)).clamp(1.0 / 9.0, 2.0)).max(OBSERVED);
                    growth = 4.0;
                } else {
                    std::mem::swap(&mut work.hessian, &mut work.hessian_here);
                    std::mem::swap(&mut work.gradient, &mut work.gradient_here);
                }
            }
            if !accepted {
                damping *= growth;
                growth *= 2.0;
                if damping > MAX_DAMPING {
                    // Nothing left but rounding.
                    return IkOutcome { cost, iterations, converged: tried };
                }
            }
        }
        // The factor is that of the step before.
        work.damping = f64::INFINITY;
        IkOutcome { cost, iterations: MAX_ITERATIONS, converged: false }
    }

    /// What the markers seen tell of a pose, per unit of the variance of the heaviest marker along each axis: the inverse of `Σ w·JᵀJ` (weights
    /// relative to the largest), over all degrees of freedom, those at their bounds too. Goals are no measurements and do not count. With `left` the matrix
    /// is what [`Self::solve`], called last with these points, this pose and no goals, has left.
    pub fn variances(
        &self,
        points: &[Option<Vector3<f64>>],
        pose: &Pose,
        left: bool,
        work: &mut IkWorkspace,
    ) -> IkVariances {
        let n = self.layout.dofs();
        if !left {
            self.linearise(points, &[], pose, work);
        }
        let total: f64 = self.markers.iter().zip(points).filter_map(|(m, x)| x.map(|_| m.1)).sum();
        let largest = (0..n).map(|j| work.hessian[j * n + j]).fold(0.0, f64::max);
        let observed = |diagonal: f64| diagonal > OBSERVED * largest;
        let unobserved: Vec<bool> = (0..n).map(|j| !observed(work.hessian[j * n + j])).collect();
        // The last step's factor will do where nothing held it back.
        let factored = left && work.damping <= OBSERVED && work.fixed.iter().all(Option::is_none)
            || self.factor_for_variances(&unobserved, work);
        // A⁻¹ = L⁻ᵀ·L⁻¹, of which only few entries are wanted.
        let (inverse, diagonal) = (&mut work.inverse, &mut work.inverse_diagonal);
        if factored {
            invert_lower(&work.factor, n, inverse, diagonal);
        }
        let width = n.next_multiple_of(BLOCK);
        let entry = |i: usize, j: usize| {
            if !factored || unobserved[i] || unobserved[j] {
                return if i == j { f64::INFINITY } else { 0.0 };
            }
            let entry = match i == j {
                true => diagonal[i],
                false => (i.max(j)..n).map(|k| inverse[k * width + i] * inverse[k * width + j]).sum(),
            };
            entry / total
        };
        IkVariances {
            scalars: (0..self.layout.scalars()).map(|j| entry(j, j)).collect(),
            rotors: self
                .layout
                .rotors
                .iter()
                .map(|&first| Matrix3::from_fn(|i, j| entry(first + i, first + j)))
                .collect(),
        }
    }

    /// Factors the matrix without what no marker tells.
    fn factor_for_variances(&self, unobserved: &[bool], work: &mut IkWorkspace) -> bool {
        let n = self.layout.dofs();
        work.factor.copy_from_slice(&work.hessian);
        for j in 0..n {
            // What other coordinates can undo has a deviation without bound: this bound.
            work.factor[j * n + j] *= 1.0 + OBSERVED;
            if unobserved[j] {
                for i in 0..n {
                    work.factor[i * n + j] = 0.0;
                    work.factor[j * n + i] = 0.0;
                }
                work.factor[j * n + j] = 1.0;
            }
        }
        dense::cholesky(MatMut::from_column_major_slice_mut(&mut work.factor, n, n), &mut work.cholesky).is_ok()
    }

    /// The objective at a pose alone, m².
    pub fn cost(
        &self,
        points: &[Option<Vector3<f64>>],
        goals: &[CoordinateGoal],
        pose: &Pose,
        work: &mut IkWorkspace,
    ) -> f64 {
        self.linearise(points, goals, pose, work).0
    }

    /// Objective, and the markers' part of it; makes gradient and Gauss–Newton matrix, both of half the objective.
    fn linearise(
        &self,
        points: &[Option<Vector3<f64>>],
        goals: &[CoordinateGoal],
        pose: &Pose,
        work: &mut IkWorkspace,
    ) -> (f64, f64) {
        let skeleton = self.mechanism.skeleton();
        let (n, bodies) = (self.layout.dofs(), skeleton.bodies.len());
        // Twists about a point near the body: far from the world's origin they lose digits.
        let origin = points.iter().flatten().next().copied().unwrap_or_default();
        self.mechanism.linearise_about(
            &origin,
            &self.scales,
            &self.offsets,
            &pose.q,
            &pose.rotors,
            &mut work.kinematics,
        );
        work.hessian.fill(0.0);
        work.gradient.fill(0.0);
        work.body_inertia.fill(SpatialInertia::zeros());
        work.body_gradient.fill(Vector6::zeros());
        let seen = || self.markers.iter().zip(points).filter_map(|(m, x)| x.map(|x| (m.0, m.1, x)));
        let total: f64 = seen().map(|m| m.1).sum();
        let mut cost = 0.0;
        for (marker, weight, x) in seen() {
            let b = skeleton.markers[marker.index()].body.index();
            let p = work.kinematics.frame.markers[marker.index()];
            let (e, w, about) = (p - x, weight / total, p - origin);
            cost += w * e.norm_squared();
            work.body_inertia[b] += SpatialInertia::of_point(&about, w);
            work.body_gradient[b] += wrench(&about, &(e * w));
        }
        for b in (1..bodies).rev() {
            let parent = skeleton.bodies[b].parent.index();
            let (inertia, gradient) = (work.body_inertia[b], work.body_gradient[b]);
            work.body_inertia[parent] += inertia;
            work.body_gradient[parent] += gradient;
        }
        // Each pair of columns once, in one triangle or the other, and what a column does to itself by half: then the sum of the matrix and its transpose is what is wanted, also where two
        // columns are of the same degree of freedom.
        let columns = self.mechanism.columns();
        for b in 1..bodies {
            let own = self.mechanism.body_columns(b);
            let path = &self.mechanism.paths()[b];
            let before = path.len() - own.len();
            for (i, k) in own.enumerate() {
                let twist = &work.kinematics.twists[k];
                let dof = columns[k].dof;
                work.gradient[dof] += twist.dot(&work.body_gradient[b]);
                let force = work.body_inertia[b].times(twist);
                let sums = &mut work.hessian[dof * n..(dof + 1) * n];
                for &l in &path[..before + i] {
                    sums[columns[l].dof] += force.dot(&work.kinematics.twists[l]);
                }
                sums[dof] += 0.5 * force.dot(twist);
            }
        }
        for i in 0..n {
            for j in 0..i {
                let both = work.hessian[i * n + j] + work.hessian[j * n + i];
                (work.hessian[i * n + j], work.hessian[j * n + i]) = (both, both);
            }
            work.hessian[i * n + i] *= 2.0;
        }
        (cost + goals.iter().map(|goal| self.goal(goal, pose, work)).sum::<f64>(), cost)
    }

    /// Adds a goal; returns its cost.
    fn goal(&self, goal: &CoordinateGoal, pose: &Pose, work: &mut IkWorkspace) -> f64 {
        let skeleton = self.mechanism.skeleton();
        let n = self.layout.dofs();
        let coordinate = &skeleton.coordinates[goal.coordinate.index()];
        let (driver, function) = match &coordinate.coupling {
            Some(coupling) => (coupling.independent, Some(&coupling.function)),
            None => (goal.coordinate, None),
        };
        let rotor = skeleton.rotors.iter().position(|r| r.coordinates.contains(&driver));
        let (x, row): (f64, Vec<(usize, f64)>) = match rotor {
            Some(r) => {
                let rotor = &skeleton.rotors[r];
                let k = rotor.coordinates.iter().position(|c| *c == driver).unwrap_or(0);
                let near = [0, 1, 2].map(|i| if i == k { goal.target } else { 0.0 });
                let (angles, _) = rotor.angles_from_rotation(&pose.rotors[r], near);
                let first = self.layout.rotors[r];
                // At the singularity itself no turn is told to help.
                let inverse = tangent_of_angles(rotor, angles).try_inverse();
                let row = inverse.map(|e| (0..3).map(|i| (first + i, e[(k, i)])).collect());
                (angles[k], row.unwrap_or_default())
            }
            None => {
                let row = self.mechanism.dof_of(driver).map(|dof| (dof, 1.0));
                (pose.q[driver.index()], row.into_iter().collect())
            }
        };
        let (value, slope, _) = function.map_or((x, 1.0, 0.0), |f| f.value_and_derivatives(x));
        let e = value - goal.target;
        for &(i, a) in &row {
            work.gradient[i] += goal.weight * e * slope * a;
            for &(j, b) in &row {
                work.hessian[j * n + i] += goal.weight * slope * slope * a * b;
            }
        }
        goal.weight * e * e
    }

    /// The damped step within the bounds, as `work.candidate`, and the decrease that the quadratic model promises for it. A coordinate that the step would take beyond a bound goes to
    /// the bound, and the others take the step that is best then; with `best`, coordinates come off their bounds again until no other step within them promises more.
    fn step(&self, pose: &Pose, damping: f64, best: bool, work: &mut IkWorkspace) -> Option<f64> {
        let n = self.layout.dofs();
        work.fixed.fill(None);
        for (j, bounds) in self.bounds.iter().enumerate() {
            let (q, g) = (pose.q[self.layout.coordinates[j]], work.gradient[j]);
            let held = bounds.is_some_and(|[low, high]| (q <= low && g > 0.0) || (q >= high && g < 0.0));
            work.fixed[j] = held.then_some(0.0);
        }
        // Every round fixes one coordinate at least, or lets one go: rounding could make that a circle.
        for _ in 0..=4 * n {
            self.solve_free(damping, work)?;
            let mut inside = true;
            for (j, bounds) in self.bounds.iter().enumerate() {
                let Some([low, high]) = bounds.filter(|_| work.fixed[j].is_none()) else { continue };
                let q = pose.q[self.layout.coordinates[j]];
                let to = q + work.step[j];
                if !(low..=high).contains(&to) {
                    work.fixed[j] = Some(to.clamp(low, high) - q);
                    inside = false;
                }
            }
            let freed = if inside && best { self.to_be_freed(pose, damping, work) } else { None };
            match freed {
                Some(j) => work.fixed[j] = None,
                None if inside => break,
                None => {}
            }
        }
        self.candidate(pose, work);
        let mut predicted = 0.0;
        for (j, column) in work.hessian.chunks(n.max(1)).enumerate() {
            let along = dense::dot(column, &work.step);
            predicted -= work.step[j] * (2.0 * work.gradient[j] + along);
        }
        Some(predicted)
    }

    /// The coordinate at a bound whose way back inside promises the most, of those for which it promises anything.
    fn to_be_freed(&self, pose: &Pose, damping: f64, work: &IkWorkspace) -> Option<usize> {
        let n = self.layout.dofs();
        let mut freed: Option<(f64, usize)> = None;
        for (j, bounds) in self.bounds.iter().enumerate() {
            let (Some([low, high]), Some(d)) = (*bounds, work.fixed[j]) else { continue };
            let to = pose.q[self.layout.coordinates[j]] + d;
            let along: f64 = (0..n).map(|k| work.hessian[k * n + j] * work.step[k]).sum();
            let diagonal = work.hessian[j * n + j];
            let slope = work.gradient[j] + along + damping * diagonal * d;
            let inwards = if to - low < high - to { -slope } else { slope };
            let promise = inwards.max(0.0).powi(2) / (diagonal + f64::MIN_POSITIVE);
            if promise > freed.map_or(0.0, |f| f.0) {
                freed = Some((promise, j));
            }
        }
        freed.map(|f| f.1)
    }

    /// The damped step of the degrees of freedom that are not fixed, given the steps of those that are.
    fn solve_free(&self, damping: f64, work: &mut IkWorkspace) -> Option<()> {
        let n = self.layout.dofs();
        work.damping = damping;
        work.factor.copy_from_slice(&work.hessian);
        let largest = (0..n).map(|j| work.hessian[j * n + j]).fold(0.0, f64::max);
        for j in 0..n {
            work.step[j] = -work.gradient[j];
            // What no marker tells stays where it is.
            work.factor[j * n + j] += damping * work.hessian[j * n + j] + 1e-14 * largest + f64::MIN_POSITIVE;
        }
        for j in 0..n {
            let Some(fixed) = work.fixed[j] else { continue };
            for i in 0..n {
                work.step[i] -= work.hessian[j * n + i] * fixed;
                work.factor[i * n + j] = 0.0;
                work.factor[j * n + i] = 0.0;
            }
            work.factor[j * n + j] = 1.0;
        }
        for (step, fixed) in work.step.iter_mut().zip(&work.fixed) {
            *step = fixed.unwrap_or(*step);
        }
        dense::cholesky(MatMut::from_column_major_slice_mut(&mut work.factor, n, n), &mut work.cholesky).ok()?;
        let l = MatRef::from_column_major_slice(&work.factor, n, n);
        let mut x = MatMut::from_column_major_slice_mut(&mut work.step, n, 1);
        dense::solve_lower(l, x.as_mut());
        dense::solve_upper(l.transpose(), x);
        work.step.iter().all(|d| d.is_finite()).then_some(())
    }

    /// The pose that `work.step` leads to.
    fn candidate(&self, pose: &Pose, work: &mut IkWorkspace) {
        work.candidate.clone_from(pose);
        for (j, bounds) in self.bounds.iter().enumerate() {
            let q = &mut work.candidate.q[self.layout.coordinates[j]];
            let mut to = *q + work.step[j];
            if let Some([low, high]) = *bounds {
                to = to.clamp(low, high);
            }
            work.step[j] = to - *q;
            *q = to;
        }
        for (r, &first) in self.layout.rotors.iter().enumerate() {
            let delta = Vector3::from_column_slice(&work.step[first..first + 3]);
            let turned = Rotation3::new(delta) * work.candidate.rotors[r];
            // By way of a quaternion, which a step of any length leaves a rotation.
            work.candidate.rotors[r] = UnitQuaternion::from_rotation_matrix(&turned).to_rotation_matrix();
        }
    }
}

/// Columns of an inverse that are made side by side.
const BLOCK: usize = 8;

/// `L⁻¹` of the lower triangle of a column-major matrix, by rows of a multiple of [`BLOCK`] numbers, and the sums of its columns' squares. What lies above a block of the diagonal is not
/// written.
fn invert_lower(l: &[f64], n: usize, inverse: &mut [f64], squares: &mut [f64]) {
    let width = n.next_multiple_of(BLOCK);
    for block in (0..n).step_by(BLOCK) {
        let mut sums = [0.0; BLOCK];
        for k in block..n {
            let mut row = [0.0; BLOCK];
            if let Some(one) = row.get_mut(k - block) {
                *one = 1.0;
            }
            for m in block..k {
                let factor = l[m * n + k];
                let above = &inverse[m * width + block..m * width + block + BLOCK];
                for i in 0..BLOCK {
                    row[i] -= factor * above[i];
                }
            }
            let pivot = l[k * n + k];
            for i in 0..BLOCK {
                row[i] /= pivot;
                sums[i] += row[i] * row[i];
            }
            inverse[k * width + block..k * width + block + BLOCK].copy_from_slice(&row);
        }
        squares[block..block + BLOCK].copy_from_slice(&sums);
    }
}

/// `∂δ/∂angles` (3×3): the axes as the earlier angles have turned them, so that `δ = E·dθ` for a left perturbation δ.
pub fn tangent_of_angles(rotor: &Rotor, angles: [f64; 3]) -> Matrix3<f64> {
    let mut r = Rotation3::identity();
    let mut e = Matrix3::zeros();
    for k in 0..3 {
        e.set_column(k, &(r * rotor.axes[k].into_inner()));
        r *= Rotation3::from_axis_angle(&rotor.axes[k], angles[k]);
    }
    e
}
