//! Markers whose names were exchanged for a while: two that sit on one segment, each labelled as the other.

use super::inverse_kinematics::FollowedMarkers;
use crate::session::markers::MarkerTrial;
use crate::skeleton::MarkerId;
use crate::solve::Problem;
use nalgebra::Vector3;

/// Markers of the model nearer to each other than this are not told apart by where they are, metres.
const TELLING: f64 = 0.03;

/// Exchanged, the two have to be this many times nearer to where the model has them, in the sum of squares,
const BETTER: f64 = 9.0;

/// and that sum has to fall by this many times the noise's variance: e⁻⁵⁰ is no chance in any trial.
const SURE: f64 = 100.0;

/// Two markers of a trial that bear each other's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Their columns in the trial.
    pub columns: [usize; 2],
    /// Their names.
    pub names: [String; 2],
    /// Frames.
    pub frames: std::ops::Range<usize>,
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

/// Finds markers of the same body that lie much nearer to where the model has them (`placed`, by frame and marker, metres in ground) under each other's name; the one may be missing while the
/// other bears its name.
pub(super) fn find_exchanged(
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
            if skeleton.markers[ma.index()].body != skeleton.markers[mb.index()].body {
                continue;
            }
            // Squared distances as they are named, and exchanged.
            let errors = |f: usize| -> Option<[f64; 2]> {
                let (pa, pb) = (placed[f][ma.index()], placed[f][mb.index()]);
                let seen = [(trial.get(f, *a), pa, pb), (trial.get(f, *b), pb, pa)];
                if (pa - pb).norm() < TELLING || seen.iter().all(|s| s.0.is_none()) {
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
                    let names = [*b, *a].map(|column| trial.names[column].clone());
                    found.push((sums[0] - sums[1], Exchange { columns: [*b, *a], names, frames }));
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
fn runs(errors: &[Option<[f64; 2]>]) -> Vec<std::ops::Range<usize>> {
    let mut out: Vec<std::ops::Range<usize>> = Vec::new();
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
}
