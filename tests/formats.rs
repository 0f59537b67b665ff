//! Files of 3-D markers, coordinates and tasks: those that other programs made, with the numbers these read from them, and those that nobody should
//! have made.
//!
//! Tests of recordings need data that is not part of the repository (see `common::shared`), and say so where it is absent.

mod common;

use common::shared;
use kinefit::session::coordinates::{self, CoordinateTable};
use kinefit::session::markers::{self, MarkerTrial, c3d, trc};
use kinefit::session::tasks::{self, Target};
use kinefit::skeleton::{UpAxis, read_model};
use nalgebra::Vector3;
use proptest::prelude::*;
use std::path::Path;

/// A file, its frames, markers, rate, first and last time, missing positions; then a position, metres, of its last marker.
type MarkersRead = (&'static str, usize, usize, f64, [f64; 2], usize, usize, &'static str, [f64; 3]);

/// As OpenSim 4.6 reads them (`TimeSeriesTableVec3`), but for the unit.
const TRC: [MarkersRead; 13] = [
    (
        "balancing_references/triangulated_butterworth.trc",
        100,
        21,
        60.0,
        [0.0166666666666666, 1.6666666666666667],
        0,
        99,
        "LWrist",
        [0.45734376982803315, 1.547658785190419, -0.38649962199088916],
    ),
    (
        "balancing_references/triangulated_raw.trc",
        100,
        21,
        60.0,
        [0.016666666666666666, 1.6666666666666667],
        0,
        99,
        "LWrist",
        [0.45750045894711305, 1.5475270757731838, -0.3871462895406637],
    ),
    (
        "balancing_references/triangulated_static.trc",
        12,
        21,
        60.0,
        [0.016666666666666666, 0.2],
        0,
        11,
        "LWrist",
        [-0.06823467675436763, 0.9830199237181229, -0.5087828293513995],
    ),
    (
        "parser/dataWithBlanksForMissingMarkers.trc",
        464,
        40,
        250.0,
        [0.0, 1.852],
        15005,
        463,
        "RKJC",
        [1.77061169, 0.59912988, 0.50095572],
    ),
    ("parser/dataWithEformat.trc", 5, 14, 119.88012, [0.008342, 0.041708], 0, 4, "RFAulna", [-0.164, 0.072, -1.42]),
    (
        "parser/dataWithNaNsOfDifferentCases.trc",
        5,
        14,
        250.0,
        [0.0, 0.016],
        5,
        4,
        "lASIS",
        [-0.033771392, 0.498944402, 0.19673872],
    ),
    ("parser/exampleFormat.trc", 5, 3, 100.0, [0.01, 0.05], 2, 4, "marker3", [-0.0517, 0.305, -1.7]),
    (
        "parser/gait10dof18musc_walk_CRLF_line_ending.trc",
        10,
        41,
        60.0,
        [0.0, 0.15],
        0,
        9,
        "Top.Head",
        [0.75289178, 1.75874548, 0.001274],
    ),
    (
        "trials/arnold_synthetic_subject01/markers.trc",
        223,
        64,
        200.00000000000426,
        [3.38, 4.49],
        0,
        222,
        "LSJC",
        [2.327534542118135, 1.449740747441871, -0.7081313031939113],
    ),
    (
        "trials/core_gait2354/subject01_static.trc",
        300,
        49,
        60.0,
        [0.0, 4.983],
        0,
        299,
        "Top.Head",
        [0.57306628, 1.81821582, 0.03806445],
    ),
    (
        "trials/core_gait2354/subject01_synthetic_marker_data.trc",
        73,
        31,
        60.0,
        [0.4, 1.6],
        0,
        72,
        "L.Toe.Tip",
        [0.70121, 0.049148, -0.041512],
    ),
    (
        "trials/rajagopal_walk/markers_walk.trc",
        238,
        41,
        100.0,
        [0.0, 2.37],
        0,
        237,
        "L.Toe",
        [2.461683, 0.052199, -0.296859],
    ),
    ("trials/subject4/walking1.trc", 131, 51, 100.0, [0.0, 1.3], 125, 130, "r_toe", [1.63827, 0.0705098, -0.166488]),
];

