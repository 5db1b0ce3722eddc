//! The PostgreSQL warehouse over a real server.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::diagnostic::Code;
use common::relation::{Quoting, Relation, RelationType};
use common::table::{Column, Datum, Response};
use common::target::{self, AdapterType};
use common::task::FailureKind;
use common::{Epoch, NodeId, RunId};
use testing::Postgres;
use worker::warehouse::staging::Builder;
use worker::warehouse::{self, Collected, Connection, Publication, Statement, Warehouse, staging};

struct World {
    server: Arc<Postgres>,
    database: String,
    warehouse: Arc<dyn Warehouse>,
}

fn open(server: &Postgres, database: &str, origin: &str) -> Arc<dyn Warehouse> {
    let settings = serde_json::json!({
        "type": "postgres", "host": server.host(), "port": server.port(), "user": server.user(), "pass": "",
        "dbname": database, "schema": "public", "sslmode": "disable",
    });
    let settings = settings.as_object().unwrap().clone();
    warehouse::open(&target::Connection { adapter_type: AdapterType::Postgres, settings }, origin).unwrap()
}

fn world() -> World {
    let server = Postgres::start();
    let database = server.database();
    let warehouse = open(&server, &database, "test");
    World { server, database, warehouse }
}

impl World {
    fn connect(&self) -> Box<dyn Connection> {
        self.warehouse.connect().unwrap()
    }

    fn relation(&self, identifier: &str) -> Relation {
        Relation::new(&self.database, "public", identifier)
    }

