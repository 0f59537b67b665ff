//! What inverse kinematics is to follow, and how much: OpenSim's `IKTaskSet`, in a file of its own or within an `InverseKinematicsTool`.
//!
//! A task that does not say whether it applies, how much it weighs or what it aims at takes that from a `defaults` block, else OpenSim's
//! defaults: it applies, weighs 0, and aims at the coordinate's default value.
//!
//! What is not understood is refused by name: OpenSim passes over a misspelt `<weight>` without a word, and the task weighs 0.

use crate::error::Result;
use crate::skeleton::read::read_text;
use crate::skeleton::xml::{self, Source, child, elements, flag, nearest, shortened, text};
use roxmltree::Node;
use std::collections::HashSet;
use std::path::Path;

/// What a set holds.
const SET: &[&str] = &["objects", "groups", "defaults"];
/// What OpenSim 4.6 lists for its tasks.
const MARKER_TASK: &[&str] = &["apply", "weight"];
const COORDINATE_TASK: &[&str] = &["apply", "weight", "value_type", "value"];
/// The tool's names: today's, the one that OpenSim 2 and 3 misspelt, and that before 2.3.
const TOOLS: &[&str] = &["InverseKinematicsTool", "InverseKinemtaticsTool", "IKTool"];
/// What OpenSim 4.6 lists for it; then what older programs did.
const TOOL: &[&str] = &[
    "results_directory",
    "model_file",
    "constraint_weight",
    "accuracy",
    "time_range",
    "output_motion_file",
    "report_errors",
    "IKTaskSet",
    "marker_file",
    "coordinate_file",
    "report_marker_locations",
    "defaults",
    "IKTrialSet",
    "optimizer_algorithm",
    "coordinates_file",
    "replace_force_set",
    "force_set_files",
    "replace_actuator_set",
    "actuator_set_files",
    "output_precision",
    "initial_time",
    "final_time",
    "solve_for_equilibrium_for_auxiliary_states",
    "maximum_number_of_integrator_steps",
    "maximum_integrator_step_size",
    "minimum_integrator_step_size",
    "integrator_error_tolerance",
    "integrator_fine_tolerance",
    "AnalysisSet",
    "ControllerSet",
    "external_loads_file",
    "external_loads_model_kinematics_file",
    "lowpass_cutoff_frequency_for_load_kinematics",
];

/// A setup of inverse kinematics, as far as it has a meaning here; what else it names is told on the command line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IkSetup {
    /// What is to be followed.
    pub tasks: IkTasks,
    /// Seconds, from and to, between which the setup wants frames fitted, an end at infinity where it is open; `None` where it wants all.
    pub time_range: Option<[f64; 2]>,
}

/// Weights of markers and coordinates.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IkTasks {
    /// In the file's order, each marker once.
    pub markers: Vec<MarkerTask>,
    /// In the file's order, each coordinate once.
    pub coordinates: Vec<CoordinateTask>,
}

/// How much a marker counts.
#[derive(Debug, Clone, PartialEq)]
pub struct MarkerTask {
    /// Of the marker.
    pub name: String,
    /// Whether the task is used at all.
    pub apply: bool,
    /// `w` of the squared distance, at least 0.
    pub weight: f64,
}

/// How much a coordinate is drawn to a value.
#[derive(Debug, Clone, PartialEq)]
pub struct CoordinateTask {
    /// Of the coordinate.
    pub name: String,
    /// Whether the task is used at all.
    pub apply: bool,
    /// `w` of the squared difference, at least 0.
    pub weight: f64,
    /// What it is drawn to.
    pub target: Target,
}

/// The value that a coordinate is drawn to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// `default_value`: the model's default.
    Default,
    /// `manual_value`: this one, radians or metres.
    Manual(f64),
    /// `from_file`: that of a file of coordinates, at the same time.
    FromFile,
}

