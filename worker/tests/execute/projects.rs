//! Real project folders, parsed and built: what templates do with the warehouse at hand.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use common::diagnostic::Code;
use common::run::{RunOptions, Verb};
use common::table::Datum;
use common::task::{FailureKind, NodeStatus, TaskOutcome};
use common::{JsonMap, Manifest, RunId};
use dbt::compile::{Compiler, Invocation};
use dbt::files::ProjectFiles;
use dbt::parse::ParseOptions;
use dbt::project::RawProject;
use worker::adapter::Adapter;
use worker::{Artifacts, Run};

use crate::support::{Place, assignment, places};

/// A project folder.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("dbt_project.yml", "name: shop\nprofile: p\n");
        for (path, text) in files {
            folder.write(path, text);
        }
        folder
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn parse(&self, place: &Place) -> Arc<Manifest> {
        let mut diagnostics = Vec::new();
        let raw = RawProject::load(self.path(), "", &mut diagnostics).unwrap();
        let project = raw.render(&|_| Err("no templates".to_owned()), true, &mut diagnostics).unwrap();
        let files = ProjectFiles::discover(vec![Arc::new(project)], &mut diagnostics);
        let parsed = dbt::parse::parse(&files, &place.target, &ParseOptions::default());
        diagnostics.extend(parsed.diagnostics);
        assert_eq!(diagnostics, []);
        Arc::new(parsed.manifest)
    }

    fn run(&self, place: &Place, full_refresh: bool) -> Run {
        let options = RunOptions { full_refresh, ..RunOptions::new(Verb::Build) };
        let invocation = Invocation {
            full_refresh,
            verb: "build".to_owned(),
            env: Arc::new(BTreeMap::new()),
            ..Invocation::default()
        };
        let compiler = Compiler::new(self.parse(place), place.target.clone(), invocation);
        Run::new(compiler, options, place.target.clone(), self.path().to_owned(), Artifacts::Skip)
    }

    /// Builds these nodes in order, each with success.
    #[track_caller]
    fn build(&self, place: &Place, ids: &[&str]) {
        let run = self.run(place, false);
        for id in ids {
            place.build(&run, id);
        }
    }
}

#[test]
fn references_ephemeral_models_and_seeds_come_together() {
    for place in places() {
        let folder = Folder::new(&[
            ("seeds/raw.csv", "id,amount\n1,10\n2,20\n"),
            (
                "models/clean.sql",
                "{{ config(materialized='ephemeral') }}\nselect id, amount * 2 as amount from {{ ref('raw') }}",
            ),
            (
                "models/total.sql",
                "{{ config(materialized='table') }}\nselect sum(amount) as total from {{ ref('clean') }}",
            ),
            ("models/top.sql", "select total from {{ ref('total') }}"),
        ]);
        folder.build(&place, &["seed.shop.raw", "model.shop.total", "model.shop.top"]);
        assert_eq!(place.rows("select total from main.top"), [["60"]]);
    }
}

#[test]
fn incremental_models_know_when_they_are() {
    for place in places() {
        let folder = Folder::new(&[(
            "models/facts.sql",
            "{{ config(materialized='incremental', unique_key='id') }}\n\
             select {% if is_incremental() %} (select max(id) + 1 from {{ this }}) {% else %} 1 {% endif %} as id",
        )]);
        for _ in 0..3 {
            folder.build(&place, &["model.shop.facts"]);
        }
        assert_eq!(place.rows("select id from main.facts order by id"), [["1"], ["2"], ["3"]]);
        place.build(&folder.run(&place, true), "model.shop.facts");
        assert_eq!(place.rows("select id from main.facts"), [["1"]]);
    }
}

#[test]
fn templates_ask_the_warehouse() {
    for place in places() {
        let folder = Folder::new(&[
            ("models/a.sql", "{{ config(materialized='table') }}\nselect 1 as x, 2 as y"),
            (
                "models/b.sql",
                "-- depends_on: {{ ref('a') }}\n{% set found = run_query('select x + y as z from ' ~ ref('a')) %}\n\
                 select {% if execute %}{{ found.rows[0][0] }} as total, \
                 '{{ adapter.get_columns_in_relation(ref('a')) | map(attribute='name') | join('|') }}' as names\
                 {% else %}1{% endif %}",
            ),
        ]);
        folder.build(&place, &["model.shop.a", "model.shop.b"]);
        assert_eq!(place.rows("select total, names from main.b"), [["3", "x|y"]]);
    }
}

