//! Entries of `macros:`.

use common::JsonMap;
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use crate::yaml::{Fields, Node, Span};

/// What is said about a macro.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MacroProperties {
    pub name: String,
    /// The place of the name.
    pub span: Span,
    /// Still a template.
    pub description: String,
    #[serde(with = "common::json_codec::map")]
    pub meta: JsonMap,
    /// `docs:`, or `docs` of `config:`.
    #[serde(with = "common::json_codec::map")]
    pub docs: JsonMap,
    pub arguments: Vec<ArgumentProperties>,
}

/// One of `arguments:`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ArgumentProperties {
    pub name: String,
    pub type_: Option<String>,
    /// Still a template.
    pub description: String,
}

impl MacroProperties {
    pub fn read(_: &Entry, mut fields: Fields<'_>) -> Option<Self> {
        let (name, span) = fields.name()?;
        let config = fields.json_map("config");
        let mut meta = fields.json_map("meta");
        if let Some(nested) = config.get("meta").and_then(|meta| meta.as_object()) {
            meta.extend(nested.clone());
        }
        let docs = fields.json_map("docs");
        let docs = config.get("docs").and_then(|docs| docs.as_object()).cloned().unwrap_or(docs);
        let of = fields.what().to_owned();
        let arguments = fields.each(
            "arguments",
            |mapping| format!("argument '{}' of {of}", mapping.get("name").and_then(Node::as_str).unwrap_or_default()),
            |mut fields| {
                let (name, _) = fields.name()?;
                let type_ = fields.text("type");
                let description = fields.description();
                fields.finish();
                Some(ArgumentProperties { name, type_, description })
            },
        );
        let description = fields.description();
        fields.finish();
        Some(Self { name, span, description, meta, docs, arguments })
    }
}