    /// Builds a staging table and the swap that puts it in place.
    fn built(&self, connection: &mut dyn Connection, name: &str, epoch: u64, sql: &str) -> Publication {
        let target = self.relation(name);
        let built = target
            .clone()
            .with_identifier(staging::name(name, Builder { run: RunId(uuid::Uuid::nil()), epoch: Epoch(epoch) }));
        let response = connection.execute(&format!("create table {built} as {sql}")).unwrap();
        let swap = Statement::Swap { staging: built, target: target.clone() };
        let mut publication = publication(&format!("model.p.{name}.{epoch}"), epoch, &target, vec![swap]);
        publication.response = Some(response);
        publication
    }
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

fn view(target: &Relation, sql: &str) -> Vec<Statement> {
    vec![Statement::ReplaceView { target: target.clone(), sql: sql.to_owned() }]
}

fn row(connection: &mut dyn Connection, sql: &str) -> Vec<Datum> {
    connection.query(sql).unwrap().1.rows.remove(0)
}

fn text(text: &str) -> Datum {
    Datum::Text(text.to_owned())
}

#[test]
fn decodes_values_and_says_what_the_server_did() {
    let world = world();
    let mut connection = world.connect();
    let (response, table) = connection
        .query(
            "select true as a, 7::smallint as b, 1.50::numeric(8,2) as c, 0.1::float8 as d, 'é'::varchar(5) as e, \
             '\\x00ff'::bytea as f, date '2024-02-29' as g, time '01:02:03.5' as h, timestamp '2024-01-01 00:00:00' as i, \
             null::int as j, array[1, 2] as k, interval '1 day 2 hours' as l, '{\"a\": 1}'::jsonb as m",
        )
        .unwrap();
    assert_eq!(response.message, "SELECT 1");
    assert_eq!(
        table.rows,
        [vec![
            Datum::Bool(true),
            Datum::Int(7),
            Datum::Decimal("1.50".to_owned()),
            Datum::Float(0.1),
            text("é"),
            Datum::Bytes(vec![0, 0xff]),
            Datum::Date("2024-02-29".to_owned()),
            Datum::Time("01:02:03.5".to_owned()),
            Datum::Timestamp("2024-01-01 00:00:00".to_owned()),
            Datum::Null,
            Datum::Other("{1,2}".to_owned()),
            Datum::Other("1 day 02:00:00".to_owned()),
            Datum::Other("{\"a\": 1}".to_owned()),
        ]]
    );
    let types: Vec<_> = table.columns.iter().map(|column| column.data_type.as_str()).collect();
    assert_eq!(types[3..5], ["double precision", "character varying"]);
    assert_eq!(types[10], "integer[]");
    let message = |connection: &mut dyn Connection, sql: &str| connection.execute(sql).unwrap().message;
    assert_eq!(message(&mut *connection, "create table t as select 1 as a from generate_series(1, 100)"), "SELECT 100");
    assert_eq!(message(&mut *connection, "insert into t select 2; insert into t values (3), (4)"), "INSERT 0 2");
    assert_eq!(message(&mut *connection, "create view v as select * from t"), "CREATE VIEW");
    assert_eq!(row(&mut *connection, "insert into t values (5); select count(*) from t"), [Datum::Int(104)]);
}

#[test]
fn classifies_errors_and_finds_their_place() {
    let world = world();
    let mut connection = world.connect();
    let error = connection.execute("select 'é', nope").unwrap_err();
    assert_eq!((error.kind, error.code), (FailureKind::User, Code::SqlError));
    assert_eq!(error.native_code.as_deref(), Some("42703"));
    assert_eq!(error.position, Some("select 'é', ".len()));
    assert_eq!(error.message, "column \"nope\" does not exist");
    connection.execute("create table t (a int); insert into t values (1); select nope").unwrap_err();
    assert_eq!(connection.get_relation(&world.database, "public", "t").unwrap(), None, "a script is all or nothing");
    let error = connection.execute("set statement_timeout = '50ms'; select pg_sleep(10)").unwrap_err();
    assert_eq!((error.kind, error.code), (FailureKind::Timeout, Code::Timeout));
    connection.begin().unwrap();
    connection.execute("create table half (a int)").unwrap();
    connection.execute("select nope").unwrap_err();
    assert!(connection.commit().is_err());
    assert_eq!(connection.get_relation(&world.database, "public", "half").unwrap(), None);
}

#[test]
fn cancel_stops_a_long_query() {
    let world = world();
    let mut connection = world.connect();
    let canceller = connection.canceller();
    let mut bare = world.server.client(&world.database);
    let canceler = std::thread::spawn(move || {
        let asleep = "select count(*) from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'";
        while bare.query_one(asleep, &[]).unwrap().get::<_, i64>(0) == 0 {}
        canceller.cancel();
    });
    let error = connection.execute("select pg_sleep(600)").unwrap_err();
    canceler.join().unwrap();
    assert_eq!((error.kind, error.code), (FailureKind::Canceled, Code::Canceled));
    assert_eq!(row(&mut *connection, "select 1"), [Datum::Int(1)]);
}

#[test]
fn connects_again_when_its_backend_was_killed() {
    let world = world();
    let mut connection = world.connect();
    let [Datum::Int(backend)] = row(&mut *connection, "select pg_backend_pid()")[..] else { panic!("no pid") };
    let mut bare = world.server.client(&world.database);
    bare.execute("select pg_terminate_backend($1)", &[&i32::try_from(backend).unwrap()]).unwrap();
    // The first statement may learn of the loss; the next has a new connection.
    if let Err(error) = connection.execute("select 1") {
        assert_eq!(error.kind, FailureKind::Transient, "{}", error.message);
    }
    assert_eq!(row(&mut *connection, "select 1"), [Datum::Int(1)]);
}

#[test]
fn catalog_lookups() {
    let world = world();
    let mut connection = world.connect();
    connection.create_schema(&world.database, "we\"ird").unwrap();
    connection
        .execute(
            "create table \"we\"\"ird\".\"T\" (a int, b numeric(8,2), c varchar(5)); create view \"we\"\"ird\".v as select 1 as x; \
             create materialized view \"we\"\"ird\".m as select 1 as x",
        )
        .unwrap();
    let relation = |name: &str, kind| Relation::new(&world.database, "we\"ird", name).with_type(kind);
    assert_eq!(
        connection.list_relations(&world.database, "we\"ird").unwrap(),
        [
            relation("T", RelationType::Table),
            relation("m", RelationType::MaterializedView),
            relation("v", RelationType::View)
        ]
    );
    assert_eq!(connection.get_relation(&world.database, "we\"ird", "t").unwrap(), None);
    let column = |name: &str, data_type: &str| Column { name: name.to_owned(), data_type: data_type.to_owned() };
    assert_eq!(
        connection.columns(&relation("T", RelationType::Table)).unwrap(),
        [column("a", "integer"), column("b", "numeric(8,2)"), column("c", "character varying(5)")]
    );
    assert!(connection.list_schemas(&world.database).unwrap().contains(&"we\"ird".to_owned()));
}

#[test]
fn many_create_one_schema_at_once() {
    let world = world();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let mut connection = world.connect();
            scope.spawn(move || {
                for i in 0..10 {
                    connection.create_schema("", &format!("s{i}")).unwrap();
                }
            });
        }
    });
}

