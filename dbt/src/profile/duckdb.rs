//! An output of type `duckdb`. Source of the keys: dbt-duckdb's documentation of profiles.

use std::path::Path;

use common::diagnostic::Code;
use common::{Diagnostic, Json, JsonMap};

use super::output::Credentials;
use crate::yaml::{Fields, Node};

/// Keys of dbt-duckdb that Kontiki cannot honour.
const REFUSED: &[&str] = &[
    "secrets",
    "use_credential_provider",
    "filesystems",
    "remote",
    "plugins",
    "module_paths",
    "flights",
    "motherduck_token",
];
/// Keys that `target` may show. `settings` and `config_options` may hold credentials and stay out.
const SHOWN: &[&str] = &["path", "extensions", "external_root", "disable_transactions"];

pub fn read(mut fields: Fields<'_>) -> Option<Credentials> {
    let mut settings = JsonMap::new();
    let path_span = fields.key_span("path").unwrap_or(fields.span());
    let path = fields.text("path").unwrap_or_else(|| ":memory:".to_owned());
    let lower = path.to_ascii_lowercase();
    if ["md:", "motherduck:", "ducklake:"].iter().any(|scheme| lower.starts_with(scheme)) {
        let scheme = path.split(':').next().unwrap_or_default();
        let diagnostic =
            Diagnostic::error(Code::Unsupported, format!("DuckDB paths with '{scheme}:' are not supported"))
                .hint("name a file, or ':memory:'");
        fields.report(diagnostic, path_span);
    }
    let attached = attach(&mut fields);
    let aliases: Vec<String> = attached
        .iter()
        .filter_map(|database| database.get("alias").and_then(Json::as_str).map(str::to_owned))
        .collect();
    let derived = database_of_path(&path);
    let database_span = fields.key_span("database").unwrap_or(path_span);
    let database = fields.text("database");
    if derived.is_empty() {
        fields.error(path_span, "no name of a database can be derived from 'path'".to_owned());
    }
    if let Some(given) = &database
        && *given != derived
        && !aliases.contains(given)
    {
        let message =
            format!("'database' is '{given}' but must be '{derived}' to match 'path', or the alias of an attached one");
        fields.error(database_span, message);
    }
    let database = database.unwrap_or(derived);
    let schema = fields.text("schema").unwrap_or_else(|| "main".to_owned());
    settings.insert("path".to_owned(), path.into());
    settings.insert("database".to_owned(), database.as_str().into());
    settings.insert("schema".to_owned(), schema.as_str().into());
    settings.insert("settings".to_owned(), fields.json_map("settings").into());
    settings.insert("config_options".to_owned(), fields.json_map("config_options").into());
    settings.insert("extensions".to_owned(), extensions(&mut fields).into());
    settings.insert("attach".to_owned(), attached.into_iter().map(Json::Object).collect::<Vec<_>>().into());
    settings.insert("external_root".to_owned(), fields.text("external_root").unwrap_or_else(|| ".".to_owned()).into());
    for (key, default) in [("disable_transactions", false), ("keep_open", true)] {
        settings.insert(key.to_owned(), fields.bool(key).unwrap_or(default).into());
    }
    settings.insert("retries".to_owned(), retries(&mut fields).into());
    if fields.bool("is_ducklake") == Some(true) {
        refuse(&mut fields, "is_ducklake", path_span);
    }
    for key in REFUSED {
        if let Some(entry) = fields.take(key).filter(|entry| !entry.value.is_null()) {
            refuse(&mut fields, key, entry.key_span);
        }
    }
    fields.finish();
    let extra = settings
        .iter()
        .filter(|(key, _)| SHOWN.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()));
    let extra = extra.collect();
    Some(Credentials { database, schema, settings, extra })
}

fn refuse(fields: &mut Fields<'_>, key: &str, span: crate::yaml::Span) {
    let message = format!("'{key}' of a DuckDB profile is not supported");
    fields.report(Diagnostic::error(Code::Unsupported, message), span);
}

/// The name DuckDB gives a database that it opens from a file: the file's name up to its first dot, leading dots aside.
pub fn database_of_path(path: &str) -> String {
    if path == ":memory:" {
        return "memory".to_owned();
    }
    let without_query = path.split(['?', '#']).next().unwrap_or_default();
    let file = Path::new(without_query).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    file.trim_start_matches('.').split('.').next().unwrap_or_default().to_owned()
}

/// `attach:` a list of databases, each with a `path`.
fn attach(fields: &mut Fields<'_>) -> Vec<JsonMap> {
    fields.each(
        "attach",
        |_| "'attach'".to_owned(),
        |mut fields| {
            let span = fields.span();
            let mut attached = JsonMap::new();
            match fields.text("path") {
                Some(path) => attached.insert("path".to_owned(), path.into()),
                None => {
                    fields.error(span, "an attached database needs a 'path'".to_owned());
                    None
                }
            };
            for key in ["type", "alias"] {
                if let Some(text) = fields.text(key) {
                    attached.insert(key.to_owned(), text.into());
                }
            }
            attached.insert("read_only".to_owned(), fields.bool("read_only").unwrap_or(false).into());
            attached.insert("options".to_owned(), fields.json_map("options").into());
            if let Some(entry) = fields.take("secret").filter(|entry| !entry.value.is_null()) {
                refuse(&mut fields, "secret", entry.key_span);
            }
            if fields.bool("is_ducklake") == Some(true) {
                refuse(&mut fields, "is_ducklake", span);
            }
            fields.finish();
            Some(attached)
        },
    )
}

/// `extensions:` names, or mappings with `name` and `repo`.
fn extensions(fields: &mut Fields<'_>) -> Vec<Json> {
    let mut extensions = Vec::new();
    for item in fields.list("extensions") {
        let named = item.as_str().is_some() || item.get("name").and_then(Node::as_str).is_some();
        if named {
            extensions.push(item.to_json());
        } else {
            fields.error(item.span, "an extension is a name, or a mapping with 'name' and 'repo'".to_owned());
        }
    }
    extensions
}

fn retries(fields: &mut Fields<'_>) -> JsonMap {
    let span = fields.key_span("retries").unwrap_or(fields.span());
    let mapping = fields.mapping("retries");
    let mut inner = fields.inner(mapping, span, "'retries'".to_owned());
    let mut retries = JsonMap::new();
    for key in ["connect_attempts", "query_attempts"] {
        if let Some(node) = inner.node(key) {
            match node.as_i64().filter(|&attempts| attempts >= 1) {
                Some(attempts) => {
                    retries.insert(key.to_owned(), attempts.into());
                }
                None => inner.error(node.span, format!("'{key}' must be a number of at least 1")),
            }
        }
    }
    let exceptions = inner.texts("retryable_exceptions");
    if !exceptions.is_empty() {
        retries.insert("retryable_exceptions".to_owned(), exceptions.into());
    }
    inner.finish();
    retries
}
