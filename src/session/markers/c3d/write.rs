//! Writing `.c3d`: floats of Intel processors, millimetres.

use super::{BLOCK, KEY, LABELS_PER_SET};
use crate::error::{Error, Result};
use crate::session::markers::{MOST_MARKERS, MarkerTrial};
use crate::skeleton::UpAxis;

/// Bytes of text that one parameter takes at most: the next one's place must fit 16 bits with sign.
const MOST_TEXT: usize = 32_000;

/// Millimetres, the format's custom and what most programs expect.
const PER_METRE: f64 = 1000.0;

/// A trial as the bytes of a `.c3d`: points, labels, unit, rate, residuals (0, and −1 where missing). Positions are rounded to the format's 24 bits. Frames
/// are numbered by their times, `n = 1 + time·rate`, which is how the format tells time.
///
/// # Errors
/// What [`MarkerTrial::check`] says; times that are not a whole number of steps of the rate apart, or before 0; names longer than 255 bytes, or
/// more than fit; numbers too large for the format. `label` is the place that errors name.
pub fn to_bytes(trial: &MarkerTrial, label: &str) -> Result<Vec<u8>> {
    trial.check(label)?;
    let first = first_frame(trial, label)?;
    let points = trial.names.len();
    let wrong = |problem: String| Err(Error::input(label, problem, "write a .trc file instead"));
    if points > MOST_MARKERS {
        return wrong(format!("{points} markers, and C3D counts up to {MOST_MARKERS}"));
    }
    if let Some(name) = trial.names.iter().find(|name| name.len() > 255) {
        let name = crate::skeleton::xml::shortened(name);
        return wrong(format!("the name `{name}` has more than the 255 bytes that C3D allows"));
    }
    let section = parameters(trial, first);
    let blocks = section.len() / BLOCK;
    let Ok(blocks_byte) = u8::try_from(blocks) else {
        return wrong("the names of its markers do not fit into the 127 KiB that C3D has for them".into());
    };
    let mut out = header(trial, first, 2 + u16::from(blocks_byte));
    out.extend(section);
    // The fourth byte of a block is the third of the section's own header.
    out[BLOCK + 2] = blocks_byte;
    for point in &trial.positions {
        let (numbers, residual) = match point {
            Some(point) => ((point * PER_METRE).map(|x| x as f32), 0.0f32),
            None => (nalgebra::Vector3::zeros(), -1.0),
        };
        if numbers.iter().any(|x| !x.is_finite()) {
            return wrong("a position is farther away than C3D can say".into());
        }
        numbers.iter().chain([&residual]).for_each(|x| out.extend(x.to_le_bytes()));
    }
    out.resize(out.len().next_multiple_of(BLOCK), 0);
    Ok(out)
}

/// The number of the first frame, from its time.
fn first_frame(trial: &MarkerTrial, label: &str) -> Result<u32> {
    let start = trial.times.first().copied().unwrap_or(0.0);
    // Printed times are rounded; half a step is another frame.
    let uneven =
        (trial.times.iter().zip(0u32..)).find(|(t, i)| ((*t - start) * trial.rate_hz - f64::from(*i)).abs() > 0.5);
    if let Some((time, i)) = uneven {
        return Err(Error::input(
            label,
            format_args!("frame {} is at {time} s: C3D needs frames at even steps of 1/{} s", i + 1, trial.rate_hz),
            "write a .trc file instead, or fill the gaps",
        ));
    }
    let first = (start * trial.rate_hz).round() + 1.0;
    if first >= 1.0 && first + trial.frames() as f64 <= f64::from(u32::MAX) {
        return Ok(first as u32);
    }
    let problem = format_args!("it begins at {start} s, and C3D counts frames from 1 at 0 s");
    Err(Error::input(label, problem, "write a .trc file instead, or let time begin at 0"))
}

fn header(trial: &MarkerTrial, first: u32, data_block: u16) -> Vec<u8> {
    let last = u64::from(first) + trial.frames() as u64 - 1;
    let mut out = vec![2, KEY];
    let words = [
        saturated(trial.names.len() as u64),
        0, // analogue samples per frame
        saturated(u64::from(first)),
        saturated(last),
        0, // longest gap filled
    ];
    words.iter().for_each(|word| out.extend(word.to_le_bytes()));
    out.extend((-1f32).to_le_bytes());
    out.extend(data_block.to_le_bytes());
    out.extend(0u16.to_le_bytes()); // analogue samples per channel and frame
    out.extend((trial.rate_hz as f32).to_le_bytes());
    out.resize(BLOCK, 0);
    out
}

fn saturated(count: u64) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