#[test]
fn loads_text_into_typed_columns() {
    let world = world();
    let mut connection = world.connect();
    connection.execute("create table s (a int, b date, c text, d boolean)").unwrap();
    let relation = world.relation("s");
    let columns: Vec<Column> =
        ["b", "a", "c"].map(|name| Column { name: name.to_owned(), data_type: String::new() }).into();
    let cell = |text: &str| Some(text.to_owned());
    let mut rows = vec![vec![cell("2024-01-02"), cell("7"), cell("")], vec![None, cell("-1"), None]].into_iter();
    assert_eq!(connection.load(&relation, &columns, &mut rows).unwrap(), 2);
    assert_eq!(
        connection.query("select a, b, c, d from s order by a").unwrap().1.rows,
        [
            vec![Datum::Int(-1), Datum::Null, Datum::Null, Datum::Null],
            vec![Datum::Int(7), Datum::Date("2024-01-02".to_owned()), text(""), Datum::Null],
        ]
    );
    let mut bad = (0..50_000).map(|i| vec![cell("2024-01-02"), cell(if i == 20_000 { "x" } else { "1" }), cell("")]);
    let error = connection.load(&relation, &columns, &mut bad).unwrap_err();
    assert_eq!((error.kind, error.code), (FailureKind::User, Code::SeedInvalid), "{}", error.message);
    assert_eq!(row(&mut *connection, "select count(*) from s"), [Datum::Int(2)], "a failed load leaves nothing");
}

#[test]
fn publishes_once_and_refuses_stale_epochs() {
    let world = world();
    let mut connection = world.connect();
    let target = world.relation("m");
    let first = publication("model.p.m", 5, &target, view(&target, "select 1 as a -- note"));
    assert_eq!(connection.published(first.run, &first.node).unwrap(), None);
    assert_eq!(connection.publish(&first).unwrap().message, "CREATE VIEW");
    let published = connection.published(first.run, &first.node).unwrap().unwrap();
    assert_eq!((published.epoch, published.response.message.as_str()), (Epoch(5), "CREATE VIEW"));

    // The same node of the same run again, by a later attempt: what is there is adopted, nothing changes.
    let again = publication("model.p.m", 6, &target, view(&target, "select 2 as a"));
    assert_eq!(connection.publish(&again).unwrap(), published.response);
    assert_eq!(row(&mut *connection, "select a from m"), [Datum::Int(1)]);

    connection.claim(&target, Epoch(9)).unwrap();
    let stale = publication("model.p.other", 8, &target, view(&target, "select 3 as a"));
    let error = connection.publish(&stale).unwrap_err();
    assert_eq!(
        (error.kind, error.code, error.native_code.as_deref()),
        (FailureKind::Fenced, Code::Fenced, Some("KT001"))
    );
    assert_eq!(connection.claim(&target, Epoch(8)).unwrap_err().kind, FailureKind::Fenced);
    assert_eq!(row(&mut *connection, "select a from m"), [Datum::Int(1)]);
    // Epochs that another origin counts cannot be compared.
    open(&world.server, &world.database, "other").connect().unwrap().publish(&stale).unwrap();
    assert_eq!(row(&mut *connection, "select a from m"), [Datum::Int(3)]);
}

