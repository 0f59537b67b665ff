//! MuJoCo's models: joints against values of MuJoCo, and what is wrong with some.

use crate::{LEG, ROUNDING, data, kinematics, numbers, rows};
use kinefit::skeleton::{Offsets, Scales, Skeleton, UpAxis, read_model, read_model_str};
use nalgebra::{Matrix3, Vector3};
use serde_json::Value;

/// What MuJoCo makes of several orders of Euler angles, units, and ranges that are limits or not.
#[test]
fn compilers_of_mujoco() {
    let reference: Value = serde_json::from_str(&std::fs::read_to_string(data("compilers.json")).unwrap()).unwrap();
    let cases = reference["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 7);
    for case in cases {
        let text = case["model"].as_str().unwrap();
        let skeleton = read_model_str("model.xml", text).unwrap();
        let (ones, zeros) = (Scales::ones(&skeleton), Offsets::zeros(&skeleton));
        for (name, limited) in case["limited"].as_object().unwrap().iter().filter(|(name, _)| *name != "ball") {
            let c = &skeleton.coordinates[skeleton.coordinate(name).unwrap().index()];
            assert_eq!(c.range.is_some(), limited.as_bool().unwrap(), "{name}: {text}");
            let expected = numbers(&case["ranges"][name]);
            for (a, b) in c.range.iter().flatten().zip(expected) {
                assert!((a - b).abs() < ROUNDING, "{name}: {text}");
            }
        }
        for pose in case["poses"].as_array().unwrap() {
            let q = skeleton.coordinates_from_qpos("qpos", &numbers(&pose["qpos"])).unwrap();
            let frame = kinematics(&skeleton, &ones, &zeros, &q);
            for (b, (p, r)) in (0..).zip(std::iter::zip(rows(&pose["xpos"]), rows(&pose["xmat"]))) {
                let name = &skeleton.bodies[b].name;
                assert!((frame.origins[b] - Vector3::from_column_slice(&p)).norm() < ROUNDING, "{name}: {text}");
                let difference = frame.rotations[b].matrix() - Matrix3::from_row_slice(&r);
                assert!(difference.abs().max() < ROUNDING, "{name}: {text}");
            }
            for (m, p) in rows(&pose["sites"]).iter().enumerate() {
                assert!((frame.markers[m] - Vector3::from_column_slice(p)).norm() < ROUNDING, "{text}");
            }
        }
    }
}

#[test]
fn every_joint_and_orientation_of_mujoco() {
    let skeleton = read_model(&data("body.xml")).unwrap();
    let reference: Value = serde_json::from_str(&std::fs::read_to_string(data("body.json")).unwrap()).unwrap();
    assert_eq!(skeleton.up, UpAxis::Z);
    for joint in reference["joints"].as_array().unwrap() {
        let name = joint["name"].as_str().unwrap();
        let name = if name.is_empty() { "by_axisangle_joint" } else { name };
        let Some(c) = skeleton.coordinate(name) else { continue };
        let c = &skeleton.coordinates[c.index()];
        assert_eq!(c.range.is_some(), joint["limited"].as_bool().unwrap(), "{name}");
        if let Some(range) = c.range {
            let expected = numbers(&joint["range"]);
            assert!((range[0] - expected[0]).abs() < 1e-12 && (range[1] - expected[1]).abs() < 1e-12, "{name}");
        }
        if c.coupling.is_none() && !c.locked {
            assert!((c.default - joint["ref"].as_f64().unwrap()).abs() < 1e-12, "{name}");
        }
    }
    let held = &skeleton.coordinates[skeleton.coordinate("held").unwrap().index()];
    assert!(held.locked && held.default == 0.125);
    let (ones, zeros) = (Scales::ones(&skeleton), Offsets::zeros(&skeleton));
    for pose in reference["poses"].as_array().unwrap() {
        let mut q = skeleton.coordinates_from_qpos("qpos", &numbers(&pose["qpos"])).unwrap();
        q[skeleton.coordinate("led").unwrap().index()] = f64::NAN;
        skeleton.resolve_couplings(&mut q);
        for s in [&skeleton, &skeleton.with_rotors()] {
            let frame = kinematics(s, &ones, &zeros, &q);
            for (b, (p, r)) in (0..).zip(std::iter::zip(rows(&pose["xpos"]), rows(&pose["xmat"]))) {
                let name = &s.bodies[b].name;
                assert!((frame.origins[b] - Vector3::from_column_slice(&p)).norm() < ROUNDING, "{name}");
                assert!((frame.rotations[b].matrix() - Matrix3::from_row_slice(&r)).abs().max() < ROUNDING, "{name}");
            }
            let sites = rows(&pose["sites"]);
            assert_eq!(sites.len(), s.markers.len());
            for (m, p) in sites.iter().enumerate() {
                assert!((frame.markers[m] - Vector3::from_column_slice(p)).norm() < ROUNDING, "{}", s.markers[m].name);
            }
        }
    }
}

/// The names of coordinates and markers, and where the markers are, as MuJoCo 4.0.0 has them.
fn as_mujoco(skeleton: &Skeleton, qpos: &[f64], coordinates: &[&str], sites: &[(&str, [f64; 3])]) {
    assert_eq!(skeleton.coordinates.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), coordinates);
    assert_eq!(
        skeleton.markers.iter().map(|m| m.name.as_str()).collect::<Vec<_>>(),
        sites.iter().map(|(name, _)| *name).collect::<Vec<_>>()
    );
    let q = skeleton.coordinates_from_qpos("qpos", qpos).unwrap();
    let frame = kinematics(skeleton, &Scales::ones(skeleton), &Offsets::zeros(skeleton), &q);
    for (place, (name, expected)) in frame.markers.iter().zip(sites) {
        assert!((place - Vector3::from(*expected)).norm() < ROUNDING, "{name}: {place:?}");
    }
}

