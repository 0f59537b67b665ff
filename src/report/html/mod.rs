//! `report.html`: the fit as one page, for people who study movement.
//!
//! Self-contained: no file, font or script from elsewhere (its own content policy forbids it), readable without scripts, in
//! light and dark and on paper. All text from outside goes through `text::Text`. Left is blue, right vermilion (Okabe & Ito
//! 2008, told apart by all kinds of colour vision), everywhere.

mod body;
mod convergence;
mod coordinates;
mod errors;
mod parts;
mod plot;
mod scene;
mod text;

use super::figures::{all_markers_fixed, held, offsets_rms_mm};
use super::manifest::Provenance;
use super::summary::{because, lines, status_word};
use super::{VERSION, finite};
use crate::fit::{CameraFit, SessionFit, Status, TrialFit};
use std::fmt::Write;
use text::{Text, number};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Trials whose sections start open; the others are a click away.
const OPEN_TRIALS: usize = 2;

/// The whole page.
pub fn page(fit: &SessionFit, provenance: &Provenance) -> String {
    let mut out = String::with_capacity(1 << 19);
    let title = Text(&fit.name);
    let _ = write!(
        out,
        "<!doctype html><html lang=en><head><meta charset=utf-8>\
         <meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\
         <meta name=viewport content=\"width=device-width, initial-scale=1\"><meta name=color-scheme content=\"light dark\">\
         <title>{title} – kinefit</title><style>{STYLE}</style></head><body><main>"
    );
    head(&mut out, fit);
    trials(&mut out, fit);
    coordinates(&mut out, fit);
    errors(&mut out, fit);
    subject(&mut out, fit);
    cameras(&mut out, fit);
    solver(&mut out, fit);
    provenance_section(&mut out, provenance);
    let _ = write!(out, "</main><script>{SCRIPT}</script></body></html>");
    out
}

fn status_mark(status: Status) -> &'static str {
    match status {
        Status::Converged => "✓",
        Status::Usable => "◐",
        Status::Failed => "✕",
    }
}

fn head(out: &mut String, fit: &SessionFit) {
    let word = status_word(fit.status);
    let _ = write!(
        out,
        "<header><p class=eyebrow>kinefit report</p><h1>{}</h1>\
         <p class=\"status {word}\"><b>{} {word}</b> <span>{}</span></p>",
        Text(&fit.name),
        status_mark(fit.status),
        Text(&because(&fit.reason, &fit.advice))
    );
    if !fit.warnings.is_empty() {
        out.push_str("<ul class=warnings>");
        for warning in &fit.warnings {
            let _ = write!(out, "<li>{}", Text(warning));
        }
        out.push_str("</ul>");
    }
    out.push_str("</header><section><h2>In short</h2><dl class=summary>");
    for line in lines(fit).iter().filter(|l| l.label != "Result" && l.label != "Note") {
        let _ = write!(out, "<div><dt>{}<dd>{}</div>", line.label, Text(&line.text));
    }
    out.push_str("</dl>");
    scene::figures(out, fit);
    out.push_str("</section>");
}

fn trials(out: &mut String, fit: &SessionFit) {
    out.push_str(
        "<section><h2>Trials</h2><div class=scroll><table><thead><tr><th>Trial<th class=text>result<th>frames<th>rate, Hz<th>duration, s\
         <th>detections<th>median, px<th>mean, px<th>median, mm<th>≤ 10 px<tbody>",
    );
    for trial in &fit.trials {
        let figures = &trial.reprojection.all;
        let counted = |value: f64| finite(value).filter(|_| figures.observations > 0);
        let duration = trial.time.first().zip(trial.time.last()).map(|(a, b)| b - a);
        let word = status_word(trial.status);
        let _ = write!(
            out,
            "<tr><th>{}<td class=text><span class=\"status {word}\">{} {word}</span> {}<td>{}<td>{}<td>{}<td>{}<td><b>{}</b><td>{}<td>{}<td>{} %",
            Text(&trial.name),
            status_mark(trial.status),
            if trial.status == Status::Converged {
                String::new()
            } else {
                Text(&because(&trial.reason, &trial.advice)).to_string()
            },
            trial.time.len(),
            number(Some(trial.rate_hz), if trial.rate_hz.fract() == 0.0 { 0 } else { 2 }),
            number(duration, 2),
            figures.observations,
            number(counted(figures.median_px), 1),
            number(counted(figures.mean_px), 1),
            number(counted(figures.median_mm), 0),
            number(counted(100.0 * figures.within_10_px), 0),
        );
    }
    out.push_str(
        "</table></div><p class=note>Errors are distances between a detected keypoint and the model's marker, projected into \
         that image; every detection with a confidence of at least 0.3 counts. Millimetres are these distances at the subject.</p></section>",
    );
}