#[test]
fn marker_trials_of_other_programs() {
    let Some(root) = shared("data") else { return };
    for (file, frames, count, rate_hz, [start, end], missing, frame, name, place) in TRC {
        let trial = markers::read(&root.join(file)).unwrap();
        trial.check(file).unwrap();
        assert_eq!((trial.frames(), trial.names.len(), trial.rate_hz), (frames, count, rate_hz), "{file}");
        assert_eq!((trial.times[0], trial.times[frames - 1]), (start, end), "{file}");
        assert_eq!(trial.positions.iter().filter(|p| p.is_none()).count(), missing, "{file}");
        assert_eq!(trial.names.last().unwrap(), name, "{file}");
        let found = trial.get(frame, count - 1).unwrap();
        // A product by 0.001 is rounded; metres are the same bits.
        assert!((found - Vector3::from(place)).amax() < 1e-15, "{file}: {found}");
    }
}

/// Values by ezc3d 1.5; the file is of a DEC processor with floats, its labels have their subject before them.
#[test]
fn a_c3d_of_another_program() {
    let Some(path) = shared("data/parser/cmu_dribble_shoot_basketball.c3d") else { return };
    let trial = markers::read(&path).unwrap();
    trial.check("c3d").unwrap();
    assert_eq!((trial.frames(), trial.names.len(), trial.rate_hz, trial.first_frame), (494, 41, 120.0, 187));
    assert_eq!(trial.names[..3], ["LFHD", "RFHD", "LBHD"]);
    assert_eq!(trial.up, Some(UpAxis::Z));
    assert_eq!(trial.times[0], 186.0 / 120.0);
    assert!(trial.positions.iter().all(Option::is_some));
    for (frame, marker, mm) in [
        (0, 0, [-1226.050030708313, 194.96430373191833, 1658.7159113883972]),
        (100, 5, [-618.7102489471436, 86.94486546516418, 1270.7477293014526]),
        (493, 40, [3063.3606939315796, -172.1253480911255, 43.42342209815979]),
    ] {
        let found = trial.get(frame, marker).unwrap() * 1000.0;
        // ezc3d holds single precision: half of the last of 24 bits of the number, or of its scale's.
        assert!((found - Vector3::from(mm)).amax() < 4e-4, "{frame} {marker}: {found}");
    }
    let again = c3d::read("again", &c3d::to_bytes(&trial, "again").unwrap()).unwrap();
    assert_eq!((&again.names, again.first_frame, again.up, again.rate_hz), (&trial.names, 187, trial.up, 120.0));
}