/// Numbers of MuJoCo 4.0.0.
#[test]
fn what_stands_in_a_frame_counts_where_the_frame_stands() {
    let text = r#"<mujoco><worldbody><body name="a"><joint name="j0" axis="0 0 1"/>
<frame euler="10 20 30" pos=".1 .2 .3"><site name="s0" pos=".3 .2 .1"/><joint name="j1" axis="1 0 0" pos=".1 .1 0"/><frame pos="1 0 0" euler="40 0 0"><joint name="j2" type="slide" axis="0 1 1"/></frame>
<body name="b" pos="0 1 0"><joint name="jb"/><geom size=".1"/><site name="sb" pos=".1 .2 .3"/></body></frame>
<body name="c" pos="0 0 1"><joint name="jc" axis="0 1 0"/><geom size=".1"/><site name="sc" pos=".1 .2 .3"/></body>
<joint name="j3" axis="0 1 0"/><geom size=".1"/><site name="s1" pos=".1 .2 .3"/></body></worldbody></mujoco>"#;
    let sites = [
        ("s0", [0.3270973635851149, 0.6657685244146543, 0.3413117405636326]),
        ("s1", [0.23074901130648662, 0.3240235038219916, 0.45932587494301]),
        ("sb", [-0.18329578981422992, 1.424213235858541, 0.6799844014623226]),
        ("sc", [0.6101291976077259, 0.7815468283595889, 1.1404637706961132]),
    ];
    let skeleton = read_model_str("frames.xml", text).unwrap();
    as_mujoco(&skeleton, &[0.3, -0.5, 0.2, 0.7, -0.4, 0.6], &["j0", "j1", "j2", "j3", "jb", "jc"], &sites);
}

/// Numbers of MuJoCo 4.0.0, which copies a class's values from its parent when it makes it. The same where the sections come by includes.
#[test]
fn later_sections_of_defaults_do_not_reach_classes_made_before() {
    let sections = [
        "<default><default class=\"c\"><site size=\".1\"/></default><joint axis=\"1 0 0\"/></default>",
        "<default><joint axis=\"0 1 0\" pos=\".2 0 0\"/><default class=\"d\"><joint axis=\"0 1 1\"/></default></default>",
        "<default><joint pos=\"0 0 .5\"/></default>",
    ];
    let bodies = r#"<worldbody><body childclass="c"><joint name="jc"/><geom size=".1"/><site name="c" pos=".1 .2 .3"/></body>
<body childclass="d"><joint name="jd"/><geom size=".1"/><site name="d" pos=".1 .2 .3"/></body>
<body><joint name="jm"/><geom size=".1"/><site name="m" pos=".1 .2 .3"/></body></worldbody>"#;
    let folder = tempfile::tempdir().unwrap();
    let mut includes = String::new();
    for (i, section) in sections.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{i}.xml")), format!("<mujoco>{section}</mujoco>")).unwrap();
        includes += &format!("<include file=\"{i}.xml\"/>");
    }
    let top = folder.path().join("top.xml");
    std::fs::write(&top, format!("<mujoco>{includes}{bodies}</mujoco>")).unwrap();
    let sites = [
        ("c", [0.09999999999999999, 0.10241123582671934, 0.3457049880699497]),
        ("d", [0.13542993565619857, 0.1764109152433687, 0.3235890847566314]),
        ("m", [-0.008126851531803342, 0.19999999999999998, 0.2765409337615051]),
    ];
    let written = read_model_str("m.xml", &format!("<mujoco>{}{bodies}</mujoco>", sections.concat()));
    for skeleton in [written.unwrap(), read_model(&top).unwrap()] {
        as_mujoco(&skeleton, &[0.3, 0.4, 0.5], &["jc", "jd", "jm"], &sites);
    }
}

