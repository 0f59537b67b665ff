//! Poses from 3-D markers, every frame on its own: what OpenSim's inverse kinematics does.

use super::result::{NEAR_SINGULARITY, angle_deviations, follow_deviations};
use super::superpose::Superposition;
use crate::error::{Error, Result};
use crate::kinematics::{Frame, Mechanism, forward};
use crate::math::median;
use crate::session::coordinates::CoordinateTable;
use crate::session::markers::MarkerTrial;
use crate::session::tasks::{IkTasks, Target};
use crate::skeleton::{CoordinateId, MarkerId, Motion, Offsets, ScaleGroups, Scales, Skeleton};
use crate::solve::{CoordinateGoal, IkOutcome, IkVariances, IkWorkspace, InverseKinematics};
use crate::trajectory::Pose;
use nalgebra::{Rotation3, Vector3};

/// Fewest markers of a frame that a first pose can be laid onto.
const MIN_POINTS: usize = 3;

/// A frame whose objective is this many times that of the last good one is tried again from other starts,
const SUSPICIOUS: f64 = 4.0;
/// if it is also larger than this, m²: a millimetre.
const WORTH_A_RETRY: f64 = 1e-6;
/// After so many such frames in a row their level is taken for what the markers are worth now.
const NEW_LEVEL: usize = 10;

/// Another minimum is one that is lower by this share.
const BETTER: f64 = 1e-6;

/// Markers further from the origin than this are in another unit or no markers, metres.
const FURTHEST: f64 = 1e4;

/// A coordinate that errors of a centimetre in the markers turn by more than this is not observed by them, radians: the arm to them is shorter than errors are.
pub const UNOBSERVED_SD: f64 = 0.7;
/// The same of one that moves, metres.
pub const UNOBSERVED_SD_M: f64 = 0.1;
/// That centimetre, along each axis: what skin and landmarks that are found by hand are off by.
const TYPICAL_ERROR: f64 = 0.01;

/// A coordinate that the markers do not observe in some frames of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unobserved {
    /// Which.
    pub coordinate: CoordinateId,
    /// In how many of the frames that show three markers or more.
    pub frames: usize,
    /// How many such frames there are.
    pub of: usize,
}

/// Poses of a trial.
#[derive(Debug, Clone, PartialEq)]
pub struct IkFit {
    /// Markers that were followed: those of model and trial with a weight.
    pub markers: Vec<MarkerId>,
    /// The weight of each.
    pub weights: Vec<f64>,
    /// Markers of the trial that the model does not have.
    pub not_in_model: Vec<String>,
    /// Markers of the model that the trial does not have.
    pub not_in_trial: Vec<String>,
    /// Coordinates of every frame, file order, radians and metres; dependent and locked ones too, angles without jumps by whole turns.
    pub q: Vec<Vec<f64>>,
    /// Standard deviations of the coordinates, `[frame][coordinate]`, radians and metres; infinite where no marker tells a coordinate, `None` where an angle is near its singularity, or none were computed.
    pub q_sd: Vec<Vec<Option<f64>>>,
    /// Free coordinates that the markers do not observe in some frame: what they are there is the last frame's, a bound's or a prior's.
    pub unobserved: Vec<Unobserved>,
    /// Where the model has each followed marker, in every frame, metres in ground.
    pub positions: Vec<Vec<Vector3<f64>>>,
    /// Figures of every frame.
    pub frames: Vec<IkFrame>,
}

/// Figures of one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct IkFrame {
    /// OpenSim's objective, m²: `Σ w‖e‖²/Σ w` over the markers seen, and the coordinates' tasks.
    pub cost: f64,
    /// Squared distance of each followed marker, m²; `None` where it was not seen.
    pub squared: Vec<Option<f64>>,
    /// Steps tried.
    pub iterations: usize,
    /// Whether nothing was left to gain.
    pub converged: bool,
}

