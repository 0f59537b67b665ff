//! One frame's share of the normal equations.

use super::corner::Corner;
use super::problem::{BorderLayout, Free, Information, Parameters, Problem};
use super::scale_sums::{ScaleSums, Subtrees};
use super::spatial::{SpatialInformation, of_axes};
use crate::camera::Projector;
use crate::kinematics::FrameDerivatives;
use crate::math::border::PANEL;
use crate::math::lanes::Row;
use crate::math::se3::wrench;
use crate::residual::point::PointObservation;
use crate::residual::views::{Scene, Views};
use crate::residual::{Curvature, gaussian, limit, point};
use crate::skeleton::{Offsets, Scales};
use crate::trajectory::{LocalTrajectory, LocalWeights, Pose, Trajectory};
use nalgebra::{Matrix3, Vector3, Vector6};
use std::ops::Range;

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
    /// Columns of the border that each degree of freedom has anything to do with: an elbow moves no marker of the foot. Nothing until [`Self::for_matrix`].
    pub touched: Vec<Vec<Range<usize>>>,
    /// By slot: its place among those whose offset is free.
    pub free_offsets: Vec<Option<usize>>,
    pub information: Information,
    /// Of the noise, by trial: [`Scene::precision`].
    pub precision: Vec<Vec<[Row<f64>; 2]>>,
}

impl<'a> Shared<'a> {
    pub fn new(problem: &'a Problem, free: &Free, parameters: &'a Parameters, information: Information) -> Self {
        let border = problem.border_of(free);
        let mut places = 0..;
        let free_offsets = border.offsets.iter().map(|o| o.and_then(|_| places.next())).collect();
        let of_noise = problem.trials.iter().map(|t| t.sightings.by_place(|c, k| problem.hyper.precision(c, k)));
        Self {
            problem,
            parameters,
            scales: problem.all_scales(parameters),
            offsets: problem.all_offsets(parameters),
            projectors: problem.projectors(parameters),
            border,
            origin: problem.origin(),
            touched: Vec::new(),
            free_offsets,
            information,
            precision: of_noise.collect(),
        }
    }

    /// Made ready for [`FrameWork::linearise`].
    pub fn for_matrix(mut self) -> Self {
        self.touched = touched(self.problem, &self.border);
        self
    }

    /// Number of scale parameters that are free.
    pub fn scales_free(&self) -> usize {
        self.border.scales.map_or(0, |_| self.problem.groups())
    }
}

/// See [`Shared::touched`]. Gaps of a few columns are not worth a range of their own; none leads from one panel of the border into the next.
fn touched(problem: &Problem, border: &BorderLayout) -> Vec<Vec<Range<usize>>> {
    const GAP: usize = 12;
    let mechanism = &problem.mechanism;
    let mut columns = vec![vec![false; border.columns]; problem.layout.dofs()];
    for (slot, marker) in problem.markers.iter().enumerate() {
        if let Some(o) = border.offsets[slot] {
            for &k in &mechanism.paths()[mechanism.skeleton().markers[marker.index()].body.index()] {
                columns[mechanism.columns()[k].dof][o..o + 3].fill(true);
            }
        }
    }
    let scales = border.scales.map(|s| s..s + problem.groups());
    let cameras = border.cameras.iter().flatten().map(|&c| c..c + 6);
    for range in scales.into_iter().chain(cameras) {
        for row in &mut columns {
            row[range.clone()].fill(true);
        }
    }
    let ranges = |row: &Vec<bool>| {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for c in (0..row.len()).filter(|&c| row[c]) {
            match ranges.last_mut() {
                Some(last) if c < last.end + GAP && c / PANEL == last.start / PANEL => last.end = c + 1,
                _ => ranges.push(c..c + 1),
            }
        }
        ranges
    };
    columns.iter().map(ranges).collect()
}

