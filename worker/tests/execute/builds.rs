//! Models: each materialization twice, and what stands in its place changes kind.

use common::diagnostic::Code;
use common::manifest::ColumnInfo;
use common::node_config::{Hook, OnSchemaChange};
use common::task::{FailureKind, NodeStatus, TaskOutcome};
use serde_json::json;

use crate::support::{Place, Project, places};

#[test]
fn views_and_tables_take_each_others_place() {
    for place in places() {
        let mut project = Project::new();
        project.model("x", "view", "select 1 as id");
        project.model("above", "view", "select id from main.x");
        let built = |project: &Project, id: &str| place.build(&project.run(&place, |_| {}), id);
        built(&project, "model.p.x");
        built(&project, "model.p.above");
        for (materialized, sql, id) in [
            ("view", "select 2 as id", "2"),
            ("table", "select 3 as id", "3"),
            ("table", "select 4 as id -- no newline", "4"),
            ("view", "select 5 as id", "5"),
            ("incremental", "select 6 as id", "6"),
        ] {
            let node = project.node("x");
            node.config.materialized = materialized.to_owned().into();
            node.raw_code = sql.to_owned();
            built(&project, "model.p.x");
            assert_eq!(place.rows("select id from main.x"), [[id]], "{materialized}");
            assert_eq!(place.rows("select id from main.above"), [[id]], "{materialized}, seen through a view");
        }
    }
}

#[test]
fn messages_are_those_of_the_adapter() {
    for place in places() {
        let mut project = Project::new();
        project.model("v", "view", "select 1 as id");
        project.model("t", "table", "select 1 as id union all select 2");
        let run = project.run(&place, |_| {});
        let said = ["model.p.v", "model.p.t"].map(|id| place.build(&run, id));
        let expected = if place.is_duckdb() { ["OK", "OK"] } else { ["CREATE VIEW", "SELECT 2"] };
        assert_eq!(said, expected);
    }
}

#[test]
fn an_incremental_model_appends_replaces_and_merges() {
    for place in places() {
        for (strategy, key, expected) in [
            (None, None, vec![["1", "a"], ["1", "b"], ["2", "b"]]),
            (Some("append"), None, vec![["1", "a"], ["1", "b"], ["2", "b"]]),
            (Some("delete+insert"), Some("id"), vec![["1", "b"], ["2", "b"]]),
            (Some("merge"), Some("id"), vec![["1", "b"], ["2", "b"]]),
        ] {
            let mut project = Project::new();
            let node = project.model("x", "incremental", "select 1 as id, 'a' as v");
            node.config.incremental_strategy = strategy.map(str::to_owned);
            node.config.unique_key = key.into_iter().map(str::to_owned).collect();
            let refresh = |project: &Project| project.run(&place, |options| options.full_refresh = true);
            place.build(&refresh(&project), "model.p.x");
            project.node("x").raw_code = "select 1 as id, 'b' as v union all select 2, 'b'".to_owned();
            place.build(&project.run(&place, |_| {}), "model.p.x");
            assert_eq!(place.rows("select id, v from main.x order by id, v"), expected, "{strategy:?}");
            place.build(&refresh(&project), "model.p.x");
            assert_eq!(place.rows("select id, v from main.x order by id"), [["1", "b"], ["2", "b"]]);
        }
    }
}

#[test]
fn changed_columns_of_an_incremental_model_follow_the_policy() {
    for place in places() {
        let (int, bigint, text) =
            if place.is_duckdb() { ("INTEGER", "BIGINT", "VARCHAR") } else { ("integer", "bigint", "text") };
        for (policy, expected) in [
            (OnSchemaChange::Ignore, Some(vec![format!("id {int}"), format!("gone {text}")])),
            (OnSchemaChange::Fail, None),
            (
                OnSchemaChange::AppendNewColumns,
                Some(vec![format!("id {int}"), format!("gone {text}"), format!("added {text}")]),
            ),
            (
                OnSchemaChange::SyncAllColumns,
                // dbt's way of changing a type moves the column to the end; DuckDB cannot do it that way.
                Some(match place.is_duckdb() {
                    true => vec![format!("id {bigint}"), format!("added {text}")],
                    false => vec![format!("added {text}"), format!("id {bigint}")],
                }),
            ),
        ] {
            let mut project = Project::new();
            let node = project.model("x", "incremental", "select 1 as id, 'a'::text as gone");
            node.config.on_schema_change = policy;
            place.build(&project.run(&place, |options| options.full_refresh = true), "model.p.x");
            project.node("x").raw_code = match policy {
                OnSchemaChange::Ignore => "select 2 as id, 'b'::text as gone, 'c'::text as added".to_owned(),
                OnSchemaChange::AppendNewColumns => "select 2 as id, null::text as gone, 'c'::text as added".to_owned(),
                _ => "select 2::bigint as id, 'c'::text as added".to_owned(),
            };
            let report = place.execute(&project.run(&place, |_| {}), "model.p.x");
            match expected {
                Some(columns) => {
                    assert_eq!(report.outcome, TaskOutcome::Success, "{policy:?}");
                    assert_eq!(place.columns("x"), columns, "{policy:?}");
                    assert_eq!(place.rows("select id from main.x order by id"), [["1"], ["2"]]);
                }
                None => {
                    let TaskOutcome::Failure { code, kind, .. } = report.outcome else { panic!("{policy:?} passed") };
                    assert_eq!((code, kind), (Code::SchemaChanged, FailureKind::User));
                    assert_eq!(place.rows("select id from main.x"), [["1"]]);
                }
            }
        }
    }
}

