use super::*;
use crate::camera::{Camera, Distortion, Intrinsics};
use nalgebra::{Isometry3, Matrix3, Translation3, UnitQuaternion, Vector3};
use proptest::prelude::*;

const GOOD: &str = r#"
[cam01]
name = "cam01"
size = [ 1088.0, 1920.0]
matrix = [ [ 1681.2, 0.0, 532.9], [ 0.0, 1681.0, 948.1], [ 0.0, 0.0, 1.0]]
distortions = [ -0.0007, 0.0021, 0.0, 0.0]
rotation = [ 1.688, 1.048, -0.419]
translation = [ 0.32, 0.95, 2.89]
fisheye = false

[cam02]
name = "cam02"
size = [ 1088, 1920]
matrix = [ [ 1673.7, 0.0, 534.4], [ 0.0, 1673.7, 963.2], [ 0.0, 0.0, 1.0]]
distortions = [ -0.0007, 0.0021, 1.5e-05, 4.5e-06]
rotation = [ 1.349, 1.596, -1.198]
translation = [ -0.11, 0.77, 3.06]
fisheye = false

[metadata]
adjusted = false
error = 0.0
"#;

const QCA: &str = r#"<?xml version='1.0' encoding='ASCII'?>
<calibration type="regular"><cameras>
<camera active="1" serial="cam_10" model="Miqus Video" viewrotation="0">
  <fov_video bottom="1919" left="0" right="1087" top="0"/>
  <transform r11="0" r12="1" r13="0" r21="-1" r22="0" r23="0" r31="0" r32="0" r33="1" x="1000" y="-2000" z="1500"/>
  <intrinsic centerPointU="34110" centerPointV="60680" focalLengthU="107599" focalLengthV="107588" radialDistortion1="-0.046"
   radialDistortion2="0.14" radialDistortion3="0" skew="0" tangentalDistortion1="0.0006" tangentalDistortion2="0.0007"/>
</camera>
<camera active="1" serial="cam_2" model="Miqus Video" viewrotation="0" video_resolution="720p">
  <fov_video bottom="1079" left="0" right="1919" top="0"/>
  <transform r11="1" r12="0" r13="0" r21="0" r22="1" r23="0" r31="0" r32="0" r33="1" x="0" y="0" z="4000"/>
  <intrinsic centerPointU="61440" centerPointV="34560" focalLengthU="96000" focalLengthV="96000" radialDistortion1="0"
   radialDistortion2="0" radialDistortion3="0" skew="0" tangentalDistortion1="0" tangentalDistortion2="0"/>
</camera>
<camera active="1" serial="9" model="Arqus A12" viewrotation="0"/>
</cameras></calibration>"#;

fn problem(text: &str) -> String {
    read_str(text, "Calib.toml").expect_err("must be refused").to_string()
}

/// The message for `GOOD` with one piece replaced; it must name the file.
fn refused(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    let message = problem(&GOOD.replacen(from, to, 1));
    assert!(message.starts_with("Calib.toml"), "{message}");
    message
}

fn assert_says(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
}

#[test]
fn reads_the_common_dialect() {
    let rig = read_str(GOOD, "Calib.toml").unwrap();
    assert_eq!(rig.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["cam01", "cam02"]);
    assert_eq!(rig[0].intrinsics, Intrinsics { fx: 1681.2, fy: 1681.0, cx: 532.9, cy: 948.1, skew: 0.0 });
    assert_eq!(rig[0].distortion, Distortion::Rational([-0.0007, 0.0021, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]));
    assert_eq!(rig[1].size, [1088.0, 1920.0]);
    assert!((rig[1].camera_from_world.rotation.scaled_axis() - Vector3::new(1.349, 1.596, -1.198)).norm() < 1e-12);
    assert_eq!(rig[1].camera_from_world.translation.vector, Vector3::new(-0.11, 0.77, 3.06));
}

