//! Generic tests of properties files: from a test's entry under a node or column to the test's names, id, arguments, config and
//! code.
//!
//! Source of the rules: dbt's documentation of data tests; names and ids of tests equal dbt-core 1.11's, since selectors,
//! artifacts and stored failures carry them.

use std::collections::BTreeSet;

use common::manifest::TestMetadata;
use common::{Json, JsonMap};

use super::digest::md5_hex;
use super::python_text::{repr_of, repr_of_str, str_of};
use crate::properties::TestEntry;

/// Names of 64 and more characters are cut to this many and a hash.
const CUT_AT: usize = 30;
const NAME_LENGTH_MAX: usize = 63;

/// What a test is declared under.
#[derive(Clone, Copy, Debug)]
pub enum Tested<'a> {
    Node { name: &'a str, version: Option<&'a Json> },
    Source { source: &'a str, table: &'a str },
}

/// A test's entry, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// The test's own name, `unique`.
    pub name: String,
    /// The package before the dot, `dbt_utils`.
    pub namespace: Option<String>,
    /// Name of the node: in full, for id and fqn.
    pub full_name: String,
    /// Name of the compiled file: cut and hashed where the full one is too long.
    pub short_name: String,
    /// Arguments of the macro, `model` and `column_name` included.
    pub kwargs: JsonMap,
    pub config: JsonMap,
    pub description: String,
}

/// Reads a test's entry. `render` evaluates a string of the config in dbt's native environment; its message ends the test.
pub fn define(
    entry: &TestEntry,
    tested: Tested<'_>,
    column_name: Option<&str>,
    render: &mut dyn FnMut(&str) -> Result<Json, String>,
) -> Result<Definition, String> {
    let mut kwargs = JsonMap::new();
    if let Some(column) = column_name {
        kwargs.insert("column_name".to_owned(), Json::String(column.to_owned()));
    }
    kwargs.extend(entry.arguments.to_json());
    kwargs.insert("model".to_owned(), Json::String(model_argument(tested)));
    let mut config = JsonMap::new();
    for (key, value) in entry.config.to_json() {
        let value = match value {
            Json::String(text) => render(&text)?,
            other => other,
        };
        if !value.is_null() {
            config.insert(key, value);
        }
    }
    let (short_name, full_name) = match &entry.name {
        Some(name) => (name.clone(), name.clone()),
        None => {
            let names = synthesize(entry.namespace.as_deref(), &entry.test, tested, &kwargs);
            if names.0 != names.1 && !config.contains_key("alias") {
                config.insert("alias".to_owned(), Json::String(names.0.clone()));
            }
            names
        }
    };
    Ok(Definition {
        name: entry.test.clone(),
        namespace: entry.namespace.clone(),
        full_name,
        short_name,
        kwargs,
        config,
        description: entry.description.clone().unwrap_or_default(),
    })
}

impl Definition {
    /// The test's code: the call of its macro, then its config.
    pub fn raw_code(&self) -> String {
        let name = match &self.namespace {
            Some(namespace) => format!("{namespace}.test_{}", self.name),
            None => format!("test_{}", self.name),
        };
        let config: Vec<String> = self
            .config
            .iter()
            .map(|(key, value)| match value {
                Json::String(text) => format!("{key}=\"{}\"", text.replace('"', "\\\"")),
                other => format!("{key}={}", repr_of(other)),
            })
            .collect();
        let config = if config.is_empty() { String::new() } else { format!("{{{{ config({}) }}}}", config.join(",")) };
        format!("{{{{ {name}(**_dbt_generic_test_kwargs) }}}}{config}")
    }

    /// The end of the test's `unique_id`: tests of one name differ by it.
    pub fn hash(&self) -> String {
        let mut text = self.full_name.clone();
        let namespace = self.namespace.as_deref().unwrap_or("None");
        text.push_str("{'kwargs': ");
        write_hashable(&Json::Object(self.kwargs.clone()), &mut text);
        text.push_str(&format!(", 'name': {}, 'namespace': {}}}", repr_of_str(&self.name), repr_of_str(namespace)));
        let digest = md5_hex(&text);
        digest[digest.len() - 10..].to_owned()
    }

    /// `tags` of the config, as far as they are text; the config itself reports what is not.
    pub fn tags(&self) -> Vec<String> {
        match self.config.get("tags") {
            Some(Json::String(tag)) => vec![tag.clone()],
            Some(Json::Array(tags)) => tags.iter().filter_map(|tag| tag.as_str().map(str::to_owned)).collect(),
            _ => Vec::new(),
        }
    }

    pub fn metadata(&self) -> TestMetadata {
        TestMetadata { name: self.name.clone(), namespace: self.namespace.clone(), kwargs: self.kwargs.clone() }
    }
}

fn model_argument(tested: Tested<'_>) -> String {
    let target = match tested {
        Tested::Node { name, version: Some(version) } => format!("ref('{name}', version='{}')", str_of(version)),
        Tested::Node { name, version: None } => format!("ref('{name}')"),
        Tested::Source { source, table } => format!("source('{source}', '{table}')"),
    };
    format!("{{{{ get_where_subquery({target}) }}}}")
}