#[test]
fn a_model_that_fails_leaves_the_old_relation() {
    for place in places() {
        for materialized in ["view", "table", "incremental"] {
            let mut project = Project::new();
            project.model("x", materialized, "select 1 as id");
            place.build(&project.run(&place, |options| options.full_refresh = true), "model.p.x");
            project.node("x").raw_code = "select\n  nothing as id".to_owned();
            let report = place.execute(&project.run(&place, |_| {}), "model.p.x");
            let TaskOutcome::Failure { kind, code, message } = report.outcome else { panic!("{materialized} passed") };
            assert_eq!((kind, code), (FailureKind::User, Code::SqlError), "{message}");
            assert!(message.ends_with("\n  > target/compiled/p/models/x.sql:2"), "{message}");
            let heading = if place.is_duckdb() { "Runtime Error" } else { "Database Error" };
            assert!(message.starts_with(&format!("{heading} in model x (models/x.sql)\n  ")), "{message}");
            assert_eq!(report.result.status, NodeStatus::Error);
            assert_eq!(place.rows("select id from main.x"), [["1"]]);
            assert_eq!(place.relations(), ["x"], "nothing is left behind");
        }
    }
}

#[test]
fn a_failure_in_the_middle_of_the_publication_takes_everything_back() {
    for place in places() {
        let mut project = Project::new();
        let node = project.model("x", "incremental", "select 1 as id");
        node.config.unique_key = vec!["id".to_owned()];
        place.build(&project.run(&place, |_| {}), "model.p.x");
        let node = project.node("x");
        node.raw_code = "select 1 as id union all select 2".to_owned();
        node.config.post_hook.push(hook("insert into main.nowhere values (1)", true));
        let report = place.execute(&project.run(&place, |_| {}), "model.p.x");
        assert!(matches!(report.outcome, TaskOutcome::Failure { kind: FailureKind::User, .. }));
        assert_eq!(place.rows("select id from main.x"), [["1"]]);
        assert_eq!(place.relations(), ["x"]);
    }
}

fn hook(sql: &str, transaction: bool) -> Hook {
    Hook { sql: sql.to_owned(), transaction, index: None }
}

#[test]
fn hooks_run_around_the_build_in_order() {
    for place in places() {
        place.connect().execute("create table main.log (n integer, what text)").unwrap();
        let note = |what: &str| format!("insert into main.log select count(*), '{what}' from main.log");
        for materialized in ["view", "table", "incremental", "incremental"] {
            place.connect().execute("delete from main.log").unwrap();
            let mut project = Project::new();
            let node = project.model("x", materialized, "select what from main.log");
            node.config.on_schema_change = OnSchemaChange::SyncAllColumns;
            node.config.pre_hook = vec![hook(&note("before, in"), true), hook(&note("before, out"), false)];
            node.config.post_hook =
                vec![hook(&note("after, out"), false), hook(&note("after, in"), true), hook("  ", true)];
            place.build(&project.run(&place, |_| {}), "model.p.x");
            let log = place.rows("select what from main.log order by n");
            assert_eq!(log, [["before, out"], ["before, in"], ["after, in"], ["after, out"]], "{materialized}");
            if materialized == "table" {
                assert_eq!(place.rows("select count(*) from main.x"), [["2"]], "hooks before it are seen by the model");
            }
        }
    }
}

