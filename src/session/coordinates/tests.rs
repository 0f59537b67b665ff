use super::*;
use std::collections::HashSet;

fn table(text: &str) -> CoordinateTable {
    read_str("a.mot", text).unwrap()
}

fn error(text: &str) -> String {
    read_str("a.mot", text).unwrap_err().to_string()
}

const BODY: &str = "time\ta\tb\n0\t1\t2\n1\t3\t4\n";

/// What OpenSim 4.6's `Storage::isInDegrees` says of the same headers, but for a flag in a file without version, which it passes over.
#[test]
fn degrees_are_where_opensim_takes_them() {
    for (header, in_degrees) in [
        ("x\nversion=1\nnRows=2\nnColumns=3\n", false),
        ("x\nversion=1\nnRows=2\nnColumns=3\ninDegrees=yes\n", true),
        ("x\nversion=1\nnRows=2\nnColumns=3\ninDegrees = no\n", false),
        ("x\nversion=1\nnRows=2\nnColumns=3\nAngles are in degrees.\n", false),
        ("x\nnRows=2\nnColumns=3\n", true),
        ("x\nnRows=2\nnColumns=3\n# Angles are in radians\n", true),
        ("name x\ndatacolumns 3\ndatarows 2\nrange 0 1\n", true),
        ("name x\ndatacolumns 3\ndatarows 2\ninDegrees=no\n", false),
        ("", true),
    ] {
        let table = table(&format!("{header}endheader\n{BODY}"));
        assert_eq!(table.in_degrees, in_degrees, "{header}");
        assert_eq!((&table.names[..], &table.times[..]), (&["a".to_owned(), "b".into()][..], &[0.0, 1.0][..]));
        assert_eq!(table.values, [1.0, 2.0, 3.0, 4.0].map(Some));
    }
}

#[test]
fn spaces_tabs_and_ends_of_lines() {
    let expected = table(&format!("version=1\nendheader\n{BODY}"));
    for text in [
        "version=1\r\nendheader\r\ntime\ta\tb\r\n0\t1\t2\r\n1\t3\t4\r\n",
        "version=1\t\t\nendheader\t\t\n\n\ntime\ta\tb\t\t\n0\t1\t2\t\n\n1\t3\t4\n\n",
        "version=1\nendheader\n  time   a   b\n     0.0     1.0    2.0\n  1.0 3.0 4.0",
        "version=1\nendheader \n time \t a \t b\n 0\t1e0 \t 2 \n 1.000\t3\t4",
        "version=1\nEndHeader\na time b\n1 0 2\n3 1 4",
    ] {
        assert_eq!(table(text), expected, "{text}");
    }
}

#[test]
fn names_between_tabs_may_hold_spaces() {
    let t = table("endheader\ntime\tknee angle\tb\n0\t1\t2\n");
    assert_eq!(t.names, ["knee angle", "b"]);
    assert_eq!(table(&t.to_mot("b.mot").unwrap()), CoordinateTable { in_degrees: true, ..t });
}

#[test]
fn what_is_missing_is_none() {
    let table = table("version=1\nendheader\ntime\ta\tb\n0\t\tnan\n1\t-nan(ind)\t1.#QNAN\n2\t5\t\n");
    assert_eq!(table.values, [None, None, None, None, Some(5.0), None]);
    let said = table.to_mot("b.mot").unwrap_err().to_string();
    assert!(said.starts_with("b.mot: coordinate `a` has no value at 0 s"), "{said}");
}

/// As OpenSim does.
#[test]
fn rows_without_times_are_spread_over_the_range() {
    let t = table("name x\ndatacolumns 2\ndatarows 3\nrange 0.5 1.5\nendheader\na\tb\n1\t2\n3\t4\n5\t6\n");
    assert_eq!(t.times, [0.5, 1.0, 1.5]);
    assert_eq!(t.names, ["a", "b"]);
    for header in ["", "range 1 1\n", "range x\n", "range 0 1e400\n"] {
        let said = error(&format!("{header}endheader\na\tb\n1\t2\n3\t4\n"));
        assert!(said.contains("no column `time`"), "{said}");
    }
}

