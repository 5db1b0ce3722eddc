//! One entry of the manifest as JSON.

use common::manifest::{ColumnInfo, DocBlock, Exposure, Group, Macro, Node, Ref, ResourceType, Source};
use common::node_config::Docs;
use common::{Json, JsonMap};
use indexmap::IndexMap;
use serde_json::json;

use super::config;

/// A model, seed, snapshot, test, analysis or operation. `created_at` is in seconds since 1970.
pub fn node(node: &Node, created_at: f64) -> JsonMap {
    let mut out = identity(node);
    out.insert("config".to_owned(), Json::Object(config(node)));
    let rest = [
        ("tags", json!(node.tags)),
        ("description", json!(node.description)),
        ("columns", columns(&node.columns)),
        ("meta", Json::Object(node.config.meta.clone())),
        ("group", json!(node.config.group)),
        ("docs", docs(&node.config.docs)),
        ("patch_path", json!(node.patch_path)),
        ("build_path", Json::Null),
        ("unrendered_config", Json::Object(node.unrendered_config.clone())),
        ("created_at", json!(created_at)),
        ("relation_name", json!(node.relation_name)),
        ("raw_code", json!(node.raw_code)),
        ("doc_blocks", json!(node.doc_blocks)),
    ];
    extend(&mut out, rest);
    if node.resource_type == ResourceType::Seed {
        let macros = json!({ "macros": node.depends_on.macros });
        extend(&mut out, [("root_path", Json::Null), ("depends_on", macros)]);
        return out;
    }
    let compiled = [
        ("language", json!("sql")),
        ("refs", refs(&node.refs)),
        ("sources", json!(node.sources)),
        ("metrics", json!([])),
        ("functions", json!([])),
        ("depends_on", json!({ "macros": node.depends_on.macros, "nodes": node.depends_on.nodes })),
        ("compiled_path", Json::Null),
        (
            "contract",
            json!({
                "enforced": node.config.contract.enforced,
                "alias_types": node.config.contract.alias_types,
                "checksum": node.config.contract.checksum,
            }),
        ),
    ];
    extend(&mut out, compiled);
    if let Some(model) = &node.model {
        let model = [
            ("access", json!(model.access)),
            ("constraints", constraints(&model.constraints, true)),
            ("version", json!(model.version)),
            ("latest_version", json!(model.latest_version)),
            ("deprecation_date", json!(model.deprecation_date)),
            ("primary_key", json!(model.primary_key)),
            ("time_spine", json!(model.time_spine)),
        ];
        extend(&mut out, model);
    }
    if let Some(test) = test_fields(node) {
        extend(&mut out, test);
    }
    if let Some(index) = node.hook_index {
        out.insert("index".to_owned(), json!(index));
    }
    out
}

fn identity(node: &Node) -> JsonMap {
    let mut out = JsonMap::new();
    extend(&mut out, [("database", json!(node.database)), ("schema", json!(node.schema))]);
    extend(&mut out, names(node));
    let checksum = json!({ "name": node.checksum.name, "checksum": node.checksum.checksum });
    extend(&mut out, [("alias", json!(node.alias)), ("checksum", checksum)]);
    out
}

