//! Default classes: what attributes are where an element does not give them.

use crate::Result;
use crate::skeleton::xml::{Source, elements};
use roxmltree::Node;
use std::collections::HashMap;

/// The classes of a model; the outermost is called `main` unless named otherwise.
#[derive(Default)]
pub(super) struct Defaults<'a> {
    classes: HashMap<&'a str, Class<'a>>,
}

#[derive(Default)]
struct Class<'a> {
    parent: Option<&'a str>,
    /// By element and attribute.
    values: HashMap<(&'a str, &'a str), &'a str>,
}

/// What the outermost class is found by, whatever it is called.
const MAIN: &str = "main";

impl<'a> Defaults<'a> {
    /// Collects all `<default>` sections of `root`.
    pub fn collect<'i>(source: Source<'a, 'i>, root: Node<'a, 'i>) -> Result<Self> {
        let mut found = Self::default();
        for section in elements(root).filter(|n| n.has_tag_name("default")) {
            found.add(source, section, None)?;
        }
        Ok(found)
    }

    fn add<'i>(&mut self, source: Source<'a, 'i>, node: Node<'a, 'i>, parent: Option<&'a str>) -> Result<()> {
        let name = match (node.attribute("class"), parent) {
            // The outermost class may be renamed, and is then found by both names.
            (_, None) => MAIN,
            (Some(name), Some(_)) => name,
            (None, Some(_)) => {
                return Err(source.error(node, "a nested default has no class", "give it a class=\"…\""));
            }
        };
        if let (Some(own), None) = (node.attribute("class").filter(|own| *own != MAIN), parent) {
            self.classes.entry(own).or_default().parent = Some(MAIN);
        }
        let class = self.classes.entry(name).or_default();
        class.parent = parent;
        for element in elements(node).filter(|n| !n.has_tag_name("default")) {
            for attribute in element.attributes() {
                class.values.insert((element.tag_name().name(), attribute.name()), attribute.value());
            }
        }
        for nested in elements(node).filter(|n| n.has_tag_name("default")) {
            self.add(source, nested, Some(name))?;
        }
        Ok(())
    }

    /// Whether there is a class of that name.
    pub fn has(&self, class: &str) -> bool {
        class == MAIN || self.classes.contains_key(class)
    }

    /// The names of all classes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.classes.keys().copied()
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
            // No chain is longer than there are classes.
            for _ in 0..=self.classes.len() {
                let found = self.classes.get(class)?;
                let values: &HashMap<(&str, &str), &'a str> = &found.values;
                if let Some(value) = values.get(&(tag, name)) {
                    return Some(value);
                }
                class = found.parent?;
            }
            None
        })
    }
}
