//! Exact plans: each materialization, each existing state, each dialect.

use common::diagnostic::Code;
use common::manifest::{ColumnInfo, Node};
use common::node_config::{Materialization, OnSchemaChange};
use common::relation::{Relation, RelationType};
use common::table::Column;
use common::target::AdapterType::{self, Duckdb, Postgres};
use serde_json::json;

use super::fixture::{existing, node, request, target};
use super::incremental::Columns;
use super::overrides::StrategyArguments;
use super::seed::{Load, Seeding};
use super::snapshot::{Sides, Snapshot};
use super::{MacroCall, NoOverrides, Overrides, Plan, Request, Shape};
use super::{contract, incremental, materialized_view, schema_change, seed, snapshot, table, view};
use crate::failure::Result;
use crate::warehouse::Statement;

/// A plan as text, one statement after the other, each with its phase; `*` marks the node's response.
fn show(plan: &Plan) -> String {
    let statement = |phase: &str, statement: &Statement| match statement {
        Statement::Sql { sql, main } => format!("{phase}{}: {sql}\n", if *main { "*" } else { "" }),
        Statement::Swap { staging, target } => format!("{phase}: SWAP {staging} INTO {}\n", typed(target)),
        Statement::ReplaceView { target, sql } => format!("{phase}: VIEW {} {sql}\n", typed(target)),
    };
    let mut text: String = plan.staging.iter().map(|step| statement("stage", step)).collect();
    text.extend(plan.publication.iter().map(|step| statement("publish", step)));
    text.extend(plan.cleanup.iter().map(|sql| format!("cleanup: {sql}\n")));
    text.extend(plan.abandon.iter().map(|sql| format!("abandon: {sql}\n")));
    text
}

fn typed(relation: &Relation) -> String {
    format!("{relation} ({})", relation.relation_type.map_or("absent", RelationType::as_str))
}

fn build(request: &Request<'_>) -> Result<Plan> {
    match Shape::of(request)? {
        Shape::Nothing => Ok(Plan::default()),
        Shape::View => view::plan(request, &mut NoOverrides),
        Shape::Table => table::plan(request, &mut NoOverrides),
        Shape::MaterializedView => materialized_view::create(request),
        Shape::Refresh => materialized_view::refresh(request),
        Shape::NewSnapshot => {
            let first = Snapshot::of(request)?.first_versions(request);
            table::plan(&Request { sql: &first, ..*request }, &mut NoOverrides)
        }
        Shape::Snapshot => {
            let snapshot = Snapshot::of(request)?;
            let query = columns(&[("id", "integer")]);
            let existing = columns(&[
                ("id", "integer"),
                ("dbt_scd_id", "text"),
                ("dbt_updated_at", "timestamp"),
                ("dbt_valid_from", "timestamp"),
                ("dbt_valid_to", "timestamp"),
            ]);
            snapshot.check_table(&existing)?;
            let changes = snapshot.changes(request, Sides { query: &query, existing: &existing, checked: &[] });
            let plan = snapshot::stage(request, &changes, &mut NoOverrides)?;
            let new = columns(&[("dbt_change_type", "text"), ("id", "integer"), ("v", "text")]);
            snapshot::publish(request, &snapshot, plan, Columns { new: &new, existing: &existing })
        }
        Shape::Incremental => {
            let plan = incremental::stage(request, &mut NoOverrides)?;
            let columns = columns(&[("id", "INTEGER"), ("v", "VARCHAR")]);
            let columns = Columns { new: &columns, existing: &columns };
            incremental::publish(request, plan, columns, &mut NoOverrides)
        }
    }
}

fn columns(columns: &[(&str, &str)]) -> Vec<Column> {
    columns
        .iter()
        .map(|(name, data_type)| Column { name: (*name).to_owned(), data_type: (*data_type).to_owned() })
        .collect()
}

#[track_caller]
fn check(node: &Node, dialect: AdapterType, found: Option<RelationType>, expected: &str) {
    let target = target();
    let existing = found.map(existing);
    let plan = build(&request(dialect, node, &target, existing.as_ref())).unwrap();
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let shown = show(&plan);
    let shown: Vec<&str> = shown.lines().map(str::trim).collect();
    assert_eq!(shown, expected);
}

