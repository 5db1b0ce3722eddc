//! One entry of `tests:` or `data_tests:`: which generic test, with which arguments and configs.
//!
//! Both spellings are understood (`- unique`, `- accepted_values: {…}`, and `- {test_name: unique, …}`), and arguments may stand
//! under `arguments:` or beside the configs.

use serde::{Deserialize, Serialize};

use crate::yaml::{Fields, Mapping, Node, Span, Value};

/// A generic test as it is written; everything in it is still a template.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TestEntry {
    /// `unique`, or `equal_rowcount` of `dbt_utils.equal_rowcount`.
    pub test: String,
    /// `dbt_utils` of `dbt_utils.equal_rowcount`.
    pub namespace: Option<String>,
    pub span: Span,
    /// `name:`, which replaces the name that dbt makes up.
    pub name: Option<String>,
    pub description: Option<String>,
    /// `config:`, and before it the configs that stood beside the arguments.
    pub config: Mapping,
    /// What the test's macro receives, without `model` and `column_name` unless they were written.
    pub arguments: Mapping,
}

/// Configs that may stand beside a test's arguments.
const CONFIGS: &[&str] = &[
    "severity",
    "tags",
    "enabled",
    "where",
    "limit",
    "warn_if",
    "error_if",
    "fail_calc",
    "store_failures",
    "store_failures_as",
    "meta",
    "database",
    "schema",
    "alias",
];

impl TestEntry {
    /// Reads `tests:` or `data_tests:` of whatever `fields` describes; giving both is an error.
    pub fn read_all(fields: &mut Fields<'_>) -> Vec<Self> {
        let legacy = fields.take("tests");
        let current = fields.take("data_tests");
        let list = match (current, legacy) {
            (Some(_), Some(legacy)) if !legacy.value.is_null() => {
                let message = format!("{} has both 'tests' and 'data_tests'", fields.what());
                fields.error(legacy.key_span, message);
                return Vec::new();
            }
            (Some(list), _) | (None, Some(list)) => list.value,
            (None, None) => return Vec::new(),
        };
        let items = match list.value {
            Value::Sequence(items) => items,
            _ => {
                let message = format!("'data_tests' of {} must be a list, not {}", fields.what(), list.kind());
                fields.error(list.span, message);
                return Vec::new();
            }
        };
        items.into_iter().filter_map(|item| Self::read(item, fields)).collect()
    }

    fn read(item: Node, fields: &mut Fields<'_>) -> Option<Self> {
        let span = item.span;
        let (full_name, arguments) = match item.value {
            Value::String(name) => (name, Mapping::default()),
            Value::Mapping(mapping) => named(mapping, span, fields)?,
            _ => {
                let message =
                    format!("a data test of {} must be a name or a mapping, not {}", fields.what(), item.kind());
                fields.error(span, message);
                return None;
            }
        };
        let (namespace, test) = match full_name.split_once('.') {
            Some((namespace, test)) => (Some(namespace.to_owned()), test.to_owned()),
            None => (None, full_name.clone()),
        };
        let is_identifier = |name: &str| {
            !name.starts_with(|first: char| first.is_ascii_digit())
                && !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if !is_identifier(&test) || !namespace.as_deref().is_none_or(is_identifier) {
            fields.error(span, format!("'{full_name}' is not the name of a data test"));
            return None;
        }
        Self { test, namespace, span, ..Self::default() }.with(arguments, fields)
    }

    /// Sorts what is written under the test's name into name, description, configs and arguments.
    fn with(mut self, mut written: Mapping, fields: &mut Fields<'_>) -> Option<Self> {
        let what = format!("data test '{}' of {}", self.test, fields.what());
        if let Some(nested) = written.remove("arguments") {
            match nested.value.value {
                Value::Mapping(arguments) => {
                    for (key, entry) in arguments {
                        written.insert(key, entry.key_span, entry.value);
                    }
                }
                Value::Null => {}
                _ => {
                    fields.error(nested.value.span, format!("'arguments' of {what} must be a mapping"));
                    return None;
                }
            }
        }
        if let Some(model) = written.entry("model") {
            fields.error(model.key_span, format!("{what} must not have an argument 'model': dbt passes it"));
            return None;
        }
        let mut config = Mapping::default();
        let mut nested = match written.remove("config") {
            Some(entry) => match entry.value.value {
                Value::Mapping(config) => config,
                Value::Null => Mapping::default(),
                _ => {
                    fields.error(entry.value.span, format!("'config' of {what} must be a mapping"));
                    return None;
                }
            },
            None => Mapping::default(),
        };
        for key in CONFIGS {
            let beside = written.remove(key).filter(|entry| !is_falsy(&entry.value));
            if let Some(entry) = &beside
                && nested.contains_key(key)
            {
                fields.error(entry.key_span, format!("{what} has '{key}' twice, beside 'config' and in it"));
            }
            if let Some(entry) = beside.or_else(|| nested.remove(key)) {
                config.insert(*key, entry.key_span, entry.value);
            }
        }
        for (key, entry) in nested {
            config.insert(key, entry.key_span, entry.value);
        }
        self.config = config;
        self.description = text(written.remove("description").map(|entry| entry.value), "description", &what, fields);
        self.name = text(written.remove("name").map(|entry| entry.value), "name", &what, fields);
        self.arguments = written;
        Some(self)
    }
}

/// The name of the test and what is written under it.
fn named(mut mapping: Mapping, span: Span, fields: &mut Fields<'_>) -> Option<(String, Mapping)> {
    if let Some(name) = mapping.remove("test_name") {
        let text = name.value.as_str().map(str::to_owned);
        if text.is_none() {
            let message = format!("'test_name' of a data test of {} must be text", fields.what());
            fields.error(name.value.span, message);
        }
        return text.map(|name| (name, mapping));
    }
    if mapping.len() != 1 {
        let keys: Vec<&str> = mapping.keys().collect();
        let message = format!(
            "a data test of {} must be a mapping with one key, the test's name, but has {}: {}",
            fields.what(),
            keys.len(),
            keys.join(", ")
        );
        fields.error(span, message);
        return None;
    }
    let (name, entry) = mapping.into_iter().next()?;
    match entry.value.value {
        Value::Mapping(arguments) => Some((name, arguments)),
        _ => {
            let message = format!(
                "the arguments of data test '{name}' of {} must be a mapping, not {}",
                fields.what(),
                entry.value.kind()
            );
            fields.error(entry.value.span, message);
            None
        }
    }
}

fn text(node: Option<Node>, key: &str, what: &str, fields: &mut Fields<'_>) -> Option<String> {
    let node = node.filter(|node| !node.is_null())?;
    let text = node.as_str().map(str::to_owned);
    if text.is_none() {
        fields.error(node.span, format!("'{key}' of {what} must be text, not {}", node.kind()));
    }
    text
}

/// What Python holds for false: dbt takes such a config from `config:` instead.
fn is_falsy(node: &Node) -> bool {
    match &node.value {
        Value::Null | Value::Bool(false) | Value::Int(0) => true,
        Value::Float(number) => *number == 0.0,
        Value::String(text) => text.is_empty(),
        Value::Sequence(items) => items.is_empty(),
        Value::Mapping(mapping) => mapping.is_empty(),
        Value::Bool(true) | Value::Int(_) => false,
    }
}