#[test]
fn only_rotational_coordinates_are_converted() {
    let text = "version=1\ninDegrees=yes\nendheader\ntime\t/jointset/hip/flexion/value\tpelvis_tx\t/jointset/hip/flexion/speed\n0\t180\t2\t\n";
    let t = table(text);
    assert_eq!((t.column("flexion"), t.column("pelvis_tx"), t.column("value")), (Some(0), Some(1), None));
    let asked = std::cell::RefCell::new(HashSet::new());
    let si = t.in_si(|name| {
        asked.borrow_mut().insert(name.to_owned());
        name == "flexion"
    });
    assert_eq!(si.values, [Some(std::f64::consts::PI), Some(2.0), None]);
    assert!(!si.in_degrees);
    assert_eq!(si.in_si(|_| true), si, "what is in radians stays");
    let asked = asked.into_inner();
    assert!(asked.contains("flexion") && asked.contains("/jointset/hip/flexion/speed"), "{asked:?}");
    let empty = CoordinateTable { names: vec![], times: vec![], values: vec![], in_degrees: true };
    assert!(!empty.in_si(|_| true).in_degrees);
}

#[test]
fn errors_name_the_place_and_both_counts() {
    for (text, said) in [
        ("", "no line `endheader`"),
        ("nRows=2\nnColumns=3\n", "no line `endheader`"),
        ("endheader\n", "no line names its columns"),
        ("endheader\ntime\ta\n", "there are no rows"),
        (
            "nColumns=4\nendheader\ntime\ta\tb\n0\t1\t2\n",
            "line 3: 3 columns are named, and the header says that there are 4",
        ),
        ("nColumns=many\nendheader\n", "line 1: ncolumns is `many`"),
        ("x\ninDegrees=maybe\nendheader\n", "line 2: inDegrees is `maybe`"),
        ("endheader\ntime\ta\tb\n0\t1\n", "line 3: 2 columns, and the line of their names has 3"),
        ("endheader\ntime\ta\tb\n0\t1\t2\t3\n", "line 3: 4 columns"),
        ("endheader\ntime\ta\n0\tone\n", "line 3: column `a`: `one` is not a number"),
        ("endheader\ntime\ta\n0\t1,5\n", "decimal point"),
        ("endheader\ntime\ta\n0\t1\n0\t1\n", "line 4: time goes from 0 s to 0 s"),
        ("endheader\ntime\ta\nnan\t1\n", "line 3: the row has no time"),
        ("endheader\ntime\t\ta\n0\t1\t1\n", "line 3: 3 columns, and the line of their names has 2"),
        ("nColumns=3\nendheader\ntime\t\ta\n0\t1\t1\n", "line 3: column 2 has no name"),
        ("endheader\ntime\ta\ta\n0\t1\t1\n", "columns 2 and 3 are both named `a`"),
        ("nRows=3\nendheader\ntime\ta\n0\t1\n1\t2", "line 5: the file ends in the middle of a line, after 2 of 3 rows"),
    ] {
        let message = error(text);
        assert!(
            message.to_lowercase().contains(&said.to_lowercase()) && message.starts_with("a.mot"),
            "{said}: {message}"
        );
    }
    // A count of rows may lie as long as the last line is whole.
    assert_eq!(table("nRows=900\nendheader\ntime\ta\n0\t1\n").rows(), 1);
    assert_eq!(table("nRows=1\nendheader\ntime\ta\n0\t1").rows(), 1);
}

#[test]
fn written_tables_read_back() {
    for in_degrees in [false, true] {
        let t = CoordinateTable {
            names: vec!["a".into(), "b".into()],
            times: vec![-0.1, 1.0 / 3.0],
            values: vec![Some(1.0), Some(-2.5e-3), Some(1_234.567_890_123), Some(0.0)],
            in_degrees,
        };
        let read = table(&t.to_mot("b.mot").unwrap());
        assert_eq!((&read.names, read.in_degrees), (&t.names, in_degrees));
        // Half of the last decimal.
        assert!(read.times.iter().zip(&t.times).all(|(a, b)| (a - b).abs() <= 0.6e-12));
        assert!(read.values.iter().zip(&t.values).all(|(a, b)| (a.unwrap() - b.unwrap()).abs() <= 0.6e-12));
    }
}

#[test]
fn what_is_no_table_is_not_written() {
    let t = table(&format!("endheader\n{BODY}"));
    let ragged = CoordinateTable { values: t.values[..3].to_vec(), ..t.clone() };
    assert!(ragged.to_mot("b.mot").unwrap_err().to_string().contains("3 values for 2 rows of 2 columns"));
    let timeless = CoordinateTable { times: vec![0.0, f64::NAN], ..t };
    assert!(timeless.to_mot("b.mot").unwrap_err().to_string().contains("row 2 has no time"));
}
