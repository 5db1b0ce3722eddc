//! Compiling small projects on a recording adapter: the plumbing of contexts, not the warehouse.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use common::manifest::{Checksum, DependsOn, Macro, Manifest, Node, ResourceType};
use common::node_config::{Materialization, NodeConfig};
use common::relation::{Quoting, Relation, RelationType};
use common::table::{Column, Datum, Response, Table};
use common::target::{AdapterType, Target};
use common::{JsonMap, NodeId};

use super::{Compiler, Invocation};
use crate::adapter::{Adapter, Error};
use crate::builtin;
use crate::jinja::MacroDef;

/// Answers every query with the same table and remembers what was sent.
#[derive(Default)]
struct Recorder {
    sent: RefCell<Vec<String>>,
    table: Table,
    existing: Option<Relation>,
}

impl Adapter for Recorder {
    fn adapter_type(&self) -> AdapterType {
        AdapterType::Duckdb
    }

    fn execute(&self, sql: &str, _fetch: bool) -> Result<(Response, Table), Error> {
        self.sent.borrow_mut().push(sql.split_whitespace().collect::<Vec<_>>().join(" "));
        Ok((Response { message: "OK".into(), ..Response::default() }, self.table.clone()))
    }

    fn get_relation(&self, _: &str, _: &str, _: &str) -> Result<Option<Relation>, Error> {
        Ok(self.existing.clone())
    }

    fn list_relations(&self, _: &str, _: &str) -> Result<Vec<Relation>, Error> {
        Ok(self.existing.clone().into_iter().collect())
    }

    fn get_columns_in_relation(&self, _: &Relation) -> Result<Vec<Column>, Error> {
        Ok(self.table.columns.clone())
    }

    fn list_schemas(&self, _: &str) -> Result<Vec<String>, Error> {
        Ok(vec!["main".into()])
    }

    fn create_schema(&self, _: &str, _: &str) -> Result<(), Error> {
        Ok(())
    }

    fn drop_schema(&self, _: &str, _: &str) -> Result<(), Error> {
        Ok(())
    }

    fn drop_relation(&self, _: &Relation) -> Result<(), Error> {
        Ok(())
    }

    fn truncate_relation(&self, _: &Relation) -> Result<(), Error> {
        Ok(())
    }

    fn rename_relation(&self, _: &Relation, _: &Relation) -> Result<(), Error> {
        Ok(())
    }
}

fn macros_of(package: &str, path: &str, source: &str) -> Vec<Macro> {
    let parsed = MacroDef::parse_file(&path.into(), &source.into()).unwrap_or_else(|error| panic!("{path}: {error}"));
    let macros = parsed.iter().map(|found| Macro {
        unique_id: format!("macro.{package}.{}", found.name).into(),
        name: found.name.to_string(),
        package_name: package.to_owned(),
        path: path.to_owned(),
        original_file_path: path.to_owned(),
        macro_sql: source[found.span.start as usize..found.span.end as usize].to_owned(),
        line: found.span.line,
        depends_on: DependsOn::default(),
        description: String::new(),
        meta: JsonMap::new(),
        docs: Default::default(),
        patch_path: None,
        arguments: Vec::new(),
        supported_languages: None,
    });
    macros.collect()
}

fn model(name: &str, code: &str, materialized: Materialization, upstream: &[&str]) -> Node {
    Node {
        unique_id: format!("model.shop.{name}").into(),
        name: name.to_owned(),
        resource_type: ResourceType::Model,
        package_name: "shop".into(),
        path: format!("{name}.sql"),
        original_file_path: format!("models/{name}.sql"),
        fqn: vec!["shop".into(), name.to_owned()],
        database: "dev".into(),
        schema: "main".into(),
        alias: name.to_owned(),
        relation_name: Some(format!("\"dev\".\"main\".\"{name}\"")),
        checksum: Checksum { name: "sha256".into(), checksum: String::new() },
        config: NodeConfig { materialized, ..NodeConfig::default() },
        tags: Vec::new(),
        unrendered_config: JsonMap::new(),
        config_call_dict: JsonMap::new(),
        description: String::new(),
        columns: Default::default(),
        patch_path: None,
        raw_code: code.to_owned(),
        raw_code_line: 1,
        refs: Vec::new(),
        sources: Vec::new(),
        depends_on: DependsOn {
            macros: Vec::new(),
            nodes: upstream.iter().map(|name| format!("model.shop.{name}").into()).collect(),
        },
        doc_blocks: Vec::new(),
        model: None,
        test: None,
        unit_test: None,
        hook_index: None,
    }
}

