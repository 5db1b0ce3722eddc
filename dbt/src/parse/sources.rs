//! Tables of sources.

use common::diagnostic::{Code, Location};
use common::manifest::Source;
use common::node_config::QuotingOverride;
use common::relation::Relation;
use common::target::AdapterType;
use common::{Diagnostic, Json, JsonMap, NodeId};
use serde_json::json;

use super::config::Kind;
use super::data_tests::{Tested, TestedWhat};
use super::fqn;
use super::job::Job;
use super::package::Layers;
use super::patch;
use super::properties_files::PropertiesFile;
use super::python_text::str_of;
use crate::properties::{SourceProperties, TableProperties};
use crate::yaml::Node;

/// All tables, each with its place, and what of them has tests.
#[derive(Default)]
pub struct Declared<'p> {
    pub sources: Vec<(Source, Location)>,
    pub tested: Vec<Tested<'p>>,
}

pub fn read<'p>(job: &Job<'_>, files: &'p [PropertiesFile], diagnostics: &mut Vec<Diagnostic>) -> Declared<'p> {
    let mut declared = Declared::default();
    for file in files {
        for source in &file.properties.sources {
            if source.overrides.is_some() {
                let message = format!("source '{}': 'overrides' is not supported yet", source.name);
                diagnostics.push(Diagnostic::error(Code::Unsupported, message).at(file.source.at(source.span)));
                continue;
            }
            for table in &source.tables {
                let place = file.source.at(table.span);
                declared.sources.push((make(job, file, source, table, diagnostics), place));
                declared.tested.push(Tested {
                    file,
                    section: "sources",
                    what: TestedWhat::Source { source: &source.name, table: &table.name },
                    attached: None,
                    columns: table.columns.iter().collect(),
                    tests: &table.tests,
                    tags: source.tags.iter().chain(&table.tags).cloned().collect(),
                    quote_columns: table.quoting.column.or(source.quoting.column),
                });
            }
        }
    }
    declared
}

fn make(
    job: &Job<'_>,
    file: &PropertiesFile,
    source: &SourceProperties,
    table: &TableProperties,
    diagnostics: &mut Vec<Diagnostic>,
) -> Source {
    let package = &job.packages[file.package];
    let mut fqn = fqn::prefix(package.name(), &file.relative_path);
    fqn.extend([source.name.clone(), table.name.clone()]);
    let (rendered, unrendered) = layers_of(source, table);
    let layers =
        Layers { fqn: &fqn, kind: Kind::Source, patch: Some((&rendered, &unrendered)), calls: &JsonMap::new() };
    let mut problems = Vec::new();
    let merged = package.merged(job.root(), layers, &mut problems);
    for problem in problems {
        let message = format!(
            "source '{}.{}': invalid value for config '{}': {}",
            source.name, table.name, problem.key, problem.message
        );
        diagnostics.push(Diagnostic::error(Code::InvalidConfig, message).at(file.source.at(table.span)));
    }
    let enabled = match merged.get("enabled") {
        None => true,
        Some(Json::Bool(enabled)) => *enabled,
        Some(other) => {
            let message = format!(
                "source '{}.{}': invalid value for config 'enabled': expected True or False, got {}",
                source.name,
                table.name,
                super::python_text::repr_of(other)
            );
            diagnostics.push(Diagnostic::error(Code::InvalidConfig, message).at(file.source.at(table.span)));
            true
        }
    };
    let config = complete(merged, enabled);
    let object = |key: &str| config.get(key).and_then(Json::as_object).cloned().unwrap_or_default();
    let text = |key: &str| config.get(key).and_then(Json::as_str).map(str::to_owned);
    let tags = config.get("tags").and_then(Json::as_array).into_iter().flatten();
    let mut source_meta = source.meta.clone();
    if let Some(Json::Object(more)) = source.config.get("meta").map(Node::to_json) {
        source_meta.extend(more);
    }
    let mut made = Source {
        unique_id: NodeId::from(format!("source.{}.{}.{}", package.name(), source.name, table.name)),
        source_name: source.name.clone(),
        name: table.name.clone(),
        identifier: table.identifier.clone().unwrap_or_else(|| table.name.clone()),
        package_name: package.name().to_owned(),
        path: file.path.clone(),
        original_file_path: file.path.clone(),
        fqn,
        database: Some(source.database.clone().unwrap_or_else(|| job.target.database.clone()))
            .filter(|name| !name.is_empty()),
        schema: source.schema.clone().unwrap_or_else(|| source.name.clone()),
        relation_name: String::new(),
        quoting: over(table.quoting, source.quoting),
        loader: source.loader.clone(),
        description: table.description.clone(),
        source_description: source.description.clone(),
        meta: object("meta"),
        source_meta,
        tags: tags.filter_map(|tag| tag.as_str().map(str::to_owned)).collect(),
        columns: table.columns.iter().map(|column| (column.name.clone(), patch::column_info(column))).collect(),
        external: table.external.clone(),
        freshness: config.get("freshness").filter(|value| !value.is_null()).cloned(),
        loaded_at_field: text("loaded_at_field"),
        loaded_at_query: text("loaded_at_query"),
        enabled,
        unrendered_config: unrendered,
        config,
        patch_path: None,
        doc_blocks: Vec::new(),
    };
    made.relation_name = relation_name(job, &made);
    made
}

