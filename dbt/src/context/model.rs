//! Nodes as dicts: `model`, `graph.nodes[…]` and the `config` of a node, with the keys dbt's manifest has.

use common::manifest::{ColumnInfo, DependsOn, Exposure, Node, Ref, ResourceType, Source};
use common::node_config::{Hook, NodeConfig, OnSchemaChange, TestSeverity};
use common::{Json, JsonMap, NodeId};
use indexmap::IndexMap;
use serde_json::json;

/// A node as `model` shows it.
pub fn node(node: &Node, compiled_code: Option<&str>) -> JsonMap {
    let mut fields = object(json!({
        "database": node.database,
        "schema": node.schema,
        "name": node.name,
        "resource_type": node.resource_type.as_str(),
        "package_name": node.package_name,
        "path": node.path,
        "original_file_path": node.original_file_path,
        "unique_id": node.unique_id.as_str(),
        "fqn": node.fqn,
        "alias": node.alias,
        "checksum": { "name": node.checksum.name, "checksum": node.checksum.checksum },
        "config": config(&node.config, node.resource_type),
        "tags": node.tags,
        "description": node.description,
        "columns": columns(&node.columns),
        "meta": node.config.meta,
        "group": node.config.group,
        "docs": { "show": node.config.docs.show, "node_color": node.config.docs.node_color },
        "patch_path": node.patch_path,
        "build_path": null,
        "unrendered_config": node.unrendered_config,
        "relation_name": node.relation_name,
        "raw_code": node.raw_code,
    }));
    if node.resource_type == ResourceType::Seed {
        fields.insert("depends_on".to_owned(), json!({ "macros": ids(&node.depends_on.macros) }));
    } else {
        fields.extend(object(json!({
            "language": "sql",
            "refs": refs(&node.refs),
            "sources": node.sources,
            "metrics": [],
            "functions": [],
            "depends_on": depends_on(&node.depends_on),
            "compiled_path": null,
            "compiled": compiled_code.is_some(),
            "compiled_code": compiled_code,
            "extra_ctes_injected": compiled_code.is_some(),
            "extra_ctes": [],
            "contract": {
                "enforced": node.config.contract.enforced,
                "alias_types": node.config.contract.alias_types,
                "checksum": node.config.contract.checksum,
            },
        })));
    }
    if let Some(model) = &node.model {
        fields.extend(object(json!({
            "access": model.access,
            "constraints": model.constraints,
            "version": model.version,
            "latest_version": model.latest_version,
            "deprecation_date": model.deprecation_date,
            "primary_key": model.primary_key,
            "time_spine": model.time_spine,
        })));
    }
    if let Some(test) = &node.test {
        fields.insert("column_name".to_owned(), json!(test.column_name));
        fields.insert("file_key_name".to_owned(), json!(test.file_key_name));
        fields.insert("attached_node".to_owned(), json!(test.attached_node.as_ref().map(NodeId::as_str)));
        if let Some(metadata) = &test.metadata {
            let shown = json!({ "name": metadata.name, "kwargs": metadata.kwargs, "namespace": metadata.namespace });
            fields.insert("test_metadata".to_owned(), shown);
        }
    }
    if let Some(index) = node.hook_index {
        fields.insert("index".to_owned(), json!(index));
    }
    fields
}

/// A source as `graph.sources[…]` shows it.
pub fn source(source: &Source) -> JsonMap {
    object(json!({
        "database": source.database,
        "schema": source.schema,
        "name": source.name,
        "resource_type": "source",
        "package_name": source.package_name,
        "path": source.path,
        "original_file_path": source.original_file_path,
        "unique_id": source.unique_id.as_str(),
        "fqn": source.fqn,
        "source_name": source.source_name,
        "source_description": source.source_description,
        "loader": source.loader,
        "identifier": source.identifier,
        "quoting": source.quoting,
        "loaded_at_field": source.loaded_at_field,
        "loaded_at_query": source.loaded_at_query,
        "freshness": source.freshness,
        "external": source.external,
        "description": source.description,
        "columns": columns(&source.columns),
        "meta": source.meta,
        "source_meta": source.source_meta,
        "tags": source.tags,
        "config": source.config,
        "patch_path": source.patch_path,
        "unrendered_config": source.unrendered_config,
        "relation_name": source.relation_name,
    }))
}

/// An exposure as `graph.exposures[…]` shows it.
pub fn exposure(exposure: &Exposure) -> JsonMap {
    object(json!({
        "name": exposure.name,
        "resource_type": "exposure",
        "package_name": exposure.package_name,
        "path": exposure.path,
        "original_file_path": exposure.original_file_path,
        "unique_id": exposure.unique_id.as_str(),
        "fqn": exposure.fqn,
        "type": exposure.exposure_type,
        "owner": exposure.owner,
        "description": exposure.description,
        "label": exposure.label,
        "maturity": exposure.maturity,
        "meta": exposure.meta,
        "tags": exposure.tags,
        "config": exposure.config,
        "url": exposure.url,
        "depends_on": depends_on(&exposure.depends_on),
        "refs": refs(&exposure.refs),
        "sources": exposure.sources,
        "metrics": [],
    }))
}