#[test]
fn refuses_what_makes_no_camera() {
    assert_says(&problem(""), &["no cameras"]);
    assert_says(&problem("[metadata]\nerror = 0.0\n"), &["no cameras"]);
    assert_says(&refused("1681.2", "nan"), &["cam01", "NaN"]);
    assert_says(&refused("1681.2", "0.0"), &["cam01", "focal"]);
    assert_says(&refused("1673.7, 0.0, 534.4", "-1673.7, 0.0, 534.4"), &["cam02", "focal"]);
    assert_says(&refused("1681.2", "1e300"), &["cam01", "focal", "1e300", "between 96 and 192000"]);
    assert_says(&refused("1681.2", "1.6812"), &["cam01", "focal", "1.6812"]);
    assert_says(&refused("532.9", "1e300"), &["cam01", "optical axis", "1e300"]);
    assert_says(&refused("0.0, 532.9", "1e9, 532.9"), &["cam01", "skew"]);
    assert_says(&refused("size = [ 1088, 1920]\n", ""), &["cam02", "size", "missing"]);
    assert_says(&refused("[ 1088, 1920]", "[ 1088, 0]"), &["cam02", "size"]);
    assert_says(&refused("[ 1088, 1920]", "[ 1088 ]"), &["cam02", "size", "2 numbers"]);
    assert_says(&refused("[ 0.0, 0.0, 1.0]]", "[ 0.0, 0.0]]"), &["cam01", "matrix", "3 rows"]);
    assert_says(&refused(", [ 0.0, 0.0, 1.0]]", "]"), &["cam01", "matrix", "2 rows"]);
    assert_says(&refused("[ 0.0, 0.0, 1.0]]", "[ 0.0, 0.0, 2.0]]"), &["cam01", "matrix"]);
    assert_says(&refused("-0.0007, 0.0021, 0.0, 0.0", "-0.0007, 0.0021, 0.0"), &["cam01", "distortion", "3"]);
    assert_says(&refused("-0.0007, 0.0021, 0.0, 0.0", "inf, 0.0021, 0.0, 0.0"), &["cam01", "distortion"]);
    assert_says(&refused("-0.0007, 0.0021, 0.0, 0.0", "1e10, -1e10, 1e5, 3.0"), &["cam01", "distortion"]);
    assert_says(&refused("-0.0007, 0.0021, 0.0, 0.0", "-900.0, 0.0, 0.0, 0.0"), &["cam01", "distortion", "no lens"]);
    assert_says(&refused("1.688", "nan"), &["cam01", "rotation"]);
    assert_says(&refused("[ 0.32, 0.95, 2.89]", "[ 0.32, nan, 2.89]"), &["cam01", "translation"]);
    assert_says(&refused("name = \"cam02\"", "name = \"cam01\""), &["two cameras", "cam01"]);
    assert_says(&refused("name = \"cam02\"", "name = []"), &["cam02", "name", "array"]);
    assert_says(&refused("[ 0.32, 0.95, 2.89]", "\"here\""), &["cam01", "translation", "string"]);
    assert_says(&refused("fisheye = false", "fisheye = 0"), &["cam01", "fisheye", "integer"]);
    assert_says(&refused("[ 1.688, 1.048, -0.419]", "[[1,0,0],[0,1,0],[0,0,-1]]"), &["cam01", "mirrored"]);
    assert_says(&refused("[ 1.688, 1.048, -0.419]", "[[1,0,0],[0,2,0],[0,0,1]]"), &["cam01", "no rotation"]);
}

#[test]
fn a_file_cut_off_anywhere_is_refused_or_has_fewer_cameras() {
    for end in (0..GOOD.len()).filter(|&i| GOOD.is_char_boundary(i)) {
        match read_str(&GOOD[..end], "Calib.toml") {
            // Cut between tables, or inside the last camera's optional entry, there is nothing to notice.
            Ok(rig) => assert!(!rig.is_empty() && rig.len() <= 2),
            Err(e) => assert!(e.to_string().starts_with("Calib.toml"), "{e}"),
        }
    }
    let line = GOOD.lines().position(|l| l.starts_with("matrix")).unwrap() + 1;
    let cut = &GOOD[..GOOD.find("532.9").unwrap()];
    assert_says(&problem(cut), &["valid TOML", &format!("line {line}")]);
}

#[test]
fn millimetres_are_refused() {
    let message = refused("[ 0.32, 0.95, 2.89]", "[ 320.0, 950.0, 2890.0]");
    assert_says(&message, &["millimetres", "divide"]);
}

#[test]
fn distances_of_no_room_are_refused() {
    let far = refused("[ 0.32, 0.95, 2.89]", "[ 1e300, 0.0, 0.0]");
    assert_says(&far, &["cam01", "translation", "1e300"]);
    let far = refused("[ 0.32, 0.95, 2.89]", "[ 1e7, 0.0, 0.0]");
    assert_says(&far, &["m apart", "no room"]);
    assert!(!far.contains("divide"), "{far}");
}

