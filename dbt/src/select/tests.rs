//! Selections over one small graph, as dbt makes them.

use std::collections::BTreeSet;

use common::manifest::{Manifest, TestMetadata};
use common::node_config::Materialization;
use common::{JsonMap, NodeId};
use serde_json::json;

use super::spec::Method;
use super::*;
use crate::graph::tests::ManifestBuilder;

/// Two sources' tables, two staging models, an intermediate, two marts (one in two versions), tests and an exposure.
fn shop() -> Manifest {
    let mut manifest = ManifestBuilder::new();
    manifest.source("raw", "orders").tags = vec!["nightly".to_owned()];
    manifest.source("raw", "customers");
    let orders = manifest.model("staging/stg_orders.sql", &["source.shop.raw.orders"]);
    orders.tags = vec!["nightly".to_owned(), "core".to_owned()];
    orders.config.tags = orders.tags.clone();
    orders.patch_path = Some("shop://models/staging/schema.yml".to_owned());
    manifest.model("staging/stg_customers.sql", &["source.shop.raw.customers"]).config.group = Some("crm".to_owned());
    let joined = manifest.model("marts/int_joined.sql", &["model.shop.stg_orders", "model.shop.stg_customers"]);
    joined.config.materialized = Materialization::Ephemeral;
    let fct = manifest.model("marts/fct_orders.sql", &["model.shop.int_joined"]);
    fct.config.materialized = Materialization::Table;
    fct.config.unique_key = vec!["id".to_owned()];
    ManifestBuilder::meta(fct, json!({"owner": {"team": "finance"}, "pii": true}));
    for v in [1, 2] {
        let fqn = ["shop", "marts", "dim_customers"].map(str::to_owned).into_iter().chain([format!("v{v}")]).collect();
        let id = format!("model.shop.dim_customers.v{v}");
        let path = format!("models/marts/dim_customers_v{v}.sql");
        let node = manifest.node(
            &id,
            "dim_customers",
            common::manifest::ResourceType::Model,
            fqn,
            &path,
            &["model.shop.stg_customers"],
        );
        let model = node.model.as_mut().expect("a model");
        model.version = Some(v.into());
        model.latest_version = Some(1.into());
        model.access = "public".to_owned();
    }
    let unique = manifest.test("unique_fct_orders_id", &["model.shop.fct_orders"]);
    unique.test.as_mut().expect("a test").metadata =
        Some(TestMetadata { name: "unique".to_owned(), namespace: None, kwargs: JsonMap::new() });
    manifest.test("assert_related", &["model.shop.fct_orders", "model.shop.stg_customers"]);
    manifest.test("fresh_orders", &["source.shop.raw.orders"]);
    manifest.exposure("board", &["model.shop.fct_orders"]);
    manifest.model("empty.sql", &[]).raw_code = " \n".to_owned();
    manifest.0
}

fn selection(select: &[&str], exclude: &[&str]) -> Selection {
    let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    Selection { select: owned(select), exclude: owned(exclude), ..Selection::all(Purpose::List) }
}

fn run(selection: &Selection) -> (Vec<String>, Vec<String>) {
    let manifest = shop();
    let mut diagnostics = Vec::new();
    let selected = select(&manifest, &Graph::new(&manifest), selection, &mut diagnostics).unwrap_or_default();
    // Short names: the id without type and project.
    let names = selected.iter().map(|id| id.as_str().splitn(3, '.').nth(2).unwrap_or_default().to_owned()).collect();
    (names, diagnostics.into_iter().map(|diagnostic| diagnostic.to_string()).collect())
}

#[track_caller]
fn check(select: &[&str], exclude: &[&str], expected: &[&str]) {
    let (names, messages) = run(&selection(select, exclude));
    assert_eq!(messages, Vec::<String>::new());
    let expected: BTreeSet<&str> = expected.iter().copied().collect();
    assert_eq!(names.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected);
}

