//! The leader dies, or leaves, while a run is under way.

use crate::fleet::{Database, Fleet};
use crate::support::{Project, Running};

/// Held by the test while a model waits for it.
const LOCK: &str = "4728";

/// A model that waits for the test in its middle.
fn waiting() -> Project {
    let project = Project::small();
    let sql =
        format!("select id from {{{{ ref('raw') }}}} where (select pg_advisory_xact_lock_shared({LOCK}) is not null)");
    project.model("slow", "table", &sql);
    project.model("last", "table", "select count(*)::int as n from {{ ref('slow') }}");
    project
}

fn hold(database: &mut Database) {
    database.0.batch_execute(&format!("select pg_advisory_lock({LOCK})")).unwrap();
}

fn let_go(database: &mut Database) {
    database.0.batch_execute(&format!("select pg_advisory_unlock({LOCK})")).unwrap();
}

/// A build that waits for the database to let go of it.
fn build_in_its_middle(fleet: &Fleet) -> (Database, Running) {
    let mut database = fleet.client();
    hold(&mut database);
    let mut build = fleet.begin(&["build"]);
    build.await_line("START sql table model main.slow");
    (database, build)
}

/// Builds with the leader gone in the middle; `end` is the signal that ends it.
fn build_without_the_leader(end: &str) {
    let mut fleet = Fleet::start(waiting(), 3, 2);
    let (mut database, build) = build_in_its_middle(&fleet);
    let leader = fleet.leader();
    fleet.replica(leader).signal(end);
    fleet.replica(leader).code();
    fleet.await_leader_other_than(leader);
    let_go(&mut database);
    let ended = build.finish();
    assert_eq!(ended.code, Some(0), "{ended}\n{}", fleet.logs());
    ended.says("Done. PASS=6 WARN=0 ERROR=0 SKIP=0 NO-OP=0 TOTAL=6");
    assert_eq!(database.rows("select n::text from main.last"), ["2"]);
    assert_eq!(database.published(), ["model.p.first", "model.p.last", "model.p.second", "model.p.slow", "seed.p.raw"]);
    // SQL went on without a leader: no attempt was lost.
    let runs = fleet.json(&["runs", "list"]);
    let tasks = fleet.json(&["task", "list", runs[0]["id"].as_str().unwrap()]);
    let attempts: Vec<u64> = tasks.as_array().unwrap().iter().map(|task| task["attempt"].as_u64().unwrap()).collect();
    assert_eq!(attempts, [1; 6]);
}

#[test]
fn a_run_outlives_the_leader_s_sudden_death() {
    build_without_the_leader("KILL");
}

#[test]
fn a_run_outlives_the_leader_s_orderly_end() {
    build_without_the_leader("TERM");
}

#[test]
fn ctrl_c_cancels_the_run_on_the_cluster() {
    let fleet = Fleet::start(waiting(), 1, 1);
    let (mut database, build) = build_in_its_middle(&fleet);
    build.signal("INT");
    let ended = build.finish();
    assert_eq!(ended.code, Some(1), "{ended}\n{}", fleet.logs());
    assert_eq!(fleet.json(&["runs", "list"])[0]["state"], "canceled");
    // Now it could go on, if it were not canceled.
    let_go(&mut database);
    let others = "select pid::text from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() \
                  and state <> 'idle'";
    fleet.until("the statement to be gone", || database.rows(others).is_empty());
    assert_eq!(database.rows("select relname::text from pg_class where relname = 'slow'"), Vec::<String>::new());
}

#[test]
fn a_run_that_another_client_cancels_did_not_succeed() {
    let fleet = Fleet::start(waiting(), 1, 1);
    let (_database, build) = build_in_its_middle(&fleet);
    let run = fleet.json(&["runs", "list"])[0]["id"].as_str().unwrap().to_owned();
    fleet.kontiki(&["runs", "cancel", &run]).expect(0);
    let ended = build.finish();
    assert_eq!(ended.code, Some(1), "{ended}\n{}", fleet.logs());
    ended.says("Exited because the run was canceled").is_silent_about("Completed successfully");
    // What was asked for twice is as good as done.
    fleet.kontiki(&["runs", "cancel", &run]).expect(0);
}

#[test]
fn batches_that_a_dead_worker_published_are_not_built_again() {
    let project = Project::small();
    let config = "incremental', incremental_strategy='microbatch', event_time='day', unique_key='day', batch_size='day', \
                  begin='2026-01-01";
    let sql = format!(
        "select day, pg_backend_pid() as built_by from {{{{ ref('days') }}}}\n{{% if model.batch.id == '20260103' %}}where (select \
         pg_advisory_xact_lock_shared({LOCK}) is not null){{% endif %}}"
    );
    project.model("daily", config, &sql);
    let days = "select generate_series(timestamp '2026-01-01', timestamp '2026-01-31', interval '1 day') as day";
    project.model("days", "table', event_time='day", days);
    let mut fleet = Fleet::start(project, 1, 1);
    let mut database = fleet.client();
    hold(&mut database);
    let mut build =
        fleet.begin(&["build", "-s", "+daily", "--event-time-start", "2026-01-01", "--event-time-end", "2026-01-06"]);
    build.await_line("START sql microbatch model main.daily");
    fleet.until("two batches", || database.published().iter().any(|node| node == "model.p.daily[2026-01-02]"));
    fleet.worker(0).signal("KILL");
    fleet.worker(0).code();
    fleet.add_worker();
    let_go(&mut database);
    let ended = build.finish();
    assert_eq!(ended.code, Some(0), "{ended}\n{}", fleet.logs());
    let rows = database.rows(
        "select to_char(day, 'DD ') || dense_rank() over (order by first) from (select *, \
                              min(day) over (partition by built_by) as first from main.daily) as batches order by day",
    );
    assert_eq!(rows, ["01 1", "02 1", "03 2", "04 2", "05 2"], "by two sessions, each day once");
}