impl IkFrame {
    /// Root mean square over the markers seen, metres; `None` without any.
    pub fn rms(&self) -> Option<f64> {
        let seen: Vec<f64> = self.squared.iter().flatten().copied().collect();
        (!seen.is_empty()).then(|| (seen.iter().sum::<f64>() / seen.len() as f64).sqrt())
    }

    /// Largest distance of a marker seen, metres, and which it is.
    pub fn largest(&self) -> Option<(usize, f64)> {
        let seen = self.squared.iter().enumerate().filter_map(|(i, s)| Some((i, (*s)?.sqrt())));
        seen.max_by(|a, b| a.1.total_cmp(&b.1))
    }
}

/// Fits the pose of every frame to the trial's markers, from one frame to the next, model and markers as they are. Without tasks all markers weigh the same. Ranges of clamped
/// coordinates are kept, but for the three angles of a body that is free in space: it may turn as it likes.
/// A trial whose file tells its vertical is turned onto the model's. Standard deviations are those of least squares: markers err independently, each with a variance in inverse
/// proportion to its weight, whose level the errors of the whole trial tell; bounds and tasks of coordinates count for nothing. `coordinates` is the file that tasks `from_file` refer to.
///
/// # Errors
/// Fewer than three markers in common, none of them ever seen, or one of them kilometres away; tasks for coordinates that the model does not have; a task that refers to a file when there is none, or to
/// a column or a time that the file does not have; a model in which nothing can move.
pub fn inverse_kinematics(
    trial: &MarkerTrial,
    skeleton: &Skeleton,
    tasks: Option<&IkTasks>,
    coordinates: Option<&CoordinateTable>,
) -> Result<IkFit> {
    let followed_here = followed_markers(trial, skeleton, tasks)?;
    let columns = &followed_here.columns;
    let mechanism = Mechanism::new(skeleton.with_unclamped_rotors(), ScaleGroups::default());
    let fitted = mechanism.skeleton();
    let (scales, offsets) = (Scales::ones(skeleton), Offsets::zeros(skeleton));
    let followed: Vec<(MarkerId, f64)> = columns.iter().map(|c| (c.1, c.2)).collect();
    let problem = InverseKinematics::new(&mechanism, scales.clone(), offsets.clone(), &followed);
    if problem.layout().dofs() == 0 {
        return Err(nothing_moves(skeleton));
    }
    let goals = Goals::new(tasks, coordinates, skeleton)?;
    let turn = followed_here.turn;
    let depths: Vec<usize> = columns.iter().map(|c| depth(fitted, fitted.markers[c.1.index()].body.index())).collect();
    let deepest = depths.iter().copied().max().unwrap_or(0);
    let mut superposition = Superposition::new(&mechanism, problem.layout(), scales.clone());
    let mut work = problem.workspace();
    let mut frame = Frame::new(fitted);
    // Where the frame before ended, and the last frame that fitted as well as its neighbours, with its objective.
    let (mut before, mut good): (Option<Pose>, Option<(Pose, f64)>) = (None, None);
    // With tasks of coordinates: where the markers alone lead, and what was last given up for something better.
    let (mut by_markers, mut left): (Option<Pose>, Option<Pose>) = (None, None);
    let mut streak = 0;
    let mut near: Vec<[f64; 3]> =
        fitted.rotors.iter().map(|r| r.coordinates.map(|c| skeleton.coordinates[c.index()].default)).collect();
    let (mut q_all, mut positions, mut frames) = (Vec::new(), Vec::new(), Vec::<IkFrame>::new());
    let of_markers = columns.iter().map(|c| c.1);
    let mut observer = Observer::new(skeleton, &mechanism, scales.clone(), offsets.clone(), of_markers);
    let same_weights = columns.iter().all(|c| c.2 == columns[0].2);
    // Per unit of the heaviest marker's variance, until that is known.
    let mut q_sd: Vec<Vec<Option<f64>>> = Vec::new();
    let mut points = Vec::with_capacity(columns.len());
    for (f, &time) in trial.times.iter().enumerate() {
        points.clear();
        points.extend(columns.iter().map(|c| trial.get(f, c.0).map(|p| turn * p)));
        let goals = goals.at(time)?;
        let mut fresh = |work: &mut IkWorkspace| {
            let seen: Vec<(MarkerId, Vector3<f64>)> =
                columns.iter().zip(&points).filter_map(|(c, p)| Some((c.1, (*p)?))).collect();
            let mut pose = superposition.pose(&seen);
            // From the trunk outwards: a hand far from where the default pose has it must not bend the spine to get there.
            for depth in 1..=deepest {
                let near: Vec<_> = points.iter().zip(&depths).map(|(p, d)| p.filter(|_| *d <= depth)).collect();
                problem.solve(&near, &[], &mut pose, work);
            }
            pose
        };
        let mut here = before.clone().unwrap_or_else(|| fresh(&mut work));
        let mut outcome = problem.solve(&points, &goals, &mut here, &mut work);
        let tracked = (!goals.is_empty()).then(|| (here.clone(), outcome.cost));
        let limit = good.as_ref().map_or(WORTH_A_RETRY, |g| WORTH_A_RETRY.max(SUSPICIOUS * g.1));
        let mut first = goals.is_empty();
        let suspicious = |outcome: &IkOutcome| !outcome.converged || outcome.cost > limit;
        if suspicious(&outcome) {
            first = false;
            for mut other in good.iter().map(|g| g.0.clone()).chain([fresh(&mut work)]) {
                let again = problem.solve(&points, &goals, &mut other, &mut work);
                // A finite one before any other.
                if again.cost < outcome.cost || !outcome.cost.is_finite() {
                    (here, outcome) = (other, again);
                }
            }
        }
        if let Some((tracked, cost)) = tracked {
            // Tasks that pull against the markers can turn a pose over, and would hold it there: where the markers alone lead is always worth a look, and where the last pose that was left.
            let mut alone = by_markers.take().unwrap_or_else(|| fresh(&mut work));
            problem.solve(&points, &[], &mut alone, &mut work);
            for mut other in [Some(alone.clone()), left.clone()].into_iter().flatten() {
                let again = problem.solve(&points, &goals, &mut other, &mut work);
                if again.converged && again.cost < (1.0 - BETTER) * outcome.cost {
                    (here, outcome) = (other, again);
                }
            }
            by_markers = Some(alone);
            if cost > (1.0 + BETTER) * outcome.cost {
                left = Some(tracked);
            } else if let Some(left) = &mut left {
                problem.solve(&points, &goals, left, &mut work);
            }
        }
        streak = if suspicious(&outcome) { streak + 1 } else { 0 };
        if points.iter().flatten().count() >= MIN_POINTS && (streak == 0 || streak > NEW_LEVEL) && outcome.converged {
            good = Some((here.clone(), outcome.cost));
            streak = 0;
        }
        before = if outcome.converged { Some(here.clone()) } else { good.as_ref().map(|g| g.0.clone()) };
        forward(fitted, &scales, &offsets, &here.q, &here.rotors, &mut frame);
        let squared = columns
            .iter()
            .zip(&points)
            .map(|(c, p)| p.map(|p| (frame.markers[c.1.index()] - p).norm_squared()))
            .collect();
        let variances = problem.variances(&points, &here, first, &mut work);
        let mut q = here.q.clone();
        let (angles, mut sd) = coordinate_deviations(fitted, &problem, &variances, &here, &near);
        near = angles;
        for (rotor, angles) in fitted.rotors.iter().zip(&near) {
            for k in 0..3 {
                q[rotor.coordinates[k].index()] = angles[k];
            }
        }
        match same_weights {
            true if points.iter().flatten().count() >= MIN_POINTS => observer.count(&sd),
            true => {}
            false => observer.look(&points, &here),
        }
        skeleton.resolve_couplings(&mut q);
        follow_deviations(skeleton, &q, &mut sd);
        q_sd.push(sd);
        q_all.push(q);
        positions.push(columns.iter().map(|c| frame.markers[c.1.index()]).collect());
        frames.push(IkFrame {
            cost: outcome.cost,
            squared,
            iterations: outcome.iterations,
            converged: outcome.converged,
        });
    }
    let unobserved = observer.found();
    let never = unobserved.iter().filter(|u| u.frames == u.of).count();
    let noise = noise(&frames, columns, problem.layout().dofs().saturating_sub(never));
    for sd in q_sd.iter_mut().flatten() {
        *sd = noise.and_then(|noise| Some(noise * (*sd)?));
    }
    Ok(IkFit {
        q_sd,
        unobserved,
        markers: columns.iter().map(|c| c.1).collect(),
        weights: columns.iter().map(|c| c.2).collect(),
        not_in_model: followed_here.not_in_model,
        not_in_trial: followed_here.not_in_trial,
        q: q_all,
        positions,
        frames,
    })
}

