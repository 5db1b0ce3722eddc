//! A node's configuration as artifacts and `dbt ls` show it: each resource type has keys of its own.

use common::manifest::{Node, ResourceType};
use common::microbatch::Microbatch;
use common::node_config::{Hook, NodeConfig, OnSchemaChange, QuotingOverride, TestSeverity};
use common::{Json, JsonMap};
use serde_json::json;

/// dbt's name of the schema for stored test failures.
const AUDIT_SCHEMA: &str = "dbt_test__audit";

/// The `config` object of a node.
pub fn config(node: &Node) -> JsonMap {
    let config = &node.config;
    let mut out = common_keys(config);
    match node.resource_type {
        ResourceType::Test => test_keys(&mut out, node),
        ResourceType::Snapshot => {
            build_keys(&mut out, config);
            snapshot_keys(&mut out);
        }
        ResourceType::Seed => {
            build_keys(&mut out, config);
            out.insert("delimiter".to_owned(), json!(config.delimiter));
            out.insert("quote_columns".to_owned(), json!(config.quote_columns));
        }
        ResourceType::Model => {
            build_keys(&mut out, config);
            let access = node.model.as_ref().map_or("protected", |model| model.access.as_str());
            out.insert("access".to_owned(), json!(access));
            out.insert("freshness".to_owned(), Json::Null);
        }
        _ => build_keys(&mut out, config),
    }
    if !config.incremental_predicates.is_empty() {
        out.insert("incremental_predicates".to_owned(), json!(config.incremental_predicates));
    }
    if !config.merge_update_columns.is_empty() {
        out.insert("merge_update_columns".to_owned(), json!(config.merge_update_columns));
    }
    if !config.merge_exclude_columns.is_empty() {
        out.insert("merge_exclude_columns".to_owned(), json!(config.merge_exclude_columns));
    }
    let begin = Microbatch::of(config).and_then(Result::ok).map(|microbatch| microbatch.begin);
    for (key, value) in &config.extra {
        match (key.as_str(), out.get_mut(key), value) {
            ("snapshot_meta_column_names", Some(Json::Object(names)), Json::Object(given)) => {
                names.extend(given.iter().map(|(name, column)| (name.clone(), column.clone())));
            }
            _ => {
                out.insert(key.clone(), value.clone());
            }
        }
    }
    if let Some(begin) = begin {
        // dbt reads it as a time on the clock.
        out.insert("begin".to_owned(), json!(begin.to_naive_iso()));
    }
    out
}

fn common_keys(config: &NodeConfig) -> JsonMap {
    let mut out = JsonMap::new();
    out.insert("enabled".to_owned(), json!(config.enabled));
    out.insert("alias".to_owned(), json!(config.alias));
    out.insert("schema".to_owned(), json!(config.schema));
    out.insert("database".to_owned(), json!(config.database));
    out.insert("tags".to_owned(), json!(config.tags));
    out.insert("meta".to_owned(), Json::Object(config.meta.clone()));
    out.insert("group".to_owned(), json!(config.group));
    out.insert("static_analysis".to_owned(), Json::Null);
    out.insert("materialized".to_owned(), json!(config.materialized.as_str()));
    out
}

fn build_keys(out: &mut JsonMap, config: &NodeConfig) {
    let keys = [
        ("incremental_strategy", json!(config.incremental_strategy)),
        ("batch_size", Json::Null),
        ("lookback", json!(1)),
        ("begin", Json::Null),
        ("persist_docs", Json::Object(config.persist_docs.clone())),
        ("post-hook", hooks(&config.post_hook)),
        ("pre-hook", hooks(&config.pre_hook)),
        ("quoting", quoting(config.quoting)),
        ("column_types", json!(config.column_types)),
        ("full_refresh", json!(config.full_refresh)),
        ("unique_key", unique_key(config)),
        ("on_schema_change", json!(on_schema_change(config.on_schema_change))),
        ("on_configuration_change", json!("apply")),
        ("grants", json!(config.grants)),
        ("packages", json!(config.packages)),
        ("docs", json!({ "show": config.docs.show, "node_color": config.docs.node_color })),
        ("contract", json!({ "enforced": config.contract.enforced, "alias_types": config.contract.alias_types })),
        ("event_time", json!(config.event_time)),
        ("concurrent_batches", Json::Null),
    ];
    out.extend(keys.into_iter().map(|(key, value)| (key.to_owned(), value)));
}

/// Keys that snapshots have whether they are set or not; those that are set follow from the config's other keys.
fn snapshot_keys(out: &mut JsonMap) {
    let names = ["dbt_valid_to", "dbt_valid_from", "dbt_scd_id", "dbt_updated_at", "dbt_is_deleted"];
    let names = names.into_iter().map(|name| (name.to_owned(), Json::Null)).collect();
    for key in ["strategy", "target_schema", "target_database", "updated_at", "check_cols"] {
        out.insert(key.to_owned(), Json::Null);
    }
    out.insert("snapshot_meta_column_names".to_owned(), Json::Object(names));
    out.insert("dbt_valid_to_current".to_owned(), Json::Null);
}

fn test_keys(out: &mut JsonMap, node: &Node) {
    let config = &node.config;
    if config.schema.is_none() {
        out.insert("schema".to_owned(), json!(AUDIT_SCHEMA));
    }
    // dbt keeps the case in which it was written.
    let written = node.unrendered_config.get("severity").and_then(Json::as_str);
    let severity = match config.severity {
        TestSeverity::Error => "ERROR",
        TestSeverity::Warn => "WARN",
    };
    let severity = written.filter(|written| written.eq_ignore_ascii_case(severity)).unwrap_or(severity);
    let keys = [
        ("severity", json!(severity)),
        ("store_failures", json!(config.store_failures)),
        ("store_failures_as", json!(config.store_failures_as)),
        ("where", json!(config.where_)),
        ("limit", json!(config.limit)),
        ("fail_calc", json!(config.fail_calc)),
        ("warn_if", json!(config.warn_if)),
        ("error_if", json!(config.error_if)),
    ];
    out.extend(keys.into_iter().map(|(key, value)| (key.to_owned(), value)));
}

fn hooks(hooks: &[Hook]) -> Json {
    hooks
        .iter()
        .map(|hook| json!({ "sql": hook.sql, "transaction": hook.transaction, "index": hook.index }))
        .collect::<Vec<_>>()
        .into()
}

fn quoting(quoting: QuotingOverride) -> Json {
    let mut out = JsonMap::new();
    let parts = [
        ("database", quoting.database),
        ("schema", quoting.schema),
        ("identifier", quoting.identifier),
        ("column", quoting.column),
    ];
    for (part, value) in parts {
        if let Some(value) = value {
            out.insert(part.to_owned(), json!(value));
        }
    }
    Json::Object(out)
}

fn unique_key(config: &NodeConfig) -> Json {
    match config.unique_key.as_slice() {
        [] => Json::Null,
        [only] if !config.unique_key_is_list => json!(only),
        many => json!(many),
    }
}

fn on_schema_change(value: OnSchemaChange) -> &'static str {
    match value {
        OnSchemaChange::Ignore => "ignore",
        OnSchemaChange::Fail => "fail",
        OnSchemaChange::AppendNewColumns => "append_new_columns",
        OnSchemaChange::SyncAllColumns => "sync_all_columns",
    }
}
