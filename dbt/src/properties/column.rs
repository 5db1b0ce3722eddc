//! `columns:` of a model, seed, snapshot, source table or analysis.

use common::{Json, JsonMap};
use serde::{Deserialize, Serialize};

use super::TestEntry;
use crate::yaml::{Fields, Mapping, Node, Span};

/// One column as it is described.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ColumnProperties {
    pub name: String,
    /// The place of the name.
    pub span: Span,
    /// Still a template.
    pub description: String,
    pub data_type: Option<String>,
    #[serde(with = "common::json_codec::list")]
    pub constraints: Vec<Json>,
    pub quote: Option<bool>,
    #[serde(with = "common::json_codec::map")]
    pub meta: JsonMap,
    pub tags: Vec<String>,
    #[serde(with = "common::json_codec::option")]
    pub docs: Option<Json>,
    #[serde(with = "common::json_codec::map")]
    pub config: JsonMap,
    pub granularity: Option<String>,
    pub tests: Vec<TestEntry>,
    /// Keys that dbt does not know; they travel into the artifacts.
    #[serde(with = "common::json_codec::map")]
    pub extra: JsonMap,
}

/// How a column is named in messages.
pub fn what(mapping: &Mapping, of: &str) -> String {
    format!("column '{}' of {of}", mapping.get("name").and_then(Node::as_str).unwrap_or_default())
}

impl ColumnProperties {
    /// Reads `columns:` of whatever `fields` describes.
    pub fn read_all(fields: &mut Fields<'_>) -> Vec<Self> {
        let of = fields.what().to_owned();
        fields.each("columns", |mapping| what(mapping, &of), Self::read)
    }

    pub fn read(mut fields: Fields<'_>) -> Option<Self> {
        let (name, span) = fields.name()?;
        let mut column = Self {
            name,
            span,
            description: fields.description(),
            data_type: fields.text("data_type"),
            constraints: fields.json_list("constraints"),
            quote: fields.bool("quote"),
            meta: fields.json_map("meta"),
            tags: fields.texts("tags"),
            docs: fields.json("docs"),
            config: fields.json_map("config"),
            granularity: fields.text("granularity"),
            tests: TestEntry::read_all(&mut fields),
            extra: JsonMap::new(),
        };
        for (key, entry) in fields.rest() {
            fields.unknown(&key, entry.key_span);
            column.extra.insert(key, entry.value.to_json());
        }
        Some(column)
    }
}