impl IkTasks {
    /// The weight of a marker: 0 where its task is not applied or there is none, as in OpenSim.
    pub fn marker_weight(&self, name: &str) -> f64 {
        self.markers.iter().find(|task| task.name == name && task.apply).map_or(0.0, |task| task.weight)
    }
}

/// Reads the tasks in a file; where a setup names another file for them, in that one, beside it.
///
/// # Errors
/// As [`read_setup`].
pub fn read(path: &Path) -> Result<IkTasks> {
    Ok(read_setup(path)?.tasks)
}

/// The same, with what else the setup around them asks for.
///
/// # Errors
/// A file that cannot be read; a setup of the scale tool; times that are not two or run backwards; otherwise as [`read_str`].
pub fn read_setup(path: &Path) -> Result<IkSetup> {
    let (label, text) = (path.display().to_string(), read_text(path)?);
    let document = xml::parse(&label, &text)?;
    let source = Source { label: &label, document: &document };
    if let Some(tool) = document.root_element().descendants().find(|n| n.has_tag_name("ScaleTool")) {
        return Err(source.error(
            tool,
            "this is a setup of the scale tool: its tasks are for the one pose of its static trial",
            "give the tasks of inverse kinematics, or use `kinefit scale`",
        ));
    }
    let set = task_set(document.root_element());
    let tool = set.and_then(tool_of);
    if let Some(tool) = tool {
        check(source, tool, TOOL)?;
    }
    let tasks = match set.and_then(elsewhere) {
        Some(file) => {
            let path = path.with_file_name(file);
            read_str(&path.display().to_string(), &read_text(&path)?)?
        }
        None => read_str(&label, &text)?,
    };
    Ok(IkSetup { tasks, time_range: tool.map_or(Ok(None), |tool| time_range(source, tool))? })
}

/// The times of a setup; before 2.3 they stood with its trials, of which OpenSim takes the first.
fn time_range<'a, 'i>(source: Source<'a, 'i>, tool: Node<'a, 'i>) -> Result<Option<[f64; 2]>> {
    let Some(node) = tool.descendants().find(|n| n.has_tag_name("time_range")) else { return Ok(None) };
    // `Source::numbers` knows no infinity, which stands for an open end here.
    let number = |word: &str| word.strip_suffix(',').unwrap_or(word).parse::<f64>().ok().filter(|t| !t.is_nan());
    let times: Option<Vec<f64>> = text(node).split_whitespace().map(number).collect();
    match times.as_deref() {
        Some([]) => Ok(None),
        Some([from, to]) if from <= to => {
            let all = *from == f64::NEG_INFINITY && *to == f64::INFINITY;
            Ok((!all).then_some([*from, *to]))
        }
        _ => Err(source.error(
            node,
            format_args!("`{}` is no range of times", shortened(text(node))),
            "write the times from and to which to fit, in seconds, the earlier one first",
        )),
    }
}

/// The first set of tasks that is not one of defaults.
fn task_set<'a, 'i>(root: Node<'a, 'i>) -> Option<Node<'a, 'i>> {
    let inside_defaults = |node: Node| node.ancestors().any(|n| n.has_tag_name("defaults"));
    root.descendants().find(|node| node.has_tag_name("IKTaskSet") && !inside_defaults(*node))
}

/// The tool that a set of tasks belongs to.
fn tool_of<'a, 'i>(set: Node<'a, 'i>) -> Option<Node<'a, 'i>> {
    set.parent_element().filter(|n| TOOLS.contains(&n.tag_name().name()))
}

/// The file that a set says its tasks are in.
fn elsewhere<'a>(set: Node<'a, '_>) -> Option<&'a str> {
    set.attribute("file").map(str::trim).filter(|file| !file.is_empty())
}

