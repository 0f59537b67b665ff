//! Reprojection error before and after, and noise levels: one row per camera and per keypoint.

use super::plot::{Scale, ticks};
use super::text::{Text, number};
use crate::fit::{SessionFit, TrialFit};
use crate::quality::CameraReprojection;
use std::fmt::Write;

const WIDTH: f64 = 280.0;

/// A row's figures before and after the fit.
struct Row<'a> {
    name: &'a str,
    before: Option<&'a CameraReprojection>,
    after: &'a CameraReprojection,
    /// Noise level per camera; empty for rows that are no keypoint.
    noise: Vec<Option<f64>>,
}

/// The table of one trial.
pub fn table(out: &mut String, fit: &SessionFit, trial: &TrialFit) {
    if trial.reprojection.all.observations == 0 {
        out.push_str("<p class=none>No detection was counted.</p>");
        return;
    }
    let counted = |f: &&CameraReprojection| f.observations > 0 && f.median_px.is_finite();
    let cameras: Vec<Row> = fit
        .rig
        .iter()
        .filter_map(|c| {
            Some(Row {
                name: &c.name,
                before: trial.reprojection_before.cameras.get(&c.name).filter(counted),
                after: trial.reprojection.cameras.get(&c.name).filter(counted)?,
                noise: Vec::new(),
            })
        })
        .collect();
    let keypoints: Vec<Row> = fit
        .keypoints
        .iter()
        .enumerate()
        .filter_map(|(k, (name, _))| {
            Some(Row {
                name,
                before: trial.reprojection_before.keypoints.get(name).filter(counted),
                after: trial.reprojection.keypoints.get(name).filter(counted)?,
                noise: (0..fit.rig.len()).map(|c| trial.noise_px.get(c)?.get(k).copied().flatten()).collect(),
            })
        })
        .collect();
    let all = Row {
        name: "all",
        before: Some(&trial.reprojection_before.all).filter(counted),
        after: &trial.reprojection.all,
        noise: Vec::new(),
    };
    let rows = || std::iter::once(&all).chain(&cameras).chain(&keypoints);
    let largest = rows().flat_map(|r| [r.before.map_or(0.0, |b| b.median_px), r.after.median_px]);
    let largest = largest.filter(|x| x.is_finite()).fold(1.0, f64::max);
    let scale = Scale { data: [0.0, 1.06 * largest], page: [6.0, WIDTH - 6.0] };
    let noisiest = keypoints.iter().flat_map(|r| r.noise.iter().flatten()).copied().filter(|x| x.is_finite());
    let noisiest = noisiest.fold(1.0, f64::max);

    out.push_str("<div class=scroll><table class=errors><thead><tr><th>Median error<th class=axis>");
    axis(out, &scale);
    out.push_str("<th>before<th>after, px<th>mm<th>≤ 10 px<th class=last>detections");
    for camera in &fit.rig {
        let _ = write!(out, "<th class=noise>{}", Text(&camera.name));
    }
    out.push_str("<tbody class=total>");
    row(out, &all, &scale, noisiest, fit.rig.len());
    out.push_str("<tbody><tr class=group><th colspan=7>by camera");
    if !fit.rig.is_empty() {
        let _ = write!(out, "<th class=noise colspan={}>noise level, px", fit.rig.len());
    }
    for r in &cameras {
        row(out, r, &scale, noisiest, fit.rig.len());
    }
    let _ = write!(out, "<tbody><tr class=group><th colspan={}>by keypoint", 7 + fit.rig.len());
    for r in &keypoints {
        row(out, r, &scale, noisiest, fit.rig.len());
    }
    out.push_str("</table></div>");
}

fn row(out: &mut String, r: &Row, scale: &Scale, noisiest: f64, cameras: usize) {
    let after = scale.at(r.after.median_px);
    let _ =
        write!(out, "<tr><th>{}<td class=axis><svg viewBox=\"0 0 {WIDTH} 16\" width={WIDTH} height=16>", Text(r.name));
    grid(out, scale);
    if let Some(before) = r.before.map(|b| scale.at(b.median_px)) {
        let worse = if before < after { " worse" } else { "" };
        let _ = write!(
            out,
            "<path class=\"move{worse}\" d=\"M{before:.1} 8H{after:.1}\"/><circle class=before cx={before:.1} cy=8 r=3.5 />"
        );
    }
    let _ = write!(out, "<circle class=after cx={after:.1} cy=8 r=4 /></svg>");
    let _ = write!(
        out,
        "<td>{}<td><b>{}</b><td>{}<td>{} %<td class=last>{}",
        number(r.before.map(|b| b.median_px), 1),
        number(Some(r.after.median_px), 1),
        number(Some(r.after.median_mm), 0),
        number(Some(100.0 * r.after.within_10_px), 0),
        r.after.observations,
    );
    if r.noise.is_empty() {
        out.push_str(&"<td class=noise>".repeat(cameras));
    }
    for level in &r.noise {
        match level.filter(|x| x.is_finite()) {
            Some(px) => {
                let _ = write!(out, "<td class=noise style=\"--h:{:.2}\">{}", px / noisiest, number(Some(px), 1));
            }
            None => out.push_str("<td class=noise>–"),
        }
    }
}

fn grid(out: &mut String, scale: &Scale) {
    let mut d = String::new();
    for v in ticks(scale.data, 5, false).0 {
        let _ = write!(d, "M{:.1} 0v16", scale.at(v));
    }
    let _ = write!(out, "<path class=grid d=\"{d}\"/>");
}

fn axis(out: &mut String, scale: &Scale) {
    let _ = write!(out, "<svg viewBox=\"0 0 {WIDTH} 16\" width={WIDTH} height=16>");
    let (values, decimals) = ticks(scale.data, 5, false);
    let last = values.len().saturating_sub(1);
    for (i, v) in values.iter().enumerate() {
        let unit = if i == last { " px" } else { "" };
        let anchor = if scale.at(*v) > WIDTH - 30.0 { " style=text-anchor:end" } else { "" };
        let _ =
            write!(out, "<text class=x x={:.1} y=12{anchor}>{}{unit}</text>", scale.at(*v), number(Some(*v), decimals));
    }
    out.push_str("</svg>");
}
