//! Properties files read into types, and the findings in bad ones.

use common::{Diagnostic, Json};
use serde_json::json;

use super::*;
use crate::yaml::Source;

fn read_text(text: &str) -> (Properties, Vec<Diagnostic>) {
    let source = Source::new("models/schema.yml", text);
    let mut diagnostics = Vec::new();
    let root = crate::yaml::load(&source, &mut diagnostics).expect("valid YAML");
    let template = |text: &str| -> Result<Json, String> {
        match text {
            "{{ yes }}" => Ok(json!(true)),
            "{{ name }}" => Ok(json!("rendered")),
            other => Err(format!("unexpected template {other}")),
        }
    };
    let properties = read(&source, &root, &template, &mut diagnostics);
    (properties, diagnostics)
}

fn messages(diagnostics: &[Diagnostic]) -> Vec<String> {
    diagnostics
        .iter()
        .map(|diagnostic| {
            let line = diagnostic.location.as_ref().map_or(0, |location| location.line);
            format!("{line}: {}", diagnostic.message)
        })
        .collect()
}

#[test]
fn reads_a_model_with_columns_and_tests() {
    let (properties, diagnostics) = read_text(
        r#"
version: 2
models:
  - name: orders
    description: "{{ doc('orders') }}"
    config: {enabled: "{{ yes }}", pre_hook: "{{ late }}"}
    meta: {owner: me}
    access: public
    columns:
      - name: id
        data_type: bigint
        quote: true
        tests:
          - unique
          - dbt_utils.accepted_range: {min_value: 0, severity: warn, config: {where: "{{ late }}"}, name: in_range}
      - name: status
        data_tests:
          - accepted_values:
              arguments: {values: [a, b]}
              config: {tags: [x]}
          - {test_name: not_null, where: "1=1"}
"#,
    );
    assert_eq!(diagnostics, []);
    let model = &properties.models[0];
    assert_eq!(model.node.name, "orders");
    assert_eq!(model.node.span.line, 4);
    assert_eq!(model.node.description, "{{ doc('orders') }}");
    assert_eq!(
        Json::from(model.node.config.to_json()),
        json!({"enabled": true, "pre_hook": "{{ late }}", "meta": {"owner": "me"}, "access": "public"})
    );
    assert_eq!(
        Json::from(model.node.unrendered_config.to_json()),
        json!({"enabled": "{{ yes }}", "pre_hook": "{{ late }}"})
    );
    let [unique, range] = model.node.columns[0].tests.as_slice() else { panic!("two tests") };
    assert_eq!((unique.test.as_str(), &unique.namespace), ("unique", &None));
    assert_eq!((range.test.as_str(), range.namespace.as_deref()), ("accepted_range", Some("dbt_utils")));
    assert_eq!(range.name.as_deref(), Some("in_range"));
    assert_eq!(Json::from(range.arguments.to_json()), json!({"min_value": 0}));
    assert_eq!(Json::from(range.config.to_json()), json!({"severity": "warn", "where": "{{ late }}"}));
    let [accepted, not_null] = model.node.columns[1].tests.as_slice() else { panic!("two tests") };
    assert_eq!(Json::from(accepted.arguments.to_json()), json!({"values": ["a", "b"]}));
    assert_eq!(Json::from(accepted.config.to_json()), json!({"tags": ["x"]}));
    assert_eq!(not_null.test, "not_null");
    assert_eq!(Json::from(not_null.config.to_json()), json!({"where": "1=1"}));
}

#[test]
fn reads_versions() {
    let (properties, diagnostics) = read_text(
        r#"
models:
  - name: dim
    latest_version: 2
    columns: [{name: a}, {name: b}]
    versions:
      - v: 1
        defined_in: dim_old
        columns: [{include: all, exclude: [b]}, {name: c}]
      - v: 2
        config: {alias: dim}
"#,
    );
    assert_eq!(diagnostics, []);
    let model = &properties.models[0];
    assert_eq!(model.latest_version, Some(json!(2)));
    let [one, two] = model.versions.as_slice() else { panic!("two versions") };
    assert_eq!((one.v.clone(), one.defined_in.as_deref()), (json!(1), Some("dim_old")));
    assert!(one.columns.includes("a") && !one.columns.includes("b"));
    assert_eq!(one.columns.own[0].name, "c");
    assert_eq!(Json::from(two.config.to_json()), json!({"alias": "dim"}));
    assert!(two.columns.includes("b"));
    assert_eq!(two.tests, None);
}

