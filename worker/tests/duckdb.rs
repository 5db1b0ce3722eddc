//! The DuckDB warehouse over the real library.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::diagnostic::Code;
use common::relation::{Quoting, Relation, RelationType};
use common::table::{Column, Datum, Response};
use common::target::{self, AdapterType};
use common::task::FailureKind;
use common::{Epoch, NodeId, RunId};
use worker::warehouse::staging::Builder;
use worker::warehouse::{self, Collected, Connection, Publication, Statement, Warehouse, staging};

fn profile(settings: serde_json::Value) -> target::Connection {
    let mut settings = settings.as_object().unwrap().clone();
    settings.insert("library".to_owned(), testing::duckdb_library().to_str().unwrap().into());
    target::Connection { adapter_type: AdapterType::Duckdb, settings }
}

fn open(path: &Path) -> Arc<dyn Warehouse> {
    warehouse::open(&profile(serde_json::json!({"path": path})), "test").unwrap()
}

fn memory() -> Box<dyn Connection> {
    warehouse::open(&profile(serde_json::json!({"path": ":memory:"})), "test").unwrap().connect().unwrap()
}

fn builder(epoch: u64) -> Builder {
    Builder { run: RunId(uuid::Uuid::nil()), epoch: Epoch(epoch) }
}

fn row(connection: &mut dyn Connection, sql: &str) -> Vec<Datum> {
    connection.query(sql).unwrap().1.rows.remove(0)
}

fn text(text: &str) -> Datum {
    Datum::Text(text.to_owned())
}

fn publication(node: &str, epoch: u64, relation: &Relation, statements: Vec<Statement>) -> Publication {
    Publication {
        run: RunId(uuid::Uuid::nil()),
        node: NodeId::from(node),
        epoch: Epoch(epoch),
        relation: relation.clone(),
        statements,
        response: None,
    }
}

#[test]
fn decodes_every_scalar_type() {
    let mut connection = memory();
    let (_, table) = connection
        .query(
            "select true, 1::tinyint, -2::bigint, 18446744073709551615::ubigint, \
             170141183460469231731687303715884105727::hugeint, 1.5::double, '123.450'::decimal(18,3), \
             '-0.05'::decimal(4,2), 'é' || repeat('x', 20), '\\xAB\\x00'::blob, date '2024-02-29', \
             time '12:30:00.5', timestamp '1969-12-31 23:59:59.25', timestamptz '2024-05-01 12:00:00+02', \
             null, 'b'::enum('a', 'b'), '1'::json, date '0044-03-15 (BC)', 'infinity'::timestamp",
        )
        .unwrap();
    let types: Vec<_> = table.columns.iter().map(|column| column.data_type.as_str()).collect();
    assert_eq!(
        types,
        [
            "BOOLEAN",
            "TINYINT",
            "BIGINT",
            "UBIGINT",
            "HUGEINT",
            "DOUBLE",
            "DECIMAL(18,3)",
            "DECIMAL(4,2)",
            "VARCHAR",
            "BLOB",
            "DATE",
            "TIME",
            "TIMESTAMP",
            "TIMESTAMP WITH TIME ZONE",
            "INTEGER",
            "ENUM('a', 'b')",
            "JSON",
            "DATE",
            "TIMESTAMP"
        ]
    );
    assert_eq!(
        table.rows,
        [vec![
            Datum::Bool(true),
            Datum::Int(1),
            Datum::Int(-2),
            Datum::Decimal("18446744073709551615".to_owned()),
            Datum::Decimal("170141183460469231731687303715884105727".to_owned()),
            Datum::Float(1.5),
            Datum::Decimal("123.450".to_owned()),
            Datum::Decimal("-0.05".to_owned()),
            text("éxxxxxxxxxxxxxxxxxxxx"),
            Datum::Bytes(vec![0xab, 0]),
            Datum::Date("2024-02-29".to_owned()),
            Datum::Time("12:30:00.5".to_owned()),
            Datum::Timestamp("1969-12-31 23:59:59.25".to_owned()),
            Datum::Timestamp("2024-05-01 10:00:00+00".to_owned()),
            Datum::Null,
            text("b"),
            text("1"),
            Datum::Date("0044-03-15 (BC)".to_owned()),
            Datum::Timestamp("infinity".to_owned()),
        ]]
    );
}

