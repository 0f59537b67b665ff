//! What inverse kinematics is to follow, and how much: OpenSim's `IKTaskSet`, in a file of its own or within an `InverseKinematicsTool`.
//!
//! A task that does not say whether it applies, how much it weighs or what it aims at takes that from a `defaults` block, else OpenSim's
//! defaults: it applies, weighs 0, and aims at the coordinate's default value.

use crate::error::Result;
use crate::skeleton::read::read_text;
use crate::skeleton::xml::{self, Source, child, elements, flag, shortened, text};
use roxmltree::Node;
use std::collections::HashSet;
use std::path::Path;

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
/// A file that cannot be read; a setup of the scale tool; otherwise as [`read_str`].
pub fn read(path: &Path) -> Result<IkTasks> {
    let (label, text) = (path.display().to_string(), read_text(path)?);
    let document = xml::parse(&label, &text)?;
    if let Some(tool) = document.root_element().descendants().find(|n| n.has_tag_name("ScaleTool")) {
        return Err(Source { label: &label, document: &document }.error(
            tool,
            "this is a setup of the scale tool: its tasks are for the one pose of its static trial",
            "give the tasks of inverse kinematics, or use `kinefit scale`",
        ));
    }
    match task_set(document.root_element()).and_then(elsewhere) {
        Some(file) => {
            let path = path.with_file_name(file);
            read_str(&path.display().to_string(), &read_text(&path)?)
        }
        None => read_str(&label, &text),
    }
}

/// The first set of tasks that is not one of defaults.
fn task_set<'a, 'i>(root: Node<'a, 'i>) -> Option<Node<'a, 'i>> {
    let inside_defaults = |node: Node| node.ancestors().any(|n| n.has_tag_name("defaults"));
    root.descendants().find(|node| node.has_tag_name("IKTaskSet") && !inside_defaults(*node))
}

/// The file that a set says its tasks are in.
fn elsewhere<'a>(set: Node<'a, '_>) -> Option<&'a str> {
    set.attribute("file").map(str::trim).filter(|file| !file.is_empty())
}

/// The same from text; `label` names it in errors.
///
/// # Errors
/// What is no XML, or has no tasks; tasks in another file, which is named; weights that are no numbers or negative; flags and value types that are not
/// known; tasks without a name, or two for one marker or coordinate.
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
    of_set(source, set)
}

/// The tasks of an `<IKTaskSet>`.
///
/// # Errors
/// As [`read_str`].
pub(super) fn of_set<'a, 'i>(source: Source<'a, 'i>, set: Node<'a, 'i>) -> Result<IkTasks> {
    let defaults = [child(set, "defaults"), child(source.document.root_element(), "defaults")];
    let default = |kind: &str| defaults.iter().flatten().find_map(|block| child(*block, kind));
    let mut tasks = IkTasks::default();
    let mut seen = HashSet::new();
    for node in elements(child(set, "objects").unwrap_or(set)) {
        let kind = node.tag_name().name();
        if !matches!(kind, "IKMarkerTask" | "IKCoordinateTask") {
            if matches!(kind, "defaults" | "groups" | "objects") {
                continue;
            }
            return Err(source.error(
                node,
                "this is not a task of inverse kinematics",
                "expected <IKMarkerTask> or <IKCoordinateTask>",
            ));
        }
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
            (set("<Marker name='A'/>"), "not a task of inverse kinematics"),
        ] {
            let said = said(&text);
            assert!(said.contains(expected) && said.starts_with("t.xml"), "{expected}: {said}");
        }
    }
}
