//! Ctrl-C: the first cancels the SQL in flight and leaves the run resumable, the second ends the process at once.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::Project;

/// Far longer than any test may take.
const ENDLESS: &str = "select count(*) as n from range(3000000) a, range(3000000) b where (a.range + b.range) % 7 = 3";

fn endless() -> Project {
    let project = Project::empty();
    project.model("quick", "table", "select 1 as id");
    project.model(
        "slow",
        "table",
        &format!("-- depends_on: {{{{ ref('quick') }}}}\n{{% if var('short', false) %}}select 2 as n{{% else %}}{ENDLESS}{{% endif %}}"),
    );
    project.model("last", "view", "select * from {{ ref('slow') }}");
    project
}

#[test]
fn the_first_cancels_what_runs_and_retry_goes_on() {
    let project = endless();
    let mut running = project.start(&["run"]);
    running.await_line("START sql table model main.slow");
    running.signal("INT");
    let began = Instant::now();
    let ended = running.finish();
    assert!(began.elapsed() < Duration::from_secs(30));
    ended.expect(1).says("Exited because of keyboard interrupt");
    assert_eq!(project.rows("select id from main.quick"), ["1"]);

    let retry = project.kontiki(&["retry", "--vars", "{short: true}"]);
    retry.expect(0).says("Done. PASS=2 WARN=0 ERROR=0 SKIP=0 NO-OP=0 TOTAL=2").is_silent_about("main.quick");
    assert_eq!(project.rows("select n from main.last"), ["2"]);
}

#[test]
fn sigterm_is_heard_as_well() {
    let project = endless();
    let mut running = project.start(&["run"]);
    running.await_line("START sql table model main.slow");
    running.signal("TERM");
    running.finish().expect(1).says("Exited because of keyboard interrupt");
}

/// The process of a server, stopped until the value is dropped: it hears no cancellation.
struct Frozen(String);

impl Frozen {
    fn new(pid: i32) -> Self {
        let frozen = Self(pid.to_string());
        frozen.signal("-STOP");
        frozen
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.0]).status().unwrap().success());
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.signal("-CONT");
    }
}

#[test]
fn the_second_ends_the_process_even_if_the_warehouse_hangs() {
    let server = testing::Postgres::start_own(&[]);
    let database = server.database();
    let project = Project::empty();
    project.profile(&format!(
        "      type: postgres\n      host: {}\n      port: {}\n      user: {}\n      password: ''\n      dbname: {database}\n      schema: main\n      threads: 1\n",
        server.host(),
        server.port(),
        server.user(),
    ));
    project.model("slow", "table", "select 2 as id {% if not var('short', false) %}, pg_sleep(600){% endif %}");
    let mut running = project.start(&["run"]);
    running.await_line("START sql table model main.slow");
    let mut admin = server.client("postgres");
    let asleep = "select pid from pg_stat_activity where wait_event = 'PgSleep'";
    let pid: i32 = loop {
        if let Some(row) = admin.query_opt(asleep, &[]).unwrap() {
            break row.get(0);
        }
    };
    let frozen = Frozen::new(pid);
    let began = Instant::now();
    let code = loop {
        if let Some(status) = running.child.try_wait().unwrap() {
            break status.code();
        }
        assert!(began.elapsed() < Duration::from_secs(30), "the program does not end");
        running.signal("INT");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(code, Some(130));
    drop(frozen);
    admin.execute("select pg_terminate_backend($1)", &[&pid]).unwrap();
    project.kontiki(&["retry", "--vars", "{short: true}"]).expect(0).says("PASS=1 ");
}