/// DuckDB's own `::varchar` is the oracle.
#[test]
fn prints_other_types_as_duckdb_does() {
    let mut connection = memory();
    connection.execute("set timezone = 'UTC'").unwrap();
    for expression in [
        "interval '1 year 14 months -3 days 04:05:06.789'",
        "interval '-1 month'",
        "interval '0 days'",
        "interval '-00:00:01'",
        "uuid '00112233-4455-6677-8899-aabbccddeeff'",
        "'0101101'::bit",
        "[1, null, 3]",
        "['a', 'b, c', '', 'null', NULL, 'it''s', ' x', 'p:q', 'a\\b']",
        "[[1.5, 2], []]",
        "{'a': 1, 'b c': 'x', 'd': {'e': [date '2024-01-01']}}",
        "map {'k': 1.25::double, 'l': 1e20::double}",
        "[0.1::float, 1e-7::float, 100::float]",
        "[1e15::double, 1e16::double, 123456.789::double, 1e-4::double, 1e-5::double, 'nan'::double]",
        "array_value(1, 2, 3)",
        "union_value(num := 2)",
        "[timestamp '2024-01-01 00:00:00', timestamp '2024-01-01 00:00:00.1']",
        "[timestamptz '2024-01-01 00:00:00+00']",
        "['\\xAA a'::blob]",
        "row(1, 'a')",
        "[time '01:02:03']",
        "[true, false]",
        "[timetz '01:02:03+05:30']",
    ] {
        let cells = row(&mut *connection, &format!("select v, v::varchar from (select {expression} as v)"));
        let Datum::Text(expected) = &cells[1] else { panic!("{expression}: {cells:?}") };
        assert_eq!(cells[0], Datum::Other(expected.clone()), "{expression}");
    }
}

/// So that what is said of a type is what `create table` understands.
#[test]
fn names_types_as_the_catalog_does() {
    let mut connection = memory();
    connection
        .execute(
            "create table t as select [1] as a, {'x': 1, 'Y z': 'b'} as b, map {'k': 1} as c, array_value(1, 2) as d, \
             interval '1 day' as e, uuid() as f, '1'::bit as g, time '01:00:00' as h, now() as i, \
             'a'::enum('a') as j, 1.5 as k, union_value(n := 1) as l, timetz '01:00:00+01' as m",
        )
        .unwrap();
    let relation = Relation::new("memory", "main", "t");
    let declared = connection.columns(&relation).unwrap();
    let returned = connection.query("select * from t").unwrap().1.columns;
    assert_eq!(declared, returned);
}

#[test]
fn classifies_errors_and_finds_their_place() {
    let mut connection = memory();
    let mut fail = |sql: &str| connection.execute(sql).unwrap_err();
    let error = fail("select 1;\nselect\n  nope from (select 1 as a)");
    assert_eq!((error.kind, error.code), (FailureKind::User, Code::SqlError));
    assert_eq!(error.native_code.as_deref(), Some("Binder"));
    assert!(error.message.starts_with("Binder Error: Referenced column \"nope\" not found"), "{}", error.message);
    assert_eq!(error.position, Some("select 1;\nselect\n  ".len()));
    let long = format!(
        "select {}2,\n {}nope, {} from (select 1 as a)",
        "1, ".repeat(50),
        "'é', ".repeat(40),
        "1, ".repeat(50) + "2"
    );
    assert_eq!(fail(&long).position, long.find("nope"));
    assert_eq!(fail("selec 1").native_code.as_deref(), Some("Parser"));
    assert_eq!(fail("select * from missing").native_code.as_deref(), Some("Catalog"));
    assert_eq!(fail("select 'x'::int").native_code.as_deref(), Some("Conversion"));
    let error = fail("select * from read_csv('no-such-file.csv')");
    assert_eq!((error.kind, error.native_code.as_deref()), (FailureKind::User, Some("IO")));
    assert_eq!(fail("select '\0'").kind, FailureKind::User);
}

