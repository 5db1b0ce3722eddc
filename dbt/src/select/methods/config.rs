//! `config.<key>`: configs by value, into `meta` and other mappings as deep as one likes.

use common::manifest::{ResourceType, Source};
use common::node_config::NodeConfig;
use common::{Json, JsonMap};

use super::super::member::Member;

/// Whether the config under `path` is `wanted`, or a list that holds it. `true` and `false` also match booleans.
pub fn matches(member: Member<'_>, path: &[String], wanted: &Json) -> bool {
    let Some((key, below)) = path.split_first() else { return false };
    let value = match member {
        // As in dbt, the configs of unit tests select nothing.
        Member::Node(node) if node.unit_test.is_some() => None,
        Member::Node(node) if has_key(node.resource_type, key) => node_config(&node.config, key),
        Member::Node(_) => None,
        Member::Source(source) => source_config(source, key),
        Member::Exposure(_) => None,
    };
    let Some(mut value) = value else { return false };
    for key in below {
        value = match value {
            Json::Object(mut map) => match map.remove(key) {
                Some(value) => value,
                None => return false,
            },
            _ => return false,
        };
    }
    let ignore_case = path.len() == 1 && key == "severity";
    match value {
        Json::Array(items) => items.iter().any(|item| is_equal(item, wanted, ignore_case)),
        value => is_equal(&value, wanted, ignore_case),
    }
}

fn is_equal(value: &Json, wanted: &Json, ignore_case: bool) -> bool {
    match (value, wanted) {
        (Json::Bool(value), Json::String(wanted)) => wanted.eq_ignore_ascii_case(if *value { "true" } else { "false" }),
        (Json::String(value), Json::String(wanted)) if ignore_case => value.eq_ignore_ascii_case(wanted),
        (Json::Number(value), Json::Number(wanted)) => value.as_f64() == wanted.as_f64(),
        (value, wanted) => value == wanted,
    }
}

/// Whether dbt's config of that resource type has such a key; ours has the keys of all types.
fn has_key(resource_type: ResourceType, key: &str) -> bool {
    match key {
        "severity" | "store_failures" | "store_failures_as" | "where" | "limit" | "fail_calc" | "warn_if"
        | "error_if" => resource_type == ResourceType::Test,
        "delimiter" | "quote_columns" => resource_type == ResourceType::Seed,
        _ => true,
    }
}

/// One config by dbt's name of it; `None` where there is no such config.
fn node_config(config: &NodeConfig, key: &str) -> Option<Json> {
    let text = |value: &Option<String>| Some(value.clone().map_or(Json::Null, Json::String));
    let flag = |value: Option<bool>| Some(value.map_or(Json::Null, Json::Bool));
    let texts = |values: &[String]| Some(Json::from(values.to_vec()));
    let map = |map: &JsonMap| Some(Json::Object(map.clone()));
    match key {
        "enabled" => Some(config.enabled.into()),
        "materialized" => Some(config.materialized.as_str().into()),
        "database" => text(&config.database),
        "schema" => text(&config.schema),
        "alias" => text(&config.alias),
        "tags" => texts(&config.tags),
        "meta" => map(&config.meta),
        "group" => text(&config.group),
        "access" => text(&config.access),
        "full_refresh" => flag(config.full_refresh),
        "persist_docs" => map(&config.persist_docs),
        "packages" => texts(&config.packages),
        "event_time" => Some(config.event_time.clone().unwrap_or_default()),
        "incremental_strategy" => text(&config.incremental_strategy),
        "unique_key" => match config.unique_key.as_slice() {
            [] if !config.unique_key_is_list => Some(Json::Null),
            [only] if !config.unique_key_is_list => Some(only.as_str().into()),
            keys => texts(keys),
        },
        "quote_columns" => flag(config.quote_columns),
        "delimiter" => Some(config.delimiter.as_str().into()),
        "store_failures" => flag(config.store_failures),
        "store_failures_as" => text(&config.store_failures_as),
        "where" => text(&config.where_),
        "limit" => Some(config.limit.map_or(Json::Null, Json::from)),
        "fail_calc" => Some(config.fail_calc.as_str().into()),
        "warn_if" => Some(config.warn_if.as_str().into()),
        "error_if" => Some(config.error_if.as_str().into()),
        // The rest serialises as it is written.
        "severity" => serde_json::to_value(config.severity).ok(),
        "on_schema_change" => serde_json::to_value(config.on_schema_change).ok(),
        "quoting" => serde_json::to_value(config.quoting).ok(),
        "grants" => serde_json::to_value(&config.grants).ok(),
        "docs" => serde_json::to_value(&config.docs).ok(),
        "contract" => serde_json::to_value(&config.contract).ok(),
        "column_types" => serde_json::to_value(&config.column_types).ok(),
        _ => config.extra.get(key).cloned(),
    }
}

fn source_config(source: &Source, key: &str) -> Option<Json> {
    match key {
        "enabled" => Some(source.enabled.into()),
        "tags" => Some(source.tags.clone().into()),
        "meta" => Some(Json::Object(source.meta.clone())),
        _ => source.config.get(key).cloned(),
    }
}
