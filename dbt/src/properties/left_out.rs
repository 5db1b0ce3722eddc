//! Sections of dbt whose resources are not in Kontiki's manifest. Their entries are kept by kind, name and place, so that none is
//! passed over in silence.

use serde::{Deserialize, Serialize};

use super::entry::Section as Entries;
use crate::yaml::{Node, Span};

/// Where an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Section {
    Metrics,
    SemanticModels,
    SavedQueries,
    Functions,
}

impl Section {
    pub fn named(key: &str) -> Option<Self> {
        match key {
            "metrics" => Some(Self::Metrics),
            "semantic_models" => Some(Self::SemanticModels),
            "saved_queries" => Some(Self::SavedQueries),
            "functions" => Some(Self::Functions),
            _ => None,
        }
    }

    /// The word for one entry, and that for several.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Metrics => ("metric", "metrics"),
            Self::SemanticModels => ("semantic model", "semantic models"),
            Self::SavedQueries => ("saved query", "saved queries"),
            Self::Functions => ("function", "functions"),
        }
    }
}

/// An entry of such a section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOutEntry {
    pub section: Section,
    pub name: String,
    pub span: Span,
}

/// The entries that have a name; the others are reported.
pub fn read(section: Section, list: &Node, entries: &mut Entries<'_>) -> Vec<LeftOutEntry> {
    if list.is_null() {
        return Vec::new();
    }
    let Some(items) = entries.items(list) else { return Vec::new() };
    let mut found = Vec::with_capacity(items.len());
    for item in items {
        match item.get("name").and_then(Node::as_str) {
            Some(name) => found.push(LeftOutEntry { section, name: name.to_owned(), span: item.span }),
            None if item.as_mapping().is_some() => entries.report(item, format!("{} has no 'name'", section.words().0)),
            None => {
                entries.report(item, format!("an entry of '{}' must be a mapping, not {}", entries.key, item.kind()));
            }
        }
    }
    found
}