/// Each `open` stands for a process of its own; all of them find that the fence does not exist yet.
#[test]
fn many_processes_set_up_the_fence_at_once() {
    const PROCESSES: usize = 8;
    let world = world();
    let barrier = std::sync::Barrier::new(PROCESSES);
    std::thread::scope(|scope| {
        for number in 0..PROCESSES {
            let (world, barrier) = (&world, &barrier);
            scope.spawn(move || {
                let warehouse = open(&world.server, &world.database, &format!("origin {number}"));
                let mut connection = warehouse.connect().unwrap();
                barrier.wait();
                connection.claim(&world.relation(&format!("r{number}")), Epoch(1)).unwrap();
            });
        }
    });
    let held = row(&mut *world.connect(), "select count(*) from kontiki.fence");
    assert_eq!(held, [Datum::Int(PROCESSES as i64)]);
}

#[test]
fn a_publication_that_fails_leaves_nothing() {
    let world = world();
    let mut connection = world.connect();
    let target = world.relation("half");
    let sql = |sql: &str, main| Statement::Sql { sql: sql.to_owned(), main };
    let statements = vec![sql("create table half (a int)", true), sql("insert into half select nope", false)];
    let broken = publication("model.p.half", 1, &target, statements);
    let error = connection.publish(&broken).unwrap_err();
    assert_eq!((error.sql.as_deref(), error.position), (Some("insert into half select nope"), Some(24)));
    assert_eq!(connection.get_relation(&world.database, "public", "half").unwrap(), None);
    assert_eq!(connection.published(broken.run, &broken.node).unwrap(), None);
    let statements = vec![sql("create table half (a int)", false), sql("insert into half values (1), (2)", true)];
    let response = connection.publish(&publication("model.p.half", 1, &target, statements)).unwrap();
    assert_eq!(response.message, "INSERT 0 2");
    assert_eq!(connection.published(broken.run, &broken.node).unwrap().unwrap().response, response);
}

#[test]
fn a_group_is_published_whole_or_not_at_all() {
    let world = world();
    let mut connection = world.connect();
    let member = |name: &str, epoch: u64, sql: &str| {
        let target = world.relation(name);
        publication(&format!("model.p.{name}"), epoch, &target, view(&target, sql))
    };
    let (a, b) = (member("a", 1, "select 1 as id -- one"), member("b", 2, "select 2 as id"));
    let stale = member("c", 3, "select 3 as id");
    connection.claim(&stale.relation, Epoch(4)).unwrap();
    assert_eq!(connection.publish_group(&[&a, &b, &stale]).unwrap_err().kind, FailureKind::Fenced);
    let broken = member("broken", 5, "select nope");
    assert_eq!(connection.publish_group(&[&a, &broken, &b]).unwrap_err().kind, FailureKind::User);
    assert_eq!(connection.list_relations(&world.database, "public").unwrap(), []);
    assert_eq!(connection.published(a.run, &a.node).unwrap(), None);

    let responses = connection.publish_group(&[&b, &a]).unwrap();
    assert_eq!(responses.iter().map(|response| response.message.as_str()).collect::<Vec<_>>(), ["CREATE VIEW"; 2]);
    assert_eq!(row(&mut *connection, "select a.id, b.id from a, b"), [Datum::Int(1), Datum::Int(2)]);
    assert_eq!(connection.published(b.run, &b.node).unwrap().unwrap().epoch, Epoch(2));
    assert_eq!(connection.publish(&member("b", 1, "select 0 as id")).unwrap_err().kind, FailureKind::Fenced);
}

/// A group of which one was published before, as after a commit whose answer was lost: nothing of it happens again. One by one, what
/// is there is adopted, and the rest is published.
#[test]
fn a_group_of_unknown_outcome_is_settled_one_by_one() {
    let world = world();
    let mut connection = world.connect();
    let member = |name: &str, sql: &str| {
        let target = world.relation(name);
        publication(&format!("model.p.{name}"), 1, &target, view(&target, sql))
    };
    connection.publish(&member("a", "select 1 as id")).unwrap();
    let (again, other) = (member("a", "select 2 as id"), member("b", "select 2 as id"));
    connection.publish_group(&[&again, &other]).unwrap_err();
    assert_eq!(connection.get_relation(&world.database, "public", "b").unwrap(), None);
    for publication in [&again, &other] {
        assert_eq!(connection.publish(publication).unwrap().message, "CREATE VIEW");
    }
    assert_eq!(row(&mut *connection, "select a.id, b.id from a, b"), [Datum::Int(1), Datum::Int(2)]);
    assert_eq!(row(&mut *connection, "select count(*) from kontiki.publish_log"), [Datum::Int(2)]);
}