#[track_caller]
fn refuse(node: &Node, dialect: AdapterType, found: Option<RelationType>, code: Code, words: &str) {
    let target = target();
    let existing = found.map(existing);
    let failure = build(&request(dialect, node, &target, existing.as_ref())).unwrap_err();
    assert_eq!((failure.code, failure.message.contains(words)), (code, true), "{}", failure.message);
}

fn snapshot_node(config: &serde_json::Value) -> Node {
    let mut node = node("snapshot");
    node.config.unique_key = vec!["id".to_owned()];
    node.config.extra = config.as_object().unwrap().clone();
    node
}

#[test]
fn a_snapshot_begins_with_the_versions_that_hold() {
    let node = snapshot_node(&json!({ "strategy": "timestamp", "updated_at": "at" }));
    let first = r#"
        publish*: create table "db"."main"."x"
        as (
        select *,
        md5(coalesce(cast(id as varchar), '') || '|' || coalesce(cast(at as varchar), '')) as dbt_scd_id,
        at as dbt_updated_at,
        at as dbt_valid_from,
        coalesce(nullif(at, at), null) as dbt_valid_to
        from (
        select 1 as id
        ) as __dbt_sbq
        )"#;
    check(&node, Duckdb, None, first);
}

#[test]
fn a_snapshot_ends_versions_and_adds_others_in_one_publication() {
    let node = snapshot_node(&json!({ "strategy": "timestamp", "updated_at": "at" }));
    let next = r#"
        stage: create temporary table "x__kontiki_00000000_7"
        as (
        with snapshot_query as (
        select 1 as id
        ),
        given as (
        select *, id as dbt_key_1, at as dbt_at, coalesce(nullif(at, at), null) as dbt_until, md5(coalesce(cast(id as varchar), '') || '|' || coalesce(cast(at as varchar), '')) as dbt_version
        from snapshot_query
        ),
        held as (
        select *, id as dbt_key_1
        from "db"."main"."x"
        where dbt_valid_to is null
        )
        select 'insert' as dbt_change_type, given."id", given.dbt_at as dbt_updated_at, given.dbt_at as dbt_valid_from, given.dbt_until as dbt_valid_to, given.dbt_version as dbt_scd_id
        from given left join held on held.dbt_key_1 = given.dbt_key_1
        where held.dbt_key_1 is null or held.dbt_valid_from < given.dbt_at
        union all
        select 'update', given."id", given.dbt_at, given.dbt_at, given.dbt_at, held.dbt_scd_id
        from given join held on held.dbt_key_1 = given.dbt_key_1
        where held.dbt_valid_from < given.dbt_at
        )
        publish: alter table "db"."main"."x" add column "v" text
        publish: update "db"."main"."x" as held
        set dbt_valid_to = change.dbt_valid_to
        from "x__kontiki_00000000_7" as change
        where change.dbt_scd_id = held.dbt_scd_id
        and change.dbt_change_type in ('update', 'delete')
        and held.dbt_valid_to is null
        publish*: insert into "db"."main"."x" ("id", "v")
        select "id", "v"
        from "x__kontiki_00000000_7"
        where dbt_change_type = 'insert'
        cleanup: drop table if exists "x__kontiki_00000000_7""#;
    check(&node, Postgres, Some(RelationType::Table), next);
}

#[test]
fn what_is_no_snapshot_is_left_alone() {
    let node = snapshot_node(&json!({ "strategy": "timestamp", "updated_at": "at", "hard_deletes": "new_record" }));
    let table = Some(RelationType::Table);
    refuse(&node, Duckdb, table, Code::InvalidConfig, "missing \"dbt_is_deleted\"");
    refuse(&node, Duckdb, Some(RelationType::View), Code::InvalidConfig, "a snapshot is a table");
}

