//! What of a dbt-duckdb profile's output Kontiki uses. Unknown keys are refused by name, never ignored.

use std::path::PathBuf;

use common::Json;
use common::diagnostic::Code;
use common::relation::{quote_identifier, quote_literal};
use common::target;
use common::task::FailureKind;

use super::setup::Setup;
use crate::warehouse::Error;

/// A checked output of type `duckdb`. Its options may be credentials, so it is never shown.
#[derive(Clone, PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub(super) struct Profile {
    /// `None` for `:memory:`.
    pub path: Option<PathBuf>,
    pub library: Option<PathBuf>,
    /// Given to the database when it opens.
    pub config_options: Vec<(String, String)>,
    /// Run once when the database opens: extensions and attached databases.
    pub prepare: Vec<Setup>,
    /// Run on each new connection.
    pub settings: Vec<Setup>,
}

/// Keys that need no action here: dbt's own, and those that other parts of Kontiki read.
const ELSEWHERE: [&str; 8] =
    ["type", "schema", "database", "threads", "external_root", "keep_open", "disable_transactions", "retries"];

fn invalid(message: String) -> Error {
    Error::new(FailureKind::User, Code::ProfileInvalid, message)
}

fn unsupported(what: &str) -> Error {
    Error::new(FailureKind::User, Code::Unsupported, format!("the DuckDB profile's {what} is not supported yet"))
}

impl Profile {
    pub(super) fn read(connection: &target::Connection) -> Result<Self, Error> {
        let mut profile = Self { path: None, library: None, config_options: vec![], prepare: vec![], settings: vec![] };
        for (key, value) in &connection.settings {
            match key.as_str() {
                _ if value.is_null() => {}
                "path" => profile.path = path(value)?,
                "library" => profile.library = Some(PathBuf::from(text(key, value)?)),
                "config_options" => {
                    for (name, value) in pairs(key, value)? {
                        profile.config_options.push((option_name(name)?, plain(name, value)?));
                    }
                }
                "settings" => {
                    for (name, value) in pairs(key, value)? {
                        profile.settings.push(set(name, value)?);
                    }
                }
                // What the profile calls by these names elsewhere are DuckDB's settings; as keys of their own they are a convenience.
                "memory_limit" => profile.settings.push(set(key, value)?),
                "extensions" => {
                    for extension in items(key, value)? {
                        let Json::String(name) = extension else {
                            return Err(unsupported("'extensions' entry with a repository"));
                        };
                        profile.prepare.push(Setup::new(format!("LOAD {}", option_name(name)?), vec![]));
                    }
                }
                "attach" => {
                    for attachment in items(key, value)? {
                        profile.prepare.push(attach(attachment)?);
                    }
                }
                key if ELSEWHERE.contains(&key) => {}
                key => return Err(unsupported(&format!("key '{key}'"))),
            }
        }
        Ok(profile)
    }
}

fn path(value: &Json) -> Result<Option<PathBuf>, Error> {
    let path = text("path", value)?;
    if path == ":memory:" || path.is_empty() {
        return Ok(None);
    }
    for scheme in ["md:", "motherduck:"] {
        if path.starts_with(scheme) {
            return Err(unsupported("path to MotherDuck"));
        }
    }
    if path.contains("://") || path.starts_with("ducklake:") || path.starts_with("quack:") {
        return Err(unsupported(&format!("path '{path}' (a file or ':memory:' is)")));
    }
    Ok(Some(PathBuf::from(path)))
}

/// `SET name = value`
fn set(name: &str, value: &Json) -> Result<Setup, Error> {
    let sql = format!("SET {} = {}", option_name(name)?, literal(name, value)?);
    Ok(Setup::new(sql, secret(value).collect()))
}

/// Numbers and booleans are no credentials, and a `1` in an error is not always the setting's.
fn secret(value: &Json) -> impl Iterator<Item = String> {
    value.as_str().map(str::to_owned).into_iter()
}

