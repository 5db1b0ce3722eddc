//! Commits of unknown outcome: the publish log tells what became of them.

use std::sync::Arc;

use common::Relation;
use common::diagnostic::Code;
use common::task::FailureKind;
use testing::Postgres;
use worker::warehouse::{Connection, Publication, Statement};

use crate::proxy::{Lost, Proxy};
use crate::{open, publication};

struct World {
    server: Arc<Postgres>,
    database: String,
    proxy: Proxy,
    connection: Box<dyn Connection>,
}

fn world() -> World {
    let server = Postgres::start();
    let database = server.database();
    let proxy = Proxy::start(server.port());
    let settings =
        serde_json::json!({"host": "127.0.0.1", "port": proxy.port, "dbname": database, "sslmode": "disable"});
    let connection = open(settings).connect().unwrap();
    World { server, database, proxy, connection }
}

impl World {
    /// What ends in `commit`: a table built aside and swapped in.
    fn swap(&mut self) -> Publication {
        let target = Relation::new(&self.database, "public", "t");
        let staging = target.clone().with_identifier("t__kontiki_00000000_1");
        self.connection.hold(&staging).unwrap();
        let response = self.connection.execute(&format!("create table {staging} as select 7 as a")).unwrap();
        let swap = Statement::Swap { staging, target: target.clone() };
        Publication { response: Some(response), ..publication("model.p.t", 1, &target, vec![swap]) }
    }

    fn view(&self, node: &str) -> Publication {
        let target = Relation::new(&self.database, "public", node);
        let statements = vec![Statement::ReplaceView { target: target.clone(), sql: "select 7 as a".to_owned() }];
        publication(node, 1, &target, statements)
    }

    /// The value in the relation, and how often its publication is in the log; past the proxy.
    fn left(&self, relation: &str) -> (Option<i32>, i64) {
        let mut bare = self.server.client(&self.database);
        let exists: bool =
            bare.query_one("select to_regclass($1) is not null", &[&format!("public.{relation}")]).unwrap().get(0);
        let value = exists.then(|| bare.query_one(&format!("select a from {relation}"), &[]).unwrap().get(0));
        (value, bare.query_one("select count(*) from kontiki.publish_log", &[]).unwrap().get(0))
    }
}

#[test]
fn a_commit_whose_reply_is_lost_is_adopted() {
    let mut world = world();
    let swap = world.swap();
    world.proxy.lose(Lost::Reply, "commit");
    let response = world.connection.publish(&swap).unwrap();
    assert!(world.proxy.has_lost());
    assert_eq!(response.message, "SELECT 1");
    assert_eq!(world.left("t"), (Some(7), 1));
}

#[test]
fn a_commit_that_never_arrived_is_worth_another_attempt() {
    let mut world = world();
    let swap = world.swap();
    world.proxy.lose(Lost::Request, "commit");
    let error = world.connection.publish(&swap).unwrap_err();
    assert!(world.proxy.has_lost());
    assert_eq!((error.kind, error.code), (FailureKind::Transient, Code::WarehouseUnavailable), "{}", error.message);
    assert_eq!(world.connection.published(swap.run, &swap.node).unwrap(), None);
    assert_eq!(world.left("t"), (None, 0));
}

#[test]
fn a_view_in_one_round_trip_is_adopted_as_well() {
    let mut world = world();
    let view = world.view("v");
    world.proxy.lose(Lost::Reply, "publish_log (run");
    let response = world.connection.publish(&view).unwrap();
    assert!(world.proxy.has_lost());
    assert_eq!(response.message, "CREATE VIEW");
    assert_eq!(world.left("v"), (Some(7), 1));
}

#[test]
fn a_group_whose_reply_is_lost_is_adopted_one_by_one() {
    let mut world = world();
    let views = [world.view("v"), world.view("w")];
    world.proxy.lose(Lost::Reply, "publish_log (run");
    // The group does not know; each that publishes alone finds itself in the log.
    let group: Vec<&Publication> = views.iter().collect();
    if let Ok(responses) = world.connection.publish_group(&group) {
        assert_eq!(responses.len(), 2);
    }
    assert!(world.proxy.has_lost());
    for view in &views {
        assert_eq!(world.connection.publish(view).unwrap().message, "CREATE VIEW");
    }
    assert_eq!(world.left("v"), (Some(7), 2));
}

#[test]
fn a_build_whose_backend_is_killed_is_worth_another_attempt() {
    let mut world = world();
    let target = Relation::new(&world.database, "public", "t__kontiki_00000000_1");
    world.connection.hold(&target).unwrap();
    let mut bare = world.server.client(&world.database);
    let killer = std::thread::spawn(move || {
        let kill = "select pg_terminate_backend(pid) from pg_stat_activity \
                    where wait_event = 'PgSleep' and datname = current_database()";
        while bare.query(kill, &[]).unwrap().is_empty() {}
    });
    let error =
        world.connection.execute(&format!("create table {target} as select 1 as a from pg_sleep(600)")).unwrap_err();
    killer.join().unwrap();
    assert_eq!((error.kind, error.code), (FailureKind::Transient, Code::WarehouseUnavailable), "{}", error.message);
    // The server's last word may be lost with the connection.
    assert!(matches!(error.native_code.as_deref(), Some("57P01") | None), "{:?}", error.native_code);
    world.connection.release();
    assert!(world.connection.list_relations(&world.database, "public").unwrap().is_empty());
}
