//! Sources on a cluster: how old they are, who is told, and schedules that wait until they are fresh.

use crate::fleet::Fleet;
use crate::support::Project;

const SOURCES: &str = "
sources:
  - name: raw
    schema: landing
    config:
      loaded_at_field: loaded
      freshness: {error_after: {count: 1, period: hour}}
    tables: [{name: orders}]
";

/// A cluster whose source was loaded two hours ago.
fn fleet() -> Fleet {
    let project = Project::empty();
    project.file("models/sources.yml", SOURCES);
    project.model("orders", "table", "select * from {{ source('raw', 'orders') }}");
    let fleet = Fleet::start_in(project, 1, 1, &[]);
    load(
        &fleet,
        "create schema landing; create table landing.orders as select 1 as id, now() - interval '2 hours' as loaded",
    );
    fleet
}

fn load(fleet: &Fleet, sql: &str) {
    fleet.postgres.client(&fleet.database).batch_execute(sql).unwrap();
}

#[test]
fn a_stale_source_is_told_and_fails_the_verb() {
    let fleet = fleet();
    let servers = fleet.addresses().join(",");
    let look = || fleet.kontiki(&["source", "freshness", "--server", &servers]);
    let stale = look();
    stale.expect(1);
    stale.says("1 of 1 ERROR STALE freshness of raw.orders").says("Status: error").says("K2013").says("Done.");
    let written = || -> serde_json::Value { serde_json::from_str(&fleet.project.read("target/sources.json")).unwrap() };
    assert_eq!(written()["results"][0]["status"], "error");
    let run = fleet.json(&["runs", "list"])[0]["id"].as_str().unwrap().to_owned();
    fleet.kontiki(&["task", "logs", &run, "source.p.raw.orders"]).expect(0).says("K2013 loaded at ");
    load(&fleet, "insert into landing.orders values (2, now())");
    look().expect(0).says("1 of 1 PASS freshness of raw.orders");
    assert_eq!(written()["results"][0]["status"], "pass");
}

#[test]
fn a_schedule_waits_until_its_sources_are_fresh() {
    let fleet = fleet();
    let declare = |gate: &str| {
        let text =
            format!("schedules: [{{name: hourly, cron: '* * * * * *', select: orders, wait_for_sources: {gate}}}]");
        fleet.project.file("kontiki.yml", text);
        fleet.kontiki(&["schedule", "apply"])
    };
    fleet.kontiki(&["project", "deploy"]).expect(0);
    declare("{select: 'source:raw.*', every: 1s}").expect(0).says("schedule hourly created");
    declare("{select: 'source:raw.*', every: 1s}").expect(0).says("unchanged");
    let runs = |result: &str| {
        let runs = fleet.json(&["runs", "list"]);
        let of = runs.as_array().unwrap().iter().filter(|run| run["state"] == result).cloned();
        of.collect::<Vec<_>>()
    };
    fleet.until("two looks at a source that is stale", || runs("failed").len() >= 2);
    assert_eq!(fleet.json(&["schedule", "history", "hourly"]).as_array().unwrap().len(), 0, "no tick runs before");
    load(&fleet, "insert into landing.orders values (2, now())");
    fleet.until("a tick that ran", || {
        let history = fleet.json(&["schedule", "history", "hourly"]);
        history.as_array().unwrap().iter().any(|tick| tick["result"] == "success")
    });
    let changed = declare("'tag:nothing'");
    changed.expect(0);
    changed.says("  - wait_for_sources.select: [\"source:raw.*\"]\n  + wait_for_sources.select: [\"tag:nothing\"]");
    fleet.until("a tick that says why it has no run", || {
        let history = fleet.json(&["schedule", "history", "hourly"]);
        let reasons = history.as_array().unwrap().iter().filter_map(|tick| tick["reason"].as_str());
        reasons.into_iter().any(|reason| reason == "'tag:nothing' selects no source that has a 'freshness'")
    });
    declare("{select: [], every: 1s}").expect(2).says("wait_for_sources.select has to have between 1 and 100 entries");
}
