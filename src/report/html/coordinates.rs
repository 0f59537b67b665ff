//! Coordinates over time with their ±2 sd bands: small multiples by part of the body, left and right in one panel.

use super::parts::{OTHER, PARTS, Side, part, side};
use super::plot::{Path, Scale, at_least, range, thin, ticks};
use super::text::{Text, number, words};
use crate::fit::{SessionFit, TrialFit};
use crate::report::figures::{UNSEEN_SD, median_sd};
use crate::report::finite;
use crate::skeleton::{Coordinate, Motion, Skeleton};
use std::fmt::Write;

/// Size of a panel and of its plot area, page units.
const PANEL: [f64; 2] = [300.0, 126.0];
const PLOT: [f64; 4] = [36.0, 6.0, 256.0, 98.0];
/// Units of paths per page unit.
const FINE: f64 = 10.0;
/// Most points of a line, and of all lines of a page together.
const POINTS: usize = 400;
const POINTS_OF_PAGE: usize = 50_000;

/// Coordinates that one panel shows.
struct Panel {
    name: String,
    part: &'static str,
    /// At most one per side.
    coordinates: Vec<(Side, usize)>,
}

/// Panels of all free coordinates, in the order of [`PARTS`] and then the file.
fn panels(skeleton: &Skeleton) -> Vec<Panel> {
    let mut panels: Vec<Panel> = Vec::new();
    for (i, coordinate) in skeleton.coordinates.iter().enumerate().filter(|(_, c)| is_free(c)) {
        let (side, name) = side(&coordinate.name);
        let part = part(&coordinate.name, &coordinate.joint, coordinate.motion == Motion::Translational);
        let same = |p: &&mut Panel| {
            p.name == name
                && p.part == part
                && p.coordinates.iter().all(|(s, c)| {
                    *s != side
                        && *s != Side::Middle
                        && side != Side::Middle
                        && skeleton.coordinates[*c].motion == coordinate.motion
                })
        };
        match panels.iter_mut().find(same) {
            Some(panel) => panel.coordinates.push((side, i)),
            None => panels.push(Panel { name, part, coordinates: vec![(side, i)] }),
        }
    }
    let order = |p: &Panel| PARTS.iter().position(|name| *name == p.part).unwrap_or(PARTS.len());
    panels.sort_by_key(order);
    panels.iter_mut().for_each(|p| p.coordinates.sort_unstable());
    panels
}

fn is_free(coordinate: &Coordinate) -> bool {
    !coordinate.locked && coordinate.coupling.is_none()
}

/// The panels of one trial.
pub fn section(out: &mut String, fit: &SessionFit, trial: &TrialFit) {
    if trial.time.iter().filter(|t| t.is_finite()).count() == 0 {
        out.push_str("<p class=none>No frames.</p>");
        return;
    }
    let panels = panels(&fit.skeleton);
    let lines: usize = fit.trials.len() * panels.iter().map(|p| p.coordinates.len()).sum::<usize>();
    let points = (POINTS_OF_PAGE / lines.max(1)).clamp(40, POINTS);
    out.push_str("<div class=parts>");
    for name in PARTS.iter().chain([&OTHER]) {
        let of_part: Vec<&Panel> = panels.iter().filter(|p| p.part == *name).collect();
        if of_part.is_empty() {
            continue;
        }
        let _ = write!(out, "<section class=part data-part=\"{name}\"><h4>{name}</h4><div class=panels>");
        for p in of_part {
            panel(out, fit, trial, p, points);
        }
        out.push_str("</div></section>");
    }
    out.push_str("</div>");
}

/// Names of coordinates that no panel shows, and why.
pub fn held(skeleton: &Skeleton) -> String {
    let list = |keep: &dyn Fn(&Coordinate) -> bool| {
        let names: Vec<&str> = skeleton.coordinates.iter().filter(|c| keep(c)).map(|c| c.name.as_str()).collect();
        names.join(", ")
    };
    let locked = list(&|c| c.locked);
    let coupled = list(&|c| !c.locked && c.coupling.is_some());
    let mut out = String::new();
    if !locked.is_empty() {
        let _ = write!(out, "Held by the model: {}. ", Text(&locked));
    }
    if !coupled.is_empty() {
        let _ = write!(out, "Following another coordinate: {}. ", Text(&coupled));
    }
    if !out.is_empty() {
        out.push_str("They are in the .mot file.");
    }
    out
}

