//! Marker trials as `.c3d`: the points of the file, not its analogue channels.
//!
//! A header of 512 bytes, a section of parameters (`parameters`), then the frames: for each its points, four numbers each, and its analogue
//! samples, which are skipped. Numbers are floats or integers times a scale, of any of the three processors (`binary`). A point whose
//! fourth number, the residual, is negative is missing, and so is one that is no number. Layout: *The C3D File Format User Guide*, Motion
//! Lab Systems.
//!
//! What files state twice may disagree. The header's 16 bits count frames unless parameters claim more than these can hold; counts of points
//! that disagree, and frames that are not in the file, are errors.

mod binary;
mod parameters;
mod write;

pub use write::to_bytes;

use super::{MarkerTrial, check_size, metres, names, no_unit};
use crate::error::{Error, Result};
use crate::skeleton::UpAxis;
use binary::{Processor, four, two};
use nalgebra::Vector3;
use parameters::Parameters;

/// Bytes of a block, in which places in the file are counted.
const BLOCK: usize = 512;

/// What every C3D file has in its second byte.
const KEY: u8 = 0x50;

/// Labels that one parameter can hold: LABELS, LABELS2, ….
const LABELS_PER_SET: usize = 255;

const DAMAGED: &str = "the file is damaged or cut off: export or copy it again";

/// Whether bytes begin as a C3D file does.
pub(super) fn is_c3d(bytes: &[u8]) -> bool {
    bytes.len() >= BLOCK && bytes[0] != 0 && bytes[1] == KEY
}

/// What is needed of the 16-bit words of the header, numbered from 1 in the format's description.
struct Header<'a> {
    bytes: &'a [u8],
    processor: Processor,
}

impl Header<'_> {
    fn word(&self, number: usize) -> usize {
        two(self.bytes, 2 * (number - 1)).map_or(0, |bytes| usize::from(self.processor.unsigned(bytes)))
    }

    fn float(&self, number: usize) -> f64 {
        four(self.bytes, 2 * (number - 1)).map_or(0.0, |bytes| self.processor.float(bytes))
    }
}

/// How the frames lie in the file.
struct Layout<'a> {
    processor: Processor,
    points: usize,
    /// The data section.
    data: &'a [u8],
    /// Bytes from one frame to the next.
    stride: usize,
    /// Metres per number of the file.
    metres: f64,
    integers: bool,
}

/// Reads the bytes of a `.c3d`; `label` names it in errors. Positions keep the file's axes. The time of frame `n` is `(n − 1)/rate`, so that a part of
/// a recording keeps the whole one's times.
///
/// # Errors
/// Bytes that are no C3D file; places and counts that lead out of the file or disagree; a unit of length that is not known; no rate; two
/// points of one label; more points than fit into memory.
pub fn read(label: &str, bytes: &[u8]) -> Result<MarkerTrial> {
    if !is_c3d(bytes) {
        let problem = "a C3D file begins with a header of 512 bytes whose second is 80, and this one does not";
        return Err(Error::input(label, problem, "give a .c3d or .trc file of markers"));
    }
    let section = parameter_section(label, bytes)?;
    let parameters = parameters::read(label, section)?;
    let header = Header { bytes: &bytes[..BLOCK], processor: parameters.processor };
    let points = header.word(2);
    if let Some(used) = parameters.number("POINT", "USED").filter(|used| *used != points as f64) {
        let problem =
            format_args!("the header says that there are {points} points, and the parameter POINT:USED {used}");
        return Err(Error::input(label, problem, DAMAGED));
    }
    let (first_frame, frames) = frames(label, &header, &parameters);
    if points == 0 || frames == 0 {
        let problem = format_args!("{frames} frames of {points} points: it holds no markers");
        return Err(Error::input(label, problem, "export the file with its 3-D points"));
    }
    check_size(label, frames, points)?;
    let layout = layout(label, bytes, &header, &parameters, points)?;
    let there = layout.data.len() / layout.stride;
    // The last frame may end where the file does, before its analogue samples would.
    if (frames - 1) * layout.stride + layout.points * layout.point_bytes() > layout.data.len() {
        return Err(Error::input(
            label,
            format_args!("the header says that there are {frames} frames, and the file holds {there}"),
            DAMAGED,
        ));
    }
    // Files are filled up to whole blocks, and the parameters may stand behind the data.
    let parameters_behind = (usize::from(bytes[0]) - 1) * BLOCK > bytes.len() - layout.data.len();
    if there > frames && !parameters_behind && layout.data.len() - frames * layout.stride >= BLOCK.max(layout.stride) {
        tracing::warn!(
            file = label,
            "it counts {frames} frames, and the file goes on behind them; these {frames} are read. If some are missing, export the file again."
        );
    }
    let rate_hz = rate(label, &header, &parameters)?;
    let start = first_frame.saturating_sub(1);
    Ok(MarkerTrial {
        label: label.to_owned(),
        names: names::from_labels(label, names::without_subject(&labels(&parameters, points)))?,
        rate_hz,
        first_frame: i64::try_from(first_frame).unwrap_or(0),
        times: (0..frames).map(|i| (start + i) as f64 / rate_hz).collect(),
        positions: (0..frames).flat_map(|frame| layout.frame(frame)).collect(),
        up: up(&parameters),
    })
}