#[test]
fn a_script_is_all_or_nothing() {
    let mut connection = memory();
    connection.execute("create table t (a int)").unwrap();
    connection.execute("insert into t values (1); insert into t values ('x'); insert into t values (3)").unwrap_err();
    assert_eq!(row(&mut *connection, "select count(*) from t"), [Datum::Int(0)]);
    // A constraint error inside a transaction, which DuckDB would let one commit after.
    connection.begin().unwrap();
    connection.execute("insert into t values (1)").unwrap();
    connection.execute("select nope").unwrap_err();
    assert!(connection.execute("insert into t values (2)").unwrap_err().message.contains("rolled back"));
    assert!(connection.commit().is_err());
    assert_eq!(row(&mut *connection, "select count(*) from t"), [Datum::Int(0)]);
    connection.rollback().unwrap();
    connection.execute("insert into t values (4); insert into t values (5)").unwrap();
    assert_eq!(row(&mut *connection, "select count(*) from t"), [Datum::Int(2)]);
}

#[test]
fn conflicts_are_transient() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(&folder.path().join("a.duckdb"));
    let (mut first, mut second) = (warehouse.connect().unwrap(), warehouse.connect().unwrap());
    first.execute("create table t as select 1 as a").unwrap();
    first.begin().unwrap();
    second.begin().unwrap();
    first.execute("update t set a = 2").unwrap();
    let error = second.execute("update t set a = 3").unwrap_err();
    assert_eq!((error.kind, error.code), (FailureKind::Transient, Code::WarehouseConflict), "{}", error.message);
    first.commit().unwrap();
}

#[test]
fn cancel_stops_a_long_query() {
    let mut connection = memory();
    let canceller = connection.canceller();
    canceller.cancel();
    assert_eq!(row(&mut *connection, "select 1"), [Datum::Int(1)], "a cancel without a statement does nothing");
    let done = Arc::new(AtomicBool::new(false));
    let watched = done.clone();
    let watcher = std::thread::spawn(move || {
        while !watched.load(Ordering::Relaxed) {
            canceller.cancel();
            std::thread::yield_now();
        }
    });
    let error = connection.query("select count(*) from range(1000000) a, range(1000000) b where a.range * b.range = 7");
    done.store(true, Ordering::Relaxed);
    watcher.join().unwrap();
    let error = error.unwrap_err();
    assert_eq!((error.kind, error.code), (FailureKind::Canceled, Code::Canceled));
    assert_eq!(row(&mut *connection, "select 1"), [Datum::Int(1)]);
}

#[test]
fn one_instance_for_each_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.duckdb");
    let first = open(&path);
    first.connect().unwrap().execute("create table t as select 1 as a").unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(folder.path(), &link).unwrap();
    let second = open(&link.join("a.duckdb"));
    assert_eq!(row(&mut *second.connect().unwrap(), "select a from t"), [Datum::Int(1)]);
    drop((first, second));
    assert_eq!(row(&mut *open(&path).connect().unwrap(), "select a from t"), [Datum::Int(1)]);
}

#[test]
fn files_that_cannot_be_opened_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let fail =
        |path: &Path| warehouse::open(&profile(serde_json::json!({"path": path})), "test").map(drop).unwrap_err();
    let error = fail(&folder.path().join("no/such/folder.duckdb"));
    assert_eq!(error.code, Code::WarehouseUnavailable);
    assert!(error.message.contains("the folder of the database file must exist"), "{}", error.message);
    let corrupt = folder.path().join("corrupt.duckdb");
    std::fs::write(&corrupt, "not a database, but long enough to look like one".repeat(1000)).unwrap();
    let error = fail(&corrupt);
    assert_eq!(error.kind, FailureKind::System);
    assert!(error.message.contains("not a DuckDB database"), "{}", error.message);
}

