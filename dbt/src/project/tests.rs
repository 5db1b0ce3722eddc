//! `dbt_project.yml`: defaults, rendering and findings.

use std::fs;

use common::Json;
use serde_json::json;

use super::*;

fn load(text: &str) -> (Option<Project>, Vec<String>) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    fs::write(dir.path().join(FILE_NAME), text).expect("a file");
    let mut diagnostics = Vec::new();
    let template = |text: &str| -> Result<Json, String> {
        match text {
            "{{ var('schema') }}" => Ok(json!("staging")),
            other => Err(format!("unexpected template {other}")),
        }
    };
    let project = RawProject::load(dir.path(), "", &mut diagnostics)
        .and_then(|raw| raw.render(&template, true, &mut diagnostics));
    (project, diagnostics.iter().map(|diagnostic| diagnostic.message.clone()).collect())
}

#[test]
fn defaults_are_those_of_dbt() {
    let (project, messages) = load("name: shop\n");
    assert_eq!(messages, Vec::<String>::new());
    let project = project.expect("a project");
    assert_eq!(project.paths.model, ["models"]);
    assert_eq!(project.paths.docs, ["models", "seeds", "snapshots", "analyses", "macros", "tests", "functions"]);
    assert_eq!(project.paths.clean_targets, ["target"]);
    assert_eq!(project.paths.packages_install, "dbt_packages");
    assert_eq!(project.query_comment, None);
    assert_eq!(project.profile, None);
}

#[test]
fn renders_configs_but_neither_hooks_nor_vars() {
    let (project, messages) = load(
        r#"
name: shop
version: "1.0"
config-version: 2
profile: warehouse
model-paths: ["models/"]
models:
  shop:
    +schema: "{{ var('schema') }}"
    +pre-hook: "{{ late }}"
vars: {schema: "{{ late }}", shop: {a: 1}}
on-run-start: "{{ late }}"
on-run-end: ["{{ later }}", select 1]
query-comment: {comment: "{{ late }}", append: true}
dispatch: [{macro_namespace: dbt_utils, search_order: [shop, dbt_utils]}]
quoting: {identifier: false}
require-dbt-version: [">=1.0.0", "<2.0.0"]
dbt-cloud: {project-id: 1}
"#,
    );
    assert_eq!(messages, Vec::<String>::new());
    let project = project.expect("a project");
    assert_eq!(project.paths.model, ["models"]);
    assert_eq!(
        Json::from(project.configs.models.rendered.to_json()),
        json!({"shop": {"+schema": "staging", "+pre-hook": "{{ late }}"}})
    );
    assert_eq!(
        Json::from(project.configs.models.unrendered.to_json()),
        json!({"shop": {"+schema": "{{ var('schema') }}", "+pre-hook": "{{ late }}"}})
    );
    assert_eq!(Json::from(project.vars), json!({"schema": "{{ late }}", "shop": {"a": 1}}));
    assert_eq!(project.on_run_start[0].sql, "{{ late }}");
    assert_eq!(project.on_run_end.len(), 2);
    assert_eq!(project.query_comment, Some(QueryComment { comment: "{{ late }}".to_owned(), append: true }));
    assert_eq!(project.dispatch, [("dbt_utils".to_owned(), vec!["shop".to_owned(), "dbt_utils".to_owned()])]);
    assert_eq!(project.quoting.identifier, Some(false));
}

#[test]
fn all_findings_come_at_once() {
    let (project, messages) = load(
        r#"
name: my-shop
version: abc
nonsense: 1
model_paths: [models]
source-paths: [old]
model-paths: [new]
tests: {a: 1}
data_tests: {b: 1}
dispatch: [{macro_namespace: x}]
require-dbt-version: ">=2.0.0"
models: []
"#,
    );
    assert!(project.is_none());
    assert_eq!(
        messages,
        [
            "'my-shop' cannot be the name of a project: only letters, digits and '_' are allowed, and no digit first",
            "'version' must be a semantic version such as '1.0.0'",
            "'source-paths' and 'model-paths' cannot both be given: the first is the old name of the second",
            "'tests' and 'data_tests' cannot both be given: the first is the old name",
            "'models' of dbt_project.yml must be a mapping, not a list",
            "an entry of 'dispatch' needs 'macro_namespace' and 'search_order'",
            "project 'my-shop' requires dbt >=2.0.0, but this is dbt 1.11.16",
            "unknown key 'nonsense' in dbt_project.yml",
            "unknown key 'model_paths' in dbt_project.yml",
        ]
    );
}

#[test]
fn a_missing_or_empty_file_is_named() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut diagnostics = Vec::new();
    assert!(RawProject::load(dir.path(), "", &mut diagnostics).is_none());
    assert_eq!(diagnostics[0].code, common::diagnostic::Code::ProjectNotFound);
    let (project, messages) = load("");
    assert!(project.is_none());
    assert_eq!(messages, ["dbt_project.yml must hold a mapping, not nothing"]);
    let (_, messages) = load("profile: x\n");
    assert_eq!(messages, ["dbt_project.yml has no 'name'"]);
}