/// A unit for people, and how many of it one SI unit is.
fn unit(motion: Motion, span: f64) -> (&'static str, f64) {
    match motion {
        Motion::Rotational => ("°", 1f64.to_degrees()),
        Motion::Translational if span < 0.8 => (" mm", 1000.0),
        Motion::Translational => (" m", 1.0),
        Motion::Coupled => ("", 1.0),
    }
}

/// One coordinate's values and half-widths of its band, in the panel's unit.
struct Series {
    side: Side,
    coordinate: usize,
    values: Vec<f64>,
    band: Vec<Option<f64>>,
    /// No keypoint tells it: its band is the prior's, and would fill the panel.
    unseen: bool,
}

fn series(trial: &TrialFit, side: Side, coordinate: usize, motion: Motion, factor: f64) -> Series {
    let unseen = motion == Motion::Rotational && median_sd(trial, coordinate).is_some_and(|sd| sd > UNSEEN_SD);
    let value = |f: usize| trial.q.get(f).and_then(|row| row.get(coordinate)).map_or(f64::NAN, |v| v * factor);
    let sd = |f: usize| trial.q_sd.get(f)?.get(coordinate).copied().flatten().and_then(finite).filter(|_| !unseen);
    let frames = 0..trial.time.len();
    Series {
        side,
        coordinate,
        values: frames.clone().map(value).collect(),
        band: frames.map(|f| sd(f).map(|sd| 2.0 * sd * factor)).collect(),
        unseen,
    }
}

fn panel(out: &mut String, fit: &SessionFit, trial: &TrialFit, panel: &Panel, points: usize) {
    let Some((_, first)) = panel.coordinates.first() else { return };
    let motion = fit.skeleton.coordinates[*first].motion;
    let value_range = |factor: f64| {
        let all = panel.coordinates.iter().flat_map(|(s, c)| series(trial, *s, *c, motion, factor).values);
        range(all)
    };
    let (label, factor) = unit(motion, value_range(1.0).map_or(0.0, |[a, b]| b - a));
    let all: Vec<Series> = panel.coordinates.iter().map(|(s, c)| series(trial, *s, *c, motion, factor)).collect();
    let y_range = vertical_range(&all, motion, label);
    let time = range(trial.time.iter().copied()).map_or([0.0, 1.0], |r| if r[0] < r[1] { r } else { at_least(r, 1.0) });

    let mut names = Vec::new();
    out.push_str("<figure class=panel><figcaption><b>");
    let _ = write!(out, "{}</b> <span class=sds>", Text(&words(&panel.name)));
    for s in &all {
        names.push(fit.skeleton.coordinates[s.coordinate].name.as_str());
        let sd = median_sd(trial, s.coordinate).map(|sd| 2.0 * sd * factor);
        let initial = match s.side {
            Side::Left => "L ",
            Side::Right => "R ",
            Side::Middle => "",
        };
        if s.unseen {
            let _ = write!(out, "<span class={}>{initial}not seen</span> ", s.side.class());
        } else if let Some(sd) = sd {
            let decimals = if sd < 9.95 && label != " m" { 1 } else { 0 };
            let decimals = if label == " m" { 3 } else { decimals };
            let _ =
                write!(out, "<span class={}>{initial}±{}{label}</span> ", s.side.class(), number(Some(sd), decimals));
        } else {
            let _ = write!(out, "<span class={}>{initial}</span>", s.side.class());
        }
    }
    let _ = write!(out, "</span><output></output></figcaption>");
    let [w, h] = PANEL;
    let _ = write!(
        out,
        "<svg viewBox=\"0 0 {w} {h}\" role=img aria-label=\"{}\" data-t=\"{:.4} {:.4}\" data-y=\"{:.4} {:.4}\" data-u=\"{label}\">",
        Text(&names.join(", ")),
        time[0],
        time[1],
        y_range[0],
        y_range[1],
    );
    axes(out, time, y_range, label);
    let ranges = panel.coordinates.iter().filter_map(|(s, c)| Some((*s, fit.skeleton.coordinates[*c].range?)));
    curves(out, trial, &all, time, y_range, points, ranges.map(|(s, r)| (s, r.map(|x| x * factor))).collect());
    out.push_str("</svg></figure>");
}

