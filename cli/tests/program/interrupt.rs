//! Ctrl-C: the first cancels the SQL in flight and leaves the run resumable.

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
