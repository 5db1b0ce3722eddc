//! One section of a properties file: a list of named entries.

use common::Diagnostic;
use common::diagnostic::Code;

use super::late::is_late;
use crate::yaml::{self, Fields, Mapping, Node, Source, Value};

pub struct Section<'a> {
    pub key: &'a str,
    pub source: &'a Source,
    pub template: &'a yaml::Render<'a>,
    pub diagnostics: &'a mut Vec<Diagnostic>,
}

/// An entry before it is typed.
pub struct Entry {
    /// As it was written.
    pub raw: Mapping,
    /// With its templates rendered.
    pub rendered: Mapping,
}

impl Entry {
    /// `config:` before rendering.
    pub fn unrendered_config(&self) -> Mapping {
        self.raw.get("config").and_then(Node::as_mapping).cloned().unwrap_or_default()
    }
}

impl Section<'_> {
    /// Types every entry with `read`; entries that are not mappings, or have no name, are reported and left out.
    pub fn read<T>(&mut self, list: &Node, read: fn(&Entry, Fields<'_>) -> Option<T>) -> Vec<T> {
        let Some(items) = self.items(list) else { return Vec::new() };
        let mut typed = Vec::with_capacity(items.len());
        for item in items {
            let Value::Mapping(raw) = &item.value else {
                self.report(item, format!("an entry of '{}' must be a mapping, not {}", self.key, item.kind()));
                continue;
            };
            let late = |path: &[yaml::KeyPart<'_>]| is_late(self.key, path);
            let rendered = yaml::render(item, self.source, self.template, &late, self.diagnostics);
            let Value::Mapping(rendered) = rendered.value else { continue };
            let entry = Entry { raw: raw.clone(), rendered };
            let name = raw.get("name").and_then(Node::as_str).unwrap_or_default();
            let what = format!("{} '{name}'", singular(self.key));
            let fields = Fields::new(entry.rendered.clone(), item.span, what, self.source, self.diagnostics);
            typed.extend(read(&entry, fields));
        }
        typed
    }

    pub fn items<'n>(&mut self, list: &'n Node) -> Option<&'n [Node]> {
        let items = list.as_sequence();
        if items.is_none() {
            self.report(list, format!("'{}' must be a list, not {}", self.key, list.kind()));
        }
        items
    }

    pub fn report(&mut self, node: &Node, message: String) {
        self.diagnostics.push(
            Diagnostic::error(Code::YamlShape, message)
                .at(self.source.at(node.span))
                .hint(format!("write each {} as '- name: …'", singular(self.key))),
        );
    }
}

/// The word for one entry of a section.
pub fn singular(section: &str) -> &str {
    match section {
        "models" => "model",
        "seeds" => "seed",
        "snapshots" => "snapshot",
        "analyses" => "analysis",
        "data_tests" => "data test",
        "sources" => "source",
        "macros" => "macro",
        "exposures" => "exposure",
        "groups" => "group",
        "unit_tests" => "unit test",
        "metrics" => "metric",
        "semantic_models" => "semantic model",
        "saved_queries" => "saved query",
        "functions" => "function",
        other => other,
    }
}