/// The parameter section, whole blocks.
fn parameters(trial: &MarkerTrial, first: u32) -> Vec<u8> {
    let mut section = Section { bytes: vec![1, KEY, 0, 84], group: 0 };
    section.group("POINT", 1);
    section.words("USED", &[saturated(trial.names.len() as u64)]);
    section.words("FRAMES", &[saturated(trial.frames() as u64)]);
    if trial.frames() > usize::from(u16::MAX) {
        section.float("LONG_FRAMES", trial.frames() as f32);
    }
    section.float("SCALE", -1.0);
    section.float("RATE", trial.rate_hz as f32);
    section.texts("UNITS", &["mm"]);
    if let Some(up) = trial.up {
        section.texts("X_SCREEN", &["+X"]);
        section.texts(
            "Y_SCREEN",
            &[match up {
                UpAxis::Y => "+Y",
                UpAxis::Z => "+Z",
            }],
        );
    }
    for (i, set) in label_sets(&trial.names).into_iter().enumerate() {
        let number = if i == 0 { String::new() } else { (i + 1).to_string() };
        section.texts(&format!("LABELS{number}"), &set);
        section.texts(&format!("DESCRIPTIONS{number}"), &vec![""; set.len()]);
    }
    section.group("ANALOG", 2);
    section.words("USED", &[0]);
    section.group("FORCE_PLATFORM", 3);
    section.words("USED", &[0]);
    section.group("TRIAL", 4);
    let halves = |n: u32| [(n & 0xffff) as u16, (n >> 16) as u16];
    section.words("ACTUAL_START_FIELD", &halves(first));
    section.words("ACTUAL_END_FIELD", &halves(first.saturating_add(trial.frames() as u32 - 1)));
    // Where the data begin is known only now; the entry itself takes a fixed number of bytes.
    section.group = 1;
    let blocks = (section.bytes.len() + 32).div_ceil(BLOCK);
    section.words("DATA_START", &[saturated(2 + blocks as u64)]);
    section.bytes.resize(blocks * BLOCK, 0);
    section.bytes
}

/// Names in sets that fit one parameter each: at most 255, and not too much text once all are as long as the longest.
fn label_sets(names: &[String]) -> Vec<Vec<&str>> {
    let mut sets: Vec<Vec<&str>> = Vec::new();
    let mut longest = 0;
    for name in names {
        longest = longest.max(name.len());
        match sets.last_mut() {
            Some(set) if set.len() < LABELS_PER_SET && (set.len() + 1) * longest <= MOST_TEXT => set.push(name),
            _ => {
                longest = name.len();
                sets.push(vec![name]);
            }
        }
    }
    sets
}

/// Parameters as they are put together.
struct Section {
    bytes: Vec<u8>,
    group: u8,
}

impl Section {
    /// A new group, without a description; what follows belongs to it.
    fn group(&mut self, name: &str, id: u8) {
        self.group = id;
        self.named(name, id.wrapping_neg());
        // To the next one: these two bytes and the length of the description.
        self.bytes.extend([3, 0, 0]);
    }

    fn named(&mut self, name: &str, id: u8) {
        self.bytes.extend([name.len() as u8, id]);
        self.bytes.extend(name.as_bytes());
    }

    fn array(&mut self, name: &str, kind: i8, dimensions: &[u8], data: &[u8]) {
        self.named(name, self.group);
        let next = (2 + 2 + dimensions.len() + data.len() + 1) as u16;
        self.bytes.extend(next.to_le_bytes());
        self.bytes.extend([kind.cast_unsigned(), dimensions.len() as u8]);
        self.bytes.extend(dimensions);
        self.bytes.extend(data);
        self.bytes.push(0);
    }

    /// Integers: one is a number, more are an array.
    fn words(&mut self, name: &str, words: &[u16]) {
        let data: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        let length = [words.len() as u8];
        self.array(name, 2, if words.len() == 1 { &[] } else { &length }, &data);
    }

    fn float(&mut self, name: &str, value: f32) {
        self.array(name, 4, &[], &value.to_le_bytes());
    }

    /// Texts, filled up with spaces to one length of at least 1.
    fn texts(&mut self, name: &str, texts: &[&str]) {
        let length = texts.iter().map(|t| t.len()).max().unwrap_or(0).max(1);
        let mut data = Vec::with_capacity(length * texts.len());
        for text in texts {
            data.extend(text.as_bytes());
            data.resize(data.len() + length - text.len(), b' ');
        }
        let dimensions = [length as u8, texts.len() as u8];
        self.array(name, -1, if texts.len() == 1 { &dimensions[..1] } else { &dimensions }, &data);
    }
}