#[test]
fn freemocap_is_converted_from_millimetres() {
    let metres = read_str(GOOD, "x").unwrap();
    let scale = |factor: f64| {
        let mut rig = metres.clone();
        rig.iter_mut().for_each(|c| c.camera_from_world.translation.vector *= factor);
        to_toml(&rig).replace("[metadata]", "[metadata]\ncharuco_square_size = 39.0")
    };
    for factor in [1000.0, 1.0] {
        let rig = read_str(&scale(factor), "x").unwrap();
        for (a, b) in rig.iter().zip(&metres) {
            assert!((a.centre_in_world() - b.centre_in_world()).norm() < 1e-12);
        }
    }
    assert_says(&problem(&scale(30.0).replace("39.0", "1")), &["FreeMoCap", "no unit"]);
}

#[test]
fn other_dialects() {
    // AniPose names cameras by table, Caliscope by port, with cameras to ignore.
    let text = GOOD.replace("name = \"cam01\"\n", "").replace("name = \"cam02\"", "name = 2");
    let rig = read_str(&text, "x").unwrap();
    assert_eq!([rig[0].name.as_str(), rig[1].name.as_str()], ["cam01", "2"]);
    let ignored = GOOD.replacen("fisheye = false", "fisheye = false\nignore = true", 1);
    assert_eq!(read_str(&ignored, "x").unwrap().len(), 1);
    let nested = GOOD.replace("[cam0", "[cameras.cam0");
    assert_eq!(read_str(&nested, "x").unwrap(), read_str(GOOD, "x").unwrap());
    let fisheye = GOOD.replacen("fisheye = false", "fisheye = true", 1);
    assert_eq!(read_str(&fisheye, "x").unwrap()[0].distortion, Distortion::Fisheye([-0.0007, 0.0021, 0.0, 0.0]));
}

#[test]
fn reads_qualisys() {
    let rig = read_str(QCA, "Calib.qca.txt").unwrap();
    assert_eq!(rig.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["cam_2", "cam_10"]);
    // 4 m above the floor, looking down: backward axis is the world's Z.
    assert!((rig[0].centre_in_world() - Vector3::new(0.0, 0.0, 4.0)).norm() < 1e-12);
    assert!((rig[0].axis_in_world() - Vector3::new(0.0, 0.0, -1.0)).norm() < 1e-12);
    assert_eq!(rig[0].size, [1280.0, 720.0]);
    assert!((rig[0].intrinsics.fx - 1000.0).abs() < 1e-9 && (rig[0].intrinsics.cx - 640.0).abs() < 1e-9);
    assert_eq!(rig[0].distortion, Distortion::None);
    assert!((rig[1].centre_in_world() - Vector3::new(1.0, -2.0, 1.5)).norm() < 1e-12);
    assert_eq!(rig[1].size, [1088.0, 1920.0]);
    let Distortion::Rational(k) = rig[1].distortion else { panic!("{:?}", rig[1].distortion) };
    assert!((k[0] + 0.046 / 64.0).abs() < 1e-15 && (k[3] - 0.0007 / 64.0).abs() < 1e-15);
}