fn over(stronger: QuotingOverride, weaker: QuotingOverride) -> QuotingOverride {
    QuotingOverride {
        database: stronger.database.or(weaker.database),
        schema: stronger.schema.or(weaker.schema),
        identifier: stronger.identifier.or(weaker.identifier),
        column: stronger.column.or(weaker.column),
    }
}

/// The config that source and table give together, rendered and as written.
fn layers_of(source: &SourceProperties, table: &TableProperties) -> (JsonMap, JsonMap) {
    let mut rendered = source.config.to_json();
    rendered.extend(table.config.to_json());
    let mut unrendered = source.unrendered_config.to_json();
    unrendered.extend(table.unrendered_config.to_json());

    let mut meta = source.meta.clone();
    let mut tags = source.tags.clone();
    add_config(&mut meta, &mut tags, &source.config.to_json());
    meta.extend(table.meta.clone());
    tags.extend(table.tags.clone());
    add_config(&mut meta, &mut tags, &table.config.to_json());
    tags.sort();
    tags.dedup();

    let (loaded_at_field, loaded_at_query) = loaded_at(source, table);
    let mut computed = JsonMap::from_iter([
        ("meta".to_owned(), Json::Object(meta)),
        ("tags".to_owned(), Json::from(tags)),
        ("loaded_at_field".to_owned(), Json::from(loaded_at_field)),
        ("loaded_at_query".to_owned(), Json::from(loaded_at_query)),
    ]);
    match freshness(source, table) {
        Freshness::Unset => {
            rendered.shift_remove("freshness");
            unrendered.shift_remove("freshness");
        }
        Freshness::Off => {
            computed.insert("freshness".to_owned(), Json::Null);
        }
        Freshness::Set(value) => {
            computed.insert("freshness".to_owned(), value);
        }
    }
    for layer in [&mut rendered, &mut unrendered] {
        layer.extend(computed.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    (rendered, unrendered)
}

fn add_config(meta: &mut JsonMap, tags: &mut Vec<String>, config: &JsonMap) {
    if let Some(Json::Object(more)) = config.get("meta") {
        meta.extend(more.clone());
    }
    match config.get("tags") {
        Some(Json::String(tag)) => tags.push(tag.clone()),
        Some(Json::Array(more)) => tags.extend(more.iter().filter_map(|tag| tag.as_str().map(str::to_owned))),
        _ => {}
    }
}

/// The table's column or query wins over the source's; a `null` column of the table hides both of the source's.
fn loaded_at(source: &SourceProperties, table: &TableProperties) -> (Option<String>, Option<String>) {
    let config = |mapping: &crate::yaml::Mapping, key: &str| mapping.get(key).and_then(Node::as_str).map(str::to_owned);
    let own_field = table.loaded_at_field.as_ref().and_then(Node::as_str).map(str::to_owned);
    let table_field = own_field.or_else(|| config(&table.config, "loaded_at_field"));
    let hides = table.loaded_at_field.is_some();
    let field = match table_field {
        Some(field) => Some(field),
        None if hides => None,
        None => source.loaded_at_field.clone().or_else(|| config(&source.config, "loaded_at_field")),
    };
    let table_query = table.loaded_at_query.clone().or_else(|| config(&table.config, "loaded_at_query"));
    let query = match table_query {
        Some(query) => Some(query),
        None if hides => None,
        None => source.loaded_at_query.clone().or_else(|| config(&source.config, "loaded_at_query")),
    };
    (field, query)
}

enum Freshness {
    /// Nowhere given in this file.
    Unset,
    /// Switched off by `null`.
    Off,
    Set(Json),
}

/// Source, its config, table and its config, each over the one before, key by key.
fn freshness(source: &SourceProperties, table: &TableProperties) -> Freshness {
    let levels = [
        source.freshness.clone(),
        source.config.get("freshness").cloned(),
        table.freshness.clone(),
        table.config.get("freshness").cloned(),
    ];
    let mut merged: Option<JsonMap> = Some(JsonMap::new());
    for level in levels {
        let Some(level) = level else { continue };
        merged = match (merged, level.to_json()) {
            (Some(mut base), Json::Object(update)) => {
                for (key, value) in update {
                    match (base.get_mut(&key), value) {
                        (Some(Json::Object(base)), Json::Object(update)) => base.extend(update),
                        (_, value) => {
                            base.insert(key, value);
                        }
                    }
                }
                Some(base)
            }
            (None, Json::Object(update)) if !update.is_empty() => Some(update),
            _ => None,
        };
    }
    match merged {
        None => Freshness::Off,
        Some(map) if map.is_empty() => Freshness::Unset,
        Some(map) => Freshness::Set(complete_freshness(map)),
    }
}

fn complete_freshness(map: JsonMap) -> Json {
    let threshold = |key: &str| match map.get(key) {
        Some(Json::Null) => Json::Null,
        given => {
            let field = |field: &str| given.and_then(|given| given.get(field)).cloned().unwrap_or_default();
            json!({"count": field("count"), "period": field("period")})
        }
    };
    json!({
        "warn_after": threshold("warn_after"),
        "error_after": threshold("error_after"),
        "filter": map.get("filter").cloned().unwrap_or_default(),
    })
}

/// All keys that dbt's artifacts have, in their order, then the others.
fn complete(mut merged: JsonMap, enabled: bool) -> JsonMap {
    let mut config = JsonMap::new();
    config.insert("enabled".to_owned(), Json::Bool(enabled));
    merged.shift_remove("enabled");
    let defaults = [
        ("event_time", Json::Null),
        ("freshness", complete_freshness(JsonMap::new())),
        ("loaded_at_field", Json::Null),
        ("loaded_at_query", Json::Null),
        ("meta", json!({})),
        ("tags", json!([])),
        ("static_analysis", Json::Null),
    ];
    for (key, default) in defaults {
        config.insert(key.to_owned(), merged.shift_remove(key).unwrap_or(default));
    }
    config.extend(merged);
    config
}

/// `database.schema.identifier`, or on DuckDB the file that `external_location` names.
fn relation_name(job: &Job<'_>, source: &Source) -> String {
    if let Some(external) = external_location(job, source) {
        return external;
    }
    let relation = Relation {
        database: source.database.clone(),
        schema: Some(source.schema.clone()),
        identifier: Some(source.identifier.clone()),
        relation_type: None,
        quoting: source.quoting.over(job.quoting),
    };
    relation.render()
}

/// `external_location` of config or meta, with `{name}` and the like filled in. Source: dbt-duckdb's README.
fn external_location(job: &Job<'_>, source: &Source) -> Option<String> {
    if job.target.adapter_type != AdapterType::Duckdb {
        return None;
    }
    let get = |key: &str| source.config.get(key).or_else(|| source.meta.get(key));
    let template = get("external_location")?.as_str()?;
    let mut location = template.to_owned();
    let names = [
        ("name", Some(source.name.as_str())),
        ("identifier", Some(source.identifier.as_str())),
        ("schema", Some(source.schema.as_str())),
        ("database", source.database.as_deref()),
    ];
    for (key, value) in names {
        location = location.replace(&format!("{{{key}}}"), value.unwrap_or_default());
    }
    for (key, value) in source.meta.iter().chain(&source.config) {
        location = location.replace(&format!("{{{key}}}"), &str_of(value));
    }
    Some(if location.contains('(') || location.starts_with('\'') { location } else { format!("'{location}'") })
}