/// A project of models and one macro file, with the built-in package.
fn compiler(models: Vec<Node>, own_macros: &str) -> Compiler {
    compiler_for(AdapterType::Duckdb, models, own_macros)
}

fn compiler_for(adapter_type: AdapterType, models: Vec<Node>, own_macros: &str) -> Compiler {
    let mut macros: BTreeMap<NodeId, Macro> = BTreeMap::new();
    for (path, text) in builtin::FILES {
        macros
            .extend(macros_of(builtin::PACKAGE, path, text).into_iter().map(|found| (found.unique_id.clone(), found)));
    }
    macros.extend(
        macros_of("shop", "macros/own.sql", own_macros).into_iter().map(|found| (found.unique_id.clone(), found)),
    );
    let manifest = Manifest {
        project_name: "shop".into(),
        project_id: String::new(),
        adapter_type,
        quoting: Quoting::default(),
        nodes: models.into_iter().map(|node| (node.unique_id.clone(), node)).collect(),
        sources: BTreeMap::new(),
        exposures: BTreeMap::new(),
        macros,
        docs: BTreeMap::new(),
        groups: BTreeMap::new(),
        disabled: BTreeMap::new(),
        disabled_sources: BTreeMap::new(),
        selectors: Default::default(),
        packages: BTreeMap::new(),
        dispatch: BTreeMap::new(),
        query_comment: None,
        has_batches: true,
    };
    let target = Target {
        profile_name: "shop".into(),
        name: "dev".into(),
        adapter_type,
        database: "dev".into(),
        schema: "main".into(),
        threads: 1,
        extra: JsonMap::new(),
    };
    Compiler::new(Arc::new(manifest), target, Invocation::default())
}

fn one(code: &str, own_macros: &str, recorder: Recorder) -> (Result<String, String>, Vec<String>) {
    let compiler = compiler(vec![model("m", code, Materialization::View, &[])], own_macros);
    let recorder = Rc::new(recorder);
    let compiled = compiler.compile(&"model.shop.m".into(), recorder.clone());
    let compiled = compiled.map(|compiled| compiled.compiled_code.trim().to_owned());
    (compiled.map_err(|error| error.diagnostic.to_string()), recorder.sent.take())
}

fn table(names: &[&str], rows: Vec<Vec<Datum>>) -> Table {
    let columns = names.iter().map(|name| Column { name: (*name).to_owned(), data_type: "INTEGER".into() });
    Table { columns: columns.collect(), rows }
}

#[test]
fn every_builtin_macro_parses_and_has_one_definition() {
    let mut seen = BTreeMap::new();
    for (path, text) in builtin::FILES {
        for found in macros_of(builtin::PACKAGE, path, text) {
            assert_eq!(seen.insert(found.unique_id.clone(), path), None, "{} is defined twice", found.unique_id);
        }
    }
    assert!(seen.len() > 300, "{} macros", seen.len());
}

#[test]
fn nested_ephemeral_models_become_ctes_in_order() {
    let compiler = compiler(
        vec![
            model("a", "select 1 as id", Materialization::Ephemeral, &[]),
            model("b", "select * from {{ ref('a') }}", Materialization::Ephemeral, &["a"]),
            model(
                "c",
                "with x as (select * from {{ ref('b') }}) select * from x, {{ ref('a') }}",
                Materialization::Table,
                &["a", "b"],
            ),
        ],
        "",
    );
    let compiled = compiler.compile(&"model.shop.c".into(), Rc::new(Recorder::default())).unwrap();
    assert_eq!(
        compiled.compiled_code,
        "with  __dbt__cte__a as (\nselect 1 as id\n),  __dbt__cte__b as (\nselect * from __dbt__cte__a\n), x as (select * from \
         __dbt__cte__b) select * from x, __dbt__cte__a"
    );
    assert_eq!(
        compiled.extra_ctes.iter().map(|cte| cte.id.as_str()).collect::<Vec<_>>(),
        ["model.shop.a", "model.shop.b"]
    );
}

