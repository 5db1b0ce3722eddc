//! From merged keys to a `NodeConfig`, with a problem for every value that dbt would not accept.
//!
//! Invariant: every key of the input ends up in a typed field, in `extra`, or in a problem; never nowhere.

use common::node_config::{
    Contract, Docs, Hook, Materialization, NodeConfig, OnSchemaChange, QuotingOverride, TestSeverity,
};
use common::{Json, JsonMap};
use indexmap::IndexMap;

use super::super::python_text::repr_of;
use super::{Kind, Problem};

/// Types the merged keys. Keys with a bad value keep their default.
pub fn node_config(merged: JsonMap, kind: Kind, problems: &mut Vec<Problem>) -> NodeConfig {
    let mut config = defaults(kind);
    for (key, value) in merged {
        if let Err(message) = set(&mut config, &key, value, kind) {
            problems.push(Problem { key, message });
        }
    }
    check(&config, kind, problems);
    if kind == Kind::Test {
        settle_store_failures(&mut config);
    }
    config
}

/// What a kind has before any layer applies.
fn defaults(kind: Kind) -> NodeConfig {
    let mut config = NodeConfig::default();
    match kind {
        Kind::Seed => config.materialized = Materialization::Seed,
        Kind::Snapshot => config.materialized = Materialization::Snapshot,
        Kind::Test => {
            config.materialized = Materialization::Test;
            config.schema = Some("dbt_test__audit".to_owned());
        }
        Kind::UnitTest => config.materialized = Materialization::Custom("unit".to_owned()),
        _ => {}
    }
    config
}

fn set(config: &mut NodeConfig, key: &str, value: Json, kind: Kind) -> Result<(), String> {
    let is_test = kind == Kind::Test;
    match key {
        "enabled" => config.enabled = boolean(&value)?,
        "materialized" => config.materialized = Materialization::from(text(value)?),
        "database" => config.database = optional(value, text)?,
        "schema" => config.schema = optional(value, text)?,
        "alias" => config.alias = optional(value, text)?,
        "tags" => config.tags = texts(value)?,
        "meta" => config.meta = dictionary(value)?,
        "group" => config.group = optional(value, text)?,
        "severity" if is_test => config.severity = severity(&value)?,
        "store_failures" if is_test => config.store_failures = optional(value, |value| boolean(&value))?,
        "store_failures_as" if is_test => config.store_failures_as = optional(value, text)?,
        "where" if is_test => config.where_ = optional(value, text)?,
        "limit" if is_test => config.limit = optional(value, |value| natural(&value))?,
        "fail_calc" if is_test => config.fail_calc = text(value)?,
        "warn_if" if is_test => config.warn_if = text(value)?,
        "error_if" if is_test => config.error_if = text(value)?,
        _ if is_test || kind == Kind::UnitTest => keep(config, key, value),
        "access" if kind == Kind::Model => config.access = optional(value, text)?,
        "quoting" => config.quoting = quoting(&value)?,
        "full_refresh" => config.full_refresh = optional(value, |value| boolean(&value))?,
        "pre-hook" => config.pre_hook = hooks(value)?,
        "post-hook" => config.post_hook = hooks(value)?,
        "grants" => config.grants = grants(value)?,
        "persist_docs" => config.persist_docs = dictionary(value)?,
        "packages" => config.packages = texts(value)?,
        "docs" => config.docs = docs(&value)?,
        "contract" => config.contract = contract(&value)?,
        "event_time" => config.event_time = optional(value, Ok)?,
        "incremental_strategy" => config.incremental_strategy = optional(value, text)?,
        "unique_key" => (config.unique_key, config.unique_key_is_list) = unique_key(value)?,
        "on_schema_change" => config.on_schema_change = on_schema_change(&value)?,
        "incremental_predicates" => config.incremental_predicates = texts(value)?,
        "merge_update_columns" => config.merge_update_columns = texts(value)?,
        "merge_exclude_columns" => config.merge_exclude_columns = texts(value)?,
        "column_types" => config.column_types = column_types(value)?,
        "quote_columns" if kind == Kind::Seed => config.quote_columns = optional(value, |value| boolean(&value))?,
        "delimiter" if kind == Kind::Seed => config.delimiter = text(value)?,
        _ => keep(config, key, value),
    }
    Ok(())
}

fn keep(config: &mut NodeConfig, key: &str, value: Json) {
    config.extra.insert(key.to_owned(), value);
}

