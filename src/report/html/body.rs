//! Scales and marker offsets, each with its deviation.

use super::parts::side;
use super::plot::{Scale, at_least, range, ticks};
use super::text::{Text, number};
use crate::fit::{OffsetFit, SessionFit};
use std::fmt::Write;

const WIDTH: f64 = 240.0;

/// Scale factors: a dot with its ±2 sd each, on a common axis through 1.
pub fn scales(out: &mut String, fit: &SessionFit) {
    let ends = fit.scale_groups.iter().flat_map(|s| {
        let sd = if s.sd.is_finite() { s.sd } else { 0.0 };
        [s.factor - 2.0 * sd, s.factor + 2.0 * sd, 1.0]
    });
    let Some(all) = range(ends).filter(|_| !fit.scale_groups.is_empty()) else {
        out.push_str("<p class=none>No scale was free.</p>");
        return;
    };
    let scale = Scale { data: at_least(all, 0.1), page: [8.0, WIDTH - 8.0] };
    let (values, decimals) = ticks(scale.data, 4, false);
    out.push_str("<div class=scroll><table class=scales><thead><tr><th>Scale group<th class=axis>");
    let _ = write!(out, "<svg viewBox=\"0 0 {WIDTH} 16\" width={WIDTH} height=16>");
    for v in &values {
        let _ = write!(out, "<text class=x x={:.1} y=12>{}</text>", scale.at(*v), number(Some(*v), decimals));
    }
    out.push_str("</svg><th>factor<th>± 2 sd<tbody>");
    for s in &fit.scale_groups {
        let _ = write!(out, "<tr><th title=\"{}\">{}", Text(&s.bodies.join(", ")), Text(&s.group));
        let _ = write!(out, "<td class=axis><svg viewBox=\"0 0 {WIDTH} 16\" width={WIDTH} height=16>");
        for v in &values {
            let class = if (v - 1.0).abs() < 1e-9 { "zero" } else { "grid" };
            let _ = write!(out, "<path class={class} d=\"M{:.1} 0v16\"/>", scale.at(*v));
        }
        if s.factor.is_finite() {
            if s.sd.is_finite() {
                let (a, b) = (scale.at(s.factor - 2.0 * s.sd), scale.at(s.factor + 2.0 * s.sd));
                let _ = write!(out, "<path class=interval d=\"M{a:.1} 8H{b:.1}\"/>");
            }
            let _ = write!(out, "<circle class=after cx={:.1} cy=8 r=4 />", scale.at(s.factor));
        }
        let _ = write!(out, "</svg><td><b>{}</b><td>{}", number(Some(s.factor), 3), number(Some(2.0 * s.sd), 3));
    }
    out.push_str("</table></div>");
}

/// Marker offsets, longest first: a bar for the length, and the three components with their deviations.
pub fn offsets(out: &mut String, fit: &SessionFit) {
    let mut sorted: Vec<&OffsetFit> = fit.offset_fits.iter().collect();
    sorted.sort_by(|a, b| b.offset.norm().total_cmp(&a.offset.norm()));
    if sorted.is_empty() {
        out.push_str("<p class=none>No offset was free.</p>");
        return;
    }
    let longest = sorted.iter().map(|o| o.offset.norm() * 1e3).filter(|x| x.is_finite()).fold(1.0, f64::max);
    out.push_str(
        "<div class=scroll><table class=offsets><thead><tr><th>Marker<th class=text>on<th class=bar>length, mm<th>x<th>y<th>z<th>± 2 sd, mm<tbody>",
    );
    for o in sorted {
        let on = fit.skeleton.markers.get(o.marker.index()).and_then(|m| fit.skeleton.bodies.get(m.body.index()));
        let length = o.offset.norm() * 1e3;
        let share = if length.is_finite() { length / longest } else { 0.0 };
        let sd = (o.sd.norm_squared() / 3.0).sqrt() * 2e3;
        let _ = write!(
            out,
            "<tr><th>{}<td class=text>{}<td class=bar><i class={} style=\"--v:{share:.3}\"></i><b>{}</b>",
            Text(&o.name),
            Text(on.map_or("", |b| &b.name)),
            side(on.map_or("", |b| &b.name)).0.class(),
            number(Some(length), 1),
        );
        for x in o.offset.iter() {
            let _ = write!(out, "<td>{}", number(Some(x * 1e3), 1));
        }
        let _ = write!(out, "<td>{}", number(Some(sd), 1));
    }
    out.push_str("</table></div>");
}