/// The standard deviation of the heaviest marker along each axis, metres, from the errors of the frames that have more of them than degrees of freedom; `None` without such.
fn noise(frames: &[IkFrame], columns: &[(usize, MarkerId, f64)], dofs: usize) -> Option<f64> {
    let heaviest = columns.iter().map(|c| c.2).fold(0.0, f64::max);
    let (mut sum, mut left) = (0.0, 0);
    for frame in frames {
        let seen = 3 * frame.squared.iter().flatten().count();
        if seen > dofs {
            left += seen - dofs;
            sum += columns.iter().zip(&frame.squared).filter_map(|(c, s)| Some(c.2 / heaviest * (*s)?)).sum::<f64>();
        }
    }
    (left > 0).then(|| (sum / left as f64).sqrt())
}

/// Counts the frames in which coordinates are not observed, whatever weights the markers have: where they are is what tells.
pub(super) struct Observer<'a> {
    skeleton: &'a Skeleton,
    problem: InverseKinematics<'a>,
    work: IkWorkspace,
    counts: Vec<usize>,
    frames: usize,
}

impl<'a> Observer<'a> {
    /// Of these markers; the mechanism is the skeleton's, with rotors.
    pub fn new(
        skeleton: &'a Skeleton,
        mechanism: &'a Mechanism,
        scales: Scales,
        offsets: Offsets,
        markers: impl Iterator<Item = MarkerId>,
    ) -> Self {
        let followed: Vec<(MarkerId, f64)> = markers.map(|m| (m, 1.0)).collect();
        let problem = InverseKinematics::new(mechanism, scales, offsets, &followed);
        let work = problem.workspace();
        Self { skeleton, problem, work, counts: vec![0; skeleton.coordinates.len()], frames: 0 }
    }