#[test]
fn a_contract_is_enforced() {
    for place in places() {
        let mut project = Project::new();
        let node = project.model("x", "table", "select 'a' as name, 1 as id");
        node.config.contract.enforced = true;
        let column = |name: &str, data_type: &str, constraints: serde_json::Value| ColumnInfo {
            name: name.to_owned(),
            data_type: Some(data_type.to_owned()),
            constraints: constraints.as_array().unwrap().clone(),
            ..ColumnInfo::default()
        };
        let text = if place.is_duckdb() { "varchar" } else { "text" };
        node.columns.insert("id".to_owned(), column("id", "integer", json!([{"type": "not_null"}])));
        node.columns.insert("name".to_owned(), column("name", text, json!([])));
        for _ in 0..2 {
            place.build(&project.run(&place, |_| {}), "model.p.x");
            assert_eq!(place.rows("select * from main.x"), [["1", "a"]]);
        }
        let failed = |project: &Project| match place.execute(&project.run(&place, |_| {}), "model.p.x").outcome {
            TaskOutcome::Failure { code, .. } => code,
            other => panic!("{other:?}"),
        };
        project.node("x").raw_code = "select 'a' as name, null::integer as id".to_owned();
        assert_eq!(failed(&project), Code::SqlError);
        project.node("x").raw_code = "select 'a' as name, '1' as id".to_owned();
        assert_eq!(failed(&project), Code::ContractBroken);
        assert_eq!(place.rows("select * from main.x"), [["1", "a"]]);
    }
}

#[test]
fn descriptions_and_indexes_arrive() {
    for place in places() {
        let mut project = Project::new();
        for name in ["t", "v"] {
            let node = project.model(name, if name == "t" { "table" } else { "view" }, "select 1 as id");
            node.description = format!("it's {name}");
            node.config.persist_docs = json!({"relation": true, "columns": true}).as_object().unwrap().clone();
            for column in ["id", "missing"] {
                let info = ColumnInfo {
                    name: column.to_owned(),
                    description: format!("the {column}"),
                    ..ColumnInfo::default()
                };
                node.columns.insert(column.to_owned(), info);
            }
            if name == "t" {
                node.config.extra.insert("indexes".to_owned(), json!([{"columns": ["id"], "unique": true}]));
            }
        }
        for _ in 0..2 {
            let run = project.run(&place, |_| {});
            place.build(&run, "model.p.t");
            place.build(&run, "model.p.v");
        }
        let comments = if place.is_duckdb() {
            "select comment from duckdb_tables() where table_name = 't' union all select comment from duckdb_views() \
             where view_name = 'v' union all select comment from duckdb_columns() where column_name = 'id' and \
             table_name in ('t', 'v') order by 1"
        } else {
            "select obj_description(oid) from pg_class where relname in ('t', 'v') union all select \
             col_description(oid, 1) from pg_class where relname in ('t', 'v') order by 1"
        };
        assert_eq!(place.rows(comments), [["it's t"], ["it's v"], ["the id"], ["the id"]]);
        let indexes = if place.is_duckdb() {
            "select count(*) from duckdb_indexes() where table_name = 't' and is_unique"
        } else {
            "select count(*) from pg_indexes where tablename = 't' and indexdef like 'CREATE UNIQUE%'"
        };
        assert_eq!(place.rows(indexes), [["1"]]);
    }
}

#[test]
fn ephemeral_models_leave_nothing() {
    let place = Place::duckdb();
    let mut project = Project::new();
    project.model("e", "ephemeral", "select 1 as id");
    let report = place.execute(&project.run(&place, |_| {}), "model.p.e");
    assert_eq!((report.outcome, report.result.status), (TaskOutcome::Success, NodeStatus::NoOp));
    assert_eq!(place.relations(), [""; 0]);
}

#[test]
fn compiled_and_run_sql_are_kept() {
    let place = Place::duckdb();
    let mut project = Project::new();
    project.model("x", "table", "select 1 as id");
    place.build(&project.run(&place, |_| {}), "model.p.x");
    let kept =
        |folder: &str| std::fs::read_to_string(project.target_path().join(folder).join("p/models/x.sql")).unwrap();
    assert_eq!(kept("compiled"), "select 1 as id");
    assert_eq!(kept("run"), "create table \"db\".\"main\".\"x\"\nas (\nselect 1 as id\n);\n");
}

#[test]
fn what_is_not_supported_is_refused_before_anything_changes() {
    let place = Place::duckdb();
    let mut project = Project::new();
    project.model("x", "external", "select 1 as id");
    let report = place.execute(&project.run(&place, |_| {}), "model.p.x");
    let TaskOutcome::Failure { code, message, .. } = report.outcome else { panic!("it was built") };
    assert_eq!(code, Code::Unsupported);
    assert_eq!(
        message,
        "Compilation Error in model x (models/x.sql)\n  materialization 'external' is not supported yet"
    );
}

#[test]
fn an_older_attempt_publishes_nothing() {
    for place in places() {
        let mut project = Project::new();
        project.model("x", "table", "select 1 as id");
        let run = project.run(&place, |_| {});
        let id = common::RunId(uuid::Uuid::now_v7());
        let old = crate::support::assignment(id, "model.p.x", 1);
        place.build(&run, "model.p.x");
        let report = place.attempt(&run, &old);
        assert!(matches!(report.outcome, TaskOutcome::Failure { kind: FailureKind::Fenced, .. }));
        assert_eq!(place.relations(), ["x"]);
    }
}