/// What is made of the losses' bend.
fn curvature(shared: &Shared) -> Curvature {
    match shared.information {
        Information::Step => Curvature::Majorant,
        Information::Observed => Curvature::Mean(1.0),
        Information::Posterior => Curvature::Mean(1.0 / shared.problem.hyper.worth().0),
    }
}

/// What is seen in a frame, for markers where they are (world, metres); `points` is room for those that are observed.
pub(super) fn scene<'a>(
    shared: &'a Shared,
    (trial, frame): (usize, usize),
    markers: &[Vector3<f64>],
    points: &'a mut Vec<Vector3<f64>>,
) -> Scene<'a> {
    let Problem { markers: observed, trials, hyper, .. } = shared.problem;
    points.clear();
    points.extend(observed.iter().map(|m| markers[m.index()]));
    let (sightings, precision) = (&trials[trial].sightings, &shared.precision[trial][..]);
    Scene { sightings, frame, points, cameras: &shared.projectors, precision, loss: hyper.pixel_loss }
}

/// Buffers of one worker, and the result for one frame.
pub(super) struct FrameWork {
    pub pose: Pose,
    pub weights: LocalWeights,
    pub kinematics: FrameDerivatives,
    views: Views,
    /// By slot.
    points: Vec<Vector3<f64>>,
    /// n×n, column-major, both triangles.
    pub hessian: Vec<f64>,
    /// n.
    pub gradient: Vec<f64>,
    /// n×columns, row-major: what a degree of freedom has to do with the border. Written inside [`Shared::touched`] only.
    pub cross: Vec<f64>,
    body_information: Vec<SpatialInformation>,
    body_gradient: Vec<Vector6<f64>>,
    scale_sums: ScaleSums,
    /// `[camera][body]`.
    camera_body: Vec<SpatialInformation>,
}

impl FrameWork {
    pub fn new(shared: &Shared) -> Self {
        let problem = shared.problem;
        let n = problem.layout.dofs();
        let bodies = problem.mechanism.skeleton().bodies.len();
        Self {
            pose: problem.layout.default_pose(),
            weights: problem.layout.weights(),
            kinematics: problem.mechanism.workspace(),
            views: Views::default(),
            points: Vec::new(),
            hessian: vec![0.0; n * n],
            gradient: vec![0.0; n],
            cross: vec![0.0; n * shared.border.columns],
            body_information: vec![SpatialInformation::zeros(); bodies],
            body_gradient: vec![Vector6::zeros(); bodies],
            scale_sums: ScaleSums::new(shared),
            camera_body: vec![SpatialInformation::zeros(); bodies * problem.rig.len()],
        }
    }

    /// Pose and kinematics of a frame, without derivatives of the cost.
    fn kinematics(&mut self, shared: &Shared, trial: usize, frame: usize) {
        let t = shared.problem.trials[trial].times[frame];
        shared.parameters.trajectories[trial].pose(t, &mut self.pose);
    }