#[test]
fn hooks_are_templates() {
    for place in places() {
        place.connect().execute("create table main.log (what varchar)").unwrap();
        let folder = Folder::new(&[(
            "models/a.sql",
            "{{ config(materialized='table', post_hook=[\"insert into main.log select 'rows ' || count(*) from {{ this }}\", \
             {'sql': \"insert into main.log values ('{{ target.name }}')\", 'transaction': false}]) }}\nselect 1 as x",
        )]);
        folder.build(&place, &["model.shop.a"]);
        assert_eq!(place.rows("select what from main.log order by what"), [["dev"], ["rows 1"]]);
    }
}

#[test]
fn generic_tests_are_judged() {
    for place in places() {
        let folder = Folder::new(&[
            ("models/a.sql", "select 1 as id union all select 1 union all select null"),
            (
                "models/a.yml",
                "models:\n  - name: a\n    columns:\n      - name: id\n        data_tests:\n          - unique\n          \
                 - not_null:\n              config: {where: 'id is not null', severity: warn}\n          \
                 - accepted_values: {arguments: {values: [2], quote: false}}\n",
            ),
        ]);
        folder.build(&place, &["model.shop.a"]);
        let run = folder.run(&place, false);
        let tests: Vec<String> =
            run.manifest().nodes.keys().map(ToString::to_string).filter(|id| id.starts_with("test.")).collect();
        let statuses: Vec<_> = tests
            .iter()
            .map(|id| {
                let result = place.execute(&run, id).result;
                (id.split('.').nth(2).unwrap().split('_').next().unwrap().to_owned(), result.status, result.failures)
            })
            .collect();
        let expected = [
            ("accepted".to_owned(), NodeStatus::Fail, Some(1)),
            ("not".to_owned(), NodeStatus::Pass, Some(0)),
            ("unique".to_owned(), NodeStatus::Fail, Some(1)),
        ];
        assert_eq!(statuses, expected);
    }
}

#[test]
fn the_projects_own_macros_give_the_sql() {
    for place in places() {
        let folder = Folder::new(&[
            (
                "macros/own.sql",
                "{% macro create_table_as(temporary, relation, compiled_code, language='sql') -%}\n\
                 create {{ 'temporary' if temporary }} table {{ relation }} as \
                 select q.*, 'own' as made_by from ({{ compiled_code }}) as q\n{%- endmacro %}\n\
                 {% macro get_incremental_newest_sql(arg_dict) %}\n\
                 delete from {{ arg_dict['target_relation'] }};\n\
                 insert into {{ arg_dict['target_relation'] }} \
                 ({{ arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') }}) \
                 select * from {{ arg_dict['temp_relation'] }} where {{ arg_dict['unique_key'] }} > 1\n{% endmacro %}",
            ),
            ("models/t.sql", "{{ config(materialized='table') }}\nselect 1 as id"),
            (
                "models/i.sql",
                "{{ config(materialized='incremental', incremental_strategy='newest', unique_key='id') }}\n\
                 select 1 as id union all select 2",
            ),
        ]);
        for _ in 0..2 {
            folder.build(&place, &["model.shop.t", "model.shop.i"]);
            assert_eq!(place.rows("select id, made_by from main.t"), [["1", "own"]]);
        }
        assert_eq!(place.rows("select id, made_by from main.i"), [["2", "own"]]);
    }
}

#[test]
fn macros_that_would_go_unheard_are_refused() {
    let place = Place::duckdb();
    let folder = Folder::new(&[
        ("macros/own.sql", "{% macro create_csv_table(model, agate_table) %}select 1{% endmacro %}"),
        ("seeds/s.csv", "id\n1\n"),
    ]);
    let report = place.execute(&folder.run(&place, false), "seed.shop.s");
    let TaskOutcome::Failure { code, message, .. } = report.outcome else { panic!("the seed was loaded") };
    assert_eq!(code, Code::Unsupported);
    assert!(message.contains("'create_csv_table'"), "{message}");
}

#[test]
fn a_materialization_of_the_project_runs_itself() {
    for place in places() {
        let folder = Folder::new(&[
            (
                "macros/pair.sql",
                "{% materialization pair, default %}\n{% set target = this.incorporate(type='table') %}\n\
                 {% call statement('clear') %} drop table if exists {{ target }} {% endcall %}\n\
                 {% call statement('main') %} create table {{ target }} as {{ sql }} union all {{ sql }} {% endcall %}\n\
                 {{ return({'relations': [target]}) }}\n{% endmaterialization %}",
            ),
            ("models/x.sql", "{{ config(materialized='pair') }}\nselect 1 as id"),
        ]);
        for _ in 0..2 {
            folder.build(&place, &["model.shop.x"]);
            assert_eq!(place.rows("select id from main.x"), [["1"], ["1"]]);
        }
        folder.write("models/x.sql", "{{ config(materialized='pair') }}\nselect nothing as id");
        let report = place.execute(&folder.run(&place, false), "model.shop.x");
        assert!(matches!(report.outcome, TaskOutcome::Failure { kind: FailureKind::User, .. }));
        assert_eq!(place.rows("select id from main.x"), [["1"], ["1"]], "the transaction was taken back");
    }
}