#[test]
fn hostile_mujoco_models_are_refused_with_the_place() {
    let change = |from: &str, to: &str| {
        assert!(LEG.contains(from), "{from}");
        LEG.replacen(from, to, 1)
    };
    let cases: Vec<(String, &[&str])> = vec![
        (change("name=\"thigh\"", "name=\"shank\""), &["second body", "shank"]),
        (change("name=\"adduction\"", "name=\"flexion\""), &["second joint", "flexion"]),
        (change("name=\"adduction\"", "name=\"root_tx\""), &["root_tx"]),
        (change("quat=\"1 1 0 0\"", "quat=\"0 0 0 0\""), &["not an orientation", "pelvis", "m.xml:2"]),
        (change("quat=\"1 1 0 0\"", "quat=\"1 0 0 0\" euler=\"0 0 0\""), &["two ways"]),
        (change("axis=\"1 0 0\"", "axis=\"0 0 0\""), &["no direction", "adduction", "m.xml:3"]),
        (change("pos=\"0.1 -0.2 0.05\"", "pos=\"0.1 nan 0\""), &["nan", "thigh"]),
        (change("type=\"slide\"", "type=\"screw\""), &["screw"]),
        (change("<joint name=\"adduction\"", "<joint class=\"none\" name=\"adduction\""), &["none"]),
        (change("<joint name=\"flexion\"", "<freejoint/><joint name=\"flexion\""), &["free joint", "thigh"]),
        (change("angle=\"radian\"", "angle=\"turns\""), &["turns"]),
        (change("<compiler ", "<compiler eulerseq=\"abc\" "), &["eulerseq"]),
        (change("joint2=\"knee\"", "joint2=\"kne\""), &["`kne`", "`knee`"]),
        (change("joint2=\"knee\"", "joint2=\"up\""), &["circle"]),
        (change("</equality>", "<joint joint1=\"up\"/></equality>"), &["twice"]),
        (change("</equality>", "<weld body1=\"foot\" body2=\"thigh\"/></equality>"), &["weld"]),
        (change("<site name=\"toe\"", "<composite/><site name=\"toe\""), &["composite"]),
        (change("<worldbody>", "<include file=\"not there.xml\"/><worldbody>"), &["not there.xml"]),
        (change("<worldbody>", "<include/><worldbody>"), &["names no file"]),
        (change("<site name=\"toe\"", "<geom size=\"0.1\" mass=\"nan\"/><site name=\"toe\""), &["`nan`", "<geom>"]),
        (
            change("<site name=\"toe\"", "<inertial pos=\"0 0 0\" mass=\"-2\"/><site name=\"toe\""),
            &["the mass is -2", "<inertial>"],
        ),
        (
            change("<worldbody>", "<default><default class=\"x\"/><default class=\"x\"/></default><worldbody>"),
            &["second default class", "`x`", "<default>", "its own name"],
        ),
        (
            change("<worldbody>", "<default><default class=\"main\"/></default><worldbody>"),
            &["second default class", "`main`"],
        ),
        (
            change("<worldbody>", "<default class=\"foo\"/><worldbody>"),
            &["outermost default class", "`foo`", "<default>", "leave out"],
        ),
        (
            change("<joint name=\"flexion\"", "<joint name=\"ball\" type=\"ball\"/><joint name=\"flexion\""),
            &["follow a ball", "<joint name=\"flexion\">", "m.xml:3", "a body between"],
        ),
        (
            change(
                "<joint name=\"up\"",
                "<joint type=\"ball\"/><joint name=\"second\" type=\"ball\"/><joint name=\"up\"",
            ),
            &["follow a ball", "<joint name=\"second\">"],
        ),
        (
            change("<body name=\"pelvis\"", "<body name=\"pelvis\" mocap=\"true\""),
            &["mocap body", "pelvis", "no joints"],
        ),
        (change("<body name=\"foot\"", "<body name=\"foot\" mocap=\"true\""), &["mocap body", "foot", "<worldbody>"]),
        (
            change("axis=\"1 0 0\"", "axis=\"1 0 0\" limited=\"true\""),
            &["is limited, and its range is missing", "adduction", "limited=\"false\""],
        ),
        (
            change("range=\"-1 1\"", "limited=\"true\" range=\"1 -1\""),
            &["does not go from less to more", "flexion", "m.xml:3"],
        ),
        (
            change("name=\"toe\" pos=\"0.2 0 0\"", "name=\"toe\" pos=\"0.2 0 0\" fromto=\"0 0 0 1 1 1\""),
            &["both pos and fromto", "<site name=\"toe\">", "leave one"],
        ),
        (LEG.replace("worldbody", "world"), &["worldbody"]),
        ("<mujoco><worldbody/></mujoco>".into(), &["no <body>"]),
        (format!("<mujoco><worldbody>{}", "<body>".repeat(100_000)), &["m.xml"]),
        (
            format!(
                "<mujoco><worldbody>{}{}</worldbody></mujoco>",
                "<body>".repeat(100_000),
                "</body>".repeat(100_000)
            ),
            &["nested"],
        ),
    ];
    for (text, said) in cases {
        let error = match read_model_str("m.xml", &text) {
            Ok(_) => panic!("read: {}", text.chars().take(3000).collect::<String>()),
            Err(error) => error,
        };
        for part in said.iter().chain(&["m.xml"]) {
            assert!(error.to_string().contains(part), "{part} is not in: {error}");
        }
    }
}