#[test]
fn a_ref_that_parsing_did_not_see_is_refused() {
    let compiler = compiler(
        vec![
            model("a", "select 1", Materialization::View, &[]),
            model("m", "{{ ref('a') }}", Materialization::View, &[]),
        ],
        "",
    );
    let error = compiler.compile(&"model.shop.m".into(), Rc::new(Recorder::default())).unwrap_err();
    assert!(
        error.diagnostic.message.starts_with("dbt was unable to infer all dependencies for the model \"m\""),
        "{error}"
    );
}

#[test]
fn a_projects_own_ref_wraps_the_builtin_one() {
    let compiler = compiler(
        vec![model("a", "", Materialization::View, &[]), model("m", "{{ ref('a') }}", Materialization::View, &["a"])],
        "{% macro ref(name) %}{{ return(builtins.ref(name).include(database=false)) }}{% endmacro %}",
    );
    let compiled = compiler.compile(&"model.shop.m".into(), Rc::new(Recorder::default())).unwrap();
    assert_eq!(compiled.compiled_code, "\"main\".\"a\"");
}

#[test]
fn dispatch_prefers_the_projects_implementation() {
    let own = "{% macro duckdb__hash(field) %}own({{ field }}){% endmacro %}";
    assert_eq!(one("{{ dbt.hash('x') }}", own, Recorder::default()).0, Ok("own(x)".into()));
    assert_eq!(one("{{ dbt.hash('x') }}", "", Recorder::default()).0, Ok("md5(cast(x as TEXT))".into()));
    assert!(compiler(Vec::new(), own).overridden("hash"));
    assert!(!compiler(Vec::new(), "").overridden("hash"));
}

#[test]
fn run_query_gives_rows_and_columns() {
    let rows = vec![vec![Datum::Int(1), Datum::Text("x".into())], vec![Datum::Int(2), Datum::Null]];
    let recorder = Recorder { table: table(&["id", "name"], rows), ..Recorder::default() };
    let code = "{% set t = run_query('select 1') %}{{ t.columns[0].values() }} {{ t.columns['name'].values() }} {{ t[0][1] }} \
                {{ t.rows[1]['id'] }} {{ t | length }} {{ t.column_names | list }} {% for r in t %}{{ r.id }};{% endfor %}";
    let (text, sent) = one(code, "", recorder);
    assert_eq!(text, Ok("(1, 2) ('x', None) x 2 2 ['id', 'name'] 1;2;".into()));
    assert_eq!(sent, ["select 1"]);
}

#[test]
fn one_fraction_makes_a_column_decimal() {
    let recorder = Recorder {
        table: table(&["n"], vec![vec![Datum::Int(1)], vec![Datum::Decimal("2.50".into())]]),
        ..Recorder::default()
    };
    let (text, _) = one("{{ run_query('q').columns[0].values() }}", "", recorder);
    assert_eq!(text, Ok("(Decimal('1'), Decimal('2.50'))".into()));
}

#[test]
fn an_incremental_model_is_so_only_over_its_table() {
    let code = "{{ is_incremental() }}";
    let existing = |kind| Some(Relation::new("dev", "main", "m").with_type(kind));
    for (existing, expected) in
        [(None, "False"), (existing(RelationType::View), "False"), (existing(RelationType::Table), "True")]
    {
        let compiler = compiler(vec![model("m", code, Materialization::Incremental, &[])], "");
        let recorder = Rc::new(Recorder { existing, ..Recorder::default() });
        assert_eq!(compiler.compile(&"model.shop.m".into(), recorder).unwrap().compiled_code, expected);
    }
}

#[test]
fn errors_name_the_file_of_the_macro_and_the_callers() {
    let own = "{% macro outer() %}\n{{ inner() }}\n{% endmacro %}\n\n{% macro inner() %}\n{{ exceptions.raise_compiler_error('no') }}\n{% endmacro %}";
    let (text, _) = one("select\n{{ outer() }}", own, Recorder::default());
    let shown = text.unwrap_err();
    assert!(shown.starts_with("error[K1104]: no\n  --> macros/own.sql:6"), "{shown}");
    assert!(shown.contains("models/m.sql:2"), "{shown}");
}

