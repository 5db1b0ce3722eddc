//! Entries of `exposures:`.

use common::JsonMap;
use common::diagnostic::Code;
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::group::owner;
use crate::yaml::{Fields, Mapping, Node, Span};

/// A downstream use of the project.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExposureProperties {
    pub name: String,
    /// The place of the name.
    pub span: Span,
    /// `dashboard`, `notebook`, `analysis`, `ml` or `application`
    pub type_: String,
    #[serde(with = "common::json_codec::map")]
    pub owner: JsonMap,
    /// Still a template.
    pub description: String,
    pub label: Option<String>,
    /// `low`, `medium` or `high`
    pub maturity: Option<String>,
    pub url: Option<String>,
    #[serde(with = "common::json_codec::map")]
    pub meta: JsonMap,
    pub tags: Vec<String>,
    pub config: Mapping,
    pub unrendered_config: Mapping,
    /// `ref('…')`, `source('…', '…')`, as written, each with its place.
    pub depends_on: Vec<(String, Span)>,
}

impl ExposureProperties {
    pub fn read(entry: &Entry, mut fields: Fields<'_>) -> Option<Self> {
        let (name, span) = fields.name()?;
        let named_well = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
        if !named_well {
            let message =
                format!("{} has a name with other characters than letters, digits, '_' and '-'", fields.what());
            fields.warn(Code::YamlShape, span, message, "put the title for people into 'label'");
        }
        let has_type = fields.contains("type");
        let type_ = one_of(&mut fields, "type", &["dashboard", "notebook", "analysis", "ml", "application"]);
        if !has_type {
            let message = format!("{} has no 'type'", fields.what());
            fields.error(span, message);
        }
        let mut depends_on = Vec::new();
        for item in fields.list("depends_on") {
            match item.as_str() {
                Some(text) => depends_on.push((text.to_owned(), item.span)),
                None => {
                    let message = format!(
                        "'depends_on' of {} holds texts such as ref('orders'), not {}",
                        fields.what(),
                        item.kind()
                    );
                    fields.error(item.span, message);
                }
            }
        }
        let exposure = Self {
            name,
            span,
            type_: type_.unwrap_or_default(),
            owner: owner(&mut fields),
            description: fields.description(),
            label: fields.text("label"),
            maturity: one_of(&mut fields, "maturity", &["low", "medium", "high"]),
            url: fields.text("url"),
            meta: fields.json_map("meta"),
            tags: fields.texts("tags"),
            config: fields.mapping("config"),
            unrendered_config: entry.unrendered_config(),
            depends_on,
        };
        // Left by older versions of dbt; without effect.
        fields.json("docs");
        fields.finish();
        Some(exposure)
    }
}

fn one_of(fields: &mut Fields<'_>, key: &'static str, allowed: &[&str]) -> Option<String> {
    let node: Node = fields.node(key)?;
    match node.as_str().filter(|text| allowed.contains(text)) {
        Some(text) => Some(text.to_owned()),
        None => {
            let message = format!("'{key}' of {} must be one of {}", fields.what(), allowed.join(", "));
            fields.error(node.span, message);
            None
        }
    }
}
