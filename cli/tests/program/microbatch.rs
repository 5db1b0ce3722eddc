//! Models that are built batch by batch, on one machine.

use crate::support::Project;

const DAYS: &str = "select day, 1 as n from generate_series(timestamp '2024-01-01', timestamp '2024-01-10', interval 1 day) as days(day)";
const SPAN: [&str; 4] = ["--event-time-start", "2024-01-01", "--event-time-end", "2024-01-05"];

const CONFIG: &str =
    "incremental', incremental_strategy='microbatch', event_time='day', batch_size='day', begin='2024-01-01";

/// `daily` fails in the batch that is named.
fn write(project: &Project, failing: &str) {
    let broken = format!("{{% if model.batch.id == '{failing}' %}}, nothing{{% endif %}}");
    project.model("daily", CONFIG, &format!("select day{broken} from {{{{ ref('days') }}}}"));
}

#[test]
fn a_failed_batch_is_built_by_a_retry_and_by_the_retry_of_another_machine() {
    let project = Project::empty();
    project.model("days", "table', event_time='day", DAYS);
    write(&project, "20240102");
    let ended = project.kontiki(&[&["build"][..], &SPAN].concat());
    ended.expect(1);
    ended.says("Batch 2 of 4 ERROR creating batch 2024-01-02 of main.daily").says("PARTIAL SUCCESS (3/4)");
    ended.says("Completed with 1 partial success and 0 warnings").says("Done. PASS=1 WARN=0 ERROR=1");
    let days = || project.rows("select strftime(day, '%d') from daily order by 1");
    assert_eq!(days(), ["01", "03", "04"]);
    write(&project, "");
    let elsewhere = project.copy();
    // Nothing but the results is known there: the batches from the first to the last that failed are built.
    std::fs::remove_dir_all(elsewhere.path(".kontiki")).unwrap();
    elsewhere.kontiki(&["retry", "--state", "target"]).expect(0).says("Batch 1 of 1 OK created batch 2024-01-02");
    project.kontiki(&["retry"]).expect(0).says("Batch 1 of 1 OK created batch 2024-01-02");
    assert_eq!(days(), ["01", "02", "03", "04"]);
    assert_eq!(elsewhere.rows("select strftime(day, '%d') from daily order by 1"), ["01", "02", "03", "04"]);
}

#[test]
fn what_cannot_be_batches_is_refused_with_its_place() {
    let project = Project::empty();
    project.model("days", "table", DAYS);
    project.model("daily", &CONFIG.replace("'day', begin", "'week', begin"), "select * from {{ ref('days') }}");
    let refused = project.kontiki(&["build"]);
    refused.expect(2);
    refused.says("K1301").says("models/daily.sql:1").says("must have one of hour, day, month, year, but got: \"week\"");
    project.model("daily", CONFIG, "select * from {{ ref('days') }}");
    let warned = project.kontiki(&["parse"]);
    warned.expect(0);
    warned.says("The microbatch model 'daily' has no 'ref' or 'source' input with an 'event_time' configuration");
    for (span, words) in [
        (["--event-time-start", "2024-01-05", "--event-time-end", "2024-01-05"], "must be less than"),
        (["--event-time-start", "yesterday", "--event-time-end", "2024-01-05"], "2024-09-17T16:00:00"),
    ] {
        let refused = project.kontiki(&[&["build"][..], &span].concat());
        refused.expect(2);
        refused.says("K3005").says(words);
    }
    project.kontiki(&["build", "--event-time-end", "2024-01-05"]).expect(2);
}