#[test]
fn errors_of_templates_name_the_file() {
    let place = Place::duckdb();
    let folder = Folder::new(&[(
        "models/x.sql",
        "select 1\n{% if execute %}{{ exceptions.raise_compiler_error('no way') }}{% endif %}",
    )]);
    let report = place.execute(&folder.run(&place, false), "model.shop.x");
    let message = report.result.message.unwrap();
    assert!(message.starts_with("Compilation Error in model x (models/x.sql)\n  no way"), "{message}");
    assert!(message.contains("> models/x.sql:2"), "{message}");
    assert_eq!(report.result.status, NodeStatus::Error);
}

#[test]
fn operations_run_their_sql_once() {
    let place = Place::duckdb();
    let folder = Folder::new(&[]);
    folder.write(
        "dbt_project.yml",
        "name: shop\nprofile: p\non-run-start:\n  - create table main.marks as select 1 as id\n  - '{{ log(1) }}'\n",
    );
    let run = folder.run(&place, false);
    let adapter = worker::adapter::Adapter::new(place.target.adapter_type, place.connect());
    let operations: Vec<_> = run.manifest().nodes.keys().cloned().collect();
    let answers: Vec<bool> = operations
        .iter()
        .map(|id| worker::execute::operation(&run, id, &adapter, &JsonMap::new()).unwrap().1.is_some())
        .collect();
    assert_eq!(answers, [true, false]);
    assert_eq!(place.rows("select id from main.marks"), [["1"]]);
}

#[test]
fn a_preview_shows_rows_and_builds_nothing() {
    let place = Place::duckdb();
    let folder = Folder::new(&[("models/x.sql", "select 1 as id union all select 2")]);
    let adapter = worker::adapter::Adapter::new(place.target.adapter_type, place.connect());
    let (sql, table) =
        worker::execute::preview(&folder.run(&place, false), &"model.shop.x".into(), &adapter, Some(1)).unwrap();
    assert_eq!((sql.as_str(), table.rows.len()), ("select 1 as id union all select 2", 1));
    assert_eq!(place.relations(), [""; 0]);
}

#[test]
fn unit_tests_read_given_rows_only_and_leave_nothing_behind() {
    for place in places() {
        let folder = Folder::new(&[
            ("models/codes.sql", "{{ config(materialized='table') }}\nselect 1 as id, cast('a' as varchar(3)) as code"),
            (
                "models/facts.sql",
                "{{ config(materialized='incremental') }}\nselect id, code from {{ ref('codes') }}\n\
                 {% if is_incremental() %} where id > (select coalesce(max(id), 0) from {{ this }}) {% endif %}",
            ),
            (
                "models/schema.yml",
                "unit_tests:\n\
                 - name: goes_on\n  model: facts\n  overrides: {macros: {is_incremental: true}}\n  given:\n  \
                 - {input: ref('codes'), rows: [{id: 6, code: abc}, {id: 7, code: longer}, {id: 5}]}\n  \
                 - {input: this, rows: [{id: 5}]}\n  expect: {rows: [{code: longer, id: 7}, {code: abc, id: 6}]}\n\
                 - name: fails\n  model: facts\n  overrides: {macros: {is_incremental: false}}\n  given:\n  \
                 - {input: ref('codes'), rows: [{id: 6}]}\n  expect: {rows: []}\n",
            ),
        ]);
        folder.build(&place, &["model.shop.codes", "model.shop.facts"]);
        let run = folder.run(&place, false);
        let adapter = Adapter::new(place.warehouse.adapter_type(), place.connect());
        for (id, status, failures) in [
            ("unit_test.shop.facts.goes_on", NodeStatus::Pass, 0),
            ("unit_test.shop.facts.fails", NodeStatus::Fail, 1),
            ("unit_test.shop.facts.goes_on", NodeStatus::Pass, 0),
        ] {
            let assignment = assignment(RunId(uuid::Uuid::now_v7()), id, 1);
            let report = worker::execute(&assignment, &run, &adapter, "Thread-1");
            let result = report.result;
            assert_eq!((result.status, result.failures), (status, Some(failures)), "{id}: {:?}", result.message);
            let temporary = match place.is_duckdb() {
                true => "select count(*) from duckdb_tables() where temporary",
                false => "select count(*) from pg_class where relpersistence = 't'",
            };
            let (_, left) = dbt::adapter::Adapter::execute(&adapter, temporary, true).unwrap();
            assert_eq!(left.rows, [[Datum::Int(0)]], "{id}");
        }
        assert_eq!(place.relations(), ["codes", "facts"]);
        assert_eq!(place.rows("select id, code from main.facts"), [["1", "a"]]);
    }
}