#[test]
fn finds_relations_whatever_the_case() {
    let mut connection = memory();
    connection.create_schema("memory", "we\"ird").unwrap();
    connection.create_schema("memory", "we\"ird").unwrap();
    connection.execute("create table \"we\"\"ird\".\"T a\" (a int, \"B\" varchar(5)); create view \"we\"\"ird\".v as select 1 as x").unwrap();
    let table = Relation::new("memory", "we\"ird", "T a").with_type(RelationType::Table);
    let view = Relation::new("memory", "we\"ird", "v").with_type(RelationType::View);
    assert_eq!(connection.get_relation("MEMORY", "WE\"IRD", "t A").unwrap(), Some(table.clone()));
    assert_eq!(connection.get_relation("memory", "we\"ird", "none").unwrap(), None);
    assert_eq!(connection.list_relations("memory", "we\"ird").unwrap(), [table.clone(), view]);
    let columns = connection.columns(&table).unwrap();
    assert_eq!(
        columns,
        [
            Column { name: "a".to_owned(), data_type: "INTEGER".to_owned() },
            Column { name: "B".to_owned(), data_type: "VARCHAR".to_owned() }
        ]
    );
    assert!(connection.list_schemas("memory").unwrap().contains(&"we\"ird".to_owned()));
}

#[test]
fn loads_text_into_typed_columns() {
    let mut connection = memory();
    connection.execute("create table s (a int, b date, c decimal(8,2), d varchar, e boolean)").unwrap();
    let relation = Relation::new("memory", "main", "s");
    let columns: Vec<Column> =
        ["b", "a", "d"].map(|name| Column { name: name.to_owned(), data_type: String::new() }).into();
    let cell = |text: &str| Some(text.to_owned());
    let mut rows = vec![vec![cell("2024-01-02"), cell("7"), cell("")], vec![None, cell("-1"), None]].into_iter();
    assert_eq!(connection.load(&relation, &columns, &mut rows).unwrap(), 2);
    let table = connection.query("select a, b, c, d, e from s order by a").unwrap().1;
    assert_eq!(
        table.rows,
        [
            vec![Datum::Int(-1), Datum::Null, Datum::Null, Datum::Null, Datum::Null],
            vec![Datum::Int(7), Datum::Date("2024-01-02".to_owned()), Datum::Null, text(""), Datum::Null],
        ]
    );
    let mut bad = (0..5000).map(|i| vec![cell("2024-01-02"), cell(if i == 4321 { "x" } else { "1" }), cell("")]);
    let error = connection.load(&relation, &columns, &mut bad).unwrap_err();
    assert_eq!(error.kind, FailureKind::User);
    assert!(error.message.contains("row 4322"), "{}", error.message);
    assert_eq!(row(&mut *connection, "select count(*) from s"), [Datum::Int(2)], "a failed load leaves nothing");
}

