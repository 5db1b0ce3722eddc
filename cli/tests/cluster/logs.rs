//! What the processes of a cluster say of themselves.

use serde_json::Value as Json;
use testing::Process;

use crate::fleet::Fleet;
use crate::support::Project;

/// The fields of each line with this message.
fn lines(process: &Process, message: &str) -> Vec<Json> {
    let lines = process.log();
    let parsed = lines.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok());
    parsed.map(|line| line["fields"].clone()).filter(|fields| fields["message"] == message).collect()
}

#[test]
fn lines_about_runs_have_the_ids_of_traces_and_transcripts() {
    let mut fleet = Fleet::start_in(Project::small(), 1, 1, &[("KONTIKI_LOG_FORMAT", "json")]);
    fleet.project.model("broken", "table", "select nope");
    fleet.kontiki(&["build"]).expect(1);
    let run = fleet.json(&["runs", "list"])[0]["id"].as_str().unwrap().to_owned();
    let trace = run.replace('-', "");
    let begun = lines(fleet.replica(0), "a run begins");
    assert_eq!((begun[0]["run"].as_str(), begun[0]["trace"].as_str()), (Some(run.as_str()), Some(trace.as_str())));
    assert_eq!((begun[0]["project"].as_str(), begun[0]["verb"].as_str()), (Some("p"), Some("build")));
    let ended = lines(fleet.replica(0), "a run ended");
    assert_eq!((ended[0]["run"].as_str(), ended[0]["result"].as_str()), (Some(run.as_str()), Some("failure")));
    let failed = lines(fleet.worker(0), "an attempt failed");
    let task = failed.iter().find(|fields| fields["task"] == "model.p.broken").unwrap();
    assert_eq!((task["attempt"].as_u64(), task["trace"].as_str()), (Some(1), Some(trace.as_str())));
    assert_eq!((task["code"].as_str(), task["kind"].as_str()), (Some("K2001"), Some("user")));
}
