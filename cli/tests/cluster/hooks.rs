//! `on-run-start` and `on-run-end` on a cluster.

use crate::fleet::Fleet;
use crate::runs::told;
use crate::support::Project;

/// Hooks that write what they see into a table of their own.
fn hooked() -> Project {
    let project = Project::small();
    project.file(
        "dbt_project.yml",
        "name: p\nversion: '1.0'\nprofile: p\non-run-start:\n  - create table if not exists main.seen (line text)\n  - insert into \
         main.seen values ('start of {{ selected_resources | length }}')\non-run-end:\n  - insert into main.seen values ('{{ results | \
         map(attribute=\"status\") | map(\"string\") | sort | join(\" \") }}')\n  - insert into main.seen values ('{{ schemas | join }} {{ \
         database_schemas | length }}')\n",
    );
    project
}

const SEEN: &str = "select line from main.seen order by ctid";

#[test]
fn hooks_go_around_the_run_as_on_this_machine() {
    let fleet = Fleet::start(hooked(), 1, 2);
    let remote = fleet.kontiki(&["build"]);
    remote
        .expect(0)
        .says("1 of 2 START hook: p.on-run-start.0")
        .says("Done. PASS=8 WARN=0 ERROR=0 SKIP=0 NO-OP=0 TOTAL=8");
    let mut database = fleet.client();
    let seen = ["start of 4", "pass success success success", "main 1"];
    assert_eq!(database.rows(SEEN), seen, "{}", fleet.logs());
    let local = fleet.project.kontiki(&["build"]);
    local.expect(0);
    assert_eq!(database.rows(SEEN), [seen, seen].concat());
    assert_eq!(told(&remote), told(&local), "{}", fleet.logs());
}

#[test]
fn hooks_at_the_end_follow_a_failure_and_its_retry() {
    let project = hooked();
    project.model("second", "table", "select id / (select count(*) from main.mended) as id from {{ ref('first') }}");
    let fleet = Fleet::start(project, 1, 1);
    let mut database = fleet.client();
    database.0.batch_execute("create schema main; create table main.mended (id int)").unwrap();
    let failed = fleet.kontiki(&["build"]);
    failed.expect(1).says("division by zero").says("2 of 2 OK hook: p.on-run-end.1");
    failed.says("Done. PASS=6 WARN=0 ERROR=1 SKIP=1 NO-OP=0 TOTAL=8");
    database.0.batch_execute("insert into main.mended values (1); truncate main.seen").unwrap();
    let again = fleet.kontiki(&["retry"]);
    again.expect(0).says("1 of 2 OK created sql table model main.second");
    again.says("Done. PASS=6 WARN=0 ERROR=0 SKIP=0 NO-OP=0 TOTAL=6");
    assert_eq!(database.rows(SEEN), ["start of 4", "pass success success success", "main 1"]);
}

#[test]
fn a_hook_that_fails_at_the_start_skips_the_nodes() {
    let project = Project::small();
    project.file(
        "dbt_project.yml",
        "name: p\nversion: '1.0'\nprofile: p\non-run-start: ['select nothing_like_it', 'select 1']\non-run-end: ['create table if not exists main.ended (id \
         int)']\n",
    );
    let fleet = Fleet::start(project, 1, 1);
    let remote = fleet.kontiki(&["build"]);
    remote.expect(1).says("1 of 2 ERROR hook: p.on-run-start.0").says("2 of 2 SKIP hook: p.on-run-start.1");
    remote.says("K2001").says("4 of 4 SKIP").says("Done. PASS=1 WARN=0 ERROR=1 SKIP=5 NO-OP=0 TOTAL=7");
    assert_eq!(
        fleet.client().rows("select relname::text from pg_class where relname in ('ended', 'first')"),
        ["ended"]
    );
}
