//! Entries of `models:`, with their versions.

use common::Json;
use serde::{Deserialize, Serialize};

use super::column;
use super::entry::Entry;
use super::node::version;
use super::{ColumnProperties, NodeProperties, TestEntry};
use crate::yaml::{Fields, Mapping, Node, Span, Value};

/// What is said about a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelProperties {
    pub node: NodeProperties,
    #[serde(with = "common::json_codec::option")]
    pub latest_version: Option<Json>,
    pub versions: Vec<VersionProperties>,
    pub deprecation_date: Option<String>,
    #[serde(with = "common::json_codec::option")]
    pub time_spine: Option<Json>,
}

/// One of `versions:`; what it does not say, the model says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VersionProperties {
    /// A number or text.
    #[serde(with = "common::json_codec::value")]
    pub v: Json,
    pub span: Span,
    /// The file without its suffix; `<model>_v<v>` where it is not given.
    pub defined_in: Option<String>,
    /// Still a template.
    pub description: Option<String>,
    pub access: Option<String>,
    pub config: Mapping,
    pub unrendered_config: Mapping,
    #[serde(with = "common::json_codec::option_list")]
    pub constraints: Option<Vec<Json>>,
    #[serde(with = "common::json_codec::option")]
    pub docs: Option<Json>,
    /// `None`: the model's.
    pub tests: Option<Vec<TestEntry>>,
    pub columns: VersionColumns,
    pub deprecation_date: Option<String>,
}

/// Which of the model's columns a version has, and which it adds or describes anew.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VersionColumns {
    /// `None`: all.
    pub include: Option<Vec<String>>,
    pub exclude: Vec<String>,
    pub own: Vec<ColumnProperties>,
}

impl VersionColumns {
    /// Whether the model's column of that name belongs to this version.
    pub fn includes(&self, name: &str) -> bool {
        self.include.as_ref().is_none_or(|included| included.iter().any(|column| column == name))
            && !self.exclude.iter().any(|column| column == name)
    }
}

impl ModelProperties {
    pub fn read(entry: &Entry, mut fields: Fields<'_>) -> Option<Self> {
        let node = NodeProperties::read(entry, &mut fields)?;
        let raw_versions: Vec<Mapping> = entry
            .raw
            .get("versions")
            .and_then(Node::as_sequence)
            .unwrap_or_default()
            .iter()
            .filter_map(|version| version.as_mapping().cloned())
            .collect();
        let latest = fields.node("latest_version");
        let latest_version = latest.as_ref().and_then(version);
        let deprecation_date = fields.text("deprecation_date");
        let time_spine = fields.json("time_spine");
        let what = fields.what().to_owned();
        let versions = fields.each(
            "versions",
            |mapping| {
                let v = mapping.get("v").map(Node::to_json).unwrap_or_default();
                format!("version {v} of {what}")
            },
            |fields| VersionProperties::read(fields, &raw_versions),
        );
        for (index, version) in versions.iter().enumerate() {
            if versions[..index].iter().any(|earlier| text(&earlier.v) == text(&version.v)) {
                fields.error(version.span, format!("{what} has version {} twice", version.v));
            }
        }
        if let (Some(latest), Some(node)) = (&latest_version, &latest)
            && !versions.iter().any(|version| version.v == *latest)
        {
            fields.error(node.span, format!("latest_version {latest} is not one of the versions of {what}"));
        }
        fields.finish();
        Some(Self { node, latest_version, versions, deprecation_date, time_spine })
    }
}

impl VersionProperties {
    fn read(mut fields: Fields<'_>, raw: &[Mapping]) -> Option<Self> {
        let Some(node) = fields.node("v") else {
            let message = format!("{} has no 'v'", fields.what());
            let span = fields.span();
            fields.error(span, message);
            return None;
        };
        let Some(v) = version(&node) else {
            let message = format!("'v' of {} must be a number or text, not {}", fields.what(), node.kind());
            fields.error(node.span, message);
            return None;
        };
        let unrendered_config = raw
            .iter()
            .find(|version| version.get("v").map(Node::to_json).as_ref() == Some(&v))
            .and_then(|version| version.get("config")?.as_mapping().cloned())
            .unwrap_or_default();
        let tests =
            ["tests", "data_tests"].iter().any(|key| fields.is_given(key)).then(|| TestEntry::read_all(&mut fields));
        let version = Self {
            v,
            span: node.span,
            defined_in: fields.text("defined_in"),
            description: fields.text("description"),
            access: fields.text("access"),
            config: fields.mapping("config"),
            unrendered_config,
            constraints: fields.contains("constraints").then(|| fields.json_list("constraints")),
            docs: fields.json("docs"),
            tests,
            columns: columns(&mut fields),
            deprecation_date: fields.text("deprecation_date"),
        };
        fields.finish();
        Some(version)
    }
}

/// `columns:` of a version: at most one `include`/`exclude` element, and columns.
fn columns(fields: &mut Fields<'_>) -> VersionColumns {
    let mut columns = VersionColumns::default();
    let mut has_filter = false;
    let what = fields.what().to_owned();
    for item in fields.list("columns") {
        let span = item.span;
        let Value::Mapping(mapping) = item.value else {
            fields.error(span, format!("an entry of 'columns' of {what} must be a mapping, not {}", item.kind()));
            continue;
        };
        if mapping.contains_key("include") || mapping.contains_key("exclude") {
            if std::mem::replace(&mut has_filter, true) {
                fields.error(span, format!("{what} has more than one include/exclude element"));
                continue;
            }
            let mut filter = fields.inner(mapping, span, format!("'columns' of {what}"));
            let all = filter.peek("include").is_none_or(|node| matches!(node.as_str(), Some("*" | "all")));
            columns.include = if all { filter.text("include").and(None) } else { Some(filter.texts("include")) };
            columns.exclude = filter.texts("exclude");
            filter.finish();
        } else {
            let what = column::what(&mapping, &what);
            columns.own.extend(ColumnProperties::read(fields.inner(mapping, span, what)));
        }
    }
    columns
}

/// `1` and `"1"` are the same version.
fn text(version: &Json) -> String {
    version.as_str().map_or_else(|| version.to_string(), str::to_owned)
}