/// As MuJoCo does, and where it has no schema to hold them to, too.
#[test]
fn what_is_not_understood_is_never_passed_over() {
    let cases = [
        (
            "pos=\"0.1 -0.2 0.05\"",
            "poss=\"0.1 -0.2 0.05\"",
            "the attribute poss=\"…\" is not understood in a <body>",
            "`pos`",
        ),
        ("axis=\"0 0 1\" range", "axiss=\"0 0 1\" range", "axiss=", "`axis`"),
        ("<site name=\"toe\"", "<site foo=\"1\" name=\"toe\"", "foo=", "<site name=\"toe\">"),
        ("<site name=\"toe\"", "<jointx/><site name=\"toe\"", "<jointx> is not understood in a <body>", "`joint`"),
        ("<equality>", "<weird/><equality>", "<weird> is not understood in a <mujoco>", "`"),
        ("<compiler ", "<compiler angel=\"degree\" ", "angel=", "`angle`"),
        ("<compiler ", "<compiler autolimits=\"yes\" ", "autolimits=\"yes\"", "true or false"),
        ("<worldbody>", "<default><joint axsi=\"1 0 0\"/></default><worldbody>", "axsi=", "`axis`"),
        (
            "<worldbody>",
            "<default><jiont/></default><worldbody>",
            "<jiont> is not understood in a <default>",
            "`joint`",
        ),
        ("polycoef=", "polycof=", "polycof=", "`polycoef`"),
        ("joint1=", "class=\"none\" joint1=", "no default class `none`", "correct the name"),
        ("<freejoint ", "<freejoint align=\"true\" ", "aligned with its inertia", "mj_saveLastXML"),
        ("<compiler ", "<compiler alignfree=\"true\" ", "aligned with its inertia", "align=\"false\""),
        (
            "<compiler angle=\"radian\"/><worldbody>",
            "<compiler alignfree=\"true\"/><worldbody><body name=\"box\"><joint type=\"free\"/></body>",
            "<joint> of <body name=\"box\">: the body is to be aligned with its inertia",
            "alignfree=\"false\" in <compiler>",
        ),
        ("<body name=\"thigh\"", "<frame scale=\"2\"/><body name=\"thigh\"", "scale=", "<frame>"),
    ];
    for (from, to, problem, advice) in cases {
        assert!(LEG.contains(from), "{from}");
        let error = match read_model_str("leg.xml", &LEG.replacen(from, to, 1)) {
            Ok(_) => panic!("read with {to}"),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(problem) && error.contains(advice) && error.contains("leg.xml:"), "{to}: {error}");
    }
    // A coupling that its class makes inactive is none; what has no meaning for kinematics may be anything.
    let off = "<default><equality active=\"false\"/></default><asset><odd/></asset><worldbody>";
    let leg = read_model_str("leg.xml", &LEG.replacen("<worldbody>", off, 1)).unwrap();
    assert!(leg.coordinates.iter().all(|c| c.coupling.is_none()));
}

