//! From a skeleton to its table: what can be worked out beforehand is.
//!
//! Constant transforms are not applied but carried along to the right, through the motions, `C·exp(a·θ) = exp(C·a·θ)·C`, and end in the places of markers
//! and the frames of bodies. Only where a motion's axis is then none of the frame's own must the frame be turned, by 27 multiplications in place of
//! 12; if so, the turn is chosen such that the axis of the body's next rotation lies right, too.

use super::curve::{Stage, stages};
use super::table::{FORMAT, NONE, Table, motion, operation};
use crate::skeleton::{CoordinateId, Function, Offsets, Operation, RotorId, Scales, Skeleton};
use nalgebra::{Matrix3, Rotation3, Unit, Vector3};

/// An axis this near to one of the frame's is taken for it: some roundings, which move a marker less than those that follow.
const ALIGNED: f64 = 1e-15;

/// Where something is fixed to a link: its frame there.
#[derive(Clone)]
struct Place {
    link: usize,
    rotation: Rotation3<f64>,
    origin: Vector3<f64>,
}

struct Compiler<'a> {
    skeleton: &'a Skeleton,
    table: Table<f64>,
    /// Whether a coordinate has a column.
    free: Vec<bool>,
    /// Columns that move each link, by coordinate.
    paths: Vec<Vec<(u32, u32)>>,
    /// Stages so far.
    stages: Vec<Stage>,
}

/// The table of a skeleton of these scales and offsets.
pub(super) fn compile(skeleton: &Skeleton, scales: &Scales, offsets: &Offsets) -> Table<f64> {
    let in_rotor = |i: usize| skeleton.rotors.iter().any(|r| r.coordinates.iter().any(|c| c.index() == i));
    let free = skeleton.coordinates.iter().enumerate();
    let free = free.map(|(i, c)| in_rotor(i) || (c.coupling.is_none() && !c.locked)).collect();
    let mut compiler = Compiler {
        skeleton,
        table: Table {
            format: FORMAT,
            coordinates: skeleton.coordinates.len() as u32,
            rotors: skeleton.rotors.len() as u32,
            motion_code: Vec::new(),
            motion_coordinate: Vec::new(),
            motion_start: vec![0],
            stage_code: Vec::new(),
            stage_start: vec![0],
            parameters: Vec::new(),
            link_parent: vec![0],
            link_start: vec![0, 0],
            operation_code: Vec::new(),
            operation_motion: Vec::new(),
            operation_constant: Vec::new(),
            operation_column: Vec::new(),
            operation_onto: Vec::new(),
            constants: Vec::new(),
            column_coordinate: Vec::new(),
            column_turns: Vec::new(),
            link_column_start: Vec::new(),
            link_column: Vec::new(),
            link_marker_start: Vec::new(),
            marker: Vec::new(),
            marker_place: Vec::new(),
            pair_start: Vec::new(),
            body_link: Vec::new(),
            body_rotation: Vec::new(),
            body_origin: Vec::new(),
        },
        free,
        paths: vec![Vec::new()],
        stages: Vec::new(),
    };
    let mut places: Vec<Place> = Vec::with_capacity(skeleton.bodies.len());
    for (b, body) in skeleton.bodies.iter().enumerate() {
        let start = match places.get(body.parent.index()) {
            Some(parent) if b > 0 => parent.clone(),
            _ => Place { link: 0, rotation: Rotation3::identity(), origin: Vector3::zeros() },
        };
        places.push(compiler.body(start, &skeleton.operations[body.operations.clone()], scales));
    }
    compiler.finish(&places, scales, offsets)
}

/// What an operation comes to for one set of scales.
enum Step<'a> {
    Fixed(Rotation3<f64>, Vector3<f64>),
    Rotate(Unit<Vector3<f64>>, CoordinateId, &'a Function),
    Slide(Unit<Vector3<f64>>, f64, CoordinateId, &'a Function),
    Rotor(RotorId),
}

fn step<'a>(operation: &'a Operation, scales: &Scales) -> Step<'a> {
    // The coordinate, where the function is not the same everywhere.
    let moving = |coordinate: &Option<CoordinateId>, function: &Function| {
        coordinate.filter(|_| function.as_linear().is_none_or(|(slope, _)| slope != 0.0))
    };
    match operation {
        Operation::Translate { offset, scaled_by } => {
            Step::Fixed(Rotation3::identity(), offset.component_mul(&Vector3::from(scales.0[scaled_by.index()])))
        }
        Operation::Rotate(rotation) => Step::Fixed(*rotation, Vector3::zeros()),
        Operation::RotateAbout { axis, coordinate, function } => match moving(coordinate, function) {
            Some(c) => Step::Rotate(*axis, c, function),
            None => Step::Fixed(Rotation3::from_axis_angle(axis, function.value(0.0)), Vector3::zeros()),
        },
        Operation::TranslateAlong { axis, coordinate, function, scaled_by } => {
            let k = scaled_by.map_or(1.0, |b| axis.abs().dot(&Vector3::from(scales.0[b.index()])));
            match moving(coordinate, function) {
                Some(c) => Step::Slide(*axis, k, c, function),
                None => Step::Fixed(Rotation3::identity(), axis.into_inner() * (k * function.value(0.0))),
            }
        }
        Operation::Ball(rotor) => Step::Rotor(*rotor),
    }
}

