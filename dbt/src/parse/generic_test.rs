//! Generic tests of properties files: from a test's entry under a node or column to the test's names, id, arguments, config and
//! code.
//!
//! Source of the rules: dbt's documentation of data tests; names and ids of tests equal dbt-core 1.11's, since selectors,
//! artifacts and stored failures carry them.

use std::borrow::Cow;
use std::collections::BTreeSet;

use common::manifest::TestMetadata;
use common::{Json, JsonMap};

use super::digest::md5_hex;
use super::python_text::{repr_of, repr_of_str, str_of};

/// Keys of a test's entry that configure the test instead of being arguments of its macro.
const CONFIG_KEYS: [&str; 14] = [
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

/// Why an entry is no test. The words are dbt's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("test must be dict or str, got {0}")]
    NotADictionary(String),
    #[error("test definition dictionary must have exactly one key, got {0} instead ({1} keys)")]
    NotOneKey(String, usize),
    #[error("test arguments must be dict, got {0}")]
    ArgumentsNotADictionary(String),
    #[error("test name must be a str, got {0}")]
    NameNotText(String),
    #[error("Test arguments include \"model\", which is a reserved argument")]
    ReservedModel,
    #[error("Test name string did not match expected pattern: {0}")]
    NamePattern(String),
    #[error("Test cannot have the same key at the top-level and in config")]
    KeyTwice,
    #[error("{0}")]
    Render(String),
}

/// Reads a test's entry. `render` evaluates a string of the config in dbt's native environment.
pub fn define(
    entry: &Json,
    tested: Tested<'_>,
    column_name: Option<&str>,
    arguments_property: bool,
    render: &mut dyn FnMut(&str) -> Result<Json, String>,
) -> Result<Definition, Error> {
    let (test_name, mut args) = arguments(entry, column_name, arguments_property)?;
    if args.contains_key("model") {
        return Err(Error::ReservedModel);
    }
    args.insert("model".to_owned(), Json::String(model_argument(tested)));
    let (namespace, name) = split_name(&test_name)?;
    let mut config = take_config(&mut args, render)?;
    let description = args.shift_remove("description").map(|text| str_of(&text)).unwrap_or_default();
    let (short_name, full_name) = match args.shift_remove("name") {
        Some(name) => (str_of(&name), str_of(&name)),
        None => {
            let names = synthesize(namespace.as_deref(), &name, tested, &args);
            if names.0 != names.1 && !config.contains_key("alias") {
                config.insert("alias".to_owned(), Json::String(names.0.clone()));
            }
            names
        }
    };
    Ok(Definition { name, namespace, full_name, short_name, kwargs: args, config, description })
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

    /// `tags` of the config.
    pub fn tags(&self) -> Result<Vec<String>, Error> {
        let tags = match self.config.get("tags") {
            None => return Ok(Vec::new()),
            Some(Json::String(tag)) => return Ok(vec![tag.clone()]),
            Some(Json::Array(tags)) => tags,
            Some(other) => {
                return Err(Error::Render(format!("got {} for tags, expected a list of strings", repr_of(other))));
            }
        };
        tags.iter()
            .map(|tag| match tag {
                Json::String(tag) => Ok(tag.clone()),
                other => Err(Error::Render(format!("got {} for a tag, expected a string", repr_of(other)))),
            })
            .collect()
    }

    pub fn metadata(&self) -> TestMetadata {
        TestMetadata { name: self.name.clone(), namespace: self.namespace.clone(), kwargs: self.kwargs.clone() }
    }
}

/// The test's name and its arguments, before config is taken out.
fn arguments(entry: &Json, column_name: Option<&str>, arguments_property: bool) -> Result<(String, JsonMap), Error> {
    let entry = match entry {
        Json::String(name) => Cow::Owned(JsonMap::from_iter([(name.clone(), Json::Object(JsonMap::new()))])),
        Json::Object(map) => Cow::Borrowed(map),
        other => return Err(Error::NotADictionary(repr_of(other))),
    };
    let (name, mut args) = if let Some(name) = entry.get("test_name") {
        let mut args = entry.clone().into_owned();
        args.shift_remove("test_name");
        (name.clone(), args)
    } else {
        let mut entries = entry.iter();
        let (Some((name, args)), None) = (entries.next(), entries.next()) else {
            return Err(Error::NotOneKey(repr_of(&Json::Object(entry.clone().into_owned())), entry.len()));
        };
        let Json::Object(args) = args else { return Err(Error::ArgumentsNotADictionary(repr_of(args))) };
        (Json::String(name.clone()), args.clone())
    };
    let Json::String(name) = name else { return Err(Error::NameNotText(repr_of(&name))) };
    if let Some(column) = column_name {
        args.insert("column_name".to_owned(), Json::String(column.to_owned()));
    }
    if arguments_property && let Some(Json::Object(nested)) = args.shift_remove("arguments") {
        args.extend(nested);
    }
    Ok((name, args))
}