/// Files beside the model's folder may be shared between models; a model from elsewhere may not name any file there is.
/// MuJoCo writes what `polycoef` has over 0 1 0 0 0.
#[test]
fn one_coefficient_of_a_coupling_leaves_its_slope() {
    for (coefficients, wanted) in [("0.3", 0.3 + 0.05), ("0.3 2", 0.3 + 0.1), ("0.3 0", 0.3)] {
        let text = LEG.replacen("0.01 0.02 -0.01 0.003 0.001", coefficients, 1);
        let skeleton = read_model_str("leg.xml", &text).unwrap();
        let at = |name: &str| skeleton.coordinate(name).unwrap().index();
        let mut q: Vec<f64> = skeleton.coordinates.iter().map(|c| c.default).collect();
        q[at("knee")] = 0.2 + 0.05;
        skeleton.resolve_couplings(&mut q);
        assert!((q[at("up")] - wanted).abs() < 1e-15, "{coefficients}: {}", q[at("up")]);
    }
}

#[test]
fn includes_from_elsewhere_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for inner in ["a/models", "a/shared", "b"] {
        std::fs::create_dir_all(folder.path().join(inner)).unwrap();
    }
    let body = "<mujocoinclude><worldbody><body name=\"x\"><joint name=\"j\"/></body></worldbody></mujocoinclude>";
    for place in ["a/shared/part.xml", "a/part.xml", "b/part.xml"] {
        std::fs::write(folder.path().join(place), body).unwrap();
    }
    let read = |file: &str| {
        let top = folder.path().join("a/models/top.xml");
        std::fs::write(&top, format!("<mujoco><include file=\"{file}\"/></mujoco>")).unwrap();
        read_model(&top)
    };
    assert!(read("../shared/part.xml").is_ok());
    let elsewhere = folder.path().join("b/part.xml").display().to_string();
    let mut refused = vec!["../part.xml", "../../b/part.xml", "../shared/../../b/part.xml", &elsewhere];
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(folder.path().join("b/part.xml"), folder.path().join("a/models/link.xml")).unwrap();
        refused.push("link.xml");
    }
    for file in refused {
        let error = read(file).unwrap_err().to_string();
        assert!(error.contains("top.xml:1, <include>") && error.contains("not in the model's folder"), "{error}");
    }
    let error = read("../../b/none.xml").unwrap_err().to_string();
    assert!(error.contains("none.xml`, which cannot be read"), "{error}");
}

#[test]
fn includes_are_relative_to_the_top_and_may_not_go_round() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("parts")).unwrap();
    put(
        "parts/bodies.xml",
        "<mujocoinclude><body name=\"a\"><include file=\"parts/joint.xml\"/></body></mujocoinclude>",
    );
    put(
        "parts/joint.xml",
        "<!-- a joint --><mujocoinclude><joint name=\"j\"/><site name=\"s\" pos=\"1 0 0\"/></mujocoinclude>",
    );
    put("top.xml", "<mujoco><worldbody><include file=\"parts/bodies.xml\"/></worldbody></mujoco>");
    let skeleton = read_model(&folder.path().join("top.xml")).unwrap();
    assert!(skeleton.coordinate("j").is_some() && skeleton.marker("s").is_some());
    put(
        "top.xml",
        "<mujoco><worldbody><include file=\"parts/bodies.xml\"/><include file=\"./parts/bodies.xml\"/></worldbody></mujoco>",
    );
    let error = read_model(&folder.path().join("top.xml")).unwrap_err().to_string();
    assert!(error.contains("top.xml:1, <include>") && error.contains("`./parts/bodies.xml` a second time"), "{error}");
    put("parts/joint.xml", "<mujocoinclude><include file=\"parts/bodies.xml\"/></mujocoinclude>");
    let error = read_model(&folder.path().join("top.xml")).unwrap_err().to_string();
    assert!(error.contains("circle"), "{error}");
}