/// Errors of keypoints that last for as many frames as this are worth a word.
const LASTING_FRAMES: f64 = 2.0;

/// Opens a trial's part of a section: folded away where there are many.
fn trial_open(out: &mut String, trial: &TrialFit, index: usize) {
    let open = if index < OPEN_TRIALS { " open" } else { "" };
    let _ = write!(out, "<details class=trial{open}><summary><h3>{}</h3></summary>", Text(&trial.name));
}

fn coordinates(out: &mut String, fit: &SessionFit) {
    out.push_str(
        "<section id=coordinates><h2>Coordinates</h2><p class=note>Lines are the fitted motion, bands ±2 standard deviations; the \
         typical band is beside each name. <span class=left>━ left</span> <span class=right>━ right</span> <span class=mid>━ neither</span>. \
         Dashed: limits of the joint. A thick bar at the bottom: frames where the angle is near its singularity, its band has no meaning and is not drawn. \
         Dotted, “not seen”: no keypoint tells this angle; it rests on the model's default.</p>",
    );
    if fit.autocorrelation_frames >= LASTING_FRAMES {
        let _ = write!(
            out,
            "<p class=note>Errors of keypoints last for about {:.0} frames here; bands do not count them as news in each.</p>",
            fit.autocorrelation_frames
        );
    }
    out.push_str("<div id=choose></div>");
    for (i, trial) in fit.trials.iter().enumerate() {
        trial_open(out, trial, i);
        coordinates::section(out, fit, trial);
        out.push_str("</details>");
    }
    let _ = write!(out, "<p class=note>{}</p></section>", coordinates::held(&fit.skeleton));
}

fn errors(out: &mut String, fit: &SessionFit) {
    out.push_str(
        "<section><h2>Reprojection error</h2><p class=note>Medians: <span class=swatch>○</span> at the starting point, cameras as calibrated; \
         ● after the fit. The noise level is what the solver found each camera's keypoint to scatter by; darker is noisier. \
         Where cameras are refined, these levels are drawn strongly to a common one.</p>",
    );
    for (i, trial) in fit.trials.iter().enumerate() {
        trial_open(out, trial, i);
        errors::table(out, fit, trial);
        out.push_str("</details>");
    }
    let unmarked: Vec<&str> = fit.keypoints.iter().filter(|(_, m)| m.is_none()).map(|(n, _)| n.as_str()).collect();
    if !unmarked.is_empty() {
        let _ = write!(
            out,
            "<p class=note>Without a marker on the model, and not used: {}.</p>",
            Text(&unmarked.join(", "))
        );
    }
    out.push_str("</section>");
}

fn subject(out: &mut String, fit: &SessionFit) {
    let _ = write!(
        out,
        "<section><h2>Subject</h2><p>Standing height of the fitted model: {}.</p><div class=columns><div><h3>Scales</h3>\
         <p class=note>1 is the model as it came. Lines are ±2 sd.</p>",
        match fit.height_m.and_then(finite) {
            Some(height) => format!("<b>{} m</b>", number(Some(height), 3)),
            None => "not known, for it has no markers on crown and feet".into(),
        }
    );
    body::scales(out, fit);
    out.push_str("</div><div><h3>Marker offsets</h3>");
    if all_markers_fixed(fit) {
        out.push_str("<p class=none>The model's markers are fixed.</p>");
    } else {
        let _ = write!(
            out,
            "<p class=note>From where the scaled model has the marker, in its body's axes; root mean square {} mm.</p>",
            number(offsets_rms_mm(fit), 1)
        );
        body::offsets(out, fit);
    }
    out.push_str("</div></div></section>");
}