/// Wide enough for the lines and, as far as it does not flatten them, the bands; never so narrow that noise looks like motion.
fn vertical_range(all: &[Series], motion: Motion, label: &str) -> [f64; 2] {
    let Some(lines) = range(all.iter().flat_map(|s| s.values.iter().copied())) else { return [-1.0, 1.0] };
    let narrowest = match (motion, label) {
        (Motion::Rotational, _) => 16.0,
        (Motion::Translational, " mm") => 60.0,
        _ => 1e-6,
    };
    let lines = at_least(lines, narrowest);
    let most = 0.6 * (lines[1] - lines[0]);
    let ends = all
        .iter()
        .flat_map(|s| s.values.iter().zip(&s.band).flat_map(|(v, band)| band.map_or([*v, *v], |b| [v - b, v + b])));
    let bands = range(ends).unwrap_or(lines);
    let [a, b] = [bands[0].clamp(lines[0] - most, lines[0]), bands[1].clamp(lines[1], lines[1] + most)];
    [a - 0.03 * (b - a), b + 0.03 * (b - a)]
}

fn axes(out: &mut String, time: [f64; 2], y_range: [f64; 2], label: &str) {
    let [x, y, w, h] = PLOT;
    let down = Scale { data: y_range, page: [y + h, y] };
    let across = Scale { data: time, page: [x, x + w] };
    let (values, decimals) = ticks(y_range, 4, label == "°");
    for v in &values {
        let at = down.at(*v);
        let class = if v.abs() < 1e-9 { "zero" } else { "grid" };
        let _ = write!(out, "<path class={class} d=\"M{x} {at:.1}h{w}\"/>");
        let _ = write!(out, "<text class=y x={:.0} y={:.1}>{}</text>", x - 4.0, at + 3.5, number(Some(*v), decimals));
    }
    let (values, decimals) = ticks(time, 4, false);
    let last = values.len().saturating_sub(1);
    for (i, v) in values.iter().enumerate() {
        let at = across.at(*v);
        let unit = if i == last { " s" } else { "" };
        let _ = write!(out, "<path class=tick d=\"M{at:.1} {:.0}v3\"/>", y + h);
        let _ =
            write!(out, "<text class=x x={at:.1} y={:.0}>{}{unit}</text>", y + h + 14.0, number(Some(*v), decimals));
    }
}