/// The frame's axis a direction lies on, and its sign.
fn own_axis(direction: &Vector3<f64>) -> Option<(u8, f64)> {
    let k = direction.iamax();
    let others = (0..3).filter(|&i| i != k).all(|i| direction[i].abs() <= ALIGNED);
    others.then(|| (k as u8, direction[k].signum()))
}

/// A rotation whose first column is `first`, and whose second lies towards `second` where there is one.
fn frame(first: &Vector3<f64>, second: Option<Vector3<f64>>) -> Rotation3<f64> {
    let away = |v: Vector3<f64>| v - first * first.dot(&v);
    let second = second.map(away).filter(|v| v.norm() > 1e-6);
    let second = second.unwrap_or_else(|| {
        let mut other = Vector3::zeros();
        other[first.iamin()] = 1.0;
        away(other)
    });
    let second = second.normalize();
    Rotation3::from_matrix_unchecked(Matrix3::from_columns(&[*first, second, first.cross(&second)]))
}

impl Compiler<'_> {
    /// Appends a body's operations and says where its frame ends up.
    fn body(&mut self, start: Place, operations: &[Operation], scales: &Scales) -> Place {
        let steps: Vec<Step> = operations.iter().map(|o| step(o, scales)).collect();
        let mut at = start;
        // The body's own link, once it moves.
        let mut opened = false;
        for (i, step) in steps.iter().enumerate() {
            if let Step::Fixed(rotation, displacement) = step {
                at.origin += at.rotation * displacement;
                at.rotation *= rotation;
                continue;
            }
            if !opened {
                opened = true;
                self.table.link_parent.push(at.link as u32);
                self.paths.push(self.paths[at.link].clone());
                at.link = self.table.link_parent.len() - 1;
            }
            match step {
                Step::Fixed(..) => {}
                Step::Rotate(axis, coordinate, function) => {
                    self.shift(&mut at);
                    let mut along = at.rotation * axis.into_inner();
                    if own_axis(&along).is_none() {
                        let turn = if own_axis(axis).is_some() {
                            at.rotation
                        } else {
                            frame(&along, self.next_axis(&at.rotation, &steps[i + 1..]))
                        };
                        self.turn(&mut at, &turn);
                        along = at.rotation * axis.into_inner();
                    }
                    // After the turn it is one of the axes but for rounding.
                    let (k, sign) = own_axis(&along).unwrap_or((along.iamax() as u8, along[along.iamax()].signum()));
                    let m = self.motion(motion::ANGLE, *coordinate, function, sign);
                    self.column(&at, &[*coordinate], true);
                    self.operation(operation::ROTATE + k, m, &[]);
                }
                Step::Slide(axis, scale, coordinate, function) => {
                    let along = at.rotation * axis.into_inner();
                    let own = own_axis(&along);
                    let m =
                        self.motion(motion::LENGTH, *coordinate, function, scale * own.map_or(1.0, |(_, sign)| sign));
                    self.column(&at, &[*coordinate], false);
                    match own {
                        Some((k, _)) => self.operation(operation::SLIDE + k, m, &[]),
                        None => self.operation(operation::SLIDE_ALONG, m, along.as_slice()),
                    }
                }
                Step::Rotor(rotor) => {
                    self.shift(&mut at);
                    let turn = at.rotation;
                    if (turn.matrix() - Matrix3::identity()).amax() > ALIGNED {
                        self.turn(&mut at, &turn);
                    }
                    let coordinates = self.skeleton.rotors[rotor.index()].coordinates;
                    self.column(&at, &coordinates, true);
                    self.operation(operation::ROTOR, rotor.0, &[]);
                }
            }
        }
        if opened {
            self.table.link_start.push(self.table.operation_code.len() as u32);
        }
        at
    }

    /// The axis of the next rotation, in the axes `rotation` leads to, as far as nothing moves in between.
    fn next_axis(&self, rotation: &Rotation3<f64>, steps: &[Step]) -> Option<Vector3<f64>> {
        let mut rotation = *rotation;
        for step in steps {
            match step {
                Step::Fixed(turn, _) => rotation *= turn,
                Step::Slide(..) => {}
                Step::Rotate(axis, ..) => return Some(rotation * axis.into_inner()),
                Step::Rotor(_) => return None,
            }
        }
        None
    }

    /// Applies the displacement carried along.
    fn shift(&mut self, at: &mut Place) {
        if at.origin != Vector3::zeros() {
            self.no_column();
            self.operation(operation::SHIFT, NONE, at.origin.as_slice());
            at.origin = Vector3::zeros();
        }
    }

    /// Turns the link's frame, the displacement carried along being applied.
    fn turn(&mut self, at: &mut Place, turn: &Rotation3<f64>) {
        self.no_column();
        self.operation(operation::TURN, NONE, turn.matrix().as_slice());
        // Of the very turn nothing is left, not even rounding.
        at.rotation = if at.rotation == *turn { Rotation3::identity() } else { turn.inverse() * at.rotation };
    }

    /// The last of an operation's arrays; its columns have been pushed before.
    fn operation(&mut self, code: u8, motion: u32, constants: &[f64]) {
        let t = &mut self.table;
        t.operation_code.push(code);
        t.operation_motion.push(motion);
        t.operation_constant.push(if constants.is_empty() { NONE } else { t.constants.len() as u32 });
        t.constants.extend(constants);
    }

    fn motion(&mut self, code: u8, coordinate: CoordinateId, function: &Function, factor: f64) -> u32 {
        let t = &mut self.table;
        t.motion_code.push(code);
        t.motion_coordinate.push(coordinate.0);
        self.stages.extend(stages(function, factor));
        t.motion_start.push(self.stages.len() as u32);
        t.motion_code.len() as u32 - 1
    }

    fn no_column(&mut self) {
        self.table.operation_column.push(NONE);
        self.table.operation_onto.push(NONE);
    }

    /// The columns of the next operation, one of each coordinate, and what they add to.
    fn column(&mut self, at: &Place, coordinates: &[CoordinateId], turns: bool) {
        if coordinates.iter().any(|c| !self.free[c.index()]) {
            return self.no_column();
        }
        let inherited = self.paths[self.table.link_parent[at.link] as usize].clone();
        let find = |path: &[(u32, u32)], c: CoordinateId| path.iter().find(|p| p.0 == c.0).map(|p| p.1);
        let first = coordinates[0];
        let before = find(&self.paths[at.link], first);
        let own = before.filter(|_| before != find(&inherited, first));
        let (column, onto) = match own {
            Some(column) => (column, column),
            None => (self.table.column_coordinate.len() as u32, before.unwrap_or(NONE)),
        };
        for (i, c) in coordinates.iter().enumerate() {
            let this = column as usize + i;
            if own.is_none() {
                let turned = onto != NONE && self.table.column_turns[onto as usize + i] != 0;
                self.table.column_coordinate.push(c.0);
                self.table.column_turns.push(u8::from(turned));
                self.paths[at.link].retain(|p| p.0 != c.0);
                self.paths[at.link].push((c.0, this as u32));
            }
            self.table.column_turns[this] |= u8::from(turns);
        }
        self.table.operation_column.push(column);
        self.table.operation_onto.push(onto);
    }

    /// Stages, columns by link, markers by link, bodies.
    fn finish(mut self, places: &[Place], scales: &Scales, offsets: &Offsets) -> Table<f64> {
        let t = &mut self.table;
        for stage in &self.stages {
            t.stage_code.push(stage.code());
            t.parameters.extend(stage.parameters());
            t.stage_start.push(t.parameters.len() as u32);
        }
        for path in &mut self.paths {
            path.sort_unstable();
            t.link_column_start.push(t.link_column.len() as u32);
            t.link_column.extend(path.iter().map(|p| p.1));
        }
        t.link_column_start.push(t.link_column.len() as u32);

        let markers = &self.skeleton.markers;
        for link in 0..t.link_parent.len() {
            t.link_marker_start.push(t.marker.len() as u32);
            for (i, marker) in markers.iter().enumerate() {
                let place = &places[marker.body.index()];
                if place.link == link {
                    let factors = Vector3::from(scales.0[marker.body.index()]);
                    let on_body = marker.location.component_mul(&factors) + offsets.0[i];
                    t.marker.push(i as u32);
                    t.marker_place.extend((place.origin + place.rotation * on_body).iter());
                }
            }
        }
        t.link_marker_start.push(t.marker.len() as u32);
        let mut pairs = 0;
        for marker in markers {
            t.pair_start.push(pairs);
            pairs += self.paths[places[marker.body.index()].link].len() as u32;
        }
        t.pair_start.push(pairs);

        for place in places {
            t.body_link.push(place.link as u32);
            t.body_rotation.extend(place.rotation.matrix().iter());
            t.body_origin.extend(place.origin.iter());
        }
        self.table
    }
}