#[test]
fn refuses_broken_qualisys() {
    let with = |from: &str, to: &str| problem(&QCA.replacen(from, to, 1));
    assert_says(&with("r12=\"1\"", "r12=\"-1\""), &["cam_10", "mirrored"]);
    // A turn about no axis of the world, then seen in a mirror: orthonormal, with determinant −1.
    let turn = UnitQuaternion::from_scaled_axis(Vector3::new(0.7, -0.4, 1.1)).to_rotation_matrix().into_inner();
    let transform = |m: Matrix3<f64>| {
        let entries = (0..9).map(|i| format!("r{}{}=\"{}\"", i / 3 + 1, i % 3 + 1, m[(i / 3, i % 3)]));
        entries.collect::<Vec<_>>().join(" ")
    };
    let plain = "r11=\"0\" r12=\"1\" r13=\"0\" r21=\"-1\" r22=\"0\" r23=\"0\" r31=\"0\" r32=\"0\" r33=\"1\"";
    assert!(QCA.contains(plain) && read_str(&QCA.replacen(plain, &transform(turn), 1), "x").is_ok());
    for mirror in [Vector3::new(-1.0, 1.0, 1.0), Vector3::new(1.0, 1.0, -1.0), Vector3::repeat(-1.0)] {
        let mirror = Matrix3::from_diagonal(&mirror);
        assert_says(&with(plain, &transform(turn * mirror)), &["cam_10", "mirrored"]);
        assert_says(&with(plain, &transform(mirror * turn)), &["cam_10", "mirrored"]);
    }
    assert_says(&with("r12=\"1\"", "r12=\"2\""), &["cam_10", "no rotation"]);
    assert_says(&with("107599", "NaN"), &["cam_10", "focalLengthU", "NaN"]);
    assert_says(&with("107599", "0"), &["cam_10", "focal"]);
    assert_says(&with("right=\"1087\" ", ""), &["cam_10", "right"]);
    assert_says(&with("serial=\"cam_2\"", "serial=\"cam_10\""), &["two cameras", "cam_10"]);
    assert_says(&with("serial=\"cam_2\"", ""), &["empty name"]);
    assert_says(&with("<transform", "<transformation"), &["cam_10", "transform"]);
    assert_says(&with("720p", "big"), &["cam_2", "video_resolution"]);
    assert_says(&problem(&QCA[..QCA.len() / 2]), &["line", "valid XML"]);
    assert_says(&problem("<OpenSimDocument/>"), &["OpenSimDocument"]);
    assert_says(&problem("<calibration/>"), &["no cameras"]);
}

#[test]
fn deep_nesting_is_refused_without_harm() {
    let n = 100_000;
    for text in [
        format!("a = {}{}", "[".repeat(n), "]".repeat(n)),
        format!("a = {}", "[".repeat(n)),
        format!("a = {}1{}", "{b = ".repeat(n), "}".repeat(n)),
        format!("[{}a]\nb = 1", "a.".repeat(n)),
        format!("{}a = 1", "a.".repeat(n)),
        format!("{}{}", "<calibration>".repeat(n), "</calibration>".repeat(n)),
        "<calibration>".repeat(n),
        format!("{}x", "<calibration><!--/>-->".repeat(n)),
    ] {
        assert!(read_str(&text, "x").is_err());
    }
}