fn curves(
    out: &mut String,
    trial: &TrialFit,
    all: &[Series],
    time: [f64; 2],
    y_range: [f64; 2],
    points: usize,
    limits: Vec<(Side, [f64; 2])>,
) {
    let [x, y, w, h] = PLOT;
    let across = Scale { data: time, page: [0.0, w * FINE] };
    let down = Scale { data: y_range, page: [h * FINE, 0.0] };
    // A nested svg clips what leaves the plot area, and carries the finer unit.
    let _ = write!(
        out,
        "<svg class=plot x={x} y={y} width={w} height={h} viewBox=\"0 0 {:.0} {:.0}\" preserveAspectRatio=none>",
        w * FINE,
        h * FINE
    );
    let mut drawn: Vec<(Side, f64)> = Vec::new();
    for (side, limit) in limits {
        for value in limit.into_iter().filter(|v| *v > y_range[0] && *v < y_range[1]) {
            // Left and right usually share their limits: one line then, in no side's colour.
            if drawn.iter().any(|(_, d)| (d - value).abs() < 1e-9) {
                continue;
            }
            drawn.push((side, value));
            let _ = write!(out, "<path class=limit d=\"M0 {:.0}h{:.0}\"/>", down.at(value), w * FINE);
        }
    }
    let kept: Vec<Vec<usize>> = all.iter().map(|s| thin(&s.values, points)).collect();
    for (s, kept) in all.iter().zip(&kept) {
        let mut path = Path::default();
        for run in kept.split(|i| s.band[*i].is_none() || !s.values[*i].is_finite()) {
            for i in run {
                path.point(across.at(trial.time[*i]), down.at(s.values[*i] + s.band[*i].unwrap_or(0.0)));
            }
            for i in run.iter().rev() {
                path.point(across.at(trial.time[*i]), down.at(s.values[*i] - s.band[*i].unwrap_or(0.0)));
            }
            path.close();
        }
        let _ = write!(out, "<path class=\"band {}\" d=\"{}\"/>", s.side.class(), path.finish());
    }
    for (row, (s, kept)) in all.iter().zip(&kept).enumerate() {
        let mut path = Path::default();
        for i in kept {
            if s.values[*i].is_finite() {
                path.point(across.at(trial.time[*i]), down.at(s.values[*i]));
            } else {
                path.lift();
            }
        }
        let _ = write!(
            out,
            "<path class=\"line{} {}\" d=\"{}\"/>",
            if s.unseen { " unseen" } else { "" },
            s.side.class(),
            path.finish()
        );
        unknown(out, trial, s, &across, (h - 2.0 - 4.0 * row as f64) * FINE);
    }
    out.push_str("</svg>");
}

/// A bar along the bottom over the frames that have no deviation while others have: there the angle is near its singularity.
fn unknown(out: &mut String, trial: &TrialFit, s: &Series, across: &Scale, y: f64) {
    if s.band.iter().all(Option::is_none) || s.band.iter().all(Option::is_some) {
        return;
    }
    let mut path = Path::default();
    let mut last = None;
    for (i, _) in s.band.iter().enumerate().filter(|(_, b)| b.is_none()) {
        let follows = last.is_some_and(|l| l + 1 == i);
        let ends = s.band.get(i + 1).is_none_or(Option::is_some);
        if !follows {
            path.lift();
            path.point(across.at(trial.time[i]), y);
        }
        if ends {
            path.point(across.at(trial.time[i]) + 1.0, y);
        }
        last = Some(i);
    }
    let _ = write!(out, "<path class=\"unknown {}\" d=\"{}\"/>", s.side.class(), path.finish());
}

#[cfg(test)]
mod tests {
    use super::super::super::sample;
    use super::*;

    #[test]
    fn left_and_right_share_a_panel_and_held_ones_have_none() {
        let skeleton = sample::skeleton();
        let panels = panels(&skeleton);
        let knee = panels.iter().find(|p| p.name == "knee_angle").unwrap();
        assert_eq!(knee.coordinates.len(), 2);
        assert_eq!(knee.part, "Knees");
        let shown: usize = panels.iter().map(|p| p.coordinates.len()).sum();
        assert_eq!(shown, skeleton.coordinates.iter().filter(|c| is_free(c)).count());
        assert!(held(&skeleton).contains("mtp_angle_r") && held(&skeleton).contains("knee_angle_r_beta"));
    }

    #[test]
    fn frames_without_a_deviation_are_flagged_not_drawn() {
        let fit = sample::session();
        let mut out = String::new();
        section(&mut out, &fit, &fit.trials[0]);
        assert_eq!(out.matches("class=\"unknown").count(), 1);
        let wide = Series {
            side: Side::Left,
            coordinate: 0,
            values: vec![0.0, 40.0],
            band: vec![None, Some(1e6)],
            unseen: false,
        };
        let mut fit = fit;
        fit.trials[0].q_sd.iter_mut().for_each(|row| row[3] = Some(1.5));
        let mut out = String::new();
        section(&mut out, &fit, &fit.trials[0]);
        assert!(out.contains("not seen") && out.contains("line unseen"));
        let [a, b] = vertical_range(&[wide], Motion::Rotational, "°");
        assert!(a > -30.0 && b < 70.0, "a wide band does not flatten the line: {a} {b}");
    }
}