/// Rules that span several keys.
fn check(config: &NodeConfig, kind: Kind, problems: &mut Vec<Problem>) {
    let mut problem = |key: &str, message: String| problems.push(Problem { key: key.to_owned(), message });
    let materialized = config.materialized.as_str();
    let required = match kind {
        Kind::Seed => Some(("A seed", "seed")),
        Kind::Test => Some(("A test", "test")),
        Kind::Snapshot => Some(("A snapshot", "snapshot")),
        _ => None,
    };
    if let Some((subject, required)) = required.filter(|(_, required)| *required != materialized) {
        problem("materialized", format!("{subject} must have a materialized value of '{required}'"));
    }
    let accepts_contract = matches!(config.on_schema_change, OnSchemaChange::AppendNewColumns | OnSchemaChange::Fail);
    if config.contract.enforced && config.materialized == Materialization::Incremental && !accepts_contract {
        problem(
            "on_schema_change",
            "Models materialized as incremental with contracts enabled must set on_schema_change to \
             'append_new_columns' or 'fail'"
                .to_owned(),
        );
    }
    if let Some(access) =
        config.access.as_deref().filter(|access| !matches!(*access, "private" | "protected" | "public"))
    {
        problem("access", format!("'{access}' is not one of private, protected, public"));
    }
}

/// `store_failures_as` decides where it is given; otherwise `store_failures` does.
fn settle_store_failures(config: &mut NodeConfig) {
    match config.store_failures_as.as_deref() {
        None => {
            config.store_failures_as =
                config.store_failures.map(|stores| if stores { "table" } else { "ephemeral" }.to_owned());
        }
        Some(kind) => config.store_failures = Some(kind != "ephemeral"),
    }
}

fn expected(what: &str, value: &Json) -> String {
    format!("expected {what}, got {}", repr_of(value))
}

fn boolean(value: &Json) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| expected("True or False", value))
}

fn natural(value: &Json) -> Result<u64, String> {
    value.as_u64().ok_or_else(|| expected("a whole number", value))
}

fn text(value: Json) -> Result<String, String> {
    match value {
        Json::String(text) => Ok(text),
        other => Err(expected("a string", &other)),
    }
}

fn optional<T>(value: Json, read: impl FnOnce(Json) -> Result<T, String>) -> Result<Option<T>, String> {
    if value.is_null() { Ok(None) } else { read(value).map(Some) }
}

fn dictionary(value: Json) -> Result<JsonMap, String> {
    match value {
        Json::Object(map) => Ok(map),
        other => Err(expected("a dictionary", &other)),
    }
}

/// A list of strings; a single string counts as a list of one, null as none.
fn texts(value: Json) -> Result<Vec<String>, String> {
    match value {
        Json::Null => Ok(Vec::new()),
        Json::String(text) => Ok(vec![text]),
        Json::Array(items) => items.into_iter().map(text).collect(),
        other => Err(expected("a string or a list of strings", &other)),
    }
}

fn unique_key(value: Json) -> Result<(Vec<String>, bool), String> {
    let is_list = value.is_array();
    Ok((texts(value)?, is_list))
}

fn severity(value: &Json) -> Result<TestSeverity, String> {
    match value.as_str().map(str::to_ascii_lowercase).as_deref() {
        Some("error") => Ok(TestSeverity::Error),
        Some("warn") => Ok(TestSeverity::Warn),
        _ => Err(format!("Severity must be either 'warn' or 'error'. Got {}", repr_of(value))),
    }
}

fn on_schema_change(value: &Json) -> Result<OnSchemaChange, String> {
    match value.as_str() {
        Some("ignore") => Ok(OnSchemaChange::Ignore),
        Some("fail") => Ok(OnSchemaChange::Fail),
        Some("append_new_columns") => Ok(OnSchemaChange::AppendNewColumns),
        Some("sync_all_columns") => Ok(OnSchemaChange::SyncAllColumns),
        None if value.is_null() => Ok(OnSchemaChange::Ignore),
        _ => Err(expected("one of ignore, fail, append_new_columns, sync_all_columns", value)),
    }
}

fn quoting(value: &Json) -> Result<QuotingOverride, String> {
    let map = value.as_object().ok_or_else(|| expected("a dictionary", value))?;
    let part = |key: &str| map.get(key).filter(|value| !value.is_null()).map(boolean).transpose();
    Ok(QuotingOverride {
        database: part("database")?,
        schema: part("schema")?,
        identifier: part("identifier")?,
        column: part("column")?,
    })
}

fn docs(value: &Json) -> Result<Docs, String> {
    let map = value.as_object().ok_or_else(|| expected("a dictionary", value))?;
    let show = map.get("show").map(boolean).transpose()?.unwrap_or(true);
    let node_color = map.get("node_color").cloned().map(|value| optional(value, text)).transpose()?.flatten();
    Ok(Docs { show, node_color })
}