#[test]
fn publishes_once_and_remembers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.duckdb");
    let warehouse = open(&path);
    let mut connection = warehouse.connect().unwrap();
    let target = Relation::new("w", "main", "m");
    connection.execute("create view m as select 0 as a; create view over_m as select a from m").unwrap();
    let built = target.clone().with_identifier(staging::name("m", builder(5)));
    connection.execute(&format!("create table {built} as select 1 as a")).unwrap();
    let swap = Statement::Swap { staging: built, target: target.clone() };
    let mut first = publication("model.p.m", 5, &target, vec![swap]);
    first.response =
        Some(Response { message: "SELECT 1".to_owned(), code: Some("SELECT".to_owned()), rows_affected: Some(1) });
    assert_eq!(connection.published(first.run, &first.node).unwrap(), None);
    let response = connection.publish(&first).unwrap();
    assert_eq!(Some(&response), first.response.as_ref());
    assert_eq!(row(&mut *connection, "select a from over_m"), [Datum::Int(1)]);
    let found = connection.get_relation("w", "main", "m").unwrap().unwrap();
    assert_eq!(found.relation_type, Some(RelationType::Table));

    // Back to a view, by a later attempt; then an earlier one is refused and changes nothing.
    let view = |sql: &str| vec![Statement::ReplaceView { target: target.clone(), sql: sql.to_owned() }];
    connection.publish(&publication("model.p.m", 9, &target, view("select 2 as a -- note"))).unwrap();
    let error = connection.publish(&publication("model.p.m", 8, &target, view("select 3 as a"))).unwrap_err();
    assert_eq!((error.kind, error.code), (FailureKind::Fenced, Code::Fenced));
    assert_eq!(connection.claim(&target, Epoch(8)).unwrap_err().kind, FailureKind::Fenced);
    assert_eq!(row(&mut *connection, "select a from over_m"), [Datum::Int(2)]);

    // A publication that fails midway leaves nothing.
    let broken = vec![
        Statement::Sql { sql: "create table half as select 1".to_owned(), main: true },
        Statement::Sql { sql: "select nope".to_owned(), main: false },
    ];
    connection.publish(&publication("model.p.half", 10, &Relation::new("w", "main", "half"), broken)).unwrap_err();
    assert_eq!(connection.get_relation("w", "main", "half").unwrap(), None);

    // After a restart the log still knows.
    drop((connection, warehouse));
    let mut connection = open(&path).connect().unwrap();
    let published = connection.published(first.run, &first.node).unwrap().unwrap();
    assert_eq!(published.epoch, Epoch(9));
    assert_eq!(row(&mut *connection, "select a from over_m"), [Datum::Int(2)]);
}

#[test]
fn a_group_is_published_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(&folder.path().join("w.duckdb"));
    let mut connection = warehouse.connect().unwrap();
    let member = |name: &str, epoch: u64, sql: &str| {
        let target = Relation::new("w", "main", name);
        let view = Statement::ReplaceView { target: target.clone(), sql: sql.to_owned() };
        publication(&format!("model.p.{name}"), epoch, &target, vec![view])
    };
    let (a, b) = (member("a", 1, "select 1 as id"), member("b", 2, "select 2 as id"));
    let stale = member("c", 3, "select 3 as id");
    connection.claim(&stale.relation, Epoch(4)).unwrap();
    let error = connection.publish_group(&[&a, &b, &stale]).unwrap_err();
    assert_eq!(error.kind, FailureKind::Fenced);
    let broken = member("broken", 5, "select nope");
    assert_eq!(connection.publish_group(&[&a, &broken, &b]).unwrap_err().kind, FailureKind::User);
    assert_eq!(connection.list_relations("w", "main").unwrap(), []);
    assert_eq!(connection.published(a.run, &a.node).unwrap(), None);

    assert_eq!(connection.publish_group(&[&b, &a]).unwrap().len(), 2);
    assert_eq!(row(&mut *connection, "select a.id, b.id from a, b"), [Datum::Int(1), Datum::Int(2)]);
    for (publication, epoch) in [(&a, 1), (&b, 2)] {
        assert_eq!(connection.published(publication.run, &publication.node).unwrap().unwrap().epoch, Epoch(epoch));
    }
    // Its fences are taken: an earlier attempt comes too late.
    assert_eq!(connection.publish(&member("b", 1, "select 0 as id")).unwrap_err().kind, FailureKind::Fenced);
}

#[test]
fn groups_over_the_same_relations_queue() {
    const ROUNDS: u64 = 20;
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(&folder.path().join("w.duckdb"));
    let epoch = std::sync::atomic::AtomicU64::new(1);
    std::thread::scope(|scope| {
        for order in [["a", "b", "c"], ["c", "b", "a"]] {
            let (warehouse, epoch) = (&warehouse, &epoch);
            scope.spawn(move || {
                let mut connection = warehouse.connect().unwrap();
                for _ in 0..ROUNDS {
                    let members = order.map(|name| {
                        let target = Relation::new("w", "main", name);
                        let view = Statement::ReplaceView { target: target.clone(), sql: "select 1 as id".to_owned() };
                        let epoch = epoch.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        publication(name, epoch, &target, vec![view])
                    });
                    match connection.publish_group(&members.each_ref()) {
                        Ok(responses) => assert_eq!(responses.len(), 3),
                        // The other group was there first with later epochs.
                        Err(error) => assert_eq!(error.kind, FailureKind::Fenced, "{error}"),
                    }
                }
            });
        }
    });
    let mut connection = warehouse.connect().unwrap();
    assert_eq!(connection.list_relations("w", "main").unwrap().len(), 3);
}