#[test]
fn reads_sources_exposures_macros_and_groups() {
    let (properties, diagnostics) = read_text(
        r#"
sources:
  - name: raw
    database: "{{ name }}"
    schema: landing
    quoting: {identifier: false}
    freshness: {warn_after: {count: 1, period: day}}
    tables:
      - name: orders
        identifier: orders_v1
        freshness: null
        loaded_at_field: at
        columns: [{name: id, tests: [not_null]}]
exposures:
  - name: weekly
    type: dashboard
    owner: {email: a@example.com}
    depends_on: ["ref('orders')"]
macros:
  - name: cents
    arguments: [{name: column, type: string}]
    config: {meta: {a: 1}}
groups:
  - name: finance
    owner: {name: F}
"#,
    );
    assert_eq!(diagnostics, []);
    let source = &properties.sources[0];
    assert_eq!(source.database.as_deref(), Some("rendered"));
    assert_eq!(source.quoting.identifier, Some(false));
    assert!(source.freshness.is_some());
    let table = &source.tables[0];
    assert_eq!(table.identifier.as_deref(), Some("orders_v1"));
    assert!(table.freshness.as_ref().is_some_and(Node::is_null));
    assert_eq!(table.loaded_at_field.as_ref().and_then(Node::as_str), Some("at"));
    assert_eq!(table.columns[0].tests[0].test, "not_null");
    assert_eq!(properties.exposures[0].depends_on[0].0, "ref('orders')");
    assert_eq!(Json::from(properties.macros[0].meta.clone()), json!({"a": 1}));
    assert_eq!(properties.macros[0].arguments[0].type_.as_deref(), Some("string"));
    assert_eq!(properties.groups[0].name, "finance");
}

#[test]
fn all_findings_come_at_once() {
    let (properties, diagnostics) = read_text(
        r#"
version: 1
modles: []
models:
  - orders
  - description: x
  - name: a
    desription: x
    tags: [t]
    meta: {}
    config: {meta: {}}
  - name: b
    tests: {unique: x}
  - name: c
    tests:
      - unique: 5
      - {a: {}, b: {}}
      - not_null: {where: x, config: {where: y}}
    data_tests: []
  - name: d
    data_tests:
      - unique: 5
      - {a: {}, b: {}}
      - not_null: {where: x, config: {where: y}}
      - {my test: {}}
  - name: e
    description:
    meta:
    columns: [{name: 5}]
    latest_version: 3
    versions: [{v: 1}, {v: "1"}]
seeds: {}
exposures:
  - name: my dashboard
    type: board
metrics:
  - name: revenue
"#,
    );
    assert_eq!(
        messages(&diagnostics),
        [
            "2: the version of a properties file must be 2",
            "3: unknown key 'modles' in a properties file: it is ignored",
            "5: an entry of 'models' must be a mapping, not text",
            "6: model has no 'name'",
            "10: model 'a' has 'meta' twice, at the top level and in 'config'",
            "8: unknown key 'desription' in model 'a': it is ignored",
            "9: unknown key 'tags' in model 'a': it is ignored",
            "13: 'data_tests' of model 'b' must be a list, not a mapping",
            "15: model 'c' has both 'tests' and 'data_tests'",
            "22: the arguments of data test 'unique' of model 'd' must be a mapping, not a number",
            "23: a data test of model 'd' must be a mapping with one key, the test's name, but has 2: a, b",
            "24: data test 'not_null' of model 'd' has 'where' twice, beside 'config' and in it",
            "25: 'my test' is not the name of a data test",
            "27: 'description' of model 'e' must be text, not nothing",
            "29: 'name' of column '' of model 'e' must be text, not a number",
            "31: model 'e' has version \"1\" twice",
            "30: latest_version 3 is not one of the versions of model 'e'",
            "32: 'seeds' must be a list, not a mapping",
            "34: exposure 'my dashboard' has a name with other characters than letters, digits, '_' and '-'",
            "35: 'type' of exposure 'my dashboard' must be one of dashboard, notebook, analysis, ml, application",
            "34: exposure 'my dashboard' needs an 'owner' with a 'name' or an 'email'",
        ]
    );
    assert_eq!(diagnostics[1].hint.as_deref(), Some("did you mean 'models'?"));
    assert_eq!(diagnostics[5].hint.as_deref(), Some("did you mean 'description'?"));
    assert_eq!(properties.models.len(), 5);
    assert_eq!(
        properties.left_out.iter().map(|entry| (entry.section.words().0, entry.name.as_str())).collect::<Vec<_>>(),
        [("metric", "revenue")]
    );
}