/// The same from text; `label` names it in errors.
///
/// # Errors
/// What is no XML, or has no tasks; tasks in another file, which is named; elements and attributes that are not known in a set, a task or its tool;
/// weights that are no numbers or negative; flags and value types that are not known; tasks without a name, or two for one marker or coordinate.
pub fn read_str(label: &str, text: &str) -> Result<IkTasks> {
    let document = xml::parse(label, text)?;
    let source = Source { label, document: &document };
    let root = document.root_element();
    let set = task_set(root).ok_or_else(|| {
        source.error(root, "there is no <IKTaskSet> in the document", "give a setup or task file of inverse kinematics")
    })?;
    if let Some(file) = elsewhere(set) {
        let problem = format_args!("its tasks are in another file, `{}`", shortened(file));
        return Err(source.error(set, problem, "give that file instead"));
    }
    if let Some(tool) = tool_of(set) {
        check(source, tool, TOOL)?;
    }
    of_set(source, set)
}

/// The tasks of an `<IKTaskSet>`.
///
/// # Errors
/// As [`read_str`].
pub(super) fn of_set<'a, 'i>(source: Source<'a, 'i>, set: Node<'a, 'i>) -> Result<IkTasks> {
    let defaults = [child(set, "defaults"), child(source.document.root_element(), "defaults")];
    let default = |kind: &str| defaults.iter().flatten().find_map(|block| child(*block, kind));
    for (kind, known) in [("IKMarkerTask", MARKER_TASK), ("IKCoordinateTask", COORDINATE_TASK)] {
        if let Some(node) = default(kind) {
            check(source, node, known)?;
        }
    }
    let mut tasks = IkTasks::default();
    let mut seen = HashSet::new();
    for node in members(source, set, &["IKMarkerTask", "IKCoordinateTask"])? {
        let kind = node.tag_name().name();
        check(source, node, if kind == "IKMarkerTask" { MARKER_TASK } else { COORDINATE_TASK })?;
        let task = Task { source, node, default: default(kind) };
        let name = source.name(node)?.to_owned();
        let (apply, weight) = (task.apply()?, task.weight()?);
        if !seen.insert((kind, name.clone())) {
            return Err(source.error(
                node,
                "a second task has this name",
                "leave one task for each marker and coordinate",
            ));
        }
        if kind == "IKMarkerTask" {
            tasks.markers.push(MarkerTask { name, apply, weight });
        } else {
            tasks.coordinates.push(CoordinateTask { name, apply, weight, target: task.target()? });
        }
    }
    if seen.is_empty() {
        let problem = "there are no tasks in it";
        return Err(source.error(set, problem, "add an <IKMarkerTask> for each marker that counts"));
    }
    Ok(tasks)
}

/// The objects of a set, all of these kinds.
///
/// # Errors
/// Objects of other kinds; what is not known in a set.
pub(super) fn members<'a, 'i>(source: Source<'a, 'i>, set: Node<'a, 'i>, kinds: &[&str]) -> Result<Vec<Node<'a, 'i>>> {
    let list = child(set, "objects");
    match list {
        Some(_) => check(source, set, SET)?,
        None => attributes(source, set)?,
    }
    let found: Vec<_> = elements(list.unwrap_or(set)).filter(|n| !SET.contains(&n.tag_name().name())).collect();
    if let Some(node) = found.iter().find(|n| !kinds.contains(&n.tag_name().name())) {
        let (tag, within) = (shortened(node.tag_name().name()), shortened(set.tag_name().name()));
        return Err(source.error(
            *node,
            format_args!("<{tag}> is not understood in <{within}>"),
            format_args!("expected <{}>", kinds.join("> or <")),
        ));
    }
    Ok(found)
}

/// Refuses what an object does not have, and what it has twice, of which OpenSim reads one.
///
/// # Errors
/// At the first such element or attribute.
pub(super) fn check<'a, 'i>(source: Source<'a, 'i>, node: Node<'a, 'i>, known: &[&str]) -> Result<()> {
    attributes(source, node)?;
    let within = shortened(node.tag_name().name());
    let mut seen = HashSet::new();
    for element in elements(node) {
        let tag = element.tag_name().name();
        if !known.contains(&tag) {
            return Err(source.error(
                element,
                format_args!("<{}> is not understood in <{within}>", shortened(tag)),
                format_args!("correct its name or remove it; {}", nearest(tag, known.iter().copied())),
            ));
        }
        if !seen.insert(tag) {
            return Err(source.error(element, format_args!("a second <{tag}> stands in <{within}>"), "leave one"));
        }
    }
    Ok(())
}