fn contract(value: &Json) -> Result<Contract, String> {
    let map = value.as_object().ok_or_else(|| expected("a dictionary", value))?;
    let enforced = map.get("enforced").map(boolean).transpose()?.unwrap_or(false);
    let alias_types = map.get("alias_types").map(boolean).transpose()?.unwrap_or(true);
    Ok(Contract { enforced, alias_types, checksum: None })
}

fn grants(value: Json) -> Result<IndexMap<String, Vec<String>>, String> {
    dictionary(value)?.into_iter().map(|(privilege, grantees)| Ok((privilege, texts(grantees)?))).collect()
}

fn column_types(value: Json) -> Result<IndexMap<String, String>, String> {
    dictionary(value)?.into_iter().map(|(column, data_type)| Ok((column, text(data_type)?))).collect()
}

/// A hook is SQL, or a dictionary with `sql` and `transaction`, also when written as JSON in a string.
fn hooks(value: Json) -> Result<Vec<Hook>, String> {
    let items = match value {
        Json::Array(items) => items,
        single => vec![single],
    };
    items.into_iter().map(hook).collect()
}

fn hook(value: Json) -> Result<Hook, String> {
    let map = match value {
        Json::String(sql) => match serde_json::from_str::<Json>(&sql) {
            Ok(Json::Object(map)) => map,
            _ => return Ok(Hook { sql, transaction: true, index: None }),
        },
        Json::Object(map) => map,
        other => return Err(expected("SQL or a dictionary with the key 'sql'", &other)),
    };
    let Some(sql) = map.get("sql").and_then(Json::as_str) else {
        return Err(expected("a dictionary with the key 'sql'", &Json::Object(map)));
    };
    let transaction = map.get("transaction").map(boolean).transpose()?.unwrap_or(true);
    Ok(Hook { sql: sql.to_owned(), transaction, index: map.get("index").and_then(Json::as_i64) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn typed(kind: Kind, merged: Json) -> (NodeConfig, Vec<String>) {
        let mut problems = Vec::new();
        let config = node_config(merged.as_object().expect("an object").clone(), kind, &mut problems);
        (config, problems.into_iter().map(|problem| format!("{}: {}", problem.key, problem.message)).collect())
    }

    #[test]
    fn unknown_keys_stay_in_order() {
        let (config, problems) = typed(Kind::Model, json!({"zeta": 1, "materialized": "table", "alpha": [1]}));
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(config.materialized, Materialization::Table);
        assert_eq!(config.extra.keys().collect::<Vec<_>>(), ["zeta", "alpha"]);
    }

    #[test]
    fn every_bad_value_is_reported_at_once() {
        let (_, problems) = typed(
            Kind::Model,
            json!({"enabled": "yes", "alias": 3, "on_schema_change": "maybe", "access": "secret", "tags": [1]}),
        );
        assert_eq!(
            problems,
            [
                "enabled: expected True or False, got 'yes'",
                "alias: expected a string, got 3",
                "on_schema_change: expected one of ignore, fail, append_new_columns, sync_all_columns, got 'maybe'",
                "tags: expected a string, got 1",
                "access: 'secret' is not one of private, protected, public",
            ]
        );
    }

    #[test]
    fn hooks_take_every_form() {
        let (config, problems) = typed(
            Kind::Model,
            json!({"pre-hook": ["select 1", {"sql": "select 2", "transaction": false}],
                   "post-hook": "{\"sql\": \"select 3\", \"transaction\": false}"}),
        );
        assert_eq!(problems, Vec::<String>::new());
        let hook = |sql: &str, transaction| Hook { sql: sql.to_owned(), transaction, index: None };
        assert_eq!(config.pre_hook, [hook("select 1", true), hook("select 2", false)]);
        assert_eq!(config.post_hook, [hook("select 3", false)]);
    }

    #[test]
    fn store_failures_as_wins_over_store_failures() {
        let (config, _) = typed(Kind::Test, json!({"store_failures": true, "store_failures_as": "ephemeral"}));
        assert_eq!((config.store_failures, config.store_failures_as.as_deref()), (Some(false), Some("ephemeral")));
        let (config, _) = typed(Kind::Test, json!({"store_failures": true}));
        assert_eq!((config.store_failures, config.store_failures_as.as_deref()), (Some(true), Some("table")));
        assert_eq!(config.schema.as_deref(), Some("dbt_test__audit"));
    }
}
