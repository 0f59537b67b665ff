//! Markers whose names were exchanged: two, each labelled as the other, for some frames or throughout.
//!
//! For some frames: each lies much nearer to where the model, fitted to everything, has the other ([`find_exchanged`]). Throughout: a fit with free offsets takes each for where the other
//! is, and nothing is left over; but then the offsets lead from one's place in the model to the other's ([`find_misnamed`]).

use super::inverse_kinematics::FollowedMarkers;
use super::result::poses;
use crate::math::median;
use crate::session::markers::MarkerTrial;
use crate::skeleton::{MarkerId, Skeleton};
use crate::solve::{Parameters, Problem};
use nalgebra::Vector3;
use std::collections::BTreeMap;
use std::ops::Range;

/// Markers of the model nearer to each other than this are not told apart by where they are, metres.
const TELLING: f64 = 0.03;

/// Exchanged, the two have to be this many times nearer to where the model has them, in the sum of squares,
const BETTER: f64 = 9.0;

/// and that sum has to fall by this many times the noise's variance: e⁻⁵⁰ is no chance in any trial.
const SURE: f64 = 100.0;

/// Of two exchanged throughout, the squared offsets have to fall by this many times their usual variance: e⁻¹⁰ for each of the some hundred pairs of a marker set.
const SURE_OF_OFFSETS: f64 = 20.0;

/// Median length of a vector of three normal numbers of variance 1.
const MEDIAN_LENGTH: f64 = 1.538;

/// Two markers of a trial that bear each other's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Their columns in the trial.
    pub columns: [usize; 2],
    /// Their names.
    pub names: [String; 2],
    /// Frames.
    pub frames: Range<usize>,
}

impl Exchange {
    /// Exchanges the two in the trial.
    pub fn mend(&self, trial: &mut MarkerTrial) {
        let markers = trial.names.len();
        for f in self.frames.clone() {
            trial.positions.swap(f * markers + self.columns[0], f * markers + self.columns[1]);
        }
    }
}

/// Puts names right in the trials, and offsets that led to the wrong ones; what was exchanged is added to `found`, by trial. Whether there was anything.
pub(super) fn mend_names(
    trials: &mut [MarkerTrial],
    followed: &[FollowedMarkers],
    problem: &Problem,
    skeleton: &Skeleton,
    parameters: &mut Parameters,
    found: &mut [Vec<Exchange>],
) -> bool {
    let misnamed = find_misnamed(followed, problem, parameters);
    let mut any = !misnamed.is_empty();
    for (i, trial) in trials.iter_mut().enumerate() {
        let column = |marker: MarkerId| followed[i].columns.iter().find(|c| c.1 == marker).map(|c| c.0);
        let mut new: Vec<Exchange> = Vec::new();
        for &[a, b] in &misnamed {
            let (Some(a), Some(b)) = (column(a), column(b)) else { continue };
            let columns = [a.min(b), a.max(b)];
            let names = columns.map(|c| trial.names[c].clone());
            new.push(Exchange { columns, names, frames: 0..trial.frames() });
        }
        new.iter().for_each(|e| e.mend(trial));
        let kinematics = poses(problem, skeleton, parameters, None, i);
        let passing = find_exchanged(trial, &followed[i], problem, &kinematics.markers);
        passing.iter().for_each(|e| e.mend(trial));
        any |= !passing.is_empty();
        new.extend(passing);
        let before = std::mem::take(&mut found[i]);
        found[i] = joined(before.into_iter().chain(new), trial.frames());
    }
    any
}

