//! Sources that are files: `external_location` on DuckDB.

use common::manifest::Source;
use common::target::AdapterType;
use common::{Json, JsonMap};

/// The SQL that stands for a source which its `meta` or `config` places in a file; `None` for a table.
pub fn location(source: &Source, adapter: AdapterType) -> Result<Option<String>, String> {
    if adapter != AdapterType::Duckdb {
        return Ok(None);
    }
    let mut fields = JsonMap::new();
    for settings in [&source.source_meta, &source.config, &source.meta] {
        fields.extend(settings.clone());
    }
    if let Some(meta) = source.config.get("meta").and_then(Json::as_object) {
        fields.extend(meta.clone());
    }
    if fields.contains_key("plugin") {
        return Err(format!("source '{}.{}' uses a plugin, which is not supported", source.source_name, source.name));
    }
    let Some(Json::String(template)) = fields.get("external_location").cloned() else { return Ok(None) };
    let own = [
        ("name", source.name.clone()),
        ("identifier", source.identifier.clone()),
        ("schema", source.schema.clone()),
        ("database", source.database.clone().unwrap_or_default()),
    ];
    for (name, value) in own {
        fields.insert(name.to_owned(), Json::String(value));
    }
    let formatter = fields.get("formatter").and_then(Json::as_str).unwrap_or("newstyle").to_owned();
    let (open, close) = match formatter.as_str() {
        "newstyle" => ("{", "}"),
        "oldstyle" => ("%(", ")s"),
        "template" => ("${", "}"),
        other => {
            return Err(format!(
                "Formatter {other} not recognized. Must be one of 'newstyle', 'oldstyle', or 'template'."
            ));
        }
    };
    let mut text = template;
    for (name, value) in &fields {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text = text.replace(&format!("{open}{name}{close}"), &value);
    }
    let ready = text.contains('(') || text.starts_with('\'');
    Ok(Some(if ready { text } else { format!("'{text}'") }))
}
