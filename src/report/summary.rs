//! What a fit gave, in ten lines of plain words: the end of a command's output, and the head of the page.

use super::figures::{all_markers_fixed, angles, held, most_moved, offsets_rms_mm, overall, stale};
use super::finite;
use crate::fit::{SessionFit, Status, seeing, undecided};
use std::path::Path;

/// A line of the summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What the line is about, one or two words.
    pub label: &'static str,
    /// A sentence or less.
    pub text: String,
}

/// One word for how a fit ended.
pub fn status_word(status: Status) -> &'static str {
    match status {
        Status::Converged => "converged",
        Status::Usable => "usable",
        Status::Failed => "failed",
    }
}

/// A number with the unit and so many decimals; a dash where it is none.
pub fn quantity(value: Option<f64>, decimals: usize, unit: &str) -> String {
    match value.and_then(finite) {
        Some(x) => format!("{x:.decimals$}{unit}"),
        None => "–".into(),
    }
}

fn count(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// What to do about stale cameras where the others outvote them.
fn stale_advice(fit: &SessionFit, them: &str) -> String {
    match fit.cameras.iter().filter(|c| c.stale).any(held) {
        true => "fit again with refined cameras (the default), or calibrate again".into(),
        false => format!("recalibrate {them}, or go on with the refined cameras.toml"),
    }
}

/// Why something ended as it did, and what to do.
pub fn because(reason: &str, advice: &Option<String>) -> String {
    match advice {
        Some(advice) => format!("{reason}; {advice}"),
        None => reason.into(),
    }
}

/// How many trials, and which of them failed on their own.
fn trials(fit: &SessionFit) -> String {
    let failed: Vec<&str> = fit.trials.iter().filter(|t| t.left_out()).map(|t| t.name.as_str()).collect();
    let all = count(fit.trials.len(), "trial");
    match failed.len() {
        0 => all,
        n => format!("{} of {all} ({} failed)", fit.trials.len() - n, failed.join(", ")),
    }
}

/// The summary's lines.
pub fn lines(fit: &SessionFit) -> Vec<Line> {
    let frames: usize = fit.trials.iter().map(|t| t.time.len()).sum();
    let mut lines = vec![
        Line {
            label: "Fitted",
            text: format!(
                "{}: {}, {}, {}, with the model `{}`",
                fit.name,
                trials(fit),
                count(frames, "frame"),
                count(fit.rig.len(), "camera"),
                fit.skeleton.name
            ),
        },
        Line {
            label: "Result", text: format!("{} – {}", status_word(fit.status), because(&fit.reason, &fit.advice))
        },
        Line { label: "Error", text: error_line(fit) },
        Line { label: "Height", text: height_line(fit) },
        Line { label: "Body", text: body_line(fit) },
        Line { label: "Angles", text: angles_line(fit) },
        Line { label: "Cameras", text: camera_line(fit) },
    ];
    let stale = stale(fit);
    if !stale.is_empty() {
        let (what, it) = if stale.len() == 1 { ("calibration looks", "it") } else { ("calibrations look", "them") };
        let advice = match undecided(&fit.cameras) {
            true => {
                format!(
                    "{} of {}: keypoints cannot tell which are right; recalibrate",
                    stale.len(),
                    seeing(&fit.cameras)
                )
            }
            false => stale_advice(fit, it),
        };
        lines.push(Line { label: "Stale", text: format!("{}: {what} stale; {advice}", stale.join(", ")) });
    }
    if !fit.warnings.is_empty() {
        let more =
            if fit.warnings.len() == 1 { String::new() } else { format!(" (and {} more)", fit.warnings.len() - 1) };
        lines.push(Line { label: "Note", text: format!("{}{more}", fit.warnings[0]) });
    }
    lines
}

fn error_line(fit: &SessionFit) -> String {
    let Some(all) = overall(fit) else { return "no detection was counted".into() };
    let mut text =
        format!("half of {} lie within {:.1} px of the model", count(all.observations, "detection"), all.median_px);
    if let Some(mm) = all.median_mm {
        text += &format!(" ({mm:.0} mm at the person)");
    }
    if let Some(before) = all.median_px_before {
        text += &format!("; {before:.1} px before the fit");
    }
    text
}

fn height_line(fit: &SessionFit) -> String {
    match fit.height_m.and_then(finite) {
        Some(height) => format!("{height:.2} m standing"),
        None => "not known: the model has no markers on crown and feet".into(),
    }
}

fn body_line(fit: &SessionFit) -> String {
    let factors: Vec<f64> = fit.scale_groups.iter().filter_map(|s| finite(s.factor)).collect();
    let scales = match (factors.iter().copied().reduce(f64::min), factors.iter().copied().reduce(f64::max)) {
        (Some(low), Some(high)) => format!("segments {low:.2} to {high:.2} times the model's"),
        _ => "segments as in the model".into(),
    };
    if all_markers_fixed(fit) {
        return format!("{scales}; its markers are fixed");
    }
    match offsets_rms_mm(fit) {
        Some(rms) => format!("{scales}; markers moved by {rms:.0} mm (root mean square)"),
        None => scales,
    }
}

fn angles_line(fit: &SessionFit) -> String {
    let angles = angles(fit);
    let mut text = match angles.typical_sd_deg {
        Some(sd) => format!("typically known to ±{:.1}° (95 %)", 2.0 * sd),
        None => "no standard deviations were computed".into(),
    };
    if !angles.unseen.is_empty() {
        text += &format!("; {} of {} are not told by any keypoint", angles.unseen.len(), angles.count);
    }
    text
}

fn camera_line(fit: &SessionFit) -> String {
    match most_moved(fit) {
        Some(c) => format!(
            "{} moved most against its calibration: {:.1}°, {:.0} mm",
            c.name, c.rotation_change_deg, c.translation_change_mm
        ),
        None => "as calibrated".into(),
    }
}

/// The summary for a terminal, a line each, at most ten; `written` is where the files are.
pub fn summary(fit: &SessionFit, written: Option<&Path>) -> String {
    let mut lines = lines(fit);
    if let Some(folder) = written {
        let place = format!("{} (open report.html first)", folder.display());
        lines.push(Line { label: "Files", text: place });
    }
    lines.iter().map(|line| format!("{:<8} {}\n", line.label, one_line(&line.text))).collect()
}

/// Names come from files and may hold anything: nothing here may move a terminal's cursor or start a new line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn ten_lines_that_say_it() {
        let text = summary(&sample::session(), Some(Path::new("out")));
        assert!(text.lines().count() <= 10, "{text}");
        for said in [
            "2 trials",
            "390 frames",
            "4 cameras",
            "usable",
            "6.8 px",
            "14 mm",
            "1.73 m",
            "cam03",
            "1.2°, 93 mm",
            "stale",
            "±",
            "out",
        ] {
            assert!(text.contains(said), "{said} in\n{text}");
        }
    }

    #[test]
    fn held_cameras_are_not_called_refined() {
        let mut fit = sample::session();
        assert!(summary(&fit, None).contains("go on with the refined cameras.toml"));
        fit.cameras.iter_mut().for_each(|c| {
            (c.rotation_change_deg, c.translation_change_mm) = (0.0, 0.0);
            (c.rotation_sd_deg, c.translation_sd_mm) = (None, None);
        });
        fit.warnings.clear();
        let text = summary(&fit, None);
        assert!(!text.contains("cameras.toml"), "{text}");
        assert!(text.contains("fit again with refined cameras (the default), or calibrate again"), "{text}");
    }

    #[test]
    fn half_of_the_cameras_stale_leave_it_open_which_are_right() {
        let mut fit = sample::session();
        let said = "2 of 4: keypoints cannot tell which are right; recalibrate";
        assert!(!summary(&fit, None).contains("cannot tell"));
        fit.cameras[0].stale = true;
        let text = summary(&fit, None);
        assert!(text.contains(said) && text.contains("cam01, cam03") && text.lines().count() <= 9, "{text}");
        fit.cameras.truncate(2);
        assert!(summary(&fit, None).contains("1 of 2: keypoints cannot tell"));
    }

    #[test]
    fn fixed_markers_and_an_unknown_height_are_said_to_be() {
        let mut fit = sample::session();
        assert!(summary(&fit, None).contains("markers moved by"));
        fit.skeleton.markers.iter_mut().for_each(|m| m.fixed = true);
        fit.offset_fits.iter_mut().for_each(|o| o.offset.fill(0.0));
        fit.height_m = None;
        let text = summary(&fit, None);
        assert!(text.contains("its markers are fixed") && !text.contains("moved by 0 mm"), "{text}");
        assert!(text.contains("Height   not known: "), "{text}");
    }

    #[test]
    fn says_what_is_missing_instead_of_numbers() {
        let text = summary(&sample::empty(), None);
        assert!(!text.contains("NaN") && text.contains("failed"), "{text}");
    }

    #[test]
    fn a_name_cannot_drive_the_terminal() {
        let mut fit = sample::session();
        fit.name = "a\u{1b}[2J\nb".into();
        let text = summary(&fit, None);
        assert!(!text.contains('\u{1b}') && text.lines().count() <= 10);
    }
}
