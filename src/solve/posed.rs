//! The body at some parameters, frame by frame.

use super::problem::{Parameters, Problem};
use crate::kinematics::{Frame, forward};
use crate::skeleton::{Offsets, Scales};
use crate::trajectory::{Pose, Trajectory};
use rayon::prelude::*;

/// What all frames share.
pub(super) struct Body<'a> {
    problem: &'a Problem,
    parameters: &'a Parameters,
    scales: Scales,
    offsets: Offsets,
}

/// Room for a frame.
pub(super) struct Room {
    pose: Pose,
    pub frame: Frame,
}

impl<'a> Body<'a> {
    pub fn new(problem: &'a Problem, parameters: &'a Parameters) -> Self {
        let (scales, offsets) = (problem.all_scales(parameters), problem.all_offsets(parameters));
        Self { problem, parameters, scales, offsets }
    }

    pub fn room(&self) -> Room {
        Room { pose: self.problem.layout.default_pose(), frame: Frame::new(self.problem.mechanism.skeleton()) }
    }

    /// Bodies and markers in a frame of a trial, as `room.frame`.
    pub fn pose(&self, trial: usize, frame: usize, room: &mut Room) {
        let Room { pose, frame: out } = room;
        self.parameters.trajectories[trial].pose(self.problem.trials[trial].times[frame], pose);
        forward(self.problem.mechanism.skeleton(), &self.scales, &self.offsets, &pose.q, &pose.rotors, out);
    }
}

/// What `write` makes of every frame of a trial: of frame `f`, the numbers `start[f] .. start[f + 1]`. Nothing where `start` is shorter than that.
pub(super) fn of_frames<T: Copy + Send>(
    body: &Body,
    trial: usize,
    start: &[usize],
    none: T,
    write: impl Fn(&Frame, usize, &mut [T]) + Sync,
) -> Vec<T> {
    let mut all = vec![none; start.last().copied().unwrap_or(0)];
    let mut frames = Vec::with_capacity(start.len());
    let mut rest = all.as_mut_slice();
    for pair in start.windows(2) {
        let (own, others) = rest.split_at_mut(pair[1] - pair[0]);
        frames.push(own);
        rest = others;
    }
    let one = |room: &mut Room, (f, own): (usize, &mut [T])| {
        body.pose(trial, f, room);
        write(&room.frame, f, own);
    };
    frames.into_par_iter().enumerate().for_each_init(|| body.room(), one);
    all
}
