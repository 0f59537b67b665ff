//! Default classes: what attributes are where an element does not give them.

use crate::Result;
use crate::skeleton::xml::{Source, elements, shortened};
use roxmltree::Node;
use std::collections::HashMap;

/// The classes of a model, as MuJoCo makes them: every class starts with what its parent has where the class stands in the document. Later sections may add to the outermost class,
/// which is called `main`, and that does not reach the classes made before.
#[derive(Default)]
pub(super) struct Defaults<'a> {
    /// Of the outermost class, by element and attribute: what each section gives, sections ascending.
    main: HashMap<(&'a str, &'a str), Vec<(usize, &'a str)>>,
    classes: HashMap<&'a str, Class<'a>>,
}

struct Class<'a> {
    parent: &'a str,
    /// The outermost `<default>` it stands in.
    section: usize,
    /// By element and attribute.
    values: HashMap<(&'a str, &'a str), &'a str>,
}

/// The outermost class.
const MAIN: &str = "main";

impl<'a> Defaults<'a> {
    /// Collects all `<default>` sections of `root`.
    ///
    /// # Errors
    /// A class without a name or with one that is taken.
    pub fn collect<'i>(source: Source<'a, 'i>, root: Node<'a, 'i>) -> Result<Self> {
        let mut found = Self::default();
        for (section, node) in elements(root).filter(|n| n.has_tag_name("default")).enumerate() {
            if let Some(name) = node.attribute("class").filter(|name| !name.is_empty() && *name != MAIN) {
                return Err(source.error(
                    node,
                    format_args!("the outermost default class is called `main`, not `{}`", shortened(name)),
                    "leave out its class=\"…\", and put a <default> of that class into it",
                ));
            }
            for (key, value) in values(node) {
                found.main.entry(key).or_default().push((section, value));
            }
            found.nested(source, node, MAIN, section)?;
        }
        Ok(found)
    }

    /// The classes in `node`, which is that of `parent`. They start with all its values, those behind them included.
    fn nested<'i>(
        &mut self,
        source: Source<'a, 'i>,
        node: Node<'a, 'i>,
        parent: &'a str,
        section: usize,
    ) -> Result<()> {
        for inner in elements(node).filter(|n| n.has_tag_name("default")) {
            let Some(name) = inner.attribute("class").filter(|name| !name.is_empty()) else {
                return Err(source.error(inner, "a nested default has no class", "give it a class=\"…\""));
            };
            let made = Class { parent, section, values: values(inner).collect() };
            if name == MAIN || self.classes.insert(name, made).is_some() {
                return Err(source.error(
                    inner,
                    format_args!("a second default class has the name `{}`", shortened(name)),
                    "give every class its own name, or write one class with what both say",
                ));
            }
            self.nested(source, inner, name, section)?;
        }
        Ok(())
    }

    /// Whether there is a class of that name.
    pub fn has(&self, class: &str) -> bool {
        class == MAIN || self.classes.contains_key(class)
    }

    /// The names of all classes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.classes.keys().copied().chain([MAIN])
    }

    /// The attribute of an element: its own, its class's, or that of the class its body passes on.
    pub fn attribute<'i>(&self, node: Node<'a, 'i>, passed_on: Option<&'a str>, name: &str) -> Option<&'a str> {
        self.attribute_of(node.tag_name().name(), node, passed_on, name)
    }

    /// The same for an element whose defaults stand under another tag.
    pub fn attribute_of<'i>(
        &self,
        tag: &'a str,
        node: Node<'a, 'i>,
        passed_on: Option<&'a str>,
        name: &str,
    ) -> Option<&'a str> {
        node.attribute(name).or_else(|| {
            let mut class = node.attribute("class").or(passed_on).unwrap_or(MAIN);
            let mut section = usize::MAX;
            while class != MAIN {
                let found = self.classes.get(class)?;
                let values: &HashMap<(&str, &str), &'a str> = &found.values;
                if let Some(value) = values.get(&(tag, name)) {
                    return Some(*value);
                }
                (class, section) = (found.parent, found.section);
            }
            let main: &HashMap<(&str, &str), Vec<(usize, &'a str)>> = &self.main;
            let given = main.get(&(tag, name))?;
            let until = given.partition_point(|(by, _)| *by <= section);
            given[..until].last().map(|(_, value)| *value)
        })
    }
}

/// What a class says itself, by element and attribute.
fn values<'a, 'i>(class: Node<'a, 'i>) -> impl Iterator<Item = ((&'a str, &'a str), &'a str)> {
    elements(class).filter(|n| !n.has_tag_name("default")).flat_map(|element| {
        let tag = element.tag_name().name();
        let plain = element.attributes().filter(|attribute| attribute.namespace().is_none());
        plain.map(move |attribute| ((tag, attribute.name()), attribute.value()))
    })
}