/// What a node is called and where it stands.
pub(super) fn names(node: &Node) -> [(&'static str, Json); 7] {
    [
        ("name", json!(node.name)),
        ("resource_type", json!(node.resource_type.as_str())),
        ("package_name", json!(node.package_name)),
        ("path", json!(node.path)),
        ("original_file_path", json!(node.original_file_path)),
        ("unique_id", json!(node.unique_id)),
        ("fqn", json!(node.fqn)),
    ]
}

/// Only generic tests have these; a singular test is told by their absence.
fn test_fields(node: &Node) -> Option<[(&'static str, Json); 4]> {
    let test = node.test.as_ref()?;
    let metadata = test.metadata.as_ref()?;
    Some([
        ("column_name", json!(test.column_name)),
        ("file_key_name", json!(test.file_key_name)),
        ("attached_node", json!(test.attached_node)),
        ("test_metadata", json!({ "name": metadata.name, "kwargs": metadata.kwargs, "namespace": metadata.namespace })),
    ])
}

pub fn source(source: &Source, created_at: f64) -> JsonMap {
    let mut out = JsonMap::new();
    let quoting = json!({
        "database": source.quoting.database,
        "schema": source.quoting.schema,
        "identifier": source.quoting.identifier,
        "column": source.quoting.column,
    });
    let keys = [
        ("database", json!(source.database)),
        ("schema", json!(source.schema)),
        ("name", json!(source.name)),
        ("resource_type", json!("source")),
        ("package_name", json!(source.package_name)),
        ("path", json!(source.path)),
        ("original_file_path", json!(source.original_file_path)),
        ("unique_id", json!(source.unique_id)),
        ("fqn", json!(source.fqn)),
        ("source_name", json!(source.source_name)),
        ("source_description", json!(source.source_description)),
        ("loader", json!(source.loader)),
        ("identifier", json!(source.identifier)),
        ("quoting", quoting),
        ("loaded_at_field", json!(source.loaded_at_field)),
        ("loaded_at_query", json!(source.loaded_at_query)),
        ("freshness", json!(source.freshness)),
        ("external", json!(source.external)),
        ("description", json!(source.description)),
        ("columns", columns(&source.columns)),
        ("meta", Json::Object(source.meta.clone())),
        ("source_meta", Json::Object(source.source_meta.clone())),
        ("tags", json!(source.tags)),
        ("config", Json::Object(source.config.clone())),
        ("patch_path", json!(source.patch_path)),
        ("unrendered_config", Json::Object(source.unrendered_config.clone())),
        ("relation_name", json!(source.relation_name)),
        ("created_at", json!(created_at)),
        ("unrendered_database", Json::Null),
        ("unrendered_schema", Json::Null),
        ("doc_blocks", json!(source.doc_blocks)),
    ];
    extend(&mut out, keys);
    out
}

pub fn exposure(exposure: &Exposure, created_at: f64) -> JsonMap {
    let mut out = JsonMap::new();
    let keys = [
        ("name", json!(exposure.name)),
        ("resource_type", json!("exposure")),
        ("package_name", json!(exposure.package_name)),
        ("path", json!(exposure.path)),
        ("original_file_path", json!(exposure.original_file_path)),
        ("unique_id", json!(exposure.unique_id)),
        ("fqn", json!(exposure.fqn)),
        ("type", json!(exposure.exposure_type)),
        ("owner", owner(&exposure.owner)),
        ("description", json!(exposure.description)),
        ("label", json!(exposure.label)),
        ("maturity", json!(exposure.maturity)),
        ("meta", Json::Object(exposure.meta.clone())),
        ("tags", json!(exposure.tags)),
        ("config", Json::Object(exposure.config.clone())),
        ("unrendered_config", json!({})),
        ("url", json!(exposure.url)),
        ("depends_on", json!({ "macros": exposure.depends_on.macros, "nodes": exposure.depends_on.nodes })),
        ("refs", refs(&exposure.refs)),
        ("sources", json!(exposure.sources)),
        ("metrics", json!([])),
        ("created_at", json!(created_at)),
    ];
    extend(&mut out, keys);
    out
}

pub(super) fn macro_(found: &Macro, created_at: f64) -> JsonMap {
    let mut out = JsonMap::new();
    let keys = [
        ("name", json!(found.name)),
        ("resource_type", json!("macro")),
        ("package_name", json!(found.package_name)),
        ("path", json!(found.path)),
        ("original_file_path", json!(found.original_file_path)),
        ("unique_id", json!(found.unique_id)),
        ("macro_sql", json!(found.macro_sql)),
        ("depends_on", json!({ "macros": found.depends_on.macros })),
        ("description", json!(found.description)),
        ("meta", Json::Object(found.meta.clone())),
        ("docs", docs(&found.docs)),
        ("config", json!({ "meta": found.meta, "docs": docs(&found.docs) })),
        ("patch_path", json!(found.patch_path)),
        ("arguments", json!(found.arguments)),
        ("created_at", json!(created_at)),
        ("supported_languages", json!(found.supported_languages)),
    ];
    extend(&mut out, keys);
    out
}

pub(super) fn doc_block(doc: &DocBlock) -> Json {
    json!({
        "name": doc.name,
        "resource_type": "doc",
        "package_name": doc.package_name,
        "path": doc.path,
        "original_file_path": doc.original_file_path,
        "unique_id": doc.unique_id,
        "block_contents": doc.contents,
    })
}

pub(super) fn group(group: &Group) -> Json {
    let mut config = JsonMap::new();
    extend(&mut config, [("meta", json!({})), ("tags", json!([]))]);
    config.extend(group.config.iter().map(|(key, value)| (key.clone(), value.clone())));
    json!({
        "name": group.name,
        "resource_type": "group",
        "package_name": group.package_name,
        "path": group.path,
        "original_file_path": group.original_file_path,
        "unique_id": group.unique_id,
        "owner": owner(&group.owner),
        "description": group.description,
        "config": config,
    })
}

fn columns(columns: &IndexMap<String, ColumnInfo>) -> Json {
    let entry = |column: &ColumnInfo| {
        json!({
            "name": column.name,
            "description": column.description,
            "meta": column.meta,
            "data_type": column.data_type,
            "constraints": constraints(&column.constraints, false),
            "quote": column.quote,
            "config": column.config,
            "tags": column.tags,
            "granularity": column.granularity,
            "doc_blocks": column.doc_blocks,
        })
    };
    Json::Object(columns.iter().map(|(name, column)| (name.clone(), entry(column))).collect())
}

/// With every key that dbt's constraints have; those of a model also name columns.
fn constraints(constraints: &[Json], of_model: bool) -> Json {
    let complete = |constraint: &Json| {
        let mut out = JsonMap::new();
        let keys = [
            ("type", Json::Null),
            ("name", Json::Null),
            ("expression", Json::Null),
            ("warn_unenforced", json!(true)),
            ("warn_unsupported", json!(true)),
            ("to", Json::Null),
            ("to_columns", json!([])),
        ];
        extend(&mut out, keys);
        if of_model {
            out.insert("columns".to_owned(), json!([]));
        }
        out.extend(constraint.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
        Json::Object(out)
    };
    constraints.iter().map(complete).collect::<Vec<_>>().into()
}

/// Versions are numbers where they look like one, as YAML reads them.
fn version(text: &str) -> Json {
    match (text.parse::<i64>(), text.parse::<f64>()) {
        (Ok(number), _) => json!(number),
        (Err(_), Ok(number)) => json!(number),
        _ => json!(text),
    }
}

/// The name and the address, whether given or not, then what else was written.
fn owner(owner: &JsonMap) -> Json {
    let mut out = JsonMap::new();
    extend(&mut out, [("email", Json::Null), ("name", Json::Null)]);
    out.extend(owner.iter().map(|(key, value)| (key.clone(), value.clone())));
    Json::Object(out)
}

fn refs(refs: &[Ref]) -> Json {
    let entry = |found: &Ref| {
        let version = found.version.as_deref().map(version);
        json!({ "name": found.name, "package": found.package, "version": version })
    };
    refs.iter().map(entry).collect::<Vec<_>>().into()
}

fn docs(docs: &Docs) -> Json {
    json!({ "show": docs.show, "node_color": docs.node_color })
}

pub(super) fn extend<const N: usize>(out: &mut JsonMap, keys: [(&str, Json); N]) {
    out.extend(keys.into_iter().map(|(key, value)| (key.to_owned(), value)));
}