#[test]
fn a_view_replaces_whatever_is_there() {
    for dialect in [Duckdb, Postgres] {
        check(&node("view"), dialect, None, r#"publish: VIEW "db"."main"."x" (absent) select 1 as id"#);
        let view = r#"publish: VIEW "db"."main"."x" (view) select 1 as id"#;
        check(&node("view"), dialect, Some(RelationType::View), view);
        let table = r#"publish: VIEW "db"."main"."x" (table) select 1 as id"#;
        check(&node("view"), dialect, Some(RelationType::Table), table);
    }
}

#[test]
fn a_table_is_replaced_in_place_on_duckdb() {
    let new = r#"
        publish*: create table "db"."main"."x"
        as (
        select 1 as id
        )"#;
    check(&node("table"), Duckdb, None, new);
    let replace = new.replace("create table", "create or replace table");
    check(&node("table"), Duckdb, Some(RelationType::Table), &replace);
    let drop_view = format!("publish: drop view if exists \"db\".\"main\".\"x\"\n{new}");
    check(&node("table"), Duckdb, Some(RelationType::View), &drop_view);
}

#[test]
fn a_table_is_swapped_in_on_postgres() {
    let mut node = node("table");
    let swap = r#"
        stage*: create table "db"."main"."x__kontiki_00000000_7"
        as (
        select 1 as id
        )
        publish: SWAP "db"."main"."x__kontiki_00000000_7" INTO "db"."main"."x" (KIND)
        abandon: drop table if exists "db"."main"."x__kontiki_00000000_7""#;
    for found in [None, Some(RelationType::Table), Some(RelationType::View)] {
        let kind = found.map_or("absent", RelationType::as_str);
        check(&node, Postgres, found, &swap.replace("KIND", kind));
    }
    node.config.extra.insert("unlogged".to_owned(), json!(true));
    let unlogged = swap.replace("create table", "create unlogged table").replace("KIND", "absent");
    check(&node, Postgres, None, &unlogged);
}

#[test]
fn a_header_comes_first() {
    let mut node = node("table");
    node.config.extra.insert("sql_header".to_owned(), json!("set x = 1"));
    let header = r#"
        publish: set x = 1
        publish*: create table "db"."main"."x"
        as (
        select 1 as id
        )"#;
    check(&node, Duckdb, None, header);
    node.config.materialized = Materialization::View;
    check(&node, Duckdb, None, "publish: set x = 1\npublish: VIEW \"db\".\"main\".\"x\" (absent) select 1 as id");
}

#[test]
fn indexes_comments_and_grants_follow_the_table() {
    let mut node = node("table");
    node.description = "It's x.".to_owned();
    node.config.persist_docs = json!({"relation": true, "columns": true}).as_object().unwrap().clone();
    let column = |name: &str| ColumnInfo {
        name: name.to_owned(),
        description: format!("about {name}"),
        ..ColumnInfo::default()
    };
    node.columns = ["id", "gone"].into_iter().map(|name| (name.to_owned(), column(name))).collect();
    node.config.grants.insert("select".to_owned(), vec!["ann".to_owned(), "bob".to_owned()]);
    node.config.extra.insert("indexes".to_owned(), json!([{"columns": ["id"], "unique": true, "type": "btree"}]));
    let target = target();
    let names = ["id".to_owned()];
    let request = Request { columns: &names, ..request(Postgres, &node, &target, None) };
    let shown = show(&build(&request).unwrap());
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[4].starts_with("stage: create unique index \""), "{shown}");
    assert!(lines[4].ends_with("\" on \"db\".\"main\".\"x__kontiki_00000000_7\" using btree (id)"), "{shown}");
    assert_eq!(
        lines[6..9],
        [
            r#"publish: grant select on "db"."main"."x" to ann, bob"#,
            r#"publish: comment on table "db"."main"."x" is $dbt_comment_literal_block$It's x.$dbt_comment_literal_block$"#,
            r#"publish: comment on column "db"."main"."x".id is $dbt_comment_literal_block$about id$dbt_comment_literal_block$"#,
        ]
    );
}

