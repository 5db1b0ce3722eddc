//! Entries of `unit_tests:`.

use common::unit_test::{FixtureFormat, Overrides, TestedVersions};
use common::{Json, JsonMap};
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use crate::yaml::{Fields, Mapping, Node, Span, Value};

/// A test of a model on rows given by hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnitTestProperties {
    pub name: String,
    /// The place of the name.
    pub span: Span,
    pub model: String,
    /// The place of the model's name.
    pub model_span: Span,
    /// Still a template.
    pub description: String,
    pub config: Mapping,
    pub given: Vec<GivenProperties>,
    pub expect: FixtureProperties,
    pub overrides: Option<Overrides>,
    pub versions: Option<TestedVersions>,
}

/// Rows for one input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GivenProperties {
    pub input: String,
    pub fixture: FixtureProperties,
}

/// Rows as they are written: not yet compared with their format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FixtureProperties {
    /// The place of the rows, or else of the whole fixture.
    pub span: Span,
    pub format: FixtureFormat,
    pub rows: Option<Node>,
    /// A file, by its name without suffix.
    pub file: Option<String>,
}

impl UnitTestProperties {
    pub fn read(_: &Entry, mut fields: Fields<'_>) -> Option<Self> {
        let (name, span) = fields.name()?;
        let model_span = fields.peek("model").map_or(span, |node| node.span);
        let required = ["model", "given", "expect"];
        let missing: Vec<&str> = required.into_iter().filter(|key| !fields.is_given(key)).collect();
        for key in &missing {
            let message = format!("{} has no '{key}'", fields.what());
            fields.error(span, message);
        }
        let model = fields.text("model").unwrap_or_default();
        let expect = mapping(&mut fields, "expect").map(|(expect, span)| {
            let what = format!("'expect' of {}", fields.what());
            FixtureProperties::read(fields.inner(expect, span, what))
        });
        let what = fields.what().to_owned();
        let given = fields.each("given", |_| format!("an entry of 'given' of {what}"), GivenProperties::read);
        let test = Self {
            name,
            span,
            model,
            model_span,
            description: fields.description(),
            config: fields.mapping("config"),
            given,
            expect: expect.flatten()?,
            overrides: overrides(&mut fields),
            versions: versions(&mut fields),
        };
        fields.finish();
        missing.is_empty().then_some(test)
    }
}

impl GivenProperties {
    fn read(mut fields: Fields<'_>) -> Option<Self> {
        let Some(input) = fields.text("input") else {
            let (span, message) = (fields.span(), format!("{} has no 'input'", fields.what()));
            fields.error(span, message);
            return None;
        };
        FixtureProperties::read(fields).map(|fixture| Self { input, fixture })
    }
}

impl FixtureProperties {
    fn read(mut fields: Fields<'_>) -> Option<Self> {
        let span = fields.peek("rows").filter(|rows| !rows.is_null()).map_or(fields.span(), |rows| rows.span);
        let format = format(&mut fields)?;
        let fixture = Self { span, format, rows: fields.node("rows"), file: fields.text("fixture") };
        fields.finish();
        Some(fixture)
    }
}

fn format(fields: &mut Fields<'_>) -> Option<FixtureFormat> {
    let Some(node) = fields.node("format") else { return Some(FixtureFormat::default()) };
    let known = [FixtureFormat::Dict, FixtureFormat::Csv, FixtureFormat::Sql];
    let found = known.into_iter().find(|format| node.as_str() == Some(format.as_str()));
    if found.is_none() {
        let message = format!("'format' of {} must be one of dict, csv, sql", fields.what());
        fields.error(node.span, message);
    }
    found
}

/// A mapping where one is given, with its place.
fn mapping(fields: &mut Fields<'_>, key: &'static str) -> Option<(Mapping, Span)> {
    let node = fields.node(key)?;
    match node.value {
        Value::Mapping(mapping) => Some((mapping, node.span)),
        _ => {
            let message = format!("'{key}' of {} must be a mapping, not {}", fields.what(), node.kind());
            fields.error(node.span, message);
            None
        }
    }
}

fn overrides(fields: &mut Fields<'_>) -> Option<Overrides> {
    let (overrides, span) = mapping(fields, "overrides")?;
    let what = format!("'overrides' of {}", fields.what());
    let mut fields = fields.inner(overrides, span, what);
    let mut named = |key: &'static str| mapping(&mut fields, key).map_or_else(JsonMap::new, |(map, _)| map.to_json());
    let overrides = Overrides { macros: named("macros"), vars: named("vars"), env_vars: named("env_vars") };
    fields.finish();
    Some(overrides)
}

fn versions(fields: &mut Fields<'_>) -> Option<TestedVersions> {
    let (versions, span) = mapping(fields, "versions")?;
    let what = format!("'versions' of {}", fields.what());
    let mut fields = fields.inner(versions, span, what).lenient();
    let mut listed = |key: &'static str| fields.contains(key).then(|| fields.json_list(key));
    let versions = TestedVersions { include: listed("include"), exclude: listed("exclude") };
    let is_given = |list: &Option<Vec<Json>>| list.as_ref().is_some_and(|list| !list.is_empty());
    if is_given(&versions.include) && is_given(&versions.exclude) {
        fields.error(span, "Unit tests can not both include and exclude versions.".to_owned());
    }
    fields.finish();
    Some(versions)
}