/// Finds markers of the same body whose fitted places there, `s ∘ m + o`, are much nearer to each other's place in the model than to their own, and exchanges their offsets. With free offsets
/// the data are told as well by both, and what is believed of offsets decides: their spread is that of all the others. Only pairs that every trial has both or none of.
fn find_misnamed(followed: &[FollowedMarkers], problem: &Problem, parameters: &mut Parameters) -> Vec<[MarkerId; 2]> {
    if !problem.free.offsets {
        return Vec::new();
    }
    let (skeleton, scales) = (problem.mechanism.skeleton(), problem.all_scales(parameters));
    let model: Vec<Vector3<f64>> = problem
        .markers
        .iter()
        .map(|m| {
            let marker = &skeleton.markers[m.index()];
            marker.location.component_mul(&Vector3::from(scales.0[marker.body.index()]))
        })
        .collect();
    let offsets = parameters.offsets.clone();
    let usual = median(&mut offsets.iter().map(|o| o.norm()).collect::<Vec<f64>>()).unwrap_or(0.0) / MEDIAN_LENGTH;
    let has = |f: &FollowedMarkers, m: MarkerId| f.columns.iter().any(|c| c.1 == m);
    let body = |m: MarkerId| skeleton.markers[m.index()].body;
    let mut pairs: Vec<(f64, [usize; 2])> = Vec::new();
    for (j, &b) in problem.markers.iter().enumerate() {
        for (i, &a) in problem.markers[..j].iter().enumerate() {
            if body(a) != body(b) || (model[i] - model[j]).norm() < TELLING {
                continue;
            }
            let named = offsets[i].norm_squared() + offsets[j].norm_squared();
            let across = |from: usize, to: usize| (model[from] + offsets[from] - model[to]).norm_squared();
            let exchanged = across(i, j) + across(j, i);
            let everywhere = followed.iter().all(|f| has(f, a) == has(f, b));
            if everywhere && BETTER * exchanged < named && named - exchanged > SURE_OF_OFFSETS * usual.powi(2) {
                pairs.push((named - exchanged, [i, j]));
            }
        }
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut taken = vec![false; problem.markers.len()];
    let mut out = Vec::new();
    for (_, [i, j]) in pairs {
        if taken[i] || taken[j] {
            continue;
        }
        (taken[i], taken[j]) = (true, true);
        parameters.offsets[i] = model[j] + offsets[j] - model[i];
        parameters.offsets[j] = model[i] + offsets[i] - model[j];
        out.push([problem.markers[i], problem.markers[j]]);
    }
    out
}

/// Exchanges one after the other as one list: frames in which a pair was exchanged twice are as they were.
fn joined(all: impl Iterator<Item = Exchange>, frames: usize) -> Vec<Exchange> {
    let mut by_pair: BTreeMap<[usize; 2], ([String; 2], Vec<bool>)> = BTreeMap::new();
    for e in all {
        let (_, exchanged) = by_pair.entry(e.columns).or_insert_with(|| (e.names, vec![false; frames]));
        exchanged[e.frames].iter_mut().for_each(|x| *x = !*x);
    }
    let mut out: Vec<Exchange> = Vec::new();
    for (columns, (names, exchanged)) in by_pair {
        let mut start = 0;
        for stretch in exchanged.chunk_by(|a, b| a == b) {
            let frames = start..start + stretch.len();
            start = frames.end;
            if stretch[0] {
                out.push(Exchange { columns, names: names.clone(), frames });
            }
        }
    }
    out.sort_by_key(|e| (e.frames.start, e.columns));
    out
}

/// Finds markers that lie much nearer to where the model has them (`placed`, by frame and marker, metres in ground) under each other's name; of the same body, the one may be missing while the
/// other bears its name.
fn find_exchanged(
    trial: &MarkerTrial,
    followed: &FollowedMarkers,
    problem: &Problem,
    placed: &[Vec<Vector3<f64>>],
) -> Vec<Exchange> {
    let skeleton = problem.mechanism.skeleton();
    let noise = |marker: &MarkerId| problem.markers.binary_search(marker).map_or(0.0, |s| problem.hyper.point_sigma[s]);
    let mut found: Vec<(f64, Exchange)> = Vec::new();
    for (i, (a, ma, _)) in followed.columns.iter().enumerate() {
        for (b, mb, _) in &followed.columns[..i] {
            let same_body = skeleton.markers[ma.index()].body == skeleton.markers[mb.index()].body;
            // Squared distances as they are named, and exchanged.
            let errors = |f: usize| -> Option<[f64; 2]> {
                let (pa, pb) = (placed[f][ma.index()], placed[f][mb.index()]);
                let seen = [(trial.get(f, *a), pa, pb), (trial.get(f, *b), pb, pa)];
                let missing = seen.iter().filter(|s| s.0.is_none()).count();
                if (pa - pb).norm() < TELLING || missing > usize::from(same_body) {
                    return None;
                }
                Some(seen.iter().fold([0.0, 0.0], |[named, exchanged], (x, own, other)| match x {
                    Some(x) => {
                        let x = followed.turn * x;
                        [named + (x - own).norm_squared(), exchanged + (x - other).norm_squared()]
                    }
                    None => [named, exchanged],
                }))
            };
            let errors: Vec<Option<[f64; 2]>> = (0..trial.frames()).map(errors).collect();
            let sure = SURE * noise(ma).max(noise(mb)).powi(2);
            for frames in runs(&errors) {
                let sums = errors[frames.clone()].iter().flatten().fold([0.0, 0.0], |s, e| [s[0] + e[0], s[1] + e[1]]);
                if BETTER * sums[1] < sums[0] && sums[0] - sums[1] > sure {
                    let columns = [*b.min(a), *b.max(a)];
                    let names = columns.map(|column| trial.names[column].clone());
                    found.push((sums[0] - sums[1], Exchange { columns, names, frames }));
                }
            }
        }
    }
    // A model may have several markers in one place: the pair that explains most, and none that takes part in it.
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut kept: Vec<Exchange> = Vec::new();
    for (_, e) in found {
        let clashes = |k: &Exchange| {
            k.columns.iter().any(|c| e.columns.contains(c))
                && k.frames.start < e.frames.end
                && e.frames.start < k.frames.end
        };
        if !kept.iter().any(clashes) {
            kept.push(e);
        }
    }
    kept.sort_by_key(|e| (e.frames.start, e.columns));
    kept
}

/// Stretches of frames in which exchanged is better, over frames that tell neither.
fn runs(errors: &[Option<[f64; 2]>]) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = Vec::new();
    let mut open = false;
    for (f, e) in errors.iter().enumerate() {
        match e {
            Some([named, exchanged]) if exchanged < named => {
                match out.last_mut() {
                    Some(last) if open => last.end = f + 1,
                    _ => out.push(f..f + 1),
                }
                open = true;
            }
            Some(_) => open = false,
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_end_where_names_are_right() {
        let (yes, no) = (Some([2.0, 1.0]), Some([1.0, 2.0]));
        assert_eq!(runs(&[yes, None, yes, no, None, yes, None]), [0..3, 5..6]);
        assert!(runs(&[None, no]).is_empty());
    }

    #[test]
    fn an_exchange_undone_is_none() {
        let of = |columns: [usize; 2], frames: Range<usize>| Exchange {
            columns,
            names: columns.map(|c| c.to_string()),
            frames,
        };
        let all = [of([1, 2], 0..10), of([0, 3], 4..5), of([1, 2], 6..8), of([1, 2], 9..10)];
        assert_eq!(joined(all.into_iter(), 10), [of([1, 2], 0..6), of([0, 3], 4..5), of([1, 2], 8..9)]);
        assert!(joined([of([1, 2], 0..3), of([1, 2], 0..3)].into_iter(), 3).is_empty());
    }
}