/// Attributes hold names; all else is in elements. A set in another file is read by who knows the folder.
fn attributes<'a, 'i>(source: Source<'a, 'i>, node: Node<'a, 'i>) -> Result<()> {
    for attribute in node.attributes().filter(|a| a.namespace().is_none()) {
        let (name, within) = (shortened(attribute.name()), shortened(node.tag_name().name()));
        match attribute.name() {
            "name" | "version" | "Version" | "type" | "UUID" => {}
            "file" if attribute.value().trim().is_empty() => {}
            "file" => {
                return Err(source.error(
                    node,
                    format_args!("<{within}> is in another file, `{}`", shortened(attribute.value())),
                    "copy it from there to here",
                ));
            }
            _ => {
                return Err(source.error(
                    node,
                    format_args!("the attribute {name}=\"…\" is not understood in <{within}>"),
                    format_args!("write it as an element of its own, <{name}>, or remove it"),
                ));
            }
        }
    }
    Ok(())
}

/// A task's element, and that of the defaults for what it does not say.
struct Task<'a, 'i> {
    source: Source<'a, 'i>,
    node: Node<'a, 'i>,
    default: Option<Node<'a, 'i>>,
}

impl<'a, 'i> Task<'a, 'i> {
    /// The element of that name that says something.
    fn said(&self, tag: &str) -> Option<Node<'a, 'i>> {
        let says = |node: Node<'a, 'i>| child(node, tag).filter(|n| !text(*n).is_empty());
        says(self.node).or_else(|| says(self.default?))
    }

    fn apply(&self) -> Result<bool> {
        let default = self.default.map_or(Ok(true), |node| flag(self.source, node, "apply", true))?;
        flag(self.source, self.node, "apply", default)
    }

    fn number(&self, tag: &str) -> Result<f64> {
        self.said(tag).map_or(Ok(0.0), |node| self.source.number(node, text(node)))
    }

    fn weight(&self) -> Result<f64> {
        let weight = self.number("weight")?;
        if weight < 0.0 {
            let problem = format_args!("the weight is {weight}");
            return Err(self.source.error(self.node, problem, "write a weight of at least 0"));
        }
        Ok(weight)
    }

