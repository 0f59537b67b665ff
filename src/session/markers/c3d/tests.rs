use super::binary::Processor;
use super::*;
use crate::session::markers::tests::sample;

/// A file as each processor would write it: three points (the second seen in the last frame only), two frames, two analogue samples per
/// frame, which must be skipped.
struct Example {
    processor: Processor,
    integers: bool,
    /// What stands in the header and where; after the file was made.
    words: Vec<(usize, u16)>,
    labels: Vec<&'static str>,
    labels_2: Vec<&'static str>,
    unit: &'static str,
    /// Further parameters of POINT (false) and TRIAL (true).
    more: Vec<(bool, &'static str, Value)>,
}

#[derive(Clone)]
enum Value {
    Words(Vec<u16>),
    Float(f32),
    Text(&'static str),
}

impl Default for Example {
    fn default() -> Self {
        Self {
            processor: Processor::Intel,
            integers: false,
            words: Vec::new(),
            labels: vec!["A", "LONG NAME", "C"],
            labels_2: Vec::new(),
            unit: "mm",
            more: Vec::new(),
        }
    }
}

impl Example {
    fn word(&self, value: u16) -> [u8; 2] {
        if self.processor == Processor::Mips { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn float(&self, value: f32) -> [u8; 4] {
        match self.processor {
            Processor::Intel => value.to_le_bytes(),
            Processor::Mips => value.to_be_bytes(),
            Processor::Dec => {
                // Four times the number has the same bits in IEEE form; then words are swapped.
                let [a, b, c, d] = (value * 4.0).to_be_bytes();
                [b, a, d, c]
            }
        }
    }

    fn parameter(&self, out: &mut Vec<u8>, group: u8, name: &str, value: &Value) {
        out.extend([name.len() as u8, group]);
        out.extend(name.as_bytes());
        let (kind, dimensions, data): (u8, Vec<u8>, Vec<u8>) = match value {
            Value::Words(words) => (2, vec![words.len() as u8], words.iter().flat_map(|w| self.word(*w)).collect()),
            Value::Float(x) => (4, vec![], self.float(*x).to_vec()),
            Value::Text(text) => (0xff, vec![text.len() as u8], text.as_bytes().to_vec()),
        };
        self.array(out, kind, &dimensions, &data);
    }

    fn array(&self, out: &mut Vec<u8>, kind: u8, dimensions: &[u8], data: &[u8]) {
        out.extend(self.word((4 + dimensions.len() + data.len() + 4) as u16));
        out.extend([kind, dimensions.len() as u8]);
        out.extend(dimensions);
        out.extend(data);
        out.extend([3, b'w', b'h', b'y']);
    }

    fn labels(&self, out: &mut Vec<u8>, name: &str, labels: &[&str]) {
        out.extend([name.len() as u8, 5]);
        out.extend(name.as_bytes());
        let text: String = labels.iter().map(|l| format!("{l:<12}")).collect();
        self.array(out, 0xff, &[12, labels.len() as u8], text.as_bytes());
    }

    fn bytes(&self) -> Vec<u8> {
        let mut section = vec![
            0,
            0,
            1,
            match self.processor {
                Processor::Intel => 84,
                Processor::Dec => 85,
                Processor::Mips => 86,
            },
        ];
        self.labels(&mut section, "LABELS", &self.labels);
        if !self.labels_2.is_empty() {
            self.labels(&mut section, "LABELS2", &self.labels_2);
        }
        self.parameter(&mut section, 5, "UNITS", &Value::Text(self.unit));
        for (trial, name, value) in &self.more {
            self.parameter(&mut section, if *trial { 6 } else { 5 }, name, value);
        }
        // Groups after their parameters, one locked.
        for (name, id) in [("Point", 5u8), ("TRIAL", 6)] {
            let length = name.len() as u8;
            section.extend([if id == 5 { length.wrapping_neg() } else { length }, id.wrapping_neg()]);
            section.extend(name.as_bytes());
            section.extend(self.word(3));
            section.push(0);
        }
        section.resize(BLOCK, 0);

        // Block 2 is left empty: parameters need not follow the header.
        let mut out = vec![3, KEY];
        for word in [3, 2, 21, 22, 0] {
            out.extend(self.word(word));
        }
        out.extend(self.float(if self.integers { 0.5 } else { -0.5 }));
        out.extend(self.word(4));
        out.extend(self.word(2));
        out.extend(self.float(100.0));
        out.resize(2 * BLOCK, 0);
        for (number, value) in &self.words {
            let bytes = self.word(*value);
            out[2 * (number - 1)..2 * number].copy_from_slice(&bytes);
        }
        out.extend(section);
        for frame in 0..2 {
            for point in 0..3 {
                let residual = if point == 1 && frame == 0 { -1.0 } else { 2.0 };
                let [x, y, z] = place(frame, point);
                self.number(&mut out, [x, y, z, residual]);
            }
            // Two analogue samples that would be points if they were not skipped.
            for _ in 0..2 {
                if self.integers { out.extend(self.word(77)) } else { out.extend(self.float(77.0)) }
            }
        }
        out
    }

    fn number(&self, out: &mut Vec<u8>, numbers: [f32; 4]) {
        for (i, x) in numbers.into_iter().enumerate() {
            if self.integers {
                // Halves of the unit, the header's scale; the residual has its own.
                let x = if i == 3 { x } else { 2.0 * x };
                out.extend(self.word((x as i16).cast_unsigned()));
            } else {
                out.extend(self.float(x));
            }
        }
    }
}

/// Millimetres, whole halves.
fn place(frame: i32, point: i32) -> [f32; 3] {
    [100.0 * point as f32 + 0.5, -1000.0 - frame as f32, 7.0 * (frame * point) as f32]
}

fn error(example: &Example) -> String {
    read("a.c3d", &example.bytes()).unwrap_err().to_string()
}

#[test]
fn all_processors_and_both_kinds_of_numbers() {
    for processor in [Processor::Intel, Processor::Dec, Processor::Mips] {
        for integers in [false, true] {
            let example = Example { processor, integers, ..Example::default() };
            let trial = read("a.c3d", &example.bytes()).unwrap();
            trial.check("a.c3d").unwrap();
            assert_eq!(trial.names, ["A", "LONG NAME", "C"]);
            assert_eq!((trial.rate_hz, trial.first_frame), (100.0, 21));
            assert_eq!(trial.times, [0.2, 0.21]);
            assert_eq!(trial.get(0, 1), None);
            for (frame, point) in [(0, 0), (0, 2), (1, 0), (1, 1), (1, 2)] {
                let expected = Vector3::from(place(frame, point)).map(f64::from) / 1000.0;
                let found = trial.get(frame as usize, point as usize).unwrap();
                // Both are a division or product away from the same decimal.
                assert!((found - expected).norm() < 1e-15, "{processor:?} {integers} {frame} {point}: {found}");
            }
        }
    }
}

#[test]
fn units_and_scales() {
    let x = |example: Example| read("a.c3d", &example.bytes()).unwrap().get(1, 2).unwrap().x;
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12 * b, "{a} {b}");
    near(x(Example { unit: "m  ", ..Example::default() }), 200.5);
    near(x(Example { unit: "cm", ..Example::default() }), 2.005);
    near(x(Example { unit: " ", ..Example::default() }), 0.2005);
    // The parameter's scale holds for integers, and says nothing about floats.
    let scale = || vec![(false, "SCALE", Value::Float(-2.0))];
    near(x(Example { integers: true, more: scale(), ..Example::default() }), 0.802);
    near(x(Example { more: scale(), ..Example::default() }), 0.2005);
    let said = error(&Example { unit: "furlong", ..Example::default() });
    assert!(said.contains("a.c3d, POINT:UNITS: the unit of length `furlong`"), "{said}");
    let said = error(&Example { words: vec![(7, 0), (8, 0)], ..Example::default() });
    assert!(said.contains("scale"), "{said}");
}

#[test]
fn labels_in_sets_and_too_few() {
    let names = |labels: &[&'static str], labels_2: &[&'static str]| {
        let example = Example { labels: labels.to_vec(), labels_2: labels_2.to_vec(), ..Example::default() };
        read("a.c3d", &example.bytes()).unwrap().names
    };
    assert_eq!(names(&["A"], &["B", "C"]), ["A", "B", "C"]);
    assert_eq!(names(&["A", "B"], &["C", "D"]), ["A", "B", "C"]);
    assert_eq!(names(&["S:A", "S:B"], &[]), ["A", "B", "unlabelled 3"]);
    assert_eq!(names(&[], &[]), ["unlabelled 1", "unlabelled 2", "unlabelled 3"]);
    let said = error(&Example { labels: vec!["A", "B", "A"], ..Example::default() });
    assert!(said.contains("`A` stands twice, as marker 1 and 3"), "{said}");
}

#[test]
fn long_trials_are_counted_by_parameters() {
    let header = |words: &[(usize, u16)], parameters: Vec<(bool, &'static str, Value)>| {
        let example = Example { words: words.to_vec(), more: parameters, ..Example::default() };
        let bytes = example.bytes();
        let section = parameter_section("a", &bytes).unwrap();
        let parameters = parameters::read("a", section).unwrap();
        frames("a.c3d", &Header { bytes: &bytes[..BLOCK], processor: parameters.processor }, &parameters)
    };
    let trial = |start: [u16; 2], end: [u16; 2]| {
        vec![
            (true, "ACTUAL_START_FIELD", Value::Words(start.to_vec())),
            (true, "ACTUAL_END_FIELD", Value::Words(end.to_vec())),
        ]
    };
    assert_eq!(header(&[], vec![]), (21, 2));
    assert_eq!(header(&[], trial([5, 0], [9, 0])), (21, 2), "what the header can say, it says");
    assert_eq!(header(&[(5, u16::MAX)], trial([21, 0], [20, 1])), (21, 65_536));
    assert_eq!(header(&[(5, 20)], trial([21, 1], [22, 1])), (65_557, 2));
    assert_eq!(header(&[(5, u16::MAX)], vec![(false, "LONG_FRAMES", Value::Float(70_000.0))]), (21, 70_000));
    assert_eq!(header(&[(5, u16::MAX)], vec![(false, "FRAMES", Value::Float(80_000.0))]), (21, 80_000));
    assert_eq!(header(&[(5, u16::MAX)], vec![(false, "FRAMES", Value::Words(vec![65_515]))]), (21, 65_515));
    assert_eq!(header(&[(4, 9), (5, 3)], vec![]), (9, 0));
}

#[test]
fn headers_that_lie_are_refused() {
    let lies: [(&str, Vec<(usize, u16)>); 8] = [
        ("there are 980 frames, and the file holds 2", vec![(5, 1000)]),
        ("0 frames of 3 points", vec![(5, 20)]),
        ("2 frames of 0 points", vec![(2, 0)]),
        ("the header says that there are 65535 frames, and the file holds 2", vec![(4, 0), (5, 65_534)]),
        ("data should begin in block 0", vec![(9, 0)]),
        ("data should begin in block 1", vec![(9, 1)]),
        ("data should begin in block 60000", vec![(9, 60_000)]),
        ("has a rate", vec![(11, 0), (12, 0)]),
    ];
    for (what, words) in lies {
        let said = error(&Example { words, ..Example::default() });
        assert!(said.contains(what) && said.starts_with("a.c3d"), "{what}: {said}");
    }
    let more = vec![(false, "USED", Value::Words(vec![5]))];
    let said = error(&Example { more, ..Example::default() });
    assert!(said.contains("3 points, and the parameter POINT:USED 5"), "{said}");
    // More frames than any memory, all of them claimed to be there.
    let more = vec![(false, "LONG_FRAMES", Value::Float(9e11))];
    let said = error(&Example { more, ..Example::default() });
    assert!(said.contains("cut the trial"), "{said}");
}

#[test]
fn pointers_out_of_the_file_are_refused() {
    let good = Example::default().bytes();
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        read("a.c3d", &bytes).unwrap_err().to_string()
    };
    assert!(with(0, 1).contains("block 1"));
    assert!(with(0, 200).contains("block 200"));
    assert!(with(1, 0x51).contains("header of 512 bytes"));
    assert!(with(2 * BLOCK + 3, 99).contains("processor 99"));
    // The first parameter is POINT:LABELS, three labels of twelve bytes.
    let first = 2 * BLOCK + 4;
    assert_eq!(&good[first..first + 8], b"\x06\x05LABELS");
    assert!(with(first + 9, 0x7f).contains("parameter 2 reaches out"), "its next one");
    assert!(with(first + 12, 255).contains("parameter 1 reaches out"), "its size");
}

#[test]
fn a_file_cut_anywhere_is_an_error_or_complete() {
    let whole = to_bytes(&sample(), "a.c3d").unwrap();
    let trial = read("a.c3d", &whole).unwrap();
    let data = whole.len() - BLOCK;
    for length in 0..whole.len() {
        match read("a.c3d", &whole[..length]) {
            Ok(read) => assert!(length >= data + 12 * 16 && read == trial, "{length}"),
            Err(error) => {
                assert!(error.to_string().starts_with("a.c3d") && length < data + 12 * 16, "{length}: {error}")
            }
        }
    }
}

#[test]
fn written_trials_read_back() {
    for up in [None, Some(UpAxis::Y), Some(UpAxis::Z)] {
        let trial = MarkerTrial { up, ..sample() };
        let read = read("a.c3d", &to_bytes(&trial, "a.c3d").unwrap()).unwrap();
        assert_eq!((&read.names, read.rate_hz, read.first_frame, read.up), (&trial.names, 50.0, 11, up));
        assert_eq!(read.times, trial.times);
        for (a, b) in read.positions.iter().zip(&trial.positions) {
            match (a, b) {
                // Rounded to 24 bits.
                (Some(a), Some(b)) => assert!((a - b).amax() <= b.amax() * 2f64.powi(-24) + 1e-15),
                (a, b) => assert_eq!(a, b),
            }
        }
    }
}

#[test]
fn many_and_long_names_are_written_in_sets() {
    let count = 600;
    let names: Vec<String> =
        (0..count).map(|i| format!("{i}{}", "x".repeat(if i % 7 == 0 { 180 } else { 3 }))).collect();
    let trial = MarkerTrial { names, times: vec![0.0], positions: vec![Some(Vector3::x()); count], ..sample() };
    let read = read("a.c3d", &to_bytes(&trial, "a.c3d").unwrap()).unwrap();
    assert_eq!(read.names, trial.names);
}

#[test]
fn more_than_65535_frames_are_written_and_read() {
    let frames = 66_000;
    let trial = MarkerTrial {
        names: vec!["A".into()],
        times: (0..frames).map(|i| f64::from(i) / 50.0).collect(),
        positions: (0..frames).map(|i| (i % 3 > 0).then(|| Vector3::new(f64::from(i), 0.0, 0.0))).collect(),
        ..sample()
    };
    let read = read("a.c3d", &to_bytes(&trial, "a.c3d").unwrap()).unwrap();
    assert_eq!((read.frames(), read.first_frame), (66_000, 1));
    // 65 999 m are 65 999 000 mm: neighbouring floats are 4 mm apart there.
    assert_eq!(read.positions[65_997], None);
    assert!((read.positions[65_999].unwrap().x - 65_999.0).abs() < 0.002);
}

#[test]
fn what_the_format_cannot_hold_is_said() {
    type Change = fn(&mut MarkerTrial);
    let wrong: [(&str, Change); 6] = [
        ("255 bytes", |t| t.names[0] = "x".repeat(256)),
        ("farther away", |t| t.positions[4] = Some(Vector3::new(1e37, 0.0, 0.0))),
        ("frame 3 is at", |t| t.times[2] += 0.0101),
        ("counts frames from 1", |t| t.times.iter_mut().for_each(|t| *t -= 1.0)),
        ("counts frames from 1", |t| t.times.iter_mut().for_each(|t| *t += 1e9)),
        ("no number", |t| t.positions[4] = Some(Vector3::repeat(f64::NAN))),
    ];
    for (what, change) in wrong {
        let mut trial = sample();
        change(&mut trial);
        let said = to_bytes(&trial, "a.c3d").unwrap_err().to_string();
        assert!(said.contains(what), "{what}: {said}");
    }
    let names: Vec<String> = (0..600).map(|i| format!("{i:0>250}")).collect();
    let trial = MarkerTrial { positions: vec![None; 600], times: vec![0.0], names, ..sample() };
    let said = to_bytes(&trial, "a.c3d").unwrap_err().to_string();
    assert!(said.contains("127 KiB"), "{said}");
}