#[track_caller]
fn check_message(select: &[&str], expected: &str) {
    let (names, messages) = run(&selection(select, &[]));
    assert_eq!((names, messages), (Vec::new(), vec![expected.to_owned()]));
}

#[test]
fn names_and_patterns() {
    check(&["stg_orders"], &[], &["stg_orders"]);
    check(&["shop.staging"], &[], &["stg_orders", "stg_customers", "assert_related"]);
    check(&["staging.stg_orders"], &[], &["stg_orders"]);
    check(&["stg_*"], &[], &["stg_orders", "stg_customers", "assert_related"]);
    check(&["marts.*"], &["fct_*"], &["int_joined", "dim_customers.v1", "dim_customers.v2"]);
    check(&["dim_customers"], &[], &["dim_customers.v1", "dim_customers.v2"]);
    check(&["dim_customers.v1"], &[], &["dim_customers.v1"]);
    check(&["dim_customers_v2"], &[], &["dim_customers.v2"]);
    check(&["board"], &[], &["board"]);
    check(&["unique_fct_orders_id"], &[], &["unique_fct_orders_id"]);
}

#[test]
fn methods() {
    check(&["tag:nightly"], &[], &["raw.orders", "stg_orders", "fresh_orders"]);
    check(&["tag:c*"], &[], &["stg_orders"]);
    check(&["source:raw.customers"], &[], &["raw.customers"]);
    check(&["source:shop.raw.*"], &[], &["raw.customers", "raw.orders", "fresh_orders"]);
    check(&["path:models/staging"], &[], &["stg_orders", "stg_customers", "assert_related"]);
    check(&["models/staging/schema.yml"], &[], &["stg_orders"]);
    check(&["models/*/stg_o*.sql"], &[], &["stg_orders"]);
    check(&["stg_orders.sql"], &[], &["stg_orders"]);
    check(&["file:dim_customers_v?"], &[], &["dim_customers.v1", "dim_customers.v2"]);
    check(&["package:this,resource_type:exposure"], &[], &["board"]);
    check(&["config.materialized:ephemeral"], &[], &["int_joined"]);
    check(
        &["config.meta.owner.team:finance", "config.tags:core"],
        &["resource_type:test"],
        &["fct_orders", "stg_orders"],
    );
    check(&["config.meta.pii:True,config.unique_key:id"], &["test_type:data"], &["fct_orders"]);
    check(&["config.severity:error"], &[], &["assert_related", "fresh_orders", "unique_fct_orders_id"]);
    check(&["test_type:generic"], &[], &["unique_fct_orders_id"]);
    check(&["test_type:singular"], &[], &["assert_related", "fresh_orders"]);
    check(&["test_name:uni*"], &[], &["unique_fct_orders_id"]);
    check(&["access:public"], &[], &["dim_customers.v1", "dim_customers.v2"]);
    check(&["group:crm"], &[], &["stg_customers", "assert_related"]);
    check(&["version:latest"], &[], &["dim_customers.v1"]);
    check(&["version:prerelease"], &[], &["dim_customers.v2"]);
    check(&["exposure:*"], &[], &["board"]);
}

#[test]
fn graph_operators() {
    check(
        &["+fct_orders"],
        &["test_type:data"],
        &["fct_orders", "int_joined", "stg_orders", "stg_customers", "raw.orders", "raw.customers"],
    );
    check(&["1+fct_orders"], &["test_type:data"], &["fct_orders", "int_joined"]);
    check(&["stg_orders+1"], &[], &["stg_orders", "int_joined"]);
    check(
        &["source:raw.orders+"],
        &[],
        &[
            "raw.orders",
            "fresh_orders",
            "stg_orders",
            "int_joined",
            "fct_orders",
            "unique_fct_orders_id",
            "assert_related",
            "board",
        ],
    );
    check(
        &["@int_joined"],
        &["test_type:data"],
        &["int_joined", "fct_orders", "board", "stg_orders", "stg_customers", "raw.orders", "raw.customers"],
    );
    check(&["0+int_joined+0"], &[], &["int_joined"]);
    check(&["+stg_orders,tag:nightly"], &[], &["raw.orders", "stg_orders", "fresh_orders"]);
    check(&["stg_orders  stg_customers", "board"], &["assert_related"], &["stg_orders", "stg_customers", "board"]);
}