    /// A frame with its pose.
    pub fn look(&mut self, points: &[Option<Vector3<f64>>], pose: &Pose) {
        if points.iter().flatten().count() < MIN_POINTS {
            return;
        }
        let variances = self.problem.variances(points, pose, false, &mut self.work);
        let near = vec![[0.0; 3]; variances.rotors.len()];
        let sd = coordinate_deviations(self.problem.mechanism().skeleton(), &self.problem, &variances, pose, &near).1;
        self.count(&sd);
    }

    /// A frame whose deviations, per metre of the markers', are known.
    fn count(&mut self, sd: &[Option<f64>]) {
        self.frames += 1;
        for (count, (sd, c)) in self.counts.iter_mut().zip(sd.iter().zip(&self.skeleton.coordinates)) {
            let limit = match c.motion {
                Motion::Translational => UNOBSERVED_SD_M,
                _ => UNOBSERVED_SD,
            };
            *count += usize::from(!c.locked && c.coupling.is_none() && sd.is_some_and(|sd| TYPICAL_ERROR * sd > limit));
        }
    }

    /// Those that were not observed in any frame or some.
    pub fn found(self) -> Vec<Unobserved> {
        let of = self.frames;
        let all = self.counts.into_iter().enumerate().filter(|(_, frames)| *frames > 0);
        all.map(|(i, frames)| Unobserved { coordinate: CoordinateId(i as u32), frames, of }).collect()
    }
}