/// Cameras of every lens model, with awkward names. No lens folds the image: with r² ≤ 0.55 in its corners, the numerator of
/// the rational model is 1 ± 0.2.
fn any_rig() -> impl Strategy<Value = Rig> {
    let camera = (
        prop::array::uniform3(-3.0..3.0f64),
        prop::array::uniform3(-20.0..20.0f64),
        prop::array::uniform8(-0.2..0.2f64),
        (1500.0..3000.0f64, -2.0..2.0f64, 0..5usize),
        "[a-z\\\\\"\\[\\]. é\n]{0,8}",
    );
    prop::collection::vec(camera, 1..5).prop_map(|cameras| {
        let numbered = cameras.into_iter().enumerate();
        numbered
            .map(|(i, (w, t, k, (f, skew, lens), name))| {
                let first = |n: usize| std::array::from_fn(|i| if i < n { k[i] } else { 0.0 });
                Camera {
                    name: format!("{i}{name}"),
                    size: [1920.0, 1080.0],
                    intrinsics: Intrinsics { fx: f, fy: f + 1.0, cx: 955.5, cy: 545.1, skew },
                    distortion: match lens {
                        0 => Distortion::None,
                        1 => Distortion::Rational(first(4)),
                        2 => Distortion::Rational(first(5)),
                        3 => Distortion::Rational(k),
                        _ => Distortion::Fisheye([k[0], k[1], k[2], k[3]]),
                    },
                    camera_from_world: Isometry3::from_parts(
                        Translation3::from(Vector3::from(t)),
                        UnitQuaternion::from_scaled_axis(Vector3::from(w)),
                    ),
                }
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn written_cameras_come_back(rig in any_rig()) {
        let back = read_str(&to_toml(&rig), "x").unwrap();
        prop_assert_eq!(back.len(), rig.len());
        for (a, b) in back.iter().zip(&rig) {
            prop_assert_eq!(&a.name, &b.name);
            prop_assert_eq!((a.size, a.intrinsics, a.distortion), (b.size, b.intrinsics, b.distortion));
            prop_assert!(a.camera_from_world.rotation.angle_to(&b.camera_from_world.rotation) < 1e-12);
            prop_assert_eq!(a.camera_from_world.translation, b.camera_from_world.translation);
        }
    }

    #[test]
    fn hostile_text_gives_an_answer(text in "\\PC{0,200}", at in 0..GOOD.len(), xml in 0..QCA.len()) {
        let _ = read_str(&text, "x");
        let _ = read_str(&format!("{}{text}{}", &GOOD[..at], &GOOD[at..]), "x");
        let _ = read_str(&format!("{}{text}{}", &QCA[..xml], &QCA[xml..]), "x");
    }
}

#[test]
fn names_of_other_tables_survive_writing() {
    let mut rig = read_str(GOOD, "x").unwrap();
    rig[0].name = "metadata".into();
    rig[1].name = "cameras".into();
    assert_eq!(read_str(&to_toml(&rig), "x").unwrap()[0].name, "metadata");
    assert_eq!(read_str(&to_toml(&rig), "x").unwrap()[1].name, "cameras");
}

#[test]
fn finds_the_calibration_of_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let found = || find(folder.path()).map(|p| p.file_name().unwrap().to_string_lossy().into_owned());
    assert_says(&found().unwrap_err().to_string(), &["no calibration"]);
    put("Config.toml", "[project]\nframe_rate = 60\n");
    put("notes.txt", "");
    assert_says(&found().unwrap_err().to_string(), &["no calibration"]);
    put("cameras.toml", GOOD);
    assert_eq!(found().unwrap(), "cameras.toml");
    put("Calib.qca.txt", QCA);
    assert_says(&found().unwrap_err().to_string(), &["the same cameras", "Calib.qca.txt, cameras.toml"]);
    put("cameras.toml", &to_toml(&read_str(QCA, "x").unwrap()));
    assert_eq!(found().unwrap(), "Calib.qca.txt");
    put("Calib_qualisys.toml", GOOD);
    assert_says(&found().unwrap_err().to_string(), &["the same cameras", "Calib_qualisys.toml, Calib.qca.txt"]);
    put("Calib_qualisys.toml", &to_toml(&read_str(QCA, "x").unwrap()));
    assert_eq!(found().unwrap(), "Calib_qualisys.toml");
    put("calib_old.toml", GOOD);
    assert_says(&found().unwrap_err().to_string(), &["several", "Calib_qualisys.toml", "calib_old.toml"]);
    assert!(find(&folder.path().join("absent")).is_err());
}

#[test]
fn files_that_are_no_text_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Calib.toml");
    fs::write(&path, b"[cam01]\nname = \"\xff\"").unwrap();
    assert_says(&read(&path).unwrap_err().to_string(), &["Calib.toml", "UTF-8", "byte 16"]);
    assert_says(&read(&folder.path().join("none.toml")).unwrap_err().to_string(), &["none.toml", "cannot be read"]);
    fs::write(&path, format!("\u{feff}{GOOD}")).unwrap();
    assert_eq!(read(&path).unwrap().len(), 2);
}

#[test]
fn writing_replaces_the_file_and_leaves_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cameras.toml");
    fs::write(&path, "old").unwrap();
    let rig = read_str(GOOD, "x").unwrap();
    write_toml(&path, &rig).unwrap();
    assert_eq!(read(&path).unwrap().len(), 2);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let nowhere = folder.path().join("no/such/folder/cameras.toml");
    assert_says(&write_toml(&nowhere, &rig).unwrap_err().to_string(), &["cannot be written"]);
}

#[test]
fn positions_in_another_unit_are_refused() {
    // A file of Qualisys in metres: the cameras of a hall, millimetres apart.
    let metres =
        QCA.replace("x=\"1000\" y=\"-2000\" z=\"1500\"", "x=\"1\" y=\"-2\" z=\"1.5\"").replace("z=\"4000\"", "z=\"4\"");
    assert_ne!(metres, QCA);
    assert_says(
        &read_str(&metres, "x").unwrap_err().to_string(),
        &["within 0.00", "look like metres, expected millimetres", "1000"],
    );
    let mut rig = read_str(QCA, "x").unwrap();
    rig.iter_mut().for_each(|c| c.camera_from_world.translation.vector /= 1e3);
    assert_says(&read_str(&to_toml(&rig), "x").unwrap_err().to_string(), &["kilometres, expected metres"]);
}