/// A file, its rows and columns, first and last time; of the last row the fourth number and the last, each with its column's name.
type TableRead = (&'static str, usize, usize, [f64; 2], (&'static str, f64), (&'static str, f64));

/// As OpenSim 4.6 reads them (`Storage`), all in degrees.
const MOT: [TableRead; 4] = [
    (
        "balancing_references/pose2sim_opensim_ik.mot",
        100,
        62,
        [0.01666667, 1.66666667],
        ("pelvis_tx", 0.04135331),
        ("wrist_dev_l", 0.0),
    ),
    (
        "parser/gait10dof18musc_ik_CRLF_line_ending.mot",
        15,
        10,
        [0.0, 0.23333333],
        ("hip_flexion_r", -2.4556614),
        ("lumbar_extension", -22.39156625),
    ),
    (
        "trials/core_gait2354/std_subject01_walk1_ik.mot",
        73,
        23,
        [0.4, 1.6],
        ("pelvis_tx", 0.59124753),
        ("mtp_angle_l", 0.0),
    ),
    (
        "trials/subject4/walking1_manual_scaling_ik.mot",
        131,
        35,
        [0.0, 1.3],
        ("pelvis_tx", 1.53437506),
        ("pro_sup_l", 109.33403858),
    ),
];

#[test]
fn motions_of_other_programs() {
    let Some(root) = shared("data") else { return };
    for (file, rows, columns, [start, end], fourth, last) in MOT {
        let table = coordinates::read(&root.join(file)).unwrap();
        assert_eq!((table.rows(), table.names.len(), table.in_degrees), (rows, columns, true), "{file}");
        assert_eq!((table.times[0], table.times[rows - 1]), (start, end), "{file}");
        for (column, (name, value)) in [(3, fourth), (columns - 1, last)] {
            assert_eq!((table.names[column].as_str(), table.get(rows - 1, column)), (name, Some(value)), "{file}");
        }
    }
}

/// Degrees become radians for the model's rotational coordinates only.
#[test]
fn a_motion_in_the_units_of_its_model() {
    let Some(root) = shared("data/trials/subject4") else { return };
    let skeleton = read_model(&root.join("manually_scaled_stripped.osim")).unwrap();
    let table = coordinates::read(&root.join("walking1_manual_scaling_ik.mot")).unwrap();
    let si = table.in_si_for(&skeleton);
    let (tx, pro_sup) = (table.column("pelvis_tx").unwrap(), table.column("pro_sup_l").unwrap());
    assert_eq!(si.get(130, tx), Some(1.53437506));
    assert_eq!(si.get(130, pro_sup), Some(109.33403858f64.to_radians()));
    assert!(!si.in_degrees);
}

#[test]
fn tasks_of_other_programs() {
    let Some(root) = shared("data") else { return };
    let read = |file: &str| tasks::read(&root.join(file)).unwrap();
    let uniform = read("trials/core_gait2354/gait2354_IK_Tasks_uniform.xml");
    assert_eq!(uniform.markers[0].name, "Sternum");
    assert!(uniform.markers.iter().all(|t| t.apply && t.weight == 1.0));
    let openpose = read("models/Setup_IK_openpose.xml");
    assert_eq!(openpose.marker_weight("Neck"), 5.0);
    let scale = read("trials/core_gait2354/gait2354_Scale_Tasks.xml");
    let subtalar = scale.coordinates.iter().find(|t| t.name == "subtalar_angle_r").unwrap();
    assert_eq!((subtalar.apply, subtalar.weight, subtalar.target), (true, 1000.0, Target::Default));
    // Its tasks are in the first of these files.
    let setup = root.join("trials/core_gait2354/subject01_Setup_InverseKinematics.xml");
    let setup = tasks::read_setup(&setup).unwrap();
    assert_eq!((setup.tasks, setup.time_range), (uniform, Some([0.4, 1.6])));
    let openpose = tasks::read_setup(&root.join("models/Setup_IK_openpose.xml")).unwrap();
    assert_eq!(openpose.time_range, None);
    // Nothing in the setups of other programs is taken for a mistake.
    for file in ["models/Setup_scaling_LaiUhlrich2022_openpose.xml", "trials/core_gait2354/subject01_Setup_Scale.xml"] {
        kinefit::session::scale_setup::read(&root.join(file)).unwrap();
    }
}

/// Two markers in millimetres.
const SMALL: &str = "PathFileType\t4\t(X/Y/Z)\ta.trc\n\
    DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames\n\
    100\t100\t3\t2\tmm\t100\t1\t3\nFrame#\tTime\tA\t\t\tB\t\t\n\t\tX1\tY1\tZ1\tX2\tY2\tZ2\n\
    7\t0.5\t1\t2\t3\t4\t5\t6\n8\t0.51\t\t\t\tNaN\tnan\t-nan(ind)\n9\t0.53\t1\t\t3\t-4\t5e1\t1.#QNAN\n";

fn small(from: &str, to: &str) -> kinefit::Result<MarkerTrial> {
    assert!(SMALL.contains(from), "{from}");
    trc::read("a.trc", &SMALL.replacen(from, to, 1))
}

#[test]
fn trc_in_all_its_forms() {
    let trial = trc::read("a.trc", SMALL).unwrap();
    assert_eq!((trial.first_frame, trial.rate_hz, &trial.times[..]), (7, 100.0, &[0.5, 0.51, 0.53][..]));
    assert_eq!(trial.frame(0), [Some(Vector3::new(0.001, 0.002, 0.003)), Some(Vector3::new(0.004, 0.005, 0.006))]);
    assert!(trial.positions[2..].iter().all(Option::is_none));
    // All of these say the same.
    for (from, to) in [
        ("mm", "millimeters"),
        ("\t3\t2\tmm", "\t900\t2\tmm"),
        ("\n100\t100\t3", "\n  100.0\t\t  100 \t\t 3"),
        ("Frame#\tTime\tA\t\t\tB\t\t", "Frame#\tTime\t\tA\t\tB\t\t\t\t"),
        ("Frame#\tTime\tA\t\t\tB\t\t", "frame# time A B"),
        ("Z2\n", "Z2\t\n\n"),
        ("Z2\n", "Z2\n\t\t\n \n"),
        ("\n\t\tX1\tY1\tZ1\tX2\tY2\tZ2", ""),
        ("5\t6\n", "5\t6\t\t \n"),
        ("7\t0.5\t1\t2\t3\t4\t5\t6", "  7.0  0.50 1e0 2 3 \t 4 5 6"),
        ("PathFileType\t4", "PathFileType  4"),
    ] {
        assert_eq!(small(from, to).unwrap(), trial, "{from:?} {to:?}");
    }
    assert_eq!(trc::read("a.trc", &SMALL.replace('\n', "\r\n")).unwrap(), trial);
    assert_eq!(
        small("\n100\t", "\n0\t").unwrap().rate_hz,
        2.0 / (0.53 - 0.5),
        "a rate that is none comes from the times"
    );
    assert_eq!(small("\tmm", "\tm").unwrap().get(0, 1), Some(Vector3::new(4.0, 5.0, 6.0)));
    assert_eq!(small("\tB\t", "\t\t").unwrap().names, ["A", "unlabelled 2"]);
    assert_eq!(small("\tA\t", "\t \t").unwrap().names, ["unlabelled 1", "B"]);
}

#[test]
fn trc_mistakes_name_line_and_both_counts() {
    for (from, to, said) in [
        ("PathFileType", "Path", "line 1: a TRC file begins"),
        ("\tmm", "\tinch", "line 3: the unit of length `inch`"),
        ("NumMarkers", "Markers", "line 3: the header has no value of NumMarkers"),
        ("\t3\t2\tmm", "\t3\t0\tmm", "line 3: NumMarkers is `0`"),
        ("\t3\t2\tmm", "\t3\t1000000000\tmm", "1000000000 markers, and at most 65535"),
        ("\t3\t2\tmm", "\t3\t3\tmm", "line 4: 2 names of markers, and the header says that there are 3"),
        ("\t3\t2\tmm", "\t3\t1\tmm", "line 4: 2 names of markers, and the header says that there are 1"),
        ("\tB\t", "\tA\t", "the marker `A` stands twice"),
        ("\tZ2", "", "line 5: 5 columns X1, Y1, Z1, …, and 2 markers in the header need 6"),
        ("Frame#", "#", "line 4: the line with the names"),
        ("\t5\t6\n", "\t5\n", "line 6: 7 columns, and 2 markers need 8"),
        ("\t5\t6\n", "\t5\t6\t7\n", "line 6: 9 columns, and 2 markers need 8"),
        ("\t4\t5\t6", "\tfour\t5\t6", "line 6: marker `B`: `four` is not a number"),
        ("\t4\t5\t6", "\t4,5\t5\t6", "decimal point"),
        ("7\t0.5", "x\t0.5", "line 6: number of the frame"),
        ("7\t0.5", "7\t", "line 6: the row has no time"),
        ("8\t0.51", "8\t0.5", "line 7: time goes from 0.5 s to 0.5 s"),
    ] {
        let message = small(from, to).unwrap_err().to_string();
        assert!(message.contains(said) && message.starts_with("a.trc"), "{said}: {message}");
    }
}

/// Where a line ends the rest may be gone unnoticed, unless the header tells; that is a warning, because headers lie. So may be the end of the very last
/// number.
#[test]
fn a_trc_cut_anywhere_is_an_error_or_has_whole_lines() {
    let whole = trc::read("a.trc", SMALL).unwrap();
    for length in 0..SMALL.len() {
        match trc::read("a.trc", &SMALL[..length]) {
            Ok(trial) => {
                let last = SMALL[..length].rsplit('\n').next().unwrap();
                assert!(last.is_empty() || (trial.frames() == 3 && last.split('\t').count() == 8), "{length}");
                let sure = trial.positions.len() - usize::from(!last.is_empty());
                assert_eq!(trial.positions[..sure], whole.positions[..sure], "{length}");
            }
            Err(error) => assert!(error.to_string().starts_with("a.trc"), "{error}"),
        }
    }
}

/// A name as files can hold it: no white space at its ends, no control characters; that none is called unlabelled and none is empty is the
/// generator's doing.
fn names(count: usize) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[A-Za-zÀ-ÿ0-9._/ -]{0,12}", count)
        .prop_map(|names| names.iter().enumerate().map(|(i, name)| format!("m{i}{name}_")).collect())
}

