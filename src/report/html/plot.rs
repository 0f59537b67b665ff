//! Scales, ticks and paths of small plots, sparing with bytes: a page holds hundreds of lines.

use std::fmt::Write;

/// A linear map from data to page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// Data at the two ends.
    pub data: [f64; 2],
    /// Page coordinates of the two ends.
    pub page: [f64; 2],
}

impl Scale {
    /// Page coordinate of a value: a number for any value, and never far off the page.
    pub fn at(&self, value: f64) -> f64 {
        let [a, b] = self.data;
        let share = (value - a) / (b - a);
        let [from, to] = self.page;
        if share.is_finite() { from + share.clamp(-20.0, 20.0) * (to - from) } else { 0.5 * (from + to) }
    }
}

/// The values' range; `None` where there is no number.
pub fn range(values: impl IntoIterator<Item = f64>) -> Option<[f64; 2]> {
    let fold = |r: Option<[f64; 2]>, v: f64| Some(r.map_or([v, v], |[a, b]| [a.min(v), b.max(v)]));
    values.into_iter().filter(|v| v.is_finite()).fold(None, fold)
}

/// A range of at least this length, about the same middle.
pub fn at_least([a, b]: [f64; 2], length: f64) -> [f64; 2] {
    let lacking = 0.5 * (length - (b - a)).max(0.0);
    [a - lacking, b + lacking]
}

/// Round values within a range, about so many, and the decimals they need. Degrees go in steps people expect of angles.
pub fn ticks([a, b]: [f64; 2], about: usize, degrees: bool) -> (Vec<f64>, usize) {
    let rough = (b - a) / about.max(1) as f64;
    if !(rough.is_finite() && rough > 0.0) {
        return (Vec::new(), 0);
    }
    let nearest = |steps: &[f64]| {
        let off = |s: &f64| (s / rough).ln().abs();
        steps.iter().copied().min_by(|a, b| off(a).total_cmp(&off(b))).unwrap_or(rough)
    };
    let power = 10f64.powf(rough.log10().floor());
    let step = if degrees && (4.0..=270.0).contains(&rough) {
        nearest(&[5.0, 10.0, 15.0, 30.0, 45.0, 90.0, 180.0, 360.0])
    } else {
        nearest(&[power, 2.0 * power, 5.0 * power, 10.0 * power])
    };
    let decimals = (-step.log10() - 1e-9).ceil().clamp(0.0, 9.0) as usize;
    let first = (a / step).ceil() * step;
    let values = (0..4 * about + 4).map(|i| first + i as f64 * step).take_while(|v| *v <= b + 1e-9 * step);
    (values.filter(|v| v.is_finite()).collect(), decimals)
}

/// Indices of the points to keep so that a line through at most `most` of `values` still shows every peak: the lowest and the
/// highest of each bucket. All of them where there are no more than that. `most` is at least 4.
pub fn thin(values: &[f64], most: usize) -> Vec<usize> {
    let n = values.len();
    if n <= most.max(4) {
        return (0..n).collect();
    }
    let buckets = most.max(4) / 2 - 1;
    let mut kept = vec![0];
    for bucket in 0..buckets {
        let inside = (1 + bucket * (n - 2) / buckets)..(1 + (bucket + 1) * (n - 2) / buckets);
        let by_value = |i: &usize, j: &usize| values[*i].total_cmp(&values[*j]);
        if let (Some(low), Some(high)) = (inside.clone().min_by(by_value), inside.max_by(by_value)) {
            kept.push(low.min(high));
            if low != high {
                kept.push(low.max(high));
            }
        }
    }
    kept.push(n - 1);
    kept
}

/// The `d` of a path, in whole page units and relative steps.
#[derive(Debug, Default)]
pub struct Path {
    d: String,
    at: Option<[i64; 2]>,
    start: Option<[i64; 2]>,
}

impl Path {
    /// A line to here, or a first point.
    pub fn point(&mut self, x: f64, y: f64) {
        let to = [x.round() as i64, y.round() as i64];
        match self.at {
            None => {
                // After `z` the pen is at the last subpath's start, but an absolute move is safe anywhere.
                let _ = write!(self.d, "M{} {}", to[0], to[1]);
                self.start = Some(to);
            }
            Some(at) => {
                let [dx, dy] = [to[0] - at[0], to[1] - at[1]];
                let gap = if dy < 0 { "" } else { " " };
                let _ = write!(self.d, "l{dx}{gap}{dy}");
            }
        }
        self.at = Some(to);
    }

    /// The next point starts a new line.
    pub fn lift(&mut self) {
        self.at = None;
    }

    /// Closes the area; the next point starts a new one.
    pub fn close(&mut self) {
        if self.at.is_some() {
            self.d.push('z');
        }
        self.at = None;
    }

    /// The path's text.
    pub fn finish(self) -> String {
        self.d
    }
}

/// Text of a straight path through points, one decimal: for drawings of few lines.
pub fn polyline(points: impl IntoIterator<Item = [f64; 2]>) -> String {
    let mut d = String::new();
    for [x, y] in points {
        let _ = write!(d, "{}{x:.1} {y:.1}", if d.is_empty() { 'M' } else { 'L' });
    }
    d
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn round_ticks() {
        assert_eq!(ticks([0.0, 10.0], 4, false), (vec![0.0, 2.0, 4.0, 6.0, 8.0, 10.0], 0));
        assert_eq!(ticks([-0.04, 0.31], 4, false), (vec![0.0, 0.1, 0.2, 0.30000000000000004], 1));
        assert_eq!(ticks([-100.0, 100.0], 4, true).0, [-90.0, -45.0, 0.0, 45.0, 90.0]);
        assert!(ticks([1.0, 1.0], 4, false).0.is_empty());
        assert!(ticks([f64::NAN, 1.0], 4, false).0.is_empty());
    }

    #[test]
    fn paths_are_short_and_do_not_drift() {
        let mut path = Path::default();
        for i in 0..1000 {
            path.point(0.4 * i as f64, -0.4 * i as f64);
        }
        let d = path.finish();
        let steps: Vec<&str> = d[1..].split('l').skip(1).collect();
        let x: i64 = steps.iter().map(|s| s.split(['-', ' ']).next().unwrap().parse::<i64>().unwrap()).sum();
        assert_eq!(x, 400);
        assert!(d.len() < 6 * 1000);
    }

    proptest! {
        #[test]
        fn thinning_keeps_ends_order_and_extremes(values in prop::collection::vec(-1e6..1e6f64, 0..3000), most in 4usize..400) {
            let kept = thin(&values, most);
            prop_assert!(kept.len() <= most.max(4));
            prop_assert!(kept.windows(2).all(|w| w[0] < w[1]));
            if !values.is_empty() {
                prop_assert_eq!(kept[0], 0);
                prop_assert_eq!(kept[kept.len() - 1], values.len() - 1);
            }
            prop_assert_eq!(range(kept.iter().map(|i| values[*i])), range(values.iter().copied()));
        }

        #[test]
        fn any_range_has_few_ticks(a in any::<f64>(), b in any::<f64>(), degrees in any::<bool>()) {
            let (values, _) = ticks([a, b], 4, degrees);
            prop_assert!(values.len() <= 20 && values.iter().all(|v| v.is_finite()));
        }
    }
}