/// Angles of the rotors nearest to those before, and the deviations of all coordinates that move by themselves.
fn coordinate_deviations(
    fitted: &Skeleton,
    problem: &InverseKinematics<'_>,
    variances: &IkVariances,
    pose: &Pose,
    near: &[[f64; 3]],
) -> (Vec<[f64; 3]>, Vec<Option<f64>>) {
    let mut sd: Vec<Option<f64>> = vec![None; fitted.coordinates.len()];
    for (&c, variance) in problem.layout().coordinates.iter().zip(&variances.scalars) {
        sd[c] = Some(variance.sqrt());
    }
    let mut all = Vec::with_capacity(near.len());
    for (r, rotor) in fitted.rotors.iter().enumerate() {
        let (angles, distance) = rotor.angles_from_rotation(&pose.rotors[r], near[r]);
        let covariance = &variances.rotors[r];
        let deviations = match covariance.iter().all(|v| v.is_finite()) {
            true if distance > NEAR_SINGULARITY => angle_deviations(rotor, angles, covariance),
            true => None,
            false => Some([f64::INFINITY; 3]),
        };
        for k in 0..3 {
            sd[rotor.coordinates[k].index()] = deviations.map(|d| d[k]);
        }
        all.push(angles);
    }
    (all, sd)
}

/// A model without a degree of freedom.
pub(super) fn nothing_moves(skeleton: &Skeleton) -> Error {
    Error::input(
        format_args!("model `{}`", skeleton.name),
        "has no coordinate that may move: every one is locked, dependent, or missing",
        "give a model with joints, and unlock what is to be fitted",
    )
}

/// The markers of a trial that are followed.
pub(super) struct FollowedMarkers {
    /// Column in the trial, marker of the model, weight above 0.
    pub columns: Vec<(usize, MarkerId, f64)>,
    /// Markers of the trial that the model does not have.
    pub not_in_model: Vec<String>,
    /// Markers of the model that the trial does not have.
    pub not_in_trial: Vec<String>,
    /// Takes positions of the file to the model's ground.
    pub turn: Rotation3<f64>,
}

/// Which markers trial and model share, each with its weight.
///
/// # Errors
/// Fewer than three, none of them ever seen, one of them kilometres away, or all of them spread as no body of the model's size.
pub(super) fn followed_markers(
    trial: &MarkerTrial,
    skeleton: &Skeleton,
    tasks: Option<&IkTasks>,
) -> Result<FollowedMarkers> {
    let weight = |name: &str| tasks.map_or(1.0, |t| t.marker_weight(name));
    let columns: Vec<(usize, MarkerId, f64)> = trial
        .names
        .iter()
        .enumerate()
        .filter_map(|(column, name)| Some((column, skeleton.marker(name)?, weight(name))))
        .filter(|c| c.2 > 0.0)
        .collect();
    if columns.len() < MIN_POINTS {
        return Err(Error::input(
            &trial.label,
            format_args!(
                "{} of the trial's {} markers are in the model `{}` and have a weight; at least {MIN_POINTS} are needed",
                columns.len(),
                trial.names.len(),
                skeleton.name
            ),
            format_args!(
                "{}give the model's marker set (--marker-set), or check the weights in the tasks",
                names_apart(trial, skeleton)
            ),
        ));
    }
    let mut any = false;
    for (f, time) in trial.times.iter().enumerate() {
        for (column, _, _) in &columns {
            let Some(p) = trial.get(f, *column) else { continue };
            any = true;
            if p.iter().any(|x| x.abs() > FURTHEST) {
                return Err(Error::input(
                    format_args!("{}, marker `{}` at {time} s", trial.label, trial.names[*column]),
                    format_args!("is {:.1e} m from the origin", p.norm()),
                    "check the unit the file states, or take the marker out of that frame",
                ));
            }
        }
    }
    if !any {
        return Err(Error::input(
            &trial.label,
            "no frame holds any marker that the model has",
            "export the trial again; blank and NaN are missing markers",
        ));
    }
    check_size(trial, skeleton, &columns)?;
    let in_trial = |name: &str| trial.names.iter().any(|n| n == name);
    Ok(FollowedMarkers {
        columns,
        not_in_model: trial.names.iter().filter(|n| skeleton.marker(n).is_none()).cloned().collect(),
        not_in_trial: skeleton.markers.iter().map(|m| m.name.clone()).filter(|n| !in_trial(n)).collect(),
        turn: trial.ground_from_file(skeleton.up),
    })
}