fn trials() -> impl Strategy<Value = MarkerTrial> {
    (1usize..6, 1usize..8, 0u32..70_000).prop_flat_map(|(count, frames, start)| {
        let position = prop::option::of(prop::array::uniform3(-1e3f64..1e3).prop_map(Vector3::from));
        let up = prop::sample::select(vec![None, Some(UpAxis::Y), Some(UpAxis::Z)]);
        let rate = prop::sample::select(vec![30.0, 60.0, 119.880_12, 250.0]);
        (names(count), prop::collection::vec(position, count * frames), up, rate).prop_map(
            move |(names, positions, up, rate_hz)| MarkerTrial {
                label: "made".into(),
                names,
                rate_hz,
                first_frame: i64::from(start) + 1,
                times: (0..frames).map(|i| (start as usize + i) as f64 / rate_hz).collect(),
                positions,
                up,
            },
        )
    })
}

fn tables() -> impl Strategy<Value = CoordinateTable> {
    (1usize..6, 1usize..8, any::<bool>()).prop_flat_map(|(columns, rows, in_degrees)| {
        let value = (-1e6f64..1e6).prop_map(Some);
        (names(columns), prop::collection::vec(value, columns * rows)).prop_map(move |(names, values)| {
            CoordinateTable { names, times: (0..rows).map(|i| -0.1 + i as f64 / 60.0).collect(), values, in_degrees }
        })
    })
}

