//! Lineage on one machine.

use serde_json::Value as Json;

use crate::support::Project;

#[test]
fn events_of_a_build_are_lines_of_a_file() {
    let project = Project::small();
    let path = project.path("lineage.jsonl").display().to_string();
    let transport =
        [("OPENLINEAGE__TRANSPORT__TYPE", "file"), ("OPENLINEAGE__TRANSPORT__LOG_FILE_PATH", path.as_str())];
    let output = project.command(&["build"]).envs(transport).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let events: Vec<Json> =
        project.read("lineage.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds = |job: &str| {
        let of = events.iter().filter(|event| event["job"]["name"] == job);
        of.map(|event| event["eventType"].as_str().unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(kinds("p.build"), ["START", "COMPLETE"]);
    assert_eq!(kinds("model.p.first"), ["START", "COMPLETE"]);
    let written =
        events.iter().find(|event| event["job"]["name"] == "model.p.first" && event["eventType"] == "COMPLETE");
    let written = &written.unwrap()["outputs"][0];
    assert!(written["namespace"].as_str().unwrap().starts_with("duckdb://"), "{written}");
    assert!(written["name"].as_str().unwrap().ends_with(".main.first"), "{written}");

    let refused = project.command(&["build"]).env("OPENLINEAGE_URL", "marquez").output().unwrap();
    let said = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(refused.status.success() && said.contains("K3011") && said.contains("'marquez'"), "{said}");
}
