//! Lineage of a cluster, as OpenLineage's own library understands it.

use serde_json::Value as Json;

use crate::fleet::Fleet;
use crate::sink::Sink;
use crate::support::Project;

#[test]
#[ignore = "needs Python packages: cargo xtask test"]
fn runs_and_nodes_tell_what_they_read_and_wrote() {
    let project = Project::small();
    let sink = Sink::start(project.root());
    let url = format!("http://127.0.0.1:{}", sink.ready().0);
    let environment =
        [("OPENLINEAGE_URL", url.as_str()), ("OPENLINEAGE_ENDPOINT", "lineage"), ("OPENLINEAGE_NAMESPACE", "shop")];
    let mut fleet = Fleet::start_in(project, 3, 1, &environment);
    fleet.project.model("broken", "table", "select nope from {{ ref('first') }}");
    fleet.kontiki(&["build"]).expect(1);
    let events = || -> Vec<Json> {
        let lines = sink.lines().into_iter().filter(|line| line["path"] == "/lineage");
        lines.map(|line| line["body"].clone()).collect()
    };
    let of = |job: &str, kind: &str| {
        events().into_iter().find(|event| event["job"]["name"] == job && event["eventType"] == kind)
    };
    fleet.until("the end of the run", || of("p.build", "FAIL").is_some() && of("model.p.broken", "FAIL").is_some());
    let run = of("p.build", "START").unwrap()["run"]["runId"].clone();
    assert_eq!(run, fleet.json(&["runs", "list"])[0]["id"]);
    let first = of("model.p.first", "COMPLETE").unwrap();
    assert_eq!(
        (&first["run"]["facets"]["parent"]["run"]["runId"], first["job"]["namespace"].as_str()),
        (&run, Some("shop"))
    );
    let database = &fleet.database;
    assert_eq!(first["outputs"][0]["name"], format!("{database}.main.first"));
    let (host, port) = (fleet.postgres.host(), fleet.postgres.port());
    assert_eq!(first["outputs"][0]["namespace"], format!("postgres://{host}:{port}"));
    let broken = of("model.p.broken", "FAIL").unwrap();
    assert_eq!(broken["inputs"][0]["name"], format!("{database}.main.first"));
    assert!(broken["run"]["facets"]["errorMessage"]["message"].as_str().unwrap().contains("nope"), "{broken}");

    // The end of a run whose leader dies is told by the next.
    fleet.project.file("kontiki.yml", "schedules: [{name: slow, cron: '@yearly', select: broken}]");
    fleet.project.model("broken", "table", "select 1 as a from pg_sleep(3)");
    fleet.kontiki(&["project", "deploy"]).expect(0);
    fleet.kontiki(&["schedule", "apply"]).expect(0);
    let run = fleet.kontiki(&["schedule", "trigger", "slow"]).expect(0).stdout.trim().to_owned();
    let old = fleet.leader();
    fleet.replica(old).signal("TERM");
    fleet.await_leader_other_than(old);
    fleet.until("the end of the second run", || {
        let ended = |event: &Json| event["run"]["runId"] == run.as_str() && event["eventType"] == "COMPLETE";
        events().iter().any(|event| ended(event) && event["run"]["facets"]["nominalTime"].is_object())
    });
}
