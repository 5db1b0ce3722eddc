//! Entries of `models:`, `seeds:`, `snapshots:`, `analyses:` and `data_tests:`: what they have in common.

use common::Json;
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::{ColumnProperties, TestEntry};
use crate::yaml::{Fields, Mapping, Node, Span};

/// What is said about a node that has a file of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeProperties {
    pub name: String,
    /// The place of the name.
    pub span: Span,
    /// Still a template.
    pub description: String,
    /// `config:`, with `meta`, `docs`, `group`, `contract` and `access` of the top level moved into it, as dbt does.
    pub config: Mapping,
    /// `config:` before rendering.
    pub unrendered_config: Mapping,
    pub columns: Vec<ColumnProperties>,
    pub tests: Vec<TestEntry>,
    #[serde(with = "common::json_codec::list")]
    pub constraints: Vec<Json>,
    /// `quote_columns:` of a seed.
    pub quote_columns: Option<bool>,
    /// `relation:` of a snapshot that has no SQL file.
    pub relation: Option<String>,
}

impl NodeProperties {
    pub fn read_seed(entry: &Entry, mut fields: Fields<'_>) -> Option<Self> {
        let node = Self::read(entry, &mut fields);
        fields.finish();
        node
    }

    pub fn read_snapshot(entry: &Entry, mut fields: Fields<'_>) -> Option<Self> {
        let relation = fields.text("relation");
        let node = Self::read(entry, &mut fields);
        fields.finish();
        node.map(|node| Self { relation, ..node })
    }

    pub fn read_analysis(entry: &Entry, mut fields: Fields<'_>) -> Option<Self> {
        let node = Self::read_untested(entry, &mut fields);
        fields.finish();
        node.map(|(node, columns)| Self { columns, ..node })
    }

    pub fn read_singular_test(entry: &Entry, mut fields: Fields<'_>) -> Option<Self> {
        let node = Self::read_bare(entry, &mut fields);
        fields.finish();
        node
    }

    /// Everything, tests included; the caller finishes `fields`.
    pub fn read(entry: &Entry, fields: &mut Fields<'_>) -> Option<Self> {
        let (node, columns) = Self::read_untested(entry, fields)?;
        let tests = TestEntry::read_all(fields);
        Some(Self { columns, tests, quote_columns: fields.bool("quote_columns"), ..node })
    }

    fn read_untested(entry: &Entry, fields: &mut Fields<'_>) -> Option<(Self, Vec<ColumnProperties>)> {
        let node = Self::read_bare(entry, fields)?;
        let columns = ColumnProperties::read_all(fields);
        Some((node, columns))
    }

    fn read_bare(entry: &Entry, fields: &mut Fields<'_>) -> Option<Self> {
        let (name, span) = fields.name()?;
        let description = fields.description();
        let constraints = fields.json_list("constraints");
        // dbt accepts a data type here and does nothing with it.
        fields.text("data_type");
        Some(Self {
            name,
            span,
            description,
            config: config(fields),
            unrendered_config: entry.unrendered_config(),
            constraints,
            ..Self::default()
        })
    }
}

/// `config:` with the keys that may also stand at the top level. A key in both places is an error.
fn config(fields: &mut Fields<'_>) -> Mapping {
    let mut config = fields.mapping("config");
    for key in ["meta", "docs", "group", "contract", "access"] {
        let Some(moved) = fields.take(key) else { continue };
        if config.contains_key(key) {
            let message = format!("{} has '{key}' twice, at the top level and in 'config'", fields.what());
            fields.error(moved.key_span, message);
        } else if !moved.value.is_null() {
            config.insert(key, moved.key_span, moved.value);
        }
    }
    config
}

/// A version as dbt has it: a number or text.
pub fn version(node: &Node) -> Option<Json> {
    let json = node.to_json();
    (json.is_number() || json.is_string()).then_some(json)
}