#[test]
fn swaps_under_views_and_keeps_what_they_had() {
    let world = world();
    let mut connection = world.connect();
    connection
        .execute(
            "create role reader; create role boss;
            create table t (a int, b text); insert into t values (0, 'x');
            create view v1 with (security_barrier = true) as select a, b from t;
            create view v2 as select v1.a, t.b from v1 join t using (a);
            create materialized view mv as select a from v2; create unique index mv_a on mv (a);
            comment on view v1 is 'it''s one'; comment on column v1.a is 'the a';
            grant select on v1 to reader with grant option; grant select on v2 to public; grant select on t, v1 to boss; alter view v2 owner to boss",
        )
        .unwrap();
    // A column changes its type, and a materialized view is in the way.
    let wide = world.built(&mut *connection, "t", 1, "select 10::bigint as a, 'y'::text as b, 1 as c");
    // The grants of a table are its model's to give, as in dbt; the owner of a view over it needs one.
    connection.execute("grant select on t__kontiki_00000000_1 to boss").unwrap();
    assert_eq!(connection.publish(&wide).unwrap().message, "SELECT 1");
    for relation in ["t", "v1", "v2", "mv"] {
        assert_eq!(row(&mut *connection, &format!("select a from {relation}")), [Datum::Int(10)], "{relation}");
    }
    // The same columns: views are replaced in place.
    connection.execute("drop materialized view mv").unwrap();
    let same = world.built(&mut *connection, "t", 2, "select 20::bigint as a, 'z'::text as b, 1 as c");
    connection.execute("grant select on t__kontiki_00000000_2 to boss").unwrap();
    connection.publish(&same).unwrap();
    assert_eq!(row(&mut *connection, "select a, b from v2"), [Datum::Int(20), text("z")]);
    assert_eq!(
        row(
            &mut *connection,
            "select obj_description('v1'::regclass), col_description('v1'::regclass, 1), \
             (select relacl::text from pg_class where relname = 'v1'), pg_get_userbyid(relowner)::text, \
             (select reloptions::text from pg_class where relname = 'v1'), has_table_privilege('reader', 'v2', 'select') \
             from pg_class where relname = 'v2'"
        ),
        [
            text("it's one"),
            text("the a"),
            text("{postgres=arwdDxt/postgres,reader=r*/postgres,boss=r/postgres}"),
            text("boss"),
            text("{security_barrier=true}"),
            Datum::Bool(true)
        ]
    );
    // A column that a view needs goes: that view goes too, as with dbt, and the swap succeeds.
    let narrow = world.built(&mut *connection, "t", 3, "select 30::bigint as a");
    connection.publish(&narrow).unwrap();
    assert_eq!(row(&mut *connection, "select a from t"), [Datum::Int(30)]);
    assert_eq!(connection.list_relations(&world.database, "public").unwrap().len(), 1);
}

#[test]
fn changes_the_type_of_a_relation_under_its_dependents() {
    let world = world();
    let mut connection = world.connect();
    let target = world.relation("m");
    connection.execute("create table m as select 1 as a; create view over_m as select a from m").unwrap();
    connection.publish(&publication("one", 1, &target, view(&target, "select 2 as a, 'new' as b"))).unwrap();
    assert_eq!(row(&mut *connection, "select a from over_m"), [Datum::Int(2)]);
    connection.publish(&publication("two", 2, &target, view(&target, "select 'text' as b, 3 as a"))).unwrap();
    assert_eq!(row(&mut *connection, "select a from over_m"), [Datum::Int(3)]);
    let table = world.built(&mut *connection, "m", 3, "select 4 as a, 'text'::text as b");
    connection
        .execute("alter table m__kontiki_00000000_3 add constraint m__kontiki_00000000_3_pkey primary key (a)")
        .unwrap();
    connection.publish(&table).unwrap();
    assert_eq!(row(&mut *connection, "select a from over_m"), [Datum::Int(4)]);
    let found = connection.get_relation(&world.database, "public", "m").unwrap().unwrap();
    assert_eq!(found.relation_type, Some(RelationType::Table));
    let names = "select conname::text, (select relname::text from pg_class where oid = conindid) from pg_constraint where conrelid = 'm'::regclass";
    assert_eq!(row(&mut *connection, names), [text("m_pkey"), text("m_pkey")]);
}

