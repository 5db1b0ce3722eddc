//! Entries of `sources:` and their tables.

use common::node_config::QuotingOverride;
use common::{Json, JsonMap};
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::{ColumnProperties, TestEntry};
use crate::yaml::{Fields, Mapping, Node, Span};

/// A source; its tables inherit from it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceProperties {
    pub name: String,
    /// The place of the name.
    pub span: Span,
    /// Still a template.
    pub description: String,
    pub database: Option<String>,
    /// The source's name where it is not given.
    pub schema: Option<String>,
    pub loader: String,
    #[serde(with = "common::json_codec::map")]
    pub meta: JsonMap,
    pub tags: Vec<String>,
    pub quoting: QuotingOverride,
    /// Also `null` where that is written, which switches inherited freshness off.
    pub freshness: Option<Node>,
    pub loaded_at_field: Option<String>,
    /// Still a template.
    pub loaded_at_query: Option<String>,
    pub config: Mapping,
    pub unrendered_config: Mapping,
    /// The package whose source of the same name this one changes.
    pub overrides: Option<String>,
    pub tables: Vec<TableProperties>,
}

/// One of `tables:`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TableProperties {
    pub name: String,
    /// The place of the name.
    pub span: Span,
    /// Still a template.
    pub description: String,
    /// The table's name where it is not given.
    pub identifier: Option<String>,
    #[serde(with = "common::json_codec::map")]
    pub meta: JsonMap,
    pub tags: Vec<String>,
    #[serde(with = "common::json_codec::option")]
    pub docs: Option<Json>,
    pub quoting: QuotingOverride,
    /// Also `null` where that is written, which switches inherited freshness off.
    pub freshness: Option<Node>,
    /// Also `null` where that is written, which hides the source's.
    pub loaded_at_field: Option<Node>,
    /// Still a template.
    pub loaded_at_query: Option<String>,
    #[serde(with = "common::json_codec::option")]
    pub external: Option<Json>,
    pub config: Mapping,
    pub unrendered_config: Mapping,
    pub columns: Vec<ColumnProperties>,
    pub tests: Vec<TestEntry>,
}

impl SourceProperties {
    pub fn read(entry: &Entry, mut fields: Fields<'_>) -> Option<Self> {
        let (name, span) = fields.name()?;
        let of = fields.what().to_owned();
        let raw_tables = entry.raw.get("tables").and_then(Node::as_sequence).unwrap_or_default();
        let tables = fields.each(
            "tables",
            |mapping| format!("table '{}' of {of}", mapping.get("name").and_then(Node::as_str).unwrap_or_default()),
            |fields| TableProperties::read(fields, raw_tables),
        );
        let source = Self {
            name,
            span,
            description: fields.description(),
            database: fields.text("database"),
            schema: fields.text("schema"),
            loader: fields.text("loader").unwrap_or_default(),
            meta: fields.json_map("meta"),
            tags: fields.texts("tags"),
            quoting: fields.quoting(),
            freshness: fields.take("freshness").map(|entry| entry.value),
            loaded_at_field: loaded_at_field(&mut fields).and_then(|node| node.as_str().map(str::to_owned)),
            loaded_at_query: fields.text("loaded_at_query"),
            config: fields.mapping("config"),
            unrendered_config: entry.unrendered_config(),
            overrides: fields.text("overrides"),
            tables,
        };
        fields.finish();
        Some(source)
    }
}

impl TableProperties {
    fn read(mut fields: Fields<'_>, raw: &[Node]) -> Option<Self> {
        let (name, span) = fields.name()?;
        let unrendered_config = raw
            .iter()
            .find(|table| table.get("name").is_some_and(|node| node.span == span))
            .and_then(|table| table.get("config")?.as_mapping().cloned())
            .unwrap_or_default();
        let table = Self {
            name,
            span,
            description: fields.description(),
            identifier: fields.text("identifier"),
            meta: fields.json_map("meta"),
            tags: fields.texts("tags"),
            docs: fields.json("docs"),
            quoting: fields.quoting(),
            freshness: fields.take("freshness").map(|entry| entry.value),
            loaded_at_field: loaded_at_field(&mut fields),
            loaded_at_query: fields.text("loaded_at_query"),
            external: fields.json("external"),
            config: fields.mapping("config"),
            unrendered_config,
            columns: ColumnProperties::read_all(&mut fields),
            tests: TestEntry::read_all(&mut fields),
        };
        // Accepted by dbt without effect.
        fields.json("constraints");
        fields.text("data_type");
        fields.finish();
        Some(table)
    }
}

/// `loaded_at_field`, `null` included; empty text is an error.
fn loaded_at_field(fields: &mut Fields<'_>) -> Option<Node> {
    let node = fields.take("loaded_at_field")?.value;
    if node.as_str() == Some("") || !(node.is_null() || node.as_str().is_some()) {
        let message = format!("'loaded_at_field' of {} must be the name of a column", fields.what());
        fields.error(node.span, message);
        return None;
    }
    Some(node)
}