#[test]
fn tests_come_along_as_asked() {
    let with = |indirect: IndirectSelection, select: &[&str]| {
        let (names, messages) = run(&Selection { indirect, ..selection(select, &[]) });
        assert_eq!(messages, Vec::<String>::new());
        names
    };
    assert_eq!(
        with(IndirectSelection::Eager, &["fct_orders"]),
        ["fct_orders", "assert_related", "unique_fct_orders_id"]
    );
    assert_eq!(with(IndirectSelection::Cautious, &["fct_orders"]), ["fct_orders", "unique_fct_orders_id"]);
    assert_eq!(
        with(IndirectSelection::Cautious, &["fct_orders", "stg_customers"]),
        ["fct_orders", "stg_customers", "assert_related", "unique_fct_orders_id"]
    );
    assert_eq!(
        with(IndirectSelection::Buildable, &["fct_orders"]),
        ["fct_orders", "assert_related", "unique_fct_orders_id"]
    );
    assert_eq!(with(IndirectSelection::Buildable, &["stg_customers"]), ["stg_customers"]);
    assert_eq!(with(IndirectSelection::Empty, &["fct_orders"]), ["fct_orders"]);
}

#[test]
fn verbs_select_their_resource_types() {
    let of = |purpose: Purpose, include: &[&str], exclude: &[&str]| {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let selection = Selection {
            resource_types: owned(include),
            exclude_resource_types: owned(exclude),
            ..Selection::all(purpose)
        };
        let manifest = shop();
        let selected = select(&manifest, &Graph::new(&manifest), &selection, &mut Vec::new()).expect("valid");
        let types: BTreeSet<String> = selected.iter().map(|id: &NodeId| id.resource_type().to_owned()).collect();
        (selected.len(), types.into_iter().collect::<Vec<_>>().join(" "))
    };
    // The empty model is only listed.
    assert_eq!(of(Purpose::Run(Verb::Run), &[], &[]), (6, "model".to_owned()));
    assert_eq!(of(Purpose::Run(Verb::Test), &[], &[]), (3, "test".to_owned()));
    assert_eq!(of(Purpose::Run(Verb::Build), &[], &[]), (10, "exposure model test".to_owned()));
    assert_eq!(of(Purpose::Run(Verb::Build), &[], &["test", "exposure"]), (6, "model".to_owned()));
    assert_eq!(of(Purpose::Run(Verb::Seed), &[], &[]), (0, String::new()));
    assert_eq!(of(Purpose::List, &["model"], &[]), (7, "model".to_owned()));
    assert_eq!(of(Purpose::List, &["all"], &["model"]), (6, "exposure source test".to_owned()));
}

#[test]
fn what_cannot_be_understood_is_said() {
    check_message(&["nothing"], "warning[K1402]: the selection criterion 'nothing' does not match any enabled nodes");
    check_message(
        &["@stg_orders+"],
        "error[K1401]: '@stg_orders+' has both the prefix '@' and the suffix '+', which are incompatible",
    );
    check_message(&["state:modified"], "error[K1302]: the selector method 'state' is not supported");
    check_message(&["resource_type:table"], "error[K1401]: invalid resource_type selector 'table'");
    check_message(
        &["result:error"],
        "error[K1401]: 'result:' needs the results of an earlier run: name their folder with --state",
    );
    let (names, messages) = run(&selection(&["tags:x", "mehtod:y"], &["a.b:c"]));
    assert_eq!((names.len(), messages.len()), (0, 3));
    assert!(messages[0].starts_with("error[K1401]: 'tags' is not a valid method name; expected one of fqn, tag"));
}

