//! A unit test as `manifest.json` and `dbt ls` show it.

use common::manifest::Node;
use common::unit_test::{Fixture, FixtureRows};
use common::{Json, JsonMap};
use serde_json::json;

use super::node::{extend, names};

/// An entry of `unit_tests`. `created_at` is in seconds since 1970.
pub fn unit_test(node: &Node, created_at: f64) -> JsonMap {
    let mut out = JsonMap::new();
    let Some(test) = &node.unit_test else { return out };
    let given = test.given.iter().map(|given| {
        let mut entry = fixture(&given.fixture);
        entry.insert("input".to_owned(), json!(given.input));
        Json::Object(entry)
    });
    let overrides = test
        .overrides
        .as_ref()
        .map(|overrides| json!({ "macros": overrides.macros, "vars": overrides.vars, "env_vars": overrides.env_vars }));
    let versions =
        test.versions.as_ref().map(|versions| json!({ "include": versions.include, "exclude": versions.exclude }));
    let tested = [
        ("model", json!(test.model)),
        ("given", given.collect::<Vec<_>>().into()),
        ("expect", Json::Object(fixture(&test.expect))),
    ];
    extend(&mut out, tested);
    extend(&mut out, names(node));
    let rest = [
        ("description", json!(node.description)),
        ("overrides", json!(overrides)),
        ("depends_on", json!({ "macros": node.depends_on.macros, "nodes": node.depends_on.nodes })),
        ("config", config(node)),
        ("checksum", json!(test.checksum)),
        ("schema", json!(node.schema)),
        ("created_at", json!(created_at)),
        ("versions", json!(versions)),
        ("version", json!(test.version)),
    ];
    extend(&mut out, rest);
    out
}

fn fixture(fixture: &Fixture) -> JsonMap {
    let rows = match &fixture.rows {
        FixtureRows::Table(rows) => json!(rows),
        FixtureRows::Sql(query) => json!(query),
    };
    let mut out = JsonMap::new();
    extend(&mut out, [("rows", rows), ("format", json!(fixture.format.as_str())), ("fixture", json!(fixture.file))]);
    out
}

fn config(node: &Node) -> Json {
    let config = &node.config;
    let mut out = JsonMap::new();
    let keys = [
        ("tags", json!(config.tags)),
        ("meta", Json::Object(config.meta.clone())),
        ("enabled", json!(config.enabled)),
        ("static_analysis", Json::Null),
    ];
    extend(&mut out, keys);
    out.extend(config.extra.iter().map(|(key, value)| (key.clone(), value.clone())));
    Json::Object(out)
}
