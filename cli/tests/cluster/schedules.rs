//! Schedules on a cluster of real processes: declared in a file, due by the second, decided once.

use crate::fleet::Fleet;
use crate::support::{Ended, Project};

fn declare(fleet: &Fleet, text: &str) {
    fleet.project.file("kontiki.yml", text);
}

fn expect(fleet: &Fleet, arguments: &[&str], code: i32) -> Ended {
    let ended = fleet.kontiki(arguments);
    ended.expect(code);
    ended
}

const SECONDLY: &str = "
schedules:
  - name: secondly
    cron: '* * * * * *'
    select: first
    overlap: allow_all
    vars: {second: \"{{ scheduled_at.isoformat() }}\"}
  - name: nightly
    schedule: '0 3 * * *'
    timeZone: Europe/London
    concurrencyPolicy: Replace
    startingDeadlineSeconds: 60
    paused: true
";

#[test]
fn schedules_are_declared_and_run_by_themselves() {
    let fleet = Fleet::start_in(Project::small(), 3, 1, &[]);
    expect(&fleet, &["build"], 0);
    declare(&fleet, SECONDLY);
    expect(&fleet, &["schedule", "apply", "--dry-run"], 0).says("schedule secondly would be created, next at");
    assert_eq!(expect(&fleet, &["schedule", "list", "-o", "name"], 0).stdout.trim(), "");
    expect(&fleet, &["schedule", "apply"], 0).says("schedule nightly created\n");
    expect(&fleet, &["schedule", "apply"], 0).says("schedule secondly unchanged");
    fleet.until("three ticks that succeeded", || {
        let history = fleet.json(&["schedule", "history", "secondly"]);
        let succeeded = history.as_array().unwrap().iter().filter(|tick| tick["result"] == "success");
        succeeded.count() >= 3
    });
    expect(&fleet, &["schedule", "pause", "secondly"], 0);
    let history = fleet.json(&["schedule", "history", "secondly", "--limit", "500"]);
    let mut ticks: Vec<&str> =
        history.as_array().unwrap().iter().map(|tick| tick["scheduled_at"].as_str().unwrap()).collect();
    let known = ticks.len();
    ticks.dedup();
    assert_eq!(ticks.len(), known, "a tick is decided once");
    let next =
        || fleet.json(&["schedule", "next", "secondly", "-n", "1"])[0]["scheduled_at"].as_str().unwrap().to_owned();
    let kept = next();
    fleet.until("a tick that the pause keeps from being due", || next() > kept);
    declare(&fleet, &SECONDLY.replace("select: first", "select: first\n    paused: false"));
    expect(&fleet, &["schedule", "apply"], 0).says("  - paused: true\n  + paused: false");
    let history = fleet.json(&["schedule", "history", "secondly", "--limit", "500"]);
    let reasons = history.as_array().unwrap().iter().map(|tick| tick["reason"].as_str().unwrap());
    assert_eq!(reasons.filter(|reason| *reason == "the schedule was paused").count(), 1);
    let nightly = fleet.json(&["schedule", "get", "nightly"]);
    assert_eq!((nightly["overlap"].as_str(), nightly["paused"].as_bool()), (Some("cancel_other"), Some(true)));
    assert_eq!(nightly["catch_up"]["window"], "60s");
    expect(&fleet, &["schedule", "next", "nightly", "-n", "2", "-o", "json"], 0).says("T03:00:00+");

    declare(&fleet, &SECONDLY.replace("0 3 * * *", "0 4 * * *"));
    let changed = expect(&fleet, &["schedule", "apply"], 0);
    changed.says("schedule nightly changed\n  - cron: \"0 3 * * *\"\n  + cron: \"0 4 * * *\"");
    let run = expect(&fleet, &["schedule", "trigger", "nightly"], 0).stdout.trim().to_owned();
    expect(&fleet, &["runs", "watch", &run], 0);
    assert_eq!(fleet.json(&["runs", "get", &run])["schedule"], "nightly");
    expect(&fleet, &["schedule", "delete", "nightly"], 0);
    expect(&fleet, &["schedule", "pause", "nightly"], 2).says("K4003").says("schedule 'nightly' does not exist");
}

#[test]
fn a_backfill_runs_each_tick_of_the_past_once() {
    let fleet = Fleet::start_in(Project::small(), 1, 1, &[]);
    expect(&fleet, &["build"], 0);
    declare(&fleet, "schedules: [{name: daily, cron: '@daily', time_zone: Asia/Taipei, select: first}]");
    expect(&fleet, &["schedule", "apply"], 0);
    let fill = ["schedule", "backfill", "daily", "--from", "2026-01-01", "--to", "2026-01-06", "--parallel", "2"];
    let preview = expect(&fleet, &[&fill[..], &["--dry-run"]].concat(), 0);
    preview.says("would run 5 ticks").says("2026-01-05T00:00:00+08:00");
    assert_eq!(expect(&fleet, &["backfill", "list", "-o", "name"], 0).stdout.trim(), "");
    expect(&fleet, &fill, 0).says("5 ticks from 2025-12-31 16:00:00 to 2026-01-04 16:00:00 UTC");
    let id = expect(&fleet, &["backfill", "list", "-o", "name"], 0).stdout.trim().to_owned();
    fleet.until("the backfill's end", || {
        let known = fleet.json(&["backfill", "get", &id]);
        known["state"] == "finished" && known["succeeded"] == 5 && known["failed"] == 0
    });
    expect(&fleet, &["backfill", "cancel", &id], 2).says("has ended");
}

#[test]
fn what_no_schedule_can_mean_is_refused_with_its_place() {
    let fleet = Fleet::start_in(Project::small(), 1, 1, &[]);
    let refused = |text: &str| {
        declare(&fleet, text);
        expect(&fleet, &["schedule", "apply"], 2)
    };
    let one = |rest: &str| format!("schedules:\n  - name: a\n    cron: '@daily'\n    {rest}\n");
    refused(&one("overlap: never")).says("error[K1306]").says("kontiki.yml:4").says("none of skip, buffer_one");
    refused(&one("catch_up: {window: soon}")).says("error[K1306]").says("'window' of 'catch_up' of schedule 'a'");
    refused(&one("crom: x")).says("error[K1004]").says("did you mean 'cron'?");
    refused(&one("start: yesterday")).says("error[K1306]").says("is no time such as");
    refused("schedules: [{name: a}]").says("error[K1306]").says("has neither 'cron' nor 'after'");
    refused("schedules: [{name: a, cron: '0 0 31 2 *'}]").says("error[K4002]").says("no date matches it");
    refused("schedules: [{name: a, cron: '@daily', time_zone: Mars}]").says("'Mars' is no time zone");
    refused(&one("vars: {day: '{{ tomorrow }}'}")).says("variable 'day': 'tomorrow' is not known here");
    refused(&one("target: nowhere")).says("error[K1005]");
    assert_eq!(expect(&fleet, &["schedule", "list", "-o", "name"], 0).stdout.trim(), "");
}

#[test]
fn a_schedule_runs_when_those_it_follows_have_succeeded() {
    let fleet = Fleet::start_in(Project::small(), 1, 1, &[]);
    expect(&fleet, &["build"], 0);
    fleet.project.model("flaky", "table", "select 1 / {{ var('by', 1) }} as a");
    declare(
        &fleet,
        "
schedules:
  - {name: orders, cron: '@yearly', select: first}
  - {name: stock, cron: '@yearly', select: flaky, vars: {by: '0'}}
  - {name: mart, after: [orders, stock], select: first, vars: {from: '{{ data_interval_start }}'}}
",
    );
    expect(&fleet, &["project", "deploy"], 0);
    expect(&fleet, &["schedule", "apply"], 0).says("schedule mart created\n");
    let run = |name: &str| {
        let run = expect(&fleet, &["schedule", "trigger", name], 0).stdout.trim().to_owned();
        fleet.kontiki(&["runs", "watch", &run])
    };
    run("orders").expect(0);
    run("stock").expect(1);
    assert_eq!(fleet.json(&["schedule", "history", "mart"]).as_array().unwrap().len(), 0);
    let declared = fleet.project.read("kontiki.yml").replace("by: '0'", "by: '1'");
    declare(&fleet, &declared);
    expect(&fleet, &["schedule", "apply"], 0).says("schedule stock changed").says("  - vars.by: \"0\"");
    run("stock").expect(0);
    fleet.until("the run that follows", || {
        let history = fleet.json(&["schedule", "history", "mart"]);
        history.as_array().unwrap().iter().filter(|tick| tick["result"] == "success").count() == 1
    });
    declare(&fleet, "schedules: [{name: a, after: [b]}, {name: b, after: a}]");
    expect(&fleet, &["schedule", "apply"], 2).says("it would follow itself");
    declare(&fleet, "schedules: [{name: a, after: [nobody]}]");
    expect(&fleet, &["schedule", "apply"], 2).says("it follows 'nobody', which does not exist");
    declare(&fleet, "schedules: [{name: a, after: [orders], cron: '@daily'}]");
    expect(&fleet, &["schedule", "apply"], 2).says("has both 'cron' and 'after'");
    declare(&fleet, "schedules: [{name: a, after: [orders], jitter: 5s}]");
    expect(&fleet, &["schedule", "apply"], 2).says("has no start, end or jitter");
}

#[test]
fn microbatch_models_get_the_interval_of_each_tick() {
    let fleet = Fleet::start_in(Project::small(), 1, 1, &[]);
    let days = "select generate_series(timestamp '2026-01-01', timestamp '2026-01-10', interval '1 day') as day";
    fleet.project.model("days", "table', event_time='day", days);
    let config = "incremental', incremental_strategy='microbatch', event_time='day', unique_key='day', batch_size='day', \
                  begin='2026-01-01";
    fleet.project.model("daily", config, "select day, '{{ model.batch.id }}' as batch from {{ ref('days') }}");
    expect(&fleet, &["build", "--exclude", "daily"], 0);
    declare(&fleet, "schedules: [{name: daily, cron: '@daily', select: daily}]");
    expect(&fleet, &["schedule", "apply"], 0);
    let fill = ["schedule", "backfill", "daily", "--from", "2026-01-03", "--to", "2026-01-06"];
    expect(&fleet, &fill, 0);
    let id = expect(&fleet, &["backfill", "list", "-o", "name"], 0).stdout.trim().to_owned();
    fleet.until("the backfill's end", || fleet.json(&["backfill", "get", &id])["succeeded"] == 3);
    let batches = || fleet.client().rows("select batch from main.daily order by 1");
    assert_eq!(batches(), ["20260102", "20260103", "20260104"], "each tick builds the day before it");

    let build = ["build", "-s", "daily", "--event-time-start", "2026-01-08", "--event-time-end", "2026-01-10"];
    expect(&fleet, &build, 0).says("OK created sql microbatch model main.daily");
    let results: serde_json::Value = serde_json::from_str(&fleet.project.read("target/run_results.json")).unwrap();
    let successful = &results["results"][0]["batch_results"]["successful"];
    assert_eq!(successful[1], serde_json::json!(["2026-01-09T00:00:00+00:00", "2026-01-10T00:00:00+00:00"]));
    assert_eq!(batches()[3..], ["20260108", "20260109"]);
    let run = fleet.json(&["runs", "list"])[0]["id"].as_str().unwrap().to_owned();
    expect(&fleet, &["task", "logs", &run, "model.p.daily"], 0).says("batch 2026-01-09: ");
}