#[test]
fn results_of_an_earlier_run_select() {
    let results = BTreeMap::from([("model.shop.stg_orders".into(), "error".to_owned())]);
    let (names, messages) = run(&Selection { results: Some(results), ..selection(&["result:error+1"], &[]) });
    assert_eq!(messages, Vec::<String>::new());
    assert_eq!(names, ["int_joined", "stg_orders"]);
}

const SELECTORS: &str = r#"
selectors:
  - name: nightly
    description: what runs at night
    default: true
    definition:
      union:
        - method: tag
          value: nightly
        - intersection: ["path:models/marts", {config.materialized: table}]
        - exclude: [{method: resource_type, value: test}]
  - name: upstream
    definition: {method: fqn, value: fct_orders, parents: true, parents_depth: 1, indirect_selection: empty}
  - name: both
    definition: {union: [{method: selector, value: upstream}, "stg_orders"]}
"#;

fn with_selectors(text: &str) -> (Manifest, Vec<String>) {
    let source = crate::yaml::Source::new("selectors.yml", text);
    let mut diagnostics = Vec::new();
    let selectors = selectors::read(&source, &|_| Err("no templates".to_owned()), &mut diagnostics);
    let messages = diagnostics
        .into_iter()
        .map(|diagnostic| {
            let line = diagnostic.location.map_or(0, |location| location.line);
            format!("{line}: {}", diagnostic.message)
        })
        .collect();
    (Manifest { selectors, ..shop() }, messages)
}

