//! One frame's share of the normal equations.

use super::problem::{BorderLayout, Parameters, Problem};
use crate::camera::Projector;
use crate::kinematics::FrameDerivatives;
use crate::math::{se3, so3};
use crate::residual::{gaussian, limit, point, reprojection};
use crate::skeleton::{Offsets, Scales};
use crate::trajectory::{LocalTrajectory, LocalWeights, Pose, Trajectory};
use nalgebra::{Matrix3, Matrix3x6, Matrix6, Matrix6x3, Vector3, Vector6};

/// Shared values of one evaluation, the same for all frames.
pub(super) struct Shared<'a> {
    pub problem: &'a Problem,
    pub parameters: &'a Parameters,
    pub scales: Scales,
    pub offsets: Offsets,
    pub projectors: Vec<Projector>,
    pub border: BorderLayout,
    /// The point that twists are about.
    pub origin: Vector3<f64>,
    /// Columns of all bodies from ground to each body, itself included.
    pub paths: Vec<Vec<usize>>,
}

impl<'a> Shared<'a> {
    pub fn new(problem: &'a Problem, parameters: &'a Parameters) -> Self {
        let skeleton = problem.mechanism.skeleton();
        let mut paths: Vec<Vec<usize>> = Vec::with_capacity(skeleton.bodies.len());
        for (b, body) in skeleton.bodies.iter().enumerate() {
            let mut path = if b == 0 { Vec::new() } else { paths[body.parent.index()].clone() };
            path.extend(problem.mechanism.body_columns(b));
            paths.push(path);
        }
        Self {
            problem,
            parameters,
            scales: problem.all_scales(parameters),
            offsets: problem.all_offsets(parameters),
            projectors: problem.projectors(parameters),
            border: problem.border(),
            origin: problem.origin(),
            paths,
        }
    }
}

/// Buffers of one worker, and the result for one frame.
pub(super) struct FrameWork {
    pub pose: Pose,
    pub weights: LocalWeights,
    pub kinematics: FrameDerivatives,
    /// n×n, column-major, both triangles.
    pub hessian: Vec<f64>,
    /// n.
    pub gradient: Vec<f64>,
    /// n×columns, column-major.
    pub cross: Vec<f64>,
    by_scale: Vec<Vector3<f64>>,
    body_information: Vec<Matrix6<f64>>,
    body_gradient: Vec<Vector6<f64>>,
    /// `[body][group]`.
    body_scale: Vec<Vector6<f64>>,
    /// `[camera][body]`.
    camera_body: Vec<Matrix6<f64>>,
    camera_twist: Vec<Vector6<f64>>,
}

/// Sums over frames of what touches only shared parameters.
pub(super) struct Corner {
    pub matrix: Vec<f64>,
    pub gradient: Vec<f64>,
    pub cost: f64,
}

impl Corner {
    pub fn zeros(columns: usize) -> Self {
        Self { matrix: vec![0.0; columns * columns], gradient: vec![0.0; columns], cost: 0.0 }
    }

    pub fn add(&mut self, other: &Corner) {
        for (a, b) in self.matrix.iter_mut().zip(&other.matrix) {
            *a += b;
        }
        for (a, b) in self.gradient.iter_mut().zip(&other.gradient) {
            *a += b;
        }
        self.cost += other.cost;
    }

    /// Adds to the lower triangle (`row ≥ column`, whichever way they are given).
    fn lower(&mut self, i: usize, j: usize, value: f64) {
        let (row, column) = if i >= j { (i, j) } else { (j, i) };
        let n = self.gradient.len();
        self.matrix[column * n + row] += value;
    }
}

impl FrameWork {
    pub fn new(shared: &Shared) -> Self {
        let problem = shared.problem;
        let n = problem.layout.dofs();
        let bodies = problem.mechanism.skeleton().bodies.len();
        let groups = problem.groups();
        Self {
            pose: problem.layout.default_pose(),
            weights: problem.layout.weights(),
            kinematics: problem.mechanism.workspace(),
            hessian: vec![0.0; n * n],
            gradient: vec![0.0; n],
            cross: vec![0.0; n * shared.border.columns],
            by_scale: vec![Vector3::zeros(); groups],
            body_information: vec![Matrix6::zeros(); bodies],
            body_gradient: vec![Vector6::zeros(); bodies],
            body_scale: vec![Vector6::zeros(); bodies * groups],
            camera_body: vec![Matrix6::zeros(); bodies * problem.rig.len()],
            camera_twist: vec![Vector6::zeros(); problem.rig.len()],
        }
    }