#[test]
fn readers_never_miss_a_relation_while_eight_swap() {
    let world = world();
    let mut setup = world.connect();
    for slot in 0..8 {
        setup.execute(&format!("create table t{slot} as select 0 as a from generate_series(1, 10)")).unwrap();
    }
    let all: Vec<String> = (0..8).map(|slot| format!("select a from t{slot}")).collect();
    setup.execute(&format!("create view shared as {}", all.join(" union all "))).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = ["shared", "t0"]
            .into_iter()
            .map(|name| {
                let mut reader = world.connect();
                let done = &done;
                scope.spawn(move || {
                    let expected = if name == "shared" { 80 } else { 10 };
                    let mut reads = 0;
                    while !done.load(Ordering::Relaxed) || reads == 0 {
                        let counted = row(&mut *reader, &format!("select count(*) from {name}"));
                        assert_eq!(counted, [Datum::Int(expected)], "{name}");
                        reads += 1;
                    }
                })
            })
            .collect();
        let writers: Vec<_> = (0..8u64)
            .map(|slot| {
                let mut writer = world.connect();
                let world = &world;
                scope.spawn(move || {
                    for turn in 1..=6 {
                        let name = format!("t{slot}");
                        let sql = format!("select {turn} as a from generate_series(1, 10)");
                        let swap = world.built(&mut *writer, &name, turn, &sql);
                        writer.publish(&swap).unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        for reader in readers {
            reader.join().unwrap();
        }
    });
    assert_eq!(row(&mut *setup, "select count(*), min(a) from shared"), [Datum::Int(80), Datum::Int(6)]);
}

/// The outcome of a commit is unknown when the connection breaks before the answer: the log tells.
#[test]
fn a_lost_connection_is_settled_by_the_log() {
    let world = world();
    let mut connection = world.connect();
    let target = world.relation("m");
    let sql = |sql: &str, main| Statement::Sql { sql: sql.to_owned(), main };
    let suicide = "select pg_terminate_backend(pg_backend_pid())";
    // Lost before the commit: nothing was published, and the attempt is worth another.
    let before = publication("before", 1, &target, vec![sql("create table m (a int)", true), sql(suicide, false)]);
    let error = connection.publish(&before).unwrap_err();
    assert_eq!(error.kind, FailureKind::Transient, "{}", error.message);
    assert_eq!(connection.published(before.run, &before.node).unwrap(), None);
    assert_eq!(connection.get_relation(&world.database, "public", "m").unwrap(), None);
    // Lost after the commit: the result is there and is adopted.
    let after = vec![sql("create table m (a int)", true), sql(&format!("commit; {suicide}"), false)];
    let after = publication("after", 2, &target, after);
    let response = connection.publish(&after).unwrap();
    assert_eq!(
        response,
        Response { message: "CREATE TABLE".to_owned(), code: Some("CREATE TABLE".to_owned()), rows_affected: Some(-1) }
    );
    assert!(connection.get_relation(&world.database, "public", "m").unwrap().is_some());
}

#[test]
fn collects_what_nobody_builds_any_more() {
    let world = world();
    let mut builder = world.connect();
    let mut collector = world.connect();
    let staging = |epoch: u64| {
        let name = staging::name("t", Builder { run: RunId(uuid::Uuid::nil()), epoch: Epoch(epoch) });
        world.relation(&name).with_type(RelationType::Table)
    };
    let names = |connection: &mut dyn Connection| {
        let relations = connection.list_relations(&world.database, "public").unwrap();
        relations.into_iter().filter_map(|relation| relation.identifier).collect::<Vec<_>>()
    };
    builder.execute(&format!("create table {} (a int); create table t__kontiki_x (a int)", staging(1))).unwrap();
    builder.hold(&staging(2)).unwrap();
    builder.execute(&format!("create table {} as select 1 as a", staging(2))).unwrap();
    let collected = collector.collect_staging(&world.database, "public").unwrap();
    assert_eq!(collected, Collected { dropped: vec![staging(1)], left: 1 });
    // A builder that goes on to its next attempt leaves what it had to others.
    builder.release();
    builder.hold(&staging(3)).unwrap();
    builder.execute(&format!("create view {} as select 1 as a", staging(3))).unwrap();
    let collected = collector.collect_staging(&world.database, "public").unwrap();
    assert_eq!(collected, Collected { dropped: vec![staging(2)], left: 1 });
    // What a reader has open stays, and nobody waits for the reader.
    drop(builder);
    let mut reader = world.connect();
    reader.begin().unwrap();
    reader.query(&format!("select * from {}", staging(3))).unwrap();
    await_sessions(&world, 2);
    let collected = collector.collect_staging(&world.database, "public").unwrap();
    assert_eq!(collected, Collected { dropped: Vec::new(), left: 1 });
    reader.rollback().unwrap();
    assert_eq!(collector.collect_staging(&world.database, "public").unwrap().dropped.len(), 1);
    assert_eq!(names(&mut *collector), ["t__kontiki_x"]);
}

#[test]
fn what_is_built_without_quotes_is_nobody_elses_to_collect() {
    let world = world();
    let (mut builder, mut collector) = (world.connect(), world.connect());
    let name = staging::name("Data", Builder { run: RunId(uuid::Uuid::nil()), epoch: Epoch(1) });
    let quoting = Quoting { database: false, schema: false, identifier: false };
    let staging = Relation { quoting, ..world.relation(&name) };
    builder.hold(&staging).unwrap();
    builder.execute(&format!("create table {staging} (a int)")).unwrap();
    let collected = collector.collect_staging(&world.database, "public").unwrap();
    assert_eq!(collected, Collected { dropped: Vec::new(), left: 1 });
    builder.execute(&format!("insert into {staging} values (1)")).unwrap();
}

/// Waits until the server has noticed who is gone.
fn await_sessions(world: &World, sessions: i64) {
    let mut bare = world.server.client(&world.database);
    let count = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() \
                 and backend_type = 'client backend'";
    while bare.query_one(count, &[]).unwrap().get::<_, i64>(0) != sessions {}
}

#[test]
fn an_attempt_does_not_outlive_its_session() {
    let world = world();
    let mut connection = world.connect();
    let [Datum::Int(backend)] = row(&mut *connection, "select pg_backend_pid()")[..] else { panic!("no pid") };
    connection.hold(&world.relation("t__kontiki_00000000_1")).unwrap();
    connection.execute("create temporary table rows_of_the_attempt as select 1 as a").unwrap();
    let mut bare = world.server.client(&world.database);
    bare.execute("select pg_terminate_backend($1)", &[&i32::try_from(backend).unwrap()]).unwrap();
    // Not "there is no such table", which would be the user's error and final.
    for _ in 0..3 {
        let error = connection.execute("select * from rows_of_the_attempt").unwrap_err();
        assert_eq!((error.kind, error.code), (FailureKind::Transient, Code::WarehouseUnavailable), "{}", error.message);
    }
    connection.release();
    assert_eq!(row(&mut *connection, "select 1"), [Datum::Int(1)]);
}

#[test]
fn a_server_that_is_not_there_is_transient_and_a_wrong_database_is_not() {
    let world = world();
    let refused = open(&world.server, "no_such_database", "test").connect().map(drop).unwrap_err();
    assert_eq!((refused.kind, refused.code), (FailureKind::User, Code::ProfileInvalid), "{}", refused.message);
    let settings = serde_json::json!({"host": "127.0.0.1", "port": 1, "user": "u", "dbname": "d", "retries": 0, "sslmode": "disable"});
    let settings = settings.as_object().unwrap().clone();
    let nobody =
        warehouse::open(&target::Connection { adapter_type: AdapterType::Postgres, settings }, "test").unwrap();
    let error = nobody.connect().map(drop).unwrap_err();
    assert_eq!((error.kind, error.code), (FailureKind::Transient, Code::WarehouseUnavailable), "{}", error.message);
}