#[test]
fn a_missing_variable_names_the_model_and_what_was_given() {
    let (text, _) = one("{{ var('x') }}", "", Recorder::default());
    assert!(
        text.unwrap_err().starts_with("error[K1104]: Required var 'x' not found in config:\nVars supplied to m = {}")
    );
    assert_eq!(one("{{ var('x', 3) + 1 }}{{ var.has_var('x') }}", "", Recorder::default()).0, Ok("4False".into()));
}

#[test]
fn a_relation_changes_by_copies() {
    let code = "{% set r = this.incorporate(path={'identifier': 'n'}, type='table') %}{{ r }} {{ r.is_table }} {{ this }} \
                {{ api.Relation.create(schema='s', identifier='i') }} {{ r.without_identifier() }}";
    let expected = "\"dev\".\"main\".\"n\" True \"dev\".\"main\".\"m\" \"s\".\"i\" \"dev\".\"main\"";
    assert_eq!(one(code, "", Recorder::default()).0, Ok(expected.into()));
}

#[test]
fn hooks_are_rendered_after_compiling_with_the_compiled_code() {
    let compiler = compiler(vec![model("m", "select 1", Materialization::Table, &[])], "");
    let mut session = compiler.session(&"model.shop.m".into(), Rc::new(Recorder::default())).unwrap();
    session.compile().unwrap();
    assert_eq!(session.render("{{ sql }} on {{ this.name }}").unwrap(), "select 1 on m");
}

/// SQL without the white space that means nothing.
fn squeezed(sql: &str) -> String {
    let words = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    let tight = |text: String, mark: &str| text.replace(&format!(" {mark}"), mark).replace(&format!("{mark} "), mark);
    ["(", ")", ",", ";", "[", "]"].into_iter().fold(words, tight)
}

#[test]
fn builtin_macros_render_what_dbts_own_render() {
    let cases = include_str!("../builtin/goldens/cases.txt").lines().filter_map(|line| line.split_once('|'));
    let cases: Vec<(&str, &str)> = cases.collect();
    let goldens = [
        (AdapterType::Duckdb, "memory", include_str!("../builtin/goldens/duckdb.json")),
        (AdapterType::Postgres, "db", include_str!("../builtin/goldens/postgres.json")),
    ];
    let mut different = Vec::new();
    for (adapter_type, database, golden) in goldens {
        let golden: BTreeMap<String, String> = serde_json::from_str(golden).unwrap();
        let models = cases.iter().map(|(name, expression)| {
            let node = model(name, expression, Materialization::View, &[]);
            Node { database: database.into(), schema: "s".into(), ..node }
        });
        let mut compiler = compiler_for(adapter_type, models.collect(), "");
        let shared = Arc::get_mut(&mut compiler.shared).unwrap();
        shared.target.schema = "s".into();
        for (name, _) in &cases {
            let compiled = compiler.compile(&format!("model.shop.{name}").into(), Rc::new(Recorder::default()));
            let text = compiled.map_or_else(|error| error.diagnostic.to_string(), |compiled| compiled.compiled_code);
            if squeezed(&text) != squeezed(&golden[*name]) {
                different.push(format!(
                    "{adapter_type} {name}\n  dbt:  {}\n  ours: {}",
                    squeezed(&golden[*name]),
                    squeezed(&text)
                ));
            }
        }
    }
    assert!(different.is_empty(), "{} differ\n{}", different.len(), different.join("\n"));
}

#[test]
fn packages_tell_relations_from_other_values() {
    let sql = "{% for x in [this, 'a.b', none] %}{{ x is mapping and x.get('metadata', {}).get('type', '').endswith('Relation') }} \
               {% endfor %}{{ this.get('nope', 5) }} {{ this.metadata is defined }}";
    assert_eq!(one(sql, "", Recorder::default()).0, Ok("True False False 5 False".into()));
}

#[test]
fn whole_floats_of_a_query_keep_their_fraction() {
    let sql = "{{ run_query('q').columns[0].values() | join(' ') }}";
    let table = table(&["x"], vec![vec![Datum::Float(20.0)], vec![Datum::Float(30.25)]]);
    assert_eq!(one(sql, "", Recorder { table, ..Recorder::default() }).0, Ok("20.0 30.25".into()));
}