    /// Pose and kinematics of a frame, without derivatives of the cost.
    fn kinematics(&mut self, shared: &Shared, trial: usize, frame: usize) {
        let t = shared.problem.trials[trial].times[frame];
        shared.parameters.trajectories[trial].pose(t, &mut self.pose);
    }

    /// Cost of a frame alone.
    pub fn cost(&mut self, shared: &Shared, trial: usize, frame: usize) -> f64 {
        let problem = shared.problem;
        self.kinematics(shared, trial, frame);
        let out = &mut self.kinematics.frame;
        crate::kinematics::forward(
            problem.mechanism.skeleton(),
            &shared.scales,
            &shared.offsets,
            &self.pose.q,
            &self.pose.rotors,
            out,
        );
        let trial = &problem.trials[trial];
        let hyper = &problem.hyper;
        let mut cost = 0.0;
        for o in trial.frame_observations(frame) {
            let p = &out.markers[problem.markers[o.slot as usize].index()];
            let precision = hyper.precision(o.camera.into(), o.keypoint.into());
            cost += reprojection::cost(o, &shared.projectors[o.camera as usize], p, precision, hyper.pixel_loss).0;
        }
        for o in trial.frame_points(frame) {
            let p = &out.markers[problem.markers[o.slot as usize].index()];
            cost += point::linearise(o, p, hyper.point_loss).cost;
        }
        for (j, &c) in problem.layout.coordinates[..problem.layout.scalars()].iter().enumerate() {
            let (mean, sd) = problem.priors.pose[j];
            if sd.is_finite() {
                cost += gaussian::evaluate(self.pose.q[c], mean, sd).0;
            }
            if let Some((range, softness)) = problem.priors.limits[j] {
                cost += limit::evaluate(self.pose.q[c], range, softness).0;
            }
        }
        cost
    }

