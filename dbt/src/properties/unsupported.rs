//! Sections of dbt that Kontiki does not build yet. They are kept by name so that the project can be refused with their places.

use serde::{Deserialize, Serialize};

use super::entry::singular;
use crate::yaml::{Node, Span};

/// An entry of such a section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsupportedEntry {
    /// `unit test`, `metric`, `semantic model`, `saved query` or `function`
    pub kind: String,
    pub name: String,
    pub span: Span,
}

pub fn is_section(key: &str) -> bool {
    matches!(key, "unit_tests" | "metrics" | "semantic_models" | "saved_queries" | "functions")
}

pub fn read(section: &str, key_span: Span, list: &Node) -> Vec<UnsupportedEntry> {
    let kind = singular(section).to_owned();
    match list.as_sequence() {
        Some(items) => items
            .iter()
            .map(|item| {
                let name = item.get("name").and_then(Node::as_str).unwrap_or_default().to_owned();
                UnsupportedEntry { kind: kind.clone(), name, span: item.span }
            })
            .collect(),
        None if list.is_null() => Vec::new(),
        None => vec![UnsupportedEntry { kind, name: String::new(), span: key_span }],
    }
}