fn cameras(out: &mut String, fit: &SessionFit) {
    out.push_str("<section><h2>Cameras</h2>");
    if fit.cameras.is_empty() {
        out.push_str("<p class=none>No cameras.</p></section>");
        return;
    }
    out.push_str(
        "<div class=scroll><table class=cameras><thead><tr><th>Camera<th>turned, °<th>± 2 sd<th>moved, mm<th>± 2 sd<th>clock, ms<th class=text>calibration<tbody>",
    );
    let largest =
        |of: &dyn Fn(&CameraFit) -> f64| fit.cameras.iter().map(of).filter(|x| x.is_finite()).fold(1e-9, f64::max);
    let turned = largest(&|c| c.rotation_change_deg);
    let moved = largest(&|c| c.translation_change_mm);
    for c in &fit.cameras {
        let share = |value: f64, largest: f64| if value.is_finite() { (value / largest).clamp(0.0, 1.0) } else { 0.0 };
        let verdict = match (c.stale, held(c)) {
            (true, _) => "<span class=stale>▲ stale</span>",
            (false, true) => "held as calibrated",
            (false, false) => "agrees",
        };
        let _ = write!(
            out,
            "<tr><th>{}<td class=bar><i style=\"--v:{:.3}\"></i><b>{}</b><td>{}<td class=bar><i style=\"--v:{:.3}\"></i><b>{}</b><td>{}<td>{}<td class=text>{verdict}",
            Text(&c.name),
            share(c.rotation_change_deg, turned),
            number(Some(c.rotation_change_deg), 2),
            number(c.rotation_sd_deg.map(|sd| 2.0 * sd), 2),
            share(c.translation_change_mm, moved),
            number(Some(c.translation_change_mm), 1),
            number(c.translation_sd_mm.map(|sd| 2.0 * sd), 1),
            number(Some(c.clock_s * 1e3), 1),
        );
    }
    out.push_str(
        "</table></div><p class=note>Changes against the calibration as read. A calibration is called stale where it disagrees with the keypoints \
         by more than their noise explains: the camera was moved or the calibration is of another day. cameras.toml holds the cameras as fitted.</p></section>",
    );
}

fn solver(out: &mut String, fit: &SessionFit) {
    let _ = write!(
        out,
        "<section><h2>Convergence</h2><div class=columns><div><p class=note>The objective above its lowest value.</p>"
    );
    convergence::plot(out, &fit.cost_history);
    let _ = write!(out, "</div><div><table class=times><thead><tr><th>Stage<th>seconds<tbody>");
    let t = &fit.timings;
    let stages = [
        ("read", t.read),
        ("initialise", t.initialise),
        ("solve", t.solve),
        ("standard deviations", t.covariance),
        ("all", t.total),
    ];
    for (stage, seconds) in stages {
        let _ = write!(out, "<tr><th>{stage}<td>{}", number(Some(seconds), 2));
    }
    let _ = write!(out, "</table><p class=note>{} iterations.</p></div></div></section>", fit.iterations);
}

fn provenance_section(out: &mut String, provenance: &Provenance) {
    let _ = write!(out, "<footer><h2>Provenance</h2><p>kinefit {VERSION}");
    if !provenance.command.is_empty() {
        let _ = write!(out, " · <code>{}</code>", Text(&provenance.command.join(" ")));
    }
    for (what, seed) in &provenance.seeds {
        let _ = write!(out, " · seed of {} {seed}", Text(what));
    }
    out.push_str("</p>");
    if let Some(options) = provenance.options.as_object().filter(|o| !o.is_empty()) {
        out.push_str("<details open><summary>Options</summary><dl class=options>");
        for (name, value) in options {
            option(out, &text::words(name), value);
        }
        out.push_str("</dl></details>");
    }
    if !provenance.inputs.is_empty() {
        out.push_str("<details><summary>Inputs and their SHA-256</summary><table class=inputs><tbody>");
        for input in &provenance.inputs {
            let _ = write!(out, "<tr><th>{}<td class=text><code>{}</code>", Text(&input.path), Text(&input.sha256));
        }
        out.push_str("</table></details>");
    }
    out.push_str("<p class=note>manifest.json says what each file of this folder is.</p></footer>");
}