/// Frames per second: of the parameters, which most programs read, else of the header.
fn rate(label: &str, header: &Header, parameters: &Parameters) -> Result<f64> {
    let usable = |rate: &f64| rate.is_finite() && *rate > 0.0;
    let (stated, other) = (parameters.number("POINT", "RATE").filter(usable), Some(header.float(11)).filter(usable));
    if let (Some(stated), Some(other)) = (stated, other)
        && (other / stated - 1.0).abs() > 1e-3
    {
        tracing::warn!(
            file = label,
            "the header says {other} frames per second and POINT:RATE {stated}; POINT:RATE is used. Check it: all velocities hang on it."
        );
    }
    stated
        .or(other)
        .ok_or_else(|| Error::input(label, "neither the header nor POINT:RATE has a rate of frames", DAMAGED))
}

/// From the block that the header's first byte names to where the data begin, or to the file's end.
fn parameter_section<'a>(label: &str, bytes: &'a [u8]) -> Result<&'a [u8]> {
    let start = (usize::from(bytes[0]) - 1) * BLOCK;
    if start == 0 || start + BLOCK > bytes.len() {
        let problem =
            format_args!("its parameters should begin in block {}, and the file has {}", bytes[0], bytes.len() / BLOCK);
        return Err(Error::input(label, problem, DAMAGED));
    }
    let blocks = usize::from(bytes[start + 2]);
    let end = start + blocks * BLOCK;
    // Some programs leave the count 0.
    Ok(&bytes[start..if blocks == 0 { bytes.len() } else { end.min(bytes.len()) }])
}

/// The first frame's number, and how many there are.
fn frames(label: &str, header: &Header, parameters: &Parameters) -> (usize, usize) {
    let (first, last) = (header.word(4), header.word(5));
    // Two words of 16 bits, the lower first.
    let long = |name| match parameters.numbers("TRIAL", name)?.as_slice() {
        [low, high] => Some((low + high * 65_536.0) as usize),
        _ => None,
    };
    let most = usize::from(u16::MAX);
    if let (Some(start), Some(end)) = (long("ACTUAL_START_FIELD"), long("ACTUAL_END_FIELD"))
        && end > most
        && start <= end
    {
        return (start, end - start + 1);
    }
    let stated = |name| parameters.number("POINT", name).filter(|n| *n >= 0.0 && *n < 1e12).map(|n| n as usize);
    if let Some(frames) = stated("LONG_FRAMES").into_iter().chain(stated("FRAMES")).find(|n| *n > most) {
        return (first, frames);
    }
    match (last + 1).checked_sub(first) {
        Some(frames) if last < most && frames > 0 => {
            if let Some(other) = stated("FRAMES").filter(|n| *n > 0 && *n != frames) {
                tracing::warn!(
                    file = label,
                    "the header counts {frames} frames and POINT:FRAMES {other}; the header is believed"
                );
            }
            (first, frames)
        }
        _ => (first, stated("FRAMES").unwrap_or(0)),
    }
}