/// A node's configuration as `model.config` shows it; `config.get()` looks it up here.
pub fn config(config: &NodeConfig, resource_type: ResourceType) -> JsonMap {
    let mut fields = object(json!({
        "enabled": config.enabled,
        "alias": config.alias,
        "schema": config.schema,
        "database": config.database,
        "tags": config.tags,
        "meta": config.meta,
        "group": config.group,
        "materialized": config.materialized.as_str(),
    }));
    if resource_type == ResourceType::Test {
        fields.extend(object(json!({
            "severity": match config.severity { TestSeverity::Error => "ERROR", TestSeverity::Warn => "WARN" },
            "store_failures": config.store_failures,
            "store_failures_as": config.store_failures_as,
            "where": config.where_,
            "limit": config.limit,
            "fail_calc": config.fail_calc,
            "warn_if": config.warn_if,
            "error_if": config.error_if,
        })));
    } else {
        fields.extend(object(json!({
            "incremental_strategy": config.incremental_strategy,
            "batch_size": null,
            "lookback": 1,
            "begin": null,
            "persist_docs": config.persist_docs,
            "post-hook": hooks(&config.post_hook),
            "pre-hook": hooks(&config.pre_hook),
            "quoting": quoting(config),
            "column_types": config.column_types,
            "full_refresh": config.full_refresh,
            "unique_key": unique_key(config),
            "on_schema_change": on_schema_change(config.on_schema_change),
            "on_configuration_change": "apply",
            "grants": config.grants,
            "packages": config.packages,
            "docs": { "show": config.docs.show, "node_color": config.docs.node_color },
            "contract": { "enforced": config.contract.enforced, "alias_types": config.contract.alias_types },
            "event_time": config.event_time,
            "concurrent_batches": null,
        })));
    }
    if resource_type == ResourceType::Seed {
        fields.insert("delimiter".to_owned(), json!(config.delimiter));
        fields.insert("quote_columns".to_owned(), json!(config.quote_columns));
    }
    if resource_type == ResourceType::Model {
        fields.insert("access".to_owned(), json!(config.access));
        fields.insert("freshness".to_owned(), Json::Null);
    }
    let lists = [
        ("incremental_predicates", &config.incremental_predicates),
        ("merge_update_columns", &config.merge_update_columns),
        ("merge_exclude_columns", &config.merge_exclude_columns),
    ];
    for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        fields.insert(name.to_owned(), json!(list));
    }
    for (name, value) in &config.extra {
        fields.insert(name.clone(), value.clone());
    }
    fields
}

/// `pre_hooks` and `post_hooks`.
pub fn hooks(hooks: &[Hook]) -> Json {
    hooks.iter().map(|hook| json!({ "sql": hook.sql, "transaction": hook.transaction, "index": hook.index })).collect()
}

fn object(json: Json) -> JsonMap {
    match json {
        Json::Object(fields) => fields,
        _ => JsonMap::new(),
    }
}

fn quoting(config: &NodeConfig) -> JsonMap {
    let parts = [
        ("database", config.quoting.database),
        ("schema", config.quoting.schema),
        ("identifier", config.quoting.identifier),
        ("column", config.quoting.column),
    ];
    parts.into_iter().filter_map(|(name, flag)| Some((name.to_owned(), Json::Bool(flag?)))).collect()
}

fn unique_key(config: &NodeConfig) -> Json {
    match config.unique_key.as_slice() {
        [] if !config.unique_key_is_list => Json::Null,
        [one] if !config.unique_key_is_list => json!(one),
        many => json!(many),
    }
}

fn on_schema_change(choice: OnSchemaChange) -> &'static str {
    match choice {
        OnSchemaChange::Ignore => "ignore",
        OnSchemaChange::Fail => "fail",
        OnSchemaChange::AppendNewColumns => "append_new_columns",
        OnSchemaChange::SyncAllColumns => "sync_all_columns",
    }
}

fn columns(columns: &IndexMap<String, ColumnInfo>) -> JsonMap {
    let shown = columns.iter().map(|(key, column)| {
        let mut fields = object(json!({
            "name": column.name,
            "description": column.description,
            "meta": column.meta,
            "data_type": column.data_type,
            "constraints": column.constraints,
            "quote": column.quote,
            "config": column.config,
            "tags": column.tags,
            "granularity": column.granularity,
            "doc_blocks": ids(&column.doc_blocks),
        }));
        // A missing type must be undefined, not none: dbt's contract check asks for it so.
        if column.data_type.is_none() {
            fields.shift_remove("data_type");
        }
        (key.clone(), Json::Object(fields))
    });
    shown.collect()
}

fn ids(ids: &[NodeId]) -> Vec<&str> {
    ids.iter().map(NodeId::as_str).collect()
}

fn depends_on(depends_on: &DependsOn) -> Json {
    json!({ "macros": ids(&depends_on.macros), "nodes": ids(&depends_on.nodes) })
}

fn refs(refs: &[Ref]) -> Json {
    refs.iter().map(|item| json!({ "name": item.name, "package": item.package, "version": item.version })).collect()
}
