//! An output of type `postgres`. Source of the keys: dbt-postgres' documentation of profiles.

use common::JsonMap;

use super::output::Credentials;
use crate::yaml::Fields;

const SSL_MODES: &[&str] = &["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

pub fn read(mut fields: Fields<'_>) -> Option<Credentials> {
    let mut settings = JsonMap::new();
    // The aliases dbt-postgres knows; both spellings at once are an error.
    let database = aliased(&mut fields, "database", "dbname");
    let password = aliased(&mut fields, "password", "pass");
    let host = required(&mut fields, "host");
    let user = required(&mut fields, "user");
    let schema = required(&mut fields, "schema");
    let has_port = fields.contains("port");
    let port = number(&mut fields, "port", 0, 65_535);
    if !has_port {
        let message = format!("{} has no 'port'", fields.what());
        let span = fields.span();
        fields.error(span, message);
    }
    for (key, value) in [("host", &host), ("user", &user), ("database", &database), ("schema", &schema)] {
        if let Some(value) = value {
            settings.insert(key.to_owned(), value.as_str().into());
        }
    }
    if let Some(port) = port {
        settings.insert("port".to_owned(), port.into());
    }
    settings
        .insert("connect_timeout".to_owned(), number(&mut fields, "connect_timeout", 0, 86_400).unwrap_or(10).into());
    settings
        .insert("keepalives_idle".to_owned(), number(&mut fields, "keepalives_idle", 0, 86_400).unwrap_or(0).into());
    settings.insert("retries".to_owned(), number(&mut fields, "retries", 0, 1_000).unwrap_or(1).into());
    for key in ["role", "search_path", "sslcert", "sslkey", "sslrootcert"] {
        if let Some(text) = fields.text(key) {
            settings.insert(key.to_owned(), text.into());
        }
    }
    if let Some(node) = fields.node("sslmode") {
        match node.as_str().filter(|mode| SSL_MODES.contains(mode)) {
            Some(mode) => {
                settings.insert("sslmode".to_owned(), mode.into());
            }
            None => fields.error(node.span, format!("'sslmode' must be one of {}", SSL_MODES.join(", "))),
        }
    }
    let application = fields.text("application_name").unwrap_or_else(|| "dbt".to_owned());
    settings.insert("application_name".to_owned(), application.into());
    settings.insert("autocommit".to_owned(), fields.bool("autocommit").unwrap_or(false).into());
    fields.finish();
    let mut extra = settings.clone();
    extra.remove("database");
    extra.remove("schema");
    if let Some(database) = &database {
        extra.insert("dbname".to_owned(), database.as_str().into());
    }
    settings.insert("password".to_owned(), password?.into());
    Some(Credentials { database: database?, schema: schema?, settings, extra })
}

fn required(fields: &mut Fields<'_>, key: &'static str) -> Option<String> {
    let given = fields.contains(key);
    let text = fields.text(key);
    if !given {
        let message = format!("{} has no '{key}'", fields.what());
        let span = fields.span();
        fields.error(span, message);
    }
    text
}

fn aliased(fields: &mut Fields<'_>, key: &'static str, alias: &'static str) -> Option<String> {
    match (fields.contains(key), fields.key_span(alias)) {
        (true, Some(span)) => {
            fields.error(span, format!("'{alias}' and '{key}' cannot both be given: they mean the same"));
            fields.text(alias);
            fields.text(key)
        }
        (false, Some(_)) => fields.text(alias),
        (_, None) => required(fields, key),
    }
}

fn number(fields: &mut Fields<'_>, key: &'static str, min: i64, max: i64) -> Option<i64> {
    let node = fields.node(key)?;
    let number = node.as_i64().filter(|number| (min..=max).contains(number));
    if number.is_none() {
        let hint = if node.as_str().is_some() { "; render a variable with '| as_number'" } else { "" };
        fields.error(node.span, format!("'{key}' must be a number from {min} to {max}{hint}"));
    }
    number
}