fn layout<'a>(
    label: &str,
    bytes: &'a [u8],
    header: &Header,
    parameters: &Parameters,
    points: usize,
) -> Result<Layout<'a>> {
    let stated = parameters.number("POINT", "DATA_START").unwrap_or(0.0) as usize;
    if stated != 0 && stated != header.word(9) {
        tracing::warn!(
            file = label,
            "the header says that its data begin in block {} and POINT:DATA_START {stated}; the header is believed where that is in the file",
            header.word(9)
        );
    }
    let starts = [header.word(9), stated].map(|block| block.wrapping_sub(1).saturating_mul(BLOCK));
    let Some(start) = starts.into_iter().find(|start| (BLOCK..bytes.len()).contains(start)) else {
        let problem =
            format_args!("its data should begin in block {}, and the file has {}", header.word(9), bytes.len() / BLOCK);
        return Err(Error::input(label, problem, DAMAGED));
    };
    // A negative scale says that numbers are floats, in the unit itself.
    let scale = header.float(7);
    let integers = scale > 0.0;
    let size = parameters.number("POINT", "SCALE").map_or(scale, f64::abs);
    if scale.is_nan() || scale == 0.0 || (integers && !(size.is_finite() && size > 0.0)) {
        let problem =
            format_args!("the scale of its numbers is {scale} in the header (words 7 and 8) and {size} in POINT:SCALE");
        return Err(Error::input(label, problem, DAMAGED));
    }
    let metres_per_unit = match parameters.text("POINT", "UNITS") {
        Some(unit) => metres(&unit).ok_or_else(|| no_unit(format_args!("{label}, POINT:UNITS"), &unit))?,
        None => {
            tracing::warn!(
                file = label,
                "POINT:UNITS does not say the unit of length; taken to be mm, as is the custom"
            );
            0.001
        }
    };
    let mut layout = Layout {
        processor: header.processor,
        points,
        data: &bytes[start..],
        stride: 0,
        metres: if integers { size * metres_per_unit } else { metres_per_unit },
        integers,
    };
    // Analogue samples are stored as the points are.
    layout.stride = points * layout.point_bytes() + header.word(3) * layout.point_bytes() / 4;
    Ok(layout)
}

impl Layout<'_> {
    fn point_bytes(&self) -> usize {
        if self.integers { 8 } else { 16 }
    }

    /// The points of a frame that is in the file.
    fn frame(&self, frame: usize) -> impl Iterator<Item = Option<Vector3<f64>>> {
        let start = frame * self.stride;
        self.data[start..].chunks(self.point_bytes()).take(self.points).map(|point| self.point(point))
    }

    fn point(&self, bytes: &[u8]) -> Option<Vector3<f64>> {
        let number = |i: usize| {
            if self.integers {
                two(bytes, 2 * i).map(|b| f64::from(self.processor.signed(b)))
            } else {
                four(bytes, 4 * i).map(|b| self.processor.float(b))
            }
        };
        let residual = number(3)?;
        let point = Vector3::new(number(0)?, number(1)?, number(2)?) * self.metres;
        (residual >= 0.0 && point.iter().all(|x| x.is_finite())).then_some(point)
    }
}

/// One label per point; empty where the file has none.
fn labels(parameters: &Parameters, points: usize) -> Vec<String> {
    let mut labels = parameters.texts("POINT", "LABELS", points).unwrap_or_default();
    let mut set = 2;
    while labels.len() < points
        && let Some(more) = parameters.texts("POINT", &format!("LABELS{set}"), points - labels.len())
    {
        labels.extend(more);
        set += 1;
    }
    labels.resize(points, String::new());
    labels
}

/// The vertical, from the axis that points up on the screen.
fn up(parameters: &Parameters) -> Option<UpAxis> {
    match parameters.text("POINT", "Y_SCREEN")?.to_ascii_uppercase().as_str() {
        "+Z" | "Z" => Some(UpAxis::Z),
        "+Y" | "Y" => Some(UpAxis::Y),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
