//! How the objective fell.

use super::plot::{Scale, polyline, range, thin, ticks};
use super::text::number;
use std::fmt::Write;

const SIZE: [f64; 2] = [560.0, 170.0];
const PLOT: [f64; 4] = [58.0, 10.0, 490.0, 126.0];

/// The objective above its lowest value, on a logarithmic axis, by iteration.
pub fn plot(out: &mut String, history: &[f64]) {
    let Some([lowest, highest]) = range(history.iter().copied()).filter(|r| r[1] > r[0]) else {
        out.push_str("<p class=none>No course of the objective was recorded.</p>");
        return;
    };
    // What is below a millionth of the whole fall is the bottom of the plot: the lowest itself has no logarithm.
    let least = (highest - lowest) * 1e-6;
    let heights: Vec<f64> =
        history.iter().map(|c| if c.is_finite() { (c - lowest).max(least).log10() } else { f64::NAN }).collect();
    let [x, y, w, h] = PLOT;
    let last = (history.len().max(2) - 1) as f64;
    let across = Scale { data: [0.0, last], page: [x, x + w] };
    let down = Scale { data: [least.log10(), (highest - lowest).log10()], page: [y + h, y] };
    let _ = write!(
        out,
        "<svg class=convergence viewBox=\"0 0 {} {}\" role=img aria-label=\"objective by iteration\">",
        SIZE[0], SIZE[1]
    );
    for power in down.data[0].ceil() as i32..=down.data[1].floor() as i32 {
        let at = down.at(f64::from(power));
        let _ = write!(
            out,
            "<path class=grid d=\"M{x} {at:.1}h{w}\"/><text class=y x={} y={:.1}>10<tspan dy=-4 font-size=8>{}</tspan></text>",
            x - 6.0,
            at + 4.0,
            number(Some(f64::from(power)), 0)
        );
    }
    let (values, decimals) = ticks(across.data, 6, false);
    for v in values {
        let at = across.at(v);
        let _ = write!(out, "<path class=tick d=\"M{at:.1} {}v4\"/>", y + h);
        let _ = write!(out, "<text class=x x={at:.1} y={}>{}</text>", y + h + 16.0, number(Some(v), decimals));
    }
    let _ = write!(out, "<text class=x x={} y={}>iteration</text>", x + w / 2.0, y + h + 31.0);
    let kept = thin(&heights, 400);
    let points =
        kept.into_iter().filter(|i| heights[*i].is_finite()).map(|i| [across.at(i as f64), down.at(heights[i])]);
    let points: Vec<[f64; 2]> = points.collect();
    let _ = write!(out, "<path class=\"line mid\" d=\"{}\"/>", polyline(points.iter().copied()));
    if points.len() <= 80 {
        for [x, y] in points {
            let _ = write!(out, "<circle class=after cx={x:.1} cy={y:.1} r=2 />");
        }
    }
    out.push_str("</svg>");
}