/// What the names of a trial and of a model that share too few look like.
pub(super) fn names_apart(trial: &MarkerTrial, skeleton: &Skeleton) -> String {
    const SHOWN: usize = 4;
    let spelt = |name: &str| -> String {
        name.rsplit(':')
            .next()
            .unwrap_or(name)
            .chars()
            .filter(|c| c.is_alphanumeric())
            .collect::<String>()
            .to_lowercase()
    };
    let pairs = trial.names.iter().filter_map(|name| {
        let wanted = spelt(name);
        let own =
            skeleton.markers.iter().find(|m| m.name != *name && !wanted.is_empty() && spelt(&m.name) == wanted)?;
        Some(format!("`{name}` for `{}`", own.name))
    });
    let pairs: Vec<String> = pairs.collect();
    if !pairs.is_empty() {
        let shown = pairs[..pairs.len().min(SHOWN)].join(", ");
        return format!(
            "{} names are only spelt in another way ({shown}): rename them in one of the files; or ",
            pairs.len()
        );
    }
    let list = |names: Vec<&str>| match names.len() {
        0 => "none".to_owned(),
        n if n > SHOWN => format!("{}, …", names[..SHOWN].join(", ")),
        _ => names.join(", "),
    };
    format!(
        "the trial has {}, the model {}: ",
        list(trial.names.iter().map(|n| n.as_str()).collect()),
        list(skeleton.markers.iter().map(|m| m.name.as_str()).collect())
    )
}

/// Markers of one body that are this many times as far from each other as the model has them, or nearer by as much, are in another unit: an infant's are three times
/// closer than an adult's, millimetres taken for centimetres ten times wider.
const ANOTHER_UNIT: f64 = 6.0;

/// The same of markers of several bodies, which may stand anywhere.
const ANOTHER_UNIT_APART: f64 = 60.0;

/// Distances on one body that tell its size, root mean square, metres: less could be how markers were stuck on.
const TELLING: f64 = 0.04;

/// Frames in which the distances of the markers are looked at.
const LOOKED_AT: usize = 50;