    /// Linearises a frame: fills `hessian`, `gradient`, `cross`, `weights`, and adds to the corner.
    pub fn linearise(&mut self, shared: &Shared, trial: usize, frame: usize, corner: &mut Corner) {
        let problem = shared.problem;
        let mechanism = &problem.mechanism;
        let skeleton = mechanism.skeleton();
        let (n, groups, bodies) = (problem.layout.dofs(), problem.groups(), skeleton.bodies.len());
        let border = &shared.border;
        self.kinematics(shared, trial, frame);
        let data = &problem.trials[trial];
        shared.parameters.trajectories[trial].weights(data.times[frame], &mut self.weights);
        mechanism.linearise_about(
            &shared.origin,
            &shared.scales,
            &shared.offsets,
            &self.pose.q,
            &self.pose.rotors,
            &mut self.kinematics,
        );

        self.hessian.fill(0.0);
        self.gradient.fill(0.0);
        self.cross.fill(0.0);
        self.body_information.fill(Matrix6::zeros());
        self.body_gradient.fill(Vector6::zeros());
        self.body_scale.fill(Vector6::zeros());
        self.camera_body.fill(Matrix6::zeros());
        self.camera_twist.fill(Vector6::zeros());

        // Marker by marker: the observations of a slot are next to each other.
        let (mut observations, mut points) = (data.frame_observations(frame), data.frame_points(frame));
        loop {
            let slot = match (observations.first(), points.first()) {
                (None, None) => break,
                (a, b) => a.map_or(u32::MAX, |o| o.slot).min(b.map_or(u32::MAX, |o| o.slot)),
            };
            // A handful each: quicker counted than searched for.
            let here = observations.iter().take_while(|o| o.slot == slot).count();
            let here_points = points.iter().take_while(|o| o.slot == slot).count();
            let marker = problem.markers[slot as usize];
            let b = skeleton.markers[marker.index()].body.index();
            let p = self.kinematics.frame.markers[marker.index()];
            let about = p - shared.origin;
            let rotation = *self.kinematics.frame.rotations[b].matrix();
            let offset = border.offsets[slot as usize];
            let mut gradient = Vector3::zeros();
            let mut information = Matrix3::zeros();
            if border.scales.is_some() {
                mechanism.marker_by_scale(&self.kinematics, marker, &mut self.by_scale);
            }
            for o in &observations[..here] {
                let camera = o.camera as usize;
                let precision = problem.hyper.precision(camera, o.keypoint.into());
                let Some(m) =
                    reprojection::linearise(o, &shared.projectors[camera], &p, precision, problem.hyper.pixel_loss)
                else {
                    // Charged, but with nothing to pull on.
                    let loss = problem.hyper.pixel_loss;
                    corner.cost += reprojection::cost(o, &shared.projectors[camera], &p, precision, loss).0;
                    continue;
                };
                corner.cost += m.cost;
                gradient += m.gradient;
                information += m.information;
                if let Some(first) = border.cameras[camera] {
                    let (push, twist) = moved(&about, &m.information, &m.gradient);
                    self.camera_body[camera * bodies + b] += outer(&about, &push);
                    self.camera_twist[camera] += twist;
                    if let Some(s) = border.scales {
                        // What moves the marker within its body; what moves the body is added once for all its markers.
                        mechanism.marker_within_body_by_scale(&self.kinematics, marker, |g, u| {
                            let row = push.tr_mul(&u);
                            for i in 0..6 {
                                corner.lower(first + i, s + g, -row[i]);
                            }
                        });
                    }
                    if let Some(o) = offset {
                        let block = rotation.tr_mul(&push); // 3×6
                        for i in 0..6 {
                            for j in 0..3 {
                                corner.lower(first + i, o + j, -block[(j, i)]);
                            }
                        }
                    }
                }
            }
            for o in &points[..here_points] {
                let m = point::linearise(o, &p, problem.hyper.point_loss);
                corner.cost += m.cost;
                gradient += m.gradient;
                information += m.information;
            }
            observations = &observations[here..];
            points = &points[here_points..];

            let (push, twist) = moved(&about, &information, &gradient);
            self.body_gradient[b] += twist;
            self.body_information[b] += outer(&about, &push);
            if let Some(s) = border.scales {
                for g in 0..groups {
                    let u = self.by_scale[g];
                    self.body_scale[b * groups + g] += push.tr_mul(&u);
                    corner.gradient[s + g] += u.dot(&gradient);
                    let wu = information * u;
                    for h in 0..=g {
                        corner.lower(s + g, s + h, wu.dot(&self.by_scale[h]));
                    }
                    if let Some(o) = offset {
                        let row = rotation.tr_mul(&wu);
                        for j in 0..3 {
                            corner.lower(o + j, s + g, row[j]);
                        }
                    }
                }
            }
            if let Some(o) = offset {
                let own = rotation.tr_mul(&(information * rotation));
                let g = rotation.tr_mul(&gradient);
                let y: Matrix6x3<f64> = push.tr_mul(&rotation);
                for i in 0..3 {
                    corner.gradient[o + i] += g[i];
                    for j in 0..=i {
                        corner.lower(o + i, o + j, own[(i, j)]);
                    }
                    let column = &mut self.cross[(o + i) * n..(o + i + 1) * n];
                    for &k in &shared.paths[b] {
                        column[mechanism.columns()[k].dof] += self.kinematics.twists[k].dot(&y.column(i));
                    }
                }
            }
        }
        self.cameras(shared, corner);
        self.gather(shared);
        self.priors(shared, corner);
    }

    /// Blocks of the corner between cameras, and between cameras and scales as far as these move whole bodies.
    fn cameras(&mut self, shared: &Shared, corner: &mut Corner) {
        let (groups, bodies) = (shared.problem.groups(), self.body_information.len());
        for (c, column) in shared.border.cameras.iter().enumerate() {
            let Some(first) = *column else { continue };
            let mut total = Matrix6::zeros();
            for b in 0..bodies {
                let own = &self.camera_body[c * bodies + b];
                total += own;
                if let Some(s) = shared.border.scales {
                    for g in 0..groups {
                        let u = &self.kinematics.origin_by_scale[b * groups + g];
                        // The lower half of AᵀWA is Σ W·A.
                        let row = own.fixed_view::<3, 6>(3, 0).tr_mul(u);
                        for i in 0..6 {
                            corner.lower(first + i, s + g, -row[i]);
                        }
                    }
                }
            }
            for i in 0..6 {
                corner.gradient[first + i] -= self.camera_twist[c][i];
                for j in 0..=i {
                    corner.lower(first + i, first + j, total[(i, j)]);
                }
            }
        }
    }