/// `ATTACH IF NOT EXISTS 'path' AS "alias" (TYPE …, READ_ONLY)`
fn attach(attachment: &Json) -> Result<Setup, Error> {
    let mut path = None;
    let mut alias = None;
    let mut options = Vec::new();
    let mut secrets = Vec::new();
    for (key, value) in pairs("attach", attachment)? {
        match key.as_str() {
            _ if value.is_null() => {}
            "path" => path = Some(text(key, value)?),
            "alias" => alias = Some(text(key, value)?),
            "type" => options.push(format!("TYPE {}", option_name(text(key, value)?)?)),
            "read_only" => {
                if flag(key, value)? {
                    options.push("READ_ONLY".to_owned());
                }
            }
            "options" => {
                for (name, value) in pairs(key, value)? {
                    options.push(format!("{} {}", option_name(name)?.to_uppercase(), literal(name, value)?));
                    secrets.extend(secret(value));
                }
            }
            other => return Err(unsupported(&format!("'attach' key '{other}'"))),
        }
    }
    let path = path.ok_or_else(|| invalid("an entry of the DuckDB profile's 'attach' has no 'path'".to_owned()))?;
    // The `path` of another database system is `host=… password=…` or a URL with both.
    if path.contains('=') || path.contains("://") {
        secrets.push(path.to_owned());
        secrets.extend(path.split([' ', '&', '?']).filter_map(|part| Some(part.split_once('=')?.1.to_owned())));
    }
    let mut sql = format!("ATTACH IF NOT EXISTS {}", quote_literal(path));
    if let Some(alias) = alias {
        sql.push_str(&format!(" AS {}", quote_identifier(alias)));
    }
    if !options.is_empty() {
        sql.push_str(&format!(" ({})", options.join(", ")));
    }
    Ok(Setup::new(sql, secrets))
}

fn text<'a>(key: &str, value: &'a Json) -> Result<&'a str, Error> {
    value.as_str().ok_or_else(|| invalid(format!("the DuckDB profile's '{key}' must be text")))
}

fn flag(key: &str, value: &Json) -> Result<bool, Error> {
    value.as_bool().ok_or_else(|| invalid(format!("the DuckDB profile's '{key}' must be true or false")))
}

fn pairs<'a>(key: &str, value: &'a Json) -> Result<impl Iterator<Item = (&'a String, &'a Json)>, Error> {
    let map = value.as_object().ok_or_else(|| invalid(format!("the DuckDB profile's '{key}' must be a mapping")))?;
    Ok(map.iter())
}

fn items<'a>(key: &str, value: &'a Json) -> Result<&'a [Json], Error> {
    let list = value.as_array().ok_or_else(|| invalid(format!("the DuckDB profile's '{key}' must be a list")))?;
    Ok(list)
}

/// Names of settings and extensions go into statements as they are, so they may be nothing but names.
fn option_name(name: &str) -> Result<String, Error> {
    if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(name.to_owned());
    }
    Err(invalid(format!("'{name}' in the DuckDB profile is not the name of a setting or an extension")))
}

fn plain(name: &str, value: &Json) -> Result<String, Error> {
    match value {
        Json::String(text) => Ok(text.clone()),
        Json::Bool(_) | Json::Number(_) => Ok(value.to_string()),
        _ => Err(invalid(format!("the DuckDB setting '{name}' must be text, a number or a boolean"))),
    }
}

fn literal(name: &str, value: &Json) -> Result<String, Error> {
    let plain = plain(name, value)?;
    Ok(if value.is_string() { quote_literal(&plain) } else { plain })
}

#[cfg(test)]
mod tests {
    use common::target::AdapterType;

    use super::*;

    fn read(settings: serde_json::Value) -> Result<Profile, Error> {
        let settings = settings.as_object().unwrap().clone();
        Profile::read(&target::Connection { adapter_type: AdapterType::Duckdb, settings })
    }

    #[test]
    fn turns_settings_extensions_and_attachments_into_statements() {
        let profile = read(serde_json::json!({
            "type": "duckdb", "path": "a.duckdb", "threads": 4, "schema": "main",
            "settings": {"memory_limit": "1GB", "threads": 2},
            "extensions": ["parquet"],
            "attach": [{"path": "it's.db", "alias": "o\"ther", "type": "sqlite", "read_only": true}],
        }))
        .unwrap();
        assert_eq!(profile.path, Some(PathBuf::from("a.duckdb")));
        let sql = |setups: &[Setup]| setups.iter().map(|setup| setup.sql.clone()).collect::<Vec<_>>();
        assert_eq!(sql(&profile.settings), ["SET memory_limit = '1GB'", "SET threads = 2"]);
        assert_eq!(
            sql(&profile.prepare),
            ["LOAD parquet", "ATTACH IF NOT EXISTS 'it''s.db' AS \"o\"\"ther\" (TYPE sqlite, READ_ONLY)"]
        );
    }

    #[test]
    fn refuses_what_it_does_not_know_by_name() {
        let error = read(serde_json::json!({"type": "duckdb", "secrets": [{"type": "s3"}]})).unwrap_err();
        assert_eq!(error.code, Code::Unsupported);
        assert_eq!(error.message, "the DuckDB profile's key 'secrets' is not supported yet");
        let error = read(serde_json::json!({"settings": {"x; drop table t": 1}})).unwrap_err();
        assert_eq!(error.code, Code::ProfileInvalid);
    }
}