/// Refuses a trial whose unit is not the one it states.
fn check_size(trial: &MarkerTrial, skeleton: &Skeleton, columns: &[(usize, MarkerId, f64)]) -> Result<()> {
    let q: Vec<f64> = skeleton.coordinates.iter().map(|c| c.default).collect();
    let mut frame = Frame::new(skeleton);
    let (ones, zeros) = (Scales::ones(skeleton), Offsets::zeros(skeleton));
    forward(skeleton, &ones, &zeros, &q, &skeleton.rotor_rotations(&q), &mut frame);
    let body = |m: MarkerId| skeleton.markers[m.index()].body;
    // Squared distances as found and as the model has them, of pairs on one body, or of all.
    let ratio = |same_body: bool| {
        let mut ratios = Vec::new();
        for f in (0..trial.frames()).step_by(trial.frames().div_ceil(LOOKED_AT).max(1)) {
            let (mut found, mut own, mut count) = (0.0, 0.0, 0);
            for (i, a) in columns.iter().enumerate() {
                for b in columns[..i].iter().filter(|b| !same_body || body(a.1) == body(b.1)) {
                    if let (Some(p), Some(q)) = (trial.get(f, a.0), trial.get(f, b.0)) {
                        found += (p - q).norm_squared();
                        own += (frame.markers[a.1.index()] - frame.markers[b.1.index()]).norm_squared();
                        count += 1;
                    }
                }
            }
            if own > TELLING * TELLING * f64::from(count) {
                ratios.push((found / own).sqrt());
            }
        }
        median(&mut ratios)
    };
    let (ratio, limit, of) = match ratio(true) {
        Some(ratio) => (ratio, ANOTHER_UNIT, "of the same bodies "),
        None => match ratio(false) {
            Some(ratio) => (ratio, ANOTHER_UNIT_APART, ""),
            None => return Ok(()),
        },
    };
    if (limit.recip()..=limit).contains(&ratio) || !ratio.is_finite() {
        return Ok(());
    }
    let times = if ratio > 1.0 { format!("{ratio:.0} times") } else { format!("1/{:.0}", ratio.recip()) };
    Err(Error::input(
        &trial.label,
        format_args!(
            "its markers {of}are {times} as far apart as those of the model `{}`: the unit of one of them is not what it says",
            skeleton.name
        ),
        "check the unit that the file states (Units, or POINT:UNITS), and that the model is in metres",
    ))
}

/// How many bodies lie between a body and ground, itself included.
fn depth(skeleton: &Skeleton, mut body: usize) -> usize {
    let mut depth = 0;
    while body > 0 {
        depth += 1;
        body = skeleton.bodies[body].parent.index();
    }
    depth
}

/// The coordinates' tasks, and the file that some of them refer to.
struct Goals<'a> {
    fixed: Vec<CoordinateGoal>,
    from_file: Vec<(CoordinateGoal, usize)>,
    table: Option<&'a CoordinateTable>,
}

impl<'a> Goals<'a> {
    fn new(tasks: Option<&IkTasks>, table: Option<&'a CoordinateTable>, skeleton: &Skeleton) -> Result<Self> {
        let mut goals = Self { fixed: Vec::new(), from_file: Vec::new(), table };
        let applied = tasks.map_or(&[][..], |t| &t.coordinates[..]).iter().filter(|t| t.apply && t.weight > 0.0);
        for task in applied {
            let place = format!("task of coordinate `{}`", task.name);
            let Some(coordinate) = skeleton.coordinate(&task.name) else {
                let problem = format!("the model `{}` has no coordinate of that name", skeleton.name);
                return Err(Error::input(place, problem, "remove the task, or set its <apply> to false"));
            };
            let own = &skeleton.coordinates[coordinate.index()];
            let mut goal = CoordinateGoal { coordinate, weight: task.weight, target: own.default };
            match task.target {
                Target::Default => goals.fixed.push(goal),
                Target::Manual(value) => {
                    goal.target = value;
                    goals.fixed.push(goal);
                }
                Target::FromFile => match table.and_then(|t| t.column(&task.name)) {
                    Some(column) => goals.from_file.push((goal, column)),
                    None => {
                        return Err(Error::input(
                            place,
                            "takes its value from a file of coordinates, and there is no such file or no such column in it",
                            "give the file with --coordinates, or another <value_type>",
                        ));
                    }
                },
            }
        }
        Ok(goals)
    }

    /// Goals at a time, values of the file taken linearly between its rows.
    fn at(&self, time: f64) -> Result<Vec<CoordinateGoal>> {
        let mut goals = self.fixed.clone();
        if let Some(table) = self.table {
            for (goal, column) in &self.from_file {
                let value = table.at(time, *column).ok_or_else(|| {
                    Error::input(
                        "--coordinates",
                        format_args!("has no value of `{}` at {time} s", table.names[*column]),
                        "give a file that covers the whole trial, or fewer frames",
                    )
                })?;
                goals.push(CoordinateGoal { target: value, ..*goal });
            }
        }
        Ok(goals)
    }
}
