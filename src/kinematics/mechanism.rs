//! Kinematics prepared for fitting: which coordinates are free, which twists they make, what scales move.

use super::Frame;

use crate::skeleton::{BodyId, CoordinateId, MarkerId, Offsets, Operation, ScaleGroups, Scales, Skeleton};
use nalgebra::{Rotation3, Vector3, Vector6};

/// A column of the Jacobian: one degree of freedom acting at one operation. A coordinate that drives several operations has several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Index into [`Mechanism::dofs`].
    pub dof: usize,
    /// The body whose operations hold it: it and all bodies distal to it move.
    pub body: BodyId,
}

/// How a scale group moves the origin of a body away from its parent's: the whole body, and all bodies distal to it, move alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shift {
    /// Index into the scale groups.
    pub group: usize,
    /// The body.
    pub body: BodyId,
}

/// A scale group, and the axes along which it scales a body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ScaledBy {
    /// Index into the scale groups.
    pub group: usize,
    /// 1 along the axes, 0 along others.
    pub mask: Vector3<f64>,
}

/// A skeleton prepared for fitting. Immutable.
#[derive(Debug, Clone)]
pub struct Mechanism {
    skeleton: Skeleton,
    groups: ScaleGroups,
    dofs: Vec<CoordinateId>,
    dof_of: Vec<Option<usize>>,
    /// Degrees of freedom of each rotor, three in a row.
    rotor_dofs: Vec<usize>,
    columns: Vec<Column>,
    /// First column of each body, and one past the last.
    body_columns: Vec<usize>,
    /// By body: columns from ground to it.
    paths: Vec<Vec<usize>>,
    /// By body: those it is the parent of.
    children: Vec<Vec<usize>>,
    /// Groups acting on each body.
    body_groups: Vec<Vec<ScaledBy>>,
    shifts: Vec<Shift>,
    /// First shift of each body, and one past the last.
    body_shifts: Vec<usize>,
    /// By operation: the shifts it has a part in, each with the axes along which it does.
    shifted_by: Vec<Vec<(usize, Vector3<f64>)>>,
}

/// Positions and derivatives of one frame; reused between frames.
#[derive(Debug, Clone)]
pub struct FrameDerivatives {
    /// Poses and markers.
    pub frame: Frame,
    /// Twist of each column about the world's origin, `[ω; v]`, per unit of its degree of freedom.
    pub twists: Vec<Vector6<f64>>,
    /// By shift ([`Mechanism::shifts`]): how far the body moves away from its parent per unit of the scale parameter, metres in world.
    pub shifts: Vec<Vector3<f64>>,
}

impl Mechanism {
    /// Prepares a skeleton whose free coordinates are all that are neither dependent nor locked.
    ///
    /// The tangent of a rotor takes the places of its three coordinates, which must be free and in a row among the degrees of freedom: they are
    /// moved to the end of the list to make them so.
    pub fn new(skeleton: Skeleton, groups: ScaleGroups) -> Self {
        let in_rotor: Vec<usize> =
            skeleton.rotors.iter().flat_map(|r| r.coordinates.iter().map(|c| c.index())).collect();
        let mut dofs: Vec<CoordinateId> = (0..skeleton.coordinates.len())
            .filter(|&i| skeleton.coordinates[i].coupling.is_none() && !skeleton.coordinates[i].locked)
            .filter(|i| !in_rotor.contains(i))
            .map(|i| CoordinateId(i as u32))
            .collect();
        let mut rotor_dofs = Vec::new();
        for rotor in &skeleton.rotors {
            rotor_dofs.push(dofs.len());
            dofs.extend(rotor.coordinates);
        }
        let mut dof_of = vec![None; skeleton.coordinates.len()];
        for (i, c) in dofs.iter().enumerate() {
            dof_of[c.index()] = Some(i);
        }
        let mut columns = Vec::new();
        let mut body_columns = vec![0];
        for (b, body) in skeleton.bodies.iter().enumerate() {
            for operation in &skeleton.operations[body.operations.clone()] {
                match operation {
                    Operation::RotateAbout { coordinate: Some(c), .. }
                    | Operation::TranslateAlong { coordinate: Some(c), .. } => {
                        if let Some(dof) = dof_of[c.index()] {
                            columns.push(Column { dof, body: BodyId(b as u32) });
                        }
                    }
                    Operation::Ball(rotor) => {
                        let first = rotor_dofs[rotor.index()];
                        columns.extend((first..first + 3).map(|dof| Column { dof, body: BodyId(b as u32) }));
                    }
                    _ => {}
                }
            }
            body_columns.push(columns.len());
        }
        let mut paths: Vec<Vec<usize>> = Vec::with_capacity(skeleton.bodies.len());
        let mut children = vec![Vec::new(); skeleton.bodies.len()];
        for (b, body) in skeleton.bodies.iter().enumerate() {
            if b > 0 {
                children[body.parent.index()].push(b);
            }
            let mut path = if b == 0 { Vec::new() } else { paths[body.parent.index()].clone() };
            path.extend(body_columns[b]..body_columns[b + 1]);
            paths.push(path);
        }
        let mut body_groups = vec![Vec::new(); skeleton.bodies.len()];
        for (g, group) in groups.groups.iter().enumerate() {
            for (body, axes) in &group.members {
                let mask = Vector3::from(axes.map(|a| if a { 1.0 } else { 0.0 }));
                body_groups[body.index()].push(ScaledBy { group: g, mask });
            }
        }
        let mut shifts: Vec<Shift> = Vec::new();
        let mut body_shifts = vec![0];
        let mut shifted_by = vec![Vec::new(); skeleton.operations.len()];
        for (b, body) in skeleton.bodies.iter().enumerate() {
            let first = shifts.len();
            for i in body.operations.clone() {
                let (along, scaled_by) = match &skeleton.operations[i] {
                    Operation::Translate { offset, scaled_by } => (*offset, scaled_by),
                    Operation::TranslateAlong { axis, scaled_by: Some(scaled_by), .. } => {
                        (axis.into_inner(), scaled_by)
                    }
                    _ => continue,
                };
                for s in &body_groups[scaled_by.index()] {
                    if along.component_mul(&s.mask) == Vector3::zeros() {
                        continue;
                    }
                    let known = shifts[first..].iter().position(|shift| shift.group == s.group);
                    let at = first + known.unwrap_or(shifts.len() - first);
                    if known.is_none() {
                        shifts.push(Shift { group: s.group, body: BodyId(b as u32) });
                    }
                    shifted_by[i].push((at, s.mask));
                }
            }
            body_shifts.push(shifts.len());
        }
        Self {
            skeleton,
            groups,
            dofs,
            dof_of,
            rotor_dofs,
            columns,
            body_columns,
            paths,
            children,
            body_groups,
            shifts,
            body_shifts,
            shifted_by,
        }
    }