/// `None` on both sides, or as near as `bound` of the second's size says.
fn near(a: &[Option<Vector3<f64>>], b: &[Option<Vector3<f64>>], bound: impl Fn(f64) -> f64) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|pair| match pair {
            (Some(a), Some(b)) => (a - b).amax() <= bound(b.amax()),
            (a, b) => a == b,
        })
}

/// A reader's answer to hostile bytes: an error that names the file, or something that keeps its promises.
fn sound(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for read in [trc::read("f", &text), c3d::read("f", bytes)] {
        match read {
            Ok(trial) => trial.check("f").unwrap(),
            Err(error) => assert!(error.to_string().starts_with('f'), "{error}"),
        }
    }
    match coordinates::read_str("f", &text) {
        Ok(table) => {
            assert_eq!(table.values.len(), table.rows() * table.names.len());
            assert!(table.values.iter().flatten().chain(&table.times).all(|x| x.is_finite()));
        }
        Err(error) => assert!(error.to_string().starts_with('f'), "{error}"),
    }
    match tasks::read_str("f", &text) {
        Ok(tasks) => assert!(tasks.markers.iter().all(|t| t.weight >= 0.0 && t.weight.is_finite())),
        Err(error) => assert!(error.to_string().starts_with('f'), "{error}"),
    }
}

/// Some bytes changed, then some taken out or put in again.
fn mutated(bytes: &[u8], changes: &[(usize, u8)], cut: (usize, usize), repeat: bool) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (at, value) in changes {
        let length = bytes.len();
        bytes[at % length] = *value;
    }
    let start = cut.0 % bytes.len();
    let end = (start + cut.1).min(bytes.len());
    let part = bytes[start..end].to_vec();
    let put = if repeat { [part.clone(), part].concat() } else { Vec::new() };
    bytes.splice(start..end, put);
    bytes
}

const TASKS: &str = "<IKTaskSet><defaults><IKMarkerTask name='d'><weight>2</weight></IKMarkerTask></defaults><objects><IKMarkerTask name='A'/>\
    <IKCoordinateTask name='b'><apply>true</apply><value_type>manual_value</value_type><value>1</value></IKCoordinateTask></objects></IKTaskSet>";