#[test]
fn grants_that_stay_are_compared() {
    let mut node = node("incremental");
    node.config.grants.insert("select".to_owned(), vec!["ann".to_owned(), "bob".to_owned()]);
    let (target, existing) = (target(), existing(RelationType::Table));
    let held = [("SELECT".to_owned(), "ann".to_owned()), ("INSERT".to_owned(), "eve".to_owned())];
    let request = Request { held_grants: &held, ..request(Postgres, &node, &target, Some(&existing)) };
    assert!(Shape::Incremental.needs_grants(&request));
    assert_eq!(
        super::grants::statements(&request),
        [r#"revoke insert on "db"."main"."x" from "eve""#, r#"grant select on "db"."main"."x" to bob"#]
    );
}

#[test]
fn what_duckdb_has_no_use_for_is_warned_of() {
    let target = target();
    let mut node = node("table");
    let warned = |node: &Node, dialect, makes_table| {
        super::ignored::warnings(&request(dialect, node, &target, None), makes_table).map_err(|failure| failure.message)
    };
    assert_eq!(warned(&node, Duckdb, true), Ok(Vec::new()));
    node.config.grants.insert("select".to_owned(), vec!["ann".to_owned()]);
    node.config.extra.insert("partition_by".to_owned(), json!("id"));
    node.config.extra.insert("sorted_by".to_owned(), json!(["id"]));
    let grants = "DuckDB adapter: Grants for relations are not supported by DuckDB";
    let layout = |setting| {
        format!(
            "DuckDB adapter: {setting} is only supported for DuckLake relations; ignoring for \"db\".\"main\".\"x\""
        )
    };
    let all = vec![layout("partitioned_by/partition_by"), layout("sorted_by/sort_by"), grants.to_owned()];
    assert_eq!(warned(&node, Duckdb, true), Ok(all));
    assert_eq!(warned(&node, Duckdb, false), Ok(vec![grants.to_owned()]));
    assert_eq!(warned(&node, Postgres, true), Ok(Vec::new()));
    for (value, message) in [
        (json!([]), "sorted_by/sort_by must contain at least one column"),
        (json!([1]), "sorted_by/sort_by list values must be non-empty strings"),
        (json!({}), "sorted_by/sort_by must be a list of strings or a string"),
    ] {
        node.config.extra.insert("sorted_by".to_owned(), value);
        assert_eq!(warned(&node, Duckdb, true), Err(message.to_owned()));
    }
}

#[test]
fn an_incremental_model_begins_as_a_table() {
    let mut node = node("incremental");
    let target = target();
    let (as_table, as_view) = (existing(RelationType::Table), existing(RelationType::View));
    let shape = |node: &Node, found, full_refresh| {
        Shape::of(&Request { full_refresh, ..request(Duckdb, node, &target, found) }).unwrap()
    };
    assert_eq!(shape(&node, None, false), Shape::Table);
    assert_eq!(shape(&node, Some(&as_view), false), Shape::Table);
    assert_eq!(shape(&node, Some(&as_table), true), Shape::Table);
    assert_eq!(shape(&node, Some(&as_table), false), Shape::Incremental);
    assert!(super::should_full_refresh(&node, true));
    node.config.full_refresh = Some(false);
    assert!(!super::should_full_refresh(&node, true));
}

const STAGED: &str = r#"
    stage: create temporary table "x__kontiki_00000000_7"
    as (
    select 1 as id
    )"#;
const INSERTED: &str = r#"
    publish*: insert into "db"."main"."x" ("id", "v") (
    select "id", "v"
    from "x__kontiki_00000000_7"
    )
    cleanup: drop table if exists "x__kontiki_00000000_7""#;

fn incremental_node(strategy: Option<&str>, unique_key: &[&str], is_list: bool) -> Node {
    let mut node = node("incremental");
    node.config.incremental_strategy = strategy.map(str::to_owned);
    node.config.unique_key = unique_key.iter().map(|key| (*key).to_owned()).collect();
    node.config.unique_key_is_list = is_list;
    node
}

#[test]
fn rows_are_appended_by_default_without_a_key() {
    for dialect in [Duckdb, Postgres] {
        for strategy in [None, Some("append"), Some("delete+insert")] {
            let node = incremental_node(strategy, &[], false);
            check(&node, dialect, Some(RelationType::Table), &format!("{STAGED}{INSERTED}"));
        }
    }
}

#[test]
fn rows_with_the_same_key_are_replaced() {
    let mut single = incremental_node(None, &["id"], false);
    single.config.incremental_predicates = vec!["v > 'a'".to_owned()];
    let duckdb = r#"
        publish: delete from "db"."main"."x"
        where (id) in (
        select (id)
        from "x__kontiki_00000000_7"
        )
        and v > 'a'"#;
    check(&single, Duckdb, Some(RelationType::Table), &format!("{STAGED}{duckdb}{INSERTED}"));
    let postgres = r#"
        publish: delete from "db"."main"."x" as DBT_INTERNAL_DEST
        where (id) in (
        select distinct id
        from "x__kontiki_00000000_7" as DBT_INTERNAL_SOURCE
        )
        and v > 'a'"#;
    check(&single, Postgres, Some(RelationType::Table), &format!("{STAGED}{postgres}{INSERTED}"));

    let many = incremental_node(Some("delete+insert"), &["id", "v"], true);
    let duckdb = r#"
        publish: delete from "db"."main"."x" as DBT_INCREMENTAL_TARGET
        using "x__kontiki_00000000_7"
        where (
        "x__kontiki_00000000_7".id = DBT_INCREMENTAL_TARGET.id
        and "x__kontiki_00000000_7".v = DBT_INCREMENTAL_TARGET.v
        )"#;
    check(&many, Duckdb, Some(RelationType::Table), &format!("{STAGED}{duckdb}{INSERTED}"));
}

#[test]
fn rows_are_merged() {
    let merge = |dialect, configure: &dyn Fn(&mut Node), body: &str| {
        let mut node = incremental_node(Some("merge"), &["id"], false);
        configure(&mut node);
        let cleanup = "cleanup: drop table if exists \"x__kontiki_00000000_7\"";
        let head = "publish*: merge into \"db\".\"main\".\"x\" as DBT_INTERNAL_DEST\nusing \"x__kontiki_00000000_7\" as \
                    DBT_INTERNAL_SOURCE";
        check(&node, dialect, Some(RelationType::Table), &format!("{STAGED}\n{head}\n{body}\n{cleanup}"));
    };
    merge(
        Postgres,
        &|_| {},
        "on (DBT_INTERNAL_SOURCE.id = DBT_INTERNAL_DEST.id)
         when matched then update set \"id\" = DBT_INTERNAL_SOURCE.\"id\", \"v\" = DBT_INTERNAL_SOURCE.\"v\"
         when not matched then insert (\"id\", \"v\")
         values (\"id\", \"v\")",
    );
    merge(
        Postgres,
        &|node| {
            node.config.merge_exclude_columns = vec!["ID".to_owned()];
            node.config.extra.insert("predicates".to_owned(), json!(["DBT_INTERNAL_DEST.v > 'a'"]));
        },
        "on (DBT_INTERNAL_DEST.v > 'a') and (DBT_INTERNAL_SOURCE.id = DBT_INTERNAL_DEST.id)
         when matched then update set \"v\" = DBT_INTERNAL_SOURCE.\"v\"
         when not matched then insert (\"id\", \"v\")
         values (\"id\", \"v\")",
    );
    merge(
        Duckdb,
        &|_| {},
        "on (DBT_INTERNAL_SOURCE.id = DBT_INTERNAL_DEST.id)
         when matched then update by name
         when not matched then insert by name",
    );
    merge(
        Duckdb,
        &|node| {
            node.config.merge_update_columns = vec!["v".to_owned()];
            node.config.extra.insert("merge_update_condition".to_owned(), json!("DBT_INTERNAL_SOURCE.v <> ''"));
            node.config.extra.insert("merge_update_set_expressions".to_owned(), json!({"n": "n + 1"}));
        },
        "on (DBT_INTERNAL_SOURCE.id = DBT_INTERNAL_DEST.id)
         when matched and DBT_INTERNAL_SOURCE.v <> '' then update set n = n + 1, v = DBT_INTERNAL_SOURCE.v
         when not matched then insert by name",
    );
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let table = Some(RelationType::Table);
    refuse(
        &incremental_node(Some("insert_overwrite"), &[], false),
        Duckdb,
        table,
        Code::InvalidConfig,
        "insert_overwrite",
    );
    refuse(&incremental_node(Some("mine"), &[], false), Duckdb, table, Code::UnknownMacro, "get_incremental_mine_sql");
    refuse(&node("external"), Duckdb, None, Code::Unsupported, "'external'");
    refuse(&snapshot_node(&json!({ "strategy": "mine" })), Duckdb, None, Code::Unsupported, "snapshot strategy 'mine'");
    refuse(&node("materialized_view"), Duckdb, None, Code::Unsupported, "'materialized_view' on duckdb");
    let mut both = incremental_node(Some("merge"), &["id"], false);
    both.config.merge_update_columns = vec!["v".to_owned()];
    both.config.merge_exclude_columns = vec!["id".to_owned()];
    refuse(&both, Duckdb, table, Code::CompilerError, "only one config");
}

#[test]
fn an_ephemeral_model_is_not_built() {
    check(&node("ephemeral"), Duckdb, None, "");
}

#[test]
fn a_materialized_view_is_refreshed_or_replaced() {
    let created = r#"
        publish*: create materialized view "db"."main"."x" as (
        select 1 as id
        )"#;
    check(&node("materialized_view"), Postgres, None, created);
    let replaced = format!("publish: drop table if exists \"db\".\"main\".\"x\" cascade\n{created}");
    check(&node("materialized_view"), Postgres, Some(RelationType::Table), &replaced);
    let refreshed = r#"publish*: refresh materialized view "db"."main"."x""#;
    check(&node("materialized_view"), Postgres, Some(RelationType::MaterializedView), refreshed);
}

#[test]
fn changed_columns_follow_the_policy() {
    let new = columns(&[("id", "BIGINT"), ("added", "DATE")]);
    let old = columns(&[("id", "INTEGER"), ("gone", "VARCHAR")]);
    let reconcile = |policy, dialect| {
        let target = target();
        schema_change::reconcile(policy, dialect, &target, &new, &old)
            .map(|(statements, inserted)| (statements, inserted.to_vec()))
    };
    assert_eq!(reconcile(OnSchemaChange::Ignore, Duckdb).unwrap(), (Vec::new(), old.clone()));
    let failure = reconcile(OnSchemaChange::Fail, Duckdb).unwrap_err();
    assert_eq!(failure.code, Code::SchemaChanged);
    assert!(failure.message.contains("Source columns not in target: [added DATE]"), "{}", failure.message);
    assert_eq!(
        reconcile(OnSchemaChange::AppendNewColumns, Duckdb).unwrap(),
        (vec![r#"alter table "db"."main"."x" add column "added" DATE"#.to_owned()], new.clone())
    );
    let retyped = [
        r#"alter table "db"."main"."x" add column "id__dbt_alter" BIGINT"#,
        r#"update "db"."main"."x" set "id__dbt_alter" = "id""#,
        r#"alter table "db"."main"."x" drop column "id" cascade"#,
        r#"alter table "db"."main"."x" rename column "id__dbt_alter" to "id""#,
    ];
    let (statements, _) = reconcile(OnSchemaChange::SyncAllColumns, Duckdb).unwrap();
    assert_eq!(
        statements[..2],
        [r#"alter table "db"."main"."x" add column "added" DATE"#, r#"alter table "db"."main"."x" drop column "gone""#]
    );
    assert_eq!(statements[2..], [r#"alter table "db"."main"."x" alter column "id" type BIGINT"#]);
    let (statements, _) = reconcile(OnSchemaChange::SyncAllColumns, Postgres).unwrap();
    assert_eq!(statements[0], r#"alter table "db"."main"."x" add column "added" DATE, drop column "gone""#);
    assert_eq!(statements[1..], retyped);
    let same = schema_change::reconcile(OnSchemaChange::Fail, Duckdb, &target(), &new, &new).unwrap();
    assert_eq!(same, (Vec::new(), new.as_slice()));
}

#[test]
fn short_text_grows() {
    let new = columns(&[("a", "character varying(20)"), ("b", "text"), ("c", "integer")]);
    let old = columns(&[("a", "character varying(10)"), ("b", "text"), ("c", "smallint")]);
    let statements = schema_change::widen(&target(), &new, &old);
    assert_eq!(statements[0], r#"alter table "db"."main"."x" add column "a__dbt_alter" character varying(20)"#);
    assert_eq!(statements.len(), 4);
    assert_eq!(schema_change::widen(&target(), &old, &new), Vec::<String>::new());
}

fn contracted() -> Node {
    let mut node = node("table");
    node.config.contract.enforced = true;
    let column = |name: &str, data_type: &str, constraints: serde_json::Value| ColumnInfo {
        name: name.to_owned(),
        data_type: Some(data_type.to_owned()),
        constraints: constraints.as_array().unwrap().clone(),
        ..ColumnInfo::default()
    };
    let id = column("id", "integer", json!([{"type": "not_null"}, {"type": "primary_key"}]));
    let label =
        ColumnInfo { quote: Some(true), ..column("Label", "text", json!([{"type": "check", "expression": "1=1"}])) };
    node.columns = [("id".to_owned(), id), ("Label".to_owned(), label)].into_iter().collect();
    node.model = Some(common::manifest::ModelInfo {
        constraints: vec![json!({"type": "unique", "name": "u", "columns": ["id", "Label"]})],
        ..Default::default()
    });
    node
}

#[test]
fn a_contract_is_in_the_ddl() {
    check(
        &contracted(),
        Duckdb,
        Some(RelationType::Table),
        r#"
        publish: create or replace table "db"."main"."x" (
        id integer not null primary key,
        "Label" text check (1=1),
        constraint u unique (id, Label)
        )
        publish*: insert into "db"."main"."x" (id, "Label") (
        select id, "Label"
        from (
        select 1 as id
        ) as model_subq
        )"#,
    );
}

#[test]
fn a_contract_is_compared_with_the_query() {
    let promised = columns(&[("id", "integer"), ("name", "character varying(10)"), ("gone", "date")]);
    let query = columns(&[("name", "text"), ("id", "bigint"), ("extra", "date")]);
    let failure = contract::compare(Postgres, &query, &promised).unwrap_err();
    assert_eq!(failure.code, Code::ContractBroken);
    let table = "\
| column_name | definition_type | contract_type | mismatch_reason       |
| ----------- | --------------- | ------------- | --------------------- |
| extra       | date            |               | missing in contract   |
| gone        |                 | date          | missing in definition |
| id          | bigint          | integer       | data type mismatch    |";
    assert!(failure.message.ends_with(table), "{}", failure.message);
    assert_eq!(contract::compare(Postgres, &promised, &promised), Ok(()));
    assert_eq!(
        contract::empty_query(&contracted()).unwrap(),
        r#"select cast(null as integer) as id, cast(null as text) as "Label" limit 0"#
    );
}

#[test]
fn seeds_are_copied_into_duckdb() {
    let mut node = node("seed");
    let target = target();
    let found = existing(RelationType::Table);
    let types = columns(&[("id", "integer"), ("v", "text")]);
    let path = std::path::Path::new("/seeds/it's.csv");
    let load = Load::Copy { path, delimiter: ";" };
    let plan = |node: &Node, found: Option<&Relation>, full_refresh| {
        let request = Request { full_refresh, ..request(Duckdb, node, &target, found) };
        show(&seed::plan(&request, Seeding::of(&request).unwrap(), &types, &load).unwrap())
    };
    let copy = "publish: copy \"db\".\"main\".\"x\" from '/seeds/it''s.csv' (format csv, header true, delimiter ';')\n";
    let definition = r#""db"."main"."x" ("id" integer, "v" text)"#;
    assert_eq!(plan(&node, None, false), format!("publish: create table {definition}\n{copy}"));
    assert_eq!(plan(&node, Some(&found), false), format!("publish: truncate table \"db\".\"main\".\"x\"\n{copy}"));
    assert_eq!(plan(&node, Some(&found), true), format!("publish: create or replace table {definition}\n{copy}"));
    node.config.quote_columns = Some(false);
    let bare = definition.replace("\"id\"", "id").replace("\"v\"", "v");
    assert_eq!(plan(&node, None, false), format!("publish: create table {bare}\n{copy}"));
    let as_view = existing(RelationType::View);
    let failure = Seeding::of(&request(Duckdb, &node, &target, Some(&as_view))).unwrap_err();
    assert_eq!(failure.message, r#"Cannot seed to '"db"."main"."x"', it is a view"#);
}

#[test]
fn seeds_never_show_postgres_readers_an_empty_table() {
    let node = node("seed");
    let target = target();
    let found = existing(RelationType::Table);
    let types = columns(&[("id", "integer")]);
    let plan = |found: Option<&Relation>| {
        let request = request(Postgres, &node, &target, found);
        let seeding = Seeding::of(&request).unwrap();
        let load = Load::Rows { into: seed::rows_into(&request, seeding) };
        show(&seed::plan(&request, seeding, &types, &load).unwrap())
    };
    assert_eq!(
        plan(None),
        "stage: create table \"db\".\"main\".\"x__kontiki_00000000_7\" (\"id\" integer)\npublish: SWAP \
         \"db\".\"main\".\"x__kontiki_00000000_7\" INTO \"db\".\"main\".\"x\" (absent)\nabandon: drop table if exists \
         \"db\".\"main\".\"x__kontiki_00000000_7\"\n"
    );
    assert_eq!(
        plan(Some(&found)),
        "stage: create temporary table \"x__kontiki_00000000_7\" (like \"db\".\"main\".\"x\" including defaults)\npublish: delete \
         from \"db\".\"main\".\"x\"\npublish: insert into \"db\".\"main\".\"x\" (\"id\") select \"id\" from \
         \"x__kontiki_00000000_7\"\ncleanup: drop table if exists \"x__kontiki_00000000_7\"\n"
    );
}

#[test]
fn responses_of_seeds_are_those_of_dbt() {
    let node = node("seed");
    let target = target();
    let request = request(Duckdb, &node, &target, None);
    assert_eq!(Seeding::response(&request, 3).message, "INSERT 3");
    assert_eq!(Seeding::response(&Request { full_refresh: true, ..request }, 3).message, "CREATE 3");
}

#[test]
fn hooks_before_the_build_take_it_into_the_transaction() {
    let node = node("table");
    let target = target();
    let plan = build(&request(Postgres, &node, &target, None)).unwrap();
    assert_eq!(plan.clone().after_hooks(Vec::new()), plan);
    let shown = show(&plan.after_hooks(vec!["create temp table t as select 1".to_owned()]));
    let phases: Vec<&str> = shown.lines().filter_map(|line| line.split_once(": ").map(|(phase, _)| phase)).collect();
    assert_eq!(phases, ["publish", "publish*", "publish", "abandon"]);
}

/// A project with its own `create_table_as` and `get_incremental_mine_sql`.
struct Own;

impl Overrides for Own {
    fn call(&mut self, call: &MacroCall<'_>) -> Result<Option<String>> {
        Ok(match call {
            MacroCall::CreateTableAs { temporary, relation, sql } => {
                Some(format!("own({temporary}, {relation}, {sql})"))
            }
            MacroCall::Strategy { name: "mine", arguments: StrategyArguments { temporary, .. } } => {
                Some(format!("mine({temporary})"))
            }
            _ => None,
        })
    }
}

#[test]
fn macros_of_the_project_give_the_text() {
    let (node, target) = (node("table"), target());
    let found = existing(RelationType::Table);
    let plan = table::plan(&request(Duckdb, &node, &target, Some(&found)), &mut Own).unwrap();
    assert_eq!(
        show(&plan),
        "publish: drop table if exists \"db\".\"main\".\"x\"\npublish*: own(false, \"db\".\"main\".\"x\", select 1 as id)\n"
    );
    let node = incremental_node(Some("mine"), &[], false);
    let request = request(Duckdb, &node, &target, Some(&found));
    let plan = incremental::stage(&request, &mut Own).unwrap();
    let plan =
        incremental::publish(&request, plan, incremental::Columns { new: &[], existing: &[] }, &mut Own).unwrap();
    assert_eq!(
        show(&plan),
        "stage: own(true, \"x__kontiki_00000000_7\", select 1 as id)\npublish*: mine(\"x__kontiki_00000000_7\")\ncleanup: drop table if \
         exists \"x__kontiki_00000000_7\"\n"
    );
}