    /// The skeleton.
    pub fn skeleton(&self) -> &Skeleton {
        &self.skeleton
    }

    /// The scale groups.
    pub fn groups(&self) -> &ScaleGroups {
        &self.groups
    }

    /// The coordinate behind each degree of freedom.
    pub fn dofs(&self) -> &[CoordinateId] {
        &self.dofs
    }

    /// The degree of freedom of a coordinate; `None` for dependent and locked ones.
    pub fn dof_of(&self, coordinate: CoordinateId) -> Option<usize> {
        self.dof_of[coordinate.index()]
    }

    /// First of the three degrees of freedom of each rotor.
    pub fn rotor_dofs(&self) -> &[usize] {
        &self.rotor_dofs
    }

    /// Columns of the Jacobian, body by body in topological order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Columns that act at a body's own operations.
    pub fn body_columns(&self, body: usize) -> std::ops::Range<usize> {
        self.body_columns[body]..self.body_columns[body + 1]
    }

    /// What scale parameters move, body by body in topological order. (What they do to markers within a body is not among it.)
    pub fn shifts(&self) -> &[Shift] {
        &self.shifts
    }

    /// Shifts of a body.
    pub fn body_shifts(&self, body: usize) -> std::ops::Range<usize> {
        self.body_shifts[body]..self.body_shifts[body + 1]
    }

    /// Columns of all bodies from ground to each body, itself included.
    pub fn paths(&self) -> &[Vec<usize>] {
        &self.paths
    }

    /// Bodies that a body is the parent of, in ascending order.
    pub(crate) fn children(&self, body: usize) -> &[usize] {
        &self.children[body]
    }

    /// Room for one frame.
    pub fn workspace(&self) -> FrameDerivatives {
        FrameDerivatives {
            frame: Frame::new(&self.skeleton),
            twists: vec![Vector6::zeros(); self.columns.len()],
            shifts: vec![Vector3::zeros(); self.shifts.len()],
        }
    }

    /// Scale factors of all bodies for values of the scale parameters.
    pub fn scales(&self, parameters: &[f64]) -> Scales {
        self.groups.factors(&self.skeleton, parameters)
    }

    /// Displacement of a marker within its body per unit of a scale parameter, metres in the body's axes, for each group that scales the body.
    pub fn marker_within_body_by_scale(&self, marker: MarkerId, mut each: impl FnMut(usize, Vector3<f64>)) {
        let m = &self.skeleton.markers[marker.index()];
        for s in &self.body_groups[m.body.index()] {
            each(s.group, m.location.component_mul(&s.mask));
        }
    }

    /// Scale groups of a body itself.
    pub(crate) fn groups_within(&self, body: usize) -> &[ScaledBy] {
        &self.body_groups[body]
    }