/// The short and the full name of a test that was given none.
fn synthesize(namespace: Option<&str>, name: &str, tested: Tested<'_>, args: &JsonMap) -> (String, String) {
    let (prefix, target) = match tested {
        Tested::Node { name: target, version: Some(version) } => ("", format!("{target}_v{}", str_of(version))),
        Tested::Node { name: target, version: None } => ("", target.to_owned()),
        Tested::Source { source, table } => ("source_", format!("{source}_{table}")),
    };
    let identifier = match namespace {
        Some(namespace) => format!("{namespace}_{prefix}{name}_{target}"),
        None => format!("{prefix}{name}_{target}"),
    };
    let mut parts = Vec::new();
    for key in args.keys().collect::<BTreeSet<_>>() {
        match &args[key] {
            _ if key == "model" => {}
            Json::Object(map) => parts.extend(map.values().map(clean)),
            Json::Array(items) => parts.extend(items.iter().map(clean)),
            single => parts.push(clean(single)),
        }
    }
    let full = format!("{identifier}_{}", parts.join("__"));
    if full.chars().count() > NAME_LENGTH_MAX {
        let cut: String = identifier.chars().take(CUT_AT).collect();
        (format!("{cut}_{}", md5_hex(&full)), full)
    } else {
        (full.clone(), full)
    }
}

/// Runs of other characters than letters, digits and `_` become one `_`.
fn clean(value: &Json) -> String {
    let mut cleaned = String::new();
    let mut in_run = false;
    for c in str_of(value).chars() {
        let keeps = c.is_ascii_alphanumeric() || c == '_';
        if keeps {
            cleaned.push(c);
        } else if !in_run {
            cleaned.push('_');
        }
        in_run = !keeps;
    }
    cleaned
}

/// `repr` of a value with sorted keys and every leaf as text.
fn write_hashable(value: &Json, out: &mut String) {
    match value {
        Json::Object(map) => {
            out.push('{');
            for (index, key) in map.keys().collect::<BTreeSet<_>>().into_iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                out.push_str(&repr_of_str(key));
                out.push_str(": ");
                write_hashable(&map[key], out);
            }
            out.push('}');
        }
        Json::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_hashable(item, out);
            }
            out.push(']');
        }
        leaf => out.push_str(&repr_of_str(&str_of(leaf))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::{Node, Span, Value};
    use serde_json::json;

    fn mapping(json: Json) -> crate::yaml::Mapping {
        match Node::from_json(&json, Span::default()).value {
            Value::Mapping(mapping) => mapping,
            _ => panic!("not a mapping"),
        }
    }

    fn defined(test: &str, arguments: Json, config: Json, tested: Tested<'_>, column: Option<&str>) -> Definition {
        let (namespace, test) = match test.split_once('.') {
            Some((namespace, test)) => (Some(namespace.to_owned()), test),
            None => (None, test),
        };
        let entry = TestEntry {
            test: test.to_owned(),
            namespace,
            arguments: mapping(arguments),
            config: mapping(config),
            ..TestEntry::default()
        };
        define(&entry, tested, column, &mut |text| Ok(Json::String(text.to_owned()))).expect("a test")
    }

    const ORDERS: Tested<'_> = Tested::Node { name: "orders", version: None };

    /// The hash is dbt-core's.
    #[test]
    fn names_and_code_of_a_column_test() {
        let test = defined("unique", json!({}), json!({}), ORDERS, Some("id"));
        assert_eq!(test.full_name, "unique_orders_id");
        assert_eq!(test.short_name, "unique_orders_id");
        assert_eq!(test.raw_code(), "{{ test_unique(**_dbt_generic_test_kwargs) }}");
        assert_eq!(test.hash(), "1360ecc70e");
        assert_eq!(test.kwargs["model"], json!("{{ get_where_subquery(ref('orders')) }}"));
    }

    #[test]
    fn long_names_are_cut_and_hashed() {
        let values = json!({"values": ["placed", "shipped", "completed", "returned"]});
        let config = json!({"severity": "warn", "where": "a = \"b\""});
        let test = defined("accepted_values", values, config, ORDERS, Some("status"));
        assert_eq!(test.full_name, "accepted_values_orders_status__placed__shipped__completed__returned");
        assert_eq!(test.short_name, "accepted_values_orders_8b08a2e3c7880954e0d6e0b54536f6b3");
        assert_eq!(
            test.raw_code(),
            format!(
                "{{{{ test_accepted_values(**_dbt_generic_test_kwargs) }}}}{{{{ config(severity=\"warn\",\
                 where=\"a = \\\"b\\\"\",alias=\"{}\") }}}}",
                test.short_name
            )
        );
    }

    #[test]
    fn a_source_test_names_its_source() {
        let source = Tested::Source { source: "raw", table: "orders" };
        let test = defined("dbt_utils.expression", json!({"expression": "a > 1"}), json!({}), source, None);
        assert_eq!(test.full_name, "dbt_utils_source_expression_raw_orders_a_1");
        assert_eq!(test.kwargs["model"], json!("{{ get_where_subquery(source('raw', 'orders')) }}"));
    }
}