#[test]
fn yaml_selectors_select() {
    let (manifest, messages) = with_selectors(SELECTORS);
    assert_eq!(messages, Vec::<String>::new());
    let graph = Graph::new(&manifest);
    let names = |selection: Selection| {
        let selected = select(&manifest, &graph, &selection, &mut Vec::new()).expect("valid");
        selected.iter().map(|id| id.as_str().splitn(3, '.').nth(2).unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let named = |name: &str| Selection { selector: Some(name.to_owned()), ..Selection::all(Purpose::List) };
    assert_eq!(names(Selection::all(Purpose::List)), ["fct_orders", "stg_orders", "raw.orders"]);
    assert_eq!(names(named("upstream")), ["fct_orders", "int_joined"]);
    assert_eq!(names(named("both")), ["fct_orders", "int_joined", "stg_orders"]);
    assert_eq!(names(selection(&["board"], &[])), ["board"]);
    let mut diagnostics = Vec::new();
    assert_eq!(select(&manifest, &graph, &named("weekly"), &mut diagnostics), None);
    assert_eq!(
        diagnostics[0].message,
        "could not find selector named 'weekly', expected one of: nightly, upstream, both"
    );
}

#[test]
fn wrong_selectors_are_reported_with_their_place() {
    let (_, messages) = with_selectors(
        r#"
selectors:
  - name: a
    definition: {method: tags, value: x}
  - name: b
    default: true
    definition: {union: [x], intersection: [y]}
  - name: c
    default: true
    definition: {method: fqn, value: x, parents: true, parents_depth: two}
  - definition: x
  - name: d
  - name: e
    definition: {method: selector, value: later}
  - name: f
    definition: {union: [{exclude: [x]}, {exclude: [y]}]}
"#,
    );
    let known = Method::ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    assert_eq!(
        messages,
        [
            format!("4: selector 'a': 'tags' is not a valid method name; expected one of {known}"),
            "7: selector 'b': a definition may have a single 'union' or 'intersection' key at its root, but has union, \
             intersection"
                .to_owned(),
            "8: both 'b' and 'c' have 'default: true'".to_owned(),
            "10: selector 'c': 'parents_depth' must be a number, not \"two\"".to_owned(),
            "11: selector has no 'name'".to_owned(),
            "12: selector 'd' has no 'definition'".to_owned(),
            "14: selector 'e': no selector named 'later' is defined before this one".to_owned(),
            "16: selector 'f': 'union' has more than one 'exclude'".to_owned(),
        ]
    );
}

#[test]
fn lists_in_every_format() {
    let manifest = shop();
    let selected: BTreeSet<NodeId> = ["exposure.shop.board", "model.shop.dim_customers.v1", "source.shop.raw.orders"]
        .map(NodeId::from)
        .into_iter()
        .collect();
    let json = |id: &NodeId| {
        json!({"name": "é", "unique_id": id.as_str(), "config": {"meta": {"a": 1}}, "raw_code": "x"})
            .as_object()
            .cloned()
    };
    let lines = |format, keys: &[&str]| {
        let keys: Vec<String> = keys.iter().map(|&key| key.to_owned()).collect();
        list(&manifest, &selected, format, &keys, &json)
    };
    assert_eq!(
        lines(ListFormat::Selector, &[]),
        ["exposure:shop.board", "shop.marts.dim_customers.v1", "source:shop.raw.orders"]
    );
    assert_eq!(lines(ListFormat::Name, &[]), ["board", "dim_customers.v1", "raw.orders"]);
    assert_eq!(
        lines(ListFormat::Path, &[]),
        ["models/exposures.yml", "models/marts/dim_customers_v1.sql", "models/sources.yml"]
    );
    assert_eq!(
        lines(ListFormat::Json, &[])[0],
        r#"{"name": "\u00e9", "unique_id": "exposure.shop.board", "config": {"meta": {"a": 1}}}"#
    );
    assert_eq!(
        lines(ListFormat::Json, &["unique_id", "config.meta", "config.x", "nothing"])[0],
        r#"{"unique_id": "exposure.shop.board", "config.meta": {"a": 1}}"#
    );
}

#[test]
fn unit_tests_are_selected_by_name_type_and_model() {
    let mut builder = ManifestBuilder(shop());
    builder.unit_test("adds_up", "fct_orders").tags = vec!["mine".to_owned()];
    builder.unit_test("joins", "stg_orders");
    let manifest = builder.0;
    let check = |purpose: Purpose, select: &[&str], expected: &[&str]| {
        let selection = Selection { purpose, ..selection(select, &[]) };
        let mut diagnostics = Vec::new();
        let selected =
            super::select(&manifest, &Graph::new(&manifest), &selection, &mut diagnostics).unwrap_or_default();
        let names: Vec<&str> = selected.iter().filter_map(|id| id.as_str().strip_prefix("unit_test.shop.")).collect();
        assert_eq!(names, expected, "{select:?} {diagnostics:?}");
    };
    let (adds_up, joins) = ("fct_orders.adds_up", "stg_orders.joins");
    for select in [
        "unit_test:adds_up",
        "unit_test:shop.add*",
        "adds_up",
        "tag:mine",
        "test_name:adds_up",
        "fct_orders",
        "int_joined+",
        "resource_type:unit_test,fct_orders",
    ] {
        check(Purpose::List, &[select], &[adds_up]);
    }
    for select in ["test_type:unit", "resource_type:unit_test", "stg_orders+", "path:models/schema.yml"] {
        check(Purpose::Run(Verb::Test), &[select], &[adds_up, joins]);
    }
    for select in ["+fct_orders,stg_customers", "test_type:data", "metric:revenue"] {
        check(Purpose::Run(Verb::Test), &[select], &[]);
    }
    check(Purpose::Run(Verb::Run), &["fct_orders"], &[]);
    let ids = BTreeSet::from(["unit_test.shop.fct_orders.adds_up".into()]);
    assert_eq!(list(&manifest, &ids, ListFormat::Selector, &[], &|_| None), ["unit_test:shop.adds_up"]);
}