    /// Displacement of a marker per unit of each scale parameter, metres in world.
    pub fn marker_by_scale(&self, w: &FrameDerivatives, marker: MarkerId, out: &mut [Vector3<f64>]) {
        let m = &self.skeleton.markers[marker.index()];
        let b = m.body.index();
        out.fill(Vector3::zeros());
        let mut proximal = b;
        while proximal > 0 {
            self.body_shifts(proximal).for_each(|i| out[self.shifts[i].group] += w.shifts[i]);
            proximal = self.skeleton.bodies[proximal].parent.index();
        }
        self.marker_within_body_by_scale(marker, |g, d| out[g] += w.frame.rotations[b] * d);
    }

    /// Poses, markers, and their derivatives with respect to coordinates and scales. (Those with respect to a marker's
    /// offset are the rotation of its body.) Arguments as for [`super::forward`].
    pub fn linearise(
        &self,
        scales: &Scales,
        offsets: &Offsets,
        q: &[f64],
        rotors: &[Rotation3<f64>],
        w: &mut FrameDerivatives,
    ) {
        self.linearise_about(&Vector3::zeros(), scales, offsets, q, rotors, w);
    }

    /// The same with twists about `origin`: `∂p/∂q_j = v_j + ω_j × (p − origin)`.
    pub fn linearise_about(
        &self,
        origin: &Vector3<f64>,
        scales: &Scales,
        offsets: &Offsets,
        q: &[f64],
        rotors: &[Rotation3<f64>],
        w: &mut FrameDerivatives,
    ) {
        let FrameDerivatives { frame, twists, shifts } = w;
        shifts.fill(Vector3::zeros());
        let mut column = 0;
        for (b, body) in self.skeleton.bodies.iter().enumerate() {
            let parent = body.parent.index();
            let (mut r, mut p) = (Rotation3::identity(), Vector3::zeros());
            if b > 0 {
                (r, p) = (frame.rotations[parent], frame.origins[parent]);
            }
            for i in body.operations.clone() {
                match &self.skeleton.operations[i] {
                    Operation::Translate { offset, scaled_by } => {
                        p += r * offset.component_mul(&Vector3::from(scales.0[scaled_by.index()]));
                        for (shift, mask) in &self.shifted_by[i] {
                            shifts[*shift] += r * offset.component_mul(mask);
                        }
                    }
                    Operation::Rotate(c) => r *= c,
                    Operation::RotateAbout { axis, coordinate, function } => {
                        let x = coordinate.map_or(0.0, |c| q[c.index()]);
                        let (angle, slope, _) = function.value_and_derivatives(x);
                        if coordinate.is_some_and(|c| self.dof_of[c.index()].is_some()) {
                            twists[column] = twist(&(r * axis.into_inner() * slope), &(p - origin));
                            column += 1;
                        }
                        r *= Rotation3::from_axis_angle(axis, angle);
                    }
                    Operation::TranslateAlong { axis, coordinate, function, scaled_by } => {
                        let x = coordinate.map_or(0.0, |c| q[c.index()]);
                        let (length, slope, _) = function.value_and_derivatives(x);
                        let k = scaled_by.map_or(1.0, |b| axis.abs().dot(&Vector3::from(scales.0[b.index()])));
                        let direction = r * axis.into_inner();
                        if coordinate.is_some_and(|c| self.dof_of[c.index()].is_some()) {
                            let v = direction * (k * slope);
                            twists[column] = Vector6::new(0.0, 0.0, 0.0, v.x, v.y, v.z);
                            column += 1;
                        }
                        for (shift, mask) in &self.shifted_by[i] {
                            shifts[*shift] += direction * (axis.abs().dot(mask) * length);
                        }
                        p += direction * (k * length);
                    }
                    Operation::Ball(rotor) => {
                        for k in 0..3 {
                            twists[column + k] = twist(&r.matrix().column(k).into_owned(), &(p - origin));
                        }
                        column += 3;
                        r *= rotors[rotor.index()];
                    }
                }
            }
            frame.rotations[b] = r;
            frame.origins[b] = p;
        }
        for (i, m) in self.skeleton.markers.iter().enumerate() {
            let b = m.body.index();
            let place = m.location.component_mul(&Vector3::from(scales.0[b])) + offsets.0[i];
            frame.markers[i] = frame.origins[b] + frame.rotations[b] * place;
        }
    }
}

/// The twist of a rotation with rate `omega` about an axis through `pivot`: velocity of the point at the origin is `−ω × pivot`.
fn twist(omega: &Vector3<f64>, pivot: &Vector3<f64>) -> Vector6<f64> {
    let v = pivot.cross(omega);
    Vector6::new(omega.x, omega.y, omega.z, v.x, v.y, v.z)
}