    /// Cost of a frame alone.
    pub fn cost(&mut self, shared: &Shared, index: usize, frame: usize) -> f64 {
        let problem = shared.problem;
        self.kinematics(shared, index, frame);
        let out = &mut self.kinematics.frame;
        crate::kinematics::forward(
            problem.mechanism.skeleton(),
            &shared.scales,
            &shared.offsets,
            &self.pose.q,
            &self.pose.rotors,
            out,
        );
        let trial = &problem.trials[index];
        let hyper = &problem.hyper;
        let mut cost = self.views.evaluate(&scene(shared, (index, frame), &out.markers, &mut self.points));
        for o in trial.frame_points(frame) {
            let p = &out.markers[problem.markers[o.slot as usize].index()];
            cost += point::cost(o, p, hyper.point_sigma[o.slot as usize], hyper.point_loss);
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

    /// Linearises a frame, of [`Shared::for_matrix`]: fills `hessian`, `gradient`, `cross`, `weights`, and adds to the corner.
    pub fn linearise(&mut self, shared: &Shared, trial: usize, frame: usize, corner: &mut Corner) {
        let problem = shared.problem;
        debug_assert_eq!(shared.touched.len(), problem.layout.dofs());
        self.kinematics(shared, trial, frame);
        let data = &problem.trials[trial];
        shared.parameters.trajectories[trial].weights(data.times[frame], &mut self.weights);
        problem.mechanism.linearise_about(
            &shared.origin,
            &shared.scales,
            &shared.offsets,
            &self.pose.q,
            &self.pose.rotors,
            &mut self.kinematics,
        );

        self.hessian.fill(0.0);
        self.gradient.fill(0.0);
        for (row, touched) in self.cross.chunks_mut(shared.border.columns.max(1)).zip(&shared.touched) {
            for range in touched {
                row[range.clone()].fill(0.0);
            }
        }
        self.body_information.fill(SpatialInformation::zeros());
        self.body_gradient.fill(Vector6::zeros());
        self.scale_sums.clear();
        self.camera_body.fill(SpatialInformation::zeros());

        let scene = scene(shared, (trial, frame), &self.kinematics.frame.markers, &mut self.points);
        // The very sum of `cost`: a step is judged by either.
        corner.cost += self.views.linearise(&scene, curvature(shared));
        for (camera, sums) in self.views.sums().iter().enumerate() {
            let moment = sums.moment - shared.origin.cross(&sums.force);
            let w = &mut corner.camera_gradient[camera];
            (0..3).for_each(|k| (w[k], w[3 + k]) = (w[k] + moment[k], w[3 + k] + sums.force[k]));
        }
        // Marker by marker: the places of a slot are next to each other, and so are its points.
        let (mut places, mut points) = (0..data.sightings.places().len(), data.frame_points(frame));
        let slot_of = |place: usize| data.sightings.places()[place].0;
        loop {
            places.start += places.clone().take_while(|&p| !self.views.is_seen(p)).count();
            let slot = match (places.clone().next(), points.first()) {
                (None, None) => break,
                (a, b) => a.map_or(u32::MAX, slot_of).min(b.map_or(u32::MAX, |o| o.slot)),
            };
            // A handful each: quicker counted than searched for.
            let here = places.start..places.start + places.clone().take_while(|&p| slot_of(p) == slot).count();
            let here_points = points.iter().take_while(|o| o.slot == slot).count();
            self.marker(shared, slot as usize, here.clone(), &points[..here_points], corner);
            places.start = here.end;
            points = &points[here_points..];
        }
        self.cameras(shared, corner);
        self.sum_distal(shared);
        self.gather(shared);
        let Self { kinematics, body_information, body_gradient, camera_body, cross, .. } = self;
        let subtrees = Subtrees { information: body_information, force: body_gradient, in_camera: camera_body };
        self.scale_sums.gather(shared, kinematics, &subtrees, cross, corner);
        self.priors(shared, corner);
    }

    /// Adds what was seen of one marker: at its places among the sightings, and points.
    fn marker(
        &mut self,
        shared: &Shared,
        slot: usize,
        places: Range<usize>,
        points: &[PointObservation],
        corner: &mut Corner,
    ) {
        let (problem, border) = (shared.problem, &shared.border);
        let mechanism = &problem.mechanism;
        let bodies = self.body_information.len();
        let marker = problem.markers[slot];
        let within = &mechanism.skeleton().markers[marker.index()];
        let b = within.body.index();
        let p = self.kinematics.frame.markers[marker.index()];
        let about = p - shared.origin;
        let rotation = &self.kinematics.frame.rotations[b];
        let (point_loss, curvature) = (problem.hyper.point_loss, curvature(shared));
        let mut gradient = Vector3::zeros();
        let mut information = Matrix3::zeros();
        for place in places {
            gradient += self.views.gradient(place);
            information += self.views.information(place);
            for (camera, _) in border.cameras.iter().enumerate().filter(|(_, c)| c.is_some()) {
                let Some(its) = self.views.information_in(camera, place) else { continue };
                let seen = SpatialInformation::of_point(&about, &its);
                self.camera_body[camera * bodies + b] += seen;
                corner.camera_offset[camera * problem.markers.len() + slot] +=
                    of_axes(&about, &(its * rotation.matrix()));
            }
        }
        for o in points {
            let m = point::linearise(o, &p, problem.hyper.point_sigma[slot], point_loss, curvature);
            corner.cost += m.cost;
            gradient += m.gradient;
            information += m.information;
        }

        let seen = SpatialInformation::of_point(&about, &information);
        self.body_gradient[b] += wrench(&about, &gradient);
        self.body_information[b] += seen;
        if border.columns == 0 {
            return;
        }
        let by_axes = information * rotation.matrix();
        let axes = of_axes(&about, &by_axes);
        corner.offset_offset[slot] += rotation.matrix().tr_mul(&by_axes);
        corner.offset_gradient[slot] += rotation.matrix().tr_mul(&gradient);
        if self.scale_sums.wanted() {
            self.scale_sums.marker(b, &within.location, &axes, (&by_axes, shared.free_offsets[slot]));
        }
        if let Some(o) = border.offsets[slot] {
            for &k in &mechanism.paths()[b] {
                let row = mechanism.columns()[k].dof * border.columns + o;
                let force = axes.tr_mul(&self.kinematics.twists[k]);
                for j in 0..3 {
                    self.cross[row + j] += force[j];
                }
            }
        }
    }

    /// What whole bodies have to do with cameras, before sums over subtrees.
    fn cameras(&self, shared: &Shared, corner: &mut Corner) {
        let bodies = self.body_information.len();
        for (camera, _) in shared.border.cameras.iter().enumerate().filter(|(_, column)| column.is_some()) {
            for own in &self.camera_body[camera * bodies..(camera + 1) * bodies] {
                corner.camera_camera[camera] += *own;
            }
        }
    }

    /// Sums over each body and all that are distal to it.
    fn sum_distal(&mut self, shared: &Shared) {
        let skeleton = shared.problem.mechanism.skeleton();
        let bodies = skeleton.bodies.len();
        for b in (1..bodies).rev() {
            let parent = skeleton.bodies[b].parent.index();
            if parent == 0 {
                continue;
            }
            let own = self.body_information[b];
            self.body_information[parent] += own;
            let own = self.body_gradient[b];
            self.body_gradient[parent] += own;
            for (c, column) in shared.border.cameras.iter().enumerate() {
                if column.is_some() {
                    let own = self.camera_body[c * bodies + b];
                    self.camera_body[c * bodies + parent] += own;
                }
            }
        }
    }

    /// Pulls these sums into joint space.
    fn gather(&mut self, shared: &Shared) {
        let problem = shared.problem;
        let mechanism = &problem.mechanism;
        let (n, bodies, border) = (problem.layout.dofs(), self.body_information.len(), &shared.border);
        let columns = mechanism.columns();
        for b in 1..bodies {
            let own = mechanism.body_columns(b);
            for k in own.clone() {
                let tau = self.kinematics.twists[k];
                let dof = columns[k].dof;
                self.gradient[dof] += tau.dot(&self.body_gradient[b]);
                let force = self.body_information[b].times(&tau);
                for &l in &mechanism.paths()[b] {
                    let other = columns[l].dof;
                    let value = force.dot(&self.kinematics.twists[l]);
                    self.hessian[other * n + dof] += value;
                    if l < own.start {
                        self.hessian[dof * n + other] += value;
                    }
                }
                let row = &mut self.cross[dof * border.columns..(dof + 1) * border.columns];
                for (c, column) in border.cameras.iter().enumerate() {
                    if let Some(first) = column {
                        let force = self.camera_body[c * bodies + b].times(&tau);
                        for i in 0..6 {
                            row[first + i] -= force[i];
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