proptest! {
    #[test]
    fn trc_reads_back_to_its_printed_precision(trial in trials()) {
        let read = trc::read("t.trc", &trc::to_text(&trial, "t.trc").unwrap()).unwrap();
        prop_assert_eq!((&read.names, read.rate_hz, read.first_frame), (&trial.names, trial.rate_hz, trial.first_frame));
        // Half of the twelfth decimal, and the number's own rounding.
        let bound = |size: f64| 0.5e-12 + size * f64::EPSILON;
        prop_assert!(read.times.iter().zip(&trial.times).all(|(a, b)| (a - b).abs() <= bound(*b)));
        prop_assert!(near(&read.positions, &trial.positions, bound));
    }

    #[test]
    fn c3d_reads_back_to_single_precision(trial in trials()) {
        let read = c3d::read("t.c3d", &c3d::to_bytes(&trial, "t.c3d").unwrap()).unwrap();
        prop_assert_eq!((&read.names, read.first_frame, read.up), (&trial.names, trial.first_frame, trial.up));
        // The rate has 24 bits too, and times follow it.
        let single = 2f64.powi(-24);
        prop_assert!((read.rate_hz - trial.rate_hz).abs() <= trial.rate_hz * single);
        prop_assert!(read.times.iter().zip(&trial.times).all(|(a, b)| (a - b).abs() <= b * 1.01 * single + 1e-15));
        prop_assert!(near(&read.positions, &trial.positions, |size| size * 1.01 * single));
    }

    #[test]
    fn mot_reads_back_to_its_printed_precision(table in tables()) {
        let read = coordinates::read_str("t.mot", &table.to_mot("t.mot").unwrap()).unwrap();
        prop_assert_eq!((&read.names, read.in_degrees), (&table.names, table.in_degrees));
        let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 0.5e-12 + b.abs() * f64::EPSILON;
        prop_assert!(read.times.iter().zip(&table.times).all(near));
        prop_assert!(read.values.iter().flatten().zip(table.values.iter().flatten()).all(near));
        prop_assert_eq!(read.values.len(), table.values.len());
    }

    #[test]
    fn any_bytes_are_an_error_or_sound(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        sound(&bytes);
        // The same with the first bytes that a reader asks for.
        sound(&[b"PathFileType\n", &bytes[..]].concat());
        sound(&[b"endheader\ntime\ta\n", &bytes[..]].concat());
        let mut c3d = vec![2, 0x50];
        c3d.extend(&bytes);
        sound(&c3d);
    }

    #[test]
    fn damaged_files_are_an_error_or_sound(
        trial in trials(),
        table in tables(),
        changes in prop::collection::vec((any::<usize>(), any::<u8>()), 0..6),
        cut in (any::<usize>(), 0usize..200),
        repeat in any::<bool>(),
    ) {
        let files = [
            trc::to_text(&trial, "t").unwrap().into_bytes(),
            c3d::to_bytes(&trial, "t").unwrap(),
            table.to_mot("t").unwrap().into_bytes(),
            TASKS.into(),
            SMALL.into(),
        ];
        for file in files {
            sound(&mutated(&file, &changes, cut, repeat));
        }
        // In a C3D file most bytes are data: change some of the header and parameters.
        let near: Vec<_> = changes.iter().map(|(at, value)| (at % 1024, *value)).collect();
        sound(&mutated(&c3d::to_bytes(&trial, "t").unwrap(), &near, (0, 0), false));
    }
}

/// Every awkward file, cut in the middle and with bytes changed, at fixed places.
#[test]
fn real_files_damaged_are_an_error_or_sound() {
    let Some(root) = shared("data/parser") else { return };
    let mut count = 0;
    for entry in std::fs::read_dir(&root).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for part in [0, 1, 5, 11] {
            sound(&bytes[..bytes.len() * part / 11]);
        }
        for i in 1..20usize {
            sound(&mutated(&bytes, &[(i * 977, (i * 13) as u8)], (i * 31, i), i % 2 == 0));
        }
        count += 1;
    }
    assert!(count > 0, "{}", root.display());
}

#[test]
fn what_is_not_there_is_said() {
    for said in [
        markers::read(Path::new("none.c3d")).unwrap_err(),
        coordinates::read(Path::new("none.mot")).unwrap_err(),
        tasks::read(Path::new("none.xml")).unwrap_err(),
    ] {
        assert!(said.to_string().starts_with("none.") && said.exit_code() == 2, "{said}");
    }
}