/// One option a line, those inside others by their way there; numbers to six digits, which is what people chose.
fn option(out: &mut String, name: &str, value: &serde_json::Value) {
    if let Some(inner) = value.as_object() {
        for (key, value) in inner {
            option(out, &format!("{name} › {}", text::words(key)), value);
        }
        return;
    }
    let shown = match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Number(n) if n.is_f64() => {
            let x = n.as_f64().unwrap_or(0.0);
            format!("{}", format!("{x:.5e}").parse::<f64>().unwrap_or(x))
        }
        other => other.to_string(),
    };
    let _ = write!(out, "<div><dt>{}<dd>{}</div>", Text(name), Text(&shown));
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn provenance() -> Provenance {
        Provenance::new(&serde_json::json!({ "refine_cameras": true, "note": "</script><b>" })).unwrap()
    }

    /// Tags of a page outside its own style and script, with their attributes.
    fn tags(page: &str) -> Vec<&str> {
        let body = &page[page.find("<main>").unwrap()..page.rfind("<script>").unwrap()];
        body.split('<').skip(1).map(|t| t.split('>').next().unwrap()).collect()
    }

    #[test]
    fn names_stay_text() {
        let mut fit = sample::session();
        let plain = tags(&page(&fit, &provenance())).len();
        let evil = "\"><script>alert(1)</script><img src=x onerror='alert(1)'>";
        fit.name = evil.into();
        fit.reason = evil.into();
        fit.warnings[0] = evil.into();
        fit.trials[0].name = evil.into();
        fit.trials[0].reason = evil.into();
        for camera in &mut fit.rig {
            camera.name = format!("{evil}{}", camera.name);
        }
        for camera in &mut fit.cameras {
            camera.name = format!("{evil}{}", camera.name);
        }
        for trial in &mut fit.trials {
            let renamed = |m: &std::collections::BTreeMap<String, crate::quality::CameraReprojection>| {
                m.iter().map(|(name, f)| (format!("{evil}{name}"), f.clone())).collect()
            };
            for r in [&mut trial.reprojection, &mut trial.reprojection_before] {
                r.cameras = renamed(&r.cameras);
                r.keypoints = renamed(&r.keypoints);
            }
        }
        for (name, _) in &mut fit.keypoints {
            *name = format!("{evil}{name}");
        }
        for offset in &mut fit.offset_fits {
            offset.name = evil.into();
        }
        for group in &mut fit.scale_groups {
            group.group = evil.into();
            group.bodies = vec![evil.into()];
        }
        for body in &mut fit.skeleton.bodies {
            body.name = format!("{evil} {}", body.name);
        }
        for coordinate in &mut fit.skeleton.coordinates {
            coordinate.name = format!("{evil}_{}", coordinate.name);
        }
        let evil_page = page(&fit, &provenance());
        let tags = tags(&evil_page);
        assert_eq!(tags.len(), plain, "no name made or broke an element");
        for tag in tags {
            assert!(!tag.starts_with("script") && !tag.starts_with("img"), "{tag}");
        }
        assert!(evil_page.contains("&lt;script&gt;"));
    }

    #[test]
    fn needs_nothing_from_elsewhere_and_is_small() {
        let fit = sample::session();
        let page = page(&fit, &provenance());
        for reference in ["http:", "https:", "src=", "href=", "@import", "url("] {
            assert!(!page.contains(reference), "{reference}");
        }
        assert!(page.len() < 1_500_000, "{} bytes", page.len());
    }

    #[test]
    fn a_long_session_is_thinned() {
        let mut fit = sample::session();
        let trial = &mut fit.trials[0];
        let frames = 20_000;
        trial.time = (0..frames).map(|f| f as f64 / 60.0).collect();
        trial.q = (0..frames).map(|f| trial.q[f % 300].clone()).collect();
        trial.q_sd = (0..frames).map(|f| trial.q_sd[f % 300].clone()).collect();
        assert!(page(&fit, &provenance()).len() < 1_500_000);
    }

    #[test]
    fn says_what_matters() {
        let page = page(&sample::session(), &provenance());
        for said in [
            "◐ usable",
            "▲ stale",
            "balancing",
            "walking back",
            "hip flexion",
            "1.734 m",
            "RSmallToe",
            "thigh",
            "iterations",
        ] {
            assert!(page.contains(said), "{said}");
        }
        assert!(page.contains("last for about 3 frames"));
        let brief = SessionFit { autocorrelation_frames: 1.0, ..sample::session() };
        assert!(!super::page(&brief, &provenance()).contains("last for about"));
    }

    #[test]
    fn nothing_fitted_still_makes_a_page() {
        let mut fit = sample::empty();
        assert!(page(&fit, &Provenance::default()).contains("✕ failed"));
        fit.trials.clear();
        fit.skeleton.coordinates.clear();
        fit.keypoints.clear();
        assert!(page(&fit, &Provenance::default()).contains("No scale was free"));
    }
}