#[test]
fn readers_never_miss_a_relation_that_is_swapped() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(&folder.path().join("w.duckdb"));
    let mut writer = warehouse.connect().unwrap();
    let target = Relation::new("w", "main", "t");
    writer.execute("create table t as select 0 as a from range(10); create view v as select a from t").unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let mut reader = warehouse.connect().unwrap();
                let done = &done;
                scope.spawn(move || {
                    let mut reads = 0;
                    while !done.load(Ordering::Relaxed) || reads == 0 {
                        for name in ["t", "v"] {
                            let counted = row(&mut *reader, &format!("select count(*), count(distinct a) from {name}"));
                            assert_eq!(counted, [Datum::Int(10), Datum::Int(1)]);
                        }
                        reads += 1;
                    }
                })
            })
            .collect();
        for epoch in 1..=20 {
            let built = target.clone().with_identifier(staging::name("t", builder(epoch)));
            writer.execute(&format!("create table {built} as select {epoch} as a from range(10)")).unwrap();
            let swap = Statement::Swap { staging: built, target: target.clone() };
            writer.publish(&publication(&format!("model.p.t{epoch}"), epoch, &target, vec![swap])).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        for reader in readers {
            reader.join().unwrap();
        }
    });
    assert_eq!(row(&mut *writer, "select max(a) from v"), [Datum::Int(20)]);
}

#[test]
fn collects_what_nobody_builds_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(&folder.path().join("w.duckdb"));
    let (mut connection, mut other) = (warehouse.connect().unwrap(), warehouse.connect().unwrap());
    let staging = |epoch: u64| Relation::new("w", "main", staging::name("t", builder(epoch)));
    let (table, view) = (staging(1).with_type(RelationType::Table), staging(2).with_type(RelationType::View));
    connection
        .execute(&format!(
            "create table {table} (a int); create view {view} as select 1; create table t__kontiki_x (a int)"
        ))
        .unwrap();
    // Whoever builds may name it without quotes.
    let quoting = Quoting { database: false, schema: false, identifier: false };
    other.hold(&Relation { quoting, ..view.clone() }).unwrap();
    let collected = connection.collect_staging("w", "main").unwrap();
    assert_eq!(collected, Collected { dropped: vec![table], left: 1 });
    drop(other);
    let collected = connection.collect_staging("w", "main").unwrap();
    assert_eq!(collected, Collected { dropped: vec![view], left: 0 });
    let left: Vec<_> =
        connection.list_relations("w", "main").unwrap().into_iter().filter_map(|r| r.identifier).collect();
    assert_eq!(left, ["t__kontiki_x"]);
}

#[test]
fn eight_connections_publish_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(&folder.path().join("w.duckdb"));
    std::thread::scope(|scope| {
        for slot in 0..8u64 {
            let warehouse = &warehouse;
            scope.spawn(move || {
                let mut connection = warehouse.connect().unwrap();
                for i in 0..10u64 {
                    let name = format!("v_{slot}_{i}");
                    let target = Relation::new("w", "main", &name);
                    let view = Statement::ReplaceView { target: target.clone(), sql: "select 1 as a".to_owned() };
                    connection.publish(&publication(&name, 1 + slot * 10 + i, &target, vec![view])).unwrap();
                }
            });
        }
    });
    let mut connection = warehouse.connect().unwrap();
    assert_eq!(row(&mut *connection, "select count(distinct node) from kontiki.publish_log"), [Datum::Int(80)]);
    assert_eq!(connection.list_relations("w", "main").unwrap().len(), 80);
}
