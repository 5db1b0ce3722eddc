//! Ctrl-C: the first cancels the SQL in flight and leaves the run resumable.

use std::time::{Duration, Instant};

use crate::support::{Postgres, Project};

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

/// The statement cannot be stopped: the server's process hears nothing. The first Ctrl-C waits for it, the second does not.
#[cfg(target_os = "linux")]
#[test]
fn the_second_ends_the_program_at_once() {
    let server = Postgres::start();
    let project = Project::empty();
    project.profile(&server.profile());
    project.model("stuck", "table", "select 1 as id from pg_sleep(600)");
    let mut running = project.start(&["run"]);
    running.await_line("START sql table model main.stuck");
    let mut client = server.client();
    let backend: i32 = loop {
        let query = "select pid from pg_stat_activity where wait_event = 'PgSleep'";
        if let Some(row) = client.query_opt(query, &[]).unwrap() {
            break row.get(0);
        }
    };
    let signal = |name: &str| {
        let sent = std::process::Command::new("kill").args([&format!("-{name}"), &backend.to_string()]).status();
        assert!(sent.unwrap().success());
    };
    signal("STOP");
    running.signal("INT");
    // That the request to cancel waits at the stopped process shows that the first was heard.
    let waits = |line: &str| {
        let pending = line.strip_prefix("ShdPnd:").or_else(|| line.strip_prefix("SigPnd:"));
        pending.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).unwrap() & 0b10 != 0)
    };
    while !std::fs::read_to_string(format!("/proc/{backend}/status")).unwrap().lines().any(waits) {}
    running.signal("INT");
    let code = running.child.wait().unwrap().code();
    signal("CONT");
    assert_eq!(code, Some(130));
}