    /// Sums body quantities over subtrees and pulls them into joint space.
    fn gather(&mut self, shared: &Shared) {
        let problem = shared.problem;
        let mechanism = &problem.mechanism;
        let skeleton = mechanism.skeleton();
        let (n, groups, bodies) = (problem.layout.dofs(), problem.groups(), skeleton.bodies.len());
        let border = &shared.border;
        for b in (1..bodies).rev() {
            let parent = skeleton.bodies[b].parent.index();
            if parent == 0 {
                continue;
            }
            let own = self.body_information[b];
            self.body_information[parent] += own;
            let own = self.body_gradient[b];
            self.body_gradient[parent] += own;
            if border.scales.is_some() {
                for g in 0..groups {
                    let own = self.body_scale[b * groups + g];
                    self.body_scale[parent * groups + g] += own;
                }
            }
            for (c, column) in border.cameras.iter().enumerate() {
                if column.is_some() {
                    let own = self.camera_body[c * bodies + b];
                    self.camera_body[c * bodies + parent] += own;
                }
            }
        }
        let columns = mechanism.columns();
        for b in 1..bodies {
            let own = mechanism.body_columns(b);
            for k in own.clone() {
                let tau = self.kinematics.twists[k];
                let dof = columns[k].dof;
                self.gradient[dof] += tau.dot(&self.body_gradient[b]);
                let force = self.body_information[b] * tau;
                for &l in &shared.paths[b] {
                    let other = columns[l].dof;
                    let value = force.dot(&self.kinematics.twists[l]);
                    self.hessian[other * n + dof] += value;
                    if l < own.start {
                        self.hessian[dof * n + other] += value;
                    }
                }
                if let Some(s) = border.scales {
                    for g in 0..groups {
                        self.cross[(s + g) * n + dof] += tau.dot(&self.body_scale[b * groups + g]);
                    }
                }
                for (c, column) in border.cameras.iter().enumerate() {
                    if let Some(first) = column {
                        let row = self.camera_body[c * bodies + b] * tau;
                        for i in 0..6 {
                            self.cross[(first + i) * n + dof] -= row[i];
                        }
                    }
                }
            }
        }
    }

    /// Priors on the frame's pose.
    fn priors(&mut self, shared: &Shared, corner: &mut Corner) {
        let problem = shared.problem;
        let n = problem.layout.dofs();
        for (j, &c) in problem.layout.coordinates[..problem.layout.scalars()].iter().enumerate() {
            let (mean, sd) = problem.priors.pose[j];
            let mut add = |(cost, gradient, curvature): (f64, f64, f64)| {
                corner.cost += cost;
                self.gradient[j] += gradient;
                self.hessian[j * n + j] += curvature;
            };
            if sd.is_finite() {
                add(gaussian::evaluate(self.pose.q[c], mean, sd));
            }
            if let Some((range, softness)) = problem.priors.limits[j] {
                add(limit::evaluate(self.pose.q[c], range, softness));
            }
        }
    }
}

/// `W·A` (3×6) and `Aᵀ·g` (6) for `A = ∂p/∂twist = [−[p]× | I]`.
fn moved(p: &Vector3<f64>, information: &Matrix3<f64>, gradient: &Vector3<f64>) -> (Matrix3x6<f64>, Vector6<f64>) {
    let a = se3::d_moved_d_twist(p);
    let mut push = Matrix3x6::zeros();
    push.fixed_view_mut::<3, 3>(0, 0).copy_from(&(information * a.fixed_view::<3, 3>(0, 0)));
    push.fixed_view_mut::<3, 3>(0, 3).copy_from(information);
    let torque = p.cross(gradient);
    (push, Vector6::new(torque.x, torque.y, torque.z, gradient.x, gradient.y, gradient.z))
}

/// `Aᵀ·(W·A)`, 6×6.
fn outer(p: &Vector3<f64>, push: &Matrix3x6<f64>) -> Matrix6<f64> {
    let mut m = Matrix6::zeros();
    m.fixed_view_mut::<3, 6>(0, 0).copy_from(&(so3::hat(p) * push));
    m.fixed_view_mut::<3, 6>(3, 0).copy_from(push);
    m
}