    fn target(&self) -> Result<Target> {
        let Some(node) = self.said("value_type") else { return Ok(Target::Default) };
        match text(node) {
            "default_value" => Ok(Target::Default),
            "manual_value" => Ok(Target::Manual(self.number("value")?)),
            "from_file" => Ok(Target::FromFile),
            other => Err(self.source.error(
                node,
                format_args!("`{}` is not a type of value", shortened(other)),
                "expected default_value, manual_value or from_file",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETUP: &str = r#"<?xml version="1.0"?>
<OpenSimDocument Version="40000">
  <InverseKinematicsTool name="walk">
    <IKTaskSet>
      <defaults>
        <IKMarkerTask name="default"><apply>false</apply><weight>3</weight></IKMarkerTask>
        <IKCoordinateTask name="default"><weight>2</weight><value_type>manual_value</value_type><value>0.5</value></IKCoordinateTask>
      </defaults>
      <objects>
        <IKMarkerTask name="A"><apply> true </apply><weight> 10.5 </weight></IKMarkerTask>
        <IKMarkerTask name="B"/>
        <IKMarkerTask name="C"><!-- how much --><weight>1e2</weight><apply/></IKMarkerTask>
        <IKCoordinateTask name="A"/>
        <IKCoordinateTask name="b"><apply>false</apply><value_type>default_value</value_type></IKCoordinateTask>
        <IKCoordinateTask name="c"><value>-1</value></IKCoordinateTask>
        <IKCoordinateTask name="d"><value_type>from_file</value_type></IKCoordinateTask>
      </objects>
      <groups/>
    </IKTaskSet>
  </InverseKinematicsTool>
</OpenSimDocument>"#;

    #[test]
    fn a_setup_with_defaults() {
        let tasks = read_str("ik.xml", SETUP).unwrap();
        let markers: Vec<_> = tasks.markers.iter().map(|t| (t.name.as_str(), t.apply, t.weight)).collect();
        assert_eq!(markers, [("A", true, 10.5), ("B", false, 3.0), ("C", false, 100.0)]);
        let coordinates: Vec<_> =
            tasks.coordinates.iter().map(|t| (t.name.as_str(), t.apply, t.weight, t.target)).collect();
        assert_eq!(
            coordinates,
            [
                ("A", true, 2.0, Target::Manual(0.5)),
                ("b", false, 2.0, Target::Default),
                ("c", true, 2.0, Target::Manual(-1.0)),
                ("d", true, 2.0, Target::FromFile),
            ]
        );
        assert_eq!(["A", "B", "none"].map(|name| tasks.marker_weight(name)), [10.5, 0.0, 0.0]);
    }

    /// OpenSim 4.6: a new task applies, weighs 0 and aims at the default value.
    #[test]
    fn a_file_of_tasks_alone_and_opensims_defaults() {
        let text = r#"<IKTaskSet name="x"><objects><IKMarkerTask name="A"/><IKCoordinateTask name="b"/></objects></IKTaskSet>"#;
        for text in [text.to_owned(), format!("<OpenSimDocument Version=\"20302\">{text}</OpenSimDocument>")] {
            let tasks = read_str("tasks.xml", &text).unwrap();
            assert_eq!(tasks.markers, [MarkerTask { name: "A".into(), apply: true, weight: 0.0 }]);
            let expected = CoordinateTask { name: "b".into(), apply: true, weight: 0.0, target: Target::Default };
            assert_eq!(tasks.coordinates, [expected]);
        }
    }

    #[test]
    fn tasks_beside_their_setup() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let setup = folder.path().join("setup.xml");
        write("setup.xml", "<InverseKinematicsTool><IKTaskSet file='tasks.xml'/></InverseKinematicsTool>");
        let error = read(&setup).unwrap_err().to_string();
        assert!(error.contains("tasks.xml"), "{error}");
        write("tasks.xml", "<IKTaskSet><objects><IKMarkerTask name='A'/></objects></IKTaskSet>");
        assert_eq!(read(&setup).unwrap().markers[0].name, "A");
        // Not from file to file without end.
        write("tasks.xml", "<IKTaskSet file='setup.xml'/>");
        assert!(read(&setup).unwrap_err().to_string().contains("another file"));
    }

    #[test]
    fn the_times_of_a_setup_old_and_new() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("setup.xml");
        let read = |times: &str, tool: &str| {
            let (before, behind) = match tool {
                "IKTool" => (
                    "<optimizer_algorithm>ipopt</optimizer_algorithm><IKTrialSet><objects><IKTrial>",
                    "</IKTrial></objects></IKTrialSet>",
                ),
                _ => ("<model_file/><constraint_weight>Inf</constraint_weight>", "<report_errors>true</report_errors>"),
            };
            let tasks = "<IKTaskSet name='t'><objects name=''><IKMarkerTask name='A'/></objects><groups/></IKTaskSet>";
            let text = format!(
                "<OpenSimDocument Version='20302'><{tool} name='a'>{before}{times}{behind}{tasks}</{tool}></OpenSimDocument>"
            );
            std::fs::write(&path, text).unwrap();
            read_setup(&path).map(|setup| {
                assert_eq!(setup.tasks.markers[0].name, "A");
                setup.time_range
            })
        };
        for tool in TOOLS.iter().copied() {
            for (times, expected) in [
                ("", None),
                ("<time_range/>", None),
                ("<time_range> -Inf Inf</time_range>", None),
                ("<time_range> 0.4 1.60 </time_range>", Some([0.4, 1.6])),
                ("<time_range>-Inf 2</time_range>", Some([f64::NEG_INFINITY, 2.0])),
            ] {
                assert_eq!(read(times, tool).unwrap(), expected, "{tool}: {times}");
            }
            for times in ["1", "2 1", "NaN 1", "a b", "0 1 2"] {
                let said = read(&format!("<time_range>{times}</time_range>"), tool).unwrap_err().to_string();
                assert!(said.contains(&format!("`{times}` is no range of times")), "{said}");
            }
        }
    }

    #[test]
    fn mistakes_are_named() {
        let said = |text: &str| read_str("t.xml", text).unwrap_err().to_string();
        let set = |inside: &str| format!("<IKTaskSet><objects>\n{inside}</objects></IKTaskSet>");
        for (text, expected) in [
            (String::new(), "the file is empty"),
            ("<IKTaskSet><objects>".into(), "ends in the middle"),
            ("<OpenSimDocument/>".into(), "no <IKTaskSet>"),
            ("<a><IKTaskSet file=' tasks.xml '/></a>".into(), "another file, `tasks.xml`"),
            (set(""), "there are no tasks"),
            (set("<IKMarkerTask/>"), "t.xml:2, <IKMarkerTask>: the element has no name"),
            (set("<IKMarkerTask name='A'><weight>-1</weight></IKMarkerTask>"), "name=\"A\">: the weight is -1"),
            (set("<IKMarkerTask name='A'><weight>NaN</weight></IKMarkerTask>"), "`NaN` is not a finite number"),
            (set("<IKMarkerTask name='A'><weight>1 2</weight></IKMarkerTask>"), "one number is expected"),
            (set("<IKMarkerTask name='A'><apply>yes</apply></IKMarkerTask>"), "neither true nor false"),
            (set("<IKMarkerTask name='A'/><IKMarkerTask name='A'/>"), "a second task"),
            (
                set("<IKCoordinateTask name='a'><value_type>none</value_type></IKCoordinateTask>"),
                "`none` is not a type of value",
            ),
            (set("<Marker name='A'/>"), "<Marker> is not understood in <IKTaskSet>"),
            (
                set("<IKMarkerTask name='A'><apply>true</apply>\n<wieght>1</wieght></IKMarkerTask>"),
                "t.xml:3, <wieght> of <IKMarkerTask name=\"A\">: <wieght> is not understood",
            ),
            (set("<IKMarkerTask name='A'><wieght>1</wieght></IKMarkerTask>"), "the nearest names are `weight`"),
            (
                set("<IKMarkerTask name='A'><value>1</value></IKMarkerTask>"),
                "<value> is not understood in <IKMarkerTask>",
            ),
            (set("<IKMarkerTask name='A' weight='1'/>"), "the attribute weight=\"…\" is not understood"),
            (set("<IKMarkerTask name='A' file='a.xml'/>"), "in another file, `a.xml`"),
            (set("<IKMarkerTask name='A'><weight>1</weight><weight>2</weight></IKMarkerTask>"), "a second <weight>"),
            ("<IKTaskSet><objects/><IKMarkerTask name='A'/></IKTaskSet>".into(), "<IKMarkerTask> is not understood"),
            (
                "<IKTaskSet><defaults><IKMarkerTask><wieght>1</wieght></IKMarkerTask></defaults><objects/></IKTaskSet>"
                    .into(),
                "<wieght> is not understood",
            ),
            (
                "<InverseKinematicsTool><time_rnage>0 1</time_rnage><IKTaskSet/></InverseKinematicsTool>".into(),
                "`time_range`",
            ),
        ] {
            let said = said(&text);
            assert!(said.contains(expected) && said.starts_with("t.xml"), "{expected}: {said}");
        }
    }
}