/// `package.test` taken apart. As in dbt, what follows the name is ignored.
fn split_name(text: &str) -> Result<(Option<String>, String), Error> {
    let (first, rest) = identifier(text);
    if first.is_empty() {
        return Err(Error::NamePattern(text.to_owned()));
    }
    let second = rest.strip_prefix('.').map(|rest| identifier(rest).0).unwrap_or_default();
    if second.is_empty() { Ok((None, first.to_owned())) } else { Ok((Some(first.to_owned()), second.to_owned())) }
}

fn identifier(text: &str) -> (&str, &str) {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    if starts { text.split_at(end) } else { ("", text) }
}

/// Moves the config out of the arguments: keys at the top level, then those under `config`.
fn take_config(args: &mut JsonMap, render: &mut dyn FnMut(&str) -> Result<Json, String>) -> Result<JsonMap, Error> {
    let mut nested = match args.shift_remove("config") {
        Some(Json::Object(map)) => map,
        Some(Json::Null) | None => JsonMap::new(),
        Some(other) => return Err(Error::Render(format!("config must be a dictionary, got {}", repr_of(&other)))),
    };
    let mut config = JsonMap::new();
    for key in CONFIG_KEYS {
        let mut value = args.shift_remove(key);
        let given = value.as_ref().is_some_and(is_true);
        if given && nested.contains_key(key) {
            return Err(Error::KeyTwice);
        }
        if !given && let Some(found) = nested.shift_remove(key) {
            value = Some(found);
        }
        if let Some(value) = value {
            config.insert(key.to_owned(), value);
        }
    }
    config.extend(nested);
    let mut rendered = JsonMap::new();
    for (key, value) in config {
        let value = match value {
            Json::String(text) => render(&text).map_err(Error::Render)?,
            other => other,
        };
        if !value.is_null() {
            rendered.insert(key, value);
        }
    }
    Ok(rendered)
}

/// Python's truth.
fn is_true(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::Bool(value) => *value,
        Json::Number(number) => number.as_f64() != Some(0.0),
        Json::String(text) => !text.is_empty(),
        Json::Array(items) => !items.is_empty(),
        Json::Object(map) => !map.is_empty(),
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
    use serde_json::json;

    fn defined(entry: Json, tested: Tested<'_>, column: Option<&str>) -> Result<Definition, Error> {
        define(&entry, tested, column, true, &mut |text| Ok(Json::String(text.to_owned())))
    }

    const ORDERS: Tested<'_> = Tested::Node { name: "orders", version: None };

    #[test]
    fn names_and_code_of_a_column_test() {
        let test = defined(json!("unique"), ORDERS, Some("id")).expect("a test");
        assert_eq!(test.full_name, "unique_orders_id");
        assert_eq!(test.short_name, "unique_orders_id");
        assert_eq!(test.raw_code(), "{{ test_unique(**_dbt_generic_test_kwargs) }}");
        assert_eq!(test.hash(), "1360ecc70e");
        assert_eq!(test.kwargs["model"], json!("{{ get_where_subquery(ref('orders')) }}"));
    }

    #[test]
    fn long_names_are_cut_and_hashed() {
        let entry = json!({"accepted_values": {"arguments": {"values": ["placed", "shipped", "completed", "returned"]},
                           "config": {"severity": "warn", "where": "a = \"b\""}}});
        let test = defined(entry, ORDERS, Some("status")).expect("a test");
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
        let test = defined(
            json!({"dbt_utils.expression": {"expression": "a > 1"}}),
            Tested::Source { source: "raw", table: "orders" },
            None,
        )
        .expect("a test");
        assert_eq!(test.full_name, "dbt_utils_source_expression_raw_orders_a_1");
        assert_eq!((test.namespace.as_deref(), test.name.as_str()), (Some("dbt_utils"), "expression"));
    }

    #[test]
    fn what_is_no_test_is_told() {
        let cases = [
            (json!(3), "test must be dict or str, got 3"),
            (
                json!({"a": {}, "b": {}}),
                "test definition dictionary must have exactly one key, got {'a': {}, 'b': {}} instead (2 keys)",
            ),
            (json!({"unique": {"model": 1}}), "Test arguments include \"model\", which is a reserved argument"),
            (
                json!({"unique": {"where": "a", "config": {"where": "b"}}}),
                "Test cannot have the same key at the top-level and in config",
            ),
        ];
        for (entry, expected) in cases {
            assert_eq!(defined(entry, ORDERS, None).expect_err("no test").to_string(), expected);
        }
    }
}
