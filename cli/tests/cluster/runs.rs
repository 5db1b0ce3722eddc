//! dbt's verbs on a cluster of one replica and one worker.

use testing::collector::{Collector, Span, Trace, text};

use crate::fleet::Fleet;
use crate::support::{Ended, Project};

/// The lines of a run without what differs from call to call.
pub fn told(ended: &Ended) -> Vec<String> {
    let lines = ended.lines().into_iter();
    lines.map(|line| line.split(" in 0 hours").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_build_is_told_as_on_this_machine() {
    let fleet = Fleet::start(Project::small(), 1, 1);
    let remote = fleet.kontiki(&["build"]);
    remote.expect(0).says("Done. PASS=4 WARN=0 ERROR=0 SKIP=0 NO-OP=0 TOTAL=4");
    let mut database = fleet.client();
    assert_eq!(database.rows("select id::text from main.second order by id"), ["1", "2"]);
    assert_eq!(database.published(), ["model.p.first", "model.p.second", "seed.p.raw"]);
    let results = fleet.project.read("target/run_results.json");
    let local = fleet.project.kontiki(&["build"]);
    local.expect(0);
    assert_eq!(told(&remote), told(&local), "{}", fleet.logs());

    let statuses = |text: &str| {
        let results: serde_json::Value = serde_json::from_str(text).unwrap();
        let results = results["results"].as_array().unwrap().clone();
        let status = |result: &serde_json::Value| (result["unique_id"].to_string(), result["status"].to_string());
        results.iter().map(status).collect::<Vec<_>>()
    };
    assert_eq!(statuses(&results), statuses(&fleet.project.read("target/run_results.json")));
}

#[test]
fn a_failed_node_gives_1_and_retry_heals() {
    let project = Project::small();
    project.model("second", "table", "select id / 0 as id from {{ ref('first') }}");
    let fleet = Fleet::start(project, 1, 1);
    let remote = fleet.kontiki(&["build"]);
    remote.expect(1).says("division by zero").says("Done. PASS=2 WARN=0 ERROR=1 SKIP=1 NO-OP=0 TOTAL=4");
    let local = fleet.project.kontiki(&["build"]);
    local.expect(1);
    assert_eq!(told(&remote), told(&local));

    // The run goes on with the project that it began with, so only what is outside of it can have been mended.
    let again = fleet.kontiki(&["retry"]);
    again.expect(1).says("1 of 2 ERROR creating sql table model main.second").is_silent_about("main.raw");
}

#[test]
fn a_run_may_be_left_alone_and_looked_at_later() {
    let fleet = Fleet::start(Project::small(), 1, 1);
    let detached = fleet.kontiki(&["build", "--detach", "--quiet"]);
    detached.expect(0);
    let run = detached.stdout.trim().to_owned();
    fleet.kontiki(&["runs", "watch", &run]).expect(0).says("submitted with 4 tasks").says("finished: success");
    let shown = fleet.json(&["runs", "get", &run]);
    assert_eq!((shown["state"].as_str(), shown["project"].as_str()), (Some("success"), Some("p")));
    let tasks = fleet.kontiki(&["task", "list", &run, "-o", "name"]);
    let mut nodes: Vec<&str> = tasks.stdout.lines().collect();
    nodes.sort_unstable();
    assert_eq!(nodes[..3], ["model.p.first", "model.p.second", "seed.p.raw"]);
    let projects = fleet.json(&["project", "list"]);
    assert_eq!((projects[0]["name"].as_str(), projects[0]["files"].as_u64()), (Some("p"), Some(5)));
    fleet.kontiki(&["project", "deploy"]).expect(0).says("project p unchanged");
    fleet.kontiki(&["runs", "get", "00000000-0000-0000-0000-000000000000"]).expect(2).says("K4003");
}

#[test]
fn nodes_are_selected_as_on_this_machine() {
    let project = Project::small();
    project.file("selectors.yml", "selectors:\n  - name: some\n    definition: first+\n");
    project.model("second", "table", "select id / {{ var('by', 0) }} as id from {{ ref('first') }}");
    let fleet = Fleet::start(project, 1, 1);
    fleet.kontiki(&["seed"]).expect(0);
    let some = fleet.kontiki(&["build", "--selector", "some"]);
    some.expect(1).says("Done. PASS=1 WARN=0 ERROR=1 SKIP=1 NO-OP=0 TOTAL=3").is_silent_about("main.raw");
    let failed = fleet.kontiki(&["build", "-s", "result:error+", "--state", "target", "--vars", "by: 1"]);
    failed.expect(0).says("Done. PASS=2 WARN=0 ERROR=0 SKIP=0 NO-OP=0 TOTAL=2").is_silent_about("main.first");
    let models = fleet.kontiki(&["build", "--resource-type", "model", "--vars", "by: 1"]);
    models.expect(0).says("Done. PASS=2 WARN=0 ERROR=0 SKIP=0 NO-OP=0 TOTAL=2");
    let others = fleet.kontiki(&["build", "--exclude-resource-type", "model", "test"]);
    others.expect(0).says("Done. PASS=1 WARN=0 ERROR=0 SKIP=0 NO-OP=0 TOTAL=1").says("seed file main.raw");
    fleet.kontiki(&["build", "--selector", "none"]).expect(2).says("could not find selector named 'none'");
}

#[test]
fn what_only_looks_is_done_on_this_machine() {
    let fleet = Fleet::start(Project::small(), 1, 1);
    fleet.kontiki(&["build"]).expect(0);
    fleet.kontiki(&["compile", "-s", "second"]).expect(0).says("from \"").says("\"first\"");
    fleet.kontiki(&["show", "-s", "second"]).expect(0).says("Previewing node 'second':").says("|  2 |");
    // A flag goes before the variable that names the cluster.
    fleet.kontiki(&["build", "--context", "local"]).expect(0);
    fleet.kontiki(&["build", "--context", "nowhere"]).expect(2).says("there is no context 'nowhere'");
    fleet.kontiki(&["retry", "--full-refresh"]).expect(2).says("--full-refresh on a cluster: not supported yet");
    assert_eq!(fleet.json(&["runs", "list"]).as_array().unwrap().len(), 1, "the cluster has no part in it");
}

#[test]
fn a_flag_for_a_cluster_is_refused_without_one() {
    let ended = Project::small().kontiki(&["build", "--worker-label", "a=b"]);
    ended.expect(2).says("error[K3005]").says("--worker-label is for a run on a cluster");
    Project::small().kontiki(&["build", "--worker-label", "a=b,c=d"]).expect(2).says("give the flag once for each");
}

#[test]
fn a_run_leads_back_to_whoever_called_the_program() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";
    let collector = Collector::start();
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
    let fleet = Fleet::start_in(Project::small(), 1, 1, &environment);
    let mut build = fleet.command(&["build"]);
    let ended: Ended = build.env("TRACEPARENT", format!("00-{TRACE}-{SPAN}-01")).output().unwrap().into();
    ended.expect(0);
    fleet.until("a link to the caller", || {
        let spans = collector.spans();
        let mut links = spans.iter().flat_map(|span| &span.links);
        links.any(|link| (hex(&link.trace_id).as_str(), hex(&link.span_id).as_str()) == (TRACE, SPAN))
    });
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn nobody_there_is_told_with_its_code() {
    let project = Project::small();
    let ended = project.kontiki(&["runs", "list", "--server", "127.0.0.1:9"]);
    ended.expect(2).says("error[K4001]").says("127.0.0.1:9");
    project.kontiki(&["runs", "list"]).expect(2).says("no cluster was named");
}

/// The spans from one on downwards, as long as each has one of these names below it: names, kinds and statuses.
fn descent<'t>(trace: &'t Trace, from: &'t Span, names: &[&str]) -> Vec<(String, i32, Option<String>)> {
    let mut found = Vec::new();
    let mut at = from;
    for name in names {
        at = trace.child(at, name);
        found.push((at.name.clone(), at.kind, text(&at.attributes, "rpc.response.status_code")));
    }
    found
}

#[test]
fn a_call_is_followed_through_the_replica_that_was_asked_to_the_commit() {
    const SUBMIT: &str = "kontiki.v1.RunService/SubmitRun";
    const FORWARD: &str = "kontiki.v1.RaftService/Forward";
    const INTERNAL: i32 = 1;
    const SERVER: i32 = 2;
    const CLIENT: i32 = 3;
    let collector = Collector::start();
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
    let fleet = Fleet::start_in(Project::small(), 3, 1, &environment);
    let leader = fleet.leader();
    let follower = fleet.addresses()[(leader + 1) % 3].clone();
    let mut build = fleet.project.command(&["build", "--server", &follower]);
    build.envs(environment);
    crate::support::Ended::from(build.output().unwrap()).expect(0);
    let mut whole = None;
    fleet.until("the whole trace", || {
        let trace = Trace::complete(collector.spans()).ok();
        // Replicas and workers send theirs when they like to: a tree may still lack leaves.
        let count = |trace: &Trace, name: &str| trace.spans.values().filter(|span| span.name == name).count();
        whole = trace.filter(|trace| count(trace, "raft commit") == 5 && count(trace, "session") == 4);
        whole.is_some()
    });
    let trace = whole.unwrap();
    let ok = || Some("OK".to_owned());
    let path = descent(&trace, trace.root(), &[SUBMIT, SUBMIT, FORWARD, FORWARD, "raft commit"]);
    let expected = [
        (SUBMIT, CLIENT, ok()),
        (SUBMIT, SERVER, ok()),
        (FORWARD, CLIENT, ok()),
        (FORWARD, SERVER, ok()),
        ("raft commit", INTERNAL, None),
    ];
    assert_eq!(path, expected.map(|(name, kind, code)| (name.to_owned(), kind, code)));
    // Each report was committed, too.
    for task in ["seed.p.raw", "model.p.first", "model.p.second"] {
        let [attempt] = trace.attempts(task)[..] else { panic!("{task}") };
        assert_eq!(descent(&trace, attempt, &["raft commit"]), [("raft commit".to_owned(), INTERNAL, None)]);
        assert_eq!(descent(&trace, attempt, &["session"]), [("session".to_owned(), INTERNAL, None)]);
    }
    let commits = trace.spans.values().filter(|span| span.name == "raft commit");
    assert!(commits.clone().all(|span| text(&span.attributes, "kontiki.raft.index").is_some()));
}
